"""In the real driver and network: why did this happen? Chains of causes end at the fault."""

import simpy

from swarmsim.agent.load_balancer import LoadBalancer
from swarmsim.gossip import AddEndpoint, Gossip, JoinNetwork
from swarmsim.machine import SECOND, Address
from swarmsim.sim.host import Host
from swarmsim.sim.network import Network
from swarmsim.trace.events import (
    EndpointDropped,
    HostCrashed,
    HostStarted,
    PeerDeclaredDead,
    PeerRecovered,
    PeerSuspected,
)
from swarmsim.trace.recorder import Trace

from .world import endpoint


def cluster(n: int) -> tuple[simpy.Environment, Trace, list[Host]]:
    env, trace = simpy.Environment(), Trace()
    network = Network(env, trace, seed=1)
    names = tuple(f"w{i}" for i in range(n))
    hosts = [Host(env, trace, network, name, 1, (1000, 2000)) for name in names]
    for host in hosts:
        network.sleepers[Address(host.name, "gossip")] = None

        def boot(cause: int, host: Host = host) -> None:
            host.spawn("gossip", Gossip(host.name, names, balancer=LoadBalancer()), None, cause)
            host.drivers["gossip"].serve(
                host.drivers["gossip"].on_message,
                (Address(host.name, "agent"), JoinNetwork("ingress", formed=names if env.now == 0 else ())),
                cause,
            )

        host.boot = boot
        boot(0)
    return env, trace, hosts


def test_what_gossip_says_of_a_crash_was_caused_by_it() -> None:
    env, trace, hosts = cluster(6)
    for task in "abc":
        hosts[1].wake("gossip", AddEndpoint(endpoint(task)))
    env.run(60 * SECOND)

    hosts[1].crash("power", 0)
    env.run(120 * SECOND)
    hosts[1].start(0)
    env.run(180 * SECOND)

    for kind, root, times in [
        (PeerSuspected, HostCrashed, None),
        (PeerDeclaredDead, HostCrashed, 5),
        (EndpointDropped, HostCrashed, 15),
        (PeerRecovered, HostStarted, 5),
    ]:
        roots = [type(trace.chain(recorded.seq)[-1].event) for recorded in trace.of(kind)]
        assert roots
        assert set(roots) == {root}, kind
        assert times is None or len(roots) == times
