"""Sessions and heartbeats (SwarmKit manager/dispatcher/dispatcher.go, nodes.go, period.go)."""

from random import Random

import pytest

from swarmsim.api.heartbeat import draw_period
from swarmsim.api.messages import (
    AssignmentsRequest,
    HeartbeatRequest,
    MembersChanged,
    RemoveNode,
    Rouse,
    SessionEnded,
    SessionMessage,
    SessionRequest,
    ToAgent,
    UpdateTaskStatusRequest,
)
from swarmsim.api.objects import EncryptionKey, Node, NodeDescription
from swarmsim.api.specs import ClusterSpec, NodeSpec
from swarmsim.api.states import TaskState
from swarmsim.errors import ApiError
from swarmsim.machine import Address, Disturbed
from swarmsim.manager.controlapi import ControlApi
from swarmsim.manager.dispatcher.heartbeat import RateLimit
from swarmsim.trace.events import NodeRegistered

from .world import DOWN, HOUR, MS, READY, SECOND, UNKNOWN, World, node, refusal, task

LEADER_CHANGE = 'Node moved to "unknown" state due to leadership change in cluster'


def test_a_node_that_registers_twice_gets_two_session_ids() -> None:
    """C-064 TestRegisterTwice."""
    world = World(node("w1")).start()

    first, second = world.register(), world.register()

    assert first.session_id != second.session_id
    assert len(world.manager.events(NodeRegistered)) == 2


def test_the_fourth_registration_of_a_node_that_was_unknown_is_refused() -> None:
    """C-065 TestRegisterExceedRateLimit: three attempts in 8 s for a node with an entry."""
    world = World(node("w1")).start()
    for _ in range(3):
        world.register()

    request = SessionRequest("w1", None, "")
    assert refusal(world, request) == ("Unavailable", "node w1 exceeded rate limit count of registrations")


def test_a_brand_new_nodes_first_registration_is_not_counted() -> None:
    """It has no entry yet: four pass, the fifth fails."""
    world = World().start()
    world.manager.create(node("w1", UNKNOWN))
    for _ in range(4):
        world.register()

    assert refusal(world, SessionRequest("w1", None, ""))[0] == "Unavailable"


def test_the_rate_limit_is_forgotten_after_eight_quiet_seconds() -> None:
    """Counted from the last attempt that was accepted; refused ones do not lengthen it."""
    limit = RateLimit()
    assert [limit.allows(at * SECOND) for at in (0, 1, 2, 3, 9, 10)] == [True, True, True, False, False, False]
    assert limit.allows(10 * SECOND + 1)


def test_an_unknown_node_cannot_register() -> None:
    """`node not found`."""
    world = World().start()

    assert refusal(world, SessionRequest("ghost", None, "")) == ("NotFound", "node not found")


def test_a_registration_is_answered_when_the_node_is_ready_in_the_store() -> None:
    """It waits for the next batch, at most 100 ms."""
    world = World(node("w1", UNKNOWN)).start()
    id = world.ask(SessionRequest("w1", None, "", "10.1.1.1"), "w1")
    assert id not in world.manager.answers

    world.run(100 * MS)

    assert world.state("w1") == (READY, "")
    assert world.store.nodes["w1"].status.addr == "10.1.1.1"
    assert world.manager.answers[id].node.status.state is READY


def test_the_first_message_has_a_session_and_the_managers() -> None:
    """C-080 TestSession."""
    world = World(node("w1")).start()

    message = world.register()

    assert message.session_id
    assert message.managers == ("m1",)
    assert message.node.id == "w1"


def test_a_live_session_goes_on_without_a_new_id_or_a_count() -> None:
    """Reconnecting within the grace: no rate limit, READY is written again, the timer is not touched."""
    world = World(node("w1")).start()
    session = world.register().session_id
    last_beat = world.dispatcher.sessions["w1"].pulse
    world.run(3 * SECOND)

    for _ in range(9):
        assert world.register(session=session, engine_version="29").session_id == session

    assert world.store.nodes["w1"].description.engine_version == "29"
    assert world.dispatcher.sessions["w1"].pulse == last_beat
    assert len(world.manager.events(NodeRegistered)) == 1


