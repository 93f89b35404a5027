"""The leader's certificate authority by itself (SwarmKit ca/server.go)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from swarmsim.api.messages import (
    CertificateStatus,
    GetRootCaCertificate,
    GetUnlockKey,
    IssueCertificate,
    RenewCertificate,
    RootCaAnswer,
    UnlockKey,
)
from swarmsim.api.objects import FIRST_ROOT, Certificate, Cluster, Node, RootCa, RootRotation
from swarmsim.api.specs import ClusterSpec, ExternalCa, NodeSpec, RootCertificate
from swarmsim.api.states import Availability, IssuanceState, Membership, NodeRole
from swarmsim.ca import Authority
from swarmsim.errors import ApiError
from swarmsim.machine import RecordingOutbox
from swarmsim.manager.manager import new_cluster
from tests.fake_manager import FakeManager

SECOND = 1_000_000
HOUR = 3_600 * SECOND
DAY = 24 * HOUR
MANAGER, WORKER = NodeRole.MANAGER, NodeRole.WORKER
I = IssuanceState  # noqa: E741
BAD_TOKEN = ("InvalidArgument", "A valid join token is necessary to join this cluster")


def node(id: str, status: IssuanceState = I.ISSUED, role: NodeRole = WORKER, **spec: Any) -> Node:
    return Node(id, NodeSpec(desired_role=role, **spec), role, certificate=Certificate(role, status))


class World:
    def __init__(self, *nodes: Node, **spec: Any) -> None:
        self.manager = FakeManager(commit_latency=1_000)
        self.store = self.manager.store
        cluster = Cluster("c", ClusterSpec(**spec), join_token_worker="worker", join_token_manager="manager")
        self.manager.create(cluster, *nodes)
        self.manager.add_machine(Authority("m1", self.store), "ca")

    def ask(self, request: Any) -> Any:
        """The answer, None while there is none; an error is its code and text."""
        id = self.manager.request("ca", request)
        self.manager.run_for(SECOND)
        answer = self.manager.answers.get(id)
        return (answer.code, answer.text) if isinstance(answer, ApiError) else answer

    def issued(self, id: str) -> Certificate:
        return self.store.nodes[id].certificate

    def change(self, **fields: Any) -> None:
        self.manager.write(self.store.clusters["c"].evolve(**fields))


@pytest.mark.parametrize(("token", "role"), [("worker", WORKER), ("manager", MANAGER)])
def test_the_token_says_the_role_and_an_issuance_costs_two_proposals(token: str, role: NodeRole) -> None:
    """C-115 TestIssueNodeCertificate."""
    world = World()
    before = len(world.manager.commits)

    id = world.ask(IssueCertificate("w1", token, Availability.DRAIN))

    made = world.store.nodes[id]
    assert (made.role, made.spec.desired_role, made.spec.membership) == (role, role, Membership.ACCEPTED)
    assert made.spec.availability is Availability.DRAIN
    states = [changes[0].new.certificate.status for _, changes in world.manager.commits[before:]]
    assert states == [I.PENDING, I.ISSUED]
    assert world.ask(CertificateStatus(id)).role is role


def test_a_newcomer_needs_a_token() -> None:
    """C-116 TestNewNodeCertificateRequiresToken: rotated ones serve, old ones do not."""
    world = World()
    assert world.ask(IssueCertificate("w1", "")) == BAD_TOKEN
    assert world.ask(IssueCertificate("w1", "wrong")) == BAD_TOKEN

    world.change(join_token_worker="new worker", join_token_manager="new manager")

    assert world.ask(IssueCertificate("w1", "worker")) == BAD_TOKEN
    assert world.ask(IssueCertificate("w1", "manager")) == BAD_TOKEN
    assert world.ask(IssueCertificate("w1", "new worker")) == "w1"
    assert world.ask(IssueCertificate("m2", "new manager")) == "m2"


def test_a_renewal_gets_the_role_that_the_store_says() -> None:
    """Not the desired one: promotion and demotion wait for the role manager."""
    world = World(node("w1"))
    promoted = world.store.nodes["w1"].evolve(spec=NodeSpec(desired_role=MANAGER))
    world.manager.write(promoted)

    world.ask(RenewCertificate("w1"))
    assert (world.issued("w1").role, world.issued("w1").status) == (WORKER, I.ISSUED)

    world.manager.write(world.store.nodes["w1"].evolve(role=MANAGER))
    world.ask(RenewCertificate("w1"))
    assert world.issued("w1").role is MANAGER


def test_a_node_that_is_not_there_renews_nothing() -> None:
    """C-125 TestRenewTLSConfigWithNoNode."""
    assert World().ask(RenewCertificate("w1")) == ("NotFound", "node w1 not found when attempting to renew certificate")


def test_a_removed_nodes_certificate_is_none() -> None:
    """server.go: without a token its holder is a stranger."""
    world = World(node("w1"))
    world.change(blacklisted=(("w1", 0),))

    assert world.ask(RenewCertificate("w1")) == BAD_TOKEN


def test_what_an_earlier_leader_left_is_signed_at_the_start() -> None:
    """PENDING and RENEW; the others are left alone, as is a newcomer that nobody has accepted (C-131)."""
    stranger = node("stranger", I.PENDING, membership=Membership.PENDING)
    others = [node(s.name, s) for s in (I.UNKNOWN, I.ISSUED, I.FAILED, I.ROTATE)]
    world = World(node("a", I.PENDING), node("b", I.RENEW), stranger, *others)

    world.manager.run(SECOND)

    assert (world.issued("a").status, world.issued("b").status) == (I.ISSUED, I.ISSUED)
    assert world.issued("stranger").status is I.PENDING
    assert [world.issued(n.id).status.name for n in others] == [n.id for n in others]
    world.manager.write(world.store.nodes["stranger"].evolve(spec=NodeSpec()))
    world.manager.run(2 * SECOND)
    assert world.issued("stranger").status is I.ISSUED


@pytest.mark.parametrize("status", list(I))
def test_a_request_for_the_status_waits_for_a_final_one(status: IssuanceState) -> None:
    """server.go `NodeCertificateStatus`: ISSUED, FAILED or ROTATE."""
    world = World(node("w1", status, membership=Membership.PENDING))
    final = status in (I.ISSUED, I.FAILED, I.ROTATE, I.RENEW)  # a renewal is signed meanwhile

    assert (world.ask(CertificateStatus("w1")) is not None) is final


def test_a_status_that_was_waited_for_comes_when_it_is_written() -> None:
    world = World(node("w1", I.UNKNOWN))
    id = world.manager.request("ca", CertificateStatus("w1"))
    world.manager.run(SECOND)
    assert id not in world.manager.answers

    known = world.store.nodes["w1"]
    world.manager.write(known.evolve(certificate=Certificate(WORKER, I.FAILED, "no")))

    assert world.manager.answers[id].err == "no"


@pytest.mark.parametrize(("wanted", "given"), [(HOUR, HOUR), (2 * DAY, 2 * DAY), (HOUR - 1, 90 * DAY), (0, 90 * DAY)])
def test_a_certificate_lives_for_an_hour_at_least(wanted: int, given: int) -> None:
    """C-136 TestNewRootCANonDefaultExpiry: what is shorter counts as not given."""
    world = World(node_cert_expiry=wanted)

    world.ask(IssueCertificate("w1", "worker"))

    assert world.issued("w1").not_after - given in range(SECOND)


def test_managers_are_given_the_unlock_key() -> None:
    """C-122 TestGetUnlockKey: none while autolock is off; the version is the cluster object's."""
    world = World(node("m1", role=MANAGER), node("w1"), node("m2", role=MANAGER))
    cluster = world.store.clusters["c"]
    assert world.ask(GetUnlockKey("m1")) == UnlockKey("", cluster.version)

    world.change(unlock_key="secret", blacklisted=(("m2", 0),))
    changed = world.store.clusters["c"]

    assert world.ask(GetUnlockKey("m1")) == UnlockKey("secret", changed.version)
    assert changed.version > cluster.version
    not_a_manager = "Permission denied: remote certificate not part of OUs: [swarm-manager]"
    assert world.ask(GetUnlockKey("w1")) == ("PermissionDenied", not_a_manager)
    assert world.ask(GetUnlockKey("m2")) == ("PermissionDenied", "Permission denied: node m2 was removed from swarm")


