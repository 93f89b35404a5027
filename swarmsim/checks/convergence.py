"""*convergence*: within a bound after the last disturbance, and from then to the end, all is as it shall be.

SCENARIOS.md section 9: there is a leader, and each service has in every slot (on every eligible node; for jobs,
completed) exactly one task, up to date, on a READY node, its container really running, and no other container of it
on READY nodes.

`ConvergenceWatch` is told each event and answers at any time whether that holds and, if not, why not. It keeps a note
for each slot and looks again only at those that an event touched, so an event costs the same however many tasks there
are. The runner asks it as the run goes (`steady`, the end); the check `Convergence` asks it again, offline.
"""

from __future__ import annotations

from ..api.constraints import ConstraintError, Subject, matches, parse_constraints
from ..api.states import Availability, NodeState, TaskState
from ..trace.events import (
    ContainerExited,
    ContainerStarted,
    NodeChanged,
    RestartRefused,
    ServiceChanged,
    TaskChanged,
    TaskNotPlaced,
    TaskPlaced,
)
from ..trace.recorder import Recorded
from .bound import Bound
from .leadership import Leadership
from .verdict import FAIL, PASS, UNKNOWN, Expectation, Handlers, Micros, State, Verdict, listen, seconds

#: What a slot is: as it shall be; left empty by its restart policy; nothing there and nothing wanted; or not right.
OK, EXCUSED, NOTHING, WRONG = 0, 1, 2, 3
#: How many reasons are told one by one.
MOST = 8

SlotKey = int | str  # the slot's number; a global service's node


class Slot:
    """The tasks that are wanted in one slot (a global service's: on one node), and its containers that run."""

    __slots__ = ("containers", "done", "extra", "key", "left", "refused", "service", "state", "tasks", "why")

    def __init__(self, service: Watched, key: SlotKey) -> None:
        self.service = service
        self.key = key
        self.tasks: dict[str, TaskChanged] = {}
        self.containers: dict[str, str] = {}  # task id -> node
        self.refused = ""  # why the restart policy leaves it empty
        self.left = False  # a task has been here and ended
        self.done: int | None = None  # the job iteration that is completed here
        self.state = NOTHING
        self.extra = 0
        self.why = ""


class Watched:
    """One service: what is wanted, its slots, and how many of them are what."""

    __slots__ = ("counts", "event", "extra", "fine", "name", "slots")

    def __init__(self, name: str) -> None:
        self.name = name
        self.event: ServiceChanged | None = None  # None: removed, or not yet seen
        self.slots: dict[SlotKey, Slot] = {}
        self.counts = [0, 0, 0, 0]
        self.extra = 0
        self.fine = True

    @property
    def mode(self) -> str:
        return self.event.mode if self.event is not None else ""


