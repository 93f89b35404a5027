"""Adapters between our Raft core and the harness with etcd/raft's own test data (`../shared/conformance/raft`).

    cd ../shared/conformance/raft
    PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/path/to/checkout:. python runner.py data \
        --adapter tests.conformance.raft_adapter:Node --quorum tests.conformance.raft_adapter:Quorum \
        --confchange tests.conformance.raft_adapter:Conf

`model` and `adapter` are the harness's modules, found through the path. `Node` keeps a small disk of its own for
what `persist` is told, and gives the core nothing but what it decoded from the harness's plain objects.
"""

from __future__ import annotations

from random import Random
from typing import Any

import adapter as harness
import model

from swarmsim.raft import (
    ConfChange,
    ConfChangeError,
    ConfChangeSingle,
    ConfChangeTransition,
    ConfChangeType,
    ConfChangeV2,
    Config,
    ConfState,
    Entry,
    EntryType,
    LocalMessage,
    PeerNotFound,
    Progress,
    ProposalDropped,
    RaftError,
    RawNode,
    ReadOnly,
    Role,
    Snapshot,
)
from swarmsim.raft import messages as m
from swarmsim.raft.membership import Changer
from swarmsim.raft.progress import Inflights
from swarmsim.raft.quorum import UNBOUNDED, joint_committed, joint_vote, majority_committed, majority_vote

KINDS = {
    EntryType.NORMAL: model.EntryKind.NORMAL,
    EntryType.CONF_CHANGE: model.EntryKind.CONF_V1,
    EntryType.CONF_CHANGE_V2: model.EntryKind.CONF_V2,
}
TYPES = {kind: type for type, kind in KINDS.items()}
OPS = {
    "v": ConfChangeType.ADD_NODE,
    "l": ConfChangeType.ADD_LEARNER_NODE,
    "r": ConfChangeType.REMOVE_NODE,
    "u": ConfChangeType.UPDATE_NODE,
}
LETTERS = {type: op for op, type in OPS.items()}
ROLES = {
    Role.FOLLOWER: model.Role.FOLLOWER,
    Role.PRE_CANDIDATE: model.Role.PRE_CANDIDATE,
    Role.CANDIDATE: model.Role.CANDIDATE,
    Role.LEADER: model.Role.LEADER,
}
LOCAL = {
    "MsgHup": m.Hup,
    "MsgBeat": m.Beat,
    "MsgCheckQuorum": m.CheckQuorum,
    "MsgUnreachable": m.Unreachable,
}
ERRORS = {
    ProposalDropped: model.ErrorKind.PROPOSAL_DROPPED,
    PeerNotFound: model.ErrorKind.PEER_NOT_FOUND,
    LocalMessage: model.ErrorKind.LOCAL_MESSAGE,
}


OPTIONS = (
    "id",
    "election_tick",
    "heartbeat_tick",
    "max_size_per_msg",
    "max_committed_size_per_ready",
    "max_uncommitted_size",
    "max_inflight_msgs",
    "max_inflight_bytes",
    "pre_vote",
    "check_quorum",
    "disable_proposal_forwarding",
    "disable_conf_change_validation",
    "step_down_on_removal",
)


# -- from the harness's objects to ours --
def singles(changes: Any) -> tuple[ConfChangeSingle, ...]:
    return tuple(ConfChangeSingle(OPS[change.op], change.node) for change in changes)


def conf_change_in(cc: Any) -> ConfChange | ConfChangeV2:
    if cc.v1:
        return ConfChange(OPS[cc.changes[0].op], cc.changes[0].node)
    return ConfChangeV2(singles(cc.changes), ConfChangeTransition(cc.transition))


def conf_change_size(change: ConfChange | ConfChangeV2) -> int:
    """As protobuf: a v1 change has id, type and node, a v2 change its transition and a list."""
    if isinstance(change, ConfChange):
        return 6
    return 2 + 6 * len(change.changes) if change.changes else 0


