"""Brains: the replicated object store that every manager holds (SwarmKit manager/state/store).

`memory_store` holds the tables and their indexes, `transaction` a scratch copy of changes with the rules of the
original (names unique without regard to case, versions in sequence), `actions` what is proposed through Raft,
`chronicle` the record of commits in the trace.

Only the leader's transactions make actions; every manager applies the same actions in the same order, so the
stores are equal at equal indexes. Objects are immutable and shared by all managers' stores.

Departures from the original (2026-11-24): no size limit of 1.5 MiB on a transaction (the split at 200 changes is
kept, the one at 3/4 of the limit is not); names of resources and extensions do not exist; nobody can watch from an old
version on (`WatchFrom`), for there is no watch API.
"""

from .actions import Action, ActionKind, Change, Proposal
from .memory_store import MemoryStore
from .transaction import Transaction

__all__ = ["Action", "ActionKind", "Change", "MemoryStore", "Proposal", "Transaction"]
