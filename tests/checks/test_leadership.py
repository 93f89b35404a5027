"""Who leads, by the trace: the manager that is up and leads in the highest term (SCENARIOS.md section 7)."""

from __future__ import annotations

from typing import Any

import pytest

from swarmsim.checks import walk
from swarmsim.checks.leadership import Leadership
from swarmsim.trace.events import (
    BecameCandidate,
    BecameFollower,
    BecameLeader,
    HostCrashed,
    ManagerStopped,
    RaftRestarted,
    SteppedDown,
    SwarmReady,
)
from swarmsim.trace.recorder import Trace

READY = SwarmReady("m1", ("m1", "m2", "m3"), ())
FORMED = [READY, *(RaftRestarted(m, 2, "m1", 2, 2) for m in ("m1", "m2", "m3"))]


def leaders(*events: Any) -> list[str]:
    """Who leads after each event, those of 0 s left out."""
    trace, leadership, found = Trace(), Leadership(), []
    for event in FORMED:
        trace.record(event, 0, 0)
    walk(trace, [leadership])
    for event in events:
        trace = Trace()
        trace.record(event, 5, 0)
        walk(trace, [leadership])
        found.append(leadership.leader)
    return found


def test_the_first_leader_is_the_one_that_the_swarm_was_handed_over_with() -> None:
    leadership, trace = Leadership(), Trace()
    before = leadership.leader
    trace.record(READY, 0, 0)
    walk(trace, [leadership])

    assert (before, leadership.leader) == ("", "m1")


@pytest.mark.parametrize(
    "end",
    [
        SteppedDown("m1", 2, "no quorum"),
        BecameFollower("m1", 3, ""),
        BecameCandidate("m1", 3),
        HostCrashed("m1", "power"),
        ManagerStopped("m1", "manager stopped: failed to save entries to storage"),
        RaftRestarted("m1", 2, "m1", 2, 2),
    ],
    ids=lambda event: type(event).__name__,
)
def test_leadership_ends(end: Any) -> None:
    assert leaders(end) == [""]


@pytest.mark.parametrize(
    "other",
    [
        SteppedDown("m2", 2, ""),
        BecameFollower("m2", 2, "m1"),
        HostCrashed("m2", "power"),
        RaftRestarted("m2", 2, "", 2, 2),
    ],
    ids=lambda event: type(event).__name__,
)
def test_what_happens_to_others_ends_nothing(other: Any) -> None:
    assert leaders(other) == ["m1"]


def test_who_leads_in_a_higher_term_leads() -> None:
    """The old one is cut off and does not know it yet."""
    assert leaders(BecameLeader("m2", 3), SteppedDown("m1", 2, "no quorum")) == ["m2", "m2"]


def test_the_leader_of_a_lower_term_leads_again_if_the_higher_one_is_gone() -> None:
    """It is up and still leads, as far as it knows."""
    assert leaders(BecameLeader("m2", 3), HostCrashed("m2", "power")) == ["m2", "m1"]


def test_the_first_leader_s_term_is_the_one_it_was_formed_in() -> None:
    """So that one of the same term does not outrank it, and one of a later term does."""
    leadership, trace = Leadership(), Trace()
    for event in FORMED:
        trace.record(event, 0, 0)
    trace.record(BecameLeader("m2", 1), 5, 0)
    walk(trace, [leadership])

    assert leadership.leader == "m1"
