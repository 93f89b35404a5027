"""A leader's allocator over a fake manager; a fresh one is a new leadership."""

from __future__ import annotations

from collections import Counter
from typing import Any

from swarmsim.api.objects import Endpoint, Network, NetworkAttachment, Node, Service, Task, TaskStatus
from swarmsim.api.specs import (
    ContainerSpec,
    EndpointSpec,
    IpamConfig,
    NetworkAttachmentConfig,
    NetworkSpec,
    NodeSpec,
    PortConfig,
    PublishMode,
    ResolutionMode,
    ServiceSpec,
    TaskSpec,
)
from swarmsim.api.states import TaskState
from swarmsim.manager.allocator import Allocator
from tests.fake_manager import FakeManager

SECOND = 1_000_000
S = TaskState
INGRESS, HOST = PublishMode.INGRESS, PublishMode.HOST
VIP, DNSRR = ResolutionMode.VIP, ResolutionMode.DNSRR


def network(id: str, subnet: str = "", driver: str = "overlay", ingress: bool = False, **ipam: str) -> Network:
    configs = (IpamConfig(subnet, **ipam),) if subnet else ()
    return Network(id, NetworkSpec(id, driver=driver, ingress=ingress, ipam=configs))


def port(published: int = 0, target: int = 80, mode: PublishMode = INGRESS, name: str = "", proto: str = "tcp") -> Any:
    return PortConfig(name, proto, target, published, mode)


def service(
    id: str, *ports: PortConfig, networks: tuple[str, ...] = (), mode: ResolutionMode = VIP, endpoint: bool = True
) -> Service:
    """With an endpoint spec, as Docker's client always sends one."""
    attachments = tuple(NetworkAttachmentConfig(n) for n in networks)
    template = TaskSpec(ContainerSpec("busybox"), networks=attachments)
    return Service(id, ServiceSpec(id, template, endpoint=EndpointSpec(mode, ports) if endpoint else None))


def task(id: str, of: Service | None, state: TaskState = S.NEW, node_id: str = "", **fields: Any) -> Task:
    template = of.spec.task if of else TaskSpec(ContainerSpec("busybox"))
    name = of.id if of else ""
    return Task(id, name, template, TaskStatus(state, "created"), S.RUNNING, 1, node_id, service_name=name, **fields)


class World:
    def __init__(self, *objects: Any, ingress: bool = True) -> None:
        self.manager = FakeManager()
        self.store = self.manager.store
        if ingress:
            self.manager.create(network("ingress", ingress=True))
        if objects:
            self.manager.create(*objects)

    def start(self) -> World:
        """Begin the allocator, or another one in its place."""
        if "allocator" in self.manager.machines:
            self.manager.stop("allocator")
        self.allocator = Allocator("m1", self.store)
        self.manager.add_machine(self.allocator)
        return self

    def create(self, *objects: Any) -> None:
        self.manager.create(*objects)

    def respec(self, id: str, wanted: Service) -> None:
        """The service gets another spec."""
        self.manager.write(self.store.services[id].evolve(spec=wanted.spec))

    def to(self, id: str, state: TaskState, node_id: str | None = None) -> None:
        known = self.store.tasks[id]
        node_id = known.node_id if node_id is None else node_id
        self.manager.write(known.evolve(status=TaskStatus(state), node_id=node_id))

    def delete(self, *objects: Any) -> None:
        self.manager.delete(*objects)

    # -- what was given --
    def vips(self, id: str) -> dict[str, str]:
        endpoint = self.store.services[id].endpoint
        return dict(endpoint.virtual_ips) if endpoint else {}

    def ports(self, id: str) -> list[int]:
        endpoint = self.store.services[id].endpoint
        return [p.published_port for p in endpoint.ports] if endpoint else []

    def addresses(self, id: str) -> dict[str, str]:
        return {a.network_id: a.addresses[0] for a in self.store.tasks[id].networks if a.addresses}

    def attachments(self, id: str) -> dict[str, str]:
        return {a.network_id: a.addresses[0] for a in self.store.nodes[id].attachments}

    def state(self, id: str) -> TaskState:
        return self.store.tasks[id].status.state

    def why(self, id: str) -> str:
        return self.allocator.reasons.get(id, "")

    def everything_given(self) -> Counter[tuple[str, str]]:
        """The slow twin: each address and port that somebody holds by what the store says."""
        given: Counter[tuple[str, str]] = Counter()
        for s in self.store.services.values():
            endpoint = s.endpoint or Endpoint(EndpointSpec())
            given.update(endpoint.virtual_ips)
            given.update(
                (f"port/{p.protocol}", str(p.published_port))
                for p in endpoint.ports
                if p.publish_mode is INGRESS and p.published_port
            )
        for t in self.store.tasks.values():
            if t.status.state <= S.RUNNING:
                given.update((a.network_id, a.addresses[0]) for a in t.networks if a.addresses)
        for n in self.store.nodes.values():
            given.update((a.network_id, a.addresses[0]) for a in n.attachments if a.addresses)
        return given

    def doubles(self) -> list[tuple[str, str]]:
        gateways = {(n.id, n.gateway) for n in self.store.networks.values() if n.gateway}
        given = self.everything_given()
        shared = [what for what, count in given.items() if count > 1]
        return shared + [what for what in given if (what[0], what[1].partition("/")[0]) in gateways]


def node(id: str) -> Node:
    return Node(id, NodeSpec())


def attached(network_id: str, address: str) -> NetworkAttachment:
    return NetworkAttachment(network_id, (address,))
