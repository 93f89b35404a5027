"""What a stack file may contain: the keys of each version, the types of their values, and the words where they differ.

Docker checks each file against a JSON schema of its `version` (docker/cli cli/compose/schema). The table at the end
says the same for 3.0 to 3.13 at once: `Since` marks a key that came later and is refused as unknown before. The
messages are Docker's, with what to write after them; where Docker stops at one, all are told.

Here also: which versions there are, and which keys Docker forbids, ignores with a word, or ignores in silence.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import short_forms, units
from .source import KeyPath

#: Told of what is wrong: the path of the key, and the words.
Tell = Callable[[KeyPath, str], None]

NEWEST = 13

# ---- versions --------------------------------------------------------------------------------------------


def minor_version(data: Mapping[Any, Any], tell: Tell) -> int | None:
    """The minor version of a file; absent, empty and "3" are the newest (docker/cli schema.go, `normalizeVersion`).

    None: there is no schema for it, and there is no use in telling what else is wrong.
    """
    if "version" not in data:
        return NEWEST
    said = data["version"]
    text = units.printed(said)
    if text in ("", "3") or text in [f"3.{minor}" for minor in range(NEWEST + 1)]:
        if not isinstance(said, str):
            tell(("version",), f'version must be a string; write version: "{text}"')
        return NEWEST if text in ("", "3") else int(text[2:])
    instead = f'write version: "3.0" to "3.{NEWEST}", or leave it out'
    tell(("version",), f"unsupported Compose file version: {text[:40]}; {instead}")
    return None


# ---- what Docker does not do ----------------------------------------------------------------------------------

_LIMITS = "Set resource limits using deploy.resources"
FORBIDDEN = {
    "extends": "Support for `extends` is not implemented yet.",
    "volume_driver": (
        "Instead of setting the volume driver on the service, define a volume using the top-level `volumes` option "
        "and specify the driver there."
    ),
    "volumes_from": (
        "To share a volume between services, define it using the top-level `volumes` option and reference it from "
        "each service that shares it using the service-level `volumes` option."
    ),
    **dict.fromkeys(("cpu_quota", "cpu_shares", "cpuset", "mem_limit", "memswap_limit"), _LIMITS),
}
_INSTEAD_OF_FORBIDDEN = {
    "extends": "share keys with an anchor: &name and <<: *name",
    "volume_driver": "write volumes: {data: {driver: NAME}} at the top",
    "volumes_from": "write volumes: {data: {}} at the top, and volumes: [data:/path] in each service",
    "cpu_quota": 'write deploy: {resources: {limits: {cpus: "0.5"}}}',
    "cpu_shares": 'write deploy: {resources: {reservations: {cpus: "0.5"}}}',
    "cpuset": 'write deploy: {resources: {limits: {cpus: "0.5"}}}',
    "mem_limit": "write deploy: {resources: {limits: {memory: 512M}}}",
    "memswap_limit": "write deploy: {resources: {limits: {memory: 512M}}}",
}

UNSUPPORTED = (
    "build",
    "cgroup_parent",
    "cgroupns_mode",
    "devices",
    "domainname",
    "external_links",
    "ipc",
    "links",
    "mac_address",
    "network_mode",
    "pid",
    "privileged",
    "restart",
    "security_opt",
    "shm_size",
    "userns_mode",
)
DEPRECATED = {
    "container_name": "Setting the container name is not supported.",
    "expose": (
        "Exposing ports is unnecessary - services on the same network can access each other's containers on any port."
    ),
}


def check_forbidden(data: Mapping[Any, Any], tell: Tell) -> None:
    """Before all else, on the words as written (loader.go, `validateForbidden`)."""
    services = data.get("services")
    for name, service in services.items() if isinstance(services, Mapping) else ():
        for key in service if isinstance(service, Mapping) else ():
            if key in FORBIDDEN:
                text = f"Compose file contains unsupported options: {key}: {FORBIDDEN[key]}"
                tell(("services", name, key), f"{text.removesuffix('.')}; {_INSTEAD_OF_FORBIDDEN[key]}")


# ---- rules -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scalar:
    """A text, number, boolean or null. `check` raises `ValueError` with what is wrong with a text or number."""

    types: tuple[str, ...]
    check: Callable[[Any], None] | None = None


@dataclass(frozen=True)
class ListOf:
    item: Rule
    unique: bool = False
    types: tuple[str, ...] = ("list",)


@dataclass(frozen=True)
class Fields:
    """A mapping. `keys` may stand in it, and names that match `pattern`, with a value after `named`.

    `extensions`: the version that allows `x-…`. Other keys are refused, unless `open` lets them pass, or `others` says
    what they may be. `before` and `also`: types that may stand in place of the mapping.
    """

    keys: Mapping[str, Rule] = field(default_factory=dict)
    named: Rule | None = None
    pattern: str = r"[a-zA-Z0-9._-]+"
    extensions: int | None = None
    open: bool = False
    others: Rule | None = None
    also: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    required: tuple[str, ...] = ()

    @property
    def types(self) -> tuple[str, ...]:
        return (*self.before, "mapping", *self.also)


@dataclass(frozen=True)
class Either:
    """The first of several forms that takes the value's type; where none does, the first is asked for."""

    forms: tuple[Rule, ...]

    @property
    def types(self) -> tuple[str, ...]:
        return tuple(t for form in self.forms for t in form.types)


