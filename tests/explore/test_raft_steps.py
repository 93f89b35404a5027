"""`propose`, `change_members`, `read`, `campaign`; spare servers; datagrams (SCENARIOS.md sections 4 and 6)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import swarmsim
from swarmsim.errors import ScenarioError
from swarmsim.trace.events import (
    BecameLeader,
    ClientSaid,
    EntriesAppended,
    EntriesApplied,
    MembershipChanged,
    ReadAnswered,
    SnapshotInstalled,
    StepAnswered,
    VoteRefused,
)

Entry = dict[str, Any]


def run(*timeline: Entry, managers: int = 5, spare: list[str] | None = None, duration: str = "4s", **raft: Any) -> Any:
    """A group led by m1, without spare servers m4 and m5 unless said; 50 ms one way, and no time on the disk."""
    words = {"check_quorum": False, "fsync": "0s", **raft}
    if spare != []:
        words["spare"] = spare or ["m4", "m5"]
    made = swarmsim.Scenario(
        cluster={"managers": managers, "only": "raft", "network": {"latency": "50ms"}, "raft": words},
        timeline=list(timeline),
        expect=[{"convergence": "waived"}],
        duration=duration,
    )
    return swarmsim.run(made, 1)


def answers(result: Any) -> dict[str, str]:
    return {r.event.entry: r.event.error for r in result.trace.of(StepAnswered)}


def groups(result: Any, node: str) -> list[tuple[int, tuple[str, ...], tuple[str, ...]]]:
    """(index, members, outgoing) in the order in which the node applied them."""
    told = [r.event for r in result.trace.of(MembershipChanged) if r.event.node == node]
    return [(e.index, e.members, e.outgoing) for e in told]


def safe(result: Any) -> bool:
    return any(v.name == "raft safety" and str(v.state) == "PASS" for v in result.verdicts)


# ---- propose ---------------------------------------------------------------------------------------------


def test_proposed_entries_are_committed_by_a_majority() -> None:
    """The leader answers when its log has them; a follower has them one way later, and applies them a round trip on."""
    result = run({"at": "1s", "propose": "m1", "entries": 3})

    applied = {r.event.node: r.at for r in result.trace.of(EntriesApplied) if r.at}
    assert [r.event.text for r in result.trace.of(ClientSaid)] == ["m1 has them up to index 5"]
    assert applied == {"m1": 1_100_000, "m2": 1_150_000, "m3": 1_150_000}
    assert safe(result)


def test_who_does_not_lead_refuses_to_append() -> None:
    """raft.go `ErrLostLeadership`; a follower of SwarmKit's forwards no proposal."""
    result = run({"at": "1s", "propose": "m2"}, {"at": "1s", "change_members": "m3", "add": "m4"})

    said = "rpc error: code = FailedPrecondition desc = raft: failed to process the request: node lost leader status"
    assert set(answers(result).values()) == {said}


def test_server_that_is_off_refuses_as_an_engine_does() -> None:
    result = run({"at": "1s", "crash": "m2"}, {"at": "2s", "campaign": "m2"})

    assert "Cannot connect to the Docker daemon" in answers(result)["campaign"]


# ---- change_members --------------------------------------------------------------------------------------


def test_one_member_is_changed_by_a_plain_entry() -> None:
    result = run({"at": "1s", "change_members": "m1", "add": "m4"}, {"at": "2s", "change_members": "m1", "drop": "m2"})

    assert groups(result, "m1") == [(3, ("m1", "m2", "m3", "m4"), ()), (4, ("m1", "m3", "m4"), ())]
    assert groups(result, "m4") == groups(result, "m1")
    assert safe(result)


def test_several_members_are_changed_through_a_joint_configuration_that_is_left_by_itself() -> None:
    """Raft section 6; etcd: `ConfChangeTransitionAuto`."""
    result = run({"at": "1s", "change_members": "m1", "add": ["m4", "m5"], "drop": ["m2", "m3"]})

    new, old = ("m1", "m4", "m5"), ("m1", "m2", "m3")
    assert groups(result, "m1") == [(3, new, old), (4, new, ())]
    assert groups(result, "m2") == [(3, new, old), (4, new, ())]  # it hears of its own removal from a leader
    assert groups(result, "m5")[-1] == (4, new, ())
    assert safe(result)


