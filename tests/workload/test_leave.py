"""`leave`: `docker swarm leave`, and what the cluster sees of it (S-16 of the sequences), on the real machine."""

from __future__ import annotations

from typing import Any

import pytest

import swarmsim
from swarmsim.api.objects import Node
from swarmsim.api.states import NodeState, TaskState
from swarmsim.scenario import tables
from swarmsim.trace.events import (
    BecameLeader,
    ContainerExited,
    ContainerStarted,
    NodeChanged,
    StepAnswered,
    StepSent,
)

QUICK = {"pull": "100ms", "start": "100ms", "stop": "1s"}
WEB = {"web": {"image": "nginx", "deploy": {"replicas": 4}, "x-sim": QUICK}}
A_MANAGER = (
    "Error response from daemon: You are attempting to leave the swarm on a node that is participating as a manager. "
)
ONLY_WAY = (
    "The only way to restore a swarm that has lost consensus is to reinitialize it with `--force-new-cluster`. "
    "Use `--force` to suppress this message."
)


def run(*timeline: dict[str, Any], managers: int = 1, workers: int = 2, **words: Any) -> swarmsim.Result:
    scenario = {
        "cluster": {"managers": managers, "workers": workers},
        "services": WEB,
        "timeline": list(timeline),
        "duration": "100s",
        **words,
    }
    return swarmsim.run(swarmsim.Scenario(**scenario))


def refusal(result: swarmsim.Result, entry: str = "leave") -> str:
    return next(r.event.error for r in result.trace.of(StepAnswered) if r.event.entry == entry)


def at(result: swarmsim.Result, kind: type, **fields: Any) -> list[int]:
    """When events of that kind happened."""
    return [
        r.at for r in result.trace.of(kind) if all(getattr(r.event, name) == value for name, value in fields.items())
    ]


def node(result: swarmsim.Result, id: str) -> Node:
    found: Node = result.cluster.store().nodes[id]
    return found


# ---- a worker --------------------------------------------------------------------------------------------


def test_a_worker_leaves_and_no_manager_is_told() -> None:
    """S-16: its containers stop, and it stays READY until its heartbeats are missed, 13.5 s to 16.5 s later."""
    result = run({"at": "10s", "leave": "w1"})

    exits = at(result, ContainerExited, node="w1", why="stopped")
    assert exits == [11_000_000] * len(exits) != []
    down = at(result, NodeChanged, node="w1", state=NodeState.DOWN)
    assert 8_500_000 <= down[0] - 10_000_000 <= 16_500_000
    states = [t.status.state for t in result.cluster.store().tasks.values() if t.node_id == "w1"]
    assert states == [TaskState.RUNNING] * len(states) != []  # nobody has ever heard that they ended
    assert len(result.cluster.containers("web")) == 4
    assert result.passed, result.verdicts


def test_the_node_that_left_is_on_the_list_until_it_is_removed() -> None:
    result = run(
        {"at": "10s", "leave": "w1"},
        {"at": "12s", "name": "early", "remove_node": "w1", "refused": "is not down and can't be removed"},
        {"at": "40s", "name": "late", "remove_node": "w1"},
    )

    assert "w1" not in result.cluster.store().nodes
    assert result.passed, result.verdicts


def test_one_that_joins_again_is_another_node() -> None:
    """S-16: a new id; the old object stays, and is DOWN."""
    result = run({"at": "10s", "leave": "w1"}, {"at": "12s", "join": "w1"})

    nodes = [n for n in result.cluster.store().nodes.values() if n.hostname == "w1"]
    assert sorted(n.status.state for n in nodes) == [NodeState.DOWN, NodeState.READY]
    assert node(result, "w1").status.state is NodeState.DOWN
    rows = [line.split()[:3] for line in tables.node_ls(result.trace).splitlines() if " w1 " in line]
    assert rows == [["w1~2", "w1", "Ready"], ["w1", "w1", "Down"]]
    assert result.passed, result.verdicts


