"""Nodes over the control API (SwarmKit manager/controlapi/node.go)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from swarmsim.api.messages import GetNode, GetTask, IssueCertificate, RemoveNode, RemoveTask, UpdateNode
from swarmsim.api.objects import NodeDescription
from swarmsim.api.specs import NodeSpec
from swarmsim.api.states import Availability, NodeRole, NodeState, TaskState
from swarmsim.ca import Authority

from .world import SECOND, World, node, task

S = TaskState
MANAGER, WORKER = NodeRole.MANAGER, NodeRole.WORKER
DAY = 86_400 * SECOND


def managers(*reachable: str) -> World:
    """m1, m2 and m3 in the Raft group; those that are named answer."""
    world = World(*(node(f"m{i}", MANAGER) for i in (1, 2, 3)))
    world.members = ("m1", "m2", "m3")
    world.reachable = set(reachable)
    return world


def desire(world: World, id: str, role: NodeRole) -> UpdateNode:
    known = world.store.nodes[id]
    return UpdateNode(id, known.version, replace(known.spec, desired_role=role))


def demote(world: World, id: str) -> None:
    """The whole way: desired, out of the group, and the role manager writes it."""
    world.ask(desire(world, id, WORKER))
    world.members = tuple(m for m in world.members if m != id)
    world.manager.write(world.store.nodes[id].evolve(role=WORKER))


def test_an_update_needs_an_id_a_version_and_a_spec() -> None:
    """C-170 TestUpdateNode."""
    world = World(node("w1"))
    invalid = ("InvalidArgument", "invalid argument")

    assert world.refused(UpdateNode("", 1, NodeSpec())) == invalid
    assert world.refused(UpdateNode("w1", None, NodeSpec())) == invalid
    assert world.refused(UpdateNode("w1", 1, None)) == invalid
    assert world.refused(UpdateNode("w9", 1, NodeSpec())) == ("NotFound", "node w9 not found")


def test_a_node_is_drained_and_a_version_serves_once() -> None:
    """C-170."""
    world = World(node("w1"))
    before = world.store.nodes["w1"].version
    drained = NodeSpec(availability=Availability.DRAIN)

    assert world.ask(UpdateNode("w1", before, drained)).spec.availability is Availability.DRAIN
    assert world.refused(UpdateNode("w1", before, drained)) == ("Unknown", "update out of sequence")


def test_demotion_keeps_a_quorum() -> None:
    """C-169 TestUpdateNodeDemote: three managers, the third down; then all up, down to the last one."""
    world = managers("m1", "m2")
    loss = "can't remove member from the raft: this would result in a loss of quorum"
    assert world.refused(desire(world, "m2", WORKER)) == ("FailedPrecondition", loss)

    world.reachable = {"m1", "m2", "m3"}
    demote(world, "m3")
    demote(world, "m2")

    last = ("FailedPrecondition", "attempting to demote the last manager of the swarm")
    assert world.refused(desire(world, "m1", WORKER)) == last
    spec = replace(world.store.nodes["m1"].spec, availability=Availability.DRAIN)
    world.ask(UpdateNode("m1", world.store.nodes["m1"].version, spec))


def test_the_manager_that_is_down_may_be_demoted() -> None:
    """Two of three remain, and both answer."""
    world = managers("m1", "m2")

    world.ask(desire(world, "m3", WORKER))


def test_a_manager_that_is_not_in_the_group_cannot_be_demoted() -> None:
    """After --force-new-cluster: old managers are node objects only."""
    world = managers("m1", "m2", "m3")
    world.members = ("m1",)

    missing = ("NotFound", "can't find manager in raft memberlist")
    assert world.refused(desire(world, "m2", WORKER)) == missing


def test_a_promotion_needs_nobodys_leave() -> None:
    world = World(node("w1"))

    assert world.ask(desire(world, "w1", MANAGER)).spec.desired_role is MANAGER
    assert world.store.nodes["w1"].role is WORKER


def test_nodes_are_found_by_id_hostname_and_beginning() -> None:
    """moby daemon/cluster/helpers.go `getNode`."""
    twin = node("x").description or NodeDescription("twin")
    world = World(
        node("abc1"), node("abc2").evolve(description=NodeDescription("host")), node("d1").evolve(description=twin)
    )
    world.manager.create(node("d2").evolve(description=twin))

    assert world.ask(GetNode("abc1")).id == "abc1"
    assert world.ask(GetNode("host")).id == "abc2"
    assert world.refused(GetNode("abc")) == ("InvalidArgument", "node abc is ambiguous (2 matches found)")
    assert world.refused(GetNode("twin")) == ("InvalidArgument", "node twin is ambiguous (2 matches found)")
    assert world.refused(GetNode("z")) == ("NotFound", "node z not found")


def test_a_ready_node_is_removed_only_by_force() -> None:
    """FailedPrecondition; UNKNOWN and DOWN pass."""
    world = World(node("w1"), node("w2", state=NodeState.UNKNOWN), node("w3", state=NodeState.DOWN))

    not_down = ("FailedPrecondition", "node w1 is not down and can't be removed")
    assert world.refused(RemoveNode("w1")) == not_down
    for request in (RemoveNode("w1", force=True), RemoveNode("w2"), RemoveNode("w3")):
        world.ask(request)
    assert world.store.nodes == {}


@pytest.mark.parametrize("force", [False, True])
def test_a_manager_must_be_demoted_first(force: bool) -> None:
    """Even by force, as long as it is a member of the group."""
    world = managers("m1", "m2", "m3")
    text = (
        "node m2 is a cluster manager and is a member of the raft cluster. It must be demoted to worker before removal"
    )

    assert world.refused(RemoveNode("m2", force)) == ("FailedPrecondition", text)
    world.members = ("m1", "m3")
    world.ask(RemoveNode("m2", force=True))


def test_a_manager_that_is_being_demoted_may_be_removed() -> None:
    """Its desired role is what counts, though it is a member still."""
    world = managers("m1", "m2")
    world.ask(desire(world, "m3", WORKER))

    world.ask(RemoveNode("m3", force=True))


def test_an_unknown_node_cannot_be_removed() -> None:
    assert World().refused(RemoveNode("w1")) == ("NotFound", "node w1 not found")
    assert World().refused(RemoveNode("")) == ("InvalidArgument", "invalid argument")


def test_the_tasks_of_a_removed_node_are_orphaned() -> None:
    """C-172, O-269 TestOrphanNodeTasks: those below COMPLETE, with a fresh status; all objects remain."""
    tasks = [
        task("service", S.RUNNING, "w1", "web"),
        task("attachment", S.RUNNING, "w1"),
        task("new", S.PENDING, "w1", "web"),
        task("over", S.COMPLETE, "w1", "web"),
        task("elsewhere", S.RUNNING, "w2", "web"),
    ]
    world = World(node("w1"), node("w2"), *tasks)
    world.manager.run(SECOND)

    world.ask(RemoveNode("w1", force=True))

    states = {t.id: t.status.state for t in world.store.tasks.values()}
    assert states == {
        "service": S.ORPHANED,
        "attachment": S.ORPHANED,
        "new": S.ORPHANED,
        "over": S.COMPLETE,
        "elsewhere": S.RUNNING,
    }
    status = world.store.tasks["service"].status
    assert (status.message, status.timestamp) == ("Task belonged to a node that has been deleted", SECOND)


def test_a_removed_nodes_certificate_is_refused_until_a_week_after_its_expiry() -> None:
    """`expireBlacklistedCerts`, looked at whenever the cluster is written; without an expiry it stays."""
    world = World(*(node(f"w{i}", expiry=at) for i, at in ((1, DAY), (2, 90 * DAY), (3, 0), (4, 0))))

    def refused() -> list[str]:
        cluster = world.store.cluster
        assert cluster is not None
        return [id for id, _ in cluster.blacklisted]

    for id in ("w1", "w2", "w3"):
        world.ask(RemoveNode(id, force=True))
    assert refused() == ["w1", "w2", "w3"]
    world.manager.run(8 * DAY + 1)
    world.ask(RemoveNode("w4", force=True))

    assert refused() == ["w2", "w3", "w4"]


def test_a_removed_node_comes_back_under_another_id() -> None:
    """The old one is refused for good; here ids are made of the host's name."""
    world = World(node("w1"))
    world.manager.add_machine(Authority("m1", world.store), "ca")
    ids = []
    for _ in range(2):
        id = world.manager.request("ca", IssueCertificate("w1", "SWMTKN-1-d-w"))
        world.manager.run_for(SECOND)
        ids.append(world.manager.answers[id])
        world.ask(RemoveNode(ids[-1], force=True))

    assert ids == ["w1~2", "w1~3"]


