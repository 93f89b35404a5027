"""Merge rules (memberlist state.go `aliveNode`, `suspectNode`, `deadNode`; section 1.6 of the reference)."""

from swarmsim.gossip import Gossip
from swarmsim.gossip.membership import alive_node, dead_node, suspect_node
from swarmsim.gossip.messages import Alive, Dead, Incarnation, PushPull, Suspect
from swarmsim.gossip.push_pull import everything
from swarmsim.gossip.state import ALIVE, DEAD, LEFT, SUSPECT, Member, MemberState, State
from swarmsim.machine import SECOND, Address, RecordingOutbox
from swarmsim.trace.events import PeerDeclaredDead, PeerRecovered

from .world import drive


def at(number: int, born: int = 0) -> Incarnation:
    return Incarnation(born, number)


def node(*peers: str, state: MemberState = ALIVE, number: int = 1) -> tuple[State, RecordingOutbox]:
    """Node `me`, which holds each peer in that state."""
    machine, out = Gossip("me", peers), RecordingOutbox(Address("me", "gossip"))
    machine.on_start({}, out)
    for peer in peers:
        machine.state.believe(Member(peer, at(number), state, 0, 0))
    out.timers.clear()
    return machine.state, out


def test_an_unknown_member_is_added_and_passed_on() -> None:
    """G-052."""
    state, out = node()

    alive_node(state, Alive("test", at(1)), out)

    assert state.members["test"].state is ALIVE
    assert state.queue.statements() == [Alive("test", at(1))]


def test_a_suspected_member_needs_a_newer_incarnation() -> None:
    """G-053."""
    state, out = node("test", state=SUSPECT)

    alive_node(state, Alive("test", at(1)), out)
    before = state.members["test"].state
    alive_node(state, Alive("test", at(2)), out)

    assert (before, state.members["test"].state) == (SUSPECT, ALIVE)
    assert len(state.queue) == 1


def test_statements_about_strangers_are_ignored() -> None:
    """G-058."""
    state, out = node()

    suspect_node(state, Suspect("test", at(1), "x"), out)
    dead_node(state, Dead("test", at(1), "x"), out)

    assert not state.members
    assert not state.queue


def test_a_suspicion_that_nobody_refutes_ends_in_death() -> None:
    """G-059."""
    state, out = node("test")
    machine = Gossip("me", ("test",))
    machine.state = state

    drive_suspicion(state, out)
    out.now += out.timers[("suspect", "test")]
    machine.on_timer(("suspect", "test"), out)

    assert state.members["test"].state is DEAD
    assert state.queue.statements() == [Dead("test", at(1), "me")]
    assert out.events == [PeerDeclaredDead("me", "test")]


def drive_suspicion(state: State, out: RecordingOutbox) -> None:
    suspect_node(state, Suspect("test", at(1), "x"), out)
    assert state.members["test"].state is SUSPECT


def test_an_old_accusation_is_ignored() -> None:
    """G-061."""
    state, out = node("test", number=10)

    suspect_node(state, Suspect("test", at(1), "x"), out)

    assert state.members["test"].state is ALIVE
    assert not state.queue


def test_i_refute_what_is_said_of_me() -> None:
    """G-062, G-068, G-071: with a greater incarnation than the accusation's."""
    state, out = node()
    state.me = at(2)

    suspect_node(state, Suspect("me", at(2), "x"), out)
    first = state.queue.statements()
    dead_node(state, Dead("me", at(7), "x"), out)

    assert first == [Alive("me", at(3))]
    assert state.queue.statements() == [Alive("me", at(8))]


def test_i_refute_a_newer_incarnation_of_myself() -> None:
    """G-056."""
    state, out = node()

    alive_node(state, Alive("me", at(2)), out)

    assert state.queue.statements() == [Alive("me", at(3))]


def test_the_dead_are_not_killed_twice_nor_revived_by_a_replay() -> None:
    """G-064, G-065, G-067."""
    state, out = node("test", number=10)

    dead_node(state, Dead("test", at(10), "x"), out)
    dead_node(state, Dead("test", at(12), "x"), out)
    alive_node(state, Alive("test", at(10)), out)

    assert state.members["test"].state is DEAD
    assert state.members["test"].incarnation == at(10)
    assert len(out.events) == 1


def test_a_dead_member_heard_with_a_newer_incarnation_recovers() -> None:
    state, out = node("test")
    dead_node(state, Dead("test", at(1), "x"), out)

    alive_node(state, Alive("test", at(2)), out)

    assert state.members["test"].state is ALIVE
    assert out.events[-1] == PeerRecovered("me", "test")


def test_a_reaped_record_is_readmitted_at_any_incarnation_of_its_run() -> None:
    """Section 1.11: dead for longer than GossipToTheDeadTime is unknown again (G-022)."""
    state, out = node("test", number=5)
    dead_node(state, Dead("test", at(5), "x"), out)
    assert state.count(out.now) == 2
    out.now = 31 * SECOND
    assert state.count(out.now) == 1

    alive_node(state, Alive("test", at(5)), out)

    assert state.members["test"].state is ALIVE


def test_a_new_run_of_a_daemon_beats_all_that_is_said_of_the_old() -> None:
    """networkdb `purgeReincarnation`."""
    state, out = node("test", number=9)

    alive_node(state, Alive("test", at(1, born=5)), out)
    suspect_node(state, Suspect("test", at(9), "x"), out)
    dead_node(state, Dead("test", at(9), "x"), out)

    assert state.members["test"].state is ALIVE
    assert state.members["test"].incarnation == at(1, born=5)


def test_a_remote_dead_accuses_only_but_a_remote_left_is_believed() -> None:
    """G-070, section 1.10."""
    machine, out = Gossip("me", ("a", "b")), RecordingOutbox(Address("me", "gossip"))
    machine.on_start({}, out)

    said = (Dead("a", at(1), "x"), Dead("b", at(1), "b"))
    drive(machine, out, "x", PushPull(1, said, (), reply=True, join=False))

    assert machine.state.members["a"].state is SUSPECT
    assert machine.state.members["b"].state is LEFT


def test_a_push_pull_is_answered_with_the_state_before_the_merge() -> None:
    """G-074."""
    machine, out = Gossip("me", ("a",)), RecordingOutbox(Address("me", "gossip"))
    machine.on_start({}, out)
    before = everything(machine.state, out, reply=True, join=False)

    drive(machine, out, "x", PushPull(1, (Alive("x", at(1)),), (), reply=False, join=False))

    assert ("send", Address("x", "gossip"), before) in out.effects
    assert machine.state.members["x"].state is ALIVE
