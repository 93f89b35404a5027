"""What the scheduler costs: the grid of SwarmKit's own benchmark, and some shapes beside it.

So many nodes, so many tasks pending at once: one pass with its store transactions in memory, from the scheduler's start
until it has followed its own commits. SwarmKit's tasks have no spec version, so that each is placed with a tree of its
own (*one by one*); those of a service have one, and are placed as a *batch*. Go's seconds are those of
BenchmarkScheduler (manager/scheduler/scheduler_test.go) on two cores of another machine: an order of magnitude.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it runs as a script

from swarmsim.api.objects import (
    Network,
    NetworkAttachment,
    Node,
    NodeDescription,
    NodeStatus,
    Service,
    Task,
    TaskStatus,
)
from swarmsim.api.specs import ContainerSpec, NetworkSpec, NodeSpec, Placement, ServiceSpec, TaskSpec
from swarmsim.api.states import NodeState, TaskState
from swarmsim.machine import SECOND
from swarmsim.manager.scheduler import Scheduler
from tests.benchmarks.measuring import Row, measure, peak, print_peak, table
from tests.fake_manager import FakeManager

PLAIN = TaskSpec(ContainerSpec("image"))
TEN_VALUES = TaskSpec(ContainerSpec("image"), placement=Placement(preferences=("node.labels.ten",)))
TEN_LEVELS = tuple(f"node.labels.level{i}" for i in range(10))
NESTED = TaskSpec(ContainerSpec("image"), placement=Placement(preferences=TEN_LEVELS))
PLUGIN = ("Network", "special")


class Shape(NamedTuple):
    """`services`: the tasks are dealt out to so many. `special`: they need a network that every third node has."""

    name: str
    nodes: int
    tasks: int
    spec: TaskSpec = PLAIN
    spec_version: int | None = 1
    services: int = 1
    special: bool = False
    go: float | None = None  # seconds


def one_by_one(nodes: int, tasks: int, go: float | None = None, special: bool = False) -> Shape:
    name = "one by one, network on every third node" if special else "one by one"
    return Shape(name, nodes, tasks, spec_version=None, special=special, go=go)


#: BenchmarkScheduler1kNodes{1k,10k,100k}Tasks.
GO = {1_000: 0.29, 10_000: 2.9, 100_000: 66.0}
COUNTS = (1_000, 10_000, 100_000)

SHAPES = [
    *(Shape("batch", 1_000, n, go=GO[n]) for n in COUNTS),
    *(one_by_one(1_000, n, GO[n]) for n in COUNTS),
    *(Shape("preference over a label of ten values", 1_000, n, TEN_VALUES) for n in COUNTS),
    Shape("preferences over ten labels, nested", 1_000, 10_000, NESTED),
    *(one_by_one(1_000, n, special=True) for n in COUNTS[:2]),
    Shape("one task each of so many services", 1_000, 10_000, services=10_000),
    Shape("batch", 5_000, 100_000),
    one_by_one(5_000, 100_000),
]


# -- a store before the pass --
def described(i: int, special: bool) -> NodeDescription:
    usual = NodeDescription(f"host{i}")
    return usual.evolve(plugins=(*usual.plugins, PLUGIN)) if special and i % 3 == 0 else usual


def a_node(i: int, special: bool) -> Node:
    labels = {"ten": str(i % 10), **{f"level{n}": str(i >> n & 1) for n in range(10)}}
    return Node(f"node{i}", NodeSpec(labels), status=NodeStatus(NodeState.READY), description=described(i, special))


def a_task(i: int, shape: Shape) -> Task:
    attached = (NetworkAttachment("special"),) if shape.special else ()
    return Task(
        f"task{i}",
        f"service{i % shape.services}",
        shape.spec,
        TaskStatus(TaskState.PENDING, "pending task scheduling"),
        TaskState.RUNNING,
        i + 1,
        spec_version=shape.spec_version,
        service_name="web",
        networks=attached,
    )


def store_of(shape: Shape) -> FakeManager:
    manager = FakeManager()
    manager.create(*(a_node(i, shape.special) for i in range(shape.nodes)))
    manager.create(Network("special", NetworkSpec("special", driver="special")))
    for i in range(shape.services):
        manager.create(Service(f"service{i}", ServiceSpec(f"web{i}", shape.spec), 1))
    manager.create(*(a_task(i, shape) for i in range(shape.tasks)))
    manager.commits.clear()
    return manager


def a_pass(manager: FakeManager) -> Callable[[], int]:
    """Returns how many tasks were placed."""

    def run() -> int:
        manager.add_machine(Scheduler("m1", manager.store))
        manager.run(SECOND)
        return sum(bool(task.node_id) for task in manager.store.tasks.values())

    return run


# -- measuring --
def row_of(shape: Shape) -> Row:
    """The median of three for short ones; what stands in the store beforehand is not counted."""
    rows = []
    for _ in range(3 if shape.tasks <= 10_000 else 1):
        rows.append(measure(shape.name, a_pass(store_of(shape)), 1))
        assert rows[-1].events == shape.tasks, f"{shape}: {rows[-1].events} placed"
    return Row(shape.name, shape.tasks, median(r.units for r in rows), median(r.seconds for r in rows))


def line(shape: Shape, row: Row, first: dict[str, float]) -> list[str]:
    """`times`: what a task costs, against the first row of the same name."""
    each = row.units / shape.tasks
    times = each / first.setdefault(shape.name, each)
    used = f"{peak(__file__, str(SHAPES.index(shape))):,}" if shape.tasks >= 100_000 else ""
    return [
        *(shape.name, f"{shape.nodes:,}", f"{shape.tasks:,}"),
        *(f"{row.seconds:.2f}", str(shape.go or ""), f"{row.units:,.0f}", f"{each:.0f}", f"{times:.2f}", used),
    ]


def passes(repeats: int) -> list[str]:
    """The grid; with few repeats without the rows of 100,000 tasks."""
    first: dict[str, float] = {}
    shapes = [shape for shape in SHAPES if shape.tasks < 100_000 or repeats > 3]
    head = ("pass", "nodes", "tasks", "seconds here", "Go", "bare timeouts", "per task", "times", "peak MiB")
    return table(head, [line(shape, row_of(shape), first) for shape in shapes])


if __name__ == "__main__":
    a_pass(store_of(SHAPES[int(sys.argv[2])]))()
    print_peak()
