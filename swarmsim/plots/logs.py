"""A row for each server of a Raft group: what its log holds over time, an entry above the one before it.

An index stands at one height in all rows, so that what differs between the servers is seen across. A bar lasts from the
moment at which the entry is durable until it is overwritten or lost; its term is a colour and a number. Pale and
hatched: this server does not know it to be committed; solid: it has applied it. A cross: it applies another entry than
a server before it did at that index. A triangle: its log loses an entry that some server has applied.

What the servers were handed over with at 0 s is drawn only as far as the run writes to the same indices. Neighbours of
one term and one life share a bar, and where there are more bars than a row has room for, indices are put together.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex, to_rgb

from ..trace.recorder import Trace
from ..trace.steps import Steps
from .entries import shade, windows
from .lanes import GONE, OFF_KEY, Role
from .lanes import read as read_lanes
from .log_lives import CLASH, LOST, Life, Mark, Reader
from .names import short_names
from .steps import DOTS, thinned
from .style import (
    BLUE,
    GREEN,
    INK,
    OFF,
    ORANGE,
    PALE,
    PURPLE,
    SKY,
    SMALL,
    SOFT,
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

#: In inches: of an index, of all rows together, of the least that can be seen and of the least that holds a number.
LEVEL, TOTAL, THINNEST, READABLE = 0.15, 4.2, 0.03, 0.105
#: A row's share that stays free above and below its log.
FREE = 0.06
SCALE = 6.0  # points
#: The colours of terms 2, 3, 4, ...: first those that mean no role in the panel above.
TERMS = (GREEN, PURPLE, YELLOW, SKY, BLUE, ORANGE)
#: How much white is mixed into them: so that a text can be read, and for what is not applied. Hatches are darker.
SOLID, FAINT, DARK = 0.3, 0.8, 0.75
NOT_YET, SNAPSHOT = "\\\\\\\\\\", "||||"
GREY = "#8C8C8C"
SIGNS = {
    CLASH: Key("contradicts a committed entry", VERMILLION, marker="X"),
    LOST: Key("loses a committed entry", YELLOW, marker="<"),
}
KEYS = {
    "not told": Key("term not told", PALE),
    "not yet": Key("not applied", "white", hatch=NOT_YET),
    "applied": Key("applied", GREY),
    "snapshot": Key("snapshot", GREY, hatch=SNAPSHOT),
}
TITLE = "Logs: index and term"
Box = list[tuple[float, float]]
Span = tuple[Micros, Micros]


# ---- what shares a bar ------------------------------------------------------------------------------------


def joined(lives: Iterable[Life], dot: Micros) -> list[Life]:
    """Neighbours of one term whose lives look the same, as one."""
    found: list[Life] = []
    latest: dict[tuple[object, ...], int] = {}  # what they look like -> where in `found`
    for life in sorted(lives):
        applied = None if life.applied is None else life.applied // dot
        key = (life.term, life.snapshot, life.start // dot, life.until // dot, applied)
        at = latest.get(key)
        if at is not None and found[at].last == life.first - 1 and not life.snapshot:
            found[at] = found[at]._replace(last=life.last)
        else:
            latest[key] = len(found)
            found.append(life)
    return found


def levels(lives: Sequence[Sequence[Life]], lowest: int, most: int) -> list[int]:
    """The indices at which the levels end, lowest first: one level for all indices between which nothing differs.

    Of more than `most`, ends of terms are kept, if there are not too many of them; the others are thinned out evenly.
    """
    ends = {life.last for server in lives for life in server} | {life.first - 1 for server in lives for life in server}
    found = sorted(end for end in ends if end >= lowest)
    if len(found) <= most:
        return found
    hard = sorted({end for server in lives for end in _ends_of_terms(server) if end >= lowest} | {found[-1]})
    if len(hard) > most // 2:
        return _evenly(found, most)
    return sorted({*hard, *_evenly(found, most - len(hard))})


def _ends_of_terms(lives: Sequence[Life]) -> Iterator[int]:
    """Where one of two neighbours is of another term: before the first index of each term, and at its last one."""
    reach: dict[tuple[int, bool], tuple[int, int]] = {}
    for life in lives:  # in order of their first index
        key = (life.term, life.snapshot)
        first, last = reach.get(key, (life.first, life.first - 1))
        if life.first > last + 1:
            yield from (first - 1, last)
            first = life.first
        reach[key] = first, max(last, life.last)
    for first, last in reach.values():
        yield from (first - 1, last)


def _evenly(ends: Sequence[int], most: int) -> list[int]:
    """So many of them, the last one among them."""
    return [ends[(i + 1) * len(ends) // most - 1] for i in range(most)]


class Bar(NamedTuple):
    """A life on the levels `low` up to `high`."""

    low: int
    high: int
    life: Life


def bars(lives: Sequence[Life], ends: Sequence[int], lowest: int) -> list[Bar]:
    """A level that holds several entries shows the last of them: the log has the others, too."""
    found = []
    reached = 0
    runs: dict[int, tuple[int, int]] = {}  # of each term the neighbours so far: their first and last index
    for life in lives:  # in order of their first index
        first, last = runs.get(life.term, (life.first, life.last))
        first, last = (first, max(last, life.last)) if life.first <= last + 1 else (life.first, life.last)
        runs[life.term] = first, last
        while reached < len(ends) and ends[reached] < life.first:
            reached += 1
        high = bisect_right(ends, life.last, lo=reached)
        if high > reached:
            under = ends[reached - 1] + 1 if reached else lowest
            found.append(Bar(reached, high - 1, life._replace(first=max(first, under))))
    return found


class Shown(NamedTuple):
    """All that the panel draws. `ends`: the levels' last indices; the lowest level begins at `lowest`."""

    bars: dict[str, list[Bar]]
    marks: list[Mark]
    ends: list[int]
    lowest: int
    terms: dict[str, set[int]]  # of each server's log, also those that no bar shows


