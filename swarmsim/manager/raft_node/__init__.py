"""A manager's Raft member: the core (`raft`) made durable, connected, and of use to a store.

SwarmKit manager/state/raft/raft.go; reference: the Ready loop and its order. Each file adds one room to the class
`RaftNode`, the later ones to the earlier:

    storage      what is on the disk: write-ahead log, snapshots, keys; what a start makes of damage
    state        what a member is made of, and what others ask of it; the core from what the disk holds
    ticks        the ticker, and healthy ticks that are skipped
    facts        changes of role, term and leader, told to the trace
    applying     committed entries and snapshots into the store and the group; snapshots made
    experiments  what experiments ask of the member itself (`only: raft`)
    ready        the loop: persist, send, apply, advance; leadership gained and lost
    node         RaftNode: what arrives: messages, calls, timers, proposals
    formation    a group that is handed over formed

Who belongs to the group, joining and leaving are in `manager.membership`, timeouts by the clock in
`manager.raft_clock`. Leaves out: chunked snapshots, automatic address changes, rotation of the encryption key.

Departures (2026-11-26): a peer that has been silent for 2 s is not reported as unreachable unless its connection was
reset: the core notices by itself, a refusal later. A datagram, which SwarmKit does not send, is answered by nobody: a
snapshot sent as one counts as lost after 2 s. A snapshot is made anew where the log has a joint configuration.
"""

from .formation import FIRST_TERM, form
from .node import RaftNode

__all__ = ["FIRST_TERM", "RaftNode", "form"]
