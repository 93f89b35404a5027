"""Global services: one task on every node that is neither drained nor down and meets the constraints.

SwarmKit manager/orchestrator/global/global.go. Each change is acted upon by itself, in the
order of the commit, and followed by the restarts that are due.

Where we differ: in the original's reconcile of one node, the question which tasks of a service are updatable may be
asked with the update status of another global service; here each service is asked about its own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ...api.constraints import Constraint, node_matches
from ...api.ids import new_id
from ...api.objects import Node, Service, Task
from ...api.states import Availability, TaskState
from ...machine import Outbox
from ...store import MemoryStore, Transaction
from ...store.actions import REMOVE, UPDATE, Change
from ..scheduler.spread import map_order
from .event_loop import EventLoop
from .restart import tell
from .slot import Slot
from .task import (
    StoreChange,
    constraints_of,
    delete,
    is_global,
    is_invalid,
    is_task_dirty,
    move_to,
    new_task,
    set_service_tasks_remove,
    write,
)
from .task_init import check_tasks
from .waiting import Work


class Known(NamedTuple):
    """A global service with its constraints, parsed."""

    service: Service
    constraints: tuple[Constraint, ...]


class GlobalOrchestrator(EventLoop):
    def __init__(self, node: str, store: MemoryStore) -> None:
        super().__init__(node, store)
        self.nodes: dict[str, Node] = {}  # all that are neither drained nor down
        self.services: dict[str, Known] = {}
        self._to_restart: dict[str, int] = {}  # task -> cause

    # -- starting --
    def begin(self, out: Outbox) -> Work:
        cause = out.cause
        for node in self.store.nodes.values():
            self._remember_node(node)
        for service in self.store.services.values():
            if is_global(service):
                self._remember_service(service)
        yield from check_tasks(self.store, self, self.restarts, out)
        yield from self._restart_tasks(out)
        for known in list(self.services.values()):
            yield from self._reconcile_service(known, cause, out)

    def is_related(self, service: Service) -> bool:
        return service.id in self.services

    def fix_task(self, task: Task, out: Outbox) -> StoreChange | None:
        """A task without a place is shut down; one that ended is restarted (global.go `FixTask`)."""
        if task.desired_state > TaskState.RUNNING:
            return None
        if is_invalid(self.nodes.get(task.node_id)):
            return move_to(task.id, TaskState.SHUTDOWN, out.cause)
        self._check_task(task, out.cause)
        return None

    def _remember_node(self, node: Node) -> None:
        if is_invalid(node):
            self.nodes.pop(node.id, None)
        else:
            self.nodes[node.id] = node

    def _remember_service(self, service: Service) -> Known:
        known = self.services[service.id] = Known(service, constraints_of(service.spec.task.placement))
        return known

    def _check_task(self, task: Task, cause: int) -> bool:
        if task.service_id not in self.services:
            return False
        if task.desired_state > TaskState.RUNNING or task.status.state <= TaskState.RUNNING:
            return False
        self._to_restart.setdefault(task.id, cause)
        return True

    # -- commits --
    def handle(self, changes: tuple[Change, ...], out: Outbox) -> Work | None:
        relevant = [change for change in changes if self._concerns(change)]
        return self._work(relevant, out) if relevant else None

    def _concerns(self, change: Change) -> bool:
        obj = change.new
        if type(obj) is Service:
            return is_global(obj)
        if type(obj) is Node:
            return True
        ended = type(obj) is Task and change.kind is UPDATE and obj.status.state > TaskState.RUNNING
        return ended and obj.desired_state <= TaskState.RUNNING

    def _work(self, changes: list[Change], out: Outbox) -> Work:
        for change in changes:
            out.cause = change.cause
            if type(change.new) is Service:
                yield from self._service_changed(change, out)
            elif type(change.new) is Node:
                yield from self._node_changed(change, out)
            else:
                self._check_task(change.new, change.cause)
            yield from self._restart_tasks(out)

    def _service_changed(self, change: Change, out: Outbox) -> Work:
        service: Service = change.new
        if change.kind is REMOVE:
            yield from set_service_tasks_remove(self.store, service.id, change.cause, out)
            self.services.pop(service.id, None)
            self.restarts.forget_service(service.id)
        else:
            yield from self._reconcile_service(self._remember_service(service), change.cause, out)

    def _node_changed(self, change: Change, out: Outbox) -> Work:
        node: Node = change.new
        if change.kind is REMOVE:
            yield from write([delete(t.id, change.cause) for t in self._tasks_on(node)], change.cause, out)
            self.nodes.pop(node.id, None)
            return
        self._remember_node(node)
        yield from write(self._reconcile_node(node, change.cause, out), change.cause, out)

    def _tasks_on(self, node: Node) -> list[Task]:
        return [task for task in self.store.tasks_on_node(node.id) if task.service_id in self.services]

    # -- one service on all nodes --
    def _reconcile_service(self, known: Known, cause: int, out: Outbox) -> Work:
        """global.go `reconcileServices`."""
        service = known.service
        out.cause = cause
        live = self._live_by_node(service)
        to_update: list[Slot] = []
        changes: list[StoreChange] = []
        for node in map_order(list(self.nodes.values()), out.rng):
            tasks = live.pop(node.id, [])
            if not node_matches(known.constraints, node):
                changes += _shutdowns(tasks, cause)
            elif node.spec.availability is Availability.PAUSE:
                continue  # nothing is added or updated there
            elif tasks:
                to_update.append(tasks)
            else:
                changes.append(self._addition(service, node, cause, out))
        for tasks in live.values():  # on nodes that are drained, down or gone
            changes += _shutdowns(tasks, cause)
        yield from write(changes, cause, out)
        if to_update:
            yield from self.updates.update(service, to_update, out)

    def _live_by_node(self, service: Service) -> dict[str, Slot]:
        by_node: dict[str, Slot] = {}
        for task in self.store.tasks_of_service(service.id):
            by_node.setdefault(task.node_id, []).append(task)
        live = {node_id: self.restarts.updatable(slot, service) for node_id, slot in by_node.items()}
        return {node_id: slot for node_id, slot in live.items() if slot}

    def _addition(self, service: Service, node: Node, cause: int, out: Outbox) -> StoreChange:
        id = new_id(out.rng)

        def change(tx: Transaction) -> None:
            if tx.get(Service, service.id) is not None:
                tx.create(new_task(self.store.cluster, service, 0, node.id, tx.now, id), cause)

        return change

    # -- all services on one node --
    def _reconcile_node(self, node: Node, cause: int, out: Outbox) -> list[StoreChange]:
        """global.go `reconcileOneNode`. What is outdated here is replaced at once, without a rolling update."""
        if is_invalid(node):
            return _shutdowns(self._tasks_on(node), cause)
        if node.spec.availability is Availability.PAUSE:
            return []
        changes: list[StoreChange] = []
        for service, constraints in map_order(list(self.services.values()), out.rng):
            if node_matches(constraints, node):
                changes += self._reconcile_on(node, service, cause, out)
        return changes

    def _reconcile_on(self, node: Node, service: Service, cause: int, out: Outbox) -> list[StoreChange]:
        tasks = self.restarts.updatable(self.store.tasks_in_slot((service.id, node.id)), service)
        clean = [task for task in tasks if not is_task_dirty(service, task, node)]
        kept = clean[:1]
        changes = [] if kept else [self._addition(service, node, cause, out)]
        return changes + _shutdowns([task for task in tasks if task not in kept], cause)

    # -- restarts --
    def _restart_tasks(self, out: Outbox) -> Work:
        """global.go `tickTasks`."""
        if not self._to_restart:
            return
        waiting, self._to_restart = self._to_restart, {}
        told: list[tuple[int, Any]] = []
        order = map_order(list(waiting.items()), out.rng)
        yield from write([self._restart(id, cause, told, out) for id, cause in order], order[0][1], out)
        tell(told, out)

    def _restart(self, task_id: str, cause: int, told: list[tuple[int, Any]], out: Outbox) -> StoreChange:
        """On a paused node, or one that no longer suits, the task ends without a successor."""

        def service_of(tx: Transaction, task: Task) -> Service | None:
            node, known = self.nodes.get(task.node_id), self.services.get(task.service_id)
            service: Service | None = tx.get(Service, task.service_id)
            if task.desired_state > TaskState.RUNNING or node is None or known is None or service is None:
                return None
            if node.spec.availability is Availability.PAUSE or not node_matches(known.constraints, node):
                tx.update(task.evolve(desired_state=TaskState.SHUTDOWN), cause)
                return None
            return service

        return self.restarts.attempt(task_id, service_of, cause, told, out)


def _shutdowns(tasks: list[Task], cause: int) -> list[StoreChange]:
    return [move_to(task.id, TaskState.SHUTDOWN, cause) for task in tasks if task.desired_state < TaskState.SHUTDOWN]
