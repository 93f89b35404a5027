"""The gossip tick: queued statements go to three others every 200 ms, while there are any (memberlist
state.go `gossip`).

Members' news goes to the whole cluster, a fetch for each recipient; rows go to the peers of their network,
one fetch for all (networkdb cluster.go `gossip`).

While the cluster is *calm* nothing can get lost and nobody can change the course of a rumour, so it need not
be played: its course is drawn at its origin (`infect`, the same epidemic without messages), and the origin
sends each node the one packet that would have been its first, when it would have come. That is n - 1
messages instead of some 3 n log n. When the calm ends, what was not delivered yet is queued as ever. `exact`
plays every rumour.
"""

from __future__ import annotations

from collections.abc import Hashable
from heapq import heappop, heappush
from random import Random

from ..machine import DATAGRAM, Address, Micros, Outbox
from . import network_db
from .broadcast import Queue, retransmit_limit
from .messages import NetworkEvent, Packet, Statement, TableEvent
from .state import State, sample, until_tick


def fetch(state: State, room: int, now: Micros) -> tuple[Statement, ...]:
    """Memberlist's own statements first, NetworkDB's network events in the room that they leave."""
    if not state.queue and not state.events:
        return ()
    limit = retransmit_limit(state.config.retransmit_mult, state.count(now))
    own, room = state.queue.fetch(2, room, limit)
    delegated, _ = state.events.fetch(3, room, limit)
    return (*own, *delegated)


# ---- when ----------------------------------------------------------------------------------------------
def ensure_tick(state: State, out: Outbox) -> None:
    """Ticks run only while something is queued that somebody can be told."""
    if state.ticking or not _queued(state, out.now):
        return
    state.ticking = True
    out.set_timer("gossip", until_tick(out.now, state.gossip_phase, state.config.gossip_interval))


def _queued(state: State, now: Micros) -> bool:
    if any(own.own or own.relayed for own in state.db.own.values()):
        return True
    return bool(state.queue or state.events) and bool(_recipients(state, now))


def _recipients(state: State, now: Micros) -> list[str]:
    """All but those who left and those dead for long: the dead are told, that they may refute."""
    limit = state.config.gossip_to_the_dead_time
    return [
        member.name
        for member in state.members.values()
        if member.live or (member.state.value == "dead" and now - member.changed_at <= limit)
    ]


def tick(state: State, out: Outbox) -> None:
    state.ticking = False
    if not state.exact and state.calm():
        _plan_all(state, out)
    else:
        _gossip_members(state, out)
        for network in state.db.own:
            _gossip_rows(state, network, out)


def _gossip_members(state: State, out: Outbox) -> None:
    if not state.queue and not state.events:
        return
    for peer in sample(out.rng, _recipients(state, out.now), state.config.gossip_nodes):
        parts = fetch(state, state.config.packet_size - 2, out.now)
        if not parts:
            return
        out.send(Address(peer, "gossip"), Packet(parts), DATAGRAM)


def _gossip_rows(state: State, network: str, out: Outbox) -> None:
    own = state.db.own[network]
    if not own.own and not own.relayed:
        return
    peers = network_db.peers(state, network)
    limit = retransmit_limit(state.config.retransmit_mult, len(peers) + 1)
    first, room = own.own.fetch(4, state.config.packet_size - 5, limit)
    rest, _ = own.relayed.fetch(4, room, limit)
    packet = Packet((*first, *rest))
    for peer in sample(out.rng, peers, state.config.gossip_nodes):
        out.send(Address(peer, "gossip"), packet, DATAGRAM)


