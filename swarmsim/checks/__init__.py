"""Checks: was it right? One file for each, judged from the trace alone; PASS, FAIL or UNKNOWN, with what was seen.

    verdicts = judge(scenario, trace)             # all checks and all expectations of a scenario that was run
    verdicts = verdicts_of(trace, expectations)   # the same for `Expectation`s made by hand
    for v in verdicts: print(v.state, v.name, v.seen, v.line, v.details)

    watch = ConvergenceWatch()                    # as a run goes on
    watch.feed(recorded); watch.converged; watch.reasons()
    bound = Bound()                               # likewise: `handlers`, then .total, .parts(), .quiet, .last

A check is a *listener*: `handlers` maps a class of events to a method, so the trace is walked once for all of them and
each event costs a dictionary look-up; `verdict(end)` says in the end what it came to. Everything an expectation can be
about is derived on the way as step functions (`history`), so evaluating one costs next to nothing.

    verdict           the words: Verdict, State, Expectation, Entry
    raft_safety task_transitions timeline convergence        the checks that always run (SCENARIOS.md section 9)
    bound leadership  the bound of convergence, part by part; who leads
    history expectations binding    values over time; evaluating expectations; from a scenario's words to them

`violates: CHECK` turns that check's FAIL into PASS. `convergence: 90s` and `convergence: waived` change that check's
demand instead of adding a verdict of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from ..trace.recorder import Recorded, Trace
from .binding import Binding, ScenarioLike
from .bound import Bound
from .convergence import Convergence, ConvergenceWatch
from .expectations import evaluate, holds_now
from .history import History
from .raft_safety import RaftSafety
from .task_transitions import TaskTransitions
from .timeline import Timeline
from .verdict import FAIL, NOTHING_SEEN, PASS, UNKNOWN, Entry, Expectation, State, Verdict, listen

#: The checks that always run, in the order in which reports name them.
CHECKS: tuple[type[Any], ...] = (RaftSafety, TaskTransitions, Timeline, Convergence)


def judge(scenario: ScenarioLike, trace: Trace) -> list[Verdict]:
    """Everything that a scenario's run must satisfy: its expectations in file order, then the checks."""
    history = History()
    binding = Binding(scenario, history)
    safety, transitions, timeline = RaftSafety(), TaskTransitions(), Timeline(binding.entries())
    convergence = Convergence()
    end = walk(trace, [history, binding, safety, transitions, timeline, convergence])
    expectations = binding.expectations()
    return _verdicts(expectations, history, [convergence, safety, transitions, timeline], end)


def verdicts_of(trace: Trace, expectations: Sequence[Expectation] = (), entries: Sequence[Entry] = ()) -> list[Verdict]:
    """The same, of expectations whose moments and names are resolved."""
    history, convergence = History(), Convergence()
    checks: list[Any] = [convergence, RaftSafety(), TaskTransitions(), Timeline(entries)]
    end = walk(trace, [history, *checks])
    return _verdicts(expectations, history, checks, end)


def walk(trace: Iterable[Recorded], listeners: list[Any]) -> int:
    """Tell all listeners of all events, in order; returns the time of the last event, the end of the run."""
    hears = listen(listeners)
    nobody: tuple[Callable[[Recorded], None], ...] = ()
    end = 0
    for recorded in trace:
        for handler in hears.get(type(recorded.event), nobody):
            handler(recorded)
        end = recorded.at
    return end


def _verdicts(expectations: Sequence[Expectation], history: History, checks: list[Any], end: int) -> list[Verdict]:
    convergence: Convergence = checks[0]
    convergence.wanted = next((e for e in expectations if e.subject == "convergence"), None)
    found = [check.verdict(end) for check in checks]
    by_name = dict(zip((check.name for check in checks), found, strict=True))
    out = []
    for e in expectations:
        if e.subject == "violates":
            verdict = by_name[str(e.wanted)]
            out.append(_violates(e, verdict))
            found = [_excused(v) if v is verdict else v for v in found]
        elif e.subject != "convergence":
            out.append(evaluate(e, history, end))
    return [*out, *found]


def _violates(e: Expectation, verdict: Verdict) -> Verdict:
    """A check that must FAIL, which then counts as PASS."""
    if verdict.state is FAIL:
        return Verdict(e.text, PASS, verdict.seen, e.line)
    if verdict.state is PASS:
        held = "nothing violated it" if verdict.seen == NOTHING_SEEN else f"it passed: {verdict.seen}"
        return Verdict(e.text, FAIL, held, e.line)
    return Verdict(e.text, UNKNOWN, verdict.seen, e.line)


def _excused(verdict: Verdict) -> Verdict:
    """What was seen first stands in the verdict of `violates`."""
    if verdict.state is not FAIL:
        return verdict
    more = "; more of it:" if verdict.broken and verdict.details else ""
    return replace(verdict, state=PASS, seen=f"violated, as the scenario expects{more}")


__all__ = [
    "CHECKS",
    "FAIL",
    "PASS",
    "UNKNOWN",
    "Binding",
    "Bound",
    "Convergence",
    "ConvergenceWatch",
    "Entry",
    "Expectation",
    "History",
    "RaftSafety",
    "State",
    "TaskTransitions",
    "Timeline",
    "Verdict",
    "holds_now",
    "judge",
    "verdicts_of",
    "walk",
]
