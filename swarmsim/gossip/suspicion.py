"""Suspicion timers: how long an accused member has to refute, shortened by independent accusers.

memberlist suspicion.go and util.go (`suspicionTimeout`), Lifeguard's "dogpile" (arXiv 1707.00788, section
IV-B). A suspicion starts at its longest when others could confirm it, and each new accuser brings it nearer
to the shortest: an isolated node, whom nobody confirms, is slow to declare everybody else dead.
"""

from __future__ import annotations

from math import floor, log, log10

from ..machine import MILLISECOND, Micros
from .config import GossipConfig
from .messages import Incarnation


def min_timeout(mult: int, n: int, interval: Micros) -> Micros:
    """mult * max(1, log10 n) * interval; the scale is truncated to three decimals, as the code does (not the
    comment).
    """
    scale = floor(1000 * max(1.0, log10(max(1, n))) + 1e-9)
    return mult * scale * interval // 1000


def wanted_confirmations(mult: int, n: int) -> int:
    """memberlist state.go `suspectNode`: none when there are too few members who could give them."""
    k = mult - 2
    return k if n - 2 >= k else 0


class Suspicion:
    """One suspicion that runs. `incarnation` identifies what it accuses."""

    __slots__ = ("accusers", "confirmations", "incarnation", "k", "longest", "shortest", "started")

    def __init__(
        self, accuser: str, incarnation: Incarnation, k: int, shortest: Micros, longest: Micros, now: Micros
    ) -> None:
        self.incarnation = incarnation
        self.k = k
        self.shortest = shortest
        self.longest = longest
        self.started = now
        self.confirmations = 0
        self.accusers: dict[str, None] = {accuser: None}

    @classmethod
    def begin(
        cls,
        config: GossipConfig,
        n: int,
        accuser: str,
        incarnation: Incarnation,
        now: Micros,
    ) -> Suspicion:
        shortest = min_timeout(config.suspicion_mult, n, config.probe_interval)
        longest = config.suspicion_max_timeout_mult * shortest
        k = wanted_confirmations(config.suspicion_mult, n)
        return cls(accuser, incarnation, k, shortest, longest, now)

    @property
    def timeout(self) -> Micros:
        """From the start, with the confirmations there are now; a whole number of milliseconds unless at an
        end.
        """
        if self.k < 1:
            return self.shortest
        share = log(self.confirmations + 1) / log(self.k + 1)
        raw = self.longest - share * (self.longest - self.shortest)
        return max(self.shortest, floor(raw / MILLISECOND + 1e-9) * MILLISECOND)

    def remaining(self, now: Micros) -> Micros:
        """Until it fires; negative when that is past."""
        return self.started + self.timeout - now

    def confirm(self, accuser: str) -> bool:
        """Count an accusation; False when it brings nothing new (enough of them, or this accuser counted
        before).
        """
        if self.confirmations >= self.k or accuser in self.accusers:
            return False
        self.accusers[accuser] = None
        self.confirmations += 1
        return True
