"""Comparing what was measured with what was published: quantiles, distances between distributions, chance.

Quantiles are those of the published tables: `sorted(values)[int(p * n)]`, no interpolation.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from math import exp, sqrt


def quantile(values: Sequence[float], p: float) -> float:
    """`values` ascending."""
    return values[min(int(p * len(values)), len(values) - 1)]


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def share_below(values: Sequence[float], x: float) -> float:
    """Of ascending values, the share that is less than x."""
    return bisect_left(values, x) / len(values)


def share_up_to(values: Sequence[float], x: float) -> float:
    return bisect_right(values, x) / len(values)


def distance_at(values: Sequence[float], published: Mapping[float, float], n: int) -> float:
    """How far a distribution is from one of which only some quantiles were published, of `n` values.

    The largest difference of the two distribution functions that can be proved from those quantiles: a lower bound of
    the Kolmogorov-Smirnov statistic, which looks everywhere. Ties count for neither side: where many published values
    are equal (they are whole milliseconds), any position among them will do.
    """
    furthest = 0.0
    for p, x in published.items():
        k = min(int(p * n), n - 1)
        # Of the published values at most k are less than x, and at least k + 1 are not more.
        furthest = max(furthest, share_below(values, x) - k / n, (k + 1) / n - share_up_to(values, x))
    return furthest


def kolmogorov_smirnov(a: Sequence[float], b: Sequence[float]) -> float:
    """The two-sample statistic of ascending values."""
    return max(abs(share_up_to(a, x) - share_up_to(b, x)) for x in (*a, *b))


def chance_of(distance: float, n: int, m: int) -> float:
    """How likely two samples of n and m from one distribution are at least so far apart (Stephens' approximation)."""
    root = sqrt(n * m / (n + m))
    x = (root + 0.12 + 0.11 / root) * distance
    if x < 0.2:
        return 1.0
    tail = sum((1.0 if k % 2 else -1.0) * exp(-2 * (k * x) ** 2) for k in range(1, 101))
    return min(1.0, max(0.0, 2 * tail))


def deviation_of_share(p: float, n: int) -> float:
    """The standard deviation of a share of n draws that each come with chance p."""
    return sqrt(p * (1 - p) / n)
