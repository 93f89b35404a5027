"""Many runs: files and folders under several seeds, in parallel, told file by file (SCENARIOS.md section 12).

A worker process runs one file under one seed and sends back an `Outcome`, small and plain. With `twice`, each file's
first seed is repeated in a fresh interpreter under another PYTHONHASHSEED: equal digests, or exit code 4.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ScenarioError, SwarmsimError
from .bugs import bug_said
from .loader import is_stack, load
from .problems import MOST
from .processes import pool_of, processors
from .words import count_of

#: The first of these that occurred is the exit code (section 10).
BUG, DIFFERED, MISTAKE, FAILED = 3, 4, 2, 1


@dataclass
class Outcome:
    """One file under one seed."""

    file: str
    seed: int
    state: str  # PASS, FAIL, UNKNOWN, ERROR (the user's mistake), BUG, DIFFERED
    lines: list[str] = field(default_factory=list)  # what was not PASS, each with its line
    short: float | None = None  # the longest time that a service was short, in seconds
    digest: str = ""
    seconds: float = 0.0

    def again(self) -> list[str]:
        """The command that shows it again; a mistake in the file has its line instead."""
        if self.state in ("PASS", "ERROR"):
            return []
        file, seed = shlex.quote(self.file), "" if self.seed < 0 else str(self.seed)
        if self.state == "DIFFERED":
            return [f"again: swarmsim test {file} --seeds {seed} --twice"]
        return [f"again: swarmsim run {file}" + (f" --seed {seed}" if seed else "")]


@dataclass
class FileReport:
    """One file under all its seeds."""

    file: str
    outcomes: list[Outcome]

    @property
    def state(self) -> str:
        states = [o.state for o in self.outcomes]
        return next((s for s in ("BUG", "DIFFERED", "ERROR", "FAIL", "UNKNOWN") if s in states), "PASS")

    def head(self) -> str:
        """What stands beside the state: seeds, and how long services were short; or what is wrong."""
        bad = [o.seed for o in self.outcomes if o.state != "PASS"]
        if self.state == "ERROR":
            return self.outcomes[0].lines[0]
        if not bad:
            return count_of(len(self.outcomes), "seed") + self._back()
        return f"{seeds_said(bad)} of {len(self.outcomes)}"

    def _back(self) -> str:
        shorts = [o.short for o in self.outcomes if o.short]
        if not shorts:
            return ""
        low, high = f"{min(shorts):.1f} s", f"{max(shorts):.1f} s"
        return f", back after {low}" + ("" if low == high else f" to {high}")

    def details(self) -> list[str]:
        """The lines below: what was seen under the first bad seed, and how to see it again."""
        if self.state == "PASS":
            return []
        if self.state == "ERROR":
            return self.outcomes[0].lines[1:]
        first = next(o for o in self.outcomes if o.state == self.state)
        return [*first.lines, *first.again()]


def seeds_said(seeds: list[int]) -> str:
    """`seed 3`, `seeds 3 and 5`."""
    if len(seeds) == 1:
        return f"seed {seeds[0]}"
    shown = [str(s) for s in seeds[:5]]
    last = f"{len(seeds) - 4} more" if len(seeds) > 5 else shown[-1]
    return f"seeds {', '.join(shown[:4] if len(seeds) > 5 else shown[:-1])} and {last}"


# ---- what to run -----------------------------------------------------------------------------------------


def collect(paths: list[str]) -> tuple[list[str], list[str]]:
    """Scenario files and stack files among files and folders, in order; a path that is not there is an error."""
    files: list[str] = []
    for path in paths:
        if os.path.isdir(path):
            found = (p for p in sorted(Path(path).rglob("*")) if p.suffix in (".yaml", ".yml") and p.is_file())
            files += [str(p) for p in found if not any(part.startswith(".") for part in p.relative_to(path).parts)]
        elif os.path.exists(path):
            files.append(path)
        else:
            raise SwarmsimError(f"{path}: no such file or folder; write the path of a scenario or of a folder of them")
    scenarios: list[str] = []
    stacks: list[str] = []
    for file in dict.fromkeys(files):
        (stacks if _stack(file) else scenarios).append(file)
    return scenarios, stacks


def _stack(file: str) -> bool:
    try:
        return is_stack(file)
    except ScenarioError:
        return False  # it is told when it is run


# ---- one run, in a worker process ------------------------------------------------------------------------


def run_one(file: str, seed: int | None) -> Outcome:
    """Never raises: a bug of ours is an outcome, too, so that the other files run."""
    started = time.perf_counter()
    number = seed if seed is not None else -1
    try:
        scenario = load(file)
        number = scenario.seed if seed is None else seed
        outcome = _run(file, scenario, number)
    except SwarmsimError as error:
        outcome = Outcome(file, number, "ERROR", _without_file(error, file))
    except Exception as error:
        outcome = Outcome(file, number, "BUG", [f"a bug in swarmsim: {bug_said(error)}"])
    outcome.seconds = time.perf_counter() - started
    return outcome


def _run(file: str, scenario: object, seed: int) -> Outcome:
    from .runner import run

    result = run(scenario, seed)  # type: ignore[arg-type]
    lines = [verdict_line(v) for v in result.verdicts if str(v.state) != "PASS"]
    return Outcome(file, seed, result.state, lines, longest_short(result), result.digest)


def verdict_line(verdict: object) -> str:
    """`line 14: web running 8 within 60s after partition.end: 7 from 85.3 s to the end`."""
    line = getattr(verdict, "line", 0)
    where = f"line {line}: " if line else ""
    return f"{where}{getattr(verdict, 'name', '')}: {getattr(verdict, 'seen', '')}"


def longest_short(result: object) -> float | None:
    """The longest time that a service had fewer containers than wanted, in seconds."""
    from . import tables

    measure = getattr(tables, "longest_short", None)
    return None if measure is None else measure(result)


def _without_file(error: SwarmsimError, file: str) -> list[str]:
    if not isinstance(error, ScenarioError):
        return [str(error)]
    out = []
    for problem in error.problems[:MOST]:
        where = f"line {problem.line}: " if problem.line else ""
        other = "" if problem.file == file else f"{problem.file}: "
        out.append(f"{other}{where}{problem.text}")
    return out


# ---- all of them -----------------------------------------------------------------------------------------


def run_all(
    files: list[str],
    seeds: list[int] | None,
    twice: bool,
    progress: Callable[[int, int], None],
    jobs: int | None = None,
) -> Iterator[FileReport]:
    """The files in order, each as soon as all its seeds are done. `progress(done, of)` is told of each run.

    `jobs`: how many processes; default: one for each processor.
    """
    wanted: list[int | None] = list(seeds) if seeds else [None]
    total = len(files) * (len(wanted) + twice)
    done = 0
    with pool_of(min(jobs or processors(), total)) as pool:
        runs = {file: [pool.submit(run_one, file, seed) for seed in wanted] for file in files}
        again = {file: pool.submit(digest_elsewhere, file, wanted[0]) for file in files} if twice else {}
        for file in files:
            outcomes = []
            for future in runs[file]:
                outcomes.append(_result(future, file))
                done += 1
                progress(done, total)
            if twice:
                _compare(outcomes[0], again[file].result())
                done += 1
                progress(done, total)
            yield FileReport(file, outcomes)


def _result(future: Future[Outcome], file: str) -> Outcome:
    try:
        return future.result()
    except Exception as error:  # the worker process itself died
        return Outcome(file, -1, "BUG", [f"a bug in swarmsim: {bug_said(error)}"])


def digest_elsewhere(file: str, seed: int | None) -> str:
    """The digest of the same run in a fresh interpreter whose sets and dicts hash differently."""
    code = (
        "import sys; from swarmsim.scenario.suite import run_one;"
        "print(run_one(sys.argv[1], int(sys.argv[2]) if sys.argv[2] else None).digest)"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "4711"}
    command = [sys.executable, "-c", code, file, "" if seed is None else str(seed)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout.strip()


def _compare(first: Outcome, digest: str) -> None:
    if first.digest and first.digest != digest:
        first.state = "DIFFERED"
        first.lines = [
            f"two runs of seed {first.seed} differed: digests {first.digest[:12]} and {digest[:12] or 'none'}"
        ]


def exit_code(reports: list[FileReport]) -> int:
    states = {o.state for r in reports for o in r.outcomes}
    codes = [(BUG, "BUG"), (DIFFERED, "DIFFERED"), (MISTAKE, "ERROR"), (FAILED, "FAIL"), (FAILED, "UNKNOWN")]
    return next((code for code, state in codes if state in states), 0)


def summary(reports: list[FileReport], seconds: float, code: int) -> str:
    """`1 passed, 1 failed, 1 unknown, 1 in error · 15 runs in 2.6 s · exit 2`."""
    words = {
        "PASS": "passed",
        "FAIL": "failed",
        "UNKNOWN": "unknown",
        "ERROR": "in error",
        "DIFFERED": "not repeatable",
        "BUG": "stopped by a bug",
    }
    states = [r.state for r in reports]
    parts = [f"{states.count(s)} {word}" for s, word in words.items() if s in states]
    runs = sum(o.state != "ERROR" for r in reports for o in r.outcomes)
    return f"{', '.join(parts)} · {count_of(runs, 'run')} in {seconds:.1f} s · exit {code}"


def junit(reports: list[FileReport]) -> str:
    """One test for each file and seed, in JUnit's XML."""
    from xml.etree import ElementTree

    outcomes = [o for r in reports for o in r.outcomes]
    failures = sum(o.state in ("FAIL", "UNKNOWN") for o in outcomes)
    errors = sum(o.state in ("ERROR", "BUG", "DIFFERED") for o in outcomes)
    numbers = {"tests": str(len(outcomes)), "failures": str(failures), "errors": str(errors)}
    suite = ElementTree.Element("testsuite", {"name": "swarmsim", **numbers})
    for o in outcomes:
        name = f"seed {o.seed}" if o.seed >= 0 else "load"
        case = ElementTree.SubElement(suite, "testcase", classname=o.file, name=name, time=f"{o.seconds:.3f}")
        if o.state != "PASS":
            kind = "failure" if o.state in ("FAIL", "UNKNOWN") else "error"
            told = ElementTree.SubElement(case, kind, message=o.lines[0] if o.lines else o.state, type=o.state)
            told.text = "\n".join([*o.lines, *o.again()])
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
