"""What a leader knows of each member, and flow control; etcd tracker/."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmsim.raft import HardState, Progress, ProgressState, RawNode
from swarmsim.raft.messages import AppendEntries, HeartbeatResponse, SnapshotStatus
from swarmsim.raft.progress import Inflights
from tests.raft.network import ack, leader, only, pump, refuse

PROBE, REPLICATE, SNAPSHOT = ProgressState.PROBE, ProgressState.REPLICATE, ProgressState.SNAPSHOT


def record(
    state: ProgressState = PROBE, match: int = 0, next_index: int = 1, pending: int = 0, window: int = 256
) -> Progress:
    made = Progress(next_index, Inflights(window))
    made.state, made.match_index, made.pending_snapshot = state, match, pending
    return made


# -- the record --
@pytest.mark.parametrize(
    ("state", "match", "next_index", "rejected", "hint", "expected"),
    [
        (REPLICATE, 5, 10, 5, 5, None), (REPLICATE, 5, 10, 4, 4, None), (REPLICATE, 5, 10, 9, 9, 6),
        (REPLICATE, 5, 10, 9, 7, 6),
        (PROBE, 0, 0, 0, 0, None), (PROBE, 0, 10, 5, 5, None),
        (PROBE, 0, 10, 9, 9, 9), (PROBE, 0, 2, 1, 1, 1), (PROBE, 0, 1, 0, 0, 1),
        (PROBE, 0, 10, 9, 2, 3), (PROBE, 0, 10, 9, 0, 1), (PROBE, 4, 10, 9, 2, 5),
    ],
)  # fmt: skip
def test_refusal_moves_next_index_back(
    state: ProgressState, match: int, next_index: int, rejected: int, hint: int, expected: int | None
) -> None:
    """R-121, reference section 10.3: never to what is known to match; while streaming the hint is not used."""
    made = record(state, match, next_index)

    moved = made.maybe_decrement(rejected, hint)

    assert moved is (expected is not None)
    assert made.next_index == (next_index if expected is None else expected)


def test_refusal_lets_a_probe_go_on_and_takes_back_what_was_told() -> None:
    """Reference section 10.3: flag off, sent_commit no higher than what may be there."""
    made = record(PROBE, 0, 10)
    made.paused, made.sent_commit = True, 8

    made.maybe_decrement(9, 3)

    assert (made.paused, made.sent_commit) == (False, 3)


def test_old_refusal_changes_nothing() -> None:
    """Reference section 10.3."""
    made = record(PROBE, 0, 10)
    made.paused, made.sent_commit = True, 8

    made.maybe_decrement(4, 3)

    assert (made.paused, made.sent_commit, made.next_index) == (True, 8, 10)


@pytest.mark.parametrize(
    ("match", "next_index", "acked", "news", "expected"),
    [(3, 5, 2, False, (3, 5)), (3, 5, 3, False, (3, 5)), (3, 5, 4, True, (4, 5)), (3, 5, 7, True, (7, 8))],
)
def test_acknowledgment_moves_match_index_forward(
    match: int, next_index: int, acked: int, news: bool, expected: tuple[int, int]
) -> None:
    """Reference section 10.3, maybe_update."""
    made = record(PROBE, match, next_index)
    made.paused = True

    assert made.maybe_update(acked) is news
    assert (made.match_index, made.next_index) == expected
    assert made.paused is not news


@pytest.mark.parametrize(("state", "pending", "expected"), [(REPLICATE, 0, 2), (SNAPSHOT, 10, 11), (SNAPSHOT, 0, 2)])
def test_probing_begins_behind_what_is_known(state: ProgressState, pending: int, expected: int) -> None:
    """R-122, reference section 10.2: behind a snapshot that was sent."""
    made = record(state, 1, 5, pending)
    made.sent_commit = 20
    made.inflights.add(4, 1)
    made.paused = True

    made.become_probe()

    assert (made.state, made.match_index, made.next_index) == (PROBE, 1, expected)
    assert (made.pending_snapshot, made.paused, len(made.inflights.window)) == (0, False, 0)
    assert made.sent_commit == expected - 1


def test_streaming_begins_behind_the_match() -> None:
    """R-122: and what was told about the commit index stays."""
    made = record(PROBE, 1, 5)
    made.sent_commit, made.paused = 3, True

    made.become_replicate()

    assert (made.state, made.match_index, made.next_index) == (REPLICATE, 1, 2)
    assert (made.sent_commit, made.paused) == (3, False)


def test_waiting_for_a_snapshot_pauses() -> None:
    """R-122 and reference section 10.2."""
    made = record(PROBE, 1, 5)

    made.become_snapshot(10)

    assert (made.state, made.match_index, made.next_index) == (SNAPSHOT, 1, 11)
    assert (made.pending_snapshot, made.sent_commit, made.is_paused()) == (10, 10, True)


@pytest.mark.parametrize(
    ("commit", "sent_commit", "next_index", "worth"),
    [(5, 4, 10, True), (5, 5, 10, False), (5, 6, 10, False), (9, 9, 10, False), (12, 9, 10, False), (12, 8, 10, True)],
)
def test_commit_index_is_worth_a_message_if_it_is_news_within_what_was_sent(
    commit: int, sent_commit: int, next_index: int, worth: bool
) -> None:
    """Reference section 10.3, can_bump_commit."""
    made = record(REPLICATE, 4, next_index)
    made.sent_commit = sent_commit

    assert made.can_bump_commit(commit) is worth


@pytest.mark.parametrize("state", ProgressState)
@pytest.mark.parametrize("paused", [False, True])
def test_paused_is_the_flag_and_always_in_snapshot_state(state: ProgressState, paused: bool) -> None:
    """Reference section 10.2."""
    made = record(state)
    made.paused = paused

    assert made.is_paused() is (paused or state is SNAPSHOT)


def test_streaming_pauses_with_a_full_window_and_goes_on_without() -> None:
    """Reference section 10.2: the flag is set or cleared with each message, empty ones too."""
    made = record(REPLICATE, 0, 1, window=2)

    flags = []
    for count in (1, 1, 0):
        made.paused = False
        made.sent_entries(count, 10 * count)
        flags.append(made.paused)
    made.inflights.free_up_to(1)
    made.sent_entries(0, 0)

    assert flags == [False, True, True]
    assert (made.paused, made.next_index) == (False, 3)


def test_copy_of_a_record_changes_nothing_else() -> None:
    """`Status` and the trial of a new configuration."""
    made = record(REPLICATE, 3, 5)

    twin = made.copy()
    twin.is_learner, twin.match_index = True, 9

    assert (made.is_learner, made.match_index) == (False, 3)
    assert (twin.state, twin.next_index, twin.recent_active) == (REPLICATE, 5, True)


# -- the window --
def filled(count: int, max_count: int, max_bytes: int = 0) -> Inflights:
    """Messages with last indexes 0, 1, 2, … and 100, 101, … bytes, until the window is full."""
    window = Inflights(max_count, max_bytes)
    for index in range(count):
        if not window.full():
            window.add(index, 100 + index)
    return window


@pytest.mark.parametrize(
    ("max_count", "max_bytes", "fits"), [(1, 0, 1), (15, 0, 15), (8, 400, 4), (8, 406, 4), (15, 408, 5)]
)
def test_window_is_full_by_count_or_by_bytes(max_count: int, max_bytes: int, fits: int) -> None:
    """R-127: asked before adding, so the last message may overshoot."""
    window = filled(30, max_count, max_bytes)

    assert len(window.window) == fits
    with pytest.raises(AssertionError, match="the window is full"):
        window.add(99, 1)


def test_copied_window_keeps_its_limits_and_what_is_in_it() -> None:
    """A new configuration is tried on copies of the records: the limit of bytes must outlive it."""
    window = filled(3, 8, 400)

    twin = window.copy()
    twin.add(3, 103)

    assert (twin.full(), window.full()) == (True, False)
    assert (len(window.window), window.total_bytes) == (3, 303)


def test_window_is_freed_from_the_front() -> None:
    """R-127, etcd: FreeLE."""
    window = filled(15, 15)

    window.free_up_to(6)
    rest = [index for index, _ in window.window]
    window.free_up_to(6)

    assert rest == list(range(7, 15))
    assert window.total_bytes == sum(range(107, 115))
    window.free_up_to(14)
    assert (len(window.window), window.total_bytes) == (0, 0)


def test_window_of_size_zero_is_always_full() -> None:
    """Reference section 10.2."""
    assert Inflights(0).full()


@given(
    st.integers(1, 6),
    st.integers(0, 300),
    st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.integers(0, 120)), max_size=40),
)
def test_window_counts_as_a_plain_list_does(max_count: int, max_bytes: int, steps: list[tuple[bool, int, int]]) -> None:
    """Reference section 10.2: against a list that is summed up each time."""
    window, twin, last = Inflights(max_count, max_bytes), [], 0
    for add, by, size in steps:
        full = len(twin) >= max_count or (max_bytes > 0 and sum(bytes for _, bytes in twin) >= max_bytes)
        assert window.full() is full
        if add and not full:
            last += by
            window.add(last, size)
            twin.append((last, size))
        elif not add:
            window.free_up_to(last - by)
            while twin and twin[0][0] <= last - by:
                twin.pop(0)
        assert list(window.window) == twin
        assert window.total_bytes == sum(bytes for _, bytes in twin)


# -- the leader --
def indexes(raft: RawNode, dst: int = 2) -> list[list[int]]:
    """The indexes of the entries in each AppendEntries that leaves for `dst`."""
    return [[e.index for e in m.entries] for m in only(pump(raft), AppendEntries, dst)]


def test_probe_sends_one_message_with_entries_per_heartbeat_answer() -> None:
    """R-124, reference section 10.2: sending heartbeats does not let it go on, an answer does, for one message."""
    raft = leader()
    assert raft.progress[2].paused

    for _ in range(10):
        raft.propose(b"x", 1)
        raft.broadcast_heartbeat()
    silent = indexes(raft)
    raft.step(HeartbeatResponse(2, 1, 1))
    raft.propose(b"x", 1)

    assert silent == []
    assert indexes(raft) == [list(range(1, 12))]
    assert raft.progress[2].paused


def test_streaming_sends_each_proposal_at_once() -> None:
    """R-125."""
    raft = leader(peers_match=True)

    for _ in range(10):
        raft.propose(b"x", 1)

    assert indexes(raft) == [[index] for index in range(2, 12)]


def test_nothing_is_sent_while_a_snapshot_is_on_its_way() -> None:
    """R-125."""
    raft = leader(peers_match=True)
    raft.progress[2].become_snapshot(10)

    for _ in range(10):
        raft.propose(b"x", 1)
    raft.step(HeartbeatResponse(2, 1, 1))

    assert indexes(raft) == []


def test_flow_is_limited_by_message_size_count_and_bytes() -> None:
    """R-128: 2048 bytes a message, 3 messages, 9000 bytes in flight; 22 proposals of 1000 and 5000 bytes."""
    raft = leader(voters=(1, 2), max_size_per_msg=2048, max_inflight_msgs=3, max_inflight_bytes=9000)
    raft.progress[2].become_probe()
    for size in [1000] * 10 + [5000] * 6 + [1000] * 6:
        raft.propose(b"x", size)

    batches = []
    while sent := [m for m in only(pump(raft), AppendEntries, 2) if m.entries]:
        batches.append([len(m.entries) for m in sent])
        ack(raft, 2, sent[-1].entries[-1].index)

    assert batches == [[2], [2, 2, 2], [2, 1, 1], [1, 1], [1, 1], [1, 2, 2], [2]]


def test_two_large_messages_fill_the_window() -> None:
    """R-136: 9000 bytes, two of 5000, one more than it holds."""
    raft = leader(peers_match=True, max_size_per_msg=2048, max_inflight_bytes=9000)

    for _ in range(3):
        raft.propose(b"x", 5000)

    assert indexes(raft) == [[2], [3]]
    assert raft.progress[2].paused


def test_full_window_lets_an_empty_message_through_per_heartbeat_answer() -> None:
    """Reference section 10.2: if all in flight was lost, its refusal finds out."""
    raft = leader(peers_match=True, max_inflight_msgs=2)
    for _ in range(3):
        raft.propose(b"x", 1)
    filling = indexes(raft)

    raft.step(HeartbeatResponse(2, 1, 1))
    probe = only(pump(raft), AppendEntries, 2)
    refuse(raft, 2, 3, hint=1, log_term=1)

    assert filling == [[2], [3]]
    assert [(m.prev_log_index, m.entries) for m in probe] == [(3, ())]
    assert raft.progress[2].state is PROBE
    assert indexes(raft) == [[2, 3, 4]]


def test_empty_message_does_not_pause_a_probe() -> None:
    """R-131, reference section 10.2: the peer is caught up, only unreachable for a moment."""
    raft = leader(peers_match=True)
    raft.report_unreachable(2)

    raft.step(HeartbeatResponse(2, 1, 1))
    (empty,) = only(pump(raft), AppendEntries, 2)

    assert empty.entries == ()
    assert (raft.progress[2].state, raft.progress[2].paused) == (PROBE, False)


def test_unreachable_peer_is_probed_from_what_it_acknowledged() -> None:
    """Reference section 10.5, MsgUnreachable."""
    raft = leader(peers_match=True)
    raft.propose(b"x", 1)
    pump(raft)

    raft.report_unreachable(2)

    assert (raft.progress[2].state, raft.progress[2].next_index) == (PROBE, 2)
    assert pump(raft) == []


@pytest.mark.parametrize("state", [SNAPSHOT, PROBE])
def test_only_a_streaming_peer_becomes_unreachable(state: ProgressState) -> None:
    """R-137."""
    raft = leader()
    made = raft.progress[2]
    if state is SNAPSHOT:
        made.become_snapshot(10)
    before = (made.state, made.next_index, made.pending_snapshot, made.paused)

    raft.report_unreachable(2)

    assert (made.state, made.next_index, made.pending_snapshot, made.paused) == before


@pytest.mark.parametrize("ok", [False, True])
def test_snapshot_status_of_a_streaming_peer_is_ignored(ok: bool) -> None:
    """R-137."""
    raft = leader(peers_match=True)

    raft.report_snapshot(2, ok)

    assert (raft.progress[2].state, raft.progress[2].paused) == (REPLICATE, False)


def test_reports_about_strangers_are_ignored() -> None:
    """Reference section 8: they have no record; and only a leader keeps records up to date."""
    raft = leader(hard=HardState(1, 0, 0))

    raft.report_unreachable(9)
    raft.report_snapshot(9, True)
    raft._step(SnapshotStatus(9, 1, 0, False))

    assert pump(raft) == []
