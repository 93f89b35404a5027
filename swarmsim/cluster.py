"""A cluster: hosts with their nodes, one network, one trace. Who leads now, what really runs.

`Cluster(description, seed)` is handed over formed, at 0 s: all managers are members, the first leads, every node is
READY with its agent connected. (`tests/cluster` compares it with one that joined node by node.) For notebooks it also
speaks in docker's words: `create`, `crash`, `run_until`, `nodes()`, `tasks()`.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import simpy

from .ablation import must_be_exact, of_raft
from .api.ids import new_id
from .api.objects import (
    LINUX,
    Certificate,
    Network,
    NetworkAttachment,
    Node,
    NodeCsiInfo,
    NodeDescription,
    NodeStatus,
)
from .api.specs import ClusterSpec, GenericResource, NetworkSpec, NodeSpec, Platform, Resources
from .api.states import Availability, NodeRole, NodeState
from .ca.root import first_root
from .errors import NO_DAEMON, ApiError
from .machine import SECOND, Address, Machine, Micros, RecordingOutbox, Request
from .manager.key_manager import first_keys
from .manager.manager import new_cluster, predefined_spec
from .manager.membership import Member
from .manager.raft_node import form
from .node import SWARM_STATE, Formed, Identity, Join, RaftServer, SwarmNode
from .raft.raft import RawNode
from .sim import rng
from .sim.clock import Clock
from .sim.driver import Driver, Failure
from .sim.engine import Container, Engine
from .sim.host import Host
from .sim.links import Latency, Way
from .sim.network import Network as Wires
from .store import MemoryStore
from .store.actions import CREATE, Action
from .store.chronicle import Chronicle
from .trace.events import DiskWiped, NodeLeft, SwarmReady
from .trace.recorder import Trace

#: An fsync on the disks of the recorded cluster: fitted to its proposals, which take 5 to 7 ms.
FSYNC: tuple[Micros, Micros] = (1_000, 3_000)
INGRESS_ROOM = 253  # nodes that have an address in 10.0.0.0/24, which ends at .254; the others have none, as in Docker
POLL: Micros = 10_000  # how often `await_ready` looks
LEAVE_LIMIT: Micros = 15 * SECOND  # for the swarm node of an engine to stop (daemon/cluster/noderunner.go)
FORMED_AT = 1  # the Raft index at which the objects of a cluster that is handed over were written
CLIENT_TIMEOUT: Micros = 20_000_000  # daemon/cluster `swarmRequestTimeout`

WORKER_REFUSAL = (
    "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. "
    "Please run this command on a manager node or promote the current node to a manager."
)


@dataclass(frozen=True)
class HostSpec:
    """One computer of the cluster. `cpus` in cores, `memory` in bytes; `csi`: what its storage plugins say of it.

    The storage itself is `engine.storage` of its node.
    """

    name: str
    role: str  # manager or worker
    cpus: float = 4.0
    memory: int = 8 << 30
    labels: Mapping[str, str] = field(default_factory=dict)
    availability: Availability = Availability.ACTIVE
    csi: tuple[NodeCsiInfo, ...] = ()
    platform: Platform = LINUX
    generic: tuple[GenericResource, ...] = ()
    engine_labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ClusterDescription:
    """What a scenario's `cluster:` says. `latency` of one packet one way, `fsync` of one sync, in microseconds."""

    hosts: tuple[HostSpec, ...]
    latency: Latency = (200, 1_000)
    loss: float = 0.0
    swarm: ClusterSpec = field(default_factory=ClusterSpec)
    fsync: tuple[Micros, Micros] = FSYNC
    probes: str = "lazy"
    newcomer: HostSpec = HostSpec("", "worker")  # what a host is like that joins later
    ways: tuple[Way, ...] = ()  # between which hosts latency or loss differ
    without: tuple[str, ...] = ()  # rules that are off, by the names of `ablation.RULES`
    only: str = ""  # raft: the managers are a Raft group and nothing else, no swarm


def describe(managers: int = 3, workers: int = 3, **settings: Any) -> ClusterDescription:
    """`m1..mN` and `w1..wN`, all alike."""
    hosts = [HostSpec(f"m{i + 1}", "manager") for i in range(managers)]
    hosts += [HostSpec(f"w{i + 1}", "worker") for i in range(workers)]
    return ClusterDescription(tuple(hosts), **settings)


