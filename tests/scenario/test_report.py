"""What `swarmsim run` prints (SCENARIOS.md section 11): whole pages, then single rules of them."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import pytest

from swarmsim.api.states import Availability, IssuanceState, NodeRole, NodeState, UpdateState
from swarmsim.checks.verdict import FAIL, PASS, UNKNOWN, Broken, Verdict
from swarmsim.scenario import report, tables
from swarmsim.scenario.aftermath import rounded
from swarmsim.scenario.grid import WIDTH, short_names
from swarmsim.scenario.runner import Result
from swarmsim.trace import events as ev
from tests.scenario.story import Story, us

Golden = Callable[[str, str], None]


def page(result: Result, **options: Any) -> str:
    out = io.StringIO()
    report.print_run(result, file=out, **options)
    return out.getvalue()


def rows(result: Result) -> list[str]:
    """The words of the timeline, without its columns, wrapped lines put together."""
    found: list[str] = []
    for line in report.lines(result):
        words = line.text[line.cells :]
        if line.cells and words.startswith("    ") and found:
            found[-1] += " " + words.strip()
        elif line.cells and words:
            found.append(words)
    return found


# ---- whole pages ------------------------------------------------------------------------------------------


def worker_crash() -> Result:
    """Two of six containers go with `w1`; DOWN after 11 s, replaced, and `w1` comes back empty."""
    s = Story()
    s.scenario.name, s.scenario.question = "worker-crash", "are the replicas restored after a worker dies?"
    s.scenario.file = "scenarios/worker-crash.yaml"
    create = s.created("web", 7)
    for i, node in enumerate(["w1", "m1", "m2", "m3", "w2", "w3", "w1"], 1):
        s.up(3.0 + i / 100, f"web.{i}", node, create)
    s.steady(3.2)
    crash = s.crash(8.2, "w1", lasts=30)
    gone = [s.exits(8.2, name, "w1", crash) for name in ("web.1", "web.7")]
    down = s.down(19.3, "w1", 14.2, gone[0])
    for i, (name, to, tied) in enumerate([("web.1", "m2", 5), ("web.7", "w3", 4)]):
        s.task(19.305, name, "RUNNING", "w1", down, desired="SHUTDOWN")
        s.task(19.305, name, "NEW", cause=down, desired="READY", new=True)
        s.add(19.306, ev.RestartScheduled(f"{name}#1", f"{name}#2", name, us(5), "w1 is down"), down)
        why = "fewest tasks of the service, then fewest tasks"
        placed = s.add(19.37, ev.TaskPlaced(f"{name}#2", name, to, tied, 1, "", why), down)
        s.task(19.37, name, "ASSIGNED", to, placed, desired="READY")
        released = s.task(24.31, name, "READY", to, down)
        s.up(24.55 + i / 100, name, to, released)
    back = s.back(38.2, "w1", crash)
    ready = s.node(38.26, "w1", "READY", back)
    for name in ("web.1", "web.7"):
        s.task(38.4, name, "SHUTDOWN", "w1", ready, desired="SHUTDOWN", generation=1)
    s.verdicts = [
        Verdict("w1 down within 8s..17s after crash", PASS, "after 11.1 s, until w1 came back", 20),
        Verdict("convergence", PASS, "0.1 s after the last disturbance, bound 64.7 s", always=True),
        Verdict("raft safety", PASS, "always checked", always=True),
        Verdict("task transitions", PASS, "always checked", always=True),
        Verdict("timeline", PASS, "always checked", always=True),
    ]
    return s.end(60)


def no_leader() -> Result:
    """The leader and one more die; nobody wins an election, a step is refused, an entry does not fire."""
    s = Story(managers=3, workers=1)
    create = s.created("web", 4)
    for i, node in enumerate(["m1", "m2", "m3", "w1"], 1):
        s.up(2.0, f"web.{i}", node, create)
    s.steady(2.1)
    s.add(7.1, ev.DrawMade("crash", "target", "m1, m2"))
    crash = s.add(7.1, ev.FaultStarted("crash", "crash", ("m1", "m2"), (), None, "process killed"))
    for name, node in (("web.1", "m1"), ("web.2", "m2")):
        s.add(7.1, ev.HostCrashed(node, "process"), crash)
        s.exits(7.1, name, node, crash)
    for term, at in ((3, 18.2), (4, 29.2), (5, 46.2), (6, 59.2)):
        s.add(at, ev.BecameCandidate("m3", term), crash)
    s.step(37.1, "scale", "web", "to 6", error="rpc error: code = Unknown desc = The swarm does not have a leader.")
    s.add(38.1, ev.EntryNotFired("second", "no leader at 38.1s"))
    s.verdicts = [
        Verdict("web running 4 within 60s after crash", FAIL, "2 from 7.1 s to the end", 14),
        Verdict("convergence", UNKNOWN, "the run ended 61.9 s after the last disturbance", details=("bound 213 s",)),
        Verdict("timeline", UNKNOWN, "`second` did not fire: no leader at 38.1s", 9, always=True),
        Verdict("raft safety", PASS, "always checked", always=True),
    ]
    return s.end(100)


def many_services() -> Result:
    """A stack of many services on nodes with long names; a container is killed; a fault hits before `steady`."""
    workers = [f"ip-10-0-1-{i}.ec2.internal" for i in range(30, 50)]
    s = Story(managers=["ip-10-0-1-10.ec2.internal"], workers=workers)
    s.scenario.warnings = ["unset variable TAG is empty"]
    for i in range(6):
        create = s.created(f"shop_s{i}", 2, answered=0.004 + i / 1000)
        for slot in (1, 2):
            s.up(2.0 + i / 10, f"shop_s{i}.{slot}", workers[i + slot], create)
    cut = s.add(2.3, ev.FaultStarted("cut", "partition", (workers[0],), (*s.managers, *workers[1:]), us(5), "in only"))
    s.add(7.3, ev.FaultEnded("cut", "partition", (workers[0],)), cut)
    s.steady(7.4)
    kill = s.add(10, ev.FaultStarted("kill", "kill", ("shop_s3.2",), (), None, "exit 137"))
    s.exits(10, "shop_s3.2", workers[5], kill, why="killed")
    failed = s.task(
        10.1, "shop_s3.2", "FAILED", workers[5], kill, error="task: non-zero exit (137)", desired="SHUTDOWN"
    )
    s.task(
        10.11, "shop_s3.2", "PENDING", cause=failed, new=True, error="no suitable node (max replicas per node limit)"
    )
    s.add(10.11, ev.RestartScheduled("shop_s3.2#1", "shop_s3.2#2", "shop_s3.2", us(5), "failed"), failed)
    explained = "no suitable node (max replicas per node limit)"
    s.add(10.2, ev.TaskNotPlaced("shop_s3.2#2", "shop_s3.2", explained), failed)
    s.verdicts = [Verdict("timeline", PASS, "always checked", always=True)]
    return s.end(20)


@pytest.mark.parametrize("story", [worker_crash, no_leader, many_services])
def test_a_page_reads_as_it_did(story: Callable[[], Result], golden: Golden) -> None:
    """Read the golden file as an engineer on call would: is every line true and clear, is there no noise?"""
    text = page(story(), figure="out/x-1.svg")

    golden(f"{story.__name__}.txt", re.sub(r"digest \w{12}", "digest 0123456789ab", text))  # any new field changes it


@pytest.mark.parametrize("story", [worker_crash, no_leader, many_services])
def test_no_line_is_wider_than_a_hundred(story: Callable[[], Result]) -> None:
    assert max(map(len, page(story()).splitlines())) <= WIDTH


def test_quiet_says_what_is_not_pass_and_the_last_two_lines() -> None:
    text = page(no_leader(), quiet=True)

    assert [line[:7].strip() for line in text.splitlines() if line[:1] != " "] == [
        "FAIL",
        "UNKNOWN",
        "UNKNOWN",
        "FAIL",
        "again:",
    ]
    assert page(worker_crash(), quiet=True).count("\n") == 2


def test_letters_that_the_terminal_cannot_write_are_spelled_otherwise() -> None:
    """An ASCII-only locale must not crash; columns stay in line."""
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    report.print_run(worker_crash(), file=out)
    out.flush()

    text = raw.getvalue().decode("ascii")
    assert "   8.200  |    |    |    x    |    |    ! crash w1 for 30 s: power off; web 5/7" in text
    assert "web.1 -> m2, web.7 -> w3" in text


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_only_repeats_what_stands_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = Terminal()
    report.print_run(worker_crash(), file=out)

    coloured = out.getvalue()
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == page(worker_crash())


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    """no-color.org."""
    monkeypatch.setenv("NO_COLOR", "1")
    out = Terminal()
    report.print_run(worker_crash(), file=out)

    assert out.getvalue() == page(worker_crash())


def test_a_verdict_that_fails_stands_alone_with_its_details_and_its_line() -> None:
    s = Story()
    s.verdicts = [
        Verdict("convergence", FAIL, "not 30.0 s after the start", 3, ("web.2: no task", "bound 64 s"), always=True),
        Verdict("raft safety", FAIL, "two leaders in term 4", always=True),
        Verdict("timeline", PASS, "always checked", always=True),
    ]
    text = page(s.end(1))

    assert text[text.index("FAIL") :].splitlines()[:6] == [
        "FAIL     convergence    not 30.0 s after the start",
        "           web.2: no task",
        "           bound 64 s",
        "           scenarios/story.yaml:3",
        "FAIL     raft safety    two leaders in term 4",
        "PASS     timeline       always checked",
    ]


def test_a_verdict_with_a_long_name_has_what_was_seen_on_a_line_of_its_own() -> None:
    s = Story()
    s.verdicts = [Verdict("x" * 60, PASS, "after 3.0 s"), Verdict("short", PASS, "as well")]

    assert "PASS     " + "x" * 60 + "\n                  after 3.0 s\n" in page(s.end(1))


@pytest.mark.parametrize(
    ("parts", "total", "said"),
    [
        ([("detection", 11_143_000), ("delay", 5_004_000), ("start", 297_000)], 16_444_000, "11.1 5.0 0.3"),
        ([("a", 1_050_000), ("b", 1_050_000), ("c", 1_050_000)], 3_150_000, "1.1 1.1 1.0"),
        ([("a", 3_000_000), ("b", 20_000)], 3_020_000, "3.0"),
    ],
)
def test_parts_in_tenths_add_up_to_the_total(parts: list[tuple[str, int]], total: int, said: str) -> None:
    assert " ".join(tenths for _, tenths in rounded(parts, total)) == said


# ---- what is worth a line ---------------------------------------------------------------------------------


def test_a_stack_is_created_in_one_line_few_services_in_one_each() -> None:
    few, many = Story(), Story()
    for name in ("a", "b"):
        few.created(name, 1)
    for i in range(9):
        many.created(f"s{i}", 1, answered=0.004 + i / 1000)

    assert rows(few.end(1))[1:3] == [
        "> create a: 1 × a:1; m1 answers in 7 ms",
        "> create b: 1 × b:1; m1 answers in 7 ms",
    ]
    assert rows(many.end(1))[1] == "> create 9 services (s0, s1 and 7 more); m1 answers in 4 ms to 12 ms"


def test_a_step_says_how_it_was_answered() -> None:
    s = Story()
    s.step(1, "drain", "w1")
    s.step(2, "scale", "web", "to 6", error="rpc error: code = NotFound desc = service web not found")
    s.step(30, "remove", "web", took=20, error="context deadline exceeded")
    s.add(60, ev.StepSent("late", "pause", "w2", "", "m2"))

    assert rows(s.end(61))[1:-1] == [
        "> drain w1; m1 answers in 10 ms",
        "> scale web to 6; m1 refuses in 10 ms: service web not found",
        "> remove web; m1 is asked",
        "> remove web is refused after 20.0 s: context deadline exceeded",
        "> pause w2 (late); m2 does not answer before the end",
    ]


def test_draws_are_printed_below_the_entry_that_made_them() -> None:
    s = Story()
    for what, value in (("at", "3.2s"), ("target", "w1"), ("for", "21.3s")):
        s.add(5, ev.DrawMade("crash", what, value))
    s.crash(5, "w1", lasts=21.3004)
    s.add(9, ev.DrawMade("second", "at", "1.7s"))
    s.add(9, ev.EntryNotFired("second", "no leader at 9s"))

    assert rows(s.end(10))[1:-1] == [
        "! crash w1 for 21.3 s: power off",
        "  drawn from the seed: at 3.2s, target w1, for 21.3s",
        "  before `steady`",
        "`second` does not fire: no leader at 9s",
        "  drawn from the seed: at 1.7s",
    ]


def test_events_of_one_cause_within_100_ms_share_a_line_others_do_not() -> None:
    s = Story(managers=1, workers=4)
    crash = s.crash(1, "w1")
    for at, name in ((12.0, "w1"), (12.09, "w2"), (12.3, "w3")):
        s.down(at, name, 14, crash)
    s.down(12.31, "w4", 14, 0)

    assert [row for row in rows(s.end(20)) if "DOWN" in row] == [
        "w1 and w2 DOWN: no heartbeat for 14.0 s (limit 13.5 s to 16.5 s)",
        "w3 DOWN: no heartbeat for 14.0 s (limit 13.5 s to 16.5 s)",
        "w4 DOWN: no heartbeat for 14.0 s (limit 13.5 s to 16.5 s)",
    ]


def test_what_repeats_itself_is_told_once_and_then_counted() -> None:
    """A crash loop of a minute: the first time in full, the others in one line."""
    s = Story(managers=1, workers=1)
    create = s.created("web", 1)
    for i in range(10):
        at = 1.0 + 6 * i
        s.task(at, "web.1", "ASSIGNED", "w1", create, new=True)
        started = s.runs(at, "web.1", "w1", create)
        s.exits(at + 1, "web.1", "w1", started, why="exited", code=3)

    assert [row for row in rows(s.end(60)) if "exits" in row] == [
        "web.1 exits with 3; web 0/1",
        "web.1 exits with 3, 9 times; web 0/1, the last at 56.0 s",
    ]


def test_a_leader_says_who_voted_and_how_long_nobody_led() -> None:
    s = Story(managers=3, workers=0)
    crash = s.crash(5, "m1")
    s.add(14, ev.BecameCandidate("m3", 3), crash)
    s.elected(17.5, "m2", 4, ["m2", "m3"], crash)

    assert [row for row in rows(s.end(20)) if "m2 " in row or "votes" in row] == [
        "m3 asks for votes in term 3 and gets no majority",
        "m2 elected in term 4 by m2 and m3, 12.5 s without a leader",
    ]


def test_a_leader_that_is_cut_off_still_believes_that_it_leads() -> None:
    s = Story(managers=3, workers=0)
    cut = s.add(5, ev.FaultStarted("partition", "partition", ("m1",), ("m2", "m3"), None, ""))
    s.elected(17, "m2", 3, ["m2", "m3"], cut)
    s.add(25, ev.SteppedDown("m1", 2, "no quorum heard in an election timeout"), cut)

    assert rows(s.end(30))[1:-1] == [
        "! partition m1 from all others to the end",
        "  before `steady`",
        "m2 elected in term 3 by m2 and m3; m1 still believes that it leads",
        "m1 leads no more: no quorum heard in an election timeout",
    ]


def test_a_new_leader_waits_twice_as_long_for_a_node_it_never_heard_of() -> None:
    s = Story(managers=3, workers=1)
    crash = s.crash(5, "m1")
    s.elected(17, "m2", 3, ["m2", "m3"], crash)
    for name in ("m1", "m2", "m3", "w1"):
        s.node(17.01, name, "UNKNOWN", crash)
    for i, name in enumerate(("m2", "m3", "w1")):
        s.node(17.3 + i / 2, name, "READY")
    s.down(46.3, "m1", 29.2, crash)

    assert rows(s.end(60))[4:-1] == [
        "all 4 nodes UNKNOWN to m2 until it hears from them",
        "m2, m3 and w1 READY again",
        "m1 DOWN: not heard of by m2 for 29.2 s (limit 27 s to 33 s)",
    ]


def test_without_grace_the_limit_is_that_of_one_heartbeat() -> None:
    s = Story(managers=1, workers=2)
    s.down(6, "w1", 4.7, s.crash(2, "w1"))
    s.down(40, "w2", 14.7, s.crash(26, "w2"))

    assert [row for row in rows(s.end(60)) if "DOWN" in row] == [
        "w1 DOWN: no heartbeat for 4.7 s (limit 4.5 s to 5.5 s)",
        "w2 DOWN: no heartbeat for 14.7 s (limit 13.5 s to 16.5 s)",
    ]


# ---- rules that are off -----------------------------------------------------------------------------------------


def test_the_head_says_what_each_rule_that_is_off_is_for_and_what_the_author_expects() -> None:
    s = Story(managers=3, workers=0)
    s.scenario.without = ("persist-vote", "unlevelled-batches")
    s.scenario.expectation = "m3 votes twice."

    assert [line.text for line in report.header(s.end(1))][2:] == [
        "without persist-vote: a server that restarts must not vote a second time in the same term (Figure 2,",
        "  Persistent state)",
        "without unlevelled-batches: quirk: a batch of tasks goes on to the next node only when that is",
        "  strictly better, and does not level loads (scheduler/scheduler.go scheduleNTasksOnNodes)",
        "expected: m3 votes twice.",
    ]


def test_a_property_that_breaks_has_a_line_where_it_happens() -> None:
    """One line for each property; how often it broke besides, the verdicts say."""
    s = Story(managers=3, workers=0)
    crash = s.crash(5, "m1")
    voted = s.add(16.9, ev.VoteGranted("m3", 3, "m2"), crash)
    s.elected(17, "m3", 3, ["m3", "m1"], crash)
    wrong = [Broken(us(16.9), voted, "one vote a term", "m3 voted for m2 and for m3 in term 3")]
    wrong += [Broken(us(at), voted + 1, "state machine safety", f"index {at} differs") for at in (18, 19, 20)]
    s.verdicts = [Verdict("raft safety", FAIL, str(wrong[0]), always=True, broken=tuple(wrong))]

    assert rows(s.end(30))[-4:-1] == [
        "✗ one vote a term: m3 voted for m2 and for m3 in term 3",
        "m3 elected in term 3 by m1 and m3, 12.0 s without a leader",
        "✗ state machine safety: index 18 differs; 2 more of this below",
    ]


def test_more_containers_than_wanted_are_told_with_what_still_runs_where() -> None:
    """A partitioned node's containers run on while their replacements start elsewhere."""
    s = Story()
    create = s.created("web", 1)
    s.up(1, "web.1", "w1", create)
    s.steady(1.1)
    cut = s.add(5, ev.FaultStarted("partition", "partition", ("w1",), (*s.managers, "w2", "w3"), us(40), ""))
    down = s.down(18, "w1", 14, cut)
    s.task(18, "web.1", "RUNNING", "w1", down, desired="SHUTDOWN")
    s.task(18, "web.1", "ASSIGNED", "w2", down, new=True)
    s.up(24, "web.1", "w2", down)
    ended = s.add(45, ev.FaultEnded("partition", "partition", ("w1",)), cut)
    s.exits(45.6, "web.1", "w1", ended, why="stopped", generation=1)
    s.task(45.7, "web.1", "SHUTDOWN", "w1", ended, desired="SHUTDOWN", generation=1)

    assert rows(s.end(60))[5:-1] == [
        "web 2/1: the old web.1 still runs on w1",
        "! partition ends: w1 and the others hear each other again",
        "web 1/1, 40.6 s after the partition",
    ]


