"""What of a run is worth a line, and what shares one.

First `notes`: every fact of the trace that a reader of an incident would want to be told. Then `gather`: facts of one
kind that came of one cause within 100 ms share a line; where a run would print too many lines, the kind with most of
them is taken together more widely. `telling` finds the words, `grid` the columns.

Left out on purpose: messages, sessions, gossip, and where tasks go when a service is first created or updated. What
they lead to is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..api.states import NodeState, TaskState, UpdateState
from ..checks.verdict import Broken
from ..trace.events import (
    BecameCandidate,
    BecameLeader,
    ContainerExited,
    DrawMade,
    EntriesAppended,
    EntriesApplied,
    EntryNotFired,
    FaultEnded,
    FaultStarted,
    HostCrashed,
    LogRepaired,
    ManagerStopped,
    MembershipChanged,
    NodeChanged,
    ProcessPanicked,
    RaftRestarted,
    RestartRefused,
    RestartScheduled,
    RunEnded,
    ServiceChanged,
    SnapshotBroken,
    SnapshotInstalled,
    SteadyReached,
    StepAnswered,
    SteppedDown,
    StepSent,
    StoreWedged,
    SwarmReady,
    TaskChanged,
    TaskNotPlaced,
    TaskPlaced,
    TicksDiffer,
)
from ..trace.recorder import Recorded
from .ledger import Ledger, Level, ServiceLedger
from .shortfall import owed

Micros = int

#: Events of one cause within this time share a line.
WINDOW: Micros = 100_000
#: More lines than these are taken together: of one kind and cause, and in all.
MOST_ALIKE, MOST_LINES = 4, 40
#: At 0 s so many services are told one by one.
ONE_BY_ONE = 4

#: What trickles in from many nodes is taken together more widely from the beginning.
WINDOWS: dict[str, Micros] = {
    "ready again": 2_000_000,
    "candidate": 60_000_000,
    "manager stopped": 3_600_000_000,
    "panicked": 3_600_000_000,
    "broken": 3_600_000_000,
}
#: What repeats itself is taken together more widely, too.
WIDE: Micros = 100_000_000
#: An answer that takes longer has a line of its own.
LATE: Micros = 2_000_000

FIRST = "create at 0 s"  # the key of what is created before all entries


class Note(NamedTuple):
    """One fact. `root`: the seq of what it came of; facts share a line if kind, root and key are the same."""

    at: Micros
    seq: int
    kind: str
    root: int
    key: str
    what: Any


@dataclass
class Group:
    """Facts that share a line, and what is told at its end (`with_`)."""

    kind: str
    root: int
    key: str
    notes: list[Note]
    with_: list[Group] = field(default_factory=list)
    again: bool = False  # not the first of its kind and cause

    @property
    def at(self) -> Micros:
        return self.notes[0].at

    @property
    def last(self) -> Micros:
        return self.notes[-1].at


# ---- which lines ------------------------------------------------------------------------------------------


def gather(found: list[Note]) -> list[Group]:
    """The lines of a run, in order."""
    found.sort(key=lambda note: (note.at, note.seq))
    windows: dict[tuple[str, int, str], Micros] = {}
    while True:
        groups = _attach(_together(found, windows))
        counts: dict[tuple[str, int, str], int] = {}
        for group in groups:
            key = (group.kind, group.root, group.key)
            counts[key] = counts.get(key, 0) + 1
        widest = max(counts, key=lambda key: counts[key], default=None)
        if widest is None or counts[widest] < 3 or (counts[widest] <= MOST_ALIKE and len(groups) <= MOST_LINES):
            return groups
        windows[widest] = max(WIDE, windows.get(widest, 0) * 10)


def _together(found: list[Note], windows: dict[tuple[str, int, str], Micros]) -> list[Group]:
    """The first line of each kind and cause keeps to the usual window, so that one is told in full."""
    open_: dict[tuple[str, int, str], Group] = {}
    out: list[Group] = []
    for note in found:
        key = (note.kind, note.root, note.key)
        group = open_.get(key)
        usual = WINDOWS.get(note.kind, WINDOW)
        window = windows.get(key, usual) if group is not None and group.again else usual
        if group is not None and note.at - group.at <= window:
            group.notes.append(note)
            continue
        group = open_[key] = Group(note.kind, note.root, note.key, [note], again=group is not None)
        out.append(group)
    return out


#: What is told at the end of another line, if that has the same root (exits: and key) and is at most WINDOW older.
_ATTACHED = {"drop": ("fault", "exits", "step"), "leaderless": ("fault",)}


def _attach(groups: list[Group]) -> list[Group]:
    out: list[Group] = []
    hosts: dict[tuple[str, int, str], Group] = {}
    for group in groups:
        keys = [(kind, group.root, group.key) for kind in _ATTACHED.get(group.kind, ())]
        found = [hosts[key] for key in keys if key in hosts]
        host = next((h for h in found if group.at - h.last <= WINDOW), None)
        if host is not None:
            host.with_.append(group)
            continue
        hosts[group.kind, group.root, group.key if group.kind == "exits" else ""] = group
        out.append(group)
    return out


# ---- which facts ------------------------------------------------------------------------------------------


def notes(ledger: Ledger) -> list[Note]:
    """Everything worth a word, from the trace and from what was derived of it."""
    collector = Collector(ledger)
    for recorded in ledger.trace:
        handler = collector.handlers.get(type(recorded.event))
        if handler is not None:
            handler(recorded)
    for service in ledger.services.values():
        collector.found += levels(ledger, service)
    return collector.found


def broken(found: Sequence[Broken]) -> list[Note]:
    """What checks found wrong, where it happened: a line for each property."""
    return [Note(one.at, one.seq, "broken", 0, one.property, one) for one in found]


class Collector:
    """Hears the events in order and notes what a reader wants to know."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.found: list[Note] = []
        self.draws: dict[str, list[DrawMade]] = {}
        self._nodes: dict[str, NodeChanged] = {}
        self._joining: dict[str, None] = {}  # nodes that are in the store and were not READY yet
        self._explained: dict[str, str] = {}  # task's name -> why it was not placed, as told
        self._updates: dict[str, Any] = {}  # service -> the state of its update, as told
        self._up_to_date: dict[str, dict[str, None]] = {}  # service -> slots that run its new spec
        self._waiting = len([r for r in ledger.trace.of(StepSent) if not r.event.entry])
        self._answers = {ledger.roots[r.seq]: r for r in ledger.trace.of(StepAnswered)}
        self._won = {(r.event.node, r.event.term) for r in ledger.trace.of(BecameLeader)}
        self.handlers: dict[type, Callable[[Recorded], None]] = {
            SwarmReady: self._plain("ready"),
            SteadyReached: self._plain("steady"),
            RunEnded: self._plain("end"),
            DrawMade: self._draw,
            EntryNotFired: self._not_fired,
            StepSent: self._step,
            StepAnswered: self._answered,
            FaultStarted: self._fault,
            FaultEnded: self._plain("fault end"),
            HostCrashed: self._crashed,
            NodeChanged: self._node,
            BecameCandidate: self._candidate,
            BecameLeader: self._plain("elected"),
            SteppedDown: self._plain("stepped down"),
            StoreWedged: self._plain("wedged"),
            ProcessPanicked: self._ends_with("panicked"),
            ManagerStopped: self._ends_with("manager stopped"),
            LogRepaired: self._plain("log repaired"),
            SnapshotBroken: self._plain("snapshot broken"),
            TicksDiffer: self._plain("ticks differ"),
            RestartScheduled: self._restart,
            RestartRefused: self._refused,
            TaskPlaced: self._placed,
            TaskNotPlaced: self._not_placed,
            ContainerExited: self._exited,
            ServiceChanged: self._service,
            TaskChanged: self._task,
        }
        if ledger.only_raft:
            del self.handlers[SteadyReached]
            self.handlers |= LogCollector(self).handlers

    def note(self, recorded: Recorded, kind: str, key: str = "", what: Any = None, root: int | None = None) -> None:
        root = self.ledger.roots[recorded.seq] if root is None else root
        what = recorded.event if what is None else what
        self.found.append(Note(recorded.at, recorded.seq, kind, root, key, what))

    def _plain(self, kind: str) -> Callable[[Recorded], None]:
        return lambda recorded: self.note(recorded, kind)

    def _came_of(self, recorded: Recorded) -> Any:
        return self.ledger.root(recorded.seq).event

    # -- entries --
    def _draw(self, recorded: Recorded) -> None:
        self.draws.setdefault(recorded.event.entry, []).append(recorded.event)

    def _not_fired(self, recorded: Recorded) -> None:
        e = recorded.event
        self.note(recorded, "not fired", e.entry, (e, self.draws.pop(e.entry, [])))

    def _step(self, recorded: Recorded) -> None:
        e: StepSent = recorded.event
        answer = self._answers.get(recorded.seq)
        what = (e, recorded.at, answer, self.draws.pop(e.entry, []))
        many = not e.entry and self._waiting > ONE_BY_ONE and not (answer is not None and answer.event.error)
        self.note(recorded, "step", FIRST if many else e.target, what, root=0 if many else None)

    def _answered(self, recorded: Recorded) -> None:
        """An answer that takes long is told when it comes."""
        sent = self.ledger.root(recorded.seq)
        if type(sent.event) is StepSent and recorded.at - sent.at > LATE:
            self.note(recorded, "answer", recorded.event.target, (recorded.event, sent))

    def _fault(self, recorded: Recorded) -> None:
        self.note(recorded, "fault", "", (recorded.event, self.draws.pop(recorded.event.entry, [])))

    # -- nodes and leaders --
    def _crashed(self, recorded: Recorded) -> None:
        leader = self.ledger.history.leader
        if leader.at(recorded.at) == "" and leader.at(recorded.at - 1) == recorded.event.node:
            self.note(recorded, "leaderless")

    def _node(self, recorded: Recorded) -> None:
        e: NodeChanged = recorded.event
        known = self._nodes.get(e.node)
        self._nodes[e.node] = e
        if e.action == "REMOVE":
            self.note(recorded, "removed")
        elif known is None:
            if recorded.at:
                self._joining[e.node] = None
        elif e.role is not known.role:
            self.note(recorded, "role", e.role.name)
        if known is not None and e.state is not known.state:
            self._state(recorded, known.state)

    def _state(self, recorded: Recorded, was: NodeState) -> None:
        e: NodeChanged = recorded.event
        kinds = {NodeState.DOWN: "down", NodeState.UNKNOWN: "unknown", NodeState.READY: "ready again"}
        key = was.name if e.state is NodeState.READY else ""
        # Nodes that are UNKNOWN to a new leader register one by one, of their own accord: one line tells of all.
        root = 0 if NodeState.UNKNOWN in (e.state, was) else None
        if e.node in self._joining:
            del self._joining[e.node]
            key, root = "first", None
        self.note(recorded, kinds.get(e.state, "disconnected"), key, root=root)

    def _candidate(self, recorded: Recorded) -> None:
        if (recorded.event.node, recorded.event.term) not in self._won:
            self.note(recorded, "candidate")

    def _ends_with(self, kind: str) -> Callable[[Recorded], None]:
        """What fails in the same way each time that it is started is told once."""
        return lambda recorded: self.note(recorded, kind, f"{recorded.event.node} {recorded.event.why}", root=0)

    # -- tasks --
    def _restart(self, recorded: Recorded) -> None:
        e: RestartScheduled = recorded.event
        ended = e.reason if " " not in e.reason else ""  # `failed`; else what befell its node: `w1 is down`
        key = f"{e.delay} {service_of(e.name)} {ended}" if ended else f"{e.delay}"
        self.note(recorded, "replaced", key, root=0 if ended else None)

    def _refused(self, recorded: Recorded) -> None:
        e: RestartRefused = recorded.event
        self.note(recorded, "refused", f"{service_of(e.name)} {e.reason}", root=0)

    def _placed(self, recorded: Recorded) -> None:
        e: TaskPlaced = recorded.event
        waited = self._explained.pop(e.name, None)
        origin = self._came_of(recorded)
        first = (type(origin) is StepSent and origin.verb in ("create", "update", "deploy")) or self._ends_alone(e.name)
        bound = e.name.endswith(f".{e.node}")
        if waited or not (first or bound or type(origin) not in (StepSent, FaultStarted, FaultEnded)):
            self.note(recorded, "placed")

    def _ends_alone(self, name: str) -> bool:
        """Is it one of those whose containers come and go by themselves?"""
        service = self.ledger.services.get(service_of(name))
        return service is not None and service.event is not None and service.event.ends_alone

    def _not_placed(self, recorded: Recorded) -> None:
        e: TaskNotPlaced = recorded.event
        if self._explained.get(e.name) != e.explanation:
            self._explained[e.name] = e.explanation
            self.note(recorded, "not placed", e.explanation, root=0)

    def _exited(self, recorded: Recorded) -> None:
        e: ContainerExited = recorded.event
        service = self.ledger.services[e.service]
        if e.why == "exited" and not (service.is_job and not e.code):
            self.note(recorded, "exits", f"{e.service} {e.code}", root=0)

    # -- updates and jobs --
    def _service(self, recorded: Recorded) -> None:
        e: ServiceChanged = recorded.event
        if e.action == "CREATE" or e.update is None:
            self._up_to_date.pop(e.service, None)
        if e.update not in (None, UpdateState.UPDATING, self._updates.get(e.service)):
            self.note(recorded, "update", e.service)
        self._updates[e.service] = e.update

    def _task(self, recorded: Recorded) -> None:
        e: TaskChanged = recorded.event
        service = self.ledger.services[e.service]
        if e.now is TaskState.COMPLETE and e.was is not e.now and service.is_job:
            self.note(recorded, "completed", e.service)
        elif e.now is TaskState.RUNNING and e.was is not e.now and service.updating(recorded.seq):
            self._runs_new(recorded, service)

    def _runs_new(self, recorded: Recorded, service: ServiceLedger) -> None:
        """During an update: how many slots run the new spec by now."""
        e: TaskChanged = recorded.event
        spec = [r.event for r in service.events if r.seq < recorded.seq][-1]
        if e.template == spec.template:
            done = self._up_to_date.setdefault(e.service, {})
            done[e.name] = None
            self.note(recorded, "progress", e.service, (e, len(done), spec))


