"""A host's disk: writes become durable after an fsync; a power loss takes what was not.

Each machine has a key-value space of its own. `write` returns an event that fires when the writes are durable. A
killed process loses nothing that it wrote (the operating system keeps it); a power loss does.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

import simpy

from .clock import Clock

Micros = int


class Disk:
    """`fsync` is the range of an fsync's duration in microseconds, drawn uniformly; (0, 0): instant."""

    def __init__(self, env: Clock, rng: Random, fsync: tuple[Micros, Micros]) -> None:
        self.env = env
        self.fsync = fsync
        self._rng = rng
        self._durable: dict[str, dict[Any, Any]] = {}
        self._unsynced: list[tuple[str, Mapping[Any, Any]]] = []

    def write(self, machine: str, writes: Mapping[Any, Any]) -> simpy.Event:
        """Write and sync; a value of None deletes its key."""
        pending = (machine, writes)
        self._unsynced.append(pending)
        low, high = self.fsync
        delay = low + int(self._rng.random() * (high - low + 1))
        event = simpy.Timeout(self.env, delay, pending)
        event.callbacks.append(self._synced)
        return event

    def _synced(self, event: simpy.Event) -> None:
        pending = event._value
        for i, other in enumerate(self._unsynced):
            if other is pending:
                del self._unsynced[i]
                self.store(*pending)
                return
        # Not found: a crash came first, and decided what became of it.

    def store(self, machine: str, writes: Mapping[Any, Any]) -> None:
        """Make writes durable now."""
        space = self._durable.setdefault(machine, {})
        for key, value in writes.items():
            if value is None:
                space.pop(key, None)
            else:
                space[key] = value

    def crash(self, power: bool) -> None:
        """The host goes off: unsynced writes are lost with the power, kept when only the process died."""
        if not power:
            for pending in self._unsynced:
                self.store(*pending)
        self._unsynced.clear()

    def read(self, machine: str) -> dict[Any, Any]:
        """What the machine finds when it starts."""
        return dict(self._durable.get(machine, {}))

    def preload(self, machine: str, content: Mapping[Any, Any]) -> None:
        """What a cluster that is handed over formed already has on its disks."""
        self._durable[machine] = dict(content)

    def wipe(self, machine: str) -> None:
        """Delete all that the machine ever wrote, and what is on its way to the platter."""
        self._durable.pop(machine, None)
        self._unsynced = [pending for pending in self._unsynced if pending[0] != machine]
