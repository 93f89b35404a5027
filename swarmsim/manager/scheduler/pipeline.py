"""The filters asked in order, and the explanation when a task finds no node.

SwarmKit manager/scheduler/pipeline.go, reference/orchestration.md 14.5. The counts of refused nodes start again
whenever a node passes, so after part of a batch was placed the explanation covers only the checks since.
"""

from __future__ import annotations

from ...api.objects import Task
from ...store import MemoryStore
from .filters import FILTERS, Check
from .node_info import NodeInfo

PASSED = -1


class Pipeline:
    """Loaded with a task, tells which filter refuses a node."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._checks: list[tuple[int, Check]] = []
        self._refused = [0] * len(FILTERS)
        self._dirty = False

    def load(self, task: Task) -> None:
        """Prepare the filters for `task` (pipeline.go `SetTask`)."""
        self._checks = [
            (i, check) for i, f in enumerate(FILTERS) if (check := f.prepare(task, self._store)) is not None
        ]
        self._forget()

    def verdict(self, info: NodeInfo) -> int:
        """Which filter refuses the node (its index), or `PASSED`. Counts nothing."""
        for i, check in self._checks:
            if not check(info):
                return i
        return PASSED

    def count(self, verdict: int) -> None:
        """Charge a filter with a node; a node that passed makes all counts start again."""
        if verdict >= 0:
            self._refused[verdict] += 1
            self._dirty = True
        elif self._dirty:
            self._forget()

    def process(self, info: NodeInfo) -> bool:
        """May the node take the loaded task? (pipeline.go `Process`)"""
        verdict = self.verdict(info)
        self.count(verdict)
        return verdict < 0

    def explain(self) -> str:
        """Why nodes were refused, most nodes first (pipeline.go `Explain`)."""
        return explanation(self._refused)

    def _forget(self) -> None:
        self._refused = [0] * len(FILTERS)
        self._dirty = False


def explanation(refused: list[int]) -> str:
    """`insufficient resources on 2 nodes; 1 node not available for new tasks`; equal counts keep filter order."""
    order = sorted(range(len(FILTERS)), key=lambda i: -refused[i])
    return "; ".join(FILTERS[i].explain(refused[i]) for i in order if refused[i])
