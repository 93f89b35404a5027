"""Cluster (CSI) volumes in the scheduler (SwarmKit manager/scheduler/volumes.go, topology.go)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from swarmsim.api.objects import (
    Node,
    NodeCsiInfo,
    NodeDescription,
    Task,
    Volume,
    VolumeAttachment,
    VolumeInfo,
    VolumePublishStatus,
)
from swarmsim.api.specs import (
    Driver,
    Mount,
    NodeSpec,
    Topology,
    VolumeAccessMode,
    VolumeScope,
    VolumeSharing,
    VolumeSpec,
)
from swarmsim.api.states import Availability, PublishState, TaskState
from swarmsim.machine import SECOND
from swarmsim.manager.scheduler.volumes import (
    MissingVolumeError,
    Usage,
    VolumeSet,
    Wanted,
    is_in_topology,
    publish_on,
)

from .swarm import Swarm, running, service, spec, task, tasks
from .swarm import node as plain_node

SINGLE, MULTI = VolumeScope
NONE, READ_ONLY, ONE_WRITER, ALL = VolumeSharing
PENDING_PUBLISH, PUBLISHED, PENDING_NODE_UNPUBLISH, PENDING_UNPUBLISH = PublishState
NOWHERE = "no suitable node (cannot fulfill requested CSI volume mounts on {})"


def top(region: str = "", zone: str = "", shelf: str = "") -> Topology:
    named = {"region": region, "zone": zone, "shelf": shelf}
    return {domain: value for domain, value in named.items() if value}


def node(id: str, topology: Topology | None = None, **fields: Any) -> Node:
    made = plain_node(id, **fields)
    assert made.description is not None
    return made.evolve(description=made.description.evolve(csi=(NodeCsiInfo("csi", f"csi-{id}", topology),)))


def volume(
    id: str,
    scope: VolumeScope = SINGLE,
    sharing: VolumeSharing = ALL,
    *,
    group: str = "",
    accessible: tuple[Topology, ...] = (),
    created: bool = True,
    published: tuple[str, ...] = (),
    availability: Availability = Availability.ACTIVE,
) -> Volume:
    wanted = VolumeSpec(
        f"name-{id}", Driver("csi"), VolumeAccessMode(scope, sharing), group=group, availability=availability
    )
    info = VolumeInfo(f"csi-{id}", topologies=accessible) if created else None
    return Volume(id, wanted, tuple(VolumePublishStatus(n, PUBLISHED) for n in published), info)


def mount(source: str, read_only: bool = False, target: str = "/v") -> Mount:
    return Mount("cluster", target, source, read_only)


def mounting(*sources: str, read_only: bool = False, **fields: Any) -> Any:
    return spec(mounts=tuple(mount(s, read_only, f"/{i}") for i, s in enumerate(sources)), **fields)


def using(id: str, on: str, volumes: tuple[str, ...], read_only: bool = False, **fields: Any) -> Task:
    """A RUNNING task that was given these volumes."""
    given = tuple(VolumeAttachment(v, f"name-{v}", f"/{i}") for i, v in enumerate(volumes))
    wanted = mounting(*(f"name-{v}" for v in volumes), read_only=read_only)
    return task(id, wanted, on=on, state=TaskState.RUNNING, volumes=given, **fields)


def published(swarm: Swarm, id: str) -> dict[str, PublishState]:
    return {status.node_id: status.state for status in swarm.store.volumes[id].publish_status}


# -- topology --
@pytest.mark.parametrize(
    ("where", "accessible", "fits"),
    [
        (top("R1", "Z1"), [top("R1", "Z1")], True),  # O-235
        (top("R1", "Z2"), [top("R1", "Z1"), top("R1", "Z2")], True),  # O-236
        (top("R1", "Z3"), [top("R1", "Z1"), top("R1", "Z2")], False),
        (top("R1", "Z1"), [top("R2", "Z1")], False),  # O-238
        (top("R1", "Z1", "S1"), [top("R1", "Z1"), top("R1", "Z2")], True),  # O-239
        (top("R1", "Z1"), [top("R1", "Z1", "S1")], False),
        (top("R1", "Z1", "S1"), [top("R1", "Z1", "S2"), top("R1", "Z2", "S1"), top("R1", "Z1", "S1")], True),  # O-241
        (top("R1", "Z1"), [], True),
        (None, [], True),
        (None, [top("R1")], False),
    ],
)
def test_a_node_lies_in_a_topology_all_of_whose_segments_it_has(
    where: Topology | None, accessible: list[Topology], fits: bool
) -> None:
    """O-235, O-236, O-238, O-239, O-241 (TestIsInTopology): more segments than asked do no harm, fewer do."""
    assert is_in_topology(where, accessible) is fits


# -- usable on a node --
HERE, THERE = "here", "there"
WRITER, READER = False, True


@pytest.mark.parametrize(
    ("known", "uses", "read_only", "usable"),
    [
        (volume("v", accessible=(top("R2"),)), [], False, False),  # O-242
        (volume("v", SINGLE), [(THERE, READER)], False, False),
        (volume("v", MULTI, READ_ONLY), [], False, False),  # O-244
        (volume("v", MULTI, READ_ONLY), [(THERE, READER)], True, True),
        (volume("v", MULTI, ONE_WRITER), [(THERE, WRITER)], False, False),  # O-245
        (volume("v", MULTI, ONE_WRITER), [(THERE, WRITER)], True, True),
        (volume("v", MULTI, ONE_WRITER), [(THERE, READER)], False, True),
        (volume("v"), [], False, True),  # O-247
        (volume("v", MULTI), [(THERE, WRITER)], False, True),  # O-248
        (volume("v", SINGLE), [(HERE, WRITER)], False, True),
        (volume("v", SINGLE, NONE), [], False, True),  # O-250
        (volume("v", SINGLE, NONE), [(HERE, READER)], True, False),
        (volume("v", availability=Availability.PAUSE), [], False, False),
        (volume("v", availability=Availability.DRAIN), [], False, False),
    ],
)
def test_what_makes_a_volume_usable_on_a_node(
    known: Volume, uses: list[tuple[str, bool]], read_only: bool, usable: bool
) -> None:
    """O-242, O-244, O-245, O-247, O-248, O-250 (volumes_test.go, the table of checkVolume)."""
    volumes = VolumeSet()
    volumes.add_or_update(known)
    for i, (where, reads) in enumerate(uses):
        volumes.reserve("v", f"t{i}", Usage(where, reads))

    assert volumes.is_usable("v", node(HERE, top("R1", "Z1")), read_only) is usable


def test_the_topology_that_counts_is_that_of_the_volumes_driver() -> None:
    """O-242: a node's other drivers may see it elsewhere; a node without the driver is nowhere."""
    volumes = VolumeSet()
    volumes.add_or_update(volume("v", accessible=(top("R1"),)))
    other = NodeCsiInfo("other", topology=top("R1"))

    def described(*csi: NodeCsiInfo) -> Node:
        return Node("n", NodeSpec(), description=NodeDescription("n", csi=csi))

    assert volumes.is_usable("v", described(other, NodeCsiInfo("csi", topology=top("R1"))), False)
    assert not volumes.is_usable("v", described(other), False)
    assert not volumes.is_usable("v", Node("n", NodeSpec()), False)