def test_a_heartbeat_is_answered_with_the_time_to_the_next() -> None:
    """C-067 TestHeartbeat: an empty session is refused, the right one gets a period; the node is READY."""
    world = World(node("w1")).start()
    world.register()

    assert refusal(world, HeartbeatRequest("w1", "")) == ("InvalidArgument", "session invalid")
    assert refusal(world, HeartbeatRequest("w1", "wrong")) == ("InvalidArgument", "session invalid")
    assert refusal(world, HeartbeatRequest("w9", "x")) == ("NotFound", "node not registered")
    assert 4_500 * MS <= world.beat().period <= 5_500 * MS
    assert world.state("w1")[0] is READY


def test_a_node_that_never_beats_is_down_after_three_periods() -> None:
    """C-068 TestHeartbeatTimeout: with a period of 100 ms its epsilon is all of it."""
    world = World(node("w1"), period=100 * MS).start()
    session = world.register().session_id
    grace = world.dispatcher.sessions["w1"].grace

    world.run(700 * MS)

    assert grace <= 600 * MS
    assert world.state("w1") == (DOWN, "heartbeat failure")
    assert refusal(world, HeartbeatRequest("w1", session)) == ("NotFound", "node not registered")


def test_the_grace_is_three_times_the_period_that_was_drawn() -> None:
    """13.5 to 16.5 s, and a new one at each beat."""
    world = World(node("w1")).start()
    world.register()
    graces = []
    for _ in range(50):
        pulse = world.beat()
        graces.append(world.dispatcher.sessions["w1"].grace)
        assert graces[-1] == 3 * pulse.period

    assert 13_500 * MS <= min(graces) < 14 * SECOND
    assert 16 * SECOND < max(graces) <= 16_500 * MS


def test_drawn_periods_lie_within_epsilon() -> None:
    """C-082 TestPeriodChooser: here with the real epsilon of 0.5 s, cut to the period where that is shorter."""
    rng = Random(1)
    draws = [draw_period(5 * SECOND, rng) for _ in range(1024)]
    short = [draw_period(100 * MS, rng) for _ in range(1024)]

    assert 4_500 * MS <= min(draws) < max(draws) <= 5_500 * MS
    assert 0 <= min(short) < max(short) <= 200 * MS


def test_a_timer_that_is_beaten_in_time_never_fires() -> None:
    """C-083 TestHeartbeatBeat, TestHeartbeatTimeout, TestHeartbeatReactivate."""
    world = World(node("w1")).start()
    world.register()
    for _ in range(6):
        world.beat()
        world.run(13 * SECOND)
    assert not world.expired()

    world.beat()
    world.run(17 * SECOND)
    assert len(world.expired()) == 1
    assert world.expired()[0].silent == world.expired()[0].grace

    world.register()
    world.run(17 * SECOND)
    assert len(world.expired()) == 2


def test_a_new_period_applies_from_the_next_heartbeat() -> None:
    """C-083 TestHeartbeatUpdate: `docker swarm update --dispatcher-heartbeat`."""
    world = World(node("w1")).start()
    world.register()
    before = world.dispatcher.sessions["w1"].grace
    cluster = world.store.cluster
    assert cluster is not None

    world.manager.write(cluster.evolve(spec=ClusterSpec(heartbeat_period=20 * SECOND)))
    assert world.dispatcher.sessions["w1"].grace == before

    assert 19_500 * MS <= world.beat().period <= 20_500 * MS


def test_a_new_leader_marks_all_nodes_unknown_but_those_that_are_down() -> None:
    """And each with the words of the original (S-07)."""
    world = World(node("w1"), node("w2", DOWN), node("w3", UNKNOWN)).start()
    world.run(SECOND)

    assert [world.state(f"w{i}") for i in (1, 2, 3)] == [(UNKNOWN, LEADER_CHANGE), (DOWN, ""), (UNKNOWN, LEADER_CHANGE)]
    assert list(world.dispatcher.down) == ["w2"]


