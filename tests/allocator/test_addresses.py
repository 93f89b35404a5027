"""Subnets, virtual IPs and tasks' addresses (SwarmKit manager/allocator; libnetwork cnmallocator)."""

from __future__ import annotations

from typing import Any

import pytest

from swarmsim.api.objects import Endpoint, Network
from swarmsim.api.specs import EndpointSpec, IpamConfig, NetworkSpec
from swarmsim.api.states import TaskState
from swarmsim.manager.allocator.network import AddressPool, NetworkAllocator
from swarmsim.manager.allocator.ports import AllocationError
from swarmsim.store import MemoryStore

from .world import DNSRR, S, World, attached, network, node, port, service, task

FIVE_MINUTES = 300_000_000


def test_ingress_gets_the_first_default_subnet_and_overlays_the_next() -> None:
    """10.0.0.0/8 cut into /24; the first address is the gateway; VXLAN ids from 4096."""
    world = World(network("one"), network("two")).start()

    given = [(n.id, n.subnet, n.gateway, n.vni) for n in world.store.networks.values()]
    assert given == [
        ("ingress", "10.0.0.0/24", "10.0.0.1", 4096),
        ("one", "10.0.1.0/24", "10.0.1.1", 4097),
        ("two", "10.0.2.0/24", "10.0.2.1", 4098),
    ]


def test_a_subnet_and_a_gateway_are_honoured() -> None:
    """C-154 TestAllocateWithOneSubnet..."""
    world = World(network("a", "192.168.1.0/24"), network("b", "192.168.2.0/24", gateway="192.168.2.9")).start()

    assert [n.gateway for n in world.store.networks.values()] == ["10.0.0.1", "192.168.1.1", "192.168.2.9"]


def test_a_gateway_outside_its_subnet_is_refused() -> None:
    """C-154: the network stays unallocated, and says why."""
    world = World(network("a", "192.168.1.0/24", gateway="192.168.2.1")).start()

    assert world.store.networks["a"].subnet == ""
    assert world.why("a") == "requested address is out of range"


def test_a_subnet_of_one_address_is_accepted() -> None:
    """C-154 TestAllocateWithSmallSubnet: a /32 has room for its gateway."""
    world = World(network("a", "1.1.1.1/32")).start()

    assert world.store.networks["a"].gateway == "1.1.1.1"


def test_an_unknown_driver_is_refused() -> None:
    """C-154."""
    world = World(network("a", driver="nope")).start()

    assert world.why("a") == "network driver nope not found"


def test_a_network_is_allocated_once() -> None:
    """C-154: double allocation is an error of the caller."""
    networks = NetworkAllocator(MemoryStore())
    networks.allocate(network("a"))

    with pytest.raises(AllocationError, match="network a already allocated"):
        networks.allocate(network("a"))


def test_subnets_may_not_overlap() -> None:
    world = World(network("a", "10.9.0.0/16"), network("b", "10.9.3.0/24")).start()

    assert world.why("b") == "Pool overlaps with other one on this address space"


def test_a_freed_subnet_is_given_again() -> None:
    world = World(network("one"), network("two")).start()
    world.delete(world.store.networks["one"])
    world.create(network("three"))

    assert world.store.networks["three"].subnet == "10.0.1.0/24"


def test_a_second_ingress_network_is_refused() -> None:
    """Logged, and never allocated."""
    world = World().start()
    world.create(network("other", ingress=True))

    assert world.store.networks["other"].subnet == ""


def test_addresses_are_given_in_turn() -> None:
    """The next free after the last: a freed one is not reused at once."""
    pool = AddressPool(IpamConfig("10.0.0.0/29"))
    first = pool.take_any(("task", "a"))
    pool.free(first)

    given = [pool.take_any(("task", str(i))) for i in range(5)]
    assert first == "10.0.0.2/29"
    assert given == [f"10.0.0.{i}/29" for i in (3, 4, 5, 6, 2)]
    with pytest.raises(AllocationError, match="could not find an available IP"):
        pool.take_any(("task", "x"))


