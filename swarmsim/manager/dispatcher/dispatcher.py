"""The dispatcher: stage five. Sessions of agents, their heartbeats, their assignments, their reports.

SwarmKit manager/dispatcher/dispatcher.go and nodes.go. Runs on the leader only. It alone decides that a node is DOWN: a
heartbeat that is missed for three periods. Reports are gathered for 100 ms and written in one batch, the last of a task
wins, so quick intermediate states can be missing in the store. A node that is removed keeps its streams until its next
heartbeat is refused, so within these seconds it is still told what becomes of its tasks.

Leaves out: log streams. A status-only change of a node object is not pushed to its agent, which would ignore it. See
`assignments` for what a node is sent, `writes` for what is stored, `heartbeat` for the numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...api.heartbeat import Pulse, catch_up, draw_period, first_pulse
from ...api.ids import new_id
from ...api.messages import (
    AssignmentsRequest,
    Committed,
    Forwarded,
    HeartbeatRequest,
    MembersChanged,
    Rouse,
    SessionEnded,
    SessionMessage,
    SessionRequest,
    ToAgent,
    UpdateTaskStatusRequest,
    UpdateVolumeStatusRequest,
)
from ...api.objects import Cluster, Node, Task, TaskStatus, Volume
from ...api.states import NodeState
from ...errors import ApiError
from ...machine import Address, Call, Disturbed, Handler, Machine, Micros, Outbox
from ...store.actions import CREATE, REMOVE, UPDATE, Change
from ...store.memory_store import MemoryStore
from ...trace.events import AssignmentsSent, HeartbeatExpired, NodeRegistered
from ..drivers import NO_DRIVERS, SecretDrivers
from .assignments import AssignmentSet
from .heartbeat import (
    BATCH_INTERVAL,
    BATCH_ITEMS,
    GRACE_MULTIPLIER,
    ORPHAN_AFTER,
    UNKNOWN_MULTIPLIER,
    RateLimit,
)
from .writes import NodeUpdate, node_change, orphaned_change, status_change, unknown_change, unpublished_change

ASSIGNMENT_INTERVAL: Micros = 100_000
ASSIGNMENT_ITEMS = 100
UNKNOWN_FAILURE = 'heartbeat failure for node in "unknown" state'
HEARTBEAT_FAILURE = "heartbeat failure"
NOT_REGISTERED = "node not registered"


NO_PULSE = Pulse(0, 0)


@dataclass(slots=True)
class Session:
    """The dispatcher's entry for a node. `id` empty: UNKNOWN since the leader changed, not registered yet."""

    node_id: str
    host: str
    id: str = ""
    via: str = ""  # the manager that proxies for the agent; empty: connected here
    pulse: Pulse = NO_PULSE  # the last heartbeat, and the period that was drawn then
    grace: Micros = 0
    dozing: bool = False  # healthy heartbeats are skipped: no timer runs
    limit: RateLimit = field(default_factory=RateLimit)
    assignments: AssignmentSet | None = None


