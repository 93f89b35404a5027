"""Push/pull: two nodes tell each other all they know of members (memberlist state.go `pushPullNode`,
`mergeState`).

It serves three purposes: joining (a node that starts contacts its bootstrap peers), reconnecting (networkdb
cluster.go `reconnectNode`: once a second a failed peer is tried), and repair of what gossip missed, every 30
s.

The periodic one is with a neighbour, the next live name in a ring, not with anybody: when each node has
found no difference with its neighbour, there is none in the cluster, and the timer may stop until something
changes. The rate at which a node is compared with others (twice in an interval) is that of random partners.
"""

from __future__ import annotations

from ..machine import STREAM, Address, Outbox
from . import bulk_sync, membership, network_db
from .messages import Alive, Dead, Digest, NetworkEvent, PushPull, Statement, Suspect
from .state import DEAD, LEFT, SUSPECT, State, sample, until_tick


# ---- what is told --------------------------------------------------------------------------------------
def digest(state: State) -> Digest:
    """The live members and their networks: those whose digests are equal have nothing to tell each other."""
    members = [(m.name, m.incarnation) for m in state.members.values() if m.live]
    networks = [(event.node, event.network, event.ltime, event.leaving) for event in _networks(state)]
    return (tuple(sorted([(state.node, state.me), *members])), tuple(sorted(networks)))


def everything(state: State, out: Outbox, reply: bool, join: bool) -> PushPull:
    members: list[Statement] = [Alive(state.node, state.me)]
    for member in state.members.values():
        if state.reaped(member, out.now):
            continue
        if member.state is DEAD:
            members.append(Dead(member.name, member.incarnation, state.node))
        elif member.state is LEFT:
            members.append(Dead(member.name, member.incarnation, member.name))
        elif member.state is SUSPECT:
            members.append(Suspect(member.name, member.incarnation, state.node))
        else:
            members.append(Alive(member.name, member.incarnation))
    return PushPull(digest(state), tuple(members), tuple(_networks(state)), reply, join)


def _networks(state: State) -> list[NetworkEvent]:
    """Who is on which network, as far as live nodes go."""
    db = state.db
    found = [NetworkEvent(state.node, state.me.born, n, own.ltime, False) for n, own in db.own.items()]
    for network, on in db.attachments.items():
        for node, attachment in on.items():
            member = state.members.get(node)
            if member is not None and member.live:
                born = member.incarnation.born
                found.append(NetworkEvent(node, born, network, attachment.ltime, attachment.leaving))
    return found


# ---- the exchange --------------------------------------------------------------------------------------
def on_push_pull(state: State, src: Address, message: PushPull, out: Outbox) -> None:
    """The responder answers with its state as it was before the merge."""
    same = message.digest == digest(state)
    if not message.reply:
        out.send(src, everything(state, out, reply=True, join=message.join), STREAM)
    if same and message.reply:
        state.agreed = (src.node, message.digest)
    if not same:
        was_live = state.live(src.node)
        _merge(state, message, out)
        if state.live(src.node) and not was_live and not state.joining:
            bulk_sync.request(state, src.node, list(state.db.own), out)
    if message.reply and state.joining:
        state.joining = False
        out.cancel_timer("join")
        bulk_sync.request_missing(state, out)


def _merge(state: State, message: PushPull, out: Outbox) -> None:
    """A remote "dead" accuses only, in my name; a remote "left" is believed (state.go `mergeState`)."""
    for said in message.members:
        if isinstance(said, Alive):
            membership.alive_node(state, said, out)
        elif isinstance(said, Dead) and said.accuser == said.node:
            membership.dead_node(state, said, out)
        elif isinstance(said, Dead | Suspect):
            membership.suspect_node(state, Suspect(said.node, said.incarnation, state.node), out)
    for event in message.networks:
        network_db.apply_network_event(state, event, out, relay=True)


# ---- joining -------------------------------------------------------------------------------------------
def join(state: State, out: Outbox) -> None:
    """Contact the next few bootstrap peers until one answers: each second for ten, then every minute."""
    config = state.config
    peers = state.peers
    for _ in range(min(config.join_contacts, len(peers))):
        peer = peers[state.next_contact % len(peers)]
        state.next_contact += 1
        out.send(Address(peer, "gossip"), everything(state, out, reply=False, join=True), STREAM)
    if out.now - state.join_started < config.rejoin_effort:
        out.set_timer("join", config.reconnect_interval)
    else:
        state.join_started = out.now + config.rejoin_interval
        out.set_timer("join", config.rejoin_interval)


# ---- reconnecting --------------------------------------------------------------------------------------
def ensure_reconnect(state: State, out: Outbox) -> None:
    if state.reconnecting or not _candidates(state):
        return
    state.reconnecting = True
    interval = state.config.reconnect_interval
    out.set_timer("reconnect", until_tick(out.now, state.reconnect_phase, interval))


def reconnect(state: State, out: Outbox) -> None:
    """Try one failed peer. A node that is alone for long tries more seldom (ours; a change wakes it)."""
    state.reconnecting = False
    state.touched = True  # look again afterwards
    candidates = _candidates(state)
    if not candidates:
        return
    (peer,) = sample(out.rng, candidates, 1)
    out.send(Address(peer, "gossip"), everything(state, out, reply=False, join=True), STREAM)
    if any(member.live for member in state.members.values()):
        state.alone_since = None
    elif state.alone_since is None:
        state.alone_since = out.now
    elif out.now - state.alone_since > state.config.rejoin_interval:
        state.reconnecting = True
        out.set_timer("reconnect", state.config.rejoin_interval)


def _candidates(state: State) -> list[str]:
    """Failed peers that might answer.

    A peer that alone is out of order while every other is in order is off: it need not be tried, its return
    is told.
    """
    if not any(state.members[name].state is DEAD for name in state.odd):
        return []
    failed = [member.name for member in state.members.values() if member.state is DEAD]
    live = [member.name for member in state.members.values() if member.live]
    if live and not any(name in state.uncertain for name in live):
        return [name for name in failed if name not in state.uncertain]
    return failed


# ---- repair --------------------------------------------------------------------------------------------
def neighbour(node: str, others: list[str]) -> str | None:
    """The next name in the ring of the sorted names."""
    later = [name for name in others if name > node]
    return min(later) if later else min(others, default=None)


def ensure_sync(state: State, out: Outbox) -> None:
    if state.syncing or not state.unsettled or not state.members:
        return
    state.syncing = True
    out.set_timer("sync", until_tick(out.now, state.sync_phase, state.config.push_pull_interval))


def sync(state: State, out: Outbox) -> None:
    """Compare with the neighbour what has not been compared; go on until there is no difference and all is
    calm.
    """
    state.syncing = False
    state.unsettled = not state.calm()
    beside = neighbour(state.node, [member.name for member in state.members.values() if member.live])
    if beside is not None and state.agreed != (beside, digest(state)):
        state.unsettled = True
        out.send(Address(beside, "gossip"), everything(state, out, reply=False, join=False), STREAM)
    wanted: dict[str, list[str]] = {}
    for network, own in state.db.own.items():
        beside = neighbour(state.node, network_db.peers(state, network))
        if beside is not None and own.agreed != (beside, state.db.digests[network]):
            wanted.setdefault(beside, []).append(network)
    for peer, networks in wanted.items():
        state.unsettled = True
        bulk_sync.request(state, peer, networks, out)
