"""`disk`: what befalls a node's disk (SCENARIOS.md section 6): slow, stalled, or full.

The write-ahead log is written and synced before a manager sends what depends on it, so a slow disk slows the group, a
stalled one stops a member without silencing it, and a full one ends its manager, which starts again with backoff.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, model_validator

from ..sim import rng
from .base import Aim, Fault, Hit, Times, format_times

if TYPE_CHECKING:
    from ..cluster import Cluster


class Disk(Fault):
    """Syncs take `by` longer (`is: slow`), do not return (`stalled`), or fail (`full`), while it lasts."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    verb: ClassVar[str] = "disk"
    aims: ClassVar[dict[str, str]] = {"disk": "nodes"}

    disk: Aim
    is_: Literal["slow", "stalled", "full"] = Field(alias="is")
    by: Times | None = None
    for_: Times | None = Field(None, alias="for")

    @model_validator(mode="after")
    def _by_goes_with_slow(self) -> Disk:
        if self.is_ == "slow" and self.by is None:
            raise ValueError("`by` is missing in `disk`; write by: 50ms..200ms, how much longer each sync takes")
        if self.is_ != "slow" and self.by is not None:
            raise ValueError(f"`by` says how slow a disk is, and means nothing with is: {self.is_}; leave it out")
        return self

    def detail(self) -> str:
        return f"slow by {format_times(self.by)}" if self.by is not None else self.is_

    def begin(self, cluster: Cluster, hit: Hit) -> dict[str, Any]:
        troubles = {}
        for name in hit.nodes:
            dice = rng.stream(hit.seed, "disk", hit.entry, name)
            troubles[name] = cluster.hosts[name].disk.trouble(self.is_, self.by, dice)
            cluster.network.disturb(name, hit.started)
        return troubles

    def undo(self, cluster: Cluster, hit: Hit, done: dict[str, Any], cause: int) -> None:
        for name, trouble in done.items():
            cluster.hosts[name].disk.relieve(trouble)
            cluster.network.disturb(name, cause)
