"""Watching the store (SwarmKit manager/state/store/memory.go `WatchFrom`, watch/)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from swarmsim.api.objects import Node, Service
from swarmsim.errors import ApiError
from swarmsim.store import Action, MemoryStore
from swarmsim.store.actions import CREATE, REMOVE, UPDATE, Change
from swarmsim.store.watch import CommitEvent, Specifier, Watch

from .world import node, service

NODE_CREATES = Specifier(Node, (CREATE,))
SERVICE_CREATES = Specifier(Service, (CREATE,))


class Log:
    """A store with what Raft keeps of its transactions: versions 3, 6, 9 ... as the original's mock has them."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.entries: list[tuple[int, tuple[Action, ...]]] = []
        self.compacted = 0

    def commit(self, *actions: tuple[Any, Any]) -> None:
        index = self.store.index + 3
        made = tuple(Action(kind, obj, 0) for kind, obj in actions)
        self.entries.append((index, made))
        self.store.apply(made, index, index)

    def between(self, after: int, last: int) -> Sequence[tuple[int, Sequence[Action]]]:
        if after > last:
            raise ApiError("Unknown", "versions are out of order")
        if after < self.compacted:
            raise ApiError("Unknown", "requested index is unavailable due to compaction")
        return [entry for entry in self.entries if after < entry[0] <= last]

    def watch_from(self, version: int, *specifiers: Specifier) -> Watch:
        return self.store.watchers.open_from(version, self.store.index, self.between, specifiers)


@pytest.fixture
def five() -> Log:
    """Five transactions, each of which creates a node and a service."""
    log = Log()
    for n in range(1, 6):
        log.commit((CREATE, node(f"id{n}")), (CREATE, service(f"id{n}")))
    return log


def told(watch: Watch) -> list[str | int | None]:
    """`id` of each change, and the version of each commit."""
    return [e.new.id if isinstance(e, Change) else e.version for e in watch.take()]


def test_a_version_that_is_still_to_come_is_refused(five: Log) -> None:
    """C-047 TestWatchFrom, its first part."""
    with pytest.raises(ApiError, match="versions are out of order"):
        five.watch_from(5000, NODE_CREATES)

    assert not five.store.watchers


def test_what_lies_behind_a_version_is_seen_first(five: Log) -> None:
    """C-047 TestWatchFrom: from 10 on, nodes 4 and 5, each with its commit; then what follows."""
    watch = five.watch_from(10, NODE_CREATES)
    assert told(watch) == ["id4", 12, "id5", 15]

    five.commit((CREATE, node("id6")), (CREATE, service("id6")))

    assert told(watch) == ["id6", 18]


def test_each_watch_sees_what_it_asked_for(five: Log) -> None:
    """C-047 TestWatchFrom: from 13 on, service 5 and its commit."""
    assert told(five.watch_from(13, SERVICE_CREATES)) == ["id5", 15]
    assert told(five.watch_from(15, SERVICE_CREATES)) == []
    assert told(five.watch_from(13, NODE_CREATES, SERVICE_CREATES)) == ["id5", "id5", 15]


def test_a_commit_without_anything_that_matches_is_told_of(five: Log) -> None:
    """C-047 TestWatchFrom: its commit event all the same."""
    watch = five.watch_from(15, NODE_CREATES)

    five.commit((CREATE, service("other")))
    five.commit((UPDATE, node("id1")))
    five.commit((REMOVE, node("id1")))

    assert told(watch) == [18, 21, 24]


def test_what_was_compacted_cannot_be_watched(five: Log) -> None:
    """2.3 WatchFrom: the log does not reach so far back."""
    five.compacted = 6

    with pytest.raises(ApiError, match="compaction"):
        five.watch_from(5, NODE_CREATES)
    assert told(five.watch_from(6, NODE_CREATES)) == ["id3", 9, "id4", 12, "id5", 15]


def test_the_past_knows_no_old_objects(five: Log) -> None:
    """memory.go `changelistBetweenVersions`: events are made of store actions, which have the new object only."""
    five.commit((UPDATE, node("id1").evolve(version=15)))
    past = five.watch_from(15, Specifier(Node))
    live = five.store.watchers.open([Specifier(Node)])
    five.commit((UPDATE, node("id1").evolve(version=18)))

    replayed, _, seen, _ = past.take()

    assert isinstance(replayed, Change)
    assert replayed.old is None
    assert isinstance(seen, Change)
    assert seen.old.version == 15
    assert isinstance(live.take()[0], Change)


def test_a_specifier_may_ask_about_the_object(five: Log) -> None:
    """api/storeobject.go: checks of events."""
    watch = five.watch_from(0, Specifier(Node, (CREATE,), lambda obj: obj.id in ("id2", "id4")))

    assert [e for e in told(watch) if isinstance(e, str)] == ["id2", "id4"]


def test_a_closed_watch_hears_no_more(five: Log) -> None:
    watch = five.store.watchers.open([NODE_CREATES])
    five.store.watchers.close(watch)
    five.store.watchers.close(watch)

    five.commit((CREATE, node("id6")))

    assert told(watch) == []
    assert not five.store.watchers


def test_batches_followers_and_snapshots_have_no_version(five: Log) -> None:
    """2.3 Events: one commit event each, without a version."""
    watch = five.store.watchers.open([NODE_CREATES])

    five.store.apply([Action(CREATE, node("id6"), 0)], 18)
    other = MemoryStore()
    other.apply([Action(CREATE, node("id7"), 0)], 20)
    five.store.restore(other.save())

    assert [e for e in watch.take() if isinstance(e, CommitEvent)] == [CommitEvent(None), CommitEvent(None)]
