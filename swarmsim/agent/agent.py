"""The agent: one on every node, managers too. Keeps a session with a dispatcher, runs what it is assigned, reports.

SwarmKit agent/agent.go and agent/session.go. One session at a time: any error in its heartbeat, its assignments or its
stream fails it; the agent then tries again with the same session id, after a random backoff, at a manager drawn by
weight. Without managers its tasks run on, and may end; the reports go out later.

Leaves out: the look at the node's description every 20 s (a simulated host does not change), log streams, and the
gossip keys of the session message.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any

from ..api.heartbeat import DEFAULT_PERIOD, Pulse, catch_up, first_pulse
from ..api.messages import (
    AssignmentsMessage,
    AssignmentsRequest,
    HeartbeatRequest,
    NodeNews,
    Recertified,
    Rouse,
    SessionEnded,
    SessionMessage,
    SessionRequest,
    UpdateTaskStatusRequest,
)
from ..api.objects import Config, Node, NodeDescription, Secret, Task, TaskStatus
from ..errors import ApiError
from ..machine import Address, Disturbed, Handler, Machine, Micros, Outbox
from ..trace.events import SessionFailed
from .controller import Binding
from .reporter import Reporter
from .service_binding import ServiceBinding
from .session import RPC_TIMEOUT, WEIGHT_OBSERVED, Remotes, next_backoff
from .worker import Worker


class Agent(Machine):
    """`local_manager()`: does a manager run on this node, so that its local socket is used?"""

    def __init__(
        self,
        node_id: str,
        host: str,
        description: NodeDescription,
        managers: tuple[str, ...],
        local_manager: Callable[[], bool],
        formed: tuple[str, str, Node] | None = None,
        addr: str = "",
        heartbeat_period: Micros = DEFAULT_PERIOD,
    ) -> None:
        self.addr = addr
        self.heartbeat_period = heartbeat_period  # of a cluster that is handed over; else the dispatcher says it
        self.node_id = node_id
        self.host = host
        self.description = description
        self.remotes = Remotes(managers)
        self.local_manager = local_manager
        self.formed = formed  # (session id, manager, node) of a cluster that is handed over
        self.node: Node | None = None
        self.session_id = ""
        self.manager = ""  # empty: no session
        self.secrets: dict[str, Secret] = {}
        self.configs: dict[str, Config] = {}
        self.reporter = Reporter()
        self.service_binding = binding = ServiceBinding(host)
        self.binding = Binding(self._attached, binding.activate, binding.disable, binding.remove)
        self.worker = Worker(self.binding, self._queue_report)
        self._applied = ""
        self._dozing: Pulse | None = None
        self._backoff: Micros = 0
        self._epoch = 0

    def on_start(self, saved: Mapping[Any, Any], out: Outbox) -> Handler:
        self.worker.restore(saved, out)
        if self.formed is not None:
            self.session_id, self.manager, self.node = self.formed
            self._applied = "1"
            self.service_binding.attachments(self.node, out, formed=True)
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
            except ApiError:
                self._observe_failure(manager)
                self._backoff = next_backoff(self._backoff)
                continue
            if epoch == self._epoch:
                self._established(manager, message, out)
            return

    def _established(self, manager: str, message: SessionMessage, out: Outbox) -> None:
        self.manager = manager
        self._backoff = 0
        self._session_message(message, out)
        out.start(self._beat(out))
        out.start(self._open_assignments(out))
        for id, managed in self.worker.tasks.items():  # all statuses are reported again
            self._queue_report(id, managed.status, out)
        if self.reporter.ready:  # also what became of tasks that are gone
            out.set_timer("report", 0)

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

    # -- stimuli --
    def on_timer(self, name: Any, out: Outbox) -> Handler:
        if name == "heartbeat":
            out.start(self._beat(out))
        elif self.reporter.ready and self.manager:
            out.start(self._send_reports(out))
        return None

    def on_message(self, src: Address, message: Any, out: Outbox) -> Handler:
        kind = type(message)
        if kind is Disturbed:
            self._disturbed(out)
        elif kind is Recertified:
            self._reconnect(out)
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
        self._disturbed(out)  # a manager that it had not heard of may be in trouble
        if message.node is None:
            return
        self.service_binding.attachments(message.node, out)
        if not _same(before, message.node) or known != tuple(self.remotes.weights):
            out.tell("node", NodeNews(message.node, message.managers))

    def _assignments(self, message: AssignmentsMessage, out: Outbox) -> None:
        if message.complete:
            self.secrets = {s.id: s for s in message.secrets}
            self.configs = {c.id: c for c in message.configs}
            self._applied = message.results_in
            self.worker.replace(message.tasks, out)
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
