"""The worker and its controllers (SwarmKit agent/worker.go, agent/task.go, agent/exec/controller.go)."""

from typing import Any

import pytest

from swarmsim.agent.controller import NO_ATTACHMENT
from swarmsim.api.engine import ContainerError
from swarmsim.api.messages import AssignmentsMessage, SessionEnded, SessionMessage
from swarmsim.api.objects import Config, Endpoint, NetworkAttachment, Secret, TaskStatus
from swarmsim.api.specs import ConfigSpec, ContainerBehaviour, EndpointSpec, PortConfig, SecretSpec
from swarmsim.gossip.messages import AddEndpoint, DisableEndpoint, JoinNetwork, RemoveEndpoint
from swarmsim.trace.events import TaskAccepted

from .world import MS, SECOND, SILENCE, Prepare, Promise, Remove, S, Start, Stop, Wait, World, task

OVERLAY = NetworkAttachment("net", ("10.0.1.5/24",))
LOCAL = NetworkAttachment("bridge")


def running(*tasks: Any, **settings: Any) -> World:
    world = World(*(tasks or (task(),)), **settings).start()
    world.run(100 * MS)
    return world


def with_attachments(world: World, *networks: str) -> None:
    """The dispatcher tells the node of its addresses."""
    attachments = tuple(NetworkAttachment(n, (f"10.9.{i}.2/24",)) for i, n in enumerate(networks))
    node = world.node.evolve(attachments=attachments)
    world.push(SessionMessage("s1", node, ("m1",), (), ""))


def test_a_task_goes_through_all_its_states() -> None:
    """The table of `exec.Do`, with the words of each state."""
    seen: list[tuple[Any, str]] = []
    world = World(task())
    world.agent.worker._report = lambda id, status, out: seen.append((status.state, status.message))
    world.start()
    world.engine.exit("t1", 0)
    world.run(SECOND)

    assert seen == [
        (S.ACCEPTED, "accepted"),
        (S.PREPARING, "preparing"),
        (S.READY, "prepared"),
        (S.STARTING, "starting"),
        (S.RUNNING, "started"),
        (S.COMPLETE, "finished"),
    ]
    assert world.status().exit_code == 0
    assert [e.task for e in world.manager.events(TaskAccepted)] == ["t1"]


def test_an_assigned_task_is_accepted_whatever_its_engine_does() -> None:
    """C-098 TestResolve, its first part: ASSIGNED becomes ACCEPTED, and what is beyond stays."""
    world = running(task("t1", desired=S.ACCEPTED), task("t2", S.COMPLETE))

    assert (world.status("t1").state, world.status("t1").message) == (S.ACCEPTED, "accepted")
    assert world.status("t2").state is S.COMPLETE
    assert world.engine.did == []


def test_a_task_waits_where_its_desired_state_ends() -> None:
    """C-095 TestTaskManager: ACCEPTED, then READY, then RUNNING; each container step once, and it ends COMPLETE."""
    world = running(task(desired=S.ACCEPTED))
    world.update(task(desired=S.READY))
    world.run(SECOND)
    assert (world.status().state, world.engine.did) == (S.READY, [("prepare", "t1")])

    world.update(task(desired=S.RUNNING))
    world.run(SECOND)
    world.engine.exit("t1", 0)

    assert world.engine.count(Prepare, Start, Wait) == [1, 1, 1]
    assert world.status().state is S.COMPLETE


def test_a_lower_desired_state_is_ignored() -> None:
    """task.go: it never goes back."""
    world = running()
    world.update(task(desired=S.SHUTDOWN))
    world.update(task(desired=S.RUNNING))
    world.run(SECOND)

    assert world.status().state is S.SHUTDOWN
    assert world.engine.count(Start, Stop) == [1, 1]


def test_an_image_that_cannot_be_pulled_rejects_the_task() -> None:
    """C-100 TestPrepareFailure: REJECTED, the message is that of the state, the error the engine's."""
    world = World(task())
    world.engine.broken[Prepare] = ContainerError("No such image: busybox:nope")
    world.start()
    world.run(SECOND)

    assert world.reported()[-1] == (S.REJECTED, "preparing", "No such image: busybox:nope")


def test_a_container_that_cannot_be_started_fails_the_task() -> None:
    """From STARTING on it is FAILED."""
    world = World(task())
    world.engine.broken[Start] = ContainerError("port is already allocated", 128)
    world.start()
    world.run(SECOND)

    assert world.reported()[-1] == (S.FAILED, "starting", "port is already allocated")
    assert world.status().exit_code == 128


