"""The network: what it carries when all is well, under rules, and when a host dies (`sim.network`, `sim.links`)."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmsim.errors import ApiError
from swarmsim.machine import DATAGRAM, STREAM, Address, Call, Disturbed, Handler, Outbox, Transport
from swarmsim.sim.links import RETRANSMIT, STALL_LIMIT, Link, Normal, Way
from swarmsim.sim.rng import stream
from swarmsim.sim.topology import graph, sides
from swarmsim.trace.events import FaultEnded, FaultStarted, HostCrashed, MessageDropped, RunEnded
from tests.sim.world import Script, Verdicts, World, always

B = Address("b", "x")
SECOND = 1_000_000


class Pair:
    """`a` sends to `b`: the smallest world with a network in it."""

    def __init__(self, **settings: Any) -> None:
        self.world = World("a", "b", **settings)
        self.peer = Script()
        self.sender = self.world.run(Script()).out
        self.world.run(self.peer, "b")

    def send(self, message: Any, transport: Transport = STREAM) -> None:
        self.sender.now = self.world.env.now
        self.sender.send(B, message, transport)

    def send_at(self, at: int, message: Any, transport: Transport = STREAM) -> None:
        event = self.world.env.timeout(at - self.world.env.now)
        event.callbacks.append(lambda e: self.send(message, transport))

    def fault(self, name: str = "cut") -> int:
        return self.world.trace.record(FaultStarted(name, "partition", ("a",), (), None, ""), self.world.env.now, 0)


# ---- when all is well ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("transport", [STREAM, DATAGRAM])
def test_a_packet_s_way_takes_a_latency_within_the_range_ends_included(transport: Transport) -> None:
    """Uniform over whole microseconds: 3, 4 and 5 all occur, nothing else does."""
    taken: Counter[int] = Counter()
    pair = Pair(latency=(3, 5))
    for i in range(300):
        pair.send_at(100 * i, i, transport)
    pair.world.until(100_000)

    for at, i in pair.peer.diary:
        taken[at - 100 * i] += 1

    assert sorted(taken) == [3, 4, 5]
    assert min(taken.values()) > 60


def test_a_message_to_a_machine_of_the_same_host_takes_no_time_but_an_event() -> None:
    world = World("a")
    other = Script()
    driver = world.run(Script())
    world.hosts["a"].spawn("y", other, {}, 0)

    driver.out.send(Address("a", "y"), "hello")
    before = list(other.diary)
    world.until(0)

    assert before == []
    assert other.diary == [(0, "hello")]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.integers(0, 300), min_size=2, max_size=40))
def test_a_stream_arrives_in_order_even_when_a_later_packet_draws_a_shorter_delay(seed: int, pauses: list[int]) -> None:
    pair = Pair(seed=seed, latency=(10, 1_000))
    at = 0
    sent = []
    for i, pause in enumerate(pauses):
        at += pause
        sent.append(at)
        pair.send_at(at, i)
    pair.world.until(at + 10_000)

    assert pair.peer.heard == list(range(len(pauses)))
    assert all(arrived - sent[i] >= 10 for arrived, i in pair.peer.diary)


def test_datagrams_may_overtake_each_other() -> None:
    pair = Pair(latency=(10, 1_000))
    for i in range(50):
        pair.send(i, DATAGRAM)
    pair.world.until(10_000)

    assert sorted(pair.peer.heard) == list(range(50))
    assert pair.peer.heard != list(range(50))


def test_each_way_draws_from_a_stream_of_its_own() -> None:
    """Traffic from b to a moves no latency from a to b."""

    def arrivals(chatter: bool) -> list[tuple[Any, ...]]:
        pair = Pair(latency=(10, 1_000))
        if chatter:
            back = pair.world.hosts["b"].drivers["x"].out
            for i in range(20):
                back.send(Address("a", "x"), i)
        for i in range(20):
            pair.send_at(5_000 * i, i)
        pair.world.until(200_000)
        return pair.peer.diary

    assert arrivals(chatter=True) == arrivals(chatter=False)


# ---- ways that differ ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("direction", "peers", "concerned"),
    [
        ("both", None, ["ab", "ac", "ba", "ca"]),
        ("in", None, ["ba", "ca"]),
        ("out", None, ["ab", "ac"]),
        ("both", frozenset("b"), ["ab", "ba"]),
        ("out", frozenset("c"), ["ac"]),
    ],
)
def test_a_way_concerns_packets_between_its_nodes_and_their_peers(direction: str, peers: Any, concerned: Any) -> None:
    way = Way(frozenset("a"), peers, direction)

    assert [src + dst for src in "abc" for dst in "abc" if src != dst and way.concerns(src, dst)] == concerned


def test_where_ways_differ_the_later_one_wins_and_what_it_leaves_open_is_as_everywhere() -> None:
    world = World("a", "b", "c")
    slow = Way(frozenset("a"), None, latency=(7, 7), loss=0.1)
    world.network.ways = (
        slow,
        Way(frozenset("a"), frozenset("b"), latency=(9, 9)),
        Way(frozenset("c"), None, loss=0.2),
    )

    links = {src + dst: world.network.link(src, dst) for src, dst in ("ab", "ac", "bc", "bb")}

    assert {name: (link.low, link.loss) for name, link in links.items()} == {
        "ab": (9, 0.1),
        "ac": (7, 0.2),
        "bc": (500, 0.2),
        "bb": (500, 0.0),
    }


def test_a_bell_shaped_latency_lies_around_its_mean_and_is_never_negative() -> None:
    drawn = [Normal(100, 60).draw(stream(1, "latency", str(i))) for i in range(500)]

    assert min(drawn) >= 0
    assert 90 < sum(drawn) / 500 < 115
    assert 0.55 < sum(40 <= d <= 160 for d in drawn) / 500 < 0.8


# ---- loss ------------------------------------------------------------------------------------------------------
def test_lost_datagrams_vanish_and_are_counted() -> None:
    pair = Pair(loss=0.3)
    for i in range(1_000):
        pair.send(i, DATAGRAM)
    pair.world.until(10_000)

    assert 620 < len(pair.peer.heard) < 780
    assert pair.world.trace.counts == {"datagram lost": 1_000 - len(pair.peer.heard)}


def test_a_stream_loses_nothing_and_resends_after_200_ms_doubling() -> None:
    """RFC 6298: what is lost is sent again after a timeout that doubles; order is kept, so others wait behind it."""
    pair = Pair(loss=0.5, latency=(1, 1))
    for i in range(200):
        pair.send_at(i * 100 * SECOND, i)
    pair.world.until(200 * 100 * SECOND)

    late = Counter(at - 1 - i * 100 * SECOND for at, i in pair.peer.diary)

    assert pair.peer.heard == list(range(200))
    assert sorted(late)[:4] == [0, RETRANSMIT, 3 * RETRANSMIT, 7 * RETRANSMIT]
    assert 70 < late[0] < 130


def test_a_stream_with_losses_keeps_its_order() -> None:
    pair = Pair(loss=0.5)
    for i in range(200):
        pair.send_at(i * 1_000, i)
    pair.world.until(100 * SECOND)

    assert pair.peer.heard == list(range(200))


def test_a_loss_moves_no_latency() -> None:
    """It is drawn from a stream of its own: what comes through comes when it would have come anyway."""
    whole, torn = Pair(latency=(10, 1_000)), Pair(latency=(10, 1_000), loss=0.4)
    for pair in (whole, torn):
        for i in range(100):
            pair.send_at(5_000 * i, i, DATAGRAM)
        pair.world.until(1_000_000)

    assert set(torn.peer.diary) < set(whole.peer.diary)


def test_total_loss_ends_a_stream_s_resending_after_six_times() -> None:
    """The sender gives up waiting: 200 ms doubled five times in all."""
    link = Link("a", "b", stream(1, "latency"), stream(1, "loss"), (1, 1), 0.0)

    assert link.resends(1.0) == RETRANSMIT * (2**6 - 1)
    assert link.resends(0.0) == 0


# ---- rules -----------------------------------------------------------------------------------------------------
def test_the_first_rule_that_drops_has_the_last_word() -> None:
    """And is named; those behind it are not asked."""
    pair = Pair()
    first, second, third = always("delay", 5), always("drop", "second"), always("drop", "third")
    for rule in (first, second, third):
        pair.world.network.install(rule)

    pair.send("x")
    pair.world.until(10_000)

    assert [r.event.why for r in pair.world.trace.of(MessageDropped)] == ["second"]
    assert (first.asked, second.asked, third.asked) == (1, 1, 0)
    assert [m for m in pair.peer.heard if m == "x"] == []


def test_delays_add_up_and_losses_combine() -> None:
    """SCENARIOS.md section 6: faults overlap freely."""
    pair = Pair(latency=(100, 100))
    for rule in (always("delay", 1_000), always("delay", 200), always("lose", 0.5), always("lose", 0.5)):
        pair.world.network.install(rule)
    for i in range(1_000):
        pair.send(i, DATAGRAM)
    pair.world.until(10_000)

    arrived = [at for at, what in pair.peer.diary if isinstance(what, int)]

    assert set(arrived) == {1_300}
    assert 190 < len(arrived) < 310


def test_a_rule_concerns_only_the_ways_it_names() -> None:
    world = World("a", "b")
    a, b = Script(), Script()
    da, db = world.run(a), world.run(b, "b")
    world.network.install(Verdicts(lambda src, dst, stream: ("drop", "in") if dst == "b" else None))

    da.out.send(B, "to b")
    db.out.send(Address("a", "x"), "to a")
    world.until(10_000)

    assert a.heard == ["to a"]
    assert b.heard == []


def test_a_duplicated_datagram_arrives_twice_and_a_stream_s_message_once() -> None:
    """TCP throws a second copy away."""
    pair = Pair(latency=(100, 100))
    pair.world.network.install(always("duplicate", 50))

    pair.send("udp", DATAGRAM)
    pair.send("tcp", STREAM)
    pair.world.until(10_000)

    assert [d for d in pair.peer.diary if d[1] in ("udp", "tcp")] == [(100, "udp"), (100, "tcp"), (150, "udp")]


def test_what_a_later_rule_drops_is_not_duplicated() -> None:
    pair = Pair()
    pair.world.network.install(always("duplicate", 50))
    pair.world.network.install(always("drop", "cut"))

    pair.send("udp", DATAGRAM)
    pair.world.until(10_000)

    assert [m for m in pair.peer.heard if m == "udp"] == []


def test_each_copy_of_a_datagram_is_lost_or_not_for_itself() -> None:
    pair = Pair()
    pair.world.network.install(always("duplicate", 50))
    pair.world.network.install(always("lose", 0.5))
    for i in range(400):
        pair.send(i, DATAGRAM)
    pair.world.until(10_000)

    times = Counter(what for what in pair.peer.heard if isinstance(what, int))

    assert set(times.values()) == {1, 2}
    assert 70 < sum(n == 2 for n in times.values()) < 130


# ---- partitions ------------------------------------------------------------------------------------------------
def test_the_first_packet_that_a_partition_swallows_is_recorded_and_was_caused_by_it() -> None:
    """Once for each closing of a way, not once a packet."""
    pair = Pair()
    fault = pair.fault()
    rule = always("drop", "cut", fault)
    pair.world.network.install(rule)
    for i in range(5):
        pair.send(i, DATAGRAM)
    pair.world.network.remove(rule)
    pair.send("through")
    again = always("drop", "again", pair.fault("again"))
    pair.world.network.install(again)
    pair.send("lost", DATAGRAM)

    dropped = [(r.event, r.cause) for r in pair.world.trace.of(MessageDropped)]

    assert dropped == [(MessageDropped("a", "b", "cut"), fault), (MessageDropped("a", "b", "again"), again.cause)]


def partitioned(until: int) -> Pair:
    """Closed from 0 to `until`; a message and a datagram each 500 ms."""
    pair = Pair(latency=(100, 100))
    rule = always("drop", "cut", pair.fault())
    pair.world.network.install(rule)
    pair.world.env.timeout(until).callbacks.append(lambda e: pair.world.network.remove(rule))
    for i in range(12):
        pair.send_at(i * SECOND // 2, f"s{i}")
        pair.send_at(i * SECOND // 2, f"d{i}", DATAGRAM)
    pair.world.until(10 * SECOND)
    return pair


def test_a_stream_stalls_during_a_partition_and_goes_on_in_order_after_it() -> None:
    pair = partitioned(until=1_250_000)

    streams = [(at, what) for at, what in pair.peer.diary if str(what).startswith("s")]

    assert [what for _, what in streams] == [f"s{i}" for i in range(12)]
    assert streams[:4] == [(1_250_100, "s0"), (1_250_100, "s1"), (1_250_100, "s2"), (1_500_100, "s3")]


def test_a_stream_gives_up_what_could_not_pass_for_two_seconds() -> None:
    """The stall watchdog of a Raft stream (transport/peer.go)."""
    pair = partitioned(until=3 * SECOND)

    streams = [what for what in pair.peer.heard if str(what).startswith("s")]

    assert STALL_LIMIT == 2 * SECOND
    assert streams == [f"s{i}" for i in range(2, 12)]


def test_datagrams_that_a_partition_swallows_are_gone() -> None:
    pair = partitioned(until=1_250_000)

    assert [what for what in pair.peer.heard if str(what).startswith("d")] == [f"d{i}" for i in range(3, 12)]


def test_a_long_partition_keeps_no_more_than_two_seconds_of_a_stream() -> None:
    pair = Pair()
    pair.world.network.install(always("drop", "cut"))
    for i in range(600):
        pair.send_at(i * SECOND // 10, i)
    pair.world.until(60 * SECOND)

    assert len(pair.world.network.link("a", "b").stalled) == 20 + 1


def test_a_way_that_another_rule_still_closes_stays_closed() -> None:
    pair = Pair()
    one, two = always("drop", "one"), always("drop", "two")
    pair.world.network.install(one)
    pair.world.network.install(two)
    pair.send("x")
    pair.world.network.remove(one)
    pair.world.until(1_000)
    before = "x" in pair.peer.heard
    pair.world.network.remove(two)
    pair.world.until(3_000)

    assert not before
    assert "x" in pair.peer.heard


def test_what_a_dead_host_would_have_sent_again_is_gone() -> None:
    """Stalled at a partition's edge when its sender loses power: nobody resends it."""
    pair = Pair()
    rule = always("drop", "cut")
    pair.world.network.install(rule)
    pair.send("x")
    pair.world.until(1_000)
    pair.world.hosts["a"].crash("power", 0)
    pair.world.network.remove(rule)
    pair.world.until(5_000)

    assert "x" not in pair.peer.heard


