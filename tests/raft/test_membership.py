"""Membership changes, one server at a time: section 6 and thesis chapter 4."""

import pytest

from swarmsim.raft import (
    ConfChange,
    ConfChangeError,
    ConfChangeType,
    Config,
    Entry,
    EntryType,
    HardState,
    ProgressState,
    ProposalDropped,
    RawNode,
    Role,
)
from swarmsim.raft.messages import AppendEntries, Heartbeat, Propose, RequestVote
from tests.raft.network import Dice, Network, ack, cluster, grant, leader, only, pump, server

ADD, REMOVE = ConfChangeType.ADD_NODE, ConfChangeType.REMOVE_NODE
UPDATE, LEARN = ConfChangeType.UPDATE_NODE, ConfChangeType.ADD_LEARNER_NODE


def change(raft: RawNode, kind: ConfChangeType, id: int) -> None:
    """Propose, and let a single voter commit and apply."""
    raft.propose_conf_change(ConfChange(kind, id), 6)
    pump(raft)


def kinds(raft: RawNode) -> list[EntryType]:
    return [entry.type for entry in raft.log.entries_from(raft.log.first_index)]


# -- what the leader lets in (reference section 16.2) --
def test_change_takes_effect_when_it_is_applied() -> None:
    """Reference section 16.1: not when it is appended, as in the paper."""
    raft = leader(peers_match=True)

    raft.propose_conf_change(ConfChange(ADD, 4))
    pump(raft)
    appended = raft.conf.voters
    ack(raft, 2)
    committed = raft.conf.voters
    pump(raft)

    assert (appended, committed, raft.conf.voters) == ((1, 2, 3), (1, 2, 3), (1, 2, 3, 4))


def test_second_change_while_one_is_pending_becomes_an_empty_entry() -> None:
    """R-180, thesis 4.1: without an error; it may be asked for again later."""
    raft = leader(peers_match=True)

    raft.propose_conf_change(ConfChange(ADD, 4))
    raft.propose_conf_change(ConfChange(ADD, 5))

    assert raft.log.entries_from(2) == [
        Entry(1, 2, EntryType.CONF_CHANGE, ConfChange(ADD, 4), 0),
        Entry(1, 3, EntryType.NORMAL, None, 0),
    ]
    assert raft.pending_conf_index == 2


def test_second_change_of_one_proposal_becomes_an_empty_entry() -> None:
    """Reference section 16.2: each entry is looked at by itself, and the first one's index is the pending one."""
    raft = leader(peers_match=True)
    first, second = (Entry(type=EntryType.CONF_CHANGE, data=ConfChange(ADD, id)) for id in (4, 5))

    raft.step(Propose(2, 1, 0, (Entry(data=b"x", size=1), first, second)))

    assert kinds(raft)[1:] == [EntryType.NORMAL, EntryType.CONF_CHANGE, EntryType.NORMAL]
    assert raft.log.entries_from(4) == [Entry(1, 4)]
    assert raft.pending_conf_index == 3


def test_change_that_is_too_large_stands_in_the_way_of_the_next_all_the_same() -> None:
    """etcd raft.go `stepLeader`: its index is noted before the append is refused. A quirk, until that is applied."""
    raft = leader(peers_match=True, max_uncommitted_size=10)
    raft.propose(b"0123456789", 10)

    with pytest.raises(ProposalDropped):
        raft.propose_conf_change(ConfChange(ADD, 4), 6)
    noted, last = raft.pending_conf_index, raft.log.last_index
    raft.propose_conf_change(ConfChange(ADD, 5), 0)

    assert (noted, last) == (3, 2)
    assert kinds(raft)[2:] == [EntryType.NORMAL]


def test_next_change_is_let_in_when_the_first_is_applied() -> None:
    """R-180: committed is not enough."""
    raft = leader(peers_match=True)
    raft.propose_conf_change(ConfChange(ADD, 4))
    pump(raft)
    ack(raft, 2)

    raft.propose_conf_change(ConfChange(ADD, 5))
    pump(raft)
    raft.propose_conf_change(ConfChange(ADD, 6))

    assert kinds(raft)[1:] == [EntryType.CONF_CHANGE, EntryType.NORMAL, EntryType.CONF_CHANGE]


