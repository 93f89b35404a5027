"""The words for the run and its entries: what operators did, what went wrong, what managers cannot know yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..api.states import Availability, TaskState
from ..checks.verdict import seconds
from ..trace.events import (
    ClientSaid,
    ContainerExited,
    FaultEnded,
    FaultStarted,
    NodeChanged,
    StepSent,
)
from .incident import FIRST, LATE, Group
from .ledger import LINK_FAULTS, Ledger
from .phrases import bare, between, both, called, comma, exact
from .tell_services import NOTICED, attached, level_said
from .words import count_of

Micros = int

#: Faults that are over as soon as they have begun.
AT_ONCE = frozenset({"kill", "corrupt", "wipe"})


# ---- the run ---------------------------------------------------------------------------------------------


def ready(group: Group, ledger: Ledger) -> list[str]:
    e = group.notes[0].what
    if ledger.only_raft:
        return [f"{e.leader} leads; the members are {', '.join(e.managers)}"]
    nodes = len(e.managers) + len(e.workers)
    all_ = "its only node is READY" if nodes == 1 else f"all {nodes} nodes are READY"
    return [f"swarm ready: {e.leader} leads, {all_}" + _idle(ledger)]


def _idle(ledger: Ledger) -> str:
    """Nodes that take no tasks from the beginning."""
    out = ""
    for what in (Availability.DRAIN, Availability.PAUSE):
        names = [r.event.node for r in ledger.trace.of(NodeChanged) if not r.at and r.event.availability is what]
        if names:
            out += f"; {both(names)} {'drained' if what is Availability.DRAIN else 'paused'}"
    return out


def steady(group: Group, ledger: Ledger) -> list[str]:
    kept = [s for s in ledger.services.values() if not s.is_job and s.at(group.at).wanted and s.event is not None]
    services = [s for s in kept if s.event is not None and not s.event.ends_alone]
    if not kept:
        return ["steady: nothing is to run yet"]
    if not services:
        return [f"steady: the containers of {both([s.name for s in kept])} exit by themselves, nothing is owed"]
    if len(services) > 3:
        running = sum(s.at(group.at).running for s in services)
        return [f"steady: {len(services)} services, {running} containers run"]
    return [f"steady: {', '.join(level_said(s.name, s.at(group.at)) for s in services)}" if services else "steady"]


def end(group: Group, ledger: Ledger) -> list[str]:
    why = group.notes[0].what.why
    said = ["end" if why == "duration" else f"end: {why}"]
    if ledger.steady_at is None:
        said.append("`steady` never came")
    idle = _came_back_empty(ledger)
    if idle:
        said.append(f"nothing was moved back to {both(idle)}")
    return ["; ".join(said)]


def _came_back_empty(ledger: Ledger) -> list[str]:
    """Nodes that ran containers, lost them, are fit again, and run none (swarm never rebalances)."""
    out = []
    for node in ledger.nodes.values():
        steps = ledger.history.running_on.get(node.name)
        fit = node.up.now and not node.mark.now and node.event is not None
        if steps is None or not fit or node.event is None or node.event.availability is not Availability.ACTIVE:
            continue
        if not steps.now and max(steps.values) and node.left:
            out.append(node.name)
    return out


def broken(group: Group, ledger: Ledger) -> list[str]:
    """A property that must never be broken is: what a check saw there (the verdicts have it all)."""
    first, more = group.notes[0].what, len(group.notes) - 1
    again = f"; {more} more of this below" if more else ""
    return [f"{first.property}: {first.text}{again}"]


# ---- entries ---------------------------------------------------------------------------------------------


def step(group: Group, ledger: Ledger) -> list[str]:
    if group.key == FIRST:
        return _created(group)
    e, at, answer, draws = group.notes[0].what
    text = f"{_asked(e)}{called(e.entry, e.verb)}; {_answered(e, at, answer)}{attached(group, ledger)}"
    return [text, *_drawn(draws), *_printed(e, ledger)]


#: What Docker's client says before the names of things, one line for each.
_SAID = ("Creating", "Updating", "Removing")


def _printed(e: StepSent, ledger: Ledger) -> list[str]:
    """What the client printed: things of one kind on one line, all else in its own words."""
    done: dict[str, list[str]] = {}
    said: list[str] = []
    for recorded in ledger.trace.of(ClientSaid):
        line: ClientSaid = recorded.event
        word = line.text.split(" ", 1)[0]
        if line.entry != e.entry:
            continue
        if line.kind == "image":
            done.setdefault("no registry has a digest of", []).append(line.name)
        elif line.kind and word in _SAID:
            done.setdefault(f"{word} {line.kind}", []).append(line.name)
        else:
            said.append(line.text)
    things = [
        f"{what}{'s' if len(names) > 1 and what[0].isupper() else ''} {comma(names, 4)}" for what, names in done.items()
    ]
    return [*things, *said]


def _asked(e: StepSent) -> str:
    if e.verb == "create" and e.detail in ("network", "secret", "config"):
        return f"create {e.detail} {e.target}"
    if e.verb == "scale":
        return f"scale {e.target} {e.detail}"
    return f"{e.verb} {e.target}: {e.detail}" if e.detail else f"{e.verb} {e.target}"


def _answered(e: StepSent, at: Micros, answer: Any) -> str:
    who = e.via or "nobody"
    if answer is None:
        return f"{who} does not answer before the end"
    took = answer.at - at
    if took > LATE:
        return f"{who} is asked"
    refused = answer.event.error
    when = f"in {seconds(took)}" if took else "at once"
    return f"{who} refuses {when}: {bare(refused)}" if refused else f"{who} answers {when}"


def _created(group: Group) -> list[str]:
    """A whole stack: how many of what, and when the last was answered."""
    kinds: dict[str, list[str]] = {}
    for note in group.notes:
        e = note.what[0]
        kind = e.detail if e.detail in ("network", "secret", "config") else "service"
        kinds.setdefault(kind, []).append(e.target)
    said = [f"{count_of(len(names), kind)} ({comma(names, 3)})" for kind, names in kinds.items()]
    times = [answer.at - at for _, at, answer, _ in (n.what for n in group.notes) if answer is not None]
    via = both([n.what[0].via for n in group.notes])
    return [f"create {', '.join(said)}" + (f"; {via} answers in {between(times)}" if times else "")]


def late_answer(group: Group, ledger: Ledger) -> list[str]:
    answer, sent = group.notes[0].what
    took = seconds(group.at - sent.at)
    what = f"{sent.event.verb} {sent.event.target}"
    verb = f"is refused after {took}: {bare(answer.error)}" if answer.error else f"is done, answered after {took}"
    return [f"{what} {verb}"]


def fault(group: Group, ledger: Ledger) -> list[str]:
    e, draws = group.notes[0].what
    text = f"{e.kind} {_whom(e, ledger)}{_how_long(e)}{f': {e.detail}' if e.detail else ''}{called(e.entry, e.kind)}"
    if e.kind == "crash" and group.at and not any(ledger.nodes[n].up.at(group.at - 1) for n in e.nodes):
        text += "; off already"
    below = _drawn(draws)
    if not ledger.only_raft and (ledger.steady_at is None or group.at < ledger.steady_at):
        below.append(_before_steady(group, ledger))
    return [text + attached(group, ledger), *below, *_cannot_know(group, ledger)]


def _before_steady(group: Group, ledger: Ledger) -> str:
    """What does not run yet when a fault hits too early."""
    levels = [(s.name, s.at(group.at - 1)) for s in ledger.services.values() if not s.is_job]
    said = [level_said(name, level) for name, level in levels if level.running < level.wanted]
    return "before `steady`" + (f": {comma(said, 3)} so far" if said else "")


def _whom(e: FaultStarted, ledger: Ledger) -> str:
    nodes = comma(e.nodes, 6)
    if e.kind not in LINK_FAULTS:
        return nodes
    others = "all others" if len(set(e.nodes) | set(e.peers)) == len(ledger.nodes) else comma(e.peers, 6)
    return f"{nodes} from {others}" if e.kind == "partition" else f"between {nodes} and {others}"


def _how_long(e: FaultStarted) -> str:
    if e.kind in AT_ONCE:
        return ""
    return f" for {exact(e.duration)}" if e.duration is not None else " to the end"


def _drawn(draws: Sequence[Any]) -> list[str]:
    if not draws:
        return []
    return [f"drawn from the seed: {', '.join(f'{d.what} {d.value}' for d in draws)}"]


def _cannot_know(group: Group, ledger: Ledger) -> list[str]:
    """Managers go by the store: what it says a second later, where that is more than what runs."""
    drops = [note for other in group.with_ if other.kind == "drop" for note in other.notes]
    later = min(group.at + NOTICED, ledger.end)
    names = dict.fromkeys(note.what[0] for note in drops if _still_said(ledger, note.seq, later))
    lies = []
    for name in names:
        service = ledger.services[name]
        text = f"{service.said.at(later)}/{service.at(later).wanted}"
        lies.append(text if len({note.what[0] for note in drops}) == 1 else f"{name} {text}")
    return [f"managers cannot know yet: docker service ls says {comma(lies, 3)}"] if lies else []


def _still_said(ledger: Ledger, seq: int, at: Micros) -> bool:
    """Does the store still say RUNNING of the task whose container exited?"""
    event = ledger.trace[seq].event
    task = ledger.tasks.get(event.task) if type(event) is ContainerExited else None
    held = task.at(at) if task is not None else None
    return held is not None and held.now is TaskState.RUNNING


def fault_end(group: Group, ledger: Ledger) -> list[str]:
    e: FaultEnded = group.notes[0].what
    name = e.entry if e.entry.startswith(e.kind) else f"{e.kind} ({e.entry})"
    if e.kind != "crash":
        return [f"{name} ends: {both(e.nodes)} {_reaches(e)}" + attached(group, ledger)]
    on = [n for n in e.nodes if ledger.nodes[n].up.at(group.at)]
    off = [n for n in e.nodes if n not in on]
    said = [f"{both(on)} {'starts' if len(on) == 1 else 'start'}"] if on else []
    if off:
        said.append(f"{both(off)} stays off: another crash holds it")
    return [f"{name} ends: {', '.join(said)}"]


def _reaches(e: FaultEnded) -> str:
    if e.kind == "partition":
        return "and the others hear each other again"
    if e.kind == "disk":
        return "can write again"
    return f"{'is' if len(e.nodes) == 1 else 'are'} without {e.kind} again"


def not_fired(group: Group, ledger: Ledger) -> list[str]:
    e, draws = group.notes[0].what
    return [f"`{e.entry}` does not fire: {e.reason}", *_drawn(draws)]
