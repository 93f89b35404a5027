"""How a swarm comes about and changes: init, join, promotion, demotion (reference: SwarmKit node/, ca/, manager/)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from swarmsim.api.messages import CreateService, GetNode, RemoveNode, UpdateNode
from swarmsim.api.objects import Node, Task
from swarmsim.api.specs import ContainerSpec, Replicated, ServiceSpec, TaskSpec
from swarmsim.api.states import NodeRole, NodeState, TaskState
from swarmsim.cluster import Cluster, describe
from swarmsim.errors import ApiError
from swarmsim.node import Join
from swarmsim.raft import ConfChange, ConfChangeType
from swarmsim.store import MemoryStore
from swarmsim.trace.events import BecameLeader, MembershipChanged

SECOND = 1_000_000


def ask(cluster: Cluster, request: Any, via: str | None = None) -> Any:
    """One request of an operator, and its answer."""
    answer: list[Any] = []

    def client() -> Any:
        try:
            answer.append((yield from cluster.ask(via, request)))
        except ApiError as error:
            answer.append(error)

    cluster.env.run(until=cluster.env.process(client()))
    if isinstance(answer[0], ApiError):
        raise answer[0]
    return answer[0]


def desire(cluster: Cluster, name: str, role: NodeRole) -> None:
    """`docker node promote` and `demote`."""
    node = ask(cluster, GetNode(name))
    ask(cluster, UpdateNode(node.id, node.version, replace(node.spec, desired_role=role)))


def members(cluster: Cluster, name: str) -> tuple[str, ...]:
    """The Raft group as that manager knows it."""
    raft = cluster.nodes[name].raft
    assert raft is not None
    return tuple(sorted(raft.members()))


def run_for(cluster: Cluster, seconds: float) -> None:
    cluster.run(cluster.env.now + int(seconds * SECOND))


def plain(store: MemoryStore) -> dict[str, Any]:
    """What a store says, without ids, versions, times and secrets, which differ from swarm to swarm."""
    names = {network.id: network.name for network in store.networks.values()}
    nodes = [
        (
            *(n.id, n.spec, n.role, n.status, n.description, n.certificate.evolve(serial=0, not_after=0)),
            *((names[a.network_id], a.addresses) for a in n.attachments),
        )
        for n in store.nodes.values()
    ]
    networks = [(n.spec, n.subnet, n.gateway, n.vni, n.predefined) for n in store.networks.values()]
    cluster = store.cluster
    assert cluster is not None
    keys = [key.subsystem for key in cluster.network_keys]
    return {"nodes": nodes, "networks": networks, "cluster": cluster.spec, "keys": keys}


# ---- handed over, and joined ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("managers", "workers"), [(1, 2), (3, 2)])
def test_a_cluster_that_is_handed_over_is_one_that_joined_node_by_node(managers: int, workers: int) -> None:
    """SCENARIOS.md section 3, "Origin"; sequences S-01 to S-03."""
    joined = Cluster.joined(describe(managers, workers))
    formed = Cluster(describe(managers, workers))

    run_for(joined, 2)
    run_for(formed, 2)

    assert joined.managers == formed.managers
    for name in formed.managers:
        assert plain(joined.store(name)) == plain(formed.store(name))
        assert members(joined, name) == members(formed, name)
    assert joined.leader() == formed.leader() == "m1"


def test_a_cluster_that_joined_runs_services_as_one_that_was_handed_over() -> None:
    swarm = Cluster.joined(describe(3, 2))
    spec = ServiceSpec("web", TaskSpec(ContainerSpec("nginx")), Replicated(5))

    ask(swarm, CreateService(spec), via="m3")
    run_for(swarm, 5)

    assert len(swarm.containers("web")) == 5
    assert [len(swarm.engines[name].running()) for name in swarm.names] == [1] * 5


def test_every_new_manager_gets_the_whole_store() -> None:
    """C-011, TestRaftNewNodeGetsData."""
    swarm = Cluster.joined(describe(3, 0))

    run_for(swarm, 2)

    stores = [plain(swarm.store(name)) for name in swarm.managers]

    assert stores[0] == stores[1] == stores[2]
    assert len({swarm.store(name).index for name in swarm.managers}) == 1


def test_a_wrong_token_is_refused_and_tried_five_times() -> None:
    """C-116, TestNewNodeCertificateRequiresToken; S-02: the error shows after about ten seconds."""
    swarm = Cluster(describe(1, 0))
    swarm.add_host("w9")

    swarm_object = swarm.store().cluster
    assert swarm_object is not None

    swarm.nodes["w9"].join(Join(f"SWMTKN-1-{swarm_object.ca_digest}-{'x' * 25}", "m1"), 0)
    run_for(swarm, 9.5)
    early = swarm.nodes["w9"].join_error
    run_for(swarm, 2)

    assert early is None
    assert swarm.nodes["w9"].join_error is not None
    assert swarm.nodes["w9"].join_error.text == "A valid join token is necessary to join this cluster"
    assert "w9" not in swarm.store().nodes


def test_a_new_worker_of_a_handed_over_cluster_is_ready_and_gets_tasks() -> None:
    """S-02, and O-…: a global service follows."""
    swarm = Cluster(describe(1, 1))
    swarm.add_host("w9")

    swarm.join("w9")
    swarm.await_ready("w9")
    ask(swarm, CreateService(ServiceSpec("web", TaskSpec(ContainerSpec("nginx")), Replicated(3))))
    run_for(swarm, 5)

    assert [len(swarm.engines[name].running()) for name in ("m1", "w1", "w9")] == [1, 1, 1]
    assert swarm.workers == ["w1", "w9"]


# ---- promotion and demotion ------------------------------------------------------------------------------------


def test_a_promoted_worker_gets_a_managers_certificate_and_joins_the_group() -> None:
    """S-04; C-052: the role is written at once, the group grows when the node itself joins."""
    swarm = Cluster(describe(3, 1))

    desire(swarm, "w1", NodeRole.MANAGER)
    run_for(swarm, 0.2)
    role_first = swarm.store().nodes["w1"].role
    run_for(swarm, 10)

    assert role_first is NodeRole.MANAGER
    assert swarm.managers == ["m1", "m2", "m3", "w1"]
    assert members(swarm, "m1") == ("m1", "m2", "m3", "w1")
    assert plain(swarm.store("w1")) == plain(swarm.store("m1"))
    assert swarm.store().nodes["w1"].certificate.role is NodeRole.MANAGER


def test_a_demoted_manager_leaves_the_group_then_becomes_a_worker() -> None:
    """S-05; C-052."""
    swarm = Cluster(describe(3, 1))

    desire(swarm, "m3", NodeRole.WORKER)
    run_for(swarm, 1)
    group = members(swarm, "m1")
    run_for(swarm, 60)

    assert group == ("m1", "m2")
    node: Node = swarm.store().nodes["m3"]
    assert (node.role, node.certificate.role, node.status.state) == (NodeRole.WORKER, NodeRole.WORKER, NodeState.READY)
    assert swarm.managers == ["m1", "m2"]
    assert "raft" not in swarm.hosts["m3"].drivers


def test_a_demoted_leader_hands_over_and_its_successor_removes_it() -> None:
    """S-06: no election timeout passes."""
    swarm = Cluster(describe(3, 0))

    desire(swarm, "m1", NodeRole.WORKER)
    run_for(swarm, 3)
    led = [(r.event.node, r.at) for r in swarm.trace.of(BecameLeader) if r.at]
    run_for(swarm, 60)

    assert len(led) == 1
    assert led[0][1] < 1 * SECOND
    assert swarm.managers == ["m2", "m3"]
    assert swarm.leader() == led[0][0]
    assert swarm.store().nodes["m1"].role is NodeRole.WORKER


def test_a_demoted_manager_keeps_its_tasks() -> None:
    """S-05 step 5."""
    swarm = Cluster(describe(3, 0))
    ask(swarm, CreateService(ServiceSpec("web", TaskSpec(ContainerSpec("nginx")), Replicated(3))))
    run_for(swarm, 5)
    before = [t.id for t in swarm.store().tasks.values() if t.node_id == "m3"]

    desire(swarm, "m3", NodeRole.WORKER)
    run_for(swarm, 60)

    after = [t for t in swarm.store().tasks.values() if t.node_id == "m3"]
    assert [t.id for t in after] == before
    assert all(t.status.state is TaskState.RUNNING for t in after)


def test_a_demotion_that_would_lose_the_quorum_is_refused() -> None:
    """S-20: three managers of which one is down; a healthy one may not go, the one that is down may."""
    swarm = Cluster(describe(3, 0))
    swarm.hosts["m3"].crash("process", 0)
    run_for(swarm, 5)

    with pytest.raises(ApiError, match="this would result in a loss of quorum"):
        desire(swarm, "m2", NodeRole.WORKER)
    desire(swarm, "m3", NodeRole.WORKER)
    run_for(swarm, 10)

    assert members(swarm, "m1") == ("m1", "m2")


def test_a_promoted_node_that_was_demoted_before_is_a_new_member() -> None:
    """2.1, Identity: a removed Raft id never returns."""
    swarm = Cluster(describe(3, 1))
    old = swarm.nodes["m3"].identity
    desire(swarm, "m3", NodeRole.WORKER)
    run_for(swarm, 60)

    desire(swarm, "m3", NodeRole.MANAGER)
    run_for(swarm, 20)

    new = swarm.nodes["m3"].identity
    assert old is not None
    assert new is not None
    assert swarm.managers == ["m1", "m2", "m3"]
    assert new.raft_id not in (0, old.raft_id)
    assert members(swarm, "m1") == ("m1", "m2", "m3")


def test_a_member_whose_node_object_is_removed_by_force_leaves_the_group() -> None:
    """2.5: a deletion's event removes the Raft member; managers must be demoted before `node rm`."""
    swarm = Cluster(describe(3, 0))

    with pytest.raises(ApiError, match="must be demoted to worker before removal"):
        ask(swarm, RemoveNode("m3", force=True))
    desire(swarm, "m3", NodeRole.WORKER)
    ask(swarm, RemoveNode("m3", force=True))
    run_for(swarm, 10)

    assert members(swarm, "m1") == ("m1", "m2")


