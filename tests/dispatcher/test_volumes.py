"""Cluster volumes and drivers of secrets in what a node is sent (SwarmKit assignments.go, drivers/secrets.go)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from swarmsim.api.csi import VolumeAssignment
from swarmsim.api.messages import AssignmentsMessage, UpdateVolumeStatusRequest
from swarmsim.api.objects import (
    Endpoint,
    Secret,
    Task,
    TaskStatus,
    Volume,
    VolumeAttachment,
    VolumeInfo,
    VolumePublishStatus,
)
from swarmsim.api.specs import (
    Driver,
    EndpointSpec,
    PortConfig,
    SecretSpec,
    VolumeAccessMode,
    VolumeSecret,
    VolumeSpec,
)
from swarmsim.api.states import PublishState, TaskState
from swarmsim.manager.drivers import DriverError, SecretRequest, SecretValue

from .world import MS, SECOND, World, node, refusal, secret, task

PENDING_PUBLISH, PUBLISHED, PENDING_NODE_UNPUBLISH, PENDING_UNPUBLISH = PublishState


def volume(id: str, state: PublishState, on: str = "w1", secrets: tuple[str, ...] = ()) -> Volume:
    wanted = tuple(VolumeSecret(f"key-{name}", f"id-{name}") for name in secrets)
    spec = VolumeSpec(id, Driver("csi"), VolumeAccessMode(), secrets=wanted)
    return Volume(id, spec, (VolumePublishStatus(on, state, "", {"device": id}),), VolumeInfo(f"csi-{id}"))


def mounting(*volumes: str, secrets: tuple[str, ...] = ()) -> Task:
    return task("t", secrets=secrets).evolve(volumes=tuple(VolumeAttachment(v, v, f"/{v}") for v in volumes))


def started(*objects: Any) -> World:
    world = World(node("w1"), node("w2"), *objects).start()
    world.register("w1")
    world.register("w2")
    return world


def pushed(world: World) -> list[AssignmentsMessage]:
    world.run(SECOND)
    return world.pushed("w1", AssignmentsMessage)


def names(message: AssignmentsMessage) -> tuple[list[str], list[str], list[str]]:
    return [t.id for t, _ in message.tasks], [s.id for s in message.secrets], [v.id for v in message.volumes]


# -- volumes --
def test_a_volume_is_sent_once_it_is_published_on_the_node() -> None:
    """C-077 TestAssignmentsWithVolume."""
    secrets = [secret(name) for name in ("own", "a", "b")]
    waiting = volume("v2", PENDING_PUBLISH)
    world = started(
        *secrets, volume("v1", PUBLISHED, secrets=("a", "b")), waiting, mounting("v1", "v2", secrets=("own",))
    )

    first = world.assignments()

    assert names(first) == (["t"], ["id-own", "id-a", "id-b"], ["v1"])
    assert first.volumes == (
        VolumeAssignment(
            "v1", "csi-v1", "csi", VolumeInfo("csi-v1"), {"device": "v1"}, (("key-a", "id-a"), ("key-b", "id-b"))
        ),
    )

    world.manager.write(volume("v2", PUBLISHED))

    (message,) = pushed(world)
    assert names(message) == ([], [], ["v2"])
    assert not (message.removed_secrets or message.removed_tasks or message.removed_volumes)


def test_a_volume_of_another_node_is_not_sent() -> None:
    """C-077: a volume's states are those on each node."""
    world = started(volume("v1", PUBLISHED, on="w2"))

    assert world.assignments().volumes == ()
    world.manager.write(volume("v1", PENDING_NODE_UNPUBLISH, on="w2"))
    assert pushed(world) == []


def test_a_volume_is_taken_back_and_its_secrets_with_the_nodes_word() -> None:
    """2.6: PENDING_NODE_UNPUBLISH removes it; when that is confirmed the volume is tracked no more."""
    world = started(secret("a"), volume("v1", PUBLISHED, secrets=("a",)))
    world.assignments()

    world.manager.write(volume("v1", PENDING_NODE_UNPUBLISH, secrets=("a",)))
    (taken,) = pushed(world)
    world.manager.write(volume("v1", PENDING_UNPUBLISH, secrets=("a",)))
    _, released = pushed(world)

    assert [v.id for v in taken.removed_volumes] == ["v1"]
    assert taken.removed_secrets == ()
    assert (released.removed_volumes, released.removed_secrets) == ((), ("id-a",))


def test_a_secret_that_a_task_uses_too_stays() -> None:
    """2.6: a dependency goes when nobody uses it, tasks and volumes alike."""
    world = started(secret("a"), volume("v1", PENDING_NODE_UNPUBLISH, secrets=("a",)), task("t", secrets=("a",)))
    world.assignments()

    world.manager.write(volume("v1", PENDING_UNPUBLISH, secrets=("a",)))

    assert pushed(world) == []


def test_a_node_that_begins_anew_is_told_what_to_let_go_of() -> None:
    """assignments.go `addOrUpdateVolume`: its agent may have forgotten that it was told."""
    world = started(volume("v1", PENDING_NODE_UNPUBLISH), volume("v2", PENDING_UNPUBLISH))

    first = world.assignments()

    assert [v.id for v in first.removed_volumes] == ["v1"]
    assert first.volumes == ()


def test_other_changes_of_a_volume_are_not_sent() -> None:
    """assignments.go: only a new state on this node is news."""
    world = started(volume("v1", PUBLISHED))
    world.assignments()
    known = world.store.volumes["v1"]

    elsewhere = VolumePublishStatus("w2", PENDING_PUBLISH)
    world.manager.write(known.evolve(publish_status=(*known.publish_status, elsewhere)))

    assert pushed(world) == []