@dataclass(frozen=True)
class Since:
    """A key that came with version 3.`minor`; before it, `old` holds, or the key is unknown."""

    minor: int
    rule: Rule
    old: Rule | None = None

    @property
    def types(self) -> tuple[str, ...]:
        return self.rule.types


Rule = Scalar | ListOf | Fields | Either | Since


def check(data: Any, minor: int, tell: Tell) -> None:
    """Tell all that is wrong with a file of version 3.`minor`."""
    _Check(minor, tell).value(FILE, data, ())


class _Check:
    """One file's check."""

    def __init__(self, minor: int, tell: Tell) -> None:
        self.minor = minor
        self.tell = tell

    def value(self, rule: Rule, value: Any, path: KeyPath) -> None:
        found = self.at_version(rule)
        assert found is not None, "an unknown key is told by its mapping"
        if isinstance(found, Either):
            found = next((form for form in found.forms if _takes(form, value)), found.forms[0])
        if not _takes(found, value):
            self.tell(path, f"{dotted(path)} must be a {_or(found.types)}; {_instead(found, value)}")
        elif isinstance(found, Fields) and isinstance(value, Mapping):
            self.fields(found, value, path)
        elif isinstance(found, ListOf):
            self.items(found, value, path)
        elif isinstance(found, Scalar):
            self.scalar(found, value, path)

    def at_version(self, rule: Rule) -> Rule | None:
        while isinstance(rule, Since):
            if self.minor >= rule.minor:
                rule = rule.rule
            elif rule.old is None:
                return None
            else:
                rule = rule.old
        return rule

    def scalar(self, rule: Scalar, value: Any, path: KeyPath) -> None:
        if isinstance(value, float) and not math.isfinite(value):
            text = f"json: unsupported value: {units.plain(value)}"
            self.tell(path, f"{text}; put it into quotes, if a text is meant")
        elif rule.check is not None:
            try:
                rule.check(value)
            except ValueError as error:
                self.tell(path, f"{dotted(path)} {error}")

    def items(self, rule: ListOf, value: list[Any], path: KeyPath) -> None:
        seen: dict[Any, int] = {}
        for index, item in enumerate(value):
            first = seen.setdefault(_frozen(item), index) if rule.unique else index
            if first != index:
                text = f"{dotted(path)} array items[{first},{index}] must be unique; write it once"
                self.tell((*path, index), text)
            else:
                self.value(rule.item, item, (*path, index))

    def fields(self, rule: Fields, value: Mapping[Any, Any], path: KeyPath) -> None:
        for key, child in value.items():
            if not isinstance(key, str):
                shown = "null" if key is None else units.plain(key)
                text = "json: unsupported type: map[interface {}]interface {}"
                self.tell((*path, key), f'{text}; the key {shown} is no text, write "{shown}"')
                continue
            known = rule.keys.get(key)
            child_rule = self.at_version(known) if known is not None else None
            if child_rule is not None:
                self.value(child_rule, child, (*path, key))
            elif rule.named is not None and re.fullmatch(rule.pattern, key):
                self.value(rule.named, child, (*path, key))
            elif rule.others is not None:
                self.value(rule.others, child, (*path, key))
            elif not rule.open and not self.extension(rule, key):
                self.unknown(rule, key, child, path)
            else:
                self.plain_data(child, (*path, key))
        for key in rule.required:
            if key not in value:
                self.tell(path, f"{dotted(path)} {key} is required; write {key}: …")

    def extension(self, rule: Fields, key: str) -> bool:
        return rule.extensions is not None and self.minor >= rule.extensions and key.startswith("x-")

    def plain_data(self, value: Any, path: KeyPath) -> None:
        """What is not looked at must still be something that JSON can say."""
        if isinstance(value, Mapping):
            self.fields(_ANYTHING, value, path)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                self.plain_data(item, (*path, index))
        elif isinstance(value, float):
            self.scalar(_NUMBER, value, path)

    def unknown(self, rule: Fields, key: str, child: Any, path: KeyPath) -> None:
        text = f"{dotted(path)} Additional property {key[:60]} is not allowed"
        self.tell((*path, key), f"{text}; {self._instead_of(rule, key, child)}")

    def _instead_of(self, rule: Fields, key: str, child: Any) -> str:
        later = rule.keys.get(key)
        if isinstance(later, Since):
            return f'write version: "3.{later.minor}" or later, or leave the version out'
        if key.startswith("x-") and rule.extensions is not None:
            return f'write version: "3.{rule.extensions}" or later, or leave the version out'
        if ":" in key and key.partition(":")[0] in rule.keys:
            return "a space is missing after the colon"
        if rule.named is not None and not rule.keys:
            return "names are made of letters, digits, . _ and -"
        close = difflib.get_close_matches(key, list(rule.keys), n=1, cutoff=0.7)
        if close:
            return f"did you mean {close[0]}?"
        if rule is SERVICE and key in _COMPOSE_UP:
            return _COMPOSE_UP[key]
        return "docker stack does not know it, leave it out"


