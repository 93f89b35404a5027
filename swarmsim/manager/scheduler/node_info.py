"""What the scheduler knows of one node: its object, its tasks, what is free on it, and how it fared of late.

SwarmKit manager/scheduler/nodeinfo.go and scheduler.go `createOrUpdateNode`. *Active* tasks (desired state at most
COMPLETE) count for spreading and for max replicas; a task that shall stop counts no more, but holds its resources
and host ports until it is observed to have ended. Every method costs the same however many tasks the node has,
unless the node offers user-defined resources and its object changes.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...api.objects import Node, Task
from ...api.specs import NO_RESOURCES, Micros, PublishMode, Resources
from ...api.states import Availability, NodeState, TaskState
from . import generic_resources as generic
from .volumes import VolumeSet

MONITOR_FAILURES: Micros = 300_000_000  # nodeinfo.go `monitorFailures`: failures older than 5 min are forgotten
MAX_FAILURES = 5  # `maxFailures`: so many and the node is ranked last

HostPort = tuple[str, int]  # (protocol, published port)
VersionedService = tuple[str, int | None]


def reservations(task: Task) -> Resources:
    resources = task.spec.resources
    return resources.reservations if resources is not None else NO_RESOURCES


def host_ports(task: Task) -> tuple[HostPort, ...]:
    """The ports that the task takes on its node itself: host mode, with a number."""
    if task.endpoint is None or not task.endpoint.ports:
        return ()
    return tuple(
        (p.protocol, p.published_port)
        for p in task.endpoint.ports
        if p.publish_mode is PublishMode.HOST and p.published_port
    )


def is_active(task: Task) -> bool:
    return task.desired_state <= TaskState.COMPLETE


def _described(node: Node) -> Resources:
    return node.description.resources if node.description is not None else NO_RESOURCES


class NodeInfo:
    """One node as the scheduler sees it, its own undecided placements included.

    `place`, `stamp` and `volumes` belong to the `NodeSet`: where the node comes in its order, when it last changed, and
    the cluster volumes, which all nodes share.
    """

    __slots__ = (
        "active",
        "active_by_service",
        "generic",
        "host_ports",
        "memory_bytes",
        "nano_cpus",
        "node",
        "place",
        "ready",
        "recent_failures",
        "stamp",
        "tasks",
        "volumes",
    )

    def __init__(self, node: Node, tasks: Iterable[Task] = ()) -> None:
        described = _described(node)
        self.node = node
        self.ready = _is_schedulable(node)
        self.nano_cpus = described.nano_cpus
        self.memory_bytes = described.memory_bytes
        self.generic = generic.free(described.generic)
        self.tasks: dict[str, Task] = {}
        self.active = 0
        self.active_by_service: dict[str, int] = {}
        self.host_ports: set[HostPort] = set()  # asked for membership only, never iterated
        self.recent_failures: dict[VersionedService, list[Micros]] = {}
        self.place = self.stamp = 0
        self.volumes = NO_VOLUMES
        for task in tasks:
            self.add_task(task)

    def set_node(self, node: Node) -> None:
        """Replace the node object; what is free is what it describes minus what the tracked tasks hold."""
        before, described = _described(self.node), _described(node)
        self.node = node
        self.ready = _is_schedulable(node)
        self.nano_cpus += described.nano_cpus - before.nano_cpus
        self.memory_bytes += described.memory_bytes - before.memory_bytes
        self.generic = generic.free(described.generic)
        if self.generic:
            for task in self.tasks.values():
                generic.consume(self.generic, task.assigned_generic)

    def add_task(self, task: Task) -> bool:
        """Track `task`, which holds what it recorded; returns whether anything changed (`addTask`)."""
        known = self.tasks.get(task.id)
        if known is not None:
            return self._change_desired(known, task)
        self.tasks[task.id] = task
        resources = task.spec.resources
        if resources is not None:
            held = resources.reservations
            self.nano_cpus -= held.nano_cpus
            self.memory_bytes -= held.memory_bytes
            if task.assigned_generic:
                generic.consume(self.generic, task.assigned_generic)
        if task.endpoint is not None and task.endpoint.ports:
            self.host_ports.update(host_ports(task))
        if task.desired_state <= TaskState.COMPLETE:
            self._count(task, 1)
        return True

    def _change_desired(self, known: Task, task: Task) -> bool:
        if is_active(known) == is_active(task):
            return False
        self.tasks[task.id] = task
        self._count(task, 1 if is_active(task) else -1)
        return True

    def _count(self, task: Task, by: int) -> None:
        self.active += by
        counts = self.active_by_service
        count = counts.get(task.service_id, 0) + by
        if count:
            counts[task.service_id] = count
        else:
            del counts[task.service_id]

    def remove_task(self, task: Task) -> bool:
        """Forget `task` and free what it held; returns whether it was tracked (`removeTask`)."""
        known = self.tasks.pop(task.id, None)
        if known is None:
            return False
        if is_active(known):
            self._count(known, -1)
        self.host_ports.difference_update(host_ports(known))
        held = reservations(known)
        self.nano_cpus += held.nano_cpus
        self.memory_bytes += held.memory_bytes
        if known.assigned_generic:
            generic.reclaim(self.generic, known.assigned_generic, _described(self.node).generic)
        return True

    def task_failed(self, task: Task, now: Micros) -> VersionedService:
        """Remember a failure of a task that the scheduler placed here (`taskFailed`); returns whose it was."""
        key = (task.service_id, task.spec_version)
        recent = [at for at in self.recent_failures.get(key, ()) if now - at < MONITOR_FAILURES]
        self.recent_failures[key] = [*recent, now]
        return key

    def count_recent_failures(self, key: VersionedService, now: Micros) -> int:
        if not self.recent_failures:
            return 0
        return sum(now - at <= MONITOR_FAILURES for at in self.recent_failures.get(key, ()))


#: Of a node outside of any set.
NO_VOLUMES = VolumeSet()


def _is_schedulable(node: Node) -> bool:
    return node.status.state == NodeState.READY and node.spec.availability == Availability.ACTIVE
