"""Published experiments with Raft, done again by this simulator; one file each, with the numbers that were published.

    swarmsim experiment V4                       # or: EXPERIMENTS["V4"].samples(runs=100), .table(samples)

They run the swarm's own Raft member, driver, network and disk; a scenario file sets the rules, the clocks, the latency
and the logs (`raft:`, `only: raft`; SCENARIOS.md section 4). To add one: its file, its scenario in
`scenarios/experiments`, and its line in `EXPERIMENTS`.
"""

from .base import Curve, Demand, Experiment, Samples, Table
from .failover import Failover
from .figure_16 import Figure16
from .partial_connectivity import PartialConnectivity
from .refloated import Refloated
from .split_votes import SplitVotes
from .wan import Wan

#: In the order of their names.
EXPERIMENTS: dict[str, Experiment] = {
    experiment.id: experiment
    for experiment in (SplitVotes(), Wan(), Refloated(), Figure16(), PartialConnectivity(), Failover())
}

__all__ = ["EXPERIMENTS", "Curve", "Demand", "Experiment", "Samples", "Table"]
