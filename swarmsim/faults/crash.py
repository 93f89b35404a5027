"""`crash`: nodes go off, their containers gone; after `for` the engine starts again (SCENARIOS.md section 6).

`power` (the default): silent, and unsynced writes are lost; of the one that was under way a part may be on the disk,
its last record torn (drawn, one in two; `torn` says so). `process`: the engine is killed, its connections are reset,
the disk is whole. `engine`: as `process`, but the containers run on (Docker's live-restore), and the engine that
starts again finds them. Crashes may overlap: a node is off while any of them holds it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from ..sim import rng
from .base import Aim, Fault, Hit, Times

if TYPE_CHECKING:
    from ..cluster import Cluster


class Crash(Fault):
    """Nodes are off, their containers gone; after `for` their engines start."""

    verb: ClassVar[str] = "crash"
    aims: ClassVar[dict[str, str]] = {"crash": "nodes"}

    crash: Aim
    for_: Times | None = Field(None, alias="for")
    how: Literal["power", "process", "engine"] = "power"
    torn: bool | None = None

    @model_validator(mode="after")
    def _torn_by_power(self) -> Crash:
        if self.torn is not None and self.how != "power":
            raise ValueError(f"`torn` is for a loss of power: with how: {self.how} the disk is whole; leave it out")
        return self

    def detail(self) -> str:
        said = {"process": "process killed", "power": "power off", "engine": "engine killed"}[self.how]
        return f"{said} in the middle of a write" if self.torn else said

    def unfit(self, cluster: Cluster, hit: Hit) -> str:
        """A record can only be torn where one is on its way to the disk."""
        whole = [name for name in hit.nodes if self.torn and not cluster.hosts[name].disk.has_unsynced("raft")]
        return f"{whole[0]} is not writing its log" if whole else ""

    def begin(self, cluster: Cluster, hit: Hit) -> None:
        for name in hit.nodes:
            hit.holds[name] = hit.holds.get(name, 0) + 1
            host = cluster.hosts[name]
            if not host.up:
                host.stay_off()
                continue
            dice = rng.stream(hit.seed, "torn", hit.entry, name)
            tears = dice.random() < 0.5 if self.torn is None else self.torn
            host.crash(self.how, hit.started, dice if tears else None)

    def undo(self, cluster: Cluster, hit: Hit, done: None, cause: int) -> None:
        for name in hit.nodes:
            hit.holds[name] -= 1
            if not hit.holds[name] and not cluster.hosts[name].up:
                cluster.hosts[name].start(cause)
