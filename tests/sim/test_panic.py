"""Software that ends its own process: Go's `panic`, systemd's restarts (`sim.host.Host.panic`)."""

from __future__ import annotations

from typing import Any

import pytest

from swarmsim.errors import Panic
from swarmsim.machine import Machine, Outbox
from swarmsim.sim.clock import Clock
from swarmsim.sim.host import Host
from swarmsim.sim.network import Network
from swarmsim.trace.events import HostCrashed, HostStarted, ProcessPanicked
from swarmsim.trace.recorder import Trace

SECOND = 1_000_000


class Fragile(Machine):
    """Panics when told to: at once, after a wait, or `beside`; on every start when `doomed`."""

    def __init__(self, doomed: bool = False) -> None:
        self.doomed = doomed
        self.done: list[str] = []

    def on_start(self, saved: Any, out: Outbox) -> Any:
        if self.doomed:
            raise Panic("impossible")

    def on_message(self, src: Any, message: Any, out: Outbox) -> Any:
        if message == "at once":
            raise Panic("impossible")
        if message == "beside":
            out.start(self._later(out))
            return None
        return self._later(out)

    def _later(self, out: Outbox) -> Any:
        yield out.sleep(SECOND)
        self.done.append("slept")
        raise Panic("impossible")


class World:
    def __init__(self, trusted: bool = False) -> None:
        self.env, self.trace = Clock(0), Trace()
        self.network = Network(self.env, self.trace, 1)
        self.network.trusted = trusted
        self.host = Host(self.env, self.trace, self.network, "m1", 1, (0, 0))
        self.other = Machine()
        self.doomed = False
        self.host.boot = self.boot
        self.boot(0)

    def boot(self, cause: int) -> None:
        self.host.spawn("other", Machine(), {}, cause)
        self.host.spawn("fragile", Fragile(self.doomed), {}, cause)

    def tell(self, message: str) -> None:
        self.host.wake("fragile", message)

    def times(self, kind: type) -> list[int]:
        return [recorded.at for recorded in self.trace.of(kind)]


@pytest.mark.parametrize(("message", "after"), [("at once", 0), ("wait", SECOND), ("beside", SECOND)])
def test_a_panic_in_one_machine_ends_the_whole_process_of_its_host(message: str, after: int) -> None:
    world = World()
    world.tell(message)
    world.env.run(until=after + 1)

    assert not world.host.up
    assert world.host.drivers == {}
    assert [(r.at, r.event) for r in world.trace.of(ProcessPanicked)] == [
        (after, ProcessPanicked("m1", "impossible", True))
    ]
    assert [r.event.how for r in world.trace.of(HostCrashed)] == ["process"]


def test_systemd_starts_the_engine_again_after_two_seconds() -> None:
    """docker.service, `RestartSec=2`."""
    world = World()
    world.tell("at once")
    world.env.run(until=3 * SECOND)

    assert world.times(HostStarted) == [2 * SECOND]
    assert sorted(world.host.drivers) == ["fragile", "other"]


def test_an_engine_that_panics_at_each_start_is_started_three_times_in_a_minute_and_then_left_alone() -> None:
    """docker.service, `StartLimitBurst=3` in `StartLimitInterval=60s`."""
    world = World()
    world.doomed = True
    world.tell("at once")
    world.env.run(until=300 * SECOND)

    assert world.times(HostStarted) == [2 * SECOND, 4 * SECOND, 6 * SECOND]
    assert [r.event.again for r in world.trace.of(ProcessPanicked)] == [True, True, True, False]


def test_panics_that_are_far_apart_do_not_add_up() -> None:
    world = World()
    for _ in range(6):
        world.tell("at once")
        world.env.run(until=world.env.now + 40 * SECOND)

    assert len(world.times(HostStarted)) == 6


def test_a_host_that_goes_off_meanwhile_is_not_started_by_systemd() -> None:
    world = World()
    world.tell("at once")
    world.env.run(until=SECOND)
    world.host.stay_off()
    world.env.run(until=100 * SECOND)

    assert world.times(HostStarted) == []


def test_two_panics_in_one_moment_are_one_death() -> None:
    world = World()
    world.tell("at once")
    world.tell("at once")
    world.env.run(until=SECOND)

    assert len(world.times(ProcessPanicked)) == len(world.times(HostCrashed)) == 1


def test_where_disks_keep_their_promises_and_rules_are_in_force_a_panic_is_a_bug_of_ours() -> None:
    world = World(trusted=True)

    with pytest.raises(Panic, match="impossible"):
        world.tell("at once")


def test_a_loss_of_power_ends_the_counting() -> None:
    """systemd begins anew with the computer: three starts again, the first of them at power-on."""
    world = World()
    world.doomed = True
    world.tell("at once")
    world.env.run(until=10 * SECOND)
    before = len(world.times(ProcessPanicked))
    world.doomed = False
    world.host.start(0)
    world.host.crash("power", 0)
    world.doomed = True
    world.host.start(0)
    world.env.run(until=30 * SECOND)

    assert (before, len(world.times(ProcessPanicked))) == (4, 7)
