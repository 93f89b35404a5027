"""Image references: which texts are one, and how the client sends them (github.com/distribution/reference).

The name is shortened as docker shows it (`docker.io/library/nginx` is `nginx`), and gets `:latest` where it has neither
tag nor digest.
"""

from __future__ import annotations

import re

_HUB = "docker.io"
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?")
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}")
_IDENTIFIER = re.compile(r"(?:sha256:)?[a-f0-9]{64}")
_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}
_MOST_NAME = 255
_MOST_TEXT = 4096


def sent(text: str) -> str:
    """The reference as the client sends it; raises `ValueError` with Docker's words where it is none."""
    if not text:
        raise ValueError("no image specified")
    if _IDENTIFIER.fullmatch(text):
        return text
    if len(text) > _MOST_TEXT:
        raise ValueError("invalid reference format")
    name, at, digest = text.partition("@")
    name, colon, tag = _tag(name)
    host, path = _split(name)
    if path != path.lower() and _PATH.fullmatch(path.lower()) and _HOST.fullmatch(host):
        raise ValueError(f"invalid reference format: repository name ({path}) must be lowercase")
    fits = _HOST.fullmatch(host) and _PATH.fullmatch(path) and (not colon or _TAG.fullmatch(tag))
    if not fits or (at and not _DIGEST.fullmatch(digest)):
        raise ValueError("invalid reference format")
    _check_digest(digest)
    if len(path if host == _HUB else f"{host}/{path}") > _MOST_NAME:
        raise ValueError(f"repository name must not be more than {_MOST_NAME} characters")
    shown = path.removeprefix("library/") if host == _HUB and path.count("/") == 1 else path
    shown = shown if host == _HUB else f"{host}/{shown}"
    rest = f":{tag}" * bool(colon) + f"@{digest}" * bool(at)
    return shown + (rest or ":latest")


def _tag(name: str) -> tuple[str, str, str]:
    """A colon after the last slash begins the tag."""
    head, slash, last = name.rpartition("/")
    last, colon, tag = last.partition(":")
    return head + slash + last, colon, tag


def _split(name: str) -> tuple[str, str]:
    """Registry and path: what stands before the first slash is a registry if it looks like one."""
    first, slash, rest = name.partition("/")
    if not slash or not (set(".:") & set(first) or first == "localhost" or first != first.lower()):
        first, rest = _HUB, name
    first = _HUB if first == "index.docker.io" else first
    return first, f"library/{rest}" if first == _HUB and "/" not in rest else rest


def _check_digest(digest: str) -> None:
    if not digest:
        return
    algorithm, _, figures = digest.partition(":")
    if algorithm not in _LENGTHS:
        raise ValueError("unsupported digest algorithm")
    if len(figures) != _LENGTHS[algorithm] or figures != figures.lower():
        raise ValueError(
            "invalid checksum digest length" if figures == figures.lower() else "invalid checksum digest format"
        )
