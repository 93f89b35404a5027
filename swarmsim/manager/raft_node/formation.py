"""A Raft group that is handed over formed, by Raft itself but outside of simulated time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ...api.specs import ClusterSpec
from ...raft.messages import ConfState, Entry, HardState, Snapshot
from ...raft.raft import RawNode
from ...store.actions import Action
from ...store.memory_store import MemoryStore
from ..membership import Group, Member
from .state import recover
from .storage import Keys, Recovered, Storage


class Disk(Protocol):
    def preload(self, machine: str, content: Mapping[Any, Any]) -> None: ...


class Host(Protocol):
    """What `form` needs of a host: its disk, and the random stream of its Raft member."""

    @property
    def disk(self) -> Disk: ...

    def stream(self, machine: str) -> Any: ...


class _Disk:
    """What a member's disk holds by the time that the cluster is handed over."""

    def __init__(self, raft_id: int, keys: Keys, snapshot: Snapshot, state: HardState) -> None:
        self.storage = Storage(keys)
        self.content: dict[Any, Any] = {}
        self.storage.raft_id = raft_id
        self.content.update(self.storage.begin_at(snapshot, state))

    def keep(self, entries: Sequence[Entry], state: HardState | None) -> None:
        self.content.update(self.storage.save(None, entries, state, 0))


#: The Raft term of the first leader of a cluster that is handed over formed.
FIRST_TERM = 1


def form(
    hosts: Mapping[str, Host],
    store: MemoryStore,
    actions: list[Action],
    spec: ClusterSpec,
    keys: Mapping[str, Keys],
    without: tuple[str, ...] = (),
) -> dict[str, RawNode]:
    """Make the Raft group of a formed cluster, the first host leading, by Raft itself but outside of simulated time.

    The store's content is the snapshot that all members begin with. Fills `store` and the hosts' disks, encrypted with
    each host's own keys.
    """
    ids = {name: i + 1 for i, name in enumerate(hosts)}
    store.apply(actions, 1)
    members = tuple((id, Member(name, name)) for name, id in ids.items())
    content = (store.save(), Group(members, ()))
    snapshot = Snapshot(1, FIRST_TERM, ConfState(tuple(ids.values())), content)
    state = HardState(FIRST_TERM, 0, 1)
    disks = {name: _Disk(ids[name], keys[name], snapshot, state) for name in hosts}
    found = Recovered(0, snapshot, (), state)
    group = {name: recover(found, ids[name], hosts[name].stream("raft"), spec, without) for name in hosts}
    leader = group[next(iter(hosts))]
    leader.campaign()
    _settle(group, disks)
    leader.heartbeat_elapsed = leader.election_elapsed = spec.heartbeat_tick - 1
    leader.tick()  # a heartbeat, so that all know what is committed
    _settle(group, disks)
    _lengthen(group, disks, leader, spec.raft.behind)
    for name, host in hosts.items():
        host.disk.preload("raft", disks[name].content)
    store.index = leader.commit_index
    return group


def _lengthen(
    group: Mapping[str, RawNode], disks: Mapping[str, _Disk], leader: RawNode, behind: Mapping[str, int]
) -> None:
    """Give the log empty entries at its end, of which some members have not received the last so many."""
    for left in reversed(range(max(behind.values(), default=0))):
        leader.propose(None)
        _settle(group, disks, [name for name in group if behind.get(name, 0) > left])


def _settle(group: Mapping[str, RawNode], disks: Mapping[str, _Disk], cut_off: Sequence[str] = ()) -> None:
    """Exchange messages until nobody has anything to say; what is sent to members that are cut off is lost."""
    by_id = {i + 1: name for i, name in enumerate(group)}
    messages: list[Any] = []
    while True:
        for name, raw in group.items():
            while raw.has_ready():
                ready = raw.ready()
                disks[name].keep(ready.entries, ready.hard_state)
                messages += ready.messages
                raw.advance()
        if not messages:
            return
        waiting, messages = messages, []
        for rpc in waiting:
            if by_id[rpc.dst] not in cut_off:
                group[by_id[rpc.dst]].step(rpc)
