"""From a scenario's words to what the evaluators take: moments become microseconds, selectors become names.

Anchors and targets are read from the trace: an entry began when its fault started or its step was sent. The scenario is
known by its shape alone (`ScenarioLike`), for checks stand below the language.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from ..trace.events import EntryNotFired, SteadyReached
from ..trace.recorder import Recorded
from .history import History
from .verdict import Counts, Entry, Expectation, Handlers, Micros


class MomentLike(Protocol):
    @property
    def anchor(self) -> str | None: ...
    @property
    def low(self) -> Micros: ...
    @property
    def entry(self) -> str | None: ...
    @property
    def at_end(self) -> bool: ...


class ExpectedLike(Protocol):
    """`scenario.schema.Expectation`."""

    line: int
    text: str
    subject: str
    target: Any
    aspect: str
    counts: Counts | None
    state: str
    error: str
    within: tuple[Micros, Micros] | None
    after: Any
    from_: Any
    until: Any
    bound: Micros | None
    waived: bool
    check: str


class ScenarioLike(Protocol):
    """`scenario.loader.Scenario`: what it expects, its entries, and which entry an anchor means."""

    @property
    def expect(self) -> Sequence[Any]: ...
    @property
    def timeline(self) -> Sequence[Any]: ...
    @property
    def moments(self) -> Any: ...


class Binding:
    """Hears when anchors come; `expectations` and `entries` are for after the run."""

    def __init__(self, scenario: ScenarioLike, history: History) -> None:
        self.scenario = scenario
        self.history = history
        self.steady: Micros | None = None
        self.not_fired: dict[str, str] = {}
        self.handlers: Handlers = {SteadyReached: self._steady, EntryNotFired: self._not_fired}

    def _steady(self, recorded: Recorded) -> None:
        if self.steady is None:
            self.steady = recorded.at

    def _not_fired(self, recorded: Recorded) -> None:
        self.not_fired[recorded.event.entry] = recorded.event.reason

    def entries(self) -> list[Entry]:
        return [Entry(e.label, e.line, getattr(e.what, "refused", None) or "") for e in self.scenario.timeline]

    def expectations(self) -> list[Expectation]:
        return [self._bind(words) for words in self.scenario.expect]

    def _bind(self, words: ExpectedLike) -> Expectation:
        missing: list[str] = []
        names = self._names(words, missing)
        after, from_, until = (self._moment(m, missing) for m in (words.after, words.from_, words.until))
        wanted: Counts | str | None = words.counts if words.counts is not None else words.state or words.check
        return Expectation(
            words.subject,
            names,
            words.aspect,
            wanted,
            words.text,
            words.line,
            words.within,
            after,
            from_ or 0,
            until,
            words.after is None and words.from_ is None and words.until is None,
            words.error,
            words.bound,
            words.waived,
            missing[0] if missing else "",
            state=words.state,
        )

    def condition(self, words: Any) -> Expectation:
        """What a trigger waits for, with the names that can be found by now."""
        return self._bind(words)

    def _moment(self, moment: MomentLike | None, missing: list[str]) -> Micros | None:
        if moment is None:
            return None
        at: Micros | None = 0
        if moment.entry is not None:
            label = self.scenario.moments.find(moment.entry).label
            at = (self.history.ended if moment.at_end else self.history.began).get(label)
            if at is None:
                missing.append(self._never(label, moment))
        elif moment.anchor is not None:
            at = self.steady
            if at is None:
                missing.append("`steady` never came")
        return None if at is None else at + moment.low

    def _never(self, label: str, moment: MomentLike) -> str:
        if label in self.not_fired:
            return f"`{label}` did not fire: {self.not_fired[label]}"
        return f"`{label}` did not end before the run did" if moment.at_end else f"`{label}` did not fire"

    def _names(self, words: ExpectedLike, missing: list[str]) -> tuple[str, ...]:
        if words.target is None:
            return ()
        if isinstance(words.target, str):
            return (words.target,)
        names: dict[str, None] = {}
        for part in _flat(words.target):
            entry = getattr(part, "entry", None)
            if entry is None:
                names.update(dict.fromkeys(part.names))
                continue
            label = self.scenario.moments.find(entry).label
            if label in self.history.hit:
                names.update(dict.fromkeys(self.history.hit[label]))
            else:
                missing.append(self._not_hit(label))
        return tuple(names)

    def _not_hit(self, label: str) -> str:
        reason: Mapping[str, str] = self.not_fired
        return f"`{label}` did not fire: {reason[label]}" if label in reason else f"`{label}` did not fire"


def _flat(selector: Any) -> Iterable[Any]:
    parts = getattr(selector, "parts", None)
    return [leaf for part in parts for leaf in _flat(part)] if parts is not None else [selector]
