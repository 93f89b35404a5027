"""The timeline: moments, draws, the order within a microsecond, what does not fire (SCENARIOS.md sections 3, 6, 7)."""

from __future__ import annotations

from typing import Any

from swarmsim.scenario.loader import Scenario
from swarmsim.scenario.timeline import Timeline
from swarmsim.trace.events import DrawMade, EntryNotFired, FaultEnded, FaultStarted, HostCrashed, StepSent
from tests.scenario.fake_cluster import ANSWER, FakeCluster

SECOND = 1_000_000
CLUSTER = {"managers": 3, "workers": 3}
WEB = {"web": {"image": "nginx", "deploy": {"replicas": 3}}}


def play(*entries: dict[str, Any], seed: int = 1, until: int = 60, steady: int = 2, **words: Any) -> FakeCluster:
    """Play a timeline on a cluster without a control plane that is steady after `steady` seconds."""
    scenario = Scenario(cluster=CLUSTER, timeline=list(entries), **words)
    cluster = FakeCluster()
    for slot, node in enumerate(("w1", "w2", "w3"), 1):
        cluster.place(f"web.{slot}", node)
    timeline = Timeline(scenario, cluster, seed)  # type: ignore[arg-type]
    timeline.start()
    cluster.env.timeout(steady * SECOND).callbacks.append(lambda event: timeline.reach_steady())
    cluster.env.run(until=until * SECOND + 1)
    timeline.close(until * SECOND)
    return cluster


def events(cluster: FakeCluster, *kinds: type) -> list[tuple[int, Any]]:
    return [(r.at, r.event) for r in cluster.trace.of(*kinds)]


def started(cluster: FakeCluster) -> list[tuple[float, str, tuple[str, ...]]]:
    return [(at / SECOND, e.entry, e.nodes) for at, e in events(cluster, FaultStarted)]


def not_fired(cluster: FakeCluster) -> dict[str, str]:
    return {e.entry: e.reason for _, e in events(cluster, EntryNotFired)}


# ---- moments ---------------------------------------------------------------------------------------------


def test_anchors_are_steady_the_beginning_and_the_end_of_entries() -> None:
    cluster = play(
        {"at": "steady + 5s", "crash": "w1", "for": "10s"},
        {"at": "crash + 1s", "partition": "w2", "for": "1s"},
        {"at": "crash.end + 3s", "loss": "w3", "share": "10%"},
    )

    assert started(cluster) == [(7, "crash", ("w1",)), (8, "partition", ("w2",)), (20, "loss", ("w3",))]


def test_a_step_begins_when_it_is_sent_and_ends_when_it_is_answered() -> None:
    cluster = play(
        {"at": "3s", "scale": "web", "replicas": 5},
        {"at": "scale", "crash": "w1"},
        {"at": "scale.end", "crash": "w2", "name": "late"},
        services=WEB,
    )

    assert [at for at, _, _ in started(cluster)] == [3, 3 + 2 * ANSWER / SECOND]


def test_a_name_serves_as_an_anchor() -> None:
    cluster = play({"at": "1s", "crash": "w1", "name": "first"}, {"at": "first + 1s", "crash": "w2", "name": "second"})

    assert started(cluster) == [(1, "first", ("w1",)), (2, "second", ("w2",))]


def test_an_entry_at_the_duration_fires_and_one_after_it_does_not() -> None:
    cluster = play(
        {"at": "steady + 8s", "crash": "w1"},
        {"at": "steady + 9s", "crash": "w2", "name": "late"},
        duration="10s",
        until=10,
    )

    assert started(cluster) == [(10, "crash 1", ("w1",))]
    assert "after the end of the run" in not_fired(cluster)["late"]


# ---- the same microsecond --------------------------------------------------------------------------------


def test_what_ends_comes_before_what_begins_in_file_order() -> None:
    cluster = play(
        {"at": "10s", "crash": "w2", "name": "b"},
        {"at": "5s", "crash": "w1", "name": "a", "for": "5s"},
        {"at": "10s", "crash": "w3", "name": "c"},
    )

    order = [(type(e).__name__, e.entry) for at, e in events(cluster, FaultStarted, FaultEnded) if at == 10 * SECOND]
    assert order == [("FaultEnded", "a"), ("FaultStarted", "b"), ("FaultStarted", "c")]


def test_entries_come_before_all_else_of_their_microsecond() -> None:
    scenario = Scenario(cluster=CLUSTER, timeline=[{"at": "5s", "crash": "w1"}])
    cluster = FakeCluster()
    seen = []
    cluster.env.timeout(5 * SECOND).callbacks.append(lambda event: seen.append(cluster.hosts["w1"].up))

    Timeline(scenario, cluster, 1).start()  # type: ignore[arg-type]
    cluster.env.run(until=6 * SECOND)

    assert seen == [False]


def test_what_hangs_on_an_end_begins_right_after_it() -> None:
    scenario = Scenario(
        cluster=CLUSTER,
        timeline=[{"at": "1s", "crash": "w1", "for": "4s", "name": "a"}, {"at": "a.end", "crash": "w2", "name": "b"}],
    )
    cluster = FakeCluster()
    seen = []
    cluster.env.timeout(5 * SECOND).callbacks.append(lambda event: seen.append(cluster.hosts["w2"].up))

    Timeline(scenario, cluster, 1).start()  # type: ignore[arg-type]
    cluster.env.run(until=6 * SECOND)

    assert seen == [False]


