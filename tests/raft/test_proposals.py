"""Proposals and what refuses them: section 5.1."""

import pytest

from swarmsim.raft import ConfChange, ConfChangeType, Entry, EntryType, HardState, ProposalDropped, RawNode, Role
from swarmsim.raft.messages import AppendEntries, Heartbeat, Propose
from tests.raft.network import ack, leader, only, pump, server, terms


def follower(**options: object) -> RawNode:
    """A follower of 2."""
    raft = server(hard=HardState(1, 0, 0), **options)
    raft.step(Heartbeat(2, 1, 1, 0))
    pump(raft)
    return raft


def test_follower_forwards_a_proposal() -> None:
    """R-082, section 5.1: it carries no term, and says who asked."""
    raft = follower()

    raft.propose(b"x", 1)
    raft.step(Propose(3, 1, 0, (Entry(data=b"y", size=1),)))

    assert pump(raft) == [
        Propose(1, 2, 0, (Entry(data=b"x", size=1),)),
        Propose(3, 2, 0, (Entry(data=b"y", size=1),)),
    ]


def test_follower_forwards_a_membership_change() -> None:
    """R-082, reference section 3: from is filled in."""
    raft = follower()
    change = ConfChange(ConfChangeType.ADD_NODE, 4)

    raft.propose_conf_change(change, 6)

    assert pump(raft) == [Propose(1, 2, 0, (Entry(0, 0, EntryType.CONF_CHANGE, change, 6),))]


def test_follower_refuses_where_forwarding_is_off() -> None:
    """R-082 and R-232."""
    raft = follower(disable_proposal_forwarding=True)

    with pytest.raises(ProposalDropped, match="does not forward"):
        raft.propose(b"x", 1)

    assert pump(raft) == []


def test_follower_without_a_leader_refuses() -> None:
    """R-082."""
    with pytest.raises(ProposalDropped, match="no leader is known"):
        server().propose(b"x", 1)


@pytest.mark.parametrize("pre_vote", [False, True])
def test_candidate_refuses(pre_vote: bool) -> None:
    """R-232: a pre-candidate, too."""
    raft = server(pre_vote=pre_vote)
    raft.campaign()

    with pytest.raises(ProposalDropped, match="an election is going on"):
        raft.propose(b"x", 1)

    assert raft.role is (Role.PRE_CANDIDATE if pre_vote else Role.CANDIDATE)


def test_proposal_from_the_network_may_be_refused_as_well() -> None:
    """Reference section 3: step raises what propose would."""
    raft = server()

    with pytest.raises(ProposalDropped):
        raft.step(Propose(2, 1, 0, (Entry(data=b"x", size=1),)))


def test_leader_numbers_the_entries_of_a_proposal() -> None:
    """Reference section 8.1: several at once, whatever term and index they carry."""
    raft = leader(peers_match=True)

    raft.step(Propose(2, 1, 0, (Entry(9, 9, data=b"x", size=1), Entry(data=b"y", size=1))))

    assert raft.log.entries_from(2) == [Entry(1, 2, data=b"x", size=1), Entry(1, 3, data=b"y", size=1)]
    assert [len(m.entries) for m in only(pump(raft), AppendEntries)] == [2, 2]


def test_proposal_without_entries_is_a_bug() -> None:
    """Section 18."""
    with pytest.raises(AssertionError, match="a proposal without entries"):
        leader().step(Propose(2, 1, 0, ()))


def test_leader_keeps_data_as_it_is() -> None:
    """Reference section 1: the core does not look at it."""
    thing = object()
    raft = leader(voters=(1,))

    raft.propose(thing, 12)
    entry = raft.log.entries_from(2)[0]

    assert entry.data is thing
    assert (entry.size, entry.type) == (12, EntryType.NORMAL)


# -- the limit of what is uncommitted (reference section 8.1) --
def full() -> RawNode:
    """A leader that accepts ten bytes of uncommitted payload, and has them."""
    raft = leader(peers_match=True, max_uncommitted_size=10)
    raft.propose(b"x" * 5, 5)
    raft.propose(b"x" * 5, 5)
    pump(raft)
    return raft


def test_proposals_are_dropped_when_too_much_is_uncommitted() -> None:
    """R-223: and nothing is appended."""
    raft = full()

    with pytest.raises(ProposalDropped, match="too much is uncommitted"):
        raft.propose(b"x", 1)

    assert terms(raft) == [1, 1, 1]
    assert pump(raft) == []


def test_empty_proposal_always_passes() -> None:
    """R-223: so that a leader can always append its own."""
    raft = full()

    raft.propose(None)

    assert terms(raft) == [1, 1, 1, 1]


def test_oversized_proposal_passes_when_nothing_is_uncommitted() -> None:
    """R-223: and an empty one after it."""
    raft = leader(peers_match=True, max_uncommitted_size=10)

    raft.propose(b"x" * 99, 99)

    with pytest.raises(ProposalDropped):
        raft.propose(b"x", 1)
    raft.propose(None)


@pytest.mark.parametrize(("limit", "first", "second", "fits"), [(1, 1, 1, False), (10, 1, 10, False), (10, 1, 9, True)])
def test_limit_is_for_the_sum(limit: int, first: int, second: int, fits: bool) -> None:
    """R-223: not to be exceeded, but to be reached."""
    raft = leader(peers_match=True, max_uncommitted_size=limit)
    raft.propose(b"", first)

    if fits:
        raft.propose(b"", second)
    else:
        with pytest.raises(ProposalDropped):
            raft.propose(b"", second)

    assert raft.uncommitted_size == first + second * fits


def test_room_is_made_by_applying() -> None:
    """R-223, section 18: not by committing."""
    raft = full()
    ack(raft, 2)
    raft.ready()

    with pytest.raises(ProposalDropped):
        raft.propose(b"x", 1)
    raft.advance()
    raft.propose(b"x" * 10, 10)

    assert raft.uncommitted_size == 10


def test_new_leader_begins_with_nothing_uncommitted() -> None:
    """Section 18: counted per term of the leader, so applying what it inherited does not go below zero."""
    raft = full()
    raft.become_follower(2, 0)
    raft.campaign()
    pump(raft)
    raft.become_leader()
    pump(raft)
    before = raft.uncommitted_size
    ack(raft, 2)
    pump(raft)

    assert (before, raft.uncommitted_size, raft.last_applied) == (0, 0, 4)


def test_without_a_limit_everything_passes() -> None:
    """Reference section 2."""
    raft = leader(peers_match=True)

    for _ in range(20):
        raft.propose(b"", 1 << 30)

    assert raft.log.last_index == 21
