"""What a manager makes of the requests that the real client sends: moby daemon/cluster/convert, as far as stacks go.

Written apart from `swarmsim.compose`, from the other end: the test is that both arrive at equal specs.
"""

from __future__ import annotations

import base64
import posixpath
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from swarmsim.api.specs import (
    ConfigSpec,
    ContainerSpec,
    Driver,
    EndpointSpec,
    FailureAction,
    FileReference,
    GenericResource,
    Global,
    GlobalJob,
    HealthConfig,
    IpamConfig,
    Mount,
    NetworkAttachmentConfig,
    NetworkSpec,
    Placement,
    PortConfig,
    PublishMode,
    Replicated,
    ReplicatedJob,
    ResolutionMode,
    ResourceRequirements,
    Resources,
    RestartCondition,
    RestartPolicy,
    SecretSpec,
    ServiceSpec,
    TaskSpec,
    UpdateConfig,
    UpdateOrder,
)

Json = Mapping[str, Any]


def service(body: Json, folder: Path) -> ServiceSpec:
    """`folder` is where relative binds start; the simulator leaves them relative."""
    template = body["TaskTemplate"]
    policy, log = template.get("RestartPolicy"), template.get("LogDriver")
    placement, resources = template.get("Placement") or {}, template.get("Resources") or {}
    task = TaskSpec(
        container(template["ContainerSpec"], folder),
        ResourceRequirements(amounts(resources.get("Limits") or {}), amounts(resources.get("Reservations") or {})),
        restart(policy) if policy is not None else None,
        Placement(
            tuple(placement.get("Constraints") or ()),
            tuple(p["Spread"]["SpreadDescriptor"] for p in placement.get("Preferences") or ()),
            placement.get("MaxReplicas", 0),
        ),
        Driver(log.get("Name", ""), log.get("Options") or {}) if log is not None else None,
        tuple(
            NetworkAttachmentConfig(n["Target"], tuple(n.get("Aliases") or ()), n.get("DriverOpts") or {})
            for n in template.get("Networks") or ()
        ),
    )
    return ServiceSpec(
        body["Name"],
        task,
        mode(body["Mode"]),
        body["Labels"],
        update(body.get("UpdateConfig")),
        update(body.get("RollbackConfig")),
        endpoint(body.get("EndpointSpec") or {}),
    )


def container(c: Json, folder: Path) -> ContainerSpec:
    init = c.get("Init")
    return ContainerSpec(
        c["Image"],
        tuple(c.get("Command") or ()),
        tuple(c.get("Args") or ()),
        c.get("Hostname", ""),
        tuple(c.get("Env") or ()),
        c.get("Dir", ""),
        c.get("User", ""),
        c.get("Labels") or {},
        tuple(mount(m, folder) for m in c.get("Mounts") or ()),
        references(c.get("Secrets") or (), "Secret"),
        references(c.get("Configs") or (), "Config"),
        health(c.get("Healthcheck")),
        micros(c["StopGracePeriod"]) if "StopGracePeriod" in c else None,
        c.get("StopSignal", ""),
        init,
        c.get("Isolation", ""),
        options(c),
    )


def micros(nanos: int) -> int:
    return nanos // 1000


def options(c: Json) -> dict[str, Any]:
    dns = c.get("DNSConfig") or {}
    limits = {u["Name"]: {"hard": u["Hard"], "soft": u["Soft"]} for u in c.get("Ulimits") or ()}
    credentials = (c.get("Privileges") or {}).get("CredentialSpec") or {}
    found = {
        "tty": c.get("TTY"),
        "stdin_open": c.get("OpenStdin"),
        "read_only": c.get("ReadOnly"),
        "dns": tuple(dns.get("Nameservers") or ()),
        "dns_search": tuple(dns.get("Search") or ()),
        "extra_hosts": tuple(c.get("Hosts") or ()),
        "sysctls": c.get("Sysctls"),
        "ulimits": limits,
        "cap_add": tuple(c.get("CapabilityAdd") or ()),
        "cap_drop": tuple(c.get("CapabilityDrop") or ()),
        "credential_spec": {key.lower(): text for key, text in credentials.items() if text},
    }
    return {key: value for key, value in found.items() if value}


def health(h: Json | None) -> HealthConfig | None:
    if h is None:
        return None
    times = {
        "interval": h.get("Interval"),
        "timeout": h.get("Timeout"),
        "start_period": h.get("StartPeriod"),
        "start_interval": h.get("StartInterval"),
    }
    given = {key: micros(nanos) for key, nanos in times.items() if nanos}
    return HealthConfig(tuple(h.get("Test") or ()), **given, retries=h.get("Retries", 0))


