"""Named random streams, and the clock of whole microseconds (`sim.rng`, `sim.clock`)."""

from __future__ import annotations

import os
import subprocess
import sys

from swarmsim.sim.clock import Clock
from swarmsim.sim.rng import stream
from tests.sim.world import Script, World


def test_a_stream_of_one_name_gives_the_same_numbers_again() -> None:
    assert [stream(7, "latency", "m1").random() for _ in range(3)] == [stream(7, "latency", "m1").random()] * 3


def test_streams_differ_by_seed_and_by_every_part_of_their_name() -> None:
    names = [(7, "a", "b"), (8, "a", "b"), (7, "b", "a"), (7, "a"), (7, "a", "b", "")]

    assert len({stream(*name).random() for name in names}) == len(names)


def test_a_stream_is_the_same_in_every_process() -> None:
    """Whatever PYTHONHASHSEED is."""
    code = "from swarmsim.sim.rng import stream; print(stream(7, 'latency', 'm1').random())"

    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("0", "1", "4242")
    }

    assert said == {str(stream(7, "latency", "m1").random())}


def test_two_machines_that_ask_for_one_name_draw_the_same_numbers() -> None:
    """So an agent and its dispatcher agree on heartbeats that were never sent."""
    world = World("a", "b")
    one, other = world.run(Script()), world.run(Script(), "b")

    assert one.out.stream("heartbeat/s1").random() == other.out.stream("heartbeat/s1").random()
    assert one.out.rng.random() != other.out.rng.random()


def test_time_is_counted_in_whole_microseconds() -> None:
    clock = Clock(0)
    seen = []
    for delay in (1, 2_500, 10**13):
        clock.timeout(delay).callbacks.append(lambda e: seen.append(clock.now))
    clock.run()

    assert seen == [1, 2_500, 10**13]
    assert all(type(at) is int for at in seen)


def test_asking_what_a_run_costs_costs_nothing() -> None:
    clock = Clock(0)
    for _ in range(3):
        clock.timeout(5)

    assert [clock.scheduled() for _ in range(4)] == [3, 3, 3, 3]
    clock.timeout(5)
    assert clock.scheduled() == 4