def test_a_mount_names_a_volume_or_any_of_a_group() -> None:
    """O-251 (volumes_test.go, isVolumeAvailableOnNode)."""
    volumes, here = VolumeSet(), node("n")
    for known in (volume("v1"), volume("v2", group="someVolumeGroup"), volume("v3", group="someVolumeGroup")):
        volumes.add_or_update(known)

    def usable(source: str) -> str:
        return volumes.usable(Wanted(source, False), here)

    assert usable("name-v1") == "v1"
    assert usable("name-v3") == "v3"
    assert usable("unknown") == usable("group:unknown") == usable("v1") == ""
    assert usable("group:someVolumeGroup") in ("v2", "v3")

    volumes.remove(volume("v2", group="someVolumeGroup"))

    assert usable("group:someVolumeGroup") == "v3"
    assert usable("name-v2") == ""


def test_two_mounts_of_a_group_get_two_volumes_that_cannot_be_shared() -> None:
    """O-251 (volumes_test.go, chooseTaskVolumes): what is chosen counts as used while the rest is chosen."""
    volumes, here = VolumeSet(), node("n")
    for id in ("v1", "v2"):
        volumes.add_or_update(volume(id, SINGLE, NONE, group="g"))
    wanted = task("t", mounting("group:g", "group:g"))

    chosen = volumes.choose(wanted, here)

    assert chosen == (VolumeAttachment("v1", "group:g", "/0"), VolumeAttachment("v2", "group:g", "/1"))
    assert volumes.choose(wanted, here) == chosen, "nothing was booked"
    with pytest.raises(MissingVolumeError, match="cannot find volume to satisfy mount with source group:g"):
        volumes.choose(task("t", mounting(*["group:g"] * 3)), here)


