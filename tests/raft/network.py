"""Fakes for the tests of the Raft core: dice that always fall the same way, a disk, a network in memory.

`server` makes one server by hand, `leader` one that has just won an election, `pump` runs its Readies and gives the
messages that left. `Network` joins several; it loses what `cut` and `ignore` say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from swarmsim.raft import (
    Config,
    ConfState,
    Entry,
    EntryType,
    HardState,
    Message,
    RawNode,
    ReadState,
    Ready,
    Role,
    Snapshot,
)
from swarmsim.raft.messages import (
    AppendEntries,
    AppendEntriesResponse,
    RequestVote,
    RequestVoteResponse,
)


class Dice:
    """A random stream that always gives the same number: 0 makes the shortest election timeout."""

    def __init__(self, value: int = 0) -> None:
        self.value = value

    def randrange(self, n: int, /) -> int:
        return min(self.value, n - 1)


def entries(*terms: int, first: int = 1) -> list[Entry]:
    """Entries of these terms, with consecutive indexes."""
    return [Entry(term, index) for index, term in enumerate(terms, first)]


def terms(raft: RawNode) -> list[int]:
    """The log as a list of terms."""
    log = raft.log
    return [entry.term for entry in log.entries_from(log.first_index)]


def server(
    id: int = 1,
    voters: Sequence[int] = (1, 2, 3),
    log: Sequence[int] = (),
    hard: HardState | None = None,
    conf: ConfState | None = None,
    cls: type[RawNode] = RawNode,
    dice: int = 0,
    base: tuple[int, int] = (0, 0),
    **options: Any,
) -> RawNode:
    """A server whose durable log has these terms; `base` is the (index, term) of a snapshot below it."""
    config = Config(id=id, rng=Dice(dice), **options)
    start = Snapshot(*base, conf or ConfState(tuple(voters)))
    term = max(log, default=base[1])
    hard = hard or HardState(term, 0, base[0])
    return cls(config, hard, start, entries(*log, first=base[0] + 1))


def run_ready(raft: RawNode) -> Ready:
    """One Ready: applied and advanced."""
    ready = raft.ready()
    for entry in ready.committed_entries:
        if entry.type is not EntryType.NORMAL:
            raft.apply_conf_change(entry.data)
    raft.advance()
    return ready


def pump(raft: RawNode) -> list[Any]:
    """All there is to do; gives the messages that left, in order."""
    sent: list[Any] = []
    while raft.has_ready():
        sent += run_ready(raft).messages
    return sent


def leader(peers_match: bool = False, **kwargs: Any) -> RawNode:
    """A server that has been elected by all other voters; `peers_match`: they hold its whole log, too."""
    raft = server(**kwargs)
    raft.campaign()
    pump(raft)
    for voter in raft.voter_ids():
        if voter != raft.id and raft.role is Role.CANDIDATE:
            grant(raft, voter)
    pump(raft)
    assert raft.role is Role.LEADER
    if peers_match:
        for peer, _ in raft.peers:
            ack(raft, peer)
        pump(raft)
    return raft


def ack(raft: RawNode, peer: int, index: int | None = None) -> None:
    """`peer` says that it holds the log up to `index`, by default all of it."""
    last = raft.log.last_index if index is None else index
    raft.step(AppendEntriesResponse(peer, raft.id, raft.current_term, last))


def grant(raft: RawNode, voter: int, granted: bool = True) -> None:
    """`voter` answers a request for its vote in the present term."""
    raft.step(RequestVoteResponse(voter, raft.id, raft.current_term, granted))


def refuse(raft: RawNode, peer: int, index: int, hint: int = 0, log_term: int = 0) -> None:
    raft.step(AppendEntriesResponse(peer, raft.id, raft.current_term, index, False, hint, log_term))


def append(raft: RawNode, prev: tuple[int, int], new: Sequence[int] = (), commit: int = 0, **kw: int) -> None:
    """A leader (2, of the server's own term) sends entries of terms `new` after `prev`, an (index, term)."""
    src, term = kw.get("src", 2), kw.get("term", raft.current_term)
    raft.step(AppendEntries(src, raft.id, term, *prev, tuple(entries(*new, first=prev[0] + 1)), commit))


def ask_vote(raft: RawNode, src: int, term: int, last: tuple[int, int] = (99, 99), transfer: bool = False) -> None:
    """`src` asks for a vote; its last entry is at `last`, an (index, term)."""
    raft.step(RequestVote(src, raft.id, term, *last, transfer))


def ticks(raft: RawNode, count: int) -> None:
    for _ in range(count):
        raft.tick()


def only(messages: Iterable[Message], kind: type, dst: int | None = None) -> list[Any]:
    """The messages of one class, perhaps to one server."""
    return [m for m in messages if type(m) is kind and (dst is None or m.dst == dst)]


class Network:
    """Servers that talk until all is quiet. Lost is what `cut` pairs, or `ignore` classes, say."""

    def __init__(self, *servers: RawNode) -> None:
        self.servers = {raft.id: raft for raft in servers}
        self.cut: set[tuple[int, int]] = set()
        self.ignore: set[type] = set()
        self.applied: dict[int, list[Entry]] = {id: [] for id in self.servers}
        self.reads: dict[int, list[ReadState]] = {id: [] for id in self.servers}

    def __getitem__(self, id: int) -> RawNode:
        return self.servers[id]

    def add(self, raft: RawNode) -> None:
        self.servers[raft.id] = raft
        self.applied[raft.id], self.reads[raft.id] = [], []

    def isolate(self, id: int) -> None:
        for other in self.servers:
            self.cut |= {(id, other), (other, id)}

    def heal(self) -> None:
        self.cut.clear()
        self.ignore.clear()

    def settle(self) -> None:
        """Run Readies and deliver messages until nothing happens; a Ready's snapshot becomes the log."""
        busy = True
        while busy:
            busy = False
            for id, raft in sorted(self.servers.items()):
                while raft.has_ready():
                    busy = True
                    ready = run_ready(raft)
                    self.applied[id] += ready.committed_entries
                    self.reads[id] += ready.read_states
                    for m in ready.messages:
                        self._deliver(m)

    def _deliver(self, m: Message) -> None:
        if (m.src, m.dst) not in self.cut and type(m) not in self.ignore and m.dst in self.servers:
            self.servers[m.dst].step(m)

    def campaign(self, id: int) -> None:
        self[id].campaign()
        self.settle()

    def propose(self, id: int, data: bytes = b"x") -> None:
        self[id].propose(data, len(data))
        self.settle()

    def beat(self, id: int, rounds: int = 1) -> None:
        """Heartbeats of a leader, without the clock."""
        for _ in range(rounds):
            self[id].broadcast_heartbeat()
            self.settle()

    def roles(self) -> list[Role]:
        return [raft.role for _, raft in sorted(self.servers.items())]


def cluster(size: int = 3, **options: Any) -> Network:
    """Servers 1 to `size`, all voters, with empty logs."""
    voters = tuple(range(1, size + 1))
    return Network(*(server(id, voters, **options) for id in voters))
