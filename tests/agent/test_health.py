"""Health checks: the engine's probes (moby daemon/health.go) and what the controller makes of them (controller.go)."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from swarmsim.api.engine import WatchHealth
from swarmsim.api.health import Health, Verdict, first_verdict, health_check
from swarmsim.api.messages import CreateService, RemoveService
from swarmsim.api.objects import Endpoint, NetworkAttachment
from swarmsim.api.specs import (
    ContainerBehaviour,
    ContainerSpec,
    EndpointSpec,
    HealthConfig,
    Replicated,
    RestartCondition,
    RestartPolicy,
    ServiceSpec,
    TaskSpec,
)
from swarmsim.cluster import Cluster, describe
from swarmsim.gossip.messages import AddEndpoint
from swarmsim.trace.events import ContainerExited, ContainerStarted, ServiceChanged, TaskChanged

from .world import MS, SECOND, Promise, S, Stop, Wait, World, task

CHECK = HealthConfig(("CMD", "true"), interval=SECOND)
UNHEALTHY = "task: non-zero exit (143): dockerexec: unhealthy container"


def checked(**fields: Any) -> Any:
    return task(healthcheck=CHECK, **fields)


@pytest.fixture
def world() -> World:
    """A task whose container has started, and whose health is what the test says."""
    world = World(checked())
    world.watches: list[tuple[Health, Promise]] = []  # type: ignore[attr-defined]
    do = world.engine

    def execute(effect: Any) -> Any:
        if isinstance(effect.command, WatchHealth):
            promise = Promise()
            world.watches.append((effect.command.known, promise))  # type: ignore[attr-defined]
            return promise
        return do(effect)

    world.manager.on_execute = execute
    world.start()
    world.run(100 * MS)
    return world


def say(world: World, health: Health | None) -> None:
    known, promise = world.watches[-1]  # type: ignore[attr-defined]
    assert known is not health
    promise.keep(health)
    world.run(100 * MS)


def test_a_task_is_starting_until_its_container_is_healthy(world: World) -> None:
    """Then it is RUNNING, and only now takes traffic."""
    assert world.status().state is S.STARTING
    say(world, Health.HEALTHY)

    assert (world.status().state, world.status().message) == (S.RUNNING, "started")


def test_the_binding_is_activated_when_it_is_healthy() -> None:
    overlay = NetworkAttachment("ingress", ("10.0.0.5/24",))
    bound = checked(networks=(overlay,)).evolve(endpoint=Endpoint(EndpointSpec()))
    world = World(bound)
    watch = Promise()
    do = world.engine
    world.manager.on_execute = lambda effect: watch if isinstance(effect.command, WatchHealth) else do(effect)
    world.start()
    world.run(100 * MS)
    assert not [m for _, _, m in world.manager.sent if isinstance(m, AddEndpoint)]

    watch.keep(Health.HEALTHY)
    world.run(0)

    assert [m for _, _, m in world.manager.sent if isinstance(m, AddEndpoint)]


def test_a_container_that_is_unhealthy_from_the_start_is_shut_down(world: World) -> None:
    """FAILED, in the words of STARTING, with the cause."""
    world.engine.waiting["t1"] = []  # it runs
    world.engine.broken[Wait] = 143  # type: ignore[assignment]
    say(world, Health.UNHEALTHY)

    assert world.reported()[-1] == (S.FAILED, "starting", UNHEALTHY)
    assert world.status().exit_code == 143
    assert world.engine.count(Stop) == [1]


def test_a_container_that_turns_unhealthy_is_shut_down(world: World) -> None:
    """C-107 TestHealthStates: FAILED, in the words of RUNNING, at the first `unhealthy` and at nothing before."""
    say(world, Health.HEALTHY)
    world.engine.waiting["t1"] = []
    world.engine.broken[Wait] = 143  # type: ignore[assignment]
    say(world, Health.UNHEALTHY)

    assert world.reported()[-1] == (S.FAILED, "started", UNHEALTHY)
    assert world.engine.count(Stop) == [1]


def test_an_unhealthy_container_that_exits_well_is_complete(world: World) -> None:
    """Its exit code is 0, so nothing has failed: at the start it counts as started, and then as finished."""
    world.engine.broken[Wait] = 0  # type: ignore[assignment]
    say(world, Health.UNHEALTHY)
    assert world.status().state is S.RUNNING
    say(world, None)

    assert [state for state, _, _ in world.reported()][-2:] == [S.RUNNING, S.COMPLETE]


@pytest.mark.parametrize(("code", "end"), [(0, (S.COMPLETE, "finished", "")), (3, (S.FAILED, "starting", ""))])
def test_a_container_that_exits_before_it_is_healthy(world: World, code: int, end: Any) -> None:
    """0 counts as started; anything else fails the task, without a cause."""
    world.engine.broken[Wait] = code  # type: ignore[assignment]
    say(world, None)
    if code == 0:
        say(world, None)

    err = f"task: non-zero exit ({code})" if code else ""
    assert world.reported()[-1] == (*end[:2], err)


def test_a_task_that_is_shut_down_while_it_starts_is_not_looked_at_any_more(world: World) -> None:
    """Health that is known too late changes nothing."""
    world.update(checked(desired=S.SHUTDOWN))
    world.run(SECOND)
    assert world.status().state is S.SHUTDOWN
    say(world, Health.UNHEALTHY)

    assert world.reported()[-1] == (S.SHUTDOWN, "shutdown", "")
    assert world.engine.count(Stop) == [1]


# ---- probes ----------------------------------------------------------------------------------------------------------


def test_what_is_checked() -> None:
    """NONE switches the image's check off; a check without a test tunes it."""
    assert health_check(ContainerSpec("a")) is None
    assert health_check(ContainerSpec("a", healthcheck=HealthConfig(("NONE",)))) is None
    assert health_check(ContainerSpec("a", healthcheck=HealthConfig(interval=SECOND))) is not None


