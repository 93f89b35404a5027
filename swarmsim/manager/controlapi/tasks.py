"""Tasks (SwarmKit manager/controlapi/task.go)."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from ...api import messages as m
from ...api.objects import Task
from ...machine import Outbox
from ...store.memory_store import MemoryStore
from .lookup import Serves, find, still


class Tasks:
    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.serve: Serves = {m.GetTask: self.get, m.RemoveTask: self.remove}

    def get(self, request: m.GetTask, out: Outbox) -> Task:
        found: Task = find(self.store, Task, request.task_id)
        return found

    def remove(self, request: m.RemoveTask, out: Outbox) -> Generator[Any, Any, Any]:
        task: Task = find(self.store, Task, request.task_id)

        def change(tx: Any) -> None:
            still(tx, Task, task.id, request.task_id)
            tx.delete(Task, task.id)

        return (yield out.update(change))
