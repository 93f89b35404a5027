"""Log entries over time, read from the trace: when each was durable on a server, when applied, when gone."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import NamedTuple

from ..trace.events import (
    DiskWiped,
    EntriesAppended,
    EntriesApplied,
    RaftRestarted,
    SnapshotInstalled,
)
from ..trace.recorder import Recorded, Trace
from .lanes import read as read_lanes
from .time_axis import Micros

CLASH, LOST = "clash", "lost"


class Life(NamedTuple):
    """The entries `first` to `last` of one term, from durable to gone. `applied` None: never; term 0: not told."""

    first: int
    last: int
    term: int
    start: Micros
    until: Micros
    applied: Micros | None
    snapshot: bool = False

    @property
    def parts(self) -> tuple[tuple[bool, Micros, Micros], ...]:
        """(is it applied?, from, until)."""
        applied = self.until if self.applied is None else self.applied
        return (False, self.start, applied), (True, applied, self.until)


class Mark(NamedTuple):
    """A sign at an index of a server's log."""

    server: str
    at: Micros
    first: int
    kind: str


@dataclass
class Entry:
    """One that is durable now."""

    term: int
    start: Micros
    applied: Micros | None = None


@dataclass
class Log:
    """A server's log: `entries[i]` is that of index `base + 1 + i`; `snapshot` replaces all up to `base`."""

    base: int = 0
    entries: list[Entry] = field(default_factory=list)
    snapshot: Entry | None = None
    ahead: dict[int, int] = field(default_factory=dict)  # index -> term of what was applied before it was durable
    lives: list[Life] = field(default_factory=list)

    @property
    def last(self) -> int:
        return self.base + len(self.entries)

    def at(self, index: int) -> Entry | None:
        return self.entries[index - self.base - 1] if self.base < index <= self.last else None

    def put(self, at: Micros, index: int, term: int) -> None:
        """Index and term make an entry: one that is written a second time lives on."""
        there = self.at(index)
        if there is not None and there.term == term:
            return
        self.cut(at, index - 1)
        if not self.last and self.snapshot is None:
            self.base = index - 1
        alike = self.entries and self.entries[-1].term == term  # terms never go down in a log
        while self.last < index - 1:
            self.entries.append(Entry(term if alike else 0, at))
        self.entries.append(Entry(term, at, at if self.ahead.get(index) == term else None))

    def cut(self, at: Micros, last: int) -> None:
        """All beyond `last` ends."""
        while self.entries and self.last > last:
            index, entry = self.last, self.entries.pop()
            self._ends(at, index, index, entry)
        if self.base > last:
            if self.snapshot is not None:
                self._ends(at, 1, self.base, self.snapshot)
                self.snapshot = Entry(0, at, at) if last > 0 else None  # an older one
            self.base = last

    def install(self, at: Micros, index: int, term: int) -> None:
        self.cut(at, 0)
        self.base, self.snapshot = index, Entry(term, at, at)

    def _ends(self, at: Micros, first: int, last: int, entry: Entry) -> None:
        if at > entry.start:
            whole = self.snapshot is entry
            self.lives.append(Life(first, last, entry.term, entry.start, at, entry.applied, whole))


class Reader:
    """What each server's log held and when, and what should not have been."""

    def __init__(self, trace: Trace, end: Micros) -> None:
        self.logs = {name: Log() for name in read_lanes(trace)}
        self.marks: list[Mark] = []
        self.lowest: int | None = None  # of all that was written in the run
        self._committed: dict[int, int] = {}  # index -> the term of what was first applied there
        self._ends = sorted({(r.event.last_index, r.event.last_term) for r in trace.of(RaftRestarted) if not r.at})
        handlers = {
            RaftRestarted: self._restarted,
            EntriesAppended: self._appended,
            EntriesApplied: self._applied,
            SnapshotInstalled: self._installed,
            DiskWiped: self._wiped,
        }
        for recorded in trace:
            heard = handlers.get(type(recorded.event))
            if heard is not None and recorded.at <= end:
                heard(recorded, self.logs.setdefault(recorded.event.node, Log()))
        for log in self.logs.values():
            log.cut(end, -1)

    def _restarted(self, recorded: Recorded, log: Log) -> None:
        """What a disk holds; more than was told if it was on its way in the moment of the crash."""
        e: RaftRestarted = recorded.event
        log.ahead.clear()
        self._loses(recorded, log, e.last_index)
        log.cut(recorded.at, e.last_index)
        if not recorded.at:
            self._handed_over(e, log)
        elif e.last_index > log.last or (e.last_term and e.last_index > log.base):
            log.put(recorded.at, e.last_index, e.last_term)

    def _handed_over(self, e: RaftRestarted, log: Log) -> None:
        """The members' logs at 0 s are the beginnings of one."""
        known = self._ends
        for index in range(1, e.last_index + 1):
            at = bisect_left(known, index, key=itemgetter(0))
            above = known[at][1]
            same = known[at][0] == index or (at and known[at - 1][1] == above)
            log.entries.append(Entry(above if same else 0, 0, 0 if index <= e.commit else None))
        if e.last_term and e.commit >= e.last_index:
            self._committed.setdefault(e.last_index, e.last_term)

    def _appended(self, recorded: Recorded, log: Log) -> None:
        e: EntriesAppended = recorded.event
        self.lowest = min(e.first, self.lowest or e.first)
        new = dict(enumerate(e.terms, e.first))
        self._loses(recorded, log, e.first - 1, new)
        for index, term in new.items():
            log.put(recorded.at, index, term)
        log.cut(recorded.at, e.first + len(e.terms) - 1)

    def _applied(self, recorded: Recorded, log: Log) -> None:
        e: EntriesApplied = recorded.event
        clashes = []
        for index, term in enumerate(e.terms, e.first):
            entry = log.at(index)
            if entry is None or entry.term != term:
                log.ahead[index] = term
            elif entry.applied is None:
                entry.applied = recorded.at
            if self._committed.setdefault(index, term) != term:
                clashes.append(index)
        if clashes:
            self.marks.append(Mark(e.node, recorded.at, clashes[0], CLASH))

    def _installed(self, recorded: Recorded, log: Log) -> None:
        e: SnapshotInstalled = recorded.event
        self.lowest = min(e.index, self.lowest or e.index)
        self._loses(recorded, log, e.index)
        log.install(recorded.at, e.index, e.term)

    def _wiped(self, recorded: Recorded, log: Log) -> None:
        if "raft" in recorded.event.machines:
            self._loses(recorded, log, 0)
            log.cut(recorded.at, 0)

    def _loses(self, recorded: Recorded, log: Log, last: int, new: Mapping[int, int] | None = None) -> None:
        """Marks the first index beyond `last` that some server has applied, and that is not written anew as it was."""
        index = self._first_lost(log, last, new or {})
        if index is not None:
            self.marks.append(Mark(recorded.event.node, recorded.at, index, LOST))

    def _first_lost(self, log: Log, last: int, new: Mapping[int, int]) -> int | None:
        if log.snapshot is not None and log.base > last:
            return last + 1
        for index in range(max(last, log.base) + 1, log.last + 1):
            term = log.entries[index - log.base - 1].term
            if term and self._committed.get(index) == term != new.get(index):
                return index
        return None
