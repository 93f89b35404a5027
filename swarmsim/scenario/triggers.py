"""Entries that wait for a state of things: `when:` in the timeline (SCENARIOS.md section 6).

A condition has the words of an expectation. It is looked at after each whole microsecond in which something happened,
from the moment on that `at` names, and the entry begins right then, or its `wait` later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import simpy

from ..checks import Binding, History, holds_now
from ..checks.verdict import listen
from ..trace.recorder import Recorded
from .schema import Entry
from .timeline import LATE, trigger

if TYPE_CHECKING:
    from ..cluster import Cluster
    from .loader import Scenario


class Triggers:
    """Hears the trace, and tells entries when what they wait for is so."""

    def __init__(self, scenario: Scenario, cluster: Cluster) -> None:
        self.env = cluster.env
        self.history = History()
        self.binding = Binding(scenario, self.history)
        self.waiting: dict[str, tuple[Entry, simpy.Event]] = {}  # entry's label -> what wakes it
        self._hears = listen([self.history, self.binding])
        self._asked = False
        for recorded in cluster.trace:
            self.hear(recorded)
        cluster.trace.listeners.append(self.hear)

    def hear(self, recorded: Recorded) -> None:
        for handler in self._hears.get(type(recorded.event), ()):
            handler(recorded)
        if self.waiting:
            self._ask()

    def wait(self, entry: Entry) -> simpy.Event:
        """Fires with None when the condition holds, or with why it never will."""
        event = simpy.Event(self.env)
        self.waiting[entry.label] = (entry, event)
        self._ask()
        return event

    def _ask(self) -> None:
        if not self._asked:
            self._asked = True
            event = simpy.Event(self.env)
            event.callbacks.append(self._look)
            trigger(self.env, event, LATE)

    def _look(self, event: Any) -> None:
        self._asked = False
        for label, (entry, waits) in list(self.waiting.items()):
            assert entry.when is not None, f"{label} waits for nothing"
            if holds_now(self.binding.condition(entry.when), self.history):
                del self.waiting[label]
                waits.succeed(None)

    def give_up(self, bound: str) -> None:
        """What has not come by now will not."""
        for entry, waits in self.waiting.values():
            assert entry.when is not None, f"{entry.label} waits for nothing"
            waits.succeed(f"`when: {entry.when.text}` did not come within the bound of convergence, {bound}")
        self.waiting.clear()
