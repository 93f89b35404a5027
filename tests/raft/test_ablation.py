"""What each rule of Raft is for: a schedule that breaks a property without the rule, and does not with it.

A schedule is the shortest that we know, in the manner of the paper's Figure 8: 1, 2, 3 … are servers, `elect(3, 2)`
lets 3 campaign and 2 answer while the others hear nothing, `talk(1, [2])` carries what 1 has to say to 2 and back.
The judge of `safety.py` looks at every step.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from swarmsim.raft import (
    ConfChange,
    ConfChangeSingle,
    ConfChangeTransition,
    ConfChangeType,
    ConfChangeV2,
    RawNode,
)
from swarmsim.raft.ablation import RULES, core
from swarmsim.raft.messages import AppendEntries
from tests.raft.find import Found, run, without
from tests.raft.hostile import Hostile, HostileToFive
from tests.raft.safety import Violation
from tests.raft.world import World

Core = type[RawNode]
ADD, REMOVE = ConfChangeType.ADD_NODE, ConfChangeType.REMOVE_NODE
UNSAFE: dict[str, Callable[[Core], None]] = {}
LIFELESS: dict[str, Callable[[Core], bool]] = {}


def unsafe(*names: str) -> Callable[[Callable[[Core], None]], Callable[[Core], None]]:
    """A schedule that is safe with the rules of these names, and ends in a violation without any of them."""

    def register(schedule: Callable[[Core], None]) -> Callable[[Core], None]:
        UNSAFE.update(dict.fromkeys(names, schedule))
        return schedule

    return register


def lifeless(name: str) -> Callable[[Callable[[Core], bool]], Callable[[Core], bool]]:
    """A schedule that tells whether all went well."""

    def register(schedule: Callable[[Core], bool]) -> Callable[[Core], bool]:
        LIFELESS[name] = schedule
        return schedule

    return register


def adds(id: int) -> ConfChange:
    return ConfChange(ADD, id)


# -- Figure 2 --
@unsafe("persist-vote", "persist-term")
def voter_restarts(core: Core) -> None:
    """2 votes for 1, restarts, and is asked by 3 for a vote in the same term."""
    w = World(core=core)
    w.elect(1, 2)
    w.crash(2)
    w.restart(2)
    w.elect(3, 2, tries=1)


@unsafe("persist-log")
def holder_restarts(core: Core) -> None:
    """1 and 2 commit x; 2 restarts, and helps 3, which has no x, to be elected."""
    w = World(core=core)
    w.elect(1, 2)
    w.propose(1, "x")
    w.talk(1, [2])
    w.crash(2)
    w.restart(2)
    w.elect(3, 2)


@unsafe("persist-before-answer")
def holder_crashes_while_writing(core: Core) -> None:
    """2 works on its Ready with x for two stages: it has answered, or it has written. Then the power fails."""
    w = World(core=core)
    w.elect(1, 2)
    w.settle()
    w.propose(1, "x")
    w.talk(1, [])
    w.take(1, 3)
    w.pass_on(1, 2)
    w.stage(2)
    w.stage(2)
    w.crash(2, lose=True)
    w.pass_on(2, 1)
    w.restart(2)
    w.elect(3, 2)


@unsafe("higher-term")
def old_leader_comes_back(core: Core) -> None:
    """1 was cut off, 2 and 3 have elected 3; now 3's first entry reaches 1."""
    w = World(core=core)
    w.elect(1, 2)
    w.settle()
    w.isolate(1)
    w.elect(3, 2)
    w.heal()
    w.pass_on(3, 1)


@unsafe("earlier-term")
def old_vote_arrives(core: Core) -> None:
    """2 votes for 1, but the answer is late: 1 is one term further by then, in which 2 votes for 3."""
    w = World(core=core)
    w.campaign(1)
    w.talk(1, [2], back=False)
    w.settle(2)
    late = w.take(2, 1)
    w.campaign(1)
    w.settle(1)
    w.lose_all()
    w.elect(3, tries=1)
    w.elect(3, 2, tries=1)
    w.arrive(*late)


