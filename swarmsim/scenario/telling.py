"""From a line of `incident` to its words: the registry of kinds, and the mark before the words.

The words read like an incident report: what, why, since when, and what managers believe where that is not so. They are
in `tell_run` (entries), `tell_services`, `tell_cluster` (nodes, leaders) and `tell_tasks`.
"""

from __future__ import annotations

from collections.abc import Callable

from . import tell_cluster, tell_run, tell_services, tell_tasks
from .incident import Group
from .ledger import Ledger


def tell(group: Group, ledger: Ledger) -> list[str]:
    """The line's text, and the lines below it."""
    return TELLERS[group.kind](group, ledger)


def mark(group: Group) -> str:
    """`>` an operator acts, `!` the world does, `✗` what must never be, is."""
    return {"step": ">", "answer": ">", "fault": "!", "fault end": "!", "broken": "✗"}.get(group.kind, "")


TELLERS: dict[str, Callable[[Group, Ledger], list[str]]] = {
    "ready": tell_run.ready,
    "steady": tell_run.steady,
    "end": tell_run.end,
    "step": tell_run.step,
    "answer": tell_run.late_answer,
    "fault": tell_run.fault,
    "fault end": tell_run.fault_end,
    "not fired": tell_run.not_fired,
    "broken": tell_run.broken,
    "drop": tell_services.drop,
    "above": tell_services.above,
    "settled": tell_services.settled,
    "down": tell_cluster.down,
    "unknown": tell_cluster.unknown,
    "ready again": tell_cluster.ready_again,
    "disconnected": tell_cluster.disconnected,
    "removed": tell_cluster.removed,
    "role": tell_cluster.role,
    "leaderless": tell_cluster.leaderless,
    "elected": tell_cluster.elected,
    "candidate": tell_cluster.candidate,
    "stepped down": tell_cluster.stepped_down,
    "overwritten": tell_cluster.overwritten,
    "committed": tell_cluster.committed,
    "members": tell_cluster.members,
    "wedged": tell_cluster.wedged,
    "panicked": tell_cluster.panicked,
    "manager stopped": tell_cluster.manager_stopped,
    "log repaired": tell_cluster.log_repaired,
    "snapshot broken": tell_cluster.snapshot_broken,
    "ticks differ": tell_cluster.ticks_differ,
    "replaced": tell_tasks.replaced,
    "refused": tell_tasks.refused,
    "placed": tell_tasks.placed,
    "not placed": tell_tasks.not_placed,
    "exits": tell_services.exits,
    "completed": tell_services.completed,
    "update": tell_services.update,
    "progress": tell_services.progress,
}
