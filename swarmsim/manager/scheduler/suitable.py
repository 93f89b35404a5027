"""Which nodes suit a kind of task, whatever its service: by label, whether they pass, and how loaded they are.

The part of SwarmKit's nodeset.go `tree` that does not depend on the service. The original builds it for each group of
tasks, asking every node. Here it is kept, shared by all services that want the same, and catches up with the nodes
that changed since it was last used. `tree` adds what one service knows.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator

from ...api.objects import Node, Task
from .filters import FILTERS, Wants
from .node_info import NodeInfo
from .node_set import NodeSet
from .pipeline import PASSED, Pipeline

_NODE_LABEL = "node.labels."
_ENGINE_LABEL = "engine.labels."

Level = tuple[bool, str]  # (is it a node label, label's name)


def levels(task: Task) -> tuple[Level, ...]:
    """The spread preferences that count: over node or engine labels; others are ignored (nodeset.go)."""
    placement = task.spec.placement
    if placement is None or not placement.preferences:
        return ()
    out = []
    for descriptor in placement.preferences:
        for prefix in (_NODE_LABEL, _ENGINE_LABEL):
            if len(descriptor) > len(prefix) and descriptor[: len(prefix)].lower() == prefix:
                out.append((prefix is _NODE_LABEL, descriptor[len(prefix) :]))
    return tuple(out)


def _label(node: Node, level: Level) -> str:
    """A node without the label counts as one where it is empty."""
    of_node, name = level
    if of_node:
        return node.spec.labels.get(name, "")
    return node.description.engine_labels.get(name, "") if node.description is not None else ""


def discard(sorted_places: list[int], place: int) -> None:
    """Take a place out of a sorted list that has it."""
    del sorted_places[bisect_left(sorted_places, place)]


class Buckets:
    """Places by rank: `ranks` grows, and each bucket's places do."""

    __slots__ = ("buckets", "ranks")

    def __init__(self) -> None:
        self.ranks: list[int] = []
        self.buckets: dict[int, list[int]] = {}

    def enter(self, rank: int, place: int) -> None:
        bucket = self.buckets.get(rank)
        if bucket is None:
            self.buckets[rank] = [place]
            insort(self.ranks, rank)
        else:
            insort(bucket, place)

    def leave(self, rank: int, place: int) -> None:
        bucket = self.buckets[rank]
        if len(bucket) == 1:
            del self.buckets[rank]
            discard(self.ranks, rank)
        else:
            discard(bucket, place)


class Branch:
    """A part of the tree: all nodes with certain values of the labels."""

    __slots__ = ("children", "name", "parent", "places", "value")

    def __init__(self, parent: Branch | None = None, label: str = "", value: str = "") -> None:
        self.parent = parent
        self.value = value
        self.name: str = ""
        if parent is not None:
            self.name = f"{parent.name}, " * bool(parent.name) + f"{label}={value}"
        self.children: dict[str, Branch] = {}
        self.places: list[int] = []  # of all nodes below, sorted

    def up(self) -> Iterator[Branch]:
        branch: Branch | None = self
        while branch is not None:
            yield branch
            branch = branch.parent

    def children_in_order(self, start: int) -> list[Branch]:
        """As a walk over the nodes from `start` on meets them."""
        children = list(self.children.values())
        if len(children) > 1:
            children.sort(key=lambda child: _first(child.places, start))
        return children


def _first(places: list[int], start: int) -> tuple[bool, int]:
    i = bisect_left(places, start)
    return (False, places[i]) if i < len(places) else (True, places[0])


class Leaf(Branch):
    """Nodes at the end of all levels; those that pass are in `passing` by the number of their active tasks."""

    __slots__ = ("passing",)

    def __init__(self, parent: Branch | None = None, label: str = "", value: str = "") -> None:
        super().__init__(parent, label, value)
        self.passing = Buckets()


class Candidate:
    """A node as `Suitable` sees it: where it hangs, which filter refuses it (`verdict`), how many tasks it has."""

    __slots__ = ("fixed", "info", "leaf", "load", "node", "place", "values", "verdict")

    def __init__(self, info: NodeInfo, leaf: Leaf, values: tuple[str, ...], fixed: int) -> None:
        self.info = info
        self.place = info.place
        self.node = info.node  # the object that `values` and `fixed` were read off
        self.leaf = leaf
        self.values = values
        self.fixed = fixed
        self.verdict = -1  # in no list yet
        self.load = 0


