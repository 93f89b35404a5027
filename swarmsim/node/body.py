"""The body around a node's software: which machines it has, how they are made, who performs their effects."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..ablation import of_raft, without
from ..agent.agent import Agent, HandedOver
from ..api.messages import LeaveSwarm
from ..api.objects import NodeDescription
from ..api.specs import ClusterSpec
from ..api.states import NodeRole
from ..ca import Authority
from ..ca.renewal import BACKDATE
from ..ca.root import first_root
from ..errors import ApiError
from ..gossip import Gossip
from ..machine import Address, Batch, Machine, Outbox, Update
from ..manager.allocator import Allocator
from ..manager.component import WATCHES
from ..manager.controlapi import ControlApi
from ..manager.csi import CsiManager
from ..manager.dispatcher import Dispatcher
from ..manager.key_manager import KeyManager
from ..manager.manager import Manager
from ..manager.membership import Member
from ..manager.orchestrator import ORCHESTRATORS
from ..manager.proxy import NotYet, Proxy
from ..manager.raft_clock import ClockedRaftNode
from ..manager.raft_node import RaftNode
from ..manager.raft_node.storage import Keys, LogRefused, Storage
from ..manager.role_manager import RoleManager
from ..manager.scheduler import Scheduler
from ..manager.watchapi import WatchApi
from ..raft.raft import RawNode
from ..sim.driver import performer
from ..sim.engine import Engine
from ..sim.host import Host
from ..store import MemoryStore
from ..store.chronicle import Chronicle
from ..trace.events import ManagerStopped
from .identity import Formed, Identity, Join
from .supervisor import Supervisor

#: Whose data is in /var/lib/docker/swarm.
SWARM_STATE = ("raft", "node", "agent")
MANAGER_MACHINES = ("manager", "controlapi", "watchapi", "raft", "api")


class SwarmNode:
    """The body of a node's software. `peers` are all hosts (for gossip)."""

    def __init__(
        self,
        host: Host,
        description: NodeDescription,
        addr: str,
        spec: ClusterSpec,
        peers: tuple[str, ...],
        chronicle: Chronicle,
        exact_probes: bool,
        off: tuple[str, ...] = (),
    ) -> None:
        self.host = host
        self.description = description
        self.addr = addr
        self.spec = spec
        self.peers = peers
        self.chronicle = chronicle
        self.exact_probes = exact_probes
        self.engine = Engine(host)
        self.identity: Identity | None = None
        self.join_error: ApiError | None = None
        self.raft: RaftNode | None = None
        self.manager: Manager | None = None
        self.store: MemoryStore | None = None
        self.off = off  # rules that are, by the names of `ablation.RULES`
        self._formed: Formed | None = None
        self._join: Join | None = None
        self._keys_made = 0
        host.boot = self.boot
        for name in ("raft", "agent", "dispatcher", "gossip"):
            host.network.sleepers[Address(host.name, name)] = None

    @property
    def is_manager(self) -> bool:
        """Is it a member of the Raft group, as far as its disk knows?"""
        return self.identity is not None and self.identity.raft_id != 0

    @property
    def is_in(self) -> bool:
        """Has it joined: its agent is registered, and a manager serves the control API?"""
        agent = self.host.drivers.get("agent")
        if self.identity is None or agent is None or not isinstance(agent.machine, Agent) or not agent.machine.manager:
            return False
        return self.identity.role is NodeRole.WORKER or "controlapi" in self.host.drivers

    @property
    def has_manager(self) -> bool:
        """Does its manager run?"""
        return "raft" in self.host.drivers

    @property
    def has_log(self) -> bool:
        """Is there a write-ahead log on its disk? (etcd wal `Exist`)"""
        return bool(self.host.disk.peek("raft"))

    def keys(self) -> Keys:
        """What its log is encrypted with; a node that has no key makes one (manager/deks.go `NewRaftDEKManager`)."""
        found: Keys | None = self.host.disk.peek("node").get("raft-dek")
        if found is None:
            self._keys_made += 1
            found = Keys(f"{self.host.name}/dek-{self._keys_made}")
            self.host.disk.store("node", {"raft-dek": found})
        return found

    # -- leaving (S-16) --
    @property
    def runs_manager(self) -> bool:
        """Is there a manager, be it one that has not got into its group yet?"""
        return self.host.proxy is not None

    def begin_leaving(self, cause: int) -> None:
        """The manager ends at once, as one that is demoted, and tells no one; the agent lets go of all tasks."""
        supervisor = self.host.drivers.get("node")
        if supervisor is not None:
            supervisor.out.now, supervisor.out.cause = self.host.env.now, cause
            self.halt_manager(supervisor.out)
        self.host.halt("node", cause)
        self.host.wake("agent", LeaveSwarm(), cause)

    def end_leaving(self, cause: int) -> None:
        """What is left ends and goes: containers, the state directory. The engine runs on, in no swarm."""
        for name in ("agent", "gossip"):
            self.host.halt(name, cause)
        self.engine.clear(cause)
        for machine in SWARM_STATE:
            self.host.disk.wipe(machine)
        self.identity = self._join = None

    def forget(self) -> None:
        """Its disk was wiped: nothing is left that would bring it back into the swarm by itself."""
        self._join = None

    # -- starting --
    def boot(self, cause: int) -> None:
        """Start everything, from what the disk holds."""
        known = self.host.disk.peek("node").get("identity") is not None
        self.host.serves = known or self._join is not None
        self.host.spawn("node", Supervisor(self, self._join), None, cause)

    def boot_formed(self, identity: Identity, formed: Formed) -> None:
        """Start as part of a cluster that is ready: nothing of how it came about is simulated."""
        self._formed = formed
        self._remember(identity)
        self.boot(0)
        if formed.leader == self.host.name:
            assert self.manager is not None
            self.manager.start_components(self.host.drivers["manager"].out)
        self._formed = None

    def init(self, cause: int) -> None:
        """`docker swarm init`: a certificate of its own making, and a Raft group of one (S-01)."""
        issuer = first_root(self.host.name).signer.name
        managers = (self.host.name,)
        valid = (self.host.env.now - BACKDATE, self.host.env.now + self.spec.node_cert_expiry)
        first = Identity(self.host.name, NodeRole.MANAGER, managers, raft_id=1, first=True)
        self._remember(first._replace(issuer=issuer, root=issuer, valid=valid))
        self.boot(cause)

    def join(self, order: Join, cause: int) -> None:
        """`docker swarm join`."""
        self._join = order
        self.host.halt("node", cause)  # the engine's, if it runs and is in no swarm
        self.boot(cause)

    def _remember(self, identity: Identity) -> None:
        self.identity = identity
        self.host.disk.store("node", {"identity": identity})

    # -- what the supervisor starts and stops --
    def start_gossip(self, identity: Identity, cause: int) -> None:
        peers = self.peers if self._formed else tuple(dict.fromkeys((*identity.managers, *self.peers)))
        self.host.spawn("gossip", Gossip(self.host.name, peers, exact=self.exact_probes), None, cause)

    def start_agent(self, identity: Identity, cause: int) -> None:
        formed = self._formed
        agent = Agent(
            identity.node_id,
            self.host.name,
            self.description.evolve(tls_issuer=identity.issuer),
            identity.managers,
            lambda: "controlapi" in self.host.drivers,
            HandedOver(*formed.sessions[self.host.name], formed.node, formed.on_ingress) if formed else None,
            self.addr,
            self.spec.heartbeat_period,
        )
        self.host.spawn("agent", agent, None, cause)

    def listen(self, cause: int) -> None:
        """The port is open before there is a Raft member behind it."""
        self.host.proxy = "api"
        if "api" not in self.host.drivers:
            self.host.spawn("api", Proxy(self.host.name, NotYet()), {}, cause)

    def start_manager(self, identity: Identity, members: Iterable[tuple[int, Member]], cause: int) -> None:
        host, node_id = self.host, identity.node_id
        if identity.first:
            members = ((identity.raft_id, Member(node_id, host.name)),)
        storage = self._open_log()
        store = self.store = MemoryStore()
        raft = self.raft = self._member(identity, members, store, storage, self._formed.raft if self._formed else None)
        manager = self.manager = without(Manager, self.off)(host.name, node_id, store, self.spec, self._component)
        host.performers[Update] = performer(self._timely(raft.proposer.update), lambda effect: effect.change)
        host.performers[Batch] = performer(self._timely(raft.proposer.batch), lambda effect: effect.changes)
        host.spawn("raft", raft, {}, cause)
        self.listen(cause)
        proxy = host.drivers["api"].machine
        assert isinstance(proxy, Proxy), "the proxy is at `api`"
        proxy.raft = raft
        if self._formed:
            proxy.take_over(self._formed.sessions, self._formed.leader)
        group = raft.group
        host.spawn(
            "controlapi", ControlApi(host.name, store, group.node_ids, raft.can_remove, group.statuses), {}, cause
        )
        host.spawn("watchapi", WatchApi(store, lambda: store.index, raft.changes_between), {}, cause)
        host.spawn("manager", manager, {}, cause)

    def _open_log(self) -> Storage:
        """Read the disk, mend a torn end; raises `LogRefused`."""
        storage, repair = Storage.open(self.host.disk.read("raft"), self.keys())
        if repair:
            self.host.disk.store("raft", repair)
        return storage

    def _timely(self, submit: Callable[..., None]) -> Callable[..., None]:
        """Whoever writes wakes no clock of the Raft member, which may have slept through all that was quiet."""
        raft = self.raft
        assert raft is not None, "a proposer without a Raft member"

        def at_this_moment(*args: Any) -> None:
            raft.now = self.host.env.now
            submit(*args)

        return at_this_moment

    def _member(
        self,
        identity: Identity,
        members: Iterable[tuple[int, Member]],
        store: MemoryStore,
        storage: Storage,
        formed: RawNode | None,
    ) -> RaftNode:
        """This node's member of the Raft group."""
        make = ClockedRaftNode if self.spec.raft.by_clock else RaftNode
        return make(
            self.host.name,
            identity.raft_id,
            members,
            store,
            self.chronicle,
            self.spec,
            storage,
            formed,
            identity.first,
            of_raft(self.off),
        )

    def stop_manager(self, out: Outbox) -> None:
        """All of it ends, and its Raft data is wiped, with the key that it was encrypted with (`clearData`)."""
        self.halt_manager(out)
        self.host.disk.wipe("raft")
        self.host.disk.store("node", {"raft-dek": None})

    def halt_manager(self, out: Outbox) -> None:
        """All of it ends; what its disk holds stays."""
        if self.manager is not None:
            self.manager.stop(out)
        for name in MANAGER_MACHINES:
            out.halt(name)
        self.host.proxy = None
        self.raft = self.manager = self.store = None

    def _component(self, name: str) -> Machine | None:
        """The leader-only machine of that name, made anew for each leadership; `NAME.2` is a second one beside it."""
        assert self.store is not None
        assert self.raft is not None
        node, store, raft = self.host.name, self.store, self.raft
        formed = self._formed.sessions if self._formed else None
        off = self.off
        kind, _, nth = name.partition(".")
        if nth:
            raft.watches[name] = WATCHES[kind]
        makers: dict[str, Callable[[], Machine]] = {
            "dispatcher": lambda: without(Dispatcher, off)(node, store, raft.members, formed),
            "ca": lambda: Authority(node, store),
            "allocator": lambda: Allocator(node, store),
            "scheduler": lambda: without(Scheduler, off)(node, store),
            "role_manager": lambda: RoleManager(node, store, raft.group.in_force, raft.can_remove),
            "key_manager": lambda: KeyManager(node, store),
            "csi": lambda: CsiManager(node, store),
        }
        if kind in makers:
            return makers[kind]()
        make = ORCHESTRATORS.get(kind)
        return without(make, off)(node, store) if make else None