@pytest.mark.parametrize("inherited", [0, 1, 3])
def test_new_leader_lets_no_change_in_before_it_has_applied_what_it_inherited(inherited: int) -> None:
    """R-181, thesis 4.1 as corrected in 2015."""
    raft = server(log=[1] * inherited, hard=HardState(1, 0, 0))
    raft.campaign()
    pump(raft)
    grant(raft, 2)
    pump(raft)
    pending = raft.pending_conf_index

    raft.propose_conf_change(ConfChange(ADD, 4))
    pump(raft)
    ack(raft, 2)
    pump(raft)
    raft.propose_conf_change(ConfChange(ADD, 5))

    assert pending == inherited
    first = EntryType.NORMAL if inherited else EntryType.CONF_CHANGE
    assert kinds(raft)[inherited:] == [EntryType.NORMAL, first, EntryType.CONF_CHANGE]


def test_without_validation_every_change_is_let_in() -> None:
    """Reference section 16.2: the application answers for it."""
    raft = leader(peers_match=True, disable_conf_change_validation=True)

    raft.propose_conf_change(ConfChange(ADD, 4))
    raft.propose_conf_change(ConfChange(ADD, 5))

    assert kinds(raft)[1:] == [EntryType.CONF_CHANGE] * 2
    assert raft.pending_conf_index == 3


def test_change_that_the_application_drops_has_no_effect() -> None:
    """Reference section 3: not calling apply_conf_change turns it into nothing, and the next one may come."""
    raft = leader(peers_match=True)
    raft.propose_conf_change(ConfChange(ADD, 4))
    pump_without_applying(raft)
    ack(raft, 2)
    pump_without_applying(raft)

    raft.propose_conf_change(ConfChange(ADD, 5))

    assert raft.conf.voters == (1, 2, 3)
    assert kinds(raft)[-1] is EntryType.CONF_CHANGE


def pump_without_applying(raft: RawNode) -> None:
    while raft.has_ready():
        raft.ready()
        raft.advance()


# -- what a change does (reference section 16.3) --
def test_voters_come_and_go() -> None:
    """R-182: adding a present one, removing an unknown one and updating one do nothing."""
    raft = leader(voters=(1,))

    change(raft, ADD, 2)
    two = raft.conf.voters
    ack(raft, 2)
    pump(raft)
    record = raft.progress[2]
    for kind, id in ((ADD, 2), (REMOVE, 7), (UPDATE, 2)):
        change(raft, kind, id)
        ack(raft, 2)
        pump(raft)
    same = (raft.conf.voters, raft.progress[2].match_index == raft.log.last_index)
    change(raft, REMOVE, 2)
    ack(raft, 2)
    pump(raft)

    assert two == (1, 2)
    assert record.state is ProgressState.REPLICATE
    assert same == ((1, 2), True)
    assert (raft.conf.voters, list(raft.progress)) == ((1,), [1])


def test_last_voter_cannot_be_removed() -> None:
    """R-182, reference section 16.3: an error at apply time, and nothing has changed."""
    raft = leader(voters=(1,))

    with pytest.raises(ConfChangeError) as refused:
        raft.apply_conf_change(ConfChange(REMOVE, 1))

    assert refused.value.reason == "no-voters-left"
    assert (raft.conf.voters, list(raft.progress)) == ((1,), [1])


def test_adding_the_same_server_twice_and_then_another() -> None:
    """R-187: all three entries are in the log, both servers are members."""
    raft = leader(voters=(1,))

    for id in (2, 2, 3):
        raft.propose_conf_change(ConfChange(ADD, id))
        pump(raft)
        for peer in raft.conf.voters[1:]:
            ack(raft, peer)
        pump(raft)

    changes = [entry.data.node_id for entry in raft.log.entries_from(1) if entry.type is EntryType.CONF_CHANGE]
    assert changes == [2, 2, 3]
    assert raft.conf.voters == (1, 2, 3)


def test_change_of_server_zero_is_a_change_of_nobody() -> None:
    """Reference section 16.3: what an application has turned into nothing."""
    raft = leader(voters=(1, 2))

    raft.apply_conf_change(ConfChange(REMOVE, 0))

    assert raft.conf.voters == (1, 2)


def test_new_member_is_probed_at_once() -> None:
    """Reference sections 10.4 and 16.4: from the last index on, and it counts as active."""
    raft = leader(voters=(1,), log=[1, 1, 1])
    pump(raft)

    raft.apply_conf_change(ConfChange(ADD, 2))
    record = raft.progress[2]

    assert (record.match_index, record.next_index, record.recent_active) == (0, 4, True)
    assert [(m.prev_log_index, len(m.entries)) for m in only(pump(raft), AppendEntries)] == [(3, 1)]