def test_a_locked_cluster_has_a_key_from_the_start() -> None:
    """manager.go `becomeLeader`: `--autolock` at `swarm init`."""
    keys = [new_cluster(ClusterSpec(autolock=lock), RecordingOutbox()).unlock_key for lock in (False, True)]

    assert keys[0] == ""
    assert keys[1]


def test_the_status_of_a_node_that_is_not_there() -> None:
    """server.go `NodeCertificateStatus`."""
    assert World().ask(CertificateStatus("w1")) == ("NotFound", "NotFound")


def test_who_has_neither_token_nor_a_certificate_of_this_swarm_gets_none() -> None:
    """C-118 TestIssueNodeCertificateWorkerFromDifferentOrgRenewal: a foreign certificate counts for nothing.

    Certificates are not shown here; a foreign one would be that of a node which this swarm does not know.
    """
    world = World(node("w1"))

    assert world.ask(IssueCertificate("stranger", "")) == BAD_TOKEN
    code, text = world.ask(RenewCertificate("stranger"))

    assert code == "NotFound"
    assert text == "node stranger not found when attempting to renew certificate"
    assert list(world.store.nodes) == ["w1"]


def test_anybody_may_ask_for_the_root() -> None:
    """S-02 GetRootCACertificate: the one in force, with the digest that tokens have."""
    world = World()
    world.change(ca_digest="d")

    assert world.ask(GetRootCaCertificate()) == RootCaAnswer("root", "d")