# -- letting go --
def test_what_a_node_uses_no_more_is_to_be_unpublished_there() -> None:
    """O-253 (volumes_test.go, freeVolumes), with the decision that occasions it."""
    nodes = [node(f"n{i}") for i in range(4)]
    own = [volume(f"own{i}", published=(f"n{i}",)) for i in range(4)]
    shared = volume("shared", MULTI, published=tuple(n.id for n in nodes))
    uses = [using(f"t{i}", f"n{i}", (f"own{i}", "shared")) for i in range(4)]
    swarm = Swarm().start(*nodes, *own, shared, service(), *uses)

    swarm.end("t0", TaskState.SHUTDOWN)
    assert published(swarm, "own0") == {"n0": PUBLISHED}, "without a decision nothing is looked at"
    swarm.add(task("next"))

    assert swarm.where("next")
    assert [published(swarm, f"own{i}")[f"n{i}"] for i in range(4)] == [PENDING_NODE_UNPUBLISH, *[PUBLISHED] * 3]
    assert published(swarm, "shared") == {
        "n0": PENDING_NODE_UNPUBLISH,
        "n1": PUBLISHED,
        "n2": PUBLISHED,
        "n3": PUBLISHED,
    }


def test_only_what_is_published_is_let_go_of() -> None:
    """O-253; volumes.go freeVolumes: a volume on its way there, or away, is left alone."""
    states = (PENDING_PUBLISH, PENDING_NODE_UNPUBLISH, PENDING_UNPUBLISH)
    volumes = VolumeSet()
    there = volume("v", MULTI).evolve(publish_status=tuple(VolumePublishStatus(state.name, state) for state in states))
    volumes.add_or_update(there)

    assert volumes.unused_on(there) is None


# -- the pass --
@pytest.mark.parametrize("bound", [False, True])
def test_a_task_is_placed_once_its_volume_is_created(bound: bool) -> None:
    """O-254 (scheduler_ginkgo_test.go): created in the store is not enough, its driver must have made it."""
    waiting = task("t", mounting("name-v1"), on="n1" if bound else "")
    swarm = Swarm().start(node("n1"), service(), waiting)
    swarm.run_for(10 * SECOND)
    refusal = "cannot fulfill requested CSI volume mounts on 1 node"
    assert swarm.error("t") == (refusal if bound else f"no suitable node ({refusal})")

    swarm.add(volume("v1", created=False))
    assert swarm.task("t").status.state is TaskState.PENDING
    swarm.change(volume("v1"))

    placed = swarm.task("t")
    assert (placed.status.state, placed.node_id) == (TaskState.ASSIGNED, "n1")
    assert placed.volumes == (VolumeAttachment("v1", "name-v1", "/0"),)
    assert published(swarm, "v1") == {"n1": PENDING_PUBLISH}


def test_a_group_of_tasks_shares_a_volume_as_far_as_it_may_be_shared() -> None:
    """14.10: a volume of a single node keeps all its tasks there; one that cannot be shared has one task."""
    alike = Swarm().start(node("n1"), node("n2"), volume("v1"), service(), *tasks("t", 3, mounting("name-v1")))
    alone = Swarm().start(
        node("n1"), node("n2"), volume("v1", SINGLE, NONE), service(), *tasks("t", 2, mounting("name-v1"))
    )
    for swarm in (alike, alone):
        swarm.run_for(SECOND)

    assert sorted(alike.load().values()) == [0, 3]
    assert sorted(alone.load().values()) == [0, 1]
    waiting = next(t for t in alone.store.tasks.values() if not t.node_id)
    assert alone.error(waiting.id) == NOWHERE.format("2 nodes")


