"""The transmit-limited queue (memberlist queue.go)."""

import pytest

from swarmsim.gossip.broadcast import Queue, retransmit_limit
from swarmsim.gossip.messages import Alive, Dead, Incarnation, Statement, Suspect

ONE = Incarnation(0, 1)


def alive(name: str) -> Statement:
    return Alive(name, ONE)


def named(statements: list[Statement]) -> list[str]:
    return [statement.node for statement in statements if isinstance(statement, Alive)]


@pytest.mark.parametrize(
    ("n", "limit"),
    [(1, 4), (8, 4), (9, 4), (10, 8), (99, 8), (100, 12), (999, 12), (1000, 16), (9999, 16), (10_000, 20)],
)
def test_retransmit_limit_grows_with_the_logarithm_of_the_cluster(n: int, limit: int) -> None:
    """G-004."""
    assert retransmit_limit(4, n) == limit


def test_fewest_transmits_go_first_then_the_longest_then_the_newest() -> None:
    """G-026, G-031."""
    queue = Queue()
    for name, transmits, length in [("a", 1, 20), ("b", 0, 10), ("c", 0, 12), ("d", 0, 12), ("e", 7, 99)]:
        queue.insert(name, alive(name), transmits, length)

    assert named(queue.statements()) == ["d", "c", "b", "a", "e"]


def test_a_packet_takes_what_fits() -> None:
    """G-028."""
    queue = Queue()
    for name in "abcd":
        queue.insert(name, alive(name), length=18)

    first, _ = queue.fetch(2, 80, limit=6)
    second, _ = queue.fetch(3, 80, limit=6)

    assert [len(first), len(second)] == [4, 3]


def test_a_statement_is_forgotten_when_its_transmits_are_spent() -> None:
    """G-029."""
    queue = Queue()
    for name in "abcd":
        queue.insert(name, alive(name), length=18)

    taken = [len(queue.fetch(3, 80, limit=2)[0]) for _ in range(4)]

    assert taken == [3, 3, 2, 0]
    assert not queue


def test_only_the_latest_news_of_a_member_is_kept() -> None:
    """G-032, G-073: whatever its type; news of another member stays."""
    queue = Queue()
    queue.insert("x", Suspect("x", ONE, "first"))
    queue.insert("y", Dead("y", ONE, "me"))

    queue.insert("x", Suspect("x", ONE, "second"))

    assert sorted(queue.statements()) == [Suspect("x", ONE, "second"), Dead("y", ONE, "me")]
