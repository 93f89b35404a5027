"""`cluster:` in scenarios: `raft:`, `only: raft`, and links that differ (SCENARIOS.md section 4)."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

import swarmsim
from swarmsim.api.specs import ClusterSpec
from swarmsim.cluster import Cluster
from swarmsim.errors import ScenarioError
from swarmsim.scenario.runner import describe
from swarmsim.scenario.schema import json_schema
from swarmsim.sim.links import Normal
from swarmsim.trace.events import BecameCandidate, BecameLeader, HostCrashed, RaftRestarted, VoteGranted

EXACT = {"only": "raft", "probes": "exact"}
FAST = {"rules": "paper", "tick": "clock", "election": "150ms..300ms", "heartbeat": "75ms", "fsync": "0s"}


def scenario(**cluster: Any) -> swarmsim.Scenario:
    return swarmsim.Scenario(cluster={"managers": 3, **cluster}, duration="5s")


def wrong(cluster: str, below: str = "") -> list[str]:
    """What is said of a file with these lines below `cluster:`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.yaml"
        path.write_text(f"cluster:\n  managers: 3\n  {cluster}\n{below}")
        with pytest.raises(ScenarioError) as caught:
            swarmsim.load(path)
    return [f"{p.line}: {p.text}" for p in caught.value.problems]


# ---- defaults --------------------------------------------------------------------------------------------


def test_without_the_words_the_group_is_swarmkits() -> None:
    described = describe(scenario())

    assert described.swarm == ClusterSpec()
    assert (described.fsync, described.ways, described.only) == ((1_000, 3_000), (), "")


def test_the_defaults_written_out_change_nothing() -> None:
    plain = swarmsim.load(Path(__file__).parents[2] / "scenarios" / "leader-crash.yaml")
    said = {"rules": "swarmkit", "tick": "1s", "election": "10s..19s", "heartbeat": "1s", "fsync": "1ms..3ms"}

    written = plain.but(cluster={"raft": {**said, "pre_vote": False, "check_quorum": True, "behind": {}}})

    assert swarmsim.run(written, 3).digest == swarmsim.run(plain, 3).digest


# ---- raft ------------------------------------------------------------------------------------------------


def test_times_become_ticks() -> None:
    by_ticks = describe(scenario(raft={"tick": "100ms", "election": "1s..1.5s", "heartbeat": "200ms"})).swarm
    by_clock = describe(scenario(raft=FAST)).swarm

    assert (by_ticks.heartbeat_tick, by_ticks.election_tick, by_ticks.raft.election_tick_most) == (2, 10, 15)
    assert (by_clock.heartbeat_tick, by_clock.election_tick, by_clock.raft.election_tick_most) == (
        75_000,
        150_000,
        300_000,
    )
    assert (by_clock.raft.tick, by_clock.raft.by_clock) == (1, True)


@pytest.mark.parametrize("tick", ["1ms", "clock"])
def test_a_follower_times_out_within_the_range(tick: str) -> None:
    """With `probes: exact` every heartbeat goes its way; the last one is up to 75 ms old when the leader crashes."""
    cut = swarmsim.Scenario(
        cluster={"managers": 3, **EXACT, "raft": {**FAST, "tick": tick}, "network": {"latency": "1ms"}},
        timeline=[{"at": "500ms..575ms", "crash": "m1"}],
        duration="2s",
    )
    for seed in range(1, 21):
        trace = swarmsim.run(cut, seed).trace
        crash = next(r.at for r in trace.of(HostCrashed))
        candidate = next(r.at for r in trace.of(BecameCandidate))
        assert 150_000 - 76_000 <= candidate - crash <= 302_000


def test_healthy_heartbeats_may_be_skipped_by_the_clock_as_well() -> None:
    """`probes: lazy`: the same distribution of the time to the first candidate, from far fewer events."""
    words = {"managers": 3, "only": "raft", "raft": FAST, "network": {"latency": "1ms"}}
    timeline = [{"at": "10s..10.075s", "crash": "m1"}]
    times: dict[str, list[int]] = {}
    events: dict[str, int] = {}
    for probes in ("lazy", "exact"):
        run = swarmsim.Scenario(cluster={**words, "probes": probes}, timeline=timeline, duration="11s")
        results = [swarmsim.run(run, seed) for seed in range(1, 41)]
        times[probes] = [
            next(r.at for r in result.trace.of(BecameCandidate)) - next(r.at for r in result.trace.of(HostCrashed))
            for result in results
        ]
        events[probes] = results[0].sim_events

    assert events["lazy"] * 5 < events["exact"]
    assert min(times["lazy"]) >= 74_000
    assert max(times["lazy"]) <= 302_000
    assert sum(times["lazy"]) / 40 == pytest.approx(sum(times["exact"]) / 40, rel=0.1)


