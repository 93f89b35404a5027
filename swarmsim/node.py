"""One swarm node: what Docker's engine runs on a host, as its role demands.

SwarmKit node/node.go. Every node has an agent and a gossip member; a manager has a Raft member, a proxy, the control
API and a manager besides, which starts the leader-only components. This file also says who performs a machine's
`update` and `batch`: the proposer of the manager on the same host.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .agent.agent import Agent
from .api.objects import Node, NodeDescription
from .api.specs import ClusterSpec
from .gossip import Gossip
from .machine import Address, Batch, Machine, Update
from .manager.allocator import Allocator
from .manager.controlapi import ControlApi
from .manager.dispatcher import Dispatcher
from .manager.manager import Manager
from .manager.orchestrator import ORCHESTRATORS
from .manager.proxy import Proxy
from .manager.raft_node import RaftNode
from .manager.scheduler import Scheduler
from .raft.raft import RawNode
from .sim.engine import Engine
from .sim.host import Host, performer
from .store import MemoryStore
from .store.chronicle import Chronicle


@dataclass(frozen=True, slots=True)
class Formed:
    """What a node of a cluster that is handed over formed already has."""

    session_id: str
    manager: str  # that the agent is connected to
    node: Node
    sessions: Mapping[str, str]  # on the leader: node id -> session id
    leading: bool
    raft: RawNode | None


class SwarmNode:
    """A node's software. `peers` are all hosts (for gossip), `managers` all Raft members known at boot."""

    def __init__(
        self,
        host: Host,
        node_id: str,
        description: NodeDescription,
        spec: ClusterSpec,
        raft_ids: Mapping[str, int],
        peers: tuple[str, ...],
        chronicle: Chronicle,
        exact_probes: bool,
        managers: tuple[str, ...],
    ) -> None:
        self.host = host
        self.node_id = node_id
        self.description = description
        self.spec = spec
        self.raft_ids = raft_ids
        self.peers = peers
        self.chronicle = chronicle
        self.exact_probes = exact_probes
        self.managers = managers
        self.engine = Engine(host)
        self.raft: RaftNode | None = None
        self.manager: Manager | None = None
        self.store: MemoryStore | None = None
        self._formed: Formed | None = None
        host.boot = self.boot
        for name in ("raft", "agent", "dispatcher", "gossip"):
            host.network.sleepers[Address(host.name, name)] = None
        if self.is_manager:
            host.proxy = "api"

    @property
    def is_manager(self) -> bool:
        return self.host.name in self.raft_ids

    # -- starting --
    def boot(self, cause: int) -> None:
        """Start everything, from what the disk holds."""
        if self.is_manager:
            self._boot_manager(cause)
        host = self.host
        host.spawn("gossip", Gossip(host.name, self.peers, exact=self.exact_probes), None, cause)
        formed = self._formed
        agent = Agent(
            self.node_id,
            host.name,
            self.description,
            self.managers,
            lambda: "api" in host.drivers,
            (formed.session_id, formed.manager, formed.node) if formed else None,
        )
        host.spawn("agent", agent, None, cause)

    def boot_formed(self, formed: Formed) -> None:
        """Start as part of a cluster that is ready: nothing of how it came about is simulated."""
        self._formed = formed
        self.boot(0)
        if formed.leading:
            assert self.manager is not None
            self.manager.start_components(self.host.drivers["manager"].out)
        self._formed = None

    def _boot_manager(self, cause: int) -> None:
        host = self.host
        store = self.store = MemoryStore()
        formed = self._formed.raft if self._formed else None
        raft = self.raft = RaftNode(host.name, self.raft_ids, store, self.chronicle, self.spec, formed)
        proposer = raft.proposer
        self.manager = Manager(host.name, self.node_id, store, self.spec, self._component)
        host.performers[Update] = performer(proposer.update, lambda effect: effect.change)
        host.performers[Batch] = performer(proposer.batch, lambda effect: effect.changes)
        host.spawn("raft", raft, None, cause)
        host.spawn("api", Proxy(host.name, raft), {}, cause)
        host.spawn("controlapi", ControlApi(host.name, store, raft.members, raft.can_remove), {}, cause)
        host.spawn("manager", self.manager, {}, cause)

    def _component(self, name: str) -> Machine | None:
        """The leader-only machine of that name, made anew for each leadership."""
        assert self.store is not None
        assert self.raft is not None
        node, store = self.host.name, self.store
        if name == "dispatcher":
            formed = self._formed.sessions if self._formed else None
            return Dispatcher(node, store, self.raft.members, formed)
        if name == "allocator":
            return Allocator(node, store)
        if name == "scheduler":
            return Scheduler(node, store)
        make = ORCHESTRATORS.get(name)
        return make(node, store) if make else None
