"""Brains: a manager, and what its leader does for the cluster (SwarmKit manager/).

Every manager has a Raft member, a store, a proxy and the control API; the leader has the *components* besides, each a
machine with a driver of its own. The rooms:

    raft_node/       turns the Raft core's Ready into persist, send, apply; what is on the disk: `storage`
    proposer         the store's update lock: one transaction at a time through Raft
    proxy            a follower passes requests on to the leader
    controlapi/      what operators ask for, checked by `validation`
    manager          starts the components on gaining leadership, stops them on losing it; their order: `component`
    orchestrator/    which tasks there shall be
    allocator/       addresses and ports
    scheduler/       nodes for tasks
    dispatcher/      sessions with the agents: assignments down, statuses and heartbeats up
    csi              cluster volumes: what the storage drivers' controllers are asked to do
    drivers          plugins that give secrets their values
    resourceapi      containers that are no tasks join networks
    watchapi         streams of what commits change, from now or an earlier version on

A task goes through five stages, and each hands it on by what it writes to the store, never by a call:

    1. orchestrator  creates it                        NEW
    2. allocator     gives it addresses                NEW -> PENDING
    3. scheduler     gives it a node                   PENDING -> ASSIGNED
    4. dispatcher    sends it to its node's agent
    5. agent         runs it, and reports              ACCEPTED ... RUNNING, and how it ended

A component sees each commit as one `Committed` message, decides, and proposes; it keeps nothing that it could not
rebuild from the store, because leadership may move at any moment. Read `component`, then `manager`, then the stage in
question.
"""
