"""The tables of a manager's store, with indexes (SwarmKit manager/state/store/memory.go and its table files).

Reads are plain attribute and method calls; writes come only as committed actions (`apply`) or a snapshot
(`restore`). Iteration is in order of creation, so nothing depends on hashing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..api.objects import Cluster, Config, Network, Node, Secret, Service, Task, Volume
from ..api.states import Component
from .actions import CREATE, REMOVE, UPDATE, Action, ActionKind, Change
from .watch import WatchQueue

Tables = dict[type, dict[str, Any]]

#: Kinds whose names are unique, without regard to case. Nodes' hostnames and tasks' names are not.
NAMED = (Service, Network, Secret, Config, Cluster, Volume)

SlotKey = tuple[str, int | str]


def slot_key(task: Task) -> SlotKey:
    """(service, slot) of a replicated service's task, (service, node) of a global one's (orchestrator/slot.go)."""
    return (task.service_id, task.slot or task.node_id)


class MemoryStore:
    """All objects of the cluster, as of Raft index `index`."""

    def __init__(self) -> None:
        self.index = 0
        self.tasks: dict[str, Task] = {}
        self.services: dict[str, Service] = {}
        self.nodes: dict[str, Node] = {}
        self.networks: dict[str, Network] = {}
        self.secrets: dict[str, Secret] = {}
        self.configs: dict[str, Config] = {}
        self.clusters: dict[str, Cluster] = {}
        self.volumes: dict[str, Volume] = {}
        self.tables: Tables = {
            Task: self.tasks,
            Service: self.services,
            Node: self.nodes,
            Network: self.networks,
            Secret: self.secrets,
            Config: self.configs,
            Cluster: self.clusters,
            Volume: self.volumes,
        }
        self.watchers = WatchQueue()
        self._names: dict[type, dict[str, str]] = {kind: {} for kind in NAMED}
        self._by_service: dict[str, dict[str, None]] = {}
        self._by_node: dict[str, dict[str, None]] = {}
        self._by_slot: dict[SlotKey, dict[str, None]] = {}

    # -- reading --
    @property
    def cluster(self) -> Cluster | None:
        """The object "default", once the first leader has written it."""
        return next(iter(self.clusters.values()), None)

    def get(self, kind: type, id: str) -> Any | None:
        return self.tables[kind].get(id)

    def by_name(self, kind: type, name: str) -> Any | None:
        """The object of that name, without regard to case."""
        id = self._names[kind].get(name.lower())
        return None if id is None else self.tables[kind][id]

    def tasks_of_service(self, service_id: str) -> list[Task]:
        return [self.tasks[i] for i in self._by_service.get(service_id, ())]

    def tasks_on_node(self, node_id: str) -> list[Task]:
        return [self.tasks[i] for i in self._by_node.get(node_id, ())]

    def tasks_in_slot(self, key: SlotKey) -> list[Task]:
        return [self.tasks[i] for i in self._by_slot.get(key, ())]

    # -- writing: only what Raft has committed --
    def apply(self, actions: Iterable[Action], index: int, version: int | None = None) -> list[Change]:
        """Apply the actions of the entry at `index`; returns the changes in order. Watchers are told the `version`."""
        assert index > self.index, f"the store went back: {self.index} -> {index}"
        changes = [self._apply_one(a.kind, a.new, a.cause) for a in actions]
        self.index = index
        if self.watchers:
            self.watchers.publish(changes, version)
        return changes

    def _apply_one(self, kind: ActionKind, new: Any, cause: int) -> Change:
        table = self.tables[type(new)]
        old = table.get(new.id)
        if kind is REMOVE:
            if old is not None:
                del table[new.id]
                self._unindex(old)
            return Change(kind, old, old or new, cause)
        if old is not None:
            self._reindex(old, new)
        else:
            self._index(new)
        table[new.id] = new
        return Change(kind, old, new, cause)

    def _index(self, obj: Any) -> None:
        if type(obj) is Task:
            self._by_service.setdefault(obj.service_id, {})[obj.id] = None
            self._by_slot.setdefault(slot_key(obj), {})[obj.id] = None
            if obj.node_id:
                self._by_node.setdefault(obj.node_id, {})[obj.id] = None
        elif type(obj) in self._names:
            self._names[type(obj)][obj.name.lower()] = obj.id

    def _unindex(self, obj: Any) -> None:
        if type(obj) is Task:
            _discard(self._by_service, obj.service_id, obj.id)
            _discard(self._by_slot, slot_key(obj), obj.id)
            if obj.node_id:
                _discard(self._by_node, obj.node_id, obj.id)
        elif type(obj) in self._names:
            names, key = self._names[type(obj)], obj.name.lower()
            if names.get(key) == obj.id:  # else another object has the name by now (a swap, a snapshot)
                del names[key]

    def _reindex(self, old: Any, new: Any) -> None:
        if type(new) is Task:
            if old.node_id != new.node_id:
                self._unindex(old)
                self._index(new)
        elif type(new) in self._names and old.name != new.name:
            self._unindex(old)
            self._index(new)

    # -- snapshots --
    def save(self) -> tuple[int, tuple[Any, ...]]:
        """Everything, for a Raft snapshot: (index, objects). Cheap: objects are shared."""
        return self.index, tuple(obj for table in self.tables.values() for obj in table.values())

    def restore(self, saved: tuple[int, tuple[Any, ...]]) -> list[Change]:
        """Become the snapshot (memory.go `Restore`).

        Returns, kind by kind, updates of what is in both and creations in the snapshot's order, then deletions.
        """
        index, objects = saved
        saved_tables: Tables = {kind: {} for kind in self.tables}
        for obj in objects:
            saved_tables[type(obj)][obj.id] = obj
        changes: list[Change] = []
        for kind, table in self.tables.items():
            kept = saved_tables[kind]
            changes += [self._apply_one(UPDATE if id in table else CREATE, obj, 0) for id, obj in kept.items()]
            changes += [self._apply_one(REMOVE, table[id], 0) for id in [i for i in table if i not in kept]]
        self.index = index
        self.watchers.publish(changes, None)
        return changes

    def objects(self) -> Iterator[Any]:
        for table in self.tables.values():
            yield from table.values()


def _discard(index: dict[Any, dict[str, None]], key: Any, id: str) -> None:
    ids = index[key]
    del ids[id]
    if not ids:
        del index[key]


#: Which component a machine's transactions belong to (the rows of `api.states.TRANSITIONS`).
COMPONENT_OF = {
    "allocator": Component.ALLOCATOR,
    "scheduler": Component.SCHEDULER,
    "dispatcher": Component.DISPATCHER,
    "controlapi": Component.CONTROL_API,
    "constraint_enforcer": Component.ENFORCER,
    "volume_enforcer": Component.ENFORCER,
    "task_reaper": Component.REAPER,
}
