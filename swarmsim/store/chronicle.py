"""What commits did, told to the trace once for each Raft index, by the first manager that applies it.

One chronicle serves all managers of a cluster: it is the observer, not part of the observed. It numbers the tasks of
each slot (`generation`) and fingerprints what would make a task dirty, so that checks need only the trace.
"""

from __future__ import annotations

import hashlib
from typing import Any

from ..api.health import first_verdict, health_check
from ..api.objects import Node, Service, Task
from ..api.specs import (
    ContainerSpec,
    Global,
    GlobalJob,
    PublishMode,
    Replicated,
    ReplicatedJob,
    RestartCondition,
    ServiceSpec,
    UpdateConfig,
)
from ..api.states import Component, TaskState
from ..machine import SECOND, Micros, Outbox
from ..trace.events import NodeChanged, ObjectChanged, ServiceChanged, TaskChanged
from .actions import CREATE, Change
from .memory_store import MemoryStore, SlotKey, slot_key

_MODE = {Replicated: "replicated", Global: "global", ReplicatedJob: "replicated-job", GlobalJob: "global-job"}
DEFAULT_DELAY: Micros = 5 * SECOND
DEFAULT_STOP_GRACE: Micros = 10 * SECOND
DEFAULT_MONITOR: Micros = 5 * SECOND

_CONDITION = {RestartCondition.ANY: "any", RestartCondition.ON_FAILURE: "on-failure", RestartCondition.NONE: "none"}


class Chronicle:
    def __init__(self) -> None:
        self.index = 0
        self._generation: dict[SlotKey, int] = {}
        self._task_generation: dict[str, int] = {}
        self._templates: dict[int, tuple[Any, str]] = {}  # id(spec) -> (spec, fingerprint): keeps spec alive

    def tell(self, out: Outbox, index: int, changes: list[Change], component: Component) -> list[Change]:
        """Record the changes of `index` if nobody has; returns them with the record's seq as cause."""
        if index <= self.index:
            return changes
        self.index = index
        cause = out.cause
        told = []
        for change in changes:
            out.cause = change.cause or cause
            told.append(change._replace(cause=out.emit(self._event(index, change, component))))
        out.cause = told[-1].cause if told else cause
        return told

    def hand_over(self, out: Outbox, store: MemoryStore) -> None:
        """Record what a cluster that is handed over formed holds."""
        changes = [Change(CREATE, None, obj, 0) for obj in store.objects()]
        self.tell(out, store.index, changes, Component.CONTROL_API)

    def _event(self, index: int, change: Change, component: Component) -> Any:
        obj = change.new
        kind = type(obj)
        if kind is Task:
            return self._task(index, change, component)
        if kind is Service:
            return self._service(index, change)
        if kind is Node:
            return _node(index, change)
        return ObjectChanged(index, kind.__name__.lower(), obj.id, obj.name, change.kind.name)

    def _task(self, index: int, change: Change, component: Component) -> TaskChanged:
        task: Task = change.new
        old: Task | None = change.old
        if change.kind is CREATE:
            key = slot_key(task)
            self._generation[key] = self._task_generation[task.id] = self._generation.get(key, 0) + 1
        status = task.status
        return TaskChanged(
            index,
            task.id,
            task.name,
            task.service_name,
            task.slot,
            self._task_generation.get(task.id, 1),
            change.kind.name,
            component,
            old.status.state if old is not None and change.kind is not CREATE else None,
            TaskState(status.state),
            TaskState(task.desired_state),
            task.node_id,
            status.message,
            status.err,
            task.spec_version,
            self._template(task.spec, task.endpoint_spec),
            task.job_iteration,
            status.exit_code,
            image=task.spec.container.image,
        )

    def _service(self, index: int, change: Change) -> ServiceChanged:
        service: Service = change.new
        spec: ServiceSpec = service.spec
        mode = spec.mode
        restart = spec.task.restart
        placement = spec.task.placement
        update = service.update_status
        return ServiceChanged(
            index,
            spec.name,
            change.kind.name,
            _MODE[type(mode)],
            _wanted(mode),
            mode.total_completions if isinstance(mode, ReplicatedJob) else 0,
            service.spec_version,
            self._template(spec.task, spec.endpoint),
            placement.constraints if placement else (),
            _CONDITION[restart.condition] if restart else "any",
            restart.max_attempts if restart else 0,
            update.state if update else None,
            update.message if update else "",
            service.job_iteration,
            spec.task.container.behaviour.run is not None,
            *_times(spec),
            id=service.id,
            image=spec.task.container.image,
            ports=_ports(service),
        )

    def _template(self, spec: Any, endpoint: Any) -> str:
        """A fingerprint of the task spec without its placement, and of the endpoint spec."""
        key = id(spec) ^ (id(endpoint) << 1)
        known = self._templates.get(key)
        if known is not None and known[0][0] is spec and known[0][1] is endpoint:
            return known[1]
        text = "|".join(
            repr(part)
            for part in (
                spec.container,
                spec.resources,
                spec.restart,
                spec.log_driver,
                spec.networks,
                spec.force_update,
                endpoint,
            )
        )
        fingerprint = hashlib.sha256(text.encode()).hexdigest()[:8]
        self._templates[key] = ((spec, endpoint), fingerprint)
        return fingerprint


_DEFAULT_UPDATE = UpdateConfig()


def _times(spec: ServiceSpec) -> tuple[Micros, Micros, Micros, int, Micros, Micros]:
    """How long its parts may take, with SwarmKit's defaults (api/defaults/service.go), for the bound of convergence."""
    restart, container, update = spec.task.restart, spec.task.container, spec.update or _DEFAULT_UPDATE
    return (
        DEFAULT_DELAY if restart is None or restart.delay is None else restart.delay,
        _start_time(container),
        DEFAULT_STOP_GRACE if container.stop_grace_period is None else container.stop_grace_period,
        update.parallelism,
        update.delay,
        DEFAULT_MONITOR if update.monitor is None else update.monitor,
    )


def _start_time(container: ContainerSpec) -> Micros:
    """At most from PREPARING to RUNNING: the pull, the start, and the health check's first word."""
    behaviour, health = container.behaviour, health_check(container)
    known = first_verdict(health, behaviour.health[1]).after if health else 0
    return behaviour.pull[1] + behaviour.start[1] + known


def _wanted(mode: Any) -> int:
    if isinstance(mode, Replicated):
        return mode.replicas
    return mode.max_concurrent if isinstance(mode, ReplicatedJob) else 0


def _ports(service: Service) -> tuple[str, ...]:
    """Published through the routing mesh, as docker shows them: `*:8080->80/tcp`."""
    ports = service.endpoint.ports if service.endpoint else ()
    ingress = [p for p in ports if p.publish_mode is PublishMode.INGRESS and p.published_port]
    return tuple(f"*:{p.published_port}->{p.target_port}/{p.protocol}" for p in ingress)


def _node(index: int, change: Change) -> NodeChanged:
    node: Node = change.new
    about = node.description
    return NodeChanged(
        index,
        node.hostname,
        node.id,
        change.kind.name,
        node.status.state,
        node.status.message,
        node.spec.availability,
        node.role,
        node.spec.desired_role,
        node.certificate.status,
        tuple(sorted(node.spec.labels.items())),
        node.hostname,
        about.platform.os if about else "",
        about.platform.architecture if about else "",
        node.status.addr,
        engine=about.engine_version if about else "",
        engine_labels=tuple(sorted(about.engine_labels.items())) if about else (),
    )
