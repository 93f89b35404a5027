"""The ticker of a Raft member, and the ticks that are skipped because their outcome is certain.

While no fault can touch them, heartbeats are sent, arrive and are answered, and nothing comes of it. Then the leader
puts its followers to sleep and sleeps itself; whoever wakes puts its core where it would be had all of it taken place.
"""

from __future__ import annotations

from ...api.messages import Doze, WakeUp
from ...machine import Address, Outbox
from ...raft.messages import NONE
from ...raft.raft import RawNode
from ...raft.state import LEADER
from .state import MemberState


class Ticks(MemberState):
    # -- healthy heartbeats are skipped: while no fault can touch them their outcome is certain --
    # The leader says when: it puts its followers to sleep, and wakes them when it has reason to (it leads no more, the
    # group changes). What changes the network wakes them all.
    def _settled(self, out: Outbox) -> bool:
        if self._pumping or not (self.is_raft_leader and self.signalled and self._all_caught_up()):
            return False
        if self.proposer.held:
            return False  # a lock that is never given back must be noticed
        return out.quiet(*self.members())

    def _doze(self, out: Outbox) -> None:
        self._dozing_since = self._last_tick
        out.cancel_timer("tick")
        if self.is_raft_leader:
            self._put_to_sleep = tuple(host for host in self.members() if host != self.node)
            for host in self._put_to_sleep:
                out.send(Address(host, "raft"), Doze(self.raw.current_term))

    def _told_to_doze(self, src: Address, message: Doze, out: Outbox) -> None:
        leader = self.group.find(src.node)
        same = self.raw.leader_id == leader and self.raw.current_term == message.term
        if same and self._dozing_since is None and not self._pumping and out.quiet(*self.members()):
            self._heard[leader] = out.now
            self._doze(out)

    def _all_caught_up(self) -> bool:
        """Has every member the whole log? A newcomer that has not needs the ticks."""
        last = self.raw.log.last_index
        return all(record.match_index == last for record in self.raw.progress.values())

    def _wake(self, out: Outbox) -> None:
        """Ticks matter again: put the core where it would be had every tick and heartbeat taken place."""
        assert self._dozing_since is not None, "awake already"
        since, self._dozing_since = self._dozing_since, None
        for host in self._put_to_sleep:
            out.send(Address(host, "raft"), WakeUp())
        self._put_to_sleep = ()
        tick = self.tick
        missed = (out.now - since) // tick
        leader = self.raw.leader_id
        beat = tick * self.spec.heartbeat_tick
        if leader == self.id:
            skip_healthy_ticks(self.raw, missed, 0)
            for id in self.raw.progress:
                self._heard[id] = max(self._heard.get(id, 0), since + missed * tick // beat * beat)
        elif leader:
            heard = self._heard[leader]
            heard += (out.now - heard) // beat * beat
            self._heard[leader] = heard
            skip_healthy_ticks(self.raw, missed, missed - max(heard - since, 0) // tick)
        out.set_timer("tick", since + (missed + 1) * tick - out.now)

    def _tick(self, out: Outbox) -> None:
        self.now = out.now
        leader = self.raw.leader_id
        self.ticks_without_leader = 0 if leader else self.ticks_without_leader + 1
        self.raw.tick()
        if leader and leader not in (self.id, self.raw.leader_id):
            # The election timeout ran out: what silenced the leader is the cause of all that follows.
            host = self.group.host(leader)
            if host:  # else it was removed, and is silent of its own accord
                out.blame(host, self._heard.get(leader, 0))


def skip_healthy_ticks(raw: RawNode, ticks: int, since_heard: int) -> None:
    """Put a core where it would be after `ticks` ticks in which every heartbeat was sent, arrived and was answered.

    `since_heard`: how many of these a follower counted after the last heartbeat that it heard.
    """
    if raw.role is LEADER:
        raw.heartbeat_elapsed = (raw.heartbeat_elapsed + ticks) % raw.config.heartbeat_tick
        checks, raw.election_elapsed = divmod(raw.election_elapsed + ticks, raw.config.election_tick)
        for record in raw.progress.values():
            # CheckQuorum clears the mark, and the next answers set it again.
            record.recent_active = record.recent_active or ticks > 0
        if checks:
            raw.lead_transferee = NONE
    elif since_heard < ticks:
        raw.election_elapsed = since_heard
    else:
        raw.election_elapsed += ticks
