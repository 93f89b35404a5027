"""A follower's way to the leader (SwarmKit protobuf/plugin/raftproxy, manager/state/raft/raft.go `LeaderConn`)."""

from __future__ import annotations

from typing import Any

import pytest

from swarmsim.api.messages import (
    AssignmentsRequest,
    Forwarded,
    GetNode,
    HeartbeatRequest,
    KeepAlive,
    SessionEnded,
    SessionMessage,
    SessionRequest,
    ToAgent,
)
from swarmsim.errors import ApiError
from swarmsim.machine import Address, Call, Request
from swarmsim.manager.proxy import NO_LEADER, Proxy
from tests.fake_manager import FakeManager

SECOND = 1_000_000
RESET = ApiError("Unavailable", "connection error: reset by m2")


class Raft:
    """What this manager knows of the leader."""

    def __init__(self, leader: str = "m2", ticks_without_leader: int = 0) -> None:
        self.leader = leader
        self.ticks_without_leader = ticks_without_leader

    def leader_host(self) -> str:
        return self.leader

    @property
    def is_leader(self) -> bool:
        return self.leader == "m1"


class World:
    """m1's proxy; other managers answer with what the test has put into `answers`, in turn."""

    def __init__(self, raft: Raft, *answers: Any) -> None:
        self.raft = raft
        self.manager = FakeManager()
        self.proxy = Proxy("m1", raft)
        self.manager.add_machine(self.proxy, "api")
        self.answers = list(answers)
        self.asked: list[tuple[int, str, Any]] = []
        self.manager.on_request = self._answer

    def _answer(self, effect: Request) -> Any:
        self.asked.append((self.manager.now, str(effect.dst), effect.request))
        return self.answers.pop(0)

    def call(self, service: str, request: Any, seconds: float = 20) -> int:
        """An agent or a client of w1 asks m1's `service`."""
        self.manager._calls += 1
        out = self.manager.machines["api"]
        deadline = self.manager.now + int(seconds * SECOND)
        out.inbox.append(("call", Call(Address("w1", "agent"), self.manager._calls, request, deadline, service)))
        self.manager.serve(out)
        return self.manager._calls

    def answered(self, id: int) -> Any:
        answer = self.manager.answers.get(id, "nothing yet")
        return answer.text if isinstance(answer, ApiError) else answer


@pytest.mark.parametrize("way", ["control -> controlapi", "dispatcher -> dispatcher", "ca -> ca"])
def test_a_request_goes_to_the_leader_and_the_answer_comes_back(way: str) -> None:
    """With the identity of who asked."""
    service, _, machine = way.split()
    world = World(Raft(), "answer")

    id = world.call(service, GetNode("w1"))

    assert world.answered(id) == "answer"
    assert world.asked == [(0, f"m2/{machine}", Forwarded(GetNode("w1"), "w1"))]


def test_there_is_one_hop_at_most() -> None:
    """Two managers that think differently of the leader."""
    world = World(Raft("m3"))

    id = world.call("dispatcher", Forwarded(GetNode("w1"), "w1"))

    assert world.answered(id) == "more than one redirect to leader from: w1"
    assert world.manager.answers[id].code == "ResourceExhausted"


def test_a_leader_whose_dispatcher_has_not_begun_says_so() -> None:
    """Aborted `dispatcher is stopped`, asked by an agent or through another manager."""
    world = World(Raft("m1"))

    for request in (HeartbeatRequest("w1", "s"), Forwarded(HeartbeatRequest("w1", "s"), "w1")):
        id = world.call("dispatcher", request)
        assert world.answered(id) == "dispatcher is stopped"
        assert world.manager.answers[id].code == "Aborted"


def test_a_call_waits_for_a_leader() -> None:
    """A look each second."""
    world = World(Raft(""), "answer")
    id = world.call("control", GetNode("w1"))
    world.manager.run_for(2 * SECOND + 1)
    assert world.answered(id) == "nothing yet"

    world.raft.leader = "m3"
    world.manager.run_for(SECOND)

    assert world.answered(id) == "answer"
    assert world.asked[0][:2] == (3 * SECOND, "m3/controlapi")