def test_removal_is_one_transaction() -> None:
    world = World(node("w1"), task("t1", S.RUNNING, "w1"))
    commits = len(world.manager.commits)

    world.ask(RemoveNode("w1", force=True))

    assert [type(c.new).__name__ for c in world.manager.commits[commits][1]] == ["Cluster", "Task", "Node"]


def test_a_task_is_shown_and_removed_by_id() -> None:
    """task.go: the object goes directly."""
    world = World(task("t1", S.RUNNING, "w1"))

    assert world.ask(GetTask("t1")).id == "t1"
    world.ask(RemoveTask("t1"))
    assert world.store.tasks == {}
    assert world.refused(RemoveTask("t1")) == ("NotFound", "task t1 not found")


def test_hostnames_are_compared_letter_by_letter() -> None:
    """node.go `ListNodes`: the index is in lower case, the filter looks once more."""
    world = World(node("abc").evolve(description=NodeDescription("Worker-1")))

    assert world.ask(GetNode("Worker-1")).id == "abc"
    assert world.refused(GetNode("worker-1")) == ("NotFound", "node worker-1 not found")


def test_a_host_that_joined_anew_is_another_member() -> None:
    """raft.go `GetMemberByNodeID`: what counts is the node's id, not where it runs."""
    twin = node("m3~2", MANAGER).evolve(description=NodeDescription("m3"))
    old = node("m3", MANAGER, NodeState.DOWN).evolve(description=NodeDescription("m3"))
    world = World(node("m1", MANAGER), node("m2", MANAGER), old, twin)
    world.members = ("m1", "m2", "m3~2")
    world.reachable = {"m1", "m2", "m3~2"}

    missing = ("NotFound", "can't find manager in raft memberlist")
    assert world.refused(desire(world, "m3", WORKER)) == missing
    world.ask(RemoveNode("m3"))  # of no group, and not READY
    assert "m3" not in world.store.nodes
    world.ask(desire(world, "m3~2", WORKER))
