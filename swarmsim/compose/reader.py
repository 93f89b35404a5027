"""YAML with line numbers, for stack files and scenario files: plain data, and the line of every key path.

Scanning and parsing are ruamel.yaml's; what a text means is ours, for it must be what Docker's YAML makes of it
(gopkg.in/yaml.v3 `resolve`): only true and false are booleans, `0440` and `0o440` are octal,
`22:22` is a text, `1_000` a number. Scenario files (version "1.2") are read by the same table, because Compose's words
stand in them too; they differ in two things: more than one document is an error, where Docker reads the first and
drops the rest, and a date stays a text, where Docker makes a moment of it.

Everything that can be wrong with a file ends as one `Problem` with its line: tabs, open brackets, duplicate keys,
tags, alias bombs, depth, size, bytes that are no text. Nodes are built from the parser's events without recursion, and
aliases are expanded under a limit.
"""

from __future__ import annotations

import datetime
import json
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.scanner import Scanner

from ..errors import Problem, ScenarioError

KeyPath = tuple[Any, ...]
Lines = dict[KeyPath, int]

MAX_BYTES = 1 << 20
#: How deep lists and mappings may stand in each other, aliases included.
MAX_DEPTH = 64
#: How many nodes may come from aliases.
MAX_ALIASED = 50_000

_TEXT, _LIST, _MAP = range(3)
_YAML_TAG = "tag:yaml.org,2002:"
_MERGE = object()


class _Node:
    """A part of the document. `value`: a scalar, a list of nodes, or a list of (key, line of the key, node)."""

    __slots__ = ("kind", "line", "seen", "value")

    def __init__(self, kind: int, line: int, value: Any) -> None:
        self.kind = kind
        self.line = line
        self.value = value
        self.seen: dict[Any, int] | None = None


def read_yaml(path: str | os.PathLike[str], *, version: str = "1.2", max_bytes: int = MAX_BYTES) -> tuple[Any, Lines]:
    """The data of a file, and the line of each key path; `()` is the first line that says something.

    `version` "1.1": a stack file, as Docker reads it; "1.2": a scenario. Raises `ScenarioError`.
    """
    file = os.fspath(path)
    return parse_yaml(_text(file, max_bytes), file=file, version=version)


def parse_yaml(text: str, *, file: str, version: str = "1.2") -> tuple[Any, Lines]:
    """The same for a text at hand; `file` is its name in errors."""
    return _Reader(text, file, version).read()


