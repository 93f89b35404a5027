"""*raft safety*: the properties of the Raft paper's Figure 3, and their kin, as each event arrives.

Figure 3: election safety, leader append-only, log matching, leader completeness, state machine safety. Their kin
(etcd-io/raft tla/etcdraft.tla: LogInv, QuorumLogInv, ElectionSafetyInv, CommittedIsDurableInv): a vote is given once,
to a log that is up to date (section 5.4.1), and survives a crash, as all does that was durable; a leader has a majority
of votes and every entry of its term; terms never go back; what is applied is durable on a majority and is applied in
order; members change one at a time.

Left out on purpose: MoreUpToDateCorrectInv, which holds in the three servers of etcd's model and not in five. S3 has an
old entry of term 2 at index 1; S1, leader of term 3, has brought its entry of term 1 at index 1 to S2, and with it the
entry of term 3 that commits both to S4 and S5. S2 knows that index 1 is committed, S3's log counts as more up to date
than S2's and lacks it, and nothing is wrong. Its use, that votes go to fresh logs only, is checked at each vote.

Logs are chains: an `Item` is an entry together with all that stands before it, made once for each (index, term). Two
logs that hold the same item are equal up to there, so each property compares two references: constant time per entry.

What a crash leaves behind may be more than was told: an entry that reached the disk in the very moment. After a
restart, entries that the trace cannot vouch for are unknown (None) and judge nobody.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable
from typing import NamedTuple

from ..trace.events import (
    BecameCandidate,
    BecameFollower,
    BecameLeader,
    DiskWiped,
    EntriesAppended,
    EntriesApplied,
    HostCrashed,
    ManagerStopped,
    MembershipChanged,
    NodeLeft,
    RaftRestarted,
    ReadAnswered,
    ReadAsked,
    SnapshotInstalled,
    SteppedDown,
    SwarmReady,
    VoteGranted,
)
from ..trace.recorder import Recorded
from .verdict import Broken, Handlers, Micros, Verdict, judged

#: How many violations are kept; the first of them is the one to look at.
MOST = 10


class Item:
    """A log entry and, through `before`, the whole log up to it. `before` None: unknown."""

    __slots__ = ("before", "index", "term")

    def __init__(self, before: Item | None, index: int, term: int) -> None:
        self.before = before
        self.index = index
        self.term = term


class Log:
    """A member's durable log: `items[i]` is that of index `base + 1 + i`, None where it is unknown."""

    __slots__ = ("base", "items")

    def __init__(self, base: Item) -> None:
        self.base = base
        self.items: list[Item | None] = []

    @property
    def last(self) -> int:
        return self.base.index + len(self.items)

    def at(self, index: int) -> Item | None:
        """The item there; None where it is unknown, or compacted away, or not there (see `last`)."""
        offset = index - self.base.index
        if offset == 0:
            return self.base
        return self.items[offset - 1] if 0 < offset <= len(self.items) else None

    def cut(self, index: int) -> None:
        """Drop everything after `index`."""
        del self.items[max(0, index - self.base.index) :]

    def holds(self, item: Item) -> bool:
        """Is the item in this log, as far as is known?"""
        if item.index > self.last:
            return False
        found = self.at(item.index)
        return found is None or found is item or not found.term  # term 0: what a formed cluster was handed over with

    def end_before(self, term: int) -> tuple[int, int] | None:
        """(term, index) of the last entry of an earlier term; None where it is unknown."""
        item = self.at(self.last)
        while item is not None and item.term >= term:
            item = item.before
        return None if item is None else (item.term, item.index)


class Group(NamedTuple):
    """A configuration: the members, and those of C_old while it is a joint one (section 6)."""

    members: tuple[str, ...]
    outgoing: tuple[str, ...] = ()

    def lacks(self, has: Callable[[str], bool]) -> str:
        """How few those are who have something, where they are no majority; "" where they are one, of both halves."""
        for half in (self.members, self.outgoing):
            count = sum(map(has, half))
            if half and count < len(half) // 2 + 1:
                return f"{count} of {len(half)}"
        return ""

    def everybody(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.members, *self.outgoing)))

    def __str__(self) -> str:
        old = f" jointly with {', '.join(self.outgoing)}" if self.outgoing else ""
        return ", ".join(self.members) + old


