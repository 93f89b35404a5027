"""What one node's gossip holds: the member list, the queues, the probe, the tables. Rules are in the other
files.

memberlist.go `Memberlist`, networkdb.go `NetworkDB`. Timers' phases are fixed by the start instant of a
daemon, which is random for real daemons; here they are drawn when the machine starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from random import Random
from typing import Any, NamedTuple, Protocol

from ..machine import Micros, Outbox
from .broadcast import Queue
from .config import GossipConfig
from .messages import EndpointRecord, Incarnation, Packet, TableEvent
from .suspicion import Suspicion


class MemberState(Enum):
    ALIVE = "alive"
    SUSPECT = "suspect"
    DEAD = "dead"
    LEFT = "left"


ALIVE, SUSPECT, DEAD, LEFT = MemberState


class Member(NamedTuple):
    """What this node believes of another (memberlist state.go `nodeState`).

    A belief that changes is replaced (`State.believe`): in a large cluster the nodes share what they all believe.
    """

    name: str
    incarnation: Incarnation
    state: MemberState
    changed_at: Micros
    alive_since: Micros  # whatever silenced it since then is to blame for a suspicion
    reported: bool = False  # a PeerSuspected or PeerDeclaredDead was emitted and no PeerRecovered since

    @property
    def live(self) -> bool:
        return self.state is ALIVE or self.state is SUSPECT


@lru_cache(maxsize=2)
def members_of_a_formed_cluster(names: tuple[str, ...]) -> Mapping[str, Member]:
    """All alive since time zero."""
    return {name: Member(name, Incarnation(0, 1), ALIVE, 0, 0) for name in names}


class Balancer(Protocol):
    """What gossip asks of the node's load balancer; each call says whether traffic to the endpoint began or
    ended.
    """

    def learn(self, endpoint: EndpointRecord) -> bool: ...
    def disable(self, endpoint: EndpointRecord) -> bool: ...
    def drop(self, endpoint: EndpointRecord) -> bool: ...
    def clear(self) -> None: ...


class NoBalancer:
    """For a node whose traffic nobody looks at: all is news."""

    def learn(self, endpoint: EndpointRecord) -> bool:
        return True

    def disable(self, endpoint: EndpointRecord) -> bool:
        return True

    def drop(self, endpoint: EndpointRecord) -> bool:
        return not endpoint.disabled

    def clear(self) -> None:
        return None


@dataclass(slots=True)
class Probe:
    """A probe under way (memberlist state.go `probeNode`)."""

    seq: int
    target: str
    incarnation: Incarnation
    deadline: Micros
    indirect: bool = False
    stream_answered: bool = False


@dataclass(slots=True)
class Helping:
    """An indirect ping that this node serves for another."""

    requester: str
    seq: int
    until: Micros


@dataclass(slots=True)
class Prober:
    """The round-robin list and where it stands. `order` is empty while nothing need be probed."""

    order: list[str] = field(default_factory=list)
    index: int = 0
    tick: int = 0  # the number of the tick at which `order[index]` has its turn
    current: Probe | None = None
    helping: dict[int, Helping] = field(default_factory=dict)


@dataclass(slots=True)
class OwnNetwork:
    """A network that this node is attached to (networkdb.go `thisNodeNetwork`)."""

    ltime: int
    in_sync: bool = False
    own: Queue = field(default_factory=Queue)
    relayed: Queue = field(default_factory=Queue)
    agreed: tuple[str, int] | None = None  # peer and digest at the last comparison without a difference


class Attachment(NamedTuple):
    """That a peer is on a network, or leaves it."""

    ltime: int
    leaving: bool


@dataclass(slots=True)
class Row:
    """A row of a table; `until` says when a tombstone may be forgotten."""

    event: TableEvent
    until: Micros


@dataclass(slots=True)
class NetworkDB:
    """networkdb.go `NetworkDB`: who is on which network, and each network's rows."""

    network_clock: int = 0
    table_clock: int = 0
    own: dict[str, OwnNetwork] = field(default_factory=dict)
    attachments: dict[str, dict[str, Attachment]] = field(default_factory=dict)  # network -> node -> it
    rows: dict[str, dict[str, Row]] = field(default_factory=dict)  # network -> key -> row
    digests: dict[str, int] = field(default_factory=dict)  # network -> of its visible rows
    early: dict[str, list[TableEvent]] = field(default_factory=dict)  # owner -> rows that await it


