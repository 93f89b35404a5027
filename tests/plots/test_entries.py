"""Faults and steps: their words, their shades, and a place for each name."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.patches import Rectangle

from swarmsim.plots.entries import MOST_ROWS, Window, entries, place, windows
from swarmsim.plots.lanes import lanes
from swarmsim.trace.events import EntryNotFired, SteadyReached
from swarmsim.trace.recorder import Trace

from .story import Story, us


def labels(trace: Trace) -> list[str]:
    return [w.label for w in windows(trace, us(60))]


def test_a_fault_is_named_by_what_it_does_and_to_whom() -> None:
    story = Story()
    story.fault(1, "crash", "w1", detail="power off")
    story.fault(2, "partition", "m1", entry="p", peers=("m2", "m3"))
    story.fault(3, "loss", "w2", entry="l", peers=("m1", "m2", "m3", "w1", "w3"), detail="30%")
    story.fault(4, "kill", "web.1", "web.2", detail="exit 137")

    assert labels(story.end(60)) == [
        "crash w1: power off",
        "partition m1 from m2, m3",
        "loss w2 to all others: 30%",
        "kill web.1, web.2: exit 137",
    ]


def test_a_step_of_a_raft_group_says_what_is_written_and_who_joins() -> None:
    story = Story(3, 0)
    story.step(1, "propose", "m1", "1000 entries")
    story.step(2, "change_members", "m1", "add m4, drop m2")
    story.step(3, "campaign", "m2")

    assert labels(story.end(60)) == [
        "propose m1: 1000 entries",
        "change_members m1: add m4, drop m2",
        "campaign m2",
    ]


def test_of_many_nodes_the_first_are_named_and_the_others_counted() -> None:
    story = Story(3, 9)
    story.fault(1, "crash", *story.workers)

    assert labels(story.end(60)) == ["crash w1, w2, w3 + 6"]


def test_a_step_is_named_and_its_refusal_told() -> None:
    story = Story()
    story.step(1, "scale", "web", "to 6")
    story.step(2, "drain", "w1", error="no leader")
    story.add(3, SteadyReached())
    story.add(4, EntryNotFired("third", "no leader"))

    assert labels(story.end(60)) == ["scale web to 6", "drain w1 (refused)", "steady", "third did not fire"]


def test_a_fault_lasts_until_it_ends_or_to_the_end_and_a_kill_is_over_at_once() -> None:
    story = Story()
    story.fault(1, "crash", "w1", entry="a")
    story.fault(2, "crash", "w2", entry="b")
    story.fault(3, "kill", "web.1", entry="c")
    story.fault_ends(30, "crash", "w1", entry="a")

    assert [w.until for w in windows(story.end(60), us(60))] == [us(30), us(60), None]


def test_a_host_that_was_switched_off_by_hand_is_a_fault_too() -> None:
    """In a notebook nobody writes a timeline."""
    story = Story()
    story.crash(10, "w1")
    story.comes_back(30, "w1")
    story.crash(40, "w2")

    found = [(w.label, w.start, w.until) for w in windows(story.end(60), us(60))]

    assert found == [("crash w1: power off", us(10), us(30)), ("crash w2: power off", us(40), us(60))]


def test_what_is_created_at_zero_seconds_is_no_entry() -> None:
    story = Story()
    story.step(0, "", "web")

    assert labels(story.end(60)) == []


def test_shades_are_darker_where_faults_overlap() -> None:
    story = Story()
    story.fault(10, "crash", "w1", entry="a")
    story.fault(20, "crash", "w2", entry="b")
    story.fault_ends(30, "crash", "w1", entry="a")
    story.fault_ends(40, "crash", "w2", entry="b")

    bands = [p for p in lanes(story.end(60)).patches if isinstance(p, Rectangle) and p.get_alpha()]

    shades = [(p.get_x(), p.get_x() + p.get_width(), p.get_alpha()) for p in bands]
    assert shades == [(10, 20, 0.08), (20, 30, 0.16), (30, 40, 0.08)]


def test_a_trace_without_faults_has_no_shade() -> None:
    assert not [p for p in lanes(Story().end(60)).patches if p.get_alpha()]


def test_names_for_which_there_is_no_room_are_counted() -> None:
    story = Story()
    for i in range(20):
        story.step(1, "scale", "web", f"to {i}")

    said = [t.get_text() for t in entries(story.end(60)).texts]

    assert f"and {20 - MOST_ROWS} more that find no room here" in said


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 59), st.none() | st.integers(0, 60), st.text("abc ", min_size=1, max_size=90)),
        max_size=25,
    )
)
def test_no_name_stands_over_another_entry(found: list[tuple[int, int | None, str]]) -> None:
    """The slow twin of the packing: all pairs in a row are compared."""
    width, end = 8.0, us(60)
    given_windows = [
        Window(us(a), None if b is None else us(max(a, b)), "step" if b is None else "fault", text)
        for a, b, text in found
    ]

    placed, left_out = place(given_windows, end, width)

    assert len(placed) + left_out == len(given_windows)
    spans = [(p.row, *_covered(p.window, p.x, p.text, end, width)) for p in placed]
    for i, (row, start, until) in enumerate(spans):
        assert start >= -0.1 and until <= width + 0.1
        assert not any(r == row and start < u and s < until for r, s, u in spans[:i])


def _covered(window: Window, x: float, text: str, end: int, width: float) -> tuple[float, float]:
    """From where to where a bar and its name reach, in inches."""
    from swarmsim.plots.entries import LABEL
    from swarmsim.plots.style import text_width

    start, until = window.start * width / end, (window.until or window.start) * width / end
    return min(start, x), max(until, x + text_width(text, LABEL))
