"""Choosing among the nodes that may take a task: spread over labels, then over nodes.

SwarmKit manager/scheduler/scheduler.go (`scheduleNTasksOnSubtree`, `scheduleNTasksOnNodes`) and
decision_tree.go (`orderedNodes`). A batch of equal tasks is placed with one tree (`tree`, `suitable`).

Two results surprise, and are the original's:

* unequal starting loads are not levelled: within a batch the next node is taken only once it is strictly better
  than the current one, and no node is revisited before the end of the list (0/1/3 plus four tasks gives 2/3/3);
* a branch of a nested tree can get one task more than its share.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any, NamedTuple, TypeVar

from ...api.objects import Task
from .node_info import NodeInfo
from .node_set import GO_MAP_GROUP
from .pipeline import PASSED, explanation, no_counts
from .suitable import Branch, Candidate, Leaf
from .tree import Rank, Tree, rank_of, read_rank
from .volumes import cluster_mounts

T = TypeVar("T")

#: (failures that count, tasks of the service, all tasks, how many nodes)
Standing = tuple[int, int, int, int]
SHOWN_RANKS = 3
WORST: Rank = 1 << 128  # beyond all ranks

Put = Callable[[Task, NodeInfo], Task]  # books a task on a node; gives the task as booked


class Choice(NamedTuple):
    """Which node a task got, and why, in numbers, for the trace."""

    old: Task
    new: Task
    info: NodeInfo
    tied: int
    service_tasks: int
    why: str
    ranks: tuple[Standing, ...]


def map_order(items: Sequence[T], rng: Random) -> list[T]:
    """The order in which Go's `range` visits a small map: the order of insertion from a random one of 8 places.

    With up to eight items the first comes first more often than the others, as in Go; more start anywhere.
    """
    start = _start(len(items), rng)
    return [*items[start:], *items[:start]]


def _start(n: int, rng: Random) -> int:
    if n < 2:
        return 0
    start = rng.randrange(max(n, GO_MAP_GROUP))
    return start if start < n else 0


class Kept:
    """A node that a group of tasks may use. Only the group's own placements change it meanwhile."""

    __slots__ = ("candidate", "failures", "info", "rank", "verdict")

    def __init__(self, candidate: Candidate, rank: Rank) -> None:
        self.candidate = candidate
        self.info = candidate.info
        self.rank = rank
        self.failures = read_rank(rank)[0]
        self.verdict = PASSED


class Tally:
    """How many passing nodes of a leaf have which rank: `ranked` gives them from the best on, and is read as needed."""

    __slots__ = ("_read_to", "_unread", "counts", "ranks", "total")

    def __init__(self, ranked: Iterator[tuple[Rank, int, Any, Any]]) -> None:
        self._unread = ranked
        self._read_to: Rank = -1
        self.counts: dict[Rank, int] = {}
        self.ranks: list[Rank] = []  # growing
        self.total = 0

    def standings(self) -> tuple[Standing, ...]:
        """The best ranks."""
        while len(self.ranks) < SHOWN_RANKS and self._read():
            pass
        counts = self.counts
        return tuple([(*read_rank(rank), counts[rank]) for rank in self.ranks[:SHOWN_RANKS]])

    def is_alone(self) -> bool:
        """Does a single node pass? Asked after `standings`."""
        return self.total == 1

    def tied(self, rank: Rank) -> int:
        while self._read_to < rank and self._read():
            pass
        return self.counts[rank]

    def leave(self, rank: Rank) -> None:
        self.total -= 1
        if self.counts[rank] == 1:
            del self.counts[rank], self.ranks[bisect_left(self.ranks, rank)]
        else:
            self.counts[rank] -= 1

    def enter(self, rank: Rank) -> None:
        while self._read_to < rank and self._read():
            pass
        self._add(rank, 1)

    def _read(self) -> bool:
        following = next(self._unread, None)
        if following is None:
            self._read_to = WORST
            return False
        rank, count, _, _ = following
        self._read_to = rank
        self._add(rank, count)
        return True

    def _add(self, rank: Rank, count: int) -> None:
        self.total += count
        if rank in self.counts:
            self.counts[rank] += count
        else:
            self.counts[rank] = count
            insort(self.ranks, rank)


