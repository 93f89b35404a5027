"""A leader with one orchestrator, objects in a line each, and agents that need no simulator."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from swarmsim.api.messages import Committed
from swarmsim.api.objects import Cluster, Node, NodeDescription, NodeStatus, Service, Task, TaskStatus
from swarmsim.api.specs import (
    ClusterSpec,
    ContainerSpec,
    GenericResource,
    Micros,
    NodeSpec,
    Placement,
    Replicated,
    ResourceRequirements,
    Resources,
    RestartCondition,
    RestartPolicy,
    ServiceMode,
    ServiceSpec,
    TaskSpec,
    UpdateConfig,
)
from swarmsim.api.states import Availability, NodeRole, NodeState, TaskState, UpdateState
from swarmsim.machine import Address, Handler, Machine, Outbox
from swarmsim.manager.orchestrator import ReplicatedOrchestrator
from swarmsim.manager.orchestrator.task import new_task
from swarmsim.store import MemoryStore
from swarmsim.store.actions import REMOVE
from tests.fake_manager import FakeManager

MS: Micros = 1_000
SECOND: Micros = 1_000_000

ANY, ON_FAILURE, NONE = RestartCondition.ANY, RestartCondition.ON_FAILURE, RestartCondition.NONE
NEW, PENDING, ASSIGNED, READY, RUNNING = (
    TaskState.NEW,
    TaskState.PENDING,
    TaskState.ASSIGNED,
    TaskState.READY,
    TaskState.RUNNING,
)
COMPLETE, SHUTDOWN, FAILED = TaskState.COMPLETE, TaskState.SHUTDOWN, TaskState.FAILED
REJECTED, REMOVED, ORPHANED = TaskState.REJECTED, TaskState.REMOVE, TaskState.ORPHANED


# -- objects --
def policy(
    condition: RestartCondition = ANY, delay: Micros = 0, max_attempts: int = 0, window: Micros | None = None
) -> RestartPolicy:
    return RestartPolicy(condition, delay, max_attempts, window)


def node(
    id: str,
    state: NodeState = NodeState.READY,
    availability: Availability = Availability.ACTIVE,
    role: NodeRole = NodeRole.WORKER,
    generic: tuple[GenericResource, ...] = (),
    **labels: str,
) -> Node:
    description = NodeDescription(id, resources=Resources(4_000_000_000, 8 << 30, generic))
    return Node(id, NodeSpec(labels, availability=availability), role, NodeStatus(state), description)


def service_spec(
    name: str,
    mode: ServiceMode = Replicated(),  # noqa: B008
    image: str = "v:1",
    restart: RestartPolicy | None = None,
    update: UpdateConfig | None = None,
    rollback: UpdateConfig | None = None,
    constraints: tuple[str, ...] = (),
    reservations: Resources | None = None,
    **task: Any,
) -> ServiceSpec:
    container = task.pop("container", None) or ContainerSpec(image)
    placement = Placement(constraints) if constraints else None
    resources = ResourceRequirements(reservations=reservations) if reservations else None
    template = TaskSpec(container, restart=restart, placement=placement, resources=resources, **task)
    return ServiceSpec(name, template, mode, update=update, rollback=rollback)


def service(name: str, *args: Any, spec_version: int = 0, iteration: int | None = None, **kwargs: Any) -> Service:
    """The service `name`, whose id is its name too."""
    return Service(name, service_spec(name, *args, **kwargs), spec_version, job_iteration=iteration)


def task(
    of: Service,
    slot: int = 1,
    state: TaskState = NEW,
    desired: TaskState = RUNNING,
    node: str = "",
    id: str = "",
    at: Micros = 0,
    **fields: Any,
) -> Task:
    made = new_task(None, of, slot, node, at, id or f"{of.id}.{slot or node}", desired_state=desired)
    return made.evolve(status=TaskStatus(state, timestamp=at), **fields)


def cluster(**settings: Any) -> Cluster:
    return Cluster("default", ClusterSpec(**settings))


# -- the leader --
class Leader:
    """A fake manager that runs orchestrators, with questions and reports in a line each."""

    def __init__(self, *objects: Any, seed: int = 0, commit_latency: Micros = 0) -> None:
        self.fake = FakeManager(seed=seed, commit_latency=commit_latency)
        self.store = self.fake.store
        if objects:
            self.fake.create(*objects)

    def start(self, machine: Callable[[str, MemoryStore], Machine] = ReplicatedOrchestrator, name: str = "") -> Any:
        made = machine("m1", self.store)
        self.fake.add_machine(made, name or None)
        return made

    def run_for(self, duration: Micros) -> None:
        self.fake.run_for(duration)

    def run(self, until: Micros) -> None:
        self.fake.run(until)

    def tasks(self, service: str, desired: TaskState | None = None) -> list[Task]:
        """Of the service, in order of creation; only those with that desired state."""
        return [t for t in self.store.tasks_of_service(service) if desired in (None, t.desired_state)]

    def live(self, service: str) -> list[Task]:
        return [t for t in self.tasks(service) if t.desired_state <= RUNNING]

    def pairs(self, service: str) -> list[str]:
        """`OBSERVED/DESIRED` of each task, sorted."""
        return sorted(f"{t.status.state.name}/{t.desired_state.name}" for t in self.tasks(service))

    def report(self, task: Task | str, state: TaskState, at: Micros | None = None) -> None:
        """An agent's report, applied now."""
        id = task if isinstance(task, str) else task.id
        now = self.fake.now if at is None else at
        status = TaskStatus(state, state.name.lower(), timestamp=now, applied_at=now, applied_by="m1")
        self.fake.write(self.store.tasks[id].evolve(status=status))

    def change_node(self, id: str, state: NodeState | None = None, availability: Availability | None = None) -> None:
        now = self.store.nodes[id]
        if state is not None:
            now = now.evolve(status=now.status.evolve(state=state))
        if availability is not None:
            now = now.evolve(spec=NodeSpec(now.spec.labels, availability=availability))
        self.fake.write(now)

    def update(self, of: Service | str, **changes: Any) -> None:
        """What the control API leaves behind: the old spec as the previous one, a new version, no update status."""
        old = self.store.services[of if isinstance(of, str) else of.id]
        spec = _changed(old.spec, changes)
        iteration = None if old.job_iteration is None else old.job_iteration + 1
        self.fake.write(
            old.evolve(
                spec=spec,
                spec_version=self.store.index,
                previous_spec=old.spec,
                previous_spec_version=old.spec_version,
                update_status=None,
                job_iteration=iteration,
            )
        )

    def task_desired(self, id: str) -> str:
        return self.store.tasks[id].desired_state.name

    def status(self, service: str) -> tuple[UpdateState, str] | None:
        status = self.store.services[service].update_status
        return None if status is None else (status.state, status.message)

    def images(self, service: str) -> dict[str, int]:
        """How many live tasks have which image."""
        counts: dict[str, int] = {}
        for live in self.live(service):
            image = live.spec.container.image
            counts[image] = counts.get(image, 0) + 1
        return counts


