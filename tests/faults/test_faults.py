"""Each fault: what the world does while it is active, and after (SCENARIOS.md section 6)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import swarmsim.faults
from swarmsim.faults import BY_VERB, FAULTS, Hit
from swarmsim.faults.crash import Crash
from swarmsim.faults.delay import Delay
from swarmsim.faults.kill import Kill
from swarmsim.faults.loss import Loss
from swarmsim.faults.partition import Partition
from tests.scenario.fake_cluster import FakeCluster


def others(cluster: FakeCluster, *nodes: str) -> tuple[str, ...]:
    return tuple(n for n in cluster.names if n not in nodes)


def verdicts(cluster: FakeCluster, src: str, dst: str) -> list[Any]:
    return [rule.verdict(src, dst, True, 0) for rule in cluster.network.rules]


def test_every_file_of_the_folder_is_registered() -> None:
    folder = Path(swarmsim.faults.__file__).parent

    files = {p.stem for p in folder.glob("*.py")} - {"__init__", "base"}

    assert files == {fault.__module__.rsplit(".", 1)[1] for fault in FAULTS}


def test_a_crashed_host_is_off_until_the_fault_ends() -> None:
    cluster = FakeCluster()
    hit = Hit("crash", 1, nodes=("w1",))

    with Crash(crash="w1", **{"for": "30s"}).active(cluster, hit):
        assert not cluster.hosts["w1"].up

    assert cluster.hosts["w1"].up
    assert [what for _, what in cluster.happened()] == ["FaultStarted", "HostCrashed", "FaultEnded", "HostStarted"]


def test_a_node_is_off_while_any_crash_holds_it() -> None:
    cluster = FakeCluster()
    holds: dict[str, int] = {}
    first = Crash(crash="w1", **{"for": "30s"}).active(cluster, Hit("a", 1, nodes=("w1",), holds=holds))
    second = Crash(crash="w1", **{"for": "30s"}).active(cluster, Hit("b", 1, nodes=("w1",), holds=holds))

    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    between = cluster.hosts["w1"].up
    second.__exit__(None, None, None)

    assert not between
    assert cluster.hosts["w1"].up


def test_causes_lead_from_the_host_to_the_fault() -> None:
    cluster = FakeCluster()

    with Crash(crash="w1").active(cluster, Hit("crash", 1, nodes=("w1",))):
        pass

    crashed = cluster.trace[2]
    assert type(cluster.trace[crashed.cause].event).__name__ == "FaultStarted"


def test_a_run_that_ends_inside_a_fault_undoes_nothing() -> None:
    cluster = FakeCluster()

    def life() -> Any:
        with Crash(crash="w1").active(cluster, Hit("crash", 1, nodes=("w1",))):
            yield

    going = life()
    next(going)
    going.close()

    assert not cluster.hosts["w1"].up


def test_a_killed_container_exits_with_137() -> None:
    cluster = FakeCluster()
    container = cluster.place("web.1", "w2")
    hit = Hit("kill", 1, tasks=(("w2", container.task, "web.1"),))

    with Kill(kill="web.1").active(cluster, hit):
        pass

    assert container.exit_code == 137
    assert [what for _, what in cluster.happened()] == ["FaultStarted", "ContainerExited"]


def test_a_partition_swallows_packets_between_the_sides_only() -> None:
    cluster = FakeCluster()
    fault = Partition(partition=["w1", "w2"])

    with fault.active(cluster, Hit("partition", 1, ("w1", "w2"), others(cluster, "w1", "w2"))):
        assert verdicts(cluster, "m1", "w1") == [("drop", "partition")]
        assert verdicts(cluster, "w2", "m1") == [("drop", "partition")]
        assert verdicts(cluster, "w1", "w2") == [None]
        assert verdicts(cluster, "m1", "w3") == [None]

    assert cluster.network.rules == []


@pytest.mark.parametrize(
    ("direction", "heard", "hears"), [("both", False, False), ("in", True, False), ("out", False, True)]
)
def test_with_in_the_nodes_hear_no_peer(direction: str, heard: bool, hears: bool) -> None:
    cluster = FakeCluster()
    fault = Partition(partition="w1", direction=direction)

    with fault.active(cluster, Hit("partition", 1, ("w1",), others(cluster, "w1"))):
        assert (verdicts(cluster, "w1", "m1") == [None]) is heard
        assert (verdicts(cluster, "m1", "w1") == [None]) is hears


def test_a_delay_is_drawn_for_each_packet_from_a_stream_for_each_way() -> None:
    cluster = FakeCluster()
    hit = Hit("delay", 1, ("w1",), others(cluster, "w1"))

    with Delay(delay="w1", by="10ms..20ms").active(cluster, hit):
        first = [verdicts(cluster, "m1", "w1")[0][1] for _ in range(20)]
        verdicts(cluster, "m2", "w1")
    with Delay(delay="w1", by="10ms..20ms").active(cluster, hit):
        second = [verdicts(cluster, "m1", "w1")[0][1] for _ in range(20)]

    assert first == second
    assert len(set(first)) > 1
    assert all(10_000 <= micros <= 20_000 for micros in first)


def test_a_loss_leaves_the_dice_to_the_link() -> None:
    cluster = FakeCluster()

    with Loss(loss="w1", share="30%").active(cluster, Hit("loss", 1, ("w1",), others(cluster, "w1"))):
        assert verdicts(cluster, "m1", "w1") == [("lose", 0.3)]


@pytest.mark.parametrize("share", ["30", 30, "130%", "-1%", None, "a%"])
def test_a_share_is_percent_from_0_to_100(share: object) -> None:
    with pytest.raises(ValidationError):
        Loss(loss="w1", share=share)


@pytest.mark.parametrize("verb", BY_VERB)
def test_nothing_unknown_passes_in_silence(verb: str) -> None:
    with pytest.raises(ValidationError):
        BY_VERB[verb].model_validate({verb: "w1", "by": "1s", "share": "1%", "nonsense": 1})
