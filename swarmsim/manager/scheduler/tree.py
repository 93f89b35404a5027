"""The decision tree of one service: how its tasks are spread, and how the nodes rank for the next.

SwarmKit manager/scheduler/nodeset.go (`tree`), decision_tree.go. Most nodes have no task of the service, and are what
`suitable` says of them; the tree knows the others, its *own* nodes. It is kept and catches up, so that placing one more
task costs the same however many nodes there are.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any, NamedTuple

from ...api.objects import Task
from ...api.specs import Micros
from ...store import MemoryStore
from .filters import FILTERS, Reads, Wants, of_nodes, wants
from .node_info import MAX_FAILURES, NodeInfo
from .node_set import NodeSet
from .pipeline import PASSED, Counts, checks, explanation, first_refusing
from .suitable import Branch, Buckets, Candidate, Leaf, Level, Suitable, discard, levels

#: A node's rank for a task, smaller is better (scheduler.go `nodeLess`): its recent failures if they are `MAX_FAILURES`
#: or more, then its active tasks of the service, then all its active tasks, as one number.
Rank = int
_FAILURES, _SERVICE, _LOW = 64, 32, (1 << 32) - 1


def rank_of(failures: int, service_tasks: int, tasks: int) -> Rank:
    return (failures << _FAILURES) + (service_tasks << _SERVICE) + tasks


def read_rank(rank: Rank) -> tuple[int, int, int]:
    return rank >> _FAILURES, rank >> _SERVICE & _LOW, rank & _LOW


#: (filter, how many nodes it refuses, the names of the first)
Refusal = tuple[str, int, tuple[str, ...]]
Refusals = tuple[Refusal, ...]

SHOWN_NAMES = 8


class Own:
    """A node that has tasks of the service, or failed too many: `rank` is then beyond that of all others."""

    __slots__ = ("leaf", "load", "rank", "tasks", "verdict", "without")

    def __init__(self, candidate: Candidate, rank: Rank, tasks: int, verdict: int) -> None:
        self.leaf = candidate.leaf
        self.load = candidate.load
        self.without = candidate.verdict  # the verdict of the filters that do not look at the service
        self.rank = rank
        self.tasks = tasks
        self.verdict = verdict


class Share:
    """The own nodes of one leaf. `hidden`: how many of each load among the leaf's passing nodes are own ones."""

    __slots__ = ("hidden", "passing")

    def __init__(self) -> None:
        self.passing = Buckets()
        self.hidden: dict[int, int] = {}

    def is_empty(self) -> bool:
        return not self.hidden and not self.passing.ranks


