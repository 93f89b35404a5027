"""The count of a replicated job, kept from one reconcile to the next.

The original goes through all tasks of a job whenever one of them ends, which for a job of many tasks is quadratic. What
is finished stays finished, so here only the *open* tasks of the present iteration are looked at; `scan` is the
original's way, used when the service changed. The answers are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush

from ...api.objects import Service, Task
from ...api.specs import ReplicatedJob
from ...api.states import TaskState
from ...store import MemoryStore


class Tally:
    """Which tasks are complete, running or failed, and which slots are free, in the present iteration of a job.

    Valid as long as `service` is the store's, and none of its tasks was deleted.
    """

    def __init__(self, service: Service) -> None:
        mode = service.spec.mode
        assert isinstance(mode, ReplicatedJob)
        self.service = service
        self.complete = 0
        self.running = 0  # includes the failed, which are to be restarted
        self.failed: list[Task] = []
        self._open: dict[str, int] = {}  # task -> slot; of some the commit may still be under way
        self._holders: dict[int, int] = {}  # slot -> how many open or complete tasks hold it
        self._free = list(range(mode.total_completions))  # a heap; slots that are held are passed over

    @classmethod
    def scan(cls, service: Service, store: MemoryStore) -> Tally:
        """jobs/replicated/reconciler.go `ReconcileService`, the counting."""
        tally = cls(service)
        for task in store.tasks_of_service(service.id):
            if tally.is_present(task):
                tally.add(task.id, task.slot)
        tally.refresh(store)
        return tally

    def is_present(self, task: Task) -> bool:
        return task.job_iteration == self.service.job_iteration

    def add(self, task_id: str, slot: int) -> None:
        """A task that was created, or is about to be."""
        self._open[task_id] = slot
        self._holders[slot] = self._holders.get(slot, 0) + 1

    def refresh(self, store: MemoryStore) -> None:
        """Look at the open tasks as they are now."""
        self.running, self.failed = 0, []
        for task_id in list(self._open):
            task = store.tasks.get(task_id)
            if task is None:
                continue  # its commit is under way
            if task.status.state is TaskState.COMPLETE:
                self.complete += 1
                del self._open[task_id]
            elif task.desired_state > TaskState.COMPLETE:
                self._give_back(task_id)
            else:
                self.running += 1
                if task.status.state > TaskState.COMPLETE:
                    self.failed.append(task)

    def _give_back(self, task_id: str) -> None:
        """It was shut down without being complete."""
        slot = self._open.pop(task_id)
        self._holders[slot] -= 1
        if not self._holders[slot]:
            heappush(self._free, slot)

    def free_slots(self) -> Iterator[int]:
        """The lowest slots that no open or complete task holds. Whoever takes one must `add` a task to it.

        When none is left, which can only be after the total was lowered, the original gives slot 0 again and again.
        """
        while self._free:
            slot = heappop(self._free)
            if not self._holders.get(slot):
                yield slot
        while True:
            yield 0
