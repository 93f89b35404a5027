"""*raft safety* can fail: for each property a trace that violates just it, and one that nearly does and passes.

The Raft paper's Figure 3 and section 5.4.1; etcd-io/raft tla/etcdraft.tla.
"""

from __future__ import annotations

import ast
import inspect
from typing import Any

import pytest

from swarmsim.checks import FAIL, PASS, RaftSafety, raft_safety, walk
from swarmsim.checks.raft_safety import MOST, Frontier, Item
from swarmsim.trace.events import (
    BecameCandidate,
    BecameFollower,
    BecameLeader,
    DiskWiped,
    EntriesAppended,
    EntriesApplied,
    HostCrashed,
    MembershipChanged,
    RaftRestarted,
    ReadAnswered,
    ReadAsked,
    SnapshotInstalled,
    SteppedDown,
    SwarmReady,
    VoteGranted,
)
from swarmsim.trace.recorder import Trace

M3 = ("m1", "m2", "m3")
M5 = (*M3, "m4", "m5")
Events = list[Any]


# ---- words for traces ------------------------------------------------------------------------------------------
def formed(members: tuple[str, ...] = M3) -> Events:
    """Handed over formed: m1 leads in term 2, and the log ends with entry 2 of term 2."""
    return [SwarmReady("m1", members, ()), *[back(m, 2, "m1", 2, 2, commit=2) for m in members]]


def back(node: str, term: int, voted: str, last: int, last_term: int, commit: int = 2) -> RaftRestarted:
    return RaftRestarted(node, term, voted, commit, last, last_term)


def append(*nodes: str, first: int = 3, term: int = 2, terms: tuple[int, ...] = (2,)) -> Events:
    """Entries become durable on each of the nodes, which is in `term`."""
    return [EntriesAppended(node, term, first, terms) for node in nodes]


def apply(*nodes: str, first: int = 3, term: int = 2, terms: tuple[int, ...] = (2,)) -> Events:
    return [EntriesApplied(node, term, first, terms) for node in nodes]


def restart(node: str, last: int) -> Events:
    """It loses power and comes back in term 2 with a log up to entry `last` of term 2."""
    return [HostCrashed(node, "power"), back(node, 2, "m1", last, 2)]


def votes(candidate: str, term: int, *voters: str) -> Events:
    return [VoteGranted(voter, term, candidate) for voter in (candidate, *voters)]


def elect(leader: str, term: int, *voters: str) -> Events:
    """A whole election: candidacy, its own vote and those of the voters, victory."""
    return [BecameCandidate(leader, term), *votes(leader, term, *voters), BecameLeader(leader, term)]


def removed(members: tuple[str, ...], *nodes: str, index: int = 3) -> Events:
    """Entry `index`, of term 2, changes the group: durable on all, applied on `nodes`."""
    return [
        *append(*nodes, first=index),
        *[e for n in nodes for e in (EntriesApplied(n, 2, index, (2,)), MembershipChanged(n, index, members))],
    ]


def joint(members: tuple[str, ...], outgoing: tuple[str, ...], index: int) -> Events:
    """Entry `index`, of term 2, makes the configuration a joint one: durable on all of both, applied on m1."""
    return [
        *append(*dict.fromkeys((*outgoing, *members)), first=index),
        EntriesApplied("m1", 2, index, (2,)),
        MembershipChanged("m1", index, members, outgoing),
    ]


def left(members: tuple[str, ...], *nodes: str, index: int) -> Events:
    """Entry `index`, of term 2 and durable on `nodes`, ends a joint configuration; applied on m1."""
    return [
        *append(*nodes, first=index),
        EntriesApplied("m1", 2, index, (2,)),
        MembershipChanged("m1", index, members),
    ]


#: Entry 3 of term 2 on m1 and m2: committed. Entry 3 of term 2 on m1 alone: not.
COMMITTED = [*formed(), *append("m1", "m2"), *apply("m1")]
#: The same, and m1 was asked for a read before.
EARLY = [*formed(), ReadAsked("m1", 1), *COMMITTED[len(formed()) :]]
#: m1 loses touch; m2 leads in term 3 and has written its first entry, 4, to m2 and m3.
MOVED_ON = [
    *formed(),
    *append(*M3),
    *elect("m2", 3, "m3"),
    *append("m2", "m3", first=4, term=3, terms=(3,)),
    *apply("m2", first=3, term=3, terms=(2, 3)),
]

