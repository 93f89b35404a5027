"""Services over the control API (SwarmKit manager/controlapi/service.go)."""

from __future__ import annotations

from typing import Any

import pytest

from swarmsim.api.messages import (
    CreateConfig,
    CreateSecret,
    CreateService,
    GetService,
    ListServiceStatuses,
    RemoveService,
    UpdateService,
)
from swarmsim.api.objects import Endpoint, Service
from swarmsim.api.specs import (
    ConfigSpec,
    ContainerSpec,
    EndpointSpec,
    FileReference,
    Global,
    GlobalJob,
    NetworkAttachmentConfig,
    Replicated,
    ReplicatedJob,
    SecretSpec,
    TaskSpec,
)
from swarmsim.api.states import TaskState, UpdateState
from swarmsim.trace.events import RequestRefused

from .world import HOST, INGRESS, SECOND, World, container, port, publishing, spec, task

S = TaskState
IN_USE = "port '{}' is already in use by service '{}' ({}) as {}"


@pytest.fixture
def world() -> World:
    return World()


def test_a_service_is_created(world: World) -> None:
    """C-157 TestCreateService: spec version 0, no status of an update."""
    service = world.create(spec())

    assert world.store.services[service.id] == service
    assert (service.spec_version, service.update_status, service.previous_spec) == (0, None, None)
    assert service.job_iteration is None


def test_a_name_is_taken_once(world: World) -> None:
    """C-157: AlreadyExists, with the store's words in front; also in other letters."""
    world.create(spec("web"))

    text = "name conflicts with an existing object: service WEB already exists"
    assert world.refused(CreateService(spec("WEB"))) == ("AlreadyExists", text)


def test_an_ingress_port_belongs_to_one_service(world: World) -> None:
    """C-157: with the other service's name and id."""
    first = world.create(publishing("first", port(9000)))
    taken = IN_USE.format(9000, "first", first.id, "an ingress port")

    assert world.refused(CreateService(publishing("second", port(9000)))) == ("InvalidArgument", taken)
    assert world.refused(CreateService(publishing("second", port(9000, HOST)))) == ("InvalidArgument", taken)
    world.create(publishing("udp", port(9000, protocol="udp")))


def test_host_ports_conflict_with_ingress_ports_only(world: World) -> None:
    """C-157: host against host is the scheduler's business."""
    first = world.create(publishing("first", port(9101, HOST)))
    world.create(publishing("second", port(9101, HOST)))

    taken = IN_USE.format(9101, "first", first.id, "a host-published port")
    assert world.refused(CreateService(publishing("third", port(9101, INGRESS)))) == ("InvalidArgument", taken)


def test_unpublished_ports_never_conflict(world: World) -> None:
    """C-157: one target port in several services."""
    for name in "abc":
        world.create(publishing(name, port(0)))


def test_a_port_that_the_allocator_gave_is_taken_too(world: World) -> None:
    """The allocated endpoints are looked at beside the specs."""
    first = world.create(publishing("first", port(0)))
    endpoint = Endpoint(EndpointSpec(), (port(30000),))
    world.manager.write(first.evolve(endpoint=endpoint))

    taken = IN_USE.format(30000, "first", first.id, "an ingress port")
    assert world.refused(CreateService(publishing("second", port(30000)))) == ("InvalidArgument", taken)


def test_published_ports_need_the_ingress_network() -> None:
    """FailedPrecondition, on create and on update."""
    world = World(ingress=False)
    missing = ("FailedPrecondition", "service needs ingress network, but no ingress network is present")
    world.create(publishing("host", port(80, HOST)))

    assert world.refused(CreateService(publishing("web", port(8080)))) == missing
    assert world.refused(world.change("host", endpoint=EndpointSpec(ports=(port(81),)))) == missing