def test_what_was_on_its_way_to_a_dead_host_does_not_reach_its_next_life() -> None:
    pair = Pair()
    rule = always("drop", "cut")
    pair.world.network.install(rule)
    pair.send("x")
    pair.world.until(1_000)
    pair.world.hosts["b"].crash("power", 0)
    pair.world.hosts["b"].start(0)
    pair.world.network.remove(rule)
    pair.world.until(5_000)

    assert "x" not in pair.peer.heard


# ---- a process dies ----------------------------------------------------------------------------------------------
def lost(script: Script) -> list[tuple[Any, ...]]:
    return [entry for entry in script.diary if entry[1] == "lost"]


def test_a_process_that_dies_resets_its_connections() -> None:
    """Every other host learns it after one way's latency, caused by the crash."""
    world = World("a", "b", "c", latency=(10, 1_000))
    told: list[tuple[int, int]] = []

    class Notes(Script):
        def on_lost(self, node: str, out: Outbox) -> Handler:
            told.append((out.now, out.cause))
            return super().on_lost(node, out)

    for name in "abc":
        world.run(Notes(), name)
    crashed = world.hosts["a"].crash("process", 0)
    world.until(5_000)

    assert [cause for _, cause in told] == [crashed, crashed]
    assert all(10 <= at <= 1_000 for at, _ in told)