class _Reader:
    """One reading of one text."""

    def __init__(self, text: str, file: str, version: str) -> None:
        assert version in ("1.1", "1.2"), version
        self.text = text
        self.file = file
        self.docker = version == "1.1"
        self.lines: Lines = {}
        self._no_key: _Node | None = None
        self.aliased = 0

    def read(self) -> tuple[Any, Lines]:
        try:
            yaml = YAML(typ="safe", pure=True)
            yaml.Scanner = _Scanner
            root = self._build(yaml.parse(self.text))
        except MarkedYAMLError as error:
            self._explain(error)
        except (YAMLError, ValueError, OverflowError, AssertionError, IndexError, AttributeError) as error:
            # ruamel's reader tells a character it cannot take by its position; rubbish may trip its scanner.
            position = getattr(error, "position", None)
            line = self.text.count("\n", 0, position) + 1 if isinstance(position, int) else 0
            what = "control characters are not allowed" if line else "this cannot be read as YAML"
            self._fail(line, f"{'yaml' if self.docker else 'no YAML'}: {what}; write plain UTF-8 text")
        if root is None:
            self.lines[()] = 1
            return None, self.lines
        self.lines[()] = root.line
        return self._expand(root, (), 0, False), self.lines

    # -- events to nodes --
    def _build(self, events: Iterator[Any]) -> _Node | None:
        """The first document's root; None where there is none."""
        anchors: dict[str, _Node] = {}
        open_nodes: list[_Node] = []
        keys: list[Any] = []  # for each open mapping, the key that waits for its value, or _NO_KEY
        root: _Node | None = None
        for event in events:
            kind = type(event)
            if kind is ScalarEvent:
                node = self._scalar(event)
            elif kind is AliasEvent:
                found = anchors.get(event.anchor)
                if found is None:
                    what = f"unknown anchor '{event.anchor}' referenced"
                    self._fail(event.start_mark.line + 1, f"yaml: {what}; write &{event.anchor} before it")
                if any(found is node for node in open_nodes):
                    what = f"anchor '{event.anchor}' value contains itself"
                    self._fail(event.start_mark.line + 1, f"yaml: {what}; write it out")
                node = found
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                self._check_tag(event, ("map",) if kind is MappingStartEvent else ("seq",))
                node = _Node(_MAP if kind is MappingStartEvent else _LIST, event.start_mark.line + 1, [])
                if len(open_nodes) >= MAX_DEPTH:
                    self._fail(node.line, f"more than {MAX_DEPTH} levels deep; write it flatter")
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                self._check_key(open_nodes.pop())
                keys.pop()
                continue
            elif kind is DocumentEndEvent:
                self._end(events)
                break
            elif kind is DocumentStartEvent:
                self._check_version(event)
                continue
            else:
                continue
            if event.anchor and kind is not AliasEvent:
                anchors[event.anchor] = node
            if open_nodes:
                self._put(open_nodes[-1], keys, node, event)
            else:
                root = node
            if kind is MappingStartEvent or kind is SequenceStartEvent:
                open_nodes.append(node)
                keys.append(_NO_KEY)
        return root

    def _check_version(self, event: Any) -> None:
        """`%YAML 1.1` is what Docker's parser takes."""
        if self.docker and event.version not in (None, (1, 1)):
            text = "yaml: found incompatible YAML document; leave %YAML out"
            self._fail(event.start_mark.line + 1, text)

    def _put(self, parent: _Node, keys: list[Any], node: _Node, event: Any) -> None:
        """Hang a finished or just begun node under its parent: an item, a key, or a key's value."""
        if parent.kind == _LIST:
            parent.value.append((event.start_mark.line + 1, node))
        elif keys[-1] is _NO_KEY:
            keys[-1] = self._key(parent, node, event)
        else:
            key, line = keys[-1]
            parent.value.append((key, line, node))
            keys[-1] = _NO_KEY

    def _key(self, parent: _Node, node: _Node, event: Any) -> tuple[Any, int]:
        line = event.start_mark.line + 1
        if node.kind != _TEXT:
            self._no_key = node  # told when it has been read to its end
            if isinstance(event, AliasEvent):
                self._check_key(node)
            return None, line
        plain = isinstance(event, ScalarEvent) and event.implicit[0]
        key = _MERGE if plain and event.value == "<<" else node.value
        if parent.seen is None:
            parent.seen = {}
        # 1, 1.0 and True are one key to Python, three to YAML.
        identity = key if isinstance(key, str) or key is _MERGE else (type(key), key)
        before = parent.seen.setdefault(identity, line)
        if before != line or len(parent.seen) == len(parent.value):
            self._duplicate("<<" if key is _MERGE else key, line, before)
        return key, line

    def _check_key(self, node: _Node) -> None:
        """A list or a mapping cannot be a key; `hostname: {{.Node.Hostname}}` without quotes has one."""
        if node is self._no_key:
            shown = _in_go(node) if self.docker else "a list or a mapping"
            instead = "write a text, or put what begins with {{ into quotes"
            self._fail(node.line, f"{'yaml' if self.docker else 'no YAML'}: invalid map key: {shown}; {instead}")

    def _duplicate(self, key: Any, line: int, before: int) -> NoReturn:
        shown = f'"{key}"' if isinstance(key, str) else key
        text = f"line {line}: mapping key {shown} already defined at line {before}"
        self._fail(line, f"{'yaml: unmarshal errors' if self.docker else 'no YAML'}: {text}; write it once")

    def _end(self, events: Iterator[Any]) -> None:
        """After the first document: Docker never reads on; in a scenario nothing may follow."""
        if self.docker:
            return
        for event in events:
            if isinstance(event, DocumentStartEvent):
                line = event.start_mark.line + 1
                self._fail(line, "a second document begins here; write one document a file, without ---")

    # -- scalars --
    def _scalar(self, event: Any) -> _Node:
        line = event.start_mark.line + 1
        text = event.value
        if event.tag is not None and self._ignores(event.tag):
            return _Node(_TEXT, line, text)
        if event.tag is not None:
            self._check_tag(event, ("str", "int", "float", "bool", "null"))
            plain = event.tag != _YAML_TAG + "str" and event.tag != "!"
        else:
            plain = event.implicit[0]
        if not plain:
            return _Node(_TEXT, line, text)
        value = resolve(text)
        if self.docker and value is text and _DATE.fullmatch(text):
            value = _moment(text)
        return _Node(_TEXT, line, value)

    def _check_tag(self, event: Any, known: tuple[str, ...]) -> None:
        tag = event.tag
        if tag is None or tag == "!" or tag in [_YAML_TAG + k for k in known] or self._ignores(tag):
            return
        shown = tag.replace(_YAML_TAG, "!!")[:40]
        text = f"a tag, `{shown}`, means nothing here; leave it out, or put the text into quotes"
        self._fail(event.start_mark.line + 1, text)

    def _ignores(self, tag: str) -> bool:
        """Docker's parser knows no tag of Compose's, `!reset` or `!override`: it reads what stands after it."""
        return self.docker and tag.startswith("!") and len(tag) > 1

    # -- nodes to data --
    def _expand(self, node: _Node, path: KeyPath, depth: int, aliased: bool) -> Any:
        """Plain data; aliases become copies, merge keys are resolved, and `lines` is filled."""
        if depth > MAX_DEPTH:
            self._fail(node.line, f"more than {MAX_DEPTH} levels deep; write it flatter")
        if node.seen is not None and _MERGE in node.seen:
            return self._merged(node, path, depth, aliased)
        if node.kind == _TEXT:
            return node.value
        lines, expand = self.lines, self._expand
        if node.kind == _MAP:
            data = {}
            for key, line, child in node.value:
                below = (*path, key)
                lines[below] = line
                data[key] = child.value if child.kind == _TEXT else expand(child, below, depth + 1, aliased)
            self._count(len(data))
            return data
        items = []
        for index, (line, child) in enumerate(node.value):
            below = (*path, index)
            lines[below] = line
            items.append(child.value if child.kind == _TEXT else expand(child, below, depth + 1, aliased))
        self._count(len(items))
        return items

    def _merged(self, node: _Node, path: KeyPath, depth: int, aliased: bool) -> dict[Any, Any]:
        """`<<`: a shallow merge; own keys win, then the first of several sources (yaml.v3 decode.go, `merge`)."""
        pairs: dict[Any, tuple[int, _Node]] = {k: (line, child) for k, line, child in node.value if k is not _MERGE}
        for key, line, child in node.value:
            if key is _MERGE:
                for source_key, source_line, source in self._sources(child, line, depth):
                    pairs.setdefault(source_key, (source_line, source))
        data = {}
        for key, (line, child) in pairs.items():
            below = (*path, key)
            self.lines[below] = line
            data[key] = self._expand(child, below, depth + 1, aliased)
        self._count(len(data))
        return data

    def _sources(self, node: _Node, line: int, depth: int) -> Iterator[tuple[Any, int, _Node]]:
        """The pairs that `<<` brings in, in the order in which they count."""
        if depth > MAX_DEPTH:
            self._fail(line, f"more than {MAX_DEPTH} levels deep; write it flatter")
        maps = [node] if node.kind == _MAP else [n for _, n in node.value] if node.kind == _LIST else [node]
        for source in maps:
            if source.kind != _MAP:
                self._fail(line, "map merge requires map or sequence of maps as the value; write <<: *name")
            self._count(len(source.value))
            yield from ((k, at, child) for k, at, child in source.value if k is not _MERGE)
            for key, at, child in source.value:
                if key is _MERGE:
                    yield from self._sources(child, at, depth + 1)

    def _count(self, nodes: int) -> None:
        """All nodes are counted, which is cheap; only aliases can make more of them than the text has characters."""
        self.aliased += nodes
        if self.aliased > MAX_ALIASED + len(self.text):
            self._fail(0, "yaml: document contains excessive aliasing; write it out, or use fewer aliases")

    # -- errors --
    def _fail(self, line: int, text: str) -> NoReturn:
        raise ScenarioError([Problem(self.file, line, text)])

    def _explain(self, error: MarkedYAMLError) -> NoReturn:
        """Words for what the scanner or parser stumbled over: libyaml's, as Docker shows them, and what to write."""
        problem, context = error.problem or "", error.context or ""
        mark = error.problem_mark or error.context_mark
        line = min(mark.line, max(self.text.count("\n") - self.text.endswith("\n"), 0)) + 1 if mark else 0
        start = error.context_mark.line + 1 if error.context_mark else line
        what, instead = next(
            ((w, i) for pattern, w, i in _SLIPS if re.search(pattern, f"{context}: {problem}")), (problem, "")
        )
        if "'\\t'" in problem and _ends_plainly(self.text.splitlines()[: line - 1]):
            what = "found a tab character that violates indentation"
        if not what:
            what = "could not find what should be here"
        instead = instead.format(start=start) if instead else "compare this line with the one before it"
        self._fail(line, f"{f'yaml: line {line}' if self.docker else 'no YAML'}: {what}; {instead}")


