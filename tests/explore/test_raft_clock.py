"""The clocked member against its slow twin: counting ticks afterwards is taking each (`manager.raft_clock`)."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from swarmsim.api.messages import RaftEnvelope
from swarmsim.api.specs import ClusterSpec, RaftSpec
from swarmsim.machine import Address, Persist, RecordingOutbox
from swarmsim.manager.membership import Group, Member
from swarmsim.manager.raft_clock import ClockedRaftNode
from swarmsim.manager.raft_node import RaftNode
from swarmsim.manager.raft_node.storage import Keys, Storage
from swarmsim.raft.messages import (
    AppendEntries,
    ConfState,
    HardState,
    Heartbeat,
    HeartbeatResponse,
    RequestVote,
    RequestVoteResponse,
    Snapshot,
)
from swarmsim.raft.state import CANDIDATE, LEADER, Role
from swarmsim.store import MemoryStore
from swarmsim.store.chronicle import Chronicle

MEMBERS = tuple((i, Member(f"m{i}", f"m{i}")) for i in (1, 2, 3))


class EveryTick(RaftNode):
    """The slow and obvious twin: the driver of this test lets it take each tick."""


class Lone:
    """One member, a clock that only this test moves, and a disk that takes `fsync` units."""

    def __init__(self, kind: type[RaftNode], seed: int, rules: str, fsync: int, **raft: Any) -> None:
        spec = ClusterSpec(
            heartbeat_tick=7,
            election_tick=20,
            raft=RaftSpec(rules=rules, tick=1, by_clock=True, election_tick_most=30, **raft),
        )
        self.out = RecordingOutbox(Address("m1", "raft"), seed=seed)
        self.fsync = fsync
        self.writing: list[tuple[int, Any]] = []
        snapshot = Snapshot(1, 1, ConfState((1, 2, 3)), (MemoryStore().save(), Group(MEMBERS, ())))
        keys = Keys("k")
        storage, _ = Storage.open(Storage(keys).begin_at(snapshot, HardState(1, 0, 1)), keys)
        self.node = kind("m1", 1, MEMBERS, MemoryStore(), Chronicle(), spec, storage)
        self.out.rng = Fixed(seed)
        self.node.on_start({}, self.out)
        self._begin_writes()
        self.finish_writes()

    def _begin_writes(self) -> None:
        for handler in self.out.started:
            assert handler is not None
            effect = next(handler, None)
            if isinstance(effect, Persist):
                self.writing.append((self.out.now + self.fsync, handler))
        self.out.started.clear()

    def finish_writes(self) -> None:
        """Those that are due, and what follows from them in the same microsecond."""
        while self.writing and self.writing[0][0] <= self.out.now:
            _, handler = self.writing.pop(0)
            next(handler, None)
            self._begin_writes()

    def advance(self, every_tick: bool = False) -> None:
        """One microsecond on."""
        self.out.now += 1
        self.finish_writes()
        if every_tick or self.out.timers.get("tick", -1) == self.out.now:
            self.ring()

    def step(self, message: Any) -> None:
        self.node.on_message(Address(f"m{message.src}", "raft"), RaftEnvelope(message), self.out)
        self._begin_writes()
        self.finish_writes()

    def ring(self) -> None:
        self.out.timers.pop("tick", None)
        self.node.on_timer("tick", self.out)
        self._begin_writes()
        self.finish_writes()

    def state(self) -> Any:
        raw = self.node.raw
        if isinstance(self.node, ClockedRaftNode):
            self.node._count(self.out.now)
        beat = raw.heartbeat_elapsed if raw.role is LEADER else 0
        return raw.role, raw.current_term, raw.voted_for, raw.leader_id, raw.election_elapsed, beat

    def sent(self) -> list[Any]:
        return [effect for effect in self.out.effects if effect[0] == "send"]


class Fixed(Random):
    """No phase: the first tick comes a whole tick after the start, as by the clock."""

    def random(self) -> float:
        return 0.0


MESSAGES = {
    "beat": lambda term: Heartbeat(2, 1, term, 1, 0),
    "append": lambda term: AppendEntries(2, 1, term, 1, 1, (), 1),
    "ask": lambda term: RequestVote(3, 1, term, 9, term - 1),
    "ask in vain": lambda term: RequestVote(3, 1, term, 0, 0),
    "yes": lambda term: RequestVoteResponse(2, 1, term, True),
    "no": lambda term: RequestVoteResponse(3, 1, term, False),
    "beat back": lambda term: HeartbeatResponse(2, 1, term, 0),
}
stories = st.lists(
    st.tuples(st.integers(0, 45), st.sampled_from(sorted(MESSAGES)), st.integers(-1, 2)), min_size=1, max_size=12
)


def play(
    kind: type[RaftNode], story: list[tuple[int, str, int]], seed: int, fsync: int, **raft: Any
) -> tuple[list[Any], list[Any]]:
    """States after each step of the story, and all that was sent. Every microsecond is looked at, for both."""
    lone = Lone(kind, seed, fsync=fsync, **raft)
    slow = kind is EveryTick
    states = []
    for wait, what, term in story:
        for _ in range(wait):
            lone.advance(slow)
        lone.step(MESSAGES[what](max(1, lone.node.raw.current_term + term)))
        states.append((lone.out.now, lone.state()))
    return states, lone.sent()


options = {
    "story": stories,
    "seed": st.integers(0, 9),
    "rules": st.sampled_from(["swarmkit", "paper", "refloated"]),
    "pre_vote": st.booleans(),
    "check_quorum": st.booleans(),
}


@settings(max_examples=150, deadline=None)
@given(**options)
def test_counting_afterwards_is_taking_every_tick(
    story: list[tuple[int, str, int]], seed: int, rules: str, pre_vote: bool, check_quorum: bool
) -> None:
    """With a disk that takes no time: roles, terms, votes, counters and messages are equal after every step."""
    raft = {"rules": rules, "pre_vote": pre_vote, "check_quorum": check_quorum}

    assert play(ClockedRaftNode, story, seed, 0, **raft) == play(EveryTick, story, seed, 0, **raft)


@settings(max_examples=50, deadline=None)
@given(**options)
def test_time_goes_on_while_the_disk_is_busy(
    story: list[tuple[int, str, int]], seed: int, rules: str, pre_vote: bool, check_quorum: bool
) -> None:
    """A timeout that falls due in a write is taken when the write is done, and none is forgotten."""
    raft = {"rules": rules, "pre_vote": pre_vote, "check_quorum": check_quorum}
    lone = Lone(ClockedRaftNode, seed, fsync=5, **raft)
    for wait, what, term in story:
        for _ in range(wait):
            lone.advance()
            raw = lone.node.raw
            overdue = lone.node._due() < lone.out.now  # type: ignore[attr-defined]
            assert not overdue or lone.writing, f"{raw.role} sleeps over its timeout"
        lone.step(MESSAGES[what](max(1, lone.node.raw.current_term + term)))


def test_a_leader_whose_own_vote_was_slow_counts_from_its_election() -> None:
    """The time of the write before it belongs to the candidate: the first heartbeat comes a whole interval later."""
    lone = Lone(ClockedRaftNode, 1, "paper", fsync=5, check_quorum=False)

    def until(role: Role) -> int:
        while lone.node.raw.role is not role:
            lone.advance()
        return lone.out.now

    until(CANDIDATE)
    lone.step(RequestVoteResponse(2, 1, lone.node.raw.current_term, True))
    elected = until(LEADER)
    while not any(type(effect[2].message) is Heartbeat for effect in lone.sent()):
        lone.advance()

    assert lone.out.now == elected + lone.node.spec.heartbeat_tick


def test_a_tick_takes_a_second_where_nothing_else_is_said() -> None:
    assert RaftSpec().tick == 1_000_000
    assert replace(RaftSpec(), by_clock=True).election_tick_most == 0
