"""The figure of one run: what was done, who led, what ran, where; one moment stands at one place in all panels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any, NamedTuple, Protocol

from matplotlib.axes import Axes

from ..trace.recorder import Trace
from .entries import entries, strip_height, windows
from .lanes import lanes, lanes_height
from .lanes import read as read_lanes
from .logs import logs, logs_height
from .logs import shown as shown_logs
from .replicas import read as read_services
from .replicas import replicas, replicas_height
from .style import (
    INK,
    LARGE,
    LEFT,
    NORMAL,
    RIGHT,
    SMALL,
    SOFT,
    WIDTH,
    Picture,
    fitted,
    styled,
    text_width,
    wrapped,
)
from .tasks_by_node import arranged, tasks_by_node, tasks_height
from .time_axis import Micros, end_of, said

#: In inches: between the panels (with their heads), below the last, at the edges.
HEAD, FOOT, EDGE = 0.36, 0.42, 0.12
MOST_REASONS = 3
STATE_COLOURS = {"PASS": "#006B4E", "FAIL": "#A84900", "UNKNOWN": "#7A5400"}  # dark enough to be read on white


class Run(Protocol):
    """What is needed of `swarmsim.Result`."""

    scenario: Any
    seed: int
    trace: Trace
    ended_at: Micros

    @property
    def state(self) -> str: ...

    @property
    def verdicts(self) -> Sequence[Any]: ...

    @property
    def digest(self) -> str: ...


class Heading(NamedTuple):
    """What stands above the panels. `state` PASS, FAIL, UNKNOWN or nothing; `reasons`: what did not pass."""

    question: str = ""
    facts: tuple[str, ...] = ()
    state: str = ""
    reasons: tuple[str, ...] = ()


class Panel(NamedTuple):
    draw: Callable[..., Axes]
    height: float


def save_run_figure(result: Run, path: str | PathLike[str] | None = None) -> Picture:
    """Draw the run, and save it where a path is given (.svg, .png, .pdf); the same run gives the same bytes."""
    figure = run_figure(result.trace, heading(result), end=result.ended_at / 1e6)
    if path is not None:
        figure.savefig(path)
    return figure


def heading(result: Run) -> Heading:
    """The scenario's question, and by what one knows the run again."""
    name, question = result.scenario.name, result.scenario.question
    verdicts = list(result.verdicts)
    failed = [v for v in verdicts if str(v.state) != "PASS"]
    passed = f"{len(verdicts) - len(failed)} of {len(verdicts)} checks passed"
    facts = (name, f"seed {result.seed}", result.state, passed, f"digest {result.digest[:12]}")
    question = question[:1].upper() + question[1:]
    return Heading(question or name, facts, result.state, tuple(f"{v.state} {v.name}: {v.seen}" for v in failed))


@styled
def run_figure(trace: Trace, heading: Heading | None = None, end: float | None = None) -> Picture:
    """The whole run: what was done, managers, services and nodes (of a Raft group alone: logs), on one time axis."""
    heading = heading or Heading(facts=(f"digest {trace.digest()[:12]}",))
    until = end_of(trace, end)
    panels = _panels(trace, until)
    top = _heading_height(heading)
    total = top + sum(HEAD + p.height for p in panels) + FOOT
    figure = Picture(figsize=(WIDTH, total), dpi=100)
    figure.said = _in_words(heading, until)
    _draw_heading(figure, heading, total)
    y = total - top
    for i, one in enumerate(panels):
        y -= HEAD + one.height
        axes = figure.add_axes((LEFT / WIDTH, y / total, 1 - (LEFT + RIGHT) / WIDTH, one.height / total))
        one.draw(trace, axes, until / 1e6, labels=i == len(panels) - 1)
    return figure


def _panels(trace: Trace, until: Micros) -> list[Panel]:
    found = windows(trace, until)
    done = Panel(entries, strip_height(found, until, WIDTH - LEFT - RIGHT))
    managers = Panel(lanes, lanes_height(len(read_lanes(trace))))
    upper = [done, managers] if found else [managers]
    if trace.is_raft_alone():
        return [*upper, Panel(logs, logs_height(shown_logs(trace, until)))]
    return [
        *upper,
        Panel(replicas, replicas_height(len(read_services(trace)))),
        Panel(tasks_by_node, tasks_height(len(arranged(trace)))),
    ]


# ---- the heading ------------------------------------------------------------------------------------------


def _heading_height(heading: Heading) -> float:
    lines = len(_question(heading)) * 0.23 + bool(heading.facts) * 0.19 + len(_reasons(heading)) * 0.16
    return EDGE + lines


def _question(heading: Heading) -> list[str]:
    return wrapped(heading.question, WIDTH - 2 * EDGE, 2, LARGE, "bold")


def _reasons(heading: Heading) -> list[str]:
    shown = list(heading.reasons[:MOST_REASONS])
    if len(heading.reasons) > MOST_REASONS:
        shown[-1] = f"and {len(heading.reasons) - MOST_REASONS + 1} more that did not pass"
    return [fitted(" ".join(reason.split()), WIDTH - 2 * EDGE, SMALL + 0.5) for reason in shown]


def _draw_heading(figure: Picture, heading: Heading, total: float) -> None:
    y = total - EDGE
    for line in _question(heading):
        figure.text(EDGE / WIDTH, y / total, line, size=LARGE, weight="bold", va="top")
        y -= 0.23
    x = EDGE
    for fact in heading.facts:
        is_state = fact == heading.state
        weight, colour = ("bold", STATE_COLOURS.get(fact, INK)) if is_state else ("normal", SOFT)
        text = fitted(fact, WIDTH / 2, NORMAL, weight)
        figure.text(x / WIDTH, y / total, text, size=NORMAL, weight=weight, color=colour, va="top")
        x += text_width(text, NORMAL, weight) + 0.2
    y -= bool(heading.facts) * 0.19
    for reason in _reasons(heading):
        figure.text(EDGE / WIDTH, y / total, reason, size=SMALL + 0.5, color=INK, va="top")
        y -= 0.16


def _in_words(heading: Heading, until: Micros) -> str:
    facts = ", ".join([*heading.facts, said(until)])
    return f"{heading.question or 'A run of swarmsim'} ({facts})"
