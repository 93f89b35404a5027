"""Nodes (SwarmKit manager/controlapi/node.go): availability and role, and their removal."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from ...api import messages as m
from ...api.objects import Cluster, Node, TaskStatus
from ...api.states import NodeRole, NodeState, TaskState
from ...errors import ApiError
from ...machine import Outbox
from ...store.memory_store import MemoryStore
from .clusters import without_expired
from .lookup import Serves, find, invalid_argument, still

REMOVED_NODE = "Task belonged to a node that has been deleted"

Serving = Generator[Any, Any, Any]
Reachability = tuple[tuple[str, bool], ...]


class Nodes:
    """`members()` gives the node ids of all Raft members; `can_remove(id)` says whether a quorum survives it.

    `reachable()`: each member's node id, and whether this manager, which leads, can reach it.
    """

    def __init__(
        self,
        store: MemoryStore,
        members: Callable[[], tuple[str, ...]],
        can_remove: Callable[[str], bool],
        reachable: Callable[[], Reachability] = tuple,
    ) -> None:
        self.store = store
        self.members = members
        self.can_remove = can_remove
        self.serve: Serves = {
            m.UpdateNode: self.update,
            m.RemoveNode: self.remove,
            m.GetNode: self.get,
            m.ListManagers: lambda request, out: reachable(),
        }

    def get(self, request: m.GetNode, out: Outbox) -> Node:
        found: Node = find(self.store, Node, request.node)
        return found

    def update(self, request: m.UpdateNode, out: Outbox) -> Serving:
        spec, version = request.spec, request.version
        if not request.node_id or version is None or spec is None:
            raise invalid_argument()
        known: Node = find(self.store, Node, request.node_id)

        def change(tx: Any) -> Node:
            node: Node = still(tx, Node, known.id, request.node_id)
            if node.spec.desired_role is NodeRole.MANAGER and spec.desired_role is NodeRole.WORKER:
                self._check_demotion(node, tx)
            written: Node = tx.update(node.evolve(spec=spec, version=version))
            return written

        return (yield out.update(change))

    def _check_demotion(self, node: Node, tx: Any) -> None:
        managers = [n for n in tx.all(Node) if n.role is NodeRole.MANAGER]
        if len(managers) == 1 and managers[0].id == node.id:
            raise ApiError("FailedPrecondition", "attempting to demote the last manager of the swarm")
        if node.id not in self.members():
            raise ApiError("NotFound", "can't find manager in raft memberlist")
        if not self.can_remove(node.id):
            text = "can't remove member from the raft: this would result in a loss of quorum"
            raise ApiError("FailedPrecondition", text)

    def remove(self, request: m.RemoveNode, out: Outbox) -> Serving:
        """Its certificate is refused from now on, its tasks are orphaned, the object goes: one transaction."""
        known: Node = find(self.store, Node, request.node_id)

        def change(tx: Any) -> None:
            node: Node = still(tx, Node, known.id, request.node_id)
            self._check_removal(node, request.force)
            _blacklist(node, tx)
            _orphan_tasks(node, tx)
            tx.delete(Node, node.id)

        return (yield out.update(change))

    def _check_removal(self, node: Node, force: bool) -> None:
        if node.spec.desired_role is NodeRole.MANAGER and node.id in self.members():
            text = (
                f"node {node.id} is a cluster manager and is a member of the raft cluster. "
                "It must be demoted to worker before removal"
            )
            raise ApiError("FailedPrecondition", text)
        if not force and node.status.state is NodeState.READY:
            raise ApiError("FailedPrecondition", f"node {node.id} is not down and can't be removed")


def _blacklist(node: Node, tx: Any) -> None:
    for cluster in tx.all(Cluster):
        entry = (node.id, node.certificate.not_after)
        tx.update(without_expired(cluster.evolve(blacklisted=(*cluster.blacklisted, entry)), tx.now))


def _orphan_tasks(node: Node, tx: Any) -> None:
    for task in tx.tasks_on_node(node.id):
        if task.status.state < TaskState.COMPLETE:
            tx.update(task.evolve(status=TaskStatus(TaskState.ORPHANED, REMOVED_NODE, timestamp=tx.now)))
