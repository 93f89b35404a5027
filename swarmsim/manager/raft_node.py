"""A manager's Raft member: turns one Ready after another into persist, send, apply, advance.

SwarmKit manager/state/raft/raft.go `Run`; reference/cluster.md 2.1. The core (`raft`) decides; this file makes it
durable, sends what it says, applies what is committed to the store, and tells the manager when leadership is gained
(the whole log is applied) and lost (before anything else is applied). What arrives during a persist is stepped at once
and joins the next Ready; of the ticks that fall into it one is kept.

Leaves out: encryption of the write-ahead log, chunked snapshots, automatic address changes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Protocol

from ..api.messages import (
    Committed,
    Doze,
    Forwarded,
    JoinRequest,
    KeepAlive,
    LeadershipChanged,
    LeaveRequest,
    ManagerFailed,
    MemberRemoved,
    MembersChanged,
    RaftEnvelope,
    RemovedFromRaft,
    TransferLeadership,
    WakeUp,
)
from ..api.specs import ClusterSpec
from ..errors import ApiError, LeadershipLost
from ..machine import SECOND, Address, Call, DiskFull, Disturbed, Handler, Machine, Micros, Outbox
from ..raft.ablation import core
from ..raft.config import swarmkit
from ..raft.dialects import dialect
from ..raft.membership import ConfChange, ConfChangeType
from ..raft.messages import (
    NONE,
    ConfState,
    Entry,
    EntryType,
    HardState,
    InstallSnapshot,
    Propose,
    RaftError,
    RequestVote,
    Snapshot,
)
from ..raft.raft import RawNode
from ..raft.state import LEADER
from ..store.actions import Action, Change, Proposal
from ..store.chronicle import Chronicle
from ..store.memory_store import MemoryStore
from ..trace.events import (
    BecameCandidate,
    BecameFollower,
    BecameLeader,
    BecamePreCandidate,
    EntriesAppended,
    EntriesApplied,
    MembershipChanged,
    RaftRestarted,
    SnapshotInstalled,
    SteppedDown,
    VoteGranted,
)
from .component import WATCHES
from .membership import Group, Member, Membership
from .proposer import Proposer

HEALTH_CHECK: Micros = 2 * SECOND
#: A peer that has not been heard for this long counts as inactive in the transport (a send times out after 2 s).
INACTIVE_AFTER: Micros = 3 * SECOND


class Disk(Protocol):
    def preload(self, machine: str, content: Mapping[Any, Any]) -> None: ...


class Host(Protocol):
    """What `form` needs of a host: its disk, and the random stream of its Raft member."""

    @property
    def disk(self) -> Disk: ...

    def stream(self, machine: str) -> Any: ...


class RaftNode(Machine):
    """`id` is its own Raft id, `members` those it was told of when it joined; what its disk holds says more.

    `formed`: the core of a cluster that is handed over. `first`: it begins a cluster of its own (`swarm init`).
    """

    def __init__(
        self,
        node: str,
        id: int,
        members: Iterable[tuple[int, Member]],
        store: MemoryStore,
        chronicle: Chronicle,
        spec: ClusterSpec,
        formed: RawNode | None = None,
        first: bool = False,
        without: tuple[str, ...] = (),
    ) -> None:
        self.node = node
        self.without = without  # rules of Raft that are off
        self.id = id
        self.first = first
        self.group = Membership(self, members)
        self.store = store
        self.chronicle = chronicle
        self.spec = spec
        self.tick: Micros = spec.raft.tick
        self.asks_candidates = spec.raft.rules == "swarmkit"  # whether they are healthy
        self.proposer = Proposer(store, self._propose, lambda: self.now)
        self.watches = dict(WATCHES)  # what the components of this manager watch
        self.now: Micros = 0
        self.ticks_without_leader = 0
        self.signalled = False  # leadership gained and told
        self.formed = formed
        self.raw: RawNode = None  # type: ignore[assignment]  # made by on_start, from the disk
        self._out: Outbox = None  # type: ignore[assignment]
        self._pumping = False
        self._next_cause = 0  # of a proposal made while a Ready was worked off
        self._owed_tick = False
        self._last_tick: Micros = 0
        self._dozing_since: Micros | None = None  # the last tick that took place
        self._put_to_sleep: tuple[str, ...] = ()
        self._waiting: dict[int, tuple[Proposal, Callable[[int], None]]] = {}
        self._heard: dict[int, Micros] = {}
        self._lost: dict[int, None] = {}
        self._seen: tuple[Any, int, int] = (None, 0, 0)
        self._snapshot_index = 0
        self._campaign_when_able = formed is None  # raft.go: a member that is alone need not wait for its timeout
        self._belongs = formed is not None  # a newcomer replays how the group became what it joined
        self._removed = False

    # -- start --
    def on_start(self, saved: Mapping[Any, Any], out: Outbox) -> Handler:
        self._out = out
        self.now = out.now
        self.raw = self.formed or recover(saved, self.id, out.rng, self.spec, self.without)
        snapshot: Snapshot | None = saved.get("snapshot")
        if snapshot is not None:
            self._take_over(snapshot)
        elif self.first and not saved:
            self.raw.bootstrap(list(self.group.members.items()))
        self._seen = self._situation()
        hard: HardState = saved.get("hard_state", HardState())
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

    # -- what others ask --
    @property
    def term(self) -> int:
        return self.raw.current_term

    @property
    def is_raft_leader(self) -> bool:
        return self.raw.role is LEADER

    @property
    def is_leader(self) -> bool:
        return self.signalled

    def leader_host(self) -> str:
        """The leader as this member knows it; "" when it knows none or its transport to it is inactive."""
        leader = self.raw.leader_id
        if leader == self.id:
            return self.node if self.signalled else ""
        if not leader or not self.is_active(leader):
            return ""
        return self.group.host(leader)

    def members(self) -> tuple[str, ...]:
        """The hosts of all members."""
        return self.group.hosts()

    def can_remove(self, host: str) -> bool:
        return self.group.can_remove(host)

    def is_active(self, id: int) -> bool:
        """Could the transport reach that peer lately? While all is quiet it could."""
        if id in self._lost:
            return False
        return self._dozing_since is not None or self.now - self._heard.get(id, self.now) <= INACTIVE_AFTER

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

    # -- healthy heartbeats are skipped: while no fault can touch them their outcome is certain --
    # The leader says when: it puts its followers to sleep, and wakes them when it has reason to (it leads no more, the
    # group changes). What changes the network wakes them all.
    def _settled(self, out: Outbox) -> bool:
        if self._pumping or not (self.is_raft_leader and self.signalled and self._all_caught_up()):
            return False
        return out.quiet(*self.members())

    def _doze(self, out: Outbox) -> None:
        self._dozing_since = self._last_tick
        out.cancel_timer("tick")
        if self.is_raft_leader:
            self._put_to_sleep = tuple(host for host in self.members() if host != self.node)
            for host in self._put_to_sleep:
                out.send(Address(host, "raft"), Doze(self.raw.current_term))

    def _told_to_doze(self, src: Address, message: Doze, out: Outbox) -> None:
        leader = self.group.find(src.node)
        same = self.raw.leader_id == leader and self.raw.current_term == message.term
        if same and self._dozing_since is None and not self._pumping and out.quiet(*self.members()):
            self._heard[leader] = out.now
            self._doze(out)

    def _all_caught_up(self) -> bool:
        """Has every member the whole log? A newcomer that has not needs the ticks."""
        last = self.raw.log.last_index
        return all(record.match_index == last for record in self.raw.progress.values())

    def _wake(self, out: Outbox) -> None:
        """Ticks matter again: put the core where it would be had every tick and heartbeat taken place."""
        assert self._dozing_since is not None, "awake already"
        since, self._dozing_since = self._dozing_since, None
        for host in self._put_to_sleep:
            out.send(Address(host, "raft"), WakeUp())
        self._put_to_sleep = ()
        tick = self.tick
        missed = (out.now - since) // tick
        leader = self.raw.leader_id
        beat = tick * self.spec.heartbeat_tick
        if leader == self.id:
            skip_healthy_ticks(self.raw, missed, 0)
            for id in self.raw.progress:
                self._heard[id] = max(self._heard.get(id, 0), since + missed * tick // beat * beat)
        elif leader:
            heard = self._heard[leader]
            heard += (out.now - heard) // beat * beat
            self._heard[leader] = heard
            skip_healthy_ticks(self.raw, missed, missed - max(heard - since, 0) // tick)
        out.set_timer("tick", since + (missed + 1) * tick - out.now)

    def _tick(self, out: Outbox) -> None:
        self.now = out.now
        leader = self.raw.leader_id
        self.ticks_without_leader = 0 if leader else self.ticks_without_leader + 1
        self.raw.tick()
        if leader and leader not in (self.id, self.raw.leader_id):
            # The election timeout ran out: what silenced the leader is the cause of all that follows.
            out.blame(self.group.host(leader), self._heard.get(leader, 0))

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
        elif type(request) in (JoinRequest, LeaveRequest, TransferLeadership):
            self.now = out.now
            self.group.serve(call, request, out)
        else:
            out.fail(call, ApiError("Unimplemented", f"unknown method {type(request).__name__}"))
        return None

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
        if self.raw.persists_before_sending():
            self._send(ready, out)
        self._after_persist(ready, out)
        self._pumping = False
        if self._owed_tick:
            self._owed_tick = False
            self._tick(out)
        self._pump(out)

    def _writes(self, ready: Any) -> dict[Any, Any]:
        """The write-ahead log as keys: whatever an entry overwrites, its followers in the log are void."""
        writes: dict[Any, Any] = {}
        if ready.snapshot is not None:
            writes["snapshot"] = ready.snapshot
            writes["last"] = ready.snapshot.index
        for entry in ready.entries:
            writes[entry.index] = entry
        if ready.entries:
            writes["last"] = ready.entries[-1].index
        # A new commit index alone needs no flush (etcd `MustSync`): it goes along with the next one.
        self._unwritten = ready.hard_state or self._unwritten
        if self._unwritten is not None and (writes or ready.must_sync):
            writes["hard_state"], self._unwritten = self._unwritten, None
        return writes

    def _persisted(self, ready: Any, out: Outbox) -> None:
        """Facts that hold now that they are durable."""
        if ready.entries:
            terms = tuple(entry.term for entry in ready.entries)
            out.emit(EntriesAppended(self.node, self.raw.current_term, ready.entries[0].index, terms))
        hard = ready.hard_state
        if hard is not None and hard.voted_for and (hard.current_term, hard.voted_for) != self._voted:
            self._voted = (hard.current_term, hard.voted_for)
            out.emit(VoteGranted(self.node, hard.current_term, self.group.host(hard.voted_for)))

    _voted: tuple[int, int] = (0, 0)
    _unwritten: HardState | None = None

    def _send(self, ready: Any, out: Outbox) -> None:
        for rpc in ready.messages:
            host = self.group.host(rpc.dst)
            if host:
                out.send(Address(host, "raft"), RaftEnvelope(self._current(rpc)))

    def _after_persist(self, ready: Any, out: Outbox) -> None:
        if ready.snapshot is not None:
            self._install(ready.snapshot, out)
        if self.signalled and not self.is_raft_leader:
            self._lose_leadership(out)
        if ready.committed_entries:
            self._apply(ready.committed_entries, out)
            self._compact(out)
        self.raw.advance()
        self._observe(out)
        if self.is_raft_leader and not self.signalled and self.store.index >= self.raw.log.last_index:
            self.signalled = True
            self.proposer.gained()
            out.send(Address(self.node, "manager"), LeadershipChanged(True, self.raw.current_term))

    def _current(self, rpc: Any) -> Any:
        """A snapshot leaves with the configuration of now: a newcomer must find itself in it (raft.go `Run`)."""
        if type(rpc) is not InstallSnapshot:
            return rpc
        return rpc._replace(snapshot=rpc.snapshot._replace(conf_state=self.raw.conf))

    def _lose_leadership(self, out: Outbox) -> None:
        """Every waiting proposal is cancelled, before committed entries are applied; it may commit all the same."""
        self.signalled = False
        self._waiting.clear()
        self.group.lost_leadership(out)
        self.proposer.lost()
        out.send(Address(self.node, "manager"), LeadershipChanged(False, self.raw.current_term))

    # -- applying --
    def _install(self, snapshot: Snapshot, out: Outbox) -> None:
        changes = self._take_over(snapshot)
        out.emit(SnapshotInstalled(self.node, snapshot.index, snapshot.term))
        self._publish(snapshot.index, changes, out)

    def _take_over(self, snapshot: Snapshot) -> list[Change]:
        """The store and the group become what the snapshot holds."""
        content, group = snapshot.data
        self.group.restore(group)
        self._belongs = self.id in self.group.members
        self._snapshot_index = snapshot.index
        return self.store.restore(content)

    def _apply(self, entries: Any, out: Outbox) -> None:
        terms = tuple(entry.term for entry in entries)
        cause = out.cause
        out.emit(EntriesApplied(self.node, self.raw.current_term, entries[0].index, terms))
        for entry in entries:
            out.cause = cause
            if entry.type is not EntryType.NORMAL:
                self._apply_membership(entry, out)
            elif type(entry.data) is Proposal:
                self._apply_proposal(entry, out)
            self.store.index = entry.index
        out.cause = cause

    def _apply_proposal(self, entry: Entry, out: Outbox) -> None:
        proposal: Proposal = entry.data
        changes = self.store.apply(proposal.actions, entry.index)
        changes = self.chronicle.tell(out, entry.index, changes, proposal.component)
        waiting = self._waiting.pop(id(proposal), None)
        if waiting is not None:
            waiting[1](out.cause)
        if self.signalled:
            self._publish(entry.index, changes, out)

    def _publish(self, index: int, changes: list[Change], out: Outbox) -> None:
        """One message for each component that watches a kind that changed."""
        kinds = {type(change.new) for change in changes}
        message = Committed(index, tuple(changes))
        for name, watched in self.watches.items():
            if not kinds.isdisjoint(watched):
                out.tell(name, message)

    def _compact(self, out: Outbox) -> None:
        """A snapshot every `snapshot_interval` entries, keeping some for slow followers (raft.go `doSnapshot`)."""
        applied = self.store.index
        if applied - self._snapshot_index < self.spec.snapshot_interval:
            return
        self._snapshot_index = applied
        snapshot = self.raw.create_snapshot(applied, self.raw.conf, (self.store.save(), self.group.save()))
        keep_from = applied - self.spec.log_entries_for_slow_followers
        first = self.raw.log.first_index
        if keep_from >= first:
            self.raw.compact(keep_from)
        writes: dict[Any, Any] = dict.fromkeys(range(first, max(keep_from, first - 1) + 1))
        writes["snapshot"] = snapshot
        out.save(writes)

    # -- membership --
    def propose_change(self, change: ConfChange, out: Outbox) -> None:
        self.now = out.now
        try:
            self.raw.propose_conf_change(change, size=64)
        except RaftError:
            raise LeadershipLost from None
        self._pump(out)

    def transfer(self, to: int, out: Outbox) -> None:
        if self._dozing_since is not None:
            self._wake(out)  # what follows must not be skipped
        self.raw.transfer_leader(to)
        self._pump(out)

    def _apply_membership(self, entry: Entry, out: Outbox) -> None:
        change: ConfChange | None = entry.data
        leader = self.raw.leader_id
        self.raw.apply_conf_change(change)
        self.group.apply(change)
        hosts = self.members()
        if change is not None and change.type is ConfChangeType.ADD_NODE and change.node_id == self.id:
            self._belongs = True
        if self._belongs:
            out.emit(MembershipChanged(self.node, entry.index, tuple(sorted(hosts))))
        self.group.applied(change, out)
        if self._dozing_since is not None:
            self._wake(out)
        if self.signalled:
            out.tell("dispatcher", MembersChanged(hosts))
        if change is None or change.type is not ConfChangeType.REMOVE_NODE:
            return
        if change.node_id == self.id:
            self._was_removed(out)
        elif change.node_id == leader:
            self.raw.campaign()  # refused by the core, for this very entry is not marked applied yet: a quirk

    def _was_removed(self, out: Outbox) -> None:
        """The manager of this node ends; its node decides what comes then."""
        if not self._removed:
            self._removed = True
            out.tell("node", RemovedFromRaft())

    # -- facts about roles --
    def _situation(self) -> tuple[Any, int, int]:
        raw = self.raw
        return (raw.role, raw.current_term, raw.leader_id)

    def _observe(self, out: Outbox) -> None:
        """Record a change of role, term or leader, once it has happened."""
        raw = self.raw
        role, term, leader = self._seen
        if raw.role is role and raw.current_term == term and raw.leader_id == leader:
            return
        self._seen = self._situation()
        if self._dozing_since is not None:
            self._wake(out)
        was_leader = role is not None and role.name == "LEADER"
        if was_leader and raw.role is not LEADER:
            why = "higher term" if raw.current_term > term else "no quorum heard in an election timeout"
            out.emit(SteppedDown(self.node, term, why))
        name = raw.role.name
        if name == "LEADER":
            out.emit(BecameLeader(self.node, raw.current_term))
        elif name == "CANDIDATE":
            out.emit(BecameCandidate(self.node, raw.current_term))
        elif name == "PRE_CANDIDATE":
            out.emit(BecamePreCandidate(self.node, raw.current_term))
        elif name == "FOLLOWER":
            out.emit(BecameFollower(self.node, raw.current_term, self.group.host(raw.leader_id)))


def recover(
    saved: Mapping[Any, Any], id: int, stream: Any, spec: ClusterSpec, without: tuple[str, ...] = ()
) -> RawNode:
    """A member from what its disk holds: snapshot, entries up to `last`, hard state."""
    snapshot: Snapshot | None = saved.get("snapshot")
    first = snapshot.index + 1 if snapshot else 1
    entries = [saved[i] for i in range(first, saved.get("last", 0) + 1)]
    own = spec.raft
    config = replace(
        swarmkit(id, stream, election_tick=spec.election_tick, heartbeat_tick=spec.heartbeat_tick),
        election_tick_most=own.election_tick_most,
        check_quorum=own.check_quorum,
        pre_vote=own.pre_vote,
    )
    make = _core(own.rules, own.candidate_ticks, own.backoff, without)
    return make(config, hard_state=saved.get("hard_state", HardState()), snapshot=snapshot, entries=entries)


@cache
def _core(
    rules: str, candidate_ticks: tuple[int, int] | None, backoff: bool, without: tuple[str, ...]
) -> type[RawNode]:
    """The class of a dialect's servers that lack the rules of Raft named in `without`."""
    spoken, careless = dialect(rules, candidate_ticks, backoff), core(without)
    if careless is RawNode or spoken is RawNode:
        return spoken if careless is RawNode else careless
    return type(careless.__name__, (careless, spoken), {"__slots__": ()})


