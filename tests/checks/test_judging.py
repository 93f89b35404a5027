"""All together: a scenario's words, a trace, and the verdicts that come of them (`swarmsim.checks.judge`)."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import pytest

import swarmsim
from swarmsim import checks
from swarmsim.api.states import NodeState
from swarmsim.checks import CHECKS, FAIL, PASS, UNKNOWN, Expectation, Verdict, judge, verdicts_of
from swarmsim.trace.events import HostCrashed, RunEnded, SteadyReached, VoteGranted
from swarmsim.trace.recorder import Trace
from tests.checks.story import Story

TIMELINE = [{"at": "steady + 5s", "crash": "w1", "for": "20s"}, {"at": "crash + 8s", "scale": "web", "replicas": 2}]


def scenario(*expect: dict[str, Any], timeline: list[dict[str, Any]] | None = None) -> swarmsim.Scenario:
    return swarmsim.Scenario(
        cluster={"managers": 3, "workers": 2},
        services={"web": {"image": "nginx", "deploy": {"replicas": 1}}},
        timeline=TIMELINE if timeline is None else timeline,
        expect=list(expect),
        duration="300s",
    )


def run(crash: bool = True) -> Trace:
    """Steady at 3 s; w1 is off from 8 s to 28 s, DOWN at 20 s; web is scaled to two at 16 s, and soon is two."""
    story = Story().service().running("t1", "w2").at(3).add(SteadyReached())
    if crash:
        story.at(8).fault("crash", "w1").add(HostCrashed("w1", "power"))
        story.at(16).step("scale").answered("scale").service(replicas=2)
        story.at(17).running("t2", "m1", slot=2)
        story.at(20).node("w1", state=NodeState.DOWN)
        story.at(28).fault_ends("crash", "w1").at(29).node("w1", state=NodeState.READY)
    return story.end(300)


def state_of(verdicts: list[Verdict], name: str) -> str:
    (found,) = [v for v in verdicts if v.name == name]
    return f"{found.state} {found.seen}"


# ---- registry ---------------------------------------------------------------------------------------------------
def test_every_check_of_the_folder_is_registered() -> None:
    """A check has a name and a verdict; a file that defines one must be in CHECKS."""
    found = []
    for module in pkgutil.iter_modules(checks.__path__):
        members = vars(importlib.import_module(f"swarmsim.checks.{module.name}")).values()
        found += [
            m
            for m in members
            if isinstance(m, type)
            and m.__module__.endswith(f".{module.name}")
            and "name" in vars(m)
            and "verdict" in vars(m)
        ]

    assert sorted(map(repr, found)) == sorted(map(repr, CHECKS))


def test_the_checks_run_always_and_are_named_as_the_report_names_them() -> None:
    verdicts = verdicts_of(run(crash=False))

    assert [v.name for v in verdicts] == ["convergence", "raft safety", "task transitions", "timeline"]
    assert {check.name for check in CHECKS} == {v.name for v in verdicts}
    assert all(v.always and v.state is PASS for v in verdicts)


# ---- from words to verdicts -----------------------------------------------------------------------------------
def test_expectations_come_first_in_the_order_of_the_file_then_the_checks() -> None:
    verdicts = judge(scenario({"leader_changes": 0}, {"service": "web", "running": 2}), run())

    assert [v.name for v in verdicts][:2] == ["leader_changes 0", "web running 2"]
    assert [v.state for v in verdicts] == [PASS] * 6


@pytest.mark.parametrize(
    ("expect", "verdict"),
    [
        # moments: an anchor, the end of an entry, a time of day; with and without more
        (
            {"node": "w1", "state": "down", "within": "8s..17s", "after": "crash"},
            "PASS after 12.0 s, until w1 came back",
        ),
        ({"node": "w1", "state": "down", "within": "11s", "after": "crash"}, "FAIL only after 12.0 s"),
        ({"node": "w1", "state": "ready", "within": "2s", "after": "crash.end"}, "PASS after 1.0 s, to the end"),
        ({"node": "w1", "state": "ready", "from": "steady", "until": "crash"}, "PASS READY throughout"),
        ({"node": "w1", "state": "ready", "from": "crash", "until": "crash + 12s"}, "PASS READY throughout"),
        ({"service": "web", "running": 2, "within": "5s", "after": "scale"}, "PASS after 1.0 s, to the end"),
        (
            {"service": "web", "running": 2, "within": "2s", "after": "scale.end + 500ms"},
            "PASS after 0.5 s, to the end",
        ),
        ({"service": "web", "started": 1, "from": "10s", "until": "20s"}, "PASS 1 between 10.0 s and 20.0 s"),
        # names: a target, several nodes
        ({"node": "crash.target", "state": "ready"}, "PASS READY at the end, 300.0 s"),
        ({"node": "crash.target", "state": "ready", "from": "0s"}, "FAIL DOWN from 20.0 s to 29.0 s"),
        ({"node": ["w2", "m1"], "running": 1}, "PASS each of 2; m1: 1 at the end, 300.0 s"),
        ({"node": "workers", "running": 1}, "FAIL w1: 0 at the end, 300.0 s"),
        ({"leader": "m1", "from": "0s"}, "PASS m1 leads throughout"),
        ({"leader": "none"}, "FAIL m1 leads at the end, 300.0 s"),
    ],
    ids=str,
)
def test_words_are_bound_to_moments_and_names(expect: dict[str, Any], verdict: str) -> None:
    found = judge(scenario(expect), run())[0]

    assert f"{found.state} {found.seen}" == verdict


@pytest.mark.parametrize(
    ("expect", "why"),
    [
        ({"node": "w1", "state": "down", "within": "17s", "after": "crash"}, "`crash` did not fire"),
        (
            {"node": "w1", "state": "down", "within": "17s", "after": "crash.end"},
            "`crash` did not end before the run did",
        ),
        ({"node": "crash.target", "state": "down"}, "`crash` did not fire"),
        ({"service": "web", "running": 1, "from": "crash", "until": "crash.end"}, "`crash` did not fire"),
    ],
    ids=str,
)
def test_an_anchor_that_never_came_leaves_the_expectation_unknown(expect: dict[str, Any], why: str) -> None:
    found = judge(scenario(expect), run(crash=False))[0]

    assert (found.state, found.seen) == (UNKNOWN, why)


def test_steady_that_never_came_is_named() -> None:
    story = Story().service().end(300)

    found = judge(scenario({"service": "web", "running": 1, "from": "steady"}), story)[0]

    assert (found.state, found.seen) == (UNKNOWN, "`steady` never came")


def test_the_reason_why_an_entry_did_not_fire_is_passed_on() -> None:
    story = Story().service().at(40).not_fired("crash", "no leader at 40s")

    verdicts = judge(scenario({"node": "crash.target", "state": "down"}), story.end(300))

    assert verdicts[0].seen == "`crash` did not fire: no leader at 40s"
    assert state_of(verdicts, "timeline").startswith("UNKNOWN `crash` did not fire: no leader at 40s")


def test_entries_of_the_file_that_left_no_trace_did_not_fire() -> None:
    assert state_of(judge(scenario(), run(crash=False)), "timeline") == "UNKNOWN `crash` did not fire"


def test_refused_is_read_from_the_file() -> None:
    wants = [{"at": "5s", "scale": "web", "replicas": 2, "refused": "out of sequence"}]
    story = Story().service().running("t1", "w1").at(5).step("scale").answered("scale")

    found = judge(scenario(timeline=wants), story.end(300))

    assert state_of(found, "timeline") == "FAIL `scale` was accepted at 5.0 s, not refused with `out of sequence`"


# ---- violates, and convergence with words of its own --------------------------------------------------------------
def double_vote() -> Trace:
    story = Story().service().running("t1", "w1").at(5)
    return story.add(VoteGranted("m3", 9, "m1"), VoteGranted("m3", 9, "m2")).end(300)


def test_a_check_that_must_fail_counts_as_passed_when_it_does() -> None:
    verdicts = verdicts_of(double_vote(), [Expectation("violates", wanted="raft safety", text="violates raft safety")])

    assert verdicts[0].state is PASS
    assert verdicts[0].seen.startswith("one vote a term: m3 voted for m1 and for m2 in term 9")
    assert state_of(verdicts, "raft safety") == "PASS violated, as the scenario expects"
    assert [(b.at, b.property) for b in verdicts[-3].broken] == [(5_000_000, "one vote a term")]


def test_and_as_failed_when_it_passes() -> None:
    verdicts = verdicts_of(run(crash=False), [Expectation("violates", wanted="raft safety", text="violates")])

    assert (verdicts[0].state, verdicts[0].seen) == (FAIL, "nothing violated it")
    assert state_of(verdicts, "raft safety") == "PASS always checked"


def test_and_stays_unknown_when_it_is() -> None:
    short = Story().service().end(3)

    verdicts = verdicts_of(short, [Expectation("violates", wanted="convergence", text="violates")])

    assert verdicts[0].state is UNKNOWN
    assert state_of(verdicts, "convergence").startswith("UNKNOWN")


def test_only_the_named_check_is_excused() -> None:
    verdicts = verdicts_of(double_vote(), [Expectation("violates", wanted="task transitions", text="violates")])

    assert [str(v.state) for v in verdicts] == ["FAIL", "PASS", "FAIL", "PASS", "PASS"]


@pytest.mark.parametrize(
    ("words", "state"),
    [({"convergence": "20s"}, FAIL), ({"convergence": "40s"}, PASS), ({"convergence": "waived"}, PASS)],
)
def test_convergence_with_another_bound_adds_no_verdict_of_its_own(words: dict[str, Any], state: object) -> None:
    story = Story().service().at(5).fault("crash", "w1").at(30).running("t1", "w2")

    verdicts = judge(scenario(words), story.end(300))

    assert len(verdicts) == len(CHECKS)
    assert verdicts[0].state is state


def test_a_verdict_prints_as_a_line() -> None:
    assert str(Verdict("web running 2", PASS, "2 throughout")) == "PASS     web running 2: 2 throughout"


def test_the_end_of_the_run_is_the_time_of_its_last_event() -> None:
    trace = Trace()
    trace.record(RunEnded("duration"), 42, 0)

    assert checks.walk(trace, []) == 42
