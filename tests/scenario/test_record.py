"""The recording that a run writes (`--record`), in the form of those of a real cluster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import swarmsim
from swarmsim.scenario import record

Row = dict[str, Any]


def recorded(tmp_path: Path, text: str) -> list[Row]:
    path = tmp_path / "some.yaml"
    path.write_text(text)
    result = swarmsim.run(str(path), 1)
    return [json.loads(line) for line in record.lines(result.trace, "some")]


JOB = """
duration: 6s
cluster: {managers: 1, workers: 1}
services:
  once:
    image: i
    deploy: {mode: replicated-job, replicas: 1, restart_policy: {condition: none}}
    x-sim: {pull: 0s, start: 0s, run: 1s}
"""


def test_a_task_keeps_its_id_when_it_gets_a_node(tmp_path: Path) -> None:
    """Slot 0 of a job: a line's id is that of the first one, `once.#1`."""
    found = [row for row in recorded(tmp_path, JOB) if row["ev"] == "task"]

    assert {row["id"] for row in found} == {"once.#1"}
    assert found[-1]["state"] == "COMPLETE"


ROLES = """
duration: 30s
cluster: {managers: 3, workers: 1}
timeline:
  - {at: 1s, join: w9}
  - {at: 5s, demote: m3}
"""


def test_a_renewed_certificate_is_news_and_a_newcomers_first_is_not(tmp_path: Path) -> None:
    rows = [row for row in recorded(tmp_path, ROLES) if row["ev"] == "node"]

    assert [(r["action"], r["state"], r["cert"]) for r in rows if r["node"] == "w9"] == [
        ("CREATE", "UNKNOWN", "PENDING"),
        ("UPDATE", "READY", "ISSUED"),
    ]
    demoted = [(r["role"], r["desired_role"], r["cert"]) for r in rows if r["node"] == "m3"]
    assert demoted[0] == ("MANAGER", "WORKER", "ISSUED")
    assert demoted[-2:] == [("WORKER", "WORKER", "RENEW"), ("WORKER", "WORKER", "ISSUED")]


def test_marks_stand_before_what_they_cause(tmp_path: Path) -> None:
    rows = recorded(tmp_path, ROLES)

    assert rows[0]["ev"] == "start"
    assert [r["what"] for r in rows if r["ev"] == "mark"] == ["join", "demote", "end"]
    at = next(i for i, r in enumerate(rows) if r.get("what") == "demote")
    assert rows[at + 1]["desired_role"] == "WORKER"
