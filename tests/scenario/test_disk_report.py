"""How a run tells of damaged disks: what a start found, why it was refused, what panicked (section 11)."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarmsim.cli import main

FOLDER = Path(__file__).parents[2] / "scenarios" / "disks"


def told(name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The report of a scenario, its lines joined where they were broken."""
    monkeypatch.chdir(tmp_path)
    assert main(["run", str(FOLDER / f"{name}.yaml")]) == 0
    lines = capsys.readouterr().out.splitlines()
    return " ".join(" ".join(word for word in line.split() if word not in "│×") for line in lines)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("torn-record", ["power off in the middle of a write", "m2 cuts a torn record off its log: entry "]),
        (
            "corrupt-log",
            [
                "! corrupt m2: a record of its log",
                "m2's manager ends: can't initialize raft node: irreparable WAL error: walpb: crc mismatch",
                "to end like that",
            ],
        ),
        (
            "wiped-log",
            [
                "! wipe m3: its Raft log and snapshots",
                "m3's engine dies of a panic",
                "lastIndex(0)]. Was the raft log corrupted, truncated, or lost?",
                "started again 2 times until",
                "that was once too often for systemd: it stays off",
                "Unreachable",
            ],
        ),
        ("wiped-disk", ["! wipe m3: all that it knew of the swarm", "> join m3: as manager", "m3~2 m3 Ready Drain"]),
        ("full-disk", ["m1's manager ends: failed to save entries to storage: no space left on device"]),
    ],
)
def test_the_report_says_what_happened_to_the_disk(
    name: str,
    words: list[str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = told(name, capsys, tmp_path, monkeypatch)

    assert [word for word in words if word not in text] == []


def test_a_manager_that_fails_again_and_again_is_told_once(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = told("corrupt-log", capsys, tmp_path, monkeypatch)

    assert text.count("m2's manager ends") == 1


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
@pytest.mark.parametrize("seed", [2, 3])
def test_each_disk_scenario_holds_under_other_seeds(path: Path, seed: int) -> None:
    import swarmsim

    result = swarmsim.run(str(path), seed=seed)

    assert result.passed, result.verdicts
