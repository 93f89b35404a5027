"""The words of Raft: entries, snapshots, persistent state, and every message between servers.

Each message is a NamedTuple: immutable, so that sender, network and receiver share one object. All begin with
`src, dst, term`. The RPCs of the paper's Figure 2 and Figure 13 keep the paper's field names; what the paper
lacks (PreVote, TimeoutNow, heartbeats of their own, ReadIndex) is named as in etcd (raftpb/raft.proto).
Server id 0 means *none*; index 0 with term 0 is the empty prefix of every log.

Two messages of different classes may compare equal, because tuples do; ask for the class first.

Read next: `state.py`, what a server remembers.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, NamedTuple

NONE = 0
"""The server id that means nobody (etcd: `None`)."""

NO_LIMIT = (1 << 64) - 1
"""A byte limit that never limits (etcd: `noLimit`)."""


class RaftError(Exception):
    """A call or message that this server refuses; everything else is answered or silently ignored."""


class ProposalDropped(RaftError):
    """The proposal was not appended and may be tried again (etcd: `ErrProposalDropped`)."""


class LocalMessage(RaftError):
    """A message that only a server itself may make came from outside (etcd: `ErrStepLocalMsg`)."""


class PeerNotFound(RaftError):
    """A response from a server that is not in the configuration (etcd: `ErrStepPeerNotFound`)."""


class Compacted(RaftError):
    """The log no longer reaches back to that index (etcd: `ErrCompacted`)."""


class SnapshotOutOfDate(RaftError):
    """There is a newer snapshot already (etcd: `ErrSnapOutOfDate`)."""


class EntryType(IntEnum):
    """What an entry means to the server that applies it (etcd: `raftpb.EntryType`)."""

    NORMAL = 0
    CONF_CHANGE = 1
    CONF_CHANGE_V2 = 2


class Entry(NamedTuple):
    """One entry of the log (section 5.3). `data` is opaque; `size` is its length in bytes, 0 when there is none.

    A proposed entry has neither term nor index: the leader gives it both. A CONF_CHANGE_V2 without data is the
    empty change, "leave the joint configuration".
    """

    term: int = 0
    index: int = 0  # type: ignore[assignment]
    type: EntryType = EntryType.NORMAL
    data: Any = None
    size: int = 0


def encoded_size(entries: Sequence[Entry]) -> int:
    """Bytes of the entries in etcd's wire format; the limits per message and per Ready count these."""
    total = 0
    for term, index, _, _, size in entries:
        total += 4 + (term.bit_length() + 6) // 7 + (index.bit_length() + 6) // 7
        total += (not term) + (not index)
        if size:
            total += 1 + (size.bit_length() + 6) // 7 + size
    return total


def payload_size(entries: Sequence[Entry]) -> int:
    """Bytes of the entries' data; the uncommitted limit and the in-flight bytes count these."""
    return sum([entry.size for entry in entries])


class ConfState(NamedTuple):
    """A configuration (section 6). `voters_outgoing` (C_old) is non-empty while the configuration is joint.

    Ids ascend in each tuple. `learners_next` are outgoing voters that become learners when the joint
    configuration is left; `auto_leave` tells the leader to leave it by itself.
    """

    voters: tuple[int, ...] = ()
    voters_outgoing: tuple[int, ...] = ()
    learners: tuple[int, ...] = ()
    learners_next: tuple[int, ...] = ()
    auto_leave: bool = False


class Snapshot(NamedTuple):
    """The state machine at `index` (section 7): lastIncludedIndex, lastIncludedTerm, the configuration there."""

    index: int  # type: ignore[assignment]
    term: int
    conf_state: ConfState
    data: Any = None
    size: int = 0


class HardState(NamedTuple):
    """What must survive a crash besides log and snapshot: Figure 2's persistent state, and the commit index.

    Losing `commit_index` is harmless, so a change of it alone needs no flush (etcd: `MustSync`).
    """

    current_term: int = 0
    voted_for: int = NONE
    commit_index: int = 0


class Propose(NamedTuple):
    """A client's command on its way to the leader (etcd: MsgProp). Carries no term."""

    src: int
    dst: int
    term: int
    entries: tuple[Entry, ...]


class AppendEntries(NamedTuple):
    """Figure 2, AppendEntries RPC. Heartbeats are a message of their own, as in etcd."""

    src: int
    dst: int
    term: int
    prev_log_index: int
    prev_log_term: int
    entries: tuple[Entry, ...]
    leader_commit: int


