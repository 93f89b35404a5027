"""One source of Compose's words: a stack file, or what a scenario writes in place; and what is wrong in it.

Everything after the reader works on plain data with paths (`("services", "web", "image")`); a source knows which line a
path stands in, which folder its paths start at, and which version's schema holds for it.
"""

from __future__ import annotations

import numbers
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import Problem, ScenarioError
from .reader import MAX_DEPTH, KeyPath, read_yaml

Line = Callable[[KeyPath], int]

_NEWEST = 13


class Source:
    """`data` as it was read; `base` is the folder of its side files. `minor`: of version 3; None: unsupported."""

    def __init__(self, file: str, data: Any, line: Line, base: Path, *, inline: bool = False) -> None:
        self.file = file
        self.data = data
        self.line = line
        self.base = base
        self.inline = inline
        self.minor: int | None = _NEWEST
        self.problems: list[Problem] = []
        self.troubled: list[KeyPath] = []
        self._noted: set[Problem] = set()

    @classmethod
    def of_file(cls, file: str, base: Path) -> Source:
        """A stack file, by the rules of Docker's YAML."""
        data, lines = read_yaml(file, version="1.1")

        def line(path: KeyPath) -> int:
            while path not in lines and path:
                path = path[:-1]
            return lines.get(path, 1)

        source = cls(file, data, line, base)
        if not isinstance(data, Mapping):
            source.wrong((), "top-level object must be a mapping; write services: {web: {image: nginx}}")
        return source

    @classmethod
    def of_sections(cls, sections: Mapping[str, Any], file: str, line: Line | None, base: Path) -> Source:
        """Sections that were read with a scenario, or made in Python."""
        source = cls(file, {}, line or (lambda path: 0), base, inline=True)
        source.data = {key: source._plain(value, (key,)) for key, value in sections.items()}
        return source

    def _plain(self, value: Any, path: KeyPath) -> Any:
        """What Python's words may be in place of YAML's, as YAML's."""
        if value is None or isinstance(value, str | bool | int | float):
            return value
        if len(path) > MAX_DEPTH:
            self.wrong(path, f"more than {MAX_DEPTH} levels deep; write it flatter")
        elif isinstance(value, Mapping):
            return {key: self._plain(item, (*path, key)) for key, item in value.items()}
        elif isinstance(value, list | tuple):
            return [self._plain(item, (*path, index)) for index, item in enumerate(value)]
        elif isinstance(value, numbers.Integral):
            return int(value)
        elif isinstance(value, numbers.Real):
            return float(value)
        elif isinstance(value, os.PathLike):
            return os.fspath(value)
        else:
            self.wrong(path, f"a {type(value).__name__} means nothing here; write a text, number, list or mapping")
        return None

    def wrong(self, path: KeyPath, text: str) -> None:
        """Something is wrong at `path`: noted, once, on one line."""
        problem = Problem(self.file, self.line(path), _one_line(text))
        if problem not in self._noted:
            self._noted.add(problem)
            self.problems.append(problem)
            self.troubled.append(path)

    def forget(self) -> None:
        """What was wrong has been told."""
        self.problems, self.troubled, self._noted = [], [], set()

    def depth(self, path: KeyPath) -> int:
        """How many steps of `path` there are in the data."""
        data = self.data
        for taken, step in enumerate(path):
            in_list = isinstance(data, list) and isinstance(step, int) and 0 <= step < len(data)
            if not in_list and not (isinstance(data, Mapping) and step in data):
                return taken
            data = data[step]
        return len(path)


#: Words that are longer are cut: nobody reads them, and a name may be as long as a file.
_LONG = re.compile(r"\S{160,}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")


def _one_line(text: str) -> str:
    text = _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)
    return _LONG.sub(lambda found: f"{found[0][:100]}...", text).encode("utf-8", "backslashreplace").decode()


def stop(sources: Sequence[Source]) -> None:
    """Raise if anything is wrong in any of them."""
    problems = [problem for source in sources for problem in source.problems]
    if problems:
        raise ScenarioError(problems)


__all__ = ["KeyPath", "Line", "Source", "stop"]
