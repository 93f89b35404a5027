"""Docker's tables, read from the trace: `node ls`, `service ls`, `service ps`; and how long services were short."""

from __future__ import annotations

import pytest

from swarmsim.api.states import Availability
from swarmsim.errors import NO_DAEMON
from swarmsim.scenario import tables
from swarmsim.scenario.ledger import Ledger
from swarmsim.scenario.shortfall import shortfalls
from swarmsim.trace import events as ev
from tests.scenario.story import Story, us

SECOND = 1_000_000


def cells(table: str) -> list[list[str]]:
    """The rows of a table, cut where its heads begin."""
    head, *rows = table.splitlines()
    starts = [i for i in range(len(head)) if head[i] != " " and (i == 0 or head[i - 2 : i] == "  ")]
    return [[row[a:b].rstrip() for a, b in zip(starts, [*starts[1:], None], strict=True)] for row in [head, *rows]]


# ---- docker node ls ---------------------------------------------------------------------------------------


def test_node_ls_has_dockers_columns_and_marks_the_manager_that_is_asked() -> None:
    """docker/cli formatter: cells at least 10 wide, three blanks apart."""
    s = Story(managers=2, workers=1)

    assert tables.node_ls(s.trace).splitlines() == [
        "ID        HOSTNAME   STATUS    AVAILABILITY   MANAGER STATUS   ENGINE VERSION",
        "m1 *      m1         Ready     Active         Leader           28.2.2",
        "m2        m2         Ready     Active         Reachable        28.2.2",
        "w1        w1         Ready     Active                          28.2.2",
    ]


def test_node_ls_says_what_the_managers_believe() -> None:
    s = Story(managers=3, workers=2)
    s.crash(1, "m1", how="power off")
    s.elected(12, "m2", 3, ["m2", "m3"])
    s.node(30, "m1", "DOWN")
    s.node(31, "w1", "READY", availability="DRAIN")
    s.node(32, "w2", "UNKNOWN")

    rows = cells(tables.node_ls(s.trace))[1:]

    assert [row[:5] for row in rows] == [
        ["m1", "m1", "Down", "Active", "Unreachable"],
        ["m2 *", "m2", "Ready", "Active", "Leader"],
        ["m3", "m3", "Ready", "Active", "Reachable"],
        ["w1", "w1", "Ready", Availability.DRAIN.name.capitalize(), ""],
        ["w2", "w2", "Unknown", "Active", ""],
    ]


@pytest.mark.parametrize(("until", "status"), [(1.0, "Reachable"), (5.0, "Unreachable")])
def test_a_manager_is_unreachable_once_the_leaders_stream_to_it_is_given_up(until: float, status: str) -> None:
    """manager/state/raft/transport: a stream that stalls for 2 s marks the peer inactive."""
    s = Story(managers=3, workers=0)
    s.add(0.5, ev.FaultStarted("partition", "partition", ("m3",), ("m1", "m2"), None, ""))
    s.end(until)

    assert tables.manager_status(Ledger(s.trace), "m3") == status


def test_a_partition_that_is_over_leaves_nobody_unreachable() -> None:
    s = Story(managers=3, workers=0)
    wall = s.add(0.5, ev.FaultStarted("partition", "partition", ("m3",), ("m1", "m2"), us(5), ""))
    s.add(5.5, ev.FaultEnded("partition", "partition", ("m3",)), wall)
    s.end(9)

    assert tables.manager_status(Ledger(s.trace), "m3") == "Reachable"


def test_without_a_leader_docker_has_only_an_error() -> None:
    s = Story(managers=1, workers=1)
    assert tables.node_ls(s.trace).startswith("ID ")

    s.add(1, ev.SteppedDown("m1", 2, "no quorum heard in an election timeout"))
    assert "The swarm does not have a leader." in tables.node_ls(s.trace)
    assert tables.service_ls(s.trace) == tables.service_ps(s.trace, "web") == tables.node_ls(s.trace)

    s.crash(2, "m1")
    assert tables.node_ls(s.trace) == NO_DAEMON


# ---- docker service ls ------------------------------------------------------------------------------------


