"""The recorder: stamps events with `seq`, `at` and `cause`, keeps them, and gives them back as lines or a digest.

`cause` is the `seq` of the latest recorded event in the chain that led here (DESIGN.md section 5); 0 means that
nothing recorded came before. Optional events (asked for with `verbose`) carry no `seq` and are outside the
digest, so asking for more changes nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from enum import IntEnum
from json.encoder import encode_basestring_ascii
from typing import Any, NamedTuple, get_type_hints

from . import events as catalogue

Micros = int


class Recorded(NamedTuple):
    """An event with its stamps. `at` is in simulated microseconds since the swarm was ready."""

    seq: int
    at: Micros
    cause: int
    event: Any


def plain(value: Any) -> Any:
    """An event's field as JSON has it: enums by name, tuples as lists."""
    if isinstance(value, IntEnum):
        return value.name
    if isinstance(value, tuple):
        return [plain(v) for v in value]
    return value


def _formatter(cls: Any) -> Callable[[Recorded, Any], str]:
    """A line formatter for one event class, generated once: JSON with sorted keys, ten times as fast as `dumps`."""
    hints = get_type_hints(cls)
    parts: list[tuple[str, str]] = [
        ("at", "{r.at}"),
        ("cause", "{r.cause}"),
        ("ev", f'"{cls.__name__}"'),
        ("seq", "{r.seq}"),
    ]
    for name in cls._fields:
        hint = hints[name]
        assert name not in ("at", "cause", "ev", "seq"), f"{cls.__name__}.{name} hides a stamp"
        if hint is int:
            text = f"{{e.{name}}}"
        elif isinstance(hint, type) and issubclass(hint, IntEnum):
            text = f'"{{e.{name}.name}}"'
        elif hint is str:
            text = f"{{s(e.{name})}}"
        else:
            text = f"{{d(p(e.{name}))}}"
        parts.append((name, text))
    parts.sort()
    body = ",".join(f'"{name}":{text}' for name, text in parts)
    source = "lambda r, e: f'''{{" + body + "}}'''"
    names = {"d": json.JSONEncoder(separators=(",", ":")).encode, "p": plain, "s": encode_basestring_ascii}
    return eval(source, names)  # type: ignore[no-any-return]


_FORMATTERS: dict[type, Callable[[Recorded, Any], str]] = {}


def line(recorded: Recorded) -> str:
    """The event as one JSON line, without the newline."""
    cls = type(recorded.event)
    formatter = _FORMATTERS.get(cls)
    if formatter is None:
        formatter = _FORMATTERS[cls] = _formatter(cls)
    return formatter(recorded, recorded.event)


class Trace:
    """All recorded events of a run, in order; `seq` starts at 1. Listeners are told of each at once."""

    def __init__(self, verbose: bool = False) -> None:
        self.events: list[Recorded] = []
        self.optional: list[tuple[int, Micros, str, tuple[Any, ...]]] = []  # (after seq, at, kind, fields)
        self.counts: dict[str, int] = {}
        self.listeners: list[Callable[[Recorded], None]] = []
        self.verbose = verbose
        self._digest: str | None = None

    def record(self, event: Any, at: Micros, cause: int) -> int:
        """Stamp and keep `event`; returns its `seq`."""
        events = self.events
        seq = len(events) + 1
        recorded = Recorded(seq, at, cause, event)
        events.append(recorded)
        self._digest = None
        for listener in self.listeners:
            listener(recorded)
        return seq

    def note(self, kind: str, at: Micros, *fields: Any) -> None:
        """Count something too frequent to record; kept as well when the run is verbose, outside the digest."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if self.verbose:
            self.optional.append((len(self.events), at, kind, fields))

    def __len__(self) -> int:
        return len(self.events)

    def __iter__(self) -> Iterator[Recorded]:
        return iter(self.events)

    def __getitem__(self, seq: int) -> Recorded:
        """The event with that `seq` (1-based)."""
        assert 1 <= seq <= len(self.events), f"no event {seq}; the trace has {len(self.events)}"
        return self.events[seq - 1]

    def is_raft_alone(self) -> bool:
        """Is a Raft group all there is? In a swarm nodes are told of from the beginning."""
        of_a_swarm = (catalogue.NodeChanged, catalogue.ServiceChanged)
        return any(self.of(catalogue.SwarmReady)) and not any(self.of(*of_a_swarm))

    def of(self, *kinds: type) -> Iterator[Recorded]:
        """The recorded events of these classes, in order."""
        return (r for r in self.events if type(r.event) in kinds)

    def chain(self, seq: int) -> list[Recorded]:
        """Why did this happen? The event and its causes, latest first, to the first cause."""
        out = []
        while seq:
            recorded = self[seq]
            assert recorded.cause < seq, f"event {seq} has a cause after it: {recorded.cause}"
            out.append(recorded)
            seq = recorded.cause
        return out

    def lines(self) -> Iterator[str]:
        """The trace as JSON lines: recorded events, and between them what a verbose run noted."""
        noted = iter(self.optional)
        pending = next(noted, None)
        for recorded in self.events:
            while pending is not None and pending[0] < recorded.seq:
                yield json.dumps({"at": pending[1], "note": pending[2], "fields": plain(pending[3])}, sort_keys=True)
                pending = next(noted, None)
            yield line(recorded)
        while pending is not None:
            yield json.dumps({"at": pending[1], "note": pending[2], "fields": plain(pending[3])}, sort_keys=True)
            pending = next(noted, None)

    def digest(self) -> str:
        """SHA-256 over the recorded lines, 64 hex digits: the same file and seed give the same, anywhere."""
        if self._digest is None:
            text = "\n".join(map(line, self.events))
            self._digest = hashlib.sha256(text.encode()).hexdigest()
        return self._digest


def first_difference(a: Trace, b: Trace) -> tuple[Recorded | None, Recorded | None] | None:
    """The first pair of events in which two traces differ (None where one is shorter), or None if they do not."""
    for x, y in zip(a.events, b.events, strict=False):
        if x != y:
            return x, y
    if len(a) == len(b):
        return None
    n = min(len(a), len(b))
    return (a.events[n] if n < len(a) else None, b.events[n] if n < len(b) else None)


def describe_events() -> list[tuple[str, str]]:
    """(name, first line of the docstring) of every event in the catalogue."""
    return [(cls.__name__, (cls.__doc__ or "").strip().split("\n")[0]) for cls in catalogue.EVENTS]
