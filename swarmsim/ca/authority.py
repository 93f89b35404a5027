"""The certificate authority of the leader: gives a joining node its id, its role and its certificate.

SwarmKit ca/server.go. The token decides the role of a newcomer; a renewal gets the
role that the store says, whoever asks. An issuance costs two proposals: PENDING (or RENEW) is written on request,
ISSUED when the store's event asks for the signature. Keys and bytes are not modelled, but who can sign is (`signing`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any

from ..api.messages import (
    CertificateStatus,
    Committed,
    Forwarded,
    GetRootCaCertificate,
    GetUnlockKey,
    IssueCertificate,
    RenewCertificate,
    RootCaAnswer,
    UnlockKey,
)
from ..api.objects import Certificate, Cluster, Node
from ..api.specs import NodeSpec
from ..api.states import IssuanceState, Membership, NodeRole
from ..errors import ApiError
from ..machine import SECOND, Address, Call, Handler, Machine, Micros, Outbox
from .rotation import TIMER, RootRotations, Store
from .signing import RETRY, Reachable, can_sign, nobody

BAD_TOKEN = "A valid join token is necessary to join this cluster"
NOT_A_MANAGER = "Permission denied: remote certificate not part of OUs: [swarm-manager]"
MIN_EXPIRY: Micros = 3_600 * SECOND
DEFAULT_EXPIRY: Micros = 90 * 86_400 * SECOND
#: server.go `isFinalState`: what a request for the status waits for.
FINAL = (IssuanceState.ISSUED, IssuanceState.FAILED, IssuanceState.ROTATE)


class Authority(Machine):
    """`reachable` says whether an external CA answers."""

    def __init__(self, node: str, store: Store, reachable: Reachable = nobody) -> None:
        self.node = node
        self.store = store
        self.reachable = reachable
        self._waiting: dict[str, list[Call]] = {}  # node id -> who asks for its certificate's status
        self.rotations = RootRotations(store)
        self._trying_again = False

    def on_start(self, saved: Mapping[Any, Any], out: Outbox) -> Handler:
        """What an earlier leader left unsigned is signed now."""
        for node in self.store.nodes.values():
            self._look(node, out)
        self.rotations.root_changed(self.store.cluster, out)
        return None

    def on_message(self, src: Address, message: Any, out: Outbox) -> Handler:
        assert type(message) is Committed, f"the authority got {message!r}"
        cause = out.cause
        for change in message.changes:
            out.cause = change.cause or cause
            if type(change.new) is Node:
                gone = change.kind.name == "REMOVE"
                self.rotations.node_changed(change.new, gone)
                if not gone:
                    self._look(change.new, out)
            elif type(change.new) is Cluster:
                self.rotations.root_changed(change.new, out)
        return None

    def on_timer(self, name: Any, out: Outbox) -> Handler:
        if name == TIMER:
            self.rotations.tick(out)
            return None
        assert name == "sign", f"the authority has no timer {name!r}"
        self._trying_again = False
        for node in self.store.nodes.values():
            self._look(node, out)
        return None

    def _look(self, node: Node, out: Outbox) -> None:
        if _to_sign(node):
            cluster = self.store.cluster
            if cluster is not None and not can_sign(cluster, self.reachable):
                self._try_again(out)
            else:
                out.start(self._sign(node.id, out))
        elif node.id in self._waiting and node.certificate.status in FINAL:
            for call in self._waiting.pop(node.id):
                out.reply(call, node.certificate)

    def _try_again(self, out: Outbox) -> None:
        """Nobody can sign now, a recoverable error: what is to be signed stays so (server.go `Run`, its ticker)."""
        if not self._trying_again:
            self._trying_again = True
            out.set_timer("sign", RETRY)

    def _sign(self, id: str, out: Outbox) -> Generator[Any, Any, None]:
        def change(tx: Any) -> None:
            node: Node | None = tx.get(Node, id)
            if node is None or not _to_sign(node):
                return
            expiry = tx.now + _expiry(tx)
            signed = node.certificate.evolve(
                status=IssuanceState.ISSUED,
                serial=node.certificate.serial + 1,
                not_after=expiry,
                **_signer(tx),
            )
            tx.update(node.evolve(certificate=signed))

        yield out.update(change)

    # -- requests --
    def on_call(self, call: Call, out: Outbox) -> Handler:
        out.start(self._answer(call, out))
        return None

    def _answer(self, call: Call, out: Outbox) -> Generator[Any, Any, None]:
        request = call.request.request if type(call.request) is Forwarded else call.request
        try:
            if type(request) is CertificateStatus:
                self._status(call, request, out)
                return
            if type(request) is GetRootCaCertificate:
                out.reply(call, self._root())
                return
            if type(request) is GetUnlockKey:
                out.reply(call, self._unlock_key(request.node_id))
                return
            if type(request) is RenewCertificate:
                id = yield out.update(self._renewal(request))
            else:
                assert type(request) is IssueCertificate, f"the authority got {request!r}"
                id = yield out.update(self._issuance(request))
        except ApiError as error:
            out.fail(call, error)
            return
        out.reply(call, id)

    def _status(self, call: Call, request: CertificateStatus, out: Outbox) -> None:
        node = self.store.nodes.get(request.node_id)
        if node is None:
            raise ApiError("NotFound", "NotFound")  # the code's own name is all that the original says
        if node.certificate.status in FINAL:
            out.reply(call, node.certificate)
        else:
            self._waiting.setdefault(node.id, []).append(call)

    def _issuance(self, request: IssueCertificate) -> Callable[[Any], str]:
        role = self._role(request.token)

        def change(tx: Any) -> str:
            id = _free_id(request.host, tx)
            certificate = Certificate(role=role, status=IssuanceState.PENDING)
            spec = NodeSpec(desired_role=role, availability=request.availability)
            tx.create(Node(id, spec, role, certificate=certificate))
            return id

        return change

    def _root(self) -> RootCaAnswer:
        """During a rotation, too, it is the old one, until all nodes have certificates of the new one."""
        cluster = self.store.cluster
        assert cluster is not None, "an authority without a cluster"
        return RootCaAnswer(cluster.root.ca_cert.name, cluster.ca_digest)

    def _unlock_key(self, node_id: str) -> UnlockKey:
        """ca/server.go `GetUnlockKey`, read from the store, whatever this leader was told of before."""
        self._refuse_removed(node_id, "PermissionDenied", f"Permission denied: node {node_id} was removed from swarm")
        node, cluster = self.store.nodes.get(node_id), self.store.cluster
        if node is None or node.certificate.role is not NodeRole.MANAGER:
            raise ApiError("PermissionDenied", NOT_A_MANAGER)
        assert cluster is not None, "an authority without a cluster"
        return UnlockKey(cluster.unlock_key, cluster.version)

    def _refuse_removed(self, node_id: str, code: str, text: str) -> None:
        cluster = self.store.cluster
        if cluster is not None and any(id == node_id for id, _ in cluster.blacklisted):
            raise ApiError(code, text)

    def _renewal(self, request: RenewCertificate) -> Callable[[Any], str]:
        """A removed node's certificate is none, and without a token its holder is a stranger."""
        self._refuse_removed(request.node_id, "InvalidArgument", BAD_TOKEN)

        def change(tx: Any) -> str:
            node: Node | None = tx.get(Node, request.node_id)
            if node is None:
                text = f"node {request.node_id} not found when attempting to renew certificate"
                raise ApiError("NotFound", text)
            renewed = node.certificate.evolve(status=IssuanceState.RENEW, role=node.role)
            tx.update(node.evolve(certificate=renewed))
            return node.id

        return change

    def _role(self, token: str) -> NodeRole:
        """SWMTKN-1-<digest of the root>-<secret>, one secret for each role."""
        cluster = self.store.cluster
        if cluster is not None and token == cluster.join_token_manager:
            return NodeRole.MANAGER
        if cluster is not None and token == cluster.join_token_worker:
            return NodeRole.WORKER
        raise ApiError("InvalidArgument", BAD_TOKEN)


