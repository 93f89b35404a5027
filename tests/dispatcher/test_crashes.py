"""Crashes of a leader and of a worker, in a whole cluster (the real machines over the simulated network)."""

from __future__ import annotations

from typing import Any

import pytest

from swarmsim.api.messages import CreateService, GetNode, RemoveNode
from swarmsim.api.specs import ContainerBehaviour, ContainerSpec, Replicated, ServiceSpec, TaskSpec
from swarmsim.api.states import NodeState, TaskState
from swarmsim.cluster import Cluster, describe
from swarmsim.errors import ApiError
from swarmsim.trace.events import (
    BecameLeader,
    ContainerExited,
    ContainerStarted,
    HeartbeatExpired,
    LeadershipGained,
    NodeChanged,
    NodeRegistered,
    SessionFailed,
    TaskChanged,
)

SECOND = 1_000_000
FAST = ContainerBehaviour((0, 0), (0, 0), (0, 0))


class Cut:
    """All that goes to or comes from a host vanishes."""

    entry = "cut"
    cause = 0

    def __init__(self, name: str) -> None:
        self.name = name

    def verdict(self, src: str, dst: str, stream: bool, now: int) -> tuple[str, str] | None:
        return ("drop", self.entry) if self.blocks(src, dst) else None

    def blocks(self, src: str, dst: str) -> bool:
        return self.name in (src, dst)


def service(name: str, replicas: int) -> ServiceSpec:
    return ServiceSpec(name, TaskSpec(ContainerSpec("busybox", behaviour=FAST)), Replicated(replicas))


def ask(cluster: Cluster, request: Any, via: str | None = None) -> Any:
    answers: list[Any] = []

    def client() -> Any:
        try:
            answers.append((yield from cluster.ask(via, request)))
        except ApiError as error:
            answers.append(error)

    cluster.env.run(until=cluster.env.process(client()))
    return answers[0]


def running_cluster(seed: int, managers: int = 3, workers: int = 3, replicas: int = 6) -> Cluster:
    """Some seconds after the service was created."""
    cluster = Cluster(describe(managers, workers), seed)
    answer = ask(cluster, CreateService(service("web", replicas)))
    assert not isinstance(answer, ApiError), answer
    cluster.run(10 * SECOND)
    return cluster


def after(cluster: Cluster, kind: type, at: int) -> list[Any]:
    return [r for r in cluster.trace.of(kind) if r.at >= at]


def node_states(cluster: Cluster, name: str, at: int = 0) -> list[tuple[NodeState, str]]:
    return [(r.event.state, r.event.message) for r in after(cluster, NodeChanged, at) if r.event.node == name]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("how", ["process", "power"])
def test_a_leaders_crash(seed: int, how: str) -> None:
    """S-07, C-202 TestRestartLeader.

    An election, all nodes UNKNOWN, those that live READY soon and never DOWN; the old leader DOWN after 27 to 33 s, its
    tasks replaced; no container of another node is touched.
    """
    cluster = running_cluster(seed)
    leader = cluster.leader()
    assert leader is not None
    crash = int(cluster.env.now)
    cluster.hosts[leader].crash(how, 0)
    cluster.run(crash + 75 * SECOND)

    (elected,) = after(cluster, BecameLeader, crash)
    (gained,) = after(cluster, LeadershipGained, crash)
    assert 8 * SECOND <= elected.at - crash <= 30 * SECOND
    assert elected.at <= gained.at <= elected.at + SECOND
    for name in cluster.names:
        states = node_states(cluster, name, crash)
        assert states[0] == (
            NodeState.UNKNOWN,
            'Node moved to "unknown" state due to leadership change in cluster',
        )
        if name != leader:
            assert states[1:] == [(NodeState.READY, "")]
    (expired,) = after(cluster, HeartbeatExpired, crash)
    assert expired.event.node == leader
    assert 27 * SECOND <= expired.event.silent <= 33 * SECOND
    assert node_states(cluster, leader, crash)[1:] == [
        (NodeState.DOWN, 'heartbeat failure for node in "unknown" state')
    ]
    registered = after(cluster, NodeRegistered, crash)
    assert sorted(r.event.node for r in registered) == sorted(n for n in cluster.names if n != leader)
    soon = [r for r in registered if r.at <= gained.at + 8 * SECOND]  # the rest drew the dead leader once more
    assert 2 * len(soon) > len(registered)
    exited = [r.event.node for r in after(cluster, ContainerExited, crash)]
    assert set(exited) <= {leader}
    assert len(cluster.containers("web")) == 6