def skip_healthy_ticks(raw: RawNode, ticks: int, since_heard: int) -> None:
    """Put a core where it would be after `ticks` ticks in which every heartbeat was sent, arrived and was answered.

    `since_heard`: how many of these a follower counted after the last heartbeat that it heard.
    """
    if raw.role is LEADER:
        raw.heartbeat_elapsed = (raw.heartbeat_elapsed + ticks) % raw.config.heartbeat_tick
        checks, raw.election_elapsed = divmod(raw.election_elapsed + ticks, raw.config.election_tick)
        for record in raw.progress.values():
            # CheckQuorum clears the mark, and the next answers set it again.
            record.recent_active = record.recent_active or ticks > 0
        if checks:
            raw.lead_transferee = NONE
    elif since_heard < ticks:
        raw.election_elapsed = since_heard
    else:
        raw.election_elapsed += ticks


#: The Raft term of the first leader of a cluster that is handed over formed.
FIRST_TERM = 1


def form(
    hosts: Mapping[str, Host],
    store: MemoryStore,
    actions: list[Action],
    spec: ClusterSpec,
    without: tuple[str, ...] = (),
) -> dict[str, RawNode]:
    """Make the Raft group of a formed cluster, the first host leading, by Raft itself but outside of simulated time.

    The store's content is the snapshot that all members begin with. Fills `store` and the hosts' disks.
    """
    ids = {name: i + 1 for i, name in enumerate(hosts)}
    store.apply(actions, 1)
    members = tuple((id, Member(name, name)) for name, id in ids.items())
    content = (store.save(), Group(members, ()))
    snapshot = Snapshot(1, FIRST_TERM, ConfState(tuple(ids.values())), content)
    disks: dict[str, dict[Any, Any]] = {
        name: {"snapshot": snapshot, "last": 1, "hard_state": HardState(FIRST_TERM, 0, 1)} for name in hosts
    }
    group = {name: recover(disks[name], ids[name], hosts[name].stream("raft"), spec, without) for name in hosts}
    leader = group[next(iter(hosts))]
    leader.campaign()
    _settle(group, disks)
    leader.heartbeat_elapsed = leader.election_elapsed = spec.heartbeat_tick - 1
    leader.tick()  # a heartbeat, so that all know what is committed
    _settle(group, disks)
    _lengthen(group, disks, leader, spec.raft.behind)
    for name, host in hosts.items():
        host.disk.preload("raft", disks[name])
    store.index = leader.commit_index
    return group


