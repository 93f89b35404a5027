"""Words: the nouns of SwarmKit, spelled as it spells them. This page is the glossary.

*spec*: what the user wants (`specs`). *Object*: what the cluster keeps in its replicated store (`objects`).
*status*: what was observed. *desired state*: what the orchestrator wants of a task (`states`). *service*: a
container image with a number of replicas and rules. *task*: one attempt to run it; never restarted, only replaced,
so never called a job, pod, replica or container. *slot*: the place of a task in its service (1..replicas), held by
one live task at a time. *node*: a member of the swarm; *host*: the simulated computer it lives on. *manager* and
*worker*: roles. *session*: an agent's registered connection to the dispatcher. *assignments*: what a node shall run.
*store action*: one change of an object in a proposal.

Files: `states` (enumerations, the transition table), `specs`, `objects`, `messages`, `values` (durations and
ranges as text), `constraints` (placement constraint language).
"""
