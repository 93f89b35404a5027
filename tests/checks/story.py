"""Hand-made traces: what a test tells the checks. Times are in seconds; whatever a test does not say is as usual."""

from __future__ import annotations

from typing import Any

from swarmsim.api.states import Availability, Component, IssuanceState, NodeRole, NodeState, TaskState, UpdateState
from swarmsim.trace.events import (
    ContainerExited,
    ContainerStarted,
    EntryNotFired,
    FaultEnded,
    FaultStarted,
    NodeChanged,
    RunEnded,
    ServiceChanged,
    StepAnswered,
    StepSent,
    SwarmReady,
    TaskChanged,
)
from swarmsim.trace.recorder import Trace

SECOND = 1_000_000
S = TaskState


def us(seconds: float) -> int:
    return round(seconds * SECOND)


class Story:
    """A trace in the making; `at(3.5)` sets the time of what follows."""

    def __init__(self, managers: int = 3, workers: int = 2, **ready: Any) -> None:
        self.trace = Trace()
        self.now = 0
        self.index = 2
        self.tasks: dict[str, TaskChanged] = {}
        self.nodes: dict[str, NodeChanged] = {}
        self.services: dict[str, ServiceChanged] = {}
        self.managers = tuple(f"m{i + 1}" for i in range(managers))
        self.workers = tuple(f"w{i + 1}" for i in range(workers))
        if managers:
            self.add(SwarmReady("m1", self.managers, self.workers, **ready))
            for name in (*self.managers, *self.workers):
                self.node(name, action="CREATE")

    def at(self, seconds: float) -> Story:
        assert us(seconds) >= self.now, "a story goes forward"
        self.now = us(seconds)
        return self

    def add(self, *events: Any) -> Story:
        for event in events:
            self.trace.record(event, self.now, 0)
        return self

    def end(self, seconds: float) -> Trace:
        """The run ends there."""
        self.at(seconds).add(RunEnded("duration"))
        return self.trace

    # -- objects --
    def node(self, name: str, **changes: Any) -> Story:
        """Write a node: as it was, but for `changes`."""
        known = self.nodes.get(name)
        self.index += 1
        if known is None:
            role = NodeRole.MANAGER if name in self.managers else NodeRole.WORKER
            known = NodeChanged(
                self.index, name, name, "CREATE", NodeState.READY, "", Availability.ACTIVE, role, role,
                IssuanceState.ISSUED, (), name, "linux", "x86_64", "192.168.0.1",
            )  # fmt: skip
            changed = known._replace(**changes)
        else:
            changed = known._replace(**{"index": self.index, "action": "UPDATE", **changes})
        self.nodes[name] = changed
        return self.add(changed)

    def service(self, name: str = "web", **changes: Any) -> Story:
        """Write a service: a replicated one of one task, up to date, unless told otherwise."""
        known = self.services.get(name)
        self.index += 1
        if known is None:
            known = ServiceChanged(
                self.index, name, "CREATE", "replicated", 1, 0, 1, "t1", (), "any", 0, None, "", None, False
            )  # fmt: skip
            changed = known._replace(**changes)
        else:
            changed = known._replace(**{"index": self.index, "action": "UPDATE", **changes})
        self.services[name] = changed
        return self.add(changed)

    def task(self, id: str = "t1", now: TaskState = S.RUNNING, **changes: Any) -> Story:
        """Write a task of slot 1 of `web` on w1, in that state, whoever moved it there."""
        known = self.tasks.get(id)
        self.index += 1
        if known is None:
            known = TaskChanged(
                self.index, id, "web.1", "web", 1, 1, "CREATE", Component.ORCHESTRATOR, None, now, S.RUNNING,
                "w1" if now >= S.ASSIGNED else "", "", "", 1, "t1", None, None,
            )  # fmt: skip
            changed = known._replace(**changes)
        else:
            usual = {"index": self.index, "action": "UPDATE", "was": known.now, "now": now}
            if now >= S.ASSIGNED and not known.node:
                usual["node"] = "w1"
            changed = known._replace(**{**usual, **changes})
        self.tasks[id] = changed
        return self.add(changed)

    # -- containers --
    def runs(self, id: str = "t1", node: str = "w1", name: str = "web.1", service: str = "web") -> Story:
        return self.add(ContainerStarted(node, id, name, service))

    def exits(self, id: str = "t1", node: str = "w1", name: str = "web.1", service: str = "web") -> Story:
        return self.add(ContainerExited(node, id, name, service, 0, "exited"))

    def running(self, id: str = "t1", node: str = "w1", **changes: Any) -> Story:
        """A new task, brought by all components as far as it goes, and its container."""
        service, slot = changes.get("service", "web"), changes.get("slot", 1)
        name = changes.setdefault("name", f"{service}.{slot or node}")
        self.task(id, S.NEW, **{"node": "" if slot else node, **changes})
        self.task(id, S.PENDING, component=Component.ALLOCATOR)
        self.task(id, S.ASSIGNED, component=Component.SCHEDULER, node=node)
        return self.task(id, S.RUNNING, component=Component.DISPATCHER).runs(id, node, name, service)

    # -- the timeline --
    def fault(self, kind: str = "crash", *nodes: str, entry: str = "", peers: tuple[str, ...] = ()) -> Story:
        return self.add(FaultStarted(entry or kind, kind, nodes or ("w1",), peers, None, ""))

    def fault_ends(self, kind: str = "crash", *nodes: str, entry: str = "") -> Story:
        return self.add(FaultEnded(entry or kind, kind, nodes or ("w1",)))

    def step(self, verb: str, target: str = "web", entry: str | None = None) -> Story:
        return self.add(StepSent(verb if entry is None else entry, verb, target, "", "m1"))

    def answered(self, verb: str, target: str = "web", entry: str | None = None, error: str = "") -> Story:
        return self.add(StepAnswered(verb if entry is None else entry, verb, target, error))

    def not_fired(self, entry: str, reason: str) -> Story:
        return self.add(EntryNotFired(entry, reason))


__all__ = ["SECOND", "S", "Story", "UpdateState", "us"]