@unsafe("one-vote")
def two_candidates(core: Core) -> None:
    """1 and 3 ask 2 for its vote in the same term."""
    w = World(core=core)
    w.elect(1, 2)
    w.elect(3, 2, tries=1)


@unsafe("up-to-date")
def candidate_is_behind(core: Core) -> None:
    """1 and 2 commit x; 3, which has no x, asks 2 for its vote."""
    w = World(core=core)
    w.elect(1, 2)
    w.propose(1, "x")
    w.talk(1, [2])
    w.elect(3, 2)


@unsafe("log-matching")
def follower_differs_before_the_new_entry(core: Core) -> None:
    """1 has three entries of its own where 2 and 3 have two of theirs; it is sent what comes after these."""
    w = World(core=core)
    w.elect(1, 2)
    w.settle()
    for data in ("a", "b", "c"):
        w.propose(1, data)
    w.settle(1)
    w.lose_all()
    w.elect(2, 3)
    w.propose(2, "x")
    w.talk(2, [3])
    w.talk(2, [3])
    w.elect(3, 2)
    w.pass_on(3, 1)


@unsafe("cut-conflicts-only")
def old_entries_arrive_again(core: Core) -> None:
    """2 acknowledges a and b, both commit; then the message with a arrives a second time. 3 has only a."""
    w = World(core=core)
    w.elect(1, 2)
    w.settle()
    w.propose(1, "a")
    w.settle(1)
    first = w.take(1, 2)
    w.pass_on(1, 3)
    w.propose(1, "b")
    w.settle(1)
    w.take(1, 3)
    w.arrive(*first)
    w.pass_on(1, 2)
    w.settle(2)
    w.pass_on(2, 1)
    w.arrive(*first)
    w.settle(2)
    w.settle(3)
    w.elect(3, 2)


def leftover_of_an_old_leader(core: Core) -> World:
    """2 holds "old" of term 2 where 3, 4 and 5 have committed the first entry of leader 3."""
    w = World((1, 2, 3, 4, 5), core=core)
    w.elect(1, 2, 3)
    w.settle()
    w.propose(1, "old")
    w.talk(1, [2])
    w.lose_all()
    w.isolate(1, 2)
    w.elect(3, 4, 5)
    w.settle()
    w.heal()
    assert w[2].log.last_index == w[3].commit_index
    return w


@unsafe("commit-new-only")
def empty_message_with_a_commit_index(core: Core) -> None:
    """The paper's heartbeat: an AppendEntries without entries, after the last place where the logs agree."""
    w = leftover_of_an_old_leader(core)
    last = w[2].log.last_index
    term = w[2].log.term(last - 1)
    assert term is not None
    w.arrive(AppendEntries(3, 2, w[3].current_term, last - 1, term, (), last))


@unsafe("commit-matched-only")
def heartbeat_with_a_commit_index(core: Core) -> None:
    """etcd's heartbeat, which has no place to compare."""
    w = leftover_of_an_old_leader(core)
    w.lose_all()
    w.tick(3)
    w.talk(3, [2])


# -- sections 5.4.2 to 8 --
@unsafe("commit-own-term")
def figure_8(core: Core) -> None:
    """Figure 8, (a) to (d): an entry of term 2 gets on a majority in term 4, and is overwritten by 5's of term 3."""
    w = World((1, 2, 3, 4, 5), core=core, max_size_per_msg=0)
    w.elect(1, 2, 3)  # (a) 1 leads and brings its entry to 2 only
    w.talk(1, [2])
    w.lose_all()
    w.crash(1)
    w.elect(5, 3, 4)  # (b) 5 leads in the next term, with an entry that nobody else has
    w.lose_all()
    w.crash(5)
    w.restart(1)
    w.elect(1, 2, 3)  # (c) 1 leads again, and brings its old entry to 3
    w.talk(1, [2, 3])
    w.talk(1, [3])
    w.crash(1)
    w.restart(5)
    w.elect(5, 3, 4)  # (d) 5 may win with the votes of 3 and 4


