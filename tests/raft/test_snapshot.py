"""Snapshots and compaction: section 7, Figure 13."""

import pytest

from swarmsim.raft import (
    Compacted,
    ConfState,
    HardState,
    Message,
    ProgressState,
    RawNode,
    Snapshot,
    SnapshotOutOfDate,
)
from swarmsim.raft.messages import AppendEntries, AppendEntriesResponse, HeartbeatResponse, InstallSnapshot
from tests.raft.network import ack, append, cluster, leader, only, pump, refuse, run_ready, server, terms

THREE = ConfState((1, 2, 3))
PROBE, REPLICATE, SNAPSHOT = ProgressState.PROBE, ProgressState.REPLICATE, ProgressState.SNAPSHOT


def compacted() -> RawNode:
    """A leader whose log begins at 12: snapshot at 11 of term 1, its empty entry is 12 of term 2."""
    return leader(base=(11, 1), hard=HardState(1, 0, 11))


def offer(raft: RawNode, index: int, term: int, conf: ConfState = THREE, src: int = 2) -> list[Message]:
    """A leader sends a snapshot; what the server answers."""
    raft.step(InstallSnapshot(src, raft.id, raft.current_term, Snapshot(index, term, conf, b"state", 5)))
    return pump(raft)


# -- the leader --
def test_peer_behind_the_compacted_log_is_sent_a_snapshot() -> None:
    """R-140, section 7: and nothing else until it has it."""
    raft = compacted()

    refuse(raft, 2, 11)
    sent = pump(raft)
    raft.propose(b"x", 1)

    record = raft.progress[2]
    assert sent == [InstallSnapshot(1, 2, 2, Snapshot(11, 1, THREE))]
    assert (record.state, record.pending_snapshot, record.next_index) == (SNAPSHOT, 11, 12)
    assert only(pump(raft), AppendEntries, 2) == []


def test_peer_that_never_answered_is_sent_no_snapshot() -> None:
    """R-141, reference section 8.6: it may not be there at all."""
    raft = compacted()
    record = raft.progress[2]
    record.next_index, record.paused, record.recent_active = 11, False, False

    raft.propose(b"x", 1)
    quiet = only(pump(raft), InstallSnapshot)
    raft.step(HeartbeatResponse(2, 1, 2))

    assert quiet == []
    assert len(only(pump(raft), InstallSnapshot, 2)) == 1


def test_snapshot_is_sent_later_when_there_is_none_now() -> None:
    """Reference section 8.6: temporarily unavailable."""
    ready: list[Snapshot] = []
    raft = leader(base=(11, 1), hard=HardState(1, 0, 11), snapshot_source=lambda: ready[-1] if ready else None)

    refuse(raft, 2, 11)
    before = (pump(raft), raft.progress[2].state)
    ready.append(Snapshot(12, 2, THREE, b"newest"))
    raft.step(HeartbeatResponse(2, 1, 2))

    assert before == ([], PROBE)
    assert pump(raft) == [InstallSnapshot(1, 2, 2, ready[0])]


def test_peer_that_acknowledges_too_little_waits_for_a_snapshot_to_be_made() -> None:
    """Reference section 8.2 rule 3: sending on ends when nothing can be sent."""
    raft = leader(base=(11, 1), hard=HardState(1, 0, 11), snapshot_source=lambda: None)

    ack(raft, 2, 5)

    assert pump(raft) == []
    assert (raft.progress[2].state, raft.progress[2].next_index) == (REPLICATE, 6)


def test_empty_snapshot_helps_nobody() -> None:
    """Reference section 8.6, a panic."""
    raft = leader(base=(11, 1), hard=HardState(1, 0, 11), snapshot_source=lambda: Snapshot(0, 0, THREE))

    with pytest.raises(AssertionError, match="empty snapshot"):
        refuse(raft, 2, 11)


@pytest.mark.parametrize(("ok", "next_index"), [(False, 1), (True, 12)])
def test_reported_snapshot_is_followed_by_a_paused_probe(ok: bool, next_index: int) -> None:
    """R-142, reference section 10.5: behind the snapshot if it arrived; the flag waits for an answer."""
    raft = compacted()
    record = raft.progress[2]
    record.become_snapshot(11)

    raft.report_snapshot(2, ok)

    assert (record.state, record.pending_snapshot) == (PROBE, 0)
    assert (record.next_index, record.paused) == (next_index, True)
    assert pump(raft) == []


def test_acknowledged_snapshot_is_followed_by_the_entries_after_it() -> None:
    """R-143."""
    raft = compacted()
    record = raft.progress[2]
    record.become_snapshot(11)

    ack(raft, 2, 11)

    assert [[e.index for e in m.entries] for m in only(pump(raft), AppendEntries, 2)] == [[12]]
    assert (record.state, record.next_index, len(record.inflights.window)) == (REPLICATE, 13, 1)


