"""What runs cost: counted in SimPy events, and timed in units of a bare SimPy timeout in the same process.

    make bench        (or: python tests/benchmarks/bench.py [--quick])

The unit is measured around each run, so that a machine whose speed drifts gives the same ratios. The table is written
to tests/benchmarks/RESULTS.md, for comparing before and after a change. Nothing here passes or fails.
"""

from __future__ import annotations

import argparse
import gc
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import simpy

import swarmsim
from swarmsim.cluster import Cluster, describe

ROOT = Path(__file__).parents[2]
UNIT_TIMEOUTS = 100_000


@dataclass
class Row:
    name: str
    events: int
    units: float
    seconds: float
    note: str = ""


def unit() -> float:
    """Seconds of one bare SimPy timeout."""
    env = simpy.Environment()

    def clock() -> object:
        for _ in range(UNIT_TIMEOUTS):
            yield env.timeout(1)

    env.process(clock())
    started = time.perf_counter()
    env.run()
    return (time.perf_counter() - started) / UNIT_TIMEOUTS


def measure(name: str, run: Callable[[], int], repeats: int, note: str = "") -> Row:
    """The median of `repeats` runs, each in units measured just before and after it."""
    units, seconds, events = [], [], 0
    for _ in range(repeats):
        gc.collect()
        before = unit()
        started = time.perf_counter()
        events = run()
        took = time.perf_counter() - started
        units.append(took / ((before + unit()) / 2))
        seconds.append(took)
    return Row(name, events, statistics.median(units), statistics.median(seconds), note)


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


#: An overlay with room for all: the ingress network of a swarm, a /24, ends at some 250 tasks, as in Docker.
WIDE = "networks: {wide: {ipam: {config: [{subnet: 10.20.0.0/16}]}}}"


def service_up(workers: int, tasks: int, extra: bool) -> Callable[[], int]:
    """From create to all running, on 3 managers (drained) and so many workers; `extra`: on an overlay network."""
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
    {"networks: [wide]" if extra else ""}
{WIDE if extra else ""}
expect:
  - {{service: web, running: {tasks}}}
"""
    path = ROOT / "out" / f"bench-{workers}-{tasks}-{extra}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    loaded = swarmsim.load(path)

    def run() -> int:
        result = swarmsim.run(loaded, seed=1)
        assert result.passed, result.verdicts
        return result.sim_events

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three repeats instead of nine")
    repeats = 3 if parser.parse_args().quick else 9
    rows = [
        measure("worker-crash, loaded scenario to verdicts and digest", scenario("worker-crash"), repeats),
        measure("idle hour, 3 managers + 5 workers", idle_hour("lazy"), repeats),
        measure("the same, every heartbeat and probe sent", idle_hour("exact"), min(repeats, 3)),
    ]
    for extra, label in ((False, "plain"), (True, "on an overlay network")):
        few = measure(f"10 workers x 200 tasks, {label}", service_up(10, 200, extra), min(repeats, 3))
        many = measure(f"100 workers x 2,000 tasks, {label}", service_up(100, 2_000, extra), min(repeats, 3))
        many.note = f"per task {many.units / 2_000 / (few.units / 200):.2f} times that of 10 x 200"
        if extra:
            arrivals = (many.units / (2_000 * 103)) / (few.units / (200 * 13))
            many.note += f"; per arrival (task x node) {arrivals:.2f} times"
        rows += [few, many]
    report(rows, repeats)


def report(rows: list[Row], repeats: int) -> None:
    lines = [
        "# What runs cost",
        "",
        f"Written by `make bench`: median of {repeats} (long runs: of 3).",
        "Unit: one bare SimPy timeout in the same process.",
        f"Python {platform.python_version()}, SimPy {simpy.__version__}.",
        "",
        "| run | SimPy events | bare timeouts | seconds here | note |",
        "|---|---:|---:|---:|---|",
    ]
    for row in rows:
        lines.append(f"| {row.name} | {row.events:,} | {row.units:,.0f} | {row.seconds:.3f} | {row.note} |")
    text = "\n".join(lines) + "\n"
    print(text)
    (Path(__file__).parent / "RESULTS.md").write_text(text)


if __name__ == "__main__":
    main()
