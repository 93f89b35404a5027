"""Which nodes may take a task, filter by filter, and the words for those that may not."""

import pytest

from swarmsim.api.objects import Network, NetworkAttachment, Node
from swarmsim.api.specs import Driver, Mount, NetworkSpec, Platform
from swarmsim.api.states import Availability, NodeState, TaskState
from swarmsim.machine import SECOND
from swarmsim.manager.scheduler.filters import FILTERS
from swarmsim.manager.scheduler.pipeline import explanation

from .swarm import SETTLED, Swarm, host_port, node, running, service, spec, task, tasks


def swarm_with(*objects: object) -> Swarm:
    swarm = Swarm().start(service(), *objects)
    swarm.run_for(SETTLED)
    return swarm


# -- resources --
def test_resources_are_looked_at_after_readiness() -> None:
    """O-209 (TestSchedulerResourceConstraint)."""
    wanted = spec(cpus=2_000_000_000, memory=1 << 30, kinds="orange=2,apple=2")
    swarm = swarm_with(
        node("under", memory=1 << 20, kinds="orange=1,apple=1"),
        node("unknown1", state=NodeState.UNKNOWN, kinds="orange=3,apple=3"),
        node("unknown2", state=NodeState.UNKNOWN, kinds="orange=3,apple=3"),
        task("t", wanted),
    )
    assert swarm.error("t") == (
        "no suitable node (2 nodes not available for new tasks; insufficient resources on 1 node)"
    )

    swarm.add(node("big", kinds="orange=red,orange=blue,orange=green,apple=2"))

    assert swarm.where("t") == "big"
    held = {r.kind: r.names or r.count for r in swarm.task("t").assigned_generic}
    assert held == {"orange": ("red", "blue"), "apple": 2}


@pytest.mark.parametrize(
    "wanted",
    [spec(cpus=4_000_000_001), spec(memory=(8 << 30) + 1), spec(kinds="apple=4"), spec(kinds="pear=1")],
    ids=["cpus", "memory", "count", "kind"],
)
def test_each_resource_must_suffice(wanted: object) -> None:
    swarm = swarm_with(node("n1", kinds="apple=3"), task("t", wanted))  # type: ignore[arg-type]

    assert swarm.error("t") == "no suitable node (insufficient resources on 1 node)"


def test_all_of_a_node_may_be_reserved() -> None:
    swarm = swarm_with(node("n1", kinds="apple=3"), task("t", spec(cpus=4 * 10**9, memory=8 << 30, kinds="apple=3")))

    assert swarm.where("t") == "n1"


def test_a_reservation_of_named_resources_by_name_never_fits() -> None:
    """A task may reserve only integers; the control API's check has no effect."""
    swarm = swarm_with(node("n1", kinds="apple=red,apple=blue"), task("t", spec(kinds="apple=red")))

    assert swarm.error("t") == "no suitable node (insufficient resources on 1 node)"


def test_names_go_to_one_task_each() -> None:
    swarm = swarm_with(node("n1", kinds="gpu=a,gpu=b,gpu=c"), *tasks("t", 4, spec(kinds="gpu=1")))

    held = [name for t in swarm.store.tasks.values() for r in t.assigned_generic for name in r.names]
    assert sorted(held) == ["a", "b", "c"]
    assert swarm.load() == {"n1": 3}


def test_what_limits_say_is_not_reserved() -> None:
    """A task without reservations fits a node without resources."""
    swarm = swarm_with(node("n1", cpus=0, memory=0), task("t"))

    assert swarm.where("t") == "n1"


# -- plugins --
VOLUME1 = Mount("volume", "/v", "v", volume_driver="plugin1")
VOLUME2 = Mount("volume", "/w", "w", volume_driver="plugin2")
LOG = ("Log", "default")
NODE1 = node("n1", plugins=(("Volume", "plugin1"), LOG))
NODE2 = node("n2", plugins=(("Volume", "plugin1"), ("Volume", "plugin2"), LOG))
NODE3 = node("n3", plugins=(("Network", "plugin1"), LOG))
NODE4 = node("n4", plugins=(("Log", "plugin1"),))


def test_the_drivers_of_volumes_must_be_installed() -> None:
    """O-223 (TestSchedulerPluginConstraint): a bind mount asks for nothing."""
    swarm = swarm_with(NODE1)
    swarm.add(task("t1", spec(mounts=(VOLUME1,))))
    swarm.add(task("t2", spec(mounts=(Mount("bind", "/v", "/src"),))))

    assert swarm.where("t1") == swarm.where("t2") == "n1"


