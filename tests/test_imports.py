"""What is not needed is not imported: the façade and the command line's help are quick to start."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("matplotlib", "networkx", "simpy", "pandas", "numpy", "swarmsim.sim", "swarmsim.cluster", "swarmsim.scenario")


def loaded_after(code: str) -> list[str]:
    """Which of the heavy modules a fresh interpreter has after running `code`."""
    look = f"{code}\nimport sys\nprint(*(m for m in {HEAVY!r} if m in sys.modules), file=sys.stderr)"
    run = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    return run.stderr.split()


@pytest.mark.parametrize(
    "code",
    [
        "import swarmsim",
        "import swarmsim; dir(swarmsim); swarmsim.__version__",
        "from swarmsim import cli; assert cli.main(['--help']) == 0",
        "from swarmsim import cli; assert cli.main(['run', '--help']) == 0",
    ],
)
def test_neither_figures_nor_the_simulation_are_imported_before_they_are_needed(code: str) -> None:
    assert loaded_after(code) == []


def test_a_run_imports_no_figures() -> None:
    code = """
import swarmsim
assert swarmsim.run(swarmsim.Scenario(cluster={"managers": 1}, duration="1s")).passed
"""

    loaded = loaded_after(code)

    assert "simpy" in loaded
    assert "matplotlib" not in loaded
    assert "networkx" not in loaded
