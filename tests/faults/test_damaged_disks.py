"""`corrupt`, `wipe`, and a crash that tears a record (docs/SCENARIOS.md section 6): what the next start makes of it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

import swarmsim
from swarmsim.cluster import Cluster
from swarmsim.node import Identity
from swarmsim.trace.events import (
    BecameLeader,
    DiskWiped,
    EntryNotFired,
    HostCrashed,
    HostStarted,
    LogRepaired,
    ManagerStopped,
    ProcessPanicked,
    RaftRestarted,
    SnapshotBroken,
    WriteTorn,
)
from tests.raft_node.world import events, group, member, propose, run_for, services, start, stop

LOST = "Was the raft log corrupted, truncated, or lost?"


def story(*timeline: dict[str, Any], managers: int = 3, duration: str = "90s", **more: Any) -> swarmsim.Scenario:
    return swarmsim.Scenario(
        cluster={"managers": managers, "workers": 1},
        services={"web": {"image": "nginx:1.27", "deploy": {"replicas": 3}}},
        timeline=list(timeline),
        duration=duration,
        **more,
    )


def happened(result: Any, kind: type) -> list[Any]:
    return [recorded.event for recorded in result.trace.of(kind)]


CORRUPTED = {"at": "steady + 5s", "corrupt": "m2"}
RESTART = {"at": "corrupt + 5s", "crash": "m2", "for": "5s"}


# ---- corrupt ---------------------------------------------------------------------------------------------------

REASONS = {
    "log": "irreparable WAL error: walpb: crc mismatch",
    "snapshot": "failed to open WAL: wal: file not found",
    "key": "no decryption error using NACL secretbox",
}


@pytest.mark.parametrize("what", REASONS)
def test_a_manager_whose_disk_is_damaged_does_not_start_again_and_says_why(what: str) -> None:
    """SwarmKit raft.go `JoinAndStart`, storage `ReadRepairWAL`; tried again with the engine's growing pauses."""
    result = swarmsim.run(story({**CORRUPTED, "what": what}, RESTART), seed=1)

    stops = list(result.trace.of(ManagerStopped))
    assert {s.event.node for s in stops} == {"m2"}
    assert {s.event.why for s in stops} == {f"manager stopped: can't initialize raft node: {REASONS[what]}"}
    pauses = [later.at - sooner.at for sooner, later in pairwise(stops)]
    assert pauses == sorted(pauses)
    assert 4 <= len(stops) <= 12
    assert not result.cluster.nodes["m2"].has_manager
    assert result.passed, result.verdicts  # two of three go on


@pytest.mark.parametrize("what", REASONS)
def test_a_manager_that_runs_does_not_notice(what: str) -> None:
    result = swarmsim.run(story({**CORRUPTED, "what": what}, {"at": "corrupt + 5s", "scale": "web", "replicas": 5}), 1)

    assert result.passed, result.verdicts
    assert not happened(result, ManagerStopped)


def test_the_agent_of_such_a_node_runs_on() -> None:
    result = swarmsim.run(story(CORRUPTED, RESTART), seed=1)

    assert result.cluster.store("m1").nodes["m2"].status.state.name == "READY"


def test_with_a_second_manager_lost_there_is_no_quorum() -> None:
    """The refused manager counts as a member, and does not vote."""
    first = {**RESTART, "name": "first"}
    second = {"at": "first.end + 10s", "crash": "m1", "name": "second"}
    expect = [
        {"leader": "none", "from": "second + 1s", "until": "second + 40s"},
        {"convergence": "waived"},
    ]

    result = swarmsim.run(story(CORRUPTED, first, second, expect=expect), seed=1)

    assert result.passed, result.verdicts


def test_a_snapshot_with_the_whole_log_behind_it_can_be_done_without() -> None:
    """etcd snapshotter.go `Load`: put aside; a log that reaches back to its beginning says the same."""
    cluster = Cluster.joined(swarmsim.cluster.describe(3, 0))
    raft = member(cluster, "m2")
    propose(cluster, "one")
    applied = raft.store.index
    snapshot = raft.raw.create_snapshot(applied, raft.raw.conf, (raft.store.save(), raft.group.save()))
    cluster.hosts["m2"].disk.store("raft", raft.storage.save_snapshot(snapshot, 0))
    cluster.hosts["m2"].disk.damage("raft", ("snap", applied))
    stop(cluster, "m2")
    start(cluster, "m2")
    run_for(cluster, 20)

    assert events(cluster, SnapshotBroken) == [SnapshotBroken("m2", applied)]
    assert services(cluster, "m2") == ["one"]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"corrupt": "w1"}, "w1 has no log on its disk"),
        ({"wipe": "w1"}, "w1 has nothing of that on its disk"),
        ({"wipe": "managers", "what": "swarm"}, "without a log on any disk there is no swarm left to look at"),
        ({"crash": "m2", "torn": True}, "m2 is not writing its log"),
    ],
)
def test_what_cannot_befall_a_disk_does_not_fire(fault: dict[str, Any], reason: str) -> None:
    """SCENARIOS.md, rule 2: nothing asked for is skipped in silence."""
    result = swarmsim.run(story({"at": "steady + 5.5s", **fault}), seed=1)

    assert reason in happened(result, EntryNotFired)[0].reason
    assert not result.passed


