"""The allocator machine: gives networks, services, nodes and tasks what they need, and moves tasks NEW -> PENDING.

SwarmKit manager/allocator/{allocator,network}.go. One loop over commits: networks, services and nodes are allocated and
written one by one as their changes are seen, always from the latest object in the store; tasks are gathered and written
in one batch at the end of the commit. What cannot be allocated waits in a list, which is tried again when something was
freed or, at a commit, more than five minutes after the last try.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any, NamedTuple

from ...api.messages import Committed
from ...api.objects import Endpoint, Network, NetworkAttachment, Node, Service, Task
from ...api.specs import Micros
from ...api.states import TaskState
from ...machine import Address, Handler, Machine, Outbox
from ...store import MemoryStore, Transaction
from ...store.actions import REMOVE, Change
from ...store.transaction import NotExistError
from .network import NetworkAllocator
from .ports import (
    AllocationError,
    host_publish_ports_need_update,
    is_ingress_needed,
    update_ports_in_host_publish_mode,
)

RETRY_INTERVAL: Micros = 300_000_000  # network.go `retryInterval`
ALLOCATED_MESSAGE = "pending task scheduling"  # allocator.go `allocatedStatusMessage`

Work = Generator[Any, Any, None]


class Booking(NamedTuple):
    """A task with the addresses that were found for it, not yet committed."""

    task: Task
    networks: tuple[NetworkAttachment, ...]
    endpoint: Endpoint | None
    cause: int


class Allocator(Machine):
    """Leader-only; its memory is rebuilt from the store at each start."""

    def __init__(self, node: str, store: MemoryStore) -> None:
        self.node = node
        self.store = store
        self.networks = NetworkAllocator(store)
        self.unallocated_networks: dict[str, int] = {}  # id -> cause
        self.unallocated_services: dict[str, int] = {}
        self.unallocated_tasks: dict[str, int] = {}
        self.reasons: dict[str, str] = {}  # id of what is unallocated -> why, in the original's words
        self._pending_tasks: dict[str, int] = {}
        self._on_node: dict[str, tuple[str, tuple[str, ...]]] = {}  # living task -> (node, its networks)
        self._node_networks: dict[str, dict[str, int]] = {}  # node -> network -> living tasks
        self._freed_by: int | None = None  # cause of the latest deallocation since the last retry
        self._last_retry: Micros = 0

    # -- stimuli --
    def on_start(self, saved: Mapping[Any, Any], out: Outbox) -> Handler:
        return self._init(out)

    def on_message(self, src: Address, message: Any, out: Outbox) -> Handler:
        assert isinstance(message, Committed), f"the allocator got {message!r}"
        todo: list[tuple[Callable[[Any, int, Outbox], Work], Any, int]] = []
        for change in message.changes:
            self._note(change, todo)
        if todo or self._pending_tasks or self._retry_is_due(out.now):
            return self._work(todo, out)
        return None

    def _work(self, todo: list[tuple[Callable[[Any, int, Outbox], Work], Any, int]], out: Outbox) -> Work:
        for work, subject, cause in todo:
            out.cause = cause
            yield from work(subject, cause, out)
        yield from self._commit_event(out)

    def _note(self, change: Change, todo: list[Any]) -> None:
        """Book what needs no answer from the store; put the rest on the list."""
        kind, removed = type(change.new), change.kind is REMOVE
        if kind is Task:
            self._note_task(change.new, removed, change.cause, todo)
        elif kind is Service:
            todo.append((self._service_removed if removed else self._service_changed, change.new, change.cause))
        elif kind is Node:
            todo.append((self._node_removed if removed else self._node_changed, change.new.id, change.cause))
        elif kind is Network and removed:
            todo.append((self._network_removed, change.new, change.cause))
        elif kind is Network and change.old is None:
            todo.append((self._network_created, change.new, change.cause))

    # -- starting --
    def _init(self, out: Outbox) -> Work:
        """Ingress first, then book all that is allocated, then allocate what is missing (`doNetworkInit`)."""
        self._last_retry = out.now
        ingress = next((n for n in self.store.networks.values() if n.spec.ingress), None)
        if ingress is not None:
            self.networks.ingress = ingress.id
            yield from self._network_created(ingress, out.cause, out)
        self._restore()
        yield from self._allocate_networks(dict.fromkeys(self.store.networks, out.cause), 0, out)
        yield from self._allocate_nodes(list(self.store.nodes), out.cause, out)
        yield from self._allocate_services(dict.fromkeys(self.store.services, out.cause), 0, out)
        for task in self.store.tasks.values():
            if task.status.state < TaskState.PENDING:
                self._pending_tasks[task.id] = out.cause
        yield from self._commit_event(out)

    def _restore(self) -> None:
        """Book what the store says is allocated: networks, nodes, services, living tasks."""
        for network in self.store.networks.values():
            if network.subnet and not self.networks.is_allocated(network.id):
                self._try_network(network)
        for node in self.store.nodes.values():
            self._restore_attachments(("node", node.id), node.attachments)
        for service in self.store.services.values():
            self.networks.restore_service(service)
        for task in self.store.tasks.values():
            if task.status.state <= TaskState.RUNNING:
                self._restore_attachments(("task", task.id), task.networks)
                self._place_on_node(task)

    def _restore_attachments(self, owner: tuple[str, str], attachments: tuple[NetworkAttachment, ...]) -> None:
        for attachment in attachments:
            for address in attachment.addresses[:1]:
                self.networks.restore_address(owner, attachment.network_id, address)

    # -- networks --
    def _network_created(self, network: Network, cause: int, out: Outbox) -> Work:
        yield from self._allocate_networks({network.id: cause}, 0, out)

    def _allocate_networks(self, wanted: Mapping[str, int], trigger: int, out: Outbox) -> Work:
        """Those that have nothing yet, written in one batch (`allocateNetworks`, `procUnallocatedNetworks`)."""
        found = []
        for id, cause in list(wanted.items()):
            allocated = self._take_up_network(id, max(cause, trigger))
            if allocated is not None:
                found.append((allocated, max(cause, trigger)))
        if not found:
            return
        results = yield out.batch([self._write_network(allocated, cause) for allocated, cause in found])
        for (allocated, _), error in zip(found, results, strict=True):
            if isinstance(error, NotExistError):
                self.networks.deallocate(allocated.id)

    def _take_up_network(self, id: str, cause: int) -> Network | None:
        """The network as it must be written, if it must."""
        current: Network | None = self.store.networks.get(id)
        if current is None or self.networks.is_allocated(id):
            return None
        if current.spec.ingress and self.networks.ingress not in ("", id):
            self.reasons[id] = "another ingress network is already present"
            return None
        allocated = self._try_network(current)
        if allocated is None:
            self.unallocated_networks[id] = cause
            return None
        if current.spec.ingress:
            self.networks.ingress = id
        self.unallocated_networks.pop(id, None)
        return None if allocated is current else allocated

    def _try_network(self, network: Network) -> Network | None:
        try:
            allocated = self.networks.allocate(network)
        except AllocationError as error:
            self.reasons[network.id] = str(error)
            return None
        self.reasons.pop(network.id, None)
        same = (allocated.subnet, allocated.gateway, allocated.vni) == (network.subnet, network.gateway, network.vni)
        return network if same else allocated

    def _write_network(self, allocated: Network, cause: int) -> Callable[[Transaction], None]:
        def change(tx: Transaction) -> None:
            now = _existing(tx, Network, allocated.id)
            fields = {"subnet": allocated.subnet, "gateway": allocated.gateway, "vni": allocated.vni}
            tx.update(now.evolve(**fields), cause)

        return change

    def _network_removed(self, network: Network, cause: int, out: Outbox) -> Work:
        """Take it from the nodes that have an address on it, then free its subnet."""
        if self.networks.ingress == network.id:
            self.networks.ingress = ""
        self.unallocated_networks.pop(network.id, None)
        for node in list(self.store.nodes.values()):
            if any(a.network_id == network.id for a in node.attachments):
                self._node_networks.get(node.id, {}).pop(network.id, None)
                yield from self._node_changed(node.id, cause, out)
        if self.networks.is_allocated(network.id):
            self.networks.deallocate(network.id)
            self._freed_by = cause

    # -- services --
    def _service_changed(self, service: Service, cause: int, out: Outbox) -> Work:
        yield from self._allocate_services({service.id: cause}, 0, out)

    def _allocate_services(self, wanted: Mapping[str, int], trigger: int, out: Outbox) -> Work:
        """Those that lack anything, written in one batch (`allocateServices`, `procUnallocatedServices`)."""
        found = []
        for id, cause in list(wanted.items()):
            endpoint = self._take_up_service(id, max(cause, trigger))
            if endpoint is not None:
                found.append((id, endpoint, max(cause, trigger)))
        if not found:
            return
        results = yield out.batch([self._write_service(id, endpoint, cause) for id, endpoint, cause in found])
        for (id, _, _), error in zip(found, results, strict=True):
            if isinstance(error, NotExistError):
                self.networks.free_service(id)
            self._service_is_fine(id)

    def _take_up_service(self, id: str, cause: int) -> Endpoint | None:
        """What must be written to the latest version of the service (`EventCreateService` and `-Update-`), if any."""
        current: Service | None = self.store.services.get(id)
        if current is None:
            return None
        if self.networks.is_service_allocated(current):
            if host_publish_ports_need_update(current):
                return update_ports_in_host_publish_mode(current)
            self._service_is_fine(id)
            return None
        endpoint = self._try_service(current, cause)
        if endpoint is None:
            self.unallocated_services[id] = cause
        return endpoint

    def _try_service(self, service: Service, cause: int) -> Endpoint | None:
        released = service.spec.endpoint is None and service.endpoint is not None
        try:
            endpoint = self.networks.allocate_service(service)
        except AllocationError as error:
            self.reasons[service.id] = str(error)
            return None
        if released:
            self._freed_by = cause
        return endpoint

    def _write_service(self, service_id: str, endpoint: Endpoint, cause: int) -> Callable[[Transaction], None]:
        def change(tx: Transaction) -> None:
            tx.update(_existing(tx, Service, service_id).evolve(endpoint=endpoint), cause)

        return change

    def _service_is_fine(self, service_id: str) -> None:
        self.unallocated_services.pop(service_id, None)
        self.reasons.pop(service_id, None)

    def _service_removed(self, service: Service, cause: int, out: Outbox) -> Work:
        """Counts as something freed, also where it held nothing; so does a node's removal."""
        self.networks.free_service(service.id)
        self._freed_by = cause
        self._service_is_fine(service.id)
        yield from ()

    # -- nodes --
    def _node_changed(self, node_id: str, cause: int, out: Outbox) -> Work:
        yield from self._allocate_nodes([node_id], cause, out)

    def _allocate_nodes(self, node_ids: list[str], cause: int, out: Outbox) -> Work:
        """Written in one batch (`allocateNodes`)."""
        found = []
        for id in node_ids:
            attachments = self._take_up_node(id, cause)
            if attachments is not None:
                found.append((id, attachments))
        if not found:
            return
        results = yield out.batch([self._write_node(id, attachments, cause) for id, attachments in found])
        for (id, _), error in zip(found, results, strict=True):
            if isinstance(error, NotExistError):
                self.networks.release(("node", id))

    def _take_up_node(self, node_id: str, cause: int) -> tuple[NetworkAttachment, ...] | None:
        """One address on ingress and on each network of a living task of the node, for its load balancer.

        Gives what must be written, if anything must.
        """
        node: Node | None = self.store.nodes.get(node_id)
        if node is None:
            return None
        wanted = self._node_wants(node_id)
        owner = ("node", node_id)
        had = [a for a in node.attachments if a.network_id in wanted]
        known = {a.network_id for a in had}
        attachments = tuple(
            attachment
            for candidate in (*had, *(NetworkAttachment(n) for n in wanted if n not in known))
            if (attachment := self._attach_node(owner, candidate)) is not None
        )
        if self.networks.release(owner, [n for n in self.networks.held(owner) if n not in wanted]):
            self._freed_by = cause
        return attachments if attachments != node.attachments else None

    def _node_wants(self, node_id: str) -> list[str]:
        ingress = self.networks.ingress
        wanted = [ingress] if ingress else []
        wanted += [n for n in self._node_networks.get(node_id, ()) if n != ingress]
        return [n for n in wanted if self.networks.is_global(n)]

    def _node_lacks(self, node_id: str) -> bool:
        """No address was left for it, say: each event of a task there tries again (`reallocateNode`)."""
        held = self.networks.held(("node", node_id))
        return any(network not in held for network in self._node_wants(node_id))

    def _attach_node(self, owner: tuple[str, str], attachment: NetworkAttachment) -> NetworkAttachment | None:
        try:
            return self.networks.attach(owner, (attachment,))[0]
        except AllocationError as error:
            self.reasons[owner[1]] = str(error)
            return None

    def _write_node(
        self, node_id: str, attachments: tuple[NetworkAttachment, ...], cause: int
    ) -> Callable[[Transaction], None]:
        def change(tx: Transaction) -> None:
            tx.update(_existing(tx, Node, node_id).evolve(attachments=attachments), cause)

        return change

    def _node_removed(self, node_id: str, cause: int, out: Outbox) -> Work:
        self.networks.release(("node", node_id))
        self._freed_by = cause
        yield from ()

    # -- tasks --
    def _note_task(self, task: Task, removed: bool, cause: int, todo: list[Any]) -> None:
        """network.go `doTaskAlloc`, on the latest version of the task."""
        if not removed:
            latest = self.store.tasks.get(task.id)
            if latest is None:
                return
            task = latest
        if removed or task.status.state > TaskState.RUNNING:
            self._forget_task(task, cause)
            gone = self._on_node.pop(task.id, None)
            if (gone is not None and self._leave_node(*gone)) or (task.node_id and self._node_lacks(task.node_id)):
                todo.append((self._node_changed, task.node_id, cause))
            return
        if task.node_id and (self._place_on_node(task) or self._node_lacks(task.node_id)):
            todo.append((self._node_changed, task.node_id, cause))
        if task.status.state >= TaskState.PENDING:
            self._pending_tasks.pop(task.id, None)
            self.unallocated_tasks.pop(task.id, None)
        else:
            self._pending_tasks[task.id] = cause

    def _forget_task(self, task: Task, cause: int) -> None:
        if self.networks.release(("task", task.id)):
            self._freed_by = cause
        self._pending_tasks.pop(task.id, None)
        self.unallocated_tasks.pop(task.id, None)
        self.reasons.pop(task.id, None)

    def _place_on_node(self, task: Task) -> bool:
        """Count the living task's networks on its node; returns whether the node now needs another one."""
        if not task.node_id or not task.networks or task.id in self._on_node:
            return False
        networks = tuple(a.network_id for a in task.networks)
        self._on_node[task.id] = (task.node_id, networks)
        counts = self._node_networks.setdefault(task.node_id, {})
        new = False
        for network in networks:
            new = new or network not in counts
            counts[network] = counts.get(network, 0) + 1
        return new

    def _leave_node(self, node_id: str, networks: tuple[str, ...]) -> bool:
        counts = self._node_networks.get(node_id, {})
        last = False
        for network in networks:
            left = counts.pop(network, 1) - 1
            if left:
                counts[network] = left
            else:
                last = True
        return last

    def _attachments(self, task: Task, service: Service | None) -> tuple[NetworkAttachment, ...]:
        """Ingress if the service publishes ports through it, then the spec's (`taskCreateNetworkAttachments`)."""
        if task.networks:
            return task.networks
        out = []
        if self.networks.ingress and is_ingress_needed(service):
            out.append(NetworkAttachment(self.networks.ingress))
        for config in task.spec.networks:
            network = self.networks.find(config.target)
            if network is not None:
                out.append(NetworkAttachment(network.id, aliases=config.aliases))
        return tuple(out)

    def _try_task(self, task: Task, cause: int) -> Booking | None:
        """network.go `allocateTask`: its service and networks must be allocated, then one address on each network."""
        service: Service | None = self.store.services.get(task.service_id)
        try:
            attachments = self._attachments(task, service)
            self._check_task(task, service, attachments)
            networks = self.networks.attach(("task", task.id), attachments) if attachments else ()
        except AllocationError as error:
            self.reasons[task.id] = str(error)
            return None
        endpoint = service.endpoint if service is not None else None
        return Booking(task, networks, endpoint or task.endpoint, cause)

    def _check_task(self, task: Task, service: Service | None, attachments: tuple[NetworkAttachment, ...]) -> None:
        if task.service_id and service is None:
            raise AllocationError(f"could not find service {task.service_id}")
        if service is not None and not self.networks.is_service_allocated(service):
            raise AllocationError(f"service {service.id} to which task {task.id} belongs has pending allocations")
        for attachment in attachments:
            if not self.networks.is_allocated(attachment.network_id):
                raise AllocationError(f"network {attachment.network_id} attached to task {task.id} not allocated yet")

    # -- at the end of a commit --
    def _commit_event(self, out: Outbox) -> Work:
        """Write the pending tasks; retry what waits if there is reason to (`EventCommit`)."""
        yield from self._allocate_tasks(self._pending_tasks, 0, out)
        if self._retry_is_due(out.now):
            trigger, self._freed_by = self._freed_by or 0, None
            self._last_retry = out.now
            yield from self._retry(trigger, out)
        self.unallocated_tasks.update(self._pending_tasks)
        self._pending_tasks.clear()

    def _retry_is_due(self, now: Micros) -> bool:
        """Was anything freed since the last try, or is that long ago?"""
        return self._freed_by is not None or now - self._last_retry > RETRY_INTERVAL

    def _retry(self, trigger: int, out: Outbox) -> Work:
        yield from self._allocate_networks(self.unallocated_networks, trigger, out)
        yield from self._allocate_services(self.unallocated_services, trigger, out)
        yield from self._allocate_tasks(self.unallocated_tasks, trigger, out)

    def _allocate_tasks(self, waiting: dict[str, int], trigger: int, out: Outbox) -> Work:
        """Find addresses for all that wait and write them in one batch (`procTasksNetwork`)."""
        bookings = []
        for task_id, cause in list(waiting.items()):
            task = self.store.tasks.get(task_id)
            if task is None:
                del waiting[task_id]
                continue
            booking = self._try_task(task, max(cause, trigger))
            if booking is not None:
                bookings.append(booking)
        if not bookings:
            return
        results = yield out.batch([self._write_task(b, out) for b in bookings])
        for booking, error in zip(bookings, results, strict=True):
            if error is None:
                waiting.pop(booking.task.id, None)
                self.reasons.pop(booking.task.id, None)
            elif isinstance(error, NotExistError):
                self._forget_task(booking.task, booking.cause)

    def _write_task(self, booking: Booking, out: Outbox) -> Callable[[Transaction], None]:
        """Only the allocator's own fields, upon whatever the task is by now (`commitAllocatedTask`)."""

        def change(tx: Transaction) -> None:
            now: Task = _existing(tx, Task, booking.task.id)
            status = now.status
            if status.state < TaskState.PENDING:
                status = status.evolve(state=TaskState.PENDING, message=ALLOCATED_MESSAGE, timestamp=out.now)
            tx.update(now.evolve(networks=booking.networks, endpoint=booking.endpoint, status=status), booking.cause)

        return change


def _existing(tx: Transaction, kind: type, id: str) -> Any:
    found = tx.get(kind, id)
    if found is None:
        raise NotExistError
    return found
