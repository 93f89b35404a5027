"""What held when: step functions over a run, derived from the trace in one pass.

`Steps` is a value over time; it changes at most once in a microsecond, for expectations see the state after the whole
microsecond (SCENARIOS.md section 3). `History` holds one for everything an expectation can be about. Evaluations then
need no trace any more.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import NamedTuple

from ..api.states import NodeState, TaskState, UpdateState
from ..trace.events import (
    BecameLeader,
    ContainerExited,
    ContainerStarted,
    FaultEnded,
    FaultStarted,
    NodeChanged,
    ServiceChanged,
    StepAnswered,
    StepSent,
    SwarmReady,
    TaskChanged,
)
from ..trace.recorder import Recorded
from ..trace.steps import Steps
from .leadership import Leadership
from .verdict import Handlers, Micros

#: Steps whose targets are nodes.
OF_NODES = frozenset({"drain", "pause", "activate", "label", "promote", "demote", "join", "leave", "remove_node"})


class Disturbance(NamedTuple):
    """An entry that began or ended, with words for `until ...`."""

    at: Micros
    entry: str
    said: str


class Pending(NamedTuple):
    """A task that was wanted and had no node, from `start` until `end` (None: to the end), with its error."""

    start: Micros
    end: Micros | None
    error: str


class History:
    """Everything that expectations are about, over time."""

    def __init__(self) -> None:
        self.running: dict[str, Steps[int]] = {}  # service -> containers that run
        self.running_on: dict[str, Steps[int]] = {}  # node -> containers that run
        self.started: dict[str, list[Micros]] = {}  # service -> when containers began to run
        self.node_states: dict[str, Steps[NodeState | None]] = {}  # None: not in the swarm
        self.tasks_in: dict[tuple[str, TaskState], Steps[int]] = {}  # tasks in the store, by observed state
        self.completed: dict[str, Steps[int]] = {}  # job -> tasks of its present iteration that are COMPLETE
        self.updates: dict[str, Steps[UpdateState | None]] = {}  # service -> state of its rolling update
        self.leader: Steps[str] = Steps("")
        self.elected: list[Micros] = []
        self.disturbances: list[Disturbance] = []
        self.began: dict[str, Micros] = {}  # entry -> when
        self.ended: dict[str, Micros] = {}
        self.hit: dict[str, tuple[str, ...]] = {}  # entry -> the nodes it hit
        self._ids: dict[str, str] = {}  # host -> the id of the node that it is, or was last
        self._pending: dict[str, list[Pending]] = {}
        self._waiting: dict[str, tuple[str, Micros, str]] = {}  # task -> service, since, error
        self._task_states: dict[str, TaskState] = {}
        self._iterations: dict[str, int | None] = {}
        self._leadership = Leadership()
        self.handlers: Handlers = {
            NodeChanged: self._node,
            ServiceChanged: self._service,
            TaskChanged: self._task,
            ContainerStarted: self._container_started,
            ContainerExited: self._container_exited,
            FaultStarted: self._fault_started,
            FaultEnded: self._fault_ended,
            StepSent: self._step_sent,
            StepAnswered: self._step_answered,
        }
        self.handlers |= {kind: self._lead(handler) for kind, handler in self._leadership.handlers.items()}

    # -- who leads --
    def _lead(self, handler: Callable[[Recorded], None]) -> Callable[[Recorded], None]:
        def heard(recorded: Recorded) -> None:
            handler(recorded)
            self.leader.put(recorded.at, self._leadership.leader)
            event = recorded.event
            if type(event) is BecameLeader:
                self.elected.append(recorded.at)
            elif type(event) is SwarmReady:
                for node in (*event.managers, *event.workers):
                    self.node_states[node] = Steps(NodeState.READY)
                    self.running_on[node] = Steps(0)

        return heard

    # -- nodes, containers, tasks --
    def _node(self, recorded: Recorded) -> None:
        e: NodeChanged = recorded.event
        if self._ids.get(e.node, e.id) != e.id and e.state is not NodeState.READY:
            return  # what that host was before it left, or lost its disk, and joined anew
        self._ids[e.node] = e.id
        steps = self.node_states.get(e.node)
        if steps is None:
            steps = self.node_states[e.node] = Steps(None)
        steps.put(recorded.at, None if e.action == "REMOVE" else e.state)

    def _container_started(self, recorded: Recorded) -> None:
        e: ContainerStarted = recorded.event
        self.started.setdefault(e.service, []).append(recorded.at)
        self._count(recorded.at, e.service, e.node, 1)

    def _container_exited(self, recorded: Recorded) -> None:
        self._count(recorded.at, recorded.event.service, recorded.event.node, -1)

    def _count(self, at: Micros, service: str, node: str, change: int) -> None:
        for steps, key in ((self.running, service), (self.running_on, node)):
            known = steps.get(key)
            if known is None:
                known = steps[key] = Steps(0)
            known.put(at, known.now + change)

    def _task(self, recorded: Recorded) -> None:
        e: TaskChanged = recorded.event
        self._state(recorded.at, e)
        pending = e.now < TaskState.ASSIGNED and e.desired < TaskState.SHUTDOWN and e.action != "REMOVE"
        known = self._waiting.get(e.task)
        if known is not None and (not pending or known[2] != e.error):
            service, since, error = self._waiting.pop(e.task)
            self._pending.setdefault(service, []).append(Pending(since, recorded.at, error))
            known = None
        if pending and known is None:
            self._waiting[e.task] = (e.service, recorded.at, e.error)

    def _state(self, at: Micros, e: TaskChanged) -> None:
        """A task is in its new state and no longer in its old one."""
        was, now = self._task_states.get(e.task), None if e.action == "REMOVE" else e.now
        if was is now:
            return
        for state, change in ((was, -1), (now, 1)):
            if state is not None:
                steps = self.tasks_in.setdefault((e.service, state), Steps(0))
                steps.put(at, steps.now + change)
        if now is None:
            del self._task_states[e.task]
        else:
            self._task_states[e.task] = now
        if now is TaskState.COMPLETE and e.iteration is not None and e.iteration == self._iterations.get(e.service):
            done = self.completed.setdefault(e.service, Steps(0))
            done.put(at, done.now + 1)

    def _service(self, recorded: Recorded) -> None:
        e: ServiceChanged = recorded.event
        self.updates.setdefault(e.service, Steps(None)).put(recorded.at, e.update)
        if self._iterations.get(e.service) != e.iteration:
            self._iterations[e.service] = e.iteration
            self.completed.setdefault(e.service, Steps(0)).put(recorded.at, 0)

    def pending(self, service: str, error: str = "") -> Steps[int]:
        """Tasks that are wanted and have no node; with `error`, those whose status says so."""
        changes: dict[Micros, int] = {}
        found = list(self._pending.get(service, ()))
        found += [Pending(since, None, said) for name, since, said in self._waiting.values() if name == service]
        for start, end, said in found:
            if error in said:
                changes[start] = changes.get(start, 0) + 1
                if end is not None:
                    changes[end] = changes.get(end, 0) - 1
        steps = Steps(0)
        for at in sorted(changes):
            steps.put(at, steps.now + changes[at])
        return steps

    # -- the timeline --
    def _begin(self, recorded: Recorded, nodes: tuple[str, ...]) -> None:
        entry = recorded.event.entry
        if entry:  # what is created at 0s is no entry
            self.began.setdefault(entry, recorded.at)
            self.hit[entry] = nodes
            self.disturbances.append(Disturbance(recorded.at, entry, f"`{entry}` began"))

    def _end(self, recorded: Recorded, said: str) -> None:
        entry = recorded.event.entry
        if entry:
            self.ended[entry] = recorded.at
            self.disturbances.append(Disturbance(recorded.at, entry, said))

    def _fault_started(self, recorded: Recorded) -> None:
        self._begin(recorded, recorded.event.nodes)

    def _fault_ended(self, recorded: Recorded) -> None:
        e: FaultEnded = recorded.event
        nodes = e.nodes[0] if len(e.nodes) == 1 else f"{len(e.nodes)} nodes"
        self._end(recorded, f"{nodes} came back" if e.kind == "crash" else f"`{e.entry}` ended")

    def _step_sent(self, recorded: Recorded) -> None:
        e: StepSent = recorded.event
        nodes = tuple(e.target.split(", ")) if e.verb in OF_NODES else ()
        self._begin(recorded, nodes)

    def _step_answered(self, recorded: Recorded) -> None:
        self._end(recorded, f"`{recorded.event.entry}` was answered")

    def next_disturbance(self, after: Micros) -> Disturbance | None:
        """The first entry that begins or ends after that microsecond."""
        i = bisect_right(self.disturbances, after, key=lambda d: d.at)
        return self.disturbances[i] if i < len(self.disturbances) else None

    def last_disturbance(self, until: Micros) -> Disturbance | None:
        """The last entry that began or ended up to that microsecond."""
        i = bisect_right(self.disturbances, until, key=lambda d: d.at)
        return self.disturbances[i - 1] if i else None


def count_between(times: list[Micros], start: Micros, end: Micros) -> int:
    """How many of the ascending times lie in [start, end)."""
    return bisect_left(times, end) - bisect_left(times, start)
