"""What operators see in `scenarios/situations`, step by step: states, their order and times, and messages."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import swarmsim
from swarmsim.scenario import record

FOLDER = Path(__file__).parents[2] / "scenarios" / "situations"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
SEEDS = (1, 2)

Row = dict[str, Any]


@cache
def run(name: str, seed: int) -> swarmsim.Result:
    return swarmsim.run(str(FOLDER / f"{name}.yaml"), seed)


@cache
def rows(name: str, seed: int) -> list[Row]:
    return [json.loads(line) for line in record.lines(run(name, seed).trace, name)]


def mark(name: str, seed: int, what: str, nth: int = 0) -> float:
    return [r["t"] for r in rows(name, seed) if r["ev"] == "mark" and r["what"] == what][nth]


def tasks(name: str, seed: int, since: float = 0.0, until: float = 1e9) -> list[Row]:
    return [r for r in rows(name, seed) if r["ev"] == "task" and since <= r["t"] < until]


def steps(name: str, seed: int, task: str) -> list[str]:
    """What a task went through: `OBSERVED/DESIRED`, `-` at its end."""
    mine = [r for r in tasks(name, seed) if r["id"] == task]
    return ["-" if r["action"] == "REMOVE" else f"{r['state']}/{r['desired']}" for r in mine]


def counts(found: list[Row]) -> Counter[str]:
    """How many tasks took which step."""
    return Counter(f"{r['state']}/{r['desired']}" for r in found if r["action"] != "REMOVE")


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", NAMES)
def test_a_situation_goes_as_its_file_says(name: str, seed: int) -> None:
    assert [(v.name, v.seen) for v in run(name, seed).verdicts if str(v.state) != "PASS"] == []


@pytest.mark.parametrize("seed", SEEDS)
def test_an_evicted_task_is_rejected_shut_down_and_followed_by_one_that_waits(seed: int) -> None:
    """Enforcer, then orchestrator; the successor is refused while it shall only be READY, and released to wait on."""
    name = "constraints-and-resources"
    since = mark(name, seed, "unlabel")
    found = tasks(name, seed, since, since + 8)

    assert steps(name, seed, "web.1#1")[-2:] == ["REJECTED/RUNNING", "REJECTED/SHUTDOWN"]
    assert steps(name, seed, "web.1#2")[:4] == ["NEW/READY", "PENDING/READY", "PENDING/READY", "PENDING/RUNNING"]
    rejected = [r for r in found if r["state"] == "REJECTED"]
    assert {(r["msg"], r["err"]) for r in rejected} == {
        ("task rejected by constraint enforcer", "assigned node no longer meets constraints")
    }
    released = [r["t"] - since for r in found if r["id"].endswith("#2") and r["desired"] == "RUNNING"]
    assert all(4.99 <= t < 5.1 for t in released), released


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_scaled_away_before_it_had_a_node_is_shut_down_by_the_scheduler(seed: int) -> None:
    name = "constraints-and-resources"
    since = mark(name, seed, "scale")
    gone = [r["id"] for r in tasks(name, seed, since, since + 1) if (r["state"], r["desired"]) == ("PENDING", "REMOVE")]

    assert len(gone) == 3
    for task in gone:
        assert steps(name, seed, task)[-3:] == ["PENDING/REMOVE", "SHUTDOWN/REMOVE", "-"]


@pytest.mark.parametrize("seed", SEEDS)
def test_start_first_wants_the_new_task_to_run_before_it_stops_the_old_one(seed: int) -> None:
    name = "start-first"
    found = tasks(name, seed, mark(name, seed, "update"))
    running = {r["slot"]: r["t"] for r in found if r["id"].endswith("#2") and r["state"] == "RUNNING"}
    stopping = {r["slot"]: r["t"] for r in found if r["id"].endswith("#1") and r["desired"] == "SHUTDOWN"}

    assert sorted(running) == [1, 2, 3, 4]
    assert all(0 < min(r["t"] for r in found if r["id"] == f"web.{s}#1") - running[s] < 0.01 for s in running)
    assert all(stopping[s] > running[s] for s in running)
    assert steps(name, seed, "web.2#2")[:3] == ["NEW/READY", "NEW/RUNNING", "PENDING/RUNNING"]
    gaps = [b - a for a, b in pairwise(sorted(running.values()))]
    assert all(1.15 <= gap <= 1.35 for gap in gaps), gaps  # the delay, and what a start takes


@pytest.mark.parametrize("seed", SEEDS)
def test_a_rollback_says_why_and_by_which_task(seed: int) -> None:
    name = "failed-update-rolled-back"
    said = [(r["update"], r["msg"]) for r in rows(name, seed) if r["ev"] == "service" and "update" in r]
    states = [state for state, _ in said]

    assert states == ["UPDATING", "ROLLBACK_STARTED", "ROLLBACK_COMPLETED"]
    assert said[0][1] == "update in progress"
    assert said[1][1].startswith("update rolled back due to failure or early termination of task ")
    assert said[2][1] == "rollback completed"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_task_without_an_image_is_rejected_while_it_prepares(seed: int) -> None:
    name = "failed-update-paused"
    rejected = [r for r in tasks(name, seed) if r["state"] == "REJECTED"]

    assert {(r["msg"], r["err"]) for r in rejected} == {("preparing", "No such image: nginx:typo")}
    update = [r for r in rows(name, seed) if r["ev"] == "service" and r.get("update") == "PAUSED"]
    assert len(update) == 1
    assert update[0]["msg"].startswith("update paused due to failure or early termination of task ")


@pytest.mark.parametrize("seed", SEEDS)
def test_a_rejected_successor_is_followed_when_its_delay_is_over_and_not_before(seed: int) -> None:
    """Restarts of a task that is rejected while it waits are a whole delay apart."""
    name = "failed-update-paused"
    slot = next(r["slot"] for r in tasks(name, seed) if r["state"] == "REJECTED")
    made = [r["t"] for r in tasks(name, seed) if r["slot"] == slot and r["action"] == "CREATE"][2:]

    assert len(made) >= 5
    assert all(1.99 <= b - a < 2.05 for a, b in pairwise(made)), made


@pytest.mark.parametrize("seed", SEEDS)
def test_what_stood_on_a_removed_node_is_orphaned_in_the_same_moment(seed: int) -> None:
    name = "node-removed"
    at = mark(name, seed, "remove-node", 2)
    orphaned = [r for r in tasks(name, seed, at) if r["state"] == "ORPHANED"]
    gone = next(r["t"] for r in rows(name, seed) if r["ev"] == "node" and r["t"] > at and r["action"] == "REMOVE")

    assert {r["t"] for r in orphaned if r["desired"] == "RUNNING"} == {gone}
    assert {r["msg"] for r in orphaned} == {"Task belonged to a node that has been deleted"}
    made = [r["t"] for r in tasks(name, seed, at) if r["action"] == "CREATE"]
    run_at = [r["t"] for r in tasks(name, seed, at) if (r["state"], r["desired"]) == ("READY", "RUNNING")]
    assert len(made) == len(run_at) == len(orphaned) // 2
    assert all(4.99 <= t - made[0] < 5.05 for t in run_at), run_at


@pytest.mark.parametrize("seed", SEEDS)
def test_a_node_that_is_down_when_it_is_removed_leaves_orphans_that_are_history(seed: int) -> None:
    name = "node-removed"
    at = mark(name, seed, "remove-node", 1)
    orphaned = [r for r in tasks(name, seed, at, at + 1) if r["state"] == "ORPHANED"]

    assert [r["desired"] for r in orphaned] == ["SHUTDOWN"] * 2
    assert not [r for r in tasks(name, seed, at, at + 1) if r["action"] == "CREATE"]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["quorum-lost", "leader-restarted", "leader-demoted"])
def test_under_a_new_leader_every_node_is_unknown_in_one_moment_and_ready_one_by_one(name: str, seed: int) -> None:
    found = [r for r in rows(name, seed) if r["ev"] == "node"]
    unknown = [r for r in found if r["state"] == "UNKNOWN"]
    moment = unknown[0]["t"]
    nodes = {r["node"] for r in unknown if r["t"] == moment}

    assert len(nodes) == (6 if name == "leader-restarted" else 5)
    assert {r["msg"] for r in unknown} == {'Node moved to "unknown" state due to leadership change in cluster'}
    last = {r["node"]: r for r in found}
    assert {last[node]["state"] for node in nodes} == {"READY"}
    assert all("msg" not in last[node] for node in nodes)
    assert tasks(name, seed, moment) == []  # no task is touched


@pytest.mark.parametrize("seed", SEEDS)
def test_a_demoted_leader_is_a_worker_before_it_has_its_new_certificate(seed: int) -> None:
    """Role manager, then CA: the certificate is for the observed role."""
    name = "leader-demoted"
    mine = [r for r in rows(name, seed) if r["ev"] == "node" and r["node"] == "m1"]
    until = mark(name, seed, "promote")
    roles = [(r["role"], r["desired_role"], r["cert"]) for r in mine if r["t"] < until]

    assert roles[0] == ("MANAGER", "WORKER", "ISSUED")
    assert roles[1] == ("MANAGER", "WORKER", "ISSUED")  # UNKNOWN, under the new leader
    assert roles[2] == ("WORKER", "WORKER", "ISSUED")
    assert ("WORKER", "WORKER", "RENEW") in roles[3:]
    assert roles[-1] == ("WORKER", "WORKER", "ISSUED")


@pytest.mark.parametrize("seed", SEEDS)
def test_a_host_port_makes_the_new_task_wait_for_the_old_ones_node(seed: int) -> None:
    """With a task on each node no other is free: it is refused once, and assigned where the old one has stopped."""
    name = "host-ports"
    at = mark(name, seed, "update")
    first = next(r["id"] for r in tasks(name, seed, at) if r["action"] == "CREATE")
    mine = [r for r in tasks(name, seed, at) if r["id"] == first]
    old = next(r for r in tasks(name, seed, at) if r["slot"] == mine[0]["slot"] and r["id"] != first)

    refused = [r["err"] for r in mine if "err" in r]
    assert set(refused) == {"no suitable node (host-mode port already in use on 4 nodes)"}
    assert next(r["node"] for r in mine if r["state"] == "ASSIGNED") == old["node"]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_scale_down_marks_the_surplus_in_one_moment_and_it_is_deleted_together(seed: int) -> None:
    name = "preferences"
    at = mark(name, seed, "scale", 1)
    found = tasks(name, seed, at)

    assert len({r["t"] for r in found if (r["state"], r["desired"]) == ("RUNNING", "REMOVE")}) == 1
    assert counts(found) == {"RUNNING/REMOVE": 8, "COMPLETE/REMOVE": 8}
    deleted = [r["t"] - at for r in found if r["action"] == "REMOVE"]
    assert len(deleted) == 8
    assert all(0.25 <= t < 0.6 for t in deleted), deleted
