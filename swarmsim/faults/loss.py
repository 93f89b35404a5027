"""`loss`: a share of the packets vanishes: datagrams are gone, streams resend and stall (SCENARIOS.md section 6).

The link throws the dice (`sim.links`), for only it knows what a stream's resending costs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BeforeValidator, WithJsonSchema

from .base import Aim, Hit, LinkFault, LinkRule, Micros

if TYPE_CHECKING:
    from ..cluster import Cluster

_PERCENT = re.compile(r"(\d+(?:\.\d+)?)%")


def parse_share(value: Any) -> float:
    """SHARE: percent, 0 to 100, as a fraction."""
    found = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        hint = f"{value}%" if isinstance(value, int) and not isinstance(value, bool) else "30%"
        raise ValueError(f"`{value}` is no share; write a percentage such as {hint}")
    percent = float(found[1])
    if percent > 100:
        raise ValueError(f"`{value}` is more than all; write 0% to 100%")
    return percent / 100


def format_share(share: float) -> str:
    return f"{share * 100:g}%"


Share = Annotated[float, BeforeValidator(parse_share), WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?%$"})]


class Loss(LinkFault):
    """Datagrams between the nodes and their peers vanish; streams resend and stall."""

    verb: ClassVar[str] = "loss"
    aims: ClassVar[dict[str, str]] = {"loss": "nodes", "peers": "nodes"}

    loss: Aim
    share: Share

    def detail(self) -> str:
        return " ".join(filter(None, (format_share(self.share), self.way())))

    def rule(self, cluster: Cluster, hit: Hit) -> LossRule:
        return LossRule(hit, cluster.names, self.direction, self.share)


class LossRule(LinkRule):
    def __init__(self, hit: Hit, names: list[str], direction: str, share: float) -> None:
        super().__init__(hit, names, direction)
        self.share = share

    def verdict(self, src: str, dst: str, stream: bool, now: Micros) -> tuple[str, float] | None:
        return ("lose", self.share) if self.concerns(src, dst) else None
