"""Against Docker's own client, where this machine has one: what it refuses we refuse, what it sends we make.

`recorded/` holds its answers for the stacks of this folder on any machine (test_stacks.py).
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from swarmsim.compose import load_stack
from swarmsim.errors import ScenarioError
from tests.compose import received
from tests.compose.mutants import PATHS, WHOLE
from tests.compose.real_client import FRAGMENT_ENV, FRAGMENT_THERE, Manager, fragments, side_files, version
from tests.compose.real_stack import AGAIN, record

pytestmark = pytest.mark.skipif(not version().startswith("28."), reason="no docker client of version 28 here")

#: What the client lets pass and the daemon refuses, and what is taken to be there: not the client's to say.
_OURS = ("unrecognized update", "RestartCondition", "resolution mode", "of a port", "The network", "x-sim")
_JUNK = [
    None,
    True,
    0,
    -1,
    1.5,
    "",
    "a",
    "5",
    "10s",
    "1d",
    "50M",
    "80:80",
    "data:/d",
    "${X}",
    "${",
    [],
    {},
    ["a"],
    {"a": 1},
]


@pytest.fixture(scope="module")
def manager() -> Iterator[Manager]:
    with Manager() as found:
        yield found


def mutant(seed: int) -> Any:
    """One place of a file with nearly every key is replaced or removed; half of its services' keys are left out."""
    dice = random.Random(seed)
    data = json.loads(json.dumps(WHOLE))
    for body in data["services"].values():
        body.pop("x-sim", None)
        for key in [k for k in body if k != "image" and dice.random() < 0.5]:
            del body[key]
    owner = data
    path = dice.choice(PATHS)
    try:
        for step in path[:-1]:
            owner = owner[step]
        if dice.random() < 0.7:
            owner[path[-1]] = dice.choice(_JUNK)
        else:
            del owner[path[-1]]
    except (KeyError, IndexError, TypeError):
        pass
    return data


@pytest.mark.parametrize("seed", range(60))
def test_a_mutant(seed: int, manager: Manager, tmp_path: Path) -> None:
    (tmp_path / "none.env").write_text("A=1\n")
    (tmp_path / "f").write_text("x")
    file = tmp_path / "f.yml"
    file.write_text(json.dumps(mutant(seed)))

    real = manager.deploy([file], "st", {"X": "x"}, there=["backend", "e"])
    try:
        stack = load_stack([str(file)], name="st", env={"X": "x"})
    except ScenarioError as error:
        texts = [p.text for p in error.problems]
        if real.code == 0:
            assert all(any(ours in text for ours in _OURS) for text in texts), texts
        else:
            assert any(text.split(";")[0].split(": ")[-1] in real.said for text in texts), (real.said, texts)
        return

    assert real.code == 0, real.said
    made = sorted(stack.services, key=lambda spec: spec.name)
    assert made == [received.service(body, tmp_path) for body in real.created["services"]]
    assert sorted(n.name for n in stack.networks if n.labels) == [n["Name"] for n in real.created["networks"]]


ACCEPTED = [fragment["text"] for fragment in fragments() if not fragment["said"]]


@pytest.mark.parametrize("index", range(0, len(ACCEPTED), 8))
def test_what_it_sends_for_a_fragment(index: int, manager: Manager, tmp_path: Path) -> None:
    """Every eighth of them, for each is a process; what the daemon refuses is an error of the file here."""
    folder = side_files(tmp_path / "stacks")
    file = folder / "f.yml"
    file.write_text(ACCEPTED[index])
    try:
        stack = load_stack([str(file)], name="st", env=FRAGMENT_ENV)
    except ScenarioError as error:
        assert all(any(ours in p.text for ours in _OURS) for p in error.problems), error
        return

    real = manager.deploy([file], "st", FRAGMENT_ENV, FRAGMENT_THERE)

    assert real.code == 0, real.said
    sent = [received.service(body, folder) for body in real.created["services"]]
    assert sorted(stack.services, key=lambda spec: spec.name) == sent
    for kind, made, receive in (
        ("network", stack.networks, received.network),
        ("secret", stack.secrets, received.secret),
        ("config", stack.configs, received.config),
    ):
        own = [spec for spec in made if spec.name not in stack.external[kind]]
        assert sorted(own, key=lambda spec: spec.name) == [receive(body) for body in real.created[f"{kind}s"]]


def test_a_stack_deployed_again_and_removed() -> None:
    """S-050: what was recorded is what it says; services come in random order, and so do their ids."""
    recorded = json.loads(AGAIN.read_text())

    for now, then in zip(record(), recorded, strict=True):
        assert unordered(now) == unordered(then)


def unordered(done: dict[str, Any]) -> Any:
    return [done["code"], *(sorted(re.sub(r"id: [^)]*", "id", line) for line in done[key]) for key in ("out", "err"))]
