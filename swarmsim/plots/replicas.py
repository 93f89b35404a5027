"""A strip for each service: containers that run against how many are desired, and what the store says meanwhile.

The store's number (`docker service ls` shows it) is often wrong for a while, in both directions: a dead node's tasks
stay RUNNING in the store until that node comes back and reports them. A service is short while fewer of its
containers run than it owes: as many as are desired, but while it is being created or scaled up no more than it has
had already. Of many services those are shown that were short, or changed; the others are counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection

from ..api.states import TaskState
from ..trace.events import ContainerExited, ContainerStarted, ServiceChanged, TaskChanged
from ..trace.recorder import Recorded, Trace
from ..trace.steps import Steps
from .entries import shade, windows
from .steps import Slab, briefest, coarse, fine, staircases
from .style import (
    BLACK,
    GREEN,
    INK,
    PURPLE,
    SMALL,
    SOFT,
    VERMILLION,
    Key,
    Look,
    fitted,
    head,
    nothing,
    panel,
    row_lines,
    rows,
    styled,
    text_width,
    width_of,
)
from .time_axis import Micros, end_of, said, time_axis

MOST = 6  # services that get a strip
MOST_LABELS = 8  # shortfalls that are told one by one
FILL = "#BFE5D8"  # of what runs: a pale green
TOP = 0.16  # of a strip stays free above the highest number
LABEL, SCALE = SMALL + 0.5, SMALL - 0.5
DOTTED, DASHED = (0, (1, 0.7)), (0, (3, 2))

KEYS = (
    Key("running", FILL, GREEN),
    Key("desired", BLACK, line=DASHED),
    Key("running, says the store", PURPLE, line=DOTTED),
    Key("short", "white", VERMILLION, hatch="//////"),
)


class Level(NamedTuple):
    running: int
    desired: int
    stored: int  # tasks whose state in the store is RUNNING


Span = tuple[Micros, Micros, Level]
Height = Callable[[float], float]  # of a number, in the row of its service


class Short(NamedTuple):
    """A time in which a service was short. `back`: it ended before the run did."""

    start: Micros
    until: Micros
    lowest: int
    desired: int
    back: bool

    @property
    def label(self) -> str:
        number = f"{self.lowest} of {self.desired}"
        return f"{number} for {said(self.until - self.start)}" + ("" if self.back else ", to the end")


class Service:
    """One service over time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.mode = ""
        self.replicas = 0
        self.completions = 0
        self.completed: dict[str, int | None] = {}  # task -> iteration
        self.iteration: int | None = None
        self.slots: dict[str, int] = {}  # of a global service: slot -> tasks that are wanted there
        self.now = Level(0, 0, 0)
        self.levels: Steps[Level] = Steps(self.now)
        self.changed = 0  # how often what is desired changed

    @property
    def is_job(self) -> bool:
        return self.mode.endswith("job")

    def put(self, at: Micros, **change: int) -> None:
        self.now = self.now._replace(**change)
        self.levels.put(at, self.now)

    def desire(self, at: Micros) -> None:
        """What is desired may have changed: a replicated service says it, a global one has a slot on each node."""
        desired = len(self.slots) if self.mode == "global" else self.replicas
        if desired != self.now.desired:
            self.changed += 1
            self.put(at, desired=desired)

    @property
    def peak(self) -> int:
        return max(max(level) for level in self.levels.values)


# ---- reading ----------------------------------------------------------------------------------------------


def read(trace: Trace) -> dict[str, Service]:
    """All services, in the order in which they were created."""
    services: dict[str, Service] = {}
    tasks: dict[str, TaskChanged] = {}
    for recorded in trace:
        kind = type(recorded.event)
        if kind not in (ServiceChanged, TaskChanged, ContainerStarted, ContainerExited):
            continue
        name = recorded.event.service
        service = services.get(name)
        if service is None:
            service = services[name] = Service(name)
        if kind is ServiceChanged:
            _service(service, recorded)
        elif kind is TaskChanged:
            _task(service, recorded, tasks.get(recorded.event.task))
            tasks[recorded.event.task] = recorded.event
        else:
            change = 1 if kind is ContainerStarted else -1
            service.put(recorded.at, running=service.now.running + change)
    return services


def _service(service: Service, recorded: Recorded) -> None:
    e: ServiceChanged = recorded.event
    service.mode, service.completions, service.iteration = e.mode, e.completions, e.iteration
    service.replicas = 0 if e.action == "REMOVE" else e.replicas
    service.desire(recorded.at)


