"""Forgetting the leader. SwarmKit does not use it."""

import pytest

from swarmsim.raft import HardState, ReadOnly, Role
from swarmsim.raft.messages import ForgetLeader, Heartbeat, PreVote
from tests.raft.network import ask_vote, cluster, leader, pump, server, terms, ticks


def test_follower_forgets_its_leader_and_nothing_else() -> None:
    """Reference section 14.2: term, vote and timer stay."""
    raft = server(hard=HardState(3, 2, 0), check_quorum=True)
    raft.step(Heartbeat(2, 1, 3, 0))
    ticks(raft, 4)
    pump(raft)

    raft.forget_leader()

    assert (raft.leader_id, raft.current_term, raft.voted_for, raft.election_elapsed) == (0, 3, 2, 4)
    ready = raft.ready()
    assert (ready.soft_state, ready.hard_state, ready.messages) == ((0, Role.FOLLOWER), None, [])


def test_lease_is_gone_with_the_leader_but_not_the_log_rule() -> None:
    """Reference section 14.2: votes can be granted, though not to a log that is behind."""
    raft = server(hard=HardState(1, 0, 0), log=[1, 1], check_quorum=True, pre_vote=True)
    raft.step(Heartbeat(2, 1, 1, 0))
    pump(raft)

    raft.step(PreVote(3, 1, 2, 9, 9))
    leased = pump(raft)
    raft.forget_leader()
    raft.step(PreVote(3, 1, 2, 1, 1))
    raft.step(PreVote(3, 1, 2, 2, 1))

    assert leased == []
    assert [m.vote_granted for m in pump(raft)] == [False, True]


def test_next_message_of_the_leader_brings_it_back() -> None:
    """Reference section 14.2."""
    raft = server(hard=HardState(1, 0, 0))
    raft.step(Heartbeat(2, 1, 1, 0))

    raft.forget_leader()
    raft.step(Heartbeat(2, 1, 1, 0))

    assert raft.leader_id == 2


def test_leader_is_not_forgotten_where_reads_rely_on_the_lease() -> None:
    """Reference section 14.2."""
    raft = server(hard=HardState(1, 0, 0), check_quorum=True, read_only=ReadOnly.LEASE_BASED)
    raft.step(Heartbeat(2, 1, 1, 0))

    raft.forget_leader()
    ask_vote(raft, 3, 2)

    assert (raft.leader_id, raft.current_term) == (2, 1)


def test_leader_and_candidate_ignore_it() -> None:
    """Reference sections 8 and 9.1."""
    head, candidate = leader(), server()
    candidate.campaign()

    head.forget_leader()
    candidate.forget_leader()
    head.step(ForgetLeader(1, 1))

    assert (head.role, head.leader_id) == (Role.LEADER, 1)
    assert (candidate.role, candidate.current_term) == (Role.CANDIDATE, 1)


@pytest.mark.parametrize("forget", [False, True])
def test_followers_that_forget_can_elect_another_within_the_lease(forget: bool) -> None:
    """Reference section 14.2, PreVote and CheckQuorum on."""
    net = cluster(check_quorum=True, pre_vote=True)
    net.campaign(1)
    net.isolate(1)
    if forget:
        net[2].forget_leader()
        net[3].forget_leader()

    net.campaign(2)

    assert net[2].role is (Role.LEADER if forget else Role.PRE_CANDIDATE)
    assert terms(net[2]) == ([1, 2] if forget else [1])
