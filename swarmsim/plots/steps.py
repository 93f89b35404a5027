"""A value over time, and the staircase that it draws.

Panels read the trace into `Steps` and draw their spans. A picture is some 1,000 dots wide: `Steps.coarse` leaves out
what lies closer together than a dot, so that a crash loop of three hours costs no more ink than one of three minutes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar

Micros = int
T = TypeVar("T")

#: How many steps a panel shows at most: a dot each at 120 dots per inch.
DOTS = 1000


class Steps(Generic[T]):
    """A value over time, from 0 s on; the last word of a microsecond counts."""

    __slots__ = ("times", "values")

    def __init__(self, start: T) -> None:
        self.times: list[Micros] = [0]
        self.values: list[T] = [start]

    def put(self, at: Micros, value: T) -> None:
        """The value is this from `at` on."""
        if self.times[-1] == at:
            self.values[-1] = value
            if len(self.values) > 1 and self.values[-2] == value:
                del self.times[-1], self.values[-1]
        elif self.values[-1] != value:
            self.times.append(at)
            self.values.append(value)

    @property
    def now(self) -> T:
        return self.values[-1]

    def spans(self, end: Micros) -> Iterator[tuple[Micros, Micros, T]]:
        """(from, until, value) of every stretch before `end`, in order."""
        untils = [*self.times[1:], end]
        for start, until, value in zip(self.times, untils, self.values, strict=True):
            if start < end and until > start:
                yield start, min(until, end), value

    def coarse(self, end: Micros) -> Steps[T]:
        """The same with one change for each dot, the last one: what is closer together cannot be told apart."""
        dot = max(1, end // DOTS)
        if len(self.times) < 2 or dot == 1:
            return self
        kept = Steps(self.values[0])
        for at, value in zip(self.times[1:], self.values[1:], strict=True):
            if kept.times[-1] // dot == at // dot and len(kept.times) > 1:
                kept.values[-1] = value
            else:
                kept.times.append(at)
                kept.values.append(value)
        return kept


def thinned(times: Iterable[Micros], end: Micros, dots: int) -> list[Micros]:
    """Moments to mark: of those that fall on one of `dots` places, the first."""
    kept: dict[int, Micros] = {}
    for at in times:
        kept.setdefault(at * dots // end, at)
    return list(kept.values())


def fine(width: float, steps: int, dots: int = DOTS) -> float:
    """The width of a line that has so many steps: thinner where they crowd, else it would cover all."""
    return width if steps < dots / 4 else width / 4


def briefest(end: Micros) -> Micros:
    """What lasts no longer cannot be seen."""
    return end // 200


class Slab(NamedTuple):
    """One step of a staircase: from `low` to `high` over a time."""

    start: Micros
    until: Micros
    low: float
    high: float


def staircases(slabs: Iterable[Slab]) -> list[list[tuple[float, float]]]:
    """Polygons (in seconds) of slabs in order of time; slabs that touch and have a height join in one."""
    found: list[list[Slab]] = []
    for slab in slabs:
        if slab.low == slab.high:
            continue
        if found and found[-1][-1].until == slab.start and _overlap(found[-1][-1], slab):
            found[-1].append(slab)
        else:
            found.append([slab])
    return [_outline(group) for group in found]


def _overlap(a: Slab, b: Slab) -> bool:
    """Do the two share a side? Slabs that only touch at a corner would make a bow tie."""
    (a_low, a_high), (b_low, b_high) = sorted(a[2:]), sorted(b[2:])
    return a_low < b_high and b_low < a_high


def _outline(group: list[Slab]) -> list[tuple[float, float]]:
    above = [(t / 1e6, slab.high) for slab in group for t in (slab.start, slab.until)]
    below = [(t / 1e6, slab.low) for slab in reversed(group) for t in (slab.until, slab.start)]
    return above + below
