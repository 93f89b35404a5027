"""A row for each server: which entries its log holds over time, and which of them it has applied."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.collections import PolyCollection

from swarmsim.plots import style
from swarmsim.plots.log_lives import CLASH, LOST, Life, Mark, Reader
from swarmsim.plots.logs import KEYS, NOT_YET, SIGNS, TERMS, colour_of, joined, levels, logs, logs_height, shown
from swarmsim.trace.events import DiskWiped, EntriesAppended, EntriesApplied, RaftRestarted, SnapshotInstalled
from swarmsim.trace.recorder import Trace

from .extremes import hundreds_of_terms_and_thousands_of_entries
from .story import Story, figure_8, us
from .test_style import DEFICIENCIES, contrast, distance, linear

END = 60.0


def lives(trace: Trace, name: str, end: float = END) -> list[Life]:
    """Those of entries that the run wrote; a log begins with the five that a story's members are handed over with."""
    found = joined(Reader(trace, us(end)).logs[name].lives, 1)
    return sorted(life for life in found if life.last > 5)


def life(first: int, last: int, term: int, start: float, until: float, applied: float | None = None) -> Life:
    return Life(first, last, term, us(start), us(until), None if applied is None else us(applied))


def marks(trace: Trace) -> list[Mark]:
    return Reader(trace, us(END)).marks


def said(trace: Trace) -> list[str]:
    return [t.get_text() for t in logs(trace).texts]


# ---- what a log holds -------------------------------------------------------------------------------------


def test_an_entry_lasts_from_durable_to_overwritten_or_the_end() -> None:
    story = Story(3, 0)
    story.writes(10, "m1", 6, 2, 2, 2)
    story.writes(30, "m1", 7, 3)

    assert lives(story.end(END), "m1") == [life(6, 6, 2, 10, 60), life(7, 7, 3, 30, 60), life(7, 8, 2, 10, 30)]


def test_an_entry_that_is_written_again_as_it_was_lives_on_and_what_followed_it_is_cut() -> None:
    """EntriesAppended: what stood at its first index and beyond is gone (a follower without `cut-conflicts-only`)."""
    story = Story(3, 0)
    story.writes(10, "m2", 6, 2, 2)
    story.writes(20, "m2", 6, 2)

    assert lives(story.end(END), "m2") == [life(6, 6, 2, 10, 60), life(7, 7, 2, 10, 20)]


def test_an_entry_is_applied_from_then_on_even_if_that_came_before_it_was_durable() -> None:
    """A leader may commit with others' acknowledgements while its own disk is slow (Raft dissertation, 10.2.1)."""
    story = Story(3, 0)
    story.writes(10, "m1", 6, 2)
    story.applies(11, "m1", 6, 2, 2)
    story.writes(12, "m1", 7, 2)

    assert lives(story.end(END), "m1") == [life(6, 6, 2, 10, 60, applied=11), life(7, 7, 2, 12, 60, applied=12)]


def test_what_is_applied_as_another_term_than_the_log_holds_does_not_count_as_this_entry() -> None:
    story = Story(3, 0)
    story.writes(10, "m1", 6, 2)
    story.applies(11, "m1", 6, 3)

    assert lives(story.end(END), "m1") == [life(6, 6, 2, 10, 60)]


def test_a_restart_with_a_shorter_log_has_lost_the_end() -> None:
    story = Story(3, 0)
    story.writes(10, "m2", 6, 2, 2, 2)
    story.crash(20, "m2")
    story.comes_back(30, "m2", last=6)

    assert lives(story.end(END), "m2") == [life(6, 6, 2, 10, 60), life(7, 8, 2, 10, 30)]


def test_a_restart_may_find_entries_that_reached_the_disk_in_the_moment_of_the_crash() -> None:
    """Their terms are told of the last one; where the one before them is of that term, so are all between."""
    alike, unlike = Story(3, 0), Story(3, 0)
    for story, term in ((alike, 2), (unlike, 4)):
        story.writes(10, "m2", 6, 2)
        story.add(30, RaftRestarted("m2", 4, "", 5, 8, term))

    assert lives(alike.end(END), "m2") == [life(6, 6, 2, 10, 60), life(7, 8, 2, 30, 60)]
    assert lives(unlike.end(END), "m2")[1:] == [life(7, 7, 0, 30, 60), life(8, 8, 4, 30, 60)]