_NO_KEY = object()


class _Scanner(Scanner):
    """ruamel's, but for tabs: libyaml takes them for spaces where no key may begin, as before a comment (scanner.c)."""

    def scan_to_next_token(self) -> Any:
        while True:
            super().scan_to_next_token()
            if self.reader.peek() != "\t" or (self.allow_simple_key and not self.flow_level):
                return
            self.reader.forward()

    def scan_plain_spaces(self, indent: Any, start_mark: Any) -> Any:
        peek, length = self.reader.peek, 0
        while peek(length) in " \t":
            length += 1
        if length and peek(length) not in "\0\r\n\x85\u2028\u2029":
            blanks = self.reader.prefix(length)
            self.reader.forward(length)
            return [blanks]
        self.reader.forward(length)
        return super().scan_plain_spaces(indent, start_mark)


def _in_go(node: _Node) -> str:
    """As Go's %#v prints the data."""
    if node.kind == _LIST:
        return f"[]interface {{}}{{{', '.join(_in_go(item) for _, item in node.value)}}}"
    if node.kind == _MAP:
        texts = all(isinstance(key, str) for key, _, _ in node.value)
        pairs = sorted(f"{_scalar_in_go(key)}:{_in_go(child)}" for key, _, child in node.value)
        return f"map[{'string' if texts else 'interface {}'}]interface {{}}{{{', '.join(pairs)}}}"
    return _scalar_in_go(node.value)