def test_newcomer_does_not_enter_a_joint_configuration_twice() -> None:
    """A snapshot of before it, with the configuration of now, would make it panic: `config is already joint`."""
    result = run({"at": "1s", "change_members": "m1", "add": ["m4", "m5"]}, {"at": "2s", "propose": "m1"})

    installed = {r.event.node: r.event.index for r in result.trace.of(SnapshotInstalled)}
    assert set(installed) == {"m4", "m5"}
    assert min(installed.values()) >= 3  # the joint configuration is in it
    assert {r.event.node for r in result.trace.of(EntriesApplied) if r.at > 2_000_000} == {"m1", "m2", "m3", "m4", "m5"}
    assert result.state == "PASS"


def test_members_that_were_replaced_leave_a_group_that_works() -> None:
    result = run(
        {"at": "1s", "change_members": "m1", "add": ["m4", "m5"], "drop": ["m2", "m3"]},
        {"at": "2s", "crash": ["m2", "m3"]},
        {"at": "3s", "propose": "m1"},
    )

    assert {r.event.node for r in result.trace.of(EntriesApplied) if r.at > 3_000_000} == {"m1", "m4", "m5"}
    assert safe(result)


def test_leader_replaces_itself_and_the_others_elect_one() -> None:
    """etcd raft.go `switchToConfig`: it leads until its removal is applied."""
    result = run(
        {"at": "1s", "change_members": "m1", "add": "m4", "drop": "m1"}, {"at": "2s", "campaign": "m4"}, duration="6s"
    )

    assert groups(result, "m4")[-1][1:] == (("m2", "m3", "m4"), ())
    assert [r.event.node for r in result.trace.of(BecameLeader) if r.at] == ["m4"]
    assert safe(result)


def test_second_change_is_refused_while_one_is_not_applied() -> None:
    """etcd raft.go `stepLeader`: an empty entry takes its place, and whoever asked is told nothing; here it is told."""
    result = run({"at": "1s", "change_members": "m1", "add": "m4"}, {"at": "1s", "change_members": "m1", "add": "m5"})

    assert answers(result) == {
        "change_members 1": "",
        "change_members 2": (
            "rpc error: code = FailedPrecondition desc = raft: ignoring conf change: "
            "possible unapplied conf change at index 3"
        ),
    }
    assert groups(result, "m1") == [(3, ("m1", "m2", "m3", "m4"), ())]


def test_spare_server_knows_nothing_until_it_is_added() -> None:
    result = run({"at": "1s", "propose": "m1"}, {"at": "2s", "campaign": "m4"}, duration="40s")

    assert not {r.event.node for r in result.trace.of(EntriesAppended)} & {"m4", "m5"}
    assert not {r.event.node for r in result.trace.of(BecameLeader)} & {"m4", "m5"}
    assert result.state == "PASS"


def test_added_server_is_a_member_still_when_it_has_restarted() -> None:
    result = run(
        {"at": "1s", "change_members": "m1", "add": "m4"},
        {"at": "2s", "crash": "m4", "how": "process", "for": "500ms"},
        {"at": "3s", "crash": "m3"},
        {"at": "3s", "propose": "m1"},
        duration="8s",
    )

    assert "m4" in {r.event.node for r in result.trace.of(EntriesApplied) if r.at > 3_000_000}
    assert safe(result)


# ---- read ------------------------------------------------------------------------------------------------


def reads(result: Any) -> list[tuple[str, int, int]]:
    return [(r.event.node, r.event.index, r.at) for r in result.trace.of(ReadAnswered)]


def test_leader_answers_a_read_when_a_majority_has_confirmed_that_it_leads() -> None:
    """Raft section 8; etcd: `ReadOnlySafe`."""
    result = run({"at": "1s", "propose": "m1"}, {"at": "2s", "read": "m1"})

    assert reads(result) == [("m1", 3, 2_100_000)]
    assert "m1 reads as of index 3" in [r.event.text for r in result.trace.of(ClientSaid)]


