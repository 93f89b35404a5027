"""The shape of a scenario file: pydantic models for `cluster`, the entries of `timeline`, and `expect`.

What a model refuses, `scenario.problems` says in the words of SCENARIOS.md section 10. What depends on more than one
part (names, anchors, selectors) is judged by `scenario.loader`, which turns these words into `Entry` and `Expectation`.
`json_schema` describes the same for editors. The verbs are in `swarmsim.faults` and `swarmsim.workload`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from ..api.objects import LINUX
from ..api.specs import GenericResource, Platform
from ..api.states import TaskState, UpdateState
from ..api.values import format_duration, parse_duration
from ..errors import said
from ..faults.base import Fault, Times, format_times
from ..manager.scheduler import generic_resources
from ..workload.base import Step, Text
from . import moments
from .moments import Moment
from .physics import NETWORKS, NetworkWord, RaftWords, numbers
from .words import VERBS, check_host, listed

Micros = int
Counts = tuple[int, int | None]

TOP_KEYS = ("cluster", "stack", "env", "timeline", "expect", "without", "duration", "seed", "name")
COMPOSE_KEYS = ("services", "networks", "volumes", "secrets", "configs")
TEN_YEARS: Micros = 3653 * 86_400_000_000
MOST_NODES, MOST_MANAGERS = 20_000, 99
SEED_MOST = 2**63 - 1


# ---- values ----------------------------------------------------------------------------------------------


def parse_counts(value: Any) -> Counts:
    """COUNTS: `12`, `10..12`, `6..` (at least), `..6` (at most)."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value, value
    found = re.fullmatch(r"(\d*)\.\.(\d*)", value) if isinstance(value, str) else None
    if found is None or not (found[1] or found[2]):
        raise ValueError(_no_counts(value))
    low, high = int(found[1] or 0), int(found[2]) if found[2] else None
    if high is not None and high < low:
        raise ValueError(f"`{value}` is backwards; write {high}..{low}")
    return low, high


def _no_counts(value: Any) -> str:
    compared = re.fullmatch(r"([<>]=?)\s*(\d+)", value) if isinstance(value, str) else None
    if compared is None:
        return f"`{value}` is no count; write 12, 10..12, 6.. or ..6"
    return f"`{value}` is no count; {comparison(compared[1], int(compared[2]))}"


def comparison(sign: str, n: int) -> str:
    """`at least six is written 6..`: the slip that section 10 names."""
    from .words import number_word

    if sign.startswith(">"):
        n += sign == ">"
        return f"at least {number_word(n)} is written {n}.."
    n = max(n - (sign == "<"), 0)
    return f"at most {number_word(n)} is written ..{n}"


def format_counts(counts: Counts) -> str:
    low, high = counts
    if high is None:
        return f"{low}.."
    return str(low) if low == high else f"{low or ''}..{high}"


_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s?([kKmMgGtTpP])?(i?[bB])?")
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


def parse_size(value: Any) -> int:
    """SIZE: Docker's sizes, powers of 1024 (github.com/docker/go-units `RAMInBytes`)."""
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError(f"`{value}` has no unit; write {value}GiB or {value}M")
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if found is None or not (found[2] or found[3]):
        raise ValueError(f"`{value}` is no size; write 512M or 8GiB")
    return int(float(found[1]) * 1024 ** _POWERS[(found[2] or "").lower()])


def _run_length(value: Any) -> Micros:
    micros: Micros = parse_duration(value)
    if not 0 < micros <= TEN_YEARS:
        raise ValueError(f"`{value}` is no length of a run; write more than 0s and at most ten years")
    return micros


