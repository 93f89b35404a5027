"""Expectations: each subject and property, each way of saying when, and what stays unknown (SCENARIOS.md section 8)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmsim.api.states import NodeState, UpdateState
from swarmsim.checks import FAIL, PASS, Expectation, History, Verdict, walk
from swarmsim.checks.expectations import evaluate, holds_now
from swarmsim.checks.history import Steps, count_between
from swarmsim.trace.events import BecameLeader, HostCrashed, SteppedDown
from tests.checks.story import S, Story, us


def history_of(story: Story) -> History:
    history = History()
    walk(story.trace, [history])
    return history


def judge(story: Story, subject: str, *names: str, end: float = 60.0, **asked: Any) -> Verdict:
    """An expectation; `within`, `after`, `from_`, `until` in seconds; at the end where none is given."""
    times = {k: us(v) for k, v in asked.items() if k in ("after", "from_", "until") and v is not None}
    if "within" in asked:
        within = asked["within"]
        low, high = within if isinstance(within, tuple) else (0, within)
        times["within"] = (us(low), us(high))  # type: ignore[assignment]
    others = {k: v for k, v in asked.items() if k not in ("after", "from_", "until", "within")}
    words = Expectation(subject, names, text="what is asked", line=7, at_end=not times, **{**others, **times})
    return evaluate(words, history_of(story), us(end))


def said(verdict: Verdict) -> tuple[str, str]:
    return str(verdict.state), verdict.seen


# ---- subjects and properties, at the end of the run ---------------------------------------------------------------
def two_of_three() -> Story:
    """web: two containers run, on w1 and w2; one has come and gone; one task is pending."""
    story = Story().service(replicas=3).running("t1", "w1").running("t2", "w2", slot=2)
    story.at(5).running("t3", "w2", slot=3).at(9).exits("t3", "w2", "web.3")
    story.task("t3", S.FAILED, desired=S.SHUTDOWN)
    return story.task("t4", S.PENDING, slot=3, error="no suitable node (insufficient resources on 5 nodes)")


@pytest.mark.parametrize(
    ("subject", "names", "asked", "value"),
    [
        ("service", ("web",), {"property": "running"}, 2),
        ("service", ("other",), {"property": "running"}, 0),
        ("service", ("web",), {"property": "pending"}, 1),
        ("service", ("web",), {"property": "pending", "error": "insufficient resources"}, 1),
        ("service", ("web",), {"property": "pending", "error": "Insufficient"}, 0),
        ("service", ("web",), {"property": "started"}, 3),
        ("service", ("other",), {"property": "started"}, 0),
        ("node", ("w2",), {"property": "running"}, 1),
        ("node", ("m1",), {"property": "running"}, 0),
        ("node", ("stranger",), {"property": "running"}, 0),
    ],
)
def test_a_number_passes_exactly_within_its_counts(subject: str, names: Any, asked: Any, value: int) -> None:
    for counts in ((value, value), (value, None), (0, value)):
        assert judge(two_of_three(), subject, *names, wanted=counts, **asked).state is PASS
    too_few: list[Any] = [(0, value - 1)] if value else []
    for counts in ((value + 1, value + 1), (value + 1, None), *too_few):
        assert judge(two_of_three(), subject, *names, wanted=counts, **asked).state is FAIL


@pytest.mark.parametrize("state", ["ready", "down", "unknown", "disconnected"])
def test_a_node_s_state_is_the_one_in_the_replicated_store(state: str) -> None:
    story = Story().at(5).node("w1", state=NodeState[state.upper()])

    for asked in ("ready", "down", "unknown", "disconnected"):
        verdict = judge(story, "node", "w1", property="state", wanted=asked)
        assert (verdict.state is PASS) == (asked == state)
        assert verdict.seen == f"{state.upper()} at the end, 60.0 s"


def test_a_node_that_is_not_in_the_swarm_is_in_no_state() -> None:
    """Before it joins, after it was removed, and if it was never there."""
    story = Story().at(5).node("w9", action="CREATE").at(9).node("w1", action="REMOVE")
    states = history_of(story).node_states

    assert [states["w9"].at(us(t)) for t in (0, 5, 60)] == [None, NodeState.READY, NodeState.READY]
    assert [states["w1"].at(us(t)) for t in (0, 9)] == [NodeState.READY, None]
    assert said(judge(story, "node", "w1", property="state", wanted="down")) == (
        "FAIL",
        "not in the swarm at the end, 60.0 s",
    )
    assert judge(story, "node", "nobody", property="state", wanted="unknown").state is FAIL


def test_nodes_means_each_of_them_and_the_worst_counts_and_is_named() -> None:
    story = Story().at(5).node("w2", state=NodeState.DOWN)

    assert said(judge(story, "node", "w1", "w2", "m1", property="state", wanted="ready")) == (
        "FAIL",
        "w2: DOWN at the end, 60.0 s",
    )
    assert said(
        judge(story.node("m1", state=NodeState.DOWN), "node", "m1", "w2", property="state", wanted="ready")
    ) == (
        "FAIL",
        "m1: DOWN at the end, 60.0 s (and 1 more)",
    )
    assert said(judge(Story(), "node", "w1", "w2", property="state", wanted="ready")) == (
        "PASS",
        "each of 2; w2: READY at the end, 60.0 s",
    )


def leaders() -> Story:
    """m1 leads from 0 s, nobody from 10 s, m2 from 20 s."""
    story = Story().at(10).add(HostCrashed("m1", "power")).at(20).add(BecameLeader("m2", 3))
    return story


@pytest.mark.parametrize(
    ("at", "leader"),
    [(5.0, "m1"), (10.0, ""), (15.0, ""), (20.0, "m2"), (60.0, "m2")],
)
def test_who_leads(at: float, leader: str) -> None:
    story = leaders()
    right = {("any",): leader != "", ("none",): leader == "", ("m1", "m3"): leader == "m1", ("m2",): leader == "m2"}

    for names, holds in right.items():
        until = at + 0.000001 if at < 60 else None
        verdict = judge(story, "leader", *names, from_=at, until=until)
        assert (verdict.state is PASS) == holds, (names, verdict)


def test_a_cut_off_leader_leads_until_it_steps_down_or_a_higher_term_has_one() -> None:
    story = Story().at(10).add(BecameLeader("m2", 3)).at(15).add(SteppedDown("m1", 2, "no quorum"))
    story.at(20).add(SteppedDown("m2", 3, "no quorum"))

    steps = history_of(story).leader

    assert list(zip(steps.times, steps.values, strict=True)) == [(0, "m1"), (us(10), "m2"), (us(20), "")]


@pytest.mark.parametrize(("counts", "state"), [((1, 1), PASS), ((0, 0), FAIL), ((2, None), FAIL), ((0, 3), PASS)])
def test_leader_changes_count_how_often_a_manager_became_leader(counts: Any, state: object) -> None:
    assert judge(leaders(), "leader_changes", wanted=counts).state is state


def test_who_led_from_the_beginning_is_no_change() -> None:
    assert said(judge(Story(), "leader_changes", wanted=(0, 0))) == ("PASS", "m1 led throughout")


# ---- within ... after, and stays so -----------------------------------------------------------------------------
def restored(at: float = 25.0) -> Story:
    """web has one container; it is gone at 10 s (crash), and back at 25 s."""
    story = Story().service().running().at(10).fault("crash", "w1").exits()
    return story.at(at).running("t2", "w2")


def running(story: Story, **asked: Any) -> Verdict:
    return judge(story, "service", "web", property="running", wanted=(1, 1), **asked)


@pytest.mark.parametrize(
    ("within", "state", "seen"),
    [
        (15.0, "PASS", "after 15.0 s, to the end"),
        (20.0, "PASS", "after 15.0 s, to the end"),
        (14.9, "FAIL", "only after 15.0 s"),
        ((14, 16), "PASS", "after 15.0 s, to the end"),
        ((15, 16), "PASS", "after 15.0 s, to the end"),
        ((15.1, 16), "FAIL", "already after 15.0 s, sooner than 15.1 s"),
    ],
)
def test_it_becomes_true_at_most_that_long_after_the_moment(within: Any, state: str, seen: str) -> None:
    assert said(running(restored(), after=10, within=within)) == (state, seen)


def test_what_was_true_at_the_moment_itself_and_stayed_so_needed_no_time() -> None:
    story = Story().service().running().at(10).fault("crash", "w2")

    assert said(running(story, after=10, within=5)) == ("PASS", "after 0.0 s, to the end")
    assert said(running(story, after=10, within=(1, 5))) == ("FAIL", "already at the moment itself, sooner than 1.0 s")


def test_in_the_instant_of_the_moment_the_state_after_the_whole_microsecond_counts() -> None:
    """`after: crash` sees the crash: twelve of twelve do not run any more."""
    story = Story().service().running().at(10).fault("crash", "w1").exits()

    assert running(story, after=10, within=5).state is FAIL


def test_true_in_passing_is_not_enough() -> None:
    story = restored(at=12).at(14).exits("t2", "w2").at(40).runs("t2", "w2")

    assert said(running(story, after=10, within=5)) == (
        "FAIL",
        "only in passing, from 12.0 s to 14.0 s, then 0; again after 30.0 s",
    )
    assert running(story, after=10, within=30).state is PASS


def test_it_need_not_last_beyond_the_next_disturbance() -> None:
    """An entry that begins or ends takes over: what it does is no broken promise."""
    story = restored(at=12).at(14).fault("crash", "w2", entry="second").exits("t2", "w2")

    assert said(running(story, after=10, within=5)) == ("PASS", "after 2.0 s, until `second` began")


def test_the_end_of_an_entry_is_a_disturbance_too() -> None:
    story = restored(at=12).at(30).fault_ends("crash", "w1").at(30.5).exits("t2", "w2")

    assert said(running(story, after=10, within=5)) == ("PASS", "after 2.0 s, until w1 came back")


def test_a_change_just_before_the_next_disturbance_breaks_the_promise() -> None:
    story = restored(at=12).at(13.999999).exits("t2", "w2").at(14).fault("crash", "w2", entry="second")

    assert running(story, after=10, within=5).state is FAIL


def test_never_true_is_said_so() -> None:
    story = Story().service().running().at(10).fault("crash", "w1").exits()

    assert said(running(story, after=10, within=5)) == ("FAIL", "0 from 10.0 s to the end")


@pytest.mark.parametrize(
    ("end", "state", "seen"),
    [
        (9.0, "UNKNOWN", "the run ended at 9.0 s, before the moment it counts from"),
        (20.0, "UNKNOWN", "the run ended 10.0 s after the moment: 0"),
        (24.999999, "UNKNOWN", "the run ended 15.0 s after the moment: 0"),
        (30.0, "FAIL", "0 from 10.0 s to the end"),
    ],
)
def test_a_run_that_ends_before_the_time_is_over_leaves_it_unknown(end: float, state: str, seen: str) -> None:
    story = Story().service().running().at(9).node("w1").at(min(end, 10))
    if end >= 10:
        story.fault("crash", "w1").exits()

    assert said(running(story, after=10, within=20, end=end)) == (state, seen)


def test_true_at_the_end_of_a_short_run_passes() -> None:
    """It became so in time, and stayed so to the end of the run."""
    assert running(restored(at=12), after=10, within=30, end=13).state is PASS


# ---- from ... until ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("from_", "until", "state", "seen"),
    [
        (0, 10, "PASS", "1 throughout"),
        (0, 10.000001, "FAIL", "0 from 10.0 s to 10.0 s"),
        (9, 12, "FAIL", "0 from 10.0 s to 12.0 s"),
        (10, 25, "FAIL", "0 from 10.0 s to 25.0 s"),
        (25, None, "PASS", "1 throughout"),
        (24.999999, None, "FAIL", "0 from 25.0 s to 25.0 s"),
        (25, 90, "UNKNOWN", "the run ended at 60.0 s, before 90.0 s; so far it held"),
        (12, 90, "FAIL", "0 from 12.0 s to 25.0 s"),
        (70, 90, "UNKNOWN", "the run ended at 60.0 s, before 70.0 s"),
        (30, 20, "UNKNOWN", "nothing lies between 30.0 s and 20.0 s"),
        (30, 30, "UNKNOWN", "nothing lies between 30.0 s and 30.0 s"),
    ],
)
def test_true_at_every_instant_between(from_: float, until: float | None, state: str, seen: str) -> None:
    """`from: crash` sees the crash, `until: crash` does not."""
    assert said(running(restored(), from_=from_, until=until)) == (state, seen)


def test_several_values_that_were_right_are_told() -> None:
    story = Story().service().running().at(10).running("t2", "w2").at(20).exits("t2", "w2")

    verdict = judge(story, "service", "web", property="running", wanted=(1, 3), from_=0)

    assert said(verdict) == ("PASS", "1 to 2 throughout")
    assert judge(leaders(), "leader", "any", "none", from_=0).state is FAIL
    assert said(judge(leaders(), "leader", "m1", "m2", from_=0, until=10)) == ("PASS", "m1 leads throughout")


def test_pending_tasks_count_while_they_are_wanted_and_have_no_node() -> None:
    """With `error`, those whose status says so then."""
    story = Story().service().at(5).task("t1", S.PENDING).at(8).task("t1", S.PENDING, error="no suitable node")
    story.at(20).task("t1", S.ASSIGNED).at(30).task("t2", S.NEW, slot=2).at(40).task("t2", S.NEW, desired=S.REMOVE)
    history = history_of(story)

    def changes(steps: Steps[int]) -> list[tuple[int, int]]:
        return list(zip(steps.times, steps.values, strict=True))

    assert changes(history.pending("web")) == [(0, 0), (us(5), 1), (us(20), 0), (us(30), 1), (us(40), 0)]
    assert changes(history.pending("web", "suitable")) == [(0, 0), (us(8), 1), (us(20), 0)]
    assert changes(history.pending("db")) == [(0, 0)]


# ---- counters ---------------------------------------------------------------------------------------------------
def three_starts() -> Story:
    """Containers began to run at 0, 10 and 20 s."""
    return Story().service().running().at(10).runs("t2").at(20).runs("t3")


def started(story: Story, *counts: int | None, **asked: Any) -> Verdict:
    return judge(story, "service", "web", property="started", wanted=counts, **asked)


@pytest.mark.parametrize(
    ("asked", "number", "seen"),
    [
        ({}, 3, "3 in all"),
        ({"from_": 0}, 3, "3 in all"),
        ({"from_": 10}, 2, "2 between 10.0 s and 60.0 s"),
        ({"from_": 10, "until": 20}, 1, "1 between 10.0 s and 20.0 s"),
        ({"until": 10}, 1, "1 between 0.0 s and 10.0 s"),
        ({"from_": 20.000001}, 0, "0 between 20.0 s and 60.0 s"),
    ],
)
def test_a_counter_counts_between_the_moments(asked: Any, number: int, seen: str) -> None:
    assert said(started(three_starts(), number, number, **asked)) == ("PASS", seen)
    assert started(three_starts(), number + 1, None, **asked).state is FAIL


def test_too_many_are_told_with_the_one_too_many() -> None:
    assert said(started(three_starts(), 0, 2)) == ("FAIL", "3, not at most 2; the one too many at 20.0 s")
    assert said(started(three_starts(), 1, 1, from_=5)) == ("FAIL", "2, not 1; the one too many at 20.0 s")
    assert said(started(three_starts(), 4, 5)) == ("FAIL", "3, not 4 to 5")


def test_a_counter_is_decided_early_only_by_too_many() -> None:
    """The run ended at 60 s; the window goes on to 90 s."""
    assert said(started(three_starts(), 0, 2, from_=0, until=90))[0] == "FAIL"
    assert said(started(three_starts(), 0, 3, from_=0, until=90)) == (
        "UNKNOWN",
        "3 when the run ended at 60.0 s, before 90.0 s",
    )
    assert said(started(three_starts(), 1, None, from_=70)) == ("UNKNOWN", "the run ended at 60.0 s, before 70.0 s")
    assert said(started(three_starts(), 0, 0, from_=30, until=20)) == (
        "UNKNOWN",
        "nothing lies between 30.0 s and 20.0 s",
    )


def test_leader_changes_may_be_counted_in_a_part_of_the_run() -> None:
    assert judge(leaders(), "leader_changes", wanted=(1, 1), from_=20, until=21).state is PASS
    assert judge(leaders(), "leader_changes", wanted=(1, 1), from_=0, until=20).state is FAIL
    assert said(judge(leaders(), "leader_changes", wanted=(0, 0), from_=0, until=10)) == ("PASS", "m1 led throughout")
    assert said(judge(leaders(), "leader_changes", wanted=(0, 0), from_=0, until=15)) == (
        "PASS",
        "nobody else became leader",
    )


# ---- what never came --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("subject", ["service", "leader_changes", "node"])
def test_a_moment_that_never_came_leaves_it_unknown_and_is_named(subject: str) -> None:
    verdict = judge(Story(), subject, "w1", property="running", wanted=(0, 0), missing="`steady` never came")

    assert said(verdict) == ("UNKNOWN", "`steady` never came")
    assert (verdict.name, verdict.line) == ("what is asked", 7)


# ---- values over time ---------------------------------------------------------------------------------------------
@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), max_size=30), st.integers(-1, 40), st.integers(0, 60))
def test_steps_hold_the_last_value_of_each_microsecond(puts: list[tuple[int, int]], start: int, length: int) -> None:
    """Twin: a list with a value for each microsecond."""
    steps, table, at = Steps(7), [7] * 200, 0
    for pause, value in puts:
        at += pause
        steps.put(at, value)
        table[at:] = [value] * (200 - at)
    start = max(start, 0)

    rebuilt = [value for since, until, value in steps.spans(start, start + length) for _ in range(since, until)]

    assert rebuilt == table[start : start + length]
    assert [steps.at(t) for t in range(150)] == table[:150]
    assert steps.now == table[-1]
    assert all(a != b for a, b in zip(steps.values, steps.values[1:], strict=False))
    assert steps.times == sorted(set(steps.times))


@given(st.lists(st.integers(0, 50)).map(sorted), st.integers(0, 50), st.integers(0, 50))
def test_counting_between_two_moments(times: list[int], start: int, end: int) -> None:
    assert count_between(times, start, max(start, end)) == sum(start <= t < max(start, end) for t in times)


# ---- entries ------------------------------------------------------------------------------------------------------
def test_entries_began_ended_and_hit() -> None:
    story = Story().step("create", "web", entry="").at(5).fault("crash", "w1", "w2").at(9).step("drain", "w1, m1")
    story.at(10).answered("drain", "w1, m1").at(20).fault_ends("crash", "w1", "w2").step("scale", "web")
    history = history_of(story)

    assert history.began == {"crash": us(5), "drain": us(9), "scale": us(20)}
    assert history.ended == {"drain": us(10), "crash": us(20)}
    assert history.hit == {"crash": ("w1", "w2"), "drain": ("w1", "m1"), "scale": ()}
    assert [d.said for d in history.disturbances] == [
        "`crash` began",
        "`drain` began",
        "`drain` was answered",
        "2 nodes came back",
        "`scale` began",
    ]


def test_what_lies_between_two_disturbances() -> None:
    history = history_of(Story().at(5).fault("crash").at(9).step("scale"))

    assert [history.next_disturbance(us(t)).entry for t in (0, 4.9, 5) if history.next_disturbance(us(t))] == [
        "crash",
        "crash",
        "scale",
    ]
    assert history.next_disturbance(us(9)) is None
    assert history.last_disturbance(us(4.9)) is None
    last = history.last_disturbance(us(9))
    assert last is not None
    assert last.entry == "scale"


# ---- tasks by state, jobs, updates; and what holds just now -------------------------------------------------------
def test_tasks_are_counted_by_the_state_the_store_knows() -> None:
    story = Story().service().task("t1", S.NEW).at(3).task("t1", S.RUNNING).at(5).task("t2", S.FAILED, slot=2)
    story.at(9).task("t2", S.FAILED, action="REMOVE")

    def count(state: str, number: int, at: float) -> str:
        asked = {"property": "tasks", "state": state, "wanted": (number, number), "from_": at, "until": at + 1}
        return str(judge(story, "service", "web", **asked).state)

    assert [count("running", n, t) for n, t in ((0, 1), (1, 3), (1, 20))] == ["PASS"] * 3
    assert [count("failed", n, t) for n, t in ((0, 1), (1, 5), (0, 9))] == ["PASS"] * 3
    assert count("failed", 1, 9) == count("rejected", 1, 9) == "FAIL"


def test_completed_tasks_are_those_of_a_job_s_present_run() -> None:
    story = Story().service(mode="replicated-job", completions=2, iteration=0)
    story.at(3).task("t1", S.COMPLETE, iteration=0).at(4).task("t2", S.COMPLETE, iteration=0)
    story.at(9).service(iteration=1).at(12).task("t3", S.COMPLETE, iteration=1).task("t4", S.COMPLETE, iteration=0)

    for number, at in ((0, 0), (1, 3), (2, 4), (0, 9), (1, 12)):
        asked: dict[str, Any] = {"property": "completed", "from_": at, "until": at + 0.5}
        assert judge(story, "service", "web", wanted=(number, number), **asked).state is PASS
        assert judge(story, "service", "web", wanted=(number + 1, None), **asked).state is FAIL


@pytest.mark.parametrize("asked", ["none", "updating", "paused", "completed", "rollback_completed"])
def test_the_state_of_a_rolling_update(asked: str) -> None:
    states = {None: "none", UpdateState.UPDATING: "updating", UpdateState.PAUSED: "paused"}
    for update, name in states.items():
        story = Story().service().at(5).service(update=update)
        verdict = judge(story, "service", "web", property="update", wanted=asked)
        assert (verdict.state is PASS) == (name == asked)
        assert verdict.seen == f"{name if update is not None else 'no update'} at the end, 60.0 s"


def test_what_holds_now_is_what_the_last_event_left() -> None:
    """A trigger asks it as the run goes."""
    asked = Expectation("service", ("web",), "running", (1, 1))

    assert not holds_now(asked, history_of(Story().service()))
    assert holds_now(asked, history_of(Story().service().running()))
    assert not holds_now(asked, history_of(Story().service().running().exits()))
    assert not holds_now(replace(asked, missing="`crash` did not fire"), history_of(Story().service().running()))
