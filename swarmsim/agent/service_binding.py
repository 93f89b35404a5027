"""How a running task's endpoint gets to every node's load balancer: by gossip, from the node that runs it.

daemon/libnetwork/agent.go `addServiceInfoToCluster`: added when the task runs, disabled when it is told to stop (new
connections avoid it), removed when its container has ended. `gossip` spreads the records.
"""

from __future__ import annotations

from ..api.objects import NetworkAttachment, Node, Task
from ..api.specs import PortConfig, PublishMode
from ..gossip.messages import AddEndpoint, DisableEndpoint, EndpointRecord, JoinNetwork, LeaveNetwork, RemoveEndpoint
from ..machine import Address, Outbox


class ServiceBinding:
    """Of one node. `ingress` is the first network that the node was attached to."""

    def __init__(self, host: str) -> None:
        self.gossip = Address(host, "gossip")
        self._joined: dict[str, None] = {}
        self._active: dict[str, tuple[NetworkAttachment, ...]] = {}

    def attachments(self, node: Node, out: Outbox, formed: tuple[str, ...] = ()) -> None:
        """The node is a member of the networks that it has an address on (dispatcher's session message).

        `formed`: the nodes on its network in a cluster that is handed over.
        """
        wanted = {a.network_id: None for a in node.attachments}
        for network in wanted:
            if network not in self._joined:
                self._joined[network] = None
                out.send(self.gossip, JoinNetwork(network, formed))
        for network in [n for n in self._joined if n not in wanted]:
            del self._joined[network]
            out.send(self.gossip, LeaveNetwork(network))

    def activate(self, task: Task, out: Outbox) -> None:
        """The task runs: its endpoints take traffic."""
        self._active[task.id] = task.networks
        ports = tuple(p for p in task.endpoint.ports if p.publish_mode is PublishMode.INGRESS) if task.endpoint else ()
        for attachment in task.networks:
            if attachment.addresses:
                out.send(self.gossip, AddEndpoint(_record(task, attachment, ports)))
            ports = ()  # they stand in the ingress network's record, which is the first where there are any

    def disable(self, task: Task, out: Outbox) -> None:
        for attachment in self._active.get(task.id, ()):
            if attachment.addresses:
                out.send(self.gossip, DisableEndpoint(task.id, attachment.network_id))

    def remove(self, task: Task, out: Outbox) -> None:
        for attachment in self._active.pop(task.id, ()):
            if attachment.addresses:
                out.send(self.gossip, RemoveEndpoint(task.id, attachment.network_id))


def _record(task: Task, attachment: NetworkAttachment, ports: tuple[PortConfig, ...]) -> EndpointRecord:
    vips = dict(task.endpoint.virtual_ips) if task.endpoint else {}
    return EndpointRecord(
        task.id,
        task.name,
        attachment.network_id,
        task.service_id,
        task.service_name,
        vips.get(attachment.network_id, "").split("/")[0],
        attachment.addresses[0].split("/")[0],
        ports,
    )
