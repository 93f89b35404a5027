"""Corners of the rules: boundaries, combinations and states that the plain cases of each rule pass over."""

from collections import deque
from dataclasses import replace

import pytest

from swarmsim.api.objects import Service, UpdateStatus
from swarmsim.api.specs import (
    FailureAction,
    Global,
    Placement,
    Platform,
    Replicated,
    ReplicatedJob,
    Resources,
    RestartPolicy,
    UpdateConfig,
    UpdateOrder,
)
from swarmsim.api.states import Availability, NodeState, UpdateState
from swarmsim.manager.orchestrator import (
    ConstraintEnforcer,
    GlobalOrchestrator,
    JobsOrchestrator,
    TaskReaper,
)
from swarmsim.manager.orchestrator.restart import _restarts_within
from swarmsim.manager.orchestrator.slot import survivors_first
from swarmsim.manager.orchestrator.task import is_task_dirty, restart_condition

from .world import (
    ANY,
    ASSIGNED,
    COMPLETE,
    FAILED,
    MS,
    NEW,
    NONE,
    ON_FAILURE,
    ORPHANED,
    PENDING,
    READY,
    REJECTED,
    REMOVED,
    RUNNING,
    SECOND,
    SHUTDOWN,
    Agents,
    Leader,
    cluster,
    node,
    policy,
    service,
    task,
)

PAUSE, ROLLBACK = FailureAction.PAUSE, FailureAction.ROLLBACK


def web(replicas: int = 1, *tasks, more: tuple = (), **spec) -> Leader:
    """A leader with the service `web` and these tasks of it: (slot, observed, desired, node)."""
    of = service("web", Replicated(replicas), **spec)
    made = [task(of, slot, state, desired, on, id=f"t{i}") for i, (slot, state, desired, on) in enumerate(tasks, 1)]
    leader = Leader(of, *made, *more)
    leader.orchestrator = leader.start()
    return leader


def desired_of(leader: Leader, *ids: str) -> list[str]:
    return [leader.task_desired(id) for id in ids]


# -- restart policy (6.2) --
def test_a_policy_that_does_not_say_its_condition_is_read_as_it_is_kept():
    """Section 2: without any policy a task is always restarted; what is kept in a policy counts as it stands."""
    assert restart_condition(task(service("web"))) is ANY
    assert restart_condition(task(service("web", restart=RestartPolicy(NONE)))) is NONE


@pytest.mark.parametrize("end", [SHUTDOWN, FAILED, REJECTED, ORPHANED])
def test_on_failure_replaces_whatever_did_not_complete(end):
    leader = web(1, (1, RUNNING, RUNNING, ""), restart=policy(ON_FAILURE))

    leader.report("t1", end)

    assert leader.pairs("web") == sorted([f"{end.name}/SHUTDOWN", "NEW/RUNNING"])


@pytest.mark.parametrize("condition", [NONE, ON_FAILURE, ANY])
@pytest.mark.parametrize("how", ["drain", "down", "removed"])
def test_a_task_that_runs_on_a_node_that_goes_is_replaced_unless_the_condition_is_none(condition, how):
    leader = web(1, (1, RUNNING, RUNNING, "w1"), more=(node("w1"),), restart=policy(condition, SECOND))

    if how == "drain":
        leader.change_node("w1", availability=Availability.DRAIN)
    elif how == "down":
        leader.change_node("w1", NodeState.DOWN)
    else:
        leader.fake.delete(leader.store.nodes["w1"])

    expected = ["RUNNING/SHUTDOWN"] if condition is NONE else ["NEW/READY", "RUNNING/SHUTDOWN"]
    assert leader.pairs("web") == expected


def test_restarts_at_the_edges_of_the_window_do_not_count():
    """What happened exactly a window ago is forgotten, what happened exactly now is ignored."""
    times = deque([100, 200, 300])

    assert _restarts_within(times, ended_at=300, window=200) == 1
    assert list(times) == [200, 300]
    assert _restarts_within(deque([101, 299]), ended_at=300, window=200) == 2


