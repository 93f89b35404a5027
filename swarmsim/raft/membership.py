"""Changing who belongs to the cluster (section 6 and thesis chapter 4).

A change takes effect when its entry is *applied*, not when it is appended as in the paper: etcd's choice. The
leader lets one change at a time into its log. `Changer` computes configurations and knows no server.

etcd confchange/confchange.go and confchange/restore.go; raft.go, `stepLeader` MsgProp. What a leader does once a
configuration has changed is in `raft.py`, `RawNode.apply_conf_change`. SwarmKit uses one-server changes only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import NamedTuple

from swarmsim.raft.messages import ConfState, Entry, EntryType, RaftError
from swarmsim.raft.progress import Progress
from swarmsim.raft.state import Server


class ConfChangeType(Enum):
    """etcd: `raftpb.ConfChangeType`."""

    ADD_NODE = "add"
    REMOVE_NODE = "remove"
    UPDATE_NODE = "update"
    ADD_LEARNER_NODE = "learner"


class ConfChangeTransition(Enum):
    """Which protocol a change uses, and who ends a joint configuration (etcd: `ConfChangeTransition`)."""

    AUTO = "auto"
    JOINT_IMPLICIT = "implicit"
    JOINT_EXPLICIT = "explicit"


class ConfChangeSingle(NamedTuple):
    type: ConfChangeType
    node_id: int


class ConfChangeV2(NamedTuple):
    """Any number of changes at once. Without changes it leaves the joint configuration."""

    changes: tuple[ConfChangeSingle, ...] = ()
    transition: ConfChangeTransition = ConfChangeTransition.AUTO
    context: object = None

    def leaves_joint(self) -> bool:
        return self.transition is ConfChangeTransition.AUTO and not self.changes

    def enters_joint(self) -> bool:
        return self.transition is not ConfChangeTransition.AUTO or len(self.changes) > 1


class ConfChange(NamedTuple):
    """One change, the form that SwarmKit proposes. The core looks at neither `id` nor `context`."""

    type: ConfChangeType
    node_id: int
    id: int = 0
    context: object = None


LEAVE_JOINT = ConfChangeV2()


def as_v2(change: ConfChange | ConfChangeV2 | None) -> ConfChangeV2:
    """The change an entry carries; no data at all means to leave the joint configuration."""
    if change is None:
        return LEAVE_JOINT
    if isinstance(change, ConfChangeV2):
        return change
    return ConfChangeV2((ConfChangeSingle(change.type, change.node_id),), context=change.context)


class ConfChangeError(RaftError):
    """A configuration cannot become what was asked. `reason` is for programs, the text for people."""

    def __init__(self, reason: str, text: str) -> None:
        self.reason = reason
        super().__init__(text)


Records = dict[int, Progress]


class Changer:
    """Configuration arithmetic: each operation gives the next configuration and its records, or raises.

    `new_progress(next_index, is_learner)` makes the record of a newcomer. Nothing that was passed in changes.
    """

    __slots__ = (
        "auto_leave",
        "incoming",
        "learners",
        "learners_next",
        "new_progress",
        "next_index",
        "outgoing",
        "records",
    )

    def __init__(
        self,
        conf: ConfState,
        records: Records,
        new_progress: Callable[[int, bool], Progress],
        last_index: int,
    ) -> None:
        self.incoming = set(conf.voters)
        self.outgoing = set(conf.voters_outgoing)
        self.learners = set(conf.learners)
        self.learners_next = set(conf.learners_next)
        self.auto_leave = conf.auto_leave
        self.records = {id: record.copy() for id, record in records.items()}
        self.new_progress = new_progress
        self.next_index = max(last_index, 1)

    def result(self) -> tuple[ConfState, Records]:
        """Sorted, and checked against the invariants of etcd's `checkInvariants`."""
        voters = self.incoming | self.outgoing
        assert not self.learners & voters, f"learners that vote: {sorted(self.learners & voters)}"
        assert self.learners_next <= self.outgoing, "a learner-to-be must be an outgoing voter"
        assert self.outgoing or not self.learners_next, "learners_next without a joint configuration"
        assert self.outgoing or not self.auto_leave, "auto_leave without a joint configuration"
        records = {id: self.records[id] for id in sorted(voters | self.learners)}
        incoming, outgoing, learners, learners_next = (
            tuple(sorted(half)) for half in (self.incoming, self.outgoing, self.learners, self.learners_next)
        )
        return ConfState(incoming, outgoing, learners, learners_next, self.auto_leave), records

    def simple(self, changes: Iterable[ConfChangeSingle]) -> tuple[ConfState, Records]:
        """Section 4.1 of the thesis: at most one voter comes or goes, so old and new majorities overlap."""
        self.step(changes)
        return self.result()

    def step(self, changes: Iterable[ConfChangeSingle]) -> None:
        """A simple change, with others to follow before anybody asks for the result."""
        if self.outgoing:
            raise ConfChangeError("simple-in-joint", "can't apply simple config change in joint config")
        before = set(self.incoming)
        self._apply(changes)
        if not self.changes_one_voter(before, self.incoming):
            raise ConfChangeError("too-many-voters-changed", "more than one voter changed")

    def changes_one_voter(self, before: set[int], after: set[int]) -> bool:
        """The rule that makes majorities overlap without a joint configuration."""
        return len(before ^ after) <= 1

    def enter_joint(self, auto_leave: bool, changes: Iterable[ConfChangeSingle]) -> tuple[ConfState, Records]:
        """Section 6: from C_old to C_old,new."""
        if self.outgoing:
            raise ConfChangeError("already-joint", "config is already joint")
        if not self.incoming:
            raise ConfChangeError("zero-voters-joint", "can't make a zero-voter config joint")
        self.outgoing = set(self.incoming)
        self._apply(changes)
        self.auto_leave = auto_leave
        return self.result()

    def leave_joint(self) -> tuple[ConfState, Records]:
        """Section 6: from C_old,new to C_new."""
        if not self.outgoing:
            raise ConfChangeError("not-joint", "can't leave a non-joint config")
        for id in sorted(self.learners_next):
            self.learners.add(id)
            self.records[id].is_learner = True
        for id in sorted(self.outgoing - self.incoming - self.learners):
            del self.records[id]
        self.learners_next = set()
        self.outgoing = set()
        self.auto_leave = False
        return self.result()

    def _apply(self, changes: Iterable[ConfChangeSingle]) -> None:
        """To C_new, in order (etcd: `Changer.apply`)."""
        for kind, id in changes:
            if id == 0:
                continue  # etcd: a change that the application has turned into nothing
            if kind is ConfChangeType.ADD_NODE:
                self._make_voter(id)
            elif kind is ConfChangeType.ADD_LEARNER_NODE:
                self._make_learner(id)
            elif kind is ConfChangeType.REMOVE_NODE:
                self._remove(id)
        if not self.incoming:
            raise ConfChangeError("no-voters-left", "removed all voters")

    def _make_voter(self, id: int) -> None:
        """A newcomer, or a learner that is promoted (etcd: `makeVoter`)."""
        record = self.records.get(id)
        if record is None:
            self.records[id] = self.new_progress(self.next_index, False)
        else:
            record.is_learner = False
            self.learners.discard(id)
            self.learners_next.discard(id)
        self.incoming.add(id)

    def _make_learner(self, id: int) -> None:
        """A newcomer without a vote, or a voter that is demoted (thesis 4.2.1; etcd: `makeLearner`)."""
        record = self.records.get(id)
        if record is None:
            self.records[id] = self.new_progress(self.next_index, True)
            self.learners.add(id)
            return
        if record.is_learner:
            return
        self._remove(id)
        self.records[id] = record
        # Learners and voters must not overlap: an outgoing voter waits until the joint configuration is left.
        if id in self.outgoing:
            self.learners_next.add(id)
        else:
            record.is_learner = True
            self.learners.add(id)

    def _remove(self, id: int) -> None:
        """From C_new; one of C_old, too, keeps its record until the joint configuration is left (etcd: `remove`)."""
        if id not in self.records:
            return
        self.incoming.discard(id)
        self.learners.discard(id)
        self.learners_next.discard(id)
        if id not in self.outgoing:
            del self.records[id]


