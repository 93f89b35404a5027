"""`propose`, `change_members`, `read`, `campaign`: what is asked of a Raft group by itself (SCENARIOS.md section 6).

For `only: raft`. The server that is named is asked, as by a program that runs beside it; no swarm lies between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field, StrictInt, model_validator

from ..api.messages import AskToRead, ProposeEntries, StartElection
from ..api.messages import ChangeMembers as Change
from ..manager.membership import Member
from ..trace.events import ClientSaid
from .base import CLIENT_TIMEOUT, Aim, Asking, Order, Step

if TYPE_CHECKING:
    from ..cluster import Cluster


class RaftStep(Step):
    """Base of all four: each target is asked itself, one after the other."""

    @model_validator(mode="after")
    def _asks_itself(self) -> RaftStep:
        if self.via is not None:
            raise ValueError("the server that it names is asked; leave `via` out")
        return self

    def request(self, cluster: Cluster, order: Order) -> Any:
        raise NotImplementedError

    def said(self, answer: Any) -> str:
        """What the answer means, for reports."""
        return ""

    def asked(self, cluster: Cluster, order: Order) -> str:
        return order.targets[0]

    def ask(self, cluster: Cluster, order: Order) -> Asking:
        request = self.request(cluster, order)
        for name in order.targets:
            answer = yield from cluster.ask(name, request, CLIENT_TIMEOUT, order.cause, machine="raft")
            said = self.said(answer)
            if said:
                cluster.trace.record(ClientSaid(order.entry, f"{name} {said}", "", ""), cluster.env.now, order.cause)


class Propose(RaftStep):
    """A leader shall append entries; it answers when they are in its log, committed or not."""

    verb: ClassVar[str] = "propose"
    aims: ClassVar[dict[str, str]] = {"propose": "nodes"}

    propose: Aim
    entries: Annotated[StrictInt, Field(ge=1, le=1000)] = 1

    def detail(self, order: Order) -> str:
        return "" if self.entries == 1 else f"{self.entries} entries"

    def request(self, cluster: Cluster, order: Order) -> Any:
        return ProposeEntries(self.entries)

    def said(self, answer: Any) -> str:
        return f"has it at index {answer}" if self.entries == 1 else f"has them up to index {answer}"


class ChangeMembers(RaftStep):
    """A leader shall change who belongs to the group: one member by a plain entry, several by joint consensus."""

    verb: ClassVar[str] = "change_members"
    aims: ClassVar[dict[str, str]] = {"change_members": "nodes", "add": "nodes", "drop": "nodes"}

    change_members: Aim
    add: Aim = None
    drop: Aim = None

    @model_validator(mode="after")
    def _changes_something(self) -> ChangeMembers:
        if self.add is None and self.drop is None:
            raise ValueError("nothing would change; write add: m4, or drop: [m1, m2]")
        return self

    def detail(self, order: Order) -> str:
        return ", ".join(f"{key} {' '.join(names)}" for key, names in order.others.items())

    def request(self, cluster: Cluster, order: Order) -> Any:
        add = tuple((_raft_id(cluster, name), Member(name, name)) for name in order.others.get("add", ()))
        return Change(add, tuple(_raft_id(cluster, name) for name in order.others.get("drop", ())))

    def said(self, answer: Any) -> str:
        return f"has the change at index {answer}"


def _raft_id(cluster: Cluster, name: str) -> int:
    identity = cluster.nodes[name].identity
    assert identity is not None, f"{name} is no Raft server"
    return identity.raft_id


class Read(RaftStep):
    """A server is asked for a linearizable read; it answers once it knows as of which index it may."""

    verb: ClassVar[str] = "read"
    aims: ClassVar[dict[str, str]] = {"read": "nodes"}

    read: Aim

    def request(self, cluster: Cluster, order: Order) -> Any:
        return AskToRead()

    def said(self, answer: Any) -> str:
        return f"reads as of index {answer}"


class Campaign(RaftStep):
    """A server shall start an election now, without waiting for its timeout."""

    verb: ClassVar[str] = "campaign"
    aims: ClassVar[dict[str, str]] = {"campaign": "nodes"}

    campaign: Aim

    def request(self, cluster: Cluster, order: Order) -> Any:
        return StartElection()
