"""A curve of which quantiles were published, and how near ours comes to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..distributions import distance_at, mean, quantile
from .base import off_by

#: The quantiles that the published data is summed up in, in the order of the tables.
QUANTILES = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)

DISTANCE = "distance: what the published quantiles prove of the Kolmogorov-Smirnov statistic, a lower bound of it."


class Published(NamedTuple):
    """`values` at `QUANTILES` of `trials` trials, in milliseconds; the last is the maximum."""

    trials: int
    values: tuple[float, ...]
    mean: float

    def at(self, p: float) -> float:
        return self.values[QUANTILES.index(p)]

    def distance(self, ours: Sequence[float]) -> float:
        """A lower bound of the Kolmogorov-Smirnov statistic. The extremes are left out: they are single trials."""
        inner = dict(list(zip(QUANTILES, self.values, strict=True))[1:-1])
        return distance_at(ours, inner, self.trials)


def row(name: str, ours: Sequence[float], theirs: Published, shown: Sequence[float]) -> tuple[str, ...]:
    """Ours/theirs at some quantiles, means, how far the median is off, the distance. `ours` ascending."""
    pairs = [f"{quantile(ours, p):.0f}/{theirs.at(p):.0f}" for p in shown]
    means = f"{mean(ours):.0f}/{theirs.mean:.0f}"
    median = off_by(quantile(ours, 0.5), theirs.at(0.5))
    return (name, str(len(ours)), *pairs, means, median, f"{theirs.distance(ours):.3f}")


def head(name: str, shown: Sequence[float]) -> tuple[str, ...]:
    return (name, "runs", *(f"p{p * 100:g}" for p in shown), "mean", "median off", "distance")
