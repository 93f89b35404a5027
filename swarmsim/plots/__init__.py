"""What a run looked like: matplotlib figures, drawn from the trace alone.

    figure = plots.save_run_figure(result, "out/run.svg")       # or result.plot()
    axes = plots.lanes(trace)                                   # one panel by itself
    axes = plots.replicas(trace, axes, end=60)                  # into axes of your own, up to 60 s

One file a panel, and each reads the trace in its upper half and draws in its lower half (what `logs` reads, a page by
itself, is in `log_lives`); `run_figure` puts the panels below each other. Every panel takes a trace, the axes to draw
into (without them it makes a picture of its own) and the moment in seconds at which the picture ends. To add a figure:
its file, and its line in `FIGURES`.

Rules that all of them keep. *No fact by colour alone*: heights, hatches, signs and words say it too, so that figures
can be read in grey and by the colour-blind (`style`). *No text over another*: a text is measured before it is set, and
one that finds no room is shortened or left out. *Any size*: what is too many is put together and counted, what is too
close together is thinned to what a picture can show (`steps`). *The same run gives the same bytes*: no dates, fixed
ids, texts as outlines. matplotlib is used without pyplot: nothing here needs a window, or touches the user's own
settings.
"""

from collections.abc import Callable
from typing import Any

from .entries import entries
from .lanes import lanes
from .logs import logs
from .replicas import replicas
from .run_figure import Heading, run_figure, save_run_figure
from .style import Picture
from .tasks_by_node import tasks_by_node

#: Every figure, the whole one first.
FIGURES: dict[str, Callable[..., Any]] = {
    "run": run_figure,
    "entries": entries,
    "lanes": lanes,
    "logs": logs,
    "replicas": replicas,
    "tasks-by-node": tasks_by_node,
}

__all__ = [
    "FIGURES",
    "Heading",
    "Picture",
    "entries",
    "lanes",
    "logs",
    "replicas",
    "run_figure",
    "save_run_figure",
    "tasks_by_node",
]