def test_a_restart_may_find_its_last_entry_overwritten_in_the_moment_of_the_crash() -> None:
    story = Story(3, 0)
    story.writes(10, "m2", 6, 2)
    story.add(30, RaftRestarted("m2", 3, "", 5, 6, 3))

    assert lives(story.end(END), "m2") == [life(6, 6, 2, 10, 30), life(6, 6, 3, 30, 60)]


def test_a_snapshot_takes_the_place_of_the_whole_log() -> None:
    story = Story(3, 0)
    story.writes(10, "m3", 6, 2)
    story.add(20, SnapshotInstalled("m3", 40, 3))
    story.writes(30, "m3", 41, 3)

    assert lives(story.end(END), "m3") == [
        Life(1, 40, 3, us(20), us(60), us(20), snapshot=True),
        life(6, 6, 2, 10, 20),
        life(41, 41, 3, 30, 60),
    ]


def test_a_wiped_disk_has_no_log() -> None:
    story = Story(3, 0)
    story.writes(10, "m3", 6, 2)
    story.add(20, DiskWiped("m3", ("agent",)))
    story.add(30, DiskWiped("m3", ("agent", "raft")))

    assert lives(story.end(END), "m3") == [life(6, 6, 2, 10, 30)]


def test_the_logs_at_zero_seconds_are_beginnings_of_one_so_that_each_tells_terms_of_the_others() -> None:
    trace = Trace()
    for name, last in (("m1", 8), ("m2", 6), ("m3", 3)):
        trace.record(RaftRestarted(name, 2, "m1", 6, last, 1 if last == 3 else 2), 0, 0)

    found = Reader(trace, us(1)).logs["m1"].lives

    told = [(entry.first, entry.last, entry.term, entry.applied) for entry in joined(found, 1)]
    assert told == [(1, 2, 0, 0), (3, 3, 1, 0), (4, 5, 0, 0), (6, 6, 2, 0), (7, 8, 2, None)]


class Twin(NamedTuple):
    """A log as the list of its terms, the first `base` of them from a snapshot; term 0: not told."""

    terms: list[int]
    base: int = 0

    def cut(self, last: int) -> Twin:
        return Twin(self.terms[:last], self.base) if last >= self.base else Twin([0] * last, last)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("wwwasrx"), st.integers(1, 9), st.integers(1, 4)), max_size=30))
def test_lives_say_at_each_second_what_a_list_of_terms_says(ops: list[tuple[str, int, int]]) -> None:
    """The slow twin keeps the whole log anew for each second."""
    trace = Trace()
    kept = [Twin([])]
    for second, op in enumerate(ops, 1):
        event, log = OPERATIONS[op[0]](kept[-1], second, *op[1:])
        trace.record(event, us(second), 0)
        kept.append(log)

    found = joined(Reader(trace, us(len(kept))).logs["m1"].lives, 1) if ops else []

    for second, log in enumerate(kept):
        there = [(i, x.term) for x in found if x.start <= us(second) < x.until for i in range(x.first, x.last + 1)]
        assert sorted(there) == list(enumerate(log.terms, 1))


def write(log: Twin, second: int, index: int, count: int) -> tuple[Any, Twin]:
    """A new leader's entries, or, of an odd number, such as were there already."""
    first = max(1, min(index, len(log.terms) + 1))
    known = log.terms[first - 1 : first - 1 + count] if count % 2 and first > log.base else []
    terms = known or [second] * count
    kept = log.cut(first - 1)
    return EntriesAppended("m1", second, first, tuple(terms)), Twin(kept.terms + terms, kept.base)


def restart(log: Twin, second: int, index: int, _: int) -> tuple[Any, Twin]:
    kept = log.cut(min(index, len(log.terms)))
    last_term = kept.terms[-1] if kept.terms else 0
    return RaftRestarted("m1", second, "", 0, len(kept.terms), last_term), kept


OPERATIONS: dict[str, Callable[[Twin, int, int, int], tuple[Any, Twin]]] = {
    "w": write,
    "r": restart,
    "a": lambda log, second, index, _: (EntriesApplied("m1", second, 1, tuple(log.terms[:index])), log),
    "s": lambda log, second, index, _: (SnapshotInstalled("m1", index, second), Twin([second] * index, index)),
    "x": lambda log, second, index, _: (DiskWiped("m1", ("raft",)), Twin([])),
}


# ---- what should not have been ----------------------------------------------------------------------------


