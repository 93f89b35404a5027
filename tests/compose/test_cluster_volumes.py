"""Cluster (CSI) volumes in a stack file: what is sent of them (docker/cli cli/compose/convert/volume.go)."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarmsim.api.messages import CreateNetwork, CreateService
from swarmsim.api.specs import Mount, NetworkSpec
from swarmsim.cluster import Cluster, describe
from tests.cluster.test_joining import ask, run_for

from .stack import one, problems, text_of

MOUNT = "volumes: [{{type: cluster, source: {}, target: /d}}]"


@pytest.mark.parametrize(
    ("source", "top", "sent"),
    [
        ("data", "volumes: {data: {}}", "st_data"),
        ("data", "volumes: {data: {external: true}}", "data"),
        ("data", "volumes: {data: {name: other}}", "other"),
        ("data", "volumes: {data: {driver: csi}}", "st_data"),
        ("group:fast", "", "group:fast"),
    ],
)
def test_a_cluster_volume_is_sent_by_name_or_group_and_never_made(
    tmp_path: Path, source: str, top: str, sent: str
) -> None:
    """A group needs no volume at the top; a driver is of no account, for the volume has its own."""
    spec = one(tmp_path, MOUNT.format(f'"{source}"'), top, "3.8")

    assert spec.task.container.mounts == (Mount("cluster", "/d", sent),)


def test_a_cluster_volume_is_declared(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, text_of(MOUNT.format("data"), version="3.8"))

    assert 'undefined volume "data"' in problem.text


def test_a_stack_waits_for_the_volume_that_it_does_not_make(tmp_path: Path) -> None:
    """O-254: in the real words."""
    swarm = Cluster(describe(1, 2))
    ask(swarm, CreateNetwork(NetworkSpec("st_default")))
    ask(swarm, CreateService(one(tmp_path, MOUNT.format("data"), "volumes: {data: {external: true}}", "3.8")))
    run_for(swarm, 10)

    (task,) = swarm.store().tasks.values()
    assert task.status.err == "no suitable node (cannot fulfill requested CSI volume mounts on 3 nodes)"
