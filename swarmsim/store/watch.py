"""Watching the store: what commits changed, from now on or from an earlier version on.

SwarmKit manager/state/store/memory.go `WatchFrom`, watch/queue, api/storeobject.go. A watch sees the changes that one
of its specifiers matches, commit by commit, and after those of each commit a `CommitEvent`, also where nothing matched.
What lies in the past comes from the Raft log, as far as that has not been compacted; there, nobody knows any more what
the objects were before. Leader-only components are not told this way but by `Committed` messages (`manager.component`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from .actions import Action, ActionKind, Change


class CommitEvent(NamedTuple):
    """The end of a commit. `version` None: of a batch, of a snapshot, or of another manager's transaction."""

    version: int | None


class Specifier(NamedTuple):
    """Changes of one kind of object; `holds`, if any, is asked about the object."""

    kind: type
    actions: tuple[ActionKind, ...] = tuple(ActionKind)
    holds: Callable[[Any], bool] | None = None

    def matches(self, change: Change) -> bool:
        if type(change.new) is not self.kind or change.kind not in self.actions:
            return False
        return self.holds is None or self.holds(change.new)


Event = Change | CommitEvent
#: What the Raft log has between two indexes, the first excluded: (index, actions). Raises `ApiError`.
ChangesBetween = Callable[[int, int], Sequence[tuple[int, Sequence[Action]]]]


class Watch:
    """`events` waits to be taken. It grows without limit while nobody does, as the original's queues do."""

    def __init__(self, specifiers: Iterable[Specifier]) -> None:
        self._specifiers = tuple(specifiers)
        self.events: deque[Event] = deque()

    def see(self, changes: Iterable[Change], version: int | None) -> None:
        self.events += [c for c in changes if any(s.matches(c) for s in self._specifiers)]
        self.events.append(CommitEvent(version))

    def take(self) -> list[Event]:
        """All that has come so far."""
        taken = list(self.events)
        self.events.clear()
        return taken


class WatchQueue:
    """The watches of one store; it is false while there is none."""

    def __init__(self) -> None:
        self._watches: dict[Watch, None] = {}

    def __bool__(self) -> bool:
        return bool(self._watches)

    def open(self, specifiers: Iterable[Specifier]) -> Watch:
        """From the next commit on."""
        watch = Watch(specifiers)
        self._watches[watch] = None
        return watch

    def open_from(
        self, version: int, current: int, changes_between: ChangesBetween, specifiers: Iterable[Specifier]
    ) -> Watch:
        """As if it had been there since just after `version`. Raises `ApiError` where the log does not reach so far."""
        past = changes_between(version, current)
        watch = self.open(specifiers)
        for index, actions in past:
            watch.see([Change(a.kind, None, a.new, a.cause) for a in actions], index)
        return watch

    def close(self, watch: Watch) -> None:
        self._watches.pop(watch, None)

    def publish(self, changes: Sequence[Change], version: int | None) -> None:
        for watch in self._watches:
            watch.see(changes, version)
