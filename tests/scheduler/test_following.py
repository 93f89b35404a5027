"""What the scheduler follows: tasks and nodes that come, change and go, and what that means for the next task."""

import pytest

from swarmsim.api.objects import TaskStatus
from swarmsim.api.states import Availability, NodeState, TaskState
from swarmsim.machine import SECOND
from swarmsim.manager.scheduler.scheduler import ASSIGNED_MESSAGE, CONFIRMED_MESSAGE

from .swarm import SETTLED, Swarm, host_port, node, running, service, spec, task, tasks

THREE = (node("id1"), node("id2"), node("id3"))


def three_nodes() -> Swarm:
    """id1 has one task, two wait: the upstream test's beginning."""
    first = task("t1", on="id1", state=TaskState.ASSIGNED, spec_version=None)
    swarm = Swarm().start(*THREE, service(), first, *tasks("new", 2, spec_version=None))
    swarm.run_for(SETTLED)
    return swarm


# -- tasks --
def test_waiting_tasks_go_to_the_nodes_with_the_fewest() -> None:
    """O-191 (TestScheduler)."""
    swarm = three_nodes()

    assert sorted([swarm.where("new0"), swarm.where("new1")]) == ["id2", "id3"]


def test_an_assigned_task_has_the_message_and_no_error() -> None:
    swarm = Swarm().start(service(), task("t"))
    swarm.run_for(SETTLED)
    assert swarm.error("t") == "no suitable node"

    swarm.add(node("id1"))

    status = swarm.task("t").status
    assert (status.state, status.message, status.err) == (TaskState.ASSIGNED, ASSIGNED_MESSAGE, "")
    assert ASSIGNED_MESSAGE == "scheduler assigned task to node"


def test_a_task_that_is_written_back_as_pending_is_assigned_again() -> None:
    """O-193 (TestScheduler): id1, whose task it was, has the fewest."""
    swarm = three_nodes()
    swarm.change(swarm.task("t1").evolve(node_id="", status=TaskStatus(TaskState.PENDING)))

    assert swarm.where("t1") == "id1"


def test_a_new_task_is_assigned_when_it_reaches_pending_not_before() -> None:
    swarm = Swarm().start(node("id1"), service())
    swarm.add(task("t", state=TaskState.NEW))
    assert not swarm.placed()

    swarm.change(swarm.task("t").evolve(status=TaskStatus(TaskState.PENDING)))

    assert swarm.where("t") == "id1"


@pytest.mark.parametrize("state", [TaskState.COMPLETE, TaskState.SHUTDOWN, TaskState.FAILED, TaskState.ORPHANED])
def test_a_task_that_ended_frees_its_place(state: TaskState) -> None:
    """A tracked task that becomes terminal wakes those that wait."""
    whole = spec(memory=8 << 30)
    swarm = Swarm().start(node("id1"), service(), *running("old", "id1", wanted=whole), task("t", whole))
    swarm.run_for(SETTLED)
    assert swarm.error("t") == "no suitable node (insufficient resources on 1 node)"

    swarm.end("old0", state)

    assert swarm.where("t") == "id1"


def test_a_task_that_is_deleted_frees_its_place() -> None:
    whole = spec(memory=8 << 30)
    swarm = Swarm().start(node("id1"), service(), *running("old", "id1", wanted=whole), task("t", whole))
    swarm.run_for(SETTLED)

    swarm.drop(swarm.task("old0"))

    assert swarm.where("t") == "id1"


def test_a_task_that_shall_stop_counts_no_more_but_holds_what_it_has() -> None:
    """Probed: spreading and max replicas forget it at once; resources and host ports are its own until it ended."""
    one = spec(max_replicas=1)
    swarm = Swarm().start(node("id1"), service("one", task=one), service("big"), service("port"))
    held = running(
        "old", "id1", wanted=spec(max_replicas=1, memory=8 << 30), service="one", endpoint=host_port(("tcp", 80))
    )
    swarm.add(*held)
    swarm.add(task("same", one, service="one"), task("big", spec(memory=1), service="big"))
    swarm.add(task("port", service="port", endpoint=host_port(("tcp", 80))))
    assert swarm.error("same") == "no suitable node (max replicas per node limit exceed)"
    assert swarm.load("one") == {"id1": 1}

    # The order to stop alone wakes nobody, the next change does.
    swarm.change(swarm.task("old0").evolve(desired_state=TaskState.SHUTDOWN))
    swarm.change(node("id1"))

    assert swarm.where("same") == "id1"
    assert swarm.error("big") == "no suitable node (insufficient resources on 1 node)"
    assert swarm.error("port") == "no suitable node (host-mode port already in use on 1 node)"

    swarm.end("old0", TaskState.SHUTDOWN)

    assert swarm.where("big") == swarm.where("port") == "id1"


