"""From a file (or the same words in Python) to a `Scenario`: everything read, every name found, nothing run.

The order of work decides what is seen first: YAML; the keys at the top; `cluster`; the Compose part; the timeline; what
is expected; then what needs several of them (anchors, selectors). Up to ten problems are told at once, in order of
lines (SCENARIOS.md section 10). `swarmsim.compose` reads the Compose keys and speaks in Docker's words.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..api.specs import ServiceSpec
from ..api.values import parse_duration
from ..errors import Problem, ScenarioError, SwarmsimError, said
from ..sim.links import Way
from ..workload import RaftStep
from ..workload.deploy import Deploy
from . import entries, selectors
from .deploys import Wanted, check_stack_name, read_deploys, stack_name, stack_names, stacks
from .expectations import expectations
from .moments import Moments
from .physics import spare, way
from .placeable import unmet
from .problems import Problems, keyed, unknown_key, yaml_slip
from .schema import (
    COMPOSE_KEYS,
    SEED_MOST,
    TEN_YEARS,
    ClusterWords,
    Entry,
    Expectation,
    HostWords,
)
from .selectors import Known
from .words import VERBS, did_you_mean

Micros = int

_TOP = ("cluster", "stack", "env", *COMPOSE_KEYS, "timeline", "expect", "without", "duration", "seed", "name")
_COMPOSE_TOP = ("version", *COMPOSE_KEYS)
_COMMENT = re.compile(r"#\s*(question|expect|source)\s*:\s*(.*\S)", re.IGNORECASE)


class Scenario:
    """A scenario, ready to run. `swarmsim.run` it as often as you like: it does not change.

    In Python it is made of the words of the file:

        Scenario(cluster={"managers": 3}, timeline=[{"at": "10s", "crash": "m1"}])
    """

    file: str  # as the user named it
    name: str
    cluster: ClusterWords
    hosts: list[HostWords]
    ways: tuple[Way, ...]  # the links of `network:` that differ
    behind: dict[str, int]  # managers whose logs lack entries when they are handed over
    spare: tuple[str, ...]  # managers that are no members of the Raft group when it is handed over
    stack: Any  # compose.Stack: networks, secrets, configs, and how an update is merged
    services: dict[str, ServiceSpec]  # by full name, in file order
    deploys: dict[str, Any]  # the compose.Stack of each `deploy` entry, by the entry's label
    timeline: list[Entry]
    expect: list[Expectation]
    without: tuple[str, ...] = ()  # rules that are off
    restored: tuple[str, ...] = ()  # rules that the file leaves off, and that are in force all the same
    duration: Micros | None
    seed: int
    question: str
    expectation: str
    source: str
    warnings: list[str]
    words: dict[str, Any]  # as written
    known: Known
    moments: Moments
    options: str = ""  # of the command line, beside the file and the seed: needed to repeat the run

    def __init__(self, **words: Any) -> None:
        _build(self, words, "Scenario", lambda path: 0, "")

    @classmethod
    def _of(cls, data: Any, file: str, line: Callable[[tuple[Any, ...]], int], text: str) -> Scenario:
        made = cls.__new__(cls)
        _build(made, data, file, line, text)
        return made

    def but(self, **words: Any) -> Scenario:
        """The same file in other words: mappings are merged, all else is replaced, None takes a key away.

        slow = scenario.but(cluster={"network": {"latency": "50ms"}}, timeline=None)
        """
        return Scenario.of_words(_merged(self.words, words), self.file)

    @classmethod
    def of_words(cls, words: Mapping[str, Any], file: str) -> Scenario:
        """From the words of `file`, as `words` of a scenario that was loaded from it holds them."""
        return cls._of(dict(words), file, lambda path: 0, "")

    def switch(self, off: Sequence[str], on: Sequence[str]) -> None:
        """Leave off more rules than the file does, and put others in force that it leaves off."""
        for option, rule in [*(("--without", rule) for rule in off), *(("--with", rule) for rule in on)]:
            wrong = _no_rule(rule)
            if wrong:
                raise SwarmsimError(f"{option}: {wrong}")
        for rule in on:
            if rule not in self.without:
                left = f"the file leaves off {', '.join(self.without)}" if self.without else "the file leaves none off"
                raise SwarmsimError(f"--with: `{rule}` is in force already; {left}")
        self.restored = tuple(dict.fromkeys(on))
        self.without = tuple(rule for rule in dict.fromkeys([*self.without, *off]) if rule not in on)

    def __repr__(self) -> str:
        return f"Scenario({self.name!r}, {len(self.hosts)} nodes, {len(self.timeline)} entries)"

    @property
    def managers(self) -> list[str]:
        return [h.name for h in self.hosts if h.role == "manager"]

    @property
    def workers(self) -> list[str]:
        return [h.name for h in self.hosts if h.role == "worker"]

    @property
    def nodes(self) -> list[str]:
        return [h.name for h in self.hosts]

    @property
    def later(self) -> list[str]:
        """Services that a `create` entry names: they wait for it."""
        return [e.aims["create"] for e in self.timeline if e.verb == "create"]


def _merged(words: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    out = {**words}
    for key, value in over.items():
        if value is None:
            out.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(out.get(key), Mapping):
            out[key] = _merged(out[key], value)
        else:
            out[key] = value
    return out


# ---- doors -----------------------------------------------------------------------------------------------


def load(path: str | os.PathLike[str], more: Sequence[Mapping[str, Any]] = ()) -> Scenario:
    """Read a scenario file; raises `ScenarioError` with all that is wrong. `more` are entries after its own."""
    file = os.fspath(path)
    data, line, text = _read(file)
    if more and isinstance(data, Mapping) and isinstance(data.get("timeline") or [], list):
        data = {**data, "timeline": [*(data.get("timeline") or []), *more]}
    return Scenario._of(data, file, line, text)


def load_stack_file(
    path: str,
    managers: int,
    workers: int,
    *,
    nodes: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    stand_in: bool = False,
    over: Sequence[str] = (),
    stack: str = "",
    **changes: Any,
) -> Scenario:
    """A stack file by itself: deployed on a plain cluster (`swarmsim run shop.yml`).

    `over` are files that lie over it, `stack` is the stack's name (default: the file's, without its ending).
    """
    cluster = {"managers": managers, "workers": workers, "nodes": dict(nodes or {})}
    words: dict[str, Any] = {"cluster": cluster, "name": Path(path).stem, "env": dict(env or {}), **changes}
    # Paths start at the file itself.
    names = [beside(file, path) for file in (path, *over)]
    words["stack"] = {"file": names, "name": stack or stack_name(path), "stand_in": stand_in}
    made = Scenario._of(words, path, lambda at: 0, "")
    made.warnings += unmet(made.stack.services, made.hosts)
    return made


def beside(file: str, first: str) -> str:
    """The path of a file, from the folder of the first one on."""
    return os.path.relpath(file, Path(first).parent)


def is_stack(path: str) -> bool:
    """Has the file none but Compose's keys at the top? Then it is a stack file (section 12)."""
    data, _, _ = _read(path)
    keys = [k for k in data if not str(k).startswith("x-")] if isinstance(data, Mapping) else []
    return bool(keys) and all(key in _COMPOSE_TOP for key in keys)