def test_addresses_come_from_the_range() -> None:
    pool = AddressPool(IpamConfig("10.0.0.0/24", "10.0.0.128/30"))

    assert pool.gateway == "10.0.0.128/24"
    assert [pool.take_any(None) for _ in range(3)] == [f"10.0.0.{i}/24" for i in (129, 130, 131)]


def test_a_service_has_a_virtual_ip_on_each_of_its_networks() -> None:
    """One for each network, and one on ingress if it publishes ports there."""
    world = World(network("one"), service("inside", networks=("one",)), service("web", port(80), networks=("one",)))
    world.start()

    assert world.vips("inside") == {"one": "10.0.1.2/24"}
    assert world.vips("web") == {"ingress": "10.0.0.2/24", "one": "10.0.1.3/24"}


def test_round_robin_by_dns_needs_no_virtual_ip() -> None:
    """Its tasks have addresses all the same; switching over gives the virtual IP back, or takes one."""
    wanted = service("web", networks=("one",), mode=DNSRR)
    world = World(network("one"), wanted, task("t1", wanted)).start()
    assert (world.vips("web"), world.addresses("t1")) == ({}, {"one": "10.0.1.2/24"})

    world.respec("web", service("web", networks=("one",)))
    assert world.vips("web") == {"one": "10.0.1.3/24"}
    world.respec("web", wanted)
    assert world.vips("web") == {}
    world.create(service("next", networks=("one",)))
    assert world.doubles() == []


def test_virtual_ips_follow_the_networks_of_the_spec() -> None:
    """C-155 TestServiceNetworkUpdate: 1, 2, 1, 0, 1 networks; each time something is to be allocated anew."""
    world = World(network("one"), network("two"), service("web", networks=("one",))).start()
    counts, pending = [len(world.vips("web"))], []
    for networks in (("one", "two"), ("one",), (), ("two",)):
        wanted = world.store.services["web"].evolve(spec=service("web", networks=networks).spec)
        pending.append(not world.allocator.networks.is_service_allocated(wanted))
        world.respec("web", service("web", networks=networks))
        counts.append(len(world.vips("web")))
        assert world.allocator.networks.is_service_allocated(world.store.services["web"])

    assert counts == [1, 2, 1, 0, 1]
    assert all(pending)


def test_a_spec_without_endpoint_gets_other_virtual_ips() -> None:
    """Ports and addresses are released, then addresses are allocated anew."""
    world = World(network("one"), service("web", port(80), networks=("one",))).start()
    before = world.vips("web")
    world.respec("web", service("web", networks=("one",), endpoint=False))

    assert set(world.vips("web")) == {"one"}
    assert world.vips("web")["one"] != before["one"]
    assert world.ports("web") == []


def test_a_task_without_networks_goes_on_at_once() -> None:
    """NEW becomes PENDING with the words of the allocator."""
    world = World(service("web"), task("t1", service("web"))).start()

    status = world.store.tasks["t1"].status
    assert (status.state, status.message) == (S.PENDING, "pending task scheduling")


def test_a_task_gets_its_addresses_and_its_services_endpoint() -> None:
    wanted = service("web", port(8080), networks=("one",))
    world = World(network("one"), wanted, task("t1", wanted)).start()

    assert world.addresses("t1") == {"ingress": "10.0.0.3/24", "one": "10.0.1.3/24"}
    assert world.store.tasks["t1"].endpoint == world.store.services["web"].endpoint
    assert world.state("t1") is S.PENDING


def test_local_networks_give_no_addresses() -> None:
    """Predefined and node-local drivers: their tasks proceed."""
    host = Network("host", NetworkSpec("host", driver="host"), predefined=True)
    wanted = service("web", networks=("host", "vlan"))
    world = World(host, network("vlan", driver="macvlan"), wanted, task("t1", wanted)).start()

    assert (world.state("t1"), world.addresses("t1"), world.vips("web")) == (S.PENDING, {}, {})


