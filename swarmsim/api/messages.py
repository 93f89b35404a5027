"""Messages: what machines on different hosts say to one another (SwarmKit api/*.proto).

Requests are answered (`machine.Call`); everything else is pushed. Raft's own messages are in `raft.messages`
and travel inside `RaftEnvelope`; gossip's are in `gossip.messages`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .csi import VolumeAssignment
from .objects import Config, EncryptionKey, Node, NodeDescription, Secret, Task, TaskStatus
from .specs import ClusterSpec, ConfigSpec, Micros, NetworkSpec, NodeSpec, SecretSpec, ServiceSpec, VolumeSpec
from .states import Availability, Membership, NodeRole, TaskState

# ---- between managers ------------------------------------------------------------------------------------


class RaftEnvelope(NamedTuple):
    """Raft.StreamRaftMessage: one message of the Raft core, with the sender's member id in it."""

    message: Any


class Doze(NamedTuple):
    """No message of Raft's, but of the simulation: the leader skips healthy heartbeats from now on, in this term."""

    term: int


class WakeUp(NamedTuple):
    """The leader skips no more."""


class JoinRequest(NamedTuple):
    """RaftMembership.Join: make me a member (answered with `JoinResponse`)."""

    node_id: str
    addr: str


class JoinResponse(NamedTuple):
    """The new member's Raft id, and all members: (raft id, `manager.membership.Member`)."""

    raft_id: int
    members: tuple[tuple[int, Any], ...]


class LeaveRequest(NamedTuple):
    """RaftMembership.Leave: remove a member."""

    node_id: str


class TransferLeadership(NamedTuple):
    """The role manager asks its own Raft member to hand over. Answered when another leads."""


class StartElection(NamedTuple):
    """Of experiments: the member shall campaign now (etcd raft/node.go, `Campaign`)."""


class ProposeEntries(NamedTuple):
    """Of experiments: so many entries for the log. Answered when the leader's log has them, committed or not."""

    entries: int


class ChangeMembers(NamedTuple):
    """Of experiments: another configuration. `add` is (raft id, `manager.membership.Member`), `remove` raft ids.

    One member is changed by a plain entry, several through joint consensus. Answered as `ProposeEntries` is.
    """

    add: tuple[tuple[int, Any], ...]
    remove: tuple[int, ...]


class AskToRead(NamedTuple):
    """Of experiments: a linearizable read. Answered with the index as of which the member may read."""


class MemberRemoved(NamedTuple):
    """Answer to a Raft message of a member that was removed: `raft: member was removed from the cluster`."""


class Forwarded(NamedTuple):
    """A request that a follower passes on to the leader; one hop at most (protobuf/plugin/raftproxy)."""

    request: Any
    origin: str  # the host of the first caller


class IssueCertificate(NamedTuple):
    """NodeCA.IssueNodeCertificate by a node without a certificate. Answered with the new node's id."""

    host: str
    token: str
    availability: Availability = Availability.ACTIVE


class RenewCertificate(NamedTuple):
    """NodeCA.IssueNodeCertificate by a node that has one: the role is what the store says. Answered with its id."""

    node_id: str


class GetRootCaCertificate(NamedTuple):
    """CA.GetRootCACertificate, by anybody. Answered with a `RootCaAnswer`."""


class RootCaAnswer(NamedTuple):
    """The root in force: its name, and the digest that join tokens have of it."""

    name: str
    digest: str


class CertificateStatus(NamedTuple):
    """NodeCA.NodeCertificateStatus: waits until the certificate is issued. Answered with its `Certificate`."""

    node_id: str


class GetUnlockKey(NamedTuple):
    """CA.GetUnlockKey, for managers only. Answered with an `UnlockKey`."""

    node_id: str


class UnlockKey(NamedTuple):
    """`key` empty: autolock is off. `version` is the cluster object's, by which managers tell newer keys from older."""

    key: str
    version: int

    @property
    def shown(self) -> str:
        """As the raw API renders it (manager/encryption `HumanReadableKey`)."""
        return f"SWMKEY-1-{self.key}"


# ---- Dispatcher (manager/dispatcher) ------------------------------------------------------------------------


class SessionRequest(NamedTuple):
    """Dispatcher.Session: register, or go on with `session_id`. Answered with a `SessionMessage`."""

    node_id: str
    description: NodeDescription | None
    session_id: str
    addr: str = ""  # where the connection comes from, as the transport tells the dispatcher


class SessionMessage(NamedTuple):
    """Answer to a session request, and pushed again whenever one of its fields changes."""

    session_id: str
    node: Node | None
    managers: tuple[str, ...]  # host names of all Raft members
    network_keys: tuple[EncryptionKey, ...]
    ca_digest: str
    root: str = ""  # the name of the root in force


