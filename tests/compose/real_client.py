"""The real `docker stack deploy`, and a manager that only takes notes: how `recorded/` was made.

    python -m tests.compose.real_client            # record all stacks and fragments of this folder anew

The client is Docker's own (28.2.2 when this was recorded); the manager is a socket of this process that answers what a
deploy asks and keeps the bodies of what it creates. No Docker engine is needed.
"""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import socketserver
import subprocess
import tempfile
import threading
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
STACKS = HERE / "stacks"
RECORDED = HERE / "recorded"

#: Short files, each with one thing in it that is right, wrong or odd, and what the client says of it.
FRAGMENTS = RECORDED / "fragments.json"
#: What they may need: variables, side files, and what is there before.
FRAGMENT_ENV = {"X": "x", "N": "3", "HOME": "/root", "EMPTY": "", "T": "true"}
FRAGMENT_FILES = {"f": "x", "e.env": "A=1\nB='q'\nX\nNOPE\n#c\n C=2 \n", "none.env": "A=1\n"}
FRAGMENT_THERE = ["ext", "c", "n"]

#: Each stack: its files, the variables that it needs, and what is there before it.
DEPLOYS: dict[str, tuple[list[str], dict[str, str], list[str]]] = {
    "polls": (["polls.yml"], {}, []),
    "monitoring": (["monitoring.yml"], {}, ["traefik-public", "charts_password"]),
    "edge": (
        ["edge.yml"],
        {"USERNAME": "admin", "HASHED_PASSWORD": "x$1y", "DOMAIN": "example.com", "EMAIL": "a@example.com"},
        ["edge-public"],
    ),
    "blog": (["blog.yml"], {"UPLOAD_LIMIT": "64M"}, []),
    "logs": (["logs.yml"], {"ELASTIC_VERSION": "8.14.1"}, []),
    "events": (["events.yml"], {}, ["corporate"]),
    "ci": (["ci.yml"], {"FORGE_TAG": "1.22", "SECRET_KEY": "from the environment"}, []),
    "batch": (["batch.yml"], {}, []),
    "legacy": (["legacy.yml"], {}, []),
    "relay": (["relay.yml"], {}, []),
    "watch": (["watch.yml"], {"BOARD_VERSION": "10", "HOST": "example.com"}, ["store_token"]),
    "shop": (["shop.yml"], {}, []),
    "shop-test": (["shop.yml", "shop.override.yml"], {"SHOP_TAG": "43"}, []),
}


@dataclass
class Deploy:
    """What came of one deploy."""

    code: int
    said: str
    created: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # networks, secrets, configs, services


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer(200, None)

    def do_GET(self) -> None:
        url = urllib.parse.urlparse(self.path)
        path = re.sub(r"^/v[\d.]+", "", url.path)
        there = self.server.there
        if path == "/info":
            self._answer(200, {"Swarm": {"ControlAvailable": True, "LocalNodeState": "active"}})
        elif path.startswith("/networks/"):
            name = urllib.parse.unquote(path.removeprefix("/networks/"))
            found = {"Name": name, "Id": name, "Scope": "swarm"}
            self._answer(200, found) if name in there else self._answer(404, {"message": f"network {name} not found"})
        elif path in ("/secrets", "/configs"):
            filters = json.loads(urllib.parse.parse_qs(url.query).get("filters", ["{}"])[0])
            names = [name for name in filters.get("name", {}) if name in there]
            self._answer(200, [{"ID": name, "Spec": {"Name": name}} for name in names])
        elif path in ("/networks", "/services"):
            self._answer(200, [])
        else:
            self._answer(200 if path == "/_ping" else 404, {"message": "not found"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"null")
        kind = re.sub(r"^/v[\d.]+", "", self.path).split("/")[1]
        self.server.created[kind].append(body)
        self.server.there.append(body["Name"])
        self._answer(201, {"ID": "1", "Id": "1"})

    def _answer(self, code: int, data: Any) -> None:
        body = b"" if data is None else json.dumps(data).encode()
        self.send_response(code)
        self.send_header("Api-Version", "1.50")
        self.send_header("Ostype", "linux")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    there: list[str]
    created: dict[str, list[dict[str, Any]]]

    def get_request(self) -> tuple[Any, Any]:
        request, _ = super().get_request()
        return request, ("client", 0)


class Manager:
    """A context in which `deploy` works."""

    def __enter__(self) -> Manager:
        self.folder = tempfile.mkdtemp()
        self.server = _Server(f"{self.folder}/docker.sock", _Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        shutil.rmtree(self.folder)

    def deploy(self, files: Sequence[Path], name: str, env: Mapping[str, str], there: Sequence[str] = ()) -> Deploy:
        """`docker stack deploy -c … NAME`, with nothing in the environment but `env`."""
        self.server.there = list(there)
        self.server.created = {kind: [] for kind in ("networks", "secrets", "configs", "services")}
        words = ["docker", "stack", "deploy", "--detach", "--resolve-image", "never"]
        words += [word for file in files for word in ("-c", str(file))]
        # No HOME, as in the simulator, unless it is given.
        own = {"DOCKER_HOST": f"unix://{self.folder}/docker.sock", "DOCKER_CONFIG": self.folder}
        done = subprocess.run(
            [*words, name],
            env={"PATH": os.environ["PATH"], **own, **env},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        created = {kind: sorted(made, key=lambda body: body["Name"]) for kind, made in self.server.created.items()}
        return Deploy(done.returncode, done.stderr, created)


def fragments() -> list[dict[str, str]]:
    """`text` of the file; `said`: why it was refused, "" where it was not."""
    found: list[dict[str, str]] = json.loads(FRAGMENTS.read_text())
    return found


def side_files(folder: Path) -> Path:
    """A folder in which fragments find what they name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in FRAGMENT_FILES.items():
        (folder / name).write_text(text)
    return folder


def version() -> str:
    """The version of the client on this machine; "" where there is none."""
    if shutil.which("docker") is None:
        return ""
    said = subprocess.run(["docker", "--version"], capture_output=True, text=True, timeout=60, check=False).stdout
    found = re.search(r"version (\d+\.\d+)", said)
    return found[1] if found else ""


def record() -> None:
    """Write `recorded/`; folders are taken out of paths and texts."""
    with Manager() as manager:
        for name, (files, env, there) in DEPLOYS.items():
            done = manager.deploy([STACKS / file for file in files], name, env, there)
            assert done.code == 0, f"{name}: {done.said}"
            said = [re.sub(r'^time="[^"]*" level=warning msg="(.*)"$', r"\1", line) for line in done.said.splitlines()]
            data = {"said": [line for line in said if line], **done.created}
            text = json.dumps(data, indent=1, sort_keys=True).replace(str(STACKS), "/stacks")
            (RECORDED / f"{name}.json").write_text(text + "\n")
        _record_fragments(manager)


def _record_fragments(manager: Manager) -> None:
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = side_files(Path(name) / "stacks")
        file = folder / "f.yml"
        for fragment in fragments():
            file.write_text(fragment["text"])
            done = manager.deploy([file], "st", FRAGMENT_ENV, FRAGMENT_THERE)
            said = done.said.strip().replace(str(folder), "/stacks") if done.code else ""
            found.append({"text": fragment["text"], "said": said})
    FRAGMENTS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    record()
