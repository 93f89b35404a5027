"""What becomes of a snapshot on its way to a member that is behind (transport/peer.go `sendProcessMessage`)."""

from __future__ import annotations

from typing import Any

import pytest

from swarmsim.api.specs import RaftSpec
from swarmsim.cluster import Cluster
from swarmsim.raft import ProgressState
from swarmsim.trace.events import SnapshotInstalled
from tests.raft_node.world import events, group, member, propose, run_for, services, start, stop


def member_behind(**swarm: Any) -> Cluster:
    """m3 comes back when what it lacks is compacted; the time is when m1 has just sent it a snapshot."""
    cluster = group(snapshot_interval=5, log_entries_for_slow_followers=0, **swarm)
    run_for(cluster, 1)
    stop(cluster, "m3")
    for i in range(8):
        assert propose(cluster, f"s{i}", via="m1", wait=0.2) == ""
    start(cluster, "m3")
    while record(cluster) is not ProgressState.SNAPSHOT:
        cluster.run(cluster.env.now + 20)
    return cluster


def record(cluster: Cluster) -> ProgressState:
    """What m1, the leader, knows of m3."""
    return member(cluster, "m1").raw.progress[3].state


@pytest.mark.parametrize("datagrams", [False, True])
@pytest.mark.parametrize("how", ["process", "power"])
def test_a_snapshot_that_is_lost_is_sent_again(how: str, datagrams: bool) -> None:
    """C-035 TestSendSnapshotFailure; R-142. Unless it is told of the failure, the leader waits for ever."""
    cluster = member_behind(raft=RaftSpec(datagrams=datagrams))
    stop(cluster, "m3", how=how)
    run_for(cluster, 4)
    after_loss = record(cluster)
    start(cluster, "m3")
    run_for(cluster, 5)

    assert after_loss is ProgressState.PROBE
    assert record(cluster) is ProgressState.REPLICATE
    assert [e.node for e in events(cluster, SnapshotInstalled)] == ["m3"]
    assert services(cluster, "m3") == services(cluster, "m1")
    assert cluster.leader() == "m1"


def test_the_leader_hears_that_a_snapshot_arrived_before_it_is_installed() -> None:
    """R-142: the answer of the call comes when the message is stepped, the member's own when it is on the disk."""
    cluster = member_behind()
    seen = [record(cluster)]
    while seen[-1] is not ProgressState.REPLICATE:
        cluster.run(cluster.env.now + 20)
        if record(cluster) is not seen[-1]:
            seen.append(record(cluster))

    assert seen == [ProgressState.SNAPSHOT, ProgressState.PROBE, ProgressState.REPLICATE]
