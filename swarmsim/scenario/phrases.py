"""Small words of the printed timeline: durations, lists of names, and what a thing came after."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..api.values import format_duration
from ..checks.verdict import seconds
from ..trace.events import (
    FaultEnded,
    FaultStarted,
    StepSent,
)
from .incident import Group
from .ledger import Ledger
from .tables import natural

Micros = int


def exact(us: Micros) -> str:
    """`30 s`, `1 h 30 min`: what was set, to the millisecond."""
    us = us if us < 10_000 else round(us, -3)
    parts = re.findall(r"([\d.]+)([a-z]+)", format_duration(us))
    return " ".join(f"{number} {'min' if unit == 'm' else unit}" for number, unit in parts)


def between(times: Sequence[Micros]) -> str:
    """`14.2 s`, or `13.6 s to 16.1 s`."""
    low, high = seconds(min(times)), seconds(max(times))
    return low if low == high else f"{low} to {high}"


def both(names: Sequence[str], most: int = 3) -> str:
    """`a`, `a and b`, `a, b and 9 more`: each once."""
    names = list(dict.fromkeys(names))
    if len(names) <= 1:
        return "".join(names)
    if len(names) <= most:
        return f"{', '.join(names[:-1])} and {names[-1]}"
    return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} more"


def comma(names: Sequence[str], most: int = 4) -> str:
    """`a, b`; many: `a, b and 9 more`."""
    names = list(dict.fromkeys(names))
    return ", ".join(names) if len(names) <= most else both(names, most)


def bare(error: str) -> str:
    """Docker's text without what gRPC puts before it."""
    return re.sub(r"^rpc error: code = \w+ desc = ", "", error)


def called(entry: str, verb: str) -> str:
    """An entry's own name, where it has one."""
    return f" ({entry})" if entry and entry != verb else ""


def after(ledger: Ledger, root: int) -> str:
    """`the crash`, `the end of the partition`, `the scale`, `` `second` ``; "" where it came of no entry."""
    event = ledger.trace[root].event if root else None
    if isinstance(event, FaultStarted | FaultEnded):
        name = f"the {event.kind}" if event.entry == event.kind else f"`{event.entry}`"
        return f"the end of {name}" if isinstance(event, FaultEnded) else name
    if isinstance(event, StepSent):
        return f"the {event.verb}" if event.entry in ("", event.verb) else f"`{event.entry}`"
    return ""


def times(count: int) -> str:
    """`once`, `3 times`."""
    return "once" if count == 1 else f"{count} times"


def spread(group: Group) -> str:
    """Where a line takes together what lies far apart: until when."""
    return f", the last at {group.last / 1e6:.1f} s" if group.last - group.at > 1_000_000 else ""


def names_of(group: Group) -> str:
    return both(sorted((note.what.name for note in group.notes), key=natural))