def test_all_drivers_of_a_task_must_be_on_one_node() -> None:
    """O-224 (TestSchedulerPluginConstraint)."""
    swarm = swarm_with(NODE1)
    swarm.add(task("t", spec(mounts=(VOLUME1, VOLUME2))))
    assert swarm.error("t") == "no suitable node (missing plugin on 1 node)"

    swarm.add(NODE2)

    assert swarm.where("t") == "n2"


@pytest.mark.parametrize("driver", ["", "local"])
def test_the_local_volume_driver_is_everywhere(driver: str) -> None:
    swarm = swarm_with(node("n1", plugins=()), task("t", spec(mounts=(Mount("volume", "/v", volume_driver=driver),))))

    assert swarm.where("t") == "n1"


def test_the_drivers_of_networks_must_be_installed() -> None:
    swarm = swarm_with(NODE1, NODE2, Network("net", NetworkSpec("net", driver="plugin1")))
    swarm.add(task("t", networks=(NetworkAttachment("net"),)))
    assert swarm.error("t") == "no suitable node (missing plugin on 2 nodes)"

    swarm.add(NODE3)

    assert swarm.where("t") == "n3"


def test_the_log_driver_must_be_installed() -> None:
    """O-226 (TestSchedulerPluginConstraint)."""
    swarm = swarm_with(NODE1, NODE2, NODE3)
    swarm.add(task("t1", spec(log=Driver("plugin1"))))
    assert swarm.error("t1") == "no suitable node (missing plugin on 3 nodes)"

    swarm.add(NODE4)
    swarm.add(task("t2", spec(log=Driver("plugin1"))))

    assert swarm.where("t1") == swarm.where("t2") == "n4"


@pytest.mark.parametrize("name", ["none", ""])
def test_no_log_driver_is_needed_for_none_or_a_nameless_one(name: str) -> None:
    """O-227 (same)."""
    swarm = swarm_with(NODE1, NODE2, NODE3, NODE4, task("t", spec(log=Driver(name))))

    assert swarm.where("t")


def test_a_node_that_lists_no_log_drivers_takes_any() -> None:
    """An engine too old to tell."""
    swarm = swarm_with(node("old", plugins=(("Network", "overlay"),)), task("t", spec(log=Driver("plugin1"))))

    assert swarm.where("t") == "old"


def test_a_node_that_has_not_described_itself_has_every_plugin() -> None:
    swarm = swarm_with(node("new", described=False), task("t", spec(mounts=(VOLUME1,), log=Driver("plugin1"))))

    assert swarm.where("t") == "new"


def test_a_plugin_may_be_installed_under_its_latest_tag() -> None:
    swarm = swarm_with(node("n1", plugins=(("Volume", "plugin1:latest"),)), task("t", spec(mounts=(VOLUME1,))))
    swarm.add(node("n2", plugins=(("Volume", "plugin2:next"),)), task("t2", spec(mounts=(VOLUME2,))))

    assert swarm.where("t") == "n1"
    assert swarm.error("t2") == "no suitable node (missing plugin on 2 nodes)"


# -- constraints: the language has its own tests --
def test_constraints_are_the_tasks_own() -> None:
    swarm = swarm_with(node("n1", labels={"disk": "hdd"}), task("t", spec(constraints=("node.labels.disk==ssd",))))
    assert swarm.error("t") == "no suitable node (scheduling constraints not satisfied on 1 node)"

    swarm.change(node("n1", labels={"disk": "ssd"}))

    assert swarm.where("t") == "n1"


def test_a_constraint_that_does_not_parse_switches_all_of_them_off() -> None:
    swarm = swarm_with(node("n1"), task("t", spec(constraints=("node.id==n2", "nonsense"))))

    assert swarm.where("t") == "n1"


# -- platforms --
PLATFORMS = (
    node("node1", platform=Platform("linux", "x86_64")),
    node("node2", platform=Platform("windows", "amd64")),
    node("node3", platform=Platform()),
)


@pytest.mark.parametrize(
    "platforms, nodes",
    [
        ((Platform("linux", "amd64"),), ["node1"]),
        ((), ["node2", "node3"]),  # O-215, after a task on node1
        ((Platform("linux", "amd64"), Platform("windows", "x86_64")), ["node1", "node2"]),  # O-217
        ((Platform("", "amd64"),), ["node1", "node2"]),
        ((Platform("windows", ""),), ["node2"]),
    ],
)
def test_the_image_must_be_made_for_the_platform(platforms: tuple[Platform, ...], nodes: list[str]) -> None:
    """O-215, O-217 (TestSchedulerCompatiblePlatform): an empty part matches any; x86_64 is amd64."""
    for seed in range(4):
        swarm = Swarm(seed=seed).start(service(), *PLATFORMS, *running("old", "node1", 0 if platforms else 1))
        swarm.add(task("t", spec(platforms=platforms)))

        assert swarm.where("t") in nodes