#: rule -> (what happens, a trace that violates it, a trace that nearly does)
CASES: dict[str, list[tuple[str, Events, Events]]] = {
    "election safety": [
        (
            # The group shrinks by one twice, which m2 has not applied: majorities of {m1} and of {m1, m2, m3}.
            "two leaders of one term, each with the majority of the group that it knows",
            [
                *formed(),
                *append("m1", "m2", terms=(2, 2)),
                *apply("m1"),
                MembershipChanged("m1", 3, ("m1", "m2")),
                *apply("m1", first=4),
                MembershipChanged("m1", 4, ("m1",)),
                *elect("m1", 3),
                *elect("m2", 3, "m3"),
            ],
            [*formed(), *elect("m2", 3, "m3"), *elect("m1", 4, "m3")],
        ),
    ],
    "leader append-only": [
        (
            "a leader writes to a place of its log that is taken",
            [*formed(), *append("m1"), *append("m1")],
            [*formed(), *append("m1", "m2"), *append("m2")],
        ),
        (
            "a new leader does",
            [*MOVED_ON, *append("m2", first=4, term=3, terms=(3,))],
            [*MOVED_ON, SteppedDown("m2", 3, "no quorum"), *append("m2", first=4, term=3, terms=(3,))],
        ),
    ],
    "log matching": [
        (
            "entry 4 of term 3 follows an entry of term 2 on m2, and one of term 3 on m3",
            [*formed(), *append("m2", term=3, terms=(2, 3)), *append("m3", term=3, terms=(3, 3))],
            [*formed(), *append("m2", term=3, terms=(2, 3)), *append("m3", term=4, terms=(3, 4))],
        ),
    ],
    "leader completeness": [
        (
            "a leader is elected whose log lacks what was committed",
            [*COMMITTED, *votes("m3", 3, "m2"), BecameLeader("m3", 3)],
            [*COMMITTED, *append("m3"), *votes("m3", 3, "m2"), BecameLeader("m3", 3)],
        ),
        (
            "what was not committed need not be there",
            [*COMMITTED, *votes("m3", 3, "m2"), BecameLeader("m3", 3)],
            [*formed(), *append("m1"), *elect("m3", 3, "m2")],
        ),
        (
            "what its own term committed concerns later terms only",
            [*MOVED_ON, *votes("m1", 4, "m3"), BecameLeader("m1", 4)],
            [*MOVED_ON, *append("m1", first=4, term=3, terms=(3,)), *votes("m1", 4, "m3"), BecameLeader("m1", 4)],
        ),
        (
            "a deposed leader commits what the next leader lacks",
            [*formed(), *append("m1", "m2"), *votes("m3", 3, "m2"), BecameLeader("m3", 3), *apply("m1")],
            [*formed(), *append("m1", "m2"), *elect("m2", 3, "m3"), *apply("m1")],
        ),
    ],
    "state machine safety": [
        (
            "two members apply different entries at one index",
            [*COMMITTED, *append("m3", term=3, terms=(3,)), *apply("m3", term=3, terms=(3,))],
            [*COMMITTED, *append("m3", term=3, terms=(2,)), *apply("m3", term=3, terms=(2,))],
        ),
        (
            "an entry that was applied is overwritten",
            [*COMMITTED, *apply("m2"), *append("m2", term=3, terms=(3,))],
            [*COMMITTED, *append("m2", term=3, terms=(3,))],
        ),
        (
            "a member applies another entry than its log holds",
            [*formed(), *append("m1", "m3"), *append("m2", term=3, terms=(3,)), *apply("m2", term=3)],
            [*formed(), *append("m1", "m3"), *append("m2", term=3, terms=(2,)), *apply("m2", term=3)],
        ),
        (
            "a snapshot of another entry than was applied",
            [*COMMITTED, SnapshotInstalled("m3", 3, 3)],
            [*COMMITTED, SnapshotInstalled("m3", 3, 2)],
        ),
        (
            "a snapshot of what nobody has applied",
            [*COMMITTED, SnapshotInstalled("m3", 4, 2)],
            [*formed(), SnapshotInstalled("m3", 2, 2)],
        ),
        (
            "one index makes different groups",
            [*formed(M5), *removed(M5[:4], *M5[:4]), MembershipChanged("m5", 3, M3)],
            [*formed(M5), *removed(M5[:4], *M5[:4]), MembershipChanged("m5", 3, M5[:4])],
        ),
    ],
    "one vote a term": [
        (
            "a member votes for two candidates",
            [*formed(), VoteGranted("m3", 3, "m1"), VoteGranted("m3", 3, "m2")],
            [*formed(), VoteGranted("m3", 3, "m1"), VoteGranted("m3", 3, "m1"), VoteGranted("m3", 4, "m2")],
        ),
        (
            "one that it gave in the moment of a crash binds it, too",
            [*formed(), HostCrashed("m3", "power"), back("m3", 3, "m1", 2, 2), VoteGranted("m3", 3, "m2")],
            [*formed(), HostCrashed("m3", "power"), back("m3", 3, "", 2, 2), VoteGranted("m3", 3, "m2")],
        ),
    ],
    "a vote survives a crash": [
        (
            "a vote that was told is forgotten",
            [*formed(), VoteGranted("m3", 3, "m1"), HostCrashed("m3", "power"), back("m3", 3, "", 2, 2)],
            [*formed(), VoteGranted("m3", 3, "m1"), HostCrashed("m3", "power"), back("m3", 3, "m1", 2, 2)],
        ),
        (
            "or has become another",
            [*formed(), VoteGranted("m3", 3, "m1"), HostCrashed("m3", "power"), back("m3", 3, "m2", 2, 2)],
            [*formed(), VoteGranted("m3", 3, "m1"), HostCrashed("m3", "power"), back("m3", 4, "", 2, 2)],
        ),
    ],
    "a vote goes to a log that is up to date": [
        (
            "the voter's log is longer",
            [*formed(), *append("m1", "m3"), BecameCandidate("m2", 3), VoteGranted("m3", 3, "m2")],
            [*formed(), *append(*M3), BecameCandidate("m2", 3), VoteGranted("m3", 3, "m2")],
        ),
        (
            "the candidate's is longer, and ends in an earlier term",
            [
                *formed(),
                *append("m1", "m2", terms=(2, 2, 2)),
                *append("m3", term=3, terms=(3,)),
                BecameCandidate("m2", 4),
                VoteGranted("m3", 4, "m2"),
            ],
            [
                *formed(),
                *append("m1", "m2", terms=(2, 2, 2)),
                *append("m3", term=3, terms=(3,)),
                BecameCandidate("m3", 4),
                VoteGranted("m2", 4, "m3"),
            ],
        ),
        (
            "what the new leader has sent meanwhile does not count: the vote is told with it",
            [*formed(), *append("m1", "m3"), BecameCandidate("m2", 3), VoteGranted("m3", 3, "m2")],
            [
                *formed(),
                *elect("m2", 3, "m1"),
                *append("m2", "m3", term=3, terms=(3, 3)),
                VoteGranted("m3", 3, "m2"),
            ],
        ),
        (
            "nor does a vote that is told again: it was given before",
            [*formed(), *append("m1", "m3"), BecameCandidate("m2", 3), VoteGranted("m3", 3, "m2")],
            [
                *formed(),
                BecameCandidate("m2", 3),
                VoteGranted("m3", 3, "m2"),
                *append("m1", "m3"),
                VoteGranted("m3", 3, "m2"),
            ],
        ),
        (
            "nor does a candidacy of another term",
            [*formed(), *append("m1", "m3"), BecameCandidate("m2", 3), VoteGranted("m3", 3, "m2")],
            [*formed(), *append("m1", "m3"), BecameCandidate("m2", 3), VoteGranted("m3", 4, "m2")],
        ),
    ],
    "a leader has a majority": [
        (
            "two of five votes",
            [*formed(M5), *elect("m2", 3, "m3")],
            [*formed(M5), *elect("m2", 3, "m3", "m4")],
        ),
        (
            "a majority of the new members alone, in a joint configuration",
            [*formed(M5), *joint(("m1", "m2"), M5, index=3), *elect("m1", 3, "m2")],
            [*formed(M5), *joint(("m1", "m2"), M5, index=3), *elect("m1", 3, "m2", "m5")],
        ),
        (
            "votes for another term or another candidate are none",
            [*formed(), VoteGranted("m1", 4, "m2"), VoteGranted("m3", 3, "m1"), *elect("m2", 3)],
            [*formed(), VoteGranted("m3", 3, "m2"), *elect("m2", 3)],
        ),
        (
            "a vote that only its restart tells of is one",
            [*formed(), HostCrashed("m3", "power"), back("m3", 3, "", 2, 2), *elect("m2", 3)],
            [*formed(), HostCrashed("m3", "power"), back("m3", 3, "m2", 2, 2), *elect("m2", 3)],
        ),
        (
            "who is no member has no vote",
            [*formed(), *elect("m2", 3, "stranger")],
            [*formed(("m2",)), *elect("m2", 3)],
        ),
    ],
    "terms never go back": [
        (
            "a follower",
            [*formed(), BecameFollower("m3", 5, "m1"), BecameFollower("m3", 4, "m1")],
            [*formed(), BecameFollower("m3", 5, "m1"), BecameFollower("m3", 5, "")],
        ),
        (
            "a candidate",
            [*formed(), BecameCandidate("m3", 5), BecameCandidate("m3", 4)],
            [*formed(), BecameCandidate("m3", 5), BecameCandidate("m3", 6)],
        ),
        (
            "a vote for an earlier term",
            [*formed(), VoteGranted("m3", 5, "m1"), VoteGranted("m3", 4, "m1")],
            [*formed(), VoteGranted("m3", 5, "m1"), VoteGranted("m3", 6, "m1")],
        ),
        (
            "after a restart, than a vote says",
            [*formed(), VoteGranted("m3", 5, "m1"), HostCrashed("m3", "power"), back("m3", 4, "", 2, 2)],
            [*formed(), BecameCandidate("m3", 5), HostCrashed("m3", "power"), back("m3", 4, "", 2, 2)],
        ),
        (
            "after a restart, than a durable entry says",
            [*formed(), *append("m3", term=5, terms=(5,)), HostCrashed("m3", "power"), back("m3", 4, "", 3, 5)],
            [*formed(), *append("m3", term=5, terms=(5,)), HostCrashed("m3", "power"), back("m3", 5, "", 3, 5)],
        ),
    ],
    "terms in a log only grow": [
        (
            "an entry of a term that its holder has not seen",
            [*formed(), *append("m1", term=2, terms=(3,))],
            [*formed(), *append("m3", term=3, terms=(3,))],
        ),
        (
            "an entry behind one of a later term",
            [*formed(), *append("m3", term=4, terms=(4, 3))],
            [*formed(), *append("m3", term=4, terms=(3, 4))],
        ),
    ],
    "a log has no gaps": [
        (
            "an entry beyond the end",
            [*formed(), *append("m1", terms=(2, 2)), *append("m3", first=4)],
            [*formed(), *append("m1", terms=(2, 2)), *append("m3", first=3)],
        ),
        (
            "what reached the disk in the moment of a crash belongs to the log",
            [*formed(), *append("m1", "m2", terms=(2, 2, 2, 2)), *restart("m3", 4), *append("m3", first=6)],
            [*formed(), *append("m1", "m2", terms=(2, 2, 2, 2)), *restart("m3", 4), *append("m3", first=5)],
        ),
        (
            "even if nobody else has told of it",
            [*formed(), *restart("m3", 4), *append("m3", first=6, term=3, terms=(3,))],
            [*formed(), *restart("m3", 4), *append("m3", first=5, term=3, terms=(3,))],
        ),
    ],
    "a leader has every entry of its term": [
        (
            "a follower has one more",
            [*MOVED_ON, *append("m3", first=5, term=3, terms=(3,))],
            [*MOVED_ON, *append("m2", "m3", first=5, term=3, terms=(3,))],
        ),
        (
            "a leader that has stepped down is excused: its log may have been cut since",
            [*MOVED_ON, *append("m3", first=5, term=3, terms=(3,))],
            [*MOVED_ON, SteppedDown("m2", 3, "no quorum"), *append("m3", first=5, term=3, terms=(3,))],
        ),
    ],
    "committed is durable": [
        (
            "a member applies what its own log lacks",
            [*COMMITTED, *apply("m3")],
            [*COMMITTED, *append("m3"), *apply("m3")],
        ),
        (
            "a member comes back without what it had applied",
            [*COMMITTED, *apply("m2"), HostCrashed("m2", "power"), back("m2", 2, "m1", 2, 2)],
            [*COMMITTED, *apply("m2"), HostCrashed("m2", "power"), back("m2", 2, "m1", 3, 2)],
        ),
        (
            "a member comes back knowing more as committed than it has",
            [*formed(), HostCrashed("m3", "power"), back("m3", 2, "m1", 2, 2, commit=3)],
            [*formed(), HostCrashed("m3", "power"), back("m3", 2, "m1", 3, 2, commit=3)],
        ),
    ],
    "what is durable survives a crash": [
        (
            "a follower has acknowledged an entry and comes back without it",
            [*formed(), *append("m1", "m2"), HostCrashed("m2", "power"), back("m2", 2, "m1", 2, 2)],
            [*formed(), *append("m1", "m2"), HostCrashed("m2", "power"), back("m2", 2, "m1", 3, 2)],
        ),
        (
            # The disk had it, the trace had not: an append that overwrote the end in the moment of the crash.
            "a log that was overwritten in the last moment may be shorter",
            [*formed(), *append("m1", "m2", terms=(2, 2)), HostCrashed("m2", "process"), back("m2", 3, "", 3, 2)],
            [*formed(), *append("m1", "m2", terms=(2, 2)), HostCrashed("m2", "process"), back("m2", 3, "", 3, 3)],
        ),
    ],
    "committed is on a majority": [
        (
            "one of three",
            [*formed(), *append("m1"), *apply("m1")],
            [*formed(), *append("m1", "m2"), *apply("m1")],
        ),
        (
            "a majority of the new members alone, in a joint configuration",
            [*formed(M5), *joint(("m1", "m2"), M5, index=3), *append("m1", "m2", first=4), *apply("m1", first=4)],
            [*formed(M5), *joint(("m1", "m2"), M5, index=3), *append(*M3, first=4), *apply("m1", first=4)],
        ),
        (
            "three of six",
            [*formed((*M5, "m6")), *append(*M3), *apply("m1")],
            [*formed((*M5, "m6")), *append(*M5[:4]), *apply("m1")],
        ),
        (
            "another entry of that index does not count",
            [*formed(), *append("m2", term=3, terms=(3,)), *append("m1"), *apply("m1")],
            [*formed(), *append(*M3), *apply("m1")],
        ),
        (
            "a copy that may have reached the disk in the moment of a crash counts, for nobody knows",
            [*formed(), *append("m1"), HostCrashed("m2", "power"), back("m2", 2, "m1", 2, 2), *apply("m1")],
            [*formed(), *append("m1"), HostCrashed("m2", "power"), back("m2", 2, "m1", 3, 2), *apply("m1")],
        ),
    ],
    "entries are applied in order": [
        (
            "an index is left out",
            [*formed(), *append(*M3, terms=(2, 2)), *apply("m1", first=4)],
            [*formed(), *append(*M3, terms=(2, 2)), *apply("m1", first=3), *apply("m1", first=4)],
        ),
        (
            "an index is applied twice",
            [*formed(), *append(*M3), *apply("m1"), *apply("m1")],
            [*formed(), *append(*M3), *apply("m1"), *restart("m1", 3), *apply("m1")],
        ),
        (
            "a member goes back to a snapshot of the past",
            [*formed(), *append(*M3, terms=(2, 2)), *apply("m1", terms=(2, 2)), SnapshotInstalled("m1", 3, 2)],
            [*formed(), *append(*M3, terms=(2, 2)), *apply("m1", terms=(2, 2)), SnapshotInstalled("m3", 3, 2)],
        ),
        (
            "a restart leaves a hole",
            [*formed(), *append(*M3, terms=(2, 2)), *restart("m1", 4), *apply("m1", first=4)],
            [*formed(), *append(*M3, terms=(2, 2)), *restart("m1", 4), *apply("m1", first=3, terms=(2, 2))],
        ),
    ],
    "members change one at a time": [
        (
            "two leave at once",
            [*formed(M5), *removed(M3, *M3)],
            [*formed(M5), *removed(M5[:4], *M5[:4])],
        ),
        (
            "one leaves and one comes",
            [*formed(), *removed(("m1", "m2", "m4"), "m1", "m2")],
            [*formed(), *removed(("m1", "m2"), "m1", "m2"), *removed(("m1", "m2", "m4"), "m1", "m2", index=4)],
        ),
        (
            "a joint configuration does not lie between the groups before and after it",
            [*formed(M5), *joint(("m1", "m2"), M3, index=3)],
            [*formed(M5), *joint(("m1", "m2"), M5, index=3), *left(("m1", "m2"), *M5, index=4)],
        ),
        (
            "a joint configuration is left for another group than C_new",
            [*formed(M5), *joint(("m1", "m2"), M5, index=3), *left(("m1",), *M5, index=4)],
            [*formed(M5), *joint(("m1",), M5, index=3), *left(("m1",), *M5, index=4)],
        ),
    ],
    "linearizable reads": [
        (
            "a read that was asked for after an entry was applied does not see it",
            [*COMMITTED, ReadAsked("m2", 1), ReadAnswered("m2", 1, 2)],
            [*COMMITTED[:-1], ReadAsked("m2", 1), *COMMITTED[-1:], ReadAnswered("m2", 1, 2)],
        ),
        (
            "a second read of one member is judged by what was applied when it was asked for itself",
            [*EARLY, ReadAsked("m1", 2), ReadAnswered("m1", 1, 2), ReadAnswered("m1", 2, 2)],
            [*EARLY, ReadAsked("m1", 2), ReadAnswered("m1", 2, 3), ReadAnswered("m1", 1, 2)],
        ),
    ],
}  # fmt: skip


