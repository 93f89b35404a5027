"""A new leader's allocator finds everything as its predecessor left it (SwarmKit manager/allocator `doNetworkInit`)."""

from __future__ import annotations

from typing import Any

import pytest

from swarmsim.api.objects import Endpoint, NetworkAttachment
from swarmsim.api.specs import EndpointSpec

from .world import DNSRR, HOST, S, World, network, node, port, service, task


def given(world: World) -> Any:
    """All that the store says was given."""
    return (
        {s.id: s.endpoint for s in world.store.services.values()},
        {t.id: t.networks for t in world.store.tasks.values()},
        {n.id: n.attachments for n in world.store.nodes.values()},
        {n.id: (n.subnet, n.gateway, n.vni) for n in world.store.networks.values()},
    )


def test_nothing_is_written_when_all_is_there() -> None:
    """Every kind of service: VIP, DNSRR, ingress, dynamic and host ports, no endpoint spec, local networks."""
    services = [
        service("vip", networks=("net",)),
        service("dnsrr", networks=("net",), mode=DNSRR),
        service("ingress", port(8080), port(0, 81)),
        service("both", port(8081), networks=("net",)),
        service("host", port(9000, mode=HOST)),
        service("bare", networks=("net",), endpoint=False),
        service("bare local", endpoint=False),
        service("local", networks=("vlan",)),
    ]
    world = World(network("net"), network("vlan", driver="macvlan"), node("w1"), *services).start()
    world.create(*(task(f"t-{s.id}", s) for s in services))
    for s in services:
        world.to(f"t-{s.id}", S.RUNNING, "w1")
    before, commits = given(world), len(world.manager.commits)

    world.start()
    world.start()

    assert given(world) == before
    assert len(world.manager.commits) == commits
    assert world.doubles() == []


def test_stored_addresses_without_an_endpoint_spec_stay() -> None:
    """TestAllocatorRestartNoEndpointSpec: only an update without a spec releases them, not a restart."""
    stored = [
        service(f"s{i}", networks=("net",), endpoint=False).evolve(
            endpoint=Endpoint(EndpointSpec(), (), (("net", f"10.0.1.{i}/24"),))
        )
        for i in (2, 3, 4)
    ]
    net = network("net").evolve(subnet="10.0.1.0/24", gateway="10.0.1.1", vni=4097)
    world = World(net, *stored, *(task(f"t{i}", s) for i, s in enumerate(stored)))

    world.start()

    assert [world.vips(f"s{i}") for i in (2, 3, 4)] == [{"net": f"10.0.1.{i}/24"} for i in (2, 3, 4)]
    assert [world.addresses(f"t{i}") for i in range(3)] == [{"net": f"10.0.1.{i}/24"} for i in (5, 6, 7)]


def test_what_a_task_has_is_booked_before_a_service_gets_any() -> None:
    """First all that exists, of every kind, then what is missing, of every kind."""
    web = service("web", networks=("net",))
    busy = task("t1", web, S.RUNNING, "w1", networks=(NetworkAttachment("net", ("10.0.1.2/24",)),))
    held = node("w1").evolve(attachments=(NetworkAttachment("net", ("10.0.1.3/24",)),))
    net = network("net").evolve(subnet="10.0.1.0/24", gateway="10.0.1.1", vni=4097)
    world = World(net, web, busy, held)

    world.start()

    assert world.vips("web") == {"net": "10.0.1.4/24"}
    assert world.attachments("w1")["net"] == "10.0.1.3/24"


def test_a_task_between_two_leaders_is_finished_by_the_second() -> None:
    """NEW tasks of an allocated service go on to PENDING at the start."""
    world = World(network("net"), service("web", port(80), networks=("net",))).start()
    world.manager.stop("allocator")
    world.create(task("t1", world.store.services["web"]))

    world.allocator = None  # type: ignore[assignment]
    world.start()

    assert world.state("t1") is S.PENDING
    assert list(world.addresses("t1")) == ["ingress", "net"]


@pytest.mark.parametrize("restart", [False, True])
def test_ports_come_and_go_with_the_ingress_address(restart: bool) -> None:
    """TestServiceAddRemovePorts: without ports there is no address on ingress, and the number is free again."""
    world = World(service("web", port(8080))).start()
    assert (world.ports("web"), list(world.vips("web"))) == ([8080], ["ingress"])

    world.respec("web", service("web"))
    if restart:
        world.start()
    assert (world.ports("web"), world.vips("web")) == ([], {})

    world.create(service("other", port(8080)))
    world.respec("web", service("web", port(8081)))
    assert (world.ports("other"), world.ports("web")) == ([8080], [8081])
    assert list(world.vips("web")) == ["ingress"]


@pytest.mark.parametrize("restart", [False, True])
def test_a_service_that_asks_for_what_it_has_by_another_mode(restart: bool) -> None:
    """From VIP to DNSRR and back: the address goes, and another comes."""
    world = World(network("net"), service("web", networks=("net",))).start()
    first = world.vips("web")["net"]

    world.respec("web", service("web", networks=("net",), mode=DNSRR))
    if restart:
        world.start()
    assert world.vips("web") == {}
    world.respec("web", service("web", networks=("net",)))

    assert world.vips("web")["net"] == (first if restart else "10.0.1.3/24")


def test_a_port_that_two_services_have_in_the_store_is_the_firsts() -> None:
    """A race that the control API could not see: the second waits, until the first lets go of it."""
    claims = [
        service(id, port(8080)).evolve(endpoint=Endpoint(EndpointSpec(ports=(port(8080),)), (port(8080),)))
        for id in ("a", "b")
    ]
    world = World(*claims).start()
    assert world.why("b") == "requested bit is already allocated"

    world.delete(world.store.services["a"])

    assert world.why("b") == ""
    assert world.ports("b") == [8080]
