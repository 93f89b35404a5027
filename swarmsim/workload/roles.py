"""`promote`, `demote`: as `docker node promote` and `demote` (SCENARIOS.md section 6).

The command returns when the desired role is written; the node's certificate and the Raft group follow by themselves.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from ..api.states import NodeRole
from .base import Aim, Asking, Order, Step, update_nodes

if TYPE_CHECKING:
    from ..cluster import Cluster


class SetRole(Step):
    """Base of both."""

    role: ClassVar[NodeRole]

    def ask(self, cluster: Cluster, order: Order) -> Asking:
        yield from update_nodes(cluster, order, lambda spec: replace(spec, desired_role=self.role))


class Promote(SetRole):
    """Workers shall be managers: each gets a manager's certificate and joins the Raft group."""

    verb: ClassVar[str] = "promote"
    aims: ClassVar[dict[str, str]] = {"promote": "nodes"}
    role: ClassVar[NodeRole] = NodeRole.MANAGER

    promote: Aim


class Demote(SetRole):
    """Managers shall be workers: each leaves the Raft group, a leader after handing over."""

    verb: ClassVar[str] = "demote"
    aims: ClassVar[dict[str, str]] = {"demote": "nodes"}
    role: ClassVar[NodeRole] = NodeRole.WORKER

    demote: Aim
