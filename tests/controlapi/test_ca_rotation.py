"""Which root of trust a cluster is asked to have (SwarmKit manager/controlapi/ca_rotation.go)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from swarmsim.api.messages import ListObjects, UpdateCluster
from swarmsim.api.objects import FIRST_ROOT, Cluster, RootCa, RootRotation
from swarmsim.api.specs import YEAR, ClusterSpec, ExternalCa, RootCertificate
from swarmsim.errors import ApiError
from swarmsim.manager.controlapi.ca_rotation import CaConfig

from .world import World

NOW = YEAR
OURS = FIRST_ROOT.ca_cert
INTERNAL = RootCa(OURS, OURS.key)
EXTERNAL = RootCa(OURS, "")
OTHER = RootCertificate("other", "other-key")
NEXT = RootCertificate("next", "next-key")
GENERATED = RootCertificate("generated", "generated-key")
THEIRS = ExternalCa("https://ca.example/ours")
FOR_OTHER = ExternalCa("https://ca.example/other", OTHER)
FOR_NEXT = ExternalCa("https://ca.example/next", NEXT)
DEAD = ExternalCa("https://dead.example")


def rotating(to: RootCertificate = NEXT, key: str = "next-key", root: RootCa = INTERNAL) -> RootCa:
    return root.evolve(rotation=RootRotation(to, key, replace(to, signed_by=OURS.name)))


def wanted(root: RootCa, *external: ExternalCa, **spec: Any) -> RootCa:
    """What a cluster with this root becomes by such a spec; all external CAs but `DEAD` answer."""
    if "cert" in spec:
        spec["signing_ca_cert"] = spec.pop("cert")
    if "key" in spec:
        spec["signing_ca_key"] = spec.pop("key")
    asked = ClusterSpec(external_cas=external, **spec)
    return CaConfig(Cluster("c", asked, root=root), asked, GENERATED, lambda e, _: e is not DEAD, NOW).wanted_root()


def refusal(root: RootCa, *external: ExternalCa, **spec: Any) -> str:
    with pytest.raises(ApiError) as refused:
        wanted(root, *external, **spec)
    assert refused.value.code == "InvalidArgument"
    return refused.value.text


def missing(which: str) -> str:
    return f"there must be at least one valid, reachable external CA corresponding to the {which} CA certificate"


# -- invalid --
def test_a_key_comes_with_its_certificate() -> None:
    """C-178 TestValidateCAConfigInvalidValues."""
    text = "if a signing CA key is provided, the signing CA cert must also be provided"
    assert refusal(INTERNAL, key="k") == refusal(EXTERNAL, THEIRS, key="k") == text


def test_a_root_without_its_key_needs_an_external_signer() -> None:
    """C-178: that answers, for the root of now, whatever is wanted of the next."""
    for external in ((), (DEAD,), (FOR_OTHER,), (replace(THEIRS, protocol="other"),)):
        assert refusal(EXTERNAL, *external) == missing("current")
    assert refusal(EXTERNAL, FOR_OTHER, cert=OTHER, key="other-key") == missing("current")
    assert wanted(EXTERNAL, THEIRS) == wanted(EXTERNAL, DEAD, THEIRS) == EXTERNAL


def test_a_wanted_root_without_key_needs_one_too() -> None:
    """C-178: "desired"."""
    assert refusal(INTERNAL, cert=OTHER) == missing("desired")
    assert refusal(INTERNAL, THEIRS, FOR_NEXT, cert=OTHER) == missing("desired")
    assert wanted(INTERNAL, FOR_OTHER, cert=OTHER).rotation == RootRotation(OTHER, "", replace(OTHER, signed_by="root"))


def test_a_rotation_that_is_under_way_needs_its_signer_to_stay() -> None:
    """C-178: "next"."""
    under_way = rotating(key="")

    assert refusal(under_way) == refusal(under_way, FOR_OTHER) == missing("next")
    assert wanted(under_way, FOR_NEXT) == under_way


def test_from_one_external_root_to_another_there_is_no_way() -> None:
    """C-178: nobody here could cross-sign."""
    text = "rotating from one external CA to a different external CA is not supported"
    assert refusal(EXTERNAL, THEIRS, FOR_OTHER, cert=OTHER) == text
    assert wanted(EXTERNAL, THEIRS, cert=OTHER, key="other-key").signer == OTHER


@pytest.mark.parametrize(
    ("certificate", "key", "text"),
    [
        (replace(OTHER, count=2), "other-key", "the desired CA certificate cannot contain multiple certificates"),
        (replace(OTHER, not_after=NOW + YEAR - 1), "other-key", "CA certificate expires too soon"),
        (OTHER, "another-key", "certificate key mismatch"),
        (replace(OTHER, not_after=NOW - 1), "other-key", "x509: certificate has expired or is not yet valid"),
        (replace(OTHER, not_before=NOW + 1), "other-key", "x509: certificate has expired or is not yet valid"),
        (replace(OTHER, key=OURS.key), OURS.key, "Cannot update to a cert with an identical key"),
    ],
)
def test_a_certificate_that_cannot_be_a_root(certificate: RootCertificate, key: str, text: str) -> None:
    """C-178 TestValidateCAConfigInvalidValues."""
    assert refusal(INTERNAL, cert=certificate, key=key) == text


def test_a_wrong_key_for_the_present_root_is_told_before_its_signers_are_asked() -> None:
    """C-178: ca_rotation.go looks at the pair first."""
    assert refusal(EXTERNAL, cert=OURS, key="other-key") == "certificate key mismatch"


# -- valid --
def test_nothing_said_changes_nothing() -> None:
    """C-178 TestValidateCAConfigValidValues."""
    assert wanted(INTERNAL) == INTERNAL
    assert wanted(rotating()) == rotating()


def test_the_present_root_is_no_rotation_and_ends_one() -> None:
    """C-178: also where it gets its key, or loses it to an external CA."""
    assert wanted(INTERNAL, cert=OURS, key=OURS.key) == INTERNAL
    assert wanted(rotating(), cert=OURS, key=OURS.key) == INTERNAL
    assert wanted(INTERNAL, THEIRS, cert=OURS) == EXTERNAL
    assert wanted(EXTERNAL, cert=OURS, key=OURS.key) == INTERNAL
    assert wanted(rotating(root=EXTERNAL), cert=OURS, key=OURS.key) == INTERNAL


def test_the_root_of_the_running_rotation_keeps_it() -> None:
    """C-178: with the key that is given now, or none."""
    assert wanted(rotating(), cert=NEXT, key=NEXT.key) == rotating()
    assert wanted(rotating(), FOR_NEXT, cert=NEXT) == rotating(key="")
    assert wanted(rotating(key=""), cert=NEXT, key=NEXT.key) == rotating()


def test_any_other_root_begins_a_rotation_or_replaces_the_running_one() -> None:
    """C-178: cross-signed by the root of now, never by the abandoned one."""
    for root in (INTERNAL, rotating()):
        found = wanted(root, cert=OTHER, key=OTHER.key, force_rotate=3)
        assert (found.ca_cert, found.ca_key) == (OURS, OURS.key)
        assert found.rotation == RootRotation(OTHER, OTHER.key, replace(OTHER, signed_by=OURS.name))
        assert found.last_forced_rotation == 3


def test_another_count_of_force_rotate_asks_for_any_new_root() -> None:
    """C-178: and replaces a running rotation; the same count does nothing."""
    for root in (INTERNAL, rotating()):
        found = wanted(root, force_rotate=1)
        assert found.signer == GENERATED
        assert wanted(found, force_rotate=1) == found
    assert wanted(EXTERNAL, THEIRS, force_rotate=1).signer == GENERATED


# -- over the API --
def test_a_rotation_is_written_and_its_keys_stay_here() -> None:
    """C-176 TestUpdateClusterRootRotation."""
    world = World()
    cluster = world.store.cluster
    assert cluster is not None
    spec = ClusterSpec(signing_ca_cert=OTHER, signing_ca_key=OTHER.key, force_rotate=5)

    answer = world.ask(UpdateCluster(cluster.version, spec))

    stored = world.store.cluster
    assert stored is not None
    assert stored.root == INTERNAL.evolve(
        rotation=RootRotation(OTHER, OTHER.key, replace(OTHER, signed_by=OURS.name)), last_forced_rotation=5
    )
    assert stored.spec == spec
    for shown in (answer, *world.ask(ListObjects("cluster"))):
        assert shown.root.rotation.ca_cert == OTHER
        assert (shown.root.ca_key, shown.root.rotation.ca_key) == ("", "")
        assert (shown.spec.signing_ca_cert, shown.spec.signing_ca_key) == (None, "")

    world.ask(UpdateCluster(answer.version, replace(answer.spec, node_cert_expiry=3_600_000_000)))

    later = world.store.cluster
    assert later is not None
    assert later.root == stored.root
    assert later.spec.node_cert_expiry == 3_600_000_000


def test_a_refused_root_leaves_everything_as_it_was() -> None:
    """C-178 over the API: in the simulated world no external CA answers."""
    world = World()
    cluster = world.store.cluster
    assert cluster is not None

    spec = ClusterSpec(external_cas=(FOR_OTHER,), signing_ca_cert=OTHER)
    assert world.refused(UpdateCluster(cluster.version, spec)) == ("InvalidArgument", missing("desired"))


def test_roots_that_are_made_differ_from_each_other() -> None:
    """C-176: a fresh one for each change of the count."""
    world = World()
    names = []
    for count in (1, 2):
        cluster = world.store.cluster
        assert cluster is not None
        answer = world.ask(UpdateCluster(cluster.version, ClusterSpec(force_rotate=count)))
        names.append(answer.root.rotation.ca_cert.name)

    assert len({OURS.name, *names}) == 3
