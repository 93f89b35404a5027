"""What a stack file asks of its nodes and a plain cluster does not have: said before the run, with what to write."""

from __future__ import annotations

from collections.abc import Sequence

from ..api.constraints import Constraint, ConstraintError, Subject, matches, parse_constraints
from ..api.specs import ServiceSpec
from ..api.states import NodeRole
from .schema import HostWords

LABEL = "node.labels."


def unmet(services: Sequence[ServiceSpec], hosts: Sequence[HostWords]) -> list[str]:
    """A warning for each service whose constraints no host meets. Constraints that are none are the API's to refuse."""
    subjects = [_subject(host) for host in hosts]
    found = []
    for spec in services:
        texts = spec.task.placement.constraints if spec.task.placement else ()
        try:
            constraints = parse_constraints(texts)
        except ConstraintError:
            continue
        if not any(matches(constraints, subject) for subject in subjects):
            found.append(f"{spec.name} fits no node of this cluster: {', '.join(texts)}{_advice(constraints, hosts)}")
    return found


def _subject(host: HostWords) -> Subject:
    """As `api.constraints.of_node`; addresses, and ids other than names, are given when the cluster is built."""
    role = NodeRole.MANAGER if host.role == "manager" else NodeRole.WORKER
    platform = host.platform
    return Subject(host.name, host.name, "", role, platform.os, platform.architecture, host.labels, host.engine_labels)


def _advice(constraints: Sequence[Constraint], hosts: Sequence[HostWords]) -> str:
    """The options that would make a node fit, where labels alone are missing."""
    labels = [c for c in constraints if c.equal and c.key.lower().startswith(LABEL)]
    others = [c for c in constraints if c not in labels]
    fitting = [host for host in hosts if matches(others, _subject(host))]
    if not labels or not fitting:
        return ""
    node = next((host for host in fitting if host.role == "worker"), fitting[0])
    return "; write " + " ".join(f"--label {node.name}:{c.key[len(LABEL) :]}={c.value}" for c in labels)
