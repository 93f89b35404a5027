"""What a node is sent (SwarmKit manager/dispatcher/assignments.go and `Assignments` of dispatcher.go)."""

from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings

from swarmsim.api.messages import AssignmentsMessage, AssignmentsRequest
from swarmsim.api.objects import Task, TaskStatus
from swarmsim.api.specs import ContainerSpec, FileReference, TaskSpec
from swarmsim.api.states import TaskState
from swarmsim.trace.events import AssignmentsSent

from .world import MS, SECOND, World, config, node, refusal, secret, task

S = TaskState
STATES = [
    S.NEW,
    S.PENDING,
    S.ASSIGNED,
    S.ACCEPTED,
    S.PREPARING,
    S.READY,
    S.STARTING,
    S.RUNNING,
    S.COMPLETE,
    S.SHUTDOWN,
    S.FAILED,
    S.REJECTED,
]


def started(*objects: Any) -> World:
    world = World(node("w1"), node("w2"), *objects).start()
    world.register("w1")
    return world


def pushed(world: World) -> list[AssignmentsMessage]:
    """The incremental messages so far, a second after the last change."""
    world.run(SECOND)
    return world.pushed("w1", AssignmentsMessage)


def tasks_of(message: AssignmentsMessage) -> list[str]:
    return [t.id for t, _ in message.tasks]


def with_state(world: World, id: str, state: TaskState) -> Task:
    return world.store.tasks[id].evolve(status=TaskStatus(state))


def twelve() -> list[Any]:
    """C-071: one task in each state, each with a secret and a config of its own and a shared one."""
    objects: list[Any] = [secret("shared"), config("shared")]
    for state in STATES:
        name = state.name.lower()
        objects += [secret(name), config(name), task(name, state, secrets=("shared", name), configs=("shared", name))]
    return objects


def test_assignments_need_a_session() -> None:
    """C-070 TestAssignmentsErrorsIfNoSessionID."""
    world = started()

    assert refusal(world, AssignmentsRequest("w1", "")) == ("InvalidArgument", "session invalid")


def test_the_first_message_is_complete() -> None:
    """C-071 TestAssignmentsInitialNodeTasks: tasks from ASSIGNED on, dependencies of those up to RUNNING."""
    world = started(*twelve())

    message = world.assignments()

    names = [s.name.lower() for s in STATES]
    assert message.complete
    assert tasks_of(message) == names[2:]
    assert [s.name for s in message.secrets] == ["shared", *names[2:8]]
    assert [c.name for c in message.configs] == ["shared", *names[2:8]]
    assert (message.applies_to, message.results_in) == ("", "1")


def test_only_what_matters_is_sent_again() -> None:
    """C-071: of twelve tasks rewritten as they are, the ASSIGNED one; what only ended tasks used is removed."""
    world = started(*twelve())
    world.assignments()

    world.manager.write(*world.store.tasks.values())

    (message,) = pushed(world)
    ended = [f"id-{s.name.lower()}" for s in STATES if s > S.RUNNING]
    assert not message.complete
    assert tasks_of(message) == ["assigned"]
    assert list(message.removed_secrets) == list(message.removed_configs) == ended
    assert (message.secrets, message.configs, message.removed_tasks) == ((), (), ())


def test_deleted_tasks_are_removed_with_their_dependencies() -> None:
    """C-071: all ten that the node was told of."""
    world = started(*twelve())
    world.assignments()

    world.manager.delete(*world.store.tasks.values())

    (message,) = pushed(world)
    names = [s.name.lower() for s in STATES[2:]]
    assert list(message.removed_tasks) == names
    assert sorted(message.removed_secrets) == sorted(f"id-{n}" for n in ["shared", *names])
    assert sorted(message.removed_configs) == sorted(f"id-{n}" for n in ["shared", *names])


def test_changes_of_secrets_and_configs_are_never_pushed() -> None:
    """C-073 TestAssignmentsDependencyUpdateAndDeletion."""
    world = started(secret("s"), config("c"), task("t1", secrets=("s",), configs=("c",)))
    world.assignments()
    objects = (world.store.secrets["id-s"], world.store.configs["id-c"])

    world.manager.write(*objects)
    world.manager.delete(*objects)

    assert pushed(world) == []