def test_what_nodes_let_go_of_is_written_with_the_next_batch() -> None:
    """2.6 Batch: volume unpublish confirmations, for each volume those of all nodes at once."""
    both = volume("v1", PENDING_NODE_UNPUBLISH)
    both = both.evolve(publish_status=tuple(both.publish_status[0].evolve(node_id=n) for n in ("w1", "w2", "w3")))
    world = started(both)
    commits = len(world.manager.commits)

    for host in ("w1", "w2"):
        world.ask(UpdateVolumeStatusRequest(host, world.dispatcher.sessions[host].id, ("v1", "gone")), host)
    assert world.store.volumes["v1"] == both.evolve(
        version=world.store.volumes["v1"].version,
        created_at=world.store.volumes["v1"].created_at,
        updated_at=world.store.volumes["v1"].updated_at,
    )
    world.run(100 * MS)

    states = {s.node_id: s.state for s in world.store.volumes["v1"].publish_status}
    assert states == {"w1": PENDING_UNPUBLISH, "w2": PENDING_UNPUBLISH, "w3": PENDING_NODE_UNPUBLISH}
    assert len(world.manager.commits) == commits + 1


def test_a_report_on_volumes_needs_the_session() -> None:
    """2.6: as all requests of an agent."""
    world = started()

    assert refusal(world, UpdateVolumeStatusRequest("w1", "other", ("v",))) == ("InvalidArgument", "session invalid")


# -- drivers of secrets --
class Plugin:
    """Gives each secret its own name as value; `asked` is what it was told."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, SecretRequest]] = []

    def get(self, driver: str, request: SecretRequest) -> SecretValue:
        self.asked.append((driver, request))
        if "failing" in request.secret_name:
            raise DriverError("no such secret")
        if "empty" in request.secret_name:
            return SecretValue(b"")
        return SecretValue(request.secret_name.encode(), "DoNotReuse" in request.secret_name)


def driven(name: str) -> Secret:
    return Secret(f"id-{name}", SecretSpec(name, {"of": name}, driver=Driver("vault")))


def with_plugin(*objects: Any) -> tuple[World, Plugin]:
    world = World(node("w1"), *objects)
    plugin = world.dispatcher.drivers = Plugin()
    world.start().register("w1")
    return world, plugin


def test_the_plugin_is_asked_for_the_values_of_its_secrets() -> None:
    """C-076 TestAssignmentsSecretDriver: what fails is left out, what must not be reused is the task's own."""
    names = ("driverSecret", "driverDoNotReuseSecret", "failingSecret")
    endpoint = EndpointSpec(ports=(PortConfig(target_port=80, published_port=8080),))
    wanted = task("t", secrets=names).evolve(service_name="web", service_labels={"a": "b"}, endpoint=Endpoint(endpoint))
    container = replace(wanted.spec.container, hostname="host")
    world, plugin = with_plugin(*map(driven, names), wanted.evolve(spec=replace(wanted.spec, container=container)))

    message = world.assignments()

    sent = {s.id: (s.spec.data, s.internal) for s in message.secrets}
    assert sent == {
        "id-driverSecret": (b"driverSecret", False),
        "id-driverDoNotReuseSecret.t": (b"driverDoNotReuseSecret", True),
    }
    assert [t.id for t, _ in message.tasks] == ["t"]
    driver, request = plugin.asked[0]
    assert driver == "vault"
    assert (request.secret_name, request.secret_labels) == ("driverSecret", {"of": "driverSecret"})
    assert (request.service_name, request.service_labels) == ("web", {"a": "b"})
    assert (request.service_hostname, request.service_endpoint) == ("host", endpoint)
    assert (request.task_id, request.node_id) == ("t", "w1")
    assert world.store.secrets["id-driverSecret"].spec.data == b"", "the value is nowhere but at its node"


def test_a_value_is_fetched_for_the_first_task_only_unless_it_must_not_be_reused() -> None:
    """C-076; assignments.go `assignSecret`."""
    tasks = [task(id, secrets=("shared", "ownDoNotReuse")) for id in ("t1", "t2")]
    world, plugin = with_plugin(driven("shared"), driven("ownDoNotReuse"), *tasks)

    message = world.assignments()

    assert [r.secret_name for _, r in plugin.asked] == ["shared", "ownDoNotReuse", "ownDoNotReuse"]
    assert [s.id for s in message.secrets] == ["id-shared", "id-ownDoNotReuse.t1", "id-ownDoNotReuse.t2"]

    world.manager.write(tasks[0].evolve(status=TaskStatus(TaskState.FAILED)))

    assert pushed(world)[0].removed_secrets == ("id-ownDoNotReuse.t1",)


def test_a_value_that_no_secret_may_have_is_left_out() -> None:
    """C-076; validation.ValidateSecretPayload."""
    world, plugin = with_plugin(driven("empty"), task("t", secrets=("empty",)))

    assert world.assignments().secrets == ()
    assert len(plugin.asked) == 1


def test_a_host_without_the_plugin_sends_the_task_without_the_secret() -> None:
    """C-076; drivers/secrets.go: the task is sent all the same."""
    world = started(driven("s"), task("t", secrets=("s",)))

    message = world.assignments()

    assert (message.secrets, [t.id for t, _ in message.tasks]) == ((), ["t"])
