"""Joint consensus and learners: section 6; etcd confchange/. SwarmKit uses neither."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmsim.raft import (
    ConfChange,
    ConfChangeError,
    ConfChangeSingle,
    ConfChangeTransition,
    ConfChangeType,
    ConfChangeV2,
    ConfState,
    EntryType,
    HardState,
    Progress,
    RawNode,
    Role,
)
from swarmsim.raft.membership import LEAVE_JOINT, Changer, as_v2, restore_configuration
from swarmsim.raft.messages import AppendEntries, Heartbeat
from swarmsim.raft.progress import Inflights
from tests.raft.network import Network, ack, append, grant, leader, only, pump, server, ticks

ADD, REMOVE = ConfChangeType.ADD_NODE, ConfChangeType.REMOVE_NODE
UPDATE, LEARN = ConfChangeType.UPDATE_NODE, ConfChangeType.ADD_LEARNER_NODE
AUTO, IMPLICIT, EXPLICIT = ConfChangeTransition
LETTERS = {"v": ADD, "r": REMOVE, "u": UPDATE, "l": LEARN}


def singles(text: str) -> tuple[ConfChangeSingle, ...]:
    """ "v1 l2 r3": add a voter, add a learner, remove."""
    return tuple(ConfChangeSingle(LETTERS[word[0]], int(word[1:])) for word in text.split())


def v2(text: str = "", transition: ConfChangeTransition = AUTO) -> ConfChangeV2:
    return ConfChangeV2(singles(text), transition)


def new_progress(next_index: int, is_learner: bool) -> Progress:
    return Progress(next_index, Inflights(9), is_learner)


@dataclass
class Arithmetic:
    """Configurations one after the other, beginning with none."""

    state: tuple[ConfState, dict[int, Progress]] = field(default_factory=lambda: (ConfState(), {}))

    def do(self, operation: str, *arguments: object, last: int = 1) -> ConfState:
        self.state = getattr(Changer(*self.state, new_progress, last), operation)(*arguments)
        return self.state[0]

    def simple(self, text: str, last: int = 1) -> ConfState:
        return self.do("simple", singles(text), last=last)

    def enter(self, text: str, auto: bool = False) -> ConfState:
        return self.do("enter_joint", auto, singles(text))

    def leave(self) -> ConfState:
        return self.do("leave_joint")


def of(*texts: str) -> Arithmetic:
    made = Arithmetic()
    for text in texts:
        made.simple(text)
    return made


# -- which operation is it? (reference section 16.3) --
@pytest.mark.parametrize(
    ("change", "leaves", "enters"),
    [
        (v2(), True, False), (ConfChangeV2(context=b"why"), True, False),
        (v2("v1"), False, False), (v2("v1 v2"), False, True), (v2("l1"), False, False),
        (v2("", IMPLICIT), False, True), (v2("", EXPLICIT), False, True),
        (v2("v1", IMPLICIT), False, True), (v2("v1", EXPLICIT), False, True),
    ],
)  # fmt: skip
def test_change_leaves_enters_or_is_simple(change: ConfChangeV2, leaves: bool, enters: bool) -> None:
    """R-188 and reference section 16.3."""
    assert (change.leaves_joint(), change.enters_joint()) == (leaves, enters)


def test_entry_without_data_leaves_the_joint_configuration() -> None:
    """Reference section 1."""
    assert as_v2(None) == LEAVE_JOINT == ConfChangeV2()
    assert as_v2(ConfChange(LEARN, 3, 7, b"c")) == ConfChangeV2((ConfChangeSingle(LEARN, 3),), AUTO, b"c")


# -- the arithmetic --
def test_simple_change_adds_or_removes_one_voter() -> None:
    """Thesis 4.1, reference section 16.3."""
    conf = of("v1")

    assert conf.simple("v2") == ConfState((1, 2))
    assert conf.simple("r1") == ConfState((2,))
    assert conf.simple("v2 l3 l4 u2 r9") == ConfState((2,), (), (3, 4))


@pytest.mark.parametrize(
    ("before", "text", "reason"),
    [
        (("v1",), "v2 v3", "too-many-voters-changed"),
        (("v1", "v2"), "v3 r1", "too-many-voters-changed"),
        (("v1", "v2", "v3"), "r1 r2", "too-many-voters-changed"),
        (("v1", "v2", "v3"), "l1 l2", "too-many-voters-changed"),
        (("v1",), "r1", "no-voters-left"),
        (("v1",), "l1", "no-voters-left"),
        ((), "l1", "no-voters-left"),
        ((), "", "no-voters-left"),
    ],
)
def test_simple_change_of_too_much_is_refused(before: tuple[str, ...], text: str, reason: str) -> None:
    """Reference section 16.3: and leaves everything as it was."""
    conf = of(*before)
    kept = conf.state[0]

    with pytest.raises(ConfChangeError) as refused:
        conf.simple(text)

    assert refused.value.reason == reason
    assert conf.state[0] == kept


def test_joint_operations_are_refused_out_of_turn() -> None:
    """Reference section 16.3. The words are etcd's: a server that has to apply such a change panics with them."""
    plain, joint = of("v1"), of("v1")
    joint.enter("v2")

    said = {}
    for call in (
        lambda: Arithmetic().enter("v1"),
        plain.leave,
        lambda: joint.enter("v3"),
        lambda: joint.simple("v3"),
        lambda: plain.enter("r1"),
        lambda: plain.simple("v2 v3"),
    ):
        with pytest.raises(ConfChangeError) as refused:
            call()
        said[refused.value.reason] = str(refused.value)

    assert said == {
        "zero-voters-joint": "can't make a zero-voter config joint",
        "not-joint": "can't leave a non-joint config",
        "already-joint": "config is already joint",
        "simple-in-joint": "can't apply simple config change in joint config",
        "no-voters-left": "removed all voters",
        "too-many-voters-changed": "more than one voter changed",
    }


