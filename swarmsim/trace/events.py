"""The catalogue of trace events: facts, in the past tense, with ids, numbers, enums and the store's own texts.

One class an event; its docstring says who emits it and where in the paper or in SwarmKit it happens. Checks,
figures, exports and reports read only these: if one of them needs to look inside the cluster, an event is
missing. `node` is always the host's name. Tasks are named as people do (`web.3`, `agent.w1` when bound to a node)
and told apart by `task` (the id) and `generation` (the how-manieth task of that slot or node, from 1).
"""

from __future__ import annotations

from typing import NamedTuple

from ..api.states import (
    Availability,
    Component,
    IssuanceState,
    NodeRole,
    NodeState,
    TaskState,
    UpdateState,
)

Micros = int


# ---- the run ---------------------------------------------------------------------------------------------
class SwarmReady(NamedTuple):
    """The cluster was handed over, formed: 0 s (SCENARIOS.md section 3). Emitted by cluster.py.

    `heartbeat_period` is the dispatcher's, `election_tick` Raft's: the check *convergence* needs them for its bound.
    """

    leader: str
    managers: tuple[str, ...]
    workers: tuple[str, ...]
    heartbeat_period: Micros = 5_000_000
    election_tick: int = 10


class SteadyReached(NamedTuple):
    """All nodes are READY and all that was created has converged, for the first time. Emitted by scenario/watch."""


class RunEnded(NamedTuple):
    """The run is over; `why` it ended there. Emitted by scenario/runner."""

    why: str


class DrawMade(NamedTuple):
    """An entry of the timeline drew a value (its `at`, its targets, its `for`). Emitted by scenario/timeline."""

    entry: str
    what: str
    value: str


class EntryNotFired(NamedTuple):
    """An entry of the timeline could not begin: nothing to hit, or its anchor never came."""

    entry: str
    reason: str


class StepSent(NamedTuple):
    """An operator's command left the client for manager `via`. Emitted by workload."""

    entry: str
    verb: str
    target: str
    detail: str
    via: str


class StepAnswered(NamedTuple):
    """The client has its answer; `error` is empty, or the text that docker prints."""

    entry: str
    verb: str
    target: str
    error: str


class ClientSaid(NamedTuple):
    """The client printed a line while it carries out a command. Emitted by workload.

    `kind` and `name`: the service, network, secret or config that it is about to make, change or remove, if any.
    """

    entry: str
    text: str
    kind: str
    name: str


class NodeLeft(NamedTuple):
    """A node's engine left the swarm: its software ends, and no manager is told. Emitted by cluster."""

    node: str


class FaultStarted(NamedTuple):
    """A fault began. `duration` None: to the end of the run. Emitted by faults."""

    entry: str
    kind: str
    nodes: tuple[str, ...]
    peers: tuple[str, ...]
    duration: Micros | None
    detail: str


class FaultEnded(NamedTuple):
    """A fault was undone. Emitted by faults."""

    entry: str
    kind: str
    nodes: tuple[str, ...]


# ---- hosts, network, disk --------------------------------------------------------------------------------
class HostCrashed(NamedTuple):
    """A host went off. `how`: `power` (silent, unsynced writes lost), `process` (connections reset), or `engine` (so,
    and its containers run on)."""

    node: str
    how: str


class HostStarted(NamedTuple):
    """A host's engine began again after a crash."""

    node: str


class WriteTorn(NamedTuple):
    """The power went while a write was on its way: of these machines' last write the disk has only a part."""

    node: str
    machines: tuple[str, ...]


class DiskWiped(NamedTuple):
    """What these machines of a host had on its disk is gone. Emitted by faults/wipe."""

    node: str
    machines: tuple[str, ...]


class ProcessPanicked(NamedTuple):
    """Software met a state of its own that cannot be, and its process died. `again`: systemd will start it again.

    Emitted by sim/host, for the Raft core's panics (etcd log.go `commitTo`, `maybeAppend`; raft.go `loadState`).
    """

    node: str
    why: str
    again: bool


