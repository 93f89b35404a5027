"""The tables and their indexes (SwarmKit manager/state/store/memory.go)."""

from collections import Counter
from dataclasses import replace
from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings

from swarmsim.api.objects import Service, Task
from swarmsim.api.specs import Global
from swarmsim.store import Action, ActionKind, MemoryStore, Transaction
from swarmsim.store.actions import CREATE, REMOVE, UPDATE
from swarmsim.store.memory_store import slot_key

from .world import cluster, config, network, node, secret, service, task, volume

MAKERS = (service, node, task, network, secret, config, cluster, volume)


def filled(*objects: Any, index: int = 1) -> MemoryStore:
    store = MemoryStore()
    store.apply([Action(CREATE, o, 0) for o in objects], index)
    return store


def test_a_snapshot_replaces_everything_and_tells_what_changed() -> None:
    """C-046 TestStoreSaveRestore: for each kind one update, two creations, one deletion."""
    theirs = filled(*(make(f"id{n}", f"name{n}") for make in MAKERS if make is not node for n in (1, 2, 3)), index=7)
    theirs.apply([Action(CREATE, node(f"id{n}"), 0) for n in (1, 2, 3)], 8)
    ours = filled(*(make(id, f"old{id}") for make in MAKERS if make is not node for id in ("id1", "extra")))
    ours.apply([Action(CREATE, node(id), 0) for id in ("id1", "extra")], 2)

    changes = ours.restore(theirs.save())

    assert ours.tables == theirs.tables
    assert ours.index == 8
    told = Counter((type(c.new).__name__, c.kind) for c in changes)
    for make in MAKERS:
        kind = type(make("x")).__name__
        assert [told[kind, k] for k in (UPDATE, CREATE, REMOVE)] == [1, 2, 1], kind
    assert ours.by_name(Service, "name2").id == "id2"
    assert ours.by_name(Service, "oldid1") is None


def test_a_name_that_passed_to_another_object_survives_a_snapshot() -> None:
    """A follower that missed `rm web` and `create web` must still find `web`."""
    ours = filled(service("old", "web"))
    theirs = filled(service("new", "web"), index=9)

    ours.restore(theirs.save())

    assert ours.by_name(Service, "web").id == "new"


def test_followers_apply_actions_word_for_word() -> None:
    """Objects are shared, versions are the leader's."""
    store, follower = MemoryStore(), MemoryStore()
    tx = Transaction(store, now=3)
    tx.create(service("s1"))
    tx.create(task("t1", "s1"))

    for member in (store, follower):
        member.apply(tx.actions, 1)

    assert follower.tables == store.tables
    assert follower.tasks["t1"] is store.tasks["t1"]


def test_a_slot_is_told_by_number_or_by_node() -> None:
    """orchestrator/slot.go `SlotTuple`: global services' tasks have no slot."""
    spec = replace(service("s").spec, mode=Global())
    store = filled(Service("agent", spec), task("g1", "agent", slot=0, node_id="n1"), task("r1", "web", 2, "n1"))

    assert [t.id for t in store.tasks_in_slot(("agent", "n1"))] == ["g1"]
    assert [t.id for t in store.tasks_in_slot(("web", 2))] == ["r1"]


class SlowIndexes:
    """The obvious twin: scan all tasks for every question."""

    def __init__(self, store: MemoryStore) -> None:
        self.tasks = list(store.tasks.values())

    def on_node(self, node_id: str) -> list[str]:
        return sorted(t.id for t in self.tasks if node_id and t.node_id == node_id)

    def of_service(self, service_id: str) -> list[str]:
        return sorted(t.id for t in self.tasks if t.service_id == service_id)

    def in_slot(self, key: Any) -> list[str]:
        return sorted(t.id for t in self.tasks if slot_key(t) == key)


ids = st.sampled_from(["t1", "t2", "t3", "t4"])
steps = st.lists(
    st.tuples(
        st.sampled_from(list(ActionKind)),
        ids,
        st.sampled_from(["a", "b"]),
        st.integers(0, 2),
        st.sampled_from(["", "n1", "n2"]),
    ),
    max_size=40,
)


@settings(deadline=None)
@given(steps)
def test_indexes_agree_with_a_scan(history: Any) -> None:
    """Whatever is created, updated and removed, in this order and through a snapshot."""
    store = MemoryStore()
    known: dict[str, Task] = {}
    for index, (kind, id, service_id, slot, node_id) in enumerate(history, start=1):
        if kind is CREATE and id not in known:
            known[id] = task(id, service_id, slot, node_id)
        elif kind is UPDATE and id in known:
            known[id] = known[id].evolve(node_id=node_id)
        elif kind is not REMOVE or id not in known:
            continue
        store.apply([Action(kind, known[id], 0)], index)
        if kind is REMOVE:
            del known[id]
    late = MemoryStore()
    late.restore(store.save())

    for member in (store, late):
        twin = SlowIndexes(member)
        assert {t.id for t in member.tasks.values()} == set(known)
        for node_id in ("n1", "n2"):
            assert sorted(t.id for t in member.tasks_on_node(node_id)) == twin.on_node(node_id)
        for service_id in ("a", "b"):
            assert sorted(t.id for t in member.tasks_of_service(service_id)) == twin.of_service(service_id)
            for slot in (0, 1, 2, "n1", "n2", ""):
                key = (service_id, slot)
                assert sorted(t.id for t in member.tasks_in_slot(key)) == twin.in_slot(key)
