"""What a node shall run: the assignments stream of one session (SwarmKit manager/dispatcher/assignments.go).

First everything (COMPLETE), then what changed (INCREMENTAL). Secrets and configs travel with the tasks that use
them, before them, and go when the last of those is over. Changes of a secret or config are never pushed.
"""

from __future__ import annotations

from typing import Any

from ...api.messages import AssignmentsMessage
from ...api.objects import Config, Secret, Task
from ...api.states import TaskState
from ...store.memory_store import MemoryStore

ASSIGNED, RUNNING = TaskState.ASSIGNED, TaskState.RUNNING

Dependency = tuple[type, str]  # (Secret or Config, id)


class AssignmentSet:
    """The tasks and dependencies that one node was told of, and what it has not been told yet."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._tasks: dict[str, Task] = {}
        self._needs: dict[str, list[Dependency]] = {}  # task -> what it uses, as found when it came
        self._users: dict[Dependency, dict[str, None]] = {}  # dependency -> tasks that use it
        self._sequence = 0
        self._changed: dict[str, tuple[Task | None, int]] = {}  # None: removed
        self._new: dict[Dependency, bool] = {}  # True: send, False: remove
        self.modifications = 0  # events since the last message, however little there is to tell

    def add_or_update(self, task: Task, cause: int) -> bool:
        """A task of this node was written; returns whether the node must be told of something."""
        told = self._add_or_update(task, cause)
        self.modifications += told
        return told

    def _add_or_update(self, task: Task, cause: int) -> bool:
        if task.status.state < ASSIGNED:
            return False
        known = self._tasks.get(task.id)
        self._tasks[task.id] = task
        if known is not None and task.status.state > ASSIGNED and _equal_stable(known, task):
            return self._release(task) if task.status.state > RUNNING else False
        if known is None and task.status.state <= RUNNING:
            self._use(task)
        self._changed[task.id] = (task, cause)
        return True

    def remove(self, task: Task, cause: int) -> bool:
        """A task of this node was deleted."""
        if self._tasks.pop(task.id, None) is None:
            return False
        self._release(task)
        self._needs.pop(task.id, None)
        self._changed[task.id] = (None, cause)
        self.modifications += 1
        return True

    def _dependencies(self, task: Task) -> list[Dependency]:
        spec = task.spec.container
        wanted: list[Dependency] = []
        for kind, references in ((Secret, spec.secrets), (Config, spec.configs)):
            for reference in references:
                found: Any = self._store.by_name(kind, reference.name)
                if found is not None:  # a missing one is left out, the task is sent all the same
                    wanted.append((kind, found.id))
        return wanted

    def _use(self, task: Task) -> None:
        needs = self._dependencies(task)
        if needs:
            self._needs[task.id] = needs
        for key in needs:
            users = self._users.setdefault(key, {})
            if not users:
                self._new[key] = True
            users[task.id] = None

    def _release(self, task: Task) -> bool:
        """Each dependency without another user is removed, also one that was never sent (`releaseTaskDependencies`)."""
        told = False
        for key in self._needs.get(task.id) or self._dependencies(task):
            users = self._users.get(key, {})
            users.pop(task.id, None)
            if not users:
                self._users.pop(key, None)
                self._new[key] = False
                told = True
        return told

    def message(self, complete: bool) -> AssignmentsMessage:
        """Everything that was gathered, as the next message of the stream."""
        applies_to, self._sequence = str(self._sequence), self._sequence + 1
        self.modifications = 0
        changed, self._changed = self._changed, {}
        new, self._new = self._new, {}
        tables: Any = self._store.tables
        sent = [tables[kind].get(id) for (kind, id), add in new.items() if add]
        return AssignmentsMessage(
            complete,
            applies_to,
            str(self._sequence),
            tuple((task, cause) for task, cause in changed.values() if task is not None),
            tuple(s for s in sent if isinstance(s, Secret)),
            tuple(c for c in sent if isinstance(c, Config)),
            tuple(id for id, (task, _) in changed.items() if task is None),
            tuple(id for (kind, id), add in new.items() if not add and kind is Secret),
            tuple(id for (kind, id), add in new.items() if not add and kind is Config),
        )


def _equal_stable(a: Task, b: Task) -> bool:
    """Equal but for status and meta data (api/equality `TasksEqualStable`)."""
    return (
        a.desired_state == b.desired_state
        and (a.spec is b.spec or a.spec == b.spec)
        and a.networks == b.networks
        and a.endpoint == b.endpoint
        and a.node_id == b.node_id
    )
