"""What commits, and who is told: sections 5.3 and 5.4.2."""

import pytest

from swarmsim.raft import ConfState, HardState, RawNode, Role
from swarmsim.raft.messages import AppendEntries, Heartbeat, HeartbeatResponse
from tests.raft.network import Network, ack, append, cluster, grant, leader, only, pump, server, terms


def test_leader_commits_only_entries_of_its_own_term() -> None:
    """R-074, section 5.4.2, Figure 8: those before are committed along."""
    raft = leader(voters=(1, 2), log=[1, 2], hard=HardState(2, 0, 0))

    committed = []
    for index in (1, 2, 3):
        ack(raft, 2, index)
        committed.append(raft.commit_index)

    assert raft.current_term == 3
    assert committed == [0, 0, 3]


@pytest.mark.parametrize("log", [[], [2], [1, 2], [1]])
def test_inherited_entries_commit_with_the_first_of_the_new_term(log: list[int]) -> None:
    """R-073, section 5.4.2 and section 8."""
    net = Network(server(1, log=log, hard=HardState(2, 0, 0)), server(2), server(3))
    net.campaign(1)

    net.propose(1, b"x")

    assert [e.term for e in net.applied[1]] == [*log, 3, 3]
    assert net.applied[1] == net.applied[2] == net.applied[3]


def test_entry_on_a_minority_does_not_commit_under_the_next_leader_either() -> None:
    """R-076, Figure 8: only when an entry of the new leader's term has a majority."""
    net = cluster(5)
    net.campaign(1)
    net.cut = {(a, b) for a in (1, 2) for b in (3, 4, 5)} | {(b, a) for a in (1, 2) for b in (3, 4, 5)}
    net.propose(1)
    net.propose(1)
    alone = net[1].commit_index
    net.heal()
    net.ignore = {AppendEntries}
    net.campaign(2)
    elected = net[2].commit_index
    net.ignore = set()

    net.beat(2)
    net.propose(2)

    assert (alone, elected) == (1, 1)
    assert net[2].commit_index == 5


def test_empty_entry_of_a_new_leader_carries_the_rest() -> None:
    """R-077, section 8."""
    net = cluster(5)
    net.campaign(1)
    net.cut = {(a, b) for a in (1, 2) for b in (3, 4, 5)} | {(b, a) for a in (1, 2) for b in (3, 4, 5)}
    net.propose(1)
    net.propose(1)
    net.heal()

    net.campaign(2)

    assert net[2].commit_index == 4


@pytest.mark.parametrize(
    ("matches", "log", "term", "expected"),
    [
        ([1], [1], 1, 1), ([1], [1], 2, 0), ([2], [1, 2], 2, 2), ([1], [2], 2, 1),
        ([2, 1, 1], [1, 2], 1, 1), ([2, 1, 1], [1, 1], 2, 0),
        ([2, 1, 2], [1, 2], 2, 2), ([2, 1, 2], [1, 1], 2, 0),
        ([2, 1, 1, 1], [1, 2], 1, 1), ([2, 1, 1, 1], [1, 1], 2, 0),
        ([2, 1, 2, 2], [1, 2], 2, 2), ([2, 1, 2, 2], [1, 1], 2, 0), ([2, 1, 1, 2], [1, 2], 2, 0),
    ],
)  # fmt: skip
def test_commit_index_is_the_majority_match_of_the_own_term(
    matches: list[int], log: list[int], term: int, expected: int
) -> None:
    """Reference section 8.4, Figure 2, Leaders."""
    raft = server(voters=tuple(range(1, len(matches) + 1)), log=log, hard=HardState(term, 0, 0))
    for id, match in enumerate(matches, 1):
        raft.progress[id].match_index = match

    moved = raft.maybe_commit()

    assert (raft.commit_index, moved) == (expected, expected > 0)


def test_commit_needs_both_halves_of_a_joint_configuration() -> None:
    """Section 6; reference section 15: the smaller index of the two halves, and learners do not count."""
    raft = server(conf=ConfState((1, 2, 3), (1, 4, 5), (6,)))
    raft.campaign()
    pump(raft)
    grant(raft, 2)
    grant(raft, 4)
    pump(raft)

    committed = []
    for peer in (6, 2, 3, 4):
        ack(raft, peer, 1)
        committed.append(raft.commit_index)

    assert committed == [0, 0, 0, 1]


