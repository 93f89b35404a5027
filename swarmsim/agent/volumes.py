"""The cluster volumes of one node: brought here for the tasks that mount them, and let go of when the managers say so.

SwarmKit agent/csi/volumes.go. What is assigned is put in a queue and worked off one volume at a time; what fails is
tried again, later each time. Whoever prepares a task waits until its volumes are here. When a volume is gone from the
node that is reported, and only then may the driver's controller take it away.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any, NamedTuple

from ..api.csi import NodePublish, NodeUnpublish, Secrets, VolumeAssignment
from ..api.objects import Secret, Task
from ..api.volume_queue import VolumeWork
from ..machine import Outbox


class Assigned(NamedTuple):
    volume: VolumeAssignment
    wanted: bool  # else it shall go


class Volumes:
    """`secrets` gives those that the node was assigned; `gone` is told of each volume that the node let go of."""

    def __init__(self, secrets: Callable[[], Mapping[str, Secret]], gone: Callable[[str, Outbox], None]) -> None:
        self._secrets = secrets
        self._gone = gone
        self._assigned: dict[str, Assigned] = {}
        self._here: dict[str, None] = {}
        self._queue = VolumeWork(self._handle)
        self.go_on = self._queue.go_on

    def ready_for(self, task: Task) -> bool:
        return all(given.id in self._here for given in task.volumes)

    # -- what the managers say --
    def replace(self, volumes: Iterable[VolumeAssignment], removed: Iterable[VolumeAssignment], out: Outbox) -> None:
        """A complete assignment. One that is not in it any more was let go of before, and that was confirmed."""
        listed = {volume.id: volume for volume in (*volumes, *removed)}
        for id in [id for id in self._assigned if id not in listed]:
            del self._assigned[id]
            self._here.pop(id, None)
        self.update(volumes, removed, out)

    def update(self, volumes: Iterable[VolumeAssignment], removed: Iterable[VolumeAssignment], out: Outbox) -> None:
        for volume in volumes:
            self._assigned[volume.id] = Assigned(volume, True)
            self._queue.enqueue(volume.id, 0, out.now)
        for volume in removed:
            self._assigned[volume.id] = Assigned(volume, False)
            self._queue.enqueue(volume.id, 0, out.now)
        self.go_on(out)

    # -- one volume --
    def _handle(self, id: str, out: Outbox) -> Generator[Any, Any, None]:
        assigned = self._assigned.get(id)
        if assigned is None:
            return
        if assigned.wanted:
            if id not in self._here:
                yield out.execute(NodePublish(assigned.volume, self._values(assigned.volume)))
                self._here[id] = None
            return
        self._here.pop(id, None)
        yield out.execute(NodeUnpublish(assigned.volume))
        if self._assigned.get(id) is assigned:
            del self._assigned[id]
        self._gone(id, out)

    def _values(self, volume: VolumeAssignment) -> Secrets:
        known = self._secrets()
        return tuple((key, known[id].spec.data) for key, id in volume.secrets if id in known)
