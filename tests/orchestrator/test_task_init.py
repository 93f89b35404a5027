"""What a new leader finds and mends."""

import pytest

from swarmsim.api.objects import UpdateStatus
from swarmsim.api.specs import Global, GlobalJob, Replicated, ReplicatedJob
from swarmsim.api.states import NodeState, UpdateState
from swarmsim.manager.orchestrator import GlobalOrchestrator, JobsOrchestrator, ReplicatedOrchestrator

from .world import (
    ANY,
    FAILED,
    MS,
    READY,
    REMOVED,
    RUNNING,
    SECOND,
    SHUTDOWN,
    Agents,
    Leader,
    node,
    policy,
    service,
    task,
)

ALL = (ReplicatedOrchestrator, GlobalOrchestrator, JobsOrchestrator)


@pytest.mark.parametrize("orchestrator", ALL)
def test_tasks_of_deleted_services_are_deleted_outright(orchestrator):
    """O-128, rule 10 (2), quirk 16: even while they run; tasks without a service are left alone."""
    gone = service("gone")
    alone = task(gone, 7, RUNNING, id="alone").evolve(service_id="")
    leader = Leader(task(gone, 1, RUNNING), task(gone, 2, RUNNING, REMOVED), alone)

    leader.start(orchestrator)

    assert list(leader.store.tasks) == ["alone"]


@pytest.mark.parametrize("orchestrator", ALL)
def test_each_orchestrator_looks_after_its_own_mode(orchestrator):
    """Rule 10 (3): a service of another kind is skipped."""
    modes = {
        ReplicatedOrchestrator: (Global(), ReplicatedJob(), GlobalJob()),
        GlobalOrchestrator: (Replicated(), ReplicatedJob(), GlobalJob()),
        JobsOrchestrator: (Replicated(), Global()),
    }
    services = [service(type(mode).__name__, mode, iteration=0) for mode in modes[orchestrator]]
    leader = Leader(node("n1"), *services, *(task(s, 1, FAILED, READY, node="n1") for s in services))
    before = leader.store.index

    leader.start(orchestrator)
    leader.run_for(10 * SECOND)

    assert leader.store.index == before


def test_interrupted_delays_go_on_where_they_were():
    """Rule 10 (5), TestInitializationDelayStart: what is left of the delay, counted from the waiting task's own
    status."""
    web = service("web", Replicated(2), restart=policy(ANY, 400 * MS))
    leader = Leader(web)
    leader.run(1000 * MS)
    leader.fake.create(
        task(web, 1, READY, READY, at=700 * MS, id="waits"),
        task(web, 2, READY, READY, at=500 * MS, id="overdue"),
    )

    leader.start()
    assert leader.store.tasks["overdue"].desired_state is RUNNING
    leader.run(1100 * MS - 1)
    assert leader.store.tasks["waits"].desired_state is READY
    leader.run(1100 * MS)

    assert leader.store.tasks["waits"].desired_state is RUNNING


def test_a_delay_is_never_longer_than_the_policys():
    """Rule 10 (5): a status that lies in the future does not lengthen it."""
    web = service("web", restart=policy(ANY, 400 * MS))
    leader = Leader(web, task(web, 1, READY, READY, at=9 * SECOND, id="waits"))

    leader.start()
    leader.run(400 * MS)

    assert leader.store.tasks["waits"].desired_state is RUNNING


def test_a_new_leader_goes_on_with_an_update_but_releases_without_waiting():
    """P-032: UPDATING, a READY task for 100 ms with restart delay 400 ms, its old task never stops."""
    old = service("web", Replicated(2), restart=policy(ANY, 400 * MS))
    new = service("web", Replicated(2), "v:2", restart=policy(ANY, 400 * MS), spec_version=5)
    status = UpdateStatus(UpdateState.UPDATING, "update in progress", started_at=7)
    leader = Leader(
        new.evolve(previous_spec=old.spec, previous_spec_version=0, update_status=status),
        task(old, 1, RUNNING, SHUTDOWN, id="stuck"),
        task(new, 1, READY, READY, id="waiting"),
        task(old, 2, RUNNING, id="outdated"),
    )
    leader.run(100 * MS)

    leader.start()
    leader.run(400 * MS - 1)
    assert leader.store.tasks["waiting"].desired_state is READY
    leader.run(400 * MS)

    assert leader.store.tasks["waiting"].desired_state is RUNNING
    assert leader.store.tasks["outdated"].desired_state is SHUTDOWN
    assert leader.store.services["web"].update_status.started_at == 7


def test_an_update_of_which_nothing_is_left_is_completed_at_once():
    """Rule 10: no dirty slot any more, no monitoring."""
    new = service("web", image="v:2", spec_version=5)
    status = UpdateStatus(UpdateState.UPDATING, "update in progress", started_at=7)
    leader = Leader(new.evolve(update_status=status), task(new, 1, RUNNING))

    leader.start()

    assert leader.status("web") == (UpdateState.COMPLETED, "update completed")


def test_the_history_of_restarts_is_rebuilt_from_the_tasks():
    """O-131: max attempts 3, window 10 min; of version 2's tasks the oldest is the original, and the one 11 min old is
    out.

    Version 1's task does not count.
    """
    minute = 60 * SECOND
    agent = service("agent", Global(), restart=policy(ANY, 0, 3, 10 * minute), spec_version=2)
    leader = Leader(node("n1"), agent)
    for age, version in ((12, 2), (11, 2), (9, 2), (8, 2), (5, 1)):
        leader.run((20 - age) * minute)
        state, desired = (RUNNING, RUNNING) if age == 8 else (FAILED, SHUTDOWN)
        one = task(agent, 0, state, desired, "n1", id=f"age{age}", at=leader.fake.now, spec_version=version)
        leader.fake.create(one)
    leader.run(20 * minute)
    orchestrator = leader.start(GlobalOrchestrator)
    (history,) = orchestrator.restarts.history["agent"].values()
    assert [20 * minute - t for t in history.times] == [11 * minute, 9 * minute, 8 * minute]

    leader.report("age8", FAILED)

    assert len(leader.live("agent")) == 1


def test_one_more_restart_within_the_window_is_too_many():
    """The counterpart of O-131: with max attempts 2 the same history leaves the slot empty."""
    minute = 60 * SECOND
    agent = service("agent", Global(), restart=policy(ANY, 0, 2, 10 * minute), spec_version=2)
    leader = Leader(node("n1"), agent)
    for age in (12, 9, 8):
        leader.run((20 - age) * minute)
        state, desired = (RUNNING, RUNNING) if age == 8 else (FAILED, SHUTDOWN)
        leader.fake.create(task(agent, 0, state, desired, "n1", id=f"age{age}", at=leader.fake.now))
    leader.run(20 * minute)
    leader.start(GlobalOrchestrator)

    leader.report("age8", FAILED)

    assert not leader.live("agent")


def test_a_dead_nodes_tasks_found_at_the_start_are_restarted_before_services_are_reconciled():
    """Rule 10, last lines: so the slot is refilled by a restart, which waits, and not by a new task, which would
    not."""
    web = service("web", restart=policy(ANY, 100 * MS))
    leader = Leader(web, node("n1", NodeState.DOWN), task(web, 1, RUNNING, node="n1"))
    leader.start()
    leader.fake.add_machine(Agents(leader, stop=None))

    leader.run_for(SECOND)

    assert leader.pairs("web") == ["RUNNING/RUNNING", "RUNNING/SHUTDOWN"]