def entry_in(e: Any) -> Entry:
    if isinstance(e.raw, Entry) and (e.raw.term, e.raw.index) == (e.term, e.index):
        return e.raw
    if e.kind is model.EntryKind.NORMAL:
        return Entry(e.term, e.index, EntryType.NORMAL, e.data or None, len(e.data))
    v1 = e.kind is model.EntryKind.CONF_V1
    change = conf_change_in(model.ConfChange(e.changes, v1=v1)) if e.changes else None
    return Entry(e.term, e.index, TYPES[e.kind], change, conf_change_size(change) if change else 0)


def snapshot_in(s: Any) -> Snapshot:
    conf = s.conf.sorted()
    state = ConfState(conf.voters, conf.outgoing, conf.learners, conf.learners_next, conf.auto_leave)
    return Snapshot(s.index, s.term, state, s.data, len(s.data))


def message_in(x: Any) -> m.Message:
    """Rebuilt from its fields; only what the harness has no field for comes from the message we gave out."""
    src, dst, term, raw = x.frm, x.to, x.term, x.raw
    entries = tuple(entry_in(e) for e in x.entries)
    context = getattr(raw, "context", 0)
    if x.type == "MsgProp":
        return m.Propose(src, dst, term, entries)
    if x.type == "MsgApp":
        return m.AppendEntries(src, dst, term, x.index, x.log_term, entries, x.commit)
    if x.type == "MsgAppResp":
        return m.AppendEntriesResponse(src, dst, term, x.index, not x.reject, x.reject_hint, x.log_term)
    if x.type == "MsgVote":
        return m.RequestVote(src, dst, term, x.index, x.log_term, getattr(raw, "transfer", False))
    if x.type == "MsgPreVote":
        return m.PreVote(src, dst, term, x.index, x.log_term, getattr(raw, "transfer", False))
    if x.type == "MsgVoteResp":
        return m.RequestVoteResponse(src, dst, term, not x.reject)
    if x.type == "MsgPreVoteResp":
        return m.PreVoteResponse(src, dst, term, not x.reject)
    if x.type == "MsgHeartbeat":
        return m.Heartbeat(src, dst, term, x.commit, context)
    if x.type == "MsgHeartbeatResp":
        return m.HeartbeatResponse(src, dst, term, context)
    if x.type == "MsgSnap":
        return m.InstallSnapshot(src, dst, term, snapshot_in(x.snapshot))
    if x.type == "MsgSnapStatus":
        return m.SnapshotStatus(src, dst, term, not x.reject)
    if x.type == "MsgReadIndex":
        return m.ReadIndex(src, dst, term, x.entries[0].data)
    if x.type == "MsgReadIndexResp":
        return m.ReadIndexResponse(src, dst, term, x.index, x.entries[0].data)
    plain = {
        "MsgTimeoutNow": m.TimeoutNow,
        "MsgTransferLeader": m.TransferLeader,
        "MsgForgetLeader": m.ForgetLeader,
    }
    return (plain | LOCAL)[x.type](src, dst, term)


# -- from our objects to the harness's --
def changes_out(e: Entry) -> tuple[Any, ...]:
    if e.data is None or e.type is EntryType.NORMAL:
        return ()
    if isinstance(e.data, ConfChange):
        return (model.Change(LETTERS[e.data.type], e.data.node_id),)
    return tuple(model.Change(LETTERS[change.type], change.node_id) for change in e.data.changes)


def entry_out(e: Entry) -> Any:
    data = e.data if e.type is EntryType.NORMAL and e.data else b""
    return model.Entry(e.term, e.index, KINDS[e.type], data, changes_out(e), raw=e)


def conf_out(c: ConfState) -> Any:
    return model.ConfState(c.voters, c.voters_outgoing, c.learners, c.learners_next, c.auto_leave)


def snapshot_out(s: Snapshot | None) -> Any:
    return None if s is None else model.Snapshot(s.index, s.term, conf_out(s.conf_state), s.data or b"", raw=s)