def _task(service: Service, recorded: Recorded, before: TaskChanged | None) -> None:
    e: TaskChanged = recorded.event
    change = _says_running(e) - _says_running(before)
    if change:
        service.put(recorded.at, stored=service.now.stored + change)
    if e.now is TaskState.COMPLETE:
        service.completed[e.task] = e.iteration
    wanted = _is_wanted(e) - _is_wanted(before)
    if wanted and service.mode == "global":
        service.slots[e.name] = service.slots.get(e.name, 0) + wanted
        if not service.slots[e.name]:
            del service.slots[e.name]
        service.desire(recorded.at)


def _says_running(e: TaskChanged | None) -> int:
    """Does `docker service ls` count it? (SwarmKit controlapi/service.go `ListServiceStatuses`.)"""
    return int(e is not None and e.action != "REMOVE" and e.now is TaskState.RUNNING)


def _is_wanted(e: TaskChanged | None) -> int:
    return int(e is not None and e.action != "REMOVE" and e.desired < TaskState.SHUTDOWN)


def shorts(service: Service, end: Micros) -> list[Short]:
    """The times in which it was short; a job owes nothing at any one time."""
    if service.is_job:
        return []
    found: list[Short] = []
    had = 0
    asked = 0  # since when more has been desired than ran
    for start, until, (running, desired, _) in service.levels.spans(0, end):
        had = min(desired, max(had, running))
        if running >= desired:
            asked = until
        if running >= had and not (until == end and running < desired):
            continue
        since = start if running < had else asked  # at the end what it never had counts, too
        short = Short(since, until, running, desired, True)
        while found and found[-1].until >= since:
            short = _joined(found.pop(), short)
        found.append(short)
    if found and found[-1].until >= end:
        found[-1] = found[-1]._replace(back=False)
    return found


def _joined(a: Short, b: Short) -> Short:
    lower = a if a.lowest <= b.lowest else b
    return lower._replace(start=min(a.start, b.start), until=max(a.until, b.until))


def chosen(services: Sequence[Service], end: Micros, most: int = MOST) -> list[Service]:
    """The services that get a strip: all, or of too many those that were short longest, then those that changed."""
    if len(services) <= most:
        return list(services)
    missed = {s.name: sum((x.until - x.start) * (x.desired - x.lowest) for x in shorts(s, end)) for s in services}
    ranked = sorted(services, key=lambda s: (-missed[s.name], -s.changed))
    kept = {s.name for s in ranked[: most - 1]}
    return [s for s in services if s.name in kept]


def rest(services: Sequence[Service], shown: Sequence[Service], end: Micros) -> str:
    """`24 other services: never short`."""
    names = {s.name for s in shown}
    others = [s for s in services if s.name not in names]
    if not others:
        return ""
    short = sum(bool(shorts(s, end)) for s in others)
    plural = "s" if len(others) > 1 else ""
    so = "never short" if not short else "short at some time, too" if short == len(others) else f"{short} of them short"
    return f"{len(others)} other service{plural}: {so}"


def replicas_height(services: int) -> float:
    """In inches, with a line for the services that have no strip."""
    shown = min(services, MOST)
    each = {0: 0.4, 1: 1.5, 2: 1.0, 3: 0.8}.get(shown, 0.62)
    return max(1, shown) * each if services <= MOST else (MOST - 1) * each + 0.25


# ---- drawing ----------------------------------------------------------------------------------------------


@styled
def replicas(trace: Trace, axes: Axes | None = None, end: float | None = None, labels: bool = True) -> Axes:
    """Services: containers that run against how many are desired, and what the store says."""
    until = end_of(trace, end)
    services = list(read(trace).values())
    axes = panel(axes, replicas_height(len(services)))
    time_axis(axes, until, labels)
    shade(axes, windows(trace, until))
    shown = chosen(services, until)
    if not shown:
        nothing(axes, "no service in this run")
        head(axes, "Services")
        return axes
    rows(axes, [s.name for s in shown], max(text_width(str(_top(s)), SCALE) for s in shown) + 0.04)
    row_lines(axes, len(shown))
    short = [_strip(axes, row, service, until) for row, service in enumerate(shown)]
    _others(axes, rest(services, shown, until), len(shown))
    lying = any(_lies(service, until) for service in shown)
    keys = [*KEYS[:2], *([KEYS[2]] if lying else []), *([KEYS[3]] if any(short) else [])]
    head(axes, "Services: running against desired", keys)
    return axes


def _lies(service: Service, end: Micros) -> bool:
    """Does the store differ from the world long enough to be seen?"""
    return any(level.running != level.stored and b - a > briefest(end) for a, b, level in service.levels.spans(0, end))


def _others(axes: Axes, text: str, count: int) -> None:
    """A line below the strips for the services that have none."""
    if text:
        below = 0.25 / ((replicas_height(MOST + 1) - 0.25) / count)
        axes.set_ylim(count + below, 0)
        axes.axhline(count, color=SOFT, linewidth=0.6)
        axes.text(0.005, count + below / 2, text, transform=axes.get_yaxis_transform(), size=LABEL, va="center")


