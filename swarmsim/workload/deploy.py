"""`deploy`: as `docker stack deploy -c FILE STACK`, for the first time or again (SCENARIOS.md section 6).

docker/cli cli/command/stack/swarm/deploy_composefile.go, in its order: is the engine a manager's; prune; networks that
are external are looked for; networks that the stack lacks are made; secrets, then configs, are updated where there is
one of the name and made where not; services are updated, every one of them, or made. One request after the other, each
awaited; the first that is refused ends it, and nothing is undone. What the manager makes of an update that changes
nothing is the orchestrator's to say: no task is touched.

Departures: services come in file order (Docker's is random). There is no registry to ask for digests: who asks is told
so, as Docker's client tells it. `resolve_image` says when one is asked, and whether a service whose image has the text
of the last deploy keeps the image that it runs by now (`changed`, `never`), or gets the file's again (`always`).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, StrictBool, WithJsonSchema

from ..api.messages import (
    CreateConfig,
    CreateNetwork,
    CreateSecret,
    CreateService,
    GetConfig,
    GetNetwork,
    GetSecret,
    ListObjects,
    RemoveService,
    UpdateConfig,
    UpdateSecret,
    UpdateService,
)
from ..api.objects import Service
from ..api.specs import ServiceSpec
from ..errors import ApiError
from ..trace.events import ClientSaid
from .base import Asking, Order, Step, call

if TYPE_CHECKING:
    from ..cluster import Cluster

#: Which stack a thing belongs to, and the image of a service as its file says it (cli/compose/convert).
NAMESPACE = "com.docker.stack.namespace"
IMAGE = "com.docker.stack.image"

NO_MANAGER = (
    'this node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm '
    "and try again"
)
#: client/service_update.go, `digestWarning`.
NO_DIGEST = (
    "image {image} could not be accessed on a registry to record\n"
    "its digest. Each node will access {image} independently,\n"
    "possibly leading to different nodes running different\nversions of the image.\n"
)
RESOLVE = ("always", "changed", "never")


class ClientError(ApiError):
    """What Docker's client says by itself: no status of gRPC."""

    def __init__(self, text: str) -> None:
        super().__init__("Unknown", text)
        self.args = (text,)


def daemon_said(error: ApiError) -> str:
    """An engine's refusal as its client shows it; that there is no engine the client says itself."""
    return error.text if error.code == "Unavailable" else f"Error response from daemon: {error}"


def files(value: Any) -> list[str]:
    """One file, or several that lie over one another."""
    found = value if isinstance(value, list | tuple) else [value]
    if not found or not all(isinstance(file, str) and file for file in found):
        raise ValueError(f"`{value}` is no stack file; write shop.yml, or [shop.yml, shop.override.yml]")
    return list(found)


def resolve_image(value: Any) -> str:
    """cli/command/stack/options: the flag's values, and what the client says of others."""
    if value not in RESOLVE:
        raise ValueError(f"Invalid option {value} for flag --resolve-image; write {', '.join(RESOLVE)}")
    return str(value)


def variables(value: Any) -> dict[str, str]:
    """Of the client's environment, for this deploy."""
    if not isinstance(value, dict) or any(isinstance(item, dict | list) for item in value.values()):
        raise ValueError("variables are a mapping of texts; write env: {TAG: '1.28'}")
    return {str(key): _plain(item) for key, item in value.items()}