def dotted(path: KeyPath) -> str:
    """`services.web.ports.0`, as Docker names a place; the whole file is `(root)`."""
    return ".".join(str(step) for step in path) or "(root)"


def _kind(value: Any) -> tuple[str, ...]:
    """The types of JSON that a value has."""
    if value is None:
        return ("null",)
    if isinstance(value, bool):
        return ("boolean",)
    if isinstance(value, int):
        return ("integer", "number")
    if isinstance(value, float):
        return ("integer", "number") if value.is_integer() else ("number",)
    return ("mapping",) if isinstance(value, Mapping) else ("list",) if isinstance(value, list) else ("string",)


def _takes(rule: Rule, value: Any) -> bool:
    return any(kind in rule.types for kind in _kind(value))


def _frozen(value: Any) -> Any:
    """Equal for what is equal in JSON."""
    if isinstance(value, Mapping):
        return "mapping", tuple(sorted((repr(key), repr(_frozen(item))) for key, item in value.items()))
    return ("list", tuple(map(_frozen, value))) if isinstance(value, list) else (_kind(value), value)


def _or(types: tuple[str, ...]) -> str:
    return types[0] if len(types) == 1 else f"{', '.join(types[:-1])} or {types[-1]}"


def _instead(rule: Rule, value: Any) -> str:
    """What to write in place of a value of a wrong type."""
    wanted = rule.types[0]
    if value is None and "mapping" not in rule.types and "list" not in rule.types:
        return "write a value, or leave the key out"
    if wanted == "string":
        return f'write "{units.plain(value)}"' if isinstance(value, int | float) else "write a text"
    if wanted in ("integer", "number"):
        number = isinstance(value, str) and re.fullmatch(r"-?\d{1,18}", value, re.ASCII)
        return f"write {value} without quotes" if number else "write a number"
    if wanted == "boolean":
        return "write true or false"
    if wanted == "list":
        names = list(value) if isinstance(value, Mapping) else [value] if isinstance(value, str) else ["…"]
        return f"write [{', '.join(str(n)[:40] for n in names[:5])}]"
    return "write key: value lines under it, or leave it out" if value is None else "write key: value lines under it"


