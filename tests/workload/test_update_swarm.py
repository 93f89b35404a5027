"""`update_swarm`: as `docker swarm update` (docs/SCENARIOS.md section 6)."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

import swarmsim
from swarmsim.manager.raft_node.storage import snapshot_indices
from swarmsim.trace.events import StepSent
from swarmsim.workload.update_swarm import SETTINGS, UpdateSwarm


def test_settings_reach_the_stored_cluster_object_and_the_managers() -> None:
    scenario = swarmsim.Scenario(
        cluster={"managers": 3, "workers": 1},
        services={"web": {"image": "nginx:1.27", "deploy": {"replicas": 3}}},
        timeline=[{"at": "steady", "update_swarm": "default", "snapshot_interval": 3, "task_history_limit": 1}],
        duration="60s",
    )

    result = swarmsim.run(scenario, seed=1)

    cluster = result.cluster.store("m1").cluster
    assert result.passed, result.verdicts
    assert (cluster.spec.snapshot_interval, cluster.spec.task_history_limit) == (3, 1)
    assert cluster.spec.log_entries_for_slow_followers == 500  # what is not named stays
    for name in ("m1", "m2", "m3"):
        assert snapshot_indices(result.cluster.hosts[name].disk.peek("raft"))[-1] > 1
    sent = [r.event for r in result.trace.of(StepSent) if r.event.verb == "update_swarm"]
    assert sent[0].detail == "task_history_limit 1, snapshot_interval 3"


def test_settings_of_the_beginning_are_in_the_file() -> None:
    swarm = {"snapshot_interval": 4, "keep_old_snapshots": 2, "log_entries_for_slow_followers": 0}
    scenario = swarmsim.Scenario(
        cluster={"managers": 1, "workers": 2, "swarm": swarm},
        services={"web": {"image": "nginx:1.27", "deploy": {"replicas": 6}}},
        timeline=[{"at": "steady", "scale": "web", "replicas": 12}],
        duration="60s",
    )

    result = swarmsim.run(scenario, seed=1)

    kept = snapshot_indices(result.cluster.hosts["m1"].disk.peek("raft"))
    assert len(kept) == 3
    assert kept[-1] - kept[-2] >= 4


@pytest.mark.parametrize("setting", SETTINGS)
def test_each_setting_is_a_number(setting: str) -> None:
    assert UpdateSwarm.model_validate({"update_swarm": "default", setting: 7}).changes() == {setting: 7}
    for wrong in (-1, "5s", True, 1.5):
        with pytest.raises(ValidationError, match="no whole number"):
            UpdateSwarm.model_validate({"update_swarm": "default", setting: wrong})
