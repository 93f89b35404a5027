"""*convergence* can fail: each clause of SCENARIOS.md section 9, what passes by rule, and what stays unknown."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmsim.api.states import Availability, NodeState, TaskState
from swarmsim.checks import FAIL, PASS, UNKNOWN, Convergence, ConvergenceWatch, Expectation, Verdict, walk
from swarmsim.trace.events import (
    BecameLeader,
    ContainerExited,
    ContainerStarted,
    HostCrashed,
    NodeChanged,
    RestartRefused,
    ServiceChanged,
    SteppedDown,
    SwarmReady,
    TaskChanged,
    TaskNotPlaced,
    TaskPlaced,
)
from tests.checks.story import SECOND, S, Story

LONG = 300.0  # after every bound


def judge(story: Story, end: float = LONG, wanted: Expectation | None = None) -> Verdict:
    check = Convergence(wanted)
    return check.verdict(walk(story.end(end), [check]))


def reasons(story: Story) -> list[str]:
    watch = ConvergenceWatch()
    for recorded in story.trace:
        watch.feed(recorded)
    assert watch.converged == (watch.reasons() == [])
    return watch.reasons()


def well() -> Story:
    """One service of one task, which runs on w1."""
    return Story().service().running()


def test_all_as_it_shall_be_passes() -> None:
    verdict = judge(well())

    assert (verdict.state, verdict.seen, verdict.details) == (PASS, "0.0 s after the start, bound 17.5 s", ())
    assert verdict.always


# ---- each clause fails ---------------------------------------------------------------------------------------
def job(**settings: Any) -> Story:
    return Story().service(mode="replicated-job", iteration=0, completions=2, **settings)


def global_service(**settings: Any) -> Story:
    """It runs on all five nodes."""
    story = Story().service(mode="global", replicas=0, **settings)
    for name in (*story.managers, *story.workers):
        story.running(f"t-{name}", name, slot=0, name=f"web.{name}")
    return story


#: what the report says -> how it came to be so
FAILS: dict[str, Story] = {
    "no manager leads": well().add(SteppedDown("m1", 2, "no quorum")),
    # -- a slot is empty, or there are too many
    "web: 1 of 2 slots are filled": well().service(replicas=2),
    "web: 2 of 1 slots are filled": well().running("t2", "w2", slot=2),
    "web.w1: no task": global_service().task("t-w1", S.RUNNING, action="REMOVE").exits("t-w1", "w1"),
    # -- exactly one task
    "web.1: 2 tasks are wanted": well().running("t2", "w2"),
    # -- up to date
    "web.1: its task is not up to date": well().service(template="t2"),
    # -- on a READY node
    "web.1: its task is on w1, which is DOWN": well().node("w1", state=NodeState.DOWN),
    "web.1: its task is on w1, which is UNKNOWN": well().node("w1", state=NodeState.UNKNOWN),
    "web.1: its task is on w1, which is DISCONNECTED": well().node("w1", state=NodeState.DISCONNECTED),
    "web.1: its task is on w1, which is gone": well().node("w1", action="REMOVE"),
    # -- its container really running
    "web.1: its container does not run on w1, though managers say RUNNING": well().exits(),
    "web.1: its container does not run on w2, though managers say RUNNING": Story().service().task(node="w2").runs(),
    # -- and no other container of it on READY nodes
    "web: 1 more containers run than are meant, on w1, w2": well()
    .task("t0", S.SHUTDOWN, desired=S.SHUTDOWN)
    .runs("t0", "w2"),
    "web: 1 more containers run than are meant, on w1": well()
    .task("t1", S.SHUTDOWN, desired=S.REMOVE)
    .service(action="REMOVE"),
    # -- a task on its way
    "web.1: its task is NEW": Story().service().task("t1", S.NEW),
    "web.1: its task is PENDING": Story().service().task("t1", S.PENDING),
    "web.1: its task is PREPARING": Story().service().task("t1", S.PREPARING),
    "web.1: its task is READY, to start later": Story().service().task("t1", S.READY, desired=S.READY),
    "web.1: its task is REJECTED: no such image": Story().service().task("t1", S.REJECTED, error="no such image"),
    "web.1: its task is FAILED: task: non-zero exit (1)": Story()
    .service()
    .task("t1", S.FAILED, error="task: non-zero exit (1)"),
    # -- what no node suits, in the scheduler's words
    "web.1: its task is PENDING: no suitable node (insufficient resources on 5 nodes)": Story()
    .service()
    .task("t1", S.PENDING)
    .add(TaskNotPlaced("t1", "web.1", "no suitable node (insufficient resources on 5 nodes)")),
    # -- jobs
    "web: 1 of 2 completed": job().task("t1", S.COMPLETE, desired=S.COMPLETE, iteration=0),
    "web: 0 of 2 completed": job().task("t1", S.COMPLETE, iteration=0).service(iteration=1),
    "web.2: its task is RUNNING": job()
    .task("t1", S.COMPLETE, iteration=0)
    .running("t2", "w2", slot=2, desired=S.COMPLETE, iteration=0),
    "web.w2: no task of the current run": Story(0, 0)
    .node("w2", action="CREATE")
    .service(mode="global-job", iteration=1)
    .task("t0", S.COMPLETE, slot=0, node="w2", iteration=0),
    # -- global services and their nodes
    "web.w1: its task is still wanted on w1, which is drained": global_service().node(
        "w1", availability=Availability.DRAIN
    ),
    "web.w1: its task is still wanted on w1, which is excluded by the constraints": global_service().service(
        constraints=("node.role == manager",)
    ),
}


@pytest.mark.parametrize("why", FAILS)
def test_each_clause_fails_and_says_which(why: str) -> None:
    assert why in reasons(FAILS[why])


@pytest.mark.parametrize("why", FAILS)
def test_after_the_bound_the_check_fails_with_the_reason(why: str) -> None:
    verdict = judge(FAILS[why])

    assert verdict.state is FAIL
    assert verdict.seen.startswith("not even 300.0 s after the start, bound ")
    assert why in "\n".join((verdict.seen, *verdict.details))
    assert verdict.details[-1].startswith("bound ")


def test_a_service_that_is_gone_means_no_container_whatever_its_tasks_say() -> None:
    """Its object goes first; its task is still wanted until the orchestrator comes to it."""
    assert reasons(well().service(action="REMOVE")) == ["web: 1 more containers run than are meant, on w1"]


def test_what_is_right_of_a_service_is_not_complained_of() -> None:
    """Its one slot is filled; only the container of the past is wrong."""
    story = well().task("t0", S.SHUTDOWN, desired=S.SHUTDOWN).runs("t0", "w2")

    assert reasons(story) == ["web: 1 more containers run than are meant, on w1, w2"]


def test_a_global_job_is_owed_by_every_eligible_node() -> None:
    story = Story().service(mode="global-job", iteration=0)
    missing = len([r for r in reasons(story) if r.endswith("no task of the current run")])
    for name in (*story.managers, *story.workers):
        story.task(f"t-{name}", S.COMPLETE, slot=0, node=name, iteration=0)

    assert missing == 5
    assert reasons(story) == []


def test_a_label_that_makes_a_node_eligible_makes_it_owe_a_task() -> None:
    story = Story().service(mode="global", replicas=0, constraints=("node.labels.zone == a",))
    before = reasons(story)
    story.node("w2", labels=(("zone", "a"),))
    after = reasons(story)
    story.running("t1", "w2", slot=0, name="web.w2")

    assert (before, after, reasons(story)) == ([], ["web.w2: no task"], [])


def test_many_slots_that_are_not_right_are_told_in_short() -> None:
    story = Story().service(replicas=20)
    for i in range(1, 21):
        story.task(f"t{i}", S.PENDING, slot=i, name=f"web.{i}")

    told = reasons(story)

    assert len(told) == 9
    assert told[0] == "web.1: its task is PENDING"
    assert told[-1] == "web: 12 more slots are not right"


def test_what_was_placed_is_no_longer_said_to_suit_no_node() -> None:
    story = Story().service().task("t1", S.PENDING).add(TaskNotPlaced("t1", "web.1", "no suitable node"))
    story.add(TaskPlaced("t1", "web.1", "w1", 1, 0, "", "")).task("t1", S.ASSIGNED)

    assert reasons(story) == ["web.1: its task is ASSIGNED"]


# ---- what passes by rule ---------------------------------------------------------------------------------------
def left_empty() -> Story:
    """Its task failed, and the restart policy's attempts are used up."""
    story = Story().service(condition="on-failure", max_attempts=1).task("t1", S.FAILED, desired=S.SHUTDOWN)
    return story.add(RestartRefused("t1", "web.1", "max attempts reached"))


