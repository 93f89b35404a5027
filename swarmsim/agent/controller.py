"""The controller: moves one task from state to state, and decides what a container's end means.

SwarmKit agent/exec/controller.go, `Do`: one function reads observed and desired state and takes one step. The
container itself is physics (`sim.engine`): this only asks for it to be prepared, started, awaited, stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, NamedTuple

from ..api.engine import ContainerError, Prepare, Remove, Start, Stop, Wait, WatchHealth
from ..api.health import Health, health_check
from ..api.objects import Task, TaskStatus
from ..api.states import TaskState
from ..machine import Micros, Outbox
from . import runtimes

S = TaskState

#: daemon/cluster/executor/container: a container with a service binding leaves the load balancers this long
#: before it is stopped.
CONVERGE_DELAY: Micros = 2_000_000
ATTACHMENT_LIMIT: Micros = 30_000_000
POLL: Micros = 100_000  # how often what a task needs is looked for
VOLUME_LIMIT: Micros = 300_000_000
NO_VOLUME = "context deadline exceeded"
UNHEALTHY = "dockerexec: unhealthy container"
NO_ATTACHMENT = "node is missing network attachments, ip addresses may be exhausted"


class Step(NamedTuple):
    """What a step led to; None in place of a Step means that there is nothing to do until the task changes."""

    state: TaskState
    message: str
    err: str = ""
    exit_code: int | None = None


Cancelled = Callable[[], bool]


class Binding(NamedTuple):
    """How a controller reaches the node around it: its attachments, and the load balancers of all nodes."""

    attached: Callable[[Task], bool]
    activate: Callable[[Task, Outbox], None]
    disable: Callable[[Task, Outbox], None]
    remove: Callable[[Task, Outbox], None]
    has_volumes: Callable[[Task], bool] = lambda task: True


def has_binding(task: Task) -> bool:
    """Does traffic reach the task by a virtual IP or a published port?"""
    return bool(task.networks) and task.spec.runtime is None


def do(
    task: Task, status: TaskStatus, binding: Binding, cancelled: Cancelled, out: Outbox
) -> Generator[Any, Any, Step | None]:
    """One step. Raises nothing: an engine's error becomes REJECTED (before STARTING) or FAILED.

    `cancelled()`: has a change of the task begun another step meanwhile? Then nothing more is asked of the engine.
    """
    state = status.state
    if task.spec.runtime is not None:
        step = runtimes.advance(task, state)
        return None if step is None else Step(*step)
    try:
        if task.desired_state >= S.SHUTDOWN:
            return None if state >= S.COMPLETE else (yield from _shut_down(task, binding, out))
        if state > task.desired_state or state > S.RUNNING:
            return None
        return (yield from _advance(task, state, binding, cancelled, out))
    except ContainerError as error:
        failed = S.REJECTED if state < S.STARTING else S.FAILED
        return Step(failed, status.message, error.text, error.exit_code)


def _advance(
    task: Task, state: TaskState, binding: Binding, cancelled: Cancelled, out: Outbox
) -> Generator[Any, Any, Step | None]:
    if state <= S.ASSIGNED:  # whatever is desired: taking it on is part of making its controller (`Resolve`)
        return Step(S.ACCEPTED, "accepted")
    if state == S.ACCEPTED:
        return Step(S.PREPARING, "preparing") if state < task.desired_state else None
    if state == S.PREPARING:
        yield from _await_attachments(task, binding, cancelled, out)
        yield from _await_volumes(task, binding, cancelled, out)
        if cancelled():
            return None
        yield out.execute(Prepare(task))
        return Step(S.READY, "prepared")
    if state == S.READY:
        return Step(S.STARTING, "starting") if state < task.desired_state else None
    if state == S.STARTING:
        yield out.execute(Start(task))
        yield from _while_healthy(task, Health.STARTING, binding, cancelled, out)
        return Step(S.RUNNING, "started")
    assert state == S.RUNNING, f"no step from {state.name}"
    yield from _while_healthy(task, Health.HEALTHY, binding, cancelled, out)
    yield from _ended_well(task, "", out)
    return Step(S.COMPLETE, "finished", exit_code=0)


def _while_healthy(
    task: Task, known: Health, binding: Binding, cancelled: Cancelled, out: Outbox
) -> Generator[Any, Any, None]:
    """Wait until the health check has something to say, if there is one (daemon controller.go `Start`, `Wait`).

    An unhealthy container is shut down; its task fails unless it exits with 0 at that. So does one that exits by
    itself before its health is known.
    """
    if health_check(task.spec.container) is None:
        return
    health = yield out.execute(WatchHealth(task, known))
    if health is Health.HEALTHY or cancelled():
        return
    if health is Health.UNHEALTHY:
        yield from shut_down(task, binding, out)
        yield from _ended_well(task, f": {UNHEALTHY}", out)
    elif known is Health.STARTING:
        yield from _ended_well(task, "", out)


def _ended_well(task: Task, cause: str, out: Outbox) -> Generator[Any, Any, None]:
    code = yield out.execute(Wait(task))
    if code != 0:
        raise ContainerError(f"task: non-zero exit ({code}){cause}", code)


def _await_attachments(task: Task, binding: Binding, cancelled: Cancelled, out: Outbox) -> Generator[Any, Any, None]:
    """The node's own address on each overlay network is given after the scheduler's commit: wait for it."""
    yield from _await(lambda: binding.attached(task), ATTACHMENT_LIMIT, NO_ATTACHMENT, cancelled, out)


def _await_volumes(task: Task, binding: Binding, cancelled: Cancelled, out: Outbox) -> Generator[Any, Any, None]:
    """Its cluster volumes come by themselves, after the controller published them (`waitClusterVolumes`)."""
    yield from _await(lambda: binding.has_volumes(task), VOLUME_LIMIT, NO_VOLUME, cancelled, out)


def _await(
    ready: Callable[[], bool], limit: Micros, error: str, cancelled: Cancelled, out: Outbox
) -> Generator[Any, Any, None]:
    waited = 0
    while not ready() and not cancelled():
        if waited >= limit:
            raise ContainerError(error)
        yield out.sleep(POLL)
        waited += POLL


def shut_down(task: Task, binding: Binding, out: Outbox) -> Generator[Any, Any, int | None]:
    """Out of the load balancers first, wait for gossip to spread it, then stop (daemon controller.go `Shutdown`).

    Gives the exit code, None for a container that never ran.
    """
    if has_binding(task):
        binding.disable(task, out)
        yield out.sleep(CONVERGE_DELAY)
    code: int | None = yield out.execute(Stop(task))
    return code


def remove(task: Task, status: TaskStatus, binding: Binding, out: Outbox) -> Generator[Any, Any, None]:
    """The managers deleted the task: it is shut down, if need be, and what is left of it goes (`Remove`)."""
    if status.state < S.COMPLETE:
        yield from shut_down(task, binding, out)
    if has_binding(task):
        binding.remove(task, out)
    yield out.execute(Remove(task.id))


def _shut_down(task: Task, binding: Binding, out: Outbox) -> Generator[Any, Any, Step]:
    code = yield from shut_down(task, binding, out)
    if code == 0 and task.spec.container.behaviour.on_stop == "complete":
        return Step(S.COMPLETE, "finished", exit_code=0)
    return Step(S.SHUTDOWN, "shutdown", exit_code=code)
