"""Drivers: the one place where machines meet SimPy.

A driver owns one machine: it hands it its stimuli, performs its effects, and has a SimPy process of its own. A stimulus
that reaches an idle machine is served inside the delivery's own event (half the cost of waking a process); when a
handler must wait, the process carries it to its end, and the inbox stays closed until then. Handlers begun with
`start` are carried beside by callbacks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Mapping
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

import simpy

from ..errors import ApiError, LeadershipLost, Panic
from ..machine import (
    STREAM,
    Address,
    Call,
    DiskFull,
    Handler,
    Machine,
    Outbox,
    Persist,
    Request,
    Sleep,
    Transport,
)
from . import rng
from .network import CALL, MESSAGE, Packet

if TYPE_CHECKING:
    from .host import Host

Micros = int


class Failure(NamedTuple):
    """The value of an event whose effect failed: the error to raise in the handler."""

    error: Exception


def fire(event: simpy.Event, value: Any, cause: int = 0) -> None:
    """Trigger an event and run its callbacks now, inside the current event, instead of scheduling another."""
    event._ok = True
    event._value = value
    event.cause = cause  # type: ignore[attr-defined]
    callbacks, event.callbacks = event.callbacks, None  # type: ignore[assignment]
    for callback in callbacks:
        callback(event)


Performer = Callable[["Driver", Any], simpy.Event]
Timer = tuple[Micros, int, str | None, Micros]  # when, cause, awaits, set at


class Driver:
    """Owns one machine: its inbox, its timers, its waiting handlers, its SimPy process."""

    __slots__ = (
        "_beside", "_calls", "_heap", "_order", "_pending", "_rung", "_scheduled", "_timers", "_wake", "address",
        "busy", "env", "handler", "host", "inbox", "machine", "name", "on_call", "on_message", "out", "process",
        "stopped",
    )  # fmt: skip

    def __init__(self, host: Host, name: str, machine: Machine) -> None:
        self.host = host
        self.env = host.env
        self.name = name
        self.address = Address(host.name, name)
        self.machine = machine
        self.on_message = machine.on_message
        self.on_call = machine.on_call
        self.out = DriverOutbox(self)
        self.inbox: deque[tuple[Any, tuple[Any, ...], int]] = deque()
        self.busy = False
        self.stopped = False
        self.handler: Generator[Any, Any, Any] | None = None
        self._beside: dict[_Beside, None] = {}
        self._calls: dict[int, tuple[simpy.Event, str]] = {}
        self._timers: dict[Any, Timer] = {}
        self._rung: dict[Any, Timer] = {}  # rang while the inbox was closed
        self._scheduled: dict[Any, Micros] = {}
        self._heap: list[tuple[Micros, int, Any]] = []
        self._order = count()
        self._pending: list[Micros] = []  # SimPy timeouts under way, the next one last
        self._wake = simpy.Event(self.env)
        self.process = self.env.process(self._carry())

    # -- stimuli --
    def serve(self, stimulus: Callable[..., Handler], args: tuple[Any, ...], cause: int) -> None:
        """Hand a stimulus to the machine, now or when its main handler has ended."""
        if self.busy:
            self.inbox.append((stimulus, args, cause))
            return
        out = self.out
        out.now = self.env.now
        out.cause = cause
        try:
            handler = stimulus(*args, out)
        except Panic as panic:
            self.host.panic(panic, out.cause)
            return
        if handler is not None:
            event = self.advance(handler, None)
            if event is not None:
                self.busy = True
                self.handler = handler
                self._wake.succeed((handler, event, out.cause))

    def _carry(self) -> Generator[simpy.Event, Any, None]:
        """The machine's process: carries handlers that wait, then serves what arrived meanwhile."""
        while True:
            handler, event, cause = yield self._wake
            self._wake = simpy.Event(self.env)
            while event is not None:
                value = yield event
                if self.stopped:
                    return
                self.out.cause = getattr(event, "cause", 0) or cause
                event = self.advance(handler, value)
                cause = self.out.cause
            if self.stopped:  # by its own handler
                return
            self.busy = False
            self.handler = None
            while self.inbox and not self.busy and not self.stopped:
                self.serve(*self.inbox.popleft())

    def advance(self, handler: Generator[Any, Any, Any], value: Any) -> simpy.Event | None:
        """Resume a handler until it waits again: the event it waits for, or None at its end."""
        self.out.now = self.env.now
        try:
            effect = handler.throw(value.error) if type(value) is Failure else handler.send(value)
        except StopIteration:
            return None
        except LeadershipLost:
            return None  # what was under way ends here; the components are about to be stopped
        except ApiError as error:
            raise AssertionError(f"{self.address}: a handler did not catch {error}") from error
        except Panic as panic:
            self.host.panic(panic, self.out.cause)
            return None
        try:
            return self.host.performers[type(effect)](self, effect)
        except Panic as panic:  # of a machine that the performer belongs to
            self.host.panic(panic, self.out.cause)
            return None

    def beside(self, handler: Generator[Any, Any, Any]) -> None:
        cause = self.out.cause
        event = self.advance(handler, None)
        if event is not None:
            carrier = _Beside(self, handler, self.out.cause)
            self._beside[carrier] = None
            carrier.wait(event)
        self.out.cause = cause

    def lost(self, node: str, cause: int) -> None:
        """Calls to `node` fail at once; then the machine is told."""
        for id, (_, dst) in list(self._calls.items()):
            if dst == node and id in self._calls:
                self.answered(id, Failure(ApiError("Unavailable", f"connection error: reset by {node}")), cause)
        if type(self.machine).on_lost is not Machine.on_lost and not self.stopped:
            self.serve(self.machine.on_lost, (node,), cause)

    # -- calls --
    def request(self, request: Request) -> simpy.Event:
        id = next(self.host.call_ids)
        event = simpy.Event(self.env)
        self._calls[id] = (event, request.dst.node)
        now = self.env.now
        call = Call(self.address, id, request.request, now + request.timeout, request.dst.machine)
        self.set_timer(_Deadline(id), request.timeout, request.dst.node)
        packet = Packet(self.address, request.dst, CALL, call, self.out.cause, now)
        self.host.network.carry(packet, STREAM)
        return event

    def answered(self, id: int, value: Any, cause: int) -> None:
        pending = self._calls.pop(id, None)
        if pending is None:
            return  # too late: the caller has given up
        self._timers.pop(_Deadline(id), None)
        fire(pending[0], value, cause)

    # -- timers: deadlines. SimPy cannot cancel, so a timeout that has become too early rings and is armed again --
    def set_timer(self, name: Any, delay: Micros, awaits: str | None) -> None:
        now = self.env.now
        when = now + delay
        self._timers[name] = (when, self.out.cause, awaits, now)
        self._rung.pop(name, None)
        scheduled = self._scheduled.get(name)
        if scheduled is None or when < scheduled:
            self._schedule(when, name)
            self._arm(when)

    def cancel_timer(self, name: Any) -> None:
        self._timers.pop(name, None)
        self._rung.pop(name, None)

    def _schedule(self, when: Micros, name: Any) -> None:
        self._scheduled[name] = when
        heappush(self._heap, (when, next(self._order), name))

    def _arm(self, when: Micros) -> None:
        """See to it that a timeout rings by `when`: a new one only where all that are under way ring later."""
        pending = self._pending
        if pending and pending[-1] <= when:
            return
        pending.append(when)
        timeout = simpy.Timeout(self.env, when - self.env.now)
        timeout.callbacks.append(self._ring)

    def _ring(self, event: simpy.Event) -> None:
        if self.stopped:
            return
        self._pending.pop()
        now = self.env.now
        heap = self._heap
        while heap and heap[0][0] <= now:
            when, _, name = heappop(heap)
            if self._scheduled.get(name) != when:
                continue  # it was moved to an earlier time
            del self._scheduled[name]
            timer = self._timers.get(name)
            if timer is None:
                continue  # it was cancelled
            if timer[0] > now:
                self._schedule(timer[0], name)  # it was moved to a later time
                continue
            del self._timers[name]
            if not self._rang(name, timer):
                return
        if heap:
            self._arm(heap[0][0])

    def _rang(self, name: Any, timer: Timer) -> bool:
        """Serve it; False when that stopped this driver."""
        _, cause, awaits, since = timer
        if awaits is not None:
            cause = self.host.network.silenced(awaits, self.host.name, since) or cause
        if type(name) is _Deadline:
            pending = self._calls.pop(name.id, None)
            if pending is not None:
                fire(pending[0], Failure(ApiError("DeadlineExceeded", "context deadline exceeded")), cause)
        elif self.busy:
            self._rung[name] = timer
            self.inbox.append((self._late, (name, timer), cause))
        else:
            self.serve(self.machine.on_timer, (name,), cause)
        return not self.stopped

    def _late(self, name: Any, timer: Timer, out: DriverOutbox) -> Handler:
        """Serve a timer that rang while the inbox was closed, unless it was set again or cancelled since."""
        if self._rung.get(name) is not timer:
            return None
        del self._rung[name]
        return self.machine.on_timer(name, out)

    def stop(self) -> None:
        """No more stimuli, no more effects; what waits is closed where it stands."""
        self.stopped = True
        self.busy = True  # nothing is served any more
        self.inbox.clear()
        self._timers.clear()
        self._rung.clear()
        self._calls.clear()
        if self.handler is not None:
            _close(self.handler)
        for carrier in self._beside:
            _close(carrier.handler)
        self._beside.clear()


