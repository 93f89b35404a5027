"""Grace, registration limit and batching of the dispatcher (SwarmKit manager/dispatcher/nodes.go, dispatcher.go)."""

from __future__ import annotations

from ...machine import Micros

GRACE_MULTIPLIER = 3
#: A node that was marked UNKNOWN when the leader changed gets twice the time.
UNKNOWN_MULTIPLIER = 2
RATE_LIMIT_PERIOD: Micros = 8_000_000
RATE_LIMIT_COUNT = 3
BATCH_INTERVAL: Micros = 100_000
BATCH_ITEMS = 10_000
ORPHAN_AFTER: Micros = 24 * 3_600_000_000


class RateLimit:
    """Registrations of one node: at most 3 in 8 s once the dispatcher has an entry for it (nodes.go)."""

    __slots__ = ("attempts", "registered_at")

    def __init__(self) -> None:
        self.attempts = 0
        self.registered_at: Micros | None = None

    def allows(self, now: Micros) -> bool:
        if self.registered_at is None or now - self.registered_at > RATE_LIMIT_PERIOD:
            self.attempts = 0
        self.attempts += 1
        if self.attempts > RATE_LIMIT_COUNT:
            return False
        self.registered_at = now
        return True
