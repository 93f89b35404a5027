"""Many runs of one scenario, to learn what one run cannot tell: how long it takes, how often it goes wrong.

    from swarmsim.explore import Span, sweep
    from swarmsim.trace.events import BecameLeader, HostCrashed

    scenario = swarmsim.load("scenarios/leader-crash.yaml")
    times = sweep(scenario, range(1, 1001), partial(Span, HostCrashed, BecameLeader))

`sweep` runs a scenario under many seeds on all processors and measures each run; `measure` holds the measures.
`shrink` makes a scenario smaller as long as it fails. `distributions` compares what was measured with what was
published. `experiments` are the published Raft experiments.
"""

from .measure import Measure, Span
from .shrink import shrink
from .sweep import sweep

__all__ = ["Measure", "Span", "shrink", "sweep"]
