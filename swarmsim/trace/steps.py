"""A value over time, as judges and panels read it off a trace."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Generic, TypeVar

Micros = int
T = TypeVar("T")


class Steps(Generic[T]):
    """A value over time, from 0 s on; the last word of a microsecond counts."""

    __slots__ = ("times", "values")

    def __init__(self, start: T) -> None:
        self.times: list[Micros] = [0]
        self.values: list[T] = [start]

    def put(self, at: Micros, value: T) -> None:
        """The value is this from `at` on."""
        values = self.values
        if self.times[-1] == at:
            values[-1] = value
            if len(values) > 1 and values[-2] == value:
                del values[-1], self.times[-1]
        elif values[-1] != value:
            self.times.append(at)
            values.append(value)

    @property
    def now(self) -> T:
        return self.values[-1]

    def at(self, time: Micros) -> T:
        """The value after the whole microsecond `time`."""
        return self.values[max(0, bisect_right(self.times, time) - 1)]

    def spans(self, start: Micros, end: Micros) -> Iterator[tuple[Micros, Micros, T]]:
        """(from, until, value) of every stretch in [start, end): clipped, in order."""
        i = max(0, bisect_right(self.times, start) - 1)
        while i < len(self.times) and start < end:
            until = min(self.times[i + 1] if i + 1 < len(self.times) else end, end)
            if until > start:
                yield start, until, self.values[i]
                start = until
            i += 1

    def coarse(self, width: Micros) -> Steps[T]:
        """The same with one change in each `width`, the last one."""
        if len(self.times) < 2 or width <= 1:
            return self
        kept = Steps(self.values[0])
        for at, value in zip(self.times[1:], self.values[1:], strict=True):
            if kept.times[-1] // width == at // width and len(kept.times) > 1:
                kept.values[-1] = value
            else:
                kept.times.append(at)
                kept.values.append(value)
        return kept


__all__ = ["Steps"]
