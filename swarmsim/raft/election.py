"""Leader election (section 5.2), the restriction on who may win (5.4.1), and what keeps leaders in office.

Figure 2, RequestVote RPC and Rules for Servers; PreVote (thesis 9.6), CheckQuorum and the lease (thesis 4.2.3 and
6.2), leader transfer (thesis 3.10), forgetting the leader. etcd raft.go: `becomeFollower` and its siblings, `hup`,
`campaign`, `poll`, `Step` MsgVote, `tickElection`, `tickHeartbeat`.

One thing differs from the paper throughout: a candidate's own vote is a message to itself that counts when it is
durable, so a candidate has no votes at first. Read next: `replication.py`.
"""

from __future__ import annotations

from swarmsim.raft.config import ReadOnly
from swarmsim.raft.messages import (
    NONE,
    AppendEntries,
    Entry,
    EntryType,
    ForgetLeader,
    Heartbeat,
    InstallSnapshot,
    PreVote,
    PreVoteResponse,
    RequestVote,
    RequestVoteResponse,
    TimeoutNow,
    TransferLeader,
)
from swarmsim.raft.quorum import VoteResult, joint_vote
from swarmsim.raft.replication import Replication
from swarmsim.raft.state import CANDIDATE, FOLLOWER, LEADER, PRE_CANDIDATE, Role