PASSES: dict[str, tuple[Story, tuple[str, ...]]] = {
    "a slot whose attempts are used up": (left_empty(), ("web.1 left empty: max attempts reached",)),
    "a slot that the restart condition none leaves empty": (
        Story().service(condition="none").task("t1", S.COMPLETE, desired=S.SHUTDOWN),
        ("web.1 left empty: restart condition none",),
    ),
    "a service whose containers exit by themselves": (
        Story().service(ends_alone=True, replicas=3),
        ("web owes nothing: its containers exit by themselves",),
    ),
    "a job that is done, though its containers exit by themselves": (
        job(ends_alone=True).task("t1", S.COMPLETE, iteration=0).task("t2", S.COMPLETE, slot=2, iteration=0),
        (),
    ),
    "no services at all": (Story(), ()),
    "a service that was removed, its containers gone": (
        well().task("t1", S.SHUTDOWN, desired=S.REMOVE).exits().service(action="REMOVE"),
        (),
    ),
    "a container of the past on a node that is not READY": (
        well().task("t0", S.RUNNING, desired=S.SHUTDOWN, node="w2").runs("t0", "w2").node("w2", state=NodeState.DOWN),
        (),
    ),
    "no task of a global service on a node that is DOWN": (
        global_service()
        .task("t-w1", S.RUNNING, desired=S.SHUTDOWN)
        .exits("t-w1", "w1")
        .node("w1", state=NodeState.DOWN),
        (),
    ),
    "no task of a global service on a drained node": (
        global_service()
        .task("t-w1", S.SHUTDOWN, desired=S.SHUTDOWN)
        .exits("t-w1", "w1")
        .node("w1", availability=Availability.DRAIN),
        (),
    ),
    "a paused node keeps its task of a global service": (
        global_service().node("w1", availability=Availability.PAUSE),
        (),
    ),
    "and needs none": (
        global_service()
        .task("t-w1", S.FAILED, desired=S.SHUTDOWN)
        .exits("t-w1", "w1")
        .node("w1", availability=Availability.PAUSE),
        (),
    ),
    "no task of a global service where a constraint excludes the node": (
        Story().service(mode="global", replicas=0, constraints=("node.role == none",)),
        (),
    ),
    "scaled to nothing": (
        well().task("t1", S.SHUTDOWN, desired=S.REMOVE).exits().service(replicas=0),
        (),
    ),
    "the dead tasks of a slot's past": (
        well().task("t0", S.FAILED, desired=S.SHUTDOWN),
        (),
    ),
}