def _changed(spec: ServiceSpec, changes: dict[str, Any]) -> ServiceSpec:
    """`image`, `force`, `replicas`, `constraints`, `restart`, `labels`, `update`, `rollback`, or any field of the
    task."""
    from dataclasses import replace

    of_service = {k: changes.pop(k) for k in ("labels", "update", "rollback", "mode", "endpoint") if k in changes}
    if "replicas" in changes:
        of_service["mode"] = Replicated(changes.pop("replicas"))
    template = spec.task
    if "image" in changes:
        template = replace(template, container=replace(template.container, image=changes.pop("image")))
    if "options" in changes:
        template = replace(template, container=replace(template.container, options=changes.pop("options")))
    if "constraints" in changes:
        template = replace(template, placement=Placement(changes.pop("constraints")))
    if changes.pop("force", False):
        template = replace(template, force_update=template.force_update + 1)
    return replace(spec, task=replace(template, **changes), **of_service)


# -- agents --
Fate = Callable[[Task], TaskState]


class Agents(Machine):
    """All stages after the orchestrator in one: tasks go to their desired state, each after its time.

    `fate` says what a task that is to run becomes; `ends` what becomes of one that runs, `run` later.
    """

    def __init__(
        self,
        leader: Leader,
        nodes: Iterable[str] = (),
        start: Micros = 0,
        stop: Micros | None = 0,
        run: Micros | None = None,
        fate: Fate = lambda task: RUNNING,
        ends: Fate = lambda task: COMPLETE,
    ) -> None:
        self.leader = leader
        self.nodes = list(nodes)
        self.start = start
        self.stop = stop  # None: they never stop
        self.run = run
        self.fate = fate
        self.ends = ends
        self.placed = 0

    def on_start(self, saved: Any, out: Outbox) -> Handler:
        for present in list(self.leader.store.tasks.values()):
            self._see(present)
        return None

    def on_message(self, src: Address, message: Any, out: Outbox) -> Handler:
        assert isinstance(message, Committed)
        for change in message.changes:
            if type(change.new) is Task and change.kind is not REMOVE:
                self._see(change.new)
        return None

    def _see(self, task: Task) -> None:
        state, desired = task.status.state, task.desired_state
        if state > RUNNING:
            return
        if desired > COMPLETE:
            if self.stop is not None:
                self._later(task.id, self.stop, SHUTDOWN)
        elif state is RUNNING:
            if self.run is not None:
                self._later(task.id, self.run, self.ends(task))
        elif desired is READY:
            self._later(task.id, 0, READY)
        else:
            self._later(task.id, self.start, self.fate(task))

    def _later(self, id: str, delay: Micros, state: TaskState) -> None:
        fake = self.leader.fake
        fake.at(fake.now + delay, lambda: self._go(id, state))

    def _go(self, id: str, state: TaskState) -> None:
        now = self.leader.store.tasks.get(id)
        if now is None or now.status.state >= state:
            return
        if state in (READY, RUNNING) and now.desired_state > COMPLETE:
            return
        if not now.node_id and self.nodes:
            self.placed += 1
            self.leader.fake.write(now.evolve(node_id=self.nodes[self.placed % len(self.nodes)]))
        self.leader.report(id, state)
