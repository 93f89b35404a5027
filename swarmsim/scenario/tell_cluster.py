"""The words for nodes and leaders: DOWN and why, READY again and what follows, elections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..api.states import TaskState
from ..checks.verdict import seconds
from ..trace.events import (
    HeartbeatExpired,
    ManagerStopped,
    MembershipChanged,
    ProcessPanicked,
    StoreWedged,
    VoteGranted,
    VoteRefused,
)
from .incident import Group, Overwritten
from .ledger import Ledger
from .phrases import between, both, comma, exact, spread, times
from .tables import natural

Micros = int

#: Heartbeats are drawn within this of the dispatcher's period, and three may be missed (dispatcher/period.go).
EPSILON: Micros = 500_000
MISSED = 3
#: How long after a node is back its old tasks are looked at.
CLEANING: Micros = 60_000_000


def _nodes(group: Group) -> str:
    return both(sorted((note.what.node for note in group.notes), key=natural))


def down(group: Group, ledger: Ledger) -> list[str]:
    beats = [b.event for n in group.notes if (b := _cause(ledger, n.seq, HeartbeatExpired)) is not None]
    if not beats:
        return [f"{_nodes(group)} DOWN: {group.notes[0].what.message}{spread(group)}"]
    silent = between([b.silent for b in beats])
    new = _is_new(ledger, beats)
    low, high = _limit(ledger, beats)
    since = f"not heard of by {ledger.history.leader.at(group.at) or 'the leader'}" if new else "no heartbeat"
    text = f"{_nodes(group)} DOWN: {since} for {silent} (limit {exact(low)} to {exact(high)})"
    return [text + spread(group)]


def _is_new(ledger: Ledger, beats: Sequence[HeartbeatExpired]) -> bool:
    """Does the leader wait for a first heartbeat? Then it gives twice as long (dispatcher.go `markNodesUnknown`)."""
    return min(b.grace for b in beats) > MISSED * (_period(ledger) + EPSILON)


def _period(ledger: Ledger) -> Micros:
    return ledger.ready.heartbeat_period if ledger.ready is not None else 5_000_000


def _limit(ledger: Ledger, beats: Sequence[HeartbeatExpired]) -> tuple[Micros, Micros]:
    """The range that the limit is drawn from; without the rule `heartbeat-grace` it is that of one heartbeat."""
    low, high = max(_period(ledger) - EPSILON, 0), _period(ledger) + EPSILON
    beats_missed = MISSED * (2 if _is_new(ledger, beats) else 1)
    if max(b.grace for b in beats) <= high < MISSED * low:
        beats_missed = 1
    return beats_missed * low, beats_missed * high


def _cause(ledger: Ledger, seq: int, kind: type) -> Any:
    return next((r for r in ledger.trace.chain(seq) if type(r.event) is kind), None)


def unknown(group: Group, ledger: Ledger) -> list[str]:
    leader = ledger.history.leader.at(group.last)
    until = f" until it hears from {'it' if len(group.notes) == 1 else 'them'}"
    nodes = _all_or_names(group, ledger)
    return [f"{nodes} UNKNOWN to {leader}{until}" if leader else f"{nodes} UNKNOWN"]


def _all_or_names(group: Group, ledger: Ledger) -> str:
    count = len(dict.fromkeys(note.what.node for note in group.notes))
    return f"all {count} nodes" if count == len(ledger.nodes) > 2 else _nodes(group)


def ready_again(group: Group, ledger: Ledger) -> list[str]:
    when = {"UNKNOWN": " again", "first": " for the first time"}.get(group.key, "")
    text = f"{_all_or_names(group, ledger)} READY{when}{spread(group)}"
    old = _old_tasks(group, ledger)
    if not old:
        return [text]
    names = sorted((name for name, _, _ in old), key=natural)
    states = both([state for _, state, _ in old])
    what = f"old {comma(names)}" if len(names) <= 4 else f"{len(names)} old tasks"
    owner = "its" if len(group.notes) == 1 else "their"
    become = "become" if len(names) > 1 else "becomes"
    return [f"{text}; {owner} {what} {become} {states} at {old[-1][2] / 1e6:.1f}"]


def _old_tasks(group: Group, ledger: Ledger) -> list[tuple[str, str, Micros]]:
    """(name, state, when) of tasks that were replaced while their node was away, and are now reported to be over."""
    nodes = {note.what.node for note in group.notes}
    out = []
    for life in ledger.tasks.values():
        was = life.at(group.at)
        if was is None or was.node not in nodes or was.desired < TaskState.SHUTDOWN or was.now > TaskState.RUNNING:
            continue
        over = next((r for r in life.events if r.at > group.at and r.event.now > TaskState.RUNNING), None)
        if over is not None and over.at <= group.at + CLEANING:
            out.append((was.name, over.event.now.name, over.at))
    return sorted(out, key=lambda task: task[2])


def removed(group: Group, ledger: Ledger) -> list[str]:
    return [f"{_nodes(group)} removed from the swarm"]


def role(group: Group, ledger: Ledger) -> list[str]:
    article, s = ("a ", "") if len(group.notes) == 1 else ("", "s")
    return [f"{_nodes(group)} now {article}{group.key.lower()}{s}"]


def disconnected(group: Group, ledger: Ledger) -> list[str]:
    return [f"{_nodes(group)} DISCONNECTED: {group.notes[0].what.message}"]


# ---- leaders ---------------------------------------------------------------------------------------------


def elected(group: Group, ledger: Ledger) -> list[str]:
    e = group.notes[-1].what
    if len(group.notes) > 1:
        terms = [note.what.term for note in group.notes]
        return [f"{_nodes(group)} elected {times(len(terms))}, in terms {min(terms)} to {max(terms)}{spread(group)}"]
    voters = [
        r.event.node
        for r in ledger.trace.of(VoteGranted)
        if r.event.term == e.term and r.event.candidate == e.node and r.at <= group.last
    ]
    if not voters:
        return [f"{e.node} leads in term {e.term}, elected by nobody{_gap(group, ledger)}"]
    return [f"{e.node} elected in term {e.term} by {both(sorted(voters), 5)}{_gap(group, ledger)}"]


def _gap(group: Group, ledger: Ledger) -> str:
    """How long nobody led; or who still believes that it does."""
    leader, at = ledger.history.leader, group.last
    since = next((t for t, name in reversed(list(zip(leader.times, leader.values, strict=True))) if t < at and name), 0)
    lost = next((t for t, name in zip(leader.times, leader.values, strict=True) if since < t < at and not name), None)
    if lost is not None:
        return f", {seconds(at - lost)} without a leader"
    leading = [m.name for m in ledger.managers() if m.up.at(at) and m.role.at(at) == "L"]
    others = [name for name in leading if name != group.notes[-1].what.node]
    return f"; {both(others)} still believes that it leads" if others else ""


def candidate(group: Group, ledger: Ledger) -> list[str]:
    terms = sorted({note.what.term for note in group.notes})
    said = f"term {terms[0]}" if len(terms) == 1 else f"terms {terms[0]} to {terms[-1]}"
    s = "s" if len({note.what.node for note in group.notes}) == 1 else ""
    text = f"{_nodes(group)} ask{s} for votes in {said} and get{s} no majority{spread(group)}"
    return [text, *_refusals(group, ledger)]


def _refusals(group: Group, ledger: Ledger) -> list[str]:
    """Who said no, and why; of many elections the first."""
    asked = {(note.what.node, note.what.term) for note in group.notes[:1]}
    reasons: dict[str, list[str]] = {}
    for r in ledger.trace.of(VoteRefused):
        if (r.event.candidate, r.event.term) in asked:
            reasons.setdefault(r.event.why, []).append(r.event.node)
    said = []
    for why, nodes in reasons.items():
        one = len(nodes) == 1
        nodes.sort(key=natural)
        said.append(f"{both(nodes, 5)} refuse{'s' * one}: {why if one else why.replace('itself', 'themselves')}")
    return ["; ".join(said)] if said else []


def stepped_down(group: Group, ledger: Ledger) -> list[str]:
    e = group.notes[-1].what
    none = "; no leader" if not ledger.history.leader.at(group.last) else ""
    if len(group.notes) > 1:
        reasons = both(sorted({note.what.why for note in group.notes}))
        return [f"{_nodes(group)} stopped leading {times(len(group.notes))}: {reasons}{spread(group)}{none}"]
    return [f"{e.node} leads no more: {e.why}{none}"]


def leaderless(group: Group, ledger: Ledger) -> list[str]:
    return ["no leader"]


def overwritten(group: Group, ledger: Ledger) -> list[str]:
    """An entry in conflict with a leader's is replaced, with all that followed it (Raft section 5.3)."""
    e: Overwritten = group.notes[0].what
    alone = len(group.notes) == 1
    now = f"index {e.first + len(e.terms) - 1} of term {e.terms[-1]}"
    whose, ended, end = ("its log", "it", "ends") if alone else ("their logs", "they", "end")
    text = f"{_nodes(group)} overwrite{'s' * alone} {whose} from index {e.first} on"
    return [f"{text}: {ended} ended at index {e.before}, and {end} with {now} instead"]