def test_a_task_waits_for_its_network() -> None:
    """`network %s attached to task %s not allocated yet`; it goes on when the network can be had."""
    wanted = service("web", networks=("bad",))
    world = World(network("bad", driver="nope"), wanted, task("t1", wanted)).start()
    assert world.state("t1") is S.NEW
    assert world.why("web") == "could not find local network state"
    assert world.why("t1") == "service web to which task t1 belongs has pending allocations"

    lone = task("t2", None).evolve(networks=(attached("bad", ""),), service_id="")
    world.create(lone.evolve(networks=(attached("bad", "").evolve(addresses=()),)))
    assert world.why("t2") == "network bad attached to task t2 not allocated yet"


def test_a_task_that_ends_gives_its_address_back_in_turn() -> None:
    """At > RUNNING, before the object is deleted."""
    wanted = service("web", networks=("one",))
    world = World(network("one", "10.1.0.0/29"), wanted, *(task(f"t{i}", wanted) for i in range(4))).start()
    assert world.state("t3") is S.PENDING
    world.create(task("late", wanted))
    assert world.why("late") == "could not find an available IP"

    world.to("t1", S.FAILED)

    assert world.addresses("late") == {"one": world.addresses("t1")["one"]}
    assert world.state("late") is S.PENDING


def test_a_full_subnet_has_no_virtual_ip_either() -> None:
    """Its own words; tried again when something is freed."""
    wanted = service("web", networks=("one",))
    world = World(network("one", "10.1.0.0/30"), wanted).start()
    world.create(service("late", networks=("one",)))
    assert world.why("late") == "could not find an available IP while allocating VIP"

    world.delete(world.store.services["web"])

    assert world.vips("late") == {"one": "10.1.0.2/30"}


def test_what_waits_is_tried_again_every_five_minutes() -> None:
    """At a commit, more than five minutes after the last try."""
    wanted = service("web", networks=("one",))
    world = World(network("one", driver="nope"), wanted).start()
    tries = []
    attempt = world.allocator._try_network
    world.allocator._try_network = lambda n: (tries.append(world.manager.now), attempt(n))[1]  # type: ignore[func-returns-value,method-assign]
    world.manager.run(FIVE_MINUTES)
    world.create(node("w1"))
    assert tries == []

    world.manager.run(FIVE_MINUTES + 1)
    world.create(node("w2"))
    world.create(node("w3"))

    assert tries == [FIVE_MINUTES + 1]


def test_a_service_waits_for_the_ingress_network() -> None:
    """`ingress network is missing`, until there is one."""
    world = World(service("web", port(80)), ingress=False).start()
    assert world.why("web") == "ingress network is missing"

    world.manager.run(FIVE_MINUTES + 1)
    world.create(network("ingress", ingress=True))
    world.create(node("w1"))

    assert world.ports("web") == [80]
    assert world.vips("web") == {"ingress": "10.0.0.2/24"}


def test_the_tasks_of_one_commit_are_written_two_hundred_at_a_time() -> None:
    """All in one batch."""
    wanted = service("web")
    world = World(wanted).start()
    commits = len(world.manager.commits)
    world.create(*(task(f"t{i}", wanted) for i in range(450)))

    assert [len(changes) for _, changes in world.manager.commits[commits:]] == [450, 200, 200, 50]


def test_the_allocator_writes_its_own_fields_only() -> None:
    """A sequence conflict is merged: what others wrote meanwhile stays."""
    wanted = service("web", networks=("one",))
    world = World(network("one"), wanted).start()
    world.manager.interfere = lambda tx: tx.update(tx.get(type(task("x", None)), "t1").evolve(desired_state=S.SHUTDOWN))
    world.create(task("t1", wanted))

    found = world.store.tasks["t1"]
    assert (found.desired_state, found.status.state) == (S.SHUTDOWN, S.PENDING)
    assert world.addresses("t1")


