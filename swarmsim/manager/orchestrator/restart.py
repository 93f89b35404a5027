"""The restart supervisor: whether a dead task gets a successor in its slot, and when that may start.

SwarmKit manager/orchestrator/restart/restart.go. One for each orchestrator, kept in memory
only: `task_init` rebuilds what matters of it for a new leader. A successor is created at once, to be prepared (desired
state READY), and *released* to run when the restart delay is over and, where its predecessor still runs, that has
stopped, its node is down or gone, or 60 s have passed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from ...api.ids import new_id
from ...api.objects import Node, Service, Task
from ...api.specs import Micros, RestartCondition
from ...api.states import Availability, NodeState, TaskState, UpdateState
from ...machine import Outbox
from ...store import MemoryStore, Transaction
from ...store.actions import CREATE, REMOVE, Change
from ...trace.events import RestartRefused, RestartScheduled
from .slot import Slot, SlotTuple, slot_tuple
from .task import StoreChange, is_global, is_job, new_task, restart_condition, restart_delay, task_time
from .waiting import Signal, Work, carry, caused_by

#: How long a successor waits for its predecessor to stop (restart.go `defaultOldTaskTimeout`).
OLD_TASK_TIMEOUT: Micros = 60_000_000

Outcome = RestartScheduled | RestartRefused | None


class DelayedStart:
    """A task that waits to be released: first for its delay, then perhaps for an old task."""

    __slots__ = ("again", "delay_over", "done", "old", "old_gone", "over", "scheduled_at", "task_id")

    def __init__(self, task_id: str, old: Task | None, scheduled_at: Micros) -> None:
        self.task_id = task_id
        self.old = old  # None: nothing to wait for
        self.scheduled_at = scheduled_at
        self.delay_over = False
        self.old_gone = old is None
        self.over = False  # the store says that the task waits no more
        self.done = Signal()  # released, or cancelled
        self.again: int | None = None  # the task has ended already: restart it when done; the cause


class History:
    """The restarts of one slot since its spec version began; `times` only where a window is set."""

    __slots__ = ("spec_version", "times", "total")

    def __init__(self, spec_version: int = 0) -> None:
        self.spec_version = spec_version
        self.total = 0
        self.times: deque[Micros] = deque()


class RestartSupervisor:
    def __init__(self, store: MemoryStore, task_timeout: Micros = OLD_TASK_TIMEOUT) -> None:
        self.store = store
        self.task_timeout = task_timeout
        self.delays: dict[str, DelayedStart] = {}
        self.history: dict[str, dict[SlotTuple, History]] = {}  # by service
        self.on_successor: Callable[[Task], None] = lambda task: None  # told of each, before it is committed
        self._awaited_tasks: dict[str, dict[str, DelayedStart]] = {}  # old task -> waiting task -> its start
        self._awaited_nodes: dict[str, dict[str, DelayedStart]] = {}

    # -- replacing a task --
    def restart(self, tx: Transaction, service: Service, task: Task, cause: int, out: Outbox) -> Outcome:
        """Shut `task` down and, if its policy allows, put a successor into its slot (restart.go `Restart`).

        Part of the caller's transaction; the caller emits what is returned when that is committed. The successor is
        made from the service as it is now, so an old task that fails during a paused update comes back new.
        """
        pending = self.delays.get(task.id)
        if pending is not None and not pending.over:  # it ended before it was released: its turn comes after its delay
            if pending.again is None:
                pending.again = cause
            return None
        assert task.desired_state <= TaskState.COMPLETE, f"{task.name} was shut down already"
        task = tx.update(task.evolve(desired_state=TaskState.SHUTDOWN), cause)
        node: Node | None = tx.get(Node, task.node_id)
        refusal = self.refusal(task, service)
        if refusal:
            return RestartRefused(task.id, _name(task, node), refusal)
        successor = self._successor(tx, service, task, out)
        tx.create(successor, cause)
        self.on_successor(successor)
        self.record(service, slot_tuple(service, successor), successor, tx.now)
        drained = node is not None and node.spec.availability is Availability.DRAIN
        delay = 0 if drained else self.delay_of(task)
        node_down = node is not None and node.status.state is NodeState.DOWN
        old = None if node_down or task.status.state > TaskState.RUNNING else task
        self.delay_start(old, successor.id, delay, tx.now, cause, out)
        return RestartScheduled(task.id, successor.id, _name(task, node), delay, _why(task, node))

    def delay_of(self, task: Task) -> Micros:
        """How long its successor waits before it starts (api/types.proto `RestartPolicy.Delay`)."""
        return restart_delay(task)

    def _successor(self, tx: Transaction, service: Service, task: Task, out: Outbox) -> Task:
        slot = slot_tuple(service, task)
        iteration = service.job_iteration if is_job(service) else None
        return new_task(
            self.store.cluster,
            service,
            *slot,
            tx.now,
            new_id(out.rng),
            desired_state=TaskState.READY,
            job_iteration=iteration,
        )

    def attempt(
        self,
        task_id: str,
        accepts: Callable[[Transaction, Task], Service | None],
        cause: int,
        told: list[tuple[int, Any]],
        out: Outbox,
    ) -> StoreChange:
        """A change that restarts a task if `accepts` gives its service; what happened is added to `told`."""

        def change(tx: Transaction) -> None:
            task: Task | None = tx.get(Task, task_id)
            service = accepts(tx, task) if task is not None else None
            if task is None or service is None:
                return
            outcome = self.restart(tx, service, task, cause, out)
            if outcome is not None:
                told.append((cause, outcome))

        return change

    # -- the policy --
    def refusal(self, task: Task, service: Service) -> str:
        """Why the task's own restart policy gives it no successor, or "" if it does (restart.go `shouldRestart`)."""
        condition = restart_condition(task)
        if condition is RestartCondition.NONE:
            return "restart condition none"
        failures_only = condition is RestartCondition.ON_FAILURE or is_job(service)
        if failures_only and task.status.state is TaskState.COMPLETE:
            return "it finished without failure"
        policy = task.spec.restart
        if policy is None or policy.max_attempts == 0:
            return ""
        # A quirk of the original: a global job's restarts are recorded by node and looked up without it.
        key = SlotTuple(task.slot, task.node_id if is_global(service) else "")
        history = self.history.get(task.service_id, {}).get(key)
        if history is None or (task.spec_version is not None and task.spec_version != history.spec_version):
            return ""
        window = policy.window or 0
        done = _restarts_within(history.times, task_time(task), window) if window else history.total
        return "" if done < policy.max_attempts else f"max attempts {policy.max_attempts} used up"

    def record(self, service: Service, key: SlotTuple, replacement: Task, created_at: Micros) -> None:
        """Count a restart, if the replacement's policy limits them (restart.go `RecordRestartHistory`)."""
        policy = replacement.spec.restart
        if policy is None or policy.max_attempts == 0:
            return
        of_service = self.history.setdefault(service.id, {})
        history = of_service.setdefault(key, History())
        if replacement.spec_version is not None and replacement.spec_version != history.spec_version:
            history = of_service[key] = History(replacement.spec_version)
        history.total += 1
        if policy.window:
            history.times.append(created_at)

    def forget_service(self, service_id: str) -> None:
        self.history.pop(service_id, None)

    def updatable(self, slot: Slot, service: Service) -> Slot:
        """Which tasks of a slot make it live (restart.go `UpdatableTasksInSlot`); none: the slot is dead.

        A task that ended and is not to be restarted keeps its slot live, so that a reconcile does not replace it but an
        update does.
        """
        wanted = [task for task in slot if task.desired_state <= TaskState.RUNNING]
        if wanted or not slot:
            return wanted
        status = service.update_status
        if status is not None and status.state is UpdateState.ROLLBACK_STARTED:
            return []
        newest = max(reversed(slot), key=task_time)  # of equals the one that was created last
        return [newest] if self.refusal(newest, service) else []

    # -- delayed starts --
    def delay_start(
        self, old: Task | None, task_id: str, delay: Micros, now: Micros, cause: int, out: Outbox
    ) -> DelayedStart:
        """Release the task when `delay` is over and `old`, if it runs, has stopped (restart.go `DelayStart`)."""
        pending = self.delays.get(task_id)
        self.cancel(task_id, out)
        if old is not None and old.status.state > TaskState.RUNNING:
            old = None
        start = self.delays[task_id] = DelayedStart(task_id, old, now)
        if pending is not None:
            start.again = pending.again  # the waiter finds the new delay, and waits for that
        if old is not None:
            self._awaited_tasks.setdefault(old.id, {})[task_id] = start
            if old.node_id:
                self._awaited_nodes.setdefault(old.node_id, {})[task_id] = start
        with caused_by(out, cause):
            if delay > 0:
                out.set_timer(("start", task_id), delay)
            else:
                self._delay_over(start, now, out)
        return start

    def cancel(self, task_id: str, out: Outbox) -> None:
        start = self.delays.pop(task_id, None)
        if start is not None:
            self._stop_waiting(start, out)
            start.done.fire(out)

    def on_timer(self, task_id: str, out: Outbox) -> None:
        start = self.delays.get(task_id)
        if start is None:
            return
        if start.delay_over:  # the old task has had its 60 s
            self._release(start, out)
        else:
            self._delay_over(start, out.now, out)

    def follow(self, change: Change, out: Outbox) -> None:
        """See whether an awaited task has stopped, or the node it stood on is gone."""
        obj = change.new
        if type(obj) is Task:
            start = self.delays.get(obj.id)
            if change.kind is REMOVE:
                self.cancel(obj.id, out)
                return
            if start is not None and obj.desired_state > TaskState.READY:
                start.over = True
            if obj.id in self._awaited_tasks and obj.status.state > TaskState.RUNNING and change.kind is not CREATE:
                self._old_gone(self._awaited_tasks[obj.id], change.cause, out)
        elif type(obj) is Node and obj.id in self._awaited_nodes:
            if change.kind is REMOVE or obj.status.state is NodeState.DOWN:
                self._old_gone(self._awaited_nodes[obj.id], change.cause, out)

    def _old_gone(self, waiting: dict[str, DelayedStart], cause: int, out: Outbox) -> None:
        for start in list(waiting.values()):
            start.old_gone = True
            if start.delay_over:
                with caused_by(out, cause):
                    self._release(start, out)

    def _delay_over(self, start: DelayedStart, now: Micros, out: Outbox) -> None:
        start.delay_over = True
        left = start.scheduled_at + self.task_timeout - now
        if start.old_gone or left <= 0:
            self._release(start, out)
        else:
            out.set_timer(("start", start.task_id), left)

    def _release(self, start: DelayedStart, out: Outbox) -> None:
        self._stop_waiting(start, out)
        out.start(carry(self._released(start, out), out))

    def _stop_waiting(self, start: DelayedStart, out: Outbox) -> None:
        out.cancel_timer(("start", start.task_id))
        if start.old is not None:
            _discard(self._awaited_tasks, start.old.id, start.task_id)
            _discard(self._awaited_nodes, start.old.node_id, start.task_id)

    def _released(self, start: DelayedStart, out: Outbox) -> Work:
        yield out.update(start_now(start.task_id))
        if self.delays.get(start.task_id) is start:
            del self.delays[start.task_id]
        start.done.fire(out)
        if start.again is not None:
            yield from self._restart_again(start.task_id, start.again, out)

    def _restart_again(self, task_id: str, cause: int, out: Outbox) -> Work:
        """The task ended while it waited to be released (restart.go `waitRestart`)."""

        def service_of(tx: Transaction, task: Task) -> Service | None:
            service: Service | None = tx.get(Service, task.service_id)
            return service if task.desired_state <= TaskState.RUNNING else None

        told: list[tuple[int, Any]] = []
        out.cause = cause
        yield out.update(self.attempt(task_id, service_of, cause, told, out))
        tell(told, out)