def test_fsync_is_what_a_vote_waits_for() -> None:
    crash = [{"at": "500ms", "crash": "m1"}]
    slow = swarmsim.Scenario(
        cluster={"managers": 3, **EXACT, "raft": {**FAST, "fsync": "40ms"}, "network": {"latency": "1ms"}},
        timeline=crash,
        duration="5s",
    )

    trace = swarmsim.run(slow, 1).trace
    candidate = next(r for r in trace.of(BecameCandidate))
    own = next(r for r in trace.of(VoteGranted) if r.event.node == candidate.event.node)
    other = next(r for r in trace.of(VoteGranted) if r.event.node != candidate.event.node)

    assert own.at - candidate.at == 40_000
    assert other.at - candidate.at == 40_000 + 1_000 + 40_000


def test_logs_that_are_behind_are_so_at_the_start_and_lose_elections() -> None:
    group = swarmsim.Scenario(
        cluster={"managers": 5, **EXACT, "raft": {**FAST, "behind": {"m3": 1, "m4..m5": 2}}},
        timeline=[{"at": "0s", "crash": "managers", "for": "1ms"}],
        duration="5s",
    )
    for seed in range(1, 11):
        result = swarmsim.run(group, seed)
        lengths = {r.event.node: r.event.last_index for r in result.trace.of(RaftRestarted) if r.at == 0}
        longest = lengths["m1"]
        winner = next(r.event.node for r in result.trace.of(BecameLeader))

        assert lengths == {"m1": longest, "m2": longest, "m3": longest - 1, "m4": longest - 2, "m5": longest - 2}
        assert winner in ("m1", "m2", "m3"), "m4 and m5 have a majority of longer logs against them"
        assert next(str(v.state) for v in result.verdicts if v.name == "raft safety") == "PASS"


def test_a_leader_brings_the_logs_that_are_behind_up_to_date() -> None:
    group = swarmsim.Scenario(cluster={"managers": 3, **EXACT, "raft": {**FAST, "behind": {"m3": 3}}}, duration="1s")

    cluster = swarmsim.run(group, 1).cluster

    lasts = [node.raft.raw.log.last_index for node in cluster.nodes.values() if node.raft is not None]
    assert len(lasts) == 3
    assert len(set(lasts)) == 1


def test_raft_alone_runs_nothing_else() -> None:
    cluster = Cluster(describe(scenario(**EXACT, raft=FAST)), 1)

    cluster.run(1_000_000)

    assert [sorted(host.drivers) for host in cluster.hosts.values()] == [["raft"]] * 3
    assert cluster.leader() == "m1"
    assert not list(cluster.store().objects())


