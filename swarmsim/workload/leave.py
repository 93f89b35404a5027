"""`leave`: as `docker swarm leave`, said to the node's own engine (SCENARIOS.md section 6).

moby daemon/cluster/swarm.go `Leave`. A worker goes without ado; a manager only with `force: true`, after words that
depend on what the leader says of the group. No manager is told: a node that has left stays READY until its heartbeats
are missed, and a manager that has left stays a member of the Raft group, unreachable, and counts for its quorum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import StrictBool, model_validator

from ..api.messages import ListManagers
from ..errors import NO_DAEMON, ApiError
from ..machine import Micros
from .base import Aim, Asking, Order, Step
from .deploy import ClientError

if TYPE_CHECKING:
    from ..cluster import Cluster

#: How long the engine waits for what the leader says of the managers.
STATS_TIMEOUT: Micros = 5_000_000

#: daemon/cluster/errors.go, daemon/cluster/swarm.go.
NO_SWARM = "This node is not part of a swarm"
A_MANAGER = "You are attempting to leave the swarm on a node that is participating as a manager. "
THE_LAST = "Removing the last manager erases all current state of the swarm. Use `--force` to ignore this message. "
NO_QUORUM = "Removing this node leaves {} managers out of {}. Without a Raft quorum your swarm will be inaccessible. "
NOT_ACTIVE = "Doing so may lose the consensus of your cluster. "
ONLY_WAY = (
    "The only way to restore a swarm that has lost consensus is to reinitialize it with `--force-new-cluster`. "
    "Use `--force` to suppress this message."
)


class Leave(Step):
    """Nodes leave the swarm by themselves, and no manager is told; a manager needs `force: true`."""

    verb: ClassVar[str] = "leave"
    aims: ClassVar[dict[str, str]] = {"leave": "nodes"}

    leave: Aim
    force: StrictBool = False

    @model_validator(mode="after")
    def _asks_itself(self) -> Leave:
        if self.via is not None:
            raise ValueError("`leave` is said to the node itself, and no manager is asked; leave `via` out")
        return self

    def detail(self, order: Order) -> str:
        return "force" if self.force else ""

    def asked(self, cluster: Cluster, order: Order) -> str:
        return order.targets[0]

    def ask(self, cluster: Cluster, order: Order) -> Asking:
        for name in order.targets:
            if not cluster.hosts[name].up:
                raise ClientError(NO_DAEMON)
            if cluster.nodes[name].identity is None:
                raise ClientError(f"Error response from daemon: {NO_SWARM}")
            if cluster.nodes[name].runs_manager and not self.force:
                raise ClientError(f"Error response from daemon: {(yield from refusal(cluster, name, order.cause))}")
            yield from cluster.leave(name, order.cause)


def refusal(cluster: Cluster, name: str, cause: int) -> Asking:
    """What a manager says that shall leave without force."""
    node = cluster.nodes[name]
    if "controlapi" not in cluster.hosts[name].drivers:
        return A_MANAGER + NOT_ACTIVE + ONLY_WAY
    try:
        found = yield from cluster.ask(name, ListManagers(), STATS_TIMEOUT, cause)
    except ApiError:
        return A_MANAGER + ONLY_WAY
    reachable = sum(active for _, active in found)
    unreachable = len(found) - reachable
    assert node.identity is not None, "a manager has a certificate"
    if dict(found).get(node.identity.node_id) and reachable - 2 <= unreachable:
        if (reachable, unreachable) == (1, 0):
            return A_MANAGER + THE_LAST
        return A_MANAGER + NO_QUORUM.format(reachable - 1, len(found)) + ONLY_WAY
    return A_MANAGER + ONLY_WAY
