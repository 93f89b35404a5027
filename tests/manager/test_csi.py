"""The CSI manager and its queue (SwarmKit manager/csi, volumequeue)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from swarmsim.api.csi import ControllerPublish, ControllerUnpublish, CsiError, DestroyVolume, MakeVolume
from swarmsim.api.objects import Node, NodeCsiInfo, NodeDescription, Secret, Volume, VolumeInfo, VolumePublishStatus
from swarmsim.api.specs import Driver, NodeSpec, SecretSpec, VolumeAccessMode, VolumeSecret, VolumeSpec
from swarmsim.api.states import PublishState
from swarmsim.api.volume_queue import VolumeQueue
from swarmsim.machine import MILLISECOND, SECOND
from swarmsim.manager.csi import UNKNOWN_NODE, CsiManager
from tests.fake_manager import FakeManager, Promise

PENDING_PUBLISH, PUBLISHED, PENDING_NODE_UNPUBLISH, PENDING_UNPUBLISH = PublishState
SPEC = VolumeSpec("data", Driver("csi"), VolumeAccessMode())
MADE = VolumeInfo("csi-data")


def node(id: str) -> Node:
    return Node(id, NodeSpec(), description=NodeDescription(id, csi=(NodeCsiInfo("csi", f"csi-{id}"),)))


def volume(*statuses: tuple[str, PublishState], info: VolumeInfo | None = MADE, **fields: Any) -> Volume:
    return Volume("v1", SPEC, tuple(VolumePublishStatus(*s) for s in statuses), info, **fields)


class World:
    """A leader with the CSI manager; `asked` is what the driver was asked, and when. It does all but `broken`."""

    def __init__(self, *objects: Any) -> None:
        self.manager = FakeManager()
        self.store = self.manager.store
        self.asked: list[tuple[int, Any]] = []
        self.broken: dict[Any, str] = {}  # command, or the driver's id of a node -> error
        self.on_ask: Callable[[Any], Any] = lambda command: None
        self.manager.on_execute = self._driver
        self.manager.create(*objects)
        self.manager.add_machine(CsiManager("m1", self.store), "csi")

    def _driver(self, effect: Any) -> Any:
        command = effect.command
        self.asked.append((self.manager.now, command))
        special = self.on_ask(command)
        if special is not None:
            return special
        for key in (type(command), getattr(command, "csi_node", None)):
            if key in self.broken:
                return CsiError(self.broken[key])
        if isinstance(command, MakeVolume):
            return VolumeInfo(f"csi-{command.volume.name}")
        return {"device": command.csi_node} if isinstance(command, ControllerPublish) else None

    def did(self, kind: type) -> list[int]:
        """When it was asked that."""
        return [at for at, command in self.asked if isinstance(command, kind)]

    @property
    def volume(self) -> Volume:
        return self.store.volumes["v1"]

    def states(self) -> dict[str, PublishState]:
        return {s.node_id: s.state for s in self.volume.publish_status}


# -- the queue --
def test_what_failed_less_often_comes_first() -> None:
    """C-194 "should dequeue ready entries": attempts 0, 0, 1, 2."""
    queue = VolumeQueue()
    for id, attempt in (("late", 2), ("first", 0), ("second", 0), ("soon", 1)):
        queue.enqueue(id, attempt, now=0)

    assert [queue.pop(0), queue.pop(0), queue.pop(0)] == [("first", 0), ("second", 0), None]
    assert queue.next_due() == 200 * MILLISECOND
    assert queue.pop(200 * MILLISECOND - 1) is None
    assert queue.pop(200 * MILLISECOND) == ("soon", 1)
    assert queue.pop(400 * MILLISECOND) == ("late", 2)
    assert queue.next_due() is None


def test_news_of_a_volume_end_its_wait() -> None:
    """C-194: a volume waits once in the queue; asking again, attempt 0, moves it to now."""
    queue = VolumeQueue()
    queue.enqueue("v", 5, now=0)

    queue.enqueue("v", 0, now=10)

    assert queue.pop(10) == ("v", 0)
    assert queue.next_due() is None


def test_retries_come_later_each_time_up_to_ten_minutes() -> None:
    """C-194: 0, 200 ms, 400 ms ... 10 min."""
    dues = []
    for attempt in range(16):
        queue = VolumeQueue()
        queue.enqueue("v", attempt, now=0)
        dues.append(queue.next_due())

    assert dues[:4] == [0, 200 * MILLISECOND, 400 * MILLISECOND, 800 * MILLISECOND]
    assert dues[12] == 409_600 * MILLISECOND
    assert dues[13:] == [600 * SECOND] * 3


# -- the manager --
def test_a_new_volume_is_made_by_its_driver() -> None:
    """C-194; manager/csi `createVolume`: with the secrets of its spec, by the driver's keys."""
    secret = Secret("s1", SecretSpec("password", data=b"p"))
    world = World(secret)
    spec = replace(SPEC, secrets=(VolumeSecret("key", "s1"), VolumeSecret("other", "missing")))

    world.manager.create(Volume("v1", spec))

    ((_, command),) = world.asked
    assert command == MakeVolume("csi", command.volume, (("key", b"p"),))
    assert world.volume.info == VolumeInfo("csi-data")


def test_a_driver_that_fails_is_asked_again_later_and_later() -> None:
    """manager/csi `processVolume`."""
    world = World()
    world.broken[MakeVolume] = "no space"

    world.manager.create(volume(info=None))
    world.manager.run_for(SECOND)
    assert world.did(MakeVolume) == [0, 200_000, 600_000]
    world.broken.clear()
    world.manager.run_for(SECOND)

    assert world.did(MakeVolume) == [0, 200_000, 600_000, 1_400_000]
    assert world.volume.info is not None