def test_a_dependency_that_is_gone_from_the_store_is_still_taken_back() -> None:
    """What was sent is known by its id."""
    world = started(secret("s"), task("t1", secrets=("s",)))
    world.assignments()
    world.manager.delete(world.store.secrets["id-s"])

    world.manager.delete(world.store.tasks["t1"])

    assert pushed(world)[0].removed_secrets == ("id-s",)


def test_a_change_of_status_is_not_sent() -> None:
    """C-074 TestTasksStatusChange: the agent knows it best."""
    world = started(task("t1", S.RUNNING), task("t2", S.RUNNING))
    world.assignments()

    world.manager.write(with_state(world, "t1", S.FAILED))

    assert pushed(world) == []


def test_a_task_that_ends_releases_what_nobody_else_uses() -> None:
    """A Remove for each dependency without another user, and nothing of the task."""
    both = ("own", "shared")
    world = started(
        secret("own"), secret("shared"), task("t1", S.RUNNING, secrets=both), task("t2", S.RUNNING, secrets=("shared",))
    )
    world.assignments()

    world.manager.write(with_state(world, "t1", S.COMPLETE))

    (message,) = pushed(world)
    assert (message.tasks, message.removed_tasks, message.removed_secrets) == ((), (), ("id-own",))


def test_a_change_of_the_desired_state_is_sent() -> None:
    """And a task below ASSIGNED is not."""
    world = started(task("t1", S.RUNNING), task("t2", S.PENDING))
    world.assignments()

    shut = [world.store.tasks[id].evolve(desired_state=S.SHUTDOWN) for id in ("t1", "t2")]
    world.manager.write(*shut)

    (message,) = pushed(world)
    assert tasks_of(message) == ["t1"]


def test_the_creation_of_a_task_is_not_noticed() -> None:
    """Only updates and deletions are watched; the scheduler's update is what brings it."""
    world = started()
    world.assignments()
    world.manager.create(task("t1", S.ASSIGNED))
    assert pushed(world) == []

    world.manager.write(world.store.tasks["t1"])

    assert [tasks_of(m) for m in pushed(world)] == [["t1"]]


def test_an_assigned_task_is_always_sent_again() -> None:
    """States up to ASSIGNED are the managers', so the agent must hear of them."""
    world = started(task("t1", S.ASSIGNED))
    world.assignments()

    world.manager.write(world.store.tasks["t1"])

    assert [tasks_of(m) for m in pushed(world)] == [["t1"]]


def test_other_nodes_tasks_are_not_sent() -> None:
    world = started(task("t1", node_id="w2"))
    world.assignments()
    world.manager.write(world.store.tasks["t1"])

    assert pushed(world) == []


def test_a_missing_dependency_is_left_out() -> None:
    """The task is sent all the same."""
    world = started(secret("s"), task("t1", secrets=("missing", "s")))

    message = world.assignments()

    assert tasks_of(message) == ["t1"]
    assert [s.name for s in message.secrets] == ["s"]


def test_messages_are_numbered() -> None:
    """`ResultsIn` counts, `AppliesTo` is the one before: the agent notices a gap."""
    world = started(task("t1", S.ASSIGNED))
    world.assignments()
    for _ in range(2):
        world.manager.write(world.store.tasks["t1"])
        world.run(SECOND)

    assert [(m.applies_to, m.results_in) for m in pushed(world)] == [("1", "2"), ("2", "3")]


def test_a_message_waits_for_100_ms_of_silence() -> None:
    """Each modification begins the wait anew."""
    world = started(task("t1", S.ASSIGNED), task("t2", S.ASSIGNED))
    world.assignments()
    for _ in range(5):
        world.manager.write(world.store.tasks["t1"])
        world.run(90 * MS)
    assert not world.pushed("w1", AssignmentsMessage)

    world.run(10 * MS)

    assert len(world.pushed("w1", AssignmentsMessage)) == 1


def test_the_hundredth_modification_is_not_waited_for() -> None:
    """Modifications are counted, not what comes of them: one task written a hundred times will do."""
    world = started(task("t1", S.ASSIGNED))
    world.assignments()
    for _ in range(99):
        world.manager.write(world.store.tasks["t1"])
        world.run(MS)
    assert not world.pushed("w1", AssignmentsMessage)

    world.manager.write(world.store.tasks["t1"])
    world.run(0)

    assert len(world.pushed("w1", AssignmentsMessage)) == 1


