"""The Raft core with rules switched off, to see what each rule is for.

    from swarmsim.raft.ablation import RULES, core

    careless = core(["one-vote"])            # a class like RawNode, without that rule
    print(RULES["one-vote"].protects)        # what breaks, and which property of Figure 3 with it

A rule of the paper is one method of RawNode; here stands, for each that can be switched off, a class that overrides
it with what a server would do that had never heard of the rule. The core itself has no switch. `RULES` says what
each rule protects and what is lost without it; `tests/raft/test_ablation.py` holds a schedule for every one of them
in which that happens, and in which the whole core keeps its promise.

The first rules are Figure 2's, the next those of sections 5.4 to 8 and the thesis, the last keep the cluster alive
rather than correct.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

from swarmsim.raft.config import Config
from swarmsim.raft.membership import Changer, ConfChangeV2, Records
from swarmsim.raft.messages import (
    NONE,
    AppendEntries,
    ConfState,
    Entry,
    HardState,
    Heartbeat,
    Message,
    PreVote,
    ReadIndex,
    RequestVote,
    Snapshot,
)
from swarmsim.raft.progress import Progress
from swarmsim.raft.quorum import VoteResult, majority_committed, majority_vote
from swarmsim.raft.raft import RawNode
from swarmsim.raft.state import FOLLOWER

START = HardState()


# -- Figure 2: state that survives, and terms --
class ForgetsVote(RawNode):
    __slots__ = ()

    def __init__(
        self,
        config: Config,
        hard_state: HardState = START,
        snapshot: Snapshot | None = None,
        entries: Sequence[Entry] = (),
        applied: int = 0,
    ) -> None:
        super().__init__(config, hard_state._replace(voted_for=NONE), snapshot, entries, applied)


class ForgetsTerm(RawNode):
    """Neither term nor vote: it begins in the term of its snapshot."""

    __slots__ = ()

    def __init__(
        self,
        config: Config,
        hard_state: HardState = START,
        snapshot: Snapshot | None = None,
        entries: Sequence[Entry] = (),
        applied: int = 0,
    ) -> None:
        term = snapshot.term if snapshot else 0
        super().__init__(config, hard_state._replace(current_term=term, voted_for=NONE), snapshot, entries, applied)


class ForgetsLog(RawNode):
    """All but the snapshot."""

    __slots__ = ()

    def __init__(
        self,
        config: Config,
        hard_state: HardState = START,
        snapshot: Snapshot | None = None,
        entries: Sequence[Entry] = (),
        applied: int = 0,
    ) -> None:
        commit = snapshot.index if snapshot else 0
        super().__init__(config, hard_state._replace(commit_index=commit), snapshot, (), applied)


class AnswersBeforeWriting(RawNode):
    __slots__ = ()

    def persists_before_sending(self) -> bool:
        return False


class KeepsRoleInHigherTerm(RawNode):
    """It takes over the term, but a leader or candidate stays what it is."""

    __slots__ = ()

    def step_down_on_higher_term(self, m: Message) -> None:
        if self.role is FOLLOWER:
            super().step_down_on_higher_term(m)
        else:
            self.current_term = m.term
            self.voted_for = NONE


class ObeysEarlierTerms(RawNode):
    __slots__ = ()

    def admit_earlier_term(self, m: Message) -> bool:
        return True


# -- Figure 2: RequestVote and AppendEntries --
class VotesOften(RawNode):
    __slots__ = ()

    def may_vote_for(self, m: RequestVote | PreVote) -> bool:
        return True


class VotesForAnyLog(RawNode):
    __slots__ = ()

    def log_is_up_to_date(self, m: RequestVote | PreVote) -> bool:
        return True


class AppendsAnywhere(RawNode):
    """It only refuses what would leave a hole, which no log can hold."""

    __slots__ = ()

    def log_matches(self, prev_log_index: int, prev_log_term: int) -> bool:
        return prev_log_index <= self.log.last_index


class AlwaysCuts(RawNode):
    """AppendEntries rule 3 read carelessly: the log ends with what the message brings, however old it is."""

    __slots__ = ()

    def entries_to_append(self, m: AppendEntries) -> Sequence[Entry]:
        return [entry for entry in m.entries if entry.index > self.log.commit_index]


class CommitsWhatLeaderCommits(RawNode):
    """min(leaderCommit, own last index): what lies beyond the new entries is taken for the leader's."""

    __slots__ = ()

    def commit_after_append(self, m: AppendEntries, last_new: int) -> int:
        return min(m.leader_commit, self.log.last_index)


class HeartbeatsWithAnyCommit(RawNode):
    """The leader tells its whole commit index, and a follower believes it as far as its log goes."""

    __slots__ = ()

    def heartbeat_commit(self, record: Progress) -> int:
        return self.log.commit_index

    def handle_heartbeat(self, m: Heartbeat) -> None:
        super().handle_heartbeat(m._replace(leader_commit=min(m.leader_commit, self.log.last_index)))