def test_at_the_start_only_tasks_that_shall_run_are_taken_up() -> None:
    """O-220 (TestIgnoreTasks)."""
    swarm = Swarm().start(
        node("id1"),
        service(),
        task("run", spec_version=None),
        task("stop", spec_version=None, on="id1", desired=TaskState.SHUTDOWN),
        task("remove", spec_version=None, on="id1", desired=TaskState.REMOVE),
    )
    swarm.run_for(SECOND)

    assert swarm.where("run") == "id1"
    assert [swarm.task(id).status.state for id in ("stop", "remove")] == [TaskState.PENDING] * 2


def test_a_task_that_shall_stop_is_assigned_all_the_same_when_it_arrives_later() -> None:
    """Probed quirk: only the start looks at the desired state."""
    swarm = Swarm().start(node("id1"), service())

    swarm.add(task("stop", desired=TaskState.SHUTDOWN))

    assert swarm.where("stop") == "id1"
    assert swarm.load() == {"id1": 0}


def test_a_task_that_ended_before_the_start_holds_nothing() -> None:
    """O-212 (TestSchedulerPreexistingDeadTask)."""
    half = spec(memory=8 << 30, kinds="apple=1")
    dead = task("dead", half, on="id1", state=TaskState.SHUTDOWN)
    swarm = Swarm().start(node("id1", kinds="apple=1"), service(), dead)

    swarm.add(task("t", half, on="id1", slot=0))

    assert swarm.where("t") == "id1"


def test_a_task_that_died_makes_room_for_one_that_waits() -> None:
    """O-211 (TestSchedulerResourceConstraintDeadTask)."""
    big = spec(memory=800_000_000, kinds="apple=3")
    swarm = Swarm().start(node("id1", memory=1_000_000_000, kinds="apple=4"), service())
    swarm.add(task("t1", big))
    swarm.add(task("t2", big))
    assert swarm.where("t1") == "id1"
    assert swarm.error("t2") == "no suitable node (insufficient resources on 1 node)"

    swarm.end("t1", TaskState.SHUTDOWN)

    assert swarm.where("t2") == "id1"


# -- nodes --
def test_a_node_that_is_gone_gets_nothing() -> None:
    """O-194 (TestScheduler)."""
    swarm = three_nodes()
    down = node("id4", state=NodeState.DOWN)
    swarm.add(down)
    swarm.drop(down)

    swarm.add(task("t"))

    assert swarm.where("t") in ("id1", "id2", "id3")


def test_a_down_node_is_used_once_it_is_ready() -> None:
    """O-196 (TestScheduler)."""
    swarm = three_nodes()
    swarm.add(node("id4", state=NodeState.DOWN))
    swarm.add(task("before"))
    assert swarm.where("before") != "id4"

    swarm.change(node("id4"))
    swarm.add(task("after"))

    assert swarm.where("after") == "id4"


def test_a_node_that_goes_down_is_not_used() -> None:
    """O-197 (TestScheduler)."""
    swarm = three_nodes()
    swarm.add(node("id4"), wait=0)
    swarm.change(node("id4", state=NodeState.DOWN))

    swarm.add(task("t"))

    assert swarm.where("t") != "id4"


def test_without_nodes_a_task_waits_for_the_first() -> None:
    """O-206 (TestSchedulerNoReadyNodes)."""
    swarm = Swarm().start(service(), task("t"))
    swarm.run_for(SETTLED)
    assert swarm.error("t") == "no suitable node"

    swarm.add(node("id1"))

    assert swarm.where("t") == "id1"


@pytest.mark.parametrize(
    "before",
    [
        node("id1", state=NodeState.UNKNOWN),
        node("id1", state=NodeState.DISCONNECTED),
        node("id1", availability=Availability.PAUSE),
        node("id1", availability=Availability.DRAIN),
    ],
    ids=["unknown", "disconnected", "paused", "drained"],
)
def test_only_a_ready_and_active_node_is_available(before: object) -> None:
    swarm = Swarm().start(before, service(), task("t"))
    swarm.run_for(SETTLED)
    assert swarm.error("t") == "no suitable node (1 node not available for new tasks)"

    swarm.change(node("id1"))

    assert swarm.where("t") == "id1"


def test_a_node_that_grows_takes_those_that_wait() -> None:
    """What is free is what the node describes now minus what is held."""
    half = spec(memory=4 << 30)
    swarm = Swarm().start(node("id1", memory=4 << 30), service())
    swarm.add(*tasks("t", 2, half))
    assert swarm.load() == {"id1": 1}

    swarm.change(node("id1", memory=7 << 30))
    assert swarm.load() == {"id1": 1}
    swarm.change(node("id1", memory=8 << 30))

    assert swarm.load() == {"id1": 2}


