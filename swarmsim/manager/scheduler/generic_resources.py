"""User-defined resources: kinds of which a node has so many, or a set of named ones.

SwarmKit api/genericresource (parse.go, validate.go, resource_management.go).
A node's free resources are held as `Free`: kind -> count, or kind -> names in list order.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...api.specs import GenericResource

Free = dict[str, int | tuple[str, ...]]
Held = tuple[GenericResource, ...]


class ParseError(ValueError):
    def __init__(self, text: str) -> None:
        super().__init__(f"could not parse GenericResource: {text}")


def parse(text: str) -> tuple[GenericResource, ...]:
    """`apple=3,orange=red,orange=blue`: one integer is a count, all non-integers are a named set (parse.go)."""
    if "\n" in text:
        raise ParseError("unexpected '\\n' character")
    values: dict[str, list[str]] = {}
    for term in text.split(","):
        kind, found, value = term.partition("=")
        if not found or "=" in value:
            raise ParseError(f"incorrect term {term}, missing '=' or malformed expression")
        values.setdefault(kind.strip(), []).append(value.strip())
    return tuple(_resource(kind, of_kind) for kind, of_kind in values.items())


def _resource(kind: str, values: list[str]) -> GenericResource:
    integers = [v for v in values if _is_integer(v)]
    if not integers:
        return GenericResource(kind, names=tuple(values))
    if len(values) > 1:
        raise ParseError(f"mixed discrete and named resources in expression '{kind}={values}'")
    if int(values[0]) < 0:
        raise ParseError(f"cannot ask for negative resource {kind}")
    return GenericResource(kind, count=int(values[0]))


def _is_integer(text: str) -> bool:
    """Of 64 bits, as Go's `strconv.ParseInt` reads it; what does not fit is a name."""
    digits = text[1:] if text[:1] in ("-", "+") else text
    return digits.isascii() and digits.isdigit() and -(2**63) <= int(text) < 2**63


def free(described: Iterable[GenericResource]) -> Free:
    """What a node of this description offers while nobody holds anything."""
    return {r.kind: r.names or r.count for r in described}


def has_enough(available: Free, wanted: GenericResource) -> bool:
    """Is there so much of that kind? A kind that is absent has not enough, even of 0 (validate.go `HasEnough`)."""
    if wanted.names:
        return False  # a task may reserve only counts
    offered = available.get(wanted.kind)
    if offered is None:
        return False
    return wanted.count <= (offered if isinstance(offered, int) else len(offered))


def select(available: Free, reservations: Iterable[GenericResource]) -> Held:
    """What a task that reserves these would get: counts, or the first free names in list order.

    A reservation of 0 gets nothing of a count, but every name there is (resource_management.go
    `selectNodeResources` stops once it has as many names as it wants, and it never has none).
    """
    selected = []
    for wanted in reservations:
        offered = available.get(wanted.kind)
        if offered is None:
            continue
        if not isinstance(offered, int):
            selected.append(GenericResource(wanted.kind, names=offered[: wanted.count] if wanted.count else offered))
        elif wanted.count:
            selected.append(GenericResource(wanted.kind, count=wanted.count))
    return tuple(selected)


def claim(available: Free, reservations: Iterable[GenericResource]) -> Held:
    """Take them from `available`, all or nothing (`Claim`)."""
    reservations = tuple(reservations)
    if not all(has_enough(available, wanted) for wanted in reservations):
        return ()
    selected = select(available, reservations)
    consume(available, selected)
    return selected


def consume(available: Free, held: Iterable[GenericResource]) -> None:
    """Take exactly these; a kind of which nothing is left disappears (`ConsumeNodeResources`)."""
    for resource in held:
        offered = available.get(resource.kind)
        if offered is None:
            continue
        rest: int | tuple[str, ...]
        if isinstance(offered, int):
            rest = max(0, offered - resource.count)
        else:
            rest = tuple(name for name in offered if name not in resource.names)
        if rest:
            available[resource.kind] = rest
        else:
            del available[resource.kind]


def reclaim(available: Free, held: Iterable[GenericResource], described: Iterable[GenericResource]) -> None:
    """Give back what a task held, never beyond what the node describes now (`Reclaim`, `sanitize`)."""
    for resource in held:
        offered = available.get(resource.kind)
        if resource.names:
            known = offered if isinstance(offered, tuple) else ()
            available[resource.kind] = known + tuple(n for n in resource.names if n not in known)
        else:
            available[resource.kind] = (offered if isinstance(offered, int) else 0) + resource.count
    sanitize(available, described)


def sanitize(available: Free, described: Iterable[GenericResource]) -> None:
    """Drop kinds and names that the node no longer has, cap counts, reset a kind whose type changed."""
    offers = free(described)
    for kind in list(available):
        offered, whole = available[kind], offers.get(kind)
        if not whole:
            del available[kind]
        elif isinstance(offered, int) != isinstance(whole, int):
            available[kind] = whole
        elif isinstance(offered, int) and isinstance(whole, int):
            available[kind] = min(offered, whole)
        elif isinstance(offered, tuple) and isinstance(whole, tuple):
            available[kind] = tuple(name for name in offered if name in whole)
            if not available[kind]:
                del available[kind]