def test_a_container_that_exits_with_an_error_fails_the_task() -> None:
    """`task: non-zero exit (N)`."""
    world = running()
    world.engine.exit("t1", 42)
    world.run(SECOND)

    assert world.reported()[-1] == (S.FAILED, "started", "task: non-zero exit (42)")
    assert world.status().exit_code == 42


def test_a_wait_that_was_cancelled_is_taken_up_again() -> None:
    """C-101 TestReadyRunning: still RUNNING, a second Wait, COMPLETE `finished` with exit code 0, told once."""
    world = running()
    world.update(task(desired=S.COMPLETE))
    world.run(SECOND)
    assert (world.status().state, world.engine.count(Start, Wait)) == (S.RUNNING, [1, 2])

    world.engine.exit("t1", 0)
    world.run(SECOND)

    assert (world.status().state, world.status().message, world.status().exit_code) == (S.COMPLETE, "finished", 0)
    assert [state for state, _, _ in world.reported()].count(S.COMPLETE) == 1


def test_what_is_done_already_is_no_error() -> None:
    """C-103 TestAlreadyStarted: a restart in STARTING asks again, and the engine agrees at once."""
    started = task(state=S.STARTING)
    world = World(task(), saved={"t1": (started, TaskStatus(S.STARTING, "starting"))}).start()
    world.run(SECOND)

    assert world.status().state is S.RUNNING
    assert world.engine.count(Prepare, Start) == [0, 1]


@pytest.mark.parametrize("desired", [S.SHUTDOWN, S.REMOVE])
@pytest.mark.parametrize("state", [S.NEW, S.ASSIGNED, S.PREPARING, S.READY, S.RUNNING])
def test_a_task_is_shut_down_from_any_state(desired: Any, state: Any) -> None:
    """C-104 TestShutdown, TestDesiredStateRemove: once, and it says SHUTDOWN `shutdown`."""
    world = running(task(state=state, desired=desired))

    assert world.reported()[-1] == (S.SHUTDOWN, "shutdown", "")
    assert world.engine.did == [("stop", "t1")]


@pytest.mark.parametrize("state", [S.COMPLETE, S.FAILED, S.REJECTED, S.SHUTDOWN])
def test_a_task_that_is_over_is_not_shut_down(state: Any) -> None:
    """Desired SHUTDOWN or beyond, state COMPLETE or beyond: nothing."""
    world = running(task(state=state, desired=S.REMOVE))

    assert world.engine.did == []
    assert world.status().state is state


def test_a_shutdown_before_the_pull_is_over_wins() -> None:
    """If the pull goes on, since others wait for it, its end is not reported."""
    pull = Promise()
    world = World(task())
    world.engine.broken[Prepare] = pull
    world.start()
    world.run(SECOND)
    world.update(task(desired=S.SHUTDOWN))
    world.run(SECOND)
    assert world.status().state is S.SHUTDOWN

    pull.keep()
    world.run(SECOND)

    assert world.reported()[-1] == (S.SHUTDOWN, "shutdown", "")
    assert world.engine.count(Start) == [0]


def test_a_container_that_fails_while_it_is_told_to_stop_was_shut_down() -> None:
    """The end of the old operation is not looked at any more."""
    stop = Promise()
    world = running()
    world.engine.broken[Stop] = stop
    world.update(task(desired=S.SHUTDOWN))
    world.engine.exit("t1", 1)
    stop.keep(1)
    world.run(SECOND)

    assert [state for state, _, _ in world.reported()][-2:] == [S.RUNNING, S.SHUTDOWN]


def test_a_container_that_ends_well_when_stopped_may_say_so() -> None:
    """`x-sim: {on_stop: complete}`, for executors whose containers do."""
    spec = {"behaviour": ContainerBehaviour(on_stop="complete")}
    world = running(task(**spec))
    world.engine.stop_code = 0
    world.update(task(desired=S.SHUTDOWN, **spec))
    world.run(SECOND)

    assert world.reported()[-1] == (S.COMPLETE, "finished", "")


# ---- service bindings ---------------------------------------------------------------------------------------------


def test_a_task_waits_for_its_nodes_own_addresses() -> None:
    """C-106 TestWaitNodeAttachment: overlay networks are awaited, others not; looked at each 100 ms."""
    world = running(task(networks=(NetworkAttachment("ingress", ("10.0.0.5/24",)), OVERLAY, LOCAL)))
    world.run(200 * MS)
    assert (world.status().state, world.engine.did) == (S.PREPARING, [])

    with_attachments(world, "ingress", "net")
    world.run(200 * MS)

    assert world.status().state is S.RUNNING


