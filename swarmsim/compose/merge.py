"""Several files as one: `docker stack deploy -c base.yml -c more.yml` (docker/cli cli/compose/loader/merge.go).

Later files win: mappings are merged, texts and commands replaced, ports replaced by published port, volumes by
target, secrets and configs by source; other lists are appended, the words of a health check among them. An empty
value never replaces one (`read_only: false` does not undo `true`), but for the numbers of which Docker knows whether
they were given. Networks, volumes, secrets and configs are replaced whole. Quirk that is kept: once a service stands
in two files, its base's ports are one for each published port, even where the later file names none: `443/tcp` and
`443/udp` become one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .decode import Body, Config


def merge(base: Config, over: Config) -> Config:
    """Neither is changed."""
    services = dict(base.services)
    for name, body in over.services.items():
        services[name] = service(services[name], body) if name in services else body
    return Config(
        services,
        base.networks | over.networks,
        base.volumes | over.volumes,
        base.secrets | over.secrets,
        base.configs | over.configs,
    )


def service(base: Body, over: Body) -> Body:
    """One service of two files."""
    both = {}
    for key in [*base, *(key for key in over if key not in base)]:
        special = _SPECIAL.get(key)
        if special is not None and key in base:
            both[key] = special(base[key], over.get(key))
        elif key not in over:
            both[key] = base[key]
        else:
            both[key] = _merged(key, base.get(key), over[key])
    return both


def _merged(key: str, base: Any, over: Any) -> Any:
    """Go's zero values do not override (mergo, `WithOverride` and `WithAppendSlice`)."""
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        if key in _PLAIN_MAPS:
            return {**base, **over}
        return {**base, **{k: _merged(k, base.get(k), value) for k, value in over.items()}}
    if isinstance(base, list) and isinstance(over, list):
        return base + over
    if over is None or (key not in _POINTERS and not over and base is not None):
        return base
    return over


#: Maps of texts: a key that is given replaces, be it empty.
_PLAIN_MAPS = ("labels", "sysctls", "options", "driver_opts", "ulimits", "x-sim")
#: Numbers of which Docker knows whether they were given.
_POINTERS = ("replicas", "parallelism", "max_attempts", "retries")


def _by(key: str) -> Callable[[list[Body], list[Body] | None], list[Body]]:
    """One item for each value of the key, the later one; sorted by it."""

    def merged(base: list[Body], over: list[Body] | None) -> list[Body]:
        found = {item.get(key, ""): item for item in [*base, *(over or [])]}
        return [found[value] for value in sorted(found)]

    return merged


def _replaced(base: Any, over: Any) -> Any:
    return over or base


def _variables(base: dict[str, Any], over: dict[str, Any] | None) -> dict[str, Any]:
    """A variable without a value leaves the one that there is."""
    return {**base, **{name: value or base.get(name, value) for name, value in (over or {}).items()}}


def _logging(base: Body, over: Body | None) -> Body:
    """Options of another driver are replaced. Quirk: where there were none, the later's are lost."""
    if over is None:
        return base
    drivers = base.get("driver"), over.get("driver")
    if all(drivers) and drivers[0] != drivers[1]:
        return over
    options = base.get("options")
    merged = None if options is None else {**options, **(over.get("options") or {})}
    return {"driver": drivers[1] or drivers[0], "options": merged}


def _networks(base: dict[str, Body | None], over: dict[str, Body | None] | None) -> dict[str, Body | None]:
    """Quirk: of an attachment that stands in both, only the aliases are taken from the later."""
    found = dict(base)
    for name, body in (over or {}).items():
        before = found.get(name)
        if body is None and name in found:
            continue
        found[name] = body if before is None or body is None else {**before, "aliases": body.get("aliases")}
    return found


_SPECIAL: dict[str, Callable[[Any, Any], Any]] = {
    "ports": _by("published"),
    "volumes": _by("target"),
    "secrets": _by("source"),
    "configs": _by("source"),
    "command": _replaced,
    "entrypoint": _replaced,
    "environment": _variables,
    "logging": _logging,
    "networks": _networks,
}
