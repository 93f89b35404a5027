"""The Ready loop: persist, hand over if the store is wedged, send, apply, advance (raft.go `Run`).

What arrives during a persist is stepped at once and joins the next Ready; of the ticks that fall into it one is kept.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from ...api.messages import LeadershipChanged, ManagerFailed, RaftEnvelope
from ...errors import ApiError
from ...machine import DATAGRAM, SECOND, Address, DiskFull, Micros, Outbox
from ...raft.messages import NONE, EntryType, InstallSnapshot, RequestVoteResponse, Snapshot
from ...raft.state import LEADER
from ...trace.events import EntriesAppended, StoreWedged, VoteGranted, VoteRefused
from .experiments import Experiments

#: raft.go `Run`, `transferLeadershipLimit`.
HAND_OVER_PAUSE: Micros = 60 * SECOND
#: raft.go `SendTimeout`: a message that gets no further for this long has failed.
SEND_TIMEOUT: Micros = 2 * SECOND


class ReadyLoop(Experiments):
    # -- Ready --
    def _pump(self, out: Outbox) -> None:
        """Work off what the core has ready; a flush is waited for beside, so that messages go on being stepped.

        What applying brings about (the next proposal, when one is committed) joins the next Ready.
        """
        if self._pumping:
            return
        self._observe(out)
        raw = self.raw
        while raw.has_ready():
            if self._next_cause:
                out.cause, self._next_cause = self._next_cause, 0
            self._pumping = True
            ready = raw.ready()
            writes = self._writes(ready)
            if writes:
                if not raw.persists_before_sending():
                    self._send(ready, out)
                out.start(self._flush(ready, writes, out))
                return
            self._hand_over_if_wedged(out)
            self._send(ready, out)
            self._after_persist(ready, out)
            self._pumping = False
        self._campaign_at_once(out)

    def _campaign_at_once(self, out: Outbox) -> None:
        """A member that is alone after its start need not wait for a timeout (raft.go `Run`)."""
        raw = self.raw
        alone = self._campaign_when_able and list(raw.progress) == [self.id] and raw.leader_id == NONE
        if alone and raw.last_applied >= raw.commit_index:
            self._campaign_when_able = False
            raw.campaign()
            self._pump(out)

    def _flush(self, ready: Any, writes: dict[Any, Any], out: Outbox) -> Generator[Any, Any, None]:
        try:
            yield out.persist(writes)
        except DiskFull as error:
            # The loop ends, and with it the manager (raft.go `Run`, manager.go): nothing of this Ready is sent.
            out.tell("node", ManagerFailed(f"failed to save entries to storage: {error}"))
            return
        self.now = out.now
        self._persisted(ready, out)
        self._hand_over_if_wedged(out)
        if self.raw.persists_before_sending():
            self._send(ready, out)
        self._after_persist(ready, out)
        self._pumping = False
        if self._owed_tick:
            self._owed_tick = False
            self._tick(out)
        self._pump(out)

    def _writes(self, ready: Any) -> dict[Any, Any]:
        """What of a Ready must be on the disk. A new commit index alone needs no flush (etcd `MustSync`)."""
        self._unwritten = ready.hard_state or self._unwritten
        if not (ready.entries or ready.snapshot is not None or ready.must_sync):
            return {}
        hard, self._unwritten = self._unwritten, None
        keep = self.settings().keep_old_snapshots if ready.snapshot is not None else 0
        return self.storage.save(ready.snapshot, ready.entries, hard, keep)

    def _persisted(self, ready: Any, out: Outbox) -> None:
        """Facts that hold now that they are durable."""
        if ready.entries:
            terms = tuple(entry.term for entry in ready.entries)
            out.emit(EntriesAppended(self.node, self.raw.current_term, ready.entries[0].index, terms))
        hard = ready.hard_state
        if hard is not None and hard.voted_for and (hard.current_term, hard.voted_for) != self._voted:
            self._voted = (hard.current_term, hard.voted_for)
            out.emit(VoteGranted(self.node, hard.current_term, self.group.host(hard.voted_for)))

    def _send(self, ready: Any, out: Outbox) -> None:
        for rpc in ready.messages:
            host = self.group.host(rpc.dst)
            if not host:
                continue
            if type(rpc) is RequestVoteResponse and not rpc.vote_granted:
                self._tell_refusal(rpc, host, out)
            if type(rpc) is InstallSnapshot:
                out.start(self._send_snapshot(Address(host, "raft"), rpc, out))
            else:
                out.send(Address(host, "raft"), RaftEnvelope(rpc), self.transport)

    def _tell_refusal(self, rpc: RequestVoteResponse, candidate: str, out: Outbox) -> None:
        raw = self.raw
        if rpc.term != raw.current_term:
            return  # a term further by now: why it said no is forgotten
        if raw.voted_for not in (NONE, rpc.dst):
            whom = "itself" if raw.voted_for == self.id else self.group.host(raw.voted_for)
            why = f"voted for {whom}"
        else:
            why = f"its log ends with index {raw.log.last_index} of term {raw.log.last_term()}"
        out.emit(VoteRefused(self.node, rpc.term, candidate, why))

    def _send_snapshot(self, dst: Address, rpc: InstallSnapshot, out: Outbox) -> Generator[Any, Any, None]:
        """The core hears whether it arrived; else, if it was lost, it would wait for its answer for ever.

        transport/peer.go `sendProcessMessage`. A datagram is not answered: it counts as lost unless Raft's answer came.
        """
        envelope = RaftEnvelope(self._current(rpc))
        arrived = False
        if self.transport is DATAGRAM:
            out.send(dst, envelope, DATAGRAM)
            yield out.sleep(SEND_TIMEOUT)
        else:
            try:
                yield out.call(dst, envelope, SEND_TIMEOUT)
                arrived = True
            except ApiError:
                pass
        self.now = out.now
        self.raw.report_snapshot(rpc.dst, arrived)
        self._pump(out)

    def _after_persist(self, ready: Any, out: Outbox) -> None:
        if ready.snapshot is not None:
            self._install(ready.snapshot, out)
        soft = ready.soft_state
        if self.signalled and soft is not None and soft.role is not LEADER:
            self._lose_leadership(out)
        if ready.committed_entries:
            self._apply(ready.committed_entries, out)
            self._compact(out)
        if ready.read_states:
            self._reads_answered(ready.read_states, out)
        if not self._ticks_compared:
            self._compare_ticks(out)
        self.raw.advance()
        self._observe(out)
        if self.is_raft_leader and not self.signalled and self.store.index >= self.raw.log.last_index:
            self.signalled = True
            self.proposer.gained()
            out.send(Address(self.node, "manager"), LeadershipChanged(True, self.raw.current_term))

    def _current(self, rpc: InstallSnapshot) -> InstallSnapshot:
        """A snapshot leaves with the configuration of now: a newcomer must find itself in it (raft.go `Run`).

        Who then enters a joint configuration for a second time panics. So where one is in the log, the whole snapshot
        is made anew, as etcd's server does for each (server.go `createMergedSnapshotMessage`).
        """
        snapshot, applied = rpc.snapshot, self.raw.last_applied
        since = self.raw.log.slice(snapshot.index + 1, applied + 1)
        if any(entry.type is EntryType.CONF_CHANGE_V2 for entry in since):
            term = self.raw.log.term(applied)
            snapshot = Snapshot(applied, term or 0, self.raw.conf, (self.store.save(), self.group.save()))
        return rpc._replace(snapshot=snapshot._replace(conf_state=self.raw.conf))

    def _hand_over_if_wedged(self, out: Outbox) -> None:
        """One transaction has held the store's lock for too long: another leader gets by without it (raft.go `Run`).

        At most once a minute; without an active peer that time is used up, too.
        """
        if self.raw.role is not LEADER or not self.proposer.wedged(out.now) or out.now < self._may_hand_over_at:
            return
        self._may_hand_over_at = out.now + HAND_OVER_PAUSE
        peer = self.group.pick_active(out)
        host = self.group.host(peer)
        out.emit(StoreWedged(self.node, self.raw.current_term, host))
        if host:
            self.raw.transfer_leader(peer)

    def _lose_leadership(self, out: Outbox) -> None:
        """Every waiting proposal is cancelled, before committed entries are applied; it may commit all the same."""
        self.signalled = False
        self._waiting.clear()
        self.group.lost_leadership(out)
        self.proposer.lost()
        out.send(Address(self.node, "manager"), LeadershipChanged(False, self.raw.current_term))
