"""Networks, secrets, configs and the cluster over the control API (SwarmKit manager/controlapi)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from swarmsim.api.messages import (
    CreateConfig,
    CreateNetwork,
    CreateSecret,
    ListObjects,
    RemoveConfig,
    RemoveNetwork,
    RemoveSecret,
    UpdateCluster,
    UpdateConfig,
    UpdateSecret,
)
from swarmsim.api.objects import EncryptionKey, Network, NetworkAttachment, NodeDescription, Service
from swarmsim.api.specs import (
    ClusterSpec,
    ConfigSpec,
    ContainerSpec,
    Driver,
    FileReference,
    IpamConfig,
    NetworkAttachmentConfig,
    NetworkSpec,
    SecretSpec,
    TaskSpec,
)
from swarmsim.api.states import TaskState
from swarmsim.errors import ApiError
from swarmsim.manager.controlapi.networks import check_ipam
from swarmsim.manager.validation import PREDEFINED

from .world import SECOND, World, container, node, port, publishing, spec, task

S = TaskState
INVALID = ("InvalidArgument", "invalid argument")


@pytest.fixture
def world() -> World:
    return World()


# ---- networks -------------------------------------------------------------------------------------------------------


def test_a_network_is_created_and_removed(world: World) -> None:
    network = world.ask(CreateNetwork(NetworkSpec("net")))
    world.ask(RemoveNetwork(network.id))

    assert world.refused(RemoveNetwork(network.id)) == ("NotFound", f"network {network.id} not found")
    assert world.refused(RemoveNetwork("")) == INVALID


def test_network_names_and_flags(world: World) -> None:
    """network.go `validateNetworkSpec`."""
    attachable = ("InvalidArgument", "ingress network cannot be attachable")
    label = f"label {PREDEFINED} is for internally created predefined networks and cannot be applied by users"

    assert world.refused(CreateNetwork(NetworkSpec(""))) == ("InvalidArgument", "meta: name must be provided")
    assert world.refused(CreateNetwork(NetworkSpec("a", ingress=True, attachable=True))) == attachable
    assert world.refused(CreateNetwork(NetworkSpec("a", {PREDEFINED: "true"}))) == ("PermissionDenied", label)
    taken = ("Unknown", "name conflicts with an existing object")
    assert world.refused(CreateNetwork(NetworkSpec("Ingress"))) == taken


def test_there_is_one_ingress_network(world: World) -> None:
    (ingress,) = world.store.networks.values()

    text = f"ingress network ({ingress.id}) is already present"
    assert world.refused(CreateNetwork(NetworkSpec("other", ingress=True))) == ("AlreadyExists", text)


def ipam(subnet: str = "192.168.0.0/16", range: str = "", gateway: str = "") -> str:
    try:
        check_ipam(IpamConfig(subnet, range, gateway))
    except ApiError as error:
        assert error.code == "InvalidArgument"
        return error.text.removeprefix("ipam configuration: ")
    return ""


def test_address_configurations() -> None:
    """C-182 TestValidateIPAMConfiguration."""
    with pytest.raises(ApiError, match="ipam configuration: cannot be empty"):
        check_ipam(None)
    for bad in ("", "bad", "192.168.0.0", "192.168.0.0/33", "192.168.0.0/255.255.0.0"):
        assert ipam(bad) == f"invalid subnet {bad}"
    assert ipam(range="bad") == "invalid range bad"
    assert ipam(range="192.169.1.0/24") == "subnet 192.168.0.0/16 does not contain range 192.169.1.0/24"
    assert ipam(range="192.168.1.0/24") == ""
    assert ipam(gateway="bad") == "invalid gateway bad"
    assert ipam(gateway="192.169.1.1") == "subnet 192.168.0.0/16 does not contain gateway 192.169.1.1"
    assert ipam(gateway="192.168.1.1") == ""
    assert ipam("fd00::/64", gateway="fd00::1") == ""


def test_a_bad_address_configuration_refuses_the_network(world: World) -> None:
    bad = NetworkSpec("net", ipam=(IpamConfig("10.1.0.0/24"), IpamConfig("nonsense")))

    assert world.refused(CreateNetwork(bad)) == ("InvalidArgument", "ipam configuration: invalid subnet nonsense")


def test_a_predefined_network_stays(world: World) -> None:
    world.manager.create(Network("n1", NetworkSpec("bridge", {PREDEFINED: "true"}, "bridge"), predefined=True))

    text = "network n1 (bridge) is a swarm predefined network and cannot be removed"
    assert world.refused(RemoveNetwork("bridge")) == ("FailedPrecondition", text)


def test_a_network_in_use_stays(world: World) -> None:
    """By a service that names it (by name or id), or by a task that runs, also when its service is gone."""
    world.manager.create(Network("n1", NetworkSpec("net")))
    attached = TaskSpec(ContainerSpec("busybox"), networks=(NetworkAttachmentConfig("net"),))
    service = world.create(spec(task=attached))
    world.manager.create(task("t1", S.RUNNING, networks=(NetworkAttachment("n1"),)))

    in_service = f"network n1 is in use by service {service.id}"
    assert world.refused(RemoveNetwork("n1")) == ("FailedPrecondition", in_service)
    world.manager.delete(service)
    assert world.refused(RemoveNetwork("n1")) == ("FailedPrecondition", "network n1 is in use by task t1")


@pytest.mark.parametrize("fields", [{"desired": S.SHUTDOWN}, {"state": S.FAILED}])
def test_a_task_that_is_over_or_shall_be_holds_no_network(world: World, fields: dict[str, Any]) -> None:
    """Only desired and observed states up to RUNNING count."""
    state = fields.pop("state", S.RUNNING)
    world.manager.create(Network("n1", NetworkSpec("net")))
    world.manager.create(task("t1", state, networks=(NetworkAttachment("n1"),), **fields))

    world.ask(RemoveNetwork("n1"))


def test_ingress_stays_while_a_service_depends_on_it(world: World) -> None:
    service = world.create(publishing("web", port(80)))
    text = f"ingress network cannot be removed because service {service.id} depends on it"

    assert world.refused(RemoveNetwork("ingress")) == ("FailedPrecondition", text)
    world.manager.delete(service)
    world.ask(RemoveNetwork("ingress"))


# ---- secrets and configs --------------------------------------------------------------------------------------------

KINDS = {
    "secret": (SecretSpec, CreateSecret, UpdateSecret, RemoveSecret, 500 * 1024),
    "config": (ConfigSpec, CreateConfig, UpdateConfig, RemoveConfig, 1000 * 1024),
}
BAD_NAMES = [
    "-a", "_a", ".a", "a-", "a_", "a.", "a/b", "a b", "a&b", "ä", "a" * 65, "/", "a\n", "ab?", "a,b", "a:b", "a;b",
    "a+b", "a@b", "a#b", "(a)",
]  # fmt: skip


class File:
    """One of the two kinds, with its requests."""

    def __init__(self, word: str) -> None:
        self.word = word
        self.spec: Any
        self.create: Any
        self.update: Any
        self.remove: Any
        self.spec, self.create, self.update, self.remove, self.limit = KINDS[word]

    def using(self, *names: str) -> TaskSpec:
        return container(**{f"{self.word}s": tuple(FileReference(n, n) for n in names)})


@pytest.fixture(params=["secret", "config"])
def file(request: Any) -> File:
    return File(request.param)


def test_a_file_has_a_name_and_data(world: World, file: File) -> None:
    """C-179 TestValidateSecretSpec, C-181 TestValidateConfigSpec."""
    invalid = (
        "InvalidArgument",
        "invalid name, only 64 [a-zA-Z0-9-_.] characters allowed, and the start and end character must be [a-zA-Z0-9]",
    )
    assert world.refused(file.create(None)) == INVALID
    assert world.refused(file.create(file.spec("", data=b"1"))) == ("InvalidArgument", "name must be provided")
    for name in BAD_NAMES:
        assert world.refused(file.create(file.spec(name, data=b"1"))) == invalid, name
    for name in ("a", "a" * 64, "a-b_c.d", "0"):
        world.ask(file.create(file.spec(name, data=b"1")))


def test_a_file_is_neither_empty_nor_too_big(world: World, file: File) -> None:
    """C-179, C-181: 1 byte is enough, the limit itself is too much."""
    text = f"{file.word} data must be larger than 0 and less than {file.limit} bytes"
    for size in (0, file.limit):
        assert world.refused(file.create(file.spec("f", data=b"x" * size))) == ("InvalidArgument", text)
    world.ask(file.create(file.spec("f", data=b"x" * (file.limit - 1))))


def test_a_secret_of_a_driver_needs_no_data(world: World) -> None:
    """C-179: but the driver needs a name."""
    nameless = SecretSpec("s", driver=Driver(""))

    assert world.refused(CreateSecret(nameless)) == ("InvalidArgument", "secret driver must have a name")
    world.ask(CreateSecret(SecretSpec("s", driver=Driver("vault"))))


def test_a_files_name_is_taken_once(world: World, file: File) -> None:
    world.ask(file.create(file.spec("f", data=b"1")))

    assert world.refused(file.create(file.spec("F", data=b"1"))) == ("AlreadyExists", f"{file.word} F already exists")


def stored(world: World, id: str) -> Any:
    return world.store.secrets.get(id) or world.store.configs[id]


def test_only_labels_of_a_file_may_change(world: World, file: File) -> None:
    """What `docker stack deploy` says when a file's content has changed."""
    made = world.ask(file.create(file.spec("f", {"a": "1"}, b"1")))
    only_labels = ("InvalidArgument", "only updates to Labels are allowed")

    assert world.refused(file.update(made.id, made.version, file.spec("g", data=b"1"))) == only_labels
    assert world.refused(file.update(made.id, made.version, file.spec("f", data=b"2"))) == only_labels
    updated = world.ask(file.update(made.id, made.version, file.spec("f", {"b": "2"})))
    assert updated.spec.labels == {"b": "2"}
    assert stored(world, made.id).spec.data == b"1"
    stale = file.update(made.id, made.version, file.spec("f", data=b"1"))
    assert world.refused(stale) == ("Unknown", "update out of sequence")
    assert world.refused(file.update("", 1, made.spec)) == INVALID
    assert world.refused(file.update(made.id, None, made.spec)) == INVALID
    assert world.refused(file.update("x", 1, made.spec)) == ("NotFound", f"{file.word} x not found")


