"""A store that one transaction keeps locked: the leader hands over (memory.go `Wedged`, raft.go `Run`)."""

from __future__ import annotations

from itertools import pairwise

from swarmsim.cluster import Cluster
from swarmsim.raft.messages import NONE
from swarmsim.trace.events import StoreWedged
from tests.raft_node.world import events, group, member, propose, run_for, services


def lock(cluster: Cluster, name: str) -> None:
    """A transaction takes the lock and never ends."""
    proposer = member(cluster, name).proposer
    proposer.propose = lambda proposal, cause, on_commit: None
    assert propose(cluster, "held", via=name) == "no answer"


def test_a_leader_whose_store_is_locked_for_ever_hands_over() -> None:
    """C-019 TestRaftWedgedManager."""
    cluster = group()
    lock(cluster, "m1")
    run_for(cluster, 28)
    before = cluster.leader()
    run_for(cluster, 6)

    wedged = events(cluster, StoreWedged)
    assert before == "m1"
    assert [(e.node, e.to) for e in wedged] == [("m1", cluster.leader())]
    assert cluster.leader() in ("m2", "m3")
    assert propose(cluster, "web") == ""
    assert services(cluster, "m1") == ["web"]


def test_a_leader_that_was_idle_is_not_wedged_by_its_next_transaction() -> None:
    """The lock's age counts from when it was taken, not from when the member last looked at the clock."""
    cluster = group()
    run_for(cluster, 300)

    error = propose(cluster, "web")

    assert error == ""
    assert not events(cluster, StoreWedged)
    assert cluster.store("m1").services[next(iter(cluster.store("m1").services))].created_at > 299_000_000


def test_it_tries_at_most_once_a_minute() -> None:
    """raft.go `transferLeadershipLimit`: also where nobody can take over."""
    cluster = group()
    lock(cluster, "m1")
    member(cluster, "m1").group.pick_active = lambda out: NONE  # type: ignore[method-assign]
    run_for(cluster, 170)

    times = [recorded.at for recorded in cluster.trace.of(StoreWedged)]

    assert {e.to for e in events(cluster, StoreWedged)} == {""}
    assert len(times) == 3
    assert all(later - sooner >= 60_000_000 for sooner, later in pairwise(times))
