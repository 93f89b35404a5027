"""A lane for each manager: its Raft role as the height of a bar, its term as a number.

A leader's bar is full, a candidate's half as high and hatched, a follower's thin; a host that is off is a grey gap. Two
full bars above each other are two leaders at once, in different terms: the upper one has not yet noticed. A dashed
line under a lane: a fault lies on that manager's links.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes

from ..trace.events import (
    BecameCandidate,
    BecameFollower,
    BecameLeader,
    HostCrashed,
    HostStarted,
    ManagerStopped,
    MembershipChanged,
    RaftRestarted,
    SteppedDown,
    SwarmReady,
    VoteGranted,
)
from ..trace.recorder import Recorded, Trace
from ..trace.steps import Steps
from .entries import LINK_FAULTS, Window, shade, windows
from .names import short_names
from .steps import thinned
from .style import (
    BLUE,
    INK,
    OFF,
    ORANGE,
    SKY,
    SMALL,
    VERMILLION,
    Key,
    Look,
    head,
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

LEADER, CANDIDATE, FOLLOWER, GONE = "leader", "candidate", "follower", "off"


class Shape(NamedTuple):
    height: float
    colour: str
    hatch: str


SHAPES = {
    LEADER: Shape(0.8, BLUE, ""),
    CANDIDATE: Shape(0.5, ORANGE, "/////"),
    FOLLOWER: Shape(0.2, SKY, ""),
    GONE: Shape(0.8, OFF, ""),
}
KEYS = (
    Key("leader", BLUE),
    Key("candidate", ORANGE, hatch="/////", height=0.7),
    Key("follower", SKY, height=0.35),
)
OFF_KEY = Key("off", OFF, OFF)
CUT_KEY = Key("links disturbed", VERMILLION, line="--")


class Role(NamedTuple):
    """What a manager is, and in which term. `off`: the host is."""

    role: str
    term: int


class Stretch(NamedTuple):
    """A time in one role, over one term or, for a candidate without luck, several."""

    start: Micros
    until: Micros
    role: str
    first: int
    last: int


def read(trace: Trace) -> dict[str, Steps[Role]]:
    """Each manager's role over time."""
    lanes: dict[str, Steps[Role]] = {}
    for recorded in trace:
        kind = type(recorded.event)
        if kind is SwarmReady:
            for name in recorded.event.managers:
                lanes[name] = Steps(Role(LEADER if name == recorded.event.leader else FOLLOWER, 0))
        elif kind in _ROLES:
            _heard(lanes, recorded)
    return lanes


_ROLES = {
    BecameLeader: LEADER,
    BecameCandidate: CANDIDATE,
    BecameFollower: FOLLOWER,
    SteppedDown: FOLLOWER,
    VoteGranted: "",
    RaftRestarted: "",
    HostCrashed: "",
    ManagerStopped: "",
    HostStarted: "",
    MembershipChanged: "",
}


def _heard(lanes: dict[str, Steps[Role]], recorded: Recorded) -> None:
    e, kind = recorded.event, type(recorded.event)
    lane = lanes.get(e.node)
    if lane is None:
        if kind in (HostCrashed, HostStarted):
            return  # a worker
        lane = lanes[e.node] = Steps(Role(FOLLOWER, 0))  # it was promoted
    now = lane.now
    if kind in (HostCrashed, ManagerStopped):
        lane.put(recorded.at, Role(GONE, now.term))
    elif kind in (HostStarted, RaftRestarted):
        # At 0 s the members come, in their roles, from the disks that they were handed over with.
        role = now.role if recorded.at == 0 else FOLLOWER
        lane.put(recorded.at, Role(role, getattr(e, "term", now.term)))
    elif kind in (VoteGranted, MembershipChanged):
        lane.put(recorded.at, Role(now.role, max(now.term, getattr(e, "term", 0))))
    else:
        lane.put(recorded.at, Role(_ROLES[kind], e.term))


def stretches(lane: Steps[Role], end: Micros) -> list[Stretch]:
    """The lane as bars. A candidate that tries again stays one: its bar has the first and the last of its terms."""
    found: list[Stretch] = []
    for start, until, (role, term) in lane.spans(0, end):
        before = found[-1] if found else None
        if (
            before is not None
            and before.role == role
            and (role != LEADER and (role != FOLLOWER or before.last == term))
        ):
            found[-1] = before._replace(until=until, last=term)
        else:
            found.append(Stretch(start, until, role, term, term))
    return found


def lanes_height(managers: int) -> float:
    """In inches."""
    return max(1, managers) * (0.3 if managers <= 9 else max(0.12, 2.7 / managers))


# ---- drawing ----------------------------------------------------------------------------------------------