def test_joint_configuration_keeps_the_old_half() -> None:
    """Section 6: C_old,new; records of outgoing voters stay until it is left."""
    conf = of("v1", "v2", "v3")

    assert conf.enter("v4 r1 r2") == ConfState((3, 4), (1, 2, 3))
    assert list(conf.state[1]) == [1, 2, 3, 4]
    assert conf.leave() == ConfState((3, 4))
    assert list(conf.state[1]) == [3, 4]


def test_voter_that_becomes_a_learner_waits_until_the_joint_configuration_is_left() -> None:
    """Reference section 16: learners_next; its record is not that of a learner yet."""
    conf = of("v1", "v2")

    joint = conf.enter("l2 v3", auto=True)
    flagged = conf.state[1][2].is_learner
    left = conf.leave()

    assert (joint, flagged) == (ConfState((1, 3), (1, 2), (), (2,), True), False)
    assert (left, conf.state[1][2].is_learner) == (ConfState((1, 3), (), (2,)), True)


def test_learner_to_be_can_be_made_a_voter_again_or_removed() -> None:
    """Reference section 16.3, applying one change."""
    assert of("v1", "v2").enter("l2 v2") == ConfState((1, 2), (1, 2))
    assert of("v1", "v2").enter("l2 r2") == ConfState((1,), (1, 2))
    assert of("v1", "v2").enter("l2 l2") == ConfState((1,), (1, 2), (), (2,))


def test_learner_is_promoted_and_keeps_its_record() -> None:
    """Reference section 16.3."""
    conf = of("v1", "l2")
    conf.state[1][2].match_index = 7

    promoted = conf.simple("v2")

    assert promoted == ConfState((1, 2))
    assert (conf.state[1][2].match_index, conf.state[1][2].is_learner) == (7, False)


def test_learner_is_removed_for_good() -> None:
    """Reference section 16.3."""
    conf = of("v1", "l2 l3")

    assert conf.simple("r2") == ConfState((1,), (), (3,))
    assert list(conf.state[1]) == [1, 3]


def test_demotion_in_a_simple_change_takes_effect_at_once() -> None:
    """Reference section 16.3: it is no outgoing voter."""
    conf = of("v1", "v2")

    assert conf.simple("l2") == ConfState((1,), (), (2,))
    assert conf.state[1][2].is_learner


