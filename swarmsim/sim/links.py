"""One way from host to host: its latency, its loss, and the order that a stream keeps."""

from __future__ import annotations

from random import Random
from typing import Any

Micros = int

# A lost segment is sent again after the retransmission timeout, which doubles (RFC 6298; Linux's minimum).
RETRANSMIT: Micros = 200_000
RETRANSMITS = 6


class Link:
    """From `src` to `dst`. `latency` is the range of one packet's way, drawn uniformly over whole microseconds."""

    __slots__ = ("blocked", "dst", "high", "loss", "low", "rng", "src", "stalled", "stream_free_at")

    def __init__(self, src: str, dst: str, rng: Random, latency: tuple[Micros, Micros], loss: float) -> None:
        self.src = src
        self.dst = dst
        self.rng = rng
        self.low = latency[0]
        self.high = latency[1] - latency[0] + 1
        self.loss = loss
        self.stream_free_at = 0  # no later message of a stream arrives before this
        self.blocked = False  # the last packet was swallowed by a rule
        self.stalled: list[tuple[Micros, Any]] = []  # stream messages that wait for the way to open

    def draw(self) -> Micros:
        return self.low + int(self.rng.random() * self.high)

    def resends(self, loss: float) -> Micros:
        """Extra time that a stream's message needs because `loss` of its packets vanish."""
        extra, timeout = 0, RETRANSMIT
        for _ in range(RETRANSMITS):
            if self.rng.random() >= loss:
                break
            extra += timeout
            timeout *= 2
        return extra
