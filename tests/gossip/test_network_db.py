"""Networks and rows (libnetwork/networkdb), and what they do to the load balancer."""

import pytest

from swarmsim.agent.load_balancer import LoadBalancer
from swarmsim.gossip import (
    AddEndpoint,
    DisableEndpoint,
    EndpointRecord,
    Gossip,
    JoinNetwork,
    LeaveNetwork,
    RemoveEndpoint,
)
from swarmsim.gossip.messages import Alive, BulkSync, Dead, Incarnation, NetworkEvent, Packet, TableEvent
from swarmsim.gossip.state import State
from swarmsim.machine import SECOND, Address, RecordingOutbox
from swarmsim.trace.events import EndpointDropped, EndpointLearned

from .world import World, drive, endpoint

RESIDUAL = 1800 * SECOND


class Node:
    """Node `me` on network `net`, with owner `b` on it, too."""

    def __init__(self, attached: bool = True) -> None:
        self.balancer = LoadBalancer()
        self.machine = Gossip("me", ("b", "c"), balancer=self.balancer)
        self.out = RecordingOutbox(Address("me", "gossip"))
        self.machine.on_start({}, self.out)
        drive(self.machine, self.out, "me", JoinNetwork("net"))
        if attached:
            self.hear(NetworkEvent("b", 0, "net", 1, False))

    @property
    def state(self) -> State:
        return self.machine.state

    def hear(self, *parts: TableEvent | NetworkEvent | Dead) -> None:
        drive(self.machine, self.out, "c", Packet(parts))

    def watched(self) -> list[str]:
        """What the load balancer did: + learned, - dropped."""
        signs = {EndpointLearned: "+", EndpointDropped: "-"}
        return [signs[type(event)] + event.task for event in self.out.events if type(event) in signs]

    def relayed(self) -> list[str]:
        return [s.key for s in self.state.db.own["net"].relayed.statements() if isinstance(s, TableEvent)]


def row(key: str, ltime: int, deleting: bool = False, owner: str = "b", ip: str = "old") -> TableEvent:
    record = endpoint(key, "net")._replace(ip=ip)
    return TableEvent(owner, 0, ltime, "net", key, record, deleting, RESIDUAL if deleting else 0)


def test_late_news_of_a_row_is_ignored_and_differences_are_local() -> None:
    """G-103, G-104, G-106."""
    node = Node()

    node.hear(row("k", 4), row("k", 6, deleting=True), row("k", 8, deleting=True), row("k", 10, ip="new"))
    node.hear(row("l", 11, ip="b"), row("l", 10, ip="a"))
    node.hear(row("m", 16, deleting=True), row("m", 15), row("m", 18, deleting=True))

    assert node.watched() == ["+k", "-k", "+k", "+l"]
    rows = node.state.db.rows["net"]
    assert rows["l"].event.value.ip == "b"
    assert rows["k"].event.value.ip == "new"


def test_a_row_of_an_owner_that_is_not_on_the_network_is_refused() -> None:
    """G-109."""
    node = Node(attached=False)

    node.hear(row("k", 4))

    assert not node.state.db.rows["net"]
    assert not node.relayed()


def test_a_planned_row_waits_for_its_owner_to_be_known() -> None:
    """Ours: no repetition comes of it (swarmsim.gossip, departures)."""
    node = Node(attached=False)

    drive(node.machine, node.out, "b", Packet((row("k", 4),), relay=False, complete=True))
    before = node.watched()
    node.hear(NetworkEvent("b", 0, "net", 1, False))

    assert (before, node.watched()) == ([], ["+k"])


@pytest.mark.parametrize(
    ("by_sync", "residual", "relayed"),
    [(False, 1800, []), (True, 301, ["k"]), (True, 300, [])],
)
def test_a_deletion_of_what_was_never_known_is_rarely_passed_on(
    by_sync: bool, residual: int, relayed: list[str]
) -> None:
    """G-110: it is stored in any case."""
    node = Node()
    node.state.db.own["net"].in_sync = True
    deletion = row("k", 4, deleting=True)._replace(residual=residual * SECOND)

    if by_sync:
        drive(node.machine, node.out, "b", BulkSync(1, {}, (deletion,), ()))
    else:
        node.hear(deletion)

    assert node.relayed() == relayed
    assert node.state.db.rows["net"]["k"].event.deleting


def test_a_lamport_clock_runs_ahead_of_what_it_hears() -> None:
    """G-112."""
    node = Node()
    db = node.state.db
    db.table_clock = 5

    seen = []
    for ltime in (3, 5, 9):
        node.hear(row(f"k{ltime}", ltime))
        seen.append(db.table_clock)

    assert seen == [5, 6, 10]


def test_a_failed_nodes_rows_are_hidden_and_come_back_with_it() -> None:
    """G-113, G-115, G-116 (moby HEAD)."""
    node = Node()
    node.hear(row("k", 4), row("l", 5), row("m", 6))

    node.hear(Dead("b", Incarnation(0, 1), "c"))
    hidden = node.watched()[3:]
    node.hear(row("k", 7, ip="new"), row("l", 8, deleting=True))
    meanwhile = node.watched()[6:]
    drive(node.machine, node.out, "c", Packet((_alive("b", 2),)))

    assert hidden == ["-k", "-l", "-m"]
    assert meanwhile == []
    assert node.watched()[6:] == ["+k", "+m"]
    assert node.state.db.rows["net"]["k"].event.value.ip == "new"