def test_a_volume_that_is_free_again_lets_a_waiting_task_run() -> None:
    """14.2: a task that ended is reason for a pass; its volume is free in the scheduler's own view."""
    swarm = Swarm().start(node("n1"), node("n2"), volume("v1", SINGLE, NONE), service())
    swarm.add(task("t1", mounting("name-v1")))
    swarm.add(task("t2", mounting("name-v1")))
    assert swarm.error("t2") == NOWHERE.format("2 nodes")

    swarm.end("t1", TaskState.FAILED)

    assert swarm.where("t2")


def test_a_volume_that_may_be_used_again_lets_a_waiting_task_run() -> None:
    """14.2: a volume that is updated is reason for a pass."""
    swarm = Swarm().start(node("n1"), volume("v1", availability=Availability.PAUSE), service())
    swarm.add(task("t", mounting("name-v1")))
    assert swarm.error("t") == NOWHERE.format("1 node")

    swarm.change(volume("v1"))

    assert swarm.where("t") == "n1"


def test_a_new_leader_finds_who_uses_which_volume() -> None:
    """14.10: what running tasks were given is in the store with them."""
    swarm = Swarm().start(
        node("n1"), node("n2"), volume("v1", SINGLE, ALL, published=("n2",)), service(), using("old", "n2", ("v1",))
    )

    swarm.add(*tasks("t", 2, mounting("name-v1")))

    assert swarm.load() == {"n1": 0, "n2": 3}
    assert published(swarm, "v1") == {"n2": PUBLISHED}


def test_one_volume_of_several_is_enough_for_the_filter() -> None:
    """14.10, a quirk (P): an unassigned task is ASSIGNED with no volumes at all, a bound one waits, saying why."""
    wanted = mounting("name-v1", "missing")
    swarm = Swarm().start(node("n1"), volume("v1"), service())

    swarm.add(task("free", wanted), task("bound", wanted, on="n1"))

    assert swarm.where("free") == "n1"
    assert swarm.task("free").volumes == ()
    assert swarm.error("bound") == "cannot find volume to satisfy mount with source missing"
    assert published(swarm, "v1") == {}


@pytest.mark.parametrize("loss", ["drained", "removed"])
def test_a_decision_fails_whose_volume_went_meanwhile(loss: str) -> None:
    """14.10 (C): the chosen volume is gone, or not ACTIVE any more: the task waits, and nothing is held for it."""
    swarm = Swarm().start(node("n1", cpus=1_000_000_000), volume("v1"), service(), service("other"))
    drained = volume("v1", availability=Availability.DRAIN)

    def interfere(tx: Any) -> None:
        if loss == "removed":
            tx.delete(Volume, "v1")
        else:
            tx.update(drained.evolve(version=tx.get(Volume, "v1").version))

    swarm.interfere = interfere
    swarm.add(task("t", mounting("name-v1", cpus=1_000_000_000)))

    assert swarm.task("t").status.state is TaskState.PENDING
    swarm.add(task("other", spec(cpus=1_000_000_000), service="other"))
    assert swarm.where("other") == "n1", "the resources were given back"
    swarm.end("other", TaskState.COMPLETE)
    assert swarm.error("t") == NOWHERE.format("1 node")


def test_a_volume_is_published_once_on_a_node() -> None:
    """14.10: a node that has a status there, whichever, gets no second one."""
    there = publish_on(volume("v", MULTI), "n1")

    assert there is not None
    assert publish_on(there, "n1") is None
    assert publish_on(there.evolve(publish_status=(VolumePublishStatus("n1", PENDING_UNPUBLISH),)), "n1") is None


def test_ends_of_tasks_on_other_nodes_leave_the_spread_alone() -> None:
    """A cluster without cluster volumes is placed as ever, with a volume added and taken away between."""
    swarm = Swarm().start(node("n1"), node("n2"), service(), *running("old", "n1", 2))
    swarm.add(volume("v1"))
    swarm.drop(volume("v1"))

    swarm.add(*tasks("t", 2))

    assert swarm.load() == {"n1": 2, "n2": 2}


# -- against the letter of the rules, on random clusters --
SHARINGS = [NONE, READ_ONLY, ONE_WRITER, ALL]
ZONES = ["", "Z1", "Z2"]


