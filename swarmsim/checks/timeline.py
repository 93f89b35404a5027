"""*timeline*: every entry fired; no step was refused without `refused`, none was accepted in spite of it.

What did not fire is UNKNOWN, for nothing was learnt; what fired and was answered otherwise than the file says is FAIL.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..trace.events import EntryNotFired, FaultStarted, StepAnswered, StepSent
from ..trace.recorder import Recorded
from .verdict import FAIL, NOTHING_SEEN, PASS, UNKNOWN, Entry, Handlers, Micros, State, Verdict, seconds


class Timeline:
    """Every entry fired; no step was refused without `refused`, none accepted in spite of it."""

    name = "timeline"

    def __init__(self, entries: Sequence[Entry] = ()) -> None:
        self._entries = {entry.label: entry for entry in entries}
        self._fired: dict[str, None] = {}
        self._waiting: dict[tuple[str, str], tuple[str, Micros]] = {}
        self._unknown: list[tuple[str, int]] = []
        self._wrong: list[tuple[str, int]] = []
        self.handlers: Handlers = {
            EntryNotFired: self._not_fired,
            FaultStarted: self._started,
            StepSent: self._sent,
            StepAnswered: self._answered,
        }

    def verdict(self, end: Micros) -> Verdict:
        unknown = list(self._unknown)
        for (label, target), (verb, at) in self._waiting.items():
            text = f"`{label or f'{verb} {target}'}` was sent at {seconds(at)} and not answered before the end"
            unknown.append((text, self._line(label)))
        for label, entry in self._entries.items():
            if label not in self._fired:
                unknown.append((f"`{label}` did not fire", entry.line))
        found = self._wrong + unknown
        if not found:
            return Verdict(self.name, PASS, NOTHING_SEEN, always=True)
        state: State = FAIL if self._wrong else UNKNOWN
        text, line = found[0]
        return Verdict(self.name, state, text, line, tuple(text for text, _ in found[1:]), always=True)

    def _line(self, label: str) -> int:
        entry = self._entries.get(label)
        return entry.line if entry else 0

    def _not_fired(self, recorded: Recorded) -> None:
        e: EntryNotFired = recorded.event
        self._fired[e.entry] = None
        self._unknown.append((f"`{e.entry}` did not fire: {e.reason}", self._line(e.entry)))

    def _started(self, recorded: Recorded) -> None:
        self._fired[recorded.event.entry] = None

    def _sent(self, recorded: Recorded) -> None:
        e: StepSent = recorded.event
        self._fired[e.entry] = None
        self._waiting[e.entry, e.target] = (e.verb, recorded.at)

    def _answered(self, recorded: Recorded) -> None:
        e: StepAnswered = recorded.event
        self._waiting.pop((e.entry, e.target), None)
        entry = self._entries.get(e.entry)
        wanted = entry.refused if entry else ""
        what = f"`{e.entry}`" if e.entry else f"{e.verb} {e.target}"
        if not wanted and e.error:
            text = f"{what} was refused at {seconds(recorded.at)}: {e.error}"
        elif wanted and not e.error:
            text = f"{what} was accepted at {seconds(recorded.at)}, not refused with `{wanted}`"
        elif wanted not in e.error:
            text = f"{what} was refused at {seconds(recorded.at)} with another text than `{wanted}`: {e.error}"
        else:
            return
        self._wrong.append((text, self._line(e.entry)))