@pytest.mark.parametrize(("last", "expected"), [(0, 1), (1, 1), (9, 9)])
def test_newcomer_begins_at_the_last_index(last: int, expected: int) -> None:
    """Reference section 10.4: match 0, next max(last, 1), active."""
    conf = of("v1")

    conf.simple("l2", last=last)

    record = conf.state[1][2]
    assert (record.match_index, record.next_index, record.is_learner) == (0, expected, True)
    assert record.recent_active


def test_operation_that_fails_leaves_records_untouched() -> None:
    """Reference section 16.3: the records are copies until the operation succeeds."""
    conf = of("v1", "v2", "v3")
    record = conf.state[1][3]

    with pytest.raises(ConfChangeError):
        conf.simple("l2 l3")

    assert not record.is_learner
    assert conf.state[1][3] is record


CHANGES = st.lists(st.tuples(st.sampled_from("vrlu"), st.integers(0, 5)), max_size=4)
OPERATIONS = st.lists(st.tuples(st.sampled_from(["simple", "enter", "leave"]), CHANGES, st.booleans()), max_size=12)


class OneLineEach:
    """The slow twin: what each member is, as flags."""

    def __init__(self) -> None:
        self.incoming: set[int] = set()
        self.outgoing: set[int] = set()
        self.learners: set[int] = set()
        self.next: set[int] = set()
        self.auto = False

    def apply(self, changes: list[tuple[str, int]]) -> str:
        for kind, id in changes:
            known = id in self.incoming | self.outgoing | self.learners
            if id == 0 or kind == "u" or (kind == "r" and not known) or (kind == "l" and id in self.learners):
                continue
            self.incoming -= {id}
            self.learners -= {id}
            self.next -= {id}
            if kind == "v":
                self.incoming |= {id}
            elif kind == "l":
                (self.next if id in self.outgoing else self.learners).add(id)
        return "" if self.incoming else "no-voters-left"

    def do(self, operation: str, changes: list[tuple[str, int]], auto: bool) -> str:
        before = set(self.incoming)
        if operation == "leave":
            if not self.outgoing:
                return "not-joint"
            self.learners |= self.next
            self.outgoing, self.next, self.auto = set(), set(), False
            return ""
        if self.outgoing:
            return "simple-in-joint" if operation == "simple" else "already-joint"
        if operation == "simple":
            return self.apply(changes) or ("too-many-voters-changed" if len(before ^ self.incoming) > 1 else "")
        if not before:
            return "zero-voters-joint"
        self.outgoing, self.auto = before, auto
        return self.apply(changes)

    def conf(self) -> ConfState:
        a, b, c, d = (tuple(sorted(s)) for s in (self.incoming, self.outgoing, self.learners, self.next))
        return ConfState(a, b, c, d, self.auto)


@given(OPERATIONS)
def test_arithmetic_agrees_with_its_slow_twin(operations: list[tuple[str, list[tuple[str, int]], bool]]) -> None:
    """Reference section 16.3, table and all; each result restores to itself (16.6)."""
    conf = of("v1", "v2")
    twin = OneLineEach()
    twin.incoming = {1, 2}
    for operation, changes, auto in operations:
        trial = OneLineEach()
        trial.__dict__.update({k: set(v) if isinstance(v, set) else v for k, v in vars(twin).items()})
        expected = trial.do(operation, changes, auto)
        text = " ".join(f"{kind}{id}" for kind, id in changes)
        arguments = {"simple": (text,), "enter": (text, auto), "leave": ()}[operation]
        try:
            getattr(conf, operation)(*arguments)
            outcome = ""
        except ConfChangeError as refused:
            outcome = refused.reason
        assert outcome == expected
        twin = twin if expected else trial
        state, records = conf.state
        assert state == twin.conf()
        assert sorted(records) == sorted({*state.voters, *state.voters_outgoing, *state.learners})
        assert [id for id, record in records.items() if record.is_learner] == list(state.learners)
        assert restore_configuration(state, new_progress, 1)[0] == state


# -- on servers --
def commit(raft: RawNode, *peers: int) -> None:
    """These peers acknowledge the whole log, and what commits is applied."""
    pump(raft)
    for peer in peers:
        ack(raft, peer)
    pump(raft)


