"""Container health checks: when a container's health is known, and what it is (moby daemon/health.go).

The engine probes a container one interval after another, more often while it may still be starting. The first probe
that succeeds makes it healthy; so many failures in a row make it unhealthy, those of its start period not counted. A
probe takes no time here.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from .specs import ContainerSpec, HealthConfig

Micros = int

DEFAULT_INTERVAL: Micros = 30_000_000
DEFAULT_START_INTERVAL: Micros = 5_000_000
DEFAULT_RETRIES = 3


class Health(Enum):
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class Verdict(NamedTuple):
    """What becomes of a container that is STARTING, and how long after its start."""

    after: Micros
    health: Health


def health_check(container: ContainerSpec) -> HealthConfig | None:
    """None where nothing is checked; one that names no test tunes the image's own."""
    health = container.healthcheck
    return None if health is None or health.test[:1] == ("NONE",) else health


def first_verdict(health: HealthConfig, able: Micros) -> Verdict:
    """Of a container whose probes succeed from `able` after its start on."""
    interval = health.interval or DEFAULT_INTERVAL
    start_interval = health.start_interval or DEFAULT_START_INTERVAL
    start_period = health.start_period or 0
    retries = health.retries or DEFAULT_RETRIES
    # A probe is due so much after the one before; which interval counts is asked when that one is over.
    early = _up(start_period, start_interval)
    needed = max(_up(able, start_interval), 1)
    if needed <= early:
        return Verdict(needed * start_interval, Health.HEALTHY)
    last_early = early * start_interval
    failures = 1 if early else 0  # the last of the early ones falls outside of the start period
    if failures >= retries:
        return Verdict(last_early, Health.UNHEALTHY)
    needed = max(_up(able - last_early, interval), 1)
    allowed = retries - failures
    if needed <= allowed:
        return Verdict(last_early + needed * interval, Health.HEALTHY)
    return Verdict(last_early + allowed * interval, Health.UNHEALTHY)


def _up(amount: Micros, step: Micros) -> int:
    """How many steps reach `amount`."""
    return -(-amount // step)