class ConvergenceWatch:
    """Feed it the events of a run; `converged` and `reasons()` say how things are after the last one."""

    def __init__(self) -> None:
        self.services: dict[str, Watched] = {}
        self.nodes: dict[str, NodeChanged] = {}  # by id: a host that left and joined again has two
        self._on_host: dict[str, str] = {}  # the node that a host is, or was last
        self.leadership = Leadership()
        self.unplaced: dict[str, str] = {}  # task id -> the scheduler's words
        self._slots: dict[str, Slot] = {}  # task id -> its slot
        self._by_node: dict[str, dict[Slot, None]] = {}  # slots that have something on a node
        self._dirty: dict[Slot, None] = {}
        self._check: dict[Watched, None] = {}
        self._led = False
        self._wrong = 0  # services that are not as they shall be
        self.handlers: Handlers = {
            NodeChanged: self._node,
            ServiceChanged: self._service,
            TaskChanged: self._task,
            ContainerStarted: self._started,
            ContainerExited: self._exited,
            RestartRefused: self._refused,
            TaskNotPlaced: self._not_placed,
            TaskPlaced: self._placed,
        }
        self._hears = listen([self, self.leadership])

    def feed(self, recorded: Recorded) -> None:
        """Hear one event of the trace, in order."""
        for handler in self._hears.get(type(recorded.event), ()):
            handler(recorded)

    @property
    def touched(self) -> bool:
        """May the answer be another than when it was last asked for?"""
        return bool(self._dirty or self._check) or self._led is not (self.leadership.leader != "")

    @property
    def converged(self) -> bool:
        """Is all as it shall be now?"""
        if self._dirty or self._check:
            self._settle()
        self._led = self.leadership.leader != ""
        return not self._wrong and self._led

    def reasons(self) -> list[str]:
        """Why not: in a user's words, at most a few for each service; empty where all is as it shall be."""
        self._settle()
        out = [] if self.leadership.leader else ["no manager leads"]
        for service in self.services.values():
            if not service.fine:
                out += _reasons(service)
        return out

    def notes(self) -> list[str]:
        """What passes and deserves a word: slots that their restart policy leaves empty, services that owe nothing."""
        self._settle()
        out = []
        for service in self.services.values():
            if service.event is not None and service.event.ends_alone and not service.mode.endswith("job"):
                out.append(f"{service.name} owes nothing: its containers exit by themselves")
            elif service.counts[EXCUSED]:
                left = [s for s in service.slots.values() if s.state == EXCUSED]
                names = ", ".join(_slot_name(s) for s in left[:MOST]) + (", ..." if len(left) > MOST else "")
                out.append(f"{names} left empty: {left[0].why}")
        return out

    # -- what happens --
    def _node(self, recorded: Recorded) -> None:
        e: NodeChanged = recorded.event
        was = self.nodes.get(e.id)
        if e.action == "REMOVE":
            self.nodes.pop(e.id, None)
        else:
            self.nodes[e.id] = e
            if e.state is NodeState.READY:
                self._on_host[e.node] = e.id
            if was is not None and _same(was, e):
                return
        for name in dict.fromkeys((e.id, e.node)):
            self._dirty.update(self._by_node.get(name, {}))
        for service in self.services.values():
            if service.mode.startswith("global"):
                self._dirty[self._slot(service, e.id)] = None

    def _service(self, recorded: Recorded) -> None:
        e: ServiceChanged = recorded.event
        service = self.services.get(e.service)
        if service is None:
            service = self.services[e.service] = Watched(e.service)
        was = service.event
        service.event = None if e.action == "REMOVE" else e
        self._check[service] = None
        if was is not None and service.event is not None and _same_wants(was, e):
            return
        if service.mode.startswith("global"):
            for node in self.nodes:
                self._slot(service, node)
        self._dirty.update(dict.fromkeys(service.slots.values()))

    def _slot(self, service: Watched, key: SlotKey) -> Slot:
        slot = service.slots.get(key)
        if slot is None:
            slot = service.slots[key] = Slot(service, key)
            service.counts[NOTHING] += 1
        return slot

    def _task(self, recorded: Recorded) -> None:
        e: TaskChanged = recorded.event
        slot = self._slots.get(e.task)
        if slot is None:
            service = self.services.get(e.service)
            if service is None:
                service = self.services[e.service] = Watched(e.service)
            bound = service.mode.startswith("global") or (not service.mode and not e.slot)
            slot = self._slots[e.task] = self._slot(service, e.node if bound else e.slot)
            slot.refused = ""
        if e.now > TaskState.RUNNING:
            slot.left = True
            self.unplaced.pop(e.task, None)
            if e.now is TaskState.COMPLETE and e.iteration is not None:
                slot.done = e.iteration
        if e.action == "REMOVE" or e.desired >= TaskState.SHUTDOWN:
            slot.tasks.pop(e.task, None)
            self.unplaced.pop(e.task, None)
        else:
            slot.tasks[e.task] = e
        if e.node:
            self._by_node.setdefault(e.node, {})[slot] = None
        self._dirty[slot] = None

    def _started(self, recorded: Recorded) -> None:
        e: ContainerStarted = recorded.event
        slot = self._slots.get(e.task)
        if slot is not None:
            slot.containers[e.task] = e.node
            self._by_node.setdefault(e.node, {})[slot] = None
            self._dirty[slot] = None

    def _exited(self, recorded: Recorded) -> None:
        slot = self._slots.get(recorded.event.task)
        if slot is not None and slot.containers.pop(recorded.event.task, None) is not None:
            self._dirty[slot] = None

    def _refused(self, recorded: Recorded) -> None:
        slot = self._slots.get(recorded.event.task)
        if slot is not None:
            slot.refused = recorded.event.reason or "its restart policy"
            self._dirty[slot] = None

    def _not_placed(self, recorded: Recorded) -> None:
        self.unplaced[recorded.event.task] = recorded.event.explanation
        slot = self._slots.get(recorded.event.task)
        if slot is not None:
            self._dirty[slot] = None

    def _placed(self, recorded: Recorded) -> None:
        self.unplaced.pop(recorded.event.task, None)

    # -- looking again at what was touched --
    def _settle(self) -> None:
        while self._dirty:
            slot, _ = self._dirty.popitem()
            service = slot.service
            state, why, extra = self._judge(slot)
            service.extra += extra - slot.extra
            service.counts[slot.state] -= 1
            service.counts[state] += 1
            slot.state, slot.why, slot.extra = state, why, extra
            self._check[service] = None
        while self._check:
            service, _ = self._check.popitem()
            fine = _fine(service)
            self._wrong += service.fine - fine
            service.fine = fine

    def _judge(self, slot: Slot) -> tuple[int, str, int]:
        """What the slot is now, why, and how many of its containers run on READY nodes without being meant."""
        service = slot.service.event
        wanted = list(slot.tasks.values())
        meant = wanted[0].task if len(wanted) == 1 and service is not None else ""
        running = slot.containers.items()
        extra = sum(task != meant and self._ready(self._on_host.get(host, host)) for task, host in running)
        if service is None:
            return NOTHING, "", extra
        if service.mode.endswith("job"):
            return (*self._judge_job(slot, service, wanted), extra)
        if not wanted:
            return (*self._judge_empty(slot, service), extra)
        if len(wanted) > 1:
            return WRONG, f"{len(wanted)} tasks are wanted", extra
        why = self._why_not(slot, service, wanted[0])
        return (WRONG if why else OK), why, extra

    def _judge_empty(self, slot: Slot, service: ServiceChanged) -> tuple[int, str]:
        if slot.refused or (service.condition == "none" and slot.left):
            return EXCUSED, slot.refused or "restart condition none"
        if service.mode == "global" and self._demands(slot.key, service):
            return WRONG, "no task"
        return NOTHING, ""

    def _judge_job(self, slot: Slot, service: ServiceChanged, wanted: list[TaskChanged]) -> tuple[int, str]:
        if slot.done is not None and slot.done == service.iteration:
            return OK, ""
        current = [t for t in wanted if t.iteration == service.iteration]
        if current:
            return WRONG, self._state_said(current[0])
        if slot.refused:
            return EXCUSED, slot.refused
        if service.mode == "global-job" and self._demands(slot.key, service):
            return WRONG, "no task of the current run"
        return NOTHING, ""

    def _why_not(self, slot: Slot, service: ServiceChanged, task: TaskChanged) -> str:
        """What is wrong with the one task of a slot; "" where nothing is."""
        if task.now is not TaskState.RUNNING:
            return self._state_said(task)
        if task.template != service.template:
            return "its task is not up to date"
        if not self._ready(task.node):
            return f"its task is on {task.node}, which is {self._node_said(task.node)}"
        if service.mode == "global" and not self._allowed(slot.key, service):
            return f"its task is still wanted on {task.node}, which is {self._node_said(task.node)}"
        known = self.nodes.get(task.node)
        if slot.containers.get(task.task) != (task.node if known is None else known.node):
            return f"its container does not run on {task.node}, though managers say RUNNING"
        return ""

    def _state_said(self, task: TaskChanged) -> str:
        words = self.unplaced.get(task.task) or task.error
        state = task.now.name
        if task.now < TaskState.RUNNING and task.desired is TaskState.READY:
            state += ", to start later"
        return f"its task is {state}" + (f": {words}" if words else "")

    # -- nodes --
    def _ready(self, node: str) -> bool:
        known = self.nodes.get(node)
        return known is not None and known.state is NodeState.READY

    def _node_said(self, node: str) -> str:
        known = self.nodes.get(node)
        if known is None:
            return "gone"
        if known.state is not NodeState.READY:
            return known.state.name
        if known.availability is Availability.ACTIVE:
            return "excluded by the constraints"
        return {Availability.DRAIN: "drained", Availability.PAUSE: "paused"}[known.availability]

    def _demands(self, key: SlotKey, service: ServiceChanged) -> bool:
        """Must a global service have a task there?"""
        node = self.nodes.get(str(key))
        if node is None or node.state is not NodeState.READY or node.availability is not Availability.ACTIVE:
            return False
        return _suits(service.constraints, node)

    def _allowed(self, key: SlotKey, service: ServiceChanged) -> bool:
        """May a global service have a task there? A paused node keeps what it has (global.go)."""
        node = self.nodes.get(str(key))
        return node is not None and node.availability is not Availability.DRAIN and _suits(service.constraints, node)