def test_a_file_in_use_stays(world: World, file: File) -> None:
    """C-181 TestRemoveUsedConfig, and so for secrets: the services are named."""
    made = world.ask(file.create(file.spec("f", data=b"1")))
    services = [world.create(spec(name, file.using("f"))) for name in ("one", "two")]

    text = f"{file.word} 'f' is in use by the following services: one, two"
    assert world.refused(file.remove(made.id)) == ("InvalidArgument", text)
    world.manager.delete(services[0])
    text = f"{file.word} 'f' is in use by the following service: two"
    assert world.refused(file.remove(made.id)) == ("InvalidArgument", text)
    world.manager.delete(services[1])
    world.ask(file.remove(made.id))
    assert world.refused(file.remove(made.id)) == ("NotFound", f"{file.word} {made.id} not found")
    assert world.refused(file.remove("")) == ("InvalidArgument", f"{file.word} ID must be provided")


def test_a_secrets_data_never_leaves(world: World) -> None:
    """A config's does."""
    world.ask(CreateSecret(SecretSpec("s", data=b"hush")))
    world.ask(CreateConfig(ConfigSpec("c", data=b"loud")))

    assert [s.spec.data for s in world.ask(ListObjects("secret"))] == [b""]
    assert [c.spec.data for c in world.ask(ListObjects("config"))] == [b"loud"]