def test_a_task_that_is_not_placed_is_told_once_for_each_explanation() -> None:
    s = Story()
    for at, text in ((1, "no suitable node (a)"), (2, "no suitable node (a)"), (3, "no suitable node (b)")):
        s.add(at, ev.TaskNotPlaced("web.1#1", "web.1", text))
        s.add(at, ev.TaskNotPlaced("web.2#1", "web.2", text))

    assert rows(s.end(5))[1:-1] == [
        "web.1 and web.2 not placed: no suitable node (a)",
        "web.1 and web.2 not placed: no suitable node (b)",
    ]


def test_many_placements_are_counted_by_node() -> None:
    s = Story(managers=1, workers=2)
    step = s.step(1, "scale", "web", "to 6")
    why = "fewest tasks of the service, then fewest tasks"
    for i, node in enumerate(["w1", "m1", "w2", "w1", "w2", "w1"], 1):
        s.add(1.02, ev.TaskPlaced(f"web.{i}#1", f"web.{i}", node, 3, 0, "", why), step)

    assert rows(s.end(5))[2] == "6 web tasks → m1 1, w1 3, w2 2: least web tasks, 3 nodes tied"


def test_an_update_is_told_by_what_runs_the_new_spec_not_by_what_stops() -> None:
    s = Story()
    create = s.created("web", 2)
    for i in (1, 2):
        s.up(1, f"web.{i}", f"w{i}", create)
    s.steady(1.1)
    step = s.step(5, "update", "web", "image web:2")
    s.service(5.01, "web", 2, step, action="UPDATE", update=UpdateState.UPDATING)
    for i in (1, 2):
        s.exits(5 + i, f"web.{i}", f"w{i}", step, why="stopped")
        s.task(5 + i, f"web.{i}", "ASSIGNED", f"w{i}", step, new=True)
        s.up(5.5 + i, f"web.{i}", f"w{i}", step)
    s.service(12, "web", 2, step, action="UPDATE", update=UpdateState.COMPLETED)

    assert rows(s.end(20))[3:-1] == [
        "> update web: image web:2; m1 answers in 10 ms",
        "web.1 runs the new spec: 1 of 2",
        "web.2 runs the new spec: 2 of 2",
        "update of web completed, 7.0 s after the update",
    ]


