"""Secrets and configs (SwarmKit manager/controlapi/secret.go, config.go): the same rules, other words and limits."""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import replace
from typing import Any, NamedTuple

from ...api import messages as m
from ...api.ids import new_id
from ...api.objects import Config, Secret, Service
from ...api.specs import ConfigSpec, SecretSpec
from ...errors import ApiError
from ...machine import Outbox
from ...store.memory_store import MemoryStore
from ...store.transaction import NameConflictError
from ..validation import MAX_SECRET_SIZE
from .lookup import Serves, find, invalid_argument, still

_NAME = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9-_.]*[a-zA-Z0-9])?", re.ASCII)


class Rules(NamedTuple):
    kind: type
    word: str
    too_big: int  # bytes


SECRETS = Rules(Secret, "secret", MAX_SECRET_SIZE)
CONFIGS = Rules(Config, "config", 1000 * 1024)

Serving = Generator[Any, Any, Any]
Spec = SecretSpec | ConfigSpec


class Files:
    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.serve: Serves = {
            m.CreateSecret: lambda r, out: self._create(SECRETS, r.spec, out),
            m.CreateConfig: lambda r, out: self._create(CONFIGS, r.spec, out),
            m.UpdateSecret: lambda r, out: self._update(SECRETS, r.secret_id, r.version, r.spec, out),
            m.UpdateConfig: lambda r, out: self._update(CONFIGS, r.config_id, r.version, r.spec, out),
            m.RemoveSecret: lambda r, out: self._remove(SECRETS, r.secret_id, out),
            m.RemoveConfig: lambda r, out: self._remove(CONFIGS, r.config_id, out),
        }

    def _create(self, rules: Rules, spec: Spec | None, out: Outbox) -> Serving:
        if spec is None:
            raise invalid_argument()
        check_file_spec(rules, spec)
        id = new_id(out.rng)

        def change(tx: Any) -> Any:
            try:
                return without_data(tx.create(rules.kind(id, spec)))
            except NameConflictError:
                raise ApiError("AlreadyExists", f"{rules.word} {spec.name} already exists") from None

        return (yield out.update(change))

    def _update(self, rules: Rules, wanted: str, version: int | None, spec: Spec | None, out: Outbox) -> Serving:
        """Anything but the labels is for ever; data that is left out stays what it is."""
        if not wanted or version is None or spec is None:
            raise invalid_argument()
        known = find(self.store, rules.kind, wanted)

        def change(tx: Any) -> Any:
            current = still(tx, rules.kind, known.id, wanted)
            if spec.name != current.name or (spec.data and spec.data != current.spec.data):
                raise invalid_argument("only updates to Labels are allowed")
            written = current.evolve(spec=replace(current.spec, labels=spec.labels), version=version)
            return without_data(tx.update(written))

        return (yield out.update(change))

    def _remove(self, rules: Rules, wanted: str, out: Outbox) -> Serving:
        if not wanted:
            raise invalid_argument(f"{rules.word} ID must be provided")
        known = find(self.store, rules.kind, wanted)

        def change(tx: Any) -> None:
            still(tx, rules.kind, known.id, wanted)
            _check_unused(rules, known.name, tx)
            tx.delete(rules.kind, known.id)

        return (yield out.update(change))


def without_data(file: Any) -> Any:
    """As it leaves the manager: a secret without its data, a config whole (secret.go)."""
    return file.evolve(spec=replace(file.spec, data=b"")) if isinstance(file, Secret) else file


def check_file_spec(rules: Rules, spec: Spec) -> None:
    if not spec.name:
        raise invalid_argument("name must be provided")
    if len(spec.name) > 64 or not _NAME.fullmatch(spec.name):
        text = (
            "invalid name, only 64 [a-zA-Z0-9-_.] characters allowed, "
            "and the start and end character must be [a-zA-Z0-9]"
        )
        raise invalid_argument(text)
    if isinstance(spec, SecretSpec) and spec.driver is not None:
        if not spec.driver.name:
            raise invalid_argument("secret driver must have a name")
        return  # the data comes from the plugin
    if not 0 < len(spec.data) < rules.too_big:
        raise invalid_argument(f"{rules.word} data must be larger than 0 and less than {rules.too_big} bytes")


def _check_unused(rules: Rules, name: str, tx: Any) -> None:
    users = [s.name for s in tx.all(Service) if name in _references(rules, s)]
    if users:
        noun = "service" if len(users) == 1 else "services"
        raise invalid_argument(f"{rules.word} '{name}' is in use by the following {noun}: {', '.join(users)}")


def _references(rules: Rules, service: Service) -> list[str]:
    container = service.spec.task.container
    return [r.name for r in (container.secrets if rules is SECRETS else container.configs)]
