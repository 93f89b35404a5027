"""A storage system behind a CSI driver: physics. What it has made, who can reach it, and how long it takes to answer.

One `Storage` serves all hosts that have its plugin installed (`engine.storage`); it obeys the calls of `api.csi`, from
the leader (the controller's) and from the nodes. Times are assumed, not measured. What it is asked twice it does once,
as the Container Storage Interface demands. A host without the plugin fails every call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import simpy

from ..api.csi import (
    RPC_TIMEOUT,
    ControllerPublish,
    ControllerUnpublish,
    CsiError,
    DestroyVolume,
    MakeVolume,
    NodePublish,
    NodeUnpublish,
)
from ..api.objects import VolumeInfo
from ..api.specs import Times, Topology
from . import rng
from .driver import Driver, Failure, fire

COMMANDS = (MakeVolume, DestroyVolume, ControllerPublish, ControllerUnpublish, NodePublish, NodeUnpublish)
TOO_LATE = "rpc error: code = DeadlineExceeded desc = context deadline exceeded"


@dataclass
class Storage:
    """`accessible`: where a volume of that name can be reached. `broken`: calls that fail, with the error's text."""

    driver: str
    latency: Times = (100_000, 100_000)
    accessible: Mapping[str, tuple[Topology, ...]] = field(default_factory=dict)
    broken: dict[type, str] = field(default_factory=dict)
    made: dict[str, VolumeInfo] = field(default_factory=dict)  # by the volume's name
    published: dict[tuple[str, str], None] = field(default_factory=dict)  # (volume, the driver's id of a node)
    mounted: dict[tuple[str, str], None] = field(default_factory=dict)  # (volume, host)

    def ask(self, driver: Driver, command: Any, name: str) -> simpy.Event:
        """Answered after the latency, which is drawn by host and call; a plugin of another name is not there."""
        env, host = driver.host.env, driver.host
        done = simpy.Event(env)
        if name != self.driver:
            return done.succeed(Failure(CsiError(f"plugin {name} not found")))
        delay = rng.stream(host.seed, "storage", host.name, type(command).__name__, str(env.now)).randint(*self.latency)
        timeout = simpy.Timeout(env, min(delay, RPC_TIMEOUT))
        cause = driver.out.cause

        def answer(event: simpy.Event) -> None:
            fire(done, Failure(CsiError(TOO_LATE)) if delay > RPC_TIMEOUT else self._do(command, host.name), cause)

        timeout.callbacks.append(answer)
        return done

    def _do(self, command: Any, host: str) -> Any:
        kind = type(command)
        if kind in self.broken:
            return Failure(CsiError(self.broken[kind]))
        if kind is MakeVolume:
            return self._make(command)
        if kind is ControllerPublish:
            self.published[command.volume.info.volume_id, command.csi_node] = None
            return {}
        if kind is NodePublish:
            self.mounted[command.assignment.volume_id, host] = None
        elif kind is NodeUnpublish:
            self.mounted.pop((command.assignment.volume_id, host), None)
        elif kind is ControllerUnpublish:
            self.published.pop((command.volume.info.volume_id, command.csi_node), None)
        else:
            self.made.pop(command.volume.name, None)
        return None

    def _make(self, command: MakeVolume) -> VolumeInfo:
        name = command.volume.name
        if name not in self.made:
            capacity = command.volume.spec.capacity_range
            size = capacity.required_bytes if capacity is not None else 0
            self.made[name] = VolumeInfo(f"{self.driver}/{name}", size, {}, self.accessible.get(name, ()))
        return self.made[name]


def driver_of(command: Any) -> str:
    """The name of the plugin that a call is for."""
    name: str = command.assignment.driver if type(command) in (NodePublish, NodeUnpublish) else command.driver
    return name
