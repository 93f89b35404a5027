"""Choosing a manager by weight (SwarmKit remotes/remotes.go). C-193."""

from collections import Counter
from random import Random

from swarmsim.agent.session import WEIGHT_MAX, Remotes


def test_there_must_be_a_peer() -> None:
    """C-193: `no remote hosts provided`."""
    assert Remotes(()).pick(Random(1)) is None


def test_peers_without_weight_are_all_chosen() -> None:
    """C-193: All weights zero: each of three within 1000 draws."""
    remotes = Remotes(("a", "b", "c"))
    for host in "abc":
        remotes.weights[host] = 0
    rng = Random(2)

    counts = Counter(remotes.pick(rng) for _ in range(1000))

    assert set(counts) == {"a", "b", "c"}
    assert all(abs(n / 1000 - 1 / 3) < 0.2 for n in counts.values())


def test_a_peer_that_failed_once_is_hardly_ever_chosen() -> None:
    """C-193: +10 each, one then -10: at most one in a thousand of 100,000 draws."""
    remotes = Remotes(("a", "b", "c"))
    for _ in range(5):
        remotes.announce("abc")
    remotes.observe("b", -10)
    rng = Random(3)

    counts = Counter(remotes.pick(rng) for _ in range(100_000))

    assert counts["b"] <= 100
    assert abs(counts["a"] / 100_000 - 0.5) < 0.2


def test_weights_move_half_way_to_what_is_observed() -> None:
    """`ceil(0.5 * observation + 0.5 * weight)`: 5, 8, 9, 10, 10 up, and 0, -5, -7 down."""
    remotes = Remotes(())
    up, down = [], []
    for _ in range(5):
        remotes.observe("a", 10)
        up.append(remotes.weights["a"])
    for _ in range(4):
        remotes.observe("a", -10)
        down.append(remotes.weights["a"])

    assert up == [5, 8, 9, 10, 10]
    assert down == [0, -5, -7, -8]


def test_weights_never_exceed_their_limit() -> None:
    remotes = Remotes(("a",))
    for _ in range(20):
        remotes.observe("a", 10_000)
    assert remotes.weights["a"] == WEIGHT_MAX

    for _ in range(20):
        remotes.observe("a", -10_000)
    assert remotes.weights["a"] == -WEIGHT_MAX


def test_after_long_good_service_one_bad_observation_still_counts() -> None:
    """1000 rounds of +10, then -10 for one: it is out of the next 1000 draws."""
    remotes = Remotes(("a", "b", "c"))
    for _ in range(1000):
        remotes.announce("abc")
    rng = Random(4)
    even = Counter(remotes.pick(rng) for _ in range(1000))
    remotes.observe("c", -10)
    after = Counter(remotes.pick(rng) for _ in range(1000))

    assert all(abs(n / 1000 - 1 / 3) < 0.2 for n in even.values())
    assert after["c"] <= 1
