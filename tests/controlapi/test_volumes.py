"""Cluster volumes over the control API (SwarmKit manager/controlapi/volume.go)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from swarmsim.api.messages import CreateSecret, CreateVolume, GetVolume, ListObjects, RemoveVolume, UpdateVolume
from swarmsim.api.objects import Volume, VolumePublishStatus
from swarmsim.api.specs import (
    CapacityRange,
    Driver,
    SecretSpec,
    TopologyRequirement,
    VolumeAccessMode,
    VolumeScope,
    VolumeSecret,
    VolumeSpec,
)
from swarmsim.api.states import Availability, PublishState

from .world import World

SPEC = VolumeSpec("data", Driver("nfs"), VolumeAccessMode())


@pytest.fixture
def world() -> World:
    return World()


def created(world: World, spec: VolumeSpec = SPEC) -> Volume:
    volume: Volume = world.ask(CreateVolume(spec))
    return volume


def change(volume: Volume, version: int | None = None, **fields: Any) -> UpdateVolume:
    return UpdateVolume(volume.id, volume.version if version is None else version, replace(volume.spec, **fields))


def test_a_volume_is_written_down_before_its_driver_makes_it(world: World) -> None:
    """C-185 TestCreateVolume."""
    volume = created(world)

    assert world.store.volumes == {volume.id: volume}
    assert volume.info is None
    assert world.ask(GetVolume("data")) == world.ask(GetVolume(volume.id)) == volume
    assert world.ask(ListObjects("volume")) == (volume,)


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (None, "spec must not be nil"),
        (replace(SPEC, driver=None), "driver must be specified"),
        (replace(SPEC, name=""), "meta: name must be provided"),
        (replace(SPEC, access_mode=None), "AccessMode must not be nil"),
        (
            replace(SPEC, access_mode=VolumeAccessMode(access="")),
            "Volume AccessMode must specify either Mount or Block access type",
        ),
        (replace(SPEC, name="", driver=None), "driver must be specified"),
    ],
)
def test_a_volume_says_its_name_driver_and_access_mode(world: World, spec: VolumeSpec | None, text: str) -> None:
    """C-185 TestCreateVolumeInvalid: missing name, driver or access mode."""
    assert world.refused(CreateVolume(spec)) == ("InvalidArgument", text)


def test_all_secrets_that_are_missing_are_named(world: World) -> None:
    """C-185 TestCreateVolumeMissingSecrets, TestCreateVolumeWithSecrets."""
    known = world.ask(CreateSecret(SecretSpec("s", data=b"1"))).id

    def needs(*ids: str) -> CreateVolume:
        return CreateVolume(replace(SPEC, secrets=tuple(VolumeSecret(f"key-{id}", id) for id in ids)))

    assert world.refused(needs("x", known)) == ("InvalidArgument", "secret not found: x")
    assert world.refused(needs("x", known, "y")) == ("InvalidArgument", "secrets not found: x, y")
    assert world.ask(needs(known)).spec.secrets[0].secret == known


def test_names_of_volumes_are_unique_without_regard_to_case(world: World) -> None:
    """C-185: names are unique for volumes too, in any case."""
    created(world)

    code, text = world.refused(CreateVolume(replace(SPEC, name="DATA")))

    assert (code, text) == ("Unknown", "name conflicts with an existing object")


@pytest.mark.parametrize(
    ("word", "fields"),
    [
        ("Name", {"name": "other"}),
        ("Group", {"group": "fast"}),
        ("AccessibilityRequirements", {"accessibility": TopologyRequirement(({"zone": "Z1"},))}),
        ("Driver", {"driver": Driver("nfs", {"server": "x"})}),
        ("AccessMode", {"access_mode": VolumeAccessMode(VolumeScope.MULTI_NODE)}),
        ("Secrets", {"secrets": (VolumeSecret("key", "x"),)}),
        ("CapacityRange", {"capacity_range": CapacityRange(1)}),
    ],
)
def test_what_the_driver_was_told_cannot_be_updated(world: World, word: str, fields: dict[str, Any]) -> None:
    """C-185 TestUpdateVolumeImmutableFields."""
    volume = created(world)

    assert world.refused(change(volume, **fields)) == ("InvalidArgument", f"{word} cannot be updated")


def test_labels_and_availability_can(world: World) -> None:
    """C-185 TestUpdateVolumeValid."""
    volume = created(world)

    written = world.ask(change(volume, labels={"a": "b"}, availability=Availability.DRAIN))

    assert written.spec == replace(SPEC, labels={"a": "b"}, availability=Availability.DRAIN)
    assert world.store.volumes[volume.id] == written


def test_an_update_names_the_volume_the_version_and_the_spec(world: World) -> None:
    """C-185 TestUpdateVolumeMissingRequestComponents, TestUpdateVolumeNotFound, TestUpdateVolumeOutOfSequence."""
    volume = created(world)
    invalid = ("InvalidArgument", "invalid argument")
    world.ask(change(volume, labels={"a": "b"}))

    assert world.refused(UpdateVolume("", 1, SPEC)) == invalid
    assert world.refused(UpdateVolume(volume.id, None, SPEC)) == invalid
    assert world.refused(UpdateVolume(volume.id, 1, None)) == invalid
    assert world.refused(UpdateVolume("other", 1, SPEC)) == ("NotFound", "volume other not found")
    assert world.refused(change(volume, labels={"c": "d"})) == ("Unknown", "update out of sequence")


def test_a_removed_volume_waits_for_its_driver(world: World) -> None:
    """C-185 TestRemoveVolume: it is marked, and its driver deletes it."""
    volume = created(world)

    world.ask(RemoveVolume(volume.id))

    assert world.store.volumes[volume.id].pending_delete


def test_a_volume_in_use_is_removed_by_force_only(world: World) -> None:
    """C-185 TestRemoveVolumeInUse, TestRemoveVolumeForce: whatever state it has on a node counts as use."""
    volume = created(world)
    in_use = volume.evolve(publish_status=(VolumePublishStatus("n1", PublishState.PENDING_UNPUBLISH),))
    world.manager.write(in_use)

    assert world.refused(RemoveVolume(volume.id)) == ("FailedPrecondition", "volume is still in use")
    assert world.store.volumes

    world.ask(RemoveVolume(volume.id, force=True))

    assert not world.store.volumes
    assert world.refused(RemoveVolume(volume.id)) == ("NotFound", f"volume {volume.id} not found")