def service_of(name: str) -> str:
    """`web` of `web.3`, `shop_web` of `shop_web.w1.example.org`: services have no dot in their names."""
    return name.split(".", 1)[0]


# ---- where a Raft group is all there is ---------------------------------------------------------------------------


class Overwritten(NamedTuple):
    """A log that ended at `before` has entries of these terms from `first` on, and ends with them."""

    node: str
    first: int
    before: int
    terms: tuple[int, ...]


class LogCollector:
    """Notes on logs and members; of a swarm too many, and what they lead to is told."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._lasts: dict[str, int] = {}  # where each log ends
        self._furthest = 0  # that anybody has applied
        trace = collector.ledger.trace
        self._changes = {r.event.index for r in trace.of(MembershipChanged)}
        self.handlers: dict[type, Callable[[Recorded], None]] = {
            RaftRestarted: self._restarted,
            EntriesAppended: self._appended,
            EntriesApplied: self._applied,
            SnapshotInstalled: self._installed,
            MembershipChanged: self._members,
        }

    def _restarted(self, recorded: Recorded) -> None:
        e: RaftRestarted = recorded.event
        self._lasts[e.node] = e.last_index
        if not recorded.at:
            self._furthest = max(self._furthest, e.commit)

    def _installed(self, recorded: Recorded) -> None:
        self._lasts[recorded.event.node] = recorded.event.index

    def _appended(self, recorded: Recorded) -> None:
        e: EntriesAppended = recorded.event
        before, self._lasts[e.node] = self._lasts.get(e.node, 0), e.first + len(e.terms) - 1
        if e.first <= before:
            key = f"{e.first} {before} {e.terms}"
            self._collector.note(recorded, "overwritten", key, Overwritten(e.node, e.first, before, e.terms))

    def _applied(self, recorded: Recorded) -> None:
        """Who applies an entry first is who commits it."""
        e: EntriesApplied = recorded.event
        for index, term in enumerate(e.terms, e.first):
            if index > self._furthest:
                self._furthest = index
                if index not in self._changes:
                    self._collector.note(recorded, "committed", e.node, (e.node, index, term))

    def _members(self, recorded: Recorded) -> None:
        self._collector.note(recorded, "members", str(recorded.event.index))


# ---- containers: below, above, again as many as wanted --------------------------------------------------------


class Settled(NamedTuple):
    """As many containers run as are wanted; since when they did not. `gone`: the node on which none is wanted now."""

    service: str
    since: Micros
    gone: str = ""


def levels(ledger: Ledger, service: ServiceLedger) -> Iterator[Note]:
    """Notes on one service: it falls below what it owes, runs more than is wanted, or is as wanted again.

    Left out: what an update does (its progress is told), and the first time, where `steady` tells of it.
    """
    if service.is_job:
        return
    since, origin, before, told, alone = 0, 0, Level(0, 0, 0, 0), 0, False
    for level, debt in owed(service.levels):
        root = ledger.roots[level.seq]
        even = before.running == before.wanted
        if even and level.running != level.wanted:
            since, origin, told, alone = level.at, _origin(ledger, root), level.wanted, _alone(ledger, level.seq)
        if _updating(ledger, service, level.seq):
            pass
        elif level.running < before.running and level.running < debt:
            yield _drop(ledger, service, level)
        elif level.running > max(level.wanted, before.running, told):
            told = level.running
            yield Note(level.at, level.seq, "above", root, service.name, (service.name, level))
        elif level.running == level.wanted and not even and (alone or not _first(ledger, origin, level.at)):
            yield from _settled(ledger, service, (before, level), since, 0 if alone else origin)
        before = level


def _drop(ledger: Ledger, service: ServiceLedger, level: Level) -> Note:
    """Containers that exit by themselves share a line by their exit code, all others by what they came of."""
    if _alone(ledger, level.seq):
        code = ledger.trace[level.seq].event.code
        return Note(level.at, level.seq, "drop", 0, f"{service.name} {code}", (service.name, level))
    return Note(level.at, level.seq, "drop", ledger.roots[level.seq], "", (service.name, level))


def _settled(
    ledger: Ledger, service: ServiceLedger, change: tuple[Level, Level], since: Micros, origin: int
) -> Iterator[Note]:
    """As wanted again: because containers started or were stopped in good order, or because fewer are wanted."""
    before, level = change
    event = ledger.trace[level.seq].event
    if type(event) is ContainerExited and event.why != "stopped":
        return  # those that are left are not those that are wanted
    gone = event.node if type(event) is TaskChanged and level.wanted < before.wanted else ""
    key = "gone" if gone else service.name if not origin else ""
    yield Note(level.at, level.seq, "settled", origin, key, Settled(service.name, since, gone))


def _origin(ledger: Ledger, root: int) -> int:
    """What is created at 0 s counts as one."""
    event = ledger.trace[root].event
    if type(event) is StepSent and not event.entry:
        return next(r.seq for r in ledger.trace.of(StepSent) if not r.event.entry)
    return root


def _alone(ledger: Ledger, seq: int) -> bool:
    event = ledger.trace[seq].event
    return type(event) is ContainerExited and event.why == "exited"


def _updating(ledger: Ledger, service: ServiceLedger, seq: int) -> bool:
    """Is it an update that stops and starts containers? (Others fail during one, too.)"""
    event, root = ledger.trace[seq].event, ledger.root(seq).event
    if type(event) is ContainerExited and event.why != "stopped":
        return False
    return service.updating(seq) or (type(root) is StepSent and root.verb in ("update", "deploy"))


def _first(ledger: Ledger, root: int, at: Micros) -> bool:
    """Is this what `steady` tells of: the first time that all that was created at 0 s runs?"""
    event = ledger.trace[root].event
    early = ledger.steady_at is not None and at <= ledger.steady_at + WINDOW
    return type(event) is StepSent and event.verb == "create" and early
