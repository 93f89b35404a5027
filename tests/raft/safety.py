"""What must hold of any group of Raft servers, whatever happens to them: the properties of the paper's Figure 3.

The judge sees every server after each step, keeps a history of its own, and uses nothing of the code it judges: an
entry is what it is by (index, term), a log is a list, a configuration is none of its business.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from zlib import crc32

ELECTION_SAFETY = "election safety"
LEADER_APPEND_ONLY = "leader append-only"
LOG_MATCHING = "log matching"
LEADER_COMPLETENESS = "leader completeness"
STATE_MACHINE_SAFETY = "state-machine safety"
LINEARIZABLE_READS = "linearizable reads"
MONOTONIC_STATE = "monotonic state"
PROGRESS = "progress"  # this and the next are for `calm`, when the storm is over
STABILITY = "stable leadership"


class Violation(Exception):
    """A property does not hold. It is no AssertionError, so that the core's own assertions stay apart."""

    step = 0  # of a walk, the first is 1

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        super().__init__(f"{name}: {text}")


class View(NamedTuple):
    """A server as seen from outside at one moment. `base_term` is the term of the entry before `first`."""

    id: int
    life: int  # counts restarts
    leads: bool
    term: int
    commit: int
    first: int
    base_term: int
    log: list[Any]  # entries from `first` on, each with term, index, type, data

    @property
    def last(self) -> int:
        return self.first + len(self.log) - 1

    def entry(self, index: int) -> Any:
        """The entry at `index`, or None where the log does not reach."""
        return self.log[index - self.first] if self.first <= index <= self.last else None


def chain(digest: int, entry: Any) -> int:
    """The state machine: what has been applied, as one number."""
    return crc32(f"{digest} {entry.index} {entry.term} {entry.data}".encode())


class Safety:
    def __init__(self) -> None:
        self.leader_of: dict[int, tuple[int, int]] = {}  # term -> (id, life)
        self.content: dict[tuple[int, int], tuple[int, Any]] = {}  # (index, term) -> (term before it, data)
        self.committed: dict[int, tuple[Any, int]] = {}  # index -> (entry, term in which it was seen committed)
        self.applied: dict[int, Any] = {}
        self.digests: dict[int, int] = {}  # index -> state machine after it
        self.seen: dict[int, View] = {}
        self.complete: dict[tuple[int, int, int], int] = {}  # a leader -> its log is complete up to here
        self.reads: dict[Any, int] = {}  # request -> what was committed when it was asked
        self.highest_commit = 0

    def begin(self, index: int, term: int, digest: int) -> None:
        """All servers begin with a snapshot at `index`."""
        self.highest_commit = index
        self.digests[index] = digest
        self.content[index, term] = (-1, None)

    def look(self, view: View) -> None:
        """Judge a server after a step of it."""
        before = self.seen.get(view.id)
        if before is not None and before.life != view.life:
            before = None
        self.seen[view.id] = view
        if before is not None:
            self._monotonic(before, view)
        if view.leads:
            self._one_leader(view)
            if before is not None and before.leads and before.term == view.term:
                self._append_only(before, view)
        if before is None or before.log != view.log:
            self._matching(view)
        if self._commit(view, before.commit if before else view.first - 1):
            for other in self.seen.values():
                self._complete(other)
        self._complete(view)

    def gone(self, id: int) -> None:
        """A server crashed: it leads no more."""
        self.seen.pop(id, None)

    # -- Figure 3, line by line --
    def _one_leader(self, view: View) -> None:
        me = (view.id, view.life)
        first = self.leader_of.setdefault(view.term, me)
        if first != me:
            raise Violation(ELECTION_SAFETY, f"{first[0]} and {view.id} lead in term {view.term}")

    def _append_only(self, before: View, view: View) -> None:
        cut = max(view.first - before.first, 0)
        kept = before.log[cut:]
        if view.last < before.last or view.log[: len(kept)] != kept:
            raise Violation(LEADER_APPEND_ONLY, f"leader {view.id} of term {view.term} changed its log")

    def _matching(self, view: View) -> None:
        """If (index, term) names one entry and one predecessor, logs that share an entry agree up to it."""
        term = view.base_term
        for entry in view.log:
            what = (term, (entry.type, entry.data))
            known = self.content.setdefault((entry.index, entry.term), what)
            if known != what:
                raise Violation(
                    LOG_MATCHING, f"{view.id} holds ({entry.index}, term {entry.term}) as {what}, another as {known}"
                )
            term = entry.term

    def _commit(self, view: View, before: int) -> bool:
        """State-machine safety, as soon as it is decided: what is committed at an index is the same for all."""
        grew = False
        for index in range(max(before + 1, view.first), view.commit + 1):
            entry = view.entry(index)
            if entry is None:
                raise Violation(STATE_MACHINE_SAFETY, f"{view.id} has committed {index}, which it does not hold")
            known, _ = self.committed.setdefault(index, (entry, view.term))
            self._same(known, entry, view.id)
            if index > self.highest_commit:
                self.highest_commit = index
                grew = True
        return grew

    def _same(self, known: Any, entry: Any, id: int) -> None:
        if known != entry:
            raise Violation(
                STATE_MACHINE_SAFETY,
                f"{id} has {entry.term} {entry.data!r} at {entry.index}, another has {known.term} {known.data!r}",
            )

    def _complete(self, view: View) -> None:
        """Entries committed in a term are in the log of the leaders of all later terms."""
        if not view.leads:
            return
        key = (view.id, view.life, view.term)
        upto = self.complete.get(key, view.first - 1)
        while upto < self.highest_commit:
            entry, term = self.committed.get(upto + 1, (None, view.term))
            if term < view.term and view.entry(upto + 1) != entry:
                raise Violation(
                    LEADER_COMPLETENESS,
                    f"leader {view.id} of term {view.term} lacks {upto + 1}, committed in term {term}",
                )
            upto += 1
        self.complete[key] = upto

    def _monotonic(self, before: View, view: View) -> None:
        """Figure 2: currentTerm and commitIndex increase monotonically (while the server runs)."""
        if view.term < before.term or view.commit < before.commit:
            raise Violation(
                MONOTONIC_STATE,
                f"{view.id} went from term {before.term}, commit {before.commit} to {view.term}, {view.commit}",
            )

    # -- the state machines --
    def apply(self, id: int, digest: int, entry: Any) -> int:
        """A server applies an entry; the digest of its state machine afterwards."""
        self._same(self.applied.setdefault(entry.index, entry), entry, id)
        digest = chain(digest, entry)
        self.restored(id, entry.index, digest)
        return digest

    def restored(self, id: int, index: int, digest: int) -> None:
        """A server's state machine has this digest at `index`."""
        if self.digests.setdefault(index, digest) != digest:
            raise Violation(STATE_MACHINE_SAFETY, f"the state of {id} at {index} is not that of others")

    def asked(self, request: Any) -> None:
        self.reads[request] = self.highest_commit

    def answered(self, id: int, request: Any, index: int) -> None:
        """A read must see all that was committed when it was asked (thesis 6.4)."""
        floor = self.reads[request]
        if index < floor:
            raise Violation(LINEARIZABLE_READS, f"a read at {id} sees {index}, {floor} was committed when it was asked")
