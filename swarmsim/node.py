"""One swarm node: what Docker's engine runs on a host, as its role demands.

SwarmKit node/node.go; reference/cluster.md 2.8, S-01 to S-06. `Supervisor` is the software: it obtains the
certificate, runs an agent and a gossip member for ever, and a manager while the node's certificate is a manager's: a
Raft member, a proxy, the control API and `manager`, which starts the leader-only components. `SwarmNode` is the body
around it: it makes the machines, and says who performs a machine's `update` and `batch` (the proposer of the manager
on that host).

A manager starts from what its Raft directory holds; where that is lost it asks the others to be let in, and they know
it by its node's id: it gets its old Raft id back, with an empty log. A node that lost all knows of no swarm.

Departure (2026-11-25): a node whose manager cannot join the Raft group tries again with backoff by itself; in Docker
the whole node exits, and the engine starts it again, with the same effect. A manager whose disk is full ends alone and
is started again with the engine's pauses, and so does one that cannot read its log; in Docker its node, and the agent
with it, ends too.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from .ablation import of_raft, without
from .agent.agent import Agent, HandedOver
from .api.messages import (
    AgentFailed,
    CertificateStatus,
    GetRootCaCertificate,
    IssueCertificate,
    JoinRequest,
    JoinResponse,
    LeaveSwarm,
    ManagerFailed,
    NodeNews,
    Recertified,
    RemovedFromRaft,
    RenewCertificate,
    RootCaAnswer,
)
from .api.objects import Certificate, Node, NodeDescription
from .api.specs import ClusterSpec
from .api.states import Availability, IssuanceState, NodeRole
from .ca import Authority
from .ca.renewal import BACKDATE, check_validity, renewal_at
from .ca.root import first_root
from .ca.tokens import check_fingerprint, parse_join_token
from .errors import ApiError
from .gossip import Gossip
from .machine import MILLISECOND, SECOND, Address, Batch, Handler, Machine, Micros, Outbox, Update
from .manager.allocator import Allocator
from .manager.component import WATCHES
from .manager.controlapi import ControlApi
from .manager.csi import CsiManager
from .manager.dispatcher import Dispatcher
from .manager.key_manager import KeyManager
from .manager.manager import Manager
from .manager.membership import Member
from .manager.orchestrator import ORCHESTRATORS
from .manager.proposer import Proposer
from .manager.proxy import NotYet, Proxy
from .manager.raft_clock import ClockedRaftNode
from .manager.raft_node import RaftNode
from .manager.raft_node.storage import Keys, LogRefused, Storage
from .manager.role_manager import RoleManager
from .manager.scheduler import Scheduler
from .manager.watchapi import WatchApi
from .raft.raft import RawNode
from .sim.engine import Engine
from .sim.host import Host, performer
from .store import MemoryStore
from .store.chronicle import Chronicle
from .trace.events import ManagerStopped

CA_LIMIT: Micros = 5 * SECOND
CA_TRIES = 5
CA_PAUSE: Micros = 2 * SECOND
STATUS_BACKOFF: Micros = SECOND
STATUS_BACKOFF_MOST: Micros = 30 * SECOND
FORCED_RENEWAL_PAUSE: Micros = 500 * MILLISECOND
RENEWAL_BACKOFF: Micros = 5 * SECOND
RENEWAL_BACKOFF_MOST: Micros = 3600 * SECOND
RAFT_JOIN_LIMIT: Micros = 25 * SECOND
#: How long a manager that was removed from Raft waits for its certificate as a worker (node.go).
ROLE_CHANGE_LIMIT: Micros = 16 * SECOND
RESTART_PAUSE: Micros = 100 * MILLISECOND
RESTART_PAUSE_MOST: Micros = 30 * SECOND
#: Whose data is in /var/lib/docker/swarm.
SWARM_STATE = ("raft", "node", "agent")
MANAGER_MACHINES = ("manager", "controlapi", "watchapi", "raft", "api")


class Identity(NamedTuple):
    """What a node's disk says of it. `raft_id` 0: not a member of the Raft group (yet)."""

    node_id: str
    role: NodeRole
    managers: tuple[str, ...]
    raft_id: int = 0
    first: bool = False  # it began the cluster
    issuer: str = ""  # of its certificate: which root signed it
    vouched_by: str = ""  # the root that cross-signed the issuer, if another was in force then
    valid: tuple[Micros, Micros] = (0, 0)  # from when until when its certificate is
    root: str = ""  # the root that it trusts

    def certified(self, certificate: Certificate, now: Micros) -> Identity:
        """With another certificate, signed now."""
        return self._replace(
            role=certificate.role,
            issuer=certificate.issuer,
            vouched_by=certificate.vouched_by,
            valid=(now - BACKDATE, certificate.not_after),
        )


