"""Log replication: section 5.3 and Figure 2, AppendEntries."""

import pytest

from swarmsim.raft import Entry, HardState, Message, ProgressState, RawNode, Role
from swarmsim.raft.messages import AppendEntries, AppendEntriesResponse, Heartbeat, HeartbeatResponse
from tests.raft.network import (
    Network,
    ack,
    append,
    cluster,
    grant,
    leader,
    only,
    pump,
    refuse,
    run_ready,
    server,
    terms,
    ticks,
)

L, F = Role.LEADER, Role.FOLLOWER


# -- the leader --
def test_new_leader_sends_an_empty_entry_to_all() -> None:
    """Section 8; reference section 4.4: after the last entry, with the commit index."""
    raft = server(log=[1], hard=HardState(1, 0, 1))
    raft.campaign()
    pump(raft)

    grant(raft, 2)

    empty = Entry(2, 2)
    assert pump(raft) == [AppendEntries(1, peer, 2, 1, 1, (empty,), 1) for peer in (2, 3)]


def test_proposal_is_appended_and_sent() -> None:
    """R-070, section 5.3."""
    raft = leader(peers_match=True)

    raft.propose(b"x", 1)

    entry = Entry(1, 2, data=b"x", size=1)
    ready = run_ready(raft)
    assert (raft.log.last_index, raft.commit_index) == (2, 1)
    assert ready.messages == [AppendEntries(1, peer, 1, 1, 1, (entry,), 1) for peer in (2, 3)]
    assert ready.entries == [entry]


def test_committed_entry_is_applied_and_announced() -> None:
    """R-071, section 5.3: by the next AppendEntries, which may be empty."""
    raft = leader(peers_match=True)
    raft.propose(b"x", 1)
    pump(raft)

    ack(raft, 2)
    ready = run_ready(raft)
    ack(raft, 3)

    assert raft.commit_index == 2
    assert [entry.data for entry in ready.committed_entries] == [b"x"]
    assert ready.messages == [AppendEntries(1, peer, 1, 2, 1, (), 2) for peer in (2, 3)]
    assert pump(raft) == []


def test_own_acknowledgment_counts_only_when_the_entry_is_durable() -> None:
    """Reference section 8.1: through the same path as everybody else's (thesis 10.2.1)."""
    raft = leader(peers_match=True)
    raft.propose(b"x", 1)
    raft.ready()

    ack(raft, 2, 2)
    before = raft.commit_index
    raft.advance()

    assert (before, raft.commit_index) == (1, 2)


def indexes(messages: list[Message], dst: int) -> list[list[int]]:
    """The indexes of the entries in each AppendEntries to `dst`."""
    return [[entry.index for entry in m.entries] for m in only(messages, AppendEntries, dst)]


@pytest.mark.parametrize(("state", "expected"), [(ProgressState.PROBE, 1), (ProgressState.REPLICATE, 4)])
def test_proposal_moves_next_index_of_a_streaming_peer_only(state: ProgressState, expected: int) -> None:
    """R-083, reference section 10.2. One entry, the empty one and the proposal."""
    raft = leader(log=[1])
    record = raft.progress[2]
    record.match_index = 0
    if state is ProgressState.PROBE:
        record.become_probe()
    else:
        record.become_replicate()

    raft.propose(b"x", 1)

    assert record.next_index == expected


def test_each_peer_waits_for_its_own_acknowledgment() -> None:
    """R-085: 3 has not answered the first message, so a proposal goes to 2 only."""
    raft = leader()
    ack(raft, 2, 1)
    pump(raft)

    raft.propose(b"x", 1)
    first = pump(raft)
    ack(raft, 3, 1)
    second = pump(raft)

    assert [m.dst for m in only(first, AppendEntries)] == [2]
    assert [[e.index for e in m.entries] for m in only(second, AppendEntries, 3)] == [[2]]


def test_heartbeat_answer_of_a_peer_behind_is_followed_by_entries() -> None:
    """R-086: again and again until it acknowledges."""
    raft = leader()

    for _ in range(2):
        raft.step(HeartbeatResponse(2, 1, 1))
        assert [len(m.entries) for m in only(pump(raft), AppendEntries, 2)] == [1]
    ack(raft, 2, 1)
    pump(raft)
    raft.step(HeartbeatResponse(2, 1, 1))

    assert only(pump(raft), AppendEntries, 2) == []


