"""`deploy` and `remove_stack`: what Docker's client does with a stack that is there already (S-050).

On the real machine, and line by line as the real client 28.2.2 printed it for the same files (compose/real_stack.py).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import swarmsim
from swarmsim.api.objects import Config, Network, Secret, Service
from swarmsim.api.states import TaskState
from swarmsim.errors import ScenarioError
from swarmsim.trace.events import ClientSaid, ContainerStarted, StepAnswered
from tests.compose.real_stack import AGAIN, COMMANDS, FILES, FIRST, SECOND

CLUSTER = {"managers": 1, "workers": 1}
QUICK = {"pull": "100ms", "start": "100ms", "stop": "100ms"}


def run(folder: Path, files: dict[str, str], *timeline: dict[str, Any], **words: Any) -> swarmsim.Result:
    """Entries ten seconds apart, in a folder with these files."""
    for name, text in {**FILES, **files}.items():
        (folder / name).write_text(text)
    entries = [{"at": f"{10 * (i + 1)}s", **entry} for i, entry in enumerate(timeline)]
    scenario = {"cluster": CLUSTER, "timeline": entries, "duration": f"{10 * len(entries) + 20}s", **words}
    return swarmsim.run(swarmsim.Scenario.of_words(scenario, str(folder / "s.yaml")))


def said(result: swarmsim.Result, entry: str) -> list[str]:
    return [r.event.text for r in result.trace.of(ClientSaid) if r.event.entry == entry]


def refusal(result: swarmsim.Result, entry: str) -> str:
    return next(r.event.error for r in result.trace.of(StepAnswered) if r.event.entry == entry)


def there(result: swarmsim.Result, kind: type) -> list[str]:
    return sorted(obj.name for obj in result.cluster.store().tables[kind].values())


def started(result: swarmsim.Result, service: str) -> int:
    return sum(r.event.service == service for r in result.trace.of(ContainerStarted))


# ---- beside the real client ------------------------------------------------------------------------------


def as_printed(line: str) -> str:
    return re.sub(r"\(id: [^)]*\)", "(id: ID)", line)


#: The commands that need nothing external: that is taken to be there before (see below).
INDEX = [i for i, (_, text) in enumerate(COMMANDS) if "nowhere" not in text]


@pytest.fixture(scope="module")
def all_commands(tmp_path_factory: pytest.TempPathFactory) -> swarmsim.Result:
    files, timeline = {}, []
    for i in INDEX:
        words, text = COMMANDS[i]
        entry: dict[str, Any] = {"name": f"c{i}"}
        if text:
            files[f"{i}.yml"] = text
            entry |= {"deploy": f"{i}.yml", "stack": "st", "prune": "--prune" in words}
            entry |= {"resolve_image": "changed"} if "changed" in words else {}
        else:
            entry |= {"remove_stack": "st"}
        if json.loads(AGAIN.read_text())[i]["code"]:
            entry["refused"] = "failed to"
        timeline.append(entry)
    return run(tmp_path_factory.mktemp("again"), files, *timeline)


@pytest.mark.parametrize("i", INDEX)
def test_the_client_prints_what_the_real_one_prints(i: int, all_commands: swarmsim.Result) -> None:
    """S-050: same file, another count, a service removed without and with prune, a config changed, the stack removed.

    The real client's services come in random order, and so do its networks when they are removed.
    """
    wanted = json.loads(AGAIN.read_text())[i]

    lines = [line for text in said(all_commands, f"c{i}") for line in text.split("\n")]

    printed = wanted["out"] + ([] if wanted["code"] else wanted["err"])
    assert sorted(map(as_printed, lines)) == sorted(map(as_printed, printed))
    assert refusal(all_commands, f"c{i}") == ("\n".join(wanted["err"]) if wanted["code"] else "")


def test_kinds_are_made_and_removed_in_the_real_order(all_commands: swarmsim.Result) -> None:
    """S-050: networks, secrets, configs, services; and services by name, secrets, configs, networks."""
    recorded = json.loads(AGAIN.read_text())

    for i in (0, 7):
        kinds = [line.split()[1] for line in said(all_commands, f"c{i}")]
        assert list(dict.fromkeys(kinds)) == list(dict.fromkeys(line.split()[1] for line in recorded[i]["out"]))
    removed = [line.split()[2] for line in said(all_commands, "c7") if " service " in line]
    assert removed == sorted(removed)


def test_a_stack_that_is_removed_leaves_nothing(all_commands: swarmsim.Result) -> None:
    assert there(all_commands, Service) == there(all_commands, Secret) == there(all_commands, Config) == []
    assert there(all_commands, Network) == ["bridge", "host", "ingress"]
    assert all_commands.passed, all_commands.verdicts


# ---- what the swarm makes of it --------------------------------------------------------------------------


def test_deploying_the_same_file_again_touches_no_task(tmp_path: Path) -> None:
    """S-050: every service is updated, and none has anything to do."""
    result = run(tmp_path, {"st.yml": FIRST}, {"deploy": "st.yml"}, stack="st.yml")

    assert [line.split(" (")[0] for line in said(result, "deploy") if line.startswith("Upd")] == [
        "Updating service st_web",
        "Updating service st_db",
        "Updating service st_old",
    ]
    assert started(result, "st_web") == 3
    assert result.passed


def test_what_changed_is_updated_and_what_is_gone_stays_until_it_is_pruned(tmp_path: Path) -> None:
    """S-050."""
    result = run(
        tmp_path,
        {"st.yml": FIRST, "st2.yml": SECOND.replace("nginx:1.27", "nginx:1.28")},
        {"name": "second", "deploy": "st2.yml", "stack": "st"},
        {"name": "third", "deploy": "st2.yml", "stack": "st", "prune": True},
        stack="st.yml",
        expect=[
            {"service": "old", "running": 1, "from": "10s", "until": "20s"},
            {"service": "old", "running": 0},
            {"service": "web", "running": 5},
            {"service": "new", "running": 1},
        ],
    )

    assert started(result, "st_web") == 3 + 5  # five of the new image
    assert started(result, "st_db") == 1
    assert there(result, Service) == ["st_db", "st_new", "st_web"]
    assert result.passed, result.verdicts


def test_a_deploy_undoes_what_was_done_by_hand(tmp_path: Path) -> None:
    """S-050: but for `--force`, whose count is kept, so that nothing is started again."""
    result = run(
        tmp_path,
        {"st.yml": FIRST},
        {"scale": "web", "replicas": 1},
        {"update": "old", "image": "redis:8"},
        {"name": "forced", "update": "db", "force": True},
        {"deploy": "st.yml"},
        stack="st.yml",
    )

    images = [
        t.spec.container.image
        for t in result.cluster.store().tasks.values()
        if t.service_name == "st_old" and t.desired_state is TaskState.RUNNING
    ]
    assert images == ["redis:7"]
    assert len(result.cluster.containers("st_web")) == 3
    assert started(result, "st_db") == 2  # once by the force, and not once more


@pytest.mark.parametrize(("resolve", "image"), [("always", "redis:7"), ("changed", "redis:8"), ("never", "redis:8")])
def test_an_image_whose_text_is_unchanged_stays_what_runs(resolve: str, image: str, tmp_path: Path) -> None:
    """S-050: `docker service update --image` leaves the label of the stack's image alone, and that is compared."""
    result = run(
        tmp_path,
        {"st.yml": FIRST},
        {"update": "old", "image": "redis:8"},
        {"deploy": "st.yml", "resolve_image": resolve},
        stack="st.yml",
    )

    service = next(s for s in result.cluster.store().services.values() if s.name == "st_old")
    assert service.spec.task.container.image == image
    assert service.spec.labels["com.docker.stack.image"] == "redis:7"
    asked = any(line.startswith("image ") for line in said(result, "deploy"))
    assert asked == (resolve == "always")