def _same(a: NodeChanged, b: NodeChanged) -> bool:
    return (a.state, a.availability, a.labels, a.role, a.addr) == (b.state, b.availability, b.labels, b.role, b.addr)


def _same_wants(a: ServiceChanged, b: ServiceChanged) -> bool:
    """Do both want the same of each slot?"""
    return (a.mode, a.template, a.constraints, a.condition, a.iteration, a.ends_alone) == (
        b.mode,
        b.template,
        b.constraints,
        b.condition,
        b.iteration,
        b.ends_alone,
    )


def _suits(constraints: tuple[str, ...], node: NodeChanged) -> bool:
    if not constraints:
        return True
    try:
        parsed = parse_constraints(constraints)
    except ConstraintError:
        return True  # as the global orchestrator: what cannot be parsed counts as none
    labels, of_engine = dict(node.labels), dict(node.engine_labels)
    return matches(parsed, Subject(node.id, node.hostname, node.addr, node.role, node.os, node.arch, labels, of_engine))


def _fine(service: Watched) -> bool:
    """Is the service as it shall be?"""
    event = service.event
    if event is None:
        return service.extra == 0
    if event.ends_alone and not event.mode.endswith("job"):
        return True
    ok, excused, _, wrong = service.counts
    if wrong or service.extra:
        return False
    if event.mode == "replicated":
        return ok <= event.replicas <= ok + excused
    if event.mode == "replicated-job":
        return ok >= event.completions or excused > 0
    return True