def test_a_run_of_a_bad_minute_stays_readable() -> None:
    """Forty services on a node that comes and goes: more lines than a screen are taken together."""
    s = Story(managers=1, workers=2)
    for i in range(40):
        s.up(1 + i / 50, f"s{i}.1", "w1", s.created(f"s{i}", 1))
    s.steady(2)
    for round_ in range(3):
        at = 5.0 + 20 * round_
        crash = s.crash(at, "w1", lasts=5, entry=f"crash {round_ + 1}")
        for i in range(40):
            s.exits(at, f"s{i}.1", "w1", crash)
        back = s.back(at + 5, "w1", crash, entry=f"crash {round_ + 1}")
        for i in range(40):
            s.runs(at + 6 + i / 4, f"s{i}.1", "w1", back)

    found = rows(s.end(70))
    assert len(found) < 45
    assert "! crash w1 for 5 s: power off (crash 1); s0 0/1, s1 0/1 and 38 more" in found


def test_where_several_filters_refused_the_nodes_are_named() -> None:
    s = Story()
    refusals = (("ready", 1, ("w1",)), ("resources", 5, ("m1", "m2", "m3")))
    s.add(1, ev.TaskNotPlaced("web.1#1", "web.1", "no suitable node (x)", refusals))

    assert rows(s.end(2))[1:-1] == [
        "web.1 not placed: no suitable node (x)",
        "  filters: `ready` refused w1; `resources` refused m1, m2, m3 and 2 more",
    ]


