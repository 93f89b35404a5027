"""Choosing among the nodes that may take a task: spread over labels, then over nodes.

SwarmKit manager/scheduler/nodeset.go (`tree`), nodeheap.go, decision_tree.go and scheduler.go
(`scheduleNTasksOnSubtree`, `scheduleNTasksOnNodes`); reference/orchestration.md 14.6. A batch of equal tasks is
placed with one tree: a level for each spread preference, at its leaves the best nodes that pass the filters.

Two results surprise, and are the original's:

* unequal starting loads are not levelled: within a batch the next node is taken only once it is strictly better
  than the current one, and no node is revisited before the end of the list (0/1/3 plus four tasks gives 2/3/3);
* a branch of a nested tree can get one task more than its share.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple, TypeVar

from ...api.objects import Node, Task
from ...api.specs import Micros
from .filters import FILTERS
from .node_info import MAX_FAILURES, NodeInfo
from .pipeline import PASSED, Pipeline

T = TypeVar("T")

_NODE_LABEL = "node.labels."
_ENGINE_LABEL = "engine.labels."

Rank = int  # smaller is better
RankOf = Callable[[NodeInfo], Rank]


class Choice(NamedTuple):
    """Why a task got its node, in numbers, for the trace."""

    task: Task
    info: NodeInfo
    tied: int
    service_tasks: int
    why: str


def map_order(items: Sequence[T], rng: Random) -> list[T]:
    """The order in which Go's `range` visits a small map: the order of insertion from a random one of 8 places.

    With up to eight items the first comes first more often than the others, as in Go; more start anywhere.
    """
    n = len(items)
    if n < 2:
        return list(items)
    start = rng.randrange(max(n, 8))
    return [*items[start:], *items[:start]] if start < n else list(items)


def rank_for(task: Task, now: Micros) -> RankOf:
    """Nodes ordered for `task` (scheduler.go `nodeLess`) as one number: failures, service's tasks, all tasks.

    Failures count only from `MAX_FAILURES` on: the node with fewer of them then wins before all else.
    """
    service = task.service_id
    versioned = (service, task.spec_version)

    def rank(info: NodeInfo) -> Rank:
        load = (info.active_by_service.get(service, 0) << 32) + info.active
        if info.recent_failures:
            failures = info.count_recent_failures(versioned, now)
            if failures >= MAX_FAILURES:
                return (failures << 64) + load
        return load

    return rank


Level = tuple[str, bool, str]  # (descriptor, is it a node label, label's name)


def levels(task: Task) -> list[Level]:
    """The spread preferences that count: over node or engine labels; others are ignored (nodeset.go)."""
    if task.spec.placement is None:
        return []
    out = []
    for descriptor in task.spec.placement.preferences:
        for prefix in (_NODE_LABEL, _ENGINE_LABEL):
            if len(descriptor) > len(prefix) and descriptor[: len(prefix)].lower() == prefix:
                out.append((descriptor, prefix is _NODE_LABEL, descriptor[len(prefix) :]))
    return out


def _label(node: Node, level: Level) -> str:
    _, of_node, name = level
    if of_node:
        return node.spec.labels.get(name, "")
    return node.description.engine_labels.get(name, "") if node.description is not None else ""


class Branch:
    """A part of the tree. `tasks`: the service's active tasks below it, also on nodes that fail the filters."""

    __slots__ = ("children", "full", "heap", "kept", "name", "rank_counts", "tasks", "visited")

    def __init__(self, name: str) -> None:
        self.name = name
        self.tasks = 0
        self.children: dict[str, Branch] = {}
        # Of a leaf:
        self.kept: list[NodeInfo] = []
        self.heap: list[tuple[Rank, int, NodeInfo]] = []  # worst first, once `full`
        self.full = False
        self.rank_counts: dict[Rank, int] = {}  # nodes that passed, by rank, for `Choice.tied`
        self.visited = False


