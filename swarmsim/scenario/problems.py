"""What is wrong with a file, in words: `FILE:LINE: what is wrong; what to write` (SCENARIOS.md section 10).

pydantic says where and what kind; the words are ours. Slips that YAML hides (no space after a colon, several without
brackets, `>=6`) get words of their own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from ..errors import Problem, ScenarioError, said
from .schema import comparison
from .words import KEYS_NOT_YET, VERBS_NOT_YET, did_you_mean, listed

Path = tuple[Any, ...]

#: At most so many problems of one file are shown.
MOST = 10

#: What to write for a key that is missing.
EXAMPLES = {
    "by": "by: 200ms",
    "is": "is: slow, stalled or full",
    "share": "share: 30%",
    "at": "at: 10s",
    "replicas": "replicas: 6",
    "managers": "managers: 3",
}


class Problems:
    """Collects what is wrong in one file; `lines` knows the line of each path."""

    def __init__(self, file: str, lines: Callable[[Path], int]) -> None:
        self.file = file
        self.line = lines
        self.found: list[Problem] = []

    def add(self, path: Path, text: str) -> None:
        problem = Problem(self.file, self.line(path), text)
        if problem not in self.found:
            self.found.append(problem)

    def adopt(self, error: ScenarioError) -> None:
        self.found += [problem for problem in error.problems if problem not in self.found]

    def check(self, path: Path, check: Callable[[], Any]) -> Any:
        """Run a check that raises `ValueError`; None where it does."""
        try:
            return check()
        except ValueError as error:
            self.add(path, str(error))
            return None

    def model(self, kind: type[BaseModel], data: Any, path: Path, where: str) -> Any:
        """Validate `data`; None, with the problems noted, where it is wrong. `where` is how the part is called."""
        if not isinstance(data, Mapping):
            self.add(path, f"{where} must be a mapping, not {said(data)}; write {_skeleton(kind)}")
            return None
        try:
            return kind.model_validate(data)
        except ValidationError as error:
            self.explain(error, kind, data, path, where)
            return None

    def explain(self, error: ValidationError, kind: type[BaseModel], data: Any, path: Path, where: str) -> None:
        seen: set[Path] = set()
        for item in error.errors(include_url=False):
            # Where unions branch, pydantic adds steps that are not keys of the file.
            loc = _real(item["loc"], data)
            if loc in seen:
                continue
            seen.add(loc)
            text = words(item, kind, data, loc, where)
            if text:
                self.add((*path, *loc), text)

    def stop(self) -> None:
        """Raise if anything is wrong."""
        if self.found:
            raise ScenarioError(sorted(self.found)[:MOST])


def keyed(key: str, check: Callable[[], Any]) -> Any:
    """Run a check; what it raises gets the key before it."""
    try:
        return check()
    except ValueError as error:
        raise ValueError(f"`{key}`: {error}") from None


def _skeleton(kind: type[BaseModel]) -> str:
    first = next(iter(kind.model_fields))
    return "{" + EXAMPLES.get(first, f"{first}: …") + "}"


def _real(loc: Sequence[Any], data: Any) -> Path:
    real: list[Any] = []
    for step in loc:
        if isinstance(data, Mapping):
            real.append(step)
            data = data.get(step)
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            real.append(step)
            data = data[step]
        else:
            break
    return tuple(real)


def _at(data: Any, path: Path) -> Any:
    for step in path:
        data = data[step] if isinstance(data, list) or step in data else None
        if data is None:
            return None
    return data


def words(item: Any, kind: type[BaseModel], data: Any, loc: Path, where: str) -> str:
    """One of pydantic's errors in our words; "" where another says it already."""
    key = loc[-1] if loc else ""
    owner = _at(data, loc[:-1])
    if len(loc) > 1:
        where = f"`{'.'.join(map(str, loc[:-1]))}` of {where}" if where.startswith("`") else f"`{loc[-2]}`"
    match item["type"]:
        case "extra_forbidden":
            return unknown_key(key, owner, _keys(kind, data, loc[:-1]), where)
        case "missing":
            return f"`{key}` is missing in {where}; write {EXAMPLES.get(str(key), f'{key}: …')}"
        case "value_error":
            named = f"`{key}`" if isinstance(key, str) and key else where
            return f"{named}: {item['ctx']['error']}"
        case "literal_error":
            return f"`{key}`: `{item['input']}` is not possible; write {item['ctx']['expected'].replace(chr(39), '')}"
        case "bool_type" | "bool_parsing":
            return f"`{key}`: {said(item['input'])} is no boolean; write true or false"
        case "model_type" | "dict_type" | "model_attributes_type":
            return f"`{key}` must be a mapping, not {said(item['input'])}; write {key}: {{…}}"
        case "tuple_type" | "list_type":
            return f"`{key}` must be a list, not {said(item['input'])}; write {key}: […]"
        case "string_type":
            return f"`{key}` must be a text, not {said(item['input'])}; put it into quotes"
        case _:
            return f"`{key}`: {said(item['input'])} is not possible here ({item['msg'].lower()})"


