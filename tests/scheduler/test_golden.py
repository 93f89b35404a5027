"""Placements that shall not change by themselves: which node each task gets, for a few seeds.

The rule leaves ties to chance, so these files hold nothing that is right in itself; they show what a change of the
code changes. `pytest --rewrite` writes them.
"""

from collections.abc import Callable
from random import Random

import pytest

from swarmsim.api.states import NodeState, TaskState
from swarmsim.sim.rng import stream

from .swarm import SETTLED, Swarm, host_port, node, service, spec, tasks

SERVICES = {
    "plain": spec(),
    "small": spec(cpus=500_000_000, memory=1 << 29),
    "gpu": spec(kinds="gpu=1"),
    "ssd": spec(constraints=("node.labels.disk==ssd",), max_replicas=2),
    "spread": spec(preferences=("node.labels.az", "node.labels.rack")),
    "by-az": spec(memory=1 << 30, preferences=("node.labels.az",)),
}


def a_cluster(size: int, rng: Random) -> list[object]:
    return [
        node(
            f"n{i:02}",
            labels={"az": rng.choice("abc"), "rack": rng.choice("xy"), "disk": rng.choice(["ssd", "hdd"])},
            memory=rng.choice([2, 4, 8]) << 30,
            kinds=rng.choice(["", "gpu=2", "gpu=a,gpu=b,gpu=c"]),
        )
        for i in range(size)
    ]


@pytest.mark.parametrize("seed, size", [(1, 5), (2, 12), (3, 30)])
def test_placements(seed: int, size: int, golden: Callable[[str, str], None]) -> None:
    rng = stream(seed, "golden")
    swarm = Swarm(seed=seed).start(*a_cluster(size, rng), *(service(id, 1, s) for id, s in SERVICES.items()))
    for round_ in range(4):
        for id, wanted in SERVICES.items():
            version = None if id == "small" else 1
            swarm.create(*tasks(f"{id}{round_}-", rng.randrange(1, 7), wanted, service=id, spec_version=version))
        swarm.add(*tasks(f"port{round_}-", 2, service="plain", endpoint=host_port(("tcp", 80))))
        for t in rng.sample(list(swarm.store.tasks.values()), 6):
            if t.node_id:
                swarm.write(t.evolve(status=t.status.evolve(state=rng.choice([TaskState.FAILED, TaskState.COMPLETE]))))
        down = swarm.node_object(f"n{rng.randrange(size):02}")
        swarm.change(down.evolve(status=down.status.evolve(state=rng.choice([NodeState.DOWN, NodeState.READY]))))
    swarm.run_for(SETTLED)

    golden(f"placements-{size}.txt", "\n".join(lines(swarm)) + "\n")


def lines(swarm: Swarm) -> list[str]:
    told = [
        f"{t.id}: {t.node_id or '-'} {t.status.state.name} {t.status.err}".rstrip() for t in swarm.store.tasks.values()
    ]
    return [*told, "", *(f"{id}: {load}" for id, load in swarm.load().items())]
