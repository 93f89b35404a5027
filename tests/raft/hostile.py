"""What may happen to a cluster: actions on a `World`, for Hypothesis and for random walks alike.

An action is a method whose arguments are picked from short lists, so that Hypothesis can shrink them and `walk` can
throw dice. Most are a conversation of one server with some of the others: what few have decided, unknown to the
rest, is what goes wrong later. And a cluster that never gets anything done cannot lose it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, ClassVar, NamedTuple

from swarmsim.raft import ConfChange, ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, RawNode
from swarmsim.raft.messages import InstallSnapshot
from tests.raft.world import World

WHO = range(12)  # one of those there are, modulo
SOME = range(128)  # some of those there are, bit by bit
ROUNDS = (0, 0, 0, 1, 3)
KINDS = (
    ConfChangeType.ADD_NODE,
    ConfChangeType.REMOVE_NODE,
    ConfChangeType.ADD_LEARNER_NODE,
    ConfChangeType.UPDATE_NODE,
)
OPTIONS: dict[str, Sequence[Any]] = {
    "check_quorum": (False, True),
    "pre_vote": (False, True),
    "step_down_on_removal": (False, True),
    "max_size_per_msg": (65535, 40, 0),
    "max_inflight_msgs": (256, 2, 1),
    "max_committed_size_per_ready": (65535, 1),
    "max_uncommitted_size": (0, 3),
}

Condition = Callable[["Hostile"], bool]


class Action(NamedTuple):
    method: Callable[..., None]
    when: Condition
    often: int
    choices: dict[str, Sequence[Any]]


def anybody(self: Hostile) -> bool:
    return bool(self.world.up())


def anybody_down(self: Hostile) -> bool:
    return bool(self.world.down())


def anybody_busy(self: Hostile) -> bool:
    return bool(self.world.busy())


def anybody_leads(self: Hostile) -> bool:
    return bool(self.world.leaders())


def anything_flies(self: Hostile) -> bool:
    return bool(self.world.flying)


ACTIONS: dict[str, Action] = {}


def action(when: Condition = anybody, often: int = 2, **choices: Sequence[Any]) -> Callable[..., Callable[..., None]]:
    """Register a method as an action: possible when `when`, with arguments out of these lists."""

    def register(method: Callable[..., None]) -> Callable[..., None]:
        ACTIONS[method.__name__] = Action(method, when, often, choices)
        return method

    return register


def pick(ids: list[int], number: int) -> int:
    return ids[number % len(ids)]


class Hostile:
    """`VOTERS` form the cluster; `SPARE` may be added to it."""

    VOTERS: ClassVar[tuple[int, ...]] = (1, 2, 3)
    SPARE: ClassVar[tuple[int, ...]] = (4,)
    CORE: ClassVar[type[RawNode]] = RawNode

    world: World
    proposed: int = 0

    def begin(self, options: dict[str, Any], seed: int) -> None:
        self.world = World(self.VOTERS, spare=self.SPARE, core=self.CORE, seed=seed, **options)
        self.world.campaign(pick(list(self.VOTERS), seed))
        self.world.settle()

    def some(self, mask: int) -> list[int]:
        return [id for position, id in enumerate(self.world.up()) if mask >> position & 1]

    def leader(self, number: int) -> int:
        return pick(self.world.leaders(), number)

    def member(self, number: int) -> int:
        return pick(list(self.world.nodes), number)

    # -- conversations, while the others hear nothing yet --
    @action(often=5, who=WHO, others=SOME, tries=(1, 2))
    def campaigns(self, who: int, others: int, tries: int) -> None:
        id = pick(self.world.up(), who)
        for _ in range(tries):
            self.world.campaign(id)
            self.world.talk(id, self.some(others))

    @action(anybody_leads, often=8, who=WHO, others=SOME, count=range(4))
    def replicates(self, who: int, others: int, count: int) -> None:
        id = self.leader(who)
        for _ in range(count):
            self.proposed += 1
            self.world.propose(id, self.proposed)
        self.world.talk(id, self.some(others))

    @action(anybody_leads, often=4, who=WHO, others=SOME)
    def beats(self, who: int, others: int) -> None:
        id = self.leader(who)
        self.world.tick(id)
        self.world.talk(id, self.some(others))

    @action(often=4, who=WHO, others=SOME, back=(False, True))
    def talks(self, who: int, others: int, back: bool) -> None:
        self.world.talk(pick(self.world.up(), who), self.some(others), back)

    @action(often=3, rounds=range(1, 5))
    def all_work_and_talk(self, rounds: int) -> None:
        self.world.settle(rounds=rounds)

    @action(anybody_busy, often=3, who=WHO, stages=range(1, 6))
    def works(self, who: int, stages: int) -> None:
        id = pick(self.world.busy(), who)
        for _ in range(stages):
            if id in self.world.busy():
                self.world.stage(id)

    @action(who=WHO, count=(1, 3, 10, 20), rounds=ROUNDS)
    def ticks(self, who: int, count: int, rounds: int) -> None:
        self.world.tick(pick(self.world.up(), who), count)
        self.world.settle(rounds=rounds)

    # -- the network --
    @action(anything_flies, often=4, which=WHO, count=range(1, 6))
    def messages_arrive(self, which: int, count: int) -> None:
        for _ in range(min(count, len(self.world.flying))):
            self.world.deliver(which % len(self.world.flying))

    @action(anything_flies, which=WHO)
    def message_is_lost(self, which: int) -> None:
        m = self.world.flying.pop(which % len(self.world.flying))
        if m.src in self.world.up():
            self.world[m.src].report_unreachable(m.dst)
            if isinstance(m, InstallSnapshot):
                self.world[m.src].report_snapshot(m.dst, False)

    @action(anything_flies, often=1, which=WHO, count=range(1, 4))
    def messages_are_duplicated(self, which: int, count: int) -> None:
        for _ in range(count):
            self.world.duplicate(which % len(self.world.flying))

    @action(anything_flies, often=1)
    def all_is_lost(self) -> None:
        self.world.lose_all()

    @action(often=1, others=SOME, rounds=ROUNDS)
    def partition(self, others: int, rounds: int) -> None:
        self.world.heal()
        self.world.isolate(*self.some(others))
        self.world.settle(rounds=rounds)

    # -- crashes --
    @action(who=WHO, lose=(False, True), torn=range(4), again=(True, True, False))
    def crash(self, who: int, lose: bool, torn: int, again: bool) -> None:
        id = pick(self.world.up(), who)
        self.world.crash(id, lose, torn)
        if again:
            self.world.restart(id)

    @action(anybody_down)
    def all_restart(self) -> None:
        for id in self.world.down():
            self.world.restart(id)

    # -- what people ask for --
    @action(anybody_leads, who=WHO, kind=KINDS, member=WHO, others=SOME)
    def change_one_member(self, who: int, kind: ConfChangeType, member: int, others: int) -> None:
        leader = self.leader(who)
        self.world.change(leader, ConfChange(kind, self.member(member)))
        self.world.talk(leader, self.some(others))

    @action(
        anybody_leads,
        often=1,
        who=WHO,
        add=WHO,
        remove=WHO,
        learn=(None, *WHO),
        transition=tuple(ConfChangeTransition),
        others=SOME,
    )
    def change_many_members(
        self, who: int, add: int, remove: int, learn: int | None, transition: ConfChangeTransition, others: int
    ) -> None:
        changes = [(ConfChangeType.ADD_NODE, add), (ConfChangeType.REMOVE_NODE, remove)]
        if learn is not None:
            changes.append((ConfChangeType.ADD_LEARNER_NODE, learn))
        singles = tuple(ConfChangeSingle(kind, self.member(member)) for kind, member in changes)
        leader = self.leader(who)
        self.world.change(leader, ConfChangeV2(singles, transition))
        self.world.talk(leader, self.some(others))

    @action(anybody_leads, often=1, who=WHO, others=SOME)
    def leave_joint(self, who: int, others: int) -> None:
        leader = self.leader(who)
        self.world.change(leader, ConfChangeV2())
        self.world.talk(leader, self.some(others))

    @action(who=WHO, others=SOME)
    def read(self, who: int, others: int) -> None:
        id = pick(self.world.up(), who)
        self.world.read(id)
        self.world.talk(id, self.some(others))

    @action(who=WHO, keep=range(3))
    def snapshot(self, who: int, keep: int) -> None:
        self.world.snapshot(pick(self.world.up(), who), keep)

    @action(who=WHO, what=("transfer", "forget", "propose", "sent", "not sent"), other=WHO)
    def ask(self, who: int, what: str, other: int) -> None:
        raft, peer = self.world[pick(self.world.up(), who)], self.member(other)
        if what == "transfer":
            raft.transfer_leader(peer)
        elif what == "forget":
            raft.forget_leader()
        elif what == "propose":
            self.proposed += 1
            self.world.propose(raft.id, self.proposed)
        else:
            raft.report_snapshot(peer, what == "sent")


class HostileToFive(Hostile):
    VOTERS = (1, 2, 3, 4, 5)
    SPARE = (6, 7)


def walk(hostile: type[Hostile], seed: int, steps: int) -> Hostile:
    """That many random actions, the same for the same seed; raises `safety.Violation`."""
    dice = Random(seed)
    run = hostile()
    run.begin({name: dice.choice(choices) for name, choices in OPTIONS.items()}, seed)
    deck = [a for a in ACTIONS.values() for _ in range(a.often)]
    for _ in range(steps):
        chosen = dice.choice(deck)
        if chosen.when(run):
            chosen.method(run, **{name: dice.choice(choices) for name, choices in chosen.choices.items()})
    return run
