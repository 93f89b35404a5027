"""Rolling updates: the tasks of a service are replaced slot by slot, and failures pause the update or roll it back.

SwarmKit manager/orchestrator/update/updater.go. The supervisor runs one updater for each service: `parallelism` workers
take dirty slots one after another, while the updater itself watches for failures of the tasks they create; when all is
done it watches for one more monitor period. A request with another spec cancels the updater that runs and starts a new
one, which knows nothing of the old one's failures and does not sit out its delay.

Quirks of the original that are kept: a rollback that fails under failure action *rollback* says ROLLBACK_PAUSED, and
COMPLETED soon after; a rollback without a previous spec leaves UPDATING for good; a new task that never runs stalls its
worker for good; a delay at least as long as the monitor period lengthens the latter; restart delays are not applied
here.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Generator
from typing import Any

from ...api.ids import new_id
from ...api.objects import Node, Service, Task, UpdateStatus
from ...api.specs import FailureAction, Micros, UpdateConfig, UpdateOrder
from ...api.states import TaskState, UpdateState
from ...errors import ApiError, LeadershipLost
from ...machine import SECOND, Outbox
from ...store import MemoryStore, Transaction
from ...store.actions import UPDATE, Change
from .restart import DelayedStart, RestartSupervisor
from .slot import Slot
from .task import is_global, is_task_dirty, new_task
from .waiting import Signal, Work, carry, caused_by, either

#: api/defaults/service.go `Service.Update`, `Service.Rollback`.
DEFAULT_CONFIG = UpdateConfig()
DEFAULT_MONITOR: Micros = 5_000_000

PAUSED = (UpdateState.PAUSED, UpdateState.ROLLBACK_PAUSED)
IN_PROGRESS = (UpdateState.UPDATING, UpdateState.ROLLBACK_STARTED)


class UpdateError(ApiError):
    """Why a slot could not be updated; in the original a line in the log."""

    def __init__(self, text: str) -> None:
        super().__init__("Unknown", text)


class UpdateSupervisor:
    """The updaters of one orchestrator, at most one for each service."""

    def __init__(self, store: MemoryStore, restarts: RestartSupervisor, updater: type[Updater] | None = None) -> None:
        self.store = store
        self.restarts = restarts
        self.updater = updater or Updater
        self.updates: dict[str, Updater] = {}
        self._serial = 0

    def update(self, service: Service, slots: list[Slot], out: Outbox) -> Work:
        """Start an update of these slots beside; waits until one that works towards another spec has stopped."""
        running = self.updates.get(service.id)
        if running is not None:
            if running.service.spec != service.spec:
                yield from running.cancel(out)
            elif running.finishing:
                yield running.done
            else:
                return
        self._serial += 1
        updater = self.updates[service.id] = self.updater(self.store, self.restarts, service, self._serial)
        out.start(carry(self._run(updater, slots, out), out))

    def _run(self, updater: Updater, slots: list[Slot], out: Outbox) -> Work:
        yield from updater.run(slots, out)
        if self.updates.get(updater.service.id) is updater:
            del self.updates[updater.service.id]
        updater.done.fire(out)

    def follow(self, change: Change, out: Outbox) -> None:
        if type(change.new) is Task and change.kind is UPDATE and change.new.status.state >= TaskState.RUNNING:
            updater = self.updates.get(change.new.service_id)
            if updater is not None:
                updater.follow(change.new, change.cause, out)

    def on_timer(self, name: Any, out: Outbox) -> None:
        """`name` is ("update", service, serial, what)."""
        updater = self.updates.get(name[1])
        if updater is not None and updater.serial == name[2]:
            updater.on_timer(name[3], out)


class Updater:
    """One update of one service towards `service.spec`."""

    def __init__(self, store: MemoryStore, restarts: RestartSupervisor, service: Service, serial: int) -> None:
        self.store = store
        self.restarts = restarts
        self.service = service
        self.serial = serial
        self.done = Signal()
        self.finishing = False
        self.config = DEFAULT_CONFIG
        self.monitor = DEFAULT_MONITOR
        self._queue: deque[Slot] = deque()  # dirty slots that no worker has taken yet
        self._dirty = 0  # how many there were
        self._feeding = True
        self._stopped = False  # cancelled, paused or rolled back
        self._cancelled = Signal()
        self._workers = 0
        self._created: dict[str, Micros | None] = {}  # our tasks -> when they were seen to run (or end)
        self._reached: dict[str, Signal] = {}  # our tasks that a worker waits for
        self._timers: dict[Any, Signal] = {}  # who waits for which
        self._watching = False
        self._failures: deque[tuple[Task, int]] = deque()  # not judged yet, with their causes
        self._failed: dict[str, None] = {}
        self._nudge = Signal()  # something happened that `run` may wait for

    # -- the run --
    def run(self, slots: list[Slot], out: Outbox) -> Work:
        """updater.go `Run`."""
        status = self.service.update_status
        if status is not None and status.state in PAUSED:
            return
        self._queue.extend(slot for slot in slots if self._is_slot_dirty(slot))
        self._dirty = len(self._queue)
        if not self._queue:
            if status is not None and status.state in IN_PROGRESS:
                yield from self._write(_completed, out)
            return
        if status is None:
            yield from self._write(_started, out)
        self._configure(status)
        self._start_workers(out)
        yield from self._feed(out)
        while self._workers:
            yield self._next()
        if not self._stopped:
            yield from self._keep_monitoring(out)
        if not self._stopped:
            # The reconcile that this write leads to finds no updater any more, and so looks at all slots again.
            self.finishing = True
            yield from self._write(_completed, out)

    def _configure(self, status: UpdateStatus | None) -> None:
        """The rollback's settings count only if it had started when this updater did."""
        spec = self.service.spec
        rolling_back = status is not None and status.state is UpdateState.ROLLBACK_STARTED
        self.config = (spec.rollback if rolling_back else spec.update) or DEFAULT_CONFIG
        self.monitor = DEFAULT_MONITOR if self.config.monitor is None else self.config.monitor
        self._watching = self.config.failure_action is not FailureAction.CONTINUE

    def _start_workers(self, out: Outbox) -> None:
        count = min(self.config.parallelism or self._dirty, self._dirty)
        self._workers = count
        for number in range(count):
            out.start(carry(self._work(number, out), out))

    def _feed(self, out: Outbox) -> Work:
        """Judge failures while workers still take slots."""
        while self._queue and self._feeding:
            if not self._failures:
                yield self._next()
            elif (yield from self._judge(*self._failures.popleft(), out)):
                break
        self._feeding = False

    def _keep_monitoring(self, out: Outbox) -> Work:
        """One more monitor period, stretched beyond the delay; it is the measure of failures from now on."""
        if self.config.delay >= self.monitor:
            self.monitor = self.config.delay + SECOND
        timer = self._set_timer("monitor", self.monitor, out)
        while not self._stopped:
            if self._failures:
                if (yield from self._judge(*self._failures.popleft(), out)):
                    break
            elif timer.fired:
                return
            else:
                yield self._next()
        self._cancel_timer("monitor", out)

    def cancel(self, out: Outbox) -> Work:
        """Stop, and wait until it has. The tasks that it made stay, and are released as they would have been."""
        self._stopped = True
        self._feeding = False
        self._cancelled.fire(out)
        self._wake(out)
        yield self.done

    # -- what happens meanwhile --
    def follow(self, task: Task, cause: int, out: Outbox) -> None:
        """A task of the service is RUNNING or has ended. Failures first: they keep the worker from its next slot."""
        with caused_by(out, cause):
            if self._watching and task.status.state > TaskState.RUNNING and task.id in self._created:
                self._failures.append((task, cause))
                self._wake(out)
            reached = self._reached.get(task.id)
            if reached is not None:
                reached.fire(out, task.status.state)

    def on_timer(self, what: Any, out: Outbox) -> None:
        signal = self._timers.pop(what, None)
        if signal is not None:
            signal.fire(out)
            self._wake(out)

    def _next(self) -> Signal:
        """What `run` yields to wait until something has happened; it then looks for itself."""
        if self._nudge.fired:
            self._nudge = Signal()
        return self._nudge

    def _wake(self, out: Outbox) -> None:
        self._nudge.fire(out)

    def _set_timer(self, what: Any, duration: Micros, out: Outbox) -> Signal:
        signal = self._timers[what] = Signal()
        out.set_timer(("update", self.service.id, self.serial, what), duration)
        return signal

    def _cancel_timer(self, what: Any, out: Outbox) -> None:
        if self._timers.pop(what, None) is not None:
            out.cancel_timer(("update", self.service.id, self.serial, what))

    # -- failures --
    def _judge(self, task: Task, cause: int, out: Outbox) -> Generator[Any, Any, bool]:
        """Does this failure trigger the failure action? If so the action is written."""
        if task.id in self._failed:
            return False
        ran_since = self._created[task.id]
        if ran_since is not None and out.now - ran_since > self.monitor:
            return False
        self._failed[task.id] = None
        if _single(len(self._failed) / self._dirty) <= _single(self.config.max_failure_ratio):
            return False
        out.cause = cause
        self._feeding = False
        because = f"due to failure or early termination of task {task.id}"
        status = self.service.update_status
        if self.config.failure_action is FailureAction.PAUSE:
            self._stopped = True
            yield from self._write(lambda s, now: _paused(s, f"update paused {because}"), out)
        elif status is not None and status.state is UpdateState.ROLLBACK_STARTED:
            # Never roll back a rollback. But it does not count as stopped, so it says COMPLETED in the end.
            yield from self._write(lambda s, now: _paused(s, f"rollback paused {because}"), out)
        else:
            self._stopped = True
            yield from self._write(lambda s, now: _rolled_back(s, f"update rolled back {because}"), out)
        return True

    def _write(self, evolve: Callable[[Service, Micros], Service | None], out: Outbox) -> Work:
        """Write the update status; nothing if the service is gone."""

        def change(tx: Transaction) -> None:
            service: Service | None = tx.get(Service, self.service.id)
            new = evolve(service, tx.now) if service is not None else None
            if new is not None:
                tx.update(new)

        yield out.update(change)

    # -- workers --
    def _work(self, number: int, out: Outbox) -> Work:
        """updater.go `worker`: slot after slot, with the delay after each."""
        while self._feeding and self._queue:
            slot = self._queue.popleft()
            if not self._queue:
                self._wake(out)
            yield from self._update_slot(slot, out)
            if self.config.delay:
                yield either(self._set_timer(number, self.config.delay, out), self._cancelled)
                self._cancel_timer(number, out)
        self._workers -= 1
        self._wake(out)

    def _update_slot(self, slot: Slot, out: Outbox) -> Work:
        """If a task of the slot is as it shall be already, use it; else create one."""
        clean = [task for task in slot if not self._is_dirty(task)]
        running = [task for task in clean if task.desired_state is TaskState.RUNNING][:1]
        waiting = [task for task in clean if task.desired_state < TaskState.RUNNING][-1:]
        try:
            for existing in (running or waiting)[:1]:
                yield from self._use_existing(slot, existing, out)
                return
            yield from self._replace(slot, out)
        except LeadershipLost:
            raise
        except ApiError:
            return  # the slot stays as it is

    def _use_existing(self, slot: Slot, existing: Task, out: Outbox) -> Work:
        """updater.go `useExistingTask`: shut the others down, release it if it still waits."""
        others = [task for task in slot if task is not existing]
        if not others and existing.desired_state is TaskState.RUNNING:
            return

        def change(tx: Transaction) -> DelayedStart | None:
            old = shut_down(tx, others)
            if existing.desired_state is TaskState.RUNNING:
                return None
            return self.restarts.delay_start(old, existing.id, 0, tx.now, tx.cause, out)

        start: DelayedStart | None = yield out.update(change)
        if start is not None:
            yield either(start.done, self._cancelled)

    def _replace(self, slot: Slot, out: Outbox) -> Work:
        """updater.go `updateTask`: create the new task, stop the old ones before (or after) it runs."""
        new = self._new_task(slot[0], out)
        start_first = self.config.order is UpdateOrder.START_FIRST
        self._created[new.id] = None
        reached = self._reached[new.id] = Signal()

        def change(tx: Transaction) -> DelayedStart:
            if tx.get(Service, new.service_id) is None:
                raise UpdateError("service was deleted")
            tx.create(new)
            old = None if start_first else shut_down(tx, slot)
            return self.restarts.delay_start(old, new.id, 0, tx.now, tx.cause, out)

        try:
            start: DelayedStart = yield out.update(change)
            yield either(start.done, self._cancelled)
            yield either(reached, self._cancelled)  # without any time limit
        finally:
            self._reached.pop(new.id, None)
        if self._cancelled.fired:
            return
        self._created[new.id] = out.now
        if start_first and reached.value is TaskState.RUNNING:
            yield out.update(lambda tx: shut_down(tx, slot))

    def _new_task(self, old: Task, out: Outbox) -> Task:
        node = old.node_id if is_global(self.service) else ""
        cluster = self.store.cluster
        return new_task(cluster, self.service, old.slot, node, out.now, new_id(out.rng), desired_state=TaskState.READY)

    # -- dirt --
    def _is_slot_dirty(self, slot: Slot) -> bool:
        return len(slot) > 1 or (len(slot) == 1 and self._is_dirty(slot[0]))

    def _is_dirty(self, task: Task) -> bool:
        node: Node | None = self.store.nodes.get(task.node_id)
        return is_task_dirty(self.service, task, node)