def test_an_unknown_node_has_twice_the_time() -> None:
    """27 to 33 s; then DOWN with a message of its own."""
    world = World(*(node(f"w{i}") for i in range(40))).start()
    world.run(26_900 * MS)
    assert not world.expired()

    world.run(6_300 * MS)

    assert len(world.expired()) == 40
    assert all(27 * SECOND <= e.silent <= 33 * SECOND for e in world.expired())
    assert world.state("w1") == (DOWN, 'heartbeat failure for node in "unknown" state')


def test_unknown_nodes_are_written_two_hundred_at_a_time() -> None:
    """One batch; see C-041."""
    world = World(*(node(f"w{i}") for i in range(401))).start()

    assert [len(changes) for _, changes in world.manager.commits[1:]] == [200, 200, 1]


def test_a_broken_stream_changes_nothing() -> None:
    """Only the heartbeat's timer makes a node DOWN; DISCONNECTED never occurs."""
    world = World(node("w1")).start()
    world.register()
    commits = len(world.manager.commits)

    world.dispatcher.on_lost("w1", world.manager.machines["dispatcher"])
    world.run(10 * SECOND)

    assert world.state("w1")[0] is READY
    assert len(world.manager.commits) == commits


def test_a_node_that_is_marked_down_keeps_the_description_of_a_waiting_registration() -> None:
    """`markNodeNotReady`: the timer ran out between the registration and its batch, and DOWN is what is written."""
    world = World(node("w1")).start()
    world.register()
    entry = world.dispatcher.sessions["w1"]
    world.run(entry.pulse.at + entry.grace - 1 - world.now)
    id = world.ask(SessionRequest("w1", NodeDescription("w1", engine_version="99"), ""), "w1")
    world.run(1)
    waiting, expired = id not in world.manager.answers, len(world.expired())

    world.run(100 * MS)

    assert (waiting, expired) == (True, 1)
    assert world.state("w1") == (DOWN, "heartbeat failure")
    assert world.store.nodes["w1"].description.engine_version == "99"


def test_a_message_follows_each_change_of_its_contents() -> None:
    """Node object, managers, keys: all fields, with the present values. A change of status is not told."""
    world = World(node("w1"), node("w2")).start()
    world.register("w1")
    world.register("w2")
    world.manager.sent.clear()
    w1: Node = world.store.nodes["w1"]

    world.manager.write(w1.evolve(spec=w1.spec.__class__(labels={"a": "1"})))
    world.members = ("m1", "m2")
    world.manager.send("dispatcher", MembersChanged(world.members))
    cluster = world.store.cluster
    assert cluster is not None
    world.manager.write(cluster.evolve(network_keys=(EncryptionKey("gossip", 1, "k"),)))
    world.register("w1", session=world.dispatcher.sessions["w1"].id)

    told = [(m.node.spec.labels, m.managers, len(m.network_keys)) for m in world.pushed("w1", SessionMessage)]
    assert told == [({"a": "1"}, ("m1",), 0), ({"a": "1"}, ("m1", "m2"), 0), ({"a": "1"}, ("m1", "m2"), 1)]
    assert len(world.pushed("w2", SessionMessage)) == 2


def test_what_is_pushed_goes_through_the_manager_that_the_agent_is_connected_to() -> None:
    """A session moves: the latest way counts."""
    world = World(node("w1")).start()
    session = world.register(via="m2").session_id
    world.manager.send("dispatcher", MembersChanged(("m1",)))
    world.register(session=session)
    world.manager.send("dispatcher", MembersChanged(("m1",)))

    ways = [(dst, type(m)) for _, dst, m in world.manager.sent]
    assert ways == [(Address("m2", "api"), ToAgent), (Address("w1", "agent"), SessionMessage)]


