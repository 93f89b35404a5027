"""A certificate's life: when its node renews it by itself, and whether it may still begin with it.

SwarmKit ca/renewer.go `calculateRandomExpiry` (S-12), ca/config.go `LoadSecurityConfig`.
"""

from __future__ import annotations

from random import Random

from ..errors import ApiError
from ..machine import SECOND, Micros

MINUTE: Micros = 60 * SECOND
#: ca/certificates.go `CertBackdate`: a certificate begins an hour before it is signed.
BACKDATE: Micros = 3_600 * SECOND


def renewal_at(valid_from: Micros, valid_until: Micros, rng: Random) -> Micros:
    """A random whole minute in [50 %, 80 %) of its life, so that the nodes of a swarm do not all ask at once."""
    minutes = (valid_until - valid_from) // MINUTE
    least, most = minutes // 2, minutes * 8 // 10
    return valid_from + MINUTE * (least if most - least < 1 else least + rng.randrange(most - least))


def check_validity(valid_from: Micros, valid_until: Micros, now: Micros, allow_expired: bool = False) -> None:
    """A node that starts must hold a certificate that is valid now. Raises `ApiError`.

    One that is still to begin is no use in any case; an expired one is where a swarm is forced to begin anew.
    """
    if now < valid_from or (now > valid_until and not allow_expired):
        raise ApiError("Unknown", "x509: certificate has expired or is not yet valid")