def test_no_node_of_the_platform() -> None:
    """O-214 (same)."""
    swarm = swarm_with(*PLATFORMS, task("t", spec(platforms=(Platform("linux", "arm"),))))

    assert swarm.error("t") == "no suitable node (unsupported platform on 3 nodes)"


@pytest.mark.parametrize(
    "image, host, fits", [("aarch64", "arm64", True), ("arm64", "aarch64", True), ("ARM64", "arm64", False)]
)
def test_arm_has_two_names_and_case_matters(image: str, host: str, fits: bool) -> None:
    swarm = swarm_with(
        node("n1", platform=Platform("linux", host)), task("t", spec(platforms=(Platform("linux", image),)))
    )

    assert bool(swarm.task("t").node_id) is fits


def test_a_node_that_has_not_described_itself_has_no_platform() -> None:
    swarm = swarm_with(node("new", described=False), task("t", spec(platforms=(Platform("", ""),))))

    assert swarm.error("t") == "no suitable node (unsupported platform on 1 node)"


def test_an_unknown_platform_matches_nothing_not_even_wildcards() -> None:
    """Rule 14.4 (5): the node's platform must be known."""
    swarm = swarm_with(node("n", platform=Platform()), task("t", spec(platforms=(Platform("", ""),))))

    assert swarm.error("t") == "no suitable node (unsupported platform on 1 node)"


def test_a_platform_with_an_empty_part_matches_any() -> None:
    swarm = swarm_with(
        node("n1", platform=Platform("linux", "arm64")), task("t", spec(platforms=(Platform("linux", ""),)))
    )

    assert swarm.where("t") == "n1"


# -- host ports --
def test_a_host_port_is_taken_once_on_a_node() -> None:
    """O-229 (TestSchedulerHostPort): the same number of another protocol is another port."""
    swarm = swarm_with(node("n1"), node("n2"))
    swarm.add(task("t1", endpoint=host_port(("tcp", 58))))
    swarm.add(task("t2", endpoint=host_port(("udp", 58))))
    assert {swarm.where("t1"), swarm.where("t2")} == {"n1", "n2"}

    swarm.add(task("t3", endpoint=host_port(("udp", 58), ("tcp", 58))))

    assert swarm.error("t3") == "no suitable node (host-mode port already in use on 2 nodes)"


def test_one_task_of_a_service_with_a_host_port_per_node() -> None:
    swarm = swarm_with(node("n1"), node("n2"), *tasks("t", 3, endpoint=host_port(("tcp", 80))))

    assert swarm.load() == {"n1": 1, "n2": 1}


def test_a_host_port_without_number_takes_nothing() -> None:
    swarm = swarm_with(node("n1"), *tasks("t", 3, endpoint=host_port(("tcp", 0))))

    assert swarm.load() == {"n1": 3}


# -- max replicas per node --
def test_no_more_replicas_on_a_node_than_its_placement_allows() -> None:
    """O-230 (TestSchedulerMaxReplicas); the words have no count."""
    swarm = swarm_with(node("n1"), node("n2"), *tasks("t", 2, spec(max_replicas=1)))
    assert swarm.load() == {"n1": 1, "n2": 1}

    swarm.add(task("third", spec(max_replicas=1)))

    assert swarm.error("third") == "no suitable node (max replicas per node limit exceed)"


def test_max_replicas_counts_tasks_of_the_service_only() -> None:
    swarm = swarm_with(node("n1"), *running("other", "n1", 3, service="other"), task("t", spec(max_replicas=1)))

    assert swarm.where("t") == "n1"


# -- cluster volumes --
def test_a_task_that_mounts_a_cluster_volume_waits() -> None:
    """O-254, without any volume: still PENDING after ten seconds."""
    swarm = swarm_with(node("n1"), task("t", spec(mounts=(Mount("cluster", "/v", "group:v"),))))
    swarm.run_for(10 * SECOND)

    assert swarm.error("t") == "no suitable node (cannot fulfill requested CSI volume mounts on 1 node)"


