"""Linearizable reads: thesis 6.4, as of v3.7. SwarmKit does not use them."""

import pytest

from swarmsim.raft import ConfState, HardState, RawNode, ReadOnly, ReadState, Role
from swarmsim.raft.messages import Heartbeat, HeartbeatResponse, ReadIndex, ReadIndexResponse
from tests.raft.network import ack, append, cluster, grant, leader, only, pump, run_ready, server


def answers(raft: RawNode) -> list[ReadState]:
    """The read states of all Readies there are."""
    found: list[ReadState] = []
    while raft.has_ready():
        found += run_ready(raft).read_states
    return found


# -- confirmed by a round of heartbeats --
def test_read_waits_until_a_quorum_has_answered_a_heartbeat_sent_since() -> None:
    """R-240, thesis 6.4 steps 2 and 3."""
    raft = leader(peers_match=True)

    raft.read_index("r")
    beats = only(pump(raft), Heartbeat)
    early = answers(raft)
    raft.step(HeartbeatResponse(2, 1, 1, beats[0].context))

    assert [(m.dst, m.context) for m in beats] == [(2, 1), (3, 1)]
    assert early == []
    assert answers(raft) == [ReadState(1, "r")]


def test_answer_to_an_older_heartbeat_confirms_nothing() -> None:
    """Thesis 6.4: it was sent before the question."""
    raft = leader(peers_match=True)
    raft.read_index("r")
    pump(raft)

    raft.step(HeartbeatResponse(2, 1, 1, 0))

    assert answers(raft) == []


def test_read_sees_the_commit_index_of_its_time() -> None:
    """Thesis 6.4 step 1: what commits meanwhile may be seen, but need not be waited for."""
    raft = leader(peers_match=True)
    raft.read_index("r")
    pump(raft)
    raft.propose(b"x", 1)
    pump(raft)
    ack(raft, 2)
    pump(raft)

    raft.step(HeartbeatResponse(2, 1, 1, 1))

    assert answers(raft) == [ReadState(1, "r")]


def test_later_confirmation_confirms_all_before_it_in_order() -> None:
    """R-245, reference section 13: and forgets them."""
    raft = leader(peers_match=True)
    for request in ("a", "b", "c"):
        raft.read_index(request)
    pump(raft)

    raft.step(HeartbeatResponse(2, 1, 1, 2))
    two = answers(raft)
    left = len(raft.pending_reads)
    raft.step(HeartbeatResponse(3, 1, 1, 3))

    assert (two, left) == ([ReadState(1, "a"), ReadState(1, "b")], 1)
    assert answers(raft) == [ReadState(1, "c")]
    assert raft.pending_reads == []


def test_heartbeat_names_the_newest_read_until_all_are_confirmed() -> None:
    """Reference section 13: every heartbeat, so a lost one does no harm."""
    raft = leader(peers_match=True)
    raft.read_index("a")
    raft.read_index("b")
    pump(raft)

    raft.tick()
    waiting = {m.context for m in only(pump(raft), Heartbeat)}
    raft.step(HeartbeatResponse(2, 1, 1, 2))
    raft.tick()

    assert waiting == {2}
    assert {m.context for m in only(pump(raft), Heartbeat)} == {0}


def test_older_acknowledgment_takes_nothing_back() -> None:
    """Reference section 13: the highest number of each server counts."""
    raft = leader(voters=(1, 2, 3, 4, 5), peers_match=True)
    raft.read_index("a")
    raft.read_index("b")
    pump(raft)

    raft.step(HeartbeatResponse(2, 1, 1, 2))
    raft.step(HeartbeatResponse(2, 1, 1, 1))
    raft.step(HeartbeatResponse(3, 1, 1, 2))

    assert answers(raft) == [ReadState(1, "a"), ReadState(1, "b")]


def test_both_halves_of_a_joint_configuration_confirm() -> None:
    """Reference section 13: a quorum commit over the numbers."""
    raft = server(conf=ConfState((1, 2, 3), (1, 4, 5), (6,)))
    raft.campaign()
    pump(raft)
    raft.become_leader()
    pump(raft)
    for peer in (2, 3, 4, 5):
        ack(raft, peer)
    pump(raft)
    raft.read_index("r")
    pump(raft)

    seen = []
    for peer in (6, 2, 3, 4):
        raft.step(HeartbeatResponse(peer, 1, 1, 1))
        seen.append(len(answers(raft)))

    assert seen == [0, 0, 0, 1]


def test_single_voter_answers_at_once() -> None:
    """Reference section 13: there is nobody to ask; not so in a joint configuration."""
    raft = leader(voters=(1,))

    raft.read_index("r")
    alone = answers(raft)
    raft.install_configuration(ConfState((1,), (1, 2)), raft.progress | {2: raft.new_progress(2)})
    raft.read_index("s")

    assert alone == [ReadState(1, "r")]
    assert answers(raft) == []


def test_removed_leader_does_not_answer_for_the_voter_that_is_left() -> None:
    """Thesis 6.4: where etcd looks at the number of voters only, we ask that voter."""
    raft = leader(voters=(1, 2), peers_match=True)
    raft.install_configuration(ConfState((2,)), {2: raft.progress[2]})

    raft.read_index("r")

    assert answers(raft) == []


