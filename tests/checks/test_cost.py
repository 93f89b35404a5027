"""Checks are incremental: an event costs the same however much has happened before (counted in lines, not in time)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from swarmsim import checks
from swarmsim.api.states import NodeState
from swarmsim.checks import Bound, Convergence, ConvergenceWatch, History, RaftSafety, TaskTransitions, Timeline
from swarmsim.checks.verdict import listen
from swarmsim.trace.events import (
    BecameFollower,
    BecameLeader,
    EntriesAppended,
    EntriesApplied,
    MembershipChanged,
    SwarmReady,
    VoteGranted,
)
from swarmsim.trace.recorder import Recorded, Trace
from tests.checks.story import S, Story

ROOM = str(Path(checks.__file__).parent)


def lines_of(act: Callable[[], Any]) -> int:
    """How many lines of the checks are executed: exact, and the same on every machine."""
    count = 0

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal count
        if not frame.f_code.co_filename.startswith(ROOM):
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(before)
    return count


def feed(listeners: list[Any], trace: Iterable[Recorded]) -> None:
    hears = listen(listeners)
    for recorded in trace:
        for handler in hears.get(type(recorded.event), ()):
            handler(recorded)


def raft(rounds: int) -> Trace:
    """Entries are appended and applied one by one; every tenth round has an election and a change of the group."""
    trace = Trace()
    members, term, index = ("m1", "m2", "m3"), 2, 0
    trace.record(SwarmReady("m1", members, ()), 0, 0)
    for i in range(rounds):
        at, index = 1_000 * i, index + 1
        for event in [
            *(EntriesAppended(m, term, index, (term,)) for m in members),
            *(EntriesApplied(m, term, index, (term,)) for m in members),
        ]:
            trace.record(event, at, 0)
        if i % 10 == 9:
            term += 1
            for event in [VoteGranted("m2", term, "m1"), BecameLeader("m1", term)]:
                trace.record(event, at, 0)
            for m in members[1:]:
                trace.record(BecameFollower(m, term, "m1"), at, 0)
            for m in members:
                trace.record(MembershipChanged(m, index, members), at, 0)
    return trace


def swarm(size: int, rounds: int) -> Trace:
    """So many services with a task each, and as many tasks of one; then one of them fails again and again."""
    story = Story().service("big", replicas=size)
    for i in range(size):
        story.service(f"s{i}").running(f"a{i}", "w1", service=f"s{i}")
        story.running(f"b{i}", "w2", service="big", slot=i + 1)
    story.service("all", mode="global", replicas=0)
    for i in range(rounds):
        story.at(i + 1).exits(f"x{i - 1}" if i else "b0", "w2", "big.1", "big")
        story.task(f"x{i - 1}" if i else "b0", S.FAILED, desired=S.SHUTDOWN).running(f"x{i}", "w2", service="big")
        story.fault("kill", "big.1").fault_ends("kill", "big.1").step("scale", "s0").answered("scale", "s0")
        story.node("w1", state=NodeState.READY)
    return story.trace


@pytest.mark.parametrize(
    ("make", "trace"),
    [
        (RaftSafety, raft),
        (TaskTransitions, lambda n: swarm(2, n)),
        (Timeline, lambda n: swarm(2, n)),
        (Bound, lambda n: swarm(2, n)),
        (History, lambda n: swarm(2, n)),
        (Convergence, lambda n: swarm(2, n)),
    ],
    ids=["raft safety", "task transitions", "timeline", "bound", "history", "convergence"],
)
def test_four_times_the_trace_costs_four_times_as_much(make: Callable[[], Any], trace: Callable[[int], Trace]) -> None:
    short, long = trace(60), trace(240)

    few, many = (lines_of(lambda t=t: feed([make()], t)) for t in (short, long))

    assert few > 60
    assert many < 4.2 * few


@pytest.mark.parametrize("make", [TaskTransitions, Timeline, Bound, History, Convergence])
def test_an_event_costs_the_same_however_many_tasks_there_are(make: Callable[[], Any]) -> None:
    costs = []
    for size in (5, 80):
        check, trace = make(), list(swarm(size, 30))
        before = 1 + next(i for i, r in enumerate(trace) if r.at)  # with the first, what was put off is done
        feed([check], trace[:before])
        costs.append(lines_of(lambda c=check, t=trace, b=before: feed([c], t[b:])))

    assert costs[1] <= 1.05 * costs[0]


def test_asking_whether_all_is_well_after_each_event_looks_only_at_what_was_touched() -> None:
    judged: list[str] = []

    class Counting(ConvergenceWatch):
        def _judge(self, slot: Any) -> tuple[int, str, int]:
            judged.append(slot.service.name)
            return super()._judge(slot)

    watch, trace = Counting(), list(swarm(100, 20))
    before = next(i for i, r in enumerate(trace) if r.at)
    for recorded in trace[:before]:
        watch.feed(recorded)
    assert watch.converged is False  # the global service has no tasks
    judged.clear()
    for recorded in trace[before:]:
        watch.feed(recorded)
        assert watch.converged is False

    assert set(judged) == {"big"}
    assert len(judged) < len(trace[before:])
