"""Log replication (section 5.3): proposals, AppendEntries, its answers, and what commits.

Figure 2, AppendEntries RPC and Rules for Servers / Leaders; etcd raft.go, `maybeSendAppend`,
`handleAppendEntries`, `stepLeader` MsgProp, MsgAppResp, MsgHeartbeatResp, MsgUnreachable. How fast a member is sent
entries is the business of its record, `progress.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from swarmsim.raft.heartbeat import Heartbeats
from swarmsim.raft.messages import (
    NONE,
    AppendEntries,
    AppendEntriesResponse,
    Entry,
    HeartbeatResponse,
    ProposalDropped,
    Propose,
    TimeoutNow,
    Unreachable,
    payload_size,
)
from swarmsim.raft.progress import PROBE, REPLICATE, Progress


class Replication(Heartbeats):
    __slots__ = ()

    # -- proposals --
    def handle_propose(self, m: Propose) -> None:
        """Leaders: "command received from client: append entry to local log" (Figure 2)."""
        assert m.entries, "a proposal without entries"
        if self.id not in self.progress:
            raise ProposalDropped("this leader has been removed from the configuration")
        if self.lead_transferee != NONE:
            raise ProposalDropped(f"leadership is being transferred to {self.lead_transferee}")
        first = self.log.last_index + 1
        admitted = [self.admit(entry, index) for index, entry in enumerate(m.entries, first)]
        if not self.append_as_leader(admitted):
            raise ProposalDropped("too much is uncommitted already")
        self.broadcast_append()

    def forward_proposal(self, m: Propose) -> None:
        """Followers: "if a client contacts a follower, the follower redirects it to the leader" (section 5.1)."""
        if self.leader_id == NONE:
            raise ProposalDropped("no leader is known")
        if self.config.disable_proposal_forwarding:
            raise ProposalDropped("this server does not forward proposals")
        self.send(m._replace(src=m.src or self.id, dst=self.leader_id))

    def refuse_proposal(self, m: Propose) -> None:
        """Candidates know no leader."""
        raise ProposalDropped("there is no leader, an election is going on")

    def exceeds_uncommitted_limit(self, size: int) -> bool:
        """etcd: `increaseUncommittedSize`. A first large proposal passes, and empty entries always do."""
        limit = self.config.max_uncommitted_size
        return limit > 0 and self.uncommitted_size > 0 and size > 0 and self.uncommitted_size + size > limit

    def append_as_leader(self, proposed: Sequence[Entry]) -> bool:
        """Number the entries and append them; the leader acknowledges its own entries when they are durable."""
        size = payload_size(proposed)
        if self.exceeds_uncommitted_limit(size):
            return False
        self.uncommitted_size += size
        term, index = self.current_term, self.log.last_index
        entries = []
        for entry in proposed:
            index += 1
            entries.append(Entry(term, index, entry.type, entry.data, entry.size))
        self.log.append(entries)
        self.send_after_append(AppendEntriesResponse(self.id, self.id, term, index))
        return True

    # -- the leader sends --
    def broadcast_append(self) -> None:
        """AppendEntries to all, empty ones too: they carry the commit index."""
        for peer, record in self.peers:
            self.send_append(peer, record)

    def send_append(self, dst: int, record: Progress, even_if_empty: bool = True) -> bool:
        """Send what the peer lacks, if its record lets us; true if a message left (etcd: `maybeSendAppend`)."""
        if record.is_paused():
            return False
        log = self.log
        prev_index = record.next_index - 1
        prev_term = log.term(prev_index)
        if prev_term is None:
            return self.send_snapshot(dst, record)  # compacted
        entries: list[Entry] = []
        # With a full window only empty messages go: one of them finds out if all in flight was lost.
        if prev_index < log.last_index and not (record.state is REPLICATE and record.inflights.full()):
            entries = log.entries_from(prev_index + 1, self.config.max_size_per_msg)
        if not entries and not even_if_empty:
            return False
        self.send(
            AppendEntries(self.id, dst, self.current_term, prev_index, prev_term, tuple(entries), log.commit_index)
        )
        record.sent_entries(len(entries), payload_size(entries))
        record.sent_commit = log.commit_index
        return True

    # -- the follower --
    def log_matches(self, prev_log_index: int, prev_log_term: int) -> bool:
        """AppendEntries rule 2: the log matching test (section 5.3)."""
        return self.log.matches(prev_log_index, prev_log_term)

    def handle_append_entries(self, m: AppendEntries) -> None:
        """Figure 2, AppendEntries RPC, Receiver implementation; rule 1 is in `raft.py`, the term gate."""
        self.election_elapsed = 0
        self.leader_id = m.src
        if m.prev_log_index < self.log.commit_index:
            # An old message: what is committed needs no test.
            answer = AppendEntriesResponse(self.id, m.src, self.current_term, self.log.commit_index)
        elif self.log_matches(m.prev_log_index, m.prev_log_term):
            answer = AppendEntriesResponse(self.id, m.src, self.current_term, self.append_as_follower(m))
        else:
            hint = min(m.prev_log_index, self.log.last_index)
            hint, hint_term = self.log.find_conflict_by_term(hint, m.prev_log_term)
            answer = AppendEntriesResponse(self.id, m.src, self.current_term, m.prev_log_index, False, hint, hint_term)
        self.send_after_append(answer)

    def append_as_follower(self, m: AppendEntries) -> int:
        """AppendEntries rules 3 to 5; returns the index of the last new entry."""
        new = self.entries_to_append(m)
        if new:
            self.log.append(new)
        last_new = m.prev_log_index + len(m.entries)
        self.log.commit_to(self.commit_after_append(m, last_new))
        return last_new

    def entries_to_append(self, m: AppendEntries) -> Sequence[Entry]:
        """AppendEntries rules 3 and 4: from the first entry on that conflicts or is new.

        A log that holds all the entries already is not cut: the message may be old, and later ones acknowledged.
        """
        return m.entries[self.log.first_new(m.entries) :]

    def commit_after_append(self, m: AppendEntries, last_new: int) -> int:
        """AppendEntries rule 5: min(leaderCommit, index of last new entry). What lies beyond was never compared."""
        return min(m.leader_commit, last_new)

    # -- the leader hears --
    def handle_append_response(self, m: AppendEntriesResponse) -> None:
        """Figure 2, Leaders: on success update nextIndex and matchIndex, on failure decrement and retry."""
        record = self.progress.get(m.src)
        if record is None:
            return
        record.recent_active = True
        if m.success:
            # A probe that learns nothing new has found the place where the logs agree.
            if record.maybe_update(m.index) or (record.state is PROBE and m.index == record.match_index):
                self.advance_peer(m, record)
        elif record.maybe_decrement(m.index, self.probe_hint(m)):
            if record.state is REPLICATE:
                record.become_probe()
            self.send_append(m.src, record)

    def probe_hint(self, m: AppendEntriesResponse) -> int:
        """Where the logs can agree at best, given the follower's hint: one probe per term (section 5.3)."""
        if m.log_term > 0:
            return self.log.find_conflict_by_term(m.reject_hint, m.log_term)[0]
        return m.reject_hint

    def advance_peer(self, m: AppendEntriesResponse, record: Progress) -> None:
        """The peer's log is known to reach further: resume streaming, commit, send on (etcd, MsgAppResp)."""
        if record.state is REPLICATE:
            record.inflights.free_up_to(m.index)
        elif record.state is PROBE:
            record.become_replicate()
        elif record.match_index + 1 >= self.log.first_index:
            # Out of SNAPSHOT as soon as our log continues the peer's, whichever snapshot brought it there.
            record.become_probe()
            record.become_replicate()
        if self.maybe_commit():
            self.release_postponed_reads()
            self.broadcast_append()
        elif m.src != self.id and record.can_bump_commit(self.log.commit_index):
            self.send_append(m.src, record)
        if m.src == self.id:
            return
        while self.send_append(m.src, record, even_if_empty=False):
            pass
        if m.src == self.lead_transferee and record.match_index == self.log.last_index:
            self.send(TimeoutNow(self.id, m.src, self.current_term))

    def may_commit(self, index: int) -> bool:
        """Only entries of the leader's own term are committed by counting (section 5.4.2, Figure 8)."""
        return self.log.term(index) == self.current_term

    def maybe_commit(self) -> bool:
        """Figure 2, Leaders: if a majority holds N > commitIndex of the own term, set commitIndex = N."""
        index = self.quorum_committed()
        if index <= self.log.commit_index or not self.may_commit(index):
            return False
        self.log.commit_to(index)
        return True

    def handle_heartbeat_response(self, m: HeartbeatResponse) -> None:
        """The peer is there: let a paused one have a message again, confirm reads."""
        record = self.progress.get(m.src)
        if record is None:
            return
        record.recent_active = True
        record.paused = False
        if record.match_index < self.log.last_index or record.state is PROBE:
            self.send_append(m.src, record)
        if m.context:
            self.acknowledge_reads(m)

    def handle_unreachable(self, m: Unreachable) -> None:
        """A message was lost, and so perhaps all that followed it: find out where the peer is."""
        record = self.progress.get(m.src)
        if record is not None and record.state is REPLICATE:
            record.become_probe()
