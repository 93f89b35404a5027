"""The contract between software and the world. Everybody reads this page first.

A *machine* is a piece of Docker's software (a Raft node, a scheduler, an agent): a plain object that takes
stimuli and gives effects through an `Outbox`. It knows no SimPy, no clock but `out.now`, no dice but
`out.rng`. One driver (`sim.driver`) owns each machine and makes its effects happen.

Stimuli are method calls; each may return a generator (a handler that waits):

    on_start(saved, out)          the machine begins; `saved` is what its disk holds (key -> value)
    on_message(src, message, out) a message arrived
    on_call(call, out)            a request arrived: answer with `out.reply(call, x)` or `out.fail(call, err)`
    on_timer(name, out)           a timer rang
    on_lost(node, out)            connections to `node` were reset

Effects that do not wait happen at once, in order: `send`, `reply`, `fail`, `set_timer`, `cancel_timer`,
`save`, `emit`, `start`, `spawn`, `halt`. Effects that wait are yielded, and the handler is resumed with the result:

    def on_call(self, call, out):
        service = yield out.update(lambda tx: tx.create(...))    # waits for the commit
        out.reply(call, service)                                 # so this is sent after it

Two rules make it sound. *Order is meaning*: what stands after a `yield out.persist(...)` happens when the disk has it,
so a crash in between loses the answer, as it should. *A handler runs alone until it waits*: while the main handler
waits, the machine's inbox stays closed. A handler begun with `out.start(...)` waits beside the others. Exceptions come
out of the `yield`: `ApiError` (also `LeadershipLost`) from `update` and `call`, `DiskFull` from `persist`.

A test drives a machine by hand with `RecordingOutbox`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from enum import Enum
from random import Random
from typing import Any, NamedTuple

Micros = int  # simulated microseconds; equal times are equal
SECOND: Micros = 1_000_000
MILLISECOND: Micros = 1_000

Handler = Generator[Any, Any, Any] | None


class Address(NamedTuple):
    """Where a machine lives: `m1/raft`, `w3/agent`. `node` is the host's name."""

    node: str
    machine: str

    def __str__(self) -> str:
        return f"{self.node}/{self.machine}"


class Transport(Enum):
    """`STREAM`: gRPC over TCP with mutual TLS (in order, resent, may be reset). `DATAGRAM`: UDP (gossip)."""

    STREAM = "stream"
    DATAGRAM = "datagram"


STREAM = Transport.STREAM
DATAGRAM = Transport.DATAGRAM


class Call(NamedTuple):
    """A request that awaits an answer. `deadline`: when the caller gives up (absolute micros).

    `service` is the machine that was addressed: a manager's proxy serves calls for machines that do not run there.
    """

    src: Address
    id: int
    request: Any
    deadline: Micros
    service: str


class DiskFull(Exception):
    """No space left on the device: comes out of the `yield` of a `persist`."""

    def __init__(self) -> None:
        super().__init__("no space left on device")


class Torn(NamedTuple):
    """Stands on a disk for a value of which only the beginning was written when the power went."""

    value: Any


class Garbled(NamedTuple):
    """Stands on a disk for a value that is not what was written there any more."""

    value: Any


# Effects that wait. A handler yields them; drivers know how to perform them.
class Persist(NamedTuple):
    """Write key -> value (None deletes) to this machine's disk and wait until it is durable."""

    writes: Mapping[Any, Any]


class Request(NamedTuple):
    """Send a request and wait for the answer; raises `ApiError` (Unavailable, DeadlineExceeded, the callee's)."""

    dst: Address
    request: Any
    timeout: Micros


class Update(NamedTuple):
    """Run `change(tx)` as one store transaction and wait for its commit; the result is what `change` gave."""

    change: Callable[[Any], Any]


class Batch(NamedTuple):
    """Run each of `changes` in order, packed into transactions of at most 200 changes (memory.go `Batch`).

    The result is a list with, for each change, None or the exception that it raised.
    """

    changes: list[Callable[[Any], Any]]


class Execute(NamedTuple):
    """Ask the node's container engine (or another performer registered by `node.body`) to do something."""

    command: Any


class Sleep(NamedTuple):
    duration: Micros


class Machine:
    """Base of all machines; a stimulus that a machine does not care for is ignored."""

    def on_start(self, saved: Mapping[Any, Any], out: Outbox) -> Handler:
        return None

    def on_message(self, src: Address, message: Any, out: Outbox) -> Handler:
        raise NotImplementedError(f"{type(self).__name__} got {message!r} from {src}")

    def on_call(self, call: Call, out: Outbox) -> Handler:
        raise NotImplementedError(f"{type(self).__name__} got {call.request!r} from {call.src}")

    def on_timer(self, name: Any, out: Outbox) -> Handler:
        raise NotImplementedError(f"{type(self).__name__} has no timer {name!r}")

    def on_lost(self, node: str, out: Outbox) -> Handler:
        return None

    def on_stop(self, out: Outbox) -> None:
        """Told just before the machine is halted in good order (not when its host crashes)."""


