"""What is committed becomes the store's and the group's; what was applied becomes a snapshot.

raft.go `processCommitted`, `processEntry`, `doSnapshot`.
"""

from __future__ import annotations

from typing import Any

from ...api.messages import Committed, MembersChanged, RemovedFromRaft, StoreNews
from ...api.specs import ClusterSpec
from ...errors import ApiError, Panic
from ...machine import Outbox
from ...raft.membership import ConfChange, ConfChangeError, ConfChangeType, ConfChangeV2
from ...raft.messages import NONE, Compacted, Entry, EntryType, Snapshot
from ...store.actions import Action, Change, Proposal
from ...trace.events import EntriesApplied, MembershipChanged, SnapshotInstalled, TicksDiffer
from .facts import Facts


class Applying(Facts):
    # -- applying --
    def _install(self, snapshot: Snapshot, out: Outbox) -> None:
        changes = self._take_over(snapshot)
        out.emit(SnapshotInstalled(self.node, snapshot.index, snapshot.term))
        self._publish(snapshot.index, changes, out)
        self._tell_watchers(out)

    def _take_over(self, snapshot: Snapshot) -> list[Change]:
        """The store and the group become what the snapshot holds."""
        content, group = snapshot.data
        self.group.restore(group)
        self._belongs = self.id in self.group.members
        self._snapshot_index = snapshot.index
        return self.store.restore(content)

    def _apply(self, entries: Any, out: Outbox) -> None:
        terms = tuple(entry.term for entry in entries)
        cause = out.cause
        out.emit(EntriesApplied(self.node, self.raw.current_term, entries[0].index, terms))
        for entry in entries:
            out.cause = cause
            if entry.type is not EntryType.NORMAL:
                self._apply_membership(entry, out)
            elif type(entry.data) is Proposal:
                self._apply_proposal(entry, out)
            self.store.index = entry.index
        out.cause = cause

    def _apply_proposal(self, entry: Entry, out: Outbox) -> None:
        proposal: Proposal = entry.data
        waiting = self._waiting.pop(id(proposal), None)
        version = entry.index if waiting is not None and proposal.single else None
        changes = self.store.apply(proposal.actions, entry.index, version)
        changes = self.chronicle.tell(out, entry.index, changes, proposal.component)
        self._tell_watchers(out)
        if waiting is not None:
            waiting[1](out.cause)
        if self.signalled:
            self._publish(entry.index, changes, out)

    def _publish(self, index: int, changes: list[Change], out: Outbox) -> None:
        """One message for each component that watches a kind that changed."""
        kinds = {type(change.new) for change in changes}
        message = Committed(index, tuple(changes))
        for name, watched in self.watches.items():
            if not kinds.isdisjoint(watched):
                out.tell(name, message)

    def _tell_watchers(self, out: Outbox) -> None:
        if self.store.watchers:
            out.tell("watchapi", StoreNews())

    def changes_between(self, after: int, last: int) -> list[tuple[int, tuple[Action, ...]]]:
        """What the log has of these entries (raft.go `ChangesBetween`). Raises `ApiError`."""
        if after > last:
            raise ApiError("Unknown", "versions are out of order")
        try:
            entries = self.raw.log.slice(after + 1, last + 1)
        except Compacted:
            raise ApiError("Unknown", "requested index is unavailable due to compaction") from None
        return [(entry.index, entry.data.actions) for entry in entries if type(entry.data) is Proposal]

    # -- snapshots of one's own --
    def settings(self) -> ClusterSpec:
        """The snapshot settings in force: the stored cluster object's, looked up each time (`getCurrentRaftConfig`).

        Its heartbeat and election ticks are not: a member keeps to those that it was started with.
        """
        cluster = self.store.cluster
        return cluster.spec if cluster is not None else self.spec

    def _compare_ticks(self, out: Outbox) -> None:
        """Once, as soon as there are a leader and a cluster object (manager.go `Run`)."""
        cluster, own = self.store.cluster, self.spec
        if cluster is None or self.raw.leader_id == NONE:
            return
        self._ticks_compared = True
        if (cluster.spec.heartbeat_tick, cluster.spec.election_tick) != (own.heartbeat_tick, own.election_tick):
            out.emit(TicksDiffer(self.node, own.heartbeat_tick, own.election_tick))

    def _compact(self, out: Outbox) -> None:
        """A snapshot every so many entries, 0 for none, keeping some for slow followers (raft.go `doSnapshot`)."""
        applied, settings = self.store.index, self.settings()
        interval = settings.snapshot_interval
        if not interval or applied - self._snapshot_index < interval:
            return
        self._snapshot_index = applied
        snapshot = self.raw.create_snapshot(applied, self.raw.conf, (self.store.save(), self.group.save()))
        keep_from = applied - settings.log_entries_for_slow_followers
        if keep_from >= self.raw.log.first_index:
            self.raw.compact(keep_from)
        out.save(self.storage.save_snapshot(snapshot, settings.keep_old_snapshots))

    # -- membership --
    def _apply_membership(self, entry: Entry, out: Outbox) -> None:
        change: ConfChange | ConfChangeV2 | None = entry.data
        leader = self.raw.leader_id
        try:
            self.raw.apply_conf_change(change)
        except ConfChangeError as error:
            raise Panic(str(error)) from None  # etcd raft.go `applyConfChange`
        gone = self.group.apply(change)
        if self._brings_me(change):
            self._belongs = True
        if self._belongs:
            out.emit(MembershipChanged(self.node, entry.index, *self._configuration()))
        self.group.applied(change, out)
        if self._dozing_since is not None:
            self._wake(out)
        if self.signalled:
            out.tell("dispatcher", MembersChanged(self.members()))
        if self.id in gone:
            self._was_removed(out)
        elif leader in gone:
            self.raw.campaign()  # refused by the core, for this very entry is not marked applied yet: a quirk

    def _brings_me(self, change: ConfChange | ConfChangeV2 | None) -> bool:
        if isinstance(change, ConfChange):
            return change.type is ConfChangeType.ADD_NODE and change.node_id == self.id
        return self.id in self.raw.progress

    def _configuration(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The hosts of C_new, and of C_old while the two are joint."""
        outgoing = self.raw.conf.voters_outgoing
        if not outgoing:
            return tuple(sorted(self.members())), ()
        new, old = (tuple(sorted(map(self.group.host, half))) for half in (self.raw.conf.voters, outgoing))
        return new, old

    def _was_removed(self, out: Outbox) -> None:
        """The manager of this node ends; its node decides what comes then."""
        if not self._removed:
            self._removed = True
            out.tell("node", RemovedFromRaft())