@pytest.mark.parametrize(("acked", "state"), [(9, SNAPSHOT), (10, REPLICATE), (12, REPLICATE)])
def test_peer_leaves_snapshot_state_when_its_log_meets_ours(acked: int, state: ProgressState) -> None:
    """Reference section 8.2: whatever the index of the snapshot that was sent."""
    raft = leader(base=(10, 1), log=[1] * 5, hard=HardState(1, 0, 10))
    raft.progress[2].become_snapshot(14)

    ack(raft, 2, acked)

    assert raft.progress[2].state is state
    assert bool(pump(raft)) is (state is REPLICATE)  # and is sent entries from there on


def test_refusal_in_snapshot_state_starts_nothing() -> None:
    """Reference section 10.3: only one that names the index before the next."""
    raft = compacted()
    raft.progress[2].become_snapshot(11)

    refuse(raft, 2, 5)

    assert raft.progress[2].state is SNAPSHOT
    assert pump(raft) == []


# -- the follower --
def test_snapshot_replaces_the_log() -> None:
    """Figure 13, rules 7 and 8; reference section 9.5 and 17.1."""
    raft = server(log=[1, 1, 1], hard=HardState(2, 0, 1))
    raft.step(InstallSnapshot(2, 1, 2, Snapshot(11, 2, ConfState((1, 2, 4), (), (5,)), b"state")))

    ready = run_ready(raft)

    assert ready.snapshot == Snapshot(11, 2, ConfState((1, 2, 4), (), (5,)), b"state")
    assert ready.hard_state == HardState(2, 0, 11)
    assert not ready.must_sync
    assert ready.messages == [AppendEntriesResponse(1, 2, 2, 11)]
    assert (raft.log.first_index, raft.log.last_index, raft.log.last_term()) == (12, 11, 2)
    assert (raft.commit_index, raft.last_applied) == (11, 11)
    assert (raft.conf, list(raft.progress)) == (ConfState((1, 2, 4), (), (5,)), [1, 2, 4, 5])
    assert raft.progress[2].next_index == 11


def test_snapshot_tells_who_leads() -> None:
    """R-149, reference section 9.2."""
    raft = server(hard=HardState(2, 0, 0))

    offer(raft, 11, 2, src=3)

    assert raft.leader_id == 3


def test_snapshot_of_a_prefix_of_the_log_is_ignored() -> None:
    """R-145, Figure 13, rule 6: but all up to it is committed."""
    raft = server(log=[1, 1, 1], hard=HardState(1, 0, 1))

    old = offer(raft, 1, 1)
    after_old = raft.commit_index
    new = offer(raft, 2, 1)

    assert (old, after_old) == ([AppendEntriesResponse(1, 2, 1, 1)], 1)
    assert (new, raft.commit_index) == ([AppendEntriesResponse(1, 2, 1, 2)], 2)
    assert terms(raft) == [1, 1, 1]


@pytest.mark.parametrize(
    ("conf", "accepted"),
    [
        (ConfState((2, 3)), False),
        (ConfState((2, 3), (1, 2), ()), True),
        (ConfState((2, 3), (), (1,)), True),
        (ConfState((1, 2)), True),
        (ConfState((2, 3), (2, 4), (), (4,)), False),
    ],
)
def test_snapshot_must_name_its_receiver(conf: ConfState, accepted: bool) -> None:
    """R-146 and R-154: among voters, outgoing voters or learners."""
    raft = server(log=[1, 1], hard=HardState(1, 0, 1))

    answer = offer(raft, 11, 1, conf)

    assert answer == [AppendEntriesResponse(1, 2, 1, 11 if accepted else 1)]
    assert raft.log.last_index == (11 if accepted else 2)


def test_learner_by_snapshot_is_a_learner() -> None:
    """R-154, reference section 16.4 step 1."""
    raft = server(hard=HardState(1, 0, 0))

    offer(raft, 11, 1, ConfState((2, 3), (), (1,)))

    assert raft.is_learner
    assert not raft.promotable()


def test_old_snapshot_is_answered_with_the_commit_index() -> None:
    """R-148."""
    raft = server(log=[1] * 12, hard=HardState(1, 0, 12))

    assert offer(raft, 11, 1) == [AppendEntriesResponse(1, 2, 1, 12)]
    assert raft.log.last_index == 12


def test_nothing_is_applied_while_a_snapshot_waits() -> None:
    """R-151, reference section 11.7: entries after the snapshot, too, wait until it is stored."""
    raft = server(hard=HardState(1, 0, 0))
    raft.step(InstallSnapshot(2, 1, 1, Snapshot(11, 1, THREE)))
    append(raft, (11, 1), [1], commit=12)

    first = run_ready(raft)
    second = run_ready(raft)

    assert (first.snapshot.index if first.snapshot else 0, first.committed_entries) == (11, [])
    assert [entry.index for entry in first.entries] == [12]
    assert [entry.index for entry in second.committed_entries] == [12]


