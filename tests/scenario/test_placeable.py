"""A stack file whose constraints a plain cluster cannot meet is told so, with the option that helps."""

from __future__ import annotations

import pytest

from swarmsim.api.specs import ContainerSpec, Placement, Platform, ServiceSpec, TaskSpec
from swarmsim.scenario.placeable import unmet
from swarmsim.scenario.schema import HostWords

HOSTS = [
    HostWords("m1", "manager"),
    HostWords("w1", "worker", labels={"zone": "a"}),
    HostWords("w2", "worker", platform=Platform("linux", "aarch64"), engine_labels={"disk": "ssd"}),
]


def warned(*constraints: str) -> list[str]:
    spec = ServiceSpec("db", TaskSpec(ContainerSpec("postgres:15"), placement=Placement(constraints)))
    return unmet([spec], HOSTS)


@pytest.mark.parametrize(
    "constraints",
    [
        (),
        ("node.labels.zone == a",),
        ("node.role == manager",),
        ("node.hostname != m1",),
        ("node.labels.zone != b",),
        ("engine.labels.disk == ssd", "node.platform.arch == aarch64"),
    ],
)
def test_what_some_node_meets_is_not_told(constraints: tuple[str, ...]) -> None:
    assert warned(*constraints) == []


def test_a_label_that_no_node_has_comes_with_the_option_that_gives_it() -> None:
    assert warned("node.labels.disk == ssd") == [
        "db fits no node of this cluster: node.labels.disk == ssd; write --label w1:disk=ssd"
    ]


def test_a_label_goes_to_a_node_that_meets_the_other_constraints() -> None:
    told = warned("node.role == manager", "node.labels.disk == ssd", "node.labels.zone == b")

    assert told[0].endswith("; write --label m1:disk=ssd --label m1:zone=b")


@pytest.mark.parametrize("constraint", ["node.hostname == db01", "node.labels.zone != ", "node.platform.os == windows"])
def test_nothing_is_advised_where_a_label_cannot_help(constraint: str) -> None:
    assert all("write" not in text for text in warned(constraint))


def test_a_text_that_is_no_constraint_is_left_to_the_api() -> None:
    assert warned("node.role = manager") == []
