"""The command line: `run`, `test`, `shrink`, `experiment`, `validate`, `new`, `schema`, `list`.

Everything heavy is imported by the command that needs it, so `swarmsim --help` is quick. Exit codes (SCENARIOS.md
section 10): 0 PASS, 1 FAIL or UNKNOWN, 2 the user's mistake, 3 a bug in swarmsim, 4 two runs of one seed differed, 130
Ctrl-C, 141 nobody read the output to its end.
"""

from __future__ import annotations

import errno
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from .errors import SwarmsimError

if TYPE_CHECKING:
    from .scenario.loader import Scenario
    from .scenario.runner import Result
    from .scenario.suite import FileReport

MISTAKE, BUG, INTERRUPTED, UNREAD = 2, 3, 130, 141
SEED_MOST = 2**63 - 1

app = typer.Typer(
    name="swarmsim",
    help="A deterministic simulator of Docker Swarm's control plane.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from . import __version__

        print(f"swarmsim {__version__}, Python {sys.version.split()[0]}")
        raise typer.Exit


@app.callback()
def every(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    """A deterministic simulator of Docker Swarm's control plane."""


class What(StrEnum):
    """What `swarmsim list` knows."""

    faults = "faults"
    steps = "steps"
    checks = "checks"
    rules = "rules"
    figures = "figures"
    scenarios = "scenarios"
    events = "events"
    experiments = "experiments"


# ---- run -------------------------------------------------------------------------------------------------


@app.command(short_help="Run a scenario or a stack file.")
def run(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A scenario, or a stack file.")],
    seed: Annotated[
        int | None, typer.Option(min=0, max=SEED_MOST, help="Seed of all draws; default: the file's.")
    ] = None,
    out: Annotated[str, typer.Option(metavar="DIR", help="Where the figure goes; '' for none.")] = "out",
    record: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write what a recording of a real cluster would hold.")
    ] = None,
    trace: Annotated[str | None, typer.Option(metavar="FILE", help="Write the trace as JSON lines.")] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Only what is not PASS, and the last two lines.")
    ] = False,
    crash: Annotated[
        list[str] | None, typer.Option(metavar="NODES@AT[+FOR]", help="One more crash, such as w1@10s+30s.")
    ] = None,
    managers: Annotated[int | None, typer.Option(help="Managers for a stack file; default 3.")] = None,
    workers: Annotated[int | None, typer.Option(help="Workers for a stack file; default 3.")] = None,
    label: Annotated[
        list[str] | None, typer.Option(metavar="NODES:KEY=VALUE", help="A label for nodes of a stack file's cluster.")
    ] = None,
    env: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A variable for a stack file (never from the shell).")
    ] = None,
    stand_in: Annotated[
        bool, typer.Option("--stand-in", help="Take files that a stack file names, and that are missing, as empty.")
    ] = False,
    over: Annotated[
        list[str] | None, typer.Option("-c", "--over", metavar="FILE", help="One more stack file, over the first.")
    ] = None,
    stack: Annotated[
        str, typer.Option(metavar="NAME", help="The stack's name; default: the stack file's, without its ending.")
    ] = "",
    deploy: Annotated[
        list[str] | None, typer.Option(metavar="FILE@AT", help="Deploy the stack again, such as shop.v2.yml@30s.")
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="What is deployed again removes services that its file has no more.")
    ] = False,
    without: Annotated[
        list[str] | None, typer.Option(metavar="RULE", help="One more rule to leave off; `list rules` has them.")
    ] = None,
    with_: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="RULE", help="A rule in force that the file leaves off, to compare."),
    ] = None,
    why: Annotated[
        list[str] | None,
        typer.Option(metavar="TASK", help="First, why such a task is where it is: web.3, or an id."),
    ] = None,
) -> int:
    """Run a scenario, or a stack file on a plain cluster, and say what held."""
    again = Again(over or [], stack, deploy or [], prune)
    plain = Plain(managers, workers, label or [], env or [], stand_in, again)
    scenario = _load(file, crash or [], plain, without or [], with_ or [])
    out = "" if quiet and out == "out" else out
    _room_for(trace, record, f"{out}/{scenario.name}.svg" if out else None)
    from .scenario.runner import run as run_scenario

    result = run_scenario(scenario, seed)
    if trace is not None:
        _write(trace, (line + "\n" for line in result.trace.lines()))
    if record is not None:
        from .scenario import record as recording

        _write(record, (line + "\n" for line in recording.lines(result.trace, scenario.name)))
    _say_why(result, why or [])
    _report(result, out, quiet)
    return result.exit_code