def _close(handler: Generator[Any, Any, Any]) -> None:
    # A handler may halt its own machine; it is running, so it ends by itself.
    if not handler.gi_running:  # type: ignore[attr-defined]
        handler.close()


class _Deadline(NamedTuple):
    """Timer name of a call's deadline."""

    id: int


class _Beside:
    """A handler that waits beside the others, resumed by callbacks."""

    __slots__ = ("cause", "driver", "handler")

    def __init__(self, driver: Driver, handler: Generator[Any, Any, Any], cause: int) -> None:
        self.driver = driver
        self.handler = handler
        self.cause = cause

    def wait(self, event: simpy.Event | None) -> None:
        while event is not None:
            if not event.processed:
                event.callbacks.append(self.resume)
                return
            event = self._go_on(event)  # it has fired already
        self.driver._beside.pop(self, None)

    def resume(self, event: simpy.Event) -> None:
        if not self.driver.stopped:
            self.wait(self._go_on(event))

    def _go_on(self, event: simpy.Event) -> simpy.Event | None:
        driver = self.driver
        before = driver.out.cause
        driver.out.cause = getattr(event, "cause", 0) or self.cause
        following = driver.advance(self.handler, event._value)
        self.cause = driver.out.cause
        driver.out.cause = before
        return following


class DriverOutbox(Outbox):
    """The real outbox: effects happen."""

    __slots__ = ("_rng", "address", "cause", "driver", "env", "host", "network", "now", "trace")

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.host = driver.host
        self.env = driver.env
        self.network = driver.host.network
        self.trace = driver.host.trace
        self.address = driver.address
        self.now = driver.env.now
        self.cause = 0
        self._rng: Random | None = None

    @property
    def rng(self) -> Random:  # type: ignore[override]
        if self._rng is None:
            self._rng = self.host.stream(self.driver.name)
        return self._rng

    def send(self, dst: Address, message: Any, transport: Transport = STREAM) -> None:
        self.network.carry(Packet(self.address, dst, MESSAGE, message, self.cause, self.now), transport)

    def tell(self, machine: str, message: Any) -> None:
        if machine in self.host.drivers:
            self.send(Address(self.address.node, machine), message)

    def reply(self, call: Call, response: Any) -> None:
        self.host.answer(self.address, call, response, self.cause)

    def fail(self, call: Call, error: Exception) -> None:
        self.host.answer(self.address, call, Failure(error), self.cause)

    def set_timer(self, name: Any, delay: Micros, awaits: str | None = None) -> None:
        self.driver.set_timer(name, delay, awaits)

    def cancel_timer(self, name: Any) -> None:
        self.driver.cancel_timer(name)

    def emit(self, event: Any) -> int:
        self.cause = seq = self.trace.record(event, self.now, self.cause)
        return seq

    def count(self, kind: str) -> None:
        self.trace.note(kind, self.now, self.address.node)

    def start(self, handler: Handler) -> None:
        if handler is not None:
            self.driver.beside(handler)

    def spawn(self, name: str, machine: Machine, saved: Mapping[Any, Any] | None = None) -> None:
        self.host.spawn(name, machine, saved, self.cause)

    def halt(self, name: str) -> None:
        self.host.halt(name, self.cause)

    def save(self, writes: Mapping[Any, Any]) -> None:
        self.host.disk.store(self.driver.name, writes)

    def blame(self, node: str, since: Micros) -> None:
        self.cause = self.network.silenced(node, self.host.name, since) or self.cause

    def quiet(self, *nodes: str) -> bool:
        return self.network.quiet(self.host.name, *nodes)

    def stream(self, name: str) -> Random:
        return rng.stream(self.host.seed, name)


