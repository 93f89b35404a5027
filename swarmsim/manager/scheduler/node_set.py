"""All nodes that the scheduler knows: in the order in which they are visited, and which of them changed of late.

SwarmKit manager/scheduler/nodeset.go (`nodeSet`). Following an event costs the same however large the cluster is;
the trees that choose among the nodes (`tree`) catch up with `changed_since` when they are next asked.

The original's nodes are a Go map: each walk over it visits them in one fixed order from a random one on. Here each
node has a *place* in that order, a number that stays the same while others come and go.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from random import Random
from typing import Any

from ...api.objects import Node, Task
from ...api.specs import Micros
from .node_info import NodeInfo, VersionedService
from .volumes import VolumeSet

GAP = 1 << 40  # between the places of neighbours, so that others find room between them
GO_MAP_GROUP = 8  # a Go map of so many items keeps the order of insertion


class NodeSet:
    def __init__(self) -> None:
        self.infos: dict[str, NodeInfo] = {}
        self.order: list[NodeInfo] = []
        self.places: list[int] = []  # of `order`, growing
        self.removed: list[int] = []  # the places of the nodes that left, in that order
        self.clock = 0  # stamp of the latest change
        self.layout = 0  # how often places were numbered anew
        self.volumes = VolumeSet()
        self._volumes_seen = 0  # their stamp when all nodes were last told
        self._changed: dict[NodeInfo, None] = {}  # the latest change last
        self._of_service: dict[str, dict[NodeInfo, None]] = {}  # the nodes with active tasks of a service
        self._failing: dict[VersionedService, dict[NodeInfo, None]] = {}  # the nodes where such tasks failed

    def __len__(self) -> int:
        return len(self.order)

    # -- what happens to nodes --
    def create_or_update(self, node: Node, rng: Random) -> None:
        info = self.infos.get(node.id)
        if info is None:
            self.add(NodeInfo(node), rng)
        else:
            info.set_node(node)
            self._touch(info)

    def add(self, info: NodeInfo, rng: Random) -> None:
        """Beyond eight nodes Go's map has no order of insertion: a new node takes a random place."""
        n = len(self.order)
        at = n if n < GO_MAP_GROUP else rng.randrange(n + 1)
        before = self.places[at - 1] if at else (self.places[0] if n else 0) - 2 * GAP
        after = self.places[at] if at < n else before + 2 * GAP
        info.place = (before + after) // 2
        info.volumes = self.volumes
        self.infos[info.node.id] = info
        self.order.insert(at, info)
        self.places.insert(at, info.place)
        if info.place == before:
            self._number_anew()
        for service in info.active_by_service:
            self._of_service.setdefault(service, {})[info] = None
        self._touch(info)

    def _number_anew(self) -> None:
        """There was no room left between two places."""
        self.layout += 1
        for i, info in enumerate(self.order):
            info.place = self.places[i] = i * GAP

    def remove(self, node_id: str) -> None:
        info = self.infos.pop(node_id, None)
        if info is None:
            return
        at = bisect_left(self.places, info.place)
        del self.places[at], self.order[at], self._changed[info]
        for service in info.active_by_service:
            _discard(self._of_service, service, info)
        for versioned in info.recent_failures:
            _discard(self._failing, versioned, info)
        self.removed.append(info.place)
        self.clock += 1

    # -- what happens to their tasks --
    def add_task(self, task: Task) -> None:
        info = self.infos.get(task.node_id)
        if info is not None and info.add_task(task):
            self._note(info, task.service_id)

    def remove_task(self, task: Task) -> bool:
        """Free what the task held on its node; returns whether it was tracked there."""
        info = self.infos.get(task.node_id)
        if info is None or not info.remove_task(task):
            return False
        self._note(info, task.service_id)
        return True

    def task_failed(self, task: Task, now: Micros) -> None:
        info = self.infos.get(task.node_id)
        if info is not None:
            self._failing.setdefault(info.task_failed(task, now), {})[info] = None
            self._touch(info)

    def _note(self, info: NodeInfo, service: str) -> None:
        """A task of the service was added or removed, or shall stop."""
        if service in info.active_by_service:
            self._of_service.setdefault(service, {})[info] = None
        else:
            _discard(self._of_service, service, info)
        self._touch(info)

    def follow_volumes(self) -> None:
        """If cluster volumes changed, or their use did, any node may be fit or unfit by now."""
        if self.volumes.stamp != self._volumes_seen:
            self._volumes_seen = self.volumes.stamp
            for info in self.order:
                self._touch(info)

    # -- which nodes --
    def of_service(self, service: str) -> Iterable[NodeInfo]:
        """Those with active tasks of the service."""
        return self._of_service.get(service, ())

    def count_of(self, service: str) -> int:
        return len(self._of_service.get(service, ()))

    def failing(self, versioned: VersionedService) -> list[NodeInfo]:
        """Those where tasks of this service and spec version failed, some time ago perhaps."""
        return list(self._failing.get(versioned, ()))

    def _touch(self, info: NodeInfo) -> None:
        self.clock += 1
        info.stamp = self.clock
        self._changed.pop(info, None)
        self._changed[info] = None

    def changed_since(self, stamp: int) -> list[NodeInfo]:
        """The nodes that changed after the change of that stamp; each once."""
        changed = []
        for info in reversed(self._changed):
            if info.stamp <= stamp:
                break
            changed.append(info)
        return changed


def _discard(index: dict[Any, dict[NodeInfo, None]], key: Any, info: NodeInfo) -> None:
    nodes = index.get(key)
    if nodes is not None:
        nodes.pop(info, None)
        if not nodes:
            del index[key]