def violations(events: Events) -> list[str]:
    """The rules that a trace breaks, in order, the handing over at 0 s and all else a second later."""
    trace = Trace()
    for event in events:
        at = 0 if len(trace) < 1 + len(events[0].managers) else 1_000_000
        trace.record(event, at, 0)
    check = RaftSafety()
    walk(trace, [check])
    return [one.property for one in check.violations]


ALL = [(rule, what, bad, good) for rule, cases in CASES.items() for what, bad, good in cases]
NAMES = [f"{rule}: {what}" for rule, what, _, _ in ALL]


@pytest.mark.parametrize(("rule", "what", "bad", "good"), ALL, ids=NAMES)
def test_a_trace_that_violates_a_property_fails_just_it(rule: str, what: str, bad: Events, good: Events) -> None:
    assert set(violations(bad)) == {rule}


@pytest.mark.parametrize(("rule", "what", "bad", "good"), ALL, ids=NAMES)
def test_a_trace_that_nearly_does_passes(rule: str, what: str, bad: Events, good: Events) -> None:
    assert violations(good) == []


def test_every_property_of_the_check_has_a_trace_that_fails_it() -> None:
    tree = ast.parse(inspect.getsource(raft_safety))
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "attr", "") == "_violated"]
    rules = {argument.value for call in calls for argument in call.args[1:2] if isinstance(argument, ast.Constant)}

    assert len(calls) >= 25
    assert rules == set(CASES)


