"""The checks fail on real runs of a cluster in which one component is broken, and pass on the same runs of a whole one.

Each test breaks one class, runs a scenario, and says which check finds it. What is broken is what a bug would break:
a Raft core that votes for whoever asks, a disk that lies, an agent that reports what cannot be.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
import simpy

import swarmsim
from swarmsim.agent import controller
from swarmsim.agent.controller import Step
from swarmsim.api.engine import Start
from swarmsim.api.messages import UpdateService
from swarmsim.api.states import TaskState
from swarmsim.checks import FAIL, PASS, RaftSafety, walk
from swarmsim.cluster import Cluster
from swarmsim.errors import ApiError
from swarmsim.manager import controlapi
from swarmsim.manager.dispatcher import Dispatcher
from swarmsim.manager.orchestrator import task as orchestrator_task
from swarmsim.manager.orchestrator.replicated import ReplicatedOrchestrator
from swarmsim.manager.orchestrator.restart import RestartSupervisor
from swarmsim.manager.scheduler import Scheduler
from swarmsim.raft.raft import RawNode
from swarmsim.sim.disk import Disk
from swarmsim.sim.engine import Engine

Words = list[dict[str, Any]]
S = TaskState


def scenario(*timeline: dict[str, Any], managers: int = 3, duration: str = "90s", **more: Any) -> swarmsim.Scenario:
    web = {"image": "nginx", "deploy": {"replicas": 2}, "x-sim": {"pull": "1s", "start": "200ms"}}
    return swarmsim.Scenario(
        cluster={"managers": managers, "workers": 2},
        services={"web": web},
        timeline=list(timeline),
        duration=duration,
        **more,
    )


def failed(words: swarmsim.Scenario, seed: int = 1) -> dict[str, str]:
    """The checks that fail on a run, and what they saw."""
    return {v.name: v.seen for v in swarmsim.run(words, seed).verdicts if v.state is FAIL}


# ---- raft safety -------------------------------------------------------------------------------------------------
def raft_violations(words: swarmsim.Scenario, seed: int = 1) -> list[str]:
    """The properties that a run violates, in the order in which they are found; a core may break down over it."""
    traces: list[Any] = []
    made = Cluster.__init__

    def notes(self: Cluster, *args: Any, **settings: Any) -> None:
        traces.append(args[2])
        made(self, *args, **settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Cluster, "__init__", notes)
        # An assertion of the core or the store: there, too, a bug was noticed, but later.
        with contextlib.suppress(AssertionError):
            swarmsim.run(words, seed)
    check = RaftSafety()
    walk(traces[0], [check])
    return [one.property for one in check.violations]


#: Each cannot hear the other, and all others hear both: whoever asks second asks the voters of the first.
RIVALS = scenario(
    {"at": "8s", "crash": "m1", "how": "power"},
    {"at": "8s", "partition": "m2", "peers": ["m3"]},
    *({"at": f"{20 + i}s", "scale": "web", "replicas": 1 + i % 3, "name": f"s{i}", "via": "m4"} for i in range(25)),
    managers=5,
)
#: m3 hears nothing for a while, and knows nothing of what is committed meanwhile. Then it may campaign.
LEFT_BEHIND = scenario(
    {"at": "8s", "partition": "m3", "for": "25s"},
    *({"at": f"{9 + i}s", "scale": "web", "replicas": 1 + i % 3, "name": f"s{i}", "via": "m1"} for i in range(20)),
)
#: All managers lose power, one after the other, while something is committed.
POWER_CUTS = scenario(
    *({"at": f"{5 + i}s", "scale": "web", "replicas": 1 + i % 3, "name": f"s{i}", "via": "m1"} for i in range(5)),
    {"at": "12s", "crash": "m2", "how": "power", "for": "2s"},
)


def never_refuses(patch: pytest.MonkeyPatch) -> None:
    """A core that votes for whoever asks, however often and however old its log."""
    patch.setattr(RawNode, "in_lease", lambda self: False)
    patch.setattr(RawNode, "may_vote_for", lambda self, m: True)
    patch.setattr(RawNode, "log_is_up_to_date", lambda self, m: True)


def forgets_the_lease(patch: pytest.MonkeyPatch) -> None:
    """Stability is lost without it, safety is not."""
    patch.setattr(RawNode, "in_lease", lambda self: False)


def votes_for_old_logs(patch: pytest.MonkeyPatch) -> None:
    """Section 5.4.1 unread."""
    patch.setattr(RawNode, "in_lease", lambda self: False)
    patch.setattr(RawNode, "log_is_up_to_date", lambda self, m: True)


def commits_alone(patch: pytest.MonkeyPatch) -> None:
    """A leader that takes its own copy for a majority."""
    patch.setattr(RawNode, "quorum_committed", lambda self: self.log.last_index)


def wins_alone(patch: pytest.MonkeyPatch) -> None:
    """A candidate that takes its own vote for a majority."""
    from swarmsim.raft.quorum import VoteResult

    patch.setattr(RawNode, "election_result", lambda self: VoteResult.WON)


def has_a_lying_disk(patch: pytest.MonkeyPatch) -> None:
    """It says that all is durable, and writes nothing (a cache without a battery)."""
    patch.setattr(Disk, "_settle", lambda self, last: None)


@pytest.mark.parametrize(
    ("broken", "words", "property"),
    [
        (never_refuses, RIVALS, "one vote a term"),
        (votes_for_old_logs, LEFT_BEHIND, "a vote goes to a log that is up to date"),
        (votes_for_old_logs, LEFT_BEHIND, "leader completeness"),
        (commits_alone, LEFT_BEHIND, "committed is on a majority"),
        (wins_alone, LEFT_BEHIND, "a leader has a majority"),
        (has_a_lying_disk, POWER_CUTS, "committed is durable"),
    ],
    ids=lambda case: case.__name__ if callable(case) else None,
)
def test_a_raft_member_that_breaks_a_rule_is_found_out(
    monkeypatch: pytest.MonkeyPatch, broken: Callable[[pytest.MonkeyPatch], None], words: Any, property: str
) -> None:
    """In one of a few runs: elections are drawn, and the bug must get its chance."""
    broken(monkeypatch)

    assert any(property in raft_violations(words, seed) for seed in (1, 2, 3, 4))


@pytest.mark.parametrize("words", [RIVALS, LEFT_BEHIND, POWER_CUTS], ids=["rivals", "left behind", "power cuts"])
@pytest.mark.parametrize("careless", [None, forgets_the_lease], ids=["whole", "without the lease"])
def test_a_whole_raft_is_safe_in_the_same_runs(monkeypatch: pytest.MonkeyPatch, words: Any, careless: Any) -> None:
    if careless is not None:
        careless(monkeypatch)

    assert [raft_violations(words, seed) for seed in (1, 2)] == [[], []]


# ---- task transitions --------------------------------------------------------------------------------------------
def test_an_agent_that_reports_an_illegal_state_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """REMOVE is only ever desired."""
    honest = controller._advance

    def lies(*args: Any) -> Any:
        step = yield from honest(*args)
        return Step(S.REMOVE, "removed") if step is not None and step.state is S.RUNNING else step

    monkeypatch.setattr(controller, "_advance", lies)

    found = failed(scenario(duration="30s"))

    assert "the dispatcher observed it in REMOVE, which is only ever desired" in found["task transitions"]


def test_an_orchestrator_that_makes_tasks_run_by_decree_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """It writes the observed state, which is not its own."""
    made = orchestrator_task.move_to

    def decree(task_id: str, desired: TaskState, cause: int) -> Any:
        change = made(task_id, desired, cause)

        def and_more(tx: Any) -> None:
            change(tx)
            from swarmsim.api.objects import Task

            task = tx.get(Task, task_id)
            if task is not None:
                tx.update(task.evolve(status=task.status.evolve(state=S.SHUTDOWN)))

        return and_more

    for module in ("replicated", "task"):
        monkeypatch.setattr(f"swarmsim.manager.orchestrator.{module}.move_to", decree)

    found = failed(scenario({"at": "10s", "scale": "web", "replicas": 1}, duration="40s"))

    assert "the orchestrator moved it from RUNNING to SHUTDOWN, which is not its own" in found["task transitions"]


# ---- convergence -------------------------------------------------------------------------------------------------
def two_tasks_a_slot(patch: pytest.MonkeyPatch) -> None:
    """An orchestrator that makes each new task twice."""
    addition = ReplicatedOrchestrator._addition

    def twice(self: Any, service: Any, number: int, cause: int, out: Any) -> Any:
        one, other = addition(self, service, number, cause, out), addition(self, service, number, cause, out)
        return lambda tx: (one(tx), other(tx))

    patch.setattr(ReplicatedOrchestrator, "_addition", twice)


def forgets_dead_tasks(patch: pytest.MonkeyPatch) -> None:
    """An orchestrator that does not notice that a task has ended."""
    patch.setattr(ReplicatedOrchestrator, "_check_task", lambda self, task, cause: None)


def never_starts_again(patch: pytest.MonkeyPatch) -> None:
    """A restart supervisor that makes the successor and forgets to let it start."""
    patch.setattr(RestartSupervisor, "_release", lambda self, start, out: None)


def never_places(patch: pytest.MonkeyPatch) -> None:
    """A scheduler that is asleep."""
    patch.setattr(Scheduler, "on_message", lambda self, src, message, out: None)
    patch.setattr(Scheduler, "on_start", lambda self, saved, out: None)


def never_expires(patch: pytest.MonkeyPatch) -> None:
    """A dispatcher that believes in its nodes."""
    patch.setattr(Dispatcher, "_expired", lambda self, session, out: None)


def starts_nothing(patch: pytest.MonkeyPatch) -> None:
    """An engine that says that a container runs, and starts none."""
    perform = Engine._perform

    def lies(self: Any, driver: Any, effect: Any) -> simpy.Event:
        if type(effect.command) is Start:
            return simpy.Event(self.env).succeed()
        return perform(self, driver, effect)

    patch.setattr(Engine, "_perform", lies)


def stops_nothing(patch: pytest.MonkeyPatch) -> None:
    """An engine that says that a container has stopped, or is removed, and lets it run."""

    def lies(self: Any, driver: Any, command: Any) -> simpy.Event:
        return simpy.Event(self.env).succeed(143)

    patch.setattr(Engine, "_stop", lies)
    patch.setattr(Engine, "_remove", lies)


def never_leads(patch: pytest.MonkeyPatch) -> None:
    """Candidates that are all refused."""
    patch.setattr(RawNode, "may_vote_for", lambda self, m: False)


CRASH = {"at": "10s", "crash": "w1", "how": "power"}
KILL = {"at": "10s", "kill": "web.1"}
LEADER = {"at": "10s", "crash": "m1"}


@pytest.mark.parametrize(
    ("broken", "entries", "duration", "seen"),
    [
        (two_tasks_a_slot, [], "60s", "web.1: 2 tasks are wanted"),
        (forgets_dead_tasks, [KILL], "60s", "web.1: its task is FAILED: task: non-zero exit (137)"),
        (never_starts_again, [KILL], "60s", "web.1: its task is READY, to start later"),
        (never_places, [], "60s", "web.1: its task is PENDING"),
        (never_expires, [CRASH], "120s", "its container does not run on w1, though managers say RUNNING"),
        (starts_nothing, [], "60s", "its container does not run on"),
        (
            stops_nothing,
            [{"at": "10s", "scale": "web", "replicas": 1}],
            "60s",
            "web: 1 more containers run than are meant, on",
        ),
        (never_leads, [LEADER], "300s", "no manager leads"),
    ],
    ids=lambda case: case.__name__ if callable(case) else None,
)
def test_a_component_that_leaves_something_undone_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
    broken: Callable[[pytest.MonkeyPatch], None],
    entries: Words,
    duration: str,
    seen: str,
) -> None:
    broken(monkeypatch)

    found = failed(scenario(*entries, duration=duration))

    assert seen in found["convergence"]


@pytest.mark.parametrize("entry", [CRASH, KILL, LEADER, {"at": "10s", "scale": "web", "replicas": 1}], ids=str)
def test_a_whole_swarm_converges_in_the_same_runs(entry: dict[str, Any]) -> None:
    result = swarmsim.run(scenario(entry, duration="300s"), 1)

    assert [v.seen for v in result.verdicts if v.state is not PASS] == []


# ---- timeline ----------------------------------------------------------------------------------------------------
SCALE = {"at": "10s", "scale": "web", "replicas": 3}


def test_a_control_api_that_refuses_what_it_should_not_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    handle = controlapi.ControlApi.on_call

    def refuses(self: Any, call: Any, out: Any) -> Any:
        request = getattr(call.request, "request", call.request)
        if isinstance(request, UpdateService):
            return out.fail(call, ApiError("Unknown", "update out of sequence"))
        return handle(self, call, out)

    monkeypatch.setattr(controlapi.ControlApi, "on_call", refuses)

    found = failed(scenario(SCALE, duration="40s"))

    assert found["timeline"] == (
        "`scale` was refused at 10.0 s: rpc error: code = Unknown desc = update out of sequence"
    )


def test_a_control_api_that_accepts_what_it_should_refuse_is_found_out() -> None:
    """Here it is the file that is wrong; to the check that is the same."""
    found = failed(scenario({**SCALE, "refused": "out of sequence"}, duration="40s"))

    assert found["timeline"].startswith("`scale` was accepted at 10.0 s, not refused with `out of sequence`")


def test_a_control_api_that_does_not_answer_leaves_it_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controlapi.ControlApi, "on_call", lambda self, call, out: None)

    result = swarmsim.run(scenario(SCALE, duration="15s"), 1)

    (timeline,) = [v for v in result.verdicts if v.name == "timeline"]
    assert str(timeline.state) == "UNKNOWN"
    assert timeline.seen == "`create web` was sent at 0.0 s and not answered before the end"