def test_service_ls_counts_a_dead_nodes_tasks_too() -> None:
    """manager/controlapi/service.go `ListServiceStatuses`: RUNNING by the store, whatever is desired."""
    s = Story()
    s.service(0, "web", 2, ports=("*:8080->80/tcp",))
    s.up(1, "web.1", "w1")
    s.up(1, "web.2", "w2")
    s.crash(2, "w1")
    s.task(20, "web.1", "RUNNING", "w1", desired="SHUTDOWN")
    s.task(20, "web.1", "ASSIGNED", "w3", new=True)
    s.up(25, "web.1", "w3")

    assert cells(tables.service_ls(s.trace)) == [
        ["ID", "NAME", "MODE", "REPLICAS", "IMAGE", "PORTS"],
        ["id-web", "web", "replicated", "3/2", "web:1", "*:8080->80/tcp"],
    ]


def test_service_ls_of_a_global_service_and_of_jobs() -> None:
    """Wanted are tasks whose desired state is RUNNING; jobs say how many tasks of their run are completed."""
    s = Story()
    s.service(0, "agent", 0)
    s.up(1, "agent.w1", "w1")
    s.task(1, "agent.w2", "PENDING", "w2")
    s.service(0, "batch", 2, mode="replicated-job", completions=5, iteration=0)
    s.task(1, "batch.1", "COMPLETE", "w1", desired="COMPLETE", iteration=0)
    s.task(2, "batch.2", "RUNNING", "w2", desired="COMPLETE", iteration=0)
    s.service(3, "gone", 1)
    s.service(4, "gone", 1, action="REMOVE")

    rows = cells(tables.service_ls(s.trace))[1:]

    assert [row[1:4] for row in rows] == [
        ["agent", "global", "1/2"],
        ["batch", "replicated job", "1/2 (1/5 completed)"],
    ]


# ---- docker service ps ------------------------------------------------------------------------------------


def test_service_ps_shows_a_slots_history_below_its_newest_task() -> None:
    s = Story()
    s.service(0, "web", 10)
    s.up(1, "web.10", "w1")
    s.up(1, "web.2", "w1")
    s.task(3, "web.2", "FAILED", "w1", desired="SHUTDOWN", error="task: non-zero exit (137)")
    s.task(3, "web.2", "ASSIGNED", "w2", new=True)
    s.up(8, "web.2", "w2")
    s.end(20.5)

    assert cells(tables.service_ps(s.trace, "web")) == [
        ["ID", "NAME", "IMAGE", "NODE", "DESIRED STATE", "CURRENT STATE", "ERROR", "PORTS"],
        ["web.2#2", "web.2", "web:1", "w2", "Running", "Running 12 seconds ago", "", ""],
        [
            "web.2#1",
            " \\_ web.2",
            "web:1",
            "w1",
            "Shutdown",
            "Failed 17 seconds ago",
            '"task: non-zero exit (137)"',
            "",
        ],
        ["web.10#1", "web.10", "web:1", "w1", "Running", "Running 19 seconds ago", "", ""],
    ]


def test_an_age_counts_from_the_last_change_of_the_status_not_of_what_is_wanted() -> None:
    s = Story()
    s.service(0, "web", 1)
    s.up(10, "web.1", "w1")
    s.task(30, "web.1", "RUNNING", "w1", desired="SHUTDOWN")

    assert cells(tables.service_ps(s.trace, "web", now=us(70)))[1][4:6] == ["Shutdown", "Running about a minute ago"]


def test_long_errors_and_ids_are_cut_as_docker_cuts_them() -> None:
    """docker/cli task/print.go: 30 letters, the last an ellipsis, in quotes."""
    s = Story()
    s.service(0, "web", 1)
    s.task(1, "web.1", "PENDING", error="no suitable node (insufficient resources on 2 nodes)")

    assert cells(tables.service_ps(s.trace, "web"))[1][6] == '"no suitable node (insufficien…"'


def test_a_service_that_is_not_there() -> None:
    s = Story()
    s.service(0, "web", 1)
    s.service(1, "web", 1, action="REMOVE")

    assert tables.service_ps(s.trace, "web") == "no such service: web"
    assert tables.service_ps(s.trace, "wbe") == "no such service: wbe"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.9, "Less than a second"),
        (1.9, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (119, "About a minute"),
        (120, "2 minutes"),
        (59 * 60, "59 minutes"),
        (60 * 60, "About an hour"),
        (89 * 60, "About an hour"),
        (90 * 60, "2 hours"),
        (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (13 * 86400, "13 days"),
        (14 * 86400, "2 weeks"),
        (60 * 86400, "2 months"),
        (800 * 86400, "2 years"),
    ],
)
def test_durations_are_said_as_docker_says_them(seconds: float, said: str) -> None:
    """github.com/docker/go-units `HumanDuration`."""
    assert tables.human_duration(us(seconds)) == said


