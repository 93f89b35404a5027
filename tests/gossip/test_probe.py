"""The failure detector (memberlist state.go `probeNode`)."""

from swarmsim.gossip.membership import suspect_node
from swarmsim.gossip.messages import Ack, Incarnation, IndirectPing, Ping, Suspect
from swarmsim.machine import MILLISECOND, SECOND, Address
from swarmsim.trace.events import PeerDeclaredDead, PeerRecovered, PeerSuspected

from .world import World

BORN = Incarnation(0, 1)


def replies(world: World, node: str, message: object) -> list[tuple[str, object]]:
    """What a node sends at once when it hears that from n000."""
    sent: list[tuple[str, object]] = []

    def carry(src: str, dst: str, message: object, transport: object, out: object) -> None:
        sent.append((dst, message))

    world.carry = carry  # type: ignore[method-assign]
    world.outs[node].now = world.now
    world.machines[node].on_message(Address("n000", "gossip"), message, world.outs[node])
    return sent


def test_a_ping_is_answered() -> None:
    """G-035."""
    world = World(2)

    assert replies(world, "n001", Ping(7, "n001", 0)) == [("n000", Ack(7))]


def test_a_ping_for_another_is_ignored() -> None:
    """G-046: another name, or another run of the daemon (its name differs in Docker)."""
    world = World(2)

    assert replies(world, "n001", Ping(7, "n009", 0)) == []
    assert replies(world, "n001", Ping(7, "n001", 5)) == []


def test_an_answer_carries_what_is_queued() -> None:
    """G-034."""
    world = World(3)
    state = world.machines["n001"].state
    suspect_node(state, Suspect("n002", BORN, "x"), world.outs["n001"])

    assert replies(world, "n001", Ping(7, "n001", 0)) == [("n000", Ack(7, (Suspect("n002", BORN, "x"),)))]


def test_an_accused_answers_with_a_refutation() -> None:
    """G-044: the suspicion rides on the ping, the answer is queued with a greater incarnation."""
    world = World(2)

    replies(world, "n001", Ping(7, "n001", 0, (Suspect("n001", BORN, "n000"),)))

    (refutation,) = world.machines["n001"].state.queue.statements()
    assert refutation == ("n001", Incarnation(0, 2))


def test_an_indirect_ping_is_answered_under_the_number_of_the_asker() -> None:
    """G-047."""
    world = World(3)
    world.machines["n000"].state.next_seq = 500

    asked = replies(world, "n001", IndirectPing(100, "n002", 0))
    ((_, ping),) = asked
    assert isinstance(ping, Ping)
    answered = replies(world, "n001", Ack(ping.seq))

    assert answered == [("n000", Ack(100))]


def test_a_member_that_answers_nobody_is_suspected_at_the_end_of_the_probe() -> None:
    """Section 1.3: a ping, after 500 ms three helpers and TCP, suspicion after exactly a second."""
    world = World(6)
    world.crash("n005")
    world.run_until(lambda: world.sent["Ping"] > 0, 10 * SECOND, MILLISECOND)
    began = world.now

    world.run_until(lambda: bool(world.seen(PeerSuspected)), 3 * SECOND, MILLISECOND)

    assert 999 * MILLISECOND <= world.now - began <= 1001 * MILLISECOND
    assert world.sent["IndirectPing"] == 3
    assert world.sent["StreamPing"] == 1


def test_loss_of_datagrams_alone_suspects_nobody() -> None:
    """G-037: TCP vouches for the member."""
    world = World(4, loss=1.0)

    world.run(20 * SECOND)

    assert world.sent["StreamAck"] > 0
    assert not world.seen(PeerSuspected)


def test_the_way_through_a_helper_is_enough() -> None:
    """SWIM section 4: only one link is cut, for datagrams and streams alike."""
    world = World(5)
    world.cut = lambda a, b: {a, b} == {"n000", "n001"}
    world.disturb()

    world.run(60 * SECOND)

    assert world.sent["IndirectPing"] > 0
    assert not world.seen(PeerSuspected)


def test_a_member_that_returns_within_its_suspicion_refutes_it() -> None:
    """G-044 in a cluster: nobody declares it dead."""
    world = World(5, seed=2)
    world.partition("n004")
    world.run_until(lambda: bool(world.seen(PeerSuspected, peer="n004")), 20 * SECOND)

    world.heal()
    world.run(60 * SECOND)

    assert not world.seen(PeerDeclaredDead, peer="n004")
    assert all(world.sees_all_alive(name) for name in world.names)
    accusers = [event.node for _, event in world.seen(PeerSuspected, peer="n004")]
    assert [event.node for _, event in world.seen(PeerRecovered, peer="n004")] == accusers
    assert not world.pending()


def test_the_isolated_are_slower_to_declare_than_the_many() -> None:
    """Section 1.5: nobody confirms an isolated node's suspicions, so they run six times as long."""
    world = World(10, seed=1)
    world.partition("n000")

    world.run(100 * SECOND)

    by_many = min(at for at, _ in world.seen(PeerDeclaredDead, peer="n000"))
    by_one = min(at for at, _ in world.seen(PeerDeclaredDead, node="n000"))
    assert by_many < 12 * SECOND
    assert by_one > 24 * SECOND


def test_a_farewell_is_no_failure() -> None:
    """G-076: the others record that it left; nobody is declared dead."""
    world = World(4)
    leaver = world.machines["n003"]

    leaver.on_stop(world.outs["n003"])
    del world.machines["n003"], world.outs["n003"]
    world.run(60 * SECOND)

    assert all(world.view(name)["n003"] == "left" for name in world.machines)
    assert not world.seen(PeerDeclaredDead)
