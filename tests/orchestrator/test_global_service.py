"""Global services: one task on every node that may have one."""

import pytest

from swarmsim.api.specs import Global, UpdateConfig
from swarmsim.api.states import Availability, NodeState, UpdateState
from swarmsim.manager.orchestrator import GlobalOrchestrator
from swarmsim.trace.events import RestartScheduled

from .world import (
    ANY,
    COMPLETE,
    FAILED,
    MS,
    NEW,
    NONE,
    ON_FAILURE,
    READY,
    REJECTED,
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

ACTIVE, PAUSE, DRAIN = Availability.ACTIVE, Availability.PAUSE, Availability.DRAIN


def agent(name: str = "service1", delay: int = 50 * MS, condition=ANY, **kwargs):
    return service(name, Global(), restart=policy(condition, delay), **kwargs)


def started(*objects) -> Leader:
    leader = Leader(*(objects or (node("nodeid1"), agent())))
    leader.orchestrator = leader.start(GlobalOrchestrator)
    return leader


def running(*objects) -> Leader:
    leader = started(*objects)
    for one in list(leader.store.tasks.values()):
        leader.report(one, RUNNING)
    return leader


def on(leader: Leader, node_id: str, service_id: str = "service1") -> list[str]:
    """`OBSERVED/DESIRED` of the service's tasks on a node, oldest first."""
    found = leader.store.tasks_in_slot((service_id, node_id))
    return [f"{t.status.state.name}/{t.desired_state.name}" for t in found]


# -- nodes --
def test_each_node_gets_a_task_bound_to_it():
    """O-106."""
    leader = started()
    assert on(leader, "nodeid1") == ["NEW/RUNNING"]

    leader.fake.create(node("nodeid2"))

    assert on(leader, "nodeid2") == ["NEW/RUNNING"]
    assert {t.slot for t in leader.tasks("service1")} == {0}


def test_the_tasks_of_a_node_that_is_deleted_are_deleted():
    """O-107."""
    leader = started()

    leader.fake.delete(leader.store.nodes["nodeid1"])

    assert not leader.store.tasks


def test_a_drained_node_loses_its_task_and_gets_a_new_one_when_it_is_active_again():
    """O-109, O-110: an update changes nothing there meanwhile."""
    leader = running()

    leader.change_node("nodeid1", availability=DRAIN)
    assert on(leader, "nodeid1") == ["RUNNING/SHUTDOWN"]
    written = leader.store.index
    leader.update("service1", force=True)
    leader.run_for(100 * MS)
    assert leader.store.index == written + 1
    leader.change_node("nodeid1", availability=ACTIVE)

    assert on(leader, "nodeid1") == ["RUNNING/SHUTDOWN", "NEW/RUNNING"]
    assert not leader.fake.events(RestartScheduled)


def test_a_paused_node_keeps_its_task_and_catches_up_at_once_when_it_is_active_again():
    """O-112, rule 8.2: ignoring the pace of the update, and without a status."""
    leader = running(node("nodeid1"), agent(update=UpdateConfig(1, 3600 * SECOND)))
    leader.change_node("nodeid1", availability=PAUSE)
    written = leader.store.index

    leader.update("service1", force=True)
    leader.run_for(100 * MS)
    assert leader.store.index == written + 1
    leader.change_node("nodeid1", availability=ACTIVE)

    assert on(leader, "nodeid1") == ["RUNNING/SHUTDOWN", "NEW/RUNNING"]
    assert leader.status("service1") is None


def test_a_task_that_fails_on_a_paused_node_is_shut_down_without_a_successor():
    """Rule 8, restarts."""
    leader = running()
    leader.change_node("nodeid1", availability=PAUSE)

    leader.report(leader.tasks("service1")[0], FAILED)
    leader.run_for(SECOND)

    assert on(leader, "nodeid1") == ["FAILED/SHUTDOWN"]


def test_a_dead_node_loses_its_task_and_gets_none_by_an_update():
    """O-113."""
    leader = running()

    leader.change_node("nodeid1", NodeState.DOWN)
    assert on(leader, "nodeid1") == ["RUNNING/SHUTDOWN"]
    leader.update("service1", force=True)
    leader.run_for(SECOND)
    assert on(leader, "nodeid1") == ["RUNNING/SHUTDOWN"]
    leader.change_node("nodeid1", NodeState.READY)

    assert on(leader, "nodeid1") == ["RUNNING/SHUTDOWN", "NEW/RUNNING"]


def test_a_node_of_unknown_state_gets_a_task_and_a_paused_one_gets_none():
    """P-037."""
    leader = started(node("far", NodeState.UNKNOWN), node("still", availability=PAUSE), agent())

    assert on(leader, "far") == ["NEW/RUNNING"]
    assert on(leader, "still") == []


@pytest.mark.parametrize("how", ["drain", "down"])
def test_with_condition_none_a_stopped_task_does_not_come_back_with_its_node(how):
    """P-035, quirk 5: it counts as updatable and clean; a change of the spec replaces it."""
    leader = running(node("nodeid1"), agent(condition=NONE))
    there_and_back = (
        [{"availability": DRAIN}, {"availability": ACTIVE}]
        if how == "drain"
        else [{"state": NodeState.DOWN}, {"state": NodeState.READY}]
    )

    for change in there_and_back:
        leader.change_node("nodeid1", **change)
    leader.report(leader.tasks("service1")[0], SHUTDOWN)
    assert on(leader, "nodeid1") == ["SHUTDOWN/SHUTDOWN"]
    leader.update("service1", image="v:2")

    assert on(leader, "nodeid1") == ["SHUTDOWN/SHUTDOWN", "NEW/RUNNING"]


def test_orphans_of_a_node_removed_over_the_api_are_deleted():
    """P-029, for a global service."""
    leader = running()
    old = leader.tasks("service1")[0]

    def remove_node(tx):
        tx.update(old.evolve(status=old.status.evolve(state=REJECTED)))
        tx.delete(type(leader.store.nodes["nodeid1"]), "nodeid1")

    leader.fake.commit(remove_node)
    leader.run_for(SECOND)

    assert not leader.store.tasks


# -- services --
def test_a_new_global_service_gets_its_tasks():
    """O-115."""
    leader = started()

    leader.fake.create(agent("service2"))

    assert on(leader, "nodeid1", "service2") == ["NEW/RUNNING"]


def test_a_service_that_is_removed_marks_its_tasks():
    """O-116."""
    leader = running()

    leader.fake.delete(leader.store.services["service1"])

    assert on(leader, "nodeid1") == ["RUNNING/REMOVE"]


def test_a_deleted_task_is_not_created_anew_before_the_next_reconcile():
    """Section 8: TestRemoveTask."""
    leader = running()

    leader.fake.delete(leader.tasks("service1")[0])
    leader.run_for(SECOND)
    assert on(leader, "nodeid1") == []
    leader.update("service1", labels={"a": "b"})

    assert on(leader, "nodeid1") == ["NEW/RUNNING"]


def test_constraints_decide_which_nodes_count_and_a_node_that_no_longer_meets_them_loses_its_task():
    """Rule 8.1; a constraint that does not parse is none."""
    leader = running(node("a", zone="1"), node("b", zone="2"), agent(constraints=("node.labels.zone==1",)))
    assert (on(leader, "a"), on(leader, "b")) == (["RUNNING/RUNNING"], [])

    leader.update("service1", constraints=("node.labels.zone==2",))
    assert (on(leader, "a"), on(leader, "b")) == (["RUNNING/SHUTDOWN"], ["NEW/RUNNING"])
    leader.update("service1", constraints=("nonsense",))
    leader.run_for(SECOND)

    assert on(leader, "a")[-1] == "NEW/RUNNING"


def test_a_task_rejected_because_its_node_changed_is_shut_down_without_a_successor():
    """Rule 11.1: what follows the constraint enforcer."""
    leader = running(node("a", zone="1"), agent(constraints=("node.labels.zone==1",)))
    leader.fake.write(node("a", zone="9"))
    assert on(leader, "a") == ["RUNNING/RUNNING"]  # not this orchestrator's business

    leader.report(leader.tasks("service1")[0], REJECTED)
    leader.run_for(SECOND)

    assert on(leader, "a") == ["REJECTED/SHUTDOWN"]


def test_a_global_service_is_updated_node_by_node():
    """Section 8, last line: the same updater, with node = slot."""
    leader = running(node("a"), node("b"), agent(update=UpdateConfig(1, 0, monitor=0)))
    leader.fake.add_machine(Agents(leader, stop=100 * MS))

    leader.update("service1", image="v:2")
    assert sorted([on(leader, "a"), on(leader, "b")]) == [["RUNNING/RUNNING"], ["RUNNING/SHUTDOWN", "NEW/READY"]]
    leader.run_for(2 * SECOND)

    assert leader.images("service1") == {"v:2": 2}
    assert {t.node_id for t in leader.live("service1")} == {"a", "b"}
    assert leader.status("service1") == (UpdateState.COMPLETED, "update completed")


# -- failures --
def test_a_failed_task_is_replaced_on_its_node_after_the_delay():
    """O-118."""
    leader = running()

    leader.report(leader.tasks("service1")[0], FAILED)
    assert on(leader, "nodeid1") == ["FAILED/SHUTDOWN", "NEW/READY"]
    leader.run_for(50 * MS)

    assert on(leader, "nodeid1") == ["FAILED/SHUTDOWN", "NEW/RUNNING"]
    assert leader.fake.events(RestartScheduled)[0].name == "service1.nodeid1"


def test_with_condition_none_a_failed_task_is_not_replaced_until_an_update():
    """O-119, O-121."""
    leader = running(node("nodeid1"), agent(condition=NONE))

    leader.report(leader.tasks("service1")[0], FAILED)
    leader.run_for(SECOND)
    assert on(leader, "nodeid1") == ["FAILED/SHUTDOWN"]
    leader.update("service1", force=True)

    assert on(leader, "nodeid1") == ["FAILED/SHUTDOWN", "NEW/RUNNING"]


def test_with_condition_on_failure_a_complete_task_is_not_replaced():
    """Rule 6.2, as for replicated services."""
    leader = running(node("nodeid1"), agent(condition=ON_FAILURE))

    leader.report(leader.tasks("service1")[0], COMPLETE)
    leader.run_for(SECOND)

    assert on(leader, "nodeid1") == ["COMPLETE/SHUTDOWN"]


# -- starting --
def test_a_rejected_task_found_at_the_start_is_replaced():
    """O-122."""
    web = agent()

    leader = started(node("nodeid1"), web, task(web, 0, REJECTED, READY, "nodeid1"))

    assert on(leader, "nodeid1") == ["REJECTED/SHUTDOWN", "NEW/READY"]


def test_one_task_too_many_on_a_node_found_at_the_start_is_shut_down():
    """O-124."""
    web = agent()
    twins = [task(web, 0, RUNNING, node="nodeid1", id=id) for id in ("one", "two")]

    leader = started(node("nodeid1"), web, *twins)
    leader.run_for(SECOND)

    assert sorted(on(leader, "nodeid1")) == ["RUNNING/RUNNING", "RUNNING/SHUTDOWN"]


def test_services_that_are_as_they_shall_be_are_left_alone_and_a_failure_concerns_its_own_only():
    """O-125, O-127."""
    first, second = agent(), agent("service2")
    tasks = [task(s, 0, RUNNING, node="nodeid1") for s in (first, second)]
    leader = Leader(node("nodeid1"), first, second, *tasks)
    before = leader.store.index
    leader.start(GlobalOrchestrator)
    leader.run_for(100 * MS)
    assert leader.store.index == before

    leader.report("service2.nodeid1", FAILED)

    assert on(leader, "nodeid1", "service2") == ["FAILED/SHUTDOWN", "NEW/READY"]
    assert on(leader, "nodeid1") == ["RUNNING/RUNNING"]


def test_a_task_on_a_node_that_does_not_exist_is_shut_down_at_the_start():
    """O-130."""
    web = agent()

    leader = started(web, task(web, 0, RUNNING, node="nowhere"))

    assert on(leader, "nowhere") == ["RUNNING/SHUTDOWN"]
    assert len(leader.store.tasks) == 1


def test_a_task_removed_before_it_ran_is_marked():
    """Rule 8: service deleted; here the task is NEW."""
    leader = started()
    assert leader.tasks("service1")[0].status.state is NEW

    leader.fake.delete(leader.store.services["service1"])

    assert leader.tasks("service1")[0].desired_state is REMOVED
