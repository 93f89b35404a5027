"""Sweeps: one scenario under many seeds, the same whoever does the work (`swarmsim.explore.sweep`)."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

import swarmsim
from swarmsim.explore import Span, sweep
from swarmsim.explore.sweep import CHUNK, _scenario, workers_pool
from swarmsim.trace.events import BecameFollower, BecameLeader, HostCrashed
from swarmsim.trace.recorder import Recorded

ROOT = Path(__file__).parents[2]
ELECTION = swarmsim.load(ROOT / "scenarios" / "experiments" / "raft-figure-16.yaml")
TOOK = partial(Span, HostCrashed, BecameLeader)


def test_each_seed_gets_the_measure_of_its_own_run() -> None:
    found = sweep(ELECTION, [7, 3], TOOK, workers=1)

    for seed, took in zip([7, 3], found, strict=True):
        trace = swarmsim.run(ELECTION, seed).trace
        crash = next(r.at for r in trace.of(HostCrashed))
        led = next(r.at for r in trace.of(BecameLeader) if r.at > crash)
        assert took == led - crash


def test_it_does_not_matter_how_many_processes_there_are() -> None:
    seeds = range(1, 2 * CHUNK + 4)

    alone, together = sweep(ELECTION, seeds, TOOK, workers=1), sweep(ELECTION, seeds, TOOK, workers=2)

    assert alone == together
    assert len(set(alone)) > CHUNK


def test_a_pool_serves_one_sweep_after_the_other() -> None:
    other = ELECTION.but(cluster={"raft": {"election": "150ms..151ms"}})
    with workers_pool(1) as pool:
        first, second, third = (sweep(s, range(1, 6), TOOK, pool=pool) for s in (ELECTION, other, ELECTION))

    assert first == third
    assert first != second


def test_progress_is_told_as_it_goes() -> None:
    told: list[tuple[int, int]] = []

    sweep(ELECTION, range(1, CHUNK + 3), TOOK, workers=1, progress=lambda done, of: told.append((done, of)))

    assert told == [(CHUNK, CHUNK + 2), (CHUNK + 2, CHUNK + 2)]


def test_a_worker_builds_the_same_scenario_from_its_words() -> None:
    """A stack file beside the scenario is found, too."""
    scenario = swarmsim.load(ROOT / "scenarios" / "voting-app.yaml")

    rebuilt = _scenario(scenario.words, scenario.file)

    assert rebuilt is not scenario
    assert swarmsim.run(rebuilt, 2).digest == swarmsim.run(scenario, 2).digest


def test_a_run_ends_when_the_measure_has_heard_enough() -> None:
    result = swarmsim.run(ELECTION, 1, until=TOOK().hear)

    assert result.why_ended == "enough was seen"
    assert type(result.trace[len(result.trace) - 1].event) is BecameLeader
    assert result.ended_at < 1_000_000


def test_a_run_in_which_nothing_is_enough_goes_on_to_its_end() -> None:
    heard: list[int] = []

    result = swarmsim.run(ELECTION, 1, until=lambda recorded: bool(heard.append(recorded.seq)))

    assert (result.ended_at, result.why_ended) == (10_000_000, "duration")
    assert heard == list(range(1, len(heard) + 1)), "what happened before 0 s is told as well"
    assert result.digest == swarmsim.run(ELECTION, 1).digest


@pytest.mark.parametrize("fits", [None, lambda event: event.leader == "m2"])
def test_a_span_is_from_the_latest_start_to_the_first_end_that_fits(fits: object) -> None:
    span = Span(HostCrashed, BecameFollower, fits)  # type: ignore[arg-type]
    events = [
        (1, BecameFollower("m3", 2, "m1")),  # before any start
        (5, HostCrashed("m9", "power")),
        (10, HostCrashed("m1", "power")),
        (40, BecameFollower("m3", 3, "")),
        (70, BecameFollower("m3", 3, "m2")),
    ]

    enough = [span.hear(Recorded(i, at, 0, event)) for i, (at, event) in enumerate(events, 1)]

    assert span.value() == (30 if fits is None else 60)
    assert enough.index(True) == (3 if fits is None else 4)


def test_a_span_that_does_not_end_is_none() -> None:
    assert Span(HostCrashed, BecameLeader).value() is None
