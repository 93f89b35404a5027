"""One way from host to host: its latency, its loss, and the order that a stream keeps."""

from __future__ import annotations

from collections import deque
from random import Random
from typing import Any, NamedTuple

Micros = int

# A lost segment is sent again after the retransmission timeout, which doubles (RFC 6298; Linux's minimum).
RETRANSMIT: Micros = 200_000
RETRANSMITS = 6

# A stream's message that could not pass for this long is given up: the stall watchdog of a Raft stream
# (transport/peer.go, 2 s); other callers' deadlines are of the same order.
STALL_LIMIT: Micros = 2_000_000


class Normal(NamedTuple):
    """A latency around `mean`, normally distributed; what would be negative is drawn again."""

    mean: Micros
    deviation: Micros

    def draw(self, rng: Random) -> Micros:
        while True:
            drawn = round(rng.gauss(self.mean, self.deviation))
            if drawn >= 0:
                return drawn


Latency = tuple[Micros, Micros] | Normal  # a range, drawn from uniformly over whole microseconds; or bell-shaped


class Way(NamedTuple):
    """What differs on the ways from one set of hosts to another; None: as everywhere. `peers` None: all others."""

    nodes: frozenset[str]
    peers: frozenset[str] | None
    direction: str = "both"  # in: to `nodes`; out: from them
    latency: Latency | None = None
    loss: float | None = None

    def concerns(self, src: str, dst: str) -> bool:
        inward = self.direction != "out" and dst in self.nodes and self._other(src)
        return inward or (self.direction != "in" and src in self.nodes and self._other(dst))

    def _other(self, name: str) -> bool:
        return name not in self.nodes if self.peers is None else name in self.peers


class Link:
    """From `src` to `dst`. `latency` is what one packet's way takes.

    What is lost is drawn from a stream of its own, so that a loss moves no latency.
    """

    __slots__ = ("blocked", "dice", "dst", "high", "loss", "low", "normal", "rng", "src", "stalled", "stream_free_at")

    def __init__(self, src: str, dst: str, rng: Random, dice: Random, latency: Latency, loss: float) -> None:
        self.src = src
        self.dst = dst
        self.rng = rng
        self.dice = dice
        self.normal = latency if type(latency) is Normal else None
        self.low = latency[0]
        self.high = latency[1] - latency[0] + 1
        self.loss = loss
        self.stream_free_at = 0  # no later message of a stream arrives before this
        self.blocked = False  # the last packet was swallowed by a rule
        self.stalled: deque[tuple[Micros, Any]] = deque()  # stream messages that wait for the way to open

    def draw(self) -> Micros:
        if self.normal is not None:
            return self.normal.draw(self.rng)
        return self.low + int(self.rng.random() * self.high)

    def in_order(self, now: Micros, delay: Micros) -> Micros:
        """The delay of a stream's next message: it never overtakes one before it."""
        at = now + delay
        if at < self.stream_free_at:
            return self.stream_free_at - now
        self.stream_free_at = at
        return delay

    # -- loss --
    def passes(self, loss: float) -> bool:
        """Does a datagram come through?"""
        return self.dice.random() >= loss

    def resends(self, loss: float) -> Micros:
        """Extra time that a stream's message needs because `loss` of its packets vanish."""
        extra, timeout = 0, RETRANSMIT
        for _ in range(RETRANSMITS):
            if self.passes(loss):
                break
            extra += timeout
            timeout *= 2
        return extra

    # -- a way that is closed --
    def stall(self, now: Micros, message: Any) -> None:
        """A stream's message waits for the way to open; what has waited for too long is given up."""
        self.stalled.append((now, message))
        while now - self.stalled[0][0] > STALL_LIMIT:
            self.stalled.popleft()

    def release(self, now: Micros) -> list[Any]:
        """The way is open: what still waits, in order."""
        waiting = [message for since, message in self.stalled if now - since <= STALL_LIMIT]
        self.stalled.clear()
        return waiting