def _say_why(result: Result, tasks: list[str]) -> None:
    from .scenario.why import why

    for task in tasks:
        print(f"{why(result.trace, task)}\n")


class Again(NamedTuple):
    """What is deployed besides a stack file: files over it, and files that follow it."""

    over: list[str]
    stack: str
    deploys: list[str]
    prune: bool

    def entries(self, first: str) -> list[dict[str, Any]]:
        from .scenario.loader import beside

        if self.prune and not self.deploys:
            raise SwarmsimError("--prune belongs to --deploy; write for instance --deploy shop.v2.yml@30s --prune")
        found = []
        for n, text in enumerate(self.deploys, 1):
            file, at, moment = text.rpartition("@")
            if not file or not at or not moment.strip():
                raise SwarmsimError(f"--deploy: `{text}` is not FILE@AT; write for instance shop.v2.yml@30s")
            prune = {"prune": True} if self.prune else {}
            found.append({"at": moment.strip(), "name": f"deploy-{n}", "deploy": beside(file, first), **prune})
        return found

    def options(self) -> list[str]:
        out = [f"-c {shlex.quote(file)}" for file in self.over]
        out += [f"--stack {shlex.quote(self.stack)}"] if self.stack else []
        out += [f"--deploy {shlex.quote(text)}" for text in self.deploys]
        return [*out, "--prune"] if self.prune else out


NOTHING_MORE = Again([], "", [], False)


class Plain(NamedTuple):
    """The plain cluster that a stack file is deployed on, and what the file needs beside it."""

    managers: int | None
    workers: int | None
    labels: list[str]
    env: list[str]
    stand_in: bool
    again: Again = NOTHING_MORE

    @property
    def given(self) -> bool:
        return self != Plain(None, None, [], [], False)

    def words(self) -> dict[str, Any]:
        """As a scenario says it."""
        nodes: dict[str, Any] = {}
        for text in self.labels:
            where, colon, rest = text.partition(":")
            key, equals, value = rest.partition("=")
            if not (where.strip() and colon and key.strip() and equals):
                raise SwarmsimError(f"--label: `{text}` is not NODES:KEY=VALUE; write for instance w1..w2:zone=a")
            nodes.setdefault(where.strip(), {"labels": {}})["labels"][key.strip()] = value
        env: dict[str, str] = {}
        for text in self.env:
            name, equals, value = text.partition("=")
            if not name.strip() or not equals:
                raise SwarmsimError(f"--env: `{text}` is not NAME=VALUE; write for instance TAG=1.4")
            env[name.strip()] = value
        again = {"over": self.again.over, "stack": self.again.stack}
        return {"nodes": nodes, "env": env, "stand_in": self.stand_in, **again}

    def options(self) -> list[str]:
        """As they must be given again."""
        sizes = [("managers", self.managers), ("workers", self.workers)]
        out = [f"--{what} {n}" for what, n in sizes if n not in (None, 3)]
        out += [f"--label {shlex.quote(text)}" for text in self.labels]
        out += [f"--env {shlex.quote(text)}" for text in self.env]
        return [*out, *["--stand-in"] * self.stand_in, *self.again.options()]


def _load(file: str, crashes: list[str], plain: Plain, off: list[str], on: list[str]) -> Scenario:
    """The scenario, with what the options add; `options` keeps them for the line that repeats the run."""
    from .scenario.loader import is_stack, load, load_stack_file

    extra = [crash_entry(text) for text in crashes]
    options = [f"--crash {shlex.quote(text)}" for text in crashes]
    if is_stack(file):
        managers, workers = (3 if n is None else n for n in plain[:2])
        extra += plain.again.entries(file)
        scenario = load_stack_file(file, managers, workers, timeline=extra, **plain.words())
        options += plain.options()
    else:
        if plain.given:
            which = "--managers, --workers, --label, --env, --stand-in, -c, --stack, --deploy and --prune"
            text = f"{which} are for stack files"
            raise SwarmsimError(f"{text}; a scenario says its own cluster and `stack`")
        scenario = load(file, more=extra)
    scenario.switch(off, on)
    options += [f"--without {rule}" for rule in off] + [f"--with {rule}" for rule in on]
    scenario.options = " ".join(options)
    return scenario


