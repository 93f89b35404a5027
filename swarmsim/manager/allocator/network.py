"""Subnets and addresses: what each overlay network, service, task and node holds.

Docker's libnetwork/cnmallocator/networkallocator.go with the default IPAM.
Pure book-keeping in memory; `allocator` decides when to ask and writes the answers to the store. Inside a subnet
addresses are handed out serially (the next free after the last), so a freed one is not reused at once.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from ...api.objects import Endpoint, Network, NetworkAttachment, Service
from ...api.specs import EndpointSpec, IpamConfig, ResolutionMode
from ...store import MemoryStore
from .ports import AllocationError, PortAllocator, is_ingress_needed, is_ports_allocated

DEFAULT_POOL = ipaddress.IPv4Network("10.0.0.0/8")  # libnetwork/ipamutils
DEFAULT_POOL_BITS = 24
VXLAN_ID_START = 4096  # overlay driver, `vxlanIDStart`

GLOBAL_DRIVERS = ("overlay",)
NODE_LOCAL_DRIVERS = ("bridge", "host", "ipvlan", "macvlan", "null")

NO_IP = "could not find an available IP"
NO_VIP = "could not find an available IP while allocating VIP"

Owner = tuple[str, str]  # ("service" | "task" | "node", id)
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


def is_node_local(network: Network) -> bool:
    """Such a network gets no addresses from the swarm: predefined ones, and drivers of local scope."""
    return network.predefined or (network.spec.driver or "overlay") in NODE_LOCAL_DRIVERS


class AddressPool:
    """One subnet: who has which address. Network and broadcast address are never given (but for /31 and /32)."""

    def __init__(self, config: IpamConfig) -> None:
        try:
            self.subnet: IPNetwork = ipaddress.ip_network(config.subnet, strict=False)
            inner = ipaddress.ip_network(config.range, strict=False) if config.range else self.subnet
        except ValueError as error:
            raise AllocationError(f"invalid CIDR address: {error}") from None
        self._base = int(self.subnet.network_address)
        self._first = int(inner.network_address) - self._base
        self._last = int(inner.broadcast_address) - self._base
        self._owners: dict[int, Owner | None] = {}
        if self.subnet.num_addresses > 2:
            self._owners[0] = self._owners[self.subnet.num_addresses - 1] = None
        self._next = self._first
        self._free = self._last - self._first + 1 - sum(self._in_range(o) for o in self._owners)
        self.gateway = self._reserve_gateway(config.gateway)

    def _in_range(self, offset: int) -> bool:
        return self._first <= offset <= self._last

    def _reserve_gateway(self, text: str) -> str:
        if text:
            self.take(text, None)
            return self._text(self._offset(text))
        try:
            return self.take_any(None)
        except AllocationError:
            raise AllocationError("no available IPv4 addresses on this network's address pools") from None

    def _offset(self, text: str) -> int:
        try:
            offset = int(ipaddress.ip_address(text.partition("/")[0])) - self._base
        except ValueError:
            raise AllocationError(f"invalid address {text}") from None
        if not 0 <= offset < self.subnet.num_addresses:
            raise AllocationError("requested address is out of range")
        return offset

    def _text(self, offset: int) -> str:
        n = self._base + offset
        if self.subnet.version == 4:
            return f"{n >> 24}.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}/{self.subnet.prefixlen}"
        return f"{ipaddress.IPv6Address(n)}/{self.subnet.prefixlen}"

    def owner(self, address: str) -> Owner | None:
        return self._owners.get(self._offset(address))

    def take(self, address: str, owner: Owner | None) -> None:
        offset = self._offset(address)
        if offset in self._owners:
            raise AllocationError("Address already in use")
        self._set(offset, owner)

    def take_any(self, owner: Owner | None) -> str:
        """The next free address after the last one given, going round once (bitmap `SetAny`, serial)."""
        if self._free <= 0:
            raise AllocationError(NO_IP)
        offset = self._next if self._in_range(self._next) else self._first
        while offset in self._owners:
            offset = offset + 1 if offset < self._last else self._first
        self._next = offset + 1
        self._set(offset, owner)
        return self._text(offset)

    def _set(self, offset: int, owner: Owner | None) -> None:
        self._owners[offset] = owner
        self._free -= self._in_range(offset)

    def free(self, address: str) -> None:
        offset = self._offset(address)
        del self._owners[offset]
        self._free += self._in_range(offset)


class NetworkAllocator:
    """What is allocated, by network and by owner. `networks[id]` is None for a node-local network."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.ports = PortAllocator()
        self.networks: dict[str, AddressPool | None] = {}
        self.ingress: str = ""  # id of the ingress network
        self._vnis: dict[int, str] = {}
        self._held: dict[Owner, dict[str, str]] = {}  # owner -> network -> address

    # -- networks --
    def is_allocated(self, network_id: str) -> bool:
        return network_id in self.networks

    def is_global(self, network_id: str) -> bool:
        """Is it allocated and does it give addresses?"""
        return self.networks.get(network_id) is not None

    def allocate(self, network: Network) -> Network:
        """Give the network a subnet and a VXLAN id, or keep those it has (`Allocate`)."""
        if network.id in self.networks:
            raise AllocationError(f"network {network.id} already allocated")
        driver = network.spec.driver or "overlay"
        if is_node_local(network):
            self.networks[network.id] = None
            return network
        if driver not in GLOBAL_DRIVERS:
            raise AllocationError(f"network driver {driver} not found")
        pool = AddressPool(self._ipam(network))
        vni = network.vni or self._free_vni(network)
        self._vnis[vni] = network.id
        self.networks[network.id] = pool
        gateway = pool.gateway.partition("/")[0]
        return network.evolve(subnet=str(pool.subnet), gateway=gateway, vni=vni)

    def _ipam(self, network: Network) -> IpamConfig:
        """The network's own subnet if it has one, else the first free piece of the default pool."""
        wanted = network.spec.ipam[0] if network.spec.ipam else IpamConfig()
        subnet = network.subnet or wanted.subnet
        if not subnet:
            return IpamConfig(self._free_subnet(), wanted.range, wanted.gateway)
        try:
            parsed = ipaddress.ip_network(subnet, strict=False)
        except ValueError as error:
            raise AllocationError(f"invalid CIDR address: {error}") from None
        if any(parsed.overlaps(pool.subnet) for pool in self.networks.values() if pool is not None):
            raise AllocationError("Pool overlaps with other one on this address space")
        return IpamConfig(subnet, wanted.range, network.gateway or wanted.gateway)

    def _free_subnet(self) -> str:
        size = 1 << (32 - DEFAULT_POOL_BITS)
        taken = sorted(
            (int(p.subnet.network_address), int(p.subnet.broadcast_address))
            for p in self.networks.values()
            if p is not None and p.subnet.version == 4
        )
        start = int(DEFAULT_POOL.network_address)
        for low, high in taken:
            if low >= start + size:
                break
            if high >= start:
                start = high // size * size + size
        if start > int(DEFAULT_POOL.broadcast_address):
            raise AllocationError("no available subnet in the default address pools")
        return f"{ipaddress.IPv4Address(start)}/{DEFAULT_POOL_BITS}"

    def _free_vni(self, network: Network) -> int:
        asked = network.spec.driver_opts.get("com.docker.network.driver.overlay.vxlanid_list", "")
        if asked.isdigit():
            return int(asked)
        vni = VXLAN_ID_START
        while vni in self._vnis:
            vni += 1
        return vni

    def deallocate(self, network_id: str) -> None:
        self.networks.pop(network_id, None)
        self._vnis = {vni: id for vni, id in self._vnis.items() if id != network_id}
        for held in self._held.values():
            held.pop(network_id, None)

    # -- addresses --
    def request(self, owner: Owner, network_id: str, address: str = "") -> str:
        """An address on the network for `owner`; the one asked for, or any. What it has already stays."""
        pool = self.networks.get(network_id)
        if pool is None:
            raise AllocationError("could not find local network state")
        held = self._held.setdefault(owner, {})
        if network_id in held and address in ("", held[network_id]):
            return held[network_id]
        if address:
            pool.take(address, owner)
        else:
            address = pool.take_any(owner)
        if network_id in held:
            pool.free(held[network_id])
        held[network_id] = address
        return address

    def held(self, owner: Owner) -> dict[str, str]:
        """Network -> address."""
        return self._held.get(owner, {})

    def release(self, owner: Owner, networks: Iterable[str] | None = None) -> bool:
        """Free what `owner` holds (on these networks); returns whether there was anything."""
        held = self._held.get(owner)
        if held is None:
            return False
        freed = False
        for network_id in list(held) if networks is None else list(networks):
            address = held.pop(network_id, None)
            pool = self.networks.get(network_id)
            if address is not None and pool is not None:
                pool.free(address)
                freed = True
        if not held:
            del self._held[owner]
        return freed

    def attach(self, owner: Owner, attachments: Iterable[NetworkAttachment]) -> tuple[NetworkAttachment, ...]:
        """One address on each network that gives addresses: all or none (`AllocateTask`)."""
        before = dict(self.held(owner))
        out = []
        try:
            for attachment in attachments:
                if self.is_global(attachment.network_id):
                    wanted = attachment.addresses[0] if attachment.addresses else ""
                    attachment = attachment.evolve(addresses=(self.request(owner, attachment.network_id, wanted),))
                out.append(attachment)
        except AllocationError:
            self.release(owner, [n for n in self.held(owner) if n not in before])
            raise
        return tuple(out)

    # -- services --
    def spec_networks(self, service: Service) -> list[str]:
        """The ids of the networks of the service's spec; targets that nobody knows as they are, local ones not."""
        out = []
        for config in service.spec.task.networks:
            network = self.find(config.target)
            if network is None or not is_node_local(network):
                out.append(config.target if network is None else network.id)
        return list(dict.fromkeys(out))

    def find(self, target: str) -> Network | None:
        """By id, else by name."""
        found: Network | None = self.store.networks.get(target) or self.store.by_name(Network, target)
        return found

    def is_service_allocated(self, service: Service) -> bool:
        """Has the stored service what its spec asks for, as far as we know? (`IsServiceAllocated`)"""
        spec, endpoint = service.spec.endpoint, service.endpoint
        networks = self.spec_networks(service)
        vips = [network for network, _ in endpoint.virtual_ips] if endpoint is not None else []
        ours = ("service", service.id) in self._held
        dnsrr = spec is not None and spec.mode is ResolutionMode.DNSRR
        if networks and not dnsrr and not (ours and set(networks) <= set(vips)):
            return False
        for network in vips:
            if network == self.ingress and is_ingress_needed(service):
                if not ours:
                    return False
            elif network not in networks:
                return False
        if dnsrr and ours:
            return False
        if (spec is not None and spec.ports) or (endpoint is not None and endpoint.ports):
            return is_ports_allocated(service) and self.ports.holds(service)
        return True

    def allocate_service(self, service: Service) -> Endpoint:
        """Ports and virtual IPs for the service; on failure it keeps what it had (`AllocateService`)."""
        owner = ("service", service.id)
        spec = service.spec.endpoint
        if is_ingress_needed(service) and not self.ingress:
            raise AllocationError("ingress network is missing")
        if spec is None and service.endpoint is not None:
            self.free_service(service.id)  # and it gets other addresses
        before, ports_before = dict(self.held(owner)), self.ports.held(service.id)
        ports = self.ports.allocate(service)  # first, so that a conflict costs no address
        wanted = [] if spec is not None and spec.mode is ResolutionMode.DNSRR else self._vip_networks(service)
        try:
            vips = tuple((network, self._vip(owner, network, service)) for network in wanted)
        except AllocationError:
            self.ports.put_back(service.id, ports_before)
            self.release(owner, [n for n in self.held(owner) if n not in before])
            raise
        self.release(owner, [n for n in self.held(owner) if n not in wanted])
        return Endpoint(spec or EndpointSpec(), ports, vips)

    def _vip_networks(self, service: Service) -> list[str]:
        """Those that have a virtual IP already, then ingress, then the new ones."""
        wanted = [self.ingress] if is_ingress_needed(service) else []
        wanted += self.spec_networks(service)
        had = [n for n, _ in service.endpoint.virtual_ips] if service.endpoint is not None else []
        return list(dict.fromkeys([n for n in had if n in wanted] + wanted))

    def _vip(self, owner: Owner, network_id: str, service: Service) -> str:
        if not self.is_allocated(network_id):
            raise AllocationError("could not find local network state")
        stored = dict(service.endpoint.virtual_ips) if service.endpoint is not None else {}
        pool = self.networks[network_id]
        address = stored.get(network_id, "") if service.spec.endpoint is not None else ""
        try:
            if address and pool is not None and pool.owner(address) in (None, owner):
                return self.request(owner, network_id, address)
        except AllocationError:
            pass  # not an address of this subnet any more
        try:
            return self.request(owner, network_id)
        except AllocationError as error:
            raise AllocationError(NO_VIP if str(error) == NO_IP else str(error)) from None

    def restore_service(self, service: Service) -> None:
        """Book the addresses and ports that the store says the service has."""
        for network_id, address in service.endpoint.virtual_ips if service.endpoint is not None else ():
            self.restore_address(("service", service.id), network_id, address)
        self.ports.restore(service)

    def restore_address(self, owner: Owner, network_id: str, address: str) -> None:
        """Book an address found in the store; one that somebody else has is left to them."""
        if not address or not self.is_global(network_id):
            return
        try:
            self.request(owner, network_id, address)
        except AllocationError:
            if not self.held(owner):
                self._held.pop(owner, None)

    def free_service(self, service_id: str) -> bool:
        freed_ports = self.ports.free(service_id)
        return self.release(("service", service_id)) or freed_ports