@pytest.mark.parametrize("seed", range(1, 9))
def test_a_workers_crash(seed: int) -> None:
    """S-08: DOWN 13.5 to 16.5 s after the last heartbeat, so 8 to 16.5 s after the crash; its tasks are replaced."""
    cluster = running_cluster(seed, 1, 3)
    crash = int(cluster.env.now)
    lost = [c.task for c in cluster.containers("web") if c.node == "w1"]
    cluster.hosts["w1"].crash("power", 0)
    cluster.run(crash + 40 * SECOND)

    (expired,) = after(cluster, HeartbeatExpired, crash)
    assert 13_500_000 <= expired.event.silent == expired.event.grace <= 16_500_000
    assert 8 * SECOND <= expired.at - crash <= 16_500_000
    (down,) = [r for r in after(cluster, NodeChanged, crash) if r.event.state is NodeState.DOWN]
    assert down.event.message == "heartbeat failure"
    assert 0 <= down.at - expired.at <= 200_000
    assert lost
    shut = {r.event.task for r in after(cluster, TaskChanged, crash) if r.event.desired is TaskState.SHUTDOWN}
    assert set(lost) <= shut
    assert len(cluster.containers("web")) == 6
    assert {c.node for c in cluster.containers("web")} <= {"m1", "w2", "w3"}


def test_a_worker_that_comes_back_in_time_was_never_down() -> None:
    """S-08: its process is new, so it registers anew; its containers are gone."""
    cluster = running_cluster(1, 1, 3)
    crash = int(cluster.env.now)
    cluster.hosts["w1"].crash("process", 0)
    cluster.run(crash + 2 * SECOND)
    cluster.hosts["w1"].start(0)
    cluster.run(crash + 30 * SECOND)

    assert not after(cluster, HeartbeatExpired, crash)
    assert {state for state, _ in node_states(cluster, "w1", crash)} == {NodeState.READY}
    assert [r.event.node for r in after(cluster, NodeRegistered, crash)] == ["w1"]
    assert len(cluster.containers("web")) == 6


def test_a_worker_that_returns_stops_what_was_replaced() -> None:
    """S-08: its tasks are desired SHUTDOWN by then; nothing is moved back."""
    cluster = running_cluster(2, 1, 3)
    crash = int(cluster.env.now)
    cluster.hosts["w1"].crash("power", 0)
    cluster.run(crash + 40 * SECOND)
    back = int(cluster.env.now)
    cluster.hosts["w1"].start(0)
    cluster.run(crash + 60 * SECOND)

    assert node_states(cluster, "w1", crash)[-1] == (NodeState.READY, "")
    assert not after(cluster, ContainerStarted, back)
    states = {t.status.state for t in cluster.store().tasks_on_node("w1")}
    assert states <= {TaskState.SHUTDOWN, TaskState.FAILED}
    assert {c.node for c in cluster.containers("web")} <= {"m1", "w2", "w3"}


def test_a_follower_that_dies_ends_the_sessions_that_went_through_it() -> None:
    """The agents that it proxied for go elsewhere, with the session that they have; nobody goes DOWN."""
    for seed in range(1, 30):
        cluster = Cluster(describe(3, 6), seed)
        follower = next(m for m in cluster.managers if m != cluster.leader())
        through = [n for n in cluster.workers if _manager_of(cluster, n) == follower]
        if through:
            break
    cluster.run(5 * SECOND)
    cluster.hosts[follower].crash("process", 0)
    cluster.run(40 * SECOND)

    failed = [r.event.node for r in cluster.trace.of(SessionFailed)]
    assert sorted(set(failed)) == sorted(through)
    assert [r.event.node for r in cluster.trace.of(HeartbeatExpired)] == [follower]
    assert not after(cluster, NodeRegistered, 0)
    assert all(_manager_of(cluster, n) not in ("", follower) for n in through)


def _manager_of(cluster: Cluster, name: str) -> str:
    agent: Any = cluster.hosts[name].drivers["agent"].machine
    return str(agent.manager)


def test_a_removed_node_hears_of_it_and_keeps_trying() -> None:
    """S-16: `removed from swarm` on every RPC.

    Its stream stays open until then, so it still hears that its tasks, orphaned and replaced by now, shall stop.
    """
    cluster = running_cluster(3, 1, 3)
    removal = int(cluster.env.now)
    assert ask(cluster, RemoveNode(ask(cluster, GetNode("w1")).id, force=True)) is None
    cluster.run(removal + 6 * SECOND)

    failed = [r.event for r in after(cluster, SessionFailed, removal)]
    assert [(e.node, e.why) for e in failed] == [("w1", "Permission denied: node w1 was removed from swarm")]
    cluster.run(removal + 60 * SECOND)
    assert _manager_of(cluster, "w1") == ""
    assert not [c.task for c in cluster.containers("web") if c.node == "w1"]
    assert len(cluster.containers("web")) == 6


def test_a_removed_node_that_cannot_be_told_runs_its_containers_on() -> None:
    """S-16, behind a partition: nobody stops them."""
    cluster = running_cluster(3, 1, 3)
    before = [c.task for c in cluster.containers("web") if c.node == "w1"]
    cluster.network.install(Cut("w1"))
    cluster.run(int(cluster.env.now) + 20 * SECOND)
    ask(cluster, RemoveNode("w1"))
    cluster.run(int(cluster.env.now) + 60 * SECOND)

    assert [c.task for c in cluster.containers("web") if c.node == "w1"] == before
    assert len(cluster.containers("web")) == 6 + len(before)