# ---- what a verdict says -----------------------------------------------------------------------------------------
def judged(*events: Any) -> Any:
    trace = Trace()
    for i, event in enumerate(events):
        trace.record(event, 1_500_000 if i > 3 else 0, 0)
    check = RaftSafety()
    return check.verdict(walk(trace, [check]))


def test_a_failure_says_what_was_seen_and_when() -> None:
    verdict = judged(*formed(), *elect("m2", 3))

    assert verdict.state is FAIL
    assert verdict.seen == "a leader has a majority: m2 leads in term 3 with 1 of 3 votes at 1.500 s (event 7)"
    assert verdict.always


@pytest.mark.parametrize(("voted", "said"), [("", "no vote"), ("m2", "m2")])
def test_a_forgotten_vote_is_named(voted: str, said: str) -> None:
    verdict = judged(*formed(), VoteGranted("m3", 3, "m1"), back("m3", 3, voted, 2, 2))

    assert f"m3 voted for m1 in term 3 and came back with {said} at" in verdict.seen


def test_a_trace_without_violations_passes() -> None:
    verdict = judged(*formed(), *elect("m2", 3, "m3"))

    assert (verdict.state, verdict.seen) == (PASS, "always checked")


def test_the_first_violation_is_the_one_to_look_at_and_a_few_more_are_kept() -> None:
    verdict = judged(*formed(), *[VoteGranted("m3", 3, f"m{i}") for i in range(50)])

    assert "voted for m0 and for m1" in verdict.seen
    assert len(verdict.details) == MOST - 1


