"""What all faults share: the words `at`, `for` and `name` around them, whom they hit, and how they begin and end.

A fault is a pydantic model picked by its verb (SCENARIOS.md section 6). `scenario.timeline` waits for its moment, finds
its targets, and then does only this:

    with fault.active(cluster, hit):
        yield env.timeout(hit.duration)

Nothing in raft, manager or agent knows that faults exist.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from ..api.values import format_duration, parse_times
from ..trace.events import FaultEnded, FaultStarted

if TYPE_CHECKING:
    from ..cluster import Cluster

Micros = int

Times = Annotated[
    tuple[Micros, Micros],
    BeforeValidator(parse_times),
    WithJsonSchema({"type": "string", "description": "TIMES: 30s, or a range 1s..3s", "examples": ["30s", "1s..3s"]}),
]
Aim = Annotated[
    Any,  # the words of a selector (section 7); scenario.selectors reads them
    WithJsonSchema(
        {"anyOf": [{"type": "string"}, {"type": "array"}], "description": "a selector, SCENARIOS.md section 7"}
    ),
]
Direction = Literal["both", "in", "out"]


def format_times(times: tuple[Micros, Micros]) -> str:
    """`30s`, or `1s..3s`."""
    low, high = times
    return format_duration(low) if low == high else f"{format_duration(low)}..{format_duration(high)}"


@dataclass
class Hit:
    """Where and how long one fault of one run strikes: all draws are made."""

    entry: str
    seed: int
    nodes: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()
    tasks: tuple[tuple[str, str, str], ...] = ()  # (node, task id, name)
    duration: Micros | None = None  # None: to the end of the run
    cause: int = 0
    #: How many crashes hold each node off; shared by all faults of a run, for faults overlap freely.
    holds: dict[str, int] = field(default_factory=dict)
    started: int = 0  # seq of FaultStarted, once it has begun


class Fault(BaseModel):
    """Base of all faults. `verb` is its key in the file; `aims` names the fields that hold selectors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    verb: ClassVar[str]
    aims: ClassVar[dict[str, str]]
    meaning: ClassVar[str] = ""

    @property
    def lasts(self) -> tuple[Micros, Micros] | None:
        """Its `for`; None where it lasts to the end of the run, or for no time at all."""
        times: tuple[Micros, Micros] | None = getattr(self, "for_", None)
        return times

    @property
    def instant(self) -> bool:
        """Is it over as soon as it has begun?"""
        return "for_" not in type(self).model_fields

    def detail(self) -> str:
        """Its settings, for reports."""
        return ""

    def unfit(self, cluster: Cluster, hit: Hit) -> str:
        """Why it cannot befall these nodes now; "" if it can. What is unfit does not fire."""
        return ""

    def begin(self, cluster: Cluster, hit: Hit) -> Any:
        """Do it; what this returns is handed to `undo`."""
        raise NotImplementedError

    def undo(self, cluster: Cluster, hit: Hit, done: Any, cause: int) -> None:
        """Put things right again."""

    def active(self, cluster: Cluster, hit: Hit) -> AbstractContextManager[None]:
        """The fault, while the `with` block lasts. A run that ends inside it ends with the fault in force."""
        return _active(self, cluster, hit)


@contextmanager
def _active(fault: Fault, cluster: Cluster, hit: Hit) -> Iterator[None]:
    trace, env = cluster.trace, cluster.env
    nodes = hit.nodes or tuple(name for _, _, name in hit.tasks)
    started = FaultStarted(hit.entry, fault.verb, nodes, hit.peers, hit.duration, fault.detail())
    hit.started = trace.record(started, int(env.now), hit.cause)
    done = fault.begin(cluster, hit)
    yield  # not in a `try`: a run that is over closes its processes, and undoes nothing
    if fault.instant:
        return
    seq = trace.record(FaultEnded(hit.entry, fault.verb, nodes), int(env.now), hit.started)
    fault.undo(cluster, hit, done, seq)


class LinkFault(Fault):
    """Base of what befalls the packets between `nodes` and `peers` (all others)."""

    for_: Times | None = Field(None, alias="for")
    peers: Aim = None
    direction: Direction = "both"

    def rule(self, cluster: Cluster, hit: Hit) -> LinkRule:
        raise NotImplementedError

    def begin(self, cluster: Cluster, hit: Hit) -> LinkRule:
        rule = self.rule(cluster, hit)
        cluster.network.install(rule)
        return rule

    def undo(self, cluster: Cluster, hit: Hit, done: LinkRule, cause: int) -> None:
        cluster.network.remove(done, cause)

    def way(self) -> str:
        return {"both": "", "in": "in only", "out": "out only"}[self.direction]


class LinkRule:
    """A rule for `sim.network`: which ways it concerns. With `in`, the nodes hear no peer."""

    def __init__(self, hit: Hit, names: list[str], direction: str) -> None:
        self.entry = hit.entry
        self.cause = hit.started
        self.seed = hit.seed
        self.nodes = frozenset(hit.nodes)
        self.peers = frozenset(hit.peers or (n for n in names if n not in self.nodes))
        self.inward = direction in ("both", "in")
        self.outward = direction in ("both", "out")

    def concerns(self, src: str, dst: str) -> bool:
        return bool(
            (self.inward and dst in self.nodes and src in self.peers)
            or (self.outward and src in self.nodes and dst in self.peers)
        )

    def verdict(self, src: str, dst: str, stream: bool, now: Micros) -> tuple[str, Any] | None:
        raise NotImplementedError

    def blocks(self, src: str, dst: str) -> bool:
        return False


__all__ = ["Aim", "Direction", "Fault", "Hit", "LinkFault", "LinkRule", "Times", "format_times"]