# ---- a new leader ----------------------------------------------------------------------------------------------------


def test_a_new_leader_gives_no_address_twice() -> None:
    """C-139 TestNoDuplicateIPs: a hundred times another task and another allocator."""
    wanted = service("web", networks=("one",))
    world = World(network("one"), wanted).start()
    for i in range(100):
        world.create(task(f"t{i}", wanted))
        world.start()

    assert len({world.addresses(f"t{i}")["one"] for i in range(100)}) == 100
    assert world.doubles() == []


def stored(id: str, n: int) -> Any:
    """A service as an earlier leader left it."""
    ports = (port(8000 + n),)
    endpoint = Endpoint(EndpointSpec(ports=ports), ports, (("ingress", f"10.0.0.{n + 1}/24"),))
    return service(id, *ports).evolve(endpoint=endpoint)


def test_what_is_stored_is_restored_before_anything_is_given() -> None:
    """C-140 TestAllocatorRestoreForDuplicateIPs: virtual IPs .2 to .4 and ports 8001 to 8003."""
    services = [stored(f"s{n}", n) for n in (1, 2, 3)]
    world = World(*services, *(task(f"t{n}", s) for n, s in enumerate(services))).start()

    assert [world.vips(f"s{n}") for n in (1, 2, 3)] == [{"ingress": f"10.0.0.{n}/24"} for n in (2, 3, 4)]
    assert [world.ports(f"s{n}") for n in (1, 2, 3)] == [[8001], [8002], [8003]]
    assert [world.addresses(f"t{n}")["ingress"] for n in range(3)] == [f"10.0.0.{n}/24" for n in (5, 6, 7)]
    assert world.doubles() == []


def test_an_unallocated_network_does_not_disturb_the_others() -> None:
    """C-142 TestAllocatorRestoreForUnallocatedNetwork: it comes first in the store, and gets a subnet of its own."""
    old = network("old").evolve(subnet="10.0.1.0/24", gateway="10.0.1.1", vni=4097)
    services = []
    for n in (1, 2, 3):
        endpoint = Endpoint(EndpointSpec(), (), (("old", f"10.0.1.{n + 1}/24"),))
        services.append(service(f"s{n}", networks=("old",)).evolve(endpoint=endpoint))
    world = World(network("a-new"), old, *services, *(task(f"t{n}", s) for n, s in enumerate(services))).start()

    assert [world.vips(f"s{n}")["old"] for n in (1, 2, 3)] == [f"10.0.1.{n}/24" for n in (2, 3, 4)]
    assert [world.addresses(f"t{n}")["old"] for n in range(3)] == [f"10.0.1.{n}/24" for n in (5, 6, 7)]
    assert world.store.networks["old"].subnet == "10.0.1.0/24"
    assert world.store.networks["a-new"].subnet == "10.0.2.0/24"


def test_ended_tasks_hold_nothing_after_a_change_of_leader() -> None:
    wanted = service("web", networks=("one",))
    world = World(network("one", "10.1.0.0/29"), wanted, *(task(f"t{i}", wanted) for i in range(4))).start()
    for i in range(4):
        world.to(f"t{i}", S.SHUTDOWN)
    world.start()
    world.create(*(task(f"n{i}", wanted) for i in range(4)))

    assert {world.state(f"n{i}") for i in range(4)} == {S.PENDING}
    assert world.doubles() == []


# ---- the nodes' own addresses ----------------------------------------------------------------------------------------