def crash_entry(text: str) -> dict[str, Any]:
    """`w1@10s+30s`: the nodes, the moment, and how long; after an anchor the first plus belongs to the moment."""
    nodes, at, moment = text.partition("@")
    parts = [part.strip() for part in moment.split("+")]
    takes = 1 if moment[:1].isdigit() else 2
    if not nodes.strip() or not at or not all(parts) or len(parts) > takes + 1:
        raise SwarmsimError(f"--crash: `{text}` is not NODES@AT+FOR; write for instance w1@10s+30s")
    entry: dict[str, Any] = {"at": " + ".join(parts[:takes]), "crash": _nodes(nodes)}
    if len(parts) > takes:
        entry["for"] = parts[takes]
    return entry


def _nodes(text: str) -> str | list[str]:
    names = [name.strip() for name in text.split(",")]
    return names[0] if len(names) == 1 else names


def _room_for(*paths: str | None) -> None:
    """What will be written is said to be impossible before the run, not after it."""
    for path in paths:
        if path is None:
            continue
        folder = Path(path).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if Path(path).is_dir():
                raise IsADirectoryError(None, "it is a folder")
            if not os.access(folder, os.W_OK):
                raise PermissionError(None, "Permission denied")
        except OSError as error:
            raise SwarmsimError(f"{path}: cannot be written: {error.strerror}") from None


def _write(path: str, lines: Any) -> None:
    try:
        with open(path, "w", encoding="utf-8") as out:
            out.writelines(lines)
    except OSError as error:
        raise SwarmsimError(f"{path}: cannot be written: {error.strerror}") from None


def _report(result: Result, out: str, quiet: bool) -> None:
    from .scenario import report

    figure = _figure(result, out) if out else None
    report.print_run(result, quiet=quiet, figure=figure)


def _figure(result: Result, out: str) -> str:
    """Draw the figure of the run."""
    from . import plots

    path = Path(out) / f"{result.scenario.name}-{result.seed}.svg"
    try:
        plots.save_run_figure(result, path)
    except OSError as error:
        raise SwarmsimError(f"{path}: cannot be written: {error.strerror}") from None
    return str(path)


# ---- test ------------------------------------------------------------------------------------------------


@app.command()
def test(
    paths: Annotated[list[str], typer.Argument(metavar="PATHS", help="Scenarios, and folders of them.")],
    seeds: Annotated[
        str | None, typer.Option(metavar="A..B", help="Seeds such as 1..5, or one; default: each file's own.")
    ] = None,
    twice: Annotated[bool, typer.Option("--twice", help="Repeat each first seed in another process.")] = False,
    junit: Annotated[str | None, typer.Option(metavar="FILE", help="Write a report in JUnit's XML.")] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, max=1000, help="Processes; default: one for each processor.")
    ] = None,
) -> int:
    """Run scenarios under many seeds, in parallel."""
    import time

    from .scenario import suite

    _room_for(junit)
    wanted = parse_seeds(seeds) if seeds is not None else None
    scenarios, stacks = suite.collect(paths)
    if not scenarios:
        raise SwarmsimError(f"nothing to run: no scenario in {', '.join(paths)}; write the path of one")
    started = time.perf_counter()
    reports = _run_suite(scenarios, wanted, twice, jobs)
    for stack in stacks:
        print(f"skipped, a stack file: {stack}")
    code = suite.exit_code(reports)
    print(suite.summary(reports, time.perf_counter() - started, code))
    if junit is not None:
        _write(junit, [suite.junit(reports)])
    return code


def parse_seeds(text: str) -> list[int]:
    """`7`, or `1..5`."""
    first, dots, last = text.partition("..")
    if not first.isdigit() or (dots and not last.isdigit()):
        raise SwarmsimError(f"--seeds: `{text}` is no range of seeds; write 1..5, or 7")
    low, high = int(first), int(last or first)
    if high < low:
        raise SwarmsimError(f"--seeds: `{text}` is backwards; write {high}..{low}")
    if high > SEED_MOST or high - low >= 1_000_000:
        raise SwarmsimError(f"--seeds: `{text}` is too much; write at most a million seeds, up to 2^63-1")
    return list(range(low, high + 1))


