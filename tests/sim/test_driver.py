"""The two rules that make machines sound, and what else a driver owes its machine (`sim.driver`, `machine`)."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
import simpy

from swarmsim.errors import ApiError, LeadershipLost
from swarmsim.machine import Address, Call, Handler, Machine, Outbox, Update
from swarmsim.sim.driver import Failure, performer
from swarmsim.trace.events import HostCrashed, NodeRegistered, RunEnded
from tests.sim.world import Script, World, always

A, B = Address("a", "x"), Address("b", "x")
Waits = Generator[Any, Any, None]


# ---- order is meaning --------------------------------------------------------------------------------------
def vote(message: Any, out: Outbox) -> Waits:
    """Answer only after the vote is durable: the order of two lines."""
    yield out.persist({"voted_for": message})
    out.send(B, f"vote for {message}")


def test_what_stands_after_a_persist_happens_when_the_disk_has_it() -> None:
    """DESIGN: effects after a `persist` wait for the disk."""
    world = World("a", "b")
    peer = Script()
    world.run(Script(message=vote))
    world.run(peer, "b")

    world.tell("m1")
    world.until(10_000)

    assert peer.diary == [(2_000 + 500, "vote for m1")]
    assert world.hosts["a"].disk.read("x") == {"voted_for": "m1"}


@pytest.mark.parametrize(("how", "disk"), [("power", {}), ("process", {"voted_for": "m1"})])
def test_a_crash_between_persist_and_answer_loses_the_answer(how: str, disk: dict[str, str]) -> None:
    """A vote that was never told may be on the disk (the process died) or not (the power went)."""
    world = World("a", "b")
    voter, peer = Script(message=vote), Script()
    world.run(voter)
    world.run(peer, "b")

    world.tell("m1")
    world.until(1_000)
    world.hosts["a"].crash(how, 0)
    world.until(5_000)
    world.hosts["a"].start(0)
    world.until(10_000)

    assert [what for what in peer.heard if what != "lost"] == []
    assert voter.saved == disk


def test_effects_before_a_persist_do_not_wait_for_it() -> None:
    world = World("a", "b")
    peer = Script()

    def handler(message: Any, out: Outbox) -> Waits:
        out.send(B, "before")
        yield out.persist({"k": 1})
        out.send(B, "after")

    world.run(Script(message=handler))
    world.run(peer, "b")

    world.tell("go")
    world.until(10_000)

    assert peer.diary == [(500, "before"), (2_500, "after")]


# ---- a handler runs alone until it waits --------------------------------------------------------------------
def test_the_inbox_stays_closed_while_the_main_handler_waits() -> None:
    """An fsync stalls its machine; what arrives meanwhile is served after it, in order of arrival."""
    world = World("a", "b")
    order: list[tuple[int, str]] = []

    def handler(message: Any, out: Outbox) -> Waits:
        order.append((out.now, f"{message} begins"))
        if message == "first":
            yield out.persist({"k": 1})
        order.append((out.now, f"{message} ends"))

    world.run(Script(message=handler))

    for message in ("first", "second", "third"):
        world.tell(message)
    world.until(10_000)

    assert order == [
        (0, "first begins"),
        (2_000, "first ends"),
        (2_000, "second begins"),
        (2_000, "second ends"),
        (2_000, "third begins"),
        (2_000, "third ends"),
    ]


def test_a_queued_handler_that_waits_closes_the_inbox_again() -> None:
    world = World("a")
    ends: list[tuple[int, str]] = []

    def handler(message: Any, out: Outbox) -> Waits:
        yield out.persist({"k": message})
        ends.append((out.now, message))

    world.run(Script(message=handler))

    for message in ("first", "second", "third"):
        world.tell(message)
    world.until(10_000)

    assert ends == [(2_000, "first"), (4_000, "second"), (6_000, "third")]


def test_other_machines_of_the_host_do_not_wait() -> None:
    """An fsync stalls Raft and nothing else."""
    world = World("a")
    other = Script()
    world.run(Script(message=vote))
    world.hosts["a"].spawn("y", other, {}, 0)

    world.tell("m1")
    world.until(500)
    world.tell("hello", name="y")

    assert other.diary == [(501, "hello")]


def cost_of(messages: int) -> int:
    """The number of SimPy events when that many messages reach an idle machine."""
    world = World("a", "b")
    peer = Script()
    world.run(peer, "b")
    driver = world.run(Script())
    for i in range(messages):
        driver.out.send(B, i)
    world.until(1_000)
    assert peer.heard == list(range(messages))
    return world.env.scheduled()


def test_a_stimulus_of_an_idle_machine_is_served_within_the_delivery() -> None:
    """One SimPy event a message: a delivery wakes no process."""
    assert cost_of(300) - cost_of(100) == 200


def test_a_handler_begun_with_start_waits_beside_the_others() -> None:
    """A dispatcher's heartbeats go on while its status batch is proposed."""
    world = World("a")
    log: list[tuple[int, str]] = []

    def batch(out: Outbox) -> Waits:
        log.append((out.now, "batch begins"))
        yield out.sleep(5_000)
        log.append((out.now, "batch ends"))

    def handler(message: Any, out: Outbox) -> Handler:
        if message == "batch":
            out.start(batch(out))
        log.append((out.now, message))
        return None

    world.run(Script(message=handler))
    world.tell("batch")
    world.until(1_000)
    world.tell("heartbeat")
    world.until(9_000)

    assert log == [(0, "batch begins"), (0, "batch"), (1_001, "heartbeat"), (5_000, "batch ends")]


