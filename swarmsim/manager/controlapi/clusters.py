"""The cluster "default" (SwarmKit manager/controlapi/cluster.go): settings, join tokens, the unlock key.

Which root of trust it has, and shall have, is in `ca_rotation`.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any

from ...api import messages as m
from ...api.ids import new_id
from ...api.objects import Cluster
from ...api.specs import ROOT_LIFE, ClusterSpec, RootCertificate
from ...ca.signing import Reachable, nobody
from ...errors import ApiError
from ...machine import SECOND, Micros, Outbox
from ...store.memory_store import MemoryStore
from .ca_rotation import CaConfig
from .lookup import Serves, invalid_argument

HOUR: Micros = 3_600 * SECOND
MIN_CERT_EXPIRY: Micros = HOUR
#: How long a removed node's entry outlives its certificate (`expiredCertGrace`).
EXPIRED_CERT_GRACE: Micros = 7 * 24 * HOUR


class Clusters:
    """`reachable` says whether an external CA answers."""

    def __init__(self, store: MemoryStore, reachable: Reachable = nobody) -> None:
        self.store = store
        self.reachable = reachable
        self.serve: Serves = {m.UpdateCluster: self.update}

    def update(self, request: m.UpdateCluster, out: Outbox) -> Generator[Any, Any, Any]:
        spec, version = request.spec, request.version
        if version is None or spec is None:
            raise invalid_argument()
        check_cluster_spec(spec)
        *fresh, name = (new_id(out.rng) for _ in range(4))
        generated = RootCertificate(f"root-{name}", f"key-{name}", out.now + ROOT_LIFE, out.now)

        def change(tx: Any) -> Cluster:
            known = next(iter(tx.all(Cluster)), None)
            if known is None:
                raise ApiError("NotFound", "cluster default not found")
            cluster: Cluster = without_expired(known, tx.now)
            root = CaConfig(cluster, spec, generated, self.reachable, tx.now).wanted_root()
            worker, manager = cluster.join_token_worker, cluster.join_token_manager
            written: Cluster = tx.update(
                cluster.evolve(
                    spec=spec,
                    root=root,
                    join_token_worker=_rotated(worker, fresh[0]) if request.rotate_worker_token else worker,
                    join_token_manager=_rotated(manager, fresh[1]) if request.rotate_manager_token else manager,
                    unlock_key=_unlock_key(cluster, spec, request.rotate_unlock_key, fresh[2]),
                    version=version,
                )
            )
            return redacted(written)

        return (yield out.update(change))


def check_cluster_spec(spec: ClusterSpec) -> None:
    if spec.node_cert_expiry < MIN_CERT_EXPIRY:
        raise invalid_argument("minimum certificate expiry time is: 1h0m0s")
    if spec.heartbeat_period < 0:
        raise invalid_argument("heartbeat time period cannot be a negative duration")
    if spec.name != "default":
        raise invalid_argument("modification of cluster name is not allowed")


def _rotated(token: str, secret: str) -> str:
    """The digest of the root stays; later joins need the new secret."""
    return f"{token.rpartition('-')[0]}-{secret}"


def _unlock_key(cluster: Cluster, spec: ClusterSpec, rotate: bool, fresh: str) -> str:
    """Made when autolock is switched on or the flag asks for another one; dropped when it is off."""
    if not spec.autolock:
        return ""
    return fresh if rotate or not cluster.unlock_key else cluster.unlock_key


def redacted(cluster: Cluster) -> Cluster:
    """As it leaves the manager: without keys.

    Nor with the certificate that the spec asked for: who sent that back without its key would ask for an external CA.
    """
    spec = replace(cluster.spec, signing_ca_cert=None, signing_ca_key="")
    rotation = cluster.root.rotation
    root = cluster.root.evolve(ca_key="", rotation=rotation and rotation.evolve(ca_key=""))
    return cluster.evolve(spec=spec, root=root, unlock_key="", network_keys=())


def without_expired(cluster: Cluster, now: Micros) -> Cluster:
    """Without removed nodes whose certificates expired more than a week ago (`expireBlacklistedCerts`).

    An entry without an expiry stays for good.
    """
    kept = tuple((id, at) for id, at in cluster.blacklisted if not at or at + EXPIRED_CERT_GRACE >= now)
    return cluster.evolve(blacklisted=kept)
