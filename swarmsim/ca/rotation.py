"""Rotation of the root: makes every node get a certificate of the next root, then makes that the present one.

SwarmKit ca/reconciler.go `rootRotationReconciler`. A node has converged when the issuer
that it *reports* (its description's TLS info) is the next root; so one that is down, or does not report, holds the
rotation up until it comes back or is removed. Every three seconds thirty nodes are told to renew, by ROTATE in their
certificate's status. When all have, one write ends it: the next root is the root, and there are new join tokens.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any, Protocol

from ..api.ids import new_id
from ..api.objects import Cluster, Node, RootCa
from ..api.states import IssuanceState, Membership
from ..machine import SECOND, Micros, Outbox

TIMER = "rotation"
INTERVAL: Micros = 3 * SECOND
#: `IssuanceStateRotateMaxBatchSize`.
BATCH = 30
#: Whose certificate is on its way, or who was told already.
ON_THE_WAY = (IssuanceState.RENEW, IssuanceState.PENDING, IssuanceState.ROTATE)


class Store(Protocol):
    """What the authority and its rotations read of their manager's store."""

    nodes: dict[str, Node]

    @property
    def cluster(self) -> Cluster | None: ...


class RootRotations:
    """A part of the certificate authority, which tells it of what changes."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._root: RootCa | None = None  # as it was seen last
        self._unconverged: dict[str, None] = {}
        self._epoch = 0  # a rotation with another target ends the loop of the former

    # -- what changes --
    def root_changed(self, cluster: Cluster | None, out: Outbox) -> None:
        """`UpdateRootCA`: with another issuer all nodes are looked at, and another loop begins."""
        if cluster is None:
            return
        before, self._root = self._root, cluster.root
        if before is not None and _issuer(before) == _issuer(cluster.root):
            return
        self._epoch += 1
        out.cancel_timer(TIMER)
        self._unconverged = {}
        if cluster.root.rotation is None:
            return
        nodes = self.store.nodes.values()
        accepted = (n for n in nodes if n.spec.membership is Membership.ACCEPTED)
        self._unconverged = {n.id: None for n in accepted if not self._has_converged(n)}
        out.start(self._reconcile(self._epoch, out))

    def node_changed(self, node: Node, gone: bool) -> None:
        if self._root is None or self._root.rotation is None:
            return
        if gone or self._has_converged(node):
            self._unconverged.pop(node.id, None)
        else:
            self._unconverged[node.id] = None

    def _has_converged(self, node: Node) -> bool:
        assert self._root is not None, "no root has been seen"
        return node.description is not None and node.description.tls_issuer == _issuer(self._root)

    # -- the loop --
    def tick(self, out: Outbox) -> None:
        if self._root is not None and self._root.rotation is not None:
            out.start(self._reconcile(self._epoch, out))

    def _reconcile(self, epoch: int, out: Outbox) -> Generator[Any, Any, None]:
        """`runReconcilerLoop`, once round."""
        root = self._root
        assert root is not None, "a rotation without a root"
        if self._unconverged:
            yield out.batch([_rotate(id) for id in self._to_tell()])
        else:
            ids = tuple(new_id(out.rng) for _ in range(4))
            finished = yield out.update(lambda tx: _finish(root, ids, tx))
            if finished:
                return
        if epoch == self._epoch:
            out.set_timer(TIMER, INTERVAL)

    def _to_tell(self) -> list[str]:
        nodes = (self.store.nodes.get(id) for id in self._unconverged)
        idle = [n.id for n in nodes if n is not None and n.certificate.status not in ON_THE_WAY]
        return idle[:BATCH]


def _issuer(root: RootCa) -> str:
    return root.signer.name


def _rotate(node_id: str) -> Any:
    """Its certificate shall be renewed; unless that has begun meanwhile (`batchUpdateNodes`)."""

    def change(tx: Any) -> None:
        node: Node | None = tx.get(Node, node_id)
        if node is not None and node.certificate.status not in ON_THE_WAY:
            tx.update(node.evolve(certificate=node.certificate.evolve(status=IssuanceState.ROTATE)))

    return change


def _finish(expected: RootCa, ids: Iterable[str], tx: Any) -> bool:
    """`finishRootRotation`: not if the root is another by now, of which this loop has not heard yet."""
    cluster: Cluster | None = next(iter(tx.all(Cluster)), None)
    if cluster is None or cluster.root != expected or expected.rotation is None:
        return False
    rotation = expected.rotation
    first, second, worker, manager = ids
    digest = (first + second)[:50]
    tx.update(
        cluster.evolve(
            root=RootCa(rotation.ca_cert, rotation.ca_key, None, expected.last_forced_rotation),
            ca_digest=digest,
            join_token_worker=f"SWMTKN-1-{digest}-{worker}",
            join_token_manager=f"SWMTKN-1-{digest}-{manager}",
        )
    )
    return True
