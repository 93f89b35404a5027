"""How low services went, for how long, and of what that time consists.

A service is short while fewer of its containers run than it owes: as many as are wanted, but while it is being created
or scaled up no more than it has had already. What a time short consists of is read from the chain of causes that ends
at the container which made up the number: detection, restart delay, pull, start, and so on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from ..api.states import NodeState, TaskState
from ..trace.events import (
    BecameCandidate,
    BecameFollower,
    BecameLeader,
    ContainerExited,
    ContainerStarted,
    HeartbeatExpired,
    HostStarted,
    ImagePulled,
    LeadershipGained,
    NodeChanged,
    NodeRegistered,
    TaskChanged,
    TaskPlaced,
    VoteGranted,
)
from ..trace.recorder import Recorded
from .ledger import Ledger, Level, ServiceLedger

Micros = int

#: What takes less is counted with what follows: the time of messages and commits says nothing by itself.
LEAST: Micros = 50_000


class Stretch(NamedTuple):
    """A time in which a service was short. `until` None: to the end of the run; `seq`: of the event that ended it."""

    since: Micros
    until: Micros | None
    seq: int


@dataclass
class Shortfall:
    """One service that was short at some time."""

    service: str
    wanted: int
    lowest: int
    stretches: list[Stretch]
    end: Micros
    parts: list[tuple[str, Micros]] = field(default_factory=list)  # of the longest stretch
    why: str = ""  # it is short at the end

    def length(self, stretch: Stretch) -> Micros:
        return (self.end if stretch.until is None else stretch.until) - stretch.since

    @property
    def longest(self) -> Stretch:
        return max(self.stretches, key=self.length)

    @property
    def total(self) -> Micros:
        return sum(map(self.length, self.stretches))

    @property
    def still(self) -> bool:
        """Is it short to the end of the run?"""
        return self.stretches[-1].until is None

    @property
    def never(self) -> bool:
        """Is the longest time that it was short not over?"""
        return self.longest.until is None


def shortfalls(ledger: Ledger) -> list[Shortfall]:
    """Services that were short, in the order in which they were created."""
    found = [s for service in ledger.services.values() if (s := shortfall(service, ledger.end)) is not None]
    for one in found:
        if not one.never:
            one.parts = parts(ledger, one.longest)
        if one.still:
            one.why = why_still(ledger, ledger.services[one.service])
    return found


def shortfall(service: ServiceLedger, end: Micros) -> Shortfall | None:
    if service.is_job or not service.levels:
        return None
    stretches = list(_stretches(service.levels, end))
    if not stretches:
        return None
    lowest = min(_within(service.levels, stretches), key=lambda level: level.running)
    return Shortfall(service.name, lowest.wanted, lowest.running, stretches, end)


def _within(levels: list[Level], stretches: list[Stretch]) -> Iterator[Level]:
    """The levels while the service was short."""
    for level in _whole_microseconds(levels):
        if any(s.since <= level.at and (s.until is None or level.at < s.until) for s in stretches):
            yield level


def owed(levels: list[Level]) -> Iterator[tuple[Level, int]]:
    """Each level with what the service owes then: what it has had already, at most what is wanted."""
    had = 0
    for level in levels:
        had = min(level.wanted, max(had, level.running))
        yield level, had


def _stretches(levels: list[Level], end: Micros) -> Iterator[Stretch]:
    since: Micros | None = None
    for level, debt in owed(_whole_microseconds(levels)):
        if level.running < debt:
            since = level.at if since is None else since
        elif since is not None:
            yield Stretch(since, level.at, level.seq)
            since = None
    last = levels[-1]
    if since is None and last.running < last.wanted:
        since = _asked_since(levels)  # it never had what is wanted
    if since is not None and since < end:
        yield Stretch(since, None, 0)


def _whole_microseconds(levels: list[Level]) -> list[Level]:
    """The last word of each microsecond."""
    return [a for i, a in enumerate(levels) if i + 1 == len(levels) or levels[i + 1].at != a.at]


def _asked_since(levels: list[Level]) -> Micros:
    """Since when it has been wanting: the last time that more became wanted than ran."""
    since = levels[0].at
    for before, level in pairwise(levels):
        if before.running >= before.wanted and level.running < level.wanted:
            since = level.at
    return since


def why_still(ledger: Ledger, service: ServiceLedger) -> str:
    """What its missing containers wait for at the end, by the store."""
    if not ledger.history.leader.now:
        return "nobody leads, so nothing is replaced"
    held = [t.last for t in ledger.tasks.values() if t.last.service == service.name and t.last.action != "REMOVE"]
    wanted = [e for e in held if e.desired < TaskState.SHUTDOWN]
    waiting = [e for e in wanted if e.now < TaskState.RUNNING]
    if waiting:
        states = Counter(e.now.name for e in waiting)
        errors = dict.fromkeys(e.error for e in waiting if e.error)
        said = ", ".join(f"{n} {state}" for state, n in states.items())
        return f"{said}: {next(iter(errors))}" if errors else said
    unseen = sum(e.now is TaskState.RUNNING and e.task not in ledger.containers for e in wanted)
    if unseen:
        return f"{unseen} RUNNING by the store alone"
    empty = service.wanted - len({e.name for e in wanted})
    return f"{empty} left empty by the restart policy" if empty > 0 else ""


# ---- of what it consists -----------------------------------------------------------------------------------


def parts(ledger: Ledger, stretch: Stretch) -> list[tuple[str, Micros]]:
    """(name, microseconds) in the order in which they passed; together they are the whole stretch."""
    chain = ledger.trace.chain(stretch.seq)[::-1]
    times: dict[str, Micros] = {}
    at, waiting = stretch.since, 0
    for i, recorded in enumerate(chain):
        if recorded.at <= stretch.since:
            continue
        step = recorded.at - at + waiting
        name = _part(recorded, ledger)
        at = recorded.at
        if name is None or (step < LEAST and i + 1 < len(chain)):
            waiting = step
        else:
            times[name] = times.get(name, 0) + step
            waiting = 0
    if waiting and times:
        last = next(reversed(times))
        times[last] += waiting
    return list(times.items())


def _part(recorded: Recorded, ledger: Ledger) -> str | None:
    """What was waited for when this happened; None: for nothing that has a name."""
    event = recorded.event
    if type(event) is TaskChanged:
        return _task_part(event, ledger)
    if type(event) is NodeChanged:
        return "registration" if event.state is NodeState.READY else "detection"
    if type(event) is ContainerExited:
        return "stop" if event.why == "stopped" else "run"
    return _NAMES.get(type(event))


_NAMES: dict[type, str] = {
    HeartbeatExpired: "detection",
    BecameCandidate: "election",
    BecameLeader: "election",
    BecameFollower: "election",
    VoteGranted: "election",
    LeadershipGained: "election",
    HostStarted: "off",
    NodeRegistered: "registration",
    TaskPlaced: "pending",
    ImagePulled: "pull",
    ContainerStarted: "start",
}


def _task_part(event: TaskChanged, ledger: Ledger) -> str | None:
    """A task that is released to run has waited for its restart delay, or for the old one to stop."""
    if event.was is not event.now and event.now in (TaskState.ASSIGNED, TaskState.PENDING):
        return "pending"
    if event.now > TaskState.RUNNING:  # its managers are told
        return "stop" if event.now in (TaskState.COMPLETE, TaskState.SHUTDOWN) else "detection"
    if event.now < TaskState.RUNNING and event.desired in (TaskState.RUNNING, TaskState.COMPLETE):
        scheduled = ledger.restarts.get(event.task)
        return "delay" if scheduled is not None and scheduled.delay else "stop"
    return None
