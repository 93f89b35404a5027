"""Some seven hundred short files: what the real client refuses we refuse, in its words; what it takes we take.

The neighbours of the cases S-…: every key of a service, of `deploy` and of the top in its short, long, odd and broken
forms; versions; variables; YAML. `recorded/fragments.json` holds what Docker's client 28.2.2 said; that the specs are
equal is tested where there is such a client (test_real_client.py).
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from swarmsim.compose import load_stack
from swarmsim.errors import ScenarioError
from tests.compose.real_client import FRAGMENT_ENV, fragments, side_files

FRAGMENTS = fragments()
#: What the client lets pass and the daemon refuses: a mistake in a file all the same.
DAEMON = ("unrecognized update", "RestartCondition", "resolution mode", "of a port", "The network")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return side_files(tmp_path_factory.mktemp("fragments") / "stacks")


def refusals(text: str, folder: Path) -> list[str]:
    """What is wrong with the file, as far as it is the client's to say."""
    file = folder / "f.yml"
    file.write_text(text)
    try:
        load_stack([str(file)], name="st", env=FRAGMENT_ENV)
    except ScenarioError as error:
        return [p.text for p in error.problems if not any(words in p.text for words in DAEMON)]
    return []


def test_there_are_many_of_both_kinds() -> None:
    refused = sum(bool(fragment["said"]) for fragment in FRAGMENTS)

    assert len(FRAGMENTS) > 700
    assert 250 < refused < 450


@pytest.mark.parametrize("index", range(len(FRAGMENTS)))
def test_a_fragment_is_judged_as_by_the_real_client(index: int, folder: Path) -> None:
    fragment = FRAGMENTS[index]

    texts = refusals(fragment["text"], folder)

    if not fragment["said"]:
        assert texts == []
    else:
        said = re.sub(r"\s+", " ", fragment["said"])
        assert any(re.sub(r"\s+", " ", text).split(";")[0].split(": ")[-1].strip() in said for text in texts), texts