def _alive(name: str, number: int, born: int = 0) -> Alive:
    return Alive(name, Incarnation(born, number))


def test_hidden_rows_are_reaped_after_half_an_hour() -> None:
    """G-118."""
    node = Node()
    node.hear(row("k", 4))
    node.hear(Dead("b", Incarnation(0, 1), "c"))

    node.out.now = 1801 * SECOND
    drive(node.machine, node.out, "c", Packet((_alive("b", 2),)))

    assert node.watched() == ["+k", "-k"]
    assert not node.state.db.rows["net"]


def test_a_new_run_of_the_owner_has_none_of_the_old_rows() -> None:
    """Section 2.8: reincarnation."""
    node = Node()
    node.hear(row("k", 4))

    drive(node.machine, node.out, "c", Packet((_alive("b", 1, born=9),)))

    assert node.watched() == ["+k", "-k"]
    assert all("b" not in on for on in node.state.db.attachments.values())


def test_leaving_a_network_takes_the_rows_along() -> None:
    """Section 2.4: LEAVE; and section 2.6 on the node itself."""
    node = Node()
    node.hear(row("k", 4))

    node.hear(NetworkEvent("b", 0, "net", 2, True))
    after_owner_left = node.watched()
    node.hear(NetworkEvent("b", 0, "net", 3, False), row("k", 5))
    drive(node.machine, node.out, "me", LeaveNetwork("net"))

    assert after_owner_left == ["+k", "-k"]
    assert node.watched() == ["+k", "-k", "+k", "-k"]
    assert not node.balancer.destinations("net", "10.0.0.5")


def test_a_service_task_is_added_disabled_and_removed() -> None:
    """G-092, G-124, G-125: weight 1, weight 0, gone; enabled again: weight 1."""
    node = Node()
    weights = []

    def now() -> None:
        weights.append(node.balancer.destinations("net", "10.0.0.5").get("k"))

    for message in (
        AddEndpoint(endpoint("k", "net")),
        DisableEndpoint("k", "net"),
        AddEndpoint(endpoint("k", "net")),
        DisableEndpoint("k", "net"),
        RemoveEndpoint("k", "net"),
    ):
        drive(node.machine, node.out, "me", message)
        now()

    assert weights == [1, 0, 1, 0, None]
    assert node.watched() == ["+k", "-k", "+k", "-k"]


def test_a_tombstone_takes_no_update_and_no_second_deletion() -> None:
    """G-088."""
    node = Node()
    drive(node.machine, node.out, "me", AddEndpoint(endpoint("k", "net")))
    drive(node.machine, node.out, "me", RemoveEndpoint("k", "net"))
    before = node.state.db.rows["net"]["k"].event

    drive(node.machine, node.out, "me", DisableEndpoint("k", "net"))
    drive(node.machine, node.out, "me", RemoveEndpoint("k", "net"))

    assert node.state.db.rows["net"]["k"].event == before


def test_rows_reach_the_members_of_their_network_only() -> None:
    """G-085, G-086."""
    world = World(3)
    for name in ("n000", "n001"):
        world.tell(name, JoinNetwork("back"))
    world.run(5 * SECOND)

    world.tell("n000", AddEndpoint(endpoint("t", "back")))
    world.run(5 * SECOND)
    created = world.rows("n001", "back"), world.rows("n002", "back")
    world.tell("n000", RemoveEndpoint("t", "back"))
    world.run(5 * SECOND)

    assert created == ({"t"}, set())
    assert world.rows("n001", "back") == set()


def test_a_node_that_joins_a_network_gets_its_rows_at_once() -> None:
    """Section 2.6: by bulk sync."""
    world = World(4)
    for name in world.names[:3]:
        world.tell(name, JoinNetwork("back"))
    for i, name in enumerate(world.names[:3]):
        world.tell(name, AddEndpoint(endpoint(f"t{i}", "back")))
    world.run(60 * SECOND)

    world.tell("n003", JoinNetwork("back"))
    took = world.run_until(lambda: len(world.rows("n003", "back")) == 3, SECOND)

    assert took < SECOND // 10


@pytest.mark.parametrize("exact", [False, True])
def test_write_in_the_same_breath_as_the_join_is_repaired_by_gossip(exact: bool) -> None:
    """G-131."""
    world = World(10, seed=3, exact=exact)
    for name in world.names[1:]:
        world.tell(name, JoinNetwork("back"))
    world.run(40 * SECOND)

    world.tell("n000", JoinNetwork("back"))
    world.tell("n000", AddEndpoint(endpoint("t", "back")))

    def all_know() -> bool:
        return all("t" in world.rows(name, "back") for name in world.names)

    assert world.run_until(all_know, 30 * SECOND) < 5 * SECOND


def test_the_record_of_a_dnsrr_service_has_no_virtual_ip() -> None:
    record: EndpointRecord = endpoint("k", "net", vip="")
    balancer = LoadBalancer()

    balancer.learn(record)

    assert balancer.pick("net", "web") == record
