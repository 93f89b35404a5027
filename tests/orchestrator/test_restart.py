"""The restart supervisor: conditions, attempts, windows, delays, and what a successor waits for."""

from dataclasses import replace

from swarmsim.api.objects import UpdateStatus
from swarmsim.api.specs import Replicated
from swarmsim.api.states import Availability, NodeState, UpdateState
from swarmsim.manager.orchestrator.restart import OLD_TASK_TIMEOUT
from swarmsim.trace.events import RestartRefused, RestartScheduled

from .world import (
    ANY,
    COMPLETE,
    FAILED,
    MS,
    NEW,
    NONE,
    ON_FAILURE,
    ORPHANED,
    READY,
    REJECTED,
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


def running(replicas: int = 2, **restart) -> Leader:
    """A service whose tasks run, one in each slot."""
    web = service("web", Replicated(replicas), restart=policy(**restart))
    leader = Leader(web)
    leader.orchestrator = leader.start()
    for one in leader.tasks("web"):
        leader.report(one, RUNNING)
    return leader


def newest(leader: Leader, slot: int):
    return [t for t in leader.tasks("web") if t.slot == slot][-1]


def ended(leader: Leader, slot: int, state) -> None:
    """The slot's newest task runs, then ends like that."""
    if newest(leader, slot).status.state < RUNNING:
        leader.report(newest(leader, slot), RUNNING)
    leader.report(newest(leader, slot), state)


# -- conditions --
def test_condition_any_replaces_a_failed_task():
    """O-074: delay 0, so the new task is released at once."""
    leader = running(condition=ANY)

    ended(leader, 1, FAILED)

    assert leader.pairs("web") == ["FAILED/SHUTDOWN", "NEW/RUNNING", "RUNNING/RUNNING"]
    desired = [
        c.new.desired_state for _, changes in leader.fake.commits for c in changes if c.new.id == newest(leader, 1).id
    ]
    assert desired == [READY, RUNNING]


def test_condition_any_replaces_a_complete_task():
    """Rule 6.2."""
    leader = running(condition=ANY)

    ended(leader, 2, COMPLETE)

    assert leader.pairs("web") == ["COMPLETE/SHUTDOWN", "NEW/RUNNING", "RUNNING/RUNNING"]


def test_condition_on_failure_replaces_a_failed_task():
    """O-076."""
    leader = running(condition=ON_FAILURE)

    ended(leader, 1, FAILED)

    assert leader.pairs("web") == ["FAILED/SHUTDOWN", "NEW/RUNNING", "RUNNING/RUNNING"]


def test_condition_on_failure_leaves_a_complete_task_until_an_update_replaces_it():
    """O-077, O-079."""
    leader = running(condition=ON_FAILURE)

    ended(leader, 2, COMPLETE)
    leader.run_for(100 * MS)
    assert leader.pairs("web") == ["COMPLETE/SHUTDOWN", "RUNNING/RUNNING"]
    leader.fake.add_machine(Agents(leader))
    leader.update("web", force=True)
    leader.run_for(SECOND)

    assert [t.desired_state for t in leader.tasks("web") if t.slot == 2] == [SHUTDOWN, RUNNING]


def test_condition_none_replaces_nothing_until_an_update_does_one_slot_after_the_other():
    """O-080, O-082: parallelism 1."""
    leader = running(condition=NONE)
    ended(leader, 1, FAILED)
    ended(leader, 2, COMPLETE)
    assert leader.pairs("web") == ["COMPLETE/SHUTDOWN", "FAILED/SHUTDOWN"]
    assert [e.reason for e in leader.fake.events(RestartRefused)] == ["restart condition none"] * 2

    leader.update("web", force=True)
    (first,) = leader.live("web")
    assert first.desired_state is RUNNING  # nothing to wait for
    leader.report(first, RUNNING)

    assert sorted(t.slot for t in leader.live("web")) == [1, 2]


def test_no_policy_at_all_means_any_with_five_seconds():
    """Section 2: defaults; a policy that is present but says nothing has condition any and the default delay too."""
    leader = Leader(service("web"))
    leader.start()

    leader.report(leader.tasks("web")[0], COMPLETE)
    leader.run_for(5 * SECOND - 1)
    assert newest(leader, 1).desired_state is READY
    leader.run_for(1)

    assert newest(leader, 1).desired_state is RUNNING
    assert leader.fake.events(RestartScheduled)[0].delay == 5 * SECOND


# -- delays --
def test_a_replacement_is_prepared_at_once_and_released_after_the_delay():
    """O-083: any, 100 ms; still observed NEW if nobody advanced it."""
    leader = running(condition=ANY, delay=100 * MS)

    ended(leader, 1, FAILED)
    assert leader.pairs("web") == ["FAILED/SHUTDOWN", "NEW/READY", "RUNNING/RUNNING"]
    leader.run_for(100 * MS - 1)
    assert newest(leader, 1).desired_state is READY
    leader.run_for(1)

    assert (newest(leader, 1).status.state, newest(leader, 1).desired_state) == (NEW, RUNNING)


def test_a_replacement_that_is_rejected_while_it_waits_is_replaced_when_its_delay_is_over():
    """P-031: delay 500 ms, rejected at 100 ms; the next one is created at 500 ms and released at 1000 ms."""
    leader = running(replicas=1, condition=ANY, delay=500 * MS)
    ended(leader, 1, FAILED)

    leader.run_for(100 * MS)
    leader.report(newest(leader, 1), REJECTED)
    leader.report(newest(leader, 1), REJECTED)
    leader.run(499 * MS)
    assert len(leader.tasks("web")) == 2
    leader.run(500 * MS)
    assert len(leader.tasks("web")) == 3
    assert newest(leader, 1).desired_state is READY
    leader.run(1000 * MS)

    assert newest(leader, 1).desired_state is RUNNING
    assert len(leader.tasks("web")) == 3


def test_a_waiting_task_that_is_deleted_is_not_released():
    """Rule 6.4: deleting it cancels its delayed start; the slot is refilled at once."""
    leader = running(replicas=1, condition=ANY, delay=500 * MS)
    ended(leader, 1, FAILED)
    waiting = newest(leader, 1)

    leader.fake.delete(waiting)

    assert waiting.id not in leader.orchestrator.restarts.delays
    assert [t.desired_state for t in leader.live("web")] == [RUNNING]


# -- waiting for the old task --
def moved(delay: int = 100 * MS, state=RUNNING) -> Leader:
    """A task still runs on n1, which its operator drains; n2 is there to take the successor."""
    web = service("web", restart=policy(ANY, delay))
    leader = Leader(web, node("n1"), node("n2"), task(web, 1, state, node="n1", id="old"))
    leader.orchestrator = leader.start()
    return leader


def test_a_successor_waits_for_the_old_task_to_stop_at_most_sixty_seconds():
    """Rule 6.4: counted from the scheduling."""
    leader = moved()
    leader.change_node("n1", availability=Availability.DRAIN)

    leader.run(OLD_TASK_TIMEOUT - 1)
    assert newest(leader, 1).desired_state is READY
    leader.run(OLD_TASK_TIMEOUT)

    assert newest(leader, 1).desired_state is RUNNING


def test_a_successor_of_a_task_on_a_dead_node_waits_only_for_the_delay():
    """Section 13: DOWN."""
    leader = moved()

    leader.change_node("n1", NodeState.DOWN)
    leader.run_for(99 * MS)
    assert newest(leader, 1).desired_state is READY
    leader.run_for(1 * MS)

    assert newest(leader, 1).desired_state is RUNNING
    assert leader.store.tasks["old"].desired_state is SHUTDOWN


def test_a_node_that_is_deleted_without_orphaning_its_tasks_makes_successors_wait_sixty_seconds():
    """Section 13, last line (P): the node object is gone before the wait begins."""
    leader = moved()

    leader.fake.delete(leader.store.nodes["n1"])
    leader.run(OLD_TASK_TIMEOUT - 1)
    assert newest(leader, 1).desired_state is READY
    leader.run(OLD_TASK_TIMEOUT)

    assert newest(leader, 1).desired_state is RUNNING


def test_a_node_that_dies_or_goes_while_a_successor_waits_for_its_task_releases_it():
    """Rule 6.4."""
    for how in ("down", "deleted"):
        leader = moved()
        leader.change_node("n1", availability=Availability.DRAIN)
        leader.run_for(SECOND)
        assert newest(leader, 1).desired_state is READY
        if how == "down":
            leader.change_node("n1", NodeState.DOWN)
        else:
            leader.fake.delete(leader.store.nodes["n1"])
        assert newest(leader, 1).desired_state is RUNNING, how


def test_the_deletion_of_the_old_task_wakes_nobody():
    """Rule 6.4: only its end does."""
    leader = moved()
    leader.change_node("n1", availability=Availability.DRAIN)
    leader.run_for(SECOND)

    leader.fake.delete(leader.store.tasks["old"])
    leader.run_for(SECOND)

    assert newest(leader, 1).desired_state is READY


def test_an_old_task_that_stops_before_the_delay_is_over_does_not_shorten_it():
    """Release = max(delay, min(old task gone, 60 s))."""
    leader = moved(delay=500 * MS)
    supervisor = leader.orchestrator.restarts
    old = leader.store.tasks["old"]
    new = task(leader.store.services["web"], 2, desired=READY, id="new")
    leader.fake.create(new)
    supervisor.delay_start(old, "new", 500 * MS, 0, 0, leader.fake.machines["replicatedorchestrator"])

    leader.run(100 * MS)
    leader.report(old, SHUTDOWN)
    leader.run(499 * MS)
    assert leader.store.tasks["new"].desired_state is READY
    leader.run(500 * MS)

    assert leader.store.tasks["new"].desired_state is RUNNING


def test_api_removal_of_a_node_restarts_its_orphans_after_the_delay():
    """P-029: ORPHANED and deleted in one transaction: nothing to wait for but the delay."""
    leader = moved()
    old = leader.store.tasks["old"]

    def remove_node(tx):
        tx.update(old.evolve(status=old.status.evolve(state=ORPHANED)))
        tx.delete(type(leader.store.nodes["n1"]), "n1")

    leader.fake.commit(remove_node)
    leader.run_for(99 * MS)
    assert newest(leader, 1).desired_state is READY
    leader.run_for(1 * MS)

    assert newest(leader, 1).desired_state is RUNNING
    assert len(leader.tasks("web")) == 2


# -- attempts --
def test_max_attempts_counts_the_replacements_of_each_slot():
    """O-085: any, max attempts 1; each slot's second failure is final."""
    leader = running(condition=ANY, max_attempts=1)

    for slot in (1, 2, 1, 2):
        ended(leader, slot, FAILED)
    leader.run_for(200 * MS)

    assert leader.pairs("web") == ["FAILED/SHUTDOWN"] * 4
    assert [e.reason for e in leader.fake.events(RestartRefused)] == ["max attempts 1 used up"] * 2


def test_an_update_gives_each_slot_its_attempts_anew():
    """O-086: with a new spec version, one slot after the other, each again gets exactly one restart."""
    leader = running(condition=ANY, max_attempts=1)
    for slot in (1, 2, 1, 2):
        ended(leader, slot, FAILED)

    leader.update("web", image="v:2")
    first = leader.live("web")
    assert len(first) == 1
    leader.report(first[0], RUNNING)
    assert len(leader.live("web")) == 2
    leader.run_for(6 * SECOND)
    for slot in (1, 2, 1, 2):
        ended(leader, slot, FAILED)
    leader.run_for(SECOND)

    assert leader.pairs("web") == ["FAILED/SHUTDOWN"] * 8


def test_attempts_are_counted_within_the_window_only():
    """O-088, O-089: max attempts 1, window 1 s."""
    leader = running(condition=ANY, max_attempts=1, window=SECOND)
    for slot in (1, 2):
        ended(leader, slot, FAILED)

    leader.run_for(100 * MS)
    ended(leader, 1, FAILED)
    leader.run_for(SECOND)
    ended(leader, 2, FAILED)

    assert [t.desired_state for t in leader.tasks("web") if t.slot == 1] == [SHUTDOWN, SHUTDOWN]
    assert [t.desired_state for t in leader.tasks("web") if t.slot == 2] == [SHUTDOWN, SHUTDOWN, RUNNING]


def test_moves_count_like_failures():
    """Quirk 8: max attempts 1, a dead node uses it up, the next real failure is final."""
    web = service("web", restart=policy(ANY, max_attempts=1))
    leader = Leader(web, node("n1"), node("n2"), task(web, 1, RUNNING, node="n1"))
    leader.start()

    leader.change_node("n1", NodeState.DOWN)
    ended(leader, 1, FAILED)

    assert len(leader.tasks("web")) == 2
    assert not leader.live("web")


def test_exhausted_attempts_do_not_let_a_reconcile_refill_the_slot():
    """Rule 6.6 (3)."""
    leader = running(replicas=1, condition=ANY, max_attempts=1)
    for _ in range(2):
        ended(leader, 1, FAILED)

    leader.update("web", labels={"touched": "yes"})

    assert not leader.live("web")


def test_a_restart_takes_the_service_as_it_is_now():
    """Rule 6.1 (5), quirk 6: while an update is paused an old task that fails comes back new."""
    leader = running(condition=ANY)
    web = leader.store.services["web"]
    newer = replace(web.spec, task=replace(web.spec.task, container=replace(web.spec.task.container, image="v:2")))
    leader.fake.write(web.evolve(spec=newer, spec_version=9, update_status=UpdateStatus(UpdateState.PAUSED)))
    ended(leader, 1, FAILED)

    assert newest(leader, 1).spec.container.image == "v:2"
    assert newest(leader, 2).spec.container.image == "v:1"


def test_an_old_spec_version_in_the_history_does_not_count_against_the_new_one():
    """Rule 6.3: a replacement of another version clears the entry first."""
    leader = running(replicas=1, condition=ANY, max_attempts=2)
    for _ in range(2):
        ended(leader, 1, FAILED)
    history = leader.orchestrator.restarts.history["web"]
    assert [h.total for h in history.values()] == [2]

    old = newest(leader, 1)
    leader.update("web", image="v:2")
    leader.report(old, SHUTDOWN)
    leader.report(newest(leader, 1), RUNNING)
    leader.run_for(6 * SECOND)
    ended(leader, 1, FAILED)

    assert [h.total for h in leader.orchestrator.restarts.history["web"].values()] == [1]
    assert len(leader.live("web")) == 1
