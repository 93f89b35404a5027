"""A small world for tests of `swarmsim.sim`: real SimPy, real hosts and network, and machines made of functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from swarmsim.machine import Address, Call, Handler, Machine, Outbox
from swarmsim.sim.clock import Clock
from swarmsim.sim.driver import Driver
from swarmsim.sim.host import Host
from swarmsim.sim.network import Network
from swarmsim.trace.recorder import Trace

Micros = int


class Script(Machine):
    """A machine of the functions a test gives it; whatever reaches it is noted in `diary` with its time."""

    def __init__(
        self,
        start: Callable[[Outbox], Handler] | None = None,
        message: Callable[[Any, Outbox], Handler] | None = None,
        call: Callable[[Call, Outbox], Handler] | None = None,
        timer: Callable[[Any, Outbox], Handler] | None = None,
        stop: Callable[[Outbox], None] | None = None,
    ) -> None:
        self.diary: list[tuple[Any, ...]] = []
        self.saved: Mapping[Any, Any] = {}
        self._start, self._message, self._call, self._timer, self._stop = start, message, call, timer, stop

    def on_start(self, saved: Mapping[Any, Any], out: Outbox) -> Handler:
        self.saved = dict(saved)
        return self._start(out) if self._start else None

    def on_message(self, src: Address, message: Any, out: Outbox) -> Handler:
        self.diary.append((out.now, message))
        return self._message(message, out) if self._message else None

    def on_call(self, call: Call, out: Outbox) -> Handler:
        self.diary.append((out.now, call.request))
        if self._call:
            return self._call(call, out)
        out.reply(call, ("answer", call.request))
        return None

    def on_timer(self, name: Any, out: Outbox) -> Handler:
        self.diary.append((out.now, name))
        return self._timer(name, out) if self._timer else None

    def on_lost(self, node: str, out: Outbox) -> Handler:
        self.diary.append((out.now, "lost", node))
        return None

    def on_stop(self, out: Outbox) -> None:
        if self._stop:
            self._stop(out)

    @property
    def heard(self) -> list[Any]:
        """What came, without the times."""
        return [what for _, *rest in self.diary for what in rest[:1]]


class World:
    """Hosts of these names on one network; an instant disk and a constant latency unless a test says otherwise."""

    def __init__(
        self,
        *names: str,
        seed: int = 1,
        latency: tuple[Micros, Micros] = (500, 500),
        fsync: tuple[Micros, Micros] = (2_000, 2_000),
        loss: float = 0.0,
    ) -> None:
        self.env = Clock(0)
        self.trace = Trace()
        self.network = Network(self.env, self.trace, seed, latency, loss)
        self.hosts = {name: Host(self.env, self.trace, self.network, name, seed, fsync) for name in names}

    def run(self, machine: Machine, node: str = "a", name: str = "x") -> Driver:
        """Start a machine, now and whenever its host starts again."""
        host = self.hosts[node]
        host.boot = lambda cause: host.spawn(name, machine, None, cause) and None
        return host.spawn(name, machine, None, 0)

    def until(self, time: Micros) -> None:
        """Go on to that moment, all that happens at it included."""
        self.env.run(time + 1)

    def tell(self, message: Any, node: str = "a", name: str = "x", cause: int = 0) -> None:
        """A message that arrives now."""
        self.hosts[node].wake(name, message, cause)

    def happened(self) -> list[tuple[Micros, str]]:
        return [(r.at, type(r.event).__name__) for r in self.trace]


class Verdicts:
    """A rule of a function: (src, dst, stream) -> verdict."""

    entry = "rule"

    def __init__(self, verdict: Callable[[str, str, bool], tuple[str, Any] | None], cause: int = 0) -> None:
        self.cause = cause
        self._verdict = verdict
        self.asked = 0

    def verdict(self, src: str, dst: str, stream: bool, now: Micros) -> tuple[str, Any] | None:
        self.asked += 1
        return self._verdict(src, dst, stream)

    def blocks(self, src: str, dst: str) -> bool:
        return (self._verdict(src, dst, True) or ("",))[0] == "drop"


def always(what: str, value: Any, cause: int = 0) -> Verdicts:
    return Verdicts(lambda src, dst, stream: (what, value), cause)