def test_a_task_without_addresses_is_rejected_after_half_a_minute() -> None:
    """The exact text."""
    world = running(task(networks=(OVERLAY,)))
    world.run(29 * SECOND)
    assert world.status().state is S.PREPARING

    world.run(SECOND)

    assert world.reported()[-1] == (S.REJECTED, "preparing", NO_ATTACHMENT)
    assert NO_ATTACHMENT == "node is missing network attachments, ip addresses may be exhausted"


def test_a_cancelled_wait_for_addresses_prepares_nothing() -> None:
    """Nothing is left behind by a task that was shut down meanwhile."""
    world = running(task(networks=(OVERLAY,)))
    world.update(task(networks=(OVERLAY,), desired=S.SHUTDOWN))
    with_attachments(world, "ingress", "net")
    world.run(10 * SECOND)

    assert world.engine.did == [("stop", "t1")]


def gossiped(world: World) -> list[str]:
    names = (AddEndpoint, DisableEndpoint, RemoveEndpoint)
    return [type(m).__name__ for _, dst, m in world.manager.sent if dst.machine == "gossip" and isinstance(m, names)]


def test_a_running_task_takes_traffic_until_two_seconds_before_it_stops() -> None:
    """Added when it runs; disabled, two seconds for gossip to spread it, stopped, removed."""
    endpoint = Endpoint(EndpointSpec(), virtual_ips=(("net", "10.0.1.2/24"),))
    bound = task(networks=(OVERLAY,)).evolve(endpoint=endpoint)
    world = running(bound)
    with_attachments(world, "net")
    world.run(SECOND)
    (added,) = [m for _, _, m in world.manager.sent if isinstance(m, AddEndpoint)]
    assert (added.endpoint.vip, added.endpoint.ip) == ("10.0.1.2", "10.0.1.5")

    world.update(bound.evolve(desired_state=S.SHUTDOWN))
    world.run(1900 * MS)
    assert gossiped(world) == ["AddEndpoint", "DisableEndpoint"]
    assert world.engine.count(Stop) == [0]
    world.run(200 * MS)

    assert world.status().state is S.SHUTDOWN
    assert gossiped(world) == ["AddEndpoint", "DisableEndpoint", "RemoveEndpoint"]


def test_published_ports_stand_in_the_record_of_the_ingress_network_only() -> None:
    """It is the task's first; else its port would be known twice, and forgotten when either goes."""
    port = PortConfig(target_port=80, published_port=8080)
    bound = task(networks=(NetworkAttachment("ingress", ("10.0.0.5/24",)), OVERLAY))
    world = running(bound.evolve(endpoint=Endpoint(EndpointSpec(), (port,))))
    with_attachments(world, "ingress", "net")
    world.run(SECOND)

    records = [m.endpoint for _, _, m in world.manager.sent if isinstance(m, AddEndpoint)]
    assert [(r.network_id, r.ingress_ports) for r in records] == [("ingress", (port,)), ("net", ())]


def test_a_container_that_dies_leaves_the_load_balancers() -> None:
    world = running(task(networks=(OVERLAY,)))
    with_attachments(world, "net")
    world.run(SECOND)
    world.engine.exit("t1", 1)
    world.run(SECOND)

    assert gossiped(world) == ["AddEndpoint", "RemoveEndpoint"]


def test_a_node_joins_the_networks_that_it_has_an_address_on() -> None:
    world = World().start()

    assert [m for _, _, m in world.manager.sent] == [JoinNetwork("ingress")]


# ---- assignments --------------------------------------------------------------------------------------------------


def secret(id: str) -> Secret:
    return Secret(id, SecretSpec(id, data=b"1"))


def complete(*ids: str) -> AssignmentsMessage:
    files = tuple(secret(f"s{id}") for id in ids), tuple(Config(f"c{id}", ConfigSpec(f"c{id}")) for id in ids)
    removes = ("t1",), ("s1",), ("c1",)
    return AssignmentsMessage(True, "0", "1", tuple((task(f"t{id}"), 0) for id in ids), *files, *removes)


def test_a_complete_message_replaces_the_world() -> None:
    """C-092 TestWorkerAssign: its removals are ignored; what is not listed is removed."""
    world = World().start()
    held = []
    for message in (complete("1"), complete("2"), complete()):
        world.push(message)
        world.run(SECOND)
        agent = world.agent
        held.append((list(agent.worker.tasks), list(agent.secrets), list(agent.configs)))

    assert held == [(["t1"], ["s1"], ["c1"]), (["t2"], ["s2"], ["c2"]), ([], [], [])]
    assert world.manager.saved["agent"] == {"t1": None, "t2": None}