@pytest.mark.parametrize("what", PASSES)
def test_what_passes_by_rule_passes_and_deserves_a_word(what: str) -> None:
    story, notes = PASSES[what]

    verdict = judge(story)

    assert (verdict.state, verdict.details) == (PASS, notes)


def test_a_job_owes_its_completions_even_if_its_containers_exit_by_themselves() -> None:
    assert judge(job(ends_alone=True)).state is FAIL


def test_a_slot_that_was_left_empty_is_owed_again_once_there_is_a_new_task() -> None:
    story = left_empty().task("t2", S.PENDING)

    assert reasons(story) == ["web.1: its task is PENDING"]


def test_more_slots_than_wanted_fail_even_where_others_were_left_empty() -> None:
    story = left_empty().running("t2", "w2", slot=2).running("t3", "w2", slot=3)

    assert reasons(story) == ["web: 2 of 1 slots are filled"]


# ---- the moment -------------------------------------------------------------------------------------------------
def test_it_is_reached_at_the_moment_at_which_all_is_as_it_shall_be() -> None:
    story = Story().service().at(5).fault("crash", "w1").at(30).running()

    verdict = judge(story)

    assert (verdict.state, verdict.seen) == (PASS, "25.0 s after the last disturbance, bound 64.0 s")


def test_reached_after_the_bound_is_too_late() -> None:
    story = Story().service().at(5).step("pause", "w2").at(23).running()

    verdict = judge(story)

    assert (verdict.state, verdict.seen) == (FAIL, "only 18.0 s after the last disturbance, bound 17.5 s")


