"""A service from its creation to its removal, in a whole cluster: the five stages, and who proposes what."""

from __future__ import annotations

from collections.abc import Generator
from itertools import groupby, pairwise
from typing import Any

import pytest

from swarmsim.api.messages import CreateNetwork, CreateSecret, CreateService, RemoveService
from swarmsim.api.objects import Service, Task
from swarmsim.api.specs import (
    ContainerBehaviour,
    ContainerSpec,
    EndpointSpec,
    FileReference,
    NetworkAttachmentConfig,
    NetworkSpec,
    PortConfig,
    Replicated,
    SecretSpec,
    ServiceSpec,
    TaskSpec,
)
from swarmsim.api.states import Component, TaskState
from swarmsim.cluster import Cluster, describe
from swarmsim.errors import ApiError
from swarmsim.trace.events import AssignmentsSent, ContainerExited, ContainerStarted, TaskChanged

SECOND = 1_000_000
S = TaskState


def web(replicas: int = 4, **behaviour: Any) -> ServiceSpec:
    """With a network, a secret and a published port."""
    times = {"pull": (200_000, 200_000), "start": (100_000, 100_000), "stop": (300_000, 300_000)} | behaviour
    container = ContainerSpec("busybox", secrets=(FileReference("key", "key"),), behaviour=ContainerBehaviour(**times))
    task = TaskSpec(container, networks=(NetworkAttachmentConfig("net"),))
    ports = (PortConfig(target_port=80, published_port=8080),)
    return ServiceSpec("web", task, Replicated(replicas), endpoint=EndpointSpec(ports=ports))


def ask(cluster: Cluster, *requests: Any, via: str | None = None) -> list[Any]:
    answers: list[Any] = []

    def client() -> Generator[Any, Any, None]:
        for request in requests:
            try:
                answers.append((yield from cluster.ask(via, request)))
            except ApiError as error:
                answers.append(error)

    cluster.env.run(until=cluster.env.process(client()))
    return answers


@pytest.fixture(scope="module")
def life() -> tuple[Cluster, int]:
    """Created at 1 s, removed at `removal`, and watched until nothing is left."""
    cluster = Cluster(describe(3, 3), 1)
    cluster.run(SECOND)
    requests = (CreateNetwork(NetworkSpec("net")), CreateSecret(SecretSpec("key", data=b"1")), CreateService(web()))
    answers = ask(cluster, *requests, via="m2")
    assert not [a for a in answers if isinstance(a, ApiError)]
    cluster.run(20 * SECOND)
    removal = int(cluster.env.now)
    ask(cluster, RemoveService("web"), via="m3")
    cluster.run(removal + 20 * SECOND)
    return cluster, removal


def writes(life: tuple[Cluster, int], task: str | None = None) -> list[TaskChanged]:
    cluster, removal = life
    found = [r.event for r in cluster.trace.of(TaskChanged) if r.at < removal]
    return [e for e in found if task in (None, e.task)]


def test_each_stage_writes_its_part(life: tuple[Cluster, int]) -> None:
    """S-09: orchestrator NEW, allocator PENDING, scheduler ASSIGNED, dispatcher the rest, in this order."""
    for task in {e.task: None for e in writes(life)}:
        path = [(e.component, e.now) for e in writes(life, task)]
        assert path[:3] == [
            (Component.ORCHESTRATOR, S.NEW),
            (Component.ALLOCATOR, S.PENDING),
            (Component.SCHEDULER, S.ASSIGNED),
        ]
        assert {component for component, _ in path[3:]} == {Component.DISPATCHER}
        states = [state for _, state in path]
        assert states == sorted(states)
        assert states[-1] is S.RUNNING


def test_each_stage_proposes_once_for_all_tasks(life: tuple[Cluster, int]) -> None:
    """S-09: ceil(r / 200) proposals for each of the three stages; at most one a batch for the reports."""
    for component in (Component.ORCHESTRATOR, Component.ALLOCATOR, Component.SCHEDULER):
        indexes = {e.index for e in writes(life) if e.component is component}
        assert len(indexes) == 1, component
    cluster, removal = life
    reports = [r for r in cluster.trace.of(TaskChanged) if r.event.component is Component.DISPATCHER]
    batches = [at for at, _ in groupby(r.at for r in reports if r.at < removal)]
    assert all(b - a >= 100_000 for a, b in pairwise(batches))


