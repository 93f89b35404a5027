"""The control API's machine: one handler for each request, so that one that waits does not hold up another."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

from ...api import messages as m
from ...api.objects import Cluster, Config, Network, Node, Secret, Service, Task
from ...errors import ApiError, LeadershipLost
from ...machine import Call, Handler, Machine, Outbox
from ...store.memory_store import MemoryStore
from ...trace.events import RequestRefused
from .clusters import Clusters, redacted
from .files import Files
from .lookup import Serves
from .networks import Networks
from .nodes import Nodes
from .services import Services
from .tasks import Tasks

KINDS: dict[str, type] = {
    "service": Service,
    "node": Node,
    "task": Task,
    "network": Network,
    "secret": Secret,
    "config": Config,
    "cluster": Cluster,
}


class ControlApi(Machine):
    """`members()` gives the hosts of all Raft members; `can_remove(host)` says whether quorum survives it."""

    def __init__(
        self,
        node: str,
        store: MemoryStore,
        members: Callable[[], tuple[str, ...]],
        can_remove: Callable[[str], bool],
    ) -> None:
        self.node = node
        self.store = store
        rooms = (
            Services(store),
            Nodes(store, members, can_remove),
            Tasks(store),
            Networks(store),
            Files(store),
            Clusters(store),
        )
        self._serve: Serves = {m.ListObjects: self._list}
        for room in rooms:
            self._serve |= room.serve

    def on_call(self, call: Call, out: Outbox) -> Handler:
        out.start(self._answer(call, out))
        return None

    def _answer(self, call: Call, out: Outbox) -> Generator[Any, Any, None]:
        request = call.request.request if type(call.request) is m.Forwarded else call.request
        serve = self._serve.get(type(request))
        try:
            if serve is None:
                raise ApiError("Unimplemented", f"unknown method {type(request).__name__}")
            result = serve(request, out)
            if isinstance(result, Generator):
                result = yield from result
        except ApiError as error:
            if not isinstance(error, LeadershipLost):
                out.emit(RequestRefused(self.node, type(request).__name__, error.text))
            out.fail(call, error)
            return
        out.reply(call, result)

    def _list(self, request: m.ListObjects, out: Outbox) -> tuple[Any, ...]:
        """Docker's `ls`, from this manager's store; what is secret stays here."""
        objects = self.store.tables[KINDS[request.kind]].values()
        if request.kind == "secret":
            return tuple(s.evolve(spec=replace(s.spec, data=b"")) for s in objects)
        if request.kind == "cluster":
            return tuple(redacted(c) for c in objects)
        return tuple(objects)