def _single(share: float) -> float:
    """As the original's `float32`: 0.33333333 is a third there, and a third is not more."""
    rounded: float = struct.unpack("f", struct.pack("f", share))[0]
    return rounded


def shut_down(tx: Transaction, tasks: list[Task]) -> Task | None:
    """Shut down those that were wanted; gives the last, to be waited for (updater.go `removeOldTasks`).

    Fails if there were such tasks but somebody else was quicker with all of them: then there is nothing to replace.
    """
    last: Task | None = None
    error: UpdateError | None = None
    for original in tasks:
        if original.desired_state > TaskState.RUNNING:
            continue
        task: Task | None = tx.get(Task, original.id)
        if task is None:
            error = UpdateError(f"task {original.id} not found while trying to shut it down")
        elif task.desired_state > TaskState.RUNNING:
            error = UpdateError(f"task {original.id} was already shut down when reached by updater")
        else:
            tx.update(task.evolve(desired_state=TaskState.SHUTDOWN))
            last = original
    if last is None and error is not None:
        raise error
    return last


# -- the update status: None means that nothing is to be written --
def _started(service: Service, now: Micros) -> Service | None:
    if service.update_status is not None:
        return None
    return service.evolve(update_status=UpdateStatus(UpdateState.UPDATING, "update in progress", started_at=now))