def _strip(axes: Axes, row: int, service: Service, end: Micros) -> bool:
    """Draws one service; was it short?"""
    peak = max(service.peak, 1)

    def y(number: float) -> float:
        return row + 1 - 0.06 - (1 - TOP - 0.06) * number / peak

    spans = list(coarse(service.levels, end).spans(0, end))
    found = shorts(service, end)
    _fill(axes, [Slab(a, b, y(0), y(level.running)) for a, b, level in spans], FILL, "none")
    _fill(axes, list(_gaps(spans, found, y)), "none", VERMILLION, "//////")
    if _lies(service, end):
        _line(axes, [(a, b, y(level.stored)) for a, b, level in spans], PURPLE, DOTTED, 2.4)
    _line(axes, [(a, b, y(level.running)) for a, b, level in spans], GREEN, "-", 1.6)
    if not service.is_job:
        _line(axes, [(a, b, y(level.desired)) for a, b, level in spans], BLACK, DASHED, 0.9)
    _scale(axes, y, service)
    _say(axes, row, service, found, end)
    return bool(found)


def _fill(axes: Axes, slabs: list[Slab], face: str, edge: str, hatch: str = "") -> None:
    shapes = staircases(slabs)
    if shapes:
        look: Look = {"facecolor": face, "edgecolor": edge, "hatch": hatch or None, "linewidth": 0.0}
        axes.add_collection(PolyCollection(shapes, zorder=1.6 if face == "none" else 1.2, **look), autolim=False)


def _gaps(spans: Sequence[Span], found: Sequence[Short], y: Height) -> Iterator[Slab]:
    """What was missing while the service was short."""
    for a, b, level in spans:
        if level.running < level.desired and any(s.start < b and a < s.until for s in found):
            yield Slab(a, b, y(level.running), y(level.desired))


def _line(axes: Axes, levels: list[tuple[Micros, Micros, float]], colour: str, style: Any, width: float) -> None:
    x = [t / 1e6 for a, b, _ in levels for t in (a, b)]
    heights = [y for _, _, y in levels for _ in (0, 1)]
    axes.plot(
        x,
        heights,
        color=colour,
        linestyle=style,
        linewidth=fine(width, len(levels)),
        zorder=2.2,
        solid_joinstyle="miter",
    )


def _top(service: Service) -> int:
    return max(level.desired for level in service.levels.values) or service.peak


def _scale(axes: Axes, y: Height, service: Service) -> None:
    """Numbers at the left edge: zero, and what is desired most."""
    for number in (0, _top(service)):
        axes.text(
            -0.006,
            y(number),
            str(number),
            transform=axes.get_yaxis_transform(),
            size=SCALE,
            color=SOFT,
            ha="right",
            va="center",
        )


def _say(axes: Axes, row: int, service: Service, found: list[Short], end: Micros) -> None:
    """The longest shortfalls in words, each where it is and none over another; of a job, how much is done."""
    inch = width_of(axes) / end
    taken: list[tuple[float, float]] = []
    for middle, label in _labels(found):
        text = fitted(label, 4.0, LABEL)
        need = text_width(text, LABEL) + 0.1
        left = middle * inch
        left = min(max(left - need / 2, 0.03), max(width_of(axes) - need, 0.03))
        if any(left < b and a < left + need for a, b in taken):
            continue
        taken.append((left, left + need))
        _text(axes, (left + 0.05) / inch / 1e6, row + 0.78, text, "left")
    if service.is_job:
        done = sum(iteration == service.iteration for iteration in service.completed.values())
        total = f" of {service.completions}" if service.completions else ""
        _text(axes, (width_of(axes) - 0.08) / inch / 1e6, row + 0.5, f"job: {done}{total} completed", "right")


def _labels(found: list[Short]) -> list[tuple[float, str]]:
    """(the moment in the middle, the words), the longest shortfall first; very many are summed up."""
    if len(found) > MOST_LABELS:
        longest, lowest = max(s.until - s.start for s in found), min(found, key=lambda s: s.lowest)
        text = f"short {len(found)} times, for {said(longest)} at most, lowest {lowest.lowest} of {lowest.desired}"
        return [((found[0].start + found[-1].until) / 2, text)]
    ranked = sorted(found, key=lambda s: s.start - s.until)
    return [((s.start + s.until) / 2, s.label) for s in ranked]


def _text(axes: Axes, x: float, y: float, text: str, align: str) -> None:
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.9}
    axes.text(x, y, text, size=LABEL, ha=align, va="center", color=INK, bbox=box, zorder=4)