NAMES = {
    m.Propose: "MsgProp",
    m.AppendEntries: "MsgApp",
    m.AppendEntriesResponse: "MsgAppResp",
    m.RequestVote: "MsgVote",
    m.RequestVoteResponse: "MsgVoteResp",
    m.PreVote: "MsgPreVote",
    m.PreVoteResponse: "MsgPreVoteResp",
    m.Heartbeat: "MsgHeartbeat",
    m.HeartbeatResponse: "MsgHeartbeatResp",
    m.InstallSnapshot: "MsgSnap",
    m.TimeoutNow: "MsgTimeoutNow",
    m.TransferLeader: "MsgTransferLeader",
    m.ForgetLeader: "MsgForgetLeader",
    m.ReadIndex: "MsgReadIndex",
    m.ReadIndexResponse: "MsgReadIndexResp",
}


def fields_out(x: m.Message) -> dict[str, Any]:
    if isinstance(x, m.Propose):
        return {"entries": tuple(map(entry_out, x.entries))}
    if isinstance(x, m.AppendEntries):
        entries = tuple(map(entry_out, x.entries))
        return {
            "index": x.prev_log_index,
            "log_term": x.prev_log_term,
            "entries": entries,
            "commit": x.leader_commit,
        }
    if isinstance(x, m.AppendEntriesResponse):
        reject = not x.success
        return {"index": x.index, "reject": reject, "reject_hint": x.reject_hint, "log_term": x.log_term}
    if isinstance(x, m.RequestVote | m.PreVote):
        return {"index": x.last_log_index, "log_term": x.last_log_term}
    if isinstance(x, m.RequestVoteResponse | m.PreVoteResponse):
        return {"reject": not x.vote_granted}
    if isinstance(x, m.Heartbeat):
        return {"commit": x.leader_commit}
    if isinstance(x, m.InstallSnapshot):
        return {"snapshot": snapshot_out(x.snapshot)}
    if isinstance(x, m.ReadIndex):
        return {"entries": (model.Entry(0, 0, data=x.request),)}
    if isinstance(x, m.ReadIndexResponse):
        return {"index": x.index, "entries": (model.Entry(0, 0, data=x.request),)}
    return {}


def message_out(x: m.Message) -> Any:
    return model.Message(NAMES[type(x)], x.src, x.dst, x.term, raw=x, **fields_out(x))


def progress_out(p: Progress) -> Any:
    inflights = p.inflights
    return model.Progress(
        model.ProgressState(p.state.name.lower()),
        p.match_index,
        p.next_index,
        p.is_learner,
        p.is_paused(),
        p.pending_snapshot,
        p.recent_active,
        len(inflights.window),
        bool(inflights.window) and inflights.full(),
    )


