"""What experiments ask of a Raft member itself: an election, entries, another configuration, a read.

No manager of a swarm is asked any of it, for SwarmKit proposes transactions of its store, changes one member at a time
behind a lock of its own, and reads from the leader's store. So some rules of Raft show only here (`only: raft`). What
is asked goes straight to the core, as a call of etcd's `Node` would; driver, disk and network are the swarm's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...api.messages import AskToRead, ChangeMembers, ProposeEntries, StartElection
from ...errors import ApiError, LeadershipLost
from ...machine import Call, Outbox
from ...raft.membership import ConfChange, ConfChangeSingle, ConfChangeType, ConfChangeV2, as_v2
from ...raft.messages import RaftError, ReadState
from ...raft.raft import RawNode
from ...trace.events import ReadAnswered, ReadAsked
from .applying import Applying

REQUESTS = (StartElection, ProposeEntries, ChangeMembers, AskToRead)


class Experiments(Applying):
    def _experiment(self, call: Call, request: Any, out: Outbox) -> None:
        """Serve one of `REQUESTS`. Raises `LeadershipLost` where it is the leader's to serve."""
        if type(request) is AskToRead:
            self._reads += 1
            self._reading[self._reads] = call
            out.emit(ReadAsked(self.node, self._reads))
            self._ask(lambda raw: raw.read_index(self._reads), out)
            return
        if type(request) is StartElection:
            self._ask(RawNode.campaign, out)
            out.reply(call, 0)
            return
        if not self.is_raft_leader:
            raise LeadershipLost
        if type(request) is ChangeMembers:
            self._propose_members(_change(request), out)
        else:
            for _ in range(request.entries):
                self._ask(lambda raw: raw.propose("entry", size=64), out)
        out.reply(call, self.raw.log.last_index)

    def _propose_members(self, change: ConfChange | ConfChangeV2, out: Outbox) -> None:
        """etcd tells nobody that a change may not be made now: it logs "ignoring conf change", and why."""
        why = self.raw.refusal_of(as_v2(change))
        self._ask(lambda raw: raw.propose_conf_change(change, size=64), out)
        if why:
            raise ApiError("FailedPrecondition", f"raft: ignoring conf change: {why}")

    def _ask(self, stimulus: Callable[[RawNode], None], out: Outbox) -> None:
        self.now = out.now
        if self._dozing_since is not None:
            self._wake(out)  # what follows must not be skipped
        try:
            stimulus(self.raw)
        except RaftError:
            raise LeadershipLost from None
        self._pump(out)

    def _reads_answered(self, states: Sequence[ReadState], out: Outbox) -> None:
        for index, request in states:
            call = self._reading.pop(request, None)
            if call is not None:
                out.emit(ReadAnswered(self.node, request, index))
                out.reply(call, index)


def _change(request: ChangeMembers) -> ConfChange | ConfChangeV2:
    """One change in SwarmKit's own form; several in etcd's, and their joint configuration is left by itself."""
    changes = [ConfChangeSingle(ConfChangeType.ADD_NODE, id) for id, _ in request.add]
    changes += [ConfChangeSingle(ConfChangeType.REMOVE_NODE, id) for id in request.remove]
    members = dict(request.add)
    if len(changes) == 1:
        return ConfChange(*changes[0], context=members.get(changes[0].node_id))
    return ConfChangeV2(tuple(changes), context=members)
