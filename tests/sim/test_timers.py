"""Timers of a driver: deadlines over SimPy, which cannot cancel."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from swarmsim.machine import Handler, Outbox
from swarmsim.sim.driver import Driver
from swarmsim.trace.events import FaultStarted, HostCrashed, RunEnded
from tests.sim.world import Script, World, always


def made(world: World, **handlers: Any) -> tuple[Script, Driver]:
    machine = Script(**handlers)
    return machine, world.run(machine)


def test_a_timer_rings_once_at_its_time() -> None:
    world = World("a")
    machine, driver = made(world)

    driver.out.set_timer("tick", 3_000)
    world.until(50_000)

    assert machine.diary == [(3_000, "tick")]


def test_setting_a_timer_again_moves_it() -> None:
    """Later or sooner: it rings once, at the last time that was set."""
    world = World("a")
    machine, driver = made(world)

    driver.out.set_timer("later", 3_000)
    driver.out.set_timer("later", 9_000)
    driver.out.set_timer("sooner", 9_000)
    driver.out.set_timer("sooner", 3_000)
    driver.out.set_timer("back", 3_000)
    driver.out.set_timer("back", 9_000)
    driver.out.set_timer("back", 4_000)
    world.until(50_000)

    assert machine.diary == [(3_000, "sooner"), (4_000, "back"), (9_000, "later")]


def test_a_cancelled_timer_does_not_ring() -> None:
    world = World("a")
    machine, driver = made(world)

    driver.out.set_timer("gone", 3_000)
    driver.out.set_timer("stays", 3_000)
    driver.out.cancel_timer("gone")
    driver.out.cancel_timer("never set")
    world.until(50_000)

    assert machine.diary == [(3_000, "stays")]


def test_timers_of_one_time_ring_in_the_order_of_setting() -> None:
    world = World("a")
    machine, driver = made(world)

    for name in "cab":
        driver.out.set_timer(name, 3_000)
    world.until(50_000)

    assert machine.heard == ["c", "a", "b"]


def test_a_timer_may_set_itself_again() -> None:
    world = World("a")

    def again(name: Any, out: Outbox) -> Handler:
        out.set_timer(name, 1_000)
        return None

    machine, driver = made(world, timer=again)
    driver.out.set_timer("tick", 1_000)
    world.until(5_000)

    assert machine.diary == [(t, "tick") for t in (1_000, 2_000, 3_000, 4_000, 5_000)]


def test_a_timer_that_rings_while_the_machine_waits_is_served_after_it() -> None:
    world = World("a")

    def busy(message: Any, out: Outbox) -> Generator[Any, Any, None]:
        out.set_timer("tick", 1_000)
        yield out.persist({"k": 1})

    machine, _ = made(world, message=busy)
    world.tell("go")
    world.until(50_000)

    assert machine.diary == [(0, "go"), (2_000, "tick")]


def test_a_timer_that_rang_while_the_machine_waited_can_still_be_moved_or_cancelled() -> None:
    """As Go's select drops what a timer's channel held when the timer is replaced."""
    world = World("a")

    def busy(message: Any, out: Outbox) -> Generator[Any, Any, None]:
        for name in ("cancelled", "moved", "left"):
            out.set_timer(name, 1_000)
        yield out.persist({"k": 1})
        out.cancel_timer("cancelled")
        out.set_timer("moved", 5_000)

    machine, _ = made(world, message=busy)
    world.tell("go")
    world.until(50_000)

    assert machine.diary == [(0, "go"), (2_000, "left"), (7_000, "moved")]


# ---- what they cost ------------------------------------------------------------------------------------------
def cost_of(moves: int, step: int) -> tuple[int, list[Any]]:
    """SimPy events of a timer that is moved so often, and how it rang."""
    world = World("a")
    machine, driver = made(world)
    for i in range(moves):
        driver.out.set_timer("heartbeat", 1_000_000 + i * step)
    world.until(100_000_000)
    return world.env.scheduled(), machine.diary


def test_moving_a_timer_later_costs_nothing_until_it_rings_early() -> None:
    """One timeout is pending however often a heartbeat moves it; it rings early once and is armed again."""
    once, _ = cost_of(1, 0)
    moved, diary = cost_of(1_000, 10)

    assert diary == [(1_009_990, "heartbeat")]
    assert moved - once == 1


def test_a_timeout_under_way_serves_whatever_is_due_by_then() -> None:
    """A deadline of 20 s and a tick of 1 s: the tick needs a timeout each second, the deadline its own, no more."""
    world = World("a")

    def tick(name: Any, out: Outbox) -> Handler:
        if name == "tick":
            out.set_timer("tick", 1_000_000)
        return None

    machine, driver = made(world, timer=tick)
    world.until(0)
    before = world.env.scheduled()
    driver.out.set_timer("deadline", 20_000_000)
    driver.out.set_timer("tick", 1_000_000)
    world.env.run(19_999_999)

    assert len(machine.diary) == 19
    # Both timers, 18 ticks set again, the end of `run` (2); the twentieth tick is due with the deadline, and shares it.
    assert world.env.scheduled() - before == 2 + 18 + 2


#: (pause before it, timer, delay or None to cancel). Pauses are even and delays odd: nothing is set as it rings.
orders = st.tuples(
    st.integers(0, 20).map(lambda n: 2 * n),
    st.sampled_from("abc"),
    st.one_of(st.none(), st.integers(0, 15).map(lambda n: 2 * n + 1)),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(orders, max_size=25))
def test_timers_ring_as_an_obvious_table_says(script: list[tuple[int, str, int | None]]) -> None:
    """Twin: a table of deadlines, looked at every microsecond."""
    world = World("a")
    machine, driver = made(world)
    acts: dict[int, list[tuple[str, int | None]]] = {}
    at = 0
    for pause, name, delay in script:
        at += pause
        acts.setdefault(at, []).append((name, delay))

    for time, orders_then in acts.items():
        event = world.env.timeout(time, orders_then)
        event.callbacks.append(lambda e: [_obey(driver, *order) for order in e.value])
    world.until(at + 100)

    assert sorted(machine.diary) == sorted(_table_says(acts, at + 100))


def _obey(driver: Driver, name: str, delay: int | None) -> None:
    if delay is None:
        driver.out.cancel_timer(name)
    else:
        driver.out.set_timer(name, delay)


def _table_says(acts: dict[int, list[tuple[str, int | None]]], end: int) -> list[tuple[int, str]]:
    table: dict[str, int] = {}
    rung = []
    for now in range(end + 1):
        for name in [name for name, when in table.items() if when == now]:
            del table[name]
            rung.append((now, name))
        for name, delay in acts.get(now, ()):
            if delay is None:
                table.pop(name, None)
            else:
                table[name] = now + delay
    return rung


# ---- why they ring ---------------------------------------------------------------------------------------------
def causes(world: World) -> list[type]:
    last = [r for r in world.trace if type(r.event) is RunEnded][-1]
    return [type(r.event) for r in world.trace.chain(last.seq)]


def notes(name: Any, out: Outbox) -> Handler:
    out.emit(RunEnded(str(name)))
    return None


def test_a_timer_s_cause_is_that_of_its_setting() -> None:
    world = World("a")

    def sets(message: Any, out: Outbox) -> Handler:
        out.set_timer("t", 1_000)
        return None

    world.trace.record(FaultStarted("f", "kill", (), (), None, ""), 0, 0)
    world.run(Script(message=sets, timer=notes))
    world.tell("go", cause=1)
    world.until(5_000)

    assert causes(world) == [RunEnded, FaultStarted]


def test_a_timer_that_awaits_a_node_was_caused_by_what_silenced_it_since() -> None:
    world = World("a", "b")
    _, driver = made(world, timer=notes)

    driver.out.set_timer("t", 10_000, awaits="b")
    world.until(2_000)
    world.hosts["b"].crash("power", 0)
    world.until(20_000)

    assert causes(world) == [RunEnded, HostCrashed]


def test_a_node_that_came_back_before_the_timer_was_set_silences_nobody() -> None:
    world = World("a", "b")
    _, driver = made(world, timer=notes)

    world.hosts["b"].crash("power", 0)
    world.hosts["b"].start(0)
    world.until(2_000)
    driver.out.set_timer("t", 10_000, awaits="b")
    world.until(20_000)

    assert causes(world) == [RunEnded]


def test_a_node_that_was_off_already_is_still_the_cause() -> None:
    """A new leader awaits a worker that died before it led: that death is why the worker is DOWN."""
    world = World("a", "b", "c")
    _, driver = made(world, timer=notes)

    dead = world.hosts["b"].crash("power", 0)
    world.until(2_000)
    world.hosts["c"].crash("power", 0)
    driver.out.set_timer("t", 10_000, awaits="b")
    world.until(20_000)

    assert world.trace[len(world.trace)].cause == dead


def test_a_way_that_was_closed_already_is_still_the_cause() -> None:
    world = World("a", "b")
    fault = world.trace.record(FaultStarted("cut", "partition", ("b",), (), None, ""), 0, 0)
    world.network.install(always("drop", "cut", fault))
    _, driver = made(world, timer=notes)
    peer = world.run(Script(), "b")

    peer.out.send(driver.address, "lost")
    world.until(2_000)
    driver.out.set_timer("t", 10_000, awaits="b")
    world.until(20_000)

    assert [r.seq for r in world.trace.chain(len(world.trace))][-1] == fault
