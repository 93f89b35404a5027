"""Gossip: who is alive as far as the data plane is concerned, and where each task's endpoint is.

SWIM membership (memberlist) under NetworkDB, which brings every endpoint to the load balancers of the nodes
on its network. It decides nothing about nodes being DOWN: that is the dispatcher's heartbeat
(manager/dispatcher).

    swim         the machine: dispatch tables           membership   alive, suspect, dead: merge rules
    probe        the failure detector                   suspicion    how long an accused member may refute
    broadcast    the transmit-limited queue             spread       the gossip tick; planned rumours
    push_pull    joining, reconnecting, repair          bulk_sync    the same for tables
    network_db   networks, rows, the load balancer's news
    state        what a node holds    messages    what is said    config    constants

**Quiet costs nothing.** A timer runs only while its work may change something:

    probe       while a live member is uncertain (`out.quiet` is false) or suspected, for its turns only
    gossip      while something is queued that somebody can be told
    sync        every 30 s from a change until a node and its neighbour have found no difference
    reconnect   while a failed peer might answer
    rumour      while planned deliveries are due (spread.py)

`Disturbed` wakes it. `exact` sends all probes and plays all rumours.

Departures from memberlist 0.6 and networkdb (moby, 2026-08), as of 2026-11-24:

- Lifeguard's health score, which stretches probe intervals, and nacks are not there. Suspicion timers with
  confirmations (dogpile) and the buddy system are.
- A restarted node keeps its name; the time of its start tells its runs apart, where Docker draws a new
  NodeID. Members of a cluster that is handed over formed were all born at 0.
- A dead record is reaped after 30 s exactly, not at the end of a probe cycle after that.
- Periodic push/pull and bulk sync go to the neighbour in a ring, not to a random peer, only while something
  may differ, and their interval does not grow beyond 32 nodes; equal digests save the rows.
- Joining contacts three bootstrap peers at a time, and joining a network compares with up to three peers at
  once; Docker goes through all, one after another. Neither blocks anything.
- All tables of a node tick together with memberlist's queue; Docker has a ticker for each network. Inbound
  queues (priority of alive messages, last in first out, 1024 deep) and node events (JOIN, LEAVE) are not
  there: memberlist's say it.
- A rumour that starts while all is calm is planned by its origin (spread.py). A row that such a rumour
  brings before its owner's network is known waits for it, where Docker refuses it and takes a later
  repetition.
- Failed nodes' rows are suspended as on HEAD (`drop`, as in 28.5, is not there). A peer that alone is out
  of order is not tried again each second: the world tells when it returns. A node without any live peer
  slows to one try a minute.
- Keys and encryption, `overlay_peer_table`, graceful exit's waits are not there; tombstones are swept when
  tables are sent.
"""

from .config import GossipConfig
from .messages import (
    AddEndpoint,
    DisableEndpoint,
    EndpointRecord,
    JoinNetwork,
    LeaveNetwork,
    RemoveEndpoint,
)
from .swim import Gossip

__all__ = [
    "AddEndpoint",
    "DisableEndpoint",
    "EndpointRecord",
    "Gossip",
    "GossipConfig",
    "JoinNetwork",
    "LeaveNetwork",
    "RemoveEndpoint",
]