def _cpus(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 100_000:
        raise ValueError(f"`{value}` is no number of CPUs; write for instance 4 or 0.5")
    return float(value)


def _labels(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError(f"labels are a mapping, not `{value}`; write {{zone: a}}")
    for key, item in value.items():
        if isinstance(item, dict | list) or item is None:
            raise ValueError(f"label `{key}` needs a text; write {{{key}: a}}")
    return {str(k): str(v).lower() if isinstance(v, bool) else str(v) for k, v in value.items()}


def _platform(value: Any) -> Platform:
    os, _, architecture = value.partition("/") if isinstance(value, str) else ("", "", "")
    if not os or not architecture or "/" in architecture:
        raise ValueError(f"`{value}` is no platform; write linux/aarch64 or windows/x86_64")
    return Platform(os, architecture)


def _generic(value: Any) -> tuple[GenericResource, ...]:
    """As the engine's `node-generic-resources`: a kind with a number, or with each of its names."""
    words = value if isinstance(value, list | tuple) else [value]
    try:
        return generic_resources.parse(",".join(map(str, words)))
    except generic_resources.ParseError:
        raise ValueError(f"{said(value)} is not possible; write [gpu=2] or [gpu=a, gpu=b]") from None


def _name_or_count(least: int, most: int, thing: str, letter: str) -> Any:
    def parse(value: Any) -> tuple[str, ...]:
        if isinstance(value, int) and not isinstance(value, bool):
            if not least <= value <= most:
                raise ValueError(f"{value} {thing} are not possible; write {least} to {most:,}".replace(",", " "))
            return tuple(f"{letter}{i}" for i in range(1, value + 1))
        if not isinstance(value, list | tuple):
            raise ValueError(f"`{value}` is no number of {thing}; write 3, or their names: [{letter}1, {letter}2]")
        names = tuple(check_host(name) for name in value)
        if not least <= len(names) <= most:
            raise ValueError(f"{len(names)} {thing} are not possible; write {least} to {most:,}".replace(",", " "))
        return names

    return parse


def _whole(least: int, most: int) -> Any:
    def parse(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"`{value}` is not possible here; write a whole number from {least} to {most}")
        return value

    return parse


def _moment(value: Any) -> Moment:
    return moments.parse(value)


_DURATION = {"type": "string", "description": "DURATION: 250ms, 16.5s, 1m30s, 90d", "examples": ["30s", "1m30s"]}
_COUNTS = {"type": ["integer", "string"], "description": "COUNTS: 12, 10..12, 6.. (at least), ..6 (at most)"}
_WORDS = {"type": "string"}

DurationWord = Annotated[int, BeforeValidator(parse_duration), WithJsonSchema(_DURATION)]
RunLength = Annotated[int, BeforeValidator(_run_length), WithJsonSchema(_DURATION)]
CountsWord = Annotated[Any, BeforeValidator(parse_counts), WithJsonSchema(_COUNTS)]
MomentWord = Annotated[
    Moment,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "description": "a moment: 10s, steady, crash, crash.end, crash + 5s"}),
]
SizeWord = Annotated[int, BeforeValidator(parse_size), WithJsonSchema({"type": "string", "examples": ["8GiB"]})]
CpusWord = Annotated[float, BeforeValidator(_cpus), WithJsonSchema({"type": "number", "exclusiveMinimum": 0})]
LabelsWord = Annotated[dict[str, str], BeforeValidator(_labels), WithJsonSchema({"type": "object"})]
PlatformWord = Annotated[Platform, BeforeValidator(_platform), WithJsonSchema({"type": "string", "pattern": "/"})]
GenericWord = Annotated[
    tuple[Any, ...], BeforeValidator(_generic), WithJsonSchema({"type": "array", "items": {"type": "string"}})
]
ServiceWord = Annotated[Any, WithJsonSchema({"type": "string", "description": "a service's name"})]
NodesWord = Annotated[Any, WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array"}]})]
_HOSTS = {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "string"}}]}


# ---- cluster ---------------------------------------------------------------------------------------------


