"""The cases S-… of the reference: what `docker stack deploy` refuses, says and sends; a row for each part of a case."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swarmsim.api.specs import (
    ContainerSpec,
    Driver,
    EndpointSpec,
    FileReference,
    Global,
    NetworkAttachmentConfig,
    NetworkSpec,
    Placement,
    PortConfig,
    PublishMode,
    Replicated,
    ReplicatedJob,
    ResolutionMode,
    ResourceRequirements,
    RestartCondition,
    RestartPolicy,
    ServiceSpec,
    TaskSpec,
    UpdateConfig,
)
from swarmsim.errors import ApiError
from swarmsim.manager.validation import check_service_spec
from tests.compose.stack import load, one, problems, text_of, words

NAMESPACE = {"com.docker.stack.namespace": "st"}

# ---- refused ---------------------------------------------------------------------------------------------

#: (case, what is under the service, more of the file, version, a part of the words)
REFUSED: list[tuple[str, str, str, str, str]] = [
    ("S-002", "hostname: h", "version: 3.8", "", "version must be a string"),
    ("S-002", "hostname: h", "", "2.4", "unsupported Compose file version: 2.4"),
    ("S-008", "mem_limit: 1g", "", "", "mem_limit: Set resource limits using deploy.resources"),
    ("S-008", "extends: {service: b}", "", "", "extends: Support for `extends` is not implemented yet"),
    ("S-010", "depends_on: {b: {condition: service_healthy}}", "", "", "services.a.depends_on must be a list"),
    (
        "S-016",
        "deploy: {mode: global, replicas: 2}",
        "",
        "",
        "service a: replicas can only be used with replicated or replicated-job mode",
    ),
    ("S-019", 'deploy: {replicas: "3"}', "", "", "services.a.deploy.replicas must be a integer"),
    ("S-019", "deploy: {replicas: -1}", "", "", "cannot parse 'Deploy.Replicas', -1 overflows uint"),
    (
        "S-020",
        "deploy: {placement: {constraints: node.role == manager}}",
        "",
        "",
        "services.a.deploy.placement.constraints must be a list",
    ),
    (
        "S-022",
        "deploy: {placement: {max_replicas_per_node: 2}}",
        "",
        "3.7",
        "services.a.deploy.placement Additional property max_replicas_per_node is not allowed; "
        'write version: "3.8" or later',
    ),
    ("S-025", "deploy: {update_config: {delay: 10}}", "", "", "services.a.deploy.update_config.delay must be a string"),
    ("S-025", 'deploy: {update_config: {delay: "10"}}', "", "", "Does not match format 'duration'"),
    ("S-025", "deploy: {update_config: {delay: 1d}}", "", "", "Does not match format 'duration'"),
    (
        "S-026",
        "deploy: {update_config: {order: bogus}}",
        "",
        "",
        'services.a.deploy.update_config.order must be one of the following: "start-first", "stop-first"',
    ),
    (
        "S-026",
        "deploy: {update_config: {failure_action: bogus}}",
        "",
        "",
        "unrecognized update failure action bogus",
    ),
    (
        "S-026",
        "deploy: {restart_policy: {condition: bogus}}",
        "",
        "",
        'invalid RestartCondition: "bogus"',
    ),
    ("S-029", "deploy: {resources: {limits: {cpus: 0.5}}}", "", "", 'cpus must be a string; write "0.5"'),
    ("S-029", "deploy: {resources: {limits: {memory: 1073741824}}}", "", "", "memory must be a string"),
    ("S-029", "deploy: {resources: {limits: {memory: 1X}}}", "", "", "invalid suffix: 'x'"),
    (
        "S-029",
        'deploy: {resources: {limits: {cpus: "50%"}}}',
        "",
        "",
        "service a: failed to parse 50% as a rational number",
    ),
    ("S-031", "environment: {A: true}", "", "", "services.a.environment.A must be a string, number or null"),
    (
        "S-032",
        'hostname: "${X:?boom}"',
        "",
        "",
        'invalid interpolation format for services.a.hostname: "required variable X is missing a value: boom"; '
        "you may need to escape any $ with another $",
    ),
    (
        "S-032",
        'hostname: "${X:+y}"',
        "",
        "",
        'invalid interpolation format for services.a.hostname: "${X:+y}"; you may need to escape any $ with another $',
    ),
    (
        "S-034",
        'image: "foo/bar:${TAG}"',
        "",
        "",
        "invalid image reference for service a: invalid reference format",
    ),
    ("S-034", 'image: ""', "", "", "invalid image reference for service a: no image specified"),
    ("S-035", "networks: [n]", "", "", 'service a: undefined network "n"'),
    ("S-038", 'volumes: ["data:/d"]', "", "", 'service a: undefined volume "data"'),
    ("S-041", "deploy: {labels: }", "", "", "services.a.deploy.labels must be a mapping"),
    ("S-043", "command: 'echo \"a'", "", "", "EOF found when expecting closing quote"),
]


@pytest.mark.parametrize(
    ("fragment", "top", "version", "part"), [row[1:] for row in REFUSED], ids=[f"{row[0]}-{row[1]}" for row in REFUSED]
)
def test_refused(fragment: str, top: str, version: str, part: str, tmp_path: Path) -> None:
    """S-002, S-008, S-010, S-016, S-019, S-020, S-022, S-025, S-026, S-029, S-031, S-032, S-034, S-035, S-038, S-041,
    S-043: a row of `REFUSED` each."""
    assert part in words(tmp_path, fragment, top, version)


def test_all_forbidden_keys_are_told(tmp_path: Path) -> None:
    """S-008: both paragraphs, each at its line."""
    found = problems(tmp_path, text_of("mem_limit: 1g\nextends: {service: b}"))

    assert [(p.line, p.text.split(":")[1].strip()) for p in found] == [(4, "mem_limit"), (5, "extends")]


def test_a_forbidden_key_is_not_told_twice(tmp_path: Path) -> None:
    assert len(problems(tmp_path, text_of("mem_limit: 1g"))) == 1


# ---- accepted --------------------------------------------------------------------------------------------


def test_the_least_service(tmp_path: Path) -> None:
    """S-001, in full."""
    stack = load(tmp_path, "services: {a: {image: busybox}}\n")

    assert stack.networks == (NetworkSpec("st_default", NAMESPACE),)
    assert stack.services == (
        ServiceSpec(
            "st_a",
            TaskSpec(
                ContainerSpec("busybox:latest", labels=NAMESPACE),
                ResourceRequirements(),
                None,
                Placement(),
                networks=(NetworkAttachmentConfig("st_default", ("a",)),),
            ),
            Replicated(1),
            {**NAMESPACE, "com.docker.stack.image": "busybox"},
            endpoint=EndpointSpec(),
        ),
    )
    assert (stack.secrets, stack.configs, stack.warnings) == ((), (), [])


def port(published: int, target: int, protocol: str = "tcp", mode: PublishMode = PublishMode.INGRESS) -> PortConfig:
    return PortConfig("", protocol, target, published, mode)


def container(spec: ServiceSpec) -> ContainerSpec:
    return spec.task.container


def limits(spec: ServiceSpec) -> Any:
    resources = spec.task.resources
    assert resources is not None
    return resources.limits


Get = Callable[[ServiceSpec], Any]

#: (case, what is under the service, more of the file, where in the spec, what is there)
SENT: list[tuple[str, str, str, Get, Any]] = [
    ("S-004", "restart: always", "", lambda s: s.task.restart, RestartPolicy(RestartCondition.ANY)),
    (
        "S-005",
        "restart: always\ndeploy: {restart_policy: {condition: on-failure}}",
        "",
        lambda s: s.task.restart,
        RestartPolicy(RestartCondition.ON_FAILURE),
    ),
    ("S-011", 'ports: ["8080:80"]', "", lambda s: s.endpoint.ports, (port(8080, 80),)),
    ("S-011", "ports:\n  - 8080:80", "", lambda s: s.endpoint.ports, (port(8080, 80),)),
    ("S-013", 'ports: ["127.0.0.1:8080:80"]', "", lambda s: s.endpoint.ports, (port(8080, 80),)),
    (
        "S-014",
        "ports: [{target: 80, published: 8080, mode: host, protocol: udp}]",
        "",
        lambda s: s.endpoint.ports,
        (port(8080, 80, "udp", PublishMode.HOST),),
    ),
    ("S-014", "ports: [{target: 80, published: 8080}]", "", lambda s: s.endpoint.ports, (port(8080, 80),)),
    ("S-016", "deploy: {mode: global}", "", lambda s: s.mode, Global()),
    ("S-017", "deploy: {mode: replicated-job, replicas: 3}", "", lambda s: s.mode, ReplicatedJob(3, 3)),
    ("S-017", "deploy: {mode: replicated-job}", "", lambda s: s.mode, ReplicatedJob()),
    ("S-019", "deploy: {replicas: 0}", "", lambda s: s.mode, Replicated(0)),
    (
        "S-020",
        "deploy: {placement: {constraints: [node.role == manager, node.labels.x==y, foo]}}",
        "",
        lambda s: s.task.placement.constraints,
        ("node.role == manager", "node.labels.x==y", "foo"),
    ),
    (
        "S-021",
        "deploy: {placement: {preferences: [{spread: node.labels.zone}, {}]}}",
        "",
        lambda s: s.task.placement.preferences,
        ("node.labels.zone", ""),
    ),
    (
        "S-022",
        "deploy: {placement: {max_replicas_per_node: 2}}",
        "",
        lambda s: s.task.placement.max_replicas,
        2,
    ),
    ("S-023", "deploy: {update_config: {}}", "", lambda s: s.update, UpdateConfig(1)),
    ("S-023", "deploy: {}", "", lambda s: s.update, None),
    ("S-023", "deploy: {update_config: {parallelism: 0}}", "", lambda s: s.update, UpdateConfig(0)),
    (
        "S-028",
        'deploy: {resources: {limits: {cpus: "0.5", memory: 50M, pids: 10}}}',
        "",
        lambda s: (limits(s).nano_cpus, limits(s).memory_bytes, limits(s).pids),
        (500_000_000, 52_428_800, 10),
    ),
    (
        "S-028",
        "deploy: {resources: {reservations: {memory: 512mb}}}",
        "",
        lambda s: s.task.resources.reservations.memory_bytes,
        536_870_912,
    ),
    *(
        (
            "S-028",
            f"deploy: {{resources: {{limits: {{memory: {text}}}}}}}",
            "",
            lambda s: limits(s).memory_bytes,
            wanted,
        )
        for text, wanted in (
            ("1g", 1 << 30),
            ("1.5g", 3 << 29),
            ("1GiB", 1 << 30),
            ("512 M", 512 << 20),
            ('"1073741824"', 1 << 30),
        )
    ),
    ("S-031", "environment: {A: yes}", "", lambda s: container(s).env, ("A=yes",)),
    ("S-031", "environment: {A: 010}", "", lambda s: container(s).env, ("A=8",)),
    ("S-032", 'hostname: "${X:-d}"', "", lambda s: container(s).hostname, "d"),
    ("S-032", 'hostname: "${X:-${Y:-z}}"', "", lambda s: container(s).hostname, "${Y:-z}"),
    ("S-032", 'hostname: "$$X"', "", lambda s: container(s).hostname, "$X"),
    (
        "S-038",
        'volumes: ["data:/d:ro"]',
        "volumes: {data: {driver: local}}",
        lambda s: [(m.type, m.source, m.target, m.read_only, m.volume_driver, m.options) for m in container(s).mounts],
        [("volume", "st_data", "/d", True, "local", {"labels": NAMESPACE})],
    ),
    (
        "S-038",
        'volumes: ["./a:/b"]',
        "",
        lambda s: [(m.type, m.source, m.target) for m in container(s).mounts],
        [("bind", "./a", "/b")],
    ),
    (
        "S-038",
        'volumes: ["/a:/b:z"]',
        "",
        lambda s: [(m.type, m.source, m.target, m.options) for m in container(s).mounts],
        [("bind", "/a", "/b", {})],
    ),
    (
        "S-041",
        'labels: {a: "1"}\ndeploy: {labels: [b=2, c]}',
        "",
        lambda s: (container(s).labels, s.labels),
        ({"a": "1", **NAMESPACE}, {"b": "2", "c": "", **NAMESPACE, "com.docker.stack.image": "busybox"}),
    ),
    ("S-043", 'command: echo "a b" c', "", lambda s: container(s).args, ("echo", "a b", "c")),
    ("S-043", "entrypoint: /e.sh x", "", lambda s: container(s).command, ("/e.sh", "x")),
    ("S-043", 'command: "a # b"', "", lambda s: container(s).args, ("a",)),
    ("S-044", "deploy: {endpoint_mode: DNSRR}", "", lambda s: s.endpoint.mode, ResolutionMode.DNSRR),
    ("S-046", "tmpfs: /run", "", lambda s: container(s).mounts, ()),
    (
        "S-046",
        "networks: {n: {ipv4_address: 10.0.0.5}}",
        "networks: {n: }",
        lambda s: s.task.networks,
        (NetworkAttachmentConfig("st_n", ("a",)),),
    ),
    ("S-046", "oom_score_adj: 5", "", lambda s: container(s).options, {}),
    ("S-047", "stop_grace_period: 1m30s", "", lambda s: container(s).stop_grace_period, 90_000_000),
    ("S-047", 'hostname: "{{.Node.Hostname}}"', "", lambda s: container(s).hostname, "{{.Node.Hostname}}"),
    (
        "S-047",
        "logging: {options: {max-file: 3}}",
        "",
        lambda s: s.task.log_driver,
        Driver("", {"max-file": "3"}),
    ),
]


@pytest.mark.parametrize(
    ("fragment", "top", "get", "wanted"), [row[1:] for row in SENT], ids=[f"{row[0]}-{row[1]}" for row in SENT]
)
def test_sent(fragment: str, top: str, get: Get, wanted: Any, tmp_path: Path) -> None:
    """S-004, S-005, S-011, S-013, S-014, S-016, S-017, S-019, S-020, S-022, S-023, S-028, S-031, S-032, S-038, S-041,
    S-043, S-044, S-046, S-047: a row of `SENT` each."""
    assert get(one(tmp_path, fragment, top)) == wanted


# ---- said ------------------------------------------------------------------------------------------------

SAID: list[tuple[str, str, list[str]]] = [
    ("S-004", "restart: always", ["Ignoring unsupported options: restart"]),
    (
        "S-007",
        "container_name: x\nexpose: [80]\nbuild: .\nlinks: [b]\nprivileged: true",
        [
            "Ignoring unsupported options: build, links, privileged",
            "Ignoring deprecated options: container_name: Setting the container name is not supported.",
            "Ignoring deprecated options: expose: Exposing ports is unnecessary - services on the same network can "
            "access each other's containers on any port.",
        ],
    ),
    (
        "S-013",
        'ports: ["127.0.0.1:8080:80"]',
        ["ignoring IP-address (127.0.0.1:8080:80/tcp) service will listen on '0.0.0.0'"],
    ),
    ("S-046", "tmpfs: /run\noom_score_adj: 5\ndepends_on: [nobody]", []),
]


@pytest.mark.parametrize(("fragment", "wanted"), [r[1:] for r in SAID], ids=[f"{r[0]}-{r[1][:20]}" for r in SAID])
def test_said(fragment: str, wanted: list[str], tmp_path: Path) -> None:
    """S-004, S-007, S-013, S-046."""
    assert load(tmp_path, text_of(fragment)).warnings == wanted


# ---- networks, files, several files ----------------------------------------------------------------------


def test_a_network_of_one_host_is_not_in_the_right_scope(tmp_path: Path) -> None:
    """S-037: the one network of that kind that every engine has."""
    said = words(tmp_path, "networks: [n]", "networks: {n: {external: true, name: docker_gwbridge}}")

    assert said.startswith(
        'network "docker_gwbridge" is declared as external, but it is not in the right scope: '
        '"local" instead of "swarm"'
    )


def test_an_external_network_is_taken_to_be_there(tmp_path: Path) -> None:
    """S-037: Docker asks the manager; here it is made beforehand, for the simulated cluster is new."""
    stack = load(tmp_path, text_of("networks: [n]", "networks: {n: {external: true}, unused: {external: true}}"))

    assert stack.networks == (NetworkSpec("n", attachable=True),)
    assert stack.services[0].task.networks == (NetworkAttachmentConfig("n", ("a",)),)
    assert stack.warnings == ["network n is external: taken to be there, an attachable overlay network"]


@pytest.mark.parametrize("name", ["host", "bridge"])
def test_a_predefined_network_is_not_created_and_has_no_alias(name: str, tmp_path: Path) -> None:
    stack = load(tmp_path, text_of("networks: [n]", f"networks: {{n: {{external: true, name: {name}}}}}"))

    assert stack.networks == ()
    assert stack.services[0].task.networks == (NetworkAttachmentConfig(name),)


def test_a_network_of_one_daemon_cannot_be_used(tmp_path: Path) -> None:
    """S-037, the scope: the client creates it, the daemon refuses the service."""
    found = words(tmp_path, "networks: [n]", "networks: {n: {driver: bridge}}")

    assert "The network st_n cannot be used with services. Only networks scoped to the swarm can be used" in found


def test_only_networks_that_are_used_are_created(tmp_path: Path) -> None:
    stack = load(tmp_path, text_of("networks: [n]", "networks: {m: , n: , default: {attachable: true}}"))

    assert [n.name for n in stack.networks] == ["st_n"]


def test_a_config_with_a_name_of_its_own(tmp_path: Path) -> None:
    """S-040."""
    (tmp_path / "f").write_text("content\n")
    text = text_of("configs: [{source: x, target: /etc/x, mode: 0440}]", 'configs: {x: {file: ./f, name: "x-${V:-1}"}}')

    stack = load(tmp_path, text)

    assert stack.services[0].task.container.configs == (FileReference("x-1", "/etc/x", "0", "0", 0o440),)
    assert [(c.name, c.data, c.labels) for c in stack.configs] == [("x-1", b"content\n", NAMESPACE)]


def test_two_files(tmp_path: Path) -> None:
    """S-049."""
    base = 'services: {a: {image: busybox, ports: ["80:80"], environment: [A=1], deploy: {replicas: 2}}}\n'
    over = 'services: {a: {ports: ["80:81"], environment: [B=2], deploy: {replicas: 4}}}\n'

    spec = load(tmp_path, base, over).services[0]

    assert spec.endpoint is not None
    assert spec.endpoint.ports == (port(80, 81),)
    assert spec.task.container.env == ("A=1", "B=2")
    assert spec.mode == Replicated(4)
    assert spec.task.container.image == "busybox:latest"


def test_two_files_have_one_version(tmp_path: Path) -> None:
    found = problems(tmp_path, 'version: "3.7"\nservices: {}\n', 'version: "3.8"\nservices: {}\n')

    assert [p.text.split(";")[0] for p in found] == ["version mismatched between two composefiles : 3.7 and 3.8"]
    assert found[0].file.endswith("1.yml")


def test_secrets_are_created_even_if_unused_and_in_file_order(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")

    stack = load(
        tmp_path, text_of("hostname: h", "secrets: {z: {file: f}, b: {file: f, name: own}, e: {external: true}}")
    )

    assert [s.name for s in stack.secrets] == ["st_z", "own"]


def test_services_are_created_in_file_order(tmp_path: Path) -> None:
    stack = load(tmp_path, "services: {z: {image: i}, a: {image: i}, m: {image: i}}\n", "services: {b: {image: i}}\n")

    assert [s.name for s in stack.services] == ["st_z", "st_a", "st_m", "st_b"]


def test_no_services_at_all(tmp_path: Path) -> None:
    assert load(tmp_path, 'version: "3"\n').services == ()


@pytest.mark.parametrize("name", ["", " ", '""', "''"])
def test_a_stack_needs_a_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="invalid stack name"):
        load(tmp_path, "services: {a: {image: i}}\n", name=name)


# ---- what the manager refuses ----------------------------------------------------------------------------

MANAGER = [
    (
        "S-044",
        'deploy: {endpoint_mode: dnsrr}\nports: ["80:80"]',
        "EndpointSpec: port published with ingress mode can't be used with dnsrr mode",
    ),
    ("S-020", "deploy: {placement: {constraints: [foo]}}", "constraint expected one operator from ==, !="),
]


@pytest.mark.parametrize(("fragment", "said"), [r[1:] for r in MANAGER], ids=[r[0] for r in MANAGER])
def test_what_the_client_passes_on_the_manager_refuses(fragment: str, said: str, tmp_path: Path) -> None:
    """The client looks at neither: the stack loads, and the control API judges its spec."""
    spec = one(tmp_path, fragment)

    with pytest.raises(ApiError, match=said):
        check_service_spec(spec)


def test_a_port_of_the_host_goes_with_dnsrr(tmp_path: Path) -> None:
    """S-044."""
    check_service_spec(one(tmp_path, "deploy: {endpoint_mode: dnsrr}\nports: [{target: 80, mode: host}]"))
