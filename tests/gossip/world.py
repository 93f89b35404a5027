"""A world for gossip machines: an event heap instead of SimPy, hosts that go off, a network that loses and
cuts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from heapq import heappop, heappush
from random import Random
from typing import Any

from swarmsim.gossip import EndpointRecord, Gossip, GossipConfig
from swarmsim.gossip.state import Balancer
from swarmsim.machine import DATAGRAM, SECOND, STREAM, Address, Disturbed, Machine, RecordingOutbox, Transport

DELAY = 500


class WorldOutbox(RecordingOutbox):
    """Effects happen in the world."""

    def __init__(self, world: World, node: str, rng: Random) -> None:
        super().__init__(Address(node, "gossip"))
        self.world = world
        self.rng = rng

    def send(self, dst: Address, message: Any, transport: Transport = STREAM) -> None:
        self.world.carry(self.address.node, dst.node, message, transport, self)

    def set_timer(self, name: Any, delay: int, awaits: str | None = None) -> None:
        assert delay >= 0, (name, delay)
        self.timers[name] = self.now + delay
        self.world.at(delay, lambda: self.world.ring(self, name))

    def emit(self, event: Any) -> int:
        self.world.events.append((self.now, event))
        return super().emit(event)

    def blame(self, node: str, since: int) -> None:
        pass

    def quiet(self, *nodes: str) -> bool:
        return all(self.world.quiet(self.address.node, node) for node in nodes)


class World:
    def __init__(
        self,
        n: int,
        seed: int = 0,
        exact: bool = False,
        loss: float = 0.0,
        start: bool = True,
    ) -> None:
        self.names = tuple(f"n{i:03}" for i in range(n))
        self.seed = seed
        self.exact = exact
        self.loss = loss
        self.cut: Callable[[str, str], bool] | None = None
        self.now = 0
        self.heap: list[tuple[int, int, Callable[[], None]]] = []
        self.order = 0
        self.rng = Random(f"network {seed}")
        self.machines: dict[str, Gossip] = {}
        self.outs: dict[str, WorldOutbox] = {}
        self.streams = {name: Random(f"{name} {seed}") for name in self.names}
        self.events: list[tuple[int, Any]] = []
        self.sent: Counter[str] = Counter()
        self.served = 0  # timers that rang and messages that arrived: SimPy events, roughly
        if start:
            for name in self.names:
                self.start(name)

    # -- time --
    def at(self, delay: int, action: Callable[[], None]) -> None:
        self.order += 1
        heappush(self.heap, (self.now + delay, self.order, action))

    def run(self, duration: int) -> None:
        end = self.now + duration
        here = 0
        while self.heap and self.heap[0][0] <= end:
            at, _, action = heappop(self.heap)
            here = here + 1 if at == self.now else 0
            assert here < 100_000, "time stands still"
            self.now = at
            action()
        self.now = end

    def run_until(self, done: Callable[[], bool], limit: int, step: int = 10_000) -> int:
        """The time when `done` first held, at the grain of `step`."""
        began = self.now
        while not done():
            assert self.now - began < limit, f"not within {limit / SECOND} s"
            self.run(step)
        return self.now - began

    def ring(self, out: WorldOutbox, name: Any) -> None:
        if self.outs.get(out.address.node) is out and out.timers.get(name) == self.now:
            del out.timers[name]
            self.served += 1
            out.now = self.now
            self.machines[out.address.node].on_timer(name, out)

    # -- hosts --
    def start(
        self,
        name: str,
        peers: tuple[str, ...] | None = None,
        balancer: Balancer | None = None,
    ) -> None:
        machine = Gossip(name, self.names if peers is None else peers, GossipConfig(), self.exact, balancer)
        out = WorldOutbox(self, name, self.streams.setdefault(name, Random(f"{name} {self.seed}")))
        out.now = self.now
        self.machines[name], self.outs[name] = machine, out
        machine.on_start({}, out)
        if self.now:
            self.disturb(name)

    def crash(self, name: str) -> None:
        del self.machines[name], self.outs[name]
        self.disturb(name)

    def disturb(self, node: str = "") -> None:
        for name in list(self.machines):
            self.tell(name, Disturbed(node))

    def quiet(self, a: str, b: str) -> bool:
        return not self.loss and self.cut is None and a in self.machines and b in self.machines

    def partition(self, *side: str) -> None:
        self.cut = lambda a, b: (a in side) != (b in side)
        self.disturb()

    def heal(self) -> None:
        self.cut = None
        self.loss = 0.0
        self.disturb()

    # -- messages --
    def tell(self, name: str, message: Any) -> None:
        """What a machine of the same host says."""
        self.outs[name].now = self.now
        self.machines[name].on_message(Address(name, "agent"), message, self.outs[name])

    def carry(self, src: str, dst: str, message: Any, transport: Transport, out: WorldOutbox) -> None:
        self.sent[type(message).__name__] += 1
        lost = transport is DATAGRAM and self.loss and self.rng.random() < self.loss
        if not lost and not (self.cut and self.cut(src, dst)):
            self.at(DELAY + self.rng.randrange(200), lambda: self.arrive(src, dst, message))

    def arrive(self, src: str, dst: str, message: Any) -> None:
        self.served += 1
        if dst in self.machines:
            self.outs[dst].now = self.now
            self.machines[dst].on_message(Address(src, "gossip"), message, self.outs[dst])

    # -- what is seen --
    def seen(self, kind: type, **fields: str) -> list[tuple[int, Any]]:
        return [
            (at, event)
            for at, event in self.events
            if type(event) is kind and all(getattr(event, k) == v for k, v in fields.items())
        ]

    def view(self, node: str) -> dict[str, str]:
        return {name: member.state.value for name, member in self.machines[node].state.members.items()}

    def sees_all_alive(self, node: str) -> bool:
        view = self.view(node)
        return len(view) == len(self.names) - 1 and all(state == "alive" for state in view.values())

    def rows(self, node: str, network: str = "ingress") -> set[str]:
        """Keys of the rows that this node shows."""
        state = self.machines[node].state
        return {key for key, row in state.db.rows.get(network, {}).items() if not row.event.deleting
                and state.live(row.event.owner)}  # fmt: skip

    def pending(self) -> list[Any]:
        return [(out.address.node, name) for out in self.outs.values() for name in out.timers]


def endpoint(task: str, network: str = "ingress", vip: str = "10.0.0.5", **more: Any) -> EndpointRecord:
    return EndpointRecord(task, f"web.{task}", network, "svc", "web", vip, f"10.0.0.1{len(task)}", **more)


def drive(machine: Machine, out: RecordingOutbox, src: str, message: Any) -> None:
    """One stimulus by hand."""
    machine.on_message(Address(src, "gossip"), message, out)
