"""`scale`: as `docker service scale` (SCENARIOS.md section 6)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BeforeValidator, WithJsonSchema

from ..api.messages import UpdateService
from ..api.specs import Replicated, ReplicatedJob
from ..errors import ApiError
from .base import Asking, Order, ServiceName, Step, call, find_service

if TYPE_CHECKING:
    from ..cluster import Cluster


def whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"`{value}` is no number of replicas; write a whole number such as 6")
    return value


Replicas = Annotated[int, BeforeValidator(whole), WithJsonSchema({"type": "integer", "minimum": 0})]


class Scale(Step):
    """A replicated service gets another number of replicas."""

    verb: ClassVar[str] = "scale"
    aims: ClassVar[dict[str, str]] = {"scale": "service"}

    scale: ServiceName
    replicas: Replicas

    def detail(self, order: Order) -> str:
        return f"to {self.replicas}"

    def ask(self, cluster: Cluster, order: Order) -> Asking:
        service = yield from find_service(cluster, order)
        mode = service.spec.mode
        if isinstance(mode, Replicated):
            spec = replace(service.spec, mode=Replicated(self.replicas))
        elif isinstance(mode, ReplicatedJob):
            # cli/command/service/scale.go: MaxConcurrent may not exceed what is to be completed.
            spec = replace(service.spec, mode=ReplicatedJob(min(mode.max_concurrent, self.replicas), self.replicas))
        else:
            raise ApiError("InvalidArgument", "scale can only be used with replicated or replicated-job mode")
        yield from call(cluster, order, UpdateService(service.id, service.version, spec))
