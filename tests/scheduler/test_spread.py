"""Which of the nodes that may take a task gets it: fewest tasks of the service, then fewest tasks, and preferences."""

from collections import Counter

import pytest

from swarmsim.api.objects import Node, Task
from swarmsim.api.states import TaskState
from swarmsim.manager.scheduler.spread import _divide, map_order
from swarmsim.sim.rng import stream

from .swarm import SETTLED, Swarm, host_port, node, running, service, spec, task, tasks

SEEDS = range(12)
A_B_C = (node("a"), node("b"), node("c"))


def after(existing: dict[str, int], batch: int, seed: int = 0, other: dict[str, int] | None = None) -> list[int]:
    """Tasks of the service by node, after a batch on top of what exists."""
    swarm = Swarm(seed=seed).start(*map(node, existing), service(), service("other"))
    for id, count in existing.items():
        swarm.create(*running(f"old-{id}-", id, count))
    for id, count in (other or {}).items():
        swarm.create(*running(f"other-{id}-", id, count, service="other"))
    swarm.add(*tasks("new", batch))
    return list(swarm.load("web").values())


# -- batches --
@pytest.mark.parametrize(
    "batch, result",
    [
        (1, [1, 1, 3]),
        (2, [2, 1, 3]),
        (3, [2, 2, 3]),
        (4, [2, 3, 3]),
        (5, [2, 4, 3]),
        (6, [2, 4, 4]),
        (7, [3, 4, 4]),
        (8, [3, 5, 4]),
        (9, [3, 5, 5]),
    ],
)
def test_a_batch_does_not_level_unequal_loads(batch: int, result: list[int]) -> None:
    """P-001: ties do not advance, and no node is revisited before the end of the list."""
    for seed in SEEDS:
        assert after({"a": 0, "b": 1, "c": 3}, batch, seed) == result


def test_one_by_one_unequal_loads_are_levelled() -> None:
    """P-002: six passes instead of one."""
    for seed in SEEDS:
        swarm = Swarm(seed=seed).start(*A_B_C, service(), *running("b", "b"), *running("c", "c", 3))
        for i in range(6):
            swarm.add(task(f"new{i}", slot=9 + i))

        assert sorted(swarm.load().values()) == [3, 3, 4]


def test_a_batch_levels_equal_loads_exactly() -> None:
    """Ten tasks on three empty nodes."""
    for seed in SEEDS:
        assert sorted(after({"a": 0, "b": 0, "c": 0}, 10, seed)) == [3, 3, 4]
        assert sorted(after({"a": 2, "b": 2, "c": 2}, 10, seed)) == [5, 5, 6]


def test_ties_are_broken_by_all_tasks_of_the_node() -> None:
    """P-004."""
    for seed in SEEDS:
        assert after({"a": 0, "b": 0, "c": 0}, 4, seed, other={"a": 0, "b": 2, "c": 4}) == [2, 1, 1]


def test_what_a_node_has_free_is_not_considered() -> None:
    swarm = Swarm().start(node("small"), node("large", cpus=10**12), service(), *running("old", "large"))

    swarm.add(task("t", spec(cpus=10**9)))

    assert swarm.where("t") == "small"


def test_tasks_without_spec_version_are_placed_one_by_one() -> None:
    """In one pass, but each with a tree of its own: so they are levelled."""
    for seed in SEEDS:
        swarm = Swarm(seed=seed).start(*A_B_C, service(), *running("b", "b"), *running("c", "c", 3))
        swarm.add(*tasks("new", 6, spec_version=None))

        assert sorted(swarm.load().values()) == [3, 3, 4]


def test_each_spec_version_of_a_service_is_a_batch() -> None:
    for seed in SEEDS:
        swarm = Swarm(seed=seed).start(node("a"), node("b"), service(spec_version=2))
        swarm.add(*tasks("old", 2, spec_version=1), *tasks("new", 2, spec_version=2))

        assert swarm.load() == {"a": 2, "b": 2}


