"""What is measured of a run: an object that hears its events in order, and may say that it has heard enough.

A measure is made anew for each run, in the process that runs it, by a factory that can be pickled: a class, or a
`functools.partial` of one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from ..trace.recorder import Recorded

Micros = int
T_co = TypeVar("T_co", covariant=True)


class Measure(Protocol[T_co]):
    """`hear` returns True when no later event can matter: the run ends there. Then `value` is taken."""

    def hear(self, recorded: Recorded) -> bool: ...

    def value(self) -> T_co: ...


class Span:
    """Microseconds from the latest event of class `start` to the first of class `end` after it; None if none came.

    `fits` says of an event of class `end` whether it is the one that is meant.
    """

    def __init__(self, start: type, end: type, fits: Callable[[Any], bool] | None = None) -> None:
        self.start = start
        self.end = end
        self.fits = fits
        self.since: Micros | None = None
        self.took: Micros | None = None

    def hear(self, recorded: Recorded) -> bool:
        kind = type(recorded.event)
        if self.took is None and kind is self.start:
            self.since = recorded.at
        elif self.took is None and kind is self.end and self.since is not None:
            if self.fits is None or self.fits(recorded.event):
                self.took = recorded.at - self.since
        return self.took is not None

    def value(self) -> Micros | None:
        return self.took
