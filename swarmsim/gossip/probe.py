"""The failure detector: each second one other member is pinged (memberlist state.go `probe`, `probeNode`;
SWIM section 4).

Members are taken from a shuffled list in turn. No ack within 500 ms: three others are asked to ping in our
stead, and TCP is tried beside; nothing by the end of the second: the member is suspected.

A probe of a healthy member changes nothing, so it is skipped: the timer is set for the next turn of a member
that is *uncertain* (`out.quiet` does not vouch for it) or suspected, and for none when there is no such
member. The list goes on in between as if every second had been used. When probing begins again after a
pause, the list and the place in it are drawn anew, which is what an observer who comes at random finds.
`exact` sends every probe.
"""

from __future__ import annotations

from ..machine import DATAGRAM, STREAM, Address, Outbox
from ..trace.events import PeerSuspected
from . import membership, spread
from .messages import Ack, IndirectPing, Ping, Statement, StreamAck, StreamPing, Suspect
from .state import ALIVE, SUSPECT, Helping, Member, Probe, Prober, State, sample


# ---- whose turn it is ----------------------------------------------------------------------------------
def schedule(state: State, out: Outbox) -> None:
    """Set the timer for the next turn that matters, or none."""
    prober = state.prober
    if prober.current is not None:
        return  # it is serial: the end of that probe plans the next
    if not _anybody_matters(state):
        if prober.order:
            prober.order = []
            out.cancel_timer("probe")
        return
    interval = state.config.probe_interval
    coming = -((state.probe_phase - out.now) // interval)  # the first tick at or after now
    if not prober.order:
        _shuffle(state, out)
        prober.index = out.rng.randrange(len(prober.order))
        prober.tick = coming
    _advance(state, coming, out)
    turn = prober.tick + _turns_ahead(state)
    out.set_timer("probe", max(0, state.probe_phase + turn * interval - out.now))


def _matters(state: State, member: Member) -> bool:
    """May a probe of this member change anything?"""
    if member.state is SUSPECT:
        return True
    return member.state is ALIVE and (state.exact or member.name in state.uncertain)


def _anybody_matters(state: State) -> bool:
    if state.exact:
        return any(_matters(state, member) for member in state.members.values())
    return any(_matters(state, state.members[name]) for name in (*state.odd, *state.uncertain) if name in state.members)


def _turns_ahead(state: State) -> int:
    """Turns until a member that matters, or until the list ends and is shuffled anew."""
    turns = 0
    for name in state.prober.order[state.prober.index :]:
        member = state.members[name]
        if _matters(state, member):
            break
        turns += member.live
    return turns


def _advance(state: State, tick: int, out: Outbox) -> None:
    """Use the turns before `tick`, whose probes were skipped."""
    while state.prober.tick < tick:
        state.prober.tick += 1
        if _next(state, out) is None:
            state.prober.tick = tick


def _next(state: State, out: Outbox) -> Member | None:
    """The next live member of the list, reshuffled when it ends; None when there is none at all."""
    prober = state.prober
    for _ in range(2):
        while prober.index < len(prober.order):
            member = state.members[prober.order[prober.index]]
            prober.index += 1
            if member.live:
                return member
        _shuffle(state, out)
    return None


def _shuffle(state: State, out: Outbox) -> None:
    """state.go `resetNodes`."""
    prober = state.prober
    prober.order = [name for name, member in state.members.items() if not state.reaped(member, out.now)]
    out.rng.shuffle(prober.order)
    prober.index = 0


# ---- the prober ----------------------------------------------------------------------------------------
def rang(state: State, out: Outbox) -> None:
    """The one timer of the prober: a turn, the time for help, or the end of a probe."""
    current = state.prober.current
    if current is None:
        _turn(state, out)
    elif not current.indirect:
        _ask_others(state, current, out)
    else:
        state.prober.current = None
        if not current.stream_answered:
            _fail(state, current, out)
        _turn(state, out)  # the end of a failed probe is the next tick


def _turn(state: State, out: Outbox) -> None:
    prober = state.prober
    tick = (out.now - state.probe_phase) // state.config.probe_interval
    _advance(state, tick, out)
    if prober.tick == tick and (out.now - state.probe_phase) % state.config.probe_interval == 0:
        prober.tick += 1
        target = _next(state, out)
        if target is not None and _matters(state, target):
            _ping(state, target, out)
            return
    schedule(state, out)


def _ping(state: State, target: Member, out: Outbox) -> None:
    """A suspected member is told so, that it may refute at once (Lifeguard's buddy system)."""
    config = state.config
    deadline = out.now + config.probe_interval
    probe = Probe(state.seq(), target.name, target.incarnation, deadline)
    state.prober.current = probe
    told: tuple[Statement, ...]
    if target.state is SUSPECT:
        told = (Suspect(target.name, target.incarnation, state.node),)
    else:
        told = piggyback(state, out)
    ping = Ping(probe.seq, target.name, target.incarnation.born, told)
    out.send(Address(target.name, "gossip"), ping, DATAGRAM)
    out.set_timer("probe", config.probe_timeout, awaits=target.name)


def _ask_others(state: State, probe: Probe, out: Outbox) -> None:
    """SWIM's ping-req, and memberlist's TCP ping beside it."""
    probe.indirect = True
    alive = [m.name for m in state.members.values() if m.state is ALIVE and m.name != probe.target]
    for helper in sample(out.rng, alive, state.config.indirect_checks):
        asked = IndirectPing(probe.seq, probe.target, probe.incarnation.born, piggyback(state, out))
        out.send(Address(helper, "gossip"), asked, DATAGRAM)
    if state.config.stream_pings:
        ping = StreamPing(probe.seq, probe.target, probe.incarnation.born)
        out.send(Address(probe.target, "gossip"), ping, STREAM)
    out.set_timer("probe", probe.deadline - out.now, awaits=probe.target)


def _fail(state: State, probe: Probe, out: Outbox) -> None:
    member = state.members[probe.target]
    if not member.live:
        return
    accusation = Suspect(probe.target, probe.incarnation, state.node)
    if probe.incarnation >= member.incarnation and not member.reported:
        out.blame(probe.target, member.alive_since)
        state.believe(member._replace(reported=True))
        out.emit(PeerSuspected(state.node, probe.target))
    membership.suspect_node(state, accusation, out)


def on_ack(state: State, seq: int, out: Outbox) -> None:
    """Any ack before the deadline ends the probe: the target's own, or one that a helper relays."""
    helping = state.prober.helping.pop(seq, None)
    if helping is not None:
        if out.now <= helping.until:
            ack = Ack(helping.seq, piggyback(state, out))
            out.send(Address(helping.requester, "gossip"), ack, DATAGRAM)
        return
    current = state.prober.current
    if current is not None and current.seq == seq and out.now < current.deadline:
        state.prober.current = None
        out.cancel_timer("probe")
        schedule(state, out)


def on_stream_ack(state: State, src: Address, message: StreamAck, out: Outbox) -> None:
    """Counts at the deadline only (state.go `probeNode`: the fallback's result is looked at last)."""
    current = state.prober.current
    if current is not None and current.seq == message.seq:
        current.stream_answered = True


# ---- the probed, and the helper ------------------------------------------------------------------------
def on_ping(state: State, src: Address, message: Ping, out: Outbox) -> None:
    """Answer, unless another run of this daemon is meant (net.go `handlePing`: a wrong name is ignored)."""
    if message.target == state.node and message.born == state.me.born:
        out.send(src, Ack(message.seq, piggyback(state, out)), DATAGRAM)


def on_stream_ping(state: State, src: Address, message: StreamPing, out: Outbox) -> None:
    if message.target == state.node and message.born == state.me.born:
        out.send(src, StreamAck(message.seq), STREAM)


def on_indirect_ping(state: State, src: Address, message: IndirectPing, out: Outbox) -> None:
    """Ping in another's stead (net.go `handleIndirectPing`)."""
    _forget_old(state.prober, out)
    seq = state.seq()
    state.prober.helping[seq] = Helping(src.node, message.seq, out.now + state.config.probe_timeout)
    ping = Ping(seq, message.target, message.born, piggyback(state, out))
    out.send(Address(message.target, "gossip"), ping, DATAGRAM)


def _forget_old(prober: Prober, out: Outbox) -> None:
    for seq in [seq for seq, helping in prober.helping.items() if helping.until < out.now]:
        del prober.helping[seq]


def piggyback(state: State, out: Outbox) -> tuple[Statement, ...]:
    """Statements that ride on a probe's packet, of memberlist's queue first (state.go `sendMsg`)."""
    return spread.fetch(state, state.config.packet_size - 90, out.now)
