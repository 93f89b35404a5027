"""Variables in a stack file: `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME?error}`, `$$`.

docker/cli cli/compose/template and interpolation. All texts are looked through, `x-…` included, never keys. Quirks that
are kept: of `:-`, `-`, `:?`, `?` the first in this order wins, wherever it stands in the braces; a default ends at the
first `}`, and may stand without braces (`$NAME-x` is NAME, or else `x`; `${NAME}-x` is what it looks like); and what is
wrong in a text is forgiven when a later variable of the same text succeeds.

Variables come from the scenario's `env:` alone, so a run depends on nothing else; Docker takes them from the shell.
A variable without a value is empty, as in Docker; that this is said (`unset`) is ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from . import units
from .source import KeyPath

Tell = Callable[[KeyPath, str], None]

# Go's (?i) folds two more letters into k and s.
_NAME = "[_a-zA-Z\u017f\u212a][_a-zA-Z0-9\u017f\u212a]*"
_WORDS = rf"{_NAME}(?::?[-?][^}}]*)?"
_VARIABLE = re.compile(rf"\$(?:(\$)|({_WORDS})|\{{({_WORDS})\}}|())")
#: The same where no brace is closed any more: looking for one from every $ on would take for ever in a long text.
_UNBRACED = re.compile(rf"\$(?:(\$)|({_WORDS})|((?!))|())")
_TRUE, _FALSE = ("y", "yes", "true", "on"), ("n", "no", "false", "off")


def substitute(text: str, env: Mapping[str, str], unset: Callable[[str], None]) -> str:
    """The text with its variables; raises `ValueError` with what Docker calls the template."""
    wrong: list[str] = []

    def replaced(found: re.Match[str]) -> str:
        escaped, named, braced, _ = found.groups()
        if escaped:
            return "$"
        wrong.clear()  # forgiven, if this one succeeds
        value, missing = _value(named or braced, env, unset) if named or braced else ("", text)
        if missing:
            wrong.append(missing)
        return value

    end = text.rfind("}") + 1
    result = _VARIABLE.sub(replaced, text[:end]) + _UNBRACED.sub(replaced, text[end:])
    if wrong:
        raise ValueError(wrong[0])
    return result


def _value(words: str, env: Mapping[str, str], unset: Callable[[str], None]) -> tuple[str, str]:
    """What stands in the braces: a value, and what is missing."""
    for operator in (":-", "-", ":?", "?"):
        if operator not in words:
            continue
        name, _, rest = words.partition(operator)
        value = env.get(name)
        if value or (value is not None and not operator.startswith(":")):
            return value, ""
        return (rest, "") if operator.endswith("-") else ("", f"required variable {name} is missing a value: {rest}")
    if words not in env:
        unset(words)
    return env.get(words, ""), ""


def interpolate(
    data: Mapping[Any, Any], env: Mapping[str, str], tell: Tell, unset: Callable[[KeyPath, str], None]
) -> dict[Any, Any]:
    """A file's data with its variables in place, and the casts done; `version` is left as it is."""
    work = _Interpolation(env, tell, unset)
    return {key: value if key == "version" else work.value(value, (key,)) for key, value in data.items()}


class _Interpolation:
    """One source's data."""

    def __init__(self, env: Mapping[str, str], tell: Tell, unset: Callable[[KeyPath, str], None]) -> None:
        self.env = env
        self.tell = tell
        self.unset = unset

    def value(self, value: Any, path: KeyPath) -> Any:
        if isinstance(value, Mapping):
            for key in value:
                self.check_text(key, (*path, key))
            return {key: self.value(child, (*path, key)) for key, child in value.items()}
        if isinstance(value, list):
            return [self.value(item, (*path, index)) for index, item in enumerate(value)]
        self.check_text(value, path)
        return self.text(value, path) if isinstance(value, str) and "$" in value else value

    def check_text(self, value: Any, path: KeyPath) -> None:
        """A YAML escape can make half a character, which no request could carry."""
        if isinstance(value, str) and not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
            self.tell(path, "half of a surrogate pair is no character; write the character itself")

    def text(self, text: str, path: KeyPath) -> Any:
        try:
            result = substitute(text, self.env, lambda name: self.unset(path, name))
        except ValueError as error:
            self.tell(path, _invalid(path, str(error)))
            return text
        cast = _cast(path)
        if cast is None or result == text:
            return result
        try:
            return cast(result)
        except ValueError as error:
            where = f"error while interpolating {_dotted(path)}: failed to cast to expected type: {error}"
            self.tell(path, f"{where}; give the variable a value that fits, under env:")
            return text


def _invalid(path: KeyPath, template: str) -> str:
    quoted = '"' + template.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    text = f"invalid interpolation format for {_dotted(path)}: {quoted}; you may need to escape any $ with another $"
    required = re.match(r"required variable (\S+) is missing", template)
    return f"{text}, or write env: {{{required[1]}: …}}" if required else text


def _dotted(path: KeyPath) -> str:
    """List items show as `[]`."""
    return ".".join("[]" if isinstance(step, int) else str(step) for step in path)


# ---- casts -----------------------------------------------------------------------------------------------


def _boolean(text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError(f"invalid boolean: {text[:60]}")


_UPDATE = {"parallelism": units.parse_int, "max_failure_ratio": units.parse_float}
_SERVICE_CASTS: dict[str, Callable[[str], Any]] = {
    "configs.[].mode": units.parse_int,
    "secrets.[].mode": units.parse_int,
    "healthcheck.retries": units.parse_int,
    "healthcheck.disable": _boolean,
    "deploy.replicas": units.parse_int,
    **{f"deploy.update_config.{key}": cast for key, cast in _UPDATE.items()},
    **{f"deploy.rollback_config.{key}": cast for key, cast in _UPDATE.items()},
    "deploy.restart_policy.max_attempts": units.parse_int,
    "deploy.placement.max_replicas_per_node": units.parse_int,
    "ports.[].target": units.parse_int,
    "ports.[].published": units.parse_int,
    "ulimits.*": units.parse_int,
    "ulimits.*.hard": units.parse_int,
    "ulimits.*.soft": units.parse_int,
    "oom_score_adj": units.parse_int,
    "privileged": _boolean,
    "read_only": _boolean,
    "stdin_open": _boolean,
    "tty": _boolean,
    "volumes.[].read_only": _boolean,
    "volumes.[].volume.nocopy": _boolean,
}
#: Where a text becomes a number or a boolean once a variable was put into it (cli/compose/loader/interpolate.go).
_CASTS: dict[tuple[str, ...], Callable[[str], Any]] = {
    **{tuple(f"services.*.{path}".split(".")): cast for path, cast in _SERVICE_CASTS.items()},
    **{(section, "*", "external"): _boolean for section in ("networks", "volumes", "secrets", "configs")},
    ("networks", "*", "internal"): _boolean,
    ("networks", "*", "attachable"): _boolean,
}


def _cast(path: KeyPath) -> Callable[[str], Any] | None:
    shape = ["[]" if isinstance(step, int) else str(step) for step in path]
    if len(shape) > 1:
        shape[1] = "*"
    if len(shape) > 3 and shape[2] == "ulimits":
        shape[3] = "*"
    return _CASTS.get(tuple(shape))
