"""One agent on w1, a dispatcher and a container engine that do what a test says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from swarmsim.agent.agent import Agent
from swarmsim.api.engine import Prepare, Remove, Start, Stop, Wait
from swarmsim.api.heartbeat import Pulse
from swarmsim.api.messages import (
    AssignmentsMessage,
    AssignmentsRequest,
    HeartbeatRequest,
    SessionMessage,
    SessionRequest,
    UpdateTaskStatusRequest,
)
from swarmsim.api.objects import NetworkAttachment, Node, NodeDescription, Task, TaskStatus
from swarmsim.api.specs import ContainerSpec, NodeSpec, TaskSpec
from swarmsim.api.states import TaskState
from swarmsim.errors import ApiError
from swarmsim.machine import Address, Execute, Micros, Request
from tests.fake_manager import FakeManager, Promise

MS: Micros = 1_000
SECOND: Micros = 1_000_000
S = TaskState
SILENCE = object()  # nobody answers until the caller gives up
REFUSED = ApiError("Unavailable", "connection error: refused")


def task(
    id: str = "t1",
    state: TaskState = S.ASSIGNED,
    desired: TaskState = S.RUNNING,
    networks: tuple[NetworkAttachment, ...] = (),
    **container: Any,
) -> Task:
    spec = TaskSpec(ContainerSpec("busybox", **container))
    return Task(id, "web", spec, TaskStatus(state), desired, 1, "w1", service_name="web", networks=networks)


class Engine:
    """Does everything at once but Wait, which is answered by `exit`. `broken[Prepare]`: what it raises instead."""

    def __init__(self) -> None:
        self.did: list[tuple[str, str]] = []
        self.broken: dict[type, Exception | Promise] = {}
        self.waiting: dict[str, list[Promise]] = {}
        self.stop_code: int | None = 143

    def __call__(self, effect: Execute) -> Any:
        command = effect.command
        id = command.task_id if isinstance(command, Remove) else command.task.id
        self.did.append((type(command).__name__.lower(), id))
        if type(command) in self.broken:
            return self.broken[type(command)]
        if isinstance(command, Wait):
            promise = Promise()
            self.waiting.setdefault(id, []).append(promise)
            return promise
        if isinstance(command, Stop):
            if id not in self.waiting:
                return None
            self.exit(id, self.stop_code or 0)
            return self.stop_code
        return None

    def exit(self, id: str, code: int) -> None:
        """The container ends by itself."""
        for promise in self.waiting.pop(id, []):
            promise.keep(code)

    def count(self, *kinds: type) -> list[int]:
        return [sum(what == kind.__name__.lower() for what, _ in self.did) for kind in kinds]


class World:
    """`asked` are the requests, with time and manager. A session is given unless `on_session` says otherwise."""

    def __init__(self, *assigned: Task, saved: Any = None, managers: tuple[str, ...] = ("m1",), seed: int = 0) -> None:
        self.manager = FakeManager(seed=seed)
        self.manager.node = "w1"
        self.manager.disturbed = True
        self.engine = Engine()
        self.manager.on_execute = self.engine
        self.manager.on_request = self._answer
        self.asked: list[tuple[Micros, str, Any]] = []
        self.assigned = assigned
        self.node = Node("w1", NodeSpec(), attachments=(NetworkAttachment("ingress", ("10.0.0.9/24",)),))
        self.managers = managers
        self.session = "s1"
        self.local = False
        self.on_session: Callable[[str, SessionRequest], Any] = self.give_session
        self.on_beat: Callable[[HeartbeatRequest], Any] = lambda request: Pulse(self.now, 5 * SECOND)
        self.on_report: Callable[[UpdateTaskStatusRequest], Any] = lambda request: None
        self.agent = Agent("w1", "w1", NodeDescription("w1"), managers, lambda: self.local)
        self.saved = saved

    def start(self) -> World:
        self.manager.add_machine(self.agent, saved=self.saved)
        return self

    # -- the dispatcher --
    def give_session(self, manager: str, request: SessionRequest) -> Any:
        return SessionMessage(self.session, self.node, self.managers, (), "")

    def _answer(self, effect: Request) -> Any:
        request = effect.request
        self.asked.append((self.now, effect.dst.node, request))
        if isinstance(request, SessionRequest):
            answer = self.on_session(effect.dst.node, request)
        elif isinstance(request, HeartbeatRequest):
            answer = self.on_beat(request)
        elif isinstance(request, AssignmentsRequest):
            answer = AssignmentsMessage(True, "", "1", tuple((t, 0) for t in self.assigned))
        else:
            answer = self.on_report(request)
        return self._silence(effect.timeout) if answer is SILENCE else answer

    def _silence(self, timeout: Micros) -> Promise:
        promise = Promise()
        late = ApiError("DeadlineExceeded", "context deadline exceeded")
        self.manager.at(self.now + timeout, lambda: promise.keep(late))
        return promise

    def push(self, message: Any, src: Address = Address("m1", "dispatcher")) -> None:  # noqa: B008
        self.manager.send("agent", message, src)
        self.run(0)

    def update(self, *tasks: Task, removed: tuple[str, ...] = ()) -> None:
        """An incremental message, in order."""
        applies = self.agent._applied
        message = AssignmentsMessage(False, applies, str(int(applies) + 1), tuple((t, 0) for t in tasks))
        self.push(message._replace(removed_tasks=removed))

    # -- what came of it --
    @property
    def now(self) -> Micros:
        return self.manager.now

    def run(self, duration: Micros) -> None:
        self.manager.run_for(duration)

    def requests(self, kind: type) -> list[tuple[Micros, str, Any]]:
        return [a for a in self.asked if isinstance(a[2], kind)]

    def reported(self, id: str = "t1") -> list[tuple[TaskState, str, str]]:
        """(state, message, err) of each report of the task."""
        updates = [u for _, _, r in self.requests(UpdateTaskStatusRequest) for u in r.updates]
        return [(s.state, s.message, s.err) for task_id, s, _ in updates if task_id == id]

    def status(self, id: str = "t1") -> TaskStatus:
        return self.agent.worker.tasks[id].status


__all__ = [
    "MS",
    "REFUSED",
    "SECOND",
    "SILENCE",
    "Engine",
    "Prepare",
    "Promise",
    "Remove",
    "S",
    "Start",
    "Stop",
    "Wait",
    "World",
    "task",
]