def test_a_call_gives_up_with_its_caller() -> None:
    """An agent's session after 5 s, an operator's command after 20 s."""
    world = World(Raft(""))
    id = world.call("dispatcher", SessionRequest("w1", None, ""), seconds=5)
    world.manager.run_for(5 * SECOND - 1)
    assert world.answered(id) == "nothing yet"

    world.manager.run_for(1)

    assert world.answered(id) == "context deadline exceeded"


def test_without_a_leader_for_more_than_ten_ticks_the_refusal_is_immediate() -> None:
    """`lostQuorumTimeout`; also for those who wait already."""
    world = World(Raft("", ticks_without_leader=10))
    early = world.call("control", GetNode("w1"))
    assert world.answered(early) == "nothing yet"

    world.raft.ticks_without_leader = 11
    late = world.call("control", GetNode("w1"))
    assert world.answered(late) == NO_LEADER

    world.manager.run_for(SECOND)
    assert world.answered(early) == NO_LEADER
    assert world.manager.answers[early].code == "Unknown"


def test_a_call_that_a_broken_connection_ended_is_tried_once_more() -> None:
    """Every 500 ms until a leader serves, then exactly once."""
    world = World(Raft(), RESET, ApiError("Unavailable", "connection error: refused"), True, "answer")
    id = world.call("control", GetNode("w1"))
    world.manager.run_for(SECOND)

    assert world.answered(id) == "answer"
    assert [(at, dst) for at, dst, _ in world.asked] == [
        (0, "m2/controlapi"),
        (SECOND // 2, "m2/raft"),
        (SECOND, "m2/raft"),
        (SECOND, "m2/controlapi"),
    ]
    assert world.asked[1][2] == KeepAlive()


def test_a_second_broken_connection_goes_to_the_client() -> None:
    world = World(Raft(), RESET, True, RESET)
    id = world.call("control", GetNode("w1"))
    world.manager.run_for(5 * SECOND)

    assert world.answered(id) == RESET.text


def test_any_other_error_goes_to_the_client() -> None:
    world = World(Raft(), ApiError("NotFound", "node w1 not found"))

    assert world.answered(world.call("control", GetNode("w1"))) == "node w1 not found"


@pytest.mark.parametrize("request_", [SessionRequest("w1", None, ""), AssignmentsRequest("w1", "s")])
def test_streams_are_not_tried_again(request_: Any) -> None:
    """An error ends the client's stream."""
    world = World(Raft(), RESET)

    assert world.answered(world.call("dispatcher", request_)) == RESET.text


def test_what_the_dispatcher_pushes_is_passed_down() -> None:
    world = World(Raft())
    message = SessionMessage("s", None, (), (), "")

    world.manager.send("api", ToAgent("w1", message), Address("m2", "dispatcher"))

    assert world.manager.sent == [(Address("m1", "api"), Address("w1", "agent"), message)]


def test_the_death_of_the_leader_ends_the_sessions_that_went_there() -> None:
    """And only these; a session that has moved to another leader is left alone."""
    world = World(Raft(), "session", "session")
    world.call("dispatcher", SessionRequest("w1", None, ""))
    out = world.manager.machines["api"]

    world.proxy.on_lost("m3", out)
    assert not world.manager.sent
    world.proxy.on_lost("m2", out)
    world.proxy.on_lost("m2", out)

    ended = SessionEnded("", "connection reset")
    assert world.manager.sent == [(Address("m1", "api"), Address("w1", "agent"), ended)]


def test_sessions_of_a_cluster_that_is_handed_over_are_known() -> None:
    world = World(Raft())
    world.proxy.take_over({"w1": ("s1", "m1"), "w2": ("s2", "m2"), "m1": ("s3", "m1")}, "m2")

    world.proxy.on_lost("m2", world.manager.machines["api"])

    assert [str(dst) for _, dst, _ in world.manager.sent] == ["w1/agent", "m1/agent"]


def test_a_proxy_says_that_it_listens() -> None:
    """The leader dials back to a manager that wants to join."""
    world = World(Raft(""))

    assert world.answered(world.call("raft", KeepAlive())) is True
