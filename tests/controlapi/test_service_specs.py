"""What a service's spec may say (SwarmKit manager/controlapi/service.go, common.go), text by text."""

from __future__ import annotations

from typing import Any

import pytest

from swarmsim.api.messages import CreateService
from swarmsim.api.specs import (
    NO_CONTAINER,
    ContainerSpec,
    EndpointSpec,
    FileReference,
    GenericRuntimeSpec,
    Global,
    GlobalJob,
    HealthConfig,
    Mount,
    NetworkAttachmentConfig,
    NetworkAttachmentSpec,
    Placement,
    PortConfig,
    Replicated,
    ReplicatedJob,
    ResolutionMode,
    ResourceRequirements,
    Resources,
    RestartPolicy,
    ServiceSpec,
    TaskSpec,
    UpdateConfig,
)
from swarmsim.errors import ApiError
from swarmsim.manager.validation import check_name, check_service_spec

from .world import HOST, INGRESS, SECOND, World, container, port, publishing, spec


def refusal(wanted: Any) -> str:
    """The text; every one of these is InvalidArgument."""
    try:
        check_service_spec(wanted)
    except ApiError as error:
        assert error.code == "InvalidArgument"
        return error.text
    return ""


def resources(**wanted: int) -> TaskSpec:
    limits = ResourceRequirements(limits=Resources(**wanted))
    return TaskSpec(ContainerSpec("busybox"), resources=limits)


GOOD_NAMES = ["name", "n-me", "n_me", "n-m-e", "n--d", "N", "0", "a" * 63]
BAD_NAMES = ["_nam", ".nam", "-nam", "nam-", "n/me", "n&me", "////", "name\n", "näm", "n.me", "-" * 70 + "a"]


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_good_names(name: str) -> None:
    """C-184 TestValidateAnnotations."""
    assert refusal(spec(name)) == ""


@pytest.mark.parametrize("name", BAD_NAMES)
def test_bad_names(name: str) -> None:
    """C-184: a name is a component of a DNS name."""
    assert refusal(spec(name)) == "name must be valid as a DNS name component"


def test_a_name_is_needed_and_has_at_most_63_characters() -> None:
    """C-160, C-184."""
    assert refusal(spec("")) == "meta: name must be provided"
    assert refusal(spec("a" * 64)) == "name must be 63 characters or fewer"


def test_a_long_bad_name_is_refused_in_no_time() -> None:
    """The original's expression would try every way to split it."""
    with pytest.raises(ApiError):
        check_name("a" * 5_000 + "!")


def test_a_spec_is_needed() -> None:
    """C-157 TestCreateService, its first part."""
    assert refusal(None) == "invalid argument"


def test_resources_are_nothing_or_enough() -> None:
    """C-158 TestValidateResources: limits and reservations alike."""
    assert refusal(spec(task=resources(memory_bytes=1))) == "invalid memory value 1: Must be at least 4MiB"
    assert refusal(spec(task=resources(nano_cpus=42))) == "invalid cpu value 4.2e-08: Must be at least 0.001"
    assert refusal(spec(task=resources(memory_bytes=4 << 30))) == ""
    assert refusal(spec(task=resources(nano_cpus=1_000_000_000))) == ""
    reserved = ResourceRequirements(reservations=Resources(nano_cpus=999_999))
    text = "invalid cpu value 0.000999999: Must be at least 0.001"
    assert refusal(spec(task=TaskSpec(ContainerSpec("busybox"), resources=reserved))) == text


IMAGES = {
    "": "ContainerSpec: image reference must be provided",
    "busybox###": 'ContainerSpec: "busybox###" is not a valid repository/tag',
    "Busybox": 'ContainerSpec: "Busybox" is not a valid repository/tag',
    "busybox:": 'ContainerSpec: "busybox:" is not a valid repository/tag',
    "busybox:a b": 'ContainerSpec: "busybox:a b" is not a valid repository/tag',
    "a" * 64: f'ContainerSpec: "{"a" * 64}" is not a valid repository/tag',
    "busybox": "",
    "nginx:1.27-alpine": "",
    "registry.example.com:5000/team/app:v1": "",
    "localhost/app": "",
    "app@sha256:" + "0" * 64: "",
    "app:v1@sha256:" + "0" * 64: "",
}


@pytest.mark.parametrize(("image", "text"), IMAGES.items())
def test_the_image_is_a_reference(image: str, text: str) -> None:
    """C-160 TestValidateContainerSpec."""
    assert refusal(spec(task=container(image=image))) == text


def test_mount_targets_differ() -> None:
    """C-160."""
    mounts = (Mount("bind", "/data", "/a"), Mount("volume", "/data", "b"))

    assert refusal(spec(task=container(mounts=mounts))) == "ContainerSpec: duplicate mount point: /data"


