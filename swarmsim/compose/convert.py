"""To the specs that the client sends, as the manager keeps them: services, networks, secrets, configs.

docker/cli cli/compose/convert makes the request, moby daemon/cluster/convert the spec of it; what neither looks at
(texts of constraints) is the control API's to judge. Here are all checks that `docker stack deploy` makes and `docker
stack config` does not: images, undefined names, modes, CPUs. What the daemon would refuse because SwarmKit has no
value for it (a restart condition `bogus`) cannot stand in a spec, so it is an error here, in the daemon's words.

Services of a scenario are created under their own names, those of a stack under `STACK_name`, with its labels: that is
`Naming`. Services come in file order; the real client's order is random. Fields are sorted where the client sorts them,
and where it sends Go's maps in no order, so that equal words are equal specs.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..api.specs import (
    ConfigSpec,
    ContainerBehaviour,
    ContainerSpec,
    Driver,
    EndpointSpec,
    FailureAction,
    FileReference,
    GenericResource,
    Global,
    GlobalJob,
    HealthConfig,
    IpamConfig,
    Mount,
    NetworkAttachmentConfig,
    NetworkSpec,
    Placement,
    PortConfig,
    PublishMode,
    Replicated,
    ReplicatedJob,
    ResolutionMode,
    ResourceRequirements,
    Resources,
    RestartCondition,
    RestartPolicy,
    SecretSpec,
    ServiceMode,
    ServiceSpec,
    TaskSpec,
    UpdateConfig,
    UpdateOrder,
)
from . import env_file, images, units
from .decode import Body, Config
from .source import KeyPath

NAMESPACE = "com.docker.stack.namespace"
IMAGE = "com.docker.stack.image"

#: Stands for the content of what exists outside of the stack, and of a side file that is not there: the manager takes
#: no empty secret.
STAND_IN = b"\n"

#: Networks that every daemon has; they are not created, and have no aliases.
_PREDEFINED = ("host", "bridge", "none")
#: The network of the host itself, by which the containers of each host reach the world outside.
_GATEWAY = "docker_gwbridge"
#: Drivers of networks that one daemon has for itself.
_LOCAL_DRIVERS = ("bridge", "host", "none", "macvlan", "ipvlan", "null")

Tell = Callable[[KeyPath, str], None]


@dataclass(frozen=True)
class Naming:
    """How things are called: `stack` "" for what a scenario writes in place."""

    stack: str = ""

    def scope(self, name: str) -> str:
        return f"{self.stack}_{name}" if self.stack else name

    def labels(self, given: Mapping[str, str] | None, **more: str) -> dict[str, str]:
        """With the stack's own labels, sorted."""
        own = {NAMESPACE: self.stack} if self.stack else {}
        return dict(sorted({**(given or {}), **own}.items()))


