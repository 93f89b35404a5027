"""Objects: what the cluster keeps in its replicated store (SwarmKit api/objects.proto).

Stored objects are shared by the stores of all managers, so they are never changed in place: `evolve` gives
a copy. (They are plain slotted classes rather than frozen ones because a run makes hundreds of thousands;
a test runs a scenario with frozen twins.) `version` is the Raft index read at the start of the transaction
that last wrote the object; `created_at` and `updated_at` are simulated microseconds of the leader.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from .specs import (
    ClusterSpec,
    ConfigSpec,
    Driver,
    EndpointSpec,
    GenericResource,
    Micros,
    NetworkSpec,
    NodeSpec,
    Platform,
    PortConfig,
    Resources,
    RootCertificate,
    SecretSpec,
    ServiceSpec,
    TaskSpec,
    Topology,
    VolumeSpec,
)
from .states import IssuanceState, NodeRole, NodeState, PublishState, TaskState, UpdateState

Copier = Callable[[Any, Any], None]
_COPIERS: dict[type, Copier] = {}


def _copier(cls: Any) -> Copier:
    """Copies every field from one object to another: straight-line code, generated once for each class."""
    body = "\n".join(f"    new.{name} = old.{name}" for name in cls.__slots__)
    scope: dict[str, Any] = {}
    exec(f"def copy(old, new):\n{body}", scope)
    copier: Copier = scope["copy"]
    _COPIERS[cls] = copier
    return copier


class Evolving:
    """Copy with changes, faster than `dataclasses.replace` because no `__init__` runs."""

    __slots__ = ()

    def evolve(self, **changes: Any) -> Self:
        """Raises AttributeError where there is no such field."""
        cls = type(self)
        new = cls.__new__(cls)
        (_COPIERS.get(cls) or _copier(cls))(self, new)
        for name, value in changes.items():
            setattr(new, name, value)
        return new


@dataclass(slots=True)
class TaskStatus(Evolving):
    """Observed state, by the agent's clock (`timestamp`); `applied_at`: when the leader stored the report."""

    state: TaskState
    message: str = ""
    err: str = ""
    timestamp: Micros = 0
    exit_code: int | None = None
    applied_by: str = ""
    applied_at: Micros = 0  # 0: not reported by an agent yet


@dataclass(slots=True)
class NetworkAttachment(Evolving):
    """A network with the address that was given on it (CIDR text)."""

    network_id: str
    addresses: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


@dataclass(slots=True)
class Endpoint(Evolving):
    """What the allocator gave a service: ports with their numbers, a virtual IP for each network."""

    spec: EndpointSpec
    ports: tuple[PortConfig, ...] = ()
    virtual_ips: tuple[tuple[str, str], ...] = ()  # (network id, CIDR)


@dataclass(slots=True)
class VolumeAttachment(Evolving):
    """Which cluster volume the scheduler chose for a mount of the task."""

    id: str
    source: str
    target: str


@dataclass(slots=True)
class Task(Evolving):
    """One attempt to run a service's container: it is never restarted, only replaced.

    `slot` numbers a replicated service's tasks (1..); a global service's tasks have slot 0 and are told
    apart by `node_id`. `spec_version` is the service's spec version that the task was made from.
    """

    id: str
    service_id: str
    spec: TaskSpec
    status: TaskStatus
    desired_state: TaskState
    slot: int = 0
    node_id: str = ""
    spec_version: int | None = None
    service_name: str = ""
    service_labels: Mapping[str, str] = field(default_factory=dict)
    endpoint_spec: EndpointSpec | None = None  # of the service, for the dirty test
    networks: tuple[NetworkAttachment, ...] = ()
    endpoint: Endpoint | None = None
    log_driver: Driver | None = None
    assigned_generic: tuple[GenericResource, ...] = ()
    job_iteration: int | None = None
    volumes: tuple[VolumeAttachment, ...] = ()
    version: int = 0
    created_at: Micros = 0
    updated_at: Micros = 0

    @property
    def state(self) -> TaskState:
        return self.status.state

    @property
    def name(self) -> str:
        """`web.3`, or `agent.w1` for a task of slot 0 (docker/cli task/print.go).

        So the first task of a replicated job, whose slots begin with 0, is named after its node, too: `job.w1`, then
        `job.1`, `job.2`; and it is `job.` until it has one.
        """
        return f"{self.service_name}.{self.slot or self.node_id}"


@dataclass(slots=True)
class UpdateStatus(Evolving):
    state: UpdateState
    message: str = ""
    started_at: Micros = 0
    completed_at: Micros | None = None


@dataclass(slots=True)
class Service(Evolving):
    id: str
    spec: ServiceSpec
    spec_version: int = 0
    previous_spec: ServiceSpec | None = None
    previous_spec_version: int | None = None
    endpoint: Endpoint | None = None
    update_status: UpdateStatus | None = None
    job_iteration: int | None = None
    job_last_execution: Micros = 0
    version: int = 0
    created_at: Micros = 0
    updated_at: Micros = 0

    @property
    def name(self) -> str:
        return self.spec.name


LINUX = Platform("linux", "x86_64")
FOUR_CORES = Resources(4_000_000_000, 8 << 30)
#: What an engine brings without any plugin installed (`docker info`, Plugins).
LOG_DRIVERS = ("awslogs", "fluentd", "gcplogs", "gelf", "journald", "json-file", "local", "splunk", "syslog")
NETWORK_DRIVERS = ("bridge", "host", "ipvlan", "macvlan", "null", "overlay")
BUILT_IN = (
    *(("Log", name) for name in LOG_DRIVERS),
    *(("Network", name) for name in NETWORK_DRIVERS),
    ("Volume", "local"),
)


