"""Elections: sections 5.2 and 5.4.1, thesis 9.6."""

import pytest

from swarmsim.raft import ConfState, HardState, RawNode, Role
from swarmsim.raft.membership import ConfChange, ConfChangeType
from swarmsim.raft.messages import (
    AppendEntries,
    AppendEntriesResponse,
    EntryType,
    Heartbeat,
    PreVote,
    PreVoteResponse,
    RequestVote,
    RequestVoteResponse,
    TimeoutNow,
)
from tests.raft.network import (
    Network,
    append,
    ask_vote,
    cluster,
    leader,
    only,
    pump,
    server,
    terms,
    ticks,
)

F, P, C, L = Role.FOLLOWER, Role.PRE_CANDIDATE, Role.CANDIDATE, Role.LEADER


@pytest.mark.parametrize(
    ("size", "grants", "refusals", "role"),
    [
        (1, 0, 0, L), (3, 1, 0, L), (3, 2, 0, L), (5, 2, 0, L), (5, 3, 0, L), (5, 4, 0, L),
        (3, 0, 2, F), (5, 0, 4, F), (5, 1, 3, F),
        (3, 0, 0, C), (5, 1, 0, C), (5, 0, 2, C), (5, 0, 0, C),
    ],
)  # fmt: skip
def test_majority_of_votes_decides_an_election(size: int, grants: int, refusals: int, role: Role) -> None:
    """R-020 and R-021, section 5.2: won by a majority, lost when a majority refuses."""
    raft = server(voters=tuple(range(1, size + 1)))
    raft.campaign()
    pump(raft)

    for voter in range(2, 2 + grants + refusals):
        raft.step(RequestVoteResponse(voter, 1, 1, voter < 2 + grants))

    assert (raft.role, raft.current_term, raft.leader_id) == (role, 1, 1 if role is L else 0)


def test_first_answer_of_a_voter_counts() -> None:
    """R-022, reference section 7.4."""
    raft = server(voters=(1, 2, 3, 4, 5))
    raft.campaign()
    pump(raft)

    raft.step(RequestVoteResponse(2, 1, 1, False))
    raft.step(RequestVoteResponse(2, 1, 1, True))
    raft.step(RequestVoteResponse(3, 1, 1, True))

    assert raft.role is C
    assert raft.votes[2] is False


@pytest.mark.parametrize(
    ("vote", "src", "granted"),
    [(0, 2, True), (0, 3, True), (2, 2, True), (3, 3, True), (2, 3, False), (3, 2, False)],
)
def test_server_votes_for_one_candidate_per_term(vote: int, src: int, granted: bool) -> None:
    """R-023, section 5.2, first come first served."""
    raft = server(hard=HardState(1, vote, 0))

    ask_vote(raft, src, 1)

    assert pump(raft) == [RequestVoteResponse(1, src, 1, granted)]


def test_one_vote_per_term_even_for_a_better_log() -> None:
    """R-041, section 5.2."""
    raft = server(log=[1])

    ask_vote(raft, 2, 2, (1, 1))
    ask_vote(raft, 3, 2, (9, 2))
    ask_vote(raft, 2, 2, (1, 1))

    assert [m.vote_granted for m in pump(raft)] == [True, False, True]


def test_no_vote_in_a_term_whose_leader_is_known() -> None:
    """R-024, reference section 7.3."""
    raft = server(hard=HardState(1, 0, 0))
    raft.step(Heartbeat(2, 1, 1, 0))

    ask_vote(raft, 3, 1)

    assert pump(raft)[-1] == RequestVoteResponse(1, 3, 1, False)


@pytest.mark.parametrize(
    ("own", "asked", "granted"),  # (term, index) of the last entries
    [
        ((1, 1), (1, 1), True), ((1, 1), (1, 2), True), ((1, 2), (1, 1), False),
        ((1, 1), (2, 1), True), ((1, 1), (2, 2), True), ((1, 2), (2, 1), True),
        ((2, 1), (1, 1), False), ((2, 1), (1, 2), False), ((2, 2), (1, 1), False),
    ],
)  # fmt: skip
def test_vote_only_for_a_log_that_is_up_to_date(own: tuple[int, int], asked: tuple[int, int], granted: bool) -> None:
    """R-025, section 5.4.1."""
    raft = server(log=[own[0]] * own[1])

    ask_vote(raft, 2, 3, (asked[1], asked[0]))

    assert pump(raft) == [RequestVoteResponse(1, 2, 3, granted)]


