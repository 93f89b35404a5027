"""The certificate authority of the leader: gives a joining node its id, its role and its certificate.

SwarmKit ca/server.go `IssueNodeCertificate`; reference/cluster.md 2.9, S-02. The role comes from the token. An
issuance costs two proposals: the node object with a PENDING certificate, then ISSUED.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from ..api.messages import Forwarded, IssueCertificate
from ..api.objects import Certificate, Node, NodeDescription
from ..api.specs import NodeSpec
from ..api.states import IssuanceState, NodeRole
from ..errors import ApiError
from ..machine import Address, Call, Handler, Machine, Outbox
from ..store.memory_store import MemoryStore

BAD_TOKEN = "A valid join token is necessary to join this cluster"


class Authority(Machine):
    def __init__(self, node: str, store: MemoryStore) -> None:
        self.node = node
        self.store = store

    def on_message(self, src: Address, message: Any, out: Outbox) -> Handler:
        return None

    def on_call(self, call: Call, out: Outbox) -> Handler:
        out.start(self._answer(call, out))
        return None

    def _answer(self, call: Call, out: Outbox) -> Generator[Any, Any, None]:
        request = call.request.request if type(call.request) is Forwarded else call.request
        try:
            assert isinstance(request, IssueCertificate), f"the authority got {request!r}"
            answer = yield from self._issue(request, out)
        except ApiError as error:
            out.fail(call, error)
            return
        out.reply(call, answer)

    def _issue(self, request: IssueCertificate, out: Outbox) -> Generator[Any, Any, tuple[str, NodeRole]]:
        role = self._role(request.token)

        def create(tx: Any) -> str:
            id = _free_id(request.host, tx)
            certificate = Certificate(role=role, status=IssuanceState.PENDING)
            spec = NodeSpec(desired_role=role, availability=request.availability)
            tx.create(Node(id, spec, role, description=NodeDescription(request.host), certificate=certificate))
            return id

        def sign(tx: Any) -> None:
            node: Node | None = tx.get(Node, id)
            if node is not None:
                tx.update(node.evolve(certificate=node.certificate.evolve(status=IssuanceState.ISSUED)))

        id = yield out.update(create)
        yield out.update(sign)
        return id, role

    def _role(self, token: str) -> NodeRole:
        """The token decides: SWMTKN-1-<digest of the root>-<secret>, one secret for each role."""
        cluster = self.store.cluster
        if cluster is not None and token == cluster.join_token_manager:
            return NodeRole.MANAGER
        if cluster is not None and token == cluster.join_token_worker:
            return NodeRole.WORKER
        raise ApiError("InvalidArgument", BAD_TOKEN)


def _free_id(host: str, tx: Any) -> str:
    """Ids of nodes are readable here: the host's name, with a number when that host joined before."""
    id, n = host, 1
    while tx.get(Node, id) is not None:
        n += 1
        id = f"{host}~{n}"
    return id