class MessageDropped(NamedTuple):
    """The first packet from `src` to `dst` that a rule swallowed since that way was last open. `why` names the rule."""

    src: str
    dst: str
    why: str


# ---- Raft ------------------------------------------------------------------------------------------------
class BecameCandidate(NamedTuple):
    """An election timeout ran out and the node asks for votes (Raft section 5.2). Emitted by manager/raft_node."""

    node: str
    term: int


class BecamePreCandidate(NamedTuple):
    """An election timeout ran out and the node asks whether it could win, in its present term (Raft thesis 9.6)."""

    node: str
    term: int


class BecameLeader(NamedTuple):
    """A majority voted for the node in `term` (Raft section 5.2)."""

    node: str
    term: int


class BecameFollower(NamedTuple):
    """The node follows `leader` ("" while it knows none) in `term`."""

    node: str
    term: int
    leader: str


class SteppedDown(NamedTuple):
    """A leader stopped leading: a higher term, or no quorum heard in an election timeout (etcd CheckQuorum)."""

    node: str
    term: int
    why: str


class VoteGranted(NamedTuple):
    """A vote was given, and is durable (Raft Figure 2, RequestVote). Emitted by manager/raft_node."""

    node: str
    term: int
    candidate: str


class VoteRefused(NamedTuple):
    """A request for a vote was answered with no (Raft Figure 2, RequestVote). Emitted by manager/raft_node.

    `why`: whom the node voted for in that term, or where its own log ends, which is further than the candidate's. A
    server that hears its leader does not answer at all (CheckQuorum's lease).
    """

    node: str
    term: int
    candidate: str
    why: str


class EntriesAppended(NamedTuple):
    """Log entries became durable on a node: `terms[i]` is that of index `first + i`; whatever stood there is gone."""

    node: str
    term: int
    first: int
    terms: tuple[int, ...]


class EntriesApplied(NamedTuple):
    """Committed entries were applied to the node's store: `terms[i]` is that of index `first + i`."""

    node: str
    term: int
    first: int
    terms: tuple[int, ...]


class SnapshotInstalled(NamedTuple):
    """The node's store was replaced by a snapshot up to `index` (Raft section 7)."""

    node: str
    index: int  # type: ignore[assignment]
    term: int


class RaftRestarted(NamedTuple):
    """A Raft member came back from its disk: what it remembers."""

    node: str
    term: int
    voted_for: str
    commit: int
    last_index: int
    last_term: int = 0  # of the entry at `last_index`; 0: not told


class LogRepaired(NamedTuple):
    """A start found the write-ahead log torn at its end, and cut it off there (SwarmKit storage `ReadRepairWAL`)."""

    node: str
    lost: str  # the record that was half there: `entry 57`, `state`


class SnapshotBroken(NamedTuple):
    """A start found a snapshot unreadable, put it aside, and looks for an older one (etcd snap `loadSnap`)."""

    node: str
    index: int  # type: ignore[assignment]


class MembershipChanged(NamedTuple):
    """A configuration change was applied on a node (Raft section 6). `members` are host names, sorted.

    `outgoing`: those of C_old, while the configuration is a joint one.
    """

    node: str
    index: int  # type: ignore[assignment]
    members: tuple[str, ...]
    outgoing: tuple[str, ...] = ()


class ReadAsked(NamedTuple):
    """A member of the Raft group was asked for a linearizable read (Raft section 8); `request` numbers its reads."""

    node: str
    request: int


class ReadAnswered(NamedTuple):
    """The member may answer that read from its state as of `index` (etcd: `ReadState`)."""

    node: str
    request: int
    index: int  # type: ignore[assignment]


class ManagerStopped(NamedTuple):
    """A manager ended with an error, and will be started again (SwarmKit node.go, `manager stopped: …`)."""

    node: str
    why: str


