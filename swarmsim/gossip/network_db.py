"""NetworkDB: who is on which network, and the endpoint table of each (libnetwork/networkdb).

delegate.go `handleNetworkEvent`, `handleTableEvent`; networkdb.go `CreateEntry`, `DeleteEntry`. The greatest
Lamport time of a key wins. Rows of a failed node are hidden and come back with it (`failed_node_policy:
suspend`, moby HEAD); those of a node that left, or that was started anew, are deleted. What becomes visible
or hidden goes to the load balancer.
"""

from __future__ import annotations

from hashlib import blake2b

from ..machine import Micros, Outbox
from ..trace.events import EndpointDropped, EndpointLearned
from .messages import EndpointRecord, NetworkEvent, TableEvent
from .state import Attachment, OwnNetwork, Row, State


# ---- who is on a network -------------------------------------------------------------------------------
def peers(state: State, network: str) -> list[str]:
    """The live others on a network (`networkNodes` without failed nodes)."""
    on = state.db.attachments.get(network, {})
    return [
        name
        for name, member in state.members.items()
        if member.live and (attachment := on.get(name)) is not None and not attachment.leaving
    ]


def join_network(state: State, network: str, formed: tuple[str, ...]) -> None:
    """networkdb.go `JoinNetwork`: tell the cluster; the caller then compares tables with peers."""
    db = state.db
    if network in db.own:
        return
    db.rows.setdefault(network, {})
    db.digests.setdefault(network, 0)
    if formed:
        db.own[network] = OwnNetwork(0, in_sync=True)
        db.attachments[network] = dict.fromkeys(formed, Attachment(0, False))
        db.attachments[network].pop(state.node, None)
        return
    db.network_clock += 1
    db.own[network] = OwnNetwork(db.network_clock)
    _tell(state, network, db.network_clock, leaving=False)


def leave_network(state: State, network: str, out: Outbox) -> None:
    """networkdb.go `LeaveNetwork`: the rows are dropped here; peers drop this node's when they hear of it."""
    db = state.db
    if db.own.pop(network, None) is None:
        return
    for row in db.rows.pop(network).values():
        if visible(state, row):
            _show(state, row.event.value, None, out)
    del db.digests[network]
    db.network_clock += 1
    _tell(state, network, db.network_clock, leaving=True)


def _tell(state: State, network: str, ltime: int, leaving: bool) -> None:
    event = NetworkEvent(state.node, state.me.born, network, ltime, leaving)
    state.events.insert((network, state.node), event)
    state.unsettled = True


def apply_network_event(state: State, event: NetworkEvent, out: Outbox, relay: bool) -> None:
    """delegate.go `handleNetworkEvent`. A LEAVE deletes the rows of that node."""
    db, node = state.db, event.node
    if node == state.node:
        return
    db.network_clock = max(db.network_clock, event.ltime + 1)
    member = state.members.get(node)
    if member is None or member.incarnation.born != event.born:
        return
    on = db.attachments.setdefault(event.network, {})
    known = on.get(node)
    if known is None and (event.leaving or not member.live):
        return
    if known is not None and known.ltime >= event.ltime:
        return
    on[node] = Attachment(event.ltime, event.leaving)
    if event.leaving:
        _delete_rows(state, node, [event.network], out, was_live=member.live)
    else:
        for early in db.early.pop(node, ()):
            apply_table_event(state, early, out, relay=False)
    if relay:
        state.events.insert((event.network, node), event)
        state.unsettled = True


# ---- rows ----------------------------------------------------------------------------------------------
def apply_table_event(
    state: State,
    event: TableEvent,
    out: Outbox,
    relay: bool = True,
    by_sync: bool = False,
) -> None:
    """delegate.go `handleTableEvent`: accept what is newer, from an owner known to be on the network."""
    db = state.db
    own = db.own.get(event.network)
    if event.owner == state.node or own is None:
        return
    db.table_clock = max(db.table_clock, event.ltime + 1)
    if not _owner_attached(state, event):
        if not relay and not by_sync:
            # No repetition will come of a planned rumour: keep it until the owner is known.
            db.early.setdefault(event.owner, []).append(event)
        return
    before = db.rows[event.network].get(event.key)
    if before is not None and before.event.ltime >= event.ltime:
        return
    _put(state, event, out)
    if relay and own.in_sync and _worth_relaying(state, own, event, before is None, by_sync):
        own.relayed.insert(event.key, event)
        state.unsettled = True


def _owner_attached(state: State, event: TableEvent) -> bool:
    member = state.members.get(event.owner)
    if member is None or member.incarnation.born != event.born:
        return False
    attachment = state.db.attachments.get(event.network, {}).get(event.owner)
    return attachment is not None and not attachment.leaving


def _worth_relaying(state: State, own: OwnNetwork, event: TableEvent, unknown: bool, by_sync: bool) -> bool:
    """A deletion of what was never known is passed on only if it came by bulk sync and has long to live."""
    lasting = event.residual > state.config.entry_reap_interval // 6
    if event.deleting and unknown and not (by_sync and lasting):
        return False
    return not (by_sync and len(own.relayed) > state.config.relay_cap)