def test_a_table_that_is_too_wide_loses_what_says_least() -> None:
    heads = ("ID", "NAME", "NODE", "ERROR", "PORTS")
    rows = [("a" * 12, "web.1", "ip-10-0-0-1.example.org", '"task: non-zero exit (1)"', "")]

    def heads_at(width: int | None) -> str:
        return " ".join(tables.columns(heads, rows, width)[0].split())

    assert [heads_at(w) for w in (None, 90, 70, 55)] == [
        "ID NAME NODE ERROR PORTS",
        "ID NAME NODE ERROR PORTS",
        "NAME NODE ERROR",
        "NAME NODE ERROR",
    ]
    assert tables.columns(heads, rows, 55)[1] == 'web.1  ip-10-0-0-1  "task: non-zero exit (1)"'
    assert tables.columns(heads, rows, 30)[1] == 'web.1  ip-10-0-0-1  "task: no…'


# ---- how low, for how long --------------------------------------------------------------------------------


def test_a_service_that_is_created_or_scaled_up_is_not_short() -> None:
    s = Story()
    s.service(0, "web", 1)
    s.up(1, "web.1", "w1")
    s.service(5, "web", 3, action="UPDATE")
    s.up(6, "web.2", "w2")
    s.up(7, "web.3", "w3")

    assert tables.longest_short(s.end(10)) is None


def test_the_longest_of_several_times_counts() -> None:
    s = Story()
    s.service(0, "web", 2)
    s.up(1, "web.1", "w1")
    s.up(1, "web.2", "w2")
    for at, lasts in ((10, 3.5), (20, 1.0)):
        s.exits(at, "web.1", "w1", why="exited")
        s.runs(at + lasts, "web.1", "w1")
    result = s.end(30)

    assert tables.longest_short(result) == 3.5
    (short,) = shortfalls(Ledger(result.trace))
    assert (short.lowest, short.total, len(short.stretches)) == (1, 4_500_000, 2)


def test_a_time_that_is_not_over_counts_to_the_end() -> None:
    s = Story()
    s.service(0, "web", 2)
    s.up(1, "web.1", "w1")
    s.up(1, "web.2", "w2")
    s.exits(10, "web.1", "w1", s.crash(10, "w1"))
    result = s.end(30)

    assert tables.longest_short(result) == 20
    (short,) = shortfalls(Ledger(result.trace))
    assert short.never
    assert short.why == "1 RUNNING by the store alone"


def test_what_never_came_up_is_short_since_it_was_wanted() -> None:
    s = Story()
    s.service(2, "web", 2)
    s.up(3, "web.1", "w1")
    s.task(3, "web.2", "PENDING", error="no suitable node")
    result = s.end(12)

    (short,) = shortfalls(Ledger(result.trace))
    assert (short.lowest, short.total / SECOND, short.why) == (0, 10, "1 PENDING: no suitable node")


def test_nobody_is_short_of_a_job() -> None:
    s = Story()
    s.service(0, "batch", 1, mode="replicated-job", completions=1, iteration=0)
    s.runs_job = s.up(1, "batch.1", "w1")  # type: ignore[attr-defined]
    s.exits(2, "batch.1", "w1", why="exited", code=0)

    assert tables.longest_short(s.end(5)) is None


def test_the_parts_are_read_from_the_chain_of_causes_and_add_up() -> None:
    """Detection to the DOWN, the restart delay to the release, then pull and start."""
    s = Story()
    s.service(0, "web", 1)
    s.up(1, "web.1", "w1")
    crash = s.crash(10, "w1")
    gone = s.exits(10, "web.1", "w1", crash)
    down = s.down(21, "w1", 14, gone)
    s.task(21.01, "web.1", "NEW", cause=down, desired="READY", new=True)
    s.add(21.01, ev.RestartScheduled("web.1#1", "web.1#2", "web.1", us(5), "w1 is down"), down)
    s.task(21.1, "web.1", "ASSIGNED", "w2", down, desired="READY")
    released = s.task(26.01, "web.1", "ASSIGNED", "w2", down)
    pulled = s.add(27.5, ev.ImagePulled("w2", "web:1"), released)
    s.up(28, "web.1", "w2", pulled)

    (short,) = shortfalls(Ledger(s.end(40).trace))

    assert [(name, us / SECOND) for name, us in short.parts] == [
        ("detection", 11.0),
        ("delay", 5.01),
        ("pull", 1.49),
        ("start", 0.5),
    ]
    assert sum(us for _, us in short.parts) == short.total
