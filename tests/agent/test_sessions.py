"""The agent's sessions (SwarmKit agent/agent.go, agent/session.go)."""

from itertools import pairwise

import pytest

from swarmsim.agent.session import next_backoff
from swarmsim.api.heartbeat import Pulse
from swarmsim.api.messages import (
    AssignmentsMessage,
    AssignmentsRequest,
    HeartbeatRequest,
    NodeNews,
    Recertified,
    Rouse,
    SessionEnded,
    SessionMessage,
    SessionRequest,
    UpdateTaskStatusRequest,
)
from swarmsim.api.objects import NodeStatus
from swarmsim.api.specs import NodeSpec
from swarmsim.api.states import NodeRole, NodeState
from swarmsim.errors import ApiError
from swarmsim.machine import Address, Disturbed, Machine, Outbox
from swarmsim.trace.events import SessionFailed

from .world import MS, REFUSED, SECOND, SILENCE, Promise, S, World, task


def failures(world: World) -> list[str]:
    return [e.why for e in world.manager.events(SessionFailed)]


def test_a_session_begins_with_a_heartbeat_and_the_assignments() -> None:
    """The first heartbeat is sent at once; the next after the period that is answered."""
    world = World().start()
    world.run(16 * SECOND)

    assert [type(r).__name__ for _, _, r in world.asked[:3]] == [
        "SessionRequest",
        "HeartbeatRequest",
        "AssignmentsRequest",
    ]
    assert [at for at, _, _ in world.requests(HeartbeatRequest)] == [0, 5 * SECOND, 10 * SECOND, 15 * SECOND]


