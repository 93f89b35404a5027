"""What the scheduler knows of a node, and the set of all nodes in their order."""

from collections.abc import Callable
from functools import partial
from random import Random
from sys import setprofile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmsim.api.specs import GenericResource
from swarmsim.api.states import TaskState
from swarmsim.manager.scheduler import node_set
from swarmsim.manager.scheduler.node_info import NodeInfo
from swarmsim.manager.scheduler.node_set import NodeSet

from .swarm import Swarm, host_port, node, running, service, spec, task, tasks


def free_of(info: NodeInfo) -> tuple[int, int, dict[str, Any]]:
    return info.nano_cpus, info.memory_bytes, info.generic


# -- one node --
def test_a_task_takes_what_it_reserves_once() -> None:
    """O-232 (TestAddTask)."""
    info = NodeInfo(node("n1", cpus=100_000, memory=1_000_000, kinds="orange=blue,orange=red,apple=5"))
    held = (GenericResource("apple", 2), GenericResource("orange", names=("blue",)))
    taken = task("t", spec(cpus=5_000, memory=5_000, kinds="apple=2,orange=1"), assigned_generic=held)

    assert info.add_task(taken)

    assert free_of(info) == (95_000, 995_000, {"orange": ("red",), "apple": 3})
    assert not info.add_task(taken)
    assert free_of(info) == (95_000, 995_000, {"orange": ("red",), "apple": 3})


def test_a_task_gives_back_what_it_held_once() -> None:
    """O-233 (nodeinfo TestRemoveTask)."""
    held = (GenericResource("apple", 1), GenericResource("orange", names=("green",)))
    tracked = task("t", spec(cpus=5_000, memory=5_000, kinds="apple=1,orange=1"), assigned_generic=held)
    kinds = "orange=blue,orange=red,orange=green,apple=6"
    info = NodeInfo(node("n1", cpus=100_000, memory=1_000_000, kinds=kinds), [tracked])
    assert free_of(info) == (95_000, 995_000, {"orange": ("blue", "red"), "apple": 5})

    assert info.remove_task(tracked)

    assert free_of(info) == (100_000, 1_000_000, {"orange": ("blue", "red", "green"), "apple": 6})
    assert not info.remove_task(tracked)
    assert free_of(info) == (100_000, 1_000_000, {"orange": ("blue", "red", "green"), "apple": 6})


def test_active_tasks_are_counted_by_service_and_in_total() -> None:
    info = NodeInfo(node("n1"), [*running("a", "n1", 2, service="one"), *running("b", "n1", 1, service="two")])
    assert (info.active, info.active_by_service) == (3, {"one": 2, "two": 1})

    stopping = running("a", "n1", 1, service="one", desired=TaskState.SHUTDOWN)[0]
    assert info.add_task(stopping)
    assert (info.active, info.active_by_service) == (2, {"one": 1, "two": 1})

    info.remove_task(stopping)
    info.remove_task(running("b", "n1", service="two")[0])
    assert (info.active, info.active_by_service) == (1, {"one": 1})


def test_what_is_forgotten_is_the_task_as_it_was_tracked() -> None:
    """Whatever it has become meanwhile."""
    info = NodeInfo(node("n1"), running("a", "n1"))

    info.remove_task(running("a", "n1", desired=TaskState.SHUTDOWN)[0])

    assert (info.active, info.active_by_service) == (0, {})


def test_jobs_count_as_active() -> None:
    """Desired COMPLETE."""
    info = NodeInfo(node("n1"), running("a", "n1", desired=TaskState.COMPLETE))

    assert info.active == 1


def test_host_ports_are_free_again_when_their_task_is_gone() -> None:
    holder = running("a", "n1", endpoint=host_port(("tcp", 80), ("udp", 53)))[0]
    info = NodeInfo(node("n1"), [holder])
    assert info.host_ports == {("tcp", 80), ("udp", 53)}

    info.remove_task(holder)

    assert info.host_ports == set()


def test_a_new_description_keeps_what_is_held() -> None:
    held = (GenericResource("gpu", names=("b",)),)
    wanted = spec(cpus=10, memory=20, kinds="gpu=1")
    info = NodeInfo(node("n1", cpus=100, memory=100, kinds="gpu=a,gpu=b"))
    info.add_task(task("t", wanted, assigned_generic=held))

    info.set_node(node("n1", cpus=15, memory=10, kinds="gpu=b,gpu=c,gpu=d"))

    assert free_of(info) == (5, -10, {"gpu": ("c", "d")})


