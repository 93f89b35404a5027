"""The watch API (SwarmKit manager/watchapi), alone and on every manager of a swarm."""

from __future__ import annotations

from typing import Any

import pytest

from swarmsim.api.messages import (
    CreateNetwork,
    CreateSecret,
    StoreNews,
    WatchEntry,
    WatchMessage,
    WatchRequest,
)
from swarmsim.api.specs import NetworkSpec, SecretSpec
from swarmsim.cluster import Cluster, describe
from swarmsim.errors import ApiError
from swarmsim.machine import Address, Machine
from swarmsim.manager.watchapi import WatchApi
from swarmsim.store import Action, Transaction
from tests.cluster.test_joining import ask, run_for
from tests.fake_manager import FakeManager
from tests.store.world import node, service

CLIENT = Address("client", "test")


class World:
    """A manager with the watch API, and what Raft keeps of its commits."""

    def __init__(self) -> None:
        self.manager = FakeManager()
        self.store = self.manager.store
        self.log: list[tuple[int, tuple[Action, ...]]] = []
        self.api = WatchApi(self.store, lambda: self.store.index, self.between)
        self.manager.add_machine(self.api)

    def between(self, after: int, last: int) -> list[tuple[int, tuple[Action, ...]]]:
        if after > last:
            raise ApiError("Unknown", "versions are out of order")
        return [entry for entry in self.log if after < entry[0] <= last]

    def commit(self, change: Any) -> None:
        """As the Raft member of a leader does: apply, then tell."""
        tx = Transaction(self.store, 0)
        change(tx)
        index = self.store.index + 1
        self.log.append((index, tuple(tx.actions)))
        self.store.apply(tx.actions, index, index)
        self.manager.send("watchapi", StoreNews())

    def watch(self, *entries: WatchEntry, **fields: Any) -> Any:
        id = self.manager.request("watchapi", WatchRequest(entries, **fields), CLIENT)
        return self.manager.answers[id]

    def pushed(self) -> list[tuple[list[str], int | None]]:
        """Of each message the actions with ids, and the version; they are taken."""
        messages = [m for _, dst, m in self.manager.sent if dst == CLIENT]
        self.manager.sent.clear()
        return [([f"{e.action} {e.object.id}" for e in m.events], m.version) for m in messages]


@pytest.fixture
def world() -> World:
    return World()


def test_the_first_message_is_empty(world: World) -> None:
    """C-191 TestWatch: so that the client knows that it watches."""
    assert world.watch(WatchEntry("node")) == WatchMessage((), None)
    assert world.pushed() == []


def test_a_client_hears_of_the_kinds_and_actions_that_it_asked_for(world: World) -> None:
    """C-191 TestWatch, TestWatchMultipleActions: one message a commit, with its version."""
    world.watch(WatchEntry("node", ("CREATE", "REMOVE")), WatchEntry("service", ("UPDATE",)))

    world.commit(lambda tx: [tx.create(node("n1")), tx.create(node("n2")), tx.create(service("s1"))])
    world.commit(lambda tx: tx.update(tx.get(type(node("")), "n1")))
    world.commit(lambda tx: [tx.update(tx.get(type(service("")), "s1")), tx.delete(type(node("")), "n2")])

    assert world.pushed() == [(["CREATE n1", "CREATE n2"], 1), (["UPDATE s1", "REMOVE n2"], 3)]


def test_old_objects_come_if_asked_for(world: World) -> None:
    """C-191 TestWatchIncludeOldObject."""
    world.commit(lambda tx: tx.create(node("n1")))
    world.watch(WatchEntry("node"), include_old_object=True)
    world.watch(WatchEntry("node"))

    world.commit(lambda tx: tx.update(tx.get(type(node("")), "n1")))

    (event,), (plain,) = [m.events for _, dst, m in world.manager.sent if dst == CLIENT]
    assert (event.old_object.version, event.object.version) == (0, 1)
    assert (plain.old_object, plain.object.version) == (None, 1)


