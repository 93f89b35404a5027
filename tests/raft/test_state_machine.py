"""Servers in a hostile world, driven by Hypothesis and by dice: whatever happens, Figure 3 holds.

    pytest tests/raft/test_state_machine.py                             some thousands of steps, always the same
    SWARMSIM_RAFT_STEPS=100000 pytest tests/raft/test_state_machine.py  that many, other ones each time

The actions are in `hostile.py`, the judges in `safety.py` and `calm.py`. Hypothesis shrinks what it finds; the walk
gets further. That the walk finds each rule of `swarmsim.raft.ablation` that is off is shown in `test_ablation.py`.
"""

from __future__ import annotations

import os
from random import randrange
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tests.raft import calm
from tests.raft.hostile import ACTIONS, OPTIONS, Hostile, HostileToFive, walk

STEPS = int(os.environ.get("SWARMSIM_RAFT_STEPS", "0"))
STEPS_PER_RUN = 100


def machine(hostile: type[Hostile]) -> type[RuleBasedStateMachine]:
    """Each action a rule, each list of arguments a strategy."""
    options = st.fixed_dictionaries({name: st.sampled_from(choices) for name, choices in OPTIONS.items()})
    rules: dict[str, Any] = {"begin": initialize(options=options, seed=st.integers(0, 1000))(hostile.begin)}
    for name, (method, _, when, _, choices) in ACTIONS.items():
        strategies = {argument: st.sampled_from(values) for argument, values in choices.items()}
        rules[name] = precondition(when)(rule(**strategies)(method))
    return type(f"{hostile.__name__}Machine", (hostile, RuleBasedStateMachine), rules)


def search(hostile: type[Hostile], steps: int, derandomize: bool) -> None:
    """Run the machine for about so many steps."""
    run_state_machine_as_test(
        machine(hostile),
        settings=settings(
            max_examples=max(1, steps // STEPS_PER_RUN),
            stateful_step_count=STEPS_PER_RUN,
            deadline=None,
            database=None,
            derandomize=derandomize,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )


@pytest.mark.parametrize("hostile", [Hostile, HostileToFive])
def test_figure_3_holds_in_a_hostile_world(hostile: type[Hostile]) -> None:
    """Figure 3: election safety, leader append-only, log matching, leader completeness, state-machine safety."""
    search(hostile, STEPS // 2 or 3_000, derandomize=not STEPS)


@pytest.mark.parametrize("hostile", [Hostile, HostileToFive])
def test_figure_3_holds_on_a_random_walk(hostile: type[Hostile]) -> None:
    """The same, further: runs of 300 actions, and the calm after them."""
    first = randrange(1 << 30) if STEPS else 0
    for seed in range(first, first + (STEPS // 600 or 15)):
        try:
            calm.judge(walk(hostile, seed, steps=300).world)
        except Exception as error:
            error.add_note(f"reproduce: calm.judge(walk({hostile.__name__}, seed={seed}, steps=300).world)")
            raise