class Member:
    """What the trace has told of one member of the Raft group."""

    __slots__ = ("applied", "applied_ever", "campaign", "durable_term", "group", "leads", "log", "term", "votes")

    def __init__(self, log: Log, group: Group) -> None:
        self.log = log
        self.group = group
        self.term = 0
        self.durable_term = 0
        self.leads: int | None = None  # the term in which it leads
        self.applied: int | None = None  # None: not known in this life
        self.applied_ever = 0  # how far it has ever been
        self.votes: dict[int, str] = {}  # term -> candidate
        self.campaign: tuple[int, tuple[int, int] | None] = (0, None)  # its latest: term, where its log ended then


class Frontier:
    """The furthest item that was first applied in each term; asked for the furthest of all earlier terms."""

    def __init__(self) -> None:
        self._terms: list[int] = []
        self._items: list[Item] = []  # ascending, as the terms are

    def put(self, term: int, item: Item) -> None:
        at = bisect_left(self._terms, term)
        if at and self._items[at - 1].index >= item.index:
            return
        until = at
        while until < len(self._items) and (self._items[until].index <= item.index or self._terms[until] == term):
            if self._items[until].index > item.index:
                return
            until += 1
        self._terms[at:until] = [term]
        self._items[at:until] = [item]

    def before(self, term: int) -> Item | None:
        at = bisect_left(self._terms, term)
        return self._items[at - 1] if at else None


