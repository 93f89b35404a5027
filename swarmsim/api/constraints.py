"""The placement constraint language: `node.labels.zone == a`, `node.role != manager`.

SwarmKit manager/constraint/constraint.go. Used by the control API (parse only), the scheduler's filter, the global
orchestrator, jobs, the constraint enforcer, the dirty test and the check *convergence*. A value is a plain text: its
special characters have no meaning.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from .objects import Node
from .states import NodeRole

_KEY = re.compile(r"[a-z_][a-z0-9\-_.]+", re.IGNORECASE | re.ASCII)
_VALUE = re.compile(r"[a-z0-9:\-_ \t\n\f\r.*()?+\[\]\\^$|/]+", re.IGNORECASE | re.ASCII)
_NODE_LABEL = "node.labels."
_ENGINE_LABEL = "engine.labels."

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address
Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network


class ConstraintError(ValueError):
    """The text is no constraint; the message is SwarmKit's."""


class Constraint(NamedTuple):
    key: str
    equal: bool
    value: str

    def matches(self, *candidates: str) -> bool:
        """Does the value equal one of these (or none, for `!=`), whole and without regard to case?"""
        value = self.value.lower()
        return any(candidate.lower() == value for candidate in candidates) == self.equal


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


# -- parsing --
def parse_constraint(text: str) -> Constraint:
    """Parse one constraint; raises `ConstraintError` with SwarmKit's text."""
    equal = "==" in text
    operator = "==" if equal else "!="
    key, found, value = text.partition(operator)
    if not found:
        raise ConstraintError("constraint expected one operator from ==, !=")
    key, value = key.strip(), value.strip()
    if not _KEY.fullmatch(key):
        raise ConstraintError(f"key '{key}' is invalid")
    if not _VALUE.fullmatch(value):
        raise ConstraintError(f"value '{value}' is invalid")
    return Constraint(key, equal, value)


@lru_cache(maxsize=4096)
def parse_constraints(texts: tuple[str, ...]) -> tuple[Constraint, ...]:
    """Parse all, or raise `ConstraintError` for the first that is wrong."""
    return tuple(map(parse_constraint, texts))


# -- matching --
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
    """Do all hold? An unknown property equals nothing; an unknown key fails for `==` and for `!=`."""
    return all(_meaning(c)(subject) for c in constraints)


def node_matches(constraints: tuple[Constraint, ...], node: Node) -> bool:
    return not constraints or matches(constraints, of_node(node))


def compile_constraints(constraints: tuple[Constraint, ...]) -> Callable[[Node], bool]:
    """The same as `node_matches`, for asking many nodes."""
    meanings = [_meaning(c) for c in constraints]

    def holds(node: Node) -> bool:
        subject = of_node(node)
        return all(meaning(subject) for meaning in meanings)

    return holds


#: Keys with one value, compared without regard to case. `node.platform.arch` knows no synonyms.
_PROPERTIES: dict[str, Callable[[Subject], str]] = {
    "node.id": lambda s: s.id,
    "node.hostname": lambda s: s.hostname,
    "node.role": lambda s: s.role.name,
    "node.platform.os": lambda s: s.os,
    "node.platform.arch": lambda s: s.arch,
}


@lru_cache(maxsize=4096)
def _meaning(c: Constraint) -> Callable[[Subject], bool]:
    """What the constraint asks of a subject (constraint.go `NodeMatches`)."""
    key = c.key.lower()
    if key == "node.ip":
        return _ip_meaning(c)
    if key in _PROPERTIES:
        read = _PROPERTIES[key]
        return lambda s: c.matches(read(s))
    if key.startswith(_NODE_LABEL) and len(key) > len(_NODE_LABEL):
        label = c.key[len(_NODE_LABEL) :]  # a label's name keeps its case
        return lambda s: c.matches(s.labels.get(label, ""))
    if key.startswith(_ENGINE_LABEL) and len(key) > len(_ENGINE_LABEL):
        label = c.key[len(_ENGINE_LABEL) :]
        return lambda s: c.matches(s.engine_labels.get(label, ""))
    return lambda s: False


def _ip_meaning(c: Constraint) -> Callable[[Subject], bool]:
    """An address or a subnet; a node without a proper address equals nothing and is in no subnet."""
    wanted = _parse_ip(c.value)
    if wanted is not None:
        return lambda s: (_parse_ip(s.addr) == wanted) == c.equal
    subnet = _parse_subnet(c.value)
    if subnet is None:
        return lambda s: False
    return lambda s: _is_within(_parse_ip(s.addr), subnet) == c.equal


def _is_within(ip: Ip | None, subnet: Subnet) -> bool:
    return ip is not None and ip.version == subnet.version and ip in subnet


def _parse_ip(text: str) -> Ip | None:
    """As Go's `net.ParseIP`: no zone; an IPv4 address in IPv6 clothes is the IPv4 address."""
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    return None if ip.scope_id is not None else ip.ipv4_mapped or ip


def _parse_subnet(text: str) -> Subnet | None:
    """As Go's `net.ParseCIDR`: a prefix length, never a mask; host bits may be set."""
    address, slash, length = text.partition("/")
    if not slash or not length.isdigit():
        return None
    try:
        subnet = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
    mapped = ipaddress.ip_address(address)
    if isinstance(mapped, ipaddress.IPv6Address) and mapped.ipv4_mapped is not None and subnet.prefixlen >= 96:
        return ipaddress.ip_network(f"{mapped.ipv4_mapped}/{subnet.prefixlen - 96}", strict=False)
    return subnet
