"""Traces made by hand: a few words a line, the rest of each event filled in."""

from __future__ import annotations

from typing import Any

from swarmsim.api.states import (
    Availability,
    Component,
    IssuanceState,
    NodeRole,
    NodeState,
    TaskState,
)
from swarmsim.trace.events import (
    BecameFollower,
    BecameLeader,
    ContainerExited,
    ContainerStarted,
    EntriesAppended,
    EntriesApplied,
    FaultEnded,
    FaultStarted,
    HostCrashed,
    HostStarted,
    NodeChanged,
    RaftRestarted,
    RunEnded,
    ServiceChanged,
    StepAnswered,
    StepSent,
    SwarmReady,
    TaskChanged,
)
from swarmsim.trace.recorder import Trace


def us(seconds: float) -> int:
    return round(seconds * 1e6)


class Story:
    """A trace in the making. Times are in seconds and must not go back."""

    def __init__(self, managers: int = 3, workers: int = 3) -> None:
        self.trace = Trace()
        self.managers = tuple(f"m{i + 1}" for i in range(managers))
        self.workers = tuple(f"w{i + 1}" for i in range(workers))
        self.nodes = (*self.managers, *self.workers)
        self.tasks: dict[str, TaskChanged] = {}
        self.running: dict[str, str] = {}  # task -> node
        self.hit: dict[str, int] = {}  # node -> seq of the latest fault that hit it
        if managers:
            self.add(0, SwarmReady(self.managers[0], self.managers, self.workers))
        for name in self.managers:
            self.add(0, RaftRestarted(name, 2, "m1", 5, 5))

    def add(self, at: float, event: Any, cause: int = 0) -> int:
        assert not len(self.trace) or us(at) >= self.trace.events[-1].at, f"{event} goes back in time"
        return self.trace.record(event, us(at), cause)

    # -- services and tasks --
    def service(self, at: float, name: str, replicas: int, mode: str = "replicated", action: str = "CREATE") -> None:
        completions = replicas if mode.endswith("job") else 0
        event = ServiceChanged(1, name, action, mode, replicas, completions, 1, "t", (), "any", 0, None, "", 0, False)
        self.add(at, event)

    def task(self, at: float, task: str, **fields: Any) -> None:
        """Write a task: what is not given stays as it was. `task` is `web.1`, or `web.1/2`, the second in its slot."""
        before = self.tasks.get(task)
        name = task.split("/", maxsplit=1)[0]
        if before is None:
            before = TaskChanged(
                1, task, name, name.rsplit(".", 1)[0], 1, 1, "CREATE", Component.ORCHESTRATOR, None,
                TaskState.NEW, TaskState.RUNNING, "", "", "", 1, "t", 0, None,
            )  # fmt: skip
            event = before._replace(**fields)
        else:
            event = before._replace(**{"action": "UPDATE", "was": before.now} | fields)
        self.tasks[task] = event
        self.add(at, event)

    def start(self, at: float, task: str, node: str) -> None:
        """The task is assigned a second before `at`, and its container runs from then on."""
        self.task(at, task, now=TaskState.ASSIGNED, node=node)
        self.runs(at, task)

    def runs(self, at: float, task: str) -> None:
        event = self.tasks[task]
        self.running[task] = event.node
        self.add(at, ContainerStarted(event.node, task, event.name, event.service))
        self.task(at, task, now=TaskState.RUNNING)

    def exits(self, at: float, task: str, code: int = 137, why: str = "crash") -> None:
        event = self.tasks[task]
        self.add(at, ContainerExited(self.running.pop(task), task, event.name, event.service, code, why))

    # -- nodes --
    def node(self, at: float, name: str, state: NodeState, availability: Availability = Availability.ACTIVE) -> None:
        role = NodeRole.MANAGER if name in self.managers else NodeRole.WORKER
        issued = IssuanceState.ISSUED
        event = NodeChanged(1, name, name, "UPDATE", state, "", availability, role, role, issued, (), name, "", "", "")
        self.add(at, event)

    def crash(self, at: float, name: str) -> None:
        """The host goes off, its containers with it."""
        self.add(at, HostCrashed(name, "power"), self.hit.get(name, 0))
        for task in [t for t, node in self.running.items() if node == name]:
            self.exits(at, task)

    def comes_back(self, at: float, name: str, term: int = 2, last: int = 5) -> None:
        self.add(at, HostStarted(name))
        if name in self.managers:
            self.add(at, RaftRestarted(name, term, "", 5, last))

    # -- Raft --
    def elected(self, at: float, name: str, term: int, *followers: str) -> None:
        self.add(at, BecameLeader(name, term))
        for follower in followers:
            self.add(at, BecameFollower(follower, term, name))

    def writes(self, at: float, name: str, first: int, *terms: int) -> None:
        self.add(at, EntriesAppended(name, max(terms), first, terms))

    def applies(self, at: float, name: str, first: int, *terms: int) -> None:
        self.add(at, EntriesApplied(name, max(terms), first, terms))

    # -- the timeline --
    def fault(self, at: float, kind: str, *nodes: str, entry: str = "", detail: str = "", **more: Any) -> None:
        peers = more.get("peers", ())
        seq = self.add(at, FaultStarted(entry or kind, kind, nodes, peers, None, detail))
        self.hit |= dict.fromkeys(nodes, seq)

    def fault_ends(self, at: float, kind: str, *nodes: str, entry: str = "") -> None:
        self.add(at, FaultEnded(entry or kind, kind, nodes))

    def step(self, at: float, verb: str, target: str, detail: str = "", error: str = "") -> None:
        sent = self.add(at, StepSent(verb, verb, target, detail, "m1"))
        self.add(at, StepAnswered(verb, verb, target, error), sent)

    def end(self, at: float) -> Trace:
        self.add(at, RunEnded("duration"))
        return self.trace


