"""A Raft member whose timeouts are measured by the clock instead of in ticks (a scenario's `raft: {tick: clock}`).

SwarmKit's member lives by a ticker of one second, and so does `raft_node`. What the papers measured has timeouts like
150 to 155 ms and timers to the microsecond (LogCabin: `startElectionAt`). The core knows ticks only, so here a tick is
a microsecond; but a core that idles only counts, and what is only counted can be counted afterwards. So the driver
sleeps until the tick that does something (a timeout, a heartbeat, a look at the quorum), and before anything else
happens it adds the ticks that have passed. That is exact: no tick is lost, not even to a write that keeps the member
from acting; what falls due then is done when the disk is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..machine import Handler, Micros, Outbox
from ..raft.state import LEADER
from .raft_node import RaftNode

#: raft.go waits so many ticks without a leader before it says that the quorum is lost: one election timeout.
ELECTION_TICKS = 10


class ClockedRaftNode(RaftNode):
    """`_counted`: up to when the core has counted. While it dozes, `_wake` counts."""

    _counted: Micros = 0
    _led_at: Micros = 0  # when it last knew a leader
    _armed: Micros = -1  # when the timer rings, as far as known

    def on_start(self, saved: Mapping[Any, Any], out: Outbox) -> Handler:
        self._counted = out.now
        return super().on_start(saved, out)

    def on_timer(self, name: Any, out: Outbox) -> Handler:
        self._armed = -1
        if self._pumping:
            self._owed_tick = True
            return None
        self._tick(out)
        self._pump(out)
        self._last_tick = out.now
        if self._settled(out):
            self._doze(out)
        return None

    # -- counting --
    def _idle(self) -> int:
        """How many ticks the core would only count, from where it stands."""
        raw = self.raw
        if raw.role is LEADER:
            config = raw.config
            beat, look = config.heartbeat_tick - raw.heartbeat_elapsed, config.election_tick - raw.election_elapsed
            return max(min(beat, look) - 1, 0)
        return max(raw.randomized_election_timeout - raw.election_elapsed - 1, 0)

    def _due(self) -> Micros:
        """When the next tick comes that does something, if nothing happens before."""
        return self._counted + (self._idle() + 1) * self.tick

    def _count(self, now: Micros) -> None:
        """Add the ticks that have passed, but none that does something: that one is taken, here or late."""
        if self._dozing_since is not None:
            return
        ticks = min((now - self._counted) // self.tick, self._idle())
        self._counted = now
        raw = self.raw
        raw.election_elapsed += ticks
        if raw.role is LEADER:
            raw.heartbeat_elapsed += ticks
        if raw.leader_id:
            self._led_at = now
        timeout = raw.config.election_tick * self.tick
        self.ticks_without_leader = (now - self._led_at) * ELECTION_TICKS // timeout

    def _tick(self, out: Outbox) -> None:
        if self._due() <= out.now:
            self._count(out.now)
            super()._tick(out)

    # -- what reads or sets the core's counters counts first --
    def _step(self, rpc: Any, out: Outbox) -> None:
        self._count(out.now)
        super()._step(rpc, out)

    def _after_persist(self, ready: Any, out: Outbox) -> None:
        self._count(out.now)
        super()._after_persist(ready, out)

    def _pump(self, out: Outbox) -> None:
        self._count(out.now)
        super()._pump(out)
        self._arm(out)

    def _arm(self, out: Outbox) -> None:
        """See to it that the timer rings when the next tick does something. One that rings too early does nothing."""
        if self._dozing_since is not None or not self.raw.promotable():
            return
        due = max(self._due(), out.now)
        if self._armed < out.now or due < self._armed:
            self._armed = due
            out.set_timer("tick", due - out.now)

    # -- sleep: `_wake` counts what passed since `_last_tick` --
    def _doze(self, out: Outbox) -> None:
        self._count(out.now)
        self._last_tick = out.now
        super()._doze(out)

    def _wake(self, out: Outbox) -> None:
        super()._wake(out)
        self._counted = out.now
        self._armed = -1
        self._arm(out)
