"""What Raft costs: five servers, without and with a simulated cluster around them.

The core's rows have no clock, network or disk: messages are handed over and Readies carried out at once. The
simulated rows are a swarm of five managers with a network without latency and disks without fsync time.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from swarmsim.api.objects import Config
from swarmsim.api.specs import ConfigSpec
from swarmsim.cluster import Cluster, describe
from swarmsim.machine import SECOND, Batch
from swarmsim.raft import RawNode
from swarmsim.raft.messages import NONE, Entry, Propose
from tests.benchmarks.measuring import cells, measure, table
from tests.raft.network import run_ready, server

SERVERS = (1, 2, 3, 4, 5)
PROPOSALS, BATCH = 20_000, 10
Group = dict[int, RawNode]


# -- the core alone --
def exchange(group: Group) -> int:
    """Carry out all Readies and hand over all messages until nobody has anything to say; gives how many messages."""
    messages, sent = deque[Any](), 0
    while True:
        for raft in group.values():
            while raft.has_ready():
                messages.extend(run_ready(raft).messages)
        if not messages:
            return sent
        sent += len(messages)
        while messages:
            message = messages.popleft()
            group[message.dst].step(message)


def cold() -> Group:
    """Timeouts of 10, 12, 14 ... ticks: the first is the candidate."""
    return {id: server(id, SERVERS, dice=2 * (id - 1)) for id in SERVERS}


def election() -> int:
    """From the first tick of five followers to the leader's first entry committed on all; gives the messages."""
    group, sent = cold(), 0
    while not (1 == group[1].commit_index == min(raft.last_applied for raft in group.values())):
        for raft in group.values():
            raft.tick()
        sent += exchange(group)
    return sent


def replication() -> int:
    """`PROPOSALS` entries in batches, committed and applied on all; gives the messages."""
    group = cold()
    group[1].campaign()
    sent = exchange(group)
    batch = tuple(Entry(data=b"x", size=1) for _ in range(BATCH))
    for _ in range(PROPOSALS // BATCH):
        group[1].step(Propose(1, NONE, 0, batch))
        sent += exchange(group)
    assert all(raft.last_applied == PROPOSALS + 1 for raft in group.values())
    return sent


# -- in a simulated swarm --
def swarm() -> Cluster:
    return Cluster(describe(5, 0, latency=(0, 0), fsync=(0, 0)), 1)


def simulated_election() -> int:
    """All five managers are switched on again at once; until one leads. Gives the SimPy events."""
    cluster = swarm()
    for host in cluster.hosts.values():
        host.crash("power", 0)
    for host in cluster.hosts.values():
        host.start(0)
    while cluster.leader() is None:
        cluster.run(cluster.env.now + SECOND)
    return cluster.env.scheduled()


def transactions() -> int:
    """As many objects through the leader's store, `BATCH` in each transaction; gives the SimPy events."""
    cluster = swarm()
    cluster.run(SECOND)
    leader = cluster.hosts["m1"].drivers["manager"]

    def creating(first: int) -> Batch:
        names = [f"config{i}" for i in range(first, first + BATCH)]
        return Batch([lambda tx, n=n: tx.create(Config(n, ConfigSpec(n))) for n in names])

    def all_of_them() -> Any:
        for first in range(0, PROPOSALS, BATCH):
            yield creating(first)

    leader.beside(all_of_them())
    cluster.run(cluster.env.now + 60 * SECOND)
    assert all(len(cluster.store(name).configs) == PROPOSALS for name in cluster.names)
    return cluster.env.scheduled()


#: What is run, its name, what it counts, how often at most.
ROWS = (
    (election, "Raft alone: an election from cold, five servers", "messages", 9),
    (replication, f"Raft alone: {PROPOSALS:,} proposals in batches of {BATCH}, applied on all five", "messages", 3),
    (simulated_election, "five managers: an election from cold", "SimPy events", 9),
    (transactions, f"five managers: {PROPOSALS:,} objects, {BATCH} a transaction", "SimPy events", 3),
)


def rows(repeats: int) -> list[str]:
    found = []
    for run, name, counted, most in ROWS:
        row = measure(name, run, min(repeats, most))
        found.append([name, f"{row.events:,} {counted}", *cells(row)[2:]])
    return table(("run", "counted", "bare timeouts", "seconds here"), found)