# ---- torn ------------------------------------------------------------------------------------------------------

STALL = {"at": "steady + 5s", "disk": "m2", "is": "stalled", "for": "10s"}
WRITE = {"at": "disk + 1s", "scale": "web", "replicas": 5, "via": "m1"}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_record_torn_by_a_loss_of_power_is_cut_off_at_the_start(seed: int) -> None:
    crash = {"at": "disk + 2s", "crash": "m2", "for": "5s", "torn": True}

    result = swarmsim.run(story(STALL, WRITE, crash), seed=seed)

    assert happened(result, WriteTorn) == [WriteTorn("m2", ("raft",))]
    assert [e.node for e in happened(result, LogRepaired)] == ["m2"]
    assert result.passed, result.verdicts
    assert result.cluster.store("m2").index == result.cluster.store("m1").index


def test_without_a_word_one_loss_of_power_in_two_tears_a_record() -> None:
    crash = {"at": "disk + 2s", "crash": "m2", "for": "5s"}

    results = [swarmsim.run(story(STALL, WRITE, crash), seed=seed) for seed in range(1, 13)]

    torn = sum(bool(happened(r, WriteTorn)) for r in results)
    assert 3 <= torn <= 9
    assert all(r.passed for r in results)


@pytest.mark.parametrize("how", [{"torn": False}, {"how": "process"}])
def test_no_record_is_torn_where_it_must_not_be(how: dict[str, Any]) -> None:
    crash = {"at": "disk + 2s", "crash": "m2", "for": "5s", **how}

    results = [swarmsim.run(story(STALL, WRITE, crash), seed=seed) for seed in range(1, 6)]

    assert not [r for r in results if happened(r, WriteTorn)]


# ---- wipe ------------------------------------------------------------------------------------------------------


def test_a_member_that_lost_its_log_is_the_same_member_and_panics_under_its_old_leader() -> None:
    """raft.go `Join`: same node id, same raft id. The leader's heartbeat names what that member had acknowledged."""
    wipe = {"at": "steady + 5s", "wipe": "m3"}
    crash = {"at": "wipe + 1s", "crash": "m3", "for": "10s"}

    result = swarmsim.run(story(wipe, crash, duration="120s"), seed=1)

    panics = happened(result, ProcessPanicked)
    assert all(LOST in p.why and p.node == "m3" for p in panics)
    assert [p.again for p in panics] == [True, True, False]
    assert not result.cluster.hosts["m3"].up
    assert result.cluster.nodes["m3"].identity is not None
    assert result.cluster.nodes["m3"].identity.raft_id == 3
    assert result.passed, result.verdicts


def test_the_engine_that_panicked_is_started_again_after_two_seconds_three_times_a_minute() -> None:
    """docker.service: RestartSec=2, StartLimitBurst=3, StartLimitInterval=60s; the first start counts."""
    wipe = {"at": "steady + 5s", "wipe": "m3"}
    crash = {"at": "wipe + 1s", "crash": "m3", "for": "10s"}

    result = swarmsim.run(story(wipe, crash, duration="120s"), seed=1)

    died = [r.at for r in result.trace.of(HostCrashed) if r.event.how == "process"]
    started = [r.at for r in result.trace.of(HostStarted)]
    assert [up - down for down, up in zip(died, started[1:], strict=False)] == [2_000_000] * 2
    assert (len(died), len(started)) == (3, 3)


def test_under_a_leader_elected_since_the_same_member_catches_up() -> None:
    """A new leader has no record of what that member once had, and sends it all."""
    timeline = [
        {"at": "steady + 5s", "crash": "m3", "for": "70s", "name": "away"},
        {"at": "away + 1s", "wipe": "m3"},
        {"at": "away + 2s", "crash": "m1", "for": "5s", "how": "process", "name": "restart"},
    ]

    result = swarmsim.run(story(*timeline, duration="150s"), seed=1)

    restarts = [e for e in happened(result, RaftRestarted) if e.node == "m3"]
    assert (restarts[-1].term, restarts[-1].last_index) == (0, 0)
    assert not happened(result, ProcessPanicked)
    assert result.cluster.store("m3").index == result.cluster.store(result.cluster.leader()).index
    assert result.passed, result.verdicts


@pytest.mark.parametrize("seed", range(1, 4))
def test_a_node_that_lost_all_starts_and_nothing_crashes(seed: int) -> None:
    """C-020 TestRaftWipedState: stopped, its whole state deleted, five ticks, started."""
    cluster = group(seed=seed)
    propose(cluster, "one")
    stop(cluster, "m3")
    for machine in ("raft", "node", "agent"):
        cluster.hosts["m3"].disk.wipe(machine)
    cluster.nodes["m3"].forget()
    run_for(cluster, 5)
    start(cluster, "m3")
    run_for(cluster, 10)

    assert cluster.hosts["m3"].up
    assert list(cluster.hosts["m3"].drivers) == ["node"]
    assert propose(cluster, "two") == ""