@dataclass
class Converter:
    """Converts one configuration; `tell` and `warn` take what is wrong and what should be said."""

    config: Config
    naming: Naming
    stand_in: bool
    tell: Tell
    warn: Callable[[str], None]
    external: dict[str, dict[str, None]] = field(
        default_factory=lambda: {kind: {} for kind in ("network", "secret", "config")}
    )

    def services(self) -> tuple[ServiceSpec, ...]:
        return tuple(self.service(name) for name in self.config.services)

    def service(self, name: str) -> ServiceSpec:
        return _Service(self, name, self.config.services[name]).spec()

    # -- networks --
    def networks(self) -> tuple[NetworkSpec, ...]:
        """Those that some service uses, `default` among them; what is external is taken to be there."""
        used = {name for body in self.config.services.values() for name in self.attached(body)}
        order = [name for name in self.config.networks if name in used]
        order += [name for name in ("default",) if name in used and name not in order]
        specs: dict[str, NetworkSpec] = {}
        for name in order:
            spec = self.network(name, self.config.networks.get(name, {}))
            if spec is not None:
                specs.setdefault(spec.name, spec)
        return tuple(specs.values())

    def attached(self, body: Body) -> Iterable[str]:
        """The networks of a service; none is the stack's `default`."""
        return body.get("networks") or (["default"] if self.naming.stack else [])

    def network_name(self, name: str) -> str:
        return str(self.config.networks.get(name, {}).get("name") or self.naming.scope(name))

    def network(self, name: str, words: Body) -> NetworkSpec | None:
        called, path = self.network_name(name), ("networks", name)
        if words.get("external"):
            return self.external_network(name, called)
        driver = words.get("driver") or "overlay"
        if driver in _LOCAL_DRIVERS:
            text = f"The network {called} cannot be used with services. Only networks scoped to the swarm can be used"
            rest = "such as those created with the overlay driver; write driver: overlay"
            self.tell((*path, "driver"), f"{text}, {rest}")
        ipam = words.get("ipam") or {}
        return NetworkSpec(
            called,
            self.naming.labels(words.get("labels")),
            driver,
            _sorted(words.get("driver_opts")),
            internal=bool(words.get("internal")),
            attachable=bool(words.get("attachable")),
            ipam=tuple(IpamConfig(pool.get("subnet", "")) for pool in ipam.get("config") or ()),
            ipam_driver=ipam.get("driver") or "",
        )

    def external_network(self, name: str, called: str) -> NetworkSpec | None:
        if called == "none":
            text = "The network none cannot be used with services. Only networks scoped to the swarm can be used"
            self.tell(("networks", name), f"{text}, such as those created with the overlay driver; write another one")
        if called in (*_PREDEFINED, "ingress"):
            return None
        if called == _GATEWAY:
            text = f'network "{called}" is declared as external, but it is not in the right scope: "local"'
            self.tell(("networks", name), f'{text} instead of "swarm"; write a network of driver overlay')
        self.external["network"][called] = None
        self.warn(f"network {called} is external: taken to be there, an attachable overlay network")
        return NetworkSpec(called, attachable=True)

    # -- secrets and configs --
    def secrets(self) -> tuple[SecretSpec, ...]:
        """All that are declared, used or not; of external ones those that some service uses."""
        return tuple(
            SecretSpec(called, self.file_labels(words), data, self.secret_driver(words), self.templating(words))
            for called, words, data in self.files("secrets")
        )

    def configs(self) -> tuple[ConfigSpec, ...]:
        return tuple(
            ConfigSpec(called, self.file_labels(words), data, self.templating(words))
            for called, words, data in self.files("configs")
        )

    def file_labels(self, words: Body) -> dict[str, str]:
        return {} if words.get("external") else self.naming.labels(words.get("labels"))

    def secret_driver(self, words: Body) -> Driver | None:
        driver = words.get("driver")
        return Driver(driver, _sorted(words.get("driver_opts"))) if driver and not words.get("external") else None

    def templating(self, words: Body) -> Driver | None:
        driver = words.get("template_driver")
        return Driver(driver) if driver and not words.get("external") else None

    def files(self, section: str) -> list[tuple[str, Body, bytes]]:
        """Name, words and content of each secret or config that is there when the services are created."""
        declared: dict[str, Body] = getattr(self.config, section)
        noun, used = section.removesuffix("s"), self.used(section)
        found: dict[str, tuple[str, Body, bytes]] = {}
        for name, words in declared.items():
            called = str(words.get("name") or self.naming.scope(name))
            if words.get("external"):
                if name in used and called not in found:
                    self.external[noun][called] = None
                    self.warn(f"{noun} {called} is external: taken to be there")
                    found[called] = (called, words, STAND_IN)
                continue
            data = b"" if words.get("driver") else self.content(section, name, words)
            found.setdefault(called, (called, words, data))
        return list(found.values())

    def used(self, section: str) -> set[str]:
        """The secrets or configs that some service refers to."""
        bodies = self.config.services.values()
        found = {reference.get("source", "") for body in bodies for reference in body.get(section) or ()}
        if section == "configs":
            found |= {(body.get("credential_spec") or {}).get("config", "") for body in bodies}
        return found

    def content(self, section: str, name: str, words: Body) -> bytes:
        file: Path = words["base"] / str(words.get("file") or "")
        path = (section, name, "file")
        try:
            return env_file.read_side_file(file)
        except FileNotFoundError as error:
            if not self.stand_in:
                self.tell(path, f"{error}; {env_file.WRITE_INSTEAD}")
        except ValueError as error:
            self.tell(path, f"{error}; write file: and the path of a file")
        return STAND_IN


