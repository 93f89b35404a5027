"""What may happen to a cluster: actions on a `World`, for Hypothesis and for random walks alike.

An action is a method whose arguments are picked from short lists, so that Hypothesis can shrink them and `walk` can
throw dice. Most are a conversation of one server with some of the others: what few have decided, unknown to the
rest, is what goes wrong later. And a cluster that never gets anything done cannot lose it.

`walk` draws a `Climate` for each run before it begins: which troubles there are, how often each action happens, and
with which few of its arguments (swarm testing: Groce et al., ISSTA 2012). Runs that do all things a little are all
alike; one without heartbeats, in which only two servers ever talk, gets where the average never does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, ClassVar, NamedTuple

from swarmsim.raft import ConfChange, ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, RawNode
from swarmsim.raft.messages import InstallSnapshot
from tests.raft.safety import Violation
from tests.raft.world import World

WHO = range(12)  # one of those there are, modulo
SOME = range(128)  # some of those there are, bit by bit
ROUNDS = (0, 0, 0, 1, 3)
TALK = "talk"
TROUBLES = NETWORK, CRASHES, MEMBERS, SNAPSHOTS, READS = "network", "crashes", "members", "snapshots", "reads"
KINDS = (
    ConfChangeType.ADD_NODE,
    ConfChangeType.REMOVE_NODE,
    ConfChangeType.ADD_NODE,
    ConfChangeType.REMOVE_NODE,
    ConfChangeType.ADD_LEARNER_NODE,
    ConfChangeType.UPDATE_NODE,
)
OPTIONS: dict[str, Sequence[Any]] = {
    "check_quorum": (False, False, True),
    "pre_vote": (False, False, True),
    "step_down_on_removal": (False, True),
    "max_size_per_msg": (65535, 40, 0),
    "max_inflight_msgs": (256, 2, 1),
    "max_committed_size_per_ready": (65535, 1, 1),
    "max_uncommitted_size": (0, 0, 3),
}

Condition = Callable[["Hostile"], bool]


class Action(NamedTuple):
    method: Callable[..., None]
    trouble: str
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


def anything_was_sent(self: Hostile) -> bool:
    return bool(self.world.past)


ACTIONS: dict[str, Action] = {}


def action(
    trouble: str, when: Condition = anybody, often: int = 2, **choices: Sequence[Any]
) -> Callable[..., Callable[..., None]]:
    """Register a method as an action: possible when `when`, with arguments out of these lists."""

    def register(method: Callable[..., None]) -> Callable[..., None]:
        ACTIONS[method.__name__] = Action(method, trouble, when, often, choices)
        return method

    return register


def pick(ids: list[int], number: int) -> int:
    return ids[number % len(ids)]


def nearest(ids: list[int], id: int) -> int:
    """`id` itself if it is one of these, or the next one, so that a number means the same server most of the time."""
    return min(ids, key=lambda other: (other - id) % 12)


class Hostile:
    """`VOTERS` form the cluster; `SPARE` may be added to it."""

    VOTERS: ClassVar[tuple[int, ...]] = (1, 2, 3)
    SPARE: ClassVar[tuple[int, ...]] = (4, 5)
    CORE: ClassVar[type[RawNode]] = RawNode

    world: World
    proposed: int = 0

    def begin(self, options: dict[str, Any], seed: int) -> None:
        self.world = World(self.VOTERS, spare=self.SPARE, core=self.CORE, seed=seed, **options)
        self.world.campaign(pick(list(self.VOTERS), seed))
        self.world.settle()

    def some(self, mask: int) -> list[int]:
        return [id for id in self.world.up() if mask >> (id - 1) & 1]

    def one(self, number: int) -> int:
        return nearest(self.world.up(), self.member(number))

    def leader(self, number: int) -> int:
        return nearest(self.world.leaders(), self.member(number))

    def member(self, number: int) -> int:
        return pick(list(self.world.nodes), number)

    # -- conversations, while the others hear nothing yet --
    @action(TALK, often=5, who=WHO, others=SOME, tries=(1, 2))
    def campaigns(self, who: int, others: int, tries: int) -> None:
        id = self.one(who)
        for _ in range(tries):
            self.world.campaign(id)
            self.world.talk(id, self.some(others))

    @action(TALK, often=15, who=WHO, others=SOME, tries=(1, 2, 3), waits=(0, 10), rounds=ROUNDS)
    def elects(self, who: int, others: int, tries: int, waits: int, rounds: int) -> None:
        """Some, who may not have heard of a leader for a while, elect a new one; its other messages are lost."""
        self.world.settle(rounds=rounds)
        leader = self.world.leader()
        id = nearest([id for id in self.world.up() if id != leader] or [leader], self.member(who))
        voters = self.some(others)
        for voter in (id, *voters):
            self.world.tick(voter, waits)
        self.world.elect(id, *voters, tries=tries)

    @action(TALK, anybody_leads, often=8, who=WHO, others=SOME, count=range(4))
    def replicates(self, who: int, others: int, count: int) -> None:
        id = self.leader(who)
        for _ in range(count):
            self.proposed += 1
            self.world.propose(id, self.proposed)
        self.world.talk(id, self.some(others))

    @action(TALK, anybody_leads, often=4, who=WHO, others=SOME)
    def beats(self, who: int, others: int) -> None:
        id = self.leader(who)
        self.world.tick(id)
        self.world.talk(id, self.some(others))

    @action(TALK, often=4, who=WHO, others=SOME, back=(False, True))
    def talks(self, who: int, others: int, back: bool) -> None:
        self.world.talk(self.one(who), self.some(others), back)

    @action(TALK, often=3, rounds=range(1, 5))
    def all_work_and_talk(self, rounds: int) -> None:
        self.world.settle(rounds=rounds)

    @action(TALK, often=5, others=SOME)
    def some_work_and_talk(self, others: int) -> None:
        """Among themselves, until all is quiet."""
        self.world.settle(*(self.some(others) or self.world.up()[:1]))

    @action(TALK, anybody_busy, often=3, who=WHO, stages=range(1, 6))
    def works(self, who: int, stages: int) -> None:
        id = nearest(self.world.busy(), self.member(who))
        for _ in range(stages):
            if id in self.world.busy():
                self.world.stage(id)

    @action(TALK, who=WHO, count=(1, 3, 10, 20), rounds=ROUNDS)
    def ticks(self, who: int, count: int, rounds: int) -> None:
        self.world.tick(self.one(who), count)
        self.world.settle(rounds=rounds)

    @action(MEMBERS, often=4, who=WHO, pace=(1, 1, 2, None))
    def dawdles(self, who: int, pace: int | None) -> None:
        """From now on a server does so many Readys at a time, so that it may be behind in applying."""
        self.world.pace[self.member(who)] = pace

    # -- the network --
    @action(NETWORK, anything_flies, often=4, which=WHO, count=range(1, 6))
    def messages_arrive(self, which: int, count: int) -> None:
        for _ in range(min(count, len(self.world.flying))):
            self.world.deliver(which % len(self.world.flying))

    @action(NETWORK, anything_flies, which=WHO)
    def message_is_lost(self, which: int) -> None:
        m = self.world.flying.pop(which % len(self.world.flying))
        if m.src in self.world.up():
            self.world[m.src].report_unreachable(m.dst)
            if isinstance(m, InstallSnapshot):
                self.world[m.src].report_snapshot(m.dst, False)

    @action(NETWORK, anything_flies, often=1, which=WHO, count=range(1, 4))
    def messages_are_duplicated(self, which: int, count: int) -> None:
        for _ in range(count):
            self.world.duplicate(which % len(self.world.flying))

    @action(NETWORK, anything_was_sent, often=6, kind=WHO, back=range(6), count=(1, 1, 3), fresh=(True, True, False))
    def old_messages_arrive(self, kind: int, back: int, count: int, fresh: bool) -> None:
        """Some of one kind of what was ever sent, and not for the first time; `fresh`: in a term that still runs."""
        terms = [self.world[id].current_term for id in self.world.up()]
        past = [m for m in self.world.past if not fresh or m.term in terms]
        kinds = list(dict.fromkeys(type(m) for m in past))
        if kinds:
            chosen = kinds[kind % len(kinds)]
            self.world.arrive(*[m for m in past if type(m) is chosen][-1 - back :][:count])

    @action(NETWORK, often=3, keep=(None, 0, 1))
    def entries_are_left_out(self, keep: int | None) -> None:
        """From now on an AppendEntries brings only its first few entries: a leader is free to send none at all."""
        self.world.keep = keep

    @action(NETWORK, anything_flies, often=1)
    def all_is_lost(self) -> None:
        self.world.lose_all()

    @action(NETWORK, often=1, others=SOME, rounds=ROUNDS)
    def partition(self, others: int, rounds: int) -> None:
        self.world.heal()
        self.world.isolate(*self.some(others))
        self.world.settle(rounds=rounds)

    # -- crashes --
    @action(CRASHES, often=4, who=WHO, lose=(False, True), torn=range(4), again=(True, True, False))
    def crash(self, who: int, lose: bool, torn: int, again: bool) -> None:
        id = self.one(who)
        self.world.crash(id, lose, torn)
        if again:
            self.world.restart(id)

    @action(CRASHES, often=6, others=SOME, lose=(False, True))
    def some_restart(self, others: int, lose: bool) -> None:
        for id in self.some(others):
            self.world.crash(id, lose)
            self.world.restart(id)

    @action(CRASHES, often=6, others=SOME, torn=(0, 0, 1, 2))
    def some_hear_answer_and_fall(self, others: int, torn: int) -> None:
        """All that flies to them arrives and is answered; then the power fails, and what was not synced is gone."""
        for id in self.some(others):
            self.world.arrive(*self.world.take_all(id))
            self.world.answer(id)
            self.world.crash(id, True, torn)
            self.world.restart(id)

    @action(CRASHES, anybody_down)
    def all_restart(self) -> None:
        for id in self.world.down():
            self.world.restart(id)

    # -- what people ask for --
    @action(MEMBERS, anybody_leads, often=6, who=WHO, kind=KINDS, member=WHO, count=(1, 2, 2), others=SOME)
    def change_members_in_turn(self, who: int, kind: ConfChangeType, member: int, count: int, others: int) -> None:
        """One, or two in a row, of those whom it concerns."""
        leader = self.leader(who)
        members = self.concerned(leader, kind)
        for number in range(member, member + count):
            self.world.change(leader, ConfChange(kind, pick(members, number)))
        self.world.talk(leader, self.some(others))

    @action(MEMBERS, anybody_leads, often=4, who=WHO, kind=KINDS, member=WHO, others=SOME)
    def leader_falls_after_appending(self, who: int, kind: ConfChangeType, member: int, others: int) -> None:
        """A change is on its disk only when it restarts; then some elect it again."""
        leader = self.leader(who)
        self.world.change(leader, ConfChange(kind, pick(self.concerned(leader, kind), member)))
        self.world.settle(leader)
        self.world.crash(leader)
        self.world.restart(leader)
        self.world.elect(leader, *self.some(others))

    def concerned(self, leader: int, kind: ConfChangeType) -> list[int]:
        """Who may be added, as far as the leader has applied, or removed; else, or if there is none, everybody."""
        everybody, voters = list(self.world.nodes), self.world.nodes[leader].conf.voters
        if kind is ConfChangeType.ADD_NODE:
            return [id for id in everybody if id not in voters] or everybody
        return list(voters) if kind is ConfChangeType.REMOVE_NODE and voters else everybody

    @action(
        MEMBERS,
        anybody_leads,
        often=4,
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

    @action(MEMBERS, anybody_leads, often=1, who=WHO, others=SOME)
    def leave_joint(self, who: int, others: int) -> None:
        leader = self.leader(who)
        self.world.change(leader, ConfChangeV2())
        self.world.talk(leader, self.some(others))

    @action(READS, who=WHO, others=SOME)
    def read(self, who: int, others: int) -> None:
        id = self.one(who)
        self.world.read(id)
        self.world.talk(id, self.some(others))

    @action(SNAPSHOTS, often=6, others=SOME, keep=(0, 0, 1, 2))
    def some_snapshot(self, others: int, keep: int) -> None:
        for id in self.some(others):
            self.world.snapshot(id, keep)

    @action(SNAPSHOTS, anybody_leads, often=4, who=WHO, others=SOME, count=range(1, 4), keep=(0, 0, 1, 2))
    def leaves_behind(self, who: int, others: int, count: int, keep: int) -> None:
        """What some agree upon they compact at once, so that the rest will need a snapshot."""
        leader = self.leader(who)
        for number in range(count):
            self.world.propose(leader, ("left behind", number))
        self.world.talk(leader, self.some(others))
        self.world.talk(leader, self.some(others))
        self.some_snapshot(others | 1 << leader - 1, keep)

    @action(READS, who=WHO, what=("transfer", "forget", "propose", "sent", "not sent"), other=WHO)
    def ask(self, who: int, what: str, other: int) -> None:
        raft, peer = self.world[self.one(who)], self.member(other)
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


class Climate(NamedTuple):
    """What one run is like: the servers' options, how often each action happens, and with which arguments."""

    options: dict[str, Any]
    often: dict[str, int]
    choices: dict[str, dict[str, Sequence[Any]]]