# ---- the table -------------------------------------------------------------------------------------------


def _duration(text: Any) -> None:
    try:
        units.duration(text)
    except ValueError:
        raise ValueError("Does not match format 'duration'; write a number with its unit: 10s, 1m30s, 500ms") from None


def _port(value: Any) -> None:
    try:
        short_forms.check_ports(units.plain(int(value) if isinstance(value, float) else value))
    except ValueError as error:
        raise ValueError(f'Does not match format \'ports\'; {error}: write "8080:80" or "8080:80/udp"') from None


def _order(text: Any) -> None:
    if text not in ("start-first", "stop-first"):
        raise ValueError('must be one of the following: "start-first", "stop-first"; write one of them')


def _not_negative(value: Any) -> None:
    if value < 0:
        raise ValueError("Must be greater than or equal to 0; write a number of bytes")


_TEXT = Scalar(("string",))
_FLAG = Scalar(("boolean",))
_INTEGER = Scalar(("integer",))
_NUMBER = Scalar(("number",))
_TEXT_OR_NUMBER = Scalar(("string", "number"))
_NUMBER_OR_TEXT = Scalar(("number", "string"))
_ANY_SCALAR = Scalar(("string", "number", "null"))
_DURATION = Scalar(("string",), _duration)
_TEXTS = ListOf(_TEXT, unique=True)
_TEXT_OR_TEXTS = Either((_TEXT, _TEXTS))
_COMMAND = Either((_TEXT, ListOf(_TEXT)))
_PAIRS = Either((Fields(named=_ANY_SCALAR, pattern=r"(?s).+"), _TEXTS))
_OPTIONS = Fields(named=_TEXT_OR_NUMBER, pattern=r"(?s).*")
_ANYTHING = Fields(open=True)
#: A network whose name no pattern matches is let pass, as long as it is a mapping.
_ANY_BODY = Fields(open=True, also=("null",))

_BUILD_KEYS: dict[str, Rule] = {
    "context": _TEXT,
    "dockerfile": _TEXT,
    "args": _PAIRS,
    "labels": Since(3, _PAIRS),
    "cache_from": Since(2, _TEXTS),
    "network": Since(4, _TEXT),
    "target": Since(4, _TEXT),
    "shm_size": Since(5, Scalar(("integer", "string"))),
    "extra_hosts": Since(9, _PAIRS),
}

_FILE_REFERENCES = ListOf(
    Either(
        (
            _TEXT,
            Fields({"source": _TEXT, "target": _TEXT, "uid": _TEXT, "gid": _TEXT, "mode": _NUMBER}, open=True),
        )
    )
)

_PORT = Since(
    2,
    Either(
        (
            Scalar(("number",), _port),
            Scalar(("string",), _port),
            Fields({"mode": _TEXT, "target": _INTEGER, "published": _INTEGER, "protocol": _TEXT}),
        )
    ),
    old=Scalar(("string", "number"), _port),
)

_VOLUME = Either(
    (
        _TEXT,
        Fields(
            {
                "type": _TEXT,
                "source": _TEXT,
                "target": _TEXT,
                "read_only": _FLAG,
                "consistency": _TEXT,
                "bind": Fields({"propagation": _TEXT}, open=True),
                "volume": Fields({"nocopy": _FLAG}, open=True),
                "tmpfs": Since(6, Fields({"size": Scalar(("integer",), _not_negative)}, open=True)),
            },
            required=("type",),
        ),
    )
)

_SERVICE_NETWORK = Either(
    (
        Fields(
            {
                "aliases": _TEXTS,
                "driver_opts": Since(13, _OPTIONS),
                "ipv4_address": _TEXT,
                "ipv6_address": _TEXT,
            }
        ),
        Scalar(("null",)),
    )
)

_TEST_DURATION = Since(4, _DURATION, old=_TEXT)
_HEALTHCHECK = Fields(
    {
        "disable": _FLAG,
        "interval": _TEST_DURATION,
        "retries": _NUMBER,
        "test": _COMMAND,
        "timeout": _TEST_DURATION,
        "start_period": Since(4, _DURATION),
        "start_interval": Since(12, _DURATION),
    }
)