def test_an_engine_that_is_killed_resets_its_connections_too() -> None:
    pair = Pair()

    pair.world.hosts["a"].crash("engine", 0)
    pair.world.until(5_000)

    assert lost(pair.peer) == [(500, "lost", "a")]
    assert pair.world.hosts["a"].refuses


def test_a_power_loss_is_silent() -> None:
    pair = Pair()

    pair.world.hosts["a"].crash("power", 0)
    pair.world.until(5_000)

    assert lost(pair.peer) == []


def test_a_reset_arrives_after_all_that_the_stream_brought_before() -> None:
    """TCP: the data in flight first. A later, shorter draw must not let the reset overtake it."""
    for seed in range(20):
        pair = Pair(seed=seed, latency=(10, 1_000))
        for i in range(5):
            pair.send(i)
        pair.world.hosts["a"].crash("process", 0)
        pair.world.until(5_000)

        assert [e[1] for e in pair.peer.diary if not isinstance(e[1], Disturbed)] == [0, 1, 2, 3, 4, "lost"]


def test_a_reset_does_not_pass_a_partition_and_is_delayed_as_all_else() -> None:
    world = World("a", "b", "c", latency=(100, 100))
    b, c = Script(), Script()
    world.run(Script())
    world.run(b, "b")
    world.run(c, "c")
    world.network.install(Verdicts(lambda src, dst, stream: ("drop", "cut") if dst == "b" else ("delay", 5_000)))

    world.hosts["a"].crash("process", 0)
    world.until(50_000)

    assert lost(b) == []
    assert lost(c) == [(5_100, "lost", "a")]


