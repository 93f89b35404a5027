"""What a run has left: services that fell short and of what that time consists, and docker's tables at the end.

Docker's tables are those of `tables`, cut to what has news: a page of thousands of equal rows says nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..api.states import Availability, NodeState, TaskState
from ..checks.verdict import seconds
from ..trace.events import TaskChanged
from . import tables
from .grid import WIDTH, Line, wrap
from .ledger import Ledger, NodeLedger, ServiceLedger, TaskLife
from .phrases import comma
from .shortfall import Shortfall, shortfalls
from .words import count_of

#: Services that are told of one by one.
SHORT_MOST = 12
#: Rows of `docker service ps`; nodes that `docker node ls` shows all of; rows of all tables of tasks together.
TASKS_MOST, NODES_MOST, TABLES_MOST = 20, 12, 30

# ---- services that fell short -------------------------------------------------------------------------------


def services(ledger: Ledger) -> list[Line]:
    """How low each went, for how long, and of what that time consists; the others in one line."""
    short = shortfalls(ledger)
    names = {s.service for s in short}
    well = [s.name for s in ledger.services.values() if s.event is not None and s.name not in names]
    shown = sorted(short, key=lambda s: -s.length(s.longest))[:SHORT_MOST]
    rows = [_short_row(s) for s in short if s in shown]
    heads = ("service", "wanted", "lowest", "below wanted", "back after")
    out: list[str] = []
    if rows:
        widths = [max(len(row[i]) for row in [heads, *(r[:5] for r in rows)]) for i in range(5)]
        out += [_aligned(heads, widths), *(line for row in rows for line in _with_parts(row, widths))]
    if len(short) > len(shown):
        low, high = (seconds(pick(s.length(s.longest) for s in short if s not in shown)) for pick in (min, max))
        out.append(f"and {count_of(len(short) - len(shown), 'more service')}, back after {low} to {high}")
    if well:
        named = f": {', '.join(well)}" if short and len(well) <= 3 else ""
        out.append(f"{count_of(len(well), 'service')} untouched{named}")
    return [Line(text) for text in out]


def _short_row(s: Shortfall) -> tuple[str, ...]:
    parts = ", ".join(f"{tenths} {name}" for name, tenths in rounded(s.parts, s.length(s.longest)))
    times = f"{len(s.stretches)} times short" if len(s.stretches) > 1 else ""
    still = "at the end: " * (not s.never) + s.why if s.why else ""
    back = "never" if s.never else seconds(s.length(s.longest))
    return (
        s.service,
        str(s.wanted),
        str(s.lowest),
        seconds(s.total),
        back,
        "; ".join(filter(None, (parts, times, still))),
    )


def rounded(parts: list[tuple[str, int]], total: int) -> list[tuple[str, str]]:
    """Each part in tenths of a second, so that they add up to the total as it is printed; the smallest are left out."""
    whole = round(total / 1e5)
    shares = {name: us // 100_000 for name, us in parts}
    by_rest = sorted(parts, key=lambda part: -(part[1] % 100_000))
    for name, _ in by_rest[: max(0, whole - sum(shares.values()))]:
        shares[name] += 1
    return [(name, f"{tenths / 10:.1f}") for name, tenths in shares.items() if tenths]


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    first = f"{cells[0]:<{widths[0]}}"
    return first + "".join(f"   {cell:>{w}}" for cell, w in zip(cells[1:], widths[1:], strict=True))


def _with_parts(row: tuple[str, ...], widths: Sequence[int]) -> list[str]:
    text = _aligned(row[:5], widths)
    if len(text) + 3 + len(row[5]) <= WIDTH:
        return [f"{text}   {row[5]}".rstrip()]
    return [text, *wrap(row[5], WIDTH, "    ", "    ")]


# ---- docker's tables at the end -----------------------------------------------------------------------------


def docker(ledger: Ledger) -> list[Line]:
    """`docker node ls`, and `docker service ps` of services that were disturbed or are not as wanted."""
    if all(node.event is None for node in ledger.nodes.values()):
        return []  # `only: raft`: there is no swarm
    out = ["$ docker node ls"]
    said = tables.refusal(ledger)
    if said:
        out += [*wrap(said, WIDTH), "the store as it was last written:"]
    out += _node_table(ledger)
    rows, left = 0, []
    for service in _most_disturbed(ledger):
        table = _task_table(ledger, service)
        if table and rows + len(table) > TABLES_MOST and rows:
            left.append(service.name)
        elif table:
            rows += len(table)
            out += ["", f"$ docker service ps {service.name}", *table]
    if left:
        out += ["", f"and {count_of(len(left), 'more service')} with news of tasks: {comma(left, 8)}"]
    return [Line(text) for text in out]


def _most_disturbed(ledger: Ledger) -> list[ServiceLedger]:
    """Services in the store, those that are not as wanted first."""
    kept = [s for s in ledger.services.values() if s.event is not None and not s.removed]
    return sorted(kept, key=lambda s: s.running == s.wanted)


def _node_table(ledger: Ledger) -> list[str]:
    nodes = [n for n in ledger.nodes.values() if n.event is not None]
    shown = nodes
    if len(nodes) > NODES_MOST:
        shown = [n for n in nodes if n.manager or _is_odd(n) or len(n.up.values) > 1 or len(n.mark.values) > 1]
        shown = shown[:TASKS_MOST]
    rest = [n for n in nodes if n not in shown]
    out = tables.columns(tables.NODE_COLUMNS, tables.node_rows(ledger, shown), WIDTH)
    if rest:
        odd = sum(_is_odd(n) for n in rest)
        said = f"{odd} not Ready and Active" if odd else "Ready and Active"
        out.append(f"and {count_of(len(rest), 'more node')}, {said}")
    return out


def _is_odd(node: NodeLedger) -> bool:
    assert node.event is not None, f"{node.name} is not in the store"
    return node.event.state is not NodeState.READY or node.event.availability is not Availability.ACTIVE


def _task_table(ledger: Ledger, service: ServiceLedger) -> list[str]:
    """Slots with news, their history with them; the others are counted. Nothing where there is no news."""
    tasks = tables.tasks_of(ledger, service.name)
    often = Counter(life.last.name for life in tasks)
    slots = {name for name, n in often.items() if n > 1} | {t.last.name for t in tasks if _is_news(t, ledger)}
    shown = [life for life in tasks if life.last.name in slots][:TASKS_MOST]
    if not shown:
        return []
    out = tables.columns(tables.TASK_COLUMNS, tables.task_rows(ledger, shown), WIDTH)
    states = Counter(life.last.now.name.capitalize() for life in tasks if life not in shown)
    if states:
        counts = ", ".join(f"{n} {state}" for state, n in states.items())
        said = counts if len(states) > 1 else f"all {next(iter(states))}"
        out.append(f"and {count_of(states.total(), 'more task')}, {said}")
    return [*out, *_untrue(ledger, shown)]


def _is_news(life: TaskLife, ledger: Ledger) -> bool:
    """Is it not as wanted, or not as the store says?"""
    e = life.last
    finished = e.now is TaskState.COMPLETE and e.iteration is not None
    return not (finished or e.now is e.desired) or bool(e.error) or _is_untrue(e, ledger)


def _is_untrue(e: TaskChanged, ledger: Ledger) -> bool:
    return e.now is TaskState.RUNNING and e.task not in ledger.containers


def _untrue(ledger: Ledger, shown: list[TaskLife]) -> list[str]:
    """Tasks that run by the store alone: what docker cannot know."""
    names = [f"{life.last.name} on {life.last.node}" for life in shown if _is_untrue(life.last, ledger)]
    return wrap(f"in truth no container runs of {comma(names, 4)}", WIDTH, then="  ") if names else []