def questions(folder: str) -> list[tuple[str, str]]:
    """The scenarios of a folder, with the question that each asks."""
    found = []
    for path in sorted(Path(folder).rglob("*.y*ml")):
        try:
            if not is_stack(str(path)):
                found.append((str(path), _comments(path.read_text(encoding="utf-8")).get("question", "")))
        except (ScenarioError, UnicodeDecodeError) as error:
            found.append((str(path), f"in error: {error}".split("\n")[0]))
    return found


# ---- YAML ------------------------------------------------------------------------------------------------


def _read(file: str) -> tuple[Any, Callable[[tuple[Any, ...]], int], str]:
    """The data, a function from path to line, and the text."""
    from ..compose.reader import read_yaml

    try:
        data, lines = read_yaml(file, version="1.2")
    except ScenarioError as error:
        raise ScenarioError([_better(p) for p in error.problems]) from None
    text = Path(file).read_text(encoding="utf-8", errors="replace")

    def line(path: tuple[Any, ...]) -> int:
        while path and path not in lines:
            path = path[:-1]
        return int(lines.get(path, 1)) if path else int(lines.get((), 1))

    return data, line, text


def _better(problem: Problem) -> Problem:
    """Slips that YAML hides get words of their own."""
    if not problem.line:
        return problem
    try:
        with open(problem.file, encoding="utf-8") as lines:
            text = next((t for i, t in enumerate(lines, 1) if i == problem.line), "")
    except (OSError, UnicodeDecodeError):
        return problem
    slip = yaml_slip(text)
    return Problem(problem.file, problem.line, slip) if slip else problem


