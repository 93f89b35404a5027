"""Handlers that wait for something within their machine, and the loop beside which others go on."""

import pytest

from swarmsim.api.specs import Replicated
from swarmsim.errors import ApiError
from swarmsim.machine import Machine, Sleep
from swarmsim.manager.orchestrator.waiting import Signal, carry, caused_by, either
from tests.fake_manager import FakeManager, FakeOutbox

from .world import ANY, FAILED, MS, READY, RUNNING, Leader, policy, service


@pytest.fixture
def out() -> FakeOutbox:
    class Idle(Machine):
        def on_message(self, src, message, out):
            return None

    return FakeManager().add_machine(Idle())


def test_a_handler_goes_on_with_the_value_when_its_signal_fires(out):
    """And only once; who comes later goes on at once."""
    signal, seen = Signal(), []

    def handler(name):
        seen.append((name, (yield signal)))

    out.start(carry(handler("early"), out))
    assert not seen
    signal.fire(out, 7)
    signal.fire(out, 8)
    out.start(carry(handler("late"), out))

    assert seen == [("early", 7), ("late", 7)]


def test_effects_pass_through_and_their_errors_come_back(out):
    """A handler that is carried waits for the disk and for signals alike."""
    seen = []

    def failing(tx):
        raise ApiError("Unknown", "no")

    def handler():
        yield Sleep(5 * MS)
        try:
            yield out.update(failing)
        except ApiError as error:
            seen.append((out.now, error.text))

    out.start(carry(handler(), out))
    out.manager.run(10 * MS)

    assert seen == [(5 * MS, "no")]


@pytest.mark.parametrize("which", [0, 1])
def test_one_of_two_signals_is_enough(out, which):
    signals, seen = (Signal(), Signal()), []

    def handler():
        yield either(*signals)
        seen.append([s.fired for s in signals])

    out.start(carry(handler(), out))
    signals[which].fire(out)
    signals[1 - which].fire(out)

    assert seen == [[which == 0, which == 1]]
    assert either(*signals) is signals[0]


def test_a_cause_holds_within_and_is_the_handlers_own_afterwards(out):
    out.cause = 3
    with caused_by(out, 9):
        assert out.cause == 9
    assert out.cause == 3


def test_delays_end_while_the_loop_waits_for_a_commit():
    """A restart is released in time although its orchestrator is busy with a service of thousands of tasks."""
    leader = Leader(service("web", restart=policy(ANY, 100 * MS)), commit_latency=10 * MS)
    leader.start()
    operator = leader.fake.add_machine(Operator())
    leader.run(50 * MS)
    leader.report(leader.tasks("web")[0], FAILED)
    leader.run(65 * MS)

    operator.start(operator.machine.create(service("big", Replicated(4_000)), operator))
    leader.run(140 * MS)
    assert 0 < len(leader.tasks("big")) < 4_000
    assert [t.desired_state for t in leader.live("web")] == [READY]
    leader.run(190 * MS)

    assert len(leader.tasks("big")) < 4_000
    assert [t.desired_state for t in leader.live("web")] == [RUNNING]


class Operator(Machine):
    def on_message(self, src, message, out):
        return None

    def create(self, thing, out):
        yield out.update(lambda tx: tx.create(thing))


def test_a_stopped_machine_is_told_no_more():
    """Handlers that are parked with a signal simply go with their machine."""
    leader = Leader(service("web"))
    leader.start()

    leader.fake.stop("replicatedorchestrator")
    leader.update("web", replicas=4)

    assert len(leader.tasks("web")) == 1
