"""Tasks that run no container of the swarm's: attachments to a network, and runtimes that this engine does not know.

SwarmKit agent/exec/controller.go `Resolve`; moby daemon/cluster/executor/container (`Controller`, attachment.go). An
attachment goes through the same states as a container, has nothing to wait for, and lasts until it is taken away: its
addresses belong to a container that somebody else runs. An engine knows the runtime `plugin` only if it is an
experimental one, which the simulated ones are not, so every generic runtime fails where its controller would be made.
"""

from __future__ import annotations

from typing import NamedTuple

from ..api.objects import Task
from ..api.specs import GenericRuntimeSpec
from ..api.states import TaskState

S = TaskState

UNRESOLVED = "resolving controller failed"

#: What a task without a container becomes, by what it is (`exec.Do` with a controller that does nothing).
NEXT = {
    S.ACCEPTED: (S.PREPARING, "preparing"),
    S.PREPARING: (S.READY, "prepared"),
    S.READY: (S.STARTING, "starting"),
    S.STARTING: (S.RUNNING, "started"),
}


class Next(NamedTuple):
    state: TaskState
    message: str
    err: str = ""


def unresolvable(task: Task) -> str:
    """Why no controller can be made for the task; "" if one can."""
    runtime = task.spec.runtime
    if not isinstance(runtime, GenericRuntimeSpec):
        return ""
    if runtime.kind == "plugin":
        return 'runtime type "plugin" only supported in experimental'
    return f'unsupported runtime type: "{runtime.kind}"'


def resolve(state: TaskState, error: str) -> Next | None:
    """A task whose controller cannot be made: a rejection before it starts, a failure until it ends, then nothing."""
    if state < S.STARTING:
        return Next(S.REJECTED, UNRESOLVED, error)
    return Next(S.FAILED, UNRESOLVED, error) if state <= S.RUNNING else None


def advance(task: Task, state: TaskState) -> Next | None:
    """One step of a task without a container; None: there is nothing to do until the task changes."""
    error = unresolvable(task)
    if error:
        return resolve(state, error)
    if state < S.ACCEPTED:
        return Next(S.ACCEPTED, "accepted")
    if task.desired_state >= S.SHUTDOWN:
        return Next(S.SHUTDOWN, "shutdown") if state < S.COMPLETE else None
    if state >= task.desired_state or state not in NEXT:
        # PREPARING and STARTING are under way already, whatever is desired now.
        return None
    return Next(*NEXT[state])
