"""*task transitions* can fail: every change that is not in the table does (SwarmKit design/tla/Tasks.tla)."""

from __future__ import annotations

from typing import Any

import pytest

from swarmsim.api.states import TRANSITIONS, Component, TaskState
from swarmsim.checks import FAIL, PASS, TaskTransitions, Verdict, walk
from swarmsim.checks.task_transitions import MOST
from tests.checks.story import Story

S, C = TaskState, Component
#: Who brings a task how far, one change after the other.
PATH = [
    (C.ALLOCATOR, S.PENDING),
    (C.SCHEDULER, S.ASSIGNED),
    *[(C.DISPATCHER, s) for s in (S.ACCEPTED, S.PREPARING, S.READY, S.STARTING, S.RUNNING)],
]
#: The states in which something may be found, and how it came there.
ENDS = {
    S.COMPLETE: (C.DISPATCHER, S.RUNNING),
    S.SHUTDOWN: (C.DISPATCHER, S.RUNNING),
    S.FAILED: (C.DISPATCHER, S.RUNNING),
    S.REJECTED: (C.DISPATCHER, S.ASSIGNED),
    S.ORPHANED: (C.DISPATCHER, S.RUNNING),
}
FOUND = [s for s in S if s is not S.REMOVE]
ALL = [(c, was, now) for c in C for was in FOUND for now in S if was is not now]


def came_to(state: TaskState, **changes: Any) -> Story:
    """A task that each component has brought on its way to that state."""
    story = Story().service().task("t1", S.NEW, **changes)
    stop = ENDS[state][1] if state in ENDS else state
    for component, now in PATH:
        if story.tasks["t1"].now < stop:
            story.task("t1", now, component=component)
    if state in ENDS:
        story.task("t1", state, component=ENDS[state][0])
    return story


def wanted(*states: TaskState) -> Story:
    """A task that runs, and what the orchestrator desires of it, one after the other."""
    story = came_to(S.RUNNING)
    for desired in states:
        story.task("t1", S.RUNNING, desired=desired, component=C.ORCHESTRATOR)
    return story


def judge(story: Story) -> Verdict:
    check = TaskTransitions()
    return check.verdict(walk(story.trace, [check]))


@pytest.mark.parametrize("state", FOUND)
def test_the_usual_ways_pass(state: TaskState) -> None:
    assert judge(came_to(state)).state is PASS


@pytest.mark.parametrize(("component", "was"), [(c, was) for c in C for was in FOUND])
def test_a_change_passes_exactly_if_it_is_the_component_s_own(component: Component, was: TaskState) -> None:
    """Every pair of states, for every component: 14 x 13 x 7 changes."""
    wrong = {}
    for now in (s for s in S if s is not was):
        verdict = judge(came_to(was).task("t1", now, component=component))
        if (verdict.state is PASS) != ((was, now) in TRANSITIONS[component]):
            wrong[now] = verdict.seen

    assert wrong == {}


def test_the_table_is_neither_empty_nor_full() -> None:
    """So the test above has cases of both kinds for whoever changes states at all."""
    allowed = sum(len(pairs) for pairs in TRANSITIONS.values())

    assert 40 < allowed < len(ALL) / 4
    assert TRANSITIONS[C.ORCHESTRATOR] == TRANSITIONS[C.REAPER] == frozenset()


@pytest.mark.parametrize("was", FOUND)
def test_an_observed_state_never_goes_back(was: TaskState) -> None:
    """Whoever does it, and however far."""
    back = {(c, n): judge(came_to(was).task("t1", n, component=c)) for c, w, n in ALL if w is was and n < was}

    assert all(verdict.state is FAIL for verdict in back.values())
    for (_, now), verdict in back.items():
        assert f"its state went back from {was.name} to {now.name}" in verdict.seen


def test_a_failure_says_who_did_what_to_which_task_and_when() -> None:
    story = came_to(S.PENDING).at(2.5).task("t1", S.RUNNING, component=C.ALLOCATOR)

    assert judge(story).seen == (
        "web.1#1: the allocator moved it from PENDING to RUNNING, which is not its own "
        f"at 2.500 s (event {len(story.trace)})"
    )