def test_high_availability() -> None:
    """O-199, O-200, O-202 (TestHA)."""
    for seed in SEEDS:
        swarm = Swarm(seed=seed).start(*(node(f"id{i}") for i in range(1, 6)), service("one"), service("two"))
        one: dict[str, object] = {"service": "one", "spec_version": None}
        two: dict[str, object] = {"service": "two", "spec_version": None}
        swarm.add(*tasks("a", 18, **one))
        threes = [id for id, count in swarm.load("one").items() if count == 3]
        assert len(threes) == 2

        swarm.add(*tasks("b", 2, **two))
        assert [id for id, count in swarm.load("two").items() if count] == threes  # O-199

        before = swarm.load("one")
        swarm.add(*tasks("c", 3, **one))
        grown = [id for id, count in swarm.load("one").items() if count > before[id]]
        assert sorted(swarm.load("one").values()) == [4, 4, 4, 4, 5]  # O-200
        assert set(threes) < set(grown)

        swarm.drop(*[t for t in swarm.store.tasks.values() if t.node_id == "id1"])
        others = swarm.load("two")
        swarm.add(*tasks("d", 2, **two))
        swarm.add(*tasks("e", 4, **one))
        assert swarm.load("one")["id1"] == 4  # O-202
        assert swarm.load("two")["id1"] - others["id1"] == 1


# -- room for some --
def test_a_batch_fills_what_room_there_is_and_explains_the_rest() -> None:
    """P-005: without a preference the last round asks all three nodes in vain."""
    for seed in SEEDS:
        small = [node(id, memory=1 << 30) for id in "abc"]
        swarm = Swarm(seed=seed).start(*small, service())
        swarm.add(*tasks("t", 5, spec(memory=1 << 30)))

        waiting = [t for t in swarm.store.tasks.values() if not t.node_id]
        assert swarm.load() == {"a": 1, "b": 1, "c": 1}
        first = {e.explanation for e in swarm.not_placed()[:2]}
        assert first == {"no suitable node (insufficient resources on 3 nodes)"}
        assert len(waiting) == 2


def test_the_counts_start_again_whenever_a_node_passes() -> None:
    """Probed quirk: after part of a batch was placed, the explanation covers only the checks since."""
    for seed in SEEDS:
        nodes = [node("a", memory=1 << 30), node("b", memory=0), node("c", memory=0)]
        swarm = Swarm(seed=seed).start(*nodes, service())
        swarm.add(*tasks("t", 2, spec(memory=1 << 30)))

        # The next pass, in which no node passes, covers all of them.
        told = [e.explanation for e in swarm.not_placed()]
        assert told == [f"no suitable node (insufficient resources on {n})" for n in ("1 node", "3 nodes")]


def test_with_a_preference_the_explanation_covers_less() -> None:
    """Probed quirk: `on 1 node` or `on 2 nodes` although three are full."""
    told = set()
    for seed in range(40):
        nodes = [node(id, memory=1 << 30, labels={"az": az}) for id, az in (("a", "1"), ("b", "2"), ("c", "2"))]
        swarm = Swarm(seed=seed).start(*nodes, service())
        swarm.add(*tasks("t", 5, spec(memory=1 << 30, preferences=("node.labels.az",))))
        assert swarm.load() == {"a": 1, "b": 1, "c": 1}
        told.add(swarm.not_placed()[0].explanation)

    assert told == {f"no suitable node (insufficient resources on {n})" for n in ("1 node", "2 nodes")}


def test_a_task_is_left_over_only_when_no_node_can_take_it() -> None:
    """Nodes that fill up are skipped, the others go on in turn."""
    rooms = {"a": 1, "b": 5, "c": 2, "d": 9}
    for seed in SEEDS:
        nodes = [node(id, memory=room) for id, room in rooms.items()]
        swarm = Swarm(seed=seed).start(*nodes, service())
        swarm.add(*tasks("t", 16, spec(memory=1)))
        assert swarm.load() == {"a": 1, "b": 5, "c": 2, "d": 8}

        swarm.add(*tasks("u", 4, spec(memory=1)))
        assert swarm.load() == rooms


