"""What holds of every figure, at every size: nothing overlaps or is cut off, the same run gives the same bytes."""

from __future__ import annotations

import io
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from functools import cache
from pathlib import Path

import matplotlib as mpl
import matplotlib.style
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from swarmsim import plots
from swarmsim.plots import FIGURES, Heading, run_figure
from swarmsim.plots.style import STYLE
from swarmsim.trace.recorder import Trace

from .extremes import EXTREMES, empty, everything_at_once, long_names
from .story import figure_8, worker_crash

HEADING = Heading(
    "What happens to five hundred tasks when twelve workers lose their power, and would $5 of memory, or $6, help? "
    * 2,
    ("a-scenario-with-a-name", "seed 9223372036854775807", "FAIL", "5 of 9 checks passed", "digest 3fa9c1d27be0"),
    "FAIL",
    ("FAIL web running 12 within 25s after crash: 10 from 12.3 s to the end " * 5, "FAIL b", "UNKNOWN c", "FAIL d"),
)
PANELS = [name for name in FIGURES if name != "run"]


@cache
def drawn(story: Callable[[], Trace]) -> plots.Picture:
    return run_figure(story(), HEADING)


def texts(figure: Figure) -> list[tuple[str, Bbox]]:
    """All texts that can be seen, with their boxes in pixels."""
    with mpl.style.context(["default", STYLE]):
        figure.draw_without_rendering()
        renderer = FigureCanvasAgg(figure).get_renderer()
        found = [t for t in figure.findobj(Text) if isinstance(t, Text) and t.get_visible() and t.get_text().strip()]
        return [(t.get_text(), t.get_window_extent(renderer)) for t in found]


def overlaps(found: list[tuple[str, Bbox]]) -> list[tuple[str, str]]:
    return [
        (a, b)
        for i, (a, p) in enumerate(found)
        for b, q in found[:i]
        if min(p.x1, q.x1) - max(p.x0, q.x0) > 1 and min(p.y1, q.y1) - max(p.y0, q.y0) > 1
    ]


def cut_off(found: list[tuple[str, Bbox]], figure: Figure) -> list[str]:
    width, height = figure.bbox.width, figure.bbox.height
    return [t for t, b in found if b.x0 < 0 or b.y0 < 0 or b.x1 > width or b.y1 > height]


def svg(figure: plots.Picture) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="svg")
    return out.getvalue()


@pytest.mark.parametrize("story", EXTREMES, ids=lambda story: story.__name__)
def test_no_text_overlaps_another_or_is_cut_off(story: Callable[[], Trace]) -> None:
    figure = drawn(story)

    found = texts(figure)

    assert not overlaps(found)
    assert not cut_off(found, figure)


@pytest.mark.parametrize("story", EXTREMES, ids=lambda story: story.__name__)
def test_a_figure_is_no_larger_than_a_page_can_hold(story: Callable[[], Trace]) -> None:
    figure = drawn(story)

    assert figure.get_figwidth() < 10
    assert figure.get_figheight() < 16
    assert len(svg(figure)) < 700_000


@pytest.mark.parametrize("name", PANELS)
@pytest.mark.parametrize(
    "story", [empty, worker_crash, everything_at_once, figure_8, long_names], ids=lambda s: s.__name__
)
def test_a_panel_can_be_drawn_by_itself(story: Callable[[], Trace], name: str) -> None:
    axes = FIGURES[name](story())

    figure = axes.get_figure(root=True)
    assert isinstance(figure, plots.Picture)
    assert not overlaps(texts(figure))


@pytest.mark.parametrize("name", PANELS)
def test_a_panel_can_be_drawn_into_axes_of_ones_own(name: str) -> None:
    figure = Figure(figsize=(5, 3))
    mine = figure.add_subplot()

    axes = FIGURES[name](worker_crash(), mine, 30)

    assert axes is mine
    assert axes.get_xlim() == (0, 30)


def test_the_same_run_gives_the_same_bytes() -> None:
    first, second = (svg(run_figure(worker_crash(), HEADING)) for _ in range(2))

    assert first == second


