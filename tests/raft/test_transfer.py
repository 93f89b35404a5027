"""Leadership transfer: thesis 3.10."""

import pytest

from swarmsim.raft import ConfChange, ConfChangeType, ConfState, HardState, ProposalDropped, RawNode, Role
from swarmsim.raft.messages import (
    AppendEntries,
    AppendEntriesResponse,
    PreVote,
    RequestVote,
    TimeoutNow,
    TransferLeader,
)
from tests.raft.network import ack, ask_vote, cluster, grant, leader, only, pump, server, ticks

F, C, L = Role.FOLLOWER, Role.CANDIDATE, Role.LEADER


def behind() -> RawNode:
    """A leader whose peer 2 lacks the last entry, and to which a transfer is pending; nothing is in its outbox."""
    raft = leader(peers_match=True)
    raft.propose(b"x", 1)
    pump(raft)
    raft.transfer_leader(2)
    pump(raft)
    return raft


@pytest.mark.parametrize("check_quorum", [False, True])
def test_leadership_goes_to_an_up_to_date_follower_and_back(check_quorum: bool) -> None:
    """R-160 and R-161, thesis 3.10: the lease does not stop it."""
    net = cluster(check_quorum=check_quorum)
    net.campaign(1)

    net[1].transfer_leader(2)
    net.settle()
    there = net.roles()
    net[2].transfer_leader(1)
    net.settle()

    assert there == [F, L, F]
    assert net.roles() == [L, F, F]
    assert net[1].current_term == 3


def test_up_to_date_target_is_told_at_once() -> None:
    """R-160, reference section 14.1."""
    raft = leader(peers_match=True)

    raft.transfer_leader(2)

    assert pump(raft) == [TimeoutNow(1, 2, 1)]
    assert (raft.role, raft.lead_transferee) == (L, 2)


def test_follower_passes_the_wish_on_to_the_leader() -> None:
    """R-160, reference section 9.2."""
    net = cluster()
    net.campaign(1)

    net[3].transfer_leader(2)
    net.settle()

    assert net.roles() == [F, L, F]


def test_wish_is_forwarded_with_the_wish_ers_term_and_again_if_need_be() -> None:
    """Reference section 9.2: where etcd would panic, it is forwarded a second time."""
    raft = server(hard=HardState(1, 0, 0))
    raft.leader_id = 3

    raft.transfer_leader(2)
    raft.step(TransferLeader(2, 1, 1))

    assert pump(raft) == [TransferLeader(2, 3, 1)] * 2


@pytest.mark.parametrize("role", [F, C])
def test_wish_is_lost_without_a_leader(role: Role) -> None:
    """Reference sections 9.1 and 9.2."""
    raft = server()
    if role is C:
        raft.campaign()
    pump(raft)

    raft.transfer_leader(2)

    assert pump(raft) == []


def test_target_that_is_behind_is_brought_up_to_date_first() -> None:
    """R-162: TimeoutNow follows the acknowledgment of the last entry."""
    raft = behind()

    early = only(pump(raft), TimeoutNow)
    ack(raft, 3, 2)
    other = only(pump(raft), TimeoutNow)
    ack(raft, 2, 2)

    assert (early, other) == ([], [])
    assert only(pump(raft), TimeoutNow) == [TimeoutNow(1, 2, 1)]


def test_target_in_need_of_entries_is_sent_some_at_once() -> None:
    """R-173: an empty message if all is in flight already."""
    raft = leader(peers_match=True)
    raft.propose(b"x", 1)
    pump(raft)

    raft.transfer_leader(2)

    assert pump(raft) == [AppendEntries(1, 2, 1, 2, 1, (), 1)]


def test_transfer_waits_for_a_snapshot() -> None:
    """R-163: to a follower that was cut off while the log was compacted."""
    net = cluster()
    net.campaign(1)
    net.isolate(3)
    for _ in range(3):
        net.propose(1)
    net[1].create_snapshot(4, net[1].conf, b"state")
    net[1].compact(4)
    net.heal()

    net[1].transfer_leader(3)
    net.beat(1)

    assert net.roles() == [F, F, L]
    assert net[3].log.first_index == 5


@pytest.mark.parametrize("target", [1, 9])
def test_transfer_to_itself_or_to_a_stranger_does_nothing(target: int) -> None:
    """R-164."""
    raft = leader(peers_match=True)
    ticks(raft, 3)
    pump(raft)

    raft.transfer_leader(target)

    assert pump(raft) == []
    assert (raft.lead_transferee, raft.election_elapsed) == (0, 3)


def test_learner_cannot_be_the_target() -> None:
    """R-170."""
    raft = server(conf=ConfState((1, 2), (), (3,)))
    raft.campaign()
    pump(raft)
    grant(raft, 2)
    ack(raft, 3, 1)
    pump(raft)

    raft.transfer_leader(3)

    assert (raft.lead_transferee, pump(raft)) == (0, [])


def test_transfer_is_given_up_after_an_election_timeout() -> None:
    """R-165: counted from its start, whatever the timer stood at."""
    raft = leader(peers_match=True)
    ticks(raft, 9)
    raft.transfer_leader(2)

    ticks(raft, 9)
    pending = raft.lead_transferee
    raft.tick()

    assert (pending, raft.lead_transferee, raft.role) == (2, 0, L)
    raft.propose(b"x", 1)


