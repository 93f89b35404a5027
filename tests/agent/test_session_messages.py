"""What a session message brings beside the node itself (SwarmKit agent/agent.go `handleSessionMessage`)."""

from __future__ import annotations

from swarmsim.api.messages import AssignmentsMessage, SessionMessage
from swarmsim.api.objects import EncryptionKey
from swarmsim.machine import Address

from .world import Prepare, S, World, task


def key(lamport: int, secret: str = "k") -> EncryptionKey:
    return EncryptionKey("networking:gossip", lamport, secret)


def told(world: World, *keys: EncryptionKey) -> list[int]:
    """Which keys the agent has after such a message."""
    world.push(SessionMessage("s1", world.node, ("m1",), keys, ""))
    return [k.lamport for k in world.agent.keys]


def test_keys_are_taken_when_one_of_them_is_new() -> None:
    """All of them, then; a message without keys, or with known ones only, changes nothing."""
    world = World().start()
    assert told(world) == []
    assert told(world, key(5), key(6), key(7)) == [5, 6, 7]

    assert told(world) == [5, 6, 7]
    assert told(world, key(6), key(7)) == [5, 6, 7]
    assert told(world, key(6), key(7), key(8)) == [6, 7, 8]


def test_a_message_through_another_manager_brings_nothing() -> None:
    world = World().start()
    world.push(SessionMessage("s1", world.node, ("m9",), (key(1),), ""), Address("m9", "dispatcher"))

    assert (world.agent.keys, list(world.agent.remotes.weights)) == ((), ["m1"])


def test_what_is_new_begins_before_what_is_gone_ends() -> None:
    """agent/worker.go `reconcileTaskState`: updates first, then what is not listed any more."""
    world = World(task("old", S.RUNNING)).start()
    world.engine.did.clear()

    world.push(AssignmentsMessage(True, "", "1", ((task("new"), 0),)))

    assert list(world.agent.worker.tasks) == ["new"]
    assert world.engine.did.index(("prepare", "new")) < world.engine.did.index(("stop", "old"))


def test_a_task_that_is_below_assigned_is_accepted_all_the_same() -> None:
    """exec.Do: NEW, PENDING and ASSIGNED become ACCEPTED."""
    world = World(task("t1", S.NEW, desired=S.ACCEPTED), task("t2", S.PENDING, desired=S.ACCEPTED)).start()

    assert [world.status(id).state for id in ("t1", "t2")] == [S.ACCEPTED, S.ACCEPTED]


def test_what_is_sent_again_is_saved_though_it_changes_nothing() -> None:
    """agent/storage.go `PutTask`: a restarted engine knows the newest object, and its own status of it."""
    world = World(task("t1")).start()
    status = world.status("t1")
    again = task("t1").evolve(version=7)

    world.update(again)

    saved, known = world.manager.saved["agent"]["t1"]
    assert (saved.version, known) == (7, status)
    assert world.engine.count(Prepare) == [1]