def climate(hostile: type[Hostile], dice: Random) -> Climate:
    """One or two kinds of trouble, or all; who acts and who hears of it is the same few throughout."""
    options = {name: dice.choice(choices) for name, choices in OPTIONS.items()}
    troubles = dice.sample((*TROUBLES, MEMBERS), dice.choice((1, 1, 2, 3, 6)))
    kinds = [*some_of((TALK,), dice), *some_of(troubles, dice)]
    often = {name: max(1, ACTIONS[name].often * dice.choice((1, 4, 4, 16)) // 4) for name in kinds}
    choices = {
        name: {argument: narrow(dice, values) for argument, values in ACTIONS[name].choices.items()} for name in kinds
    }
    who, others = cast(hostile, dice), circles(hostile, dice)
    for name in kinds:
        if "others" in choices[name]:
            choices[name]["others"] = others
            if "who" in choices[name]:
                choices[name]["who"] = who
    return Climate(options, often, choices)


def some_of(troubles: Sequence[str], dice: Random) -> list[str]:
    """A few actions of these troubles, or many, the usual ones rather."""
    deck = [name for name, a in ACTIONS.items() for _ in range(a.often) if a.trouble in troubles]
    return list(dict.fromkeys(dice.choice(deck) for _ in range(dice.choice((2, 3, 5, 20)))))


def cast(hostile: type[Hostile], dice: Random) -> Sequence[int]:
    """Who acts: two or three voters, or anybody."""
    voters = range(len(hostile.VOTERS))
    return dice.choice((dice.sample(voters, 2), dice.sample(voters, 3), WHO))


def circles(hostile: type[Hostile], dice: Random) -> Sequence[int]:
    """Who hears of it: one side or the other, as if the network were parted so once or twice; or nobody, or all."""
    everybody = (*hostile.VOTERS, *hostile.SPARE)
    among: list[int] = [0, SOME[-1]][: dice.randrange(3)]
    for ids in dice.choice(([hostile.VOTERS], [hostile.VOTERS] * 2, [hostile.VOTERS, everybody], [everybody] * 2)):
        side = sum(1 << id - 1 for id in dice.sample(ids, len(ids) // 2))
        among += [side, SOME[-1] - side]
    return among


def narrow(dice: Random, values: Sequence[Any]) -> Sequence[Any]:
    """One value, a few, or all."""
    few = dice.choice((1, 2, 3, 4, len(values)))
    return dice.sample(values, min(few, len(values)))


def walk(hostile: type[Hostile], seed: int, steps: int) -> Hostile:
    """That many random actions, the same for the same seed; raises `safety.Violation`."""
    dice = Random(seed)
    weather = climate(hostile, dice)
    run = hostile()
    run.begin(weather.options, seed)
    run.world.echoes = Random(f"echo {seed}").randrange(4) == 0
    deck = [name for name, often in weather.often.items() for _ in range(often)]
    for step in range(1, steps + 1):
        name = dice.choice(deck)
        if ACTIONS[name].when(run):
            arguments = {argument: dice.choice(values) for argument, values in weather.choices[name].items()}
            try:
                ACTIONS[name].method(run, **arguments)
            except Violation as violation:
                violation.step = step
                raise
    return run
