"""Rolling updates and rollbacks."""

from dataclasses import replace

import pytest

from swarmsim.api.objects import UpdateStatus
from swarmsim.api.specs import (
    ContainerSpec,
    Driver,
    EndpointSpec,
    FailureAction,
    PortConfig,
    Replicated,
    UpdateConfig,
    UpdateOrder,
)
from swarmsim.api.states import UpdateState
from swarmsim.manager.orchestrator.task import PULL_OPTIONS
from swarmsim.store.actions import CREATE

from .world import (
    ANY,
    FAILED,
    MS,
    NEW,
    NONE,
    ON_FAILURE,
    READY,
    RUNNING,
    SECOND,
    SHUTDOWN,
    Agents,
    Leader,
    cluster,
    policy,
    service,
    task,
)

PAUSE, GO_ON, ROLLBACK = FailureAction.PAUSE, FailureAction.CONTINUE, FailureAction.ROLLBACK
UPDATING, PAUSED, COMPLETED = UpdateState.UPDATING, UpdateState.PAUSED, UpdateState.COMPLETED
ROLLBACK_STARTED, ROLLBACK_PAUSED = UpdateState.ROLLBACK_STARTED, UpdateState.ROLLBACK_PAUSED
ROLLBACK_COMPLETED = UpdateState.ROLLBACK_COMPLETED
DONE = (COMPLETED, "update completed")
FIRST = "update {} due to failure or early termination of task {}"


def bad(image: str):
    """A fate: tasks of that image fail instead of running."""
    return lambda one: FAILED if one.spec.container.image == image else RUNNING


def rolled_out(replicas: int = 3, agents: dict | None = None, **spec) -> Leader:
    """A service whose tasks all run v:1, with agents that need no time unless told otherwise."""
    spec = {"restart": policy(NONE), **spec}
    leader = Leader(service("web", Replicated(replicas), **spec))
    leader.orchestrator = leader.start()
    leader.agents = Agents(leader, **(agents or {}))
    leader.fake.add_machine(leader.agents)
    leader.run_for(SECOND)
    assert leader.pairs("web") == ["RUNNING/RUNNING"] * replicas
    return leader


