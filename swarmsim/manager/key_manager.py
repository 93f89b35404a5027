"""The key manager: keys for gossip and for the encrypted data plane, three of each, the oldest replaced every 12 hours.

SwarmKit manager/keymanager/keymanager.go. The clock starts anew with each leader. Which key
is which matters here, its bytes do not. Agents are told in their session messages.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from ..api.ids import new_id
from ..api.messages import Committed
from ..api.objects import Cluster, EncryptionKey
from ..machine import SECOND, Address, Handler, Machine, Micros, Outbox
from ..store.memory_store import MemoryStore

SUBSYSTEMS = ("networking:gossip", "networking:ipsec")
KEYS_PER_SUBSYSTEM = 3
ROTATION: Micros = 12 * 3600 * SECOND
LAMPORT_START_MOST = 65_535


class KeyManager(Machine):
    """`subsystems`: whose keys a new cluster gets; a cluster that has keys keeps those that it has."""

    def __init__(self, node: str, store: MemoryStore, subsystems: tuple[str, ...] = SUBSYSTEMS) -> None:
        for subsystem in subsystems:
            if subsystem not in SUBSYSTEMS:
                raise ValueError(f"no keys for {subsystem}; there are {', '.join(SUBSYSTEMS)}")
        self.node = node
        self.store = store
        self.subsystems = subsystems

    def on_start(self, saved: Mapping[Any, Any], out: Outbox) -> Handler:
        out.set_timer("rotate", ROTATION)
        cluster = self.store.cluster
        if cluster is not None and not cluster.network_keys:
            return self._write(self._first_keys, out)
        return None

    def on_message(self, src: Address, message: Any, out: Outbox) -> Handler:
        assert type(message) is Committed, f"a key manager got {message!r}"
        return None

    def on_timer(self, name: Any, out: Outbox) -> Handler:
        out.set_timer("rotate", ROTATION)
        return self._write(rotated, out)

    def _write(self, make: Any, out: Outbox) -> Generator[Any, Any, None]:
        def change(tx: Any) -> None:
            for cluster in tx.all(Cluster):
                tx.update(make(cluster, out))

        yield out.update(change)

    def _first_keys(self, cluster: Cluster, out: Outbox) -> Cluster:
        return first_keys(cluster, out, self.subsystems)


def first_keys(cluster: Cluster, out: Outbox, subsystems: tuple[str, ...] = SUBSYSTEMS) -> Cluster:
    """Three keys for each subsystem, oldest first, from a random point of the Lamport clock."""
    lamport = out.rng.randint(0, LAMPORT_START_MOST)
    keys = []
    for subsystem in subsystems:
        for _ in range(KEYS_PER_SUBSYSTEM):
            lamport += 1
            keys.append(EncryptionKey(subsystem, lamport, new_id(out.rng)))
    return cluster.evolve(network_keys=tuple(keys), lamport=lamport)


def rotated(cluster: Cluster, out: Outbox) -> Cluster:
    """The oldest key of each subsystem goes, a new one comes."""
    lamport, keys = cluster.lamport, []
    for subsystem in dict.fromkeys(key.subsystem for key in cluster.network_keys):
        lamport += 1
        kept = sorted((k for k in cluster.network_keys if k.subsystem == subsystem), key=lambda k: k.lamport)
        kept = kept[-(KEYS_PER_SUBSYSTEM - 1) :]  # where one is missing, none goes
        keys += [*kept, EncryptionKey(subsystem, lamport, new_id(out.rng))]
    return cluster.evolve(network_keys=tuple(keys), lamport=lamport)