class Election(Replication):
    __slots__ = ()

    # -- roles (Figure 4) --
    def _enter(self, role: Role) -> None:
        self.role = role
        self.handlers = self.HANDLERS[role]

    def reset(self, term: int) -> None:
        """Begin afresh in `term`. A vote is kept as long as the term is the same."""
        if term != self.current_term:
            self.current_term = term
            self.voted_for = NONE
        self.leader_id = NONE
        self.lead_transferee = NONE
        self.election_elapsed = 0
        self.heartbeat_elapsed = 0
        self.randomized_election_timeout = self.draw_election_timeout()
        self.votes = {}
        last = self.log.last_index
        for id, record in self.progress.items():
            record.restart(last if id == self.id else 0, last + 1)
            record.recent_active = False
        self.pending_conf_index = 0
        self.uncommitted_size = 0
        self.pending_reads.clear()
        self.read_acks.clear()

    def draw_election_timeout(self) -> int:
        """Election timeouts are randomised, so that split votes are rare (section 5.2)."""
        least, most = self.election_ticks()
        return least + self.config.rng.randrange(most - least + 1)

    def election_ticks(self) -> tuple[int, int]:
        """What a timeout is drawn from, both ends included; etcd's range unless the configuration says another."""
        config = self.config
        return config.election_tick, config.election_tick_most or 2 * config.election_tick - 1

    def become_follower(self, term: int, leader_id: int) -> None:
        self.reset(term)
        self.leader_id = leader_id
        self._enter(FOLLOWER)

    def become_pre_candidate(self) -> None:
        """Thesis 9.6: neither term nor vote nor timer changes before the others say that we could win."""
        assert self.role is not LEADER, "a leader cannot become pre-candidate"
        self.votes = {}
        self.leader_id = NONE
        self._enter(PRE_CANDIDATE)

    def become_candidate(self) -> None:
        """Candidates: increment currentTerm, vote for self, reset election timer (Figure 2)."""
        assert self.role is not LEADER, "a leader cannot become candidate"
        self.reset(self.current_term + 1)
        self.voted_for = self.id
        self._enter(CANDIDATE)

    def become_leader(self) -> None:
        """nextIndex[] and matchIndex[] are "reinitialized after election" (Figure 2)."""
        assert self.role is not FOLLOWER, "a follower cannot become leader"
        self.reset(self.current_term)
        self.leader_id = self.id
        self._enter(LEADER)
        own = self.progress[self.id]
        own.become_replicate()
        own.recent_active = True
        self.pending_conf_index = self.first_pending_conf_index()
        self.open_term()

    def open_term(self) -> None:
        """An empty entry of the new term lets the leader commit what it inherited (section 8; thesis 6.4)."""
        appended = self.append_as_leader((Entry(),))
        assert appended, "an empty entry cannot be too large"

    # -- time --
    def tick(self) -> None:
        """One tick of the clock. An idle follower only counts."""
        self.election_elapsed += 1
        if self.role is LEADER:
            self._tick_leader()
        elif self.election_elapsed >= self.randomized_election_timeout and self.promotable():
            self.election_elapsed = 0
            self.hup(transfer=False)

    def _tick_leader(self) -> None:
        """A look at the quorum each election timeout, then a heartbeat when it is due (etcd: `tickHeartbeat`)."""
        self.heartbeat_elapsed += 1
        if self.election_elapsed >= self.config.election_tick:
            self.election_elapsed = 0
            if self.config.check_quorum:
                self.handle_check_quorum()
            if self.role is not LEADER:
                return
            self.lead_transferee = NONE  # a transfer that took that long has failed
        if self.heartbeat_elapsed >= self.config.heartbeat_tick:
            self.heartbeat_elapsed = 0
            self.broadcast_heartbeat()

    # -- campaigning --
    def promotable(self) -> bool:
        """May it become leader at all? Not as a learner, a stranger, or with a snapshot still to be written."""
        own = self.progress.get(self.id)
        return own is not None and not own.is_learner and self.log.unstable_snapshot is None

    def has_unapplied_conf_change(self) -> bool:
        """It would campaign with a configuration that is known to be outdated (etcd: `hasUnappliedConfChanges`)."""
        log = self.log
        if log.last_applied >= log.commit_index:
            return False
        first = max(log.last_applied + 1, log.first_index)
        return any(e.type is not EntryType.NORMAL for e in log.slice(first, log.commit_index + 1))

    def hup(self, transfer: bool) -> None:
        """Start an election, if that makes sense (etcd: MsgHup). A transfer skips the pre-vote."""
        if self.role is LEADER or not self.promotable() or self.has_unapplied_conf_change():
            return
        if self.config.pre_vote and not transfer:
            self.pre_campaign()
        else:
            self.campaign_for_real(transfer)

    def voter_ids(self) -> list[int]:
        """Voters of both halves of the configuration, ascending."""
        return sorted({*self.conf.voters, *self.conf.voters_outgoing})

    def pre_campaign(self) -> None:
        """Thesis 9.6: ask first, as if the next term had begun."""
        self.become_pre_candidate()
        term, last, last_term = self.current_term + 1, self.log.last_index, self.log.last_term()
        for voter in self.voter_ids():
            if voter == self.id:
                self.send_after_append(PreVoteResponse(voter, voter, term, True))
            else:
                self.send(PreVote(self.id, voter, term, last, last_term))

    def campaign_for_real(self, transfer: bool = False) -> None:
        """Candidates: vote for self, send RequestVote RPCs to all other servers (Figure 2)."""
        self.become_candidate()
        term, last, last_term = self.current_term, self.log.last_index, self.log.last_term()
        for voter in self.voter_ids():
            if voter == self.id:
                self.send_after_append(RequestVoteResponse(voter, voter, term, True))
            else:
                self.send(RequestVote(self.id, voter, term, last, last_term, transfer))

    # -- voting --
    def in_lease(self) -> bool:
        """A server that hears a leader does not help to depose it (section 6; thesis 4.2.3; etcd: `inLease`)."""
        return self.config.check_quorum and self.leader_id != NONE and self.election_elapsed < self.config.election_tick

    def may_vote_for(self, m: RequestVote | PreVote) -> bool:
        """RequestVote rule 2, first half: one vote per term. etcd also wants no leader to be known."""
        if self.voted_for == m.src or (self.voted_for == NONE and self.leader_id == NONE):
            return True
        return type(m) is PreVote and m.term > self.current_term

    def log_is_up_to_date(self, m: RequestVote | PreVote) -> bool:
        """RequestVote rule 2, second half: "at least as up-to-date as receiver's log" (section 5.4.1)."""
        own = self.log.last_term()
        return m.last_log_term > own or (m.last_log_term == own and m.last_log_index >= self.log.last_index)

    def handle_request_vote(self, m: RequestVote) -> None:
        """Figure 2, RequestVote RPC. Learners vote too: they may be voters without knowing it yet."""
        if self.may_vote_for(m) and self.log_is_up_to_date(m):
            self.send_after_append(RequestVoteResponse(self.id, m.src, m.term, True))
            self.election_elapsed = 0
            self.voted_for = m.src
        else:
            self.send_after_append(RequestVoteResponse(self.id, m.src, self.current_term, False))

    def handle_pre_vote(self, m: PreVote) -> None:
        """Thesis 9.6: the same question, but the answer binds nobody."""
        granted = self.may_vote_for(m) and self.log_is_up_to_date(m)
        term = m.term if granted else self.current_term
        self.send_after_append(PreVoteResponse(self.id, m.src, term, granted))

    # -- counting --
    def poll(self, voter: int, granted: bool) -> VoteResult:
        """A server's first answer counts."""
        self.votes.setdefault(voter, granted)
        return self.election_result()

    def election_result(self) -> VoteResult:
        """Section 5.2: a majority decides; in a joint configuration a majority of each half (section 6)."""
        return joint_vote(self.conf.voters, self.conf.voters_outgoing, self.votes)

    def handle_vote_response(self, m: RequestVoteResponse) -> None:
        """Candidates: "if votes received from majority of servers: become leader" (Figure 2)."""
        result = self.poll(m.src, m.vote_granted)
        if result is VoteResult.WON:
            self.become_leader()
            self.broadcast_append()
        elif result is VoteResult.LOST:
            self.become_follower(self.current_term, NONE)

    def handle_pre_vote_response(self, m: PreVoteResponse) -> None:
        result = self.poll(m.src, m.vote_granted)
        if result is VoteResult.WON:
            self.campaign_for_real()
        elif result is VoteResult.LOST:
            self.become_follower(self.current_term, NONE)

    def concede(self, m: AppendEntries | Heartbeat | InstallSnapshot) -> None:
        """Candidates: "if AppendEntries RPC received from new leader: convert to follower" (Figure 2)."""
        self.become_follower(m.term, m.src)
        self.handlers[type(m)](self, m)

    # -- staying leader --
    def quorum_is_active(self) -> bool:
        """Did a quorum answer since the last look? (etcd tracker.go, `QuorumActive`)"""
        active = {id: r.recent_active for id, r in self.progress.items() if not r.is_learner}
        return joint_vote(self.conf.voters, self.conf.voters_outgoing, active) is VoteResult.WON

    def handle_check_quorum(self) -> None:
        """A leader that hears no quorum for an election timeout steps down (thesis 6.2; etcd: CheckQuorum)."""
        if not self.quorum_is_active():
            self.become_follower(self.current_term, NONE)
        for _, record in self.peers:
            record.recent_active = False

    # -- handing over --
    def handle_transfer_leader(self, m: TransferLeader) -> None:
        """Leaders, thesis 3.10: bring the successor up to date, then let it campaign at once."""
        record = self.progress.get(m.src)
        if record is None or record.is_learner or self.lead_transferee == m.src:
            return
        self.lead_transferee = NONE
        if m.src == self.id:
            return
        self.election_elapsed = 0
        self.lead_transferee = m.src
        if record.match_index == self.log.last_index:
            self.send(TimeoutNow(self.id, m.src, self.current_term))
        else:
            self.send_append(m.src, record)

    def forward_transfer(self, m: TransferLeader) -> None:
        """Followers pass the wish on; without a leader it is lost."""
        if self.leader_id != NONE:
            self.send(m._replace(src=m.src or self.id, dst=self.leader_id, term=self.current_term))

    def handle_timeout_now(self, m: TimeoutNow) -> None:
        """Followers: the leader wants us to take over; its lease does not stop us."""
        self.hup(transfer=True)

    def handle_forget_leader(self, m: ForgetLeader) -> None:
        """Followers: grant votes as if no leader were known; its next message brings it back."""
        if self.config.read_only is not ReadOnly.LEASE_BASED:
            self.leader_id = NONE