def _plain(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


_FILES = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
Files = Annotated[list[str], BeforeValidator(files), WithJsonSchema(_FILES)]
Resolve = Annotated[str, BeforeValidator(resolve_image), WithJsonSchema({"enum": list(RESOLVE)})]
Variables = Annotated[dict[str, str], BeforeValidator(variables), WithJsonSchema({"type": "object"})]
StackName = Annotated[Any, WithJsonSchema({"type": "string", "description": "a stack's name"})]


class Deploy(Step):
    """A stack file is deployed, for the first time or again: what changed is updated, what is new is made."""

    verb: ClassVar[str] = "deploy"
    aims: ClassVar[dict[str, str]] = {"deploy": "stack"}

    deploy: Files
    stack: StackName = None  # the stack's name; default: that of the scenario's own
    env: Variables = Field(default_factory=dict)
    stand_in: StrictBool = False
    prune: StrictBool = False
    resolve_image: Resolve = "always"

    def detail(self, order: Order) -> str:
        flags = ["prune"] * self.prune
        flags += [f"resolve-image {self.resolve_image}"] if self.resolve_image != "always" else []
        return ", ".join([" + ".join(self.deploy), *flags])

    def ask(self, cluster: Cluster, order: Order) -> Asking:
        client = Client(cluster, order)
        client.check_manager()
        stack = order.book.deploys[order.entry]
        if self.prune:
            yield from self._prune(client, stack)
        yield from _external_networks(client, stack)
        yield from _networks(client, stack)
        yield from _files(client, stack, "secret", GetSecret, UpdateSecret, CreateSecret)
        yield from _files(client, stack, "config", GetConfig, UpdateConfig, CreateConfig)
        yield from _references(client, stack)
        order.book.deployed(stack)
        yield from self._services(client, stack)

    def _prune(self, client: Client, stack: Any) -> Asking:
        """Services of the stack that its file has no more; what goes wrong with one is said, and no error."""
        kept = {spec.name for spec in stack.services}
        there = yield from client.of_stack("service")
        yield from remove_all(client, "service", [s for s in there if s.name not in kept])

    def _services(self, client: Client, stack: Any) -> Asking:
        there = {service.name: service for service in (yield from client.of_stack("service"))}
        for spec in stack.services:
            service = there.get(spec.name)
            if service is None:
                client.say(f"Creating service {spec.name}", "service", spec.name)
                yield from client.must(f"failed to create service {spec.name}", CreateService(spec))
                continue
            client.say(f"Updating service {spec.name} (id: {service.id})", "service", spec.name)
            wanted = self.wanted(service, spec)
            request = UpdateService(service.id, service.version, wanted)
            yield from client.must(f"failed to update service {spec.name}", request)
            if self.asks_registry(service, spec):
                image = wanted.task.container.image
                client.say(NO_DIGEST.format(image=image), "image", image)

    def asks_registry(self, service: Service, spec: ServiceSpec) -> bool:
        """For the digest of the image (`QueryRegistry`); what comes of it at a creation the client does not show."""
        return self.resolve_image == "always" or (self.resolve_image == "changed" and not same_text(service, spec))

    def wanted(self, service: Service, spec: ServiceSpec) -> ServiceSpec:
        """What the client sends: the file's words, with what is not the file's to say taken from what runs.

        `docker service update --force` is remembered, so that it is not undone. Where the registry is not asked
        because the text of the image is that of the last deploy, the image of the running spec stays.
        """
        container = spec.task.container
        if same_text(service, spec) and self.resolve_image != "always":
            container = replace(container, image=service.spec.task.container.image)
        return replace(spec, task=replace(spec.task, container=container, force_update=service.spec.task.force_update))


def same_text(service: Service, spec: ServiceSpec) -> bool:
    """Does the file say the image as it did at the last deploy?"""
    return service.spec.labels.get(IMAGE, "") == spec.labels.get(IMAGE)


class Client:
    """Docker's client during one command on one stack: what it asks, and what it prints meanwhile."""

    def __init__(self, cluster: Cluster, order: Order) -> None:
        self.cluster = cluster
        self.order = order
        self.stack = order.targets[0]

    def say(self, text: str, kind: str = "", name: str = "") -> None:
        """A line of its output. `kind` and `name`: what it is about to make, change or remove."""
        said = ClientSaid(self.order.entry, text, kind, name)
        self.cluster.trace.record(said, int(self.cluster.env.now), self.order.cause)

    def check_manager(self) -> None:
        """The engine's own word, for which it asks nobody (`checkDaemonIsSwarmManager`)."""
        via = self.order.via
        if via is not None and self.cluster.hosts[via].up and via not in self.cluster.managers:
            raise ClientError(NO_MANAGER)

    def ask(self, request: Any) -> Asking:
        return (yield from call(self.cluster, self.order, request))

    def must(self, frame: str, request: Any) -> Asking:
        """Its refusal ends the command, in the client's words."""
        try:
            return (yield from self.ask(request))
        except ApiError as error:
            said = daemon_said(error)
            raise ClientError(f"{frame}: {said}" if frame else said) from None

    def look(self, request: Any) -> Asking:
        """None where there is no such thing."""
        try:
            return (yield from self.ask(request))
        except ApiError as error:
            if error.code == "NotFound":
                return None
            raise ClientError(daemon_said(error)) from None

    def of_stack(self, kind: str) -> Generator[Any, Any, list[Any]]:
        """All of that kind that have the stack's label."""
        request = ListObjects(kind, labels=((NAMESPACE, self.stack),))
        return list((yield from self.must("", request)))


def remove_all(client: Client, kind: str, objects: Iterable[Any], request: Any = RemoveService) -> Asking:
    """One after the other, by name for services; gives whether any could not be removed."""
    failed = False
    for obj in sorted(objects, key=lambda o: o.name) if kind == "service" else objects:
        client.say(f"Removing {kind} {obj.name}", kind, obj.name)
        try:
            yield from client.ask(request(obj.id))
        except ApiError as error:
            failed = True
            client.say(f"Failed to remove {kind} {obj.id}: {daemon_said(error)}")
    return failed


# ---- what services need, before them -----------------------------------------------------------------------


def _external_networks(client: Client, stack: Any) -> Asking:
    for name in stack.external["network"]:
        if (yield from client.look(GetNetwork(name))) is None:
            raise ClientError(
                f'network "{name}" is declared as external, but could not be found. '
                "You need to create a swarm-scoped network before the stack is deployed"
            )


def _networks(client: Client, stack: Any) -> Asking:
    """Those that the stack has are left as they are, whatever the file says of them by now."""
    there = {network.name for network in (yield from client.of_stack("network"))}
    for spec in stack.networks:
        if spec.name in there or spec.name in stack.external["network"]:
            continue
        client.say(f"Creating network {spec.name}", "network", spec.name)
        if (yield from client.look(GetNetwork(spec.name))) is not None:  # the engine's look, and its word for it
            taken = f"network with name {spec.name} already exists"
            raise ClientError(f"failed to create network {spec.name}: Error response from daemon: {taken}")
        yield from client.must(f"failed to create network {spec.name}", CreateNetwork(spec))


def _files(client: Client, stack: Any, kind: str, get: Any, update: Any, create: Any) -> Asking:
    """Secrets or configs. One that is there is updated, be it another stack's: only its labels may change."""
    for spec in stack.secrets if kind == "secret" else stack.configs:
        if spec.name in stack.external[kind]:
            continue
        known = yield from client.look(get(spec.name))
        if known is not None:
            request = update(known.id, known.version, spec)
            yield from client.must(f"failed to update {kind} {spec.name}", request)
        else:
            client.say(f"Creating {kind} {spec.name}", kind, spec.name)
            yield from client.must(f"failed to create {kind} {spec.name}", create(spec))


def _references(client: Client, stack: Any) -> Asking:
    """What services refer to must be there by now; only what is external can be missing (`ParseSecrets`)."""
    for spec in stack.services:
        container = spec.task.container
        for kind, get, references in (
            ("secret", GetSecret, container.secrets),
            ("config", GetConfig, container.configs),
        ):
            for reference in references:
                if reference.name in stack.external[kind] and (yield from client.look(get(reference.name))) is None:
                    raise ClientError(f"service {stack.short(spec.name)}: {kind} not found: {reference.name}")
