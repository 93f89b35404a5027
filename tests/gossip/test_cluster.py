"""Whole clusters: convergence, what it costs, and that skipping changes no distribution."""

from collections.abc import Callable

import pytest

from swarmsim.gossip import AddEndpoint, JoinNetwork
from swarmsim.machine import MILLISECOND, SECOND
from swarmsim.trace.events import (
    EndpointDropped,
    EndpointLearned,
    PeerDeclaredDead,
    PeerRecovered,
    PeerSuspected,
)

from .world import World, endpoint


def formed(n: int, seed: int = 0, exact: bool = False, loss: float = 0.0) -> World:
    world = World(n, seed, exact, loss)
    for name in world.names:
        world.tell(name, JoinNetwork("ingress", formed=tuple(world.names)))
    return world


def populated(n: int, seed: int = 0, loss: float = 0.0) -> World:
    """With a task on each node that all others know."""
    world = formed(n, seed, loss=loss)
    world.run(SECOND)
    for i, name in enumerate(world.names):
        world.tell(name, AddEndpoint(endpoint(f"t{i}")))
    world.run_until(agreed(world, n), 60 * SECOND)
    return world


def agreed(world: World, rows: int) -> Callable[[], bool]:
    """All are alive to each other and show that many rows."""
    return lambda: all(world.sees_all_alive(name) and len(world.rows(name)) == rows for name in world.names)


# ---- cost ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("n", [1, 3, 50])
def test_an_idle_healthy_cluster_costs_nothing(n: int) -> None:
    """Section 5.2, rules 1, 2 and 10: one look around at the start is all."""
    world = formed(n)

    world.run(3600 * SECOND)

    assert world.served == n
    assert not world.sent
    assert not world.pending()


@pytest.mark.parametrize("n", [3, 10, 50])
def test_a_write_in_a_calm_cluster_costs_a_message_for_each_peer(n: int) -> None:
    """Section 5.2, rule 6: beside them a tick, and a timer for each distinct arrival."""
    world = formed(n)
    world.run(SECOND)

    before = world.served
    world.tell("n001", AddEndpoint(endpoint("t")))
    world.run(3600 * SECOND)

    assert world.sent == {"Packet": n - 1}
    assert world.served - before <= 2 * n
    assert not world.pending()


@pytest.mark.parametrize(("n", "bound"), [(3, 120), (10, 700), (50, 5000)])
def test_a_crash_costs_a_bounded_number_of_events(n: int, bound: int) -> None:
    """Probes of the dead node only, three rumours, one comparison with the neighbour; then all is still
    again.
    """
    world = populated(n)
    world.run(120 * SECOND)
    before = world.served
    world.sent.clear()

    world.crash("n001")
    world.run(3600 * SECOND)

    assert world.served - before < bound
    assert world.sent["Ping"] < 60
    assert not world.sent["Ack"]
    assert not world.pending()


def test_nobody_reachable_is_no_reason_to_hurry() -> None:
    """A node whose peers are all gone slows down to a try a minute, and never stands still in time."""
    world = populated(3)
    world.crash("n001")
    world.crash("n002")
    world.run(300 * SECOND)
    before = world.served

    world.run(3600 * SECOND)

    assert world.view("n000") == {"n001": "dead", "n002": "dead"}
    assert world.served - before < 200


# ---- convergence ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("loss", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("n", [3, 10, 25, 50])
def test_every_row_reaches_every_node(n: int, loss: float) -> None:
    """G-089, G-130: within a minute even if three datagrams of ten are lost."""
    world = populated(n, seed=n, loss=loss)

    assert all(len(world.rows(name)) == n for name in world.names)


def test_a_crash_takes_the_rows_of_the_node_from_everybody() -> None:
    """Section 2.8: soon after the first declares it dead."""
    world = populated(10)
    world.crash("n004")

    world.run(60 * SECOND)

    declared = [at for at, _ in world.seen(PeerDeclaredDead, peer="n004")]
    dropped = world.seen(EndpointDropped, task="t4")
    assert len(declared) == len(dropped) == 9
    assert max(declared) - min(declared) < SECOND


def test_a_node_that_restarts_joins_again_and_learns_the_table() -> None:
    """A new run of the daemon: members by push/pull, rows by bulk sync, its old rows gone everywhere."""
    world = populated(10)
    world.crash("n004")
    world.run(60 * SECOND)

    world.start("n004")
    world.tell("n004", JoinNetwork("ingress"))
    world.tell("n004", AddEndpoint(endpoint("new")))
    took = world.run_until(agreed(world, 10), 60 * SECOND)
    world.run(120 * SECOND)

    assert took < 2 * SECOND
    assert len(world.seen(PeerRecovered, peer="n004")) == 9
    assert all("new" in world.rows(name) for name in world.names)
    assert not world.pending()


def test_a_restart_that_nobody_noticed_replaces_the_old_rows() -> None:
    """`purgeReincarnation`: no suspicion is needed."""
    world = populated(5)
    world.crash("n004")
    world.run(100 * MILLISECOND)

    world.start("n004")
    world.tell("n004", JoinNetwork("ingress"))
    world.run(60 * SECOND)

    assert not world.seen(PeerDeclaredDead)
    assert all(world.rows(name) == {"t0", "t1", "t2", "t3"} for name in world.names)


