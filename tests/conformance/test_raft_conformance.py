"""Conversations from etcd/raft's own test suite, run against our core.

The harness and its data lie beside the checkout in `../shared/conformance/raft` and are not part of the project;
without them the tests are skipped. They run in a process of their own, since the harness has modules named `model` and
`adapter`, and one that writes nothing: the folder is read-only.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
HARNESS = CHECKOUT.parent / "shared" / "conformance" / "raft"
SUITES = {
    "interaction": ("--adapter", "tests.conformance.raft_adapter:Node"),
    "quorum": ("--quorum", "tests.conformance.raft_adapter:Quorum"),
    "confchange": ("--confchange", "tests.conformance.raft_adapter:Conf"),
}


@pytest.mark.skipif(not (HARNESS / "runner.py").exists(), reason=f"no conformance harness in {HARNESS}")
@pytest.mark.parametrize("suite", sorted(SUITES))
def test_core_answers_as_etcd_does(suite: str) -> None:
    """Roles, terms, logs, messages and progress, fact by fact and in order."""
    command = [sys.executable, "-B", "runner.py", "data", "--strict-order", *SUITES[suite]]
    environment = {**os.environ, "PYTHONPATH": f"{CHECKOUT}{os.pathsep}{HARNESS}"}

    run = subprocess.run(
        command, cwd=HARNESS, env=environment, capture_output=True, text=True, check=False, timeout=120
    )

    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"[1-9]\d* passed, 0 failed;.* 0 skipped", run.stdout), run.stdout
