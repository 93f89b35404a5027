"""The Raft core, shaped like etcd's RawNode: stimuli in, Ready out, no clock, no network, no disk.

    from random import Random
    from swarmsim.raft import RawNode, config

    raft = RawNode(config.swarmkit(id=1, rng=Random(7)))         # or Config(...); restart: hard_state, snapshot, ...
    raft.bootstrap([(1, None)])                                  # the first server of a cluster only

    stimuli      tick()  step(message)  campaign()  propose(data, size)  propose_conf_change(change, size)
                 transfer_leader(to)  forget_leader()  read_index(request)
                 report_unreachable(peer)  report_snapshot(peer, ok)
    Ready cycle  has_ready()  ready() -> Ready  advance()  apply_conf_change(entry.data) -> ConfState
    log          create_snapshot(index, conf_state, data, size) -> Snapshot  compact(index)
    looking in   status()  hard_state()  soft_state()  and the attributes of Figure 2: current_term, voted_for,
                 commit_index, last_applied, role, leader_id, log, progress

`raft.py` shows the driver's loop. Errors a call can raise: ProposalDropped, LocalMessage, PeerNotFound (RaftError).

Where things are: `messages` the words; `state` Figure 2; `election`, `replication`, `snapshot`, `membership` one
section of the paper each; `heartbeat` with the reads it confirms; `progress` flow control; `quorum` majorities; `log`;
`config`; `raft` the public calls, the term gate, Ready, and DISPATCH: message class -> handler by role.

Each class stands on the one before it, so every rule is a small method of RawNode that a subclass can override:

    Figure 2    admit_earlier_term, step_down_on_higher_term        a message of another term
                may_vote_for, log_is_up_to_date                     RequestVote 2, first and second half
                log_matches, entries_to_append, commit_after_append AppendEntries 2, 3 and 4, 5
                draw_election_timeout, become_candidate             Followers, Candidates
                may_commit, quorum_committed, election_result       majorities
    section 6   change_is_pending, first_pending_conf_index, has_unapplied_conf_change, Changer.changes_one_voter
    section 7   is_news                                             an old snapshot
    section 8   open_term, committed_in_own_term, begin_read        the empty entry; reads
    thesis      quorum_is_active, in_lease, pre_campaign            CheckQuorum, its lease, PreVote
    the driver  persists_before_sending                             asked before a Ready's messages leave

`ablation.core(without)` makes the class that lacks some of them, to show what each is for.

Departures from etcd (2026-11-24; etcd/raft cdfbeed and the v3.6.0 that SwarmKit vendors):

* No asynchronous storage writes: SwarmKit does not use them.
* The log holds its durable part itself; the driver writes what each Ready says and never reads it back.
* Reads are numbered as in v3.7, since v3.6 can confirm a retried read too early.
* A second forwarding of a TransferLeader, which panics in etcd, forwards it.
* Restart forgives a HardState older than the snapshot, and drops a log that contradicts the snapshot: a crash may
  come between the two writes. A driver that goes on writing after a snapshot must have removed what it replaced.
* A leader that was removed does not answer reads for the one voter that is left, as etcd's `IsSingleton` would.
* A snapshot for a server that is not a follower is an assertion, as it cannot happen.
"""

from swarmsim.raft.config import Config, RandomStream, ReadOnly
from swarmsim.raft.membership import (
    ConfChange,
    ConfChangeError,
    ConfChangeSingle,
    ConfChangeTransition,
    ConfChangeType,
    ConfChangeV2,
)
from swarmsim.raft.messages import (
    NONE,
    Compacted,
    ConfState,
    Entry,
    EntryType,
    HardState,
    LocalMessage,
    Message,
    PeerNotFound,
    ProposalDropped,
    RaftError,
    ReadState,
    Snapshot,
    SnapshotOutOfDate,
)
from swarmsim.raft.progress import Progress, ProgressState
from swarmsim.raft.raft import RawNode, Ready, Status
from swarmsim.raft.state import Role, SoftState

__all__ = [
    "NONE",
    "Compacted",
    "ConfChange",
    "ConfChangeError",
    "ConfChangeSingle",
    "ConfChangeTransition",
    "ConfChangeType",
    "ConfChangeV2",
    "ConfState",
    "Config",
    "Entry",
    "EntryType",
    "HardState",
    "LocalMessage",
    "Message",
    "PeerNotFound",
    "Progress",
    "ProgressState",
    "ProposalDropped",
    "RaftError",
    "RandomStream",
    "RawNode",
    "ReadOnly",
    "ReadState",
    "Ready",
    "Role",
    "Snapshot",
    "SnapshotOutOfDate",
    "SoftState",
    "Status",
]
