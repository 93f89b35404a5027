"""The certificate authority of the leader: gives a joining node its id, its role and its certificate.

SwarmKit ca/server.go; reference/cluster.md 2.9, S-02. The token decides the role of a newcomer; a renewal gets the
role that the store says, whoever asks. An issuance costs two proposals: PENDING (or RENEW) is written on request,
ISSUED when the store's event asks for the signature. Keys and bytes are not modelled, nor external authorities.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any, Protocol

from ..api.messages import CertificateStatus, Committed, Forwarded, IssueCertificate, RenewCertificate
from ..api.objects import Certificate, Cluster, Node
from ..api.specs import NodeSpec
from ..api.states import IssuanceState, NodeRole
from ..errors import ApiError
from ..machine import Address, Call, Handler, Machine, Outbox

BAD_TOKEN = "A valid join token is necessary to join this cluster"
TO_SIGN = (IssuanceState.PENDING, IssuanceState.RENEW)


class Store(Protocol):
    """What the authority reads of its manager's store."""

    nodes: dict[str, Node]

    @property
    def cluster(self) -> Cluster | None: ...


class Authority(Machine):
    def __init__(self, node: str, store: Store) -> None:
        self.node = node
        self.store = store
        self._waiting: dict[str, list[Call]] = {}  # node id -> who asks for its certificate's status

    def on_start(self, saved: Mapping[Any, Any], out: Outbox) -> Handler:
        """What an earlier leader left unsigned is signed now."""
        for node in self.store.nodes.values():
            self._look(node, out)
        return None

    def on_message(self, src: Address, message: Any, out: Outbox) -> Handler:
        assert type(message) is Committed, f"the authority got {message!r}"
        cause = out.cause
        for change in message.changes:
            if type(change.new) is Node:
                out.cause = change.cause or cause
                self._look(change.new, out)
        return None

    def _look(self, node: Node, out: Outbox) -> None:
        if node.certificate.status in TO_SIGN:
            out.start(self._sign(node.id, out))
        elif node.id in self._waiting and node.certificate.status is not IssuanceState.UNKNOWN:
            for call in self._waiting.pop(node.id):
                out.reply(call, node.certificate)

    def _sign(self, id: str, out: Outbox) -> Generator[Any, Any, None]:
        def change(tx: Any) -> None:
            node: Node | None = tx.get(Node, id)
            if node is None or node.certificate.status not in TO_SIGN:
                return
            expiry = tx.now + _expiry(tx)
            signed = node.certificate.evolve(
                status=IssuanceState.ISSUED, serial=node.certificate.serial + 1, not_after=expiry
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
            raise ApiError("NotFound", f"node {request.node_id} not found")
        if node.certificate.status in TO_SIGN:
            self._waiting.setdefault(node.id, []).append(call)
        else:
            out.reply(call, node.certificate)

    def _issuance(self, request: IssueCertificate) -> Callable[[Any], str]:
        role = self._role(request.token)

        def change(tx: Any) -> str:
            id = _free_id(request.host, tx)
            certificate = Certificate(role=role, status=IssuanceState.PENDING)
            spec = NodeSpec(desired_role=role, availability=request.availability)
            tx.create(Node(id, spec, role, certificate=certificate))
            return id

        return change

    def _renewal(self, request: RenewCertificate) -> Callable[[Any], str]:
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


def _expiry(tx: Any) -> int:
    cluster = tx.store.cluster
    return int(cluster.spec.node_cert_expiry) if cluster is not None else 0


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