def test_the_window_is_counted_back_from_the_leaders_time_of_the_report():
    """The agent's clock is far off; the time at which the leader applied the report is what counts."""
    leader = web(1, (1, RUNNING, RUNNING, ""), restart=policy(ANY, 0, 1, 10 * SECOND))
    leader.run_for(SECOND)
    leader.report("t1", FAILED)
    (second,) = leader.live("web")
    leader.run_for(SECOND)
    late = leader.store.tasks[second.id].status.evolve(
        state=FAILED, timestamp=10**12, applied_at=leader.fake.now, applied_by="m1"
    )

    leader.fake.write(leader.store.tasks[second.id].evolve(status=late))

    assert leader.live("web") == []


def test_the_old_task_keeps_its_own_policy_and_its_successor_has_the_services():
    """6.2 reads the policy of the task that ended, 6.3 that of its successor."""
    leader = web(1, (1, RUNNING, RUNNING, ""), restart=policy(ANY))
    leader.update("web", restart=policy(ANY, 0, 1), update=UpdateConfig(failure_action=PAUSE))

    (successor,) = leader.live("web")
    assert successor.spec.restart.max_attempts == 1
    assert leader.store.tasks["t1"].spec.restart.max_attempts == 0


# -- delayed starts (6.4) --
def test_a_second_delayed_start_takes_over_who_waits_for_the_first():
    """The task ended before its release; whoever waits to restart it finds the new delay, and waits for that."""
    leader = web(1, (1, RUNNING, RUNNING, ""), restart=policy(ANY, 500 * MS))
    leader.report("t1", FAILED)
    (waiting,) = leader.live("web")
    leader.run_for(100 * MS)
    leader.report(waiting, REJECTED)
    out = next(iter(leader.fake.machines.values()))

    leader.orchestrator.restarts.delay_start(None, waiting.id, 200 * MS, leader.fake.now, 0, out)
    leader.run(299 * MS)
    assert len(leader.tasks("web")) == 2
    leader.run(300 * MS)

    assert len(leader.tasks("web")) == 3
    assert leader.task_desired(waiting.id) == "SHUTDOWN"


def test_a_drained_nodes_task_that_had_ended_already_is_followed_at_once():
    """6.1 (7, 8): delay 0 because of the drain, no waiting because the old task is terminal."""
    drained = node("w1", availability=Availability.DRAIN)
    leader = web(1, (1, FAILED, RUNNING, "w1"), more=(drained,), restart=policy(ANY, 5 * SECOND))

    assert leader.pairs("web") == ["FAILED/SHUTDOWN", "NEW/RUNNING"]


def test_a_dead_nodes_task_is_followed_after_the_delay_without_waiting_for_it():
    """Down is not drained: the delay holds, the waiting does not."""
    leader = web(1, (1, RUNNING, RUNNING, "w1"), more=(node("w1", NodeState.DOWN),), restart=policy(ANY, 700 * MS))

    leader.run_for(699 * MS)
    assert leader.pairs("web") == ["NEW/READY", "RUNNING/SHUTDOWN"]
    leader.run_for(MS)

    assert leader.pairs("web") == ["NEW/RUNNING", "RUNNING/SHUTDOWN"]


# -- reconcile and scale-down (5) --
def test_of_equals_the_highest_slot_goes_first():
    of = service("web", Replicated(3))
    slots = [[task(of, n, RUNNING, node=f"w{n}")] for n in (3, 1, 2)]

    assert [slot[0].slot for slot in survivors_first(slots)] == [1, 2, 3]


def test_a_slot_runs_if_one_of_its_tasks_does_but_several_tasks_go_first():
    of = service("web", Replicated(3))
    double = [task(of, 1, NEW, node="w1"), task(of, 1, RUNNING, node="w2", id="b")]
    alone, unassigned = [task(of, 2, READY, node="w1")], [task(of, 3, RUNNING)]

    assert [slot[0].slot for slot in survivors_first([alone, double, unassigned])] == [2, 1, 3]


def test_tasks_on_a_node_count_in_the_order_running_first():
    """Of two on one node the one that runs is the first, whatever its number; a lone one elsewhere equals it."""
    of = service("web", Replicated(3))
    slots = [[task(of, 1, READY, node="w1")], [task(of, 2, RUNNING, node="w1")], [task(of, 3, ASSIGNED, node="w2")]]

    assert [slot[0].slot for slot in survivors_first(slots)] == [2, 3, 1]


