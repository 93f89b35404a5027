"""The control API: stage one. What an operator asks is checked and written, or refused in the real words.

SwarmKit manager/controlapi/*.go; reference/cluster.md 2.13. Each request is served in a handler of its own, so one that
waits for its commit does not hold up another. Every manager has this machine; followers pass requests on
to the leader (`proxy`), so only the leader's is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from ..api import messages as m
from ..api.ids import new_id
from ..api.objects import Cluster, Config, Network, Node, Secret, Service, Task, TaskStatus, UpdateStatus
from ..api.specs import NodeSpec, ServiceSpec
from ..api.states import NodeRole, NodeState, TaskState, UpdateState
from ..errors import ApiError, LeadershipLost
from ..machine import Call, Handler, Machine, Outbox
from ..store.memory_store import MemoryStore
from ..store.transaction import NameConflictError
from ..trace.events import RequestRefused
from . import validation

T = TypeVar("T")

KINDS: dict[str, type] = {
    "service": Service,
    "node": Node,
    "task": Task,
    "network": Network,
    "secret": Secret,
    "config": Config,
    "cluster": Cluster,
}

_REMOVED_NODE = "Task belonged to a node that has been deleted"


class ControlApi(Machine):
    """`members()` gives the hosts of all Raft members; `can_remove(host)` says whether quorum survives it."""

    def __init__(
        self,
        node: str,
        store: MemoryStore,
        members: Callable[[], tuple[str, ...]],
        can_remove: Callable[[str], bool],
    ) -> None:
        self.node = node
        self.store = store
        self.members = members
        self.can_remove = can_remove
        self._serve: dict[type, Callable[[Any, Outbox], Any]] = {
            m.CreateService: self._create_service,
            m.UpdateService: self._update_service,
            m.RemoveService: self._remove_service,
            m.UpdateNode: self._update_node,
            m.RemoveNode: self._remove_node,
            m.CreateNetwork: self._create_network,
            m.RemoveNetwork: self._remove_network,
            m.CreateSecret: self._create_secret,
            m.RemoveSecret: self._remove_secret,
            m.CreateConfig: self._create_config,
            m.RemoveConfig: self._remove_config,
            m.GetService: self._get_service,
            m.GetNode: self._get_node,
            m.ListObjects: self._list,
        }

    def on_call(self, call: Call, out: Outbox) -> Handler:
        out.start(self._answer(call, out))
        return None

    def _answer(self, call: Call, out: Outbox) -> Generator[Any, Any, None]:
        request = call.request.request if type(call.request) is m.Forwarded else call.request
        serve = self._serve.get(type(request))
        try:
            if serve is None:
                raise ApiError("Unimplemented", f"unknown method {type(request).__name__}")
            result = serve(request, out)
            if isinstance(result, Generator):
                result = yield from result
        except ApiError as error:
            if not isinstance(error, LeadershipLost):
                out.emit(RequestRefused(self.node, type(request).__name__, error.text))
            out.fail(call, error)
            return
        out.reply(call, result)

    # -- services --
    def _create_service(self, request: m.CreateService, out: Outbox) -> Any:
        spec = request.spec
        validation.check_service_spec(spec)
        self._check_ports(spec, "")
        id = new_id(out.rng)

        def change(tx: Any) -> Service:
            validation.check_references(spec, tx)
            iteration = 0 if validation.is_job(spec) else None
            service = Service(id, spec, job_iteration=iteration, job_last_execution=tx.now)
            return _created(tx, service, f"service {spec.name} already exists")

        return (yield out.update(change))

    def _check_ports(self, spec: ServiceSpec, service_id: str) -> None:
        validation.check_port_conflicts(spec, service_id, self.store.services.values())
        if validation.needs_ingress(spec) and not any(n.spec.ingress for n in self.store.networks.values()):
            raise ApiError("FailedPrecondition", "service needs ingress network, but no ingress network is present")
        for attachment in spec.task.networks:
            network = self.store.by_name(Network, attachment.target) or self.store.get(Network, attachment.target)
            if network is not None and network.spec.ingress:
                raise ApiError(
                    "InvalidArgument",
                    f'Service cannot be explicitly attached to the ingress network "{network.name}"',
                )

    def _update_service(self, request: m.UpdateService, out: Outbox) -> Any:
        if not request.service_id or not request.version:
            raise ApiError("InvalidArgument", "invalid argument")
        service = self._service(request.service_id)
        if request.spec is not None:
            validation.check_service_spec(request.spec)
            if request.spec.endpoint != service.spec.endpoint:
                self._check_ports(request.spec, service.id)

        def change(tx: Any) -> Service:
            current: Service | None = tx.get(Service, service.id)
            if current is None:
                raise ApiError("NotFound", f"service {request.service_id} not found")
            if request.rollback:
                return _written(tx, _rolled_back(current).evolve(version=request.version))
            spec = request.spec
            assert spec is not None, "an update without a spec"
            validation.check_update(current.spec, spec)
            validation.check_references(spec, tx)
            return _written(tx, _updated(current, spec, request.version, tx.now))

        return (yield out.update(change))

    def _remove_service(self, request: m.RemoveService, out: Outbox) -> Any:
        service = self._service(request.service_id)

        def change(tx: Any) -> None:
            if tx.get(Service, service.id) is None:
                raise ApiError("NotFound", f"service {request.service_id} not found")
            tx.delete(Service, service.id)

        return (yield out.update(change))

    def _service(self, wanted: str) -> Service:
        found = self.store.get(Service, wanted) or self.store.by_name(Service, wanted)
        if found is None:
            raise ApiError("NotFound", f"service {wanted} not found")
        assert isinstance(found, Service), f"{wanted} is no service"
        return found

    def _get_service(self, request: m.GetService, out: Outbox) -> Service:
        return self._service(request.service)

    # -- nodes --
    def _node(self, wanted: str) -> Node:
        found = self.store.nodes.get(wanted)
        if found is not None:
            return found
        named = [n for n in self.store.nodes.values() if n.hostname == wanted]
        if not named:
            raise ApiError("NotFound", f"node {wanted} not found")
        if len(named) > 1:
            raise ApiError("InvalidArgument", f"node {wanted} is ambiguous ({len(named)} matches found)")
        return named[0]

    def _get_node(self, request: m.GetNode, out: Outbox) -> Node:
        return self._node(request.node)

    def _update_node(self, request: m.UpdateNode, out: Outbox) -> Any:
        if not request.node_id or not request.version:
            raise ApiError("InvalidArgument", "invalid argument")
        known = self._node(request.node_id)

        def change(tx: Any) -> Node:
            node: Node | None = tx.get(Node, known.id)
            if node is None:
                raise ApiError("NotFound", f"node {request.node_id} not found")
            demoted = node.spec.desired_role is NodeRole.MANAGER and request.spec.desired_role is NodeRole.WORKER
            if demoted:
                self._check_demotion(node, tx)
            return _written(tx, node.evolve(spec=request.spec, version=request.version))

        return (yield out.update(change))

    def _check_demotion(self, node: Node, tx: Any) -> None:
        managers = [n for n in tx.all(Node) if n.role is NodeRole.MANAGER]
        if len(managers) == 1 and managers[0].id == node.id:
            raise ApiError("FailedPrecondition", "attempting to demote the last manager of the swarm")
        if node.hostname not in self.members():
            raise ApiError("NotFound", "can't find manager in raft memberlist")
        if not self.can_remove(node.hostname):
            text = "can't remove member from the raft: this would result in a loss of quorum"
            raise ApiError("FailedPrecondition", text)

    def _remove_node(self, request: m.RemoveNode, out: Outbox) -> Any:
        known = self._node(request.node_id)

        def change(tx: Any) -> None:
            node: Node | None = tx.get(Node, known.id)
            if node is None:
                raise ApiError("NotFound", f"node {request.node_id} not found")
            self._check_removal(node, request.force)
            _blacklist(tx, node)
            for task in tx.tasks_on_node(node.id):
                if task.status.state < TaskState.COMPLETE:
                    status = TaskStatus(TaskState.ORPHANED, _REMOVED_NODE, timestamp=tx.now)
                    tx.update(task.evolve(status=status))
            tx.delete(Node, node.id)

        return (yield out.update(change))

    def _check_removal(self, node: Node, force: bool) -> None:
        if node.spec.desired_role is NodeRole.MANAGER and node.hostname in self.members():
            text = (
                f"node {node.id} is a cluster manager and is a member of the raft cluster. "
                "It must be demoted to worker before removal"
            )
            raise ApiError("FailedPrecondition", text)
        if not force and node.status.state is NodeState.READY:
            raise ApiError("FailedPrecondition", f"node {node.id} is not down and can't be removed")

    # -- networks, secrets, configs --
    def _create_network(self, request: m.CreateNetwork, out: Outbox) -> Any:
        spec = request.spec
        validation.check_network_spec(spec)
        id = new_id(out.rng)

        def change(tx: Any) -> Network:
            existing = next((n for n in tx.all(Network) if n.spec.ingress), None)
            if spec.ingress and existing is not None:
                raise ApiError("AlreadyExists", f"ingress network ({existing.id}) is already present")
            return _created(tx, Network(id, spec), f"network {spec.name} already exists")

        return (yield out.update(change))

    def _remove_network(self, request: m.RemoveNetwork, out: Outbox) -> Any:
        known = self._find(Network, "network", request.network_id)

        def change(tx: Any) -> None:
            network = tx.get(Network, known.id)
            if network is None:
                raise ApiError("NotFound", f"network {request.network_id} not found")
            validation.check_network_unused(network, tx)
            tx.delete(Network, network.id)

        return (yield out.update(change))

    def _create_secret(self, request: m.CreateSecret, out: Outbox) -> Any:
        validation.check_secret_spec(request.spec)
        id = new_id(out.rng)
        text = f"secret {request.spec.name} already exists"
        return (yield out.update(lambda tx: _created(tx, Secret(id, request.spec), text, plain=True)))

    def _create_config(self, request: m.CreateConfig, out: Outbox) -> Any:
        validation.check_config_spec(request.spec)
        id = new_id(out.rng)
        text = f"config {request.spec.name} already exists"
        return (yield out.update(lambda tx: _created(tx, Config(id, request.spec), text, plain=True)))

    def _remove_secret(self, request: m.RemoveSecret, out: Outbox) -> Any:
        return (yield from self._remove_file(Secret, "secret", request.secret_id, out))

    def _remove_config(self, request: m.RemoveConfig, out: Outbox) -> Any:
        return (yield from self._remove_file(Config, "config", request.config_id, out))

    def _remove_file(self, kind: type, word: str, wanted: str, out: Outbox) -> Any:
        known = self._find(kind, word, wanted)

        def change(tx: Any) -> None:
            if tx.get(kind, known.id) is None:
                raise ApiError("NotFound", f"{word} {wanted} not found")
            validation.check_file_unused(known, word, tx)
            tx.delete(kind, known.id)

        return (yield out.update(change))

    def _find(self, kind: type, word: str, wanted: str) -> Any:
        found = self.store.get(kind, wanted) or self.store.by_name(kind, wanted)
        if found is None:
            raise ApiError("NotFound", f"{word} {wanted} not found")
        return found

    def _list(self, request: m.ListObjects, out: Outbox) -> tuple[Any, ...]:
        return tuple(self.store.tables[KINDS[request.kind]].values())


def _created(tx: Any, obj: T, exists: str, plain: bool = False) -> T:
    try:
        created: T = tx.create(obj)
        return created
    except NameConflictError:
        prefix = "" if plain else "name conflicts with an existing object: "
        raise ApiError("AlreadyExists", prefix + exists) from None


def _written(tx: Any, obj: T) -> T:
    written: T = tx.update(obj)
    return written


def _updated(current: Service, spec: ServiceSpec, version: int, now: int) -> Service:
    """service.go `UpdateService`: the old spec becomes the previous one, the update status is cleared."""
    job = current.job_iteration is not None
    return current.evolve(
        previous_spec=current.spec,
        previous_spec_version=current.spec_version,
        spec=spec,
        spec_version=version,
        version=version,
        update_status=None,
        job_iteration=(current.job_iteration or 0) + 1 if job else None,
        job_last_execution=now if job else 0,
    )


def _rolled_back(current: Service) -> Service:
    """service.go, rollback: current and previous spec are swapped."""
    if current.previous_spec is None:
        raise ApiError("FailedPrecondition", f"service {current.id} does not have a previous spec")
    return current.evolve(
        spec=current.previous_spec,
        spec_version=current.previous_spec_version or 0,
        previous_spec=current.spec,
        previous_spec_version=current.spec_version,
        update_status=UpdateStatus(UpdateState.ROLLBACK_STARTED, "manually requested rollback"),
    )


def _blacklist(tx: Any, node: Node) -> None:
    """A removed node's certificate is refused from now on."""
    for cluster in tx.all(Cluster):
        entry = (node.id, node.certificate.not_after)
        tx.update(cluster.evolve(blacklisted=(*cluster.blacklisted, entry)))


__all__ = ["ControlApi", "NodeSpec"]