def test_a_former_node_that_is_removed_is_on_no_list() -> None:
    result = run({"at": "10s", "leave": "w1"}, {"at": "12s", "join": "w1"}, {"at": "40s", "remove_node": "w1"})

    assert "w1~2" in result.cluster.store().nodes or "w1" in result.cluster.store().nodes
    assert tables.node_ls(result.trace).count(" w1 ") == len(
        [n for n in result.cluster.store().nodes.values() if n.hostname == "w1"]
    )


def test_leaving_waits_fifteen_seconds_for_containers_and_then_kills_them() -> None:
    """daemon/cluster/noderunner.go `Stop`, then `ContainerRm` by force."""
    web = {"web": {**WEB["web"], "stop_grace_period": "5m", "x-sim": {**QUICK, "stop": "2m"}}}

    result = run({"at": "10s", "leave": "w1"}, services=web)

    assert at(result, StepAnswered, entry="leave") == [25_000_000]
    exits = at(result, ContainerExited, node="w1", why="killed")
    assert exits == [25_000_000] * len(exits) != []


def test_a_host_that_left_starts_again_without_a_swarm() -> None:
    result = run({"at": "10s", "leave": "w1"}, {"at": "20s", "crash": "w1", "for": "5s"})

    assert result.cluster.nodes["w1"].identity is None
    assert not at(result, NodeChanged, node="w1", state=NodeState.READY, action="UPDATE")


def test_one_that_goes_off_while_it_leaves_comes_back_as_what_it_was() -> None:
    """Its state directory is cleared last."""
    web = {"web": {**WEB["web"], "x-sim": {**QUICK, "stop": "8s"}}}
    result = run(
        {"at": "10s", "leave": "w1", "refused": "the engine went away"},
        {"at": "12s", "crash": "w1", "for": "20s"},
        services=web,
        expect=[{"node": "w1", "state": "ready"}],
    )

    assert result.cluster.nodes["w1"].identity is not None
    assert result.passed, result.verdicts


@pytest.mark.parametrize("force", [False, True])
def test_who_is_in_no_swarm_cannot_leave_one(force: bool) -> None:
    result = run(
        {"at": "10s", "leave": "w1"},
        {"at": "20s", "name": "again", "leave": "w1", "force": force, "refused": "This node is not part of a swarm"},
    )

    assert refusal(result, "again") == "Error response from daemon: This node is not part of a swarm"
    assert result.passed, result.verdicts


def test_an_engine_that_is_off_answers_nobody() -> None:
    result = run({"at": "10s", "crash": "w1"}, {"at": "11s", "leave": "w1", "refused": "Cannot connect to the Docker"})

    assert result.passed, result.verdicts


def test_several_leave_one_after_the_other_each_by_its_own_engine() -> None:
    result = run({"at": "10s", "leave": "workers"})

    sent = next(r.event for r in result.trace.of(StepSent) if r.event.entry == "leave")
    assert (sent.target, sent.via) == ("w1, w2", "w1")
    assert at(result, StepAnswered, entry="leave")[0] >= 12_000_000
    assert all(node(result, name).status.state is NodeState.DOWN for name in ("w1", "w2"))
    assert len(result.cluster.containers("web")) == 4


# ---- a manager without force ---------------------------------------------------------------------------------


def test_a_manager_does_not_leave_without_force() -> None:
    """daemon/cluster/swarm.go `Leave`: where enough others are left it only warns of the consensus."""
    result = run({"at": "10s", "leave": "m2", "refused": "participating as a manager"}, managers=3)

    assert refusal(result) == A_MANAGER + ONLY_WAY
    assert result.passed, result.verdicts


def test_the_last_manager_would_take_the_swarm_with_it() -> None:
    result = run({"at": "10s", "leave": "m1", "refused": "Removing the last manager"})

    assert refusal(result) == (
        A_MANAGER
        + "Removing the last manager erases all current state of the swarm. Use `--force` to ignore this message. "
    )


