"""Rules of a transaction (SwarmKit manager/state/store/memory.go and its table files)."""

from dataclasses import replace
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from swarmsim.api.objects import Node, Service, Task
from swarmsim.api.states import TaskState
from swarmsim.errors import ApiError
from swarmsim.store import Transaction
from swarmsim.store.transaction import ExistsError, NameConflictError, NotExistError, SequenceError

from .world import Leader, cluster, config, network, node, secret, service, task


@pytest.fixture
def leader() -> Leader:
    return Leader()


def begin(leader: Leader, now: int = 0) -> Transaction:
    return Transaction(leader.store, now)


def renamed(obj: Any, name: str) -> Any:
    return obj.evolve(spec=replace(obj.spec, name=name))


def test_created_and_updated_at_are_stamped(leader: Leader) -> None:
    """C-040 TestTimestamps: an update leaves `created_at` and moves `updated_at`."""
    leader.now = 5
    leader.create(node("n1"))
    created = leader.store.nodes["n1"]
    assert created.created_at == created.updated_at == 5

    leader.now = 9
    leader.update("u", lambda tx: tx.update(tx.get(Node, "n1")))
    leader.commit()

    updated = leader.store.nodes["n1"]
    assert (updated.created_at, updated.updated_at) == (5, 9)


def test_a_transaction_that_fails_leaves_nothing(leader: Leader) -> None:
    """C-043 TestFailedTransaction: neither the object nor its name."""
    leader.create(service("s1", "one"))

    def fails(tx: Transaction) -> None:
        tx.create(service("s2", "two"))
        raise ApiError("Internal", "stop")

    leader.update("u", fails)

    assert str(leader.results["u"]) == "rpc error: code = Internal desc = stop"
    assert not leader.proposed
    assert list(leader.store.services) == ["s1"]
    assert leader.store.by_name(Service, "two") is None


@pytest.mark.parametrize("make", [service, network, secret, config, cluster])
def test_names_are_unique_without_regard_to_case(leader: Leader, make: Any) -> None:
    """C-044 TestStoreService, and so for all named kinds: ids and names, on create and on rename."""
    leader.create(make("id1", "name1"), make("id2", "name2"))
    tx = begin(leader)

    with pytest.raises(ExistsError, match="object already exists"):
        tx.create(make("id1", "name4"))
    with pytest.raises(NameConflictError, match="name conflicts with an existing object"):
        tx.create(make("id9", "name1"))
    with pytest.raises(NameConflictError):
        tx.create(make("id9", "NAME1"))
    stored = tx.get(type(make("x")), "id1")
    with pytest.raises(NameConflictError):
        tx.update(renamed(stored, "Name2"))
    tx.update(renamed(stored, "free"))

    assert tx.by_name(type(stored), "FREE").id == "id1"
    assert tx.by_name(type(stored), "name1") is None


def test_hostnames_and_task_names_need_not_be_unique(leader: Leader) -> None:
    """Two tasks of one slot have one name."""
    leader.create(task("t1"), task("t2"))

    assert leader.store.tasks["t1"].name == leader.store.tasks["t2"].name
    assert [t.id for t in leader.store.tasks_in_slot(("web", 1))] == ["t1", "t2"]


def test_what_is_unknown_cannot_be_updated_or_deleted(leader: Leader) -> None:
    """C-044: `object does not exist`."""
    tx = begin(leader)

    with pytest.raises(NotExistError, match="object does not exist"):
        tx.update(service("s1"))
    with pytest.raises(NotExistError, match="object does not exist"):
        tx.delete(Service, "s1")


def test_an_update_needs_the_stored_version(leader: Leader) -> None:
    """`update out of sequence`, code Unknown."""
    leader.create(service("s1"))
    stale = leader.store.services["s1"]
    leader.update("u", lambda tx: tx.update(tx.get(Service, "s1")))
    leader.commit()

    with pytest.raises(SequenceError, match="code = Unknown desc = update out of sequence"):
        begin(leader).update(stale)


def test_the_version_is_the_index_at_the_start_of_the_transaction(leader: Leader) -> None:
    """Not the index of its own entry; yet no two commits give an object one version."""
    leader.create(node("other"))
    leader.create(service("s1"))
    assert (leader.store.services["s1"].version, leader.store.index) == (1, 2)

    leader.update("u", lambda tx: tx.update(tx.get(Service, "s1")))
    leader.commit()

    assert (leader.store.services["s1"].version, leader.store.index) == (2, 3)


def test_a_transaction_sees_its_own_writes(leader: Leader) -> None:
    """`fn` runs on a scratch transaction."""
    leader.create(task("t1", node_id="n1"), task("t2", slot=2), service("s1", "web"))
    tx = begin(leader)
    tx.update(tx.get(Task, "t2").evolve(node_id="n1"))
    tx.create(task("t3", slot=2, node_id="n1"))
    tx.delete(Task, "t1")
    tx.delete(Service, "s1")
    tx.create(service("s2", "web"))

    assert [t.id for t in tx.tasks_on_node("n1")] == ["t2", "t3"]
    assert [t.id for t in tx.tasks_of_service("web")] == ["t2", "t3"]
    assert [t.id for t in tx.tasks_in_slot(("web", 2))] == ["t2", "t3"]
    assert tx.get(Task, "t1") is None
    assert tx.by_name(Service, "web").id == "s2"
    assert [t.id for t in leader.store.tasks_on_node("n1")] == ["t1"]


