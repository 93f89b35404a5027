"""What goes wrong, one file a family: pydantic models picked by their verb (SCENARIOS.md section 6).

To add one: its file, and its line in `FAULTS`. A fault knows the cluster; nothing in the cluster knows faults.
"""

from .base import Fault, Hit
from .corrupt import Corrupt
from .crash import Crash
from .delay import Delay
from .disk import Disk
from .kill import Kill
from .loss import Loss
from .partition import Partition
from .wipe import Wipe

#: Every fault, in the order of the reference page.
FAULTS: tuple[type[Fault], ...] = (
    Crash,
    Kill,
    Partition,
    Delay,
    Loss,
    Disk,
    Corrupt,
    Wipe,
)

#: Verbs that later versions add; refused with "not yet" (section 13).
NOT_YET = ("freeze", "slow", "duplicate", "reorder", "clock")

BY_VERB: dict[str, type[Fault]] = {fault.verb: fault for fault in FAULTS}

__all__ = ["BY_VERB", "FAULTS", "NOT_YET", "Fault", "Hit"]
