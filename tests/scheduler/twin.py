"""The scheduler once more, slow and obvious: it remembers nothing and counts everything anew for each question.

Written after scheduler.go, nodeset.go, decision_tree.go and filter.go, line by line where order matters. Random choices
are drawn from a copy of the scheduler's stream in the same order, so that the two must agree exactly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, NamedTuple

from swarmsim.api.objects import Node, Task
from swarmsim.api.specs import NO_RESOURCES, GenericResource, PublishMode, Resources
from swarmsim.api.states import Availability, NodeState, TaskState

WORDS = {
    "ready": ("1 node not available for new tasks", "{} nodes not available for new tasks"),
    "resources": ("insufficient resources on 1 node", "insufficient resources on {} nodes"),
    "plugins": ("missing plugin on 1 node", "missing plugin on {} nodes"),
    "constraints": (
        "scheduling constraints not satisfied on 1 node",
        "scheduling constraints not satisfied on {} nodes",
    ),
    "platforms": ("unsupported platform on 1 node", "unsupported platform on {} nodes"),
    "host_port": ("host-mode port already in use on 1 node", "host-mode port already in use on {} nodes"),
    "max_replicas": ("max replicas per node limit exceed", "max replicas per node limit exceed"),
}


class Failure(NamedTuple):
    node: str
    service: str
    spec_version: int | None
    at: int


class Placement(NamedTuple):
    task: str
    node: str
    tied: int
    service_tasks: int
    refused: str
    ranks: tuple[tuple[int, int, int, int], ...]


def reserved(task: Task) -> Resources:
    return task.spec.resources.reservations if task.spec.resources else NO_RESOURCES


def ports(task: Task) -> set[tuple[str, int]]:
    found = task.endpoint.ports if task.endpoint else ()
    return {(p.protocol, p.published_port) for p in found if p.publish_mode is PublishMode.HOST and p.published_port}


def rotate(items: list[Any], rng: Random) -> list[Any]:
    """Go's `range` over a map."""
    if len(items) < 2:
        return items
    start = rng.randrange(max(len(items), 8))
    return items[start:] + items[:start] if start < len(items) else items


def describe(refused: Counter[str]) -> str:
    """Most first; equals in the order of the filters, in which `WORDS` is."""
    parts = []
    for name in sorted(WORDS, key=lambda name: -refused[name]):
        if refused[name]:
            parts.append(WORDS[name][refused[name] > 1].format(refused[name]))
    return "; ".join(parts)


class Host:
    """A node with the tasks on it."""

    def __init__(self, node: Node, tasks: list[Task]) -> None:
        self.node = node
        self.tasks = tasks

    def active(self, service: str | None = None) -> int:
        return sum(t.desired_state <= TaskState.COMPLETE and service in (None, t.service_id) for t in self.tasks)

    # -- filters --
    def refuses(self, task: Task) -> str | None:
        """The first filter that says no."""
        checks: dict[str, Callable[[Task], bool]] = {
            "ready": self._ready,
            "resources": self._resources,
            "plugins": self._plugins,
            "constraints": self._constraints,
            "platforms": self._platforms,
            "host_port": self._host_port,
            "max_replicas": self._max_replicas,
        }
        return next((name for name, passes in checks.items() if not passes(task)), None)

    def _ready(self, task: Task) -> bool:
        return self.node.status.state is NodeState.READY and self.node.spec.availability is Availability.ACTIVE

    def _resources(self, task: Task) -> bool:
        wanted, has = reserved(task), self.node.description.resources if self.node.description else NO_RESOURCES
        if wanted == NO_RESOURCES:
            return True
        cpus = has.nano_cpus - sum(reserved(t).nano_cpus for t in self.tasks)
        memory = has.memory_bytes - sum(reserved(t).memory_bytes for t in self.tasks)
        if wanted.nano_cpus > cpus or wanted.memory_bytes > memory:
            return False
        return all(self._has(has, kind) for kind in wanted.generic)

    def _has(self, has: Resources, wanted: GenericResource) -> bool:
        offered = sum(len(r.names) or r.count for r in has.generic if r.kind == wanted.kind)
        held = [r for t in self.tasks for r in t.assigned_generic if r.kind == wanted.kind]
        return wanted.count <= offered - sum(len(r.names) or r.count for r in held)

    def _plugins(self, task: Task) -> bool:
        if self.node.description is None:
            return True
        plugins = self.node.description.plugins
        drivers = [m.volume_driver for m in task.spec.container.mounts if m.type == "volume"]
        if any(d not in ("", "local") and ("Volume", d) not in plugins for d in drivers):
            return False
        log = task.spec.log_driver
        lists_logs = any(kind == "Log" for kind, _ in plugins)
        return not (log and log.name and lists_logs and ("Log", log.name) not in plugins)

    def _constraints(self, task: Task) -> bool:
        """Of the form `node.labels.KEY==VALUE` or `!=`."""
        for text in task.spec.placement.constraints if task.spec.placement else ():
            key, value = text.replace("!=", "==").split("==")
            equal = self.node.spec.labels.get(key.removeprefix("node.labels."), "") == value
            if equal is not ("==" in text):
                return False
        return True

    def _platforms(self, task: Task) -> bool:
        wanted = task.spec.placement.platforms if task.spec.placement else ()
        if not wanted:
            return True
        has = self.node.description.platform if self.node.description else None
        return any(
            has is not None and p.os in ("", has.os) and p.architecture in ("", has.architecture) for p in wanted
        )

    def _host_port(self, task: Task) -> bool:
        return not any(ports(task) & ports(t) for t in self.tasks)

    def _max_replicas(self, task: Task) -> bool:
        limit = task.spec.placement.max_replicas if task.spec.placement else 0
        return not limit or self.active(task.service_id) < limit

    # -- placing --
    def label(self, descriptor: str) -> str:
        return self.node.spec.labels.get(descriptor.removeprefix("node.labels."), "")

    def take(self, task: Task) -> None:
        """Only how much of a user-defined resource is held matters here, not which names."""
        held = tuple(GenericResource(r.kind, r.count) for r in reserved(task).generic)
        self.tasks.append(task.evolve(node_id=self.node.id, assigned_generic=held))