class StoreWedged(NamedTuple):
    """A leader's store was locked by one transaction for more than 30 s: it hands over to `to` ("": nobody is active).

    SwarmKit manager/state/store/memory.go `Wedged`, raft.go `Run`. Emitted by manager/raft_node.
    """

    node: str
    term: int
    to: str


class TicksDiffer(NamedTuple):
    """A manager began whose ticks are not the stored cluster object's: its own count (manager.go `Run`, a warning)."""

    node: str
    heartbeat_tick: int
    election_tick: int


class LeadershipGained(NamedTuple):
    """The leader has applied its whole log and starts its components (SwarmKit raft.go, `IsLeader`)."""

    node: str
    term: int


class LeadershipEnded(NamedTuple):
    """A manager stops its leader-only components (SwarmKit manager.go, `becomeFollower`)."""

    node: str
    term: int


# ---- the store, once per Raft index, when the first manager applies it --------------------------------------
class TaskChanged(NamedTuple):
    """A task object was written. `was` is None for CREATE; `template` fingerprints what would make it dirty."""

    index: int  # type: ignore[assignment]
    task: str
    name: str
    service: str
    slot: int
    generation: int
    action: str  # CREATE, UPDATE, REMOVE
    component: Component
    was: TaskState | None
    now: TaskState
    desired: TaskState
    node: str
    message: str
    error: str
    spec_version: int | None
    template: str
    iteration: int | None
    exit_code: int | None
    image: str = ""


class ServiceChanged(NamedTuple):
    """A service object was written. `mode`: replicated, global, replicated-job, global-job.

    From `restart_delay` on: how long things may take at most, in microseconds, for the bound of *convergence*.
    """

    index: int  # type: ignore[assignment]
    service: str
    action: str
    mode: str
    replicas: int  # wanted tasks at once (jobs: max concurrent); 0 for global
    completions: int  # jobs: total wanted; else 0
    spec_version: int
    template: str
    constraints: tuple[str, ...]
    condition: str  # restart policy: any, on-failure, none
    max_attempts: int
    update: UpdateState | None
    message: str
    iteration: int | None
    ends_alone: bool  # its containers exit by themselves (x-sim run)
    restart_delay: Micros = 5_000_000
    start_time: Micros = 2_500_000  # x-sim: the longest pull and the longest start
    stop_grace: Micros = 10_000_000
    parallelism: int = 1  # of a rolling update; 0: all at once
    update_delay: Micros = 0
    monitor: Micros = 5_000_000
    id: str = ""
    image: str = ""
    ports: tuple[str, ...] = ()  # published, as docker shows them: `*:8080->80/tcp`


class NodeChanged(NamedTuple):
    """A node object was written."""

    index: int  # type: ignore[assignment]
    node: str
    id: str
    action: str
    state: NodeState
    message: str
    availability: Availability
    role: NodeRole
    desired_role: NodeRole
    certificate: IssuanceState
    labels: tuple[tuple[str, str], ...]
    hostname: str
    os: str
    arch: str
    addr: str
    engine: str = ""  # its version
    engine_labels: tuple[tuple[str, str], ...] = ()


class ObjectChanged(NamedTuple):
    """Another object was written: `kind` is network, secret, config, volume or cluster."""

    index: int  # type: ignore[assignment]
    kind: str
    id: str
    name: str
    action: str


# ---- the pipeline ----------------------------------------------------------------------------------------
class RequestRefused(NamedTuple):
    """The control API refused a request, with the real text (SwarmKit manager/controlapi)."""

    node: str
    request: str
    error: str