def test_a_host_whose_process_is_dead_refuses_connections() -> None:
    """Its kernel answers; a host without power does not."""
    answers: list[Any] = []
    world = World("a", "b", latency=(100, 100))

    def ask(message: Any, out: Outbox) -> Any:
        if isinstance(message, Disturbed):
            return
        try:
            yield out.call(B, "?", 10_000)
        except ApiError as error:
            answers.append((message, error.text, out.now))

    world.run(Script(message=ask))
    world.run(Script(), "b")
    world.hosts["b"].crash("process", 0)
    world.until(5_000)
    world.tell("process")
    world.until(9_000)
    world.hosts["b"].start(0)
    world.hosts["b"].crash("power", 0)
    world.tell("power")
    world.until(50_000)

    assert answers == [
        ("process", "connection error: b refused the connection", 5_001 + 200),
        ("power", "context deadline exceeded", 9_001 + 10_000),
    ]


def test_a_refusal_was_caused_by_the_crash() -> None:
    world = World("a", "b")

    def ask(message: Any, out: Outbox) -> Any:
        try:
            yield out.call(B, "?", 10_000)
        except ApiError as error:
            out.emit(RunEnded(error.text))

    world.run(Script(message=ask))
    crashed = world.hosts["b"].crash("process", 0)
    world.tell("go")
    world.until(5_000)

    assert [r.cause for r in world.trace.of(RunEnded)] == [crashed]


