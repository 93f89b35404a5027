"""Why a task is where it is, as told to a user (`scenario.why`)."""

from __future__ import annotations

import swarmsim
from swarmsim.scenario.why import why
from swarmsim.trace.events import TaskNotPlaced, TaskPlaced
from swarmsim.trace.recorder import Trace


def test_a_placement_tells_how_the_nodes_stood_and_what_refused_the_others() -> None:
    trace = Trace()
    ranks = ((0, 1, 4, 2), (0, 2, 5, 1), (3, 0, 0, 1))
    refusals = (("ready", 3, ("w1", "w2")), ("constraint", 1, ("w3",)))
    trace.record(TaskPlaced("t1", "web.3", "w4", 2, 1, "", "fewest tasks", ranks, refusals), 19_600_000, 0)
    trace.record(TaskPlaced("t2", "web.4", "w5", 1, 1, "", "fewest tasks"), 20_000_000, 0)

    assert why(trace, "web.3").splitlines() == [
        "19.600  web.3 → w4: fewest tasks",
        "          2 nodes with 1 task of the service, 4 in all; one of 2 that tied",
        "          1 node with 2 tasks of the service, 5 in all",
        "          1 node with 0 tasks of the service, 0 in all, 3 failures lately",
        "          `ready` refused w1, w2 and 1 more",
        "          `constraint` refused w3",
    ]


def test_every_decision_about_a_slot_is_told() -> None:
    trace = Trace()
    trace.record(TaskNotPlaced("t1", "web.3", "no suitable node", (("ready", 1, ("w1",)),)), 1_000_000, 0)
    trace.record(TaskPlaced("t1", "web.3", "w1", 1, 0, "", "fewest tasks"), 2_000_000, 0)

    assert why(trace, "web.3").splitlines() == [
        "1.000  web.3 not placed: no suitable node",
        "          `ready` refused w1",
        "2.000  web.3 → w1: fewest tasks",
    ]
    assert why(trace, "t") == why(trace, "web.3")
    assert why(trace, "db.1") == "the scheduler has decided nothing about db.1"


def test_a_user_asks_it_of_a_swarm() -> None:
    swarm = swarmsim.Cluster(managers=1, workers=2)
    swarm.create("web", image="nginx:1.27", replicas=3)
    swarm.run_until(lambda: swarm.running("web") == 3)

    said = swarm.why("web.1").splitlines()
    assert " web.1 → " in said[0]
    assert "of the service" in said[1]
