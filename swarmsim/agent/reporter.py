"""The reporter: brings the newest status of each task to the dispatcher, however long it takes.

SwarmKit agent/reporter.go. Never goes back, one request under way at a time; what changes meanwhile joins the next.
Departure (2026-11-24): the original sends one request a task, this one all that are due; the dispatcher gathers
them for 100 ms either way.
"""

from __future__ import annotations

from ..api.objects import TaskStatus


class Reporter:
    def __init__(self) -> None:
        self._due: dict[str, tuple[TaskStatus, int]] = {}
        self.sending = False

    def queue(self, task_id: str, status: TaskStatus, cause: int) -> None:
        known = self._due.get(task_id)
        if known is None or status.state >= known[0].state:
            self._due[task_id] = (status, cause)

    @property
    def idle(self) -> bool:
        return self.sending or not self._due

    def take(self) -> tuple[tuple[str, TaskStatus, int], ...]:
        due, self._due = self._due, {}
        return tuple((id, status, cause) for id, (status, cause) in due.items())

    def give_back(self, updates: tuple[tuple[str, TaskStatus, int], ...]) -> None:
        """The request failed: all of it is due again, unless a newer status came."""
        newer, self._due = self._due, {}
        for id, status, cause in updates:
            self._due[id] = (status, cause)
        for id, (status, cause) in newer.items():
            self.queue(id, status, cause)

    def forget(self, task_id: str) -> None:
        self._due.pop(task_id, None)
