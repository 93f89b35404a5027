"""Why a task is on the node where it is, or on none: the scheduler's own account of each decision.

Told from the trace (`TaskPlaced`, `TaskNotPlaced`): how the nodes that passed the filters stood just before, best
first, and which filter refused which others. A name such as `web.3` tells of all tasks that its slot has had.
"""

from __future__ import annotations

from ..trace.events import TaskNotPlaced, TaskPlaced
from ..trace.recorder import Recorded, Trace
from .words import count_of

Standing = tuple[int, int, int, int]  # failures that count, tasks of the service, all tasks, nodes


def why(trace: Trace, task: str) -> str:
    """`task`: a name, an id or the beginning of an id."""
    said = [_told(r) for r in trace.of(TaskPlaced, TaskNotPlaced) if r.event.name == task]
    said = said or [_told(r) for r in trace.of(TaskPlaced, TaskNotPlaced) if r.event.task.startswith(task)]
    return "\n".join(said) if said else f"the scheduler has decided nothing about {task}"


def _told(recorded: Recorded) -> str:
    event, at = recorded.event, f"{recorded.at / 1e6:.3f}"
    if isinstance(event, TaskPlaced):
        lines = [f"{at}  {event.name} → {event.node}: {event.why}"]
        lines += [_standing(standing, i, event.tied) for i, standing in enumerate(event.ranks)]
    else:
        lines = [f"{at}  {event.name} not placed: {event.explanation}"]
    lines += [_refused(*refusal) for refusal in event.refusals]
    return "\n          ".join(lines)


def _standing(standing: Standing, place: int, tied: int) -> str:
    failures, of_service, tasks, nodes = standing
    text = f"{count_of(nodes, 'node')} with {count_of(of_service, 'task')} of the service, {tasks} in all"
    text += f", {count_of(failures, 'failure')} lately" if failures else ""
    return text + (f"; one of {tied} that tied" if place == 0 and tied > 1 else "")


def _refused(name: str, count: int, nodes: tuple[str, ...]) -> str:
    more = f" and {count - len(nodes)} more" if count > len(nodes) else ""
    return f"`{name}` refused {', '.join(nodes)}{more}"