def _slot_name(slot: Slot) -> str:
    return f"{slot.service.name}.{slot.key}"


def _reasons(service: Watched) -> list[str]:
    event = service.event
    slots = list(service.slots.values())
    wrong = sorted((s for s in slots if s.state == WRONG), key=lambda s: (isinstance(s.key, str), s.key))
    out = [f"{_slot_name(s)}: {s.why}" for s in wrong[:MOST]]
    if len(wrong) > MOST:
        out.append(f"{service.name}: {len(wrong) - MOST} more slots are not right")
    if service.extra:
        nodes = sorted({n for s in slots if s.extra for n in s.containers.values()})
        out.append(f"{service.name}: {service.extra} more containers run than are meant, on {', '.join(nodes)}")
    if event is None or wrong:
        return out
    ok, excused = service.counts[OK], service.counts[EXCUSED]
    if event.mode == "replicated" and not ok <= event.replicas <= ok + excused:
        out.append(f"{service.name}: {ok} of {event.replicas} slots are filled")
    if event.mode == "replicated-job" and ok < event.completions and not excused:
        out.append(f"{service.name}: {ok} of {event.completions} completed")
    return out


class Convergence:
    """Within the bound after the last disturbance, and to the end, all is as it shall be."""

    name = "convergence"

    def __init__(self, wanted: Expectation | None = None) -> None:
        self.wanted = wanted
        self.watch = ConvergenceWatch()
        self.bound = Bound()
        self.since: Micros | None = None  # converged ever since
        self._at: Micros = 0
        self._hears = listen([self.watch, self.watch.leadership, self.bound])
        self.handlers: Handlers = dict.fromkeys(self._hears, self._heard)

    def _heard(self, recorded: Recorded) -> None:
        if recorded.at != self._at:
            self._look()
            self._at = recorded.at
        for handler in self._hears[type(recorded.event)]:
            handler(recorded)

    def _look(self) -> None:
        """After the whole microsecond."""
        if not self.watch.converged:
            self.since = None
        elif self.since is None:
            self.since = self._at

    def verdict(self, end: Micros) -> Verdict:
        self._look()
        wanted = self.wanted
        name = wanted.text if wanted and wanted.text else self.name
        line = wanted.line if wanted else 0
        state, seen = self._seen(end)
        details = tuple(self.watch.notes())
        if wanted is not None and wanted.waived:
            return Verdict(name, PASS, f"waived, no demand is made; {seen}", line, details, always=True)
        if state is not PASS:
            details = (*self.watch.reasons()[1:], *details, self._bound_said())
        return Verdict(name, state, seen, line, details, always=True)

    @property
    def limit(self) -> Micros:
        own = self.wanted.bound if self.wanted is not None else None
        return self.bound.total if own is None else own

    def _bound_said(self) -> str:
        own = self.wanted.bound if self.wanted is not None else None
        return f"bound {seconds(own)}, as the scenario says" if own is not None else self.bound.said()

    def _seen(self, end: Micros) -> tuple[State, str]:
        last, limit = self.bound.last, self.limit
        bound = f"bound {seconds(limit)}"
        after = "after the last disturbance" if self.bound.disturbed else "after the start"
        if self.since is None:
            reasons = self.watch.reasons()
            why = reasons[0] if reasons else "not converged"
            if end < last + limit:
                return UNKNOWN, f"the run ended {seconds(end - last)} {after}, {bound}: {why}"
            return FAIL, f"not even {seconds(end - last)} {after}, {bound}: {why}"
        took = max(0, self.since - last)
        if took > limit:
            return FAIL, f"only {seconds(took)} {after}, {bound}"
        kept = end - max(self.since, last)
        if kept < self.bound.quiet:
            return UNKNOWN, f"the run ended {seconds(kept)} after it, quiet time {seconds(self.bound.quiet)}"
        return PASS, f"{seconds(took)} {after}, {bound}"