def test_nothing_is_moved_back_only_to_nodes_that_were_away() -> None:
    s = Story(managers=1, workers=3)
    create = s.created("web", 3)
    for i in (1, 2, 3):
        s.up(1, f"web.{i}", f"w{i}", create)
    s.steady(1.1)
    s.node(5, "w1", "READY", availability="DRAIN")
    s.node(6, "w2", "UNKNOWN")
    for i in (1, 2, 3):
        s.exits(7, f"web.{i}", f"w{i}", why="stopped")
    s.node(9, "w1", "READY")
    s.node(9, "w2", "READY")

    assert rows(s.end(10))[-1] == "end; nothing was moved back to w1"


def test_nodes_join_change_their_role_and_are_removed() -> None:
    s = Story(managers=1, workers=1)
    join = s.step(5, "join", "w7", "as worker")
    s.add(5.01, created("w7", NodeState.UNKNOWN, NodeRole.WORKER, "CREATE"), join)
    s.add(5.1, created("w7", NodeState.READY, NodeRole.WORKER, "UPDATE"), join)
    s.add(9, created("w7", NodeState.READY, NodeRole.MANAGER, "UPDATE"))
    s.add(20, created("w7", NodeState.READY, NodeRole.MANAGER, "REMOVE"))

    assert rows(s.end(30))[1:-1] == [
        "> join w7: as worker; m1 answers in 10 ms",
        "w7 READY for the first time",
        "w7 now a manager",
        "w7 removed from the swarm",
    ]
    assert "w7" not in tables.node_ls(s.trace)


