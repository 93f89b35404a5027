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