def test_a_dispatcher_that_stops_ends_all_streams() -> None:
    """A last message, then Aborted `node must disconnect`; nodes that never registered have no stream."""
    world = World(node("w1"), node("w2")).start()
    first = world.register("w1")

    world.manager.stop("dispatcher")

    last, end = world.pushed("w1")
    assert (last.session_id, last.managers) == (first.session_id, first.managers)
    assert end == SessionEnded(first.session_id, "node must disconnect")
    assert world.pushed("w2") == []
    assert world.state("w1")[0] is READY


def test_after_a_day_down_the_tasks_are_orphaned() -> None:
    """ASSIGNED to RUNNING change their state and nothing else; the rest is rewritten as it is."""
    tasks = [
        task("t1", TaskState.ASSIGNED),
        task("t2", TaskState.RUNNING),
        task("t3", TaskState.COMPLETE),
        task("t4", TaskState.RUNNING, node_id="w2"),
        task("t5", TaskState.PENDING),
    ]
    world = World(node("w1"), node("w2"), *tasks).start()
    world.register("w1")
    world.run(20 * SECOND)
    assert world.state("w1")[0] is DOWN
    before = {t.id: t.version for t in world.store.tasks.values()}

    world.run(24 * HOUR)

    states = {t.id: t.status.state.name for t in world.store.tasks.values()}
    assert states == {"t1": "ORPHANED", "t2": "ORPHANED", "t3": "COMPLETE", "t4": "RUNNING", "t5": "PENDING"}
    assert world.store.tasks["t2"].status.timestamp == 0
    assert sorted(id for id, version in before.items() if world.store.tasks[id].version != version) == [
        "t1",
        "t2",
        "t3",
        "t5",
    ]


def test_a_node_that_returns_keeps_its_tasks() -> None:
    """A registration takes it off the list of those that are down."""
    world = World(node("w1"), task("t1", TaskState.RUNNING)).start()
    world.register()
    world.run(20 * SECOND)
    world.run(23 * HOUR)
    assert world.state("w1")[0] is DOWN

    world.register()
    world.manager.disturbed = False
    world.beat(dozing=True)
    world.run(3 * HOUR)

    assert world.state("w1")[0] is READY
    assert world.store.tasks["t1"].status.state is TaskState.RUNNING


def test_a_new_leader_gives_a_node_that_is_down_another_day() -> None:
    """The clock of 24 h starts anew."""
    world = World(node("w1", DOWN), task("t1", TaskState.RUNNING)).start()
    world.run(24 * HOUR - 1)
    assert world.store.tasks["t1"].status.state is TaskState.RUNNING

    world.run(2)
    assert world.store.tasks["t1"].status.state is TaskState.ORPHANED


REMOVED = ("PermissionDenied", "Permission denied: node w1 was removed from swarm")


def remove(world: World, name: str) -> None:
    world.manager.add_machine(ControlApi("m1", world.store, lambda: ("m1",), lambda host: True), "controlapi")
    id = world.manager.request("controlapi", RemoveNode(name, force=True))
    assert not isinstance(world.manager.answers[id], ApiError), world.manager.answers[id]


def test_a_removed_node_is_refused_whatever_it_asks() -> None:
    """C-049 TestManager, its last part; nothing is said when its timer runs out."""
    world = World(node("w1")).start()
    session = world.register().session_id
    remove(world, "w1")

    for request in (
        HeartbeatRequest("w1", session),
        SessionRequest("w1", None, session),
        AssignmentsRequest("w1", session),
        UpdateTaskStatusRequest("w1", session, ()),
    ):
        assert refusal(world, request) == REMOVED
    world.run(30 * SECOND)
    assert not world.expired()


# ---- healthy heartbeats that are skipped ------------------------------------------------------------------------


@pytest.fixture
def dozing() -> World:
    """w1 beats once, and both sides agree that the next beats need not be sent."""
    world = World(node("w1"), node("w2")).start()
    world.register("w1")
    world.register("w2")
    world.manager.disturbed = False
    assert world.beat("w1", dozing=True).dozing
    return world


def test_a_dozing_node_does_not_expire(dozing: World) -> None:
    dozing.run(HOUR)

    assert [e.node for e in dozing.expired()] == ["w2"]


