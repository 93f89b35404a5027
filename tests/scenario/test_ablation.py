"""What each rule is for: its scenario in `scenarios/ablation` shows it without the rule, and does not with it."""

from __future__ import annotations

from pathlib import Path

import pytest

import swarmsim
from swarmsim.ablation import NOT_SHOWN, PARTS, RULES, without
from swarmsim.errors import ScenarioError
from swarmsim.manager.dispatcher import Dispatcher
from swarmsim.manager.orchestrator.replicated import ReplicatedOrchestrator
from swarmsim.raft import RawNode
from swarmsim.raft.ablation import RULES as RAFT_RULES
from swarmsim.scenario.loader import Scenario, load

FOLDER = Path(__file__).parents[2] / "scenarios" / "ablation"
FILES = sorted(FOLDER.glob("*.yaml"))
SEEDS = (1, 2, 3)

by_file = pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])


def failed(scenario: Scenario, seed: int) -> list[str]:
    """The verdicts that are FAIL."""
    return [verdict.name for verdict in swarmsim.run(scenario, seed).verdicts if str(verdict.state) == "FAIL"]


@by_file
def test_without_the_rule_it_shows(file: Path) -> None:
    scenario = load(file)

    results = {seed: swarmsim.run(scenario, seed).state for seed in SEEDS}

    assert results == dict.fromkeys(SEEDS, "PASS")


@by_file
def test_with_the_rule_it_does_not(file: Path) -> None:
    """Only that one rule is put in force; a scenario may leave others off, to have the stage to itself."""
    scenario = load(file)
    scenario.without = tuple(rule for rule in scenario.without if rule != file.stem)

    shown = [seed for seed in SEEDS[:2] if not failed(scenario, seed)]

    assert not shown


@by_file
def test_scenario_is_named_after_the_rule_that_it_leaves_off(file: Path) -> None:
    assert file.stem in load(file).without


def test_every_rule_has_a_scenario_or_a_reason_why_not() -> None:
    shown = {file.stem for file in FILES}

    assert shown | set(NOT_SHOWN) == set(RULES)
    assert not shown & set(NOT_SHOWN)


@pytest.mark.parametrize("name", [name for name in RULES if name not in RAFT_RULES])
def test_override_replaces_something_that_its_class_has(name: str) -> None:
    """A rule whose method was renamed would be switched off in vain."""
    override = RULES[name].override
    own = [key for key in vars(override) if not key.startswith("__")]

    assert own
    assert all(hasattr(override.__mro__[1], key) for key in own)


def test_parts_are_classes_that_their_owner_names() -> None:
    for owner, attributes in PARTS.items():
        for attribute in attributes:
            assert isinstance(getattr(owner, attribute), type)


def test_class_that_no_rule_concerns_is_itself() -> None:
    assert without(Dispatcher, ["restart-delay", "one-vote"]) is Dispatcher
    assert without(RawNode, []) is RawNode


def test_rules_of_one_class_and_of_its_parts_go_together() -> None:
    made = without(ReplicatedOrchestrator, ["restart-delay", "stop-before-start", "one-task-per-slot", "dirty-slots"])

    assert issubclass(made, RULES["one-task-per-slot"].override)
    assert issubclass(made.restart_supervisor, RULES["restart-delay"].override)
    assert issubclass(made.restart_supervisor, RULES["stop-before-start"].override)
    assert made.updater is not ReplicatedOrchestrator.updater


# -- the word --
def test_scenario_in_python_takes_it_as_the_file_does() -> None:
    scenario = swarmsim.Scenario(cluster={"managers": 1}, without=["orphaning"])

    assert scenario.without == ("orphaning",)


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        (["orphanin"], "`without`: there is no rule `orphanin`; did you mean `orphaning`?"),
        (["xyzzy"], "`without`: there is no rule `xyzzy`; `swarmsim list rules` has them all"),
        ([3], "`without`: there is no rule `3`"),
        ("orphaning", "`without` must be a list of rules, not `orphaning`; write without: [orphaning]"),
        (None, "`without` must be a list of rules, not nothing"),
        (["debounce", "debounce"], "`without`: `debounce` stands there twice"),
    ],
)
def test_mistakes_are_told(rules: object, text: str) -> None:
    with pytest.raises(ScenarioError) as error:
        swarmsim.Scenario(cluster={"managers": 1}, without=rules)

    assert text in str(error.value)


def test_same_seed_gives_the_same_run_with_rules_off() -> None:
    scenario = load(FOLDER / "one-task-per-slot.yaml")

    assert swarmsim.run(scenario, 5).digest == swarmsim.run(scenario, 5).digest


# -- incidents: what upstream mended is mended by the rule that is a quirk --
INCIDENTS = FOLDER.parent / "incidents"


@pytest.mark.parametrize(
    ("file", "quirk"),
    [
        ("moby-53632-jobs-run-twice", "jobs-outlive-leadership"),
        ("swarmkit-1296-piled-up", "unlevelled-batches"),
    ],
)
def test_incident_does_not_happen_with_the_fix(file: str, quirk: str) -> None:
    scenario = load(INCIDENTS / f"{file}.yaml")
    scenario.without = (quirk,)

    assert all(failed(scenario, seed) for seed in SEEDS)


def test_incident_of_stale_tasks_never_ends_without_orphaning() -> None:
    scenario = load(INCIDENTS / "moby-31999-stale-running.yaml")
    scenario.without = ("orphaning",)

    assert failed(scenario, seed=1)


@pytest.mark.parametrize("file", sorted(INCIDENTS.glob("*.yaml")), ids=lambda file: file.stem)
def test_incident_is_told_as_it_was(file: Path) -> None:
    results = {seed: swarmsim.run(load(file), seed).state for seed in SEEDS}

    assert results == dict.fromkeys(SEEDS, "PASS")
