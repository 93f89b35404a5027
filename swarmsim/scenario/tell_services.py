"""The words for services: below, above or as wanted again; containers that exit; updates and jobs."""

from __future__ import annotations

from collections.abc import Sequence

from ..api.states import TaskState, UpdateState
from ..checks.verdict import seconds
from ..trace.events import (
    ClientSaid,
    ContainerExited,
    ContainerStarted,
    StepSent,
    TaskChanged,
)
from ..trace.recorder import Recorded
from .incident import Group, Note, Settled
from .ledger import Ledger, Level, TaskLife
from .phrases import after, between, both, comma, names_of, spread
from .tables import natural

Micros = int

#: What managers have not noticed by then, they cannot know yet.
NOTICED: Micros = 1_000_000


def level_said(name: str, level: Level) -> str:
    return f"{name} {level.running}/{level.wanted}"


def drop(group: Group, ledger: Ledger) -> list[str]:
    """On a line of its own: how low, and how long after what."""
    entry = after(ledger, group.root)
    since = f", {seconds(group.at - ledger.trace[group.root].at)} after {entry}" if entry else ""
    return [_lowest(group.notes, group.last, ledger) + since + spread(group)]


def _lowest(drops: Sequence[Note], last: Micros, ledger: Ledger) -> str:
    """How low each service went by then, once all that belongs together has happened."""
    found: dict[str, Level] = {}
    for note in drops:
        name, level = note.what
        level = min(level, ledger.services[name].at(last), key=lambda lv: lv.running)
        found[name] = min(found.get(name, level), level, key=lambda lv: lv.running)
    return comma([level_said(name, level) for name, level in found.items()], 3)


def above(group: Group, ledger: Ledger) -> list[str]:
    name, level = group.notes[-1].what
    extra = _unwanted(ledger, name, group.last)
    text = level_said(name, level)
    if not extra:
        return [f"{text}: more than are wanted"]
    where = both([node for _, node in extra])
    run = "run" if len(extra) > 1 else "runs"
    return [f"{text}: the old {comma([task for task, _ in extra])} still {run} on {where}"]


def _unwanted(ledger: Ledger, service: str, at: Micros) -> list[tuple[str, str]]:
    """(name, node) of containers that run though their task is no longer wanted."""
    running: dict[str, tuple[str, str]] = {}
    for recorded in ledger.trace.of(ContainerStarted, ContainerExited):
        e = recorded.event
        if recorded.at > at:
            break
        if e.service == service and type(e) is ContainerStarted:
            running[e.task] = (e.name, e.node)
        else:
            running.pop(e.task, None)
    held = {task: ledger.tasks[task].at(at) for task in running if task in ledger.tasks}
    return [running[t] for t, e in held.items() if e is None or e.desired >= TaskState.SHUTDOWN]


def settled(group: Group, ledger: Ledger) -> list[str]:
    found: list[Settled] = [note.what for note in group.notes]
    said = []
    for name in dict.fromkeys(s.service for s in found):
        service = ledger.services[name]
        level = service.at(max(n.at for n in group.notes if n.what.service == name))
        gone = service.removed and not level.wanted
        said.append(f"{name}: all its containers are gone" if gone else level_said(name, level))
    where = list(dict.fromkeys(s.gone for s in found))
    if where != [""]:
        return [f"{comma(said, 3)}: nothing is wanted on {both(where)} any more", *_stale(group, ledger)]
    entry = after(ledger, group.root)
    took = between([note.at - (ledger.trace[group.root].at if entry else note.what.since) for note in group.notes])
    text = f"{comma(said, 3)}, {took} after {entry}" if entry else f"{comma(said, 3)} again, after {took}"
    times = len(group.notes) if not entry and len(said) == 1 < len(group.notes) else 0
    return [text + (f", {times} times" if times else "") + _until(group, entry), *_stale(group, ledger)]


def _until(group: Group, entry: str) -> str:
    return spread(group) if not entry else ""