def test_entries_after_a_snapshot_are_handed_out() -> None:
    """R-152: the log 11 to 15 is durable, then a snapshot at 12 of another term, and entry 13."""
    raft = server(base=(10, 1), log=[1] * 5, hard=HardState(2, 0, 10))
    raft.step(InstallSnapshot(2, 1, 2, Snapshot(12, 2, THREE)))
    append(raft, (12, 2), [2])

    ready = raft.ready()

    assert [(entry.index, entry.term) for entry in ready.entries] == [(13, 2)]


def test_newer_snapshot_replaces_one_that_is_being_written() -> None:
    """Reference section 11.6: the write of the first says nothing about the second."""
    raft = server(hard=HardState(1, 0, 0))
    raft.step(InstallSnapshot(2, 1, 1, Snapshot(11, 1, THREE)))
    raft.ready()
    raft.step(InstallSnapshot(2, 1, 1, Snapshot(21, 1, THREE)))

    raft.advance()

    assert (raft.last_applied, raft.promotable()) == (11, False)
    ready = run_ready(raft)
    assert ready.snapshot is not None
    assert ready.snapshot.index == 21
    assert (raft.last_applied, raft.promotable()) == (21, True)


def test_snapshot_is_stored_before_it_is_the_one_to_send() -> None:
    """Reference section 8.6: the unstable one first, then the stored one."""
    raft = server(hard=HardState(1, 0, 0))
    raft.step(InstallSnapshot(2, 1, 1, Snapshot(11, 1, THREE)))

    before = raft.newest_snapshot()
    pump(raft)

    assert before == raft.newest_snapshot() == Snapshot(11, 1, THREE)


# -- the application --
def test_application_snapshots_what_it_has_applied_and_compacts() -> None:
    """Section 7; reference section 17.2: the term at the compacted place stays known."""
    raft = leader(voters=(1,), log=[1, 1])

    snapshot = raft.create_snapshot(3, raft.conf, b"state", 5)
    raft.compact(2)

    assert snapshot == Snapshot(3, 2, ConfState((1,)), b"state", 5)
    assert raft.newest_snapshot() is snapshot
    assert (raft.log.first_index, raft.log.term(2), raft.log.term(1)) == (3, 1, None)
    assert terms(raft) == [2]


def test_older_snapshot_is_refused() -> None:
    """Reference section 17.2: out of date."""
    raft = leader(voters=(1,), log=[1, 1])
    raft.create_snapshot(3, raft.conf, b"state")

    for index in (2, 3):
        with pytest.raises(SnapshotOutOfDate):
            raft.create_snapshot(index, raft.conf, b"older")


def test_snapshot_beyond_the_commit_index_or_before_the_log_is_a_bug() -> None:
    """Reference section 17.2."""
    raft = leader(log=[1, 1], base=(10, 1), hard=HardState(1, 0, 10))

    with pytest.raises(AssertionError, match="snapshot at 11, committed is 10"):
        raft.create_snapshot(11, raft.conf, b"")
    with pytest.raises(AssertionError, match="the log no longer holds"):
        raft.create_snapshot(9, raft.conf, b"")


def test_log_is_compacted_once_and_only_where_it_is_committed_and_written() -> None:
    """Reference section 17.2."""
    raft = server(log=[1] * 5, hard=HardState(1, 0, 3))
    raft.compact(2)

    for index in (1, 2):
        with pytest.raises(Compacted):
            raft.compact(index)
    with pytest.raises(AssertionError, match="committed is 3"):
        raft.compact(4)
    append(raft, (5, 1), [1], commit=6)
    with pytest.raises(AssertionError, match="never handed out"):
        raft.compact(6)


# -- several servers --
def test_slow_follower_catches_up_after_compaction() -> None:
    """Section 7: through a snapshot, then through entries."""
    net = cluster()
    net.campaign(1)
    net.isolate(3)
    for _ in range(5):
        net.propose(1)
    net[1].create_snapshot(6, net[1].conf, b"state")
    net[1].compact(6)
    net.propose(1)
    net.heal()

    net.beat(1)

    assert net[3].commit_index == 7
    assert (net[3].log.first_index, terms(net[3])) == (7, [1])
    assert net[1].progress[3].state is REPLICATE
    net.propose(1, b"after")
    assert net.applied[3][-1].data == b"after"


def test_failed_snapshot_is_tried_again_after_a_heartbeat() -> None:
    """Reference section 10.5: a probe waits for the round trip, finds the gap, and sends another one."""
    net = cluster()
    net.campaign(1)
    net.isolate(3)
    for _ in range(5):
        net.propose(1)
    net[1].create_snapshot(6, net[1].conf, b"state")
    net[1].compact(6)
    net.heal()
    net.ignore = {InstallSnapshot}
    net.beat(1)
    waiting = net[1].progress[3].state
    net.ignore = set()
    net.beat(1)
    still = net[1].progress[3].state

    net[1].report_snapshot(3, False)
    net.beat(1)

    assert (waiting, still) == (SNAPSHOT, SNAPSHOT)
    assert (net[1].progress[3].state, net[3].commit_index) == (REPLICATE, 6)