HEALTH = {
    "interval": "ContainerSpec: Interval in HealthConfig cannot be less than 1ms",
    "timeout": "ContainerSpec: Timeout in HealthConfig cannot be less than 1ms",
    "start_period": "ContainerSpec: StartPeriod in HealthConfig cannot be less than 1ms",
    "start_interval": "ContainerSpec: StartInterval in HealthConfig cannot be less than 1ms",
}


@pytest.mark.parametrize(("field", "text"), HEALTH.items())
def test_health_checks_take_their_time(field: str, text: str) -> None:
    """C-160: each duration is 0 or at least 1 ms; negative ones are refused, too."""
    for value, expected in ((-1, text), (999, text), (0, ""), (1_000, "")):
        health = HealthConfig(("CMD", "true"), **{field: value})  # type: ignore[arg-type]
        assert refusal(spec(task=container(healthcheck=health))) == expected


def test_health_checks_are_not_retried_a_negative_number_of_times() -> None:
    """C-160."""
    text = "ContainerSpec: Retries in HealthConfig cannot be negative"
    assert refusal(spec(task=container(healthcheck=HealthConfig(retries=-1)))) == text


TEMPLATES = {
    "{{.Node.Hostname}}": "",
    "{{ .Task.Slot }}-{{.Service.Name}}": "",
    "{{.Service.Labels.tier}}": "",
    '{{index .Service.Labels "a.b"}}': "",
    "{{.Nothing.There}}": '1:2: executing "expansion" at <.Nothing.There>: '
    "can't evaluate field Nothing in type template.Context",
    "x{{.Task.Nope}}": '1:3: executing "expansion" at <.Task.Nope>: can\'t evaluate field Nope in Task',
    "{{.Node.Hostname": "1: unclosed action",
    "{{nope}}": '1: function "nope" not defined',
}


@pytest.mark.parametrize(("text", "problem"), TEMPLATES.items())
def test_templates_name_what_there_is(text: str, problem: str) -> None:
    """C-160: an invalid hostname template; the same in environment values and mounts."""
    for what, task in (
        ("hostname", container(hostname=text)),
        ("env", container(env=("PLAIN=1", f"NAME={text}"))),
        ("mounts", container(mounts=(Mount("volume", "/data", text),))),
    ):
        expected = f"expanding {what} failed: template: expansion:{problem}" if problem else ""
        assert refusal(spec(task=task)) == expected


def policy(**fields: Any) -> str:
    return refusal(spec(task=TaskSpec(ContainerSpec("busybox"), restart=RestartPolicy(**fields))))


def test_restart_policies() -> None:
    """C-161 TestValidateRestartPolicy."""
    assert policy(delay=-1 * SECOND) == "TaskSpec: restart-delay cannot be negative"
    assert policy(window=-4 * SECOND) == "TaskSpec: restart-window cannot be negative"
    assert policy(delay=10 * SECOND, window=SECOND) == ""


def test_update_configs() -> None:
    """C-161, O-268 TestValidateUpdate; the rollback config is not looked at."""
    ratio = "TaskSpec: update-maxfailureratio cannot be less than 0 or bigger than 1"
    delay, monitor = "TaskSpec: update-delay cannot be negative", "TaskSpec: update-monitor cannot be negative"
    for config, text in (
        (UpdateConfig(delay=-SECOND), delay),
        (UpdateConfig(monitor=-SECOND), monitor),
        (UpdateConfig(max_failure_ratio=-0.1), ratio),
        (UpdateConfig(max_failure_ratio=1.1), ratio),
        (UpdateConfig(delay=SECOND, monitor=10 * SECOND, max_failure_ratio=0.5), ""),
    ):
        assert refusal(spec(update=config)) == text
        assert refusal(spec(rollback=config)) == ""


def test_constraints_must_parse() -> None:
    task = TaskSpec(ContainerSpec("busybox"), placement=Placement(("node.role = manager",)))

    assert refusal(spec(task=task)) != ""


def test_modes() -> None:
    """The numbers of replicas and of jobs; jobs are not updated."""
    assert refusal(spec(mode=Replicated(-1))) == "Number of replicas must be non-negative"
    assert refusal(spec(mode=ReplicatedJob(-1, 1))) == "Maximum concurrent jobs must not be negative"
    assert refusal(spec(mode=ReplicatedJob(1, -1))) == "Total completed jobs must not be negative"
    for mode in (ReplicatedJob(1, 1), GlobalJob()):
        assert refusal(spec(mode=mode, update=UpdateConfig())) == "Jobs may not have an update config"
        assert refusal(spec(mode=mode)) == ""
    assert refusal(spec(mode=Replicated(0))) == refusal(spec(mode=Global())) == ""


