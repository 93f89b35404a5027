"""Names as a picture has room for them: of hosts without the domain they share, of many the first and how many more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..trace.events import SwarmReady
from ..trace.recorder import Trace

LONG = 12  # letters; shorter names stay as they are
TOLD = 3


def short_names(trace: Trace) -> Mapping[str, str]:
    """Each node's name, without its domain if all names are told apart by what is left."""
    names = next((r.event.managers + r.event.workers for r in trace.of(SwarmReady)), ())
    if max(map(len, names), default=0) <= LONG:
        return {name: name for name in names}
    short = {name: name.split(".")[0] for name in names}
    return short if len(set(short.values())) == len(names) else {name: name for name in names}


def listed(nodes: Sequence[str], short: Mapping[str, str]) -> str:
    """`w1, w2`; of many the first ones and how many more."""
    names = [short.get(node, node) for node in nodes]
    if len(names) <= TOLD + 1:
        return ", ".join(names)
    return ", ".join(names[:TOLD]) + f" + {len(names) - TOLD}"
