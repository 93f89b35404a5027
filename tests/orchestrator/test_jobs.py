"""Jobs: so many completions, or one on every node."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmsim.api.specs import Driver, GlobalJob, ReplicatedJob
from swarmsim.api.states import Availability, NodeState
from swarmsim.manager.orchestrator import JobsOrchestrator
from swarmsim.manager.orchestrator.job import JobError, how_many_new
from swarmsim.manager.orchestrator.tally import Tally
from swarmsim.store.actions import CREATE

from .world import (
    ANY,
    COMPLETE,
    FAILED,
    MS,
    NONE,
    ON_FAILURE,
    ORPHANED,
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


def batch(concurrent: int = 10, total: int = 30, name: str = "batch", **kwargs):
    return service(name, ReplicatedJob(concurrent, total), iteration=kwargs.pop("iteration", 0), **kwargs)


def each(name: str = "each", **kwargs):
    return service(name, GlobalJob(), iteration=kwargs.pop("iteration", 0), **kwargs)


def part(of, slot: int, state=RUNNING, desired=COMPLETE, node: str = "", iteration: int = 0):
    return task(of, slot, state, desired, node, id=f"{of.id}.{node or slot}.{iteration}", job_iteration=iteration)


def started(*objects) -> Leader:
    leader = Leader(*objects)
    leader.orchestrator = leader.start(JobsOrchestrator)
    return leader


def fresh(leader: Leader, service: str = "batch"):
    """The tasks that the orchestrator created."""
    return [
        c.new
        for _, changes in leader.fake.commits[1:]
        for c in changes
        if c.kind is CREATE and getattr(c.new, "service_id", "") == service
    ]


# -- replicated jobs --
def test_a_replicated_job_starts_as_many_tasks_as_may_run_at_once():
    """O-133: with the cluster's log driver."""
    leader = started(cluster(log_driver=Driver("syslog")), batch())

    assert len(leader.tasks("batch")) == 10
    assert sorted(t.slot for t in leader.tasks("batch")) == list(range(10))
    assert {(t.desired_state, t.job_iteration, t.log_driver.name) for t in leader.tasks("batch")} == {
        (COMPLETE, 0, "syslog")
    }


def test_new_tasks_take_the_slots_between_those_that_are_taken():
    """O-134."""
    job = batch()

    leader = started(job, *(part(job, slot) for slot in (0, 2, 4, 6, 8, 10)))

    assert sorted(t.slot for t in fresh(leader)) == [1, 3, 5, 7]


def test_a_replicated_job_that_has_enough_running_starts_none():
    """Rule 9.2: max concurrent are running."""
    job = batch()

    leader = started(job, *(part(job, slot) for slot in range(10)))

    assert not fresh(leader)


def test_failed_tasks_count_as_running_and_are_restarted():
    """O-136."""
    job = batch(restart=policy(ON_FAILURE, SECOND))
    complete = [part(job, slot, COMPLETE) for slot in range(10)]
    failed = [part(job, slot, FAILED) for slot in range(10, 15)]

    leader = started(job, *complete, *failed)

    made = fresh(leader)
    assert sorted(t.slot for t in made if t.desired_state is COMPLETE) == list(range(15, 20))
    assert sorted(t.slot for t in made if t.desired_state is READY) == list(range(10, 15))
    assert all(leader.store.tasks[t.id].desired_state is SHUTDOWN for t in failed)


def test_a_replicated_job_starts_no_more_than_are_missing():
    """O-137."""
    job = batch()

    leader = started(job, *(part(job, slot, COMPLETE) for slot in range(20)))

    assert sorted(t.slot for t in fresh(leader)) == list(range(20, 30))


def test_a_replicated_job_that_is_done_starts_nothing():
    """Rule 9.2: none is missing."""
    job = batch()

    leader = started(job, *(part(job, slot, COMPLETE) for slot in range(30)))

    assert not fresh(leader)


def test_too_many_running_tasks_are_an_underflow_and_nothing_is_done():
    """O-139."""
    job = batch(10, 20)
    stuck = [part(job, slot, FAILED if slot == 3 else RUNNING) for slot in range(30)]

    leader = started(job, *stuck)

    with pytest.raises(JobError, match="underflow"):
        how_many_new(job.spec.mode, 0, 30)
    assert leader.pairs("batch").count("FAILED/COMPLETE") == 1
    assert not fresh(leader)


def test_below_zero_one_count_leaves_the_decision_to_the_other():
    """Rule 9.2: unsigned arithmetic; M was lowered to 2 while 5 run, and 1 is missing."""
    assert how_many_new(ReplicatedJob(2, 10), complete=4, running=5) == 1
    assert how_many_new(ReplicatedJob(5, 4), complete=4, running=3) == 2


