"""What a node knows of itself: its identity, an order to join, what it was handed over with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ..api.objects import Certificate, Node
from ..api.states import Availability, NodeRole
from ..ca.renewal import BACKDATE
from ..machine import Micros
from ..raft.raft import RawNode


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


__all__ = ["Formed", "Identity", "Join"]
