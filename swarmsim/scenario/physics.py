"""The words of `cluster:` for what a run's physics are: `network:` (latency, loss, links that differ) and `raft:`.

`raft:` is for experiments with Raft itself: whose rules the group follows, how its clocks run, how long its disks take,
and whose logs are behind when it is handed over (SCENARIOS.md section 4). Without it the group is SwarmKit's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, WithJsonSchema, model_validator

from ..api.specs import RaftSpec
from ..api.values import format_duration, parse_duration, parse_times
from ..faults.base import Direction, Times, format_times
from ..faults.loss import Share
from ..sim.links import Latency, Normal, Way
from . import selectors
from .selectors import Known

Micros = int

CLOCK: Micros = 0  # `tick: clock`
BEHIND_MOST = 1_000
_NORMAL = re.compile(r"normal\s+(\S+)\s+(\S+)")


class Physics(BaseModel):
    """Base: nothing unknown passes in silence."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# ---- network ---------------------------------------------------------------------------------------------


def parse_latency(value: Any) -> Latency:
    """TIMES, or `normal MEAN DEVIATION`."""
    if not isinstance(value, str) or not value.startswith("normal"):
        if isinstance(value, tuple):  # a default, read already
            return value
        times: tuple[Micros, Micros] = parse_times(value)
        return times
    found = _NORMAL.fullmatch(value)
    if found is None:
        raise ValueError(f"`{value}` is no latency; write normal MEAN DEVIATION, such as normal 5ms 3ms")
    mean, deviation = parse_duration(found[1]), parse_duration(found[2])
    if deviation > 2 * mean:
        # Below zero is drawn again: with a wider bell that would be most of the draws, and the mean none of theirs.
        raise ValueError(f"`{value}` would mostly be negative; the deviation may be at most twice the mean")
    return Normal(mean, deviation)


_LATENCY = {"type": "string", "description": "TIMES, or `normal MEAN DEVIATION`", "examples": ["200us..1ms"]}
_NODES = {"anyOf": [{"type": "string"}, {"type": "array"}], "description": "names, ranges, groups"}
LatencyWord = Annotated[Any, BeforeValidator(parse_latency), WithJsonSchema(_LATENCY)]
StaticNodes = Annotated[Any, WithJsonSchema(_NODES)]


class LinkWords(Physics):
    """What differs on the links between some nodes and their peers (all others)."""

    nodes: StaticNodes
    peers: StaticNodes = None
    direction: Direction = "both"
    latency: LatencyWord = None
    loss: Share | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.latency is None and self.loss is None:
            raise ValueError("a link that differs in nothing; write latency: 20ms..60ms, or loss: 1%")
        return self


class NetworkWords(Physics):
    latency: LatencyWord = (200, 1_000)
    loss: Share = 0.0
    links: tuple[LinkWords, ...] = ()


NETWORKS = {"lan": NetworkWords(), "wan": NetworkWords(latency="20ms..60ms", loss="0.1%")}


def parse_network(value: Any) -> Any:
    if isinstance(value, str):
        if value not in NETWORKS:
            raise ValueError(f"`{value}` is no network; write lan, wan or {{latency: 200us..1ms, loss: 0%}}")
        return NETWORKS[value]
    return value


NetworkWord = Annotated[NetworkWords, BeforeValidator(parse_network)]


def way(words: LinkWords, known: Known) -> Way:
    """The link's nodes found; raises `ValueError` for what is known only while a run goes on."""
    peers = None if words.peers is None else frozenset(_names(words.peers, known))
    nodes = frozenset(_names(words.nodes, known))
    if peers is not None and not peers - nodes and not nodes - peers and len(nodes) == 1:
        raise ValueError(f"`{words.nodes}` has no link to itself; write peers: nodes")
    return Way(nodes, peers, words.direction, words.latency, words.loss)


def spare(value: Any, known: Known) -> tuple[str, ...]:
    """The managers that are no members at 0s; raises `ValueError` where nobody would lead."""
    names = tuple(dict.fromkeys(_names(value, known, "`spare` takes")))
    if known.managers[0] in names:
        raise ValueError(f"`spare`: `{known.managers[0]}` leads at 0s and cannot be spare; write another manager")
    return names


