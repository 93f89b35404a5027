"""A fake leader with a scheduler, and short words for the nodes, services and tasks of its tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from swarmsim.api.objects import Endpoint, Node, NodeDescription, NodeStatus, Service, Task, TaskStatus
from swarmsim.api.specs import (
    ContainerSpec,
    Driver,
    EndpointSpec,
    Mount,
    NodeSpec,
    Placement,
    Platform,
    PortConfig,
    PublishMode,
    ResourceRequirements,
    Resources,
    ServiceSpec,
    TaskSpec,
)
from swarmsim.api.states import Availability, NodeRole, NodeState, TaskState
from swarmsim.machine import MILLISECOND, SECOND
from swarmsim.manager.scheduler import Scheduler
from swarmsim.manager.scheduler import generic_resources as generic
from swarmsim.trace.events import TaskNotPlaced, TaskPlaced
from tests.fake_manager import FakeManager

SETTLED = 200 * MILLISECOND  # long enough for a pass and the fruitless one after it
FAR_FUTURE = 10 * SECOND

PLUGINS = NodeDescription("").plugins


def node(
    id: str,
    *,
    state: NodeState = NodeState.READY,
    availability: Availability = Availability.ACTIVE,
    labels: Mapping[str, str] | None = None,
    engine_labels: Mapping[str, str] | None = None,
    cpus: int = 4_000_000_000,
    memory: int = 8 << 30,
    kinds: str = "",
    platform: Platform = Platform("linux", "x86_64"),  # noqa: B008
    plugins: tuple[tuple[str, str], ...] = PLUGINS,
    described: bool = True,
    role: NodeRole = NodeRole.WORKER,
    addr: str = "",
    hostname: str | None = None,
) -> Node:
    """`kinds`: user-defined resources as on the engine's command line, `apple=3,orange=red,orange=blue`."""
    resources = Resources(cpus, memory, generic.parse(kinds) if kinds else ())
    name = id if hostname is None else hostname
    description = NodeDescription(name, platform, resources, engine_labels or {}, plugins=plugins)
    return Node(
        id,
        NodeSpec(labels or {}, availability=availability),
        role,
        NodeStatus(state, addr=addr),
        description if described else None,
    )


def spec(
    *,
    cpus: int = 0,
    memory: int = 0,
    kinds: str = "",
    constraints: tuple[str, ...] = (),
    preferences: tuple[str, ...] = (),
    max_replicas: int = 0,
    platforms: tuple[Platform, ...] = (),
    mounts: tuple[Mount, ...] = (),
    log: Driver | None = None,
) -> TaskSpec:
    reserved = Resources(cpus, memory, generic.parse(kinds) if kinds else ())
    return TaskSpec(
        ContainerSpec("image", mounts=mounts),
        ResourceRequirements(reservations=reserved) if reserved != Resources() else None,
        placement=Placement(constraints, preferences, max_replicas, platforms),
        log_driver=log,
    )


def service(id: str = "web", spec_version: int = 1, task: TaskSpec | None = None) -> Service:
    return Service(id, ServiceSpec(id, task or spec()), spec_version)


def host_port(*ports: tuple[str, int]) -> Endpoint:
    """Ports that a task takes on its node: (protocol, number)."""
    configs = [PortConfig(protocol=p, published_port=n, publish_mode=PublishMode.HOST) for p, n in ports]
    return Endpoint(EndpointSpec(), tuple(configs))


def task(
    id: str,
    wanted: TaskSpec | None = None,
    *,
    service: str = "web",
    on: str = "",
    state: TaskState = TaskState.PENDING,
    desired: TaskState = TaskState.RUNNING,
    spec_version: int | None = 1,
    slot: int = 1,
    **fields: Any,
) -> Task:
    """A PENDING task without a node, unless said otherwise; `on` binds it to a node or says where it runs."""
    status = TaskStatus(state, "pending task scheduling" if state == TaskState.PENDING else "")
    return Task(
        id,
        service,
        wanted or spec(),
        status,
        desired,
        slot,
        on,
        spec_version,
        service_name=service,
        **fields,
    )


def tasks(prefix: str, count: int, wanted: TaskSpec | None = None, **fields: Any) -> list[Task]:
    shared = wanted or spec()
    return [task(f"{prefix}{i}", shared, slot=i + 1, **fields) for i in range(count)]


def running(prefix: str, on: str, count: int = 1, wanted: TaskSpec | None = None, **fields: Any) -> list[Task]:
    return tasks(prefix, count, wanted, on=on, state=TaskState.RUNNING, **fields)


class Swarm(FakeManager):
    """Starts the scheduler with `start`, when the store holds what it shall find."""

    def start(self, *objects: Any) -> Swarm:
        self.create(*objects)
        self.scheduler = Scheduler("m1", self.store)
        self.add_machine(self.scheduler, "scheduler")
        return self

    def add(self, *objects: Any, wait: int = SETTLED) -> None:
        """One commit, and then what the scheduler makes of it."""
        self.create(*objects)
        self.run_for(wait)

    def change(self, *objects: Any, wait: int = SETTLED) -> None:
        self.write(*objects)
        self.run_for(wait)

    def drop(self, *objects: Any, wait: int = SETTLED) -> None:
        self.delete(*objects)
        self.run_for(wait)

    def end(self, id: str, state: TaskState, wait: int = SETTLED) -> None:
        """The agent reports how the task ended."""
        self.change(self.task(id).evolve(status=TaskStatus(state)), wait=wait)

    # -- what came out --
    def where(self, id: str) -> str:
        """The node of an ASSIGNED task; "" while it waits."""
        task = self.task(id)
        assert (task.status.state == TaskState.ASSIGNED) == bool(task.node_id), f"{task.node_id} {task.status}"
        return task.node_id

    def error(self, id: str) -> str:
        """The error of a task that waits."""
        task = self.task(id)
        assert task.status.state == TaskState.PENDING, f"{id} is {task.status}"
        return task.status.err

    def load(self, service: str | None = None) -> dict[str, int]:
        """Active tasks by node, zeros too, in the order of the nodes' creation."""
        active = Counter(
            t.node_id
            for t in self.store.tasks.values()
            if t.node_id and t.desired_state <= TaskState.COMPLETE and service in (None, t.service_id)
        )
        return {id: active[id] for id in self.store.nodes}

    def placed(self) -> list[TaskPlaced]:
        return self.events(TaskPlaced)

    def not_placed(self) -> list[TaskNotPlaced]:
        return self.events(TaskNotPlaced)