def test_a_node_without_description_offers_nothing() -> None:
    assert free_of(NodeInfo(node("n1", described=False))) == (0, 0, {})


# -- the set --
def ids(nodes: NodeSet) -> list[str]:
    return [info.node.id for info in nodes.order]


def test_places_follow_the_order() -> None:
    nodes, rng = NodeSet(), Random(1)
    for i in range(30):
        nodes.create_or_update(node(f"n{i}"), rng)
        if i % 3 == 2:
            nodes.remove(f"n{i - 1}")

    assert nodes.places == sorted(set(nodes.places)) == [info.place for info in nodes.order]
    assert sorted(ids(nodes)) == sorted(nodes.infos)


def test_up_to_eight_nodes_keep_the_order_of_their_coming() -> None:
    nodes, rng = NodeSet(), Random(1)
    for i in range(8):
        nodes.create_or_update(node(f"n{i}"), rng)
    nodes.remove("n3")
    nodes.create_or_update(node("n3"), rng)

    assert ids(nodes) == ["n0", "n1", "n2", "n4", "n5", "n6", "n7", "n3"]


def test_places_are_numbered_anew_when_there_is_no_room_between_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_set, "GAP", 4)
    swarm = Swarm().start(*(node(f"n{i}", labels={"az": f"{i % 3}"}) for i in range(20)), service())
    swarm.add(*tasks("t", 20))
    for i in range(20, 60):
        swarm.add(node(f"n{i}", labels={"az": f"{i % 3}"}))
    swarm.add(*tasks("u", 40))

    nodes = swarm.scheduler.nodes
    assert nodes.layout > 0
    assert nodes.places == sorted(set(nodes.places)) == [info.place for info in nodes.order]
    assert set(swarm.load().values()) == {1}


@given(st.lists(st.tuples(st.sampled_from("arct"), st.integers(0, 5)), max_size=40), st.integers(0, 40))
def test_changes_are_told_once_and_latest_first(actions: list[tuple[str, int]], since: int) -> None:
    """A slow twin: a list of all changes."""
    nodes, rng = NodeSet(), Random(0)
    log: list[tuple[int, str]] = []
    for n, (action, i) in enumerate(actions):
        id = f"n{i}"
        known = id in nodes.infos
        if action in "ac":
            nodes.create_or_update(node(id), rng)
        elif action == "r":
            nodes.remove(id)
            log = [entry for entry in log if entry[1] != id]
        elif known:
            nodes.add_task(running(f"t{n}-", id)[0])
        if action in "ac" or (action == "t" and known):
            log.append((nodes.clock, id))

    expected = list(dict.fromkeys(id for at, id in reversed(log) if at > since))
    assert [info.node.id for info in nodes.changed_since(since)] == expected


def test_the_nodes_of_a_service_are_known() -> None:
    nodes, rng = NodeSet(), Random(0)
    for id in ("n1", "n2", "n3"):
        nodes.create_or_update(node(id), rng)
    first, second = running("a", "n1")[0], running("b", "n1")[0]
    for tracked in (first, second, running("c", "n2")[0]):
        nodes.add_task(tracked)
    assert [info.node.id for info in nodes.of_service("web")] == ["n1", "n2"]

    nodes.remove_task(first)
    assert nodes.count_of("web") == 2
    nodes.remove_task(second)
    nodes.remove("n2")

    assert nodes.count_of("web") == 0