@pytest.mark.parametrize("pre", [False, True])
@pytest.mark.parametrize(
    ("index", "term", "granted"),
    [
        (0, 0, False),
        (1, 1, False),
        (3, 1, False),
        (0, 2, False),
        (1, 2, False),
        (2, 2, True),
        (3, 2, True),
        (1, 3, True),
    ],
)
def test_last_term_outranks_length(pre: bool, index: int, term: int, granted: bool) -> None:
    """R-026, section 5.4.1, also for a pre-vote at the own term."""
    raft = server(log=[2, 2])
    kind = PreVote if pre else RequestVote

    raft.step(kind(2, 1, 2, index, term))

    assert [m.vote_granted for m in pump(raft)] == [granted]


@pytest.mark.parametrize("role", [C, L])
def test_candidate_and_leader_have_voted_for_themselves(role: Role) -> None:
    """R-026, section 5.2."""
    raft = leader() if role is L else server()
    if role is C:
        raft.campaign()
    pump(raft)

    ask_vote(raft, 2, raft.current_term)

    assert pump(raft) == [RequestVoteResponse(1, 2, raft.current_term, False)]


def test_pre_candidate_grants_like_a_follower_without_a_leader() -> None:
    """R-026, reference section 7.3."""
    raft = server(hard=HardState(1, 0, 0), pre_vote=True)
    raft.campaign()
    pump(raft)

    ask_vote(raft, 2, 1)

    assert pump(raft) == [RequestVoteResponse(1, 2, 1, True)]
    assert raft.role is P


@pytest.mark.parametrize("log", [[1], [1, 2]])
def test_vote_request_carries_the_last_entry(log: list[int]) -> None:
    """R-028, section 5.4.1."""
    raft = server(log=log)

    ticks(raft, 10)

    term = log[-1] + 1
    assert pump(raft) == [RequestVote(1, peer, term, len(log), log[-1]) for peer in (2, 3)]


@pytest.mark.parametrize("term", [1, 2])
@pytest.mark.parametrize("beat", [False, True])
def test_candidate_concedes_to_a_leader_of_its_term(term: int, beat: bool) -> None:
    """R-029, section 5.2."""
    raft = server()
    raft.campaign()
    pump(raft)

    raft.step(Heartbeat(2, 1, term, 0) if beat else AppendEntries(2, 1, term, 0, 0, (), 0))

    assert (raft.role, raft.leader_id, raft.current_term) == (F, 2, term)
    assert len(pump(raft)) == 1


def test_late_pre_vote_is_no_vote() -> None:
    """R-031, thesis 9.6: only the answers that fit the role count."""
    raft = server(pre_vote=True)
    raft.campaign()

    raft.step(PreVoteResponse(2, 1, 1, True))
    raft.step(PreVoteResponse(3, 1, 1, True))
    before = (raft.role, dict(raft.votes))
    raft.step(PreVoteResponse(1, 1, 1, True))
    raft.step(RequestVoteResponse(2, 1, 1, True))

    assert before == (C, {})
    assert (raft.role, raft.votes) == (C, {2: True})
    pump(raft)
    assert raft.role is L


@pytest.mark.parametrize("pre_vote", [False, True])
def test_single_voter_elects_itself(pre_vote: bool) -> None:
    """R-032, section 5.2."""
    raft = server(voters=(1,), pre_vote=pre_vote)

    raft.campaign()
    pump(raft)

    assert (raft.role, raft.current_term, raft.commit_index) == (L, 1, 1)


def test_leader_ignores_a_call_to_campaign() -> None:
    """R-033, reference section 7.1."""
    raft = leader()

    raft.campaign()

    assert (raft.role, raft.current_term) == (L, 1)
    assert pump(raft) == []


@pytest.mark.parametrize("pre_vote", [False, True])
def test_every_server_can_be_elected_in_turn(pre_vote: bool) -> None:
    """R-034, section 5.2."""
    net = cluster(3, pre_vote=pre_vote)

    for id in (1, 2, 3):
        net.campaign(id)

        assert net.roles() == [L if other == id else F for other in (1, 2, 3)]


def test_leader_overwrites_entries_of_newer_terms_that_did_not_commit() -> None:
    """R-035, section 5.3, Figure 7."""
    net = Network(
        server(1, range(1, 6), [1]),
        server(2, range(1, 6), [1]),
        server(3, range(1, 6), [2]),
        *(server(id, range(1, 6), hard=HardState(2, 3, 0)) for id in (4, 5)),
    )

    net.campaign(1)
    first = (net[1].role, net[1].current_term)
    net.campaign(1)

    assert first == (F, 2)
    assert (net[1].role, net[1].current_term) == (L, 3)
    assert [terms(net[id]) for id in range(1, 6)] == [[1, 3]] * 5