# ---- planned rumours -----------------------------------------------------------------------------------
def _plan_all(state: State, out: Outbox) -> None:
    members = [member.name for member in state.members.values() if member.live]
    limit = retransmit_limit(state.config.retransmit_mult, state.count(out.now))
    room = state.config.packet_size - 2
    if members:
        _plan(state, [(state.queue, 2), (state.events, 3)], room, members, limit, True, out)
    for network, own in state.db.own.items():
        if own.own or own.relayed:
            peers = network_db.peers(state, network)
            limit = retransmit_limit(state.config.retransmit_mult, len(peers) + 1)
            _plan(state, [(own.own, 4), (own.relayed, 4)], room - 3, peers, limit, False, out)
    _arm(state, out)


def _plan(
    state: State,
    queues: list[tuple[Queue, int]],
    room: int,
    peers: list[str],
    limit: int,
    each: bool,
    out: Outbox,
) -> None:
    """Draw when each peer first hears of what is queued; the k-th packetful sets out at the k-th tick."""
    config, offset = state.config, 0
    bucket = config.rumour_bucket
    while any(queue for queue, _ in queues):
        parts: list[Statement] = []
        left = room
        for queue, overhead in queues:
            taken, left = queue.fetch(overhead, left, limit=1)
            parts += taken
        heard = infect(out.rng, len(peers), limit, config.gossip_nodes, config.gossip_interval, each)
        packet = Packet(tuple(parts), relay=False, complete=None not in heard)
        if not packet.complete:
            state.unsettled = True
        for peer, after in zip(peers, heard, strict=True):
            if after is not None:
                at = out.now + offset + (after + bucket // 2) // bucket * bucket
                heappush(state.planned, (at, state.next_order, peer, packet))
                state.next_order += 1
        offset += config.gossip_interval


def infect(
    rng: Random,
    count: int,
    limit: int,
    fanout: int,
    interval: Micros,
    each: bool,
) -> list[Micros | None]:
    """The epidemic of one packet among `count` others: when each first has it (None: never).

    Everybody ticks with a phase of his own and tells `fanout` others a tick, until `limit` transmits are
    spent: one for each recipient (`each`, memberlist) or one for each tick (NetworkDB's rows).
    """
    heard: list[Micros | None] = [None] * (count + 1)
    heard[0] = 0
    missing = count
    heap = [(0, 0, limit)]
    while heap and missing:
        at, node, budget = heappop(heap)
        k = min(fanout, count, budget) if each else min(fanout, count)
        for other in rng.sample(range(count), k):
            target = other + 1 if other >= node else other
            if heard[target] is None:
                heard[target] = at
                missing -= 1
                heappush(heap, (at + 1 + int(rng.random() * interval), target, limit))
        budget -= k if each else 1
        if budget > 0:
            heappush(heap, (at + interval, node, budget))
    return heard[1:]


def _arm(state: State, out: Outbox) -> None:
    if state.planned:
        out.set_timer("rumour", max(0, state.planned[0][0] - out.now))


def deliver(state: State, out: Outbox) -> None:
    """Send what is due of the planned rumours."""
    while state.planned and state.planned[0][0] <= out.now:
        _, _, peer, packet = heappop(state.planned)
        out.send(Address(peer, "gossip"), packet, DATAGRAM)
    _arm(state, out)


def unplan(state: State, out: Outbox) -> None:
    """The calm has ended: rumours that are on their way go on as real ones."""
    waiting, state.planned = sorted(state.planned), []
    out.cancel_timer("rumour")
    statements: dict[Statement, None] = {}
    for _, _, _, packet in waiting:
        for statement in packet.parts:
            statements[statement] = None
    for statement in statements:
        _requeue(state, statement)


def _requeue(state: State, statement: Statement) -> None:
    queue: Queue
    key: Hashable
    if isinstance(statement, TableEvent):
        own = state.db.own.get(statement.network)
        if own is None:
            return
        queue, key = (own.own if statement.owner == state.node else own.relayed), statement.key
    elif isinstance(statement, NetworkEvent):
        queue, key = state.events, (statement.network, statement.node)
    else:
        queue, key = state.queue, statement.node
    if key not in queue:
        queue.insert(key, statement)
