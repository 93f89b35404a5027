"""Services (SwarmKit manager/controlapi/service.go)."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from ...api import messages as m
from ...api.ids import new_id
from ...api.objects import Network, Service, Task, UpdateStatus
from ...api.specs import Global, GlobalJob, Replicated, ReplicatedJob, ServiceSpec
from ...api.states import TaskState, UpdateState
from ...errors import ApiError
from ...machine import Outbox
from ...store.memory_store import MemoryStore
from ...store.transaction import NameConflictError
from .. import validation
from .lookup import Serves, find, invalid_argument, still

Serving = Generator[Any, Any, Any]


class Services:
    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.serve: Serves = {
            m.CreateService: self.create,
            m.UpdateService: self.update,
            m.RemoveService: self.remove,
            m.GetService: self.get,
            m.ListServiceStatuses: self.statuses,
        }

    def create(self, request: m.CreateService, out: Outbox) -> Serving:
        spec = request.spec
        validation.check_service_spec(spec)
        self._check_networks(spec)
        validation.check_port_conflicts(spec, "", self.store.services.values())
        self._check_ingress(spec)
        id = new_id(out.rng)

        def change(tx: Any) -> Service:
            validation.check_references(spec, tx)
            job = validation.is_job(spec)
            service = Service(id, spec, job_iteration=0 if job else None, job_last_execution=tx.now if job else 0)
            try:
                created: Service = tx.create(service)
            except NameConflictError as error:
                raise ApiError("AlreadyExists", f"{error.text}: service {spec.name} already exists") from None
            return created

        return (yield out.update(change))

    def _check_networks(self, spec: ServiceSpec) -> None:
        """Ingress comes with published ports; networks that nobody knows are let pass here."""
        for attachment in spec.task.networks:
            network = self.store.by_name(Network, attachment.target) or self.store.get(Network, attachment.target)
            if network is not None and network.spec.ingress:
                text = f'Service cannot be explicitly attached to the ingress network "{network.name}"'
                raise invalid_argument(text)

    def _check_ingress(self, spec: ServiceSpec) -> None:
        if validation.needs_ingress(spec) and not any(n.spec.ingress for n in self.store.networks.values()):
            raise ApiError("FailedPrecondition", "service needs ingress network, but no ingress network is present")

    def update(self, request: m.UpdateService, out: Outbox) -> Serving:
        spec, version = request.spec, request.version
        if not request.service_id or version is None or (spec is None and not request.rollback):
            raise invalid_argument()
        if spec is not None:
            validation.check_service_spec(spec)
            self._check_networks(spec)
        service = find(self.store, Service, request.service_id)
        if spec is not None and spec.endpoint != service.spec.endpoint:
            validation.check_port_conflicts(spec, service.id, self.store.services.values())

        def change(tx: Any) -> Service:
            current: Service = still(tx, Service, service.id, request.service_id)
            if spec is not None:
                validation.check_references(spec, tx)
                validation.check_update(current.spec, spec)
            if request.rollback:
                new = rolled_back(current, tx.now)
            else:
                assert spec is not None, "neither a rollback nor a spec"
                new = updated(current, spec, version)
            self._check_ingress(new.spec)
            written: Service = tx.update(_run_again(new, tx.now).evolve(version=version))
            return written

        return (yield out.update(change))

    def remove(self, request: m.RemoveService, out: Outbox) -> Serving:
        """The object goes at once; its tasks are cleaned up by the orchestrators."""
        service = find(self.store, Service, request.service_id)

        def change(tx: Any) -> None:
            still(tx, Service, service.id, request.service_id)
            tx.delete(Service, service.id)

        return (yield out.update(change))

    def get(self, request: m.GetService, out: Outbox) -> Service:
        found: Service = find(self.store, Service, request.service)
        return found

    def statuses(self, request: m.ListServiceStatuses, out: Outbox) -> tuple[m.ServiceStatus, ...]:
        return tuple(self._status(id) for id in request.services)

    def _status(self, id: str) -> m.ServiceStatus:
        """For an unknown or deleted service nothing is desired, but what is left of it may run."""
        service = self.store.services.get(id)
        tasks = self.store.tasks_of_service(id)
        if service is not None and service.job_iteration is not None:
            tasks = [t for t in tasks if t.job_iteration == service.job_iteration]
        running = sum(t.status.state is TaskState.RUNNING for t in tasks)
        if service is None:
            return m.ServiceStatus(id, 0, running)
        completed = sum(t.status.state is TaskState.COMPLETE for t in tasks) if validation.is_job(service.spec) else 0
        return m.ServiceStatus(id, _desired(service, tasks), running, completed)


def _desired(service: Service, tasks: list[Task]) -> int:
    match service.spec.mode:
        case Replicated(replicas):
            return replicas
        case ReplicatedJob(max_concurrent, _):
            return max_concurrent
        case Global():
            return sum(t.desired_state is TaskState.RUNNING for t in tasks)
        case GlobalJob():
            return sum(t.desired_state is TaskState.COMPLETE is not t.status.state for t in tasks)


def updated(current: Service, spec: ServiceSpec, version: int) -> Service:
    """The old spec becomes the previous one, the update status is cleared; the caller's version names the new spec."""
    return current.evolve(
        previous_spec=current.spec,
        previous_spec_version=current.spec_version,
        spec=spec,
        spec_version=version,
        update_status=None,
    )


def rolled_back(current: Service, now: int) -> Service:
    """Current and previous spec are swapped."""
    if current.previous_spec is None:
        raise ApiError("FailedPrecondition", f"service {current.id} does not have a previous spec")
    return current.evolve(
        spec=current.previous_spec,
        spec_version=current.previous_spec_version or 0,
        previous_spec=current.spec,
        previous_spec_version=current.spec_version,
        update_status=UpdateStatus(UpdateState.ROLLBACK_STARTED, "manually requested rollback", now),
    )


def _run_again(service: Service, now: int) -> Service:
    """Any update of a job begins another iteration."""
    if service.job_iteration is None:
        return service
    return service.evolve(job_iteration=service.job_iteration + 1, job_last_execution=now)