def test_a_node_has_an_address_on_ingress_and_on_each_network_of_its_tasks() -> None:
    """C-143 TestNodeAllocator, step by step."""
    one, two = service("s1", networks=("one",)), service("s2", networks=("two", "vlan"))
    world = World(network("one"), network("two"), network("unused"), network("vlan", driver="macvlan"), one, two)
    world.create(node("n1"), task("t1", one, S.RUNNING, "n1", networks=(attached("one", "10.0.1.9/24"),)))
    world.start()
    assert list(world.attachments("n1")) == ["ingress", "one"]

    world.create(node("n2"))
    assert list(world.attachments("n2")) == ["ingress"]
    world.create(task("t2", two))
    world.to("t2", S.ASSIGNED, "n2")
    assert list(world.attachments("n2")) == ["ingress", "two"]

    before = world.attachments("n2")
    world.create(task("t3", two))
    world.to("t3", S.ASSIGNED, "n2")
    assert world.attachments("n2") == before
    world.to("t3", S.FAILED)
    assert world.attachments("n2") == before
    world.delete(world.store.tasks["t2"])
    assert list(world.attachments("n2")) == ["ingress"]
    assert world.doubles() == []


def test_the_nodes_address_comes_after_the_schedulers_commit() -> None:
    """By a proposal of its own, so the worker may hear of the task first."""
    wanted = service("web", networks=("one",))
    world = World(network("one"), wanted, node("n1"), task("t1", wanted)).start()
    commits = len(world.manager.commits)

    world.to("t1", S.ASSIGNED, "n1")

    assert [type(changes[0].new).__name__ for _, changes in world.manager.commits[commits:]] == ["Task", "Node"]


def test_a_removed_node_or_network_gives_its_addresses_back() -> None:
    wanted = service("web", networks=("one",))
    world = World(network("one"), wanted, node("n1"), node("n2"), task("t1", wanted)).start()
    world.to("t1", S.RUNNING, "n1")
    assert world.allocator.networks.held(("node", "n1")).keys() == {"ingress", "one"}

    world.delete(world.store.nodes["n1"])
    assert world.allocator.networks.held(("node", "n1")) == {}
    world.to("t1", S.RUNNING, "n2")
    world.delete(world.store.services["web"], world.store.tasks["t1"])
    world.delete(world.store.networks["one"])

    assert list(world.attachments("n2")) == ["ingress"]


def test_removing_ingress_takes_it_from_all_nodes() -> None:
    world = World(node("n1"), node("n2")).start()
    world.delete(world.store.networks["ingress"])

    assert (world.attachments("n1"), world.attachments("n2")) == ({}, {})
    world.create(network("again", ingress=True))
    world.manager.write(world.store.nodes["n1"])
    assert list(world.attachments("n1")) == ["again"]


def test_a_task_in_every_state_keeps_or_frees_its_address() -> None:
    """Up to RUNNING it is kept."""
    wanted = service("web", networks=("one",))
    for state in TaskState:
        world = World(network("one"), wanted, task("t1", wanted)).start()
        world.to("t1", state, "n1")
        assert bool(world.allocator.networks.held(("task", "t1"))) == (state <= S.RUNNING), state


def test_a_retry_that_has_nothing_to_try_counts_too() -> None:
    """network.go `EventCommit`: `lastRetry` moves whenever a retry is due, so what fails then waits five minutes."""
    second = FIVE_MINUTES // 300
    world = World().start()
    world.manager.run(FIVE_MINUTES + second)
    world.create(network("a"))
    world.create(service("web", networks=("late",)))
    world.create(network("late"))

    world.manager.run(2 * FIVE_MINUTES + second)
    world.create(network("b"))
    early = world.vips("web")
    world.manager.run(2 * FIVE_MINUTES + 2 * second)
    world.create(network("c"))

    assert not early
    assert world.vips("web")


def test_what_is_freed_is_tried_once() -> None:
    """`somethingWasDeallocated` is cleared by the retry, whether it helped or not."""
    world = World(network("net", "10.9.0.0/29"), service("web", networks=("net",))).start()
    tasks = [task(f"t{i}", world.store.services["web"]) for i in range(7)]
    world.create(*tasks)
    waiting = [t.id for t in tasks if world.state(t.id) is S.NEW]
    assert waiting

    world.create(task("other", None))
    world.delete(world.store.tasks["other"])

    assert world.allocator._freed_by is None
    assert [id for id in waiting if world.state(id) is S.NEW] == waiting


