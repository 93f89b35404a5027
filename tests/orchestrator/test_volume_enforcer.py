"""The volume enforcer: tasks that use a cluster volume which is drained (SwarmKit volumeenforcer)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from swarmsim.api.objects import Task, Volume, VolumeAttachment, VolumeInfo
from swarmsim.api.specs import Driver, VolumeAccessMode, VolumeSpec
from swarmsim.api.states import Availability, TaskState
from swarmsim.manager.orchestrator import ReplicatedOrchestrator, VolumeEnforcer

from .world import COMPLETE, FAILED, REJECTED, RUNNING, SHUTDOWN, Leader, node, service, task

ACTIVE, PAUSE, DRAIN = Availability


def volume(availability: Availability = ACTIVE, id: str = "v1") -> Volume:
    spec = VolumeSpec(id, Driver("csi"), VolumeAccessMode(), availability=availability)
    return Volume(id, spec, info=VolumeInfo("csi-" + id))


def user(id: str, state: TaskState = RUNNING, desired: TaskState = RUNNING, of: str = "v1") -> Task:
    return task(service("web"), 1, state, desired, "n1", id, volumes=(VolumeAttachment(of, of, "/v"),))


def states(leader: Leader) -> dict[str, TaskState]:
    return {t.id: t.status.state for t in leader.store.tasks.values()}


def test_a_paused_volume_keeps_its_tasks() -> None:
    """O-166 (VolumeEnforcer)."""
    leader = Leader(volume(), user("t"))
    leader.start(VolumeEnforcer)

    leader.fake.write(volume(PAUSE))

    assert states(leader) == {"t": RUNNING}


def test_a_drained_volume_loses_its_tasks() -> None:
    """O-167 (VolumeEnforcer): REJECTED, in these words, and what is desired of it stays."""
    leader = Leader(volume(), volume(id="v2"), user("t"), user("other", of="v2"))
    leader.start(VolumeEnforcer)

    leader.fake.write(volume(DRAIN))

    assert states(leader) == {"t": REJECTED, "other": RUNNING}
    status = leader.store.tasks["t"].status
    assert status.message == "task rejected by volume enforcer"
    assert status.err == "attached to volume which is being drained"
    assert leader.store.tasks["t"].desired_state is RUNNING


def test_a_new_leader_drains_what_its_predecessor_had_not() -> None:
    """11.2: all volumes are looked at, at the start."""
    leader = Leader(volume(DRAIN), user("t"))

    leader.start(VolumeEnforcer)

    assert states(leader) == {"t": REJECTED}


@pytest.mark.parametrize(
    ("state", "desired"), [(COMPLETE, RUNNING), (FAILED, RUNNING), (RUNNING, SHUTDOWN), (RUNNING, TaskState.REMOVE)]
)
def test_tasks_that_ended_or_shall_end_are_left_alone(state: TaskState, desired: TaskState) -> None:
    """11.2: only those with desired at most COMPLETE and observed below it."""
    leader = Leader(volume(DRAIN), user("t", state, desired))

    leader.start(VolumeEnforcer)

    assert states(leader) == {"t": state}


def test_a_task_that_changed_until_the_commit_is_looked_at_again() -> None:
    """volume_enforcer.go: within the transaction its liveness is asked once more."""
    leader = Leader(volume(), user("t"))
    leader.start(VolumeEnforcer)
    ended = user("t", COMPLETE)
    leader.fake.interfere = lambda tx: tx.update(ended.evolve(version=tx.get(Task, "t").version))

    leader.fake.write(volume(DRAIN))

    assert states(leader) == {"t": COMPLETE}


def test_the_orchestrator_replaces_what_the_enforcer_evicted() -> None:
    """O-167: what follows is the restart policy's business."""
    of = service("web")
    leader = Leader(node("n1"), of, volume(), user("t"))
    leader.start(VolumeEnforcer, "volume_enforcer")
    leader.start(ReplicatedOrchestrator, "orchestrator")

    leader.fake.write(replace_availability(leader.store.volumes["v1"], DRAIN))

    old, new = leader.tasks("web")
    assert (old.id, old.status.state, old.desired_state) == ("t", REJECTED, SHUTDOWN)
    assert new.desired_state <= RUNNING


def replace_availability(known: Volume, availability: Availability) -> Volume:
    return known.evolve(spec=replace(known.spec, availability=availability))
