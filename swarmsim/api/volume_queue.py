"""Which cluster volume is worked on next, and how long after a failure it is tried again.

SwarmKit volumequeue/queue.go, shared by the manager's side and the agent's. Asking for a volume that waits already
moves it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Protocol

from .csi import CsiError

TIMER = "volumes"

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


class Worker(Protocol):
    """What the work needs of its owner's outbox."""

    now: Micros

    def start(self, handler: Generator[Any, Any, Any] | None) -> None: ...

    def set_timer(self, name: Any, delay: Micros) -> None: ...


class VolumeWork(VolumeQueue):
    """A queue that is worked off, one volume at a time, as long as any is due.

    `handle` does what there is to do for a volume; it raises `CsiError` where that must be tried again. Call `go_on`
    when something was enqueued, and when the timer `TIMER` rings.
    """

    def __init__(self, handle: Callable[[str, Any], Generator[Any, Any, None]]) -> None:
        super().__init__()
        self._handle = handle
        self._working = False

    def go_on(self, out: Worker) -> None:
        due = self.next_due()
        if due is not None and due <= out.now and not self._working:
            out.start(self._work(out))

    def _work(self, out: Worker) -> Generator[Any, Any, None]:
        self._working = True
        while (due := self.pop(out.now)) is not None:
            id, attempt = due
            try:
                yield from self._handle(id, out)
            except CsiError:
                self.enqueue(id, attempt + 1, out.now)
        self._working = False
        at = self.next_due()
        if at is not None:
            out.set_timer(TIMER, at - out.now)
