"""What `swarmsim run` prints (SCENARIOS.md section 11): it reads like an incident report.

    lines(result, figure)     the page: question, timeline, verdicts, services that fell short, docker's tables, the end
    quiet_lines(result)       the verdicts that are not PASS, and the last two lines
    print_run(result)         prints either; colour only on a terminal, where it repeats what a letter says

The parts: `ledger` (what was so when), `incident` (what is worth a line), `telling` (its words), `grid` (its columns),
`verdicts`, `aftermath` (services that fell short, docker's tables). All is read from the trace.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

from .aftermath import docker, services
from .grid import CUT, UNKNOWN, WIDTH, Grid, Line, wrap
from .incident import broken, gather, notes
from .ledger import Ledger
from .phrases import exact
from .telling import mark, tell
from .verdicts import STATE_WIDTH, verdicts
from .words import count_of

if TYPE_CHECKING:
    from .runner import Result

WARNINGS_MOST = 5


def print_run(result: Result, *, quiet: bool = False, figure: str | None = None, file: TextIO | None = None) -> None:
    """Print the page of a run, or with `quiet` what is not PASS."""
    out = sys.stdout if file is None else file
    page = quiet_lines(result, figure) if quiet else lines(result, figure)
    texts = [Line(spell(line.text, out), line.cells) for line in page]
    if out.isatty() and not os.environ.get("NO_COLOR"):
        _print_coloured(texts, out)
    else:
        out.writelines(line.text + "\n" for line in texts)


def lines(result: Result, figure: str | None = None) -> list[Line]:
    """The whole page."""
    ledger = Ledger(result.trace)
    blocks = [
        *head_and_timeline(result, ledger),
        verdicts(result.verdicts, result.scenario.file),
        services(ledger),
        docker(ledger),
        closing(result, figure),
    ]
    return _joined([block for block in blocks if block])


def story(result: Result) -> str:
    """The page down to the end of the run, without verdicts and tables: for notebooks, `swarmsim.story(result)`."""
    return "\n".join(line.text for line in _joined(head_and_timeline(result, Ledger(result.trace))))


def quiet_lines(result: Result, figure: str | None = None) -> list[Line]:
    bad = [v for v in result.verdicts if not v.passed]
    return [*verdicts(bad, result.scenario.file), *closing(result, figure)]


def _joined(blocks: list[list[Line]]) -> list[Line]:
    """The blocks, a blank line between them; what is untouched stands close to the last lines."""
    out: list[Line] = []
    for block in blocks:
        out += [Line(""), *block] if out else block
    return out


# ---- the head ---------------------------------------------------------------------------------------------


def header(result: Result) -> list[Line]:
    scenario = result.scenario
    question = wrap(scenario.question[:1].upper() + scenario.question[1:], WIDTH)
    facts = [
        scenario.name,
        f"seed {result.seed}",
        simulated(result.ended_at),
        _nodes_said(scenario),
        *_services_said(result),
    ]
    shown = scenario.warnings[:WARNINGS_MOST]
    warned = [line for text in shown for line in wrap(f"warning: {text}", WIDTH, then="  ")]
    if len(scenario.warnings) > len(shown):
        warned.append(f"warning: {len(scenario.warnings) - len(shown)} more; swarmsim validate shows all")
    return [Line(text) for text in [*question, *wrap(" · ".join(facts), WIDTH), *_rules_off(result), *warned]]


def _rules_off(result: Result) -> list[str]:
    """What each rule that is off protects, and where to read of it; what the author of the file says will happen."""
    from ..ablation import RULES

    scenario = result.scenario
    said = [f"without {name}: {RULES[name].said}" for name in scenario.without]
    said += [f"with {name}, which the file leaves off: {RULES[name].said}" for name in scenario.restored]
    if scenario.without and scenario.expectation and not scenario.restored:
        said.append(f"expected: {scenario.expectation}")
    return [line for text in said for line in wrap(text, WIDTH, then="  ")]


def _nodes_said(scenario: Any) -> str:
    managers, workers = len(scenario.managers), len(scenario.workers)
    if scenario.cluster.only:
        return f"a Raft group by itself, {count_of(managers, 'server')}"
    return f"{count_of(managers, 'manager')}, {count_of(workers, 'worker')}"


def _services_said(result: Result) -> list[str]:
    from ..workload.create import describe

    specs = result.scenario.services
    if not specs:
        return []
    said = [f"{name} {_size(describe(spec))}" for name, spec in specs.items()]
    return [", ".join(said) if len(said) <= 4 else f"{len(said)} services"]


def _size(described: str) -> str:
    """`×12`, `global`, `job of 5`."""
    size = described.split(" × ", maxsplit=1)[0]
    return f"×{size}" if size.isdigit() else size


def simulated(us: int) -> str:
    """`60 s`, `47.6 s`, `1 h 30 min`: how long the run was."""
    return f"{us / 1e6:.1f}".removesuffix(".0") + " s" if us < 600_000_000 else exact(us - us % 1_000_000)


def legend(grid: Grid) -> list[Line]:
    alone = grid.ledger.only_raft
    said = ["number: the term" if alone else "number: containers that run"]
    said += ["L leader  F follower  C candidate", "× off", *([] if alone else ["D marked DOWN"])]
    said += ["? UNKNOWN"] * (UNKNOWN in grid.marks) + [f"{CUT} links disturbed"] * (CUT in grid.marks)
    out = [said[0]]
    for word in said[1:]:
        if len(out[-1]) + 3 + len(word) <= WIDTH:
            out[-1] += f" · {word}"
        else:
            out.append(word)
    return [Line(text) for text in out]


# ---- the timeline -----------------------------------------------------------------------------------------


def head_and_timeline(result: Result, ledger: Ledger) -> list[list[Line]]:
    """The legend stands with the head, and is known when the rows are."""
    if ledger.ready is None:
        return [header(result)]
    grid = Grid(ledger, result.scenario)
    rows: list[Line] = []
    wrong = [one for verdict in result.verdicts for one in verdict.broken]
    for group in gather([*notes(ledger), *broken(wrong)]):
        seen = min(group.last, group.at + 100_000)
        full = group.kind in ("ready", "steady", "end")
        rows += grid.row(group.at, seen, mark(group), tell(group, ledger), full)
    return [[*header(result), *legend(grid)], [grid.head(), *rows]]


# ---- the last two lines -------------------------------------------------------------------------------------


def closing(result: Result, figure: str | None) -> list[Line]:
    passed = sum(v.passed for v in result.verdicts)
    facts = [
        f"{passed} of {count_of(len(result.verdicts), 'check')}",
        f"{simulated(result.ended_at)} in {result.took:.2f} s",
        f"digest {result.digest[:12]}",
        *([f"figure {figure}"] if figure else []),
    ]
    return [Line(f"{result.state:<{STATE_WIDTH}}{'   '.join(facts)}"), Line(f"again: {result.again}")]


# ---- letters and colours ------------------------------------------------------------------------------------

#: One letter for one, that columns stay in line; only the arrow, which stands among words, gets two.
_PLAIN = str.maketrans({"│": "|", "┊": ":", "×": "x", "✗": "X", "·": "-", "…": "~", "→": "->"})


def spell(text: str, out: TextIO) -> str:
    """The text in letters that `out` can write."""
    encoding = getattr(out, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return text.translate(_PLAIN).encode("ascii", "replace").decode("ascii")
    return text


_STATES = {"PASS": "green", "FAIL": "bold red", "UNKNOWN": "yellow"}


def _print_coloured(page: Sequence[Line], out: TextIO) -> None:
    from rich.console import Console

    console = Console(file=out, highlight=False, soft_wrap=True)
    for line in page:
        console.print(_painted(line), markup=False)


def _painted(line: Line) -> Any:
    """Colours for what stands there anyway: verdicts, outages, leaders, who acts."""
    from rich.text import Text

    text = Text(line.text)
    state = line.text.split(" ", 1)[0]
    if state in _STATES:
        text.stylize(_STATES[state], 0, len(state))
    if line.cells:
        _paint_row(text, line)
    return text


def _paint_row(text: Any, line: Line) -> None:
    for i, letter in enumerate(line.text[: line.cells]):
        style = {"│": "dim", "┊": "yellow", "×": "bold red", "D": "red", "?": "yellow", "L": "green"}.get(letter)
        if style:
            text.stylize(style, i, i + 1)
    style = {">": "cyan", "!": "bold red", "✗": "bold red"}.get(line.text[line.cells : line.cells + 1], "")
    if style:
        text.stylize(style, line.cells, line.cells + 1)
