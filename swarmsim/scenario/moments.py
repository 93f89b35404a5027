"""Moments: a DURATION, an anchor, or an anchor `+` DURATION (SCENARIOS.md section 3, "Moments").

`parse` reads the words; `Moments` knows the whole timeline, finds what an anchor means, and refuses circles, the `.end`
of what has none, and what is known to lie after `duration`. When a run is under way, `scenario.timeline` tells when an
anchor came.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..api.values import format_duration, parse_duration, parse_times
from ..faults.base import format_times

Micros = int

STEADY = "steady"
_ANCHOR = re.compile(r"[A-Za-z][\w-]*(?:\.end)?")
_SUM = re.compile(r"\s*(?P<anchor>[^+\s]+)\s*(?:(?P<sign>\+)\s*(?P<rest>.*\S)?\s*)?")


@dataclass(frozen=True)
class Moment:
    """`anchor` None: counted from 0s. `low` and `high` differ where TIMES stand for the DURATION."""

    anchor: str | None
    low: Micros = 0
    high: Micros = 0

    @property
    def entry(self) -> str | None:
        """The name of the entry it hangs on, without `.end`; None for `steady` and plain durations."""
        if self.anchor is None or self.anchor == STEADY:
            return None
        return self.anchor.removesuffix(".end")

    @property
    def at_end(self) -> bool:
        return self.anchor is not None and self.anchor.endswith(".end")

    def __str__(self) -> str:
        times = format_times((self.low, self.high))
        if self.anchor is None:
            return times
        return f"{self.anchor} + {times}" if self.high else self.anchor


ORIGIN = Moment(None)


def parse(value: Any, *, times: bool = False) -> Moment:
    """Read a moment; `times` where a range may stand for the DURATION (in `at`)."""
    if not isinstance(value, str):
        hint = f"{value}s" if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else "10s"
        raise ValueError(f"`{value}` is no moment; write a duration with its unit such as {hint}, or an anchor")
    if value[:1].isdigit() or value[:1] in "-.":
        return Moment(None, *_offset(value, times))
    found = _SUM.fullmatch(value)
    if found is None or not _ANCHOR.fullmatch(found["anchor"]):
        raise ValueError(f"`{value}` is no moment; write 10s, steady, crash or crash.end, and + 5s after an anchor")
    if not found["sign"]:
        return Moment(found["anchor"])
    if not found["rest"]:
        raise ValueError(f"`{value}` ends with a plus; write {found['anchor']} + 5s")
    return Moment(found["anchor"], *_offset(found["rest"], times))


def _offset(text: str, times: bool) -> tuple[Micros, Micros]:
    if times:
        low, high = parse_times(text)
        return low, high
    if ".." in text:
        raise ValueError(f"`{text}` is a range, and a moment is one point; write one duration")
    micros = parse_duration(text)
    return micros, micros


class Placed(Protocol):
    """What `Moments` asks of a timeline's entry."""

    @property
    def label(self) -> str: ...

    @property
    def name(self) -> str | None: ...

    @property
    def verb(self) -> str: ...

    @property
    def at(self) -> Moment: ...

    @property
    def lasts(self) -> tuple[Micros, Micros] | None:
        """A fault's `for`."""

    @property
    def ends(self) -> bool:
        """Has it an end that an anchor may name? Steps are answered; a fault needs a `for`."""


class Moments:
    """All entries of a timeline, and what anchors mean among them."""

    def __init__(self, entries: Sequence[Placed], duration: Micros | None) -> None:
        self.entries = entries
        self.duration = duration
        self._by_name = {e.name: e for e in entries if e.name}
        self._earliest: dict[str, Micros | None] = {}

    def find(self, anchor: str) -> Placed:
        """The entry that a name, or a verb that occurs once, means."""
        known = self._by_name.get(anchor)
        if known is not None:
            return known
        same = [e for e in self.entries if e.verb == anchor]
        if len(same) == 1:
            return same[0]
        if same:
            raise ValueError(f"`{anchor}` occurs {len(same)} times; give the one you mean a `name:` and say that")
        names = [*self._by_name, *dict.fromkeys(e.verb for e in self.entries)]
        raise ValueError(_unknown(anchor, names))

    def check(self, moment: Moment, *, within: Micros = 0) -> None:
        """Raise `ValueError` where the moment cannot be: unknown anchor, no end, or after `duration`."""
        if moment.entry is not None:
            entry = self.find(moment.entry)
            if moment.at_end and not entry.ends:
                why = "lasts to the end of the run; give it a `for:`" if entry.verb != "kill" else "is over at once"
                raise ValueError(f"`{moment.anchor}`: `{moment.entry}` has no end, it {why}")
        if self.duration is None:
            return
        earliest = self.earliest(moment)
        if earliest is not None and earliest > self.duration:
            # A plain moment is said once; what is added to an anchor is worth saying.
            at = "" if moment.anchor is None else f", not before {format_duration(earliest)}"
            raise ValueError(
                f"`{moment}` lies after the end of the run{at}; duration is {format_duration(self.duration)}"
            )

    def earliest(self, moment: Moment, path: tuple[str, ...] = ()) -> Micros | None:
        """The earliest time that the moment can be, as far as the file tells; None for what cannot be known."""
        if moment.entry is None:
            return moment.low  # `steady` is at 0s or later
        try:
            entry = self.find(moment.entry)
        except ValueError:
            return None
        if entry.label in path:
            circle = [*path[path.index(entry.label) :], entry.label]
            raise ValueError(f"anchors go in a circle: {' waits for '.join(circle)}; begin one of them at a time")
        if entry.label not in self._earliest:
            self._earliest[entry.label] = self.earliest(entry.at, (*path, entry.label))
        begun = self._earliest[entry.label]
        if begun is None:
            return None
        lasts = entry.lasts[0] if moment.at_end and entry.lasts else 0
        return begun + lasts + moment.low

    def circle(self, entry: Placed) -> str:
        """Why the entry waits for itself, or ""."""
        try:
            self.earliest(entry.at, (entry.label,))
        except ValueError as error:
            return str(error)
        return ""


def _unknown(anchor: str, names: list[str]) -> str:
    from .words import did_you_mean, listed

    close = did_you_mean(anchor, [*names, STEADY])
    if close:
        return f"no entry of the timeline is called `{anchor}`; did you mean `{close}`?"
    if names:
        return f"no entry of the timeline is called `{anchor}`; there are steady, {listed(names)}"
    return f"no entry of the timeline is called `{anchor}`; the timeline is empty"
