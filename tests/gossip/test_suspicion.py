"""Suspicion timers (memberlist suspicion.go, util.go)."""

import pytest

from swarmsim.gossip.config import GossipConfig
from swarmsim.gossip.messages import Incarnation
from swarmsim.gossip.suspicion import Suspicion, min_timeout, wanted_confirmations
from swarmsim.machine import MILLISECOND, SECOND

ONE = Incarnation(0, 1)


def suspicion(k: int, shortest: float, longest: float) -> Suspicion:
    return Suspicion("me", ONE, k, round(shortest * SECOND), round(longest * SECOND), now=0)


@pytest.mark.parametrize(
    ("n", "scale"),
    [(5, 1000), (10, 1000), (50, 1698), (100, 2000), (500, 2698), (1000, 3000)],
)
def test_the_shortest_timeout_grows_with_log10_of_the_cluster(n: int, scale: int) -> None:
    """G-001."""
    assert min_timeout(3, n, SECOND) == 3 * scale * MILLISECOND


@pytest.mark.parametrize(
    ("n", "shortest"),
    [(3, 4000), (32, 6020), (128, 8428), (1000, 12_000), (10_000, 16_000)],
)
def test_lan_suspicions_run_between_the_shortest_and_six_times_that(n: int, shortest: int) -> None:
    """G-002."""
    begun = Suspicion.begin(GossipConfig(), n, "me", ONE, now=0)

    assert (begun.shortest, begun.longest) == (shortest * MILLISECOND, 6 * shortest * MILLISECOND)


@pytest.mark.parametrize(
    ("confirmations", "elapsed", "remaining"),
    [(0, 0, 30_000), (1, 2, 14_000), (2, 3, 4_810), (3, 4, -2_000), (4, 5, -3_000), (5, 10, -8_000)],
)
def test_each_confirmation_brings_the_end_nearer(confirmations: int, elapsed: int, remaining: int) -> None:
    """G-007."""
    begun = suspicion(3, 2, 30)
    begun.confirmations = confirmations

    assert begun.remaining(elapsed * SECOND) == remaining * MILLISECOND


@pytest.mark.parametrize(
    ("accusers", "counted", "fires"),
    [
        ([], 0, 2.0),  # G-011
        (["me"], 0, 2.0),
        (["foo", "foo", "foo"], 1, 1.25),  # G-013
        (["foo", "bar"], 2, 0.811),  # G-014
        (["foo", "bar", "baz", "zoo"], 3, 0.5),  # G-016
    ],
)
def test_only_new_accusers_confirm(accusers: list[str], counted: int, fires: float) -> None:
    begun = suspicion(3, 0.5, 2.0)

    for accuser in accusers:
        begun.confirm(accuser)

    assert begun.confirmations == counted
    assert begun.timeout == round(fires * SECOND)


def test_without_others_to_confirm_the_shortest_timeout_holds() -> None:
    """G-017."""
    begun = suspicion(0, 0.025, 30)

    assert not begun.confirm("foo")
    assert begun.timeout == 25 * MILLISECOND


@pytest.mark.parametrize(
    ("n", "confirmations", "dead_after"),
    [
        (2, 0, 500),
        (3, 0, 500),
        (4, 0, 500),
        (5, 0, 1000),
        (6, 0, 1000),
        (6, 1, 750),
        (6, 2, 603),
        (6, 3, 500),
        (6, 4, 500),
    ],
)
def test_dogpile(n: int, confirmations: int, dead_after: int) -> None:
    """G-019 (0.604 within 25 ms there: the formula floors to 603)."""
    config = GossipConfig(probe_interval=100 * MILLISECOND, suspicion_mult=5, suspicion_max_timeout_mult=2)
    begun = Suspicion.begin(config, n, "me", ONE, now=0)

    for i in range(confirmations):
        begun.confirm(f"n{i}")

    assert abs(begun.timeout - dead_after * MILLISECOND) <= MILLISECOND


def test_confirmations_are_wanted_only_where_they_can_come() -> None:
    """memberlist state.go `suspectNode`: k = 0 when n - 2 < k."""
    assert [wanted_confirmations(4, n) for n in (2, 3, 4, 50)] == [0, 0, 2, 2]
