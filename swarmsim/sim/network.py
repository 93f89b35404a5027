"""The network: carries messages between hosts, asks its rules first, knows nothing of what it carries.

A message costs one SimPy event: a callback on a timeout. Streams (gRPC over mutual TLS on TCP port 2377) arrive in
order, are resent when lost, stall while a rule swallows their packets, and are reset when the other end's process dies.
Datagrams (gossip, UDP 7946) are just lost. Service traffic (VXLAN, UDP 4789) is not simulated packet by packet.

*Rules* (installed by faults) are asked in the order of their installation. The first that drops a packet has the last
word on it; of those that let it pass, delays add up and losses combine, for faults overlap freely.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import simpy

from ..machine import STREAM, Address, Disturbed, Transport
from ..trace.events import MessageDropped
from ..trace.recorder import Trace
from . import rng
from .clock import Clock
from .links import Latency, Link, Way

if TYPE_CHECKING:
    import networkx

    from .host import Host

Micros = int

#: Ports as Docker uses them, for reports; a message's transport implies its port.
PORT_CONTROL, PORT_GOSSIP, PORT_DATA = 2377, 7946, 4789


class Rule(Protocol):
    """What a fault installs. `cause`: the seq of its FaultStarted event."""

    entry: str
    cause: int

    def verdict(self, src: str, dst: str, stream: bool, now: Micros) -> tuple[str, Any] | None:
        """Of one packet: None (pass), ("drop", why), ("delay", micros), ("duplicate", micros), ("lose", share).

        May throw dice, so it is asked once for each packet. A duplicate comes that much later than the first copy;
        TCP throws it away.
        """

    def blocks(self, src: str, dst: str) -> bool:
        """Would it drop whatever goes that way? Throws no dice."""


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
        latency: Latency = (200, 1_000),
        loss: float = 0.0,
        ways: Sequence[Way] = (),
    ) -> None:
        self.env = env
        self.trace = trace
        self.seed = seed
        self.latency = latency
        self.loss = loss
        self.ways = ways  # where latency or loss differ; later ones win
        self.lossy = bool(loss) or any(way.loss for way in ways)
        self.hosts: dict[str, Host] = {}
        self.exact = False  # nothing is skipped: every heartbeat and probe is sent
        #: All disks keep their promises, and all rules are in force: software that panics shows a bug of ours.
        self.trusted = True
        self.rules: list[Rule] = []
        self.sleepers: dict[Address, None] = {}  # machines to wake when the network changes
        self._links: dict[tuple[str, str], Link] = {}
        self._silences: dict[str, list[tuple[Micros, int, str | None]]] = {}  # node -> (at, seq, heard by)

    def link(self, src: str, dst: str) -> Link:
        found = self._links.get((src, dst))
        if found is None:
            latency, loss = self._way(src, dst)
            found = self._links[src, dst] = Link(
                src,
                dst,
                rng.stream(self.seed, "latency", src, dst),
                rng.stream(self.seed, "loss", src, dst),
                latency,
                loss,
            )
        return found

    def _way(self, src: str, dst: str) -> tuple[Latency, float]:
        """Latency and loss from host to host."""
        latency, loss = self.latency, self.loss
        for way in self.ways:
            if way.concerns(src, dst):
                latency = latency if way.latency is None else way.latency
                loss = loss if way.loss is None else way.loss
        return latency, loss

    # -- carrying --
    def carry(self, packet: Packet, transport: Transport) -> None:
        """Take a packet on its way (or lose it)."""
        src, dst = packet.src.node, packet.dst.node
        if src == dst:
            self._bring(packet, 0)
            return
        link = self._links.get((src, dst)) or self.link(src, dst)
        delay = link.low + int(link.rng.random() * link.high) if link.normal is None else link.draw()
        stream = transport is STREAM
        if self.rules or link.loss:
            extra = self._judge(link, packet, stream, delay)
            if extra is None:
                return
            delay += extra
        if stream:
            delay = link.in_order(self.env.now, delay)
        self._bring(packet, delay)

    def _bring(self, packet: Packet, delay: Micros) -> None:
        timeout = simpy.Timeout(self.env, delay, packet)
        timeout.callbacks.append(self._arrive)

    def _judge(self, link: Link, packet: Packet, stream: bool, delay: Micros) -> Micros | None:
        """Extra delay by rules and loss, or None when the packet does not arrive (now)."""
        loss, extra, copies = link.loss, 0, []
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
            elif what == "duplicate" and not stream:
                copies.append(value)
        link.blocked = False
        if loss and stream:
            return extra + link.resends(loss)
        for later in copies:  # each copy is lost or not for itself
            if not loss or link.passes(loss):
                self._bring(packet, delay + extra + later)
        if loss and not link.passes(loss):
            self.trace.note("datagram lost", self.env.now, link.src, link.dst)
            return None
        return extra

    def _swallow(self, link: Link, packet: Packet, stream: bool, rule: Rule, why: str) -> None:
        now = self.env.now
        if not link.blocked:
            link.blocked = True
            seq = self.trace.record(MessageDropped(link.src, link.dst, why), now, rule.cause)
            self.silence(link.src, seq, link.dst)
        if stream:
            link.stall(now, packet)

    def _arrive(self, event: simpy.Event) -> None:
        packet: Packet = event._value
        host = self.hosts[packet.dst.node]
        if host.up:
            host.receive(packet)
        elif host.refuses and packet.kind == CALL:  # the machine is there, the process is not: connection refused
            cause = self.silenced(packet.dst.node, packet.src.node, self.env.now) or packet.cause
            back = Packet(packet.dst, packet.src, REFUSED, packet.body.id, cause, self.env.now)
            self.carry(back, STREAM)

    # -- rules, and who must know that something changed --
    def install(self, rule: Rule) -> None:
        self.rules.append(rule)
        self.disturb("", rule.cause)

    def remove(self, rule: Rule, cause: int = 0) -> None:
        """`cause`: the seq of the event that ended it."""
        self.rules.remove(rule)
        self._release()
        self.disturb("", cause or rule.cause)

    def _release(self) -> None:
        """Streams that stalled go on: the sender's retransmission timer finds the way open."""
        for link in self._links.values():
            if link.blocked and not self._blocked(link):
                link.blocked = False
                for packet in link.release(self.env.now):
                    self.carry(packet, STREAM)

    def _blocked(self, link: Link) -> bool:
        return any(rule.blocks(link.src, link.dst) for rule in self.rules)

    def disturb(self, node: str, cause: int = 0) -> None:
        """A rule or a host changed, by event `cause`: wake the machines that sleep while all is quiet."""
        for address in list(self.sleepers):
            host = self.hosts[address.node]
            if host.up:
                host.wake(address.machine, Disturbed(node), cause)

    def quiet(self, *nodes: str) -> bool:
        """Must every healthy exchange among `nodes` succeed? (The dice of rules are not asked.)"""
        if self.rules or self.lossy or self.exact:
            return False
        hosts = self.hosts
        return all(hosts[node].up and hosts[node].serves and not hosts[node].disk.troubled for node in nodes)

    # -- who fell silent, for causes --
    def silence(self, node: str, seq: int, heard_by: str | None = None) -> None:
        """`node` cannot be heard (by `heard_by`, or by anyone) because of event `seq`."""
        self._silences.setdefault(node, []).append((self.env.now, seq, heard_by))

    def silenced(self, node: str, by: str, since: Micros) -> int:
        """The event that silenced `node` (on its way to `by`, or altogether) at or after `since`; 0 if none.

        A silence that began earlier counts while it lasts: the node is off, or its way to `by` is closed. Where neither
        is found, an event that silenced it towards somebody else does, for that may be who stands in between.
        """
        best = 0
        host = self.hosts[node]
        off, closed = not (host.up and host.serves), self.link(node, by).blocked
        for at, seq, heard_by in reversed(self._silences.get(node, ())):
            if at < since and not off and not closed:
                break
            if heard_by is None and (off or at >= since):
                return seq
            if heard_by == by and (closed or at >= since):
                return seq
            if at >= since:
                best = best or seq
        return best

    # -- hosts --
    def hang_up(self, node: str) -> None:
        """A host went off: what its streams would have sent again, and what was on its way to it, is gone."""
        for link in self._links.values():
            if node in (link.src, link.dst):
                link.stalled.clear()

    def reset_connections(self, node: str, cause: int) -> None:
        """A process died: every host that can be reached learns it, after all that its streams brought before."""
        for name, host in self.hosts.items():
            if name == node or not host.up:
                continue
            link = self.link(node, name)
            extra = 0
            for rule in self.rules:
                what, value = rule.verdict(node, name, True, self.env.now) or ("", 0)
                if what == "drop":
                    break
                extra += value if what == "delay" else 0
            else:
                delay = link.in_order(self.env.now, link.draw() + extra)
                timeout = simpy.Timeout(self.env, delay, (host, node, cause))
                timeout.callbacks.append(_lost)

    def graph(self) -> networkx.Graph[str]:
        """The topology as it stands: hosts that are up, an edge where packets pass both ways."""
        from .topology import graph

        return graph(self)


def _lost(event: simpy.Event) -> None:
    host, node, cause = event._value
    if host.up:
        host.lost(node, cause)
