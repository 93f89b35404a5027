"""Notebooks: sources run, and what is committed beside them is what they give today (`make notebooks` writes it)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).parent.parent / "notebooks"
SOURCES = sorted(path for path in FOLDER.glob("*.py") if not path.name.startswith("_"))
STALE = "is stale; write it again with `make notebooks`"

each_notebook = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)


def committed(source: Path) -> NotebookNode:
    return nbformat.read(source.with_suffix(".ipynb"), as_version=4)


@cache
def executed(source: Path) -> NotebookNode:
    """The source, run as Jupyter would: in its own folder. Raises if a cell does."""
    notebook = jupytext.read(source)
    resources = {"metadata": {"path": str(FOLDER)}}
    return NotebookClient(notebook, timeout=120, coalesce_streams=True, resources=resources).execute()


def cells(notebook: NotebookNode) -> list[tuple[str, str]]:
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def printed(notebook: NotebookNode) -> list[list[str]]:
    """What each code cell printed and gave, in words: pictures may differ in a pixel from one computer to the next."""
    return [
        [output.text if output.output_type == "stream" else output.data["text/plain"] for output in cell.outputs]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def test_there_is_a_notebook_that_tells_the_first_story() -> None:
    assert "first-story" in [source.stem for source in SOURCES]


@each_notebook
def test_a_notebook_has_the_cells_of_its_source(source: Path) -> None:
    assert cells(committed(source)) == cells(jupytext.read(source)), f"{source.stem}.ipynb {STALE}"


@each_notebook
def test_a_notebook_opens_by_itself_outputs_included(source: Path) -> None:
    """Nothing needs to be run or fetched to read it: pictures are inside, and no cell failed."""
    notebook = committed(source)

    nbformat.validate(notebook)
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    ran = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]

    assert ran == list(range(1, len(ran) + 1))
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not [text for kind, text in cells(notebook) if kind == "markdown" and "![" in text]


@each_notebook
def test_a_source_runs_and_prints_what_is_committed(source: Path) -> None:
    fresh = executed(source)

    assert printed(fresh) == printed(committed(source)), f"{source.stem}.ipynb {STALE}"
