"""RaftNode: what arrives at a Raft member, and what it is asked to propose."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any

from ...api.messages import (
    Doze,
    Forwarded,
    JoinRequest,
    KeepAlive,
    LeaveRequest,
    MemberRemoved,
    RaftEnvelope,
    TransferLeadership,
    WakeUp,
)
from ...errors import ApiError, LeadershipLost
from ...machine import SECOND, Address, Call, Disturbed, Handler, Micros, Outbox
from ...raft.membership import ConfChange
from ...raft.messages import NONE, Propose, RaftError, RequestVote
from ...store.actions import Proposal
from ...trace.events import LogRepaired, RaftRestarted, SnapshotBroken
from .experiments import REQUESTS
from .ready import ReadyLoop
from .state import recover
from .storage import Recovered

HEALTH_CHECK: Micros = 2 * SECOND


class RaftNode(ReadyLoop):
    # -- start --
    def on_start(self, saved: Mapping[Any, Any], out: Outbox) -> Handler:
        """`saved` was read already: it is `storage` that knows what the disk holds."""
        self._out = out
        self.now = out.now
        found = self.storage.recovered
        self._tell_damage(found, out)
        if not self.storage.segments:
            out.save(self.storage.create(self.id))
        self.raw = self.formed or recover(found, self.id, out.rng, self.spec, self.without)
        if found.snapshot is not None:
            self._take_over(found.snapshot)
        elif self.first and found.blank:
            self.raw.bootstrap(list(self.group.members.items()))
        self._seen = self._situation()
        hard = found.hard_state
        voted = self.group.host(hard.voted_for)
        self._voted = (hard.current_term, hard.voted_for)  # told by this
        log = self.raw.log
        out.emit(RaftRestarted(self.node, hard.current_term, voted, hard.commit_index, log.last_index, log.last_term()))
        out.set_timer("tick", 1 + int(out.rng.random() * self.tick))
        if self.formed is not None:
            self.store.index = self.raw.commit_index
            if self.is_raft_leader:
                self.signalled = True
                self.proposer.gained()
        self._pump(out)
        return None

    def _tell_damage(self, found: Recovered, out: Outbox) -> None:
        for index in found.broken:
            out.emit(SnapshotBroken(self.node, index))
        if found.torn:
            out.emit(LogRepaired(self.node, found.torn))

    # -- stimuli --
    def on_timer(self, name: Any, out: Outbox) -> Handler:
        if self._pumping:
            self._owed_tick = True
        else:
            self._tick(out)
            self._pump(out)
        self._last_tick = out.now
        if self._settled(out):
            self._doze(out)
        else:
            out.set_timer("tick", self.tick)
        return None

    def on_message(self, src: Address, message: Any, out: Outbox) -> Handler:
        if type(message) is Disturbed:
            if self._dozing_since is not None and not out.quiet(*self.members()):
                self._wake(out)
            return None
        if type(message) is Doze:
            self._told_to_doze(src, message, out)
            return None
        if type(message) is WakeUp:
            if self._dozing_since is not None:
                self._wake(out)
            return None
        if type(message) is MemberRemoved:
            self._was_removed(out)
            return None
        rpc = message.message
        if rpc.dst != self.id:  # meant for a member that this host was, before it lost its disk (C-020)
            out.count("raft message for another member")
            return None
        self.now = out.now
        if rpc.src in self.group.removed:
            out.send(src, MemberRemoved())
            return None
        self._heard[rpc.src] = out.now
        if self._lost:
            self._lost.pop(rpc.src, None)
        kind = type(rpc)
        if kind is RequestVote and self.asks_candidates:
            if rpc.src in self.group.members:
                out.start(self._check_candidate(src, rpc, out))
            return None
        if kind is not Propose:  # SwarmKit drops proposals that a follower forwards
            self._step(rpc, out)
        return None

    def _step(self, rpc: Any, out: Outbox) -> None:
        try:
            self.raw.step(rpc)
        except RaftError:
            out.count("raft message refused")
        self._pump(out)

    def _check_candidate(self, src: Address, rpc: Any, out: Outbox) -> Generator[Any, Any, None]:
        """A vote request counts only if its sender answers a health check within 2 s (raft.go `ProcessRaftMessage`)."""
        cause = out.cause
        try:
            yield out.call(src, KeepAlive(), HEALTH_CHECK)
        except ApiError:
            return
        self.now = out.now
        out.cause = max(cause, out.cause)
        self._step(rpc, out)

    def on_lost(self, node: str, out: Outbox) -> Handler:
        """The transport to a peer broke; the core hears that it is unreachable (transport/peer.go)."""
        id = self.group.find(node)
        if id not in (NONE, self.id):
            self._lost[id] = None
            self.raw.report_unreachable(id)
        self._pump(out)
        return None

    def on_call(self, call: Call, out: Outbox) -> Handler:
        request = call.request.request if type(call.request) is Forwarded else call.request
        if type(request) is KeepAlive:
            out.reply(call, True)
        elif type(request) is RaftEnvelope:  # a snapshot, whose sender wants to know that it arrived
            self.on_message(call.src, request, out)
            out.reply(call, True)
        elif type(request) in (JoinRequest, LeaveRequest, TransferLeadership):
            self.now = out.now
            self.group.serve(call, request, out)
        elif type(request) in REQUESTS:
            self._asked(call, request, out)
        else:
            out.fail(call, ApiError("Unimplemented", f"unknown method {type(request).__name__}"))
        return None

    def _asked(self, call: Call, request: Any, out: Outbox) -> None:
        try:
            self._experiment(call, request, out)
        except ApiError as error:
            out.fail(call, error)

    # -- proposals --
    def _propose(self, proposal: Proposal, cause: int, on_commit: Callable[[int], None]) -> None:
        """Called by the proposer, from whichever machine holds the store's lock."""
        out = self._out
        self.now = out.now = max(self.now, proposal.actions[0].new.updated_at)
        self._waiting[id(proposal)] = (proposal, on_commit)
        before, out.cause = out.cause, cause
        try:
            self.raw.propose(proposal, size=64 * len(proposal.actions))
        except RaftError:
            del self._waiting[id(proposal)]
            raise LeadershipLost from None
        if self._pumping:
            self._next_cause = cause
        else:
            self._pump(out)
        out.cause = before

    # -- membership --
    def propose_change(self, change: ConfChange, out: Outbox) -> None:
        self.now = out.now
        try:
            self.raw.propose_conf_change(change, size=64)
        except RaftError:
            raise LeadershipLost from None
        self._pump(out)

    def transfer(self, to: int, out: Outbox) -> None:
        self._ask(lambda raw: raw.transfer_leader(to), out)