def test_messages_to_a_host_that_is_off_are_lost_without_a_word() -> None:
    pair = Pair()
    pair.world.hosts["b"].crash("process", 0)
    pair.send("x")
    pair.world.until(1_000)
    pair.world.hosts["b"].start(0)
    pair.world.until(5_000)

    assert "x" not in pair.peer.heard


def test_a_message_that_arrives_after_its_host_went_off_and_on_again_is_served_by_the_new_life() -> None:
    """Where we are simpler than TCP: a packet does not remember which life of its host it was meant for."""
    pair = Pair(latency=(1_000, 1_000))
    pair.send("x")
    pair.world.hosts["b"].crash("power", 0)
    pair.world.hosts["b"].start(0)
    pair.world.until(5_000)

    assert "x" in pair.peer.heard


# ---- sleepers, and what is quiet ---------------------------------------------------------------------------------
def test_machines_that_sleep_are_told_of_every_change_and_why() -> None:
    world = World("a", "b", "c")
    told: list[tuple[str, int]] = []

    def note(message: Any, out: Outbox) -> Handler:
        told.append((message.node, out.cause))
        return None

    world.run(Script(message=note))
    world.network.sleepers[Address("a", "x")] = None
    started = world.trace.record(FaultStarted("f", "loss", ("b",), (), None, ""), 0, 0)
    rule = always("lose", 0.1, started)
    world.network.install(rule)
    ended = world.trace.record(FaultEnded("f", "loss", ("b",)), 0, started)
    world.network.remove(rule, ended)
    crashed = world.hosts["b"].crash("power", started)
    up = world.hosts["b"].start(crashed)

    assert told == [("", started), ("", ended), ("b", crashed), ("b", up)]