def test_slots_beyond_a_lowered_total_leave_only_slot_zero():
    """Rule 9.2 in the corner that the original's loop falls through: N was lowered while higher slots ran."""
    job = batch(9, 3)
    leader = Leader(job, part(job, 7, COMPLETE), part(job, 8, COMPLETE))

    slots = Tally.scan(leader.store.services["batch"], leader.store).free_slots()

    assert [next(slots) for _ in range(5)] == [0, 1, 2, 0, 0]


def test_a_new_iteration_removes_the_old_ones_unfinished_tasks_and_starts_over():
    """O-140; P-040: finished tasks of the old iteration stay."""
    leader = started(batch())
    done = leader.tasks("batch")[0]
    leader.report(done, RUNNING)
    leader.report(done, COMPLETE)

    leader.update("batch", force=True)

    old = [t for t in leader.tasks("batch") if t.job_iteration == 0]
    new = [t for t in leader.tasks("batch") if t.job_iteration == 1]
    assert leader.store.tasks[done.id].desired_state is COMPLETE
    assert {t.desired_state for t in old if t.id != done.id} == {REMOVED}
    assert sorted(t.slot for t in new) == list(range(10))
    assert {t.desired_state for t in new} == {COMPLETE}


def test_a_job_runs_all_its_slots_to_completion_and_again_when_it_is_run_again():
    """P-040: M=2, N=5."""
    leader = started(batch(2, 5))
    leader.fake.add_machine(Agents(leader, run=100 * MS))
    most = 0
    for _ in range(100):
        leader.run_for(10 * MS)
        most = max(most, sum(t.status.state is RUNNING for t in leader.tasks("batch")))

    assert sorted(t.slot for t in leader.tasks("batch")) == [0, 1, 2, 3, 4]
    assert leader.pairs("batch") == ["COMPLETE/COMPLETE"] * 5
    assert most == 2
    leader.update("batch", force=True)

    assert sorted(t.slot for t in leader.tasks("batch") if t.job_iteration == 1) == [0, 1]
    assert len(leader.tasks("batch")) == 7


def test_exhausted_attempts_are_bypassed_when_a_sibling_finishes():
    """P-038, quirk 17: M=2, N=2, condition none."""
    leader = started(batch(2, 2, restart=policy(NONE)))
    first, second = leader.tasks("batch")
    for one in (first, second):
        leader.report(one, RUNNING)

    leader.report(first, FAILED)
    leader.run_for(SECOND)
    assert leader.pairs("batch") == ["FAILED/SHUTDOWN", "RUNNING/COMPLETE"]
    leader.report(second, COMPLETE)

    assert sorted((t.slot, t.desired_state) for t in leader.tasks("batch")) == [
        (0, COMPLETE),
        (0, SHUTDOWN),
        (1, COMPLETE),
    ]


def test_a_failing_task_stalls_a_job_that_runs_one_at_a_time():
    """Quirk 17: M=1, condition none."""
    leader = started(batch(1, 3, restart=policy(NONE)))

    leader.report(leader.tasks("batch")[0], FAILED)
    leader.run_for(3600 * SECOND)

    assert leader.pairs("batch") == ["FAILED/SHUTDOWN"]


def test_a_service_that_is_written_unchanged_bypasses_exhausted_attempts():
    """P-041."""
    leader = started(batch(1, 1, restart=policy(ON_FAILURE, max_attempts=1)))
    for _ in range(2):
        leader.report(leader.tasks("batch")[-1], FAILED)
    assert leader.pairs("batch") == ["FAILED/SHUTDOWN"] * 2

    leader.fake.write(leader.store.services["batch"])

    assert leader.pairs("batch") == ["FAILED/SHUTDOWN"] * 2 + ["NEW/COMPLETE"]


def test_condition_any_means_on_failure_for_jobs():
    """Rule 9.4; COMPLETE is never restarted, whatever the policy."""
    leader = started(batch(1, 1, restart=policy(ANY)))

    leader.report(leader.tasks("batch")[0], FAILED)
    assert len(leader.tasks("batch")) == 2
    leader.report(leader.tasks("batch")[1], COMPLETE)
    leader.run_for(SECOND)

    assert leader.pairs("batch") == ["COMPLETE/COMPLETE", "FAILED/SHUTDOWN"]


def test_each_replacement_of_a_job_waits_and_then_runs_to_completion():
    """O-157: on-failure, max attempts 3, delay 100 ms; every task fails: four tasks in total."""
    leader = started(batch(1, 1, restart=policy(ON_FAILURE, 100 * MS, 3)))
    leader.fake.add_machine(Agents(leader, run=10 * MS, ends=lambda one: FAILED))

    leader.run_for(10 * SECOND)

    assert leader.pairs("batch") == ["FAILED/SHUTDOWN"] * 4
    replacement = leader.tasks("batch")[1]
    desired = [c.new.desired_state for _, changes in leader.fake.commits for c in changes if c.new.id == replacement.id]
    assert list(dict.fromkeys(desired)) == [READY, COMPLETE, SHUTDOWN]
    assert replacement.job_iteration == 0


