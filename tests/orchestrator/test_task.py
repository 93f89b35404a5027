"""Making tasks and telling outdated ones."""

from dataclasses import replace

from swarmsim.api.objects import TaskStatus
from swarmsim.api.specs import (
    ContainerSpec,
    Driver,
    EndpointSpec,
    Global,
    GlobalJob,
    Placement,
    PortConfig,
    Replicated,
    ReplicatedJob,
    ServiceMode,
)
from swarmsim.manager.orchestrator.task import (
    PULL_OPTIONS,
    is_global,
    is_global_job,
    is_replicated,
    is_replicated_job,
    is_task_dirty,
    new_task,
    placement_alone_differs,
    task_time,
)

from .world import FAILED, READY, RUNNING, SHUTDOWN, cluster, node, service, task

WEB = service("web", spec_version=1)
OLD = task(WEB, spec_version=None)
HOME = node("node1")


def changed(version: int = 2, image: str = "v:1", **fields: object) -> object:
    template = replace(WEB.spec.task, container=ContainerSpec(image), **fields)  # type: ignore[arg-type]
    return WEB.evolve(spec=replace(WEB.spec, task=template), spec_version=version)


def test_a_task_of_an_unchanged_service_is_clean():
    """O-001."""
    assert not is_task_dirty(WEB, OLD, HOME)


def test_an_unparseable_constraint_alone_leaves_a_task_clean():
    """O-002: what does not parse counts as satisfied."""
    assert not is_task_dirty(changed(placement=Placement(("node=node1",))), OLD, HOME)


def test_a_constraint_that_the_node_meets_leaves_a_task_clean_and_one_that_it_does_not_makes_it_dirty():
    """Rule 7.5 (2); a node that is unknown meets nothing."""
    here = changed(placement=Placement(("node.id==node1",)))
    there = changed(placement=Placement(("node.id!=node1",)))

    assert not is_task_dirty(here, OLD, HOME)
    assert is_task_dirty(there, OLD, HOME)
    assert is_task_dirty(here, OLD, None)


def test_another_image_makes_a_task_dirty():
    """O-004."""
    assert is_task_dirty(changed(4, "v:2", placement=Placement()), OLD, HOME)


def test_placement_alone_does_not_differ_when_nothing_or_more_changed():
    """O-005, O-007, O-008."""
    constrained = Placement(("node.id==node1",))

    assert not placement_alone_differs(WEB.spec.task, OLD.spec)
    assert placement_alone_differs(changed(placement=constrained).spec.task, OLD.spec)
    assert not placement_alone_differs(changed(image="v:2", placement=constrained).spec.task, OLD.spec)
    assert not placement_alone_differs(changed(image="v:2", placement=Placement()).spec.task, OLD.spec)


def test_a_task_of_the_current_spec_version_is_clean_whatever_its_spec():
    """Rule 7.5 (1): so are survivors after a rollback, which restores the version."""
    assert not is_task_dirty(changed(2, "v:2"), OLD.evolve(spec_version=2), HOME)
    assert is_task_dirty(changed(2, "v:2"), OLD.evolve(spec_version=1), HOME)


def test_another_endpoint_makes_a_task_dirty_and_service_level_fields_do_not():
    """Rule 7.5 (4)."""
    published = replace(WEB.spec, endpoint=EndpointSpec(ports=(PortConfig(target_port=80),)))
    relabelled = replace(WEB.spec, labels={"a": "b"}, mode=Replicated(7))

    assert is_task_dirty(WEB.evolve(spec=published, spec_version=2), OLD, HOME)
    assert not is_task_dirty(WEB.evolve(spec=relabelled, spec_version=2), OLD, HOME)


def test_credentials_for_the_registry_matter_only_before_the_image_is_there():
    """Rule 7.5 (3)."""
    template = replace(WEB.spec.task, container=ContainerSpec("v:1", options={PULL_OPTIONS: "secret"}))
    newer = WEB.evolve(spec=replace(WEB.spec, task=template), spec_version=2)

    for state, desired, dirty in (
        (READY, READY, False),
        (RUNNING, RUNNING, False),
        (RUNNING, SHUTDOWN, True),
        (FAILED, RUNNING, True),
    ):
        one = OLD.evolve(status=TaskStatus(state), desired_state=desired)
        assert is_task_dirty(newer, one, HOME) == dirty, (state, desired)


def test_the_leaders_clock_wins_over_the_agents():
    """O-010."""
    reported = OLD.evolve(status=TaskStatus(RUNNING, timestamp=5, applied_at=3))
    written = OLD.evolve(status=TaskStatus(RUNNING, timestamp=4))

    assert sorted([written, reported], key=task_time) == [reported, written]


def test_each_mode_is_its_own_kind():
    """O-011."""
    kinds = (is_replicated_job, is_global_job, is_replicated, is_global)
    modes: list[ServiceMode] = [ReplicatedJob(), GlobalJob(), Replicated(), Global()]

    for i, mode in enumerate(modes):
        assert [kind(service("x", mode)) for kind in kinds] == [i == k for k in range(4)]


def test_a_new_task_takes_everything_from_the_service_and_its_log_driver_from_the_cluster_if_it_names_none():
    """Rule 4."""
    syslog, journal = Driver("syslog"), Driver("journald")
    home = cluster(log_driver=syslog)
    named = service("logs", log_driver=journal, spec_version=3)

    made = new_task(home, named, 2, "", 77, "id")
    plain = new_task(home, WEB, 1, "", 77, "id")

    assert (made.service_id, made.slot, made.spec_version, made.service_name) == ("logs", 2, 3, "logs")
    assert (made.status.state.name, made.status.message, made.status.timestamp) == ("NEW", "created", 77)
    assert made.desired_state is RUNNING
    assert made.log_driver == journal
    assert plain.log_driver == syslog
    assert new_task(None, WEB, 1, "", 77, "id").log_driver is None
