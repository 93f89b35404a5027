"""A container that is no task of the swarm joins one of its networks, in a whole swarm (S-19)."""

from __future__ import annotations

from swarmsim.api.messages import AttachNetwork, CreateNetwork, DetachNetwork, RemoveNode
from swarmsim.api.specs import NetworkSpec
from swarmsim.api.states import TaskState
from swarmsim.cluster import Cluster, describe
from swarmsim.trace.events import TaskChanged

from .test_joining import ask, run_for


def test_an_attachment_gets_an_address_and_lasts_until_it_is_taken_away() -> None:
    """S-19: NEW, PENDING with an address, ASSIGNED to its own node, RUNNING; gone when it is detached."""
    cluster = Cluster(describe(3, 2))
    ask(cluster, CreateNetwork(NetworkSpec("open", attachable=True)))
    id = ask(cluster, AttachNetwork("w2", "c1", "open"))
    run_for(cluster, 3)

    task = cluster.store().tasks[id]
    assert (task.status.state, task.node_id) == (TaskState.RUNNING, "w2")
    assert task.networks[0].addresses[0].startswith("10.0.1.")
    assert len(cluster.store().nodes["w2"].attachments) == 2
    assert cluster.containers() == []

    ask(cluster, DetachNetwork("w2", id))
    run_for(cluster, 3)

    assert cluster.store().tasks == {}
    assert len(cluster.store().nodes["w2"].attachments) == 1


def test_an_attachment_of_a_removed_node_is_orphaned() -> None:
    """C-172, O-269 TestOrphanNodeTasks: like any task that runs there; of no service, it is then reaped at once."""
    cluster = Cluster(describe(3, 2))
    ask(cluster, CreateNetwork(NetworkSpec("open", attachable=True)))
    id = ask(cluster, AttachNetwork("w2", "c1", "open"))
    run_for(cluster, 3)

    ask(cluster, RemoveNode("w2", force=True))
    run_for(cluster, 1)

    seen = [r.event for r in cluster.trace if type(r.event) is TaskChanged and r.event.task == id]
    assert [(e.now, e.action) for e in seen[-2:]] == [(TaskState.ORPHANED, "UPDATE"), (TaskState.ORPHANED, "REMOVE")]
