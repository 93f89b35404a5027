"""The Raft core where other implementations differ from etcd's: what an experiment of theirs needs, to be done again.

    core = dialect("paper")                                          # a class like RawNode
    core = dialect("refloated", candidate_ticks=(23_000, 46_000), backoff=True)

All of them are Raft: what Figure 2 forbids, each forbids. They differ where the paper is silent or leaves a choice, and
elections under contention are sensitive to that, most of all in when an election timer is armed again:

|                                               | etcd (`RawNode`) | `Paper`              | `Refloated`           |
|-----------------------------------------------|------------------|----------------------|-----------------------|
| a follower sees a higher term                 | armed again      | goes on              | goes on               |
| a candidate or leader sees one                | armed again      | a candidate's goes on| armed again           |
| a candidate that is deposed by a vote request | may grant it     | may grant it         | does not              |
| a majority refuses a candidate                | it steps down    | it goes on waiting   | it goes on waiting    |
| an earlier term                               | mostly ignored   | answered             | answered              |
| a pre-vote while a leader is heard            | granted, but for the lease | refused    | refused               |

`Paper`: Figure 2 and the thesis as LogCabin and AvailSim have them (Ongaro's thesis, chapter 9 and 9.6). `Refloated`:
the simulator of Howard and others, "Raft Refloated" (OSR 49(1), 2015), with its optional timers of candidates.
"""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar

from swarmsim.raft.messages import (
    NONE,
    AppendEntries,
    AppendEntriesResponse,
    Heartbeat,
    InstallSnapshot,
    Message,
    PreVote,
    PreVoteResponse,
    RequestVote,
    RequestVoteResponse,
)
from swarmsim.raft.quorum import VoteResult
from swarmsim.raft.raft import RawNode
from swarmsim.raft.state import FOLLOWER, LEADER

FROM_LEADERS = (AppendEntries, Heartbeat, InstallSnapshot)


class Paper(RawNode):
    """Figure 2 and the thesis, as LogCabin has them."""

    __slots__ = ()

    # -- when the timer is armed again: on hearing the leader, on granting a vote, on becoming candidate --
    def keeps_timer(self) -> bool:
        """Does a server in its present role keep its timer when it sees a higher term? A leader has none to keep."""
        return self.role is not LEADER

    def step_down_on_higher_term(self, m: Message) -> None:
        kept = (self.election_elapsed, self.randomized_election_timeout) if self.keeps_timer() else None
        super().step_down_on_higher_term(m)
        if kept is not None and not isinstance(m, FROM_LEADERS):
            self.election_elapsed, self.randomized_election_timeout = kept

    def handle_request_vote(self, m: RequestVote) -> None:
        """A vote that is granted arms the timer with a new draw (LogCabin RaftConsensus.cc, `handleRequestVote`)."""
        granted = self.voted_for != m.src
        super().handle_request_vote(m)
        if granted and self.voted_for == m.src:
            self.randomized_election_timeout = self.draw_election_timeout()

    # -- a candidate waits for votes until its timer ends, whatever others refuse --
    def handle_vote_response(self, m: RequestVoteResponse) -> None:
        if self.poll(m.src, m.vote_granted) is VoteResult.WON:
            self.become_leader()
            self.broadcast_append()

    def handle_pre_vote_response(self, m: PreVoteResponse) -> None:
        if self.poll(m.src, m.vote_granted) is VoteResult.WON:
            self.campaign_for_real()

    # -- other terms --
    def hears_leader(self) -> bool:
        """Has it heard from a leader within the baseline election timeout (thesis 9.6 and 4.2.3)?"""
        return self.leader_id != NONE and self.election_elapsed < self.config.election_tick

    def admit_later_term(self, m: Message) -> bool:
        """Thesis 9.6: no pre-vote for anybody while a leader is heard, with or without CheckQuorum."""
        if type(m) is PreVote and self.hears_leader():
            return False
        return super().admit_later_term(m)

    def answer_stale(self, m: Message) -> None:
        """RequestVote and AppendEntries rule 1: "reply false if term < currentTerm", and with the own term."""
        kind = type(m)
        if kind is Heartbeat or kind is AppendEntries:
            self.send_after_append(AppendEntriesResponse(self.id, m.src, self.current_term, 0))
        elif kind is RequestVote:
            self.send_after_append(RequestVoteResponse(self.id, m.src, self.current_term, False))
        elif kind is PreVote:
            self.send_after_append(PreVoteResponse(self.id, m.src, self.current_term, False))


class Refloated(Paper):
    """The simulator of "Raft Refloated" (github:heidi-ann/ocaml-raft, lib/simulator.ml, state.ml and config.ml)."""

    __slots__ = ("defeats",)

    CANDIDATE_TICKS: ClassVar[tuple[int, int] | None] = None  # a candidate's timeout; None: drawn as a follower's
    BACKOFF: ClassVar[bool] = False  # times two for each election in a row that a majority refused

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.defeats = 0
        super().__init__(*args, **kwargs)

    def keeps_timer(self) -> bool:
        """A candidate that steps down arms its timer as the follower it becomes."""
        return self.role is FOLLOWER

    def become_follower(self, term: int, leader_id: int) -> None:
        super().become_follower(term, leader_id)
        self.defeats = 0

    def become_candidate(self) -> None:
        super().become_candidate()
        self.randomized_election_timeout = self.draw_candidate_timeout()

    def become_leader(self) -> None:
        super().become_leader()
        self.defeats = 0

    def draw_candidate_timeout(self) -> int:
        least, most = self.CANDIDATE_TICKS or self.election_ticks()
        drawn = least + self.config.rng.randrange(most - least + 1)
        return drawn << self.defeats if self.BACKOFF else drawn

    def admit_later_term(self, m: Message) -> bool:
        """Only a follower grants votes: a candidate or leader whom the request deposes refuses it."""
        asked = type(m) is RequestVote and self.role is not FOLLOWER
        admitted = super().admit_later_term(m)
        if asked and admitted:
            self.send_after_append(RequestVoteResponse(self.id, m.src, self.current_term, False))
            return False
        return admitted

    def handle_vote_response(self, m: RequestVoteResponse) -> None:
        before = self.election_result()
        super().handle_vote_response(m)
        if before is VoteResult.PENDING and self.election_result() is VoteResult.LOST:
            self.defeats += 1


DIALECTS: dict[str, type[RawNode]] = {"swarmkit": RawNode, "paper": Paper, "refloated": Refloated}
"""Every dialect by the name that a scenario calls it."""


@cache
def dialect(name: str, candidate_ticks: tuple[int, int] | None = None, backoff: bool = False) -> type[RawNode]:
    """The class of servers that speak this dialect; the timers of candidates are for `refloated` only."""
    if name not in DIALECTS:
        raise ValueError(f"no dialect named {name!r}; there are {', '.join(DIALECTS)}")
    base = DIALECTS[name]
    if candidate_ticks is None and not backoff:
        return base
    if base is not Refloated:
        raise ValueError(f"{name} knows no timers of candidates; refloated does")

    class Optimised(Refloated):
        __slots__ = ()
        CANDIDATE_TICKS = candidate_ticks
        BACKOFF = backoff

    return Optimised
