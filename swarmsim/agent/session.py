"""Which manager an agent talks to, and how patiently it tries again.

SwarmKit remotes/remotes.go (weights), agent/agent.go (backoff).
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Protocol

from ..errors import ApiError
from ..machine import Micros

WEIGHT_OBSERVED = 10
WEIGHT_MAX = 256
BIAS = 0.001
RPC_TIMEOUT: Micros = 5_000_000
BACKOFF_BASE: Micros = 100_000
BACKOFF_MAX: Micros = 8_000_000


class Remotes:
    """Known managers with their weights. A healthy one is drawn far more often than one that failed."""

    def __init__(self, hosts: Iterable[str]) -> None:
        self.weights: dict[str, int] = {}
        for host in hosts:
            self.observe(host, WEIGHT_OBSERVED)

    def observe(self, host: str, weight: int) -> None:
        """Move the weight half-way to what was observed: `ceil(0.5 * observation + 0.5 * weight)`."""
        moved = -((-weight - self.weights.get(host, 0)) // 2)
        self.weights[host] = max(-WEIGHT_MAX, min(WEIGHT_MAX, moved))

    def announce(self, hosts: Iterable[str]) -> None:
        """A session message lists all managers: they are observed, others forgotten."""
        known = dict.fromkeys(hosts)
        for host in known:
            self.observe(host, WEIGHT_OBSERVED)
        for host in [h for h in self.weights if h not in known]:
            del self.weights[host]

    def pick(self, rng: Random) -> str | None:
        """Weighted at random; negative weights count as nothing, the bias gives everybody a chance."""
        if not self.weights:
            return None
        total = 0.0
        sums = []
        for host, weight in self.weights.items():
            total += max(weight, 0) + BIAS
            sums.append((total, host))
        point = rng.random() * total
        return next((host for limit, host in sums if point < limit), sums[-1][1])


def next_backoff(backoff: Micros) -> Micros:
    """100, 300, 700, 1500, 3100, 6300, 8000 ms; the wait is uniform in [0, backoff)."""
    return min(BACKOFF_BASE + 2 * backoff, BACKOFF_MAX)


class SessionTracker(Protocol):
    """Is told what becomes of an agent's sessions, and may end the agent (agent/config.go `SessionTracker`)."""

    def established(self) -> None: ...

    def failed(self, error: ApiError) -> None: ...

    def closed(self) -> ApiError | None:
        """The error that the agent shall end with, None: it tries again."""


class FirstSessionTracker:
    """A node that never had a session and whose certificate nobody trusts need not try again.

    SwarmKit node/node.go `firstSessionErrorTracker`.
    """

    def __init__(self) -> None:
        self._past_first_session = False
        self._error: ApiError | None = None

    def established(self) -> None:
        self._past_first_session = True

    def failed(self, error: ApiError) -> None:
        self._error = error

    def closed(self) -> ApiError | None:
        error = self._error
        if self._past_first_session or error is None or error.code != "Internal":
            return None
        return error if error.text.startswith("connection error") and "transport: x509:" in error.text else None
