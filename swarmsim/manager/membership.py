"""Who belongs to the Raft group: joining, leaving, handing over the leadership.

SwarmKit manager/state/raft/raft.go `Join`, `Leave`, `removeMember`, `TransferLeadership`, and membership/cluster.go;
Only the leader changes members, one change at a time. `raft_node` holds one `Membership`,
asks it who is who, and hands it the requests of the service RaftMembership.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import Any, NamedTuple, Protocol

from ..api.messages import JoinRequest, JoinResponse, KeepAlive, LeaveRequest, TransferLeadership
from ..errors import ApiError, LeadershipLost
from ..machine import MILLISECOND, SECOND, Address, Call, Micros, Outbox
from ..raft.membership import ConfChange, ConfChangeType, ConfChangeV2
from ..raft.messages import NONE
from ..raft.raft import RawNode

DIAL_BACK: Micros = 5 * SECOND
TRANSFER_LIMIT: Micros = 25 * SECOND
TRANSFER_POLL: Micros = 100 * MILLISECOND

CHANGES = (ConfChangeType.ADD_NODE, ConfChangeType.REMOVE_NODE, ConfChangeType.UPDATE_NODE)

NOT_A_MEMBER = ApiError("FailedPrecondition", "raft: node is not yet part of a raft cluster")
CANNOT_REMOVE = "raft: member cannot be removed, because removing it may result in loss of quorum"
UNREACHABLE = "could not connect to prospective new cluster member using its advertised address"


class Member(NamedTuple):
    """A manager as the group knows it: the context of the entry that added it."""

    node_id: str
    host: str


class Group(NamedTuple):
    """What a snapshot holds of the membership, beside the configuration that the core keeps."""

    members: tuple[tuple[int, Member], ...]
    removed: tuple[int, ...]


class RaftMember(Protocol):
    """What this file asks of `raft_node.RaftNode`."""

    node: str
    id: int
    raw: RawNode

    @property
    def is_leader(self) -> bool: ...

    def is_active(self, id: int) -> bool: ...

    def propose_change(self, change: ConfChange, out: Outbox) -> None: ...

    def transfer(self, to: int, out: Outbox) -> None: ...


class Membership:
    """The members by Raft id, and the ids that may never return."""

    def __init__(self, raft: RaftMember, members: Iterable[tuple[int, Member]]) -> None:
        self.raft = raft
        self.members: dict[int, Member] = dict(members)
        self.removed: dict[int, None] = {}
        self._requests: deque[tuple[Call, Any]] = deque()
        self._serving = False
        self._awaited: tuple[int, Call, Callable[[], Any]] | None = None  # (id, who asked, what to answer)

    # -- who is who --
    def host(self, id: int) -> str:
        member = self.members.get(id)
        return member.host if member is not None else ""

    def hosts(self) -> tuple[str, ...]:
        """The hosts of all members in force."""
        return tuple(member.host for member in self.in_force())

    def in_force(self) -> tuple[Member, ...]:
        """The members that the configuration in force has."""
        return tuple(self.members[id] for id in self.raft.raw.progress if id in self.members)

    def node_ids(self) -> tuple[str, ...]:
        return tuple(member.node_id for member in self.in_force())

    def find(self, host: str) -> int:
        """Of the members on one host the latest: one that lost its disk and joined anew is two, and answers as one."""
        return next((id for id in reversed(self.members) if self.members[id].host == host), NONE)

    def can_remove(self, node_id: str) -> bool:
        """raft.go `CanRemoveMember`: enough reachable members remain for a quorum.

        By the node's id: one that left and joined anew is two members on one host, until the old one is removed.
        """
        ids = [id for id in self.raft.raw.progress if id in self.members]
        left = [id for id in ids if self.members[id].node_id != node_id]
        reachable = sum(1 for id in left if id == self.raft.id or self.raft.is_active(id))
        return reachable >= (len(ids) - 1) // 2 + 1

    def statuses(self) -> tuple[tuple[str, bool], ...]:
        """Node id of each member, and whether this one can reach it (raft.go `GetMemberlist`)."""
        ids = [id for id in self.raft.raw.progress if id in self.members]
        return tuple((self.members[id].node_id, id == self.raft.id or self.raft.is_active(id)) for id in ids)

    # -- snapshots, and entries that are applied --
    def save(self) -> Group:
        return Group(tuple(self.members.items()), tuple(self.removed))

    def restore(self, group: Group) -> None:
        self.members = dict(group.members)
        self.removed = dict.fromkeys(group.removed)

    def apply(self, change: ConfChange | ConfChangeV2 | None) -> list[int]:
        """A committed change is in force; returns who is a member no more. No change at all ends a joint one."""
        if not isinstance(change, ConfChange):
            return self._apply_joint(change)
        gone = [change.node_id] if change.type is ConfChangeType.REMOVE_NODE else []
        if self.refusal(change):
            return gone
        if gone:
            self.members.pop(change.node_id, None)
            self.removed[change.node_id] = None
        else:
            assert isinstance(change.context, Member), f"not a member: {change.context!r}"
            self.members[change.node_id] = change.context
        return gone

    def _apply_joint(self, change: ConfChangeV2 | None) -> list[int]:
        """Several at once, which SwarmKit never asks for: who goes is a member until C_new is alone in force."""
        if change is not None and isinstance(change.context, dict):
            self.members |= change.context
        gone = [id for id in self.members if id not in self.raft.raw.progress]
        for id in gone:
            del self.members[id]
            self.removed[id] = None
        return gone

    def refusal(self, change: ConfChange) -> str:
        """Why the change may not be made (membership/cluster.go `ValidateConfigurationChange`); empty: it may."""
        if change.node_id in self.removed:
            return "membership: node was removed during cluster lifetime"
        known = change.node_id in self.members
        if change.type is ConfChangeType.ADD_NODE and known:
            return "membership: can't add node to cluster, node id is a duplicate"
        if change.type in (ConfChangeType.REMOVE_NODE, ConfChangeType.UPDATE_NODE) and not known:
            return "membership: member not found in cluster list"
        if change.type not in CHANGES:
            return "membership: ConfChange type should be either AddNode, RemoveNode or UpdateNode"
        if change.type is not ConfChangeType.REMOVE_NODE and not isinstance(change.context, Member):
            return "membership: cannot unmarshal configuration change"
        return ""

    def applied(self, change: ConfChange | ConfChangeV2 | None, out: Outbox) -> None:
        """Answer who waits for it."""
        if self._awaited is None or not isinstance(change, ConfChange) or self._awaited[0] != change.node_id:
            return
        _, call, answer = self._awaited
        self._awaited = None
        out.reply(call, answer())

    def lost_leadership(self, out: Outbox) -> None:
        """Whoever waits for a change is told; it may commit all the same."""
        if self._awaited is not None:
            out.fail(self._awaited[1], LeadershipLost())
            self._awaited = None

    # -- requests --
    def serve(self, call: Call, request: Any, out: Outbox) -> None:
        """RaftMembership, one request after the other (raft.go `membershipLock`)."""
        self._requests.append((call, request))
        if not self._serving:
            out.start(self._serve(out))

    def _serve(self, out: Outbox) -> Generator[Any, Any, None]:
        self._serving = True
        while self._requests:
            call, request = self._requests.popleft()
            try:
                yield from self._answer(call, request, out)
            except ApiError as error:
                out.fail(call, error)
        self._serving = False

    def _answer(self, call: Call, request: Any, out: Outbox) -> Generator[Any, Any, None]:
        if type(request) is TransferLeadership:
            yield from self._transfer(call, out)
            out.reply(call, None)
            return
        if not self.raft.is_leader:
            raise LeadershipLost
        if type(request) is JoinRequest:
            yield from self._join(call, request, out)
        else:
            assert type(request) is LeaveRequest, f"RaftMembership has no {request!r}"
            yield from self._leave(call, request, out)

    def _join(self, call: Call, request: JoinRequest, out: Outbox) -> Generator[Any, Any, None]:
        """Dial back, then add the member; one that asks again gets its id again, and a new address is told to all."""
        try:
            yield out.call(Address(request.addr, "api"), KeepAlive(), DIAL_BACK)
        except ApiError:
            raise ApiError("FailedPrecondition", UNREACHABLE) from None
        member = Member(request.node_id, request.addr)
        id = next((id for id, m in self.members.items() if m.node_id == request.node_id), NONE)
        if id != NONE and self.members[id] == member:
            out.reply(call, JoinResponse(id, tuple(self.members.items())))
            return
        kind = ConfChangeType.ADD_NODE if id == NONE else ConfChangeType.UPDATE_NODE
        id = self._free_id(out) if id == NONE else id
        change = ConfChange(kind, id, context=member)
        yield from self._change(call, change, lambda: JoinResponse(id, tuple(self.members.items())), out)

    def _free_id(self, out: Outbox) -> int:
        """Random, and neither a member's nor ever a member's before."""
        while True:
            id = out.rng.getrandbits(63)
            if id != NONE and id not in self.members and id not in self.removed:
                return id

    def _leave(self, call: Call, request: LeaveRequest, out: Outbox) -> Generator[Any, Any, None]:
        id = next((id for id, m in self.members.items() if m.node_id == request.node_id), NONE)
        if id == NONE:
            raise ApiError("Unknown", "raft: member unknown")
        if not self.can_remove(request.node_id):
            raise ApiError("Unknown", CANNOT_REMOVE)
        yield from self._change(call, ConfChange(ConfChangeType.REMOVE_NODE, id), lambda: None, out)

    def _change(
        self, call: Call, change: ConfChange, answer: Callable[[], Any], out: Outbox
    ) -> Generator[Any, Any, None]:
        """Propose it, and hold the lock until it is applied or nobody waits for it any more."""
        self._awaited = (change.node_id, call, answer)
        self.raft.propose_change(change, out)
        while self._awaited is not None:
            if out.now > call.deadline:
                self._awaited = None
                raise ApiError("DeadlineExceeded", "context deadline exceeded")
            yield out.sleep(TRANSFER_POLL // 10)

    def _transfer(self, call: Call, out: Outbox) -> Generator[Any, Any, None]:
        """Hand over, and wait until somebody else leads (raft.go `TransferLeadership`)."""
        raft = self.raft
        if not raft.is_leader:
            raise LeadershipLost
        peer = self.pick_active(out)
        if peer == NONE:
            raise ApiError("Unknown", "raft: no elected cluster leader")
        raft.transfer(peer, out)
        limit = min(out.now + TRANSFER_LIMIT, call.deadline)
        while raft.raw.leader_id in (NONE, raft.id):
            if out.now >= limit:
                raise ApiError("DeadlineExceeded", "context deadline exceeded")
            yield out.sleep(TRANSFER_POLL)

    def pick_active(self, out: Outbox) -> int:
        """An active peer; "longest active" is meant, but any is taken (transport.go `longestActive`)."""
        raft = self.raft
        peers = [id for id in raft.raw.progress if id != raft.id and raft.is_active(id)]
        return int(out.rng.choice(peers)) if peers else NONE