def _names(value: Any, known: Known, who: str = "links take") -> Iterable[str]:
    found = selectors.nodes(value, known)
    parts = found.parts if isinstance(found, selectors.Many) else (found,)
    for part in parts:
        if not isinstance(part, selectors.Names | selectors.Group) or getattr(part, "word", "") == "followers":
            raise ValueError(f"`{value}` depends on the run; {who} names, ranges and groups")
        yield from part.names


# ---- raft ------------------------------------------------------------------------------------------------


def parse_tick(value: Any) -> Micros:
    """A DURATION, or `clock`."""
    if value == "clock":
        return CLOCK
    micros: Micros = parse_duration(value)
    if micros <= 0:
        raise ValueError(f"`{value}` is no tick; write for instance 1s, or clock for timers without ticks")
    return micros


def _behind(value: Any) -> dict[str, int]:
    if not isinstance(value, Mapping):
        raise ValueError(f"`{value}` says of nobody how much is missing; write {{m2: 1}}")
    for name, count in value.items():
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= BEHIND_MOST:
            raise ValueError(f"`{name}: {count}` is no number of entries; write 0 to {BEHIND_MOST}")
    return {str(name): count for name, count in value.items()}


_TICK = {"type": "string", "description": "DURATION, or `clock`", "examples": ["1s", "clock"]}
_DURATION = {"type": "string", "description": "DURATION: 250ms, 16.5s, 1m30s, 90d", "examples": ["75ms"]}


class RaftWords(Physics):
    """How the Raft group goes; the defaults are SwarmKit's."""

    rules: Literal["swarmkit", "paper", "refloated"] = "swarmkit"
    tick: Annotated[Micros, BeforeValidator(parse_tick), WithJsonSchema(_TICK)] = 1_000_000
    election: Times | None = None
    heartbeat: Annotated[Micros, BeforeValidator(parse_duration), WithJsonSchema(_DURATION)] | None = None
    candidate: Times | None = None
    backoff: StrictBool = False
    pre_vote: StrictBool = False
    check_quorum: StrictBool = True
    fsync: Times | None = None  # cluster.FSYNC
    transport: Literal["streams", "datagrams"] = "streams"
    behind: Annotated[
        dict[str, int], BeforeValidator(_behind), WithJsonSchema({"type": "object", "description": "manager: entries"})
    ] = Field(default_factory=dict)
    spare: StaticNodes = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.tick == CLOCK and (self.election is None or self.heartbeat is None):
            raise ValueError("`tick: clock` needs times; write election: 150ms..300ms and heartbeat: 50ms")
        if self.rules != "refloated" and (self.candidate is not None or self.backoff):
            key = "backoff" if self.candidate is None else "candidate"
            raise ValueError(f"`{key}` is of `rules: refloated`; write that, or leave `{key}` out")
        for key in ("election", "heartbeat", "candidate"):
            self._whole_ticks(key)
        return self

    def _whole_ticks(self, key: str) -> None:
        value = getattr(self, key)
        times = value if isinstance(value, tuple) else (value,) * 2
        if value is None:
            return
        if any(not time or time % self.unit for time in times):
            tick = format_duration(self.unit)
            raise ValueError(f"`{key}`: {format_times(times)} is not in whole ticks of {tick}; write tick: clock")

    @property
    def unit(self) -> Micros:
        """A tick; by the clock a microsecond."""
        return self.tick or 1

    def ticks(self, times: tuple[Micros, Micros] | None) -> tuple[int, int] | None:
        return None if times is None else (times[0] // self.unit, times[1] // self.unit)

    def spec(self, behind: Mapping[str, int], spare: tuple[str, ...] = ()) -> RaftSpec:
        election = self.ticks(self.election)
        return RaftSpec(
            rules=self.rules,
            tick=self.unit,
            by_clock=self.tick == CLOCK,
            election_tick_most=election[1] if election else 0,
            candidate_ticks=self.ticks(self.candidate),
            backoff=self.backoff,
            pre_vote=self.pre_vote,
            check_quorum=self.check_quorum,
            behind=behind,
            spare=spare,
            datagrams=self.transport == "datagrams",
        )


def numbers(raft: RaftWords, heartbeat_tick: int, election_tick: int) -> tuple[int, int]:
    """Heartbeat and shortest election timeout in ticks: what `raft` says, else what `swarm` says."""
    beat = heartbeat_tick if raft.heartbeat is None else raft.heartbeat // raft.unit
    election = raft.ticks(raft.election)
    return beat, election[0] if election else election_tick
