"""Majorities, and majorities of two configurations at once (section 6, joint consensus).

Pure arithmetic, etcd quorum/majority.go and quorum/joint.go. An empty half agrees to everything, so a plain
configuration is a joint one whose outgoing half is empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum

UNBOUNDED = (1 << 64) - 1
"""The commit index of no voters at all: it never limits the other half (etcd: math.MaxUint64)."""


class VoteResult(Enum):
    PENDING = "pending"
    LOST = "lost"
    WON = "won"


def majority_committed(voters: Sequence[int], acked: Mapping[int, int]) -> int:
    """The highest index that a majority has acknowledged; a voter who said nothing acknowledged 0."""
    if not voters:
        return UNBOUNDED
    indexes = sorted([acked.get(voter, 0) for voter in voters])
    return indexes[(len(indexes) - 1) // 2]


def joint_committed(voters: Sequence[int], outgoing: Sequence[int], acked: Mapping[int, int]) -> int:
    """Both halves must agree, so the smaller index counts."""
    return min(majority_committed(voters, acked), majority_committed(outgoing, acked))


def majority_vote(voters: Sequence[int], votes: Mapping[int, bool]) -> VoteResult:
    """Won by a majority of yes; lost as soon as the missing votes cannot bring one."""
    if not voters:
        return VoteResult.WON
    yes = missing = 0
    for voter in voters:
        vote = votes.get(voter)
        if vote is None:
            missing += 1
        elif vote:
            yes += 1
    needed = len(voters) // 2 + 1
    if yes >= needed:
        return VoteResult.WON
    return VoteResult.PENDING if yes + missing >= needed else VoteResult.LOST


def joint_vote(voters: Sequence[int], outgoing: Sequence[int], votes: Mapping[int, bool]) -> VoteResult:
    """Lost if either half is lost, won if both are won."""
    halves = (majority_vote(voters, votes), majority_vote(outgoing, votes))
    if VoteResult.LOST in halves:
        return VoteResult.LOST
    return VoteResult.PENDING if VoteResult.PENDING in halves else VoteResult.WON