# ---- the cluster ----------------------------------------------------------------------------------------------------


def update(world: World, **fields: Any) -> UpdateCluster:
    """`docker swarm update`: settings, and what shall be rotated."""
    cluster = world.store.cluster
    assert cluster is not None
    rotate = {name: fields.pop(name) for name in list(fields) if name.startswith("rotate_")}
    return UpdateCluster(cluster.version, replace(cluster.spec, **fields), **rotate)


def cluster_of(world: World) -> Any:
    return world.store.cluster


def test_what_a_cluster_may_be(world: World) -> None:
    """C-173 TestValidateClusterSpec."""
    minute = 60 * SECOND
    expiry = ("InvalidArgument", "minimum certificate expiry time is: 1h0m0s")
    beat = ("InvalidArgument", "heartbeat time period cannot be a negative duration")
    name = ("InvalidArgument", "modification of cluster name is not allowed")

    assert world.refused(UpdateCluster(1, None)) == INVALID
    assert world.refused(UpdateCluster(None, ClusterSpec())) == INVALID
    assert world.refused(update(world, node_cert_expiry=29 * minute)) == expiry
    assert world.refused(update(world, heartbeat_period=-29 * minute)) == beat
    for wrong in ("", "blah"):
        assert world.refused(update(world, name=wrong)) == name


def test_a_cluster_is_updated_in_sequence(world: World) -> None:
    first = update(world, task_history_limit=7)
    world.ask(first)

    assert cluster_of(world).spec.task_history_limit == 7
    assert world.refused(first) == ("Unknown", "update out of sequence")


