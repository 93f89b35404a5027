"""Rules switched off, to see what each is for: the registry, and what stands in a rule's place.

    from swarmsim.ablation import RULES, without

    careless = without(Dispatcher, ["heartbeat-grace"])      # a class like Dispatcher, without that rule
    print(RULES["heartbeat-grace"].protects)

A scenario says `without: [heartbeat-grace]`. A rule is a method, or a value, of one class; here stands, for each that
can be switched off, a class that overrides it with what a program would do that had never heard of the rule. The
components have no switch: `node` makes each machine of `without(its class, the scenario's rules)`, which takes the
overrides of that class and of those that it derives from, and does the same with the machine's parts (`PARTS`).

The rules of Raft are `raft.ablation`'s. The last ones here are *quirks*: not rules, but what SwarmKit does against its
own intentions, which upstream has mended or may mend. They are in force, as in the real one, until switched off.

For each there is a scenario in `scenarios/ablation` that shows it, and `tests/scenario/test_ablation.py` holds that the
same file does not show it with the rule in force.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, NamedTuple, TypeVar, cast

from .api.objects import Service, Task
from .machine import Handler, Micros, Outbox
from .manager.component import STOP_ORDER
from .manager.dispatcher import Dispatcher
from .manager.manager import Manager
from .manager.orchestrator.event_loop import EventLoop
from .manager.orchestrator.replicated import ReplicatedOrchestrator
from .manager.orchestrator.restart import DelayedStart, RestartSupervisor
from .manager.orchestrator.slot import Slot
from .manager.orchestrator.task import StoreChange
from .manager.orchestrator.task_reaper import TaskReaper
from .manager.orchestrator.update import Updater
from .manager.scheduler import Scheduler
from .manager.scheduler.node_set import NodeSet
from .manager.scheduler.spread import SPREAD, Spread
from .manager.scheduler.suitable import Leaf
from .raft.ablation import RULES as RAFT_RULES

T = TypeVar("T")

#: The parts of a machine that are made by class, by the attribute that names the class.
PARTS: Mapping[type, tuple[str, ...]] = {
    EventLoop: ("restart_supervisor", "updater"),
    Scheduler: ("node_set", "spread"),
}


# -- orchestration --
class RestartsAtOnce(RestartSupervisor):
    def delay_of(self, task: Task) -> Micros:
        return 0


class OverlapsTasks(RestartSupervisor):
    """A successor starts when its delay is over, whether its predecessor has stopped or not."""

    def delay_start(
        self, old: Task | None, task_id: str, delay: Micros, now: Micros, cause: int, out: Outbox
    ) -> DelayedStart:
        return super().delay_start(None, task_id, delay, now, cause, out)


class RestartsForEver(RestartSupervisor):
    """Nothing is counted, so no number of attempts is ever used up."""

    def record(self, service: Service, key: Any, replacement: Task, created_at: Micros) -> None:
        return


class NumbersFromOne(ReplicatedOrchestrator):
    """New tasks take the first numbers, whoever has them."""

    def _additions(
        self, service: Service, live: dict[int, Slot], dead: dict[int, Slot], count: int, cause: int, out: Outbox
    ) -> list[StoreChange]:
        return super()._additions(service, {}, dead, count, cause, out)


class ReplacesAll(Updater):
    """Whatever changed of a service, all its tasks are outdated."""

    def _is_dirty(self, task: Task) -> bool:
        return True


class KeepsHistory(TaskReaper):
    def _limit(self, service: Service | None) -> int:
        return -1


# -- dispatcher --
class WaitsOnePeriod(Dispatcher):
    """A heartbeat is late when it is not there in time. Then no outcome is certain, so none is skipped."""

    def grace(self, period: Micros) -> Micros:
        return period


class WaitsNoLongerForUnknown(Dispatcher):
    def unknown_period(self, period: Micros) -> Micros:
        return period


class NeverOrphans(Dispatcher):
    def _await_orphaning(self, node_id: str, host: str, out: Outbox) -> None:
        self.down[node_id] = None


# -- scheduler --
class DecidesAtOnce(Scheduler):
    def _debounce(self, out: Outbox) -> Handler:
        return self._schedule(out)


class ForgivesNodes(NodeSet):
    def task_failed(self, task: Task, now: Micros) -> None:
        """Not remembered."""


# -- leadership --
class StopsNothing(Manager):
    """Of what only writes to the store; the services, which nodes talk to, end with their streams."""

    stop_order = ("dispatcher", "ca")


# -- quirks --
class StopsJobs(Manager):
    """github:moby/swarmkit#3295."""

    stop_order = (*STOP_ORDER, "jobs_orchestrator")


class Levels(Spread):
    """Each task of a batch goes to the node that ranks first at that moment."""

    def _on_leaf(self, leaf: Leaf, n: int) -> int:
        nodes = self._nodes_of(leaf)
        placed = 0
        while self._waiting and placed < n:
            passing = [node for node in nodes if self._passes(node)]
            if not passing:
                break
            self._put_on(leaf, min(passing, key=lambda node: node.rank), SPREAD)
            placed += 1
        return placed