def test_secrets_leave_with_the_tasks_that_use_them_only() -> None:
    """A node never holds a secret that none of its tasks uses (S-11)."""
    world = started(secret("s"), task("t1", node_id="w2", secrets=("s",)))

    assert world.assignments().secrets == ()


def test_each_message_with_tasks_is_told_to_the_trace() -> None:
    world = started(task("t1"))
    world.assignments()

    (event,) = world.manager.events(AssignmentsSent)
    assert (event.node, event.complete, event.tasks, event.removed) == ("w1", True, 1, 0)


class Agent:
    """Applies what it is sent, as an agent does."""

    def __init__(self) -> None:
        self.tasks: dict[str, Task] = {}
        self.secrets: dict[str, None] = {}

    def apply(self, message: AssignmentsMessage) -> None:
        if message.complete:
            self.tasks, self.secrets = {}, {}
        self.secrets |= {s.id: None for s in message.secrets}
        self.tasks |= {t.id: t for t, _ in message.tasks}
        for id in message.removed_tasks:
            self.tasks.pop(id, None)
        for id in message.removed_secrets:
            self.secrets.pop(id, None)


moves = st.lists(
    st.tuples(
        st.sampled_from(["create", "assign", "run", "end", "shut", "delete"]),
        st.integers(0, 3),
        st.sampled_from([(), ("a",), ("a", "b")]),
    ),
    max_size=25,
)


@settings(deadline=None, max_examples=60)
@given(moves, st.integers(0, 2))
def test_an_agent_that_applies_what_it_is_sent_has_what_it_needs(history: Any, wait: int) -> None:
    """Whatever happens: it knows all tasks from ASSIGNED on, and holds the secrets of those that live, only those."""
    world = started(secret("a"), secret("b"))
    agent = Agent()
    agent.apply(world.assignments())
    seen = 0
    for n, (what, which, secrets) in enumerate(history):
        _move(world, what, f"t{which}", secrets)
        if n % 3 == wait:
            world.run(200 * MS)
    world.run(SECOND)
    for message in world.pushed("w1", AssignmentsMessage)[seen:]:
        agent.apply(message)

    wanted = {t.id: t for t in world.store.tasks.values() if t.status.state >= S.ASSIGNED}
    assert agent.tasks.keys() == wanted.keys()
    assert {id: t.desired_state for id, t in agent.tasks.items()} == {id: t.desired_state for id, t in wanted.items()}
    used = {f"id-{r.name}" for t in wanted.values() if t.status.state <= S.RUNNING for r in t.spec.container.secrets}
    assert set(agent.secrets) == used


def _move(world: World, what: str, id: str, secrets: tuple[str, ...]) -> None:
    known = world.store.tasks.get(id)
    if what == "create" and known is None:
        world.manager.create(task(id, S.PENDING, secrets=secrets))
    elif known is None:
        return
    elif what == "assign" and known.status.state is S.PENDING:
        world.manager.write(with_state(world, id, S.ASSIGNED))
    elif what == "run" and known.status.state is S.ASSIGNED:
        world.manager.write(with_state(world, id, S.RUNNING))
    elif what == "end" and known.status.state is S.RUNNING:
        world.manager.write(with_state(world, id, S.FAILED))
    elif what == "shut" and known.desired_state is S.RUNNING:
        world.manager.write(known.evolve(desired_state=S.SHUTDOWN))
    elif what == "delete":
        world.manager.delete(known)


def test_a_reference_with_an_id_brings_the_file_of_that_id() -> None:
    """assignments.go `addTaskDependencies`: by id."""
    world = World(node("w1"), secret("a"), task("t1"))
    reference = FileReference("a", "file", id="id-a")
    lost = FileReference("a", "file", id="gone")
    for id, secrets in (("t2", (reference,)), ("t3", (lost,))):
        world.manager.create(task(id).evolve(spec=TaskSpec(ContainerSpec("busybox", secrets=secrets))))
    world.start()
    world.register("w1")

    message = world.assignments()

    assert [s.id for s in message.secrets] == ["id-a"]
    assert tasks_of(message) == ["t1", "t2", "t3"]
