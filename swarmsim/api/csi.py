"""What is asked of a storage driver, a CSI plugin on a node (`out.execute(...)`), and its errors.

The Container Storage Interface's calls as SwarmKit makes them (manager/csi/plugin.go, agent/csi/plugin). The
*controller* calls are made by the leader, through the plugin on its own host; the *node* calls by the agent of the node
that uses the volume. A driver that does not answer within `RPC_TIMEOUT` has failed. The drivers are `sim.storage`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .objects import Volume, VolumeInfo

Micros = int

RPC_TIMEOUT: Micros = 15_000_000
Secrets = tuple[tuple[str, bytes], ...]  # (the driver's key, value)


class MakeVolume(NamedTuple):
    """CreateVolume. Answered with a `VolumeInfo`; one that was made before is the same again."""

    driver: str
    volume: Volume
    secrets: Secrets


class DestroyVolume(NamedTuple):
    """DeleteVolume. Answered with None."""

    driver: str
    volume: Volume
    secrets: Secrets


class ControllerPublish(NamedTuple):
    """ControllerPublishVolume: let the node reach it. Answered with the publish context, a mapping."""

    driver: str
    volume: Volume
    csi_node: str
    secrets: Secrets


class ControllerUnpublish(NamedTuple):
    """ControllerUnpublishVolume. Answered with None."""

    driver: str
    volume: Volume
    csi_node: str
    secrets: Secrets


class VolumeAssignment(NamedTuple):
    """A volume as its node is told of it: `volume_id` is the driver's name of it (api/types.proto)."""

    id: str
    volume_id: str
    driver: str
    info: VolumeInfo
    publish_context: Mapping[str, str]
    secrets: tuple[tuple[str, str], ...] = ()  # (the driver's key, the secret's id)


class NodePublish(NamedTuple):
    """NodeStageVolume and NodePublishVolume: the volume is on the node, ready to be mounted. Answered with None."""

    assignment: VolumeAssignment
    secrets: Secrets


class NodeUnpublish(NamedTuple):
    """NodeUnpublishVolume and NodeUnstageVolume. Answered with None."""

    assignment: VolumeAssignment


class CsiError(Exception):
    """The driver failed, or is not there; it may be asked again."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(text)
