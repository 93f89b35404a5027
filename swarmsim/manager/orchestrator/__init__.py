"""The orchestrators: which tasks there shall be (SwarmKit manager/orchestrator).

First of the leader's pipeline stages (*orchestrator*, allocator, scheduler, dispatcher). An orchestrator compares what
services want with the tasks that exist, and writes what is missing or too many: it creates tasks and moves their
*desired* state; the observed state belongs to others. Six machines, all leader-only:

    replicated            services with so many replicas
    global_service        services with one task on each node
    job                   both kinds of jobs (`tally`: what a reconcile of a replicated job counts)
    task_reaper           deletes what is to be removed and has stopped, and old history
    constraint_enforcer   evicts tasks that their node no longer suits
    volume_enforcer       evicts tasks from a cluster volume that is drained

What the first three share:

    event_loop            their loop over commits, with the supervisors beside
    restart               the restart supervisor: whether a dead task gets a successor, and when that may start
    update                the update supervisor: rolling updates and rollbacks
    task_init             what a new leader repairs first
    task, slot            making a task; is it outdated? which slots survive a scale-down
    waiting               how a handler waits for something within its machine

What the last two share is in `enforcer`.

Read `replicated` first, then `restart`, then `update`.

What the original leaves to Go's map order or to random ids is drawn from the machine's own stream: the order of slots
in an update, of nodes, of services and of restarts within a commit.

Departures from the original (2026-11-24):

* Ties of a scale-down keep their order beyond twelve slots too (`slot.survivors_first`).
* In a global service's reconcile of one node each service is asked with its own update status (`global_service`).
* Three races of goroutines have a fixed end (`update`): a failure is seen before the worker takes its next slot; it
  rolls the service back before the failed task is restarted, so the successor is of the old spec; and an updater is
  gone before the reconcile that its last write leads to.
* Tasks of one job that end in one commit make one reconcile, not one each; what it does is the same.
"""

from __future__ import annotations

from collections.abc import Callable

from ...machine import Machine
from ...store import MemoryStore
from .constraint_enforcer import ConstraintEnforcer
from .global_service import GlobalOrchestrator
from .job import JobsOrchestrator
from .replicated import ReplicatedOrchestrator
from .task_reaper import TaskReaper
from .volume_enforcer import VolumeEnforcer

#: The leader-only machines of this package by component name (manager/component.py).
ORCHESTRATORS: dict[str, Callable[[str, MemoryStore], Machine]] = {
    "constraint_enforcer": ConstraintEnforcer,
    "volume_enforcer": VolumeEnforcer,
    "task_reaper": TaskReaper,
    "orchestrator": ReplicatedOrchestrator,
    "jobs_orchestrator": JobsOrchestrator,
    "global_orchestrator": GlobalOrchestrator,
}

__all__ = [
    "ORCHESTRATORS",
    "ConstraintEnforcer",
    "GlobalOrchestrator",
    "JobsOrchestrator",
    "ReplicatedOrchestrator",
    "TaskReaper",
    "VolumeEnforcer",
]