class Dispatcher(Machine):
    """`members()` gives the hosts of all Raft members.

    `formed`: of a cluster that is handed over, node id -> (session id, the manager that its agent is connected to).
    """

    def __init__(
        self,
        node: str,
        store: MemoryStore,
        members: Callable[[], tuple[str, ...]],
        formed: Mapping[str, tuple[str, str]] | None = None,
        drivers: SecretDrivers = NO_DRIVERS,
    ) -> None:
        self.node = node
        self.store = store
        self.members = members
        self.formed = formed
        self.drivers = drivers
        self.sessions: dict[str, Session] = {}
        self.down: dict[str, None] = {}
        self._ending: dict[str, Session] = {}  # DOWN nodes' streams, each of which ends with its next event
        self._statuses: dict[str, tuple[TaskStatus, int]] = {}
        self._nodes: dict[str, NodeUpdate] = {}
        self._unpublished: dict[str, dict[str, None]] = {}  # volume -> the nodes that let go of it
        self._registering: list[tuple[Call, SessionRequest, str, int]] = []
        self._in_batch: list[tuple[Call, SessionRequest, str, int]] = []  # those whose batch is being committed
        self._flushing = False
        self._phase: Micros = 0
        self._period: Micros = 5_000_000

    # -- start: a new leader knows no session --
    def on_start(self, saved: Mapping[Any, Any], out: Outbox) -> Handler:
        self._phase = int(out.rng.random() * BATCH_INTERVAL)
        cluster = self.store.cluster
        if cluster is not None and cluster.spec.heartbeat_period > 0:
            self._period = cluster.spec.heartbeat_period
        if self.formed is not None:
            self._take_over(out)
            return None
        return self._mark_unknown(out)

    def _take_over(self, out: Outbox) -> None:
        """A cluster that is handed over formed: every agent is connected, heartbeats in drawn phases."""
        assert self.formed is not None
        for node in self.store.nodes.values():
            id, manager = self.formed[node.id]
            via = "" if manager == self.node else manager
            session = self.sessions[node.id] = Session(node.id, node.hostname, id, via)
            session.assignments = self._assignment_set(node.id)
            session.assignments.message(complete=True)
            session.pulse = first_pulse(session.id, out, self._period)
            session.dozing = out.quiet(session.host, *self.members())
            if not session.dozing:
                self._await_beat(session, out)

    def _mark_unknown(self, out: Outbox) -> Generator[Any, Any, None]:
        """dispatcher.go `markNodesUnknown`: nodes already DOWN stay so, with a fresh 24 h timer."""
        nodes = list(self.store.nodes.values())
        yield out.batch([unknown_change(node.id) for node in nodes if node.status.state != NodeState.DOWN])
        for node in nodes:
            if node.status.state == NodeState.DOWN:
                self._await_orphaning(node.id, node.hostname, out)
                continue
            session = self.sessions.setdefault(node.id, Session(node.id, node.hostname))
            session.pulse = Pulse(out.now, self.unknown_period(draw_period(self._period, out.rng)), self._period)
            self._await_beat(session, out)

    # -- requests --
    def on_call(self, call: Call, out: Outbox) -> Handler:
        request, via, host = call.request, "", call.src.node
        if type(request) is Forwarded:
            via, host, request = call.src.node, request.origin, request.request
        try:
            self._authorize(request.node_id)
            if type(request) is HeartbeatRequest:
                out.reply(call, self._heartbeat(request, out))
            elif type(request) is UpdateTaskStatusRequest:
                self._update_statuses(request, out)
                out.reply(call, None)
            elif type(request) is UpdateVolumeStatusRequest:
                self._update_volumes(request, out)
                out.reply(call, None)
            elif type(request) is AssignmentsRequest:
                out.reply(call, self._assignments(request, out))
            elif type(request) is SessionRequest:
                self._session(call, request, via, host, out)
            else:
                raise ApiError("Unimplemented", f"unknown method {type(request).__name__}")
        except ApiError as error:
            out.fail(call, error)
        return None

    def _authorize(self, node_id: str) -> None:
        """A node that was removed is refused, whatever it asks (ca/auth.go, blacklisted certificates)."""
        cluster = self.store.cluster
        if cluster is not None and any(id == node_id for id, _ in cluster.blacklisted):
            raise ApiError("PermissionDenied", f"Permission denied: node {node_id} was removed from swarm")

    def _known(self, node_id: str, session_id: str) -> Session:
        session = self.sessions.get(node_id)
        if session is None:
            raise ApiError("NotFound", NOT_REGISTERED)
        if not session_id or session.id != session_id:
            raise ApiError("InvalidArgument", "session invalid")
        return session

    def _session(self, call: Call, request: SessionRequest, via: str, host: str, out: Outbox) -> None:
        """Go on with a live session, or register: answered when the batch with READY is committed."""
        session = self.sessions.get(request.node_id)
        if session is None or not session.id or session.id != request.session_id:
            if session is not None and not session.limit.allows(out.now):
                raise ApiError("Unavailable", f"node {request.node_id} exceeded rate limit count of registrations")
            if self.store.get(Node, request.node_id) is None:
                raise ApiError("NotFound", "node not found")
        self._registering.append((call, request, via, out.cause))
        update = NodeUpdate(NodeState.READY, "", out.cause, request.description, request.addr)
        self._nodes[request.node_id] = update
        self._await_batch(out)

    def _registered(self, call: Call, request: SessionRequest, via: str, out: Outbox) -> None:
        """The batch is committed: the session exists from now on, or goes on with the timer that it has."""
        node: Node | None = self.store.get(Node, request.node_id)
        if node is None:
            return out.fail(call, ApiError("NotFound", "node not found"))
        self.down.pop(node.id, None)
        out.cancel_timer(("orphan", node.id))
        host = call.request.origin if type(call.request) is Forwarded else call.src.node
        session = self.sessions.get(node.id)
        if session is None:
            session = self.sessions[node.id] = Session(node.id, host)
        if not session.id or session.id != request.session_id:
            session.id = new_id(out.rng)
            session.host = host
            out.emit(NodeRegistered(host, session.id, self.node))
            self._beat(session, out)
        session.host, session.via, session.assignments = host, via, None
        self._ending.pop(node.id, None)
        out.reply(call, self._session_message(session, node))
        return None

    def _session_message(self, session: Session, node: Node) -> SessionMessage:
        cluster = self.store.cluster
        keys = cluster.network_keys if cluster else ()
        root = cluster.root.ca_cert.name if cluster else ""
        return SessionMessage(session.id, node, self.members(), keys, cluster.ca_digest if cluster else "", root)

    def _heartbeat(self, request: HeartbeatRequest, out: Outbox) -> Pulse:
        session = self._known(request.node_id, request.session_id)
        return self._beat(session, out, dozing=request.dozing and out.quiet(session.host, *self.members()))

    def _beat(self, session: Session, out: Outbox, dozing: bool = False) -> Pulse:
        session.pulse = Pulse(out.now, draw_period(self._period, out.rng), self._period, dozing)
        session.dozing = dozing
        if dozing:
            out.cancel_timer(("node", session.node_id))
        else:
            self._await_beat(session, out)
        return session.pulse

    def grace(self, period: Micros) -> Micros:
        """nodes.go `AddOrUpdate`: so long may a heartbeat be awaited that is due after `period`."""
        return period * GRACE_MULTIPLIER

    def unknown_period(self, period: Micros) -> Micros:
        """nodes.go `AddUnknown`: a node that has not registered with a new leader yet counts as if its period were."""
        return period * UNKNOWN_MULTIPLIER

    def _await_beat(self, session: Session, out: Outbox) -> None:
        """The node is DOWN when nothing is heard within the grace after its last heartbeat."""
        session.grace = self.grace(session.pulse.period)
        left = max(session.pulse.at + session.grace - out.now, 0)
        out.set_timer(("node", session.node_id), left, awaits=session.host)

    def _disturbed(self, node: str, out: Outbox) -> None:
        """Heartbeats may fail from now on: find out when the last were, and await the next."""
        members = self.members()
        everybody = not node or node in members
        for session in self.sessions.values():
            if session.dozing and (everybody or session.host == node) and not out.quiet(session.host, *members):
                self._wake(session, out)

    def _wake(self, session: Session, out: Outbox) -> None:
        session.pulse = catch_up(session.pulse, session.id, out)
        session.dozing = False
        self._await_beat(session, out)

    def _rouse(self, session: Session, out: Outbox) -> None:
        """The answer to its next heartbeat will be another than the agent expects: it must be sent."""
        if session.dozing:
            self._wake(session, out)
            self._push(session, Rouse(session.id), out)

    def _update_statuses(self, request: UpdateTaskStatusRequest, out: Outbox) -> None:
        self._known(request.node_id, request.session_id)
        for task_id, status, _ in request.updates:
            task: Task | None = self.store.get(Task, task_id)
            if status is not None and task is not None and task.node_id != request.node_id:
                raise ApiError("PermissionDenied", "cannot update a task not assigned this node")
        for task_id, status, cause in request.updates:
            if status is not None and self.store.get(Task, task_id) is not None:
                self._statuses[task_id] = (status, cause)
        self._await_batch(out)

    def _update_volumes(self, request: UpdateVolumeStatusRequest, out: Outbox) -> None:
        self._known(request.node_id, request.session_id)
        for volume_id in request.unpublished:
            self._unpublished.setdefault(volume_id, {})[request.node_id] = None
        self._await_batch(out)

    def _assignment_set(self, node_id: str) -> AssignmentSet:
        return AssignmentSet(self.store, node_id, self.drivers)

    def _assignments(self, request: AssignmentsRequest, out: Outbox) -> Any:
        session = self._known(request.node_id, request.session_id)
        session.assignments = self._assignment_set(request.node_id)
        for task in self.store.tasks_on_node(request.node_id):
            session.assignments.add_or_update(task, out.cause)
        for volume in self.store.volumes.values():
            session.assignments.update_volume(volume)
        return self._told(session, complete=True, out=out)

    # -- batches of reports: a 100 ms ticker that costs nothing while there is nothing --
    def _await_batch(self, out: Outbox) -> None:
        if self._flushing:
            return
        if max(len(self._statuses), len(self._nodes), len(self._unpublished)) >= BATCH_ITEMS:
            out.set_timer("batch", 0)
        else:
            out.set_timer("batch", BATCH_INTERVAL - (out.now - self._phase) % BATCH_INTERVAL)

    def _flush(self, out: Outbox) -> Generator[Any, Any, None]:
        self._flushing = True
        statuses, self._statuses = self._statuses, {}
        nodes, self._nodes = self._nodes, {}
        unpublished, self._unpublished = self._unpublished, {}
        self._in_batch, self._registering = self._registering, []
        changes = [status_change(id, status, cause, self.node) for id, (status, cause) in statuses.items()]
        changes += [node_change(id, update) for id, update in nodes.items()]
        changes += [unpublished_change(id, tuple(of)) for id, of in unpublished.items()]
        yield out.batch(changes)
        self._flushing = False
        self._phase = out.now % BATCH_INTERVAL  # the ticker is reset after each batch
        cause = out.cause
        registered, self._in_batch = self._in_batch, []
        for call, request, via, _ in registered:
            self._registered(call, request, via, out)
            out.cause = cause
        if self._statuses or self._nodes or self._unpublished or self._registering:
            self._await_batch(out)

    # -- timers --
    def on_timer(self, name: Any, out: Outbox) -> Handler:
        if name == "batch":
            if not self._flushing:
                out.start(self._flush(out))
            return None
        what, node_id = name
        if what == "node":
            self._expired(self.sessions.pop(node_id), out)
        elif what == "assign":
            session = self.sessions.get(node_id)
            if session is not None and session.assignments is not None and session.assignments.modifications:
                self._push(session, self._told(session, complete=False, out=out), out)
        elif what == "orphan":
            out.start(self._orphan(node_id, out))
        return None

    def _expired(self, session: Session, out: Outbox) -> None:
        """No heartbeat within the grace: the node is DOWN, its session invalid (dispatcher.go `markNodeNotReady`)."""
        if session.id:
            self._ending[session.node_id] = session
        if self.store.get(Node, session.node_id) is None:
            return  # it was removed meanwhile
        out.emit(HeartbeatExpired(session.host, out.now - session.pulse.at, session.grace))
        message = HEARTBEAT_FAILURE if session.id else UNKNOWN_FAILURE
        waiting = self._nodes.get(session.node_id)  # a registration's, whose description is kept
        description = waiting.description if waiting is not None else None
        self._nodes[session.node_id] = NodeUpdate(NodeState.DOWN, message, out.cause, description)
        self._await_orphaning(session.node_id, session.host, out)
        self._await_batch(out)

    def _await_orphaning(self, node_id: str, host: str, out: Outbox) -> None:
        self.down[node_id] = None
        out.set_timer(("orphan", node_id), ORPHAN_AFTER, awaits=host)

    def _orphan(self, node_id: str, out: Outbox) -> Generator[Any, Any, None]:
        """After 24 h DOWN nobody will report these tasks any more (dispatcher.go `moveTasksToOrphaned`)."""
        self.down.pop(node_id, None)
        yield out.batch([orphaned_change(task.id) for task in self.store.tasks_on_node(node_id)])

    # -- what commits mean for sessions --
    def on_message(self, src: Address, message: Any, out: Outbox) -> Handler:
        if type(message) is Committed:
            cause = out.cause
            for change in message.changes:
                out.cause = change.cause or cause
                self._changed(change, out)
            out.cause = cause
        elif type(message) is Disturbed:
            self._disturbed(message.node, out)
        elif type(message) is MembersChanged:
            self._push_to_all(out)
        return None

    def _changed(self, change: Change, out: Outbox) -> None:
        kind = type(change.new)
        if kind is Task and change.kind is not CREATE:
            self._task_changed(change, out)
        elif kind is Node and change.kind is REMOVE:
            session = self.sessions.get(change.new.id)
            if session is not None:  # it ends with its next heartbeat, which is refused
                self._rouse(session, out)
        elif kind is Node and change.kind is UPDATE:
            self._node_changed(change, out)
        elif kind is Volume and change.kind is UPDATE:
            self._volume_changed(change.new, out)
        elif kind is Cluster and change.old is not None:
            self._cluster_changed(change, out)

    def _task_changed(self, change: Change, out: Outbox) -> None:
        session = self.sessions.get(change.new.node_id)
        if session is None or session.assignments is None:
            return
        act = session.assignments.remove if change.kind is REMOVE else session.assignments.add_or_update
        if act(change.new, out.cause):
            self._await_assignment(session, session.assignments, out)

    def _volume_changed(self, volume: Volume, out: Outbox) -> None:
        for status in volume.publish_status:
            session = self.sessions.get(status.node_id)
            if session is not None and session.assignments is not None and session.assignments.update_volume(volume):
                self._await_assignment(session, session.assignments, out)

    def _await_assignment(self, session: Session, assignments: AssignmentSet, out: Outbox) -> None:
        full = assignments.modifications >= ASSIGNMENT_ITEMS
        out.set_timer(("assign", session.node_id), 0 if full else ASSIGNMENT_INTERVAL)

    def _node_changed(self, change: Change, out: Outbox) -> None:
        old, new = change.old, change.new
        session = self.sessions.get(new.id)
        if session is None or not session.id:
            self._end_stream(new.id, out)
            return
        same = (
            old.spec == new.spec
            and old.role == new.role
            and old.certificate == new.certificate
            and old.attachments == new.attachments
        )
        if not same:
            self._push(session, self._session_message(session, new), out)

    def _cluster_changed(self, change: Change, out: Outbox) -> None:
        old, new = change.old, change.new
        if new.spec.heartbeat_period > 0 and new.spec.heartbeat_period != self._period:
            self._period = new.spec.heartbeat_period  # from each session's next heartbeat on
            for session in self.sessions.values():
                self._rouse(session, out)
        if old.network_keys != new.network_keys or old.ca_digest != new.ca_digest:
            self._push_to_all(out)

    def _end_stream(self, node_id: str, out: Outbox) -> None:
        """The stream of a node that was marked DOWN has something to say: its session is found to be gone."""
        session = self._ending.pop(node_id, None)
        if session is not None:
            self._push(session, SessionEnded(session.id, NOT_REGISTERED), out)

    def _push_to_all(self, out: Outbox) -> None:
        for node_id in list(self._ending):
            self._end_stream(node_id, out)
        for session in self.sessions.values():
            node = self.store.get(Node, session.node_id)
            if session.id and node is not None:
                self._push(session, self._session_message(session, node), out)

    def _told(self, session: Session, complete: bool, out: Outbox) -> Any:
        assert session.assignments is not None, "assignments without a stream"
        message = session.assignments.message(complete)
        if message.tasks or message.removed_tasks:
            cause = max((c for _, c in message.tasks), default=out.cause)
            out.cause = max(cause, out.cause)
            out.emit(AssignmentsSent(session.host, complete, len(message.tasks), len(message.removed_tasks)))
        return message

    def _push(self, session: Session, message: Any, out: Outbox) -> None:
        """Down the agent's stream, through the manager that it is connected to."""
        if session.via:
            out.send(Address(session.via, "api"), ToAgent(session.host, message))
        else:
            out.send(Address(session.host, "agent"), message)

    def on_stop(self, out: Outbox) -> None:
        """Leadership is gone: each stream ends with Aborted, after a last message; nobody waits for a batch."""
        for call, *_ in (*self._in_batch, *self._registering):
            out.fail(call, ApiError("Aborted", "dispatcher is stopped"))
        self._push_to_all(out)
        for session in self.sessions.values():
            if session.id:
                self._push(session, SessionEnded(session.id, "node must disconnect"), out)
