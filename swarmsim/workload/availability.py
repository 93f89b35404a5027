"""`drain`, `pause`, `activate`: as `docker node update --availability` (SCENARIOS.md section 6)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from ..api.states import Availability
from .base import Aim, Asking, Order, Step, update_nodes

if TYPE_CHECKING:
    from ..cluster import Cluster


class SetAvailability(Step):
    """Base of the three."""

    availability: ClassVar[Availability]

    def ask(self, cluster: Cluster, order: Order) -> Asking:
        yield from update_nodes(cluster, order, lambda spec: replace(spec, availability=self.availability))


class Drain(SetAvailability):
    """Nodes take no tasks any more, and theirs are moved away."""

    verb: ClassVar[str] = "drain"
    aims: ClassVar[dict[str, str]] = {"drain": "nodes"}
    availability: ClassVar[Availability] = Availability.DRAIN

    drain: Aim


class Pause(SetAvailability):
    """Nodes take no new tasks, and keep theirs (Docker's availability; nothing is frozen)."""

    verb: ClassVar[str] = "pause"
    aims: ClassVar[dict[str, str]] = {"pause": "nodes"}
    availability: ClassVar[Availability] = Availability.PAUSE

    pause: Aim


class Activate(SetAvailability):
    """Nodes take tasks again."""

    verb: ClassVar[str] = "activate"
    aims: ClassVar[dict[str, str]] = {"activate": "nodes"}
    availability: ClassVar[Availability] = Availability.ACTIVE

    activate: Aim
