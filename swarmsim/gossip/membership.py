"""Merge rules: what a statement about a member does to what this node believes (memberlist state.go).

`alive_node`, `suspect_node`, `dead_node` and `refute` are `aliveNode`, `suspectNode`, `deadNode` and
`refute`. They apply alike to gossip and to push/pull. `relay` is False for what a planned rumour brings to
everybody by itself.
"""

from __future__ import annotations

from ..machine import Outbox
from ..trace.events import PeerDeclaredDead, PeerRecovered
from . import network_db
from .messages import Alive, Dead, Incarnation, Suspect
from .state import ALIVE, DEAD, LEFT, SUSPECT, Member, State, watch
from .suspicion import Suspicion


def alive_node(state: State, said: Alive, out: Outbox, relay: bool = True) -> None:
    """A newer incarnation is accepted whatever was believed; the same one never revives."""
    if said.node == state.node:
        if said.incarnation > state.me and not state.leaving:
            refute(state, said.incarnation)
        return
    member = state.members.get(said.node)
    if member is None:
        member = state.believe(Member(said.node, Incarnation(-1, 0), LEFT, out.now, out.now))
        _insert_into_order(state, said.node, out)
    elif said.incarnation <= member.incarnation:
        # A reaped record is unknown again: any incarnation of the same run re-admits it.
        if not state.reaped(member, out.now) or said.incarnation.born < member.incarnation.born:
            return
    _accept(state, member, said, out)
    if relay:
        state.queue.insert(said.node, said)
        state.unsettled = True


def _accept(state: State, member: Member, said: Alive, out: Outbox) -> None:
    was_live, born, away = member.live, member.incarnation.born, out.now - member.changed_at
    _end_suspicion(state, said.node, out)
    state.touched = True
    now_alive = member._replace(incarnation=said.incarnation, reported=False)
    if member.state is not ALIVE:
        now_alive = now_alive._replace(state=ALIVE, changed_at=out.now, alive_since=out.now)
    state.believe(now_alive)
    watch(state, said.node, out)
    if member.reported:
        out.emit(PeerRecovered(state.node, said.node))
    if said.incarnation.born > born:
        network_db.forget_node(state, said.node, out, was_live)
    elif not was_live:
        network_db.restore_node(state, said.node, out, away)


def suspect_node(state: State, said: Suspect, out: Outbox, relay: bool = True) -> bool:
    """Accuse a member; whether it was news. I refute what is said of me; a running suspicion is confirmed."""
    if said.node == state.node:
        if said.incarnation >= state.me and not state.leaving:
            refute(state, said.incarnation)
        return False
    member = state.known(said.node, out.now)
    if member is None or said.incarnation < member.incarnation:
        return False
    running = state.suspicions.get(said.node)
    if running is not None:
        if not running.confirm(said.accuser):
            return False
        out.set_timer(("suspect", said.node), max(0, running.remaining(out.now)))
    elif member.state is not ALIVE:
        return False
    else:
        begun = Suspicion.begin(state.config, state.count(out.now), said.accuser, said.incarnation, out.now)
        state.suspicions[said.node] = begun
        state.believe(member._replace(state=SUSPECT, incarnation=said.incarnation, changed_at=out.now))
        state.touched = True
        out.set_timer(("suspect", said.node), begun.timeout)
    if relay:
        state.queue.insert(said.node, said)
    return True


def suspicion_ran_out(state: State, name: str, out: Outbox) -> None:
    """Nobody refuted in time (state.go, `suspectNode`'s timeout function)."""
    member = state.members[name]
    if name in state.suspicions and member.state is SUSPECT:
        dead_node(state, Dead(name, member.incarnation, state.node), out)


def dead_node(state: State, said: Dead, out: Outbox, relay: bool = True) -> None:
    """Believe that a member is dead, or has left when it says so itself."""
    if said.node == state.node:
        if said.incarnation >= state.me and not state.leaving:
            refute(state, said.incarnation)
        return
    member = state.known(said.node, out.now)
    if member is None or said.incarnation < member.incarnation:
        return
    _end_suspicion(state, said.node, out)
    if not member.live:
        return
    dead = said.accuser != said.node
    state.believe(
        member._replace(
            incarnation=said.incarnation,
            state=DEAD if dead else LEFT,
            changed_at=out.now,
            reported=dead or member.reported,
        )
    )
    state.touched = True
    if dead:
        out.emit(PeerDeclaredDead(state.node, said.node))
        network_db.hide_node(state, said.node, out)
    else:
        network_db.forget_node(state, said.node, out, True)
    if relay:
        state.queue.insert(said.node, said)
        state.unsettled = True


def refute(state: State, accused: Incarnation) -> None:
    """Answer an accusation with a greater incarnation than it named (state.go `refute`)."""
    state.me = Incarnation(state.me.born, max(state.me.number, accused.number) + 1)
    state.queue.insert(state.node, Alive(state.node, state.me))
    state.unsettled = True


def _end_suspicion(state: State, name: str, out: Outbox) -> None:
    if state.suspicions.pop(name, None) is not None:
        out.cancel_timer(("suspect", name))


def _insert_into_order(state: State, name: str, out: Outbox) -> None:
    """A new member's first probe comes after a uniform delay (`aliveNode`: append, swap with any)."""
    order = state.prober.order
    if order:
        order.append(name)
        other = out.rng.randrange(len(order))
        order[-1], order[other] = order[other], order[-1]
