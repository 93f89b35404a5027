"""Selectors: which nodes or tasks an entry means (SCENARIOS.md section 7).

`nodes` and `tasks` read the words and refuse what can never match. `resolve_nodes` and `resolve_tasks` look at the
world **when the entry fires**, not at anyone's opinion of it, and raise `NoMatch` where too few are there: the entry
then does not fire, and never hits another target in its stead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from .words import GROUPS, VERBS, count_of, did_you_mean, listed

if TYPE_CHECKING:
    from ..cluster import Cluster


class NoMatch(Exception):
    """Nothing, or too little, is there to be hit; the text says what."""


@dataclass(frozen=True)
class Names:
    """Nodes by name: one, or a range."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """`followers`, or all nodes of a role or with a label: resolved at load except for `followers`."""

    word: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class CountOf:
    """So many, drawn among those of the group that are on."""

    count: int
    group: Group


@dataclass(frozen=True)
class Leader:
    """The manager that is up and leads in the highest term."""


@dataclass(frozen=True)
class NodesRunning:
    """Where a task's newest container runs, or (`task` None) all nodes on which a service's containers run."""

    service: str
    task: str | None
    word: str


@dataclass(frozen=True)
class TargetOf:
    """Whoever that entry hit."""

    entry: str


@dataclass(frozen=True)
class Many:
    parts: tuple[Any, ...]


@dataclass(frozen=True)
class Tasks:
    """Containers of a service: all that run, `count` of them drawn, or the newest of the task `name`."""

    service: str
    count: int | None = None
    name: str | None = None
    word: str = ""


NodeSelector = Names | Group | CountOf | Leader | NodesRunning | TargetOf | Many


@dataclass
class Known:
    """What selectors may name: the cluster's nodes, the services, the entries."""

    managers: Sequence[str]
    workers: Sequence[str]
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    services: Sequence[str] = ()  # full names
    aliases: Mapping[str, str] = field(default_factory=dict)  # short name -> full name, "" where two share it
    entries: Any = None  # moments.Moments
    stacks: Sequence[str] = ()

    @property
    def names(self) -> list[str]:
        return [*self.managers, *self.workers]

    # -- services --
    def service(self, word: Any) -> str:
        """The full name of a service; `web` will do for `shop_web` where one service ends so."""
        if not isinstance(word, str):
            raise ValueError(f"`{word}` is no service; {self._services()}")
        if word in self.services:
            return word
        full = self.aliases.get(word)
        if full:
            return full
        if full == "":
            both = [s for s in self.services if s.endswith(f"_{word}")]
            raise ValueError(f"`{word}` could be {' or '.join(both)}; write the full name")
        close = did_you_mean(word, [*self.services, *self.aliases])
        if close:
            raise ValueError(f"unknown service `{word}`; did you mean `{close}`?")
        raise ValueError(f"unknown service `{word}`; {self._services()}")

    def _services(self) -> str:
        return f"the services are {listed(self.services)}" if self.services else "the file has no services"

    # -- nodes --
    def node(self, word: str) -> str:
        if word in self.names:
            return word
        raise ValueError(self._unknown(word))

    def _unknown(self, word: str) -> str:
        close = did_you_mean(word, [*GROUPS, "leader"])
        if close and close not in self.names and word not in VERBS:
            return f"unknown node `{word}`; did you mean `{close}`?"
        return f"unknown node `{word}`; the cluster has {listed(self.names)}"

    def range(self, text: str) -> Names:
        first, _, last = text.partition("..")
        names = self.names
        start, stop = names.index(self.node(first)), names.index(self.node(last))
        if start > stop:
            raise ValueError(f"`{text}` is backwards; write {last}..{first}")
        return Names(tuple(names[start : stop + 1]))

    def group(self, word: str) -> Group | None:
        if word in GROUPS:
            names = {"nodes": self.names, "workers": self.workers}.get(word, self.managers)
            if not names:
                raise ValueError(f"the cluster has no {word}")
            return Group(word, tuple(names))
        if "=" in word:
            key, _, value = (part.strip() for part in word.partition("="))
            names = [n for n in self.names if self.labels.get(n, {}).get(key) == value]
            if not names:
                labels = sorted({f"{k}={v}" for node in self.labels.values() for k, v in node.items()})
                has = f"the labels are {listed(labels)}" if labels else "no node has a label"
                raise ValueError(f"no node has the label `{word}`; {has}")
            return Group(word, tuple(names))
        return None


_SPACES = re.compile(r"\s+")
_OF = re.compile(r"(\S+) of (.+)")
_SHARES = re.compile(r"(minority|majority|\d+(\.\d+)?%) of .*")