def shown(trace: Trace, end: Micros) -> Shown:
    reader = Reader(trace, end)
    dot = max(1, end // DOTS)
    lives = {name: joined(log.lives, dot) for name, log in reader.logs.items()}
    lowest = reader.lowest
    if lowest is None:
        return Shown({name: [] for name in lives}, [], [], 1, {})
    most = max(4, round(_most_of_a_row(len(lives)) / THINNEST))
    ends = levels(list(lives.values()), lowest, most)
    drawn = {name: bars(found, ends, lowest) for name, found in lives.items()}
    terms = {name: {life.term for life in found if life.last >= lowest} - {0} for name, found in lives.items()}
    return Shown(drawn, reader.marks, ends, lowest, terms)


def _most_of_a_row(servers: int) -> float:
    return max(0.12, min(1.4, TOTAL / max(1, servers)))


def logs_height(found: Shown) -> float:
    """In inches."""
    if not found.ends:
        return 0.4
    row = min(max(0.3, LEVEL * len(found.ends) + 0.04), _most_of_a_row(len(found.bars)))
    return max(1, len(found.bars)) * row


# ---- drawing ----------------------------------------------------------------------------------------------


@styled
def logs(trace: Trace, axes: Axes | None = None, end: float | None = None, labels: bool = True) -> Axes:
    """Logs: each server's entries over time, by index and term, and which of them it has applied."""
    until = end_of(trace, end)
    found = shown(trace, until)
    axes = panel(axes, logs_height(found))
    time_axis(axes, until, labels)
    shade(axes, windows(trace, until))
    if not found.ends:
        nothing(axes, "no entries in this run")
        head(axes, TITLE)
        return axes
    short, roles = short_names(trace), read_lanes(trace)
    rows(axes, [short.get(name, name) for name in found.bars], max(_width(text) for text in _numbers(found)) + 0.06)
    row_lines(axes, len(found.bars))
    _bars(axes, found)
    off = {name: _off(roles[name], until) if name in roles else [] for name in found.bars}
    for row, (name, mine) in enumerate(found.bars.items()):
        _scale(axes, row, found)
        _grey(axes, row, off[name])
        signs = [sign for sign in found.marks if sign.server == name]
        told = False
        for bar in _grouped(mine, _level(axes, found), round(_inch(axes))):
            near = {sign.at for sign in signs if bar.life.first <= sign.first <= bar.life.last}
            told |= _label(axes, row, found, bar, off[name], near)
        if not told:
            _sum(axes, row, found, name)
    _marks(axes, found, until)
    head(axes, TITLE, _keys(found, any(off.values())))
    return axes


def _keys(found: Shown, off: bool) -> list[Key]:
    lives = [bar.life for mine in found.bars.values() for bar in mine]
    seen = {
        "not told": any(not life.term for life in lives),
        "not yet": any(life.term and life.applied != life.start for life in lives),
        "applied": any(life.term and life.applied is not None for life in lives),
        "snapshot": any(life.snapshot for life in lives),
    }
    signs = {sign.kind for sign in found.marks}
    return [
        *(key for kind, key in KEYS.items() if seen[kind]),
        *([OFF_KEY] if off else []),
        *(key for kind, key in SIGNS.items() if kind in signs),
    ]


def _off(lane: Steps[Role], end: Micros) -> list[Span]:
    return [(start, until) for start, until, (role, _) in lane.spans(0, end) if role == GONE]


def colour_of(term: int, solid: bool) -> str:
    """A term's colour, the same in all pictures; paler for what is not applied."""
    if not term:
        return PALE
    white = SOLID if solid else FAINT
    red, green, blue = (white + (1 - white) * part for part in to_rgb(TERMS[(term - 2) % len(TERMS)]))
    return to_hex((red, green, blue))


def _y(found: Shown, row: int, level: float) -> float:
    """The lower edge of a level in a row."""
    return row + 1 - FREE - (1 - 2 * FREE) * level / len(found.ends)


def _level(axes: Axes, found: Shown) -> float:
    """How high a level is, in inches."""
    return row_height(axes) * (1 - 2 * FREE) / len(found.ends)


def _bars(axes: Axes, found: Shown) -> None:
    """What looks the same is one collection: a hatch has one colour in each."""
    shapes: dict[tuple[str, str, str], list[Box]] = {}
    for row, mine in enumerate(found.bars.values()):
        for low, high, life in mine:
            bottom, top = _y(found, row, low), _y(found, row, high + 1)
            for solid, start, until in life.parts:
                if start < until:
                    shapes.setdefault(_look(life, solid), []).append(_box(start, until, bottom, top))
    width = 0.6 if _level(axes, found) >= READABLE else 0.0  # a line would cross the texts
    for (face, edge, hatch), boxes in shapes.items():
        look: Look = {"facecolor": face, "edgecolor": edge, "hatch": hatch or None, "linewidth": width}
        axes.add_collection(PolyCollection(boxes, zorder=2, **look), autolim=False)


def _look(life: Life, solid: bool) -> tuple[str, str, str]:
    """Its face, edge and hatch."""
    face = colour_of(life.term, solid)
    if solid or not life.term:
        return face, INK, SNAPSHOT if life.snapshot else ""
    red, green, blue = to_rgb(TERMS[(life.term - 2) % len(TERMS)])
    return face, to_hex((DARK * red, DARK * green, DARK * blue)), NOT_YET


def _box(start: Micros, until: Micros, bottom: float, top: float) -> Box:
    return [(start / 1e6, bottom), (start / 1e6, top), (until / 1e6, top), (until / 1e6, bottom)]


def _grey(axes: Axes, row: int, off: Sequence[Span]) -> None:
    """Over the log of a host that is off: it is on the disk, and nobody reads it."""
    spans = [(start / 1e6, (until - start) / 1e6) for start, until in off]
    if spans:
        axes.broken_barh(spans, (row, 1), facecolor=OFF, alpha=0.75, linewidth=0, zorder=3)


def _numbers(found: Shown) -> list[str]:
    """Of each level, lowest first."""
    firsts = [found.lowest, *(end + 1 for end in found.ends[:-1])]
    return [str(a) if a == b else f"{a}–{b}" for a, b in zip(firsts, found.ends, strict=True)]


def _width(number: str) -> float:
    return text_width(number, SCALE)


def _scale(axes: Axes, row: int, found: Shown) -> None:
    """Indices at the left edge: all, or the lowest and the highest."""
    said = dict(enumerate(_numbers(found)))
    if _level(axes, found) < READABLE * 0.9:
        low, high = str(found.lowest), str(found.ends[-1])
        said = {0: low, len(said) - 1: high} if row_height(axes) > 2.2 * READABLE else {}
    look: Look = {"transform": axes.get_yaxis_transform(), "size": SCALE, "color": SOFT, "ha": "right", "va": "center"}
    for level, number in said.items():
        axes.text(-0.006, _y(found, row, level + 0.5), number, **look)


# ---- numbers on bars --------------------------------------------------------------------------------------


def _grouped(mine: Sequence[Bar], level: float, least: Micros) -> list[Bar]:
    """Bars that have room for a text; where levels are thin, those of one term above each other."""
    if level >= READABLE:
        return list(mine)
    found: list[Bar] = []
    for bar in sorted(mine, key=lambda bar: (bar.life.term, bar.low, bar.life.start)):
        both = _both(found[-1], bar, least) if found else None
        found[-1:] = [both] if both is not None else [*found[-1:], bar]
    return [bar for bar in found if (bar.high - bar.low + 1) * level >= READABLE]


def _both(a: Bar, b: Bar, least: Micros) -> Bar | None:
    """The two above each other, in the time in which both are there: as good as all of it, and not too short."""
    p, q = a.life, b.life
    start, until = max(p.start, q.start), min(p.until, q.until)
    alike = p.term == q.term and not p.snapshot and not q.snapshot and (p.applied is None) == (q.applied is None)
    long = until - start >= max(least, (p.until - p.start) / 2, (q.until - q.start) / 2)
    if not alike or not long or b.low != a.high + 1:
        return None
    applied = None if p.applied is None or q.applied is None else max(p.applied, q.applied, start)
    return Bar(a.low, b.high, Life(p.first, q.last, p.term, start, until, applied))


def _label(axes: Axes, row: int, found: Shown, bar: Bar, off: Sequence[Span], signs: Collection[Micros]) -> bool:
    """What it is, once while it is not applied and once from then on; a bare number only if no more has room."""
    middle = _y(found, row, (bar.low + bar.high + 1) / 2)
    for texts in (_texts(bar.life), [str(bar.life.term)] if bar.life.term else []):
        told = False
        for solid, start, until in bar.life.parts:
            spot = _spot(axes, texts, (start, until), off, signs)
            if spot is not None:
                told = True
                axes.text(spot.x, middle, spot.text, **_type(bar.life, solid, spot.on))
        if told:
            return True
    return False


def _sum(axes: Axes, row: int, found: Shown, name: str) -> None:
    """Of a log in which no bar has room for a text: its terms, at the top of the row before anything is so high."""
    terms = found.terms[name]
    height = 1.3 * READABLE / row_height(axes)
    if not terms or height > 1 - FREE:
        return
    text = f"terms {min(terms)} to {max(terms)}" if len(terms) > 1 else f"term {min(terms)}"
    high = [bar.life.start for bar in found.bars[name] if _y(found, row, bar.high + 1) < row + FREE + height]
    if text_width(text, SMALL) + 0.1 < min(high, default=0) / _inch(axes):
        axes.text(0.05 * _inch(axes) / 1e6, row + FREE + height / 2, text, size=SMALL, va="center", color=INK)


def _type(life: Life, solid: bool, on: bool) -> Look:
    look: Look = {"size": SMALL, "va": "center", "zorder": 4, "color": INK}
    if life.snapshot or not solid or not on:  # or a hatch would run through it
        look["bbox"] = {"facecolor": colour_of(life.term, solid) if on else OFF, "edgecolor": "none", "pad": 0.4}
    return look


class Spot(NamedTuple):
    """Where a text stands; `on`: the host is."""

    x: float
    text: str
    on: bool


def _spot(axes: Axes, texts: Sequence[str], span: Span, off: Sequence[Span], signs: Collection[Micros]) -> Spot | None:
    """The longest text for which there is room, as early as there is; where the host is off only if need be."""
    inch = _inch(axes)
    on, gone = _parts(span, off)
    for parts in (on, gone):
        for text in texts:
            for start, until in parts:
                left, right = ((0.1 if edge in signs else 0.04) * inch for edge in (start, until))
                if until - start >= left + text_width(text, SMALL) * inch + right:
                    return Spot((start + left) / 1e6, text, parts is on)
    return None


def _inch(axes: Axes) -> float:
    """How long an inch lasts."""
    return round(axes.get_xlim()[1] * 1e6) / width_of(axes)


def _texts(life: Life) -> list[str]:
    """The most telling first."""
    if not life.term:
        return []
    if life.snapshot:
        return [f"snapshot to {life.last}: term {life.term}", f"snapshot to {life.last}", f"to {life.last}"]
    indices = f"{life.first} to {life.last}" if life.last > life.first else str(life.first)
    return [f"index {indices}, term {life.term}", f"{indices}: term {life.term}", f"term {life.term}"]


def _parts(span: Span, off: Sequence[Span]) -> tuple[list[Span], list[Span]]:
    """The span's parts in which the host is on, and those in which it is off."""
    start, until = span
    on, gone = [], []
    for begin, back in off:
        if begin < until and start < back:
            on.append((start, begin))
            gone.append((max(start, begin), min(until, back)))
            start = back
    return [*on, (start, until)], gone


def _marks(axes: Axes, found: Shown, end: Micros) -> None:
    """One sign of a kind at each place that can be told apart."""
    order = list(found.bars)
    for kind, key in SIGNS.items():
        for row, name in enumerate(order):
            mine = {sign.at: sign for sign in reversed(found.marks) if (sign.server, sign.kind) == (name, kind)}
            for at in thinned(sorted(mine), end, round(width_of(axes) * 12)):
                level = bisect_left(found.ends, mine[at].first)
                y = _y(found, row, min(level, len(found.ends) - 1) + 0.5)
                axes.plot([at / 1e6], [y], linestyle="", clip_on=False, zorder=5, **mark(key))
