"""The worker: the tasks of one node, each carried by a handler of its own, kept over restarts of the engine.

SwarmKit agent/worker.go, agent/task.go, agent/storage.go. A changed task cancels the running operation and goes on
with the new desired state; a lower desired state than the known one is ignored. Nothing is restarted here: a
container that exits ends its task for good.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

from ..api.objects import Task, TaskStatus
from ..api.states import TaskState
from ..machine import Outbox
from ..trace.events import TaskAccepted
from .controller import Binding, do, has_binding, remove


@dataclass(slots=True)
class Managed:
    """One task with its own idea of its status. `epoch` grows when a change cancels what was under way."""

    task: Task
    status: TaskStatus
    epoch: int = 0


Report = Callable[[str, TaskStatus, Outbox], None]


class Worker:
    def __init__(self, binding: Binding, report: Report) -> None:
        self.tasks: dict[str, Managed] = {}
        self._binding = binding
        self._report = report

    def restore(self, saved: Mapping[Any, Any], out: Outbox) -> None:
        """After a restart: assigned tasks go on with the saved status (agent/worker.go `Init`)."""
        for task, status in saved.values():
            managed = self.tasks[task.id] = Managed(task, status)
            out.start(self._run(managed, out))

    def replace(self, tasks: tuple[tuple[Task, int], ...], out: Outbox) -> None:
        """A complete assignment: tasks that are not listed are removed, after the others have begun (`reconcile`)."""
        listed = {task.id for task, _ in tasks}
        for task, cause in tasks:
            self.assign(task, cause, out)
        for id in [id for id in self.tasks if id not in listed]:
            self.remove(id, out)

    def assign(self, task: Task, cause: int, out: Outbox) -> None:
        out.cause = cause or out.cause
        managed = self.tasks.get(task.id)
        if managed is None:
            managed = self.tasks[task.id] = Managed(task, task.status)
        elif task.desired_state < managed.task.desired_state:
            return  # never goes back
        elif task.desired_state == managed.task.desired_state and task.spec == managed.task.spec:
            managed.task = task
            self._save(managed, out)
            return
        managed.task = task
        self._save(managed, out)
        out.start(self._run(managed, out))

    def remove(self, task_id: str, out: Outbox) -> None:
        """The managers deleted the task: its container goes, and it is forgotten."""
        managed = self.tasks.pop(task_id, None)
        if managed is None:
            return
        managed.epoch += 1
        out.save({task_id: None})
        out.start(remove(managed.task, managed.status, self._binding, out))

    def _save(self, managed: Managed, out: Outbox) -> None:
        out.save({managed.task.id: (managed.task, managed.status)})

    def _run(self, managed: Managed, out: Outbox) -> Generator[Any, Any, None]:
        """Step after step until there is nothing to do, or a change begins another run."""
        managed.epoch += 1
        epoch = managed.epoch
        while True:
            step = yield from do(managed.task, managed.status, self._binding, lambda: managed.epoch != epoch, out)
            if step is None or managed.epoch != epoch:
                return
            state = step.state
            managed.status = TaskStatus(state, step.message, step.err, out.now, step.exit_code)
            self._save(managed, out)
            if state == TaskState.ACCEPTED:
                out.emit(TaskAccepted(out.address.node, managed.task.id, managed.task.name))
            elif state == TaskState.RUNNING and has_binding(managed.task):
                self._binding.activate(managed.task, out)
            elif state > TaskState.RUNNING and has_binding(managed.task):
                self._binding.remove(managed.task, out)
            self._report(managed.task.id, managed.status, out)