class Tree:
    """For the tasks of one service and spec version that want the same of a node."""

    def __init__(self, suitable: Suitable, task: Task, wanted: Wants) -> None:
        self.nodes = suitable.nodes
        self.suitable = suitable
        self._service = task.service_id
        self._versioned = (task.service_id, task.spec_version)
        self._checks = checks(wanted, Reads.SERVICE)
        self._now: Micros = 0
        self._root: Branch | None = None
        self._stamp = self._removals = 0
        self._clear()

    def _clear(self) -> None:
        self._own: dict[int, Own] = {}  # by place
        self._shares: dict[Leaf, Share] = {}
        self._tasks: dict[Branch, int] = {}
        self._blocked: dict[int, list[int]] = {}  # own nodes refused because of the service, by filter
        self._blocked_changes = 0
        self._counts: Counts = []
        self._refusals: tuple[str, Refusals] = "", ()
        self._refusals_at = (-1, -1)

    # -- catching up --
    def refresh(self, now: Micros) -> None:
        """Follow what changed since the last time, or begin anew from the service's nodes if they are fewer."""
        self.suitable.refresh()
        self._now = now
        nodes = self.nodes
        if self._root is not self.suitable.root or nodes.clock - self._stamp > nodes.count_of(self._service):
            if self._own:
                self._clear()
            self._root = self.suitable.root
            for info in nodes.of_service(self._service):
                self._follow(info)
        else:
            for place in nodes.removed[self._removals :]:
                self._forget(place)
            for info in nodes.changed_since(self._stamp):
                self._follow(info)
        for info in nodes.failing(self._versioned):
            self._follow(info)
        self._stamp, self._removals = nodes.clock, len(nodes.removed)

    def _follow(self, info: NodeInfo) -> None:
        tasks = info.active_by_service.get(self._service, 0)
        failures = self._failures(info) if info.recent_failures else 0
        self._forget(info.place)
        if tasks or failures:
            candidate = self.suitable.candidates[info.place]
            rank = rank_of(failures, tasks, info.active)
            verdict = first_refusing(self._checks, info, candidate.verdict)
            self._remember(info.place, Own(candidate, rank, tasks, verdict))

    def _failures(self, info: NodeInfo) -> int:
        """Its recent failures, if they are so many that they count."""
        failures = info.count_recent_failures(self._versioned, self._now)
        return failures if failures >= MAX_FAILURES else 0

    def _remember(self, place: int, own: Own) -> None:
        self._own[place] = own
        self._count(own.leaf, own.tasks)
        if own.without == PASSED:
            share = self._shares.get(own.leaf)
            if share is None:
                share = self._shares[own.leaf] = Share()
            share.hidden[own.load] = share.hidden.get(own.load, 0) + 1
            if own.verdict == PASSED:
                share.passing.enter(own.rank, place)
        if own.verdict != own.without:
            insort(self._blocked.setdefault(own.verdict, []), place)
            self._blocked_changes += 1

    def _forget(self, place: int) -> None:
        own = self._own.pop(place, None)
        if own is None:
            return
        self._count(own.leaf, -own.tasks)
        if own.without == PASSED:
            share = self._shares[own.leaf]
            if share.hidden[own.load] == 1:
                del share.hidden[own.load]
            else:
                share.hidden[own.load] -= 1
            if own.verdict == PASSED:
                share.passing.leave(own.rank, place)
            if share.is_empty():
                del self._shares[own.leaf]
        if own.verdict != own.without:
            discard(self._blocked[own.verdict], place)
            if not self._blocked[own.verdict]:
                del self._blocked[own.verdict]
            self._blocked_changes += 1

    def _count(self, leaf: Leaf, tasks: int) -> None:
        if tasks and leaf.parent is not None:
            for branch in leaf.up():
                total = self._tasks.pop(branch, 0) + tasks
                if total:
                    self._tasks[branch] = total

    # -- asking --
    def tasks_below(self, branch: Branch) -> int:
        """The service's active tasks on all nodes there, also on those that fail the filters. Not for a lone leaf."""
        return self._tasks.get(branch, 0)

    def verdict(self, place: int) -> int:
        own = self._own.get(place)
        return own.verdict if own is not None else self.suitable.candidates[place].verdict

    def rank(self, place: int) -> Rank:
        own = self._own.get(place)
        return own.rank if own is not None else self.suitable.candidates[place].load

    def judge(self, candidate: Candidate) -> int:
        """The verdict on a node as it is at this moment, also when the tree has not caught up with it."""
        info = candidate.info
        return first_refusing(self._checks, info, self.suitable.pipeline.verdict(info, candidate.fixed))

    def ranked(self, leaf: Leaf) -> Iterator[tuple[Rank, int, list[int], bool]]:
        """Ranks from the best on: (rank, how many nodes, their places, must own nodes among these be skipped?)."""
        share = self._shares.get(leaf)
        hidden = share.hidden if share is not None else {}
        for load in leaf.passing.ranks:
            bucket = leaf.passing.buckets[load]
            skipped = hidden.get(load, 0)
            if len(bucket) > skipped:
                yield load, len(bucket) - skipped, bucket, skipped > 0
        if share is not None:
            for rank in share.passing.ranks:
                bucket = share.passing.buckets[rank]
                yield rank, len(bucket), bucket, False

    def best(self, leaf: Leaf, k: int, start: int) -> list[int]:
        """The `k` best of a walk from `start` on; best first, equals as they are met (nodeset.go, the node heap)."""
        best: list[int] = []
        for _, count, bucket, skip in self.ranked(leaf):
            room = k - len(best)
            if count <= room:
                best += self._met(bucket, start, count, skip)
            elif best:
                best += _last_to_stay(self._met(bucket, start, k, skip), best, room, start)
            else:
                best += self._met(bucket, start, room, skip)
            if len(best) == k:
                break
        return best

    def _met(self, bucket: list[int], start: int, limit: int, skip: bool) -> list[int]:
        """The first `limit` places of the bucket that a walk from `start` on meets; `skip`: leave out own nodes."""
        i = bisect_left(bucket, start)
        if not skip:
            return bucket[i : i + limit] + bucket[: min(i, max(0, i + limit - len(bucket)))]
        own = self._own
        return list(islice((p for p in chain(bucket[i:], bucket[:i]) if p not in own), limit))

    # -- refusals --
    def refusals(self) -> tuple[str, Refusals]:
        """Which filters refuse how many nodes at present, as a text, and with the names of some."""
        at = (self.suitable.changes, self._blocked_changes)
        if at != self._refusals_at:
            self._refusals_at = at
            told = [self._refusal(i, self._refused(i)) for i in range(len(FILTERS))]
            self._counts = [n for _, n, _ in told]
            self._refusals = explanation(self._counts), tuple([refusal for refusal in told if refusal[1]])
        return self._refusals

    def counts(self) -> Counts:
        """How many nodes each filter refuses at present."""
        self.refusals()
        return list(self._counts)

    def _refused(self, index: int) -> list[int]:
        """The places of the nodes that this filter refuses."""
        refused = self.suitable.refused[index]
        if not self._blocked or index < min(self._blocked):
            return refused
        blocked = self._blocked.get(index, [])
        return sorted([p for p in refused if self.verdict(p) == index] + blocked) if refused else blocked

    def _refusal(self, index: int, places: list[int]) -> Refusal:
        candidates = self.suitable.candidates
        names = [candidates[place].node.hostname for place in places[:SHOWN_NAMES]]
        return FILTERS[index].name, len(places), tuple(sorted(names))