# -- preferences --
def az(id: str, value: str | None, **fields: object) -> Node:
    return node(id, labels={} if value is None else {"az": value}, **fields)  # type: ignore[arg-type]


BY_AZ = spec(preferences=("node.labels.az",))


@pytest.mark.parametrize("spec_version", [1, None], ids=["batch", "one by one"])
def test_preferences_outrank_the_spread_over_nodes(spec_version: int | None) -> None:
    """O-203 (TestPreferences)."""
    for seed in SEEDS:
        nodes = [az("id1", "az1"), *(az(f"id{i}", "az2") for i in range(2, 6))]
        swarm = Swarm(seed=seed).start(*nodes, service())
        swarm.add(*tasks("t", 8, BY_AZ, spec_version=spec_version))

        assert swarm.load() == {"id1": 4, "id2": 1, "id3": 1, "id4": 1, "id5": 1}


def racks(seed: int, *new: Task) -> Swarm:
    nodes = [
        node("id11", labels={"az": "dc1", "rack": "r1"}),
        node("id12", labels={"az": "dc1", "rack": "r2"}),
        node("id21", labels={"az": "dc2", "rack": "r1"}),
    ]
    old = [*running("a", "id11", 3), *running("b", "id12", 1), *running("c", "id21", 3)]
    swarm = Swarm(seed=seed).start(*nodes, service(), *old)
    swarm.add(*new)
    return swarm


def test_nested_preferences() -> None:
    """O-205 (TestMultiplePreferencesScaleUp), and probed: both tasks end on one node, four times in five on id12."""
    by_both = spec(preferences=("node.labels.az", "node.labels.rack"))
    results: Counter[tuple[int, ...]] = Counter()
    for seed in range(60):
        results[tuple(racks(seed, *tasks("new", 2, by_both)).load().values())] += 1

    assert set(results) == {(3, 3, 3), (3, 1, 5)}
    assert results[3, 3, 3] > results[3, 1, 5]


def test_a_branch_above_its_share_receives_nothing_and_gives_nothing() -> None:
    """P-010."""
    for seed in SEEDS:
        nodes = [az("a", "a"), az("b1", "b"), az("b2", "b")]
        swarm = Swarm(seed=seed).start(*nodes, service(), *running("old", "a", 4))
        swarm.add(*tasks("new", 4, BY_AZ))

        assert swarm.load() == {"a": 4, "b1": 2, "b2": 2}


def test_nodes_without_the_label_are_a_branch_of_their_own() -> None:
    """P-011."""
    for seed in SEEDS:
        swarm = Swarm(seed=seed).start(az("a", "a"), az("b", "b"), az("c", None), service())
        swarm.add(*tasks("t", 7, BY_AZ))

        assert sorted(swarm.load().values()) == [2, 2, 3]


def test_an_empty_label_is_like_none() -> None:
    for seed in SEEDS:
        swarm = Swarm(seed=seed).start(az("a", "a"), az("b", ""), az("c", None), service())
        swarm.add(*tasks("t", 4, BY_AZ))

        assert swarm.load() == {"a": 2, "b": 1, "c": 1}


@pytest.mark.parametrize(
    "descriptor, spreads",
    [
        ("node.labels.az", True),
        ("NODE.Labels.az", True),
        ("engine.labels.az", True),
        ("node.labels.AZ", False),  # names of labels have case
        ("node.labels.", False),
        ("node.hostname", False),
        ("az", False),
    ],
)
def test_a_descriptor_names_a_label_or_is_ignored(descriptor: str, spreads: bool) -> None:
    nodes = [node("a", labels={"az": "1"}, engine_labels={"az": "1"})]
    nodes += [node(id, labels={"az": "2"}, engine_labels={"az": "2"}) for id in ("b1", "b2", "b3")]
    for seed in SEEDS:
        swarm = Swarm(seed=seed).start(*nodes, service())
        swarm.add(*tasks("t", 4, spec(preferences=(descriptor,))))

        assert swarm.load()["a"] == (2 if spreads else 1)