@unsafe("joint-majorities", "joint-consensus")
def half_of_the_cluster_is_replaced(core: Core) -> None:
    """From 1 2 3 to 3 4 5. 1 and 2 do not know yet that this is committed, and elect 1; 3 and 5 elect 4."""
    w = World(spare=(4, 5), core=core)
    w.elect(3, 1)
    w.settle()
    changes = [ConfChangeSingle(ADD, 4), ConfChangeSingle(ADD, 5)]
    changes += [ConfChangeSingle(REMOVE, 1), ConfChangeSingle(REMOVE, 2)]
    w.change(3, ConfChangeV2(tuple(changes), ConfChangeTransition.JOINT_EXPLICIT))
    w.talk(3, [1])
    w.lose_all()
    w.isolate(1, 2)
    w.tick(3)
    w.settle(3, 4, 5)
    w.elect(1, 2)
    w.elect(4, 3, 5)


def grows_by_two(w: World) -> World:
    """1 brings its log to 2, commits it, and 4 and 5 join; 2 and 3 hear no more."""
    w.talk(1, [2])
    w.lose_all()
    w.isolate(2, 3)
    w.tick(1)
    w.settle(1, 4, 5)
    return w


@unsafe("one-change")
def two_changes_at_once(core: Core) -> None:
    """1 adds 4 and 5 at once. 2 and 3 are still a majority for themselves; 1, 4 and 5 are one of the new cluster."""
    w = World(spare=(4, 5), core=core)
    w.elect(1, 2)
    w.settle()
    w.change(1, adds(4))
    w.change(1, adds(5))
    grows_by_two(w)
    w.elect(2, 3)
    w.elect(4, 1, 5, tries=1)


@unsafe("own-commit-before-change")
def change_after_an_inherited_one(core: Core) -> None:
    """1 appends "add 4", restarts, is elected again and adds 5 before anything of its new term is committed."""
    w = World(spare=(4, 5), core=core)
    w.elect(1, 2)
    w.settle()
    w.change(1, adds(4))
    w.settle(1)
    w.lose_all()
    w.crash(1)
    w.restart(1)
    w.elect(1, 3)
    w.lose_all()
    w.change(1, adds(5))
    w.tick(1)
    w.talk(1, [2])
    w.talk(1, [2])  # 2 refuses, and is sent all that it lacks
    grows_by_two(w)
    w.propose(1, "x")
    w.settle(1, 4, 5)
    w.elect(2, 3)


@unsafe("apply-change-before-campaign")
def follower_is_behind_in_applying(core: Core) -> None:
    """2 applies one entry per Ready, so that it has not come to "add 4" yet when it holds "add 5"."""
    w = World(spare=(4, 5), core=core, max_committed_size_per_ready=1)
    w.elect(1, 2)
    w.settle()
    for data in range(8):
        w.propose(1, data)
    w.change(1, adds(4))
    w.settle(1)
    w.pass_on(1, 2)
    w.run(2)
    w.pass_on(2, 1)
    w.settle(1)  # 1 has applied "add 4"
    w.change(1, adds(5))
    w.settle(1)
    w.take(1, 3)
    w.pass_on(1, 2)
    w.run(2)
    w.pass_on(2, 1)
    w.isolate(2, 3)
    w.settle(1, 4, 5)
    w.propose(1, "x")
    w.settle(1, 4, 5)
    w.lose_all()
    w.campaign(2)
    w.run(2)
    w.pass_on(2, 3)
    w.settle(3)
    w.pass_on(3, 2)


@unsafe("newer-snapshot-only")
def old_snapshot_arrives_again(core: Core) -> None:
    """2 is sent a snapshot, goes on from there and compacts its log; then the snapshot arrives again."""
    w = World(core=core)
    w.elect(1, 3)
    w.propose(1, "a")
    w.talk(1, [3])
    w.snapshot(1)
    w.lose_all()
    w.tick(1)
    w.talk(1, [2])
    sent = w.take(1, 2)
    w.arrive(*sent)
    w.settle(1, 2)
    w.propose(1, "b")
    w.settle(1, 2)
    w.snapshot(2)
    w.arrive(*sent)


@unsafe("read-quorum")
def deposed_leader_is_asked(core: Core) -> None:
    """1 is cut off, 2 and 3 elect 2 and commit x; 1 is asked to read."""
    w = World(core=core)
    w.elect(1, 2)
    w.settle()
    w.isolate(1)
    w.elect(2, 3)
    w.propose(2, "x")
    w.settle(2, 3)
    w.read(1)
    w.settle(1)


