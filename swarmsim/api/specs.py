"""Specs: what the user wants (SwarmKit api/specs.proto, in the fields that the control plane acts on).

All are immutable and compare by value: "is this task dirty?" is a deep comparison of two task specs.
Durations are whole microseconds, CPUs are nano-CPUs, memory is bytes. None means "not given", which in
SwarmKit is often not the same as the default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from .states import Availability, Membership, NodeRole

Micros = int


class RestartCondition(IntEnum):
    NONE = 0
    ON_FAILURE = 1
    ANY = 2


class FailureAction(IntEnum):
    PAUSE = 0
    CONTINUE = 1
    ROLLBACK = 2


class UpdateOrder(IntEnum):
    STOP_FIRST = 0
    START_FIRST = 1


class PublishMode(IntEnum):
    INGRESS = 0
    HOST = 1


class ResolutionMode(IntEnum):
    VIP = 0
    DNSRR = 1


class VolumeScope(IntEnum):
    """On how many nodes at once a cluster volume may be used (api/types.proto `VolumeAccessMode.Scope`)."""

    SINGLE_NODE = 0
    MULTI_NODE = 1


class VolumeSharing(IntEnum):
    """By how many tasks at once, and how (api/types.proto `VolumeAccessMode.Sharing`)."""

    NONE = 0
    READ_ONLY = 1
    ONE_WRITER = 2
    ALL = 3


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """`condition` ANY is the default of a service without a policy; `delay` None means 5 s (api/defaults)."""

    condition: RestartCondition = RestartCondition.ANY
    delay: Micros | None = None
    max_attempts: int = 0  # 0: unlimited
    window: Micros | None = None  # None or 0: unbounded


@dataclass(frozen=True, slots=True)
class UpdateConfig:
    """A rolling update's (or rollback's) pace. `parallelism` 0: all at once; `monitor` None means 5 s."""

    parallelism: int = 1
    delay: Micros = 0
    failure_action: FailureAction = FailureAction.PAUSE
    monitor: Micros | None = None
    max_failure_ratio: float = 0.0
    order: UpdateOrder = UpdateOrder.STOP_FIRST


@dataclass(frozen=True, slots=True)
class GenericResource:
    """One kind of user-defined resource: a count, or named values (`names`); never both."""

    kind: str
    count: int = 0
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Resources:
    nano_cpus: int = 0
    memory_bytes: int = 0
    generic: tuple[GenericResource, ...] = ()
    pids: int = 0


NO_RESOURCES = Resources()


@dataclass(frozen=True, slots=True)
class ResourceRequirements:
    limits: Resources = NO_RESOURCES
    reservations: Resources = NO_RESOURCES


@dataclass(frozen=True, slots=True)
class Platform:
    os: str = ""
    architecture: str = ""


@dataclass(frozen=True, slots=True)
class Placement:
    """`constraints` as text (`node.role==manager`), `preferences` as spread descriptors (`node.labels.zone`)."""

    constraints: tuple[str, ...] = ()
    preferences: tuple[str, ...] = ()
    max_replicas: int = 0  # per node; 0: no limit
    platforms: tuple[Platform, ...] = ()


@dataclass(frozen=True, slots=True)
class PortConfig:
    name: str = ""
    protocol: str = "tcp"  # tcp, udp, sctp
    target_port: int = 0
    published_port: int = 0  # 0: the allocator picks one (ingress mode)
    publish_mode: PublishMode = PublishMode.INGRESS


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    mode: ResolutionMode = ResolutionMode.VIP
    ports: tuple[PortConfig, ...] = ()


@dataclass(frozen=True, slots=True)
class NetworkAttachmentConfig:
    """`target` is the network's name as the user wrote it, or its id."""

    target: str
    aliases: tuple[str, ...] = ()
    driver_opts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HealthConfig:
    """None: not given (inherit from the image). `test` ('NONE',) switches the image's check off."""

    test: tuple[str, ...] = ()
    interval: Micros | None = None
    timeout: Micros | None = None
    start_period: Micros | None = None
    start_interval: Micros | None = None
    retries: int = 0


@dataclass(frozen=True, slots=True)
class Mount:
    type: str  # bind, volume, tmpfs, npipe, cluster
    target: str
    source: str = ""
    read_only: bool = False
    consistency: str = ""
    volume_driver: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FileReference:
    """A secret or a config that a container mounts: `name` in the cluster, `target` file, owner and mode.

    `id` empty: the one that has the name when the service is created; a file in use cannot be removed.
    """

    name: str
    target: str
    uid: str = "0"
    gid: str = "0"
    mode: int = 0o444
    id: str = ""


