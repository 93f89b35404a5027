"""`partition`: packets between the sides vanish, and nothing is reset (SCENARIOS.md section 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from .base import Aim, Hit, LinkFault, LinkRule, Micros

if TYPE_CHECKING:
    from ..cluster import Cluster


class Partition(LinkFault):
    """Packets between the nodes and their peers vanish; nothing is reset."""

    verb: ClassVar[str] = "partition"
    aims: ClassVar[dict[str, str]] = {"partition": "nodes", "peers": "nodes"}

    partition: Aim

    def detail(self) -> str:
        return self.way()

    def rule(self, cluster: Cluster, hit: Hit) -> PartitionRule:
        return PartitionRule(hit, cluster.names, self.direction)


class PartitionRule(LinkRule):
    def verdict(self, src: str, dst: str, stream: bool, now: Micros) -> tuple[str, str] | None:
        return ("drop", self.entry) if self.concerns(src, dst) else None

    def blocks(self, src: str, dst: str) -> bool:
        return self.concerns(src, dst)
