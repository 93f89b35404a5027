"""Facts about roles: what a Raft member tells the trace when it has become something else."""

from __future__ import annotations

from typing import Any

from ...machine import Outbox
from ...raft.state import LEADER
from ...trace.events import BecameCandidate, BecameFollower, BecameLeader, BecamePreCandidate, SteppedDown
from .ticks import Ticks


class Facts(Ticks):
    # -- facts about roles --
    def _situation(self) -> tuple[Any, int, int]:
        raw = self.raw
        return (raw.role, raw.current_term, raw.leader_id)

    def _observe(self, out: Outbox) -> None:
        """Record a change of role, term or leader, once it has happened."""
        raw = self.raw
        role, term, leader = self._seen
        if raw.role is role and raw.current_term == term and raw.leader_id == leader:
            return
        self._seen = self._situation()
        if self._dozing_since is not None:
            self._wake(out)
        was_leader = role is not None and role.name == "LEADER"
        if was_leader and raw.role is not LEADER:
            why = "higher term" if raw.current_term > term else "no quorum heard in an election timeout"
            out.emit(SteppedDown(self.node, term, why))
        name = raw.role.name
        if name == "LEADER":
            out.emit(BecameLeader(self.node, raw.current_term))
        elif name == "CANDIDATE":
            out.emit(BecameCandidate(self.node, raw.current_term))
        elif name == "PRE_CANDIDATE":
            out.emit(BecamePreCandidate(self.node, raw.current_term))
        elif name == "FOLLOWER":
            out.emit(BecameFollower(self.node, raw.current_term, self.group.host(raw.leader_id)))
