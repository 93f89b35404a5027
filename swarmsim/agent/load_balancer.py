"""A node's load balancer: where traffic to a virtual IP or a published port goes (IPVS and the routing mesh).

libnetwork service_linux.go `addServiceBinding`, `rmServiceBinding`. Round robin among destinations of weight
1; a disabled one stays with weight 0, so that its connections may end. Only this node's knowledge counts: a
destination that has died is still picked until gossip says so. Gossip fills it in; requests of the workload
ask it.
"""

from __future__ import annotations

from ..api.specs import PortConfig
from ..gossip.messages import EndpointRecord


class Destinations:
    """Of one virtual service, in the order of their coming."""

    __slots__ = ("cursor", "endpoints", "weights")

    def __init__(self) -> None:
        self.endpoints: dict[str, EndpointRecord] = {}  # by task id
        self.weights: dict[str, int] = {}
        self.cursor = 0

    def pick(self) -> EndpointRecord | None:
        """IPVS's rr: the next one of weight 1 after the last that was picked."""
        ready = [endpoint for task, endpoint in self.endpoints.items() if self.weights[task]]
        if not ready:
            return None
        self.cursor = (self.cursor + 1) % len(ready)
        return ready[self.cursor - 1]


#: (network, virtual IP), or the service's name where it has none (dnsrr); for ingress (protocol, port).
Key = tuple[str, str] | tuple[str, int]


class LoadBalancer:
    """Of one node; each change says whether new traffic to the endpoint began or ended here."""

    def __init__(self) -> None:
        self._services: dict[Key, Destinations] = {}
        self._known: dict[tuple[str, str], EndpointRecord] = {}  # (network, task id) -> as it was learned

    # -- what gossip tells --
    def learn(self, endpoint: EndpointRecord) -> bool:
        """Weight 1, whether it is new or was disabled."""
        id = endpoint.network_id, endpoint.task_id
        known = self._known.get(id)
        if known is not None and known != endpoint:
            self.drop(known)
        self._known[id] = endpoint
        return self._weigh(endpoint, 1)

    def disable(self, endpoint: EndpointRecord) -> bool:
        """Weight 0: connections stay, new ones avoid it."""
        known = self._known.get((endpoint.network_id, endpoint.task_id))
        return known is not None and self._weigh(known, 0)

    def drop(self, endpoint: EndpointRecord) -> bool:
        """Take it out; with its last destination the service goes."""
        known = self._known.pop((endpoint.network_id, endpoint.task_id), None)
        if known is None:
            return False
        had = False
        for key in _keys(known):
            service = self._services[key]
            del service.endpoints[known.task_id]
            had = service.weights.pop(known.task_id) == 1
            if not service.endpoints:
                del self._services[key]
        return had

    def clear(self) -> None:
        """The daemon started anew."""
        self._services.clear()
        self._known.clear()

    def _weigh(self, endpoint: EndpointRecord, weight: int) -> bool:
        changed = False
        for key in _keys(endpoint):
            service = self._services.setdefault(key, Destinations())
            changed = service.weights.get(endpoint.task_id, 0) != weight
            service.endpoints[endpoint.task_id] = endpoint
            service.weights[endpoint.task_id] = weight
        return changed

    # -- what traffic asks --
    def pick(self, network_id: str, vip: str) -> EndpointRecord | None:
        """Where the next connection to a virtual IP goes; None: no backend, refused."""
        service = self._services.get((network_id, vip))
        return service.pick() if service else None

    def pick_port(self, port: int, protocol: str = "tcp") -> EndpointRecord | None:
        """Where the next connection to a published port of this node goes (routing mesh)."""
        service = self._services.get((protocol, port))
        return service.pick() if service else None

    def destinations(self, network_id: str, vip: str) -> dict[str, int]:
        """Task id -> weight."""
        service = self._services.get((network_id, vip))
        return dict(service.weights) if service else {}

    def port_destinations(self, port: int, protocol: str = "tcp") -> dict[str, int]:
        service = self._services.get((protocol, port))
        return dict(service.weights) if service else {}


def _keys(endpoint: EndpointRecord) -> list[Key]:
    keys: list[Key] = [(endpoint.network_id, endpoint.vip or endpoint.service_name)]
    keys += [_port(port) for port in endpoint.ingress_ports]
    return keys


def _port(port: PortConfig) -> Key:
    return port.protocol, port.published_port
