"""V6: how long a swarm is without a leader when the leader's process is killed, against a real cluster's failovers.

Twenty failovers of a real SwarmKit cluster of three managers and a worker (moby/swarmkit at 3e72cb6, on loopback), from
killing the leader's process at a random moment to a follower's answer that names another leader. The derived quantiles
follow from its constants alone (a tick of 1 s, timeouts of 10 to 19 ticks, the lease): nothing is fitted.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from ...trace.events import BecameFollower, HostCrashed
from ..distributions import chance_of, kolmogorov_smirnov, mean, quantile
from ..measure import Span
from .base import Curve, Demand, Experiment, Samples, Table, template
from .figure_16 import hears_leader

#: Seconds.
RECORDED = (
    9.0, 9.3, 9.6, 9.7, 10.0, 10.3, 10.3, 11.3, 11.3, 12.9, 13.2, 13.5, 13.5, 13.8, 15.4, 15.5, 17.4, 19.8, 24.4, 27.7,
)  # fmt: skip

MEDIAN_TOLERANCE = 0.6  # seconds
LEAST_CHANCE = 0.05


class Derived(NamedTuple):
    """Seconds, of swarms with so many managers."""

    managers: int
    mean: float
    p10: float
    p50: float
    p90: float
    p99: float

    @property
    def name(self) -> str:
        return f"{self.managers} managers"


DERIVED = (
    Derived(3, 13.3, 9.6, 12.3, 18.0, 26.7),
    Derived(5, 12.1, 9.3, 10.9, 18.5, 24.5),
    Derived(7, 11.6, 9.1, 10.4, 18.8, 22.8),
)


class Failover(Experiment):
    id = "V6"
    title = "A swarm without a leader, seconds after its leader's process is killed (ours/theirs)"
    source = "SwarmKit's constants, and twenty recorded failovers of a real cluster"
    runs = 1_000

    def _curves(self) -> list[Curve]:
        measure = partial(Span, HostCrashed, BecameFollower, hears_leader)
        base = template("swarm-failover")
        return [
            Curve(d.name, base.but(cluster={"managers": d.managers}, expect=None, duration="10m"), measure)
            for d in DERIVED
        ]

    def times(self, samples: Samples, managers: int) -> list[float]:
        """In seconds, ascending."""
        return sorted(took / 1e6 for took in samples[f"{managers} managers"])

    def table(self, samples: Samples) -> Table:
        ours = self.times(samples, 3)
        distance = kolmogorov_smirnov(ours, RECORDED)
        chance = chance_of(distance, len(ours), len(RECORDED))
        wanted = DERIVED[0].p50
        return Table(
            self.title,
            ("theirs", "runs", "p10", "p50", "p90", "p99", "mean"),
            (
                *(_derived(d, self.times(samples, d.managers)) for d in DERIVED),
                _recorded(ours),
            ),
            (
                Demand(
                    f"3 managers: median within {MEDIAN_TOLERANCE} s of {wanted}",
                    abs(quantile(ours, 0.5) - wanted) <= MEDIAN_TOLERANCE,
                ),
                Demand(
                    f"the recorded times are not rejected: distance {distance:.2f}, chance {chance:.2f}",
                    chance > LEAST_CHANCE,
                ),
            ),
        )


def _derived(d: Derived, ours: list[float]) -> tuple[str, ...]:
    theirs = (d.p10, d.p50, d.p90, d.p99)
    pairs = [f"{quantile(ours, p):.1f}/{x}" for p, x in zip((0.1, 0.5, 0.9, 0.99), theirs, strict=True)]
    return (f"derived, {d.name}", str(len(ours)), *pairs, f"{mean(ours):.1f}/{d.mean}")


def _recorded(ours: list[float]) -> tuple[str, ...]:
    pairs = [f"{quantile(ours, p):.1f}/{quantile(RECORDED, p)}" for p in (0.1, 0.5, 0.9)]
    return ("recorded, 3 managers", str(len(ours)), *pairs, "", f"{mean(ours):.1f}/{mean(RECORDED):.1f}")
