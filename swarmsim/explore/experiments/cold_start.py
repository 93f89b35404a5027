"""Elections in which all timers start together and nobody leads: how AvailSim and "Raft Refloated" begin each trial.

The group is switched off at 0 s and on again a millisecond later, but for those that have failed. What is measured is
the time from then to the first leader, and whether more than one term was needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ...trace.events import BecameCandidate, BecameLeader, HostStarted
from ...trace.recorder import Recorded

Micros = int


class Election(NamedTuple):
    """`terms`: how many were begun, from the first candidate's to the winner's; 1: no vote was split."""

    took: Micros
    terms: int


class FirstElection:
    """The measure: from the power-on to the first leader."""

    def __init__(self) -> None:
        self.started: Micros = 0
        self.first_term = 0
        self.found: Election | None = None

    def hear(self, recorded: Recorded) -> bool:
        event = recorded.event
        kind = type(event)
        if kind is HostStarted:
            self.started = recorded.at
        elif kind is BecameCandidate:
            self.first_term = self.first_term or event.term
        elif kind is BecameLeader:
            self.found = Election(recorded.at - self.started, event.term - self.first_term + 1)
        return self.found is not None

    def value(self) -> Election:
        assert self.found is not None, "no leader in the whole run"
        return self.found


def timeline(failed: Sequence[str] = ()) -> list[dict[str, Any]]:
    """All off and on again; those that have failed stay off."""
    entries: list[dict[str, Any]] = [{"at": "0s", "crash": "managers", "for": "1ms", "name": "power-cut"}]
    if failed:
        entries.append({"at": "0s", "crash": list(failed), "name": "failure"})
    return entries


def last_servers(servers: int, failed: int) -> list[str]:
    """`m5`, `m4`: the names of those that fail."""
    return [f"m{servers - i}" for i in range(failed)]
