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
# # The first story: a worker is lost
#
# A Docker swarm promises that a service keeps the number of replicas you asked for. This notebook makes a swarm,
# gives it a service, pulls the plug of one of its computers, and watches the promise being kept: who notices, when,
# and what it costs.
#
# Afterwards you will be able to
#
# * create a service and look at it with the columns that `docker node ls` and `docker service ps` print,
# * say why nothing at all happens in the first seconds after a crash, and what happens then,
# * ask the trace *why did this happen?*, and run a scenario under many seeds.
#
# Everything is simulated in this one Python process. Time passes only when you say so, and the same seed gives the
# same run.

# %%
import swarmsim

swarm = swarmsim.Cluster(managers=3, workers=3, seed=1)
print(swarm.node_ls())

# %% [markdown]
# Six computers. `m1`, `m2` and `m3` are **managers**: they keep the state of the swarm in a replicated log (Raft),
# and one of them, the **leader**, decides. `w1`, `w2` and `w3` are **workers**: they run what they are told to.
# Managers run tasks as well, unless they are drained.
#
# ## A service is created
#
# You ask for twelve replicas of nginx. Then time passes until twelve containers really run.

# %%
swarm.create("web", image="nginx:1.27", replicas=12)
took = swarm.run_until(lambda: swarm.running("web") == 12)
print(f"12 containers run after {took:.2f} s of simulated time")

# %%
swarm.run_for("1s")
print(swarm.service_ps("web"))

# %% [markdown]
# Each replica is a **task** in a *slot* (`web.1` to `web.12`), and the scheduler has spread the tasks evenly. How did
# one of them get there? The **trace** holds every fact of the run in order. Here is the life of `web.1`, one line for
# each time that somebody wrote it into the replicated store:

# %%
from swarmsim.trace.events import TaskChanged

for recorded in swarm.trace.of(TaskChanged):
    task = recorded.event
    if task.name == "web.1":
        who, state = task.component.name.lower(), task.now.name
        print(f"{recorded.at / 1e6:7.3f} s  {who:<12}  {state:<9}  {task.node:<2}  {task.message}")

# %% [markdown]
# That is the pipeline through which every task goes: the *orchestrator* creates it, the *allocator* gives it
# addresses, the *scheduler* picks a node, the *dispatcher* carries it to the node's agent and brings back what the
# agent reports. Most of the time goes into pulling the image, which takes 2 s here.
#
# ## The plug is pulled
#
# `w1` runs two of the twelve containers. In a moment it loses its power.
#
# **Predict before you go on.** One second after that, how many containers run? What does `docker node ls` say of
# `w1`? What does `docker service ps` say of its two tasks? How long will it take until twelve run again?

# %%
swarm.run_for("4s")
swarm.crash("w1")
crashed_at = swarm.now

swarm.run_for("1s")
print(f"containers that really run: {swarm.running('web')}\n")
print(swarm.node_ls())

# %%
print(swarm.service_ps("web"))

# %% [markdown]
# Two containers are gone, and the swarm does not know. Nobody told it: a computer without power says nothing. `w1` is
# still `Ready`, and its tasks are still `Running`, because that is the last thing that was heard of them.
#
# The managers find out by *silence*. Each node's agent sends the leader a heartbeat every five seconds, and a node
# that has not been heard for three times that long (a little less or more: the period is drawn anew each time, so
# that the nodes do not all call at once) is marked `Down`.

# %%
swarm.run_until(lambda: " Down " in swarm.node_ls())
print(f"w1 is marked Down {swarm.now - crashed_at:.1f} s after it lost its power\n")
print(swarm.node_ls())

# %% [markdown]
# ## Reconciliation
#
# Now *desired* and *actual* differ in the managers' eyes, too, and the orchestrator does what it always does: it
# makes new tasks for the slots that are not served. They wait for the **restart delay** (5 s unless the service says
# otherwise) and start.

# %%
swarm.run_until(lambda: swarm.running("web") == 12)
restored_at = swarm.now
print(f"12 containers run again {restored_at - crashed_at:.1f} s after the crash\n")

swarm.run_for("1s")
print(swarm.service_ps("web"))

# %% [markdown]
# Look at the two slots that have a history (`\_`). The old tasks shall be `Shutdown`, and are still `Running`: only
# their node could report otherwise, and it is off. `docker service ls` counts them, which is why it now shows more
# replicas than you asked for:

# %%
print(swarm.service_ls())

