"""What operators do, one file a step: pydantic models picked by their verb (SCENARIOS.md section 6).

Steps go over the control API and may be refused. To add one: its file, and its line in `STEPS`.
"""

from .availability import Activate, Drain, Pause
from .base import Book, Order, Step
from .create import Create, CreateObject
from .deploy import Deploy
from .experiments import Campaign, ChangeMembers, Propose, RaftStep, Read
from .join import Join
from .label import Label
from .leave import Leave
from .remove import Remove
from .remove_node import RemoveNodes
from .remove_stack import RemoveStack
from .roles import Demote, Promote
from .rollback import Rollback
from .scale import Scale
from .update import Update
from .update_swarm import UpdateSwarm

#: Every step, in the order of the reference page.
STEPS: tuple[type[Step], ...] = (
    Create,
    Remove,
    Scale,
    Update,
    Rollback,
    Deploy,
    RemoveStack,
    Drain,
    Pause,
    Activate,
    Label,
    Join,
    Leave,
    Promote,
    Demote,
    RemoveNodes,
    UpdateSwarm,
    Propose,
    ChangeMembers,
    Read,
    Campaign,
)

BY_VERB: dict[str, type[Step]] = {step.verb: step for step in STEPS}

__all__ = ["BY_VERB", "STEPS", "Book", "CreateObject", "Order", "RaftStep", "Step"]
