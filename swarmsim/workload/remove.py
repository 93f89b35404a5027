"""`remove`: as `docker service rm` (SCENARIOS.md section 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..api.messages import RemoveService
from .base import Asking, Order, ServiceName, Step, call, find_service

if TYPE_CHECKING:
    from ..cluster import Cluster


class Remove(Step):
    """A service is removed, its tasks with it."""

    verb: ClassVar[str] = "remove"
    aims: ClassVar[dict[str, str]] = {"remove": "service"}

    remove: ServiceName

    def ask(self, cluster: Cluster, order: Order) -> Asking:
        service = yield from find_service(cluster, order)
        yield from call(cluster, order, RemoveService(service.id))