def test_a_handler_begun_beside_does_not_change_the_cause_of_the_one_that_began_it() -> None:
    world = World("a")

    def beside(out: Outbox) -> Waits:
        out.emit(RunEnded("beside"))
        yield out.sleep(1_000)
        out.emit(RunEnded("later"))

    def handler(message: Any, out: Outbox) -> Handler:
        out.start(beside(out))
        out.emit(RunEnded("main"))
        return None

    world.run(Script(message=handler))
    world.trace.record(RunEnded("root"), 0, 0)
    world.tell("go", cause=1)
    world.until(5_000)

    assert [(r.event.why, r.cause) for r in world.trace] == [("root", 0), ("beside", 1), ("main", 1), ("later", 2)]


def test_a_machine_s_clock_and_cause_are_those_of_what_it_serves() -> None:
    world = World("a")
    seen: list[tuple[int, int]] = []

    def handler(message: Any, out: Outbox) -> Waits:
        seen.append((out.now, out.cause))
        yield out.sleep(100)
        seen.append((out.now, out.cause))

    world.run(Script(message=handler))
    for i in range(3):
        world.trace.record(RunEnded(str(i)), 0, 0)
    world.tell("one", cause=1)
    world.tell("two", cause=2)
    world.until(1_000)

    assert seen == [(0, 1), (100, 1), (100, 2), (200, 2)]


# ---- calls --------------------------------------------------------------------------------------------------
def asking(answers: list[Any], request: Any = "?", timeout: int = 10_000, dst: Address = B) -> Any:
    """A handler that calls and notes what came of it, with the time."""

    def handler(message: Any, out: Outbox) -> Waits:
        try:
            answers.append(((yield out.call(dst, request, timeout)), out.now))
        except ApiError as error:
            answers.append((error.code, error.text, out.now))

    return handler


def test_a_call_is_answered_after_both_ways() -> None:
    world = World("a", "b")
    answers: list[Any] = []
    world.run(Script(message=asking(answers)))
    world.run(Script(), "b")

    world.tell("go")
    world.until(20_000)

    assert answers == [(("answer", "?"), 1_000)]


def test_the_callee_s_refusal_is_raised_in_the_caller() -> None:
    world = World("a", "b")
    answers: list[Any] = []

    def refuse(call: Call, out: Outbox) -> Handler:
        out.fail(call, ApiError("NotFound", "service web not found"))
        return None

    world.run(Script(message=asking(answers)))
    world.run(Script(call=refuse), "b")

    world.tell("go")
    world.until(20_000)

    assert answers == [("NotFound", "service web not found", 1_000)]


def test_a_call_that_nobody_answers_ends_at_its_deadline() -> None:
    """gRPC: context deadline exceeded; a late answer finds nobody."""
    world = World("a", "b")
    answers: list[Any] = []

    def too_late(call: Call, out: Outbox) -> Waits:
        yield out.sleep(50_000)
        out.reply(call, "late")

    world.run(Script(message=asking(answers)))
    world.run(Script(call=too_late), "b")

    world.tell("go")
    world.until(90_000)

    assert answers == [("DeadlineExceeded", "context deadline exceeded", 10_000)]