def test_one_of_two_managers_would_take_the_quorum_with_it() -> None:
    """Reachable less two is not more than unreachable."""
    result = run({"at": "10s", "leave": "m2", "refused": "Without a Raft quorum"}, managers=2)

    assert refusal(result) == (
        A_MANAGER
        + "Removing this node leaves 1 managers out of 2. Without a Raft quorum your swarm will be inaccessible. "
        + ONLY_WAY
    )


def test_managers_that_the_leader_cannot_reach_count_against_it() -> None:
    result = run(
        {"at": "10s", "crash": "m3", "for": "20s"},
        {"at": "20s", "leave": "m2", "refused": "Removing this node leaves 1 managers out of 3."},
        managers=3,
    )

    assert result.passed, result.verdicts


def test_without_a_leader_nothing_is_known_of_the_others() -> None:
    result = run(
        {"at": "10s", "crash": ["m1", "m3"]},
        {"at": "45s", "leave": "m2", "refused": "participating"},
        managers=3,
        expect=[{"convergence": "waived"}],
    )

    assert refusal(result) == A_MANAGER + ONLY_WAY


# ---- a manager with force ----------------------------------------------------------------------------------


def test_a_manager_that_left_by_force_stays_a_member_and_counts() -> None:
    """S-16: the group is not told. It is three still, and with another one gone there is no quorum."""
    result = run(
        {"at": "10s", "leave": "m2", "force": True},
        {"at": "30s", "remove_node": "m2", "refused": "is a cluster manager and is a member of the raft cluster"},
        {"at": "35s", "crash": "m3"},
        managers=3,
        expect=[{"leader": "m1", "until": "40s"}, {"leader": "none"}, {"convergence": "waived"}],
    )

    raft = result.cluster.nodes["m1"].raft
    assert raft is not None
    assert raft.members() == ("m1", "m2", "m3")
    assert not result.cluster.nodes["m2"].is_manager
    assert result.passed, result.verdicts


def test_the_right_order_is_to_demote_first() -> None:
    """S-16: then the group shrinks, and force is not needed."""
    result = run(
        {"at": "10s", "demote": "m2"},
        {"at": "20s", "leave": "m2"},
        managers=3,
        expect=[{"node": "m2", "state": "down"}, {"leader": "m1"}],
    )

    raft = result.cluster.nodes["m1"].raft
    assert raft is not None
    assert raft.members() == ("m1", "m3")
    assert result.passed, result.verdicts


def test_a_leader_that_leaves_is_replaced_when_it_is_missed() -> None:
    """It hands over to nobody: the others wait for their election timeouts, 10 s to 20 s."""
    result = run({"at": "10s", "leave": "leader", "force": True}, managers=3)

    elected = at(result, BecameLeader)
    assert 19_000_000 <= elected[-1] <= 40_000_000
    assert result.cluster.leader() in ("m2", "m3")
    assert node(result, "m1").status.state is NodeState.DOWN
    assert result.passed, result.verdicts


def test_a_manager_that_left_joins_again_as_another_member() -> None:
    result = run(
        {"at": "10s", "leave": "m2", "force": True},
        {"at": "15s", "join": "m2", "as": "manager"},
        managers=3,
        expect=[{"leader_changes": 0}],
    )

    raft = result.cluster.nodes["m1"].raft
    assert raft is not None
    assert [m for m in raft.members() if m == "m2"]
    assert len(raft.raw.progress) == 4
    assert result.passed, result.verdicts


def test_the_last_manager_takes_the_swarm_with_it() -> None:
    """Workers run on, and ask nobody who answers."""
    result = run({"at": "10s", "leave": "m1", "force": True}, expect=[{"convergence": "waived"}])

    assert result.cluster.managers == []
    assert len(result.cluster.containers("web")) == 4 - len(at(result, ContainerExited, node="m1"))
    assert not [t for t in at(result, ContainerStarted) if t > 10_000_000]


def test_a_run_in_which_nodes_leave_is_the_same_twice() -> None:
    entries = ({"at": "10s", "leave": "w1"}, {"at": "11s", "name": "second", "leave": "m3", "force": True})

    assert len({run(*entries, managers=3).digest for _ in range(2)}) == 1