# -- sections 5.4.2 to 8 --
class CommitsOldTerms(RawNode):
    __slots__ = ()

    def may_commit(self, index: int) -> bool:
        return True


class CountsNewMajority(RawNode):
    """In a joint configuration C_new decides alone."""

    __slots__ = ()

    def election_result(self) -> VoteResult:
        return majority_vote(self.conf.voters, self.votes)

    def quorum_committed(self) -> int:
        matches = {id: record.match_index for id, record in self.progress.items()}
        return majority_committed(self.conf.voters, matches)


class AnyNumber(Changer):
    __slots__ = ()

    def changes_one_voter(self, before: set[int], after: set[int]) -> bool:
        return True


class ChangesManyAtOnce(RawNode):
    """Each server goes from C_old to C_new in one step, however many voters that changes."""

    __slots__ = ()

    def next_configuration(self, change: ConfChangeV2) -> tuple[ConfState, Records]:
        changer = AnyNumber(self.conf, self.progress, self.new_progress, self.log.last_index)
        return changer.simple(change.changes)


class OverlappingChanges(RawNode):
    __slots__ = ()

    def change_is_pending(self) -> bool:
        return False


class ChangesAtOnceAfterElection(RawNode):
    __slots__ = ()

    def first_pending_conf_index(self) -> int:
        return 0


class CampaignsBeforeApplying(RawNode):
    __slots__ = ()

    def has_unapplied_conf_change(self) -> bool:
        return False


class TakesAnySnapshot(RawNode):
    __slots__ = ()

    def is_news(self, snapshot: Snapshot) -> bool:
        return True


class ReadsWithoutQuorum(RawNode):
    __slots__ = ()

    def begin_read(self, m: ReadIndex) -> None:
        self.answer_read(m, self.log.commit_index)


class ReadsBeforeOwnCommit(RawNode):
    __slots__ = ()

    def committed_in_own_term(self) -> bool:
        return True


# -- staying alive --
class FixedTimeouts(RawNode):
    __slots__ = ()

    def draw_election_timeout(self) -> int:
        return self.config.election_tick


class BeginsTermWithNothing(RawNode):
    __slots__ = ()

    def open_term(self) -> None:
        """No entry of its own: the leader waits for a client to send one."""


class NeverChecksQuorum(RawNode):
    __slots__ = ()

    def quorum_is_active(self) -> bool:
        return True


class SkipsPreVote(RawNode):
    __slots__ = ()

    def pre_campaign(self) -> None:
        self.campaign_for_real()


class VotesInLease(RawNode):
    __slots__ = ()

    def in_lease(self) -> bool:
        return False


class Rule(NamedTuple):
    """`override` is the class without the rule, `breaks` the property that goes with it, `where` to read of it."""

    override: type[RawNode]
    where: str
    protects: str
    breaks: str


ELECTION_SAFETY = "election safety"
LOG_MATCHING = "log matching"
LEADER_COMPLETENESS = "leader completeness"
STATE_MACHINE_SAFETY = "state-machine safety"
MONOTONIC_STATE = "monotonic state"
LINEARIZABLE_READS = "linearizable reads"
PROGRESS = "progress"
STABILITY = "stable leadership"

