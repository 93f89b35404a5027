"""`delay`: each packet takes that much longer (SCENARIOS.md section 6), drawn from a stream for each way."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, ClassVar

from ..sim import rng
from .base import Aim, Hit, LinkFault, LinkRule, Micros, Times, format_times

if TYPE_CHECKING:
    from ..cluster import Cluster


class Delay(LinkFault):
    """Each packet between the nodes and their peers takes `by` longer."""

    verb: ClassVar[str] = "delay"
    aims: ClassVar[dict[str, str]] = {"delay": "nodes", "peers": "nodes"}

    delay: Aim
    by: Times

    def detail(self) -> str:
        return " ".join(filter(None, (f"by {format_times(self.by)}", self.way())))

    def rule(self, cluster: Cluster, hit: Hit) -> DelayRule:
        return DelayRule(hit, cluster.names, self.direction, self.by)


class DelayRule(LinkRule):
    def __init__(self, hit: Hit, names: list[str], direction: str, by: tuple[Micros, Micros]) -> None:
        super().__init__(hit, names, direction)
        self.low, self.high = by
        self._streams: dict[tuple[str, str], Random] = {}

    def verdict(self, src: str, dst: str, stream: bool, now: Micros) -> tuple[str, Micros] | None:
        if not self.concerns(src, dst):
            return None
        if self.low == self.high:
            return ("delay", self.low)
        dice = self._streams.get((src, dst))
        if dice is None:
            dice = self._streams[src, dst] = rng.stream(self.seed, "delay", self.entry, src, dst)
        return ("delay", dice.randint(self.low, self.high))
