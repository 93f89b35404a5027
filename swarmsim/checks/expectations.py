"""Does what was expected hold? Evaluates `Expectation`s over a `History` (SCENARIOS.md section 8).

Three ways of saying when, each a function below:

    within, after   it becomes true at most T after the moment **and stays so** until the next disturbance or the end
    from, until     true at every instant of [from, until); a counter counts there
    neither         true at the end of the run; a counter counts the whole run

UNKNOWN: a moment never came, or the run ended before the matter was decided.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..api.states import NodeState, TaskState, UpdateState
from ..trace.steps import Steps
from .history import History, count_between
from .verdict import (
    FAIL,
    PASS,
    UNKNOWN,
    Expectation,
    Micros,
    State,
    Verdict,
    counts_said,
    in_counts,
    seconds,
)

Answer = tuple[State, str]


class Quantity(NamedTuple):
    """Something that an expectation is about: its value over time, when that is right, and how to say it."""

    steps: Steps[Any]
    right: Callable[[Any], bool]
    said: Callable[[Any], str]
    whose: str = ""


def evaluate(expectation: Expectation, history: History, end: Micros) -> Verdict:
    """The verdict on one expectation about services, nodes or leaders, of a run that ended at `end`."""
    e = expectation
    state, seen = (UNKNOWN, e.missing) if e.missing else _judge(e, history, end)
    return Verdict(e.text, state, seen, e.line)


def _judge(e: Expectation, history: History, end: Micros) -> Answer:
    if e.subject == "leader_changes":
        return _count(e, history.elected, end, "nobody else became leader", history)
    if e.property == "started":
        return _count(e, history.started.get(e.names[0], []), end, "", history)
    quantities = _quantities(e, history)
    answers = [_when(e, q, history, end) for q in quantities]
    if len(answers) == 1:
        return answers[0]
    return _together(quantities, answers)


def _together(quantities: Sequence[Quantity], answers: Sequence[Answer]) -> Answer:
    """Each of several nodes: the worst counts, and is named."""
    for state in (FAIL, UNKNOWN):
        bad = [(q.whose, seen) for q, (s, seen) in zip(quantities, answers, strict=True) if s is state]
        if bad:
            others = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
            return state, f"{bad[0][0]}: {bad[0][1]}{others}"
    return PASS, f"each of {len(answers)}; {quantities[-1].whose}: {answers[-1][1]}"


# ---- what -------------------------------------------------------------------------------------------------
def _quantities(e: Expectation, history: History) -> list[Quantity]:
    if e.subject == "leader":
        return [_leader(e, history)]
    if e.subject == "node" and e.property == "state":
        state = NodeState[str(e.wanted).upper()]
        unknown: Steps[NodeState | None] = Steps(None)
        said = lambda s: s.name if s is not None else "not in the swarm"  # noqa: E731
        return [Quantity(history.node_states.get(n, unknown), lambda s: s is state, said, n) for n in e.names]
    if e.property == "update":
        wanted = None if e.wanted == "none" else UpdateState[str(e.wanted).upper()]
        told = lambda s: s.name.lower() if s is not None else "no update"  # noqa: E731
        return [Quantity(history.updates.get(e.names[0], Steps(None)), lambda s: s is wanted, told)]
    counts: Any = e.wanted
    right = lambda n: in_counts(n, counts)  # noqa: E731
    if e.subject == "node":
        return [Quantity(history.running_on.get(n, Steps(0)), right, str, n) for n in e.names]
    service = e.names[0]
    if e.property == "tasks":
        steps = history.tasks_in.get((service, TaskState[e.state.upper()]), Steps(0))
        return [Quantity(steps, right, str)]
    if e.property == "completed":
        return [Quantity(history.completed.get(service, Steps(0)), right, str)]
    if e.property == "pending":
        return [Quantity(history.pending(service, e.error), right, str)]
    return [Quantity(history.running.get(service, Steps(0)), right, str)]


def _leader(e: Expectation, history: History) -> Quantity:
    said = lambda name: f"{name} leads" if name else "no leader"  # noqa: E731
    if e.names == ("any",):
        return Quantity(history.leader, lambda name: name != "", said)
    if e.names == ("none",):
        return Quantity(history.leader, lambda name: name == "", said)
    return Quantity(history.leader, lambda name: name in e.names, said)


def holds_now(e: Expectation, history: History) -> bool:
    """Is what it asks true after the last event that the history heard? For a trigger's condition."""
    return not e.missing and all(q.right(q.steps.now) for q in _quantities(e, history))


# ---- when -------------------------------------------------------------------------------------------------
def _when(e: Expectation, q: Quantity, history: History, end: Micros) -> Answer:
    if e.within is not None:
        assert e.after is not None, f"`{e.text}`: within without after"
        return _within(e.within, e.after, q, history, end)
    if e.at_end:
        value = q.steps.at(end)
        return (PASS if q.right(value) else FAIL), f"{q.said(value)} at the end, {seconds(end)}"
    return _always(e.from_, e.until, q, end)


class Stretch(NamedTuple):
    """A time in which the value was right, or not; `until` None: to the end of the run."""

    since: Micros
    until: Micros | None
    right: bool
    value: Any


