"""A pull under way when its tasks are told to stop (daemon/cluster/executor/container/controller.go `Shutdown`)."""

from __future__ import annotations

import swarmsim
from swarmsim.api.states import TaskState
from swarmsim.trace.events import ContainerStarted, ImagePulled, TaskChanged


def test_a_service_that_is_removed_while_its_image_is_pulled_leaves_nothing() -> None:
    """Each node stops pulling; the tasks end as SHUTDOWN, not as REJECTED."""
    swarm = swarmsim.Cluster(managers=1, workers=1)
    swarm.create("web", image="nginx:1.27", replicas=2, **{"x-sim": {"pull": "20s"}})
    swarm.run_for("5s")

    swarm.remove("web")
    swarm.run_for("60s")

    assert list(swarm.trace.of(ImagePulled, ContainerStarted)) == []
    ends = {r.event.now for r in swarm.trace.of(TaskChanged) if r.event.now > TaskState.RUNNING}
    assert ends == {TaskState.SHUTDOWN}


def test_a_pull_that_another_task_waits_for_is_not_cancelled() -> None:
    swarm = swarmsim.Cluster(managers=1, workers=0)
    swarm.create("web", image="nginx:1.27", replicas=2, **{"x-sim": {"pull": "20s"}})
    swarm.run_for("5s")

    swarm.scale("web", 1)
    swarm.run_for("60s")

    (pulled,) = swarm.trace.of(ImagePulled)
    assert 20 < pulled.at / 1e6 < 21
    assert swarm.running("web") == 1