class Cluster:
    """Everything that is simulated. `env.now` is in whole microseconds since the swarm was ready."""

    def __init__(
        self, spec: ClusterDescription, seed: int = 1, trace: Trace | None = None, formed: bool = True
    ) -> None:
        self.spec = spec
        self.seed = seed
        self.env = Clock(0)
        self.trace = trace if trace is not None else Trace()
        self.network = Wires(self.env, self.trace, seed, spec.latency, spec.loss, spec.ways)
        self.network.trusted = not spec.without
        self.network.exact = spec.probes == "exact" or must_be_exact(spec.without)
        self.names = [h.name for h in spec.hosts]
        self.chronicle = Chronicle()
        self.hosts: dict[str, Host] = {
            name: Host(self.env, self.trace, self.network, name, seed, spec.fsync) for name in self.names
        }
        self.nodes: dict[str, SwarmNode] = {h.name: self._make_node(i, h) for i, h in enumerate(spec.hosts)}
        self.engines: dict[str, Engine] = {name: node.engine for name, node in self.nodes.items()}
        if formed:
            self._hand_over()

    @property
    def managers(self) -> list[str]:
        """The nodes that are members of the Raft group now, as far as each knows itself."""
        return [name for name in self.names if self.nodes[name].is_manager]

    @property
    def workers(self) -> list[str]:
        return [name for name in self.names if not self.nodes[name].is_manager]

    def _make_node(self, index: int, h: HostSpec) -> SwarmNode:
        make = RaftServer if self.spec.only == "raft" else SwarmNode
        return make(
            self.hosts[h.name],
            _description(h),
            _address(index),
            self.spec.swarm,
            tuple(self.names),
            self.chronicle,
            self.spec.probes == "exact",
            self.spec.without,
        )

    def _hand_over(self) -> None:
        """Form the cluster outside of time: its store, its Raft group, its sessions."""
        spare = self.spec.swarm.raft.spare
        managers = tuple(h.name for h in self.spec.hosts if h.role == "manager" and h.name not in spare)
        workers = tuple(h.name for h in self.spec.hosts if h.role != "manager")
        stream = rng.stream(self.seed, "form")
        out = RecordingOutbox(Address("", "form"))
        out.rng = stream
        store = MemoryStore()
        actions = [Action(CREATE, obj, 0) for obj in self._objects(out)] if not self.spec.only else []
        off = of_raft(self.spec.without)
        keys = {name: self.nodes[name].keys() for name in managers}
        group = form({name: self.hosts[name] for name in managers}, store, actions, self.spec.swarm, keys, off)
        leader = managers[0]
        recorder = RecordingOutbox(Address("", "form"))
        recorder.emit = lambda event: self.trace.record(event, 0, recorder.cause)  # type: ignore[method-assign]
        recorder.emit(
            SwarmReady(
                leader,
                managers,
                workers,
                self.spec.swarm.heartbeat_period,
                -(-self.spec.swarm.election_tick * self.spec.swarm.raft.tick // SECOND),
            )
        )
        if self.spec.only:
            self._hand_over_raft(managers, group)
            return
        self.chronicle.hand_over(recorder, store)
        ids = {name: new_id(stream) for name in self.names}
        sessions = {name: (ids[name], name if name in managers else stream.choice(managers)) for name in self.names}
        on_ingress = tuple(name for name in self.names if store.nodes[name].attachments)
        for name, node in self.nodes.items():
            formed = Formed(store.nodes[name], sessions, leader, group.get(name), on_ingress)
            role = NodeRole.MANAGER if name in managers else NodeRole.WORKER
            raft_id = managers.index(name) + 1 if name in managers else 0
            certificate = store.nodes[name].certificate
            identity = Identity(name, role, managers, raft_id, root=certificate.issuer).certified(certificate, 0)
            node.boot_formed(identity, formed)

    def _hand_over_raft(self, managers: tuple[str, ...], group: Mapping[str, RawNode]) -> None:
        members = tuple((i, Member(name, name)) for i, name in enumerate(managers, 1))
        for i, name in enumerate((*managers, *self.spec.swarm.raft.spare), 1):
            node = self.nodes[name]
            assert isinstance(node, RaftServer), f"{name} runs more than Raft"
            node.boot_with(Identity(name, NodeRole.MANAGER, managers, i), members, group.get(name))

    # -- the long way: node by node --
    @classmethod
    def joined(cls, spec: ClusterDescription, seed: int = 1) -> Self:
        """A cluster of which every node came by `docker swarm init` or `join`, one after the other, and is READY."""
        cluster = cls(spec, seed, formed=False)
        first = next(h.name for h in spec.hosts if h.role == "manager")
        cluster.nodes[first].init(0)
        cluster.await_ready(first)
        for h in spec.hosts:
            if h.name != first:
                cluster.join(h.name, h.role)
                cluster.await_ready(h.name)
        return cluster

    def add_host(self, name: str, like: HostSpec | None = None) -> None:
        """One more computer, switched on, in no swarm yet."""
        assert name not in self.hosts, f"there is a host {name} already"
        h = replace(like, name=name) if like is not None else HostSpec(name, "worker")
        self.spec = replace(self.spec, hosts=(*self.spec.hosts, h))
        self.names.append(name)
        self.hosts[name] = Host(self.env, self.trace, self.network, name, self.seed, self.spec.fsync)
        node = self.nodes[name] = self._make_node(len(self.names) - 1, h)
        self.engines[name] = node.engine

    def join(self, name: str, role: str = "worker", via: str | None = None, cause: int = 0) -> None:
        """`docker swarm join` on a host that is in no swarm, with the token for that role."""
        swarm = self.store(via).cluster
        assert swarm is not None, "no manager has written the cluster object yet"
        token = swarm.join_token_manager if role == "manager" else swarm.join_token_worker
        remote = via or self.leader() or self.managers[0]
        self.nodes[name].join(Join(token, remote, self._host(name).availability), cause)

    def leave(self, name: str, cause: int = 0) -> Generator[simpy.Event, Any, None]:
        """The engine of `name` leaves the swarm: a SimPy generator, over when it has (daemon/cluster/swarm.go `Leave`).

        Its connections are reset, and that is all that others see of it. It waits 15 s for its containers to stop.
        """
        host, node = self.hosts[name], self.nodes[name]
        node.begin_leaving(cause)
        host.serves = False
        seq = self.trace.record(NodeLeft(name), self.env.now, cause)
        self.network.silence(name, seq)
        self.network.reset_connections(name, seq)
        self.network.disturb(name, seq)
        limit = self.env.now + LEAVE_LIMIT
        while node.engine.containers and self.env.now < limit and host.up:
            yield simpy.Timeout(self.env, POLL)
        if not host.up:  # what it knows of the swarm is on its disk still
            raise ApiError("Unavailable", "error during connect: the engine went away")
        node.end_leaving(seq)
        self.trace.record(DiskWiped(name, SWARM_STATE), self.env.now, seq)

    def await_ready(self, name: str, within: Micros = 60_000_000) -> None:
        """Let time pass until the node is READY, a manager also a member of the Raft group."""
        limit = self.env.now + within
        while not self._is_ready(name):
            if self.env.now >= limit:
                raise TimeoutError(f"{name} is not READY after {within / 1e6:g} s")
            self.run(self.env.now + POLL)

    def _is_ready(self, name: str) -> bool:
        leader = self.leader()
        if leader is None:
            return False
        node = self.store(leader).nodes.get(name)
        if node is None or node.status.state is not NodeState.READY or not node.attachments:
            return False
        raft = self.nodes[leader].raft
        assert raft is not None, f"{leader} leads without a Raft member"
        return node.role is NodeRole.WORKER or name in raft.members()

    def _host(self, name: str) -> HostSpec:
        return next(h for h in self.spec.hosts if h.name == name)

    def _objects(self, out: RecordingOutbox) -> list[Any]:
        """What `swarm init` and the joins have left in the store."""
        ingress = Network(new_id(out.rng), NetworkSpec("ingress", ingress=True), "10.0.0.0/24", "10.0.0.1", vni=4096)
        first = next(h.name for h in self.spec.hosts if h.role == "manager")
        objects: list[Any] = [first_keys(new_cluster(self.spec.swarm, out, first), out), ingress]
        objects += [Network(new_id(out.rng), predefined_spec(n), predefined=True) for n in ("bridge", "host")]
        issuer = first_root(first).signer.name
        for i, h in enumerate(self.spec.hosts):
            objects.append(_node(h, i, ingress.id, self.spec.swarm.node_cert_expiry, issuer))
        return [obj.evolve(version=FORMED_AT) for obj in objects]

    # -- the world's truth --
    def leader(self) -> str | None:
        """The manager that is up and leads in the highest term; None while there is none."""
        best: tuple[int, str] | None = None
        for name in self.managers:
            raft = self.nodes[name].raft
            if self.hosts[name].up and raft is not None and raft.is_raft_leader and (not best or raft.term > best[0]):
                best = (raft.term, name)
        return best[1] if best else None

    def containers(self, service: str | None = None) -> list[Container]:
        """All containers that really run (of a service), oldest first."""
        found = [c for e in self.engines.values() for c in e.running() if service in (None, c.service)]
        return sorted(found, key=lambda c: (c.started_at or 0, c.task))

    def store(self, manager: str | None = None) -> MemoryStore:
        """The store of `manager`; by default the leader's, else that of the manager that is furthest."""
        name = manager or self.leader()
        if name is not None:
            store = self.nodes[name].store
            assert store is not None, f"{name} is no manager"
            return store
        stores = [s for n in self.managers if (s := self.nodes[n].store) is not None]
        return max(stores, key=lambda s: s.index)

    # -- operators --
    def ask(
        self,
        via: str | None,
        request: Any,
        timeout: Micros = CLIENT_TIMEOUT,
        cause: int = 0,
        machine: str = "control",
    ) -> Generator[simpy.Event, Any, Any]:
        """Send a request to the control API of manager `via` (default: the first that is up) and wait.

        A SimPy generator: `answer = yield from cluster.ask("m2", CreateService(spec))`. Raises `ApiError`. `machine` is
        who is asked there, if not the control API.
        """
        if via is None:
            via = next((name for name in self.managers if self.hosts[name].up), None)
        if via is None or not self.hosts[via].up:
            raise ApiError("Unavailable", NO_DAEMON)
        if via not in self.managers:
            raise ApiError("Unavailable", WORKER_REFUSAL)
        host = self.hosts[via]
        client = host.drivers.get("client") or host.spawn("client", Machine(), {}, cause)
        client.out.cause = cause
        client.out.now = self.env.now
        event = client.request(Request(Address(via, machine), request, timeout))
        gone = simpy.Timeout(self.env, timeout + 1)
        yield event | gone
        if not event.triggered:
            raise ApiError("Unavailable", "error during connect: the engine went away")
        if type(event.value) is Failure:
            raise event.value.error
        return event.value

    def run(self, until: Micros) -> None:
        """Simulate up to that moment."""
        self.env.run(until=until)


def _description(h: HostSpec) -> NodeDescription:
    resources = Resources(round(h.cpus * 1e9), h.memory, h.generic)
    return NodeDescription(h.name, h.platform, resources, h.engine_labels, csi=h.csi)


def _address(index: int) -> str:
    """A host's address; up to 20,000 hosts."""
    return f"192.168.{index // 250}.{index % 250 + 1}"


def _node(h: HostSpec, index: int, ingress: str, expiry: Micros, issuer: str) -> Node:
    role = NodeRole.MANAGER if h.role == "manager" else NodeRole.WORKER
    mine = (NetworkAttachment(ingress, (f"10.0.0.{index + 2}/24",)),) if index < INGRESS_ROOM else ()
    return Node(
        h.name,
        NodeSpec(dict(h.labels), role, availability=h.availability),
        role,
        NodeStatus(NodeState.READY, "", _address(index)),
        _description(h).evolve(tls_issuer=issuer),
        Certificate(role=role, serial=1, issuer=issuer, not_after=expiry),
        mine,
    )


__all__ = ["Cluster", "ClusterDescription", "Driver", "HostSpec", "describe"]
