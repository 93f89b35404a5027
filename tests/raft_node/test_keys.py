"""The key that a node's log is encrypted with: made once, kept with its certificate, gone with its role (deks.go)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from swarmsim.api.messages import GetNode, UpdateNode
from swarmsim.api.states import NodeRole
from swarmsim.cluster import Cluster, describe
from swarmsim.manager.raft_node.storage import Keys, Record, Storage
from swarmsim.raft.messages import HardState
from tests.raft_node.world import group, member, propose, run_for, services, start, stop


def used(cluster: Cluster, name: str) -> set[str]:
    """The keys that the records on a manager's disk carry."""
    records = cluster.hosts[name].disk.peek("raft").values()
    return {record.key for record in records if type(record) is Record and record.key}


def key(cluster: Cluster, name: str) -> Keys | None:
    found: Keys | None = cluster.hosts[name].disk.peek("node").get("raft-dek")
    return found


def test_each_manager_has_a_key_of_its_own_for_log_and_snapshots() -> None:
    cluster = group()
    propose(cluster, "web")

    assert [used(cluster, name) for name in cluster.managers] == [{f"m{i}/dek-1"} for i in (1, 2, 3)]


def test_a_manager_that_joins_makes_one() -> None:
    cluster = Cluster.joined(describe(2, 0))

    assert used(cluster, "m2") == {"m2/dek-1"}


def test_a_restart_goes_on_with_the_same_key() -> None:
    cluster = group()
    stop(cluster, "m2", how="power")
    run_for(cluster, 2)
    start(cluster, "m2")
    run_for(cluster, 5)
    propose(cluster, "web")

    assert used(cluster, "m2") == {"m2/dek-1"}
    assert services(cluster, "m2") == ["web"]


def test_a_demoted_manager_loses_log_and_key_and_makes_another_when_promoted_again() -> None:
    """manager.go `Stop(clearData)`."""
    cluster = group()

    def desire(role: NodeRole) -> None:
        def operator() -> Any:
            node = yield from cluster.ask("m1", GetNode("m3"))
            yield from cluster.ask("m1", UpdateNode("m3", node.version, replace(node.spec, desired_role=role)))

        cluster.env.run(until=cluster.env.process(operator()))
        run_for(cluster, 20)

    desire(NodeRole.WORKER)
    demoted = (key(cluster, "m3"), used(cluster, "m3"))
    desire(NodeRole.MANAGER)

    assert demoted == (None, set())
    assert used(cluster, "m3") == {"m3/dek-2"}
    assert member(cluster, "m3").id != 3


def test_while_a_key_is_pending_new_records_are_written_with_it() -> None:
    """raft.go: the write-ahead log switches to the pending key; the old one is needed until a snapshot replaced all."""
    storage = Storage(Keys("old", pending="new"))
    content = storage.create(1) | storage.save(None, [], HardState(1, 0, 0), 0)

    assert storage.keys.writing == "new"
    assert Storage.open(content, Keys("old"))[0].recovered.hard_state == HardState(1, 0, 0)
