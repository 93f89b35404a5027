"""Runs at the edges of what a figure must hold: none, few, very many, very short, very long."""

from __future__ import annotations

from collections.abc import Callable

from swarmsim.api.states import Availability, NodeState, TaskState
from swarmsim.trace.events import (
    BecameCandidate,
    EntryNotFired,
    SnapshotInstalled,
    SteadyReached,
    SteppedDown,
    SwarmReady,
)
from swarmsim.trace.recorder import Trace

from .story import Story, figure_8, worker_crash


def empty() -> Trace:
    return Trace()


def one_manager_ten_seconds() -> Trace:
    return Story(1, 0).end(10)


def eighty_milliseconds() -> Trace:
    return Story(3, 2).end(0.08)


def quorum_lost_for_hours() -> Trace:
    """Seven managers, two cut off and two dead: the three others ask for votes some 1,500 times."""
    story = Story(7, 0)
    story.service(0, "web", 14)
    for i in range(14):
        story.task(0.1, f"web.{i + 1}", now=TaskState.ASSIGNED, node=f"m{i % 7 + 1}")
    for i in range(14):
        story.runs(1, f"web.{i + 1}")
    story.fault(100, "partition", "m1", "m2", entry="split")
    story.add(112, SteppedDown("m1", 2, "no quorum"))
    story.add(113.5, BecameCandidate("m5", 3))
    story.elected(113.52, "m5", 3, "m3", "m4", "m6", "m7")
    story.fault(150, "crash", "m3", "m4", entry="second")
    story.crash(150, "m3")
    story.crash(150, "m4")
    story.add(160, SteppedDown("m5", 3, "no quorum"))
    for n in range(1800):
        story.add(165 + 4.9 * n, BecameCandidate(("m1", "m2", "m5", "m6", "m7")[n % 5], 4 + n // 5))
    story.fault_ends(9000, "crash", "m3", "m4", entry="second")
    story.comes_back(9000, "m3", 3)
    story.comes_back(9000, "m4", 3)
    story.fault_ends(9010, "partition", "m1", "m2", entry="split")
    story.elected(9020, "m6", 400, "m1", "m2", "m3", "m4", "m5", "m7")
    return story.end(10_800)


def thirty_services_on_forty_nodes() -> Trace:
    """510 tasks; twelve workers lose their power at once, two others lose packets."""
    story = Story(3, 37)
    names = [f"shop_service-number-{i:02}" for i in range(30)]
    for name in names:
        story.service(0, name, 17)
    tasks = [f"{name}.{slot + 1}" for name in names for slot in range(17)]
    for k, task in enumerate(tasks):
        story.task(0.5, task, now=TaskState.ASSIGNED, node=story.nodes[k % 40])
    for k, task in enumerate(tasks):
        story.runs(2 + 0.01 * k, task)
    dead = story.workers[4:16]
    story.fault(20, "crash", *dead, detail="power off")
    for name in dead:
        story.crash(20, name)
    story.step(25, "scale", names[3], "to 20")
    story.service(25, names[3], 20, action="UPDATE")
    story.fault(30, "loss", "w30", "w31", detail="30%")
    for name in dead:
        story.node(34, name, NodeState.DOWN)
    lost = [task for task in tasks if story.tasks[task].node in dead]
    alive = [name for name in story.nodes if name not in dead]
    for k, task in enumerate(lost):
        story.task(34, task, desired=TaskState.SHUTDOWN)
        story.task(34, f"{task}/2", now=TaskState.ASSIGNED, desired=TaskState.READY, node=alive[k % len(alive)])
    for k, task in enumerate(lost):
        story.task(39 + 0.01 * k, f"{task}/2", desired=TaskState.RUNNING)
        story.runs(39 + 0.01 * k, f"{task}/2")
    story.fault_ends(60, "loss", "w30", "w31")
    return story.end(120)


def crash_loop_for_hours() -> Trace:
    """A container that fails 668 times, a job, a global service."""
    story = Story(1, 2)
    story.service(0, "web", 2)
    story.service(0, "batch", 3, mode="replicated-job")
    story.service(0, "agent", 0, mode="global")
    for name in story.nodes:
        story.task(0.5, f"agent.{name}", now=TaskState.ASSIGNED, node=name)
        story.runs(0.5, f"agent.{name}")
    for i in (1, 2):
        story.task(1, f"web.{i}", now=TaskState.ASSIGNED, node=f"w{i}")
        story.runs(1, f"web.{i}")
    for n in range(668):
        old, new = ("web.1" if not n else f"web.1/{n + 1}"), f"web.1/{n + 2}"
        story.exits(10 + 16 * n, old, 1, "exited")
        story.task(10 + 16 * n, old, now=TaskState.FAILED, desired=TaskState.SHUTDOWN)
        story.task(10 + 16 * n, new, now=TaskState.ASSIGNED, node="w1")
        story.runs(16 + 16 * n, new)
        if n in (100, 300, 500):
            task = f"batch.{n}"
            story.task(17 + 16 * n, task, now=TaskState.ASSIGNED, desired=TaskState.COMPLETE, node="w2", iteration=0)
            story.runs(18 + 16 * n, task)
            story.exits(20 + 16 * n, task, 0, "exited")
            story.task(20 + 16 * n, task, now=TaskState.COMPLETE)
    return story.end(10_800)


def everything_at_once() -> Trace:
    """Overlapping faults, kills, steps near the right edge, an entry that did not fire, tasks that no node suits."""
    story = Story(3, 3)
    story.service(0, "web", 3)
    for i in range(3):
        story.task(0.1, f"web.{i + 1}", now=TaskState.PENDING)
    story.fault(5, "partition", "m1", peers=("m2", "m3"), detail="in only", entry="a")
    story.fault(7, "delay", "w1", "w2", detail="by 100ms..2s", entry="b")
    story.fault(8, "kill", "web.1", detail="exit 137", entry="k1")
    story.fault(8.2, "kill", "web.2", detail="exit 137", entry="k2")
    story.fault(9, "crash", "w2", detail="process killed", entry="c")
    story.crash(9, "w2")
    story.add(12, SteadyReached())
    story.fault_ends(14, "partition", "m1", entry="a")
    story.step(14.5, "update", "web", "image nginx:1.28, deploy, force")
    story.fault_ends(20, "delay", "w1", "w2", entry="b")
    story.node(22, "w3", NodeState.READY, Availability.DRAIN)
    story.step(28, "scale", "web", "to 9", error="no leader")
    story.add(29, EntryNotFired("third", "no leader at 29 s"))
    return story.end(30)


def ninety_entries() -> Trace:
    story = Story(3, 3)
    for i in range(60):
        story.step(1 + 0.1 * i, "scale", "web", f"to {i}")
    for i in range(30):
        story.fault(8 + 0.1 * i, "partition", f"w{i % 3 + 1}", entry=f"p{i}")
    for i in range(30):
        story.fault_ends(20 + 0.1 * i, "partition", f"w{i % 3 + 1}", entry=f"p{i}")
    return story.end(60)


def two_hundred_nodes_for_weeks() -> Trace:
    story = Story(25, 200)
    story.service(0, "web", 200)
    for name in story.workers:
        story.task(0.1, f"web.{name[1:]}", now=TaskState.ASSIGNED, node=name)
        story.runs(0.1, f"web.{name[1:]}")
    story.fault(20, "crash", "w150")
    story.crash(20, "w150")
    story.node(33, "w150", NodeState.DOWN)
    return story.end(40 * 86_400)


def hundreds_of_terms_and_thousands_of_entries() -> Trace:
    """A Raft group of nine by itself: each of 300 leaders writes, and half of that is overwritten by the next."""
    story = Story(9, 0)
    last = 5
    for n in range(300):
        at, leader, term = 1.0 + 2 * n, story.managers[n % 9], 3 + n
        story.elected(at, leader, term, *(name for name in story.managers if name != leader))
        for name in story.managers:
            story.writes(at + 0.1, name, last + 1, *[term] * 8)
        for name in story.managers[: 1 + n % 9]:
            story.applies(at + 0.2, name, last + 1, *[term] * 4)
        last += 4
    return story.end(610)


def a_log_for_each_of_forty_servers() -> Trace:
    story = Story(40, 0)
    for k, name in enumerate(story.managers):
        story.writes(1 + 0.1 * k, name, 6, 2, 2, 3, 3, 3, 4)
    for k, name in enumerate(story.managers[:30]):
        story.applies(6 + 0.1 * k, name, 6, *(2, 2, 3, 3) if k % 7 else (2, 3))
        story.add(6 + 0.1 * k, SnapshotInstalled(name, 8, 3))
    return story.end(10)


def long_names() -> Trace:
    story = Story(0, 0)
    domain = "datacenter-east.example.org"
    managers, worker = (f"manager-one.{domain}", f"manager-two.{domain}"), f"worker-with-a-really-long-name.{domain}"
    story.add(0, SwarmReady(managers[0], managers, (worker,)))
    story.service(0, "company-wide-shop_frontend-with-a-long-name", 100_000)
    story.fault(5, "crash", *managers, worker, detail="process killed")
    return story.end(9)


EXTREMES: tuple[Callable[[], Trace], ...] = (
    empty,
    one_manager_ten_seconds,
    eighty_milliseconds,
    worker_crash,
    quorum_lost_for_hours,
    thirty_services_on_forty_nodes,
    crash_loop_for_hours,
    everything_at_once,
    figure_8,
    hundreds_of_terms_and_thousands_of_entries,
    a_log_for_each_of_forty_servers,
    ninety_entries,
    two_hundred_nodes_for_weeks,
    long_names,
)
