"""Identifiers as SwarmKit makes them: 25 characters of base 36 (identity/randomid.go), from a given stream."""

from __future__ import annotations

from random import Random

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def new_id(rng: Random) -> str:
    """A fresh object id; 128 bits of the stream, as in the original."""
    n = rng.getrandbits(128)
    out = []
    for _ in range(25):
        n, digit = divmod(n, 36)
        out.append(_DIGITS[digit])
    return "".join(reversed(out))
