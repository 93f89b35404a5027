"""The role manager and the key manager of a leader, by themselves (SwarmKit manager/role_manager.go, keymanager)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from swarmsim.api.messages import LeaveRequest, TransferLeadership
from swarmsim.api.objects import Cluster, Node
from swarmsim.api.specs import ClusterSpec, NodeSpec
from swarmsim.api.states import NodeRole
from swarmsim.errors import ApiError
from swarmsim.manager.key_manager import KEYS_PER_SUBSYSTEM, ROTATION, SUBSYSTEMS, KeyManager
from swarmsim.manager.membership import Member
from swarmsim.manager.role_manager import RoleManager
from tests.fake_manager import FakeManager

SECOND = 1_000_000
MANAGER, WORKER = NodeRole.MANAGER, NodeRole.WORKER


def node(id: str, desired: NodeRole = MANAGER, role: NodeRole = MANAGER) -> Node:
    return Node(id, NodeSpec(desired_role=desired), role)


class Group:
    """Three members on three hosts; `asked` has what was asked of this leader's Raft member, and when."""

    def __init__(self, *nodes: Node) -> None:
        self.manager = FakeManager()
        self.store = self.manager.store
        self.manager.create(*nodes)
        self.members = [Member(f"m{i}", f"m{i}") for i in (1, 2, 3)]
        self.quorum = True
        self.refuses: set[type] = set()
        self.asked: list[tuple[int, Any, int]] = []
        self.manager.on_request = self._asked

    def _asked(self, effect: Any) -> Any:
        request = effect.request
        self.asked.append((self.manager.now, request, effect.timeout))
        if type(request) in self.refuses:
            return ApiError("Unknown", "no")
        if type(request) is LeaveRequest:
            self.members = [m for m in self.members if m.node_id != request.node_id]
        return None

    def start(self) -> Group:
        made = RoleManager("m1", self.store, lambda: tuple(self.members), lambda id: self.quorum)
        self.manager.add_machine(made)
        return self

    def ids(self) -> list[str]:
        return [m.node_id for m in self.members]

    def role(self, id: str) -> NodeRole:
        return self.store.nodes[id].role

    def desire(self, id: str, role: NodeRole) -> None:
        known = self.store.nodes[id]
        self.manager.write(known.evolve(spec=replace(known.spec, desired_role=role)))

    def when(self, kind: type) -> list[int]:
        return [at // SECOND for at, request, _ in self.asked if type(request) is kind]


@pytest.fixture
def group() -> Group:
    return Group(node("m1"), node("m2"), node("m3")).start()


def test_a_demoted_node_leaves_the_group_at_once_and_its_role_follows_with_the_next_tick(group: Group) -> None:
    """C-052 TestRoleManagerRemovesDemotedNodesAndAddsPromotedNodes; promoted again, it joins by itself."""
    group.manager.run(3 * SECOND)
    group.desire("m3", WORKER)
    assert (group.ids(), group.role("m3")) == (["m1", "m2"], MANAGER)

    group.manager.run(8 * SECOND)
    assert group.role("m3") is WORKER

    group.desire("m3", MANAGER)
    assert (group.ids(), group.role("m3")) == (["m1", "m2"], MANAGER)


def test_an_event_of_the_node_writes_its_role_before_the_tick(group: Group) -> None:
    group.desire("m3", WORKER)
    group.manager.write(group.store.nodes["m3"])

    assert (group.manager.now, group.role("m3")) == (0, WORKER)


def test_a_node_that_was_demoted_before_leaves_at_the_start() -> None:
    """C-053 TestRoleManagerRemovesDemotedNodesOnStartup."""
    group = Group(node("m1"), node("m2"), node("m3", WORKER)).start()
    assert group.ids() == ["m1", "m2"]

    group.manager.run(5 * SECOND)
    assert group.role("m3") is WORKER


def test_a_member_without_a_node_leaves_at_the_start() -> None:
    """C-055 TestRoleManagerRemovesDeletedNodesOnStartup."""
    assert Group(node("m1"), node("m2")).start().ids() == ["m1", "m2"]


def test_a_node_that_is_deleted_leaves(group: Group) -> None:
    group.manager.delete(group.store.nodes["m3"])

    assert group.ids() == ["m1", "m2"]


def test_what_would_lose_the_quorum_waits(group: Group) -> None:
    """Skipped, and tried again with each tick."""
    group.quorum = False
    group.desire("m3", WORKER)
    group.manager.run(12 * SECOND)
    assert group.asked == []

    group.quorum = True
    group.manager.run(15 * SECOND)
    assert group.when(LeaveRequest) == [15]


def test_events_of_other_nodes_neither_try_nor_put_off_what_waits(group: Group) -> None:
    """The ticker runs on; an event is about its own node."""
    group.refuses.add(LeaveRequest)
    group.desire("m3", WORKER)
    group.manager.delete(group.store.nodes["m2"])

    for second in range(1, 12):
        group.manager.run(second * SECOND)
        group.manager.write(group.store.nodes["m1"])

    asked = [(at // SECOND, request.node_id) for at, request, _ in group.asked]
    assert asked == [(0, "m3"), (0, "m2"), (5, "m2"), (5, "m3"), (10, "m2"), (10, "m3")]


def test_a_leader_that_is_demoted_hands_over(group: Group) -> None:
    """On success its successor removes it."""
    group.desire("m1", WORKER)

    assert group.when(TransferLeadership) == [0]
    assert group.when(LeaveRequest) == []
    assert group.role("m1") is MANAGER


def test_a_leader_that_nobody_succeeds_removes_itself(group: Group) -> None:
    """role_manager.go `removeMember`; within the 5 s of both together."""
    group.refuses.add(TransferLeadership)
    group.desire("m1", WORKER)

    assert group.ids() == ["m2", "m3"]
    assert [timeout for _, _, timeout in group.asked] == [5 * SECOND, 5 * SECOND]


def keys(manager: FakeManager) -> list[tuple[str, int]]:
    cluster = manager.store.clusters["c"]
    return [(key.subsystem, key.lamport) for key in cluster.network_keys]


@pytest.mark.parametrize("subsystems", [SUBSYSTEMS, SUBSYSTEMS[1:]])
def test_each_subsystem_has_three_keys_and_the_oldest_goes(subsystems: tuple[str, ...]) -> None:
    """C-061 TestKeyManagerDefaultSubsystem, C-062 TestKeyManagerCustomSubsystem."""
    manager = FakeManager()
    manager.create(Cluster("c", ClusterSpec()))
    manager.add_machine(KeyManager("m1", manager.store, subsystems))
    first = keys(manager)
    assert [subsystem for subsystem, _ in first] == [s for s in subsystems for _ in range(KEYS_PER_SUBSYSTEM)]
    assert [lamport - first[0][1] for _, lamport in first] == list(range(len(first)))

    manager.run(ROTATION)

    after = keys(manager)
    assert [subsystem for subsystem, _ in after] == [subsystem for subsystem, _ in first]
    assert first[0] not in after
    assert len(set(first) - set(after)) == len(subsystems)
    assert max(lamport for _, lamport in after) == first[-1][1] + len(subsystems)


def test_a_new_leader_adopts_the_keys_and_starts_the_clock_anew() -> None:
    """keymanager.go `Run`: 12 hours since this leader started."""
    manager = FakeManager()
    manager.create(Cluster("c", ClusterSpec()))
    manager.add_machine(KeyManager("m1", manager.store))
    first = keys(manager)

    for _ in range(3):
        manager.run(manager.now + ROTATION - 1)
        manager.stop("keymanager")
        manager.add_machine(KeyManager("m1", manager.store))

    assert keys(manager) == first
    manager.run(manager.now + ROTATION)
    assert keys(manager) != first


def test_keys_are_made_for_known_subsystems_only() -> None:
    """keymanager.go `New`."""
    with pytest.raises(ValueError, match="no keys for serf; there are networking:gossip, networking:ipsec"):
        KeyManager("m1", FakeManager().store, ("serf",))