def test_ports_of_one_service_differ() -> None:
    """C-157, within one service: port and protocol, whatever the mode; unpublished ones do not count."""
    twice = "EndpointSpec: duplicate published ports provided"
    assert refusal(publishing("a", port(9000), port(9000, target=81))) == twice
    assert refusal(publishing("a", port(9000), port(9000, HOST))) == twice
    assert refusal(publishing("a", port(9000), port(9000, protocol="udp"))) == ""
    assert refusal(publishing("a", port(0), port(0))) == ""


def test_round_robin_by_dns_publishes_nothing_through_ingress() -> None:
    text = "EndpointSpec: port published with ingress mode can't be used with dnsrr mode"
    ingress = spec(endpoint=EndpointSpec(ResolutionMode.DNSRR, (port(0, INGRESS),)))
    host = spec(endpoint=EndpointSpec(ResolutionMode.DNSRR, (port(80, HOST),)))

    assert (refusal(ingress), refusal(host)) == (text, "")


@pytest.mark.parametrize("word", ["secret", "config"])
def test_references_to_files_are_well_formed(word: str) -> None:
    """C-163 TestSecretValidation, TestConfigValidation: one target for each, and a name."""

    def references(*pairs: tuple[str, str]) -> str:
        files = tuple(FileReference(name, target) for name, target in pairs)
        return refusal(spec(task=container(**{f"{word}s": files})))

    assert references(("", "file")) == f"malformed {word} reference"
    assert references(("a", "")) == f"malformed file {word} reference, invalid target file name provided"
    conflict = f"{word} references 'a' and '{{}}' have a conflicting target: 'file'"
    assert references(("a", "file"), ("b", "file")) == conflict.format("b")
    assert references(("a", "file"), ("a", "file")) == conflict.format("a")
    assert references(("a", "file"), ("a", "other")) == ""
    for target in ("../secretfile.txt", "/file.txt", ".file.txt"):
        assert references(("a", target)) == ""


def test_a_service_is_not_attached_to_ingress_by_hand() -> None:
    """C-157, C-164; a network that nobody knows is let pass."""
    world = World()
    task = TaskSpec(ContainerSpec("busybox"), networks=(NetworkAttachmentConfig("ingress"),))

    text = 'Service cannot be explicitly attached to the ingress network "ingress"'
    assert world.refused(CreateService(spec(task=task))) == ("InvalidArgument", text)
    world.create(spec(task=TaskSpec(ContainerSpec("busybox"), networks=(NetworkAttachmentConfig("nobody"),))))


def test_ports_are_looked_at_one_by_one() -> None:
    """service.go `validateEndpointSpec`: the first port that is wrong names the reason."""
    twice = port(80, HOST), port(80, HOST), port(81)
    late = port(81), port(80, HOST), port(80, HOST)

    def said(*ports: PortConfig) -> str:
        return refusal(spec(endpoint=EndpointSpec(ResolutionMode.DNSRR, ports)))

    assert said(*twice) == "EndpointSpec: duplicate published ports provided"
    assert said(*late) == "EndpointSpec: port published with ingress mode can't be used with dnsrr mode"


def generic(kind: str, payload: tuple[str, bytes] | None = ("type", b"1")) -> str:
    return refusal(spec(task=TaskSpec(NO_CONTAINER, runtime=GenericRuntimeSpec(kind, payload))))


def test_a_generic_runtime_has_a_name_and_a_payload() -> None:
    """C-160 TestValidateTaskSpec: each part of what service.go `validateGenericRuntimeSpec` asks for."""
    assert generic("plugin") == generic("any") == ""
    assert generic("") == 'Generic runtime: Invalid name ""'
    assert generic("c") == 'Generic runtime: Invalid name "c"'
    assert generic("Container") == 'Generic runtime: "Container" is a reserved name'
    assert generic("attachment") == 'Generic runtime: "attachment" is a reserved name'
    assert generic("plugin", None) == "Generic runtime is missing payload"
    assert generic("plugin", ("", b"1")) == "Generic runtime is missing payload type"
    assert generic("plugin", ("type", b"")) == "Generic runtime has an empty payload"


def test_an_attachment_is_no_service() -> None:
    """C-160 TestValidateTaskSpec: Unimplemented, as the only one of these."""
    attached = spec(task=TaskSpec(NO_CONTAINER, runtime=NetworkAttachmentSpec("c1")))

    with pytest.raises(ApiError) as refused:
        check_service_spec(attached)

    assert (refused.value.code, refused.value.text) == (
        "Unimplemented",
        "RuntimeSpec: unimplemented runtime in service spec",
    )


def test_something_must_run() -> None:
    """C-160 TestValidateTaskSpec: a service without a task template."""
    assert refusal(ServiceSpec("web", None)) == "TaskSpec: missing runtime"  # type: ignore[arg-type]
