"""Published ports of the routing mesh (SwarmKit manager/allocator/portallocator.go)."""

from __future__ import annotations

from typing import Any

import pytest

from swarmsim.api.objects import Endpoint, Service
from swarmsim.api.specs import EndpointSpec, PortConfig
from swarmsim.manager.allocator.ports import (
    AllocationError,
    PortAllocator,
    host_publish_ports_need_update,
    is_ports_allocated,
    reconcile,
    update_ports_in_host_publish_mode,
)

from .world import HOST, S, World, node, port, service, task


def stored(wanted: Any, given: Any) -> Service:
    """A service with this spec and that endpoint; None for what it lacks."""
    made = service("web", *(wanted or ()), endpoint=wanted is not None)
    return made.evolve(endpoint=None if given is None else Endpoint(EndpointSpec(), tuple(given)))


def test_a_published_port_is_kept_and_a_dynamic_one_found() -> None:
    """From 30000 up, serially."""
    world = World(service("a", port(8080), port(0, 81)), service("b", port(0))).start()

    assert (world.ports("a"), world.ports("b")) == ([8080, 30000], [30001])


def test_a_freed_dynamic_port_is_not_given_at_once() -> None:
    """The next free after the last; round the end it comes again."""
    allocator = PortAllocator()
    given = []
    for i in range(2_768 + 2):
        ports = allocator.allocate(service(f"s{i}", port(0)))
        given.append(ports[0].published_port)
        allocator.free(f"s{i}")

    assert given == [*range(30_000, 32_768), 30_000, 30_001]


def test_dynamic_ports_run_out() -> None:
    """2768 of them for each protocol, less those that somebody asked for by number."""
    allocator = PortAllocator()
    allocator.allocate(service("fixed", port(30_005)))
    many = service("many", *(port(0, 1 + i) for i in range(2_767)))
    assert len({p.published_port for p in allocator.allocate(many)} | {30_005}) == 2_768

    with pytest.raises(AllocationError):
        allocator.allocate(service("more", port(0)))
    assert allocator.allocate(service("udp", port(0, proto="udp")))[0].published_port == 30_000
    allocator.free("fixed")
    assert allocator.allocate(service("more", port(0)))[0].published_port == 30_005


def test_a_service_that_wants_one_port_twice_is_not_allocated() -> None:
    """C-145 TestAllocateServiceConflictingUserDefinedPorts: until one of them changes.

    Its tasks are not looked at with it: they wait for the next retry.
    """
    world = World(service("web", port(1234), port(1234, 81)), task("t1", service("web"))).start()
    assert world.store.services["web"].endpoint is None
    assert world.state("t1") is S.NEW

    world.respec("web", service("web", port(1234), port(1235, 81)))

    assert world.ports("web") == [1234, 1235]
    assert world.state("t1") is S.NEW
    world.manager.run(300_000_001)
    world.create(node("n1"))
    assert world.state("t1") is S.PENDING


def test_a_port_passes_on_within_one_transaction() -> None:
    """C-146 TestDeallocateServiceAllocate: the new one has the port and one virtual IP."""
    world = World(service("old", port(1234))).start()

    world.manager.commit(lambda tx: (tx.delete(Service, "old"), tx.create(service("new", port(1234)))))

    assert world.ports("new") == [1234]
    assert len(world.vips("new")) == 1


def test_a_conflicting_service_waits_until_the_port_is_free() -> None:
    """Its tasks stay NEW; see the control API, which looks first but outside of the transaction."""
    late = service("late", port(1234))
    world = World(service("old", port(1234))).start()
    world.create(late, task("t1", late))
    assert (world.store.services["late"].endpoint, world.state("t1")) == (None, S.NEW)

    world.delete(world.store.services["old"])

    assert (world.ports("late"), world.state("t1")) == ([1234], S.PENDING)


def test_an_update_changes_one_port_and_keeps_the_other() -> None:
    """C-148 TestServiceUpdatePort: 1234 and a dynamic one; then the second is fixed as well."""
    world = World(service("web", port(1234), port(0, 81))).start()
    assert world.ports("web") == [1234, 30000]

    world.respec("web", service("web", port(1234), port(1235, 81)))

    assert world.ports("web") == [1234, 1235]


def test_ports_are_given_alike_in_every_cluster() -> None:
    """C-149 TestServicePortAllocationIsRepeatable."""
    worlds = [World(service("web", port(1234), port(0, 81))).start() for _ in range(2)]

    assert worlds[0].ports("web") == worlds[1].ports("web")


def test_what_is_taken_is_refused() -> None:
    """C-151 TestAllocateServicePorts: no endpoint spec, a new number, and the same number for another service."""
    allocator = PortAllocator()

    assert allocator.allocate(stored(None, None)) == ()
    changed = allocator.allocate(stored([port(10_001)], [port(10_000)]))
    assert [p.published_port for p in changed] == [10_001]
    with pytest.raises(AllocationError, match="requested bit is already allocated"):
        allocator.allocate(service("other", port(10_001)))


