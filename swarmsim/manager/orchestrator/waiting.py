"""Waiting for something that happens within the same machine: what channels are to the original's goroutines.

A handler may yield a `Signal` as it yields an effect, and goes on when the signal has fired. The drivers know nothing
of it: `carry` runs a handler, and where it meets a signal leaves the handler with it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

from ...errors import ApiError
from ...machine import Outbox

Work = Generator[Any, Any, None]


class Signal:
    """Fires once, with a value. Whoever yields it later goes on at once."""

    __slots__ = ("_linked", "_parked", "fired", "value")

    def __init__(self) -> None:
        self.fired = False
        self.value: Any = None
        self._parked: list[Generator[Any, Any, Any]] = []
        self._linked: list[Signal] = []  # fire with this one

    def park(self, handler: Generator[Any, Any, Any]) -> None:
        self._parked.append(handler)

    def fire(self, out: Outbox, value: Any = None) -> None:
        if self.fired:
            return
        self.fired, self.value = True, value
        parked, self._parked = self._parked, []
        for handler in parked:
            out.start(carry(handler, out, value))
        linked, self._linked = self._linked, []
        for signal in linked:
            signal.fire(out, value)

    def link(self, other: Signal) -> None:
        self._linked.append(other)


def either(first: Signal, second: Signal) -> Signal:
    """A signal to wait for both at once: the original's `select`. Ask the two which of them it was."""
    if first.fired or second.fired:
        return first if first.fired else second
    both = Signal()
    first.link(both)
    second.link(both)
    return both


def carry(handler: Generator[Any, Any, Any], out: Outbox, value: Any = None) -> Work:
    """Run `handler` until it ends or waits for a signal that has not fired yet."""
    error: ApiError | None = None
    while True:
        try:
            effect = handler.send(value) if error is None else handler.throw(error)
        except StopIteration:
            return
        value, error = None, None
        if type(effect) is not Signal:
            try:
                value = yield effect
            except ApiError as failed:
                error = failed
        elif effect.fired:
            value = effect.value
        else:
            effect.park(handler)
            return


@contextmanager
def caused_by(out: Outbox, cause: int) -> Iterator[None]:
    """What is set, started or emitted within has this cause; afterwards the handler has its own again."""
    before, out.cause = out.cause, cause
    try:
        yield
    finally:
        out.cause = before
