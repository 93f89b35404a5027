"""What was so when, and of which entry it came: everything that the printed page asks of a trace, in one walk.

`checks.history` keeps what expectations are about; this adds what a reader of an incident wants to know besides: what
was wanted of each service, what `docker service ls` would have said, which host was off, cut off or marked DOWN, and
each task's life. Nothing here looks into the cluster: the trace alone is read.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

from ..api.states import Availability, NodeRole, NodeState, TaskState, UpdateState
from ..checks import walk
from ..checks.history import History
from ..trace.events import (
    BecameCandidate,
    BecameFollower,
    BecameLeader,
    ContainerExited,
    ContainerStarted,
    FaultEnded,
    FaultStarted,
    HostCrashed,
    HostStarted,
    ManagerStopped,
    NodeChanged,
    NodeLeft,
    RaftRestarted,
    RestartScheduled,
    ServiceChanged,
    SteadyReached,
    SteppedDown,
    StepSent,
    SwarmReady,
    TaskChanged,
)
from ..trace.recorder import Recorded, Trace
from ..trace.steps import Steps

Micros = int
Handler = Callable[[Recorded], None]

#: Faults of links: what they hit is on, and hears less.
LINK_FAULTS = frozenset({"partition", "delay", "loss"})

#: A chain of causes ends at what an entry of the timeline did.
_ENTRIES = (FaultStarted, FaultEnded, StepSent)


class Level(NamedTuple):
    """A change of how many containers of a service run, or shall run."""

    at: Micros
    seq: int
    running: int
    wanted: int


class TaskLife:
    """All that the store has held of one task, oldest first."""

    __slots__ = ("events",)

    def __init__(self) -> None:
        self.events: list[Recorded] = []

    @property
    def last(self) -> TaskChanged:
        event: TaskChanged = self.events[-1].event
        return event

    @property
    def created_at(self) -> Micros:
        return self.events[0].at

    @property
    def since(self) -> Micros:
        """When its status was last written: `docker service ps` counts from there."""
        at, status = self.events[0].at, None
        for recorded in self.events:
            e: TaskChanged = recorded.event
            if (e.now, e.message, e.error) != status:
                at, status = recorded.at, (e.now, e.message, e.error)
        return at

    def at(self, time: Micros) -> TaskChanged | None:
        """What the store held at that time, if it held it."""
        i = bisect_right(self.events, time, key=lambda recorded: recorded.at)
        found: TaskChanged | None = self.events[i - 1].event if i else None
        return None if found is None or found.action == "REMOVE" else found


class ServiceLedger:
    """One service: how many containers run, how many shall, and what `docker service ls` says of it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.event: ServiceChanged | None = None  # the latest one
        self.events: list[Recorded] = []
        self.levels: list[Level] = []
        self.said: Steps[int] = Steps(0)  # tasks whose state in the store is RUNNING, whatever is wanted of them
        self.running = 0
        self.slots: dict[int | str, int] = {}  # slot (global: node) -> how many of its tasks are wanted

    @property
    def mode(self) -> str:
        return self.event.mode if self.event is not None else ""

    @property
    def removed(self) -> bool:
        return self.event is not None and self.event.action == "REMOVE"

    @property
    def is_job(self) -> bool:
        return self.mode.endswith("job")

    @property
    def wanted(self) -> int:
        """Containers that shall run: the replicas; of a global service, the nodes that shall have a task."""
        if self.event is None or self.removed:
            return 0
        return self.event.replicas if self.mode == "replicated" else len(self.slots)

    def note(self, recorded: Recorded) -> None:
        """Keep the level, if this event changed it."""
        level = Level(recorded.at, recorded.seq, self.running, self.wanted)
        if not self.levels or self.levels[-1][2:] != level[2:]:
            self.levels.append(level)

    def updating(self, seq: int) -> bool:
        """Was an update of it, or a rollback, under way then?"""
        i = bisect_right(self.events, seq, key=lambda recorded: recorded.seq)
        state = self.events[i - 1].event.update if i else None
        return state in (UpdateState.UPDATING, UpdateState.ROLLBACK_STARTED)

    def at(self, time: Micros) -> Level:
        """The level after the whole microsecond."""
        i = bisect_right(self.levels, time, key=lambda level: level.at)
        return self.levels[i - 1] if i else Level(0, 0, 0, 0)