def test_the_first_probe_comes_after_an_interval() -> None:
    """Defaults: 30 s, three failures."""
    assert first_verdict(HealthConfig(), 0) == Verdict(30 * SECOND, Health.HEALTHY)
    assert first_verdict(HealthConfig(), 60 * SECOND + 1) == Verdict(90 * SECOND, Health.HEALTHY)
    assert first_verdict(HealthConfig(), 90 * SECOND + 1) == Verdict(90 * SECOND, Health.UNHEALTHY)


def test_failures_of_the_start_period_do_not_count() -> None:
    """And probes come more often then (5 s by default)."""
    check = HealthConfig(interval=10 * SECOND, start_period=12 * SECOND, retries=2)

    assert first_verdict(check, 0) == Verdict(5 * SECOND, Health.HEALTHY)
    assert first_verdict(check, 11 * SECOND) == Verdict(15 * SECOND, Health.HEALTHY)
    assert first_verdict(check, 16 * SECOND) == Verdict(25 * SECOND, Health.HEALTHY)
    assert first_verdict(check, 26 * SECOND) == Verdict(25 * SECOND, Health.UNHEALTHY)


def probe_by_probe(check: HealthConfig, able: int) -> Verdict:
    """The slow twin: daemon/health.go's loop."""
    interval, early = check.interval or 30 * SECOND, check.start_interval or 5 * SECOND
    period, retries = check.start_period or 0, check.retries or 3
    at = streak = 0
    while True:
        at += interval if at >= period else early
        if at >= able:
            return Verdict(at, Health.HEALTHY)
        if at >= period:
            streak += 1
        if streak >= retries:
            return Verdict(at, Health.UNHEALTHY)


times = st.none() | st.integers(0, 12)


@given(times, times, times, st.integers(0, 4), st.integers(0, 60))
def test_the_verdict_agrees_with_probing(interval: Any, early: Any, period: Any, retries: int, able: int) -> None:
    check = HealthConfig((), interval, None, period, early, retries)

    assert first_verdict(check, able) == probe_by_probe(check, able)


# ---- in a cluster ----------------------------------------------------------------------------------------------------


def run(health: tuple[int, int], seconds: float, **settings: Any) -> Cluster:
    """A service of one task, whose container is able to answer probes `health` after its start."""
    behaviour = ContainerBehaviour((0, 0), (100 * MS, 100 * MS), (200 * MS, 200 * MS), health=health)
    container = ContainerSpec("busybox", healthcheck=CHECK, behaviour=behaviour, **settings)
    restart = RestartPolicy(RestartCondition.ANY, delay=SECOND)
    cluster = Cluster(describe(1, 1), 1)

    def client() -> Generator[Any, Any, None]:
        request = CreateService(ServiceSpec("web", TaskSpec(container, restart=restart), Replicated(1)))
        yield from cluster.ask(None, request)

    cluster.env.process(client())
    cluster.run(int(seconds * SECOND))
    return cluster


def states(cluster: Cluster) -> list[tuple[str, str]]:
    return [(r.event.now.name, r.event.error) for r in cluster.trace.of(TaskChanged) if r.event.generation == 1]


def test_a_service_runs_when_its_containers_are_healthy() -> None:
    """2.5 s after the start means the third probe."""
    cluster = run((2_500 * MS, 2_500 * MS), 10)
    (started,) = cluster.trace.of(ContainerStarted)
    running = next(r for r in cluster.trace.of(TaskChanged) if r.event.now is S.RUNNING)

    assert 3 * SECOND <= running.at - started.at <= 3_200 * MS
    assert states(cluster)[-1] == ("RUNNING", "")


def test_a_container_that_never_gets_healthy_is_replaced_again_and_again() -> None:
    """Three failures, SIGTERM, FAILED with the real text; the restart policy does the rest."""
    cluster = run((60 * SECOND, 60 * SECOND), 12)
    exits = [(r.event.code, r.event.why) for r in cluster.trace.of(ContainerExited)]

    assert set(exits) == {(143, "stopped")}
    assert len(exits) >= 2
    assert ("FAILED", UNHEALTHY) in states(cluster)
    assert "RUNNING" not in [state for state, _ in states(cluster)]


def test_a_container_that_ignores_sigterm_is_killed_after_its_grace() -> None:
    """137, and no sooner than the grace period of the service."""
    behaviour = ContainerBehaviour((0, 0), (0, 0), (600 * SECOND, 600 * SECOND))
    container = ContainerSpec("busybox", behaviour=behaviour, stop_grace_period=3 * SECOND)
    cluster = Cluster(describe(1, 1), 1)
    spec = ServiceSpec("web", TaskSpec(container), Replicated(1))

    def client() -> Generator[Any, Any, None]:
        yield from cluster.ask(None, CreateService(spec))
        yield cluster.env.timeout(5 * SECOND)
        yield from cluster.ask(None, RemoveService("web"))

    cluster.env.process(client())
    cluster.run(20 * SECOND)

    (exited,) = cluster.trace.of(ContainerExited)
    assert (exited.event.code, exited.event.why) == (137, "stopped")
    assert 8 * SECOND <= exited.at <= 8_500 * MS


def test_the_bound_of_convergence_knows_of_the_check() -> None:
    """ServiceChanged: pull, start and the first word of the health check, at most."""
    cluster = run((2_500 * MS, 2_500 * MS), 1)
    changed = next(r.event for r in cluster.trace.of(ServiceChanged))

    assert changed.start_time == 3_100 * MS
