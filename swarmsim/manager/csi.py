"""The CSI manager: makes what is written of cluster volumes come true, with the drivers' controllers.

SwarmKit manager/csi/manager.go. The life of a volume, and who takes each step:

    created           a driver made it                             here, for a volume without info
    PENDING_PUBLISH   a task was placed that uses it on a node     scheduler
    PUBLISHED         the node can reach it                        here
    PENDING_NODE_UNPUBLISH   no task there uses it any more        scheduler
    PENDING_UNPUBLISH        the node let go of it                 dispatcher, as the node's agent reports
    (gone)            the node cannot reach it any more            here
    deleted           its user removed it, the driver destroyed it  here, for one that is marked

Every change of a volume puts it in a queue, which is worked off one volume at a time; what fails is tried again, later
each time. A new leader asks for all volumes. Drivers are told of nodes by the drivers' own ids for them, which each
node reports.

Two quirks, as in the original: the publish states are written as they were when the work on the volume began, so that
a node which the scheduler added meanwhile is lost; and the text of a failure is written only along with a success.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from ..api.csi import ControllerPublish, ControllerUnpublish, CsiError, DestroyVolume, MakeVolume, Secrets
from ..api.messages import Committed
from ..api.objects import Node, Secret, Volume, VolumePublishStatus
from ..api.states import PublishState
from ..api.volume_queue import VolumeWork
from ..machine import Address, Handler, Machine, Outbox
from ..store.actions import REMOVE
from ..store.memory_store import MemoryStore

UNKNOWN_NODE = "rpc error: code = FailedPrecondition desc = CSI node ID not found for given Swarm node ID"

Work = Generator[Any, Any, None]
Statuses = list[VolumePublishStatus]


class CsiManager(Machine):
    def __init__(self, node: str, store: MemoryStore) -> None:
        self.node = node
        self.store = store
        self.queue = VolumeWork(self._handle)
        self._nodes: dict[str, dict[str, str]] = {}  # driver -> node -> the driver's id for it

    # -- stimuli --
    def on_start(self, saved: Mapping[Any, Any], out: Outbox) -> Handler:
        for node in self.store.nodes.values():
            self._learn(node)
        for id in self.store.volumes:
            self.queue.enqueue(id, 0, out.now)
        self.queue.go_on(out)
        return None

    def on_message(self, src: Address, message: Any, out: Outbox) -> Handler:
        assert type(message) is Committed, f"the CSI manager got {message!r}"
        for change in message.changes:
            obj = change.new
            if type(obj) is Volume and change.kind is not REMOVE:
                self.queue.enqueue(obj.id, 0, out.now)
            elif type(obj) is Node:
                self._follow(obj, gone=change.kind is REMOVE)
        self.queue.go_on(out)
        return None

    def on_timer(self, name: Any, out: Outbox) -> Handler:
        self.queue.go_on(out)
        return None

    def _follow(self, node: Node, gone: bool) -> None:
        if gone:
            for known in self._nodes.values():
                known.pop(node.id, None)
        else:
            self._learn(node)

    def _learn(self, node: Node) -> None:
        """A driver that a node does not report any more keeps what it was told of it (`handleNode`)."""
        for about in node.description.csi if node.description is not None else ():
            self._nodes.setdefault(about.plugin, {})[node.id] = about.node_id

    # -- one volume --
    def _handle(self, id: str, out: Outbox) -> Work:
        """What there is to do for it now (`handleVolume`). Raises `CsiError`, maybe after a part of it was written."""
        volume: Volume | None = self.store.volumes.get(id)
        if volume is None:
            return
        if volume.info is None:
            yield from self._create(volume, out)
        elif volume.pending_delete:
            yield from self._delete(volume, out)
        elif volume.publish_status:
            yield from self._publish(volume, out)

    def _create(self, volume: Volume, out: Outbox) -> Work:
        info = yield out.execute(MakeVolume(_driver(volume), volume, self._secrets(volume)))

        def change(tx: Any) -> None:
            now: Volume | None = tx.get(Volume, volume.id)
            if now is not None:
                tx.update(now.evolve(info=info))

        yield out.update(change)

    def _delete(self, volume: Volume, out: Outbox) -> Work:
        yield out.execute(DestroyVolume(_driver(volume), volume, self._secrets(volume)))

        def change(tx: Any) -> None:
            if tx.get(Volume, volume.id) is not None:
                tx.delete(Volume, volume.id)

        yield out.update(change)

    def _publish(self, volume: Volume, out: Outbox) -> Work:
        """Each node's state once; those that went well are written together, then the others count as a failure."""
        statuses: Statuses = []
        updated, failed = False, []
        for status in volume.publish_status:
            try:
                new = yield from self._step(volume, status, out)
                updated = updated or new is not status
            except CsiError as error:
                failed.append(status.node_id)
                new = status.evolve(message=f"error {_doing(status)} volume: {error.text}")
            if new is not None:
                statuses.append(new)
        if updated:
            yield out.update(lambda tx: _write(volume.id, tuple(statuses), tx))
        if failed:
            raise CsiError(f"error publishing or unpublishing to some nodes: {failed}")

    def _step(
        self, volume: Volume, status: VolumePublishStatus, out: Outbox
    ) -> Generator[Any, Any, VolumePublishStatus | None]:
        """The state that the driver brings about, None for one that is over, the same where it is not our turn."""
        if status.state is PublishState.PENDING_PUBLISH:
            node = self._csi_node(volume, status.node_id)
            context = yield out.execute(ControllerPublish(_driver(volume), volume, node, self._secrets(volume)))
            return VolumePublishStatus(status.node_id, PublishState.PUBLISHED, "", context)
        if status.state is PublishState.PENDING_UNPUBLISH:
            node = self._csi_node(volume, status.node_id)
            yield out.execute(ControllerUnpublish(_driver(volume), volume, node, self._secrets(volume)))
            return None
        return status

    def _csi_node(self, volume: Volume, node_id: str) -> str:
        known = self._nodes.get(_driver(volume), {}).get(node_id, "")
        if not known:
            raise CsiError(UNKNOWN_NODE)
        return known

    def _secrets(self, volume: Volume) -> Secrets:
        """Those that exist (manager/csi/secret.go)."""
        found = [(wanted.key, self.store.secrets.get(wanted.secret)) for wanted in volume.spec.secrets]
        return tuple((key, secret.spec.data) for key, secret in found if isinstance(secret, Secret))


def _driver(volume: Volume) -> str:
    assert volume.spec.driver is not None, f"volume {volume.id} has no driver"
    return volume.spec.driver.name


def _doing(status: VolumePublishStatus) -> str:
    return "publishing" if status.state is PublishState.PENDING_PUBLISH else "unpublishing"


def _write(id: str, statuses: tuple[VolumePublishStatus, ...], tx: Any) -> None:
    volume: Volume | None = tx.get(Volume, id)
    if volume is not None:
        tx.update(volume.evolve(publish_status=statuses))
