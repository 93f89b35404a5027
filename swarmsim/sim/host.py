"""Hosts: a host is a simulated computer, with drivers for its software, a disk, an engine, on or off."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from itertools import count
from random import Random
from typing import Any

import simpy
from simpy.events import URGENT

from ..errors import ApiError, Panic
from ..machine import (
    STREAM,
    Address,
    Call,
    Machine,
)
from ..trace.events import HostCrashed, HostStarted, ProcessPanicked, WriteTorn
from ..trace.recorder import Trace
from . import rng
from .clock import Clock
from .disk import Disk
from .driver import EFFECTS, Driver, Failure, Performer
from .network import ANSWER, CALL, MESSAGE, Network, Packet

Micros = int


#: docker.service, `RestartSec`, `StartLimitBurst` and `StartLimitInterval`: systemd starts an engine that died again,
#: unless it was started that often within that time. A loss of power ends the counting.
RESTART_SEC: Micros = 2_000_000
START_LIMIT_BURST = 3
START_LIMIT_INTERVAL: Micros = 60_000_000


class Host:
    """A computer of the cluster. `boot` starts its software, at power-on and after a crash."""

    def __init__(
        self, env: Clock, trace: Trace, network: Network, name: str, seed: int, fsync: tuple[int, int]
    ) -> None:
        self.env = env
        self.trace = trace
        self.network = network
        self.name = name
        self.seed = seed
        self.disk = Disk(env, rng.stream(seed, "disk", name), fsync)
        self.drivers: dict[str, Driver] = {}
        self.up = True
        self.proxy: str | None = None  # the machine that serves calls for machines that do not run here
        self.serves = True  # its software takes part; False: it is up, and nobody there answers for long
        self.refuses = False  # off, but its kernel answers: connection refused
        self._panicking = False
        self._starts: deque[Micros] = deque(maxlen=START_LIMIT_BURST)  # when its engine was started, the last of all
        self._life = 0  # how often it has gone off
        self.performers: dict[type, Performer] = dict(EFFECTS)
        self.boot: Callable[[int], None] = lambda cause: None
        self.on_crash: list[Callable[[str, int], None]] = []
        #: Never used twice, so that an answer to a machine's former life finds nobody.
        self.call_ids = count()
        self._streams: dict[str, Random] = {}
        network.hosts[name] = self

    def stream(self, machine: str) -> Random:
        """A machine's random stream goes on over restarts of the machine."""
        found = self._streams.get(machine)
        if found is None:
            found = self._streams[machine] = rng.stream(self.seed, "machine", self.name, machine)
        return found

    # -- machines --
    def spawn(self, name: str, machine: Machine, saved: Mapping[Any, Any] | None, cause: int) -> Driver:
        assert name not in self.drivers, f"{self.name}/{name} runs already"
        driver = self.drivers[name] = Driver(self, name, machine)
        driver.serve(machine.on_start, (self.disk.read(name) if saved is None else saved,), cause)
        return driver

    def halt(self, name: str, cause: int) -> None:
        """Stop a machine in good order: it is told, and may say a last word."""
        driver = self.drivers.pop(name, None)
        if driver is not None:
            driver.out.now = self.env.now
            driver.out.cause = cause
            driver.machine.on_stop(driver.out)
            driver.stop()

    # -- what the network brings --
    def receive(self, packet: Packet) -> None:
        driver = self.drivers.get(packet.dst.machine)
        if driver is None and packet.kind == CALL and self.proxy is not None:
            driver = self.drivers.get(self.proxy)
        if driver is None:
            if packet.kind == CALL:  # nobody serves this here: gRPC Unimplemented or a stopped service
                error = ApiError("Unavailable", f"{packet.dst} is not running")
                self.answer(packet.dst, packet.body, Failure(error), packet.cause)
            return
        if packet.kind == MESSAGE:
            driver.serve(driver.on_message, (packet.src, packet.body), packet.cause)
        elif packet.kind == CALL:
            driver.serve(driver.on_call, (packet.body,), packet.cause)
        elif packet.kind == ANSWER:
            driver.answered(packet.body[0], packet.body[1], packet.cause)
        else:
            error = ApiError("Unavailable", f"connection error: {packet.src.node} refused the connection")
            driver.answered(packet.body, Failure(error), packet.cause)

    def answer(self, src: Address, call: Call, response: Any, cause: int) -> None:
        self.network.carry(Packet(src, call.src, ANSWER, (call.id, response), cause, self.env.now), STREAM)

    def lost(self, node: str, cause: int) -> None:
        """Connections to `node` were reset."""
        for driver in list(self.drivers.values()):
            driver.lost(node, cause)

    def wake(self, machine: str, message: Any, cause: int = 0) -> None:
        """The world tells a machine something; without a `cause`, its own latest counts."""
        driver = self.drivers.get(machine)
        if driver is not None:
            driver.serve(driver.on_message, (driver.address, message), cause or driver.out.cause)

    # -- on and off --
    def crash(self, how: str, cause: int, tearing: Random | None = None) -> int:
        """Go off: `power` (silent, unsynced writes lost), `process` (connections reset, disk whole), or `engine` (so,
        and the containers run on). `tearing`: as in `Disk.crash`."""
        assert self.up, f"{self.name} is off already"
        self.up = self._panicking = False
        self._life += 1
        self.refuses = how != "power"
        if how == "power":
            self._starts.clear()
        seq = self.trace.record(HostCrashed(self.name, how), self.env.now, cause)
        drivers, self.drivers = self.drivers, {}
        for driver in drivers.values():
            driver.stop()
        torn = self.disk.crash(how == "power", tearing)
        if torn:
            self.trace.record(WriteTorn(self.name, torn), self.env.now, seq)
        for told in self.on_crash:
            told(how, seq)
        self.network.silence(self.name, seq)
        self.network.hang_up(self.name)
        if how != "power":
            self.network.reset_connections(self.name, seq)
        self.network.disturb(self.name, seq)
        return seq

    def start(self, cause: int) -> int:
        """Power on: the engine starts, and with it what was there before."""
        assert not self.up, f"{self.name} is on already"
        self.up = True
        self.refuses = False
        self._starts.append(self.env.now)
        seq = self.trace.record(HostStarted(self.name), self.env.now, cause)
        self.boot(seq)
        self.network.disturb(self.name, seq)
        return seq

    # -- the software ends itself --
    def panic(self, panic: Panic, cause: int) -> None:
        """A machine panicked: the engine's process dies at once, and systemd starts it again (docker.service).

        Where every disk keeps its promises and all rules are in force, software never meets what makes it panic: then
        it is a bug of ours.
        """
        if self.network.trusted:
            raise panic
        if self._panicking:
            return
        self._panicking = True
        again = not self._start_limit_hit()
        seq = self.trace.record(ProcessPanicked(self.name, str(panic), again), self.env.now, cause)
        dying = simpy.Event(self.env)
        dying.callbacks.append(lambda _: self._die(seq, again))
        dying._ok, dying._value = True, None
        self.env.schedule(dying, URGENT)  # what is on the stack ends first; nothing else happens before

    def _start_limit_hit(self) -> bool:
        recent = [at for at in self._starts if self.env.now + RESTART_SEC - at < START_LIMIT_INTERVAL]
        return len(recent) >= START_LIMIT_BURST

    def _die(self, seq: int, again: bool) -> None:
        if not self.up or not self._panicking:
            return  # something else came first
        self.crash("process", seq)
        if again:
            life = self._life
            timeout = simpy.Timeout(self.env, RESTART_SEC)
            timeout.callbacks.append(lambda _: self._start_again(life, seq))

    def _start_again(self, life: int, seq: int) -> None:
        if life == self._life and not self.up:
            self.start(seq)

    def stay_off(self) -> None:
        """Off for another reason, too: nothing starts its engine but who switches it on."""
        self._life += 1


__all__ = ["Host"]
