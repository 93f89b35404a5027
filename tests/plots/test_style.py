"""Texts that fit, a time axis of any length, values thinned to what can be seen, colours that can be told apart."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from swarmsim.plots import style
from swarmsim.plots.lanes import SHAPES
from swarmsim.plots.names import listed, short_names
from swarmsim.plots.steps import DOTS, Slab, coarse, staircases, thinned
from swarmsim.plots.tasks_by_node import KEYS
from swarmsim.plots.time_axis import TICKS, clock, end_of, said, step_of, unit
from swarmsim.trace.events import SwarmReady
from swarmsim.trace.recorder import Trace
from swarmsim.trace.steps import Steps

from .story import Story, us


@settings(deadline=None)
@given(st.text(max_size=60), st.floats(0.2, 3))
def test_a_fitted_text_fits(text: str, room: float) -> None:
    assert style.text_width(style.fitted(text, room)) <= max(room, style.text_width("…"))


@pytest.mark.parametrize("weight", ["normal", "bold"])
@pytest.mark.parametrize(
    "text", ["The swarm does not have a leader", "few managers: 5 of 7 (fi, ff)", "`web.1` → w3 · ×"]
)
def test_a_text_is_as_wide_as_matplotlib_sets_it(text: str, weight: str) -> None:
    """The slow twin sets the whole text; kerning makes it a little narrower, never wider."""
    font = FontProperties(family=style.FONT, size=style.NORMAL, weight=weight)
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)

    assert 0.97 < width / 72 / style.text_width(text, style.NORMAL, weight) < 1.005


@settings(deadline=None)
@given(st.text("abc-_. ", max_size=60), st.floats(0.3, 3), st.integers(1, 4))
def test_a_broken_name_keeps_its_end_and_has_no_more_lines_than_allowed(name: str, room: float, most: int) -> None:
    lines = style.broken(name, room, most).split("\n")

    assert len(lines) <= most
    assert all(style.text_width(line) <= room for line in lines)
    assert not name or lines[-1][-1] == name[-1]


def test_a_long_question_is_wrapped_and_cut() -> None:
    lines = style.wrapped("word " * 60, 3.0, 2)

    assert len(lines) == 2
    assert lines[1].endswith("…")


@settings(deadline=None)
@given(st.integers(1, 10**15))
def test_a_time_axis_has_no_more_ticks_than_fit(end: int) -> None:
    seconds = end / 1e6
    step = step_of(seconds)
    count = int(seconds / step + 1e-9)
    assert count <= TICKS
    labels = [clock(i * step, step, seconds) for i in range(count + 1)]
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize(
    ("seconds", "unit_said", "second_label"),
    [
        (0.08, "seconds", "0.01"),
        (10, "seconds", "1"),
        (60, "seconds", "5"),
        (600, "seconds", "60"),
        (1_800, "minutes", "5"),
        (10_800, "hours : minutes", "0:15"),
        (86_400, "hours : minutes", "2:00"),
        (40 * 86_400, "days", "5"),
    ],
)
def test_the_unit_of_the_time_axis_suits_the_run(seconds: float, unit_said: str, second_label: str) -> None:
    step = step_of(seconds)

    assert unit(seconds) == unit_said
    assert clock(step, step, seconds) == second_label


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.045, "0.045 s"),
        (0.3, "0.3 s"),
        (16.44, "16.4 s"),
        (125, "2 min 5 s"),
        (7_380, "2 h 3 min"),
        (3_459_600, "40 d 1 h"),
    ],
)
def test_a_duration_is_said_as_people_say_it(seconds: float, words: str) -> None:
    assert said(us(seconds)) == words


def test_a_picture_ends_with_the_run_or_the_last_event_and_never_at_zero() -> None:
    story = Story()
    story.crash(12, "w1")
    assert end_of(story.trace) == us(12)
    assert end_of(story.end(60)) == us(60)
    assert end_of(story.trace, 30) == us(30)
    assert end_of(Trace()) == us(1)


def test_the_last_word_of_a_microsecond_counts() -> None:
    steps = Steps(0)
    for at, value in ((5, 1), (5, 2), (7, 2), (9, 3), (9, 2)):
        steps.put(at, value)

    assert list(steps.spans(0, 20)) == [(0, 5, 0), (5, 20, 2)]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 3)), max_size=200))
def test_coarse_steps_end_as_the_fine_ones_and_have_a_change_for_each_dot(changes: list[tuple[int, int]]) -> None:
    end = 10**9
    steps = Steps(0)
    for at, value in sorted(changes):
        steps.put(at, value)

    rough = coarse(steps, end)

    assert rough.now == steps.now
    dots = [at // (end // DOTS) for at in rough.times[1:]]
    assert len(set(dots)) == len(dots)


def test_marks_are_thinned_to_one_a_place() -> None:
    assert thinned([0, 1, 2, 500, 501, 999], 1000, 10) == [0, 500, 999]


def test_slabs_that_touch_join_and_gaps_part_them() -> None:
    shapes = staircases(
        [Slab(0, us(1), 0, 1), Slab(us(1), us(2), 0, 2), Slab(us(2), us(3), 0, 0), Slab(us(3), us(4), 0, 1)]
    )

    assert [shape[0][0] for shape in shapes] == [0, 3]
    assert shapes[0] == [(0, 1), (1, 1), (1, 2), (2, 2), (2, 0), (1, 0), (1, 0), (0, 0)]


def test_names_lose_the_domain_only_if_they_can_be_told_apart_without() -> None:
    apart, alike, short = Trace(), Trace(), Trace()
    apart.record(SwarmReady("", ("alpha.example.org", "beta.example.org"), ()), 0, 0)
    alike.record(SwarmReady("", ("node.east.example.org", "node.west.example.org"), ()), 0, 0)
    short.record(SwarmReady("", ("m.1", "m.2"), ()), 0, 0)

    assert list(short_names(apart).values()) == ["alpha", "beta"]
    assert list(short_names(alike).values()) == ["node.east.example.org", "node.west.example.org"]
    assert list(short_names(short).values()) == ["m.1", "m.2"]
    assert listed(["alpha.example.org"], short_names(apart)) == "alpha"


# ---- colours ----------------------------------------------------------------------------------------------

#: What eyes without green, red and blue cones see of linear RGB (Machado, Oliveira and Fernandes 2009, severity 1).
DEFICIENCIES = {
    "deuteranopia": ((0.367, 0.861, -0.228), (0.280, 0.673, 0.047), (-0.012, 0.043, 0.969)),
    "protanopia": ((0.152, 1.053, -0.205), (0.115, 0.786, 0.099), (-0.004, -0.048, 1.052)),
    "tritanopia": ((1.256, -0.077, -0.179), (-0.078, 0.931, 0.148), (0.005, 0.691, 0.304)),
}


def linear(colour: str) -> tuple[float, float, float]:
    from matplotlib.colors import to_rgb

    r, g, b = ((c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4) for c in to_rgb(colour))
    return r, g, b


def contrast(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """WCAG's ratio of relative luminances, 1 to 21."""
    low, high = sorted(0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in (a, b))
    return (high + 0.05) / (low + 0.05)


def distance(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) ** 0.5


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_the_colour_blind_tell_the_colours_of_one_panel_apart(deficiency: str) -> None:
    rows = DEFICIENCIES[deficiency]

    def seen(colour: str) -> tuple[float, ...]:
        rgb = linear(colour)
        return tuple(sum(w * c for w, c in zip(row, rgb, strict=True)) for row in rows)

    for colours in ([shape.colour for shape in SHAPES.values()], [key.colour for key in KEYS.values()]):
        for a, b in combinations(sorted(set(colours)), 2):
            assert distance(seen(a), seen(b)) > 0.09, f"{a} and {b}"


def test_texts_can_be_read_on_their_ground() -> None:
    """WCAG 2: 4.5 to 1."""
    from swarmsim.plots.run_figure import STATE_COLOURS

    white = linear("white")
    for colour in (style.INK, style.SOFT, *STATE_COLOURS.values()):
        assert contrast(linear(colour), white) >= 4.5, colour
    assert contrast(white, linear(SHAPES["leader"].colour)) >= 4.5
