"""What all published experiments share: a template, samples, and a table of ours beside theirs.

An experiment is a scenario file in `scenarios/experiments` whose words are varied in Python (`Scenario.but`), run under
many seeds. `samples` gives what was measured, curve by curve, for tables and figures alike; `table` sets it beside what
was published and says which of the demands hold.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from textwrap import wrap
from typing import Any, NamedTuple

from ...errors import SwarmsimError
from ...scenario.loader import Scenario, load
from ..sweep import Factory, sweep, workers_pool

#: The templates: in a clone beside the program, else installed with it (pyproject.toml, force-include).
IN_A_CLONE = Path(__file__).parents[3] / "scenarios" / "experiments"
INSTALLED = Path(__file__).parent / "scenarios"
FOLDER = IN_A_CLONE if IN_A_CLONE.is_dir() else INSTALLED
WIDTH = 100

#: Curve after curve gets seeds of its own, so that chance does not strike all of them alike.
SEEDS_APART = 1_000_000

Samples = Mapping[str, Sequence[Any]]  # curve -> what was measured in each run
Told = Callable[[str, int, int], None]  # curve, runs done, of how many


class Demand(NamedTuple):
    """What must hold for the experiment to count as reproduced."""

    text: str
    held: bool


@dataclass(frozen=True)
class Table:
    """Ours beside theirs. `notes`: what a reader must know to judge it, such as which numbers were fitted."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    demands: tuple[Demand, ...]
    notes: tuple[str, ...] = ()

    @property
    def held(self) -> bool:
        return all(demand.held for demand in self.demands)

    def __str__(self) -> str:
        widths = [max(len(row[i]) for row in (self.head, *self.rows)) for i in range(len(self.head))]
        lines = [self.title, ""]
        lines += [_line(row, widths) for row in (self.head, tuple("-" * w for w in widths), *self.rows)]
        lines += ["", *(f"{'PASS' if d.held else 'FAIL'}  {d.text}" for d in self.demands)]
        for note in self.notes:
            lines += wrap(note, WIDTH, initial_indent="note: ", subsequent_indent="      ")
        return "\n".join(lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """The first column to the left, the others to the right."""
    first, *others = [
        f"{c:<{w}}" if i == 0 else f"{c:>{w}}" for i, (c, w) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join([first, *others]).rstrip()


class Curve(NamedTuple):
    """One set of runs: a scenario and what is measured of it."""

    name: str
    scenario: Scenario
    measure: Factory[Any]
    share: float = 1.0  # of the runs that are asked for: some curves were published with fewer trials


class Experiment(ABC):
    """One published experiment. `runs`: of each curve, unless the user says another number."""

    id: str
    title: str
    source: str
    runs: int

    @abstractmethod
    def _curves(self) -> list[Curve]: ...

    @cached_property
    def curves(self) -> list[Curve]:
        """What is run."""
        return self._curves()

    @abstractmethod
    def table(self, samples: Samples) -> Table:
        """Ours beside theirs."""

    def samples(
        self,
        runs: int | None = None,
        *,
        only: Sequence[str] = (),
        workers: int | None = None,
        told: Told | None = None,
    ) -> dict[str, list[Any]]:
        """What was measured, in the order of the seeds. `only`: names of curves. `workers`: processes, as `sweep`'s."""
        if workers == 1:
            return self._samples(runs, only, None, told)
        with workers_pool(workers) as pool:
            return self._samples(runs, only, pool, told)

    def _samples(
        self, runs: int | None, only: Sequence[str], pool: Executor | None, told: Told | None
    ) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for i, curve in enumerate(self.curves):
            if only and curve.name not in only:
                continue
            first, number = 1 + i * SEEDS_APART, max(1, round((runs or self.runs) * curve.share))
            seeds = range(first, first + number)
            progress = _progress(curve.name, told)
            found[curve.name] = sweep(curve.scenario, seeds, curve.measure, pool=pool, workers=1, progress=progress)
        return found


def _progress(curve: str, told: Told | None) -> Callable[[int, int], None] | None:
    return None if told is None else lambda done, of: told(curve, done, of)


@cache
def template(name: str) -> Scenario:
    """A file of `scenarios/experiments`."""
    path = FOLDER / f"{name}.yaml"
    if not path.exists():
        raise SwarmsimError(f"{path}: no such file; a clone of the project has it")
    return load(path)


def millis(micros: float) -> str:
    return f"{micros / 1000:.0f}"


def off_by(ours: float, theirs: float) -> str:
    """`+1.2%`."""
    return f"{ours / theirs - 1:+.1%}"


__all__ = ["Curve", "Demand", "Experiment", "Samples", "Table", "millis", "off_by", "template"]