@pytest.mark.parametrize(
    ("change", "conf", "leaves_by_itself"),
    [
        (v2("v2"), ConfState((1, 2)), False),
        (v2("l2"), ConfState((1,), (), (2,)), False),
        (v2("l2", EXPLICIT), ConfState((1,), (1,), (2,)), False),
        (v2("l2", IMPLICIT), ConfState((1,), (1,), (2,), (), True), True),
        (v2("v2 l1 l3"), ConfState((2,), (1,), (3,), (1,), True), True),
    ],
)
def test_each_form_of_change_on_a_single_voter(change: ConfChangeV2, conf: ConfState, leaves_by_itself: bool) -> None:
    """R-184."""
    raft = leader(voters=(1,))
    raft.propose_conf_change(change)
    last = raft.log.last_index
    raft.ready()
    raft.advance()
    (entry,) = raft.ready().committed_entries

    applied = raft.apply_conf_change(entry.data)
    raft.advance()

    assert applied == raft.conf == conf
    assert (raft.log.last_index > last) is leaves_by_itself
    if leaves_by_itself:
        leave = raft.log.entries_from(last + 1)[0]
        assert (leave.type, leave.data, leave.size) == (EntryType.CONF_CHANGE_V2, None, 0)


def test_joint_configuration_is_left_when_that_is_committed_by_both_halves() -> None:
    """R-184: {add 2, 1 as learner, 3 as learner}, then voters 2, learners 1 and 3."""
    raft = leader(voters=(1,))
    raft.propose_conf_change(v2("v2 l1 l3"))
    pump(raft)
    joint = raft.conf

    commit(raft, 3)
    still = raft.conf
    commit(raft, 2)

    assert joint == still == ConfState((2,), (1,), (3,), (1,), True)
    assert raft.conf == ConfState((2,), (), (1, 3))
    assert raft.is_learner


def test_explicit_joint_configuration_is_left_when_asked() -> None:
    """R-184: not before, whatever is applied."""
    raft = leader(peers_match=True)
    raft.propose_conf_change(v2("v4 r3", EXPLICIT))
    commit(raft, 2, 3)
    raft.propose(b"x", 1)
    commit(raft, 2, 3, 4)
    stays = raft.conf

    raft.propose_conf_change(v2())
    commit(raft, 2, 4)

    assert stays == ConfState((1, 2, 4), (1, 2, 3))
    assert raft.conf == ConfState((1, 2, 4))
    assert list(raft.progress) == [1, 2, 4]


@pytest.mark.parametrize(
    ("joint", "change", "let_in"),
    [
        (True, v2("v5"), False),
        (True, v2(), True),
        (False, v2("v5"), True),
        (False, v2(), False),
        (False, v2("", EXPLICIT), False),
    ],
)
def test_leader_lets_in_what_fits_the_configuration(joint: bool, change: ConfChangeV2, let_in: bool) -> None:
    """Reference section 16.2: in a joint configuration only to leave it, else anything but that."""
    raft = leader(peers_match=True)
    if joint:
        raft.propose_conf_change(v2("v4", EXPLICIT))
        commit(raft, 2, 3)
    joint_now = bool(raft.conf.voters_outgoing)

    raft.propose_conf_change(change)

    kind = raft.log.entries_from(raft.log.last_index)[0].type
    assert joint_now is joint
    assert kind is (EntryType.CONF_CHANGE_V2 if let_in else EntryType.NORMAL)


def test_leaving_is_proposed_once() -> None:
    """R-185, reference section 16.5: although more entries are applied before it commits."""
    raft = leader(peers_match=True)
    raft.propose_conf_change(v2("v4", IMPLICIT))
    raft.propose(b"x", 1)
    raft.propose(b"y", 1)
    pump(raft)
    for index in (2, 3, 4):
        ack(raft, 2, index)
        ack(raft, 3, index)
        pump(raft)

    leaves = [e.index for e in raft.log.entries_from(1) if e.type is EntryType.CONF_CHANGE_V2 and e.data is None]
    assert raft.conf.auto_leave
    assert leaves == [5]