MISTAKES = {
    "raft: {tick: clock}": "3: `raft`: `tick: clock` needs times; write election: 150ms..300ms and heartbeat: 50ms",
    "raft: {election: 150ms..300ms}": (
        "3: `raft`: `election`: 150ms..300ms is not in whole ticks of 1s; write tick: clock"
    ),
    "raft: {candidate: 1s}": "3: `raft`: `candidate` is of `rules: refloated`; write that, or leave `candidate` out",
    "raft: {backoff: true}": "3: `raft`: `backoff` is of `rules: refloated`; write that, or leave `backoff` out",
    "raft: {tick: 0s}": "3: `tick`: `0s` is no tick; write for instance 1s, or clock for timers without ticks",
    "raft: {rules: etcd}": "3: `rules`: `etcd` is not possible; write swarmkit, paper or refloated",
    "raft: {pre_vote: yes}": "3: `pre_vote`: `yes` is no boolean; write true or false",
    "raft: {tik: 1s}": "3: unknown key `tik` in `raft` of `cluster`; did you mean `tick`?",
    "raft: {behind: 3}": "3: `behind`: `3` says of nobody how much is missing; write {m2: 1}",
    "raft: {behind: {m2: -1}}": "3: `behind`: `m2: -1` is no number of entries; write 0 to 1000",
    "raft: {behind: {m1: 1}}": "3: `behind`: `m1` leads at 0s and has the whole log; write another manager",
    "raft: {behind: {m9: 1}}": "3: unknown node `m9`; the cluster has m1, m2, m3",
    "raft: {tick: 1ms, election: 150ms, heartbeat: 200ms}": (
        "1: `cluster`: a heartbeat every 200ms is too late for an election timeout of 150ms"
    ),
    "swarm: {election_tick: 5, heartbeat_tick: 7}": (
        "1: `cluster`: a heartbeat every 7s is too late for an election timeout of 5s"
    ),
    "raft: {election: 10s..15s}\n  swarm: {election_tick: 5}": (
        "1: `cluster`: `swarm.election_tick` and `raft.election` say the same; write one of them"
    ),
    "only: gossip": "3: `only`: `gossip` is not possible; write raft",
    "network: {latency: normal 5ms}": (
        "3: `latency`: `normal 5ms` is no latency; write normal MEAN DEVIATION, such as normal 5ms 3ms"
    ),
    "network: {latency: normal 1ms 5ms}": (
        "3: `latency`: `normal 1ms 5ms` would mostly be negative; the deviation may be at most twice the mean"
    ),
    "network: {links: [{nodes: m1}]}": (
        "3: `network.links` of `cluster`: a link that differs in nothing; write latency: 20ms..60ms, or loss: 1%"
    ),
    "network: {links: {nodes: m1, loss: 1%}}": "3: `links` must be a list, not a mapping; write links: […]",
    "network: {links: [{nodes: leader, loss: 1%}]}": (
        "3: `leader` depends on the run; links take names, ranges and groups"
    ),
    "network: {links: [{nodes: m7, loss: 1%}]}": "3: unknown node `m7`; the cluster has m1, m2, m3",
    "network: {links: [{nodes: m1, peers: m1, loss: 1%}]}": "3: `m1` has no link to itself; write peers: nodes",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_is_said_in_one_line(words: str) -> None:
    assert wrong(words) == [MISTAKES[words]]


def test_a_worker_has_no_log_to_be_behind() -> None:
    assert wrong("workers: 1\n  raft: {behind: {w1: 1}}") == [
        "4: `behind`: `w1` is a worker and has no log; write m3: 1"
    ]


def test_raft_alone_has_nothing_to_act_on_or_to_look_at() -> None:
    below = "timeline:\n  - {at: 1s, drain: m2}\nexpect:\n  - {node: m2, state: ready}\n"

    said = wrong("only: raft\n  workers: 2\nservices: {web: {image: nginx}}", below)

    assert said == [
        "4: `only: raft` has managers alone; leave `workers` out",
        "5: `only: raft` runs no services; leave `services` out",
        "7: `drain`: with `only: raft` there is no swarm to act on; "
        "write propose, change_members, read, campaign, or faults of managers and links",
        "9: `node`: with `only: raft` there is no swarm; write leader or leader_changes",
    ]


def test_editors_know_the_words() -> None:
    schema = json_schema()

    cluster = schema["properties"]["cluster"]["properties"]
    assert {"raft", "only", "network"} <= set(cluster)
    assert {"rules", "tick", "election", "behind", "fsync"} <= set(schema["$defs"]["RaftWords"]["properties"])
    assert {"nodes", "peers", "latency"} <= set(schema["$defs"]["LinkWords"]["properties"])


# ---- network ---------------------------------------------------------------------------------------------


def latency(cluster: Cluster, src: str, dst: str) -> Any:
    link = cluster.network.link(src, dst)
    return link.normal or (link.low, link.low + link.high - 1)


def test_links_differ_where_they_are_said_to_and_later_ones_win() -> None:
    cluster = Cluster(
        describe(
            scenario(
                workers=2,
                nodes={"w1..w2": {"labels": {"zone": "b"}}},
                network={
                    "latency": "1ms",
                    "links": [
                        {"nodes": "managers", "peers": "zone=b", "latency": "20ms..60ms", "loss": "1%"},
                        {"nodes": "m1", "peers": ["w1"], "direction": "out", "latency": "normal 5ms 3ms"},
                    ],
                },
            )
        ),
        1,
    )

    assert latency(cluster, "m1", "m2") == latency(cluster, "w1", "w2") == (1_000, 1_000)
    assert latency(cluster, "m2", "w1") == latency(cluster, "w2", "m3") == (20_000, 60_000)
    assert latency(cluster, "m1", "w1") == Normal(5_000, 3_000)
    assert latency(cluster, "w1", "m1") == (20_000, 60_000)
    assert cluster.network.link("m1", "w1").loss == 0.01
    assert cluster.network.link("m1", "m2").loss == 0


def test_all_others_are_the_peers_where_none_are_said() -> None:
    words = {"latency": "1ms", "links": [{"nodes": "m1", "direction": "in", "latency": "9ms"}]}
    cluster = Cluster(describe(scenario(network=words)), 1)

    assert latency(cluster, "m3", "m1") == (9_000, 9_000)
    assert latency(cluster, "m1", "m3") == (1_000, 1_000)


def test_a_link_that_loses_packets_leaves_nothing_certain() -> None:
    """Healthy heartbeats are skipped only where all of them must arrive."""
    sure = Cluster(describe(scenario()), 1)
    lossy = Cluster(describe(scenario(network={"links": [{"nodes": "m1", "loss": "1%"}]})), 1)

    assert sure.network.quiet("m1", "m2")
    assert not lossy.network.quiet("m2", "m3")


def test_a_normal_latency_is_never_negative_and_has_its_mean() -> None:
    cluster = Cluster(describe(scenario(network={"latency": "normal 5ms 3ms"})), 1)
    link = cluster.network.link("m1", "m2")

    drawn = [link.draw() for _ in range(4_000)]

    assert min(drawn) >= 0
    # What is negative is drawn again: the mean of N(5, 3) cut at 0 is 5.31.
    assert sum(drawn) / len(drawn) == pytest.approx(5_310, rel=0.03)
