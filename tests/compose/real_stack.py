"""The real `docker stack deploy`, again, and `docker stack rm`: how `recorded/again.json` was made.

    python -m tests.compose.real_stack

A manager that keeps what it was given, where that of `real_client.py` only takes notes: it lists a stack's things by
their label, refuses a config whose content changes, in the daemon's words, and forgets what is removed.
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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.compose.real_client import RECORDED

AGAIN = RECORDED / "again.json"

FIRST = """\
services:
  web: {image: "nginx:1.27", networks: [front], configs: [c], deploy: {replicas: 3}}
  db: {image: postgres, networks: [front], secrets: [s]}
  old: {image: "redis:7"}
networks: {front: {}}
secrets: {s: {file: f}}
configs: {c: {file: f, name: "c-1"}}
"""
SECOND = FIRST.replace("replicas: 3", "replicas: 5").replace(
    '  old: {image: "redis:7"}\n', "  new: {image: memcached}\n"
)
#: What is asked of the client, one after the other: its words, and the file that is deployed.
COMMANDS: list[tuple[list[str], str]] = [
    (["deploy"], FIRST),
    (["deploy"], FIRST),
    (["deploy"], SECOND),
    (["deploy", "--prune", "--resolve-image", "changed"], SECOND),
    (["deploy"], SECOND.replace("configs: {c: {file: f,", "configs: {c: {file: other,")),
    (["deploy"], SECOND.replace("networks: {front: {}}", "networks: {front: {external: true, name: nowhere}}")),
    (["deploy"], SECOND.replace("secrets: {s: {file: f}}", "secrets: {s: {external: true, name: nowhere}}")),
    (["rm"], ""),
    (["rm"], ""),
]
FILES = {"f": "x", "other": "y"}
REFUSAL = "rpc error: code = InvalidArgument desc = only updates to Labels are allowed"


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer(200, None)

    def do_GET(self) -> None:
        path, query = self._path()
        kind, _, name = path.strip("/").partition("/")
        kept = self.server.kept.get(kind)
        if path == "/info":
            self._answer(200, {"Swarm": {"ControlAvailable": True, "LocalNodeState": "active"}})
        elif kept is None:
            self._answer(200 if path == "/_ping" else 404, {"message": "not found"})
        elif name:
            found = next((thing for thing in kept if urllib.parse.unquote(name) in (thing["ID"], _name(thing))), None)
            self._answer(200 if found else 404, found or {"message": f"{kind[:-1]} {name} not found"})
        else:
            names = json.loads(query.get("filters", ["{}"])[0]).get("name")
            self._answer(200, [thing for thing in kept if not names or _name(thing) in names])

    def do_POST(self) -> None:
        path, _ = self._path()
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"null")
        kind, _, rest = path.strip("/").partition("/")
        if rest == "create":
            self._answer(201, self.server.keep(kind, body))
            return
        known = next(thing for thing in self.server.kept[kind] if thing["ID"] == rest.removesuffix("/update"))
        if kind != "services" and known["Spec"].get("Data") != body.get("Data"):
            self._answer(400, {"message": REFUSAL})
            return
        known["Spec"] = body
        self._answer(200, {})

    def do_DELETE(self) -> None:
        path, _ = self._path()
        kind, _, id = path.strip("/").partition("/")
        self.server.kept[kind] = [thing for thing in self.server.kept[kind] if thing["ID"] != id]
        self._answer(200, {})

    def _path(self) -> tuple[str, dict[str, list[str]]]:
        url = urllib.parse.urlparse(self.path)
        return re.sub(r"^/v[\d.]+", "", url.path), urllib.parse.parse_qs(url.query)

    def _answer(self, code: int, data: Any) -> None:
        body = b"" if data is None else json.dumps(data).encode()
        self.send_response(code)
        for name, value in (("Api-Version", "1.50"), ("Ostype", "linux"), ("Content-Type", "application/json")):
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _name(thing: Any) -> str:
    return str(thing.get("Name") or thing["Spec"]["Name"])


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def __init__(self, path: str) -> None:
        super().__init__(path, _Handler)
        self.kept: dict[str, list[dict[str, Any]]] = {k: [] for k in ("networks", "secrets", "configs", "services")}
        self.made = 0

    def keep(self, kind: str, body: dict[str, Any]) -> dict[str, str]:
        self.made += 1
        id = f"id-{self.made}"
        thing: dict[str, Any] = {"ID": id, "Version": {"Index": self.made}, "Spec": body}
        if kind == "networks":
            thing = {"ID": id, "Id": id, "Name": body["Name"], "Labels": body["Labels"], "Scope": "swarm"}
        self.kept[kind].append(thing)
        return {"ID": id, "Id": id}

    def get_request(self) -> tuple[Any, Any]:
        request, _ = super().get_request()
        return request, ("client", 0)


def _run(words: Sequence[str], socket: str, folder: Path) -> dict[str, Any]:
    own = {"DOCKER_HOST": f"unix://{socket}", "DOCKER_CONFIG": str(folder)}
    done = subprocess.run(
        ["docker", "stack", *words],
        env={"PATH": os.environ["PATH"], **own},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return {"code": done.returncode, "out": done.stdout.splitlines(), "err": done.stderr.splitlines()}


def record() -> list[dict[str, Any]]:
    """What the client printed for each command."""
    folder = Path(tempfile.mkdtemp())
    try:
        for name, text in FILES.items():
            (folder / name).write_text(text)
        server = _Server(str(folder / "docker.sock"))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found = []
        for words, text in COMMANDS:
            (folder / "st.yml").write_text(text)
            files = ["--detach", "-c", str(folder / "st.yml")] if text else []
            found.append(_run([*words, *files, "st"], str(folder / "docker.sock"), folder))
        server.shutdown()
        server.server_close()
        return found
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    AGAIN.write_text(json.dumps(record(), indent=1) + "\n")