def test_a_new_leaders_allocator_writes_each_kind_in_one_batch() -> None:
    """network.go `doNetworkInit`: ingress by itself, then networks, nodes, services, tasks."""
    services = [service(f"s{i}", networks=("a",)) for i in range(3)]
    nodes = [node(f"w{i}") for i in range(3)]
    tasks = [task(f"t{i}", s) for i, s in enumerate(services)]
    world = World(network("b"), network("a"), *nodes, *services, *tasks)
    before = len(world.manager.commits)

    world.start()

    written = [[c.new.id for c in changes] for _, changes in world.manager.commits[before:]]
    assert written == [["ingress"], ["b", "a"], ["w0", "w1", "w2"], ["s0", "s1", "s2"], ["t0", "t1", "t2"]]


def test_a_port_conflict_costs_no_address() -> None:
    """cnmallocator `AllocateService`: ports come before addresses, however often it is tried."""
    world = World(network("net"), service("one", port(80), networks=("net",))).start()
    for i in range(3):
        world.create(service(f"two{i}", port(80), networks=("net",)))

    world.create(service("three", networks=("net",)))

    assert (world.vips("one")["net"], world.vips("three")["net"]) == ("10.0.1.2/24", "10.0.1.3/24")


def test_a_service_without_a_virtual_ip_keeps_the_ports_that_it_had() -> None:
    """All or nothing: the ports of the update are given back."""
    full = network("full", "10.9.0.0/30")
    world = World(full, service("other", networks=("full",)), service("web", port(80))).start()

    world.respec("web", service("web", port(81), networks=("full",)))

    assert world.ports("web") == [80]
    assert world.why("web") == "could not find an available IP while allocating VIP"
    world.create(service("third", port(81)))
    assert world.ports("third") == [81]
    world.create(service("fourth", port(80)))
    assert world.ports("fourth") == []


def test_a_node_without_an_address_tries_again_with_each_event_of_its_tasks() -> None:
    """network.go `doTaskAlloc`: the node is looked at again and again; nothing else retries for it."""
    web = service("web", networks=("net",), mode=DNSRR)
    world = World(network("net", "10.9.0.0/29"), node("w1"), node("w2"), web).start()
    tasks = [task(f"t{i}", web) for i in range(5)]
    world.create(*tasks)  # .2 to .6: the subnet is full
    world.to("t0", S.ASSIGNED, "w1")
    assert "net" not in world.attachments("w1")

    world.to("t4", S.REJECTED)
    assert "net" not in world.attachments("w1")
    world.to("t0", S.ACCEPTED)

    assert world.attachments("w1")["net"] == "10.9.0.6/29"


def test_a_new_ingress_network_reaches_a_node_with_the_next_event_there() -> None:
    """The network's own event gives nodes nothing."""
    web = service("web")
    world = World(node("w1"), web).start()
    world.delete(world.store.networks["ingress"])
    world.create(network("other", ingress=True))
    assert world.attachments("w1") == {}

    world.create(task("t1", web))
    world.to("t1", S.ASSIGNED, "w1")

    assert list(world.attachments("w1")) == ["other"]


@pytest.mark.parametrize("gone", [service("idle"), node("idle")])
def test_any_removal_of_a_service_or_a_node_is_worth_a_retry(gone: Any) -> None:
    """network.go: `somethingWasDeallocated` is set even if it held nothing; so a network's late coming is noticed."""
    world = World(gone, service("web", networks=("late",)), ingress=False).start()
    world.create(network("late"))
    assert not world.vips("web")

    world.delete(world.store.get(type(gone), "idle"))

    assert world.vips("web")
