"""The time axis: seconds, or minutes, hours and days where a run is long; and how a duration is said."""

from __future__ import annotations

from matplotlib.axes import Axes

from ..trace.events import RunEnded
from ..trace.recorder import Trace
from .style import PALE

Micros = int

SECOND: Micros = 1_000_000
MINUTE, HOUR, DAY = 60, 3_600, 86_400
#: Steps between ticks, in seconds; below the first, 1, 2 and 5 of a power of ten.
STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR]
STEPS += [days * DAY for days in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)]
TICKS = 12  # at most


def end_of(trace: Trace, end: float | None = None) -> Micros:
    """When the picture ends: `end` (seconds) if given, else with the run, else with the last event; never at 0 s."""
    if end is not None:
        return round(end * 1e6) or SECOND
    ended = next((r.at for r in reversed(trace.events) if type(r.event) is RunEnded), None)
    last = trace.events[-1].at if trace.events else 0
    return (last if ended is None else ended) or SECOND


def time_axis(axes: Axes, end: Micros, labels: bool = True) -> None:
    """From 0 s to the end; with `labels` the numbers and their unit, else only faint lines."""
    seconds = end / 1e6
    axes.set_xlim(0, seconds)
    step = step_of(seconds)
    ticks = [i * step for i in range(int(seconds / step + 1e-9) + 1)]
    axes.set_xticks(ticks, [clock(t, step, seconds) for t in ticks] if labels else [""] * len(ticks))
    axes.tick_params(axis="x", length=3 if labels else 0)
    axes.grid(axis="x", color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)
    if labels:
        axes.set_xlabel(f"{unit(seconds)} since the swarm was ready", labelpad=2)


def step_of(seconds: float) -> float:
    """The smallest good step that needs at most `TICKS` of them."""
    small = [m * 10.0**p for p in range(-6, 0) for m in (1, 2, 5)]
    return next((s for s in [*small, *map(float, STEPS)] if seconds / s <= TICKS), STEPS[-1] * 10)


def unit(seconds: float) -> str:
    if seconds <= 10 * MINUTE:
        return "seconds"
    if seconds <= 2 * HOUR:
        return "minutes"
    return "hours : minutes" if seconds <= 3 * DAY else "days"


def clock(at: float, step: float, seconds: float) -> str:
    """A tick's label in the axis's unit."""
    kind = unit(seconds)
    if kind == "seconds":
        return f"{at:g}" if step < 1 else f"{at:.0f}"
    if kind == "minutes":
        return f"{at / MINUTE:g}"
    if kind == "days":
        return f"{at / DAY:g}"
    return f"{int(at // HOUR)}:{round(at % HOUR / MINUTE):02}"


def said(time: Micros) -> str:
    """`0.3 s`, `16.4 s`, `12 min 5 s`, `2 h 3 min`, `40 d 1 h`."""
    seconds = time / 1e6
    if seconds < 100:
        return f"{seconds:.3g} s" if seconds < 0.1 else f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE} s"
    if whole < 3 * DAY:
        return f"{whole // HOUR} h {whole % HOUR // MINUTE} min"
    return f"{whole // DAY} d {whole % DAY // HOUR} h"
