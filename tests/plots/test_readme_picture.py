"""docs/worker-crash.svg, the picture at the top of the README, shows the run that `make demo` makes today."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import swarmsim

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs" / "worker-crash.svg"
TITLE = "{http://www.w3.org/2000/svg}title"


def test_the_readme_picture_is_of_todays_run(request: pytest.FixtureRequest) -> None:
    """The picture names the digest of its run, and so does `make demo`. `pytest --rewrite` draws it anew."""
    result = swarmsim.run(str(ROOT / "scenarios" / "worker-crash.yaml"), seed=1)
    if request.config.getoption("--rewrite"):
        result.plot(PICTURE)

    title = ET.parse(PICTURE).getroot().findtext(TITLE) or ""

    assert "PASS" in title
    assert result.digest[:12] in title, f"{PICTURE.name} is stale; write it again with pytest --rewrite"


def test_the_readme_picture_is_small_and_shown_by_the_readme() -> None:
    assert PICTURE.stat().st_size < 150_000
    assert "](docs/worker-crash.svg)" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_a_real_run_gives_the_same_picture_twice() -> None:
    first, second = io.BytesIO(), io.BytesIO()

    for out in (first, second):
        swarmsim.run(str(ROOT / "scenarios" / "worker-crash.yaml"), seed=3).plot().savefig(out, format="svg")

    assert first.getvalue() == second.getvalue()