def test_a_disturbance_is_no_heartbeat_of_those_that_are_awake(dozing: World) -> None:
    """Only what dozes is put where it would be by now."""
    for _ in range(8):
        dozing.run(3 * SECOND)
        dozing.manager.disturbed = True
        dozing.manager.send("dispatcher", Disturbed(""))

    assert "w2" in [e.node for e in dozing.expired()]


def test_a_disturbance_elsewhere_wakes_nobody(dozing: World) -> None:
    """It is about one host, and a worker's session depends on itself and the managers."""
    dozing.manager.disturbed = True
    dozing.manager.send("dispatcher", Disturbed("w2"))
    assert dozing.dispatcher.sessions["w1"].dozing

    dozing.manager.send("dispatcher", Disturbed("m1"))
    assert not dozing.dispatcher.sessions["w1"].dozing
    dozing.run(17 * SECOND)
    assert "w1" in [e.node for e in dozing.expired()]


def test_the_dispatcher_does_not_doze_where_the_network_is_not_quiet() -> None:
    """The answer says so, or the agent would fall silent on its own."""
    world = World(node("w1")).start()
    world.register()

    assert not world.beat(dozing=True).dozing


def test_a_dozing_node_is_roused_when_the_period_changes(dozing: World) -> None:
    """Only the answer to a heartbeat brings the new period."""
    cluster = dozing.store.cluster
    assert cluster is not None
    session = dozing.dispatcher.sessions["w1"].id
    dozing.run(HOUR)

    dozing.manager.write(cluster.evolve(spec=ClusterSpec(heartbeat_period=SECOND)))

    assert dozing.pushed("w1", Rouse) == [Rouse(session)]
    assert dozing.pushed("w2", Rouse) == []
    last = dozing.dispatcher.sessions["w1"].pulse
    assert dozing.now - last.period < last.at <= dozing.now


def test_a_dozing_node_is_roused_when_it_is_removed(dozing: World) -> None:
    """It must hear its heartbeat refused, as it would within 5.5 s."""
    remove(dozing, "w1")

    assert len(dozing.pushed("w1", Rouse)) == 1


def test_the_stream_of_a_node_that_is_down_ends_with_its_next_event() -> None:
    """dispatcher.go `Session`: after each event the session is looked up; the write of DOWN is such an event."""
    world = World(node("w1"), node("w2")).start()
    session = world.register("w1").session_id
    world.register("w2")

    world.run(17 * SECOND)

    assert world.state("w1") == (DOWN, "heartbeat failure")
    assert world.pushed("w1", SessionEnded) == [SessionEnded(session, "node not registered")]
    world.manager.write(world.store.nodes["w1"].evolve(spec=NodeSpec({"a": "b"})))
    assert len(world.pushed("w1", SessionEnded)) == 1


def test_only_a_registration_that_succeeds_takes_a_node_from_the_down_list() -> None:
    """dispatcher.go `markNodeReady`: after the batch; one that is marked DOWN meanwhile is not orphaned a day later."""
    world = World(node("w1", DOWN)).start()
    assert list(world.dispatcher.down) == ["w1"]

    world.ask(SessionRequest("w1", NodeDescription("w1"), ""), "w1")
    assert list(world.dispatcher.down) == ["w1"]
    world.run(100 * MS)
    assert list(world.dispatcher.down) == []


@pytest.mark.parametrize("latency", [0, SECOND])
def test_registrations_that_wait_are_refused_when_the_dispatcher_stops(latency: int) -> None:
    """dispatcher.go `Stop`: whoever waits for a batch is woken, also for one that is under way, to find it stopped."""
    world = World(node("w1", DOWN)).start()
    world.manager.commit_latency = latency
    id = world.ask(SessionRequest("w1", NodeDescription("w1"), ""), "w1")
    world.run(100 * MS if latency else 0)

    world.manager.stop("dispatcher")

    answer = world.manager.answers[id]
    assert (answer.code, answer.text) == ("Aborted", "dispatcher is stopped")
