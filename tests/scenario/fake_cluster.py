"""A cluster without a control plane: real hosts, network and engines, and a control API that just remembers.

For tests of faults, steps and the timeline, which need the world and not the brains.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import simpy

from swarmsim.api.objects import Node, NodeDescription, Service, Task, TaskStatus
from swarmsim.api.specs import ContainerSpec, NodeSpec, Replicated, ServiceSpec, TaskSpec
from swarmsim.api.states import TaskState
from swarmsim.errors import ApiError
from swarmsim.sim.engine import Container, Engine
from swarmsim.sim.host import Host
from swarmsim.sim.network import Network
from swarmsim.trace.recorder import Trace

ANSWER = 5_000  # microseconds until the control API answers


class FakeCluster:
    """Duck-typed as `swarmsim.cluster.Cluster`."""

    def __init__(self, managers: int = 3, workers: int = 3, seed: int = 1) -> None:
        self.env = simpy.Environment(0)
        self.trace = Trace()
        self.network = Network(self.env, self.trace, seed)
        self.managers = [f"m{i + 1}" for i in range(managers)]
        self.workers = [f"w{i + 1}" for i in range(workers)]
        self.names = [*self.managers, *self.workers]
        self.hosts = {n: Host(self.env, self.trace, self.network, n, seed, (0, 0)) for n in self.names}
        self.engines = {n: Engine(self.hosts[n]) for n in self.names}
        self.leading: str | None = self.managers[0]
        self.asked: list[tuple[int, str | None, Any]] = []
        self.answer: Callable[[Any], Any] = found

    def leader(self) -> str | None:
        return self.leading if self.leading and self.hosts[self.leading].up else None

    def containers(self, service: str | None = None) -> list[Container]:
        running = [c for e in self.engines.values() for c in e.running() if service in (None, c.service)]
        return sorted(running, key=lambda c: (c.started_at or 0, c.task))

    def ask(
        self, via: str | None, request: Any, timeout: int = 20_000_000, cause: int = 0
    ) -> Generator[simpy.Event, Any, Any]:
        self.asked.append((self.env.now, via, request))
        yield self.env.timeout(ANSWER)
        answer = self.answer(request)
        if isinstance(answer, ApiError):
            raise answer
        return answer

    def place(self, name: str, node: str, at: int = 0) -> Container:
        """A container that runs on `node` since `at`."""
        service, _, slot = name.rpartition(".")
        task = Task(f"{name}-{at}", service, spec(service).task, TaskStatus(TaskState.RUNNING), TaskState.RUNNING)
        container = Container(task.id, name, service, int(slot), node, task, started_at=at)
        self.engines[node].containers[task.id] = container
        return container

    def happened(self) -> list[tuple[int, str]]:
        """(time, what) of the trace, for short asserts."""
        return [(r.at, type(r.event).__name__) for r in self.trace]


def spec(name: str, replicas: int = 3) -> ServiceSpec:
    return ServiceSpec(name, TaskSpec(ContainerSpec("nginx")), Replicated(replicas))


def found(request: Any) -> Any:
    """Answers `GetService` and `GetNode` with an object at version 7, all else with None."""
    kind = type(request).__name__
    if kind == "GetService":
        return Service(f"id-{request.service}", spec(request.service), version=7)
    if kind == "GetNode":
        return Node(request.node, NodeSpec(), description=NodeDescription(request.node), version=7)
    return None
