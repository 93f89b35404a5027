"""The staircase that a value over time draws.

Panels read the trace into `Steps` and draw their spans. A picture is 1,000 dots wide: `coarse` leaves out what lies
closer together than a dot, so that a crash loop of three hours costs no more ink than one of three minutes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeVar

from ..trace.steps import Steps

Micros = int
T = TypeVar("T")

#: How many steps a panel shows at most: a dot each at 120 dots per inch.
DOTS = 1000


def coarse(steps: Steps[T], end: Micros) -> Steps[T]:
    """One change for each dot: what is closer together cannot be told apart."""
    return steps.coarse(end // DOTS)


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
