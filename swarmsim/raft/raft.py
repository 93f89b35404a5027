"""RawNode: one Raft server without clock, network or disk, and the table that says who handles what.

etcd rawnode.go, and raft.go `Step` with its term gate. The driver's loop:

    raft.tick(); raft.step(message); raft.propose(data, size)       # stimuli, in any order
    while raft.has_ready():
        ready = raft.ready()
        1. write ready.snapshot, ready.hard_state, ready.entries (flush if ready.must_sync)
        2. send ready.messages
        3. apply ready.snapshot, then ready.committed_entries; apply_conf_change for each membership entry
        4. raft.advance()

What arrives between `ready` and `advance` may be stepped at once and joins the next Ready.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from swarmsim.errors import Panic
from swarmsim.raft.config import Config
from swarmsim.raft.election import Election
from swarmsim.raft.log import RaftLog
from swarmsim.raft.membership import ConfChange, ConfChangeType, ConfChangeV2, as_v2
from swarmsim.raft.messages import (
    LOCAL,
    NONE,
    RESPONSES,
    AppendEntries,
    AppendEntriesResponse,
    ConfState,
    Entry,
    EntryType,
    ForgetLeader,
    HardState,
    Heartbeat,
    HeartbeatResponse,
    InstallSnapshot,
    LocalMessage,
    Message,
    PeerNotFound,
    PreVote,
    PreVoteResponse,
    Propose,
    ReadIndex,
    ReadIndexResponse,
    ReadState,
    RequestVote,
    RequestVoteResponse,
    Snapshot,
    SnapshotStatus,
    TimeoutNow,
    TransferLeader,
    Unreachable,
    encoded_size,
    payload_size,
)
from swarmsim.raft.progress import Progress
from swarmsim.raft.state import LEADER, Handler, Role, SoftState


class Row(NamedTuple):
    """Which method handles a message, by role; None ignores it."""

    follower: str | None
    pre_candidate: str | None
    candidate: str | None
    leader: str | None


def everyone(method: str) -> Row:
    return Row(method, method, method, method)


DISPATCH: dict[type, Row] = {
    RequestVote: everyone("handle_request_vote"),
    PreVote: everyone("handle_pre_vote"),
    RequestVoteResponse: Row(None, None, "handle_vote_response", None),
    PreVoteResponse: Row(None, "handle_pre_vote_response", None, None),
    AppendEntries: Row("handle_append_entries", "concede", "concede", None),
    Heartbeat: Row("handle_heartbeat", "concede", "concede", None),
    InstallSnapshot: Row("handle_install_snapshot", "concede", "concede", None),
    AppendEntriesResponse: Row(None, None, None, "handle_append_response"),
    HeartbeatResponse: Row(None, None, None, "handle_heartbeat_response"),
    Propose: Row("forward_proposal", "refuse_proposal", "refuse_proposal", "handle_propose"),
    TransferLeader: Row("forward_transfer", None, None, "handle_transfer_leader"),
    TimeoutNow: Row("handle_timeout_now", None, None, None),
    ForgetLeader: Row("handle_forget_leader", None, None, None),
    ReadIndex: Row("forward_read_index", None, None, "handle_read_index"),
    ReadIndexResponse: Row("handle_read_index_response", None, None, None),
    Unreachable: Row(None, None, None, "handle_unreachable"),
    SnapshotStatus: Row(None, None, None, "handle_snapshot_status"),
}


def resolve(cls: type) -> tuple[dict[type, Handler], ...]:
    """`DISPATCH` per role, with a class's own methods, so that an override in a subclass counts."""
    return tuple(
        {kind: getattr(cls, row[role]) for kind, row in DISPATCH.items() if row[role] is not None}  # type: ignore[arg-type]
        for role in Role
    )


class Ready(NamedTuple):
    """What the driver has to do now (etcd: `Ready`). None and empty mean: nothing of that kind."""

    soft_state: SoftState | None
    hard_state: HardState | None
    read_states: Sequence[ReadState]
    entries: Sequence[Entry]
    snapshot: Snapshot | None
    committed_entries: Sequence[Entry]
    messages: Sequence[Message]
    must_sync: bool


class Status(NamedTuple):
    """A look inside (etcd: `Status`). `progress` is empty unless the server leads."""

    id: int
    hard_state: HardState
    soft_state: SoftState
    applied: int
    lead_transferee: int
    conf_state: ConfState
    progress: dict[int, Progress]


