"""The resource API: a node's own container, that is no task of the swarm, joins an attachable network.

SwarmKit manager/resourceapi/allocator.go. The attachment is a task that is bound to
the caller's node from the start, so that the allocator gives it addresses, the scheduler confirms it, and the node is
told of them like of any task. A service of its own in the original, served here beside the control API; other than
there, a node that is no manager may ask.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from ..api.ids import new_id
from ..api.messages import AttachNetwork, DetachNetwork
from ..api.objects import Network, Task, TaskStatus
from ..api.specs import NO_CONTAINER, NetworkAttachmentConfig, NetworkAttachmentSpec, TaskSpec
from ..api.states import TaskState
from ..errors import ApiError
from ..machine import Outbox
from ..store.memory_store import MemoryStore

Serving = Generator[Any, Any, Any]


class ResourceAllocator:
    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.serve: dict[type, Callable[[Any, Outbox], Any]] = {
            AttachNetwork: self.attach,
            DetachNetwork: self.detach,
        }

    def attach(self, request: AttachNetwork, out: Outbox) -> Serving:
        """Answered with the attachment's id, which is its task's."""
        wanted = request.network
        network: Network | None = self.store.networks.get(wanted) or self.store.by_name(Network, wanted)
        if network is None:
            raise ApiError("NotFound", f"network {wanted} not found")
        if not network.spec.attachable:
            raise ApiError("PermissionDenied", f"network {wanted} not manually attachable")
        id, network_id = new_id(out.rng), network.id

        def change(tx: Any) -> str:
            tx.create(_attachment(id, network_id, request, tx.now))
            return id

        return (yield out.update(change))

    def detach(self, request: DetachNetwork, out: Outbox) -> Serving:
        id = request.attachment_id
        if not id:
            raise ApiError("InvalidArgument", "invalid argument")

        def change(tx: Any) -> None:
            task: Task | None = tx.get(Task, id)
            if task is None:
                raise ApiError("NotFound", f"attachment {id} not found")
            if task.node_id != request.node_id:
                raise ApiError("PermissionDenied", f"attachment {id} doesn't belong to this node")
            tx.delete(Task, id)

        return (yield out.update(change))


def _attachment(id: str, network_id: str, request: AttachNetwork, now: int) -> Task:
    spec = TaskSpec(
        NO_CONTAINER,
        networks=(NetworkAttachmentConfig(network_id),),
        runtime=NetworkAttachmentSpec(request.container_id),
    )
    status = TaskStatus(TaskState.NEW, "created", timestamp=now)
    return Task(id, "", spec, status, TaskState.RUNNING, node_id=request.node_id)
