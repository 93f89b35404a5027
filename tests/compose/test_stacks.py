"""A dozen stack files as people write them: what they become, and that the real client sends the same.

`recorded/` holds what Docker's own client 28.2.2 sent for these files (`real_client.py`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from swarmsim.api.specs import (
    ContainerBehaviour,
    Driver,
    FailureAction,
    GenericResource,
    Global,
    GlobalJob,
    HealthConfig,
    PortConfig,
    PublishMode,
    Replicated,
    ReplicatedJob,
    ResolutionMode,
    Resources,
    RestartCondition,
    RestartPolicy,
    ServiceSpec,
    UpdateConfig,
    UpdateOrder,
)
from swarmsim.compose import Stack, load_stack
from tests.compose import received
from tests.compose.real_client import DEPLOYS, RECORDED, STACKS


def load(name: str, **more: str) -> Stack:
    files, env, _ = DEPLOYS[name]
    return load_stack([str(STACKS / file) for file in files], name=name, env={**env, **more})


def services(name: str, **more: str) -> dict[str, ServiceSpec]:
    """By their names in the file."""
    return {spec.name.removeprefix(f"{name}_"): spec for spec in load(name, **more).services}


def recorded(name: str) -> Any:
    return json.loads((RECORDED / f"{name}.json").read_text())


# ---- against the real client -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", DEPLOYS)
def test_services_are_as_the_real_client_sends_them(name: str) -> None:
    made = {spec.name: spec for spec in load(name).services}

    sent = [received.service(body, Path("/stacks")) for body in recorded(name)["services"]]

    assert {spec.name for spec in sent} == made.keys()
    for spec in sent:
        assert made[spec.name] == spec


@pytest.mark.parametrize("name", DEPLOYS)
def test_what_a_stack_needs_is_as_the_real_client_sends_it(name: str) -> None:
    """What is external is not sent: it is there before."""
    stack, sent = load(name), recorded(name)
    there = DEPLOYS[name][2]

    for kind, made, receive in (
        ("networks", stack.networks, received.network),
        ("secrets", stack.secrets, received.secret),
        ("configs", stack.configs, received.config),
    ):
        assert sorted((s for s in made if s.name not in there), key=lambda s: s.name) == list(map(receive, sent[kind]))


@pytest.mark.parametrize("name", DEPLOYS)
def test_all_that_the_client_says_is_among_the_warnings(name: str) -> None:
    said = [line for line in recorded(name)["said"] if not line.startswith("Ignoring deprecated options")]

    warnings = load(name).warnings

    for line in said:
        assert any(line in warning for warning in warnings), line


# ---- what they become ------------------------------------------------------------------------------------


def test_polls() -> None:
    stack = load("polls")
    found = services("polls")

    assert [s.name for s in stack.services] == [
        f"polls_{n}" for n in ("ballot", "results", "counter", "cache", "store")
    ]
    assert [n.name for n in stack.networks] == ["polls_frontend", "polls_backend"]
    assert stack.warnings == []
    assert found["ballot"].mode == Replicated(2)
    assert found["ballot"].update == UpdateConfig(parallelism=2)
    assert found["ballot"].endpoint.ports == (PortConfig("", "tcp", 80, 5000),)
    assert found["counter"].task.restart == RestartPolicy(RestartCondition.ON_FAILURE, 10_000_000, 3, 120_000_000)
    assert found["counter"].labels["APP"] == "POLLS"
    assert [n.target for n in found["counter"].task.networks] == ["polls_backend", "polls_frontend"]
    assert found["store"].task.container.mounts[0].source == "polls_store-data"


def test_monitoring() -> None:
    stack = load("monitoring")
    found = services("monitoring")

    assert found["collector"].task.container.image == "prom/prometheus:v2.53.0"
    assert found["collector"].task.log_driver == Driver("json-file", {"max-file": "3", "max-size": "10m"})
    assert [c.mode for c in found["collector"].task.container.configs] == [0o444, 0o440]
    assert [c.name for c in stack.configs] == ["monitoring_collector", "rules-1", "monitoring_alerts"]
    assert found["charts"].task.container.hostname == "{{.Node.Hostname}}"
    assert [n.target for n in found["charts"].task.networks] == ["monitoring_monitor", "traefik-public"]
    assert found["node-metrics"].mode == Global()
    assert "ignored-mount-points=^/(sys|proc)($|/)" in found["node-metrics"].task.container.args[2]
    assert found["container-metrics"].endpoint.mode is ResolutionMode.DNSRR
    assert found["container-metrics"].endpoint.ports[0].publish_mode is PublishMode.HOST
    assert found["container-metrics"].task.resources.limits == Resources(500_000_000, 256 << 20)
    assert stack.warnings == [
        "network traefik-public is external: taken to be there, an attachable overlay network",
        "secret charts_password is external: taken to be there",
    ]


def test_what_is_external_is_created_without_the_stacks_labels() -> None:
    stack = load("monitoring")

    outside = [spec for spec in (*stack.networks, *stack.secrets) if not spec.labels]
    assert [spec.name for spec in outside] == ["traefik-public", "charts_password"]
    assert outside[1].data


def test_edge() -> None:
    found = services("edge")

    proxy = found["proxy"]
    assert [p.published_port for p in proxy.endpoint.ports] == [80, 443]
    assert proxy.task.placement.constraints == (
        "node.role == manager",
        "node.labels.edge.certificates == true",
    )
    assert proxy.labels["traefik.http.routers.proxy-http.rule"] == "Host(`example.com`)"
    assert proxy.labels["traefik.http.middlewares.admin-auth.basicauth.users"] == "admin:x$1y"
    assert found["hello"].task.container.env == ("DOMAIN=example.com", "GREETING=costs 5$")
    assert found["hello"].mode == Replicated(2)
    assert [n.target for n in found["hello"].task.networks] == ["edge-public", "edge_default"]
    assert found["panel"].task.networks[0].aliases == ("panel.local", "panel")
    assert found["panel"].task.networks[1].aliases == ("panel",)


def test_the_number_of_replicas_may_be_a_variable() -> None:
    assert services("edge", HELLO_REPLICAS="7")["hello"].mode == Replicated(7)


def test_blog() -> None:
    found = services("blog")

    site, database = found["site"], found["database"]
    assert site.update == UpdateConfig(1, 30_000_000, FailureAction.ROLLBACK, order=UpdateOrder.START_FIRST)
    assert site.task.container.mounts[0].options["nocopy"] is True
    assert site.task.container.mounts[0].options["driver_opts"]["type"] == "nfs"
    assert site.task.container.mounts[0].volume_driver == "local"
    assert site.task.container.mounts[1].source == "./files/php.ini"
    assert [(s.name, s.target, s.uid, s.mode) for s in database.task.container.secrets] == [
        ("blog_database-password", "database-password", "0", 0o444),
        ("blog_database-root-password", "root", "999", 0o400),
    ]
    assert database.task.container.stop_grace_period == 90_000_000
    assert database.task.container.healthcheck == HealthConfig(
        ("CMD-SHELL", "healthcheck.sh --connect --innodb_initialized"), 10_000_000, 5_000_000, retries=5
    )
    assert found["backup"].task.container.env == ("DB_DUMP_FREQ=1440", "DB_SERVER=database")
    assert found["backup"].task.container.mounts[0].source == "shared-backups"
    assert found["admin"].mode == Replicated(0)
    assert found["admin"].task.container.env == ("PMA_HOST=database", "UPLOAD_LIMIT=64M")
    assert "ignoring IP-address (127.0.0.1:8081:80/tcp)" in load("blog").warnings[0]


def test_logs() -> None:
    found = services("logs")

    assert [found[f"search-{i}"].task.placement.constraints[0] for i in (1, 2, 3)] == [
        f"node.hostname == log-{i}" for i in (1, 2, 3)
    ]
    assert "node.name=search-2" in found["search-2"].task.container.env
    assert found["search-3"].task.container.options["ulimits"]["memlock"] == {"hard": -1, "soft": -1}
    assert found["ingest"].task.container.args == ("logstash", "-f", "/pipeline.conf", "--log.level", "warn")
    assert found["clean"].task.container.command[2] == "while true; do curator /config.yml; sleep 1d; done"
    assert found["ship"].task.container.user == "root"


def test_events() -> None:
    found = services("events")

    assert found["broker-1"].task.container.behaviour == ContainerBehaviour(
        start=(4_000_000, 9_000_000), stop=(1_000_000, 20_000_000)
    )
    assert [found[f"broker-{i}"].endpoint.ports[0].published_port for i in (1, 2, 3)] == [19092, 29092, 39092]
    gateway = found["gateway"]
    assert gateway.task.placement.preferences == ("node.labels.zone",)
    assert gateway.task.placement.max_replicas == 2
    assert gateway.update == UpdateConfig(2, 15_000_000, FailureAction.PAUSE, 30_000_000, 0.2)
    assert gateway.rollback == UpdateConfig(0)
    assert found["writer"].task.container.mounts[0].options == {"size": 64 << 20}
    assert found["reader"].task.container.init is True
    assert found["mirror"].task.container.options == {
        "cap_add": ("CAP_NET_ADMIN",),
        "dns": ("10.0.0.2", "10.0.0.3"),
        "extra_hosts": ("192.0.2.10 far-1", "192.0.2.11 far-2"),
        "sysctls": {"net.core.somaxconn": "1024"},
    }
    assert "network outside: network.external.name is deprecated in favor of network.name" in load("events").warnings


def test_ci() -> None:
    found = services("ci")

    forge = found["forge"]
    assert forge.task.container.image == "registry.example.com:5000/forge:1.22"
    assert forge.task.container.env == (
        "MAILER=mail:25",
        'QUOTED="stays as it is"',
        "ROOT_URL=https://forge.example.com/",
        "SECRET_KEY=from the environment",
        "TZ=Europe/Berlin",
    )
    assert [(p.published_port, p.target_port) for p in forge.endpoint.ports] == [(0, 3000), (2222, 22)]
    assert forge.rollback == UpdateConfig(1, 10_000_000)
    assert found["runner"].update == UpdateConfig(0)
    assert found["runner"].task.resources.limits == Resources(2_000_000_000, 4 << 30, pids=500)
    assert found["mail"].task.container.options == {"stdin_open": True, "tty": True}
    assert found["mail"].update == UpdateConfig()


def test_batch() -> None:
    found = services("batch")

    assert found["nightly"].mode == ReplicatedJob(5, 5)
    assert found["nightly"].task.container.behaviour.run == (20_000_000, 40_000_000)
    assert found["prune"].mode == GlobalJob()
    assert found["train"].task.resources.reservations == Resources(
        4_000_000_000, 16 << 30, (GenericResource("gpu", 2), GenericResource("ssd", 1))
    )
    assert found["train"].task.container.healthcheck == HealthConfig(("NONE",))
    assert [p.published_port for p in found["serve"].endpoint.ports] == [7000, 7001, 7002, 7100, 7101]


def test_legacy() -> None:
    stack = load("legacy")
    found = services("legacy")

    assert found["web"].task.restart == RestartPolicy()
    assert found["worker"].task.restart == RestartPolicy(RestartCondition.ON_FAILURE, max_attempts=3)
    assert found["beat"].task.restart is None
    assert found["db"].task.restart == RestartPolicy(RestartCondition.ON_FAILURE, 3_000_000)
    assert found["app"].task.container.args[-1] == "app:create('prod')"
    assert stack.warnings == [
        "Ignoring unsupported options: build, devices, links, network_mode, pid, privileged, restart, security_opt",
        "Ignoring deprecated options: container_name: Setting the container name is not supported.",
        "Ignoring deprecated options: expose: Exposing ports is unnecessary - services on the same network can access "
        "each other's containers on any port.",
    ]
    assert [n.name for n in stack.networks] == ["legacy_default"]


def test_shop() -> None:
    stack = load("shop")
    found = services("shop")

    assert len(stack.services) == 34
    assert sum(s.endpoint.mode is ResolutionMode.DNSRR for s in stack.services) == 6
    assert found["orders-api"].task.container.image == "example/orders-api:42"
    assert found["orders-api"].task.container.env == ("DATABASE=orders-db", "LOG_LEVEL=info", "TRACING=on")
    assert found["orders-worker"].task.container.args == ("run", "worker", "--queues", "default, mail")
    assert found["shopfront"].mode == Replicated(4)
    assert found["shopfront"].task.restart == RestartPolicy(delay=5_000_000, window=60_000_000)
    assert {s.mode for s in stack.services} == {Global(), Replicated(1), Replicated(2), Replicated(4)}


def test_a_second_file_is_merged_over_the_first() -> None:
    """S-049, at length."""
    found = services("shop-test")

    assert list(found)[-1] == "probe"
    assert [(p.published_port, p.target_port) for p in found["entry"].endpoint.ports] == [
        (80, 8000),
        (443, 443),
        (8443, 443),
    ]
    assert found["shopfront"].mode == Replicated(1)
    assert found["shopfront"].task.container.image == "example/shopfront:next"
    assert found["shopfront"].task.container.env == ("FEATURES=all", "LOG_LEVEL=debug", "TRACING=on")
    assert found["catalog-db"].task.placement.constraints == (
        "node.labels.storage == true",
        "node.hostname == test-1",
    )
    assert [m.source for m in found["catalog-db"].task.container.mounts] == ["./files", "shop-test_scratch"]
    assert found["catalog-api"].task.container.image == "example/catalog-api:43"
