"""How all figures look: colours that the colour-blind can tell apart, shapes that remain in grey, one font everywhere.

The palette is Okabe and Ito's (Wong, Nature Methods 8:441, 2011). No fact is told by colour alone: a height, a hatch, a
word or a sign says it too. The font is matplotlib's own DejaVu Sans, and texts become outlines in an SVG, so that a
picture looks the same (and is the same, byte for byte) on every computer.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from functools import cache, wraps
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec, TypeVar

from matplotlib import style
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.textpath import text_to_path

P = ParamSpec("P")
R = TypeVar("R")
Look = dict[str, Any]  # of an artist, in matplotlib's words

ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILLION, PURPLE, BLACK = "#0072B2", "#D55E00", "#CC79A7", "#000000"
INK, SOFT, PALE, OFF = "#222222", "#595959", "#E6E6E6", "#C4C4C4"

FONT = "DejaVu Sans"
MISSING = "(?s)Glyph .* missing"  # a warning: a question in a script that the font lacks
SMALL, NORMAL, LARGE, MEASURED = 7.0, 8.5, 12.0, 100.0

#: In inches. Every panel has the same left edge, so that a moment stands at one place in all of them.
WIDTH, LEFT, RIGHT = 9.6, 1.2, 0.2

STYLE: Look = {
    "font.family": [FONT],
    "font.size": NORMAL,
    "text.color": INK,
    "text.hinting": "none",  # so that a text is as wide in every format
    "text.parse_math": False,  # a question may hold a $
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": SOFT,
    "xtick.labelcolor": INK,
    "xtick.labelsize": NORMAL,
    "ytick.labelsize": NORMAL,
    "ytick.labelcolor": INK,
    "hatch.linewidth": 0.6,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "swarmsim",
    "path.simplify": False,
}


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Draw in this style whatever the user's own settings are, and leave those as they were."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> R:
        with style.context(["default", STYLE]):
            return draw(*args, **kwargs)

    return drawn


class Picture(Figure):
    """A figure that shows itself in a notebook and saves to the same bytes each time; no window, no pyplot."""

    said = ""  # what it shows, in words: for those who cannot see it

    @styled
    def savefig(self, fname: Any, *, transparent: bool | None = None, **settings: Any) -> None:
        """As matplotlib's, in this style, and with nothing in the file that differs from run to run."""
        kind = settings.pop("format", None) or Path(str(fname)).suffix.lstrip(".").lower() or "svg"
        settings.setdefault("metadata", _metadata(kind, self.said))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", MISSING)
            super().savefig(fname, format=kind, transparent=transparent, **settings)

    def _repr_png_(self) -> bytes:
        out = io.BytesIO()
        self.savefig(out, format="png")
        return out.getvalue()

    def __repr__(self) -> str:
        return f"<{self.said or 'a figure'}>"


def _metadata(kind: str, said: str) -> dict[str, Any]:
    """Nothing that differs from run to run: no dates, no versions."""
    if kind == "svg":
        return {"Date": None, "Creator": "swarmsim", "Title": said}
    if kind == "png":
        return {"Software": None, "Title": said}
    if kind == "pdf":
        return {"CreationDate": None, "Creator": "swarmsim", "Producer": None, "Title": said}
    return {}


def panel(axes: Axes | None, height: float) -> Axes:
    """The axes that were given, else those of a new picture with `height` inches for the panel."""
    if axes is not None:
        return axes
    above, below = 0.35, 0.45
    total = above + height + below
    figure = Picture(figsize=(WIDTH, total), dpi=100)
    box = (LEFT / WIDTH, below / total, 1 - (LEFT + RIGHT) / WIDTH, height / total)
    return figure.add_axes(box)


# ---- texts that fit ---------------------------------------------------------------------------------------


def text_width(text: str, size: float = NORMAL, weight: str = "normal") -> float:
    """In inches: the sum of its letters, so that it is quick; kerning makes some texts a little narrower."""
    return sum(_advance(letter, weight) for letter in text) * size / 72


@cache
def _advance(letter: str, weight: str) -> float:
    """How far a letter moves the pen, in sizes of the font; no letter is kerned beside a bar."""
    return (_measured(f"|{letter}|", weight) - _measured("||", weight)) / MEASURED


def _measured(text: str, weight: str) -> float:
    font = FontProperties(family=FONT, size=MEASURED, weight=weight)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", MISSING)
        width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width)


def fitted(text: str, room: float, size: float = NORMAL, weight: str = "normal") -> str:
    """The text, or as much of its beginning as fits into `room` inches, with an ellipsis."""
    if text_width(text, size, weight) <= room:
        return text
    kept = text
    while kept and text_width(kept + "…", size, weight) > room:
        kept = kept[:-1]
    return kept.rstrip() + "…"


def fitted_end(text: str, room: float, size: float = NORMAL) -> str:
    """The text, or as much of its end: names that are long often differ only there."""
    kept = text
    while text_width(kept if kept == text else "…" + kept, size) > room and len(kept) > 1:
        kept = kept[1:]
    return kept if kept == text else "…" + kept


