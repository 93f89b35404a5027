"""The leader-only components: what a manager starts when it gains leadership, and stops, in which order, when it loses
it.

SwarmKit manager/manager.go `becomeLeader`, `becomeFollower`. Each is a machine with a driver (and so a SimPy process)
of its own; those that watch the store get one `Committed` message for each commit.
"""

from __future__ import annotations

from ..api.objects import Cluster, Network, Node, Service, Task, Volume

#: In the order of their start.
START_ORDER = (
    "key_manager",
    "dispatcher",
    "ca",
    "allocator",
    "scheduler",
    "constraint_enforcer",
    "volume_enforcer",
    "task_reaper",
    "orchestrator",
    "jobs_orchestrator",
    "global_orchestrator",
    "role_manager",
    "csi",
)

#: In the order of their stop. The jobs orchestrator is missing: it runs on until the manager stops, its writes fail
#: meanwhile, and a manager that leads again has two of them (a quirk of the original, github:moby/moby#53632).
STOP_ORDER = (
    "dispatcher",
    "ca",
    "allocator",
    "constraint_enforcer",
    "volume_enforcer",
    "orchestrator",
    "global_orchestrator",
    "task_reaper",
    "scheduler",
    "role_manager",
    "key_manager",
    "csi",
)

#: Which kinds of objects each of them watches: a commit without any of these is not told.
WATCHES: dict[str, frozenset[type]] = {
    "dispatcher": frozenset({Task, Node, Cluster, Volume}),
    "ca": frozenset({Node, Cluster}),
    "allocator": frozenset({Task, Service, Node, Network}),
    "scheduler": frozenset({Task, Service, Node, Volume}),
    "constraint_enforcer": frozenset({Node}),
    "volume_enforcer": frozenset({Volume}),
    "task_reaper": frozenset({Task, Service, Cluster}),
    "orchestrator": frozenset({Task, Service, Node}),
    "jobs_orchestrator": frozenset({Task, Service}),
    "global_orchestrator": frozenset({Task, Service, Node}),
    "role_manager": frozenset({Node}),
    "key_manager": frozenset({Cluster}),
    "csi": frozenset({Volume, Node}),
}
