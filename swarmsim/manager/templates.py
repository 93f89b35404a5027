"""Go templates in container specs, as far as the control API must refuse them (SwarmKit template/{expand,context}.go).

`{{.Node.Hostname}}` in a hostname, an environment value or a mount is filled in by the agent. Here only names are
looked at: an action that is one plain path or one bare word is understood, everything else is let pass.
"""

from __future__ import annotations

import re

from ..api.specs import ContainerSpec

#: What a template may name; None: whatever follows (labels).
_CONTEXT: dict[str, tuple[str, ...] | None] = {
    "Service": ("ID", "Name", "Labels"),
    "Node": ("ID", "Hostname", "Platform"),
    "Task": ("ID", "Name", "Slot"),
}
_ACTION = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
_PATH = re.compile(r"(?:\.[A-Za-z_]\w*)+", re.ASCII)
_WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)
#: Words that are no functions, or functions without arguments.
_KNOWN = frozenset({"break", "continue", "else", "end", "false", "nil", "print", "println", "true"})


class TemplateError(ValueError):
    """The message is Go's."""


def check_templates(container: ContainerSpec) -> None:
    """Raises `TemplateError` for the first text that cannot be expanded, in the order of expand.go."""
    for entry in container.env:
        _check("env", entry.partition("=")[2])
    for mount in container.mounts:
        for text in (mount.source, mount.target):
            _check("mounts", text)
    _check("hostname", container.hostname)


def _check(what: str, text: str) -> None:
    if "{{" not in text:
        return
    problem = _unclosed(text)
    for action in _ACTION.finditer(text):
        problem = problem or _wrong(action.group(1), action.start(1))
    if problem:
        raise TemplateError(f"expanding {what} failed: template: expansion:{problem}")


def _unclosed(text: str) -> str:
    rest = _ACTION.sub("", text)
    return "1: unclosed action" if "{{" in rest else ""


def _wrong(action: str, column: int) -> str:
    if _WORD.fullmatch(action) and action not in _KNOWN:
        return f'1: function "{action}" not defined'
    if not _PATH.fullmatch(action):
        return ""
    first, *rest = action[1:].split(".")
    known = _CONTEXT.get(first, ())
    where = f'1:{column}: executing "expansion" at <{action}>: '
    if first not in _CONTEXT:
        return f"{where}can't evaluate field {first} in type template.Context"
    if rest and known is not None and rest[0] not in known:
        return f"{where}can't evaluate field {rest[0]} in {first}"
    return ""