def test_only_machines_that_asked_for_it_and_are_on_are_told() -> None:
    world = World("a", "b", "c")
    a, b = Script(), Script()
    world.run(a)
    world.run(b, "b")
    world.network.sleepers[Address("a", "x")] = None
    world.network.sleepers[Address("c", "x")] = None  # nothing runs there

    world.network.install(always("lose", 0.1))
    world.hosts["a"].crash("power", 0)
    world.network.install(always("lose", 0.1))

    assert a.heard == [Disturbed("")]
    assert b.heard == []


def test_all_is_quiet_while_no_rule_no_loss_and_no_dead_host_could_touch_an_exchange() -> None:
    world = World("a", "b", "c")
    quiet = world.network.quiet
    rule = always("lose", 0.0)

    found = [quiet("a", "b")]
    world.network.install(rule)
    found.append(quiet("a", "b"))
    world.network.remove(rule)
    world.hosts["c"].crash("power", 0)
    found += [quiet("a", "b"), quiet("a", "c")]
    world.network.exact = True
    found.append(quiet("a", "b"))

    assert found == [True, False, True, False, False]
    assert not World("a", "b", loss=0.1).network.quiet("a", "b")


def test_an_outbox_asks_for_its_own_host_too() -> None:
    world = World("a", "b")
    driver = world.run(Script())

    assert driver.out.quiet("b")
    world.hosts["a"].up = False
    assert not driver.out.quiet("b")


# ---- who fell silent ---------------------------------------------------------------------------------------------
def test_silence_on_the_way_to_somebody_else_is_the_cause_where_no_other_is_found() -> None:
    """A worker's heartbeats go through m2: the packet that was lost was lost on the way to m2."""
    world = World("m1", "m2", "w1")
    world.network.silence("w1", 7, "m2")

    assert world.network.silenced("w1", "m1", 0) == 7
    assert world.network.silenced("w1", "m1", 1) == 0


def test_of_several_silences_the_latest_that_concerns_the_listener_counts() -> None:
    world = World("m1", "m2", "w1")
    for seq, by in ((5, "m1"), (6, "m1"), (7, "m2")):
        world.network.silence("w1", seq, by)

    assert world.network.silenced("w1", "m1", 0) == 6