class Join(NamedTuple):
    """`docker swarm join --token TOKEN REMOTE`."""

    token: str
    remote: str
    availability: Availability = Availability.ACTIVE


@dataclass(frozen=True, slots=True)
class Formed:
    """What a node of a cluster that is handed over formed already has."""

    node: Node
    sessions: Mapping[str, tuple[str, str]]  # host -> (session id, the manager that its agent is connected to)
    leader: str
    raft: RawNode | None
    on_ingress: tuple[str, ...]  # the nodes that have an address there


class Supervisor(Machine):
    """Of one node, at `<host>/node`. `join`: how it gets in, where its disk does not know it as a member."""

    def __init__(self, body: SwarmNode, join: Join | None) -> None:
        self.body = body
        self.join = join
        self.identity: Identity | None = None
        self._expected: NodeRole | None = None
        self._renewals = 0  # epoch: a newer renewal ends an older one
        self._joining_raft = False
        self._failed_at: Micros = 0
        self._pause = RESTART_PAUSE

    # -- start --
    def on_start(self, saved: Mapping[Any, Any], out: Outbox) -> Handler:
        self.identity = self.body.identity = saved.get("identity")
        if self.identity is not None:
            self._begin(self.identity, out)
            return None
        if self.join is not None:
            out.start(self._enter(self.join, out))
        return None

    def _begin(self, identity: Identity, out: Outbox) -> None:
        """From what the disk holds. With a certificate that is over, nothing runs: `docker info` shows the error."""
        try:
            if identity.valid[1]:
                check_validity(*identity.valid, out.now)
        except ApiError as error:
            self.body.join_error = error
            return
        self._run(out)

    def _run(self, out: Outbox) -> None:
        """Manager first, then gossip and the agent, as what is known so far says."""
        identity = self.identity
        assert identity is not None, "a node without identity runs nothing"
        if identity.role is NodeRole.MANAGER:
            self._start_manager(out)
        self.body.start_gossip(identity, out.cause)
        self.body.start_agent(identity, out.cause)
        self._await_renewal(out)

    def _keep(self, identity: Identity, out: Outbox) -> None:
        self.identity = identity
        self.body.identity = identity
        out.save({"identity": identity})

    # -- joining: the certificate first (S-02) --
    def _enter(self, join: Join, out: Outbox) -> Generator[Any, Any, None]:
        """Five tries, two seconds apart; after that the node gives up, as `docker swarm join` does."""
        error: ApiError | None = None
        try:
            token = parse_join_token(join.token)
        except ApiError as malformed:
            self.body.join_error = malformed
            return
        for _ in range(CA_TRIES):
            try:
                root: RootCaAnswer = yield out.call(Address(join.remote, "ca"), GetRootCaCertificate(), CA_LIMIT)
                check_fingerprint(token, root.digest)
                request = IssueCertificate(out.address.node, join.token, join.availability)
                id = yield out.call(Address(join.remote, "ca"), request, CA_LIMIT)
                certificate = yield from self._certificate(id, (join.remote,), out)
            except ApiError as failure:
                error = failure
                yield out.sleep(CA_PAUSE)
                continue
            identity = Identity(id, certificate.role, (join.remote,), root=root.name)
            self._keep(identity.certified(certificate, out.now), out)
            self._run(out)
            return
        self.body.join_error = error

    def _certificate(self, id: str, managers: tuple[str, ...], out: Outbox) -> Generator[Any, Any, Certificate]:
        """NodeCertificateStatus, until it is issued; another manager after an error (ca/certificates.go)."""
        backoff = STATUS_BACKOFF
        manager = managers[0]
        lost = False  # the connection to the last one
        while True:
            try:
                certificate: Certificate = yield out.call(Address(manager, "ca"), CertificateStatus(id), CA_LIMIT)
                if certificate.status in (IssuanceState.ISSUED, IssuanceState.ROTATE):
                    return certificate
                lost = False
            except ApiError as error:
                if error.code == "NotFound" or (lost and error.code == "Unavailable"):
                    raise  # nor can the other one be dialled
                lost = error.code == "Unavailable"
                if error.code != "DeadlineExceeded":
                    manager = out.rng.choice([m for m in managers if m != manager] or managers)
            yield out.sleep(int(out.rng.random() * backoff))
            backoff = min(2 * backoff, STATUS_BACKOFF_MOST)

    # -- what others tell --
    def on_message(self, src: Address, message: Any, out: Outbox) -> Handler:
        if type(message) is RemovedFromRaft:
            out.start(self._removed(out))
        elif type(message) is ManagerFailed:
            self._failed(message, out)
        elif type(message) is NodeNews:
            self._news(message, out)
        elif type(message) is AgentFailed:
            self._agent_failed(message, out)
        return None

    def _agent_failed(self, failure: AgentFailed, out: Outbox) -> None:
        """Its certificate is trusted by nobody: this node will never be part of the swarm (node.go `run`)."""
        assert isinstance(failure.error, ApiError), f"an agent failed with {failure.error!r}"
        self.body.join_error = failure.error
        out.halt("agent")

    def _news(self, news: NodeNews, out: Outbox) -> None:
        """The dispatcher's session messages: which role is desired, which managers there are (node.go)."""
        identity = self.identity
        assert identity is not None, "news before a certificate"
        if news.managers and news.managers != identity.managers:
            identity = identity._replace(managers=news.managers)
            self._keep(identity, out)
        if news.root not in ("", identity.root) and news.root in (identity.issuer, identity.vouched_by):
            identity = identity._replace(root=news.root)  # its own certificate holds against it: it is trusted
            self._keep(identity, out)
        desired = news.node.spec.desired_role
        edge = self._expected is not None and desired is not self._expected
        self._expected = desired
        wrong = desired is not identity.role and (edge or not self._renewals)
        if wrong or news.node.certificate.status is IssuanceState.ROTATE:
            out.start(self._renew(out))

    # -- renewal in good time (S-12) --
    def _await_renewal(self, out: Outbox) -> None:
        assert self.identity is not None, "no renewal without a certificate"
        valid_from, valid_until = self.identity.valid
        if valid_until:
            rng = out.stream(f"renewal {self.identity.node_id} {valid_from}")
            out.set_timer("renew", max(renewal_at(valid_from, valid_until, rng) - out.now, 0))

    def on_timer(self, name: Any, out: Outbox) -> Handler:
        assert name == "renew", f"a node has no timer {name!r}"
        out.start(self._renew(out, pause=0))
        return None

    # -- renewal, forced by a change of the desired role (S-04, S-05) --
    def _renew(self, out: Outbox, pause: Micros = FORCED_RENEWAL_PAUSE) -> Generator[Any, Any, None]:
        """Until the certificate has the role that is expected; the role manager may need a moment (ca/renewer.go)."""
        self._renewals += 1
        epoch, failures = self._renewals, 0
        yield out.sleep(pause)
        while epoch == self._renewals:
            try:
                certificate = yield from self._renewed(out)
            except ApiError:
                certificate = None
            if epoch != self._renewals:
                return
            if certificate is not None and self._expected in (None, certificate.role):
                self._certified(certificate, out)
                return
            failures += 1
            most = min(RENEWAL_BACKOFF + RENEWAL_BACKOFF * 2 ** (failures - 1), RENEWAL_BACKOFF_MOST)
            yield out.sleep(int(out.rng.random() * most))

    def _renewed(self, out: Outbox) -> Generator[Any, Any, Certificate]:
        identity = self.identity
        assert identity is not None, "a renewal without a certificate"
        managers = (out.address.node,) if self.body.has_manager else self._remotes(out)
        manager = out.rng.choice(managers)
        yield out.call(Address(manager, "ca"), RenewCertificate(identity.node_id), CA_LIMIT)
        return (yield from self._certificate(identity.node_id, managers, out))

    def _remotes(self, out: Outbox) -> tuple[str, ...]:
        """The managers it knows, without itself."""
        assert self.identity is not None, "no remotes without a certificate"
        others = tuple(m for m in self.identity.managers if m != out.address.node)
        return others or self.identity.managers

    def _certified(self, certificate: Certificate, out: Outbox) -> None:
        identity = self.identity
        assert identity is not None, "certified without a certificate"
        role = certificate.role
        self._keep(identity.certified(certificate, out.now), out)
        self._await_renewal(out)
        if role is NodeRole.MANAGER:
            self._start_manager(out)
        elif self.body.has_manager:
            self._stop_manager(out)
        out.tell("agent", Recertified(certificate.issuer, anew=role is not identity.role))

    # -- the manager --
    def _start_manager(self, out: Outbox) -> None:
        identity = self.identity
        assert identity is not None, "a manager without a certificate"
        if self.body.has_manager or self._joining_raft:
            return
        if identity.raft_id and (self.body.has_log or self._alone):
            self._run_manager(identity, (), out)
        else:
            out.start(self._join_raft(out))

    @property
    def _alone(self) -> bool:
        """Does it know of no other manager? Without a log it begins a swarm of its own (raft.go `JoinAndStart`)."""
        identity = self.identity
        return identity is not None and not any(m != self.body.host.name for m in identity.managers)

    def _run_manager(self, identity: Identity, members: Iterable[tuple[int, Member]], out: Outbox) -> None:
        if not self.body.has_log and not members and not identity.first:
            identity = identity._replace(raft_id=out.rng.getrandbits(63), first=True)
            self._keep(identity, out)
        try:
            self.body.start_manager(identity, members, out.cause)
        except LogRefused as error:
            self._failed(ManagerFailed(f"can't initialize raft node: {error}"), out)

    def _join_raft(self, out: Outbox) -> Generator[Any, Any, None]:
        """It listens, so that the leader can dial back; then it asks to be let in (S-03)."""
        self._joining_raft = True
        self.body.listen(out.cause)
        backoff = 100 * MILLISECOND
        while True:
            identity = self.identity
            assert identity is not None, "joining without a certificate"
            remote = out.rng.choice(self._remotes(out))
            request = JoinRequest(identity.node_id, out.address.node)
            try:
                answer: JoinResponse = yield out.call(Address(remote, "membership"), request, RAFT_JOIN_LIMIT)
                break
            except ApiError:
                yield out.sleep(int(out.rng.random() * backoff))
                backoff = min(2 * backoff, 30 * SECOND)
        self._joining_raft = False
        identity = identity._replace(raft_id=answer.raft_id, first=False)
        self._keep(identity, out)
        self._run_manager(identity, answer.members, out)

    def _failed(self, failure: ManagerFailed, out: Outbox) -> None:
        """The manager stops, and is started again after a pause that doubles (EN daemon/cluster/noderunner.go)."""
        out.emit(ManagerStopped(out.address.node, f"manager stopped: {failure.why}"))
        self.body.halt_manager(out)
        if out.now - self._failed_at > RESTART_PAUSE_MOST:
            self._pause = RESTART_PAUSE
        self._failed_at = out.now
        out.start(self._start_again(self._pause, out))
        self._pause = min(2 * self._pause, RESTART_PAUSE_MOST)

    def _start_again(self, pause: Micros, out: Outbox) -> Generator[Any, Any, None]:
        yield out.sleep(pause)
        if self.identity is not None and self.identity.role is NodeRole.MANAGER:
            self._start_manager(out)

    def _stop_manager(self, out: Outbox) -> None:
        """With its Raft data; a node that is promoted again joins as a new member."""
        assert self.identity is not None, "no manager without a certificate"
        self.body.stop_manager(out)
        self._keep(self.identity._replace(raft_id=0), out)

    def _removed(self, out: Outbox) -> Generator[Any, Any, None]:
        """Removed from the group: stop, await the worker's certificate, ask for it, and join anew if all else fails."""
        if not self.body.has_manager:
            return
        self._stop_manager(out)
        for _ in range(2):
            yield out.sleep(ROLE_CHANGE_LIMIT)
            if self.identity is not None and self.identity.role is NodeRole.WORKER:
                return
            out.start(self._renew(out))
        if self.identity is not None and self.identity.role is NodeRole.MANAGER:
            self._start_manager(out)


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
        self.host.serves = True
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
    """

    def boot(self, cause: int) -> None:
        self._start(None, cause)

    def boot_with(self, identity: Identity, core: RawNode) -> None:
        """Start as part of a group that is ready."""
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
        self.raft = self._member(self.identity, (), self.store, storage, core)
        self.host.spawn("raft", self.raft, {}, cause)


__all__ = ["Formed", "Identity", "Join", "Proposer", "RaftServer", "Supervisor", "SwarmNode"]
