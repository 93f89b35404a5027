"""Brains: the swarm's certificate authority (SwarmKit ca/). Read `authority` first.

Every manager can sign; the leader does. A certificate is modelled as its state: whose it is, which role, until when,
signed by which root; keys and bytes are not. All traffic between hosts is mutual TLS, so who holds no certificate
of this swarm can only ask for one.

`authority` serves join tokens, first certificates, renewals (also those of promotion and demotion) and the unlock key;
`rotation` replaces the root, `signing` says who can sign. What a node itself does with tokens, roots and certificates
that near their end is in `tokens`, `root` and `renewal`.
"""

from .authority import Authority

__all__ = ["Authority"]
