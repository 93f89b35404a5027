"""Tasks without a container: attachments, runtimes that nobody has (SwarmKit agent/exec/controller.go `Resolve`)."""

from __future__ import annotations

import pytest

from swarmsim.agent.runtimes import advance, resolve
from swarmsim.api.objects import NetworkAttachment, Task
from swarmsim.api.specs import NO_CONTAINER, GenericRuntimeSpec, NetworkAttachmentSpec, TaskSpec
from swarmsim.api.states import TaskState

from .world import SECOND, World, task

S = TaskState


def attachment(state: TaskState = S.ASSIGNED, desired: TaskState = S.RUNNING) -> Task:
    spec = TaskSpec(NO_CONTAINER, runtime=NetworkAttachmentSpec("c1"))
    return task(state=state, desired=desired, networks=(NetworkAttachment("n", ("10.0.1.5/24",)),)).evolve(spec=spec)


def generic(kind: str, state: TaskState = S.ASSIGNED) -> Task:
    return task(state=state).evolve(spec=TaskSpec(NO_CONTAINER, runtime=GenericRuntimeSpec(kind, ("type", b"1"))))


def running(*tasks: Task) -> World:
    world = World(*tasks).start()
    world.run(SECOND)
    return world


@pytest.mark.parametrize(
    ("state", "becomes"),
    [
        (S.ASSIGNED, S.REJECTED),
        (S.READY, S.REJECTED),
        (S.STARTING, S.FAILED),
        (S.RUNNING, S.FAILED),
        (S.COMPLETE, None),
        (S.ORPHANED, None),
    ],
)
def test_a_controller_that_cannot_be_made_rejects_fails_or_changes_nothing(
    state: TaskState, becomes: TaskState | None
) -> None:
    """C-098 TestResolve, its second part: by how far the task had come."""
    step = resolve(state, "some error")

    assert (step.state if step else None) is becomes
    assert step is None or (step.message, step.err) == ("resolving controller failed", "some error")


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("wasm", 'unsupported runtime type: "wasm"'),
        ("plugin", 'runtime type "plugin" only supported in experimental'),
    ],
)
def test_an_engine_rejects_a_runtime_that_it_does_not_know(kind: str, error: str) -> None:
    """C-098 in a whole agent: at once, and the engine is not asked."""
    world = running(generic(kind))

    assert world.reported() == [(S.REJECTED, "resolving controller failed", error)]
    assert world.engine.did == []


def test_accepted_is_accepted_once() -> None:
    """C-098: ASSIGNED becomes ACCEPTED "accepted", whatever is desired; asked again, it stays."""
    assert advance(attachment(S.ASSIGNED, S.ACCEPTED), S.ASSIGNED) == (S.ACCEPTED, "accepted", "")
    assert advance(attachment(S.ASSIGNED, S.ACCEPTED), S.ACCEPTED) is None


def test_an_attachment_goes_through_the_states_and_lasts() -> None:
    """2.14 resource API, S-19: the engine of the swarm's containers has no part in it."""
    world = running(attachment())
    world.run(3600 * SECOND)

    assert [state for state, _, _ in world.reported()] == [S.ACCEPTED, S.PREPARING, S.READY, S.STARTING, S.RUNNING] or (
        world.reported()[-1][0] is S.RUNNING
    )
    assert world.status().state is S.RUNNING
    assert world.engine.did == []


def test_an_attachment_ends_when_it_shall() -> None:
    """agent/exec `Do`: desired SHUTDOWN."""
    world = running(attachment())

    world.update(attachment(desired=S.SHUTDOWN))
    world.run(SECOND)

    assert world.reported()[-1] == (S.SHUTDOWN, "shutdown", "")
    assert advance(attachment(desired=S.SHUTDOWN), S.SHUTDOWN) is None
