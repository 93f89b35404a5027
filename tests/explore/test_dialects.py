"""Where implementations of Raft differ, row by row of the table in `swarmsim.raft.dialects`."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from swarmsim.raft.config import Config
from swarmsim.raft.dialects import DIALECTS, Refloated, dialect
from swarmsim.raft.messages import (
    AppendEntries,
    AppendEntriesResponse,
    ConfState,
    Heartbeat,
    PreVote,
    PreVoteResponse,
    RequestVote,
    RequestVoteResponse,
    Snapshot,
)
from swarmsim.raft.raft import RawNode
from swarmsim.raft.state import CANDIDATE, FOLLOWER, LEADER, PRE_CANDIDATE, Role

ETCD, PAPER, REFLOATED = "swarmkit", "paper", "refloated"


def server(name: str, core: type[RawNode] | None = None, **options: Any) -> RawNode:
    """Server 1 of five, in term 1, with a log of one entry."""
    config = Config(id=1, rng=Random(3), election_tick=100, heartbeat_tick=10, **options)
    snapshot = Snapshot(1, 1, ConfState((1, 2, 3, 4, 5)))
    raft = (core or dialect(name))(config, snapshot=snapshot)
    raft.become_follower(1, 0)
    return raft


def work_off(raft: RawNode) -> list[Any]:
    """All that it says until it has nothing more to say."""
    said: list[Any] = []
    while raft.has_ready():
        said += raft.ready().messages
        raft.advance()
    return said


def candidate(name: str, core: type[RawNode] | None = None) -> RawNode:
    raft = server(name, core)
    raft.campaign()
    work_off(raft)
    assert raft.role is CANDIDATE
    raft.election_elapsed = 40
    return raft


def timer(raft: RawNode) -> tuple[int, int]:
    return raft.election_elapsed, raft.randomized_election_timeout


VAIN = {"last_log_index": 0, "last_log_term": 0}  # a log so short that nobody votes for it


@pytest.mark.parametrize(("name", "goes_on"), [(ETCD, False), (PAPER, True), (REFLOATED, True)])
def test_the_timer_of_a_follower_that_sees_a_higher_term(name: str, goes_on: bool) -> None:
    raft = server(name)
    raft.election_elapsed, before = 40, raft.randomized_election_timeout

    raft.step(RequestVote(2, 1, 5, **VAIN))

    assert (raft.current_term, raft.role) == (5, FOLLOWER)
    assert (timer(raft) == (40, before)) == goes_on
    assert goes_on or raft.election_elapsed == 0


@pytest.mark.parametrize(("name", "goes_on"), [(ETCD, False), (PAPER, True), (REFLOATED, False)])
def test_the_timer_of_a_candidate_that_sees_a_higher_term(name: str, goes_on: bool) -> None:
    raft = candidate(name)
    before = timer(raft)

    raft.step(RequestVote(2, 1, raft.current_term + 1, **VAIN))

    assert raft.role is FOLLOWER
    assert (timer(raft) == before) == goes_on


def leader(name: str) -> RawNode:
    raft = candidate(name)
    for voter in (2, 3):
        raft.step(RequestVoteResponse(voter, 1, raft.current_term, True))
    work_off(raft)
    assert raft.role is LEADER
    return raft


@pytest.mark.parametrize("name", DIALECTS)
def test_a_leader_that_sees_a_higher_term_arms_its_timer(name: str) -> None:
    """It has none that could go on: what it counted were the rounds of its heartbeats."""
    raft = leader(name)
    raft.election_elapsed = 40

    raft.step(RequestVote(2, 1, raft.current_term + 1, **VAIN))

    assert raft.role is FOLLOWER
    assert raft.election_elapsed == 0


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("term", [1, 5])
def test_the_timer_of_a_follower_that_hears_the_leader(name: str, term: int) -> None:
    """Of its own term or of a later one: the timer is armed again (section 5.2)."""
    raft = server(name)
    raft.election_elapsed, raft.randomized_election_timeout = 40, 300  # as nobody draws it

    raft.step(Heartbeat(2, 1, term, 1, 0))

    assert (raft.leader_id, raft.election_elapsed) == (2, 0)
    assert (raft.randomized_election_timeout in range(100, 200)) == (term == 5), "each term has its own draw"


@pytest.mark.parametrize("name", DIALECTS)
def test_a_leader_that_a_request_deposes(name: str) -> None:
    """In "Raft Refloated" only a follower grants votes; elsewhere one that has just become a follower does, too."""
    raft = leader(name)
    term, last = raft.current_term + 1, raft.log.last_index

    raft.step(RequestVote(2, 1, term, last, term - 1))

    assert work_off(raft) == [RequestVoteResponse(1, 2, term, name != REFLOATED)]


@pytest.mark.parametrize(("name", "granted"), [(ETCD, True), (PAPER, True), (REFLOATED, False)])
def test_the_vote_of_a_candidate_that_a_request_deposes(name: str, granted: bool) -> None:
    raft = candidate(name)
    term = raft.current_term + 1

    raft.step(RequestVote(2, 1, term, 9, 1))

    assert work_off(raft) == [RequestVoteResponse(1, 2, term, granted)]
    assert raft.voted_for == (2 if granted else 0)


def test_who_refused_may_vote_for_another_in_that_term() -> None:
    raft = candidate(REFLOATED)
    term = raft.current_term + 1
    raft.step(RequestVote(2, 1, term, 9, 1))

    raft.step(RequestVote(3, 1, term, 9, 1))

    assert raft.voted_for == 3


@pytest.mark.parametrize(("name", "role"), [(ETCD, FOLLOWER), (PAPER, CANDIDATE), (REFLOATED, CANDIDATE)])
def test_a_candidate_whom_a_majority_refuses(name: str, role: Role) -> None:
    raft = candidate(name)

    for voter in (2, 3, 4):
        raft.step(RequestVoteResponse(voter, 1, raft.current_term, False))

    assert raft.role is role


@pytest.mark.parametrize(("name", "role"), [(ETCD, FOLLOWER), (PAPER, PRE_CANDIDATE), (REFLOATED, PRE_CANDIDATE)])
def test_a_pre_candidate_whom_a_majority_refuses(name: str, role: Role) -> None:
    raft = server(name, pre_vote=True)
    raft.campaign()
    work_off(raft)

    for voter in (2, 3, 4):
        raft.step(PreVoteResponse(voter, 1, raft.current_term, False))

    assert raft.role is role


@pytest.mark.parametrize("name", DIALECTS)
def test_a_pre_candidate_whom_a_majority_encourages_stands_for_election(name: str) -> None:
    raft = server(name, pre_vote=True)
    raft.campaign()
    work_off(raft)

    for voter in (2, 3):
        raft.step(PreVoteResponse(voter, 1, raft.current_term + 1, True))

    assert (raft.role, raft.current_term) == (CANDIDATE, 2)


@pytest.mark.parametrize("name", DIALECTS)
def test_a_majority_elects_in_every_dialect(name: str) -> None:
    raft = candidate(name)

    for voter in (2, 3):
        raft.step(RequestVoteResponse(voter, 1, raft.current_term, True))

    assert raft.role is LEADER
    told = {(type(m), m.dst) for m in work_off(raft)}
    assert told == {(AppendEntries, other) for other in (2, 3, 4, 5)}, "and tells them at once"


@pytest.mark.parametrize(("name", "answered"), [(ETCD, False), (PAPER, True), (REFLOATED, True)])
def test_messages_of_an_earlier_term(name: str, answered: bool) -> None:
    """RequestVote and AppendEntries rule 1, without CheckQuorum and PreVote."""
    raft = server(name)
    raft.become_follower(5, 0)
    work_off(raft)

    for message in (Heartbeat(2, 1, 3, 1, 0), AppendEntries(2, 1, 3, 1, 1, (), 1), RequestVote(2, 1, 3, 9, 2)):
        raft.step(message)

    said = [(type(m), m.term) for m in work_off(raft)]
    kinds = [AppendEntriesResponse, AppendEntriesResponse, RequestVoteResponse]
    assert said == ([(kind, 5) for kind in kinds] if answered else [])


@pytest.mark.parametrize("name", [PAPER, REFLOATED])
def test_a_pre_vote_of_an_earlier_term_is_refused_with_the_own_term(name: str) -> None:
    raft = server(name, pre_vote=True)
    raft.become_follower(5, 0)
    work_off(raft)

    raft.step(PreVote(2, 1, 3, 9, 2))

    assert work_off(raft) == [PreVoteResponse(1, 2, 5, False)]


@pytest.mark.parametrize(("name", "granted"), [(ETCD, True), (PAPER, False), (REFLOATED, False)])
def test_a_pre_vote_while_a_leader_is_heard(name: str, granted: bool) -> None:
    """Thesis 9.6: no; etcd says no only within the lease of CheckQuorum."""
    raft = server(name, pre_vote=True)
    raft.step(Heartbeat(3, 1, 1, 1, 0))
    work_off(raft)

    raft.step(PreVote(2, 1, 2, 9, 1))

    assert [m for m in work_off(raft) if m.dst == 2] == ([PreVoteResponse(1, 2, 2, True)] if granted else [])


def test_a_pre_vote_where_no_leader_is_known() -> None:
    raft = server(PAPER, pre_vote=True)

    raft.step(PreVote(2, 1, 2, 9, 1))

    assert work_off(raft) == [PreVoteResponse(1, 2, 2, True)]


def test_a_pre_vote_when_no_leader_was_heard_for_the_shortest_timeout() -> None:
    raft = server(PAPER, pre_vote=True)
    raft.step(Heartbeat(3, 1, 1, 1, 0))
    work_off(raft)
    raft.election_elapsed = 100

    raft.step(PreVote(2, 1, 2, 9, 1))

    assert work_off(raft) == [PreVoteResponse(1, 2, 2, True)]


@pytest.mark.parametrize(("name", "anew"), [(ETCD, False), (PAPER, True), (REFLOATED, True)])
def test_a_vote_that_is_granted_arms_the_timer(name: str, anew: bool) -> None:
    """With a new draw, as in LogCabin; etcd goes by the same timeout from its beginning."""
    raft = server(name)
    raft.election_elapsed, raft.randomized_election_timeout = 40, 300  # as nobody draws it

    raft.step(RequestVote(2, 1, 1, 9, 1))

    assert (raft.voted_for, raft.election_elapsed) == (2, 0)
    assert (raft.randomized_election_timeout in range(100, 200)) == anew
    assert anew or raft.randomized_election_timeout == 300


@pytest.mark.parametrize("name", [PAPER, REFLOATED])
def test_a_vote_that_is_asked_for_again_is_given_without_a_new_draw(name: str) -> None:
    raft = server(name)
    raft.step(RequestVote(2, 1, 1, 9, 1))
    raft.randomized_election_timeout = 300

    raft.step(RequestVote(2, 1, 1, 9, 1))

    assert [m.vote_granted for m in work_off(raft)] == [True, True]
    assert raft.randomized_election_timeout == 300


@pytest.mark.parametrize("name", [PAPER, REFLOATED])
def test_a_vote_that_is_refused_leaves_the_timer(name: str) -> None:
    raft = server(name)
    raft.election_elapsed, before = 40, raft.randomized_election_timeout

    raft.step(RequestVote(2, 1, 1, **VAIN))

    assert raft.voted_for == 0
    assert timer(raft) == (40, before)


# ---- candidates' own timers ------------------------------------------------------------------------------


def test_a_candidate_draws_from_its_own_range() -> None:
    core = dialect(REFLOATED, (23, 46))
    raft = candidate(REFLOATED, core)
    drawn = set()
    for _ in range(60):
        drawn.add(raft.randomized_election_timeout)
        raft.become_candidate()
    raft.become_follower(raft.current_term, 0)

    assert drawn <= set(range(23, 47))
    assert len(drawn) > 10
    assert 100 <= raft.randomized_election_timeout <= 199


def test_backoff_doubles_with_each_election_that_a_majority_refused() -> None:
    raft = candidate(REFLOATED, dialect(REFLOATED, (10, 10), backoff=True))
    drawn = [raft.randomized_election_timeout]
    for _ in range(3):
        for voter in (2, 3, 4, 5):
            raft.step(RequestVoteResponse(voter, 1, raft.current_term, False))
        raft.campaign()
        work_off(raft)
        drawn.append(raft.randomized_election_timeout)
    raft.step(Heartbeat(3, 1, raft.current_term, 1, 0))
    raft.campaign()

    assert drawn == [10, 20, 40, 80]
    assert raft.randomized_election_timeout == 10


def test_backoff_alone_doubles_what_a_follower_draws() -> None:
    raft = candidate(REFLOATED, dialect(REFLOATED, backoff=True))
    for voter in (2, 3, 4, 5):
        raft.step(RequestVoteResponse(voter, 1, raft.current_term, False))

    raft.campaign()

    assert raft.randomized_election_timeout in range(200, 399, 2)


def test_candidates_with_a_range_of_their_own_need_not_back_off() -> None:
    raft = candidate(REFLOATED, dialect(REFLOATED, (10, 10)))
    for voter in (2, 3, 4, 5):
        raft.step(RequestVoteResponse(voter, 1, raft.current_term, False))

    raft.campaign()

    assert raft.randomized_election_timeout == 10


def test_a_leader_has_no_defeats() -> None:
    raft = candidate(REFLOATED, dialect(REFLOATED, (10, 10), backoff=True))
    for voter in (2, 3, 4, 5):
        raft.step(RequestVoteResponse(voter, 1, raft.current_term, False))
    raft.campaign()
    work_off(raft)
    for voter in (2, 3):
        raft.step(RequestVoteResponse(voter, 1, raft.current_term, True))
    assert raft.role is LEADER

    assert raft.defeats == 0  # type: ignore[attr-defined]


def test_an_election_that_nobody_answers_is_no_defeat() -> None:
    raft = candidate(REFLOATED, dialect(REFLOATED, (10, 10), backoff=True))
    raft.step(RequestVoteResponse(2, 1, raft.current_term, False))

    raft.campaign()

    assert raft.randomized_election_timeout == 10


def test_only_refloated_knows_candidates_timers() -> None:
    with pytest.raises(ValueError, match="paper knows no timers of candidates"):
        dialect(PAPER, (1, 2))
    with pytest.raises(ValueError, match="no dialect named 'zab'"):
        dialect("zab")
    assert dialect(REFLOATED, (1, 2)) is dialect(REFLOATED, (1, 2))
    assert issubclass(dialect(REFLOATED, (1, 2)), Refloated)


def test_a_range_of_its_own() -> None:
    raft = server(ETCD, election_tick_most=104)
    wide = server(ETCD)

    assert {raft.draw_election_timeout() for _ in range(200)} == set(range(100, 105))
    assert {wide.draw_election_timeout() for _ in range(4000)} == set(range(100, 200))
    assert {server(ETCD, election_tick_most=100).draw_election_timeout() for _ in range(20)} == {100}
    with pytest.raises(ValueError, match="election_tick_most"):
        Config(id=1, rng=Random(1), election_tick=10, election_tick_most=9)