def created(name: str, state: NodeState, role: NodeRole, action: str) -> ev.NodeChanged:
    rest = (Availability.ACTIVE, role, role, IssuanceState.ISSUED, (), name, "", "", "")
    return ev.NodeChanged(1, name, name, action, state, "", *rest)


def test_a_crash_of_what_is_off_already_says_so() -> None:
    s = Story()
    s.crash(5, "w1", entry="first")
    s.add(6, ev.FaultStarted("second", "crash", ("w1",), (), None, "power off"))
    s.add(9, ev.FaultEnded("first", "crash", ("w1",)))

    assert [row for row in rows(s.end(10)) if row.startswith("!")] == [
        "! crash w1 to the end: power off (first)",
        "! crash w1 to the end: power off (second); off already",
        "! crash (first) ends: w1 stays off: another crash holds it",
    ]


def test_a_global_service_wants_nothing_on_a_node_that_is_down() -> None:
    s = Story(managers=1, workers=2)
    create = s.add(0, ev.StepSent("", "create", "agent", "global × agent:1", "m1"))
    s.service(0, "agent", 0, create)
    for name in ("m1", "w1", "w2"):
        s.up(1, f"agent.{name}", name, create)
    s.steady(1.1)
    crash = s.crash(5, "w1")
    down = s.down(19, "w1", 14, s.exits(5, "agent.w1", "w1", crash))
    s.task(19.01, "agent.w1", "RUNNING", "w1", down, desired="SHUTDOWN")

    assert rows(s.end(30))[3:-1] == [
        "! crash w1 to the end: power off; agent 2/3",
        "  managers cannot know yet: docker service ls says 3/3",
        "w1 DOWN: no heartbeat for 14.0 s (limit 13.5 s to 16.5 s)",
        "agent 2/2: nothing is wanted on w1 any more",
        "  docker service ls says 3/2 to the end: 1 stale",
    ]


