"""`when:`: entries that wait for a state of things (docs/SCENARIOS.md section 6)."""

from __future__ import annotations

from typing import Any

import swarmsim
from swarmsim.trace.events import ContainerStarted, DrawMade, EntryNotFired, FaultStarted, StepSent, TaskChanged

WEB = {"web": {"image": "nginx:1.27", "deploy": {"replicas": 3}, "x-sim": {"pull": "1s", "start": "200ms..900ms"}}}


def run(*timeline: dict[str, Any], **words: Any) -> swarmsim.Result:
    scenario = swarmsim.Scenario(
        cluster={"managers": 1, "workers": 2}, services=WEB, timeline=list(timeline), duration="60s", **words
    )
    return swarmsim.run(scenario, seed=1)


def test_an_entry_begins_in_the_microsecond_in_which_its_condition_comes_true() -> None:
    result = run({"when": {"service": "web", "running": 3}, "scale": "web", "replicas": 4})

    third = [r.at for r in result.trace.of(ContainerStarted)][2]
    sent = next(r.at for r in result.trace.of(StepSent) if r.event.verb == "scale")
    assert sent == third


def test_what_the_store_says_is_later_than_what_is() -> None:
    """`tasks … state: running` waits for the report; `running` for the container."""
    result = run({"when": {"service": "web", "tasks": 3, "state": "running"}, "scale": "web", "replicas": 4})

    third = [r.at for r in result.trace.of(ContainerStarted)][2]
    told = [r.at for r in result.trace.of(TaskChanged) if r.event.now.name == "RUNNING"][2]
    sent = next(r.at for r in result.trace.of(StepSent) if r.event.verb == "scale")
    assert third < told == sent


def test_wait_counts_from_the_condition_and_is_drawn() -> None:
    result = run({"when": {"service": "web", "running": 3}, "wait": "1s..2s", "crash": "w1", "for": "5s"})

    third = [r.at for r in result.trace.of(ContainerStarted)][2]
    began = next(r.at for r in result.trace.of(FaultStarted))
    assert 1_000_000 <= began - third <= 2_000_000
    assert [r.event.what for r in result.trace.of(DrawMade)] == ["wait"]


def test_a_condition_is_looked_at_only_from_its_moment_on() -> None:
    result = run({"at": "20s", "when": {"service": "web", "running": 3}, "crash": "w1", "for": "5s"})

    assert next(r.at for r in result.trace.of(FaultStarted)) == 20_000_000


def test_an_entry_may_wait_for_what_another_brings_about() -> None:
    result = run(
        {"at": "steady + 1s", "crash": "w1"},
        {"at": "crash", "when": {"node": "crash.target", "state": "down"}, "scale": "web", "replicas": 5},
        expect=[{"node": "w1", "state": "down", "from": "scale"}],
    )

    assert result.passed, result.verdicts


def test_a_condition_that_never_comes_leaves_the_run_undecided() -> None:
    """Rule 2: nothing asked for is skipped in silence."""
    scenario = swarmsim.Scenario(
        cluster={"managers": 1, "workers": 2},
        services=WEB,
        timeline=[{"when": {"service": "web", "running": 99}, "crash": "w1"}],
    )

    result = swarmsim.run(scenario, seed=1)

    assert result.state == "UNKNOWN"
    reason = next(r.event.reason for r in result.trace.of(EntryNotFired))
    assert reason.startswith("`when: web running 99` did not come within the bound of convergence")
