"""What runs cost: counted, and timed in units of a bare SimPy timeout in the same process.

    make bench        (or: python tests/benchmarks/bench.py [--quick])

The tables are written to tests/benchmarks/RESULTS.md, for comparing before and after a change. Nothing here passes or
fails.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable
from pathlib import Path

import simpy

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it runs as a script

from tests.benchmarks import cluster_bench, raft_bench, scheduler_bench

RESULTS = Path(__file__).parent / "RESULTS.md"

SECTIONS: dict[str, Callable[[int], list[str]]] = {
    "Runs": cluster_bench.short_runs,
    "A service from create to all RUNNING": cluster_bench.services,
    "Raft": raft_bench.rows,
    "The scheduler": scheduler_bench.passes,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three repeats, no scheduler pass over 100,000 tasks")
    repeats = 3 if parser.parse_args().quick else 9
    lines = [
        "# What runs cost",
        "",
        f"Written by `make bench`: median of {repeats} runs, of 3 where they are long, of 1 where they are very long.",
        "Unit: one bare SimPy timeout in the same process.",
        f"Python {platform.python_version()}, SimPy {simpy.__version__}.",
    ]
    print("\n".join(lines))
    for title, section in SECTIONS.items():
        part = ["", f"## {title}", "", *section(repeats)]
        print("\n".join(part), flush=True)
        lines += part
    RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