#: what is wrong -> (the last change that makes it so, the same without the slip)
CASES: dict[str, tuple[Story, Story]] = {
    "the scheduler observed it in REMOVE, which is only ever desired": (
        came_to(S.PENDING).task("t1", S.REMOVE, component=C.SCHEDULER),
        came_to(S.PENDING).task("t1", S.PENDING, desired=S.REMOVE, component=C.ORCHESTRATOR),
    ),
    "its desired state went back from SHUTDOWN to RUNNING (the orchestrator)": (
        wanted(S.SHUTDOWN, S.RUNNING),
        wanted(S.SHUTDOWN, S.REMOVE),
    ),
    "it is ASSIGNED without a node": (
        came_to(S.PENDING).task("t1", S.ASSIGNED, component=C.SCHEDULER, node=""),
        came_to(S.PENDING).task("t1", S.ASSIGNED, component=C.SCHEDULER, node="w2"),
    ),
    "it was ACCEPTED, and the dispatcher changed it from READY": (
        came_to(S.ACCEPTED).task("t1", S.STARTING, was=S.READY, component=C.DISPATCHER),
        came_to(S.ACCEPTED).task("t1", S.STARTING, was=S.ACCEPTED, component=C.DISPATCHER),
    ),
    "it was ACCEPTED, and the dispatcher changed it from nothing": (
        came_to(S.ACCEPTED).task("t1", S.STARTING, was=None, component=C.DISPATCHER),
        came_to(S.ACCEPTED).task("t1", S.STARTING, component=C.DISPATCHER),
    ),
    "the scheduler created a task in NEW": (
        Story().task("t1", S.NEW, component=C.SCHEDULER),
        Story().task("t1", S.NEW, component=C.ORCHESTRATOR),
    ),
    "the orchestrator created a task in PENDING": (
        Story().task("t1", S.PENDING),
        Story().task("t1", S.NEW),
    ),
    "the orchestrator created it for no service": (
        Story().task("t1", S.NEW, service=""),
        Story().task("t1", S.NEW, service="web"),
    ),
    "the id t1 is used a second time": (
        Story().task("t1", S.NEW).task("t1", S.NEW, action="CREATE", was=None),
        Story().task("t1", S.NEW).task("t2", S.NEW),
    ),
    "the dispatcher changed a task that is not in the store": (
        Story().task("t1", S.RUNNING, action="UPDATE", component=C.DISPATCHER),
        came_to(S.STARTING).task("t1", S.RUNNING, component=C.DISPATCHER),
    ),
    "the reaper removed a task that is not in the store": (
        Story().task("t1", S.SHUTDOWN, action="REMOVE", component=C.REAPER),
        came_to(S.SHUTDOWN).task("t1", S.SHUTDOWN, action="REMOVE", component=C.REAPER),
    ),
}


@pytest.mark.parametrize("said", CASES)
def test_each_slip_fails_in_words_of_its_own_and_without_it_all_is_well(said: str) -> None:
    wrong, right = CASES[said]

    assert said in judge(wrong).seen
    assert judge(right).state is PASS


def test_what_was_removed_cannot_change_or_be_removed_again() -> None:
    gone = came_to(S.SHUTDOWN).task("t1", S.SHUTDOWN, action="REMOVE", component=C.REAPER)
    again = came_to(S.SHUTDOWN).task("t1", S.SHUTDOWN, action="REMOVE", component=C.REAPER)

    assert "changed a task that is not in the store" in judge(gone.task("t1", S.SHUTDOWN)).seen
    assert "removed a task that is not in the store" in judge(again.task("t1", S.SHUTDOWN, action="REMOVE")).seen


def test_an_id_that_is_gone_is_not_used_again() -> None:
    story = came_to(S.SHUTDOWN).task("t1", S.SHUTDOWN, action="REMOVE", component=C.REAPER)

    assert "used a second time" in judge(story.task("t1", S.NEW, action="CREATE", was=None)).seen


# ---- who may delete what ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("state", FOUND)
@pytest.mark.parametrize("component", list(C))
def test_who_deletes_a_task_in_which_state(component: Component, state: TaskState) -> None:
    """The reaper: what no agent has. The orchestrators, wider than the model: dead slots, whatever runs there."""
    may = component is C.ORCHESTRATOR or (component is C.REAPER and not S.ASSIGNED <= state <= S.RUNNING)

    verdict = judge(came_to(state).task("t1", state, action="REMOVE", component=component))

    assert (verdict.state is PASS) == may, verdict.seen
    assert may or verdict.seen.startswith(f"web.1#1: the {component.name.lower().replace('_', ' ')} removed it in")


def test_the_reaper_may_be_overtaken_by_the_scheduler() -> None:
    """task_reaper.go `tick`: noted at PENDING, deleted up to 250 ms later, assigned in between."""
    noted = came_to(S.PENDING).task("t1", S.PENDING, desired=S.REMOVE)
    overtaken = noted.task("t1", S.ASSIGNED, component=C.SCHEDULER)

    assert judge(overtaken.task("t1", S.ASSIGNED, action="REMOVE", component=C.REAPER)).state is PASS


def test_what_was_assigned_before_its_end_was_desired_is_not_the_reaper_s() -> None:
    story = came_to(S.ASSIGNED).task("t1", S.ASSIGNED, desired=S.REMOVE)

    assert "removed it in ASSIGNED" in judge(story.task("t1", S.ASSIGNED, action="REMOVE", component=C.REAPER)).seen


def test_a_few_violations_are_kept_and_the_first_is_told() -> None:
    story = Story()
    for i in range(50):
        story.task(f"t{i}", S.RUNNING, slot=i, name=f"web.{i}")

    verdict = judge(story)

    assert verdict.seen.startswith("web.0#1")
    assert len(verdict.details) == MOST - 1
    assert verdict.always