def test_a_node_that_leaves_wakes_nobody() -> None:
    swarm = Swarm().start(*THREE, service(), *tasks("t", 3))
    swarm.run_for(SETTLED)
    passes = len(swarm.commits)

    swarm.drop(node("id3"))

    assert len(swarm.commits) == passes + 1


def test_nothing_is_moved_when_a_node_joins() -> None:
    """There is no rebalancing."""
    swarm = Swarm().start(node("id1"), service(), *tasks("t", 4))
    swarm.run_for(SETTLED)

    swarm.add(node("id2"))

    assert swarm.load() == {"id1": 4, "id2": 0}


# -- tasks that are bound to a node --
def test_bound_tasks_are_confirmed_on_their_node() -> None:
    """Global services: TestPreassignedTasks."""
    swarm = Swarm().start(*THREE, service())
    swarm.add(task("t", on="id3", slot=0))

    status = swarm.task("t").status
    assert swarm.where("t") == "id3"
    assert (status.message, status.err) == (CONFIRMED_MESSAGE, "")
    assert CONFIRMED_MESSAGE == "scheduler confirmed task can run on preassigned node"


def test_a_bound_task_waits_for_its_node_and_no_other() -> None:
    """P-007: the explanation stands alone, without `no suitable node`."""
    swarm = Swarm().start(node("id1", availability=Availability.PAUSE), node("id2"), service())
    swarm.add(task("t", on="id1", slot=0))
    assert swarm.task("t").status.err == "1 node not available for new tasks"
    assert swarm.task("t").status.state == TaskState.PENDING

    swarm.change(node("id1"))

    assert swarm.where("t") == "id1"


def test_a_bound_task_of_an_unknown_node_is_left_alone() -> None:
    """Probed: nothing is written."""
    swarm = Swarm().start(node("id1"), service())
    swarm.add(task("t", on="id9", slot=0))

    assert swarm.task("t").status.err == ""
    assert not swarm.not_placed()


def test_bound_tasks_take_room_before_the_others_in_the_same_pass() -> None:
    """TestPreassignedTasks: a global service's task is not crowded out."""
    whole = spec(memory=8 << 30)
    for seed in range(5):
        swarm = Swarm(seed=seed).start(node("id1"), service())
        swarm.add(*tasks("free", 3, whole), task("bound", whole, on="id1", slot=0))

        assert swarm.where("bound") == "id1"
        assert swarm.load() == {"id1": 1}


def test_a_bound_task_does_not_count_before_it_is_confirmed() -> None:
    swarm = Swarm().start(node("id1"), node("id2"), service())
    swarm.add(task("bound", spec(constraints=("node.id==id2",)), on="id1", slot=0))
    assert swarm.task("bound").status.err == "scheduling constraints not satisfied on 1 node"

    swarm.add(*running("old", "id2", service="other"))
    swarm.add(task("t"))

    assert swarm.where("t") == "id1"


def test_bound_tasks_are_tried_again_in_every_pass_whatever_woke_it() -> None:
    """Even when nothing happened that would be relevant to unassigned tasks."""
    swarm = Swarm().start(node("id1"), service())
    swarm.add(task("t", spec(memory=8 << 30), on="id1", slot=0))
    swarm.add(task("blocked", spec(memory=8 << 30), on="id1", slot=0))
    blocked = next(id for id in ("t", "blocked") if swarm.task(id).status.state == TaskState.PENDING)
    other = "t" if blocked == "blocked" else "blocked"
    assert swarm.task(blocked).status.err == "insufficient resources on 1 node"

    swarm.drop(swarm.task(other))

    assert swarm.where(blocked) == "id1"


# -- tasks whose service is gone or has changed --
def test_a_waiting_task_of_a_deleted_service_is_dropped_from_the_queue() -> None:
    """O-218 (TestSchedulerUnassignedMap)."""
    web = service()
    swarm = Swarm().start(web, task("t", spec(constraints=("node.id==none",))), node("id1"))
    swarm.run_for(SETTLED)
    assert list(swarm.scheduler.unassigned) == ["t"]

    swarm.drop(web)
    swarm.change(node("id1"))

    assert not swarm.scheduler.unassigned
    assert swarm.task("t").status.state == TaskState.PENDING


def test_an_old_task_that_cannot_be_placed_and_shall_stop_is_shut_down() -> None:
    """After O-221 (TestUnscheduleableTask): it must not block the update that replaces it."""
    one = spec(max_replicas=1)
    swarm = Swarm().start(node("id1"), service(spec_version=0, task=one), *tasks("t", 2, one, spec_version=0))
    swarm.run_for(SETTLED)
    (waiting,) = [t for t in ("t0", "t1") if swarm.task(t).status.state == TaskState.PENDING]
    assert swarm.error(waiting) == "no suitable node (max replicas per node limit exceed)"  # O-221

    swarm.change(service(spec_version=1, task=one))
    swarm.change(swarm.task(waiting).evolve(desired_state=TaskState.SHUTDOWN))

    status = swarm.task(waiting).status
    assert (status.state, status.err) == (TaskState.SHUTDOWN, "")


