"""What a new leader repairs first: tasks as the last leader left them.

SwarmKit manager/orchestrator/taskinit/init.go. Tasks of deleted services are deleted, each mode mends its own, delayed
starts that were interrupted are scheduled anew, and the history of restarts is rebuilt.
"""

from __future__ import annotations

from typing import Protocol

from ...api.objects import Service, Task
from ...api.states import TaskState
from ...machine import Micros, Outbox
from ...store import MemoryStore, Transaction
from .restart import RestartSupervisor, start_now
from .slot import SlotTuple, slot_tuple
from .task import StoreChange, delete, task_time, write
from .waiting import Work


class InitHandler(Protocol):
    """What a mode of service adds to the check."""

    def is_related(self, service: Service) -> bool: ...

    def fix_task(self, task: Task, out: Outbox) -> StoreChange | None:
        """Mend what events would have led to: a change to make, or a note to restart the task."""


def check_tasks(store: MemoryStore, handler: InitHandler, restarts: RestartSupervisor, out: Outbox) -> Work:
    """init.go `CheckTasks`."""
    changes: list[StoreChange] = []
    related: dict[tuple[str, SlotTuple], tuple[Service, list[Task]]] = {}
    for task in store.tasks.values():
        if not task.service_id:
            continue
        service = store.services.get(task.service_id)
        if service is None:
            changes.append(delete(task.id, out.cause))
        elif handler.is_related(service):
            slot = slot_tuple(service, task)
            related.setdefault((service.id, slot), (service, []))[1].append(task)
            fix = handler.fix_task(task, out)
            if fix is not None:
                changes.append(fix)
            if task.desired_state is TaskState.READY and task.status.state <= TaskState.COMPLETE:
                changes.append(_resume(task, restarts, out))
    yield from write(changes, out.cause, out)
    for (_, slot), (service, tasks) in related.items():
        _rebuild_history(service, slot, tasks, restarts)


def _resume(task: Task, restarts: RestartSupervisor, out: Outbox) -> StoreChange:
    """Release an interrupted delayed start after what is left of its delay, without waiting for any old task."""
    delay: Micros = min(restarts.delay_of(task), task_time(task) + restarts.delay_of(task) - out.now)
    if delay <= 0:
        return start_now(task.id)
    cause = out.cause

    def change(tx: Transaction) -> None:
        now: Task | None = tx.get(Task, task.id)
        if now is not None and now.desired_state is TaskState.READY:
            restarts.delay_start(None, task.id, delay, tx.now, cause, out)

    return change


def _rebuild_history(service: Service, key: SlotTuple, tasks: list[Task], restarts: RestartSupervisor) -> None:
    """Of the tasks of the slot's highest spec version, all but the oldest were restarts."""
    versions = [task.spec_version for task in tasks if task.spec_version is not None]
    newest = max(versions, default=0)
    of_newest = sorted((t for t in tasks if t.spec_version == newest), key=lambda t: t.created_at)
    for task in of_newest[1:]:
        restarts.record(service, key, task, task.created_at)