def test_drained_window_is_refilled_with_entries_only() -> None:
    """Reference section 8.2 rule 3: no empty message when there is nothing left."""
    raft = leader(peers_match=True, max_size_per_msg=0, max_inflight_msgs=2)
    for _ in range(5):
        raft.propose(b"x", 1)
    first = pump(raft)

    ack(raft, 2, 3)
    second = pump(raft)
    ack(raft, 2, 5)
    third = pump(raft)

    assert indexes(first, 2) == [[2], [3]]
    assert indexes(second, 2) == [[4], [5]]
    assert indexes(third, 2) == [[6]]


def test_reordered_entries_are_refused_and_sent_again() -> None:
    """R-088, section 5.3: the second message overtakes the first, and the refusal comes late."""
    lead = leader(peers_match=False)
    follower = server(2, hard=HardState(1, 0, 0))
    record = lead.progress[2]
    record.become_replicate()
    lead.propose(b"x", 1)
    (first,) = only(pump(lead), AppendEntries, 2)
    lead.propose(b"y", 1)
    (second,) = only(pump(lead), AppendEntries, 2)

    follower.step(second)
    follower.step(first)
    refused, accepted = pump(follower)

    assert (first.prev_log_index, len(first.entries), second.prev_log_index) == (0, 2, 2)
    assert refused == AppendEntriesResponse(2, 1, 1, 2, False, 0, 0)
    assert accepted == AppendEntriesResponse(2, 1, 1, 2)
    lead.step(accepted)
    lead.report_unreachable(2)
    pump(lead)
    lead.step(refused)
    (again,) = only(pump(lead), AppendEntries, 2)
    assert (again.prev_log_index, [e.data for e in again.entries]) == (2, [b"y"])


def test_refusal_of_an_earlier_probe_is_old_news() -> None:
    """R-084 and R-121, reference section 10.3: a probe stands at next_index - 1."""
    raft = leader(log=[1] * 9)
    refuse(raft, 2, 9, hint=5, log_term=1)
    pump(raft)
    record = raft.progress[2]
    before = record.next_index

    refuse(raft, 2, 9, hint=2, log_term=1)
    refuse(raft, 2, 7, hint=2, log_term=1)

    assert before == 6
    assert record.next_index == 6
    assert pump(raft) == []
    refuse(raft, 2, 5, hint=2, log_term=1)
    assert record.next_index == 3


def test_acknowledgment_of_a_probe_that_teaches_nothing_ends_probing() -> None:
    """Reference section 8.2: the peer is in step, so it is streamed to again."""
    raft = leader(peers_match=True)
    raft.report_unreachable(2)
    record = raft.progress[2]

    ack(raft, 2, 0)
    still = record.state
    ack(raft, 2, 1)

    assert still is ProgressState.PROBE
    assert record.state is ProgressState.REPLICATE


# -- the follower --
@pytest.mark.parametrize(
    ("prev", "answer"),
    [
        ((0, 0), AppendEntriesResponse(1, 2, 2, 1)),
        ((1, 1), AppendEntriesResponse(1, 2, 2, 1)),
        ((2, 2), AppendEntriesResponse(1, 2, 2, 2)),
        ((1, 2), AppendEntriesResponse(1, 2, 2, 1, False, 1, 1)),
        ((2, 1), AppendEntriesResponse(1, 2, 2, 2, False, 1, 1)),
        ((3, 3), AppendEntriesResponse(1, 2, 2, 3, False, 2, 2)),
    ],
)
def test_follower_compares_the_entry_before_the_new_ones(prev: tuple[int, int], answer: AppendEntriesResponse) -> None:
    """R-100, AppendEntries rule 2, with the hint of section 5.3. The log is [1 2], committed 1."""
    raft = server(log=[1, 2], hard=HardState(2, 0, 1))

    append(raft, prev)

    assert pump(raft) == [answer]