def _keys(kind: type[BaseModel], data: Any, path: Path) -> list[str]:
    """The keys that the mapping at `path` may have."""
    for step in path:
        known = {(f.alias or name): f for name, f in kind.model_fields.items()}
        if step not in known:
            continue
        for candidate in _models(known[step].annotation):
            kind = candidate
    return [f.alias or name for name, f in kind.model_fields.items()]


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for part in getattr(annotation, "__args__", ()) for m in _models(part)]


def unknown_key(key: Any, owner: Any, known: Sequence[str], where: str) -> str:
    """`unknown key ... in ...`, with what was probably meant."""
    text = f"unknown key `{key}` in {where}"
    if not isinstance(key, str):
        return f"{text}; keys are words: {listed(known)}"
    if ":" in key and key.split(":")[0] in known:
        return f"{text}; a space is missing after the colon"
    several = _several(key, owner, known)
    if several is not None:
        return f"{text}; several are a list: [{', '.join(several)}]" if several else ""
    if key in KEYS_NOT_YET or key in VERBS_NOT_YET:
        return f"`{key}` is not yet in the language; see section 13 of SCENARIOS.md"
    close = did_you_mean(key, known)
    if close:
        return f"{text}; did you mean `{close}`?"
    return f"{text}; its keys are {listed(known)}"


def _several(key: str, owner: Any, known: Sequence[str]) -> list[str] | None:
    """`{crash: m1, m2}` is a mapping with a key `m2`: the list that was meant; empty for its third and later."""
    if not isinstance(owner, Mapping) or owner.get(key) is not None or did_you_mean(key, known):
        return None
    keys = list(owner)
    i = start = keys.index(key)
    while start > 0 and keys[start] not in known and owner[keys[start]] is None:
        start -= 1
    first = owner[keys[start]]
    if keys[start] not in known or not isinstance(first, str | int):
        return None
    if i - start > 1:
        return []
    more = keys[start + 1 :]
    end = next((n for n, k in enumerate(more) if k in known or owner[k] is not None), len(more))
    return [str(first), *map(str, more[:end])]


# ---- slips that are no YAML ------------------------------------------------------------------------------

_COMPARED = re.compile(r"(?<![\w.])([<>]=?)\s*(\d+)")
_TAGGED = re.compile(r"(?:^|[\s\[{,:])!(\w+)")


def yaml_slip(text: str) -> str:
    """Better words for a line that is no YAML, or ""."""
    compared = _COMPARED.search(text)
    if compared:
        return f"no YAML at `{compared[0]}`; {comparison(compared[1], int(compared[2]))}"
    tagged = _TAGGED.search(text)
    if tagged:
        instead = "followers" if tagged[1] == "leader" else "the nodes that are meant"
        return f"no YAML at `!{tagged[1]}`; there is no `not`, write {instead}"
    return ""
