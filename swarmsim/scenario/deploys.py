"""The stacks of a scenario: the one that it begins with, and those that `deploy` entries bring.

Stack files are read when the scenario is, so that no mistake in one waits for its moment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import ScenarioError, said
from ..workload.deploy import Deploy
from .problems import Problems
from .schema import COMPOSE_KEYS
from .words import listed

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")

#: The kinds of what a stack makes besides services, in the order in which it is made.
KINDS = ("network", "secret", "config")


def stack_name(path: str) -> str:
    """What a stack is called whose name nobody says: as its file, without the ending."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", Path(path).stem)


def check_stack_name(name: Any) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"{said(name)} is no name of a stack; write letters, digits, - and _")
    return name


class Wanted(NamedTuple):
    """A `deploy` entry: where it stands in the timeline, how it is called, what it says."""

    at: int  # its index
    label: str
    step: Deploy


def read_deploys(
    entries: Sequence[Wanted], data: Mapping[str, Any], file: str, env: Mapping[str, str], own: Any, problems: Problems
) -> dict[str, Any]:
    """The `compose.Stack` of each `deploy` entry, by its label. `own`: the one that the scenario begins with."""
    found = {}
    for entry in entries:
        name = _name(entry, own, problems)
        if name is not None and _there(entry, file, problems):
            words = _words(entry.step, name, data, file, env, own)
            stack = _read(words, file, problems)
            if stack is not None:
                found[entry.label] = stack
    return found


def _name(entry: Wanted, own: Any, problems: Problems) -> str | None:
    step = entry.step
    default = own.name if own is not None and own.name else stack_name(step.deploy[0])
    path = ("timeline", entry.at, "stack")
    name: str | None = problems.check(path, lambda: check_stack_name(default if step.stack is None else step.stack))
    return name


def _there(entry: Wanted, file: str, problems: Problems) -> bool:
    missing = [one for one in entry.step.deploy if not (Path(file).parent / one).exists()]
    for one in missing:
        text = f"`deploy`: {one}: no such file; write the path of a stack file, from this file on"
        problems.add(("timeline", entry.at, "deploy"), text)
    return not missing


def _words(
    step: Deploy, name: str, data: Mapping[str, Any], file: str, env: Mapping[str, str], own: Any
) -> dict[str, Any]:
    """What `load_stack` is asked. Over the scenario's own stack its Compose keys lie again."""
    mine = own is not None and own.name == name
    words = data.get("stack")
    stand_in = mine and isinstance(words, Mapping) and words.get("stand_in") is True
    sections = {key: data[key] for key in COMPOSE_KEYS if key in data} if mine else {}
    return {
        "files": [str(Path(file).parent / one) for one in step.deploy],
        "name": name,
        "env": {**env, **step.env},
        "stand_in": step.stand_in or stand_in,
        "overlay": sections or None,
    }


def _read(words: dict[str, Any], file: str, problems: Problems) -> Any:
    from ..compose import load_stack

    try:
        return load_stack(**words, file=file, lines=problems.line, again=True)
    except ScenarioError as error:
        problems.adopt(error)
        return None


def stacks(own: Any, deploys: Mapping[str, Any]) -> list[Any]:
    return [*([own] if own is not None else []), *deploys.values()]


def stack_names(own: Any, deploys: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(stack.name for stack in stacks(own, deploys) if stack.name))


def known_stack(name: Any, names: Sequence[str]) -> str:
    if name in names:
        return str(name)
    there = f"the stacks are {listed(names)}" if names else "the file has no stack"
    raise ValueError(f"unknown stack `{name}`; {there}")


def at_first(own: Any, deploys: Mapping[str, Any]) -> Iterator[Any]:
    """What is there before all entries, in the order of its making: the own stack's, and what others take to be there.

    What one of the scenario's stacks calls external and another makes is left to that other.
    """
    lists = {"network": "networks", "secret": "secrets", "config": "configs"}
    for kind in KINDS:
        made = {spec.name: None for spec in getattr(own, lists[kind])}
        yield from getattr(own, lists[kind])
        by_others = {
            s.name
            for stack in deploys.values()
            for s in getattr(stack, lists[kind])
            if s.name not in stack.external[kind]
        }
        for stack in deploys.values():
            for spec in getattr(stack, lists[kind]):
                if spec.name in stack.external[kind] and spec.name not in made and spec.name not in by_others:
                    made[spec.name] = None
                    yield spec