def test_the_deadline_of_a_call_was_caused_by_what_silenced_the_callee() -> None:
    world = World("a", "b")
    answers: list[Any] = []

    def handler(message: Any, out: Outbox) -> Waits:
        yield from asking(answers)(message, out)
        out.emit(RunEnded("gave up"))

    world.run(Script(message=handler))
    world.run(Script(), "b")
    world.hosts["b"].refuses = False

    world.tell("go")
    world.hosts["b"].crash("power", 0)
    world.until(20_000)

    gave_up = next(r for r in world.trace if type(r.event) is RunEnded)
    assert [type(r.event) for r in world.trace.chain(gave_up.seq)] == [RunEnded, HostCrashed]


def test_a_call_to_a_machine_that_does_not_run_is_unavailable() -> None:
    world = World("a", "b")
    answers: list[Any] = []
    world.run(Script(message=asking(answers)))

    world.tell("go")
    world.until(20_000)

    assert answers == [("Unavailable", "b/x is not running", 1_000)]


def test_a_manager_s_proxy_serves_calls_for_machines_that_do_not_run_there() -> None:
    world = World("a", "b")
    answers: list[Any] = []
    proxy = Script()
    world.run(Script(message=asking(answers, dst=Address("b", "dispatcher"))))
    world.hosts["b"].spawn("api", proxy, {}, 0)
    world.hosts["b"].proxy = "api"

    world.tell("go")
    world.until(20_000)

    assert proxy.diary == [(500, "?")]
    assert answers == [(("answer", "?"), 1_000)]


def test_an_answer_to_a_former_life_finds_nobody() -> None:
    """1. a asks b. 2. a crashes and starts. 3. a asks c. 4. b's answer arrives: it must not pass for c's."""
    world = World("a", "b", "c")
    answers: list[Any] = []

    def slow(call: Call, out: Outbox) -> Waits:
        yield out.sleep(5_000)
        out.reply(call, f"from {out.address.node}")

    def handler(message: Any, out: Outbox) -> Waits:
        answers.append((yield out.call(Address(message, "x"), "?", 100_000)))

    world.run(Script(message=handler))
    world.run(Script(call=slow), "b")
    world.run(Script(call=slow), "c")

    world.tell("b")
    world.until(1_000)
    world.hosts["a"].crash("power", 0)
    world.hosts["a"].start(0)
    world.until(4_000)
    world.tell("c")
    world.until(50_000)

    assert answers == ["from c"]


def test_calls_to_a_host_whose_process_died_fail_at_once() -> None:
    """Connections are reset; then the machine is told."""
    world = World("a", "b")
    answers: list[Any] = []

    def never(call: Call, out: Outbox) -> Handler:
        return None

    asker = Script(message=asking(answers, timeout=1_000_000))
    world.run(asker)
    world.run(Script(call=never), "b")

    world.tell("go")
    world.until(2_000)
    world.hosts["b"].crash("process", 0)
    world.until(20_000)

    assert answers == [("Unavailable", "connection error: reset by b", 2_501)]
    assert asker.diary[-1] == (2_501, "lost", "b")


def test_calls_to_a_host_that_lost_power_wait_for_their_deadline() -> None:
    world = World("a", "b")
    answers: list[Any] = []

    def never(call: Call, out: Outbox) -> Handler:
        return None

    asker = Script(message=asking(answers, timeout=1_000_000))
    world.run(asker)
    world.run(Script(call=never), "b")

    world.tell("go")
    world.until(2_000)
    world.hosts["b"].crash("power", 0)
    world.until(2_000_000)

    assert answers == [("DeadlineExceeded", "context deadline exceeded", 1_000_000)]
    assert asker.heard == ["go"]


# ---- transactions --------------------------------------------------------------------------------------------
class Lock:
    """Performs `update` for a test: keeps the `done` of each until the test calls it."""

    def __init__(self, world: World, node: str = "a") -> None:
        self.waiting: list[Any] = []
        world.hosts[node].performers[Update] = performer(self.submit, lambda effect: effect.change)

    def submit(self, machine: str, change: Any, cause: int, done: Any) -> None:
        self.waiting.append(done)


def writing(log: list[str]) -> Any:
    def handler(message: Any, out: Outbox) -> Waits:
        log.append(f"{message} asks")
        result = yield out.update(lambda tx: None)
        log.append(f"{message} got {result}")

    return handler


def test_what_stands_after_an_update_waits_for_the_commit() -> None:
    world = World("a")
    lock, log = Lock(world), []
    world.run(Script(message=writing(log)))

    world.tell("w")
    world.until(5_000)
    before = list(log)
    lock.waiting[0]("object", None, 0)
    world.until(6_000)

    assert before == ["w asks"]
    assert log == ["w asks", "w got object"]


