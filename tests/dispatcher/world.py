"""A leader's dispatcher over a fake manager, and agents that only speak when a test does."""

from __future__ import annotations

from typing import Any

from swarmsim.api.messages import (
    AssignmentsRequest,
    Forwarded,
    HeartbeatRequest,
    SessionRequest,
    UpdateTaskStatusRequest,
)
from swarmsim.api.objects import Cluster, Config, Node, NodeDescription, NodeStatus, Secret, Task, TaskStatus
from swarmsim.api.specs import (
    ClusterSpec,
    ConfigSpec,
    ContainerSpec,
    FileReference,
    NodeSpec,
    SecretSpec,
    TaskSpec,
)
from swarmsim.api.states import NodeState, TaskState
from swarmsim.errors import ApiError
from swarmsim.machine import Address, Micros
from swarmsim.manager.dispatcher import Dispatcher
from swarmsim.trace.events import HeartbeatExpired
from tests.fake_manager import FakeManager

MS: Micros = 1_000
SECOND: Micros = 1_000_000
HOUR: Micros = 3_600 * SECOND

READY, DOWN, UNKNOWN = NodeState.READY, NodeState.DOWN, NodeState.UNKNOWN


def node(id: str, state: NodeState = READY) -> Node:
    return Node(id, NodeSpec(), status=NodeStatus(state), description=NodeDescription(id))


def task(
    id: str,
    state: TaskState = TaskState.ASSIGNED,
    node_id: str = "w1",
    secrets: tuple[str, ...] = (),
    configs: tuple[str, ...] = (),
    desired: TaskState = TaskState.RUNNING,
) -> Task:
    container = ContainerSpec(
        "busybox",
        secrets=tuple(FileReference(name, name) for name in secrets),
        configs=tuple(FileReference(name, name) for name in configs),
    )
    return Task(id, "web", TaskSpec(container), TaskStatus(state), desired, 1, node_id)


def secret(name: str) -> Secret:
    return Secret(f"id-{name}", SecretSpec(name, data=b"1"))


def config(name: str) -> Config:
    return Config(f"id-{name}", ConfigSpec(name, data=b"1"))


class World:
    """`pushed[host]` holds what was sent down an agent's stream. Agents do not doze unless a test lets them."""

    def __init__(self, *objects: Any, period: Micros = 5 * SECOND, seed: int = 0) -> None:
        self.manager = FakeManager(seed=seed)
        self.manager.disturbed = True
        self.store = self.manager.store
        self.members = ("m1",)
        cluster = Cluster("c", ClusterSpec(heartbeat_period=period))
        self.manager.create(cluster, *objects)
        self.dispatcher = Dispatcher("m1", self.store, lambda: self.members)

    def start(self) -> World:
        self.manager.add_machine(self.dispatcher)
        return self

    @property
    def now(self) -> Micros:
        return self.manager.now

    def run(self, duration: Micros) -> None:
        self.manager.run_for(duration)

    def ask(self, request: Any, host: str, via: str = "") -> int:
        """Send it; the answer is in `manager.answers` once it comes."""
        if via:
            return self.manager.request("dispatcher", Forwarded(request, host), Address(via, "api"))
        return self.manager.request("dispatcher", request, Address(host, "agent"))

    def answer(self, request: Any, host: str, via: str = "") -> Any:
        """Send it, let a batch pass, and give the answer; an error is raised."""
        id = self.ask(request, host, via)
        if id not in self.manager.answers:
            self.run(100 * MS)
        answer = self.manager.answers[id]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def register(self, host: str = "w1", session: str = "", via: str = "", **about: Any) -> Any:
        description = NodeDescription(host).evolve(**about)
        return self.answer(SessionRequest(host, description, session), host, via)

    def beat(self, host: str = "w1", session: str = "", dozing: bool = False) -> Any:
        session = session or self.dispatcher.sessions[host].id
        return self.answer(HeartbeatRequest(host, session, dozing), host)

    def assignments(self, host: str = "w1") -> Any:
        return self.answer(AssignmentsRequest(host, self.dispatcher.sessions[host].id), host)

    def report(self, host: str, *updates: tuple[str, TaskState], session: str | None = None) -> Any:
        session = self.dispatcher.sessions[host].id if session is None else session
        wanted = tuple((id, TaskStatus(state, state.name.lower(), timestamp=self.now), 0) for id, state in updates)
        return self.answer(UpdateTaskStatusRequest(host, session, wanted), host)

    def pushed(self, host: str, *kinds: type) -> list[Any]:
        """Messages sent to the agent of that host, directly or through a manager."""
        found = [getattr(m, "message", m) for _, dst, m in self.manager.sent if self._goes_to(dst, m, host)]
        return [m for m in found if not kinds or type(m) in kinds]

    def _goes_to(self, dst: Address, message: Any, host: str) -> bool:
        return dst == Address(host, "agent") or (dst.machine == "api" and message.node == host)

    def state(self, host: str) -> tuple[NodeState, str]:
        status = self.store.nodes[host].status
        return status.state, status.message

    def expired(self) -> list[HeartbeatExpired]:
        return self.manager.events(HeartbeatExpired)


def refusal(world: World, request: Any, host: str = "w1") -> tuple[str, str]:
    """Code and text of the error that a request is answered with."""
    try:
        answer = world.answer(request, host)
    except ApiError as error:
        return error.code, error.text
    raise AssertionError(f"{request} was answered with {answer}")
