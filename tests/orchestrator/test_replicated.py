"""Replicated services: as many live slots as replicas."""

import pytest

from swarmsim.api.specs import Replicated
from swarmsim.api.states import Availability, NodeState
from swarmsim.manager.orchestrator.slot import survivors_first
from swarmsim.trace.events import RestartScheduled

from .world import (
    ANY,
    FAILED,
    MS,
    NEW,
    NONE,
    READY,
    REMOVED,
    RUNNING,
    SHUTDOWN,
    Agents,
    Leader,
    cluster,
    node,
    policy,
    service,
    task,
)


def test_services_that_exist_at_the_start_get_their_tasks():
    """O-058."""
    leader = Leader(service("web", Replicated(2)))

    leader.start()

    assert leader.pairs("web") == ["NEW/RUNNING"] * 2
    assert [t.slot for t in leader.tasks("web")] == [1, 2]


def test_a_new_service_gets_its_tasks_in_one_transaction():
    """O-059."""
    leader = Leader(service("web", Replicated(2)))
    leader.start()

    leader.fake.create(service("second", Replicated(1)))

    assert leader.pairs("second") == ["NEW/RUNNING"]
    assert len(leader.fake.commits[-1][1]) == 1


def test_more_replicas_make_more_tasks_and_fewer_mark_the_surplus_to_be_removed():
    """O-061."""
    leader = Leader(service("web", Replicated(1)))
    leader.start()

    leader.update("web", replicas=3)
    assert leader.pairs("web") == ["NEW/RUNNING"] * 3
    leader.update("web", replicas=1)

    assert leader.pairs("web") == ["NEW/REMOVE", "NEW/REMOVE", "NEW/RUNNING"]


def test_a_live_task_that_is_deleted_is_created_anew():
    """O-062."""
    leader = Leader(service("web", Replicated(2)))
    leader.start()
    first = leader.tasks("web")[0]

    leader.fake.delete(first)

    assert sorted(t.slot for t in leader.tasks("web")) == [1, 2]
    assert first.id not in leader.store.tasks


def seven_tasks() -> Leader:
    """One task on node1, two on node2, three on node3; slot 6 is not assigned yet."""
    web = service("web", Replicated(7))
    placed = {1: "node1", 2: "node2", 3: "node2", 4: "node3", 5: "node3", 6: "", 7: "node3"}
    running = (1, 2, 4)
    tasks = [task(web, slot, RUNNING if slot in running else NEW, node=on) for slot, on in placed.items()]
    return Leader(web, *tasks, *(node(f"node{i}") for i in (1, 2, 3)))


def removed(leader: Leader) -> list[int]:
    return sorted(t.slot for t in leader.tasks("web", REMOVED))


def test_a_scale_down_takes_unassigned_tasks_first_then_those_on_crowded_nodes():
    """O-064: those that run before those that do not, low slots before high ones."""
    leader = seven_tasks()
    leader.start()

    leader.update("web", replicas=6)
    assert removed(leader) == [6]
    leader.fake.delete(*leader.tasks("web", REMOVED))
    leader.update("web", replicas=4)

    assert removed(leader) == [5, 7]  # node3 keeps slot 4, which runs


def test_a_scale_down_keeps_what_runs_on_each_node():
    """O-065."""
    web = service("web", Replicated(4))
    placed = {1: ("node1", NEW), 2: ("node2", RUNNING), 3: ("node2", NEW), 4: ("node3", RUNNING)}
    tasks = [task(web, slot, state, node=on) for slot, (on, state) in placed.items()]
    leader = Leader(web, *tasks, *(node(f"node{i}") for i in (1, 2, 3)))
    leader.start()

    leader.update("web", replicas=2)

    assert removed(leader) == [1, 3]


