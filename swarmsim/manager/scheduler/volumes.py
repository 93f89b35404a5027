"""The cluster (CSI) volumes as the scheduler sees them: which exist, who uses them where, and which a task would get.

SwarmKit manager/scheduler/volumes.go (`volumeSet`) and topology.go. A volume counts from when its driver has created
it. It is *usable* on a node if its availability is ACTIVE, its access mode bears with how it is used already, and the
node lies where the volume is accessible. What a task gets is booked here at once, like its node's resources, and
written with the task: the volume is then to be published on that node (`publish_on`).

A quirk, as in the original: volumes that nobody uses on a node any more are looked for (`unused_on`) only when
decisions are written, so the last task's end alone frees nothing.

Departure (2026-11-25): of a group's usable volumes the first known is taken, where the original takes its map's whim.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ...api.objects import Node, Task, Volume, VolumeAttachment, VolumePublishStatus
from ...api.specs import Mount, Topology, VolumeScope, VolumeSharing
from ...api.states import Availability, PublishState

GROUP = "group:"


class Wanted(NamedTuple):
    """What matters of a mount: a volume's name, or `group:NAME` for any of a group."""

    source: str
    read_only: bool


class Usage(NamedTuple):
    node_id: str
    read_only: bool


class MissingVolumeError(Exception):
    def __init__(self, source: str) -> None:
        self.text = f"cannot find volume to satisfy mount with source {source}"
        super().__init__(self.text)


def cluster_mounts(task: Task) -> list[Mount]:
    mounts = task.spec.container.mounts
    return [m for m in mounts if m.type == "cluster"] if mounts else []


class Known:
    """One volume, and the tasks that use it."""

    __slots__ = ("tasks", "volume")

    def __init__(self, volume: Volume) -> None:
        self.volume = volume
        self.tasks: dict[str, Usage] = {}

    def is_used_on(self, node_id: str) -> bool:
        return any(usage.node_id == node_id for usage in self.tasks.values())


