"""The words for single tasks: replaced and when to start, placed and why there, or not placed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..api.states import TaskState
from ..trace.events import (
    RestartScheduled,
    TaskNotPlaced,
    TaskPlaced,
)
from .incident import Group, service_of
from .ledger import Ledger
from .phrases import both, comma, exact, names_of, spread
from .tables import natural

Micros = int


def replaced(group: Group, ledger: Ledger) -> list[str]:
    restarts: list[RestartScheduled] = [note.what for note in group.notes]
    delay = restarts[0].delay
    old = "the old one has" if len(restarts) == 1 else "the old ones have"
    when = f"after restart delay {exact(delay)}" if delay else f"when {old} stopped"
    ends = {_ended(r, ledger, note.at) for r, note in zip(restarts, group.notes, strict=True)}
    how = ends.pop() if len(ends) == 1 else ""
    names = dict.fromkeys(r.name for r in restarts)
    times = f" {len(restarts)} times" if len(restarts) > len(names) else ""
    return [f"{names_of(group)} {how}replaced{times}, to start {when}{spread(group)}"]


def _ended(e: RestartScheduled, ledger: Ledger, at: Micros) -> str:
    """`FAILED (task: non-zero exit (1)), `: how the old task ended, if it did; that its node is DOWN was told."""
    old = ledger.tasks[e.task].at(at) if e.task in ledger.tasks else None
    if old is None or old.now <= TaskState.RUNNING:
        return ""
    error = old.error.replace(f": {e.task}", "")
    return f"{old.now.name} ({error}), " if error else f"{old.now.name}, "


def refused(group: Group, ledger: Ledger) -> list[str]:
    return [f"{names_of(group)} not replaced: {group.notes[0].what.reason}{spread(group)}"]


def placed(group: Group, ledger: Ledger) -> list[str]:
    placed: list[TaskPlaced] = sorted((note.what for note in group.notes), key=lambda p: natural(p.name))
    if len(placed) <= 4:
        said = ", ".join(f"{p.name} → {p.node}" for p in placed)
    else:
        said = _counted(placed, ledger)
    return [f"{said}: {_reason(placed)}{spread(group)}"]


def _counted(placed: list[TaskPlaced], ledger: Ledger) -> str:
    """`12 tasks → m1 3, w1 4, w2 5`; where all get as many, `12 tasks → 3 each on m1, w1 and 2 more`."""
    counts: dict[str, int] = {}
    for p in placed:
        counts[p.node] = counts.get(p.node, 0) + 1
    nodes = [n for n in ledger.nodes if n in counts]
    services = {service_of(p.name) for p in placed}
    tasks = f"{len(placed)} {services.pop()} tasks" if len(services) == 1 else f"{len(placed)} tasks"
    if len(set(counts.values())) == 1 and len(nodes) > 1:
        return f"{tasks} → {counts[nodes[0]]} each on {both(nodes, 4)}"
    return f"{tasks} → " + comma([f"{n} {counts[n]}" for n in nodes], 6)


def _reason(placed: list[TaskPlaced]) -> str:
    """Why there: the scheduler's words, the service named; what refused the others, where that decided."""
    services = {service_of(p.name) for p in placed}
    least = f"least {services.pop()} tasks" if len(services) == 1 else "least tasks of its service"
    whys = list(dict.fromkeys(_LEAST.sub(least, p.why) for p in placed))
    ties = sorted({p.tied for p in placed if p.tied > 1})
    if ties:
        tied = f"{ties[0]} to {ties[-1]}" if len(ties) > 1 else f"{ties[0]}"
        return f"{both(whys)}, {tied} nodes tied"
    others = dict.fromkeys(p.refused for p in placed if p.refused)
    only = len(placed) == 1 or not any(why.endswith(least) for why in whys)
    return f"{both(whys)} ({next(iter(others))})" if len(others) == 1 and only else both(whys)


#: How the scheduler says that it spreads (manager/scheduler/spread.py).
_LEAST = re.compile("fewest tasks of the service, then fewest tasks|the next node is not better|next in turn")


def not_placed(group: Group, ledger: Ledger) -> list[str]:
    e: TaskNotPlaced = group.notes[0].what
    said = [f"`{what}` refused {_refused_nodes(count, nodes)}" for what, count, nodes in e.refusals]
    text = f"{names_of(group)} not placed: {group.key}{spread(group)}"
    return [text, f"filters: {'; '.join(said)}"] if len(said) > 1 else [text]


def _refused_nodes(count: int, nodes: Sequence[str]) -> str:
    """Some of those that a filter refused, by name."""
    most = nodes[:3]
    return both(most) if count == len(most) else f"{', '.join(most)} and {count - len(most)} more"
