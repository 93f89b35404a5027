"""PreVote, which SwarmKit leaves off: would I win? Thesis 9.6."""

import pytest

from swarmsim.raft import ConfState, HardState, Role
from swarmsim.raft.messages import Heartbeat, PreVote, PreVoteResponse, RequestVote, RequestVoteResponse
from tests.raft.network import Network, cluster, only, pump, server, ticks

F, P, C, L = Role.FOLLOWER, Role.PRE_CANDIDATE, Role.CANDIDATE, Role.LEADER


def test_pre_vote_asks_for_the_next_term_without_beginning_it() -> None:
    """Reference section 7.2: the own answer travels as every answer does."""
    raft = server(conf=ConfState((1, 2), (1, 3), (4,)), log=[1, 1], hard=HardState(3, 2, 0), pre_vote=True)

    raft.campaign()
    sent = pump(raft)

    assert sent == [PreVote(1, peer, 4, 2, 1) for peer in (2, 3)]
    assert (raft.role, raft.current_term, raft.voted_for, raft.votes) == (P, 3, 2, {1: True})


def test_majority_of_pre_votes_starts_the_election() -> None:
    """Reference section 7.4: with no vote counted yet, not even the own."""
    raft = server(pre_vote=True)
    raft.campaign()
    pump(raft)

    raft.step(PreVoteResponse(2, 1, 1, True))

    assert (raft.role, raft.current_term, raft.votes) == (C, 1, {})
    assert only(pump(raft), RequestVote) == [RequestVote(1, peer, 1, 0, 0) for peer in (2, 3)]


def test_refused_pre_vote_of_the_own_term_makes_a_follower() -> None:
    """Reference section 7.4: lost, and neither term nor vote has changed."""
    raft = server(hard=HardState(2, 3, 0), pre_vote=True)
    raft.campaign()
    pump(raft)

    for peer in (2, 3):
        raft.step(PreVoteResponse(peer, 1, 2, False))

    assert (raft.role, raft.current_term, raft.voted_for, raft.leader_id) == (F, 2, 3, 0)


def test_refused_pre_vote_of_a_higher_term_is_followed() -> None:
    """Reference section 6 rule 2.2: only a granted one speaks of a term that has not begun."""
    raft = server(hard=HardState(2, 0, 0), pre_vote=True)
    raft.campaign()
    pump(raft)

    raft.step(PreVoteResponse(2, 1, 7, False))

    assert (raft.role, raft.current_term, raft.leader_id) == (F, 7, 0)


def test_pre_candidate_waits_a_whole_timeout_before_it_asks_again() -> None:
    """Reference section 5: the timer begins again with the campaign, although its length is not drawn anew."""
    raft = server(pre_vote=True)
    ticks(raft, 10)
    first = only(pump(raft), PreVote)

    ticks(raft, 9)
    early = only(pump(raft), PreVote)
    raft.tick()

    assert (len(first), early) == (2, [])
    assert len(only(pump(raft), PreVote)) == 2


@pytest.mark.parametrize("reason", ["vote", "leader", "none"])
def test_pre_vote_of_the_own_term_is_answered_as_a_vote_is(reason: str) -> None:
    """R-026, reference section 7.3: refused if another has the vote, or a leader is known."""
    raft = server(hard=HardState(2, 3 if reason == "vote" else 0, 0))
    if reason == "leader":
        raft.step(Heartbeat(3, 1, 2, 0))
        pump(raft)

    raft.step(PreVote(2, 1, 2, 9, 9))

    assert pump(raft) == [PreVoteResponse(1, 2, 2, reason == "none")]


def test_granting_a_pre_vote_changes_nothing() -> None:
    """Reference section 7.3: the answer carries the term that was asked about."""
    raft = server(hard=HardState(2, 3, 0), pre_vote=True)
    raft.step(Heartbeat(3, 1, 2, 0))
    pump(raft)

    raft.step(PreVote(2, 1, 3, 9, 9))

    assert pump(raft) == [PreVoteResponse(1, 2, 3, True)]
    assert (raft.current_term, raft.voted_for, raft.leader_id) == (2, 3, 3)


def test_rejoining_server_without_pre_vote_disturbs_the_leader() -> None:
    """R-036, thesis 9.6: it cannot win, but its term deposes the leader."""
    net = cluster()
    net.campaign(1)
    net.isolate(3)
    net.propose(1)
    net.campaign(3)
    net.heal()

    net.campaign(3)

    assert net.roles() == [F, F, F]
    assert [raft.current_term for raft in net.servers.values()] == [3, 3, 3]


def test_late_heartbeat_to_a_pre_candidate_disturbs_nobody() -> None:
    """R-055: R-054 with PreVote, and with the log of 3 behind."""
    net = cluster(check_quorum=True, pre_vote=True)
    net.campaign(1)
    net.campaign(2)
    net.campaign(1)
    net.isolate(3)
    net.propose(1)
    net.heal()
    term = net[1].current_term
    net.campaign(3)
    before = (net.roles(), net[3].current_term)

    net.beat(1)

    assert before == ([L, F, P], term)
    assert net.roles() == [L, F, F]
    assert net[3].leader_id == 1
    assert [raft.current_term for raft in net.servers.values()] == [term] * 3


def test_pre_candidate_helps_another_since_it_knows_no_leader() -> None:
    """R-059: PreVote and CheckQuorum, leader 1 vanishes right after a heartbeat."""
    net = cluster(check_quorum=True, pre_vote=True)
    net.campaign(1)
    net.isolate(1)
    net.campaign(3)
    alone = net[3].role

    net.campaign(2)

    assert alone is P
    assert net.roles()[1:] == [L, F]
    assert net[2].current_term == net[3].current_term == 2


def test_pre_vote_brings_a_server_of_a_lower_term_along() -> None:
    """R-061: 3 was cut off in term 1, the others are in term 3, and their leader vanishes."""
    servers = [server(1, hard=HardState(3, 2, 0), pre_vote=True), server(2, hard=HardState(3, 2, 0), pre_vote=True)]
    net = Network(*servers, server(3, hard=HardState(1, 0, 0), pre_vote=True))
    net.isolate(2)

    net.campaign(3)
    refused = (net[3].role, net[3].current_term)
    net.campaign(1)

    assert refused == (F, 3)
    assert (net[1].role, net[3].role) == (L, F)
    assert net[1].current_term == net[3].current_term == 4


def test_vote_answers_do_not_count_for_a_pre_candidate() -> None:
    """Reference section 7.4: only the answer that fits the role."""
    raft = server(hard=HardState(1, 0, 0), pre_vote=True)
    raft.campaign()
    pump(raft)

    raft.step(RequestVoteResponse(2, 1, 1, True))
    raft.step(RequestVoteResponse(3, 1, 1, True))

    assert (raft.role, raft.votes) == (P, {1: True})
