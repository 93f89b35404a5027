"""The Ready cycle, first start and restart: Figure 2, Persistent state."""

import pytest

from swarmsim.raft import (
    ConfChange,
    ConfChangeType,
    Config,
    ConfState,
    Entry,
    EntryType,
    HardState,
    Progress,
    RawNode,
    Role,
    Snapshot,
    SoftState,
)
from swarmsim.raft.messages import (
    AppendEntries,
    AppendEntriesResponse,
    Heartbeat,
    HeartbeatResponse,
    PreVote,
    PreVoteResponse,
    RequestVote,
    RequestVoteResponse,
)
from tests.raft.network import Dice, ack, append, ask_vote, entries, grant, leader, pump, run_ready, server, terms

L, F, C = Role.LEADER, Role.FOLLOWER, Role.CANDIDATE


def restarted(hard: HardState, log: list[int], base: tuple[int, int] = (0, 0), applied: int = 0) -> RawNode:
    """A server of 1 2 3 from its disk."""
    snapshot = Snapshot(*base, ConfState((1, 2, 3)))
    return RawNode(Config(id=1, rng=Dice()), hard, snapshot, entries(*log, first=base[0] + 1), applied)


# -- first start --
def test_bootstrapped_server_commits_its_own_membership() -> None:
    """R-190: first Ready, election, proposal; a single voter needs three Readies to commit."""
    raft = RawNode(Config(id=1, rng=Dice()))
    raft.bootstrap([(1, b"address")])
    join = Entry(1, 1, EntryType.CONF_CHANGE, ConfChange(ConfChangeType.ADD_NODE, 1, context=b"address"))

    first = run_ready(raft)
    quiet = raft.has_ready()
    raft.campaign()
    candidate, elected, committed = (run_ready(raft) for _ in range(3))
    raft.propose(b"x", 1)
    proposed, applied = run_ready(raft), run_ready(raft)

    assert (first.hard_state, first.entries, first.committed_entries) == (HardState(1, 0, 1), [join], [join])
    assert (first.must_sync, first.soft_state, quiet) == (True, None, False)
    assert (candidate.hard_state, candidate.soft_state) == (HardState(2, 1, 1), SoftState(0, C))
    assert (elected.soft_state, elected.entries, elected.hard_state) == (SoftState(1, L), [Entry(2, 2)], None)
    assert (committed.hard_state, committed.committed_entries) == (HardState(2, 1, 2), [Entry(2, 2)])
    assert (proposed.entries, proposed.must_sync) == ([Entry(2, 3, data=b"x", size=1)], True)
    assert (applied.hard_state, applied.must_sync) == (HardState(2, 1, 3), False)
    assert [entry.data for entry in applied.committed_entries] == [b"x"]
    assert not raft.has_ready()


def test_bootstrap_of_several_members_is_in_effect_at_once() -> None:
    """Reference section 4.4: and applied = 0, so that the application sees the changes, too."""
    raft = RawNode(Config(id=2, rng=Dice()))

    raft.bootstrap([(1, None), (2, None), (3, None)])

    assert (raft.conf.voters, raft.current_term, raft.commit_index, raft.last_applied) == ((1, 2, 3), 1, 3, 0)
    assert raft.role is F
    ready = run_ready(raft)
    assert [entry.data.node_id for entry in ready.committed_entries] == [1, 2, 3]
    assert raft.conf.voters == (1, 2, 3)


def test_bootstrap_needs_an_empty_log() -> None:
    """Reference section 4.4."""
    with pytest.raises(AssertionError, match="has a log"):
        server(log=[1]).bootstrap([(1, None)])


# -- restart --
def test_restarted_server_hands_out_what_is_committed_again() -> None:
    """R-220: no HardState, no sync; and it has nothing else to say."""
    raft = restarted(HardState(1, 0, 1), [1, 1])

    ready = run_ready(raft)

    assert [entry.index for entry in ready.committed_entries] == [1]
    assert (ready.hard_state, ready.soft_state, ready.must_sync, ready.messages) == (None, None, False, [])
    assert not raft.has_ready()