RULES: dict[str, Rule] = {
    "persist-vote": Rule(
        ForgetsVote,
        "Figure 2, Persistent state",
        "a server that restarts must not vote a second time in the same term",
        ELECTION_SAFETY,
    ),
    "persist-term": Rule(
        ForgetsTerm,
        "Figure 2, Persistent state",
        "a server that restarts must not take part in terms that it has left",
        ELECTION_SAFETY,
    ),
    "persist-log": Rule(
        ForgetsLog,
        "Figure 2, Persistent state",
        "what a server has acknowledged may be committed by it",
        LEADER_COMPLETENESS,
    ),
    "persist-before-answer": Rule(
        AnswersBeforeWriting,
        "Figure 2, Persistent state; etcd: Ready",
        "an answer is a promise, and a crash must not take it back",
        LEADER_COMPLETENESS,
    ),
    "higher-term": Rule(
        KeepsRoleInHigherTerm,
        "Figure 2, All servers; section 5.1",
        "a leader of the past must not go on in a term that has a leader of its own",
        ELECTION_SAFETY,
    ),
    "earlier-term": Rule(
        ObeysEarlierTerms,
        "Figure 2, AppendEntries and RequestVote rule 1",
        "votes and entries of the past must not count in the present",
        ELECTION_SAFETY,
    ),
    "one-vote": Rule(
        VotesOften,
        "Figure 2, RequestVote rule 2; section 5.2",
        "two majorities share a server, which must have voted for one candidate only",
        ELECTION_SAFETY,
    ),
    "up-to-date": Rule(
        VotesForAnyLog,
        "Figure 2, RequestVote rule 2; section 5.4.1",
        "a leader must hold every committed entry from the start",
        LEADER_COMPLETENESS,
    ),
    "log-matching": Rule(
        AppendsAnywhere,
        "Figure 2, AppendEntries rule 2; section 5.3",
        "an entry must never follow another one than it does in the leader's log",
        LOG_MATCHING,
    ),
    "cut-conflicts-only": Rule(
        AlwaysCuts,
        "Figure 2, AppendEntries rule 3; section 5.3",
        "an old message must not remove entries that were acknowledged since",
        LEADER_COMPLETENESS,
    ),
    "commit-new-only": Rule(
        CommitsWhatLeaderCommits,
        "Figure 2, AppendEntries rule 5",
        "a follower must not commit leftovers of an earlier leader",
        STATE_MACHINE_SAFETY,
    ),
    "commit-matched-only": Rule(
        HeartbeatsWithAnyCommit,
        "Figure 2, AppendEntries rule 5; etcd: sendHeartbeat",
        "a heartbeat carries no test of the log, so it must not commit what was never compared",
        STATE_MACHINE_SAFETY,
    ),
    "commit-own-term": Rule(
        CommitsOldTerms,
        "section 5.4.2, Figure 8",
        "an entry of an earlier term on a majority can still be overwritten",
        LEADER_COMPLETENESS,
    ),
    "joint-majorities": Rule(
        CountsNewMajority,
        "section 6",
        "until C_new is committed, C_old may still elect a leader of its own",
        ELECTION_SAFETY,
    ),
    "joint-consensus": Rule(
        ChangesManyAtOnce,
        "section 6, Figure 10; thesis 4.1",
        "servers change at different times, and the majorities of C_old and C_new may not overlap",
        ELECTION_SAFETY,
    ),
    "one-change": Rule(
        OverlappingChanges,
        "thesis 4.1; etcd: pendingConfIndex",
        "two changes at once are a change of two voters at once",
        ELECTION_SAFETY,
    ),
    "own-commit-before-change": Rule(
        ChangesAtOnceAfterElection,
        "Ongaro's correction of 2015 to thesis 4.1",
        "a change of an earlier leader may still be under way",
        LEADER_COMPLETENESS,
    ),
    "apply-change-before-campaign": Rule(
        CampaignsBeforeApplying,
        "etcd: hasUnappliedConfChanges",
        "a change takes effect when applied, so a server behind in applying would count an old majority",
        LEADER_COMPLETENESS,
    ),
    "newer-snapshot-only": Rule(
        TakesAnySnapshot,
        "section 7, Figure 13",
        "an old snapshot must not take back what was committed after it",
        MONOTONIC_STATE,
    ),
    "read-quorum": Rule(
        ReadsWithoutQuorum,
        "section 8; thesis 6.4",
        "a leader that was deposed without knowing must not answer reads",
        LINEARIZABLE_READS,
    ),
    "read-after-own-commit": Rule(
        ReadsBeforeOwnCommit,
        "section 8; thesis 6.4",
        "a new leader does not know yet which of its entries are committed",
        LINEARIZABLE_READS,
    ),
    "random-timeouts": Rule(
        FixedTimeouts,
        "section 5.2",
        "servers that time out together split the vote, again and again",
        PROGRESS,
    ),
    "empty-entry": Rule(
        BeginsTermWithNothing,
        "section 8; thesis 6.4",
        "what a leader inherits commits only together with an entry of its own term",
        PROGRESS,
    ),
    "check-quorum": Rule(
        NeverChecksQuorum,
        "thesis 6.2; etcd: CheckQuorum",
        "a leader without a majority must not keep its clients waiting",
        PROGRESS,
    ),
    "lease": Rule(
        VotesInLease,
        "section 6; thesis 4.2.3; etcd: CheckQuorum",
        "a server that was cut off or removed must not depose a leader that all others hear",
        STABILITY,
    ),
    "pre-vote": Rule(
        SkipsPreVote,
        "thesis 9.6; etcd: PreVote, which SwarmKit leaves off",
        "a server that cannot win must not raise the term",
        STABILITY,
    ),
}
"""Every rule that can be switched off, by name."""


def core(without: Iterable[str] = ()) -> type[RawNode]:
    """The class of servers that lack these rules; RawNode itself for none."""
    names = sorted(set(without))
    unknown = [name for name in names if name not in RULES]
    if unknown:
        raise ValueError(f"no rule named {unknown[0]!r}; there are {', '.join(RULES)}")
    return _core(tuple(names))


@cache
def _core(names: tuple[str, ...]) -> type[RawNode]:
    if not names:
        return RawNode
    bases = tuple(RULES[name].override for name in names)
    return type(f"RawNodeWithout[{', '.join(names)}]", bases, {"__slots__": (), "__doc__": None})
