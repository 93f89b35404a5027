"""`x-sim`: how the simulated containers of a service behave (SCENARIOS.md section 5).

Docker ignores the key, as it ignores every `x-…`, so a stack file that carries it still deploys. Values are those of
the scenario language (`api.values`), not Docker's: TIMES with their units, to the microsecond.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from ..api.values import parse_times
from ..errors import said
from .source import KeyPath

#: Told of what is wrong: the path of the key, and the words.
Tell = Callable[[KeyPath, str], None]

_EXIT_MOST = 255


def settings(words: Any, path: KeyPath, tell: Tell) -> dict[str, Any]:
    """The settings that `words` give, for `ContainerBehaviour`; what is wrong is told and left out."""
    if words is None:
        return {}
    if not isinstance(words, Mapping):
        tell(path, f"`x-sim` must be a mapping, not {said(words)}; write x-sim: {{start: 200ms}}")
        return {}
    found: dict[str, Any] = {}
    for key, value in words.items():
        reader = _READERS.get(key) if isinstance(key, str) else None
        if reader is None:
            tell((*path, key), _unknown(key))
            continue
        try:
            found[key] = reader(value)
        except ValueError as error:
            tell((*path, key), f"`x-sim`: `{key}`: {error}")
    return found


def _exit(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _EXIT_MOST:
        raise ValueError(f"{said(value)} is no exit code; write a whole number from 0 to {_EXIT_MOST}")
    return value


def _on_stop(value: Any) -> str:
    if value not in ("shutdown", "complete"):
        raise ValueError(f"{said(value)} is not possible; write shutdown or complete")
    return str(value)


def _fail(value: Any) -> str:
    if value not in ("pull", "start", "none"):
        raise ValueError(f"{said(value)} is not possible; write pull, start or none")
    return str(value)


_READERS: dict[Any, Callable[[Any], Any]] = {
    "pull": parse_times,
    "start": parse_times,
    "stop": parse_times,
    "health": parse_times,
    "run": parse_times,
    "exit": _exit,
    "on_stop": _on_stop,
    "fail": _fail,
}


def _unknown(key: Any) -> str:
    close = difflib.get_close_matches(str(key), list(_READERS), n=1)
    instead = f"did you mean `{close[0]}`?" if close else f"its keys are {', '.join(_READERS)}"
    if isinstance(key, str) and key.split(":")[0] in _READERS and ":" in key:
        instead = "a space is missing after the colon"
    return f"unknown key `{key}` in `x-sim`; {instead}"
