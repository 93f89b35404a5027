"""The bound of *convergence*, part by part, and the quiet time (SCENARIOS.md sections 9 and 3).

The sum of the parts that the run's disturbances touched. A disturbance is an entry that begins or ends: a fault's
beginning and end, a step's sending and answer.
"""

from __future__ import annotations

from ..api.values import format_duration
from ..trace.events import (
    ClientSaid,
    FaultEnded,
    FaultStarted,
    ServiceChanged,
    StepAnswered,
    StepSent,
    SwarmReady,
)
from ..trace.recorder import Recorded
from .verdict import Handlers, Micros

SECOND: Micros = 1_000_000
MARGIN: Micros = 500_000
REGISTRATION: Micros = 30 * SECOND
STOPPING_MOST: Micros = 60 * SECOND
ALWAYS: Micros = 10 * SECOND
QUIET: Micros = 1 * SECOND

_STOPPING_VERBS = frozenset({"scale", "update", "remove", "drain", "deploy", "remove_stack", "leave"})


class Bound:
    """Hears disturbances and services. `parts()`: the bound so far; `quiet`: the quiet time; `last` disturbance."""

    def __init__(self) -> None:
        self.last: Micros = 0
        self.disturbed = False  # by an entry, not only by what is created at 0s
        self.manager = self.node = self.stopping = self.fault = False
        self.updated: dict[str, None] = {}
        self.services: dict[str, ServiceChanged] = {}
        self.nodes = 0
        self.heartbeat: Micros = 5 * SECOND
        self.election_tick = 10
        self._managers: frozenset[str] = frozenset()
        self.handlers: Handlers = {
            SwarmReady: self._ready,
            ServiceChanged: self._service,
            FaultStarted: self._fault_started,
            FaultEnded: self._disturbance,
            StepSent: self._step_sent,
            ClientSaid: self._client_said,
            StepAnswered: self._disturbance,
        }

    # -- what happens --
    def _ready(self, recorded: Recorded) -> None:
        e: SwarmReady = recorded.event
        self.heartbeat, self.election_tick = e.heartbeat_period, e.election_tick
        self._managers = frozenset(e.managers)
        self.nodes = len(e.managers) + len(e.workers)

    def _service(self, recorded: Recorded) -> None:
        if recorded.event.action != "REMOVE":
            self.services[recorded.event.service] = recorded.event

    def _disturbance(self, recorded: Recorded) -> None:
        self.last = recorded.at
        if recorded.event.entry:
            self.disturbed = True

    def _fault_started(self, recorded: Recorded) -> None:
        self._disturbance(recorded)
        e: FaultStarted = recorded.event
        self.fault = True
        if e.kind == "kill":
            return  # of a container, no matter of nodes and links
        self.node = True
        self.manager = self.manager or not self._managers.isdisjoint((*e.nodes, *e.peers))
        self.stopping = self.stopping or e.kind == "partition"

    def _step_sent(self, recorded: Recorded) -> None:
        self._disturbance(recorded)
        e: StepSent = recorded.event
        self.stopping = self.stopping or e.verb in _STOPPING_VERBS
        if e.verb == "update":
            self.updated[e.target] = None
        elif e.verb == "leave":  # as if it had gone off, but that it stops its containers first
            self.fault = self.node = True
            self.manager = self.manager or not self._managers.isdisjoint(e.target.split(", "))

    def _client_said(self, recorded: Recorded) -> None:
        """A deploy updates many services."""
        if recorded.event.kind == "service":
            self.updated[recorded.event.name] = None

    # -- the parts --
    @property
    def detection(self) -> Micros:
        return 3 * (self.heartbeat + MARGIN) * (2 if self.manager else 1)

    @property
    def quiet(self) -> Micros:
        """How long convergence must be kept: after a fault one detection time and half a second, else a second."""
        if not self.fault:
            return QUIET
        return self.detection + MARGIN

    def parts(self) -> list[tuple[str, Micros]]:
        """(name, microseconds) of every part that counts, in the order of section 9."""
        services = self.services.values()
        out: list[tuple[str, Micros]] = []
        if self.manager:
            out.append(("leader", 12 * self.election_tick * SECOND))
        if self.node:
            out += [("detection", self.detection), ("registration", REGISTRATION)]
        if self.stopping:
            grace = max((s.stop_grace for s in services), default=0)
            out.append(("stopping", _stopping(grace)))
        update = max((self._update(self.services[name]) for name in self.updated if name in self.services), default=0)
        if update:
            out.append(("update", update))
        out.append(("restart delay", max((s.restart_delay for s in services), default=0)))
        out.append(("pull and start", max((s.start_time for s in services), default=0)))
        return [*out, ("always", ALWAYS)]

    def _update(self, service: ServiceChanged) -> Micros:
        """Batches × (delay + monitor + stopping and starting one task)."""
        tasks = self.nodes if service.mode.startswith("global") else service.replicas
        batches = -(-tasks // service.parallelism) if service.parallelism else 1
        one = _stopping(service.stop_grace) + service.start_time
        return batches * (service.update_delay + service.monitor + one)

    @property
    def total(self) -> Micros:
        return sum(us for _, us in self.parts())

    def said(self) -> str:
        """`bound 64.7s = detection 16.5s + registration 30s + ...`."""
        parts = " + ".join(f"{name} {format_duration(us)}" for name, us in self.parts() if us)
        return f"bound {format_duration(self.total)} = {parts}"


def _stopping(grace: Micros) -> Micros:
    return min(2 * SECOND + grace, STOPPING_MOST)