class SessionEnded(NamedTuple):
    """The dispatcher (or a proxy on the way) ended the stream: `node must disconnect`, connection lost."""

    session_id: str
    why: str


class Rouse(NamedTuple):
    """No message of SwarmKit's: to an agent that dozes, because its next heartbeat would be answered with news."""

    session_id: str


class HeartbeatRequest(NamedTuple):
    """Dispatcher.Heartbeat. Answered with a `heartbeat.Pulse`.

    `dozing`: all ways are free of faults, so the sender skips healthy heartbeats until the network is disturbed.
    """

    node_id: str
    session_id: str
    dozing: bool = False


class UpdateTaskStatusRequest(NamedTuple):
    """Dispatcher.UpdateTaskStatus; `updates` are (task id, status, cause). Answered with None."""

    node_id: str
    session_id: str
    updates: tuple[tuple[str, TaskStatus | None, int], ...]


class UpdateVolumeStatusRequest(NamedTuple):
    """Dispatcher.UpdateVolumeStatus: the node has let go of these volumes, by id. Answered with None."""

    node_id: str
    session_id: str
    unpublished: tuple[str, ...]


class AssignmentsRequest(NamedTuple):
    """Dispatcher.Assignments: open the stream. Answered with a complete `AssignmentsMessage`."""

    node_id: str
    session_id: str


class AssignmentsMessage(NamedTuple):
    """COMPLETE replaces the agent's world; INCREMENTAL applies to the state that `applies_to` left."""

    complete: bool
    applies_to: str
    results_in: str
    tasks: tuple[tuple[Task, int], ...]  # (task, cause)
    secrets: tuple[Secret, ...] = ()
    configs: tuple[Config, ...] = ()
    removed_tasks: tuple[str, ...] = ()
    removed_secrets: tuple[str, ...] = ()
    removed_configs: tuple[str, ...] = ()
    volumes: tuple[VolumeAssignment, ...] = ()
    removed_volumes: tuple[VolumeAssignment, ...] = ()


class ToAgent(NamedTuple):
    """A dispatcher's push, passed through the manager that the agent is connected to."""

    node: str  # the agent's host
    message: Any


# ---- Control API (manager/controlapi) ------------------------------------------------------------------------


class CreateService(NamedTuple):
    spec: ServiceSpec


class UpdateService(NamedTuple):
    """`version` is the object's version the caller saw; `rollback`: swap with the previous spec."""

    service_id: str
    version: int | None
    spec: ServiceSpec | None
    rollback: bool = False


class RemoveService(NamedTuple):
    service_id: str


class GetService(NamedTuple):
    """By id or name. Answered with the service object."""

    service: str


class ListServiceStatuses(NamedTuple):
    """How many tasks each service has and should have: answered with a `ServiceStatus` for each id."""

    services: tuple[str, ...]


class ServiceStatus(NamedTuple):
    """`running`: tasks that are RUNNING, whatever is desired of them. `completed`: of a job's present iteration."""

    service_id: str
    desired: int = 0
    running: int = 0
    completed: int = 0


class UpdateNode(NamedTuple):
    node_id: str
    version: int | None
    spec: NodeSpec | None


class RemoveNode(NamedTuple):
    node_id: str
    force: bool = False


class GetNode(NamedTuple):
    """By id or hostname."""

    node: str


class ListManagers(NamedTuple):
    """What ListNodes says of the managers: (node id, can the leader reach it?) of each member (`ManagerStatus`)."""


class GetTask(NamedTuple):
    task_id: str


class RemoveTask(NamedTuple):
    """The object goes at once; the agent notices."""

    task_id: str


class CreateNetwork(NamedTuple):
    spec: NetworkSpec


class RemoveNetwork(NamedTuple):
    network_id: str


class CreateSecret(NamedTuple):
    spec: SecretSpec


class UpdateSecret(NamedTuple):
    """Only its labels may change."""

    secret_id: str
    version: int | None
    spec: SecretSpec


class RemoveSecret(NamedTuple):
    secret_id: str


class CreateConfig(NamedTuple):
    spec: ConfigSpec


class UpdateConfig(NamedTuple):
    """Only its labels may change."""

    config_id: str
    version: int | None
    spec: ConfigSpec


class RemoveConfig(NamedTuple):
    config_id: str


class CreateVolume(NamedTuple):
    """A cluster (CSI) volume: `docker volume create --driver` with any of the flags of cluster volumes."""

    spec: VolumeSpec | None


class UpdateVolume(NamedTuple):
    """Only its labels and its availability may change."""

    volume_id: str
    version: int | None
    spec: VolumeSpec | None


class RemoveVolume(NamedTuple):
    """Without `force` it is marked, and goes when its driver has deleted it."""

    volume_id: str
    force: bool = False