def test_to_the_end_of_the_run_a_later_failure_counts() -> None:
    """Nothing disturbs it, and a container is gone at 100 s: not converged."""
    assert judge(well().at(100).exits()).state is FAIL
    assert judge(well().at(100).exits().at(120).runs()).seen == "only 120.0 s after the start, bound 17.5 s"


def test_the_state_after_the_whole_microsecond_counts() -> None:
    """A task that is replaced within one microsecond was never missing."""
    story = well().at(100).exits().task("t1", S.FAILED, desired=S.SHUTDOWN).running("t2", "w2")

    assert judge(story).seen == "0.0 s after the start, bound 17.5 s"


@pytest.mark.parametrize(
    ("end", "state", "seen"),
    [
        (20.0, UNKNOWN, "the run ended 15.0 s after the last disturbance, bound 64.0 s: no manager leads"),
        (68.9, UNKNOWN, "the run ended 63.9 s after the last disturbance, bound 64.0 s: no manager leads"),
        (69.0, FAIL, "not even 64.0 s after the last disturbance, bound 64.0 s: no manager leads"),
    ],
)
def test_a_run_that_ends_before_the_bound_leaves_it_unknown(end: float, state: object, seen: str) -> None:
    story = well().at(5).fault("crash", "w1").add(SteppedDown("m1", 2, "no quorum"))

    verdict = judge(story, end)

    assert (verdict.state, verdict.seen) == (state, seen)


@pytest.mark.parametrize(
    ("end", "state", "seen"),
    [
        (40.0, UNKNOWN, "the run ended 10.0 s after it, quiet time 17.0 s"),
        (46.9, UNKNOWN, "the run ended 16.9 s after it, quiet time 17.0 s"),
        (47.0, PASS, "25.0 s after the last disturbance, bound 64.0 s"),
    ],
)
def test_a_run_that_ends_before_the_quiet_time_leaves_it_unknown(end: float, state: object, seen: str) -> None:
    """It must be kept: a node that is dead may not have been found out yet."""
    story = Story().service().at(5).fault("crash", "w1").at(30).running()

    verdict = judge(story, end)

    assert (verdict.state, verdict.seen) == (state, seen)


def test_the_quiet_time_counts_from_the_last_disturbance_where_all_was_well_before() -> None:
    story = well().at(50).fault("crash", "w2")

    assert judge(story, 66).state is UNKNOWN
    assert judge(story, 67).state is PASS


# ---- what a scenario may ask instead ------------------------------------------------------------------------------
def test_another_bound_may_be_asked_for() -> None:
    story = Story().service().at(5).step("pause", "w2").at(23).running()
    ask = Expectation("convergence", text="convergence 20s", line=9, bound=20 * SECOND)

    verdict = judge(story, wanted=ask)

    assert (verdict.state, verdict.name, verdict.line) == (PASS, "convergence 20s", 9)
    assert verdict.seen.endswith("bound 20.0 s")


def test_a_shorter_bound_fails_and_is_said_to_be_the_scenario_s() -> None:
    story = Story().service().at(5).step("pause", "w2")

    verdict = judge(story, 20, Expectation("convergence", bound=3 * SECOND))

    assert verdict.state is FAIL
    assert verdict.details[-1] == "bound 3.0 s, as the scenario says"


def test_it_may_be_waived_and_the_report_says_so_and_what_was_seen() -> None:
    verdict = judge(Story().service(), wanted=Expectation("convergence", waived=True))

    assert verdict.state is PASS
    assert verdict.seen.startswith("waived, no demand is made; not even 300.0 s after the start")


