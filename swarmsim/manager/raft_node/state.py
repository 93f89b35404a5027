"""What a Raft member is made of, what others ask of it, and its core as the disk left it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from typing import Any

from ...api.specs import ClusterSpec
from ...machine import DATAGRAM, SECOND, STREAM, Call, Machine, Micros, Outbox
from ...raft.ablation import core
from ...raft.config import swarmkit
from ...raft.dialects import dialect
from ...raft.membership import ConfChange
from ...raft.messages import HardState
from ...raft.raft import RawNode
from ...raft.state import LEADER
from ...store.actions import Proposal
from ...store.chronicle import Chronicle
from ...store.memory_store import MemoryStore
from ..component import WATCHES
from ..membership import Member, Membership
from ..proposer import Proposer
from .storage import Recovered, Storage

#: A peer that has not been heard for this long counts as inactive in the transport (a send times out after 2 s).
INACTIVE_AFTER: Micros = 3 * SECOND


class MemberState(Machine):
    """`id` is its own Raft id, `members` those it was told of when it joined; what its disk holds says more.

    `formed`: the core of a cluster that is handed over. `first`: it begins a cluster of its own (`swarm init`).
    """

    def __init__(
        self,
        node: str,
        id: int,
        members: Iterable[tuple[int, Member]],
        store: MemoryStore,
        chronicle: Chronicle,
        spec: ClusterSpec,
        storage: Storage,
        formed: RawNode | None = None,
        first: bool = False,
        without: tuple[str, ...] = (),
    ) -> None:
        self.node = node
        self.without = without  # rules of Raft that are off
        self.id = id
        self.first = first
        self.group = Membership(self, members)
        self.store = store
        self.chronicle = chronicle
        self.spec = spec
        self.storage = storage
        self.tick: Micros = spec.raft.tick
        self.transport = DATAGRAM if spec.raft.datagrams else STREAM
        self.asks_candidates = spec.raft.rules == "swarmkit"  # whether they are healthy
        self.proposer = Proposer(store, self._propose, lambda: self.now)
        self.watches = dict(WATCHES)  # what the components of this manager watch
        self.now: Micros = 0
        self.ticks_without_leader = 0
        self.signalled = False  # leadership gained and told
        self.formed = formed
        self.raw: RawNode = None  # type: ignore[assignment]  # made by on_start, from the disk
        self._out: Outbox = None  # type: ignore[assignment]
        self._pumping = False
        self._next_cause = 0  # of a proposal made while a Ready was worked off
        self._owed_tick = False
        self._last_tick: Micros = 0
        self._dozing_since: Micros | None = None  # the last tick that took place
        self._put_to_sleep: tuple[str, ...] = ()
        self._waiting: dict[int, tuple[Proposal, Callable[[int], None]]] = {}
        self._heard: dict[int, Micros] = {}
        self._lost: dict[int, None] = {}
        self._seen: tuple[Any, int, int] = (None, 0, 0)
        self._snapshot_index = 0
        self._campaign_when_able = formed is None  # raft.go: a member that is alone need not wait for its timeout
        self._belongs = formed is not None  # a newcomer replays how the group became what it joined
        self._removed = False
        self._ticks_compared = False
        self._voted = (0, 0)  # term and whom, as it was told last
        self._reads = 0  # that experiments asked for
        self._reading: dict[int, Call] = {}  # those that were not answered yet
        self._unwritten: HardState | None = None  # a commit index that waits for the next flush
        self._may_hand_over_at: Micros = 0

    def _propose(self, proposal: Proposal, cause: int, on_commit: Callable[[int], None]) -> None:
        raise NotImplementedError  # node.py

    def _pump(self, out: Outbox) -> None:
        raise NotImplementedError  # ready.py

    def propose_change(self, change: ConfChange, out: Outbox) -> None:
        raise NotImplementedError  # node.py

    def transfer(self, to: int, out: Outbox) -> None:
        raise NotImplementedError  # node.py

    # -- what others ask --
    @property
    def term(self) -> int:
        return self.raw.current_term

    @property
    def is_raft_leader(self) -> bool:
        return self.raw.role is LEADER

    @property
    def is_leader(self) -> bool:
        return self.signalled

    def leader_host(self) -> str:
        """The leader as this member knows it; "" when it knows none or its transport to it is inactive."""
        leader = self.raw.leader_id
        if leader == self.id:
            return self.node if self.signalled else ""
        if not leader or not self.is_active(leader):
            return ""
        return self.group.host(leader)

    def members(self) -> tuple[str, ...]:
        """The hosts of all members."""
        return self.group.hosts()

    def can_remove(self, node_id: str) -> bool:
        return self.group.can_remove(node_id)

    def is_active(self, id: int) -> bool:
        """Could the transport reach that peer lately? While all is quiet it could."""
        if id in self._lost:
            return False
        return self._dozing_since is not None or self.now - self._heard.get(id, self.now) <= INACTIVE_AFTER


def recover(found: Recovered, id: int, stream: Any, spec: ClusterSpec, without: tuple[str, ...] = ()) -> RawNode:
    """A core from what a disk held."""
    own = spec.raft
    config = replace(
        swarmkit(id, stream, election_tick=spec.election_tick, heartbeat_tick=spec.heartbeat_tick),
        election_tick_most=own.election_tick_most,
        check_quorum=own.check_quorum,
        pre_vote=own.pre_vote,
    )
    make = _core(own.rules, own.candidate_ticks, own.backoff, without)
    return make(config, hard_state=found.hard_state, snapshot=found.snapshot, entries=found.entries)


@cache
def _core(
    rules: str, candidate_ticks: tuple[int, int] | None, backoff: bool, without: tuple[str, ...]
) -> type[RawNode]:
    """The class of a dialect's servers that lack the rules of Raft named in `without`."""
    spoken, careless = dialect(rules, candidate_ticks, backoff), core(without)
    if careless is RawNode or spoken is RawNode:
        return spoken if careless is RawNode else careless
    return type(careless.__name__, (careless, spoken), {"__slots__": ()})