@unsafe("read-after-own-commit")
def new_leader_is_asked(core: Core) -> None:
    """1 and 2 commit x, and 2, elected before it hears that, is asked to read."""
    w = World(core=core)
    w.elect(1, 2)
    w.settle()
    w.propose(1, "x")
    w.settle(1)
    w.pass_on(1, 2)
    w.settle(2)
    w.pass_on(2, 1)
    w.isolate(1)
    w.elect(2, 3, tries=1)
    w.lose_all()
    w.read(2)
    w.settle(2, 3)


# -- staying alive --
@lifeless("random-timeouts")
def all_start_together(core: Core) -> bool:
    """Three servers that tick together, a message takes less than a tick: is one elected within 300 ticks?"""
    w = World(core=core)
    for _ in range(300):
        for id in (1, 2, 3):
            w.tick(id)
        for id in (1, 2, 3):
            w.settle(id)
        w.settle(rounds=2)
    return bool(w.leaders())


@lifeless("empty-entry")
def leader_inherits(core: Core) -> bool:
    """1 crashes after x has reached 2; does x commit under 2, although no client sends more?"""
    w = World(core=core)
    w.elect(1, 2)
    w.settle()
    w.propose(1, "x")
    w.talk(1, [2], back=False)
    w.settle(2)
    w.crash(1)
    w.elect(2, 3)
    w.settle()
    return any(entry.data == "x" for entry, _ in w.safety.committed.values())


@lifeless("check-quorum")
def leader_is_cut_off(core: Core) -> bool:
    """Does a leader that hears nobody step down within two election timeouts?"""
    w = World(core=core, check_quorum=True)
    w.elect(1, 2)
    w.settle()
    w.isolate(1)
    w.tick(1, 20)
    return w.leaders() == []


@lifeless("lease")
def server_comes_back(core: Core) -> bool:
    """3 was cut off and campaigns when it is back; does 1, whom 2 hears, stay leader?"""
    w = World(core=core, check_quorum=True)
    w.elect(1, 2)
    w.settle()
    w.tick(3, 60)
    w.settle(3)
    w.lose_all()
    w.campaign(3)
    w.settle(3)
    w.pass_on(3, 1)
    w.pass_on(3, 2)
    return w.leaders() == [1]


@lifeless("pre-vote")
def server_times_out_alone(core: Core) -> bool:
    """With PreVote: 3 is cut off for a long time; is it still in the term of the others when it is back?"""
    w = World(core=core, pre_vote=True)
    w.elect(1, 2)
    w.settle()
    w.isolate(3)
    w.tick(3, 60)
    w.settle(3)
    return w[3].current_term == w[1].current_term


@pytest.mark.parametrize("name", UNSAFE)
def test_rule_is_what_keeps_its_property(name: str) -> None:
    """RULES: without the rule the schedule breaks the property that it names, with it none."""
    schedule = UNSAFE[name]
    schedule(RawNode)

    with pytest.raises(Violation) as found:
        schedule(core([name]))

    assert found.value.name == RULES[name].breaks


@pytest.mark.parametrize("name", LIFELESS)
def test_rule_is_what_keeps_the_cluster_alive(name: str) -> None:
    """RULES: without the rule the cluster gets stuck, with it it does not."""
    assert LIFELESS[name](RawNode)
    assert not LIFELESS[name](core([name]))


def test_every_rule_has_a_schedule() -> None:
    """RULES is complete, and so are the schedules."""
    assert sorted([*UNSAFE, *LIFELESS]) == sorted(RULES)


@pytest.mark.parametrize("name", RULES)
def test_each_override_switches_off_methods_of_the_core(name: str) -> None:
    """A method that the core no longer has would switch off nothing."""
    override = RULES[name].override

    changed = [key for key, value in vars(override).items() if callable(value) and key != "__init_subclass__"]

    assert changed
    assert all(hasattr(RawNode, key) for key in changed)
    assert override.__base__ is RawNode


def test_core_without_nothing_is_the_core() -> None:
    """`core()`."""
    assert core() is RawNode
    assert core([]) is RawNode