# -- who signs --
THEIRS = ExternalCa("https://ca.example")


class External:
    """External CAs, of which those in `answering` answer; `asked` is who was asked, for which root."""

    def __init__(self, *answering: ExternalCa) -> None:
        self.answering = answering
        self.asked: list[tuple[str, str]] = []

    def __call__(self, external: ExternalCa, root: RootCertificate) -> bool:
        self.asked.append((external.url, root.name))
        return external in self.answering


def signing(external: External, root: RootCa, *cas: ExternalCa) -> World:
    world = World(node("old"), external_cas=cas)
    world.manager.stop("ca")
    world.change(root=root)
    world.manager.add_machine(Authority("m1", world.store, external), "ca")
    return world


def test_what_cannot_be_signed_now_is_signed_later() -> None:
    """C-121 TestIssueNodeCertificateBrokenCA: an external CA that fails is tried again every ten seconds."""
    external = External()
    world = signing(external, FIRST_ROOT.evolve(ca_key=""), THEIRS)
    world.ask(IssueCertificate("w1", "worker"))
    world.manager.run_for(25 * SECOND)
    assert world.issued("w1").status is I.PENDING
    assert len(external.asked) == 3

    external.answering = (THEIRS,)
    world.manager.run_for(10 * SECOND)

    assert (world.issued("w1").status, world.issued("w1").issuer) == (I.ISSUED, "root")


def test_an_external_authority_signs_where_there_is_one() -> None:
    """C-134 TestCAServerUpdateRootCA: also where the swarm has a key of its own."""
    for key in ("", FIRST_ROOT.ca_key):
        external = External(THEIRS)
        world = signing(external, FIRST_ROOT.evolve(ca_key=key), THEIRS)

        world.ask(IssueCertificate("w1", "worker"))

        assert world.issued("w1").status is I.ISSUED
        assert external.asked == [("https://ca.example", "root")]


def test_during_a_rotation_the_next_root_decides_who_signs() -> None:
    """C-134: external CAs of the old root are ignored; without a key only one for the new root serves."""
    new = RootCertificate("new", "new-key")
    for_new = ExternalCa("https://new.example", new)

    def rotating(key: str) -> RootCa:
        return FIRST_ROOT.evolve(rotation=RootRotation(new, key, replace(new, signed_by="root")))

    external = External(THEIRS)
    world = signing(external, rotating("new-key"), THEIRS)
    world.ask(IssueCertificate("w1", "worker"))
    assert (world.issued("w1").issuer, world.issued("w1").vouched_by) == ("new", "root")
    assert external.asked == []

    external = External(THEIRS, for_new)
    world = signing(external, rotating(""), THEIRS, for_new)
    world.ask(IssueCertificate("w1", "worker"))
    assert world.issued("w1").issuer == "new"
    assert external.asked == [("https://new.example", "new")]

    world = signing(External(THEIRS), rotating(""), THEIRS)
    world.ask(IssueCertificate("w1", "worker"))
    assert world.issued("w1").status is I.PENDING
