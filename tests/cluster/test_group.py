"""Who belongs to the Raft group, at the leader (SwarmKit manager/state/raft/raft.go, membership/cluster.go)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from swarmsim.api.messages import JoinRequest, JoinResponse, KeepAlive, LeaveRequest, TransferLeadership
from swarmsim.errors import ApiError
from swarmsim.machine import Machine
from swarmsim.manager.membership import Member, Membership
from swarmsim.raft.membership import ConfChange, ConfChangeType
from tests.fake_manager import FakeManager

ADD, REMOVE, UPDATE = ConfChangeType.ADD_NODE, ConfChangeType.REMOVE_NODE, ConfChangeType.UPDATE_NODE
M1, M2, M3 = (Member(f"m{i}", f"m{i}") for i in (1, 2, 3))


class Leader(Machine):
    """A member whose changes commit at once; `active` are the peers that it can reach."""

    def __init__(self) -> None:
        self.node, self.id, self.is_leader = "m1", 1, True
        self.raw = SimpleNamespace(progress={1: None, 2: None}, leader_id=1)
        self.group = Membership(self, [(1, M1), (2, M2)])  # type: ignore[arg-type]
        self.active = {2}
        self.changes: list[ConfChange] = []
        self.heirs: list[int] = []

    def is_active(self, id: int) -> bool:
        return id in self.active

    def propose_change(self, change: ConfChange, out: Any) -> None:
        self.changes.append(change)
        if change.type is REMOVE:
            self.raw.progress.pop(change.node_id, None)
        else:
            self.raw.progress[change.node_id] = None
        self.group.apply(change)
        self.group.applied(change, out)

    def transfer(self, to: int, out: Any) -> None:
        self.heirs.append(to)

    def on_call(self, call: Any, out: Any) -> None:
        self.group.serve(call, call.request, out)


class World:
    def __init__(self) -> None:
        self.manager = FakeManager()
        self.leader = Leader()
        self.manager.add_machine(self.leader, "raft")
        self.dialled: list[tuple[str, Any]] = []
        self.answers = True
        self.manager.on_request = self._dial

    def _dial(self, effect: Any) -> Any:
        self.dialled.append((effect.dst.node, effect.request))
        return True if self.answers else ApiError("Unavailable", "connection error")

    def ask(self, request: Any) -> Any:
        id = self.manager.request("raft", request)
        return self.manager.answers.get(id)

    def hosts(self) -> tuple[str, ...]:
        return self.leader.group.hosts()


def test_a_newcomer_is_dialled_back_and_added() -> None:
    world = World()

    answer = world.ask(JoinRequest("m3", "m3"))

    assert isinstance(answer, JoinResponse)
    assert dict(answer.members)[answer.raft_id] == M3
    assert world.dialled == [("m3", KeepAlive())]
    assert world.hosts() == ("m1", "m2", "m3")


def test_a_newcomer_that_cannot_be_reached_is_refused() -> None:
    """C-017 TestRaftJoinWithIncorrectAddress; a member that asks again is dialled, too."""
    world = World()
    world.answers = False

    for name in ("m3", "m2"):
        refused = world.ask(JoinRequest(name, name))
        text = "could not connect to prospective new cluster member using its advertised address"
        assert (refused.code, refused.text) == ("FailedPrecondition", text)
    assert world.hosts() == ("m1", "m2")


def test_a_member_that_asks_again_gets_its_id_again() -> None:
    world = World()

    assert world.ask(JoinRequest("m2", "m2")).raft_id == 2
    assert world.leader.changes == []


def test_a_member_with_another_address_keeps_its_id() -> None:
    """C-016 TestRaftJoinTwice: all members learn the new address."""
    world = World()

    answer = world.ask(JoinRequest("m2", "elsewhere"))

    assert answer.raft_id == 2
    assert world.leader.changes == [ConfChange(UPDATE, 2, context=Member("m2", "elsewhere"))]
    assert world.hosts() == ("m1", "elsewhere")


def test_a_member_leaves_where_a_quorum_is_left() -> None:
    """C-037 TestCanRemoveMember."""
    world = World()
    world.ask(JoinRequest("m3", "m3"))
    refused = world.ask(LeaveRequest("m2"))  # m3 does not answer
    text = "raft: member cannot be removed, because removing it may result in loss of quorum"
    assert refused.text == text

    world.ask(LeaveRequest("m3"))
    assert world.hosts() == ("m1", "m2")
    assert world.ask(LeaveRequest("m9")).text == "raft: member unknown"
    world.ask(LeaveRequest("m2"))
    assert world.hosts() == ("m1",)


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (ConfChange(ADD, 3, context=M3), ""),
        (ConfChange(ADD, 2, context=M3), "membership: can't add node to cluster, node id is a duplicate"),
        (ConfChange(ADD, 9, context=M3), "membership: node was removed during cluster lifetime"),
        (ConfChange(REMOVE, 9), "membership: node was removed during cluster lifetime"),
        (ConfChange(UPDATE, 9, context=M3), "membership: node was removed during cluster lifetime"),
        (ConfChange(REMOVE, 2), ""),
        (ConfChange(REMOVE, 3), "membership: member not found in cluster list"),
        (ConfChange(UPDATE, 3, context=M3), "membership: member not found in cluster list"),
        (ConfChange(UPDATE, 2, context=M2), ""),
        (
            ConfChange(ConfChangeType.ADD_LEARNER_NODE, 3, context=M3),
            "membership: ConfChange type should be either AddNode, RemoveNode or UpdateNode",
        ),
        (ConfChange(ADD, 3, context="garbage"), "membership: cannot unmarshal configuration change"),
    ],
)
def test_which_changes_are_valid(change: ConfChange, refusal: str) -> None:
    """C-038 TestValidateConfigurationChange; one that is not valid changes nothing."""
    group = World().leader.group
    group.removed[9] = None
    before = dict(group.members)

    assert group.refusal(change) == refusal
    group.apply(change)
    assert (group.members != before) is (not refusal and change.type is not UPDATE)


def test_a_hand_over_is_given_up_after_25_seconds() -> None:
    """raft.go `TransferLeadership`, `reqTimeout`."""
    world = World()
    id = world.manager.request("raft", TransferLeadership())
    assert world.leader.heirs == [2]

    world.manager.run(24_900_000)
    assert id not in world.manager.answers
    world.manager.run(25_200_000)
    assert world.manager.answers[id].text == "context deadline exceeded"


def test_nobody_to_hand_over_to() -> None:
    world = World()
    world.leader.active.clear()

    assert world.ask(TransferLeadership()).text == "raft: no elected cluster leader"