@pytest.mark.parametrize("word", ["secret", "config"])
def test_referenced_files_exist(world: World, word: str) -> None:
    """C-163: looked at in the transaction; all that are missing are named."""
    specs = {"secret": (CreateSecret, SecretSpec), "config": (CreateConfig, ConfigSpec)}
    create, make = specs[word]
    world.ask(create(make("here", data=b"1")))  # type: ignore[operator]

    def wanted(*names: str) -> CreateService:
        files = tuple(FileReference(n, n) for n in names)
        return CreateService(spec(task=container(**{f"{word}s": files})))

    assert world.refused(wanted("x")) == ("InvalidArgument", f"{word} not found: x")
    assert world.refused(wanted("x", "here", "y")) == ("InvalidArgument", f"{word}s not found: x, y")
    world.ask(wanted("here"))
    gone = world.change(task=wanted("gone").spec.task)
    assert world.refused(gone) == ("InvalidArgument", f"{word} not found: gone")


@pytest.mark.parametrize("word", ["secret", "config"])
def test_a_reference_has_the_name_and_the_id_of_one_file(world: World, word: str) -> None:
    """C-163: an unknown id, or the right id with another name; names are compared letter by letter."""
    specs = {"secret": (CreateSecret, SecretSpec), "config": (CreateConfig, ConfigSpec)}
    create, make = specs[word]
    made = world.ask(create(make("here", data=b"1")))  # type: ignore[operator]
    world.ask(create(make("there", data=b"1")))  # type: ignore[operator]

    def wanted(name: str, id: str = "") -> CreateService:
        files = (FileReference(name, "file", id=id),)
        return CreateService(spec(task=container(**{f"{word}s": files})))

    for name, id in (("here", "nobody"), ("there", made.id), ("HERE", ""), ("HERE", made.id)):
        assert world.refused(wanted(name, id)) == ("InvalidArgument", f"{word} not found: {name}")
    world.ask(wanted("here", made.id))


def test_an_update_needs_an_id_a_version_and_a_spec(world: World) -> None:
    """C-164 TestUpdateService."""
    service = world.create(spec())
    invalid = ("InvalidArgument", "invalid argument")

    assert world.refused(UpdateService("", 1, service.spec)) == invalid
    assert world.refused(UpdateService(service.id, None, service.spec)) == invalid
    assert world.refused(UpdateService(service.id, service.version, None)) == invalid
    assert world.refused(UpdateService("nobody", 1, service.spec)) == ("NotFound", "service nobody not found")


def test_an_update_keeps_the_old_spec_as_the_previous_one(world: World) -> None:
    """C-164: the version that the client saw is the new spec's; what an earlier update had to say is cleared."""
    before = world.create(spec(mode=Replicated(1)))

    after = world.ask(world.change(mode=Replicated(42)))

    assert after.spec.mode == Replicated(42)
    assert (after.previous_spec, after.previous_spec_version) == (before.spec, 0)
    assert after.spec_version == before.version
    assert after.update_status is None


def test_the_same_spec_may_be_written_again(world: World) -> None:
    """C-164: and it gets a new spec version."""
    before = world.create(spec())
    after = world.ask(world.change())

    assert (after.spec, after.spec_version) == (before.spec, before.version)


def test_a_version_serves_once(world: World) -> None:
    """C-164: `update out of sequence`, code Unknown."""
    before = world.create(spec())
    world.ask(world.change())

    assert world.refused(world.change(version=before.version)) == ("Unknown", "update out of sequence")


def test_mode_and_name_are_for_ever(world: World) -> None:
    """C-164: Unimplemented."""
    world.create(spec())

    assert world.refused(world.change(mode=Global())) == ("Unimplemented", "service mode change is not allowed")
    assert world.refused(world.change(name="shop")) == ("Unimplemented", "renaming services is not supported")


