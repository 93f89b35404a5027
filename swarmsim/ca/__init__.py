"""Brains: the swarm's certificate authority (SwarmKit ca/). Read `authority` first.

Every manager can sign; the leader does. A certificate is modelled as its state: whose it is, which role, until when,
signed by which root; keys and bytes are not. All traffic between hosts is mutual TLS, so who holds no certificate
of this swarm can only ask for one.

Built so far (2026-11-24): join tokens, the first certificate of a node. Renewal, rotation of the root and promotion
come later.
"""

from .authority import Authority

__all__ = ["Authority"]