def test_a_node_is_charged_to_max_replicas_before_cluster_volumes() -> None:
    wanted = spec(mounts=(Mount("cluster", "/v", "v"),), max_replicas=1)
    swarm = swarm_with(node("n1"), node("n2"), node("n3"), *running("old", "n1"), task("t", wanted))

    assert swarm.error("t") == (
        "no suitable node (cannot fulfill requested CSI volume mounts on 2 nodes; max replicas per node limit exceed)"
    )
    assert swarm.not_placed()[0].refusals == (("max_replicas", 1, ("n1",)), ("volumes", 2, ("n2", "n3")))


# -- the order of the filters, and the words --
def test_filters_are_asked_in_the_order_of_the_original() -> None:
    """pipeline.go `defaultFilters`."""
    names = ["ready", "resources", "plugins", "constraints", "platforms", "host_port", "max_replicas", "volumes"]

    assert [f.name for f in FILTERS] == names


@pytest.mark.parametrize("failing", range(7))
def test_the_first_filter_that_refuses_is_charged(failing: int) -> None:
    """A node that fails a filter and all after it."""
    good = {
        "availability": Availability.ACTIVE,
        "memory": 8 << 30,
        "plugins": (("Volume", "plugin1"), LOG),
        "labels": {"disk": "ssd"},
        "platform": Platform("linux", "arm64"),
    }
    bad = {
        "availability": Availability.PAUSE,
        "memory": 0,
        "plugins": (LOG,),
        "labels": {},
        "platform": Platform("windows", "arm64"),
    }
    described = {key: good[key] if i < failing else bad[key] for i, key in enumerate(good)}
    where: Node = node("n1", **described)  # type: ignore[arg-type]
    wanted = spec(
        memory=1 << 20,
        mounts=(VOLUME1, Mount("cluster", "/v", "v")),
        constraints=("node.labels.disk==ssd",),
        platforms=(Platform("linux", "aarch64"),),
        max_replicas=1,
    )
    others = running("port", "n1", endpoint=host_port(("tcp", 80)), service="other") if failing <= 5 else []
    swarm = swarm_with(where, *others, *running("same", "n1"))

    swarm.add(task("t", wanted, endpoint=host_port(("tcp", 80))))

    assert swarm.error("t") == f"no suitable node ({FILTERS[failing].explain(1)})"


def test_explanations_in_the_singular_and_the_plural() -> None:
    """Literal texts of filter.go."""
    assert [(f.explain(1), f.explain(3)) for f in FILTERS] == [
        ("1 node not available for new tasks", "3 nodes not available for new tasks"),
        ("insufficient resources on 1 node", "insufficient resources on 3 nodes"),
        ("missing plugin on 1 node", "missing plugin on 3 nodes"),
        ("scheduling constraints not satisfied on 1 node", "scheduling constraints not satisfied on 3 nodes"),
        ("unsupported platform on 1 node", "unsupported platform on 3 nodes"),
        ("host-mode port already in use on 1 node", "host-mode port already in use on 3 nodes"),
        ("max replicas per node limit exceed", "max replicas per node limit exceed"),
        (
            "cannot fulfill requested CSI volume mounts on 1 node",
            "cannot fulfill requested CSI volume mounts on 3 nodes",
        ),
    ]


def test_the_explanation_names_the_filter_with_most_nodes_first_and_equals_in_filter_order() -> None:
    """pipeline.go `Explain`."""
    assert explanation([1, 1, 0, 2, 0, 0, 0, 0]) == (
        "scheduling constraints not satisfied on 2 nodes; "
        "1 node not available for new tasks; insufficient resources on 1 node"
    )
    assert explanation([0] * 8) == ""


def test_the_explanation_covers_every_node_once_when_none_passes() -> None:
    """Probed: P, the error text."""
    swarm = swarm_with(
        node("n1", labels={"a": "1"}, memory=0),
        node("n2"),
        node("n3"),
        node("n4", availability=Availability.DRAIN),
        task("t", spec(memory=1, constraints=("node.labels.a==1",))),
    )

    assert swarm.error("t") == (
        "no suitable node (scheduling constraints not satisfied on 2 nodes; "
        "1 node not available for new tasks; insufficient resources on 1 node)"
    )


def test_the_message_of_a_task_that_waits_stays_and_its_time_is_renewed() -> None:
    swarm = Swarm().start(service())
    swarm.run_for(SECOND)
    swarm.add(task("t"))

    status = swarm.task("t").status
    assert (status.state, status.message) == (TaskState.PENDING, "pending task scheduling")
    assert status.timestamp == SECOND + 50_000
