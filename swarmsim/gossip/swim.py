"""The machine: what reaches a node's gossip, and which rule takes it. Rules are in the files named in the
tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..machine import DATAGRAM, Address, Disturbed, Handler, Machine, Outbox
from . import bulk_sync, membership, network_db, probe, push_pull, spread
from .config import GossipConfig
from .messages import (
    Ack,
    AddEndpoint,
    Alive,
    BulkSync,
    BulkSyncRequest,
    Dead,
    DisableEndpoint,
    Incarnation,
    IndirectPing,
    JoinNetwork,
    LeaveNetwork,
    NetworkEvent,
    Packet,
    Ping,
    PushPull,
    RemoveEndpoint,
    StreamAck,
    StreamPing,
    Suspect,
)
from .state import Balancer, NoBalancer, State, members_of_a_formed_cluster, sample, watch, watch_all


class Gossip(Machine):
    """A node's member of the gossip cluster, at `<node>/gossip`.

    `peers` are the other members: known and alive if the machine starts at time zero (the cluster is handed
    over formed), else bootstrap peers to join, best first. `exact` skips nothing (scenario: `probes:
    exact`).
    """

    def __init__(
        self,
        node: str,
        peers: tuple[str, ...],
        config: GossipConfig | None = None,
        exact: bool = False,
        balancer: Balancer | None = None,
    ) -> None:
        self.peers = peers
        others = tuple(peer for peer in peers if peer != node)
        self.state = State(node, others, config or GossipConfig(), exact, balancer or NoBalancer())

    # -- stimuli --
    def on_start(self, saved: Mapping[Any, Any], out: Outbox) -> Handler:
        """Nothing is remembered: a daemon that starts again is a new member at the old address."""
        state, config, rng = self.state, self.state.config, out.rng
        state.balancer.clear()
        state.me = Incarnation(out.now, 1)
        state.probe_phase = out.now + rng.randrange(config.probe_interval)
        state.gossip_phase = out.now + rng.randrange(config.gossip_interval)
        state.sync_phase = out.now + rng.randrange(config.push_pull_interval)
        state.reconnect_phase = out.now + rng.randrange(config.reconnect_interval)
        if out.now == 0:
            state.members = dict(members_of_a_formed_cluster(self.peers))
            state.members.pop(state.node, None)
        elif state.peers:
            state.joining = True
            state.join_started = out.now
            push_pull.join(state, out)
        out.set_timer("look", 1)  # at once, but after the other hosts have started
        return None

    def on_message(self, src: Address, message: Any, out: Outbox) -> Handler:
        """One dispatch table; afterwards timers are set for what is to be done, if there is anything."""
        HANDLERS[type(message)](self.state, src, message, out)
        if getattr(message, "parts", ()):
            _hear(self.state, message, out)
        _arrange(self.state, out)
        return None

    def on_timer(self, name: Any, out: Outbox) -> Handler:
        if isinstance(name, tuple):
            membership.suspicion_ran_out(self.state, name[1], out)
        else:
            TIMERS[name](self.state, out)
        _arrange(self.state, out)
        return None

    def on_stop(self, out: Outbox) -> None:
        """A node that leaves in good order says so (memberlist `Leave`): to a few, who pass it on."""
        state = self.state
        state.leaving = True
        live = [member.name for member in state.members.values() if member.live]
        farewell = Packet((Dead(state.node, state.me, state.node),))
        for peer in sample(out.rng, live, state.config.gossip_nodes):
            out.send(Address(peer, "gossip"), farewell, DATAGRAM)


# ---- after each stimulus -------------------------------------------------------------------------------
def _arrange(state: State, out: Outbox) -> None:
    if state.touched:
        state.touched = False
        probe.schedule(state, out)
        push_pull.ensure_reconnect(state, out)
    if state.planned and not state.calm():
        spread.unplan(state, out)
    spread.ensure_tick(state, out)
    push_pull.ensure_sync(state, out)


def _hear(state: State, message: Packet | Ping | IndirectPing | Ack, out: Outbox) -> None:
    """Statements of a packet; each keeps the cause that the packet brought."""
    cause = out.cause
    relay = message.relay if isinstance(message, Packet) else True
    for said in message.parts:
        out.cause = cause
        if isinstance(said, Alive):
            membership.alive_node(state, said, out, relay)
        elif isinstance(said, Suspect):
            membership.suspect_node(state, said, out, relay)
        elif isinstance(said, Dead):
            membership.dead_node(state, said, out, relay)
        elif isinstance(said, NetworkEvent):
            network_db.apply_network_event(state, said, out, relay)
        else:
            network_db.apply_table_event(state, said, out, relay)
    if isinstance(message, Packet) and not relay and not message.complete:
        state.unsettled = True


# ---- from the host -------------------------------------------------------------------------------------
def _disturbed(state: State, src: Address, message: Disturbed, out: Outbox) -> None:
    """Something changed in the world, and is the cause of what follows: look whom it concerns."""
    if message.node in state.members:
        watch(state, message.node, out)
    elif message.node in ("", state.node):
        watch_all(state, out)
    state.touched = True
    if not state.calm():
        state.unsettled = True
    if state.alone_since is not None:
        state.alone_since = None
        state.reconnecting = False
    if state.joining:
        state.join_started = out.now
        out.set_timer("join", state.config.reconnect_interval)


def _look(state: State, out: Outbox) -> None:
    _disturbed(state, out.address, Disturbed(""), out)


def _join_network(state: State, src: Address, message: JoinNetwork, out: Outbox) -> None:
    network_db.join_network(state, message.network_id, message.formed)
    bulk_sync.request_missing(state, out)


def _leave_network(state: State, src: Address, message: LeaveNetwork, out: Outbox) -> None:
    network_db.leave_network(state, message.network_id, out)


def _add_endpoint(state: State, src: Address, message: AddEndpoint, out: Outbox) -> None:
    network_db.write(state, message.endpoint._replace(disabled=False), out)


def _disable_endpoint(state: State, src: Address, message: DisableEndpoint, out: Outbox) -> None:
    value = network_db.own_row(state, message.network_id, message.task_id)
    if value is not None and not value.disabled:
        network_db.write(state, value._replace(disabled=True), out)


def _remove_endpoint(state: State, src: Address, message: RemoveEndpoint, out: Outbox) -> None:
    value = network_db.own_row(state, message.network_id, message.task_id)
    if value is not None:
        network_db.write(state, value, out, deleting=True)


def _packet(state: State, src: Address, message: Packet, out: Outbox) -> None:
    """Statements only."""


def _ack(state: State, src: Address, message: Ack, out: Outbox) -> None:
    probe.on_ack(state, message.seq, out)


HANDLERS: Mapping[type, Callable[[State, Address, Any, Outbox], None]] = {
    Packet: _packet,
    Ping: probe.on_ping,
    IndirectPing: probe.on_indirect_ping,
    Ack: _ack,
    StreamPing: probe.on_stream_ping,
    StreamAck: probe.on_stream_ack,
    PushPull: push_pull.on_push_pull,
    BulkSyncRequest: bulk_sync.on_request,
    BulkSync: bulk_sync.on_rows,
    Disturbed: _disturbed,
    JoinNetwork: _join_network,
    LeaveNetwork: _leave_network,
    AddEndpoint: _add_endpoint,
    DisableEndpoint: _disable_endpoint,
    RemoveEndpoint: _remove_endpoint,
}

TIMERS: Mapping[str, Callable[[State, Outbox], None]] = {
    "look": _look,
    "probe": probe.rang,
    "gossip": spread.tick,
    "rumour": spread.deliver,
    "sync": push_pull.sync,
    "join": push_pull.join,
    "reconnect": push_pull.reconnect,
}