def test_restart_from_a_snapshot() -> None:
    """R-220: snapshot at 2 of term 1, entry 3, commit 3."""
    raft = restarted(HardState(1, 0, 3), [1], base=(2, 1))

    ready = run_ready(raft)

    assert [entry.index for entry in ready.committed_entries] == [3]
    assert (raft.conf.voters, ready.snapshot) == ((1, 2, 3), None)


def test_vote_and_term_survive_a_restart() -> None:
    """Figure 2, Persistent state: a second vote in the term is refused."""
    raft = restarted(HardState(4, 3, 1), [1, 1])

    ask_vote(raft, 2, 4)
    ask_vote(raft, 3, 4)

    assert (raft.current_term, raft.voted_for, raft.role) == (4, 3, F)
    answers = [m for m in pump(raft) if isinstance(m, RequestVoteResponse)]
    assert [m.vote_granted for m in answers] == [False, True]


def test_log_and_commit_index_survive_a_restart() -> None:
    """Figure 2: an acknowledged entry is still there, and what is committed is not compared again."""
    raft = restarted(HardState(3, 0, 2), [1, 2, 3])

    append(raft, (1, 1), [3])

    assert terms(raft) == [1, 2, 3]
    assert (raft.commit_index, raft.log.last_index) == (2, 3)


def test_applied_entries_are_not_handed_out_again_if_the_application_knows_them() -> None:
    """Reference section 4.2 step 5."""
    raft = restarted(HardState(1, 0, 3), [1, 1, 1], applied=2)

    assert [entry.index for entry in run_ready(raft).committed_entries] == [3]


def test_commit_index_beyond_the_recovered_log_is_a_bug() -> None:
    """Section 18: the disk has lost an entry that was there."""
    with pytest.raises(AssertionError, match=r"state.commit 3 is out of range \[0, 2\]"):
        restarted(HardState(1, 0, 3), [1, 1])


def test_hard_state_older_than_the_snapshot_is_raised_to_it() -> None:
    """A crash may come between the two writes."""
    raft = restarted(HardState(1, 0, 1), [], base=(9, 2))

    assert (raft.commit_index, raft.last_applied, raft.current_term) == (9, 9, 1)


def test_server_without_a_disk_has_nothing_to_say() -> None:
    """Reference section 4.2: a joining server waits for the leader."""
    raft = RawNode(Config(id=1, rng=Dice()))

    for _ in range(50):
        raft.tick()

    assert not raft.has_ready()
    assert (raft.role, raft.conf, raft.promotable(), raft.is_learner) == (F, ConfState(), False, False)


# -- Ready --
def test_messages_queued_before_advance_come_with_the_next_ready() -> None:
    """R-221: taking a Ready clears what it holds."""
    raft = leader(peers_match=True)
    raft.broadcast_heartbeat()
    first = raft.ready()
    raft.broadcast_heartbeat()

    raft.advance()

    assert [type(m) for m in first.messages] == [Heartbeat] * 2
    assert [type(m) for m in run_ready(raft).messages] == [Heartbeat] * 2
    assert not raft.has_ready()


def test_answers_leave_after_all_other_messages() -> None:
    """R-229, reference section 12.2: each kind in the order in which it was made."""
    raft = leader(peers_match=True, check_quorum=True)
    raft.propose(b"x", 1)
    raft.step(PreVote(2, 1, 0 + 1, 9, 9))
    raft.broadcast_heartbeat()

    messages = run_ready(raft).messages

    assert [(type(m), m.dst) for m in messages] == [
        (AppendEntries, 2),
        (AppendEntries, 3),
        (Heartbeat, 2),
        (Heartbeat, 3),
        (PreVoteResponse, 2),
    ]


def test_messages_to_itself_stay_inside() -> None:
    """Reference section 12.2: they are stepped by advance."""
    raft = server(voters=(1, 2))

    raft.campaign()
    ready = raft.ready()
    before = dict(raft.votes)
    raft.advance()

    assert ready.messages == [RequestVote(1, 2, 1, 0, 0)]
    assert (before, raft.votes) == ({}, {1: True})