@pytest.mark.parametrize(
    ("node_up", "way_open", "since", "found"),
    [
        (True, True, 10, 7),  # it fell silent since
        (True, True, 11, 0),  # that is over
        (False, True, 11, 7),  # it is still off
        (True, False, 11, 0),  # its way is closed, but that is not why it fell silent then
    ],
)
def test_a_silence_that_began_earlier_counts_while_it_lasts(
    node_up: bool, way_open: bool, since: int, found: int
) -> None:
    world = World("m1", "w1")
    world.env.run(10)
    world.network.silence("w1", 7)
    world.hosts["w1"].up = node_up
    world.network.link("w1", "m1").blocked = not way_open

    assert world.network.silenced("w1", "m1", since) == found


@pytest.mark.parametrize(("way_open", "since", "found"), [(True, 10, 7), (True, 11, 0), (False, 11, 7)])
def test_so_does_a_way_that_is_closed(way_open: bool, since: int, found: int) -> None:
    world = World("m1", "w1")
    world.env.run(10)
    world.network.silence("w1", 7, "m1")
    world.network.link("w1", "m1").blocked = not way_open

    assert world.network.silenced("w1", "m1", since) == found


def test_blame_sets_the_cause_of_what_follows() -> None:
    world = World("a", "b")
    root = world.trace.record(RunEnded("root"), 0, 0)

    def blames(message: Any, out: Outbox) -> Handler:
        out.blame("b", 0)
        out.emit(RunEnded("because of b"))
        return None

    world.run(Script(message=blames))
    world.tell("nothing yet", cause=root)
    crashed = world.hosts["b"].crash("power", 0)
    world.tell("now", cause=root)

    assert [(r.cause, type(r.event)) for r in world.trace][1:] == [
        (root, RunEnded),
        (0, HostCrashed),
        (crashed, RunEnded),
    ]


# ---- topology ----------------------------------------------------------------------------------------------------
def test_the_topology_has_an_edge_where_packets_pass_both_ways() -> None:
    world = World("a", "b", "c", "d")
    world.network.install(Verdicts(lambda src, dst, stream: ("drop", "one way") if (src, dst) == ("a", "b") else None))
    world.hosts["d"].crash("power", 0)

    g = world.network.graph()

    assert dict(g.nodes(data="up")) == {"a": True, "b": True, "c": True, "d": False}
    assert sorted(map(sorted, g.edges)) == [["a", "c"], ["b", "c"]]
    assert g.edges["a", "c"]["latency"] == (500, 500)


def test_the_sides_of_a_partition() -> None:
    world = World("a", "b", "c", "d", "e")
    left = {"a", "b"}
    world.network.install(Verdicts(lambda s, d, stream: ("drop", "cut") if (s in left) != (d in left) else None))
    world.hosts["e"].crash("power", 0)

    assert sides(world.network) == [["a", "b"], ["c", "d"], ["e"]]


def test_looking_at_the_topology_throws_no_dice() -> None:
    """A notebook that draws the network must not change the run."""
    world = World("a", "b", "c")
    rule = Verdicts(lambda src, dst, stream: ("delay", 5))
    rule.blocks = lambda src, dst: False  # type: ignore[method-assign]
    world.network.install(rule)

    graph(world.network)

    assert rule.asked == 0


def test_calls_know_their_deadline_and_the_machine_they_were_meant_for() -> None:
    """A manager's proxy serves calls for machines that do not run there, and passes the deadline on."""
    world = World("a", "b")
    seen: list[Call] = []

    def keep(call: Call, out: Outbox) -> Handler:
        seen.append(call)
        return None

    def ask(message: Any, out: Outbox) -> Any:
        with contextlib.suppress(ApiError):
            yield out.call(Address("b", "dispatcher"), "?", 7_000)

    world.run(Script(message=ask))
    world.hosts["b"].spawn("api", Script(call=keep), {}, 0)
    world.hosts["b"].proxy = "api"
    world.tell("go")
    world.until(20_000)

    assert [(c.src, c.deadline, c.service) for c in seen] == [(Address("a", "x"), 7_000, "dispatcher")]
