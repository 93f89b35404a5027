"""What a member has on its disk: the write-ahead log and the snapshots, both encrypted.

SwarmKit manager/state/raft/storage.go and storage/ (`EncryptedRaftLogger`, `ReadRepairWAL`), etcd server/storage/wal
and snap. The log is a row of records, only ever added to: which member this is, entries, hard states, and where
snapshots were made. It is cut into segments; those that no snapshot needs any more are deleted.

What a start finds (`Storage.open`):

* A record that is half there, at the end: the power went while it was written. It is cut off, once (`wal.Repair`).
* A record that is wrong: refused. Nobody can say what stood there, and what follows may depend on it.
* A snapshot that cannot be read: put aside (`.broken`), an older one is taken. Without one the log must reach back to
  its very beginning; if it does not, the start is refused.
* Records written with a key that this node does not have: refused.

A key is modelled by its name, encryption by the name that each record carries. A record's place on the disk is a number
that grows (`(seq) -> Record`), a snapshot's its index (`("snap", index) -> Record`).
Departures: a segment holds 4 MiB of what the core counts as bytes, a sixteenth of etcd's 64 MiB, for entries are
counted here with a sixteenth of what they take there. Broken snapshots are deleted instead of renamed. Entries that a
leader's snapshot made void stay so after a restart; etcd reads them again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple

from ...machine import Garbled, Torn
from ...raft.messages import Entry, HardState, Snapshot

#: etcd wal.go `SegmentSizeBytes`, by the core's measure.
SEGMENT_BYTES = 4 << 20
#: What a record takes beside its data.
RECORD_BYTES = 32

CANNOT_DECRYPT = "no decryption error using NACL secretbox"  # encryption/nacl.go, word for word
CRC_MISMATCH = "walpb: crc mismatch"
FILE_NOT_FOUND = "wal: file not found"


class Kind(Enum):
    """etcd wal.go: the types of a record. `SEGMENT` is a file's name: the index that it begins behind."""

    SEGMENT = "segment"
    METADATA = "metadata"
    ENTRY = "entry"
    STATE = "state"
    SNAPSHOT = "snapshot"


class Record(NamedTuple):
    kind: Kind
    data: Any
    key: str = ""  # that it is encrypted with; only entries and snapshots are (storage/walwrap.go, snapwrap.go)


class Keys(NamedTuple):
    """A node's data encryption keys, by name: headers of its TLS key (manager/deks.go).

    `pending`: a new one, while the log is being rewritten with it.
    """

    current: str
    pending: str = ""

    @property
    def writing(self) -> str:
        return self.pending or self.current


class LogRefused(Exception):
    """The member cannot start from what its disk holds."""


class Recovered(NamedTuple):
    """What a disk held."""

    raft_id: int
    snapshot: Snapshot | None
    entries: Sequence[Entry]
    hard_state: HardState
    torn: str = ""  # the record that was cut off
    broken: tuple[int, ...] = ()  # indices of snapshots that could not be read
    rotated: bool = False  # all of it is written with the pending key

    @property
    def blank(self) -> bool:
        """Has it never written an entry or a snapshot?"""
        return self.snapshot is None and not self.entries


NOTHING = Recovered(0, None, (), HardState())

Writes = dict[Any, Any]


class Segment(NamedTuple):
    first: int  # seq of its first record
    behind: int  # the index of the last entry before it


