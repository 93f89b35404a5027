"""The bound of *convergence*, part by part, and the quiet time (SCENARIOS.md sections 9 and 3)."""

from __future__ import annotations

from typing import Any

import pytest

from swarmsim.checks import Bound, walk
from tests.checks.story import SECOND, Story

ALWAYS = {"restart delay": 5.0, "pull and start": 2.5, "always": 10.0}


def heard(story: Story) -> Bound:
    bound = Bound()
    walk(story.trace, [bound])
    return bound


def parts(story: Story) -> dict[str, float]:
    """The parts that count, in seconds, without those of 0 s."""
    return {name: us / SECOND for name, us in heard(story).parts() if us}


def web(**settings: Any) -> Story:
    return Story().service("web", **settings)


def test_always_the_longest_restart_delay_the_longest_pull_and_start_and_ten_seconds() -> None:
    story = web(restart_delay=7 * SECOND, start_time=3 * SECOND)
    story.service("db", restart_delay=2 * SECOND, start_time=9 * SECOND)

    assert parts(story) == {"restart delay": 7.0, "pull and start": 9.0, "always": 10.0}
    assert heard(story).total == 26 * SECOND
    assert parts(Story()) == {"always": 10.0}


def test_a_fault_of_a_worker_adds_detection_and_registration() -> None:
    assert parts(web().fault("crash", "w1")) == {"detection": 16.5, "registration": 30.0, **ALWAYS}


def test_a_fault_of_a_manager_adds_the_leader_and_doubles_the_detection() -> None:
    assert parts(web().fault("crash", "m2")) == {"leader": 120.0, "detection": 33.0, "registration": 30.0, **ALWAYS}


def test_the_links_of_a_manager_count_as_the_manager_itself() -> None:
    assert "leader" in parts(web().fault("loss", "w1", peers=("m1", "w2")))
    assert "leader" not in parts(web().fault("loss", "w1", peers=("w2",)))


def test_detection_and_leader_go_by_the_swarm_s_own_settings() -> None:
    story = Story(heartbeat_period=10 * SECOND, election_tick=3).service().fault("crash", "m1")

    found = parts(story)

    assert (found["leader"], found["detection"]) == (36.0, 63.0)


@pytest.mark.parametrize("verb", ["scale", "update", "remove", "drain"])
def test_what_stops_containers_adds_two_seconds_and_the_longest_grace_period(verb: str) -> None:
    story = web(stop_grace=20 * SECOND).service("db", stop_grace=4 * SECOND)

    assert parts(story.step(verb, "none"))["stopping"] == 22.0


@pytest.mark.parametrize("verb", ["create", "pause", "activate"])
def test_what_stops_nothing_does_not(verb: str) -> None:
    assert parts(web().step(verb, "none")) == ALWAYS


def test_a_partition_stops_containers_too_and_other_faults_do_not() -> None:
    assert parts(web().fault("partition", "w1"))["stopping"] == 12.0
    assert "stopping" not in parts(web().fault("delay", "w1"))


def test_stopping_takes_at_most_a_minute() -> None:
    assert parts(web(stop_grace=300 * SECOND).step("scale"))["stopping"] == 60.0


def test_a_killed_container_is_no_matter_of_nodes_and_links() -> None:
    assert parts(web().fault("kill", "web.1")) == ALWAYS


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [
        ({"replicas": 6, "parallelism": 1}, 6 * (5 + 12 + 2.5)),
        ({"replicas": 6, "parallelism": 4}, 2 * (5 + 12 + 2.5)),
        ({"replicas": 6, "parallelism": 0}, 5 + 12 + 2.5),
        ({"replicas": 2, "update_delay": 3 * SECOND, "monitor": 0}, 2 * (3 + 12 + 2.5)),
        ({"mode": "global", "replicas": 0}, 5 * (5 + 12 + 2.5)),
    ],
    ids=["one by one", "four at once", "all at once", "delay and monitor", "global: each node"],
)
def test_an_update_adds_its_batches(settings: dict[str, Any], seconds: float) -> None:
    """Batches x (delay + monitor + stopping and starting one task)."""
    assert parts(web(**settings).step("update"))["update"] == seconds


def test_of_several_updated_services_the_longest_counts_and_of_others_none() -> None:
    story = web(replicas=2).service("db", replicas=3).service("cache", replicas=90)

    assert parts(story.step("update", "web").step("update", "db"))["update"] == 3 * 19.5
    assert "update" not in parts(web().step("update", "unknown"))


def test_a_service_that_was_removed_still_has_to_stop() -> None:
    story = web(stop_grace=20 * SECOND).step("remove").service("web", action="REMOVE")

    assert parts(story)["stopping"] == 22.0


# ---- disturbances and the quiet time -----------------------------------------------------------------------------
def test_the_last_disturbance_is_the_last_entry_that_began_or_ended() -> None:
    story = web().at(5).fault("crash", "w1")
    seen = [heard(story).last]
    for seconds, more in ((7, "step"), (8, "answered"), (9, "fault_ends"), (12, None)):
        story.at(seconds)
        if more == "step":
            story.step("scale")
        elif more == "answered":
            story.answered("scale")
        elif more:
            story.fault_ends("crash", "w1")
        else:
            story.node("w1")  # no entry
        seen.append(heard(story).last)

    assert seen == [s * SECOND for s in (5, 7, 8, 9, 9)]


def test_what_is_created_at_0s_is_no_disturbance_by_an_entry() -> None:
    created = heard(web().step("create", entry="").at(1).answered("create", entry=""))

    assert (created.disturbed, created.last) == (False, SECOND)
    assert heard(web().step("scale")).disturbed


@pytest.mark.parametrize(
    ("story", "quiet"),
    [
        (web(), 1.0),
        (web().step("scale"), 1.0),
        (web().fault("crash", "w1"), 17.0),
        (web().fault("kill", "web.1"), 17.0),
        (web().fault("crash", "m1"), 33.5),
    ],
    ids=["nothing happened", "a step", "a worker's fault", "a kill", "a manager's fault"],
)
def test_the_quiet_time_is_one_detection_time_after_a_fault_else_a_second(story: Story, quiet: float) -> None:
    assert heard(story).quiet == quiet * SECOND


def test_the_bound_is_said_part_by_part() -> None:
    said = heard(web(restart_delay=0).fault("crash", "w1")).said()

    assert said == "bound 59s = detection 16.5s + registration 30s + pull and start 2.5s + always 10s"