def test_a_config_whose_file_changed_is_refused_and_what_was_made_before_stays(tmp_path: Path) -> None:
    """S-040, S-050: nothing is rolled back."""
    changed = SECOND.replace("c: {file: f", "c: {file: other").replace("{front: {}}", "{front: {}, back: {}}")
    changed = changed.replace("  new: {image: memcached}", "  new: {image: memcached, networks: [back]}")

    result = run(
        tmp_path,
        {"st.yml": FIRST, "st2.yml": changed},
        {"deploy": "st2.yml", "stack": "st", "refused": "only updates to Labels are allowed"},
        stack="st.yml",
    )

    assert refusal(result, "deploy").startswith("failed to update config c-1: Error response from daemon: rpc error: ")
    assert said(result, "deploy") == ["Creating network st_back"]
    assert "st_back" in there(result, Network)
    assert "st_new" not in there(result, Service)
    assert result.passed


def test_a_config_with_another_name_is_a_new_one(tmp_path: Path) -> None:
    """The way out that stack files take: `name: c-${VERSION:-1}`. Its users are updated, and the old one stays."""
    text = FIRST.replace('name: "c-1"', 'name: "c-${VERSION:-1}"')

    result = run(tmp_path, {"st.yml": text}, {"deploy": "st.yml", "env": {"VERSION": 2}}, stack="st.yml")

    assert "Creating config c-2" in said(result, "deploy")
    assert there(result, Config) == ["c-1", "c-2"]
    assert started(result, "st_web") == 6
    assert started(result, "st_db") == 1
    assert result.passed