def test_a_contradiction_and_the_loss_of_a_committed_entry_are_marked() -> None:
    """Raft Figure 8 (d): m5's entry of term 3 takes the place of one of term 2 that three servers have applied."""
    trace = figure_8()

    found = [(sign.server, sign.at / 1e6, sign.first, sign.kind) for sign in marks(trace)]

    lost = [("m2", 5.7, 6, LOST), ("m3", 5.7, 6, LOST)]  # m4 never had it
    assert found == [*lost, *((name, 5.8, 6, CLASH) for name in ("m5", "m2", "m3", "m4"))]


def test_what_nobody_has_applied_may_be_overwritten() -> None:
    story = Story(3, 0)
    story.writes(10, "m1", 6, 2, 2)
    story.writes(20, "m1", 6, 3)
    story.applies(21, "m1", 6, 3)

    assert not marks(story.end(END))


@pytest.mark.parametrize(
    "event",
    [RaftRestarted("m2", 2, "", 5, 6), SnapshotInstalled("m2", 6, 2), DiskWiped("m2", ("raft",))],
    ids=lambda event: type(event).__name__,
)
def test_a_log_may_lose_what_others_have_applied_in_many_ways(event: object) -> None:
    story = Story(3, 0)
    for name in ("m1", "m2"):
        story.writes(10, name, 6, 2, 2)
    story.applies(11, "m1", 6, 2, 2)
    story.add(20, event)

    first = 6 if isinstance(event, DiskWiped) else 7
    assert marks(story.end(END)) == [Mark("m2", us(20), first, LOST)]


def test_an_older_snapshot_loses_what_the_newer_one_held() -> None:
    story = Story(3, 0)
    story.add(20, SnapshotInstalled("m3", 40, 2))
    story.add(30, SnapshotInstalled("m3", 11, 2))

    assert marks(story.end(END)) == [Mark("m3", us(30), 12, LOST)]


# ---- bars -------------------------------------------------------------------------------------------------


def test_neighbours_of_one_term_and_one_life_share_a_bar() -> None:
    story = Story(3, 0)
    story.writes(10, "m1", 6, *[2] * 10, 3)
    story.applies(11, "m1", 6, *[2] * 10, 3)

    assert lives(story.end(END), "m1") == [life(6, 15, 2, 10, 60, applied=11), life(16, 16, 3, 10, 60, applied=11)]
    assert [(bar.low, bar.high) for bar in shown(story.trace, us(END)).bars["m1"]] == [(0, 0), (1, 1)]


def test_what_was_handed_over_is_left_out_as_far_as_the_run_does_not_write_to_its_indices() -> None:
    above, below = Story(3, 0), Story(3, 0)
    above.writes(10, "m1", 6, 2)
    below.writes(10, "m1", 5, 3)

    assert [bar.life for bar in shown(above.end(END), us(END)).bars["m2"]] == []
    assert [bar.life for bar in shown(below.end(END), us(END)).bars["m2"]] == [life(5, 5, 0, 0, 60, applied=0)]


def test_an_index_stands_at_one_height_in_all_rows() -> None:
    """m1 has 6 to 8 in one bar, m2 only 6 and 7: two levels for both."""
    story = Story(3, 0)
    story.writes(10, "m1", 6, 2, 2, 2)
    story.writes(11, "m2", 6, 2, 2)

    found = shown(story.end(END), us(END))

    assert found.ends == [7, 8]
    assert [(name, bar.low, bar.high) for name, mine in found.bars.items() for bar in mine] == [
        ("m1", 0, 1),
        ("m2", 0, 0),
    ]


@settings(deadline=None)
@given(
    st.lists(st.lists(st.tuples(st.integers(1, 300), st.integers(1, 9), st.integers(1, 5)), max_size=40), max_size=4),
    st.integers(4, 30),
)
def test_there_are_no_more_levels_than_a_row_has_room_for(spans: list[list[tuple[int, int, int]]], most: int) -> None:
    servers = [sorted(life(first, first + n, term, 0, 1) for first, n, term in server) for server in spans]
    last = max((entry.last for server in servers for entry in server), default=0)

    ends = levels(servers, 1, most)

    assert len(ends) <= most
    assert ends == sorted(set(ends))
    assert ends[-1:] == ([last] if last else [])


def test_of_too_many_levels_those_at_which_a_term_ends_are_kept() -> None:
    """A hundred entries of a life each, and a conflict at 57."""
    one = [life(i, i, 2, i, 200) for i in range(1, 101)]
    other = [*(life(i, i, 2, i, 200) for i in range(1, 57)), life(57, 57, 3, 90, 200)]

    ends = levels([one, other], 1, 10)

    assert {56, 57, 100} <= set(ends)


