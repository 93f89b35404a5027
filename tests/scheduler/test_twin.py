"""The scheduler against its slow twin, on random clusters that change; and what must hold however they do."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from swarmsim.api.objects import Node, Task
from swarmsim.api.specs import Driver, Mount, Platform, TaskSpec
from swarmsim.api.states import Availability, NodeState, TaskState
from swarmsim.machine import Micros, Outbox
from swarmsim.manager.scheduler import Scheduler
from swarmsim.manager.scheduler.filters import FILTERS
from swarmsim.manager.scheduler.node_info import NodeInfo
from swarmsim.manager.scheduler.pipeline import PASSED
from swarmsim.trace.events import TaskNotPlaced, TaskPlaced

from .swarm import SETTLED, Swarm, host_port, node, running, service, spec, task, tasks
from .twin import Failure, Host, Placement, Twin, ports

MAX_TASKS = 40
LONG: Micros = 100_003_000  # three of these are more than the five minutes that failures count


class Checked(Scheduler):
    """Asks the twin before each group is placed, and compares."""

    failures: list[Failure]

    def _host(self, info: NodeInfo) -> Host:
        here = [t for t in self.tasks.values() if t.node_id == info.node.id and t.status.state > TaskState.PENDING]
        return Host(info.node, here)

    def _place_group(self, group: list[Task], out: Outbox) -> Any:
        rng = Random()
        rng.setstate(out.rng.getstate())
        twin = Twin([self._host(info) for info in self.nodes.order], self.failures, out.now, rng)
        left = [t.id for t in twin.place(group)]

        decisions = super()._place_group(group, out)

        placed = [d.event for d in decisions if type(d.event) is TaskPlaced]
        ids = {info.node.hostname: id for id, info in self.nodes.infos.items()}
        assert [_said(e, ids) for e in placed] == twin.placed
        assert [d.new.node_id for d in decisions if d.new.node_id] == [p.node for p in twin.placed]
        told = {e.explanation for d in decisions if type(e := d.event) is TaskNotPlaced}
        assert told <= {f"no suitable node ({twin.explain()})" if twin.explain() else "no suitable node"}
        assert {d.old.id for d in decisions if not d.new.node_id} <= set(left)
        assert len(placed) + len(left) == len(group)
        if left:  # only when nobody could take one more
            assert all(self._host(info).refuses(group[0]) for info in self.nodes.order)
        assert out.rng.getstate() == rng.getstate(), "one of them drew more"
        return decisions

    def _fit(self, task: Task, info: NodeInfo, verdict: int, now: Micros) -> Any:
        refused = self._host(info).refuses(task)
        assert (None if verdict == PASSED else FILTERS[verdict].name) == refused
        return super()._fit(task, info, verdict, now)


def _said(e: TaskPlaced, ids: dict[str, str]) -> Placement:
    assert sum(n for _, n, _ in e.refusals) >= len([name for _, _, names in e.refusals for name in names])
    return Placement(e.task, ids[e.node], e.tied, e.service_tasks, e.refused, e.ranks)


# -- random clusters --
AZ = st.sampled_from([{"az": "a"}, {"az": "b"}, {"az": "c"}, {}])
RACK = st.sampled_from([{"rack": "x"}, {"rack": "y"}, {}])
PLATFORMS = [Platform("linux", "amd64"), Platform("linux", "arm64"), Platform("windows", "amd64")]
KINDS = ["", "", "gpu=2", "gpu=5", "gpu=a,gpu=b,gpu=c", "gpu=a,gpu=b,fpga=1"]
PLUGINS = [(), (("Log", "json"),), (("Log", "json"), ("Volume", "nfs")), (("Volume", "nfs"),)]


@st.composite
def nodes(draw: st.DrawFn, id: str, kinds: str | None = None) -> Node:
    usual = draw(st.booleans())
    return node(
        id,
        labels={**draw(AZ), **draw(RACK)},
        state=NodeState.READY if usual else draw(st.sampled_from(NodeState)),
        availability=Availability.ACTIVE if usual else draw(st.sampled_from(Availability)),
        cpus=draw(st.integers(0, 8)),
        memory=draw(st.integers(0, 8)),
        kinds=draw(st.sampled_from(KINDS)) if kinds is None else kinds,
        platform=draw(st.sampled_from(PLATFORMS)),
        plugins=draw(st.sampled_from(PLUGINS)),
        described=usual or draw(st.integers(0, 3)) > 0,
    )


CONSTRAINTS = ["node.labels.az==a", "node.labels.az!=a", "node.labels.rack==x", "node.labels.rack!=y"]
PREFERENCES = [("node.labels.az",), ("node.labels.az", "node.labels.rack"), ("node.labels.rack", "nonsense"), ()]
NFS = Mount("volume", "/v", volume_driver="nfs")


@st.composite
def specs(draw: st.DrawFn) -> TaskSpec:
    plain = draw(st.integers(0, 2)) == 0
    if plain:
        return spec(preferences=draw(st.sampled_from(PREFERENCES)))
    return spec(
        cpus=draw(st.sampled_from([0, 0, 1, 3])),
        memory=draw(st.sampled_from([0, 0, 1, 2])),
        kinds=draw(st.sampled_from(["", "", "gpu=1", "gpu=2", "gpu=1,fpga=1"])),
        constraints=tuple(draw(st.lists(st.sampled_from(CONSTRAINTS), max_size=2))) if draw(st.booleans()) else (),
        preferences=draw(st.sampled_from(PREFERENCES)),
        max_replicas=draw(st.sampled_from([0, 0, 1, 2])),
        platforms=draw(st.sampled_from([(), (), (PLATFORMS[0],), (Platform("", "amd64"), PLATFORMS[1])])),
        mounts=draw(st.sampled_from([(), (), (NFS,)])),
        log=draw(st.sampled_from([None, None, Driver("json"), Driver("fluentd")])),
    )


class Story:
    """A cluster and what happens to it, drawn step by step."""

    def __init__(self, data: st.DataObject, most_nodes: int = 12) -> None:
        self.draw = data.draw
        self.swarm = Swarm(seed=self.draw(st.integers(0, 999), "seed"))
        self.failures: list[Failure] = []
        self.specs = self.draw(st.lists(specs(), min_size=1, max_size=3), "specs")
        self.ports = [self.draw(st.sampled_from([(), (), (("tcp", 80),)]), "ports") for _ in self.specs]
        self.count = 0
        count = self.draw(st.integers(1, most_nodes), "nodes")
        self.swarm.create(*(self.draw(nodes(f"n{i}"), "node") for i in range(count)))
        self.swarm.create(*(service(f"s{i}", 2, s) for i, s in enumerate(self.specs)))
        self.joined = count
        for _ in range(self.draw(st.integers(0, 8), "running before")):
            old = self.new_task(on=self.some_node(), state=TaskState.RUNNING, spec_version=2)
            self.swarm.create(old.evolve(endpoint=None))  # no two may hold a port that the scheduler never checked

    def new_task(self, **fields: Any) -> Task:
        of = self.draw(st.integers(0, len(self.specs) - 1), "of service")
        self.count += 1
        endpoint = host_port(*self.ports[of]) if self.ports[of] else None
        return task(f"t{self.count}", self.specs[of], service=f"s{of}", slot=self.count, endpoint=endpoint, **fields)

    def some_node(self) -> str:
        return self.draw(st.sampled_from(list(self.swarm.store.nodes)), "node")

    def start(self) -> None:
        scheduler = Checked("m1", self.swarm.store)
        scheduler.failures = self.failures
        self.swarm.add_machine(scheduler, "scheduler")
        self.swarm.run_for(SETTLED)

    def step(self) -> None:
        actions = [
            self.create,
            self.create,
            self.create_bound,
            self.end,
            self.stop,
            self.delete,
            self.change,
            self.wait,
        ]
        if self.joined < 15:
            actions.append(self.join)
        if len(self.swarm.store.nodes) > 1:
            actions.append(self.leave)
        self.draw(st.sampled_from(actions), "action")()
        self.swarm.run_for(self.draw(st.sampled_from([SETTLED, SETTLED, 20_000]), "settle"))

    def create(self) -> None:
        room = MAX_TASKS - self.count
        if room > 0:
            first = self.new_task(spec_version=self.draw(st.sampled_from([2, 2, 2, 1, None]), "version"))
            more = self.draw(st.integers(0, min(room, 9)), "more")
            same = [first.evolve(id=f"{first.id}.{i}", slot=100 * self.count + i) for i in range(more)]
            self.count += more
            self.swarm.create(first, *same)

    def create_bound(self) -> None:
        self.swarm.create(self.new_task(on=self.some_node()).evolve(slot=0))

    def live(self) -> list[Task]:
        """Tasks on nodes that are there."""
        store = self.swarm.store
        return [t for t in store.tasks.values() if TaskState.PENDING < t.status.state <= TaskState.RUNNING]

    def end(self) -> None:
        """Several at once, more often than not failing."""
        live = self.live()
        states = [TaskState.FAILED, TaskState.FAILED, TaskState.REJECTED, TaskState.COMPLETE]
        for t in live[: self.draw(st.integers(1, 6), "how many")]:
            state = self.draw(st.sampled_from(states), "ends")
            if state is not TaskState.COMPLETE and t.slot:
                self.failures.append(Failure(t.node_id, t.service_id, t.spec_version, self.swarm.now))
            self.swarm.write(t.evolve(status=t.status.evolve(state=state)))

    def stop(self) -> None:
        for t in self.live()[:2]:
            self.swarm.write(t.evolve(desired_state=TaskState.SHUTDOWN))

    def delete(self) -> None:
        for t in list(self.swarm.store.tasks.values())[: self.draw(st.integers(0, 3), "how many")]:
            self.swarm.delete(t)

    def change(self) -> None:
        """All but its user-defined resources: what a shrinking count leaves free depends on history, as in Go."""
        old = self.swarm.node_object(self.some_node())
        new: Node = self.draw(nodes(old.id, kinds=""), "changed")
        if new.description and old.description:
            resources = new.description.resources
            kept = type(resources)(resources.nano_cpus, resources.memory_bytes, old.description.resources.generic)
            new = new.evolve(description=new.description.evolve(resources=kept))
        self.swarm.write(new.evolve(description=new.description if old.description else None))

    def join(self) -> None:
        self.swarm.create(self.draw(nodes(f"n{self.joined}"), "joins"))
        self.joined += 1

    def leave(self) -> None:
        self.swarm.delete(self.swarm.node_object(self.some_node()))

    def wait(self) -> None:
        self.swarm.run_for(LONG)

    # -- what holds always --
    def check(self) -> None:
        on: dict[str, list[Task]] = {}
        for t in self.live():
            on.setdefault(t.node_id, []).append(t)
        for here in on.values():
            # Those that ran before the scheduler came were put there by nobody who asked.
            chosen = [t for t in here if t.status.state is TaskState.ASSIGNED]
            taken = Counter(p for t in chosen for p in ports(t))
            names = Counter((r.kind, name) for t in chosen for r in t.assigned_generic for name in r.names)
            assert max(taken.values(), default=0) <= 1, f"a port is taken twice: {taken}"
            assert max(names.values(), default=0) <= 1, f"a name is held twice: {names}"


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_scheduler_and_twin_agree(data: st.DataObject) -> None:
    """Placements, ties, ranks, refusals, explanations and random draws, whatever happened before."""
    story = Story(data)
    story.start()
    for _ in range(data.draw(st.integers(0, 12), "steps")):
        story.step()
    story.check()
    event("explained" if story.swarm.not_placed() else "all placed")


@given(st.lists(st.integers(0, 6), min_size=1, max_size=12), st.integers(1, 40), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_one_by_one_tasks_fill_up_from_below(loads: list[int], count: int, seed: int) -> None:
    """The rule determines the loads: water poured into vessels."""
    swarm = Swarm(seed=seed).start(*(node(f"n{i}") for i in range(len(loads))), service())
    for i, load in enumerate(loads):
        swarm.create(*running(f"old{i}-", f"n{i}", load))
    swarm.add(*tasks("t", count, spec_version=None))

    expected = sorted(loads)
    for _ in range(count):
        expected[0] += 1
        expected.sort()
    assert sorted(swarm.load().values()) == expected


@given(st.integers(1, 12), st.integers(0, 5), st.integers(1, 40), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_a_batch_on_equal_nodes_is_level(count: int, load: int, batch: int, seed: int) -> None:
    swarm = Swarm(seed=seed).start(*(node(f"n{i}") for i in range(count)), service())
    for i in range(count):
        swarm.create(*running(f"old{i}-", f"n{i}", load))
    swarm.add(*tasks("t", batch))

    after = swarm.load().values()
    assert max(after) - min(after) <= 1
    assert sum(after) == count * load + batch


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=12), st.integers(1, 40), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_a_batch_with_a_preference_is_level_over_its_values(values: list[str], batch: int, seed: int) -> None:
    """Over the values first, and over the nodes of each value then."""
    here = [node(f"n{i}", labels={"az": az}) for i, az in enumerate(values)]
    swarm = Swarm(seed=seed).start(*here, service())
    swarm.add(*tasks("t", batch, spec(preferences=("node.labels.az",))))

    load = list(swarm.load().values())
    by_value = {az: [n for n, where in zip(load, values, strict=True) if where == az] for az in values}
    totals = [sum(of) for of in by_value.values()]
    assert max(totals) - min(totals) <= 1
    assert all(max(of) - min(of) <= 1 for of in by_value.values())


@pytest.mark.parametrize("limit", [1, 4])
def test_trees_that_were_forgotten_grow_again(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the kinds of tasks placed last are remembered; that must not show."""
    results = []
    for most in (1_000, limit):
        monkeypatch.setattr("swarmsim.manager.scheduler.tree.Trees.MAX_TREES", most)
        swarm = Swarm(seed=3).start(*(node(f"n{i}") for i in range(10)), *(service(f"s{i}") for i in range(6)))
        for round_ in range(5):
            new = [tasks(f"t{round_}-{i}-", 1 + i, spec(memory=i), service=f"s{i}") for i in range(6)]
            swarm.add(*(t for of in new for t in of))
        results.append({t.id: t.node_id for t in swarm.store.tasks.values()})

    assert results[0] == results[1]
