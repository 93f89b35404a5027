"""The volume enforcer: evicts the tasks that use a cluster volume which is drained.

SwarmKit manager/orchestrator/volumeenforcer/volume_enforcer.go. A volume that is merely paused keeps the tasks it has.
"""

from __future__ import annotations

from ...api.objects import Task, Volume
from ...api.states import Availability, TaskState
from .enforcer import Enforcer


class VolumeEnforcer(Enforcer):
    watched = Volume
    message = "task rejected by volume enforcer"
    error = "attached to volume which is being drained"

    def _evicted_by(self, volume: Volume, /) -> list[Task]:
        """The live tasks that a drained volume must lose (`rejectNoncompliantTasks`)."""
        if volume.spec.availability is not Availability.DRAIN:
            return []
        users = (t for t in self.store.tasks.values() if any(given.id == volume.id for given in t.volumes))
        return [task for task in users if self._may_evict(task)]

    def _may_evict(self, task: Task) -> bool:
        return task.desired_state <= TaskState.COMPLETE and task.status.state < TaskState.COMPLETE