def _scalar_in_go(value: Any) -> str:
    if value is None:
        return "interface {}(nil)"
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)


def _ends_plainly(lines: list[str]) -> bool:
    """Does the last of them that says something end with a text that could go on in the next line?"""
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return bool(last) and "#" not in last and last[-1] not in ":\"'>|-]},[{"


#: ruamel's context and problem; libyaml's words for it; what to write.
_SLIPS = [
    (r"found character '\\t'", "found character that cannot start any token", "indent with spaces, not with tabs"),
    (r"found character '%'", "found character that cannot start any token", "put what begins with % into quotes"),
    (r"found character '", "found character that cannot start any token", "put what begins with it into quotes"),
    (
        r"flow sequence.*(expected ',' or '\]'|end of stream|<stream end>)",
        "did not find expected ',' or ']'",
        "close the [ of line {start}, or separate with commas",
    ),
    (
        r"flow mapping.*(expected ',' or '\}'|end of stream|<stream end>)",
        "did not find expected ',' or '}'",
        "close the {{ of line {start}, or separate with commas",
    ),
    (r"unknown escape character", "found unknown escape character", "write \\\\ for a backslash, or use single quotes"),
    (r"node content", "did not find expected node content", "put what begins with a bracket or comma into quotes"),
    (r"flow node", "did not find expected node content", "close the bracket of line {start}"),
    (
        r"mapping values are not allowed",
        "mapping values are not allowed in this context",
        "put a text that contains `: ` into quotes, or mend the indentation",
    ),
    (r"quoted scalar", "found unexpected end of stream", "close the quotation mark of line {start}"),
    (r"block mapping: expected <block end>", "did not find expected key", "mend the indentation of this line"),
    (
        r"block (collection|sequence): expected <block end>",
        "did not find expected '-' indicator",
        "mend the indentation of this line",
    ),
    (r"simple key", "could not find expected ':'", "write key: value"),
    (r"block scalar", "did not find expected comment or line break", "put what begins with > or | into quotes"),
    (r"document start", "did not find expected <document start>", "mend the indentation of this line"),
    (
        r"(anchor|alias)",
        "did not find expected alphabetic or numeric character",
        "put what begins with & or * into quotes",
    ),
]