# ---- columns ----------------------------------------------------------------------------------------------


def heads(result: Result) -> list[str]:
    return next(line.text for line in report.lines(result) if "seconds" in line.text).split()[1:]


def test_where_nodes_do_not_fit_managers_and_nodes_that_were_hit_come_first() -> None:
    s = Story(managers=3, workers=37)
    s.crash(5, "w30")
    s.crash(6, "w17", entry="second")

    assert heads(s.end(10)) == ["m1", "m2", "m3", "w1", "w2", "w17", "w30", "+33"]


def test_long_host_names_lose_what_they_share() -> None:
    assert short_names(["m1", "w1"]) == ["m1", "w1"]
    assert short_names(["ip-10-0-1-7.ec2.internal", "ip-10-0-1-23.ec2.internal"]) == ["…7", "…23"]
    assert short_names(["manager-a.example.org", "worker-b.example.org"]) == ["manager-a", "worker-b"]
    assert short_names(["a.first.example.org", "a.second.example.org"]) == ["node1", "node2"]


def test_a_cell_is_filled_when_something_changes_there_and_a_gap_is_an_outage() -> None:
    s = Story(managers=1, workers=2)
    create = s.created("web", 2)
    s.up(1, "web.1", "w1", create)
    s.up(1, "web.2", "w2", create)
    s.steady(1.1)
    crash = s.crash(5, "w1", lasts=20)
    s.exits(5, "web.1", "w1", crash)
    s.down(19, "w1", 14, crash)
    s.node(25.1, "w1", "READY", s.back(25, "w1", crash))
    lines = [line.text[:25].rstrip() for line in report.lines(s.end(30)) if line.cells]

    assert lines == [
        "   0.000  L0    0    0",
        "   0.000  │    │    │",
        "   1.100  L0    1    1",
        "   5.000  │    ×    │",
        "          │         │",
        "  19.000  │    D    │",
        "  25.000  │     0   │",
        "  25.100  │    │    │",
        "  30.000  L0    0    1",
    ]
