"""What the Ready loop does in which order (raft.go `Run`)."""

from __future__ import annotations

from typing import Any

from swarmsim.api.messages import CreateService
from swarmsim.api.specs import ContainerSpec, Replicated, ServiceSpec, TaskSpec
from swarmsim.errors import ApiError
from swarmsim.machine import MILLISECOND
from swarmsim.raft.messages import RequestVote
from tests.raft_node.world import group, member, run_for


def test_leadership_that_is_lost_during_a_write_is_lost_with_the_next_ready() -> None:
    """§20.2: what the Ready at hand commits was committed by a leader, and whoever waits for it is told so."""
    cluster = group()
    m1 = member(cluster, "m1")
    cluster.hosts["m1"].disk.fsync = (100 * MILLISECOND, 100 * MILLISECOND)
    told: list[str] = []

    def client() -> Any:
        try:
            yield from cluster.ask(
                "m1", CreateService(ServiceSpec("web", TaskSpec(ContainerSpec("nginx")), Replicated(0)))
            )
            told.append("done")
        except ApiError as error:
            told.append(error.text)

    cluster.env.process(client())
    for _ in range(2):  # each entry is written alone, the second together with the commit of the service
        run_for(cluster, 0.05)
        m1.raw.propose("entry", size=64)
        run_for(cluster, 0.05)
    run_for(cluster, 0.05)
    committed_by_then, signalled_then = m1.raw.commit_index > m1.store.index, m1.signalled
    m1.raw.step(RequestVote(2, 1, m1.raw.current_term + 1, 99, 99, transfer=True))
    signalled_still = m1.signalled and not m1.is_raft_leader
    run_for(cluster, 0.3)

    assert (committed_by_then, signalled_then, signalled_still) == (True, True, True)
    assert told == ["done"]
    assert not m1.signalled