@dataclass(slots=True)
class NodeCsiInfo(Evolving):
    """What a CSI driver on a node says of it: the driver's own id for the node, and where the node is."""

    plugin: str
    node_id: str = ""
    topology: Topology | None = None
    max_volumes: int = 0


@dataclass(slots=True)
class NodeDescription(Evolving):
    """What a node says of itself when it registers."""

    hostname: str
    platform: Platform = LINUX
    resources: Resources = FOUR_CORES
    engine_labels: Mapping[str, str] = field(default_factory=dict)
    engine_version: str = "28.2.2"
    plugins: tuple[tuple[str, str], ...] = BUILT_IN
    tls_issuer: str = ""
    csi: tuple[NodeCsiInfo, ...] = ()


@dataclass(slots=True)
class NodeStatus(Evolving):
    state: NodeState = NodeState.UNKNOWN
    message: str = ""
    addr: str = ""


@dataclass(slots=True)
class Certificate(Evolving):
    """A node's certificate as the store holds it; keys and bytes are not modelled, their state is."""

    role: NodeRole = NodeRole.WORKER
    status: IssuanceState = IssuanceState.ISSUED
    err: str = ""
    serial: int = 0
    issuer: str = ""
    not_after: Micros = 0
    vouched_by: str = ""  # the root that cross-signed the issuer, if another one was in force then


@dataclass(slots=True)
class Node(Evolving):
    """A member of the swarm. `role` is observed (who it is), `spec.desired_role` is wanted."""

    id: str
    spec: NodeSpec
    role: NodeRole = NodeRole.WORKER
    status: NodeStatus = field(default_factory=NodeStatus)
    description: NodeDescription | None = None
    certificate: Certificate = field(default_factory=Certificate)
    attachments: tuple[NetworkAttachment, ...] = ()
    version: int = 0
    created_at: Micros = 0
    updated_at: Micros = 0

    @property
    def hostname(self) -> str:
        return self.description.hostname if self.description else self.id


@dataclass(slots=True)
class Network(Evolving):
    id: str
    spec: NetworkSpec
    subnet: str = ""  # CIDR, once allocated
    gateway: str = ""
    vni: int = 0
    predefined: bool = False
    version: int = 0
    created_at: Micros = 0
    updated_at: Micros = 0

    @property
    def name(self) -> str:
        return self.spec.name


@dataclass(slots=True)
class Secret(Evolving):
    """`internal`: a driver's value for one task, of which only that task's node knows."""

    id: str
    spec: SecretSpec
    internal: bool = False
    version: int = 0
    created_at: Micros = 0
    updated_at: Micros = 0

    @property
    def name(self) -> str:
        return self.spec.name


@dataclass(slots=True)
class Config(Evolving):
    id: str
    spec: ConfigSpec
    version: int = 0
    created_at: Micros = 0
    updated_at: Micros = 0

    @property
    def name(self) -> str:
        return self.spec.name


@dataclass(slots=True)
class VolumeInfo(Evolving):
    """What the driver said when it had created the volume: `volume_id` is the driver's own name of it."""

    volume_id: str
    capacity_bytes: int = 0
    context: Mapping[str, str] = field(default_factory=dict)
    topologies: tuple[Topology, ...] = ()  # where it is accessible; none: everywhere


@dataclass(slots=True)
class VolumePublishStatus(Evolving):
    """A volume's life on one node. `context` is what the driver's controller gave for it."""

    node_id: str
    state: PublishState = PublishState.PENDING_PUBLISH
    message: str = ""
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Volume(Evolving):
    """A cluster (CSI) volume. `info` None: the driver has not created it yet, so no task can use it."""

    id: str
    spec: VolumeSpec
    publish_status: tuple[VolumePublishStatus, ...] = ()
    info: VolumeInfo | None = None
    pending_delete: bool = False
    version: int = 0
    created_at: Micros = 0
    updated_at: Micros = 0

    @property
    def name(self) -> str:
        return self.spec.name


@dataclass(slots=True)
class RootRotation(Evolving):
    """The root that a cluster is on its way to. `cross_signed`: its certificate, signed by the present root."""

    ca_cert: RootCertificate
    ca_key: str
    cross_signed: RootCertificate


@dataclass(slots=True)
class RootCa(Evolving):
    """The root of trust. `ca_key` empty: only an external CA can sign."""

    ca_cert: RootCertificate
    ca_key: str = ""
    rotation: RootRotation | None = None
    last_forced_rotation: int = 0

    @property
    def signer(self) -> RootCertificate:
        """Who issues certificates: during a rotation already the next root (ca/reconciler.go `IssuerFromAPIRootCA`)."""
        return self.ca_cert if self.rotation is None else self.rotation.ca_cert


#: Of a cluster object whose maker does not care.
FIRST_ROOT = RootCa(RootCertificate("root", "root-key"), "root-key")


@dataclass(slots=True)
class EncryptionKey(Evolving):
    """A gossip or IPsec key: which it is matters here, its bytes do not."""

    subsystem: str
    lamport: int
    key: str


@dataclass(slots=True)
class Cluster(Evolving):
    """The one object "default": settings, root CA, join tokens, keys (SwarmKit `Cluster`)."""

    id: str
    spec: ClusterSpec
    ca_digest: str = ""
    join_token_worker: str = ""
    join_token_manager: str = ""
    network_keys: tuple[EncryptionKey, ...] = ()
    lamport: int = 0
    unlock_key: str = ""
    blacklisted: tuple[tuple[str, Micros], ...] = ()  # (node id, certificate's expiry)
    root: RootCa = field(default_factory=lambda: FIRST_ROOT)
    version: int = 0
    created_at: Micros = 0
    updated_at: Micros = 0

    @property
    def name(self) -> str:
        return self.spec.name


StoreObject = Task | Service | Node | Network | Secret | Config | Cluster | Volume
