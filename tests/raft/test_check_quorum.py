"""CheckQuorum and the lease that it gives: thesis 6.2 and 4.2.3."""

import pytest

from swarmsim.raft import ConfChange, ConfChangeType, ConfState, HardState, Role
from swarmsim.raft.messages import AppendEntriesResponse, Heartbeat, HeartbeatResponse, PreVote, RequestVote
from tests.raft.network import ack, ask_vote, cluster, leader, only, pump, server, ticks

F, C, L = Role.FOLLOWER, Role.CANDIDATE, Role.LEADER


def test_leader_that_hears_nobody_since_its_election_steps_down() -> None:
    """R-050, thesis 6.2: after one election timeout, and keeps its term."""
    raft = leader(check_quorum=True, election_tick=5)

    ticks(raft, 4)
    before = raft.role
    raft.tick()

    assert (before, raft.role) == (L, F)
    assert (raft.current_term, raft.leader_id, raft.voted_for) == (1, 0, 1)


@pytest.mark.parametrize("answered_at", range(5))
def test_leader_is_deposed_after_the_first_silent_interval(answered_at: int) -> None:
    """R-050: the answer counts for the interval in which it came."""
    raft = leader(check_quorum=True, election_tick=5)

    ticks(raft, answered_at)
    raft.step(HeartbeatResponse(2, 1, 1))
    ticks(raft, 9 - answered_at)

    assert raft.role is L
    raft.tick()
    assert raft.role is F


def test_leader_that_is_answered_in_each_interval_stays() -> None:
    """R-050: any message of a peer will do."""
    raft = leader(check_quorum=True, election_tick=5)

    for interval in range(6):
        ticks(raft, 3)
        if interval % 2:
            raft.step(HeartbeatResponse(2, 1, 1))
        else:
            ack(raft, 3, 0)
        ticks(raft, 2)

        assert raft.role is L


def test_without_check_quorum_a_lonely_leader_stays() -> None:
    """Section 5.2 alone knows no such rule."""
    raft = leader()

    ticks(raft, 100)

    assert raft.role is L


def test_vote_is_granted_at_once_while_no_leader_is_known() -> None:
    """R-052, reference section 6: no leader, no lease."""
    raft = server(check_quorum=True, hard=HardState(1, 0, 0))

    ask_vote(raft, 2, 2)

    assert [m.vote_granted for m in pump(raft)] == [True]


@pytest.mark.parametrize("kind", [RequestVote, PreVote])
def test_lease_ends_with_the_shortest_election_timeout(kind: type) -> None:
    """R-065, thesis 4.2.3: 10 ticks, whatever the own timeout is."""
    raft = server(check_quorum=True, dice=9, hard=HardState(1, 0, 0))
    raft.step(Heartbeat(2, 1, 1, 0))
    pump(raft)
    request = kind(3, 1, 2, 99, 99)

    ticks(raft, 9)
    raft.step(request)
    silent = pump(raft)
    raft.tick()
    raft.step(request)

    assert silent == []
    assert raft.current_term == (2 if kind is RequestVote else 1)
    assert [m.vote_granted for m in pump(raft)] == [True]


def test_leader_itself_is_protected_by_the_lease() -> None:
    """Reference section 6 rule 2.1: its own timer never reaches the election timeout."""
    raft = leader(check_quorum=True)
    ticks(raft, 9)
    pump(raft)

    ask_vote(raft, 3, 5)

    assert pump(raft) == []
    assert (raft.role, raft.current_term) == (L, 1)


def test_vote_that_the_leader_itself_asked_for_passes_the_lease() -> None:
    """R-058, thesis 3.10 and 4.2.3."""
    raft = server(check_quorum=True, hard=HardState(1, 0, 0))
    raft.step(Heartbeat(2, 1, 1, 0))
    pump(raft)

    ask_vote(raft, 3, 2, transfer=True)

    assert [m.vote_granted for m in pump(raft)] == [True]
    assert (raft.current_term, raft.leader_id) == (2, 0)


def test_stuck_candidate_is_freed_by_the_leader_it_answers() -> None:
    """R-053, reference section 6 rule 3.1: its term is ahead, and nobody votes for it."""
    net = cluster(check_quorum=True)
    net.campaign(1)
    net.isolate(3)
    net.campaign(3)
    net.campaign(3)
    net.heal()
    net.campaign(3)
    stuck = (net.roles(), net[1].current_term, net[3].current_term)

    net.beat(1)

    assert stuck == ([L, F, C], 1, 4)
    assert (net[1].role, net[1].current_term) == (F, 4)
    net.campaign(3)
    assert (net.roles(), net[3].current_term) == ([F, F, L], 5)


def test_late_heartbeat_to_a_candidate_deposes_the_leader() -> None:
    """R-054: the candidate answers with its own term."""
    net = cluster(check_quorum=True)
    net.campaign(1)
    net.ignore = {RequestVote}
    net.campaign(3)
    term = net[3].current_term

    net.beat(1)

    assert (net[3].role, term) == (C, 2)
    assert (net[1].role, net[1].current_term) == (F, 2)


def test_new_member_counts_as_active_until_it_could_answer() -> None:
    """R-056, reference section 10.4."""
    raft = leader(voters=(1,), check_quorum=True)
    ticks(raft, 9)
    raft.apply_conf_change(ConfChange(ConfChangeType.ADD_NODE, 2))

    raft.tick()

    assert raft.role is L
    ticks(raft, 9)
    assert raft.role is L
    raft.tick()
    assert raft.role is F


@pytest.mark.parametrize(("heard", "role"), [((2, 3), F), ((4, 5), F), ((2, 4), L), ((4, 6), F), ((6,), F)])
def test_leader_must_hear_both_halves_of_a_joint_configuration(heard: tuple[int, ...], role: Role) -> None:
    """R-064: and learners (here 6) do not count."""
    raft = server(conf=ConfState((1, 2, 3), (1, 4, 5), (6,)), check_quorum=True)
    raft.campaign()
    pump(raft)
    raft.become_leader()

    for peer in heard:
        raft.step(HeartbeatResponse(peer, 1, 1))
    ticks(raft, 10)

    assert raft.role is role


def test_stale_answer_carries_no_log_position() -> None:
    """Reference section 6 rule 3.1: not rejecting, index 0, so that it can move nothing."""
    raft = server(hard=HardState(3, 0, 0), log=[1, 3], check_quorum=True)

    raft.step(Heartbeat(2, 1, 1, 0))

    assert only(pump(raft), AppendEntriesResponse) == [AppendEntriesResponse(1, 2, 3, 0, True, 0, 0)]
