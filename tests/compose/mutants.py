"""Stack files that were right, and are not quite any more: Hypothesis strategies."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

#: A file with nearly every key.
WHOLE: dict[str, Any] = {
    "version": "3.13",
    "services": {
        "web": {
            "image": "nginx:1.27",
            "command": ["nginx", "-g", "daemon off;"],
            "ports": ["8080:80", {"target": 443, "published": 8443, "protocol": "tcp", "mode": "host"}],
            "environment": {"A": "1", "B": None, "C": 5},
            "networks": ["front", "back"],
            "volumes": [
                "data:/d:ro",
                "./x:/x",
                {"type": "tmpfs", "target": "/t", "tmpfs": {"size": 100}},
                {"type": "volume", "source": "data", "target": "/v", "volume": {"nocopy": True}},
            ],
            "secrets": ["s", {"source": "t", "target": "tt", "mode": 0o400, "uid": "1"}],
            "configs": [{"source": "c", "target": "/c", "mode": 0o440}],
            "depends_on": ["db"],
            "healthcheck": {"test": ["CMD", "x"], "interval": "10s", "retries": 3, "start_period": "1m"},
            "deploy": {
                "mode": "replicated",
                "replicas": 3,
                "labels": {"a": "b"},
                "endpoint_mode": "vip",
                "placement": {
                    "constraints": ["node.role == worker"],
                    "preferences": [{"spread": "node.labels.z"}],
                    "max_replicas_per_node": 2,
                },
                "restart_policy": {"condition": "on-failure", "delay": "5s", "max_attempts": 3, "window": "2m"},
                "update_config": {
                    "parallelism": 1,
                    "delay": "10s",
                    "order": "start-first",
                    "failure_action": "rollback",
                    "monitor": "30s",
                    "max_failure_ratio": 0.1,
                },
                "rollback_config": {"parallelism": 0},
                "resources": {
                    "limits": {"cpus": "0.5", "memory": "50M", "pids": 10},
                    "reservations": {
                        "cpus": "0.25",
                        "memory": "20M",
                        "generic_resources": [{"discrete_resource_spec": {"kind": "gpu", "value": 2}}],
                    },
                },
            },
            "logging": {"driver": "json-file", "options": {"max-size": "10m", "max-file": 3}},
            "ulimits": {"nofile": 5, "nproc": {"soft": 1, "hard": 2}},
            "labels": ["x=1", "y"],
            "stop_grace_period": "1m30s",
            "init": True,
            "x-sim": {"start": "1s..3s", "exit": 0, "on_stop": "complete"},
        },
        "db": {
            "image": "postgres",
            "restart": "always",
            "container_name": "db",
            "environment": ["P=1", "Q"],
            "networks": {"back": {"aliases": ["pg"], "ipv4_address": "10.0.0.1"}},
            "dns": "1.1.1.1",
            "cap_add": ["NET_ADMIN"],
            "extra_hosts": ["a:1.1.1.1"],
            "sysctls": {"a": 1},
            "deploy": {"mode": "global", "labels": ["q=1"]},
            "entrypoint": "/e.sh x",
            "command": 'a "b c"',
            "env_file": "none.env",
            "credential_spec": {"file": "x"},
            "build": {"context": "."},
        },
    },
    "networks": {
        "front": {"driver": "overlay", "driver_opts": {"encrypted": "", "m": 5}, "ipam": {"config": [{"subnet": "a"}]}},
        "back": {"internal": True, "name": "backend", "external": False},
    },
    "volumes": {"data": {"driver": "local", "driver_opts": {"type": "nfs"}}, "unused": None, "e": {"external": True}},
    "secrets": {"s": {"file": "./f"}, "t": {"file": "f", "name": "tt", "labels": ["a=b"]}},
    "configs": {"c": {"file": "./f", "name": "c-1"}},
    "x-any": {"a": [1]},
}

_TEXTS = [
    *("", "a", "5", "true", "x y", "10s", "1d", "50M", "80:80", "1-65535", "data:/d", "$$", "${X}", "${U", "$", "a=b"),
    *("none", "global", "node.role==manager", "0.5", "./f", "/", "a:b:c", "on-failure:3", "ü", "~", "0x10", '"', "UP"),
    *("back", "\ud800", "\x00", "a\nb", "9" * 30, "1e999", "-1", "1/3", "\\", "'", "#", "%", "[", "127.0.0.1:80:80"),
]
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, 1, -1, 5, 80, 1.5, 2.0, 2**40, -(2**70), float("inf"), float("nan")]),
    st.sampled_from(_TEXTS),
    st.text(max_size=5),
)
_KEYS = st.one_of(
    st.sampled_from(
        ["image", "ports", "foo", "x-foo", "x-sim", "driver", "external", "name", "file", "labels", "deploy"]
    ),
    st.sampled_from(
        ["source", "target", "type", "test", "disable", "command", "version", "extends", "mem_limit", "a b"]
    ),
    st.text(max_size=3),
    st.sampled_from([1, True, None, 2.5]),
)
JUNK = st.recursive(_SCALARS, lambda c: st.lists(c, max_size=3) | st.dictionaries(_KEYS, c, max_size=3), max_leaves=6)


def paths(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in it but its root."""
    found = [path] if path else []
    steps = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return found + [below for step, child in steps for below in paths(child, (*path, step))]


PATHS = paths(WHOLE)


@st.composite
def mutants(draw: st.DrawFn) -> dict[str, Any]:
    """One to four places replaced, removed, or grown."""
    data = copy.deepcopy(WHOLE)
    for path in draw(st.lists(st.sampled_from(PATHS), min_size=1, max_size=4)):
        owner = data
        try:
            for step in path[:-1]:
                owner = owner[step]
            change = draw(st.sampled_from(["replace", "remove", "grow", "move"]))
            if change == "replace":
                owner[path[-1]] = draw(JUNK)
            elif change == "remove":
                del owner[path[-1]]
            elif change == "grow" and isinstance(owner, dict):
                owner[draw(_KEYS)] = draw(JUNK)
            elif change == "move":
                source: Any = WHOLE
                for step in draw(st.sampled_from(PATHS)):
                    source = source[step]
                owner[path[-1]] = copy.deepcopy(source)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took it away
    return data
