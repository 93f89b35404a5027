"""Brains: the replicated object store that every manager holds (SwarmKit manager/state/store).

`memory_store` holds the tables and their indexes, `transaction` a scratch copy of changes with the rules of the
original (names unique without regard to case, versions in sequence), `actions` what is proposed through Raft,
`watch` who wants to know of commits, also of past ones, `chronicle` the record of commits in the trace.

Only the leader's transactions make actions; every manager applies the same actions in the same order, so the
stores are equal at equal indexes. Objects are immutable and shared by all managers' stores.

Departures from the original (2026-11-26): of a transaction's bytes only the data of secrets and configs are counted,
for the limit of 1.5 MiB and for the cut of a batch at 3/4 of it (`manager.proposer`); extensions and resources do not
exist.
"""

from .actions import Action, ActionKind, Change, Proposal
from .memory_store import MemoryStore
from .transaction import Transaction

__all__ = ["Action", "ActionKind", "Change", "MemoryStore", "Proposal", "Transaction"]
