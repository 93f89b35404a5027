"""The timeline of a run: a SimPy process for each entry, and the client that creates the services at 0s.

An entry waits for its anchor and its moment, finds its targets *then*, and begins: a fault is active while its `for`
lasts, a step is over when it was answered. What cannot begin is told by `EntryNotFired`, never passed over in silence.

Order within a microsecond (SCENARIOS.md section 3): entries that end, entries that begin, both in file order, then all
else. SimPy sorts events of one time by priority, then by order of scheduling; entries get priorities below SimPy's own.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

import simpy

from ..api.values import format_duration
from ..faults.base import Fault, Hit
from ..sim import rng
from ..sim.clock import Clock
from ..trace.events import DrawMade, EntryNotFired
from ..workload.base import Book, Order, Step
from ..workload.create import Create, CreateObject
from .deploys import at_first
from .moments import STEADY, Moment
from .schema import Entry
from .selectors import NoMatch, resolve_nodes, resolve_tasks

if TYPE_CHECKING:
    from ..cluster import Cluster
    from .loader import Scenario

Micros = int
Life = Generator[simpy.Event, Any, None]

# Priorities within a microsecond; SimPy's are 0 and 1. An anchor that came wakes those who wait for it at once.
ANCHOR, END, BEGIN = -3_000_000, -2_000_000, -1_000_000
LATE = 9  # after all else of the microsecond


def trigger(env: Clock, event: simpy.Event, priority: int, delay: Micros = 0, value: Any = None) -> None:
    """Let `event` happen at that priority; `Event.succeed` knows only SimPy's own."""
    event._ok = True
    event._value = value
    env.schedule(event, priority, delay)  # type: ignore[arg-type]


class Fate:
    """What became of one entry in this run."""

    __slots__ = ("begun", "begun_at", "ended", "ended_at", "entry", "reason")

    def __init__(self, env: Clock, entry: Entry) -> None:
        self.entry = entry
        self.begun = simpy.Event(env)
        self.ended = simpy.Event(env)
        self.begun_at: Micros | None = None
        self.ended_at: Micros | None = None
        self.reason = ""  # why it did not fire

    @property
    def over(self) -> bool:
        """Ended, not fired, or a fault that lasts to the end of the run."""
        return bool(self.reason) or self.ended_at is not None or (self.begun_at is not None and not self.entry.ends)


class Waiting(Protocol):
    """Who looks whether conditions hold (`scenario.triggers`)."""

    def wait(self, entry: Entry) -> simpy.Event: ...

    def give_up(self, bound: str) -> None: ...