@pytest.mark.parametrize(
    ("prev", "new", "log", "unstable"),
    [
        ((2, 2), [3], [1, 2, 3], [3]),
        ((1, 1), [3, 4], [1, 3, 4], [3, 4]),
        ((0, 0), [1], [1, 2], []),
        ((0, 0), [3], [3], [3]),
    ],
)
def test_follower_replaces_what_conflicts_and_nothing_else(
    prev: tuple[int, int], new: list[int], log: list[int], unstable: list[int]
) -> None:
    """R-101, AppendEntries rules 3 and 4. The log is [1 2] and durable."""
    raft = server(log=[1, 2])

    append(raft, prev, new)

    assert terms(raft) == log
    assert [entry.term for entry in raft.ready().entries] == unstable


def test_entries_before_the_commit_index_are_not_compared() -> None:
    """R-091: an old message; the answer says where the follower is."""
    raft = server(log=[1, 1, 1], hard=HardState(2, 0, 3))

    append(raft, (1, 1), [2])

    assert pump(raft) == [AppendEntriesResponse(1, 2, 2, 3)]
    assert terms(raft) == [1, 1, 1]


def test_answer_to_an_old_message_is_the_commit_index() -> None:
    """R-095: not the last index, which was not compared."""
    raft = server(log=[1] * 12, hard=HardState(1, 0, 10))

    append(raft, (9, 1))

    assert pump(raft) == [AppendEntriesResponse(1, 2, 1, 10)]


def test_old_message_does_not_shorten_the_log() -> None:
    """AppendEntries rule 3, reference section 11.4: the log has all of it, and more."""
    raft = server(log=[1, 1, 1, 1])

    append(raft, (1, 1), [1])

    assert terms(raft) == [1, 1, 1, 1]
    assert pump(raft) == [AppendEntriesResponse(1, 2, 1, 2)]


@pytest.mark.parametrize(("commit", "expected"), [(3, 3), (1, 2)])
def test_heartbeat_raises_the_commit_index_and_never_lowers_it(commit: int, expected: int) -> None:
    """R-103, reference section 9.4."""
    raft = server(log=[1, 2, 3], hard=HardState(3, 0, 2))

    raft.step(Heartbeat(2, 1, 3, commit, 7))

    assert raft.commit_index == expected
    assert pump(raft) == [HeartbeatResponse(1, 2, 3, 7)]


def test_heartbeat_beyond_the_log_is_a_bug() -> None:
    """Reference section 9.4: the leader limits it to what matches."""
    raft = server(log=[1])

    with pytest.raises(AssertionError, match=r"tocommit\(2\) is out of range"):
        raft.step(Heartbeat(2, 1, 1, 2))


# -- where do the logs part? (section 5.3, "the protocol can be optimized") --
@pytest.mark.parametrize(
    ("mine", "theirs", "hint", "next_prev"),
    [
        ([1, 2, 2, 4, 4, 4, 4], [1, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3], (7, 3), (3, 2)),
        ([1, 3, 3, 3, 5, 5, 5, 5, 5], [1, 1, 1, 1, 2, 2], (6, 2), (1, 1)),
        ([1, 1, 1, 1], [1, 2, 2, 4], (1, 1), (1, 1)),
        ([1] * 6, [1, 2, 2, 4], (1, 1), (1, 1)),
        ([1, 1, 1, 1], [1, 2, 2, 4, 4, 4], (1, 1), (1, 1)),
        ([1, 1, 1, 4, 5], [1, 1, 1, 4], (4, 4), (4, 4)),
        ([2] * 5, [2, 4, 4, 4, 4, 4, 4, 4], (1, 2), (1, 2)),
        ([1, 2, 2], [1, 1, 1], (3, 1), (1, 1)),
    ],
)
def test_one_probe_per_term_finds_where_logs_part(
    mine: list[int], theirs: list[int], hint: tuple[int, int], next_prev: tuple[int, int]
) -> None:
    """R-110, R-112, R-113, R-115: the follower's hint, and the leader's next probe, as (index, term)."""
    term = max(*mine, *theirs)
    lead = leader(log=mine, hard=HardState(term, 0, 0))
    follower = server(2, log=theirs, hard=HardState(lead.current_term, 0, 0))
    (probe,) = probes(lead)

    follower.step(probe)
    (refusal,) = pump(follower)
    lead.step(refusal)
    (again,) = only(pump(lead), AppendEntries, 2)

    assert (refusal.success, refusal.index) == (False, len(mine))
    assert (refusal.reject_hint, refusal.log_term) == hint
    assert (again.prev_log_index, again.prev_log_term) == next_prev
    follower.step(again)
    assert pump(follower)[-1].success
    assert terms(follower) == terms(lead)


