"""V1: how often an election is split, against the formula of Ongaro's thesis, section 9.2.

With a fixed latency of the share `l` of the timeouts' range, `s` of `n` servers available, and timeouts uniform over
the range: the first election is split if the first c = s - floor(n/2) + 1 servers time out within l of each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from typing import NamedTuple

from ..distributions import deviation_of_share
from . import cold_start
from .base import Curve, Demand, Experiment, Samples, Table, template

LOW, RANGE = 150_000, 150_000  # of the timeouts, in microseconds
SIGMAS = 3


class Cell(NamedTuple):
    """`low` and `high`: the latency, as shares of the timeouts' range."""

    servers: int
    failed: int
    low: float
    high: float

    @property
    def name(self) -> str:
        latency = f"{self.low:g}" if self.low == self.high else f"{self.low:g} to {self.high:g}"
        return f"{self.servers} servers, {self.failed} failed, latency {latency}"


def fixed(servers: int, failed: int, latency: float) -> Cell:
    return Cell(servers, failed, latency, latency)


#: The ten cells of the formula, among them those that the thesis names in its text.
CELLS = (
    fixed(3, 1, 0.1),
    fixed(5, 1, 0.1),
    fixed(5, 1, 0.2),
    fixed(5, 2, 0.1),
    fixed(5, 2, 0.2),
    fixed(7, 1, 0.2),
    fixed(9, 2, 0.2),
    fixed(9, 3, 0.2),
    fixed(9, 4, 0.1),
    fixed(9, 4, 0.2),
)
#: Latencies that vary, and what the thesis says of them: "about 16 %", "nearly 40 %".
VARIED = {Cell(5, 1, 0.1, 0.2): 0.16, Cell(5, 2, 0.1, 0.2): 0.39}
VARIED_TOLERANCE = 0.02
VARIED_SHARE = 0.5  # of the runs of the others: 10,000, as in the thesis


def split_chance(servers: int, available: int, latency: float) -> float:
    """The formula: the chance that the first election has no winner."""
    c = available - servers // 2 + 1
    return sum(comb(available, k) * latency**k * (1 - latency) ** (available - k) for k in range(c - 1, available + 1))


class SplitVotes(Experiment):
    id = "V1"
    title = "How often an election is split: formula and simulation"
    source = "Ongaro, Consensus: Bridging Theory and Practice (2014), section 9.2"
    runs = 20_000

    def _curves(self) -> list[Curve]:
        return [self._curve(cell) for cell in (*CELLS, *VARIED)]

    def _curve(self, cell: Cell) -> Curve:
        scenario = template("split-vote").but(
            cluster={
                "managers": cell.servers,
                "network": {"latency": f"{round(cell.low * RANGE)}us..{round(cell.high * RANGE)}us"},
            },
            timeline=cold_start.timeline(cold_start.last_servers(cell.servers, cell.failed)),
            expect=None,
        )
        return Curve(cell.name, scenario, cold_start.FirstElection, VARIED_SHARE if cell in VARIED else 1.0)

    def table(self, samples: Samples) -> Table:
        exact = [self._row(cell, samples[cell.name]) for cell in CELLS]
        varied = [self._varied(cell, said, samples[cell.name]) for cell, said in VARIED.items()]
        return Table(
            self.title,
            ("servers, failures, latency in ranges", "runs", "ours", "theirs", "off by", "sigmas"),
            tuple(row for row, _ in (*exact, *varied)),
            (
                Demand(f"all {len(exact)} cells within {SIGMAS} sigmas of the formula", all(ok for _, ok in exact)),
                Demand("with varied latency within 2 points of what the text says", all(ok for _, ok in varied)),
            ),
        )

    def _row(self, cell: Cell, elections: Sequence[cold_start.Election]) -> tuple[tuple[str, ...], bool]:
        n, ours = len(elections), split_share(elections)
        theirs = split_chance(cell.servers, cell.servers - cell.failed, cell.low)
        sigmas = (ours - theirs) / deviation_of_share(theirs, n)
        cells = (cell.name, str(n), f"{ours:.2%}", f"{theirs:.2%}", f"{ours - theirs:+.2%}", f"{sigmas:+.1f}")
        return cells, abs(sigmas) <= SIGMAS

    def _varied(
        self, cell: Cell, said: float, elections: Sequence[cold_start.Election]
    ) -> tuple[tuple[str, ...], bool]:
        n, ours = len(elections), split_share(elections)
        cells = (cell.name, str(n), f"{ours:.2%}", f"~{said:.0%}", f"{ours - said:+.2%}", "")
        return cells, abs(ours - said) <= VARIED_TOLERANCE


def split_share(elections: Sequence[cold_start.Election]) -> float:
    return sum(e.terms > 1 for e in elections) / len(elections)
