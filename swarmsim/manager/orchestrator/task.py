"""Tasks as orchestrators see them: making one, whether one is outdated, and the defaults of its restart policy.

SwarmKit manager/orchestrator/{task,service}.go, api/defaults/service.go.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ...api.constraints import Constraint, ConstraintError, node_matches, parse_constraints
from ...api.objects import Cluster, Node, Service, Task, TaskStatus
from ...api.specs import (
    ContainerSpec,
    Global,
    GlobalJob,
    Micros,
    Placement,
    Replicated,
    ReplicatedJob,
    RestartCondition,
    TaskSpec,
)
from ...api.states import Availability, NodeState, TaskState
from ...machine import Outbox
from ...store import MemoryStore, Transaction
from .waiting import Work

#: api/defaults/service.go `Service.Task.Restart`.
DEFAULT_RESTART_DELAY: Micros = 5_000_000
#: Key of `ContainerSpec.options` under which credentials for the image's registry travel (`ContainerSpec.PullOptions`).
PULL_OPTIONS = "pull_options"

CREATED_MESSAGE = "created"

StoreChange = Callable[[Transaction], Any]


# -- kinds of services --
def is_replicated(service: Service | None) -> bool:
    return service is not None and type(service.spec.mode) is Replicated


def is_global(service: Service | None) -> bool:
    return service is not None and type(service.spec.mode) is Global


def is_replicated_job(service: Service | None) -> bool:
    return service is not None and type(service.spec.mode) is ReplicatedJob


def is_global_job(service: Service | None) -> bool:
    return service is not None and type(service.spec.mode) is GlobalJob


def is_job(service: Service | None) -> bool:
    return service is not None and type(service.spec.mode) in (ReplicatedJob, GlobalJob)


# -- nodes --
def is_invalid(node: Node | None) -> bool:
    """May no task stay there? UNKNOWN, DISCONNECTED and paused nodes are left alone (task.go `InvalidNode`)."""
    return node is None or node.status.state is NodeState.DOWN or node.spec.availability is Availability.DRAIN


def constraints_of(placement: Placement | None) -> tuple[Constraint, ...]:
    """What does not parse counts as no constraint at all."""
    if placement is None or not placement.constraints:
        return ()
    try:
        return parse_constraints(placement.constraints)
    except ConstraintError:
        return ()


# -- making and ending tasks --
def new_task(
    cluster: Cluster | None, service: Service, slot: int, node_id: str, now: Micros, id: str, **fields: Any
) -> Task:
    """task.go `NewTask`; `fields` are what the caller wants otherwise (desired state, job iteration)."""
    spec = service.spec
    default_log_driver = cluster.spec.log_driver if cluster is not None else None
    wanted = {"desired_state": TaskState.RUNNING, **fields}
    return Task(
        id=id,
        service_id=service.id,
        spec=spec.task,
        status=TaskStatus(TaskState.NEW, CREATED_MESSAGE, timestamp=now),
        slot=slot,
        node_id=node_id,
        spec_version=service.spec_version,
        service_name=spec.name,
        service_labels=spec.labels,
        endpoint_spec=spec.endpoint,
        log_driver=spec.task.log_driver or default_log_driver,
        **wanted,
    )


def move_to(task_id: str, desired: TaskState, cause: int) -> StoreChange:
    """A change that raises a task's desired state; it never lowers one, and a task that is gone is left alone."""

    def change(tx: Transaction) -> None:
        task: Task | None = tx.get(Task, task_id)
        if task is not None and task.desired_state < desired:
            tx.update(task.evolve(desired_state=desired), cause)

    return change


def delete(task_id: str, cause: int) -> StoreChange:
    """A change that removes the task object, whatever its state; the agent then stops what it runs."""

    def change(tx: Transaction) -> None:
        if tx.get(Task, task_id) is not None:
            tx.delete(Task, task_id, cause)

    return change


def write(changes: list[StoreChange], cause: int, out: Outbox) -> Work:
    """Make these changes, none of which may fail, in as few transactions as the store allows."""
    if changes:
        out.cause = cause
        errors = yield out.batch(changes)
        assert not any(errors), f"a change failed: {errors}"


def set_service_tasks_remove(store: MemoryStore, service_id: str, cause: int, out: Outbox) -> Work:
    """The service is gone: all its tasks shall go, history included (service.go `SetServiceTasksRemove`)."""
    tasks = store.tasks_of_service(service_id)
    yield from write([move_to(task.id, TaskState.REMOVE, cause) for task in tasks], cause, out)


# -- restart policy --
def restart_condition(task: Task) -> RestartCondition:
    """No policy at all means ANY; a policy says what it says."""
    return RestartCondition.ANY if task.spec.restart is None else task.spec.restart.condition


def restart_delay(task: Task) -> Micros:
    policy = task.spec.restart
    return DEFAULT_RESTART_DELAY if policy is None or policy.delay is None else policy.delay


def task_time(task: Task) -> Micros:
    """When the task got its present state: by the leader's clock if it was reported, else by the writer's."""
    return task.status.applied_at or task.status.timestamp


# -- outdated tasks --
def is_task_dirty(service: Service, task: Task, node: Node | None) -> bool:
    """Would the service, as specified now, make another task than this one (task.go `IsTaskDirty`)?

    Only the task's spec and the endpoint's count: replicas, labels, update settings and mode never make a task dirty.
    """
    if task.spec_version is not None and service.spec_version == task.spec_version:
        return False
    wanted, has = service.spec.task, task.spec
    if placement_alone_differs(wanted, has) and _node_suits(wanted, node):
        return False
    if task.desired_state <= TaskState.RUNNING and TaskState.READY <= task.status.state <= TaskState.RUNNING:
        wanted, has = _without_pull_options(wanted), _without_pull_options(has)
    return wanted != has or service.spec.endpoint != task.endpoint_spec


def placement_alone_differs(wanted: TaskSpec, has: TaskSpec) -> bool:
    """task.go `IsTaskDirtyPlacementConstraintsOnly`: the whole placement is meant, preferences and limits included."""
    if wanted.placement == has.placement:
        return False
    return replace(wanted, placement=has.placement) == has


def _node_suits(spec: TaskSpec, node: Node | None) -> bool:
    return node is not None and node_matches(constraints_of(spec.placement), node)


def _without_pull_options(spec: TaskSpec) -> TaskSpec:
    """A task that has its image already does not care how to pull it."""
    container: ContainerSpec = spec.container
    if PULL_OPTIONS not in container.options:
        return spec
    options = {key: value for key, value in container.options.items() if key != PULL_OPTIONS}
    return replace(spec, container=replace(container, options=options))
