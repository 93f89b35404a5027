"""The container engine of a host: pulls, starts, runs, stops, kills and crashes (`sim.engine`)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from swarmsim.api.engine import ContainerError, Prepare, Remove, Start, Stop, Wait
from swarmsim.api.objects import Task, TaskStatus
from swarmsim.api.specs import ContainerBehaviour, ContainerSpec, HealthConfig, TaskSpec
from swarmsim.api.states import TaskState
from swarmsim.machine import Handler, Outbox
from swarmsim.sim.engine import RESTORE, START_FAILED, Engine
from swarmsim.trace.events import ContainerExited, ContainerHealthChanged, ContainerStarted, ImagePulled
from tests.sim.world import Script, World

SECOND = 1_000_000


def task(id: str, image: str = "nginx", grace: int | None = None, **behaviour: Any) -> Task:
    spec = TaskSpec(ContainerSpec(image, stop_grace_period=grace, behaviour=ContainerBehaviour(**behaviour)))
    return Task(id, "web", spec, TaskStatus(TaskState.ASSIGNED), TaskState.RUNNING, slot=1, service_name="web")


class Docker:
    """One host with an engine; each command is asked by a handler of its own, and its answer noted with the time."""

    def __init__(self, seed: int = 1, name: str = "a") -> None:
        self.world = World(name, seed=seed)
        self.host = self.world.hosts[name]
        self.engine = Engine(self.host)
        self.answers: list[tuple[Any, ...]] = []
        self.world.run(Script(message=self._ask), name)
        self._numbers = 0

    def _ask(self, message: Any, out: Outbox) -> Handler:
        out.start(self._beside(*message, out))
        return None

    def _beside(self, label: str, commands: tuple[Any, ...], out: Outbox) -> Any:
        for command in commands:
            try:
                answer = yield out.execute(command)
                self.answers.append((label, type(command).__name__, answer, out.now))
            except ContainerError as error:
                self.answers.append((label, type(command).__name__, error.text, out.now))

    def ask(self, *commands: Any, label: str = "", cause: int = 0) -> None:
        self.host.wake("x", (label, commands), cause)

    def ask_at(self, at: int, *commands: Any, label: str = "") -> None:
        event = self.world.env.timeout(at - self.world.env.now)
        event.callbacks.append(lambda e: self.ask(*commands, label=label))

    def happened(self) -> list[tuple[int, Any]]:
        return [(r.at, r.event) for r in self.world.trace]

    def times(self, kind: type) -> list[int]:
        return [r.at for r in self.world.trace.of(kind)]


# ---- pulls ---------------------------------------------------------------------------------------------------
def test_an_image_is_pulled_once_for_a_node_and_those_who_wait_for_it_wait_together() -> None:
    docker = Docker()
    for i in (1, 2, 3):
        docker.ask_at(i * 100_000, Prepare(task(f"t{i}", pull=(SECOND, SECOND))), label=f"t{i}")
    docker.ask_at(5 * SECOND, Prepare(task("late")), label="late")
    docker.world.until(9 * SECOND)

    assert docker.times(ImagePulled) == [1_100_000]
    assert [(label, at) for label, _, _, at in docker.answers] == [
        ("t1", 1_100_000),
        ("t2", 1_100_000),
        ("t3", 1_100_000),
        ("late", 5 * SECOND),
    ]


def test_another_image_is_another_pull() -> None:
    docker = Docker()
    docker.ask(Prepare(task("t1", "nginx")))
    docker.ask(Prepare(task("t2", "redis")))
    docker.world.until(9 * SECOND)

    assert [r.event.image for r in docker.world.trace.of(ImagePulled)] == ["nginx", "redis"]


def test_a_pull_that_fails_is_told_to_all_who_wait_and_leaves_no_image() -> None:
    docker = Docker()
    docker.ask(Prepare(task("t1", "nginx:typo", pull=(SECOND, SECOND), fail="pull")))
    docker.ask(Prepare(task("t2", "nginx:typo", fail="pull")))
    docker.world.until(9 * SECOND)

    assert docker.answers == [("", "Prepare", "No such image: nginx:typo", SECOND)] * 2
    assert docker.times(ImagePulled) == []
    assert docker.engine.containers == {}


def test_a_pull_that_fails_does_not_matter_where_the_image_is() -> None:
    docker = Docker()
    docker.ask(Prepare(task("t1")), Prepare(task("t2", fail="pull")))
    docker.world.until(9 * SECOND)

    assert [answer for _, _, answer, _ in docker.answers] == [None, None]


def test_a_container_that_cannot_be_started_never_runs() -> None:
    docker = Docker()
    docker.ask(Prepare(task("t1", fail="start")), Start(task("t1", fail="start")))
    docker.world.until(9 * SECOND)

    assert docker.answers[-1] == ("", "Start", START_FAILED, 2_500_000)
    assert docker.times(ContainerStarted) == []


@pytest.mark.parametrize("how", ["power", "process"])
def test_an_image_is_kept_through_a_crash(how: str) -> None:
    docker = Docker()
    docker.ask(Prepare(task("t1")))
    docker.world.until(3 * SECOND)
    docker.host.crash(how, 0)
    docker.host.start(0)
    docker.ask(Prepare(task("t2")))
    docker.world.until(9 * SECOND)

    assert docker.times(ImagePulled) == [2 * SECOND]
    assert docker.answers[-1][3] == 3 * SECOND + 1


def test_a_pull_that_a_crash_cut_short_begins_again() -> None:
    docker = Docker()
    docker.ask(Prepare(task("t1")), label="before")
    docker.world.until(SECOND)
    docker.host.crash("power", 0)
    docker.host.start(0)
    docker.ask(Prepare(task("t1")), label="after")
    docker.world.until(9 * SECOND)

    assert docker.times(ImagePulled) == [3 * SECOND + 1]
    assert [label for label, *_ in docker.answers] == ["after"]


def test_a_pull_that_nobody_waits_for_any_more_is_cancelled() -> None:
    """daemon/cluster/executor/container/controller.go `Shutdown`; another task begins it anew."""
    docker = Docker()
    docker.ask(Prepare(task("t1")), label="t1")
    docker.ask_at(SECOND, Stop(task("t1")), label="stop")
    docker.ask_at(SECOND + 500_000, Prepare(task("t2")), label="t2")
    docker.world.until(9 * SECOND)

    assert docker.times(ImagePulled) == [3_500_000]
    assert docker.answers == [
        ("t1", "Prepare", "context canceled", SECOND),
        ("stop", "Stop", None, SECOND),
        ("t2", "Prepare", None, 3_500_000),
    ]
    assert list(docker.engine.containers) == ["t2"]


def test_a_pull_that_others_wait_for_goes_on() -> None:
    """The daemon pulls an image once for all who ask."""
    docker = Docker()
    for id in ("t1", "t2"):
        docker.ask(Prepare(task(id)), label=id)
    docker.ask_at(SECOND, Stop(task("t1")), label="stop")
    docker.world.until(9 * SECOND)

    assert docker.times(ImagePulled) == [2 * SECOND]
    assert [(label, at) for label, *_, at in docker.answers] == [
        ("t1", SECOND),
        ("stop", SECOND),
        ("t2", 2 * SECOND),
    ]
    assert list(docker.engine.containers) == ["t2"]


def test_a_task_that_asks_again_waits_for_the_same_pull() -> None:
    """Prepare is idempotent: the pull survives that its first asker was cancelled."""
    docker = Docker()
    docker.ask(Prepare(task("t1")), label="first")
    docker.ask_at(SECOND, Prepare(task("t1")), label="again")
    docker.world.until(9 * SECOND)

    assert docker.times(ImagePulled) == [2 * SECOND]
    assert [(label, at) for label, *_, at in docker.answers] == [("first", 2 * SECOND), ("again", 2 * SECOND)]


# ---- health ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("able", "at", "health"), [(0, 2, "healthy"), (100, 6, "unhealthy")])
def test_the_verdict_of_a_health_check_is_told(able: int, at: int, health: str) -> None:
    """moby daemon/health.go: the first probe after an interval; three failures in a row."""
    docker = Docker()
    docker.engine.images.add("nginx")
    checked = task("t1", start=(0, 0), health=(able * SECOND, able * SECOND))
    check = HealthConfig(("CMD", "true"), interval=2 * SECOND)
    checked = checked.evolve(spec=replace(checked.spec, container=replace(checked.spec.container, healthcheck=check)))
    docker.ask(Prepare(checked), Start(checked))
    docker.world.until(60 * SECOND)

    told = [(r.at // SECOND, r.event) for r in docker.world.trace.of(ContainerHealthChanged)]
    assert told == [(at, ContainerHealthChanged("a", "t1", "web.1", "web", health))]
    started = next(docker.world.trace.of(ContainerStarted))
    assert next(docker.world.trace.of(ContainerHealthChanged)).cause == started.seq


# ---- start, run, exit ------------------------------------------------------------------------------------------
def run(docker: Docker, t: Task) -> None:
    docker.engine.images.add("nginx")
    docker.ask(Prepare(t), Start(t), Wait(t), label=t.id)


def test_a_container_starts_after_its_time_and_runs_until_it_is_told_to_stop() -> None:
    docker = Docker()
    run(docker, task("t1", start=(200_000, 200_000)))
    docker.world.until(3600 * SECOND)

    assert docker.happened() == [(200_000, ContainerStarted("a", "t1", "web.1", "web"))]
    assert [c.task for c in docker.engine.running()] == ["t1"]


def test_a_container_that_ends_by_itself_gives_its_exit_code() -> None:
    docker = Docker()
    run(docker, task("t1", start=(0, 0), run=(3 * SECOND, 3 * SECOND), exit=7))
    docker.world.until(9 * SECOND)

    assert docker.happened()[-1] == (3 * SECOND, ContainerExited("a", "t1", "web.1", "web", 7, "exited"))
    assert docker.answers[-1] == ("t1", "Wait", 7, 3 * SECOND)
    assert docker.engine.running() == []


def test_waiting_for_a_container_that_has_ended_is_answered_at_once() -> None:
    docker = Docker()
    t = task("t1", start=(0, 0), run=(SECOND, SECOND), exit=7)
    run(docker, t)
    docker.ask_at(5 * SECOND, Wait(t), label="late")
    docker.world.until(9 * SECOND)

    assert docker.answers[-1] == ("late", "Wait", 7, 5 * SECOND)


def test_starting_it_twice_starts_it_once() -> None:
    """A changed task cancels its operation and begins it again; the container is one."""
    docker = Docker()
    t = task("t1", start=(SECOND, SECOND))
    docker.engine.images.add("nginx")
    docker.ask(Prepare(t), Start(t), label="first")
    docker.ask_at(500_000, Start(t), label="second")
    docker.ask_at(5 * SECOND, Start(t), label="third")
    docker.world.until(9 * SECOND)

    assert docker.times(ContainerStarted) == [SECOND]
    assert [(label, at) for label, what, _, at in docker.answers if what == "Start"] == [
        ("first", SECOND),
        ("second", 1_500_000),
        ("third", 5 * SECOND),
    ]


def test_a_container_that_was_never_prepared_cannot_be_started() -> None:
    docker = Docker()
    docker.ask(Start(task("t1")))
    docker.world.until(SECOND)

    assert docker.answers == [("", "Start", "No such container: t1", 0)]


def test_an_engine_needs_a_moment_to_say_that_a_container_of_its_former_life_is_gone() -> None:
    docker = Docker()
    docker.ask(Wait(task("t1")))
    docker.world.until(9 * SECOND)

    assert docker.answers == [("", "Wait", "No such container: t1", RESTORE)]


# ---- stopping --------------------------------------------------------------------------------------------------
def stopped(grace: int | None = None, **behaviour: Any) -> tuple[int, int, str, Any]:
    """(seconds it took, exit code, why, what the caller was told)."""
    docker = Docker()
    t = task("t1", grace=grace, start=(0, 0), **behaviour)
    run(docker, t)
    docker.ask_at(10 * SECOND, Stop(t), label="stop")
    docker.world.until(3600 * SECOND)
    exited = next(docker.world.trace.of(ContainerExited))
    told = next(answer for label, _, answer, _ in docker.answers if label == "stop")
    return exited.at - 10 * SECOND, exited.event.code, exited.event.why, told


def test_a_container_that_obeys_sigterm_ends_with_143() -> None:
    assert stopped(stop=(300_000, 300_000)) == (300_000, 143, "stopped", 143)


def test_one_that_handles_it_ends_with_0() -> None:
    assert stopped(stop=(300_000, 300_000), on_stop="complete") == (300_000, 0, "stopped", 0)


@pytest.mark.parametrize("on_stop", ["shutdown", "complete"])
def test_after_the_grace_period_sigkill_ends_it_with_137(on_stop: str) -> None:
    assert stopped(3 * SECOND, stop=(60 * SECOND, 60 * SECOND), on_stop=on_stop) == (3 * SECOND, 137, "stopped", 137)


def test_without_a_grace_period_of_its_own_a_container_has_ten_seconds() -> None:
    """api/defaults/service.go."""
    assert stopped(stop=(60 * SECOND, 60 * SECOND)) == (10 * SECOND, 137, "stopped", 137)


def test_a_grace_period_counts_in_whole_seconds() -> None:
    """moby executor/container/adapter.go `shutdown` hands on its seconds only."""
    assert stopped(2_900_000, stop=(60 * SECOND, 60 * SECOND))[0] == 2 * SECOND


def test_stopping_it_twice_stops_it_once() -> None:
    docker = Docker()
    t = task("t1", start=(0, 0), stop=(SECOND, SECOND))
    run(docker, t)
    docker.ask_at(5 * SECOND, Stop(t), label="first")
    docker.ask_at(5 * SECOND + 500_000, Stop(t), label="second")
    docker.world.until(9 * SECOND)

    assert docker.times(ContainerExited) == [6 * SECOND]
    assert [(label, answer, at) for label, _, answer, at in docker.answers if label != "t1"] == [
        ("first", 143, 6 * SECOND),
        ("second", 143, 6 * SECOND),
    ]


def test_a_container_that_is_stopped_before_it_ran_never_runs() -> None:
    docker = Docker()
    t = task("t1", start=(SECOND, SECOND))
    run(docker, t)
    docker.ask_at(500_000, Stop(t), label="stop")
    docker.world.until(9 * SECOND)

    assert docker.happened() == []
    assert ("stop", "Stop", None, 500_000) in docker.answers
    assert ("t1", "Start", "container was stopped before it started", SECOND) in docker.answers


def test_a_container_that_ends_by_itself_while_it_is_stopping_ends_once() -> None:
    docker = Docker()
    t = task("t1", start=(0, 0), run=(6 * SECOND, 6 * SECOND), stop=(3 * SECOND, 3 * SECOND))
    run(docker, t)
    docker.ask_at(5 * SECOND, Stop(t), label="stop")
    docker.world.until(20 * SECOND)

    assert docker.times(ContainerExited) == [6 * SECOND]
    assert ("stop", "Stop", 0, 6 * SECOND) in docker.answers


def test_removing_a_container_kills_it() -> None:
    docker = Docker()
    t = task("t1", start=(0, 0))
    run(docker, t)
    docker.ask_at(5 * SECOND, Remove("t1"), label="remove")
    docker.ask_at(6 * SECOND, Remove("never there"), label="nothing")
    docker.world.until(9 * SECOND)

    assert docker.happened()[-1] == (5 * SECOND, ContainerExited("a", "t1", "web.1", "web", 137, "killed"))
    assert docker.engine.containers == {}
    assert [label for label, what, *_ in docker.answers if what == "Remove"] == ["remove", "nothing"]


# ---- what the world does -----------------------------------------------------------------------------------------
def test_a_killed_container_ends_with_137_because_of_the_fault() -> None:
    docker = Docker()
    run(docker, task("t1", start=(0, 0)))
    docker.world.until(SECOND)
    docker.engine.kill("t1", cause=1)

    exited = docker.world.trace[2]
    assert (exited.event.code, exited.event.why, exited.cause) == (137, "killed", 1)
    assert docker.answers[-1] == ("t1", "Wait", 137, SECOND + 1)


def test_what_does_not_run_cannot_be_killed() -> None:
    docker = Docker()
    docker.engine.images.add("nginx")
    docker.ask(Prepare(task("t1")))

    with pytest.raises(AssertionError, match=r"web\.1 does not run on a"):
        docker.engine.kill("t1")


def test_a_crash_ends_all_containers_and_nobody_is_told() -> None:
    """The managers cannot know yet; the trace does."""
    docker = Docker()
    for id in ("t1", "t2"):
        run(docker, task(id, start=(0, 0), run=(9 * SECOND, 9 * SECOND)))
    run(docker, task("starting", start=(5 * SECOND, 5 * SECOND)))
    docker.world.until(SECOND)
    crashed = docker.host.crash("power", 0)
    docker.world.until(60 * SECOND)

    ends = [(r.event.task, r.event.why, r.at, r.cause) for r in docker.world.trace.of(ContainerExited)]
    assert ends == [("t1", "crash", SECOND + 1, crashed), ("t2", "crash", SECOND + 1, crashed)]
    assert docker.engine.containers == {}
    assert [what for _, what, *_ in docker.answers if what == "Wait"] == []
    assert len(docker.times(ContainerStarted)) == 2


def test_the_containers_of_a_killed_engine_run_on_and_the_next_engine_finds_them() -> None:
    """Docker's live-restore. What had not begun to run never will."""
    docker = Docker()
    running = task("t1", start=(0, 0), run=(9 * SECOND, 9 * SECOND), exit=3)
    run(docker, running)
    run(docker, task("starting", start=(5 * SECOND, 5 * SECOND)))
    docker.world.until(SECOND)
    docker.host.crash("engine", 0)
    docker.world.until(2 * SECOND)
    docker.host.start(0)
    docker.ask(Wait(running), label="after")
    docker.world.until(60 * SECOND)

    assert docker.times(ContainerStarted) == [0]
    assert docker.times(ContainerExited) == [9 * SECOND]
    assert [a for a in docker.answers if a[1] == "Wait"] == [("after", "Wait", 3, 9 * SECOND)]


