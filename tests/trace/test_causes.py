"""Why did this happen? In real runs the chain of causes ends at the fault, or at the operator's step."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

import swarmsim
from swarmsim.api.states import NodeState, TaskState
from swarmsim.trace.events import (
    BecameCandidate,
    BecameLeader,
    ContainerStarted,
    DrawMade,
    EntryNotFired,
    FaultEnded,
    FaultStarted,
    HeartbeatExpired,
    HostCrashed,
    MessageDropped,
    NodeChanged,
    NodeRegistered,
    RunEnded,
    SessionFailed,
    SteadyReached,
    SteppedDown,
    StepSent,
    TaskChanged,
)
from swarmsim.trace.recorder import Recorded, Trace

AT = 20_000_000
#: What happens at 20 s, one entry a run.
RUNS: dict[str, dict[str, Any]] = {
    "worker loses power": {"crash": "w1", "how": "power", "for": "60s"},
    "worker's engine dies": {"crash": "w1", "how": "process"},
    "leader loses power": {"crash": "m1", "how": "power"},
    "leader's engine dies": {"crash": "m1", "how": "process", "for": "70s"},
    "worker is cut off": {"partition": "w1", "for": "60s"},
    "worker is not heard": {"partition": "w1", "direction": "out", "for": "60s"},
    "worker hears nobody": {"partition": "w1", "direction": "in", "for": "60s"},
    "leader is cut off": {"partition": "m1", "for": "60s"},
    "worker's packets are late": {"delay": "w1", "by": "20s", "for": "60s"},
    "containers are killed": {"kill": "web"},
    "worker is drained": {"drain": "w1"},
}
#: Who is marked DOWN first, where anybody is.
DOWN = {
    "worker loses power": "w1",
    "worker's engine dies": "w1",
    "leader loses power": "m1",
    "leader's engine dies": "m1",
    "worker is cut off": "w1",
    "worker is not heard": "w1",
    "leader is cut off": "m1",
    "worker's packets are late": "w1",
}
ELECTS = ["leader loses power", "leader's engine dies", "leader is cut off"]
#: Facts of the run itself, which nothing that was recorded brought about.
OF_THE_RUN = (DrawMade, EntryNotFired, RunEnded, SteadyReached)


def run(*entries: dict[str, Any], seed: int = 1) -> Trace:
    service = {"image": "nginx", "deploy": {"replicas": 6}, "x-sim": {"pull": "1s..2s", "start": "200ms"}}
    words = swarmsim.Scenario(
        cluster={"managers": 3, "workers": 3}, services={"web": service}, timeline=list(entries), duration="150s"
    )
    return swarmsim.run(words, seed).trace


@cache
def trace_of(name: str) -> Trace:
    return run({"at": "20s", **RUNS[name]})


def root(trace: Trace, recorded: Recorded) -> Recorded:
    return trace.chain(recorded.seq)[-1]


def kinds(trace: Trace, recorded: Recorded) -> list[type]:
    return [type(r.event) for r in trace.chain(recorded.seq)]


def after(trace: Trace, *kinds: type) -> list[Recorded]:
    return [r for r in (trace.of(*kinds) if kinds else trace) if r.at > AT]


def is_entry(recorded: Recorded) -> bool:
    """The fault or the step at 20 s."""
    return type(recorded.event) in (FaultStarted, StepSent) and recorded.at == AT


def in_order(wanted: list[type], found: list[type]) -> bool:
    """Do they occur in this order, other events between them?"""
    rest = iter(found)
    return all(kind in rest for kind in wanted)


# ---- what the design promises ------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", DOWN)
def test_a_node_that_is_marked_down_was_so_because_of_the_fault(name: str) -> None:
    """DESIGN section 5: HeartbeatExpired, and the change of the node, lead to what silenced it."""
    trace = trace_of(name)
    expired = [r for r in after(trace, HeartbeatExpired) if r.event.node == DOWN[name]]
    marked = [r for r in after(trace, NodeChanged) if r.event.state is NodeState.DOWN]

    assert next(r.event.node for r in marked) == DOWN[name]
    for recorded in (*expired, *marked):
        assert is_entry(root(trace, recorded)), kinds(trace, recorded)
    for recorded in marked:
        assert HeartbeatExpired in kinds(trace, recorded)


@pytest.mark.parametrize(
    ("name", "silence"),
    [
        ("worker loses power", HostCrashed),
        ("worker's engine dies", HostCrashed),
        ("leader loses power", HostCrashed),
        ("worker is cut off", MessageDropped),
        ("worker is not heard", MessageDropped),
        ("leader is cut off", MessageDropped),
    ],
)
def test_and_the_chain_names_what_silenced_it(name: str, silence: type) -> None:
    trace = trace_of(name)

    marked = next(r for r in after(trace, NodeChanged) if r.event.state is NodeState.DOWN)

    assert in_order([NodeChanged, HeartbeatExpired, silence, FaultStarted], kinds(trace, marked))


@pytest.mark.parametrize("name", ELECTS)
def test_a_leader_was_elected_because_of_the_fault(name: str) -> None:
    """Through the candidacy of whoever did not hear the old one."""
    trace = trace_of(name)
    elected = after(trace, BecameLeader)

    assert elected
    for recorded in elected:
        assert is_entry(root(trace, recorded)), kinds(trace, recorded)
        assert in_order([BecameLeader, BecameCandidate, FaultStarted], kinds(trace, recorded))


def replaced(trace: Trace) -> list[Recorded]:
    """Tasks that replaced another after 20 s: the change of each to RUNNING, and its container's start."""
    return [
        r
        for r in after(trace, TaskChanged, ContainerStarted)
        if type(r.event) is ContainerStarted or (r.event.now is TaskState.RUNNING and r.event.was < TaskState.RUNNING)
    ]