def _stale(group: Group, ledger: Ledger) -> list[str]:
    """`docker service ls` counts a dead node's tasks until they are reported to be over."""
    at = min(group.last + NOTICED, ledger.end)
    stale: list[TaskLife] = []
    said: list[str] = []
    for name in dict.fromkeys(note.what.service for note in group.notes):
        service = ledger.services[name]
        found = [life for life in ledger.tasks.values() if _is_stale(life.at(at), name)]
        if found and service.said.at(at) > service.at(at).running:
            stale += found
            said.append(f"{name} {service.said.at(at)}/{service.at(at).wanted}")
    if not said:
        return []
    until = _until_back(stale, ledger.end)
    if len(said) == 1:
        return [f"docker service ls says {said[0].split()[-1]} {until}: {len(stale)} stale"]
    return [f"docker service ls counts {len(stale)} stale tasks {until}: {comma(said, 3)}"]


def _is_stale(e: TaskChanged | None, service: str) -> bool:
    """RUNNING by the store, though nobody wants it any more."""
    return e is not None and e.service == service and e.now is TaskState.RUNNING and e.desired >= TaskState.SHUTDOWN


def _until_back(stale: list[TaskLife], end: Micros) -> str:
    """Their nodes report that they are over, once they are back; or never in this run."""
    if any(_is_stale(life.at(end), life.last.service) for life in stale):
        return "to the end"
    nodes = sorted({life.last.node for life in stale}, key=natural)
    return f"until {both(nodes)} {'is' if len(nodes) == 1 else 'are'} back"


def exits(group: Group, ledger: Ledger) -> list[str]:
    codes = both([str(note.what.code) for note in group.notes])
    times = f", {len(group.notes)} times" if len(group.notes) > len({n.what.name for n in group.notes}) else ""
    verb = "exits" if len({n.what.name for n in group.notes}) == 1 else "exit"
    return [f"{names_of(group)} {verb} with {codes}{times}{attached(group, ledger)}{spread(group)}"]


def completed(group: Group, ledger: Ledger) -> list[str]:
    e = group.notes[-1].what
    service = ledger.services[e.service]
    held = [t for life in ledger.tasks.values() if (t := life.at(group.last)) is not None and t.service == e.service]
    done = sum(t.iteration == e.iteration and t.now is TaskState.COMPLETE for t in held)
    total = service.event.completions if service.event is not None else 0
    return [f"{names_of(group)} completed" + (f": {done} of {total}" if total else "") + spread(group)]


def update(group: Group, ledger: Ledger) -> list[str]:
    e = group.notes[-1].what
    step = _last_step(ledger, e.service, group.at)
    took = f", {seconds(group.last - step.at)} after {after(ledger, step.seq)}" if step else ""
    state = e.update.name.lower().replace("_", " ")
    over = e.update in (UpdateState.COMPLETED, UpdateState.ROLLBACK_COMPLETED)
    return [f"update of {e.service} {state}{took}" if over else f"update of {e.service} {state}: {e.message}"]


def _last_step(ledger: Ledger, service: str, until: Micros) -> Recorded | None:
    """The command that was given last for the service, by itself or with its stack."""
    steps = [r for r in ledger.trace.of(StepSent) if r.event.target == service and r.at <= until]
    steps += [
        ledger.trace[r.cause]
        for r in ledger.trace.of(ClientSaid)
        if r.event.kind == "service" and r.event.name == service and r.at <= until
    ]
    return max(steps, key=lambda r: r.seq, default=None)


def progress(group: Group, ledger: Ledger) -> list[str]:
    _, done, spec = group.notes[-1].what
    wanted = spec.replicas if spec.mode == "replicated" else ledger.services[spec.service].at(group.last).wanted
    names = both(sorted((note.what[0].name for note in group.notes), key=natural))
    run = "runs" if len(group.notes) == 1 else "run"
    return [f"{names} {run} the new spec: {done} of {wanted}{spread(group)}"]


def attached(group: Group, ledger: Ledger) -> str:
    """What is told at the end of a line: no leader, services below what they owe."""
    said = ["no leader" for other in group.with_ if other.kind == "leaderless"][:1]
    drops = [note for other in group.with_ if other.kind == "drop" for note in other.notes]
    if drops:
        said.append(_lowest(drops, max(note.at for note in drops), ledger))
    return "".join(f"; {text}" for text in said)
