"""What a service's spec may say: SwarmKit's rules with its texts (manager/controlapi/service.go, common.go).

Every refusal is an `ApiError` as gRPC carries it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ..api.constraints import ConstraintError, parse_constraints
from ..api.objects import Config, Secret, Service
from ..api.specs import (
    ContainerSpec,
    EndpointSpec,
    FileReference,
    GenericRuntimeSpec,
    Global,
    GlobalJob,
    HealthConfig,
    PublishMode,
    Replicated,
    ReplicatedJob,
    ResolutionMode,
    Resources,
    ServiceSpec,
    TaskSpec,
    UpdateConfig,
)
from ..errors import ApiError
from .templates import TemplateError, check_templates

# The original's `^[a-zA-Z0-9](?:[-_]*[A-Za-z0-9]+)*$`, in a form that cannot take exponential time.
_DNS_NAME = re.compile(r"[a-zA-Z0-9]+(?:[-_]+[A-Za-z0-9]+)*")
# distribution/reference: [domain[:port]/]path[:tag][@digest]; enough of it to tell a reference from a slip.
_PATH = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_DOMAIN = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*(?::[0-9]+)?"
_TAG, _DIGEST = r"\w[\w.-]{0,127}", r"[A-Za-z][A-Za-z0-9]*:[0-9a-fA-F]{32,}"
_IMAGE = re.compile(rf"(?:{_DOMAIN}/)?{_PATH}(?:/{_PATH})*(?::{_TAG})?(?:@{_DIGEST})?", re.ASCII)
_IDENTIFIER = re.compile(r"[a-f0-9]{64}")  # an image's id is no reference
MIN_NANO_CPUS = 1_000_000
MAX_SECRET_SIZE = 500 * 1024  # bytes (api/validation/secrets.go)
MIN_MEMORY = 4 << 20
MODES = (Replicated, Global, ReplicatedJob, GlobalJob)
PREDEFINED = "com.docker.swarm.predefined"


def invalid(text: str) -> ApiError:
    return ApiError("InvalidArgument", text)


def is_job(spec: ServiceSpec) -> bool:
    return isinstance(spec.mode, ReplicatedJob | GlobalJob)


def check_name(name: str) -> None:
    if not name:
        raise invalid("meta: name must be provided")
    if not _DNS_NAME.fullmatch(name):
        raise invalid("name must be valid as a DNS name component")
    if len(name) > 63:
        raise invalid("name must be 63 characters or fewer")


def check_service_spec(spec: ServiceSpec | None) -> None:
    """service.go `validateServiceSpec`, in its order."""
    if spec is None:
        raise invalid("invalid argument")
    check_name(spec.name)
    check_task_spec(spec.task)
    check_mode(spec)
    check_update_config(spec.update)
    check_endpoint(spec.endpoint)


def check_task_spec(task: TaskSpec | None) -> None:
    if task is None:
        raise invalid("TaskSpec: missing runtime")
    if task.resources is not None:
        check_resources(task.resources.limits)
        check_resources(task.resources.reservations)
    if task.restart is not None:
        if (task.restart.delay or 0) < 0:
            raise invalid("TaskSpec: restart-delay cannot be negative")
        if (task.restart.window or 0) < 0:
            raise invalid("TaskSpec: restart-window cannot be negative")
    if task.placement is not None:
        try:
            parse_constraints(task.placement.constraints)
        except ConstraintError as error:
            raise invalid(str(error)) from None
    check_references_shape(task.container.secrets, "secret")
    check_references_shape(task.container.configs, "config")
    check_runtime(task)


def check_runtime(task: TaskSpec) -> None:
    """What runs is a container, or something that a runtime by that name understands (`validateTaskSpec`).

    The names that are refused are those of the runtimes that are not generic; an attachment is no service.
    """
    runtime = task.runtime
    if runtime is None:
        check_container(task.container)
        return
    if not isinstance(runtime, GenericRuntimeSpec):
        raise ApiError("Unimplemented", "RuntimeSpec: unimplemented runtime in service spec")
    if len(runtime.kind) < 3:
        raise invalid(f'Generic runtime: Invalid name "{runtime.kind}"')
    if runtime.kind.lower() in ("container", "attachment"):
        raise invalid(f'Generic runtime: "{runtime.kind}" is a reserved name')
    if runtime.payload is None:
        raise invalid("Generic runtime is missing payload")
    if not runtime.payload[0]:
        raise invalid("Generic runtime is missing payload type")
    if not runtime.payload[1]:
        raise invalid("Generic runtime has an empty payload")


def check_resources(r: Resources) -> None:
    if r.nano_cpus and r.nano_cpus < MIN_NANO_CPUS:
        raise invalid(f"invalid cpu value {r.nano_cpus / 1e9:g}: Must be at least {MIN_NANO_CPUS / 1e9:g}")
    if r.memory_bytes and r.memory_bytes < MIN_MEMORY:
        raise invalid(f"invalid memory value {r.memory_bytes}: Must be at least 4MiB")


def check_container(container: ContainerSpec) -> None:
    try:
        check_templates(container)
    except TemplateError as error:
        raise invalid(str(error)) from None
    if not container.image:
        raise invalid("ContainerSpec: image reference must be provided")
    if not _IMAGE.fullmatch(container.image) or _IDENTIFIER.fullmatch(container.image):
        raise invalid(f'ContainerSpec: "{container.image}" is not a valid repository/tag')
    seen = set()
    for mount in container.mounts:
        if mount.target in seen:
            raise invalid(f"ContainerSpec: duplicate mount point: {mount.target}")
        seen.add(mount.target)
    if container.healthcheck is not None:
        check_health(container.healthcheck)


def check_health(health: HealthConfig) -> None:
    named = (
        ("Interval", health.interval),
        ("Timeout", health.timeout),
        ("StartPeriod", health.start_period),
        ("StartInterval", health.start_interval),
    )
    for name, value in named:
        if value and value < 1_000:
            raise invalid(f"ContainerSpec: {name} in HealthConfig cannot be less than 1ms")
    if health.retries < 0:
        raise invalid("ContainerSpec: Retries in HealthConfig cannot be negative")


def check_references_shape(references: tuple[FileReference, ...], word: str) -> None:
    """Well-formed, and no two with the same target file."""
    targets: dict[str, str] = {}
    for reference in references:
        if not reference.name:
            raise invalid(f"malformed {word} reference")
        if not reference.target:
            raise invalid(f"malformed file {word} reference, invalid target file name provided")
        other = targets.get(reference.target)
        if other is not None:
            raise invalid(
                f"{word} references '{other}' and '{reference.name}' have a conflicting target: '{reference.target}'"
            )
        targets[reference.target] = reference.name


def check_mode(spec: ServiceSpec) -> None:
    mode = spec.mode
    if type(mode) not in MODES:
        raise invalid("Unrecognized service mode")
    if isinstance(mode, Replicated) and mode.replicas < 0:
        raise invalid("Number of replicas must be non-negative")
    if isinstance(mode, ReplicatedJob):
        if mode.max_concurrent < 0:
            raise invalid("Maximum concurrent jobs must not be negative")
        if mode.total_completions < 0:
            raise invalid("Total completed jobs must not be negative")
    if is_job(spec) and spec.update is not None:
        raise invalid("Jobs may not have an update config")


def check_update_config(config: UpdateConfig | None) -> None:
    if config is None:
        return
    if config.delay < 0:
        raise invalid("TaskSpec: update-delay cannot be negative")
    if (config.monitor or 0) < 0:
        raise invalid("TaskSpec: update-monitor cannot be negative")
    if not 0 <= config.max_failure_ratio <= 1:
        raise invalid("TaskSpec: update-maxfailureratio cannot be less than 0 or bigger than 1")


def check_endpoint(endpoint: EndpointSpec | None) -> None:
    if endpoint is None:
        return
    seen: dict[tuple[int, str], None] = {}
    for port in endpoint.ports:
        if endpoint.mode is ResolutionMode.DNSRR and port.publish_mode is PublishMode.INGRESS:
            raise invalid("EndpointSpec: port published with ingress mode can't be used with dnsrr mode")
        key = port.published_port, port.protocol
        if key in seen:
            raise invalid("EndpointSpec: duplicate published ports provided")
        if port.published_port:
            seen[key] = None


def needs_ingress(spec: ServiceSpec) -> bool:
    ports = spec.endpoint.ports if spec.endpoint else ()
    return any(p.publish_mode is PublishMode.INGRESS for p in ports)


def check_port_conflicts(spec: ServiceSpec, service_id: str, services: Iterable[Service]) -> None:
    """service.go `checkPortConflicts`: host against host is the scheduler's business."""
    ports = spec.endpoint.ports if spec.endpoint else ()
    wanted = {(p.published_port, p.protocol): p.publish_mode for p in ports if p.published_port}
    if not wanted:
        return
    for service in services:
        if service.id == service_id:
            continue
        taken = [*(service.spec.endpoint.ports if service.spec.endpoint else ())]
        taken += service.endpoint.ports if service.endpoint else ()
        for port in taken:
            mode = wanted.get((port.published_port, port.protocol))
            if mode is None or (mode is PublishMode.HOST and port.publish_mode is PublishMode.HOST):
                continue
            how = "an ingress port" if port.publish_mode is PublishMode.INGRESS else "a host-published port"
            raise invalid(
                f"port '{port.published_port}' is already in use by service '{service.name}' ({service.id}) as {how}"
            )


def check_references(spec: ServiceSpec, tx: Any) -> None:
    """Referenced secrets and configs exist, under that name and, where the reference says one, that id.

    Asked inside the transaction (service.go `checkSecretExistence`, `checkConfigExistence`).
    """
    container = spec.task.container
    for kind, word, references in ((Secret, "secret", container.secrets), (Config, "config", container.configs)):
        missing = [r.name for r in references if not _exists(tx, kind, r)]
        if missing:
            raise invalid(f"{word}{'s' if len(missing) > 1 else ''} not found: {', '.join(missing)}")


def _exists(tx: Any, kind: type, reference: FileReference) -> bool:
    """Names are compared letter by letter here, as Docker's client compares them, though the index ignores case."""
    found = tx.get(kind, reference.id) if reference.id else tx.by_name(kind, reference.name)
    return found is not None and found.name == reference.name


def check_update(old: ServiceSpec, new: ServiceSpec) -> None:
    if type(old.mode) is not type(new.mode):
        raise ApiError("Unimplemented", "service mode change is not allowed")
    if old.name != new.name:
        raise ApiError("Unimplemented", "renaming services is not supported")
