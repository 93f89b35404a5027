"""Lists with their filters, and single objects (SwarmKit manager/controlapi `ListX`, `GetX`)."""

from __future__ import annotations

from typing import Any

import pytest

from swarmsim.api.messages import (
    CreateConfig,
    CreateNetwork,
    CreateSecret,
    GetCluster,
    GetConfig,
    GetNetwork,
    GetSecret,
    ListObjects,
)
from swarmsim.api.objects import NodeDescription
from swarmsim.api.specs import ConfigSpec, NetworkSpec, NodeSpec, SecretSpec
from swarmsim.api.states import Membership, NodeRole, TaskState

from .world import World, node, spec, task

S = TaskState


@pytest.fixture
def world() -> World:
    world = World()
    for name, labels in (("web", {"tier": "front"}), ("db", {"tier": "back", "big": "yes"}), ("cron", {})):
        world.create(spec(name, labels=labels))
    return world


def names(world: World, kind: str = "service", **filters: Any) -> list[str]:
    return sorted(obj.name for obj in world.ask(ListObjects(kind, **filters)))


def ids(world: World, kind: str, **filters: Any) -> list[str]:
    return [obj.id for obj in world.ask(ListObjects(kind, **filters))]


def test_all_labels_that_are_asked_for_are_needed(world: World) -> None:
    """common.go `filterMatchLabels`: an empty value stands for any."""
    assert names(world) == ["cron", "db", "web"]
    assert names(world, labels=(("tier", ""),)) == ["db", "web"]
    assert names(world, labels=(("tier", "back"),)) == ["db"]
    assert names(world, labels=(("tier", ""), ("big", "yes"))) == ["db"]
    assert names(world, labels=(("tier", "front"), ("big", ""))) == []
    assert names(world, names=("web", "db"), labels=(("tier", "front"),)) == ["web"]


def test_nodes_are_told_by_role_membership_and_both_kinds_of_labels() -> None:
    """node.go `ListNodes`."""
    engine = NodeDescription("w1", engine_labels={"disk": "ssd"})
    pending = NodeSpec({"zone": "a"}, membership=Membership.PENDING)
    world = World(
        node("m1", NodeRole.MANAGER),
        node("w1").evolve(description=engine),
        node("w2").evolve(spec=pending),
    )

    assert ids(world, "node") == ["m1", "w1", "w2"]
    assert ids(world, "node", roles=(NodeRole.MANAGER,)) == ["m1"]
    assert ids(world, "node", memberships=(Membership.PENDING,)) == ["w2"]
    assert ids(world, "node", labels=(("disk", "ssd"),)) == ["w1"]
    assert ids(world, "node", node_labels=(("zone", "a"),)) == ["w2"]
    assert ids(world, "node", roles=(NodeRole.WORKER,), names=("m1",)) == []


def test_tasks_are_told_by_service_node_and_desired_state() -> None:
    """task.go `ListTasks`."""
    world = World(
        task("a", S.RUNNING, "w1", "web", service_labels={"tier": "front"}),
        task("b", S.RUNNING, "w2", "web", desired=S.SHUTDOWN),
        task("c", S.RUNNING, "w1", "db"),
    )

    assert ids(world, "task", services=("web",)) == ["a", "b"]
    assert ids(world, "task", nodes=("w1",)) == ["a", "c"]
    assert ids(world, "task", services=("web",), nodes=("w1", "w2"), desired_states=(S.SHUTDOWN,)) == ["b"]
    assert ids(world, "task", labels=(("tier", ""),)) == ["a"]


def test_single_objects_are_shown_without_what_is_secret(world: World) -> None:
    network = world.ask(CreateNetwork(NetworkSpec("net")))
    secret = world.ask(CreateSecret(SecretSpec("s", data=b"1")))
    config = world.ask(CreateConfig(ConfigSpec("c", data=b"1")))
    world.manager.write(world.store.clusters["c"].evolve(unlock_key="key"))

    assert world.ask(GetNetwork("net")) == world.ask(GetNetwork(network.id)) == network
    assert (world.ask(GetSecret(secret.id)).name, world.ask(GetSecret("s")).spec.data) == ("s", b"")
    assert world.ask(GetConfig(config.id)).spec.data == b"1"
    assert (world.ask(GetCluster()).id, world.ask(GetCluster("c")).unlock_key) == ("c", "")


@pytest.mark.parametrize(
    ("request_type", "word"),
    [(GetNetwork, "network"), (GetSecret, "secret"), (GetConfig, "config"), (GetCluster, "cluster")],
)
def test_what_is_not_there_is_not_found(world: World, request_type: Any, word: str) -> None:
    assert world.refused(request_type("nobody")) == ("NotFound", f"{word} nobody not found")
    assert world.refused(request_type("")) == ("InvalidArgument", "invalid argument")


def test_a_task_without_a_slot_is_named_after_its_node() -> None:
    """docker/cli task/print.go: also the first task of a replicated job, whose slots begin with 0."""
    named = [task(id, S.RUNNING, "w1", service_name="job").evolve(slot=slot) for slot, id in enumerate("abc")]

    assert [t.name for t in named] == ["job.w1", "job.1", "job.2"]
    assert named[0].evolve(node_id="").name == "job."
