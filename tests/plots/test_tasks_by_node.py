"""Tasks by node: the store's word and the world's told apart, and many nodes put together."""

from __future__ import annotations

import pytest

from swarmsim.api.states import Availability, NodeState, TaskState
from swarmsim.plots.tasks_by_node import (
    GHOST,
    KEYS,
    KINDS,
    NOWHERE,
    RUNNING,
    STARTING,
    STOPPING,
    WAITING,
    Reader,
    Row,
    arranged,
    chosen,
    place,
    tasks_by_node,
    together,
)
from swarmsim.trace.recorder import Trace

from .story import Story, us, worker_crash

S = TaskState


def task(now: TaskState, desired: TaskState = TaskState.RUNNING, action: str = "UPDATE"):  # type: ignore[no-untyped-def]
    story = Story()
    story.task(0, "web.1", now=now, desired=desired, node="w1", action=action)
    return story.tasks["web.1"]


def kinds(trace: Trace, node: str, end: float = 60) -> list[tuple[float, str]]:
    """(seconds, what the node's tasks are doing), at each change."""
    spans = Reader(trace).rows[node].counts.spans(0, us(end))
    return [(a / 1e6, " ".join(f"{n} {k}" for k, n in zip(KINDS, counts, strict=True) if n)) for a, _, counts in spans]


@pytest.mark.parametrize(
    ("now", "desired", "container", "expected"),
    [
        (S.PENDING, S.RUNNING, None, (NOWHERE, WAITING)),
        (S.ASSIGNED, S.RUNNING, None, ("w1", STARTING)),
        (S.READY, S.READY, None, ("w1", STARTING)),
        (S.STARTING, S.RUNNING, "w1", ("w1", RUNNING)),
        (S.RUNNING, S.RUNNING, "w1", ("w1", RUNNING)),
        (S.RUNNING, S.COMPLETE, "w1", ("w1", RUNNING)),
        (S.RUNNING, S.RUNNING, None, ("w1", GHOST)),
        (S.RUNNING, S.SHUTDOWN, None, ("w1", GHOST)),
        (S.RUNNING, S.SHUTDOWN, "w1", ("w1", STOPPING)),
        (S.ORPHANED, S.SHUTDOWN, "w1", ("w1", STOPPING)),
        (S.FAILED, S.SHUTDOWN, None, None),
        (S.SHUTDOWN, S.SHUTDOWN, None, None),
        (S.PENDING, S.REMOVE, None, None),
    ],
)
def test_a_task_counts_as_what_the_store_and_the_world_say_of_it(
    now: TaskState, desired: TaskState, container: str | None, expected: tuple[str, str] | None
) -> None:
    assert place(task(now, desired), container) == expected


def test_a_container_of_a_task_that_the_store_has_forgotten_still_stops_somewhere() -> None:
    assert place(task(S.RUNNING, action="REMOVE"), "w1") == ("w1", STOPPING)
    assert place(task(S.RUNNING, action="REMOVE"), None) is None


def test_a_dead_nodes_tasks_are_ghosts_until_it_comes_back() -> None:
    assert kinds(worker_crash(), "w1")[-3:] == [
        (2.1, "2 running"),
        (8.0, "2 ghost"),
        (38.4, ""),
    ]


def test_a_replacement_starts_where_the_restart_delay_lets_it_wait() -> None:
    assert (19.1, "2 running 1 starting") in kinds(worker_crash(), "w2")
    assert kinds(worker_crash(), "w2")[-1] == (24.3, "3 running")


def test_what_befell_a_node_stands_in_its_row() -> None:
    said = [t.get_text() for t in tasks_by_node(worker_crash()).texts]

    in_row, in_legend = ["off", "DOWN", "READY"], ["off"]
    assert [word for word in said if word in ("off", "DOWN", "on", "READY")] == in_row + in_legend


def test_the_moment_after_an_election_in_which_all_are_unknown_is_not_told() -> None:
    story = Story(3, 2)
    for name in story.workers:
        story.node(20, name, NodeState.UNKNOWN)
    story.node(20.2, "w1", NodeState.READY)
    story.node(50, "w2", NodeState.READY)

    said = [t.get_text() for t in tasks_by_node(story.end(60)).texts]

    assert said.count("UNKNOWN") == said.count("READY") == 1


def test_a_drained_node_says_so() -> None:
    story = Story()
    story.node(20, "w2", NodeState.READY, Availability.DRAIN)

    assert "drain" in [t.get_text() for t in tasks_by_node(story.end(60)).texts]


def test_tasks_without_a_node_have_a_row_only_if_they_wait_long_enough_to_be_seen() -> None:
    quick, slow = Story(), Story()
    for story, placed in ((quick, 0.01), (slow, 30)):
        story.task(0, "web.1", now=S.PENDING)
        story.task(placed, "web.1", now=S.ASSIGNED, node="w1")

    assert NOWHERE not in [row.name for row in arranged(quick.end(60))]
    assert next(row.name for row in arranged(slow.end(60))) == NOWHERE


def test_tasks_without_a_node_may_be_more_than_a_full_row_and_then_say_how_many() -> None:
    story = Story()
    for i in range(5):
        story.task(0, f"web.{i}", now=S.PENDING)
    for i in range(5):
        story.task(20, f"web.{i}", now=S.ASSIGNED, node=story.nodes[i])

    axes = tasks_by_node(story.end(60))

    said = [t.get_text() for t in axes.texts]
    assert "5 tasks" in said
    assert "Nodes: tasks by state (a full row: 1 task)" in said


def test_a_failure_and_a_completion_are_marked_once() -> None:
    story = Story()
    both = (("web.1", S.FAILED), ("web.2", S.COMPLETE))
    for name, _ in both:
        story.task(1, name, now=S.ASSIGNED, node="w1")
    for name, state in both:
        story.task(5, name, now=state)
    for name, _ in both:
        story.task(6, name, desired=S.SHUTDOWN)

    row = Reader(story.end(60)).rows["w1"]

    assert (row.failed, row.completed) == ([us(5)], [us(5)])


def test_a_kill_names_tasks_and_makes_no_row() -> None:
    story = Story()
    story.fault(5, "kill", "web.1")

    assert "web.1" not in Reader(story.end(60)).rows


def test_of_too_many_nodes_those_that_were_hit_are_kept() -> None:
    rows = [Row(f"w{i}") for i in range(100)]
    rows[77].hit = True

    shown, others = chosen(rows, most=5)

    assert [row.name for row in shown] == ["w0", "w1", "w2", "w77"]
    assert len(others) == 96


def test_nodes_put_together_show_their_mean_rounded_up() -> None:
    rows = [Row(f"w{i}") for i in range(4)]
    for i, row in enumerate(rows):
        row.add(us(i), RUNNING, 2)
    rows[0].add(us(9), GHOST, 1)

    row = together(rows)

    running = [(a / 1e6, counts[:2]) for a, _, counts in row.counts.spans(0, us(60))]
    assert running == [(0.0, (1, 0)), (2.0, (2, 0)), (9.0, (2, 1))]


def test_a_hatch_tells_the_kinds_apart_without_colour() -> None:
    assert len({key.hatch for key in KEYS.values()}) == len(KEYS)
