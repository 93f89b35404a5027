"""Whatever a file says, it becomes specs or problems: never another exception, and every problem has its form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from swarmsim.compose import Stack, load_inline, load_stack
from swarmsim.errors import ScenarioError
from tests.compose.mutants import JUNK, WHOLE, mutants
from tests.compose.real_client import STACKS

WORDS = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
FILES = settings(WORDS, max_examples=30)  # reading YAML is slow


def check(error: ScenarioError) -> None:
    for problem in error.problems:
        said, semicolon, instead = problem.text.partition("; ")
        assert said
        assert semicolon and instead, problem
        assert len(problem.text.splitlines()) == 1, problem
        problem.text.encode()
        assert problem.line >= 0


def survive(load: Any) -> None:
    try:
        stack: Stack = load()
    except ScenarioError as error:
        check(error)
        return
    for spec in (*stack.services, *stack.networks, *stack.secrets, *stack.configs):
        repr(spec).encode()


@FILES
@given(data=mutants())
@example(data={"services": {"a": {"image": "i", "ports": [f"{i}-65535" for i in range(1, 50)]}}})
@example(data={"services": {"a": {"image": "\ud800"}}})
def test_a_stack_file_that_was_right(data: Any, tmp_path: Path) -> None:
    file = tmp_path / "f.yml"
    file.write_text(json.dumps(data), encoding="utf-8")

    survive(lambda: load_stack([str(file)], name="st", env={"X": "x"}, stand_in=True))


@FILES
@given(base=mutants(), over=mutants())
def test_two_files_that_were_right(base: Any, over: Any, tmp_path: Path) -> None:
    files = [tmp_path / "a.yml", tmp_path / "b.yml"]
    for file, data in zip(files, (base, over), strict=True):
        file.write_text(json.dumps(data), encoding="utf-8")

    survive(lambda: load_stack([str(file) for file in files], name="st", env={"X": "x"}, stand_in=True))


@WORDS
@given(data=mutants())
def test_sections_of_a_scenario(data: Any) -> None:
    """Words of Python, which no YAML has limited."""
    sections = {key: value for key, value in data.items() if key not in ("version", "x-any")}

    survive(lambda: load_inline(sections, file="s.yaml", base=Path("/nowhere"), env={}, stand_in=True))


@WORDS
@given(patch=st.dictionaries(st.sampled_from(list(WHOLE["services"]["web"])), JUNK, max_size=3))
def test_an_update(patch: dict[str, Any]) -> None:
    sections = {key: value for key, value in WHOLE.items() if key not in ("version", "x-any")}
    stack = load_inline(sections, file="s.yaml", base=Path("/nowhere"), env={}, stand_in=True)

    try:
        repr(stack.update("web", patch)).encode()
    except ScenarioError as error:
        check(error)


@FILES
@given(draw=st.data())
def test_a_text_with_a_slip(draw: st.DataObject, tmp_path: Path) -> None:
    """Letters lost, doubled or changed, as a keyboard does it."""
    text = draw.draw(st.sampled_from(TEXTS))
    for _ in range(draw.draw(st.integers(1, 3))):
        at = draw.draw(st.integers(0, len(text) - 1))
        new = draw.draw(st.sampled_from(["", *" \n\t:-[]{}&*!|>'\"%@`#,?$\\\x00ü", text[at] * 2]))
        text = text[:at] + new + text[at + 1 :]
    file = tmp_path / "f.yml"
    file.write_text(text, encoding="utf-8")

    survive(lambda: load_stack([str(file)], name="st", env={}, stand_in=True))


TEXTS = [file.read_text() for file in sorted(STACKS.glob("*.yml"))]


def test_the_whole_is_right() -> None:
    """Else the mutants would show little."""
    sections = {key: value for key, value in WHOLE.items() if key not in ("version", "x-any")}

    stack = load_inline(sections, file="s.yaml", base=Path("/nowhere"), env={}, stand_in=True)

    assert [spec.name for spec in stack.services] == ["web", "db"]


def test_many_problems_are_collected_in_good_time() -> None:
    sections = {"services": {"a": {"image": "i", "cap_add": list(range(20_000))}}}

    with pytest.raises(ScenarioError) as error:
        load_inline(sections, file="s.yaml", base=Path(), env={})

    assert len(error.value.problems) == 20_000
