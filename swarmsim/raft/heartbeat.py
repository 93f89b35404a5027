"""Heartbeats, and the reads that they confirm (section 5.2; thesis 6.4).

etcd raft.go, `bcastHeartbeat`, `handleHeartbeat`; read_only.go as of v3.7: reads are numbered, a heartbeat names
the newest number, and a read is confirmed when a quorum has answered its number or a later one. (v3.6 compares the
caller's contexts instead and can confirm a retried read too early.) SwarmKit does not use reads.

The leader's side of a heartbeat response is in `replication.py`, since it may resume sending entries.
"""

from __future__ import annotations

from swarmsim.raft.config import ReadOnly
from swarmsim.raft.messages import (
    NONE,
    Heartbeat,
    HeartbeatResponse,
    ReadIndex,
    ReadIndexResponse,
    ReadState,
)
from swarmsim.raft.progress import Progress
from swarmsim.raft.quorum import joint_committed
from swarmsim.raft.snapshot import Snapshots
from swarmsim.raft.state import PendingRead


class Heartbeats(Snapshots):
    __slots__ = ()

    # -- heartbeats --
    def broadcast_heartbeat(self) -> None:
        """Tell every peer who leads, and how far its log is committed (etcd raft.go, `bcastHeartbeat`)."""
        context = self.pending_reads[-1].number if self.pending_reads else 0
        id, term, messages = self.id, self.current_term, self.messages
        for peer, record in self.peers:
            commit = self.heartbeat_commit(record)
            messages.append(Heartbeat(id, peer, term, commit, context))
            record.sent_commit = commit

    def heartbeat_commit(self, record: Progress) -> int:
        """No commit index beyond what the peer is known to hold: its log may differ there (etcd: `sendHeartbeat`)."""
        match, committed = record.match_index, self.log.commit_index
        return match if match < committed else committed

    def handle_heartbeat(self, m: Heartbeat) -> None:
        """Followers: the leader is alive, and this much of our log is committed."""
        self.election_elapsed = 0
        self.leader_id = m.src
        if m.leader_commit > self.log.commit_index:
            self.log.commit_to(m.leader_commit)
        self.messages.append(HeartbeatResponse(self.id, m.src, self.current_term, m.context))

    # -- reads --
    def committed_in_own_term(self) -> bool:
        """Thesis 6.4 step 1: until then a new leader does not know which entries are committed."""
        return self.log.term(self.log.commit_index) == self.current_term

    def handle_read_index(self, m: ReadIndex) -> None:
        """Leaders, thesis 6.4."""
        if self.conf.voters == (self.id,) and not self.conf.voters_outgoing:
            self.answer_read(m, self.log.commit_index)
        elif not self.committed_in_own_term():
            self.postponed_reads.append(m)
        else:
            self.begin_read(m)

    def begin_read(self, m: ReadIndex) -> None:
        """Steps 2 and 3: note the commit index, then make sure by heartbeats that no newer leader exists."""
        if self.config.read_only is ReadOnly.LEASE_BASED:
            self.answer_read(m, self.log.commit_index)
            return
        self.read_number += 1
        self.pending_reads.append(PendingRead(self.read_number, self.log.commit_index, m))
        self.read_acks[self.id] = self.read_number
        self.broadcast_heartbeat()

    def acknowledge_reads(self, m: HeartbeatResponse) -> None:
        """A peer still followed us when it saw this number: answer what a quorum has now seen."""
        self.read_acks[m.src] = max(self.read_acks.get(m.src, 0), m.context)
        confirmed = joint_committed(self.conf.voters, self.conf.voters_outgoing, self.read_acks)
        while self.pending_reads and self.pending_reads[0].number <= confirmed:
            read = self.pending_reads.pop(0)
            self.answer_read(read.message, read.index)

    def release_postponed_reads(self) -> None:
        """The commit index moved, perhaps for the first time in this term."""
        if self.postponed_reads and self.committed_in_own_term():
            waiting, self.postponed_reads = self.postponed_reads, []
            for m in waiting:
                self.begin_read(m)

    def answer_read(self, m: ReadIndex, index: int) -> None:
        """Our own question is answered in the next Ready, another's by a message."""
        if m.src in (NONE, self.id):
            self.read_states.append(ReadState(index, m.request))
        else:
            self.send(ReadIndexResponse(self.id, m.src, self.current_term, index, m.request))

    def handle_read_index_response(self, m: ReadIndexResponse) -> None:
        """Followers: the leader answered a question that we forwarded."""
        self.read_states.append(ReadState(m.index, m.request))

    def forward_read_index(self, m: ReadIndex) -> None:
        """Followers: ask the leader; without one the question is lost."""
        if self.leader_id != NONE:
            self.send(m._replace(src=m.src or self.id, dst=self.leader_id))
