"""From a `Scenario` and a seed to a `Result`: builds the cluster, starts the timeline, runs, judges the trace.

File and seed decide everything. A run ends at its `duration`, or when all is decided (SCENARIOS.md section 3, "The
end").
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import simpy

from ..api.specs import ClusterSpec
from ..api.states import Availability
from ..cluster import FSYNC, Cluster, ClusterDescription, HostSpec
from ..trace.events import RunEnded
from ..trace.recorder import Recorded, Trace
from .loader import Scenario, load
from .physics import numbers
from .schema import HostWords
from .timeline import Timeline
from .watch import Watch

if TYPE_CHECKING:
    from pathlib import Path

Micros = int


@dataclass
class Result:
    """What a run gave: the trace, and what the checks say of it."""

    scenario: Scenario
    seed: int
    trace: Trace
    ended_at: Micros
    why_ended: str
    cluster: Cluster
    took: float = 0.0  # seconds of real time

    @cached_property
    def sim_events(self) -> int:
        """How many SimPy events the run took: its cost, exact on every machine."""
        return self.cluster.env.scheduled()

    @cached_property
    def verdicts(self) -> list[Any]:
        """One for each check and expectation: `.name`, `.state` (PASS, FAIL, UNKNOWN), `.seen`, `.line`."""
        from ..checks import judge

        return list(judge(self.scenario, self.trace))

    @property
    def state(self) -> str:
        """FAIL if any verdict is, else UNKNOWN if any is, else PASS (section 10)."""
        states = {str(v.state) for v in self.verdicts}
        return next((s for s in ("FAIL", "UNKNOWN") if s in states), "PASS")

    @property
    def passed(self) -> bool:
        return self.state == "PASS"

    @property
    def exit_code(self) -> int:
        return 0 if self.passed else 1

    @property
    def digest(self) -> str:
        return self.trace.digest()

    @property
    def again(self) -> str:
        """The command that does it again; for a scenario made in Python, the call."""
        import shlex

        if self.scenario.file == "Scenario":
            return f"swarmsim.run(scenario, seed={self.seed})"

        options = f" {self.scenario.options}" if self.scenario.options else ""
        return f"swarmsim run {shlex.quote(self.scenario.file)}{options} --seed {self.seed}"

    def to_dataframe(self) -> Any:
        """The trace as a pandas DataFrame, a row for each event (needs `pip install swarmsim-docker[pandas]`)."""
        import pandas

        from ..trace.recorder import plain

        rows = [
            {"seq": r.seq, "at": r.at / 1e6, "cause": r.cause, "event": type(r.event).__name__}
            | {name: plain(value) for name, value in r.event._asdict().items()}
            for r in self.trace
        ]
        return pandas.DataFrame(rows)

    def plot(self, path: str | Path | None = None) -> Any:
        """The figure of the run, saved to `path` where one is given."""
        from .. import plots

        return plots.save_run_figure(self, path)

    def __repr__(self) -> str:
        return f"Result({self.scenario.name!r}, seed {self.seed}, {self.state}, digest {self.digest[:12]})"


#: Objects made before the youngest are looked through, and how often that happens before older ones are (module gc).
COLLECT_AFTER = (50_000, 10, 10)


def run(
    scenario: Scenario | str,
    seed: int | None = None,
    *,
    verbose: bool = False,
    until: Callable[[Recorded], bool] | None = None,
) -> Result:
    """Run a scenario (or the file of one) under a seed: its own unless another is given.

    `until` is told of each event, and ends the run by giving True: for who measures, and has seen enough.
    """
    if not isinstance(scenario, Scenario):
        scenario = load(scenario)
    with collecting_seldom():
        return _run(scenario, scenario.seed if seed is None else seed, verbose, until)


@contextmanager
def collecting_seldom() -> Iterator[None]:
    """A run makes many objects that live to its end, and few cycles: looking for them at Python's pace takes a third
    of a large run. What a run leaves is found all the same, some runs later.
    """
    before = gc.get_threshold()
    gc.set_threshold(*COLLECT_AFTER)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _run(scenario: Scenario, seed: int, verbose: bool, until: Callable[[Recorded], bool] | None) -> Result:
    from ..checks import Bound, ConvergenceWatch
    from .triggers import Triggers

    began = time.perf_counter()
    trace = Trace(verbose=verbose)
    cluster = Cluster(describe(scenario), seed, trace)
    timeline = Timeline(scenario, cluster, seed)
    watch = Watch(scenario, cluster, timeline, ConvergenceWatch(), Bound())
    if any(entry.when is not None for entry in scenario.timeline):
        timeline.triggers = Triggers(scenario, cluster)
    timeline.start()
    watch.start()
    if until is None:
        ended_at, why = _carry_out(scenario, cluster, watch)
    else:
        ended_at, why = _carry_out_until(scenario, cluster, watch, until)
    timeline.close(ended_at)
    trace.record(RunEnded(why), ended_at, 0)
    return Result(scenario, seed, trace, ended_at, why, cluster, time.perf_counter() - began)


def _carry_out(scenario: Scenario, cluster: Cluster, watch: Watch) -> tuple[Micros, str]:
    env = cluster.env
    if scenario.duration is None:
        why = str(env.run(until=watch.ended))
        return env.now, why
    # SimPy stops before what is scheduled at `until`: one microsecond more sees the last one whole.
    env.run(until=scenario.duration + 1)
    return scenario.duration, "duration"


def _carry_out_until(
    scenario: Scenario, cluster: Cluster, watch: Watch, until: Callable[[Recorded], bool]
) -> tuple[Micros, str]:
    env = cluster.env
    enough = simpy.Event(env)

    def hear(recorded: Recorded) -> None:
        if not enough.triggered and until(recorded):
            enough.succeed()

    for recorded in list(cluster.trace):  # what happened before anybody listened
        hear(recorded)
    cluster.trace.listeners.append(hear)
    over = watch.ended if scenario.duration is None else simpy.Timeout(env, scenario.duration + 1)
    env.run(until=simpy.AnyOf(env, [enough, over]))
    if enough.triggered or scenario.duration is None:
        return env.now, "enough was seen" if enough.triggered else str(watch.ended.value)
    return scenario.duration, "duration"


def describe(scenario: Scenario) -> ClusterDescription:
    """`cluster:` as `swarmsim.cluster` takes it."""
    words = scenario.cluster
    beat, election = numbers(words.raft, words.swarm.heartbeat_tick, words.swarm.election_tick)
    swarm = ClusterSpec(
        task_history_limit=words.swarm.task_history_limit,
        heartbeat_period=words.swarm.dispatcher_heartbeat,
        heartbeat_tick=beat,
        election_tick=election,
        snapshot_interval=words.swarm.snapshot_interval,
        keep_old_snapshots=words.swarm.keep_old_snapshots,
        log_entries_for_slow_followers=words.swarm.log_entries_for_slow_followers,
        raft=words.raft.spec(scenario.behind, scenario.spare),
    )
    like = HostWords("", "worker").under(words.defaults)
    newcomer = replace(_host(like), labels={}, availability=Availability.ACTIVE)
    network = words.network
    return ClusterDescription(
        tuple(map(_host, scenario.hosts)),
        network.latency,
        network.loss,
        swarm,
        words.raft.fsync or FSYNC,
        probes=words.probes,
        newcomer=newcomer,
        without=scenario.without,
        ways=scenario.ways,
        only=words.only or "",
    )


def _host(h: HostWords) -> HostSpec:
    return HostSpec(
        h.name,
        h.role,
        h.cpus,
        h.memory,
        h.labels,
        Availability[h.availability.upper()],
        platform=h.platform,
        generic=h.generic_resources,
        engine_labels=h.engine_labels,
    )


__all__ = ["Result", "Scenario", "load", "run"]