def test_slots_with_several_tasks_go_before_crowded_nodes():
    """Rule 5.3 (2): their index is -1, which sorts last."""
    web = service("web")
    single = [task(web, 1, RUNNING, node="n1")]
    crowded = [task(web, 2, RUNNING, node="n1")]
    double = [task(web, 3, RUNNING, node="n2"), task(web, 3, NEW, id="twin")]

    assert survivors_first([double, crowded, single]) == [single, crowded, double]


def test_a_failed_task_found_at_the_start_is_restarted():
    """O-067."""
    web = service("web", Replicated(2), restart=policy(ANY, 100 * MS))
    leader = Leader(web, task(web, 1, FAILED), task(web, 2, RUNNING))

    leader.start()

    assert leader.pairs("web") == ["FAILED/SHUTDOWN", "NEW/READY", "RUNNING/RUNNING"]


def test_a_task_found_on_a_dead_node_at_the_start_is_restarted():
    """O-068."""
    web = service("web", restart=policy(ANY, 100 * MS))
    leader = Leader(web, node("n1", NodeState.DOWN), task(web, 1, RUNNING, node="n1"))

    leader.start()

    assert leader.pairs("web") == ["NEW/READY", "RUNNING/SHUTDOWN"]


def drained_world() -> Leader:
    web = service("web", Replicated(6), restart=policy(NONE))
    nodes = [
        node("id1"),
        node("id2", NodeState.DOWN),
        node("id3", NodeState.UNKNOWN),
        node("id4", availability=Availability.PAUSE),
        node("id5", availability=Availability.DRAIN),
    ]
    tasks = [task(web, 1, id="t0"), *(task(web, i + 1, node=f"id{i}", id=f"t{i}") for i in range(1, 6))]
    return Leader(web, *nodes, *tasks)


def shut_down(leader: Leader) -> list[str]:
    return [t.id for t in leader.tasks("web", SHUTDOWN)]


def test_only_down_and_drained_nodes_lose_their_tasks():
    """O-070: unknown and paused ones keep theirs; with condition none nothing comes instead."""
    leader = drained_world()

    leader.start()

    assert shut_down(leader) == ["t2", "t5"]
    assert len(leader.tasks("web")) == 6


def test_a_task_that_appears_on_a_dead_node_is_shut_down_at_once():
    """O-071."""
    leader = drained_world()
    leader.start()

    leader.fake.create(task(leader.store.services["web"], 7, node="id2", id="newtask"))

    assert "newtask" in shut_down(leader)


def test_a_node_that_is_deleted_loses_its_tasks():
    """O-073."""
    leader = drained_world()
    leader.start()

    leader.fake.delete(leader.store.nodes["id1"])

    assert "t1" in shut_down(leader)


def test_a_drained_nodes_tasks_move_without_restart_delay_once_they_have_stopped():
    """P-028: DRAIN, the old task stops after 300 ms; the delay of 100 ms is not added."""
    web = service("web", restart=policy(ANY, 100 * MS))
    leader = Leader(web, node("n1"), node("n2"), task(web, 1, RUNNING, node="n1"))
    leader.start()

    leader.change_node("n1", availability=Availability.DRAIN)
    old, new = leader.tasks("web")
    leader.run_for(299 * MS)
    assert leader.task_desired(new.id) == "READY"
    leader.report(old, SHUTDOWN)

    assert leader.task_desired(new.id) == "RUNNING"
    assert leader.fake.events(RestartScheduled)[0].delay == 0


@pytest.mark.parametrize(("condition", "live"), [(NONE, 1), (ANY, 2)])
def test_a_slot_scaled_away_and_back_before_it_stopped_is_lost_when_its_policy_forbids_restarts(condition, live):
    """P-013: scale 2, 1, 2 while the old task still stops. Quirk 14."""
    leader = Leader(service("web", Replicated(2), restart=policy(condition)))
    leader.start()
    for one in leader.tasks("web"):
        leader.report(one, RUNNING)

    leader.update("web", replicas=1)
    leader.update("web", replicas=2)

    assert len(leader.live("web")) == live
    assert sorted(t.slot for t in leader.live("web")) == [1, 2][:live]


