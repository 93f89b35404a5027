"""The volume enforcer: evicts the tasks that use a cluster volume which is drained.

SwarmKit manager/orchestrator/volumeenforcer/volume_enforcer.go. It looks at all volumes at the start and at a volume
whenever that changes. Evicted means observed REJECTED, as with the constraint enforcer; a volume that is merely paused
keeps the tasks it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...api.messages import Committed
from ...api.objects import Task, Volume
from ...api.states import Availability, TaskState
from ...machine import Address, Handler, Machine, Outbox
from ...store import MemoryStore, Transaction
from ...store.actions import UPDATE
from .constraint_enforcer import Eviction
from .task import StoreChange, write
from .waiting import Work

MESSAGE = "task rejected by volume enforcer"
ERROR = "attached to volume which is being drained"


class VolumeEnforcer(Machine):
    def __init__(self, node: str, store: MemoryStore) -> None:
        self.node = node
        self.store = store

    def on_start(self, saved: Mapping[Any, Any], out: Outbox) -> Handler:
        volumes = list(self.store.volumes.values())
        return self._evict([Eviction(t, out.cause) for volume in volumes for t in self._attached(volume)], out)

    def on_message(self, src: Address, message: Any, out: Outbox) -> Handler:
        assert isinstance(message, Committed), f"the volume enforcer got {message!r}"
        evictions = [
            Eviction(task, change.cause)
            for change in message.changes
            if type(change.new) is Volume and change.kind is UPDATE
            for task in self._attached(change.new)
        ]
        return self._evict(evictions, out) if evictions else None

    def _attached(self, volume: Volume) -> list[Task]:
        """The live tasks that a drained volume must lose, in the order of the store (`rejectNoncompliantTasks`)."""
        if volume.spec.availability is not Availability.DRAIN:
            return []
        users = (t for t in self.store.tasks.values() if any(given.id == volume.id for given in t.volumes))
        return [task for task in users if _is_live(task)]

    def _evict(self, evictions: list[Eviction], out: Outbox) -> Work:
        if evictions:
            yield from write([_reject(task.id, cause) for task, cause in evictions], evictions[0].cause, out)


def _is_live(task: Task) -> bool:
    return task.desired_state <= TaskState.COMPLETE and task.status.state < TaskState.COMPLETE


def _reject(task_id: str, cause: int) -> StoreChange:
    def change(tx: Transaction) -> None:
        task: Task | None = tx.get(Task, task_id)
        if task is not None and _is_live(task):
            status = task.status.evolve(state=TaskState.REJECTED, message=MESSAGE, err=ERROR, timestamp=tx.now)
            tx.update(task.evolve(status=status), cause)

    return change