@st.composite
def volume_worlds(draw: st.DrawFn) -> tuple[list[Node], list[Volume], list[Task]]:
    nodes = [node(f"n{i}", top("R1", draw(st.sampled_from(ZONES)))) for i in range(draw(st.integers(1, 4)))]
    volumes = [
        volume(
            f"v{i}",
            draw(st.sampled_from([SINGLE, MULTI])),
            draw(st.sampled_from(SHARINGS)),
            group=draw(st.sampled_from(["", "g"])),
            accessible=draw(st.sampled_from([(), (top("R1", "Z1"),), (top("R1", "Z1"), top("R1", "Z2"))])),
        )
        for i in range(draw(st.integers(1, 3)))
    ]
    sources = st.sampled_from(["group:g", *(v.name for v in volumes)])
    kinds = draw(st.lists(st.tuples(sources, st.booleans(), st.integers(1, 3)), min_size=1, max_size=3))
    wanted = [
        task(f"t{k}-{i}", mounting(source, read_only=read_only), service=f"s{k}")
        for k, (source, read_only, count) in enumerate(kinds)
        for i in range(count)
    ]
    return nodes, volumes, wanted


def permitted(known: Volume, uses: list[tuple[str, bool]]) -> bool:
    """Do these uses (node, read only), in whatever order they came, bear with the access mode?"""
    mode = known.spec.access_mode
    assert mode is not None
    writers = sum(not read_only for _, read_only in uses)
    if mode.scope is SINGLE and len({where for where, _ in uses}) > 1:
        return False
    return {NONE: len(uses) <= 1, READ_ONLY: not writers, ONE_WRITER: writers <= 1, ALL: True}[mode.sharing]


@settings(max_examples=150, deadline=None)
@given(volume_worlds())
def test_no_volume_is_used_against_its_mode_and_no_task_waits_that_could_run(
    world: tuple[list[Node], list[Volume], list[Task]],
) -> None:
    """14.10, by brute force: the uses of each volume together are permitted, and one more would not be anywhere."""
    nodes, volumes, wanted = world
    swarm = Swarm().start(*nodes, *volumes, *[service(f"s{k}") for k in range(3)], *wanted)
    swarm.run_for(2 * SECOND)

    uses: dict[str, list[tuple[str, bool]]] = {v.id: [] for v in volumes}
    for placed in swarm.store.tasks.values():
        for given_volume in placed.volumes:
            uses[given_volume.id].append((placed.node_id, placed.spec.container.mounts[0].read_only))
    for known in volumes:
        assert permitted(known, uses[known.id]), (known, uses)
        assert set(published(swarm, known.id)) == {where for where, _ in uses[known.id]}
    for waiting in swarm.store.tasks.values():
        if waiting.node_id:
            assert len(waiting.volumes) == 1
            continue
        asked = waiting.spec.container.mounts[0]
        assert waiting.status.err == NOWHERE.format("1 node" if len(nodes) == 1 else f"{len(nodes)} nodes")
        for known in volumes:
            if asked.source not in (known.name, f"group:{known.spec.group}"):
                continue
            for place in nodes:
                assert place.description is not None
                accessible = known.info.topologies if known.info else ()
                fits = is_in_topology(place.description.csi[0].topology, accessible)
                assert not (fits and permitted(known, [*uses[known.id], (place.id, asked.read_only)]))


def test_replacing_the_spec_keeps_wanted_volumes_apart() -> None:
    """Tasks that mount other volumes are other tasks to the filters, of one service or not."""
    swarm = Swarm().start(
        node("n1", top("R1", "Z1")),
        node("n2", top("R1", "Z2")),
        volume("v1", accessible=(top("R1", "Z1"),)),
        volume("v2", accessible=(top("R1", "Z2"),)),
        service(),
    )
    first = task("t1", mounting("name-v1"))

    swarm.add(first, replace_mount(first, "t2", "name-v2"))

    assert (swarm.where("t1"), swarm.where("t2")) == ("n1", "n2")


def replace_mount(like: Task, id: str, source: str) -> Task:
    container = replace(like.spec.container, mounts=(mount(source, target="/0"),))
    return like.evolve(id=id, spec=replace(like.spec, container=container), spec_version=2)
