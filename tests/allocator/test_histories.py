"""Whatever is created, updated and removed: nothing is ever given twice, and nothing is lost."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings

from swarmsim.api.objects import Network
from swarmsim.manager.allocator.ports import DYNAMIC_PORT_END, DYNAMIC_PORT_START

from .world import DNSRR, HOST, INGRESS, VIP, S, World, network, node, port, service, task

ports = st.lists(
    st.builds(
        port,
        st.sampled_from([0, 0, 80, 81, 30_000, 30_001]),
        st.sampled_from([1, 2]),
        st.sampled_from([INGRESS, INGRESS, HOST]),
        st.sampled_from(["", "x"]),
        st.sampled_from(["tcp", "tcp", "udp"]),
    ),
    max_size=2,
)
networks = st.sampled_from([("small",), ("big",), ("big", "small"), ("big", "gone"), ("vlan", "big"), ()])
specs = st.tuples(ports, networks, st.sampled_from([VIP, VIP, VIP, DNSRR]), st.sampled_from([True, True, True, False]))
few, any_task = st.integers(0, 2), st.integers(0, 9)
services = st.tuples(st.just("service"), few, specs)
tasks = st.tuples(st.just("task"), few, st.integers(0, 2))
runs = st.tuples(st.just("run"), any_task, st.sampled_from(["n1", "n2"]))
ends = st.tuples(st.sampled_from(["end", "end", "untask"]), any_task, st.none())
leaders = st.tuples(st.just("leader"), st.none(), st.none())
rare = st.one_of(
    st.tuples(st.just("unservice"), few, st.none()),
    st.tuples(st.just("node"), st.sampled_from([1, 2]), st.booleans()),
    st.tuples(st.just("network"), st.sampled_from(["small", "gone"]), st.booleans()),
)
#: A service and some of its tasks first, so that a history has something to work on.
moves = st.tuples(
    services,
    tasks,
    st.lists(st.one_of(services, tasks, tasks, runs, ends, ends, leaders, rare), min_size=4, max_size=25),
).map(lambda parts: [parts[0], parts[1], *parts[2]])


@settings(deadline=None, max_examples=120)
@given(moves)
def test_no_address_and_no_port_is_given_twice(history: Any) -> None:
    """The twin is a count of everything that the store says is held, after every step."""
    world = World(network("small", "10.7.0.0/29"), network("big"), network("vlan", driver="macvlan"), node("n1"))
    world.start()
    for n, move in enumerate(history):
        _do(world, n, *move)
        assert world.doubles() == []
        _books_agree(world)
    _nothing_is_lost(world)


def _do(world: World, n: int, what: str, which: Any, how: Any) -> None:
    store = world.store
    if what == "service":
        wanted_ports, wanted_networks, mode, has_endpoint = how
        wanted = service(f"s{which}", *wanted_ports, networks=wanted_networks, mode=mode, endpoint=has_endpoint)
        if wanted.id in store.services:
            world.respec(wanted.id, wanted)
        else:
            world.create(wanted)
    elif what == "unservice" and f"s{which}" in store.services:
        world.delete(store.services[f"s{which}"])
    elif what == "task" and f"s{which}" in store.services:
        world.create(*(task(f"t{n}.{i}", store.services[f"s{which}"]) for i in range(how + 1)))
    elif what in ("run", "end", "untask") and store.tasks:
        found = list(store.tasks.values())[which % len(store.tasks)]
        if what == "untask":
            world.delete(found)
        elif what == "end":
            world.to(found.id, S.FAILED)
        elif found.status.state is S.PENDING:
            world.to(found.id, S.RUNNING, how)
    elif what == "node":
        known = store.nodes.get(f"n{which}")
        if how and known is None:
            world.create(node(f"n{which}"))
        elif known is not None and not how:
            world.delete(known)
    elif what == "network":
        known = store.by_name(Network, which)
        if how and known is None:
            made = network(which, "10.7.0.0/29" if which == "small" else "")
            world.create(made.evolve(id=f"{which}{n}"))  # ids never come back
        elif known is not None and not how:
            world.delete(known)
    elif what == "leader":
        world.start()


def _books_agree(world: World) -> None:
    """What the allocator has booked for somebody is what the store says, but for what is being given up."""
    booked = {
        (network_id, address)
        for owner, held in world.allocator.networks._held.items()
        for network_id, address in held.items()
        if owner[0] != "service"
    }
    stored = {
        (network_id, address)
        for (network_id, address), _ in world.everything_given().items()
        if not network_id.startswith("port/") and network_id in world.store.networks
    }
    vips = {vip for s in world.store.services.values() for vip in world.vips(s.id).items()}
    assert booked <= stored
    assert {(n, a) for n, a in stored - vips if world.allocator.networks.is_global(n)} <= booked


def _nothing_is_lost(world: World) -> None:
    """When all is gone, all is free: each pool and each port can be given out in full once more."""
    for table in (world.store.tasks, world.store.services, world.store.nodes):
        for obj in list(table.values()):
            world.delete(obj)
    networks = world.allocator.networks
    assert {owner: held for owner, held in networks._held.items() if held} == {}
    for pool in networks.networks.values():
        if pool is not None:
            assert pool._free == pool._last - pool._first + 1 - sum(
                pool._in_range(o) for o, owner in pool._owners.items() if owner is None
            )
    all_ports = service("all", *(port(0, 1 + i) for i in range(DYNAMIC_PORT_END - DYNAMIC_PORT_START + 1)))
    assert len(networks.ports.allocate(all_ports)) == 2_768
