"""The software of one node: certificate, agent, gossip and, while its role says so, a manager (node/node.go)."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..api.messages import (
    AgentFailed,
    CertificateStatus,
    GetRootCaCertificate,
    IssueCertificate,
    JoinRequest,
    JoinResponse,
    ManagerFailed,
    NodeNews,
    Recertified,
    RemovedFromRaft,
    RenewCertificate,
    RootCaAnswer,
)
from ..api.objects import Certificate
from ..api.states import IssuanceState, NodeRole
from ..ca.renewal import check_validity, renewal_at
from ..ca.tokens import check_fingerprint, parse_join_token
from ..errors import ApiError
from ..machine import MILLISECOND, SECOND, Address, Handler, Machine, Micros, Outbox
from ..manager.membership import Member
from ..manager.raft_node.storage import LogRefused
from ..trace.events import ManagerStopped
from .identity import Identity, Join

if TYPE_CHECKING:
    from .body import SwarmNode

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


class Supervisor(Machine):
    """Of one node, at `<host>/node`. `join`: how it gets in, where its disk does not know it as a member."""

    def __init__(self, body: SwarmNode, join: Join | None) -> None:
        self.body = body
        self.join = join
        self.identity: Identity | None = None
        self._expected: NodeRole | None = None
        self._renewals = 0  # epoch: a newer renewal ends an older one
        self._joining_raft = False
        self._role_waits = 0
        self._awaits_role = 0  # the wait for a worker's certificate that is on; 0: none
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
        if role is NodeRole.WORKER:
            self._awaits_role = 0
            if self.body.has_manager:
                self._stop_manager(out)
        elif not self._awaits_role:
            self._start_manager(out)
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
        """Removed from the group: stop, await the worker's certificate, ask for it, and join anew if all else fails.

        A manager's certificate that comes meanwhile starts nothing (node.go `superviseManager`).
        """
        if not self.body.has_manager:
            return
        self._stop_manager(out)
        self._role_waits += 1
        wait = self._awaits_role = self._role_waits
        yield out.sleep(ROLE_CHANGE_LIMIT)
        if self._awaits_role != wait:
            return
        out.start(self._renew(out))
        yield out.sleep(ROLE_CHANGE_LIMIT)
        if self._awaits_role == wait:
            self._awaits_role = 0
            self._start_manager(out)


__all__ = ["Supervisor"]
