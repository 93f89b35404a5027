"""Cluster (CSI) volumes (SwarmKit manager/controlapi/volume.go).

To create one is to write it down: the driver makes it later (`manager.csi`), and only then can a task use it. To remove
one is to mark it: the driver deletes it first. `force` deletes the object at once, whatever the driver still has.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any

from ...api import messages as m
from ...api.ids import new_id
from ...api.objects import Secret, Volume
from ...api.specs import VolumeSpec
from ...errors import ApiError
from ...machine import Outbox
from ...store.memory_store import MemoryStore
from .lookup import Serves, find, invalid_argument, still

Serving = Generator[Any, Any, Any]

#: What may not change, by field, with the API's own words; in the order in which it is looked at.
IMMUTABLE = {
    "name": "Name",
    "group": "Group",
    "accessibility": "AccessibilityRequirements",
    "driver": "Driver",
    "access_mode": "AccessMode",
    "secrets": "Secrets",
    "capacity_range": "CapacityRange",
}


class Volumes:
    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.serve: Serves = {
            m.CreateVolume: self.create,
            m.UpdateVolume: self.update,
            m.RemoveVolume: self.remove,
            m.GetVolume: self.get,
        }

    def create(self, request: m.CreateVolume, out: Outbox) -> Serving:
        spec = check_volume_spec(request.spec)
        id = new_id(out.rng)

        def change(tx: Any) -> Volume:
            missing = [s.secret for s in spec.secrets if tx.get(Secret, s.secret) is None]
            if missing:
                word = "secret" if len(missing) == 1 else "secrets"
                raise invalid_argument(f"{word} not found: {', '.join(missing)}")
            created: Volume = tx.create(Volume(id, spec))
            return created

        return (yield out.update(change))

    def update(self, request: m.UpdateVolume, out: Outbox) -> Serving:
        spec, version = request.spec, request.version
        if not request.volume_id or version is None or spec is None:
            raise invalid_argument()
        known: Volume = find(self.store, Volume, request.volume_id)

        def change(tx: Any) -> Volume:
            volume: Volume = still(tx, Volume, known.id, request.volume_id)
            for name, word in IMMUTABLE.items():
                if getattr(spec, name) != getattr(volume.spec, name):
                    raise invalid_argument(f"{word} cannot be updated")
            new = replace(volume.spec, labels=spec.labels, availability=spec.availability)
            written: Volume = tx.update(volume.evolve(spec=new, version=version))
            return written

        return (yield out.update(change))

    def remove(self, request: m.RemoveVolume, out: Outbox) -> Serving:
        known: Volume = find(self.store, Volume, request.volume_id)

        def change(tx: Any) -> None:
            volume: Volume = still(tx, Volume, known.id, request.volume_id)
            if request.force:
                tx.delete(Volume, volume.id)
            elif volume.publish_status:
                raise ApiError("FailedPrecondition", "volume is still in use")
            else:
                tx.update(volume.evolve(pending_delete=True))

        return (yield out.update(change))

    def get(self, request: m.GetVolume, out: Outbox) -> Volume:
        found: Volume = find(self.store, Volume, request.volume)
        return found


def check_volume_spec(spec: VolumeSpec | None) -> VolumeSpec:
    """volume.go `CreateVolume`, in its order: only that something is said, not what."""
    if spec is None:
        raise invalid_argument("spec must not be nil")
    if spec.driver is None:
        raise invalid_argument("driver must be specified")
    if not spec.name:
        raise invalid_argument("meta: name must be provided")
    if spec.access_mode is None:
        raise invalid_argument("AccessMode must not be nil")
    if spec.access_mode.access not in ("mount", "block"):
        raise invalid_argument("Volume AccessMode must specify either Mount or Block access type")
    return spec
