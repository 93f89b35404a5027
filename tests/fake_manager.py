"""A leader without a cluster: machines, one store, a virtual clock, and commits that take `commit_latency`.

What `sim.driver` and `manager.proposer` do for a real run, in one page, for tests of leader-only machines: a
transaction is run on the store, applied at the next index, and told to every machine as one `Committed`
message. Machines are served in the order in which they were added; a machine whose main handler waits keeps
its inbox closed; handlers begun with `out.start` wait beside it.

    manager = FakeManager()
    manager.create(node, service)
    manager.add_machine(Scheduler("m1", manager.store))
    manager.run(SECOND)
    assert manager.store.tasks["t1"].node_id == "w1"
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any

from swarmsim.api.messages import Committed
from swarmsim.api.objects import Node, Service, Task
from swarmsim.errors import ApiError
from swarmsim.machine import (
    Address,
    Batch,
    Call,
    Execute,
    Machine,
    Micros,
    Outbox,
    Persist,
    Request,
    Sleep,
    Update,
)
from swarmsim.store import MemoryStore, Transaction
from swarmsim.trace.recorder import Trace

MAX_CHANGES_PER_TRANSACTION = 200  # manager/state/store/memory.go


class Promise:
    """What `on_request` or `on_execute` may return: the answer comes when the test keeps it."""

    def __init__(self) -> None:
        self._then: Callable[[Any], None] | None = None
        self._kept: list[Any] = []

    def keep(self, value: Any = None) -> None:
        """Resume the handler with `value`, or raise it there if it is an exception."""
        if self._then is None:
            self._kept.append(value)
        else:
            then, self._then = self._then, None
            then(value)

    def resume(self, then: Callable[[Any], None]) -> None:
        if self._kept:
            then(self._kept.pop())
        else:
            self._then = then


class FakeOutbox(Outbox):
    """Effects that do not wait, performed on the fake manager."""

    def __init__(self, manager: FakeManager, name: str, machine: Machine, seed: int) -> None:
        self.manager = manager
        self.machine = machine
        self.address = Address(manager.node, name)
        self.cause = 0
        self.rng = manager.stream_of(name, seed)
        self.inbox: deque[tuple[Any, ...]] = deque()
        self.waiting = False
        self.timers: dict[Any, int] = {}
        self.rings = 0

    @property
    def now(self) -> Micros:  # type: ignore[override]
        return self.manager.now

    def send(self, dst: Address, message: Any, transport: Any = None) -> None:
        self.manager.sent.append((self.address, dst, message))

    def reply(self, call: Call, response: Any) -> None:
        self.manager.answers[call.id] = response

    def fail(self, call: Call, error: Exception) -> None:
        self.manager.answers[call.id] = error

    def set_timer(self, name: Any, delay: Micros, awaits: str | None = None) -> None:
        self.rings += 1
        self.timers[name] = self.rings
        self.manager.at(self.now + delay, lambda ring=self.rings: self._ring(name, ring))

    def cancel_timer(self, name: Any) -> None:
        self.timers.pop(name, None)

    def _ring(self, name: Any, ring: int) -> None:
        if self.timers.get(name) == ring:
            del self.timers[name]
            self.inbox.append(("timer", name))
            self.manager.serve(self)

    def emit(self, event: Any) -> int:
        self.cause = self.manager.trace.record(event, self.now, self.cause)
        return self.cause

    def count(self, kind: str) -> None:
        self.manager.trace.note(kind, self.now)

    def start(self, handler: Any) -> None:
        if handler is not None:
            self.manager.carry(self, handler, main=False)

    def spawn(self, name: str, machine: Machine, saved: Any = None) -> None:
        self.manager.add_machine(machine, name)

    def halt(self, name: str) -> None:
        self.manager.stop(name)

    def quiet(self, *nodes: str) -> bool:
        return not self.manager.disturbed

    def stream(self, name: str) -> Random:
        return Random(name)

    def tell(self, machine: str, message: Any) -> None:
        if machine in self.manager.machines:
            self.manager.send(machine, message, self.address)

    def save(self, writes: Any) -> None:
        self.manager.saved.setdefault(self.address.machine, {}).update(writes)

    def blame(self, node: str, since: Micros) -> None:
        pass


class FakeManager:
    """Runs machines over one store. `interfere(tx)` is run, once, as a commit of its own before the next proposal."""

    def __init__(self, store: MemoryStore | None = None, seed: int = 0, commit_latency: Micros = 0) -> None:
        self.node = "m1"
        self.store = store or MemoryStore()
        self.seed = seed
        self.commit_latency = commit_latency
        self.now: Micros = 0
        self.trace = Trace()
        self.machines: dict[str, FakeOutbox] = {}
        self._streams: dict[str, Random] = {}
        self.sent: list[tuple[Address, Address, Any]] = []
        self.answers: dict[int, Any] = {}
        self.commits: list[tuple[Micros, tuple[Any, ...]]] = []  # (when, changes) of each commit
        self.interfere: Callable[[Transaction], Any] | None = None
        self.on_request: Callable[[Request], Any] | None = None
        self.on_execute: Callable[[Execute], Any] | None = None
        self.disturbed = False  # what `out.quiet` denies
        self.saved: dict[str, dict[Any, Any]] = {}  # by machine: what it wrote to its disk
        self._agenda: list[tuple[Micros, int, Callable[[], Any]]] = []
        self._count = 0
        self._waiting_for_lock: deque[Callable[[], Any]] = deque()
        self._locked = False
        self._calls = 0
        self._ready: deque[Callable[[], Any]] = deque()
        self._draining = False

    # -- what a test does --
    def add_machine(self, machine: Machine, name: str | None = None, saved: Any = None) -> FakeOutbox:
        """Start `machine` now, with what its disk holds; by default it is named after its class, in lower case."""
        name = name or type(machine).__name__.lower()
        out = FakeOutbox(self, name, machine, self.seed)
        self.machines[name] = out
        out.inbox.append(("start", saved or {}))
        self.serve(out)
        return out

    def stream_of(self, name: str, seed: int) -> Random:
        """A machine's random stream goes on over restarts of the machine."""
        return self._streams.setdefault(name, Random(f"{seed}/{name}"))

    def stop(self, name: str) -> None:
        out = self.machines.pop(name)
        out.timers.clear()
        out.inbox.clear()
        out.machine.on_stop(out)

    def at(self, when: Micros, action: Callable[[], Any]) -> None:
        """Do `action` at `when`."""
        self._count += 1
        heapq.heappush(self._agenda, (when, self._count, action))

    def run(self, until: Micros) -> None:
        """Let virtual time pass until `until` (absolute), included."""
        while self._agenda and self._agenda[0][0] <= until:
            self.now, _, action = heapq.heappop(self._agenda)
            self._soon(action)
        self.now = max(self.now, until)

    def run_for(self, duration: Micros) -> None:
        self.run(self.now + duration)

    def commit(self, change: Callable[[Transaction], Any], cause: int = 0) -> Any:
        """A transaction by somebody else, committed at once (a test with latency keeps clear of other commits)."""
        assert not self._locked, "a commit is under way"
        tx = Transaction(self.store, self.now, cause)
        result = change(tx)
        self._apply(tx)
        return result

    def create(self, *objects: Any) -> None:
        """Store these objects in one commit."""
        self.commit(lambda tx: [tx.create(o) for o in objects])

    def write(self, *objects: Any) -> None:
        """Update these objects in one commit, whatever version they carry."""
        self.commit(lambda tx: [tx.update(o.evolve(version=tx.get(type(o), o.id).version)) for o in objects])

    def delete(self, *objects: Any) -> None:
        """Remove these objects in one commit."""
        self.commit(lambda tx: [tx.delete(type(o), o.id) for o in objects])

    @property
    def busy(self) -> bool:
        """Is a commit under way, or does a writer wait for the lock?"""
        return self._locked or bool(self._waiting_for_lock)

    def task(self, id: str) -> Task:
        return self.store.tasks[id]

    def service(self, id: str) -> Service:
        return self.store.services[id]

    def node_object(self, id: str) -> Node:
        return self.store.nodes[id]

    def request(self, name: str, request: Any, src: Address = Address("client", "test")) -> int:  # noqa: B008
        """Call machine `name`; the answer appears in `answers` under the returned id."""
        self._calls += 1
        out = self.machines[name]
        call = Call(src, self._calls, request, self.now + 10**9, name)
        out.inbox.append(("call", call))
        self.serve(out)
        return self._calls

    def send(self, name: str, message: Any, src: Address | None = None) -> None:
        out = self.machines[name]
        out.inbox.append(("message", message, src or Address(self.node, "store")))
        self.serve(out)

    def events(self, *kinds: type) -> list[Any]:
        """What was emitted, of these classes, in order."""
        return [r.event for r in self.trace if not kinds or type(r.event) in kinds]

    # -- the machinery --
    def serve(self, out: FakeOutbox) -> None:
        """Let `out` take what is in its inbox, now or when what runs at present is done."""
        self._soon(lambda: self._serve(out))

    def carry(self, out: FakeOutbox, handler: Any, main: bool) -> None:
        """Run a handler to its end or its next wait."""
        if main:
            out.waiting = True
        cause = out.cause
        self._soon(lambda: self._resume(out, handler, main, None, cause))

    def _soon(self, action: Callable[[], Any]) -> None:
        self._ready.append(action)
        if self._draining:
            return
        self._draining = True
        try:
            while self._ready:
                self._ready.popleft()()
        finally:
            self._draining = False

    def _alive(self, out: FakeOutbox) -> bool:
        return self.machines.get(out.address.machine) is out

    def _serve(self, out: FakeOutbox) -> None:
        while out.inbox and not out.waiting and self._alive(out):
            kind, *rest = out.inbox.popleft()
            out.cause = 0
            handler: Any
            if kind == "start":
                handler = out.machine.on_start(rest[0], out)
            elif kind == "timer":
                handler = out.machine.on_timer(rest[0], out)
            elif kind == "call":
                handler = out.machine.on_call(rest[0], out)
            else:
                src = rest[1] if len(rest) > 1 else Address(self.node, "store")
                handler = out.machine.on_message(src, rest[0], out)
            if handler is not None:
                self.carry(out, handler, main=True)

    def _resume(self, out: FakeOutbox, handler: Any, main: bool, result: Any, cause: int) -> None:
        if not self._alive(out):
            handler.close()
            return
        out.cause = cause
        try:
            effect = handler.throw(result) if isinstance(result, Exception) else handler.send(result)
        except StopIteration:
            if main:
                out.waiting = False
                self._serve(out)
            return
        cause = out.cause
        self._perform(out, effect, lambda value: self._soon(lambda: self._resume(out, handler, main, value, cause)))

    def _perform(self, out: FakeOutbox, effect: Any, resume: Callable[[Any], None]) -> None:
        if isinstance(effect, Sleep):
            self.at(self.now + effect.duration, lambda: resume(None))
        elif isinstance(effect, Update):
            self._propose([effect.change], out.cause, lambda results: resume(results[0][1]))
        elif isinstance(effect, Batch):
            self._propose(effect.changes, out.cause, lambda results: resume([r[0] for r in results]))
        elif isinstance(effect, Persist):
            resume(None)
        elif isinstance(effect, Request):
            assert self.on_request is not None, f"nobody answers {effect.request!r}"
            _answer(self.on_request(effect), resume)
        else:
            assert isinstance(effect, Execute), f"cannot perform {effect!r}"
            assert self.on_execute is not None, f"nobody executes {effect.command!r}"
            _answer(self.on_execute(effect), resume)

    def _propose(self, changes: list[Callable[[Any], Any]], cause: int, done: Callable[[list[Any]], None]) -> None:
        """One transaction for each 200 changes; writers queue for the store's lock. `done` gets (error, result)s."""
        results: list[tuple[Exception | None, Any]] = []

        def next_transaction() -> None:
            if len(results) == len(changes):
                done(results)
            else:
                self._with_lock(transact)

        def transact() -> None:
            if self.interfere is not None:
                change, self.interfere = self.interfere, None
                self.commit(change)
            self._locked = True  # while it runs, too: what a change starts must wait for the commit
            tx = Transaction(self.store, self.now, cause)
            while len(results) < len(changes) and len(tx.actions) < MAX_CHANGES_PER_TRANSACTION:
                results.append(_attempt(changes[len(results)], tx))
            if len(changes) == 1 and results[0][0] is not None:
                tx.actions.clear()  # a transaction that fails leaves nothing
            self._take_time(tx, next_transaction)

        next_transaction()

    def _with_lock(self, action: Callable[[], Any]) -> None:
        if self._locked or self._waiting_for_lock:
            self._waiting_for_lock.append(action)
        else:
            action()

    def _take_time(self, tx: Transaction, then: Callable[[], None]) -> None:
        if tx.actions and self.commit_latency:
            self.at(self.now + self.commit_latency, lambda: self._unlock(tx, then))
        else:
            self._unlock(tx, then)

    def _unlock(self, tx: Transaction, then: Callable[[], None]) -> None:
        self._locked = False
        self._apply(tx)
        self._soon(then)  # not at once: a long batch must not pile up calls
        self._soon(self._next_writer)

    def _next_writer(self) -> None:
        while self._waiting_for_lock and not self._locked:
            self._waiting_for_lock.popleft()()

    def _apply(self, tx: Transaction) -> None:
        if not tx.actions:
            return
        changes = tuple(self.store.apply(tx.actions, self.store.index + 1))
        self.commits.append((self.now, changes))
        message = Committed(self.store.index, changes)
        for out in self.machines.values():
            if type(out.machine).on_message is Machine.on_message:
                continue  # it watches nothing
            out.inbox.append(("message", message))
            self.serve(out)


def _answer(value: Any, resume: Callable[[Any], None]) -> None:
    if isinstance(value, Promise):
        value.resume(resume)
    else:
        resume(value)


def _attempt(change: Callable[[Any], Any], tx: Transaction) -> tuple[Exception | None, Any]:
    """Run one change. Only the store's and the API's errors are results; anything else is a bug and is raised."""
    try:
        return None, change(tx)
    except ApiError as error:
        return error, error