def test_the_users_own_settings_change_nothing_and_are_left_as_they_were() -> None:
    expected = svg(run_figure(worker_crash(), HEADING))

    with mpl.rc_context({"font.size": 30, "text.usetex": True, "svg.hashsalt": "mine", "axes.grid": True}):
        drawn = svg(run_figure(worker_crash(), HEADING))
        kept = mpl.rcParams["font.size"], mpl.rcParams["svg.hashsalt"]

    assert drawn == expected
    assert kept == (30, "mine")


def test_a_picture_says_in_words_what_it_shows() -> None:
    """A reader of screens finds the question, the verdict and the digest."""
    root = ET.fromstring(svg(run_figure(worker_crash(), HEADING)))

    title = root.findtext("{http://www.w3.org/2000/svg}title") or ""

    assert all(word in title for word in ("twelve workers", "FAIL", "digest 3fa9c1d27be0", "60.0 s"))


@pytest.mark.parametrize("kind", ["svg", "png", "pdf"])
def test_a_figure_is_saved_as_its_suffix_says(kind: str, tmp_path: Path) -> None:
    starts = {"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}
    path = tmp_path / f"run.{kind}"

    run_figure(worker_crash()).savefig(path)

    assert path.read_bytes().startswith(starts[kind])


def test_a_question_may_hold_letters_that_the_font_lacks(recwarn: pytest.WarningsRecorder) -> None:
    svg(run_figure(worker_crash(), Heading("工作节点失效后会怎样? \N{GREEK SMALL LETTER ALPHA} & <b>")))

    assert not recwarn.list


def test_a_notebook_is_given_a_png() -> None:
    assert run_figure(worker_crash())._repr_png_().startswith(b"\x89PNG")


def test_all_panels_have_one_time_axis() -> None:
    figure = run_figure(worker_crash())

    assert {axes.get_xlim() for axes in figure.axes} == {(0.0, 60.0)}
    assert len({(axes.get_position().x0, axes.get_position().x1) for axes in figure.axes}) == 1


def test_of_a_raft_group_by_itself_the_logs_are_shown_and_no_services_or_nodes() -> None:
    def titles(trace: Trace) -> list[str]:
        said = [t.get_text().split(":")[0] for axes in run_figure(trace).axes for t in axes.texts]
        return [text for text in said if text in ("What was done", "Managers", "Logs", "Services", "Nodes")]

    assert titles(figure_8()) == ["What was done", "Managers", "Logs"]
    assert titles(worker_crash()) == ["What was done", "Managers", "Services", "Nodes"]


def test_only_the_lowest_panel_has_numbers_on_its_time_axis() -> None:
    *upper, lowest = run_figure(worker_crash()).axes

    assert [labels_below(axes) for axes in upper] == [[]] * len(upper)
    assert labels_below(lowest)[:3] == ["0", "5", "10"]
    assert lowest.get_xlabel() == "seconds since the swarm was ready"


def labels_below(axes: Axes) -> list[str]:
    return [t.get_text() for t in axes.get_xticklabels() if t.get_text()]


def test_drawing_needs_no_pyplot_and_using_swarmsim_no_matplotlib() -> None:
    """`import swarmsim` and `swarmsim --help` are quick; figures need no window."""
    source = (
        "import sys, swarmsim, swarmsim.cli\n"
        "swarmsim.cli.main(['--help'])\n"
        "assert 'matplotlib' not in sys.modules, 'matplotlib'\n"
        "from swarmsim import plots\n"
        "from swarmsim.trace import Trace\n"
        "plots.run_figure(Trace())._repr_png_()\n"
        "assert 'matplotlib.pyplot' not in sys.modules, 'pyplot'\n"
    )

    run = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stderr


def test_every_figure_says_in_a_line_what_it_shows() -> None:
    """`swarmsim list figures` prints these."""
    for name, figure in FIGURES.items():
        first, *_ = (figure.__doc__ or "").strip().split("\n")
        assert first.endswith("."), f"{name}: {first!r}"
