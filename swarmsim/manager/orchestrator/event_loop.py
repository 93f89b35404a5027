"""The loop of an orchestrator: commits one after another, beside them the supervisors, which see each commit at once.

In the original the loop, each delayed start and each rolling update is a goroutine with a watch of its own: while the
loop waits for a commit, or for a cancelled update to stop, the others go on. So the loop runs as a handler beside, with
a backlog.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, ClassVar

from ...api.messages import Committed
from ...machine import Address, Handler, Machine, Outbox
from ...store import MemoryStore
from ...store.actions import Change
from .restart import RestartSupervisor
from .update import Updater, UpdateSupervisor
from .waiting import Work, carry


class EventLoop(Machine):
    """A leader-only orchestrator: subclasses say what they do at the start and for each commit."""

    # Its parts, by class: `swarmsim.ablation` puts others in their place.
    restart_supervisor: ClassVar[type[RestartSupervisor]] = RestartSupervisor
    updater: ClassVar[type[Updater]] = Updater

    def __init__(self, node: str, store: MemoryStore) -> None:
        self.node = node
        self.store = store
        self.restarts = self.restart_supervisor(store)
        self.updates = UpdateSupervisor(store, self.restarts, self.updater)
        self._backlog: deque[tuple[Change, ...]] = deque()
        self._busy = False

    def begin(self, out: Outbox) -> Work:
        """Repair what the last leader left, then reconcile everything."""
        raise NotImplementedError

    def handle(self, changes: tuple[Change, ...], out: Outbox) -> Work | None:
        """Note what a commit changed; the work that this makes, or None."""
        raise NotImplementedError

    # -- stimuli --
    def on_start(self, saved: Mapping[Any, Any], out: Outbox) -> Handler:
        self._carry_out(self.begin(out), out)
        return None

    def on_message(self, src: Address, message: Any, out: Outbox) -> Handler:
        assert isinstance(message, Committed), f"an orchestrator got {message!r}"
        for change in message.changes:
            self.restarts.follow(change, out)
            self.updates.follow(change, out)
        if self._busy:
            self._backlog.append(message.changes)
            return None
        work = self.handle(message.changes, out)
        if work is not None:
            self._carry_out(work, out)
        return None

    def on_timer(self, name: Any, out: Outbox) -> Handler:
        if name[0] == "start":
            self.restarts.on_timer(name[1], out)
        else:
            self.updates.on_timer(name, out)
        return None

    # -- the loop --
    def _carry_out(self, work: Work, out: Outbox) -> None:
        self._busy = True
        out.start(carry(self._loop(work, out), out))

    def _loop(self, work: Work, out: Outbox) -> Work:
        yield from work
        while self._backlog:
            more = self.handle(self._backlog.popleft(), out)
            if more is not None:
                yield from more
        self._busy = False
