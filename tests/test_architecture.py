"""The layers of the code: the import contracts of pyproject.toml, and who may throw dice.

Each contract is a test of its own, so that a failure names the rule that was broken.
"""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "swarmsim"
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
MAKES_STREAMS = {
    PACKAGE / "sim" / "rng.py",
    PACKAGE / "machine.py",  # RecordingOutbox, the fake for tests, seeds a stream of its own
}


@pytest.mark.parametrize("contract", [contract["id"] for contract in CONTRACTS])
def test_import_contract_is_kept(contract: str) -> None:
    """Arrows point down only; see [tool.importlinter] in pyproject.toml."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]

    run = subprocess.run([*command, "--contract", contract], cwd=ROOT, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout + run.stderr


def test_randomness_comes_from_named_streams() -> None:
    """Only sim.rng and the tests' fake call the module random; others may name its type."""
    sources = sorted(PACKAGE.rglob("*.py"))

    found = [call for path in sources if path not in MAKES_STREAMS for call in calls_of_random(path)]

    assert not found, "ask for a stream of sim.rng instead:\n" + "\n".join(found)


def calls_of_random(path: Path) -> list[str]:
    """The places where a file calls the module random or something imported from it."""
    tree = ast.parse(path.read_text(), str(path))
    modules: set[str] = set()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules.update(alias.asname or alias.name for alias in node.names if alias.name == "random")
        elif isinstance(node, ast.ImportFrom) and node.module == "random" and not node.level:
            names.update(alias.asname or alias.name for alias in node.names)

    def is_random(called: ast.expr) -> bool:
        while isinstance(called, ast.Attribute):
            called = called.value
            if isinstance(called, ast.Name) and called.id in modules | names:
                return True
        return isinstance(called, ast.Name) and called.id in names

    return [
        f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node.func)}(...)"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and is_random(node.func)
    ]
