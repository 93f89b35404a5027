"""The placement constraint language: `node.labels.zone == a`, `node.role != manager`.

SwarmKit manager/constraint/constraint.go; reference/orchestration.md section 16. Used by the control API
(parse only), the scheduler's filter, the global orchestrator, jobs, the constraint enforcer, the dirty test and
the check *convergence*.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from .objects import Node
from .states import NodeRole

_KEY = re.compile(r"^[a-z_][a-z0-9\-_.]+$", re.IGNORECASE | re.ASCII)
_VALUE = re.compile(r"^[a-z0-9:\-_\s.*()?+\[\]\\^$|/]+$", re.IGNORECASE | re.ASCII)
_NODE_LABEL = "node.labels."
_ENGINE_LABEL = "engine.labels."


class ConstraintError(ValueError):
    """The text is no constraint; the message is SwarmKit's."""


class Constraint(NamedTuple):
    key: str
    equal: bool
    value: str


class Subject(NamedTuple):
    """What constraints are matched against; `of_node` reads it off a node object, checks off the trace."""

    id: str
    hostname: str
    addr: str
    role: NodeRole
    os: str
    arch: str
    labels: Mapping[str, str]
    engine_labels: Mapping[str, str]


def parse_constraint(text: str) -> Constraint:
    """Parse one constraint; raises `ConstraintError` with SwarmKit's text."""
    equal = "==" in text
    operator = "==" if equal else "!="
    key, found, value = text.partition(operator)
    if not found:
        raise ConstraintError("constraint expected one operator from ==, !=")
    key, value = key.strip(), value.strip()
    if not _KEY.match(key):
        raise ConstraintError(f"key '{key}' is invalid")
    if not _VALUE.match(value):
        raise ConstraintError(f"value '{value}' is invalid")
    return Constraint(key, equal, value)


@lru_cache(maxsize=4096)
def parse_constraints(texts: tuple[str, ...]) -> tuple[Constraint, ...]:
    """Parse all, or raise `ConstraintError` for the first that is wrong."""
    return tuple(map(parse_constraint, texts))


def of_node(node: Node) -> Subject:
    d = node.description
    return Subject(
        node.id,
        d.hostname if d else "",
        node.status.addr,
        node.role,
        d.platform.os if d else "",
        d.platform.architecture if d else "",
        node.spec.labels,
        d.engine_labels if d else {},
    )


def matches(constraints: Iterable[Constraint], subject: Subject) -> bool:
    """Do all hold? Values compare whole and without case; an unknown property equals nothing."""
    return all(_holds(c, subject) for c in constraints)


def node_matches(constraints: tuple[Constraint, ...], node: Node) -> bool:
    return not constraints or matches(constraints, of_node(node))


def _holds(c: Constraint, s: Subject) -> bool:
    key = c.key.lower()
    if key == "node.ip":
        return _ip_holds(c, s.addr)
    if key == "node.role":
        actual = s.role.name
    elif key == "node.id":
        actual = s.id
    elif key == "node.hostname":
        actual = s.hostname
    elif key == "node.platform.os":
        actual = s.os
    elif key == "node.platform.arch":
        actual = s.arch
    elif key.startswith(_NODE_LABEL) and len(key) > len(_NODE_LABEL):
        actual = s.labels.get(c.key[len(_NODE_LABEL) :], "")  # label names keep their case
    elif key.startswith(_ENGINE_LABEL) and len(key) > len(_ENGINE_LABEL):
        actual = s.engine_labels.get(c.key[len(_ENGINE_LABEL) :], "")
    else:
        return False  # an unknown key fails for == and for !=
    return (actual.lower() == c.value.lower()) == c.equal


def _ip_holds(c: Constraint, addr: str) -> bool:
    try:
        if "/" in c.value:
            network = ipaddress.ip_network(c.value, strict=False)
            inside = bool(addr) and ipaddress.ip_address(addr) in network
        else:
            wanted = ipaddress.ip_address(c.value)
            inside = bool(addr) and ipaddress.ip_address(addr) == wanted
    except ValueError:
        return False  # neither an address nor a network: fails for == and for !=
    return inside == c.equal