def test_an_old_run_s_end_does_not_end_a_new_run() -> None:
    """The task's container of a former life was to end at 9 s; the one that runs now began at 5 s."""
    docker = Docker()
    t = task("t1", start=(0, 0), run=(9 * SECOND, 9 * SECOND))
    run(docker, t)
    docker.world.until(5 * SECOND)
    docker.host.crash("process", 0)
    docker.host.start(0)
    run(docker, t)
    docker.world.until(12 * SECOND)

    assert [c.task for c in docker.engine.running()] == ["t1"]


def test_the_cause_of_each_fact_is_the_one_before_it() -> None:
    docker = Docker()
    t = task("t1", run=(SECOND, SECOND))
    docker.ask(Prepare(t), Start(t))
    docker.world.until(9 * SECOND)

    assert [(type(r.event), r.cause) for r in docker.world.trace] == [
        (ImagePulled, 0),
        (ContainerStarted, 1),
        (ContainerExited, 2),
    ]


# ---- draws -------------------------------------------------------------------------------------------------------
RANDOM: dict[str, Any] = {"start": (0, 5 * SECOND), "run": (0, 500 * SECOND), "stop": (0, 500 * SECOND)}


def lives(*ids: str, seed: int = 1, node: str = "a") -> dict[str, tuple[int, int]]:
    """When each task's container began and ended."""
    docker = Docker(seed, node)
    for id in ids:
        run(docker, task(id, **RANDOM))
    docker.world.until(3600 * SECOND)
    began = {r.event.task: r.at for r in docker.world.trace.of(ContainerStarted)}
    return {r.event.task: (began[r.event.task], r.at) for r in docker.world.trace.of(ContainerExited)}


def test_a_task_s_draws_move_no_other_task_s() -> None:
    """Streams are named by node, what is done, and the task."""
    alone, together = lives("t2"), lives("t1", "t2", "t3")

    assert together["t2"] == alone["t2"]
    assert len(set(together.values())) == 3


def test_draws_differ_by_seed_and_by_node() -> None:
    assert len({lives("t1")["t1"], lives("t1", seed=2)["t1"], lives("t1", node="b")["t1"]}) == 3


def test_a_pull_s_time_is_drawn_once_for_a_node_and_image_whoever_asks_first() -> None:
    def pulled(first: str, image: str = "nginx") -> int:
        docker = Docker()
        docker.ask(Prepare(task(first, image, pull=(SECOND, 9 * SECOND))))
        docker.world.until(20 * SECOND)
        return docker.times(ImagePulled)[0]

    assert pulled("t1") == pulled("t2")
    assert pulled("t1") != pulled("t1", "redis")


def test_draws_lie_within_their_range_ends_included() -> None:
    docker = Docker()
    t = [task(f"t{i}", start=(3, 5)) for i in range(100)]

    drawn = {docker.engine._draw("start", one, (3, 5)) for one in t}

    assert drawn == {3, 4, 5}
