"""The columns of the printed timeline: which nodes get one, and what stands in it (SCENARIOS.md section 11).

A cell is filled when something changes there; a line leads the eye on, a gap is an outage. At most 100 characters wide.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..trace.events import FaultStarted
from .ledger import Ledger
from .selectors import Many, Names

if TYPE_CHECKING:
    from .loader import Scenario

Micros = int

WIDTH = 100
TEXT_LEAST = 48  # for words beside the columns
NAME_SHORT, NAME_MOST = 8, 12  # of a column's head: so long is fine, so long is all
LEAD, CUT, GAP = "│", "┊", " "
OFF, DOWN, UNKNOWN = "×", "D", "?"


_UNIT = re.compile(r"(?<=\d) (?=(s|ms|min|h|d)\b)")


def wrap(text: str, width: int, first: str = "", then: str = "") -> list[str]:
    """Lines of at most `width`; a number stays with its unit."""
    kept = _UNIT.sub("\u00a0", text)
    lines = textwrap.wrap(kept, width, initial_indent=first, subsequent_indent=then, break_on_hyphens=False)
    return [line.replace("\u00a0", " ") for line in lines]


class Line(NamedTuple):
    """One printed line. `cells`: where the columns end, for those who colour them; 0: it has none."""

    text: str
    cells: int = 0


class Grid:
    """Fills one line after the other, in order of time: it remembers what each column said last."""

    def __init__(self, ledger: Ledger, scenario: Scenario | None, least: int = TEXT_LEAST) -> None:
        self.ledger = ledger
        names = list(ledger.nodes)
        self.clock = max(8, len(f"{ledger.end / 1e6:.3f}"))
        heads = dict(zip(names, short_names(names), strict=True))
        numbers = [n.term for n in ledger.nodes.values()] if ledger.only_raft else ledger.history.running_on.values()
        digits = max((len(str(max(s.values))) for s in numbers), default=1)
        self._digits = digits
        room = WIDTH - self.clock - 2 - least
        self.shown = chosen(names, urgent(ledger, scenario), lambda n: self._width(heads[n]), room)
        self.hidden = [n for n in names if n not in self.shown]
        self.heads = [heads[n] for n in self.shown] + ([f"+{len(self.hidden)}"] if self.hidden else [])
        self.widths = [self._width(head) for head in self.heads]
        self.text_at = self.clock + 2 + sum(self.widths)
        self._said: dict[str, str] = {}
        self._at: Micros = 0
        self.marks: dict[str, None] = {}  # UNKNOWN and CUT, if they stood anywhere

    def _width(self, head: str) -> int:
        """Of a column: its head and two blanks, or `DL2` and one."""
        return max(5, len(head) + 2, 3 + self._digits)

    def head(self) -> Line:
        heads = "".join(h.ljust(w) for h, w in zip(self.heads, self.widths, strict=True))
        return Line(f"{'seconds':>{self.clock}}  {heads}".rstrip())

    def row(self, at: Micros, seen: Micros, mark: str, texts: Sequence[str], full: bool = False) -> list[Line]:
        """A moment: its time, what changed in the columns up to `seen`, its words, and lines below for more words."""
        self._at = max(self._at, at, seen)
        cells = [self._cell(name, full) for name in self.shown]
        if self.hidden:
            cells.append(self._rest(full))
        first, *more = texts
        words = self._wrapped(f"{mark} {first}" if mark else first, "    ")
        out = [self._line(f"{at / 1e6:.3f}", cells, words[0])]
        leads = self._leads()
        out += [self._line("", leads, word) for word in words[1:]]
        for text in more:
            out += [self._line("", leads, word) for word in self._wrapped("  " + text, "    ")]
        return out

    def _wrapped(self, text: str, indent: str) -> list[str]:
        start = re.match(r" *", text)
        before = start[0] if start else ""
        room = WIDTH - self.text_at
        return wrap(text.strip(), room, before, indent) or [""]

    def _line(self, clock: str, cells: list[str], words: str) -> Line:
        body = "".join(c.ljust(w) for c, w in zip(cells, self.widths, strict=True))
        return Line(f"{clock:>{self.clock}}  {body}{words}".rstrip(), self.text_at)

    def _leads(self) -> list[str]:
        return [self._lead(name) for name in self.shown] + ([LEAD] if self.hidden else [])

    def _lead(self, name: str) -> str:
        node = self.ledger.nodes[name]
        if self._at < node.since or not node.up.at(self._at):
            return GAP
        if node.links.at(self._at):
            self.marks[CUT] = None
            return CUT
        return LEAD

    def _cell(self, name: str, full: bool) -> str:
        text = cell(self.ledger, name, self._at)
        if self._said.get(name) == text and not full:
            return self._lead(name)
        self._said[name] = text
        if UNKNOWN in text:
            self.marks[UNKNOWN] = None
        return text

    def _rest(self, full: bool) -> str:
        """The nodes without a column: their containers."""
        text = f" {sum(self.ledger.running_on(n, self._at) for n in self.hidden)}"
        if self._said.get("") == text and not full:
            return LEAD
        self._said[""] = text
        return text


def cell(ledger: Ledger, name: str, at: Micros) -> str:
    """`L2`, ` 4`, `×`, `D`: what one node is at that time; the number is a term where a Raft group is all there is."""
    node = ledger.nodes[name]
    if at < node.since:
        return GAP  # it joins later
    if ledger.only_raft:
        return f"{node.role.at(at)}{node.term.at(at)}" if node.up.at(at) else OFF
    mark, number = node.mark.at(at), ledger.running_on(name, at)
    if not node.up.at(at):
        return (DOWN if mark == DOWN else OFF) + (str(number) if number else "")  # where only the engine is off
    role = node.role.at(at)
    return f"{mark}{role}{number}" if role else f"{mark or ' '}{number}"


# ---- which nodes, under which heads -----------------------------------------------------------------------


def chosen(names: list[str], order: list[str], width: Any, room: int) -> list[str]:
    """As many as fit, the first of `order` first; in the cluster's order. The rest needs a column, too."""
    if sum(width(n) for n in names) <= room:
        return names
    room -= max(5, len(f"+{len(names)}") + 2)
    kept = []
    for name in order:
        need = width(name)
        if need > room:
            break
        kept.append(name)
        room -= need
    return [n for n in names if n in kept]


