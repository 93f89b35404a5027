"""Which nodes may take a task: the filters, in the order in which they are asked.

SwarmKit manager/scheduler/filter.go, reference/orchestration.md 14.4. A filter is *prepared* once for a task (or
for a group of equal tasks): that gives a cheap question to ask of each node, or None when the filter is off for
this task. The first filter that says no is charged with the node.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ...api.constraints import ConstraintError, node_matches, parse_constraints
from ...api.objects import Task
from ...api.specs import Mount, Platform
from ...store import MemoryStore
from . import generic_resources as generic
from .node_info import NodeInfo, host_ports, reservations

Check = Callable[[NodeInfo], bool]


class Filter(NamedTuple):
    """`prepare(task, store)` gives the question for a node; `one` and `many` explain refusals ({n} nodes)."""

    name: str
    prepare: Callable[[Task, MemoryStore], Check | None]
    one: str
    many: str

    def explain(self, nodes: int) -> str:
        return self.one if nodes == 1 else self.many.format(n=nodes)


def _is_ready(info: NodeInfo) -> bool:
    return info.ready


def ready(task: Task, store: MemoryStore) -> Check | None:
    """`ReadyFilter`: status READY and availability ACTIVE."""
    return _is_ready


def resources(task: Task, store: MemoryStore) -> Check | None:
    """`ResourceFilter`: what the task reserves is free."""
    wanted = reservations(task)
    cpus, memory, kinds = wanted.nano_cpus, wanted.memory_bytes, wanted.generic
    if not cpus and not memory and not kinds:
        return None
    if not kinds:
        return lambda info: cpus <= info.nano_cpus and memory <= info.memory_bytes
    return lambda info: (
        cpus <= info.nano_cpus
        and memory <= info.memory_bytes
        and all(generic.has_enough(info.generic, kind) for kind in kinds)
    )


def plugins(task: Task, store: MemoryStore) -> Check | None:
    """`PluginFilter`: the drivers of the task's volumes, networks and log are installed.

    A node that has not described itself passes; one that lists no log drivers at all takes any.
    """
    volumes = [m.volume_driver for m in task.spec.container.mounts if _needs_volume_plugin(m)]
    log = task.spec.log_driver
    if not volumes and not task.networks and log is None:
        return None
    wanted = [("Volume", name) for name in volumes]
    for attachment in task.networks:
        network = store.networks.get(attachment.network_id)
        if network is not None and network.spec.driver:
            wanted.append(("Network", network.spec.driver))
    log_name = "" if log is None or log.name == "none" else log.name

    def check(info: NodeInfo) -> bool:
        description = info.node.description
        if description is None:
            return True
        installed = description.plugins
        if not all(_installed(kind, name, installed) for kind, name in wanted):
            return False
        if not log_name or _installed("Log", log_name, installed):
            return True
        return not any(kind == "Log" for kind, _ in installed)

    return check


def _needs_volume_plugin(mount: Mount) -> bool:
    return mount.type == "volume" and mount.volume_driver not in ("", "local")


def _installed(kind: str, name: str, plugins: tuple[tuple[str, str], ...]) -> bool:
    return (kind, name) in plugins or (kind, f"{name}:latest") in plugins


def constraints(task: Task, store: MemoryStore) -> Check | None:
    """`ConstraintFilter`: the task's own placement constraints hold; text that does not parse switches it off."""
    placement = task.spec.placement
    if placement is None or not placement.constraints:
        return None
    try:
        parsed = parse_constraints(placement.constraints)
    except ConstraintError:
        return None
    return lambda info: node_matches(parsed, info.node)


_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def _normal(platform: Platform) -> tuple[str, str]:
    return platform.os, _ARCHITECTURES.get(platform.architecture, platform.architecture)


def platforms(task: Task, store: MemoryStore) -> Check | None:
    """`PlatformFilter`: the node's platform is one of those of the image; an empty part matches any."""
    placement = task.spec.placement
    if placement is None or not placement.platforms:
        return None
    supported = [_normal(p) for p in placement.platforms]

    def check(info: NodeInfo) -> bool:
        if info.node.description is None:
            return False
        has_os, has_arch = _normal(info.node.description.platform)
        return any(os in ("", has_os) and arch in ("", has_arch) for os, arch in supported)

    return check


def host_port(task: Task, store: MemoryStore) -> Check | None:
    """`HostPortFilter`: nobody on the node holds one of the task's host-mode ports."""
    wanted = host_ports(task)
    if not wanted:
        return None
    return lambda info: info.host_ports.isdisjoint(wanted)


def max_replicas(task: Task, store: MemoryStore) -> Check | None:
    """`MaxReplicasFilter`: fewer active tasks of the service on the node than its placement allows."""
    placement = task.spec.placement
    if placement is None or not placement.max_replicas:
        return None
    limit, service = placement.max_replicas, task.service_id
    return lambda info: info.active_by_service.get(service, 0) < limit


def _filter(name: str, prepare: Callable[[Task, MemoryStore], Check | None], text: str) -> Filter:
    return Filter(name, prepare, f"{text} on 1 node", text + " on {n} nodes")


#: pipeline.go `defaultFilters`, in order. A filter for cluster volumes would be the last line.
FILTERS: tuple[Filter, ...] = (
    Filter("ready", ready, "1 node not available for new tasks", "{n} nodes not available for new tasks"),
    _filter("resources", resources, "insufficient resources"),
    _filter("plugins", plugins, "missing plugin"),
    _filter("constraints", constraints, "scheduling constraints not satisfied"),
    _filter("platforms", platforms, "unsupported platform"),
    _filter("host_port", host_port, "host-mode port already in use"),
    Filter(
        "max_replicas",
        max_replicas,
        "max replicas per node limit exceed",
        "max replicas per node limit exceed",
    ),
)
