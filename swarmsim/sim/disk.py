"""A host's disk: writes become durable after an fsync; a power loss takes what was not.

Each machine has a key-value space of its own. `write` returns an event that fires when the writes are durable; an
fsync makes durable all that the machine wrote before it, too. A killed process loses nothing that it wrote (the
operating system keeps it); a power loss does. Of the write that was under way then a part may be there: some of its
values whole, and the next one half (`machine.Torn`). What is damaged otherwise comes back as `machine.Garbled`.

Checksums are modelled by what they find: whether a value is damaged is a fact of the disk, and software that keeps
checksums sees it when it reads the value.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from random import Random
from typing import Any, NamedTuple

import simpy

from ..machine import Garbled, Torn
from .clock import Clock

Micros = int


class Trouble(NamedTuple):
    """What befalls a disk while a fault lasts: `slow` (each sync takes `by` longer), `stalled`, or `full`."""

    kind: str
    by: tuple[Micros, Micros]
    rng: Random


Unsynced = tuple[str, Mapping[Any, Any]]  # machine, writes


class Disk:
    """`fsync` is the range of an fsync's duration in microseconds, drawn uniformly; (0, 0): instant."""

    def __init__(self, env: Clock, rng: Random, fsync: tuple[Micros, Micros]) -> None:
        self.env = env
        self.fsync = fsync
        self._rng = rng
        self._durable: dict[str, dict[Any, Any]] = {}
        self._unsynced: list[Unsynced] = []
        self._troubles: list[Trouble] = []
        self._held: list[tuple[Unsynced, simpy.Event]] = []  # syncs that do not return while the disk is stalled
        self._deleted: dict[str, None] = {}  # machines whose files were deleted while they had them open

    # -- what faults do --
    @property
    def troubled(self) -> bool:
        return bool(self._troubles)

    @property
    def full(self) -> bool:
        return any(trouble.kind == "full" for trouble in self._troubles)

    @property
    def stalled(self) -> bool:
        return any(trouble.kind == "stalled" for trouble in self._troubles)

    def trouble(self, kind: str, by: tuple[Micros, Micros] | None, dice: Random) -> Trouble:
        """It begins; several may be in force at once."""
        trouble = Trouble(kind, by or (0, 0), dice)
        self._troubles.append(trouble)
        return trouble

    def relieve(self, trouble: Trouble) -> None:
        """It is over: what was held back goes on."""
        self._troubles = [other for other in self._troubles if other is not trouble]
        if self.stalled:
            return
        held, self._held = self._held, []
        for pending, event in held:
            self._sync(pending, event)

    # -- writing --
    def write(self, machine: str, writes: Mapping[Any, Any]) -> simpy.Event:
        """Write and sync; a value of None deletes its key."""
        pending = (machine, writes)
        self._unsynced.append(pending)
        if not self._troubles:
            event: simpy.Event = simpy.Timeout(self.env, self._draw(), pending)
            event.callbacks.append(self._synced)
            return event
        event = simpy.Event(self.env)
        if self.stalled:
            self._held.append((pending, event))
        else:
            self._sync(pending, event)
        return event

    def _draw(self) -> Micros:
        low, high = self.fsync
        return low + int(self._rng.random() * (high - low + 1))

    def _sync(self, pending: Unsynced, event: simpy.Event) -> None:
        """A sync on a disk in trouble: `event` fires when it has returned."""
        delay = self._draw()
        for trouble in self._troubles:
            if trouble.kind == "slow":
                delay += trouble.rng.randint(*trouble.by)
        timeout = simpy.Timeout(self.env, delay, pending)
        timeout.callbacks.append(self._synced)
        timeout.callbacks.append(partial(_returned, event))

    def _synced(self, event: simpy.Event) -> None:
        pending = event._value
        if any(other is pending for other in self._unsynced):
            self._settle(pending)
        # Else a later fsync took it along, or a crash came first and decided what became of it.

    def _settle(self, last: Unsynced) -> None:
        """Make durable, in order, what the machine wrote up to `last`."""
        kept, self._unsynced = self._unsynced, []
        before = True
        for pending in kept:
            if before and pending[0] == last[0]:
                self.store(*pending)
            else:
                self._unsynced.append(pending)
            before = before and pending is not last

    def store(self, machine: str, writes: Mapping[Any, Any]) -> None:
        """Make writes durable now; on a full disk they are lost, and so they are in a file that was deleted."""
        if self.full or machine in self._deleted:
            return
        space = self._durable.setdefault(machine, {})
        for key, value in writes.items():
            if value is None:
                space.pop(key, None)
            else:
                space[key] = value

    def crash(self, power: bool, tearing: Random | None = None) -> tuple[str, ...]:
        """The host goes off: unsynced writes are lost with the power, kept when only the process died.

        `tearing`: of each machine's first unsynced write a part is on the platter, how much is drawn from it. Returns
        the machines that have a torn value now.
        """
        torn: dict[str, None] = {}
        for machine, writes in self._unsynced:
            if not power:
                self.store(machine, writes)
            elif tearing is not None and machine not in torn and self._tear(machine, writes, tearing):
                torn[machine] = None
        self._unsynced.clear()
        self._held.clear()
        return tuple(torn)

    def _tear(self, machine: str, writes: Mapping[Any, Any], dice: Random) -> bool:
        """Values are written one after the other; the power goes in the middle of one of them."""
        made = [(key, value) for key, value in writes.items() if value is not None]
        if not made or self.full or machine in self._deleted:
            return False
        whole = int(dice.random() * len(made))
        key, value = made[whole]
        self.store(machine, {**dict(made[:whole]), key: Torn(value)})
        return True

    def has_unsynced(self, machine: str) -> bool:
        """Would the power, gone now, take something that this machine wrote?"""
        return any(name == machine for name, _ in self._unsynced)

    def peek(self, machine: str) -> Mapping[Any, Any]:
        """What is durable of a machine's, for who looks from outside."""
        return self._durable.get(machine, {})

    def read(self, machine: str) -> dict[Any, Any]:
        """What the machine finds when it starts. It opens its files anew: those that were deleted are gone."""
        self._deleted.pop(machine, None)
        return dict(self._durable.get(machine, {}))

    def damage(self, machine: str, key: Any) -> None:
        """A value is no longer what was written."""
        space = self._durable[machine]
        space[key] = Garbled(space[key])

    def preload(self, machine: str, content: Mapping[Any, Any]) -> None:
        """What a cluster that is handed over formed already has on its disks."""
        self._durable[machine] = dict(content)

    def wipe(self, machine: str, while_open: bool = False) -> None:
        """Delete all that the machine ever wrote, and what is on its way to the platter.

        `while_open`: under its feet. It goes on writing, into files that nobody will find again.
        """
        self._durable.pop(machine, None)
        if while_open:
            self._deleted[machine] = None
        else:
            self._unsynced = [pending for pending in self._unsynced if pending[0] != machine]


def _returned(event: simpy.Event, timeout: simpy.Event) -> None:
    event.succeed(timeout.value)
