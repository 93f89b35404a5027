"""SwarmKit's wrapper around Raft: a group of managers that stop and start (manager/state/raft/raft_test.go)."""

from __future__ import annotations

import pytest

from swarmsim.api.messages import LeaveRequest
from swarmsim.cluster import Cluster, describe
from swarmsim.machine import Address, Request
from swarmsim.sim import rng
from tests.raft_node.world import group, member, propose, run_for, services, start, stop


def test_three_managers_that_joined_one_after_the_other_know_each_other() -> None:
    """C-001 TestRaftBootstrap; C-002 TestRaftLeader: all agree on the bootstrapper as leader."""
    cluster = Cluster.joined(describe(3, 0))
    run_for(cluster, 3)

    found = [member(cluster, name) for name in cluster.managers]

    assert [sorted(raft.members()) for raft in found] == [["m1", "m2", "m3"]] * 3
    assert {raft.raw.leader_id for raft in found} == {member(cluster, "m1").id}


def test_a_follower_that_is_down_is_still_a_member_and_hinders_nobody() -> None:
    """C-004 TestRaftFollowerDown; C-005 TestRaftLogReplication."""
    cluster = group()
    stop(cluster, "m3")

    error = propose(cluster, "web")

    assert (error, cluster.leader()) == ("", "m1")
    assert (services(cluster, "m1"), services(cluster, "m2")) == (["web"], ["web"])
    assert len(member(cluster, "m1").members()) == 3


def test_without_a_quorum_nothing_is_committed() -> None:
    """C-007 TestRaftQuorumFailure."""
    cluster = group(5)
    stop(cluster, "m3", "m4", "m5")

    error = propose(cluster, "web", wait=25)

    assert error != ""
    assert (services(cluster, "m1"), services(cluster, "m2")) == ([], [])


def test_a_quorum_that_is_back_elects_a_leader() -> None:
    """C-008 TestRaftQuorumRecovery."""
    cluster = group(5)
    stop(cluster, "m1", "m2", "m3")
    run_for(cluster, 5)
    start(cluster, "m3")
    run_for(cluster, 45)

    error = propose(cluster, "web")

    assert error == ""
    assert [services(cluster, name) for name in ("m3", "m4", "m5")] == [["web"]] * 3


@pytest.mark.parametrize("apart", [0, 1])
@pytest.mark.parametrize("how", ["process", "power"])
def test_a_group_that_stopped_altogether_comes_back_with_all_it_had(apart: int, how: str) -> None:
    """C-013 TestRaftRestartClusterSimultaneously; C-014 TestRaftRestartClusterStaggered, one tick apart."""
    cluster = group()
    propose(cluster, "one")
    for name in cluster.managers:
        stop(cluster, name, how=how)
        run_for(cluster, apart)
    run_for(cluster, 5)
    for name in cluster.managers:
        start(cluster, name)
        run_for(cluster, apart)
    run_for(cluster, 60)

    error = propose(cluster, "two")

    assert error == ""
    assert [services(cluster, name) for name in cluster.managers] == [["one", "two"]] * 3


@pytest.mark.parametrize("seed", range(1, 6))
def test_random_kills_lose_nothing_that_was_acknowledged(seed: int) -> None:
    """C-022 TestStress: fewer rounds, power cuts with torn records among the kills; at the end all stores are equal."""
    cluster = group(5, seed=seed)
    dice = rng.stream(seed, "stress")
    acknowledged, proposed = [], []
    for i in range(40):
        up = [name for name in cluster.managers if cluster.hosts[name].up]
        down = [name for name in cluster.managers if not cluster.hosts[name].up]
        if len(up) < 3:
            start(cluster, dice.choice(down))
        elif dice.random() < 0.5:
            how = dice.choice(("process", "power"))
            cluster.hosts[dice.choice(up)].crash(how, 0, dice if how == "power" else None)
        elif down:
            start(cluster, dice.choice(down))
        run_for(cluster, dice.choice((0.002, 1, 20)))
        if cluster.leader() is not None:
            proposed.append(f"s{i}")
            if propose(cluster, f"s{i}", wait=dice.choice((0.004, 1))) == "":
                acknowledged.append(f"s{i}")
    start(cluster, *(name for name in cluster.managers if not cluster.hosts[name].up))
    run_for(cluster, 60)

    found = [services(cluster, name) for name in cluster.managers]

    assert found == [found[0]] * 5
    assert set(acknowledged) <= set(found[0]) <= set(proposed)
    assert len(acknowledged) > 5


def test_a_member_ignores_what_is_meant_for_another_one_of_its_host() -> None:
    """raft.go `ProcessRaftMessage`: a message to another Raft id is dropped."""
    cluster = group()
    raft = member(cluster, "m3")
    raft.id = 99  # as one that lost all, and joined anew
    before = raft.raw.log.last_index

    propose(cluster, "web")

    assert raft.raw.log.last_index == before
    assert services(cluster, "m2") == ["web"]


def test_a_leader_that_is_asked_to_let_itself_go_does_and_the_others_elect_one() -> None:
    """C-010 TestRaftLeaderLeave."""
    cluster = group()
    answers: list[object] = []

    def client() -> object:
        host = cluster.hosts["m2"]
        call = Request(Address("m1", "membership"), LeaveRequest("m1"), 25_000_000)
        answers.append((yield host.drivers["agent"].request(call)))

    cluster.env.process(client())
    run_for(cluster, 15)  # after 16 s its node, whose certificate is a manager's, asks to be let in again

    assert answers == [None]
    assert cluster.leader() in ("m2", "m3")
    assert [sorted(member(cluster, name).members()) for name in ("m2", "m3")] == [["m2", "m3"]] * 2
    assert propose(cluster, "web", via="m2") == ""
