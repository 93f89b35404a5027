"""Who leads now, by the trace: the manager that is up and leads in the highest term (SCENARIOS.md section 7)."""

from __future__ import annotations

from ..trace.events import (
    BecameCandidate,
    BecameFollower,
    BecameLeader,
    HostCrashed,
    ManagerStopped,
    NodeLeft,
    RaftRestarted,
    SteppedDown,
    SwarmReady,
)
from ..trace.recorder import Recorded
from .verdict import Handlers


class Leadership:
    """`leader` is "" while there is none. A cut-off leader leads until it steps down or a higher term has one."""

    def __init__(self) -> None:
        self.leader = ""
        self._terms: dict[str, int] = {}  # leading node -> its term
        self.handlers: Handlers = {
            SwarmReady: self._ready,
            BecameLeader: self._became,
            SteppedDown: self._ended,
            BecameFollower: self._ended,
            BecameCandidate: self._ended,
            HostCrashed: self._ended,
            ManagerStopped: self._ended,
            NodeLeft: self._ended,
            RaftRestarted: self._restarted,
        }

    def _ready(self, recorded: Recorded) -> None:
        self.leader = recorded.event.leader
        if self.leader:
            self._terms[self.leader] = 0  # told by RaftRestarted

    def _restarted(self, recorded: Recorded) -> None:
        node = recorded.event.node
        if recorded.at == 0 and self._terms.get(node) == 0:
            self._terms[node] = recorded.event.term
        else:
            self._ended(recorded)

    def _became(self, recorded: Recorded) -> None:
        self._terms[recorded.event.node] = recorded.event.term
        self._choose()

    def _ended(self, recorded: Recorded) -> None:
        if self._terms.pop(recorded.event.node, None) is not None:
            self._choose()

    def _choose(self) -> None:
        self.leader = max(self._terms, key=lambda node: self._terms[node], default="")