class Node:
    """One server: the core, and a disk that remembers what `persist` wrote."""

    def __init__(self, cfg: Any, snapshot_source: Any) -> None:
        if cfg.async_storage_writes:
            raise NotImplementedError("asynchronous storage writes are left out")
        options = {name: getattr(cfg, name) for name in OPTIONS}
        start = snapshot_in(cfg.bootstrap) if cfg.bootstrap else None
        read_only = ReadOnly.LEASE_BASED if cfg.read_only_lease_based else ReadOnly.SAFE
        source = lambda: snapshot_in(snapshot_source())  # noqa: E731
        config = Config(rng=Random(cfg.id), read_only=read_only, snapshot_source=source, **options)
        self.core = RawNode(config, snapshot=start, applied=cfg.applied)
        self.first = start.index + 1 if start else 1
        self.disk: list[Any] = []

    def _call(self, function: Any, *args: Any) -> Any:
        try:
            return function(*args)
        except RaftError as error:
            raise harness.RaftError(ERRORS.get(type(error), model.ErrorKind.OTHER)) from error

    # -- stimuli --
    def tick(self) -> None:
        self.core.tick()

    def campaign(self) -> None:
        self._call(self.core.campaign)

    def propose(self, data: bytes) -> None:
        self._call(self.core.propose, data or None, len(data))

    def propose_conf_change(self, cc: Any) -> None:
        change = conf_change_in(cc)
        self._call(self.core.propose_conf_change, change, conf_change_size(change))

    def step(self, msg: Any) -> None:
        if msg.type.startswith("MsgStorage"):
            raise harness.RaftError(model.ErrorKind.LOCAL_MESSAGE)
        self._call(self.core.step, message_in(msg))

    def transfer_leadership(self, to: int) -> None:
        self._call(self.core.transfer_leader, to)

    def forget_leader(self) -> None:
        self.core.forget_leader()

    def report_unreachable(self, peer: int) -> None:
        self.core.report_unreachable(peer)

    def report_snapshot(self, peer: int, ok: bool) -> None:
        self.core.report_snapshot(peer, ok)

    def set_randomized_election_timeout(self, ticks: int) -> None:
        self.core.randomized_election_timeout = ticks

    # -- the Ready cycle --
    def has_ready(self) -> bool:
        return self.core.has_ready()

    def ready(self) -> Any:
        rd = self.core.ready()
        soft = rd.soft_state and model.SoftState(rd.soft_state.leader_id, ROLES[rd.soft_state.role])
        return model.Ready(
            rd.must_sync,
            soft,
            rd.hard_state and model.HardState(*rd.hard_state),
            tuple(rd.read_states),
            tuple(map(entry_out, rd.entries)),
            snapshot_out(rd.snapshot),
            tuple(map(entry_out, rd.committed_entries)),
            tuple(map(message_out, rd.messages)),
        )

    def advance(self) -> None:
        self.core.advance()

    def apply_conf_change(self, entry: Any) -> Any:
        return conf_out(self.core.apply_conf_change(entry_in(entry).data))

    # -- the disk --
    def persist(self, hard: Any, entries: Any, snapshot: Any) -> None:
        if snapshot is not None:
            self.first, self.disk = snapshot.index + 1, []
        if entries:
            del self.disk[entries[0].index - self.first :]
            self.disk.extend(entries)

    def compact(self, index: int) -> None:
        self.core.compact(index)
        del self.disk[: index - self.first + 1]
        self.first = index + 1

    def stored_log(self) -> Any:
        return model.StoredLog(self.first, self.first + len(self.disk) - 1, tuple(self.disk))

    # -- looking in --
    def sample(self) -> Any:
        core = self.core
        leads = core.role is Role.LEADER
        votes = [core.votes[id] for id, p in core.progress.items() if not p.is_learner and id in core.votes]
        return model.Sample(
            core.id,
            ROLES[core.role],
            core.current_term,
            core.leader_id,
            core.voted_for,
            core.commit_index,
            core.last_applied,
            core.log.last_index,
            core.log.last_term(),
            conf_out(core.conf),
            core.lead_transferee,
            {id: progress_out(p) for id, p in core.progress.items()} if leads else {},
            votes.count(True),
            votes.count(False),
        )


class Quorum:
    """The arithmetic of `swarmsim.raft.quorum`. The data may name a voter twice, our configurations never do."""

    def committed(self, voters: Any, outgoing: Any, acked: dict[int, int]) -> int | None:
        if outgoing is None:
            index = majority_committed(sorted(set(voters)), acked)
        else:
            index = joint_committed(sorted(set(voters)), sorted(set(outgoing)), acked)
        return None if index == UNBOUNDED else index

    def vote(self, voters: Any, outgoing: Any, votes: dict[int, bool]) -> str:
        if outgoing is None:
            return majority_vote(sorted(set(voters)), votes).value
        return joint_vote(sorted(set(voters)), sorted(set(outgoing)), votes).value


class Conf:
    """The arithmetic of `swarmsim.raft.membership`, from the empty configuration on."""

    def __init__(self) -> None:
        self.state: tuple[ConfState, dict[int, Progress]] = (ConfState(), {})

    def _change(self, last_index: int, operation: str, *args: Any) -> Any:
        new = lambda next_index, learner: Progress(next_index, Inflights(10), learner)  # noqa: E731
        try:
            self.state = getattr(Changer(*self.state, new, last_index), operation)(*args)
        except ConfChangeError as error:
            raise harness.ConfChangeError(error.reason) from error
        conf, records = self.state
        return conf_out(conf), {id: progress_out(p) for id, p in records.items()}

    def simple(self, changes: Any, last_index: int) -> Any:
        return self._change(last_index, "simple", singles(changes))

    def enter_joint(self, auto_leave: bool, changes: Any, last_index: int) -> Any:
        return self._change(last_index, "enter_joint", auto_leave, singles(changes))

    def leave_joint(self, last_index: int) -> Any:
        return self._change(last_index, "leave_joint")