def _update(order: int) -> Fields:
    return Fields(
        {
            "parallelism": _INTEGER,
            "delay": _DURATION,
            "failure_action": _TEXT,
            "monitor": _DURATION,
            "max_failure_ratio": _NUMBER,
            "order": Since(order, Scalar(("string",), _order)),
        }
    )


_GENERIC = ListOf(Fields({"discrete_resource_spec": Fields({"kind": _TEXT, "value": _NUMBER})}))

_DEPLOY = Fields(
    {
        "mode": _TEXT,
        "endpoint_mode": Since(2, _TEXT),
        "replicas": _INTEGER,
        "labels": _PAIRS,
        "rollback_config": Since(7, _update(order=7)),
        "update_config": _update(order=4),
        "resources": Fields(
            {
                "limits": Fields({"cpus": _TEXT, "memory": _TEXT, "pids": Since(9, _INTEGER)}),
                "reservations": Fields({"cpus": _TEXT, "memory": _TEXT, "generic_resources": Since(5, _GENERIC)}),
            }
        ),
        "restart_policy": Fields(
            {"condition": _TEXT, "delay": _DURATION, "max_attempts": _INTEGER, "window": _DURATION}
        ),
        "placement": Fields(
            {
                "constraints": ListOf(_TEXT),
                "preferences": Since(3, ListOf(Fields({"spread": _TEXT}))),
                "max_replicas_per_node": Since(8, _INTEGER),
            }
        ),
    },
    also=("null",),
)

SERVICE = Fields(
    {
        "deploy": _DEPLOY,
        "build": Since(11, Either((_TEXT, Fields(_BUILD_KEYS, open=True))), old=Either((_TEXT, Fields(_BUILD_KEYS)))),
        "cap_add": _TEXTS,
        "cap_drop": _TEXTS,
        "cgroupns_mode": Since(9, _TEXT),
        "cgroup_parent": _TEXT,
        "command": _COMMAND,
        "configs": Since(3, _FILE_REFERENCES),
        "container_name": _TEXT,
        "credential_spec": Since(3, Fields({"config": Since(8, _TEXT), "file": _TEXT, "registry": _TEXT})),
        "depends_on": _TEXTS,
        "devices": _TEXTS,
        "dns": _TEXT_OR_TEXTS,
        "dns_search": _TEXT_OR_TEXTS,
        "domainname": _TEXT,
        "entrypoint": _COMMAND,
        "env_file": _TEXT_OR_TEXTS,
        "environment": _PAIRS,
        "expose": ListOf(_TEXT_OR_NUMBER, unique=True),
        "external_links": _TEXTS,
        "extra_hosts": _PAIRS,
        "healthcheck": _HEALTHCHECK,
        "hostname": _TEXT,
        "image": _TEXT,
        "init": Since(7, _FLAG),
        "ipc": _TEXT,
        "isolation": Since(5, _TEXT),
        "labels": _PAIRS,
        "links": _TEXTS,
        "logging": Fields({"driver": _TEXT, "options": Fields(named=_ANY_SCALAR, pattern=r"(?s).*")}),
        "mac_address": _TEXT,
        "network_mode": _TEXT,
        "networks": Either((_TEXTS, Fields(named=_SERVICE_NETWORK))),
        "oom_score_adj": Since(13, _INTEGER),
        "pid": Scalar(("string", "null")),
        "ports": ListOf(_PORT, unique=True),
        "privileged": _FLAG,
        "read_only": _FLAG,
        "restart": _TEXT,
        "secrets": Since(1, _FILE_REFERENCES),
        "security_opt": _TEXTS,
        "shm_size": _NUMBER_OR_TEXT,
        "stdin_open": _FLAG,
        "stop_grace_period": _DURATION,
        "stop_signal": _TEXT,
        "sysctls": _PAIRS,
        "tmpfs": _TEXT_OR_TEXTS,
        "tty": _FLAG,
        "ulimits": Fields(
            named=Either((_INTEGER, Fields({"hard": _INTEGER, "soft": _INTEGER}, required=("soft", "hard")))),
            pattern=r"(?s).*",
        ),
        "user": _TEXT,
        "userns_mode": _TEXT,
        "volumes": Since(2, ListOf(_VOLUME), old=_TEXTS),
        "working_dir": _TEXT,
    },
    extensions=7,
)