def test_leadership_lost_is_thrown_into_each_waiting_handler() -> None:
    """A main handler and one beside it: both end where they wait; the machine goes on."""
    world = World("a")
    lock, log = Lock(world), []

    def handler(message: Any, out: Outbox) -> Handler:
        if message == "beside":
            out.start(writing(log)(message, out))
            return None
        return writing(log)(message, out) if message == "main" else log.append(message)

    world.run(Script(message=handler))
    world.tell("beside")
    world.tell("main")
    world.tell("next")
    for done in lock.waiting:
        done(None, LeadershipLost(), 0)
    world.until(1_000)

    assert log == ["beside asks", "main asks", "next"]


def test_a_handler_may_catch_leadership_lost_and_say_so() -> None:
    world = World("a", "b")
    lock, answers = Lock(world, "b"), []

    def serve(call: Call, out: Outbox) -> Waits:
        try:
            yield out.update(lambda tx: None)
        except ApiError as error:
            out.fail(call, error)

    world.run(Script(message=asking(answers, timeout=1_000_000)))
    world.run(Script(call=serve), "b")
    world.tell("go")
    world.until(5_000)
    lock.waiting[0](None, LeadershipLost(), 0)
    world.until(9_000)

    assert answers == [("FailedPrecondition", LeadershipLost().text, 5_001 + 500)]


def test_any_other_error_that_a_handler_does_not_catch_is_a_bug_and_stops_the_run() -> None:
    world = World("a")
    lock = Lock(world)
    world.run(Script(message=writing([])))

    world.tell("w")
    lock.waiting[0](None, ApiError("NotFound", "no such thing"), 0)

    with pytest.raises(
        AssertionError, match="a/x: a handler did not catch rpc error: code = NotFound desc = no such thing"
    ):
        world.until(1_000)


# ---- halting -------------------------------------------------------------------------------------------------
def test_a_halted_machine_says_its_last_word_now_and_because_of_what_halted_it() -> None:
    """`on_stop` has the time and the cause of the halting, not of what the machine last did."""
    world = World("a")

    def stopper(message: Any, out: Outbox) -> Handler:
        out.emit(RunEnded("lost"))
        out.halt("y")
        return None

    def last(out: Outbox) -> None:
        out.emit(NodeRegistered("a", "s", str(out.now)))

    world.run(Script(message=stopper))
    world.hosts["a"].spawn("y", Script(stop=last), {}, 0)
    world.until(7_000)
    world.tell("go")

    assert [(r.at, r.cause, r.event) for r in world.trace] == [
        (7_001, 0, RunEnded("lost")),
        (7_001, 1, NodeRegistered("a", "s", "7001")),
    ]


def test_a_halted_machine_is_served_nothing_more_and_its_waiting_handlers_are_closed() -> None:
    world = World("a")
    log: list[str] = []

    def waits(out: Outbox) -> Waits:
        try:
            yield out.sleep(5_000)
            log.append("went on")
        finally:
            log.append("closed")

    def handler(message: Any, out: Outbox) -> Handler:
        if message == "beside":
            out.start(waits(out))
            out.set_timer("later", 5_000)
            return None
        return waits(out)

    machine = Script(message=handler)
    world.run(machine)
    world.tell("beside")
    world.tell("main")
    world.tell("queued")
    world.until(1_000)
    world.hosts["a"].halt("x", 0)
    world.tell("nobody hears")
    world.until(9_000)

    assert log == ["closed", "closed"]
    assert machine.heard == ["beside", "main"]


def test_a_machine_may_halt_itself() -> None:
    world = World("a")
    log: list[str] = []

    def handler(message: Any, out: Outbox) -> Waits:
        yield out.sleep(100)
        out.halt("x")
        log.append("its last line")

    machine = Script(message=handler)
    driver = world.run(machine)
    world.tell("go")
    world.tell("queued")
    world.until(1_000)

    assert log == ["its last line"]
    assert machine.heard == ["go"]
    assert driver.stopped and driver.busy
    assert world.hosts["a"].drivers == {}


def test_a_machine_spawns_another_that_reads_its_own_disk() -> None:
    world = World("a")
    child = Script()
    world.hosts["a"].disk.preload("child", {"k": 1})

    def handler(message: Any, out: Outbox) -> Handler:
        out.spawn("child", child)
        return None

    world.run(Script(message=handler))
    world.tell("go")
    world.tell("hello", name="child")

    assert child.saved == {"k": 1}
    assert child.heard == ["hello"]