def worker_crash() -> Trace:
    """Six replicas on three workers; w1 dies at 8 s, is DOWN at 19 s, replaced at 24 s, back at 38 s."""
    story = Story()
    story.service(0.0, "web", 6)
    for i in range(6):
        story.task(0.1, f"web.{i + 1}", now=TaskState.ASSIGNED, node=f"w{i % 3 + 1}")
    for i in range(6):
        story.runs(1.5 + 0.2 * i, f"web.{i + 1}")
    story.fault(8.0, "crash", "w1", detail="power off")
    story.crash(8.0, "w1")
    story.node(19.0, "w1", NodeState.DOWN)
    for slot in (1, 4):
        story.task(19.0, f"web.{slot}", desired=TaskState.SHUTDOWN)
    for slot, node in ((1, "w2"), (4, "w3")):
        story.task(19.1, f"web.{slot}/2", now=TaskState.ASSIGNED, desired=TaskState.READY, node=node)
    for slot in (1, 4):
        story.task(24.0, f"web.{slot}/2", desired=TaskState.RUNNING)
    for slot in (1, 4):
        story.runs(24.3, f"web.{slot}/2")
    story.fault_ends(38.0, "crash", "w1")
    story.comes_back(38.0, "w1")
    story.node(38.2, "w1", NodeState.READY)
    for slot in (1, 4):
        story.task(38.4, f"web.{slot}", now=TaskState.SHUTDOWN)
    return story.end(60.0)


def figure_8() -> Trace:
    """The Raft paper's Figure 8, (a) to (d), one index further up than a log of five."""
    story = Story(5, 0)
    story.writes(1.0, "m1", 6, 2)
    story.writes(1.1, "m2", 6, 2)
    story.crash(1.2, "m1")
    story.elected(1.5, "m5", 3, "m3", "m4")
    story.writes(1.6, "m5", 6, 3)
    story.crash(1.8, "m5")
    story.comes_back(2.0, "m1", 2, last=6)
    story.elected(2.5, "m1", 4, "m2", "m3")
    story.writes(2.7, "m3", 6, 2)
    for name in ("m1", "m2", "m3"):
        story.applies(2.8, name, 6, 2)
    story.crash(4.7, "m1")
    story.comes_back(4.8, "m5", 3, last=6)
    story.elected(5.5, "m5", 5, "m2", "m3", "m4")
    for name in ("m2", "m3", "m4"):
        story.writes(5.7, name, 6, 3)
    for name in ("m5", "m2", "m3", "m4"):
        story.applies(5.8, name, 6, 3)
    return story.end(7)
