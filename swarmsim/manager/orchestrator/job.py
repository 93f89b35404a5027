"""Jobs: services whose tasks run to completion, so many of them in total, or once on every node.

SwarmKit manager/orchestrator/jobs/{orchestrator.go,replicated,global}. A job is reconciled
when its service changes and when one of its tasks ends. Events of nodes are not looked at, so nothing moves when a node
joins, is drained or goes down, until something else reconciles the job (a quirk of the original).
"""

from __future__ import annotations

from itertools import islice
from typing import Any

from ...api.constraints import node_matches
from ...api.ids import new_id
from ...api.objects import Node, Service, Task
from ...api.specs import ReplicatedJob
from ...api.states import Availability, NodeState, TaskState
from ...machine import Outbox
from ...store import MemoryStore, Transaction
from ...store.actions import REMOVE, UPDATE, Change
from .event_loop import EventLoop
from .restart import tell
from .tally import Tally
from .task import (
    StoreChange,
    constraints_of,
    is_global_job,
    is_invalid,
    is_job,
    is_replicated_job,
    move_to,
    new_task,
    set_service_tasks_remove,
    write,
)
from .task_init import check_tasks
from .waiting import Work

Told = list[tuple[int, Any]]


class JobError(Exception):
    """A job that cannot be reconciled; in the original a line in the log."""


class ReplicatedJobs:
    """What the start-up check asks about replicated jobs: nothing is to be mended, the reconcile does it."""

    def is_related(self, service: Service) -> bool:
        return is_replicated_job(service)

    def fix_task(self, task: Task, out: Outbox) -> StoreChange | None:
        return None


