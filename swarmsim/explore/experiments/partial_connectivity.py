"""V5: which variants of Raft stay live when servers are only partly connected: six topologies, five variants.

Howard and Abraham, "Raft does not guarantee liveness in the face of network faults" (2020); Cloudflare, "A Byzantine
failure in the real world" (2020); Omni-Paxos (EuroSys 2023). After a second most links are cut for good; sixty seconds
later it is asked what became of the group. Timeouts 150 to 300 ms, a heartbeat every 50 ms, 5 ms one way.

The published analyses know no entry that a leader appends at the beginning of its term, so the matrix is run without
that rule (`without: [empty-entry]`); and the column `SwarmKit` with etcd's core as a swarm runs it, entry and all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from ...scenario.loader import Scenario
from ...trace.events import (
    BecameCandidate,
    BecameFollower,
    BecameLeader,
    BecamePreCandidate,
    HostCrashed,
    SteppedDown,
    SwarmReady,
)
from ...trace.recorder import Recorded
from .base import Curve, Demand, Experiment, Samples, Table, template

Micros = int
END: Micros = 61_000_000
LATE: Micros = 30_000_000  # the last so many of the run
OFTEN = 10  # elections in that time: a livelock

STABLE, RECOVERS, LIVELOCK, DEADLOCK, NOBODY = "stable", "recovers", "livelock", "deadlock", "no leader"

TOPOLOGIES = {
    "HA-1": "partial-ha-1",
    "HA-2": "partial-ha-2",
    "Cloudflare": "partial-cloudflare",
    "chained": "partial-chained",
    "quorum-loss": "partial-quorum-loss",
    "constrained": "partial-constrained",
}

_PLAIN = {"rules": "paper", "pre_vote": False, "check_quorum": False}
#: Words of `raft:`, and rules that are off besides `empty-entry`; CheckQuorum comes with the lease unless that is off.
VARIANTS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "vanilla": (_PLAIN, ["empty-entry"]),
    "PreVote": ({**_PLAIN, "pre_vote": True}, ["empty-entry"]),
    "CheckQuorum": ({**_PLAIN, "check_quorum": True}, ["empty-entry", "lease"]),
    "with lease": ({**_PLAIN, "check_quorum": True}, ["empty-entry"]),
    "both": ({**_PLAIN, "pre_vote": True, "check_quorum": True}, ["empty-entry"]),
    "SwarmKit": ({"rules": "swarmkit", "pre_vote": False, "check_quorum": True}, []),
}

#: Not published, and worth knowing: the same as vanilla, but a leader's term begins with an empty entry (section 8).
WITH_ENTRY: tuple[dict[str, Any], list[str]] = (_PLAIN, [])

#: By topology, in the order of `VARIANTS`.
EXPECTED: dict[str, tuple[str, ...]] = {
    "HA-1": (LIVELOCK, STABLE, LIVELOCK, STABLE, STABLE, STABLE),
    "HA-2": (RECOVERS, DEADLOCK, RECOVERS, RECOVERS, RECOVERS, RECOVERS),
    "Cloudflare": (LIVELOCK, STABLE, LIVELOCK, STABLE, STABLE, STABLE),
    "chained": (LIVELOCK, STABLE, LIVELOCK, STABLE, STABLE, STABLE),
    "quorum-loss": (RECOVERS, DEADLOCK, RECOVERS, RECOVERS, RECOVERS, RECOVERS),
    "constrained": (NOBODY,) * 6,
}
#: Published numbers of leaders elected within the minute, of those that never stop.
ELECTIONS = {("HA-1", "vanilla"): 103, ("Cloudflare", "vanilla"): 232, ("chained", "vanilla"): 231}
ELECTIONS_TOLERANCE = 0.1


class Fate(NamedTuple):
    """What became of a group: how it ended, and how many leaders it had elected since the cut."""

    verdict: str
    elected: int


class Liveness:
    """The measure: hears the whole run. Who leads and who follows whom is known from the trace alone."""

    def __init__(self, cut: Micros) -> None:
        self.cut = cut
        self.servers = 0
        self.leads: dict[str, None] = {}
        self.follows: dict[str, str] = {}  # server -> the leader that it follows
        self.elected: list[Micros] = []

    def hear(self, recorded: Recorded) -> bool:
        event = recorded.event
        kind = type(event)
        if kind is SwarmReady:
            self.servers = len(event.managers)
            self.leads = {event.leader: None}
            self.follows = {name: event.leader for name in event.managers if name != event.leader}
        elif kind in (BecameCandidate, BecamePreCandidate, BecameFollower, SteppedDown, HostCrashed):
            self.leads.pop(event.node, None)
            self.follows.pop(event.node, None)
            if kind is BecameFollower and event.leader:
                self.follows[event.node] = event.leader
        elif kind is BecameLeader:
            self.follows.pop(event.node, None)
            self.leads[event.node] = None
            self.elected += [recorded.at] * (recorded.at > self.cut)
        return False

    def value(self) -> Fate:
        return Fate(self._verdict(), len(self.elected))

    def _verdict(self) -> str:
        """A leader that less than a quorum follows is of no use; if it keeps others from campaigning: a deadlock."""
        if sum(at > END - LATE for at in self.elected) >= OFTEN:
            return LIVELOCK
        followers = Counter(self.follows.values())
        if any(1 + followers[leader] > self.servers // 2 for leader in self.leads):
            return RECOVERS if self.elected else STABLE
        return DEADLOCK if self.follows else NOBODY


class PartialConnectivity(Experiment):
    id = "V5"
    title = "Partial connectivity: what becomes of a group in a minute (leaders elected in it)"
    source = "Howard and Abraham (2020); Cloudflare (2020); Omni-Paxos (EuroSys 2023)"
    runs = 20

    def _curves(self) -> list[Curve]:
        return [
            self._curve(topology, variant, *words)
            for topology in TOPOLOGIES
            for variant, words in {**VARIANTS, "with entry": WITH_ENTRY}.items()
        ]

    def _curve(self, topology: str, variant: str, raft: dict[str, Any], without: list[str]) -> Curve:
        base = template(TOPOLOGIES[topology])
        scenario = base.but(cluster={"raft": raft}, without=without or None, expect=None)
        return Curve(f"{topology}, {variant}", scenario, partial(Liveness, _cut(base)))

    def table(self, samples: Samples) -> Table:
        rows, wrong = [], []
        for topology, expected in EXPECTED.items():
            cells = []
            for variant, verdict in zip(VARIANTS, expected, strict=True):
                fates: Sequence[Fate] = samples[f"{topology}, {variant}"]
                cells.append(_cell(fates, verdict))
                wrong += [f"{topology}, {variant}"] * any(fate.verdict != verdict for fate in fates)
            rows.append((topology, *cells))
        counts = [_near(samples, *key, published) for key, published in ELECTIONS.items()]
        return Table(
            self.title,
            ("topology", *VARIANTS),
            tuple(rows),
            (
                Demand(f"all {len(rows) * len(VARIANTS)} verdicts as published, under every seed", not wrong),
                Demand(f"livelocks elect as often as published, within {ELECTIONS_TOLERANCE:.0%}", all(counts)),
            ),
            (
                "published: analyses and a simulation of the same set-up; verdicts that differ are marked with !",
                f"vanilla, but terms begin with an empty entry: {_with_entry(samples)}",
                "CheckQuorum is without the lease that etcd has with it; all but SwarmKit are Figure 2 and the thesis",
            ),
        )


def _cut(scenario: Scenario) -> Micros:
    """When the links are cut: the moment of the entry `cut`."""
    entry = next(e for e in scenario.timeline if e.name == "cut")
    return entry.at.low


def links_left(scenario: Scenario) -> list[tuple[str, str]]:
    """Who can still talk to whom: the pairs of servers that are on and that no entry of the timeline cuts apart."""
    faults: list[tuple[str, Any]] = [(entry.verb, entry.what) for entry in scenario.timeline]
    gone = {fault.crash for verb, fault in faults if verb == "crash"}
    cut = {pair for verb, fault in faults if verb == "partition" for pair in _pairs(fault, scenario.managers)}
    names = sorted(name for name in scenario.managers if name not in gone)
    return [(a, b) for a in names for b in names if a < b and frozenset((a, b)) not in cut]


def _pairs(partition: Any, names: Sequence[str]) -> list[frozenset[str]]:
    peers = names if partition.peers == "nodes" else partition.peers
    return [frozenset((partition.partition, peer)) for peer in ([peers] if isinstance(peers, str) else peers)]


def _cell(fates: Sequence[Fate], expected: str) -> str:
    """`livelock (103)`: the verdicts of all seeds, and the median of elections."""
    found = list(Counter(fate.verdict for fate in fates))
    middle = sorted(fate.elected for fate in fates)[len(fates) // 2]
    marked = "/".join(v if v == expected else f"!{v}" for v in found)
    return f"{marked} ({middle})" if middle else marked


def _with_entry(samples: Samples) -> str:
    return ", ".join(f"{t} {_cell(samples[f'{t}, with entry'], '').replace('!', '')}" for t in TOPOLOGIES)


def _near(samples: Samples, topology: str, variant: str, published: int) -> bool:
    fates: Sequence[Fate] = samples[f"{topology}, {variant}"]
    return abs(sum(f.elected for f in fates) / len(fates) / published - 1) <= ELECTIONS_TOLERANCE