def test_an_object_may_be_written_twice_in_one_transaction(leader: Leader) -> None:
    """memory.go `update`: the first write gives the object the transaction's version, and both are told."""
    leader.create(node("n0"), task("t1"))

    def twice(tx: Transaction) -> None:
        first = tx.update(tx.get(Task, "t1").evolve(node_id="n0"))
        tx.update(first.evolve(desired_state=TaskState.SHUTDOWN))

    leader.update("u", twice)
    leader.commit()

    assert [c.new.desired_state for c in leader.told[-1]] == [TaskState.RUNNING, TaskState.SHUTDOWN]
    assert [t.id for t in leader.store.tasks_on_node("n0")] == ["t1"]


def test_two_names_can_be_swapped_in_one_transaction(leader: Leader) -> None:
    """The name index follows the objects, whatever the order."""
    leader.create(service("s1", "a"), service("s2", "b"))

    def swap(tx: Transaction) -> None:
        one = tx.update(renamed(tx.get(Service, "s1"), "c"))
        tx.update(renamed(tx.get(Service, "s2"), "a"))
        tx.update(renamed(one, "b"))

    leader.update("u", swap)
    leader.commit()

    assert leader.store.by_name(Service, "a").id == "s2"
    assert leader.store.by_name(Service, "b").id == "s1"
    assert leader.store.by_name(Service, "c") is None


class PlainDict:
    """The slow, obvious twin of a transaction: every object in one dictionary, names by looking at them all."""

    def __init__(self, objects: dict[str, Service], version: int) -> None:
        self.objects = dict(objects)
        self.version = version

    def taken(self, name: str, by_other_than: str) -> bool:
        return any(o.name.lower() == name.lower() and o.id != by_other_than for o in self.objects.values())

    def act(self, what: str, id: str, name: str, version: int) -> str:
        """What happens: `ok`, or the error's text."""
        known = self.objects.get(id)
        if what == "delete":
            return "ok" if self.objects.pop(id, None) else "object does not exist"
        if self.taken(name, "" if what == "create" else id):
            return "name conflicts with an existing object"
        if what == "create":
            if known:
                return "object already exists"
            self.objects[id] = service(id, name).evolve(version=self.version)
            return "ok"
        if known is None:
            return "object does not exist"
        if version != known.version:
            return "update out of sequence"
        self.objects[id] = renamed(known, name).evolve(version=self.version)
        return "ok"


acts = st.tuples(
    st.sampled_from(["create", "update", "delete"]),
    st.sampled_from(["s1", "s2", "s3"]),
    st.sampled_from(["a", "A", "b", "c"]),
    st.integers(0, 3),
)


@settings(deadline=None)
@given(st.lists(st.lists(acts, max_size=6), max_size=4))
def test_transactions_agree_with_a_plain_dictionary(transactions: Any) -> None:
    """Own writes, names and versions, one transaction after another: each sees what those before it committed."""
    leader = Leader()
    twin = PlainDict({}, 0)
    for wanted in transactions:
        twin = PlainDict(twin.objects, leader.store.index)
        tx = begin(leader)
        for what, id, name, version in wanted:
            assert _attempt(tx, what, id, name, version) == twin.act(what, id, name, version)
            assert {o.id: (o.name, o.version) for o in tx.all(Service)} == _summary(twin)
            assert tx.by_name(Service, name) == next((o for o in tx.all(Service) if _same(o.name, name)), None)
        if tx.actions:
            leader.store.apply(tx.actions, leader.store.index + 1)
        assert {o.id: (o.name, o.version) for o in leader.store.services.values()} == _summary(twin)
        for name in "abc":
            holder = leader.store.by_name(Service, name)
            assert ([holder.id] if holder else []) == [o.id for o in twin.objects.values() if _same(o.name, name)]


def _attempt(tx: Transaction, what: str, id: str, name: str, version: int) -> str:
    try:
        if what == "create":
            tx.create(service(id, name))
        elif what == "update":
            tx.update(service(id, name).evolve(version=version))
        else:
            tx.delete(Service, id)
    except ApiError as error:
        return error.text
    return "ok"


def _same(one: str, other: str) -> bool:
    return one.lower() == other.lower()


def _summary(twin: PlainDict) -> dict[str, tuple[str, int]]:
    return {o.id: (o.name, o.version) for o in twin.objects.values()}


def test_a_transaction_finds_names_by_an_index(leader: Leader, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name is not looked for among all that was written before, so thousands in one transaction take no time."""
    asked = 0

    def name(self: Service) -> str:
        nonlocal asked
        asked += 1
        return self.spec.name

    monkeypatch.setattr(Service, "name", property(name))
    leader.create(*(service(f"s{i}") for i in range(500)))

    assert asked < 10 * 500


def test_a_name_that_was_freed_in_a_transaction_may_be_taken_there(leader: Leader) -> None:
    leader.create(service("s1", "a"))

    def change(tx: Transaction) -> None:
        tx.delete(Service, "s1")
        assert tx.by_name(Service, "a") is None
        tx.create(service("s2", "A"))
        tx.update(renamed(tx.get(Service, "s2"), "b"))
        tx.create(service("s3", "a"))

    leader.update("u", change)
    leader.commit()

    assert leader.results["u"] is None
    assert (leader.store.by_name(Service, "A").id, leader.store.by_name(Service, "b").id) == ("s3", "s2")
