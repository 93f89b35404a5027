"""A scenario that fails, made smaller as long as it fails in the same way under the same seed.

Delta debugging by hand's own method (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002,
without its complements): leave something out, run again, keep that if it still fails; many things at a time first, then
one by one, until nothing more can be left out. What is left need not be the smallest, but nothing of it is idle.

"In the same way" is: the verdict that failed first fails again, in the same words but for the numbers. An entry
without a `name` draws by its verb and ordinal (SCENARIOS.md section 3), so the draws of those after one that is left
out may move; whether it fails is seen from the run and never assumed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from ..errors import SwarmsimError
from ..scenario.loader import Scenario
from ..scenario.runner import Result, run

Words = dict[str, Any]
Failure = tuple[str, str, str]  # state, verdict, and what was seen, without its numbers

#: Runs at most: what is smaller by then is given.
MOST_RUNS = 1_000


class Shrunk(NamedTuple):
    words: Words
    result: Result  # of the smaller scenario
    runs: int


def shrink(scenario: Scenario, seed: int, told: Callable[[int, int], None] | None = None) -> Shrunk | None:
    """The scenario without what its failure does not need; None if it passes. `told`: runs, entries that are left."""
    result = run(scenario, seed)
    wanted = failure(result)
    if wanted is None:
        return None
    words: Words = {**scenario.words, "seed": seed}
    runs, smaller = 1, cuts(words)
    while (found := next(smaller, None)) is not None and runs < MOST_RUNS:
        again = _run(found, scenario.file, seed)
        runs += 1
        if again is not None and failure(again) == wanted:
            words, result, smaller = found, again, cuts(found)
        if told is not None:
            told(runs, len(words.get("timeline") or []))
    return Shrunk(words, result, runs)


def failure(result: Result) -> Failure | None:
    """The first verdict that is FAIL, or else UNKNOWN."""
    for state in ("FAIL", "UNKNOWN"):
        for verdict in result.verdicts:
            if verdict.state == state:
                return state, verdict.name, re.sub(r"[\d.]+", "#", verdict.seen)
    return None


def _run(words: Words, file: str, seed: int) -> Result | None:
    """None: what was left out is referred to, so this is no scenario."""
    try:
        return run(Scenario.of_words(words, file), seed)
    except SwarmsimError:
        return None


# ---- what may be left out --------------------------------------------------------------------------------


def cuts(words: Words) -> Iterator[Words]:
    """Scenarios that are a little smaller than this, the boldest first."""
    for key in ("timeline", "expect"):
        for shorter in _fewer(words.get(key) or []):
            yield {**words, key: shorter}
    for key in ("services", "networks", "volumes", "secrets", "configs"):
        for less in _less(words.get(key) or {}):
            yield {**words, key: less}
    for cluster in _smaller_clusters(words["cluster"]):
        yield {**words, "cluster": cluster}


def _fewer(items: list[Any]) -> Iterator[list[Any]]:
    """Without one half and the other, then quarters, down to one."""
    size = (len(items) + 1) // 2
    while size:
        for start in range(0, len(items), size):
            yield items[:start] + items[start + size :]
        size //= 2


def _less(items: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name in items:
        yield {key: value for key, value in items.items() if key != name}


def _smaller_clusters(cluster: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for key, least in (("workers", 0), ("managers", 1)):
        for count in _lower(cluster.get(key), least):
            yield {**cluster, key: count}
    for nodes in _less(cluster.get("nodes") or {}):
        yield {**cluster, "nodes": nodes}
    for key in ("network", "swarm", "defaults"):
        if key in cluster:
            yield {k: v for k, v in cluster.items() if k != key}


def _lower(count: Any, least: int) -> list[int]:
    if not isinstance(count, int) or count <= least:
        return []
    return list(dict.fromkeys([least, (count + least) // 2, count - 1]))


def left(words: Words, smaller: Words) -> str:
    """`2 of 6 entries, 1 of 3 expectations, 1 of 3 services, 2 of 11 nodes are left`."""
    counts = {"entries": "timeline", "expectations": "expect", "services": "services"}
    pairs = [(what, len(words.get(key) or ()), len(smaller.get(key) or ())) for what, key in counts.items()]
    pairs.append(("nodes", _nodes(words["cluster"]), _nodes(smaller["cluster"])))
    return ", ".join(f"{now} of {was} {what}" for what, was, now in pairs if was) + " are left"


def _nodes(cluster: Mapping[str, Any]) -> int:
    counts = [cluster.get("managers", 0), cluster.get("workers", 0)]
    return sum(count if isinstance(count, int) else len(count) for count in counts)


# ---- as a file -------------------------------------------------------------------------------------------

#: Words that YAML reads as themselves, in a list or mapping, too.
_PLAIN = re.compile(r"[A-Za-z][\w./-]*|(\d+(us|ms|s|m|h|d))+(\.\.(\d+(us|ms|s|m|h|d))+)?|[a-z][\w.-]*( \+ \w+)+")
_NOT_PLAIN = frozenset(["true", "false", "null", "yes", "no", "on", "off", "y", "n"])


def as_file(words: Words, comments: list[str]) -> str:
    """The words as a scenario file: one line for each entry, expectation and service."""
    lines = [f"# {comment}" for comment in comments]
    for key, value in words.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            lines += [f"{key}:", *(f"  - {_flow(item)}" for item in value)]
        elif key != "cluster" and isinstance(value, dict) and value:
            lines += [f"{key}:", *(f"  {_flow(name)}: {_flow(item)}" for name, item in value.items())]
        elif value not in ([], {}, None):
            lines.append(f"{key}: {_flow(value)}")
    return "\n".join(lines) + "\n"


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_flow(k)}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _NOT_PLAIN:
        return value
    return json.dumps(value, ensure_ascii=False)
