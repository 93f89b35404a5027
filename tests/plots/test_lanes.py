"""A lane for each manager: role as the height of a bar, term as a number."""

from __future__ import annotations

from swarmsim.plots.lanes import CANDIDATE, FOLLOWER, GONE, LEADER, Stretch, lanes, read, stretches
from swarmsim.trace.events import BecameCandidate, BecameFollower, HostCrashed, SteppedDown
from swarmsim.trace.recorder import Trace

from .story import Story, us


def said(axes_of: Trace) -> list[str]:
    return [t.get_text() for t in lanes(axes_of).texts]


def lane(trace: Trace, name: str, end: float = 60) -> list[Stretch]:
    return stretches(read(trace)[name], us(end))


def test_at_zero_seconds_the_members_come_in_their_roles_and_their_term() -> None:
    trace = Story(3, 0).end(60)

    assert lane(trace, "m1") == [Stretch(0, us(60), LEADER, 2, 2)]
    assert lane(trace, "m2") == [Stretch(0, us(60), FOLLOWER, 2, 2)]


def test_a_host_that_is_off_has_a_gap_and_comes_back_as_a_follower() -> None:
    story = Story(3, 0)
    story.crash(10, "m1")
    story.comes_back(30, "m1", term=2)

    assert lane(story.end(60), "m1") == [
        Stretch(0, us(10), LEADER, 2, 2),
        Stretch(us(10), us(30), GONE, 2, 2),
        Stretch(us(30), us(60), FOLLOWER, 2, 2),
    ]


def test_a_candidate_that_tries_again_is_one_bar_with_its_first_and_last_term() -> None:
    story = Story(3, 0)
    for n in range(4):
        story.add(20 + 10 * n, BecameCandidate("m2", 3 + n))

    assert lane(story.end(60), "m2")[1:] == [Stretch(us(20), us(60), CANDIDATE, 3, 6)]
    assert "asks for votes, terms 3 to 6" in said(story.trace)


def test_a_deposed_leader_and_its_successor_overlap() -> None:
    """The one that is cut off leads in its old term until it has heard no quorum for an election timeout."""
    story = Story(3, 0)
    story.elected(20, "m2", 3, "m3")
    story.add(25, SteppedDown("m1", 2, "no quorum"))

    trace = story.end(60)

    assert lane(trace, "m1")[0] == Stretch(0, us(25), LEADER, 2, 2)
    assert lane(trace, "m2")[1] == Stretch(us(20), us(60), LEADER, 3, 3)


def test_a_followers_new_term_begins_a_new_stretch_and_is_written() -> None:
    story = Story(3, 0)
    story.add(30, BecameFollower("m3", 7, ""))
    story.add(31, BecameFollower("m3", 7, "m1"))

    assert lane(story.end(60), "m3") == [Stretch(0, us(30), FOLLOWER, 2, 2), Stretch(us(30), us(60), FOLLOWER, 7, 7)]
    assert "7" in said(story.trace)


def test_a_leaders_number_says_what_it_is() -> None:
    assert "leader, term 2" in said(Story(3, 0).end(60))


def test_a_worker_has_no_lane_and_a_promoted_one_gets_one() -> None:
    story = Story(1, 2)
    story.add(5, HostCrashed("w1", "power"))
    story.add(10, BecameFollower("w2", 2, "m1"))

    assert list(read(story.end(60))) == ["m1", "w2"]


def test_a_candidate_too_short_to_be_seen_gets_a_sign() -> None:
    story = Story(3, 0)
    story.add(20, BecameCandidate("m2", 3))
    story.elected(20.01, "m2", 3, "m1", "m3")

    signs = [line for line in lanes(story.end(600)).lines if line.get_marker() == "^"]

    assert [list(line.get_xdata()) for line in signs] == [[20.0]]


def test_a_manager_whose_links_are_disturbed_is_underlined() -> None:
    story = Story(3, 0)
    story.fault(10, "partition", "m2")
    story.fault_ends(40, "partition", "m2")

    underlines = [line for line in lanes(story.end(60)).lines if list(line.get_xdata()) == [10.0, 40.0]]

    assert [list(line.get_ydata()) for line in underlines] == [[1.95, 1.95]]


def test_a_height_for_each_role_tells_them_apart_without_colour() -> None:
    from swarmsim.plots.lanes import SHAPES

    heights = [SHAPES[role].height for role in (LEADER, CANDIDATE, FOLLOWER)]

    assert heights == sorted(heights, reverse=True)
    assert len(set(heights)) == 3