def broken(text: str, room: float, lines: int, size: float = NORMAL) -> str:
    """A long name in at most so many lines, broken after a hyphen or its like where it has one."""
    out: list[str] = []
    while text and len(out) < lines - 1:
        most = next((n for n in range(len(text), 1, -1) if text_width(text[:n], size) <= room), 1)
        breaks = [i + 1 for i, letter in enumerate(text[:most]) if letter in "-_. "]
        most = breaks[-1] if breaks and most < len(text) else most
        out.append(text[:most])
        text = text[most:]
    return "\n".join([*out, fitted_end(text, room, size)] if text else out)


def wrapped(text: str, room: float, lines: int, size: float = NORMAL, weight: str = "normal") -> list[str]:
    """The text in at most so many lines; what does not fit ends in an ellipsis."""
    out: list[str] = []
    words = text.split()
    while words and len(out) < lines - 1:
        n = next((i for i in range(len(words), 0, -1) if text_width(" ".join(words[:i]), size, weight) <= room), 0)
        if not n:
            break
        out.append(" ".join(words[:n]))
        words = words[n:]
    return [*out, fitted(" ".join(words), room, size, weight)] if words else out


def width_of(axes: Axes) -> float:
    """Of the axes, in inches."""
    figure = axes.get_figure(root=True)
    assert figure is not None, "axes without a figure"
    return float(axes.get_position().width * figure.get_figwidth())


def row_height(axes: Axes) -> float:
    """Of a row of the panel, in inches."""
    figure = axes.get_figure(root=True)
    assert figure is not None, "axes without a figure"
    low, high = sorted(axes.get_ylim())
    return float(axes.get_position().height * figure.get_figheight() / (high - low))


# ---- heads, rows, keys ------------------------------------------------------------------------------------


class Key(NamedTuple):
    """One entry of a panel's legend: a patch, or a line where it has a `line` style or a `marker`."""

    label: str
    colour: str
    edge: str = INK
    hatch: str = ""
    line: Any = ""
    marker: str = ""
    height: float = 1.0


def head(axes: Axes, title: str, keys: Sequence[Key] = ()) -> None:
    """The panel's title, and its legend at the right of the same line; keys that find no room are left out."""
    inch = 1 / width_of(axes)
    figure = axes.get_figure(root=True)
    assert figure is not None
    up = 1 / (axes.get_position().height * figure.get_figheight())
    y = 1 + 0.13 * up
    own: Look = {"transform": axes.transAxes, "clip_on": False}
    axes.text(0, y, title, weight="bold", va="center", **own)
    x = 1.0
    for key in reversed(keys):
        x -= text_width(key.label, SMALL + 0.5) * inch
        if x - 0.3 * inch < text_width(title, NORMAL, "bold") * inch + 0.15 * inch:
            break
        axes.text(x, y, key.label, size=SMALL + 0.5, va="center", **own)
        x -= 0.3 * inch
        axes.add_artist(_sample(key, x, y, inch, up, axes))
        x -= 0.14 * inch


def mark(key: Key) -> Look:
    """The look of a sign: filled, with a dark edge, so that it stands out from any ground and in grey."""
    return {
        "marker": key.marker,
        "markersize": 5.0,
        "markerfacecolor": key.colour,
        "markeredgecolor": INK,
        "markeredgewidth": 0.6,
    }


def _sample(key: Key, x: float, y: float, inch: float, up: float, axes: Axes) -> Artist:
    own: Look = {"transform": axes.transAxes, "clip_on": False}
    if key.marker:
        return Line2D([x + 0.17 * inch], [y], linestyle="", **mark(key), **own)
    if key.line:
        return Line2D([x, x + 0.25 * inch], [y, y], color=key.colour, linestyle=key.line, linewidth=1.3, **own)
    tall = 0.11 * up * key.height
    look: Look = {
        "facecolor": key.colour,
        "edgecolor": key.edge,
        "hatch": key.hatch or None,
        "linewidth": 0.5,
    }
    return Rectangle((x, y - tall / 2), 0.25 * inch, tall, **look, **own)


def rows(axes: Axes, names: Sequence[str], scale: float = 0.0) -> None:
    """One row below the other, the first on top: row `i` reaches from y = i down to i + 1.

    `scale`: inches that stay free between the names and the axes.
    """
    axes.set_ylim(max(len(names), 1), 0)
    size = min(NORMAL, row_height(axes) * 72 * 0.8)
    lines = 1 if row_height(axes) < 0.5 else 3
    shown = [broken(name, LEFT - 0.2 - scale, lines, size) for name in names]
    axes.set_yticks([i + 0.5 for i in range(len(names))], shown, size=size)
    axes.tick_params(axis="y", length=0, pad=4 + scale * 72)
    axes.spines["left"].set_visible(False)


def row_lines(axes: Axes, count: int) -> None:
    """Thin lines between the rows."""
    for i in range(1, count):
        axes.axhline(i, color=PALE, linewidth=0.6, zorder=0.6)


def nothing(axes: Axes, text: str) -> None:
    """Said in the middle of a panel that has nothing to show."""
    axes.set_ylim(1, 0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=SOFT, style="italic")
