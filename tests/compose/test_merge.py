"""Several files as one, key by key, as the real client 28.2.2 was seen to merge them (reference section 4.6, S-049)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from swarmsim.api.specs import (
    Driver,
    HealthConfig,
    NetworkAttachmentConfig,
    Replicated,
    RestartCondition,
    RestartPolicy,
    ServiceSpec,
    UpdateConfig,
    UpdateOrder,
)
from tests.compose.stack import load, text_of

TOP = "networks: {n: , m: }\nvolumes: {data: , more: }\nsecrets: {s: {file: f}, t: {file: f}}\n"


def merged(folder: Path, base: str, over: str, top: str = TOP) -> ServiceSpec:
    (folder / "f").write_text("x")
    second = "services:\n  a:\n" + "".join(f"    {line}\n" for line in over.splitlines())
    return load(folder, text_of(base, top), second).services[0]


def container(spec: ServiceSpec) -> Any:
    return spec.task.container


#: (base, laid over it, what to look at, what is there)
CASES: list[tuple[str, str, Any, Any]] = [
    (
        "hostname: a",
        "image: nginx",
        lambda s: (s.task.container.image, s.task.container.hostname),
        ("nginx:latest", "a"),
    ),
    ("hostname: a", 'hostname: ""', lambda s: container(s).hostname, "a"),
    ("read_only: true", "read_only: false", lambda s: container(s).options, {"read_only": True}),
    ("init: true", "init: false", lambda s: container(s).init, True),
    ("init: false", "init: true", lambda s: container(s).init, True),
    ("environment: [A=1, B=2]", "environment: {B: 3, C: }", lambda s: container(s).env, ("A=1", "B=3", "C")),
    ("environment: [A=1]", 'environment: ["A="]', lambda s: container(s).env, ("A=1",)),
    ("labels: {a: 1}", 'labels: {a: ""}', lambda s: container(s).labels["a"], ""),
    ("command: a b", "command: c", lambda s: container(s).args, ("c",)),
    ("command: a b", "command: []", lambda s: container(s).args, ("a", "b")),
    ("entrypoint: a b", "entrypoint: c", lambda s: container(s).command, ("c",)),
    ("deploy: {replicas: 4}", "deploy: {replicas: 0}", lambda s: s.mode, Replicated(0)),
    ("deploy: {replicas: 4}", "deploy: ", lambda s: s.mode, Replicated(4)),
    (
        "deploy: {update_config: {parallelism: 2, delay: 5s}}",
        "deploy: {update_config: {parallelism: 0, delay: 0s, order: start-first}}",
        lambda s: s.update,
        UpdateConfig(0, 5_000_000, order=UpdateOrder.START_FIRST),
    ),
    (
        "deploy: {restart_policy: {condition: any, delay: 5s, max_attempts: 3}}",
        "deploy: {restart_policy: {condition: none, delay: 0s, max_attempts: 0}}",
        lambda s: s.task.restart,
        RestartPolicy(RestartCondition.NONE, 5_000_000, 0),
    ),
    (
        "deploy: {placement: {constraints: [a==b], max_replicas_per_node: 2}}",
        "deploy: {placement: {constraints: [a==b, c==d], max_replicas_per_node: 0}}",
        lambda s: (s.task.placement.constraints, s.task.placement.max_replicas),
        (("a==b", "a==b", "c==d"), 2),
    ),
    (
        'ports: ["80:80", "81:81"]',
        'ports: ["90:90", "81:82/udp"]',
        lambda s: [(p.published_port, p.target_port, p.protocol) for p in s.endpoint.ports],
        [(80, 80, "tcp"), (81, 82, "udp"), (90, 90, "tcp")],
    ),
    (
        'volumes: ["data:/b", "data:/a"]',
        'volumes: ["more:/b:ro"]',
        lambda s: [(m.source, m.target) for m in container(s).mounts],
        [("st_data", "/a"), ("st_more", "/b")],
    ),
    (
        "secrets: [t, s]",
        "secrets: [{source: s, target: x}]",
        lambda s: [(r.name, r.target) for r in container(s).secrets],
        [("st_s", "x"), ("st_t", "t")],
    ),
    (
        "logging: {driver: a, options: {x: 1}}",
        "logging: {driver: b, options: {y: 1}}",
        lambda s: s.task.log_driver,
        Driver("b", {"y": "1"}),
    ),
    (
        "logging: {driver: a, options: {x: 1}}",
        "logging: {options: {y: 1}}",
        lambda s: s.task.log_driver,
        Driver("a", {"x": "1", "y": "1"}),
    ),
    (
        "networks: {n: {aliases: [x]}}",
        "networks: {n: {aliases: [y]}, m: }",
        lambda s: s.task.networks,
        (NetworkAttachmentConfig("st_m", ("a",)), NetworkAttachmentConfig("st_n", ("y", "a"))),
    ),
    ("networks: {n: {aliases: [x]}}", "networks: [n]", lambda s: s.task.networks[0].aliases, ("x", "a")),
    ("dns: 1.1.1.1", "dns: 2.2.2.2", lambda s: container(s).options, {"dns": ("1.1.1.1", "2.2.2.2")}),
    (
        "ulimits: {nofile: 5}",
        "ulimits: {nofile: {soft: 1, hard: 2}}",
        lambda s: container(s).options["ulimits"],
        {"nofile": {"hard": 2, "soft": 1}},
    ),
    ("restart: always", 'restart: "no"', lambda s: s.task.restart, None),
    ("restart: always", "deploy: {restart_policy: {}}", lambda s: s.task.restart, RestartPolicy()),
    (
        "x-sim: {start: 1s, run: 5s}",
        "x-sim: {start: 2s}",
        lambda s: container(s).behaviour.start,
        (2_000_000, 2_000_000),
    ),
    ("x-sim: {start: 1s, run: 5s}", "x-sim: {start: 2s}", lambda s: container(s).behaviour.run, (5_000_000, 5_000_000)),
]

#: What one would not expect, and the real client does.
QUIRKS: list[tuple[str, str, Any, Any]] = [
    (
        'ports: ["443:443/tcp", "443:443/udp"]',
        "hostname: h",
        lambda s: [(p.published_port, p.protocol) for p in s.endpoint.ports],
        [(443, "udp")],
    ),
    ('ports: ["80", "81"]', "hostname: h", lambda s: [p.target_port for p in s.endpoint.ports], [81]),
    (
        "healthcheck: {test: [CMD, a], retries: 3}",
        "healthcheck: {test: [CMD, b], retries: 0}",
        lambda s: container(s).healthcheck,
        HealthConfig(("CMD", "a", "CMD", "b")),
    ),
    ("logging: {driver: a}", "logging: {options: {x: 1}}", lambda s: s.task.log_driver, Driver("a", {})),
    (
        "networks: {n: {driver_opts: {q: r}}}",
        "networks: {n: {aliases: [y], driver_opts: {a: b}}}",
        lambda s: s.task.networks,
        (NetworkAttachmentConfig("st_n", ("y", "a"), {"q": "r"}),),
    ),
    ("networks: {n: {aliases: [x]}}", "networks: {n: {}}", lambda s: s.task.networks[0].aliases, ("a",)),
]


@pytest.mark.parametrize(("base", "over", "get", "wanted"), CASES + QUIRKS)
def test_merged(base: str, over: str, get: Any, wanted: Any, tmp_path: Path) -> None:
    assert get(merged(tmp_path, base, over)) == wanted


def test_networks_are_replaced_whole(tmp_path: Path) -> None:
    base = text_of("networks: [n]", "networks: {n: {driver: overlay, attachable: true, labels: {a: 1}}}")

    (network,) = load(tmp_path, base, "networks: {n: {internal: true}}\n").networks

    assert (network.internal, network.attachable) == (True, False)
    assert "a" not in network.labels


def test_an_external_network_may_become_one_of_the_stack(tmp_path: Path) -> None:
    base = text_of("networks: [n]", "networks: {n: {external: true}}")

    stack = load(tmp_path, base, "networks: {n: }\n")

    assert [n.name for n in stack.networks] == ["st_n"]
    assert stack.warnings == []


def test_a_problem_is_told_in_the_file_that_it_stands_in(tmp_path: Path) -> None:
    from tests.compose.stack import problems

    first = "services:\n  a:\n    image: i\n    networks: [x]\n"
    second = "services:\n  a:\n    volumes: ['nothing:/v']\n    deploy: {mode: bogus}\n"

    found = problems(tmp_path, first, second)

    assert [(Path(p.file).name, p.line) for p in found] == [("0.yml", 4), ("1.yml", 3), ("1.yml", 4)]