# ---- incremental: an event costs the same however many tasks there are ------------------------------------------
class Obvious:
    """The slow twin: keeps everything that was said, and judges all of it anew when it is asked."""

    def __init__(self) -> None:
        self.nodes: dict[str, NodeChanged] = {}
        self.services: dict[str, ServiceChanged] = {}
        self.tasks: dict[str, TaskChanged] = {}
        self.slots: dict[str, tuple[str, Any]] = {}  # of each task there ever was
        self.containers: dict[str, str] = {}
        self.refused: dict[tuple[str, Any], None] = {}
        self.ended: dict[tuple[str, Any], None] = {}
        self.leader = True

    def hear(self, e: Any) -> None:
        if isinstance(e, NodeChanged | ServiceChanged):
            table: Any = self.nodes if isinstance(e, NodeChanged) else self.services
            key = e.node if isinstance(e, NodeChanged) else e.service
            table.pop(key, None) if e.action == "REMOVE" else table.update({key: e})
        elif isinstance(e, TaskChanged):
            slot = (e.service, e.slot or e.node)
            if e.task not in self.slots:
                self.slots[e.task] = slot
                self.refused.pop(slot, None)
            if e.now > S.RUNNING:
                self.ended[slot] = None
            self.tasks.pop(e.task, None) if e.action == "REMOVE" else self.tasks.update({e.task: e})
        elif isinstance(e, ContainerStarted):
            self.containers[e.task] = e.node
        elif isinstance(e, ContainerExited):
            self.containers.pop(e.task, None)
        elif isinstance(e, RestartRefused):
            self.refused[self.slots[e.task]] = None
        else:
            self.leader = isinstance(e, BecameLeader)

    def converged(self) -> bool:
        return self.leader and all(map(self._service, {**self.services, **dict(self.slots.values())}))

    def _service(self, name: str) -> bool:
        service = self.services.get(name)
        filled = excused = 0
        keys = list(dict.fromkeys(slot for slot in self.slots.values() if slot[0] == name))
        if service is not None and service.mode == "global":
            keys += [(name, node) for node in self.nodes if (name, node) not in keys]
        for slot in keys:
            wanted = [t for t in self.tasks.values() if self.slots[t.task] == slot and t.desired < S.SHUTDOWN]
            meant = wanted[0].task if len(wanted) == 1 and service is not None else ""
            mine = [(task, node) for task, node in self.containers.items() if self.slots[task] == slot]
            if any(self._ready(node) and task != meant for task, node in mine):
                return False
            if service is None:
                continue
            if len(wanted) > 1 or (wanted and not self._right(service, wanted[0], slot)):
                return False
            filled += len(wanted)
            if wanted:
                continue
            if slot in self.refused or (service.condition == "none" and slot in self.ended):
                excused += 1
            elif service.mode == "global" and self._eligible(slot[1]):
                return False
        return service is None or service.mode == "global" or filled <= service.replicas <= filled + excused

    def _right(self, service: ServiceChanged, task: TaskChanged, slot: tuple[str, Any]) -> bool:
        here = service.mode != "global" or self._availability(slot[1]) not in (None, Availability.DRAIN)
        running = task.now is S.RUNNING and self.containers.get(task.task) == task.node
        return running and here and task.template == service.template and self._ready(task.node)

    def _ready(self, name: str) -> bool:
        return name in self.nodes and self.nodes[name].state is NodeState.READY

    def _availability(self, name: str) -> Availability | None:
        return self.nodes[name].availability if name in self.nodes else None

    def _eligible(self, name: str) -> bool:
        return self._ready(name) and self._availability(name) is Availability.ACTIVE


