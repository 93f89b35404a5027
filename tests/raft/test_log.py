"""The log and its pointers: section 5.3; etcd log.go, log_unstable.go, storage.go."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmsim.raft import Compacted, ConfState, Entry, Snapshot
from swarmsim.raft.log import RaftLog, limit_size
from swarmsim.raft.messages import NO_LIMIT, EntryType, encoded_size, payload_size
from tests.raft.network import append, entries, server, terms


def log(*terms: int, base: tuple[int, int] = (0, 0), committed: int = 0, limit: int = NO_LIMIT) -> RaftLog:
    """A durable log of these terms after a snapshot at `base`, an (index, term)."""
    made = RaftLog(Snapshot(*base, ConfState()), entries(*terms, first=base[0] + 1), limit)
    made.commit_to(committed)
    return made


def durable(made: RaftLog) -> None:
    """All that is unstable was written."""
    made.accept_unstable()
    made.stable_to(made.last_index, made.last_term())


# -- looking --
@pytest.mark.parametrize(
    ("first", "new", "conflict"),
    [
        (1, [], 0), (1, [1, 2, 3], 0), (2, [2, 3], 0), (3, [3], 0),
        (1, [1, 2, 3, 4, 4], 4), (2, [2, 3, 4, 5], 4), (3, [3, 4, 5], 4), (4, [4, 4], 4),
        (1, [4, 4], 1), (2, [1, 4, 4], 2), (3, [1, 2, 4, 4], 3),
    ],
)  # fmt: skip
def test_first_entry_that_conflicts_or_is_new(first: int, new: list[int], conflict: int) -> None:
    """R-200, AppendEntries rule 3: the index, 0 for none."""
    position = log(1, 2, 3).first_new(entries(*new, first=first))

    assert (first + position if position < len(new) else 0) == conflict


def test_term_is_known_from_the_compacted_place_to_the_last_entry() -> None:
    """R-205: 100/1 is compacted, so nothing before it is known, and nothing beyond the last."""
    made = log(2, 3, base=(100, 1))

    assert [made.term(index) for index in (99, 100, 101, 102, 103)] == [None, 1, 2, 3, None]
    assert (made.first_index, made.last_index, made.last_term()) == (101, 102, 3)


def test_snapshot_to_be_written_hides_the_log_before_it() -> None:
    """R-205: storage has 100 and more, but only the term at 105 is known."""
    made = log(1, 1, 1, base=(100, 1))

    made.restore(Snapshot(105, 2, ConfState()))

    assert [made.term(index) for index in range(100, 107)] == [None] * 5 + [2, None]
    assert (made.first_index, made.last_index, made.last_term(), made.commit_index) == (106, 105, 2, 105)


def test_empty_log_matches_the_empty_prefix() -> None:
    """Reference section 11.2."""
    made = RaftLog()

    assert made.matches(0, 0)
    assert not made.matches(1, 0)
    assert (made.first_index, made.last_index, made.last_term()) == (1, 0, 0)


def test_slice_is_bounded() -> None:
    """Reference section 11.2."""
    made = log(1, 2, 3, base=(10, 1))

    assert [entry.index for entry in made.slice(11, 13)] == [11, 12]
    assert made.slice(12, 12) == []
    with pytest.raises(Compacted):
        made.slice(10, 12)
    with pytest.raises(AssertionError, match="beyond 13"):
        made.slice(11, 15)
    with pytest.raises(AssertionError, match="ends before it begins"):
        made.slice(13, 12)


@pytest.mark.parametrize("stable", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4])
def test_limit_counts_durable_and_other_entries_together(stable: int, count: int) -> None:
    """R-206: at least one entry, else never more bytes than the limit."""
    made = log(*[1] * stable)
    size = encoded_size([Entry(1, 1, data=b"x" * 10, size=10)])
    made._entries[:] = [e._replace(data=b"x" * 10, size=10) for e in made._entries]
    if stable < 4:
        made.append([Entry(1, index, data=b"x" * 10, size=10) for index in range(stable + 1, 5)])

    for short, expected in ((0, count), (1, count - 1)):
        got = made.slice(1, 5, max(size * count - short, 0))
        assert len(got) == max(expected, 1)
        assert got == made.slice(1, 1 + len(got))


@pytest.mark.parametrize(
    ("index", "term", "expected"),
    [
        (9, 9, (9, 9)), (5, 3, (4, 3)), (4, 3, (4, 3)), (3, 3, (3, 1)), (9, 8, (8, 5)), (6, 2, (3, 1)),
        (10, 9, (10, 0)), (3, 0, (0, 0)), (0, 5, (0, 0)),
    ],
)  # fmt: skip
def test_last_place_of_a_term_not_above(index: int, term: int, expected: tuple[int, int]) -> None:
    """Reference section 11.5: the log is 1 1 (compacted to 1), 1 3 5 5 5 5 9 from 3 on."""
    made = log(1, 1, 3, 5, 5, 5, 5, 9, base=(1, 1))

    assert made.find_conflict_by_term(index, term) == expected


def test_unknown_term_may_be_the_place() -> None:
    """Reference section 11.5: of what is compacted nothing is known, so it may match."""
    assert log(3, base=(5, 3)).find_conflict_by_term(6, 1) == (4, 0)


def test_place_before_a_log_of_higher_terms_is_the_empty_prefix() -> None:
    """Reference section 11.5."""
    assert log(4, 4).find_conflict_by_term(2, 3) == (0, 0)


# -- growing --
@pytest.mark.parametrize(
    ("prev", "commit", "new", "last_new", "committed", "after"),
    [
        ((3, 3), 3, [], 3, 3, [1, 2, 3]), ((3, 3), 4, [], 3, 3, [1, 2, 3]), ((3, 3), 2, [], 3, 2, [1, 2, 3]),
        ((3, 3), 0, [], 3, 1, [1, 2, 3]), ((3, 3), 3, [4], 4, 3, [1, 2, 3, 4]), ((3, 3), 5, [4], 4, 4, [1, 2, 3, 4]),
        ((3, 3), 5, [4, 4], 5, 5, [1, 2, 3, 4, 4]), ((2, 2), 3, [4], 3, 3, [1, 2, 4]), ((1, 1), 2, [4], 2, 2, [1, 4]),
        ((1, 1), 3, [4, 4], 3, 3, [1, 4, 4]), ((2, 2), 5, [3], 3, 3, [1, 2, 3]), ((1, 1), 2, [2], 2, 2, [1, 2, 3]),
    ],
)  # fmt: skip
def test_follower_appends_after_what_matches(
    prev: tuple[int, int], commit: int, new: list[int], last_new: int, committed: int, after: list[int]
) -> None:
    """R-202, AppendEntries rules 3 to 5; the log is [1 2 3], committed 1."""
    raft = server(log=[1, 2, 3])
    raft.log.commit_to(1)

    append(raft, prev, new, commit)

    (answer,) = raft.after_append
    assert (answer.success, answer.index) == (True, last_new)  # type: ignore[union-attr]
    assert (raft.commit_index, terms(raft)) == (committed, after)


@pytest.mark.parametrize("prev", [(3, 2), (4, 3), (4, 4)])
def test_follower_refuses_what_does_not_match(prev: tuple[int, int]) -> None:
    """R-202, AppendEntries rule 2."""
    raft = server(log=[1, 2, 3])
    raft.log.commit_to(1)

    append(raft, prev, [4], 3)

    assert not raft.after_append[0].success  # type: ignore[union-attr]
    assert (raft.commit_index, terms(raft)) == (1, [1, 2, 3])


def test_committed_entry_is_never_overwritten() -> None:
    """R-202 and section 18: an assertion, since it would be a bug of the protocol."""
    made = log(1, 2, 3, committed=1)

    with pytest.raises(AssertionError, match=r"conflicts with committed entry \[committed\(1\)\]"):
        made.append(entries(4, first=1))


def test_log_has_no_holes() -> None:
    """R-211, reference section 17.2."""
    made = log(1, 2, 3)

    with pytest.raises(AssertionError, match="a hole: 5 does not follow 3"):
        made.append(entries(4, first=5))


@pytest.mark.parametrize(
    ("first", "new", "after"),
    [(4, [6, 6], [6, 6]), (5, [5], [4, 5]), (4, [4, 5, 5], [4, 5, 5]), (6, [5], [4, 5, 5])],
)
def test_new_entries_cut_what_they_overlap(first: int, new: list[int], after: list[int]) -> None:
    """R-211: the log is 4 5 from index 4 on, after a snapshot at 3."""
    made = log(4, 5, base=(3, 3))

    made.append(entries(*new, first=first))

    assert [entry.term for entry in made.entries_from(4)] == after
    assert made.last_index == 3 + len(after)


@pytest.mark.parametrize(("commit", "expected"), [(3, 3), (1, 2), (2, 2)])
def test_commit_index_only_grows(commit: int, expected: int) -> None:
    """R-203."""
    made = log(1, 2, 3, committed=2)

    made.commit_to(commit)

    assert made.commit_index == expected


def test_commit_index_beyond_the_log_is_a_bug() -> None:
    """R-203."""
    with pytest.raises(AssertionError, match=r"tocommit\(4\) is out of range \[lastIndex\(3\)\]"):
        log(1, 2, 3, committed=4)


# -- becoming durable (reference sections 11.3 and 11.6) --
def unstable(made: RaftLog) -> list[tuple[int, int]]:
    return [(entry.index, entry.term) for entry in made.next_unstable()]


@pytest.mark.parametrize(
    ("first", "new", "to_write", "unstable_from"),
    [
        (6, [2], [(6, 2)], 5),
        (5, [2, 2], [(5, 2), (6, 2)], 5),
        (4, [2, 2], [(4, 2), (5, 2)], 4),
    ],
)
def test_writes_being_made_are_not_handed_out_again_unless_cut(
    first: int, new: list[int], to_write: list[tuple[int, int]], unstable_from: int
) -> None:
    """R-209: entry 5 is being written; append at the end, replace it, or replace below it."""
    made = log(1, 1, 1, 1)
    made.append(entries(1, first=5))
    made.accept_unstable()

    made.append(entries(*new, first=first))

    assert unstable(made) == to_write
    assert (made.unstable_from, made.handed_out_to) == (unstable_from, min(first, 6))


def test_cut_in_the_middle_lowers_what_is_being_written() -> None:
    """R-209: 5 6 7 are being written, 6 is replaced."""
    made = log(1, 1, 1, 1)
    made.append(entries(1, 1, 1, first=5))
    made.accept_unstable()

    made.append(entries(2, first=6))

    assert unstable(made) == [(6, 2)]
    assert made.unstable_from == 5


def test_write_makes_durable_what_was_not_replaced_since() -> None:
    """R-204: only with that very term."""
    made = log(1, 1)
    made.append(entries(2, 2, 2, first=3))
    made.accept_unstable()
    made.append(entries(3, first=5))

    made.stable_to(5, 2)
    replaced = made.unstable_from
    made.stable_to(4, 2)
    partly = made.unstable_from
    made.accept_unstable()
    made.stable_to(5, 3)

    assert (replaced, partly, made.unstable_from) == (3, 5, 6)


@pytest.mark.parametrize(("index", "term"), [(2, 1), (6, 2), (5, 1), (0, 0)])
def test_other_writes_are_old_news(index: int, term: int) -> None:
    """R-204: below the unstable part, beyond it, of another term."""
    made = log(1, 1)
    made.append(entries(2, 2, 2, first=3))

    made.stable_to(index, term)

    assert (made.unstable_from, made.handed_out_to) == (3, 3)


def test_durable_is_handed_out_too() -> None:
    """Reference section 11.6: offset_in_progress is never below the offset."""
    made = log(1)
    made.append(entries(2, 2, first=2))

    made.stable_to(3, 2)

    assert unstable(made) == []
    assert made.handed_out_to == 4


def test_place_of_a_snapshot_is_no_entry() -> None:
    """Reference section 11.6: stable_to ignores it."""
    made = log(1)
    made.restore(Snapshot(9, 2, ConfState()))
    made.append(entries(2, first=10))

    made.stable_to(9, 2)

    assert made.unstable_from == 10


def test_snapshot_is_durable_when_it_is_that_one() -> None:
    """Reference section 11.6."""
    made = log(1)
    made.restore(Snapshot(9, 2, ConfState()))
    waiting = made.next_unstable_snapshot()
    made.accept_unstable()

    made.stable_snapshot_to(8)
    other = (made.unstable_snapshot, made.next_unstable_snapshot())
    made.stable_snapshot_to(9)

    assert waiting is not None
    assert other == (waiting, None)
    assert (made.snapshot, made.unstable_snapshot) == (waiting, None)


# -- being applied (reference section 11.7) --
def test_committed_entries_are_handed_out_once() -> None:
    """Figure 2: if commitIndex > lastApplied, increment lastApplied, apply."""
    made = log(1, 1, 1, committed=2)

    first = [entry.index for entry in made.next_committed()]
    made.accept_applying(2, 10)
    again = made.next_committed()
    made.applied_to(2, 10)

    assert (first, again) == ([1, 2], [])
    assert (made.last_applied, made.applying) == (2, 2)


def test_applying_pauses_at_the_limit_until_entries_are_acknowledged() -> None:
    """R-208: outstanding size at or above the limit."""
    made = log(1, 1, 1, limit=100, committed=3)

    made.accept_applying(3, 100)
    made.commit_to(3)
    full = made.applying_paused
    made.applied_to(1, 0)
    still = made.applying_paused
    made.applied_to(3, 1)

    assert (full, still, made.applying_paused) == (True, True, False)


def test_applying_pauses_when_not_everything_was_handed_out() -> None:
    """R-208: so that the order is kept."""
    size = encoded_size(entries(1))
    made = log(1, 1, 1, limit=2 * size + 1, committed=3)

    page = made.next_committed()
    made.accept_applying(page[-1].index, 2 * size)
    paused = (made.applying_paused, made.next_committed())
    made.applied_to(2, 2 * size)

    assert [entry.index for entry in page] == [1, 2]
    assert paused == (True, [])
    assert [entry.index for entry in made.next_committed()] == [3]


def test_limit_is_for_all_that_is_outstanding() -> None:
    """R-222: what was handed out before counts."""
    size = encoded_size(entries(1))
    made = log(1, 1, 1, 1, limit=3 * size)
    made.commit_to(2)
    made.accept_applying(2, 2 * size)
    made.commit_to(4)

    assert [entry.index for entry in made.next_committed()] == [3]


def test_pages_that_are_outstanding_add_up() -> None:
    """R-222: two pages handed out, the first acknowledged."""
    made = log(1, 1, 1, limit=100, committed=3)
    made.accept_applying(1, 60)
    made.accept_applying(3, 60)

    made.applied_to(1, 15)

    assert (made.applying_size, made.applying_paused) == (105, True)


def test_applied_index_stays_within_bounds() -> None:
    """Reference section 11.7: between the last one, which may be said again, and the commit index."""
    made = log(1, 1, 1, committed=2)
    made.applied_to(1, 0)
    made.applied_to(1, 0)

    with pytest.raises(AssertionError, match=r"applied\(0\) is out of range \[prevApplied\(1\)"):
        made.applied_to(0, 0)
    with pytest.raises(AssertionError, match=r"applied\(3\) is out of range .*committed\(2\)"):
        made.applied_to(3, 0)


def test_acknowledged_size_never_falls_below_zero() -> None:
    """Reference section 11.7."""
    made = log(1, 1, committed=2)
    made.accept_applying(1, 5)

    made.applied_to(1, 50)

    assert made.applying_size == 0


# -- recovery --
def test_entries_that_the_snapshot_covers_are_dropped() -> None:
    """Figure 13, rule 6: a disk may still hold them."""
    made = RaftLog(Snapshot(2, 2, ConfState()), entries(1, 2, 2, 2))

    assert [entry.index for entry in made.entries_from(3)] == [3, 4]
    assert (made.commit_index, made.last_applied, made.unstable_from) == (2, 2, 5)


def test_log_that_contradicts_the_snapshot_is_dropped() -> None:
    """Figure 13, rule 7: the crash came between installing the snapshot and cutting the log."""
    made = RaftLog(Snapshot(2, 3, ConfState()), entries(1, 1, 2, 2))

    assert (made.entries_from(3), made.last_index, made.last_term()) == ([], 2, 3)


def test_recovered_log_has_no_holes() -> None:
    """A disk that lost an entry in the middle is broken."""
    with pytest.raises(AssertionError, match="the log has a hole: 2 is missing before 3"):
        RaftLog(None, [Entry(1, 1), Entry(1, 3)])


# -- sizes --
@pytest.mark.parametrize(
    ("entry", "size"),
    [
        (Entry(1, 1), 6), (Entry(0, 0), 6), (Entry(127, 128), 7), (Entry(16384, 1), 8),
        (Entry(1, 1, EntryType.NORMAL, b"x", 1), 9), (Entry(1, 1, EntryType.NORMAL, b"", 127), 135),
        (Entry(1, 1, EntryType.NORMAL, b"", 128), 137),
    ],
)  # fmt: skip
def test_encoded_size_is_that_of_the_wire_format(entry: Entry, size: int) -> None:
    """Reference section 1: 2 + (1 + v(term)) + (1 + v(index)) + data with its length."""
    assert encoded_size([entry]) == size
    assert encoded_size([entry, entry]) == 2 * size
    assert payload_size([entry, entry]) == 2 * entry.size


def test_limit_size_gives_the_longest_prefix_that_fits() -> None:
    """etcd util.go, `limitSize`."""
    five = entries(1, 1, 1, 1, 1)
    size = encoded_size(five[:1])

    assert [len(limit_size(five, limit)) for limit in (0, size, 2 * size - 1, 2 * size, 5 * size, NO_LIMIT)] == [
        1, 1, 1, 2, 5, 5,
    ]  # fmt: skip
    assert limit_size([], 0) == []


@given(st.lists(st.tuples(st.sampled_from(["append", "write", "wrote", "commit"]), st.integers(0, 4)), max_size=30))
def test_what_is_handed_out_adds_up_to_the_log(steps: list[tuple[str, int]]) -> None:
    """Reference section 11.6: a disk that does what it is told holds the log up to `unstable_from`."""
    made, disk, term = log(), {}, 1
    writing: list[tuple[int, int]] = []
    for what, number in steps:
        if what == "append":
            term += 1
            first = max(made.last_index + 1 - number, made.commit_index + 1)
            made.append(entries(term, term, first=first))
        elif what == "write":
            for entry in made.next_unstable():
                disk = {index: held for index, held in disk.items() if index < entry.index} | {entry.index: entry}
            made.accept_unstable()
            writing.append((made.last_index, made.last_term()))
        elif what == "wrote" and writing:
            made.stable_to(*writing.pop(0))
        elif what == "commit":
            made.commit_to(min(made.commit_index + number, made.last_index))
        stable = [entry for entry in made.entries_from(1) if entry.index < made.unstable_from]
        assert [disk.get(entry.index) for entry in stable] == stable
        assert made.unstable_from <= made.handed_out_to <= made.last_index + 1
