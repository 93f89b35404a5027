"""From checked words to one form for each thing: lists, short forms and texts with units become plain values.

docker/cli cli/compose/loader/loader.go, `LoadService` and its kin. What comes out is the form in which files are
merged: a dict for each service, with Compose's keys, only those that were written; `env_file` is part of
`environment` by then.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import behaviour, env_file, short_forms, units
from .source import KeyPath, Source

Body = dict[str, Any]
SECTIONS = ("services", "networks", "volumes", "secrets", "configs")


@dataclass
class Config:
    """One file, or several merged: each section's names and their bodies."""

    services: dict[str, Body] = field(default_factory=dict)
    networks: dict[str, Body] = field(default_factory=dict)
    volumes: dict[str, Body] = field(default_factory=dict)
    secrets: dict[str, Body] = field(default_factory=dict)
    configs: dict[str, Body] = field(default_factory=dict)


class Decoder:
    """Decodes one source, whose words the schema has let pass."""

    def __init__(self, source: Source, env: Mapping[str, str], stand_in: bool) -> None:
        self.source = source
        self.env = env
        self.stand_in = stand_in
        self.warnings: list[str] = []

    def config(self, data: Mapping[str, Any]) -> Config:
        """The whole file."""
        config = Config()
        for name, body in (data.get("services") or {}).items():
            config.services[name] = self.service(body, ("services", name))
        for section in SECTIONS[1:]:
            made = getattr(config, section)
            for name, body in (data.get(section) or {}).items():
                made[name] = self.declared(section, name, body or {})
        return config

    def tell(self, path: KeyPath, text: str) -> None:
        self.source.wrong(path, text)

    # -- services --
    def service(self, words: Mapping[str, Any], path: KeyPath) -> Body:
        found: Body = {}
        for key, value in words.items():
            decode = _SERVICE.get(key)
            if decode is not None:
                decoded = self.one(decode, value, (*path, key))
                if decoded is not None:
                    found[key] = decoded
            elif key == "x-sim":
                found[key] = behaviour.settings(value, (*path, key), self.tell)
            elif not key.startswith("x-"):
                found[key] = value
        self.environment(words, found, path)
        return found

    def one(self, decode: Callable[[Decoder, Any, KeyPath], Any], value: Any, path: KeyPath) -> Any:
        """None, with the problem told at its key, where it is wrong."""
        try:
            return decode(self, value, path)
        except ValueError as error:
            self.tell(path, _two_parts(str(error)))
            return None

    def whole(self, value: Any, path: KeyPath) -> int:
        """A number that Docker decodes into an unsigned one."""
        if value < 0:
            raise ValueError(
                f"cannot parse '{_field(path)}', {units.plain(value)} overflows uint; write a number from 0 on"
            )
        return int(value)

    def environment(self, words: Mapping[str, Any], found: Body, path: KeyPath) -> None:
        """`env_file`, then `environment` over it (loader.go, `resolveEnvironment`)."""
        if "env_file" not in words and "environment" not in words:
            return
        variables: dict[str, str | None] = {}
        files = words.get("env_file", [])
        for index, name in enumerate([files] if isinstance(files, str) else files):
            where = (*path, "env_file") if isinstance(files, str) else (*path, "env_file", index)
            variables |= self.from_env(self.env_file(name, where))
        variables |= self.from_env(found.get("environment") or {})
        found.pop("env_file", None)
        found["environment"] = variables

    def from_env(self, variables: Mapping[str, str | None]) -> dict[str, str | None]:
        """A name without a value, or with an empty one, takes that of the client's environment, where there is one."""
        return {name: value or self.env.get(name, value) for name, value in variables.items()}

    def env_file(self, name: str, path: KeyPath) -> dict[str, str | None]:
        file = self.source.base / name
        try:
            return env_file.parse(env_file.read_side_file(file), self.env)
        except FileNotFoundError as error:
            if not self.stand_in:
                self.tell(path, f"{error}; {env_file.WRITE_INSTEAD}")
        except ValueError as error:
            self.tell(path, f"invalid env file ({file}): {error}; write NAME=VALUE lines")
        return {}

    # -- networks, volumes, secrets, configs --
    def declared(self, section: str, name: str, words: Mapping[str, Any]) -> Body:
        path = (section, name)
        body: Body = {key: value for key, value in words.items() if not key.startswith("x-")}
        body["base"] = self.source.base
        for key in ("labels", "driver_opts"):
            if key in body:
                body[key] = self.one(_PAIRS if key == "labels" else _OPTIONS, body[key], (*path, key))
        external = body.pop("external", False)
        if external is not False and external is not None:
            body["external"] = True
            self.external(section, name, external, body)
        elif section == "secrets" and body.get("driver") and body.get("file"):
            text = f"secret {name}: secret.driver and secret.file conflict; only use secret.driver"
            self.tell((*path, "file"), text)
        return body

    def external(self, section: str, name: str, external: Any, body: Body) -> None:
        """What is external has its own name; where it is given, and what may not stand beside it."""
        noun, path = section.removesuffix("s"), (section, name)
        if section == "volumes":
            for key in ("driver", "driver_opts", "labels"):
                if body.get(key):
                    text = f'conflicting parameters "external" and "{key}" specified for volume "{name}"'
                    self.tell((*path, key), f"{text}; leave {key} out")
        inner = external.get("name", "") if isinstance(external, Mapping) else ""
        if inner and body.get("name"):
            text = f"{noun} {name}: {noun}.external.name and {noun}.name conflict; only use {noun}.name"
            self.tell((*path, "external"), text)
        elif inner and (self.source.minor or 0) >= (4 if section == "volumes" else 5):
            self.warnings.append(f"{noun} {name}: {noun}.external.name is deprecated in favor of {noun}.name")
        body["name"] = inner or body.get("name") or name