def test_an_incremental_message_adds_and_removes() -> None:
    world = World().start()
    world.push(complete("1", "2"))
    message = AssignmentsMessage(False, "1", "2", ((task("t3"), 0),), (secret("s3"),), (), ("t1",), ("s1",), ("c2",))
    world.push(message)
    world.run(SECOND)

    agent = world.agent
    assert (list(agent.worker.tasks), list(agent.secrets), list(agent.configs)) == (
        ["t2", "t3"],
        ["s2", "s3"],
        ["c1"],
    )


def test_tasks_that_are_taken_away_are_shut_down_and_removed() -> None:
    """C-094 TestWorkerWait: an empty assignment leaves nothing; the container is stopped first, not killed."""
    world = running(task("t1"), task("t2", networks=(OVERLAY,)))
    with_attachments(world, "net")
    world.run(SECOND)
    world.push(AssignmentsMessage(True, "0", "1", ()))
    world.run(SECOND)
    assert ("remove", "t1") in world.engine.did
    assert ("remove", "t2") not in world.engine.did

    world.run(2 * SECOND)

    assert world.agent.worker.tasks == {}
    assert [d for d in world.engine.did if d[1] == "t2"][-2:] == [("stop", "t2"), ("remove", "t2")]
    assert gossiped(world) == ["AddEndpoint", "DisableEndpoint", "RemoveEndpoint"]


def test_a_task_that_is_over_is_removed_at_once() -> None:
    world = running(task(networks=()))
    world.engine.exit("t1", 0)
    world.update(removed=("t1",))

    assert world.engine.did[-1] == ("remove", "t1")
    assert world.engine.count(Stop, Remove) == [0, 1]


def test_an_unchanged_task_is_left_alone() -> None:
    """task.go: an update that is equal but for the status is ignored; the agent's own status is canonical."""
    world = running()
    world.update(task(state=S.ASSIGNED))
    world.run(SECOND)

    assert world.status().state is S.RUNNING
    assert world.engine.count(Wait) == [1]


def test_a_new_task_begins_with_the_managers_status() -> None:
    """S-17: a task that is RUNNING there and unknown here is waited for, and its container is not found."""
    world = World(task(state=S.RUNNING))
    world.engine.broken[Wait] = ContainerError("No such container: t1")
    world.start()
    world.run(SECOND)

    assert world.engine.did == [("wait", "t1")]
    assert world.reported()[-1] == (S.FAILED, "", "No such container: t1")


# ---- what outlives the engine ---------------------------------------------------------------------------------------


def test_tasks_and_statuses_are_saved() -> None:
    """C-097 TestStoragePutGetStatusAssigned: spec and status, and forgotten when taken away."""
    world = running(task("t1"), task("t2", desired=S.READY))
    saved = world.manager.saved["agent"]
    assert {id: status.state for id, (_, status) in saved.items()} == {"t1": S.RUNNING, "t2": S.READY}

    world.update(removed=("t2",))

    assert saved["t2"] is None


def test_after_a_restart_tasks_go_on_with_the_saved_status_before_any_manager_is_heard() -> None:
    """Controllers resume where they were."""
    saved = {
        "t1": (task("t1"), TaskStatus(S.RUNNING, "started")),
        "t2": (task("t2"), TaskStatus(S.READY, "prepared")),
        "t3": (task("t3"), TaskStatus(S.FAILED, "started")),
    }
    world = World(saved=saved)
    world.on_session = lambda manager, request: SILENCE
    world.start()
    world.run(SECOND)

    assert world.engine.did == [("wait", "t1"), ("start", "t2"), ("wait", "t2")]


def test_a_known_task_keeps_its_own_status_when_it_is_assigned_again() -> None:
    """worker.go: the status in the database is taken, the new desired state as well."""
    saved = {"t1": (task("t1"), TaskStatus(S.RUNNING, "started"))}
    world = World(task("t1", state=S.ASSIGNED, desired=S.SHUTDOWN), saved=saved).start()
    world.run(SECOND)

    assert world.engine.did == [("wait", "t1"), ("stop", "t1")]
    assert world.status().state is S.SHUTDOWN


def test_nothing_is_restarted_locally() -> None:
    """A container that exits ends its task for good; the orchestrator replaces it."""
    world = running()
    world.engine.exit("t1", 1)
    world.push(SessionEnded("s1", "connection reset"))
    world.run(100 * SECOND)

    assert world.engine.count(Start) == [1]
    assert world.status().state is S.FAILED
