"""What must hold once the storm is over: the cluster gets on with its work, and keeps the leader that it has.

`judge` follows a run of `hostile`: the network heals, every server loses power and starts at the same moment, and from
then on all tick together and a message takes less than a tick. Each promise is asked for in turn. A bound is far beyond
what dice make likely: an election that splits the vote fifteen times in a row is no accident.
"""

from __future__ import annotations

from contextlib import suppress

from tests.raft.safety import PROGRESS, STABILITY, Violation
from tests.raft.world import World

ELECTION = 10  # ticks of the least election timeout
LONG = 30 * ELECTION


class Stuck(Exception):
    """No leader can be elected, and Raft never said that one could be."""


def judge(world: World) -> None:
    """Raise `Violation` for the first promise that is not kept."""
    power_returns(world)
    with suppress(Stuck):
        _judge(world)


def _judge(world: World) -> None:
    elects_a_leader(world)
    commits_what_it_inherited(world)
    if world.options.get("pre_vote"):
        keeps_the_term_of_others_when_alone(world)
    elif world.options.get("check_quorum"):
        keeps_its_leader_when_one_comes_back(world)
    if world.options.get("check_quorum"):
        gives_up_without_a_majority(world)


def power_returns(world: World) -> None:
    world.heal()
    world.keep = None
    world.echoes = False
    world.pace.clear()
    world.lose_all()
    for id in world.up():
        world.crash(id)
    for id in world.down():
        world.restart(id)


def together(world: World) -> None:
    """A tick everywhere, then all that follows from it."""
    for id in world.up():
        world.tick(id)
    for id in world.up():
        world.settle(id)
    world.settle()


def elects_a_leader(world: World) -> None:
    """Section 5.2: randomised timeouts see to it that split votes are rare and soon resolved."""
    for _ in range(LONG):
        together(world)
        if world.leader():
            return
    if counts_on_one_that_left(world):
        raise Stuck
    raise Violation(PROGRESS, f"no leader within {LONG} ticks, although all are up and hear each other")


def counts_on_one_that_left(world: World) -> bool:
    """Does a server need the vote of one that has applied its own removal?

    A leader that removes itself from two voters and falls before the other hears that this is committed has the
    longer log: it does not vote for the other, and may not lead. Two servers have no majority but both, and etcd
    applies a change only when committed: there is no way out but by hand.
    """
    confs = {id: world.nodes[id].conf for id in world.up()}
    left = [id for id, conf in confs.items() if conf.voters and id not in (*conf.voters, *conf.voters_outgoing)]
    return any(id in (*conf.voters, *conf.voters_outgoing) for conf in confs.values() for id in left)


def commits_what_it_inherited(world: World) -> None:
    """Thesis 6.4: a leader commits what it found in its log, whether or not a client sends more."""
    for _ in range(2 * ELECTION):
        together(world)
    elects_a_leader(world)  # the last one may have committed its own removal
    together(world)
    raft = world[world.leader()]
    if raft.commit_index < raft.log.last_index:
        raise Violation(PROGRESS, f"leader {raft.id} left {raft.commit_index + 1} to {raft.log.last_index} uncommitted")


def another_voter(world: World) -> int:
    """A voter that does not lead and is no majority by itself (a leader may have made itself a learner), or 0."""
    leader = world.leader()
    voters = world.nodes[leader].conf.voters
    return max((id for id in voters if id != leader), default=0) if len(voters) > 1 else 0


def keeps_the_term_of_others_when_alone(world: World) -> None:
    """Thesis 9.6: who cannot win an election begins no term."""
    alone = another_voter(world)
    if not alone:
        return
    term = world[alone].current_term
    world.isolate(alone)
    world.tick(alone, 6 * ELECTION)
    world.settle(alone)
    if world[alone].current_term > term:
        raise Violation(STABILITY, f"{alone}, cut off, went from term {term} to {world[alone].current_term}")
    world.heal()
    world.lose_all()
    elects_a_leader(world)


def keeps_its_leader_when_one_comes_back(world: World) -> None:
    """Section 6: who hears a leader does not help to depose it, and it does not listen either."""
    leader, back = world.leader(), another_voter(world)
    if not back:
        return
    world.tick(back, 6 * ELECTION)
    world.settle(back)
    world.lose_all()
    world.campaign(back)
    world.settle(back)
    for other in world.up():
        world.pass_on(back, other)
    if leader not in world.leaders():
        raise Violation(STABILITY, f"{back} came back and deposed {leader}, whom all others hear")
    world.lose_all()
    elects_a_leader(world)


def gives_up_without_a_majority(world: World) -> None:
    """Thesis 6.2: a leader that hears no majority steps down within an election timeout; etcd: two at the most."""
    leader = world.leader()
    if not another_voter(world):
        return
    world.isolate(leader)
    world.tick(leader, 2 * ELECTION)
    if leader in world.leaders():
        raise Violation(PROGRESS, f"{leader} still leads, {2 * ELECTION} ticks after it was cut off")