def _run_suite(files: list[str], seeds: list[int] | None, twice: bool, jobs: int | None) -> list[FileReport]:
    from .scenario import suite

    width = max(len(file) for file in files) + 2
    reports = []
    if not sys.stderr.isatty():
        for report in suite.run_all(files, seeds, twice, lambda done, total: None, jobs):
            reports.append(_told(report, width))
        return reports
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        runs = bar.add_task("runs", total=None)

        def progress(done: int, total: int) -> None:
            bar.update(runs, completed=done, total=total)

        for report in suite.run_all(files, seeds, twice, progress, jobs):
            reports.append(_told(report, width))
    return reports


def _told(report: FileReport, width: int) -> FileReport:
    print(f"{report.file:<{width}}{report.state:<9}{report.head()}".rstrip())
    for line in report.details():
        print(f"  {line}")
    return report


# ---- shrink ----------------------------------------------------------------------------------------------


@app.command(short_help="Make a scenario that fails smaller.")
def shrink(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A scenario that fails.")],
    seed: Annotated[
        int | None, typer.Option(min=0, max=SEED_MOST, help="The seed under which it fails; default: the file's.")
    ] = None,
    out: Annotated[
        str | None, typer.Option(metavar="FILE", help="The smaller scenario; default: beside it, as NAME.small.yaml.")
    ] = None,
) -> int:
    """Leave out of a scenario what its failure does not need, and write what is left. Never overwrites."""
    from .explore.shrink import as_file, left
    from .explore.shrink import shrink as smaller
    from .scenario.loader import load

    scenario = load(file)
    path = out or str(Path(file).with_suffix(".small.yaml"))
    _room_for(path)
    if Path(path).exists():
        raise SwarmsimError(f"{path}: is there already, and is not overwritten; write --out and another name")
    scenario.of_words(scenario.words, path)  # the files that it names must be found from there, too
    seed = scenario.seed if seed is None else seed
    found = smaller(scenario, seed, _shrinking())
    if found is None:
        raise SwarmsimError(f"{file}: passes under seed {seed}; write --seed and one under which it fails")
    said = left(scenario.words, found.words)
    question = [f"Question: {scenario.question}"] if scenario.question else []
    _write(path, [as_file(found.words, [*question, f"Source:   {file} under seed {seed}, {said}"])])
    for verdict in found.result.verdicts:
        if not verdict.passed:
            print(verdict)
    print(f"{path} written after {found.runs} runs: {said}")
    print(f"again: swarmsim run {shlex.quote(path)} --seed {seed}")
    return 0


def _shrinking() -> Callable[[int, int], None] | None:
    """On a terminal, how far it has come."""
    if not sys.stderr.isatty():
        return None
    return lambda runs, left: print(f"\r\033[K{runs} runs, {left} entries left", end="\r", file=sys.stderr, flush=True)


# ---- experiment ------------------------------------------------------------------------------------------


@app.command(short_help="Do a published Raft experiment again.")
def experiment(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="V1 to V6; `swarmsim list experiments` says what they are.")
    ],
    runs: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, help="Runs of each curve; default: its own, for minutes.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, max=1000, help="Processes; default: one for each processor.")
    ] = None,
) -> int:
    """Do a published experiment with Raft again, and print ours beside theirs."""
    from .explore.experiments import EXPERIMENTS

    found = EXPERIMENTS.get(name.upper())
    if found is None:
        raise SwarmsimError(f"unknown experiment `{name}`; there are {', '.join(EXPERIMENTS)}")
    table = found.table(found.samples(runs, workers=jobs, told=_telling()))
    print(f"{table}\nsource: {found.source}")
    return 0 if table.held else 1


def _telling() -> Callable[[str, int, int], None] | None:
    """On a terminal, how far it has come."""
    if not sys.stderr.isatty():
        return None

    def told(curve: str, done: int, of: int) -> None:
        print(f"\r\033[K{curve}: {done} of {of} runs", end="\r" if done == of else "", file=sys.stderr, flush=True)

    return told


