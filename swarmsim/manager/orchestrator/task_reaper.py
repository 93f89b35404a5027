"""The task reaper: deletes tasks that are to be removed and have stopped, and history beyond the limit.

SwarmKit manager/orchestrator/taskreaper/task_reaper.go. It works in ticks: 250 ms after the
first event since the last one, or at once when more than a thousand slots and tasks wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...api.messages import Committed
from ...api.objects import Cluster, Service, Task
from ...api.specs import Global, Micros, Replicated
from ...api.states import TaskState
from ...machine import Address, Handler, Machine, Outbox
from ...store import MemoryStore
from ...store.actions import CREATE, REMOVE, Change
from .task import delete, task_time, write
from .waiting import Work

BATCHING_INTERVAL: Micros = 250_000  # task_reaper.go `reaperBatchingInterval`
MAX_DIRTY = 1000  # task_reaper.go `maxDirty`
DEFAULT_HISTORY_LIMIT = 5  # manager.go, of the default cluster object

DirtySlot = tuple[str, int, str]  # service, slot, node


class TaskReaper(Machine):
    def __init__(self, node: str, store: MemoryStore) -> None:
        self.node = node
        self.store = store
        self.history_limit = DEFAULT_HISTORY_LIMIT
        self.dirty: dict[DirtySlot, int] = {}  # -> cause
        self.cleanup: dict[str, int] = {}  # tasks to delete -> cause
        self._armed = False

    # -- stimuli --
    def on_start(self, saved: Mapping[Any, Any], out: Outbox) -> Handler:
        """Clean up at once what the last leader could not."""
        if self.store.cluster is not None:
            self.history_limit = self.store.cluster.spec.task_history_limit
        for task in self.store.tasks.values():
            if _is_refuse(task):
                self.cleanup[task.id] = out.cause
        return self._tick(out) if self.cleanup else None

    def on_message(self, src: Address, message: Any, out: Outbox) -> Handler:
        assert isinstance(message, Committed), f"the task reaper got {message!r}"
        heard = [self._note(change) for change in message.changes]
        if not any(heard):
            return None
        if len(self.dirty) + len(self.cleanup) > MAX_DIRTY:
            self._armed = False
            out.cancel_timer("tick")
            return self._tick(out)
        if not self._armed:
            self._armed = True
            out.set_timer("tick", BATCHING_INTERVAL)
        return None

    def on_timer(self, name: Any, out: Outbox) -> Handler:
        self._armed = False
        return self._tick(out) if self.dirty or self.cleanup else None

    def _note(self, change: Change) -> bool:
        """Returns whether this is an event that starts the clock."""
        obj = change.new
        if change.kind is REMOVE:
            return False
        if type(obj) is Task:
            if change.kind is CREATE:
                self.dirty[obj.service_id, obj.slot, obj.node_id] = change.cause
            elif _is_refuse(obj):
                self.cleanup[obj.id] = change.cause
            return True
        if type(obj) is Cluster and change.kind is not CREATE:
            self.history_limit = obj.spec.task_history_limit
            return True
        return False

    # -- the tick --
    def _tick(self, out: Outbox) -> Work:
        doomed, self.cleanup = self.cleanup, {}
        for slot, cause in list(self.dirty.items()):
            for task_id in self._beyond_limit(slot):
                doomed.setdefault(task_id, cause)
        if doomed:
            changes = [delete(task_id, cause) for task_id, cause in doomed.items()]
            yield from write(changes, max(doomed.values()), out)

    def _beyond_limit(self, slot: DirtySlot) -> list[str]:
        """The oldest tasks of a slot that may go, until only so many are left as the limit says.

        The slot stays dirty only if it holds several tasks that must live: one of them may stop later.
        """
        service = self.store.services.get(slot[0])
        tasks = self._tasks_of(service, slot)
        limit = self._limit(service)
        surplus = len(tasks) - limit
        if service is None or limit < 0 or surplus <= 0:
            del self.dirty[slot]
            return []
        living = 0
        doomed: list[str] = []
        for task in sorted(tasks, key=task_time):
            if len(doomed) == surplus:
                break
            if _may_go(task):
                doomed.append(task.id)
            else:
                living += 1
        if living <= 1:
            del self.dirty[slot]
        return doomed

    def _tasks_of(self, service: Service | None, slot: DirtySlot) -> list[Task]:
        """Replicated: of the slot; global: of the service on the node; jobs: none, their history stays."""
        if service is None:
            return []
        if isinstance(service.spec.mode, Replicated):
            return self.store.tasks_in_slot((service.id, slot[1]))
        if isinstance(service.spec.mode, Global):
            return self.store.tasks_in_slot((service.id, slot[2]))
        return []

    def _limit(self, service: Service | None) -> int:
        """The history of a service with limited attempts is what a new leader counts them by: it sets its own limit."""
        policy = service.spec.task.restart if service is not None else None
        return policy.max_attempts + 1 if policy is not None and policy.max_attempts > 0 else self.history_limit


def _is_refuse(task: Task) -> bool:
    """Nobody needs it: orphaned without a service, or to be removed and not (or no longer) in an agent's hands."""
    state = task.status.state
    if state >= TaskState.ORPHANED and not task.service_id:
        return True
    return task.desired_state is TaskState.REMOVE and (state < TaskState.ASSIGNED or state >= TaskState.COMPLETE)


def _may_go(task: Task) -> bool:
    """It has ended, or will never begin."""
    state = task.status.state
    return state > TaskState.RUNNING or (state < TaskState.ASSIGNED and task.desired_state > TaskState.RUNNING)
