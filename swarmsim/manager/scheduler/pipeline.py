"""The filters asked in order, and the explanation when a task finds no node.

SwarmKit manager/scheduler/pipeline.go. The counts of refused nodes start again whenever a node passes, so after part
of a batch was placed the explanation covers only the checks since.
"""

from __future__ import annotations

from .filters import FILTERS, Check, Reads, Wants
from .node_info import NodeInfo

PASSED = len(FILTERS)  # a verdict beyond all filters

Counts = list[int]  # nodes refused, by filter
Checks = list[tuple[int, Check]]


class Pipeline:
    """The filters of one kind of task (pipeline.go `SetTask`). A *verdict* is the index of the first that refuses.

    They may be asked in three steps, by what they look at, because some answers stand longer than others.
    """

    __slots__ = ("_of_node", "_of_service", "_of_tasks")

    def __init__(self, wants: Wants) -> None:
        self._of_node, self._of_tasks, self._of_service = (checks(wants, reads) for reads in Reads)

    def fixed(self, info: NodeInfo) -> int:
        """The verdict of the filters that look at the node object only."""
        return first_refusing(self._of_node, info, PASSED)

    def verdict(self, info: NodeInfo, fixed: int) -> int:
        """The verdict of these (`fixed`) and of the filters that look at what runs there."""
        return first_refusing(self._of_tasks, info, fixed) if self._of_tasks else fixed

    def of_service(self, info: NodeInfo, verdict: int) -> int:
        """The verdict of all, where `verdict` is that of the others."""
        return first_refusing(self._of_service, info, verdict) if self._of_service else verdict

    def process(self, info: NodeInfo) -> int:
        """The verdict on a node that has not been asked before (pipeline.go `Process`)."""
        return self.of_service(info, self.verdict(info, self.fixed(info)))


def checks(wants: Wants, reads: Reads) -> Checks:
    """The questions of the filters that are on and look at that, with the filters' indexes."""
    of_filters = enumerate(zip(FILTERS, wants, strict=True))
    return [(i, f.check(wanted)) for i, (f, wanted) in of_filters if wanted is not None and f.reads is reads]


def first_refusing(checks: Checks, info: NodeInfo, known: int) -> int:
    """The first of `checks` that refuses, unless one before it is `known` to."""
    for i, check in checks:
        if i > known:
            break
        if not check(info):
            return i
    return known


def no_counts() -> Counts:
    return [0] * len(FILTERS)


def explanation(refused: Counts) -> str:
    """`insufficient resources on 2 nodes; 1 node not available for new tasks`; equal counts keep filter order."""
    charged = sorted((-n, i) for i, n in enumerate(refused) if n)
    return "; ".join(FILTERS[i].explain(-n) for n, i in charged)
