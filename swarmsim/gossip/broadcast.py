"""The broadcast queue: who is told how often (memberlist queue.go, `TransmitLimitedQueue`).

A statement is sent `retransmit_mult * ceil(log10(n + 1))` times and then forgotten; a newer statement with
the same key replaces an older one, whatever its type. `spread` decides who is told and when.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Hashable
from typing import NamedTuple

from .messages import Statement, size


def retransmit_limit(mult: int, n: int) -> int:
    """memberlist util.go `retransmitLimit`: mult * ceil(log10(n + 1)), without floating point."""
    digits = 0
    while 10**digits < n + 1:
        digits += 1
    return mult * digits


#: No statement is shorter: a packet with less room is full.
SHORTEST = 16


class Item(NamedTuple):
    """Sorts as memberlist sends: fewest transmits, then longest, then newest."""

    transmits: int
    minus_size: int
    minus_id: int
    key: Hashable
    statement: Statement


class Queue:
    """Statements that are still to be sent."""

    __slots__ = ("_by_key", "_items", "_next_id")

    def __init__(self) -> None:
        self._items: list[Item] = []
        self._by_key: dict[Hashable, Item] = {}
        self._next_id = 0

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._by_key

    def statements(self) -> list[Statement]:
        """In the order of sending."""
        return [item.statement for item in self._items]

    def insert(
        self,
        key: Hashable,
        statement: Statement,
        transmits: int = 0,
        length: int | None = None,
    ) -> None:
        """Queue a statement; what was queued under the same key is forgotten."""
        old = self._by_key.get(key)
        if old is not None:
            self._items.remove(old)
        self._next_id += 1
        length = size(statement) if length is None else length
        item = Item(transmits, -length, -self._next_id, key, statement)
        self._by_key[key] = item
        insort(self._items, item)

    def fetch(self, overhead: int, room: int, limit: int) -> tuple[list[Statement], int]:
        """Take what fits into `room` bytes, each with `overhead`; gives the statements and the room that is
        left.
        """
        taken: list[Item] = []
        kept: list[Item] = []
        for position, item in enumerate(self._items):
            if room < SHORTEST + overhead:
                kept.extend(self._items[position:])
                break
            need = overhead - item.minus_size
            if need > room:
                kept.append(item)
                continue
            room -= need
            taken.append(item)
        if taken:
            self._items = kept
            for item in taken:
                self._spend(item, limit)
        return [item.statement for item in taken], room

    def _spend(self, item: Item, limit: int) -> None:
        if item.transmits + 1 >= limit:
            del self._by_key[item.key]
            return
        again = item._replace(transmits=item.transmits + 1)
        self._by_key[item.key] = again
        insort(self._items, again)
