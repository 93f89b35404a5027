"""When a pass runs: fifty milliseconds after the last commit, or a second after the first."""

from swarmsim.api.objects import Network
from swarmsim.api.specs import NetworkSpec
from swarmsim.machine import MILLISECOND, SECOND

from .swarm import Swarm, node, service, spec, task, tasks


def when_placed(swarm: Swarm, id: str) -> int:
    (placed,) = [r.at for r in swarm.trace if getattr(r.event, "task", "") == id and hasattr(r.event, "why")]
    return placed


def start() -> Swarm:
    swarm = Swarm().start(node("id1"), service())
    swarm.run(SECOND)
    return swarm


def test_a_lone_commit_is_followed_by_a_pass_fifty_milliseconds_later() -> None:
    """P-008: about 51 ms by the wall clock."""
    swarm = start()

    swarm.add(task("t"))

    assert when_placed(swarm, "t") == SECOND + 50 * MILLISECOND


def test_each_commit_puts_the_pass_off() -> None:
    swarm = start()

    swarm.add(task("t"), wait=40 * MILLISECOND)
    swarm.add(Network("net", NetworkSpec("net")))

    assert when_placed(swarm, "t") == SECOND + 90 * MILLISECOND


def test_under_a_stream_of_commits_a_pass_runs_when_a_second_is_over() -> None:
    """P-008: a commit every 20 ms; the first that comes more than 1 s after the start of the wait brings the pass."""
    swarm = start()
    swarm.add(task("t"), wait=20 * MILLISECOND)
    for i in range(60):
        swarm.add(Network(f"net{i}", NetworkSpec(f"net{i}")), wait=20 * MILLISECOND)

    assert when_placed(swarm, "t") == 2 * SECOND + 20 * MILLISECOND


def test_after_such_a_pass_the_wait_begins_anew() -> None:
    swarm = start()
    swarm.add(task("t"), wait=20 * MILLISECOND)
    for i in range(51):
        swarm.add(Network(f"net{i}", NetworkSpec(f"net{i}")), wait=20 * MILLISECOND)
    since = swarm.now

    swarm.add(task("late"))

    assert when_placed(swarm, "late") == since + 50 * MILLISECOND


def test_the_start_waits_for_nothing() -> None:
    swarm = Swarm().start(node("id1"), service(), task("t"))

    assert when_placed(swarm, "t") == 0


def test_commits_during_a_pass_are_followed_after_it() -> None:
    """The pass waits for its transactions, and the inbox with it."""
    swarm = Swarm(commit_latency=100 * MILLISECOND).start(node("id1"), service())
    swarm.run(SECOND)
    swarm.create(*tasks("t", 300))
    swarm.run_for(120 * MILLISECOND)  # the pass began 50 ms after, its first transaction is under way
    assert not swarm.placed()

    swarm.run_for(SECOND)

    assert len(swarm.placed()) == 300
    # Two transactions of at most 200 changes.
    assert [len(changes) for at, changes in swarm.commits if at > SECOND] == [200, 100]


def test_an_explanation_causes_one_more_pass_that_writes_nothing() -> None:
    """Writing an error is a commit with a change of an unassigned task."""
    swarm = start()
    passes = count_passes(swarm)

    swarm.add(task("t", spec(memory=1 << 60)), wait=SECOND)

    assert [at - SECOND for at in passes] == [50 * MILLISECOND, 100 * MILLISECOND]
    assert len([at for at, _ in swarm.commits if at > SECOND]) == 1


def test_an_assignment_causes_no_further_pass() -> None:
    """What the scheduler assigned itself is not relevant."""
    swarm = start()
    passes = count_passes(swarm)

    swarm.add(*tasks("t", 3), wait=SECOND)

    assert [at - SECOND for at in passes] == [50 * MILLISECOND]


def test_a_change_of_a_service_causes_no_pass() -> None:
    swarm = start()
    swarm.add(task("t", spec(memory=1 << 60)))
    passes = count_passes(swarm)

    swarm.change(service(spec_version=1), wait=SECOND)

    assert passes == []


def count_passes(swarm: Swarm) -> list[int]:
    """From now on, when unassigned tasks are looked at."""
    passes = []
    tick = swarm.scheduler._tick

    def counted(out):  # type: ignore[no-untyped-def]
        passes.append(out.now)
        return tick(out)

    swarm.scheduler._tick = counted  # type: ignore[method-assign]
    return passes