def restore_configuration(
    conf: ConfState, new_progress: Callable[[int, bool], Progress], last_index: int
) -> tuple[ConfState, Records]:
    """Rebuild a stored configuration step by step, as it could have come about (etcd confchange/restore.go)."""
    add, learn = ConfChangeType.ADD_NODE, ConfChangeType.ADD_LEARNER_NODE
    incoming = [ConfChangeSingle(add, id) for id in conf.voters]
    incoming += [ConfChangeSingle(learn, id) for id in (*conf.learners, *conf.learners_next)]
    first = [ConfChangeSingle(add, id) for id in conf.voters_outgoing] if conf.voters_outgoing else incoming
    changer = Changer(ConfState(), {}, new_progress, last_index)
    for change in first:
        changer.step((change,))
    if not conf.voters_outgoing:
        return changer.result()
    gone = [ConfChangeSingle(ConfChangeType.REMOVE_NODE, id) for id in conf.voters_outgoing]
    return changer.enter_joint(conf.auto_leave, gone + incoming)


class Membership(Server):
    """Which changes the leader lets into its log, and installing a configuration on any server."""

    __slots__ = ()

    def change_is_pending(self) -> bool:
        """One change at a time (thesis 4.1; etcd: `pendingConfIndex`): an earlier one may not be applied yet."""
        return self.pending_conf_index > self.log.last_applied

    def first_pending_conf_index(self) -> int:
        """What a new leader waits for before it lets a change in: all that it inherited is applied.

        An inherited entry may be a change. It commits only below an entry of the leader's own term, so this is
        the rule of Ongaro's 2015 correction (no change before an entry of the own term commits) as etcd has it.
        """
        return self.log.last_index

    def refusal_of(self, change: ConfChangeV2) -> str:
        """Why a change may not be proposed now, or nothing (etcd raft.go, `stepLeader`, `failedCheck`)."""
        joint = bool(self.conf.voters_outgoing)
        if self.change_is_pending():
            return f"possible unapplied conf change at index {self.pending_conf_index}"
        if joint and change.changes:
            return "must transition out of joint config first"
        if not joint and not change.changes:
            return "not in joint state; refusing empty conf change"
        return ""

    def admit(self, entry: Entry, index: int) -> Entry:
        """A proposed entry as it enters the log at `index`: a change that is refused becomes an empty entry."""
        if entry.type is EntryType.NORMAL:
            return entry
        if self.refusal_of(as_v2(entry.data)) and not self.config.disable_conf_change_validation:
            return Entry()
        self.pending_conf_index = index
        return entry

    def next_configuration(self, change: ConfChangeV2) -> tuple[ConfState, Records]:
        """Which of the three operations a change is (etcd raft.go, `applyConfChange`)."""
        changer = Changer(self.conf, self.progress, self.new_progress, self.log.last_index)
        if change.leaves_joint():
            return changer.leave_joint()
        if change.enters_joint():
            return changer.enter_joint(change.transition is not ConfChangeTransition.JOINT_EXPLICIT, change.changes)
        return changer.simple(change.changes)

    def install_configuration(self, conf: ConfState, records: Records) -> None:
        """The first step of etcd's `switchToConfig`, all there is to do on a server that does not lead."""
        self.conf = conf
        self.progress = records
        self.peers = [(id, record) for id, record in records.items() if id != self.id]
        own = records.get(self.id)
        self.is_learner = own is not None and own.is_learner

    def restore_members(self, conf: ConfState) -> None:
        """Install the configuration of a snapshot."""
        restored, records = restore_configuration(conf, self.new_progress, self.log.last_index)
        self.install_configuration(restored, records)
