"""The enumerations of the control plane, with SwarmKit's own numbers (api/types.proto).

Every comparison of task states in the original is numeric, so the gaps matter: REMOVE (800) sits just
above REJECTED (768), and nothing is ever observed there, it occurs only as a desired state.
"""

from __future__ import annotations

from enum import IntEnum


class TaskState(IntEnum):
    """Where a task is (observed) or shall be (desired). Observed states only grow."""

    NEW = 0
    PENDING = 64
    ASSIGNED = 192
    ACCEPTED = 256
    PREPARING = 320
    READY = 384
    STARTING = 448
    RUNNING = 512
    COMPLETE = 576
    SHUTDOWN = 640
    FAILED = 704
    REJECTED = 768
    REMOVE = 800
    ORPHANED = 832


class NodeState(IntEnum):
    """What the managers believe of a node (api/types.proto NodeStatus.State)."""

    UNKNOWN = 0
    DOWN = 1
    READY = 2
    DISCONNECTED = 3


class Availability(IntEnum):
    """What the operator allows on a node, or with a volume (api/specs.proto NodeSpec.Availability, VolumeSpec)."""

    ACTIVE = 0
    PAUSE = 1
    DRAIN = 2


class NodeRole(IntEnum):
    WORKER = 0
    MANAGER = 1


class Membership(IntEnum):
    PENDING = 0
    ACCEPTED = 1


class IssuanceState(IntEnum):
    """State of a node's certificate (api/types.proto IssuanceStatus)."""

    UNKNOWN = 0
    RENEW = 1
    PENDING = 2
    ISSUED = 3
    FAILED = 4
    ROTATE = 5


class UpdateState(IntEnum):
    """State of a rolling update (api/types.proto UpdateStatus.UpdateState)."""

    UNKNOWN = 0
    UPDATING = 1
    PAUSED = 2
    COMPLETED = 3
    ROLLBACK_STARTED = 4
    ROLLBACK_PAUSED = 5
    ROLLBACK_COMPLETED = 6


class PublishState(IntEnum):
    """Where a cluster volume is in its life on one node (api/types.proto VolumePublishStatus.State)."""

    PENDING_PUBLISH = 0
    PUBLISHED = 1
    PENDING_NODE_UNPUBLISH = 2  # its node's agent must let go of it
    PENDING_UNPUBLISH = 3  # the driver's controller must


class Component(IntEnum):
    """Who may move a task between states; the rows of the transition table."""

    ORCHESTRATOR = 0
    ALLOCATOR = 1
    SCHEDULER = 2
    DISPATCHER = 3  # carries the agent's reports into the store
    CONTROL_API = 4
    ENFORCER = 5
    REAPER = 6


_S = TaskState
_AGENT_PATH = (_S.ASSIGNED, _S.ACCEPTED, _S.PREPARING, _S.READY, _S.STARTING, _S.RUNNING)

# What the agent may report, as the store sees it: the dispatcher keeps only the last status of each 100 ms, so
# any later state of the path may follow any earlier one (dispatcher.go, `processUpdates`).
_REPORTED = frozenset(
    (a, b) for a in _AGENT_PATH for b in (*_AGENT_PATH, _S.COMPLETE, _S.SHUTDOWN, _S.FAILED, _S.REJECTED) if b > a
)

#: Changes of observed state by component (design/tla/Tasks.tla `Transitions`, widened by what the code does).
TRANSITIONS: dict[Component, frozenset[tuple[TaskState, TaskState]]] = {
    Component.ORCHESTRATOR: frozenset(),
    Component.ALLOCATOR: frozenset({(_S.NEW, _S.PENDING)}),
    # The shortcut PENDING -> SHUTDOWN is for an unplaceable task of an older spec version (scheduler.go).
    Component.SCHEDULER: frozenset({(_S.PENDING, _S.ASSIGNED), (_S.PENDING, _S.SHUTDOWN)}),
    # ORPHANED: a node DOWN for 24 h (dispatcher.go moveTasksToOrphaned).
    Component.DISPATCHER: _REPORTED | frozenset((s, _S.ORPHANED) for s in _AGENT_PATH),
    # ORPHANED: the node was removed (controlapi/node.go orphanNodeTasks), from any state below COMPLETE.
    Component.CONTROL_API: frozenset((s, _S.ORPHANED) for s in (_S.NEW, _S.PENDING, *_AGENT_PATH)),
    Component.ENFORCER: frozenset((s, _S.REJECTED) for s in (_S.NEW, _S.PENDING, *_AGENT_PATH)),
    Component.REAPER: frozenset(),
}