def test_pre_vote_keeps_a_rejoining_server_from_disturbing() -> None:
    """R-037, thesis 9.6."""
    net = cluster(3, pre_vote=True)
    net.campaign(1)
    net.isolate(3)
    net.propose(1)
    net[3].campaign()
    net.settle()
    net.heal()

    net[3].campaign()
    net.settle()

    assert net.roles() == [L, F, F]
    assert [raft.current_term for raft in net.servers.values()] == [1, 1, 1]


def joining(raft_term: int = 1) -> RawNode:
    """A follower with a committed membership change that it has not applied."""
    raft = server(log=[1], hard=HardState(raft_term, 0, 0))
    change = ConfChange(ConfChangeType.ADD_NODE, 4)
    raft.log.append([raft.log.entries_from(1)[0]._replace(type=EntryType.CONF_CHANGE, data=change)])
    raft.log.commit_to(1)
    return raft


@pytest.mark.parametrize("how", ["campaign", "timeout", "transfer"])
def test_no_election_with_an_unapplied_membership_change(how: str) -> None:
    """R-038 and R-046, reference section 7.1: handed out is not applied."""
    raft = joining()
    ready = raft.ready()

    if how == "campaign":
        raft.campaign()
    elif how == "timeout":
        ticks(raft, 20)
    else:
        raft.step(TimeoutNow(2, 1, 1))

    assert len(ready.committed_entries) == 1
    assert raft.role is F
    raft.advance()
    raft.campaign()
    assert raft.role is C


def test_applied_membership_change_does_not_stand_in_the_way() -> None:
    """R-038: only what is committed and not applied."""
    raft = joining()
    pump(raft)
    append(raft, (1, 1), [1], commit=2)

    raft.campaign()

    assert (raft.last_applied, raft.commit_index, raft.role) == (1, 2, C)


def test_own_acknowledgment_of_an_earlier_term_is_ignored() -> None:
    """R-040, section 5.1: the Ready of term 2 is advanced in term 3."""
    raft = server(voters=(1, 2), hard=HardState(1, 0, 0))
    raft.campaign()
    pump(raft)
    raft.step(RequestVoteResponse(2, 1, 2, True))
    raft.ready()

    raft.step(Heartbeat(2, 1, 3, 0))
    raft.advance()

    assert (raft.role, raft.commit_index, raft.current_term) == (F, 0, 3)
    assert only(pump(raft), AppendEntriesResponse) == []


def test_both_halves_of_a_joint_configuration_elect() -> None:
    """R-042, section 6."""
    raft = server(conf=ConfState((1, 2, 3), (1, 4, 5)))
    raft.campaign()
    asked = [m.dst for m in pump(raft)]

    raft.step(RequestVoteResponse(2, 1, 1, True))
    undecided = raft.role
    raft.step(RequestVoteResponse(4, 1, 1, True))

    assert asked == [2, 3, 4, 5]
    assert (undecided, raft.role) == (C, L)


def test_learners_are_not_asked_for_votes() -> None:
    """R-043, reference section 7.2."""
    raft = server(conf=ConfState((1, 2, 3), learners=(4,)))

    raft.campaign()

    assert [m.dst for m in pump(raft)] == [2, 3]


def test_learner_votes_when_asked() -> None:
    """R-191, reference section 7.3: it may be a voter without knowing."""
    raft = server(conf=ConfState((2, 3), learners=(1,)))

    ask_vote(raft, 2, 1)

    assert pump(raft) == [RequestVoteResponse(1, 2, 1, True)]


def test_split_vote_is_resolved_by_the_next_election() -> None:
    """R-062, section 5.2."""
    net = cluster(3, pre_vote=True)
    net.campaign(1)
    net.isolate(1)
    net.ignore = {RequestVote}
    for id in (2, 3):
        net[id].campaign()
    net.settle()
    split = net.roles()[1:]
    net.ignore = set()

    net.campaign(2)

    assert split == [C, C]
    assert net.roles()[1:] == [L, F]
    assert net[2].current_term == net[3].current_term == 3


def test_logs_of_figure_7_agree_after_one_proposal() -> None:
    """R-089, Figure 7."""
    head = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6]
    followers = [
        head[:9], head[:4], [*head, 6], [*head, 7, 7], [*head[:5], 4, 4], [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
    ]  # fmt: skip
    for log in followers:
        # A third server helps to elect the leader where the follower's own log is better.
        net = Network(
            server(1, (1, 2, 3), head, HardState(7, 0, 0)), server(2, (1, 2, 3), log, HardState(7, 0, 0)), server(3)
        )
        net.campaign(1)

        net.propose(1)

        assert terms(net[2]) == [*head, 8, 8]


def test_append_wins_over_a_vote_cast() -> None:
    """R-023, section 5.2: a vote for 2 does not keep 3 from leading."""
    raft = server(hard=HardState(1, 2, 0))

    append(raft, (0, 0), [1], src=3)

    assert raft.leader_id == 3