def _two_parts(text: str) -> str:
    """Every problem says what to write; Docker's decoder says it does not decode."""
    return text if ";" in text else f"{text}; compare it with Docker's reference"


def _field(path: KeyPath) -> str:
    """A key of a service as Docker's decoder calls it: `Deploy.restart_policy.max_attempts`, `Ports[0].Target`."""
    text = ""
    for step in path[2:]:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            kept = "_" in step or step == "memory"
            text += "." + ("HealthCheck" if step == "healthcheck" else step if kept else step.capitalize())
    return text.removeprefix(".")


# ---- values ----------------------------------------------------------------------------------------------


def _text(decoder: Decoder, value: Any, path: KeyPath) -> Any:
    return value


def _command(decoder: Decoder, value: Any, path: KeyPath) -> list[str]:
    if isinstance(value, list):
        return list(value)
    try:
        return units.words(value)
    except ValueError as error:
        name = "Command" if path[-1] == "command" else "Entrypoint"
        instead = "close the quotation mark" if "quote" in str(error) else "write \\\\ for a backslash"
        raise ValueError(f"error decoding '{name}': {error}; {instead}, or write a list") from None


def _pairs(nothing: str | None) -> Callable[[Decoder, Any, KeyPath], dict[str, str | None]]:
    """NAME=VALUE, as list or mapping; `nothing` is what a name without a value has."""

    def decode(decoder: Decoder, value: Any, path: KeyPath) -> dict[str, str | None]:
        if isinstance(value, Mapping):
            return {key: nothing if item is None else units.plain(item) for key, item in value.items()}
        split = [item.partition("=") for item in value]
        return {name: rest if equals else nothing for name, equals, rest in split}

    return decode


_PAIRS, _VARIABLES = _pairs(""), _pairs(None)


def _options(decoder: Decoder, value: Any, path: KeyPath) -> dict[str, str]:
    return {key: "" if item is None else units.plain(item) for key, item in value.items()}


_OPTIONS = _options


def _texts(decoder: Decoder, value: Any, path: KeyPath) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _hosts(decoder: Decoder, value: Any, path: KeyPath) -> list[str]:
    """`name:address`, also written with `=`; a mapping's are sorted.

    Quirk: the address of a mapping is printed as a text, whatever it is (Go's `%s` of a number).
    """
    if not isinstance(value, Mapping):
        return [item.replace("=", ":", 1) for item in value]
    return sorted(name if address is None else f"{name}:{_as_text(address)}" for name, address in value.items())


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return f"%!s({'float64' if isinstance(value, float) else 'int'}={units.plain(value)})"


def _duration(decoder: Decoder, value: Any, path: KeyPath) -> int:
    try:
        return units.duration(value)
    except ValueError as error:
        raise ValueError(f"error decoding '{_field(path)}': {error}; write a number with its unit, as 10s") from None


def _size(decoder: Decoder, value: Any, path: KeyPath) -> int:
    try:
        return units.size(value)
    except ValueError as error:
        raise ValueError(f"error decoding '{_field(path)}': {error}; write 512M or 2G") from None


