"""`update_swarm`: as `docker swarm update` (SCENARIOS.md section 6): settings of the stored cluster object.

Snapshot settings are looked up by each manager whenever it applies something, so they act at once. Ticks are stored and
change nothing: a manager keeps to those that it was started with, and says so at its next start (manager.go `Run`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BeforeValidator, WithJsonSchema, model_validator

from ..api.messages import ListObjects, UpdateCluster
from .base import Asking, Order, Step, call

if TYPE_CHECKING:
    from ..cluster import Cluster

SETTINGS = (
    "task_history_limit",
    "snapshot_interval",
    "keep_old_snapshots",
    "log_entries_for_slow_followers",
    "heartbeat_tick",
    "election_tick",
)


def count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"`{value}` is no whole number; write one such as 100")
    return value


def only_default(value: Any) -> str:
    if value != "default":
        raise ValueError(
            f"a swarm's only cluster object is called `default`, not `{value}`; write update_swarm: default"
        )
    return str(value)


Count = Annotated[int, BeforeValidator(count), WithJsonSchema({"type": "integer", "minimum": 0})]
ClusterName = Annotated[str, BeforeValidator(only_default), WithJsonSchema({"type": "string", "enum": ["default"]})]


class UpdateSwarm(Step):
    """Settings of the whole swarm change: the history limit, snapshots, ticks."""

    verb: ClassVar[str] = "update_swarm"
    aims: ClassVar[dict[str, str]] = {"update_swarm": "cluster"}

    update_swarm: ClusterName
    task_history_limit: Count | None = None
    snapshot_interval: Count | None = None
    keep_old_snapshots: Count | None = None
    log_entries_for_slow_followers: Count | None = None
    heartbeat_tick: Count | None = None
    election_tick: Count | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> UpdateSwarm:
        if not self.changes():
            raise ValueError(f"`update_swarm` changes nothing; write one of {', '.join(SETTINGS)}")
        return self

    def changes(self) -> dict[str, int]:
        return {name: value for name in SETTINGS if (value := getattr(self, name)) is not None}

    def detail(self, order: Order) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.changes().items())

    def ask(self, cluster: Cluster, order: Order) -> Asking:
        found = yield from call(cluster, order, ListObjects("cluster"))
        spec = replace(found[0].spec, **self.changes())
        yield from call(cluster, order, UpdateCluster(found[0].version, spec))
