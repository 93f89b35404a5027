"""What a scenario writes in place or lays over a stack, and what an update makes of a service (SCENARIOS.md 5, 6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from swarmsim.api.specs import (
    ContainerBehaviour,
    NetworkAttachmentConfig,
    NetworkSpec,
    Replicated,
    RestartCondition,
    RestartPolicy,
)
from swarmsim.compose import Stack, load_inline, load_stack, parse_yaml
from swarmsim.errors import Problem, ScenarioError


def line_in(lines: Mapping[Any, int]) -> Callable[[tuple[Any, ...]], int]:
    """As a scenario looks lines up: that of the path, or of what it is part of."""

    def line(path: tuple[Any, ...]) -> int:
        while path and path not in lines:
            path = path[:-1]
        return lines.get(path, 1)

    return line


def inline(text: str, folder: Path = Path(), env: Mapping[str, str] | None = None) -> Stack:
    sections, lines = parse_yaml(text, file="s.yaml")
    return load_inline(sections, file="s.yaml", base=folder, env=env or {}, lines=line_in(lines))


def wrong(text: str) -> list[Problem]:
    with pytest.raises(ScenarioError) as error:
        inline(text)
    return error.value.problems


# ---- in place --------------------------------------------------------------------------------------------


def test_services_are_called_as_they_are_written(tmp_path: Path) -> None:
    """As `docker service create` would: no prefix, no labels of a stack, no network but those that are named."""
    (tmp_path / "f").write_text("x")
    stack = inline(
        "services:\n  b: {image: nginx}\n  a: {image: nginx, networks: [n], secrets: [s], volumes: ['data:/d']}\n"
        "networks: {n: }\nsecrets: {s: {file: f}}\nvolumes: {data: }\n",
        tmp_path,
    )

    b, a = stack.services
    assert (b.name, b.labels, b.task.container.labels, b.task.networks) == ("b", {}, {}, ())
    assert a.task.networks == (NetworkAttachmentConfig("n"),)
    assert a.task.container.secrets[0].name == "s"
    assert a.task.container.mounts[0].source == "data"
    assert stack.networks == (NetworkSpec("n"),)
    assert [s.name for s in stack.secrets] == ["s"]


def test_problems_have_the_lines_of_the_scenario() -> None:
    found = wrong("services:\n  a:\n    image: a b\n    networks:\n    - n\n  b: {image: i, deploy: {mode: x}}\n")

    assert [(p.file, p.line) for p in found] == [("s.yaml", 3), ("s.yaml", 4), ("s.yaml", 6)]


def test_words_of_python_will_do() -> None:
    """Tuples, paths and numbers of other kinds, as a notebook may have them."""
    sections = {"services": {"a": {"image": "i", "command": ("x", "y"), "working_dir": PurePosixPath("/w")}}}

    (spec,) = load_inline(sections, file="<notebook>", base=Path(), env={}).services

    assert (spec.task.container.args, spec.task.container.dir) == (("x", "y"), "/w")


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", lambda: 1])
def test_words_that_mean_nothing(value: Any) -> None:
    with pytest.raises(ScenarioError, match="means nothing here"):
        load_inline({"services": {"a": {"image": value}}}, file="<notebook>", base=Path(), env={})


def test_words_that_contain_themselves() -> None:
    endless: dict[str, Any] = {}
    endless["services"] = endless

    with pytest.raises(ScenarioError, match="levels deep"):
        load_inline(endless, file="<notebook>", base=Path(), env={})


# ---- x-sim -----------------------------------------------------------------------------------------------


def test_x_sim_says_how_containers_behave() -> None:
    (spec,) = inline(
        "services:\n  a:\n    image: i\n"
        "    x-sim: {pull: 1s..3s, start: 200ms, stop: 1m, run: 5s..6s, exit: 3, on_stop: complete, fail: start}\n"
    ).services

    assert spec.task.container.behaviour == ContainerBehaviour(
        (1_000_000, 3_000_000),
        (200_000, 200_000),
        (60_000_000, 60_000_000),
        (5_000_000, 6_000_000),
        3,
        "complete",
        fail="start",
    )


def test_without_x_sim_the_defaults_hold() -> None:
    (spec,) = inline("services: {a: {image: i, x-sim: }}\n").services

    assert spec.task.container.behaviour == ContainerBehaviour(
        (2_000_000, 2_000_000), (500_000, 500_000), (500_000, 500_000), None, 0, "shutdown"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("{pul: 1s}", "unknown key `pul` in `x-sim`; did you mean `pull`?"),
        ("{'start:1s': }", "unknown key `start:1s` in `x-sim`; a space is missing after the colon"),
        ("{foo: 1}", "unknown key `foo` in `x-sim`; its keys are pull, start, stop, health, run, exit, on_stop, fail"),
        ("{pull: 5}", "`x-sim`: `pull`: `5` has no unit; write 5s"),
        ("{pull: 3s..1s}", "`x-sim`: `pull`: `3s..1s` is backwards; write 1s..3s"),
        ("{exit: 300}", "`x-sim`: `exit`: `300` is no exit code; write a whole number from 0 to 255"),
        ("{on_stop: crash}", "`x-sim`: `on_stop`: `crash` is not possible; write shutdown or complete"),
        ("{fail: stop}", "`x-sim`: `fail`: `stop` is not possible; write pull, start or none"),
        ("[1]", "`x-sim` must be a mapping, not a list; write x-sim: {start: 200ms}"),
    ],
)
def test_a_mistake_in_x_sim(words: str, said: str) -> None:
    (found,) = wrong(f"services:\n  a:\n    image: i\n    x-sim: {words}\n")

    assert found.line == 4
    assert found.text.startswith(said)


def test_other_extensions_are_ignored() -> None:
    assert inline("services: {a: {image: i, x-other: {anything: [1]}}}\n").warnings == []


# ---- laid over a stack -----------------------------------------------------------------------------------


def over(folder: Path, stack: str, overlay: str, env: Mapping[str, str] | None = None) -> Stack:
    (folder / "shop.yml").write_text(stack)
    sections, lines = parse_yaml(overlay, file="s.yaml")
    return load_stack(
        [str(folder / "shop.yml")],
        name="shop",
        env=env or {},
        overlay=sections,
        file=str(folder / "s.yaml"),
        lines=line_in(lines),
    )


def test_a_scenario_is_laid_over_its_stack_as_a_second_file(tmp_path: Path) -> None:
    """A stack file stays untouched and still gets an x-sim, whatever its version."""
    stack = over(
        tmp_path,
        'version: "3.3"\nservices: {web: {image: nginx, deploy: {replicas: 2}}}\n',
        "services:\n  web: {x-sim: {start: 1s}, deploy: {placement: {max_replicas_per_node: 1}}}\n  more: {image: i}\n",
    )

    web, more = stack.services
    assert (web.name, more.name) == ("shop_web", "shop_more")
    assert web.mode == Replicated(2)
    assert web.task.container.behaviour.start == (1_000_000, 1_000_000)
    assert web.task.placement is not None
    assert web.task.placement.max_replicas == 1


def test_a_misspelt_service_of_the_overlay(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as error:
        over(tmp_path, "services: {web: {image: nginx}}\n", "services:\n  wbe: {x-sim: {start: 1s}}\n")

    (found,) = error.value.problems
    assert (Path(found.file).name, found.line) == ("s.yaml", 2)
    assert found.text.startswith("invalid image reference for service wbe: no image specified; ")
    assert "did you mean web?" in found.text


def test_side_files_of_the_overlay_lie_beside_the_scenario(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "shop.yml").write_text("services: {web: {image: nginx}}\n")
    (tmp_path / "a.env").write_text("A=1\n")

    stack = load_stack(
        [str(tmp_path / "sub" / "shop.yml")],
        name="shop",
        env={},
        overlay={"services": {"web": {"env_file": "a.env"}}, "configs": {"c": {"file": "a.env"}}},
        file=str(tmp_path / "s.yaml"),
    )

    assert stack.services[0].task.container.env == ("A=1",)
    assert stack.configs[0].data == b"A=1\n"


# ---- updates ---------------------------------------------------------------------------------------------

WEB = "services: {web: {image: 'nginx:1', command: run, deploy: {replicas: 3, labels: {a: 1}}}}\n"


def test_an_update_is_merged_over_what_the_file_says() -> None:
    stack = inline(WEB)

    spec = stack.update("web", {"image": "nginx:2", "deploy": {"restart_policy": {"condition": "none"}}})

    assert spec.task.container.image == "nginx:2"
    assert spec.task.container.args == ("run",)
    assert (spec.mode, spec.labels) == (Replicated(3), {"a": "1"})
    assert spec.task.restart == RestartPolicy(RestartCondition.NONE)
    assert stack.services[0].task.container.image == "nginx:1"


def test_an_update_of_a_stacks_service(tmp_path: Path) -> None:
    (tmp_path / "shop.yml").write_text(WEB)
    stack = load_stack([str(tmp_path / "shop.yml")], name="shop", env={"TAG": "3"})

    spec = stack.update("shop_web", {"image": "nginx:$TAG"})

    assert spec.name == "shop_web"
    assert spec.task.container.image == "nginx:3"
    assert spec.labels["com.docker.stack.image"] == "nginx:3"


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ({"imgae": "x"}, "services.web Additional property imgae is not allowed; did you mean image?"),
        ({"deploy": {"replicas": "2"}}, "services.web.deploy.replicas must be a integer"),
        ({"networks": ["n"]}, 'service web: undefined network "n"'),
        ({"image": "a b"}, "invalid image reference for service web"),
        ({"x-sim": {"pul": "1s"}}, "did you mean `pull`?"),
        ({"command": "'"}, "EOF found when expecting closing quote"),
    ],
)
def test_a_mistake_in_an_update(patch: dict[str, Any], said: str) -> None:
    stack = inline(WEB)

    for _ in range(2):  # nothing of the first is left
        with pytest.raises(ScenarioError) as error:
            stack.update("web", patch)
        (found,) = error.value.problems
        assert said in found.text
    assert stack.update("web", {"image": "nginx:2"}).task.container.image == "nginx:2"


def test_an_update_warns_of_its_variables() -> None:
    stack = inline(WEB)

    stack.update("web", {"user": "x$NOBODY"})
    stack.update("web", {"user": "x$NOBODY"})

    assert len(stack.warnings) == 1
    assert "variable NOBODY is not set" in stack.warnings[0]


def test_an_update_of_nobody() -> None:
    with pytest.raises(ScenarioError, match="unknown service `wbe`"):
        inline(WEB).update("wbe", {"image": "i"})
