"""The scheduler machine: follows commits, and places tasks once they calm down.

SwarmKit manager/scheduler/scheduler.go. After a commit it waits until none came for 50 ms, or decides at once if it has
waited for more than 1 s; a *pass* first tries the tasks that are bound to a node (global services), then, if anything
relevant happened, groups the unassigned ones by service and spec version and places each group with one tree
(`spread`, `tree`). Decisions are booked at once on the scheduler's own view and undone where the commit refuses them.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from functools import partial
from random import Random
from typing import Any, ClassVar, NamedTuple

from ...api.messages import Committed
from ...api.objects import Node, Task, TaskStatus, Volume
from ...api.specs import Micros
from ...api.states import Availability, TaskState
from ...errors import ApiError
from ...machine import Address, Handler, Machine, Outbox
from ...store import MemoryStore, Transaction
from ...store.actions import CREATE, REMOVE, UPDATE, Change
from ...trace.events import TaskNotPlaced, TaskPlaced
from . import generic_resources as generic
from .filters import FILTERS, Wants, wants
from .node_info import NodeInfo, reservations
from .node_set import NodeSet
from .pipeline import PASSED, Pipeline
from .spread import Choice, Spread, map_order
from .tree import Refusals, Trees
from .volumes import MissingVolumeError, cluster_mounts, publish_on

COMMIT_DEBOUNCE_GAP: Micros = 50_000  # scheduler.go `commitDebounceGap`
MAX_LATENCY: Micros = 1_000_000  # scheduler.go `maxLatency`

ASSIGNED_MESSAGE = "scheduler assigned task to node"
CONFIRMED_MESSAGE = "scheduler confirmed task can run on preassigned node"

Work = Generator[Any, Any, None]


class Decision(NamedTuple):
    """A task as it was and as it shall be, the event that tells of it, and its cause in the trace."""

    old: Task
    new: Task
    event: Any
    cause: int


Outcome = tuple[list[Decision], list[Decision]]  # applied, failed


class Scheduler(Machine):
    """Leader-only; rebuilt from the store at each start, so it forgets failures when leadership moves."""

    # Its parts, by class: `swarmsim.ablation` puts others in their place.
    node_set: ClassVar[type[NodeSet]] = NodeSet
    spread: ClassVar[type[Spread]] = Spread

    def __init__(self, node: str, store: MemoryStore) -> None:
        self.node = node
        self.store = store
        self.nodes = self.node_set()
        self.volumes = self.nodes.volumes
        self.tasks: dict[str, Task] = {}  # observed PENDING to RUNNING, own decisions included
        self.unassigned: dict[str, Task] = {}
        self.preassigned: dict[str, None] = {}
        self.pending_preassigned: dict[str, Task] = {}
        self._causes: dict[str, int] = {}  # of waiting tasks: what made them wait
        self._trigger = 0  # cause of the latest change that may have made room
        self._trees = Trees(self.nodes, store)
        self._tick_required = False
        self._debouncing_since: Micros | None = None

    # -- stimuli --
    def on_start(self, saved: Mapping[Any, Any], out: Outbox) -> Handler:
        """Build the state from the store, then place what waits: bound tasks first."""
        self._load(out)
        return self._first_pass(out)

    def _first_pass(self, out: Outbox) -> Work:
        yield from self._process_preassigned(out)
        yield from self._tick(out)

    def on_message(self, src: Address, message: Any, out: Outbox) -> Handler:
        assert isinstance(message, Committed), f"the scheduler got {message!r}"
        for change in message.changes:
            self._follow(change, out)
        return self._debounce(out)

    def on_timer(self, name: Any, out: Outbox) -> Handler:
        self._debouncing_since = None
        return self._schedule(out)

    def _debounce(self, out: Outbox) -> Handler:
        if self._debouncing_since is None:
            self._debouncing_since = out.now
        elif out.now - self._debouncing_since > MAX_LATENCY:
            self._debouncing_since = None
            out.cancel_timer("debounce")
            return self._schedule(out)
        out.set_timer("debounce", COMMIT_DEBOUNCE_GAP)
        return None

    def _schedule(self, out: Outbox) -> Handler:
        if self.pending_preassigned or self._tick_required:
            return self._pass(out)
        return None

    def _pass(self, out: Outbox) -> Work:
        if self.pending_preassigned:
            yield from self._process_preassigned(out)
        if self._tick_required:
            self._tick_required = False
            yield from self._tick(out)

    # -- following the store --
    def _load(self, out: Outbox) -> None:
        """All tasks that hold or await a node (scheduler.go `setupTasksList`)."""
        for volume in self.store.volumes.values():
            self.volumes.add_or_update(volume)
        by_node: dict[str, list[Task]] = {}
        for task in self.store.tasks.values():
            if not TaskState.PENDING <= task.status.state <= TaskState.RUNNING:
                continue
            pending = task.status.state == TaskState.PENDING
            if pending and task.desired_state > TaskState.COMPLETE:
                continue
            self.tasks[task.id] = task
            self._causes[task.id] = out.cause
            self.volumes.reserve_of(task)
            if not task.node_id:
                self.unassigned[task.id] = task
            elif pending:
                self._await_node(task)
            else:
                by_node.setdefault(task.node_id, []).append(task)
        for node in self.store.nodes.values():
            self.nodes.add(NodeInfo(node, by_node.get(node.id, ())), out.rng)

    def _await_node(self, task: Task) -> None:
        self.preassigned[task.id] = None
        self.pending_preassigned[task.id] = task

    def _follow(self, change: Change, out: Outbox) -> None:
        obj = change.new
        if type(obj) is Task:
            relevant = self._follow_task(change, out)
        elif type(obj) is Node:
            relevant = self._follow_node(change, out)
        elif type(obj) is Volume:
            relevant = self._follow_volume(change)
        else:
            return
        if relevant:
            self._tick_required = True
            if type(obj) is not Task or obj.node_id:
                self._trigger = change.cause

    def _follow_node(self, change: Change, out: Outbox) -> bool:
        if change.kind is REMOVE:
            self.nodes.remove(change.new.id)
            return False
        self.nodes.create_or_update(change.new, out.rng)
        return True

    def _follow_volume(self, change: Change) -> bool:
        """One that is new has not been created by its driver yet, so nothing can be said of it."""
        if change.kind is REMOVE:
            self.volumes.remove(change.new)
        return change.kind is UPDATE and self.volumes.add_or_update(change.new)

    def _follow_task(self, change: Change, out: Outbox) -> bool:
        """Book the change of a task; returns whether unassigned tasks should be tried (again)."""
        task: Task = change.new
        if change.kind is REMOVE:
            return self._forget(self.tasks.get(task.id, task))
        state = task.status.state
        if state < TaskState.PENDING:
            return False
        if state > TaskState.RUNNING:
            return change.kind is not CREATE and self._task_ended(task, out)
        if task.node_id and state > TaskState.PENDING:
            self.tasks[task.id] = task
            self.nodes.add_task(task)
            return False
        known = self.tasks.get(task.id)
        if known is not None:
            self._forget(known)
        self.tasks[task.id] = task
        self._causes[task.id] = change.cause
        if not task.node_id:
            self.unassigned[task.id] = task
            return True
        self._await_node(task)
        return False

    def _task_ended(self, task: Task, out: Outbox) -> bool:
        """Free what it held; a failure of a task that we placed counts against its node (14.7)."""
        known = self.tasks.get(task.id)
        if known is None:
            return False
        failed = task.status.state in (TaskState.FAILED, TaskState.REJECTED)
        if failed and task.status.state != known.status.state and task.id not in self.preassigned:
            self.nodes.task_failed(task, out.now)
        self._forget(known)
        return True

    def _forget(self, task: Task) -> bool:
        """Stop tracking; returns whether that freed something (scheduler.go `deleteTask`).

        A deleted task stays in the queue, as in the original: the next pass drops its decision.
        """
        self.tasks.pop(task.id, None)
        self.preassigned.pop(task.id, None)
        self.pending_preassigned.pop(task.id, None)
        self._causes.pop(task.id, None)
        self.volumes.release_of(task)
        return self.nodes.remove_task(task)

    # -- tasks bound to a node --
    def _process_preassigned(self, out: Outbox) -> Work:
        """Confirm each pending task on the node it is bound to, or say why not (`processPreassignedTasks`)."""
        pipelines: dict[Wants, Pipeline] = {}
        decisions = []
        for task in map_order(list(self.pending_preassigned.values()), out.rng):
            info = self.nodes.infos.get(task.node_id)
            if info is not None:
                wanted = wants(task, self.store)
                pipeline = pipelines.get(wanted) or pipelines.setdefault(wanted, Pipeline(wanted))
                decisions.append(self._fit(task, info, pipeline.process(info), out.now))
        applied, failed = yield from self._apply(decisions, out)
        for decision in applied:
            if decision.new.status.state == TaskState.ASSIGNED:
                self.pending_preassigned.pop(decision.old.id, None)
        for decision in failed:
            self._undo(decision)

    def _fit(self, task: Task, info: NodeInfo, verdict: int, now: Micros) -> Decision:
        """scheduler.go `taskFitNode`: `verdict` is that of the filters on the node."""
        name, host = _name(task, info), info.node.hostname
        if verdict != PASSED:
            refusing = FILTERS[verdict]
            reason = refusing.explain(1)
            new = task.evolve(status=task.status.evolve(timestamp=now, err=reason))
            self.tasks[task.id] = new
            event = TaskNotPlaced(task.id, name, reason, ((refusing.name, 1, (host,)),))
            return Decision(task, new, event, self._cause_of(task))
        service_tasks = info.active_by_service.get(task.service_id, 0)
        try:
            new = self._book(CONFIRMED_MESSAGE, now, task, info)
        except MissingVolumeError as error:
            return self._without_volume(task, error.text, now)
        placed = TaskPlaced(task.id, name, host, 1, service_tasks, "", "bound to this node")
        return Decision(task, new, placed, self._cause_of(task))

    def _without_volume(self, task: Task, text: str, now: Micros) -> Decision:
        """The filter was content with one volume, but the task needs more: it waits on its node."""
        new = task.evolve(status=task.status.evolve(timestamp=now, err=text))
        self.tasks[task.id] = new
        return Decision(task, new, TaskNotPlaced(task.id, task.name, text, ()), self._cause_of(task))

    def _book(self, message: str, now: Micros, task: Task, info: NodeInfo) -> Task:
        """Put the task on the node in our own view. Raises `MissingVolumeError` for one that is bound to its node.

        An unassigned task goes there all the same, with no volumes at all (a quirk, probed on the original).
        """
        status = TaskStatus(TaskState.ASSIGNED, message, "", now)
        if cluster_mounts(task):
            try:
                task = task.evolve(node_id=info.node.id, volumes=self.volumes.choose(task, info.node))
            except MissingVolumeError:
                if task.node_id:
                    raise
                task = task.evolve(volumes=())
            self.volumes.reserve_of(task)
        wanted = reservations(task).generic
        if wanted:
            held = generic.select(info.generic, wanted)
            new = task.evolve(node_id=info.node.id, status=status, assigned_generic=held)
        else:
            new = task.evolve(node_id=info.node.id, status=status)
        self.tasks[task.id] = new
        self.nodes.add_task(new)
        return new

    # -- unassigned tasks --
    def _tick(self, out: Outbox) -> Work:
        """Place all that wait for a node (scheduler.go `tick`)."""
        queue, self.unassigned = self.unassigned, {}
        decisions: list[Decision] = []
        for group in _groups(queue, out.rng):
            decisions += self._place_group(map_order(group, out.rng), out)
        _, failed = yield from self._apply(decisions, out)
        for decision in failed:
            self._undo(decision)
            self.unassigned[decision.old.id] = decision.old

    def _place_group(self, group: list[Task], out: Outbox) -> list[Decision]:
        """Tasks of one spec, with one tree (`scheduleTaskGroup`)."""
        self.nodes.follow_volumes()
        tree = self._trees.tree(group[0], out.now)
        refused, refusals = tree.refusals()
        spread = self.spread(group, tree, out.rng)
        unplaced = spread.place(partial(self._book, ASSIGNED_MESSAGE, out.now))
        decisions = [self._chosen(choice, refused, refusals) for choice in spread.choices]
        if unplaced:
            reason = spread.explain()
            self.nodes.follow_volumes()
            tree.refresh(out.now)
            decisions += self._no_suitable_node(unplaced, reason, tree.refusals()[1], out.now)
        return decisions

    def _chosen(self, choice: Choice, refused: str, refusals: Refusals) -> Decision:
        old, new, info, tied, service_tasks, why, ranks = choice
        name, host = _name(new, info), info.node.hostname
        event = TaskPlaced(new.id, name, host, tied, service_tasks, refused, why, ranks, refusals)
        return Decision(old, new, event, self._cause_of(old))

    def _no_suitable_node(self, unplaced: list[Task], reason: str, refusals: Refusals, now: Micros) -> list[Decision]:
        """Write the explanation and queue again, unless the service is gone or newer (`noSuitableNode`)."""
        text = f"no suitable node ({reason})" if reason else "no suitable node"
        decisions = []
        for task in unplaced:
            service = self.store.services.get(task.service_id)
            if service is None:
                continue
            event = None
            if task.spec_version is not None and service.spec_version > task.spec_version:
                new = _outdated(task, now)
            else:
                # Said before: nothing is written, so that a new time would not be seen either.
                said = task.status.err == text
                new = task if said else task.evolve(status=task.status.evolve(timestamp=now, err=text))
                event = TaskNotPlaced(task.id, task.name, text, refusals)
                self.unassigned[task.id] = new
            self.tasks[task.id] = new
            decisions.append(Decision(task, new, event, self._cause_of(task)))
        return decisions

    # -- deciding --
    def _cause_of(self, task: Task) -> int:
        """A task that was refused before owes its new chance to the latest change that made room."""
        own = self._causes.get(task.id, 0)
        return max(own, self._trigger) if task.status.err else own

    def _apply(
        self, decisions: list[Decision], out: Outbox
    ) -> Generator[Any, Any, tuple[list[Decision], list[Decision]]]:
        """Commit the decisions; gives those applied and those that failed (`applySchedulingDecisions`)."""
        applied: list[Decision] = []
        failed: list[Decision] = []
        if not decisions:
            return applied, failed
        written: dict[str, bool] = {}  # task -> did the store change?
        changes = [partial(self._write, d, written) for d in decisions]
        results = yield out.batch([*changes, *[partial(self._free, id) for id in self.volumes.ids()]])
        for decision, error in zip(decisions, results[: len(decisions)], strict=True):
            if error is not None:
                failed.append(decision)
            elif written[decision.old.id]:
                applied.append(decision)
                self._announce(decision, out)
        return applied, failed

    def _announce(self, decision: Decision, out: Outbox) -> None:
        if decision.new.status.state == TaskState.ASSIGNED:
            self._causes.pop(decision.old.id, None)
        if decision.event is not None:
            out.cause = decision.cause
            out.emit(decision.event)

    def _write(self, decision: Decision, written: dict[str, bool], tx: Transaction) -> None:
        """Writes one task: dropped if it is gone, nothing if all is as it was, an error if it changed meanwhile."""
        id = decision.old.id
        now = tx.get(Task, id)
        if now is None:
            self._forget(decision.new)
            written[id] = False
            return
        status, wanted = now.status, decision.new.status
        same = status.state == wanted.state and status.message == wanted.message and status.err == wanted.err
        if not same:
            published = [self._published(given.id, decision.new.node_id, tx) for given in decision.new.volumes]
            tx.update(decision.new, decision.cause)
            for volume in filter(None, published):
                tx.update(volume, decision.cause)
        written[id] = not same

    def _published(self, id: str, node_id: str, tx: Transaction) -> Volume | None:
        """The chosen volume as it is to be published there; None: it has a status there. An error if it went away."""
        volume: Volume | None = tx.get(Volume, id)
        if volume is None or volume.spec.availability is not Availability.ACTIVE:
            raise ApiError("FailedPrecondition", f"volume {id} is gone, or not for new tasks any more")
        return publish_on(volume, node_id)

    def _free(self, id: str, tx: Transaction) -> None:
        """Whenever decisions are written, what is not used any more is let go of (volumes.go `freeVolumes`)."""
        volume: Volume | None = tx.get(Volume, id)
        freed = self.volumes.unused_on(volume) if volume is not None else None
        if freed is not None:
            tx.update(freed)

    def _undo(self, decision: Decision) -> None:
        """The commit was refused: free what the task would have held."""
        self.tasks[decision.old.id] = decision.old
        self.volumes.release_of(decision.new)
        self.nodes.remove_task(decision.new)


def _outdated(task: Task, now: Micros) -> Task:
    """Its service has a newer spec: no error, and if it shall stop anyway, it has (it would block an update)."""
    status = task.status.evolve(timestamp=now)
    if status.state == TaskState.PENDING and task.desired_state >= TaskState.SHUTDOWN:
        status = status.evolve(state=TaskState.SHUTDOWN, err="")
    return task.evolve(status=status)


def _groups(queue: Mapping[str, Task], rng: Random) -> list[list[Task]]:
    """By service and spec version; then, each alone, the tasks that have no spec version."""
    groups: dict[tuple[str, int], list[Task]] = {}
    alone = []
    for task in queue.values():
        if task.spec_version is None:
            alone.append([task])
        else:
            groups.setdefault((task.service_id, task.spec_version), []).append(task)
    return map_order(list(groups.values()), rng) + map_order(alone, rng)


def _name(task: Task, info: NodeInfo) -> str:
    return f"{task.service_name}.{task.slot or info.node.hostname}"