def test_a_member_that_was_removed_but_stays_a_manager_joins_anew_after_twice_16_s() -> None:
    """2.1, Manager supervisor: it waits 16 s for the worker's certificate, asks for it, and waits 16 s more."""
    swarm = Cluster(describe(3, 0))
    swarm.run(SECOND)
    old = swarm.nodes["m3"].identity
    assert old is not None
    raft = swarm.nodes["m1"].raft
    assert raft is not None
    raft.propose_change(ConfChange(ConfChangeType.REMOVE_NODE, old.raft_id), swarm.hosts["m1"].drivers["raft"].out)

    run_for(swarm, 31)
    while_it_waits = members(swarm, "m1")
    run_for(swarm, 9)

    new = swarm.nodes["m3"].identity
    assert while_it_waits == ("m1", "m2")
    assert members(swarm, "m1") == ("m1", "m2", "m3")
    assert new is not None
    assert new.raft_id not in (0, old.raft_id)


def test_a_single_manager_that_restarts_leads_again_at_once() -> None:
    """2.1, Start: alone in the member list, it campaigns without an election timeout."""
    swarm = Cluster(describe(1, 1))
    swarm.run(SECOND)
    swarm.hosts["m1"].crash("process", 0)
    swarm.run(3 * SECOND)

    swarm.hosts["m1"].start(0)
    run_for(swarm, 1)

    assert swarm.leader() == "m1"


def test_membership_changes_are_told_by_every_member() -> None:
    swarm = Cluster(describe(3, 1))

    desire(swarm, "w1", NodeRole.MANAGER)
    run_for(swarm, 10)

    told = [r.event.node for r in swarm.trace.of(MembershipChanged) if len(r.event.members) == 4]
    assert sorted(told) == ["m1", "m2", "m3", "w1"]


def test_a_task_object_is_shared_by_all_stores() -> None:
    """DESIGN.md section 7: immutable objects shared by all managers' stores."""
    swarm = Cluster(describe(3, 0))
    ask(swarm, CreateService(ServiceSpec("web", TaskSpec(ContainerSpec("nginx")), Replicated(1))))
    run_for(swarm, 5)

    tasks: list[Task] = [next(iter(swarm.store(name).tasks.values())) for name in swarm.managers]
    assert tasks[0] is tasks[1] is tasks[2]
