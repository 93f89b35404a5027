"""What is proposed through Raft, and what a commit changed (SwarmKit api/raft.proto `StoreAction`)."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

from ..api.states import Component


class ActionKind(IntEnum):
    CREATE = 1
    UPDATE = 2
    REMOVE = 3


CREATE, UPDATE, REMOVE = ActionKind


class Action(NamedTuple):
    """One change of one object: for REMOVE `new` is the object that goes. `cause` is the trace's."""

    kind: ActionKind
    new: Any
    cause: int


class Proposal(NamedTuple):
    """The data of a Raft entry: the actions of one transaction, and which component wrote it.

    `single`: of an update, not of a batch.
    """

    actions: tuple[Action, ...]
    component: Component
    single: bool = False


class Change(NamedTuple):
    """One change as a watcher sees it: `old` is None for CREATE, `new` the last state for REMOVE.

    `cause` is the `seq` of the recorded change (on the manager that recorded it), else what caused it.
    """

    kind: ActionKind
    old: Any
    new: Any
    cause: int
