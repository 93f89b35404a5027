"""What was done to the cluster: faults as shaded times, operators' steps as lines, both named in a strip of their own.

`windows` reads them from the trace, `shade` lays them under any panel, `entries` draws the strip with their names: a
bar for what lasts, a sign for what is over at once. Faults may overlap; their names never do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes

from ..trace.events import (
    EntryNotFired,
    FaultEnded,
    FaultStarted,
    HostCrashed,
    HostStarted,
    SteadyReached,
    StepAnswered,
    StepSent,
)
from ..trace.recorder import Recorded, Trace
from ..trace.steps import Steps
from .names import listed, short_names
from .steps import thinned
from .style import (
    BLACK,
    BLUE,
    INK,
    SMALL,
    VERMILLION,
    YELLOW,
    Key,
    Look,
    fitted,
    head,
    mark,
    panel,
    styled,
    text_width,
    width_of,
)
from .time_axis import Micros, end_of, time_axis

#: Faults that last: what stands under their time is shaded. `kill` is over at once.
LINK_FAULTS = frozenset({"partition", "delay", "loss"})
#: Steps whose detail is told, and what stands before it.
TOLD_OF = {"scale": " ", "update": " ", "propose": ": ", "change_members": ": "}
MOST_ROWS = 8
ROW = 0.19  # inches
LABEL = SMALL + 0.5
BAR = "#F6D5BD"  # a pale vermillion
FAULT = Key("fault", BAR, VERMILLION)
SIGNS = {
    "fault": Key("fault, over at once", VERMILLION, marker="X"),
    "step": Key("operator's step", BLUE, marker="v"),
    "steady": Key("all has converged", "white", marker="D"),
    "missed": Key("did not fire", YELLOW, marker="X"),
}


class Window(NamedTuple):
    """An entry of the timeline. `until` None: it was over at once; `kind`: fault, step, steady, missed."""

    start: Micros
    until: Micros | None
    kind: str
    label: str
    nodes: tuple[str, ...] = ()
    fault: str = ""


def windows(trace: Trace, end: Micros) -> list[Window]:
    """All entries in order of time; what was created at 0 s is none."""
    ended = {r.event.entry: r.at for r in trace.of(FaultEnded)}
    answers = {r.cause: r.event for r in trace.of(StepAnswered)}
    short = short_names(trace)
    found = []
    for recorded in trace.of(FaultStarted, HostCrashed, StepSent, SteadyReached, EntryNotFired):
        kind = type(recorded.event)
        if kind is FaultStarted:
            found.append(_fault(recorded, ended, end, short))
        elif kind is HostCrashed and not recorded.cause:  # by hand, in a notebook
            found.append(_crash(trace, recorded, end, short))
        elif kind is StepSent and recorded.event.entry:
            found.append(_step(recorded, answers.get(recorded.seq)))
        elif kind is SteadyReached:
            found.append(Window(recorded.at, None, "steady", "steady"))
        elif kind is EntryNotFired:
            found.append(Window(recorded.at, None, "missed", f"{recorded.event.entry} did not fire"))
    return [w for w in found if w.start <= end]


def _fault(recorded: Recorded, ended: Mapping[str, Micros], end: Micros, short: Mapping[str, str]) -> Window:
    e: FaultStarted = recorded.event
    over = e.kind == "kill"
    until = None if over else min(ended.get(e.entry, end), end)
    words = [e.kind, listed(e.nodes, short)]
    if e.peers:
        peers = "all others" if len(e.nodes) + len(e.peers) == len(short) else listed(e.peers, short)
        words.append(f"from {peers}" if e.kind == "partition" else f"to {peers}")
    label = " ".join(words) + (f": {e.detail}" if e.detail else "")
    return Window(recorded.at, until, "fault", label, e.nodes, e.kind)


def _crash(trace: Trace, crashed: Recorded, end: Micros, short: Mapping[str, str]) -> Window:
    node: str = crashed.event.node
    later = (r.at for r in trace.of(HostStarted) if r.seq > crashed.seq and r.event.node == node)
    how = {"power": "power off", "process": "process killed"}.get(crashed.event.how, crashed.event.how)
    label = f"crash {short.get(node, node)}: {how}"
    return Window(crashed.at, min(next(later, end), end), "fault", label, (node,), "crash")


def _step(recorded: Recorded, answer: StepAnswered | None) -> Window:
    e: StepSent = recorded.event
    label = f"{e.verb} {e.target}" + (f"{TOLD_OF[e.verb]}{e.detail}" if e.verb in TOLD_OF and e.detail else "")
    if answer is not None and answer.error:
        label += " (refused)"
    return Window(recorded.at, None, "step", label)


# ---- under the panels -------------------------------------------------------------------------------------


def shade(axes: Axes, found: Sequence[Window]) -> None:
    """Faults as pale bands, darker where they overlap, with dashed edges; what is over at once as dotted lines."""
    for start, until, depth in _depths(found).spans(0, max((w.until or 0 for w in found), default=0)):
        if depth:
            look: Look = {"facecolor": VERMILLION, "linewidth": 0, "zorder": 0.4}
            axes.axvspan(start / 1e6, until / 1e6, alpha=0.08 * min(depth, 4), **look)
    lasting = [w for w in found if w.until is not None]
    edges = [edge for w in lasting for edge in (w.start, w.until or 0)]
    _verticals(axes, edges, VERMILLION, (4, 3))
    for kind in ("fault", "step", "steady"):
        at = [w.start for w in found if w.kind == kind and w.until is None]
        _verticals(axes, at, _colour(kind), (1, 2))


def _depths(found: Sequence[Window]) -> Steps[int]:
    """How many faults were in force."""
    changes: dict[Micros, int] = {}
    for w in found:
        if w.until is not None:
            changes[w.start] = changes.get(w.start, 0) + 1
            changes[w.until] = changes.get(w.until, 0) - 1
    depths = Steps(0)
    for at in sorted(changes):
        depths.put(at, depths.now + changes[at])
    return depths


def _verticals(axes: Axes, times: list[Micros], colour: str, dashes: tuple[int, int]) -> None:
    """A line at each moment, but where they crowd not at all of them."""
    end = round(axes.get_xlim()[1] * 1e6)
    for at in thinned(sorted(times), end, round(width_of(axes) * 8)):
        axes.axvline(at / 1e6, color=colour, linewidth=0.7, linestyle=(0, dashes), alpha=0.8, zorder=0.5)


def _colour(kind: str) -> str:
    return {"fault": VERMILLION, "step": BLUE}.get(kind, BLACK)


# ---- the strip --------------------------------------------------------------------------------------------


class Place(NamedTuple):
    """Where a window's name stands: its row, the text, its left edge in inches, and how it is set."""

    window: Window
    row: int
    text: str
    x: float
    inside: bool