# ---- disks that break their promises ----------------------------------------------------------------------------
def test_a_member_whose_log_was_wiped_owes_nothing() -> None:
    """Raft's premise is broken, not a rule of it: the member begins anew, under its old name."""
    wiped = DiskWiped("m3", ("raft",))

    verdict = judged(
        *formed(), VoteGranted("m3", 3, "m1"), wiped, HostCrashed("m3", "power"), back("m3", 0, "", 0, 0, 0)
    )

    assert (verdict.state, verdict.seen) == (PASS, "always checked")


@pytest.mark.parametrize("wiped", [DiskWiped("m2", ("raft",)), DiskWiped("m3", ("agent",))])
def test_a_log_that_is_gone_without_being_wiped_is_named(wiped: DiskWiped) -> None:
    verdict = judged(*formed(), wiped, HostCrashed("m3", "power"), back("m3", 0, "", 0, 0, 0))

    assert "m3 came back in term 0, having been in 2" in verdict.seen


def test_a_wiped_member_is_excused_once() -> None:
    fresh = back("m3", 0, "", 0, 0, 0)
    votes = [VoteGranted("m3", 3, "m1"), HostCrashed("m3", "power"), fresh]

    verdict = judged(*formed(), DiskWiped("m3", ("raft",)), HostCrashed("m3", "power"), fresh, *votes)

    assert "m3 came back in term 0, having been in 3" in verdict.seen