def test_asking_again_for_the_same_target_does_not_restart_the_clock() -> None:
    """Reference section 14.1."""
    raft = behind()
    ticks(raft, 9)
    pump(raft)

    raft.transfer_leader(2)
    raft.tick()

    assert raft.lead_transferee == 0
    assert only(pump(raft), TimeoutNow) == []


def test_another_target_takes_the_place_of_the_first() -> None:
    """R-169."""
    net = cluster()
    net.campaign(1)
    net.isolate(3)
    net.propose(1)
    net[1].transfer_leader(3)
    net.settle()
    first = net[1].lead_transferee

    net[1].transfer_leader(2)
    net.settle()

    assert first == 3
    assert (net[2].role, net[1].role) == (L, F)


def test_transfer_to_itself_gives_up_a_pending_one() -> None:
    """R-169: and proposals pass again."""
    raft = behind()

    raft.transfer_leader(1)

    assert raft.lead_transferee == 0
    raft.propose(b"y", 1)


def test_proposals_are_dropped_while_a_transfer_is_pending() -> None:
    """R-166, thesis 3.10: membership changes too."""
    raft = behind()

    with pytest.raises(ProposalDropped):
        raft.propose(b"y", 1)
    with pytest.raises(ProposalDropped):
        raft.propose_conf_change(ConfChange(ConfChangeType.ADD_NODE, 4))

    assert raft.log.last_index == 2


def test_transfer_ends_when_the_leader_is_deposed() -> None:
    """R-167."""
    raft = behind()

    ask_vote(raft, 3, 2)

    assert (raft.role, raft.current_term, raft.lead_transferee) == (F, 2, 0)


def test_deposed_leader_accepts_proposals_when_elected_again() -> None:
    """R-172."""
    raft = behind()
    raft.step(AppendEntries(2, 1, 2, 1, 1, (), 0))
    raft.campaign()
    pump(raft)
    grant(raft, 3)
    pump(raft)

    raft.propose(b"y", 1)

    assert raft.role is L


@pytest.mark.parametrize("kind", [ConfChangeType.REMOVE_NODE, ConfChangeType.ADD_LEARNER_NODE])
def test_transfer_ends_when_the_target_is_no_voter_any_more(kind: ConfChangeType) -> None:
    """R-168, reference section 16.4 step 5."""
    raft = behind()

    raft.apply_conf_change(ConfChange(ConfChangeType.ADD_NODE, 4))
    other = raft.lead_transferee
    raft.apply_conf_change(ConfChange(kind, 2))

    assert (other, raft.lead_transferee) == (2, 0)


def test_target_that_still_votes_in_the_outgoing_half_stays_target() -> None:
    """R-168: the target has to leave both halves."""
    raft = behind()

    raft.install_configuration(*joint_without_two(raft))
    raft._lead_configuration()

    assert raft.lead_transferee == 2


def joint_without_two(raft: RawNode) -> tuple[ConfState, dict]:  # type: ignore[type-arg]
    return ConfState((1, 3), (1, 2, 3)), raft.progress


# -- the target --
@pytest.mark.parametrize("pre_vote", [False, True])
def test_target_campaigns_at_once_and_its_requests_are_marked(pre_vote: bool) -> None:
    """R-171: without a pre-vote, even where PreVote is on."""
    raft = server(hard=HardState(1, 0, 0), pre_vote=pre_vote)

    raft.step(TimeoutNow(2, 1, 1))

    sent = pump(raft)
    assert only(sent, PreVote) == []
    assert sent == [RequestVote(1, peer, 2, 0, 0, True) for peer in (2, 3)]
    assert (raft.role, raft.current_term) == (C, 2)


def test_campaign_of_its_own_is_not_marked() -> None:
    """Thesis 3.10: or every candidate would pass the lease."""
    raft = server()

    raft.campaign()

    assert [m.transfer for m in only(pump(raft), RequestVote)] == [False, False]


@pytest.mark.parametrize("conf", [ConfState((2, 3), (), (1,)), ConfState((2, 3))])
def test_learner_or_stranger_does_not_campaign_when_told_to(conf: ConfState) -> None:
    """R-170."""
    raft = server(hard=HardState(1, 0, 0), conf=conf)

    raft.step(TimeoutNow(2, 1, 1))

    assert (raft.role, pump(raft)) == (F, [])


@pytest.mark.parametrize("role", [C, L])
def test_candidate_and_leader_ignore_timeout_now(role: Role) -> None:
    """Reference sections 8 and 9.1."""
    raft = server() if role is C else leader()
    raft.campaign()
    pump(raft)

    raft.step(TimeoutNow(2, 1, 1))

    assert (raft.role, raft.current_term) == (role, 1)
    assert only(pump(raft), RequestVote) == []


def test_old_acknowledgment_does_not_complete_the_transfer() -> None:
    """R-162: only one that says something new."""
    raft = behind()

    raft.step(AppendEntriesResponse(2, 1, 1, 1))

    assert only(pump(raft), TimeoutNow) == []