def test_history_of_a_slot_that_is_scaled_away_goes_at_a_later_reconcile():
    leader = web(2, (1, RUNNING, RUNNING, ""), (2, RUNNING, RUNNING, ""), (2, FAILED, SHUTDOWN, ""))

    leader.update("web", replicas=1)
    assert desired_of(leader, "t1", "t2", "t3") == ["RUNNING", "REMOVE", "SHUTDOWN"]
    leader.update("web", labels={"a": "b"})

    assert [t.id for t in leader.tasks("web")] == ["t1"]


def test_scaled_to_zero_all_go():
    leader = web(2, (1, RUNNING, RUNNING, "w1"), (2, NEW, RUNNING, ""), more=(node("w1"),))

    leader.update("web", replicas=0)

    assert desired_of(leader, "t1", "t2") == ["REMOVE", "REMOVE"]


def test_new_tasks_run_at_once_even_with_a_restart_delay():
    leader = web(1, (1, RUNNING, RUNNING, ""), restart=policy(ANY, 5 * SECOND))

    leader.update("web", replicas=3)

    assert leader.pairs("web") == ["NEW/RUNNING", "NEW/RUNNING", "RUNNING/RUNNING"]


def test_a_task_of_a_scaled_away_slot_that_is_deleted_makes_no_reconcile():
    leader = web(2, (1, RUNNING, RUNNING, ""), (2, RUNNING, RUNNING, ""), restart=policy(NONE))
    leader.update("web", replicas=1)
    before = len(leader.fake.commits)

    leader.fake.delete(leader.store.tasks["t2"])

    assert len(leader.fake.commits) == before + 1


# -- updates (7) --
def update_of(replicas: int, fate, condition=NONE, **config) -> Leader:
    leader = Leader(service("web", Replicated(replicas), restart=policy(condition), update=UpdateConfig(**config)))
    leader.orchestrator = leader.start()
    leader.fake.add_machine(Agents(leader, fate=fate))
    leader.run_for(SECOND)
    leader.update("web", image="v:2")
    return leader


@pytest.mark.parametrize("end", [COMPLETE, SHUTDOWN, FAILED, REJECTED, ORPHANED])
def test_each_way_to_end_within_the_monitor_period_is_a_failure(end):
    leader = update_of(
        2, lambda t: end if t.spec.container.image == "v:2" else RUNNING, parallelism=1, delay=SECOND, monitor=SECOND
    )

    leader.run_for(5 * SECOND)

    assert leader.status("web")[0] is UpdateState.PAUSED


def test_a_share_that_is_a_third_to_seven_digits_is_a_third():
    """The original counts in `float32`."""
    bad = update_of(
        3,
        lambda t: FAILED if (t.spec.container.image, t.slot) == ("v:2", 1) else RUNNING,
        parallelism=1,
        monitor=SECOND,
        max_failure_ratio=0.33333333,
    )

    bad.run_for(10 * SECOND)

    assert bad.status("web")[0] is UpdateState.COMPLETED


def test_a_paused_update_is_not_marked_as_completed():
    leader = update_of(2, lambda t: FAILED if t.spec.container.image == "v:2" else RUNNING, delay=SECOND)
    leader.run_for(20 * SECOND)

    status = leader.store.services["web"].update_status
    assert status.state is UpdateState.PAUSED
    assert status.started_at == SECOND
    assert status.completed_at is None
    assert status.message.startswith("update paused due to failure or early termination of task ")


def test_workers_that_are_busy_when_an_update_is_paused_finish_their_slots():
    leader = update_of(
        4,
        lambda t: FAILED if (t.spec.container.image, t.slot % 2) == ("v:2", 1) else RUNNING,
        parallelism=4,
        delay=SECOND,
    )
    leader.run_for(20 * SECOND)

    assert leader.status("web")[0] is UpdateState.PAUSED
    assert leader.images("web") == {"v:2": 2}  # conditions none: the failed ones have no successor


def test_a_rolled_back_service_refills_the_slots_whose_tasks_failed():
    """6.6 (2): in a rollback a slot whose task is not to be restarted is dead, so it is filled again."""
    leader = update_of(
        2, lambda t: FAILED if t.spec.container.image == "v:2" else RUNNING, failure_action=ROLLBACK, monitor=SECOND
    )
    leader.run_for(20 * SECOND)

    assert leader.images("web") == {"v:1": 2}
    assert leader.status("web") == (UpdateState.ROLLBACK_COMPLETED, "rollback completed")
    kept = leader.store.services["web"]
    assert kept.previous_spec is None
    assert kept.update_status.started_at == SECOND