def _signer(tx: Any) -> dict[str, str]:
    """The root that signs; during a rotation already the next one, whose certificate the present one vouches for."""
    cluster: Cluster | None = next(iter(tx.all(Cluster)), None)
    if cluster is None:
        return {}
    rotation = cluster.root.rotation
    return {
        "issuer": cluster.root.signer.name,
        "vouched_by": "" if rotation is None else rotation.cross_signed.signed_by,
    }


def _to_sign(node: Node) -> bool:
    """A renewal always; a newcomer's first certificate once it is accepted (server.go `evaluateAndSignNodeCert`)."""
    status = node.certificate.status
    accepted = node.spec.membership is Membership.ACCEPTED
    return status is IssuanceState.RENEW or (status is IssuanceState.PENDING and accepted)


def _expiry(tx: Any) -> Micros:
    """What is below the minimum counts as not given (certificates.go `NewRootCA`)."""
    cluster = tx.store.cluster
    wanted: Micros = cluster.spec.node_cert_expiry if cluster is not None else 0
    return wanted if wanted >= MIN_EXPIRY else DEFAULT_EXPIRY


def _free_id(host: str, tx: Any) -> str:
    """Ids of nodes are readable here: the host's name, with a number when that host joined before.

    An id that was removed never returns: its certificates are refused.
    """
    removed = [id for cluster in tx.all(Cluster) for id, _ in cluster.blacklisted]
    id, n = host, 1
    while tx.get(Node, id) is not None or id in removed:
        n += 1
        id = f"{host}~{n}"
    return id