class AppendEntriesResponse(NamedTuple):
    """Success: the log matches up to `index`. Failure: `index` was refused; look at (`reject_hint`, `log_term`).

    The hint is section 5.3's optimisation as etcd does it: the last place whose term is not above the refused one.
    """

    src: int
    dst: int
    term: int
    index: int  # type: ignore[assignment]
    success: bool = True
    reject_hint: int = 0
    log_term: int = 0


class RequestVote(NamedTuple):
    """Figure 2, RequestVote RPC. `transfer` marks a campaign that the leader asked for (thesis 3.10)."""

    src: int
    dst: int
    term: int
    last_log_index: int
    last_log_term: int
    transfer: bool = False


class RequestVoteResponse(NamedTuple):
    """A vote that is granted carries the request's term, a refusal the voter's own."""

    src: int
    dst: int
    term: int
    vote_granted: bool


class PreVote(NamedTuple):
    """Would you vote for me in `term`, which I have not begun? (thesis 9.6; etcd: MsgPreVote)"""

    src: int
    dst: int
    term: int
    last_log_index: int
    last_log_term: int
    transfer: bool = False


class PreVoteResponse(NamedTuple):
    """As RequestVoteResponse, and binding on nobody."""

    src: int
    dst: int
    term: int
    vote_granted: bool


class Heartbeat(NamedTuple):
    """The leader is there (etcd: MsgHeartbeat). `context` names the newest read it may confirm, 0 for none."""

    src: int
    dst: int
    term: int
    leader_commit: int
    context: int = 0


class HeartbeatResponse(NamedTuple):
    src: int
    dst: int
    term: int
    context: int = 0


class InstallSnapshot(NamedTuple):
    """Figure 13, InstallSnapshot RPC, in one piece. It is answered with an AppendEntriesResponse."""

    src: int
    dst: int
    term: int
    snapshot: Snapshot


class TimeoutNow(NamedTuple):
    """The leader asks its successor to campaign at once (thesis 3.10)."""

    src: int
    dst: int
    term: int


class TransferLeader(NamedTuple):
    """A wish that `src` become leader (etcd: MsgTransferLeader). Followers forward it."""

    src: int
    dst: int
    term: int = 0


class ForgetLeader(NamedTuple):
    """Stop believing that there is a leader (etcd: MsgForgetLeader)."""

    src: int
    dst: int
    term: int = 0


class ReadIndex(NamedTuple):
    """Which index must be applied before `request` may be read? (thesis 6.4) Carries no term."""

    src: int
    dst: int
    term: int
    request: Any


class ReadIndexResponse(NamedTuple):
    src: int
    dst: int
    term: int
    index: int  # type: ignore[assignment]
    request: Any


class Unreachable(NamedTuple):
    """Local: the last message to `src` could not be delivered (etcd: MsgUnreachable)."""

    src: int
    dst: int
    term: int = 0


class SnapshotStatus(NamedTuple):
    """Local: the snapshot was, or could not be, delivered to `src` (etcd: MsgSnapStatus)."""

    src: int
    dst: int
    term: int
    ok: bool


class Hup(NamedTuple):
    """Local: start an election (etcd: MsgHup). `tick` and `campaign` call the handler without making one."""

    src: int
    dst: int
    term: int = 0


class Beat(NamedTuple):
    """Local: send heartbeats (etcd: MsgBeat). `tick` calls the handler without making one."""

    src: int
    dst: int
    term: int = 0


class CheckQuorum(NamedTuple):
    """Local: was a quorum heard? (etcd: MsgCheckQuorum). `tick` calls the handler without making one."""

    src: int
    dst: int
    term: int = 0


Message = (
    Propose
    | AppendEntries
    | AppendEntriesResponse
    | RequestVote
    | RequestVoteResponse
    | PreVote
    | PreVoteResponse
    | Heartbeat
    | HeartbeatResponse
    | InstallSnapshot
    | TimeoutNow
    | TransferLeader
    | ForgetLeader
    | ReadIndex
    | ReadIndexResponse
    | Unreachable
    | SnapshotStatus
    | Hup
    | Beat
    | CheckQuorum
)

LOCAL: frozenset[type] = frozenset({Hup, Beat, CheckQuorum, Unreachable, SnapshotStatus})
"""Never accepted from another server (etcd: `IsLocalMsg`)."""

RESPONSES: frozenset[type] = frozenset(
    {AppendEntriesResponse, RequestVoteResponse, PreVoteResponse, HeartbeatResponse, ReadIndexResponse}
)
"""Accepted from members only (etcd: `IsResponseMsg`)."""


class ReadState(NamedTuple):
    """Once `index` is applied, the read that `request` names is linearizable (etcd: `ReadState`)."""

    index: int  # type: ignore[assignment]
    request: Any
