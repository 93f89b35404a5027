"""Watches a run as it goes: when it is `steady`, and when a run without `duration` may end (SCENARIOS.md section 3).

Convergence is judged by `swarmsim.checks.convergence`, fed with each event of the trace; this file only asks it, after
the whole microsecond, and adds what the trace alone does not tell: whether all that shall be created at 0s has been.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import simpy

from ..api.states import NodeState, UpdateState
from ..api.values import format_duration
from ..trace.events import NodeChanged, ServiceChanged, SteadyReached
from ..trace.recorder import Recorded
from .timeline import LATE, Timeline, trigger

if TYPE_CHECKING:
    from ..checks import Bound, ConvergenceWatch
    from ..cluster import Cluster
    from .loader import Scenario

Micros = int
UNDER_WAY = (UpdateState.UPDATING, UpdateState.ROLLBACK_STARTED)


class Watch:
    """Listens to the trace, tells the timeline when the swarm is steady, and ends a run that has no duration."""

    def __init__(
        self,
        scenario: Scenario,
        cluster: Cluster,
        timeline: Timeline,
        convergence: ConvergenceWatch,
        bound: Bound,
    ) -> None:
        self.scenario = scenario
        self.cluster = cluster
        self.env = cluster.env
        self.timeline = timeline
        self.convergence = convergence
        self.bound = bound
        self.states: dict[str, NodeState] = dict.fromkeys(cluster.names, NodeState.READY)
        self.not_ready = 0
        self.converged_since: Micros | None = None
        self.ended = simpy.Event(self.env)
        self._updating: dict[str, None] = {}
        self._asked = False
        self._changed = simpy.Event(self.env)

    def start(self) -> None:
        for recorded in self.cluster.trace:  # what happened before anybody listened: the swarm was handed over
            self._feed(recorded)
        self.cluster.trace.listeners.append(self.hear)
        self.timeline.changed.append(self._ask)
        if self.scenario.duration is None:
            self.env.process(self._end())
        self._ask()

    # -- what happens --
    def hear(self, recorded: Recorded) -> None:
        event = recorded.event
        kind = type(event)
        if kind is NodeChanged:
            self._node(event)
        elif kind is ServiceChanged:
            self._service(event)
        self._feed(recorded)
        if not self._asked and self.convergence.touched:
            self._ask()

    def _node(self, event: NodeChanged) -> None:
        was = self.states.get(event.id, NodeState.READY)
        self.states[event.id] = event.state
        self.not_ready += (event.state is not NodeState.READY) - (was is not NodeState.READY)
        self._ask()

    def _service(self, event: ServiceChanged) -> None:
        """A rolling update goes on after its last task runs: it is monitored, and may be rolled back."""
        if event.update in UNDER_WAY and event.action != "REMOVE":
            self._updating[event.service] = None
        elif self._updating.pop(event.service, True) is None:
            self._ask()

    def _feed(self, recorded: Recorded) -> None:
        handler = self.bound.handlers.get(type(recorded.event))
        if handler is not None:
            handler(recorded)
        self.convergence.feed(recorded)

    def _ask(self) -> None:
        """Look again after the whole microsecond."""
        if not self._asked:
            self._asked = True
            event = simpy.Event(self.env)
            event.callbacks.append(self._look)
            trigger(self.env, event, LATE)

    def _look(self, event: simpy.Event) -> None:
        self._asked = False
        converged = self.timeline.created and self.convergence.converged
        if converged and self.converged_since is None:
            self.converged_since = self.env.now
        elif not converged:
            self.converged_since = None
        if converged and not self.not_ready and self.timeline.steady_at is None and not self.timeline.steady.triggered:
            self.cluster.trace.record(SteadyReached(), self.env.now, 0)
            self.timeline.reach_steady()
            if self.scenario.duration is not None:  # when the run ends is settled: nothing is left to watch for
                self.cluster.trace.listeners.remove(self.hear)
        if not self._changed.triggered:
            self._changed.succeed()

    # -- the end of a run without duration --
    def _end(self) -> Generator[simpy.Event, Any, None]:
        while True:
            if self._changed.triggered:
                self._changed = simpy.Event(self.env)
            now = self.env.now
            due, stop = self._due(), self._stop()
            if due is not None and due <= now:
                self.ended.succeed("all entries are over and all is decided")
                return
            if stop is not None and stop <= now and not self._give_up():
                self.ended.succeed("convergence was not reached within its bound")
                return
            waits = [self._changed]
            nexts = [t for t in (due, stop) if t is not None and t > now]
            if nexts:
                waits.append(simpy.Timeout(self.env, min(nexts) - now))
            yield simpy.AnyOf(self.env, waits)

    def _due(self) -> Micros | None:
        """When all is decided if nothing more happens; None while that cannot be foreseen."""
        if self._under_way() or self._waiting() or self.converged_since is None or self._updating:
            return None
        kept = max(self.converged_since, self.bound.last) + self.bound.quiet
        return max(kept, self._decided())

    def _stop(self) -> Micros | None:
        """When to wait no longer for convergence; None while it holds, and while entries are under way."""
        if self._under_way() or (self.converged_since is not None and not self._waiting()):
            return None
        over = self.bound.last + self.bound.total + 1
        return over if self._waiting() else max(over, self._decided())

    def _give_up(self) -> bool:
        """Tell entries whose anchor is `steady` that it will not come; False where none waits."""
        if not self._waiting():
            return False
        bound = format_duration(self.bound.total)
        if self.timeline.triggers is not None:
            self.timeline.triggers.give_up(bound)
        if self.timeline.steady.triggered:
            return self.timeline.triggers is not None
        self.timeline.give_up_steady(f"`steady` did not come within the bound of convergence, {bound}")
        return True

    def _fates(self) -> list[Any]:
        return list(self.timeline.lives.values())

    def _under_way(self) -> bool:
        """Is an entry under way, or sure to begin? (What waits for `steady`, or for what waits for it, is neither.)"""
        if not self.timeline.created:
            return True
        return any(not fate.over and not self._waits(fate.entry) for fate in self._fates())

    def _waiting(self) -> bool:
        return any(not fate.over and self._waits(fate.entry) for fate in self._fates())

    def _waits(self, entry: Any) -> bool:
        """Does it hang on `steady`, in the end, and has that not come?"""
        if self.timeline.lives[entry.label].begun_at is not None:
            return False
        if entry.when is not None:
            return True
        if entry.at.anchor is None:
            return False
        if entry.at.entry is None:
            return self.timeline.steady_at is None
        return self._waits(self.scenario.moments.find(entry.at.entry))

    def _decided(self) -> Micros:
        """The time at which the last expectation is decided, as far as anchors have come."""
        latest = 0
        for expectation in self.scenario.expect:
            start = self.timeline.when(expectation.after) if expectation.after else None
            if start is not None and expectation.within is not None:
                latest = max(latest, start + expectation.within[1] + 1)
            until = self.timeline.when(expectation.until) if expectation.until else None
            since = self.timeline.when(expectation.from_) if expectation.from_ else None
            latest = max(latest, until or 0, (since or -1) + 1)
        return latest
