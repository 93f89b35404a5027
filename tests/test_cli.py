"""The command line: what it prints, its exit codes, and that nothing a user writes gives a traceback."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import swarmsim
from swarmsim import cli

ROOT = Path(__file__).parent.parent
SMALL = """\
# Question: does it come up?
cluster: {managers: 1, workers: 1}
services:
  web: {image: "nginx:1.27", deploy: {replicas: 2}}
expect:
  - {service: web, running: REPLICAS}
"""
STACK = """\
services:
  web:
    image: nginx:1.27
    deploy: {replicas: 4}
  db:
    image: postgres:16
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SMALL.replace("REPLICAS", "2"))
    (tmp_path / "wrong.yaml").write_text(SMALL.replace("REPLICAS", "3"))
    (tmp_path / "stack.yml").write_text(STACK)
    (tmp_path / "broken.yaml").write_text(SMALL.replace("expect:", "expct:"))
    return tmp_path


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


# ---- run -----------------------------------------------------------------------------------------------------


def test_a_run_that_passes_is_exit_0_and_ends_with_the_command_that_does_it_again(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = cli.main(["run", "small.yaml", "--seed", "3", "--out", ""])

    out = lines_of(capsys)
    assert code == 0
    assert out[-1] == "again: swarmsim run small.yaml --seed 3"
    assert out[0] == "Does it come up?"


def test_a_run_that_fails_is_exit_1_and_says_what_was_seen(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = cli.main(["run", "wrong.yaml", "--out", "", "--quiet"])

    out = lines_of(capsys)
    assert code == 1
    assert any(line.startswith("FAIL     web running 3") for line in out)


def test_a_mistake_is_exit_2_with_file_and_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = cli.main(["run", "broken.yaml"])

    assert code == 2
    assert capsys.readouterr().err.startswith("broken.yaml:5: unknown key `expct`")


def test_a_bug_is_exit_3_and_names_the_command_without_a_traceback(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from swarmsim.scenario import runner

    monkeypatch.setattr(runner, "run", lambda *args, **kwargs: 1 / 0)

    code = cli.main(["run", "small.yaml"])

    err = capsys.readouterr().err
    assert code == 3
    assert "a bug in swarmsim: ZeroDivisionError" in err
    assert "again: swarmsim run small.yaml" in err
    assert "Traceback" not in err


def test_ctrl_c_is_exit_130(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from swarmsim.scenario import runner

    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "run", interrupted)

    assert cli.main(["run", "small.yaml"]) == 130


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run"], "Missing argument 'FILE'"),
        (["run", "nowhere.yaml"], "nowhere.yaml: no such file"),
        (["run", "small.yaml", "--seed", "-1"], "Invalid value for '--seed'"),
        (["run", "small.yaml", "--seed", "many"], "Invalid value for '--seed'"),
        (["run", "small.yaml", "--sed", "1"], "No such option: --sed"),
        (["run", "small.yaml", "--crash", "w1"], "--crash: `w1` is not NODES@AT+FOR; write for instance w1@10s+30s"),
        (["run", "small.yaml", "--crash", "w9@10s"], "unknown node `w9`"),
        (["run", "small.yaml", "--managers", "5"], "are for stack files; a scenario says its own cluster"),
        (["run", "stack.yml", "--label", "zone=a"], "--label: `zone=a` is not NODES:KEY=VALUE"),
        (["run", "stack.yml", "--label", "w9:zone=a"], "unknown node `w9`"),
        (["run", "stack.yml", "--env", "TAG"], "--env: `TAG` is not NAME=VALUE"),
        (["run", "stack.yml", "--managers", "0"], "managers"),
        (
            ["run", "small.yaml", "--without", "orphanin"],
            "--without: there is no rule `orphanin`; did you mean `orphaning`?",
        ),
        (
            ["run", "small.yaml", "--with", "xyzzy"],
            "--with: there is no rule `xyzzy`; `swarmsim list rules` has them all",
        ),
        (["run", "small.yaml", "--with", "lease"], "--with: `lease` is in force already; the file leaves none off"),
        (["run", "."], "is a folder"),
        (["test", "nowhere"], "nowhere: no such file or folder"),
        (["test", "small.yaml", "--seeds", "5..1"], "--seeds: `5..1` is backwards; write 1..5"),
        (["test", "small.yaml", "--seeds", "x"], "--seeds: `x` is no range of seeds; write 1..5, or 7"),
        (["test", "stack.yml"], "nothing to run"),
        (["new", "small.yaml"], "is there already, and is not overwritten"),
        (["new", "mine.txt"], "write mine.txt.yaml"),
        (["list", "secrets"], "Invalid value for 'WHAT'"),
        (["explode"], "No such command 'explode'"),
        (["run", "small.yaml", "--trace", "small.yaml/x"], "small.yaml/x: cannot be written"),
        (["run", "small.yaml", "--trace", "."], ".: cannot be written: it is a folder"),
        (["run", "small.yaml", "--out", "stack.yml"], "stack.yml/small.svg: cannot be written"),
        (["test", "small.yaml", "--junit", "stack.yml/x"], "stack.yml/x: cannot be written"),
        (["test", "small.yaml", "--jobs", "0"], "Invalid value for '--jobs'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_option_is_exit_2_and_one_clear_line(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    code = cli.main(arguments)

    err = capsys.readouterr().err
    assert code == 2
    assert said in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1


def test_what_cannot_be_written_is_said_before_the_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from swarmsim.scenario import runner

    monkeypatch.setattr(runner, "run", lambda *args, **kwargs: 1 / 0)

    assert cli.main(["run", "small.yaml", "--trace", "small.yaml/x"]) == 2
    assert cli.main(["test", "small.yaml", "--junit", "."]) == 2


def test_the_trace_is_written_as_json_lines(folder: Path) -> None:
    cli.main(["run", "small.yaml", "--out", "", "--quiet", "--trace", "deep/trace.jsonl"])

    events = [json.loads(line) for line in (folder / "deep" / "trace.jsonl").read_text().splitlines()]
    assert events[0]["ev"] == "SwarmReady"
    assert [e["seq"] for e in events] == list(range(1, len(events) + 1))
    assert all(e["cause"] < e["seq"] for e in events)


def test_why_a_task_is_where_it_is_stands_before_the_page(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For each task that is asked for, what the scheduler decided (`scenario.why`)."""
    cli.main(["run", "small.yaml", "--out", "", "--quiet", "--why", "web.1", "--why", "nobody"])

    out = capsys.readouterr().out.splitlines()
    assert " web.1 → " in out[0]
    assert "of the service" in out[1]
    assert "the scheduler has decided nothing about nobody" in out
    assert out[-1] == "again: swarmsim run small.yaml --seed 1"


def test_the_recording_is_written_in_the_format_of_real_ones(folder: Path) -> None:
    cli.main(["run", "small.yaml", "--out", "", "--quiet", "--record", "rec.jsonl"])

    rows = [json.loads(line) for line in (folder / "rec.jsonl").read_text().splitlines()]
    assert rows[0] == {"t": 0.0, "ev": "start", "scenario": "small", "leader": "m1", "managers": 1, "workers": 1}
    assert rows[-1]["what"] == "end"
    assert {row["ev"] for row in rows} == {"start", "mark", "service", "task"}


def test_a_rule_can_be_put_in_force_again_to_compare(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(ROOT / "scenarios" / "ablation" / "persist-vote.yaml")

    codes = [cli.main(["run", file, "--out", ""]), cli.main(["run", file, "--out", "", "--with", "persist-vote"])]

    off, on = capsys.readouterr().out.split("again: ")[:2]
    assert codes == [0, 1]
    assert "without persist-vote: a server that restarts must not vote a second time" in off
    assert "✗ election safety" in off
    assert "with persist-vote, which the file leaves off: a server that restarts" in on
    assert "✗" not in on
    assert re.search(r"FAIL +violates raft safety +nothing violated it", on)


def test_a_rule_can_be_left_off_in_any_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "small.yaml", "--out", "", "--without", "debounce", "--without", "lease"]) == 0

    out = lines_of(capsys)
    assert out[2].startswith("without debounce: ")
    assert out[-1] == "again: swarmsim run small.yaml --without debounce --without lease --seed 1"


def test_a_figure_goes_where_out_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = cli.main(["run", "small.yaml", "--out", "figures"])

    assert code == 0
    assert (folder / "figures" / "small-1.svg").read_text().startswith("<?xml")
    assert "figure figures/small-1.svg" in lines_of(capsys)[-2]


# ---- run, with a stack file ------------------------------------------------------------------------------------


def test_will_my_stack_survive_this(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A stack file is deployed on three managers and three workers, and its crash is told."""
    code = cli.main(["run", "stack.yml", "--crash", "w1@10s+30s", "--out", ""])

    out = "\n".join(lines_of(capsys))
    assert code == 0
    assert "3 managers, 3 workers" in out
    assert "! crash w1 for 30 s" in out
    assert out.endswith("again: swarmsim run stack.yml --crash w1@10s+30s --seed 1")


def test_the_swarm_for_a_stack_file_can_be_another(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = cli.main(["run", "stack.yml", "--managers", "1", "--workers", "2", "--out", ""])

    out = "\n".join(lines_of(capsys))
    assert code == 0
    assert "1 manager, 2 workers" in out
    assert "again: swarmsim run stack.yml --managers 1 --workers 2 --seed 1" in out


def test_what_a_stack_file_needs_can_be_given(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Labels for its constraints, variables, and missing side files taken as empty."""
    (folder / "needy.yml").write_text(
        """\
services:
  web:
    image: nginx:${TAG:?a tag}
    env_file: missing.env
    deploy: {replicas: 2, placement: {constraints: [node.labels.zone == a]}}
"""
    )
    options = ["--label", "w1..w2:zone=a", "--env", "TAG=1.27", "--stand-in"]

    assert cli.main(["run", "needy.yml", "--out", ""]) == 2
    code = cli.main(["run", "needy.yml", "--out", "", *options])

    out = lines_of(capsys)
    assert code == 0
    assert out[-1] == "again: swarmsim run needy.yml --label w1..w2:zone=a --env TAG=1.27 --stand-in --seed 1"


def test_a_stack_is_deployed_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """S-050: the second file has another image, and one service less, which goes with `--prune`."""
    (folder / "two.yml").write_text("services: {web: {image: 'nginx:1'}, old: {image: redis}}")
    (folder / "two.v2.yml").write_text("services: {web: {image: 'nginx:2'}}")
    options = ["--deploy", "two.v2.yml@20s", "--prune", "--stack", "shop"]

    code = cli.main(["run", "two.yml", "--out", "", *options])

    out = "\n".join(lines_of(capsys))
    assert code == 0
    assert "> deploy shop: two.v2.yml, prune (deploy-1)" in out
    assert "Removing service shop_old" in out
    assert "Updating service shop_web" in out
    assert out.endswith("again: swarmsim run two.yml --stack shop --deploy two.v2.yml@20s --prune --seed 1")


def test_files_lie_over_a_stack_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "over").mkdir()
    (folder / "over" / "more.yml").write_text("services: {web: {deploy: {replicas: 7}}}")

    code = cli.main(["run", "stack.yml", "-c", "over/more.yml", "--out", ""])

    out = "\n".join(lines_of(capsys))
    assert code == 0
    assert "stack_web ×7" in out
    assert out.endswith("again: swarmsim run stack.yml -c over/more.yml --seed 1")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--deploy", "20s"], "--deploy: `20s` is not FILE@AT; write for instance shop.v2.yml@30s"),
        (["--deploy", "nope.yml@20s"], "`deploy`: nope.yml: no such file"),
        (["--deploy", "stack.yml@soon"], "`at`"),
        (["--prune"], "--prune belongs to --deploy"),
        (["-c", "nope.yml"], "nope.yml: no such file"),
        (["--stack", "no name"], "`no name` is no name of a stack"),
    ],
)
def test_what_cannot_be_deployed_again(
    options: list[str], said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", "stack.yml", "--out", "", *options]) == 2
    assert said in capsys.readouterr().err


def test_variables_are_given_to_validate_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "needy.yml").write_text("services: {a: {image: 'x:${TAG:?a tag}', env_file: missing.env}}")

    assert cli.main(["validate", "needy.yml"]) == 2
    assert cli.main(["validate", "needy.yml", "--env", "TAG=2", "--stand-in"]) == 0


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("w1@10s", {"at": "10s", "crash": "w1"}),
        ("w1@10s+30s", {"at": "10s", "crash": "w1", "for": "30s"}),
        ("w1,w2@10s+30s", {"at": "10s", "crash": ["w1", "w2"], "for": "30s"}),
        ("leader@steady+5s+30s", {"at": "steady + 5s", "crash": "leader", "for": "30s"}),
        ("one of workers@steady+5s", {"at": "steady + 5s", "crash": "one of workers"}),
    ],
)
def test_the_words_of_crash(text: str, entry: dict[str, object]) -> None:
    assert cli.crash_entry(text) == entry


# ---- test ------------------------------------------------------------------------------------------------------


def test_many_scenarios_are_run_and_summed_up(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """SCENARIOS.md section 12: all that can be run is, and the exit is the first of 3, 4, 2, 1 that occurred."""
    code = cli.main(["test", ".", "--seeds", "1..2", "--junit", "out/junit.xml"])

    out = lines_of(capsys)
    assert code == 2
    assert any(re.match(r"small\.yaml +PASS +2 seeds", line) for line in out)
    assert any(re.match(r"wrong\.yaml +FAIL +seeds 1 and 2 of 2", line) for line in out)
    assert any("again: swarmsim run wrong.yaml --seed 1" in line for line in out)
    assert any(re.match(r"broken\.yaml +ERROR +line 5: unknown key `expct`", line) for line in out)
    assert "skipped, a stack file: stack.yml" in out
    assert out[-1].startswith("1 passed, 1 failed, 1 in error · 4 runs in ")
    assert out[-1].endswith("exit 2")
    junit = (folder / "out" / "junit.xml").read_text()
    assert 'tests="6" failures="2" errors="2"' in junit
    assert "again: swarmsim run wrong.yaml --seed 2</failure>" in junit


def test_twice_repeats_each_first_seed_in_another_process(folder: Path) -> None:
    assert cli.main(["test", "small.yaml", "--twice"]) == 0


def another_digest(file: str, seed: int | None) -> str:
    """As if another process had seen another run."""
    return "another digest"


def test_a_run_that_cannot_be_repeated_is_exit_4(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from swarmsim.scenario import suite

    monkeypatch.setattr(suite, "digest_elsewhere", another_digest)

    assert cli.main(["test", "small.yaml", "--twice"]) == 4
    assert "  again: swarmsim test small.yaml --seeds 1 --twice" in lines_of(capsys)


# ---- validate, new, schema, list ---------------------------------------------------------------------------------


def test_validate_finds_mistakes_without_a_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = cli.main(["validate", "."])

    said = capsys.readouterr()
    assert code == 2
    assert "small.yaml: OK" in said.out
    assert "stack.yml: OK" in said.out
    assert said.err.startswith("broken.yaml:5: ")


def test_what_new_writes_runs_and_passes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["new", "mine.yaml"]) == 0

    assert cli.main(["run", "mine.yaml", "--out", "", "--quiet"]) == 0


def test_the_schema_is_json_and_knows_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["schema"]) == 0

    schema = json.loads(capsys.readouterr().out)
    assert schema["type"] == "object"
    for verb in ("crash", "partition", "scale", "drain"):
        assert f'"{verb}"' in json.dumps(schema)


@pytest.mark.parametrize(
    ("what", "first"),
    [
        ("faults", "crash"),
        ("steps", "create"),
        ("checks", "raft safety"),
        ("rules", "persist-vote"),
        ("experiments", "V1"),
        ("events", "SwarmReady"),
        ("figures", ""),
        ("scenarios", "scenarios/"),
    ],
)
def test_list_says_what_there_is(
    what: str, first: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)

    assert cli.main(["list", what]) == 0

    out = lines_of(capsys)
    assert out
    assert out[0].startswith(first)
    assert all(len(line.split(None, 1)) == 2 for line in out), "each with a line of its docstring"


def test_the_version_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith(f"swarmsim {swarmsim.__version__}, Python 3.")


def test_help_and_no_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    assert cli.main([]) == 2
    assert "run" in capsys.readouterr().out


# ---- as a process --------------------------------------------------------------------------------------------------


def run(arguments: list[str], folder: Path, **env: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "swarmsim", *arguments]
    environment = {**os.environ, **env}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)


def test_an_ascii_terminal_gets_the_same_report(folder: Path) -> None:
    done = run(["run", "small.yaml", "--out", ""], folder, PYTHONIOENCODING="ascii", LC_ALL="C", PYTHONUTF8="0")

    assert done.returncode == 0, done.stderr
    assert b"again: swarmsim run small.yaml --seed 1" in done.stdout


def test_a_reader_that_has_had_enough_is_no_error(folder: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m swarmsim run small.yaml --out '' | head -1",
        shell=True,
        cwd=folder,
        capture_output=True,
        check=False,
    )

    assert done.stderr == b""


def test_an_output_that_nobody_reads_to_its_end_is_no_success(folder: Path) -> None:
    """As other programs have it, 128 and SIGPIPE: what was not told may have failed."""
    command = f"{sys.executable} -m swarmsim test small.yaml | true; echo ${{PIPESTATUS[0]}}"

    done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, check=False)

    assert (done.stdout, done.stderr) == (b"141\n", b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_an_output_that_is_full_is_no_bug_of_ours(folder: Path) -> None:
    with open("/dev/full", "wb") as full:
        command = [sys.executable, "-m", "swarmsim", "run", "small.yaml", "--out", ""]
        done = subprocess.run(command, cwd=folder, stdout=full, stderr=subprocess.PIPE, check=False)

    assert done.returncode == 2
    assert done.stderr == b"the output cannot be written: No space left on device\n"


LONG = """\
cluster: {managers: 1}
duration: 300d
services: {job: {image: "job:1", x-sim: {run: 1s}}}
"""


def begun(folder: Path) -> subprocess.Popen[bytes]:
    """A sweep that would take hours, in its own group of processes, some of whose runs are under way."""
    (folder / "long.yaml").write_text(LONG)
    command = [sys.executable, "-m", "swarmsim", "test", "small.yaml", "long.yaml", "--seeds", "1..4", "--jobs", "2"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, cwd=folder, start_new_session=True, **pipes)  # type: ignore[call-overload]
    assert process.stdout.readline().startswith(b"small.yaml")
    assert isinstance(process, subprocess.Popen)
    return process


@pytest.mark.parametrize("send", [os.killpg, os.kill], ids=["from the terminal", "to one process"])
def test_ctrl_c_ends_a_sweep_at_once(folder: Path, send: Callable[[int, int], None]) -> None:
    process = begun(folder)

    send(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=20)

    assert (process.returncode, err) == (130, b"interrupted\n")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["terminated", "killed"])
def test_a_sweep_that_is_killed_leaves_no_processes_behind(folder: Path, how: signal.Signals) -> None:
    """They hold its output open: a reader would wait for them."""
    process = begun(folder)

    os.kill(process.pid, how)
    process.communicate(timeout=20)

    assert process.returncode == -how


def test_two_processes_print_the_same_but_for_the_wall_clock(folder: Path) -> None:
    outs = [run(["run", "small.yaml", "--out", ""], folder, PYTHONHASHSEED=seed).stdout for seed in ("1", "2")]

    first, second = (re.sub(rb"in [0-9.]+ s", b"in T", out) for out in outs)
    assert first == second