def _comments(text: str) -> dict[str, str]:
    """The three comments at the top; a comment line without a key goes on with the one before."""
    found: dict[str, str] = {}
    key = ""
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        match = _COMMENT.match(line)
        if match:
            key = match[1].lower()
            found[key] = match[2]
        elif key and line.startswith("#  "):
            found[key] += " " + line.lstrip("# ").rstrip()
        else:
            key = ""
    return found


# ---- the whole -------------------------------------------------------------------------------------------


def _build(made: Scenario, data: Any, file: str, line: Callable[[tuple[Any, ...]], int], text: str) -> None:
    """Read everything into `made`, or raise `ScenarioError`."""
    problems = Problems(file, line)
    if not isinstance(data, Mapping) or not data:
        what = "the file is empty" if not data else f"a scenario is a mapping, not {said(data)}"
        raise ScenarioError([Problem(file, 0, f"{what}; write cluster: {{managers: 3}} and what runs on it")])
    _top(data, problems)
    duration = _duration(data, problems)
    seed = _seed(data, problems)
    off = _without(data, problems)
    name = data.get("name")
    if name is not None and (isinstance(name, dict | list | bool) or not str(name).strip()):
        problems.add(("name",), f"`name`: {said(name)} is no name; write a text")
    cluster = problems.model(ClusterWords, data["cluster"], ("cluster",), "`cluster`") if "cluster" in data else None
    hosts = _hosts(cluster, problems) if cluster else []
    stack = _stack(data, file, problems)
    drafts, ordered = entries.drafts(data.get("timeline"), problems)
    wanted = [Wanted(d.index, d.label, d.what) for d in drafts if isinstance(d.what, Deploy)]
    deploys = read_deploys(wanted, data, file, _env(data, problems), stack, problems)
    known = _known(hosts, stack, deploys)
    ways, behind, outside = _physics(cluster, known, problems) if cluster else ((), {}, ())
    ready = cluster is not None and stack is not None
    built = entries.entries(drafts, known, duration, problems, stack, ready, deploys)
    timeline = Moments(built, duration)
    known.entries = timeline
    if ordered:  # an anchor may name an entry that is itself in error
        entries.check_anchors(built, timeline, problems)
    # An unknown anchor may be an entry that is itself in error: not told twice.
    expect = expectations(
        data.get("expect"), known if cluster and stack is not None else None, problems, anchors=ordered
    )
    if cluster is not None and cluster.only:
        _only_raft(data, cluster, built, expect, problems)
    elif cluster is not None:
        _not_of_a_swarm(built, problems)
    _disks_without_a_log(built, known, problems)
    problems.stop()
    assert cluster is not None, "a scenario without a cluster passed"
    said_at_top = _comments(text)
    made.file = file
    made.name = str(name) if name is not None else Path(file).stem
    made.cluster, made.hosts, made.stack = cluster, hosts, stack
    made.ways, made.behind, made.spare = ways, behind, outside
    made.services, made.deploys = _services(stack), deploys
    made.timeline, made.expect = built, expect
    made.duration, made.seed, made.without = duration, seed, off
    made.question = said_at_top.get("question", "")
    made.expectation = said_at_top.get("expect", "")
    made.source = said_at_top.get("source", "")
    # Last: updates may have added some.
    made.warnings = list(dict.fromkeys(text for one in stacks(stack, deploys) for text in one.warnings))
    made.words = dict(data)
    made.known, made.moments = known, timeline


