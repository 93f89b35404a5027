"""What gossip says: between nodes (memberlist net.go, networkdb.proto), and what the agent of a host tells
its own gossip.

Sizes are estimates of the encoded bytes; they matter only when a packet overflows 1400 bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ..api.specs import PortConfig
from ..machine import Micros


class Incarnation(NamedTuple):
    """How new a statement about a member is. `born` tells one run of the daemon from the next.

    Docker draws a fresh random NodeID whenever the agent starts, so a restarted daemon is a new member at
    the old address, and the old one has left (networkdb `purgeReincarnation`). Here the node keeps its name,
    and the time of its start stands for the new id: whatever is said of an earlier run loses against it.
    """

    born: Micros
    number: int


class EndpointRecord(NamedTuple):
    """A task's endpoint on one network: a row of NetworkDB's `endpoint_table` (libnetwork agent.proto).

    `ingress_ports` are set only in the ingress network's record.
    """

    task_id: str
    name: str
    network_id: str
    service_id: str
    service_name: str
    vip: str
    ip: str
    ingress_ports: tuple[PortConfig, ...] = ()
    disabled: bool = False


# ---- from the agent of the same host -------------------------------------------------------------------
class JoinNetwork(NamedTuple):
    """This node now has `network_id`. `formed`: who is on it in a cluster that is handed over; they know each other."""

    network_id: str
    formed: tuple[str, ...] = ()


class LeaveNetwork(NamedTuple):
    network_id: str


class AddEndpoint(NamedTuple):
    """A task of this node takes traffic (libnetwork `EnableService`); once more after a disable: weight 1
    again.
    """

    endpoint: EndpointRecord


class DisableEndpoint(NamedTuple):
    """A task is about to stop: new connections avoid it (libnetwork `DisableService`)."""

    task_id: str
    network_id: str


class RemoveEndpoint(NamedTuple):
    task_id: str
    network_id: str


# ---- statements that spread ----------------------------------------------------------------------------
class Alive(NamedTuple):
    node: str
    incarnation: Incarnation


class Suspect(NamedTuple):
    node: str
    incarnation: Incarnation
    accuser: str


class Dead(NamedTuple):
    """`accuser` is the node itself when it leaves in good order."""

    node: str
    incarnation: Incarnation
    accuser: str


class NetworkEvent(NamedTuple):
    """A node joined or left a network: spreads to the whole cluster with memberlist's packets."""

    node: str
    born: Micros
    network: str
    ltime: int
    leaving: bool


class TableEvent(NamedTuple):
    """A row was created, updated or deleted (`deleting`): spreads to the members of its network."""

    owner: str
    born: Micros
    ltime: int
    network: str
    key: str
    value: EndpointRecord
    deleting: bool
    residual: Micros  # of a tombstone: how long it is still to be kept


Statement = Alive | Suspect | Dead | NetworkEvent | TableEvent

_SIZES: dict[type, int] = {Alive: 90, Suspect: 55, Dead: 55, NetworkEvent: 50}


def size(statement: Statement) -> int:
    """Estimated bytes of one statement, without what a compound packet adds for it."""
    if isinstance(statement, TableEvent):
        value = statement.value
        names = len(value.name) + len(value.service_name) + len(value.task_id) + len(value.service_id)
        return 90 + names + 12 * len(value.ingress_ports)
    return _SIZES[type(statement)]


# ---- between nodes, datagrams --------------------------------------------------------------------------
class Packet(NamedTuple):
    """A compound of statements. `relay` is False in a planned rumour: its sender brings it to everybody
    itself.

    `complete`: and it misses nobody, so that there is nothing to compare afterwards.
    """

    parts: tuple[Statement, ...]
    relay: bool = True
    complete: bool = False


class Ping(NamedTuple):
    """Names the run that it means: a daemon that was restarted since does not answer for its predecessor."""

    seq: int
    target: str
    born: Micros
    parts: tuple[Statement, ...] = ()


class IndirectPing(NamedTuple):
    seq: int
    target: str
    born: Micros
    parts: tuple[Statement, ...] = ()


class Ack(NamedTuple):
    seq: int
    parts: tuple[Statement, ...] = ()


# ---- between nodes, streams ----------------------------------------------------------------------------
class StreamPing(NamedTuple):
    """The TCP fallback of a probe."""

    seq: int
    target: str
    born: Micros


class StreamAck(NamedTuple):
    seq: int


#: Of the live members and of their networks, sorted.
Digest = tuple[tuple[tuple[str, Incarnation], ...], tuple[tuple[str, str, int, bool], ...]]


class PushPull(NamedTuple):
    """Everything a node knows of members and their networks. `digest` lets equals save the merge."""

    digest: Digest
    members: tuple[Statement, ...]
    networks: tuple[NetworkEvent, ...]
    reply: bool  # an answer: do not answer it
    join: bool


class BulkSyncRequest(NamedTuple):
    """Asks a peer to compare tables: a digest for each network that both have."""

    clock: int
    digests: Mapping[str, int]


class BulkSync(NamedTuple):
    """The rows of the networks whose digests differed. `answer`: the receiver's own are wanted, too."""

    clock: int
    digests: Mapping[str, int]
    rows: tuple[TableEvent, ...]
    answer: tuple[str, ...]  # networks whose rows are wanted in return
