"""The network as a networkx graph: for figures, notebooks and the question "who can talk to whom?"."""

from __future__ import annotations

from typing import TYPE_CHECKING

import networkx

if TYPE_CHECKING:
    from .network import Network


def graph(network: Network) -> networkx.Graph[str]:
    """Nodes: hosts (attribute `up`). Edges: pairs of hosts that are up and that no rule keeps apart."""
    g: networkx.Graph[str] = networkx.Graph()
    for name, host in network.hosts.items():
        g.add_node(name, up=host.up)
    names = [name for name, host in network.hosts.items() if host.up]
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            ways = (network.link(a, b), network.link(b, a))
            if not any(network._blocked(way) for way in ways):
                g.add_edge(a, b, latency=network.latency)
    return g


def sides(network: Network) -> list[list[str]]:
    """The groups of hosts that can reach one another, largest first, names sorted."""
    groups = [sorted(part) for part in networkx.connected_components(graph(network))]
    return sorted(groups, key=lambda g: (-len(g), g))