class Spread:
    """Places one group of equal tasks on the nodes of `tree`."""

    def __init__(self, group: list[Task], tree: Tree, rng: Random) -> None:
        self._waiting = group[::-1]  # taken from the end
        self._size = len(group)
        self._tree = tree
        self._rng = rng
        self._service = group[0].service_id
        self._shares_volumes = bool(cluster_mounts(group[0]))  # then one task may make any other node unfit
        places = tree.nodes.places
        self._start = places[_start(len(places), rng)] if places else 0
        self._kept: dict[Leaf, list[Kept]] = {}
        self._tallies: dict[Leaf, Tally] = {}
        root = tree.suitable.root
        self._children: dict[Branch, list[Branch]] = {}
        self._tasks: dict[Branch, int] = {root: tree.tasks_below(root)}  # before the group's own
        self._counts = tree.counts()  # refusals since a node last passed
        self._counted = True
        self.choices: list[Choice] = []

    def place(self, put: Put) -> list[Task]:
        """Choose a node for each task while there is one. Returns the tasks that found none."""
        self._put = put
        self._on_branch(self._tree.suitable.root, self._size)
        return self._waiting[::-1]

    def explain(self) -> str:
        """What pipeline.go `Explain` says of tasks left over: about all nodes, or those asked since one passed."""
        return explanation(self._counts)

    # -- branches --
    def _on_branch(self, branch: Branch, n: int) -> int:
        """Place up to `n` tasks below `branch`, levelling its children (`scheduleNTasksOnSubtree`)."""
        if isinstance(branch, Leaf):
            return self._on_leaf(branch, n)
        usable = dict.fromkeys(self._children_of(branch))
        before = self._tasks
        existing, placed, asked = before[branch], 0, True
        while placed != n and usable and asked:
            desired, rest = _divide(existing + n - placed, len(usable))
            asked = False
            for child in map_order(list(usable), self._rng):
                has = before[child]
                if has > desired or (has == desired and rest <= 0):
                    continue
                asked = True
                share = desired - has + (rest > 0)
                got = self._on_branch(child, share)
                placed += got
                if got < share:
                    del usable[child]
                    existing -= has
                elif rest > 0:
                    rest -= 1
        return placed

    def _children_of(self, branch: Branch) -> list[Branch]:
        children = self._children.get(branch)
        if children is None:
            children = self._children[branch] = branch.children_in_order(self._start)
            self._tasks.update((child, self._tree.tasks_below(child)) for child in children)
        return children

    # -- leaves --
    def _nodes_of(self, leaf: Leaf) -> list[Kept]:
        """The leaf's best nodes, best first; on a second visit those of them that still pass (`orderedNodes`)."""
        nodes = self._kept.get(leaf)
        if nodes is None:
            tree, candidates = self._tree, self._tree.suitable.candidates
            nodes = [Kept(candidates[p], tree.rank(p)) for p in tree.best(leaf, self._size, self._start)]
            self._tallies[leaf] = Tally(tree.ranked(leaf))
            if nodes:
                self._count_anew()
        else:
            nodes = [node for node in nodes if self._passes(node)]
            nodes.sort(key=lambda node: node.rank)
        self._kept[leaf] = nodes
        return nodes

    def _on_leaf(self, leaf: Leaf, n: int) -> int:
        """Place up to `n` tasks on a leaf's nodes (`scheduleNTasksOnNodes`)."""
        nodes = self._nodes_of(leaf)
        count = len(nodes)
        if not count:
            return 0
        skips: dict[int, int] = {}
        current = placed = 0
        why = SPREAD
        while self._waiting:
            node = nodes[current % count]
            self._put_on(leaf, node, why)
            placed += 1
            if placed == n:
                break
            advance = current + 1 >= count or nodes[current + 1].rank < node.rank
            found = self._next_passing(nodes, current + advance, skips)
            if found is None:
                break
            why = IN_TURN if found >= count else STAYS if found == current else SPREAD
            current = found
        return placed

    def _next_passing(self, nodes: list[Kept], start: int, skips: dict[int, int]) -> int | None:
        """The first position from `start` on, going round once, whose node still passes the filters.

        A node that failed is not asked again: `skips` has, for its index, how far it is to one that has not.
        """
        count = len(nodes)
        position = start
        while len(skips) < count:
            position = _skip(position, count, skips)
            at = position % count
            if self._passes(nodes[at]):
                return position
            skips[at] = 1
        return None

    def _passes(self, node: Kept) -> bool:
        """Ask the filters of the node again, and count (pipeline.go `Process`)."""
        if self._shares_volumes and node.verdict == PASSED:
            self._judge_again(node)
        if node.verdict != PASSED:
            self._counts[node.verdict] += 1
            self._counted = True
            return False
        self._count_anew()
        return True

    def _judge_again(self, node: Kept) -> None:
        node.verdict = self._tree.judge(node.candidate)
        if node.verdict != PASSED:
            self._tallies[node.candidate.leaf].leave(node.rank)

    def _count_anew(self) -> None:
        """A node passed."""
        if self._counted:
            self._counts = no_counts()
            self._counted = False

    def _put_on(self, leaf: Leaf, node: Kept, why: str) -> None:
        """Book the next task there; what the trace tells is how things were just before."""
        info, tally = node.info, self._tallies[leaf]
        ranks, tied = tally.standings(), tally.tied(node.rank)
        if tally.is_alone():
            why = ONLY
        why = f"{leaf.name}: {why}" if leaf.name else why
        service_tasks = info.active_by_service.get(self._service, 0)
        old = self._waiting.pop()
        new = self._put(old, info)
        self.choices.append(Choice(old, new, info, tied, service_tasks, why, ranks))
        tally.leave(node.rank)
        node.rank = rank_of(node.failures, info.active_by_service.get(self._service, 0), info.active)
        node.verdict = self._tree.judge(node.candidate)
        if node.verdict == PASSED:
            tally.enter(node.rank)


#: Why a node was chosen.
ONLY = "the only node that fits"
SPREAD = "fewest tasks of the service, then fewest tasks"
STAYS = "the next node is not better"
IN_TURN = "next in turn"


def _skip(position: int, count: int, skips: dict[int, int]) -> int:
    """Where the skips lead from `position`; they are lengthened, so that next time one step does."""
    begin = position
    while (step := skips.get(position % count)) is not None:
        position += step
    while begin != position:
        step = skips[begin % count]
        skips[begin % count] = position - begin
        begin += step
    return position


def _divide(a: int, b: int) -> tuple[int, int]:
    """Go's integer division, which rounds towards zero: `a` is negative when a branch got more than it was asked."""
    quotient = abs(a) // b
    return (quotient, a - quotient * b) if a >= 0 else (-quotient, a + quotient * b)