def _shared_memory(decoder: Decoder, value: Any, path: KeyPath) -> Any:
    """Quirk: the schema takes a number, which the client then cannot put into its text."""
    if isinstance(value, str):
        return value
    kind = "float64" if isinstance(value, float) else "int"
    text = f"'shm_size' expected type 'string', got unconvertible type '{kind}', value: '{units.plain(value)}'"
    raise ValueError(f'{text}; write "64M"')


def _whole(decoder: Decoder, value: Any, path: KeyPath) -> int:
    return decoder.whole(value, path)


#: A host has no more.
_MOST_PORTS = 65_535


def _ports(decoder: Decoder, value: Any, path: KeyPath) -> list[Body]:
    found: list[Body] = []
    for index, item in enumerate(value):
        where = (*path, index)
        ports = decoder.one(_port, item, where) or []
        found += [{**port, "at": (decoder.source, where)} for port in ports]
        if len(found) > _MOST_PORTS:
            raise ValueError(f"more than {_MOST_PORTS} ports of one service; write fewer")
    return found


def _port(decoder: Decoder, words: Any, path: KeyPath) -> list[Body]:
    if isinstance(words, Mapping):
        given = [key for key in ("target", "published") if key in words]
        numbers = {key: decoder.whole(words[key], (*path, key)) & 0xFFFF_FFFF for key in given}
        return [{"protocol": "", "mode": "", "published": 0, "target": 0, **words, **numbers}]
    if isinstance(words, float):
        raise ValueError("error decoding 'Ports': invalid type float64 for port; write a whole number")
    text = units.plain(words)
    decoder.warnings += short_forms.ignored_ips(text)
    return short_forms.ports(text)


def _volumes(decoder: Decoder, value: Any, path: KeyPath) -> list[Body]:
    return _each(decoder, _volume, value, path)


def _each(decoder: Decoder, decode: Callable[[Decoder, Any, KeyPath], Body], value: Any, path: KeyPath) -> list[Body]:
    """Each item of a list by itself; `at` is where it stands, for whoever finds more wrong with it."""
    found: list[Body] = []
    for index, item in enumerate(value):
        where = (*path, index)
        body = decoder.one(decode, item, where)
        if body is not None:
            found.append({**body, "at": (decoder.source, where)})
    return found


def _volume(decoder: Decoder, words: Any, path: KeyPath) -> Body:
    if isinstance(words, Mapping):
        volume = dict(words)
    else:
        try:
            volume = short_forms.volume(words)
        except ValueError as error:
            where = f"error decoding 'Volumes[{path[-1]}]': {error}"
            raise ValueError(f"{where}; write data:/var/lib/data or ./folder:/etc/folder:ro") from None
    if volume["type"] != "bind":
        return volume
    if not volume.get("source"):
        text = 'invalid mount config for type "bind": field Source must not be empty'
        raise ValueError(f"{text}; write source: ./folder")
    return {**volume, "source": _bind_path(volume["source"], decoder.env)}


def _bind_path(text: str, env: Mapping[str, str]) -> str:
    """The host's side of a bind. Docker makes it absolute; here what is relative stays so, for a run must not depend on
    the folder that a file lies in (SCENARIOS.md, rule 3)."""
    if text.startswith("~") and "HOME" in env:
        text = text.replace("~", env["HOME"], 1)
    if text.startswith(("/", "~", "\\\\")) or re.match(r"[a-zA-Z]:[\\/]", text):
        return text
    clean = posixpath.normpath(text)
    return clean if clean.startswith("../") or clean in (".", "..") else f"./{clean}"


def _networks(decoder: Decoder, value: Any, path: KeyPath) -> dict[str, Body | None]:
    """None: nothing was said of the attachment, which is not the same as an empty mapping once files are merged."""
    if isinstance(value, list):
        return dict.fromkeys(value)
    return {k: None if body is None else _attachment(decoder, body, (*path, k)) for k, body in value.items()}


def _attachment(decoder: Decoder, words: Mapping[str, Any], path: KeyPath) -> Body:
    """The addresses of `ipv4_address` and `ipv6_address` are dropped in silence, as Docker drops them."""
    found: Body = {}
    if "aliases" in words:
        found["aliases"] = list(words["aliases"])
    if "driver_opts" in words:
        found["driver_opts"] = _options(decoder, words["driver_opts"], path)
    return found