class Tree:
    """Nodes that have the same values of some labels; below them parts by the next label."""

    def __init__(self) -> None:
        self.tasks = 0
        self.next: dict[str, Tree] = {}
        self.hosts: list[Host] = []
        self.kept: list[Host] = []
        self.collapsed = False

    def leaves(self) -> Iterator[Tree]:
        for subtree in self.next.values():
            yield from subtree.leaves()
        if not self.next:
            yield self


class Twin:
    """Places one group of tasks on `hosts`, which are in map order."""

    def __init__(self, hosts: list[Host], failures: list[Failure], now: int, rng: Random) -> None:
        self.hosts = hosts
        self.failures = failures
        self.now = now
        self.rng = rng
        self.refused: Counter[str] = Counter()
        self.placed: list[Placement] = []

    def place(self, group: list[Task]) -> list[Task]:
        """Returns the tasks left over; `explain` says why."""
        self.task = group[0]
        self.waiting = list(group)
        self.size = len(group)
        self.at_first = describe(Counter(name for host in self.hosts if (name := host.refuses(self.task))))
        self._on_tree(self._grow(), self.size)
        return self.waiting

    def explain(self) -> str:
        return describe(self.refused)

    def _process(self, host: Host) -> bool:
        name = host.refuses(self.task)
        if name is None:
            self.refused.clear()
            return True
        self.refused[name] += 1
        return False

    def _rank(self, host: Host) -> tuple[int, int, int]:
        mine = (host.node.id, self.task.service_id, self.task.spec_version)
        recent = sum(f[:3] == mine and self.now - f.at <= 300_000_000 for f in self.failures)
        return (recent if recent >= 5 else 0, host.active(self.task.service_id), host.active())

    def _grow(self) -> Tree:
        root = Tree()
        placement = self.task.spec.placement
        for host in rotate(self.hosts, self.rng):
            tree = root
            for descriptor in placement.preferences if placement else ():
                if descriptor.startswith("node.labels."):
                    tree.tasks += host.active(self.task.service_id)
                    tree = tree.next.setdefault(host.label(descriptor), Tree())
            tree.tasks += host.active(self.task.service_id)
            tree.hosts.append(host)
            self._offer(tree, host)
        return root

    def _offer(self, leaf: Tree, host: Host) -> None:
        """The heap of the best: among several that are equally bad the first goes."""
        if len(leaf.kept) < self.size:
            if self._process(host):
                leaf.kept.append(host)
            return
        worst = max(leaf.kept, key=self._rank)
        if self._rank(host) < self._rank(worst) and self._process(host):
            leaf.kept.remove(worst)
            leaf.kept.append(host)

    def _on_tree(self, tree: Tree, n: int) -> int:
        if not tree.next:
            return self._on_hosts(tree, n)
        scheduled, in_usable, converging = 0, tree.tasks, True
        no_room: list[Tree] = []
        while scheduled != n and len(no_room) != len(tree.next) and converging:
            total, usable = in_usable + n - scheduled, len(tree.next) - len(no_room)
            desired = int(total / usable)  # towards zero, as Go divides
            remainder = total - desired * usable
            converging = False
            for subtree in rotate([t for t in tree.next.values() if t not in no_room], self.rng):
                if subtree.tasks < desired or (subtree.tasks == desired and remainder > 0):
                    converging = True
                    to_assign = desired - subtree.tasks + (1 if remainder > 0 else 0)
                    result = self._on_tree(subtree, to_assign)
                    if result < to_assign:
                        no_room.append(subtree)
                        in_usable -= subtree.tasks
                    elif remainder > 0:
                        remainder -= 1
                    scheduled += result
        return scheduled

    def _ordered(self, leaf: Tree) -> list[Host]:
        leaf.kept = [host for host in leaf.kept if self._process(host)]
        leaf.kept.sort(key=self._rank)
        return leaf.kept

    def _on_hosts(self, leaf: Tree, n: int) -> int:
        hosts = self._ordered(leaf)
        if not hosts:
            return 0
        scheduled = current = 0
        failed: dict[int, bool] = {}
        while self.waiting:
            host = hosts[current % len(hosts)]
            self._put(leaf, host)
            scheduled += 1
            if scheduled == n:
                return scheduled
            if current + 1 >= len(hosts) or self._rank(hosts[current + 1]) < self._rank(host):
                current += 1
            begun = current
            while failed.get(current % len(hosts)) or not self._process(hosts[current % len(hosts)]):
                failed[current % len(hosts)] = True
                current += 1
                if current - begun == len(hosts):
                    return scheduled
        return scheduled

    def _put(self, leaf: Tree, host: Host) -> None:
        task = self.waiting.pop(0)
        ranks = Counter(self._rank(h) for h in leaf.hosts if h.refuses(self.task) is None)
        best = tuple((*rank, ranks[rank]) for rank in sorted(ranks)[:3])
        mine = ranks[self._rank(host)]
        self.placed.append(Placement(task.id, host.node.id, mine, host.active(task.service_id), self.at_first, best))
        host.take(task)