class RaftSafety:
    """The properties of the Raft paper's Figure 3 and their kin hold at every event."""

    name = "raft safety"

    def __init__(self) -> None:
        self.violations: list[Broken] = []
        self._ready: SwarmReady | None = None
        self._members: dict[str, Member] = {}
        self._items: dict[tuple[int, int], Item] = {}
        self._formed: dict[int, Item] = {}
        self._leaders: dict[int, str] = {}
        self._polls: dict[tuple[str, int], dict[str, None]] = {}
        self._applied: dict[int, Item] = {}
        self._furthest = 0  # that anybody has applied
        self._committed = Frontier()
        self._groups: dict[int, Group] = {}
        self._changes: list[int] = []  # the indices of the groups, ascending
        self._removed: dict[str, None] = {}  # members that were removed and are not back yet
        self._wiped: dict[str, None] = {}  # hosts whose log is gone, and that are not back yet
        self._reads: dict[tuple[str, int], int] = {}  # how far anybody had applied when the read was asked for
        self.handlers: Handlers = {
            SwarmReady: self._swarm_ready,
            RaftRestarted: self._restarted,
            BecameLeader: self._became_leader,
            BecameCandidate: self._became_candidate,
            BecameFollower: self._became_other,
            SteppedDown: self._stepped_down,
            HostCrashed: self._crashed,
            ManagerStopped: self._crashed,
            NodeLeft: self._crashed,
            DiskWiped: self._disk_wiped,
            VoteGranted: self._vote_granted,
            EntriesAppended: self._entries_appended,
            EntriesApplied: self._entries_applied,
            SnapshotInstalled: self._snapshot_installed,
            MembershipChanged: self._membership_changed,
            ReadAsked: self._read_asked,
            ReadAnswered: self._read_answered,
        }

    def verdict(self, end: Micros) -> Verdict:
        return judged(self.name, self.violations)

    def _violated(self, recorded: Recorded, rule: str, text: str) -> None:
        if len(self.violations) < MOST:
            self.violations.append(Broken(recorded.at, recorded.seq, rule, text))

    # -- members --
    def _member(self, node: str) -> Member:
        member = self._members.get(node)
        if member is None:
            group = self._group_at(None) or Group((node,))
            member = self._members[node] = Member(Log(self._formed_item(0, 0)), group)
        return member

    def _group_at(self, index: int | None) -> Group | None:
        """The group as the log up to `index` makes it (None: all that is known of it)."""
        at = len(self._changes) if index is None else bisect_right(self._changes, index)
        if at:
            return self._groups[self._changes[at - 1]]
        return Group(tuple(sorted(self._ready.managers))) if self._ready else None

    def _formed_item(self, index: int, term: int) -> Item:
        """The end of the log that a formed cluster was handed over with: the same for all members."""
        item = self._formed.get(index)
        if item is None:
            item = self._formed[index] = Item(None, index, term)
            if term:
                self._items[index, term] = item
        return item

    def _swarm_ready(self, recorded: Recorded) -> None:
        self._ready = recorded.event

    def _disk_wiped(self, recorded: Recorded) -> None:
        """What was durable is durable no more: a breach of Raft's premise, and not of its rules."""
        if "raft" in recorded.event.machines:
            self._wiped[recorded.event.node] = None

    def _restarted(self, recorded: Recorded) -> None:
        """A member begins with what its disk holds: nothing durable may be missing (Raft Figure 2)."""
        e: RaftRestarted = recorded.event
        if (e.node in self._removed or e.node in self._wiped) and not (e.term or e.last_index):
            self._removed.pop(e.node, None)  # it joins anew, as another member of the same name
            self._wiped.pop(e.node, None)
            self._members.pop(e.node, None)
        first_life = e.node not in self._members
        member = self._member(e.node)
        member.leads = member.applied = None
        if first_life and recorded.at == 0:
            member.log = Log(self._formed_item(e.last_index, e.last_term))
            member.applied = member.applied_ever = e.commit
            if self._ready is not None and self._ready.leader == e.node:
                self._leaders[e.term] = e.node
                member.leads = e.term
        else:
            self._remembers(recorded, e, member)
            self._revise(e, member)
            # A change that it does not know to be committed is not in force yet: it may campaign in the older group.
            member.group = self._group_at(e.commit) or member.group
        if e.voted_for:  # a vote that reached the disk in the moment of a crash is told here only
            member.votes[e.term] = e.voted_for
            self._polls.setdefault((e.voted_for, e.term), {})[e.node] = None
        member.term = member.durable_term = e.term

    def _remembers(self, recorded: Recorded, e: RaftRestarted, member: Member) -> None:
        if e.term < member.durable_term:
            text = f"{e.node} came back in term {e.term}, having been in {member.durable_term}"
            self._violated(recorded, "terms never go back", text)
        vote = member.votes.get(e.term, "")
        if vote and vote != e.voted_for:
            text = f"{e.node} voted for {vote} in term {e.term} and came back with {e.voted_for or 'no vote'}"
            self._violated(recorded, "a vote survives a crash", text)
        if member.applied_ever > e.last_index:
            text = f"{e.node} had applied index {member.applied_ever} and came back with a log up to {e.last_index}"
            self._violated(recorded, "committed is durable", text)
        elif self._lost_its_end(e, member.log):
            text = f"{e.node} had a durable log up to {member.log.last} and came back with one up to {e.last_index}"
            self._violated(recorded, "what is durable survives a crash", text)
        if e.commit > e.last_index:
            text = f"{e.node} came back knowing index {e.commit} as committed, with a log up to {e.last_index}"
            self._violated(recorded, "committed is durable", text)

    def _lost_its_end(self, e: RaftRestarted, log: Log) -> bool:
        """Is the log now a beginning of what it was? (One that was overwritten last of all ends in another term.)"""
        known = log.at(e.last_index)
        return e.last_index < log.last and known is not None and known.term == e.last_term

    def _revise(self, e: RaftRestarted, member: Member) -> None:
        """Keep of the known log what the restarted member surely has."""
        log = member.log
        known = log.at(e.last_index)
        if log.last == e.last_index and (not e.last_term or known is None or known.term == e.last_term):
            return
        told = self._items.get((e.last_index, e.last_term))
        keep = min(max(member.applied_ever, log.base.index), e.last_index)
        log.cut(keep)
        tail: list[Item | None] = []
        while told is not None and told.index > log.last:
            tail.append(told)
            told = told.before
        tail += [None] * (e.last_index - log.last - len(tail))
        log.items += reversed(tail)

    # -- elections --
    def _sees_term(self, recorded: Recorded, node: str, term: int) -> Member:
        member = self._member(node)
        if term < member.term:
            self._violated(recorded, "terms never go back", f"{node} went from term {member.term} to {term}")
        member.term = term
        return member

    def _became_leader(self, recorded: Recorded) -> None:
        e: BecameLeader = recorded.event
        member = self._sees_term(recorded, e.node, e.term)
        member.leads = e.term
        other = self._leaders.setdefault(e.term, e.node)
        if other != e.node:
            self._violated(recorded, "election safety", f"{other} and {e.node} both led in term {e.term}")
        self._check_majority(recorded, e, member)
        furthest = self._committed.before(e.term)
        if furthest is not None:
            self._check_completeness(recorded, e.node, member, furthest)

    def _check_majority(self, recorded: Recorded, e: BecameLeader, member: Member) -> None:
        voters = {**self._polls.get((e.node, e.term), {}), e.node: None}
        votes = member.group.lacks(voters.__contains__)
        if votes:
            text = f"{e.node} leads in term {e.term} with {votes} votes"
            self._violated(recorded, "a leader has a majority", text)

    def _check_completeness(self, recorded: Recorded, leader: str, member: Member, item: Item) -> None:
        """Raft Figure 3: what was committed in earlier terms is in the log of every later leader."""
        if not member.log.holds(item):
            text = f"{leader} leads in term {member.leads} without the committed entry {_named(item)}"
            self._violated(recorded, "leader completeness", text)

    def _became_candidate(self, recorded: Recorded) -> None:
        e: BecameCandidate = recorded.event
        member = self._sees_term(recorded, e.node, e.term)
        member.leads = None
        member.campaign = e.term, member.log.end_before(e.term)

    def _became_other(self, recorded: Recorded) -> None:
        self._sees_term(recorded, recorded.event.node, recorded.event.term).leads = None

    def _stepped_down(self, recorded: Recorded) -> None:
        self._member(recorded.event.node).leads = None

    def _crashed(self, recorded: Recorded) -> None:
        member = self._members.get(recorded.event.node)
        if member is not None:
            member.leads = None

    def _vote_granted(self, recorded: Recorded) -> None:
        e: VoteGranted = recorded.event
        member = self._member(e.node)
        if e.term < member.durable_term:
            text = f"{e.node} voted in term {e.term}, having been in {member.durable_term}"
            self._violated(recorded, "terms never go back", text)
        member.durable_term = max(member.durable_term, e.term)
        self._polls.setdefault((e.candidate, e.term), {})[e.node] = None
        first = member.votes.get(e.term)
        if first is None:
            member.votes[e.term] = e.candidate
            self._check_up_to_date(recorded, e, member)
        elif first != e.candidate:
            text = f"{e.node} voted for {first} and for {e.candidate} in term {e.term}"
            self._violated(recorded, "one vote a term", text)

    def _check_up_to_date(self, recorded: Recorded, e: VoteGranted, member: Member) -> None:
        """Raft section 5.4.1: a later last term wins, then the longer log. What a new leader sent since is left out."""
        candidate = self._members.get(e.candidate)
        if candidate is None or candidate is member or candidate.campaign[0] != e.term:
            return
        theirs, ours = candidate.campaign[1], member.log.end_before(e.term)
        if theirs is not None and ours is not None and theirs < ours:
            text = (
                f"{e.node}, whose log ends with {ours[1]} of term {ours[0]}, voted for {e.candidate}, "
                f"whose log ends with {theirs[1]} of term {theirs[0]}, in term {e.term}"
            )
            self._violated(recorded, "a vote goes to a log that is up to date", text)

    # -- logs --
    def _entries_appended(self, recorded: Recorded) -> None:
        e: EntriesAppended = recorded.event
        member = self._member(e.node)
        log = member.log
        if member.leads is not None and e.first <= log.last:
            text = f"{e.node}, leading in term {member.leads}, overwrote its own index {e.first}"
            self._violated(recorded, "leader append-only", text)
        self._check_committed(recorded, e, member)
        if e.first > log.last + 1:
            text = f"{e.node} appended index {e.first} to a log that ends at {log.last}"
            self._violated(recorded, "a log has no gaps", text)
            log.items += [None] * (e.first - log.last - 1)
        log.cut(e.first - 1)
        if e.first <= log.base.index:
            log.base = self._formed_item(e.first - 1, 0)
            log.items.clear()
        before = log.at(e.first - 1)
        for i, term in enumerate(e.terms):
            before = self._append(recorded, e, before, e.first + i, term)
            log.items.append(before)
        member.durable_term = max(member.durable_term, e.terms[-1])
        self._check_origin(recorded, e, log)

    def _append(self, recorded: Recorded, e: EntriesAppended, before: Item | None, index: int, term: int) -> Item:
        item = self._items.get((index, term))
        if item is None:
            item = self._items[index, term] = Item(before, index, term)
        elif item.before is None:
            item.before = before
        elif before is not None and item.before is not before:
            theirs, ours = _named(item.before), _named(before)
            text = f"entry {_named(item)} follows {theirs} elsewhere and {ours} on {e.node}"
            self._violated(recorded, "log matching", text)
        if term > e.term or (before is not None and term < before.term):
            limit = e.term if term > e.term else before.term if before is not None else 0
            text = f"{e.node} holds entry {_named(item)} beside term {limit}"
            self._violated(recorded, "terms in a log only grow", text)
        return item

    def _check_committed(self, recorded: Recorded, e: EntriesAppended, member: Member) -> None:
        """LogInv: what a member has applied is never overwritten by another entry."""
        for index in range(e.first, min(e.first + len(e.terms), member.applied_ever + 1)):
            applied, term = self._applied.get(index), e.terms[index - e.first]
            if applied is not None and applied.term != term:
                text = f"{e.node} overwrote the applied entry {_named(applied)} with one of term {term}"
                self._violated(recorded, "state machine safety", text)
                return

    def _check_origin(self, recorded: Recorded, e: EntriesAppended, log: Log) -> None:
        """ElectionSafetyInv: nobody has an entry of a term that its leader, while it leads, has not."""
        term = e.terms[-1]
        leader = self._leaders.get(term, e.node)
        known = self._members.get(leader)
        if leader != e.node and known is not None and known.leads == term and known.log.last < log.last:
            text = f"{e.node} holds index {log.last} of term {term}, the log of {leader}, who leads, ends before it"
            self._violated(recorded, "a leader has every entry of its term", text)

    def _entries_applied(self, recorded: Recorded) -> None:
        e: EntriesApplied = recorded.event
        member = self._member(e.node)
        if member.applied is not None and e.first != member.applied + 1:
            text = f"{e.node} applied index {e.first} after {member.applied}"
            self._violated(recorded, "entries are applied in order", text)
        elif e.first > member.applied_ever + 1:
            text = f"{e.node} applied index {e.first}, having been at {member.applied_ever} before it restarted"
            self._violated(recorded, "entries are applied in order", text)
        news: Item | None = None
        for i, term in enumerate(e.terms):
            item, new = self._apply(recorded, e, member, e.first + i, term)
            news = item if new else news
        last = e.first + len(e.terms) - 1
        self._applies(member, last)
        if last > member.log.last:
            text = f"{e.node} applied index {last}, its durable log ends at {member.log.last}"
            self._violated(recorded, "committed is durable", text)
        if news is not None:
            self._first_applied(recorded, e, member, news)

    def _applies(self, member: Member, index: int) -> None:
        member.applied = index
        member.applied_ever = max(index, member.applied_ever)
        self._furthest = max(index, self._furthest)

    def _apply(self, recorded: Recorded, e: EntriesApplied, member: Member, index: int, term: int) -> tuple[Item, bool]:
        item = self._items.get((index, term))
        if item is None:
            item = self._items[index, term] = Item(None, index, term)
        known = self._applied.get(index)
        if known is None:
            self._applied[index] = item
        elif known is not item:
            text = f"index {index} was applied as of term {known.term} elsewhere and of term {term} on {e.node}"
            self._violated(recorded, "state machine safety", text)
            return item, False
        mine = member.log.at(index)
        if mine is not None and mine is not item and mine.term:
            text = f"{e.node} applied entry {_named(item)}, its log holds {_named(mine)}"
            self._violated(recorded, "state machine safety", text)
        return item, known is None

    def _first_applied(self, recorded: Recorded, e: EntriesApplied, member: Member, item: Item) -> None:
        """QuorumLogInv: an entry that someone applies is durable on a majority; and who leads a later term has it."""
        self._committed.put(e.term, item)
        holders = member.group.lacks(lambda name: self._member(name).log.holds(item))
        if holders:
            text = f"{e.node} applied entry {_named(item)}, durable on {holders} members"
            self._violated(recorded, "committed is on a majority", text)
        for name in member.group.everybody():
            other = self._member(name)
            if other.leads is not None and other.leads > e.term:
                self._check_completeness(recorded, name, other, item)

    def _snapshot_installed(self, recorded: Recorded) -> None:
        e: SnapshotInstalled = recorded.event
        member = self._member(e.node)
        known = self._applied.get(e.index)
        if known is not None and known.term != e.term:
            text = f"{e.node} installed a snapshot of entry {e.index} of term {e.term}, elsewhere {_named(known)}"
            self._violated(recorded, "state machine safety", text)
        if e.index > max(self._furthest, *self._formed):
            text = f"{e.node} installed a snapshot of index {e.index}, which nobody had applied"
            self._violated(recorded, "state machine safety", text)
        if member.applied is not None and e.index < member.applied:
            text = f"{e.node} went from index {member.applied} back to a snapshot of {e.index}"
            self._violated(recorded, "entries are applied in order", text)
        member.log = Log(self._items.setdefault((e.index, e.term), Item(None, e.index, e.term)))
        member.group = self._group_at(e.index) or member.group
        self._applies(member, e.index)

    # -- members --
    def _membership_changed(self, recorded: Recorded) -> None:
        e: MembershipChanged = recorded.event
        group = self._member(e.node).group = Group(e.members, e.outgoing)
        known = self._groups.get(e.index)
        if known is None:
            before = self._group_at(e.index)
            self._groups[e.index] = group
            insort(self._changes, e.index)
            if before:
                self._check_step(recorded, e.index, before, group)
        elif known != group:
            text = f"index {e.index} made the members {known}, and {group} on {e.node}"
            self._violated(recorded, "state machine safety", text)

    def _check_step(self, recorded: Recorded, index: int, before: Group, group: Group) -> None:
        """Raft section 6, dissertation 4.1: the majorities of two groups that follow each other meet.

        They do where one member comes or goes, and where a joint configuration lies between C_old and C_new.
        """
        gone = [name for name in before.everybody() if name not in group.everybody()]
        come = [name for name in group.members if name not in before.members]
        self._removed.update(dict.fromkeys(gone))
        if before.outgoing:
            meet = group == Group(before.members)
        elif group.outgoing:
            meet = group.outgoing == before.members
        else:
            meet = len(gone) + len(come) <= 1
        if not meet:
            text = f"index {index} changed the members from {before} to {group}"
            self._violated(recorded, "members change one at a time", text)

    # -- reads --
    def _read_asked(self, recorded: Recorded) -> None:
        e: ReadAsked = recorded.event
        self._reads[e.node, e.request] = self._furthest

    def _read_answered(self, recorded: Recorded) -> None:
        """Raft section 8: a read sees all that was committed before it was asked for."""
        e: ReadAnswered = recorded.event
        furthest = self._reads.pop((e.node, e.request), 0)
        if e.index < furthest:
            text = f"{e.node}, asked when index {furthest} had been applied, reads as of index {e.index}"
            self._violated(recorded, "linearizable reads", text)


def _named(item: Item) -> str:
    """`12 of term 3`."""
    return f"{item.index} of term {item.term}" if item.term else f"{item.index}"