# -- what it costs --
def calls(action: Callable[[], object]) -> int:
    """How many functions are called, Python's own included: exact, and the same on every machine."""
    count = 0

    def profile(frame: object, event: str, arg: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    setprofile(profile)
    try:
        action()
    finally:
        setprofile(None)
    return count


def a_swarm(size: int, per_node: int = 2) -> Swarm:
    """Nodes with some tasks each, of a service that has been placed once."""
    swarm = Swarm().start(*(node(f"n{i}", labels={"az": f"{i % 4}"}) for i in range(size)), service(), service("other"))
    old = running("other", "", size * per_node, service="other")
    swarm.create(*(t.evolve(node_id=f"n{i % size}") for i, t in enumerate(old)))
    swarm.add(*tasks("web", size))
    return swarm


EVENTS: dict[str, Callable[[Swarm], object]] = {
    "a task runs": lambda s: s.write(
        s.task("web0").evolve(status=s.task("web0").status.evolve(state=TaskState.RUNNING))
    ),
    "a task ends": lambda s: s.write(
        s.task("web0").evolve(status=s.task("web0").status.evolve(state=TaskState.FAILED))
    ),
    "a task shall stop": lambda s: s.write(s.task("web0").evolve(desired_state=TaskState.SHUTDOWN)),
    "a task is deleted": lambda s: s.delete(s.task("web0")),
    "a node changes": lambda s: s.write(node("n1", labels={"az": "9"})),
    "a node joins": lambda s: s.create(node("new")),
    "a node leaves": lambda s: s.delete(s.node_object("n1")),
}


@pytest.mark.parametrize("name", EVENTS)
def test_following_an_event_costs_the_same_however_large_the_cluster(name: str) -> None:
    """Constant work per event; binary searches and shifts inside a list are single calls."""
    few, many = a_swarm(20), a_swarm(400)

    # A random place for a new node may take more than one draw.
    assert calls(lambda: EVENTS[name](many)) <= calls(lambda: EVENTS[name](few)) + 5 * (name == "a node joins")


def test_following_a_change_of_a_node_costs_the_same_however_many_tasks_it_has() -> None:
    few, many = a_swarm(10, per_node=1), a_swarm(10, per_node=60)

    assert calls(lambda: EVENTS["a node changes"](many)) == calls(lambda: EVENTS["a node changes"](few))


BY_AZ = ("node.labels.az",)
ONES: dict[str, Callable[[Swarm], object]] = {
    "plain": lambda s: s.add(task("one")),
    "of a new service": lambda s: s.add(task("one", service="new")),
    "of a new version": lambda s: s.add(task("one", spec_version=2)),
    "with a reservation": lambda s: s.add(task("one", spec(memory=1))),
    "with a preference": lambda s: s.add(task("one", spec(preferences=BY_AZ))),
    "with max replicas": lambda s: s.add(task("one", spec(max_replicas=9))),
}


@pytest.mark.parametrize("name", ONES)
def test_placing_one_more_task_costs_the_same_however_large_the_cluster(name: str) -> None:
    """What the tree learnt before, it knows; only what changed since is looked at."""
    few, many = a_swarm(20), a_swarm(400)
    for swarm in (few, many):
        swarm.add(service("new"))
        ONES[name](swarm)  # the first of its kind may look at all nodes
        swarm.drop(swarm.task("one"))

    # A binary search in a list of nodes is one call; what differs is a rank or two more to read.
    assert calls(lambda: ONES[name](many)) <= calls(lambda: ONES[name](few)) + 40


def test_the_first_task_of_a_service_costs_the_same_when_others_wanted_the_same_before() -> None:
    """What does not depend on the service is shared."""
    few, many = a_swarm(20), a_swarm(400)
    for swarm in (few, many):
        swarm.add(service("new"), task("other", service="other"))

    one = task("one", service="new")

    assert calls(lambda: many.add(one)) <= calls(lambda: few.add(one)) + 40


def test_a_service_that_was_quiet_for_long_costs_what_it_has_not_what_others_did() -> None:
    costs = []
    for size in (20, 400):
        swarm = a_swarm(size)
        swarm.add(service("quiet"), task("first", service="quiet"))
        swarm.add(*tasks("more", size))
        swarm.add(task("after", service="other"))  # what does not depend on the service has caught up
        costs.append(calls(partial(swarm.add, task("second", service="quiet"))))

    assert costs[1] <= costs[0] + 40


def test_what_a_task_costs_in_a_batch_does_not_grow_with_the_batch() -> None:
    swarm = a_swarm(50)
    swarm.add(task("warm", spec(memory=1)))
    few = calls(lambda: swarm.add(*tasks("few", 100, spec(memory=1))))
    many = calls(lambda: swarm.add(*tasks("many", 1_000, spec(memory=1))))

    assert many / 1_000 <= few / 100
