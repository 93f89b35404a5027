"""Whatever happens, once it has stopped the cluster comes to be as it shall be, and stays so.

Random histories of creating, scaling, updating and removing services, of failing tasks, of nodes that die, are drained,
paused and come back, and of leaders that change, with commits that take time. The stalls that the original is known for
are kept out: no restart policy that ends, no update that pauses.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from swarmsim.api.objects import Node, Service, Task, TaskStatus
from swarmsim.api.specs import FailureAction, Global, Replicated, UpdateConfig, UpdateOrder
from swarmsim.api.states import Availability, NodeState, TaskState
from swarmsim.machine import Handler, Machine, Outbox
from swarmsim.manager.orchestrator import ORCHESTRATORS
from swarmsim.store import Transaction

from .world import ANY, ON_FAILURE, RUNNING, SECOND, Leader, cluster, node, policy, service_spec

NODES = ("n0", "n1", "n2", "n3")
SERVICES = ("a", "b", "c")
SWEEP = SECOND // 2
PATIENCE = 2_000 * SECOND


class Sweeper(Machine):
    """Scheduler, dispatcher and agents in one: every half second it moves each task one step to where it shall be."""

    def __init__(self, leader: Leader) -> None:
        self.store = leader.store

    def on_start(self, saved: Any, out: Outbox) -> Handler:
        out.set_timer("sweep", SWEEP)
        return None

    def on_message(self, src: Any, message: Any, out: Outbox) -> Handler:
        return None

    def on_timer(self, name: Any, out: Outbox) -> Handler:
        out.set_timer("sweep", SWEEP)
        changes = [_step(task.id) for task in self.store.tasks.values() if task.status.state <= RUNNING]
        return self._write(changes, out) if changes else None

    def _write(self, changes: list[Any], out: Outbox) -> Any:
        yield out.batch(changes)


def _step(task_id: str) -> Any:
    def change(tx: Transaction) -> None:
        task = tx.get(Task, task_id)
        if task is None:
            return
        if not task.node_id:
            task = task.evolve(node_id=_place(tx, task))
        home = tx.get(Node, task.node_id)
        state = _next_state(task, home)
        if state > task.status.state:
            tx.update(task.evolve(status=TaskStatus(state, timestamp=tx.now, applied_at=tx.now)))

    return change


def _place(tx: Transaction, task: Task) -> str:
    free = [n for n in tx.all(Node) if _takes(n)]
    return min(free, key=lambda n: len(tx.tasks_on_node(n.id))).id if free else ""


def _takes(n: Node) -> bool:
    return n.status.state is NodeState.READY and n.spec.availability is Availability.ACTIVE


def _next_state(task: Task, home: Node | None) -> TaskState:
    """Nothing moves on a node that is not READY; a task that has no node yet needs one that takes tasks."""
    state, desired = task.status.state, task.desired_state
    if home is None or home.status.state is not NodeState.READY:
        return state
    if desired > TaskState.COMPLETE:
        return TaskState.SHUTDOWN if state >= TaskState.ASSIGNED else state
    if state < TaskState.ASSIGNED:
        return TaskState.ASSIGNED if _takes(home) else state
    return desired


class History:
    """Interprets random steps: each is a verb and numbers that pick what it is done to."""

    def __init__(self, latency: int, seed: int) -> None:
        self.leader = Leader(
            cluster(task_history_limit=2), *(node(n) for n in NODES), seed=seed, commit_latency=latency
        )
        self.out = self.leader.fake.add_machine(Sweeper(self.leader))
        self.made = 0
        self.lead()

    def lead(self) -> None:
        for name, make in ORCHESTRATORS.items():
            self.leader.start(make, name)

    def step(self, verb: str, i: int, j: int) -> None:
        getattr(self, verb)(i, j)

    def write(self, change: Any) -> None:
        """By an operator: waits for the lock like everybody."""

        def handler() -> Any:
            yield self.out.update(change)

        self.out.start(handler())

    def change_service(self, i: int, evolve: Any, mode: type = object) -> None:
        """Every update differs in a label: one that changes nothing lets the running updater end without a word, and
        without the reconcile that mends a slot with two tasks (as in the original)."""
        name = SERVICES[i % len(SERVICES)]
        self.made += 1
        labels = {"made": str(self.made)}

        def change(tx: Transaction) -> None:
            old = next((s for s in tx.all(Service) if s.spec.name == name), None)
            if old is not None and isinstance(old.spec.mode, mode):
                fields = {"previous_spec": old.spec, "previous_spec_version": old.spec_version}
                spec = replace(evolve(old.spec), labels=labels)
                tx.update(old.evolve(spec=spec, spec_version=tx.store.index, update_status=None, **fields))

        self.write(change)

    def change_node(self, i: int, evolve: Any) -> None:
        def change(tx: Transaction) -> None:
            tx.update(evolve(tx.get(Node, NODES[i % len(NODES)])))

        self.write(change)

    # -- steps --
    def wait(self, i: int, j: int) -> None:
        self.leader.run_for(i * 300_000 + j * 7_000)

    def create(self, i: int, j: int) -> None:
        self.made += 1
        name, id = SERVICES[i % len(SERVICES)], f"id{self.made}"
        mode = Global() if j % 3 == 0 else Replicated(j)
        config = UpdateConfig(j % 3, (j % 2) * SECOND, FailureAction.CONTINUE, SECOND, order=UpdateOrder(i % 2))
        restart = policy(ON_FAILURE if j % 2 else ANY, (i % 4) * SECOND)
        spec = service_spec(name, mode, f"{name}:{j}", restart, config)

        def change(tx: Transaction) -> None:
            if all(s.spec.name != name for s in tx.all(Service)):
                tx.create(Service(id, spec))

        self.write(change)

    def scale(self, i: int, j: int) -> None:
        def evolve(spec: Any) -> Any:
            return replace(spec, mode=Replicated(j)) if isinstance(spec.mode, Replicated) else spec

        self.change_service(i, evolve)

    def update(self, i: int, j: int) -> None:
        def evolve(spec: Any) -> Any:
            container = replace(spec.task.container, image=f"{spec.name}:{j}")
            return replace(spec, task=replace(spec.task, container=container))

        self.change_service(i, evolve)

    def remove(self, i: int, j: int) -> None:
        def change(tx: Transaction) -> None:
            for old in tx.all(Service):
                if old.spec.name == SERVICES[i % len(SERVICES)]:
                    tx.delete(Service, old.id)

        self.write(change)

    def fail(self, i: int, j: int) -> None:
        def change(tx: Transaction) -> None:
            running = [t for t in tx.all(Task) if TaskState.ASSIGNED <= t.status.state <= RUNNING]
            if running:
                one = running[(i * 8 + j) % len(running)]
                tx.update(one.evolve(status=TaskStatus(TaskState.FAILED, timestamp=tx.now, applied_at=tx.now)))

        self.write(change)

    def down(self, i: int, j: int) -> None:
        self.change_node(i, lambda n: n.evolve(status=n.status.evolve(state=NodeState.DOWN)))

    def up(self, i: int, j: int) -> None:
        self.change_node(i, lambda n: n.evolve(status=n.status.evolve(state=NodeState.READY)))

    def available(self, i: int, j: int) -> None:
        self.change_node(i, lambda n: n.evolve(spec=replace(n.spec, availability=Availability(j % 3))))

    def new_leader(self, i: int, j: int) -> None:
        """What the last leader proposed is committed, or lost, before the next one begins."""
        for name in ORCHESTRATORS:
            self.leader.fake.stop(name)
        while self.leader.fake.busy:
            self.leader.run_for(1_000)
        self.lead()

    # -- the end --
    def heal(self) -> None:
        """All nodes are back. Then global services are touched: where a node came and went beside an update, its
        updater may wait for good for a task that was shut down before it began, or a node may have two tasks (as in the
        original)."""
        for i in range(len(NODES)):
            self.up(i, 0)
            self.available(i, 0)
        self.leader.run_for(10 * SECOND)
        for i in range(len(SERVICES)):
            self.change_service(i, lambda spec: spec, Global)

    def complaints(self) -> list[str]:
        """What is not as it shall be."""
        store = self.leader.store
        found = [f"{t.name} of a removed service" for t in store.tasks.values() if t.service_id not in store.services]
        for one in store.services.values():
            live = [t for t in store.tasks_of_service(one.id) if t.desired_state <= TaskState.COMPLETE]
            places = sorted(t.node_id if isinstance(one.spec.mode, Global) else t.slot for t in live)
            wanted = list(NODES) if isinstance(one.spec.mode, Global) else list(range(1, one.spec.mode.replicas + 1))
            if len(set(places)) != len(places) or len(places) != len(wanted):
                found.append(f"{one.name}: {places} instead of {wanted}")
            found += [f"{t.name} is {t.status.state.name}" for t in live if t.status.state is not RUNNING]
            found += [f"{t.name} is outdated" for t in live if t.spec.container != one.spec.task.container]
        return found


VERBS = ["create", "wait", "wait", "scale", "update", "remove", "fail", "down", "up", "available", "new_leader"]
STEPS = st.tuples(
    st.sampled_from(VERBS),
    st.integers(0, 7),
    st.integers(0, 7),
)


# Shrinking takes minutes, and says no more than `steps` does.
@settings(max_examples=60, deadline=None, derandomize=True, phases=[Phase.generate])
@given(st.lists(STEPS, max_size=40), st.sampled_from([0, 5_000]), st.integers(0, 3))
def test_any_history_ends_in_the_desired_state(steps, latency, seed):
    """design/tla EventuallyAsDesired: unless somebody goes on disturbing, what is wanted comes about and stays."""
    history = History(latency, seed)
    for step in steps:
        history.step(*step)
    history.heal()

    while history.complaints() and history.leader.fake.now < PATIENCE:
        history.leader.run_for(5 * SECOND)
    history.leader.run_for(400 * SECOND)  # an old task is waited for 60 s, in an update one after another

    assert not history.complaints()
    written = [when for when, _ in history.leader.fake.commits]
    assert not written or written[-1] <= history.leader.fake.now - 60 * SECOND


def test_the_same_history_gives_the_same_store():
    """Everything that is left to chance comes from the machines' own streams."""
    script = [("create", 0, 5), ("create", 1, 3), ("wait", 4, 0), ("update", 0, 2), ("wait", 3, 1), ("fail", 1, 1)]
    script += [("down", 1, 0), ("wait", 5, 5), ("new_leader", 0, 0), ("scale", 0, 7), ("wait", 7, 7), ("remove", 1, 0)]
    stores = []
    for seed in (3, 3, 4):
        history = History(5_000, seed)
        for step in script:
            history.step(*step)
        history.heal()
        history.leader.run_for(100 * SECOND)
        stores.append(list(history.leader.store.tasks))
    assert stores[0] == stores[1]
    assert stores[0] != stores[2]


@pytest.mark.parametrize("verb", ["down", "available"])
def test_a_history_that_is_not_healed_is_noticed(verb):
    """The test above can fail: with all nodes gone nothing runs."""
    history = History(0, 0)
    history.step("create", 0, 4)
    for i in range(len(NODES)):
        history.step(verb, i, 1)

    history.leader.run_for(100 * SECOND)

    assert history.complaints()
