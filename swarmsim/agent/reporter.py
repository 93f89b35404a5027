"""The reporter: brings the newest status of each task to the dispatcher, however long it takes.

SwarmKit agent/reporter.go. Never goes back, one request under way at a time; what changes meanwhile joins the next.
Departure (2026-11-24): the original sends one request a task, this one all that are due; the dispatcher gathers
them for 100 ms either way.
"""

from __future__ import annotations

from ..api.objects import TaskStatus

Updates = tuple[tuple[str, TaskStatus, int], ...]  # (task id, status, cause)


class Reporter:
    def __init__(self) -> None:
        self._due: dict[str, tuple[TaskStatus, int]] = {}
        self._under_way: Updates = ()

    def queue(self, task_id: str, status: TaskStatus, cause: int) -> None:
        known = self._due.get(task_id)
        if known is None or status.state >= known[0].state:
            self._due[task_id] = (status, cause)

    @property
    def ready(self) -> bool:
        """Is there something to send, and nothing under way?"""
        return bool(self._due) and not self._under_way

    def take(self) -> Updates:
        """All that is due is under way now, until `done` or `give_back`."""
        assert not self._under_way, "two requests at a time"
        due, self._due = self._due, {}
        self._under_way = tuple((id, status, cause) for id, (status, cause) in due.items())
        return self._under_way

    def done(self) -> None:
        self._under_way = ()

    def give_back(self) -> None:
        """The request failed, or its session did: all of it is due again, unless a newer status came."""
        updates, self._under_way = self._under_way, ()
        newer, self._due = self._due, {id: (status, cause) for id, status, cause in updates}
        for id, (status, cause) in newer.items():
            self.queue(id, status, cause)

    def forget(self, task_id: str) -> None:
        self._due.pop(task_id, None)
