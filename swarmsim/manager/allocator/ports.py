"""Published ports of the routing mesh: one space of numbers for each protocol, for the whole cluster.

SwarmKit manager/allocator/portallocator.go. Only ingress-mode ports are allocated; host-mode ports are copied as they
are, and clashes are the scheduler's business.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...api.objects import Endpoint, Service
from ...api.specs import EndpointSpec, PortConfig, PublishMode

DYNAMIC_PORT_START = 30000  # portallocator.go `dynamicPortStart`
DYNAMIC_PORT_END = 32767
PORT_MOST = 65535  # `masterPortEnd`

PortKey = tuple[str, str, int, PublishMode]  # everything of a port but its published number
Taken = tuple[str, int]  # (protocol, published port)


class AllocationError(Exception):
    """Nothing is free, or what was asked for is not: the message is the original's."""


class PortSpace:
    """The numbers of one protocol. Dynamic ports are handed out serially: the next free after the last."""

    def __init__(self) -> None:
        self._owners: dict[int, str] = {}
        self._next = DYNAMIC_PORT_START

    def owner(self, port: int) -> str | None:
        return self._owners.get(port)

    def take(self, port: int, owner: str) -> None:
        if not 1 <= port <= PORT_MOST:
            raise AllocationError("requested port is out of range")
        if port in self._owners:
            raise AllocationError("requested bit is already allocated")
        self._owners[port] = owner

    def take_any(self, owner: str) -> int:
        size = DYNAMIC_PORT_END - DYNAMIC_PORT_START + 1
        for step in range(size):
            port = DYNAMIC_PORT_START + (self._next - DYNAMIC_PORT_START + step) % size
            if port not in self._owners:
                self._owners[port] = owner
                self._next = port + 1
                return port
        raise AllocationError("no bit available")

    def free(self, port: int) -> None:
        del self._owners[port]


class PortAllocator:
    """All protocols' spaces, and which service holds what."""

    def __init__(self) -> None:
        self._spaces = {protocol: PortSpace() for protocol in ("tcp", "udp", "sctp")}
        self._held: dict[str, list[Taken]] = {}

    def allocate(self, service: Service) -> tuple[PortConfig, ...]:
        """The service's ports with their numbers, replacing those it held (`serviceAllocatePorts`)."""
        if service.spec.endpoint is None:
            self.free(service.id)
            return ()
        before = self.held(service.id)
        self.free(service.id)
        held: list[Taken] = []
        self._held[service.id] = held
        try:
            return tuple(self._allocate_one(service.id, p, held) for p in reconcile(service))
        except AllocationError:
            self.put_back(service.id, before)
            raise

    def _allocate_one(self, owner: str, port: PortConfig, held: list[Taken]) -> PortConfig:
        if port.publish_mode is not PublishMode.INGRESS:
            return port
        space = self._spaces[port.protocol]
        if port.published_port:
            space.take(port.published_port, owner)
            number = port.published_port
        else:
            number = space.take_any(owner)
        held.append((port.protocol, number))
        return with_number(port, number)

    def _take_back(self, owner: str, ports: Iterable[Taken]) -> None:
        for protocol, number in ports:
            self._spaces[protocol].take(number, owner)
            self._held.setdefault(owner, []).append((protocol, number))

    def held(self, service_id: str) -> tuple[Taken, ...]:
        return tuple(self._held.get(service_id, ()))

    def put_back(self, service_id: str, before: Iterable[Taken]) -> None:
        """The service keeps what it held before; what it has got since is free."""
        self.free(service_id)
        self._take_back(service_id, before)

    def restore(self, service: Service) -> None:
        """Book what the store says the service holds; the first in the store wins a number."""
        for port in service.endpoint.ports if service.endpoint is not None else ():
            if port.publish_mode is PublishMode.INGRESS and port.published_port:
                space = self._spaces[port.protocol]
                if space.owner(port.published_port) is None:
                    self._take_back(service.id, [(port.protocol, port.published_port)])

    def holds(self, service: Service) -> bool:
        """Are all ingress ports of the service's endpoint booked for it?"""
        assert service.endpoint is not None
        return all(
            self._spaces[p.protocol].owner(p.published_port) == service.id
            for p in service.endpoint.ports
            if p.publish_mode is PublishMode.INGRESS
        )

    def free(self, service_id: str) -> bool:
        """Free all that the service holds; returns whether there was anything."""
        held = self._held.pop(service_id, [])
        for protocol, number in held:
            self._spaces[protocol].free(number)
        return bool(held)