def test_an_update_may_not_take_another_services_port(world: World) -> None:
    """C-164: its own it may keep."""
    other = world.create(publishing("other", port(9000)))
    world.create(publishing("web", port(9001)))

    taken = IN_USE.format(9000, "other", other.id, "an ingress port")
    assert world.refused(world.change(endpoint=EndpointSpec(ports=(port(9000),)))) == ("InvalidArgument", taken)
    world.ask(world.change(endpoint=EndpointSpec(ports=(port(9001), port(9002)))))


def test_ports_are_looked_at_only_if_the_endpoint_changes(world: World) -> None:
    """A conflict that slipped through the race does not block other updates."""
    world.create(publishing("web", port(9000)))
    world.manager.create(Service("late", publishing("late", port(9000))))

    world.ask(world.change("late", mode=Replicated(3)))


def test_an_explicit_ingress_network_is_refused_on_update(world: World) -> None:
    """C-164."""
    world.create(spec())
    attached = TaskSpec(ContainerSpec("busybox"), networks=(NetworkAttachmentConfig("ingress"),))

    assert world.refused(world.change(task=attached))[0] == "InvalidArgument"


def test_a_rollback_swaps_the_specs(world: World) -> None:
    """With a status that says who asked."""
    world.create(spec(mode=Replicated(1)))
    world.ask(world.change(mode=Replicated(2)))
    now = world.service()

    world.manager.run(7 * SECOND)
    after = world.ask(UpdateService(now.id, now.version, None, rollback=True))

    assert (after.spec.mode, after.previous_spec.mode) == (Replicated(1), Replicated(2))
    assert (after.spec_version, after.previous_spec_version) == (now.previous_spec_version, now.spec_version)
    status = after.update_status
    assert (status.state, status.message, status.started_at) == (
        UpdateState.ROLLBACK_STARTED,
        "manually requested rollback",
        7 * SECOND,
    )


def test_there_must_be_something_to_roll_back_to(world: World) -> None:
    service = world.create(spec())
    text = f"service {service.id} does not have a previous spec"

    request = UpdateService(service.id, service.version, None, rollback=True)
    assert world.refused(request) == ("FailedPrecondition", text)


@pytest.mark.parametrize("mode", [ReplicatedJob(3, 9), GlobalJob()])
def test_each_update_of_a_job_begins_an_iteration(world: World, mode: object) -> None:
    """C-167 TestJobService: iteration 0 at its creation, each time with when that was."""
    world.manager.run(3 * SECOND)
    job = world.create(spec("job", mode=mode))
    assert (job.job_iteration, job.job_last_execution) == (0, 3 * SECOND)

    world.manager.run(5 * SECOND)
    job = world.ask(world.change("job"))

    assert (job.job_iteration, job.job_last_execution) == (1, 5 * SECOND)


def test_removal_deletes_the_object_at_once(world: World) -> None:
    """Tasks are left to others."""
    service = world.create(spec())
    world.manager.create(task("t1", S.RUNNING, service=service.id))

    world.ask(RemoveService(service.id))

    assert (list(world.store.services), list(world.store.tasks)) == ([], ["t1"])
    assert world.refused(RemoveService(service.id)) == ("NotFound", f"service {service.id} not found")


def test_services_are_found_as_dockers_client_finds_them(world: World) -> None:
    """By id, by name, by the beginning of an id; texts of moby's daemon/cluster."""
    world.manager.create(Service("abc1", spec("one")), Service("abd2", spec("abc1x")))

    assert world.ask(GetService("abc1")).name == "one"
    assert world.ask(GetService("one")).id == "abc1"
    assert world.ask(GetService("abd")).id == "abd2"
    assert world.refused(GetService("ab")) == ("InvalidArgument", "service ab is ambiguous (2 matches found)")
    assert world.refused(GetService("x")) == ("NotFound", "service x not found")
    assert world.refused(GetService("")) == ("InvalidArgument", "invalid argument")


