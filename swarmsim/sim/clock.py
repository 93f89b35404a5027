"""The clock of the simulated world: SimPy's environment, counting whole microseconds.

SimPy keeps integers as long as all delays are; this class only says so to the type checker.
"""

from __future__ import annotations

import simpy

Micros = int


class Clock(simpy.Environment):
    """`now` is in microseconds since the swarm was ready."""

    @property
    def now(self) -> Micros:
        return self._now  # type: ignore[return-value]

    def scheduled(self) -> int:
        """How many events have been scheduled so far: what a run costs, exactly."""
        number = next(self._eid) - self._asked  # asking takes a number, too
        self._asked += 1
        return number

    _asked = 0
