"""Side files: variables, secrets, configs; where they are missing, and where they are taken as empty (section 4.6)."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarmsim.api.specs import Driver
from swarmsim.compose.convert import STAND_IN
from swarmsim.compose.env_file import parse
from swarmsim.errors import ScenarioError
from tests.compose.stack import load, one, problems, text_of, words


def test_a_file_of_variables() -> None:
    data = b'\xef\xbb\xbfA=1\r\n# comment\n\n  D=x y \nQ="q"\nE=\nB\nC\nX=a=b\n'

    assert parse(data, {"B": "given"}) == {"A": "1", "D": "x y ", "Q": '"q"', "E": "", "B": "given", "X": "a=b"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a b=1", "variable 'a b' contains whitespaces"),
        (b"A =1", "variable 'A ' contains whitespaces"),
        (b"=1", "no variable name on line '=1'"),
        (b"A=1\nB=\xff", "invalid utf8 bytes at line 2"),
    ],
)
def test_a_file_of_no_variables(data: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse(data, {})


def test_the_environment_overrides_the_files_and_later_files_earlier_ones(tmp_path: Path) -> None:
    (tmp_path / "a.env").write_text("A=1\nB=1\nC=1\n")
    (tmp_path / "b.env").write_text("B=2\nC=2\n")

    spec = one(tmp_path, "env_file: [a.env, b.env]\nenvironment: {C: 3, D: }")

    assert spec.task.container.env == ("A=1", "B=2", "C=3", "D")


def test_a_name_without_a_value_or_with_an_empty_one_takes_what_is_given(tmp_path: Path) -> None:
    """A surprise of Docker's: `C=` is overridden, too."""
    spec = one(tmp_path, 'environment: [B, "C=", D=5, E]', env={"B": "b", "C": "c", "D": "d"})

    assert spec.task.container.env == ("B=b", "C=c", "D=5", "E")


# ---- what is missing -------------------------------------------------------------------------------------

MISSING = [
    ("env_file: x.env", "", 4),
    ("secrets: [s]", "secrets: {s: {file: ./x.txt}}", 5),
    ("hostname: h", "configs: {c: {file: x.conf}}", 5),
]


@pytest.mark.parametrize(("fragment", "top", "line"), MISSING)
def test_a_missing_side_file_is_named(fragment: str, top: str, line: int, tmp_path: Path) -> None:
    (found,) = problems(tmp_path, text_of(fragment, top))

    assert found.line == line
    assert f"open {tmp_path}/x." in found.text
    assert "no such file or directory" in found.text
    assert "stand_in" in found.text


def test_with_stand_in_missing_side_files_are_empty(tmp_path: Path) -> None:
    """A secret is one line end: the manager takes no empty one."""
    text = text_of("env_file: x.env\nsecrets: [s]", "secrets: {s: {file: x}}\nconfigs: {c: {file: x}}")

    stack = load(tmp_path, text, stand_in=True)

    assert stack.services[0].task.container.env == ()
    assert [s.data for s in (*stack.secrets, *stack.configs)] == [STAND_IN, STAND_IN]


def test_stand_in_does_not_excuse_a_file_that_is_there_and_wrong(tmp_path: Path) -> None:
    (tmp_path / "bad.env").write_text("a b\n")

    with pytest.raises(ScenarioError, match="invalid env file"):
        load(tmp_path, text_of("env_file: bad.env"), stand_in=True)


@pytest.mark.parametrize("name", [".", "", "/dev/zero", '"a\\0b"', "x" * 300])
def test_what_is_no_file(name: str, tmp_path: Path) -> None:
    name = name or '""'

    assert problems(tmp_path, text_of(f"env_file: {name}"))
    assert problems(tmp_path, text_of("hostname: h", f"secrets: {{s: {{file: {name}}}}}"))


# ---- secrets and configs ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fragment", "top", "said"),
    [
        ("secrets: [x]", "", 'service a: undefined secret "x"'),
        ("configs: [x]", "", 'service a: undefined config "x"'),
        ("secrets: [s, {source: t, target: s}]", "", "service a: duplicate secret target for st_t not allowed"),
        (
            "configs: [s, {source: t, target: s}]",
            "configs: {s: {file: f}, t: {file: f}}",
            "service a: duplicate config target for st_t not allowed",
        ),
        ("credential_spec: {config: x}", "", 'service a: undefined config "x"'),
        ("credential_spec: {config: s, file: x}", "", 'cannot specify both "Config" and "File"'),
        ("secrets: [{source: s, mode: -1}]", "", "cannot parse 'Secrets[0].Mode', -1 overflows uint"),
        (
            "hostname: h",
            "configs: {c: {external: {name: a}, name: b}}",
            "config.external.name and config.name conflict",
        ),
    ],
)
def test_references_that_do_not_hold(fragment: str, top: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")

    assert said in words(tmp_path, fragment, f"secrets: {{s: {{file: f}}, t: {{file: f}}}}\n{top}")


def test_a_secret_of_a_driver_has_no_file(tmp_path: Path) -> None:
    (secret,) = load(tmp_path, text_of("secrets: [s]", "secrets: {s: {driver: vault, driver_opts: {a: 1}}}")).secrets

    assert (secret.data, secret.driver) == (b"", Driver("vault", {"a": "1"}))
    assert "only use secret.driver" in words(tmp_path, "hostname: h", "secrets: {s: {driver: vault, file: f}}")


def test_an_external_secret_is_made_beforehand_if_some_service_uses_it(tmp_path: Path) -> None:
    text = text_of("secrets: [s]", "secrets: {s: {external: true, name: own}, unused: {external: true}}")

    stack = load(tmp_path, text)

    assert [(s.name, s.labels, s.data) for s in stack.secrets] == [("own", {}, STAND_IN)]
    assert stack.services[0].task.container.secrets[0].name == "own"
    assert stack.warnings == ["secret own is external: taken to be there"]


def test_modes_are_octal(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    top = "secrets: {s: {file: f}, t: {file: f}, u: {file: f}}"

    spec = one(tmp_path, "secrets: [{source: s, mode: 0440}, {source: t, mode: 0o400}, {source: u, mode: 440}]", top)

    assert [r.mode for r in spec.task.container.secrets] == [0o440, 0o400, 440]


def test_the_driver_of_a_template_is_sent(tmp_path: Path) -> None:
    """cli/compose/convert `fileObjectConfig`: as `Templating`, of secrets and configs."""
    (tmp_path / "f").write_text("x")
    words_ = "{c: {file: f, template_driver: golang}, d: {file: f}}"

    stack = load(tmp_path, text_of("command: x", f"configs: {words_}\nsecrets: {words_}"))

    assert [s.templating for s in (*stack.configs, *stack.secrets)] == [Driver("golang"), None] * 2
    assert stack.warnings == []


@pytest.mark.parametrize(
    "words_", ["healthcheck: {test: x}", "healthcheck: {disable: true}", "healthcheck: {test: [NONE]}"]
)
def test_a_health_check_is_no_reason_to_warn(words_: str, tmp_path: Path) -> None:
    assert load(tmp_path, text_of(words_)).warnings == []
