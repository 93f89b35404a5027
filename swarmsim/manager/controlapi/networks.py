"""Networks (SwarmKit manager/controlapi/network.go)."""

from __future__ import annotations

import ipaddress
from collections.abc import Container, Generator
from typing import Any

from ...api import messages as m
from ...api.ids import new_id
from ...api.objects import Network, Service, Task
from ...api.specs import IpamConfig, NetworkSpec
from ...api.states import TaskState
from ...errors import ApiError
from ...machine import Outbox
from ...store.memory_store import MemoryStore
from ..validation import PREDEFINED, check_name, needs_ingress
from .lookup import Serves, find, invalid_argument, still

#: libnetwork/cnmallocator drivers_network_linux.go; the empty name is the default's.
DRIVERS = ("", "bridge", "host", "ipvlan", "macvlan", "overlay")

#: libnetwork/ipams, that every engine has; none: the default one.
IPAM_DRIVERS = ("", "default", "null")

Serving = Generator[Any, Any, Any]


class Networks:
    def __init__(self, store: MemoryStore, node: str = "") -> None:
        self.store = store
        self.node = node  # the host of this manager
        self.serve: Serves = {m.CreateNetwork: self.create, m.RemoveNetwork: self.remove}

    def create(self, request: m.CreateNetwork, out: Outbox) -> Serving:
        spec = request.spec
        check_network_spec(spec, self._plugins())
        id = new_id(out.rng)

        def change(tx: Any) -> Network:
            existing = next((n for n in tx.all(Network) if n.spec.ingress), None)
            if spec.ingress and existing is not None:
                raise ApiError("AlreadyExists", f"ingress network ({existing.id}) is already present")
            created: Network = tx.create(Network(id, spec))
            return created

        return (yield out.update(change))

    def _plugins(self) -> tuple[tuple[str, str], ...]:
        known = next((n.description for n in self.store.nodes.values() if n.hostname == self.node), None)
        return known.plugins if known is not None else ()

    def remove(self, request: m.RemoveNetwork, out: Outbox) -> Serving:
        known: Network = find(self.store, Network, request.network_id)
        if known.predefined:
            raise _in_use(f"network {known.id} ({known.name}) is a swarm predefined network and cannot be removed")

        def change(tx: Any) -> None:
            still(tx, Network, known.id, request.network_id)
            if known.spec.ingress:
                _check_ingress_unused(tx)
            else:
                _check_unused(known, tx)
            tx.delete(Network, known.id)

        return (yield out.update(change))


def _in_use(text: str) -> ApiError:
    return ApiError("FailedPrecondition", text)


def _check_ingress_unused(tx: Any) -> None:
    for service in tx.all(Service):
        if needs_ingress(service.spec):
            raise _in_use(f"ingress network cannot be removed because service {service.id} depends on it")


def _check_unused(network: Network, tx: Any) -> None:
    """By a service, or by a task that runs and shall run, also one whose service is gone."""
    for service in tx.all(Service):
        if any(a.target in (network.id, network.name) for a in service.spec.task.networks):
            raise _in_use(f"network {network.id} is in use by service {service.id}")
    for task in tx.all(Task):
        live = task.desired_state <= TaskState.RUNNING and task.status.state <= TaskState.RUNNING
        if live and _refers_to(network, task):
            raise _in_use(f"network {network.id} is in use by task {task.id}")


def _refers_to(network: Network, task: Task) -> bool:
    attached = any(a.network_id == network.id for a in task.networks)
    return attached or any(a.target in (network.id, network.name) for a in task.spec.networks)


def check_network_spec(spec: NetworkSpec | None, plugins: Container[tuple[str, str]] = ()) -> None:
    """network.go `validateNetworkSpec`; `plugins` are those of this manager's engine.

    A driver is a built-in one of libnetwork/cnmallocator, or one of theirs (`ValidateNetworkDriver`); none: overlay.
    """
    if spec is None:
        raise invalid_argument()
    if spec.ingress and spec.attachable:
        raise invalid_argument("ingress network cannot be attachable")
    check_name(spec.name)
    if PREDEFINED in spec.labels:
        text = f"label {PREDEFINED} is for internally created predefined networks and cannot be applied by users"
        raise ApiError("PermissionDenied", text)
    if spec.driver not in DRIVERS and (spec.driver == "null" or ("Network", spec.driver) not in plugins):
        raise invalid_argument(f"error during lookup of plugin {spec.driver}")
    if spec.ipam_driver.lower() not in IPAM_DRIVERS:
        raise invalid_argument(f"error during lookup of plugin {spec.ipam_driver}")
    for config in spec.ipam:
        check_ipam(config)


def check_ipam(config: IpamConfig | None) -> None:
    """A subnet, and perhaps a range and a gateway within it (`validateIPAMConfiguration`)."""
    if config is None:
        raise invalid_argument("ipam configuration: cannot be empty")
    subnet = _cidr(config.subnet)
    if subnet is None:
        raise invalid_argument(f"ipam configuration: invalid subnet {config.subnet}")
    if config.range:
        inner = _cidr(config.range)
        if inner is None:
            raise invalid_argument(f"ipam configuration: invalid range {config.range}")
        if inner.ip not in subnet.network:
            text = f"ipam configuration: subnet {config.subnet} does not contain range {config.range}"
            raise invalid_argument(text)
    if config.gateway:
        try:
            gateway = ipaddress.ip_address(config.gateway)
        except ValueError:
            raise invalid_argument(f"ipam configuration: invalid gateway {config.gateway}") from None
        if gateway not in subnet.network:
            text = f"ipam configuration: subnet {config.subnet} does not contain gateway {config.gateway}"
            raise invalid_argument(text)


def _cidr(text: str) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface | None:
    """As Go's net.ParseCIDR: an address, a slash, a number of bits. None if it is not."""
    if not text.partition("/")[2].isdecimal():
        return None
    try:
        return ipaddress.ip_interface(text)
    except ValueError:
        return None