def _last_to_stay(met: list[int], better: list[int], room: int, start: int) -> list[int]:
    """Which `room` nodes of the worst rank kept stay, when `better` ones have a place for certain.

    The walk keeps the first k that are not worse; each better one that it meets later takes the place of the
    earliest of the worst. `met` are the first k of the worst rank.
    """
    k = room + len(better)
    first = sorted(better + met, key=lambda place: (place < start, place))[:k]
    better_early = len(set(first).intersection(better))
    return met[: k - better_early][-room:]


class Key(NamedTuple):
    """Tasks with equal keys share a tree."""

    service: str
    spec_version: int | None
    wants: Wants
    levels: tuple[Level, ...]


class Trees:
    """The trees of the kinds of tasks that were placed last; each costs memory for its nodes."""

    MAX_CANDIDATES = 200_000
    MAX_TREES = 1_000

    def __init__(self, nodes: NodeSet, store: MemoryStore) -> None:
        self._nodes = nodes
        self._store = store
        self._suitable: dict[tuple[Wants, tuple[Level, ...]], Suitable] = {}
        self._trees: dict[Key, Tree] = {}  # the latest used last

    def tree(self, task: Task, now: Micros) -> Tree:
        """The tree for tasks such as this one, up to date."""
        key = Key(task.service_id, task.spec_version, wants(task, self._store), levels(task))
        tree = self._trees.pop(key, None)
        if tree is None:
            tree = Tree(self._suitable_for(key), task, key.wants)
        self._trees[key] = tree
        self._shrink(self._trees)
        tree.refresh(now)
        return tree

    def _suitable_for(self, key: Key) -> Suitable:
        of_node = of_nodes(key.wants), key.levels
        suitable = self._suitable.pop(of_node, None) or Suitable(self._nodes, *of_node)
        self._suitable[of_node] = suitable
        self._shrink(self._suitable)
        return suitable

    def _shrink(self, kept: dict[Any, Any]) -> None:
        """Forget the oldest, but never the last."""
        most = min(self.MAX_TREES, self.MAX_CANDIDATES // max(1, len(self._nodes)))
        while len(kept) > max(1, most):
            del kept[next(iter(kept))]