def _completed(service: Service, now: Micros) -> Service | None:
    status = service.update_status
    if status is None:
        return None
    if status.state is UpdateState.ROLLBACK_STARTED:
        state, message = UpdateState.ROLLBACK_COMPLETED, "rollback completed"
    else:
        state, message = UpdateState.COMPLETED, "update completed"
    return service.evolve(update_status=status.evolve(state=state, message=message, completed_at=now))


def _paused(service: Service, message: str) -> Service | None:
    status = service.update_status
    if status is None:
        return None
    rolling_back = status.state is UpdateState.ROLLBACK_STARTED
    state = UpdateState.ROLLBACK_PAUSED if rolling_back else UpdateState.PAUSED
    return service.evolve(update_status=status.evolve(state=state, message=message))


def _rolled_back(service: Service, message: str) -> Service | None:
    """Spec and version are exchanged for the previous ones, of which nothing is kept."""
    status = service.update_status
    if status is None or service.previous_spec is None:
        return None  # the original's transaction fails without a previous spec; the status stays as it is
    return service.evolve(
        spec=service.previous_spec,
        spec_version=service.previous_spec_version,
        previous_spec=None,
        previous_spec_version=None,
        update_status=status.evolve(state=UpdateState.ROLLBACK_STARTED, message=message),
    )