# %% [markdown]
# ## Why did it take so long?
#
# Every event in the trace names its **cause**. Follow the causes from the last container that started back to the
# beginning, and you have the explanation.

# %%
from swarmsim.trace.events import ContainerStarted

*_, last = swarm.trace.of(ContainerStarted)

before = crashed_at
for recorded in reversed(swarm.trace.chain(last.seq)):
    event, at = recorded.event, recorded.at / 1e6
    told = [str(getattr(event, field)) for field in ("node", "name", "how", "message") if getattr(event, field, "")]
    print(f"{at:7.3f} s  +{at - before:6.3f}  {type(event).__name__:<16}  {', '.join(told)}")
    before = at

# %% [markdown]
# Read from the top: the crash; then a long silence, until the leader gives up on `w1`; `w1` is marked `Down`; five
# seconds of restart delay; the container starts. **Nearly all of the time is waiting on purpose.** A shorter
# heartbeat finds dead nodes sooner, and takes more live ones for dead when the network has a bad moment.
#
# ## The same in one picture
#
# Nothing here looks into the cluster: figures are drawn from the trace alone.

# %%
from swarmsim import plots

plots.run_figure(swarm.trace, plots.Heading("What happens when a worker loses its power?"), end=swarm.now)

# %% [markdown]
# * **Managers**: nothing. The leader has lost a worker, not a manager, so nobody is elected.
# * **Services**: the hatched area is what was missing, from the crash to the replacement. The dotted line is what the
#   store says: twelve, while ten run; then fourteen, while twelve run.
# * **Nodes**: the two tasks of `w1` become ghosts, `RUNNING` in the store and nowhere else. Their replacements wait
#   on other nodes for the restart delay, then run.
#
# ## The worker comes back
#
# **Predict:** will the swarm move two tasks back to `w1`?

# %%
swarm.start("w1")
swarm.run_for("20s")
print(swarm.node_ls())
print("\ncontainers on w1:", sum(container.node == "w1" for container in swarm.containers()))

# %% [markdown]
# No. `w1` is `Ready` and idle. Swarm replaces what is missing; it never stops a healthy task to balance the load.
# Only a rolling update places all tasks anew (`docker service update --force web`).
#
# ## The story as a file
#
# What you did by hand can be written down, together with what must hold, and be run by anybody, on the command line
# or in CI. This is `scenarios/worker-crash.yaml`:

# %%
from pathlib import Path

print(Path("../scenarios/worker-crash.yaml").read_text())

# %%
scenario = swarmsim.load("../scenarios/worker-crash.yaml")
result = swarmsim.run(scenario, seed=1)

for verdict in result.verdicts:
    print(verdict)

result.plot()

# %% [markdown]
# ## Was that luck?
#
# One run is one story. When the last heartbeat was sent before the crash, how long the next one was to be waited for,
# how long each image took to be pulled: all that is drawn from the seed. So run it under a few.

# %%
from swarmsim.api.states import NodeState
from swarmsim.trace.events import HostCrashed, NodeChanged

print("seed  verdict  marked Down after  restored after")
for seed in range(1, 9):
    result = swarmsim.run(scenario, seed=seed)
    crash = next(r.at for r in result.trace.of(HostCrashed))
    down = next(r.at for r in result.trace.of(NodeChanged) if r.event.state is NodeState.DOWN)
    *_, restored = (r.at for r in result.trace.of(ContainerStarted))
    print(f"{seed:4}  {result.state:<7}  {(down - crash) / 1e6:15.1f} s  {(restored - crash) / 1e6:12.1f} s")

# %% [markdown]
# The detection time varies by several seconds, the rest hardly. And a seed is a promise: the same seed gives the same
# run, to the last byte of its trace. That is what the **digest** says, and how a bug is reported here: file, seed,
# digest.

# %%
again = swarmsim.run(scenario, seed=7)
print(again.digest[:12], again.digest == swarmsim.run(scenario, seed=7).digest)
print(again.again)

# %% [markdown]
# ## Now you
#
# 1. Crash *two* workers at once. Is the time until all is well again longer?
# 2. Create the service with `deploy={"restart_policy": {"delay": "1s"}}`. Which line of the chain of causes changes?
# 3. Crash the leader, `swarm.crash("m1")`, and keep an eye on `swarm.leader()`. Do the containers on the other nodes
#    mind?
# 4. Crash two managers. What does `swarm.node_ls()` say now, and what still runs?
#
# Where to read on: the README for the command line, `docs/SCENARIOS.md` for the language of the file, `swarmsim list
# faults` for what else can go wrong.
