"""`remove_stack`: as `docker stack rm` (SCENARIOS.md section 6).

docker/cli cli/command/stack/swarm/remove.go: all of the stack is looked up first; then services by name, secrets,
configs and networks go, each by a request of its own, whatever became of the one before. A network whose tasks have
not been told to stop by then is still in use: that is said, and it stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ..api.messages import RemoveConfig, RemoveNetwork, RemoveSecret, RemoveService
from .base import Asking, Order, Step
from .deploy import Client, ClientError, StackName, remove_all

if TYPE_CHECKING:
    from ..cluster import Cluster

#: Kinds in the order in which they are looked up, and in which they are removed.
_LOOKED_UP = ("service", "network", "secret", "config")
_REMOVED: tuple[tuple[str, Any], ...] = (
    ("service", RemoveService),
    ("secret", RemoveSecret),
    ("config", RemoveConfig),
    ("network", RemoveNetwork),
)


class RemoveStack(Step):
    """All that has the stack's label is removed: services, secrets, configs, networks."""

    verb: ClassVar[str] = "remove_stack"
    aims: ClassVar[dict[str, str]] = {"remove_stack": "stack"}

    remove_stack: StackName

    def ask(self, cluster: Cluster, order: Order) -> Asking:
        client = Client(cluster, order)
        there = {}
        for kind in _LOOKED_UP:
            there[kind] = yield from client.of_stack(kind)
        if not any(there.values()):
            client.say(f"Nothing found in stack: {client.stack}")
            return
        failed = False
        for kind, request in _REMOVED:
            failed = (yield from remove_all(client, kind, there[kind], request)) or failed
        if failed:
            raise ClientError(f"Failed to remove some resources from stack: {client.stack}")
