"""`corrupt`: something on a manager's disk is no longer what was written (SCENARIOS.md section 6).

Nobody notices before the manager starts again: it reads its disk then, and at no other time. `log`: one record of the
write-ahead log, drawn among those that a start reads; checksums find it, and the start is refused (etcd wal `ReadAll`).
`snapshot`: the newest one; it is put aside, and without an older one the start is refused unless the log reaches back
to its beginning. `key`: the headers of the TLS key that hold the data encryption key; the node makes a new one, and
cannot decrypt what it wrote (manager/deks.go).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from ..manager.raft_node.storage import log_places, snapshot_indices
from ..sim import rng
from .base import Aim, Fault, Hit

if TYPE_CHECKING:
    from ..cluster import Cluster


class Corrupt(Fault):
    """A manager's log, snapshot or key is damaged; its next start is refused."""

    verb: ClassVar[str] = "corrupt"
    aims: ClassVar[dict[str, str]] = {"corrupt": "nodes"}

    corrupt: Aim
    what: Literal["log", "snapshot", "key"] = "log"

    def detail(self) -> str:
        return {"log": "a record of its log", "snapshot": "its newest snapshot", "key": "the key of its log"}[self.what]

    def unfit(self, cluster: Cluster, hit: Hit) -> str:
        for name in hit.nodes:
            saved = cluster.hosts[name].disk.peek("raft")
            if not saved or (self.what == "snapshot" and not snapshot_indices(saved)):
                return f"{name} has no {self.what} on its disk"
        return ""

    def begin(self, cluster: Cluster, hit: Hit) -> None:
        cluster.network.trusted = False
        for name in hit.nodes:
            disk = cluster.hosts[name].disk
            saved = disk.peek("raft")
            if self.what == "key":
                disk.store("node", {"raft-dek": None})
            elif self.what == "snapshot":
                disk.damage("raft", ("snap", snapshot_indices(saved)[-1]))
            else:
                disk.damage("raft", rng.stream(hit.seed, "corrupt", hit.entry, name).choice(log_places(saved)))
