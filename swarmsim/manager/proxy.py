"""The proxy: every manager serves every API, a follower by passing the request on to the leader.

SwarmKit protobuf/plugin/raftproxy and manager/state/raft/raft.go `LeaderConn`. At most one hop; a call that a broken
connection ended is tried once more (streams are not); without a leader for more than ten ticks the refusal is
immediate. It also carries what the leader's dispatcher pushes to agents that are connected here.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, Protocol

from ..api.messages import AssignmentsRequest, Forwarded, KeepAlive, SessionEnded, SessionRequest, ToAgent
from ..errors import ApiError
from ..machine import SECOND, Address, Call, Handler, Machine, Micros, Outbox

NO_LEADER = (
    "The swarm does not have a leader. It's possible that too few managers are online. "
    "Make sure more than half of the managers are online."
)
POLL: Micros = SECOND
RETRY_POLL: Micros = SECOND // 2
LOST_QUORUM_TICKS = 10

#: Requests that open a stream: the client must try again by itself.
STREAMS = (SessionRequest, AssignmentsRequest)

#: gRPC service -> the machine that serves it on the leader.
SERVED_BY = {"control": "controlapi", "dispatcher": "dispatcher", "ca": "ca", "membership": "raft"}


class Leadership(Protocol):
    """What the proxy asks of the manager's Raft node."""

    ticks_without_leader: int

    def leader_host(self) -> str:
        """The leader as this member knows it ("" if it knows none, or cannot reach it)."""

    @property
    def is_leader(self) -> bool: ...


class NotYet:
    """A manager that is joining: it listens, and knows of no leader."""

    ticks_without_leader = 0
    is_leader = False

    def leader_host(self) -> str:
        return ""


class Proxy(Machine):
    def __init__(self, node: str, raft: Leadership) -> None:
        self.node = node
        self.raft = raft
        self._relays: dict[str, str] = {}  # agent's host -> leader that its session goes to

    def take_over(self, sessions: Mapping[str, tuple[str, str]], leader: str) -> None:
        """A cluster that is handed over formed: which agents are connected here."""
        if leader != self.node:
            self._relays = {host: leader for host, (_, manager) in sessions.items() if manager == self.node}

    def on_call(self, call: Call, out: Outbox) -> Handler:
        if type(call.request) is KeepAlive:
            out.reply(call, True)  # this manager listens, though its Raft member may not have started yet
        elif type(call.request) is Forwarded:
            out.fail(call, self._astray(call))
        else:
            out.start(self._pass_on(call, out))
        return None

    def _astray(self, call: Call) -> ApiError:
        """Another manager takes this one for the leader. It is one whose components have not begun, or it is not."""
        if self.raft.leader_host() == self.node:
            return ApiError("Aborted", f"{call.service} is stopped")
        return ApiError("ResourceExhausted", f"more than one redirect to leader from: {call.src.node}")

    def _pass_on(self, call: Call, out: Outbox) -> Generator[Any, Any, None]:
        try:
            answer = yield from self._ask_leader(call, out)
        except ApiError as error:
            out.fail(call, error)
            return
        out.reply(call, answer)

    def _ask_leader(self, call: Call, out: Outbox) -> Generator[Any, Any, Any]:
        leader = yield from self._leader(call, out)
        try:
            return (yield from self._ask(leader, call, out))
        except ApiError as error:
            if "connection error" not in error.text or type(call.request) in STREAMS:
                raise
        leader = yield from self._healthy_leader(call, out)
        return (yield from self._ask(leader, call, out))

    def _healthy_leader(self, call: Call, out: Outbox) -> Generator[Any, Any, str]:
        """After a broken connection: every 500 ms, until a leader says that its Raft member serves."""
        while True:
            yield out.sleep(RETRY_POLL)
            leader = yield from self._leader(call, out)
            if leader == self.node:
                return leader
            try:
                yield out.call(Address(leader, "raft"), KeepAlive(), max(call.deadline - out.now, 1))
                return leader
            except ApiError:
                if out.now >= call.deadline:
                    raise ApiError("DeadlineExceeded", "context deadline exceeded") from None

    def _ask(self, leader: str, call: Call, out: Outbox) -> Generator[Any, Any, Any]:
        served_by = SERVED_BY[call.service]
        if leader == self.node and served_by == call.service:
            raise ApiError("Aborted", f"{served_by} is stopped")
        request = Forwarded(call.request, call.src.node)
        left = max(call.deadline - out.now, 1)
        answer = yield out.call(Address(leader, served_by), request, left)
        if type(call.request) is SessionRequest:
            self._relays[call.src.node] = leader
        return answer

    def _leader(self, call: Call, out: Outbox) -> Generator[Any, Any, str]:
        """Wait for a leader, up to the caller's deadline; fail at once when there has been none for long."""
        while True:
            leader = self.raft.leader_host()
            if leader:
                return leader
            if self.raft.ticks_without_leader > LOST_QUORUM_TICKS:
                raise ApiError("Unknown", NO_LEADER)
            if out.now + POLL > call.deadline:
                yield out.sleep(max(call.deadline - out.now, 0))
                raise ApiError("DeadlineExceeded", "context deadline exceeded")
            yield out.sleep(POLL)

    def on_message(self, src: Address, message: Any, out: Outbox) -> Handler:
        if type(message) is ToAgent:
            out.send(Address(message.node, "agent"), message.message)
        return None

    def on_lost(self, node: str, out: Outbox) -> Handler:
        """The leader's process died: the streams that went to it end."""
        for agent in [a for a, leader in self._relays.items() if leader == node]:
            del self._relays[agent]
            out.send(Address(agent, "agent"), SessionEnded("", "connection reset"))
        self._relays.pop(node, None)
        return None