def test_a_member_that_knows_nobody_begins_a_swarm_of_its_own_and_is_not_disturbed() -> None:
    """C-020 TestRaftWipedState, to the letter: no log, no address to join; what is meant for its old id is dropped."""
    cluster = group()
    propose(cluster, "one")
    stop(cluster, "m3")
    cluster.hosts["m3"].disk.wipe("raft")
    identity: Identity = cluster.hosts["m3"].disk.read("node")["identity"]
    cluster.hosts["m3"].disk.store("node", {"identity": identity._replace(managers=("m3",))})
    run_for(cluster, 5)
    start(cluster, "m3")
    run_for(cluster, 10)

    raft = member(cluster, "m3")
    assert cluster.hosts["m3"].up
    assert raft.id != 3
    assert raft.is_leader
    assert services(cluster, "m3") == []
    assert propose(cluster, "two", via="m1") == ""
    assert services(cluster, "m2") == ["one", "two"]


def test_a_host_that_lost_all_joins_as_a_new_node_and_member() -> None:
    """The old member stays, out of reach, until it is demoted and removed."""
    timeline = [
        {"at": "steady + 5s", "wipe": "m3", "what": "swarm"},
        {"at": "wipe + 1s", "crash": "m3", "for": "10s"},
        {"at": "crash.end + 5s", "join": "m3", "as": "manager"},
        {"at": "join.end + 30s", "demote": "m3"},
        {"at": "demote.end + 10s", "remove_node": "m3"},
    ]

    result = swarmsim.run(story(*timeline, duration="120s"), seed=1)

    cluster = result.cluster
    assert result.passed, result.verdicts
    assert happened(result, DiskWiped) == [DiskWiped("m3", ("raft", "node", "agent"))]
    assert cluster.nodes["m3"].identity is not None
    assert cluster.nodes["m3"].identity.node_id == "m3~2"
    assert sorted(member(cluster, "m1").group.node_ids()) == ["m1", "m2", "m3~2"]
    assert services(cluster, "m3") == ["web"]


def test_a_host_that_is_in_a_swarm_cannot_join_one() -> None:
    refused = {
        "at": "steady + 1s",
        "join": "m3",
        "as": "manager",
        "refused": "already part of a swarm",
        "name": "early",
    }

    result = swarmsim.run(story(refused, {"at": "early + 5s", "wipe": "m3", "what": "swarm"}), seed=1)

    assert result.passed, result.verdicts


def test_a_log_deleted_under_a_running_manager_is_missed_at_its_next_start_only() -> None:
    """It goes on writing into files that have no name any more."""
    wipe = {"at": "steady + 5s", "wipe": "m3"}
    more = {"at": "wipe + 1s", "scale": "web", "replicas": 6}

    result = swarmsim.run(story(wipe, more), seed=1)

    assert result.passed, result.verdicts
    assert not result.cluster.hosts["m3"].disk.peek("raft")
    assert not happened(result, ProcessPanicked)


def test_leaders_are_still_elected_one_a_term() -> None:
    """A wiped member may vote twice in a term, for it forgot; the checks go on judging."""
    timeline = [
        {"at": "steady + 5s", "crash": "m3", "for": "20s", "name": "away"},
        {"at": "away + 1s", "wipe": "m3"},
        {"at": "away + 2s", "crash": "m1", "for": "5s", "how": "process", "name": "restart"},
        {"at": "away + 60s", "crash": "leader", "for": "30s", "name": "later"},
    ]

    for seed in range(1, 6):
        result = swarmsim.run(story(*timeline, duration="180s"), seed=seed)
        terms = [e.term for e in happened(result, BecameLeader)]
        assert len(terms) == len(set(terms))


def test_a_raft_server_by_itself_refuses_a_damaged_log_too() -> None:
    """`only: raft`: there is no engine that would start it again."""
    scenario = swarmsim.Scenario(
        cluster={"managers": 3, "only": "raft"},
        timeline=[{"at": "5s", "corrupt": "m2"}, {"at": "6s", "crash": "m2", "for": "5s"}],
        expect=[{"leader": "m1"}],
        duration="60s",
    )

    result = swarmsim.run(scenario, seed=1)

    assert [e.why for e in happened(result, ManagerStopped)] == [
        f"manager stopped: can't initialize raft node: {REASONS['log']}"
    ]
    assert result.cluster.hosts["m2"].drivers == {}
    assert result.passed, result.verdicts


def test_the_stored_state_goes_on_where_damage_was_not_hit() -> None:
    """A panic or a refusal of one member changes nothing for the others: all stores that are left are equal."""
    result = swarmsim.run(story(CORRUPTED, RESTART, {"at": "crash.end + 5s", "scale": "web", "replicas": 6}), seed=4)

    stores = [result.cluster.store(name) for name in ("m1", "m3")]
    assert stores[0].index == stores[1].index
    assert stores[0].services == stores[1].services