def _references(decoder: Decoder, value: Any, path: KeyPath) -> list[Body]:
    """Secrets and configs of a service."""
    return _each(decoder, _reference, value, path)


def _reference(decoder: Decoder, words: Any, path: KeyPath) -> Body:
    if isinstance(words, str):
        return {"source": words}
    found = {key: words[key] for key in ("source", "target", "uid", "gid") if key in words}
    if "mode" in words:
        found["mode"] = decoder.whole(words["mode"], (*path, "mode")) & 0xFFFF_FFFF
    return found


def _healthcheck(decoder: Decoder, value: Any, path: KeyPath) -> Body:
    found: Body = dict(value)
    if "test" in found:
        found["test"] = ["CMD-SHELL", found["test"]] if isinstance(found["test"], str) else list(found["test"])
    for key in ("interval", "timeout", "start_period", "start_interval"):
        if key in found:
            found[key] = decoder.one(_duration, found[key], (*path, key))
    if "retries" in found:
        found["retries"] = decoder.one(_whole, found["retries"], (*path, "retries"))
    return found


def _logging(decoder: Decoder, value: Any, path: KeyPath) -> Body:
    found: Body = dict(value)
    if "options" in found:
        found["options"] = _options(decoder, found["options"], path)
    return found


def _ulimits(decoder: Decoder, value: Any, path: KeyPath) -> dict[str, Body]:
    found = {}
    for name, body in value.items():
        if isinstance(body, float):
            raise ValueError(f"error decoding 'Ulimits[{name}]': invalid type float64 for ulimits; write {int(body)}")
        both = body if isinstance(body, Mapping) else {"soft": body, "hard": body}
        found[name] = {"hard": int(both["hard"]), "soft": int(both["soft"])}
    return found


def _deploy(decoder: Decoder, value: Any, path: KeyPath) -> Body:
    return _nested(decoder, value or {}, path, _DEPLOY)


def _nested(decoder: Decoder, words: Mapping[str, Any], path: KeyPath, table: Mapping[str, Any]) -> Body:
    """A mapping by a table of its keys: a decoder, or the table of a mapping below."""
    found: Body = {}
    for key, value in words.items():
        rule = table.get(key)
        if rule is None:
            found[key] = value
        elif isinstance(rule, Mapping):
            found[key] = _nested(decoder, value, (*path, key), rule)
        else:
            found[key] = decoder.one(rule, value, (*path, key))
    return found


def _generic(decoder: Decoder, value: Any, path: KeyPath) -> list[Body]:
    """Kinds and how many of each; an empty item is none."""
    specs = [item.get("discrete_resource_spec") or {} for item in value]
    counts = [{"kind": spec.get("kind", ""), "value": int(spec.get("value", 0))} for spec in specs]
    return [count for count in counts if count["kind"] or count["value"]]


def _signed(decoder: Decoder, value: Any, path: KeyPath) -> int:
    return int(value)


def _real(decoder: Decoder, value: Any, path: KeyPath) -> float:
    return float(value)


_UPDATE = {"parallelism": _whole, "delay": _duration, "monitor": _duration, "max_failure_ratio": _real}
_DEPLOY: dict[str, Any] = {
    "replicas": _whole,
    "labels": _PAIRS,
    "update_config": _UPDATE,
    "rollback_config": _UPDATE,
    "restart_policy": {"delay": _duration, "window": _duration, "max_attempts": _whole},
    "placement": {"max_replicas_per_node": _whole, "constraints": _texts},
    "resources": {
        "limits": {"memory": _size, "pids": _signed},
        "reservations": {"memory": _size, "generic_resources": _generic},
    },
}

#: Keys of a service that are not kept as they are written.
_SERVICE: dict[str, Callable[[Decoder, Any, KeyPath], Any]] = {
    "cap_add": _texts,
    "cap_drop": _texts,
    "command": _command,
    "configs": _references,
    "deploy": _deploy,
    "dns": _texts,
    "dns_search": _texts,
    "entrypoint": _command,
    "environment": _VARIABLES,
    "extra_hosts": _hosts,
    "healthcheck": _healthcheck,
    "labels": _PAIRS,
    "logging": _logging,
    "networks": _networks,
    "ports": _ports,
    "secrets": _references,
    "shm_size": _shared_memory,
    "stop_grace_period": _duration,
    "sysctls": _PAIRS,
    "ulimits": _ulimits,
    "volumes": _volumes,
}