class TaskPlaced(NamedTuple):
    """The scheduler chose a node: how many nodes tied for best, and which filters refused how many others.

    `ranks`: how the nodes stood just before, best first: (failures that count, tasks of the service, all tasks, nodes).
    `refusals`: by filter, how many nodes it refused, and the names of the first.
    """

    task: str
    name: str
    node: str
    tied: int
    service_tasks: int
    refused: str
    why: str
    ranks: tuple[tuple[int, int, int, int], ...] = ()
    refusals: tuple[tuple[str, int, tuple[str, ...]], ...] = ()


class TaskNotPlaced(NamedTuple):
    """No node suits: the explanation that `docker service ps` shows (SwarmKit scheduler/pipeline.go).

    `refusals` as in `TaskPlaced`; they cover all nodes, where the explanation leaves out those asked before one passed.
    """

    task: str
    name: str
    explanation: str
    refusals: tuple[tuple[str, int, tuple[str, ...]], ...] = ()


class RestartScheduled(NamedTuple):
    """The restart supervisor replaced `task` by `replacement`, to start after `delay` (restart/restart.go)."""

    task: str
    replacement: str
    name: str
    delay: Micros
    reason: str


class RestartRefused(NamedTuple):
    """The restart policy leaves the slot empty (restart.go `shouldRestart`)."""

    task: str
    name: str
    reason: str


class NodeRegistered(NamedTuple):
    """A node's agent opened a new session with the dispatcher (dispatcher.go `register`)."""

    node: str
    session: str
    leader: str


class HeartbeatExpired(NamedTuple):
    """The dispatcher heard nothing from a node for the grace period (dispatcher.go `nodeDown`)."""

    node: str
    silent: Micros
    grace: Micros


class SessionFailed(NamedTuple):
    """An agent's session ended; it will try another manager (agent/agent.go)."""

    node: str
    manager: str
    why: str


class AssignmentsSent(NamedTuple):
    """The dispatcher sent a node its assignments: complete or incremental (dispatcher.go `Assignments`)."""

    node: str
    complete: bool
    tasks: int
    removed: int


# ---- agents, containers, gossip --------------------------------------------------------------------------
class TaskAccepted(NamedTuple):
    """An agent took on a task (agent/exec `Do`, ASSIGNED to ACCEPTED)."""

    node: str
    task: str
    name: str


class ImagePulled(NamedTuple):
    """A node has an image that it had not before. Emitted by sim/engine."""

    node: str
    image: str


class ContainerStarted(NamedTuple):
    """A container really runs. Emitted by sim/engine."""

    node: str
    task: str
    name: str
    service: str


class ContainerHealthChanged(NamedTuple):
    """A container's health check has decided: healthy, or unhealthy (moby daemon/health.go). Emitted by sim/engine."""

    node: str
    task: str
    name: str
    service: str
    health: str


class ContainerExited(NamedTuple):
    """A container that ran does so no more. `why`: exited, killed, stopped, crash."""

    node: str
    task: str
    name: str
    service: str
    code: int
    why: str


class PeerSuspected(NamedTuple):
    """Gossip: a probe and its indirect probes got no answer (SWIM section 4.1). Emitted by gossip/probe."""

    node: str
    peer: str


class PeerDeclaredDead(NamedTuple):
    """Gossip: a suspicion was not refuted in time (memberlist suspicion.go)."""

    node: str
    peer: str


class PeerRecovered(NamedTuple):
    """Gossip: a suspected or dead peer is alive again."""

    node: str
    peer: str


class EndpointLearned(NamedTuple):
    """A node's load balancer now sends traffic to a task's endpoint (NetworkDB endpoint table)."""

    node: str
    task: str
    name: str
    network: str


class EndpointDropped(NamedTuple):
    """A node's load balancer no longer sends traffic to a task's endpoint."""

    node: str
    task: str
    name: str
    network: str


Event = NamedTuple

#: The catalogue, in the order of this page.
EVENTS: tuple[type, ...] = tuple(
    thing
    for thing in list(globals().values())
    if isinstance(thing, type) and issubclass(thing, tuple) and hasattr(thing, "_fields")
)
