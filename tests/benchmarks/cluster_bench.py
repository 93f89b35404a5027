"""What whole clusters cost: short runs, and a service from create to all RUNNING on many nodes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it runs as a script

import swarmsim
from swarmsim.cluster import Cluster, describe
from tests.benchmarks.measuring import Row, cells, measure, peak, print_peak, table

ROOT = Path(__file__).parents[2]

#: An overlay with room for all: the ingress network of a swarm, a /24, ends at some 250 tasks, as in Docker.
WIDE = "networks: {wide: {ipam: {config: [{subnet: 10.20.0.0/16}]}}}"

#: Workers and tasks, on an overlay network or not. The first of each kind is what the others are compared with.
SIZES = ((100, 3_000, False), (1_000, 30_000, False), (10, 200, True), (100, 2_000, True))


def idle_hour(probes: str) -> Callable[[], int]:
    def run() -> int:
        cluster = Cluster(describe(3, 5, probes=probes), 1)
        cluster.run(3_600_000_000)
        return cluster.env.scheduled()

    return run


def scenario(name: str) -> Callable[[], int]:
    loaded = swarmsim.load(ROOT / "scenarios" / f"{name}.yaml")

    def run() -> int:
        result = swarmsim.run(loaded, seed=1)
        assert result.digest
        return result.sim_events

    return run


def service_up(workers: int, tasks: int, overlay: bool) -> Callable[[], int]:
    """From create to all running, on 3 managers (drained) and so many workers."""
    text = f"""
cluster:
  managers: 3
  workers: {workers}
  nodes: {{m1..m3: {{availability: drain}}}}
  defaults: {{cpus: 64, memory: 256GiB}}
services:
  web:
    image: nginx:1.27
    deploy: {{replicas: {tasks}}}
    x-sim: {{pull: 1s, start: 200ms}}
    {"networks: [wide]" if overlay else ""}
{WIDE if overlay else ""}
expect:
  - {{service: web, running: {tasks}}}
"""
    path = ROOT / "out" / f"bench-{workers}-{tasks}-{overlay}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    loaded = swarmsim.load(path)

    def run() -> int:
        result = swarmsim.run(loaded, seed=1)
        assert result.passed, result.verdicts
        return result.sim_events

    return run


def short_runs(repeats: int) -> list[str]:
    few = min(repeats, 3)
    rows = [
        measure("worker-crash, loaded scenario to verdicts and digest", scenario("worker-crash"), repeats),
        measure("idle hour, 3 managers + 5 workers", idle_hour("lazy"), repeats),
        measure("the same, every heartbeat and probe sent", idle_hour("exact"), few),
    ]
    return table(("run", "SimPy events", "bare timeouts", "seconds here"), map(cells, rows))


def services(repeats: int) -> list[str]:
    """`times`: what a task costs, against the smaller cluster of its kind."""
    first: dict[bool, Row] = {}
    lines = []
    for workers, tasks, overlay in SIZES:
        where = "on an overlay network" if overlay else "no network"
        name = f"3 managers + {workers:,} workers, {tasks:,} tasks, {where}"
        row = measure(name, service_up(workers, tasks, overlay), 1 if tasks > 10_000 else min(repeats, 3))
        row.units /= tasks
        base = first.setdefault(overlay, row)
        used = peak(__file__, str(workers), str(tasks), str(int(overlay)))
        rate = f"{row.events / row.seconds:,.0f}"
        lines.append([*cells(row), rate, f"{row.units / base.units:.2f}", f"{used:,}"])
    head = ("run", "SimPy events", "bare timeouts a task", "seconds here", "events a second", "times", "peak MiB")
    return table(head, lines)


if __name__ == "__main__":
    many, wanted, wide = (int(number) for number in sys.argv[2:])
    service_up(many, wanted, bool(wide))()
    print_peak()