def nodes(value: Any, known: Known) -> NodeSelector:
    """Read the words of a node selector."""
    if isinstance(value, list | tuple):
        if not value:
            raise ValueError("an empty list means no node; leave it out or name some")
        return Many(tuple(nodes(part, known) for part in value))
    if not isinstance(value, str):
        raise ValueError(f"`{value}` is no node; {_examples(known)}")
    text = _SPACES.sub(" ", value.strip())
    if _SHARES.fullmatch(text):
        raise ValueError(f"`{text}`: minorities and shares are not yet in the language; write 2 of managers")
    if text == "leader":
        return Leader()
    if text in known.names:
        return Names((text,))
    group = known.group(text)
    if group is not None:
        return group
    if text.startswith(("node running ", "nodes running ")):
        return _running(text, known)
    counted = _OF.fullmatch(text)
    if counted:
        return _count(counted[1], counted[2], known)
    if text.endswith(".target"):
        return _target(text.removesuffix(".target"), known)
    if ".." in text:
        return known.range(text)
    if "," in text:
        raise ValueError(f"`{text}`: several are a list; write [{text}]")
    if text in ("all", "all nodes"):
        raise ValueError(f"unknown node `{text}`; all of them is written nodes")
    raise ValueError(known._unknown(text))


def _examples(known: Known) -> str:
    return f"write {known.names[-1]}, leader or one of workers" if known.names else "the cluster has no nodes"


def _running(text: str, known: Known) -> NodesRunning:
    what = text.split(" ", 2)[2]
    if text.startswith("nodes "):
        return NodesRunning(known.service(what), None, text)
    task = _task(what, known)
    if task is None:
        raise ValueError(f"`{text}` needs a task; write node running {what}.1, or nodes running {what}")
    return NodesRunning(task.service, task.name, text)


def _number(word: str) -> int:
    if word == "one":
        return 1
    if word.isdigit() and int(word) > 0:
        return int(word)
    raise ValueError(f"`{word} of`: `{word}` is no count; write one, 2, 3 …")


def _count(count: str, group: str, known: Known) -> CountOf:
    n = _number(count)
    found = known.group(group)
    if found is None:
        close = did_you_mean(group, GROUPS)
        groups = "groups are nodes, managers, workers, followers, LABEL=VALUE"
        hint = f"did you mean `{count} of {close}`?" if close else groups
        raise ValueError(f"`{group}` is no group; {hint}")
    most = len(found.names) - (found.word == "followers")
    if n > most:
        raise ValueError(f"`{count} of {group}` can never match; there {_are(most, group)}")
    return CountOf(n, found)


def _are(n: int, group: str) -> str:
    return f"is only 1 ({group})" if n == 1 else f"are only {n} {group}"


def _target(entry: str, known: Known) -> TargetOf:
    assert known.entries is not None, "no timeline to look in"
    found = known.entries.find(entry)
    if found.what.aims[found.verb] not in ("nodes", "host", "tasks"):
        raise ValueError(f"`{entry}.target`: `{entry}` has no nodes as its target; name a fault, or a drain")
    return TargetOf(found.label)


def tasks(value: Any, known: Known) -> Tasks | Many:
    """Read the words of a task selector."""
    if isinstance(value, list | tuple):
        if not value:
            raise ValueError("an empty list means no task; leave it out or name some")
        return Many(tuple(tasks(part, known) for part in value))
    if not isinstance(value, str):
        raise ValueError(f"`{value}` is no task; write web, web.3 or one of web")
    text = _SPACES.sub(" ", value.strip())
    counted = _OF.fullmatch(text)
    if counted:
        return Tasks(known.service(counted[2]), count=_number(counted[1]), word=text)
    task = _task(text, known)
    if task is not None:
        return task
    if text in known.names and text not in known.services:
        raise ValueError(f"`{text}` is a node and no task; write for instance {_any(known)}.1, or crash: {text}")
    return Tasks(known.service(text), word=text)


def _any(known: Known) -> str:
    return known.services[0] if known.services else "web"


def _task(text: str, known: Known) -> Tasks | None:
    """`web.3` or `agent.w1`; None when the words are a service's name alone."""
    if text in known.services or text in known.aliases or "." not in text:
        return None
    # A node's name may have dots, and so may a service's: the longest service that fits wins.
    for i in sorted((i for i, c in enumerate(text) if c == "."), reverse=True):
        word, rest = text[:i], text[i + 1 :]
        if word in known.services or known.aliases.get(word):
            if (rest.isdigit() and int(rest) > 0) or rest in known.names:
                service = known.service(word)
                return Tasks(service, name=f"{service}.{rest}", word=text)
            if rest == "0":
                raise ValueError(f"`{text}`: slots count from 1; write {word}.1")
            raise ValueError(f"`{rest}` is neither a slot nor a node; write {word}.1")
    service, _, rest = text.rpartition(".")
    known.service(service)
    raise ValueError(f"`{text}` could be several tasks; write the service's full name before .{rest}")


