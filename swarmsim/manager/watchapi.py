"""The watch API: a client's stream of what commits change in this manager's store, from now or an earlier version on.

SwarmKit manager/watchapi. Local to each manager, leader or not. First comes an empty message, then one for each commit
that changed something of what was asked for. The client may go on later from the version of the last message that had
one: only messages of single transactions on the leader have (`store.watch`), and of those that are read from the log.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..api.messages import StoreNews, WatchEntry, WatchEvent, WatchMessage, WatchRequest
from ..api.objects import Cluster, Config, Network, Node, Secret, Service, Task, Volume
from ..errors import ApiError
from ..machine import Address, Call, Handler, Machine, Outbox
from ..store.actions import ActionKind, Change
from ..store.memory_store import MemoryStore
from ..store.watch import ChangesBetween, CommitEvent, Specifier, Watch

KINDS: dict[str, type] = {
    "node": Node,
    "service": Service,
    "network": Network,
    "task": Task,
    "cluster": Cluster,
    "secret": Secret,
    "config": Config,
    "volume": Volume,
}


@dataclass(slots=True)
class Stream:
    client: Address
    watch: Watch
    with_old: bool


class WatchApi(Machine):
    """`version()` is the Raft index that is committed; `changes_between` reads the log."""

    def __init__(self, store: MemoryStore, version: Callable[[], int], changes_between: ChangesBetween) -> None:
        self.store = store
        self.version = version
        self.changes_between = changes_between
        self._streams: list[Stream] = []

    def on_call(self, call: Call, out: Outbox) -> Handler:
        request = call.request
        assert type(request) is WatchRequest, f"the watch API got {request!r}"
        try:
            watch = self._open(request)
        except ApiError as error:
            out.fail(call, error)
            return None
        stream = Stream(call.src, watch, request.include_old_object)
        self._streams.append(stream)
        out.reply(call, WatchMessage((), None))
        self._send(stream, out)
        return None

    def _open(self, request: WatchRequest) -> Watch:
        specifiers = [_specifier(entry) for entry in request.entries]
        queue = self.store.watchers
        if request.resume_from is None:
            return queue.open(specifiers)
        return queue.open_from(request.resume_from, self.version(), self.changes_between, specifiers)

    def on_message(self, src: Address, message: Any, out: Outbox) -> Handler:
        assert type(message) is StoreNews, f"the watch API got {message!r}"
        for stream in self._streams:
            self._send(stream, out)
        return None

    def on_lost(self, node: str, out: Outbox) -> Handler:
        for stream in [s for s in self._streams if s.client.node == node]:
            self._close(stream)
        return None

    def on_stop(self, out: Outbox) -> None:
        for stream in list(self._streams):
            self._close(stream)

    def _close(self, stream: Stream) -> None:
        self.store.watchers.close(stream.watch)
        self._streams.remove(stream)

    def _send(self, stream: Stream, out: Outbox) -> None:
        """One message for each commit that has anything to say."""
        events: list[WatchEvent] = []
        for event in stream.watch.take():
            if isinstance(event, Change):
                events.append(WatchEvent(event.kind.name, event.new, event.old if stream.with_old else None))
            elif events:
                assert isinstance(event, CommitEvent), f"a watch saw {event!r}"
                out.send(stream.client, WatchMessage(tuple(events), event.version))
                events = []


def _specifier(entry: WatchEntry) -> Specifier:
    kind = KINDS.get(entry.kind)
    if kind is None:
        raise ApiError("InvalidArgument", f"unrecognized object kind {entry.kind}")
    actions = tuple(action for action in ActionKind if not entry.actions or action.name in entry.actions)
    if not entry.ids:
        return Specifier(kind, actions)
    return Specifier(kind, actions, lambda obj: obj.id in entry.ids)