def test_networks_that_the_stack_has_are_never_changed(tmp_path: Path) -> None:
    """Section 4.6."""
    result = run(
        tmp_path,
        {"st.yml": FIRST, "st2.yml": FIRST.replace("front: {}", "front: {attachable: true}")},
        {"deploy": "st2.yml", "stack": "st"},
        stack="st.yml",
    )

    front = next(n for n in result.cluster.store().networks.values() if n.name == "st_front")
    assert not front.spec.attachable
    assert not any("network" in line for line in said(result, "deploy"))


SHARED = "services: {a: {image: x, networks: [n]}}\nnetworks: {n: {name: shared}}\n"
USER = "services: {b: {image: y, networks: [n], secrets: [s]}}\nnetworks: {n: {external: true, name: shared}}\n"


def test_an_external_network_that_is_gone_is_missed(tmp_path: Path) -> None:
    """S-037: one that another stack of the scenario makes is that stack's, and gone with it."""
    user = USER.replace(", secrets: [s]", "")
    result = run(
        tmp_path,
        {"own.yml": SHARED, "user.yml": user},
        {"remove_stack": "own"},
        {
            "deploy": "user.yml",
            "stack": "user",
            "refused": 'network "shared" is declared as external, but could not be',
        },
        stack="own.yml",
    )

    assert refusal(result, "deploy").endswith("You need to create a swarm-scoped network before the stack is deployed")
    assert result.passed, result.verdicts


def test_an_external_secret_that_is_gone_is_missed(tmp_path: Path) -> None:
    """`service b: secret not found: pw`, after the networks were made."""
    own = "services: {a: {image: x}}\nsecrets: {pw: {file: f, name: pw}}\n"
    user = "services: {b: {image: y, secrets: [pw]}}\nsecrets: {pw: {external: true}}\n"
    result = run(
        tmp_path,
        {"own.yml": own, "user.yml": user},
        {"remove_stack": "own"},
        {"deploy": "user.yml", "stack": "user", "refused": "service b: secret not found: pw"},
        stack="own.yml",
    )

    assert said(result, "deploy") == ["Creating network user_default"]
    assert result.passed, result.verdicts


def test_what_is_external_and_made_by_nobody_is_there_from_the_beginning(tmp_path: Path) -> None:
    text = USER + "secrets: {s: {external: true, name: pw}}\n"
    result = run(tmp_path, {"user.yml": text}, {"deploy": "user.yml"}, expect=[{"service": "b", "running": 1}])

    assert said(result, "deploy") == ["Creating service user_b"]
    assert result.passed, result.verdicts


