"""Join tokens as a node reads them, before it says anything to anybody (SwarmKit ca/config.go `ParseJoinToken`).

`SWMTKN-1-<digest of the root>-<secret>`, or `SWMTKN-2-<FIPS: 0 or 1>-<digest>-<secret>`. The digest is what lets a node
trust the first manager that it meets: the root that this one shows must have it.
"""

from __future__ import annotations

from typing import NamedTuple

from ..errors import ApiError

DIGEST_LENGTH = 50
SECRET_LENGTH = 25
#: Version -> how many parts such a token has.
PARTS = {"1": 4, "2": 5}

INVALID_TOKEN = "invalid join token"
OTHER_FINGERPRINT = "remote CA does not match fingerprint."


class JoinToken(NamedTuple):
    digest: str
    secret: str
    fips: bool = False


def parse_join_token(token: str) -> JoinToken:
    """Raises `ApiError`."""
    prefix, _, rest = token.partition("-")
    version, _, _ = rest.partition("-")
    parts = token.split("-")
    if prefix != "SWMTKN" or len(parts) != PARTS.get(version):
        raise ApiError("Unknown", INVALID_TOKEN)
    flag = parts[2] if version == "2" else "0"
    digest, secret = parts[-2:]
    if flag not in ("0", "1") or len(digest) != DIGEST_LENGTH or len(secret) != SECRET_LENGTH:
        raise ApiError("Unknown", INVALID_TOKEN)
    return JoinToken(digest, secret, flag == "1")


def check_fingerprint(token: JoinToken, digest: str) -> None:
    """Is it the root that the token speaks of (ca/certificates.go `DownloadRootCA`)? Raises `ApiError`."""
    if token.digest != digest:
        raise ApiError("Unknown", OTHER_FINGERPRINT)
