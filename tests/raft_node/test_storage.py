"""What a member writes to its disk, and what a start makes of what it finds (`manager.raft_node.storage`)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmsim.machine import Garbled, Torn
from swarmsim.manager.raft_node.storage import (
    Keys,
    Kind,
    LogRefused,
    Record,
    Recovered,
    Storage,
    log_places,
    snapshot_indices,
)
from swarmsim.raft.messages import ConfState, Entry, HardState, Snapshot

KEY = Keys("key 1")
GROUP = ConfState((1,))


def entry(index: int, term: int = 1, size: int = 0) -> Entry:
    return Entry(term, index, data=f"{term}/{index}", size=size)


def entries(first: int, last: int, term: int = 1, size: int = 0) -> list[Entry]:
    return [entry(index, term, size) for index in range(first, last + 1)]


class Disk:
    """The durable keys of one member, and the storage that writes them."""

    def __init__(self, keys: Keys = KEY, **settings: Any) -> None:
        self.content: dict[Any, Any] = {}
        self.storage = Storage(keys, **settings)
        self.write(self.storage.create(7))

    def write(self, writes: dict[Any, Any]) -> None:
        for key, value in writes.items():
            if value is None:
                self.content.pop(key, None)
            else:
                self.content[key] = value

    def append(self, new: list[Entry], state: HardState | None = None) -> None:
        self.write(self.storage.save(None, new, state, 0))

    def snapshot(self, index: int, term: int = 1, keep: int = 0) -> None:
        self.write(self.storage.save_snapshot(Snapshot(index, term, GROUP, f"store at {index}"), keep))

    def start(self, keys: Keys | None = None) -> Recovered:
        """A restart: what is found, after the repair."""
        self.storage, repair = Storage.open(self.content, keys or self.storage.keys, self.storage.segment_bytes)
        self.write(repair)
        return self.storage.recovered

    def indices(self) -> list[int]:
        return [e.index for e in self.start().entries]

    def find(self, kind: Kind, nth: int = -1) -> int:
        found = [seq for seq, r in self.content.items() if type(r) is Record and r.kind is kind and type(seq) is int]
        return found[nth]


# ---- what was written is found ---------------------------------------------------------------------------------


def test_a_new_disk_holds_nothing() -> None:
    storage, repair = Storage.open({}, KEY)

    assert storage.recovered.blank
    assert (storage.segments, repair) == ([], {})


def test_entries_hard_state_and_whose_log_it_is_survive_a_restart() -> None:
    disk = Disk()
    disk.append(entries(1, 3), HardState(1, 2, 0))
    disk.append(entries(4, 5), HardState(2, 3, 3))

    found = disk.start()

    assert found == Recovered(7, None, entries(1, 5), HardState(2, 3, 3))


def test_an_entry_takes_the_place_of_what_stood_there_and_after() -> None:
    """etcd wal.go `ReadAll`: records are only added, so the last one at an index counts, and cuts."""
    disk = Disk()
    disk.append(entries(1, 5))
    disk.append(entries(3, 3, term=2))

    assert disk.start().entries == [*entries(1, 2), entry(3, term=2)]


def test_a_restart_goes_on_writing_where_the_log_ends() -> None:
    disk = Disk()
    disk.append(entries(1, 3), HardState(1, 1, 2))
    disk.start()
    disk.append(entries(4, 4))

    found = disk.start()

    assert [e.index for e in found.entries] == [1, 2, 3, 4]
    assert found.hard_state == HardState(1, 1, 2)


def test_reading_begins_behind_the_newest_snapshot() -> None:
    disk = Disk()
    disk.append(entries(1, 6), HardState(1, 1, 6))
    disk.snapshot(4)

    found = disk.start()

    assert found.snapshot is not None
    assert (found.snapshot.index, [e.index for e in found.entries]) == (4, [5, 6])


def test_a_leaders_snapshot_voids_a_log_that_was_another() -> None:
    """Raft Figure 13, rule 7: entry 5 was of term 1 here, the snapshot says term 2, so 6 is void as well."""
    disk = Disk()
    disk.append(entries(1, 6))
    disk.write(disk.storage.save(Snapshot(5, 2, GROUP, ""), [], HardState(2, 0, 5), 0))

    found = disk.start()

    assert (found.entries, found.hard_state) == ([], HardState(2, 0, 5))


def test_snapshots_stay_as_long_as_keep_old_snapshots_says() -> None:
    """KeepOldSnapshots: so many besides the newest (storage.go `GC`)."""
    disk = Disk()
    disk.append(entries(1, 9))
    for index in (2, 4, 6):
        disk.snapshot(index, keep=1)
    with_one_old = snapshot_indices(disk.content)
    disk.snapshot(8, keep=0)

    assert (with_one_old, snapshot_indices(disk.content)) == ([4, 6], [8])


# ---- segments --------------------------------------------------------------------------------------------------


def test_files_of_the_log_that_end_before_the_oldest_snapshot_are_deleted() -> None:
    """C-028 TestGCWAL: a snapshot just as the log has begun a second file leaves both; one later, the first goes."""
    rotated = Disk(segment_bytes=64 << 10)
    for index in range(1, 8):
        rotated.append([entry(index, size=10_000)], HardState(1, 1, index))
    files = len(rotated.storage.segments)
    rotated.snapshot(6)
    at_rotation = len(rotated.storage.segments)
    rotated.append([entry(8, size=10_000)])
    rotated.snapshot(8)

    assert (files, at_rotation, len(rotated.storage.segments)) == (2, 2, 1)
    assert rotated.start().hard_state == HardState(1, 1, 7)  # repeated at the beginning of each file
    assert (snapshot_indices(rotated.content), rotated.storage.raft_id) == ([8], 7)


def test_a_file_that_a_snapshot_needs_stays_with_it() -> None:
    disk = Disk(segment_bytes=100)
    for index in range(1, 9):
        disk.append([entry(index, size=40)])
    disk.snapshot(3, keep=1)
    disk.snapshot(7, keep=1)

    first = min(disk.content[segment.first].data for segment in disk.storage.segments)

    assert first <= 3
    assert first > 0
    assert disk.start().snapshot == Snapshot(7, 1, GROUP, "store at 7")


# ---- a torn end ------------------------------------------------------------------------------------------------


def test_a_torn_last_record_is_cut_off_and_the_start_goes_on() -> None:
    """C-032 TestReadRepairWAL: a file that ends in the middle of a record is repaired; whose log it is stays known."""
    disk = Disk()
    disk.append(entries(1, 3), HardState(1, 1, 2))
    disk.content[max(disk.content) + 1] = Torn(Record(Kind.ENTRY, entry(4), "key 1"))

    found = disk.start()

    assert ([e.index for e in found.entries], found.torn, found.raft_id) == ([1, 2, 3], "entry 4", 7)
    assert not any(type(value) is Torn for value in disk.content.values())
    assert disk.start().torn == ""


def test_after_a_repair_the_same_index_is_written_again() -> None:
    disk = Disk()
    disk.append(entries(1, 3))
    disk.content[max(disk.content) + 1] = Torn(Record(Kind.ENTRY, entry(4), "key 1"))
    disk.start()

    disk.append([entry(4, term=2)])

    assert disk.start().entries[-1] == entry(4, term=2)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4), st.booleans()), min_size=1, max_size=8), st.data())
def test_a_write_torn_anywhere_leaves_a_prefix_of_the_log(
    story: list[tuple[int, int, bool]], data: st.DataObject
) -> None:
    """Twin: apply whole writes, then the first records of the last one. The hard state is never ahead of the log."""
    disk = Disk(segment_bytes=120)
    log: list[Entry] = []
    state = HardState()
    for term, (back, count, snap) in enumerate(story, 1):
        applied = disk.storage.snapshots[-1] if disk.storage.snapshots else 0
        first = max(len(log) + 1 - back, applied + 1)
        before, kept_state = list(log), state
        log = log[: first - 1] + entries(first, first + count - 1, term)
        state = HardState(term, 1, first)
        last = term == len(story)
        writes = disk.storage.save(None, log[first - 1 :], state, 0)
        if not last:
            disk.write(writes)
            if snap:
                disk.snapshot(first, log[first - 1].term)
            continue
        made = [(key, value) for key, value in writes.items() if value is not None]
        whole = data.draw(st.integers(0, len(made) - 1))
        disk.write({**dict(made[:whole]), made[whole][0]: Torn(made[whole][1])})
        written = [value.data for _, value in made[:whole] if value.kind is Kind.ENTRY]
        expected = before[: first - 1] + written if written else before
        if whole > count:
            kept_state = state

    found = disk.start()

    base = found.snapshot.index if found.snapshot else 0
    assert found.entries == expected[base:]
    assert found.hard_state == kept_state
    assert found.torn


# ---- damage that is refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Kind.METADATA, Kind.ENTRY, Kind.STATE])
def test_a_record_that_is_wrong_is_refused_wherever_it_stands(kind: Kind) -> None:
    """etcd decoder.go: a checksum that does not match is no end of a file, and nobody repairs it."""
    disk = Disk()
    disk.append(entries(1, 3), HardState(1, 1, 2))
    seq = disk.find(kind, 0)
    disk.content[seq] = Garbled(disk.content[seq])

    with pytest.raises(LogRefused, match="irreparable WAL error: walpb: crc mismatch"):
        disk.start()


def test_the_last_record_is_refused_too_when_it_is_wrong_and_not_half() -> None:
    disk = Disk()
    disk.append(entries(1, 3))
    disk.content[max(disk.content)] = Garbled(disk.content[max(disk.content)])

    with pytest.raises(LogRefused, match="crc mismatch"):
        disk.start()


def test_damage_in_a_file_that_no_start_reads_goes_unnoticed() -> None:
    disk = Disk(segment_bytes=100)
    for index in range(1, 9):
        disk.append([entry(index, size=40)])
    disk.snapshot(2, keep=5)
    disk.snapshot(8, keep=5)
    unread = [seq for seq in disk.content if type(seq) is int and seq not in log_places(disk.content)]
    disk.content[unread[-1]] = Garbled(disk.content[unread[-1]])

    assert disk.start().snapshot == Snapshot(8, 1, GROUP, "store at 8")


def test_a_broken_snapshot_is_put_aside_and_an_older_one_taken() -> None:
    """etcd snapshotter.go `Load`."""
    disk = Disk()
    disk.append(entries(1, 6), HardState(1, 1, 6))
    disk.snapshot(3, keep=1)
    disk.snapshot(5, keep=1)
    disk.content["snap", 5] = Garbled(disk.content["snap", 5])

    found = disk.start()

    assert found.snapshot is not None
    assert (found.snapshot.index, found.broken, [e.index for e in found.entries]) == (3, (5,), [4, 5, 6])
    assert snapshot_indices(disk.content) == [3]


def test_without_any_snapshot_a_log_from_its_beginning_is_enough() -> None:
    disk = Disk()
    disk.append(entries(1, 4), HardState(1, 1, 4))
    disk.snapshot(3)
    disk.content["snap", 3] = Torn(disk.content["snap", 3])

    found = disk.start()

    assert (found.snapshot, found.broken, [e.index for e in found.entries]) == (None, (3,), [1, 2, 3, 4])


def test_without_any_snapshot_a_log_whose_beginning_is_gone_is_refused() -> None:
    disk = Disk(segment_bytes=100)
    for index in range(1, 9):
        disk.append([entry(index, size=40)])
    disk.snapshot(8)
    disk.content["snap", 8] = Garbled(disk.content["snap", 8])

    with pytest.raises(LogRefused, match="failed to open WAL: wal: file not found"):
        disk.start()


def test_a_snapshot_that_the_log_does_not_know_of_is_refused() -> None:
    """etcd wal.go `ReadAll`: `ErrSnapshotNotFound`, and `ErrSnapshotMismatch` where the terms differ."""
    disk = Disk()
    disk.append(entries(1, 4))
    disk.content["snap", 4] = Record(Kind.SNAPSHOT, Snapshot(4, 1, GROUP, ""), "key 1")
    with pytest.raises(LogRefused, match="wal: snapshot not found"):
        disk.start()

    disk.snapshot(4, term=2)
    disk.content["snap", 4] = Record(Kind.SNAPSHOT, Snapshot(4, 1, GROUP, ""), "key 1")
    with pytest.raises(LogRefused, match="wal: snapshot mismatch"):
        disk.start()


def test_a_log_with_a_hole_is_refused() -> None:
    disk = Disk()
    disk.append([entry(1)])
    disk.append([entry(3)])

    with pytest.raises(LogRefused, match="slice bounds out of range"):
        disk.start()


# ---- keys ------------------------------------------------------------------------------------------------------


def rotated_in_the_middle() -> Disk:
    """A log with a snapshot and entries of key 1, then entries of key 2."""
    disk = Disk(Keys("key 1"))
    disk.append(entries(1, 3), HardState(1, 1, 3))
    disk.snapshot(2)
    disk.storage.keys = Keys("key 1", pending="key 2")
    disk.append(entries(4, 5))
    return disk


@pytest.mark.parametrize("keys", [Keys("key 1"), Keys("key 2")])
def test_a_log_of_two_keys_cannot_be_read_with_one(keys: Keys) -> None:
    """C-031 TestBootstrapFromDisk."""
    with pytest.raises(LogRefused, match="no decryption error using NACL secretbox"):
        rotated_in_the_middle().start(keys)


def test_a_log_of_two_keys_can_be_read_with_both() -> None:
    """C-031 TestBootstrapFromDisk: with key 2, and key 1 beside it, all is there."""
    found = rotated_in_the_middle().start(Keys("key 1", pending="key 2"))

    assert found.snapshot is not None
    assert (found.snapshot.index, [e.index for e in found.entries], found.rotated) == (2, [3, 4, 5], False)


@pytest.mark.parametrize("with_snapshot", [True, False])
def test_before_the_rotation_the_first_key_is_enough(with_snapshot: bool) -> None:
    """C-031 TestBootstrapFromDisk: with or without a snapshot."""
    disk = Disk(Keys("key 1"))
    disk.append(entries(1, 3))
    if with_snapshot:
        disk.snapshot(2)

    assert disk.start().entries[-1] == entry(3)


def test_a_log_that_holds_the_pending_key_alone_is_through_with_its_rotation() -> None:
    """manager/deks.go: if the pending key decrypts all, the rotation is complete."""
    disk = rotated_in_the_middle()
    disk.snapshot(5)
    disk.append([entry(6)])
    disk.content = {key: value for key, value in disk.content.items() if getattr(value, "key", "") != "key 1"}

    assert disk.start(Keys("key 1", pending="key 2")).rotated


def test_whose_log_it_is_and_hard_states_are_not_encrypted() -> None:
    """storage/walwrap.go encrypts what entries say, and nothing else."""
    disk = Disk()
    disk.append([], HardState(3, 1, 0))

    found = disk.start(Keys("another"))

    assert (found.raft_id, found.hard_state) == (7, HardState(3, 1, 0))