Times = tuple[Micros, Micros]  # both ends included; equal ends: always that


@dataclass(frozen=True, slots=True)
class ContainerBehaviour:
    """How the simulated container of a task behaves (`x-sim`, SCENARIOS.md section 5). Assumed, not measured.

    `run` None: until it is told to stop. `on_stop`: what a container that is told to stop ends as. `health`: how long
    after its start a container's health check succeeds, where it has one. `fail`: what fails, after its time.
    """

    pull: Times = (2_000_000, 2_000_000)
    start: Times = (500_000, 500_000)
    stop: Times = (500_000, 500_000)
    run: Times | None = None
    exit: int = 0
    on_stop: str = "shutdown"  # or "complete"
    health: Times = (0, 0)
    fail: str = "none"  # or "pull", "start"


DEFAULT_BEHAVIOUR = ContainerBehaviour()


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """What runs in a task. Fields the control plane never reads live in `options` under Compose's own keys."""

    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    hostname: str = ""
    env: tuple[str, ...] = ()
    dir: str = ""
    user: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    secrets: tuple[FileReference, ...] = ()
    configs: tuple[FileReference, ...] = ()
    healthcheck: HealthConfig | None = None
    stop_grace_period: Micros | None = None  # None: 10 s (api/defaults)
    stop_signal: str = ""
    init: bool | None = None
    isolation: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    # Physics, not software: a change of it does not make a task dirty.
    behaviour: ContainerBehaviour = field(default=DEFAULT_BEHAVIOUR, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Driver:
    name: str
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NetworkAttachmentSpec:
    """No container of the swarm's: a node's own container, `container_id`, is attached to a network (`docker run`)."""

    container_id: str


@dataclass(frozen=True, slots=True)
class GenericRuntimeSpec:
    """Something else than a container; `payload` is (type, content), None where it is missing."""

    kind: str
    payload: tuple[str, bytes] | None = None


#: What stands in `TaskSpec.container` of a task that runs no container: see `TaskSpec.runtime`.
NO_CONTAINER = ContainerSpec("")


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """`runtime`: what runs in place of a container, if not None; `container` is then `NO_CONTAINER`."""

    container: ContainerSpec
    resources: ResourceRequirements | None = None
    restart: RestartPolicy | None = None
    placement: Placement | None = None
    log_driver: Driver | None = None
    networks: tuple[NetworkAttachmentConfig, ...] = ()
    force_update: int = 0
    runtime: NetworkAttachmentSpec | GenericRuntimeSpec | None = None


@dataclass(frozen=True, slots=True)
class Replicated:
    replicas: int = 1


@dataclass(frozen=True, slots=True)
class Global:
    pass


@dataclass(frozen=True, slots=True)
class ReplicatedJob:
    max_concurrent: int = 1
    total_completions: int = 1


@dataclass(frozen=True, slots=True)
class GlobalJob:
    pass


ServiceMode = Replicated | Global | ReplicatedJob | GlobalJob


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    name: str
    task: TaskSpec
    mode: ServiceMode = Replicated()
    labels: Mapping[str, str] = field(default_factory=dict)
    update: UpdateConfig | None = None
    rollback: UpdateConfig | None = None
    endpoint: EndpointSpec | None = None


@dataclass(frozen=True, slots=True)
class NodeSpec:
    labels: Mapping[str, str] = field(default_factory=dict)
    desired_role: NodeRole = NodeRole.WORKER
    membership: Membership = Membership.ACCEPTED
    availability: Availability = Availability.ACTIVE


@dataclass(frozen=True, slots=True)
class IpamConfig:
    subnet: str = ""
    range: str = ""
    gateway: str = ""


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    driver: str = "overlay"
    driver_opts: Mapping[str, str] = field(default_factory=dict)
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    ipam: tuple[IpamConfig, ...] = ()
    enable_ipv6: bool = False
    ipam_driver: str = ""  # "": the default one, as `default`


@dataclass(frozen=True, slots=True)
class SecretSpec:
    """`templating`: a node expands the data for each task before it is mounted; no manager looks into it."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    data: bytes = b""
    driver: Driver | None = None
    templating: Driver | None = None


@dataclass(frozen=True, slots=True)
class ConfigSpec:
    """`templating`: as in `SecretSpec`."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    data: bytes = b""
    templating: Driver | None = None


Topology = Mapping[str, str]  # of a node or a volume, as a driver tells it: `region` -> `R1`, `zone` -> `Z1`


@dataclass(frozen=True, slots=True)
class VolumeAccessMode:
    """`access`: `mount` (a file system) or `block` (a device); empty where the user said neither."""

    scope: VolumeScope = VolumeScope.SINGLE_NODE
    sharing: VolumeSharing = VolumeSharing.NONE
    access: str = "mount"


@dataclass(frozen=True, slots=True)
class VolumeSecret:
    """The secret with id `secret`, which the driver knows as `key`."""

    key: str
    secret: str


@dataclass(frozen=True, slots=True)
class TopologyRequirement:
    requisite: tuple[Topology, ...] = ()
    preferred: tuple[Topology, ...] = ()


@dataclass(frozen=True, slots=True)
class CapacityRange:
    required_bytes: int = 0
    limit_bytes: int = 0


@dataclass(frozen=True, slots=True)
class VolumeSpec:
    """A cluster (CSI) volume (api/specs.proto). Only its labels and its availability may change."""

    name: str
    driver: Driver | None = None
    access_mode: VolumeAccessMode | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    group: str = ""
    secrets: tuple[VolumeSecret, ...] = ()
    accessibility: TopologyRequirement | None = None
    capacity_range: CapacityRange | None = None
    availability: Availability = Availability.ACTIVE


@dataclass(frozen=True, slots=True)
class RaftSpec:
    """`raft:` of a scenario: whose rules the group follows, how its clocks run, and how it is handed over.

    `by_clock`: no ticks; timeouts are measured by the clock, in units of `tick`, which is then a microsecond.
    """

    rules: str = "swarmkit"  # a name of raft.dialects
    tick: Micros = 1_000_000
    by_clock: bool = False
    election_tick_most: int = 0  # of a timeout's draw; 0: etcd's range, election_tick to twice that less one
    candidate_ticks: tuple[int, int] | None = None
    backoff: bool = False
    pre_vote: bool = False
    check_quorum: bool = True
    behind: Mapping[str, int] = field(default_factory=dict)  # how many of the last entries a member's log lacks
    spare: tuple[str, ...] = ()  # servers that are on and no members yet
    datagrams: bool = False  # each message of Raft's travels by itself, may be lost and overtake others


YEAR: Micros = 365 * 86_400_000_000
ROOT_LIFE: Micros = 20 * YEAR  # ca/certificates.go `RootCAExpiration`


@dataclass(frozen=True, slots=True)
class RootCertificate:
    """A root certificate as state: which it is (`name`), whose key pair it certifies (`key`), and for how long.

    Keys are named, too: a signing key fits the certificate of the same `key`. `signed_by` is another root's name in a
    certificate that is cross-signed; `count` is how many certificates the user's text holds.
    """

    name: str
    key: str
    not_after: Micros = ROOT_LIFE
    not_before: Micros = 0
    signed_by: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True)
class ExternalCa:
    """A signer outside of the swarm. `certificate` None: for the swarm's present root."""

    url: str
    certificate: RootCertificate | None = None
    protocol: str = "cfssl"


@dataclass(frozen=True, slots=True)
class ClusterSpec:
    """`swarm:` of a scenario; SwarmKit's defaults (manager/manager.go, manager/state/raft/raft.go)."""

    name: str = "default"
    task_history_limit: int = 5
    heartbeat_period: Micros = 5_000_000
    heartbeat_tick: int = 1
    election_tick: int = 10
    snapshot_interval: int = 10_000
    log_entries_for_slow_followers: int = 500
    keep_old_snapshots: int = 0
    node_cert_expiry: Micros = 90 * 86_400_000_000
    external_cas: tuple[ExternalCa, ...] = ()
    signing_ca_cert: RootCertificate | None = None  # the root that is wanted; None: any
    signing_ca_key: str = ""
    force_rotate: int = 0  # another number than at the last rotation asks for a new root
    autolock: bool = False
    log_driver: Driver | None = None  # of tasks that name none (api/types.proto `TaskDefaults`)
    raft: RaftSpec = RaftSpec()
