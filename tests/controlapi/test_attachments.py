"""The resource API: a node's own container on a network of the swarm (SwarmKit manager/resourceapi)."""

from __future__ import annotations

import pytest

from swarmsim.api.messages import AttachNetwork, CreateNetwork, DetachNetwork
from swarmsim.api.objects import Task
from swarmsim.api.specs import NetworkAttachmentSpec, NetworkSpec
from swarmsim.api.states import TaskState

from .world import World


@pytest.fixture
def world() -> World:
    made = World()
    made.ask(CreateNetwork(NetworkSpec("open", attachable=True)))
    made.ask(CreateNetwork(NetworkSpec("closed")))
    return made


def attached(world: World, network: str = "open") -> Task:
    id = world.ask(AttachNetwork("w1", "c1", network))
    return world.store.tasks[id]


def test_an_attachment_is_a_task_of_the_node_that_asked(world: World) -> None:
    """2.14 AttachNetwork: NEW, desired RUNNING, on the caller's node, of no service; by id or by name."""
    task = attached(world)
    network = world.store.networks[task.spec.networks[0].target]

    assert (task.status.state, task.desired_state) == (TaskState.NEW, TaskState.RUNNING)
    assert (task.node_id, task.service_id, task.spec_version) == ("w1", "", None)
    assert task.spec.runtime == NetworkAttachmentSpec("c1")
    assert network.name == "open"
    assert attached(world, network.id).spec.networks == task.spec.networks


def test_only_attachable_networks_take_attachments(world: World) -> None:
    """2.14: the texts name what was asked for."""
    assert world.refused(AttachNetwork("w1", "c1", "none")) == ("NotFound", "network none not found")
    refusal = ("PermissionDenied", "network closed not manually attachable")
    assert world.refused(AttachNetwork("w1", "c1", "closed")) == refusal


def test_an_attachment_is_taken_away_by_its_own_node(world: World) -> None:
    """2.14 DetachNetwork: the task is deleted."""
    id = attached(world).id
    assert world.refused(DetachNetwork("w2", id)) == (
        "PermissionDenied",
        f"attachment {id} doesn't belong to this node",
    )
    assert world.refused(DetachNetwork("w1", "")) == ("InvalidArgument", "invalid argument")

    world.ask(DetachNetwork("w1", id))

    assert not world.store.tasks
    assert world.refused(DetachNetwork("w1", id)) == ("NotFound", f"attachment {id} not found")
