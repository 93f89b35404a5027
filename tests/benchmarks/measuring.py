"""Timing in units of a bare SimPy timeout, measured around each run in the same process.

So a machine whose speed drifts, or another machine, gives the same ratios.
"""

from __future__ import annotations

import gc
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import simpy

UNIT_TIMEOUTS = 100_000


@dataclass
class Row:
    """`events`: what the run counted. `units`: bare SimPy timeouts."""

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
    return Row(name, events, median(units), median(seconds), note)


def peak(script: str, *arguments: str) -> int:
    """Peak MiB of a process that does only this: `script --peak ARGUMENTS` prints it by `print_peak`."""
    command = [sys.executable, script, "--peak", *arguments]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def print_peak() -> None:
    """The kernel's high-water mark of this program; `ru_maxrss` would count what the parent had when it forked."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        print(int(line.split()[1]) // 1024)
    else:
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """Markdown: the first column to the left, the others to the right."""
    names = list(head)
    lines = [names, ["---", *["---:"] * (len(names) - 1)], *(list(row) for row in rows)]
    return ["| " + " | ".join(cells) + " |" for cells in lines]


def cells(row: Row) -> list[str]:
    return [row.name, f"{row.events:,}", f"{row.units:,.0f}", f"{row.seconds:.3f}"]