def _top(data: Mapping[Any, Any], problems: Problems) -> None:
    for key in data:
        if key not in _TOP and not (isinstance(key, str) and key.startswith("x-")):
            problems.add((key,), unknown_key(key, data, _TOP, "the scenario"))
    if "cluster" not in data:
        if not any(did_you_mean(str(key), ["cluster"]) for key in data if key not in _TOP):
            problems.add((), "`cluster` is missing; write cluster: {managers: 3, workers: 3}")


def _duration(data: Mapping[Any, Any], problems: Problems) -> Micros | None:
    if "duration" not in data:
        return None

    def read() -> Micros:
        try:
            micros: Micros = parse_duration(data["duration"])
        except ValueError as error:
            raise ValueError(f"`duration`: {error}") from None
        if not 0 < micros <= TEN_YEARS:
            raise ValueError(f"`duration`: `{data['duration']}` is not possible; write more than 0s, at most ten years")
        return micros

    found: Micros | None = problems.check(("duration",), read)
    return found


def _seed(data: Mapping[Any, Any], problems: Problems) -> int:
    seed = data.get("seed", 1)
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= SEED_MOST:
        problems.add(("seed",), f"`seed`: {said(seed)} is no seed; write a whole number from 0 to 2^63-1")
        return 1
    return seed


def _without(data: Mapping[Any, Any], problems: Problems) -> tuple[str, ...]:
    """`without: [orphaning]`: names of rules, each once."""
    from ..ablation import RULES

    rules = data.get("without")
    if rules is None and "without" not in data:
        return ()
    if not isinstance(rules, list | tuple):
        one = rules if isinstance(rules, str) and rules in RULES else "orphaning"
        problems.add(("without",), f"`without` must be a list of rules, not {said(rules)}; write without: [{one}]")
        return ()
    for i, rule in enumerate(rules):
        wrong = _no_rule(rule)
        if wrong:
            problems.add(("without", i), f"`without`: {wrong}")
        elif rule in rules[:i]:
            problems.add(("without", i), f"`without`: `{rule}` stands there twice; once is enough")
    return tuple(map(str, rules))


def _no_rule(name: Any) -> str:
    from ..ablation import RULES

    if isinstance(name, str) and name in RULES:
        return ""
    close = did_you_mean(str(name), RULES)
    return f"there is no rule {said(name)}; " + (
        f"did you mean `{close}`?" if close else "`swarmsim list rules` has them all"
    )


# ---- cluster ---------------------------------------------------------------------------------------------


def _hosts(cluster: ClusterWords, problems: Problems) -> list[HostWords]:
    from .schema import MOST_NODES

    names = [*cluster.managers, *cluster.workers]
    twice = sorted({n for n in names if names.count(n) > 1}) if len(set(names)) < len(names) else []
    for name in twice:
        problems.add(("cluster",), f"two nodes are called `{name}`; give each a name of its own")
    if len(names) > MOST_NODES:
        problems.add(("cluster",), f"{len(names)} nodes are too many; write at most {MOST_NODES} in all")
    hosts = {n: HostWords(n, "manager").under(cluster.defaults) for n in cluster.managers}
    hosts |= {n: HostWords(n, "worker").under(cluster.defaults) for n in cluster.workers}
    known = Known(cluster.managers, cluster.workers)
    for words, what in cluster.nodes.items():
        path = ("cluster", "nodes", words)
        found = problems.check(path, partial(_named, words, known))
        for name in found.names if found else ():
            hosts[name] = hosts[name].under(what)
    return list(hosts.values())


