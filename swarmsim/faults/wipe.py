"""`wipe`: what a node had on its disk is gone (SCENARIOS.md section 6). It shows when the node's engine starts again.

`raft`: the Raft directory, log and snapshots. The node still has its certificate, asks the other managers to be let in,
and is known to them by its node's id: it is the same member with an empty log (raft.go `Join`). `swarm`: all of
/var/lib/docker/swarm. The engine that starts then is in no swarm; `join` makes it a new node, and a new member.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from ..node import SWARM_STATE
from ..trace.events import DiskWiped
from .base import Aim, Fault, Hit

if TYPE_CHECKING:
    from ..cluster import Cluster

#: Whose data is in which directory.
MACHINES: dict[str, tuple[str, ...]] = {"raft": ("raft",), "swarm": SWARM_STATE}


class Wipe(Fault):
    """A manager's log and snapshots are gone (`what: raft`), or all that a node knew of the swarm (`what: swarm`)."""

    verb: ClassVar[str] = "wipe"
    aims: ClassVar[dict[str, str]] = {"wipe": "nodes"}

    wipe: Aim
    what: Literal["raft", "swarm"] = "raft"

    def detail(self) -> str:
        return {"raft": "its Raft log and snapshots", "swarm": "all that it knew of the swarm"}[self.what]

    def unfit(self, cluster: Cluster, hit: Hit) -> str:
        for name in hit.nodes:
            if not any(cluster.hosts[name].disk.peek(machine) for machine in MACHINES[self.what]):
                return f"{name} has nothing of that on its disk"
        logs = [name for name in cluster.managers if cluster.hosts[name].disk.peek("raft")]
        if logs and all(name in hit.nodes for name in logs):
            return "without a log on any disk there is no swarm left to look at"
        return ""

    def begin(self, cluster: Cluster, hit: Hit) -> None:
        cluster.network.trusted = False
        for name in hit.nodes:
            host = cluster.hosts[name]
            for machine in MACHINES[self.what]:
                host.disk.wipe(machine, while_open=host.up)
            if self.what == "swarm":
                cluster.nodes[name].forget()
            cluster.trace.record(DiskWiped(name, MACHINES[self.what]), cluster.env.now, hit.started)