def _stretches(q: Quantity, start: Micros, end: Micros) -> list[Stretch]:
    """Right and wrong by turns from `start` to the end of the run, the last microsecond included."""
    out: list[Stretch] = []
    for since, until, value in q.steps.spans(start, end + 1):
        right = q.right(value)
        if out and out[-1].right == right:
            since, value = out[-1].since, value if not right else out[-1].value
            out.pop()
        out.append(Stretch(since, None if until > end else until, right, value))
    return out


def _within(within: tuple[Micros, Micros], after: Micros, q: Quantity, history: History, end: Micros) -> Answer:
    low, high = within
    if after > end:
        return UNKNOWN, f"the run ended at {seconds(end)}, before the moment it counts from"
    stretches = _stretches(q, after, end)
    for stretch in stretches:
        if stretch.since > after + high:
            break
        if not stretch.right or not _stays(stretch, history):
            continue
        took = stretch.since - after
        if took < low:
            text = "already at the moment itself" if not took else f"already after {seconds(took)}"
            return FAIL, f"{text}, sooner than {seconds(low)}"
        return PASS, f"after {seconds(took)}, {_until(stretch, history)}"
    if end < after + high:
        value = q.said(q.steps.at(end))
        return UNKNOWN, f"the run ended {seconds(end - after)} after the moment: {value}"
    return FAIL, _too_late(stretches, after, high, q, end)


def _stays(stretch: Stretch, history: History) -> bool:
    """To the next disturbance, or the end of the run."""
    if stretch.until is None:
        return True
    disturbed = history.next_disturbance(stretch.since)
    return disturbed is not None and stretch.until >= disturbed.at


def _until(stretch: Stretch, history: History) -> str:
    if stretch.until is None:
        return "to the end"
    disturbed = history.last_disturbance(stretch.until)
    if disturbed is not None and disturbed.at > stretch.since and stretch.until - disturbed.at <= 1_000_000:
        return f"until {disturbed.said}"
    return f"until {seconds(stretch.until)}"


def _too_late(stretches: Sequence[Stretch], after: Micros, high: Micros, q: Quantity, end: Micros) -> str:
    """`7 from 85.3 s to the end`; `only after 31.2 s`; `in passing from 2.0 s to 3.1 s`."""
    late = next((s for s in stretches if s.right and s.since > after + high), None)
    passing = next((s for s in stretches if s.right and s.since <= after + high), None)
    if passing is not None and passing.until is not None:
        then = q.said(q.steps.at(passing.until))
        text = f"only in passing, from {seconds(passing.since)} to {seconds(passing.until)}, then {then}"
        return f"{text}; again after {seconds(late.since - after)}" if late is not None else text
    if late is not None:
        return f"only after {seconds(late.since - after)}"
    since, _, value = list(q.steps.spans(after, end + 1))[-1]
    return f"{q.said(value)} from {seconds(since)} to the end"


def _always(start: Micros, until: Micros | None, q: Quantity, end: Micros) -> Answer:
    if start > end:
        return UNKNOWN, f"the run ended at {seconds(end)}, before {seconds(start)}"
    stop = end + 1 if until is None else until
    if stop <= start:
        return UNKNOWN, f"nothing lies between {seconds(start)} and {seconds(stop)}"
    values: dict[str, None] = {}
    for since, to, value in q.steps.spans(start, min(stop, end + 1)):
        values[q.said(value)] = None
        if not q.right(value):
            length = "to the end" if to > end else f"to {seconds(to)}"
            return FAIL, f"{q.said(value)} from {seconds(since)} {length}"
    if stop > end + 1:
        return UNKNOWN, f"the run ended at {seconds(end)}, before {seconds(stop)}; so far it held"
    return PASS, _values_said(list(values)) + " throughout"


def _values_said(values: list[str]) -> str:
    if len(values) == 1:
        return values[0]
    if all(v.isdigit() for v in values):
        numbers = sorted(map(int, values))
        return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(values[:3])


def _count(e: Expectation, times: list[Micros], end: Micros, none: str, history: History) -> Answer:
    counts: Any = e.wanted
    start = 0 if e.at_end else e.from_
    stop = end + 1 if e.until is None or e.at_end else e.until
    if start > end:
        return UNKNOWN, f"the run ended at {seconds(end)}, before {seconds(start)}"
    if stop <= start:
        return UNKNOWN, f"nothing lies between {seconds(start)} and {seconds(stop)}"
    n = count_between(times, start, min(stop, end + 1))
    seen = f"{n}, not {counts_said(counts)}"
    _, most = counts
    if most is not None and n > most:
        over = times[count_between(times, 0, start) + most]
        return FAIL, f"{seen}; the one too many at {seconds(over)}"
    if stop > end + 1:
        return UNKNOWN, f"{n} when the run ended at {seconds(end)}, before {seconds(stop)}"
    if not in_counts(n, counts):
        return FAIL, seen
    if n == 0 and e.subject == "leader_changes":
        leaders = [value for _, _, value in history.leader.spans(start, stop)]
        return PASS, f"{leaders[0]} led throughout" if len(leaders) == 1 and leaders[0] else none
    return (
        PASS,
        f"{n} in all" if start == 0 and stop > end else f"{n} between {seconds(start)} and {seconds(min(stop, end))}",
    )
