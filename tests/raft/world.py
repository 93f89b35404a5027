"""A hostile world for Raft servers: a network that loses, repeats and reorders, disks that forget what was not synced.

`World` does one thing at a time (deliver this message, run this stage of a Ready, crash that server) and lets
`safety.Safety` judge after each. Nothing happens by itself, so a schedule is a list of calls; `settle` and `elect`
abbreviate the usual ones. The state machine of Hypothesis and the schedules of `test_ablation` both drive it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from random import Random
from typing import Any

from swarmsim.errors import Panic
from swarmsim.raft import (
    ConfChange,
    ConfChangeV2,
    Config,
    ConfState,
    Entry,
    EntryType,
    HardState,
    Message,
    ProposalDropped,
    RaftError,
    RandomStream,
    RawNode,
    Ready,
    Role,
    Snapshot,
)
from swarmsim.raft.membership import ConfChangeTransition, ConfChangeType
from swarmsim.raft.messages import AppendEntries
from tests.raft.safety import Safety, View

AUTO = ConfChangeTransition.AUTO
REMEMBERED = 256  # messages sent, for a network that repeats old ones
FIRST = 1  # all but spare servers begin with a snapshot at this index, of term 1


class Disk:
    """Writes in order; those since the last sync may be lost, the later before the earlier (a write-ahead log)."""

    def __init__(self, snapshot: Snapshot | None) -> None:
        self.snapshot = snapshot
        self.entries: list[Entry] = []
        self.hard_state = HardState(snapshot.term, 0, snapshot.index) if snapshot else HardState()
        self.unsynced: list[Any] = []

    def sync(self, count: int | None = None) -> None:
        """Make the first `count` unsynced writes durable, by default all."""
        now, self.unsynced = self.unsynced[:count], self.unsynced[count:] if count is not None else []
        for write in now:
            if isinstance(write, HardState):
                self.hard_state = write
            elif isinstance(write, Snapshot):
                self._snapshot(write)
            else:
                self.entries = [entry for entry in self.entries if entry.index < write.index] + [write]

    def _snapshot(self, snapshot: Snapshot) -> None:
        """What it covers goes; what follows stays only if the log leads up to it."""
        same = any(e.index == snapshot.index and e.term == snapshot.term for e in self.entries)
        self.entries = [entry for entry in self.entries if same and entry.index > snapshot.index]
        self.snapshot = snapshot


class Node:
    """One server with its disk, its state machine, and the Ready it works on, stage by stage."""

    def __init__(self, id: int, disk: Disk, stream: RandomStream) -> None:
        self.id = id
        self.disk = disk
        self.stream = stream
        self.life = 0
        self.raft: RawNode | None = None
        self.ready: Ready | None = None
        self.stages: list[str] = []
        self.applied = 0
        self.digest = 0
        self.conf = ConfState()


class World:
    def __init__(
        self,
        voters: Sequence[int] = (1, 2, 3),
        *,
        spare: Sequence[int] = (),
        core: type[RawNode] = RawNode,
        seed: int = 0,
        stream: RandomStream | None = None,
        learners: Sequence[int] = (),
        **options: Any,
    ) -> None:
        self.core = core
        self.options = options
        self.safety = Safety()
        self.flying: list[Message] = []
        self.past: deque[Message] = deque(maxlen=REMEMBERED)
        self.pace: dict[int, int | None] = {}  # Readys that a server works on at a time
        self.echoes = False  # the first of some messages arrives again after the last
        self.keep: int | None = None  # entries of an AppendEntries that arrive
        self.cut: set[tuple[int, int]] = set()
        self.reads = 0
        snapshot = Snapshot(FIRST, 1, ConfState(tuple(voters), (), tuple(learners)), (FIRST, 0))
        self.safety.begin(FIRST, 1, 0)
        self.nodes: dict[int, Node] = {}
        for id in (*voters, *learners, *spare):
            disk = Disk(None if id in spare else snapshot)
            self.nodes[id] = Node(id, disk, stream or Random(f"{seed} {id}"))
            self.restart(id)

    def __getitem__(self, id: int) -> RawNode:
        raft = self.nodes[id].raft
        assert raft is not None, f"{id} is down"
        return raft

    # -- who is there --
    def up(self) -> list[int]:
        return [id for id, node in self.nodes.items() if node.raft is not None]

    def down(self) -> list[int]:
        return [id for id, node in self.nodes.items() if node.raft is None]

    def leaders(self) -> list[int]:
        return [id for id in self.up() if self[id].role is Role.LEADER]

    def leader(self) -> int:
        """The leader of the highest term, or 0."""
        return max(((self[id].current_term, id) for id in self.leaders()), default=(0, 0))[1]

    def look(self, id: int) -> None:
        """Let the judge see a server."""
        node, raft = self.nodes[id], self[id]
        log = raft.log
        view = View(
            id,
            node.life,
            raft.role is Role.LEADER,
            raft.current_term,
            raft.commit_index,
            log.first_index,
            log.term(log.first_index - 1) or 0,
            log.entries_from(log.first_index),
        )
        self.safety.look(view)

    # -- crashing and starting --
    def crash(self, id: int, lose: bool = False, torn: int = 0) -> None:
        """Power off. `lose`: unsynced writes go, but the first `torn` of them and of those that were being written."""
        node = self.nodes[id]
        if "write" in node.stages and node.ready is not None:
            node.disk.unsynced += writes_of(node.ready)
            node.disk.sync(torn)
        node.disk.sync(torn if lose else None)
        node.disk.unsynced = []
        node.raft = node.ready = None
        node.stages = []
        self.safety.gone(id)

    def restart(self, id: int) -> None:
        """A server comes up with what its disk holds; its state machine begins with the snapshot."""
        node, disk = self.nodes[id], self.nodes[id].disk
        node.life += 1
        config = Config(id=id, rng=node.stream, snapshot_source=lambda: self.newest(id), **self.options)
        node.raft = self.core(config, disk.hard_state, disk.snapshot, disk.entries)
        node.applied, node.digest = disk.snapshot.data if disk.snapshot else (0, 0)
        node.conf = disk.snapshot.conf_state if disk.snapshot else ConfState()
        self.look(id)

    # -- the Ready cycle --
    def busy(self) -> list[int]:
        """Servers with something to do."""
        return [id for id in self.up() if self.nodes[id].stages or self[id].has_ready()]

    def stage(self, id: int) -> None:
        """The next stage of the Ready at hand: write, send, apply, advance; or take a new one."""
        node = self.nodes[id]
        if not node.stages:
            node.ready = self[id].ready()
            first = ["write", "send"] if self[id].persists_before_sending() else ["send", "write"]
            node.stages = ["take", *first, "apply", "advance"]
        stage = node.stages.pop(0)
        if stage != "take":
            getattr(self, f"_{stage}")(node, self[id], node.ready)
        self.look(id)

    def run(self, id: int) -> None:
        """All stages of the Ready at hand, and of a new one if there was none."""
        self.stage(id)
        while self.nodes[id].stages:
            self.stage(id)

    def work(self, id: int) -> None:
        """All Readys that there are, or as many as the pace allows."""
        done, pace = 0, self.pace.get(id)
        while done != pace and (self.nodes[id].stages or self[id].has_ready()):
            self.run(id)
            done += 1

    def answer(self, id: int) -> None:
        """All stages up to sending."""
        while self.nodes[id].stages or self[id].has_ready():
            self.stage(id)
            if "send" not in self.nodes[id].stages:
                return

    def _write(self, node: Node, raft: RawNode, ready: Ready) -> None:
        node.disk.unsynced += writes_of(ready)
        if ready.must_sync or ready.snapshot is not None:
            node.disk.sync()

    def _send(self, node: Node, raft: RawNode, ready: Ready) -> None:
        self.flying += ready.messages
        self.past += ready.messages
        for read in ready.read_states:
            self.safety.answered(node.id, read.request, read.index)

    def _apply(self, node: Node, raft: RawNode, ready: Ready) -> None:
        if ready.snapshot is not None:
            node.applied, node.digest = ready.snapshot.data
            node.conf = ready.snapshot.conf_state
            self.safety.restored(node.id, node.applied, node.digest)
        for entry in ready.committed_entries:
            if entry.type is not EntryType.NORMAL and is_possible(node.conf, entry.data):
                node.conf = raft.apply_conf_change(entry.data)
            node.digest = self.safety.apply(node.id, node.digest, entry)
            node.applied = entry.index

    def _advance(self, node: Node, raft: RawNode, ready: Ready) -> None:
        raft.advance()
        node.ready = None

    # -- the network --
    def deliver(self, position: int = 0) -> None:
        """The message at `position` arrives, or is lost if it cannot."""
        m = self.flying.pop(position)
        if isinstance(m, AppendEntries) and self.keep is not None:
            m = m._replace(entries=m.entries[: self.keep])
        node = self.nodes.get(m.dst)
        if node is None or node.raft is None or (m.src, m.dst) in self.cut:
            return
        try:
            node.raft.step(m)
        except RaftError:
            pass
        except Panic:
            if self.core is RawNode:
                raise
            self.crash(m.dst)  # without a rule that happens: the process dies, as etcd's does, and is started again
            self.restart(m.dst)
            return
        self.look(m.dst)

    def arrive(self, *messages: Message) -> None:
        """These messages arrive now, whether they were in flight or not."""
        for m in messages:
            self.flying.insert(0, m)
            self.deliver(0)

    def take(self, src: int, dst: int) -> list[Message]:
        """Take what flies from `src` to `dst` out of the air: to lose it, or to let it arrive later."""
        taken = [m for m in self.flying if m.src == src and m.dst == dst]
        self.flying = [m for m in self.flying if m.src != src or m.dst != dst]
        return taken

    def take_all(self, dst: int) -> list[Message]:
        """Take out of flight what is on its way to `dst`."""
        taken = [m for m in self.flying if m.dst == dst]
        self.flying = [m for m in self.flying if m.dst != dst]
        return taken

    def pass_on(self, src: int, dst: int) -> None:
        """All messages now flying from `src` to `dst` arrive."""
        messages = self.take(src, dst)
        self.arrive(*messages, *(messages[:1] if self.echoes else ()))

    def lose_all(self) -> None:
        """What is in flight is lost."""
        self.flying = []

    def duplicate(self, position: int = 0) -> None:
        self.flying.append(self.flying[position])

    def isolate(self, *ids: int) -> None:
        """Nothing passes between these servers and the others."""
        for a in self.nodes:
            for b in self.nodes:
                if (a in ids) != (b in ids):
                    self.cut.add((a, b))

    def heal(self) -> None:
        self.cut.clear()

    def settle(self, *ids: int, rounds: int = 40) -> None:
        """Let these servers (default: all) work and talk with each other until all is quiet."""
        only = set(ids or self.nodes)
        for _ in range(rounds):
            for id in self.up():
                if id in only:
                    self.work(id)
            arriving = [m for m in self.flying if m.src in only and m.dst in only]
            if not arriving:
                return
            self.flying = [m for m in self.flying if m.src not in only or m.dst not in only]
            self.arrive(*arriving)

    def talk(self, id: int, others: Sequence[int], back: bool = True) -> None:
        """`id` works and these others hear it; `back`: they work too, and it hears and works again."""
        self.settle(id)
        for other in others:
            self.pass_on(id, other)
            if back:
                self.settle(other)
                self.pass_on(other, id)
        if back:
            self.settle(id)

    # -- stimuli --
    def tick(self, id: int, count: int = 1) -> None:
        for _ in range(count):
            self[id].tick()
            self.look(id)

    def campaign(self, id: int) -> None:
        self[id].campaign()
        self.look(id)

    def elect(self, id: int, *voters: int, tries: int = 5) -> bool:
        """`id` campaigns and these servers answer, nobody else hears of it; again in the next term if it fails.

        Who wins has written its first entry, and its messages fly.
        """
        for _ in range(tries):
            self.flying = [m for m in self.flying if id not in (m.src, m.dst)]
            self.campaign(id)
            self.talk(id, voters)
            if self[id].role is Role.LEADER:
                return True
        return False

    def propose(self, id: int, data: Any, size: int = 1) -> bool:
        try:
            self[id].propose(data, size)
        except ProposalDropped:
            return False
        finally:
            self.look(id)
        return True

    def change(self, id: int, change: ConfChange | ConfChangeV2) -> bool:
        try:
            self[id].propose_conf_change(change, 6)
        except ProposalDropped:
            return False
        finally:
            self.look(id)
        return True

    def read(self, id: int) -> None:
        """Ask for a linearizable read; the answer comes in a Ready of this server."""
        self.reads += 1
        self.safety.asked(self.reads)
        self[id].read_index(self.reads)
        self.look(id)

    def newest(self, id: int) -> Snapshot | None:
        """What a leader sends to those who are behind: what it has applied."""
        node = self.nodes[id]
        term = self[id].log.term(node.applied)
        return None if term is None else Snapshot(node.applied, term, node.conf, (node.applied, node.digest))

    def snapshot(self, id: int, keep: int = 0) -> None:
        """The application snapshots what it has applied, and drops all but `keep` entries before it."""
        node, raft = self.nodes[id], self[id]
        newest = raft.log.snapshot
        if node.applied <= (newest.index if newest else 0) or raft.log.term(node.applied) is None:
            return
        snapshot = raft.create_snapshot(node.applied, node.conf, (node.applied, node.digest))
        node.disk.unsynced.append(snapshot)
        node.disk.sync()
        if raft.log.first_index <= node.applied - keep:
            raft.compact(node.applied - keep)
        self.look(id)


def writes_of(ready: Ready) -> list[Any]:
    """What a Ready asks the disk for, in order: snapshot, entries, hard state."""
    first = [] if ready.snapshot is None else [ready.snapshot]
    last = [] if ready.hard_state is None else [ready.hard_state]
    return [*first, *ready.entries, *last]


def is_possible(conf: ConfState, change: ConfChange | ConfChangeV2 | None) -> bool:
    """The application's own check of a committed change, the same on every server: would it leave no voter?"""
    singles = () if change is None else getattr(change, "changes", (change,))
    if conf.voters_outgoing or not singles:
        leaves = not singles and getattr(change, "transition", AUTO) is AUTO
        return bool(conf.voters_outgoing) and leaves  # a joint configuration can only be left
    voters = set(conf.voters)
    for single in singles:
        if single.type is ConfChangeType.ADD_NODE:
            voters.add(single.node_id)
        elif single.type is not ConfChangeType.UPDATE_NODE:
            voters.discard(single.node_id)
    return bool(voters)