def _physics(
    cluster: ClusterWords, known: Known, problems: Problems
) -> tuple[tuple[Way, ...], dict[str, int], tuple[str, ...]]:
    """Links that differ, logs that are behind and servers that are spare, with the names in them found."""
    found: list[Way] = []
    for i, link in enumerate(cluster.network.links):
        made = problems.check(("cluster", "network", "links", i), partial(way, link, known))
        found += [made] if made else []
    behind: dict[str, int] = {}
    for words, count in cluster.raft.behind.items():
        names = problems.check(("cluster", "raft", "behind", words), partial(_lagging, words, count, known))
        behind.update(dict.fromkeys(names or (), count))
    return tuple(found), behind, _spare(cluster, known, problems)


def _spare(cluster: ClusterWords, known: Known, problems: Problems) -> tuple[str, ...]:
    words = cluster.raft.spare
    if words is None:
        return ()
    path = ("cluster", "raft", "spare")
    if not cluster.only:
        problems.add(path, "`spare` is of a Raft group by itself; write only: raft, or let a host `join`")
    return problems.check(path, partial(spare, words, known)) or ()


def _lagging(words: str, count: int, known: Known) -> tuple[str, ...]:
    names = _named(words, known).names
    workers = [name for name in names if name not in known.managers]
    if workers:
        raise ValueError(f"`behind`: `{workers[0]}` is a worker and has no log; write {known.managers[-1]}: 1")
    if count and known.managers[0] in names:
        raise ValueError(f"`behind`: `{known.managers[0]}` leads at 0s and has the whole log; write another manager")
    return names


def _only_raft(
    data: Mapping[Any, Any], cluster: ClusterWords, built: list[Entry], expect: list[Expectation], problems: Problems
) -> None:
    """`only: raft`: there is no swarm to run services, to ask or to look at."""
    if cluster.workers:
        problems.add(("cluster", "workers"), "`only: raft` has managers alone; leave `workers` out")
    for key in ("stack", *COMPOSE_KEYS):
        if data.get(key):
            problems.add((key,), f"`only: raft` runs no services; leave `{key}` out")
    for entry in built:
        if entry.verb == "kill" or not (entry.is_fault or isinstance(entry.what, RaftStep)):
            problems.add(
                ("timeline", entry.index),
                f"`{entry.verb}`: with `only: raft` there is no swarm to act on; write {_raft_verbs()}, or faults of "
                "managers and links",
            )
    for one in expect:
        if one.subject in ("service", "node"):
            problems.add(
                ("expect", one.index),
                f"`{one.subject}`: with `only: raft` there is no swarm; write leader or leader_changes",
            )


def _raft_verbs() -> str:
    return ", ".join(verb for verb, kind in VERBS.items() if issubclass(kind, RaftStep))


def _not_of_a_swarm(built: list[Entry], problems: Problems) -> None:
    for entry in built:
        if isinstance(entry.what, RaftStep):
            text = f"`{entry.verb}` is asked of a Raft group by itself; write only: raft under cluster:"
            problems.add(("timeline", entry.index), text)


def _disks_without_a_log(built: list[Entry], known: Known, problems: Problems) -> None:
    """Only managers write to their disks here: what befalls a worker's would pass in silence."""
    if any(entry.verb in ("promote", "join") for entry in built):
        return
    for entry in built:
        names = selectors.candidates(entry.aims["disk"]) if entry.verb == "disk" else ()
        if names and not set(names) & set(known.managers):
            text = f"`disk`: `{names[0]}` is a worker, and only a manager writes a log to its disk"
            problems.add(("timeline", entry.index, "disk"), f"{text}; write disk: {known.managers[-1]}")