def test_a_dead_slot_loses_its_tasks_at_the_next_reconcile_even_while_they_run():
    """P-014, quirk 13: scale 3 to 1, the tasks run on; then only a label changes."""
    leader = Leader(service("web", Replicated(3)))
    leader.start()
    for one in leader.tasks("web"):
        leader.report(one, RUNNING)
    leader.update("web", replicas=1)
    assert leader.pairs("web") == ["RUNNING/REMOVE", "RUNNING/REMOVE", "RUNNING/RUNNING"]

    leader.update("web", labels={"a": "b"})

    assert leader.pairs("web") == ["RUNNING/RUNNING"]


def test_a_service_that_is_removed_takes_all_its_tasks_along_history_included():
    """Rule 5.1: desired REMOVE, whatever they were."""
    web = service("web", Replicated(2), restart=policy(ANY, 0, max_attempts=3))
    leader = Leader(web)
    orchestrator = leader.start()
    leader.report(leader.tasks("web")[0], FAILED)
    assert orchestrator.restarts.history

    leader.fake.delete(leader.store.services["web"])

    assert {t.desired_state for t in leader.tasks("web")} == {REMOVED}
    assert len(leader.tasks("web")) == 3
    assert not orchestrator.restarts.history


def test_history_of_a_slot_that_lives_again_is_kept_and_that_of_others_is_not():
    """Rule 5.2 (2): too few live slots; dead slots 1 and 3 are left over, one new task is wanted."""
    web = service("web", Replicated(2), restart=policy(ANY))
    history = [task(web, slot, SHUTDOWN, SHUTDOWN) for slot in (1, 3)]
    leader = Leader(web, task(web, 2, RUNNING), *history)

    leader.start()

    assert sorted((t.slot, t.desired_state) for t in leader.tasks("web")) == [(1, RUNNING), (1, SHUTDOWN), (2, RUNNING)]


def test_a_restart_ends_its_chain_of_causes_at_the_event_that_made_it():
    """The replaced and the new task, and the record of the restart, carry the cause of the node's change."""
    web = service("web", Replicated(2), restart=policy(ANY, 10 * MS))
    leader = Leader(web, node("n1"), *(task(web, i, RUNNING, node="n1") for i in (1, 2)))
    leader.start()
    down = leader.store.nodes["n1"]
    down = down.evolve(status=down.status.evolve(state=NodeState.DOWN))

    leader.fake.commit(lambda tx: tx.update(down), cause=42)

    changes = leader.fake.commits[-1][1]
    assert len(changes) == 4
    assert {change.cause for change in changes} == {42}
    told = [r for r in leader.fake.trace if type(r.event) is RestartScheduled]
    assert [r.cause for r in told] == [42, 42]
    assert {r.event.reason for r in told} == {"n1 is down"}


def test_two_thousand_tasks_cost_no_more_each_than_twenty():
    """The work of one restart does not grow with the service: it looks at one task, not at all."""
    costs = []
    for replicas in (20, 2_000):
        leader = Leader(cluster(), service("web", Replicated(replicas)))
        leader.start()
        leader.fake.add_machine(Agents(leader))
        leader.run_for(MS)
        unlucky = leader.tasks("web")[7]
        looked_at = count_reads(leader)
        leader.report(unlucky, FAILED)
        costs.append(looked_at())
    assert costs[0] == costs[1]
    assert READY in {t.desired_state for t in leader.tasks("web")}


def count_reads(leader: Leader):
    """How many tasks the store's lists give away from now on."""
    given: list[int] = []

    def counted(read):
        def counting(key):
            found = read(key)
            given.append(len(found))
            return found

        return counting

    for name in ("tasks_of_service", "tasks_on_node", "tasks_in_slot"):
        setattr(leader.store, name, counted(getattr(leader.store, name)))
    return lambda: sum(given)
