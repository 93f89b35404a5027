"""A manager: the leader's components begin and end with leadership.

SwarmKit manager/manager.go. On gaining leadership one transaction makes sure that the default
cluster object, the own node and the predefined networks exist, then the components start; on losing it they are
stopped one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, ClassVar

from ..api.ids import new_id
from ..api.messages import LeadershipChanged
from ..api.objects import Certificate, Cluster, Network, Node
from ..api.specs import ClusterSpec, NetworkSpec, NodeSpec
from ..api.states import NodeRole
from ..ca.root import first_root
from ..machine import Address, Handler, Machine, Outbox
from ..store.memory_store import MemoryStore
from ..store.transaction import NameConflictError
from ..trace.events import LeadershipEnded, LeadershipGained
from .component import START_ORDER, STOP_ORDER
from .validation import PREDEFINED

#: Makes the machine of that name for this manager, or None where there is none.
Factory = Callable[[str], Machine | None]


class Manager(Machine):
    stop_order: ClassVar[tuple[str, ...]] = STOP_ORDER

    def __init__(self, node: str, node_id: str, store: MemoryStore, spec: ClusterSpec, make: Factory) -> None:
        self.node = node
        self.node_id = node_id
        self.store = store
        self.spec = spec
        self.make = make
        self.running: dict[str, None] = {}

    def on_message(self, src: Address, message: Any, out: Outbox) -> Handler:
        assert isinstance(message, LeadershipChanged), f"a manager got {message!r}"
        if message.leader:
            return self._become_leader(message.term, out)
        self._become_follower(message.term, out)
        return None

    def _become_leader(self, term: int, out: Outbox) -> Generator[Any, Any, None]:
        yield out.update(lambda tx: self._bootstrap(tx, out))
        out.emit(LeadershipGained(self.node, term))
        self.start_components(out)

    def start_components(self, out: Outbox) -> None:
        for name in START_ORDER:
            if name in self.running:  # one of an earlier leadership, that was not stopped: now there are two
                name = self._beside(name)
            machine = self.make(name)
            if machine is not None:
                self.running[name] = None
                out.spawn(name, machine, {})

    def _beside(self, name: str) -> str:
        """`jobs_orchestrator.2`."""
        return f"{name}.{1 + sum(other.partition('.')[0] == name for other in self.running)}"

    def _become_follower(self, term: int, out: Outbox) -> None:
        stopping = [name for name in self.stop_order if name in self.running]
        if stopping:
            out.emit(LeadershipEnded(self.node, term))
        for name in stopping:
            del self.running[name]
            out.halt(name)

    def stop(self, out: Outbox) -> None:
        """The manager of this node ends altogether: also what outlives its leadership."""
        for name in list(self.running):
            out.halt(name)
        self.running.clear()

    def _bootstrap(self, tx: Any, out: Outbox) -> None:
        """manager.go `becomeLeader`: what must exist; on every later leadership it does, and nothing changes."""
        if not tx.all(Cluster):
            tx.create(new_cluster(self.spec, out, self.node))
        if tx.get(Node, self.node_id) is None:
            spec = NodeSpec(desired_role=NodeRole.MANAGER)
            tx.create(Node(self.node_id, spec, certificate=_own_certificate(self.node)))
            tx.create(Network(new_id(out.rng), NetworkSpec("ingress", ingress=True)))
        for name in ("bridge", "host"):
            network = Network(new_id(out.rng), predefined_spec(name), predefined=True)
            try:
                tx.create(network)
            except NameConflictError:
                continue  # there since the first leadership


def _own_certificate(host: str) -> Certificate:
    """The first manager signed it itself."""
    return Certificate(role=NodeRole.MANAGER, issuer=first_root(host).signer.name)


def predefined_spec(name: str) -> NetworkSpec:
    return NetworkSpec(name, {PREDEFINED: "true"}, driver=name)


def new_cluster(spec: ClusterSpec, out: Outbox, host: str = "m1") -> Cluster:
    """The default cluster object with fresh join tokens (`SWMTKN-1-<digest of the root CA>-<secret>`).

    With autolock there is an unlock key from the start. `host` began the swarm, so the root is its own.
    """
    digest = (new_id(out.rng) + new_id(out.rng))[:50]
    worker, manager = (f"SWMTKN-1-{digest}-{new_id(out.rng)}" for _ in range(2))
    cluster = Cluster(new_id(out.rng), spec, digest, worker, manager, root=first_root(host))
    return cluster.evolve(unlock_key=new_id(out.rng)) if spec.autolock else cluster
