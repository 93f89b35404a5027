"""Stacks of one service `a`, for tests: a fragment of YAML in, its spec, warnings or problems out."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path

from swarmsim.api.specs import ServiceSpec
from swarmsim.compose import Stack, load_stack
from swarmsim.errors import Problem, ScenarioError


def text_of(fragment: str, top: str = "", version: str = "") -> str:
    """`fragment` is what stands under `services: {a: {image: busybox, ...}}`."""
    head = f'version: "{version}"\n' if version else ""
    image = "" if fragment.startswith("image:") else "    image: busybox\n"
    return f"{head}services:\n  a:\n{image}{textwrap.indent(fragment, '    ')}\n{top}\n"


def load(
    folder: Path, text: str, *more: str, env: Mapping[str, str] | None = None, stand_in: bool = False, name: str = "st"
) -> Stack:
    """A stack of files with these texts."""
    files = [folder / f"{i}.yml" for i in range(1 + len(more))]
    for file, content in zip(files, (text, *more), strict=True):
        file.write_text(content)
    return load_stack([str(file) for file in files], name=name, env=env or {}, stand_in=stand_in)


def one(
    folder: Path, fragment: str, top: str = "", version: str = "", env: Mapping[str, str] | None = None
) -> ServiceSpec:
    """The spec of service `a`."""
    return load(folder, text_of(fragment, top, version), env=env).services[0]


def problems(folder: Path, text: str, *more: str, env: Mapping[str, str] | None = None) -> list[Problem]:
    """What is wrong with it; empty where nothing is."""
    try:
        load(folder, text, *more, env=env)
    except ScenarioError as error:
        return error.problems
    return []


def words(folder: Path, fragment: str, top: str = "", version: str = "", env: Mapping[str, str] | None = None) -> str:
    """The words of all that is wrong with a service."""
    return "\n".join(p.text for p in problems(folder, text_of(fragment, top, version), env=env))
