"""The network: carries messages between hosts, asks its rules first, knows nothing of what it carries.

A message costs one SimPy event: a callback on a timeout. Streams (gRPC over mutual TLS on TCP port 2377) arrive in
order, are resent when lost, stall while a rule swallows their packets, and are reset when the other end's process dies.
Datagrams (gossip, UDP 7946) are just lost. Service traffic (VXLAN, UDP 4789) is not simulated packet by packet.

*Rules* (installed by faults) are asked in the order of their installation; the first verdict wins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import simpy

from ..machine import STREAM, Address, Disturbed, Transport
from ..trace.events import MessageDropped
from ..trace.recorder import Trace
from . import rng
from .clock import Clock
from .links import Link

if TYPE_CHECKING:
    import networkx

    from .host import Host

Micros = int

#: Ports as Docker uses them (reference/cluster.md 1.1), for reports; a message's transport implies its port.
PORT_CONTROL, PORT_GOSSIP, PORT_DATA = 2377, 7946, 4789

# A stream's message that could not pass for this long is given up: the stall watchdog of a Raft stream
# (transport/peer.go, 2 s); other callers' deadlines are of the same order.
STALL_LIMIT: Micros = 2_000_000


class Rule(Protocol):
    """What a fault installs. `cause`: the seq of its FaultStarted event."""

    entry: str
    cause: int

    def verdict(self, src: str, dst: str, stream: bool, now: Micros) -> tuple[str, Any] | None:
        """None (pass), ("drop", why), ("delay", micros), ("duplicate", micros), ("lose", share)."""


class Packet(NamedTuple):
    src: Address
    dst: Address
    kind: int  # MESSAGE, CALL, ANSWER, REFUSED
    body: Any
    cause: int
    sent_at: Micros


MESSAGE, CALL, ANSWER, REFUSED = range(4)


class Network:
    """All hosts, the links between them (made when first used), the rules in force."""

    def __init__(
        self,
        env: Clock,
        trace: Trace,
        seed: int,
        latency: tuple[Micros, Micros] = (200, 1_000),
        loss: float = 0.0,
    ) -> None:
        self.env = env
        self.trace = trace
        self.seed = seed
        self.latency = latency
        self.loss = loss
        self.hosts: dict[str, Host] = {}
        self.exact = False  # nothing is skipped: every heartbeat and probe is sent
        self.rules: list[Rule] = []
        self.sleepers: dict[Address, None] = {}  # machines to wake when the network changes
        self._links: dict[tuple[str, str], Link] = {}
        self._silences: dict[str, list[tuple[Micros, int, str | None]]] = {}  # node -> (at, seq, heard by)

    def link(self, src: str, dst: str) -> Link:
        found = self._links.get((src, dst))
        if found is None:
            stream = rng.stream(self.seed, "latency", src, dst)
            found = self._links[src, dst] = Link(src, dst, stream, self.latency, self.loss)
        return found

    # -- carrying --
    def carry(self, packet: Packet, transport: Transport) -> None:
        """Take a packet on its way (or lose it)."""
        src, dst = packet.src.node, packet.dst.node
        env = self.env
        if src == dst:
            timeout = simpy.Timeout(env, 0, packet)
            timeout.callbacks.append(self._arrive)
            return
        link = self._links.get((src, dst)) or self.link(src, dst)
        delay = link.low + int(link.rng.random() * link.high)
        if self.rules or link.loss:
            extra = self._judge(link, packet, transport)
            if extra is None:
                return
            delay += extra
        if transport is STREAM:
            at = env.now + delay
            if at < link.stream_free_at:
                delay = link.stream_free_at - env.now
            else:
                link.stream_free_at = at
        timeout = simpy.Timeout(env, delay, packet)
        timeout.callbacks.append(self._arrive)

    def _judge(self, link: Link, packet: Packet, transport: Transport) -> Micros | None:
        """Extra delay by rules and loss, or None when the packet does not arrive (now)."""
        stream = transport is STREAM
        loss, extra = link.loss, 0
        for rule in self.rules:
            verdict = rule.verdict(link.src, link.dst, stream, self.env.now)
            if verdict is None:
                continue
            what, value = verdict
            if what == "drop":
                self._swallow(link, packet, stream, rule, value)
                return None
            if what == "delay":
                extra += value
            elif what == "lose":
                loss = 1 - (1 - loss) * (1 - value)
            elif what == "duplicate":
                simpy.Timeout(self.env, value + link.draw(), packet).callbacks.append(self._arrive)
        link.blocked = False
        if loss:
            if stream:
                return extra + link.resends(loss)
            if link.rng.random() < loss:
                self.trace.note("datagram lost", self.env.now, link.src, link.dst)
                return None
        return extra

    def _swallow(self, link: Link, packet: Packet, stream: bool, rule: Rule, why: str) -> None:
        if not link.blocked:
            link.blocked = True
            seq = self.trace.record(MessageDropped(link.src, link.dst, why), self.env.now, rule.cause)
            self.silence(link.src, seq, link.dst)
        if stream:
            link.stalled.append((self.env.now, packet))

    def _arrive(self, event: simpy.Event) -> None:
        packet: Packet = event._value
        host = self.hosts[packet.dst.node]
        if host.up:
            host.receive(packet)
        elif host.refuses and packet.kind == CALL:  # the machine is there, the process is not: connection refused
            back = Packet(packet.dst, packet.src, REFUSED, packet.body.id, packet.cause, self.env.now)
            self.carry(back, STREAM)

    # -- rules, and who must know that something changed --
    def install(self, rule: Rule) -> None:
        self.rules.append(rule)
        self.disturb("")

    def remove(self, rule: Rule) -> None:
        self.rules.remove(rule)
        self._release()
        self.disturb("")

    def _release(self) -> None:
        """Streams that stalled go on: the sender's retransmission timer finds the way open."""
        now = self.env.now
        for link in self._links.values():
            if not link.stalled or self._blocked(link):
                continue
            stalled, link.stalled = link.stalled, []
            for sent_at, packet in stalled:
                if now - sent_at <= STALL_LIMIT:
                    self.carry(packet, STREAM)

    def _blocked(self, link: Link) -> bool:
        verdicts = (rule.verdict(link.src, link.dst, True, self.env.now) for rule in self.rules)
        return any(v is not None and v[0] == "drop" for v in verdicts)

    def disturb(self, node: str) -> None:
        """A rule or a host changed: wake the machines that sleep while all is quiet."""
        for address in list(self.sleepers):
            host = self.hosts[address.node]
            if host.up:
                host.wake(address.machine, Disturbed(node))

    def quiet(self, *nodes: str) -> bool:
        """Must every healthy exchange among `nodes` succeed? (The dice of rules are not asked.)"""
        if self.rules or self.loss or self.exact:
            return False
        hosts = self.hosts
        return all(hosts[node].up for node in nodes)

    # -- who fell silent, for causes --
    def silence(self, node: str, seq: int, heard_by: str | None = None) -> None:
        """`node` cannot be heard (by `heard_by`, or by anyone) because of event `seq`."""
        self._silences.setdefault(node, []).append((self.env.now, seq, heard_by))

    def silenced(self, node: str, by: str, since: Micros) -> int:
        """The event that silenced `node` (on its way to `by`, or altogether) at or after `since`; 0 if none."""
        best = 0
        for at, seq, heard_by in reversed(self._silences.get(node, ())):
            if at < since:
                break
            if heard_by is None or heard_by == by:
                return seq
            best = best or seq  # silent towards somebody on the way
        return best

    # -- hosts --
    def reset_connections(self, node: str, cause: int) -> None:
        """A process died: every host that can be reached learns it after one way's latency."""
        for name, host in self.hosts.items():
            if name == node or not host.up:
                continue
            link = self.link(node, name)
            if self.rules and self._blocked(link):
                continue
            timeout = simpy.Timeout(self.env, link.draw(), (host, node, cause))
            timeout.callbacks.append(_lost)
        for link in self._links.values():
            if node in (link.src, link.dst):
                link.stalled.clear()

    def graph(self) -> networkx.Graph[str]:
        """The topology as it stands: hosts that are up, an edge where packets pass both ways."""
        from .topology import graph

        return graph(self)


def _lost(event: simpy.Event) -> None:
    host, node, cause = event._value
    if host.up:
        host.lost(node, cause)