def start_now(task_id: str) -> StoreChange:
    """Let a waiting task run: a job's task to its completion (restart.go `StartNow`)."""

    def change(tx: Transaction) -> None:
        task: Task | None = tx.get(Task, task_id)
        if task is not None and task.desired_state < TaskState.RUNNING:
            desired = TaskState.RUNNING if task.job_iteration is None else TaskState.COMPLETE
            tx.update(task.evolve(desired_state=desired))

    return change


def tell(told: list[tuple[int, Any]], out: Outbox) -> None:
    """Emit what a transaction did, now that it is committed, each with its own cause."""
    for cause, event in told:
        with caused_by(out, cause):
            out.emit(event)


def _restarts_within(times: deque[Micros], ended_at: Micros, window: Micros) -> int:
    """How many of the recorded restarts lie in the window before `ended_at`; older ones are forgotten."""
    while times and times[0] <= ended_at - window:
        times.popleft()
    count = len(times)
    for time in reversed(times):
        if time < ended_at:
            break
        count -= 1
    return count


def _discard(index: dict[str, dict[str, DelayedStart]], key: str, task_id: str) -> None:
    waiting = index.get(key)
    if waiting is not None:
        waiting.pop(task_id, None)
        if not waiting:
            del index[key]


def _name(task: Task, node: Node | None) -> str:
    return task.name if task.slot or node is None else f"{task.service_name}.{node.hostname}"


def _why(task: Task, node: Node | None) -> str:
    if task.status.state > TaskState.RUNNING:
        return task.status.state.name.lower()
    if node is None:
        return "its node was removed"
    return f"{node.hostname} is down" if node.status.state is NodeState.DOWN else f"{node.hostname} is drained"
