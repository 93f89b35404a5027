"""`join`: as `docker swarm join` on a computer that is in no swarm yet (SCENARIOS.md section 6)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import simpy
from pydantic import ConfigDict, Field

from ..api.states import Availability
from ..errors import NO_DAEMON, ApiError
from .base import CLIENT_TIMEOUT, Aim, Asking, Order, Step, first_up

if TYPE_CHECKING:
    from ..cluster import Cluster

LOOK = 10_000  # microseconds between two looks of the client at its engine
TIMED_OUT = (
    "Timeout was reached before node joined. The attempt to join the swarm will continue in the background. "
    'Use the "docker info" command to see the current swarm status of your node.'
)
#: daemon/cluster/errors.go `errSwarmExists`.
IN_A_SWARM = 'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.'


class Join(Step):
    """A new host, with the defaults of `cluster`, joins: `as: manager` with that token, else as a worker.

    So does one of the cluster's whose disk was wiped; it keeps its own settings, and becomes another node.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    verb: ClassVar[str] = "join"
    aims: ClassVar[dict[str, str]] = {"join": "host"}

    join: Aim
    role: Literal["worker", "manager"] = Field("worker", alias="as")
    availability: Literal["active", "pause", "drain"] = "active"

    def detail(self, order: Order) -> str:
        return f"as {self.role}" + ("" if self.availability == "active" else f", {self.availability}")

    def ask(self, cluster: Cluster, order: Order) -> Asking:
        """The client waits until the engine says that the node is in, or for 20 s."""
        name = order.targets[0]
        remote = order.via or first_up(cluster)
        if not remote:
            raise ApiError("Unavailable", "connection error: no manager is up")
        availability = Availability[self.availability.upper()]
        if name in cluster.hosts:
            _check_free(cluster, name)
        else:
            cluster.add_host(name, replace(cluster.spec.newcomer, availability=availability))
        cluster.join(name, self.role, remote, order.cause)
        yield from _awaited(cluster, name)


def _check_free(cluster: Cluster, name: str) -> None:
    """A host that was in the swarm can join anew when its engine is up and knows of no swarm."""
    if not cluster.hosts[name].up:
        raise ApiError("Unavailable", NO_DAEMON)
    if cluster.nodes[name].identity is not None:
        raise ApiError("FailedPrecondition", IN_A_SWARM)


def _awaited(cluster: Cluster, name: str) -> Any:
    env = cluster.env
    limit = env.now + CLIENT_TIMEOUT
    while not cluster.nodes[name].is_in:
        error = cluster.nodes[name].join_error
        if error is not None:
            raise error
        if env.now >= limit:
            raise ApiError("DeadlineExceeded", TIMED_OUT)
        yield simpy.Timeout(env, LOOK)