def test_a_cluster_that_lost_all_power_finds_together_again() -> None:
    world = populated(7)
    for name in world.names:
        world.crash(name)
    world.run(10 * SECOND)

    for name in world.names:
        world.start(name)
        world.tell(name, JoinNetwork("ingress"))
        world.tell(name, AddEndpoint(endpoint(f"again-{name}")))
        world.run(700 * MILLISECOND)
    world.run_until(agreed(world, 7), 60 * SECOND)
    world.run(200 * SECOND)

    assert not world.pending()


@pytest.mark.parametrize(("n", "side"), [(3, 1), (5, 2), (10, 1), (10, 5)])
def test_a_partition_heals(n: int, side: int) -> None:
    """Sections 1.11 and 2.8: each side declares the other dead and hides its rows; the next tries bring all
    back.
    """
    world = populated(n, seed=4)
    world.partition(*world.names[:side])
    world.run(120 * SECOND)
    apart = {name: len(world.rows(name)) for name in world.names}

    world.heal()
    took = world.run_until(agreed(world, n), 60 * SECOND)
    world.run(200 * SECOND)

    assert apart == {name: side if i < side else n - side for i, name in enumerate(world.names)}
    assert took < 5 * SECOND
    assert not world.pending()


def test_a_rumour_that_trouble_overtakes_still_arrives() -> None:
    """What was planned in the calm is queued when the calm ends."""
    world = formed(20)
    world.run(SECOND)
    world.tell("n000", AddEndpoint(endpoint("t")))
    world.run_until(lambda: bool(world.machines["n000"].state.planned), SECOND, MILLISECOND)

    world.loss = 0.5
    world.disturb()
    took = world.run_until(lambda: all(world.rows(name) for name in world.names), 30 * SECOND)

    assert took < 10 * SECOND


def test_a_newcomer_is_learned_by_all() -> None:
    world = World(8, start=False)
    for name in world.names[:7]:
        world.start(name, peers=world.names[:7])
    world.run(20 * SECOND)

    world.start("n007", peers=world.names[:3])
    world.run_until(lambda: all(world.sees_all_alive(name) for name in world.names), 60 * SECOND)
    world.run(120 * SECOND)

    assert not world.pending()


def test_the_same_seed_gives_the_same_run() -> None:
    def events() -> list[object]:
        world = populated(10, seed=5, loss=0.2)
        world.crash("n003")
        world.run(30 * SECOND)
        return [*world.events, world.served]

    assert events() == events()


# ---- skipping changes no distribution ------------------------------------------------------------------
def distance(a: list[int], b: list[int]) -> float:
    """Kolmogorov and Smirnov's: the greatest difference between two empirical distributions."""
    points = sorted(a + b)
    return max(abs(sum(x <= p for x in a) / len(a) - sum(x <= p for x in b) / len(b)) for p in points)


def crash_times(n: int, seed: int, exact: bool) -> tuple[int, int]:
    """From the crash to the first suspicion, and to the first death."""
    world = World(n, seed=seed + 10_000 * exact, exact=exact)
    world.run(SECOND + world.rng.randrange(SECOND))
    began = world.now
    world.crash(world.names[seed % n])
    world.run_until(lambda: bool(world.seen(PeerDeclaredDead)), 60 * SECOND, 250 * MILLISECOND)
    return world.seen(PeerSuspected)[0][0] - began, world.seen(PeerDeclaredDead)[0][0] - began


@pytest.mark.parametrize(("n", "suspect", "dead"), [(3, 1.72, 5.60), (10, 1.86, 5.67)])
def test_lazy_probes_find_the_dead_as_exact_ones_do(
    n: int,
    suspect: float,
    dead: float,
) -> None:
    """V-4, V-5: mean of the first suspicion and median of the first death, and the two ways against each
    other.
    """
    runs = 240
    lazy = [crash_times(n, seed, exact=False) for seed in range(runs)]
    exact = [crash_times(n, seed, exact=True) for seed in range(runs)]

    critical = 1.63 * (2 / runs) ** 0.5  # p = 0.01
    for i in (0, 1):
        assert distance([times[i] for times in lazy], [times[i] for times in exact]) < critical
    assert sum(times[0] for times in lazy) / runs / SECOND == pytest.approx(suspect, abs=0.2)
    assert sorted(times[1] for times in lazy)[runs // 2] / SECOND == pytest.approx(dead, abs=0.25)


def write_time(n: int, seed: int, exact: bool) -> int:
    """Until the last node has learned a row."""
    world = formed(n, seed + 10_000 * exact, exact)
    world.run(SECOND + world.rng.randrange(SECOND))
    began = world.now
    world.tell("n000", AddEndpoint(endpoint("t")))
    world.run(1500 * MILLISECOND)
    learned = world.seen(EndpointLearned)
    assert len(learned) == n
    return learned[-1][0] - began


@pytest.mark.parametrize(("n", "mean"), [(3, 0.10), (10, 0.30), (25, 0.46)])
def test_planned_rumours_arrive_as_played_ones_do(n: int, mean: float) -> None:
    """V-2, random phases: mean time until the last node has a row."""
    runs = 160
    lazy = [write_time(n, seed, exact=False) for seed in range(runs)]
    exact = [write_time(n, seed, exact=True) for seed in range(runs)]

    assert distance(lazy, exact) < 1.63 * (2 / runs) ** 0.5
    assert sum(lazy) / runs / SECOND == pytest.approx(mean, abs=0.03)
    assert sum(exact) / runs / SECOND == pytest.approx(mean, abs=0.03)