class _Service:
    """One service on its way to its spec."""

    def __init__(self, converter: Converter, name: str, words: Body) -> None:
        self.all = converter
        self.name = name
        self.words = words
        self.deploy: Body = words.get("deploy") or {}
        self.path: KeyPath = ("services", name)

    def wrong(self, text: str, *key: Any) -> None:
        """In the frame that the client puts around the errors of a service."""
        self.all.tell((*self.path, *key), f"service {self.name}: {text}")

    def wrong_item(self, words: Body, text: str) -> None:
        """The same for an item of a list, which knows where it stands."""
        source, path = words["at"]
        source.wrong(path, f"service {self.name}: {text}")

    def spec(self) -> ServiceSpec:
        labels = self.all.naming.labels(self.deploy.get("labels"))
        if self.deploy.get("mode") in ("replicated-job", "global-job") and "run" not in (self.words.get("x-sim") or {}):
            text = "is a job, and its containers do not end by themselves; write x-sim: {run: 10s}"
            self.all.warn(f"service {self.name} {text}")
        if self.all.naming.stack:
            labels = dict(sorted({**labels, IMAGE: self.words.get("image") or ""}.items()))
        return ServiceSpec(
            self.all.naming.scope(self.name),
            self.task(),
            self.mode(),
            labels,
            self.update("update_config"),
            self.update("rollback_config"),
            self.endpoint(),
        )

    def task(self) -> TaskSpec:
        logging = self.words.get("logging")
        driver = None
        if logging is not None:
            driver = Driver(logging.get("driver") or "", _sorted(logging.get("options")))
        placement = self.deploy.get("placement") or {}
        return TaskSpec(
            self.container(),
            self.resources(),
            self.restart(),
            Placement(
                tuple(placement.get("constraints") or ()),
                tuple(p.get("spread", "") for p in placement.get("preferences") or ()),
                placement.get("max_replicas_per_node") or 0,
            ),
            driver,
            self.networks(),
        )

    # -- the container --
    def container(self) -> ContainerSpec:
        words = self.words
        return ContainerSpec(
            self.image(),
            tuple(words.get("entrypoint") or ()),
            tuple(words.get("command") or ()),
            words.get("hostname") or "",
            tuple(sorted(n if v is None else f"{n}={v}" for n, v in (words.get("environment") or {}).items())),
            words.get("working_dir") or "",
            words.get("user") or "",
            self.all.naming.labels(words.get("labels")),
            self.mounts(),
            self.references("secrets"),
            self.references("configs"),
            self.healthcheck(),
            words.get("stop_grace_period"),
            words.get("stop_signal") or "",
            words.get("init"),
            words.get("isolation") or "",
            self.options(),
            ContainerBehaviour(**(words.get("x-sim") or {})),
        )

    def image(self) -> str:
        text = self.words.get("image") or ""
        try:
            return images.sent(text)
        except ValueError as error:
            # Not in the frame of the others: the client looks at all images first.
            instead = "is a variable in it unset?" if text and text[-1] in ":@/" else "write image: nginx:1.27"
            others = [name for name, words in self.all.config.services.items() if words.get("image")]
            if not text and difflib.get_close_matches(self.name, others, n=1):  # a slip in what lies over a stack
                instead += f", or did you mean {difflib.get_close_matches(self.name, others, n=1)[0]}?"
            self.all.tell((*self.path, "image"), f"invalid image reference for service {self.name}: {error}; {instead}")
            return text

    def options(self) -> dict[str, Any]:
        """What the control plane never reads, under Compose's own keys."""
        words = self.words
        found = {key: words[key] for key in ("tty", "stdin_open", "read_only") if words.get(key)}
        found |= {key: tuple(words[key]) for key in ("dns", "dns_search") if words.get(key)}
        hosts = [host.partition(":") for host in words.get("extra_hosts") or ()]
        # cli/compose/convert `convertExtraHosts`: a name alone is left out.
        found["extra_hosts"] = tuple(f"{_bare(address)} {name}" for name, colon, address in hosts if colon)
        found["sysctls"] = _sorted(words.get("sysctls"))
        found["ulimits"] = {name: dict(limit) for name, limit in sorted((words.get("ulimits") or {}).items())}
        found["cap_add"], found["cap_drop"] = _capabilities(words.get("cap_add") or [], words.get("cap_drop") or [])
        found["credential_spec"] = self.credentials()
        return {key: found[key] for key in sorted(found) if found[key]}

    def credentials(self) -> dict[str, str]:
        spec = {key: text for key, text in (self.words.get("credential_spec") or {}).items() if text}
        given = [key.capitalize() for key in ("config", "file", "registry") if key in spec]
        if len(given) > 1:
            names = (
                '"Config", "File", and "Registry"'
                if len(given) > 2
                else "both " + " and ".join(f'"{g}"' for g in given)
            )
            self.wrong(f"invalid credential spec: cannot specify {names}; write one of them", "credential_spec")
        elif "config" in spec and spec["config"] not in self.all.config.configs:
            self.wrong(f'undefined config "{spec["config"]}"; write it under configs:', "credential_spec", "config")
        elif "config" in spec:
            words = self.all.config.configs[spec["config"]]
            spec["config"] = str(words.get("name") or self.all.naming.scope(spec["config"]))
        return dict(sorted(spec.items()))

    def healthcheck(self) -> HealthConfig | None:
        words = self.words.get("healthcheck")
        if words is None:
            return None
        if words.get("disable"):
            if words.get("test"):
                self.wrong("test and disable can't be set at the same time; leave one of them out", "healthcheck")
            return HealthConfig(("NONE",))
        return HealthConfig(
            tuple(words.get("test") or ()),
            words.get("interval") or None,
            words.get("timeout") or None,
            words.get("start_period") or None,
            words.get("start_interval") or None,
            words.get("retries") or 0,
        )

    # -- volumes --
    def mounts(self) -> tuple[Mount, ...]:
        found = []
        for words in self.words.get("volumes") or ():
            try:
                found.append(self.mount(words))
            except ValueError as error:
                self.wrong_item(words, str(error))
        return tuple(found)

    def mount(self, words: Body) -> Mount:
        kind, source = words.get("type") or "volume", words.get("source") or ""
        options: dict[str, Any] = {}
        if kind not in _MOUNT_OPTIONS:
            raise ValueError("volume type must be volume, bind, tmpfs, npipe, or cluster; write type: volume")
        for other in ("tmpfs", "bind", "volume", "cluster"):
            if other in words and other not in _MOUNT_OPTIONS[kind]:
                raise ValueError(f"{other} options are incompatible with type {kind}; leave them out")
        if kind == "tmpfs":
            if source:
                raise ValueError("invalid tmpfs source, source must be empty; leave source out")
            options = _given(size=(words.get("tmpfs") or {}).get("size"))
        elif kind in ("bind", "npipe"):
            if not source:
                raise ValueError(f"invalid {kind} source, source cannot be empty; write source: …")
            options = _given(propagation=(words.get("bind") or {}).get("propagation"))
        elif source:
            return self.named_volume(kind, source, words)
        elif kind == "cluster":
            raise ValueError("invalid cluster source, source cannot be empty; write source: and a volume's name")
        return self.plain_mount(kind, source, words, options)

    def plain_mount(self, kind: str, source: str, words: Body, options: Mapping[str, Any], driver: str = "") -> Mount:
        return Mount(
            kind,
            words.get("target") or "",
            source,
            bool(words.get("read_only")),
            words.get("consistency") or "",
            driver,
            options,
        )

    def named_volume(self, kind: str, source: str, words: Body) -> Mount:
        """A volume of the top; the client never creates it, it only says how the agent shall."""
        own = words.get("volume") or {}
        options = _given(nocopy=own.get("nocopy"), subpath=own.get("subpath"))
        if kind == "cluster" and source.startswith("group:"):
            return self.plain_mount(kind, source, words, options)
        volume = self.all.config.volumes.get(source)
        if volume is None:
            raise ValueError(f'undefined volume "{source}"; write it under volumes: at the top')
        called = str(volume.get("name") or self.all.naming.scope(source))
        if volume.get("external") or kind == "cluster":
            return self.plain_mount(kind, called, words, options)
        options |= _given(
            labels=self.all.naming.labels(volume.get("labels")), driver_opts=_sorted(volume.get("driver_opts"))
        )
        return self.plain_mount(kind, called, words, options, volume.get("driver") or "")

    # -- secrets and configs --
    def references(self, section: str) -> tuple[FileReference, ...]:
        noun = section.removesuffix("s")
        declared: dict[str, Body] = getattr(self.all.config, section)
        found: list[FileReference] = []
        targets: dict[str, str] = {}
        for words in self.words.get(section) or ():
            source = words.get("source", "")
            if source not in declared:
                self.wrong_item(words, f'undefined {noun} "{source}"; write it under {section}: at the top')
                continue
            called = str(declared[source].get("name") or self.all.naming.scope(source))
            target = words.get("target") or source
            if target in targets:
                text = f"duplicate {noun} target for {called} not allowed; write another target:"
                self.wrong_item(words, text)
            targets[target] = called
            mode = words.get("mode", 0o444)
            found.append(FileReference(called, target, words.get("uid") or "0", words.get("gid") or "0", mode))
        return tuple(sorted(found, key=lambda reference: (reference.name, reference.target)))

    # -- deploy --
    def mode(self) -> ServiceMode:
        mode, replicas = self.deploy.get("mode") or "", self.deploy.get("replicas")
        if mode in ("global", "global-job"):
            if replicas is not None:
                text = "replicas can only be used with replicated or replicated-job mode; leave replicas out"
                self.wrong(text, "deploy", "replicas")
            return Global() if mode == "global" else GlobalJob()
        if mode == "replicated-job":
            return ReplicatedJob() if replicas is None else ReplicatedJob(replicas, replicas)
        if mode not in ("", "replicated"):
            text = f"Unknown mode: {mode}; write replicated, global, replicated-job or global-job"
            self.wrong(text, "deploy", "mode")
        return Replicated() if replicas is None else Replicated(replicas)

    def resources(self) -> ResourceRequirements:
        words = self.deploy.get("resources") or {}
        generic = (words.get("reservations") or {}).get("generic_resources") or ()
        kinds = tuple(GenericResource(r["kind"], r["value"]) for r in generic)
        return ResourceRequirements(
            self.amounts(words.get("limits") or {}, "limits", ()),
            self.amounts(words.get("reservations") or {}, "reservations", kinds),
        )

    def amounts(self, words: Body, which: str, generic: tuple[GenericResource, ...]) -> Resources:
        cpus = 0
        if words.get("cpus"):
            try:
                cpus = units.nano_cpus(words["cpus"])
            except ValueError as error:
                self.wrong(f'{error}; write "0.5"', "deploy", "resources", which, "cpus")
        return Resources(cpus, words.get("memory") or 0, generic, words.get("pids") or 0)

    def restart(self) -> RestartPolicy | None:
        words = self.deploy.get("restart_policy")
        if words is None:
            return self.restart_of_compose(self.words.get("restart") or "")
        condition = words.get("condition") or "any"
        if condition not in _CONDITIONS:
            text = f'invalid RestartCondition: "{condition}"; write none, on-failure or any'
            self.wrong(text, "deploy", "restart_policy", "condition")
        return RestartPolicy(
            _CONDITIONS.get(condition, RestartCondition.ANY),
            words.get("delay"),
            words.get("max_attempts") or 0,
            words.get("window"),
        )

    def restart_of_compose(self, text: str) -> RestartPolicy | None:
        """`restart:` is announced as ignored, and is not: it counts where there is no restart_policy."""
        name, colon, count = text.partition(":")
        attempts = 0
        if colon and not name:
            self.wrong("invalid restart policy format: no policy provided before colon; write on-failure:3", "restart")
        elif count:
            try:
                attempts = units.parse_int(count) % (1 << 64)
            except ValueError:
                text = "invalid restart policy format: maximum retry count must be an integer; write on-failure:3"
                self.wrong(text, "restart")
        if name in ("", "no"):
            return None
        if name in ("always", "unless-stopped"):
            return RestartPolicy(RestartCondition.ANY)
        if name != "on-failure":
            self.wrong(f"unknown restart policy: {name}; write on-failure, or deploy.restart_policy", "restart")
        return RestartPolicy(RestartCondition.ON_FAILURE, max_attempts=attempts)

    def update(self, which: str) -> UpdateConfig | None:
        words = self.deploy.get(which)
        if words is None:
            return None
        action, parallelism = words.get("failure_action") or "pause", words.get("parallelism")
        if action not in _ACTIONS:
            text = f"unrecognized update failure action {action}; write pause, continue or rollback"
            self.wrong(text, "deploy", which, "failure_action")
        return UpdateConfig(
            1 if parallelism is None else parallelism,
            words.get("delay") or 0,
            _ACTIONS.get(action, FailureAction.PAUSE),
            words.get("monitor") or None,
            words.get("max_failure_ratio") or 0.0,
            UpdateOrder.START_FIRST if words.get("order") == "start-first" else UpdateOrder.STOP_FIRST,
        )

    # -- networks and ports --
    def networks(self) -> tuple[NetworkAttachmentConfig, ...]:
        found = []
        words = self.words.get("networks") or {}
        for name in self.all.attached(self.words):
            body = words.get(name) or {}
            if name != "default" and name not in self.all.config.networks:
                self.wrong(f'undefined network "{name}"; write it under networks: at the top', "networks")
                continue
            target = self.all.network_name(name)
            found.append(NetworkAttachmentConfig(target, self.aliases(target, body), _sorted(body.get("driver_opts"))))
        return tuple(sorted(found, key=lambda attachment: attachment.target))

    def aliases(self, target: str, body: Body) -> tuple[str, ...]:
        """The user's, then the service's bare name; a scenario's services are called so already."""
        own = [self.name] if self.all.naming.stack and target not in _PREDEFINED else []
        return (*(body.get("aliases") or ()), *own)

    def endpoint(self) -> EndpointSpec:
        mode = (self.deploy.get("endpoint_mode") or "vip").lower()
        if mode not in ("vip", "dnsrr"):
            self.wrong(f'invalid resolution mode: "{mode}"; write vip or dnsrr', "deploy", "endpoint_mode")
        ports = [self.port(port) for port in self.words.get("ports") or ()]
        resolution = ResolutionMode.DNSRR if mode == "dnsrr" else ResolutionMode.VIP
        return EndpointSpec(resolution, tuple(sorted(ports, key=lambda port: port.published_port)))

    def port(self, words: Body) -> PortConfig:
        protocol, mode = (words.get("protocol") or "tcp").lower(), (words.get("mode") or "ingress").lower()
        if protocol not in ("tcp", "udp", "sctp"):
            self.wrong_item(words, f'invalid protocol "{protocol}" of a port; write tcp, udp or sctp')
        if mode not in ("ingress", "host"):
            self.wrong_item(words, f'invalid mode "{mode}" of a port; write ingress or host')
        publish = PublishMode.HOST if mode == "host" else PublishMode.INGRESS
        return PortConfig("", protocol, words.get("target") or 0, words.get("published") or 0, publish)