def urgent(ledger: Ledger, scenario: Scenario | None) -> list[str]:
    """All nodes, those first that the reader looks for: managers, nodes that the file names, nodes that were hit."""
    first = [m.name for m in ledger.managers()]
    named = named_nodes(scenario) if scenario is not None else []
    hit = [n for r in ledger.trace.of(FaultStarted) if r.event.kind != "kill" for n in r.event.nodes]
    order = dict.fromkeys([*first, *named, *hit, *ledger.nodes])
    return [n for n in order if n in ledger.nodes]


def named_nodes(scenario: Scenario) -> list[str]:
    """Nodes that the entries and expectations of the file name one by one."""
    found: list[str] = []
    for entry in scenario.timeline:
        for aim in entry.aims.values():
            found += _names(aim)
    for expectation in scenario.expect:
        found += _names(expectation.target)
    return found


def _names(selector: Any) -> list[str]:
    if isinstance(selector, Many):
        return [name for part in selector.parts for name in _names(part)]
    return list(selector.names) if isinstance(selector, Names) else []


def short_names(names: list[str]) -> list[str]:
    """Heads of columns: long host names without the domain and the beginning that all share, and cut in front."""
    if max(map(len, names), default=0) <= NAME_SHORT:
        return names
    short = [n.split(".")[0] for n in names]
    if len(set(short)) < len(names):
        short = names
    shared = len(_shared([re.findall(r"[^-.]*[-.]?", n) for n in short]))
    short = ["…" + n[shared:] if shared > 1 else n for n in short]
    cut = [n if len(n) <= NAME_MOST else "…" + n[1 - NAME_MOST :] for n in short]
    return cut if len(set(cut)) == len(names) else [f"node{i + 1}" for i in range(len(names))]


def _shared(parted: list[list[str]]) -> str:
    """The parts with which all names begin; each keeps one of its own."""
    out = ""
    for parts in zip(*parted, strict=False):
        if len(set(parts)) > 1 or not parts[0].endswith(("-", ".")):
            break
        out += parts[0]
    return out
