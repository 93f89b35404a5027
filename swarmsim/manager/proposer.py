"""The store's update lock and its way to Raft: one transaction at a time, in the order of asking.

A write holds the lock through its Raft round trip (SwarmKit manager/state/store/memory.go `Update`, `Batch`), so writes
are strictly serial and a slow quorum blocks all writers. The lock is plain Python: a queue. Loss of leadership ends all
that wait with `LeadershipLost`; what was proposed may commit all the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from ..api.states import Component
from ..errors import ApiError, LeadershipLost
from ..machine import SECOND, Micros
from ..store.actions import Proposal
from ..store.memory_store import COMPONENT_OF, MemoryStore
from ..store.transaction import Transaction

#: memory.go `MaxChangesPerTransaction`.
MAX_CHANGES_PER_TRANSACTION = 200
#: memory.go `MaxTransactionBytes`: a proposal is no larger; a batch is cut at three quarters of it.
MAX_TRANSACTION_BYTES = 3 << 19
BATCH_BYTES = MAX_TRANSACTION_BYTES * 3 // 4
TOO_LARGE = "raft: raft message is too large and can't be sent"
#: memory.go `WedgeTimeout`: a lock that is held for longer makes the leader hand over (raft.go `Run`).
WEDGE_TIMEOUT: Micros = 30 * SECOND

Done = Callable[[Any, Exception | None, int], None]  # result, error, cause
Propose = Callable[[Proposal, int, Callable[[int], None]], None]  # proposal, cause, on_commit(cause)


class Job:
    """One `Update` or `Batch` of one machine, waiting for the lock or holding it."""

    __slots__ = ("cause", "changes", "component", "done", "position", "results", "single")

    def __init__(
        self, changes: list[Callable[[Any], Any]], single: bool, component: Component, cause: int, done: Done
    ) -> None:
        self.changes = changes
        self.single = single
        self.component = component
        self.cause = cause
        self.done = done
        self.position = 0
        self.results: list[Any] = []


class Proposer:
    """`propose` hands a proposal to Raft; `clock` gives the leader's time for created_at and updated_at."""

    def __init__(self, store: MemoryStore, propose: Propose, clock: Callable[[], int]) -> None:
        self.store = store
        self.propose = propose
        self.clock = clock
        self.leading = False
        self._queue: deque[Job] = deque()
        self._holder: Job | None = None
        self._held_since: Micros = 0
        self._handing_on = False

    # -- asking for the lock --
    def update(self, machine: str, change: Callable[[Any], Any], cause: int, done: Done) -> None:
        self._submit(Job([change], True, component_of(machine), cause, done))

    def batch(self, machine: str, changes: list[Callable[[Any], Any]], cause: int, done: Done) -> None:
        self._submit(Job(changes, False, component_of(machine), cause, done))

    def _submit(self, job: Job) -> None:
        self._queue.append(job)
        if self._holder is None:
            self._next()

    def _next(self) -> None:
        """Hand the lock to whoever has waited longest. A loop, for many in a row may have nothing to propose."""
        if self._handing_on:
            return
        self._handing_on = True
        try:
            while self._holder is None and self._queue:
                self._holder = self._queue.popleft()
                self._held_since = self.clock()
                self._run(self._holder)
        finally:
            self._handing_on = False

    @property
    def held(self) -> bool:
        """Does a transaction hold the lock?"""
        return self._holder is not None

    def wedged(self, now: Micros) -> bool:
        """Has one transaction held the lock for more than 30 s? (memory.go `Wedged`)"""
        return self._holder is not None and now - self._held_since > WEDGE_TIMEOUT

    # -- holding it --
    def _run(self, job: Job) -> None:
        """Run changes until a proposal must be made, or the job is done."""
        tx = Transaction(self.store, self.clock(), job.cause)
        while job.position < len(job.changes) and not _is_full(tx):
            change = job.changes[job.position]
            job.position += 1
            try:
                result = change(tx)
            except ApiError as error:
                if job.single:
                    return self._finish(job, None, error, job.cause)
                result = error
            job.results.append(result if job.single or isinstance(result, Exception) else None)
        if not tx.actions:
            return self._finish(job, job.results[0] if job.single else job.results, None, job.cause)
        if not self.leading:
            return self._finish(job, None, LeadershipLost(), job.cause)
        if tx.size > MAX_TRANSACTION_BYTES:
            return self._finish(job, None, ApiError("Unknown", TOO_LARGE), job.cause)
        try:
            # The core may have stepped down without having said so yet.
            self.propose(Proposal(tuple(tx.actions), job.component, job.single), job.cause, self._committed)
        except ApiError as error:
            self._finish(job, None, error, job.cause)
        return None

    def _committed(self, cause: int) -> None:
        """The holder's proposal is committed and applied to the store."""
        job = self._holder
        assert job is not None, "a commit without a proposal that waits"
        if job.position < len(job.changes):
            # A batch gives the lock back between its transactions, so that other writers interleave.
            self._queue.append(job)
            self._holder = None
            self._next()
        else:
            self._finish(job, job.results[0] if job.single else job.results, None, cause)

    def _finish(self, job: Job, result: Any, error: Exception | None, cause: int) -> None:
        self._holder = None
        job.done(result, error, cause)
        self._next()

    # -- leadership --
    def gained(self) -> None:
        self.leading = True

    def lost(self) -> None:
        """Cancel every waiting proposal, before anything else is applied (raft.go, leadership loss)."""
        self.leading = False
        waiting = ([self._holder] if self._holder else []) + list(self._queue)
        self._queue.clear()
        self._holder = None
        for job in waiting:
            job.done(None, LeadershipLost(), job.cause)


def _is_full(tx: Transaction) -> bool:
    return len(tx.actions) >= MAX_CHANGES_PER_TRANSACTION or tx.size >= BATCH_BYTES


def component_of(machine: str) -> Component:
    """Of `jobs_orchestrator.2`, a second one beside the first, too."""
    return COMPONENT_OF.get(machine.partition(".")[0], Component.ORCHESTRATOR)
