"""The constraint enforcer: tasks that their node no longer suits."""

import pytest

from swarmsim.api.objects import NodeDescription
from swarmsim.api.specs import GenericResource, Placement, ReplicatedJob, ResourceRequirements, Resources
from swarmsim.api.states import Availability, NodeRole
from swarmsim.manager.orchestrator import ConstraintEnforcer
from swarmsim.manager.orchestrator.constraint_enforcer import ERROR, MESSAGE

from .world import (
    ASSIGNED,
    COMPLETE,
    NEW,
    REJECTED,
    RUNNING,
    SHUTDOWN,
    Leader,
    node,
    service,
    task,
)

GB = 1 << 30


def rejected(leader: Leader) -> list[str]:
    return [t.id for t in leader.store.tasks.values() if t.status.state is REJECTED]


def loose(*constraints: str, id: str, state=RUNNING, desired=RUNNING, **resources):
    """A task on n1 of a service that does not exist (any more), so that its own spec counts."""
    of = service("gone", constraints=constraints, **resources)
    return task(of, 1, state, desired, "n1", id=id)


def test_tasks_that_do_not_suit_their_node_are_rejected_at_the_start():
    """O-160: unconstrained ones stay, whether they shall run or complete."""
    leader = Leader(
        node("n1"),
        loose("node.role==manager", id="wrong", state=NEW),
        loose(id="free"),
        loose(id="job", desired=COMPLETE),
    )

    leader.start(ConstraintEnforcer)

    assert rejected(leader) == ["wrong"]
    status = leader.store.tasks["wrong"].status
    assert (status.message, status.err) == (MESSAGE, ERROR)
    assert (MESSAGE, ERROR) == ("task rejected by constraint enforcer", "assigned node no longer meets constraints")
    assert leader.store.tasks["wrong"].desired_state is RUNNING


def test_tasks_that_do_not_suit_any_more_are_rejected_when_their_node_changes():
    """O-161."""
    leader = Leader(node("n1"), loose("node.role==worker", id="worker"), loose("node.id==n1", id="here"))
    leader.start(ConstraintEnforcer)
    assert not rejected(leader)

    leader.fake.write(node("n1", role=NodeRole.MANAGER))

    assert rejected(leader) == ["worker"]


def test_memory_and_processors_are_enforced_in_the_order_of_the_store():
    """Rule 11.1 (2): what no longer fits in is rejected, what still does stays."""
    needs = [Resources(memory_bytes=3 * GB), Resources(memory_bytes=4 * GB), Resources(memory_bytes=GB)]
    tasks = [loose(id=f"t{i}", reservations=r) for i, r in enumerate(needs)]
    leader = Leader(node("n1"), *tasks, loose(id="busy", reservations=Resources(nano_cpus=3_000_000_000)))
    leader.start(ConstraintEnforcer)
    assert not rejected(leader)
    smaller = NodeDescription("n1", resources=Resources(2_000_000_000, 5 * GB))

    leader.fake.write(leader.store.nodes["n1"].evolve(description=smaller))

    assert rejected(leader) == ["t1", "busy"]


def test_the_services_present_constraints_count_and_not_the_tasks_own():
    """O-163."""
    web = service("web", constraints=("node.labels.foo==bar",))
    own = web.spec.task
    leader = Leader(web, node("n1", foo="bar"), task(web, 1, RUNNING, node="n1", id="t", spec=type(own)(own.container)))
    leader.start(ConstraintEnforcer)
    assert not rejected(leader)

    leader.fake.write(node("n1"))

    assert rejected(leader) == ["t"]


def test_a_task_whose_named_resource_is_gone_is_rejected_and_what_follows_is_not_looked_at():
    """O-164, quirk 21."""
    mine = (GenericResource("mygeneric", names=("1",)),)
    holder = loose(id="holder", reservations=Resources(generic=(GenericResource("mygeneric", 1),)))
    holder = holder.evolve(assigned_generic=mine)
    leader = Leader(node("n1", generic=mine), holder, loose("node.labels.a!=b", id="after"))
    leader.start(ConstraintEnforcer)
    assert not rejected(leader)

    leader.fake.write(node("n1", generic=(GenericResource("mygeneric", names=("2",)),), a="b"))

    assert rejected(leader) == ["holder"]


@pytest.mark.parametrize("availability", [Availability.DRAIN, Availability.PAUSE])
def test_nodes_that_are_not_active_are_left_alone(availability):
    """Rule 11.1."""
    leader = Leader(node("n1", availability=availability), loose("node.role==manager", id="wrong"))

    leader.start(ConstraintEnforcer)

    assert not rejected(leader)


@pytest.mark.parametrize(("state", "desired"), [(RUNNING, SHUTDOWN), (COMPLETE, COMPLETE), (NEW, NEW)])
def test_tasks_that_are_ending_or_have_ended_are_left_alone(state, desired):
    """Rule 11.1: desired between ASSIGNED and COMPLETE, observed below COMPLETE."""
    leader = Leader(node("n1"), loose("node.role==manager", id="wrong", state=state, desired=desired))

    leader.start(ConstraintEnforcer)

    assert not rejected(leader)


def test_a_change_of_the_service_alone_evicts_nobody():
    """Rule 11.1: only nodes are watched."""
    web = service("web")
    leader = Leader(web, node("n1"), task(web, 1, RUNNING, node="n1", id="t"))
    leader.start(ConstraintEnforcer)

    leader.update("web", constraints=("node.role==manager",))
    assert not rejected(leader)
    leader.fake.write(leader.store.nodes["n1"])

    assert rejected(leader) == ["t"]


def test_a_task_that_was_shut_down_meanwhile_is_not_rejected():
    """Rule 11.1: desired is still <= COMPLETE when written. A job's task, here."""
    job = service("job", ReplicatedJob(), iteration=0)
    one = task(job, 0, ASSIGNED, COMPLETE, "n1", id="t").evolve(
        spec=type(job.spec.task)(job.spec.task.container, placement=Placement(("node.role==manager",)))
    )
    leader = Leader(node("n1"), one)
    leader.fake.interfere = lambda tx: tx.update(tx.get(type(one), "t").evolve(desired_state=SHUTDOWN))

    leader.start(ConstraintEnforcer)

    assert not rejected(leader)


def test_resources_of_tasks_without_reservations_count_as_nothing():
    """A task without resources at all neither needs nor takes any."""
    full = loose(id="full", reservations=Resources(4_000_000_000, 8 * GB))
    limits_only = loose(id="free").evolve()
    limits_only = limits_only.evolve(
        spec=type(limits_only.spec)(limits_only.spec.container, resources=ResourceRequirements(Resources(1, 1)))
    )
    leader = Leader(node("n1"), full, limits_only)

    leader.start(ConstraintEnforcer)

    assert not rejected(leader)
