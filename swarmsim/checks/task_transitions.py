"""*task transitions*: no component makes a change of state that is not its own.

SwarmKit design/tla/Tasks.tla, `Transitions` and `Inv`: observed states only grow, each change belongs to one component
(`api.states.TRANSITIONS`), desired states only grow, nothing is observed in REMOVE, what is assigned has a node, every
task has a service, ids are unique. Where the code is wider than the model: the orchestrators, too, delete tasks (dead
slots, deleted services); and the reaper, which notes what was not assigned when its end was desired, deletes it up to
250 ms later, whatever the scheduler has done in between (orchestrator/taskreaper, `tick`).
"""

from __future__ import annotations

from ..api.states import TRANSITIONS, Component, TaskState
from ..trace.events import TaskChanged
from ..trace.recorder import Recorded
from .verdict import Broken, Handlers, Micros, Verdict, judged

MOST = 10

_NEVER_RAN_OR_ENDED = frozenset(s for s in TaskState if s < TaskState.ASSIGNED or s > TaskState.RUNNING)
#: Who creates tasks, and who deletes them in which states (orchestrators delete dead slots even while they run).
CREATORS = frozenset({Component.ORCHESTRATOR})
DELETERS: dict[Component, frozenset[TaskState]] = {
    Component.REAPER: _NEVER_RAN_OR_ENDED,
    Component.ORCHESTRATOR: frozenset(TaskState),
}


class TaskTransitions:
    """No component makes a change of a task's state that is not its own."""

    name = "task transitions"

    def __init__(self) -> None:
        self.violations: list[Broken] = []
        self._tasks: dict[str, tuple[TaskState, TaskState]] = {}  # id -> observed, desired
        self._gone: dict[str, None] = {}
        self._noted: dict[str, None] = {}  # by the reaper: its end was desired while it was not assigned
        self.handlers: Handlers = {TaskChanged: self._changed}

    def verdict(self, end: Micros) -> Verdict:
        return judged(self.name, self.violations)

    def _changed(self, recorded: Recorded) -> None:
        e: TaskChanged = recorded.event
        if e.action == "UPDATE":
            wrong = self._update(e)
            self._tasks[e.task] = (e.now, e.desired)
            if e.now < TaskState.ASSIGNED and e.desired > TaskState.RUNNING:
                self._noted[e.task] = None
        elif e.action == "CREATE":
            wrong = self._create(e)
            self._tasks[e.task] = (e.now, e.desired)
        else:
            wrong = self._remove(e)
            self._tasks.pop(e.task, None)
            self._noted.pop(e.task, None)
            self._gone[e.task] = None
        if wrong and len(self.violations) < MOST:
            self.violations.append(Broken(recorded.at, recorded.seq, f"{e.name}#{e.generation}", wrong))

    def _create(self, e: TaskChanged) -> str:
        if e.task in self._tasks or e.task in self._gone:
            return f"the id {e.task} is used a second time"
        if not e.service:
            return f"{_who(e)} created it for no service"
        if e.component not in CREATORS or e.now is not TaskState.NEW:
            return f"{_who(e)} created a task in {e.now.name}"
        return ""

    def _update(self, e: TaskChanged) -> str:
        known = self._tasks.get(e.task)
        if known is None:
            return f"{_who(e)} changed a task that is not in the store"
        was, desired = known
        if e.was is not was:
            return f"it was {was.name}, and {_who(e)} changed it from {e.was.name if e.was is not None else 'nothing'}"
        if e.now is not was:
            if e.now < was:
                return f"its state went back from {was.name} to {e.now.name} ({_who(e)})"
            if e.now is TaskState.REMOVE:
                return f"{_who(e)} observed it in REMOVE, which is only ever desired"
            if (was, e.now) not in TRANSITIONS[e.component]:
                return f"{_who(e)} moved it from {was.name} to {e.now.name}, which is not its own"
            if TaskState.ASSIGNED <= e.now < TaskState.REJECTED and not e.node and e.now is not TaskState.SHUTDOWN:
                return f"it is {e.now.name} without a node"
        if e.desired < desired:
            return f"its desired state went back from {desired.name} to {e.desired.name} ({_who(e)})"
        return ""

    def _remove(self, e: TaskChanged) -> str:
        if e.task not in self._tasks:
            return f"{_who(e)} removed a task that is not in the store"
        if e.component is Component.REAPER and e.task in self._noted:
            return ""
        if e.component not in DELETERS or e.now not in DELETERS[e.component]:
            return f"{_who(e)} removed it in {e.now.name}"
        return ""


def _who(e: TaskChanged) -> str:
    return f"the {e.component.name.lower().replace('_', ' ')}"
