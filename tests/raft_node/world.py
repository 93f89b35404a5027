"""A Raft group of managers on real hosts, with what its tests do to it."""

from __future__ import annotations

from typing import Any

from swarmsim.api.messages import CreateService
from swarmsim.api.specs import ClusterSpec, ContainerSpec, Replicated, ServiceSpec, TaskSpec
from swarmsim.cluster import Cluster, describe
from swarmsim.errors import ApiError
from swarmsim.machine import SECOND
from swarmsim.manager.raft_node import RaftNode
from swarmsim.manager.raft_node.storage import snapshot_indices


def group(managers: int = 3, seed: int = 1, **swarm: Any) -> Cluster:
    return Cluster(describe(managers, 0, swarm=ClusterSpec(**swarm)), seed)


def run_for(cluster: Cluster, seconds: float) -> None:
    if seconds:
        cluster.run(cluster.env.now + int(seconds * SECOND))


def member(cluster: Cluster, name: str) -> RaftNode:
    raft = cluster.nodes[name].raft
    assert raft is not None, f"{name} runs no member"
    return raft


def propose(cluster: Cluster, name: str, via: str | None = None, wait: float = 1.0) -> str:
    """Propose one object, a service without tasks; what the client is told within that time, "" when all is well."""
    told: list[str] = []

    def client() -> Any:
        spec = ServiceSpec(name, TaskSpec(ContainerSpec("nginx")), Replicated(0))
        try:
            yield from cluster.ask(via or cluster.leader(), CreateService(spec))
        except ApiError as error:
            told.append(error.text)
        else:
            told.append("")

    cluster.env.process(client())
    run_for(cluster, wait)
    return told[0] if told else "no answer"


def services(cluster: Cluster, name: str) -> list[str]:
    return sorted(service.spec.name for service in cluster.store(name).services.values())


def stop(cluster: Cluster, *names: str, how: str = "process") -> None:
    for name in names:
        cluster.hosts[name].crash(how, 0)


def start(cluster: Cluster, *names: str) -> None:
    for name in names:
        cluster.hosts[name].start(0)


def snapshots(cluster: Cluster, name: str) -> list[int]:
    return snapshot_indices(cluster.hosts[name].disk.peek("raft"))


def events(cluster: Cluster, kind: type) -> list[Any]:
    return [recorded.event for recorded in cluster.trace.of(kind)]
