"""How an agent begins, says what its node is, and gives up (SwarmKit agent/agent.go, node/node.go)."""

from __future__ import annotations

import pytest

from swarmsim.agent.session import FirstSessionTracker
from swarmsim.api.messages import AgentFailed, Recertified, Redescribed, SessionEnded, SessionRequest
from swarmsim.api.objects import NodeCsiInfo, NodeDescription
from swarmsim.errors import ApiError
from swarmsim.machine import Address, Machine

from ..sim.world import World as Hosts
from .world import REFUSED, SECOND, World

UNTRUSTED = ApiError("Internal", 'connection error: desc = "transport: x509: certificate signed by unknown authority"')


class Listener(Machine):
    """In the supervisor's place."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def on_message(self, src: Address, message: object, out: object) -> None:
        self.told.append(message)


class Patient:
    """Gives up when the `limit`-th session is closed."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.sessions = self.closures = 0
        self.error = ApiError("Unknown", "enough")

    def established(self) -> None:
        self.sessions += 1

    def failed(self, error: ApiError) -> None:
        assert error == REFUSED

    def closed(self) -> ApiError | None:
        self.closures += 1
        return self.error if self.closures >= self.limit else None


def sessions(world: World) -> list[tuple[int, str, str]]:
    """(when, session id that was offered, hostname) of each request for one."""
    return [(at, r.session_id, r.description.hostname) for at, _, r in world.requests(SessionRequest)]


# -- the node's description --
def test_another_hostname_opens_one_session_anew() -> None:
    """C-086 TestSessionRestartedOnNodeDescriptionChange: with the next look, every 20 s, without backoff."""
    world = World().start()
    world.run(5 * SECOND)

    world.manager.send("agent", Redescribed(NodeDescription("other")))
    world.run(60 * SECOND)

    assert sessions(world) == [(0, "", "w1"), (20 * SECOND, "s1", "other")]


def test_a_description_that_is_as_before_changes_nothing() -> None:
    """C-086: what comes and goes between two looks is not seen."""
    world = World().start()
    world.manager.send("agent", Redescribed(NodeDescription("other")))
    world.run(10 * SECOND)
    world.manager.send("agent", Redescribed(NodeDescription("w1")))
    world.run(60 * SECOND)

    assert len(sessions(world)) == 1


def test_the_same_issuer_opens_no_session_and_another_one_does() -> None:
    """C-086: identical TLS info, no restart within a second; new TLS info, a restart at once, with it."""
    world = World().start()
    world.manager.send("agent", Recertified("root-1"))
    world.run(SECOND)
    world.manager.send("agent", Recertified("root-1"))
    world.run(SECOND)
    assert len(sessions(world)) == 2

    world.manager.send("agent", Recertified("root-2"))
    world.run(0)

    assert len(sessions(world)) == 3
    assert [r.description.tls_issuer for _, _, r in world.requests(SessionRequest)] == ["", "root-1", "root-2"]


def test_descriptions_are_equal_by_what_they_say() -> None:
    """C-091 TestNodeDescriptionsEqual: empty lists are none; a CSI plugin more, or elsewhere, is a difference."""
    plain = NodeDescription("w1")
    with_csi = plain.evolve(csi=(NodeCsiInfo("csi", "n1", {"zone": "Z1"}),))

    assert plain == NodeDescription("w1", engine_labels={}, csi=())
    assert with_csi != plain
    assert with_csi != plain.evolve(csi=(NodeCsiInfo("csi", "n1", {"zone": "Z2"}),))
    assert with_csi == plain.evolve(csi=(NodeCsiInfo("csi", "n1", {"zone": "Z1"}),))


# -- starting and stopping --
def test_an_agent_is_started_once_and_stopped_when_it_runs() -> None:
    """C-085 TestAgentStartStop: its host refuses a second start, as a bug; to stop what does not run does nothing.

    The original's errors are the answers of methods that a machine does not have: its driver starts and stops it.
    """
    host = Hosts("w1").hosts["w1"]
    agent = World().agent
    host.halt("agent", 0)
    assert host.drivers == {}

    host.spawn("agent", agent, {}, 0)

    with pytest.raises(AssertionError, match="w1/agent runs already"):
        host.spawn("agent", agent, {}, 0)
    host.halt("agent", 0)
    assert host.drivers == {}


# -- giving up --
def test_an_agent_ends_when_its_tracker_gives_up() -> None:
    """C-088 TestAgentExitsBasedOnSessionTracker: after the third closure, with that error, never a session."""
    tracker, listener = Patient(3), Listener()
    world = World()
    world.agent.tracker = tracker
    world.on_session = lambda manager, request: REFUSED
    world.manager.add_machine(listener, "node")
    world.start()

    world.run(3600 * SECOND)

    assert len(sessions(world)) == 3
    assert tracker.sessions == 0
    assert listener.told == [AgentFailed(tracker.error)]


def test_a_closed_session_counts_too() -> None:
    """C-088: agent.go asks its tracker whenever a session is closed, established or not."""
    tracker, listener = Patient(1), Listener()
    tracker.failed = lambda error: None  # type: ignore[method-assign]
    world = World()
    world.agent.tracker = tracker
    world.manager.add_machine(listener, "node")
    world.start()

    world.push(SessionEnded("s1", "node must disconnect"))
    world.run(3600 * SECOND)

    assert len(sessions(world)) == 1
    assert listener.told[-1] == AgentFailed(tracker.error)


@pytest.mark.parametrize(
    ("error", "fatal"),
    [
        (UNTRUSTED, True),
        (ApiError("Unavailable", UNTRUSTED.text), False),
        (ApiError("Internal", "stream terminated"), False),
        (REFUSED, False),
    ],
)
def test_only_a_certificate_that_nobody_trusts_ends_a_new_node(error: ApiError, fatal: bool) -> None:
    """C-088; node.go `firstSessionErrorTracker`."""
    tracker = FirstSessionTracker()
    assert tracker.closed() is None

    tracker.failed(error)

    assert tracker.closed() == (error if fatal else None)
    tracker.established()
    assert tracker.closed() is None, "one that had a session goes on trying"
