"""What runs cost, counted in SimPy events: exact, and the same on every machine."""

from __future__ import annotations

from pathlib import Path

import pytest

import swarmsim
from swarmsim.cluster import Cluster, describe

ROOT = Path(__file__).parent.parent
HOUR = 3_600_000_000


def test_an_idle_hour_costs_at_most_60_000_events() -> None:
    """3 managers and 5 workers: healthy ticks, heartbeats and probes are skipped (DESIGN.md section 7)."""
    cluster = Cluster(describe(3, 5), 1)

    cluster.run(HOUR)

    assert cluster.env.scheduled() <= 200  # of 60,000 allowed: 75 when this was written


def test_an_idle_swarm_costs_the_same_however_long_it_is_idle() -> None:
    short, long = Cluster(describe(3, 5), 1), Cluster(describe(3, 5), 1)

    short.run(60_000_000)
    long.run(11 * HOUR)

    assert short.env.scheduled() == long.env.scheduled()


def test_when_every_heartbeat_and_probe_is_sent_an_idle_minute_costs_more() -> None:
    """The count counts: `probes: exact` skips nothing."""
    lazy, exact = Cluster(describe(3, 5), 1), Cluster(describe(3, 5, probes="exact"), 1)

    lazy.run(60_000_000)
    exact.run(60_000_000)

    assert exact.env.scheduled() > 20 * lazy.env.scheduled()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_worker_crash_costs_at_most_3_000_events(seed: int) -> None:
    result = swarmsim.run(str(ROOT / "scenarios" / "worker-crash.yaml"), seed)

    assert result.passed
    assert result.sim_events <= 3_000


def service_up(workers: int, tasks: int) -> int:
    """Events from create to all running, on drained managers."""
    cluster = {"managers": 3, "workers": workers, "nodes": {"m1..m3": {"availability": "drain"}}}
    services = {
        "web": {
            "image": "nginx:1.27",
            "deploy": {"replicas": tasks},
            "x-sim": {"pull": "1s", "start": "200ms"},
        }
    }
    expect = [{"service": "web", "running": tasks}]
    result = swarmsim.run(swarmsim.Scenario(cluster=cluster, services=services, expect=expect))
    assert result.passed, result.verdicts
    return result.sim_events


def test_a_task_costs_as_many_events_in_a_large_swarm_as_in_a_small_one() -> None:
    """DESIGN.md section 7: no scans; for a service without ports or networks."""
    few, many = service_up(5, 100), service_up(50, 1_000)

    assert many / 1_000 <= 1.5 * few / 100
