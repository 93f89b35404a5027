"""Log compaction, and bringing up a server whose next entry is compacted (section 7, Figure 13).

etcd raft.go, `maybeSendSnapshot`, `handleSnapshot`, `restore`, and `stepLeader` MsgSnapStatus. A snapshot goes in
one piece; what it holds is the application's business. When a leader decides to send one is in `replication.py`.
"""

from __future__ import annotations

from typing import Any

from swarmsim.raft.membership import Membership
from swarmsim.raft.messages import (
    AppendEntriesResponse,
    ConfState,
    InstallSnapshot,
    Snapshot,
    SnapshotStatus,
)
from swarmsim.raft.progress import SNAPSHOT, Progress
from swarmsim.raft.state import FOLLOWER


class Snapshots(Membership):
    __slots__ = ()

    # -- the application --
    def create_snapshot(self, index: int, conf_state: ConfState, data: Any, size: int = 0) -> Snapshot:
        """A snapshot of what is applied up to `index`, kept as the one to send; the driver persists it."""
        assert index <= self.log.commit_index, f"snapshot at {index}, committed is {self.log.commit_index}"
        term = self.log.term(index)
        assert term is not None, f"snapshot at {index}, which the log no longer holds"
        snapshot = Snapshot(index, term, conf_state, data, size)
        self.log.keep_snapshot(snapshot)
        return snapshot

    def compact(self, index: int) -> None:
        """Drop the log up to and including `index`; raises Compacted if that has happened already."""
        self.log.compact(index)

    # -- the leader --
    def newest_snapshot(self) -> Snapshot | None:
        """The snapshot to send, or None while there is none (etcd: `ErrSnapshotTemporarilyUnavailable`)."""
        if self.log.unstable_snapshot is not None:
            return self.log.unstable_snapshot
        source = self.config.snapshot_source
        return self.log.snapshot if source is None else source()

    def send_snapshot(self, dst: int, record: Progress) -> bool:
        """Send InstallSnapshot, unless the peer never answered in this term: it may not be there at all."""
        if not record.recent_active:
            return False
        snapshot = self.newest_snapshot()
        if snapshot is None:
            return False
        assert snapshot.index > 0, "an empty snapshot cannot help anybody"
        record.become_snapshot(snapshot.index)
        self.send(InstallSnapshot(self.id, dst, self.current_term, snapshot))
        return True

    def handle_snapshot_status(self, m: SnapshotStatus) -> None:
        """How sending went. After a success wait for the peer's answer, after a failure for a heartbeat's."""
        record = self.progress.get(m.src)
        if record is None or record.state is not SNAPSHOT:
            return
        if not m.ok:
            record.pending_snapshot = 0
        record.become_probe()
        record.paused = True

    # -- the follower --
    def handle_install_snapshot(self, m: InstallSnapshot) -> None:
        """Figure 13, Receiver implementation. The answer says up to where our log is the leader's."""
        self.election_elapsed = 0
        self.leader_id = m.src
        index = self.log.last_index if self.restore(m.snapshot) else self.log.commit_index
        self.send_after_append(AppendEntriesResponse(self.id, m.src, self.current_term, index))

    def is_news(self, snapshot: Snapshot) -> bool:
        """A snapshot of what is committed here already is an old message: it would throw away what came after."""
        return snapshot.index > self.log.commit_index

    def restore(self, snapshot: Snapshot) -> bool:
        """Take over a snapshot, unless there is no need: false, and perhaps the commit index moved."""
        assert self.role is FOLLOWER, f"a {self.role.name.lower()} cannot restore a snapshot"
        log = self.log
        if not self.is_news(snapshot):
            return False
        members = snapshot.conf_state
        if not any(self.id in half for half in (members.voters, members.learners, members.voters_outgoing)):
            return False  # not ours: the sender thinks of another cluster, or of a future one
        if log.matches(snapshot.index, snapshot.term):
            log.commit_to(snapshot.index)
            return False
        log.restore(snapshot)
        self.votes.clear()
        self.restore_members(members)
        return True