@pytest.mark.parametrize(("commit", "expected"), [(10, 3), (3, 3), (2, 2), (0, 1)])
def test_follower_commits_no_further_than_the_last_new_entry(commit: int, expected: int) -> None:
    """R-092, AppendEntries rule 5: what follows was not compared."""
    raft = server(log=[1, 1, 1, 1, 1], hard=HardState(2, 0, 1))

    append(raft, (2, 1), [1], commit)

    assert raft.commit_index == expected
    assert terms(raft) == [1, 1, 1, 1, 1]


def test_heartbeat_carries_no_commit_index_beyond_the_match() -> None:
    """R-094, reference section 8: the peer may hold something else there."""
    raft = leader(voters=(1, 2, 3, 4, 5), log=[1] * 10, base=(0, 0), hard=HardState(1, 0, 0))
    for peer in (2, 3):
        ack(raft, peer, 11)
    raft.propose(b"x", 1)
    pump(raft)
    ack(raft, 2, 12)
    pump(raft)

    raft.broadcast_heartbeat()

    beats = {m.dst: m.leader_commit for m in only(pump(raft), Heartbeat)}
    assert raft.commit_index == 11
    assert beats == {2: 11, 3: 11, 4: 0, 5: 0}


# -- who is told (reference section 10.3, can_bump_commit) --
def two_in_flight() -> RawNode:
    """A leader with the log [1…] to 13, 11 acknowledged by all, 12 and 13 on their way to both peers."""
    raft = leader(log=[1] * 10, hard=HardState(1, 0, 10))
    ack(raft, 2, 11)
    ack(raft, 3, 11)
    pump(raft)
    for _ in range(2):
        raft.propose(b"x", 1)
        pump(raft)
    return raft


def test_commit_index_is_pushed_again_after_a_heartbeat_that_lowered_it() -> None:
    """R-133, reference section 10.3: the heartbeat said 11, so the late acknowledgment of 12 is answered with 13."""
    raft = two_in_flight()
    ack(raft, 2, 13)
    pump(raft)

    raft.broadcast_heartbeat()
    (beat,) = only(pump(raft), Heartbeat, 3)
    ack(raft, 3, 12)

    assert beat.leader_commit == 11
    assert [(m.prev_log_index, m.entries, m.leader_commit) for m in pump(raft)] == [(13, (), 13)]


def test_commit_index_is_not_pushed_twice() -> None:
    """R-133, the other half: an empty message after the heartbeat's answer has told it already."""
    raft = two_in_flight()
    ack(raft, 2, 13)
    raft.broadcast_heartbeat()
    pump(raft)
    raft.step(HeartbeatResponse(3, 1, 2))
    (empty,) = only(pump(raft), AppendEntries, 3)

    ack(raft, 3, 13)

    assert (empty.entries, empty.leader_commit) == ((), 13)
    assert only(pump(raft), AppendEntries, 3) == []


def test_commit_index_is_told_to_a_peer_that_was_unreachable() -> None:
    """R-134, reference section 10.3: falling back to probing, what was sent no longer counts as told."""
    raft = leader(log=[1] * 10, hard=HardState(1, 0, 10))
    ack(raft, 2, 11)
    ack(raft, 3, 11)
    raft.propose(b"x", 1)
    pump(raft)
    ack(raft, 2, 12)
    pump(raft)

    raft.report_unreachable(3)
    ack(raft, 3, 12)

    sent = only(pump(raft), AppendEntries, 3)
    assert [(m.prev_log_index, m.entries, m.leader_commit) for m in sent] == [(12, (), 12)]


def test_repeated_acknowledgment_is_not_answered() -> None:
    """R-130: all is sent, acknowledged, and its commit index told."""
    raft = leader(peers_match=True)

    ack(raft, 2)

    assert raft.role is Role.LEADER
    assert pump(raft) == []
