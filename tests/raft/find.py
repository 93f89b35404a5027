"""Find, for rules that are switched off, walks that break a property; this is where `test_ablation.FOUND` comes from.

    python -m tests.raft.find                          for every rule, some minutes each at most
    python -m tests.raft.find one-change --runs 8000   for this one, longer

It prints a line of `FOUND` for each rule: the kind of cluster, the seed, the step at which the walk (0: the calm after
it) broke the property, and how many runs it took. The runs are the same for all rules, and each time.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import NamedTuple

from swarmsim.errors import Panic
from swarmsim.raft import RaftError
from swarmsim.raft.ablation import RULES, core
from tests.raft import calm
from tests.raft.hostile import Hostile, HostileToFive, walk
from tests.raft.safety import PROGRESS, STABILITY, Violation

STEPS = 80
RUNS = 6000


class Found(NamedTuple):
    hostile: type[Hostile]
    seed: int
    step: int  # 0: in the calm after the walk
    breaks: str


def without(name: str, hostile: type[Hostile]) -> type[Hostile]:
    """The same world for servers that lack a rule."""
    return type(f"{hostile.__name__}Without[{name}]", (hostile,), {"CORE": core([name])})


def run(hostile: type[Hostile], seed: int, steps: int = STEPS) -> None:
    """A storm and the calm after it; raises `Violation`."""
    calm.judge(walk(hostile, seed, steps).world)


def outcome(name: str, hostile: type[Hostile], seed: int) -> Found | None:
    """What a run without this rule breaks: a promise of `calm` for a rule that is about these, else a property.

    A server that panics ends its run: that the core noticed in time proves nothing about the property. (KeyError: a
    candidate that has removed itself wins, of which etcd dies too.)
    """
    alive = RULES[name].breaks in (PROGRESS, STABILITY)
    try:
        (run if alive else walk)(without(name, hostile), seed, STEPS)
    except Violation as violation:
        return Found(hostile, seed, violation.step, violation.name) if alive is (violation.step == 0) else None
    except (Panic, RaftError, AssertionError, KeyError):
        pass
    return None


def find(name: str, runs: int) -> tuple[int, Found | None]:
    """How many runs it takes, three servers and five by turns, and what the last of them breaks."""
    for number in range(runs):
        found = outcome(name, (Hostile, HostileToFive)[number % 2], number // 2)
        if found:
            return number + 1, found
    return runs, None


def report(name: str, runs: int) -> str:
    took, found = find(name, runs)
    if found is None:
        return f"    # {name}: not found in {took} runs"
    what = f'{found.hostile.__name__}, {found.seed}, {found.step}, "{found.breaks}"'
    return f'    "{name}": Found({what}),  # {took} runs'


def main() -> None:
    parser = ArgumentParser(description="Find walks that break a property without a rule.")
    parser.add_argument("rules", nargs="*", default=[], help="default: all")
    parser.add_argument("--runs", type=int, default=RUNS)
    arguments = parser.parse_args()
    for name in arguments.rules or RULES:
        print(report(name, arguments.runs), flush=True)


if __name__ == "__main__":
    main()