def test_several_rules_go_together() -> None:
    """`core`: in any order, and the same class each time."""
    both = core(["persist-vote", "one-vote"])

    assert both is core(["one-vote", "persist-vote", "one-vote"])
    assert both.may_vote_for is RULES["one-vote"].override.may_vote_for
    assert both.__init__ is RULES["persist-vote"].override.__init__
    with pytest.raises(Violation):
        voter_restarts(both)


def test_unknown_rule_is_refused_with_a_list_of_the_known() -> None:
    """`core`."""
    with pytest.raises(ValueError, match=r"no rule named 'paxos'; there are persist-vote, "):
        core(["paxos"])


# What `python -m tests.raft.find` printed; the comment says how many runs of 80 steps it took. Whoever changes an
# action of `hostile.py` or what the core does finds other seeds with the same command.
FOUND: dict[str, Found] = {
    "persist-vote": Found(HostileToFive, 83, 65, "election safety"),  # 168 runs
    "persist-term": Found(Hostile, 2, 1, "election safety"),  # 5 runs
    "persist-log": Found(Hostile, 2, 78, "leader completeness"),  # 5 runs
    "persist-before-answer": Found(HostileToFive, 38, 15, "leader completeness"),  # 78 runs
    "higher-term": Found(Hostile, 0, 1, "election safety"),  # 1 runs
    "earlier-term": Found(Hostile, 2, 13, "monotonic state"),  # 5 runs
    "one-vote": Found(HostileToFive, 2, 58, "election safety"),  # 6 runs
    "up-to-date": Found(Hostile, 0, 14, "leader completeness"),  # 1 runs
    "log-matching": Found(HostileToFive, 2, 40, "log matching"),  # 6 runs
    "cut-conflicts-only": Found(HostileToFive, 47, 41, "leader completeness"),  # 96 runs
    "commit-new-only": Found(Hostile, 485, 29, "state-machine safety"),  # 971 runs
    "commit-matched-only": Found(Hostile, 76, 21, "state-machine safety"),  # 153 runs
    "commit-own-term": Found(Hostile, 53, 35, "leader completeness"),  # 107 runs
    "joint-majorities": Found(Hostile, 95, 43, "leader completeness"),  # 191 runs
    "joint-consensus": Found(Hostile, 95, 43, "leader completeness"),  # 191 runs
    "one-change": Found(Hostile, 341, 12, "leader completeness"),  # 683 runs
    "own-commit-before-change": Found(Hostile, 999, 68, "leader completeness"),  # 1999 runs
    "apply-change-before-campaign": Found(Hostile, 1043, 63, "leader completeness"),  # 2087 runs
    "newer-snapshot-only": Found(Hostile, 1641, 27, "monotonic state"),  # 3283 runs
    "read-quorum": Found(HostileToFive, 125, 54, "linearizable reads"),  # 252 runs
    "read-after-own-commit": Found(HostileToFive, 145, 24, "linearizable reads"),  # 292 runs
    "random-timeouts": Found(Hostile, 1, 0, "progress"),  # 3 runs
    "empty-entry": Found(Hostile, 2, 0, "progress"),  # 5 runs
    "check-quorum": Found(Hostile, 5, 0, "progress"),  # 11 runs
    "lease": Found(Hostile, 5, 0, "stable leadership"),  # 11 runs
    "pre-vote": Found(Hostile, 1, 0, "stable leadership"),  # 3 runs
}


@pytest.mark.parametrize("name", FOUND)
def test_the_machine_finds_what_a_rule_prevents(name: str) -> None:
    """The walk of `test_state_machine` that keeps all promises with the rule breaks one without it.

    No walk is made for its rule: which actions, how often, among whom is drawn from the seed alone.
    """
    found = FOUND[name]
    run(found.hostile, found.seed)

    with pytest.raises(Violation) as violation:
        run(without(name, found.hostile), found.seed)

    assert (violation.value.step, violation.value.name) == (found.step, found.breaks)


def test_the_machine_finds_every_rule() -> None:
    """No rule is left to schedules alone."""
    assert sorted(FOUND) == sorted(RULES)
