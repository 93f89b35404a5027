"""Comparing distributions (`swarmsim.explore.distributions`), against slow and obvious twins."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmsim.explore.distributions import (
    chance_of,
    deviation_of_share,
    distance_at,
    kolmogorov_smirnov,
    quantile,
)
from swarmsim.explore.experiments.published_quantiles import QUANTILES

values = st.lists(st.integers(0, 30).map(float), min_size=1, max_size=60).map(sorted)


def test_quantiles_are_those_of_the_published_tables() -> None:
    """sorted[int(p * n)]; the last is the maximum."""
    assert [quantile([1, 2, 3, 4], p) for p in (0, 0.25, 0.5, 0.74, 0.99, 1)] == [1, 2, 3, 3, 4, 4]


@given(values, values)
def test_the_statistic_is_the_largest_difference_of_the_two_steps(a: list[float], b: list[float]) -> None:
    def steps(xs: list[float], x: float) -> float:
        return sum(v <= x for v in xs) / len(xs)

    assert kolmogorov_smirnov(a, b) == pytest.approx(max(abs(steps(a, x) - steps(b, x)) for x in range(31)))


@given(values, values)
def test_the_distance_from_quantiles_never_exceeds_the_statistic(ours: list[float], theirs: list[float]) -> None:
    """It is what the published quantiles prove, so it must hold whatever lies between them."""
    published = {p: quantile(theirs, p) for p in QUANTILES}

    assert distance_at(ours, published, len(theirs)) <= kolmogorov_smirnov(ours, theirs) + 1e-9


@given(values)
def test_a_distribution_is_at_no_distance_from_itself(ours: list[float]) -> None:
    assert distance_at(ours, {p: quantile(ours, p) for p in QUANTILES}, len(ours)) <= 1e-9


def test_the_distance_sees_a_shift() -> None:
    theirs = [float(x) for x in range(1000)]

    assert distance_at([x + 100 for x in theirs], {0.5: 500.0}, 1000) == pytest.approx(0.1, abs=0.002)


def test_the_chance_of_the_critical_value_is_five_percent() -> None:
    """Critical values of textbooks: 1.358 / sqrt(n m / (n + m)) for large samples."""
    critical = 1.358 / math.sqrt(1000 * 3000 / 4000)

    assert chance_of(critical, 1000, 3000) == pytest.approx(0.05, abs=0.003)


def test_chances_fall_from_one_to_nothing() -> None:
    chances = [chance_of(d / 100, 20, 1000) for d in range(101)]

    assert chances[0] == 1
    assert chances == sorted(chances, reverse=True)
    assert chances[-1] < 1e-9


def test_the_chance_is_how_often_it_happens() -> None:
    dice = Random(5)
    reference = sorted(dice.random() for _ in range(1000))
    trials = [kolmogorov_smirnov(sorted(dice.random() for _ in range(20)), reference) for _ in range(400)]

    as_far = sum(t >= 0.2 for t in trials) / len(trials)

    assert as_far == pytest.approx(chance_of(0.2, 20, 1000), abs=4 * deviation_of_share(as_far, 400))