class NodeLedger:
    """One node: is it on, what role has it, does the store mark it, is a fault on its links?

    `since`: when it was first heard of; the nodes of the scenario are there from the beginning, others join.
    """

    def __init__(self, name: str, manager: bool, since: Micros = 0) -> None:
        self.name = name
        self.manager = manager
        self.since = since
        self.up: Steps[bool] = Steps(True)
        self.role: Steps[str] = Steps("F" if manager else "")
        self.term: Steps[int] = Steps(0)  # of Raft; 0: not told yet
        self.mark: Steps[str] = Steps("")  # D: marked DOWN, ?: UNKNOWN
        self.links: Steps[int] = Steps(0)  # link faults in force on it
        self.event: NodeChanged | None = None  # the latest one
        self.left = False  # was it off, DOWN or drained at some time?


class Ledger:
    """One walk over the trace; then ask."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.history = History()
        self.services: dict[str, ServiceLedger] = {}
        self.nodes: dict[str, NodeLedger] = {}
        self.former: dict[str, NodeChanged] = {}  # by id: what hosts were before they joined anew
        self.tasks: dict[str, TaskLife] = {}
        self.containers: dict[str, str] = {}  # task -> node, of those that run after the last event
        self.restarts: dict[str, RestartScheduled] = {}  # by the task that replaces another
        self.ready: SwarmReady | None = None
        self.steady_at: Micros | None = None
        self.handlers = {
            SwarmReady: self._ready,
            SteadyReached: self._steady,
            HostCrashed: self._crashed,
            HostStarted: self._host_started,
            BecameLeader: self._role("L"),
            BecameCandidate: self._role("C"),
            BecameFollower: self._role("F"),
            SteppedDown: self._role("F"),
            RaftRestarted: self._restarted,
            ManagerStopped: self._role(""),
            NodeLeft: self._role(""),
            NodeChanged: self._node,
            FaultStarted: self._fault(1),
            FaultEnded: self._fault(-1),
            ServiceChanged: self._service,
            RestartScheduled: self._restart,
            TaskChanged: self._task,
            ContainerStarted: self._container(1),
            ContainerExited: self._container(-1),
        }
        self.end: Micros = walk(trace, [self.history, self])

    @cached_property
    def roots(self) -> list[int]:
        """For each seq that of what it came of in the end: an entry's beginning or end, or the first of its chain."""
        roots = [0]
        for recorded in self.trace.events:
            first = type(recorded.event) in _ENTRIES or not recorded.cause
            roots.append(recorded.seq if first else roots[recorded.cause])
        return roots

    @cached_property
    def only_raft(self) -> bool:
        return self.trace.is_raft_alone()

    def root(self, seq: int) -> Recorded:
        return self.trace[self.roots[seq]]

    def managers(self) -> list[NodeLedger]:
        return [node for node in self.nodes.values() if node.manager]

    def service(self, name: str) -> ServiceLedger:
        known = self.services.get(name)
        if known is None:
            known = self.services[name] = ServiceLedger(name)
        return known

    def running_on(self, node: str, at: Micros) -> int:
        steps = self.history.running_on.get(node)
        return steps.at(at) if steps is not None else 0

    # -- hosts and roles --
    def _ready(self, recorded: Recorded) -> None:
        e: SwarmReady = recorded.event
        self.ready = e
        self.nodes = {name: NodeLedger(name, True) for name in e.managers}
        self.nodes |= {name: NodeLedger(name, False) for name in e.workers}
        if e.leader in self.nodes:
            self.nodes[e.leader].role = Steps("L")

    def _steady(self, recorded: Recorded) -> None:
        if self.steady_at is None:
            self.steady_at = recorded.at

    def _crashed(self, recorded: Recorded) -> None:
        node = self._known(recorded)
        node.up.put(recorded.at, False)
        node.left = True

    def _host_started(self, recorded: Recorded) -> None:
        node = self._known(recorded)
        node.up.put(recorded.at, True)
        node.mark.put(recorded.at, "")
        if node.role.now:
            node.role.put(recorded.at, "F")

    def _known(self, recorded: Recorded) -> NodeLedger:
        name = recorded.event.node
        node = self.nodes.get(name)
        if node is None:
            node = self.nodes[name] = NodeLedger(name, False, recorded.at)
        return node

    def _role(self, letter: str) -> Handler:
        def heard(recorded: Recorded) -> None:
            node = self._known(recorded)
            node.role.put(recorded.at, letter)
            node.term.put(recorded.at, max(node.term.now, getattr(recorded.event, "term", 0)))

        return heard

    def _restarted(self, recorded: Recorded) -> None:
        if recorded.at:
            self._known(recorded).role.put(recorded.at, "F")
        # At 0 s the members come, in their roles, from the disks that they were handed over with; spare servers do not.
        node = self.nodes.get(recorded.event.node)
        if node is not None:
            node.term.put(recorded.at, recorded.event.term)

    def _node(self, recorded: Recorded) -> None:
        e: NodeChanged = recorded.event
        if e.id != e.node:
            self._renamed(e)
        node = self._known(recorded)
        if node.event is not None and node.event.id != e.id and e.state is not NodeState.READY:
            self._former(e)  # what that host was before it left, or lost its disk, and joined anew
            return
        if node.event is not None and node.event.id != e.id:
            self._former(node.event)
        self.former.pop(e.id, None)
        node.event = None if e.action == "REMOVE" else e
        node.manager = e.role is NodeRole.MANAGER
        if not node.manager:
            node.role.put(recorded.at, "")
        node.left = node.left or e.state is NodeState.DOWN or e.availability is Availability.DRAIN
        node.mark.put(recorded.at, {NodeState.DOWN: "D", NodeState.UNKNOWN: "?"}.get(e.state, ""))

    def _former(self, e: NodeChanged) -> None:
        if e.action == "REMOVE":
            self.former.pop(e.id, None)
        else:
            self.former[e.id] = e

    def _renamed(self, e: NodeChanged) -> None:
        """A node that has its host's name by now, and was known by its id until it said so."""
        early = self.nodes.get(e.id)
        if early is not None and early.event is not None and early.event.id == e.id:
            del self.nodes[e.id]

    def _fault(self, change: int) -> Handler:
        def heard(recorded: Recorded) -> None:
            if recorded.event.kind in LINK_FAULTS:
                for name in recorded.event.nodes:
                    links = self.nodes[name].links
                    links.put(recorded.at, links.now + change)

        return heard

    # -- services and tasks --
    def _service(self, recorded: Recorded) -> None:
        e: ServiceChanged = recorded.event
        service = self.service(e.service)
        service.event = e
        service.events.append(recorded)
        service.note(recorded)

    def _restart(self, recorded: Recorded) -> None:
        self.restarts[recorded.event.replacement] = recorded.event

    def _task(self, recorded: Recorded) -> None:
        e: TaskChanged = recorded.event
        life = self.tasks.get(e.task)
        if life is None:
            life = self.tasks[e.task] = TaskLife()
        before = life.last if life.events else None
        life.events.append(recorded)
        service = self.service(e.service)
        change = _runs(e) - _runs(before)
        if change:
            service.said.put(recorded.at, service.said.now + change)
        if service.mode.startswith("global") and _is_wanted(e) != _is_wanted(before):
            self._slot(service, e, 1 if _is_wanted(e) else -1)
            service.note(recorded)

    def _slot(self, service: ServiceLedger, e: TaskChanged, change: int) -> None:
        key = e.name
        count = service.slots.get(key, 0) + change
        if count > 0:
            service.slots[key] = count
        else:
            service.slots.pop(key, None)

    def _container(self, change: int) -> Handler:
        def heard(recorded: Recorded) -> None:
            e = recorded.event
            service = self.service(e.service)
            service.running += change
            if change > 0:
                self.containers[e.task] = e.node
            else:
                self.containers.pop(e.task, None)
            service.note(recorded)

        return heard


def _runs(e: TaskChanged | None) -> bool:
    """Does `docker service ls` count it? (controlapi ListServiceStatuses: RUNNING, whatever is desired.)"""
    return e is not None and e.action != "REMOVE" and e.now is TaskState.RUNNING


def _is_wanted(e: TaskChanged | None) -> bool:
    return e is not None and e.action != "REMOVE" and e.desired < TaskState.SHUTDOWN