NODES = ("m1", "w1", "w2")
acts = st.one_of(
    st.tuples(st.just("node"), st.sampled_from(NODES), st.sampled_from(list(NodeState)[1:3])),
    st.tuples(st.just("availability"), st.sampled_from(NODES), st.sampled_from(list(Availability))),
    st.tuples(st.just("remove node"), st.sampled_from(NODES)),
    st.tuples(st.just("replicas"), st.integers(0, 2)),
    st.tuples(st.just("template"), st.sampled_from(["a", "agent"]), st.sampled_from(["t1", "t2"])),
    st.tuples(st.just("condition"), st.sampled_from(["any", "none"])),
    st.tuples(st.just("remove service"), st.sampled_from(["a", "agent"])),
    st.tuples(st.just("task"), st.integers(1, 2), st.sampled_from(NODES), st.sampled_from(["t1", "t2"])),
    st.tuples(st.just("global task"), st.sampled_from(NODES)),
    st.tuples(st.just("state"), st.integers(0, 9), st.sampled_from([S.RUNNING, S.FAILED, S.SHUTDOWN])),
    st.tuples(st.just("desired"), st.integers(0, 9), st.sampled_from([S.RUNNING, S.SHUTDOWN, S.REMOVE])),
    st.tuples(st.just("remove task"), st.integers(0, 9)),
    st.tuples(st.just("starts"), st.integers(0, 9), st.sampled_from(["", *NODES])),
    st.tuples(st.just("exits"), st.integers(0, 9)),
    st.tuples(st.just("refused"), st.integers(0, 9)),
    st.tuples(st.just("leader"), st.booleans()),
)


def tell(story: Story, act: tuple[Any, ...]) -> None:
    """One act of the above; nothing where it names a task that is not there."""
    what, *args = act
    alive = [id for id, t in story.tasks.items() if t.action != "REMOVE"]
    if what == "node":
        story.node(args[0], state=args[1])
    elif what == "availability":
        story.node(args[0], availability=args[1])
    elif what == "remove node":
        story.node(args[0], action="REMOVE")
    elif what == "replicas":
        story.service("a", replicas=args[0])
    elif what == "template":
        story.service(args[0], template=args[1])
    elif what == "condition":
        story.service("a", condition=args[0])
    elif what == "remove service":
        story.service(args[0], action="REMOVE")
    elif what == "task":
        id = f"t{len(story.tasks)}"
        story.task(id, S.RUNNING, service="a", slot=args[0], node=args[1], template=args[2]).runs(id, args[1])
    elif what == "global task":
        id = f"t{len(story.tasks)}"
        story.task(id, S.RUNNING, service="agent", slot=0, node=args[0]).runs(id, args[0])
    elif what == "leader":
        story.add(BecameLeader("m1", 9) if args[0] else HostCrashed("m1", "power"))
    elif alive:
        _tell_of(story, what, alive[args[0] % len(alive)], args)


def _tell_of(story: Story, what: str, id: str, args: list[Any]) -> None:
    task = story.tasks[id]
    if what == "state":
        story.task(id, args[1])
    elif what == "desired":
        story.task(id, task.now, desired=args[1])
    elif what == "remove task":
        story.task(id, task.now, action="REMOVE")
    elif what == "starts":
        story.runs(id, args[1] or task.node)
    elif what == "exits":
        story.exits(id, task.node)
    elif what == "refused":
        story.add(RestartRefused(id, task.name, "max attempts reached"))


@settings(max_examples=250, deadline=None)
@given(st.lists(acts, max_size=25), st.integers(0, 2**40))
def test_after_each_event_it_says_what_a_look_at_everything_would_say(
    script: list[tuple[Any, ...]], asked: int
) -> None:
    """Whether it was asked in between (where the bits of `asked` are set) or not."""
    story = Story(1, 2).service("a", replicas=1).service("agent", mode="global", replicas=0)
    for node in NODES:
        story.running(f"g-{node}", node, service="agent", slot=0)
    story.running("r", "w1", service="a")
    for act in script:
        tell(story, act)
    watch, twin = ConvergenceWatch(), Obvious()

    for recorded in story.trace:
        watch.feed(recorded)
        if not isinstance(recorded.event, SwarmReady):
            twin.hear(recorded.event)
        if asked >> recorded.seq & 1:
            assert watch.converged == twin.converged(), recorded

    assert watch.converged == twin.converged()


def test_a_task_state_may_be_any_of_the_list() -> None:
    """So the stories above are about all of them."""
    assert {S.NEW, S.REJECTED, S.ORPHANED} < set(TaskState)
