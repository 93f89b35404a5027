"""The verdicts as a page shows them: state, name, what was seen, aligned; details below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .grid import WIDTH, Line, wrap

if TYPE_CHECKING:
    from ..checks.verdict import Verdict

STATE_WIDTH = 9
NAME_MOST = 44  # of a verdict's name, before what was seen goes to a line of its own


@dataclass
class Judged:
    """One line of verdicts."""

    state: str
    name: str
    seen: str
    details: Sequence[str] = ()


def verdicts(found: Sequence[Verdict], file: str) -> list[Line]:
    """Aligned: state, name, what was seen. What is always checked and holds shares one line."""
    quiet = [v for v in found if v.always and v.passed and v.seen == "always checked"]
    judged = [_judged(v, file) for v in found if v not in quiet]
    if quiet:
        judged.append(Judged("PASS", ", ".join(v.name for v in quiet), quiet[0].seen))
    width = max((len(j.name) for j in judged if len(j.name) <= NAME_MOST), default=0) + 4
    return [line for j in judged for line in _verdict_lines(j, width)]


def _judged(verdict: Verdict, file: str) -> Judged:
    details = list(verdict.details)
    if not verdict.passed and verdict.line:
        details.append(f"{file}:{verdict.line}")
    return Judged(str(verdict.state), verdict.name, verdict.seen, details)


def _verdict_lines(j: Judged, width: int) -> list[Line]:
    at = STATE_WIDTH + width
    head = f"{j.state:<{STATE_WIDTH}}{j.name}"
    seen = wrap(j.seen, WIDTH - at) or [""]
    if len(j.name) + 4 > width:
        out = [*wrap(head, WIDTH, then=" " * STATE_WIDTH), *(" " * at + text for text in seen)]
    else:
        out = [f"{head:<{at}}{seen[0]}".rstrip(), *(" " * at + text for text in seen[1:])]
    for detail in j.details:
        indent = " " * (STATE_WIDTH + 2)
        out += wrap(detail, WIDTH, indent, indent + "  ")
    return [Line(text) for text in out]
