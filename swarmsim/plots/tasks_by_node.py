"""A row for each node: its tasks, stacked by what they are doing; all rows have one scale.

The store's word and the world's are told apart. A task counts as running while its container really runs; where the
store still says RUNNING and the container is gone, it is drawn as a hatched ghost. Tasks that have ended leave the
stack: a cross marks a failure, a ring a completion. Tasks that no node has yet stand in a row of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection

from ..api.states import Availability, NodeState, TaskState
from ..trace.events import (
    ContainerExited,
    ContainerStarted,
    FaultStarted,
    HostCrashed,
    HostStarted,
    NodeChanged,
    SwarmReady,
    TaskChanged,
)
from ..trace.recorder import Recorded, Trace
from ..trace.steps import Steps
from .entries import LINK_FAULTS, shade, windows
from .lanes import CUT_KEY, OFF_KEY, cuts
from .names import short_names
from .steps import Slab, briefest, coarse, fine, staircases, thinned
from .style import (
    GREEN,
    INK,
    OFF,
    SMALL,
    VERMILLION,
    YELLOW,
    Key,
    Look,
    head,
    mark,
    nothing,
    panel,
    row_height,
    row_lines,
    rows,
    styled,
    text_width,
    width_of,
)
from .time_axis import Micros, end_of, time_axis

RUNNING, GHOST, STOPPING, STARTING, WAITING = "running", "ghost", "stopping", "starting", "waiting"
#: From the bottom of the stack.
KINDS = (RUNNING, GHOST, STOPPING, STARTING, WAITING)
KEYS = {
    RUNNING: Key("running", GREEN),
    GHOST: Key("RUNNING in the store only", "white", VERMILLION, hatch="xxxxxx"),
    STOPPING: Key("shall stop", "#A8A8A8", hatch="------"),
    STARTING: Key("starting", YELLOW, hatch="//////"),
    WAITING: Key("no node yet", "white", hatch="||||||"),
}
FAILED = Key("failed", VERMILLION, marker="X")
COMPLETED = Key("completed", "white", marker="o")

NOWHERE = ""  # the row of tasks that have no node
MOST_ROWS = 40

Counts = tuple[int, ...]  # one for each of KINDS


class Mark(NamedTuple):
    """Something that befell the node, in a word; of two that collide the more important one stays."""

    at: Micros
    word: str
    rank: int


class Row:
    """One node."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.counts: Steps[Counts] = Steps((0,) * len(KINDS))
        self.off: Steps[bool] = Steps(False)
        self.marks: list[Mark] = []
        self.failed: list[Micros] = []
        self.completed: list[Micros] = []
        self.hit = False
        self.state = NodeState.READY
        self.availability = Availability.ACTIVE

    def add(self, at: Micros, kind: str, change: int) -> None:
        counts = list(self.counts.now)
        counts[KINDS.index(kind)] += change
        self.counts.put(at, tuple(counts))

    def seen(self, end: Micros) -> list[Counts]:
        """The counts that last long enough to be seen: not those between a task's creation and its placement."""
        least = briefest(end)
        return [counts for start, until, counts in self.counts.spans(0, end) if until - start > least]

    def peak(self, end: Micros) -> int:
        return max(map(sum, self.seen(end)), default=0)


# ---- reading ----------------------------------------------------------------------------------------------


class Reader:
    """One walk over the trace."""

    def __init__(self, trace: Trace) -> None:
        self.rows: dict[str, Row] = {}
        self.tasks: dict[str, TaskChanged] = {}
        self.containers: dict[str, str] = {}  # task -> the node on which its container runs
        self.places: dict[str, tuple[str, str]] = {}  # task -> the row and the kind it counts as
        handlers = {
            SwarmReady: self._ready,
            TaskChanged: self._task,
            ContainerStarted: self._container,
            ContainerExited: self._container,
            HostCrashed: self._host,
            HostStarted: self._host,
            NodeChanged: self._node,
            FaultStarted: self._fault,
        }
        for recorded in trace:
            handler = handlers.get(type(recorded.event))
            if handler is not None:
                handler(recorded)

    def row(self, name: str) -> Row:
        known = self.rows.get(name)
        if known is None:
            known = self.rows[name] = Row(name)
        return known

    def _ready(self, recorded: Recorded) -> None:
        for name in (*recorded.event.managers, *recorded.event.workers):
            self.row(name)

    def _task(self, recorded: Recorded) -> None:
        e: TaskChanged = recorded.event
        before = self.tasks.get(e.task)
        self.tasks[e.task] = e
        if e.now is not (before.now if before is not None else e.was):
            if e.now in (TaskState.FAILED, TaskState.REJECTED):
                self.row(e.node).failed.append(recorded.at)
            elif e.now is TaskState.COMPLETE:
                self.row(e.node).completed.append(recorded.at)
        self._count(recorded.at, e.task)

    def _container(self, recorded: Recorded) -> None:
        e = recorded.event
        if type(e) is ContainerStarted:
            self.containers[e.task] = e.node
        else:
            self.containers.pop(e.task, None)
        self._count(recorded.at, e.task)

    def _count(self, at: Micros, task: str) -> None:
        now = place(self.tasks.get(task), self.containers.get(task))
        before = self.places.get(task)
        if now == before:
            return
        if before is not None:
            self.row(before[0]).add(at, before[1], -1)
            del self.places[task]
        if now is not None:
            self.row(now[0]).add(at, now[1], 1)
            self.places[task] = now

    def _host(self, recorded: Recorded) -> None:
        row = self.row(recorded.event.node)
        crashed = type(recorded.event) is HostCrashed
        row.off.put(recorded.at, crashed)
        row.marks.append(Mark(recorded.at, "off" if crashed else "on", 0 if crashed else 4))

    def _node(self, recorded: Recorded) -> None:
        e: NodeChanged = recorded.event
        row = self.row(e.node)
        if e.state is not row.state:
            rank = {NodeState.DOWN: 1, NodeState.READY: 3}.get(e.state, 5)
            row.marks.append(Mark(recorded.at, e.state.name, rank))
        if e.availability is not row.availability and recorded.at:
            row.marks.append(Mark(recorded.at, e.availability.name.lower(), 2))
        row.state, row.availability = e.state, e.availability

    def _fault(self, recorded: Recorded) -> None:
        for name in recorded.event.nodes:
            if name in self.rows:  # a kill names tasks
                self.rows[name].hit = True


