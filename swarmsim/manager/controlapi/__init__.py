"""Stage one: what an operator asks is checked and written, or refused in the real words (SwarmKit manager/controlapi).

`server` is the machine; each kind of object has a file with its requests, and `listing` has the questions about all of
them. What a service spec may say is in `manager.validation`. Every manager has this machine; followers pass requests on
to the leader (`manager.proxy`).

Leaves out: extensions and resources; certificates and external CAs in a cluster's spec; log and event
streams.
"""

from .server import ControlApi

__all__ = ["ControlApi"]
