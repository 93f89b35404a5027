"""The root that a swarm begins with: made by the host that begins it (`docker swarm init`), and named after it."""

from __future__ import annotations

from ..api.objects import RootCa
from ..api.specs import RootCertificate


def first_root(host: str) -> RootCa:
    """SwarmKit ca/certificates.go `CreateRootCA`; keys and bytes are not modelled, which is which is."""
    return RootCa(RootCertificate(f"root-{host}", f"key-{host}"), f"key-{host}")
