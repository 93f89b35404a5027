"""Brains: the agent that runs on every node (SwarmKit agent/). Read `agent` first.

`session` chooses managers, `worker` keeps the node's tasks, `controller` steps one task, `reporter` brings statuses
home, `service_binding` and `load_balancer` are the node's part in the routing mesh. It meets the manager only in
messages.
"""
