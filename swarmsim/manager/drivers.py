"""Drivers of secrets: plugins on the leader's host that give the value of a secret when a task is about to use it.

SwarmKit manager/drivers/secrets.go. The dispatcher asks when it first tells a node of the secret. What a driver gives
is checked like a secret that a user stores; `do_not_reuse` makes it the value for this task alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from ..api.objects import Secret, Task
from ..api.specs import EndpointSpec
from .validation import MAX_SECRET_SIZE


class SecretRequest(NamedTuple):
    """What a driver is told of the secret and of the task that wants it (`SecretsProviderRequest`)."""

    secret_name: str
    secret_labels: Mapping[str, str]
    service_id: str
    service_name: str
    service_labels: Mapping[str, str]
    service_hostname: str
    service_endpoint: EndpointSpec | None
    task_id: str
    task_name: str
    task_image: str
    node_id: str


class SecretValue(NamedTuple):
    data: bytes
    do_not_reuse: bool = False


class DriverError(Exception):
    """There is no such plugin, or it failed."""


class SecretDrivers(Protocol):
    """All plugins of the host. `get` raises `DriverError`."""

    def get(self, driver: str, request: SecretRequest) -> SecretValue: ...


class NoDrivers:
    """A host without plugins."""

    def get(self, driver: str, request: SecretRequest) -> SecretValue:
        raise DriverError(f"plugin {driver} not found")


NO_DRIVERS = NoDrivers()


def value_of(secret: Secret, task: Task, drivers: SecretDrivers) -> SecretValue:
    """Raises `DriverError`, also for a value that no secret may have (`validation.ValidateSecretPayload`)."""
    assert secret.spec.driver is not None, f"secret {secret.id} has its value in the store"
    value = drivers.get(secret.spec.driver.name, _request(secret, task))
    if not 0 < len(value.data) < MAX_SECRET_SIZE:
        raise DriverError(f"secret data must be larger than 0 and less than {MAX_SECRET_SIZE} bytes")
    return value


def _request(secret: Secret, task: Task) -> SecretRequest:
    container = task.spec.container
    return SecretRequest(
        secret.name,
        secret.spec.labels,
        task.service_id,
        task.service_name,
        task.service_labels,
        container.hostname,
        task.endpoint.spec if task.endpoint is not None else None,
        task.id,
        task.name,
        container.image,
        task.node_id,
    )