class RaftServer(SwarmNode):
    """The body of a node that runs its Raft member and nothing else: no agent, no gossip, no manager.

    For experiments with Raft itself. The member is the swarm's, with its driver, disk and network; its store is empty.
    `group` is what a server is told of whose disk is empty.
    """

    group: tuple[tuple[int, Member], ...] = ()

    def boot(self, cause: int) -> None:
        self._start(None, cause)

    def boot_with(self, identity: Identity, group: tuple[tuple[int, Member], ...], core: RawNode | None) -> None:
        """Start as part of a group that is ready, or (without a core) beside it."""
        self.group = group
        self._remember(identity)
        self._start(core, 0)

    def _start(self, core: RawNode | None, cause: int) -> None:
        assert self.identity is not None, "a Raft server that is a member of nothing"
        try:
            storage = self._open_log()
        except LogRefused as error:
            stopped = ManagerStopped(self.host.name, f"manager stopped: can't initialize raft node: {error}")
            self.host.trace.record(stopped, self.host.env.now, cause)
            return
        self.store = MemoryStore()
        self.raft = self._member(self.identity, self.group, self.store, storage, core)
        self.host.spawn("raft", self.raft, {}, cause)


__all__ = ["SWARM_STATE", "RaftServer", "SwarmNode"]