def test_assignments_wait_for_silence(life: tuple[Cluster, int]) -> None:
    """S-09, stage 5: at least 100 ms after the scheduler's commit."""
    cluster, removal = life
    assigned = min(r.at for r in cluster.trace.of(TaskChanged) if r.event.now is S.ASSIGNED)
    sent = [r.at for r in cluster.trace.of(AssignmentsSent) if r.at < removal]

    assert assigned + 100_000 <= min(sent) < assigned + 300_000


def test_all_that_was_asked_for_runs(life: tuple[Cluster, int]) -> None:
    cluster, removal = life

    started = [r.event.name for r in cluster.trace.of(ContainerStarted) if r.at < removal]
    assert sorted(started) == [f"web.{i}" for i in (1, 2, 3, 4)]


def test_a_service_is_gone_at_once_and_its_tasks_when_they_have_stopped(life: tuple[Cluster, int]) -> None:
    """S-10: desired REMOVE, two seconds for the load balancers, stopped, reported, reaped; addresses freed."""
    cluster, removal = life
    changes = [r for r in cluster.trace.of(TaskChanged) if r.at >= removal]
    first = {r.event.task: r for r in reversed(changes)}
    assert all(r.event.desired is S.REMOVE and r.at < removal + SECOND for r in first.values())
    exits = [r for r in cluster.trace.of(ContainerExited) if r.at >= removal]
    assert [r.event.why for r in exits] == ["stopped"] * 4
    assert all(2_300_000 <= r.at - removal <= 2_900_000 for r in exits)
    ends = {r.event.task: (r.event.action, r.event.now) for r in changes}
    assert set(ends.values()) == {("REMOVE", S.SHUTDOWN)}

    store = cluster.store()
    assert (store.tasks, store.services) == ({}, {})
    assert not cluster.containers()


def test_the_nodes_give_back_what_they_had_on_a_services_network(life: tuple[Cluster, int]) -> None:
    """The node's own addresses on its network go with its last task there."""
    cluster, _ = life
    store = cluster.store()
    ingress = next(n.id for n in store.networks.values() if n.spec.ingress)

    assert {a.network_id for n in store.nodes.values() for a in n.attachments} == {ingress}


def test_a_node_holds_a_secret_only_while_a_task_uses_it() -> None:
    """S-11: sent with the task, taken back with the last one."""
    cluster = Cluster(describe(1, 2), 1)
    ask(cluster, CreateNetwork(NetworkSpec("net")), CreateSecret(SecretSpec("key", data=b"1")))
    assert not any(_secrets(cluster, n) for n in cluster.names)
    ask(cluster, CreateService(web(1)))
    cluster.run(10 * SECOND)
    (holder,) = {t.node_id for t in cluster.store().tasks.values()}
    assert [n for n in cluster.names if _secrets(cluster, n)] == [holder]

    ask(cluster, RemoveService("web"))
    cluster.run(20 * SECOND)

    assert not any(_secrets(cluster, n) for n in cluster.names)


def _secrets(cluster: Cluster, name: str) -> list[str]:
    agent: Any = cluster.hosts[name].drivers["agent"].machine
    return list(agent.secrets)


def test_sixty_replicas_run_on_six_nodes() -> None:
    """C-197 TestServiceCreate."""
    cluster = Cluster(describe(3, 3), 4)
    ask(cluster, CreateNetwork(NetworkSpec("net")), CreateSecret(SecretSpec("key", data=b"1")), CreateService(web(60)))
    cluster.run(15 * SECOND)

    tasks = cluster.store().tasks.values()
    assert [t.status.state for t in tasks] == [S.RUNNING] * 60
    assert all(isinstance(t, Task) and t.networks for t in tasks)
    assert isinstance(cluster.store().by_name(Service, "web"), Service)
    assert len(cluster.containers("web")) == 60
