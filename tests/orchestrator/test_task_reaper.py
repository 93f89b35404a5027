"""The task reaper: what is deleted, when, and how much history stays."""

import pytest

from swarmsim.api.specs import Global, Replicated, ReplicatedJob
from swarmsim.manager.orchestrator import JobsOrchestrator, ReplicatedOrchestrator, TaskReaper
from swarmsim.store.actions import REMOVE

from .world import (
    ANY,
    COMPLETE,
    FAILED,
    MS,
    NEW,
    NONE,
    ORPHANED,
    PENDING,
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


def world(limit: int, *objects, orchestrator=None) -> Leader:
    leader = Leader(cluster(task_history_limit=limit), *objects)
    leader.reaper = leader.start(TaskReaper)
    if orchestrator:
        leader.orchestrator = leader.start(orchestrator)
    return leader


def deletions(leader: Leader) -> list[int]:
    """When tasks were deleted, in milliseconds."""
    return [w // MS for w, changes in leader.fake.commits for c in changes if c.kind is REMOVE]


# -- starting --
def test_what_can_be_removed_is_removed_at_the_start_and_history_is_kept():
    """O-169, O-170, O-172, O-173, O-175; tasks without a service only when they are orphaned."""
    clean, gone = service("clean", Replicated(2)), service("gone")
    kept = [
        task(clean, 1, RUNNING, id="clean1"),
        task(clean, 2, RUNNING, id="clean2"),
        task(clean, 1, FAILED, SHUTDOWN, id="history"),
        task(clean, 1, ORPHANED, SHUTDOWN, id="orphan"),
        task(gone, 1, RUNNING, REMOVED, id="still running"),
        task(gone, 1, RUNNING, id="attached").evolve(service_id=""),
    ]
    deleted = [
        task(gone, 1, COMPLETE, REMOVED, id="done"),
        task(gone, 1, NEW, REMOVED, id="never begun"),
        task(gone, 1, ORPHANED, RUNNING, id="lost").evolve(service_id=""),
    ]

    leader = world(2, clean, *kept, *deleted)

    assert list(leader.store.tasks) == [t.id for t in kept]


# -- history --
def test_history_beyond_the_limit_goes_oldest_first():
    """O-176: limit 2, two replicas that fail twice each: the two original tasks go, four stay."""
    leader = world(2, service("web", Replicated(2), restart=policy(ANY)), orchestrator=ReplicatedOrchestrator)
    originals = [t.id for t in leader.tasks("web")]
    for _ in range(2):
        for one in leader.live("web"):
            leader.report(one, RUNNING)
            leader.report(one, FAILED)
        leader.run_for(SECOND)

    assert len(leader.tasks("web")) == 4
    assert not set(originals) & set(leader.store.tasks)
    assert leader.pairs("web") == ["FAILED/SHUTDOWN"] * 2 + ["NEW/RUNNING"] * 2


@pytest.mark.parametrize(
    ("limit", "attempts", "left"),
    [(5, 0, 5), (1, 0, 1), (0, 0, 1), (-1, 0, 9), (5, 1, 2), (-1, 2, 3)],
)
def test_the_limit_counts_all_tasks_of_the_slot_and_is_replaced_by_limited_attempts(limit, attempts, left):
    """P-034, quirk 15: eight failed ones and one that runs."""
    web = service("web", restart=policy(ANY, max_attempts=attempts))
    failed = [task(web, 1, FAILED, SHUTDOWN, id=f"f{i}", at=i) for i in range(8)]
    leader = world(limit, web)

    leader.fake.create(*failed, task(web, 1, RUNNING, id="lives", at=99))
    leader.run_for(SECOND)

    assert list(leader.store.tasks) == [f"f{i}" for i in range(9 - left, 8)] + ["lives"]


def test_of_a_global_service_the_history_of_each_node_counts():
    """Rule 12.2."""
    web = service("web", Global())
    leader = world(1, web, node("n1"), node("n2"))
    tasks = [task(web, 0, FAILED, SHUTDOWN, n, id=f"{n}.{i}", at=i) for n in ("n1", "n2") for i in range(2)]

    leader.fake.create(*tasks, task(web, 0, RUNNING, node="n1", id="n1.live", at=9))
    leader.run_for(SECOND)

    assert list(leader.store.tasks) == ["n2.1", "n1.live"]


def test_finished_tasks_of_jobs_stay():
    """Rule 9.4, 12.2."""
    leader = world(1, service("job", ReplicatedJob(5, 5), iteration=0), orchestrator=JobsOrchestrator)
    leader.fake.add_machine(Agents(leader, run=MS))

    leader.run_for(10 * SECOND)

    assert leader.pairs("job") == ["COMPLETE/COMPLETE"] * 5
    assert not leader.reaper.dirty


@pytest.mark.parametrize(
    ("state", "goes_if_wanted", "goes_if_not"),
    [
        (NEW, False, True),
        (PENDING, False, True),
        (RUNNING, False, False),
        (COMPLETE, True, True),
        (FAILED, True, True),
        (REJECTED, True, True),
        (REMOVED, True, True),
        (ORPHANED, True, True),
    ],
)
def test_with_limit_zero_what_ended_or_will_never_begin_goes(state, goes_if_wanted, goes_if_not):
    """O-188, O-190."""
    web = service("web")
    for desired, goes in ((RUNNING, goes_if_wanted), (SHUTDOWN, goes_if_not)):
        leader = world(0, web)
        leader.fake.create(task(web, 1, state, desired, id="t"))
        leader.run_for(SECOND)
        assert ("t" not in leader.store.tasks) == goes, desired
        assert not leader.reaper.dirty


def test_a_slot_with_several_living_tasks_stays_dirty_until_they_are_fewer():
    """O-187, rule 12.2: the next tick still needs an event."""
    web = service("web")
    leader = world(1, web)
    leader.fake.create(task(web, 1, RUNNING, id="a", at=1), task(web, 1, RUNNING, SHUTDOWN, id="b", at=2))
    leader.run_for(SECOND)
    assert list(leader.reaper.dirty) == [("web", 1, "")]

    leader.report("b", SHUTDOWN)
    leader.run_for(SECOND)

    assert list(leader.store.tasks) == ["a"]
    assert not leader.reaper.dirty


def test_a_slot_whose_service_does_not_exist_is_forgotten():
    """O-184."""
    leader = world(1)

    leader.fake.create(task(service("gone"), 1, FAILED, SHUTDOWN, id="t"))
    leader.run_for(SECOND)

    assert list(leader.store.tasks) == ["t"]
    assert not leader.reaper.dirty


def test_a_slot_without_tasks_is_forgotten():
    """O-185."""
    web = service("web")
    leader = world(0, web)
    one = task(web, 1, NEW, id="t")
    leader.fake.create(one)
    leader.fake.delete(one)

    leader.run_for(SECOND)

    assert not leader.reaper.dirty


def test_a_new_limit_of_the_cluster_counts_from_the_next_tick_on():
    """Rule 12.1."""
    web = service("web")
    leader = world(5, web)
    leader.fake.write(cluster(task_history_limit=1))

    leader.fake.create(*(task(web, 1, FAILED, SHUTDOWN, id=f"f{i}", at=i) for i in range(3)))
    leader.run_for(SECOND)

    assert list(leader.store.tasks) == ["f2"]


# -- removal --
def test_tasks_of_a_removed_service_go_when_they_have_stopped():
    """O-178: limit -1."""
    leader = world(-1, service("web", Replicated(2)), orchestrator=ReplicatedOrchestrator)
    for one in leader.tasks("web"):
        leader.report(one, RUNNING)

    leader.fake.delete(leader.store.services["web"])
    leader.run_for(SECOND)
    assert leader.pairs("web") == ["RUNNING/REMOVE"] * 2
    for one in leader.tasks("web"):
        leader.report(one, SHUTDOWN)
    leader.run_for(SECOND)

    assert not leader.store.tasks


def test_tasks_of_a_removed_service_that_have_stopped_already_go_without_their_agent():
    """O-179."""
    web = service("web", Replicated(2), restart=policy(NONE))
    leader = world(-1, web, orchestrator=ReplicatedOrchestrator)
    for one in leader.tasks("web"):
        leader.report(one, COMPLETE)

    leader.fake.delete(leader.store.services["web"])
    leader.run_for(SECOND)

    assert not leader.store.tasks


# -- ticks --
def test_a_tick_comes_250_ms_after_the_first_event_and_then_none():
    """O-181: later events do not put it off; repeatable."""
    web = service("web", Replicated(9))
    leader = world(5, web, *(task(web, i, SHUTDOWN, SHUTDOWN, id=f"t{i}") for i in range(1, 5)))

    def remove(id: str) -> None:
        leader.fake.write(leader.store.tasks[id].evolve(desired_state=REMOVED))

    remove("t1")
    leader.run(200 * MS)
    remove("t2")
    leader.run(1000 * MS)
    assert deletions(leader) == [250, 250]
    remove("t3")
    leader.run(2000 * MS)

    assert deletions(leader) == [250, 250, 1250]


def test_more_than_a_thousand_are_not_kept_waiting():
    """O-182: 1001 tasks become REMOVE; the timer works again afterwards."""
    web = service("web", Replicated(2000))
    tasks = [task(web, i, SHUTDOWN, SHUTDOWN, id=f"t{i}") for i in range(1, 1003)]
    leader = world(5, web, *tasks)
    leader.run(100 * MS)

    leader.fake.write(*(t.evolve(desired_state=REMOVED) for t in tasks[:1001]))
    assert len(leader.store.tasks) == 1
    assert deletions(leader) == [100] * 1001
    leader.run(SECOND)
    leader.fake.write(tasks[1001].evolve(desired_state=REMOVED))
    leader.run(2 * SECOND)

    assert deletions(leader)[-1] == 1250


def test_deletions_carry_the_cause_of_what_doomed_the_task():
    """A tick does many things for many reasons."""
    web = service("web", Replicated(2))
    leader = world(5, web, *(task(web, i, SHUTDOWN, SHUTDOWN, id=f"t{i}") for i in (1, 2)))
    for i in (1, 2):
        doomed = leader.store.tasks[f"t{i}"].evolve(desired_state=REMOVED)
        leader.fake.commit(lambda tx, doomed=doomed: tx.update(doomed), cause=10 * i)

    leader.run(SECOND)

    removals = [c for _, changes in leader.fake.commits for c in changes if c.kind is REMOVE]
    assert {c.new.id: c.cause for c in removals} == {"t1": 10, "t2": 20}
