"""Slots: the places of a service, each held by one task and remembered by the tasks before it.

SwarmKit manager/orchestrator/slot.go, replicated/slot.go. A replicated service's
slots are numbered 1, 2, 3...; a replicated job's 0 .. N-1; a global service's slot is its node.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple, TypeVar

from ...api.objects import Service, Task
from ...api.states import TaskState
from .task import is_global, is_global_job

Slot = list[Task]
T = TypeVar("T")


class SlotTuple(NamedTuple):
    """Which slot of a service: by number, or by node."""

    slot: int
    node_id: str


def slot_tuple(service: Service, task: Task) -> SlotTuple:
    if is_global(service) or is_global_job(service):
        return SlotTuple(0, task.node_id)
    return SlotTuple(task.slot, "")


def by_slot(tasks: list[Task]) -> dict[int, Slot]:
    slots: dict[int, Slot] = {}
    for task in tasks:
        slots.setdefault(task.slot, []).append(task)
    return slots


def shuffled(items: list[T], rng: Random) -> list[T]:
    """The order of a Go map that was filled in the order of random ids: any."""
    order = list(items)
    rng.shuffle(order)
    return order


def survivors_first(slots: list[Slot]) -> list[Slot]:
    """In the order in which a scale-down keeps them (replicated.go `reconcile`, slot.go `slotsByIndex`).

    Last, so removed first: slots without a node or with several tasks; then those on the most crowded nodes; then those
    that do not run before those that do; then the highest numbers. (The original's second sort is not stable: beyond
    twelve slots its order among equals is arbitrary. Ours is stable.)
    """
    order = sorted(slots, key=lambda slot: (not _runs(slot), slot[0].slot))
    on_node: dict[str, int] = {}
    ranked: list[tuple[bool, int, Slot]] = []
    for slot in order:
        node = slot[0].node_id if len(slot) == 1 else ""
        if node:
            on_node[node] = on_node.get(node, 0) + 1
        ranked.append((not node, on_node.get(node, 0), slot))
    return [slot for _, _, slot in sorted(ranked, key=lambda entry: entry[:2])]


def _runs(slot: Slot) -> bool:
    return any(task.status.state is TaskState.RUNNING for task in slot)
