"""What stands above the panels: the scenario's question, and by what one knows the run again."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from swarmsim.plots import save_run_figure
from swarmsim.plots.run_figure import heading

from .story import us, worker_crash


def result(*states: str, question: str = "are the replicas restored?") -> Any:
    trace = worker_crash()
    verdicts = [SimpleNamespace(name=f"check {i}", state=state, seen="so") for i, state in enumerate(states)]
    state = next((s for s in ("FAIL", "UNKNOWN") if s in states), "PASS")
    scenario = SimpleNamespace(name="worker-crash", question=question)
    return SimpleNamespace(
        scenario=scenario, seed=7, trace=trace, ended_at=us(60), state=state, verdicts=verdicts, digest=trace.digest()
    )


def test_the_title_is_the_question_and_below_it_name_seed_verdict_and_digest() -> None:
    run = result("PASS", "PASS")

    found = heading(run)

    assert found.question == "Are the replicas restored?"
    assert found.facts == ("worker-crash", "seed 7", "PASS", "2 of 2 checks passed", f"digest {run.digest[:12]}")
    assert found.reasons == ()


def test_without_a_question_the_name_is_the_title() -> None:
    assert heading(result("PASS", question="")).question == "worker-crash"


def test_what_did_not_pass_is_told_with_what_was_seen() -> None:
    found = heading(result("PASS", "FAIL", "UNKNOWN"))

    assert found.state == "FAIL"
    assert found.reasons == ("FAIL check 1: so", "UNKNOWN check 2: so")


def test_of_many_that_did_not_pass_the_first_are_told_and_the_rest_counted() -> None:
    figure = save_run_figure(result(*["FAIL"] * 9))

    said = [t.get_text() for t in figure.texts]

    assert said[-3:] == ["FAIL check 0: so", "FAIL check 1: so", "and 7 more that did not pass"]


def test_the_figure_is_saved_where_a_path_is_given(tmp_path: Path) -> None:
    path = tmp_path / "run.svg"

    figure = save_run_figure(result("PASS"), path)

    assert path.stat().st_size > 1000
    assert "60.0 s" in figure.said