def test_a_network_that_another_made_is_in_the_way(tmp_path: Path) -> None:
    """The daemon looks for the name first (libnetwork `NetworkNameError`)."""
    result = run(
        tmp_path,
        {"own.yml": SHARED, "other.yml": SHARED},
        {"deploy": "other.yml", "stack": "other", "refused": "network with name shared already exists"},
        stack="own.yml",
    )

    assert refusal(result, "deploy") == (
        "failed to create network shared: Error response from daemon: network with name shared already exists"
    )


def test_a_secret_in_use_and_its_network_stay_when_their_stack_is_removed(tmp_path: Path) -> None:
    """docker stack rm goes on after each failure, and says at the end that it did not remove all."""
    own = SHARED + "secrets: {pw: {file: f, name: pw}}\n"
    user = USER + "secrets: {s: {external: true, name: pw}}\n"
    result = run(
        tmp_path,
        {"own.yml": own, "user.yml": user},
        {"deploy": "user.yml", "stack": "user"},
        {"remove_stack": "own", "refused": "Failed to remove some resources from stack: own"},
        stack="own.yml",
    )

    lines = said(result, "remove_stack")
    assert [line for line in lines if line.startswith("Removing")] == [
        "Removing service own_a",
        "Removing secret pw",
        "Removing network shared",
    ]
    assert any(
        re.match(r"Failed to remove secret \w+: Error response .* in use by the following service: user_b", t)
        for t in lines
    )
    assert any(re.match(r"Failed to remove network \w+: Error response .* is in use by service \w+$", t) for t in lines)
    assert result.passed, result.verdicts


def test_only_a_manager_deploys(tmp_path: Path) -> None:
    """The client asks the engine what it is, and says so itself (`checkDaemonIsSwarmManager`)."""
    result = run(
        tmp_path,
        {"st.yml": FIRST},
        {"demote": "m2"},
        {"name": "patience", "scale": "web", "replicas": 4},
        {"deploy": "st.yml", "via": "m2", "refused": "this node is not a swarm manager. Use"},
        stack="st.yml",
        cluster={"managers": 3},
    )

    assert said(result, "deploy") == []
    assert result.passed, result.verdicts


def test_without_a_leader_nothing_is_listed(tmp_path: Path) -> None:
    result = run(
        tmp_path,
        {"st.yml": FIRST},
        {"crash": ["m2", "m3"]},
        {"name": "too-early", "scale": "web", "replicas": 4, "refused": "code = "},
        {"name": "patience", "scale": "web", "replicas": 4, "refused": "code = "},
        {
            "deploy": "st.yml",
            "refused": "Error response from daemon: rpc error: code = Unknown desc = The swarm does not",
        },
        stack="st.yml",
        cluster={"managers": 3, "workers": 1},
        expect=[{"convergence": "waived"}],
    )

    assert said(result, "deploy") == []
    assert result.passed, result.verdicts


# ---- the words of the scenario -----------------------------------------------------------------------------


def test_the_scenarios_own_compose_keys_lie_over_each_deploy_of_its_stack(tmp_path: Path) -> None:
    """An `x-sim` stays; what is said of a service that the new file has no more is left out."""
    result = run(
        tmp_path,
        {"st.yml": FIRST, "st2.yml": SECOND},
        {"deploy": "st2.yml", "stack": "st"},
        stack="st.yml",
        services={"web": {"x-sim": QUICK}, "old": {"x-sim": QUICK}, "extra": {"image": "busybox"}},
    )

    specs = {s.name: s.spec for s in result.cluster.store().services.values()}
    assert specs["st_web"].task.container.behaviour.start == (100_000, 100_000)
    assert "Updating service st_extra" in {line.split(" (")[0] for line in said(result, "deploy")}


def test_an_update_after_a_deploy_is_merged_over_the_new_file(tmp_path: Path) -> None:
    result = run(
        tmp_path,
        {"st.yml": FIRST, "st2.yml": SECOND.replace("nginx:1.27", "nginx:1.28")},
        {"deploy": "st2.yml", "stack": "st"},
        {"update": "web", "environment": {"A": "1"}},
        {"name": "late", "update": "new", "hostname": "h"},
        stack="st.yml",
    )

    spec = next(s.spec for s in result.cluster.store().services.values() if s.name == "st_web")
    assert (spec.task.container.image, spec.task.container.env) == ("nginx:1.28", ("A=1",))
    assert result.passed, result.verdicts


