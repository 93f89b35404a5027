"""How Docker's client finds an object: by id, else by name, else by the beginning of an id.

moby daemon/cluster/helpers.go; the control API itself knows ids only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...api.objects import Cluster, Config, Network, Node, Secret, Service, Task, Volume
from ...errors import ApiError
from ...machine import Outbox
from ...store.memory_store import NAMED, MemoryStore

#: Request -> who serves it: a plain answer, or a generator that waits for the commit.
Serves = dict[type, Callable[[Any, Outbox], Any]]

WORDS: dict[type, str] = {
    Service: "service",
    Node: "node",
    Task: "task",
    Network: "network",
    Secret: "secret",
    Config: "config",
    Cluster: "cluster",
    Volume: "volume",
}


def invalid_argument(text: str = "invalid argument") -> ApiError:
    return ApiError("InvalidArgument", text)


def not_found(kind: type, wanted: str) -> ApiError:
    return ApiError("NotFound", f"{WORDS[kind]} {wanted} not found")


def find(store: MemoryStore, kind: type, wanted: str) -> Any:
    """Raises `ApiError` where there is none, or more than one.

    Letter by letter: the index ignores case, but the API's filter of names looks at what it found once more.
    """
    if not wanted:
        raise invalid_argument()
    table = store.tables[kind]
    found = table.get(wanted)
    if found is not None:
        return found
    matches = _named(store, kind, wanted) or [obj for id, obj in table.items() if id.startswith(wanted)]
    if not matches:
        raise not_found(kind, wanted)
    if len(matches) > 1:
        raise invalid_argument(f"{WORDS[kind]} {wanted} is ambiguous ({len(matches)} matches found)")
    return matches[0]


def still(tx: Any, kind: type, id: str, wanted: str) -> Any:
    """What was found, as the transaction has it; raises `ApiError` where it went away meanwhile."""
    found = tx.get(kind, id)
    if found is None:
        raise not_found(kind, wanted)
    return found


def _named(store: MemoryStore, kind: type, wanted: str) -> list[Any]:
    if kind in NAMED:
        found = store.by_name(kind, wanted)
        return [] if found is None or found.name != wanted else [found]
    return [obj for obj in store.tables[kind].values() if known_as(obj) == wanted]


def known_as(obj: Any) -> str:
    """What the index of names has: for a node its hostname."""
    name: str = obj.hostname if isinstance(obj, Node) else obj.name
    return name
