"""Cluster volumes on a node (SwarmKit agent/csi/volumes.go), and tasks that wait for them."""

from __future__ import annotations

from typing import Any

from swarmsim.agent.controller import NO_VOLUME
from swarmsim.api.csi import CsiError, NodePublish, NodeUnpublish, VolumeAssignment
from swarmsim.api.engine import Prepare
from swarmsim.api.messages import AssignmentsMessage, SessionEnded, SessionRequest, UpdateVolumeStatusRequest
from swarmsim.api.objects import Secret, Task, VolumeAttachment, VolumeInfo
from swarmsim.api.specs import SecretSpec
from swarmsim.api.states import TaskState
from swarmsim.machine import Execute, Request

from .world import MS, REFUSED, SECOND, World, task

S = TaskState


def assigned(id: str, **fields: Any) -> VolumeAssignment:
    return VolumeAssignment(id, f"csi-{id}", "csi", VolumeInfo(f"csi-{id}"), {}, **fields)


def mounting(*volumes: str) -> Task:
    return task("t1").evolve(volumes=tuple(VolumeAttachment(v, v, f"/{v}") for v in volumes))


class Node(World):
    """`driver` is what the node's plugin was asked; it does all but what `broken` has."""

    def __init__(self, *assigned: Task) -> None:
        super().__init__(*assigned)
        self.driver: list[tuple[int, Any]] = []
        self.broken: set[type] = set()
        self.volumes: tuple[VolumeAssignment, ...] = ()  # of the complete assignment
        self.manager.on_execute = self._execute

    def _answer(self, effect: Request) -> Any:
        answer = super()._answer(effect)
        return answer._replace(volumes=self.volumes) if isinstance(answer, AssignmentsMessage) else answer

    def _execute(self, effect: Execute) -> Any:
        command = effect.command
        if not isinstance(command, NodePublish | NodeUnpublish):
            return self.engine(effect)
        self.driver.append((self.now, command))
        return CsiError("busy") if type(command) in self.broken else None

    def tell(self, *volumes: VolumeAssignment, removed: tuple[VolumeAssignment, ...] = (), **fields: Any) -> None:
        applies = self.agent._applied
        message = AssignmentsMessage(False, applies, str(int(applies) + 1), (), volumes=volumes)
        self.push(message._replace(removed_volumes=removed, **fields))

    def asked_for(self, kind: type) -> list[int]:
        return [at for at, command in self.driver if isinstance(command, kind)]

    def gone(self) -> list[tuple[str, ...]]:
        return [r.unpublished for _, _, r in self.requests(UpdateVolumeStatusRequest)]


def test_a_task_waits_for_its_volumes() -> None:
    """2.7 Prepare: before the image is pulled; both volumes must be here."""
    node = Node(mounting("v1", "v2")).start()
    node.run(SECOND)
    node.tell(assigned("v1"))
    node.run(SECOND)
    assert node.status().state is S.PREPARING
    assert node.engine.count(Prepare) == [0]

    node.tell(assigned("v2"))
    node.run(SECOND)

    assert node.status().state is S.RUNNING
    assert [command.assignment.id for _, command in node.driver] == ["v1", "v2"]


def test_a_task_waits_five_minutes_at_most() -> None:
    """2.7, `waitClusterVolumes`: then it is REJECTED."""
    node = Node(mounting("v1")).start()
    node.run(299 * SECOND)
    assert node.status().state is S.PREPARING

    node.run(2 * SECOND)

    assert node.reported()[-1] == (S.REJECTED, "preparing", NO_VOLUME)


def test_a_volume_is_brought_with_its_secrets() -> None:
    """agent/csi: by the driver's keys, as they are on the node."""
    node = Node().start()
    secret = Secret("s1", SecretSpec("password", data=b"p"))

    node.tell(assigned("v1", secrets=(("key", "s1"), ("other", "missing"))), secrets=(secret,))

    assert node.driver[0][1].secrets == (("key", b"p"),)


def test_a_volume_that_cannot_be_brought_is_tried_again() -> None:
    """C-194, agent/csi: after 200 ms, 400 ms and so on."""
    node = Node().start()
    node.broken.add(NodePublish)

    node.tell(assigned("v1"))
    node.run(SECOND)

    assert node.asked_for(NodePublish) == [0, 200 * MS, 600 * MS]


def test_a_volume_that_is_let_go_of_is_reported() -> None:
    """2.14 CSI: the agent confirms once the driver has unpublished it from the node, not before."""
    node = Node().start()
    node.tell(assigned("v1"))
    node.broken.add(NodeUnpublish)
    node.tell(removed=(assigned("v1"),))
    assert node.gone() == []

    node.broken.clear()
    node.run(SECOND)

    assert node.asked_for(NodeUnpublish) == [0, 200 * MS]
    assert node.gone() == [("v1",)]


def test_a_volume_that_the_agent_never_had_is_let_go_of_too() -> None:
    """agent/csi: after a restart of the agent the driver may still have it on the node."""
    node = Node().start()

    node.tell(removed=(assigned("v1"),))

    assert node.asked_for(NodeUnpublish) == [0]
    assert node.gone() == [("v1",)]


def test_a_report_is_made_again_at_the_next_manager() -> None:
    """agent/reporter.go: until a dispatcher has it."""
    node = Node().start()
    node.on_report = lambda request: REFUSED
    node.tell(removed=(assigned("v1"),))
    assert node.agent.manager == "", "a request that fails ends the session"

    node.on_report = lambda request: None
    node.run(10 * SECOND)

    assert node.gone() == [("v1",), ("v1",)]
    assert len(node.requests(SessionRequest)) == 2


def test_a_volume_that_comes_back_is_brought_again() -> None:
    """agent/csi: what is let go of is not here any more for the tasks that follow."""
    node = Node().start()
    for _ in range(2):
        node.tell(assigned("v1"))
        node.tell(removed=(assigned("v1"),))

    assert len(node.asked_for(NodePublish)) == len(node.asked_for(NodeUnpublish)) == 2


def test_a_complete_assignment_brings_only_what_is_not_here() -> None:
    """2.7: COMPLETE replaces the world, secrets, configs, tasks and volumes; what is there already stays."""
    node = Node().start()
    node.tell(assigned("v1"), assigned("v3"))
    node.volumes = (assigned("v1"), assigned("v2"))

    node.push(SessionEnded("s1", "node must disconnect"))
    node.run(SECOND)

    assert [command.assignment.id for _, command in node.driver] == ["v1", "v3", "v2"]
    assert node.agent.volumes.ready_for(mounting("v1", "v2"))
    assert not node.agent.volumes.ready_for(mounting("v3"))
