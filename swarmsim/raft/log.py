"""The replicated log (section 5.3) with the pointers into it, and its compacted prefix (section 7).

etcd log.go, log_unstable.go and storage.go in one object: the log holds what is durable and what is not yet.

    first_index ..... unstable_from ..... handed_out_to ..... last_index
    | durable        | being written     | not handed out yet |

    last_applied <= applying <= commit_index

What lies before `first_index` is compacted; of the entry at `first_index - 1` the term is still known.
Departure: etcd keeps the durable part in the application's storage and reads it there. Here `stable_to` moves a
pointer, and the driver writes what each Ready says; the views are the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from swarmsim.errors import Panic
from swarmsim.raft.messages import (
    NO_LIMIT,
    Compacted,
    Entry,
    Snapshot,
    SnapshotOutOfDate,
    encoded_size,
)

#: etcd log.go `commitTo`, word for word, for these words are what people search for.
TO_COMMIT = "tocommit({}) is out of range [lastIndex({})]. Was the raft log corrupted, truncated, or lost?"


def limit_size(entries: list[Entry], max_size: int) -> list[Entry]:
    """The longest prefix within `max_size` encoded bytes, but at least one entry (etcd util.go, `limitSize`)."""
    if len(entries) <= 1 or max_size >= NO_LIMIT:
        return entries
    total = 0
    for count, entry in enumerate(entries):
        total += encoded_size((entry,))
        if total > max_size and count:
            return entries[:count]
    return entries


class RaftLog:
    """Entries and the pointers into them. All indexes are Raft's, from 1."""

    __slots__ = (
        "_base_term",
        "_entries",
        "applying",
        "applying_paused",
        "applying_size",
        "commit_index",
        "first_index",
        "handed_out_to",
        "last_applied",
        "last_index",
        "max_applying_size",
        "snapshot",
        "snapshot_handed_out",
        "unstable_from",
        "unstable_snapshot",
    )

    def __init__(
        self,
        snapshot: Snapshot | None = None,
        entries: Sequence[Entry] = (),
        max_applying_size: int = NO_LIMIT,
    ) -> None:
        """Recover from what a disk holds: all of it is durable, and what the snapshot covers is committed.

        Entries that the snapshot covers are dropped. If the entry at the snapshot's index has another term, the
        crash came between installing the snapshot and cutting the log: all entries go (Figure 13, rules 6 and 7).
        """
        self._base_term = snapshot.term if snapshot else 0
        self.first_index = snapshot.index + 1 if snapshot else 1
        kept = [entry for entry in entries if entry.index >= self.first_index]
        if any(e.index == self.first_index - 1 and e.term != self._base_term for e in entries):
            kept = []
        for index, entry in enumerate(kept, self.first_index):
            assert entry.index == index, f"the log has a hole: {index} is missing before {entry.index}"
        self._entries = kept
        self.last_index = self.first_index + len(kept) - 1
        self.unstable_from = self.handed_out_to = self.last_index + 1
        self.snapshot = snapshot  # the newest durable one
        self.unstable_snapshot: Snapshot | None = None
        self.snapshot_handed_out = False
        self.commit_index = self.applying = self.last_applied = self.first_index - 1
        self.max_applying_size = max_applying_size
        self.applying_size = 0
        self.applying_paused = False

    # -- looking --
    def term(self, index: int) -> int | None:
        """Term of the entry at `index`, or None: it is compacted, or not there yet."""
        offset = index - self.first_index
        if offset >= 0:
            return self._entries[offset].term if index <= self.last_index else None
        return self._base_term if offset == -1 else None

    def last_term(self) -> int:
        """Term of the last entry, or of the compacted prefix if there is none."""
        return self._entries[-1].term if self._entries else self._base_term

    def matches(self, index: int, term: int) -> bool:
        """Does the log hold that entry? (0, 0) matches every log that was never compacted."""
        return self.term(index) == term

    def slice(self, low: int, high: int, max_size: int = NO_LIMIT) -> list[Entry]:
        """Entries of [low, high), as many as `max_size` allows, at least one."""
        assert low <= high, f"slice [{low}, {high}) ends before it begins"
        if low < self.first_index:
            raise Compacted(f"{low} is compacted, the log begins at {self.first_index}")
        assert high <= self.last_index + 1, f"slice [{low}, {high}) ends beyond {self.last_index}"
        return limit_size(self._entries[low - self.first_index : high - self.first_index], max_size)

    def entries_from(self, index: int, max_size: int = NO_LIMIT) -> list[Entry]:
        """Entries from `index` to the end, as many as `max_size` allows."""
        if index > self.last_index:
            return []
        return self.slice(index, self.last_index + 1, max_size)

    def find_conflict_by_term(self, index: int, term: int) -> tuple[int, int]:
        """The last place at or before `index` whose term is not above `term`; term 0 if it is unknown.

        Section 5.3, "the protocol can be optimized": both sides of a refusal use it, so that one probe per term
        is enough (etcd log.go, `findConflictByTerm`).
        """
        while index > 0:
            here = self.term(index)
            if here is None:
                return index, 0
            if here <= term:
                return index, here
            index -= 1
        return 0, 0

    # -- growing --
    def append(self, entries: Sequence[Entry]) -> int:
        """Add entries, cutting what stands from their first index on; returns the last index."""
        first = entries[0].index
        if first <= self.commit_index:
            raise Panic(f"entry {first} conflicts with committed entry [committed({self.commit_index})]")
        assert first <= self.last_index + 1, f"a hole: {first} does not follow {self.last_index}"
        if first <= self.last_index:
            del self._entries[first - self.first_index :]
        self._entries.extend(entries)
        self.last_index = entries[-1].index
        if first < self.unstable_from:
            self.unstable_from = self.handed_out_to = first
        elif first < self.handed_out_to:
            self.handed_out_to = first
        return self.last_index

    def first_new(self, entries: Sequence[Entry]) -> int:
        """Position in `entries` of the first that the log does not hold, or their number (Figure 2, AE 3)."""
        for position, entry in enumerate(entries):
            if self.term(entry.index) != entry.term:
                return position
        return len(entries)

    def commit_to(self, index: int) -> None:
        """Raise the commit index, never lower it."""
        if index > self.commit_index:
            if index > self.last_index:
                raise Panic(TO_COMMIT.format(index, self.last_index))
            self.commit_index = index

    # -- becoming durable --
    def next_unstable(self) -> list[Entry]:
        """Entries to write that were not handed out yet."""
        return self._entries[self.handed_out_to - self.first_index :]

    def next_unstable_snapshot(self) -> Snapshot | None:
        return None if self.snapshot_handed_out else self.unstable_snapshot

    def accept_unstable(self) -> None:
        """All that was unstable has been handed out for writing."""
        self.handed_out_to = self.last_index + 1
        self.snapshot_handed_out = self.unstable_snapshot is not None

    def stable_to(self, index: int, term: int) -> None:
        """Durable up to `index`, unless that entry was replaced meanwhile (etcd log_unstable.go, `stableTo`)."""
        if index < self.unstable_from or self.term(index) != term:
            return
        self.unstable_from = index + 1
        self.handed_out_to = max(self.handed_out_to, index + 1)

    def stable_snapshot_to(self, index: int) -> None:
        if self.unstable_snapshot is not None and self.unstable_snapshot.index == index:
            self.snapshot = self.unstable_snapshot
            self.unstable_snapshot = None
            self.snapshot_handed_out = False

    # -- being applied --
    def has_next_committed(self) -> bool:
        return self.applying < self.commit_index and not self.applying_paused and self.unstable_snapshot is None

    def next_committed(self) -> list[Entry]:
        """Committed entries to apply, within what is left of the limit (etcd log.go, `nextCommittedEnts`)."""
        if not self.has_next_committed():
            return []
        return self.slice(self.applying + 1, self.commit_index + 1, self.max_applying_size - self.applying_size)

    def accept_applying(self, index: int, size: int) -> None:
        """Entries up to `index` were handed out; wait for an acknowledgment if the limit cut them short."""
        self.applying = index
        self.applying_size += size
        self.applying_paused = self.applying_size >= self.max_applying_size or index < self.commit_index

    def applied_to(self, index: int, size: int) -> None:
        """Entries up to `index`, `size` bytes of them, are applied (Figure 2, lastApplied)."""
        if not self.last_applied <= index <= self.commit_index:
            known = f"prevApplied({self.last_applied}), committed({self.commit_index})"
            raise Panic(f"applied({index}) is out of range [{known}]")
        self.last_applied = index
        self.applying = max(self.applying, index)
        self.applying_size = max(0, self.applying_size - size)
        self.applying_paused = self.applying_size >= self.max_applying_size

    # -- forgetting --
    def restore(self, snapshot: Snapshot) -> None:
        """Replace everything by a snapshot from the leader (Figure 13, rule 7)."""
        self._entries.clear()
        self._base_term = snapshot.term
        self.first_index = self.unstable_from = self.handed_out_to = snapshot.index + 1
        self.last_index = self.commit_index = snapshot.index
        self.unstable_snapshot = snapshot
        self.snapshot_handed_out = False

    def keep_snapshot(self, snapshot: Snapshot) -> None:
        """A newer snapshot of our own is durable (etcd storage.go, `CreateSnapshot`)."""
        if self.snapshot is not None and snapshot.index <= self.snapshot.index:
            raise SnapshotOutOfDate(f"there is a snapshot at {self.snapshot.index}, newer than {snapshot.index}")
        self.snapshot = snapshot

    def compact(self, index: int) -> None:
        """Drop the entries up to and including `index` (etcd storage.go, `Compact`)."""
        if index < self.first_index:
            raise Compacted(f"{index} is compacted, the log begins at {self.first_index}")
        assert index <= self.commit_index, f"cannot compact {index}, committed is {self.commit_index}"
        assert index < self.handed_out_to, f"cannot compact {index}, which was never handed out to be written"
        offset = index - self.first_index
        self._base_term = self._entries[offset].term
        del self._entries[: offset + 1]
        self.first_index = index + 1