# ---- members come and go ---------------------------------------------------------------------------------------
def test_a_member_that_was_removed_and_joins_anew_begins_with_nothing() -> None:
    """Another member of the same name: it owes neither the log nor the votes of the one before."""
    leaves = removed(("m1", "m2"), "m1", "m2")
    joins = removed(M3, "m1", "m2", index=4)
    fresh = RaftRestarted("m3", 0, "", 0, 0, 0)
    story = [*formed(), VoteGranted("m3", 5, "m1"), *leaves, *joins, fresh, SnapshotInstalled("m3", 3, 2)]

    assert violations([*story, *append("m3", first=4), *apply("m3", first=4)]) == []
    assert violations([*formed(), VoteGranted("m3", 5, "m1"), fresh]) == ["terms never go back", "committed is durable"]


def test_a_member_that_only_came_back_with_an_empty_disk_has_lost_its_log() -> None:
    fresh = RaftRestarted("m2", 2, "m1", 0, 0, 0)

    assert violations([*COMMITTED, *apply("m2"), HostCrashed("m2", "power"), fresh]) == ["committed is durable"]


def test_a_newcomer_s_quorum_is_that_of_the_group_it_joins() -> None:
    joins = removed((*M3, "m4"), *M3)
    story = [*formed(), *joins, SnapshotInstalled("m4", 3, 2), BecameFollower("m4", 2, "m1")]

    assert violations([*story, *elect("m4", 3, "m3", "m2")]) == []
    assert violations([*story, *elect("m4", 3, "m3")]) == ["a leader has a majority"]