class Timeline:
    """All entries of one run."""

    def __init__(self, scenario: Scenario, cluster: Cluster, seed: int) -> None:
        self.scenario = scenario
        self.cluster = cluster
        self.env = cluster.env
        self.trace = cluster.trace
        self.seed = seed
        self.book = Book(dict(scenario.services), scenario.stack, deploys=scenario.deploys)
        self.lives = {entry.label: Fate(self.env, entry) for entry in scenario.timeline}
        self.targets: dict[str, tuple[str, ...]] = {}
        self.steady = simpy.Event(self.env)
        self.steady_at: Micros | None = None
        self.created = False  # all that is created at 0s was answered
        self.created_at: Micros = 0
        self.changed: list[Callable[[], None]] = []  # told whenever an entry begins, ends or is given up
        self.triggers: Waiting | None = None
        self._holds: dict[str, int] = {}

    def start(self) -> None:
        """At 0s: what is created is sent before any entry begins; processes start in the order of their making."""
        later = set(self.scenario.later)
        first = at_first(self.scenario.stack, self.scenario.deploys)
        objects = [(CreateObject(create=spec), spec.name) for spec in first]
        services = [(Create(create=name), name) for name in self.book.services if name not in later]
        now, then = (objects, services) if objects else (services, [])
        sent = [self.env.process(self._order(*order)) for order in now]
        self.env.process(self._create(sent, then))
        for entry in self.scenario.timeline:
            self.env.process(self._live(entry))

    # -- what is created at 0s --
    def _create(self, sent: list[simpy.Process], then: Sequence[tuple[Step, str]]) -> Life:
        """Networks, secrets and configs, then services, each in file order: as `docker stack deploy` sends them."""
        yield self.env.all_of(sent)
        yield self.env.all_of([self.env.process(self._order(*order)) for order in then])
        self.created = True
        self.created_at = self.env.now
        self._tell()

    def _order(self, step: Step, name: str) -> Generator[Any, Any, Any]:
        return step.carry_out(self.cluster, Order("", (name,), book=self.book))

    # -- one entry --
    def _live(self, entry: Entry) -> Life:
        life = self.lives[entry.label]
        dice = rng.stream(self.seed, "entry", entry.stream)
        draws: list[tuple[str, str]] = []
        offset = self._draw(dice, "at", entry.at.low, entry.at.high, draws)
        since = yield from self._anchor(entry.at)
        if isinstance(since, str):
            self._not_fired(life, since)
            return
        offset += since
        if entry.when is not None:
            reason = yield from self._condition(entry, offset)
            if reason:
                self._not_fired(life, reason)
                return
            offset = self.env.now + self._draw(dice, "wait", *entry.wait, draws)
        when, last = offset, self.scenario.duration
        if last is not None and when > last:
            self._not_fired(life, f"its moment, {format_duration(when)}, is after the end of the run")
            return
        yield self._at(when, BEGIN + entry.index)
        if life.reason:
            return
        try:
            begin = self._aim(entry, dice, draws)
        except NoMatch as reason:
            self._tell_draws(entry, draws)
            self._not_fired(life, f"{reason} at {format_duration(self.env.now)}")
            return
        self._tell_draws(entry, draws)
        yield from begin(life)

    def _condition(self, entry: Entry, since: Micros) -> Generator[simpy.Event, Any, str]:
        """Wait until what `when` says is so; "" then, else why it never will be."""
        if since > self.env.now:
            yield self._at(since, BEGIN + entry.index)
        assert self.triggers is not None, f"{entry.label} has a condition, and nobody looks"
        return str((yield self.triggers.wait(entry)) or "")

    def _anchor(self, moment: Moment) -> Generator[simpy.Event, Any, Micros | str]:
        """When the anchor came, or why it never will."""
        if moment.anchor is None:
            return 0
        if moment.anchor == STEADY:
            if self.steady_at is None:
                reason = yield self.steady
                if reason:
                    return str(reason)
            assert self.steady_at is not None, "steady came without a time"
            return self.steady_at
        assert moment.entry is not None
        life = self.lives[self.scenario.moments.find(moment.entry).label]
        event = life.ended if moment.at_end else life.begun
        if event.callbacks is not None:
            yield event
        if life.reason:
            return f"`{life.entry.label}` did not fire"
        at = life.ended_at if moment.at_end else life.begun_at
        assert at is not None, f"{moment} came without a time"
        return at

    def _at(self, when: Micros, priority: int) -> simpy.Event:
        event = simpy.Event(self.env)
        trigger(self.env, event, priority, when - self.env.now)
        return event

    def _draw(self, dice: Random, what: str, low: Micros, high: Micros, draws: list[tuple[str, str]]) -> Micros:
        if low == high:
            return low
        drawn = dice.randint(low, high)
        draws.append((what, format_duration(drawn)))
        return drawn

    def _tell_draws(self, entry: Entry, draws: list[tuple[str, str]]) -> None:
        for what, value in draws:
            self.trace.record(DrawMade(entry.label, what, value), self.env.now, 0)

    # -- targets, then the act --
    def _aim(self, entry: Entry, dice: Random, draws: list[tuple[str, str]]) -> Callable[[Fate], Life]:
        if isinstance(entry.what, Fault):
            hit = self._hit(entry, entry.what, dice, draws)
            unfit = entry.what.unfit(self.cluster, hit)
            if unfit:
                raise NoMatch(unfit)
            return lambda life: self._fault(life, hit)
        aim = entry.aims[entry.verb]
        kind = entry.what.aims[entry.verb]
        if kind in ("nodes", "host"):
            aimed = aim.names if kind == "host" else self._nodes(aim, dice, draws)
            self.targets[entry.label] = aimed
        else:
            aimed = (aim,)
        others = {key: self._nodes(aim, dice, draws) for key, aim in entry.aims.items() if key != entry.verb}
        order = Order(entry.label, aimed, entry.via, self.book, others=others)
        return lambda life: self._step(life, order)

    def _nodes(self, selector: Any, dice: Random, draws: list[tuple[str, str]]) -> tuple[str, ...]:
        names, drawn = resolve_nodes(selector, self.cluster, dice, self.targets)
        if drawn:
            draws.append(("target", ", ".join(names)))
        return names

    def _hit(self, entry: Entry, fault: Fault, dice: Random, draws: list[tuple[str, str]]) -> Hit:
        hit = Hit(entry.label, self.seed, holds=self._holds)
        if fault.aims[entry.verb] == "tasks":
            hit.tasks, drawn = resolve_tasks(entry.aims[entry.verb], self.cluster, dice)
            if drawn:
                draws.append(("target", ", ".join(name for _, _, name in hit.tasks)))
            self.targets[entry.label] = tuple(dict.fromkeys(node for node, _, _ in hit.tasks))
            return hit
        hit.nodes = self._nodes(entry.aims[entry.verb], dice, draws)
        if "peers" in fault.aims:
            hit.peers = self._peers(entry, hit.nodes, dice, draws)
        if fault.lasts is not None:
            hit.duration = self._draw(dice, "for", *fault.lasts, draws)
        self.targets[entry.label] = hit.nodes
        return hit

    def _peers(
        self, entry: Entry, nodes: tuple[str, ...], dice: Random, draws: list[tuple[str, str]]
    ) -> tuple[str, ...]:
        given = entry.aims.get("peers")
        peers = self._nodes(given, dice, draws) if given is not None else tuple(self.cluster.names)
        peers = tuple(name for name in peers if name not in nodes)
        if not peers:
            raise NoMatch("no node is on the other side")
        return peers

    def _fault(self, life: Fate, hit: Hit) -> Life:
        fault = life.entry.what
        assert isinstance(fault, Fault)
        with fault.active(self.cluster, hit):
            self._begun(life)
            if not fault.instant:
                if hit.duration is None:
                    yield simpy.Event(self.env)  # never happens
                else:
                    yield self._at(self.env.now + hit.duration, END + life.entry.index)
        self._ended(life)

    def _step(self, life: Fate, order: Order) -> Life:
        step = life.entry.what
        assert isinstance(step, Step)
        self._begun(life)
        yield from step.carry_out(self.cluster, order)
        self._ended(life)

    # -- what became of it --
    def _begun(self, life: Fate) -> None:
        life.begun_at = self.env.now
        trigger(self.env, life.begun, ANCHOR)
        self._tell()

    def _ended(self, life: Fate) -> None:
        life.ended_at = self.env.now
        trigger(self.env, life.ended, ANCHOR)
        self._tell()

    def _not_fired(self, life: Fate, reason: str) -> None:
        life.reason = reason
        self.trace.record(EntryNotFired(life.entry.label, reason), self.env.now, 0)
        if not life.begun.triggered:
            trigger(self.env, life.begun, ANCHOR)
            trigger(self.env, life.ended, ANCHOR)
        self._tell()

    def _tell(self) -> None:
        for told in self.changed:
            told()

    def reach_steady(self) -> None:
        self.steady_at = self.env.now
        trigger(self.env, self.steady, ANCHOR)
        self._tell()

    def give_up_steady(self, reason: str) -> None:
        """The bound of convergence is over: who waits for `steady` waits in vain."""
        if not self.steady.triggered:
            trigger(self.env, self.steady, ANCHOR, value=reason)

    def close(self, at: Micros) -> None:
        """The run is over: what has not begun never will."""
        for life in self.lives.values():
            if life.begun_at is None and not life.reason:
                anchor = life.entry.at.anchor
                when = life.entry.when
                life.reason = (
                    f"`when: {when.text}` never came"
                    if when is not None
                    else f"`{anchor}` never came"
                    if anchor
                    else "the run ended before it"
                )
                self.trace.record(EntryNotFired(life.entry.label, life.reason), at, 0)

    # -- for the end of the run --
    def when(self, moment: Moment) -> Micros | None:
        """The time of a moment of an expectation, once its anchor has come."""
        if moment.anchor is None:
            return moment.low
        if moment.anchor == STEADY:
            return None if self.steady_at is None else self.steady_at + moment.low
        assert moment.entry is not None
        life = self.lives[self.scenario.moments.find(moment.entry).label]
        at = life.ended_at if moment.at_end else life.begun_at
        return None if at is None else at + moment.low
