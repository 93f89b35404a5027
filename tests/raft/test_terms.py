"""Terms, roles and ticks: section 5.1 and 5.2."""

from collections import Counter
from random import Random

import pytest

from swarmsim.raft import Config, ConfState, HardState, LocalMessage, PeerNotFound, RawNode, Role, Snapshot
from swarmsim.raft.messages import (
    AppendEntries,
    AppendEntriesResponse,
    Beat,
    CheckQuorum,
    Heartbeat,
    HeartbeatResponse,
    Hup,
    InstallSnapshot,
    PreVote,
    PreVoteResponse,
    RequestVote,
    RequestVoteResponse,
    SnapshotStatus,
    Unreachable,
)
from tests.raft.network import append, ask_vote, entries, leader, only, pump, server, ticks


@pytest.mark.parametrize("role", [Role.FOLLOWER, Role.CANDIDATE, Role.LEADER])
def test_server_of_any_role_follows_the_leader_of_a_higher_term(role: Role) -> None:
    """R-001, section 5.1."""
    raft = leader() if role is Role.LEADER else server(hard=HardState(1, 0, 0))
    if role is Role.CANDIDATE:
        raft.campaign()
    term = raft.current_term + 1

    raft.step(AppendEntries(3, 1, term, 0, 0, (), 0))

    assert raft.soft_state() == (3, Role.FOLLOWER)
    assert raft.current_term == term


def test_message_of_a_lower_term_is_ignored_without_an_answer() -> None:
    """R-002 and R-003, section 5.1: without CheckQuorum and PreVote nobody is told."""
    raft = server(hard=HardState(2, 0, 0))

    raft.step(AppendEntries(2, 1, 1, 0, 0, tuple(entries(1)), 0))
    raft.step(Heartbeat(2, 1, 1, 0))
    raft.step(RequestVote(2, 1, 1, 9, 9))

    assert pump(raft) == []
    assert (raft.current_term, raft.log.last_index, raft.leader_id) == (2, 0, 0)


@pytest.mark.parametrize("option", ["check_quorum", "pre_vote"])
def test_stale_leader_is_told_of_the_term_with_check_quorum_or_pre_vote(option: str) -> None:
    """R-003, reference section 6 rule 3.1."""
    raft = server(hard=HardState(3, 0, 0), **{option: True})

    raft.step(AppendEntries(2, 1, 1, 0, 0, (), 0))
    raft.step(Heartbeat(2, 1, 1, 0))

    assert pump(raft) == [AppendEntriesResponse(1, 2, 3, 0)] * 2


def test_pre_vote_of_a_lower_term_is_refused() -> None:
    """R-060, reference section 6 rule 3.2."""
    raft = server(hard=HardState(3, 0, 0), pre_vote=True)

    raft.step(PreVote(2, 1, 2, 9, 9))

    assert pump(raft) == [PreVoteResponse(1, 2, 3, False)]


def test_server_starts_as_follower() -> None:
    """R-004, section 5.2."""
    raft = server()

    assert raft.soft_state() == (0, Role.FOLLOWER)


def test_roles_change_only_as_figure_4_says() -> None:
    """R-005, Figure 4."""
    follower, head = server(), leader()

    with pytest.raises(AssertionError):
        follower.become_leader()
    with pytest.raises(AssertionError):
        head.become_candidate()
    with pytest.raises(AssertionError):
        head.become_pre_candidate()


def test_vote_is_kept_for_the_term_and_cleared_with_it() -> None:
    """R-007, section 5.2: a server votes once per term."""
    raft = server()
    raft.campaign()
    pump(raft)

    raft.step(Heartbeat(2, 1, 1, 0))
    ask_vote(raft, 3, 1)

    assert (raft.role, raft.leader_id, raft.voted_for) == (Role.FOLLOWER, 2, 1)
    assert pump(raft)[-1] == RequestVoteResponse(1, 3, 1, False)
    raft.step(Heartbeat(2, 1, 2, 0))
    assert raft.voted_for == 0


def test_leader_begins_with_what_it_knows_of_its_own_log() -> None:
    """Reference section 4.3, Figure 2: matchIndex 0 and nextIndex last + 1 for the others, inactive all."""
    raft = server(log=[1, 1], hard=HardState(1, 0, 0))
    raft.campaign()
    pump(raft)

    raft.become_leader()

    records = {id: (r.match_index, r.next_index, r.recent_active) for id, r in raft.progress.items()}
    assert records == {1: (2, 3, True), 2: (0, 3, False), 3: (0, 3, False)}


def test_pre_candidate_keeps_term_vote_and_timer() -> None:
    """R-008, thesis 9.6."""
    raft = server(hard=HardState(4, 3, 0), pre_vote=True, dice=4)
    ticks(raft, 5)

    raft.campaign()

    assert raft.role is Role.PRE_CANDIDATE
    assert (raft.current_term, raft.voted_for) == (4, 3)
    assert (raft.election_elapsed, raft.randomized_election_timeout) == (5, 14)


@pytest.mark.parametrize("role", [Role.FOLLOWER, Role.CANDIDATE])
def test_election_timeout_is_drawn_from_the_whole_range(role: Role) -> None:
    """R-010, section 5.2: 10 to 19 ticks, each of them."""
    raft = RawNode(Config(id=1, rng=Random(1)), snapshot=Snapshot(0, 0, ConfState((1, 2, 3))))
    seen: Counter[int] = Counter()

    for _ in range(500):
        raft.become_follower(raft.current_term + 1, 2)
        if role is Role.CANDIDATE:
            raft.become_candidate()
        term, waited = raft.current_term, 0
        while raft.current_term == term:
            raft.tick()
            waited += 1
        seen[waited] += 1
        pump(raft)

    assert sorted(seen) == list(range(10, 20))
    assert min(seen.values()) > 20