class VolumeSet:
    """`stamp` grows with each change, after which nodes that were asked before may answer otherwise."""

    def __init__(self) -> None:
        self.stamp = 0
        self._known: dict[str, Known] = {}
        self._by_name: dict[str, str] = {}
        self._by_group: dict[str, dict[str, None]] = {}

    # -- what is there --
    def add_or_update(self, volume: Volume) -> bool:
        """Returns whether it counts: its driver has created it."""
        if volume.info is None or not volume.info.volume_id:
            return False
        known = self._known.get(volume.id)
        if known is None:
            self._known[volume.id] = Known(volume)
        else:
            known.volume = volume
        self._by_name[volume.name] = volume.id
        self._by_group.setdefault(volume.spec.group, {})[volume.id] = None
        self.stamp += 1
        return True

    def remove(self, volume: Volume) -> None:
        if self._known.pop(volume.id, None) is None:
            return
        del self._by_group[volume.spec.group][volume.id]
        if self._by_name.get(volume.name) == volume.id:
            del self._by_name[volume.name]
        self.stamp += 1

    # -- who uses it --
    def reserve(self, volume_id: str, task_id: str, usage: Usage) -> None:
        known = self._known.get(volume_id)
        if known is not None:
            known.tasks[task_id] = usage
            self.stamp += 1

    def release(self, volume_id: str, task_id: str) -> None:
        known = self._known.get(volume_id)
        if known is not None and known.tasks.pop(task_id, None) is not None:
            self.stamp += 1

    def reserve_of(self, task: Task) -> None:
        """All that the task was given (`reserveTaskVolumes`)."""
        for given in task.volumes:
            for mount in task.spec.container.mounts:
                if (mount.source, mount.target) == (given.source, given.target):
                    self.reserve(given.id, task.id, Usage(task.node_id, mount.read_only))

    def release_of(self, task: Task) -> None:
        for given in task.volumes:
            self.release(given.id, task.id)

    # -- what a task could get --
    def choose(self, task: Task, node: Node) -> tuple[VolumeAttachment, ...]:
        """A volume for each cluster mount, none booked yet (`chooseTaskVolumes`). Raises `MissingVolumeError`.

        While choosing, what was chosen counts as used by the task, so that two mounts of a group get two volumes
        where these cannot be shared.
        """
        chosen: list[VolumeAttachment] = []
        try:
            for mount in cluster_mounts(task):
                id = self.usable(Wanted(mount.source, mount.read_only), node)
                if not id:
                    raise MissingVolumeError(mount.source)
                self.reserve(id, task.id, Usage(node.id, mount.read_only))
                chosen.append(VolumeAttachment(id, mount.source, mount.target))
        finally:
            for given in chosen:
                self.release(given.id, task.id)
        return tuple(chosen)

    def usable(self, wanted: Wanted, node: Node) -> str:
        """The id of a volume that satisfies the mount on the node, or "" (`isVolumeAvailableOnNode`)."""
        if wanted.source.startswith(GROUP):
            ids: Sequence[str] = tuple(self._by_group.get(wanted.source.removeprefix(GROUP), ()))
        else:
            ids = (self._by_name[wanted.source],) if wanted.source in self._by_name else ()
        return next((id for id in ids if self.is_usable(id, node, wanted.read_only)), "")

    def is_usable(self, id: str, node: Node, read_only: bool) -> bool:
        """volumes.go `checkVolume`."""
        known = self._known[id]
        spec = known.volume.spec
        if spec.availability is not Availability.ACTIVE:
            return False
        assert spec.access_mode is not None, f"volume {id} has no access mode"
        if spec.access_mode.scope is VolumeScope.SINGLE_NODE:
            if any(usage.node_id != node.id for usage in known.tasks.values()):
                return False
        if not _may_share(spec.access_mode.sharing, known, read_only):
            return False
        info = known.volume.info
        return is_in_topology(_topology(node, known.volume), info.topologies if info is not None else ())

    # -- what is written of it --
    def unused_on(self, volume: Volume) -> Volume | None:
        """The volume with each node PENDING_NODE_UNPUBLISH where it is published and used no more; None: all are used.

        volumes.go `freeVolumes`.
        """
        known = self._known.get(volume.id)
        if known is None:
            return None
        statuses = tuple(_freed(status, known) for status in volume.publish_status)
        return None if statuses == volume.publish_status else volume.evolve(publish_status=statuses)

    def ids(self) -> tuple[str, ...]:
        return tuple(self._known)


def _freed(status: VolumePublishStatus, known: Known) -> VolumePublishStatus:
    if status.state is not PublishState.PUBLISHED or known.is_used_on(status.node_id):
        return status
    return status.evolve(state=PublishState.PENDING_NODE_UNPUBLISH)


def _may_share(sharing: VolumeSharing, known: Known, read_only: bool) -> bool:
    if sharing is VolumeSharing.NONE:
        return not known.tasks
    if sharing is VolumeSharing.ONE_WRITER:
        return read_only or all(usage.read_only for usage in known.tasks.values())
    return read_only or sharing is VolumeSharing.ALL


def _topology(node: Node, volume: Volume) -> Topology | None:
    """Where the node is, as the volume's driver there says."""
    described = node.description.csi if node.description is not None else ()
    driver = volume.spec.driver.name if volume.spec.driver is not None else ""
    return next((about.topology for about in described if about.plugin == driver), None)


def is_in_topology(node: Topology | None, accessible: Sequence[Topology]) -> bool:
    """Is there one of `accessible` all of whose segments the node has? None listed: everywhere (topology.go)."""
    if not accessible:
        return True
    segments = node or {}
    return any(all(segments.get(domain, "") == value for domain, value in top.items()) for top in accessible)


def publish_on(volume: Volume, node_id: str) -> Volume | None:
    """The volume as it is to be published on the node too; None: it has a status there already."""
    if any(status.node_id == node_id for status in volume.publish_status):
        return None
    return volume.evolve(publish_status=(*volume.publish_status, VolumePublishStatus(node_id)))
