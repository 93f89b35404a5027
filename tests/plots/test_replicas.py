"""Running against desired: what counts as short, and which of many services are shown."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from swarmsim.api.states import TaskState
from swarmsim.plots.replicas import Level, Service, Short, chosen, read, replicas, rest, shorts
from swarmsim.trace.recorder import Trace

from .story import Story, us, worker_crash


def said(trace: Trace) -> list[str]:
    return [t.get_text() for t in replicas(trace).texts]


def steps(*levels: tuple[float, int, int]) -> Service:
    """A service from (seconds, running, desired)."""
    service = Service("web")
    service.mode = "replicated"
    for at, running, desired in levels:
        service.put(us(at), running=running, desired=desired)
    return service


def test_the_store_counts_the_dead_until_the_node_comes_back() -> None:
    """`docker service ls` says 6, then 8 of 6, while 4 and then 6 run."""
    levels = {round(a / 1e6, 1): level for a, _, level in read(worker_crash())["web"].levels.spans(0, us(60))}

    assert levels[8.0] == Level(4, 6, 6)
    assert levels[24.3] == Level(6, 6, 8)
    assert levels[38.4] == Level(6, 6, 6)


def test_a_service_is_short_from_the_crash_to_the_replacement() -> None:
    service = read(worker_crash())["web"]

    assert shorts(service, us(60)) == [Short(us(8), us(24.3), 4, 6, True)]
    assert "4 of 6 for 16.3 s" in said(worker_crash())


def test_a_service_being_created_or_scaled_up_is_not_short() -> None:
    service = steps((0, 0, 3), (2, 1, 3), (3, 3, 3), (10, 3, 9), (12, 9, 9))

    assert shorts(service, us(60)) == []


def test_while_scaled_up_it_owes_what_it_had() -> None:
    service = steps((0, 3, 3), (10, 3, 9), (11, 2, 9), (12, 9, 9))

    assert shorts(service, us(60)) == [Short(us(11), us(12), 2, 9, True)]


def test_what_never_had_what_it_wanted_is_short_to_the_end() -> None:
    service = steps((0, 0, 3), (2, 1, 3))

    assert shorts(service, us(60)) == [Short(0, us(60), 1, 3, False)]


def test_a_service_scaled_down_is_not_short() -> None:
    service = steps((0, 5, 5), (10, 5, 2), (11, 2, 2))

    assert shorts(service, us(60)) == []


def test_a_job_owes_nothing_at_any_time_and_says_how_much_is_done() -> None:
    story = Story(1, 1)
    story.service(0, "batch", 2, mode="replicated-job")
    for i in (1, 2):
        story.task(1, f"batch.{i}", now=TaskState.ASSIGNED, desired=TaskState.COMPLETE, node="w1", iteration=0)
    for i in (1, 2):
        story.runs(2, f"batch.{i}")
    story.exits(5, "batch.1", 0, "exited")
    story.task(5, "batch.1", now=TaskState.COMPLETE)
    trace = story.end(60)

    assert shorts(read(trace)["batch"], us(60)) == []
    assert "job: 1 of 2 completed" in said(trace)


def test_a_global_service_desires_a_task_for_each_node_that_shall_have_one() -> None:
    story = Story(1, 2)
    story.service(0, "agent", 0, mode="global")
    for name in story.nodes:
        story.task(1, f"agent.{name}", now=TaskState.ASSIGNED, node=name)
    story.task(20, "agent.w1", desired=TaskState.SHUTDOWN)

    desired = [level.desired for _, _, level in read(story.end(60))["agent"].levels.spans(0, us(60))]

    assert desired == [0, 3, 2]


def test_a_removed_service_desires_nothing() -> None:
    story = Story()
    story.service(0, "web", 4)
    story.service(20, "web", 4, action="REMOVE")

    assert read(story.end(60))["web"].now.desired == 0


def test_of_many_services_those_that_were_short_are_shown_in_the_order_of_their_creation() -> None:
    quiet = [steps((0, 2, 2)) for _ in range(20)]
    bad = steps((0, 2, 2), (10, 0, 2), (20, 2, 2))
    scaled = steps((0, 2, 2))
    scaled.changed = 3
    services = [*quiet[:10], scaled, *quiet[10:], bad]
    for i, service in enumerate(services):
        service.name = f"s{i}"

    shown = chosen(services, us(60), most=3)

    assert [s.name for s in shown] == ["s10", "s21"]
    assert rest(services, shown, us(60)) == "20 other services: never short"


def test_what_is_left_out_is_counted_and_said_to_have_been_short() -> None:
    services = [steps((0, 2, 2), (10, 0, 2), (20, 2, 2)) for _ in range(10)]
    for i, service in enumerate(services):
        service.name = f"s{i}"

    shown = chosen(services, us(60), most=3)

    assert rest(services, shown, us(60)) == "8 other services: short at some time, too"


def test_very_many_shortfalls_are_summed_up() -> None:
    story = Story(1, 1)
    story.service(0, "web", 1)
    story.task(1, "web.1", now=TaskState.ASSIGNED, node="w1")
    for n in range(20):
        story.runs(2 + 2 * n, "web.1")
        story.exits(3 + 2 * n, "web.1")

    assert "short 20 times, for 19.0 s at most, lowest 0 of 1" in said(story.end(60))


def test_a_run_without_services_says_so() -> None:
    assert "no service in this run" in said(Story().end(60))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=12))
def test_shortfalls_are_what_a_second_by_second_count_finds(levels: list[tuple[int, int]]) -> None:
    """The slow twin: at every second, what is owed is the most that ran since, at most what is desired."""
    service = steps(*((i, running, desired) for i, (running, desired) in enumerate(levels)))
    end = len(levels)
    had, owing = 0, []
    for running, desired in levels:
        had = min(desired, max(had, running))
        owing.append(running < had)
    if levels[-1][0] < levels[-1][1] and not owing[-1]:  # at the end what it never had counts, too
        since = max((i + 1 for i, (running, desired) in enumerate(levels) if running >= desired), default=0)
        owing[since:] = [True] * (end - since)

    found = [any(s.start <= us(i) < s.until for s in shorts(service, us(end))) for i in range(end)]

    assert found == owing
