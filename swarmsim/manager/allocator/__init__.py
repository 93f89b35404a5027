"""The allocator: addresses, ports and subnets, without which no task becomes PENDING (SwarmKit manager/allocator).

Second of the leader's pipeline stages (orchestrator, *allocator*, scheduler, dispatcher). `allocator` is the machine:
one event loop over commits, with lists of what could not be allocated yet; `network` hands out subnets and
addresses (Docker's libnetwork/cnmallocator and its default IPAM), `ports` the published ports of the routing mesh.
Its memory is rebuilt from the store at every start, so serial counters begin anew when leadership moves.

Departures from the original (2026-11-24):

* Addresses and ports remember their owner and are freed only by it. In the original an address that was freed when
  its task ended is freed once more when the task object is deleted, even if another task has it by then.
* A service whose new ports or addresses cannot be had keeps its old ones; the original frees them first.
* What was booked for a task that vanishes before the commit is freed; the original leaks it until the leader changes.
* A service that needs the ingress network while there is none waits in the unallocated list.
* One subnet a network: the first of its IPAM configurations counts. Node-local networks are not written to.
* Within one commit the ends of tasks are booked before its other changes.
"""

from .allocator import Allocator

__all__ = ["Allocator"]