def test_services_are_created_at_0s_before_all_entries() -> None:
    cluster = play({"at": "0s", "crash": "w1"}, services=WEB)

    first = [(type(e).__name__, at) for at, e in events(cluster, StepSent, FaultStarted)]
    assert first[0] == ("StepSent", 0)


def test_a_service_that_a_create_entry_names_waits_for_it() -> None:
    cluster = play({"at": "4s", "create": "web"}, services=WEB)

    assert [(at / SECOND, e.entry, e.target) for at, e in events(cluster, StepSent)] == [(4, "create", "web")]


# ---- draws -----------------------------------------------------------------------------------------------


def test_draws_are_in_the_trace_in_the_order_at_targets_for() -> None:
    cluster = play({"at": "1s..5s", "crash": "one of workers", "for": "1s..9s"})

    draws = [e for _, e in events(cluster, DrawMade)]
    assert [d.what for d in draws] == ["at", "target", "for"]
    assert draws[1].value == started(cluster)[0][2][0]


def test_editing_one_entry_moves_no_draw_of_another() -> None:
    other = {"at": "1s..5s", "crash": "2 of workers", "for": "1s..9s", "name": "other"}

    before = play({"at": "1s..2s", "kill": "one of web"}, other, services=WEB)
    after = play({"at": "9s..30s", "partition": "one of managers", "for": "1s"}, other)

    of_other = [[e for _, e in events(c, DrawMade) if e.entry == "other"] for c in (before, after)]
    assert of_other[0] == of_other[1]
    assert len(of_other[0]) == 3


def test_another_seed_draws_otherwise() -> None:
    entry = {"at": "1s..50s", "crash": "one of workers"}

    assert started(play(entry, seed=1)) == started(play(entry, seed=1))
    assert len({started(play(entry, seed=seed))[0][0] for seed in range(5)}) > 1


def test_what_is_fixed_is_not_drawn() -> None:
    assert events(play({"at": "1s", "crash": "w1", "for": "2s"}), DrawMade) == []


# ---- targets, when the entry fires -----------------------------------------------------------------------


def test_the_leader_is_found_when_the_entry_fires() -> None:
    cluster = play({"at": "1s", "crash": "leader"})

    assert started(cluster) == [(1, "crash", ("m1",))]


def test_a_count_is_drawn_among_those_that_are_on() -> None:
    cluster = play({"at": "1s", "crash": "w1..w2"}, {"at": "2s", "crash": "one of workers", "name": "next"})

    assert started(cluster)[1] == (2, "next", ("w3",))


def test_too_few_that_are_on_and_the_entry_does_not_fire() -> None:
    cluster = play({"at": "1s", "crash": "w1..w2"}, {"at": "2s", "crash": "2 of workers", "name": "next"})

    assert not_fired(cluster) == {"next": "2 of workers wanted, 1 of them on at 2s"}


def test_a_bare_group_is_all_its_nodes_on_or_off() -> None:
    cluster = play({"at": "1s", "crash": "w1", "name": "a"}, {"at": "2s", "crash": "workers", "name": "b"})

    assert started(cluster)[1][2] == ("w1", "w2", "w3")


def test_the_node_where_a_task_runs() -> None:
    cluster = play({"at": "1s", "crash": "node running web.2"}, services=WEB)

    assert started(cluster)[0][2] == ("w2",)


def test_the_target_of_another_entry() -> None:
    cluster = play(
        {"at": "1s", "kill": "one of web"},
        {"at": "2s", "drain": "kill.target"},
        services=WEB,
    )

    (_, killed), (_, drained) = events(cluster, FaultStarted)[0], events(cluster, StepSent)[-1]
    assert killed.nodes[0].startswith("web.")
    assert drained.target == f"w{killed.nodes[0][-1]}"


def test_nothing_is_hit_in_anothers_stead() -> None:
    cluster = play({"at": "1s", "crash": "w2"}, {"at": "2s", "kill": "web.2"}, services=WEB)

    assert "web.2 wanted" in not_fired(cluster)["kill"]


def test_no_leader_no_fault() -> None:
    cluster = play({"at": "1s", "crash": "leader", "name": "a"}, {"at": "2s", "crash": "leader", "name": "b"})

    assert not_fired(cluster) == {"b": "no leader at 2s"}


def test_what_waits_for_an_entry_that_did_not_fire_does_not_either() -> None:
    cluster = play(
        {"at": "1s", "crash": "m1"},
        {"at": "2s", "partition": "leader", "for": "1s"},
        {"at": "partition.end + 1s", "drain": "w1"},
    )

    assert not_fired(cluster) == {"partition": "no leader at 2s", "drain": "`partition` did not fire"}


def test_an_anchor_that_never_came() -> None:
    cluster = play({"at": "steady", "crash": "w1"}, steady=70)

    assert not_fired(cluster) == {"crash": "`steady` never came"}


def test_peers_are_all_others_unless_said() -> None:
    cluster = play(
        {"at": "1s", "partition": "m1", "name": "a"},
        {"at": "1s", "partition": "m2", "peers": "managers", "name": "b"},
    )

    peers = [e.peers for _, e in events(cluster, FaultStarted)]
    assert peers == [("m2", "m3", "w1", "w2", "w3"), ("m1", "m3")]


def test_overlapping_crashes_of_one_node() -> None:
    cluster = play(
        {"at": "1s", "crash": "w1", "for": "10s", "name": "a"},
        {"at": "5s", "crash": "w1", "for": "10s", "name": "b"},
        until=12,
    )

    assert len(events(cluster, HostCrashed)) == 1
    assert not cluster.hosts["w1"].up