class Words(BaseModel):
    """Base: nothing unknown passes in silence."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NodeWords(Words):
    """What a node is: `defaults`, or what differs. None: not said."""

    cpus: CpusWord | None = None
    memory: SizeWord | None = None
    labels: LabelsWord | None = None
    availability: Literal["active", "pause", "drain"] | None = None
    platform: PlatformWord | None = None
    generic_resources: GenericWord | None = None
    engine_labels: LabelsWord | None = None


class SwarmWords(Words):
    """`docker swarm init` and `update`, with their defaults."""

    dispatcher_heartbeat: DurationWord = 5_000_000
    task_history_limit: Annotated[int, BeforeValidator(_whole(-1, 1_000_000))] = 5
    heartbeat_tick: Annotated[int, BeforeValidator(_whole(1, 1_000))] = 1
    election_tick: Annotated[int, BeforeValidator(_whole(2, 10_000))] = 10
    snapshot_interval: Annotated[int, BeforeValidator(_whole(0, 1_000_000_000))] = 10_000
    keep_old_snapshots: Annotated[int, BeforeValidator(_whole(0, 1_000_000))] = 0
    log_entries_for_slow_followers: Annotated[int, BeforeValidator(_whole(0, 1_000_000_000))] = 500


class ClusterWords(Words):
    """Section 4."""

    managers: Annotated[
        tuple[str, ...], BeforeValidator(_name_or_count(1, MOST_MANAGERS, "managers", "m")), WithJsonSchema(_HOSTS)
    ]
    workers: Annotated[
        tuple[str, ...], BeforeValidator(_name_or_count(0, MOST_NODES, "workers", "w")), WithJsonSchema(_HOSTS)
    ] = ()
    defaults: NodeWords = NodeWords()
    nodes: dict[str, NodeWords] = Field(default_factory=dict)
    network: NetworkWord = NETWORKS["lan"]
    swarm: SwarmWords = SwarmWords()
    raft: RaftWords = RaftWords()
    only: Literal["raft"] | None = None  # the managers are a Raft group and nothing else
    probes: Literal["lazy", "exact"] = "lazy"  # whether gossip sends probes that cannot fail (DESIGN.md section 7)

    @model_validator(mode="after")
    def _said_once(self) -> Self:
        """Ticks are `swarm`'s words and times are `raft`'s; what they come to must be possible."""
        said = self.swarm.model_fields_set
        for tick, time in (("election_tick", "election"), ("heartbeat_tick", "heartbeat")):
            if tick in said and getattr(self.raft, time) is not None:
                raise ValueError(f"`swarm.{tick}` and `raft.{time}` say the same; write one of them")
        beat, election = numbers(self.raft, self.swarm.heartbeat_tick, self.swarm.election_tick)
        if beat >= election:
            times = [format_duration(ticks * self.raft.unit) for ticks in (beat, election)]
            raise ValueError(f"a heartbeat every {times[0]} is too late for an election timeout of {times[1]}")
        return self


@dataclass(frozen=True)
class HostWords:
    """One node of the cluster, all that is said of it put together."""

    name: str
    role: Literal["manager", "worker"]
    cpus: float = 4.0
    memory: int = 8 << 30
    labels: dict[str, str] = field(default_factory=dict)
    availability: str = "active"
    platform: Platform = LINUX
    generic_resources: tuple[GenericResource, ...] = ()
    engine_labels: dict[str, str] = field(default_factory=dict)

    def under(self, words: NodeWords) -> HostWords:
        """Later lines win, labels are merged."""
        return HostWords(
            self.name,
            self.role,
            self.cpus if words.cpus is None else words.cpus,
            self.memory if words.memory is None else words.memory,
            {**self.labels, **(words.labels or {})},
            words.availability or self.availability,
            words.platform or self.platform,
            self.generic_resources if words.generic_resources is None else words.generic_resources,
            {**self.engine_labels, **(words.engine_labels or {})},
        )


# ---- expectations ----------------------------------------------------------------------------------------

CHECKS_ALWAYS = ("raft safety", "task transitions", "timeline", "convergence")


def _one_of(values: tuple[str, ...], what: str) -> Any:
    """A word of an enumeration; said here, for its list comes from the states themselves."""

    def check(value: Any) -> str:
        if value not in values:
            raise ValueError(f"`{value}` is no {what}; write {listed(values, 20)}")
        return str(value)

    return BeforeValidator(check)


UPDATES = ("none", *(state.name.lower() for state in UpdateState if state))
TASK_STATES = tuple(state.name.lower() for state in TaskState if state is not TaskState.REMOVE)
UpdateWord = Annotated[str, _one_of(UPDATES, "state of an update"), WithJsonSchema({"enum": list(UPDATES)})]
TaskStateWord = Annotated[str, _one_of(TASK_STATES, "state of a task"), WithJsonSchema({"enum": list(TASK_STATES)})]


class When(Words):
    """`within` and `after`, or `from` and `until`, or neither (section 8)."""

    within: Times | None = None
    after: MomentWord | None = None
    from_: MomentWord | None = Field(None, alias="from")
    until: MomentWord | None = None


class ServiceWords(When):
    subject: ClassVar[str] = "service"
    properties: ClassVar[tuple[str, ...]] = ("running", "pending", "started", "tasks", "completed", "update")
    service: ServiceWord
    running: CountsWord = None
    pending: CountsWord = None
    started: CountsWord = None
    tasks: CountsWord = None
    completed: CountsWord = None
    update: Annotated[str, _one_of(UPDATES, "state of an update"), WithJsonSchema({"enum": list(UPDATES)})] | None = (
        None
    )
    state: (
        Annotated[str, _one_of(TASK_STATES, "state of a task"), WithJsonSchema({"enum": list(TASK_STATES)})] | None
    ) = None
    error: Text | None = None


class NodeWordsExpected(When):
    subject: ClassVar[str] = "node"
    properties: ClassVar[tuple[str, ...]] = ("state", "running")
    node: NodesWord
    state: Literal["ready", "down", "unknown", "disconnected"] | None = None
    running: CountsWord = None


class LeaderWords(When):
    subject: ClassVar[str] = "leader"
    properties: ClassVar[tuple[str, ...]] = ()
    leader: NodesWord


class LeaderChangesWords(Words):
    subject: ClassVar[str] = "leader_changes"
    properties: ClassVar[tuple[str, ...]] = ()
    leader_changes: CountsWord
    from_: MomentWord | None = Field(None, alias="from")
    until: MomentWord | None = None


def _bound(value: Any) -> Any:
    if value == "waived":
        return value
    try:
        return parse_duration(value)
    except ValueError as error:
        raise ValueError(f"{error}; or waived") from None


class ConvergenceWords(Words):
    subject: ClassVar[str] = "convergence"
    properties: ClassVar[tuple[str, ...]] = ()
    convergence: Annotated[int | Literal["waived"], BeforeValidator(_bound), WithJsonSchema(_WORDS)]


class ViolatesWords(Words):
    subject: ClassVar[str] = "violates"
    properties: ClassVar[tuple[str, ...]] = ()
    violates: Annotated[str, WithJsonSchema({"type": "string", "description": "a check that must FAIL"})]


SUBJECTS: dict[str, type[Words]] = {
    model.subject: model
    for model in (ServiceWords, NodeWordsExpected, LeaderWords, LeaderChangesWords, ConvergenceWords, ViolatesWords)
}

#: Properties that count over time, rather than hold at a moment.
COUNTERS = frozenset({"started", "leader_changes"})


@dataclass(frozen=True)
class Expectation:
    """What must hold, with all names found (section 8). Judged by `swarmsim.checks`."""

    index: int
    line: int
    text: str  # `web running 12 within 25s after crash`
    subject: str  # service, node, leader, leader_changes, convergence, violates
    target: Any = None  # a service's full name; a node selector; for `leader` a selector, "any" or "none"
    aspect: str = ""  # running, pending, started, state; "" where the subject is all
    counts: Counts | None = None
    state: str = ""
    error: str = ""
    within: tuple[Micros, Micros] | None = None
    after: Moment | None = None
    from_: Moment | None = None
    until: Moment | None = None
    bound: Micros | None = None  # convergence: another bound
    waived: bool = False
    check: str = ""  # violates

    @property
    def counter(self) -> bool:
        return self.aspect in COUNTERS or self.subject in COUNTERS


# ---- timeline --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """One entry of the timeline: when, and a fault or a step with its selectors read."""

    index: int
    line: int
    verb: str
    ordinal: int  # the how-manieth of its verb, from 1: names its random stream where it has no name
    label: str  # how it is spoken of: its name, or the verb, with the ordinal where there are several
    name: str | None
    at: Moment
    what: Fault | Step
    aims: dict[str, Any]  # field -> selector, or a service's full name
    via: str | None = None
    when: Expectation | None = None  # the condition that it waits for, from `at` on
    wait: tuple[Micros, Micros] = (0, 0)  # and how much later it begins

    @property
    def stream(self) -> str:
        """Names the stream that it draws from: editing another entry moves no draw of this one."""
        return self.name or f"{self.verb} {self.ordinal}"

    @property
    def is_fault(self) -> bool:
        return isinstance(self.what, Fault)

    @property
    def lasts(self) -> tuple[Micros, Micros] | None:
        return self.what.lasts if isinstance(self.what, Fault) else None

    @property
    def ends(self) -> bool:
        return not isinstance(self.what, Fault) or self.what.lasts is not None

    @property
    def target_words(self) -> str:
        value = getattr(self.what, self.verb)
        return f"[{', '.join(map(str, value))}]" if isinstance(value, list | tuple) else str(value)


# ---- for editors -----------------------------------------------------------------------------------------


def json_schema() -> dict[str, Any]:
    """JSON Schema of a scenario file, for editors; `swarmsim validate` knows more than it can say."""
    from ..ablation import RULES

    defs: dict[str, Any] = {}

    def of(model: type[BaseModel]) -> dict[str, Any]:
        schema = model.model_json_schema(by_alias=True, ref_template="#/$defs/{model}")
        defs.update(schema.pop("$defs", {}))
        return schema

    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "swarmsim scenario, version 1",
        "type": "object",
        "required": ["cluster"],
        "additionalProperties": False,
        "patternProperties": {"^x-": {}},
        "properties": {
            "cluster": of(ClusterWords),
            "stack": {"type": ["string", "object"], "description": "a stack file, deployed at 0s"},
            "env": {"type": "object", "description": "variables for the stack file"},
            **{key: {"type": "object", "description": "Compose"} for key in COMPOSE_KEYS},
            "timeline": {"type": "array", "items": {"oneOf": [_entry_schema(of, verb) for verb in VERBS]}},
            "expect": {"type": "array", "items": {"oneOf": [of(model) for model in SUBJECTS.values()]}},
            "without": {"type": "array", "items": {"enum": list(RULES)}, "description": "rules that are off"},
            "duration": _DURATION,
            "seed": {"type": "integer", "minimum": 0, "maximum": SEED_MOST},
            "name": {"type": "string"},
        },
        "$defs": defs,
    }


def _entry_schema(of: Any, verb: str) -> dict[str, Any]:
    schema: dict[str, Any] = of(VERBS[verb])
    schema["properties"] = {
        "at": {"type": "string", "description": "when: 10s, steady + 5s, crash.end + 1s..3s"},
        "when": {"type": "object", "description": "a condition in the words of `expect`"},
        "wait": {"type": "string", "description": "how long after `when` came true: 1s, 1s..3s"},
        "name": {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_-]*$"},
        **schema["properties"],
    }
    schema["anyOf"] = [{"required": ["at"]}, {"required": ["when"]}]
    return schema


__all__ = ["Entry", "Expectation", "HostWords", "format_counts", "format_duration", "format_times", "json_schema"]
