"""What a node shall run: the assignments stream of one session (SwarmKit manager/dispatcher/assignments.go).

First everything (COMPLETE), then what changed (INCREMENTAL). Secrets and configs travel with the tasks that use
them, before them, and go when the last of those is over. Changes of a secret or config are never pushed. A cluster
volume comes once it is published on the node, with its secrets, and goes when the node must let go of it; its secrets
stay until it has.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...api.csi import VolumeAssignment
from ...api.messages import AssignmentsMessage
from ...api.objects import Config, Secret, Task, Volume, VolumePublishStatus
from ...api.states import PublishState, TaskState
from ...store.memory_store import MemoryStore
from ..drivers import NO_DRIVERS, DriverError, SecretDrivers, value_of

ASSIGNED, RUNNING = TaskState.ASSIGNED, TaskState.RUNNING

Dependency = tuple[type, str]  # (Secret or Config, id)


class AssignmentSet:
    """The tasks, dependencies and volumes that a node was told of, and what it has not been told yet."""

    def __init__(self, store: MemoryStore, node_id: str = "", drivers: SecretDrivers = NO_DRIVERS) -> None:
        self._store = store
        self._node_id = node_id
        self._drivers = drivers
        self._tasks: dict[str, Task] = {}
        self._needs: dict[str, list[Dependency]] = {}  # task -> what it uses, as found when it came
        self._users: dict[Dependency, dict[str, None]] = {}  # dependency -> tasks (and volumes) that use it
        self._given: dict[Dependency, Secret] = {}  # what drivers gave, until it is sent
        self._volumes: dict[str, PublishState] = {}  # the volumes that the node was told of
        self._volume_news: dict[str, tuple[VolumeAssignment, bool]] = {}  # True: send, False: remove
        self._sequence = 0
        self._results_in = ""  # the first message applies to nothing
        self._changed: dict[str, tuple[Task | None, int]] = {}  # None: removed
        self._new: dict[Dependency, bool] = {}  # True: send, False: remove
        self.modifications = 0  # events since the last message, however little there is to tell

    def add_or_update(self, task: Task, cause: int) -> bool:
        """A task of this node was written; returns whether the node must be told of something."""
        told = self._add_or_update(task, cause)
        self.modifications += told
        return told

    def _add_or_update(self, task: Task, cause: int) -> bool:
        if task.status.state < ASSIGNED:
            return False
        known = self._tasks.get(task.id)
        self._tasks[task.id] = task
        if known is not None and task.status.state > ASSIGNED and _equal_stable(known, task):
            return self._release(task) if task.status.state > RUNNING else False
        if known is None and task.status.state <= RUNNING:
            self._use(task)
        self._changed[task.id] = (task, cause)
        return True

    def remove(self, task: Task, cause: int) -> bool:
        """A task of this node was deleted."""
        if self._tasks.pop(task.id, None) is None:
            return False
        self._release(task)
        self._needs.pop(task.id, None)
        self._changed[task.id] = (None, cause)
        self.modifications += 1
        return True

    def _dependencies(self, task: Task) -> list[Dependency]:
        spec = task.spec.container
        wanted: list[Dependency] = []
        for kind, references in ((Secret, spec.secrets), (Config, spec.configs)):
            for reference in references:
                wanted_id = reference.id
                found: Any = (
                    self._store.get(kind, wanted_id) if wanted_id else self._store.by_name(kind, reference.name)
                )
                if found is not None:  # a missing one is left out, the task is sent all the same
                    wanted.append((kind, found.id))
        return wanted

    def _use(self, task: Task) -> None:
        found = [self._valued(key, task) for key in self._dependencies(task)]
        needs = [key for key in found if key is not None]
        if needs:
            self._needs[task.id] = needs
        for key in needs:
            self._use_one(key, task.id)

    def _use_one(self, key: Dependency, user: str) -> None:
        users = self._users.setdefault(key, {})
        if not users:
            self._new[key] = True
        users[user] = None

    def _valued(self, key: Dependency, task: Task) -> Dependency | None:
        """For a secret with a driver, ask that for the value (`assignSecret`); None where it fails.

        A value that must not be used again gets an id of its own, with the task's behind the secret's.
        """
        secret: Secret | None = self._store.secrets.get(key[1]) if key[0] is Secret else None
        if secret is None or secret.spec.driver is None or self._users.get(key):
            return key
        try:
            value = value_of(secret, task, self._drivers)
        except DriverError:
            return None
        id = f"{secret.id}.{task.id}" if value.do_not_reuse else secret.id
        spec = replace(secret.spec, data=value.data)
        self._given[Secret, id] = secret.evolve(id=id, spec=spec, internal=value.do_not_reuse)
        return Secret, id

    def _release(self, task: Task) -> bool:
        """Each dependency without another user is removed, also one that was never sent (`releaseTaskDependencies`)."""
        keys = self._needs.get(task.id) or self._dependencies(task)
        return sum([self._release_one(key, task.id) for key in keys]) > 0

    def _release_one(self, key: Dependency, user: str) -> bool:
        users = self._users.get(key, {})
        users.pop(user, None)
        if users:
            return False
        self._users.pop(key, None)
        self._new[key] = False
        return True

    # -- cluster volumes --
    def update_volume(self, volume: Volume) -> bool:
        """A volume was written; returns whether the node must be told of something (`addOrUpdateVolume`)."""
        told = self._update_volume(volume)
        self.modifications += told
        return told

    def _update_volume(self, volume: Volume) -> bool:
        status = next((s for s in volume.publish_status if s.node_id == self._node_id), None)
        known = self._volumes.get(volume.id)
        if status is None or status.state < PublishState.PUBLISHED or status.state is known:
            return False
        secrets: list[Dependency] = [(Secret, wanted.secret) for wanted in volume.spec.secrets]
        if status.state is PublishState.PENDING_UNPUBLISH:  # the node has let go of it
            if known is None:
                return False
            del self._volumes[volume.id]
            return sum([self._release_one(key, volume.id) for key in secrets]) > 0
        self._volumes[volume.id] = status.state
        for key in secrets:
            if key[1] in self._store.secrets:
                self._use_one(key, volume.id)
        self._volume_news[volume.id] = (_assignment(volume, status), status.state is PublishState.PUBLISHED)
        return True

    def message(self, complete: bool) -> AssignmentsMessage:
        """Everything that was gathered, as the next message of the stream."""
        applies_to, self._sequence = self._results_in, self._sequence + 1
        self._results_in = str(self._sequence)
        self.modifications = 0
        changed, self._changed = self._changed, {}
        new, self._new = self._new, {}
        tables: Any = self._store.tables
        given, self._given = self._given, {}
        volumes, self._volume_news = self._volume_news, {}
        sent = [given.get(key) or tables[key[0]].get(key[1]) for key, add in new.items() if add]
        return AssignmentsMessage(
            complete,
            applies_to,
            self._results_in,
            tuple((task, cause) for task, cause in changed.values() if task is not None),
            tuple(s for s in sent if isinstance(s, Secret)),
            tuple(c for c in sent if isinstance(c, Config)),
            tuple(id for id, (task, _) in changed.items() if task is None),
            tuple(id for (kind, id), add in new.items() if not add and kind is Secret),
            tuple(id for (kind, id), add in new.items() if not add and kind is Config),
            tuple(volume for volume, add in volumes.values() if add),
            tuple(volume for volume, add in volumes.values() if not add),
        )


def _assignment(volume: Volume, status: VolumePublishStatus) -> VolumeAssignment:
    """What the node must know: also what the driver's controller said for this node."""
    assert volume.info is not None, f"volume {volume.id} is published before it is made"
    assert volume.spec.driver is not None, f"volume {volume.id} has no driver"
    return VolumeAssignment(
        volume.id,
        volume.info.volume_id,
        volume.spec.driver.name,
        volume.info,
        status.context,
        tuple((wanted.key, wanted.secret) for wanted in volume.spec.secrets),
    )


def _equal_stable(a: Task, b: Task) -> bool:
    """Equal but for status and meta data (api/equality `TasksEqualStable`)."""
    return (
        a.desired_state == b.desired_state
        and (a.spec is b.spec or a.spec == b.spec)
        and a.networks == b.networks
        and a.endpoint == b.endpoint
        and a.node_id == b.node_id
    )