class _OnAdvance(NamedTuple):
    """What a Ready promised to have done by the time of `advance` (etcd: `stepsOnAdvance`)."""

    to_self: list[Message]
    term: int
    last_index: int  # 0: no entries were unstable
    last_term: int
    snapshot_index: int  # 0: no snapshot
    applied_index: int  # 0: nothing to apply
    applied_size: int
    applied_payload: int


class RawNode(Election):
    """One Raft server. See the package's docstring for the calls, this module's for the loop."""

    __slots__ = ("_on_advance", "_reported_hard", "_reported_leader", "_reported_role")

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.HANDLERS = resolve(cls)

    def __init__(
        self,
        config: Config,
        hard_state: HardState = HardState(),  # noqa: B008
        snapshot: Snapshot | None = None,
        entries: Sequence[Entry] = (),
        applied: int = 0,
    ) -> None:
        """Start from what a disk holds, or from nothing (etcd raft.go, `newRaft`).

        `applied` is the last index that the application still knows to have applied; what is committed beyond
        it, or beyond the snapshot, is handed out again. A HardState older than the snapshot is raised to it.
        """
        limit = config.max_committed_size_per_ready or config.max_size_per_msg
        log = RaftLog(snapshot, entries, limit)
        commit = hard_state.commit_index
        if commit > log.last_index:
            raise Panic(f"{config.id:x} state.commit {commit} is out of range [{log.commit_index}, {log.last_index}]")
        super().__init__(config, log, hard_state)
        log.commit_to(hard_state.commit_index)
        if snapshot is not None:
            self.restore_members(snapshot.conf_state)
        if applied:
            log.applied_to(applied, 0)
        self.become_follower(self.current_term, NONE)
        self._on_advance: _OnAdvance | None = None
        self._reported_hard = self.hard_state()
        self._reported_leader = self.leader_id
        self._reported_role = self.role

    def bootstrap(self, peers: Sequence[tuple[int, Any]]) -> None:
        """First start of a cluster with these (id, context) members (etcd bootstrap.go; SwarmKit: `StartNode`).

        Their membership is in the log as committed entries, in effect at once, and applied again by the driver.
        """
        assert peers, "must provide at least one peer to Bootstrap"
        assert self.log.last_index == 0, "can't bootstrap a server that has a log"
        self._reported_hard = HardState()
        self.become_follower(1, NONE)
        add = ConfChangeType.ADD_NODE
        changes = [ConfChange(add, id, context=context) for id, context in peers]
        entries = [Entry(1, i, EntryType.CONF_CHANGE, change) for i, change in enumerate(changes, 1)]
        self.log.append(entries)
        self.log.commit_to(len(entries))
        for change in changes:
            self.apply_conf_change(change)

    # -- state --
    @property
    def commit_index(self) -> int:
        return self.log.commit_index

    @property
    def last_applied(self) -> int:
        return self.log.last_applied

    def hard_state(self) -> HardState:
        return HardState(self.current_term, self.voted_for, self.log.commit_index)

    def soft_state(self) -> SoftState:
        return SoftState(self.leader_id, self.role)

    def status(self) -> Status:
        return Status(
            self.id,
            self.hard_state(),
            self.soft_state(),
            self.log.last_applied,
            self.lead_transferee,
            self.conf,
            {id: record.copy() for id, record in self.progress.items()} if self.role is LEADER else {},
        )

    # -- stimuli --
    def step(self, m: Message) -> None:
        """A message from another server. Raises LocalMessage, PeerNotFound, ProposalDropped."""
        kind = type(m)
        if kind in RESPONSES:
            if m.src not in self.progress:
                raise PeerNotFound(f"{kind.__name__} from {m.src}, which is not a member")
        elif kind in LOCAL:
            raise LocalMessage(f"{kind.__name__} came from outside")
        self._step(m)

    def _step(self, m: Message) -> None:
        if m.term != self.current_term and not self.pass_term_gate(m):
            return
        handler = self.handlers.get(type(m))
        if handler is not None:
            handler(self, m)

    def campaign(self) -> None:
        """Start an election now."""
        self.hup(transfer=False)

    def propose(self, data: Any, size: int = 0) -> None:
        """Ask for `data` to be appended; raises ProposalDropped. It may be lost even so."""
        self._step(Propose(self.id, NONE, 0, (Entry(data=data, size=size),)))

    def propose_conf_change(self, change: ConfChange | ConfChangeV2, size: int = 0) -> None:
        """Ask for a membership change; one that may not be made now becomes an empty entry, without an error."""
        kind = EntryType.CONF_CHANGE if isinstance(change, ConfChange) else EntryType.CONF_CHANGE_V2
        self._step(Propose(NONE, NONE, 0, (Entry(type=kind, data=change, size=size),)))

    def transfer_leader(self, to: int) -> None:
        """Ask the leader, from any server, to hand over to `to`."""
        self._step(TransferLeader(to, NONE))

    def forget_leader(self) -> None:
        """Stop believing in the present leader."""
        self._step(ForgetLeader(self.id, self.id))

    def read_index(self, request: Any) -> None:
        """Ask for a ReadState for `request`; the question may be lost."""
        self._step(ReadIndex(NONE, NONE, 0, request))

    def report_unreachable(self, peer: int) -> None:
        """The last message to `peer` could not be delivered."""
        self._step(Unreachable(peer, self.id))

    def report_snapshot(self, peer: int, ok: bool) -> None:
        """The snapshot sent to `peer` was delivered, or not."""
        self._step(SnapshotStatus(peer, self.id, 0, ok))

    # -- the term gate (section 5.1) --
    def pass_term_gate(self, m: Message) -> bool:
        """Is a message of another term to be handled? A term of 0 is no term at all."""
        if m.term == 0:
            return True
        return self.admit_earlier_term(m) if m.term < self.current_term else self.admit_later_term(m)

    def admit_later_term(self, m: Message) -> bool:
        """A message of a later term begins that term here, unless it asks for a vote that the lease forbids."""
        kind = type(m)
        if (kind is RequestVote or kind is PreVote) and not m.transfer and self.in_lease():  # type: ignore[union-attr]
            return False
        if kind is PreVote or (kind is PreVoteResponse and m.vote_granted):  # type: ignore[union-attr]
            return True  # they speak of a term that has not begun
        self.step_down_on_higher_term(m)
        return True

    def step_down_on_higher_term(self, m: Message) -> None:
        """All servers: "if RPC contains term T > currentTerm: set currentTerm = T, convert to follower"."""
        leads = isinstance(m, AppendEntries | Heartbeat | InstallSnapshot)
        self.become_follower(m.term, m.src if leads else NONE)

    def admit_earlier_term(self, m: Message) -> bool:
        """AppendEntries and RequestVote rule 1: nothing of an earlier term is obeyed or counted."""
        self.answer_stale(m)
        return False

    def answer_stale(self, m: Message) -> None:
        """The paper always says no to an earlier term; etcd answers only where silence would do harm.

        With CheckQuorum or PreVote a server that ran ahead of its leader is not helped by anybody's vote: the
        answer makes that leader step down and a new one be elected in a term that suits all.
        """
        kind = type(m)
        config = self.config
        if (kind is Heartbeat or kind is AppendEntries) and (config.check_quorum or config.pre_vote):
            self.send_after_append(AppendEntriesResponse(self.id, m.src, self.current_term, 0))
        elif kind is PreVote:
            self.send_after_append(PreVoteResponse(self.id, m.src, self.current_term, False))

    # -- membership --
    def apply_conf_change(self, change: ConfChange | ConfChangeV2 | None) -> ConfState:
        """Put a committed change into effect (its entry's data). Not calling it turns the change into nothing.

        One that is impossible now raises ConfChangeError, which a driver must take as a panic.
        """
        conf, records = self.next_configuration(as_v2(change))
        self.install_configuration(conf, records)
        if self.role is LEADER:
            self._lead_configuration()
        return conf

    def _lead_configuration(self) -> None:
        """A leader has a new configuration (etcd raft.go, `switchToConfig`)."""
        if self.id not in self.progress or self.is_learner:
            # It goes on without counting itself, until the new configuration is committed (section 6).
            if self.config.step_down_on_removal:
                self.become_follower(self.current_term, NONE)
            return
        if self.maybe_commit():
            self.broadcast_append()
        else:
            for peer, record in self.peers:
                self.send_append(peer, record, even_if_empty=False)
        if self.lead_transferee not in (*self.conf.voters, *self.conf.voters_outgoing):
            self.lead_transferee = NONE

    def _applied_to(self, index: int, size: int) -> None:
        """Applying may be what a leader waited for to leave a joint configuration (etcd: `appliedTo`)."""
        self.log.applied_to(max(index, self.log.last_applied), size)
        if self.conf.auto_leave and self.role is LEADER and self.log.last_applied >= self.pending_conf_index:
            leave = Entry(type=EntryType.CONF_CHANGE_V2)
            if self.lead_transferee == NONE and self.id in self.progress:
                self.handle_propose(Propose(self.id, NONE, 0, (leave,)))

    # -- Ready --
    def persists_before_sending(self) -> bool:
        """The driver asks: must the disk have a Ready before its messages leave? (Figure 2, Persistent state)"""
        return True

    def has_ready(self) -> bool:
        """Is there anything for the driver to do?"""
        log = self.log
        if self.messages or self.after_append or log.handed_out_to <= log.last_index:
            return True
        if log.applying < log.commit_index and log.has_next_committed():
            return True
        if self.leader_id != self._reported_leader or self.role is not self._reported_role:
            return True
        if self._hard_state_changed() or self.read_states:
            return True
        return log.next_unstable_snapshot() is not None

    def _hard_state_changed(self) -> bool:
        term, vote, commit = self._reported_hard
        return self.log.commit_index != commit or self.current_term != term or self.voted_for != vote

    def ready(self) -> Ready:
        """Take what there is to do; `advance` must follow before the next one."""
        assert self._on_advance is None, "a second Ready before advance"
        log = self.log
        entries = log.next_unstable() if log.handed_out_to <= log.last_index else ()
        committed = log.next_committed() if log.applying < log.commit_index else ()
        snapshot = log.next_unstable_snapshot()
        soft = hard = None
        must_sync = bool(entries)
        if self.leader_id != self._reported_leader or self.role is not self._reported_role:
            soft = SoftState(self.leader_id, self.role)
            self._reported_leader, self._reported_role = soft
        if self._hard_state_changed():
            hard = self.hard_state()
            must_sync = must_sync or hard[:2] != self._reported_hard[:2]
            self._reported_hard = hard
        messages = self.messages
        to_self: list[Message] = []
        for m in self.after_append:
            (to_self if m.dst == self.id else messages).append(m)
        ready = Ready(soft, hard, self.read_states, entries, snapshot, committed, messages, must_sync)
        self._accept(ready, to_self)
        return ready

    def _accept(self, ready: Ready, to_self: list[Message]) -> None:
        """etcd rawnode.go, `acceptReady`."""
        log = self.log
        self.messages = []
        if self.after_append:
            self.after_append = []
        if self.read_states:
            self.read_states = []
        unstable = log.unstable_from <= log.last_index
        log.accept_unstable()
        applied = size = payload = 0
        if ready.committed_entries:
            applied = ready.committed_entries[-1].index
            size = encoded_size(ready.committed_entries)
            payload = payload_size(ready.committed_entries)
            log.accept_applying(applied, size)
        self._on_advance = _OnAdvance(
            to_self,
            self.current_term,
            log.last_index if unstable else 0,
            log.last_term() if unstable else 0,
            ready.snapshot.index if ready.snapshot is not None else 0,
            applied,
            size,
            payload,
        )

    def advance(self) -> None:
        """The last Ready is persisted and applied (etcd rawnode.go, `Advance`).

        Own votes and acknowledgments count first, while the entries they speak of are still called unstable.
        """
        done = self._on_advance
        assert done is not None, "advance without a Ready"
        self._on_advance = None
        for m in done.to_self:
            self._step(m)
        # A write of an earlier term says nothing about the log: what it wrote may be overwritten twice since.
        # 1. leader A's entry goes to the disk.  2. leader B replaces it.  3. A, elected again, restores it.
        if done.last_index and done.term == self.current_term:
            self.log.stable_to(done.last_index, done.last_term)
        if done.snapshot_index:
            self.log.stable_snapshot_to(done.snapshot_index)
            self._applied_to(done.snapshot_index, 0)
        if done.applied_index:
            self._applied_to(done.applied_index, done.applied_size)
            self.uncommitted_size = max(0, self.uncommitted_size - done.applied_payload)


RawNode.HANDLERS = resolve(RawNode)
