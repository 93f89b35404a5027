"""A cluster to play with in a notebook: build one, create a service, crash a node, look, in docker's columns.

    swarm = swarmsim.Cluster(managers=3, workers=3, seed=1)
    swarm.create("web", image="nginx:1.27", replicas=6)
    swarm.run_until(lambda: swarm.running("web") == 6)
    swarm.crash("w1")
    swarm.run_for("20s")
    print(swarm.node_ls())

Services are written as in Compose (`image=`, `deploy={...}`); durations as in a scenario ("30s"). Faults and steps are
those of scenario files. Time passes only in `run_for` and `run_until` (and while a step waits for its answer).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..api.messages import CreateService, GetNode, GetService, RemoveService, UpdateNode, UpdateService
from ..api.specs import Replicated
from ..api.states import Availability
from ..api.values import parse_duration
from ..cluster import Cluster as SimulatedCluster
from ..cluster import describe
from ..compose import load_inline
from ..errors import ApiError, SwarmsimError
from ..machine import Micros
from . import tables
from .why import why

STEP: Micros = 10_000
PATIENCE: Micros = 600_000_000


class Cluster(SimulatedCluster):
    """`managers` and `workers` are numbers of hosts: m1..., w1...; all else as `describe` takes it."""

    def __init__(self, managers: int = 3, workers: int = 3, seed: int = 1, **settings: Any) -> None:
        super().__init__(describe(managers, workers, **settings), seed)

    @property
    def now(self) -> float:
        """Seconds since the swarm was ready."""
        return self.env.now / 1e6

    # -- time --
    def run_for(self, duration: str) -> None:
        """Let `duration` ("30s") pass."""
        self.env.run(until=self.env.now + parse_duration(duration))

    def run_until(self, condition: Callable[[], bool], within: str = "10m") -> float:
        """Let time pass until `condition()` holds; gives the seconds. Raises `SwarmsimError` if it never does."""
        started = self.env.now
        limit = started + parse_duration(within)
        while not condition():
            if self.env.now >= limit:
                raise SwarmsimError(f"the condition did not hold within {within}")
            self.env.run(until=self.env.now + STEP)
        return (self.env.now - started) / 1e6

    def _do(self, request: Any, via: str | None) -> Any:
        """Ask the control API and let time pass until it answers. Raises `SwarmsimError` with docker's text."""
        answer: list[Any] = []

        def client() -> Any:
            try:
                answer.append((yield from self.ask(via, request)))
            except ApiError as error:
                answer.append(error)

        self.env.run(until=self.env.process(client()))
        if isinstance(answer[0], ApiError):
            raise SwarmsimError(str(answer[0]))
        return answer[0]

    # -- operators --
    def create(
        self, name: str, image: str, replicas: int | None = None, via: str | None = None, **compose: Any
    ) -> None:
        """`docker service create`: `compose` holds the keys of a Compose service (`deploy`, `ports`, `x_sim` ...)."""
        service: dict[str, Any] = {key.replace("_", "-") if key == "x_sim" else key: v for key, v in compose.items()}
        service["image"] = image
        if replicas is not None:
            service["deploy"] = {**service.get("deploy", {}), "replicas": replicas}
        stack = load_inline({"services": {name: service}}, file="<notebook>", base=Path(), env={})
        self._do(CreateService(stack.services[0]), via)

    def scale(self, name: str, replicas: int, via: str | None = None) -> None:
        """`docker service scale`."""
        service = self._do(GetService(name), via)
        spec = replace(service.spec, mode=Replicated(replicas))
        self._do(UpdateService(service.id, service.version, spec), via)

    def remove(self, name: str, via: str | None = None) -> None:
        """`docker service rm`."""
        self._do(RemoveService(self._do(GetService(name), via).id), via)

    def availability(self, node: str, value: str, via: str | None = None) -> None:
        """`docker node update --availability active|pause|drain`."""
        found = self._do(GetNode(node), via)
        spec = replace(found.spec, availability=Availability[value.upper()])
        self._do(UpdateNode(found.id, found.version, spec), via)

    def drain(self, node: str, via: str | None = None) -> None:
        self.availability(node, "drain", via)

    # -- the world --
    def crash(self, node: str, how: str = "power") -> None:
        """The host goes off, silently (`power`) or with its connections reset (`process`)."""
        self.hosts[node].crash(how, 0)

    def start(self, node: str) -> None:
        """The host is switched on again."""
        self.hosts[node].start(0)

    def running(self, service: str) -> int:
        """Containers of the service that really run, whatever managers believe."""
        return len(self.containers(service))

    # -- looking --
    def node_ls(self) -> str:
        """The columns of `docker node ls`, as the managers see it."""
        return tables.node_ls(self.trace)

    def service_ps(self, service: str) -> str:
        """The columns of `docker service ps`."""
        return tables.service_ps(self.trace, service, now=int(self.env.now))

    def why(self, task: str) -> str:
        """Why the task (`web.3`, or an id) is where it is: how the nodes stood, and what refused the others."""
        return why(self.trace, task)

    def service_ls(self) -> str:
        """The columns of `docker service ls`."""
        return tables.service_ls(self.trace)

    def settings(self) -> Mapping[str, Any]:
        return {"managers": list(self.managers), "workers": list(self.workers), "seed": self.seed}