def _lengthen(
    group: Mapping[str, RawNode], disks: Mapping[str, dict[Any, Any]], leader: RawNode, behind: Mapping[str, int]
) -> None:
    """Give the log empty entries at its end, of which some members have not received the last so many."""
    for left in reversed(range(max(behind.values(), default=0))):
        leader.propose(None)
        _settle(group, disks, [name for name in group if behind.get(name, 0) > left])


def _settle(group: Mapping[str, RawNode], disks: Mapping[str, dict[Any, Any]], cut_off: Sequence[str] = ()) -> None:
    """Exchange messages until nobody has anything to say; what is sent to members that are cut off is lost."""
    by_id = {i + 1: name for i, name in enumerate(group)}
    messages: list[Any] = []
    while True:
        for name, raw in group.items():
            while raw.has_ready():
                ready = raw.ready()
                disk = disks[name]
                for entry in ready.entries:
                    disk[entry.index] = entry
                    disk["last"] = entry.index
                if ready.hard_state is not None:
                    disk["hard_state"] = ready.hard_state
                messages += ready.messages
                raw.advance()
        if not messages:
            return
        waiting, messages = messages, []
        for rpc in waiting:
            if by_id[rpc.dst] not in cut_off:
                group[by_id[rpc.dst]].step(rpc)
