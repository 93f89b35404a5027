"""The pictures of the README show runs of today: `make demo`'s, and the Raft paper's Figure 8."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import swarmsim

ROOT = Path(__file__).parents[2]
PICTURES = {"worker-crash.svg": "worker-crash.yaml", "figure-8.svg": "ablation/commit-own-term.yaml"}
TITLE = "{http://www.w3.org/2000/svg}title"

each_picture = pytest.mark.parametrize("name", PICTURES)


@each_picture
def test_a_readme_picture_is_of_todays_run(name: str, request: pytest.FixtureRequest) -> None:
    """The picture names the digest of its run, and so does the command. `pytest --rewrite` draws it anew."""
    picture = ROOT / "docs" / name
    result = swarmsim.run(str(ROOT / "scenarios" / PICTURES[name]), seed=1)
    if request.config.getoption("--rewrite"):
        result.plot(picture)

    title = ET.parse(picture).getroot().findtext(TITLE) or ""

    assert "PASS" in title
    assert result.digest[:12] in title, f"{name} is stale; write it again with pytest --rewrite"


@each_picture
def test_a_readme_picture_is_small_and_shown_by_the_readme(name: str) -> None:
    assert (ROOT / "docs" / name).stat().st_size < 200_000
    assert f"](docs/{name})" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_a_real_run_gives_the_same_picture_twice() -> None:
    first, second = io.BytesIO(), io.BytesIO()

    for out in (first, second):
        swarmsim.run(str(ROOT / "scenarios" / "worker-crash.yaml"), seed=3).plot().savefig(out, format="svg")

    assert first.getvalue() == second.getvalue()