def committed(group: Group, ledger: Ledger) -> list[str]:
    node, first, term = group.notes[0].what
    last = group.notes[-1].what[1]
    what = f"index {first}" if first == last else f"index {first} to {last}"
    return [f"{node} commits {what} of term {term}{spread(group)}"]


def members(group: Group, ledger: Ledger) -> list[str]:
    e: MembershipChanged = group.notes[0].what
    now = f"the members are {', '.join(sorted(e.members, key=natural))}"
    if e.outgoing:
        now += f", and jointly with them {', '.join(sorted(e.outgoing, key=natural))}, whom they replace"
    apply = "applies" if len({note.what.node for note in group.notes}) == 1 else "apply"
    return [f"{_nodes(group)} {apply} index {e.index}: {now}{spread(group)}"]


# ---- managers that end, and what their disks hold ------------------------------------------------------------


def wedged(group: Group, ledger: Ledger) -> list[str]:
    e: StoreWedged = group.notes[0].what
    to = f"hands over to {e.to}" if e.to else "would hand over, and no other manager is active"
    return [f"{e.node}'s store was locked by one transaction for more than 30 s: {e.node} {to}"]


def panicked(group: Group, ledger: Ledger) -> list[str]:
    """The reason stands on a line of its own: it is long, and the words that people search for."""
    e: ProcessPanicked = group.notes[0].what
    again = len(group.notes) - 1
    lines = [f"{e.node}'s engine dies of a panic", f"panic: {e.why}"]
    if again:
        lines.append(f"started again {times(again)} until {seconds(group.last)}, to end like that")
    if not group.notes[-1].what.again:
        lines.append("that was once too often for systemd: it stays off")
    return lines


def manager_stopped(group: Group, ledger: Ledger) -> list[str]:
    """What it says at the first time, and how often it was started again to say it again."""
    e: ManagerStopped = group.notes[0].what
    again = len(group.notes) - 1
    text = f"{e.node}'s manager ends: {e.why.removeprefix('manager stopped: ')}"
    return [text] + ([f"started again {times(again)} until {seconds(group.last)}, to end like that"] if again else [])


def log_repaired(group: Group, ledger: Ledger) -> list[str]:
    return [f"{n.what.node} cuts a torn record off its log: {n.what.lost}" for n in group.notes]


def snapshot_broken(group: Group, ledger: Ledger) -> list[str]:
    return [f"{n.what.node} cannot read its snapshot of index {n.what.index}, and puts it aside" for n in group.notes]


def ticks_differ(group: Group, ledger: Ledger) -> list[str]:
    nodes = both(sorted({n.what.node for n in group.notes}, key=natural))
    return [f"{nodes} {'keeps' if ' ' not in nodes else 'keep'} to other ticks than the cluster object says"]