def test_names_are_unique_without_regard_to_case_but_found_with_it(world: World) -> None:
    """service.go `ListServices`, by which Docker's client looks for a name."""
    world.create(spec("web"))

    assert world.refused(CreateService(spec("WEB")))[0] == "AlreadyExists"
    assert world.refused(GetService("WEB")) == ("NotFound", "service WEB not found")


def test_a_refusal_is_told_to_the_trace(world: World) -> None:
    world.refused(GetService("x"))

    (event,) = world.manager.events(RequestRefused)
    assert (event.node, event.request, event.error) == ("m1", "GetService", "service x not found")


def test_a_request_that_nobody_serves() -> None:
    assert World().refused("what?") == ("Unimplemented", "unknown method str")


# ---- how many run ---------------------------------------------------------------------------------------------------


def statuses(world: World, *ids: str) -> list[tuple[int, int, int]]:
    return [(s.desired, s.running, s.completed) for s in world.ask(ListServiceStatuses(ids))]


def add(world: World, service: str, running: int = 0, new: int = 0, complete: int = 0, **fields: object) -> None:
    states = [S.RUNNING] * running + [S.NEW] * new + [S.COMPLETE] * complete
    known = len(world.store.tasks)
    tasks = [task(f"t{known + i}", state, service=service, **fields) for i, state in enumerate(states)]
    world.manager.create(*tasks)


def test_statuses_of_replicated_and_global_services(world: World) -> None:
    """C-166 TestListServiceStatuses: wanted and running."""
    services = {
        "right": spec("right", mode=Replicated(3)),
        "few": spec("few", mode=Replicated(7)),
        "many": spec("many", mode=Replicated(2)),
        "global": spec("global", mode=Global()),
        "growing": spec("growing", mode=Global()),
    }
    world.manager.create(*(Service(id, wanted) for id, wanted in services.items()))
    add(world, "right", running=3)
    add(world, "few", running=4, new=3)
    add(world, "many", running=4)
    add(world, "global", running=2)
    add(world, "growing", running=4, new=1)

    assert statuses(world, *services) == [(3, 3, 0), (7, 4, 0), (2, 4, 0), (2, 2, 0), (5, 4, 0)]


def test_statuses_of_jobs(world: World) -> None:
    """C-166: of the present iteration only."""
    world.manager.create(Service("job", spec("job", mode=ReplicatedJob(2, 10)), job_iteration=0))
    add(world, "job", running=2, complete=4, job_iteration=0, desired=S.COMPLETE)
    assert statuses(world, "job") == [(2, 2, 4)]

    world.manager.write(world.service("job").evolve(job_iteration=1))
    add(world, "job", running=1, complete=3, job_iteration=1, desired=S.COMPLETE)
    assert statuses(world, "job") == [(2, 1, 3)]

    world.manager.create(Service("each", spec("each", mode=GlobalJob()), job_iteration=0))
    add(world, "each", running=5, complete=3, job_iteration=0, desired=S.COMPLETE)
    assert statuses(world, "each") == [(5, 5, 3)]


def test_statuses_of_what_is_not_there(world: World) -> None:
    """C-166: a deleted service's tasks still run; an unknown id has none; no ids, no answer."""
    add(world, "deleted", running=3)

    assert statuses(world, "deleted", "unknown") == [(0, 3, 0), (0, 0, 0)]
    assert statuses(world) == []


def test_what_runs_counts_whatever_is_desired_of_it(world: World) -> None:
    """`docker service ls` counts a task that is being shut down until it has stopped."""
    world.manager.create(Service("web", spec(mode=Replicated(1))))
    add(world, "web", running=1)
    add(world, "web", running=1, desired=S.SHUTDOWN)

    assert statuses(world, "web") == [(1, 2, 0)]


def test_a_mode_that_nobody_knows(world: World) -> None:
    """service.go `validateMode`."""
    nothing: Any = None

    assert world.refused(CreateService(spec(mode=nothing))) == ("InvalidArgument", "Unrecognized service mode")