class Outbox:
    """What a machine may do. The driver's implementation is `sim.driver.DriverOutbox`."""

    now: Micros
    """The host's clock."""
    cause: int
    """`seq` of the latest recorded event in the chain that led here; emitted events and messages carry it."""
    rng: Random
    """This machine's own random stream."""
    address: Address

    # -- effects that happen at once --
    def send(self, dst: Address, message: Any, transport: Transport = STREAM) -> None:
        """Send and forget. Nothing tells the sender that it was lost."""
        raise NotImplementedError

    def tell(self, machine: str, message: Any) -> None:
        """Send to a machine of this host if it runs; else nothing happens."""
        raise NotImplementedError

    def reply(self, call: Call, response: Any) -> None:
        raise NotImplementedError

    def fail(self, call: Call, error: Exception) -> None:
        raise NotImplementedError

    def set_timer(self, name: Any, delay: Micros, awaits: str | None = None) -> None:
        """Ring `name` after `delay`; setting it again moves it. `awaits` names the node whose silence it measures."""
        raise NotImplementedError

    def cancel_timer(self, name: Any) -> None:
        raise NotImplementedError

    def emit(self, event: Any) -> int:
        """Record a fact; returns its `seq`, which becomes `cause` for what follows in this handler."""
        raise NotImplementedError

    def count(self, kind: str) -> None:
        """Count something too frequent to record."""
        raise NotImplementedError

    def start(self, handler: Handler) -> None:
        """Carry `handler` beside the others."""
        raise NotImplementedError

    def spawn(self, name: str, machine: Machine, saved: Mapping[Any, Any] | None = None) -> None:
        """Start another machine on this host (a manager's leader-only components)."""
        raise NotImplementedError

    def halt(self, name: str) -> None:
        """Stop a machine of this host; handlers of it that wait are closed."""
        raise NotImplementedError

    def save(self, writes: Mapping[Any, Any]) -> None:
        """Write to this machine's disk without waiting: a small database whose syncs are not modelled in time."""
        raise NotImplementedError

    def blame(self, node: str, since: Micros) -> None:
        """Set `cause` to the event that silenced `node` (crash, fault, dropped message) since then, if any."""
        raise NotImplementedError

    def quiet(self, *nodes: str) -> bool:
        """Are this host and `nodes` up, and all ways between them free of faults, so that an exchange must succeed?

        Machines skip healthy heartbeats and probes while it is so; the network tells them `Disturbed` when it may
        be so no longer. Always False in a run with `probes: exact`.
        """
        raise NotImplementedError

    def stream(self, name: str) -> Random:
        """A fresh random stream of that name; two machines that ask for one name draw the same numbers."""
        raise NotImplementedError

    # -- effects that wait: yield what these return --
    def persist(self, writes: Mapping[Any, Any]) -> Persist:
        return Persist(writes)

    def call(self, dst: Address, request: Any, timeout: Micros) -> Request:
        return Request(dst, request, timeout)

    def update(self, change: Callable[[Any], Any]) -> Update:
        return Update(change)

    def batch(self, changes: list[Callable[[Any], Any]]) -> Batch:
        return Batch(changes)

    def execute(self, command: Any) -> Execute:
        return Execute(command)

    def sleep(self, duration: Micros) -> Sleep:
        return Sleep(duration)


class Disturbed(NamedTuple):
    """Message to machines that sleep while all is quiet: a rule, a host or a queue has changed."""

    node: str  # "" when it concerns all


class RecordingOutbox(Outbox):
    """A fake for tests of one machine: what it did, in order, in `effects`."""

    def __init__(self, address: Address = Address("m1", "test"), now: Micros = 0, seed: int = 0) -> None:  # noqa: B008
        self.address = address
        self.now = now
        self.cause = 0
        self.rng = Random(seed)
        self.effects: list[tuple[Any, ...]] = []
        self.events: list[Any] = []
        self.timers: dict[Any, Micros] = {}
        self.started: list[Handler] = []
        self.disturbed: set[str] = set()
        self.counts: dict[str, int] = {}

    def send(self, dst: Address, message: Any, transport: Transport = STREAM) -> None:
        self.effects.append(("send", dst, message))

    def tell(self, machine: str, message: Any) -> None:
        self.effects.append(("tell", machine, message))

    def reply(self, call: Call, response: Any) -> None:
        self.effects.append(("reply", call, response))

    def fail(self, call: Call, error: Exception) -> None:
        self.effects.append(("fail", call, error))

    def set_timer(self, name: Any, delay: Micros, awaits: str | None = None) -> None:
        self.timers[name] = self.now + delay

    def cancel_timer(self, name: Any) -> None:
        self.timers.pop(name, None)

    def emit(self, event: Any) -> int:
        self.events.append(event)
        self.cause += 1
        return self.cause

    def count(self, kind: str) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + 1

    def start(self, handler: Handler) -> None:
        self.started.append(handler)

    def spawn(self, name: str, machine: Machine, saved: Mapping[Any, Any] | None = None) -> None:
        self.effects.append(("spawn", name, machine))

    def halt(self, name: str) -> None:
        self.effects.append(("halt", name))

    def save(self, writes: Mapping[Any, Any]) -> None:
        self.effects.append(("save", dict(writes)))

    def blame(self, node: str, since: Micros) -> None:
        self.effects.append(("blame", node, since))

    def quiet(self, *nodes: str) -> bool:
        return "" not in self.disturbed and self.disturbed.isdisjoint(nodes)

    def stream(self, name: str) -> Random:
        return Random(name)