def test_an_old_task_that_cannot_be_placed_is_left_without_error_and_not_tried_again() -> None:
    """Probed: until something updates the task object, even a node that joins does not help."""
    swarm = Swarm().start(service(spec_version=2))
    swarm.add(task("t", spec_version=1))
    assert swarm.error("t") == ""

    swarm.add(node("id1"))
    assert swarm.task("t").status.state == TaskState.PENDING

    swarm.change(swarm.task("t"))

    assert swarm.where("t") == "id1"


def test_an_old_task_that_can_be_placed_is() -> None:
    swarm = Swarm().start(node("id1"), service(spec_version=2))

    swarm.add(task("t", spec_version=1))

    assert swarm.where("t") == "id1"


# -- commits that are refused --
def test_a_task_that_changed_meanwhile_is_tried_again() -> None:
    """The decision fails, what it would have held is freed, and the task placed anew."""
    swarm = Swarm().start(node("id1"), service())
    swarm.interfere = lambda tx: tx.update(swarm.task("t").evolve(service_labels={"new": "1"}))
    swarm.add(task("t", spec(memory=8 << 30)))

    assert swarm.where("t") == "id1"
    assert swarm.task("t").service_labels == {"new": "1"}
    assert swarm.scheduler.nodes.infos["id1"].memory_bytes == 0


def test_a_bound_task_that_changed_meanwhile_is_tried_again() -> None:
    swarm = Swarm().start(node("id1"), service())
    swarm.interfere = lambda tx: tx.update(swarm.task("t").evolve(service_labels={"new": "1"}))
    swarm.add(task("t", spec(memory=8 << 30), on="id1", slot=0))

    assert swarm.where("t") == "id1"
    assert swarm.scheduler.nodes.infos["id1"].memory_bytes == 0


def test_a_task_that_ended_meanwhile_is_tried_in_vain_until_it_is_deleted() -> None:
    """A quirk of the queue: a decision that failed goes back to it, whatever the task has become."""
    swarm = Swarm().start(node("id1"), service())
    swarm.interfere = lambda tx: tx.update(swarm.task("t").evolve(status=TaskStatus(TaskState.SHUTDOWN)))
    swarm.add(task("t", spec(memory=8 << 30)))
    assert list(swarm.scheduler.unassigned) == ["t"]

    swarm.add(task("u", spec(memory=8 << 30), slot=2))
    swarm.change(node("id1"))
    assert list(swarm.scheduler.unassigned) == ["t"]
    assert swarm.where("u") == "id1"
    assert [e.task for e in swarm.placed()] == ["u"]

    swarm.end("u", TaskState.COMPLETE)
    swarm.drop(swarm.task("t"))
    swarm.change(node("id1"))

    assert not swarm.scheduler.unassigned
    assert swarm.scheduler.nodes.infos["id1"].memory_bytes == 8 << 30


def test_the_decision_for_a_task_that_is_gone_is_dropped() -> None:
    swarm = Swarm().start(node("id1"), service())
    swarm.interfere = lambda tx: tx.delete(type(swarm.task("t")), "t")
    swarm.add(task("t", spec(memory=8 << 30)))

    assert "t" not in swarm.store.tasks
    assert not swarm.placed()
    assert swarm.scheduler.nodes.infos["id1"].memory_bytes == 8 << 30
    assert not swarm.scheduler.unassigned


def test_explaining_again_writes_only_what_is_new() -> None:
    """Each pass explains the waiting tasks again; the store changes, and the trace tells, when the words do."""
    swarm = Swarm().start(node("id1", availability=Availability.PAUSE), service())
    swarm.add(*tasks("t", 3))
    commits = len(swarm.commits)
    assert len(swarm.not_placed()) == 3

    swarm.add(task("more"))
    assert len(swarm.not_placed()) == 4
    assert len(swarm.commits) == commits + 2  # the task, and its error alone

    swarm.add(node("id2", availability=Availability.PAUSE))

    assert len(swarm.not_placed()) == 8
    assert swarm.error("t0") == "no suitable node (2 nodes not available for new tasks)"


def test_a_new_leader_finds_everything_in_the_store() -> None:
    """Rebuilt at each start: what runs, what waits unassigned, what waits on its node."""
    whole = spec(memory=8 << 30)
    swarm = Swarm().start(
        node("id1"),
        node("id2"),
        service(),
        *running("old", "id1", wanted=whole),
        task("free", whole),
        task("bound", spec(memory=1), on="id1", slot=0),
    )
    swarm.run_for(SETTLED)

    assert swarm.where("free") == "id2"
    assert swarm.task("bound").status.err == "insufficient resources on 1 node"
