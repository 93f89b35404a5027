"""Replicated services: as many live slots as replicas.

SwarmKit manager/orchestrator/replicated/{replicated,services,tasks,slot}.go. Commits fill two work sets, tasks to
restart and services to reconcile; at the end of each commit they are emptied, restarts first.
"""

from __future__ import annotations

from typing import Any

from ...api.ids import new_id
from ...api.objects import Node, Service, Task
from ...api.specs import Replicated
from ...api.states import TaskState
from ...machine import Outbox
from ...store import MemoryStore, Transaction
from ...store.actions import REMOVE, Change
from ..scheduler.spread import map_order
from .event_loop import EventLoop
from .restart import tell
from .slot import Slot, by_slot, shuffled, survivors_first
from .task import StoreChange, delete, is_invalid, is_replicated, move_to, new_task, set_service_tasks_remove, write
from .task_init import check_tasks
from .waiting import Work


class ReplicatedOrchestrator(EventLoop):
    def __init__(self, node: str, store: MemoryStore) -> None:
        super().__init__(node, store)
        self._to_restart: dict[str, int] = {}  # task -> cause
        self._to_reconcile: dict[str, tuple[Service, int]] = {}
        self._removed: list[tuple[str, int]] = []  # services

    # -- starting --
    def begin(self, out: Outbox) -> Work:
        cause = out.cause
        yield from check_tasks(self.store, self, self.restarts, out)
        for service in self.store.services.values():
            if is_replicated(service):
                self._to_reconcile[service.id] = (service, cause)
        yield from self._tick(out)

    def is_related(self, service: Service) -> bool:
        return is_replicated(service)

    def fix_task(self, task: Task, out: Outbox) -> StoreChange | None:
        self._check_task(task, out.cause)
        return None

    # -- noting what a commit changed --
    def handle(self, changes: tuple[Change, ...], out: Outbox) -> Work | None:
        for change in changes:
            kind = type(change.new)
            if kind is Task:
                self._note_task(change)
            elif kind is Service:
                self._note_service(change)
            elif kind is Node:
                self._note_node(change)
        return self._tick(out) if self._to_restart or self._to_reconcile or self._removed else None

    def _note_service(self, change: Change) -> None:
        service: Service = change.new
        if not is_replicated(service):
            return
        if change.kind is REMOVE:
            self._to_reconcile.pop(service.id, None)
            self._removed.append((service.id, change.cause))
        else:
            self._to_reconcile[service.id] = (service, change.cause)

    def _note_task(self, change: Change) -> None:
        task: Task = change.new
        if task.desired_state > TaskState.RUNNING:
            return
        if change.kind is not REMOVE:
            self._check_task(task, change.cause)
            return
        service = self.store.services.get(task.service_id)
        if service is not None and is_replicated(service):
            self._to_reconcile[service.id] = (service, change.cause)

    def _check_task(self, task: Task, cause: int) -> None:
        """A wanted task that ended, or stands where no task may, is to be restarted (tasks.go `handleTaskChange`)."""
        if task.desired_state > TaskState.RUNNING:
            return
        if task.status.state <= TaskState.RUNNING:
            if not task.node_id or not is_invalid(self.store.nodes.get(task.node_id)):
                return
        if is_replicated(self.store.services.get(task.service_id)):
            self._to_restart.setdefault(task.id, cause)

    def _note_node(self, change: Change) -> None:
        node: Node = change.new
        if change.kind is not REMOVE and not is_invalid(node):
            return
        for task in self.store.tasks_on_node(node.id):
            if task.desired_state <= TaskState.RUNNING and is_replicated(self.store.services.get(task.service_id)):
                self._to_restart.setdefault(task.id, change.cause)

    # -- working --
    def _tick(self, out: Outbox) -> Work:
        removed, self._removed = self._removed, []
        for service_id, cause in removed:
            yield from set_service_tasks_remove(self.store, service_id, cause, out)
            self.restarts.forget_service(service_id)
        if self._to_restart:
            yield from self._restart_tasks(out)
        services, self._to_reconcile = self._to_reconcile, {}
        for service, cause in map_order(list(services.values()), out.rng):
            yield from self._reconcile(service, cause, out)

    def _restart_tasks(self, out: Outbox) -> Work:
        """tasks.go `tickTasks`."""

        def service_of(tx: Transaction, task: Task) -> Service | None:
            service: Service | None = tx.get(Service, task.service_id)
            return service if task.desired_state <= TaskState.RUNNING and is_replicated(service) else None

        waiting, self._to_restart = self._to_restart, {}
        told: list[tuple[int, Any]] = []
        order = map_order(list(waiting.items()), out.rng)
        attempts = [self.restarts.attempt(id, service_of, cause, told, out) for id, cause in order]
        yield from write(attempts, order[0][1], out)
        tell(told, out)

    def _reconcile(self, service: Service, cause: int, out: Outbox) -> Work:
        """services.go `reconcile`: too few live slots, too many, or just enough."""
        mode = service.spec.mode
        assert isinstance(mode, Replicated)
        out.cause = cause
        live, dead = self._live_and_dead(service)
        slots = shuffled(list(live.values()), out.rng)
        changes: list[StoreChange]
        if len(live) < mode.replicas:
            yield from self.updates.update(service, slots, out)
            changes = self._additions(service, live, dead, mode.replicas - len(live), cause, out)
            changes += _deletions(dead, cause)
            yield from write(changes, cause, out)
        elif len(live) > mode.replicas:
            order = survivors_first(slots)
            yield from self.updates.update(service, order[: mode.replicas], out)
            surplus = [task for slot in order[mode.replicas :] for task in slot]
            changes = _deletions(dead, cause)
            changes += [move_to(task.id, TaskState.REMOVE, cause) for task in surplus]
            yield from write(changes, cause, out)
        else:
            yield from write(_deletions(dead, cause), cause, out)
            yield from self.updates.update(service, slots, out)

    def _live_and_dead(self, service: Service) -> tuple[dict[int, Slot], dict[int, Slot]]:
        """slot.go `updatableAndDeadSlots`."""
        live: dict[int, Slot] = {}
        dead: dict[int, Slot] = {}
        for number, slot in by_slot(self.store.tasks_of_service(service.id)).items():
            updatable = self.restarts.updatable(slot, service)
            if updatable:
                live[number] = updatable
            else:
                dead[number] = slot
        return live, dead

    def _additions(
        self, service: Service, live: dict[int, Slot], dead: dict[int, Slot], count: int, cause: int, out: Outbox
    ) -> list[StoreChange]:
        """New tasks take the lowest numbers that are free; the history of a dead slot that lives again is kept."""
        changes = []
        number = 0
        for _ in range(count):
            number += 1
            while number in live:
                number += 1
            dead.pop(number, None)
            changes.append(self._addition(service, number, cause, out))
        return changes

    def _addition(self, service: Service, number: int, cause: int, out: Outbox) -> StoreChange:
        id = new_id(out.rng)
        return lambda tx: tx.create(new_task(self.store.cluster, service, number, "", tx.now, id), cause)


def _deletions(dead: dict[int, Slot], cause: int) -> list[StoreChange]:
    return [delete(task.id, cause) for slot in dead.values() for task in slot]
