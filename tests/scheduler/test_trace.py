"""What the trace says of each placement: why this node, how the others ranked, which filters refused which nodes."""

import pytest

from swarmsim.api.objects import Node
from swarmsim.api.states import Availability, TaskState
from swarmsim.manager.scheduler.spread import IN_TURN, ONLY, SPREAD, STAYS
from swarmsim.trace.events import TaskNotPlaced, TaskPlaced

from .swarm import SETTLED, Swarm, node, running, service, spec, task, tasks


def paused(id: str) -> Node:
    return node(id, availability=Availability.PAUSE)


def test_a_placement_tells_why_this_node() -> None:
    swarm = Swarm().start(
        *(node(f"n{i}") for i in range(4)), paused("p2"), paused("p1"), node("small", memory=0), service()
    )
    swarm.create(*running("old", "n0", 2), *running("other", "n3", service="other"))
    swarm.add(task("t", spec(memory=1), slot=7))

    (placed,) = swarm.placed()
    assert placed == TaskPlaced(
        task="t",
        name="web.7",
        node=swarm.where("t"),
        tied=2,
        service_tasks=0,
        refused="2 nodes not available for new tasks; insufficient resources on 1 node",
        why="fewest tasks of the service, then fewest tasks",
        ranks=((0, 0, 0, 2), (0, 0, 1, 1), (0, 2, 2, 1)),
        refusals=(("ready", 2, ("p1", "p2")), ("resources", 1, ("small",))),
    )
    assert placed.node in ("n1", "n2")


def test_a_refusal_tells_which_nodes_refused() -> None:
    swarm = Swarm().start(paused("p1"), node("small", memory=0), service(), task("t", spec(memory=1), slot=3))
    swarm.run_for(SETTLED)

    assert swarm.not_placed() == [
        TaskNotPlaced(
            task="t",
            name="web.3",
            explanation="no suitable node (1 node not available for new tasks; insufficient resources on 1 node)",
            refusals=(("ready", 1, ("p1",)), ("resources", 1, ("small",))),
        )
    ]


def test_refusals_cover_all_nodes_also_where_the_explanation_does_not() -> None:
    swarm = Swarm().start(node("a", memory=1), node("b", memory=0), service(), *tasks("t", 2, spec(memory=1)))

    told = swarm.not_placed()[0]
    assert told.explanation == "no suitable node (insufficient resources on 1 node)"
    assert told.refusals == (("resources", 2, ("a", "b")),)


def test_only_the_first_names_are_told() -> None:
    swarm = Swarm().start(*(paused(f"p{i}") for i in range(20)), service(), task("t"))

    ((name, count, names),) = swarm.not_placed()[0].refusals
    assert (name, count, len(names)) == ("ready", 20, 8)
    assert list(names) == sorted(set(names))


def test_max_replicas_refuses_nodes_for_their_own_service_only() -> None:
    swarm = Swarm().start(node("a"), node("b"), service(), service("other"))
    swarm.add(*tasks("t", 2, spec(max_replicas=1)))
    swarm.add(task("u", spec(max_replicas=1)), task("v", spec(max_replicas=1), service="other"))

    assert swarm.not_placed()[0].refusals == (("max_replicas", 2, ("a", "b")),)
    assert swarm.placed()[-1].refusals == ()


def test_a_batch_tells_how_it_went_from_node_to_node() -> None:
    swarm = Swarm().start(node("a"), node("b"), node("c"), service(), *running("b", "b"), *running("c", "c", 3))
    swarm.add(*tasks("t", 7))

    told = [(e.node, e.tied, e.service_tasks, e.why) for e in swarm.placed()]
    assert told == [
        ("a", 1, 0, SPREAD),
        ("a", 2, 1, STAYS),
        ("b", 1, 1, SPREAD),
        ("b", 2, 2, STAYS),
        ("b", 2, 3, STAYS),
        ("c", 1, 3, SPREAD),
        ("a", 1, 2, IN_TURN),
    ]
    assert [e.ranks for e in swarm.placed()][:2] == [
        ((0, 0, 0, 1), (0, 1, 1, 1), (0, 3, 3, 1)),
        ((0, 1, 1, 2), (0, 3, 3, 1)),
    ]


def test_the_only_node_that_fits_is_called_so() -> None:
    swarm = Swarm().start(node("a"), paused("p"), service(), *tasks("t", 2))

    assert [e.why for e in swarm.placed()] == [ONLY, ONLY]


def test_a_placement_by_preference_names_the_branch() -> None:
    nodes = [node("a", labels={"az": "1", "rack": "x"}), node("b", labels={"az": "2"})]
    wanted = spec(preferences=("node.labels.az", "node.labels.rack"))
    swarm = Swarm().start(*nodes, service(), *tasks("t", 2, wanted))

    assert {e.node: e.why for e in swarm.placed()} == {"a": f"az=1, rack=x: {ONLY}", "b": f"az=2, rack=: {ONLY}"}


def test_a_bound_task_is_named_after_its_node() -> None:
    swarm = Swarm().start(node("id1", hostname="w1"), service(), task("t", on="id1", slot=0))
    swarm.add(task("u", spec(memory=1 << 60), on="id1", slot=0))

    (placed,), (refused,) = swarm.placed(), swarm.not_placed()
    assert (placed.name, placed.node, placed.why) == ("web.w1", "w1", "bound to this node")
    assert (refused.name, refused.explanation) == ("web.w1", "insufficient resources on 1 node")
    assert refused.refusals == (("resources", 1, ("w1",)),)


def test_failures_that_count_are_told() -> None:
    swarm = Swarm().start(node("a"), service())
    for n in range(6):
        swarm.add(task(f"t{n}"))
        swarm.end(f"t{n}", TaskState.FAILED)

    assert [e.ranks for e in swarm.placed()] == [((0, 0, 0, 1),)] * 5 + [((5, 0, 0, 1),)]

    swarm.add(*tasks("u", 2))

    assert [e.ranks for e in swarm.placed()[-2:]] == [((6, 0, 0, 1),), ((6, 1, 1, 1),)]


@pytest.mark.parametrize("on", ["", "id1"])
def test_a_placement_is_told_when_it_is_committed_not_before(on: str) -> None:
    swarm = Swarm(commit_latency=30_000).start(node("id1"), service())
    swarm.run_for(SETTLED)
    swarm.create(task("t", on=on, slot=0 if on else 1))
    swarm.run_for(70_000)
    assert not swarm.placed()

    swarm.run_for(10_000)

    assert len(swarm.placed()) == 1


def test_a_placement_is_caused_by_what_made_the_task_wait_or_made_room() -> None:
    """The latest change that helped; `cause` is the trace's."""
    swarm = Swarm().start(service())
    swarm.commit(lambda tx: tx.create(task("t")), cause=3)
    swarm.run_for(SETTLED)
    swarm.commit(lambda tx: tx.create(node("id1")), cause=8)
    swarm.run_for(SETTLED)

    causes = [(type(r.event).__name__, r.cause) for r in swarm.trace]
    assert causes == [("TaskNotPlaced", 3), ("TaskPlaced", 8)]


def test_a_task_that_was_never_refused_owes_its_place_to_what_made_it_wait() -> None:
    swarm = Swarm().start(service())
    swarm.commit(lambda tx: tx.create(node("id1")), cause=8)
    swarm.run_for(SETTLED)
    swarm.commit(lambda tx: tx.create(task("t")), cause=3)
    swarm.run_for(SETTLED)

    assert [r.cause for r in swarm.trace] == [3]
