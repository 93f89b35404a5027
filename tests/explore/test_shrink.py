"""A scenario that fails, made smaller (`swarmsim.explore.shrink`, `swarmsim shrink`)."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import swarmsim
from swarmsim import cli
from swarmsim.errors import ScenarioError
from swarmsim.explore.shrink import as_file, cuts, failure, left, shrink
from swarmsim.scenario.loader import load

#: Who waits for `web` waits for the restart delay; all else is idle.
WORDS: dict[str, Any] = {
    "cluster": {"managers": 3, "workers": 4, "network": {"latency": "200us..2ms"}},
    "services": {
        "db": {"image": "postgres:16"},
        "web": {"image": "nginx:1.27", "deploy": {"replicas": 4}},
    },
    "timeline": [
        {"at": "steady + 2s", "scale": "db", "replicas": 2},
        {"at": "steady + 5s", "crash": "one of workers", "for": "30s", "name": "boom"},
        {"at": "boom + 2s", "partition": "m3", "for": "1s"},
        {"at": "boom + 40s", "drain": "w2"},
    ],
    "expect": [{"service": "web", "running": 4, "within": "12s", "after": "boom"}, {"service": "db", "running": 2}],
}


def test_what_the_failure_does_not_need_is_left_out() -> None:
    found = shrink(swarmsim.Scenario(**WORDS), 3)

    assert found is not None
    assert found.words["timeline"] == [WORDS["timeline"][1]]
    assert found.words["expect"] == [WORDS["expect"][0]]
    assert list(found.words["services"]) == ["web"]
    assert found.words["cluster"] == {"managers": 1, "workers": 1}


def test_it_fails_in_the_same_way_and_nothing_more_can_be_left_out() -> None:
    scenario = swarmsim.Scenario(**WORDS)
    wanted = failure(swarmsim.run(scenario, 3))

    found = shrink(scenario, 3)

    assert found is not None
    assert wanted == ("FAIL", "web running 4 within 12s after boom", "only after # s")
    assert failure(found.result) == wanted
    for words in cuts(found.words):
        with suppress(ScenarioError):  # something refers to what was left out
            assert failure(swarmsim.run(swarmsim.Scenario(**words), 3)) != wanted


def test_a_scenario_that_passes_is_not_made_smaller() -> None:
    assert shrink(swarmsim.Scenario(cluster={"managers": 1}), 1) is None


def test_progress_is_told() -> None:
    told: list[tuple[int, int]] = []

    found = shrink(swarmsim.Scenario(**WORDS), 3, lambda runs, entries: told.append((runs, entries)))

    assert found is not None
    assert [runs for runs, _ in told] == list(range(2, found.runs + 1))
    assert told[-1][1] == 1


def test_its_file_says_the_same(tmp_path: Path) -> None:
    """Texts that YAML would read as something else stand in quotes."""
    odd = {
        "services": {
            "web": {"image": "nginx:1.27", "command": ["yes", "a: b", "5", "{x}", "# no"], "labels": {"on": "off"}}
        }
    }
    words = {**WORDS, **odd, "timeline": [], "expect": [], "seed": 7}
    file = tmp_path / "small.yaml"

    file.write_text(as_file(words, ["Question: is it?"]))
    read = load(file)

    assert read.words == {key: value for key, value in words.items() if value != []}
    assert read.question == "is it?"


def test_it_says_what_is_left() -> None:
    smaller = {**WORDS, "timeline": WORDS["timeline"][:1], "services": {}, "cluster": {"managers": ["a"]}}

    assert left(WORDS, smaller) == "1 of 4 entries, 2 of 2 expectations, 0 of 2 services, 1 of 7 nodes are left"


# ---- the command -----------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("big.yaml").write_text(as_file(WORDS, ["Question: is web back soon?"]))
    return Path("big.yaml")


def test_the_command_writes_a_scenario_that_fails_by_itself(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["shrink", "big.yaml", "--seed", "3"]) == 0
    out = capsys.readouterr().out.splitlines()

    assert out[0].startswith("FAIL     web running 4 within 12s after boom: only after ")
    assert out[1].startswith("big.small.yaml written after ")
    assert out[2] == "again: swarmsim run big.small.yaml --seed 3"
    assert cli.main(["test", "big.small.yaml"]) == 1, "its seed stands in it"
    assert load("big.small.yaml").question == "is web back soon?"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fine.yaml"], "fine.yaml: passes under seed 1; write --seed and one under which it fails"),
        (["big.yaml", "--out", "fine.yaml"], "fine.yaml: is there already, and is not overwritten"),
        (["big.yaml", "--out", "fine.yaml/x.yaml"], "fine.yaml/x.yaml: cannot be written"),
        (["nowhere.yaml"], "nowhere.yaml: no such file"),
    ],
)
def test_mistakes_are_told(file: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    Path("fine.yaml").write_text("cluster: {managers: 1}\n")

    assert cli.main(["shrink", *arguments]) == 2
    assert said in capsys.readouterr().err
