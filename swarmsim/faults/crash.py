"""`crash`: nodes go off, their containers gone; after `for` the engine starts again (SCENARIOS.md section 6).

`power` (the default): silent, and unsynced writes are lost. `process`: the engine is killed, its connections are reset,
the disk is whole. `engine`: as `process`, but the containers run on (Docker's live-restore), and the engine that
starts again finds them. Crashes may overlap: a node is off while any of them holds it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

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

    def detail(self) -> str:
        return {"process": "process killed", "power": "power off", "engine": "engine killed"}[self.how]

    def begin(self, cluster: Cluster, hit: Hit) -> None:
        for name in hit.nodes:
            hit.holds[name] = hit.holds.get(name, 0) + 1
            if cluster.hosts[name].up:
                cluster.hosts[name].crash(self.how, hit.started)

    def undo(self, cluster: Cluster, hit: Hit, done: None, cause: int) -> None:
        for name in hit.nodes:
            hit.holds[name] -= 1
            if not hit.holds[name] and not cluster.hosts[name].up:
                cluster.hosts[name].start(cause)
