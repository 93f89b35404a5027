"""V3: "Raft Refloated": how candidates should set their timers, nine ranges of timeouts times four variants.

Howard, Schwarzkopf, Madhavapeddy, Crowcroft, "Raft Refloated: Do We Have Consensus?" (OSR 49(1), 2015). Five servers,
all of them alive, four of which can win; all timers start together, and how long ago the leader's last heartbeat would
have been when it crashed, half the shortest timeout at most, is taken off afterwards. Packets take N(5, 3) ms. Times
are cut to whole milliseconds.

Variants differ in a candidate's timeout: `original`: drawn as a follower's; `fixed`: from 23 to 46 ms; `expo`: as a
follower's, doubled for each election in a row that a majority refused; `combo`: both. Left out: what the authors tried
with fewer or more servers that can win, 27 curves of whose data no quantiles are at hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

from ...sim import rng
from ..distributions import deviation_of_share, quantile, share_below, share_up_to
from . import cold_start
from .base import Curve, Demand, Experiment, Samples, Table, template
from .published_quantiles import DISTANCE, Published, head, row

CANDIDATE = "23ms..46ms"
VARIANTS: dict[str, dict[str, Any]] = {
    "original": {},
    "fixed": {"candidate": CANDIDATE},
    "expo": {"backoff": True},
    "combo": {"candidate": CANDIDATE, "backoff": True},
}

FARTHEST = 0.07  # distance that is still "the same experiment"
MIDDLE, MIDDLE_TOLERANCE = (0.1, 0.5, 0.9), 0.06
SIGMAS = 3
SHOWN = (0.1, 0.5, 0.9, 0.95)

#: github.com/heidi-ann/ocaml-raft-data: quantiles in milliseconds.
PUBLISHED: dict[str, dict[str, Published]] = {
    "original": {
        "12-24": Published(1000, (11, 13, 16, 17, 20, 28, 46, 64, 77, 114, 170), 36),
        "25-50": Published(1000, (16, 22, 24, 26, 30, 34, 40, 65, 83, 118, 197), 40),
        "50-100": Published(1000, (30, 34, 39, 43, 49, 57, 66, 75, 86, 181, 247), 61),
        "100-200": Published(1000, (59, 65, 72, 78, 90, 106, 122, 139, 150, 222, 375), 108),
        "150-151": Published(1000, (93, 243, 570, 745, 1164, 1780, 2663, 4031, 4817, 7049, 12182), 2117),
        "150-155": Published(1000, (85, 95, 116, 147, 283, 460, 742, 1055, 1329, 1827, 2893), 567),
        "150-175": Published(1000, (83, 88, 92, 97, 110, 131, 153, 269, 325, 563, 731), 154),
        "150-200": Published(1000, (80, 88, 95, 101, 113, 132, 153, 167, 175, 330, 487), 138),
        "150-300": Published(1000, (83, 92, 102, 111, 128, 150, 173, 194, 207, 235, 501), 152),
    },
    "fixed": {
        "12-24": Published(1000, (11, 14, 16, 17, 20, 26, 54, 73, 90, 125, 151), 39),
        "25-50": Published(1000, (19, 21, 24, 26, 30, 34, 41, 64, 78, 112, 177), 39),
        "50-100": Published(1000, (31, 36, 41, 43, 50, 57, 65, 76, 85, 118, 166), 59),
        "100-200": Published(1000, (58, 63, 71, 76, 88, 102, 117, 137, 146, 175, 194), 104),
        "150-151": Published(1000, (86, 117, 126, 133, 151, 175, 198, 231, 310, 360, 497), 183),
        "150-155": Published(1000, (84, 92, 114, 124, 142, 166, 192, 216, 281, 345, 491), 173),
        "150-175": Published(1000, (84, 86, 92, 98, 113, 132, 152, 163, 179, 279, 337), 134),
        "150-200": Published(1000, (83, 88, 94, 99, 112, 134, 152, 163, 171, 200, 318), 133),
        "150-300": Published(1000, (88, 92, 103, 110, 126, 149, 172, 194, 211, 241, 279), 151),
    },
    "expo": {
        "12-24": Published(1000, (12, 14, 16, 17, 20, 28, 46, 68, 82, 104, 167), 37),
        "25-50": Published(1000, (18, 21, 24, 26, 29, 34, 40, 58, 78, 115, 171), 39),
        "50-100": Published(1000, (32, 36, 39, 41, 48, 57, 65, 76, 87, 169, 272), 60),
        "100-200": Published(1000, (55, 65, 70, 77, 89, 105, 120, 136, 147, 185, 470), 107),
        "150-151": Published(1000, (93, 263, 543, 575, 847, 1181, 1619, 2653, 2980, 5060, 9586), 1424),
        "150-155": Published(1000, (81, 95, 112, 135, 283, 457, 612, 882, 1004, 1335, 1771), 491),
        "150-175": Published(1000, (82, 86, 92, 97, 111, 134, 155, 287, 317, 474, 796), 157),
        "150-200": Published(1000, (84, 89, 95, 100, 113, 132, 152, 166, 177, 463, 666), 140),
        "150-300": Published(1000, (84, 91, 101, 108, 127, 151, 175, 201, 212, 242, 468), 154),
    },
    "combo": {
        "12-24": Published(1000, (11, 13, 15, 17, 20, 26, 53, 73, 89, 116, 194), 38),
        "25-50": Published(1000, (19, 21, 24, 26, 30, 34, 40, 64, 78, 139, 194), 40),
        "50-100": Published(1000, (33, 35, 40, 42, 48, 58, 66, 76, 82, 110, 140), 59),
        "100-200": Published(1000, (60, 63, 71, 77, 89, 103, 119, 136, 147, 166, 259), 105),
        "150-151": Published(1000, (90, 116, 123, 130, 152, 184, 233, 301, 332, 386, 443), 200),
        "150-155": Published(1000, (83, 92, 115, 125, 143, 175, 215, 259, 304, 339, 483), 184),
        "150-175": Published(1000, (83, 88, 95, 99, 112, 133, 152, 167, 193, 268, 332), 136),
        "150-200": Published(1000, (85, 89, 95, 102, 113, 132, 152, 163, 172, 191, 265), 133),
        "150-300": Published(1000, (84, 92, 102, 111, 129, 150, 173, 196, 212, 244, 277), 152),
    },
}


def name(variant: str, timeouts: str) -> str:
    return f"{variant} {timeouts}"


class Refloated(Experiment):
    id = "V3"
    title = "Raft Refloated: time to elect a leader (ms, ours/theirs)"
    source = "Howard and others, Raft Refloated: Do We Have Consensus? (OSR 49(1), 2015), and its raw data"
    runs = 1_000

    def _curves(self) -> list[Curve]:
        return [self._curve(variant, timeouts) for variant, ranges in PUBLISHED.items() for timeouts in ranges]

    def _curve(self, variant: str, timeouts: str) -> Curve:
        low, high = map(int, timeouts.split("-"))
        raft = {"election": f"{low}ms..{high}ms", "heartbeat": f"{low * 500}us", **VARIANTS[variant]}
        scenario = template("raft-refloated").but(cluster={"raft": raft}, expect=None, duration="10m")
        return Curve(name(variant, timeouts), scenario, cold_start.FirstElection)

    def times(self, samples: Samples, variant: str, timeouts: str) -> list[int]:
        """As published: since the leader would have crashed, in whole milliseconds, ascending."""
        dice = rng.stream(1, "heartbeat", variant, timeouts)
        half = int(timeouts.split("-", maxsplit=1)[0]) * 500
        return sorted(int((e.took - dice.random() * half) / 1000) for e in samples[name(variant, timeouts)])

    def table(self, samples: Samples) -> Table:
        ours = {(v, t): self.times(samples, v, t) for v, ranges in PUBLISHED.items() for t in ranges}
        rows = [row(name(v, t), times, PUBLISHED[v][t], SHOWN) for (v, t), times in ours.items()]
        near = [PUBLISHED[v][t].distance(times) < FARTHEST for (v, t), times in ours.items()]
        middles = [m for (v, t), times in ours.items() for m in _middles(name(v, t), times, PUBLISHED[v][t])]
        far = [m for m in middles if m[1] > MIDDLE_TOLERANCE]
        likely = sum(chance_of_far(times, p, PUBLISHED[v][t].trials) for (v, t), times in ours.items() for p in MIDDLE)
        return Table(
            self.title,
            head("variant, timeouts", SHOWN),
            tuple(rows),
            (
                Demand(f"all {len(near)} curves nearer than {FARTHEST}", all(near)),
                Demand(
                    f"p10, p50 and p90 within {MIDDLE_TOLERANCE:.0%}: {len(middles) - len(far)} of {len(middles)}",
                    not far,
                ),
                Demand(
                    f"the others where a thousand trials drawn from ours could put them ({SIGMAS} sigmas)",
                    all(possible for _, _, possible in far),
                ),
            ),
            (
                DISTANCE,
                f"of a thousand trials drawn from ours {likely:.1f} of the {len(middles)} quantiles would be farther"
                f" than {MIDDLE_TOLERANCE:.0%} from ours, on average; of theirs these are:",
                *(f"  {text}" for text, _, _ in far),
            ),
        )


def _middles(curve: str, ours: Sequence[float], theirs: Published) -> list[tuple[str, float, bool]]:
    """For p10, p50, p90: what it is, how far off, and whether `theirs` could be so of trials drawn from `ours`."""
    out = []
    for p in MIDDLE:
        mine, published = quantile(ours, p), theirs.at(p)
        sigmas = _sigmas(ours, published, p, theirs.trials)
        text = f"{curve} p{p * 100:.0f}: {mine:g} against {published:g}, {sigmas:.1f} sigmas"
        out.append((text, abs(mine / published - 1), sigmas <= SIGMAS))
    return out


def _sigmas(ours: Sequence[float], published: float, p: float, trials: int) -> float:
    """How unlikely it is that the p-quantile of so many trials of ours is `published`, a whole millisecond."""
    below, up_to = share_below(ours, published), share_up_to(ours, published)
    off = max(below - p, p - up_to, 0.0)
    spread = deviation_of_share(p, trials) ** 2 + deviation_of_share(p, len(ours)) ** 2
    return float(off / spread**0.5)


def chance_of_far(ours: Sequence[float], p: float, trials: int) -> float:
    """The chance that the p-quantile of so many trials that are drawn from ours is off by more than the tolerance.

    It is too low if more than p of them are below the bound, too high if no more than p are up to it.
    """
    mine, spread = quantile(ours, p), deviation_of_share(p, trials)
    below, up_to = share_below(ours, mine / (1 + MIDDLE_TOLERANCE)), share_up_to(ours, mine / (1 - MIDDLE_TOLERANCE))
    return NormalDist(p, spread).cdf(below) + 1 - NormalDist(p, spread).cdf(up_to)
