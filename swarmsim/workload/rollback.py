"""`rollback`: as `docker service rollback` (SCENARIOS.md section 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..api.messages import UpdateService
from .base import Asking, Order, ServiceName, Step, call, find_service

if TYPE_CHECKING:
    from ..cluster import Cluster


class Rollback(Step):
    """A service gets its previous spec back."""

    verb: ClassVar[str] = "rollback"
    aims: ClassVar[dict[str, str]] = {"rollback": "service"}

    rollback: ServiceName

    def ask(self, cluster: Cluster, order: Order) -> Asking:
        service = yield from find_service(cluster, order)
        yield from call(cluster, order, UpdateService(service.id, service.version, None, rollback=True))
