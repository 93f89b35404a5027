"""What the dispatcher writes to the store: changes for its batches (SwarmKit manager/dispatcher/dispatcher.go)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...api.objects import Node, NodeDescription, NodeStatus, Task, TaskStatus, Volume
from ...api.states import NodeState, PublishState, TaskState

Change = Callable[[Any], None]

MOVED_TO_UNKNOWN = 'Node moved to "unknown" state due to leadership change in cluster'


@dataclass(slots=True)
class NodeUpdate:
    """A node's state (and what it says of itself) to be written with the next batch."""

    state: NodeState
    message: str
    cause: int
    description: NodeDescription | None = None
    addr: str = ""


def node_change(id: str, update: NodeUpdate) -> Change:
    def change(tx: Any) -> None:
        node: Node | None = tx.get(Node, id)
        if node is None:
            return
        status = NodeStatus(update.state, update.message, update.addr or node.status.addr)
        tx.update(node.evolve(status=status, description=update.description or node.description), cause=update.cause)

    return change


def unknown_change(node_id: str) -> Change:
    """`markNodesUnknown`: a new leader knows of no session; a node that is DOWN stays so."""

    def change(tx: Any) -> None:
        node: Node | None = tx.get(Node, node_id)
        if node is not None and node.status.state != NodeState.DOWN:
            status = NodeStatus(NodeState.UNKNOWN, MOVED_TO_UNKNOWN, node.status.addr)
            tx.update(node.evolve(status=status))

    return change


def status_change(task_id: str, status: TaskStatus, cause: int, leader: str) -> Change:
    """A report: an equal status, or one that goes back, is ignored."""

    def change(tx: Any) -> None:
        task: Task | None = tx.get(Task, task_id)
        if task is None or status.state < task.status.state:
            return
        known = task.status
        if status.evolve(applied_at=known.applied_at, applied_by=known.applied_by) == known:
            return
        applied = status.evolve(applied_by=leader, applied_at=tx.now)
        tx.update(task.evolve(status=applied), cause=cause)

    return change


def unpublished_change(volume_id: str, nodes: tuple[str, ...]) -> Change:
    """These nodes have let go of the volume: the rest is the driver's controller's business (`processUpdates`)."""

    def change(tx: Any) -> None:
        volume: Volume | None = tx.get(Volume, volume_id)
        if volume is not None:
            left = [
                s.evolve(state=PublishState.PENDING_UNPUBLISH) if s.node_id in nodes else s
                for s in volume.publish_status
            ]
            tx.update(volume.evolve(publish_status=tuple(left)))

    return change


def orphaned_change(task_id: str) -> Change:
    """`moveTasksToOrphaned`: nothing of the status but the state changes; tasks in other states are rewritten as is."""

    def change(tx: Any) -> None:
        task: Task | None = tx.get(Task, task_id)
        if task is None:
            return
        if TaskState.ASSIGNED <= task.status.state <= TaskState.RUNNING:
            task = task.evolve(status=task.status.evolve(state=TaskState.ORPHANED))
        tx.update(task)

    return change