class Suitable:
    """All nodes, for tasks that want the same of a node and have the same spread preferences."""

    def __init__(self, nodes: NodeSet, wanted: Wants, levels: tuple[Level, ...]) -> None:
        self.nodes = nodes
        self.pipeline = Pipeline(wanted)
        self.changes = 0  # counts changes of `refused`
        self._levels = levels
        self._stamp = self._removals = 0
        self._grow()

    # -- catching up --
    def _grow(self) -> None:
        self.root: Branch = Branch() if self._levels else Leaf()
        self.candidates: dict[int, Candidate] = {}  # by place
        self.refused: list[list[int]] = [[] for _ in FILTERS]  # sorted places, by filter
        for info in self.nodes.order:
            self._add(info)
        self._layout = self.nodes.layout
        self._seen()

    def _seen(self) -> None:
        self._stamp, self._removals = self.nodes.clock, len(self.nodes.removed)

    def refresh(self) -> None:
        """Follow what changed since the last time."""
        nodes = self.nodes
        if self._stamp == nodes.clock:
            return
        if self._layout != nodes.layout:
            self._grow()
            return
        for place in nodes.removed[self._removals :]:
            if place in self.candidates:
                self._remove(self.candidates.pop(place))
        for info in nodes.changed_since(self._stamp):
            self._follow(info)
        self._seen()

    def _follow(self, info: NodeInfo) -> None:
        candidate = self.candidates.get(info.place)
        if candidate is None:
            self._add(info)
            return
        if candidate.node is not info.node:
            self._describe(candidate)
        self._judge(candidate)

    def _add(self, info: NodeInfo) -> None:
        values = self._values(info.node)
        candidate = Candidate(info, self._leaf(values), values, self.pipeline.fixed(info))
        self.candidates[info.place] = candidate
        self._hang(candidate)
        self._judge(candidate)

    def _remove(self, candidate: Candidate) -> None:
        self._withdraw(candidate)
        for branch in candidate.leaf.up():
            discard(branch.places, candidate.place)
            if not branch.places and branch.parent is not None:
                del branch.parent.children[branch.value]

    def _describe(self, candidate: Candidate) -> None:
        """The node object is new: hang the node where its labels say."""
        candidate.node = candidate.info.node
        candidate.fixed = self.pipeline.fixed(candidate.info)
        values = self._values(candidate.node)
        if values != candidate.values:
            self._remove(candidate)
            candidate.values, candidate.leaf = values, self._leaf(values)
            self._hang(candidate)

    # -- where nodes hang --
    def _values(self, node: Node) -> tuple[str, ...]:
        return tuple([_label(node, level) for level in self._levels]) if self._levels else ()

    def _leaf(self, values: tuple[str, ...]) -> Leaf:
        branch = self.root
        for depth, ((_, label), value) in enumerate(zip(self._levels, values, strict=True), 1):
            child = branch.children.get(value)
            if child is None:
                kind = Leaf if depth == len(self._levels) else Branch
                child = branch.children[value] = kind(branch, label, value)
            branch = child
        assert isinstance(branch, Leaf)
        return branch

    def _hang(self, candidate: Candidate) -> None:
        for branch in candidate.leaf.up():
            insort(branch.places, candidate.place)

    # -- how they fare --
    def _judge(self, candidate: Candidate) -> None:
        """Say anew which filter refuses it and how loaded it is."""
        info = candidate.info
        verdict, load = self.pipeline.verdict(info, candidate.fixed), info.active
        if verdict == candidate.verdict and (load == candidate.load or verdict != PASSED):
            candidate.load = load
            return
        self._withdraw(candidate)
        candidate.verdict, candidate.load = verdict, load
        if verdict == PASSED:
            candidate.leaf.passing.enter(load, candidate.place)
        else:
            insort(self.refused[verdict], candidate.place)
            self.changes += 1

    def _withdraw(self, candidate: Candidate) -> None:
        if candidate.verdict == PASSED:
            candidate.leaf.passing.leave(candidate.load, candidate.place)
        elif candidate.verdict >= 0:
            discard(self.refused[candidate.verdict], candidate.place)
            self.changes += 1
        candidate.verdict = -1
