"""One swarm node: what Docker's engine runs on a host, as its role demands.

SwarmKit node/node.go. `Supervisor` is the software: it obtains the
certificate, runs an agent and a gossip member for ever, and a manager while the node's certificate is a manager's: a
Raft member, a proxy, the control API and `manager`, which starts the leader-only components. `SwarmNode` is the body
around it: it makes the machines, and says who performs a machine's `update` and `batch` (the proposer of the manager
on that host).

A manager starts from what its Raft directory holds; where that is lost it asks the others to be let in, and they know
it by its node's id: it gets its old Raft id back, with an empty log. A node that lost all knows of no swarm.

Departure (2026-11-25): a node whose manager cannot join the Raft group tries again with backoff by itself; in Docker
the whole node exits, and the engine starts it again, with the same effect. A manager whose disk is full ends alone and
is started again with the engine's pauses, and so does one that cannot read its log; in Docker its node, and the agent
with it, ends too.
"""

from .body import SWARM_STATE, RaftServer, SwarmNode
from .identity import Formed, Identity, Join
from .supervisor import Supervisor

__all__ = ["SWARM_STATE", "Formed", "Identity", "Join", "RaftServer", "Supervisor", "SwarmNode"]