@styled
def lanes(trace: Trace, axes: Axes | None = None, end: float | None = None, labels: bool = True) -> Axes:
    """Managers: Raft role and term over time, a lane for each."""
    until = end_of(trace, end)
    found = read(trace)
    axes = panel(axes, lanes_height(len(found)))
    disturbed, short = windows(trace, until), short_names(trace)
    time_axis(axes, until, labels)
    if not found:
        nothing(axes, "no managers in this trace")
    shade(axes, disturbed)
    rows(axes, [short.get(name, name) for name in found]) if found else None
    row_lines(axes, len(found))
    bars = {name: stretches(lane, until) for name, lane in found.items()}
    for row, (name, lane) in enumerate(bars.items()):
        _lane(axes, row, lane, until)
        cuts(axes, row, name, disturbed)
    seen = {bar.role for lane in bars.values() for bar in lane}
    hit = any(w.fault in LINK_FAULTS and name in w.nodes for name in found for w in disturbed)
    shown = [k for k in KEYS if k.label in seen] + [OFF_KEY] * (GONE in seen) + [CUT_KEY] * hit
    head(axes, "Managers: role, and term as a number", shown)
    return axes


def cuts(axes: Axes, row: int, name: str, disturbed: Sequence[Window]) -> None:
    """A dashed line at the bottom of the row while a fault lies on the node's links."""
    for w in disturbed:
        if w.fault in LINK_FAULTS and name in w.nodes and w.until is not None:
            span = [w.start / 1e6, w.until / 1e6]
            axes.plot(span, [row + 0.95] * 2, color=VERMILLION, linestyle=(0, (4, 1.5)), linewidth=1.3, zorder=2.5)


def _lane(axes: Axes, row: int, lane: list[Stretch], end: Micros) -> None:
    for role, shape in SHAPES.items():
        spans = [(s.start / 1e6, (s.until - s.start) / 1e6) for s in lane if s.role == role]
        if spans:
            edge = "none" if role == GONE else INK
            box = (row + 0.5 - shape.height / 2, shape.height)
            look: Look = {"facecolor": shape.colour, "edgecolor": edge, "hatch": shape.hatch or None, "linewidth": 0.5}
            axes.broken_barh(spans, box, zorder=1.5 if role == GONE else 2, **look)
    _short(axes, row, lane, end)
    _numbers(axes, row, lane, end)


def _short(axes: Axes, row: int, lane: list[Stretch], end: Micros) -> None:
    """A candidate whose bar is too short to be seen gets a sign."""
    dot = end / (width_of(axes) * 40)
    brief = [s.start for s in lane if s.role == CANDIDATE and s.until - s.start < dot]
    if brief:
        at = [t / 1e6 for t in thinned(brief, end, round(width_of(axes) * 12))]
        look: Look = {"color": ORANGE, "markersize": 4.5, "markeredgecolor": INK, "markeredgewidth": 0.5}
        axes.plot(at, [row + 0.68] * len(at), "^", zorder=3, **look)


def _numbers(axes: Axes, row: int, lane: list[Stretch], end: Micros) -> None:
    """Terms, where they begin and where they find room; the leader's number also says what it is."""
    inch = end / width_of(axes)
    busy: Micros | float = -1
    for s in lane:
        if s.role == GONE:
            continue
        text = next((t for t in _texts(s) if text_width(t, SMALL) * inch <= s.until - s.start - 0.08 * inch), None)
        start = s.start + 0.04 * inch
        if text is None or start < busy:
            continue
        busy = start + text_width(text, SMALL) * inch
        _number(axes, start / 1e6, row, text, s.role)


def _texts(s: Stretch) -> list[str]:
    """What may stand at the bar, the most telling first. Term 0: not told by the trace."""
    if not s.last:
        return ["leader"] if s.role == LEADER else []
    number = str(s.first) if s.first == s.last else f"{s.first} to {s.last}"
    if s.role == LEADER:
        return [f"leader, term {number}", number]
    if s.role == CANDIDATE:
        return [f"asks for votes, terms {number}" if s.first != s.last else f"asks for votes, term {number}", number]
    return [number]


def _number(axes: Axes, x: float, row: int, text: str, role: str) -> None:
    if role == LEADER:
        axes.text(x, row + 0.52, text, size=SMALL, va="center", color="white", weight="bold", zorder=4)
    elif role == CANDIDATE:
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.9}
        axes.text(x, row + 0.52, text, size=SMALL, va="center", zorder=4, bbox=box)
    elif row_height(axes) < 0.25:  # no room above the bar
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.3}
        axes.text(x, row + 0.52, text, size=min(SMALL, row_height(axes) * 60), va="center", zorder=4, bbox=box)
    else:
        axes.text(x, row + 0.38, text, size=SMALL - 0.5, va="bottom", zorder=4)