# -- who asks --
def test_follower_passes_the_question_on_and_gets_the_answer() -> None:
    """R-240, reference section 9.2: nothing but the request is needed, and the question carries no term."""
    raft = server(hard=HardState(1, 0, 0))
    raft.step(Heartbeat(2, 1, 1, 0))
    pump(raft)

    raft.read_index("r")
    raft.step(ReadIndex(3, 1, 0, "s"))
    questions = pump(raft)
    raft.step(ReadIndexResponse(2, 1, 1, 7, "r"))

    assert questions == [ReadIndex(1, 2, 0, "r"), ReadIndex(3, 2, 0, "s")]
    assert answers(raft) == [ReadState(7, "r")]


def test_leader_answers_a_follower_by_message() -> None:
    """Reference section 13."""
    raft = leader(peers_match=True)
    raft.step(ReadIndex(3, 1, 0, "r"))
    pump(raft)

    raft.step(HeartbeatResponse(2, 1, 1, 1))

    assert pump(raft) == [ReadIndexResponse(1, 3, 1, 1, "r")]


@pytest.mark.parametrize("campaigns", [False, True])
def test_question_is_lost_without_a_leader(campaigns: bool) -> None:
    """Reference sections 9.1 and 9.2."""
    raft = server()
    if campaigns:
        raft.campaign()
    pump(raft)

    raft.read_index("r")

    assert (pump(raft), answers(raft)) == ([], [])


def test_question_of_a_follower_goes_the_whole_way() -> None:
    """R-240: between real servers."""
    net = cluster()
    net.campaign(1)
    net.propose(1)

    net[2].read_index("r")
    net.settle()

    assert net.reads == {1: [], 2: [(2, "r")], 3: []}


# -- a new leader --
def test_new_leader_answers_when_it_has_committed_in_its_term() -> None:
    """R-242, thesis 6.4 step 1: with the index of that first entry, 4."""
    raft = server(log=[1, 1, 1], hard=HardState(1, 0, 2))
    raft.campaign()
    pump(raft)
    grant(raft, 2)
    pump(raft)
    raft.read_index("r")
    raft.step(ReadIndex(3, 1, 0, "s"))
    early = only(pump(raft), Heartbeat)
    ack(raft, 2)
    beats = only(pump(raft), Heartbeat, 2)

    raft.step(HeartbeatResponse(2, 1, 2, beats[-1].context))

    assert (early, raft.commit_index, beats[-1].context) == ([], 4, 2)
    ready = run_ready(raft)
    assert ready.read_states == [ReadState(4, "r")]
    assert ready.messages == [ReadIndexResponse(1, 3, 2, 4, "s")]


def test_unconfirmed_reads_are_forgotten_with_the_leadership_but_not_postponed_ones() -> None:
    """Reference section 4.3: those wait for the first commit of the next term, if it is ours."""
    raft = leader()
    raft.read_index("postponed")
    ack(raft, 2)
    pump(raft)
    raft.read_index("pending")
    pump(raft)
    numbered = len(raft.pending_reads)
    raft.become_follower(2, 0)
    lost = raft.pending_reads[:]

    raft.campaign()
    pump(raft)
    grant(raft, 2)
    pump(raft)
    raft.step(HeartbeatResponse(2, 1, 3, 9))

    assert (numbered, lost) == (2, [])
    assert answers(raft) == []


def test_postponed_read_survives_losing_and_winning_an_election() -> None:
    """Reference section 4.3."""
    raft = leader()
    raft.read_index("r")
    raft.become_follower(2, 0)
    raft.campaign()
    pump(raft)
    grant(raft, 2)
    pump(raft)
    ack(raft, 2)
    (beat, _) = only(pump(raft), Heartbeat)

    raft.step(HeartbeatResponse(2, 1, 3, beat.context))

    assert answers(raft) == [ReadState(2, "r")]


def test_equal_requests_are_separate_reads() -> None:
    """R-244: a request that is asked again, at another leader, sees what is committed by then."""
    net = cluster()
    net.campaign(1)
    net[1].read_index("r")
    net.settle()
    net.campaign(2)
    net.propose(2)

    net[1].read_index("r")
    net.settle()

    assert net.reads[1] == [(1, "r"), (3, "r")]


# -- lease-based --
def test_lease_answers_without_a_round_of_heartbeats() -> None:
    """R-241, thesis 6.4.1: safe as long as clocks run alike."""
    raft = leader(peers_match=True, check_quorum=True, read_only=ReadOnly.LEASE_BASED)

    raft.read_index("r")
    raft.step(ReadIndex(3, 1, 0, "s"))

    ready = run_ready(raft)
    assert ready.read_states == [ReadState(1, "r")]
    assert ready.messages == [ReadIndexResponse(1, 3, 1, 1, "s")]


def test_lease_needs_a_commit_in_the_own_term_as_well() -> None:
    """R-241 and R-242."""
    raft = leader(check_quorum=True, read_only=ReadOnly.LEASE_BASED)

    raft.read_index("r")
    early = answers(raft)
    ack(raft, 2)

    assert early == []
    assert answers(raft) == [ReadState(1, "r")]


def test_deposed_leader_answers_nobody() -> None:
    """Thesis 6.4: what it heard of its old term does not count."""
    raft = leader(peers_match=True)
    raft.read_index("r")
    pump(raft)

    append(raft, (1, 1), [2], term=2)
    raft.step(HeartbeatResponse(3, 1, 1, 1))

    assert raft.role is Role.FOLLOWER
    assert answers(raft) == []
