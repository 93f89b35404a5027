"""The scheduler: which node each PENDING task runs on, and why not when there is none (SwarmKit manager/scheduler).

Third of the leader's pipeline stages (orchestrator, allocator, *scheduler*, dispatcher). The rooms, in reading order:

    scheduler          the machine: follows commits, waits for them to calm down, runs a *pass*
    spread             chooses nodes for a group of equal tasks
    tree               how the nodes rank for a service's next task
    suitable           which nodes pass the filters, whatever the service
    filters, pipeline  the filters, their order, and the words for a refusal
    node_set           all nodes in their order, and which of them changed
    node_info          one node: its tasks, what is free on it, how it fared of late
    generic_resources  user-defined resources
    volumes            cluster (CSI) volumes: which a task could get on a node

What costs time is asking every node for every task. So `suitable` and `tree` are kept between passes and catch up with
the nodes that changed; following an event, or placing one more task, costs the same in a small cluster and a large one.

The original's choices that depend on Go's map order are drawn from the machine's own random stream with the same
odds (`spread.map_order`), so a run is reproducible and equal nodes still take turns.

Departures from the original (2026-11-25):

* Of the usable volumes of a group the first is taken (`volumes`).
* Tasks found with named generic resources at start keep the names that they recorded; the original claims the
  first free names anew, which after a change of leader may book other names than the task holds.
* When the kept nodes of a leaf are full, which of several equally bad ones makes room is the earliest, not the
  heap's whim; among equal nodes the order is that of `map_order`.
* The node-version check of the commit step is left out: it concerns only tasks that the store already has at
  ASSIGNED or beyond, whose update fails for their own version anyway.
* Commits without tasks, services, nodes and volumes are not told to the scheduler (`manager.component.WATCHES`), so
  they do not put a pass off, as every commit does in the original.
"""

from .scheduler import Scheduler

__all__ = ["Scheduler"]
