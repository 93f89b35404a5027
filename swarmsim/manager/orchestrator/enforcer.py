"""What both enforcers do: evict tasks because of an object that has changed so that it no longer suits them.

An enforcer looks at all such objects at the start, and at one whenever that changes. Evicted means observed REJECTED:
what follows is the orchestrator's business.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from ...api.messages import Committed
from ...api.objects import Task
from ...api.states import TaskState
from ...machine import Address, Handler, Machine, Outbox
from ...store import MemoryStore, Transaction
from ...store.actions import UPDATE
from .task import StoreChange, write
from .waiting import Work


class Eviction(NamedTuple):
    task: Task
    cause: int


class Enforcer(Machine):
    """`watched`: the kind of object that it looks at. `message` and `error`: what an evicted task's status says."""

    watched: ClassVar[type]
    message: ClassVar[str]
    error: ClassVar[str]

    def __init__(self, node: str, store: MemoryStore) -> None:
        self.node = node
        self.store = store

    @abstractmethod
    def _evicted_by(self, obj: Any, /) -> list[Task]:
        """The tasks that the object no longer suits, in the order of the store."""

    @abstractmethod
    def _may_evict(self, task: Task) -> bool:
        """As the transaction finds the task: can it still be evicted?"""

    def on_start(self, saved: Mapping[Any, Any], out: Outbox) -> Handler:
        watched = list(self.store.tables[self.watched].values())
        return self._evict([Eviction(t, out.cause) for obj in watched for t in self._evicted_by(obj)], out)

    def on_message(self, src: Address, message: Any, out: Outbox) -> Handler:
        assert isinstance(message, Committed), f"an enforcer got {message!r}"
        evictions = [
            Eviction(task, change.cause)
            for change in message.changes
            if type(change.new) is self.watched and change.kind is UPDATE
            for task in self._evicted_by(change.new)
        ]
        return self._evict(evictions, out) if evictions else None

    def _evict(self, evictions: list[Eviction], out: Outbox) -> Work:
        if evictions:
            yield from write([self._reject(task.id, cause) for task, cause in evictions], evictions[0].cause, out)

    def _reject(self, task_id: str, cause: int) -> StoreChange:
        def change(tx: Transaction) -> None:
            task: Task | None = tx.get(Task, task_id)
            if task is not None and self._may_evict(task):
                rejected = {"state": TaskState.REJECTED, "message": self.message, "err": self.error}
                tx.update(task.evolve(status=task.status.evolve(**rejected, timestamp=tx.now)), cause)

        return change
