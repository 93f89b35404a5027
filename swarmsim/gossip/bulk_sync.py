"""Bulk sync: two nodes compare their tables and send each other the rows of those that differ (networkdb
cluster.go `bulkSyncNode`; delegate.go `handleBulkSync`).

On joining a network, on reconnecting with a peer, and every 30 s while something may be missing
(`push_pull.sync`).
"""

from __future__ import annotations

from ..machine import STREAM, Address, Outbox
from . import network_db
from .messages import BulkSync, BulkSyncRequest, TableEvent
from .state import State, sample


def request(state: State, peer: str, networks: list[str], out: Outbox) -> None:
    """Ask a peer to compare these networks."""
    digests = {network: state.db.digests[network] for network in networks}
    if digests:
        out.send(Address(peer, "gossip"), BulkSyncRequest(_next_clock(state), digests), STREAM)


def request_missing(state: State, out: Outbox) -> None:
    """For each network whose rows this node has not got yet, ask a few of its peers (networkdb.go
    `JoinNetwork`).
    """
    for network, own in state.db.own.items():
        if own.in_sync or state.joining:
            continue
        peers = network_db.peers(state, network)
        own.in_sync = not peers
        for peer in sample(out.rng, peers, state.config.join_contacts):
            request(state, peer, [network], out)


def on_request(state: State, src: Address, message: BulkSyncRequest, out: Outbox) -> None:
    """Answer for the networks that are common, with the rows of those that differ."""
    _witness(state, message.clock)
    own = state.db.digests
    common = {network: own[network] for network in message.digests if network in state.db.own}
    differ = tuple(network for network, digest in common.items() if message.digests[network] != digest)
    out.send(src, BulkSync(_next_clock(state), common, _rows(state, differ, out), differ), STREAM)


def on_rows(state: State, src: Address, message: BulkSync, out: Outbox) -> None:
    """Apply what came, note where we agree, and send back what the other side lacks."""
    _witness(state, message.clock)
    for row in message.rows:
        network_db.apply_table_event(state, row, out, by_sync=True)
    for network, digest in message.digests.items():
        own = state.db.own.get(network)
        if own is None:
            continue
        own.in_sync = True
        if state.db.digests[network] == digest:
            own.agreed = (src.node, digest)
    wanted = tuple(network for network in message.answer if network in state.db.own)
    lacking = [network for network in wanted if state.db.digests[network] != message.digests[network]]
    rows = _rows(state, tuple(lacking), out)
    if rows:
        out.send(src, BulkSync(_next_clock(state), {}, rows, ()), STREAM)


def _rows(state: State, networks: tuple[str, ...], out: Outbox) -> tuple[TableEvent, ...]:
    return tuple(row for network in networks for row in network_db.rows_to_sync(state, network, out.now))


def _next_clock(state: State) -> int:
    state.db.table_clock += 1
    return state.db.table_clock


def _witness(state: State, clock: int) -> None:
    state.db.table_clock = max(state.db.table_clock, clock + 1)
