"""The trace in the format of recordings of a real cluster: what the store's watch stream shows, and marks.

`swarmsim run FILE --record OUT.jsonl`. A line is written when one of the fields that it shows has changed; `t` is
seconds since all nodes were ready. A crash is the mark `stop-node`, its end `start-node`; steps are marked before the
act.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..checks.history import OF_NODES
from ..trace.events import (
    FaultEnded,
    FaultStarted,
    NodeChanged,
    RunEnded,
    ServiceChanged,
    StepSent,
    SwarmReady,
    TaskChanged,
)
from ..trace.recorder import Trace

if TYPE_CHECKING:
    from ..trace.recorder import Recorded

_MARKS = {"activate": "active", "remove_node": "remove-node", "remove_stack": "remove-stack"}


def lines(trace: Trace, name: str) -> Iterator[str]:
    """The recording, a JSON object a line."""
    shown: dict[tuple[str, str], dict[str, Any]] = {}
    called: dict[tuple[str, str], str] = {}  # what a task's line said first: slot 0 of a job has no node's name yet
    for recorded in trace:
        for fields in _fields(recorded, name):
            ident = fields.pop("_ident", None)
            if ident is not None:
                if "id" in fields:
                    fields["id"] = called.setdefault(ident, fields["id"])
                if recorded.at == 0 and ident[0] == "node":
                    continue  # a recording begins when all are ready: a node's first change after that is news
                if _same(shown.get(ident), fields):
                    continue
                shown[ident] = fields
            yield json.dumps({"t": round(recorded.at / 1e6, 6), **fields})


def _same(before: dict[str, Any] | None, now: dict[str, Any]) -> bool:
    """Does it show nothing new? That an update follows a creation is no news, nor is a newcomer's first certificate."""
    if before is None or now["action"] == "REMOVE":
        return False
    passed_over = {"action", "cert"} if before.get("cert") == "PENDING" else {"action"}
    return all(before.get(key) == now.get(key) for key in (before.keys() | now.keys()) - passed_over)


def _fields(recorded: Recorded, name: str) -> Iterator[dict[str, Any]]:
    event = recorded.event
    kind = type(event)
    if kind is TaskChanged:
        yield _task(event)
    elif kind is NodeChanged:
        yield _node(event)
    elif kind is ServiceChanged:
        yield _service(event)
    elif kind is StepSent:
        yield from _step(event)
    elif kind in (FaultStarted, FaultEnded) and event.kind == "crash":
        what = "stop-node" if kind is FaultStarted else "start-node"
        for node in event.nodes:
            yield {"ev": "mark", "what": what, "node": node}
    elif kind is SwarmReady:
        sizes = {"managers": len(event.managers), "workers": len(event.workers)}
        yield {"ev": "start", "scenario": name, "leader": event.leader, **sizes}
    elif kind is RunEnded:
        yield {"ev": "mark", "what": "end"}


def _task(event: TaskChanged) -> dict[str, Any]:
    fields = {
        "_ident": ("task", event.task),
        "ev": "task",
        "id": f"{event.name}#{event.generation}",
        "svc": event.service,
        "slot": event.slot,
        "node": event.node,
        "state": event.now.name,
        "desired": event.desired.name,
        "action": event.action,
        "msg": event.message,
    }
    return {**fields, "err": event.error} if event.error else fields


def _node(event: NodeChanged) -> dict[str, Any]:
    fields = {
        "_ident": ("node", event.id),
        "ev": "node",
        "node": event.node,
        "action": event.action,
        "state": event.state.name,
        "avail": event.availability.name,
        "role": event.role.name,
        "desired_role": event.desired_role.name,
        "cert": event.certificate.name,
    }
    return {**fields, "msg": event.message} if event.message else fields


def _service(event: ServiceChanged) -> dict[str, Any]:
    fields = {
        "_ident": ("service", event.service),
        "ev": "service",
        "svc": event.service,
        "action": event.action,
        "replicas": event.replicas if event.mode == "replicated" else 0,
    }
    if event.update is not None:
        fields |= {"update": event.update.name, "msg": event.message}
    return fields


def _step(event: StepSent) -> Iterator[dict[str, Any]]:
    what = _MARKS.get(event.verb, event.verb)
    if event.verb in OF_NODES:
        if event.verb == "label" and event.detail.startswith("without "):
            what = "unlabel"
        for node in event.target.split(", "):
            yield {"ev": "mark", "what": what, "node": node}
    elif event.verb == "create" and event.detail in ("network", "secret", "config"):
        return
    elif event.verb == "scale":
        yield {"ev": "mark", "what": what, "svc": event.target, "replicas": int(event.detail.removeprefix("to "))}
    elif event.verb in ("deploy", "remove_stack"):
        yield {"ev": "mark", "what": what, "stack": event.target}
    else:
        rerun = event.verb == "update" and event.detail == "force"
        yield {"ev": "mark", "what": "rerun" if rerun else what, "svc": event.target}