def test_backoff_grows_to_eight_seconds() -> None:
    """agent.go: `min(100 ms + 2 * backoff, 8 s)`."""
    backoffs = [0]
    for _ in range(9):
        backoffs.append(next_backoff(backoffs[-1]))

    assert [b // MS for b in backoffs[1:]] == [100, 300, 700, 1500, 3100, 6300, 8000, 8000, 8000]


def test_attempts_are_drawn_within_the_backoff() -> None:
    """The wait is uniform in [0, backoff); a session resets it."""
    world = World()
    world.on_session = lambda manager, request: REFUSED
    world.start()
    world.run(120 * SECOND)
    times = [at for at, _, _ in world.requests(SessionRequest)]
    waits = [b - a for a, b in pairwise(times)]
    bounds = [100 * MS, 300 * MS, 700 * MS, 1500 * MS, 3100 * MS, 6300 * MS]
    assert all(wait < bound for wait, bound in zip(waits, bounds, strict=False))
    assert all(wait < 8 * SECOND for wait in waits)
    assert max(waits) > 6 * SECOND

    world.on_session = world.give_session
    world.run(9 * SECOND)
    world.push(SessionEnded(world.session, "gone"))
    world.run(100 * MS)

    assert len(failures(world)) == 1
    assert world.agent.manager


def test_a_silent_dispatcher_is_given_up_after_five_seconds() -> None:
    """`session initiation timed out`."""
    world = World()
    world.on_session = lambda manager, request: SILENCE
    world.start()
    world.run(5 * SECOND)
    assert len(world.requests(SessionRequest)) == 1

    world.run(100 * MS)

    assert len(world.requests(SessionRequest)) == 2


def test_a_new_attempt_offers_the_old_session_id() -> None:
    """So a reconnection to the same leader within the grace goes on."""
    world = World().start()
    world.push(SessionEnded("s1", "node must disconnect"))
    world.run(SECOND)

    assert [r.session_id for _, _, r in world.requests(SessionRequest)] == ["", "s1"]
    assert failures(world) == ["node must disconnect"]


def test_a_heartbeat_that_fails_ends_the_session() -> None:
    """`session invalid`, `node not registered` or no answer for 5 s."""
    world = World().start()
    world.on_beat = lambda request: ApiError("NotFound", "node not registered")
    world.run(6 * SECOND)
    world.on_beat = lambda request: SILENCE
    world.run(6 * SECOND)

    assert failures(world)[0] == "node not registered"
    assert failures(world)[-1] == "context deadline exceeded"


def test_assignments_that_are_refused_end_the_session() -> None:
    world = World()
    answers: list[object] = [ApiError("InvalidArgument", "session invalid")]
    give = world.manager.on_request
    assert give is not None

    def refuse(effect: object) -> object:
        answer = give(effect)  # type: ignore[arg-type]
        return answers.pop() if isinstance(answer, AssignmentsMessage) and answers else answer

    world.manager.on_request = refuse
    world.start()
    world.run(SECOND)

    assert failures(world) == ["session invalid"]
    assert world.agent.manager == "m1"


def test_a_reset_connection_ends_the_session_at_once() -> None:
    """Only if it is the one to the session's manager."""
    world = World(managers=("m1", "m2")).start()
    out = world.manager.machines["agent"]
    connected = world.agent.manager
    other = next(m for m in ("m1", "m2") if m != connected)

    world.agent.on_lost(other, out)
    assert failures(world) == []
    world.agent.on_lost(connected, out)

    assert failures(world) == ["connection reset"]


def test_the_manager_is_chosen_before_the_wait() -> None:
    """agent.go: the connection is selected when the session is made, which then sleeps."""
    world = World(managers=("m1", "m2"))
    world.on_session = lambda manager, request: REFUSED
    world.start()
    chosen = world.asked[-1][1]
    world.agent.remotes.announce([chosen])  # the other is forgotten while it waits
    world.run(100 * MS)

    assert world.asked[1][1] in ("m1", "m2")
    world.run(SECOND)
    assert world.asked[2][1] == chosen


def test_a_failed_manager_is_avoided() -> None:
    """-10 is observed of it; a session message lifts the others."""
    asked = []
    for seed in range(8):
        world = World(managers=("m1", "m2"), seed=seed)
        give = world.give_session
        world.on_session = lambda manager, request, give=give: REFUSED if manager == "m1" else give(manager, request)
        world.start()
        world.run(SECOND)
        assert world.agent.manager == "m2"
        asked.append([m for _, m, _ in world.requests(SessionRequest)])

    assert ["m1", "m2"] in asked
    assert all(ways in (["m2"], ["m1", "m2"]) for ways in asked)


def test_a_managers_agent_uses_its_own_socket() -> None:
    """Whatever the weights; and the socket has none."""
    world = World(managers=("m1", "w1"))
    world.local = True
    world.on_session = lambda manager, request: REFUSED
    world.start()
    world.run(SECOND)

    assert {m for _, m, _ in world.requests(SessionRequest)} == {"w1"}
    assert world.agent.remotes.weights == {"m1": 5, "w1": 5}


def test_messages_of_another_way_are_ignored() -> None:
    """A proxy that still thinks to serve this agent cannot end the session that it has elsewhere."""
    world = World(managers=("m1", "m2"))
    world.on_session = lambda manager, request: world.give_session(manager, request) if manager == "m1" else REFUSED
    world.start()
    world.run(SECOND)
    assert world.agent.manager == "m1"

    world.push(SessionEnded("", "connection reset"), Address("m2", "api"))
    world.push(AssignmentsMessage(False, "1", "2", ((task(), 0),)), Address("m2", "dispatcher"))

    assert failures(world) == []
    assert world.agent.worker.tasks == {}


def test_managers_that_are_not_announced_are_forgotten() -> None:
    """remotes.go; a message observes each with +10: 5, 8, 9, 10, 10."""
    world = World(managers=("m1", "m2")).start()
    weights = []
    for _ in range(4):
        world.push(SessionMessage("s1", world.node, ("m1", "m3"), (), ""), Address(world.agent.manager, "dispatcher"))
        weights.append(world.agent.remotes.weights.get("m3"))

    assert "m2" not in world.agent.remotes.weights
    assert weights == [5, 8, 9, 10]


class Supervisor(Machine):
    """The node that the agent reports to."""

    def __init__(self) -> None:
        self.told: list[NodeNews] = []

    def on_message(self, src: Address, message: NodeNews, out: Outbox) -> None:
        self.told.append(message)


def test_the_node_is_told_of_changes_only() -> None:
    """C-089 TestHandleSessionMessageNodeChanges: another node object, other managers; no status or meta data."""
    world = World()
    supervisor = Supervisor()
    world.manager.add_machine(supervisor, "node")
    world.start()
    promoted = world.node.evolve(spec=NodeSpec(desired_role=NodeRole.MANAGER))
    messages = [
        SessionMessage("s1", world.node, ("m1",), (), ""),
        SessionMessage("s1", world.node.evolve(status=NodeStatus(NodeState.READY), version=7), ("m1",), (), ""),
        SessionMessage("s1", promoted, ("m1",), (), ""),
        SessionMessage("s1", promoted, ("m1", "m2"), (), ""),
        SessionMessage("s1", promoted, ("m1", "m2"), (), ""),
    ]
    for message in messages:
        world.push(message)

    told = [(news.node.spec.desired_role, news.managers) for news in supervisor.told]
    worker, manager = NodeRole.WORKER, NodeRole.MANAGER
    assert told == [(worker, ("m1",)), (manager, ("m1",)), (manager, ("m1", "m2"))]


def test_without_managers_there_is_nobody_to_ask() -> None:
    """`no remote hosts provided`: it goes on trying."""
    world = World(managers=()).start()
    world.run(SECOND)
    assert world.asked == []

    world.agent.remotes.announce(["m1"])
    world.run(8 * SECOND)

    assert world.agent.manager == "m1"


def test_another_certificate_opens_the_session_anew() -> None:
    """C-086 TestSessionRestartedOnNodeDescriptionChange, for TLS: at once, with the same id."""
    world = World().start()
    world.run(SECOND)
    world.manager.send("agent", Recertified(anew=True))
    world.run(0)

    assert [(at, r.session_id) for at, _, r in world.requests(SessionRequest)] == [(0, ""), (SECOND, "s1")]
    assert failures(world) == []


def test_a_gap_in_the_assignments_asks_for_everything() -> None:
    """`AppliesTo` is not what was applied last."""
    world = World(task("t1")).start()
    world.assigned = (task("t2"),)
    world.push(AssignmentsMessage(False, "7", "8", ((task("t9"), 0),)))

    assert len(world.requests(AssignmentsRequest)) == 2
    assert list(world.agent.worker.tasks) == ["t2"]


# ---- healthy heartbeats that are skipped ------------------------------------------------------------------------


def dozing_world() -> World:
    world = World()
    world.manager.disturbed = False
    world.on_beat = lambda request: Pulse(world.now, 5 * SECOND, dozing=request.dozing)
    return world.start()


def beats(world: World) -> list[int]:
    return [at for at, _, _ in world.requests(HeartbeatRequest)]


def test_while_all_is_quiet_heartbeats_are_skipped() -> None:
    world = dozing_world()
    world.run(1000 * SECOND)

    assert beats(world) == [0]


def test_an_agent_does_not_doze_without_its_dispatcher() -> None:
    """The dispatcher knows of a manager in trouble that the agent has not heard of."""
    world = World()
    world.manager.disturbed = False
    world.start()
    world.run(14 * SECOND)

    assert beats(world) == [0, 5 * SECOND, 10 * SECOND]


@pytest.mark.parametrize("message", [Disturbed(""), Rouse("s1")])
def test_a_dozing_agent_wakes_in_time_for_its_next_heartbeat(message: object) -> None:
    """When the network is disturbed, or the dispatcher has news that only the answer brings."""
    world = dozing_world()
    world.run(1000 * SECOND)
    world.manager.disturbed = isinstance(message, Disturbed)
    world.push(message)
    world.run(5500 * MS)

    assert len(beats(world)) == 2
    assert 1000 * SECOND < beats(world)[1] <= 1005500 * MS


def test_a_new_manager_in_trouble_wakes_the_agent() -> None:
    """It learns of it by a session message; the disturbance itself came before."""
    world = dozing_world()
    world.run(1000 * SECOND)
    world.manager.disturbed = True
    world.push(SessionMessage("s1", world.node, ("m1", "m2"), (), ""))
    world.run(5500 * MS)

    assert len(beats(world)) == 2


# ---- reports ----------------------------------------------------------------------------------------------------


def test_all_statuses_are_reported_again_on_a_new_session() -> None:
    """Whatever was reported before."""
    world = World(task("t1"), task("t2", desired=S.READY)).start()
    world.run(SECOND)
    world.asked.clear()

    world.push(SessionEnded("s1", "node must disconnect"))
    world.run(SECOND)

    assert world.reported("t1") == [(S.RUNNING, "started", "")]
    assert world.reported("t2") == [(S.READY, "prepared", "")]


def test_a_report_under_way_is_given_back_when_its_session_fails() -> None:
    """It goes out with the next session, not when the old request is given up."""
    world = World(task()).start()
    world.run(SECOND)
    held = Promise()
    world.on_report = lambda request: held
    world.engine.exit("t1", 3)
    world.run(0)
    world.on_report = lambda request: None

    world.push(SessionEnded("s1", "connection reset"))
    world.run(200 * MS)
    held.keep(REFUSED)
    world.run(SECOND)

    assert [state for state, _, _ in world.reported()][-2:] == [S.FAILED, S.FAILED]
    assert len(failures(world)) == 1


def test_a_report_that_fails_ends_the_session_and_is_kept() -> None:
    world = World(task()).start()
    world.run(SECOND)
    world.on_report = lambda request: REFUSED
    world.engine.exit("t1", 0)
    world.run(0)
    assert failures(world) == [REFUSED.text]

    world.on_report = lambda request: None
    world.run(SECOND)

    assert world.reported()[-1] == (S.COMPLETE, "finished", "")


def test_one_report_at_a_time() -> None:
    """What changes meanwhile joins the next, the newest status of each task only."""
    held = Promise()
    world = World(task("t1"), task("t2"))
    world.on_report = lambda request: held
    world.start()
    world.run(SECOND)
    (first,) = world.requests(UpdateTaskStatusRequest)
    world.on_report = lambda request: None
    world.engine.exit("t1", 0)
    world.engine.exit("t2", 0)
    world.run(SECOND)
    assert len(world.requests(UpdateTaskStatusRequest)) == 1

    held.keep()
    world.run(0)

    _, second = world.requests(UpdateTaskStatusRequest)
    assert [(id, s.state) for id, s, _ in second[2].updates] == [("t1", S.COMPLETE), ("t2", S.COMPLETE)]
    assert first[2].updates


def test_tasks_run_and_end_without_managers_and_are_reported_on_reconnection() -> None:
    """Nothing is stopped, nothing is restarted, the end is told later."""
    world = World(task()).start()
    world.run(SECOND)
    world.on_session = lambda manager, request: REFUSED
    world.push(SessionEnded("s1", "connection reset"))
    world.run(1000 * SECOND)
    assert world.status().state is S.RUNNING

    world.engine.exit("t1", 1)
    world.run(1000 * SECOND)
    assert world.status().state is S.FAILED
    assert S.FAILED not in [state for state, _, _ in world.reported()]
    world.on_session = world.give_session
    world.run(9 * SECOND)

    assert world.reported()[-1] == (S.FAILED, "started", "task: non-zero exit (1)")
    assert world.engine.did.count(("start", "t1")) == 1