@pytest.mark.parametrize(
    ("placement", "dirty"),
    [
        (Placement(("node.labels.zone==a",), ("node.labels.rack",)), False),
        (Placement(("node.labels.zone==a",), max_replicas=1), False),
        (Placement((), platforms=(Platform("windows", "amd64"),)), False),
        (Placement(("node.labels.zone==b",)), True),
        (Placement(("node.labels.zone=b",)), False),  # does not parse, so it asks for nothing
    ],
)
def test_another_placement_alone_is_judged_by_its_constraints_only(placement, dirty):
    old = service("web")
    new = old.evolve(spec=replace(old.spec, task=replace(old.spec.task, placement=placement)), spec_version=2)
    here = node("w1", zone="a")

    assert is_task_dirty(new, task(old, node="w1"), here) is dirty
    assert is_task_dirty(new, task(old), None) is True  # a task without a node satisfies no placement


def test_start_first_needs_no_room_in_the_slot_and_waits_for_no_old_task():
    leader = update_of(1, lambda t: RUNNING, order=UpdateOrder.START_FIRST, monitor=SECOND)

    states = [
        (c.new.spec.container.image, c.new.desired_state.name)
        for _, changes in leader.fake.commits
        for c in changes
        if hasattr(c.new, "slot") and c.new.spec.container.image == "v:2"
    ]
    assert states[:2] == [("v:2", "READY"), ("v:2", "RUNNING")]


def test_a_manual_rollback_that_finds_nothing_outdated_is_completed_at_once():
    """7.2 (3): the state says that one is under way, and no slot is dirty."""
    leader = web(1, (1, RUNNING, RUNNING, ""))
    now = leader.store.services["web"]
    started = UpdateStatus(UpdateState.ROLLBACK_STARTED, "manually requested rollback", started_at=0)

    leader.fake.write(now.evolve(update_status=started, spec_version=9))

    assert leader.status("web") == (UpdateState.ROLLBACK_COMPLETED, "rollback completed")


# -- global services (8) --
def test_no_task_is_made_for_a_global_service_that_is_gone_meanwhile():
    """8.1: the store is asked for the service once more before a task is created."""
    first, second = service("first", Global()), service("second", Global())
    leader = Leader(node("w1"), first, second)
    leader.fake.interfere = lambda tx: tx.delete(Service, "second")

    leader.start(GlobalOrchestrator)

    assert [t.service_id for t in leader.store.tasks.values()] == ["first"]


@pytest.mark.parametrize("state", [NodeState.UNKNOWN, NodeState.DISCONNECTED])
def test_a_global_task_is_left_alone_when_its_node_is_not_heard_of(state):
    leader = Leader(node("w1"), service("agent", Global()))
    leader.start(GlobalOrchestrator)
    leader.report(leader.tasks("agent")[0], RUNNING)

    leader.change_node("w1", state)

    assert leader.pairs("agent") == ["RUNNING/RUNNING"]


def test_a_label_that_makes_a_node_suit_brings_a_global_task_there():
    """Node event matrix: a newly matching node gets one."""
    leader = Leader(node("w1"), service("agent", Global(), constraints=("node.labels.zone==a",)))
    leader.start(GlobalOrchestrator)
    assert leader.tasks("agent") == []

    now = leader.store.nodes["w1"]
    leader.fake.write(now.evolve(spec=replace(now.spec, labels={"zone": "a"})))

    assert leader.pairs("agent") == ["NEW/RUNNING"]


def test_a_global_update_leaves_paused_nodes_out():
    leader = Leader(node("w1"), node("w2", availability=Availability.PAUSE), service("agent", Global()))
    leader.start(GlobalOrchestrator)
    of = leader.store.services["agent"]
    leader.fake.create(task(of, 0, RUNNING, node="w2", id="old"))

    leader.update("agent", image="v:2")

    assert leader.task_desired("old") == "RUNNING"