JOB_VERBS = ["ready", "run", "complete", "fail", "wait", "touch", "again", "remove"]
JOB_STEPS = st.lists(
    st.tuples(st.sampled_from(JOB_VERBS), st.integers(0, 30)),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(
    JOB_STEPS, st.sampled_from([0, 3 * MS]), st.sampled_from([NONE, ON_FAILURE]), st.integers(0, 2), st.integers(1, 5)
)
def test_the_kept_count_is_that_of_a_full_scan(steps, latency, condition, attempts, concurrent):
    """The count from open tasks against its obvious twin, which looks at all tasks, at every reconcile."""
    leader = Leader(batch(concurrent, 7, restart=policy(condition, 50 * MS, attempts)), commit_latency=latency)
    orchestrator = leader.start(JobsOrchestrator)
    count, compared = orchestrator._count, []

    def checked(job):
        tally, others = count(job)
        twin = Tally.scan(job, leader.store)
        assert (tally.complete, tally.running) == (twin.complete, twin.running)
        assert [t.id for t in tally.failed] == [t.id for t in twin.failed]
        assert held(tally) == held(twin)
        compared.append(job)
        return tally, others

    orchestrator._count = checked
    for verb, i in steps:
        job_step(leader, verb, i)
    job_step(leader, "touch", 0)
    leader.run_for(SECOND)
    assert compared


def held(tally: Tally) -> dict[int, int]:
    """Slots and their holders that are in the store."""
    return {slot for slot in range(10) if tally._holders.get(slot)}


def job_step(leader: Leader, verb: str, i: int) -> None:
    while leader.fake.busy:
        leader.run_for(MS)
    store = leader.store
    if verb == "wait":
        leader.run_for(i * 3 * MS)
    elif verb == "touch":
        leader.fake.write(store.services["batch"])
    elif verb == "again":
        leader.update("batch", force=True)
    else:
        tasks = [t for t in store.tasks.values() if t.status.state <= RUNNING]
        if not tasks:
            return
        one = tasks[i % len(tasks)]
        if verb == "remove":
            leader.fake.delete(one)
        else:
            state = {"ready": READY, "run": RUNNING, "complete": COMPLETE, "fail": FAILED}[verb]
            if state > one.status.state:
                leader.report(one, state)


# -- global jobs --
def nodes(*others):
    return [node(f"node{i}") for i in (1, 2, 3)] if not others else list(others)


def where(leader: Leader) -> list[str]:
    return sorted(t.node_id for t in fresh(leader, "each"))


def test_a_global_job_runs_once_on_each_node():
    """Rule 9.3."""
    leader = started(*nodes(), each())

    assert where(leader) == ["node1", "node2", "node3"]
    assert {(t.slot, t.desired_state) for t in leader.tasks("each")} == {(0, COMPLETE)}


def test_a_node_whose_task_runs_or_is_complete_gets_no_other():
    """O-142."""
    job = each()

    leader = started(*nodes(), job, part(job, 0, RUNNING, node="node1"), part(job, 0, COMPLETE, node="node2"))

    assert where(leader) == ["node3"]


def test_failed_tasks_of_a_global_job_are_restarted():
    """O-143."""
    job = each(restart=policy(ON_FAILURE, SECOND))
    failed = [part(job, 0, FAILED, node=f"node{i}") for i in (1, 2)]

    leader = started(*nodes(), job, *failed)

    assert sorted((t.node_id, t.desired_state) for t in fresh(leader, "each")) == [
        ("node1", READY),
        ("node2", READY),
        ("node3", COMPLETE),
    ]


def test_a_global_job_keeps_to_nodes_that_take_tasks_and_leaves_drained_ones():
    """O-145."""
    job = each()
    three = nodes(
        node("node1", availability=Availability.DRAIN), node("node2", availability=Availability.PAUSE), node("node3")
    )

    leader = started(*three, job, part(job, 0, RUNNING, node="node1"))

    assert where(leader) == ["node3"]
    assert leader.pairs("each") == ["NEW/COMPLETE", "RUNNING/SHUTDOWN"]


def test_a_global_job_leaves_out_dead_and_unknown_nodes_and_those_that_do_not_suit():
    """O-146, rule 9.3."""
    some = nodes(node("a", NodeState.DOWN), node("b", NodeState.UNKNOWN), node("c"), node("d", zone="z"))

    assert where(started(*some, each())) == ["c", "d"]
    assert where(started(*some, each(constraints=("node.labels.zone==z",)))) == ["d"]


def test_a_new_iteration_of_a_global_job_removes_all_old_tasks():
    """O-148; finished ones too."""
    leader = started(*nodes(), each())
    first = leader.tasks("each")[0]
    leader.report(first, RUNNING)
    leader.report(first, COMPLETE)

    leader.update("each", force=True)

    assert {t.desired_state for t in leader.tasks("each") if t.job_iteration == 0} == {REMOVED}
    assert sorted(t.node_id for t in leader.tasks("each", COMPLETE)) == ["node1", "node2", "node3"]
    assert {t.job_iteration for t in leader.tasks("each", COMPLETE)} == {1}


def test_a_new_leader_shuts_down_what_stands_on_nodes_that_are_gone_and_leaves_what_is_shut_down():
    """O-149, rule 10 (4)."""
    job = each()
    stopped = part(job, 0, SHUTDOWN, SHUTDOWN, "node1")
    lost = part(job, 0, RUNNING, COMPLETE, "node2")
    leader = Leader(node("node1"), node("node2", NodeState.DOWN), job, stopped, lost)
    before = leader.store.tasks[stopped.id]

    leader.start(JobsOrchestrator)

    assert leader.store.tasks[stopped.id] is before
    assert leader.store.tasks[lost.id].desired_state is SHUTDOWN


def test_global_jobs_do_not_look_at_nodes_until_something_else_reconciles_them():
    """P-043, quirk 17: a node joins, a node is drained: nothing; then the service is written."""
    leader = started(node("node1"), each())
    leader.report(leader.tasks("each")[0], RUNNING)
    written = leader.store.index

    leader.fake.create(node("node2"))
    leader.change_node("node1", availability=Availability.DRAIN)
    assert leader.store.index == written + 2
    leader.fake.write(leader.store.services["each"])

    assert sorted((t.node_id, t.desired_state) for t in leader.tasks("each")) == [
        ("node1", SHUTDOWN),
        ("node2", COMPLETE),
    ]


def test_max_attempts_are_not_enforced_for_global_jobs():
    """Quirk 8: restarts are recorded by node and looked up without it."""
    leader = started(node("node1"), each(restart=policy(ON_FAILURE, max_attempts=1)))

    for _ in range(5):
        leader.report(leader.tasks("each")[-1], FAILED)

    assert len(leader.tasks("each")) == 6


# -- the orchestrator --
def test_each_job_is_reconciled_at_the_start_and_an_error_in_one_does_not_stop_the_others():
    """O-151."""
    bad = batch(1, 1, "bad")
    stuck = [part(bad, slot) for slot in range(3)]
    good = [batch(2, 2, f"r{i}") for i in range(3)]
    everywhere = [each(f"g{i}") for i in range(3)]

    leader = started(node("node1"), bad, *stuck, *good, *everywhere)

    assert [len(leader.tasks(f"r{i}")) for i in range(3)] == [2, 2, 2]
    assert [len(leader.tasks(f"g{i}")) for i in range(3)] == [1, 1, 1]
    assert len(leader.tasks("bad")) == 3


def test_jobs_that_are_created_later_are_reconciled():
    """O-152, O-158: MaxConcurrent 3, TotalCompletions 5."""
    leader = started(node("node1"))

    leader.fake.create(batch(3, 5), each())

    assert [t.desired_state for t in leader.tasks("batch")] == [COMPLETE] * 3
    assert [t.desired_state for t in leader.tasks("each")] == [COMPLETE]


@pytest.mark.parametrize(
    ("state", "reconciled"), [(RUNNING, False), (COMPLETE, True), (FAILED, True), (ORPHANED, True)]
)
def test_a_job_is_reconciled_when_a_task_of_it_has_ended(state, reconciled):
    """O-154, rule 9.1."""
    job = batch(2, 3, restart=policy(NONE))
    leader = started(job)
    (one, *_) = leader.tasks("batch")
    leader.orchestrator._reconcile = lambda *args: seen.append(args[0]) or iter(())
    seen: list[str] = []

    leader.report(one, state)

    assert seen == (["batch"] if reconciled else [])


def test_a_stopped_orchestrator_reconciles_no_more():
    """O-155."""
    leader = started()
    leader.fake.stop("jobsorchestrator")

    leader.fake.create(batch())

    assert not leader.tasks("batch")


def test_a_job_that_is_removed_marks_all_its_tasks():
    """Rule 9.1."""
    leader = started(batch(2, 3, restart=policy(ON_FAILURE, max_attempts=3)))
    leader.report(leader.tasks("batch")[0], REJECTED)
    assert leader.orchestrator.restarts.history

    leader.fake.delete(leader.store.services["batch"])

    assert {t.desired_state for t in leader.tasks("batch")} == {REMOVED}
    assert not leader.orchestrator.restarts.history