def test_follower_asks_its_leader() -> None:
    """etcd raft.go `stepFollower` MsgReadIndex: a round trip to the leader around the leader's own."""
    result = run({"at": "2s", "read": "m3"})

    assert reads(result) == [("m3", 2, 2_200_000)]


def test_leader_that_is_cut_off_does_not_answer() -> None:
    result = run({"at": "1s", "partition": "m1"}, {"at": "2s", "read": "m1"}, duration="30s")

    assert reads(result) == []
    assert "context deadline exceeded" in answers(result)["read"]


# ---- campaign --------------------------------------------------------------------------------------------


def test_campaign_is_an_election_at_once() -> None:
    result = run({"at": "1s", "campaign": "m3"}, duration="3s")

    assert [(r.event.node, r.event.term) for r in result.trace.of(BecameLeader) if r.at] == [("m3", 3)]
    assert answers(result) == {"campaign": ""}


def refusals(result: Any) -> list[tuple[str, str, str]]:
    return [(r.event.node, r.event.candidate, r.event.why) for r in result.trace.of(VoteRefused)]


def test_who_has_voted_says_for_whom() -> None:
    """Figure 2, RequestVote rule 2, first half: m2 asks a moment later, in the same term."""
    result = run({"at": "1s", "crash": "m1"}, {"at": "2s", "campaign": "m3"}, {"at": "2010ms", "campaign": "m2"})

    assert refusals(result) == [("m2", "m3", "voted for itself"), ("m3", "m2", "voted for itself")]


def test_who_has_the_longer_log_says_where_it_ends() -> None:
    """Figure 2, RequestVote rule 2, second half; the page says it below the candidate's line."""
    result = run(
        {"at": "500ms", "partition": "m3", "for": "1s"},
        {"at": "1s", "propose": "m1"},
        {"at": "1300ms", "crash": "m1"},
        {"at": "2s", "campaign": "m3"},
    )

    assert refusals(result) == [("m2", "m3", "its log ends with index 3 of term 2")]
    assert "m2 refuses: its log ends with index 3 of term 2" in swarmsim.story(result)


def test_sleeping_group_is_woken_by_what_it_is_asked() -> None:
    """`probes: lazy`: the same roles as with every heartbeat sent."""
    asked = ({"at": "7s", "campaign": "m2"}, {"at": "9s", "read": "m1"})

    lazy = run(*asked, duration="20s", spare=[], managers=3)

    assert [(r.event.node, r.event.term) for r in lazy.trace.of(BecameLeader) if r.at] == [("m2", 3)]
    assert [read[:2] for read in reads(lazy)] == [("m1", 3)]


# ---- the page --------------------------------------------------------------------------------------------


def test_page_of_a_group_tells_terms_logs_and_members_and_nothing_of_a_swarm() -> None:
    """SCENARIOS.md section 4: the numbers in the cells are terms; a spare server has none until it is heard of."""
    result = run({"at": "1s", "change_members": "m1", "add": "m4"}, {"at": "2s", "campaign": "m2"})

    page = [line.split() for line in swarmsim.story(result).splitlines()]
    text = [" ".join(words) for words in page]
    assert "number: the term · L leader F follower C candidate · × off" in text
    assert "0.000 L2 F2 F2 m1 leads; the members are m1, m2, m3" in text
    assert "1.100 │ │ │ F2 m1, m2 and m3 apply index 3: the members are m1, m2, m3, m4" in text
    assert "2.150 F3 │ F3 F3 m1 leads no more: higher term; no leader" in text
    assert "2.300 │ │ │ │ m2 commits index 4 of term 3" in text
    assert not [line for line in text if "READY" in line or "steady" in line]


def test_page_says_what_was_overwritten() -> None:
    """Raft section 5.3: m1's own entry gives way to that of the leader that the others elected."""
    result = run(
        {"at": "1s", "partition": "m1", "for": "2s"},
        {"at": "1100ms", "propose": "m1", "entries": 2},
        {"at": "1200ms", "campaign": "m2"},
        duration="5s",
    )

    said = "m1 overwrites its log from index 3 on: it ended at index 4, and ends with index 3 of term 3 instead"
    assert said in " ".join(swarmsim.story(result).replace("│", " ").split())


