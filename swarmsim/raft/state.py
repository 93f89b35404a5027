"""What a server remembers: the paper's Figure 2, State, plus what etcd's server adds. It decides nothing.

| Figure 2                    | here                                        | survives a crash        |
|-----------------------------|---------------------------------------------|-------------------------|
| currentTerm, votedFor       | `current_term`, `voted_for`                 | yes, HardState          |
| log[]                       | `log`                                       | yes, Ready.entries      |
| commitIndex, lastApplied    | `log.commit_index`, `log.last_applied`      | commitIndex, harmlessly |
| nextIndex[], matchIndex[]   | `progress[id].next_index`, `.match_index`   | no                      |

Every class of this package that handles messages stands on this one, each file on the one before it:
`state` - `membership` - `snapshot` - `heartbeat` - `replication` - `election` - `raft`. So a rule is a
method, and a subclass of RawNode that overrides one method removes one rule.

Read next: `election.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any, ClassVar, NamedTuple

from swarmsim.raft.config import Config
from swarmsim.raft.log import RaftLog
from swarmsim.raft.messages import (
    NO_LIMIT,
    NONE,
    AppendEntriesResponse,
    ConfState,
    HardState,
    Message,
    PreVoteResponse,
    ReadIndex,
    ReadState,
    RequestVoteResponse,
)
from swarmsim.raft.progress import Inflights, Progress


class Role(IntEnum):
    """Figure 4's three states, and the pre-candidate of thesis 9.6."""

    FOLLOWER = 0
    PRE_CANDIDATE = 1
    CANDIDATE = 2
    LEADER = 3


FOLLOWER = Role.FOLLOWER
PRE_CANDIDATE = Role.PRE_CANDIDATE
CANDIDATE = Role.CANDIDATE
LEADER = Role.LEADER

Handler = Callable[[Any, Any], None]


class SoftState(NamedTuple):
    """What need not survive: reported in a Ready when it changes (etcd: `SoftState`)."""

    leader_id: int = NONE
    role: Role = FOLLOWER


class PendingRead(NamedTuple):
    """A read that waits for a quorum: its number, the commit index when it was asked, who asked."""

    number: int
    index: int  # type: ignore[assignment]
    message: ReadIndex


class Server:
    """Figure 2, State, and the two lists of messages to send."""

    __slots__ = (
        "after_append",
        "conf",
        "config",
        "current_term",
        "election_elapsed",
        "handlers",
        "heartbeat_elapsed",
        "id",
        "is_learner",
        "lead_transferee",
        "leader_id",
        "log",
        "messages",
        "peers",
        "pending_conf_index",
        "pending_reads",
        "postponed_reads",
        "progress",
        "randomized_election_timeout",
        "read_acks",
        "read_number",
        "read_states",
        "role",
        "uncommitted_size",
        "voted_for",
        "votes",
    )

    HANDLERS: ClassVar[tuple[dict[type, Handler], ...]] = ()
    """Per role, message class -> handler: `raft.DISPATCH` with the names looked up, once per class."""

    def __init__(self, config: Config, log: RaftLog, hard_state: HardState) -> None:
        self.config = config
        self.id = config.id
        self.current_term = hard_state.current_term
        self.voted_for = hard_state.voted_for
        self.log = log
        self.role = FOLLOWER
        self.handlers = self.HANDLERS[FOLLOWER]
        self.leader_id = NONE
        self.lead_transferee = NONE
        self.election_elapsed = 0
        self.heartbeat_elapsed = 0
        self.randomized_election_timeout = 0
        self.votes: dict[int, bool] = {}
        self.conf = ConfState()
        self.progress: dict[int, Progress] = {}  # ids ascend
        self.peers: list[tuple[int, Progress]] = []  # the same without ourselves
        self.is_learner = False
        self.pending_conf_index = 0
        self.uncommitted_size = 0
        self.messages: list[Message] = []
        self.after_append: list[Message] = []
        self.pending_reads: list[PendingRead] = []
        self.postponed_reads: list[ReadIndex] = []
        self.read_states: list[ReadState] = []
        self.read_acks: dict[int, int] = {}
        self.read_number = 0

    def new_progress(self, next_index: int, is_learner: bool = False) -> Progress:
        """A record of a member that nothing is known of."""
        window = Inflights(self.config.max_inflight_msgs, self.config.max_inflight_bytes)
        return Progress(next_index, window, is_learner)

    def send(self, message: Message) -> None:
        """Queue a message to another server; it may leave at once."""
        assert message.dst != self.id, f"a message to itself: {message!r}"
        self.messages.append(message)

    def send_after_append(self, message: AppendEntriesResponse | RequestVoteResponse | PreVoteResponse) -> None:
        """Queue an answer that promises something: it waits until all that is unstable now is durable.

        Section 5.6 and Figure 2 ("updated on stable storage before responding to RPCs"). An answer to itself
        counts when the Ready is advanced; so own votes and own acknowledgments, too, count when durable.
        """
        self.after_append.append(message)

    def quorum_committed(self) -> int:
        """The highest index that a quorum of both halves of the configuration holds (Figure 2: N)."""
        progress = self.progress
        committed = NO_LIMIT
        for half in self.conf[:2]:
            if half:
                matches = sorted([progress[voter].match_index for voter in half])
                committed = min(committed, matches[(len(matches) - 1) // 2])
        return committed
