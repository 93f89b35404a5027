"""What a leader knows of each member: Figure 2's nextIndex[] and matchIndex[], and etcd's flow control.

etcd tracker/progress.go, tracker/state.go, tracker/inflights.go. A member is in one of three states:

    PROBE      where do our logs agree? At most one message with entries per heartbeat round trip.
    REPLICATE  streaming: `next_index` runs ahead of the acknowledgments, limited by the in-flight window.
    SNAPSHOT   its log is too far behind: wait until it has the snapshot.

Read next: `replication.py`, which uses this record.
"""

from __future__ import annotations

from collections import deque
from enum import IntEnum


class ProgressState(IntEnum):
    PROBE = 0
    REPLICATE = 1
    SNAPSHOT = 2


PROBE = ProgressState.PROBE
REPLICATE = ProgressState.REPLICATE
SNAPSHOT = ProgressState.SNAPSHOT


class Inflights:
    """The messages on their way to one member: (index of their last entry, bytes), oldest first."""

    __slots__ = ("max_bytes", "max_count", "total_bytes", "window")

    def __init__(self, max_count: int, max_bytes: int = 0) -> None:
        self.max_count = max_count
        self.max_bytes = max_bytes  # 0: no limit
        self.window: deque[tuple[int, int]] = deque()
        self.total_bytes = 0

    def copy(self) -> Inflights:
        twin = Inflights(self.max_count, self.max_bytes)
        twin.window.extend(self.window)
        twin.total_bytes = self.total_bytes
        return twin

    def full(self) -> bool:
        """Asked before adding, so the last message may overshoot the bytes."""
        if len(self.window) >= self.max_count:
            return True
        return self.max_bytes != 0 and self.total_bytes >= self.max_bytes

    def add(self, last_index: int, size: int) -> None:
        assert not self.full(), f"the window is full, cannot add {last_index}"
        self.window.append((last_index, size))
        self.total_bytes += size

    def free_up_to(self, index: int) -> None:
        """Forget the messages whose last entry is acknowledged by `index` (etcd: `FreeLE`)."""
        window = self.window
        while window and window[0][0] <= index:
            self.total_bytes -= window.popleft()[1]

    def clear(self) -> None:
        self.window.clear()
        self.total_bytes = 0


class Progress:
    """The leader's record of one member (etcd: `tracker.Progress`)."""

    __slots__ = (
        "inflights",
        "is_learner",
        "match_index",
        "next_index",
        "paused",
        "pending_snapshot",
        "recent_active",
        "sent_commit",
        "state",
    )

    def __init__(self, next_index: int, inflights: Inflights, is_learner: bool = False) -> None:
        self.match_index = 0
        self.next_index = next_index
        self.inflights = inflights
        self.is_learner = is_learner
        self.recent_active = True  # a newcomer must not depose the leader before it could answer
        self.restart(0, next_index)

    def restart(self, match_index: int, next_index: int) -> None:
        """Forget what was known in earlier terms; activity is for the caller."""
        self.match_index = match_index
        self.next_index = next_index
        self.sent_commit = 0
        self._enter(PROBE)

    def copy(self) -> Progress:
        """A record to look at, or to change while a new configuration is tried out."""
        twin = Progress.__new__(Progress)
        for name in Progress.__slots__:
            setattr(twin, name, getattr(self, name))
        twin.inflights = self.inflights.copy()
        return twin

    def _enter(self, state: ProgressState) -> None:
        self.paused = False
        self.pending_snapshot = 0
        self.state = state
        self.inflights.clear()

    def become_probe(self) -> None:
        """After a snapshot, go on behind it; else from what is known to match."""
        next_index = self.match_index + 1
        if self.state is SNAPSHOT:
            next_index = max(next_index, self.pending_snapshot + 1)
        self._enter(PROBE)
        self.next_index = next_index
        self.sent_commit = min(self.sent_commit, next_index - 1)

    def become_replicate(self) -> None:
        self._enter(REPLICATE)
        self.next_index = self.match_index + 1

    def become_snapshot(self, index: int) -> None:
        self._enter(SNAPSHOT)
        self.pending_snapshot = index
        self.next_index = index + 1
        self.sent_commit = index

    def is_paused(self) -> bool:
        return self.paused or self.state is SNAPSHOT

    def sent_entries(self, count: int, size: int) -> None:
        """An AppendEntries with `count` entries left. An empty one does not pause a probe."""
        if self.state is REPLICATE:
            if count:
                self.next_index += count
                self.inflights.add(self.next_index - 1, size)
            # A window that is full lets one more message out per heartbeat response, as a probe.
            self.paused = self.inflights.full()
        elif count:
            self.paused = True

    def can_bump_commit(self, commit_index: int) -> bool:
        """Is telling the commit index news? Not if the last one told reaches everything that was sent."""
        return commit_index > self.sent_commit and self.sent_commit < self.next_index - 1

    def maybe_update(self, index: int) -> bool:
        """The member acknowledged `index`: false if that is old news (Figure 2: update nextIndex, matchIndex)."""
        if index <= self.match_index:
            return False
        self.match_index = index
        self.next_index = max(self.next_index, index + 1)
        self.paused = False
        return True

    def maybe_decrement(self, rejected: int, hint: int) -> bool:
        """The member refused `rejected`: false if that is old news (Figure 2: decrement nextIndex and retry)."""
        if self.state is REPLICATE:
            if rejected <= self.match_index:
                return False
            self.next_index = self.match_index + 1
        else:
            # A probe is always at next_index - 1: anything else was refused before.
            if rejected != self.next_index - 1:
                return False
            self.next_index = max(min(rejected, hint + 1), self.match_index + 1)
            self.paused = False
        self.sent_commit = min(self.sent_commit, self.next_index - 1)
        return True
