"""Certificates and the root that nodes trust (SwarmKit ca/, node/), and whole swarms (integration/)."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from swarmsim.api.messages import UnlockKey, UpdateCluster
from swarmsim.api.objects import Certificate
from swarmsim.api.objects import Cluster as ClusterObject
from swarmsim.api.specs import ClusterSpec
from swarmsim.api.states import IssuanceState, NodeRole, NodeState
from swarmsim.ca.renewal import BACKDATE, MINUTE, check_validity, renewal_at
from swarmsim.ca.tokens import check_fingerprint, parse_join_token
from swarmsim.cluster import Cluster, describe
from swarmsim.errors import ApiError
from swarmsim.machine import RecordingOutbox, Request
from swarmsim.node import Join, Supervisor
from swarmsim.trace.events import NodeRegistered, SessionFailed

from .test_joining import ask, desire, members, run_for

SECOND = 1_000_000
HOUR = 3_600 * SECOND
DAY = 24 * HOUR
MANAGER, WORKER = NodeRole.MANAGER, NodeRole.WORKER
DIGEST, SECRET = "d" * 50, "s" * 25


def stored(swarm: Cluster) -> ClusterObject:
    found = swarm.store().cluster
    assert found is not None
    return found


def roles(swarm: Cluster) -> tuple[int, int]:
    """(managers, workers), where what is desired is so, in the store as in the Raft group."""
    nodes = list(swarm.store().nodes.values())
    leader = swarm.leader()
    assert leader is not None
    assert all(n.role is n.spec.desired_role for n in nodes)
    assert all(n.status.state is NodeState.READY for n in nodes)
    managers = sorted(n.hostname for n in nodes if n.role is MANAGER)
    assert members(swarm, leader) == tuple(managers)
    return len(managers), len(nodes) - len(managers)


# -- join tokens --
@pytest.mark.parametrize(
    "token",
    [
        "invalidtoken",
        f"SWMTKN-1-{DIGEST}-{SECRET[1:]}",
        f"SWMTKN-1-{DIGEST[1:]}-{SECRET}",
        f"SWMTKN-2-{DIGEST}-{SECRET}",
        f"SWMTKN-2-2-{DIGEST}-{SECRET}",
        f"SWMTKN-0-{DIGEST}-{SECRET}",
        f"SWMTKN-1-1-{DIGEST}-{SECRET}",
        f"swmtkn-1-{DIGEST}-{SECRET}",
        "",
    ],
)
def test_a_token_that_is_none_is_refused_at_once(token: str) -> None:
    """C-128 TestDownloadRootCAWrongCAHash, its first part: nobody is asked."""
    swarm = Cluster(describe(1, 0))
    swarm.add_host("w9")

    swarm.nodes["w9"].join(Join(token, "m1"), 0)

    error = swarm.nodes["w9"].join_error
    assert error is not None
    assert error.text == "invalid join token"


@pytest.mark.parametrize("form", ["SWMTKN-1-{}-{}", "SWMTKN-2-0-{}-{}"])
def test_a_token_of_another_root_is_no_way_in(form: str) -> None:
    """C-128, its second part: five tries, two seconds apart, and the node asks for no certificate."""
    swarm = Cluster(describe(1, 0))
    swarm.add_host("w9")
    secret = stored(swarm).join_token_worker.rpartition("-")[2]

    swarm.nodes["w9"].join(Join(form.format(DIGEST, secret), "m1"), 0)
    run_for(swarm, 9.5)
    early = swarm.nodes["w9"].join_error
    run_for(swarm, 2)

    assert early is None
    error = swarm.nodes["w9"].join_error
    assert error is not None
    assert error.text == "remote CA does not match fingerprint."
    assert list(swarm.store().nodes) == ["m1"]


def test_both_versions_of_a_token_say_the_same() -> None:
    """C-128: `SWMTKN-2` says besides whether FIPS is mandatory."""
    first, second = parse_join_token(f"SWMTKN-1-{DIGEST}-{SECRET}"), parse_join_token(f"SWMTKN-2-1-{DIGEST}-{SECRET}")

    assert (first.digest, first.secret, first.fips) == (DIGEST, SECRET, False)
    assert second == first._replace(fips=True)
    check_fingerprint(first, DIGEST)


# -- renewal --
@pytest.mark.parametrize(("life", "least", "most"), [(90 * DAY + HOUR, 45, 72), (2 * HOUR, 1 / 24, 1.6 / 24)])
def test_a_certificate_is_renewed_between_half_and_four_fifths_of_its_life(
    life: int, least: float, most: float
) -> None:
    """2.9 Renewal: whole minutes; with ninety days and an hour on day 45.0 to 72.0."""
    days = [renewal_at(7, 7 + life, Random(seed)) - 7 for seed in range(300)]

    assert all(at % MINUTE == 0 for at in days)
    assert least <= min(days) / DAY < max(days) / DAY < most + 0.05
    assert max(days) - min(days) > (most - least) * DAY * 0.9
    assert renewal_at(0, MINUTE, Random(1)) == 0


def test_certificates_are_renewed_in_good_time_with_the_same_role() -> None:
    """C-124 TestRenewTLSConfigWorker/Manager, S-12: by the root, and no session ends for it."""
    swarm = Cluster(describe(3, 2, swarm=ClusterSpec(node_cert_expiry=HOUR)))
    before = {n.id: n for n in swarm.store().nodes.values()}
    run_for(swarm, 3600)

    for node in swarm.store().nodes.values():
        was = before[node.id]
        assert node.certificate.serial > was.certificate.serial
        assert (node.certificate.role, node.role) == (was.certificate.role, was.role)
        assert node.certificate.status is IssuanceState.ISSUED
        assert node.certificate.issuer == stored(swarm).root.ca_cert.name
        assert node.certificate.not_after > 3600 * SECOND
        assert swarm.nodes[node.id].identity is not None
    facts = [type(r.event) for r in swarm.trace]
    assert SessionFailed not in facts
    assert NodeRegistered not in facts


def test_a_certificate_of_ninety_days_is_left_alone() -> None:
    """S-12: nothing is written in an hour."""
    swarm = Cluster(describe(3, 2))
    index = swarm.store().index
    run_for(swarm, 3600)

    assert swarm.store().index == index
    identity = swarm.nodes["w1"].identity
    assert identity is not None
    assert identity.valid == (-BACKDATE, 90 * DAY)


@pytest.mark.parametrize(
    ("now", "allow_expired", "refused"),
    [
        (-HOUR, False, True),
        (-HOUR, True, True),
        (0, False, False),
        (DAY, False, False),
        (DAY + MINUTE, False, True),
        (DAY + MINUTE, True, False),
    ],
)
def test_a_certificate_is_good_within_its_life(now: int, allow_expired: bool, refused: bool) -> None:
    """C-127 TestLoadSecurityConfigExpiredCert: not yet valid never, expired only where that is allowed."""
    if refused:
        with pytest.raises(ApiError, match="x509: certificate has expired or is not yet valid"):
            check_validity(0, DAY, now, allow_expired)
    else:
        check_validity(0, DAY, now, allow_expired)


@pytest.mark.parametrize("away", [30, 90])
def test_a_node_that_was_off_beyond_its_certificate_does_not_start(away: int) -> None:
    """C-127 in a whole swarm: a worker that is off for half an hour returns, one that is off for longer does not."""
    swarm = Cluster(describe(3, 1, swarm=ClusterSpec(node_cert_expiry=HOUR)))
    run_for(swarm, 10)
    swarm.hosts["w1"].crash("power", 0)
    run_for(swarm, away * 60)

    swarm.hosts["w1"].start(0)
    run_for(swarm, 60)

    back = swarm.store().nodes["w1"].status.state is NodeState.READY
    error = swarm.nodes["w1"].join_error
    assert (back, error is None) == ((True, True) if away == 30 else (False, False))


def test_a_node_goes_on_asking_another_manager_for_its_certificate() -> None:
    """C-130 TestGetRemoteSignedCertificateConnectionErrors: one that breaks off is left for another.

    And if that one cannot be dialled either, the try is over.
    """

    def calls(managers: tuple[str, ...], broken: dict[str, int]) -> tuple[list[str], Any]:
        """Whom a node asks; each of `broken` refuses from its n-th call on, others say that it is pending."""
        asked: list[str] = []
        handler = Supervisor(None, None)._certificate("w1", managers, RecordingOutbox())  # type: ignore[arg-type]
        answer: Any = None
        try:
            while len(asked) < 12:
                effect = handler.throw(answer) if isinstance(answer, Exception) else handler.send(answer)
                answer = None
                if isinstance(effect, Request):
                    manager = effect.dst.node
                    asked.append(manager)
                    refuses = asked.count(manager) > broken.get(manager, 99)
                    pending = Certificate(WORKER, IssuanceState.PENDING)
                    answer = ApiError("Unavailable", "connection error: refused") if refuses else pending
        except ApiError as error:
            return asked, error
        return asked, None

    asked, error = calls(("m1", "m2"), {"m1": 2})
    assert (asked[:3], set(asked[3:]), error) == (["m1", "m1", "m1"], {"m2"}, None)

    asked, error = calls(("m1", "m2"), {"m1": 2, "m2": 0})
    assert asked == ["m1", "m1", "m1", "m2"]
    assert error.code == "Unavailable"


# -- the root that a node trusts --
def test_a_node_trusts_a_new_root_that_vouches_for_its_certificate() -> None:
    """C-110 TestAgentRespectsDispatcherRootCAUpdate, TestManagerRespectsDispatcherRootCAUpdate."""
    swarm = Cluster(describe(3, 2))
    first = stored(swarm).root.ca_cert.name

    def trusted() -> dict[str, str]:
        return {name: node.identity.root for name, node in swarm.nodes.items() if node.identity is not None}

    assert set(trusted().values()) == {first}
    foreign = stored(swarm).root.evolve(ca_cert=replace(stored(swarm).root.ca_cert, name="foreign"))
    write(swarm, foreign)
    run_for(swarm, 5)
    assert set(trusted().values()) == {first}, "nobody's certificate holds against it"

    write(swarm, stored(swarm).root.evolve(ca_cert=replace(foreign.ca_cert, name=first)))
    ask(swarm, UpdateCluster(stored(swarm).version, replace(stored(swarm).spec, force_rotate=1)))
    run_for(swarm, 15)

    new = stored(swarm).root.ca_cert.name
    assert new not in (first, "foreign")
    assert set(trusted().values()) == {new}
    assert all(swarm.hosts[name].disk.peek("node")["identity"].root == new for name in swarm.names)


def write(swarm: Cluster, root: Any) -> None:
    """Put a root into the store that came about in no honest way."""
    leader = swarm.leader()
    assert leader is not None
    raft = swarm.nodes[leader].raft
    assert raft is not None
    raft.now = swarm.env.now
    raft.proposer.update("test", lambda tx: tx.update(tx.all(ClusterObject)[0].evolve(root=root)), 0, lambda *_: None)
    run_for(swarm, 1)


# -- whole swarms --
@pytest.mark.parametrize("joined", [False, True])
def test_a_swarm_comes_about(joined: bool) -> None:
    """C-196 TestClusterCreate: READY, reachable, roles as desired, certificates issued and reported, one leader."""
    swarm = Cluster.joined(describe(2, 0)) if joined else Cluster(describe(2, 0))
    run_for(swarm, 3)

    assert roles(swarm) == (2, 0)
    for node in swarm.store().nodes.values():
        assert node.certificate.status is IssuanceState.ISSUED
        assert node.description is not None
        assert node.description.tls_issuer == stored(swarm).root.ca_cert.name
        assert node.status.addr
    leading = [name for name, n in swarm.nodes.items() if n.raft is not None and n.raft.is_leader]
    assert leading == [swarm.leader()]


@pytest.mark.parametrize("first", ["promote", "demote", "demote the leader"])
def test_roles_settle(first: str) -> None:
    """C-199 TestDemotePromote, TestPromoteDemote, TestDemotePromoteLeader."""
    swarm = Cluster(describe(3, 1))
    node, steps = {
        "promote": ("w1", ((MANAGER, (4, 0)), (WORKER, (3, 1)))),
        "demote": ("m3", ((WORKER, (2, 2)), (MANAGER, (3, 1)))),
        "demote the leader": ("m1", ((WORKER, (2, 2)), (MANAGER, (3, 1)))),
    }[first]

    for role, settled in steps:
        desire(swarm, node, role)
        run_for(swarm, 60)
        assert roles(swarm) == settled


def test_a_swarm_can_shrink_to_one_manager() -> None:
    """C-200 TestDemoteToSingleManager: the leader is demoted twice."""
    swarm = Cluster(describe(3, 1))
    for _ in range(2):
        leader = swarm.leader()
        assert leader is not None
        desire(swarm, leader, WORKER)
        run_for(swarm, 60)

    assert roles(swarm) == (1, 3)


@pytest.mark.parametrize("how", ["process", "power"])
def test_a_worker_that_restarts_is_the_node_that_it_was(how: str) -> None:
    """C-206 TestNodeRejoins, its first part: from what its disk holds; no certificate is asked for."""
    swarm = Cluster(describe(3, 1))
    serial = swarm.store().nodes["w1"].certificate.serial
    swarm.hosts["w1"].crash(how, 0)
    run_for(swarm, 30)
    assert swarm.store().nodes["w1"].status.state is NodeState.DOWN

    swarm.hosts["w1"].start(0)
    run_for(swarm, 10)

    assert roles(swarm) == (3, 1)
    assert swarm.store().nodes["w1"].certificate.serial == serial


def test_the_unlock_key_comes_changes_and_goes() -> None:
    """C-209 TestAutolockManagers: over the API of a swarm, as its raw API renders it."""
    swarm = Cluster(describe(2, 0))

    def key() -> str:
        return UnlockKey(stored(swarm).unlock_key, stored(swarm).version).shown

    def set_autolock(on: bool, rotate: bool = False) -> None:
        cluster = stored(swarm)
        ask(swarm, UpdateCluster(cluster.version, replace(cluster.spec, autolock=on), rotate_unlock_key=rotate))

    assert key() == "SWMKEY-1-"
    set_autolock(True)
    first = key()
    assert first != "SWMKEY-1-"
    set_autolock(True, rotate=True)
    assert key() not in ("SWMKEY-1-", first)
    set_autolock(False)
    assert key() == "SWMKEY-1-"