def states(leader: Leader, since: int = 0) -> list[tuple[int, UpdateState]]:
    """When which update state was first written, in milliseconds after `since`."""
    seen: list[tuple[int, UpdateState]] = []
    for when, changes in leader.fake.commits:
        for change in changes:
            status = getattr(change.new, "update_status", None)
            if status is not None and (not seen or seen[-1][1] is not status.state):
                seen.append(((when - since) // MS, status.state))
    return seen


def created(leader: Leader, image: str, since: int = 0) -> list[int]:
    """When tasks of that image were created, in milliseconds after `since`."""
    return [
        (when - since) // MS
        for when, changes in leader.fake.commits
        for change in changes
        if change.kind is CREATE and hasattr(change.new, "slot") and change.new.spec.container.image == image
    ]


# -- what is updated --
def test_an_update_replaces_every_task_and_says_so():
    """Rule 7.2: the status goes from UPDATING to COMPLETED, with both times."""
    leader = rolled_out(update=UpdateConfig(monitor=100 * MS))

    leader.update("web", image="v:2")
    assert leader.status("web") == (UPDATING, "update in progress")
    leader.run_for(SECOND)

    assert leader.images("web") == {"v:2": 3}
    assert leader.status("web") == DONE
    status = leader.store.services["web"].update_status
    assert status.started_at == SECOND
    assert status.completed_at == SECOND + 100 * MS


def test_updated_tasks_keep_the_tasks_log_driver_or_fall_back_to_the_clusters():
    """O-091, O-092."""
    mine, default = Driver("mine"), Driver("default")
    leader = Leader(cluster(log_driver=default), service("web", Replicated(3), log_driver=mine))
    leader.start()
    leader.fake.add_machine(Agents(leader))
    leader.run_for(SECOND)

    leader.update("web", image="v:3")
    leader.run_for(10 * SECOND)
    assert [t.log_driver for t in leader.live("web")] == [mine] * 3
    leader.update("web", image="v:4", log_driver=None, update=UpdateConfig(1, 10 * MS))
    leader.run_for(10 * SECOND)

    assert [t.log_driver for t in leader.live("web")] == [default] * 3
    assert leader.images("web") == {"v:4": 3}


def test_an_update_of_the_endpoint_replaces_tasks():
    """Rule 7.5 (4)."""
    leader = rolled_out()
    before = {t.id for t in leader.live("web")}

    leader.update("web", endpoint=EndpointSpec(ports=(PortConfig(target_port=80),)))
    leader.run_for(10 * SECOND)

    assert before.isdisjoint(t.id for t in leader.live("web"))
    assert len(leader.live("web")) == 3


def test_new_credentials_alone_replace_no_running_task_but_those_that_ended():
    """O-094, O-095."""
    leader = rolled_out(update=UpdateConfig(0))
    before = [t.id for t in leader.live("web")]

    leader.update("web", options={PULL_OPTIONS: "a"})
    leader.run_for(10 * SECOND)
    assert [t.id for t in leader.live("web")] == before
    assert leader.status("web") is None
    for one in leader.live("web"):
        leader.report(one, SHUTDOWN)
    assert not leader.live("web")
    leader.update("web", options={PULL_OPTIONS: "b"})
    leader.run_for(10 * SECOND)

    assert len(leader.live("web")) == 3


def test_a_scale_or_a_label_alone_is_no_update():
    """Rule 7.5 (4): no task is dirty, so no status appears either."""
    leader = rolled_out()

    leader.update("web", replicas=5, labels={"a": "b"})
    leader.run_for(10 * SECOND)

    assert len(leader.live("web")) == 5
    assert leader.status("web") is None


# -- pace --
@pytest.mark.parametrize(
    ("replicas", "parallelism", "stop", "delay", "monitor", "batches", "took"),
    [
        (3, 1, 50, 200, 100, [0, 250, 500], 3 * 250 + 1200),
        (3, 1, 50, 100, 400, [0, 150, 300], 3 * 150 + 400),
        (4, 2, 50, 200, 300, [0, 0, 250, 250], 2 * 250 + 300),
        (4, 0, 50, 0, 300, [0, 0, 0, 0], 50 + 300),
    ],
)
def test_an_undisturbed_update_takes_batches_times_stop_and_delay_and_one_monitor_period(
    replicas, parallelism, stop, delay, monitor, batches, took
):
    """P-022, quirk 12: where delay >= monitor the period is delay + 1 s."""
    config = UpdateConfig(parallelism, delay * MS, monitor=monitor * MS)
    leader = rolled_out(replicas, {"stop": stop * MS}, update=config)

    leader.update("web", image="v:2")
    leader.run_for(10 * SECOND)

    assert created(leader, "v:2", SECOND) == batches
    assert states(leader, SECOND) == [(0, UPDATING), (took, COMPLETED)]


def test_the_restart_delay_is_not_applied_to_updates():
    """Rule 7.3, quirk 7."""
    leader = rolled_out(restart=policy(ANY, 3600 * SECOND), update=UpdateConfig(monitor=0))

    leader.update("web", image="v:2")
    leader.run_for(10 * SECOND)

    assert leader.pairs("web").count("RUNNING/RUNNING") == 3
    assert leader.status("web") == DONE


def test_old_tasks_that_never_stop_delay_an_update_by_the_stop_timeout():
    """O-100: lowered from 60 s to 100 ms."""
    leader = rolled_out(agents={"stop": None}, update=UpdateConfig(0, monitor=MS))
    leader.orchestrator.restarts.task_timeout = 100 * MS

    leader.update("web", image="v:2")
    leader.run_for(100 * MS - 1)
    assert {t.desired_state for t in leader.live("web")} == {READY}
    leader.run_for(10 * MS)

    assert leader.images("web") == {"v:2": 3}
    assert {t.desired_state for t in leader.live("web")} == {RUNNING}
    assert leader.status("web") == DONE


def test_start_first_starts_the_new_task_before_it_stops_the_old_one():
    """O-101: old tasks take an hour to stop, so six run."""
    config = UpdateConfig(0, order=UpdateOrder.START_FIRST)
    leader = rolled_out(agents={"stop": 3600 * SECOND, "start": 50 * MS}, update=config)

    leader.update("web", image="v:2")
    leader.run_for(49 * MS)
    assert leader.images("web") == {"v:1": 3, "v:2": 3}
    leader.run_for(10 * SECOND)

    assert leader.pairs("web") == ["RUNNING/RUNNING"] * 3 + ["RUNNING/SHUTDOWN"] * 3
    assert leader.images("web") == {"v:2": 3}


def test_start_first_leaves_the_old_task_alone_if_the_new_one_never_ran():
    """Rule 7.3: it skipped to a terminal state."""
    leader = rolled_out(agents={"fate": bad("v:2")}, update=UpdateConfig(0, order=UpdateOrder.START_FIRST))

    leader.update("web", image="v:2")
    leader.run_for(10 * SECOND)

    assert leader.images("web") == {"v:1": 3}
    assert leader.pairs("web").count("FAILED/SHUTDOWN") == 3
    assert leader.status("web")[0] is PAUSED


def test_an_update_that_completes_with_outdated_tasks_left_begins_again_without_a_word():
    """Rule 7.2: its last write makes the orchestrator reconcile, and a status COMPLETED holds nothing up."""
    config = UpdateConfig(0, order=UpdateOrder.START_FIRST, failure_action=GO_ON)
    leader = rolled_out(agents={"fate": bad("v:2")}, update=config)

    leader.update("web", image="v:2")
    leader.run_for(11 * SECOND)

    assert leader.images("web") == {"v:1": 3}
    assert created(leader, "v:2", SECOND) == [0] * 3 + [5000] * 3 + [10000] * 3
    assert leader.status("web") == DONE


def test_a_new_task_that_never_runs_stalls_the_update():
    """P-023, quirk 9: stop-first, parallelism 1."""
    leader = rolled_out()
    leader.agents.fate = lambda one: NEW if one.spec.container.image == "v:2" else RUNNING

    leader.update("web", image="v:2")
    leader.run_for(3600 * SECOND)

    assert leader.images("web") == {"v:1": 2, "v:2": 1}
    assert leader.status("web") == (UPDATING, "update in progress")


def test_a_task_that_never_left_new_is_waited_for_like_any_other():
    """P-026, quirk 10: stop timeout 900 ms."""
    leader = Leader(service("web"))
    orchestrator = leader.start()
    orchestrator.restarts.task_timeout = 900 * MS

    leader.update("web", image="v:2")
    leader.run(900 * MS - 1)
    assert [t.desired_state for t in leader.live("web")] == [READY]
    leader.run(900 * MS)

    assert [t.desired_state for t in leader.live("web")] == [RUNNING]


def test_a_slot_that_has_its_new_task_already_uses_it():
    """Rule 7.3: a clean task is released (and the others shut down) instead of a third being created."""
    old = service("web", Replicated(2))
    new = service("web", Replicated(2), "v:2", spec_version=5)
    leader = Leader(
        new,
        task(old, 1, RUNNING, id="old1"),
        task(new, 1, RUNNING, id="new1"),
        task(old, 2, RUNNING, id="old2"),
        task(new, 2, READY, READY, id="new2", at=0),
    )
    leader.start()

    leader.run_for(SECOND)
    assert len(leader.tasks("web")) == 4
    assert leader.store.tasks["old1"].desired_state is SHUTDOWN
    assert leader.store.tasks["old2"].desired_state is SHUTDOWN
    leader.report("old2", SHUTDOWN)
    leader.run_for(10 * SECOND)

    assert leader.store.tasks["new2"].desired_state is RUNNING
    assert leader.status("web") == DONE


# -- failures --
def test_a_failure_pauses_an_update_and_nothing_goes_on_while_it_is_paused():
    """O-097, O-098."""
    config = UpdateConfig(1, 500 * MS, PAUSE, 500 * MS)
    leader = rolled_out(agents={"fate": bad("v:2")}, update=config)

    leader.update("web", image="v:2")
    leader.run_for(10 * SECOND)
    (failed,) = [t for t in leader.tasks("web") if t.status.state is FAILED]
    assert leader.status("web") == (PAUSED, FIRST.format("paused", failed.id))
    assert sorted(t.spec.container.image for t in leader.tasks("web") if t.status.state is not SHUTDOWN) == [
        "v:1",
        "v:1",
        "v:2",
    ]
    assert leader.store.services["web"].update_status.completed_at is None
    before = leader.store.index
    touched = leader.store.services["web"]
    leader.fake.write(touched.evolve(endpoint=None))  # somebody writes the service: a reconcile
    leader.run_for(10 * SECOND)

    assert leader.store.index == before + 1


def test_any_update_of_the_service_sets_a_paused_update_going_again():
    """Section 3: the control API clears the status."""
    leader = rolled_out(agents={"fate": bad("v:2")}, update=UpdateConfig(1, 500 * MS, PAUSE, 500 * MS))
    leader.update("web", image="v:2")
    leader.run_for(10 * SECOND)
    assert leader.status("web")[0] is PAUSED
    leader.agents.fate = lambda one: RUNNING

    leader.update("web", labels={"again": "yes"})
    leader.run_for(10 * SECOND)

    assert leader.images("web")["v:2"] >= 2
    assert leader.status("web") == DONE


@pytest.mark.parametrize(("ratio", "tasks"), [(0.0, 1), (0.25, 2), (0.5, 3)])
def test_the_share_of_failures_must_be_exceeded(ratio, tasks):
    """P-019: four slots, every new task fails, the delay is longer than that takes."""
    config = UpdateConfig(1, 300 * MS, PAUSE, SECOND, ratio)
    leader = rolled_out(4, {"fate": bad("v:2")}, update=config)

    leader.update("web", image="v:2")
    leader.run_for(10 * SECOND)

    assert len(created(leader, "v:2")) == tasks
    assert leader.status("web")[0] is PAUSED


def test_continue_ignores_failures():
    """Rule 7.4."""
    leader = rolled_out(agents={"fate": bad("v:2")}, update=UpdateConfig(failure_action=GO_ON))

    leader.update("web", image="v:2")
    leader.run_for(10 * SECOND)

    assert len(created(leader, "v:2")) == 3
    assert leader.status("web") == DONE


def test_a_new_task_that_completes_within_the_monitor_period_is_a_failure():
    """P-020."""
    leader = rolled_out(update=UpdateConfig(monitor=100 * MS))
    leader.agents.run = 50 * MS

    leader.update("web", image="v:2")
    leader.run_for(10 * SECOND)

    assert leader.status("web")[0] is PAUSED


def test_a_failure_after_the_monitor_period_does_not_count():
    """Rule 7.4: it happened later than `monitor` after the task was seen to run."""
    config = UpdateConfig(1, 200 * MS, PAUSE, 500 * MS)
    leader = rolled_out(4, update=config)
    leader.update("web", image="v:2")
    first = next(t for t in leader.live("web") if t.spec.container.image == "v:2")
    leader.run_for(550 * MS)

    leader.report(first, FAILED)
    leader.run_for(10 * SECOND)

    assert leader.status("web") == DONE


def test_the_last_batch_is_judged_by_the_stretched_monitor_period():
    """Quirk 12: monitor 100 ms, delay 200 ms: from the end of the last delay on the measure is 1.2 s."""
    config = UpdateConfig(1, 200 * MS, PAUSE, 100 * MS)
    leader = rolled_out(1, update=config)
    leader.update("web", image="v:2")
    (new,) = leader.live("web")
    leader.run_for(500 * MS)  # five times the monitor period

    leader.report(new, FAILED)

    assert leader.status("web")[0] is PAUSED


def test_tasks_that_the_update_did_not_create_do_not_count():
    """Rule 7.4: here one of the old version fails meanwhile."""
    leader = rolled_out(update=UpdateConfig(1, 500 * MS, PAUSE, 500 * MS))
    leader.update("web", image="v:2")
    leader.run_for(100 * MS)

    leader.report(next(t for t in leader.live("web") if t.spec.container.image == "v:1"), FAILED)
    leader.run_for(10 * SECOND)

    assert leader.status("web") == DONE


# -- rollback --
def test_a_failed_update_is_rolled_back():
    """Rule 7.4: previous spec and version are restored, nothing of them is kept, StartedAt survives."""
    config = UpdateConfig(1, 0, ROLLBACK, 500 * MS, 0.4)
    leader = rolled_out(agents={"fate": bad("v:2")}, update=config, rollback=UpdateConfig(monitor=500 * MS))
    old_version = leader.store.services["web"].spec_version

    leader.update("web", image="v:2")
    leader.run_for(10 * SECOND)

    assert [state for _, state in states(leader)] == [UPDATING, ROLLBACK_STARTED, ROLLBACK_COMPLETED]
    assert leader.status("web") == (ROLLBACK_COMPLETED, "rollback completed")
    assert leader.images("web") == {"v:1": 3}
    web = leader.store.services["web"]
    assert (web.spec_version, web.previous_spec, web.previous_spec_version) == (old_version, None, None)
    assert web.update_status.started_at == SECOND


def worse(rollback: UpdateConfig) -> Leader:
    """Of four tasks of v:2 two run and two fail; v:1, once rolled back to, fails too."""
    config = UpdateConfig(1, 10 * MS, ROLLBACK, 500 * MS, 0.4)
    leader = rolled_out(4, update=config, rollback=rollback)

    def fate(one):
        runs = one.spec.container.image == "v:2" and leader.images("web")["v:2"] <= 2
        return RUNNING if runs else FAILED

    leader.agents.fate = fate
    leader.update("web", image="v:2")
    leader.run_for(20 * SECOND)
    return leader


def test_a_rollback_that_fails_is_paused():
    """O-103, P-016, quirk 3: with the text of an update."""
    leader = worse(UpdateConfig(1, 10 * MS, PAUSE, 500 * MS, 0.4))

    state, message = leader.status("web")

    assert state is ROLLBACK_PAUSED
    assert message.startswith("update paused due to failure or early termination of task ")


def test_a_rollback_that_goes_on_in_spite_of_failures_completes():
    """O-104."""
    leader = worse(UpdateConfig(1, 10 * MS, GO_ON, 500 * MS))

    assert leader.status("web") == (ROLLBACK_COMPLETED, "rollback completed")


def test_a_rollback_is_never_rolled_back_but_in_the_end_it_says_completed():
    """Quirk 2: ROLLBACK_PAUSED, then after the monitor period COMPLETED."""
    leader = worse(UpdateConfig(1, 10 * MS, ROLLBACK, 500 * MS))

    told = [state for _, state in states(leader)]

    assert told[:4] == [UPDATING, ROLLBACK_STARTED, ROLLBACK_PAUSED, COMPLETED]
    messages = [
        change.new.update_status.message
        for _, changes in leader.fake.commits
        for change in changes
        if getattr(change.new, "update_status", None) is not None
    ]
    assert any(m.startswith("rollback paused due to failure or early termination of task ") for m in messages)


def test_a_rollback_without_a_previous_spec_leaves_updating_for_good():
    """P-017, quirk 4."""
    leader = rolled_out(2, update=UpdateConfig(1, 100 * MS, ROLLBACK, 500 * MS))
    leader.agents.fate = bad("v:2")
    web = leader.store.services["web"]
    template = replace(web.spec.task, container=ContainerSpec("v:2"))

    leader.fake.write(web.evolve(spec=replace(web.spec, task=template), spec_version=9))
    leader.run_for(60 * SECOND)

    assert leader.status("web") == (UPDATING, "update in progress")
    assert not [t for t in leader.live("web") if t.spec.container.image == "v:2"]


def test_a_manual_rollback_uses_the_rollback_settings_and_ends_as_one():
    """Section 3: specs swapped, ROLLBACK_STARTED written by the control API."""
    leader = rolled_out(4, update=UpdateConfig(1, 0, monitor=0), rollback=UpdateConfig(2, 100 * MS, monitor=0))
    leader.update("web", image="v:2")
    leader.run_for(10 * SECOND)
    web = leader.store.services["web"]
    start = leader.fake.now

    leader.fake.write(
        web.evolve(
            spec=web.previous_spec,
            spec_version=web.previous_spec_version,
            previous_spec=web.spec,
            previous_spec_version=web.spec_version,
            update_status=UpdateStatus(ROLLBACK_STARTED, "manually requested rollback", started_at=start),
        )
    )
    leader.run_for(10 * SECOND)

    assert created(leader, "v:1", start)[-4:] == [0, 0, 100, 100]
    assert leader.status("web") == (ROLLBACK_COMPLETED, "rollback completed")


# -- interruption --
def test_another_update_interrupts_the_first_and_forgets_its_failures_and_its_delay():
    """P-025, quirk 11: four slots, delay 300 ms; scale to five at 450 ms; then a task of the first updater fails."""
    leader = rolled_out(4, update=UpdateConfig(1, 300 * MS, PAUSE, SECOND))
    leader.update("web", image="v:2")
    leader.run_for(450 * MS)
    assert created(leader, "v:2", SECOND) == [0, 300]
    of_first = next(t for t in leader.live("web") if t.spec.container.image == "v:2")

    leader.update("web", replicas=5)
    assert created(leader, "v:2", SECOND)[2:] == [450, 450]  # slot 5, and the next slot of the update without waiting
    assert leader.store.services["web"].update_status.started_at == SECOND + 450 * MS
    leader.report(of_first, FAILED)
    leader.run_for(20 * SECOND)

    assert leader.status("web") == DONE
    assert sum(leader.images("web").values()) == 4  # condition none: the failed one is not replaced


def test_a_request_with_the_same_spec_does_not_disturb_the_update():
    """Rule 7.1: here the service object is written without a change of its spec."""
    leader = rolled_out(update=UpdateConfig(1, 300 * MS))
    leader.update("web", image="v:2")
    leader.run_for(100 * MS)

    leader.fake.write(leader.store.services["web"])
    leader.run_for(10 * SECOND)

    assert created(leader, "v:2", SECOND) == [0, 300, 600]


def test_an_interrupted_update_leaves_its_task_to_be_released_when_the_old_one_has_stopped():
    """Rule 7.1: the delayed start goes on in the restart supervisor; nothing else waits for it."""
    leader = rolled_out(2, {"stop": 2 * SECOND}, update=UpdateConfig(1, SECOND))
    leader.update("web", image="v:2")
    leader.run_for(500 * MS)
    (waiting,) = [t for t in leader.live("web") if t.desired_state is READY]

    leader.update("web", replicas=3)
    assert len(leader.live("web")) == 3
    leader.run_for(1500 * MS - 1)
    assert leader.task_desired(waiting.id) == "READY"
    leader.run_for(1)
    assert leader.task_desired(waiting.id) == "RUNNING"
    leader.run_for(20 * SECOND)

    assert leader.images("web") == {"v:2": 3}
    assert leader.status("web") == DONE


def test_a_service_removed_in_the_middle_of_an_update_leaves_nothing_behind():
    """Rule 7.4: status writes are no-ops; no task is created for a service that is gone."""
    leader = rolled_out(3, {"stop": 100 * MS}, update=UpdateConfig(1, 100 * MS))
    leader.update("web", image="v:2")
    leader.run_for(50 * MS)

    leader.fake.delete(leader.store.services["web"])
    leader.run_for(600 * SECOND)

    assert {t.desired_state.name for t in leader.tasks("web")} == {"REMOVE"}
    assert len(created(leader, "v:2")) == 1
    assert not leader.orchestrator.updates.updates


def test_a_slot_whose_task_was_restarted_meanwhile_is_left_to_its_new_task():
    """updater.go removeOldTasks: somebody else was quicker, so no third task appears."""
    leader = rolled_out(3, restart=policy(ON_FAILURE), update=UpdateConfig(1, 300 * MS, GO_ON, 0))
    leader.update("web", image="v:2")
    leader.run_for(100 * MS)
    olds = [t for t in leader.live("web") if t.spec.container.image == "v:1"]

    for one in olds:
        leader.report(one, FAILED)
    leader.run_for(20 * SECOND)

    assert sorted(t.slot for t in leader.live("web")) == [1, 2, 3]
    assert len(created(leader, "v:2")) == 3
