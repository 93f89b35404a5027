"""Traces made by hand, sentence by sentence: what the printed page is tested with, without a cluster.

    s = Story(managers=3, workers=3)
    s.service(0, "web", replicas=2)
    s.task(1.0, "web.1", "RUNNING", "m1"); s.runs(1.0, "web.1", "m1")
    crash = s.crash(8.4, "w1", lasts=30)

Every method returns the seq of what it recorded, to be given as `cause` of what follows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from swarmsim.api.specs import ContainerSpec, Global, Replicated, ServiceSpec, TaskSpec
from swarmsim.api.states import Availability, Component, IssuanceState, NodeRole, NodeState, TaskState
from swarmsim.checks.verdict import Verdict
from swarmsim.scenario.runner import Result
from swarmsim.trace import events as ev
from swarmsim.trace.recorder import Trace


def us(seconds: float) -> int:
    return round(seconds * 1e6)


@dataclass
class FakeScenario:
    """What the page reads of a scenario."""

    managers: list[str]
    workers: list[str]
    name: str = "story"
    file: str = "scenarios/story.yaml"
    question: str = "what is printed?"
    services: dict[str, ServiceSpec] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    without: tuple[str, ...] = ()
    restored: tuple[str, ...] = ()
    expectation: str = ""
    timeline: list[Any] = field(default_factory=list)
    expect: list[Any] = field(default_factory=list)
    options: str = ""
    cluster: Any = field(default_factory=lambda: SimpleNamespace(only=None))


class Story:
    def __init__(self, managers: int | list[str] = 3, workers: int | list[str] = 3) -> None:
        self.managers = managers if isinstance(managers, list) else [f"m{i + 1}" for i in range(managers)]
        self.workers = workers if isinstance(workers, list) else [f"w{i + 1}" for i in range(workers)]
        self.trace = Trace()
        self.scenario = FakeScenario(self.managers, self.workers)
        self.verdicts: list[Verdict] = []
        self._generations: dict[str, int] = {}
        self._states: dict[str, TaskState] = {}
        self.add(0, ev.SwarmReady(self.managers[0], tuple(self.managers), tuple(self.workers)))
        for name in [*self.managers, *self.workers]:
            self.node(0, name, "READY")

    def add(self, at: float, event: Any, cause: int = 0) -> int:
        return self.trace.record(event, us(at), cause)

    # -- nodes, leaders --
    def node(self, at: float, name: str, state: str, cause: int = 0, availability: str = "ACTIVE") -> int:
        role = NodeRole.MANAGER if name in self.managers else NodeRole.WORKER
        known = (NodeState[state], "", Availability[availability], role, role, IssuanceState.ISSUED)
        return self.add(at, ev.NodeChanged(1, name, name, "UPDATE", *known, (), name, "", "", "", "28.2.2"), cause)

    def down(self, at: float, name: str, silent: float, cause: int) -> int:
        expired = self.add(at - 0.05, ev.HeartbeatExpired(name, us(silent), us(silent)), cause)
        return self.node(at, name, "DOWN", expired)

    def elected(self, at: float, name: str, term: int, voters: list[str], cause: int = 0) -> int:
        candidate = self.add(at - 0.01, ev.BecameCandidate(name, term), cause)
        for voter in voters:
            self.add(at - 0.005, ev.VoteGranted(voter, term, name), candidate)
        return self.add(at, ev.BecameLeader(name, term), candidate)

    # -- services and tasks --
    def service(self, at: float, name: str, replicas: int = 1, cause: int = 0, **more: Any) -> int:
        """`replicas` 0: global."""
        mode = "replicated" if replicas else "global"
        spec = ServiceSpec(name, TaskSpec(ContainerSpec(f"{name}:1")), Replicated(replicas) if replicas else Global())
        self.scenario.services.setdefault(name, spec)
        fields = (1, name, more.pop("action", "CREATE"), more.pop("mode", mode), replicas, more.pop("completions", 0))
        rest: dict[str, Any] = {"update": None, "message": "", "iteration": None, "ends_alone": False}
        rest |= {"id": f"id-{name}", "image": f"{name}:1"} | more
        return self.add(at, ev.ServiceChanged(*fields, 0, "t", (), "any", 0, **rest), cause)

    def created(self, name: str, replicas: int, answered: float = 0.007) -> int:
        """The service is created at 0 s, in file order."""
        sent = self.add(0, ev.StepSent("", "create", name, f"{replicas} × {name}:1", self.managers[0]))
        self.service(answered, name, replicas, sent)
        self.add(answered, ev.StepAnswered("", "create", name, ""), sent)
        return sent

    def step(self, at: float, verb: str, target: str, detail: str = "", took: float = 0.01, error: str = "") -> int:
        sent = self.add(at, ev.StepSent(verb, verb, target, detail, self.managers[0]))
        self.add(at + took, ev.StepAnswered(verb, verb, target, error), sent)
        return sent

    def task(self, at: float, name: str, state: str, node: str = "", cause: int = 0, **more: Any) -> int:
        """A task `web.3` is a new one of its slot when `new` is given, or when the slot is."""
        service, _, slot = name.rpartition(".")
        created = more.pop("new", False) or name not in self._generations
        if created:
            self._generations[name] = self._generations.get(name, 0) + 1
        generation = more.pop("generation", self._generations[name])
        id = f"{name}#{generation}"
        now = TaskState[state]
        was = None if created else self._states[id]
        self._states[id] = now
        desired = TaskState[more.pop("desired", "RUNNING")]
        number = int(slot) if slot.isdigit() else 0
        action = more.pop("action", "CREATE" if created else "UPDATE")
        head = (1, id, name, service, number, generation, action, Component.DISPATCHER, was, now, desired, node)
        tail = (more.pop("message", ""), more.pop("error", ""), 0, "t", more.pop("iteration", None), None)
        return self.add(at, ev.TaskChanged(*head, *tail, f"{service}:1"), cause)

    def runs(self, at: float, name: str, node: str, cause: int = 0) -> int:
        id = f"{name}#{self._generations[name]}"
        return self.add(at, ev.ContainerStarted(node, id, name, name.rpartition(".")[0]), cause)

    def exits(self, at: float, name: str, node: str, cause: int = 0, why: str = "crash", **more: int) -> int:
        id = f"{name}#{more.get('generation', self._generations[name])}"
        exited = ev.ContainerExited(node, id, name, name.rpartition(".")[0], more.get("code", 137), why)
        return self.add(at, exited, cause)

    def up(self, at: float, name: str, node: str, cause: int = 0) -> int:
        """The task's container starts, and the store says so."""
        if name not in self._generations:
            self.task(at - 0.5, name, "ASSIGNED", node, cause)
        started = self.runs(at, name, node, cause)
        return self.task(at, name, "RUNNING", node, started)

    # -- faults --
    def crash(
        self, at: float, node: str, lasts: float | None = None, how: str = "power off", entry: str = "crash"
    ) -> int:
        duration = None if lasts is None else us(lasts)
        fault = self.add(at, ev.FaultStarted(entry, "crash", (node,), (), duration, how))
        self.add(at, ev.HostCrashed(node, "power"), fault)
        return fault

    def back(self, at: float, node: str, fault: int, entry: str = "crash") -> int:
        ended = self.add(at, ev.FaultEnded(entry, "crash", (node,)), fault)
        return self.add(at, ev.HostStarted(node), ended)

    # -- the end --
    def steady(self, at: float) -> int:
        return self.add(at, ev.SteadyReached())

    def end(self, at: float, why: str = "duration") -> Result:
        self.add(at, ev.RunEnded(why))
        cluster: Any = SimpleNamespace()
        scenario: Any = self.scenario
        result = Result(scenario, 1, self.trace, us(at), why, cluster)
        result.took = 0.11
        result.__dict__["verdicts"] = self.verdicts
        return result