def manager(value: Any, known: Known) -> str:
    """`via:` one manager's name."""
    if isinstance(value, str) and value in known.managers:
        return value
    if isinstance(value, str) and value in known.workers:
        raise ValueError(
            f"`{value}` is a worker, and only managers are asked; the managers are {listed(known.managers)}"
        )
    raise ValueError(f"unknown manager `{value}`; the managers are {listed(known.managers)}")


def candidates(selector: NodeSelector) -> tuple[str, ...]:
    """Whom it may hit, as far as the file alone says; nobody where that depends on the run."""
    if isinstance(selector, CountOf):
        selector = selector.group
    if isinstance(selector, Names | Group):
        return selector.names
    parts = [candidates(part) for part in selector.parts] if isinstance(selector, Many) else []
    return tuple(name for names in parts for name in names) if all(parts) else ()


def expected_nodes(value: Any, known: Known) -> NodeSelector:
    """Nodes in an expectation: names, ranges, groups and `.target`, nothing that the world must answer."""
    found = nodes(value, known)
    for part in flat(found):
        if isinstance(part, CountOf | NodesRunning | Leader) or (isinstance(part, Group) and part.word == "followers"):
            raise ValueError(
                f"`{value}` changes while a run goes on; in expect stand names, ranges, groups and .target"
            )
    return found


def flat(selector: Any) -> list[Any]:
    """The parts of a list, lists in lists unfolded."""
    if isinstance(selector, Many):
        return [leaf for part in selector.parts for leaf in flat(part)]
    return [selector]


# ---- when the entry fires --------------------------------------------------------------------------------


def resolve_nodes(
    selector: NodeSelector, cluster: Cluster, dice: Random, targets: Mapping[str, tuple[str, ...]]
) -> tuple[tuple[str, ...], bool]:
    """The nodes in the cluster's order, and whether dice were thrown for them."""
    found: dict[str, None] = {}
    drawn = False
    for part in flat(selector):
        names, thrown = _resolve(part, cluster, dice, targets)
        found.update(dict.fromkeys(names))
        drawn = drawn or thrown
    return tuple(name for name in cluster.names if name in found), drawn


def _resolve(
    part: Any, cluster: Cluster, dice: Random, targets: Mapping[str, tuple[str, ...]]
) -> tuple[Sequence[str], bool]:
    match part:
        case Names(names):
            return names, False
        case Group():
            return _group(part, cluster), False
        case CountOf(count, group):
            on = [name for name in _group(group, cluster, must=False) if cluster.hosts[name].up]
            if len(on) < count:
                raise NoMatch(f"{count} of {group.word} wanted, {len(on)} of them on")
            if len(on) == count:
                return on, False
            return dice.sample(on, count), True
        case Leader():
            return [_leader(cluster)], False
        case NodesRunning():
            return _where(part, cluster), False
        case TargetOf(entry):
            if entry not in targets:
                raise NoMatch(f"`{entry}` has hit nobody")
            return targets[entry], False
    raise AssertionError(f"no such selector: {part!r}")


def _leader(cluster: Cluster) -> str:
    leader = cluster.leader()
    if leader is None:
        raise NoMatch("no leader")
    return leader


def _group(group: Group, cluster: Cluster, must: bool = True) -> list[str]:
    if group.word != "followers":
        return list(group.names)
    leader = cluster.leader()
    followers = [name for name in group.names if name != leader and cluster.hosts[name].up]
    if must and not followers:
        raise NoMatch("no follower is up")
    return followers


def _where(part: NodesRunning, cluster: Cluster) -> list[str]:
    running = cluster.containers(part.service)
    if part.task is not None:
        running = newest(running, part.task)
    if not running:
        raise NoMatch(f"no container of {part.task or part.service} runs")
    return [c.node for c in running]


def newest(containers: Sequence[Any], task: str) -> list[Any]:
    """The container of that slot which started last, if any runs: a slot may have several after a partition."""
    same = [c for c in containers if c.name == task]
    return [max(same, key=lambda c: (c.started_at, c.task))] if same else []


def resolve_tasks(
    selector: Tasks | Many, cluster: Cluster, dice: Random
) -> tuple[tuple[tuple[str, str, str], ...], bool]:
    """(node, task id, name) of each container that is hit, and whether dice were thrown."""
    found: dict[str, tuple[str, str, str]] = {}
    drawn = False
    for part in flat(selector):
        running = cluster.containers(part.service)
        if part.name is not None:
            running = newest(running, part.name)
        if not running or len(running) < (part.count or 0):
            raise NoMatch(f"{part.word} wanted, {count_of(len(running), 'container')} of it running")
        if part.count is not None and part.count < len(running):
            running, drawn = dice.sample(running, part.count), True
        found.update({c.task: (c.node, c.task, c.name) for c in running})
    return tuple(found.values()), drawn