@pytest.mark.parametrize("name", [name for name in RUNS if name != "worker hears nobody"])
def test_a_task_that_runs_in_another_s_place_does_so_because_of_the_fault(name: str) -> None:
    trace = trace_of(name)
    found = replaced(trace)

    assert len(found) >= 2
    for recorded in found:
        assert is_entry(root(trace, recorded)), kinds(trace, recorded)


@pytest.mark.parametrize("name", RUNS)
def test_nothing_that_happens_after_the_entry_happens_without_it(name: str) -> None:
    """The swarm is in peace otherwise: every event leads to the entry, whatever its class."""
    trace = trace_of(name)

    strays = [r for r in after(trace) if not is_entry(root(trace, r)) and type(r.event) not in OF_THE_RUN]

    assert [(r.at, type(r.event).__name__, [k.__name__ for k in kinds(trace, r)]) for r in strays] == []


# ---- more than one -----------------------------------------------------------------------------------------------
def test_of_two_faults_each_is_blamed_for_its_own() -> None:
    """A worker dies, then the leader. The next leader finds the worker silent because it died, not because it leads."""
    trace = run(
        {"at": "20s", "crash": "w1", "how": "power", "name": "first"},
        {"at": "21s", "crash": "m1", "how": "power", "name": "second"},
    )
    marked = {
        r.event.node: root(trace, r).event.entry for r in trace.of(NodeChanged) if r.event.state is NodeState.DOWN
    }

    assert marked == {"w1": "first", "m1": "second"}
    assert {root(trace, r).event.entry for r in trace.of(BecameLeader)} == {"second"}


def test_what_the_end_of_a_fault_brings_about_leads_to_the_end() -> None:
    """A node is READY again because its host started, because the fault ended."""
    trace = trace_of("worker loses power")

    ready = next(r for r in after(trace, NodeChanged) if r.event.state is NodeState.READY)

    assert in_order([NodeChanged, FaultEnded, FaultStarted], kinds(trace, ready))


def test_a_second_partition_of_the_same_way_is_blamed_for_itself() -> None:
    """Not the first, which is long over."""
    cuts = [{"at": f"{at}s", "partition": "w1", "for": "30s", "name": f"cut{at}"} for at in (20, 80)]
    trace = run(*cuts)

    marked = [r for r in trace.of(NodeChanged) if r.event.state is NodeState.DOWN and r.event.node == "w1"]

    assert [root(trace, r).event.entry for r in marked] == ["cut20", "cut80"]


@pytest.mark.parametrize("name", ["leader loses power", "leader's engine dies", "leader is cut off"])
def test_sessions_fail_because_of_the_fault(name: str) -> None:
    trace = trace_of(name)
    found = after(trace, SessionFailed, NodeRegistered)

    assert len(found) >= 8
    assert all(is_entry(root(trace, r)) for r in found)


def test_a_leader_that_is_cut_off_steps_down_because_of_the_fault() -> None:
    trace = trace_of("leader is cut off")

    down = next(r for r in after(trace, SteppedDown) if r.event.node == "m1")

    assert is_entry(root(trace, down))


@pytest.mark.parametrize("name", RUNS)
def test_a_cause_is_never_later_than_its_effect(name: str) -> None:
    trace = trace_of(name)

    assert all(r.cause < r.seq and (not r.cause or trace[r.cause].at <= r.at) for r in trace)
    assert all(a.at <= b.at for a, b in zip(trace.events, trace.events[1:], strict=False)), "time goes forward"
