"""A cluster volume from its creation to its removal, in a whole swarm with a storage system behind it.

Every step is another component's: control API, CSI manager, scheduler, dispatcher, agent, orchestrator.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from swarmsim.api.messages import (
    CreateService,
    CreateVolume,
    GetVolume,
    RemoveService,
    RemoveVolume,
    UpdateNode,
    UpdateVolume,
)
from swarmsim.api.objects import NodeCsiInfo, Task, Volume
from swarmsim.api.specs import (
    ContainerSpec,
    Driver,
    Mount,
    Replicated,
    RestartPolicy,
    ServiceSpec,
    TaskSpec,
    VolumeAccessMode,
    VolumeScope,
    VolumeSharing,
    VolumeSpec,
)
from swarmsim.api.states import Availability, PublishState, TaskState
from swarmsim.cluster import Cluster, describe
from swarmsim.sim.storage import Storage

from .test_joining import ask, run_for

SPEC = VolumeSpec("data", Driver("csi"), VolumeAccessMode(VolumeScope.SINGLE_NODE, VolumeSharing.ALL))
PUBLISHED = PublishState.PUBLISHED


def swarm(zones: tuple[str, ...] = ("Z1", "Z1"), **storage: Any) -> tuple[Cluster, Storage]:
    """Three managers and a worker for each zone; all have the plugin, and the same storage behind it."""
    plan = describe(3, len(zones))
    hosts = [
        replace(h, csi=(NodeCsiInfo("csi", f"csi-{h.name}", {"zone": zone}),))
        if h.role == "worker"
        else replace(h, availability=Availability.DRAIN)
        for h, zone in zip(plan.hosts, ("", "", "", *zones), strict=True)
    ]
    cluster = Cluster(replace(plan, hosts=tuple(hosts)))
    system = Storage("csi", **storage)
    for node in cluster.nodes.values():
        node.engine.storage = system
    return cluster, system


def service(name: str = "db", replicas: int = 1, source: str = "data") -> CreateService:
    container = ContainerSpec("db:1", mounts=(Mount("cluster", "/data", source),))
    return CreateService(ServiceSpec(name, TaskSpec(container, restart=RestartPolicy(delay=0)), Replicated(replicas)))


def tasks(cluster: Cluster, state: TaskState = TaskState.RUNNING) -> list[Task]:
    return [t for t in cluster.store().tasks.values() if t.status.state is state]


def volume(cluster: Cluster) -> Volume:
    found: Volume = ask(cluster, GetVolume("data"))
    return found


def states(cluster: Cluster) -> dict[str, PublishState]:
    return {s.node_id: s.state for s in volume(cluster).publish_status}


def test_a_service_runs_with_its_volume_once_the_storage_has_made_it() -> None:
    """2.14 CSI, O-254 and C-077 in a whole swarm: created, PENDING_PUBLISH, PUBLISHED, on the node, RUNNING."""
    cluster, storage = swarm()
    ask(cluster, service())
    run_for(cluster, 5)
    (waiting,) = tasks(cluster, TaskState.PENDING)
    assert waiting.status.err == (
        "no suitable node (3 nodes not available for new tasks; cannot fulfill requested CSI volume mounts on 2 nodes)"
    )

    ask(cluster, CreateVolume(SPEC))
    run_for(cluster, 5)

    (task,) = tasks(cluster)
    node = task.node_id
    assert states(cluster) == {node: PUBLISHED}
    assert list(storage.published) == [("csi/data", f"csi-{node}")]
    assert list(storage.mounted) == [("csi/data", node)]
    assert [c.task for c in cluster.containers()] == [task.id]


def test_a_volume_follows_its_service_to_another_node_and_goes_with_it() -> None:
    """2.14 CSI: let go of by the agent, taken away by the controller, forgotten; then the driver destroys it."""
    cluster, storage = swarm()
    ask(cluster, CreateVolume(SPEC))
    ask(cluster, service())
    run_for(cluster, 5)
    (first,) = tasks(cluster)
    service_id = first.service_id

    node = cluster.store().nodes[first.node_id]
    ask(cluster, UpdateNode(node.id, node.version, replace(node.spec, availability=Availability.DRAIN)))
    run_for(cluster, 20)

    (second,) = tasks(cluster)
    assert second.node_id != first.node_id
    ask(cluster, RemoveService(service_id))
    run_for(cluster, 20)
    ask(cluster, service("other", source="nothing"))  # a decision is needed for the scheduler to let go
    run_for(cluster, 20)
    assert states(cluster) == {}
    assert (list(storage.published), list(storage.mounted)) == ([], [])

    ask(cluster, RemoveVolume(volume(cluster).id))
    run_for(cluster, 5)

    assert not cluster.store().volumes
    assert storage.made == {}


def test_a_drained_volume_evicts_what_uses_it() -> None:
    """O-167 in a whole swarm: the task is REJECTED, its successor waits for a volume that may be used."""
    cluster, _ = swarm()
    ask(cluster, CreateVolume(SPEC))
    ask(cluster, service())
    run_for(cluster, 5)
    known = volume(cluster)

    ask(cluster, UpdateVolume(known.id, known.version, replace(known.spec, availability=Availability.DRAIN)))
    run_for(cluster, 10)

    (rejected,) = tasks(cluster, TaskState.REJECTED)
    assert rejected.status.err == "attached to volume which is being drained"
    (waiting,) = tasks(cluster, TaskState.PENDING)
    assert "cannot fulfill requested CSI volume mounts" in waiting.status.err
    assert not tasks(cluster)


def test_tasks_go_where_the_storage_can_be_reached() -> None:
    """O-238, O-242 in a whole swarm."""
    cluster, _ = swarm(("Z1", "Z2", "Z3"), accessible={"data": ({"zone": "Z3"},)})
    ask(cluster, CreateVolume(replace(SPEC, access_mode=VolumeAccessMode(VolumeScope.MULTI_NODE, VolumeSharing.ALL))))
    ask(cluster, service(replicas=3))
    run_for(cluster, 10)

    assert {t.node_id for t in tasks(cluster)} == {"w3"}
    assert len(tasks(cluster)) == 3


def test_a_new_leader_finishes_what_the_old_one_had_asked_of_the_storage() -> None:
    """2.14 CSI, 2.4: the CSI manager looks at all volumes when it starts."""
    cluster, storage = swarm(latency=(3_000_000, 3_000_000))
    ask(cluster, CreateVolume(SPEC))
    ask(cluster, service())
    run_for(cluster, 1)
    leader = cluster.leader()
    assert leader is not None
    assert volume(cluster).info is None

    cluster.hosts[leader].crash("power", 0)
    run_for(cluster, 60)

    assert cluster.leader() not in (None, leader)
    assert len(tasks(cluster)) == 1
    assert len(storage.made) == len(storage.mounted) == 1
