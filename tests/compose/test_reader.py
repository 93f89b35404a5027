"""YAML as Docker reads it, with lines (reference section 4.2)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from swarmsim.compose import parse_yaml, read_yaml
from swarmsim.compose.reader import MAX_BYTES
from swarmsim.errors import ScenarioError


def parse(text: str, version: str = "1.1") -> Any:
    return parse_yaml(text, file="f.yml", version=version)[0]


def wrong(text: str, version: str = "1.1") -> str:
    with pytest.raises(ScenarioError) as error:
        parse(text, version)
    (problem,) = error.value.problems
    return str(problem)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0440", 0o440),
        ("0o440", 0o440),
        ("0x1F", 31),
        ("1_000", 1000),
        ("1e3", 1000.0),
        ("true", True),
        ("yes", "yes"),
        ("off", "off"),
        ("22:22", "22:22"),
        ("~", None),
        ("", None),
        ("'5'", "5"),
        ("12345678901234567890", 12345678901234567890),
        ("99999999999999999999", 1e20),
        ("2020-01-01", "2020-01-01 00:00:00 +0000 UTC"),
        ("<<", "<<"),
    ],
)
def test_what_a_scalar_means(text: str, value: Any) -> None:
    found = parse(f"a: {text}\n")["a"]

    assert found == value
    assert type(found) is type(value)


def test_a_date_stays_a_text_in_a_scenario() -> None:
    assert parse("a: 2020-01-01\n", "1.2") == {"a": "2020-01-01"}


def test_merge_keys_are_shallow_and_the_first_wins() -> None:
    text = (
        "x: &x {a: 1, e: {p: 1}}\ny: &y {a: 2, b: 2}\n"
        "one: {<<: *x, e: {q: 2}}\nmany: {<<: [*x, *y], b: 3}\nown: {a: 9, <<: *x}\n"
    )

    data = parse(text)

    assert data["one"] == {"a": 1, "e": {"q": 2}}
    assert data["many"] == {"a": 1, "e": {"p": 1}, "b": 3}
    assert data["own"] == {"a": 9, "e": {"p": 1}}


def test_an_aliased_value_is_a_copy() -> None:
    data = parse("a: &a [1]\nb: *a\n")

    data["a"].append(2)

    assert data["b"] == [1]


def test_every_path_has_its_line() -> None:
    _, lines = parse_yaml("# head\na:\n  b:\n  - x\n  - {c: 1}\n", file="f.yml")

    assert lines == {(): 2, ("a",): 2, ("a", "b"): 3, ("a", "b", 0): 4, ("a", "b", 1): 5, ("a", "b", 1, "c"): 5}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", 'f.yml:3: yaml: unmarshal errors: line 3: mapping key "a" already defined at line 1'),
        ("x: &x {a: 1}\ny: {<<: *x, <<: *x}\n", "f.yml:2: yaml: unmarshal errors: line 2: mapping key"),
        ("a:\n\tb: 1\n", "f.yml:2: yaml: line 2: found character that cannot start any token; indent with spaces"),
        ("a: [1, 2\nb: 3\n", "did not find expected ',' or ']'; close the [ of line 1"),
        ("a: *nobody\n", "f.yml:1: yaml: unknown anchor 'nobody' referenced"),
        ("a: {<<: 5}\n", "map merge requires map or sequence of maps as the value"),
        ("a: !!float2 b\n", "f.yml:1: a tag, `!!float2`, means nothing here"),
        ("a: 1\n \tb: 2\n", "found a tab character that violates indentation; indent with spaces"),
        (
            "a: {{.Node.Hostname}}\n",
            'yaml: invalid map key: map[string]interface {}{".Node.Hostname":interface {}(nil)}',
        ),
        (
            "? {x: [1, yes, true]}\n: b\n",
            'invalid map key: map[string]interface {}{"x":[]interface {}{1, "yes", true}}',
        ),
        ("a: &s {b: *s}\n", "yaml: anchor 's' value contains itself"),
        ("%YAML 1.2\n---\na: b\n", "yaml: found incompatible YAML document"),
        ("a: \x01\n", "yaml: control characters are not allowed"),
        ("a: b: c\n", "mapping values are not allowed in this context"),
        ("[a]: 1\n", 'invalid map key: []interface {}{"a"}'),
        ('a: "b\n', "found unexpected end of stream"),
    ],
)
def test_what_is_no_yaml_has_a_line_and_words(text: str, said: str) -> None:
    assert said in wrong(text)


def test_only_the_first_document_of_a_stack_file_is_read() -> None:
    assert parse("a: 1\n---\nb: 2\n") == {"a": 1}
    assert "a second document begins here" in wrong("a: 1\n---\nb: 2\n", "1.2")


def test_aliases_are_expanded_under_a_limit() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9))

    assert "excessive aliasing" in wrong(bomb)


def test_depth_is_limited() -> None:
    assert "levels deep" in wrong("a: " + "[" * 200 + "]" * 200 + "\n")


@pytest.mark.parametrize("data", [b"\xff\xfe", b"a: \x00\n", bytes(range(256))])
def test_bytes_that_are_no_text(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "f.yml").write_bytes(data)

    with pytest.raises(ScenarioError):
        read_yaml(tmp_path / "f.yml")


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "f.yml").write_bytes(b"#" * (MAX_BYTES + 1))

    with pytest.raises(ScenarioError, match="more than 1 MiB"):
        read_yaml(tmp_path / "f.yml")


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("a:\tb\t# why\nc: d\t\n", {"a": "b", "c": "d"}),
        ("a: [\tb,\n\tc ]\n", {"a": ["b", "c"]}),
        ("a: b\tc\n", {"a": "b\tc"}),
        ("a: |\n  b\tc\n  \td\n", {"a": "b\tc\n\td\n"}),
    ],
)
def test_a_tab_is_a_space_where_no_key_may_begin(text: str, data: object) -> None:
    """libyaml scanner.c `yaml_parser_scan_to_next_token`; public stack files have tabs before their comments."""
    assert parse(text) == data


def test_tags_of_compose_are_ignored_in_a_stack_file() -> None:
    """`!reset` and `!override` mean something to docker compose alone."""
    assert parse("a: !reset [1]\nb: !override {c: 1}\nd: !reset null\n") == {"a": [1], "b": {"c": 1}, "d": "null"}
    assert "means nothing here" in wrong("a: !reset [1]\n", "1.2")