def test_a_thousand_entries_are_a_few_bars_and_one_label() -> None:
    story = Story(3, 0)
    for k in range(100):
        for name in story.managers:
            story.writes(1 + 0.01 * k, name, 6 + 10 * k, *[2] * 10)

    trace = story.end(END)

    assert len(shown(trace, us(END)).bars["m1"]) <= 50
    assert said(trace).count("index 6 to 1005, term 2") == 3


def test_a_log_with_more_terms_than_bars_have_room_for_says_which_they_are() -> None:
    assert said(hundreds_of_terms_and_thousands_of_entries()).count("terms 3 to 302") == 9


def test_height_and_ink_are_bounded_however_much_is_written() -> None:
    found = shown(hundreds_of_terms_and_thousands_of_entries(), us(610))

    assert logs_height(found) < 4.5
    assert sum(map(len, found.bars.values())) < 700


def test_a_group_that_writes_nothing_says_so() -> None:
    assert "no entries in this run" in said(Story(3, 0).end(END))


# ---- what is seen -----------------------------------------------------------------------------------------


def test_figure_8_can_be_read_off() -> None:
    """The same index holds term 2 here and term 3 there, and both are applied."""
    texts = said(figure_8())

    assert texts.count("index 6, term 2") == 5  # m1 and m2 before and after it is applied, m3 once
    assert texts.count("index 6, term 3") >= 4
    assert {SIGNS[CLASH].label, SIGNS[LOST].label} <= set(texts)


def test_what_is_not_applied_is_hatched_and_paler() -> None:
    story = Story(1, 0)
    story.writes(10, "m1", 6, 2)
    story.applies(30, "m1", 6, 2)

    found = [c for c in logs(story.end(END)).collections if isinstance(c, PolyCollection) and c.get_zorder() == 2]

    spans = {c.get_hatch(): [p.get_extents().intervalx.tolist() for p in c.get_paths()] for c in found}
    assert spans == {NOT_YET: [[10, 30]], None: [[30, 60]]}
    assert contrast(linear(colour_of(2, False)), linear("white")) < contrast(
        linear(colour_of(2, True)), linear("white")
    )


def test_the_log_of_a_host_that_is_off_is_covered_with_grey() -> None:
    story = Story(3, 0)
    story.writes(10, "m2", 6, 2)
    story.crash(20, "m2")
    story.comes_back(40, "m2", last=6)

    axes = logs(story.end(END))

    grey = [c for c in axes.collections if isinstance(c, PolyCollection) and c.get_alpha()]
    assert [(p.get_extents().intervalx.tolist(), p.get_extents().intervaly.tolist()) for p in grey[0].get_paths()] == [
        ([20, 40], [1, 2])
    ]
    assert "off" in said(story.trace)


def test_the_legend_has_what_occurs() -> None:
    story = Story(3, 0)
    story.writes(10, "m1", 6, 2)
    plain = said(story.end(END))
    snapshot = Story(3, 0)
    snapshot.add(10, SnapshotInstalled("m2", 6, 2))

    labels = [key.label for key in (*KEYS.values(), *SIGNS.values())]

    assert [text for text in plain if text in labels] == ["not applied"]
    assert KEYS["snapshot"].label in said(snapshot.end(END))


def test_each_level_has_its_indices_at_the_left_edge() -> None:
    story = Story(1, 0)
    story.writes(10, "m1", 6, 2, 2, 2)
    story.writes(20, "m1", 9, 3)

    assert {"6–8", "9"} <= set(said(story.end(END)))


def test_texts_on_bars_can_be_read() -> None:
    """WCAG 2: 4.5 to 1."""
    for term in range(len(TERMS) + 1):
        for solid in (False, True):
            assert contrast(linear(style.INK), linear(colour_of(term, solid))) >= 4.5


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_the_colour_blind_tell_terms_apart(deficiency: str) -> None:
    colours = [linear(colour_of(term, True)) for term in range(1, len(TERMS) + 1)]
    seen = [[sum(w * c for w, c in zip(row, rgb, strict=True)) for row in DEFICIENCIES[deficiency]] for rgb in colours]

    for a, b in combinations(seen, 2):
        assert distance(tuple(a), tuple(b)) > 0.09