def place(task: TaskChanged | None, container: str | None) -> tuple[str, str] | None:
    """The row and the kind that a task counts as; None: it has ended, and nothing of it runs."""
    wanted = task is not None and task.action != "REMOVE" and task.desired < TaskState.SHUTDOWN
    if container is not None:
        return container, RUNNING if wanted else STOPPING
    if task is None or task.action == "REMOVE":
        return None
    if task.now is TaskState.RUNNING:
        return task.node, GHOST
    if not wanted or task.now > TaskState.RUNNING:
        return None
    return (NOWHERE, WAITING) if task.now < TaskState.ASSIGNED else (task.node, STARTING)


def chosen(found: Sequence[Row], most: int = MOST_ROWS) -> tuple[list[Row], list[Row]]:
    """(rows that are drawn one by one, rows that are drawn as one): of too many the quiet ones are put together."""
    nodes = [row for row in found if row.name != NOWHERE]
    if len(nodes) <= most:
        return nodes, []
    ranked = sorted(nodes, key=lambda row: (not row.hit, not row.marks, not row.failed, len(row.counts.values) < 2))
    kept = {row.name for row in ranked[: most - 1]}
    return [r for r in nodes if r.name in kept], [r for r in nodes if r.name not in kept]


def together(found: Sequence[Row]) -> Row:
    """Many nodes as one row: the mean of each kind, rounded up, so that one task of one node can be seen."""
    row = Row(f"mean of {len(found)}")
    changes: list[tuple[Micros, int, Counts]] = []
    for i, one in enumerate(found):
        changes += [(at, i, counts) for at, counts in zip(one.counts.times, one.counts.values, strict=True)]
        row.failed += one.failed
        row.completed += one.completed
    now: list[Counts] = [(0,) * len(KINDS)] * len(found)
    total = [0] * len(KINDS)
    for at, i, counts in sorted(changes):
        total = [t + new - old for t, new, old in zip(total, counts, now[i], strict=True)]
        now[i] = counts
        row.counts.put(at, tuple(-(-t // len(found)) for t in total))
    row.failed.sort()
    row.completed.sort()
    return row


def arranged(trace: Trace) -> list[Row]:
    """The rows of the panel, from the top."""
    reader = Reader(trace)
    shown, others = chosen(list(reader.rows.values()))
    nowhere = reader.rows.get(NOWHERE)
    waited = nowhere is not None and (nowhere.failed or nowhere.peak(end_of(trace)))
    out = [nowhere] if nowhere is not None and waited else []
    return [*out, *shown, *([together(others)] if others else [])]


def tasks_height(count: int) -> float:
    """In inches, for so many rows."""
    return max(1, count) * (0.3 if count <= 8 else max(0.135, 2.4 / count))


# ---- drawing ----------------------------------------------------------------------------------------------


@styled
def tasks_by_node(trace: Trace, axes: Axes | None = None, end: float | None = None, labels: bool = True) -> Axes:
    """Nodes: their tasks by state over time, and what befell each node."""
    until = end_of(trace, end)
    found = arranged(trace)
    axes = panel(axes, tasks_height(len(found)))
    disturbed, short = windows(trace, until), short_names(trace)
    time_axis(axes, until, labels)
    shade(axes, disturbed)
    peak = scale_of(found, until)
    if not found:
        nothing(axes, "no nodes in this trace")
        head(axes, "Nodes")
        return axes
    rows(axes, [short.get(row.name, row.name) or "no node" for row in found])
    row_lines(axes, len(found))
    for i, row in enumerate(found):
        _background(axes, i, row, until)
        _stack(axes, i, row, peak, until)
        cuts(axes, i, row.name, disturbed)
        _events(axes, i, row, until)
        _words(axes, i, [*row.marks, *_excess(row, peak, until)], until)
    cut = any(w.fault in LINK_FAULTS and row.name in w.nodes for w in disturbed for row in found)
    head(axes, _title(peak), [*_keys(found, until), *([CUT_KEY] if cut else [])])
    return axes


def scale_of(found: Sequence[Row], end: Micros) -> int:
    """How many tasks make a full row: the most that a node has; those without a node may be more."""
    on_nodes = max((row.peak(end) for row in found if row.name != NOWHERE), default=0)
    return on_nodes or max((row.peak(end) for row in found), default=0)


def _title(peak: int) -> str:
    if not peak:
        return "Nodes: no tasks"
    return f"Nodes: tasks by state (a full row: {peak} task{'s' if peak > 1 else ''})"


def _keys(found: list[Row], end: Micros) -> list[Key]:
    seen = [any(counts[i] for row in found for counts in row.seen(end)) for i in range(len(KINDS))]
    keys = [KEYS[kind] for kind, there in zip(KINDS, seen, strict=True) if there]
    if not any(row.name == NOWHERE for row in found):
        keys = [key for key in keys if key is not KEYS[WAITING]]
    keys += [FAILED] if any(row.failed for row in found) else []
    keys += [COMPLETED] if any(row.completed for row in found) else []
    return keys + ([OFF_KEY] if any(True in row.off.values for row in found) else [])


def _background(axes: Axes, i: int, row: Row, end: Micros) -> None:
    spans = [(a / 1e6, (b - a) / 1e6) for a, b, off in row.off.spans(0, end) if off]
    if spans:
        axes.broken_barh(spans, (i + 0.06, 0.88), facecolor=OFF, edgecolor="none", zorder=0.8)


def _stack(axes: Axes, i: int, row: Row, peak: int, end: Micros) -> None:
    spans = list(coarse(row.counts, end).spans(0, end))
    scale = 0.82 / max(peak, 1)
    for k, kind in enumerate(KINDS):
        slabs = [
            Slab(
                a, b, i + 0.92 - scale * min(peak, sum(counts[:k])), i + 0.92 - scale * min(peak, sum(counts[: k + 1]))
            )
            for a, b, counts in spans
        ]
        shapes = staircases(slabs)
        if shapes:
            key = KEYS[kind]
            look: Look = {
                "facecolor": key.colour,
                "edgecolor": key.edge,
                "hatch": key.hatch or None,
                "linewidth": fine(0.3, len(spans)),
            }
            axes.add_collection(PolyCollection(shapes, zorder=1.2, **look), autolim=False)


def _events(axes: Axes, i: int, row: Row, end: Micros) -> None:
    """Tasks that ended by themselves: a cross for a failure, a ring for a completion."""
    dots = round(width_of(axes) * 9)
    for times, key, y in ((row.failed, FAILED, 0.72), (row.completed, COMPLETED, 0.5)):
        at = [t / 1e6 for t in thinned(times, end, dots)]
        if at:
            axes.plot(at, [i + y] * len(at), linestyle="", zorder=3, clip_on=False, **mark(key))


def _excess(row: Row, peak: int, end: Micros) -> list[Mark]:
    """How many there are where they are more than a full row."""
    most = row.peak(end)
    at = next(start for start, _, counts in row.counts.spans(0, end) if sum(counts) >= most)
    return [Mark(at, f"{most} tasks", 0)] if most > peak else []


def _words(axes: Axes, i: int, marks: Sequence[Mark], end: Micros) -> None:
    """off, DOWN, READY, drain: where there is room, the important ones first."""
    inch = width_of(axes) / end
    size = SMALL if row_height(axes) > 0.14 else SMALL - 1.5
    taken: list[tuple[float, float]] = []
    for befell in sorted(_lasting(marks, (text_width("UNKNOWN", size) + 0.1) / inch), key=lambda m: (m.rank, m.at)):
        need = text_width(befell.word, size) + 0.08
        left = min(befell.at * inch, width_of(axes) - need)
        if befell.at > end or any(left < b and a < left + need for a, b in taken):
            continue
        taken.append((left, left + need))
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.4, "alpha": 0.85}
        x = (left + 0.04) / inch / 1e6
        axes.text(x, i + 0.48, befell.word, size=size, va="center", color=INK, bbox=box, zorder=4)


def _lasting(marks: Sequence[Mark], least: float) -> list[Mark]:
    """Without the moments after each election in which a node is UNKNOWN until it has registered again."""
    left: list[Mark] = []
    for befell in sorted(marks):
        if left and befell.word == "READY" and left[-1].word == "UNKNOWN" and befell.at - left[-1].at < least:
            left.pop()
        else:
            left.append(befell)
    return left
