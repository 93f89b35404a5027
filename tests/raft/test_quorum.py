"""Majorities: section 5.2, 5.3 and 6."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmsim.raft import ConfState
from swarmsim.raft.quorum import UNBOUNDED, VoteResult, joint_committed, joint_vote, majority_committed, majority_vote
from tests.raft.network import server

WON, LOST, PENDING = VoteResult.WON, VoteResult.LOST, VoteResult.PENDING
VOTERS = st.lists(st.integers(1, 7), unique=True, max_size=7).map(sorted)


def counted(voters: list[int], acked: dict[int, int]) -> int:
    """The slow twin: the highest index that more than half of the voters have reached."""
    if not voters:
        return UNBOUNDED
    return max(i for i in (0, *acked.values()) if 2 * sum(acked.get(v, 0) >= i for v in voters) > len(voters))


def possible(voters: list[int], votes: dict[int, bool]) -> VoteResult:
    """The slow twin: try all that those who have not answered could still say."""
    missing = [voter for voter in voters if voter not in votes]
    outcomes = {
        2 * sum(dict(zip(missing, rest, strict=True)).get(v, votes.get(v, False)) for v in voters) > len(voters)
        for rest in product([False, True], repeat=len(missing))
    }
    if not voters or outcomes == {True}:
        return WON
    return LOST if outcomes == {False} else PENDING


@pytest.mark.parametrize(
    ("voters", "acked", "index"),
    [
        ([], {1: 9}, UNBOUNDED), ([1], {}, 0), ([1], {1: 12}, 12), ([1, 2], {1: 12}, 0), ([1, 2], {1: 12, 2: 5}, 5),
        ([1, 2, 3], {1: 12}, 0), ([1, 2, 3], {1: 12, 2: 5}, 5), ([1, 2, 3], {1: 12, 2: 5, 3: 6}, 6),
        ([1, 2, 3], {1: 12, 2: 5, 3: 6, 4: 99, 5: 99}, 6), ([1, 2, 3, 4], {1: 1, 2: 2, 3: 3, 4: 4}, 2),
        ([1, 2, 3, 4, 5], {1: 1, 2: 2, 3: 3, 4: 4, 5: 5}, 3),
    ],
)  # fmt: skip
def test_index_of_a_majority(voters: list[int], acked: dict[int, int], index: int) -> None:
    """Reference section 15: who says nothing has nothing, and strangers do not count."""
    assert majority_committed(voters, acked) == index


@pytest.mark.parametrize(
    ("voters", "votes", "result"),
    [
        ([], {}, WON), ([], {1: False}, WON), ([1], {}, PENDING), ([1], {1: False}, LOST), ([1], {1: True}, WON),
        ([1, 2], {1: False}, LOST), ([1, 2], {1: True}, PENDING), ([1, 2, 3], {1: True, 2: True}, WON),
        ([1, 2, 3], {1: False, 2: True}, PENDING), ([1, 2, 3], {1: False, 2: False}, LOST),
        ([1, 2, 3, 4], {1: True, 2: True}, PENDING), ([1, 2, 3, 4], {1: False, 2: False}, LOST),
        ([1, 2, 3], {1: True, 7: True, 8: True}, PENDING),
    ],
)  # fmt: skip
def test_vote_of_a_majority(voters: list[int], votes: dict[int, bool], result: VoteResult) -> None:
    """Reference section 15."""
    assert majority_vote(voters, votes) is result


@given(VOTERS, VOTERS, st.dictionaries(st.integers(1, 8), st.integers(0, 9)))
def test_commit_index_agrees_with_counting(voters: list[int], outgoing: list[int], acked: dict[int, int]) -> None:
    """Section 6: the smaller of the two halves, which are interchangeable."""
    joint = joint_committed(voters, outgoing, acked)

    assert majority_committed(voters, acked) == counted(voters, acked)
    assert joint == min(counted(voters, acked), counted(outgoing, acked))
    assert joint == joint_committed(outgoing, voters, acked)
    assert joint_committed(voters, [], acked) == joint_committed(voters, voters, acked) == counted(voters, acked)


@given(VOTERS, VOTERS, st.dictionaries(st.integers(1, 8), st.booleans()))
def test_vote_agrees_with_trying_all_outcomes(voters: list[int], outgoing: list[int], votes: dict[int, bool]) -> None:
    """Section 6: lost if either half is lost, won if both are won."""
    halves = (possible(voters, votes), possible(outgoing, votes))

    assert majority_vote(voters, votes) is halves[0]
    expected = LOST if LOST in halves else PENDING if PENDING in halves else WON
    assert joint_vote(voters, outgoing, votes) is joint_vote(outgoing, voters, votes) is expected
    assert joint_vote(voters, [], votes) is joint_vote(voters, voters, votes) is halves[0]


@given(VOTERS.filter(bool), VOTERS, st.dictionaries(st.integers(1, 7), st.integers(0, 9)))
def test_leader_computes_the_same_commit_index(voters: list[int], outgoing: list[int], acked: dict[int, int]) -> None:
    """Figure 2, Leaders: `Server.quorum_committed` is the same arithmetic on match_index, written for speed."""
    raft = server(conf=ConfState(tuple(voters), tuple(outgoing)))
    for id, record in raft.progress.items():
        record.match_index = acked.get(id, 0)

    assert raft.quorum_committed() == joint_committed(voters, outgoing, acked)
