"""Reports of task statuses, gathered for 100 ms (SwarmKit manager/dispatcher/dispatcher.go `UpdateTaskStatus`)."""

from typing import Any

from swarmsim.api.messages import SessionRequest, UpdateTaskStatusRequest
from swarmsim.api.objects import TaskStatus
from swarmsim.api.states import TaskState
from swarmsim.manager.dispatcher.heartbeat import BATCH_ITEMS

from .world import MS, SECOND, World, node, refusal, task

S = TaskState


def world_with(*tasks: object) -> World:
    world = World(node("w1"), node("w2"), *tasks).start()
    world.register("w1")
    world.register("w2")
    return world


def state(world: World, id: str) -> TaskState:
    return world.store.tasks[id].status.state


def test_reports_are_stored_with_the_next_batch() -> None:
    """C-079 TestTaskUpdate: who stored it and when is added."""
    world = world_with(task("t1"), task("t2"))
    world.report("w1", ("t1", S.ACCEPTED), ("t2", S.PREPARING))
    assert state(world, "t1") is S.ASSIGNED

    world.run(100 * MS)

    assert (state(world, "t1"), state(world, "t2")) == (S.ACCEPTED, S.PREPARING)
    status = world.store.tasks["t1"].status
    assert status.applied_by == "m1"
    assert 0 < status.applied_at <= world.now


def test_a_report_needs_a_session() -> None:
    """C-079: InvalidArgument without, NotFound where the node is not registered."""
    world = world_with(task("t1"))
    update = (("t1", TaskStatus(S.ACCEPTED), 0),)

    assert refusal(world, UpdateTaskStatusRequest("w1", "", update)) == ("InvalidArgument", "session invalid")
    assert refusal(world, UpdateTaskStatusRequest("w9", "x", update)) == ("NotFound", "node not registered")


def test_another_nodes_task_refuses_the_whole_request() -> None:
    """C-079: PermissionDenied, and the tasks that were its own are not stored either."""
    world = world_with(task("mine"), task("yours", node_id="w2"))
    session = world.dispatcher.sessions["w1"].id
    updates = tuple((id, TaskStatus(S.RUNNING), 0) for id in ("mine", "yours"))

    refused = refusal(world, UpdateTaskStatusRequest("w1", session, updates))
    world.run(SECOND)

    assert refused == ("PermissionDenied", "cannot update a task not assigned this node")
    assert (state(world, "mine"), state(world, "yours")) == (S.ASSIGNED, S.ASSIGNED)


def test_a_status_never_goes_back() -> None:
    """C-079: SHUTDOWN to RUNNING is ignored; an equal state with another message is not."""
    world = world_with(task("t1", S.SHUTDOWN), task("t2", S.PREPARING))
    world.report("w1", ("t1", S.RUNNING), ("t2", S.PREPARING))
    world.run(SECOND)

    assert state(world, "t1") is S.SHUTDOWN
    assert world.store.tasks["t2"].status.message == "preparing"


def test_an_identical_status_is_not_written_again() -> None:
    """A new session reports everything anew, and the store is spared."""
    world = world_with(task("t1"))
    world.report("w1", ("t1", S.ACCEPTED))
    world.run(SECOND)
    commits = len(world.manager.commits)
    known = world.store.tasks["t1"].status

    session = world.dispatcher.sessions["w1"].id
    again = TaskStatus(known.state, known.message, timestamp=known.timestamp)
    world.answer(UpdateTaskStatusRequest("w1", session, (("t1", again, 0),)), "w1")
    world.run(SECOND)

    assert len(world.manager.commits) == commits


def test_the_last_report_of_a_batch_wins() -> None:
    """ACCEPTED and PREPARING of one 100 ms are never seen in the store."""
    world = world_with(task("t1"))
    for step in (S.ACCEPTED, S.PREPARING, S.READY):
        world.report("w1", ("t1", step))
        world.run(10 * MS)
    world.run(100 * MS)

    written = [c.new.status.state for _, changes in world.manager.commits[1:] for c in changes if c.new.id == "t1"]
    assert written == [S.READY]


def test_an_unknown_task_is_skipped() -> None:
    """It was deleted; the others of the request are stored."""
    world = world_with(task("t1"))
    world.report("w1", ("gone", S.RUNNING), ("t1", S.ACCEPTED))
    world.run(SECOND)

    assert state(world, "t1") is S.ACCEPTED


def test_a_task_that_is_deleted_before_the_batch_is_skipped() -> None:
    """`task unavailable`."""
    world = world_with(task("t1"), task("t2"))
    world.report("w1", ("t1", S.ACCEPTED), ("t2", S.ACCEPTED))
    world.manager.delete(world.store.tasks["t1"])
    world.run(SECOND)

    assert list(world.store.tasks) == ["t2"]
    assert state(world, "t2") is S.ACCEPTED


def test_one_batch_serves_all_nodes_statuses_before_nodes() -> None:
    """At most one proposal in 100 ms for the whole cluster (200 changes each); then registrations are answered."""
    world = world_with(task("t1"), task("t2", node_id="w2"))
    world.manager.create(node("w3"))
    commits = len(world.manager.commits)

    id = world.ask(SessionRequest("w3", None, ""), "w3")
    world.report("w1", ("t1", S.RUNNING))
    world.report("w2", ("t2", S.RUNNING))
    world.run(100 * MS)

    assert [[c.new.id for c in changes] for _, changes in world.manager.commits[commits:]] == [["t1", "t2", "w3"]]
    assert world.manager.answers[id].session_id


def test_ten_thousand_statuses_do_not_wait() -> None:
    """`maxBatchItems`: the batch is processed at once."""
    tasks = [task(f"t{i}") for i in range(BATCH_ITEMS)]
    world = world_with(*tasks)
    world.run(3 * MS)
    commits = len(world.manager.commits)
    world.report("w1", *((t.id, S.RUNNING) for t in tasks[1:]))
    world.run(0)
    assert len(world.manager.commits) == commits

    world.report("w1", ("t0", S.RUNNING))
    world.run(0)

    assert len(world.manager.commits) == commits + BATCH_ITEMS // 200


def test_reports_that_come_during_a_batch_wait_for_the_next() -> None:
    """Updates are processed one batch at a time; the ticker starts anew when one is done."""
    world = world_with(task("t1"))
    world.manager.commit_latency = 30 * MS
    world.report("w1", ("t1", S.ACCEPTED))
    while not world.manager._locked:
        world.run(MS)
    world.report("w1", ("t1", S.RUNNING))
    began = world.now
    world.run(30 * MS)
    assert state(world, "t1") is S.ACCEPTED

    world.run(200 * MS)

    assert state(world, "t1") is S.RUNNING
    times = [at for at, changes in world.manager.commits if changes[0].new.id == "t1"]
    assert times[-1] - times[-2] == 130 * MS
    assert began < times[-2]


def test_an_update_without_a_status_is_skipped() -> None:
    """dispatcher.go `UpdateTaskStatus`: also one for another node's task."""
    world = World(node("w1"), node("w2"), task("t1"), task("t2", node_id="w2")).start()
    session = world.register("w1").session_id
    failed = TaskStatus(TaskState.FAILED)

    updates: Any = (("t1", None, 0), ("t2", None, 0), ("t1", failed, 0))
    world.answer(UpdateTaskStatusRequest("w1", session, updates), "w1")
    world.run(SECOND)

    assert world.store.tasks["t1"].status.state is TaskState.FAILED