def with_number(port: PortConfig, number: int) -> PortConfig:
    return PortConfig(port.name, port.protocol, port.target_port, number, port.publish_mode)


def _key(port: PortConfig) -> PortKey:
    return port.name, port.protocol, port.target_port, port.publish_mode


class _Allocated:
    """The ports of an endpoint, to be matched one by one with those of a spec (`allocatedPorts`)."""

    def __init__(self, ports: Iterable[PortConfig], mode: PublishMode) -> None:
        self._ports: dict[PortKey, list[PortConfig]] = {}  # equal ones count one by one
        for port in ports:
            if port.publish_mode is mode:
                self._ports.setdefault(_key(port), []).append(port)

    def match(self, wanted: PortConfig) -> PortConfig | None:
        """Take out the port of that number; for an unspecified number, any port that has one (`delState`)."""
        ports = self._ports.get(_key(wanted), [])
        number = wanted.published_port
        for i, port in enumerate(ports):
            if port.published_port == number if number else port.published_port:
                return ports.pop(i)
        return None


def _is_dynamic(port: PortConfig) -> bool:
    return port.publish_mode is PublishMode.INGRESS and not port.published_port


def reconcile(service: Service) -> list[PortConfig]:
    """What to allocate: user-defined numbers first, dynamic ports keep theirs (`reconcilePortConfigs`).

    If the number of ports changed, everything is taken from the spec and dynamic ports move.
    """
    assert service.spec.endpoint is not None
    wanted, endpoint = service.spec.endpoint.ports, service.endpoint
    if endpoint is None or len(wanted) != len(endpoint.ports):
        return list(wanted)
    allocated = _Allocated(endpoint.ports, PublishMode.INGRESS)
    out = []
    for port in wanted:
        if not _is_dynamic(port):
            allocated.match(port)
            out.append(port)
    out += [allocated.match(port) or port for port in wanted if _is_dynamic(port)]
    return out


def is_ports_allocated(service: Service) -> bool:
    """Does the endpoint have what the spec asks for? (`isPortsAllocated`)"""
    spec, endpoint = service.spec.endpoint, service.endpoint
    if spec is None or endpoint is None:
        return spec is None and endpoint is None
    if len(spec.ports) != len(endpoint.ports):
        return False
    ingress = _Allocated(endpoint.ports, PublishMode.INGRESS)
    host_targets = {p.target_port for p in endpoint.ports if p.publish_mode is PublishMode.HOST}
    fixed_first = sorted(spec.ports, key=_is_dynamic)
    return all(
        port.target_port in host_targets if port.publish_mode is PublishMode.HOST else ingress.match(port) is not None
        for port in fixed_first
    )


def host_publish_ports_need_update(service: Service) -> bool:
    """Is a host-mode port with a number missing from the endpoint? (`hostPublishPortsNeedUpdate`)"""
    if service.spec.endpoint is None:
        return False
    host = _Allocated(service.endpoint.ports if service.endpoint is not None else (), PublishMode.HOST)
    return any(
        port.publish_mode is PublishMode.HOST and port.published_port and host.match(port) is None
        for port in service.spec.endpoint.ports
    )


def update_ports_in_host_publish_mode(service: Service) -> Endpoint:
    """The endpoint with its host-mode ports taken from the spec (`updatePortsInHostPublishMode`)."""
    spec = service.spec.endpoint or EndpointSpec()
    endpoint = service.endpoint or Endpoint(spec)
    kept = tuple(p for p in endpoint.ports if p.publish_mode is not PublishMode.HOST)
    added = tuple(p for p in spec.ports if p.publish_mode is PublishMode.HOST)
    return endpoint.evolve(spec=spec, ports=kept + added)


def is_ingress_needed(service: Service | None) -> bool:
    """Does the service publish a port through the routing mesh? (network.go `IsIngressNetworkNeeded`)"""
    if service is None or service.spec.endpoint is None:
        return False
    return any(p.publish_mode is PublishMode.INGRESS for p in service.spec.endpoint.ports)
