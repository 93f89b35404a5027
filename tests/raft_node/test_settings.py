"""Snapshot settings and ticks: the stored cluster object's, or the manager's own (raft.go `getCurrentRaftConfig`)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from swarmsim.api.messages import UpdateCluster
from swarmsim.cluster import Cluster
from swarmsim.trace.events import SnapshotInstalled, TicksDiffer
from tests.raft_node.world import events, group, member, propose, run_for, services, snapshots, start, stop


def fill(cluster: Cluster, count: int, prefix: str = "s") -> None:
    for i in range(count):
        assert propose(cluster, f"{prefix}{i}", wait=0.2) == ""
    run_for(cluster, 3)  # until the followers know what is committed


def update(cluster: Cluster, **settings: Any) -> None:
    """`docker swarm update`."""

    def client() -> Any:
        known = cluster.store().cluster
        assert known is not None
        yield from cluster.ask(cluster.leader(), UpdateCluster(known.version, replace(known.spec, **settings)))

    cluster.env.run(until=cluster.env.process(client()))
    run_for(cluster, 3)


def test_a_snapshot_is_made_every_so_many_entries_and_the_old_one_goes() -> None:
    """C-025 TestRaftSnapshot: interval 9, no entries kept; a later member gets the snapshot and all values."""
    cluster = group(snapshot_interval=9, log_entries_for_slow_followers=0)
    handed_over = snapshots(cluster, "m1")
    made = []
    for i in range(12):
        fill(cluster, 1, f"s{i}-")
        made.append([tuple(snapshots(cluster, name)) for name in cluster.managers])
    cluster.add_host("m4")
    cluster.join("m4", "manager")
    run_for(cluster, 20)

    first = next(i for i, now in enumerate(made) if now[0] != tuple(handed_over))
    assert handed_over == [1]
    assert all(len(names) == 1 for now in made for names in now)
    assert made[first] == [made[first][0]] * 3
    assert member(cluster, "m1").raw.log.first_index > 10
    assert [e.node for e in events(cluster, SnapshotInstalled)] == ["m4"]
    assert len(services(cluster, "m4")) == 12


def test_a_member_that_was_down_while_the_log_was_compacted_gets_a_snapshot() -> None:
    """C-026 TestRaftSnapshotRestart: it learns of those who joined meanwhile, and restarts from the snapshot."""
    cluster = group(snapshot_interval=10, log_entries_for_slow_followers=0)
    fill(cluster, 3)
    stop(cluster, "m3")
    fill(cluster, 1, "fourth")
    cluster.add_host("m4")
    cluster.join("m4", "manager")
    cluster.await_ready("m4")
    fill(cluster, 10, "more")
    start(cluster, "m3")
    run_for(cluster, 20)
    installed = [e.node for e in events(cluster, SnapshotInstalled)]
    stop(cluster, "m3")
    run_for(cluster, 2)
    start(cluster, "m3")
    run_for(cluster, 20)
    fill(cluster, 1, "last")

    assert "m3" in installed
    assert len(member(cluster, "m3").members()) == 4
    assert services(cluster, "m3") == services(cluster, "m1")
    assert len(snapshots(cluster, "m3")) == 1


def test_a_follower_that_lags_little_is_sent_the_kept_entries_instead() -> None:
    """LogEntriesForSlowFollowers: the log keeps so many entries behind its snapshot."""
    cluster = group(snapshot_interval=5, log_entries_for_slow_followers=500)
    stop(cluster, "m3")
    fill(cluster, 8)
    start(cluster, "m3")
    run_for(cluster, 5)

    assert len(snapshots(cluster, "m1")) == 1
    assert snapshots(cluster, "m1") != [1]
    assert not events(cluster, SnapshotInstalled)
    assert services(cluster, "m3") == services(cluster, "m1")


def test_settings_of_the_stored_cluster_object_act_at_once() -> None:
    """`docker swarm update --snapshot-interval 4 --max-snapshots 2`: looked up whenever something was applied."""
    cluster = group()
    fill(cluster, 6)
    before = snapshots(cluster, "m2")
    update(cluster, snapshot_interval=4, keep_old_snapshots=2)
    at_once = snapshots(cluster, "m2")
    fill(cluster, 16, "t")

    assert before == [1]
    assert len(at_once) == 2
    assert all(len(snapshots(cluster, name)) == 3 for name in cluster.managers)


def test_an_interval_of_zero_makes_no_snapshots() -> None:
    """raft.go `Run`: only if SnapshotInterval > 0."""
    cluster = group(snapshot_interval=3)
    update(cluster, snapshot_interval=0)
    before = snapshots(cluster, "m1")

    fill(cluster, 8)

    assert snapshots(cluster, "m1") == before


def test_ticks_of_the_stored_cluster_object_change_nothing_but_a_warning_at_the_next_start() -> None:
    """manager.go `Run`: "the cluster may be unstable"."""
    cluster = group()
    update(cluster, heartbeat_tick=2, election_tick=20)
    running = (events(cluster, TicksDiffer), member(cluster, "m2").raw.config.election_tick)
    stop(cluster, "m2")
    run_for(cluster, 2)
    start(cluster, "m2")
    run_for(cluster, 3)

    assert running == ([], 10)
    assert events(cluster, TicksDiffer) == [TicksDiffer("m2", 1, 10)]
    assert member(cluster, "m2").raw.config.election_tick == 10
