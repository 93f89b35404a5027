"""The fault `disk`: slow, stalled, full (docs/SCENARIOS.md section 6)."""

from __future__ import annotations

from random import Random

import pytest
import simpy

import swarmsim
from swarmsim.machine import DiskFull, Machine, Outbox
from swarmsim.sim.clock import Clock
from swarmsim.sim.disk import Disk
from swarmsim.sim.host import Host
from swarmsim.sim.network import Network
from swarmsim.trace.events import BecameLeader, ManagerStopped
from swarmsim.trace.recorder import Trace

MS = 1_000


def disk() -> tuple[Clock, Disk]:
    env = Clock(0)
    return env, Disk(env, Random(1), (MS, MS))


def returned_at(env: Clock, event: simpy.Event) -> list[int]:
    times: list[int] = []
    event.callbacks.append(lambda _: times.append(env.now))
    return times


def test_a_slow_disk_takes_that_much_longer() -> None:
    env, it = disk()
    trouble = it.trouble("slow", (50 * MS, 50 * MS), Random(1))
    first = returned_at(env, it.write("raft", {1: "a"}))
    env.run()
    it.relieve(trouble)

    second = returned_at(env, it.write("raft", {2: "b"}))
    env.run()

    assert (first, second) == ([51 * MS], [52 * MS])
    assert it.read("raft") == {1: "a", 2: "b"}


def test_a_stalled_disk_returns_nothing_until_it_is_well() -> None:
    env, it = disk()
    trouble = it.trouble("stalled", None, Random(1))
    times = returned_at(env, it.write("raft", {1: "a"}))
    env.run(until=500 * MS)
    while_stalled = (list(times), it.read("raft"))

    it.relieve(trouble)
    env.run()

    assert while_stalled == ([], {})
    assert times == [501 * MS]
    assert it.read("raft") == {1: "a"}


def test_what_a_stalled_disk_held_back_is_lost_with_the_power() -> None:
    env, it = disk()
    trouble = it.trouble("stalled", None, Random(1))
    times = returned_at(env, it.write("raft", {1: "a"}))

    it.crash(power=True)
    it.relieve(trouble)
    env.run()

    assert times == []
    assert it.read("raft") == {}


def test_a_write_to_a_full_disk_fails_where_the_handler_waits() -> None:
    class Writer(Machine):
        seen = ""

        def on_message(self, src: object, message: object, out: Outbox) -> object:
            try:
                yield out.persist({1: "a"})
                self.seen = "durable"
            except DiskFull as error:
                self.seen = str(error)

    env, trace = Clock(0), Trace()
    host = Host(env, trace, Network(env, trace, 1), "m1", 1, (MS, MS))
    writer = Writer()
    driver = host.spawn("writer", writer, {}, 0)
    trouble = host.disk.trouble("full", None, Random(1))
    driver.serve(writer.on_message, (driver.address, "write"), 0)
    env.run()
    when_full = writer.seen

    host.disk.relieve(trouble)
    driver.serve(writer.on_message, (driver.address, "write"), 0)
    env.run()

    assert (when_full, writer.seen) == ("no space left on device", "durable")


def scenario(**fault: object) -> swarmsim.Scenario:
    return swarmsim.Scenario(
        cluster={"managers": 3, "workers": 1},
        services={"web": {"image": "nginx:1.27", "deploy": {"replicas": 3}}},
        timeline=[
            {"at": "steady + 2s", "disk": "leader", **fault},
            {"at": "disk + 1s", "scale": "web", "replicas": 4, "via": "m2"},
        ],
        duration="120s",
    )


def test_a_leader_that_cannot_write_its_log_ends_and_another_takes_over() -> None:
    """SwarmKit manager/state/raft/raft.go `Run`: an error of the storage ends the loop, and the manager with it."""
    result = swarmsim.run(scenario(**{"is": "full", "for": "40s"}), seed=1)

    stopped = [r.event for r in result.trace.of(ManagerStopped)]
    led = [r.event.node for r in result.trace.of(BecameLeader) if r.at]
    assert stopped[0].node == "m1"
    assert stopped[0].why == "manager stopped: failed to save entries to storage: no space left on device"
    assert led
    assert "m1" not in led
    assert result.cluster.nodes["m1"].has_manager


def test_a_full_disk_forever_does_not_hang_the_run() -> None:
    result = swarmsim.run(scenario(**{"is": "full"}), seed=2)

    assert 3 <= len(list(result.trace.of(ManagerStopped))) <= 30  # the pauses double, up to 30 s


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_slow_disk_delays_commits_and_deposes_nobody(seed: int) -> None:
    result = swarmsim.run(scenario(**{"is": "slow", "by": "500ms..1s", "for": "30s"}), seed=seed)

    assert result.passed, result.verdicts
    assert not [r for r in result.trace.of(BecameLeader) if r.at]
