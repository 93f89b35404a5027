"""The scheduler: which node each PENDING task runs on, and why not when there is none (SwarmKit manager/scheduler).

Third of the leader's pipeline stages (orchestrator, allocator, *scheduler*, dispatcher). `scheduler` is the machine:
it follows commits, waits for them to calm down, and runs a *pass*; `node_info` is what it knows of a node; `filters`
and `pipeline` say which nodes may take a task and explain a refusal; `spread` chooses among those that may;
`generic_resources` counts user-defined resources. Read `scheduler` first, then `spread`.

The original's choices that depend on Go's map order are drawn from the machine's own random stream with the same
odds (`spread.map_order`), so a run is reproducible and equal nodes still take turns.

Departures from the original (2026-11-24):

* Cluster (CSI) volumes are not modelled; their filter would be one more line at the end of `filters.FILTERS`.
* Tasks found with named generic resources at start keep the names that they recorded; the original claims the
  first free names anew, which after a change of leader may book other names than the task holds.
* When the kept nodes of a leaf are full, which of several equally bad ones makes room is the earliest, not the
  heap's whim; among equal nodes the order is that of `map_order`.
* The node-version check of the commit step is left out: it concerns only tasks that the store already has at
  ASSIGNED or beyond, whose update fails for their own version anyway.
* A reservation of 0 of a named generic resource claims nothing.
"""

from .scheduler import Scheduler

__all__ = ["Scheduler"]
