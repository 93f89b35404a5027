"""A store with its proposer over a Raft that commits when a test says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from swarmsim.api.objects import Cluster, Config, Network, Node, Secret, Service, Task, TaskStatus, Volume
from swarmsim.api.specs import (
    ClusterSpec,
    ConfigSpec,
    ContainerSpec,
    NetworkSpec,
    NodeSpec,
    SecretSpec,
    ServiceSpec,
    TaskSpec,
    VolumeSpec,
)
from swarmsim.api.states import TaskState
from swarmsim.errors import LeadershipLost
from swarmsim.manager.proposer import Proposer
from swarmsim.store import Change, MemoryStore, Proposal

SPEC = TaskSpec(ContainerSpec("busybox"))


def service(id: str, name: str = "") -> Service:
    return Service(id, ServiceSpec(name or id, SPEC))


def node(id: str) -> Node:
    return Node(id, NodeSpec())


def task(id: str, service_id: str = "web", slot: int = 1, node_id: str = "") -> Task:
    return Task(id, service_id, SPEC, TaskStatus(TaskState.NEW), TaskState.RUNNING, slot, node_id)


def network(id: str, name: str = "") -> Network:
    return Network(id, NetworkSpec(name or id))


def secret(id: str, name: str = "") -> Secret:
    return Secret(id, SecretSpec(name or id, data=b"1"))


def config(id: str, name: str = "") -> Config:
    return Config(id, ConfigSpec(name or id, data=b"1"))


def volume(id: str, name: str = "") -> Volume:
    return Volume(id, VolumeSpec(name or id))


def cluster(id: str, name: str = "") -> Cluster:
    return Cluster(id, ClusterSpec(name or id))


class Leader:
    """Proposals wait in `proposed` until `commit`; `told` has what watchers see of each commit."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.now = 0
        self.proposed: list[tuple[Proposal, Callable[[int], None]]] = []
        self.told: list[list[Change]] = []
        self.proposer = Proposer(self.store, self._propose, lambda: self.now)
        self.proposer.gained()
        self.stepped_down = False
        self.results: dict[str, Any] = {}

    def _propose(self, proposal: Proposal, cause: int, on_commit: Callable[[int], None]) -> None:
        if self.stepped_down:
            raise LeadershipLost
        self.proposed.append((proposal, on_commit))

    def update(self, who: str, change: Callable[[Any], Any]) -> None:
        """Ask for one transaction; its result or error appears in `results`."""
        self.proposer.update(who, change, 0, self._keep(who))

    def batch(self, who: str, changes: list[Callable[[Any], Any]]) -> None:
        self.proposer.batch(who, changes, 0, self._keep(who))

    def _keep(self, who: str) -> Callable[[Any, Exception | None, int], None]:
        def done(result: Any, error: Exception | None, cause: int) -> None:
            assert who not in self.results, f"{who} was answered twice"
            self.results[who] = error if error is not None else result

        return done

    def commit(self) -> None:
        """The oldest proposal is committed and applied."""
        proposal, on_commit = self.proposed.pop(0)
        self.told.append(self.store.apply(proposal.actions, self.store.index + 1))
        on_commit(0)

    def commit_all(self) -> None:
        while self.proposed:
            self.commit()

    def create(self, *objects: Any) -> None:
        self.results.pop("create", None)
        self.update("create", lambda tx: [tx.create(o) for o in objects])
        self.commit_all()
        if isinstance(self.results["create"], Exception):
            raise self.results["create"]