def test_join_tokens_are_rotated_one_by_one(world: World) -> None:
    """The digest stays, the secret changes."""
    before = cluster_of(world)
    world.ask(update(world, rotate_worker_token=True))
    middle = cluster_of(world)
    world.ask(update(world, rotate_manager_token=True))
    after = cluster_of(world)

    assert before.join_token_worker != middle.join_token_worker == after.join_token_worker
    assert before.join_token_manager == middle.join_token_manager != after.join_token_manager
    assert middle.join_token_worker.startswith("SWMTKN-1-d-")


def test_the_unlock_key(world: World) -> None:
    """C-175 TestUpdateClusterRotateUnlockKey."""
    keys = []
    for fields in (
        {"rotate_unlock_key": True},
        {"autolock": True},
        {"rotate_unlock_key": True},
        {},
        {"autolock": False, "rotate_unlock_key": True},
    ):
        world.ask(update(world, **fields))
        keys.append(cluster_of(world).unlock_key)

    off, on, rotated, same, gone = keys
    assert off == gone == ""
    assert on and rotated and on != rotated
    assert rotated == same


def test_keys_never_leave(world: World) -> None:
    """C-175: neither in listings nor in answers."""
    world.manager.write(cluster_of(world).evolve(network_keys=(EncryptionKey("gossip", 1, "k"),)))
    answer = world.ask(update(world, autolock=True))

    for shown in (answer, *world.ask(ListObjects("cluster"))):
        assert (shown.unlock_key, shown.network_keys) == ("", ())
    assert cluster_of(world).unlock_key
    assert cluster_of(world).network_keys


def test_lists_are_whole_and_in_the_order_of_ids(world: World) -> None:
    """memory.go `find`, `All`: the index of ids is walked."""
    made = [world.create(spec(name)) for name in ("one", "two", "three")]

    listed = [s.id for s in world.ask(ListObjects("service")) if isinstance(s, Service)]
    assert listed == sorted(s.id for s in made)


def test_lists_are_filtered(world: World) -> None:
    """service.go `ListServices`; names are compared letter by letter."""
    made = {name: world.create(spec(name)) for name in ("web", "Webby", "db")}

    def listed(**filters: tuple[str, ...]) -> set[str]:
        return {s.name for s in world.ask(ListObjects("service", **filters))}

    assert listed(names=("web", "nobody")) == {"web"}
    assert listed(names=("WEB",)) == set()
    assert listed(name_prefixes=("We", "d")) == {"Webby", "db"}
    assert listed(id_prefixes=(made["db"].id[:6],)) == {"db"}
    assert listed(names=("db",), name_prefixes=("web",)) == set()


def test_nodes_are_listed_by_their_hostnames(world: World) -> None:
    """nodes.go: a node's name in the index is its hostname."""
    world.manager.create(node("abc").evolve(description=NodeDescription("w1")))

    assert [n.id for n in world.ask(ListObjects("node", name_prefixes=("w",)))] == ["abc"]


def test_the_answer_to_a_change_of_a_secret_has_no_data(world: World) -> None:
    """secret.go: "we should never return the actual secret data"; a config's is no secret."""
    secret = world.ask(CreateSecret(SecretSpec("s", data=b"1")))
    config = world.ask(CreateConfig(ConfigSpec("c", data=b"1")))
    updated = world.ask(UpdateSecret(secret.id, secret.version, SecretSpec("s", {"a": "b"})))

    assert (secret.spec.data, updated.spec.data, config.spec.data) == (b"", b"", b"1")
    assert stored(world, secret.id).spec.data == b"1"


@pytest.mark.parametrize("driver", ["", "bridge", "host", "ipvlan", "macvlan", "overlay"])
def test_a_network_has_a_known_driver(world: World, driver: str) -> None:
    """cnmallocator `ValidateNetworkDriver`: these are built in; none means overlay."""
    assert world.ask(CreateNetwork(NetworkSpec("net", driver=driver))).spec.driver == driver


@pytest.mark.parametrize("driver", ["invalid-must-never-exist", "null"])
def test_a_driver_that_nobody_knows_is_refused(world: World, driver: str) -> None:
    """C-049 TestManager."""
    text = f"error during lookup of plugin {driver}"
    assert world.refused(CreateNetwork(NetworkSpec("net", driver=driver))) == ("InvalidArgument", text)


def test_a_managers_plugin_may_be_a_networks_driver(world: World) -> None:
    plugins = (("Network", "weave"), ("Log", "mine"))
    world.manager.create(node("m1").evolve(description=NodeDescription("m1", plugins=plugins)))

    world.ask(CreateNetwork(NetworkSpec("net", driver="weave")))
    assert world.refused(CreateNetwork(NetworkSpec("other", driver="mine")))[0] == "InvalidArgument"
