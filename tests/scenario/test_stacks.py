"""Twelve stack files in the forms that public ones have: deployed on 3 managers and 5 workers, and a worker dies.

The files are those of tests/compose/stacks. Each gets the labels, host names and variables that it needs; what then
converges does so again after the crash, and what cannot says why in the scheduler's words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import swarmsim
from swarmsim.trace.events import ContainerExited, ServiceChanged, TaskNotPlaced

STACKS = Path(__file__).parent.parent / "compose" / "stacks"


@dataclass
class Needs:
    """What a stack asks of its cluster; `pending`: service -> why it cannot be placed on this one."""

    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    workers: Any = 5
    env: Mapping[str, str] = field(default_factory=dict)
    pending: Mapping[str, str] = field(default_factory=dict)


NEEDS = {
    "batch": Needs(pending={"batch_train": "insufficient resources on 8 nodes"}),
    "blog": Needs({"w2": {"database": "true"}}),
    "ci": Needs(
        {"w2": {"db": "true"}, "w3..w4": {"builder": "true"}},
        env={"FORGE_TAG": "1.2", "FORGE_HOST": "forge.example.com", "RUNNER_TAG": "3"},
    ),
    "edge": Needs(
        {"m1": {"edge.certificates": "true"}, "m2": {"edge.panel-data": "true"}},
        env={"HASHED_PASSWORD": "x", "DOMAIN": "example.com", "EMAIL": "a@example.com", "USERNAME": "admin"},
    ),
    "events": Needs({"w2": {"broker": "1"}, "w3": {"broker": "2"}, "w4": {"broker": "3"}}),
    "legacy": Needs(),
    "logs": Needs(
        workers=["w1", "w5", "log-1", "log-2", "log-3"], env={"ELASTIC_VERSION": "8.13.0", "SHIPPING_VERSION": "8"}
    ),
    "monitoring": Needs({"w2": {"disk": "ssd"}}, env={"ADMIN_USER": "admin"}),
    "polls": Needs(),
    "relay": Needs({"w1..w2": {"rack": "a"}, "w3..w5": {"rack": "b"}}),
    "watch": Needs({"w2": {"disk": "ssd"}}, env={"BOARD_VERSION": "10", "HOST": "example.com"}),
    "shop": Needs({"w2..w5": {"storage": "true"}}, env={"SHOP_TAG": "2.1"}),
}


def deployed(name: str) -> swarmsim.Result:
    needs = NEEDS[name]
    scenario = swarmsim.Scenario(
        cluster={"managers": 3, "workers": needs.workers, "nodes": {k: {"labels": v} for k, v in needs.labels.items()}},
        stack={"file": str(STACKS / f"{name}.yml"), "name": name, "stand_in": True},
        env=dict(needs.env),
        timeline=[{"at": "60s", "crash": "w1", "for": "40s"}],
        duration="240s",
    )
    return swarmsim.run(scenario, seed=1)


def test_there_are_a_dozen_from_four_services_to_thirty_four() -> None:
    assert sorted(NEEDS) == sorted(p.stem for p in STACKS.glob("*.yml") if not p.stem.endswith(".override"))
    sizes = [len(swarmsim.Scenario(cluster={"managers": 1}, **_stack(name)).services) for name in NEEDS]
    assert (min(sizes), max(sizes)) == (4, 34)


def _stack(name: str) -> dict[str, Any]:
    return {
        "stack": {"file": str(STACKS / f"{name}.yml"), "name": name, "stand_in": True},
        "env": dict(NEEDS[name].env),
    }


@pytest.mark.parametrize("name", NEEDS)
def test_a_stack_survives_the_loss_of_a_worker_or_says_what_it_lacks(name: str) -> None:
    pending = NEEDS[name].pending

    result = deployed(name)

    created = {r.event.service for r in result.trace.of(ServiceChanged)}
    assert len(created) == len(result.scenario.services)
    unplaced = {r.event.name.rpartition(".")[0]: r.event.explanation for r in result.trace.of(TaskNotPlaced)}
    for service, why in pending.items():
        assert why in unplaced[service]
    for verdict in result.verdicts:
        if verdict.name == "convergence" and pending:
            assert str(verdict.state) == "FAIL"
            reasons = [line for line in (verdict.seen, *verdict.details) if "PENDING" in line]
            assert all(any(service in line for service in pending) for line in reasons)
        else:
            assert verdict.passed, f"{verdict}\n{verdict.details}"


def test_the_crash_hits_something() -> None:
    """The test can fail: containers did run on the worker that dies."""
    hit = [name for name in NEEDS if any(r.event.why == "crash" for r in deployed(name).trace.of(ContainerExited))]

    assert len(hit) >= 8