def mount(m: Json, folder: Path) -> Mount:
    volume, driver = m.get("VolumeOptions") or {}, (m.get("VolumeOptions") or {}).get("DriverConfig") or {}
    found = {
        "nocopy": volume.get("NoCopy"),
        "subpath": volume.get("Subpath"),
        "labels": volume.get("Labels"),
        "driver_opts": driver.get("Options"),
        "propagation": (m.get("BindOptions") or {}).get("Propagation"),
        "size": (m.get("TmpfsOptions") or {}).get("SizeBytes"),
    }
    source = m.get("Source", "")
    if m["Type"] == "bind" and posixpath.commonpath([source, str(folder)]) == str(folder):
        relative = posixpath.relpath(source, folder)
        source = relative if relative == "." else f"./{relative}"
    return Mount(
        m["Type"],
        m.get("Target", ""),
        source,
        m.get("ReadOnly", False),
        m.get("Consistency", ""),
        driver.get("Name", ""),
        {key: value for key, value in found.items() if value},
    )


def references(found: Any, noun: str) -> tuple[FileReference, ...]:
    """A config that is a credential spec is no file."""
    return tuple(
        FileReference(r[f"{noun}Name"], r["File"]["Name"], r["File"]["UID"], r["File"]["GID"], r["File"]["Mode"])
        for r in found
        if "File" in r
    )


def amounts(r: Json) -> Resources:
    specs = [g.get("DiscreteResourceSpec") or {} for g in r.get("GenericResources") or ()]
    generic = tuple(GenericResource(s.get("Kind", ""), s.get("Value", 0)) for s in specs if s)
    return Resources(r.get("NanoCPUs", 0), r.get("MemoryBytes", 0), generic, r.get("Pids", 0))


def restart(p: Json) -> RestartPolicy:
    conditions = {"none": RestartCondition.NONE, "on-failure": RestartCondition.ON_FAILURE, "any": RestartCondition.ANY}
    return RestartPolicy(
        conditions[p.get("Condition", "any")],
        micros(p["Delay"]) if "Delay" in p else None,
        p.get("MaxAttempts", 0),
        micros(p["Window"]) if "Window" in p else None,
    )


def update(u: Json | None) -> UpdateConfig | None:
    if u is None:
        return None
    return UpdateConfig(
        u["Parallelism"],
        micros(u.get("Delay", 0)),
        FailureAction[u.get("FailureAction", "pause").upper()],
        micros(u["Monitor"]) if u.get("Monitor") else None,
        u["MaxFailureRatio"],
        UpdateOrder.START_FIRST if u["Order"] == "start-first" else UpdateOrder.STOP_FIRST,
    )


def mode(m: Json) -> Any:
    if "Global" in m:
        return Global()
    if "GlobalJob" in m:
        return GlobalJob()
    if "ReplicatedJob" in m:
        return ReplicatedJob(m["ReplicatedJob"].get("MaxConcurrent", 1), m["ReplicatedJob"].get("TotalCompletions", 1))
    return Replicated(m["Replicated"].get("Replicas", 1))


def endpoint(e: Json) -> EndpointSpec:
    ports = tuple(
        PortConfig(
            "",
            p.get("Protocol", "tcp").lower(),
            p.get("TargetPort", 0),
            p.get("PublishedPort", 0),
            PublishMode.HOST if p.get("PublishMode", "").lower() == "host" else PublishMode.INGRESS,
        )
        for p in e.get("Ports") or ()
    )
    return EndpointSpec(ResolutionMode.DNSRR if e.get("Mode") == "dnsrr" else ResolutionMode.VIP, ports)


def network(body: Json) -> NetworkSpec:
    pools = (body.get("IPAM") or {}).get("Config") or ()
    return NetworkSpec(
        body["Name"],
        body["Labels"],
        body["Driver"],
        body.get("Options") or {},
        body["Internal"],
        body["Attachable"],
        ipam=tuple(IpamConfig(pool.get("Subnet", "")) for pool in pools),
        ipam_driver=(body.get("IPAM") or {}).get("Driver", ""),
    )


def secret(body: Json) -> SecretSpec:
    driver = body.get("Driver")
    made = Driver(driver["Name"], driver.get("Options") or {}) if driver else None
    return SecretSpec(body["Name"], body["Labels"], base64.b64decode(body.get("Data", "")), made, templating(body))


def config(body: Json) -> ConfigSpec:
    return ConfigSpec(body["Name"], body["Labels"], base64.b64decode(body.get("Data", "")), templating(body))


def templating(body: Json) -> Driver | None:
    driver = body.get("Templating")
    return Driver(driver["Name"], driver.get("Options") or {}) if driver else None