class Spread:
    """Places one group of equal tasks. `refused`: for each filter the nodes it refused at the beginning."""

    def __init__(self, group: list[Task], pipeline: Pipeline, now: Micros, rng: Random) -> None:
        self._waiting = group[::-1]  # taken from the end
        self._size = len(group)
        self._pipeline = pipeline
        self._rng = rng
        self._rank = rank_for(group[0], now)
        self._levels = levels(group[0])
        self._service = group[0].service_id
        self.refused = [0] * len(FILTERS)
        self.choices: list[Choice] = []

    def place(self, nodes: Sequence[NodeInfo], put: Callable[[Task, NodeInfo], Task]) -> list[Task]:
        """Choose a node for each task while there is one; `put` books it. Returns the tasks that found none."""
        self._put = put
        root = self._grow(nodes)
        self._on_branch(root, self._size)
        return self._waiting[::-1]

    # -- the tree --
    def _grow(self, nodes: Sequence[NodeInfo]) -> Branch:
        root = Branch("")
        for position, info in enumerate(nodes):
            branch = root
            tasks = info.active_by_service.get(self._service, 0)
            for level in self._levels:
                branch.tasks += tasks
                value = _label(info.node, level)
                child = branch.children.get(value)
                if child is None:
                    name = f"{branch.name}, {level[2]}={value}" if branch.name else f"{level[2]}={value}"
                    child = branch.children[value] = Branch(name)
                branch = child
            branch.tasks += tasks
            self._offer(branch, info, position)
        return root

    def _offer(self, leaf: Branch, info: NodeInfo, position: int) -> None:
        """Keep the node if it passes and is among the best so far (nodeset.go, the node heap).

        The original asks the filters only of a node that would be kept, and only those checks count for the
        explanation; we ask always, because the trace says how many nodes were refused or tied.
        """
        pipeline = self._pipeline
        verdict = pipeline.verdict(info)
        if verdict != PASSED:
            self.refused[verdict] += 1
            if not leaf.full or self._rank(info) < -leaf.heap[0][0]:
                pipeline.count(verdict)
            return
        rank = self._rank(info)
        leaf.rank_counts[rank] = leaf.rank_counts.get(rank, 0) + 1
        if not leaf.full:
            pipeline.count(verdict)
            leaf.heap.append((-rank, position, info))
            leaf.full = len(leaf.heap) == self._size
            if leaf.full:
                heapq.heapify(leaf.heap)
        elif rank < -leaf.heap[0][0]:
            pipeline.count(verdict)
            heapq.heapreplace(leaf.heap, (-rank, position, info))

    def _ordered(self, leaf: Branch) -> list[NodeInfo]:
        """The kept nodes from best to worst; on a second visit those that still pass (decision_tree.go)."""
        if leaf.visited:
            leaf.kept = [info for info in leaf.kept if self._pipeline.process(info)]
            leaf.kept.sort(key=self._rank)
        else:
            leaf.kept = [entry[2] for entry in sorted(leaf.heap, key=lambda entry: (-entry[0], entry[1]))]
            leaf.heap = []
            leaf.visited = True
        return leaf.kept

    # -- placing --
    def _on_branch(self, branch: Branch, n: int) -> int:
        """Place up to `n` tasks below `branch`, levelling its children (`scheduleNTasksOnSubtree`)."""
        if not branch.children:
            return self._on_leaf(branch, n)
        usable = dict.fromkeys(branch.children.values())
        existing, placed, asked = branch.tasks, 0, True
        while placed != n and usable and asked:
            desired, rest = _divide(existing + n - placed, len(usable))
            asked = False
            for child in map_order(list(usable), self._rng):
                if child.tasks > desired or (child.tasks == desired and rest <= 0):
                    continue
                asked = True
                share = desired - child.tasks + (rest > 0)
                got = self._on_branch(child, share)
                placed += got
                if got < share:
                    del usable[child]
                    existing -= child.tasks
                elif rest > 0:
                    rest -= 1
        return placed

    def _on_leaf(self, leaf: Branch, n: int) -> int:
        """Place up to `n` tasks on a leaf's nodes (`scheduleNTasksOnNodes`)."""
        nodes = self._ordered(leaf)
        if not nodes:
            return 0
        failed: set[int] = set()  # membership only
        current = placed = 0
        why = _why(leaf, len(nodes))
        while self._waiting:
            info = nodes[current % len(nodes)]
            self._put_on(leaf, info, why)
            placed += 1
            if placed == n:
                break
            advance = current + 1 >= len(nodes) or self._rank(nodes[current + 1]) < self._rank(info)
            found = self._next_passing(leaf, nodes, current + advance, failed)
            if found is None:
                break
            why = _why(leaf, len(nodes), stays=found == current, around=found >= len(nodes))
            current = found
        return placed

    def _next_passing(self, leaf: Branch, nodes: list[NodeInfo], start: int, failed: set[int]) -> int | None:
        """The first place from `start` on, going round once, whose node still passes the filters."""
        for place in range(start, start + len(nodes)):
            at = place % len(nodes)
            if at in failed:
                continue
            if self._pipeline.process(nodes[at]):
                return place
            failed.add(at)
            _move(leaf.rank_counts, self._rank(nodes[at]), None)
        return None

    def _put_on(self, leaf: Branch, info: NodeInfo, why: str) -> None:
        before = self._rank(info)
        tied = leaf.rank_counts.get(before, 1)
        service_tasks = info.active_by_service.get(self._service, 0)
        task = self._put(self._waiting.pop(), info)
        self.choices.append(Choice(task, info, tied, service_tasks, why))
        _move(leaf.rank_counts, before, self._rank(info))


def _divide(a: int, b: int) -> tuple[int, int]:
    """Go's integer division, which rounds towards zero: `a` is negative when a branch got more than it was asked."""
    quotient = abs(a) // b
    return (quotient, a - quotient * b) if a >= 0 else (-quotient, a + quotient * b)


def _move(counts: dict[Rank, int], before: Rank, after: Rank | None) -> None:
    left = counts.get(before, 0) - 1
    if left > 0:
        counts[before] = left
    else:
        counts.pop(before, None)
    if after is not None:
        counts[after] = counts.get(after, 0) + 1


def _why(leaf: Branch, nodes: int, stays: bool = False, around: bool = False) -> str:
    if nodes == 1:
        reason = "the only node that fits"
    elif around:
        reason = "next in turn"
    elif stays:
        reason = "the next node is not better"
    else:
        reason = "fewest tasks of the service, then fewest tasks"
    return f"{leaf.name}: {reason}" if leaf.name else reason
