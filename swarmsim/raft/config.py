"""What one server is told at birth, and SwarmKit's choice of it.

etcd raft.go, `Config`. Left out: asynchronous storage writes, which SwarmKit does not use.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from swarmsim.raft.messages import NO_LIMIT, Snapshot


class RandomStream(Protocol):
    """The dice: `random.Random` has this shape. The election timeout is the only draw (section 5.2)."""

    def randrange(self, n: int, /) -> int:
        """An integer of range(n), each equally likely."""


class ReadOnly(Enum):
    """How a leader makes sure that it still leads before it answers a read (thesis 6.4; etcd: `ReadOnlyOption`)."""

    SAFE = "safe"
    LEASE_BASED = "lease-based"


@dataclass(frozen=True, slots=True)
class Config:
    """Options of one server, named as in etcd's `Config`; byte limits of 0 mean what the comments say."""

    id: int
    rng: RandomStream
    election_tick: int = 10
    election_tick_most: int = 0  # of a timeout's draw; 0: etcd's range, election_tick to twice that less one
    heartbeat_tick: int = 1
    max_size_per_msg: int = NO_LIMIT  # of the entries in one AppendEntries; 0: one entry per message
    max_committed_size_per_ready: int = 0  # handed out for applying, not yet advanced; 0: as max_size_per_msg
    max_uncommitted_size: int = 0  # payload in the leader's uncommitted tail; 0: no limit
    max_inflight_msgs: int = 256  # AppendEntries on their way to one peer
    max_inflight_bytes: int = 0  # payload of those; 0: no limit
    check_quorum: bool = False
    pre_vote: bool = False
    read_only: ReadOnly = ReadOnly.SAFE
    disable_proposal_forwarding: bool = False
    disable_conf_change_validation: bool = False
    step_down_on_removal: bool = False
    snapshot_source: Callable[[], Snapshot | None] | None = None  # the newest, None: not now; default: own latest

    def __post_init__(self) -> None:
        """etcd raft.go, `Config.validate`."""
        if self.id <= 0:
            raise ValueError(f"a server's id must be positive, got {self.id}")
        if self.heartbeat_tick < 1:
            raise ValueError(f"heartbeat_tick must be at least 1, got {self.heartbeat_tick}")
        if self.election_tick <= self.heartbeat_tick:
            raise ValueError(f"election_tick must exceed heartbeat_tick, got {self.election_tick}")
        if self.election_tick_most and self.election_tick_most < self.election_tick:
            raise ValueError(f"election_tick_most must be 0 or at least election_tick, got {self.election_tick_most}")
        if self.max_inflight_msgs < 1:
            raise ValueError(f"max_inflight_msgs must be at least 1, got {self.max_inflight_msgs}")
        if self.max_inflight_bytes and self.max_inflight_bytes < self.max_size_per_msg:
            raise ValueError("max_inflight_bytes must be 0 or at least max_size_per_msg")
        if self.read_only is ReadOnly.LEASE_BASED and not self.check_quorum:
            raise ValueError("lease-based reads need check_quorum")


def swarmkit(
    id: int,
    rng: RandomStream,
    *,
    election_tick: int = 10,
    heartbeat_tick: int = 1,
    snapshot_source: Callable[[], Snapshot | None] | None = None,
) -> Config:
    """The configuration of a SwarmKit manager; its tick is one second.

    SwarmKit manager/state/raft/raft.go, `DefaultNodeConfig` and `NewNode`, which copies these and nothing else.
    Proposal forwarding stays on in the core: it is SwarmKit's `ProcessRaftMessage` that drops a forwarded one.
    """
    return Config(
        id=id,
        rng=rng,
        election_tick=election_tick,
        heartbeat_tick=heartbeat_tick,
        max_size_per_msg=65535,
        max_inflight_msgs=256,
        check_quorum=True,
        pre_vote=False,
        snapshot_source=snapshot_source,
    )