def test_a_stack_is_called_as_its_file_where_nobody_says_more(tmp_path: Path) -> None:
    result = run(tmp_path, {"shop.v2.yml": FIRST}, {"deploy": "shop.v2.yml"}, expect=[{"service": "web", "running": 3}])

    assert there(result, Service) == ["shop-v2_db", "shop-v2_old", "shop-v2_web"]
    assert result.passed


def test_several_files_lie_over_one_another(tmp_path: Path) -> None:
    over = "services: {web: {deploy: {replicas: 1}}}\n"

    result = run(tmp_path, {"a.yml": FIRST, "b.yml": over}, {"deploy": ["a.yml", "b.yml"]})

    assert len(result.cluster.containers("a_web")) == 1


def test_a_run_with_deploys_is_the_same_twice(tmp_path: Path) -> None:
    entries = ({"deploy": "st2.yml", "stack": "st", "prune": True}, {"remove_stack": "st"})
    digests = {run(tmp_path, {"st.yml": FIRST, "st2.yml": SECOND}, *entries, stack="st.yml").digest for _ in range(2)}

    assert len(digests) == 1


# ---- mistakes are told before the run ------------------------------------------------------------------------


def mistakes(folder: Path, files: dict[str, str], *timeline: dict[str, Any], **words: Any) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        run(folder, files, *timeline, **words)
    return [problem.text for problem in caught.value.problems]


def test_a_mistake_in_a_later_stack_file_has_its_own_file_and_line(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as caught:
        run(
            tmp_path, {"st.yml": FIRST, "bad.yml": "services:\n  a: {imge: x}\n"}, {"deploy": "bad.yml"}, stack="st.yml"
        )

    assert [(Path(p.file).name, p.line) for p in caught.value.problems] == [("bad.yml", 2)]
    assert "services.a Additional property imge is not allowed" in str(caught.value)


def test_what_a_deploy_brings_is_not_created_by_hand(tmp_path: Path) -> None:
    (text,) = mistakes(
        tmp_path, {"st.yml": FIRST, "st2.yml": SECOND}, {"deploy": "st2.yml"}, {"create": "new"}, stack="st.yml"
    )

    assert text == "`create`: st_new comes with a `deploy`; write it under services:, or leave this out"


def test_an_update_must_fit_one_of_the_files_that_a_service_is_deployed_from(tmp_path: Path) -> None:
    files = {"st.yml": FIRST, "st2.yml": SECOND.replace("{front: {}}", "{front: {}, back: {}}")}
    update = {"update": "web", "networks": ["back"]}

    result = run(tmp_path, files, {"deploy": "st2.yml", "stack": "st"}, update, stack="st.yml")

    assert refusal(result, "update") == ""
    (text,) = mistakes(tmp_path, files, {"deploy": "st.yml"}, update, stack="st.yml")
    assert text.startswith('service web: undefined network "back"')


def test_an_update_that_comes_before_the_file_that_it_fits_is_refused(tmp_path: Path) -> None:
    files = {"st.yml": FIRST, "st2.yml": SECOND.replace("{front: {}}", "{front: {}, back: {}}")}
    early = {"update": "web", "networks": ["back"], "refused": 'undefined network "back"'}

    assert run(tmp_path, files, early, {"deploy": "st2.yml", "stack": "st"}, stack="st.yml").passed


def test_stacks_are_known_by_name(tmp_path: Path) -> None:
    (text,) = mistakes(tmp_path, {"st.yml": FIRST}, {"remove_stack": "shop"}, stack="st.yml")

    assert text == "`remove_stack`: unknown stack `shop`; the stacks are st"
    (text,) = mistakes(tmp_path, {"st.yml": FIRST}, {"deploy": "st.yml", "stack": "a b"}, stack="st.yml")
    assert text == "`a b` is no name of a stack; write letters, digits, - and _"
