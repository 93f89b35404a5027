# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What is each rule of Raft for?
#
# Raft's Figure 2 is one page of rules. Each looks harmless to leave out, and each was put there because somebody found
# out otherwise. Here every rule can be switched off by itself, and you see what goes wrong: who, when, in which term.
#
# Afterwards you will be able to
#
# * say what a vote that is forgotten costs, and replay the paper's Figure 8 from memory,
# * explain why members of a group change one at a time, and what was wrong with that until 2015,
# * take a rule away yourself, and write the schedule that makes the loss visible.
#
# The servers run the core that SwarmKit uses, etcd's Raft, with its own messages. A scenario with `only: raft` is a
# Raft group and nothing else; what it is asked to do, and what goes wrong, is a list of moments.

# %%
from pathlib import Path

import swarmsim

FOLDER = Path("../scenarios/ablation")


def show(rule: str) -> swarmsim.Result:
    """Run the scenario that leaves this rule off, print what happened, and what of it must never happen."""
    result = swarmsim.run(swarmsim.load(FOLDER / f"{rule}.yaml"), seed=1)
    print(swarmsim.story(result))
    return result


def in_force(rule: str) -> swarmsim.Result:
    """The same moments, with the rule in force."""
    scenario = swarmsim.load(FOLDER / f"{rule}.yaml")
    scenario.switch(off=[], on=[rule])
    return swarmsim.run(scenario, seed=1)


def broken(result: swarmsim.Result) -> str:
    """What was violated first; nothing if nothing was."""
    safety = next(verdict for verdict in result.verdicts if verdict.name == "raft safety")
    return str(safety.broken[0]) if safety.broken else ""


# %% [markdown]
# ## One vote a term
#
# *"If votedFor is null or candidateId, and candidate's log is at least as up-to-date as receiver's log, grant vote"*
# (RequestVote, rule 2). The first half first. `s1`, who led, is off for a second; meanwhile `s3` votes for `s2`.
#
# **Predict:** what does `s3` answer when `s1` asks it in the same term, and what follows?

# %%
result = show("one-vote")

# %% [markdown]
# Two leaders in one term. Each has a majority of three, for two majorities always have a server in common, and that
# server has answered twice. The picture says the same; a full bar is a leader:

# %%
result.plot()

# %% [markdown]
# With the rule in force the same moments are harmless:

# %%
print("violated:", broken(in_force("one-vote")) or "nothing")

# %% [markdown]
# A rule that is kept in memory only is no rule. Here `s3` keeps it, but *restarts* between the two questions and has
# not written its vote to the disk:

# %%
print(broken(swarmsim.run(FOLDER / "persist-vote.yaml", seed=1)))

# %% [markdown]
# ## Figure 8
#
# The hardest rule of the paper: a leader commits by counting replicas **only entries of its own term**. Figure 8 says
# why, in five steps. This is the same schedule, down to the letters:

# %%
print((FOLDER / "commit-own-term.yaml").read_text())

# %% [markdown]
# **Predict:** at which moment is s1's first entry on a majority? Who may be elected after that, and by whom?

# %%
result = show("commit-own-term")

# %%
result.plot()

# %% [markdown]
# `s1` committed the entry at index 2: its clients were told. `s5` had another entry there, of a later term, so `s3` and
# `s4` voted for it (the second half of RequestVote rule 2 compares *terms* first), and it overwrote what was committed.
#
# With the rule, `s1` may not call the entry committed by counting. It would be committed together with an entry of
# term 4, and with that on a majority `s5` could not have won. That is why a new leader begins its term with an empty
# entry (and why the scenario takes that rule away, too: it would have hidden the mistake).
#
# ## Who belongs to the group
#
# Members are changed by entries of the log. Every server goes by the newest configuration that it knows to be
# committed, so for a moment some go by the old one. **Predict:** three servers become five, both newcomers at once.
# How many are a majority of three, how many of five, and must the two majorities meet?

# %%
result = show("one-change")

# %% [markdown]
# They need not: `s2` and `s3` are two of three, `s1`, `s4` and `s5` are three of five. If one server comes at a time,
# three become four: two of three and three of four always have one in common.
#
# So a leader lets the next change in when the one before is applied. That was thought to be enough, and the
# dissertation said so, until Ongaro found in 2015 that it is not: a *new* leader does not know whether a change that
# it inherited will be committed.

# %%
result = show("own-commit-before-change")

# %% [markdown]
# The mended rule: no change before an entry of the leader's own term is committed. Then all that it inherited is, too.
#
# ## Reading is not free
#
# A leader that answers a read from what it has may have been deposed without knowing:

# %%
result = show("read-quorum")

# %% [markdown]
# ## All of them
#
# Some rules keep the group *correct*; without them a property of Figure 3 (or its kin) is violated. Others keep it
# *alive*: nothing false happens, and nothing else does either.

# %%
from swarmsim.ablation import RULES
from swarmsim.raft.ablation import RULES as RULES_OF_RAFT

for rule in RULES_OF_RAFT:
    file = FOLDER / f"{rule}.yaml"
    if not file.exists():
        continue
    off, on = swarmsim.run(swarmsim.load(file), seed=1), in_force(rule)
    lost = broken(off) or f"not safety: {RULES[rule].fails}"
    kept = broken(on)
    assert off.passed and not kept
    print(f"{rule}: {RULES[rule].protects}\n    {lost}")

# %% [markdown]
# ## Your turn
#
# `commit-new-only` (AppendEntries, rule 5: *commitIndex = min(leaderCommit, index of last new entry)*) has no scenario
# here. Why is it hard to write one against this implementation? What would a leader have to send, which this one
# never does? `swarmsim.ablation.NOT_SHOWN` has our answer; the test in `tests/raft/test_ablation.py` sends it by hand.
#
# And a smaller one. Change a number in this schedule so that nothing is violated, and say why:

# %%
scenario = swarmsim.Scenario(
    without=["up-to-date"],
    duration="4s",
    cluster={
        "managers": ["s1", "s2", "s3"],
        "only": "raft",
        "network": {"latency": "50ms"},
        "raft": {"check_quorum": False, "fsync": "0s"},
    },
    timeline=[
        {"at": "500ms", "partition": "s3", "for": "1s"},
        {"at": "1s", "propose": "s1"},
        {"at": "1300ms", "crash": "s1"},
        {"at": "2s", "campaign": "s3"},
    ],
    expect=[{"convergence": "waived"}],
)
print(broken(swarmsim.run(scenario, seed=1)) or "nothing was violated")
