"""The control API's machine: one handler for each request, so that one that waits does not hold up another."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from ...api import messages as m
from ...errors import ApiError, LeadershipLost
from ...machine import Call, Handler, Machine, Outbox
from ...store.memory_store import MemoryStore
from ...trace.events import RequestRefused
from ..resourceapi import ResourceAllocator
from .clusters import Clusters
from .files import Files
from .listing import Listing
from .lookup import Serves
from .networks import Networks
from .nodes import Nodes, Reachability
from .services import Services
from .tasks import Tasks
from .volumes import Volumes


class ControlApi(Machine):
    """What the Raft member knows: `members()`, `can_remove(id)` and `reachable()`, as `Nodes` has them."""

    def __init__(
        self,
        node: str,
        store: MemoryStore,
        members: Callable[[], tuple[str, ...]],
        can_remove: Callable[[str], bool],
        reachable: Callable[[], Reachability] = tuple,
    ) -> None:
        self.node = node
        self.store = store
        rooms = (
            Services(store),
            Nodes(store, members, can_remove, reachable),
            Tasks(store),
            Networks(store, node),
            Files(store),
            Clusters(store),
            Volumes(store),
            ResourceAllocator(store),
            Listing(store),
        )
        self._serve: Serves = {}
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
