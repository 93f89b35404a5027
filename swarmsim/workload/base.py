"""What all steps share: a client sends one command to a manager over the control API, and waits up to 20 s.

A step is a pydantic model picked by its verb (SCENARIOS.md section 6); its `ask` reads straight down as the docker
client does: look the object up, then change it. A refusal is a fact of the run, not an error of the scenario.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

from ..api.messages import GetNode, GetService, UpdateNode
from ..api.objects import Service
from ..api.specs import NodeSpec, ServiceSpec
from ..errors import ApiError
from ..trace.events import StepAnswered, StepSent

if TYPE_CHECKING:
    from ..cluster import Cluster

#: How long Docker's client waits for an answer.
CLIENT_TIMEOUT = 20_000_000

Asking = Generator[Any, Any, Any]


def text(value: Any) -> str:
    """TEXT: a part of the real text, case and all; numbers need no quotes."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"`{value}` is no text; put it into quotes")
    if not str(value).strip():
        raise ValueError("an empty text is a part of every text; write what docker says, such as `no suitable node`")
    return str(value)


Text = Annotated[str, BeforeValidator(text), WithJsonSchema({"type": "string", "minLength": 1})]
Aim = Annotated[
    Any,  # the words of a selector (section 7); scenario.selectors reads them
    WithJsonSchema(
        {"anyOf": [{"type": "string"}, {"type": "array"}], "description": "a selector, SCENARIOS.md section 7"}
    ),
]
ServiceName = Annotated[Any, WithJsonSchema({"type": "string", "description": "a service's name"})]
ManagerName = Annotated[Any, WithJsonSchema({"type": "string", "description": "a manager's name"})]


@dataclass
class Book:
    """What operators have written down in one run: the services' specs, and the updates made so far."""

    services: dict[str, ServiceSpec] = field(default_factory=dict)
    stack: Any = None  # compose.Stack: merges an update's keys over what the file says
    patches: dict[str, dict[str, Any]] = field(default_factory=dict)
    deploys: dict[str, Any] = field(default_factory=dict)  # entry -> the compose.Stack that it deploys
    _since: dict[str, Any] = field(default_factory=dict)  # service -> the stack that it was deployed from last

    def stack_of(self, service: str) -> Any:
        """The words that an update of the service is merged over."""
        return self._since.get(service, self.stack)

    def deployed(self, stack: Any) -> None:
        """A deploy says all of a service: what was updated by hand before is forgotten."""
        for spec in stack.services:
            self._since[spec.name] = stack
            self.patches.pop(spec.name, None)


@dataclass
class Order:
    """One step of one run, with its target found: service (its full name) or nodes."""

    entry: str
    targets: tuple[str, ...]
    via: str | None = None
    book: Book = field(default_factory=Book)
    cause: int = 0
    error: str = ""  # what the client was told, once it was answered
    others: dict[str, tuple[str, ...]] = field(default_factory=dict)  # the nodes that its settings name


class Step(BaseModel):
    """Base of all steps. `verb` is its key in the file; `aims` names the fields that hold selectors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    verb: ClassVar[str]
    aims: ClassVar[dict[str, str]]

    via: ManagerName = None
    refused: Text | None = None

    def detail(self, order: Order) -> str:
        """Its settings, for reports."""
        return ""

    def ask(self, cluster: Cluster, order: Order) -> Asking:
        """The requests, one after the other; raises `ApiError` where one is refused."""
        raise NotImplementedError

    def asked(self, cluster: Cluster, order: Order) -> str:
        """The node whose engine the client speaks to."""
        return order.via or first_up(cluster)

    def carry_out(self, cluster: Cluster, order: Order) -> Asking:
        """Send it and wait for the answer, with both facts in the trace."""
        trace, env = cluster.trace, cluster.env
        target = ", ".join(order.targets)
        via = self.asked(cluster, order)
        sent = StepSent(order.entry, self.verb, target, self.detail(order), via)
        order.cause = trace.record(sent, int(env.now), order.cause)
        order.error = ""
        try:
            yield from self.ask(cluster, order)
        except ApiError as error:
            order.error = str(error)
        answered = StepAnswered(order.entry, self.verb, target, order.error)
        trace.record(answered, int(env.now), order.cause)


def first_up(cluster: Cluster) -> str:
    """The manager that a client asks by default: the first in order that is up; "" where none is."""
    return next((m for m in cluster.managers if cluster.hosts[m].up), "")


def call(cluster: Cluster, order: Order, request: Any) -> Asking:
    """One request and its answer."""
    return (yield from cluster.ask(order.via, request, CLIENT_TIMEOUT, order.cause))


def update_nodes(cluster: Cluster, order: Order, change: Callable[[NodeSpec], NodeSpec]) -> Asking:
    """Docker's command takes one node; several are asked for one after the other, as a loop in a shell would."""
    for name in order.targets:
        node = yield from call(cluster, order, GetNode(name))
        yield from call(cluster, order, UpdateNode(node.id, node.version, change(node.spec)))


def find_service(cluster: Cluster, order: Order) -> Generator[Any, Any, Service]:
    """The service object as the manager has it now, with the version that an update must name."""
    service: Service = yield from call(cluster, order, GetService(order.targets[0]))
    return service