def test_message_to_itself_among_the_others_is_a_bug() -> None:
    """Reference section 1.2."""
    raft = server()

    with pytest.raises(AssertionError, match="a message to itself"):
        raft.send(Heartbeat(1, 1, 1, 0))


def test_second_ready_before_advance_is_a_bug() -> None:
    """Section 18; and so is advance without one."""
    raft = server()
    raft.campaign()
    raft.ready()

    with pytest.raises(AssertionError, match="a second Ready before advance"):
        raft.ready()
    raft.advance()
    with pytest.raises(AssertionError, match="advance without a Ready"):
        raft.advance()


def test_vote_must_be_synced_before_it_is_answered() -> None:
    """R-230, Figure 2: must_sync without entries, in the same term."""
    raft = server(hard=HardState(1, 0, 0))

    ask_vote(raft, 2, 1)
    ready = run_ready(raft)

    assert (ready.hard_state, ready.must_sync, ready.entries) == (HardState(1, 2, 0), True, ())
    assert ready.messages == [RequestVoteResponse(1, 2, 1, True)]


@pytest.mark.parametrize(("kind", "must"), [("term", True), ("commit", False), ("snapshot", False), ("entries", True)])
def test_sync_is_for_term_vote_and_entries(kind: str, must: bool) -> None:
    """Reference section 12.2: a new commit index may be lost."""
    raft = server(log=[1, 1], hard=HardState(1, 0, 0))
    if kind == "term":
        raft.step(HeartbeatResponse(2, 1, 2))
    elif kind == "commit":
        raft.step(Heartbeat(2, 1, 1, 1))
    elif kind == "snapshot":
        raft.restore(Snapshot(9, 1, ConfState((1, 2, 3))))
    else:
        append(raft, (2, 1), [1])

    assert raft.ready().must_sync is must


def test_what_has_not_changed_is_not_reported() -> None:
    """Reference section 12.1."""
    raft = server(hard=HardState(1, 0, 0))
    raft.step(Heartbeat(2, 1, 1, 0))
    first = run_ready(raft)
    raft.step(Heartbeat(2, 1, 1, 0))

    second = run_ready(raft)

    assert first.soft_state == SoftState(2, F)
    assert (second.soft_state, second.hard_state) == (None, None)
    assert second.messages == [HeartbeatResponse(1, 2, 1)]


def test_role_alone_is_news() -> None:
    """Reference section 12.1: leader 0 before and after."""
    raft = server(hard=HardState(1, 1, 0), voters=(1, 2, 3), pre_vote=True)
    raft.become_pre_candidate()
    raft.messages.clear()

    assert raft.has_ready()
    assert raft.ready().soft_state == SoftState(0, Role.PRE_CANDIDATE)


def test_entries_are_handed_out_once() -> None:
    """Reference section 12.2: what is being written is not written again."""
    raft = leader(peers_match=True)
    raft.propose(b"x", 1)
    raft.propose(b"y", 1)
    first = raft.ready()
    raft.propose(b"z", 1)
    raft.advance()

    second = run_ready(raft)

    assert [entry.data for entry in first.entries] == [b"x", b"y"]
    assert [entry.data for entry in second.entries] == [b"z"]


def test_advance_makes_durable_what_the_ready_held() -> None:
    """Reference section 12.2: and not what came since."""
    raft = server(hard=HardState(1, 0, 0))
    append(raft, (0, 0), [1, 1])
    raft.ready()
    append(raft, (2, 1), [1])
    before = raft.log.unstable_from

    raft.advance()

    # As in etcd the write of a Ready covers what is the last entry when it is taken.
    assert (before, raft.log.unstable_from, raft.log.handed_out_to) == (1, 3, 3)
    run_ready(raft)
    assert raft.log.unstable_from == 4