class GetVolume(NamedTuple):
    """By id or name. Answered with the volume object."""

    volume: str


class AttachNetwork(NamedTuple):
    """ResourceAllocator.AttachNetwork, by any node: its own container joins a network. Answered with a task's id."""

    node_id: str
    container_id: str
    network: str  # id or name


class DetachNetwork(NamedTuple):
    node_id: str
    attachment_id: str


class UpdateCluster(NamedTuple):
    """`docker swarm update`, `swarm join-token --rotate`, `swarm unlock-key --rotate`: of the cluster "default"."""

    version: int | None
    spec: ClusterSpec | None
    rotate_worker_token: bool = False
    rotate_manager_token: bool = False
    rotate_unlock_key: bool = False


class ListObjects(NamedTuple):
    """Docker's `ls`: `kind` is a table of the store. Answered with a tuple of objects, in the order of their ids.

    Each filter that is given must be met, by any of its words; of labels (and `node_labels`, of a node's spec) all are
    needed, an empty value stands for any. Names are compared letter by letter.
    """

    kind: str
    names: tuple[str, ...] = ()
    name_prefixes: tuple[str, ...] = ()
    id_prefixes: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()  # of a node its engine's, of a task its service's
    # Of nodes:
    node_labels: tuple[tuple[str, str], ...] = ()
    roles: tuple[NodeRole, ...] = ()
    memberships: tuple[Membership, ...] = ()
    # Of tasks:
    services: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    desired_states: tuple[TaskState, ...] = ()


class GetNetwork(NamedTuple):
    """By id or name, as the next three."""

    network: str


class GetSecret(NamedTuple):
    """Answered without its data."""

    secret: str


class GetConfig(NamedTuple):
    config: str


class GetCluster(NamedTuple):
    """Answered without keys."""

    cluster: str = "default"


# ---- Watch (manager/watchapi) ---------------------------------------------------------------------------------


class WatchEntry(NamedTuple):
    """Of what a client wants to hear: `actions` are CREATE, UPDATE, REMOVE, none: all; `ids`, none: all objects."""

    kind: str
    actions: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()


class WatchRequest(NamedTuple):
    """Watch.Watch. Answered with an empty `WatchMessage`; others are pushed. `resume_from`: after which version."""

    entries: tuple[WatchEntry, ...]
    resume_from: int | None = None
    include_old_object: bool = False


class WatchEvent(NamedTuple):
    action: str
    object: Any
    old_object: Any


class WatchMessage(NamedTuple):
    """What one commit changed."""

    events: tuple[WatchEvent, ...]
    version: int | None


# ---- within one manager --------------------------------------------------------------------------------------


class Committed(NamedTuple):
    """A commit, told to each subscribed machine of the manager as one message (store/watch).

    `changes` are `store.actions.Change`; `cause` is the trace's, and `index` the Raft index.
    """

    index: int  # type: ignore[assignment]
    changes: tuple[Any, ...]


class StoreNews(NamedTuple):
    """To the watch API of this manager: somebody watches its store, and it has changed."""


class LeadershipChanged(NamedTuple):
    """raft_node tells its manager: start or stop the leader-only components (raft.go `IsLeader`/`IsFollower`)."""

    leader: bool
    term: int


class MembersChanged(NamedTuple):
    """The Raft member list changed (the dispatcher sends it to every session)."""

    hosts: tuple[str, ...]


class RemovedFromRaft(NamedTuple):
    """raft_node tells its node: this member was removed, its manager ends (raft.go `RemovedFromRaft`)."""


class ManagerFailed(NamedTuple):
    """raft_node tells its node that its loop ended with an error: the manager ends (manager.go `Run`)."""

    why: str


class LeaveSwarm(NamedTuple):
    """To the agent of this node: all its tasks go, and no manager hears of it (agent/agent.go `Leave`)."""


class NodeNews(NamedTuple):
    """The agent tells its node what the dispatcher says: what it is, which managers there are, which root (node.go)."""

    node: Node
    managers: tuple[str, ...]
    root: str = ""


class Recertified(NamedTuple):
    """A node tells its agent that it has another certificate: the session begins anew, with new TLSInfo.

    Only if another root issued it than before, unless `anew` says that more has changed.
    """

    issuer: str = ""
    anew: bool = False


class Redescribed(NamedTuple):
    """To an agent: its node is another than it said (a hostname, a label of the engine, a plugin)."""

    description: NodeDescription


class AgentFailed(NamedTuple):
    """The agent tells its node that it will not try again (agent.go `a.err`)."""

    error: Exception


class KeepAlive(NamedTuple):
    """Health service: are you there? Answered with True ("Raft" SERVING)."""

    service: str = "Raft"
    sent_at: Micros = 0
