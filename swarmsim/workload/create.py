"""`create`: a service that the scenario writes down, as `docker service create` does (SCENARIOS.md sections 5, 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ..api.messages import CreateConfig, CreateNetwork, CreateSecret, CreateService
from ..api.specs import ConfigSpec, Global, GlobalJob, NetworkSpec, Replicated, ReplicatedJob, SecretSpec, ServiceSpec
from .base import Asking, Order, ServiceName, Step, call

if TYPE_CHECKING:
    from ..cluster import Cluster


class Create(Step):
    """A service of this file is created at this moment instead of at 0s."""

    verb: ClassVar[str] = "create"
    aims: ClassVar[dict[str, str]] = {"create": "service"}

    create: ServiceName

    def detail(self, order: Order) -> str:
        return describe(order.book.services[order.targets[0]])

    def ask(self, cluster: Cluster, order: Order) -> Asking:
        yield from call(cluster, order, CreateService(order.book.services[order.targets[0]]))


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
