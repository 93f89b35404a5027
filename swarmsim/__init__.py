"""swarmsim: a Docker swarm's control plane in one Python process, deterministic, breakable, explainable.

    import swarmsim
    result = swarmsim.run("scenarios/worker-crash.yaml", seed=1)
    print(result.passed, result.digest)

One idea carries the design: *software is a machine; physics is a process.* What Docker ships as code is a machine, a
plain object that takes stimuli and gives effects; what the world does (a link, a disk, a container) is a SimPy process.

The map of the code, from the top; imports point down only (contracts in `pyproject.toml`, run as a test):

    cli            the command line
    explore/       many runs: sweeps over seeds, measures, a failure made smaller, the published Raft experiments
    scenario/      the language of scenario files: schema, loader, timeline, runner, report, tables
    compose/       a stack file as Docker reads it        faults/    what goes wrong, one file a family
    workload/      what operators do, one file a step     checks/    was it right, from the trace alone
    plots/         what it looked like                    cluster.py hosts, nodes, network, trace: who leads now
    node/          one swarm node: which machines it runs
    ablation.py    rules switched off: the registry, and what stands in a rule's place
    sim/           bodies: host and driver, network, disk, container engine, random streams
    manager/       brains: raft_node/, proposer, proxy, controlapi, orchestrator/, allocator/, scheduler/, dispatcher/
    agent/         brains: session, worker, controller, reporter, load balancer
    raft/          brains: the Raft core, without input or output
    gossip/        brains: SWIM membership and the endpoint table
    ca/            brains: certificates, join tokens, roots and their rotation
    store/         brains: the replicated object store
    machine.py     the contract between software and the world: read it first
    trace/         words: one catalogue of events, one recorder
    api/           words: specs, objects, states, messages; its docstring is the glossary
    errors.py      words: a user's mistakes

Names are imported when they are first used, so that `import swarmsim` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .scenario.interactive import Cluster
    from .scenario.report import story
    from .scenario.runner import Result, Scenario, load, run

__version__ = "0.1.0"
__all__ = ["Cluster", "Result", "Scenario", "__version__", "load", "run", "story"]

_HOME = {
    "Cluster": "scenario.interactive",
    "Result": "scenario.runner",
    "Scenario": "scenario.runner",
    "load": "scenario.runner",
    "run": "scenario.runner",
    "story": "scenario.report",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'swarmsim' has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
