"""Same scenario and seed, same bytes: in any process, under any PYTHONHASHSEED, however much is recorded besides."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import swarmsim

ROOT = Path(__file__).parent.parent
SCENARIOS = sorted((ROOT / "scenarios").glob("*.yaml"))

_DIGESTS = """
import sys, swarmsim
for path in sys.argv[1:]:
    print(swarmsim.run(path, seed=7).digest)
"""


def digests_elsewhere(hashseed: str, paths: list[str]) -> list[str]:
    """The digests of runs in a process of its own."""
    env = {**os.environ, "PYTHONHASHSEED": hashseed}
    command = [sys.executable, "-c", _DIGESTS, *paths]
    run = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    return run.stdout.split()


def test_three_hash_seeds_in_three_processes_give_the_same_digests() -> None:
    paths = [str(path) for path in SCENARIOS]

    first, second, third = (digests_elsewhere(seed, paths) for seed in ("0", "1", "4242"))

    assert len(first) == len(paths)
    assert first == second == third


def test_another_seed_gives_another_digest() -> None:
    path = str(ROOT / "scenarios" / "worker-crash.yaml")

    assert swarmsim.run(path, seed=1).digest != swarmsim.run(path, seed=2).digest


def test_more_verbose_tracing_leaves_the_digest_as_it_is() -> None:
    """Datagrams that get lost are counted, and noted in a verbose run only."""
    lossy = swarmsim.Scenario(
        cluster={"managers": 3, "workers": 3, "network": {"loss": "5%"}},
        services={"web": {"image": "nginx:1.27", "deploy": {"replicas": 3}}},
        duration="30s",
    )

    quiet, verbose = swarmsim.run(lossy, seed=3), swarmsim.run(lossy, seed=3, verbose=True)

    assert quiet.digest == verbose.digest
    assert len(list(verbose.trace.lines())) > len(list(quiet.trace.lines()))


def test_a_run_does_not_depend_on_the_working_folder_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SCENARIOS.md, rule 3: file and seed decide everything."""
    path = str(ROOT / "scenarios" / "voting-app.yaml")
    here = swarmsim.run(path, seed=1).digest

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAG", "from-the-shell")

    assert swarmsim.run(path, seed=1).digest == here