def test_a_volume_is_published_on_the_drivers_node() -> None:
    """manager/csi: PENDING_PUBLISH, ControllerPublish, PUBLISHED."""
    world = World(node("n1"), volume())

    world.manager.write(volume(("n1", PENDING_PUBLISH)))

    assert world.asked[0][1].csi_node == "csi-n1"
    assert world.volume.publish_status == (VolumePublishStatus("n1", PUBLISHED, context={"device": "csi-n1"}),)
    assert len(world.asked) == 1, "once is enough"


def test_a_volume_is_unpublished_once_its_node_let_go_of_it() -> None:
    """manager/csi: PENDING_NODE_UNPUBLISH is the agent's turn; PENDING_UNPUBLISH, ControllerUnpublish, gone."""
    world = World(node("n1"), node("n2"), volume(("n1", PENDING_NODE_UNPUBLISH), ("n2", PUBLISHED)))
    assert not world.asked

    world.manager.write(volume(("n1", PENDING_UNPUBLISH), ("n2", PUBLISHED)))

    assert world.did(ControllerUnpublish) == [0]
    assert world.states() == {"n2": PUBLISHED}


def test_what_goes_well_is_written_whatever_else_fails() -> None:
    """manager/csi `handleVolume`: it is tried again; the failure's text is written with the success."""
    world = World(node("n1"), node("n2"))
    world.broken["csi-n2"] = "too many"
    world.manager.create(volume(("n2", PENDING_PUBLISH), ("n1", PENDING_PUBLISH)))
    world.manager.run_for(100 * MILLISECOND)

    failed, done = world.volume.publish_status
    assert (failed.state, failed.message) == (PENDING_PUBLISH, "error publishing volume: too many")
    assert (done.state, done.message) == (PUBLISHED, "")

    world.broken.clear()
    world.manager.run_for(10 * SECOND)

    assert world.states() == {"n2": PUBLISHED, "n1": PUBLISHED}
    assert world.volume.publish_status[0].message == ""


def test_a_failure_alone_is_not_written() -> None:
    """A quirk of manager/csi `handleVolume`."""
    world = World(node("n1"))
    world.broken[ControllerPublish] = "too many"

    world.manager.create(volume(("n1", PENDING_PUBLISH)))
    world.manager.run_for(SECOND)

    assert len(world.manager.commits) == 2, "the test's own two"
    assert world.did(ControllerPublish) == [0, 200_000, 600_000]


def test_a_node_that_the_driver_does_not_know_gets_nothing_until_it_does() -> None:
    """manager/csi/plugin.go: the node must have reported the driver's id for it."""
    stranger = Node("n1", NodeSpec(), description=NodeDescription("n1"))
    world = World(stranger, node("n2"))
    world.manager.create(volume(("n1", PENDING_PUBLISH), ("n2", PENDING_PUBLISH)))
    world.manager.run_for(SECOND)
    assert world.volume.publish_status[0].message == f"error publishing volume: {UNKNOWN_NODE}"

    world.manager.write(node("n1"))
    world.manager.run_for(SECOND)

    assert world.states() == {"n1": PUBLISHED, "n2": PUBLISHED}


def test_a_removed_node_is_forgotten() -> None:
    """manager/csi `handleNodeRemove`: what was published there cannot be taken away from it any more."""
    world = World(node("n1"), volume(("n1", PUBLISHED)))
    world.manager.delete(node("n1"))

    world.manager.write(volume(("n1", PENDING_UNPUBLISH)))
    world.manager.run_for(SECOND)

    assert world.did(ControllerUnpublish) == []
    assert world.states() == {"n1": PENDING_UNPUBLISH}


def test_a_removed_volume_goes_when_its_driver_has_destroyed_it() -> None:
    """manager/csi `deleteVolume`."""
    world = World(volume())
    world.broken[DestroyVolume] = "busy"
    world.manager.write(volume(pending_delete=True))
    assert world.store.volumes

    world.broken.clear()
    world.manager.run_for(SECOND)

    assert world.did(DestroyVolume) == [0, 200_000]
    assert not world.store.volumes


def test_a_new_leader_goes_on_with_what_it_finds() -> None:
    """manager/csi `init`: all volumes are looked at."""
    world = World(node("n1"), volume(("n1", PENDING_PUBLISH)))

    assert world.states() == {"n1": PUBLISHED}


def test_one_volume_is_worked_on_at_a_time() -> None:
    """manager/csi `processVolumes` is one loop: a slow driver holds up all others."""
    world = World()
    slow = Promise()
    world.on_ask = lambda command: slow if command.volume.name == "slow" else None
    world.manager.create(Volume("v0", replace(SPEC, name="slow")), volume(info=None))
    assert len(world.asked) == 1

    slow.keep(VolumeInfo("csi-slow"))

    assert [command.volume.name for _, command in world.asked] == ["slow", "data"]
    assert world.volume.info is not None


def test_a_node_that_is_added_while_the_driver_works_is_lost() -> None:
    """A quirk of manager/csi `handleVolume`: what is written is what was read, with the driver's answers."""
    world = World(node("n1"), node("n2"))
    slow = Promise()
    world.on_ask = lambda command: slow
    world.manager.create(volume(("n1", PENDING_PUBLISH)))
    world.manager.write(volume(("n1", PENDING_PUBLISH), ("n2", PENDING_PUBLISH)))

    slow.keep({})

    assert world.states() == {"n1": PUBLISHED}
