"""Keys, types and versions: what is refused before anything is understood (reference sections 4.2, 4.4)."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarmsim.compose import schema
from tests.compose.stack import load, problems, text_of, words

#: Key (in a service, or at the top), and the version that brought it.
GATES = [
    ("secrets: []", "", 1),
    ("ports: [{target: 80}]", "", 2),
    ("volumes: [{type: volume, target: /a}]", "", 2),
    ("deploy: {endpoint_mode: vip}", "", 2),
    ("hostname: h", "networks: {n: {attachable: true}}", 2),
    ("configs: []", "", 3),
    ("deploy: {placement: {preferences: []}}", "", 3),
    ("credential_spec: {file: x}", "", 3),
    ("deploy: {update_config: {order: stop-first}}", "", 4),
    ("healthcheck: {start_period: 5s}", "", 4),
    ("hostname: h", "volumes: {v: {name: n}}", 4),
    ("hostname: h", "x-any: 1", 4),
    ("hostname: h", "networks: {n: {name: n}}", 5),
    ("deploy: {resources: {reservations: {generic_resources: []}}}", "", 5),
    ("isolation: default", "", 5),
    ("volumes: [{type: tmpfs, target: /a, tmpfs: {size: 1}}]", "", 6),
    ("deploy: {rollback_config: {}}", "", 7),
    ("init: true", "", 7),
    ("x-any: 1", "", 7),
    ("hostname: h", "networks: {n: {x-any: 1}}", 7),
    ("deploy: {placement: {max_replicas_per_node: 1}}", "", 8),
    ("deploy: {resources: {limits: {pids: 1}}}", "", 9),
    ("cgroupns_mode: host", "", 9),
    ("healthcheck: {start_interval: 5s}", "", 12),
    ("oom_score_adj: 5", "", 13),
    ("networks: {default: {driver_opts: {a: b}}}", "", 13),
]


@pytest.mark.parametrize(("fragment", "top", "minor"), GATES)
def test_a_version_refuses_keys_of_later_ones(fragment: str, top: str, minor: int, tmp_path: Path) -> None:
    before = words(tmp_path, fragment, top, f"3.{minor - 1}")
    since = words(tmp_path, fragment, top, f"3.{minor}")

    assert "is not allowed" in before or "must be a" in before
    assert since == ""


@pytest.mark.parametrize("said", ["3", "", "3.0", "3.7", "3.13"])
def test_versions_that_there_are(said: str, tmp_path: Path) -> None:
    assert load(tmp_path, f'version: "{said}"\nservices: {{a: {{image: i}}}}\n').services


@pytest.mark.parametrize("said", ['"2.4"', '"3.14"', '"4"', '"3.08"', "2.1", "", "x", "true", "[3]"])
def test_versions_that_there_are_not(said: str, tmp_path: Path) -> None:
    """Nothing else of the file is judged, for there is no schema to judge by."""
    found = problems(tmp_path, f"version: {said}\nservices: {{a: {{image: i, nonsense: 1}}}}\n")

    assert [p.text.split(":")[0] for p in found] == ["unsupported Compose file version"]


# ---- words -----------------------------------------------------------------------------------------------

#: (fragment, more of the file, what Docker says, what to write)
SAID = [
    ("foo: 1", "", "services.a Additional property foo is not allowed", "leave it out"),
    ("imgae: i", "", "services.a Additional property imgae is not allowed", "did you mean image?"),
    ("scale: 3", "", "services.a Additional property scale is not allowed", "write deploy: {replicas: 3}"),
    ("mem_reservation: 1g", "", "Additional property mem_reservation is not allowed", "reservations: {memory: 512M}"),
    ("profiles: [a]", "", "services.a Additional property profiles is not allowed", "docker stack does not know it"),
    ("deploy: {x-any: 1}", "", "services.a.deploy Additional property x-any is not allowed", ""),
    ("healthcheck: {interval:5s}", "", "Additional property interval:5s is not allowed", "a space is missing"),
    ("ports: [{target: 80, published: '80'}]", "", "services.a.ports.0.published must be a integer", "without quotes"),
    ("ports: 80", "", "services.a.ports must be a list", ""),
    ("ports: [null]", "", "services.a.ports.0 must be a number", ""),
    ('ports: ["80:"]', "", "services.a.ports.0 Does not match format 'ports'", '"8080:80"'),
    ("ports: ['80', '80']", "", "services.a.ports array items[0,1] must be unique", "write it once"),
    ("extra_hosts: ['a:1', b, 'a:1']", "", "services.a.extra_hosts array items[0,2] must be unique", ""),
    ("command: 5", "", "services.a.command must be a string", 'write "5"'),
    ("command: [a, 5]", "", "services.a.command.1 must be a string", ""),
    ("environment: [A=1, A=1]", "", "services.a.environment array items[0,1] must be unique", ""),
    ("environment: {1: a}", "", "json: unsupported type: map[interface {}]interface {}", 'write "1"'),
    ("labels: {a: .nan}", "", "json: unsupported value: NaN", "quotes"),
    ("depends_on: {b: {condition: c}}", "", "services.a.depends_on must be a list", "write [b]"),
    ("volumes: [{source: v, target: /t}]", "", "services.a.volumes.0 type is required", ""),
    ("volumes: [{type: tmpfs, tmpfs: {size: -1}}]", "", "size Must be greater than or equal to 0", ""),
    ("ulimits: {nofile: {soft: 1}}", "", "services.a.ulimits.nofile hard is required", ""),
    ("pid: 5", "", "services.a.pid must be a string or null", ""),
    ("hostname: h", "foo: 1", "(root) Additional property foo is not allowed", ""),
    ("hostname: h", "name: x", "(root) Additional property name is not allowed", ""),
    ("hostname: h", "networks: {n: {enable_ipv6: true}}", "networks.n Additional property enable_ipv6", ""),
    ("hostname: h", "networks: {n: {external: 'true'}}", "networks.n.external must be a boolean or mapping", ""),
    ("hostname: h", "volumes: {a b: }", "volumes Additional property a b is not allowed", "names are made of"),
    ("hostname: h", "volumes: {a: 5}", "volumes.a must be a mapping or null", ""),
    ("hostname: h", "secrets: {s: }", "secrets.s must be a mapping", ""),
    ("hostname: h", "secrets: {s: {environment: X}}", "secrets.s Additional property environment", ""),
    ("hostname: h", "configs: {c: {content: x}}", "configs.c Additional property content is not allowed", ""),
]


@pytest.mark.parametrize(("fragment", "top", "docker", "instead"), SAID)
def test_dockers_words_and_what_to_write(fragment: str, top: str, docker: str, instead: str, tmp_path: Path) -> None:
    found = problems(tmp_path, text_of(fragment, top))

    assert len(found) == 1
    said, _, write = found[0].text.partition("; ")
    assert docker in said
    assert instead in write
    assert write


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "top-level object must be a mapping"),
        ("# nothing\n", "top-level object must be a mapping"),
        ("[a]\n", "top-level object must be a mapping"),
        ("services:\n", "services must be a mapping"),
        ("services: {a: }\n", "services.a must be a mapping"),
        ("services: {a b: {image: i}}\n", "services Additional property a b is not allowed"),
    ],
)
def test_the_shape_of_a_file(text: str, said: str, tmp_path: Path) -> None:
    assert said in "\n".join(p.text for p in problems(tmp_path, text))


def test_null_bodies_of_networks_and_volumes_are_fine(tmp_path: Path) -> None:
    assert load(tmp_path, text_of("networks: [n]\nvolumes: ['data:/d']", "networks: {n: }\nvolumes: {data: }")).networks


def test_all_problems_are_told_at_once_in_order_of_lines(tmp_path: Path) -> None:
    text = "services:\n  a:\n    image: 5\n    foo: 1\n  b: []\nnetworks:\n  n: {bar: 1}\nbaz: 1\n"

    assert [p.line for p in problems(tmp_path, text)] == [3, 4, 5, 7, 8]


def test_the_second_step_tells_all_that_it_finds_too(tmp_path: Path) -> None:
    """Values and specs: decoding, merging, converting."""
    text = (
        'services:\n  a:\n    image: a b\n    command: "\'"\n    volumes:\n    - nothing:/v\n    networks: [m]\n'
        "    env_file: [missing.env]\n    deploy:\n      mode: bogus\n      replicas: -1\n"
    )

    assert [p.line for p in problems(tmp_path, text)] == [3, 4, 6, 7, 8, 10, 11]


def test_every_key_that_is_announced_as_ignored_is_known() -> None:
    assert {*schema.UNSUPPORTED, *schema.DEPRECATED} <= schema.SERVICE.keys.keys()


def test_no_forbidden_key_is_known() -> None:
    assert not {*schema.FORBIDDEN} & schema.SERVICE.keys.keys()


def test_a_long_list_is_compared_in_good_time(tmp_path: Path) -> None:
    hosts = ", ".join(f"h{i}" for i in range(5_000))

    assert load(tmp_path, text_of(f"cap_add: [{hosts}]")).services