def probes(lead: RawNode) -> list[AppendEntries]:
    """What a leader that has just been elected sent to 2; `leader()` has pumped it away, so it is asked again."""
    lead.step(HeartbeatResponse(2, 1, lead.current_term))
    return only(pump(lead), AppendEntries, 2)


def test_longer_disagreement_takes_a_probe_per_term() -> None:
    """Reference section 11.5, second example: 9/7, 8/3, 3/3."""
    lead = leader(log=[1, 3, 3, 3, 3, 3, 3, 3, 7], hard=HardState(7, 0, 0))
    follower = server(2, log=[1, 3, 3, 4, 4, 5, 5, 5, 6], hard=HardState(8, 0, 0))
    (probe,) = probes(lead)
    seen = []

    for _ in range(3):
        seen.append((probe.prev_log_index, probe.prev_log_term))
        follower.step(probe)
        (answer,) = pump(follower)
        lead.step(answer)
        probe = (only(pump(lead), AppendEntries, 2) or [probe])[0]

    assert seen == [(9, 7), (8, 3), (3, 3)]
    assert answer.success
    assert terms(follower) == terms(lead)


def test_hint_of_unknown_term_is_taken_as_it_is() -> None:
    """R-116: the follower's log is compacted up to 5, so the leader goes back by one only.

    Artificial: a real follower has committed what it compacted, and would acknowledge.
    """
    lead = leader(log=[1, 1, 3], hard=HardState(3, 0, 0))
    follower = server(2, base=(5, 3), hard=HardState(lead.current_term, 0, 5))
    follower.log.commit_index = 0
    (probe,) = probes(lead)

    follower.step(probe)
    (refusal,) = follower.after_append  # it is in no state to be pumped
    lead.step(refusal)
    (again,) = only(pump(lead), AppendEntries, 2)

    assert refusal == AppendEntriesResponse(2, 1, 4, 3, False, 3, 0)
    assert (again.prev_log_index, again.prev_log_term) == (2, 1)


# -- several servers --
@pytest.mark.parametrize(
    ("size", "dead", "lives"),
    [(3, (), True), (3, (3,), True), (3, (2, 3), False), (5, (4, 5), True), (5, (3, 4, 5), False)],
)
def test_proposal_needs_a_live_majority(size: int, dead: tuple[int, ...], lives: bool) -> None:
    """R-079, section 5.3: else it is nowhere but on the leader."""
    net = cluster(size)
    net.campaign(1)
    for id in dead:
        net.isolate(id)

    net.propose(1, b"x")
    net.beat(1)

    have = [id for id, applied in net.applied.items() if any(e.data == b"x" for e in applied)]
    assert have == ([id for id in range(1, size + 1) if id not in dead] if lives else [])
    assert net[1].log.last_index == 2


def test_old_candidate_catches_up_after_healing() -> None:
    """R-080, section 5.2: it was alone in term 1, and follows the leader of that term."""
    net = cluster()
    net.isolate(1)
    net.campaign(1)
    net.campaign(3)
    net.heal()

    net.beat(3)
    net.propose(3)

    assert (net[1].role, net[1].current_term) == (F, 1)
    assert terms(net[1]) == [1, 1]


def test_follower_redirects_a_proposal_to_the_leader() -> None:
    """R-082, section 5.1: the log is as if it had been proposed there."""
    net = cluster()
    net.campaign(1)

    net.propose(2, b"x")

    assert [entry.data for entry in net.applied[3]] == [None, b"x"]


def test_lost_entries_are_sent_again_after_a_heartbeat() -> None:
    """Section 5.3: the leader retries until all followers store all entries."""
    net = cluster()
    net.campaign(1)
    net.ignore = {AppendEntries}
    net.propose(1, b"x")
    net.propose(1, b"y")
    net.ignore = set()

    net.beat(1, rounds=2)

    assert [terms(net[id]) for id in (1, 2, 3)] == [[1, 1, 1]] * 3


def test_single_server_commits_alone() -> None:
    """Section 5.3, one server is its own majority."""
    net = Network(server(voters=(1,)))
    net.campaign(1)

    net.propose(1, b"x")

    assert [entry.data for entry in net.applied[1]] == [None, b"x"]
    ticks(net[1], 30)
    assert net[1].role is L