def test_a_restarted_member_campaigns_in_the_group_that_it_knows_to_be_committed() -> None:
    """Entry 3 makes the group four. Who comes back without knowing it committed needs two votes, else three."""
    grown = [*formed(), *removed((*M3, "m4"), *M3), HostCrashed("m1", "power")]

    assert violations([*grown, back("m1", 2, "m1", 3, 2, commit=2), *elect("m1", 3, "m2")]) == []
    assert violations([*grown, back("m1", 2, "m1", 3, 2, commit=3), *elect("m1", 3, "m2")]) == [
        "a leader has a majority"
    ]


def test_what_a_restarted_member_surely_has_is_still_known() -> None:
    """It had applied entry 3; whether its entry 4 is still the old one, nobody can tell: it judges nobody."""
    story = [
        *formed(),
        *append(*M3, terms=(2, 2)),
        *apply("m2", terms=(2,)),
        HostCrashed("m2", "power"),
        back("m2", 3, "", 4, 3),
    ]

    assert violations([*story, *append("m2", first=3, term=4, terms=(4,))]) == ["state machine safety"]
    assert violations([*story, *append("m2", first=4, term=4, terms=(4,))]) == []


# ---- constant time ---------------------------------------------------------------------------------------------
def test_the_frontier_is_the_furthest_item_of_all_earlier_terms() -> None:
    """Twin: look through all that was put."""
    puts = [(2, 3), (4, 7), (3, 5), (3, 9), (6, 8), (5, 12), (5, 11), (9, 10)]
    frontier, told = Frontier(), []
    for term, index in puts:
        frontier.put(term, Item(None, index, term))
        told.append((term, index))
        for asked in range(12):
            found = frontier.before(asked)
            obvious = max((i for t, i in told if t < asked), default=None)
            assert (found.index if found else None) == obvious, (asked, told)