def test_a_client_may_ask_for_single_objects(world: World) -> None:
    """watchapi: filters of an entry."""
    world.watch(WatchEntry("node", ids=("n2",)))

    world.commit(lambda tx: [tx.create(node("n1")), tx.create(node("n2"))])

    assert world.pushed() == [(["CREATE n2"], 1)]


def test_a_client_goes_on_where_it_was(world: World) -> None:
    """C-191 TestWatchResumeFrom: an object's version is older than the commit that made it, so that is seen again."""
    for n in (1, 2, 3):
        world.commit(lambda tx, n=n: tx.create(node(f"n{n}")))

    world.watch(WatchEntry("node"), resume_from=world.store.nodes["n2"].version)
    world.commit(lambda tx: tx.create(node("n4")))

    assert world.pushed() == [(["CREATE n2"], 2), (["CREATE n3"], 3), (["CREATE n4"], 4)]


def test_what_cannot_be_watched_is_refused(world: World) -> None:
    """C-047, C-191: a kind that there is not, a version that is to come."""
    assert str(world.watch(WatchEntry("pod")).text) == "unrecognized object kind pod"
    assert world.watch(WatchEntry("node"), resume_from=7).text == "versions are out of order"
    assert not world.store.watchers


def test_who_is_gone_is_told_nothing(world: World) -> None:
    """watchapi: the stream's context ends with its connection, and all do with the manager."""
    world.watch(WatchEntry("node"))
    world.api.on_lost("other", world.manager.machines["watchapi"])
    assert world.store.watchers

    world.api.on_lost("client", world.manager.machines["watchapi"])
    assert not world.store.watchers

    world.watch(WatchEntry("node"))
    world.manager.stop("watchapi")
    assert not world.store.watchers


class Client(Machine):
    def __init__(self) -> None:
        self.heard: list[Any] = []

    def on_message(self, src: Address, message: Any, out: Any) -> None:
        self.heard.append(message)

    def watch(self, cluster: Cluster, manager: str, **fields: Any) -> None:
        driver = cluster.hosts[manager].spawn("watcher", self, {}, 0)
        entry = WatchEntry("network", ("CREATE",))

        def go(out: Any) -> Any:
            try:
                answer = yield out.call(Address(manager, "watchapi"), WatchRequest((entry,), **fields), 10**6)
            except ApiError as error:
                answer = error.text
            self.heard.append(answer)

        driver.out.now = cluster.env.now
        driver.out.start(go(driver.out))


def test_every_manager_tells_of_its_own_store() -> None:
    """C-191, 2.14 Watch API in a whole swarm: versions only where the leader wrote it in one transaction."""
    cluster = Cluster(describe(3, 1))
    clients = {name: Client() for name in ("m1", "m2")}
    for name, client in clients.items():
        client.watch(cluster, name)
    run_for(cluster, 1)

    ask(cluster, CreateNetwork(NetworkSpec("net")))
    ask(cluster, CreateSecret(SecretSpec("s", data=b"1")))
    run_for(cluster, 1)

    for client in clients.values():
        first, second = client.heard
        assert first == WatchMessage((), None)
        assert [e.object.name for e in second.events] == ["net"]
    leader, follower = clients["m1"].heard[1], clients["m2"].heard[1]
    assert cluster.leader() == "m1"
    assert leader.version is not None
    assert leader.version > leader.events[0].object.version, "an object has the version of before its commit"
    assert follower.version is None


def test_a_follower_replays_its_log() -> None:
    """C-047, C-191 in a whole swarm: raft.go `ChangesBetween`; the snapshot that a swarm begins with is no log."""
    cluster = Cluster(describe(3, 1))
    before = cluster.store("m2").index
    ask(cluster, CreateNetwork(NetworkSpec("net")))
    run_for(cluster, 1)
    late, early = Client(), Client()

    late.watch(cluster, "m2", resume_from=before)
    run_for(cluster, 1)
    assert [[e.object.name for e in m.events] for m in late.heard] == [[], ["net"]]

    early.watch(cluster, "m3", resume_from=0)
    run_for(cluster, 1)
    assert early.heard == ["requested index is unavailable due to compaction"]
