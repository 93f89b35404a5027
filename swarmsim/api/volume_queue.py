"""Which cluster volume is worked on next, and how long after a failure it is tried again.

SwarmKit volumequeue/queue.go, shared by the manager's side and the agent's. Whoever owns a queue sets one timer for
`next_due` and pops what is due; asking for a volume that waits already moves it.
"""

from __future__ import annotations

Micros = int

BASE_RETRY: Micros = 100_000
MAX_RETRY: Micros = 600_000_000


def retry_after(attempt: int) -> Micros:
    """At once, then after 200 ms, 400 ms ... up to 10 min (`baseRetryInterval << attempt`)."""
    return min(BASE_RETRY << attempt, MAX_RETRY) if attempt else 0


class VolumeQueue:
    def __init__(self) -> None:
        self._waiting: dict[str, tuple[Micros, int]] = {}  # id -> (when it is due, attempt)

    def enqueue(self, id: str, attempt: int, now: Micros) -> None:
        """`attempt` counts the tries that failed."""
        self._waiting.pop(id, None)
        self._waiting[id] = (now + retry_after(attempt), attempt)

    def pop(self, now: Micros) -> tuple[str, int] | None:
        """The volume that has been due for longest, with its attempt; the first that was asked for among equals."""
        due = [(at, id) for id, (at, _) in self._waiting.items() if at <= now]
        if not due:
            return None
        _, id = min(due, key=lambda entry: entry[0])
        _, attempt = self._waiting.pop(id)
        return id, attempt

    def next_due(self) -> Micros | None:
        return min((at for at, _ in self._waiting.values()), default=None)
