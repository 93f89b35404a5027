"""Which nodes may take a task: the filters, in the order in which they are asked.

SwarmKit manager/scheduler/filter.go. A filter has two halves. `want` reads off a task what matters to the filter, as a
plain value, or None when the filter is off for this task: two tasks that want the same are treated the same, however
else they differ. `check` makes of that value a question for a node. The first filter that says no is charged with the
node.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from enum import Enum
from typing import Any, NamedTuple

from ...api.constraints import ConstraintError, compile_constraints, parse_constraints
from ...api.objects import Task
from ...api.specs import Mount, Platform
from ...store import MemoryStore
from . import generic_resources as generic
from .node_info import NodeInfo, host_ports, reservations
from .volumes import Wanted, cluster_mounts

Check = Callable[[NodeInfo], bool]
Wants = tuple[Hashable, ...]  # what each filter wants, None: it is off


class Reads(Enum):
    """What a filter looks at, and so when its answer may change."""

    NODE = "the node object"
    TASKS = "what runs there, and what is used of the cluster volumes"
    SERVICE = "the tasks of the same service there"


class Filter(NamedTuple):
    """`one` and `many` explain refusals ({n} nodes)."""

    name: str
    reads: Reads
    want: Callable[[Task, MemoryStore], Hashable]
    check: Callable[[Any], Check]
    one: str
    many: str

    def explain(self, nodes: int) -> str:
        return self.one if nodes == 1 else self.many.format(n=nodes)


# -- ReadyFilter: status READY and availability ACTIVE --
def ready(task: Task, store: MemoryStore) -> Hashable:
    return True


def check_ready(wanted: bool) -> Check:
    return lambda info: info.ready


# -- ResourceFilter: what the task reserves is free --
def resources(task: Task, store: MemoryStore) -> Hashable:
    if task.spec.resources is None:
        return None
    wanted = reservations(task)
    if not wanted.nano_cpus and not wanted.memory_bytes and not wanted.generic:
        return None
    return wanted.nano_cpus, wanted.memory_bytes, wanted.generic


def check_resources(wanted: tuple[int, int, generic.Held]) -> Check:
    cpus, memory, kinds = wanted
    if not kinds:
        return lambda info: cpus <= info.nano_cpus and memory <= info.memory_bytes
    return lambda info: (
        cpus <= info.nano_cpus
        and memory <= info.memory_bytes
        and all(generic.has_enough(info.generic, kind) for kind in kinds)
    )


# -- PluginFilter: the drivers of the task's volumes, networks and log are installed --
def plugins(task: Task, store: MemoryStore) -> Hashable:
    """Off without volumes of a driver, networks and log driver. A log driver `none` or without a name asks nothing."""
    mounts, log = task.spec.container.mounts, task.spec.log_driver
    volumes = [m.volume_driver for m in mounts if _needs_volume_plugin(m)] if mounts else []
    if not volumes and not task.networks and log is None:
        return None
    wanted = [("Volume", name) for name in volumes]
    for attachment in task.networks:
        network = store.networks.get(attachment.network_id)
        if network is not None and network.spec.driver:
            wanted.append(("Network", network.spec.driver))
    return tuple(wanted), "" if log is None or log.name == "none" else log.name


def _needs_volume_plugin(mount: Mount) -> bool:
    return mount.type == "volume" and mount.volume_driver not in ("", "local")


def check_plugins(wanted: tuple[tuple[tuple[str, str], ...], str]) -> Check:
    """A node that has not described itself passes; one that lists no log drivers at all takes any."""
    drivers, log = wanted

    def check(info: NodeInfo) -> bool:
        description = info.node.description
        if description is None:
            return True
        installed = description.plugins
        if not all(_installed(kind, name, installed) for kind, name in drivers):
            return False
        if not log or _installed("Log", log, installed):
            return True
        return not any(kind == "Log" for kind, _ in installed)

    return check


def _installed(kind: str, name: str, plugins: tuple[tuple[str, str], ...]) -> bool:
    return (kind, name) in plugins or (kind, f"{name}:latest") in plugins


# -- ConstraintFilter: the task's own placement constraints hold --
def constraints(task: Task, store: MemoryStore) -> Hashable:
    """Text that does not parse switches the filter off: the control API has refused it before."""
    placement = task.spec.placement
    if placement is None or not placement.constraints:
        return None
    try:
        return parse_constraints(placement.constraints)
    except ConstraintError:
        return None


def check_constraints(wanted: Any) -> Check:
    holds = compile_constraints(wanted)
    return lambda info: holds(info.node)


# -- PlatformFilter: the node's platform is one of those of the image; an empty part matches any --
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def platforms(task: Task, store: MemoryStore) -> Hashable:
    placement = task.spec.placement
    return tuple(map(_normal, placement.platforms)) or None if placement is not None else None


def _normal(platform: Platform) -> tuple[str, str]:
    return platform.os, _ARCHITECTURES.get(platform.architecture, platform.architecture)


def check_platforms(wanted: tuple[tuple[str, str], ...]) -> Check:
    def check(info: NodeInfo) -> bool:
        if info.node.description is None or info.node.description.platform == Platform():
            return False  # it is not known: not even an empty part matches
        has_os, has_arch = _normal(info.node.description.platform)
        return any(os in ("", has_os) and arch in ("", has_arch) for os, arch in wanted)

    return check


# -- HostPortFilter: nobody on the node holds one of the task's host-mode ports --
def host_port(task: Task, store: MemoryStore) -> Hashable:
    return host_ports(task) or None


def check_host_port(wanted: tuple[tuple[str, int], ...]) -> Check:
    return lambda info: info.host_ports.isdisjoint(wanted)


# -- MaxReplicasFilter: fewer active tasks of the service on the node than its placement allows --
def max_replicas(task: Task, store: MemoryStore) -> Hashable:
    placement = task.spec.placement
    if placement is None or placement.max_replicas <= 0:
        return None
    return task.service_id, placement.max_replicas


def check_max_replicas(wanted: tuple[str, int]) -> Check:
    service, limit = wanted
    return lambda info: info.active_by_service.get(service, 0) < limit


# -- VolumesFilter: any one of the cluster (CSI) volumes that the task mounts is usable on the node (a quirk) --
def volumes(task: Task, store: MemoryStore) -> Hashable:
    mounts = cluster_mounts(task)
    return tuple(Wanted(m.source, m.read_only) for m in mounts) if mounts else None


def check_volumes(wanted: tuple[Wanted, ...]) -> Check:
    return lambda info: any(info.volumes.usable(mount, info.node) for mount in wanted)


def _on_nodes(text: str) -> tuple[str, str]:
    return f"{text} on 1 node", text + " on {n} nodes"


_NOT_AVAILABLE = "1 node not available for new tasks", "{n} nodes not available for new tasks"
_CONSTRAINTS = "scheduling constraints not satisfied"
_MAX_REPLICAS = "max replicas per node limit exceed"

#: pipeline.go `defaultFilters`, in order.
FILTERS: tuple[Filter, ...] = (
    Filter("ready", Reads.NODE, ready, check_ready, *_NOT_AVAILABLE),
    Filter("resources", Reads.TASKS, resources, check_resources, *_on_nodes("insufficient resources")),
    Filter("plugins", Reads.NODE, plugins, check_plugins, *_on_nodes("missing plugin")),
    Filter("constraints", Reads.NODE, constraints, check_constraints, *_on_nodes(_CONSTRAINTS)),
    Filter("platforms", Reads.NODE, platforms, check_platforms, *_on_nodes("unsupported platform")),
    Filter("host_port", Reads.TASKS, host_port, check_host_port, *_on_nodes("host-mode port already in use")),
    Filter("max_replicas", Reads.SERVICE, max_replicas, check_max_replicas, _MAX_REPLICAS, _MAX_REPLICAS),
    Filter("volumes", Reads.TASKS, volumes, check_volumes, *_on_nodes("cannot fulfill requested CSI volume mounts")),
)

_WANT = [f.want for f in FILTERS]


def wants(task: Task, store: MemoryStore) -> Wants:
    """What `task` asks of a node."""
    return tuple([want(task, store) for want in _WANT])


def of_nodes(wanted: Wants) -> Wants:
    """The part that does not concern the service."""
    return tuple([None if f.reads is Reads.SERVICE else w for f, w in zip(FILTERS, wanted, strict=True)])