def test_write_of_an_earlier_term_makes_nothing_durable() -> None:
    """R-227: A's entry is being written, B replaces it, A's next term restores it: it must be written again."""
    raft = server(hard=HardState(1, 0, 0))
    append(raft, (0, 0), [1])
    raft.ready()
    raft.step(AppendEntries(3, 1, 2, 0, 0, (Entry(2, 1),), 0))
    raft.step(AppendEntries(2, 1, 3, 0, 0, (Entry(1, 1),), 0))

    raft.advance()

    assert raft.log.unstable_from == 1
    assert [(entry.index, entry.term) for entry in raft.ready().entries] == [(1, 1)]


def test_acknowledgment_waits_for_the_write() -> None:
    """Figure 2 and reference section 12.3: the answer is in the Ready that holds the entries."""
    raft = server(hard=HardState(1, 0, 0))

    append(raft, (0, 0), [1, 1])
    ready = raft.ready()

    assert [entry.index for entry in ready.entries] == [1, 2]
    assert ready.messages == [AppendEntriesResponse(1, 2, 1, 2)]
    assert raft.persists_before_sending()


def test_entries_may_be_applied_in_the_ready_that_writes_them() -> None:
    """Reference section 12.3 rule 3: a follower that hears of the entry and of its commit at once."""
    raft = server(hard=HardState(1, 0, 0))

    append(raft, (0, 0), [1], commit=1)
    ready = raft.ready()

    assert ready.entries == ready.committed_entries == [Entry(1, 1)]


def test_applying_is_paged() -> None:
    """R-222: no more than the limit is outstanding, and the rest follows."""
    raft = server(log=[1] * 5, hard=HardState(1, 0, 5), max_committed_size_per_ready=12)

    pages = []
    while raft.has_ready():
        pages.append([entry.index for entry in run_ready(raft).committed_entries])

    assert pages == [[1, 2], [3, 4], [5]]


def test_page_is_as_large_as_a_message_unless_configured() -> None:
    """Reference section 2: max_committed_size_per_ready 0."""
    raft = server(log=[1] * 3, hard=HardState(1, 0, 3), max_size_per_msg=6)

    assert [entry.index for entry in run_ready(raft).committed_entries] == [1]


def test_leader_steps_down_within_a_ready() -> None:
    """Reference section 12.2: its own acknowledgment, stepped by advance, is of an earlier term by then."""
    raft = leader(voters=(1, 2))
    raft.propose(b"x", 1)
    raft.ready()
    ack(raft, 2, 1)
    raft.step(HeartbeatResponse(2, 1, 9))

    raft.advance()

    assert (raft.role, raft.current_term, raft.commit_index) == (F, 9, 1)


# -- status --
def test_status_shows_progress_of_a_leader_only() -> None:
    """Reference section 3."""
    raft = leader(peers_match=True)
    head = raft.status()
    follower = server(2, log=[1], hard=HardState(1, 3, 1)).status()

    assert (head.id, head.hard_state, head.soft_state) == (1, HardState(1, 1, 1), SoftState(1, L))
    assert (head.applied, head.lead_transferee, head.conf_state) == (1, 0, ConfState((1, 2, 3)))
    assert {id: record.match_index for id, record in head.progress.items()} == {1: 1, 2: 1, 3: 1}
    assert (follower.progress, follower.hard_state, follower.soft_state) == ({}, HardState(1, 3, 1), SoftState(0, F))


def test_status_is_a_copy() -> None:
    """Looking in changes nothing."""
    raft = leader(peers_match=True)
    raft.propose(b"x", 1)

    record: Progress = raft.status().progress[2]
    window = list(record.inflights.window)
    record.match_index = 99
    record.become_snapshot(7)

    assert window == list(raft.progress[2].inflights.window) == [(2, 1)]
    assert (raft.progress[2].match_index, raft.progress[2].inflights.total_bytes) == (1, 1)


def test_votes_of_the_present_election_only() -> None:
    """Reference section 4.3: reset clears them."""
    raft = server()
    raft.campaign()
    pump(raft)
    grant(raft, 2, False)

    raft.campaign()

    assert raft.votes == {}