@dataclass(slots=True)
class State:
    """All of it. `uncertain`: members towards whom the network or the host is not known to be in order."""

    node: str
    peers: tuple[str, ...]
    config: GossipConfig
    exact: bool
    balancer: Balancer
    me: Incarnation = field(default_factory=lambda: Incarnation(0, 1))
    leaving: bool = False
    members: dict[str, Member] = field(default_factory=dict)  # the others; written by `believe`
    odd: dict[str, None] = field(default_factory=dict)  # those that are not plainly alive
    uncertain: dict[str, None] = field(default_factory=dict)
    suspicions: dict[str, Suspicion] = field(default_factory=dict)
    queue: Queue = field(default_factory=Queue)  # memberlist's own
    events: Queue = field(default_factory=Queue)  # the delegate's: network events
    prober: Prober = field(default_factory=Prober)
    db: NetworkDB = field(default_factory=NetworkDB)
    planned: list[tuple[Micros, int, str, Packet]] = field(default_factory=list)  # heap: at, order, to
    next_order: int = 0
    next_seq: int = 0
    probe_phase: Micros = 0
    gossip_phase: Micros = 0
    sync_phase: Micros = 0
    reconnect_phase: Micros = 0
    touched: bool = False  # the member list changed in this stimulus: who is to be probed must be asked again
    ticking: bool = False  # the gossip timer is set
    unsettled: bool = False  # something changed that this node and its neighbour have not compared yet
    syncing: bool = False  # the sync timer is set
    joining: bool = False  # no peer has answered yet
    join_started: Micros = 0
    next_contact: int = 0
    reconnecting: bool = False
    alone_since: Micros | None = None
    agreed: tuple[str, Any] | None = None  # neighbour and digest at the last push/pull without one

    # -- the member list --
    def believe(self, member: Member) -> Member:
        """The one place where a belief about another node changes."""
        self.members[member.name] = member
        if member.state is ALIVE:
            self.odd.pop(member.name, None)
        else:
            self.odd[member.name] = None
        return member

    def known(self, name: str, now: Micros) -> Member | None:
        """The record of `name`, unless it has been dead or gone so long that memberlist has reaped it."""
        member = self.members.get(name)
        return None if member is None or self.reaped(member, now) else member

    def reaped(self, member: Member, now: Micros) -> bool:
        return not member.live and now - member.changed_at > self.config.gossip_to_the_dead_time

    def count(self, now: Micros) -> int:
        """memberlist's n: all records that are not reaped, and itself."""
        return 1 + len(self.members) - sum(self.reaped(self.members[name], now) for name in self.odd)

    def live(self, name: str) -> bool:
        if name == self.node:
            return True
        member = self.members.get(name)
        return member is not None and member.live

    def calm(self) -> bool:
        """Nothing is wrong that could change whom a message reaches: all are alive and in order, or dead and
        off.
        """
        for name in self.odd:
            state = self.members[name].state
            if state is SUSPECT or (state is DEAD and name not in self.uncertain):
                return False
        return all(name in self.odd or name not in self.members for name in self.uncertain)

    def seq(self) -> int:
        self.next_seq += 1
        return self.next_seq


def sample(rng: Random, names: list[str], k: int) -> list[str]:
    """Up to k distinct names (memberlist util.go `kRandomNodes`, as sampling without replacement)."""
    return rng.sample(names, k) if len(names) > k else rng.sample(names, len(names))


def until_tick(now: Micros, phase: Micros, interval: Micros) -> Micros:
    """How long until the next tick of a grid, strictly after now."""
    return interval - (now - phase) % interval


def watch_all(state: State, out: Outbox) -> None:
    """Ask again of each member; of all at once first, for mostly all is in order."""
    if out.quiet(*state.members):
        state.uncertain.clear()
        return
    for name in state.members:
        watch(state, name, out)


def watch(state: State, name: str, out: Outbox) -> None:
    """Ask again whether all is in order towards `name`."""
    if out.quiet(name):
        state.uncertain.pop(name, None)
    else:
        state.uncertain[name] = None