def named(name: str, published: int, target: int = 80, **kwargs: Any) -> PortConfig:
    made: PortConfig = port(published, target, name=name, **kwargs)
    return made


def test_dynamic_ports_keep_their_numbers() -> None:
    """C-152 TestReconcilePortConfigs: whatever their order; fixed numbers always come from the spec, first."""
    wanted = [named("one", 0), named("two", 0)]
    given = [named("two", 10_001), named("one", 10_000)]
    assert [p.published_port for p in reconcile(stored(wanted, given))] == [10_000, 10_001]

    fixed = [named("one", 0), named("two", 20_000)]
    assert reconcile(stored(fixed, given)) == [named("two", 20_000), named("one", 10_000)]
    assert reconcile(stored(wanted, None)) == wanted
    assert reconcile(stored(wanted, given[:1])) == wanted


ALLOCATED = [
    (None, None, True),
    ([named("a", 10_000)], None, False),
    (None, [named("a", 10_000)], False),
    ([named("a", 10_000)], [named("a", 10_000)], True),
    ([named("a", 1), named("b", 2)], [named("b", 2), named("a", 1)], True),
    ([named("a", 0)], [named("a", 10_000)], True),
    ([named("a", 0)], [named("a", 0)], False),
    ([named("a", 1)], [named("a", 1), named("b", 2)], False),
    ([named("a", 1, 80)], [named("a", 1, 81)], False),
    ([named("a", 2)], [named("a", 1)], False),
    ([named("a", 1, 80, mode=HOST)], [named("a", 1, 80, mode=HOST)], True),
    ([named("a", 1, 81, mode=HOST)], [named("a", 1, 80, mode=HOST)], False),
    ([named("a", 1), named("b", 0)], [named("b", 1), named("a", 1)], True),
]


@pytest.mark.parametrize(("wanted", "given", "allocated"), ALLOCATED)
def test_when_ports_are_allocated(wanted: Any, given: Any, allocated: bool) -> None:
    """C-152 TestIsPortsAllocated."""
    assert is_ports_allocated(stored(wanted, given)) is allocated


HOST_PORTS = [
    ([named("a", 80, mode=HOST)], [named("a", 80)], True),
    ([named("a", 80, mode=HOST)], [named("a", 80, mode=HOST)], False),
    ([named("a", 0, mode=HOST)], [named("a", 80, mode=HOST)], False),
    ([named("a", 81, mode=HOST)], [named("a", 80, mode=HOST)], True),
    ([named("a", 80)], [named("a", 80)], False),
    (None, None, False),
]


@pytest.mark.parametrize(("wanted", "given", "needed"), HOST_PORTS)
def test_when_host_ports_need_an_update(wanted: Any, given: Any, needed: bool) -> None:
    """C-152 TestHostPublishPortsNeedUpdate."""
    assert bool(host_publish_ports_need_update(stored(wanted, given))) is needed


def test_equal_host_ports_are_updated_once() -> None:
    """The control API lets none pass; the allocator must not write such a service again and again."""
    twins = (port(80, mode=HOST), port(80, mode=HOST))
    world = World(service("web")).start()
    commits = len(world.manager.commits)
    world.respec("web", service("web", *twins))

    assert len(world.manager.commits) == commits + 2
    assert world.ports("web") == [80, 80]


def test_host_ports_are_copied_as_they_are() -> None:
    """C-152 TestUpdatePortsInHostPublishMode: 15000 becomes 10000, once."""
    updated = update_ports_in_host_publish_mode(
        stored([named("a", 10_000, mode=HOST)], [named("a", 15_000, mode=HOST)])
    )

    assert [p.published_port for p in updated.ports] == [10_000]


def test_host_ports_never_conflict_here() -> None:
    """The scheduler sees to them; they need no ingress address either."""
    world = World(service("a", port(80, mode=HOST)), service("b", port(80, mode=HOST))).start()
    assert (world.ports("a"), world.ports("b")) == ([80], [80])
    assert world.vips("a") == {}

    world.respec("a", service("a", port(81, mode=HOST)))
    assert world.ports("a") == [81]


def test_each_protocol_has_its_own_numbers() -> None:
    world = World(*(service(p, port(53, 53, proto=p)) for p in ("tcp", "udp", "sctp"))).start()

    assert [world.ports(p) for p in ("tcp", "udp", "sctp")] == [[53]] * 3


@pytest.mark.parametrize("number", [65_536, 100_000])
def test_a_published_port_is_at_most_65535(number: int) -> None:
    """portallocator.go `masterPortEnd`."""
    world = World(service("web", port(number))).start()
    world.create(service("most", port(65_535)))

    assert (world.ports("web"), world.ports("most")) == ([], [65_535])
