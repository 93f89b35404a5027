"""The role manager: makes a node's role, and the Raft group, follow the role that is desired.

SwarmKit manager/role_manager.go. Promotion: the role is written at once, and the node joins
the group by itself. Demotion: first out of the group, if that loses no quorum; the role follows on the next event or
tick that finds it out. A leader that is demoted hands over, and its successor removes it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any

from ..api.messages import Committed, LeaveRequest, TransferLeadership
from ..api.objects import Node
from ..api.states import NodeRole
from ..errors import ApiError, LeadershipLost
from ..machine import SECOND, Address, Handler, Machine, Micros, Outbox
from ..store.actions import REMOVE
from ..store.memory_store import MemoryStore
from .membership import Member

RETRY: Micros = 5 * SECOND
REMOVAL_LIMIT: Micros = 5 * SECOND


class RoleManager(Machine):
    """`members()` gives the Raft group as it is; `can_remove(node_id)` says whether a quorum survives that.

    An event makes it look at that node alone; what is left over is tried again every 5 s.
    """

    def __init__(
        self,
        node: str,
        store: MemoryStore,
        members: Callable[[], tuple[Member, ...]],
        can_remove: Callable[[str], bool],
    ) -> None:
        self.node = node
        self.store = store
        self.members = members
        self.can_remove = can_remove
        self._pending: dict[str, int] = {}  # node id -> cause: its role is not what is desired
        self._removing: dict[str, int] = {}  # node id -> cause: a member whose node object is gone
        self._queue: list[tuple[str, int]] = []
        self._ticking = False

    def on_start(self, saved: Mapping[Any, Any], out: Outbox) -> Handler:
        for member in self.members():
            if self.store.get(Node, member.node_id) is None:
                self._removing[member.node_id] = out.cause
        self._queue = [(node.id, out.cause) for node in self.store.nodes.values()]
        return self._work(list(self._removing), out)

    def on_message(self, src: Address, message: Any, out: Outbox) -> Handler:
        assert type(message) is Committed, f"a role manager got {message!r}"
        gone = []
        for change in message.changes:
            if type(change.new) is not Node:
                continue
            cause = change.cause or out.cause
            if change.kind is REMOVE:
                self._pending.pop(change.new.id, None)
                self._removing[change.new.id] = cause
                gone.append(change.new.id)
            else:
                self._queue.append((change.new.id, cause))
        return self._work(gone, out) if self._queue or gone else None

    def on_timer(self, name: Any, out: Outbox) -> Handler:
        self._ticking = False
        self._queue += self._pending.items()
        return self._work(list(self._removing), out)

    def _work(self, gone: list[str], out: Outbox) -> Generator[Any, Any, None]:
        """Members whose nodes are gone leave the group; then the roles of the nodes in the queue."""
        for id in gone:
            out.cause = self._removing[id]
            if (yield from self._out_of_the_group(id, out)):
                del self._removing[id]
        queue, self._queue = self._queue, []
        for id, cause in queue:
            out.cause = cause
            yield from self._reconcile(id, cause, out)
        if (self._pending or self._removing) and not self._ticking:
            self._ticking = True  # a ticker: what happens meanwhile does not put it off
            out.set_timer("retry", RETRY)

    def _reconcile(self, id: str, cause: int, out: Outbox) -> Generator[Any, Any, None]:
        node: Node | None = self.store.get(Node, id)
        if node is None or node.role is node.spec.desired_role:
            self._pending.pop(id, None)
            return
        self._pending.setdefault(id, cause)
        if node.spec.desired_role is NodeRole.WORKER and any(m.node_id == id for m in self.members()):
            # The role is written on a later event or tick, that finds it out of the group.
            yield from self._out_of_the_group(id, out)
            return
        try:
            yield out.update(lambda tx: _set_role(tx, id))
        except LeadershipLost:
            raise
        except ApiError:
            return  # tried again with the next tick
        self._pending.pop(id, None)

    def _out_of_the_group(self, id: str, out: Outbox) -> Generator[Any, Any, bool]:
        """Is it out? (It was never in, or it could be removed.) One limit for the hand-over and the removal."""
        member = next((m for m in self.members() if m.node_id == id), None)
        if member is None:
            return True
        if not self.can_remove(id):
            return False
        deadline = out.now + REMOVAL_LIMIT
        raft = Address(self.node, "raft")
        if member.host == self.node:
            try:
                yield out.call(raft, TransferLeadership(), REMOVAL_LIMIT)
                return False  # the new leader's role manager removes this one
            except ApiError:
                if out.now >= deadline:
                    return False
        try:
            yield out.call(raft, LeaveRequest(id), deadline - out.now)
        except ApiError:
            return False
        return True


def _set_role(tx: Any, id: str) -> None:
    node: Node | None = tx.get(Node, id)
    if node is not None:
        tx.update(node.evolve(role=node.spec.desired_role))