_EXTERNAL = Fields({"name": _TEXT}, before=("boolean",))
_EXTERNAL_FILE = Fields({"name": _TEXT}, before=("boolean",), open=True)

_NETWORK = Fields(
    {
        "name": Since(5, _TEXT),
        "driver": _TEXT,
        "driver_opts": _OPTIONS,
        "ipam": Fields({"driver": _TEXT, "config": ListOf(Fields({"subnet": _TEXT}))}),
        "external": _EXTERNAL,
        "internal": _FLAG,
        "attachable": Since(2, _FLAG),
        "labels": _PAIRS,
    },
    extensions=7,
    also=("null",),
)

_SEGMENTS = ListOf(Fields({"segments": _PAIRS}, open=True))
_CLUSTER_VOLUME = Fields(
    {
        "group": _TEXT,
        "access_mode": Fields(
            {
                "scope": _TEXT,
                "sharing": _TEXT,
                "block_volume": _ANYTHING,
                "mount_volume": Fields({"fs_type": _TEXT, "mount_flags": ListOf(_TEXT)}, open=True),
            },
            open=True,
        ),
        "accessibility_requirements": Fields({"requisite": _SEGMENTS, "preferred": _SEGMENTS}, open=True),
        "capacity_range": Fields({"required_bytes": _TEXT, "limit_bytes": _TEXT}, open=True),
        "availability": _TEXT,
    },
    open=True,
)

_NAMED_VOLUME = Fields(
    {
        "name": Since(4, _TEXT),
        "driver": _TEXT,
        "driver_opts": _OPTIONS,
        "external": _EXTERNAL,
        "labels": _PAIRS,
        "x-cluster-spec": Since(10, _CLUSTER_VOLUME),
    },
    extensions=7,
    also=("null",),
)

_SECRET = Fields(
    {
        "name": Since(5, _TEXT),
        "file": _TEXT,
        "external": _EXTERNAL_FILE,
        "labels": _PAIRS,
        "driver": Since(8, _TEXT),
        "driver_opts": Since(8, _OPTIONS),
        "template_driver": Since(8, _TEXT),
    },
    extensions=7,
)

_CONFIG = Fields(
    {
        "name": Since(5, _TEXT),
        "file": _TEXT,
        "external": _EXTERNAL_FILE,
        "labels": _PAIRS,
        "template_driver": Since(8, _TEXT),
    },
    extensions=7,
)

FILE = Fields(
    {
        "version": Scalar(("string", "number", "boolean", "null", "mapping", "list")),  # `minor_version` has judged it
        "services": Fields(named=SERVICE),
        "networks": Fields(named=_NETWORK, others=_ANY_BODY),
        "volumes": Fields(named=_NAMED_VOLUME),
        "secrets": Since(1, Fields(named=_SECRET)),
        "configs": Since(3, Fields(named=_CONFIG)),
    },
    extensions=4,
)

#: Keys of `docker compose` that `docker stack` refuses, and what stands in their place.
_COMPOSE_UP = {
    "scale": "write deploy: {replicas: 3}",
    "cpus": 'write deploy: {resources: {limits: {cpus: "0.5"}}}',
    "mem_reservation": "write deploy: {resources: {reservations: {memory: 512M}}}",
    "pids_limit": "write deploy: {resources: {limits: {pids: 100}}}",
    "gpus": "write deploy.resources.reservations.generic_resources",
    "platform": "write deploy: {placement: {constraints: [node.platform.arch == x86_64]}}",
    "replicas": "write deploy: {replicas: 3}",
    "placement": "write deploy: {placement: {constraints: [node.role == worker]}}",
    "constraints": "write deploy: {placement: {constraints: [node.role == worker]}}",
    "resources": "write deploy: {resources: …}",
    "restart_policy": "write deploy: {restart_policy: …}",
    "update_config": "write deploy: {update_config: …}",
    "mode": "write deploy: {mode: global}",
}