def test_tell_reaches_only_a_machine_that_runs_here() -> None:
    world = World("a")
    other = Script()

    def handler(message: Any, out: Outbox) -> Handler:
        out.tell("y", message)
        out.tell("nobody", message)
        return None

    world.run(Script(message=handler))
    world.hosts["a"].spawn("y", other, {}, 0)
    world.tell("go")
    world.until(1_000)

    assert other.heard == ["go"]


# ---- on and off ----------------------------------------------------------------------------------------------
def test_a_host_that_is_off_hears_nothing_and_its_timers_do_not_ring() -> None:
    world = World("a", "b")

    def handler(message: Any, out: Outbox) -> Handler:
        out.set_timer("later", 5_000)
        return None

    machine = Script(message=handler)
    sender = world.run(Script(), "b")
    world.run(machine)
    world.tell("go")
    world.hosts["a"].crash("power", 0)
    sender.out.send(A, "hello")
    world.until(20_000)

    assert machine.heard == ["go"]


def test_a_host_boots_after_a_crash_and_reads_what_its_disk_kept() -> None:
    world = World("a", "b")
    machine = Script(message=vote)
    world.run(machine)
    world.tell("m1")
    world.until(4_000)

    crashed = world.hosts["a"].crash("power", 0)
    started = world.hosts["a"].start(crashed)

    assert machine.saved == {"voted_for": "m1"}
    assert [(type(r.event).__name__, r.cause) for r in world.trace] == [("HostCrashed", 0), ("HostStarted", crashed)]
    assert started == 2


def test_a_machine_s_random_stream_goes_on_over_restarts() -> None:
    """Else a restarted Raft member would draw the same election timeouts again."""
    world = World("a")
    drawn: list[float] = []

    def handler(message: Any, out: Outbox) -> Handler:
        drawn.append(out.rng.random())
        return None

    world.run(Script(message=handler))
    world.tell("one")
    world.hosts["a"].crash("power", 0)
    world.hosts["a"].start(0)
    world.tell("two")
    again = World("a")
    again.run(Script(message=handler))
    again.tell("one")
    again.tell("two")

    assert drawn[0] != drawn[1]
    assert drawn[:2] == drawn[2:]


def test_one_cannot_crash_what_is_off_or_start_what_is_on() -> None:
    world = World("a")

    with pytest.raises(AssertionError, match="a is on already"):
        world.hosts["a"].start(0)
    world.hosts["a"].crash("power", 0)
    with pytest.raises(AssertionError, match="a is off already"):
        world.hosts["a"].crash("power", 0)


def test_two_machines_cannot_have_one_name() -> None:
    world = World("a")
    world.run(Script())

    with pytest.raises(AssertionError, match="a/x runs already"):
        world.hosts["a"].spawn("x", Script(), {}, 0)


@pytest.mark.parametrize("stimulus", ["on_message", "on_call", "on_timer"])
def test_a_stimulus_that_a_machine_does_not_know_is_a_bug(stimulus: str) -> None:
    world = World("a")
    driver = world.run(Machine())
    args = {"on_message": (A, "?"), "on_call": (Call(A, 1, "?", 0, "x"),), "on_timer": ("?",)}[stimulus]

    with pytest.raises(NotImplementedError, match="Machine"):
        driver.serve(getattr(driver.machine, stimulus), args, 0)


def test_an_effect_that_is_ready_already_needs_no_time() -> None:
    """A handler beside the others goes on at once when what it yields has happened before it could wait."""
    world = World("a")
    log: list[Any] = []

    def at_once(driver: Any, effect: Any) -> simpy.Event:
        event = simpy.Event(driver.env)
        event.callbacks.append(lambda e: None)
        event._ok, event._value = True, Failure(ApiError("Unavailable", "gone")) if effect == 2 else effect
        event.callbacks = None
        return event

    def beside(out: Outbox) -> Waits:
        log.append((yield 1))
        try:
            yield 2
        except ApiError as error:
            log.append(error.text)
        log.append((yield 3))

    def handler(message: Any, out: Outbox) -> Handler:
        out.start(beside(out))
        return None

    world.hosts["a"].performers[int] = at_once
    driver = world.run(Script(message=handler))
    world.tell("go")

    assert log == [1, "gone", 3]
    assert driver._beside == {}


def test_always_is_a_rule_of_one_verdict() -> None:
    assert always("drop", "why").blocks("a", "b")
    assert not always("delay", 5).blocks("a", "b")
