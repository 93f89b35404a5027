"""The pages tell the truth: what they show as a scenario runs, and every word of the language stands in its page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import swarmsim
from swarmsim.scenario.physics import LinkWords, NetworkWords, RaftWords
from swarmsim.scenario.schema import ClusterWords
from swarmsim.scenario.words import KEYS_NOT_YET, VERBS, VERBS_NOT_YET

ROOT = Path(__file__).parents[2]
PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/SCENARIOS.md")}
LANGUAGE = PAGES["docs/SCENARIOS.md"]


def shown(page: str) -> list[str]:
    """The blocks that are whole scenarios: a cluster, and what happens in it or must hold."""
    blocks = re.findall(r"```yaml\n(.*?)```", PAGES[page], re.DOTALL)
    whole = [b for b in blocks if re.search(r"^cluster:", b, re.MULTILINE)]
    return [b for b in whole if re.search(r"^(timeline|expect):", b, re.MULTILINE)]


SCENARIOS = [(page, i, block) for page in PAGES for i, block in enumerate(shown(page))]


@pytest.mark.parametrize(("page", "nth", "block"), SCENARIOS, ids=[f"{page}-{i}" for page, i, _ in SCENARIOS])
def test_a_scenario_that_a_page_shows_passes(page: str, nth: int, block: str, tmp_path: Path) -> None:
    path = tmp_path / "shown.yaml"
    path.write_text(block, encoding="utf-8")

    assert swarmsim.run(swarmsim.load(path), seed=1).state == "PASS"


def test_both_pages_show_scenarios() -> None:
    assert {page for page, _, _ in SCENARIOS} == set(PAGES)


@pytest.mark.parametrize("word", [*VERBS, *VERBS_NOT_YET, *KEYS_NOT_YET])
def test_every_verb_and_every_reserved_word_is_in_the_language_s_page(word: str) -> None:
    assert f"`{word}`" in LANGUAGE or re.search(rf"`[^`\n]*\b{word}\b[^`\n]*`", LANGUAGE)


@pytest.mark.parametrize("verb", VERBS)
def test_every_setting_of_a_verb_is_in_the_language_s_page(verb: str) -> None:
    keys = [field.alias or name for name, field in VERBS[verb].model_fields.items() if name != verb]
    missing = [key for key in keys if not re.search(rf"\b{key}\b", LANGUAGE) and key != "patch"]

    assert not missing


@pytest.mark.parametrize("words", [ClusterWords, NetworkWords, LinkWords, RaftWords])
def test_every_key_of_the_cluster_is_in_the_language_s_page(words: type) -> None:
    keys = [field.alias or name for name, field in words.model_fields.items()]  # type: ignore[attr-defined]

    assert not [key for key in keys if not re.search(rf"\b{key}\b", LANGUAGE)]
