"""The scheduler machine: follows commits, and places tasks once they calm down.

SwarmKit manager/scheduler/scheduler.go; reference/orchestration.md section 14. After a commit it waits until none
came for 50 ms, or decides at once if it has waited for more than 1 s; a *pass* first tries the tasks that are bound
to a node (global services), then, if anything relevant happened, groups the unassigned ones by service and spec
version and places each group with one tree (`spread`). Decisions are booked at once on the scheduler's own view and
undone where the commit refuses them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from random import Random
from typing import Any, NamedTuple

from ...api.messages import Committed
from ...api.objects import Node, Task, TaskStatus
from ...api.specs import Micros
from ...api.states import TaskState
from ...machine import Address, Handler, Machine, Outbox
from ...store import MemoryStore, Transaction
from ...store.actions import CREATE, REMOVE, Change
from ...trace.events import TaskNotPlaced, TaskPlaced
from . import generic_resources as generic
from .node_info import NodeInfo, reservations
from .pipeline import Pipeline, explanation
from .spread import Choice, Spread, map_order

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

    def __init__(self, node: str, store: MemoryStore) -> None:
        self.node = node
        self.store = store
        self.nodes: dict[str, NodeInfo] = {}
        self.tasks: dict[str, Task] = {}  # observed PENDING to RUNNING, own decisions included
        self.unassigned: dict[str, Task] = {}
        self.preassigned: dict[str, None] = {}
        self.pending_preassigned: dict[str, Task] = {}
        self._causes: dict[str, int] = {}  # of waiting tasks: what made them wait
        self._trigger = 0  # cause of the latest change that may have made room
        self._order: list[NodeInfo] = []  # the nodes in map order
        self._pipeline = Pipeline(store)
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
        by_node: dict[str, list[Task]] = {}
        for task in self.store.tasks.values():
            if not TaskState.PENDING <= task.status.state <= TaskState.RUNNING:
                continue
            pending = task.status.state == TaskState.PENDING
            if pending and task.desired_state > TaskState.COMPLETE:
                continue
            self.tasks[task.id] = task
            self._causes[task.id] = out.cause
            if not task.node_id:
                self.unassigned[task.id] = task
            elif pending:
                self._await_node(task)
            else:
                by_node.setdefault(task.node_id, []).append(task)
        for node in self.store.nodes.values():
            self._add_node(NodeInfo(node, by_node.get(node.id, ())), out)

    def _add_node(self, info: NodeInfo, out: Outbox) -> None:
        """Beyond eight nodes Go's map has no order of insertion: a new node takes a random place."""
        self.nodes[info.node.id] = info
        n = len(self._order)
        self._order.insert(n if n < 8 else out.rng.randrange(n + 1), info)

    def _await_node(self, task: Task) -> None:
        self.preassigned[task.id] = None
        self.pending_preassigned[task.id] = task

    def _follow(self, change: Change, out: Outbox) -> None:
        obj = change.new
        if type(obj) is Task:
            relevant = self._follow_task(change, out)
        elif type(obj) is Node:
            relevant = self._follow_node(change, out)
        else:
            return
        if relevant:
            self._tick_required = True
            if type(obj) is Node or obj.node_id:
                self._trigger = change.cause

    def _follow_node(self, change: Change, out: Outbox) -> bool:
        node: Node = change.new
        info = self.nodes.get(node.id)
        if change.kind is REMOVE:
            if info is not None:
                del self.nodes[node.id]
                self._order.remove(info)
            return False
        if info is None:
            self._add_node(NodeInfo(node), out)
        else:
            info.set_node(node)
        return True

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
            self._track_on_node(task)
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

    def _track_on_node(self, task: Task) -> None:
        self.tasks[task.id] = task
        info = self.nodes.get(task.node_id)
        if info is not None:
            info.add_task(task)

    def _task_ended(self, task: Task, out: Outbox) -> bool:
        """Free what it held; a failure of a task that we placed counts against its node (14.7)."""
        known = self.tasks.get(task.id)
        if known is None:
            return False
        failed = task.status.state in (TaskState.FAILED, TaskState.REJECTED)
        if failed and task.status.state != known.status.state and task.id not in self.preassigned:
            info = self.nodes.get(task.node_id)
            if info is not None:
                info.task_failed(task, out.now)
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
        info = self.nodes.get(task.node_id)
        return info is not None and info.remove_task(task)

    # -- tasks bound to a node --
    def _process_preassigned(self, out: Outbox) -> Work:
        """Confirm each pending task on the node it is bound to, or say why not (`processPreassignedTasks`)."""
        decisions = []
        for task in map_order(list(self.pending_preassigned.values()), out.rng):
            info = self.nodes.get(task.node_id)
            if info is not None:
                decisions.append(self._fit(task, info, out.now))
        applied, failed = yield from self._apply(decisions, out)
        for decision in applied:
            if decision.new.status.state == TaskState.ASSIGNED:
                self.pending_preassigned.pop(decision.old.id, None)
        for decision in failed:
            self._undo(decision)

    def _fit(self, task: Task, info: NodeInfo, now: Micros) -> Decision:
        """scheduler.go `taskFitNode`."""
        name = _name(task, info)
        self._pipeline.load(task)
        if not self._pipeline.process(info):
            reason = self._pipeline.explain()
            new = task.evolve(status=task.status.evolve(timestamp=now, err=reason))
            self.tasks[task.id] = new
            return Decision(task, new, TaskNotPlaced(task.id, name, reason), self._cause_of(task))
        service_tasks = info.active_by_service.get(task.service_id, 0)
        new = self._book(task, info, CONFIRMED_MESSAGE, now)
        placed = TaskPlaced(task.id, name, info.node.hostname, 1, service_tasks, "", "bound to this node")
        return Decision(task, new, placed, self._cause_of(task))

    def _book(self, task: Task, info: NodeInfo, message: str, now: Micros) -> Task:
        """Put the task on the node in our own view."""
        status = TaskStatus(TaskState.ASSIGNED, message, "", now)
        wanted = reservations(task).generic
        if wanted:
            held = generic.select(info.generic, wanted)
            new = task.evolve(node_id=info.node.id, status=status, assigned_generic=held)
        else:
            new = task.evolve(node_id=info.node.id, status=status)
        self.tasks[task.id] = new
        info.add_task(new)
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
        self._pipeline.load(group[0])
        old = {task.id: task for task in group}
        spread = Spread(group, self._pipeline, out.now, out.rng)
        put: Callable[[Task, NodeInfo], Task] = lambda task, info: self._book(  # noqa: E731
            task, info, ASSIGNED_MESSAGE, out.now
        )
        unplaced = spread.place(map_order(self._order, out.rng), put)
        refused = explanation(spread.refused)
        decisions = [self._chosen(old[c.task.id], c, refused) for c in spread.choices]
        if unplaced:
            decisions += self._no_suitable_node(unplaced, out.now)
        return decisions

    def _chosen(self, old: Task, choice: Choice, refused: str) -> Decision:
        task, info, tied, service_tasks, why = choice
        event = TaskPlaced(task.id, _name(task, info), info.node.hostname, tied, service_tasks, refused, why)
        return Decision(old, task, event, self._cause_of(old))

    def _no_suitable_node(self, unplaced: list[Task], now: Micros) -> list[Decision]:
        """Write the explanation and queue again, unless the service is gone or newer (`noSuitableNode`)."""
        reason = self._pipeline.explain()
        text = f"no suitable node ({reason})" if reason else "no suitable node"
        decisions = []
        for task in unplaced:
            service = self.store.services.get(task.service_id)
            if service is None:
                continue
            status = task.status.evolve(timestamp=now)
            if task.spec_version is not None and service.spec_version > task.spec_version:
                if task.desired_state >= TaskState.SHUTDOWN:
                    status = status.evolve(state=TaskState.SHUTDOWN, err="")
                new, event = task.evolve(status=status), None
            else:
                new = task.evolve(status=status.evolve(err=text))
                event = TaskNotPlaced(task.id, task.name, text)
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
        results = yield out.batch([self._change(d, written) for d in decisions])
        for decision, error in zip(decisions, results, strict=True):
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

    def _change(self, decision: Decision, written: dict[str, bool]) -> Callable[[Transaction], None]:
        """Writes one task: dropped if it is gone, nothing if all is as it was, an error if it changed meanwhile."""

        def change(tx: Transaction) -> None:
            now = tx.get(Task, decision.old.id)
            if now is None:
                self._forget(decision.new)
                written[decision.old.id] = False
                return
            status, wanted = now.status, decision.new.status
            same = status.state == wanted.state and status.message == wanted.message and status.err == wanted.err
            if not same:
                tx.update(decision.new, decision.cause)
            written[decision.old.id] = not same

        return change

    def _undo(self, decision: Decision) -> None:
        """The commit was refused: free what the task would have held."""
        self.tasks[decision.old.id] = decision.old
        info = self.nodes.get(decision.new.node_id)
        if info is not None:
            info.remove_task(decision.new)


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