class Storage:
    """The writer: turns what must be kept into records for the disk, and remembers where they are."""

    def __init__(self, keys: Keys, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.keys = keys
        self.recovered = NOTHING
        self.segment_bytes = segment_bytes
        self.raft_id = 0
        self.snapshots: list[int] = []  # indices of those that are kept, oldest first
        self.segments: list[Segment] = []
        self._next = 0
        self._bytes = 0  # in the last segment
        self._last_index = 0
        self._state: HardState | None = None

    # -- reading --
    @classmethod
    def open(cls, saved: Mapping[Any, Any], keys: Keys, segment_bytes: int = SEGMENT_BYTES) -> tuple[Storage, Writes]:
        """Read a disk; raises `LogRefused`. The writes are the repair, to be made before anything else."""
        storage = cls(keys, segment_bytes)
        records = _log(saved)
        if not records:
            return storage, {}
        snapshot, broken = _newest_snapshot(saved, keys)
        begin = _beginning(records, snapshot.index if snapshot else 0)
        read, cut = _read_from(records, begin)
        storage.recovered = _replay(read, snapshot, keys)._replace(torn=_name(records, cut), broken=broken)
        repair: Writes = dict.fromkeys([seq for seq in records if seq >= cut] if cut >= 0 else [])
        repair |= {("snap", index): None for index in broken}
        storage._find_places(saved, repair)
        return storage, repair

    def _find_places(self, saved: Mapping[Any, Any], repair: Writes) -> None:
        """Where to go on writing."""
        recovered = self.recovered
        self.raft_id = recovered.raft_id
        self.snapshots = [index for index in snapshot_indices(saved) if ("snap", index) not in repair]
        kept = {seq: record for seq, record in _log(saved).items() if seq not in repair}
        self._next = max(kept, default=-1) + 1
        starts = [seq for seq, record in kept.items() if type(record) is Record and record.kind is Kind.SEGMENT]
        self.segments = [Segment(seq, kept[seq].data) for seq in starts]
        self._bytes = sum(_size(kept[seq]) for seq in kept if seq >= max(starts, default=0))
        snapshot = recovered.snapshot
        self._last_index = recovered.entries[-1].index if recovered.entries else snapshot.index if snapshot else 0
        self._state = recovered.hard_state

    # -- writing --
    def create(self, raft_id: int) -> Writes:
        """An empty log that says whose it is."""
        writes: Writes = {}
        self.raft_id = raft_id
        self._cut(writes)
        return writes

    def begin_at(self, snapshot: Snapshot, state: HardState) -> Writes:
        """A log that reaches back to a snapshot and no further, as one has whose older segments are deleted."""
        writes: Writes = {}
        self._last_index, self._state, self.segments = snapshot.index, state, []
        self._cut(writes)
        writes |= self.save_snapshot(snapshot, 0)
        return writes

    def save(self, snapshot: Snapshot | None, entries: Sequence[Entry], state: HardState | None, keep: int) -> Writes:
        """Snapshot first, then entries, then hard state, so that a commit index never points beyond the log.

        raft.go `saveToStorage`, wal.go `Save`. `keep`: how many older snapshots stay.
        """
        writes: Writes = {}
        if snapshot is not None:
            writes = self.save_snapshot(snapshot, keep)
            self._last_index = max(self._last_index, snapshot.index)
        for entry in entries:
            self._add(writes, Record(Kind.ENTRY, entry, self.keys.writing), entry.size)
        if entries:
            self._last_index = entries[-1].index
        if state is not None:
            self._state = state
            self._add(writes, Record(Kind.STATE, state))
        if self._bytes > self.segment_bytes:
            self._cut(writes)
        return writes

    def save_snapshot(self, snapshot: Snapshot, keep: int) -> Writes:
        """Its place in the log, then the file; then what is older than the oldest that is kept goes (`GC`)."""
        writes: Writes = {}
        self._add(writes, Record(Kind.SNAPSHOT, (snapshot.index, snapshot.term)))
        writes["snap", snapshot.index] = Record(Kind.SNAPSHOT, snapshot, self.keys.writing)
        if snapshot.index not in self.snapshots:
            self.snapshots = sorted([*self.snapshots, snapshot.index])
        gone, self.snapshots = self.snapshots[: -1 - keep], self.snapshots[-1 - keep :]
        for index in gone:
            writes["snap", index] = None
        self._release(writes)
        return writes

    def _release(self, writes: Writes) -> None:
        """Delete the segments that end before the oldest snapshot."""
        oldest = self.snapshots[0]
        while len(self.segments) > 1 and self.segments[1].behind <= oldest:
            first, after = self.segments.pop(0).first, self.segments[0].first
            writes.update(dict.fromkeys(range(first, after)))

    def _add(self, writes: Writes, record: Record, size: int = 0) -> None:
        writes[self._next] = record
        self._next += 1
        self._bytes += size + RECORD_BYTES

    def _cut(self, writes: Writes) -> None:
        """Begin a segment: it repeats whose log it is and how things stand, so that it can be read by itself."""
        self.segments.append(Segment(self._next, self._last_index))
        self._bytes = 0
        self._add(writes, Record(Kind.SEGMENT, self._last_index))
        self._add(writes, Record(Kind.METADATA, self.raft_id))
        if self._state is not None:
            self._add(writes, Record(Kind.STATE, self._state))


# -- where things are, for who damages them --
def log_places(saved: Mapping[Any, Any]) -> list[int]:
    """The records that a start would read."""
    indices = snapshot_indices(saved)
    records = _log(saved)
    begin = _beginning(records, indices[-1] if indices else 0) if records else 0
    return [seq for seq in records if seq >= begin]


def snapshot_indices(saved: Mapping[Any, Any]) -> list[int]:
    """Of the snapshots on a disk, oldest first."""
    return sorted(key[1] for key in saved if type(key) is tuple)


# -- reading --
def _log(saved: Mapping[Any, Any]) -> dict[int, Any]:
    """The records, in order."""
    return {seq: saved[seq] for seq in sorted(key for key in saved if type(key) is int)}


def _newest_snapshot(saved: Mapping[Any, Any], keys: Keys) -> tuple[Snapshot | None, tuple[int, ...]]:
    """The newest that is whole; those before it that are not (etcd snapshotter.go `Load`)."""
    broken: list[int] = []
    for index in reversed(snapshot_indices(saved)):
        record = saved["snap", index]
        if type(record) is Record:
            if record.key not in keys:
                raise LogRefused(CANNOT_DECRYPT)
            return record.data, tuple(broken)
        broken.append(index)
    return None, tuple(broken)


def _beginning(records: Mapping[int, Any], index: int) -> int:
    """Where to read from: the last segment that begins at or before the snapshot (wal.go `searchIndex`).

    A segment's beginning is its file's name, so it is known even where its records are damaged.
    """
    begin = -1
    for seq, found in records.items():
        record = found.value if type(found) is not Record else found
        if record.kind is Kind.SEGMENT and record.data <= index:
            begin = seq
    if begin < 0:
        raise LogRefused(f"failed to open WAL: {FILE_NOT_FOUND}")
    return begin


def _read_from(records: Mapping[int, Any], begin: int) -> tuple[list[Record], int]:
    """The records from there on, and the seq of a torn one, where reading ends (-1: none)."""
    read: list[Record] = []
    for seq, record in records.items():
        if seq < begin:
            continue
        if type(record) is Torn:
            return read, seq
        if type(record) is Garbled:
            raise LogRefused(f"irreparable WAL error: {CRC_MISMATCH}")
        read.append(record)
    return read, -1


def _name(records: Mapping[int, Any], cut: int) -> str:
    """`entry 57`, `state`."""
    if cut < 0:
        return ""
    record: Record = records[cut].value
    return f"entry {record.data.index}" if record.kind is Kind.ENTRY else record.kind.value


def _replay(read: Iterable[Record], snapshot: Snapshot | None, keys: Keys) -> Recovered:
    """Put the records together: an entry takes the place of what stood at its index and after (wal.go `ReadAll`)."""
    replay = _Replay(snapshot)
    for record in read:
        replay.take(record)
    if not replay.matched:
        raise LogRefused("irreparable WAL error: wal: snapshot not found")
    if any(key not in keys for key in replay.used):
        raise LogRefused(f"failed to decrypt WAL: {CANNOT_DECRYPT}")
    rotated = bool(keys.pending) and list(replay.used) == [keys.pending]
    return Recovered(replay.raft_id, snapshot, replay.entries, replay.state, rotated=rotated)


class _Replay:
    """What the records read so far come to."""

    def __init__(self, snapshot: Snapshot | None) -> None:
        self.index, self.term = (snapshot.index, snapshot.term) if snapshot is not None else (0, 0)
        self.matched = snapshot is None
        self.raft_id = 0
        self.state = HardState()
        self.entries: list[Entry] = []
        self.used: dict[str, None] = {}  # keys that entries are encrypted with
        self._term_there = 0  # of the log's entry at the snapshot's index

    def take(self, record: Record) -> None:
        if record.kind is Kind.ENTRY:
            self.used[record.key] = None
            self._place(record.data)
        elif record.kind is Kind.STATE:
            self.state = record.data
        elif record.kind is Kind.METADATA:
            self.raft_id = record.data
        elif record.kind is Kind.SNAPSHOT and record.data[0] == self.index:
            self._match(record.data[1])

    def _place(self, entry: Entry) -> None:
        offset = entry.index - self.index - 1
        if offset < 0:
            if offset == -1:
                self._term_there = entry.term
            self.entries.clear()  # it takes the place of what stood after it
            return
        if offset > len(self.entries):
            raise LogRefused("irreparable WAL error: wal: slice bounds out of range")
        del self.entries[offset:]
        self.entries.append(entry)

    def _match(self, term: int) -> None:
        """Here the snapshot was made, or came from a leader whose log was another (Figure 13, rule 7)."""
        if term != self.term:
            raise LogRefused("irreparable WAL error: wal: snapshot mismatch")
        self.matched = True
        if self._term_there not in (0, term):
            self.entries.clear()


def _size(record: Any) -> int:
    return RECORD_BYTES + (record.data.size if type(record) is Record and record.kind is Kind.ENTRY else 0)