class Rule(NamedTuple):
    """`override` is the class without it; `fails`, what then shows: a check, or what a scenario expects."""

    override: type
    where: str
    protects: str
    fails: str
    exact: bool = False  # without it healthy heartbeats may fail, so all must be sent
    quirk: bool = False

    @property
    def said(self) -> str:
        """What it is for, and where to read of it."""
        return f"{'quirk: ' if self.quirk else ''}{self.protects} ({self.where})"


CONVERGENCE = "convergence"

_OWN: dict[str, Rule] = {
    "restart-delay": Rule(
        RestartsAtOnce,
        "orchestrator/restart/restart.go",
        "a service that cannot run must not keep the whole cluster busy with starting it",
        "started",
    ),
    "stop-before-start": Rule(
        OverlapsTasks,
        "orchestrator/restart/restart.go DelayStart",
        "a slot must not run two containers where its old one takes long to stop",
        "running",
    ),
    "max-attempts": Rule(
        RestartsForEver,
        "orchestrator/restart/restart.go shouldRestart",
        "a task that fails again and again is given up in the end, as its service says",
        "started",
    ),
    "one-task-per-slot": Rule(
        NumbersFromOne,
        "orchestrator/replicated/services.go addTasks",
        "each slot has one task, so that a service has as many as it has replicas",
        CONVERGENCE,
    ),
    "dirty-slots": Rule(
        ReplacesAll,
        "orchestrator/task.go IsTaskDirty",
        "an update must leave alone what is as it should be, and come to an end",
        "started",
    ),
    "history-limit": Rule(
        KeepsHistory,
        "orchestrator/taskreaper/task_reaper.go",
        "tasks that ended must not fill the store, which every manager holds in memory and in its snapshots",
        "tasks",
    ),
    "heartbeat-grace": Rule(
        WaitsOnePeriod,
        "dispatcher/nodes.go",
        "one heartbeat that comes late must not cost a node its tasks",
        "state",
        exact=True,
    ),
    "unknown-grace": Rule(
        WaitsNoLongerForUnknown,
        "dispatcher/nodes.go AddUnknown",
        "a new leader must give nodes the time to find it",
        "state",
    ),
    "orphaning": Rule(
        NeverOrphans,
        "dispatcher/dispatcher.go moveTasksToOrphaned",
        "tasks of a node that never comes back must end at some time, and give back what they hold",
        "tasks",
    ),
    "debounce": Rule(
        DecidesAtOnce,
        "scheduler/scheduler.go commitDebounceGap",
        "tasks must not all go to the node that happens to be ready first",
        "running",
    ),
    "fault-penalty": Rule(
        ForgivesNodes,
        "scheduler/nodeinfo.go taskFailed",
        "a node on which everything fails has the fewest tasks, and must not get all the others for that",
        "started",
    ),
    "stop-on-demotion": Rule(
        StopsNothing,
        "manager/manager.go becomeFollower",
        "what the leader alone may do must be done by nobody twice",
        CONVERGENCE,
    ),
    "jobs-outlive-leadership": Rule(
        StopsJobs,
        "manager/manager.go becomeFollower; github:moby/moby#53632",
        "the jobs orchestrator is not stopped with leadership, and runs twice when it returns",
        "started",
        quirk=True,
    ),
    "unlevelled-batches": Rule(
        Levels,
        "scheduler/scheduler.go scheduleNTasksOnNodes",
        "a batch of tasks goes on to the next node only when that is strictly better, and does not level loads",
        "running",
        quirk=True,
    ),
}

#: Every rule that can be switched off, by name.
RULES: dict[str, Rule] = {
    **{name: Rule(rule.override, rule.where, rule.protects, rule.breaks) for name, rule in RAFT_RULES.items()},
    **_OWN,
}


#: Rules whose loss no scenario shows, and why not. `tests/raft/test_ablation.py` shows each in the core alone.
NOT_SHOWN: dict[str, str] = {
    "apply-change-before-campaign": "an entry is applied in the moment in which it is known to be committed",
    "commit-new-only": "entries come with all that are missing before them, so leftovers end at the first conflict",
}


def without(kind: T, names: Iterable[str]) -> T:
    """The class like `kind` that lacks these rules, itself and in its parts; `kind` itself where none concerns it."""
    return cast(T, _without(cast(type, kind), tuple(dict.fromkeys(names))))


@cache
def _without(kind: type, names: tuple[str, ...]) -> type:
    overrides = [RULES[name].override for name in names]
    bases = [override for override in overrides if issubclass(kind, override.__mro__[1])]
    parts: dict[str, Any] = {}
    for whole, attributes in PARTS.items():
        for attribute in attributes if issubclass(kind, whole) else ():
            part = getattr(kind, attribute)
            if _without(part, names) is not part:
                parts[attribute] = _without(part, names)
    if not bases and not parts:
        return kind
    if kind.__module__.startswith("swarmsim.raft."):
        parts["__slots__"] = ()
    return type(f"{kind.__name__}Without", (*bases, kind), parts)


def of_raft(names: Iterable[str]) -> tuple[str, ...]:
    """Those of them that are rules of Raft."""
    return tuple(name for name in names if name in RAFT_RULES)


def must_be_exact(names: Iterable[str]) -> bool:
    """Must every heartbeat be sent, for the healthy ones may fail?"""
    return any(RULES[name].exact for name in names)


__all__ = ["NOT_SHOWN", "PARTS", "RULES", "Rule", "must_be_exact", "of_raft", "without"]
