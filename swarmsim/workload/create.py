"""`create`: a service that the scenario writes down, as `docker service create` does (SCENARIOS.md sections 5, 6)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BeforeValidator, WithJsonSchema

from ..api.messages import CreateConfig, CreateNetwork, CreateSecret, CreateService
from ..api.specs import ConfigSpec, Global, GlobalJob, NetworkSpec, Replicated, ReplicatedJob, SecretSpec, ServiceSpec
from ..errors import ApiError
from .base import Asking, Order, ServiceName, Step, call
from .scale import whole

if TYPE_CHECKING:
    from ..cluster import Cluster


Concurrent = Annotated[int, BeforeValidator(whole), WithJsonSchema({"type": "integer", "minimum": 0})]


class Create(Step):
    """A service of this file is created at this moment instead of at 0s."""

    verb: ClassVar[str] = "create"
    aims: ClassVar[dict[str, str]] = {"create": "service"}

    create: ServiceName
    max_concurrent: Concurrent | None = None

    def detail(self, order: Order) -> str:
        return describe(self._spec(order))

    def _spec(self, order: Order) -> ServiceSpec:
        """What the file says; Compose has no word for `docker service create --max-concurrent`."""
        spec = order.book.services[order.targets[0]]
        if self.max_concurrent is None or not isinstance(spec.mode, ReplicatedJob):
            return spec
        return replace(spec, mode=ReplicatedJob(self.max_concurrent, spec.mode.total_completions))

    def ask(self, cluster: Cluster, order: Order) -> Asking:
        if self.max_concurrent is not None and not isinstance(
            order.book.services[order.targets[0]].mode, ReplicatedJob
        ):
            raise ApiError("InvalidArgument", "max-concurrent can only be used with replicated-job mode")
        yield from call(cluster, order, CreateService(self._spec(order)))


class CreateObject(Step):
    """What a stack needs beside its services: a network, secret or config, created at 0s. No verb of the language."""

    verb: ClassVar[str] = "create"
    aims: ClassVar[dict[str, str]] = {}

    create: Any

    def detail(self, order: Order) -> str:
        return _REQUESTS[type(self.create)][0]

    def ask(self, cluster: Cluster, order: Order) -> Asking:
        yield from call(cluster, order, _REQUESTS[type(self.create)][1](self.create))


_REQUESTS: dict[type, tuple[str, Any]] = {
    NetworkSpec: ("network", CreateNetwork),
    SecretSpec: ("secret", CreateSecret),
    ConfigSpec: ("config", CreateConfig),
}


def describe(spec: ServiceSpec) -> str:
    """`12 × nginx:1.27`, as a person would say it."""
    return f"{_mode(spec)} × {spec.task.container.image}"


def _mode(spec: ServiceSpec) -> str:
    match spec.mode:
        case Replicated(replicas):
            return str(replicas)
        case Global():
            return "global"
        case ReplicatedJob(_, completions):
            return f"job of {completions}"
        case GlobalJob():
            return "global job"
