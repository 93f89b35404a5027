"""Files of variables, `env_file:` (docker/cli opts `ParseEnvFile`), and side files in general.

A line is NAME=VALUE, kept raw (quotes and all); `#` begins a comment; a bare NAME takes the value of `env:`, and is
dropped where there is none. Side files are read with a limit, so that no device is read for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

#: More than this neither the client nor the manager would take.
MOST_BYTES = 1 << 20
#: Where a file that a stack names is missing.
WRITE_INSTEAD = "write the path of a file that exists, or stack: {stand_in: true}, or --stand-in"


def read_side_file(path: Path) -> bytes:
    """The bytes of a file that a stack names; raises `ValueError` in Docker's words."""
    try:
        if path.is_dir():
            raise ValueError(f"read {path}: is a directory")
        if path.exists() and not path.is_file():
            raise ValueError(f"open {path}: is no ordinary file")
        with path.open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise FileNotFoundError(f"open {path}: no such file or directory") from None
    except OSError as error:
        raise ValueError(f"open {path}: {(error.strerror or str(error)).lower()}") from None
    if len(data) > MOST_BYTES:
        raise ValueError(f"read {path}: more than {MOST_BYTES >> 20} MiB")
    return data


def parse(data: bytes, env: Mapping[str, str]) -> dict[str, str | None]:
    """The variables of a file, in its order; raises `ValueError` in Docker's words."""
    found: dict[str, str | None] = {}
    for number, raw in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        try:
            line = raw.removesuffix(b"\r").decode("utf-8").lstrip()
        except UnicodeDecodeError:
            raise ValueError(f"invalid utf8 bytes at line {number}") from None
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not name:
            raise ValueError(f"no variable name on line '{line[:60]}'")
        if any(letter.isspace() for letter in name):
            raise ValueError(f"variable '{name[:60]}' contains whitespaces")
        if equals:
            found[name] = value
        elif name in env:
            found[name] = env[name]
    return found