def test_leaving_is_proposed_again_after_a_transfer_that_failed() -> None:
    """Reference section 16.5: refused while the transfer is pending, retried with the next applied entry."""
    raft = leader(peers_match=True)
    raft.propose_conf_change(v2("v4", IMPLICIT))
    raft.propose(b"x", 1)
    pump(raft)
    raft.transfer_leader(3)
    ack(raft, 2, 2)
    pump(raft)
    ack(raft, 3, 2)
    pump(raft)
    pending = (raft.conf.auto_leave, raft.log.last_index)
    raft.lead_transferee = 0

    ack(raft, 2, 3)
    ack(raft, 3, 3)
    pump(raft)

    assert pending == (True, 3)
    assert raft.log.entries_from(4)[0].type is EntryType.CONF_CHANGE_V2


def test_new_leader_leaves_the_joint_configuration_when_it_has_applied_its_log() -> None:
    """Reference section 16.5: the first leader is gone."""
    raft = server(conf=ConfState((1, 2, 3), (1, 2), (), (), True), log=[1, 1], hard=HardState(1, 0, 0))
    raft.campaign()
    pump(raft)
    grant(raft, 2)
    pump(raft)
    early = raft.log.last_index

    commit(raft, 2)

    assert early == 3
    assert raft.log.entries_from(4)[0].type is EntryType.CONF_CHANGE_V2
    commit(raft, 2)
    assert raft.conf == ConfState((1, 2, 3))


def test_follower_does_not_propose_to_leave() -> None:
    """Reference section 16.5."""
    raft = server(conf=ConfState((1, 2, 3), (1, 2), (), (), True), log=[1, 1], hard=HardState(1, 0, 0))

    append(raft, (2, 1), [], commit=2)
    pump(raft)

    assert (raft.last_applied, raft.log.last_index) == (2, 2)


def test_configuration_survives_restoring() -> None:
    """Reference section 16.6: a restart from a snapshot taken in a joint configuration."""
    conf = ConfState((1, 2, 4), (1, 3, 5), (6,), (3, 5), True)

    raft = server(conf=conf)

    assert raft.conf == conf
    assert list(raft.progress) == [1, 2, 3, 4, 5, 6]
    assert [id for id, record in raft.progress.items() if record.is_learner] == [6]


# -- learners --
def with_learner(**options: object) -> RawNode:
    """Leader 1 of voters 1 and 2, learner 3; all have its first entry."""
    return leader(conf=ConfState((1, 2), (), (3,)), peers_match=True, **options)


def test_learner_receives_everything_and_counts_in_nothing() -> None:
    """Reference section 16."""
    raft = with_learner()
    raft.propose(b"x", 1)
    raft.broadcast_heartbeat()
    sent = pump(raft)

    ack(raft, 3)
    by_learner = raft.commit_index
    ack(raft, 2)

    assert [m.dst for m in only(sent, AppendEntries)] == [2, 3]
    assert [m.dst for m in only(sent, Heartbeat)] == [2, 3]
    assert (by_learner, raft.commit_index) == (1, 2)


def test_learner_never_campaigns_until_it_is_promoted() -> None:
    """Reference section 4.5."""
    raft = server(id=3, conf=ConfState((1, 2), (), (3,)), hard=HardState(1, 0, 0))
    ticks(raft, 50)
    quiet = raft.role
    raft.apply_conf_change(ConfChange(ADD, 3))

    raft.tick()

    assert quiet is Role.FOLLOWER
    assert raft.role is Role.CANDIDATE


def test_learner_follows_and_applies() -> None:
    """Reference section 16: a conversation between real servers."""
    conf = ConfState((1, 2), (), (3,))
    net = Network(*(server(id, conf=conf) for id in (1, 2, 3)))
    net.campaign(1)

    net.propose(1, b"x")
    net[1].propose_conf_change(v2("v3"))
    net.settle()

    assert net.applied[3][1].data == b"x"
    assert [net[id].conf for id in (1, 2, 3)] == [ConfState((1, 2, 3))] * 3
    assert not net[3].is_learner
