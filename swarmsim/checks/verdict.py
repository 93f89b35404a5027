"""What a check says, and what an expectation asks: plain data, with every moment and every name resolved.

The scenario's words become these in `binding`; nothing here knows a file. Times are microseconds since 0 s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from ..trace.recorder import Recorded

Micros = int
Counts = tuple[int, int | None]  # at least, at most (None: no limit)


class State(StrEnum):
    """UNKNOWN: an entry did not fire, an anchor never came, or the run ended before the matter was decided."""

    PASS = "PASS"
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"


PASS, FAIL, UNKNOWN = State.PASS, State.FAIL, State.UNKNOWN

#: What is said of a check that runs in every scenario and found nothing wrong.
NOTHING_SEEN = "always checked"


class Broken(NamedTuple):
    """A property that an event broke, and how."""

    at: Micros
    seq: int
    property: str
    text: str

    def __str__(self) -> str:
        return f"{self.property}: {self.text} at {self.at / 1e6:.3f} s (event {self.seq})"


@dataclass(frozen=True)
class Verdict:
    """One check or expectation. `seen`: what was seen and when; `details`: more lines, such as the bound's parts.

    `broken`: the events that were wrong, of a check that judges each event by itself.
    """

    name: str
    state: State
    seen: str
    line: int = 0
    details: tuple[str, ...] = ()
    always: bool = False  # one of the checks that run in every scenario
    broken: tuple[Broken, ...] = ()

    @property
    def text(self) -> str:
        return self.name

    @property
    def passed(self) -> bool:
        return self.state is PASS

    def __str__(self) -> str:
        return f"{self.state:<8} {self.name}: {self.seen}"


@dataclass(frozen=True)
class Expectation:
    """What must hold (SCENARIOS.md section 8). A moment that never came is None and is named in `missing`.

    `names`: the service, or the nodes; for `leader` the nodes, ("any",) or ("none",). With `within` the moment `after`
    counts; else `from_` (0: the beginning) and `until` (None: the end of the run); `at_end` where neither is given.
    """

    subject: str  # service, node, leader, leader_changes, convergence, violates
    names: tuple[str, ...] = ()
    property: str = ""  # running, pending, started, state
    wanted: Counts | str | None = None  # counts, a node's state, or the name of a check
    text: str = ""
    line: int = 0
    within: tuple[Micros, Micros] | None = None
    after: Micros | None = None
    from_: Micros = 0
    until: Micros | None = None
    at_end: bool = False
    error: str = ""  # pending: a part of the task's error
    bound: Micros | None = None  # convergence: another bound
    waived: bool = False  # convergence: no demand
    missing: str = ""  # why a moment or a name is not there
    state: str = ""  # tasks: which state is meant


@dataclass(frozen=True)
class Entry:
    """One entry of the timeline, as the check *timeline* needs it. `refused`: the text that must refuse it."""

    label: str
    line: int = 0
    refused: str = ""


def judged(name: str, broken: list[Broken]) -> Verdict:
    """The verdict of a check that judges each event by itself: the first that was wrong is the one to look at."""
    if not broken:
        return Verdict(name, PASS, NOTHING_SEEN, always=True)
    first, *more = map(str, broken)
    return Verdict(name, FAIL, first, details=tuple(more), always=True, broken=tuple(broken))


class Listener(Protocol):
    """Hears the events of the classes it names, in order."""

    handlers: Mapping[type, Callable[[Recorded], None]]


class Check(Listener, Protocol):
    """A listener that has something to say once the run is over, at `end`."""

    name: str

    def verdict(self, end: Micros) -> Verdict: ...


Handlers = dict[type, Callable[[Recorded], None]]


def seconds(us: Micros) -> str:
    """`11.1 s`, as reports say a time; milliseconds where a tenth of a second would say nothing."""
    if 0 < us < 50_000:
        return f"{max(1, round(us / 1000))} ms"
    return f"{us / 1e6:.1f} s"


def counts_said(counts: Counts) -> str:
    low, high = counts
    if high is None:
        return f"at least {low}"
    if low == high:
        return str(low)
    return f"{low} to {high}" if low else f"at most {high}"


def in_counts(value: int, counts: Counts) -> bool:
    low, high = counts
    return low <= value and (high is None or value <= high)


def listen(listeners: list[Any]) -> Mapping[type, list[Callable[[Recorded], None]]]:
    """Who hears which class of events: one dictionary for all."""
    hears: dict[type, list[Callable[[Recorded], None]]] = {}
    for listener in listeners:
        for kind, handler in listener.handlers.items():
            hears.setdefault(kind, []).append(handler)
    return hears
