"""`label`: as `docker node update --label-add` and `--label-rm` (SCENARIOS.md section 6)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BeforeValidator, WithJsonSchema

from ..api.specs import NodeSpec
from .base import Aim, Asking, Order, Step, update_nodes

if TYPE_CHECKING:
    from ..cluster import Cluster


def _labels(value: Any) -> dict[str, str | None]:
    if not isinstance(value, dict) or not value:
        raise ValueError("labels are a mapping; write labels: {zone: b}, or {zone: null} to take one away")
    for key, text in value.items():
        if isinstance(text, dict | list) or not str(key).strip():
            raise ValueError(f"label `{key}` must have a text, or null to take it away")
    return {str(k): None if v is None else str(v).lower() if isinstance(v, bool) else str(v) for k, v in value.items()}


Labels = Annotated[
    dict[str, str | None],
    BeforeValidator(_labels),
    WithJsonSchema({"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "null"]}}),
]


class Label(Step):
    """Nodes get labels, or lose those whose value is null."""

    verb: ClassVar[str] = "label"
    aims: ClassVar[dict[str, str]] = {"label": "nodes"}

    label: Aim
    labels: Labels

    def detail(self, order: Order) -> str:
        return ", ".join(f"{k}={v}" if v is not None else f"without {k}" for k, v in self.labels.items())

    def ask(self, cluster: Cluster, order: Order) -> Asking:
        yield from update_nodes(cluster, order, self._labelled)

    def _labelled(self, spec: NodeSpec) -> NodeSpec:
        both = {**spec.labels, **self.labels}
        return replace(spec, labels={k: v for k, v in both.items() if v is not None})