# -- jobs (9) --
def test_a_jobs_replacement_that_is_rejected_while_it_waits_is_replaced_after_its_delay():
    """The release makes it COMPLETE, beyond what the supervisor's waiter restarts; the reconcile that follows does."""
    job = service("job", ReplicatedJob(1, 1), restart=policy(ON_FAILURE, 500 * MS), iteration=0)
    leader = Leader(job)
    leader.start(JobsOrchestrator)
    (first,) = leader.tasks("job")
    leader.report(first, FAILED)
    leader.run_for(100 * MS)
    second = leader.tasks("job")[-1]
    leader.report(second, REJECTED)

    leader.run(499 * MS)
    assert len(leader.tasks("job")) == 2
    leader.run(500 * MS)
    assert leader.pairs("job") == ["FAILED/SHUTDOWN", "NEW/READY", "REJECTED/SHUTDOWN"]
    leader.run(1000 * MS)

    assert leader.pairs("job") == ["FAILED/SHUTDOWN", "NEW/COMPLETE", "REJECTED/SHUTDOWN"]


# -- enforcers (11) --
@pytest.mark.parametrize(
    ("state", "desired", "evicted"),
    [
        (NEW, RUNNING, True),
        (PENDING, READY, True),
        (RUNNING, COMPLETE, True),
        (COMPLETE, RUNNING, False),
        (RUNNING, SHUTDOWN, False),
        (RUNNING, REMOVED, False),
    ],
)
def test_who_may_be_evicted(state, desired, evicted):
    of = service("web", constraints=("node.role==manager",))
    leader = Leader(node("w1"), of, task(of, 1, state, desired, "w1", id="t1"))

    leader.start(ConstraintEnforcer)

    assert (leader.store.tasks["t1"].status.state is REJECTED) is evicted
    assert leader.store.tasks["t1"].desired_state is desired


def test_a_down_node_is_enforced_too():
    """Its availability counts, not its state."""
    of = service("web", constraints=("node.labels.zone==a",))
    leader = Leader(node("w1", NodeState.DOWN), of, task(of, 1, RUNNING, RUNNING, "w1", id="t1"))

    leader.start(ConstraintEnforcer)

    assert leader.store.tasks["t1"].status.state is REJECTED


def test_a_task_that_was_evicted_takes_nothing_of_what_the_node_has():
    """Only those that stay take their part: a later, smaller one keeps its place."""
    big = service("big", reservations=Resources(5_000_000_000, 0))
    small = service("small", reservations=Resources(4_000_000_000, 0))
    leader = Leader(
        node("w1"),
        big,
        small,
        task(big, 1, RUNNING, RUNNING, "w1", id="a"),
        task(small, 1, RUNNING, RUNNING, "w1", id="b"),
    )

    leader.start(ConstraintEnforcer)

    assert leader.store.tasks["a"].status.state is REJECTED
    assert leader.store.tasks["b"].status.state is RUNNING


# -- the reaper (12) --
def test_a_limit_of_one_and_of_zero_keep_the_live_task_only():
    for limit in (0, 1):
        leader = Leader(cluster(task_history_limit=limit))
        leader.start(TaskReaper)
        of = service("web", Replicated(1))
        leader.fake.create(of)
        for i in range(3):
            leader.fake.create(task(of, 1, FAILED, SHUTDOWN, id=f"old{i}", at=i))
        leader.fake.create(task(of, 1, RUNNING, RUNNING, id="live", at=9))

        leader.run_for(SECOND)

        assert [t.id for t in leader.tasks("web")] == ["live"]


def test_an_orphan_of_a_service_is_history_unless_it_is_to_be_removed():
    leader = Leader(cluster(task_history_limit=5))
    leader.start(TaskReaper)
    of = service("web", Replicated(1))
    leader.fake.create(of, task(of, 1, RUNNING, SHUTDOWN, id="a"), task(of, 2, RUNNING, REMOVED, id="b"))

    leader.report("a", ORPHANED)
    leader.report("b", ORPHANED)
    leader.run_for(SECOND)

    assert [t.id for t in leader.tasks("web")] == ["a"]


def test_an_orphan_without_a_service_goes():
    leader = Leader(cluster())
    leader.start(TaskReaper)
    attachment = task(service("net"), 0, RUNNING, RUNNING, id="n").evolve(service_id="")
    leader.fake.create(attachment)

    leader.report("n", ORPHANED)
    leader.run_for(SECOND)

    assert dict(leader.store.tasks) == {}
