"""`kill`: containers exit with 137, as after `docker kill` (SCENARIOS.md section 6). Over at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from .base import Aim, Fault, Hit

if TYPE_CHECKING:
    from ..cluster import Cluster

SIGKILLED = 137  # 128 + SIGKILL


class Kill(Fault):
    """The containers of tasks exit with 137."""

    verb: ClassVar[str] = "kill"
    aims: ClassVar[dict[str, str]] = {"kill": "tasks"}

    kill: Aim

    def detail(self) -> str:
        return f"exit {SIGKILLED}"

    def begin(self, cluster: Cluster, hit: Hit) -> None:
        for node, task, _ in hit.tasks:
            cluster.engines[node].kill(task, code=SIGKILLED, cause=hit.started)