def test_an_ignored_preference_does_not_hide_the_next() -> None:
    swarm = Swarm().start(az("a", "1"), az("b", "2"), az("c", "2"), service())
    swarm.add(*tasks("t", 4, spec(preferences=("node.hostname", "node.labels.az"))))

    assert swarm.load() == {"a": 2, "b": 1, "c": 1}


def test_a_branch_counts_tasks_on_nodes_that_take_no_more() -> None:
    """Also those on nodes that fail the filters."""
    for seed in SEEDS:
        nodes = [az("a1", "a", memory=0), az("a2", "a"), az("b", "b")]
        swarm = Swarm(seed=seed).start(*nodes, service(), *running("old", "a1", 3))
        swarm.add(*tasks("new", 3, spec(memory=1, preferences=("node.labels.az",))))

        assert swarm.load() == {"a1": 3, "a2": 0, "b": 3}


def test_what_a_full_branch_cannot_take_goes_to_the_others() -> None:
    for seed in SEEDS:
        nodes = [az("a", "a", memory=1), az("b", "b", memory=9), az("c", "c", memory=9)]
        swarm = Swarm(seed=seed).start(*nodes, service())
        swarm.add(*tasks("t", 9, spec(memory=1, preferences=("node.labels.az",))))

        assert swarm.load() == {"a": 1, "b": 4, "c": 4}


def test_a_node_that_moves_takes_its_tasks_along() -> None:
    """The tree is kept between passes: labels that change, nodes that join and leave must show."""
    swarm = Swarm().start(az("a", "1"), az("b", "2"), service(), *running("old", "b", 4))
    swarm.add(*tasks("t", 2, BY_AZ))
    assert swarm.load() == {"a": 2, "b": 4}

    swarm.change(az("b", "1"))  # the branch 2 is no more
    swarm.add(az("c", "2"))
    swarm.add(*tasks("u", 4, BY_AZ))
    assert swarm.load() == {"a": 2, "b": 4, "c": 4}

    swarm.drop(swarm.node_object("b"))
    swarm.add(*tasks("v", 4, BY_AZ))

    # Branch 1 has the two on a, branch 2 the four on c.
    assert swarm.load() == {"a": 5, "c": 5}


# -- faults --
def fail_in_turns(swarm: Swarm, rounds: int, version_of: object = lambda n: 1) -> list[str]:
    """Where a task goes in each round; it fails there."""
    where = []
    for n in range(rounds):
        swarm.add(task(f"t{n}", spec_version=version_of(n), slot=n + 1))  # type: ignore[operator]
        where.append(swarm.where(f"t{n}"))
        swarm.end(f"t{n}", TaskState.FAILED if n % 2 else TaskState.REJECTED)
    return where


def two_nodes() -> Swarm:
    """id1 has a task already, so that id2 would come first."""
    return Swarm().start(node("id1"), node("id2"), service(), *running("old", "id1", service="other"))


def test_five_failures_in_five_minutes_rank_a_node_last() -> None:
    """TestSchedulerFaultyNode."""
    assert fail_in_turns(two_nodes(), 8) == ["id2"] * 5 + ["id1"] * 3


def test_a_new_spec_version_begins_without_failures() -> None:
    """O-208 (TestSchedulerFaultyNodeSpecVersion)."""
    where = fail_in_turns(two_nodes(), 15, lambda n: 1 if n < 6 else 2)

    assert where == ["id2"] * 5 + ["id1"] + ["id2"] * 5 + ["id1"] * 4


def test_failures_of_bound_tasks_never_count() -> None:
    """Preassigned tasks are not the scheduler's choice."""
    swarm = two_nodes()
    for n in range(6):
        swarm.add(task(f"bound{n}", on="id2", slot=0))
        swarm.end(f"bound{n}", TaskState.FAILED)

    swarm.add(task("t"))

    assert swarm.where("t") == "id2"