def place(found: Sequence[Window], end: Micros, width: float) -> tuple[list[Place], int]:
    """A row for each name, as few rows as hold them without overlap; the number of names that found no room."""
    free: list[float] = []  # where each row is free from, in inches
    placed = []
    left_out = 0
    for window in sorted(found, key=lambda w: w.start):
        text, x, start, until, inside = _spot(window, end, width)
        row = next((i for i, edge in enumerate(free) if edge <= start), len(free))
        if row >= MOST_ROWS:
            left_out += 1
            continue
        free[row : row + 1] = [until + 0.12]
        placed.append(Place(window, row, text, x, inside))
    return placed, left_out


def _spot(window: Window, end: Micros, width: float) -> tuple[str, float, float, float, bool]:
    """(text, its left edge, and the inches that bar and text cover, is the text in the bar?).

    In the bar, else to the right, else to the left of it; where it fits nowhere it is cut to the widest of these.
    """
    start = window.start * width / end
    until = start if window.until is None else window.until * width / end
    beside = 0.1 if window.until is None else 0.05
    rooms = (until - start - 0.12, width - until - beside, start - beside)
    need = text_width(window.label, LABEL, _weight(window))
    side = next((i for i, room in enumerate(rooms) if need <= room), rooms.index(max(rooms)))
    text = fitted(window.label, rooms[side], LABEL, _weight(window))
    need = text_width(text, LABEL, _weight(window))
    if side == 0:
        return text, start + 0.06, start, until, True
    if side == 1:
        return text, until + beside, start - 0.06, until + beside + need, False
    x = start - beside - need
    return text, x, x, max(until, start + 0.06), False


def _weight(window: Window) -> str:
    return "bold" if window.kind == "missed" else "normal"


def strip_height(found: Sequence[Window], end: Micros, width: float) -> float:
    """In inches, for the rows that are needed."""
    placed, left_out = place(found, end, width)
    return ROW * (max((p.row for p in placed), default=-1) + 1 + bool(left_out))


@styled
def entries(trace: Trace, axes: Axes | None = None, end: float | None = None, labels: bool = True) -> Axes:
    """Faults and operators' steps over time, each with its name."""
    until = end_of(trace, end)
    found = windows(trace, until)
    axes = panel(axes, max(ROW, strip_height(found, until, width_of(axes) if axes is not None else 8.35)))
    draw(axes, found, until)
    time_axis(axes, until, labels)
    axes.grid(visible=labels)
    head(axes, "What was done", _keys(found))
    return axes


def _keys(found: Sequence[Window]) -> list[Key]:
    signs = {w.kind for w in found if w.until is None}
    lasting = [FAULT] if any(w.until is not None for w in found) else []
    return lasting + [key for kind, key in SIGNS.items() if kind in signs]


def draw(axes: Axes, found: Sequence[Window], end: Micros) -> None:
    """The strip alone, without a time axis of its own."""
    width = width_of(axes)
    placed, left_out = place(found, end, width)
    count = max((p.row for p in placed), default=-1) + 1 + bool(left_out)
    axes.set_ylim(max(count, 1), 0)
    axes.set_yticks([])
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.set_xlim(0, end / 1e6)
    for p in placed:
        _draw_one(axes, p, end / 1e6 / width)
    if left_out:
        axes.text(
            0, count - 0.5, f"and {left_out} more that find no room here", size=LABEL, va="center", style="italic"
        )


def _draw_one(axes: Axes, p: Place, inch: float) -> None:
    start, middle = p.window.start / 1e6, p.row + 0.5
    if p.window.until is not None:
        length = max(p.window.until / 1e6 - start, 0.02 * inch)
        axes.broken_barh([(start, length)], (p.row + 0.08, 0.84), facecolor=BAR, edgecolor=VERMILLION, linewidth=0.7)
    else:
        axes.plot([start], [middle], linestyle="", clip_on=False, zorder=3, **mark(SIGNS[p.window.kind]))
    axes.text(p.x * inch, middle, p.text, size=LABEL, va="center", color=INK, weight=_weight(p.window))