#: Which options a mount of each type may have.
_MOUNT_OPTIONS: dict[str, tuple[str, ...]] = {
    "volume": ("volume",),
    "bind": ("bind",),
    "tmpfs": ("tmpfs",),
    "npipe": ("bind",),
    "cluster": ("cluster",),
}
_CONDITIONS = {
    "none": RestartCondition.NONE,
    "on-failure": RestartCondition.ON_FAILURE,
    "any": RestartCondition.ANY,
}
_ACTIONS = {
    "pause": FailureAction.PAUSE,
    "continue": FailureAction.CONTINUE,
    "rollback": FailureAction.ROLLBACK,
}


def _sorted(words: Mapping[str, str] | None) -> dict[str, str]:
    return dict(sorted((words or {}).items()))


def _bare(address: str) -> str:
    """Without the brackets of an IPv6 address."""
    return address[1:-1] if len(address) > 2 and address.startswith("[") and address.endswith("]") else address


def _given(**options: Any) -> dict[str, Any]:
    """Options that were given, sorted."""
    return {key: options[key] for key in sorted(options) if options[key]}


def _capabilities(add: list[str], drop: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """With their prefix, sorted (docker/cli opts/capabilities.go).

    ALL stands for all others, RESET for nothing, and adding wins.
    """
    added, dropped = ({_capability(text) for text in texts} for texts in (add, drop))
    added, dropped = added - {"RESET"}, dropped - {"RESET"}
    added = {"ALL"} if "ALL" in added else added
    dropped = {"ALL"} if "ALL" in dropped else dropped
    return tuple(sorted(added)), tuple(sorted(dropped - added))


def _capability(text: str) -> str:
    name = text.strip().upper()
    return name if name in ("ALL", "RESET") or name.startswith("CAP_") else f"CAP_{name}"