def test_failures_are_forgotten_after_five_minutes() -> None:
    swarm = two_nodes()
    fail_in_turns(swarm, 5)
    swarm.add(task("soon"))
    assert swarm.where("soon") == "id1"

    swarm.run_for(300_000_000 - 2 * SETTLED)
    swarm.end("soon", TaskState.COMPLETE)
    swarm.add(task("late"))

    assert swarm.where("late") == "id2"


@pytest.mark.parametrize("state", [TaskState.COMPLETE, TaskState.SHUTDOWN, TaskState.ORPHANED])
def test_only_failed_and_rejected_are_failures(state: TaskState) -> None:
    swarm = two_nodes()
    for n in range(6):
        swarm.add(task(f"t{n}"))
        swarm.end(f"t{n}", state)

    swarm.add(task("t"))

    assert swarm.where("t") == "id2"


def test_a_faulty_node_is_used_when_there_is_no_other() -> None:
    """Ranked last, never excluded; between two faulty nodes fewer failures win."""
    swarm = Swarm().start(node("id1"), service())
    assert fail_in_turns(swarm, 7) == ["id1"] * 7

    swarm.add(node("id2"))
    swarm.create(*running("many", "id2", 9, service="other"))

    where = fail_again(swarm, 9)

    # id2 has failed less until both have seven; then its many tasks count, and after the eighth on id1 it is its turn.
    assert where == ["id2"] * 7 + ["id1", "id2"]


def fail_again(swarm: Swarm, rounds: int) -> list[str]:
    where = []
    for n in range(rounds):
        swarm.add(task(f"again{n}", slot=90 + n))
        where.append(swarm.where(f"again{n}"))
        swarm.end(f"again{n}", TaskState.FAILED)
    return where


# -- the order of Go's maps --
def test_map_order_is_a_rotation_that_favours_the_first() -> None:
    """A Go map of up to eight items begins at one of its eight places; empty ones lead to the first item."""
    rng = stream(1, "map")
    starts = Counter(map_order("abc", rng)[0] for _ in range(8_000))

    assert abs(starts["a"] - 6_000) < 200
    assert abs(starts["b"] - 1_000) < 200
    assert map_order("a", rng) == ["a"]
    assert map_order("", rng) == []


def test_map_order_of_many_begins_anywhere() -> None:
    rng = stream(1, "map")
    items = list(range(16))
    orders = [map_order(items, rng) for _ in range(3_200)]
    starts = Counter(order[0] for order in orders)

    assert min(starts.values()) > 130
    assert all(order == [*items[order[0] :], *items[: order[0]]] for order in orders)


def test_nodes_beyond_eight_take_a_random_place_in_the_order() -> None:
    """So that a late node is not always asked last."""
    firsts = Counter()
    for seed in range(200):
        swarm = Swarm(seed=seed).start(*(node(f"n{i}") for i in range(12)), service())
        firsts[[info.node.id for info in swarm.scheduler.nodes.order].index("n11")] += 1

    assert len(firsts) == 12


@pytest.mark.parametrize("a, b, result", [(7, 2, (3, 1)), (-7, 2, (-3, -1)), (-1, 3, (0, -1)), (6, 3, (2, 0))])
def test_integers_divide_as_in_go(a: int, b: int, result: tuple[int, int]) -> None:
    """Towards zero; a branch that got more than it was asked divides a negative rest."""
    assert _divide(a, b) == result


def test_host_ports_make_a_batch_skip_nodes() -> None:
    for seed in SEEDS:
        holds = running("old", "b", service="other", endpoint=host_port(("tcp", 80)))
        swarm = Swarm(seed=seed).start(*A_B_C, service(), *holds)
        swarm.add(*tasks("t", 3, endpoint=host_port(("tcp", 80))))

        assert swarm.load("web") == {"a": 1, "b": 0, "c": 1}