# ---- what a plain scalar means ---------------------------------------------------------------------------

_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
}
_NUMBERISH = frozenset("0123456789+-.")
_INT = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|[1-9][0-9]*|0)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}")
#: Longer numbers are no 64-bit integers, and Python refuses to read very long ones.
_MOST_DIGITS = 80


def resolve(text: str) -> Any:
    """What a scalar without quotes means: a text, a number, a boolean or None (yaml.v3 resolve.go)."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBERISH:
        return text
    plain = text.replace("_", "")
    if _INT.fullmatch(plain) and len(plain) <= _MOST_DIGITS:
        number = _integer(plain)
        if -(1 << 63) <= number < 1 << 64:
            return number
    if not _FLOAT.fullmatch(plain):
        return text
    real = float(plain)
    return real if math.isfinite(real) else text


def _integer(text: str) -> int:
    """Go's strconv.ParseInt with base 0: a leading 0 is octal."""
    sign = -1 if text[0] == "-" else 1
    digits = text.lstrip("+-").lower()
    if digits[:2] in ("0x", "0b", "0o"):
        return sign * int(digits, 0)
    return sign * int(digits, 8 if digits[0] == "0" else 10)


def _moment(text: str) -> str:
    """A date becomes a Go time.Time, and that prints so."""
    try:
        day = datetime.date(*map(int, text.split("-")))
    except ValueError:
        return text
    return f"{day.isoformat()} 00:00:00 +0000 UTC"


# ---- bytes -----------------------------------------------------------------------------------------------


def _text(file: str, max_bytes: int) -> str:
    """The text of a file; every way in which there is none is a problem of the user's."""

    def fail(text: str, line: int = 0) -> NoReturn:
        raise ScenarioError([Problem(file, line, text)])

    try:
        path = Path(file)
        if path.is_dir():
            fail("is a folder; write the name of a file in it")
        if path.exists() and not path.is_file():
            fail("is no ordinary file; write the name of a YAML file")
        with path.open("rb") as stream:
            data = stream.read(max_bytes + 1)
    except FileNotFoundError:
        fail("no such file; write the path of a file that exists")
    except (OSError, ValueError) as error:
        fail(f"cannot be read ({getattr(error, 'strerror', None) or error}); write the path of a readable file")
    if len(data) > max_bytes:
        fail(f"more than {_size(max_bytes)}; write less, or split it")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        fail("not UTF-8 text; save it as UTF-8", data.count(b"\n", 0, error.start) + 1)
    return text


def _size(count: int) -> str:
    return f"{count >> 20} MiB" if count >= 1 << 20 else f"{count} bytes"


__all__ = ["MAX_BYTES", "KeyPath", "Lines", "parse_yaml", "read_yaml", "resolve"]
