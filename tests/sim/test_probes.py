"""`probes: exact`, which sends all heartbeats and probes, and the default, which skips the healthy ones: one outcome.

The draws differ (a skipped heartbeat draws nothing), so single runs differ in their microseconds. What is compared is
what they come to, and how the times are distributed over seeds.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from statistics import mean, quantiles
from typing import Any

import pytest

import swarmsim
from swarmsim.api.states import NodeState, TaskState
from swarmsim.trace.events import (
    BecameLeader,
    ContainerStarted,
    NodeChanged,
    ObjectChanged,
    ServiceChanged,
    TaskChanged,
)
from swarmsim.trace.recorder import Trace

SECOND = 1_000_000
AT = 10 * SECOND
SEEDS = range(1, 17)

#: What happens at 10 s, and how long the run is.
RUNS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "nothing": ([], "30s"),
    "nothing for long": ([], "90s"),
    "worker": ([{"crash": "w1", "how": "power"}], "70s"),
    "leader": ([{"crash": "m1", "how": "power"}], "70s"),
    "drain": ([{"drain": "w1"}], "30s"),
    "kill": ([{"kill": "web.1"}], "30s"),
    "scale": ([{"scale": "web", "replicas": 9}], "30s"),
    "worker cut off": ([{"partition": "w1", "for": "30s"}], "60s"),
    "leader cut off": ([{"partition": "m1", "for": "40s"}], "150s"),
}


@cache
def result(name: str, probes: str, seed: int) -> Any:
    entries, duration = RUNS[name]
    words = swarmsim.Scenario(
        cluster={"managers": 3, "workers": 2, "probes": probes},
        services={"web": {"image": "nginx", "deploy": {"replicas": 6}, "x-sim": {"pull": "1s", "start": "200ms"}}},
        timeline=[{"at": "10s", **entry} for entry in entries],
        duration=duration,
    )
    return swarmsim.run(words, seed)


def store_history(trace: Trace) -> Counter[tuple[Any, ...]]:
    """What the store was told, without ids, times and the nodes that were drawn, as often as it was told."""
    told: Counter[tuple[Any, ...]] = Counter()
    for recorded in trace.of(TaskChanged, ServiceChanged, NodeChanged, ObjectChanged):
        e = recorded.event
        if isinstance(e, TaskChanged):
            if e.now in (TaskState.ACCEPTED, TaskState.PREPARING, TaskState.STARTING):
                continue  # the dispatcher's batches may swallow them
            told[e.service, e.action, e.component.name, e.now.name, e.desired.name] += 1
        elif isinstance(e, NodeChanged):
            told["node", e.node, e.action, e.state.name, e.availability.name] += 1
        elif isinstance(e, ServiceChanged):
            told["service", e.service, e.action, e.replicas] += 1
        else:
            told[e.kind, e.action] += 1
    return told


def verdicts(name: str, probes: str, seed: int) -> list[tuple[str, str]]:
    return [(v.name, str(v.state)) for v in result(name, probes, seed).verdicts]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", ["nothing", "scale"])
def test_without_a_fault_the_store_is_told_the_same(name: str, seed: int) -> None:
    lazy, exact = (result(name, probes, seed) for probes in ("lazy", "exact"))

    assert store_history(lazy.trace) == store_history(exact.trace)
    assert verdicts(name, "lazy", seed) == verdicts(name, "exact", seed)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", RUNS)
def test_a_run_comes_to_the_same_end(name: str, seed: int) -> None:
    """The same verdicts, the same nodes, as many containers, and the same number of leaders on the way."""

    def end(probes: str) -> tuple[Any, ...]:
        found = result(name, probes, seed)
        store = found.cluster.store()
        states = {node.hostname: node.status.state.name for node in store.nodes.values()}
        wanted = Counter((t.status.state.name, t.desired_state.name) for t in store.tasks.values())
        elected = sum(1 for _ in found.trace.of(BecameLeader))
        return verdicts(name, probes, seed), states, len(found.cluster.containers()), wanted, elected

    assert end("lazy") == end("exact")


def detection(name: str, probes: str, seed: int) -> int:
    """From the crash to the first node that is marked DOWN."""
    trace = result(name, probes, seed).trace
    return next(r.at for r in trace.of(NodeChanged) if r.event.state is NodeState.DOWN) - AT


def failover(name: str, probes: str, seed: int) -> int:
    return next(r.at for r in result(name, probes, seed).trace.of(BecameLeader)) - AT


def repair(name: str, probes: str, seed: int) -> int:
    """To the start of the container that replaces the dead one."""
    return next(r.at for r in result(name, probes, seed).trace.of(ContainerStarted) if r.at > AT) - AT


@pytest.mark.parametrize(
    ("name", "time", "low", "high"),
    [
        # Between three periods less one, and three periods: 4.5 to 5.5 s each (dispatcher/period.go).
        ("worker", detection, 8.9, 16.6),
        ("worker", repair, 13.9, 22.5),
        # An election timeout of 10 to 19 ticks, the shorter of two; a split vote costs another.
        ("leader", failover, 8.9, 40.0),
    ],
    ids=["a worker is found dead", "its tasks are restored", "another leads"],
)
def test_times_are_distributed_alike(name: str, time: Any, low: float, high: float) -> None:
    """Two samples of one distribution: their ranges as the rules say, their means and quartiles close to each other."""
    samples = {probes: [time(name, probes, seed) / SECOND for seed in SEEDS] for probes in ("lazy", "exact")}
    lazy, exact = samples["lazy"], samples["exact"]

    assert all(low < t < high for t in (*lazy, *exact)), samples
    spread = (max(exact) - min(exact)) or 1.0
    assert abs(mean(lazy) - mean(exact)) < 0.25 * spread
    for a, b in zip(quantiles(lazy, n=4), quantiles(exact, n=4), strict=True):
        assert abs(a - b) < 0.35 * spread


def test_what_is_healthy_and_skipped_costs_nothing() -> None:
    """A minute of peace, counted in SimPy events."""

    def minute(probes: str) -> int:
        return result("nothing for long", probes, 1).sim_events - result("nothing", probes, 1).sim_events

    assert minute("lazy") < 20
    assert minute("exact") > 1_000
