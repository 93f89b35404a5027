"""Named random streams: a draw added in one place moves nothing elsewhere.

`stream(7, "latency", "m1", "w2")` gives the same sequence in every process: the seed is text, which CPython
hashes with SHA-512, not with the process's hash seed.
"""

from __future__ import annotations

from random import Random


def stream(seed: int, *names: str) -> Random:
    """The stream of that name under that seed."""
    return Random("/".join((str(seed), *names)))
