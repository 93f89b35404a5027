"""Gossip's constants: memberlist's LAN profile and NetworkDB's own (memberlist config.go,
networkdb/networkdb.go).

Docker starts from `DefaultLANConfig` and overrides names, addresses and keys only: every timing here is
LAN's.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..machine import MILLISECOND, SECOND, Micros


@dataclass(frozen=True, slots=True)
class GossipConfig:
    probe_interval: Micros = 1 * SECOND
    probe_timeout: Micros = 500 * MILLISECOND
    indirect_checks: int = 3
    stream_pings: bool = True  # not DisableTcpPings
    suspicion_mult: int = 4
    suspicion_max_timeout_mult: int = 6
    gossip_interval: Micros = 200 * MILLISECOND
    gossip_nodes: int = 3
    gossip_to_the_dead_time: Micros = 30 * SECOND
    retransmit_mult: int = 4
    packet_size: int = 1400
    push_pull_interval: Micros = 30 * SECOND  # also NetworkDB's bulk sync
    reconnect_interval: Micros = 1 * SECOND
    rejoin_interval: Micros = 60 * SECOND
    rejoin_effort: Micros = 10 * SECOND
    join_contacts: int = 3  # ours: bootstrap peers contacted at a time
    entry_reap_interval: Micros = 1800 * SECOND
    relay_cap: int = 500  # bulk-synced events beyond this many are not relayed
    rumour_bucket: Micros = 10 * MILLISECOND  # ours: planned deliveries are rounded to this grid