def performer(submit: Callable[..., None], payload: Callable[[Any], Any]) -> Performer:
    """A performer that hands (machine, payload, cause, done) to `submit`; the event fires when `done` is called.

    `done(result, error, cause)`: the handler is resumed with the result, or the error is raised in it.
    """

    def perform(driver: Driver, effect: Any) -> simpy.Event:
        event = simpy.Event(driver.env)

        def done(result: Any, error: Exception | None, cause: int) -> None:
            event.cause = cause  # type: ignore[attr-defined]
            event.succeed(result if error is None else Failure(error))

        submit(driver.name, payload(effect), driver.out.cause, done)
        return event

    return perform


def _persist(driver: Driver, effect: Persist) -> simpy.Event:
    disk = driver.host.disk
    if disk.full:
        return simpy.Event(driver.env).succeed(Failure(DiskFull()))
    return disk.write(driver.name, effect.writes)


def _sleep(driver: Driver, effect: Sleep) -> simpy.Event:
    return simpy.Timeout(driver.env, effect.duration)


def _request(driver: Driver, effect: Request) -> simpy.Event:
    return driver.request(effect)


#: Which every host performs; others are registered by the node's body.
EFFECTS: Mapping[type, Performer] = {Persist: _persist, Sleep: _sleep, Request: _request}

__all__ = ["EFFECTS", "Driver", "Failure", "Performer", "fire", "performer"]