def test_joining_server_with_an_empty_log_is_brought_up_to_date() -> None:
    """Reference section 20.3: it knows no configuration until the leader's entries reach it."""
    net = Network(server(1, voters=(1,)))
    net.campaign(1)
    net.propose(1)
    net.add(RawNode(Config(id=2, rng=Dice())))

    net[1].propose_conf_change(ConfChange(ADD, 2))
    net.settle()

    assert net[2].log.entries_from(1) == net[1].log.entries_from(1)
    assert net[1].conf.voters == (1, 2)
    assert net[2].commit_index == 3


def test_removing_a_voter_commits_what_the_rest_has() -> None:
    """Reference section 16.4 step 4: a smaller quorum, and everybody is told."""
    raft = leader(voters=(1, 2, 3, 4), peers_match=True)
    raft.propose(b"x", 1)
    pump(raft)
    ack(raft, 2)
    before = raft.commit_index
    pump(raft)

    raft.apply_conf_change(ConfChange(REMOVE, 4))

    assert (before, raft.commit_index) == (1, 2)
    assert {m.dst: m.leader_commit for m in only(pump(raft), AppendEntries)} == {2: 2, 3: 2}


def test_only_peers_in_need_of_entries_are_sent_some_after_a_change() -> None:
    """Reference section 16.4 step 4, when nothing commits by it."""
    raft = leader(peers_match=True)

    raft.apply_conf_change(ConfChange(ADD, 4))

    assert [m.dst for m in only(pump(raft), AppendEntries)] == [4]


# -- a leader that is removed (reference section 16.4 step 2) --
def removed(**options: object) -> RawNode:
    raft = leader(peers_match=True, **options)
    raft.propose(b"x", 1)
    pump(raft)
    raft.apply_conf_change(ConfChange(REMOVE, 1))
    return raft


def test_removed_leader_goes_on_without_counting_itself() -> None:
    """Section 6: "it manages the cluster without counting itself", but refuses proposals."""
    raft = removed()

    with pytest.raises(ProposalDropped, match="removed"):
        raft.propose(b"y", 1)
    ack(raft, 2)
    one = raft.commit_index
    ack(raft, 3)
    pump(raft)
    raft.tick()

    assert (one, raft.commit_index) == (1, 2)
    assert raft.role is Role.LEADER
    assert [m.dst for m in only(pump(raft), Heartbeat)] == [2, 3]


def test_removed_leader_stops_at_once() -> None:
    """Reference section 16.4: no commit attempt, no messages, although a smaller quorum might do."""
    raft = leader(voters=(1, 2, 3, 4), peers_match=True)
    raft.propose(b"x", 1)
    pump(raft)
    ack(raft, 2)
    ack(raft, 3)
    pump(raft)
    raft.propose(b"y", 1)
    pump(raft)
    ack(raft, 2)
    ack(raft, 3)
    committed = raft.commit_index
    pump(raft)

    raft.apply_conf_change(ConfChange(REMOVE, 1))

    assert raft.commit_index == committed
    assert pump(raft) == []


@pytest.mark.parametrize("kind", [REMOVE, LEARN])
def test_removed_or_demoted_leader_steps_down_if_so_configured(kind: ConfChangeType) -> None:
    """Reference section 16.4: in its own term."""
    raft = leader(peers_match=True, step_down_on_removal=True)

    raft.apply_conf_change(ConfChange(kind, 1))

    assert (raft.role, raft.current_term, raft.leader_id) == (Role.FOLLOWER, 1, 0)
    assert raft.is_learner is (kind is LEARN)
    raft.campaign()
    assert raft.role is Role.FOLLOWER


def test_demoted_leader_stays_and_proposes() -> None:
    """Reference section 16.4: it has a record still."""
    raft = leader(peers_match=True)

    raft.apply_conf_change(ConfChange(LEARN, 1))
    raft.propose(b"x", 1)

    assert (raft.role, raft.is_learner, raft.log.last_index) == (Role.LEADER, True, 2)


def test_removed_follower_does_not_campaign() -> None:
    """Reference section 4.5."""
    raft = server(log=[1])

    raft.apply_conf_change(ConfChange(REMOVE, 1))
    for _ in range(30):
        raft.tick()

    assert only(pump(raft), RequestVote) == []
    assert not raft.promotable()


def test_cluster_replaces_its_leader() -> None:
    """Section 6: the removed leader commits its own removal; the others elect another."""
    net = cluster()
    net.campaign(1)

    net[1].propose_conf_change(ConfChange(REMOVE, 1))
    net.settle()
    net.isolate(1)
    net.campaign(2)
    net.propose(2, b"x")

    assert net[1].conf.voters == net[2].conf.voters == (2, 3)
    assert net[2].role is Role.LEADER
    assert net.applied[3][-1].data == b"x"
