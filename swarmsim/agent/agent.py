"""The agent: one on every node, managers too. Keeps a session with a dispatcher, runs what it is assigned, reports.

SwarmKit agent/agent.go and agent/session.go. One session at a time: any error in its heartbeat, its assignments or its
stream fails it; the agent then tries again with the same session id, after a random backoff, at a manager drawn by
weight. Without managers its tasks run on, and may end; the reports go out later.

Leaves out: log streams. Gossip keys are kept as the session messages bring them; that gossip without a common key is
cut is not modelled.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any, NamedTuple

from ..api.heartbeat import DEFAULT_PERIOD, Pulse, catch_up, first_pulse
from ..api.messages import (
    AgentFailed,
    AssignmentsMessage,
    AssignmentsRequest,
    HeartbeatRequest,
    LeaveSwarm,
    NodeNews,
    Recertified,
    Redescribed,
    Rouse,
    SessionEnded,
    SessionMessage,
    SessionRequest,
    UpdateTaskStatusRequest,
    UpdateVolumeStatusRequest,
)
from ..api.objects import Config, EncryptionKey, Node, NodeDescription, Secret, Task, TaskStatus
from ..api.volume_queue import TIMER
from ..errors import ApiError
from ..machine import Address, Disturbed, Handler, Machine, Micros, Outbox
from ..trace.events import SessionFailed
from .controller import Binding
from .reporter import Reporter
from .service_binding import ServiceBinding
from .session import RPC_TIMEOUT, WEIGHT_OBSERVED, FirstSessionTracker, Remotes, SessionTracker, next_backoff
from .volumes import Volumes
from .worker import Worker


class HandedOver(NamedTuple):
    """What an agent of a cluster that is handed over formed has: its session, and who is on the ingress network."""

    session_id: str
    manager: str
    node: Node
    on_ingress: tuple[str, ...]


NODE_UPDATE_PERIOD: Micros = 20_000_000


class Agent(Machine):
    """`local_manager()`: does a manager run on this node, so that its local socket is used?"""

    def __init__(
        self,
        node_id: str,
        host: str,
        description: NodeDescription,
        managers: tuple[str, ...],
        local_manager: Callable[[], bool],
        formed: HandedOver | None = None,
        addr: str = "",
        heartbeat_period: Micros = DEFAULT_PERIOD,
        tracker: SessionTracker | None = None,
    ) -> None:
        self.addr = addr
        self.heartbeat_period = heartbeat_period  # of a cluster that is handed over; else the dispatcher says it
        self.node_id = node_id
        self.host = host
        self.description = description
        self.remotes = Remotes(managers)
        self.local_manager = local_manager
        self.formed = formed
        self.node: Node | None = None
        self.session_id = ""
        self.manager = ""  # empty: no session
        self.keys: tuple[EncryptionKey, ...] = ()  # of gossip and the data plane, as this node knows them
        self.secrets: dict[str, Secret] = {}
        self.configs: dict[str, Config] = {}
        self.reporter = Reporter()
        self.service_binding = binding = ServiceBinding(host)
        self.volumes = Volumes(lambda: self.secrets, self._volume_gone)
        self.binding = Binding(
            self._attached, binding.activate, binding.disable, binding.remove, self.volumes.ready_for
        )
        self.worker = Worker(self.binding, self._queue_report)
        self._applied = ""
        self._dozing: Pulse | None = None
        self._backoff: Micros = 0
        self._epoch = 0
        self.tracker = tracker or FirstSessionTracker()
        self._unpublished: dict[str, None] = {}  # volumes that it let go of, until a dispatcher knows
        self._redescribed: NodeDescription | None = None
        self._root = description.tls_issuer  # that the node was told of last
        self._started_at: Micros = 0

    def on_start(self, saved: Mapping[Any, Any], out: Outbox) -> Handler:
        self._started_at = out.now
        self.worker.restore(saved, out)
        if self.formed is not None:
            self.session_id, self.manager, self.node, on_ingress = self.formed
            self._applied = "1"
            self.service_binding.attachments(self.node, out, on_ingress)
            pulse = first_pulse(self.session_id, out, self.heartbeat_period)
            if out.quiet(*self.remotes.weights):
                self._dozing = pulse
            else:
                out.set_timer("heartbeat", pulse.at + pulse.period)
            return None
        out.start(self._connect(out))
        return None

    def _attached(self, task: Task) -> bool:
        """Does this node have its own address on every overlay network of the task?"""
        if not task.networks:
            return True
        have = {a.network_id for a in self.node.attachments} if self.node else set()
        return all(not a.addresses or a.network_id in have for a in task.networks)

    # -- sessions --
    def _connect(self, out: Outbox) -> Generator[Any, Any, None]:
        """Try managers until one gives a session, then open the assignments stream."""
        self._epoch += 1
        epoch = self._epoch
        while epoch == self._epoch:
            manager = self.host if self.local_manager() else self.remotes.pick(out.rng)
            if self._backoff:
                yield out.sleep(int(out.rng.random() * self._backoff))
            try:
                if manager is None:
                    raise ApiError("Unavailable", "no remote hosts provided")
                request = SessionRequest(self.node_id, self.description, self.session_id, self.addr)
                message = yield out.call(Address(manager, "dispatcher"), request, RPC_TIMEOUT)
            except ApiError as error:
                self._observe_failure(manager)
                if self._gives_up(error, out):
                    return
                self._backoff = next_backoff(self._backoff)
                continue
            if epoch == self._epoch:
                self._established(manager, message, out)
            return

    def _established(self, manager: str, message: SessionMessage, out: Outbox) -> None:
        self.manager = manager
        self.tracker.established()
        self._backoff = 0
        self._session_message(message, out)
        out.start(self._beat(out))
        out.start(self._open_assignments(out))
        for id, managed in self.worker.tasks.items():  # all statuses are reported again
            self._queue_report(id, managed.status, out)
        if self.reporter.ready:  # also what became of tasks that are gone
            out.set_timer("report", 0)
        if self._unpublished:
            out.start(self._report_volumes(out))

    def _gives_up(self, error: ApiError, out: Outbox) -> bool:
        """A session was closed: shall there be no other (agent.go `run`, the session tracker)?"""
        self.tracker.failed(error)
        fatal = self.tracker.closed()
        if fatal is not None:
            self._epoch += 1
            out.tell("node", AgentFailed(fatal))
        return fatal is not None

    def _open_assignments(self, out: Outbox) -> Generator[Any, Any, None]:
        epoch = self._epoch
        request = AssignmentsRequest(self.node_id, self.session_id)
        try:
            message = yield out.call(Address(self.manager, "dispatcher"), request, RPC_TIMEOUT)
        except ApiError as error:
            return self._fail(error.text, epoch, out)
        if epoch == self._epoch:
            self._assignments(message, out)
        return None

    def _beat(self, out: Outbox) -> Generator[Any, Any, None]:
        epoch = self._epoch
        request = HeartbeatRequest(self.node_id, self.session_id, out.quiet(*self.remotes.weights))
        try:
            pulse = yield out.call(Address(self.manager, "dispatcher"), request, RPC_TIMEOUT)
        except ApiError as error:
            return self._fail(error.text, epoch, out)
        if epoch == self._epoch:
            if pulse.dozing and out.quiet(*self.remotes.weights):
                self._dozing = pulse  # healthy heartbeats are skipped until the network is disturbed
            else:
                out.set_timer("heartbeat", pulse.period)
        return None

    def _disturbed(self, out: Outbox) -> None:
        """Heartbeats may matter again: the next one is due when it would have been."""
        if not out.quiet(*self.remotes.weights):
            self._wake(out)

    def _wake(self, out: Outbox) -> None:
        if self._dozing is not None:
            pulse, self._dozing = catch_up(self._dozing, self.session_id, out), None
            out.set_timer("heartbeat", max(pulse.at + pulse.period - out.now, 0))

    def _fail(self, why: str, epoch: int, out: Outbox) -> None:
        """The session is over: another will be tried (agent.go `run`)."""
        if epoch != self._epoch or not self.manager:
            return
        out.emit(SessionFailed(self.host, self.manager, why))
        self._close(out)
        if self._gives_up(ApiError("Unavailable", why), out):
            return
        self._backoff = next_backoff(self._backoff)
        out.start(self._connect(out))

    def _close(self, out: Outbox) -> None:
        """What is under way on the session's connection fails with it (session.go `close`)."""
        self._observe_failure(self.manager)
        self.manager = ""
        self._dozing = None
        self.reporter.give_back()
        out.cancel_timer("heartbeat")

    def _reconnect(self, out: Outbox) -> None:
        """Another certificate: the session is closed and opened again at once (agent.go, TLS changes)."""
        self._close(out)
        self._backoff = 0
        out.start(self._connect(out))

    def _observe_failure(self, manager: str | None) -> None:
        """The local socket has no weight (connectionbroker/broker.go)."""
        if manager and manager != self.host:
            self.remotes.observe(manager, -WEIGHT_OBSERVED)

    def _leave(self, out: Outbox) -> None:
        """Its session ends without a word, and no other follows; an empty complete assignment removes all tasks."""
        self._epoch += 1
        self._close(out)
        out.cancel_timer("report")
        self.worker.replace((), out)

    # -- what the node says of itself --
    def _recertified(self, message: Recertified, out: Outbox) -> None:
        same = message.issuer == self.description.tls_issuer
        self.description = self.description.evolve(tls_issuer=message.issuer)
        if message.anew or not same:
            self._reconnect(out)

    def _look_at(self, description: NodeDescription, out: Outbox) -> None:
        """The node is looked at every 20 s (agent.go `nodeUpdatePeriod`); while nothing changed that costs nothing."""
        self._redescribed = description
        out.set_timer("describe", NODE_UPDATE_PERIOD - (out.now - self._started_at) % NODE_UPDATE_PERIOD)

    def _describe(self, out: Outbox) -> None:
        new, self._redescribed = self._redescribed, None
        if new is not None and new != self.description:
            self.description = new
            self._reconnect(out)

    # -- stimuli --
    def on_timer(self, name: Any, out: Outbox) -> Handler:
        if name == "heartbeat":
            out.start(self._beat(out))
        elif name == TIMER:
            self.volumes.go_on(out)
        elif name == "describe":
            self._describe(out)
        elif self.reporter.ready and self.manager:
            out.start(self._send_reports(out))
        return None

    def on_message(self, src: Address, message: Any, out: Outbox) -> Handler:
        kind = type(message)
        if kind is Disturbed:
            self._disturbed(out)
        elif kind is Recertified:
            self._recertified(message, out)
        elif kind is Redescribed:
            self._look_at(message.description, out)
        elif kind is LeaveSwarm:
            self._leave(out)
        if not self.manager or src.node != self.manager:
            return None  # of a session that is over
        if kind is AssignmentsMessage:
            self._assignments(message, out)
        elif kind is SessionMessage and message.session_id == self.session_id:
            self._session_message(message, out)
        elif kind is SessionEnded and message.session_id in ("", self.session_id):
            self._fail(message.why, self._epoch, out)
        elif kind is Rouse and message.session_id == self.session_id:
            self._wake(out)
        return None

    def on_lost(self, node: str, out: Outbox) -> Handler:
        if node == self.manager:
            self._fail("connection reset", self._epoch, out)
        return None

    def _session_message(self, message: SessionMessage, out: Outbox) -> None:
        """Who the managers are, and what the node shall be (agent.go `handleSessionMessage`)."""
        self.session_id = message.session_id
        before, known = self.node, tuple(self.remotes.weights)
        self.node = message.node
        self.remotes.announce(message.managers)
        self._take_keys(message.network_keys)
        self._disturbed(out)  # a manager that it had not heard of may be in trouble
        if message.node is None:
            return
        self.service_binding.attachments(message.node, out)
        others = known != tuple(self.remotes.weights) or message.root != self._root
        if others or not _same(before, message.node):
            self._root = message.root
            out.tell("node", NodeNews(message.node, message.managers, message.root))

    def _take_keys(self, keys: tuple[EncryptionKey, ...]) -> None:
        """All of them, if one is new by its Lamport time; else the agent keeps what it has, as while it is cut off."""
        known = {key.lamport for key in self.keys}
        if any(key.lamport not in known for key in keys):
            self.keys = keys

    def _assignments(self, message: AssignmentsMessage, out: Outbox) -> None:
        if message.complete:
            self.secrets = {s.id: s for s in message.secrets}
            self.configs = {c.id: c for c in message.configs}
            self._applied = message.results_in
            self.worker.replace(message.tasks, out)
            self.volumes.replace(message.volumes, message.removed_volumes, out)
            return
        if message.applies_to != self._applied:  # a gap: everything anew
            out.start(self._open_assignments(out))
            return
        self._applied = message.results_in
        self.secrets |= {s.id: s for s in message.secrets}
        self.configs |= {c.id: c for c in message.configs}
        for task, cause in message.tasks:
            self.worker.assign(task, cause, out)
        for task_id in message.removed_tasks:
            self.worker.remove(task_id, out)
            self.reporter.forget(task_id)
        for id in message.removed_secrets:
            self.secrets.pop(id, None)
        for id in message.removed_configs:
            self.configs.pop(id, None)
        self.volumes.update(message.volumes, message.removed_volumes, out)

    # -- volumes that are gone from here --
    def _volume_gone(self, id: str, out: Outbox) -> None:
        self._unpublished[id] = None
        if self.manager:
            out.start(self._report_volumes(out))

    def _report_volumes(self, out: Outbox) -> Generator[Any, Any, None]:
        epoch, ids = self._epoch, tuple(self._unpublished)
        request = UpdateVolumeStatusRequest(self.node_id, self.session_id, ids)
        try:
            yield out.call(Address(self.manager, "dispatcher"), request, RPC_TIMEOUT)
        except ApiError as error:
            return self._fail(error.text, epoch, out)
        for id in ids:
            self._unpublished.pop(id, None)
        return None

    # -- reports: all that changed in one instant goes in one request --
    def _queue_report(self, task_id: str, status: TaskStatus, out: Outbox) -> None:
        self.reporter.queue(task_id, status, out.cause)
        if self.manager and self.reporter.ready:
            out.set_timer("report", 0)

    def _send_reports(self, out: Outbox) -> Generator[Any, Any, None]:
        epoch = self._epoch
        updates = self.reporter.take()
        out.cause = max(cause for _, _, cause in updates)
        request = UpdateTaskStatusRequest(self.node_id, self.session_id, updates)
        try:
            yield out.call(Address(self.manager, "dispatcher"), request, RPC_TIMEOUT)
        except ApiError as error:
            return self._fail(error.text, epoch, out)
        if epoch == self._epoch:
            self.reporter.done()
            if self.reporter.ready:
                out.set_timer("report", 0)
        return None


def _same(a: Node | None, b: Node) -> bool:
    """Equal but for status and meta data (agent.go `nodesEqual`)."""
    return a is not None and a.evolve(status=b.status, version=b.version, updated_at=b.updated_at) == b