@pytest.mark.parametrize(("elapsed", "share"), [(5, 0), (10, 0.1), (13, 0.4), (15, 0.6), (18, 0.9), (20, 1)])
def test_chance_of_having_timed_out_grows_evenly(elapsed: int, share: float) -> None:
    """R-011, section 5.2."""
    raft = server()
    timeouts = []

    for face in range(10):  # the dice show each face in turn
        raft.config.rng.value = face  # type: ignore[attr-defined]
        timeouts.append(raft.draw_election_timeout())

    assert sum(elapsed >= timeout for timeout in timeouts) / 10 == share


@pytest.mark.parametrize("candidate", [False, True])
def test_server_that_hears_nothing_starts_an_election(candidate: bool) -> None:
    """R-013, section 5.2."""
    raft = server(dice=9, hard=HardState(1, 0, 0))
    if candidate:
        raft.become_candidate()
    term = raft.current_term

    ticks(raft, 19)
    sent = pump(raft)

    assert (raft.role, raft.current_term, raft.votes) == (Role.CANDIDATE, term + 1, {1: True})
    assert sent == [RequestVote(1, peer, term + 1, 0, 0) for peer in (2, 3)]


def test_leader_sends_heartbeats_to_each_peer() -> None:
    """R-014, section 5.2."""
    raft = leader(heartbeat_tick=2)

    raft.tick()
    quiet = pump(raft)
    raft.tick()

    assert quiet == []
    assert pump(raft) == [Heartbeat(1, peer, 1, 0) for peer in (2, 3)]
    raft.tick()
    assert pump(raft) == []
    raft.tick()
    assert len(pump(raft)) == 2


@pytest.mark.parametrize("kind", [AppendEntries, Heartbeat, InstallSnapshot])
def test_message_of_the_leader_restarts_the_followers_timer(kind: type) -> None:
    """R-016, section 5.2."""
    raft = server(hard=HardState(1, 0, 0))
    ticks(raft, 9)

    if kind is AppendEntries:
        append(raft, (0, 0))
    elif kind is Heartbeat:
        raft.step(Heartbeat(2, 1, 1, 0))
    else:
        raft.step(InstallSnapshot(2, 1, 1, Snapshot(0, 0, ConfState((1, 2, 3)))))
    ticks(raft, 9)

    assert raft.role is Role.FOLLOWER
    raft.tick()
    assert raft.role is Role.CANDIDATE


def test_granting_a_vote_restarts_the_timer() -> None:
    """R-017, section 5.2 and Figure 2, Followers."""
    raft = server(hard=HardState(1, 0, 0))
    ticks(raft, 9)

    ask_vote(raft, 2, 1)
    ticks(raft, 9)

    assert raft.role is Role.FOLLOWER
    raft.tick()
    assert raft.role is Role.CANDIDATE


@pytest.mark.parametrize("refused", [True, False])
def test_refusing_a_vote_or_granting_a_pre_vote_does_not_restart_the_timer(refused: bool) -> None:
    """R-017, reference section 5."""
    raft = server(log=[1])
    ticks(raft, 9)

    if refused:
        ask_vote(raft, 2, 1, (0, 0))
    else:
        raft.step(PreVote(2, 1, 2, 9, 9))
    raft.tick()

    assert raft.role is Role.CANDIDATE


@pytest.mark.parametrize(
    ("conf", "expected"),
    [
        (ConfState((1,)), True),
        (ConfState((1, 2, 3)), True),
        (ConfState(), False),
        (ConfState((2, 3)), False),
        (ConfState((2, 3), learners=(1,)), False),
    ],
)
def test_only_a_voter_may_become_leader(conf: ConfState, expected: bool) -> None:
    """R-019, reference section 4.5."""
    raft = server(conf=conf)

    ticks(raft, 30)

    assert raft.promotable() is expected
    assert (raft.role is not Role.FOLLOWER) is expected


def test_server_with_a_snapshot_to_write_is_not_promotable() -> None:
    """R-019 and R-039, reference section 4.5."""
    raft = server(hard=HardState(1, 0, 0))
    raft.step(InstallSnapshot(2, 1, 1, Snapshot(11, 1, ConfState((1, 2, 3)))))

    raft.campaign()
    ticks(raft, 30)

    assert raft.role is Role.FOLLOWER
    pump(raft)
    raft.campaign()
    assert raft.role is Role.CANDIDATE


def test_local_messages_from_outside_are_refused() -> None:
    """R-224, reference section 3."""
    raft = leader()

    for m in (Hup(2, 1), Beat(2, 1), CheckQuorum(2, 1), Unreachable(2, 1), SnapshotStatus(2, 1, 0, True)):
        with pytest.raises(LocalMessage):
            raft.step(m)


def test_responses_of_strangers_are_refused_but_not_their_requests() -> None:
    """R-224, reference section 3."""
    raft = server(hard=HardState(1, 0, 0))

    for m in (AppendEntriesResponse(9, 1, 1, 0), HeartbeatResponse(9, 1, 1), RequestVoteResponse(9, 1, 1, True)):
        with pytest.raises(PeerNotFound):
            raft.step(m)
    raft.step(Heartbeat(9, 1, 1, 0))

    assert raft.leader_id == 9
    assert len(only(pump(raft), HeartbeatResponse, 9)) == 1


def test_campaign_restarts_the_timer() -> None:
    """R-044, reference section 7.2."""
    raft = server()
    ticks(raft, 9)

    raft.campaign()
    ticks(raft, 9)

    assert raft.current_term == 1
    raft.tick()
    assert raft.current_term == 2
