"""Heartbeats of agents that need not be sent: when they would have been.

While no fault can touch them, a heartbeat's outcome is certain, so an agent and its dispatcher skip them (they *doze*).
When the network is disturbed, both work out from one random stream when the last one was and when the next is due:
as SwarmKit manager/dispatcher/period.go draws them, one after another. Where the dispatcher has something to say that
only the answer to a heartbeat would bring (another period, the removal of the node), it rouses the agent first.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple, Protocol

Micros = int

EPSILON: Micros = 500_000
DEFAULT_PERIOD: Micros = 5_000_000


class Pulse(NamedTuple):
    """A heartbeat as the dispatcher received it: `at`, and the `period` that the agent was told to wait.

    `dozing`: the dispatcher agrees that the next ones are skipped. The agent must not doze on its own account, for
    one of the two may know of a manager that the other does not.
    """

    at: Micros
    period: Micros
    mean: Micros = DEFAULT_PERIOD  # the configured period that each is drawn around
    dozing: bool = False


class Streams(Protocol):
    now: Micros

    def stream(self, name: str) -> Random: ...


def draw_period(mean: Micros, rng: Random) -> Micros:
    """The next heartbeat's period: uniform within EPSILON of the configured one, redrawn at every beat."""
    epsilon = min(EPSILON, mean)
    return mean - epsilon + int(rng.random() * (2 * epsilon + 1))


def first_pulse(session_id: str, out: Streams, mean: Micros = DEFAULT_PERIOD) -> Pulse:
    """The last heartbeat before a cluster was handed over formed: its phase is drawn."""
    stream = out.stream(f"heartbeat/{session_id}")
    period = draw_period(mean, stream)
    return Pulse(-int(stream.random() * period), period, mean)


def catch_up(pulse: Pulse, session_id: str, out: Streams) -> Pulse:
    """The latest heartbeat that would have been received by now, `pulse` being the last that was."""
    at, period, mean, _ = pulse
    if at + period > out.now:
        return pulse
    stream = out.stream(f"heartbeat/{session_id}/{at}")
    while at + period <= out.now:
        at += period
        period = draw_period(mean, stream)
    return Pulse(at, period, mean)