# ---- validate, new, schema, list -------------------------------------------------------------------------


@app.command(short_help="Find what is wrong in files, without a run.")
def validate(
    files: Annotated[list[str], typer.Argument(metavar="FILES", help="Scenarios, stack files, folders.")],
    env: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="A variable for the stack files.")] = None,
    stand_in: Annotated[
        bool, typer.Option("--stand-in", help="Take files that stack files name, and that are missing, as empty.")
    ] = False,
) -> int:
    """Find everything that is wrong in files, without running them."""
    from .scenario import suite
    from .scenario.loader import load, load_stack_file

    scenarios, stacks = suite.collect(files)
    if not scenarios and not stacks:
        raise SwarmsimError(f"nothing to validate: no file in {', '.join(files)}")
    bad = 0
    for file in [*scenarios, *stacks]:
        try:
            plain = Plain(3, 3, [], env or [], stand_in)
            scenario = load_stack_file(file, 3, 3, **plain.words()) if file in stacks else load(file)
        except SwarmsimError as error:
            print(error, file=sys.stderr)
            bad += 1
            continue
        for warning in scenario.warnings:
            print(f"{file}: warning: {warning}")
        print(f"{file}: OK, {_said(scenario)}" + (" (a stack file)" if file in stacks else ""))
    return MISTAKE if bad else 0


def _said(scenario: Scenario) -> str:
    from .scenario.words import count_of

    nodes = f"{count_of(len(scenario.managers), 'manager')}, {count_of(len(scenario.workers), 'worker')}"
    many = len(scenario.timeline)
    entries = f"{many} entr{'y' if many == 1 else 'ies'}, {count_of(len(scenario.expect), 'expectation')}"
    return f"{nodes}, {count_of(len(scenario.services), 'service')}, {entries}"


@app.command()
def new(file: Annotated[str, typer.Argument(metavar="FILE", help="The file to begin.")]) -> int:
    """Begin a scenario: a commented file that runs. Never overwrites."""
    path = Path(file)
    if path.suffix not in (".yaml", ".yml"):
        raise SwarmsimError(f"{file}: a scenario's name ends with .yaml; write {file}.yaml")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "x", encoding="utf-8") as out:
            out.write(STARTER)
    except FileExistsError:
        raise SwarmsimError(f"{file}: is there already, and is not overwritten; write another name") from None
    except OSError as error:
        raise SwarmsimError(f"{file}: cannot be written: {error.strerror}") from None
    print(f"{file} begun; run it: swarmsim run {shlex.quote(file)}")
    return 0


@app.command()
def schema() -> int:
    """Print the JSON Schema of scenario files, for editors."""
    import json

    from .scenario.schema import json_schema

    print(json.dumps(json_schema(), indent=2, sort_keys=True))
    return 0


@app.command("list", short_help="List rules, faults, checks, events and more.")
def list_(what: Annotated[What, typer.Argument(metavar="WHAT", help=", ".join(w.value for w in What))]) -> int:
    """List the faults, steps, checks, rules, figures, scenarios, events or experiments there are."""
    rows = _LISTS[what]()
    width = max((len(name) for name, _ in rows), default=0)
    for name, text in rows:
        print(f"{name:<{width}}  {text}".rstrip())
    return 0


def _faults() -> list[tuple[str, str]]:
    from .faults import FAULTS

    return [(fault.verb, first_line(fault)) for fault in FAULTS]


def _steps() -> list[tuple[str, str]]:
    from .workload import STEPS

    return [(step.verb, first_line(step)) for step in STEPS]


def _checks() -> list[tuple[str, str]]:
    from .checks import CHECKS

    return [(str(getattr(check, "name", check)), first_line(check)) for check in CHECKS]


def _rules() -> list[tuple[str, str]]:
    """What `without:` can switch off, what it protects, and where to read of it; of a quirk, what it is."""
    from .ablation import RULES

    return [(name, rule.said) for name, rule in RULES.items()]


def _figures() -> list[tuple[str, str]]:
    from .plots import FIGURES

    return [(name, first_line(figure)) for name, figure in FIGURES.items()]


