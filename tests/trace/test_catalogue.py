"""The catalogue of events is complete and alive: each is explained, and something emits it (`trace.events`)."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

import swarmsim
from swarmsim.trace import events
from swarmsim.trace.events import EVENTS

PACKAGE = Path(swarmsim.__file__).parent
#: These judge, draw and define events; they emit none.
JUDGES = ("checks", "plots", "trace")
#: A class that is handed to one of these is looked for, not emitted.
QUESTIONS = {"of", "isinstance", "issubclass", "type"}


@cache
def emitted() -> dict[str, str]:
    """The names of event classes that some code makes, or hands to a function that does; and where."""
    found: dict[str, str] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0]
        if room in JUDGES:
            continue
        for node in ast.walk(ast.parse(path.read_text(), str(path))):
            if isinstance(node, ast.Call):
                for name in _made_by(node):
                    found.setdefault(name, f"{path.relative_to(PACKAGE)}:{node.lineno}")
    return found


def _made_by(call: ast.Call) -> list[str]:
    names = [call.func.id] if isinstance(call.func, ast.Name) else []
    asked = call.func.attr if isinstance(call.func, ast.Attribute) else "".join(names)
    if asked not in QUESTIONS:
        names += [arg.id for arg in call.args if isinstance(arg, ast.Name)]
    return names


@pytest.mark.parametrize("cls", EVENTS, ids=lambda cls: cls.__name__)
def test_every_event_is_emitted_somewhere(cls: type) -> None:
    """An event that nothing emits is dead: a check that hears it can never fail."""
    assert cls.__name__ in emitted()


def test_a_dead_event_would_be_found() -> None:
    assert "StoreRead" not in emitted()
    assert {"HostCrashed", "EndpointLearned"} <= set(emitted())


@pytest.mark.parametrize("cls", EVENTS, ids=lambda cls: cls.__name__)
def test_every_event_says_what_happened(cls: type) -> None:
    doc = cls.__doc__ or ""

    assert not doc.startswith(f"{cls.__name__}("), "NamedTuple's own words are no docstring"
    assert doc[0].isupper()
    assert "." in doc


def test_the_catalogue_holds_every_event_of_its_page() -> None:
    tree = ast.parse(Path(events.__file__).read_text())
    defined = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]

    assert [cls.__name__ for cls in EVENTS] == defined
