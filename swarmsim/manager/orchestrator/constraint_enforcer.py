"""The constraint enforcer: evicts tasks from a node that has changed so that it no longer suits them.

SwarmKit manager/orchestrator/constraintenforcer/constraint_enforcer.go. It looks at all nodes at the start and at a
node whenever that changes, not at services. Platforms, plugins, host ports and the limit of replicas are not enforced.
"""

from __future__ import annotations

from ...api.constraints import node_matches
from ...api.objects import Node, Service, Task
from ...api.specs import NO_RESOURCES, GenericResource, Placement
from ...api.states import Availability, TaskState
from ..scheduler import generic_resources as generic
from .enforcer import Enforcer
from .task import constraints_of

MESSAGE = "task rejected by constraint enforcer"
ERROR = "assigned node no longer meets constraints"


class ConstraintEnforcer(Enforcer):
    watched = Node
    message = MESSAGE
    error = ERROR

    def _evicted_by(self, node: Node, /) -> list[Task]:
        """The tasks that the node no longer suits, in the order of the store (`rejectNoncompliantTasks`).

        Each task that stays takes its part of what the node has. At the first whose generic resources are gone the
        search ends, whatever follows (a quirk of the original).
        """
        if node.spec.availability is not Availability.ACTIVE:
            return []  # a drained node's tasks are the orchestrators', a paused one's are left alone
        offered = node.description.resources if node.description else NO_RESOURCES
        cpus, memory, free = offered.nano_cpus, offered.memory_bytes, generic.free(offered.generic)
        misplaced = []
        for task in self.store.tasks_on_node(node.id):
            if not _is_here(task):
                continue
            reserved = task.spec.resources.reservations if task.spec.resources else NO_RESOURCES
            if not self._suits(task, node) or reserved.memory_bytes > memory or reserved.nano_cpus > cpus:
                misplaced.append(task)
            elif any(not _has(free, held) for held in task.assigned_generic):
                misplaced.append(task)
                break
            else:
                cpus -= reserved.nano_cpus
                memory -= reserved.memory_bytes
                generic.consume(free, task.assigned_generic)
        return misplaced

    def _suits(self, task: Task, node: Node) -> bool:
        """The service's constraints count, not the task's own, which may be of an earlier version."""
        service: Service | None = self.store.services.get(task.service_id)
        placement: Placement | None = service.spec.task.placement if service is not None else task.spec.placement
        return node_matches(constraints_of(placement), node)

    def _may_evict(self, task: Task) -> bool:
        return task.desired_state <= TaskState.COMPLETE


def _is_here(task: Task) -> bool:
    wanted = TaskState.ASSIGNED <= task.desired_state <= TaskState.COMPLETE
    return wanted and task.status.state < TaskState.COMPLETE


def _has(free: generic.Free, held: GenericResource) -> bool:
    """Is what the task holds still there: so much of a count, or each name?"""
    offered = free.get(held.kind)
    if offered is None:
        return False
    if isinstance(offered, int):
        return not held.names and held.count <= offered
    return bool(held.names) and all(name in offered for name in held.names)
