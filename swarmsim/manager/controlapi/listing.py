"""Looking: lists of objects with their filters, and single ones (SwarmKit manager/controlapi, `ListX` and `GetX`).

Answered from this manager's store. What is secret stays here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ...api import messages as m
from ...api.objects import Cluster, Config, Network, Node, Secret, Service, Task, Volume
from ...machine import Outbox
from ...store.memory_store import MemoryStore
from .clusters import redacted
from .files import without_data
from .lookup import Serves, find, known_as

KINDS: dict[str, type] = {
    "service": Service,
    "node": Node,
    "task": Task,
    "network": Network,
    "secret": Secret,
    "config": Config,
    "cluster": Cluster,
    "volume": Volume,
}

Labels = Mapping[str, str]


class Listing:
    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.serve: Serves = {
            m.ListObjects: self.list,
            m.GetNetwork: lambda r, out: self._get(Network, r.network),
            m.GetSecret: lambda r, out: self._get(Secret, r.secret),
            m.GetConfig: lambda r, out: self._get(Config, r.config),
            m.GetCluster: lambda r, out: self._get(Cluster, r.cluster),
        }

    def _get(self, kind: type, wanted: str) -> Any:
        return shown(find(self.store, kind, wanted))

    def list(self, request: m.ListObjects, out: Outbox) -> tuple[Any, ...]:
        """In the order of the store's index of ids."""
        table = self.store.tables[KINDS[request.kind]]
        return tuple(shown(table[id]) for id in sorted(table) if all(_answers(request, table[id])))


def shown(obj: Any) -> Any:
    """As it leaves the manager."""
    return redacted(obj) if isinstance(obj, Cluster) else without_data(obj)


def _answers(request: m.ListObjects, obj: Any) -> Iterator[bool]:
    """What each filter says; one that is empty lets everything pass (common.go `filterContains` and its like)."""
    name = known_as(obj)
    yield not request.names or name in request.names
    yield _begins(name, request.name_prefixes)
    yield _begins(obj.id, request.id_prefixes)
    yield _has_labels(_labels(obj), request.labels)
    if isinstance(obj, Node):
        yield _has_labels(obj.spec.labels, request.node_labels)
        yield not request.roles or obj.role in request.roles
        yield not request.memberships or obj.spec.membership in request.memberships
    if isinstance(obj, Task):
        yield not request.services or obj.service_id in request.services
        yield not request.nodes or obj.node_id in request.nodes
        yield not request.desired_states or obj.desired_state in request.desired_states


def _begins(text: str, prefixes: tuple[str, ...]) -> bool:
    return not prefixes or any(text.startswith(prefix) for prefix in prefixes)


def _has_labels(labels: Labels, wanted: tuple[tuple[str, str], ...]) -> bool:
    return all(key in labels and value in ("", labels[key]) for key, value in wanted)


_LABELS: dict[type, Callable[[Any], Labels]] = {
    Node: lambda node: node.description.engine_labels if node.description else {},
    Task: lambda task: task.service_labels,
    Cluster: lambda cluster: {},
}


def _labels(obj: Any) -> Labels:
    where = _LABELS.get(type(obj))
    labels: Labels = where(obj) if where else obj.spec.labels
    return labels
