"""Rotation of the root (SwarmKit ca/reconciler.go): the reconciler by itself, and in a whole swarm (S-13)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from swarmsim.api.messages import RemoveNode, UpdateCluster
from swarmsim.api.objects import Certificate, Cluster, Node, NodeDescription, RootCa, RootRotation
from swarmsim.api.specs import ClusterSpec, NodeSpec, RootCertificate
from swarmsim.api.states import IssuanceState, Membership, NodeRole, NodeState
from swarmsim.ca import Authority
from swarmsim.ca.rotation import RootRotations
from swarmsim.cluster import Cluster as Swarm
from swarmsim.cluster import describe
from swarmsim.machine import Handler, Machine, Outbox
from swarmsim.store import MemoryStore
from tests.fake_manager import FakeManager

from .test_joining import ask, run_for

SECOND = 1_000_000
I = IssuanceState  # noqa: E741
OLD, NEW, NEWER = (RootCertificate(name, f"{name}-key") for name in ("old", "new", "newer"))
PLAIN = RootCa(OLD, OLD.key)


def rotating(to: RootCertificate = NEW) -> RootCa:
    return PLAIN.evolve(rotation=RootRotation(to, to.key, replace(to, signed_by=OLD.name)), last_forced_rotation=7)


def node(id: str, status: IssuanceState = I.ISSUED, issuer: str = "old", accepted: bool = True) -> Node:
    membership = Membership.ACCEPTED if accepted else Membership.PENDING
    certificate = Certificate(NodeRole.WORKER, status, issuer=issuer)
    return Node(
        id, NodeSpec(membership=membership), description=NodeDescription(id, tls_issuer=issuer), certificate=certificate
    )


class World:
    """A leader's authority; nobody renews unless a test does it."""

    def __init__(self, root: RootCa, *nodes: Node, start: bool = True) -> None:
        self.manager = FakeManager()
        self.store = self.manager.store
        tokens = {"join_token_worker": "w", "join_token_manager": "m", "ca_digest": "d"}
        self.manager.create(Cluster("c", ClusterSpec(), root=root, **tokens), *nodes)
        if start:
            self.start()

    def start(self) -> None:
        self.manager.add_machine(Authority("m1", self.store), "ca")
        self.manager.run_for(SECOND // 2)

    @property
    def cluster(self) -> Cluster:
        return self.store.clusters["c"]

    def rotate(self, root: RootCa) -> None:
        self.manager.write(self.cluster.evolve(root=root))
        self.manager.run_for(SECOND // 2)

    def states(self) -> dict[str, str]:
        return {n.id: n.certificate.status.name for n in self.store.nodes.values()}

    def report(self, id: str, issuer: str) -> None:
        """The node has renewed its certificate, and its session says so."""
        known = self.store.nodes[id]
        assert known.description is not None
        renewed = known.certificate.evolve(status=I.ISSUED, issuer=issuer)
        self.manager.write(known.evolve(certificate=renewed, description=known.description.evolve(tls_issuer=issuer)))
        self.manager.run_for(0)


MIXED = [
    node("issued"),
    node("failed", I.FAILED),
    node("unknown", I.UNKNOWN),
    node("on-target", issuer="new"),
    node("renew", I.RENEW),
    node("pending", I.PENDING),
    node("stranger", I.PENDING, accepted=False),
    node("rotate", I.ROTATE),
]
AFTER = {
    "issued": "ROTATE",
    "failed": "ROTATE",
    "unknown": "ROTATE",
    "on-target": "ISSUED",
    "stranger": "PENDING",
    "rotate": "ROTATE",
}


@pytest.mark.parametrize("down", [False, True])
def test_nodes_of_another_issuer_are_told_to_rotate(down: bool) -> None:
    """C-131 TestRootRotationReconciliationWithChanges: also if the rotation was stored while no authority ran."""
    world = World(rotating() if down else PLAIN, *MIXED)
    if not down:
        world.rotate(rotating())
    world.manager.run_for(10 * SECOND)

    states = world.states()
    assert {id: states[id] for id in AFTER} == AFTER
    assert (states["renew"], states["pending"]) == ("ROTATE", "ROTATE"), "signed first, then told like the others"


def test_another_target_rotates_those_of_the_former() -> None:
    """C-131: a node of the former target is as wrong as any."""
    world = World(rotating(), node("a", issuer="new"), node("b"))
    world.rotate(rotating(NEWER))
    world.manager.run_for(4 * SECOND)

    assert world.states() == {"a": "ROTATE", "b": "ROTATE"}


def test_when_all_report_the_new_issuer_it_is_the_root() -> None:
    """C-131: the new root and digest are current, both tokens new, the count of the rotation stays."""
    world = World(rotating(), node("a"), node("b"))
    world.report("a", "new")
    world.manager.run_for(4 * SECOND)
    assert world.cluster.root == rotating()

    world.report("b", "new")
    world.manager.run_for(4 * SECOND)

    cluster = world.cluster
    assert cluster.root == RootCa(NEW, NEW.key, None, 7)
    assert cluster.ca_digest != "d"
    assert cluster.join_token_worker.startswith(f"SWMTKN-1-{cluster.ca_digest}-")
    assert cluster.join_token_manager.startswith(f"SWMTKN-1-{cluster.ca_digest}-")
    assert cluster.join_token_manager != cluster.join_token_worker


def test_a_node_that_is_removed_holds_nothing_up() -> None:
    """C-131: mismatching ones are deleted."""
    world = World(rotating(), node("a", issuer="new"), node("gone"))
    world.manager.run_for(60 * SECOND)
    assert world.cluster.root.rotation is not None

    world.manager.delete(node("gone"))
    world.manager.run_for(4 * SECOND)

    assert world.cluster.root.rotation is None


class Reconciler(Machine):
    """The reconciler without the signer, so that what is to be signed stays so."""

    def __init__(self, store: MemoryStore) -> None:
        self.rotations = RootRotations(store)
        self.cluster = store.cluster

    def on_start(self, saved: Any, out: Outbox) -> Handler:
        self.rotations.root_changed(self.cluster, out)
        return None

    def on_timer(self, name: Any, out: Outbox) -> Handler:
        self.rotations.tick(out)
        return None


@pytest.mark.parametrize(
    ("status", "told"),
    [(I.ROTATE, False), (I.RENEW, False), (I.PENDING, False), (I.ISSUED, True), (I.FAILED, True), (I.UNKNOWN, True)],
)
def test_who_is_on_the_way_is_not_told_again(status: IssuanceState, told: bool) -> None:
    """C-133 TestRootRotationReconciliationNoChanges: nothing is written for those, however long it lasts."""
    world = World(rotating(), node("on-target", issuer="new"), node("other", status), start=False)
    commits = len(world.manager.commits)

    world.manager.add_machine(Reconciler(world.store))
    world.manager.run_for(60 * SECOND)

    assert len(world.manager.commits) - commits == told
    assert world.states()["other"] == ("ROTATE" if told else status.name)


def test_an_aborted_rotation_leaves_those_that_were_told() -> None:
    """C-133: nodes already in ROTATE stay so; nothing more is written."""
    world = World(rotating(), *[node(f"n{i}") for i in range(3)])
    assert set(world.states().values()) == {"ROTATE"}

    world.rotate(PLAIN)
    commits = len(world.manager.commits)
    world.manager.run_for(60 * SECOND)

    assert set(world.states().values()) == {"ROTATE"}
    assert len(world.manager.commits) == commits
    assert world.cluster.root == PLAIN


def test_a_change_of_the_key_alone_begins_nothing() -> None:
    """C-134, its part without external CAs: the issuer is what counts; signed is by the next root from the start."""
    world = World(rotating(), node("a"), node("fresh", I.RENEW))
    assert world.store.nodes["fresh"].certificate.issuer == "new"
    told = len(world.manager.commits)

    rotation = world.cluster.root.rotation
    assert rotation is not None
    world.rotate(world.cluster.root.evolve(rotation=rotation.evolve(ca_key="")))

    assert len(world.manager.commits) == told + 1, "the test's own"


def test_thirty_nodes_are_told_every_three_seconds() -> None:
    """2.9 Reconciler: `IssuanceStateRotateMaxBatchSize`."""
    world = World(rotating(), *[node(f"n{i}") for i in range(70)], start=False)
    world.manager.run(0)
    world.start()

    told = []
    for _ in range(4):
        told.append(list(world.states().values()).count("ROTATE"))
        world.manager.run_for(3 * SECOND)

    assert told == [30, 60, 70, 70]


# -- a whole swarm --
def rotate(swarm: Swarm, count: int) -> None:
    cluster = swarm.store().cluster
    assert cluster is not None
    ask(swarm, UpdateCluster(cluster.version, replace(cluster.spec, force_rotate=count)))


def root(swarm: Swarm) -> RootCa:
    cluster = swarm.store().cluster
    assert cluster is not None
    return cluster.root


def issuers(swarm: Swarm) -> set[str]:
    return {n.description.tls_issuer for n in swarm.store().nodes.values() if n.description is not None}


def test_all_nodes_of_a_swarm_get_a_certificate_of_the_new_root() -> None:
    """S-13, C-133: one round of three seconds and the issuances; no node is lost meanwhile, and no task."""
    swarm = Swarm(describe(3, 3))
    first, token = root(swarm), swarm.store().cluster
    rotate(swarm, 1)
    run_for(swarm, 1)
    target = root(swarm).signer
    assert root(swarm).rotation is not None

    run_for(swarm, 9)

    assert root(swarm) == RootCa(target, target.key, None, 1)
    assert target != first.ca_cert
    assert issuers(swarm) == {target.name}
    assert {n.status.state for n in swarm.store().nodes.values()} == {NodeState.READY}
    assert token is not None
    assert swarm.store().cluster.join_token_worker != token.join_token_worker  # type: ignore[union-attr]
    assert swarm.leader() == "m1"


def test_a_node_that_is_down_holds_the_rotation_up() -> None:
    """2.9: it finishes only when the node comes back, or is removed."""
    swarm = Swarm(describe(3, 2))
    swarm.hosts["w2"].crash("power", 0)
    run_for(swarm, 30)
    rotate(swarm, 1)
    run_for(swarm, 120)
    assert root(swarm).rotation is not None
    assert swarm.store().nodes["w2"].certificate.status is I.ROTATE

    ask(swarm, RemoveNode("w2", force=True))
    run_for(swarm, 10)

    assert root(swarm).rotation is None


def test_a_node_that_returns_lets_the_rotation_finish() -> None:
    """2.9, S-13."""
    swarm = Swarm(describe(3, 2))
    swarm.hosts["w2"].crash("power", 0)
    run_for(swarm, 30)
    rotate(swarm, 1)
    run_for(swarm, 60)

    swarm.hosts["w2"].start(0)
    run_for(swarm, 60)

    assert root(swarm).rotation is None
    assert len(issuers(swarm)) == 1


def test_a_new_leader_goes_on_with_the_rotation() -> None:
    """2.9: the store has all that it needs."""
    swarm = Swarm(describe(3, 2))
    rotate(swarm, 1)
    swarm.hosts["m1"].crash("process", 0)
    run_for(swarm, 60)
    assert root(swarm).rotation is not None, "m1 has not come back"

    swarm.hosts["m1"].start(0)
    run_for(swarm, 60)

    assert root(swarm).rotation is None
    assert len(issuers(swarm)) == 1


def test_of_three_rotations_the_last_wins() -> None:
    """C-205 TestRepeatedRootRotation, C-133 `…Race`: a second apart."""
    swarm = Swarm(describe(3, 3))
    for count in (1, 2, 3):
        rotate(swarm, count)
        run_for(swarm, 1)
    target = root(swarm).signer

    run_for(swarm, 60)

    assert root(swarm) == RootCa(target, target.key, None, 3)
    assert issuers(swarm) == {target.name}