def _scenarios() -> list[tuple[str, str]]:
    """Those in ./scenarios, with their question."""
    from .scenario.loader import questions

    return questions("scenarios")


def _experiments() -> list[tuple[str, str]]:
    from .explore.experiments import EXPERIMENTS

    return [(name, found.title) for name, found in EXPERIMENTS.items()]


def _events() -> list[tuple[str, str]]:
    from .trace.recorder import describe_events

    return describe_events()


_LISTS = {
    What.faults: _faults,
    What.steps: _steps,
    What.checks: _checks,
    What.rules: _rules,
    What.figures: _figures,
    What.scenarios: _scenarios,
    What.events: _events,
    What.experiments: _experiments,
}


def first_line(thing: Any) -> str:
    """The first line of its docstring."""
    return (thing.__doc__ or "").strip().split("\n")[0]


STARTER = """\
# Question: what do you want to know?
# Expect:   what should happen, and when.
# Source:   why you believe so: a paper, SwarmKit's code, an incident.
#
# The language: docs/SCENARIOS.md. Check this file with `swarmsim validate`, run it with `swarmsim run`.
duration: 60s
cluster:
  managers: 3                   # m1 m2 m3; m1 leads at 0s
  workers: 3                    # w1 w2 w3
services:                       # in Compose's own words; created at 0s
  web:
    image: nginx:1.27
    deploy: {replicas: 6}
    x-sim: {pull: 1s..3s}       # how its containers behave: pull, start, stop, run, exit, on_stop
timeline:                       # what operators do and what goes wrong; each entry has one verb
  - {at: steady + 5s, crash: one of workers, for: 20s}
  # - {at: crash.end + 2s, scale: web, replicas: 9}
expect:                         # what must hold besides the checks that always run
  - {service: web, running: 6, within: 30s, after: crash}
  - {leader_changes: 0}
"""


# ---- the door --------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and give its exit code; whatever happens, no traceback."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _dispatch(arguments)
        sys.stdout.flush()
        return code
    except SwarmsimError as error:
        print(error, file=sys.stderr)
        return MISTAKE
    except KeyboardInterrupt:
        print(("\r\033[K" if sys.stderr.isatty() else "") + "interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `swarmsim run … | head`: who reads has had enough
        _write_no_more()
        return UNREAD
    except OSError as error:
        if error.filename is not None or error.errno not in _FULL:
            return _bug(error, arguments)
        _write_no_more()
        print(f"the output cannot be written: {error.strerror}", file=sys.stderr)
        return MISTAKE
    except Exception as error:
        return _bug(error, arguments)


#: What befalls an output that is no terminal. Files that are asked for say so with their names.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _write_no_more() -> None:
    """What is left in the buffer would fail again when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


#: typer brings its own click, and has not always; its base of all usage errors is found through what typer exports.
_UsageError: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


def _dispatch(arguments: list[str]) -> int:
    try:
        code = int(app(arguments, prog_name="swarmsim", standalone_mode=False) or 0)
        if code == INTERRUPTED:  # so typer says that it caught Ctrl-C
            raise KeyboardInterrupt
        return code
    except typer.Exit as error:
        return error.exit_code
    except typer.Abort:
        raise KeyboardInterrupt from None
    except SystemExit:  # and so that nobody reads any more
        raise BrokenPipeError from None
    except _UsageError as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "swarmsim"
        text = error.format_message()
        if type(error).__name__ == "NoArgsIsHelpError":
            print(text)
        else:
            print(f"{command}: {text.rstrip('.')}; see {command} --help", file=sys.stderr)
        return MISTAKE


def _bug(error: Exception, arguments: list[str]) -> int:
    """An unexpected exception is a bug of ours: said shortly, with the command that repeats it."""
    from .scenario.bugs import bug_said

    if os.environ.get("SWARMSIM_TRACEBACK"):
        import traceback

        traceback.print_exception(error)
    print(f"a bug in swarmsim: {bug_said(error)}", file=sys.stderr)
    print("please report it with the file it ran; SWARMSIM_TRACEBACK=1 shows more", file=sys.stderr)
    print(f"again: {shlex.join(['swarmsim', *arguments])}", file=sys.stderr)
    return BUG


if __name__ == "__main__":
    sys.exit(main())