def write(state: State, value: EndpointRecord, out: Outbox, deleting: bool = False) -> None:
    """A local write (`CreateEntry`, `UpdateEntry`, `DeleteEntry`): this node owns the row from now on."""
    db = state.db
    db.table_clock += 1
    residual = state.config.entry_reap_interval if deleting else 0
    key, network = value.task_id, value.network_id
    event = TableEvent(state.node, state.me.born, db.table_clock, network, key, value, deleting, residual)
    db.rows.setdefault(network, {})
    db.digests.setdefault(network, 0)
    _put(state, event, out)
    own = db.own.get(network)
    if own is not None:
        own.own.insert(key, event)


def own_row(state: State, network: str, key: str) -> EndpointRecord | None:
    """The value of a live row, as a local update or deletion finds it."""
    row = state.db.rows.get(network, {}).get(key)
    return row.event.value if row is not None and visible(state, row) else None


def visible(state: State, row: Row) -> bool:
    return not row.event.deleting and state.live(row.event.owner)


def _put(state: State, event: TableEvent, out: Outbox) -> None:
    rows = state.db.rows[event.network]
    before = rows.get(event.key)
    after = rows[event.key] = Row(event, out.now + event.residual)
    old = before.event if before is not None and visible(state, before) else None
    new = event if visible(state, after) else None
    _changed(state, event.network, old, new, out)


def _changed(state: State, network: str, old: TableEvent | None, new: TableEvent | None, out: Outbox) -> None:
    """What can be seen of a row changed: the digest follows, and the load balancer."""
    digests = state.db.digests
    for event in (old, new):
        if event is not None:
            digests[network] ^= _fingerprint(event)
    _show(state, old.value if old else None, new.value if new else None, out)


def _fingerprint(event: TableEvent) -> int:
    text = f"{event.key} {event.owner} {event.born} {event.ltime}"
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


# ---- a node's fate is that of its rows -----------------------------------------------------------------
def hide_node(state: State, node: str, out: Outbox) -> None:
    """A failed node's rows are hidden, not forgotten (cluster.go, HEAD)."""
    for network, rows in state.db.rows.items():
        for row in rows.values():
            if row.event.owner == node and not row.event.deleting:
                _changed(state, network, row.event, None, out)


def restore_node(state: State, node: str, out: Outbox, away: Micros) -> None:
    """It was the same run of the daemon all the time: its rows are shown again, unless they were reaped
    meanwhile.
    """
    if away > state.config.entry_reap_interval:
        _delete_rows(state, node, list(state.db.rows), out, was_live=False)
        return
    for network, rows in state.db.rows.items():
        for row in rows.values():
            if row.event.owner == node and not row.event.deleting:
                _changed(state, network, None, row.event, out)


def forget_node(state: State, node: str, out: Outbox, was_live: bool) -> None:
    """It left, or a new run of its daemon took its place (`purgeReincarnation`)."""
    for on in state.db.attachments.values():
        on.pop(node, None)
    _delete_rows(state, node, list(state.db.rows), out, was_live)


def _delete_rows(state: State, node: str, networks: list[str], out: Outbox, was_live: bool) -> None:
    for network in networks:
        rows = state.db.rows.get(network, {})
        for key in [key for key, row in rows.items() if row.event.owner == node]:
            gone = rows.pop(key)
            if was_live and not gone.event.deleting:
                _changed(state, network, gone.event, None, out)


def rows_to_sync(state: State, network: str, now: Micros) -> list[TableEvent]:
    """All that bulk sync sends of a network: rows and tombstones of live nodes, with what is left of their
    time.
    """
    rows = state.db.rows.get(network, {})
    for key in [key for key, row in rows.items() if row.event.deleting and row.until <= now]:
        del rows[key]
    found = []
    for row in rows.values():
        event = row.event
        if state.live(event.owner):
            found.append(event._replace(residual=row.until - now) if event.deleting else event)
    return found


# ---- the load balancer ---------------------------------------------------------------------------------
def _show(state: State, old: EndpointRecord | None, new: EndpointRecord | None, out: Outbox) -> None:
    """libnetwork agent.go `handleEpTableEvent`: what a change of a row does to the load balancer.

    A record that differs in more than `disabled` replaces the old one; a service's last record removes all.
    """
    balancer = state.balancer
    if old is not None and new is not None and old._replace(disabled=new.disabled) == new:
        if new.disabled and not old.disabled and balancer.disable(new):
            _report(EndpointDropped, state, new, out)
        elif old.disabled and not new.disabled and balancer.learn(new):
            _report(EndpointLearned, state, new, out)
        return
    if old is not None and balancer.drop(old):
        _report(EndpointDropped, state, old, out)
    if new is not None and not new.disabled and balancer.learn(new):
        _report(EndpointLearned, state, new, out)


def _report(
    kind: type[EndpointLearned] | type[EndpointDropped],
    state: State,
    value: EndpointRecord,
    out: Outbox,
) -> None:
    """The rows that one death takes along have it as their cause, not each other."""
    cause = out.cause
    out.emit(kind(state.node, value.task_id, value.name, value.network_id))
    out.cause = cause