def test_leaders_that_depose_each_other_are_counted() -> None:
    """A run of 230 elections a minute stays readable."""
    chained = swarmsim.load(Path(__file__).parents[2] / "scenarios" / "experiments" / "partial-chained.yaml")

    text = " ".join(swarmsim.story(swarmsim.run(chained, 1)).split())

    assert "s3 elected 114 times, in terms 5 to 231, the last at 60.8 s" in text
    assert "s2 stopped leading 114 times: higher term, the last at 60.8 s" in text


# ---- messages that are no stream -------------------------------------------------------------------------

LATE = ({"at": "1s", "delay": "m1", "peers": "m2", "direction": "out", "by": "400ms", "for": "10ms"},)
TWO = ({"at": "1s", "propose": "m1"}, {"at": "1020ms", "propose": "m1"})


def arrivals(result: Any) -> list[tuple[int, int]]:
    """(index, when) of what m2 appended."""
    told = [r for r in result.trace.of(EntriesAppended) if r.event.node == "m2" and r.at]
    return [(r.event.first, r.at) for r in told]


def test_streams_keep_their_order_and_datagrams_do_not() -> None:
    """The message with the second entry comes first, cannot be appended, and both are sent once more."""
    assert arrivals(run(*LATE, *TWO)) == [(3, 1_450_000), (4, 1_450_000)]
    assert arrivals(run(*LATE, *TWO, transport="datagrams", heartbeat="5s")) == [(3, 1_170_000)]


def test_datagrams_are_lost_in_a_partition_and_streams_wait_for_its_end() -> None:
    cut = ({"at": "900ms", "partition": "m2", "for": "300ms"}, {"at": "1s", "propose": "m1"})

    assert arrivals(run(*cut, heartbeat="5s"))[0][1] < 1_500_000
    assert arrivals(run(*cut, heartbeat="5s", transport="datagrams")) == []


# ---- mistakes --------------------------------------------------------------------------------------------


RAFT: dict[str, Any] = {"only": "raft"}
MISTAKES: list[tuple[Entry, dict[str, Any], str]] = [
    (
        {"at": "1s", "propose": "m1"},
        {},
        "`propose` is asked of a Raft group by itself; write only: raft under cluster:",
    ),
    (
        {"at": "1s", "change_members": "m1"},
        RAFT,
        "`change_members`: nothing would change; write add: m4, or drop: [m1, m2]",
    ),
    (
        {"at": "1s", "read": "m1", "via": "m2"},
        RAFT,
        "`read`: the server that it names is asked; leave `via` out",
    ),
    (
        {"at": "1s", "change_members": "m1", "add": "m9"},
        RAFT,
        "`add`: unknown node `m9`; the cluster has m1, m2, m3",
    ),
    (
        {"at": "1s", "campaign": "m2"},
        {**RAFT, "raft": {"spare": "m1"}},
        "`spare`: `m1` leads at 0s and cannot be spare; write another manager",
    ),
    (
        {"at": "1s", "crash": "m2"},
        {"raft": {"spare": "m3"}},
        "`spare` is of a Raft group by itself; write only: raft, or let a host `join`",
    ),
    (
        {"at": "1s", "crash": "m2"},
        {**RAFT, "raft": {"spare": "leader"}},
        "`leader` depends on the run; `spare` takes names, ranges and groups",
    ),
]


@pytest.mark.parametrize(("entry", "cluster", "said"), MISTAKES, ids=[said for _, _, said in MISTAKES])
def test_mistake_is_said_in_one_line(entry: Entry, cluster: dict[str, Any], said: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        swarmsim.Scenario(cluster={"managers": 3, **cluster}, timeline=[entry], duration="5s")

    assert [problem.text for problem in caught.value.problems] == [said]


def test_same_seed_gives_the_same_run() -> None:
    first, second = (run({"at": "1s", "change_members": "m1", "add": ["m4", "m5"], "drop": "m2"}) for _ in range(2))

    assert first.digest == second.digest