def _named(words: str, known: Known) -> selectors.Names:
    return known.range(words) if ".." in words else selectors.Names((known.node(words),))


# ---- services --------------------------------------------------------------------------------------------


def _stack(data: Mapping[Any, Any], file: str, problems: Problems) -> Any:
    """The Compose part, read as Docker reads it; None where it is wrong."""
    from ..compose import load_inline, load_stack

    env = _env(data, problems)
    sections = {key: data[key] for key in COMPOSE_KEYS if key in data}
    before = len(problems.found)
    words = _stack_words(data, file, problems)
    if len(problems.found) > before:
        return None
    base = Path(file).parent
    try:
        if words:
            stack = load_stack(**words, env=env, overlay=sections or None, file=file, lines=problems.line)
        else:
            stack = load_inline(sections, file=file, base=base, env=env, lines=problems.line)
    except ScenarioError as error:
        problems.adopt(error)
        return None
    return stack


def _env(data: Mapping[Any, Any], problems: Problems) -> dict[str, str]:
    env = data.get("env") or {}
    if not isinstance(env, Mapping):
        problems.add(("env",), f"`env` must be a mapping, not {said(env)}; write env: {{TAG: '1.27'}}")
        return {}
    for key, value in env.items():
        if isinstance(value, dict | list):
            problems.add(("env", key), f"variable `{key}` must be a text, not {said(value)}; write {key}: …")
    return {str(k): _plain(v) for k, v in env.items()}


def _plain(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _stack_words(data: Mapping[Any, Any], file: str, problems: Problems) -> dict[str, Any] | None:
    """`stack:` as {files, name, stand_in}; paths start at the scenario file."""
    if "stack" not in data:
        return None
    words = data["stack"]
    if isinstance(words, str):
        words = {"file": words}
    if not isinstance(words, Mapping):
        problems.add(("stack",), f"`stack` must be a file, not {said(words)}; write stack: shop.yml")
        return None
    for key in words:
        if key not in ("file", "name", "stand_in"):
            problems.add(("stack", key), unknown_key(key, words, ("file", "name", "stand_in"), "`stack`"))
    files = words.get("file")
    files = files if isinstance(files, list) else [files]
    if not files or not all(isinstance(f, str) and f for f in files):
        problems.add(("stack",), "`file` is missing in `stack`; write stack: {file: shop.yml}")
        return None
    if not isinstance(words.get("stand_in", False), bool):
        problems.add(("stack", "stand_in"), f"`stand_in`: {said(words['stand_in'])} is no boolean; write true or false")
    name = words.get("name", stack_name(files[0]))
    problems.check(("stack", "name"), lambda: keyed("name", lambda: check_stack_name(name)))
    base = Path(file).parent
    return {"files": [str(base / f) for f in files], "name": name, "stand_in": words.get("stand_in", False)}


def _services(stack: Any) -> dict[str, ServiceSpec]:
    return {spec.name: spec for spec in stack.services} if stack is not None else {}


def _known(hosts: list[HostWords], stack: Any, deploys: Mapping[str, Any]) -> Known:
    services = list({name: None for one in stacks(stack, deploys) for name in _services(one)})
    aliases: dict[str, str] = {}
    for full in services:
        for i, letter in enumerate(full):
            if letter == "_" and full[i + 1 :] and full[i + 1 :] not in services:
                short = full[i + 1 :]
                aliases[short] = "" if short in aliases else full
    return Known(
        managers=[h.name for h in hosts if h.role == "manager"],
        workers=[h.name for h in hosts if h.role == "worker"],
        labels={h.name: h.labels for h in hosts if h.labels},
        services=services,
        aliases=aliases,
        stacks=stack_names(stack, deploys),
    )
