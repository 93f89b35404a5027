"""`remove_node`: as `docker node rm` (SCENARIOS.md section 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import StrictBool

from ..api.messages import GetNode, RemoveNode
from .base import Aim, Asking, Order, Step, call

if TYPE_CHECKING:
    from ..cluster import Cluster


class RemoveNodes(Step):
    """Nodes are struck off the list; refused for managers, and for nodes that are READY unless `force: true`."""

    verb: ClassVar[str] = "remove_node"
    aims: ClassVar[dict[str, str]] = {"remove_node": "nodes"}

    remove_node: Aim
    force: StrictBool = False

    def detail(self, order: Order) -> str:
        return "force" if self.force else ""

    def ask(self, cluster: Cluster, order: Order) -> Asking:
        for name in order.targets:
            node = yield from call(cluster, order, GetNode(name))
            yield from call(cluster, order, RemoveNode(node.id, self.force))