class GlobalJobs:
    """The same about global jobs: a task on a node that is drained, down or gone is shut down."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store

    def is_related(self, service: Service) -> bool:
        return is_global_job(service)

    def fix_task(self, task: Task, out: Outbox) -> StoreChange | None:
        if task.desired_state > TaskState.COMPLETE or not is_invalid(self.store.nodes.get(task.node_id)):
            return None
        return move_to(task.id, TaskState.SHUTDOWN, out.cause)


class JobsOrchestrator(EventLoop):
    """One for both modes."""

    def __init__(self, node: str, store: MemoryStore) -> None:
        super().__init__(node, store)
        self._tallies: dict[str, Tally] = {}  # of replicated jobs, until their service changes or loses a task
        self.restarts.on_successor = self._count_successor

    # -- starting --
    def begin(self, out: Outbox) -> Work:
        cause = out.cause
        yield from check_tasks(self.store, ReplicatedJobs(), self.restarts, out)
        yield from check_tasks(self.store, GlobalJobs(self.store), self.restarts, out)
        for service in [s for s in self.store.services.values() if is_job(s)]:
            yield from self._reconcile(service.id, cause, out)

    # -- commits --
    def handle(self, changes: tuple[Change, ...], out: Outbox) -> Work | None:
        for change in changes:
            if change.kind is REMOVE and type(change.new) is Task:
                self._tallies.pop(change.new.service_id, None)
        relevant = [change for change in changes if self._concerns(change)]
        return self._work(relevant, out) if relevant else None

    def _concerns(self, change: Change) -> bool:
        obj = change.new
        if type(obj) is Service:
            return is_job(obj)
        if type(obj) is not Task or change.kind is not UPDATE or obj.status.state <= TaskState.RUNNING:
            return False
        return obj.desired_state <= TaskState.COMPLETE and is_job(self.store.services.get(obj.service_id))

    def _work(self, changes: list[Change], out: Outbox) -> Work:
        """Tasks of one job that end in one commit need but one reconcile: it sees them all."""
        reconciled: dict[str, None] = {}
        for change in changes:
            obj = change.new
            if type(obj) is Task:
                if obj.service_id not in reconciled:
                    reconciled[obj.service_id] = None
                    yield from self._reconcile(obj.service_id, change.cause, out)
            elif change.kind is REMOVE:
                self._tallies.pop(obj.id, None)
                yield from set_service_tasks_remove(self.store, obj.id, change.cause, out)
                self.restarts.forget_service(obj.id)
            else:
                yield from self._reconcile(obj.id, change.cause, out)

    # -- reconciling --
    def _reconcile(self, service_id: str, cause: int, out: Outbox) -> Work:
        service = self.store.services.get(service_id)
        if service is None:
            return
        told: Told = []
        try:
            if is_replicated_job(service):
                changes = self._replicated(service, cause, told, out)
            elif is_global_job(service):
                changes = self._global(service, cause, told, out)
            else:
                return
        except JobError:
            self._tallies.pop(service_id, None)
            return  # nothing is created, restarted or removed
        yield from write(changes, cause, out)
        tell(told, out)

    def _replicated(self, service: Service, cause: int, told: Told, out: Outbox) -> list[StoreChange]:
        """jobs/replicated/reconciler.go `ReconcileService`."""
        mode = service.spec.mode
        assert isinstance(mode, ReplicatedJob)
        tally, others = self._count(service)
        slots = islice(tally.free_slots(), how_many_new(mode, tally.complete, tally.running))
        changes = [self._addition(service, slot, "", cause, out) for slot in slots]
        changes += [self.restarts.attempt(task.id, _service_of, cause, told, out) for task in tally.failed]
        changes += [move_to(task.id, TaskState.REMOVE, cause) for task in others]
        return changes

    def _count(self, service: Service) -> tuple[Tally, list[Task]]:
        """The tally, and the unfinished tasks of other iterations where they may not have been removed yet."""
        tally = self._tallies.get(service.id)
        if tally is not None and tally.service is service:
            tally.refresh(self.store)
            return tally, []
        tally = self._tallies[service.id] = Tally.scan(service, self.store)
        tasks = self.store.tasks_of_service(service.id)
        return tally, [t for t in tasks if not tally.is_present(t) and t.status.state <= TaskState.RUNNING]

    def _count_successor(self, task: Task) -> None:
        tally = self._tallies.get(task.service_id)
        if tally is not None and tally.is_present(task):
            tally.add(task.id, task.slot)

    def _global(self, service: Service, cause: int, told: Told, out: Outbox) -> list[StoreChange]:
        """jobs/global/reconciler.go `ReconcileService`."""
        candidates, invalid = self._nodes_for(service)
        changes: list[StoreChange] = []
        busy: dict[str, None] = {}
        for task in self.store.tasks_of_service(service.id):
            wanted = task.desired_state <= TaskState.COMPLETE
            if task.job_iteration != service.job_iteration:
                if task.desired_state < TaskState.REMOVE:
                    changes.append(move_to(task.id, TaskState.REMOVE, cause))
                continue
            if wanted:
                busy[task.node_id] = None
            if wanted and task.status.state > TaskState.COMPLETE:
                changes.append(self.restarts.attempt(task.id, _service_of, cause, told, out))
            elif wanted and task.node_id in invalid and task.status.state <= TaskState.RUNNING:
                changes.append(move_to(task.id, TaskState.SHUTDOWN, cause))
        new = [self._addition(service, 0, node_id, cause, out) for node_id in candidates if node_id not in busy]
        return new + changes

    def _nodes_for(self, service: Service) -> tuple[dict[str, None], dict[str, None]]:
        """Of the nodes that meet the constraints: those that may get a task, and those that may keep none."""
        constraints = constraints_of(service.spec.task.placement)
        candidates: dict[str, None] = {}
        invalid: dict[str, None] = {}
        for node in self.store.nodes.values():
            if not node_matches(constraints, node):
                continue
            if is_invalid(node):
                invalid[node.id] = None
            elif _takes_tasks(node):
                candidates[node.id] = None
        return candidates, invalid

    def _addition(self, service: Service, slot: int, node_id: str, cause: int, out: Outbox) -> StoreChange:
        id = new_id(out.rng)
        if not node_id:
            self._tallies[service.id].add(id, slot)
        wanted = {"desired_state": TaskState.COMPLETE, "job_iteration": service.job_iteration}
        return lambda tx: tx.create(new_task(self.store.cluster, service, slot, node_id, tx.now, id, **wanted), cause)


def how_many_new(mode: ReplicatedJob, complete: int, running: int) -> int:
    """As many as are missing, never more at once than allowed. Counted without a sign, so below zero is huge."""
    possible = (mode.max_concurrent - running) % 2**64
    missing = (mode.total_completions - complete - running) % 2**64
    count = min(possible, missing)
    if count > mode.total_completions:
        raise JobError(f"uint64 underflow, cannot create {count} tasks")
    return count


def _service_of(tx: Transaction, task: Task) -> Service | None:
    service: Service | None = tx.get(Service, task.service_id)
    return service if task.desired_state <= TaskState.COMPLETE else None


def _takes_tasks(node: Node) -> bool:
    return node.spec.availability is Availability.ACTIVE and node.status.state is NodeState.READY
