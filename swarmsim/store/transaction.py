"""A scratch copy of changes with the store's rules (SwarmKit manager/state/store/memory.go `tx`).

The leader runs a change function on a transaction; what it gathered is proposed, and applied when committed. A change
sees its own writes. Errors are `ApiError`s with the real texts; after one, nothing of the transaction remains.
"""

from __future__ import annotations

from typing import Any

from ..api.objects import Config, Secret, Task
from ..errors import ApiError
from .actions import CREATE, REMOVE, UPDATE, Action
from .memory_store import NAMED, MemoryStore, SlotKey, slot_key


class ExistsError(ApiError):
    def __init__(self) -> None:
        super().__init__("Unknown", "object already exists")


class NotExistError(ApiError):
    def __init__(self) -> None:
        super().__init__("Unknown", "object does not exist")


class NameConflictError(ApiError):
    def __init__(self) -> None:
        super().__init__("Unknown", "name conflicts with an existing object")


class SequenceError(ApiError):
    """The object changed since the caller read it."""

    def __init__(self) -> None:
        super().__init__("Unknown", "update out of sequence")


class Transaction:
    """Changes upon `store`, not yet proposed. `now` stamps created_at and updated_at."""

    def __init__(self, store: MemoryStore, now: int, cause: int = 0) -> None:
        self.store = store
        self.now = now
        self.cause = cause
        self.actions: list[Action] = []
        self.size = 0  # bytes, of the data of secrets and configs: nothing else comes near the limit
        self._version = store.index  # the index at the start of the transaction (memory.go)
        self._written: dict[type, dict[str, Any]] = {}  # id -> object, or None when removed
        self._names: dict[type, dict[str, str]] = {}  # name in lower case -> id, of what is written here

    # -- reading, own writes first --
    def get(self, kind: type, id: str) -> Any | None:
        written = self._written.get(kind)
        if written is not None and id in written:
            return written[id]
        return self.store.tables[kind].get(id)

    def by_name(self, kind: type, name: str) -> Any | None:
        """The object of that name, without regard to case."""
        written = self._written.get(kind, {})
        id = self._names.get(kind, {}).get(name.lower())
        if id is not None:
            return written[id]
        found = self.store.by_name(kind, name)
        # What was written here has another name by now, or is gone.
        return None if found is None or found.id in written else found

    def all(self, kind: type) -> list[Any]:
        return self._merged(kind, list(self.store.tables[kind].values()), lambda obj: True)

    def tasks_of_service(self, service_id: str) -> list[Task]:
        base = self.store.tasks_of_service(service_id)
        return self._merged(Task, base, lambda t: t.service_id == service_id)

    def tasks_on_node(self, node_id: str) -> list[Task]:
        return self._merged(Task, self.store.tasks_on_node(node_id), lambda t: t.node_id == node_id)

    def tasks_in_slot(self, key: SlotKey) -> list[Task]:
        return self._merged(Task, self.store.tasks_in_slot(key), lambda t: slot_key(t) == key)

    def _merged(self, kind: type, base: list[Any], wanted: Any) -> list[Any]:
        written = self._written.get(kind)
        if not written:
            return base
        out = [written.get(obj.id, obj) for obj in base]
        known = {obj.id for obj in base}
        out += [obj for id, obj in written.items() if id not in known]
        return [obj for obj in out if obj is not None and wanted(obj)]

    # -- writing --
    def create(self, obj: Any, cause: int | None = None) -> Any:
        """Raises `NameConflictError` (looked at first, as services.go does), `ExistsError`. Returns what is stored."""
        kind = type(obj)
        if kind in NAMED and self.by_name(kind, obj.name) is not None:
            raise NameConflictError
        if self.get(kind, obj.id) is not None:
            raise ExistsError
        new = obj.evolve(version=self._version, created_at=self.now, updated_at=self.now)
        return self._write(CREATE, kind, new, cause)

    def update(self, obj: Any, cause: int | None = None) -> Any:
        """Replace the stored object; `obj.version` must be the stored one's.

        Raises `NameConflictError`, `NotExistError`, `SequenceError`, in this order.
        """
        kind = type(obj)
        if kind in NAMED:
            other = self.by_name(kind, obj.name)
            if other is not None and other.id != obj.id:
                raise NameConflictError
        old = self.get(kind, obj.id)
        if old is None:
            raise NotExistError
        if obj.version != old.version:
            raise SequenceError
        new = obj.evolve(version=self._version, updated_at=self.now)
        return self._write(UPDATE, kind, new, cause)

    def delete(self, kind: type, id: str, cause: int | None = None) -> None:
        """Raises `NotExistError`."""
        old = self.get(kind, id)
        if old is None:
            raise NotExistError
        self._write(REMOVE, kind, old, cause)
        self._written[kind][id] = None
        if kind in NAMED:
            del self._names[kind][old.name.lower()]

    def _write(self, action: Any, kind: type, new: Any, cause: int | None) -> Any:
        written = self._written.setdefault(kind, {})
        if kind in NAMED:
            self._rename(kind, written.get(new.id), new)
        written[new.id] = new
        if kind is Secret or kind is Config:
            self.size += len(new.spec.data)
        self.actions.append(Action(action, new, self.cause if cause is None else cause))
        return new

    def _rename(self, kind: type, old: Any, new: Any) -> None:
        """`old` is what this transaction wrote before, if anything."""
        names = self._names.setdefault(kind, {})
        if old is not None:
            del names[old.name.lower()]
        names[new.name.lower()] = new.id
