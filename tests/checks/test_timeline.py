"""*timeline* can fail: entries that did not fire, and steps that were answered otherwise than the file says."""

from __future__ import annotations

import pytest

from swarmsim.checks import FAIL, PASS, UNKNOWN, Entry, Timeline, Verdict, walk
from tests.checks.story import Story

REFUSAL = "rpc error: code = InvalidArgument desc = replicas must be non-negative"


def judge(story: Story, *entries: Entry, end: float = 60.0) -> Verdict:
    check = Timeline(entries)
    return check.verdict(walk(story.end(end), [check]))


def test_entries_that_fired_and_steps_that_were_accepted_pass() -> None:
    story = Story().at(5).fault("crash", "w1").at(6).step("scale").answered("scale")

    verdict = judge(story, Entry("crash", 3), Entry("scale", 4))

    assert (verdict.state, verdict.seen, verdict.always) == (PASS, "always checked", True)


def test_an_entry_that_never_began_is_unknown() -> None:
    """Nothing was learnt: not a success, and not a failure."""
    verdict = judge(Story().fault("crash", "w1"), Entry("crash", 3), Entry("second", 4))

    assert (verdict.state, verdict.seen, verdict.line) == (UNKNOWN, "`second` did not fire", 4)


def test_an_entry_that_found_nothing_to_hit_is_unknown_and_says_why() -> None:
    verdict = judge(Story().at(31).not_fired("second", "no leader at 31 s"), Entry("second", 11))

    assert (verdict.state, verdict.seen, verdict.line) == (UNKNOWN, "`second` did not fire: no leader at 31 s", 11)


def test_a_step_that_was_not_answered_before_the_end_is_unknown() -> None:
    verdict = judge(Story().at(59).step("scale"), Entry("scale", 4))

    assert verdict.state is UNKNOWN
    assert verdict.seen == "`scale` was sent at 59.0 s and not answered before the end"
    assert verdict.line == 4


def test_what_is_created_at_0s_has_no_name_and_is_told_by_its_deed() -> None:
    unanswered = judge(Story().step("create", "web", entry=""))
    refused = judge(Story().step("create", "web", entry="").answered("create", "web", entry="", error=REFUSAL))

    assert unanswered.seen == "`create web` was sent at 0.0 s and not answered before the end"
    assert refused.seen == f"create web was refused at 0.0 s: {REFUSAL}"


def test_two_steps_of_one_name_wait_for_two_answers() -> None:
    """Both are created at 0s, before any entry: they are told apart by their target."""
    story = Story().step("create", "web", entry="").step("create", "db", entry="")

    assert judge(story.answered("create", "db", entry="")).seen.startswith("`create web` was sent")


@pytest.mark.parametrize(
    ("refused", "error", "state", "seen"),
    [
        ("", "", PASS, "always checked"),
        ("", REFUSAL, FAIL, f"`scale` was refused at 5.0 s: {REFUSAL}"),
        ("non-negative", REFUSAL, PASS, "always checked"),
        ("non-negative", "", FAIL, "`scale` was accepted at 5.0 s, not refused with `non-negative`"),
        (
            "no such service",
            REFUSAL,
            FAIL,
            f"`scale` was refused at 5.0 s with another text than `no such service`: {REFUSAL}",
        ),
        (
            "NON-NEGATIVE",
            REFUSAL,
            FAIL,
            f"`scale` was refused at 5.0 s with another text than `NON-NEGATIVE`: {REFUSAL}",
        ),
    ],
    ids=["accepted", "refused without `refused`", "as wanted", "accepted in spite of it", "another text", "other case"],
)
def test_a_step_is_answered_as_the_file_says(refused: str, error: str, state: object, seen: str) -> None:
    story = Story().at(5).step("scale").answered("scale", error=error)

    verdict = judge(story, Entry("scale", 7, refused))

    assert (verdict.state, verdict.seen) == (state, seen)
    assert verdict.line == (0 if state is PASS else 7)


def test_what_is_wrong_outweighs_what_is_unknown_and_all_of_it_is_told() -> None:
    story = Story().at(5).step("scale").answered("scale", error=REFUSAL)

    verdict = judge(story, Entry("crash", 3), Entry("scale", 7))

    assert verdict.state is FAIL
    assert verdict.seen.startswith("`scale` was refused")
    assert verdict.details == ("`crash` did not fire",)
