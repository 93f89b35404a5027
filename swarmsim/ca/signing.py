"""Who signs a certificate: the swarm's own key, or an external CA (SwarmKit ca/external.go, server.go `signNodeCert`).

External CAs that vouch for the root in question come first, and if there are any the own key is not used. During a
rotation that root is the next one: what was set up for the old root is ignored.
"""

from __future__ import annotations

from collections.abc import Callable

from ..api.objects import Cluster
from ..api.specs import ExternalCa, RootCertificate
from ..machine import SECOND, Micros

#: server.go `reconciliationRetryInterval`: what could not be signed is tried again.
RETRY: Micros = 10 * SECOND

#: Does it answer, with a certificate of that root?
Reachable = Callable[[ExternalCa, RootCertificate], bool]


def nobody(external: ExternalCa, root: RootCertificate) -> bool:
    """The simulated world has no external signers."""
    return False


def can_sign(cluster: Cluster, reachable: Reachable) -> bool:
    """False: nobody can at present, which may change."""
    root = cluster.root
    signer, key = root.signer, root.ca_key if root.rotation is None else root.rotation.ca_key
    external = [e for e in cluster.spec.external_cas if (e.certificate or root.ca_cert) == signer]
    if not external:
        return bool(key)
    return any(e.protocol == "cfssl" and reachable(e, signer) for e in external)
