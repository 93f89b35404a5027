"""Variables: every form, as the real client 28.2.2 was seen to read it (reference section 4.3, cases S-032, S-034)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmsim.api.specs import Replicated
from swarmsim.compose.interpolation import interpolate, substitute
from tests.compose.stack import load, one, problems, text_of, words

ENV = {"S": "sv", "E": "", "s": "small", "R": "4", "T": "true"}

#: Text -> what it becomes; S is `sv`, E is empty, X and Y are not set.
BECOMES = {
    "$S": "sv",
    "${S}": "sv",
    "$s": "small",
    "$X.y": ".y",
    "http://$X:80/$S": "http://:80/sv",
    "${X}": "",
    "${X:-d}": "d",
    "${X-d}": "d",
    "${E:-d}": "d",
    "${E-d}": "",
    "${S:-d}": "sv",
    "${X:-}": "",
    "${X:-a b}": "a b",
    "${S?no}": "sv",
    "${E?no}": "",
    "$$": "$",
    "$$S": "$S",
    "$$$S": "$sv",
    "$$$$": "$$",
    # A default ends at the first brace.
    "${X:-${Y:-z}}": "${Y:-z}",
    "${X:-a}b}": "ab}",
    "${X:-$$}": "$$",
    "${X:-$S}": "$S",
    # Of the four operators the first in the order :- - :? ? wins, wherever it stands.
    "${X-a:-b}": "b",
    "${X:-a-b}": "a-b",
    "${X?a:-b}": "b",
    "${X:?-}": "",
    # Without braces, too.
    "$X-b": "b",
    "$S-b": "sv",
    "$X:-y": "y",
    "$S-$S": "sv",
    "$S-a}b$S": "sv}bsv",
    "${S}-b": "sv-b",
    # What is wrong is forgiven when a later one succeeds.
    "${X:?boom}-${S}": "-sv",
    "${S}${X?x}${S}": "svsv",
    "${X${S}": "{Xsv",
}

REFUSED = {
    "$": "$",
    "${X": "${X",
    "${}": "${}",
    "$1": "$1",
    "${1}": "${1}",
    "$-": "$-",
    "$ {X}": "$ {X}",
    "${S }": "${S }",
    "${X:+y}": "${X:+y}",
    "${S:}": "${S:}",
    "${S:0}": "${S:0}",
    "${S!}": "${S!}",
    "${-x}": "${-x}",
    "${S}$": "${S}$",
    "${X:?boom}": "required variable X is missing a value: boom",
    "${E:?e}": "required variable E is missing a value: e",
    "${X?}": "required variable X is missing a value: ",
    "${S}-${X:?boom}": "required variable X is missing a value: boom",
    "${X:?a}${Y:?b}": "required variable Y is missing a value: b",
}


def replaced(text: str) -> str:
    return substitute(text, ENV, lambda name: None)


@pytest.mark.parametrize("text", BECOMES)
def test_a_text_with_variables(text: str) -> None:
    assert replaced(text) == BECOMES[text]


@pytest.mark.parametrize("text", REFUSED)
def test_a_text_that_is_refused(text: str) -> None:
    with pytest.raises(ValueError) as error:
        replaced(text)

    assert str(error.value) == REFUSED[text]


@given(st.text(alphabet="${}:-?SX ab", max_size=30))
def test_no_text_is_too_strange(text: str) -> None:
    """It becomes something, or it is refused with words."""
    try:
        replaced(text)
    except ValueError as error:
        assert str(error)


def test_a_long_text_takes_no_longer_than_it_must() -> None:
    """A brace that is never closed is not looked for from every $ on."""
    with pytest.raises(ValueError):
        replaced("${a-" * 250_000)


def test_all_texts_are_looked_through_but_no_keys() -> None:
    data: dict[str, Any] = {"x-a": ["$S"], "services": {"$S": {"labels": {"$S": "$S"}}}, "version": "$S"}

    result = interpolate(data, ENV, lambda path, text: None, lambda path, name: None)

    assert result == {"x-a": ["sv"], "services": {"$S": {"labels": {"$S": "sv"}}}, "version": "$S"}


def test_list_items_show_as_brackets(tmp_path: Path) -> None:
    assert "for services.a.command.[]: " in words(tmp_path, 'command: [a, "${X:?m}"]')


# ---- casts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fragment", "part"),
    [
        (
            "deploy: {replicas: '$X'}",
            "error while interpolating services.a.deploy.replicas: failed to cast to expected",
        ),
        ("deploy: {replicas: '$X'}", 'strconv.Atoi: parsing "": invalid syntax'),
        ("deploy: {replicas: '0x10$X'}", 'parsing "0x10": invalid syntax'),
        ("deploy: {replicas: '99999999999999999999$X'}", "value out of range"),
        ("tty: '$R'", "invalid boolean: 4"),
        ("deploy: {update_config: {max_failure_ratio: '$S'}}", 'strconv.ParseFloat: parsing "sv": invalid syntax'),
        # Not cast, hence refused even when set.
        ("init: '$T'", "services.a.init must be a boolean"),
        ("deploy: {resources: {limits: {pids: '$R'}}}", "pids must be a integer"),
        ("volumes: [{type: tmpfs, target: /x, tmpfs: {size: '$R'}}]", "size must be a integer"),
    ],
)
def test_a_cast_that_fails(fragment: str, part: str, tmp_path: Path) -> None:
    assert part in words(tmp_path, fragment, env=ENV)


def test_a_cast_is_done_only_where_a_variable_was_replaced(tmp_path: Path) -> None:
    assert one(tmp_path, "deploy: {replicas: '${R}'}", env=ENV).mode == Replicated(4)
    assert "must be a integer" in words(tmp_path, "deploy: {replicas: '4'}", env=ENV)


@pytest.mark.parametrize("text", ["y", "Yes", "TRUE", "on"])
def test_booleans_of_variables_are_generous(text: str, tmp_path: Path) -> None:
    assert one(tmp_path, "read_only: '$B'", env={"B": text}).task.container.options == {"read_only": True}


def test_networks_and_files_cast_external(tmp_path: Path) -> None:
    stack = load(tmp_path, text_of("networks: [n]", "networks: {n: {external: '$T', name: '$S'}}"), env=ENV)

    assert [n.name for n in stack.networks] == ["sv"]


# ---- variables without a value ---------------------------------------------------------------------------


def test_a_variable_without_a_value_is_empty_and_warned_of_once(tmp_path: Path) -> None:
    """`docker stack deploy` says nothing; SCENARIOS.md section 5 does."""
    stack = load(tmp_path, text_of("hostname: h$X\nuser: $X$E\nworking_dir: ${Y:-/}"), env=ENV)

    assert stack.services[0].task.container.hostname == "h"
    assert [w.split(",")[0] for w in stack.warnings] == ["variable X is not set and empty"]
    assert "0.yml:4" in stack.warnings[0]


def test_the_shell_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run depends on file and seed alone."""
    monkeypatch.setenv("S", "from the shell")

    stack = load(tmp_path, text_of("hostname: h$S\nenvironment: [S]"))

    assert stack.services[0].task.container.hostname == "h"
    assert stack.services[0].task.container.env == ("S",)


def test_half_a_character_is_refused(tmp_path: Path) -> None:
    found = problems(tmp_path, text_of('hostname: "\\ud800"'))

    assert len(found) == 1
