"""`update`: as `docker service update` (SCENARIOS.md section 6): Compose keys merged over the file's, or `force`.

Updates add up: the second one is merged over the first. What the patch does not name keeps its present value, so an
update after a `scale` leaves the number of replicas alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ConfigDict, StrictBool

from ..api.messages import UpdateService
from ..api.specs import ServiceSpec
from ..errors import ApiError, ScenarioError
from .base import Asking, Order, ServiceName, Step, call, find_service
from .deploy import IMAGE

if TYPE_CHECKING:
    from ..cluster import Cluster


class Update(Step):
    """A service gets another spec: any Compose service key; `force: true` replaces its tasks all the same."""

    model_config = ConfigDict(extra="allow", frozen=True)  # the other keys are Compose's, read by swarmsim.compose

    verb: ClassVar[str] = "update"
    aims: ClassVar[dict[str, str]] = {"update": "service"}

    update: ServiceName
    force: StrictBool = False

    @property
    def patch(self) -> dict[str, Any]:
        """The Compose keys of the entry."""
        return dict(self.model_extra or {})

    def detail(self, order: Order) -> str:
        words = [f"{key} {value}" if isinstance(value, str) else key for key, value in self.patch.items()]
        return ", ".join(words + ["force"] * self.force)

    def ask(self, cluster: Cluster, order: Order) -> Asking:
        service = yield from find_service(cluster, order)
        spec = self._wanted(order, service.spec)
        yield from call(cluster, order, UpdateService(service.id, service.version, spec))

    def _wanted(self, order: Order, now: ServiceSpec) -> ServiceSpec:
        spec, name, book = now, order.targets[0], order.book
        if self.patch:
            book.patches[name] = merged(book.patches.get(name, {}), self.patch)
            spec = _merged_over(book.stack_of(name), name, book.patches[name])
            spec = replace(spec, labels=_kept(spec.labels, now.labels))
            if not {"mode", "replicas"} & set(self.patch.get("deploy") or ()):
                spec = replace(spec, mode=now.mode)
        forced = now.task.force_update + self.force
        if spec.task.force_update != forced:
            spec = replace(spec, task=replace(spec.task, force_update=forced))
        return spec


def _merged_over(stack: Any, name: str, patch: dict[str, Any]) -> ServiceSpec:
    """A patch that fitted the file which the scenario begins with may not fit the one that was deployed since."""
    try:
        spec: ServiceSpec = stack.update(name, patch)
    except ScenarioError as error:
        raise ApiError("InvalidArgument", error.problems[0].text) from None
    return spec


def _kept(labels: Mapping[str, str], now: Mapping[str, str]) -> Mapping[str, str]:
    """`docker service update --image` leaves the label alone that says which image the stack's file has."""
    return {**labels, IMAGE: now[IMAGE]} if IMAGE in labels and IMAGE in now else labels


def merged(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings are merged, all else is replaced."""
    both = dict(before)
    for key, value in after.items():
        if isinstance(value, Mapping) and isinstance(both.get(key), Mapping):
            both[key] = merged(both[key], value)
        else:
            both[key] = value
    return both
