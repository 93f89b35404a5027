"""From stack files, or the Compose sections of a scenario, to a `Stack`: what is created, and what should be said.

The order of work is Docker's (docker/cli cli/compose/loader): read each file; its version; forbidden keys, on the words
as written; variables; the schema; then decode, merge the files, convert. Docker stops at the first error, and which one
that is may change from run to run. Here all are told that one of two steps finds: the words, then what they mean.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..api.specs import ConfigSpec, NetworkSpec, SecretSpec, ServiceSpec
from ..errors import Problem, ScenarioError
from . import schema
from .convert import Converter, Naming
from .decode import Config, Decoder
from .interpolation import interpolate
from .merge import merge
from .source import KeyPath, Line, Source, stop


class Stack:
    """What `docker stack deploy` would create, each list in the order of creation; `warnings` are lines of text.

    `external` are the names, by kind, of what some service uses and the stack does not make: it is in the lists all the
    same, for it is taken to be there. The stack keeps its words, so that `update` can tell what a service becomes with
    more of them.
    """

    def __init__(self, loaded: Loaded, naming: Naming) -> None:
        self._loaded = loaded
        self._naming = naming
        self.name = naming.stack
        self.warnings: list[str] = loaded.warnings()
        converter = self._converter(loaded)
        self.services: tuple[ServiceSpec, ...] = converter.services()
        self.networks: tuple[NetworkSpec, ...] = converter.networks()
        self.secrets: tuple[SecretSpec, ...] = converter.secrets()
        self.configs: tuple[ConfigSpec, ...] = converter.configs()
        self.external: dict[str, tuple[str, ...]] = {kind: tuple(names) for kind, names in converter.external.items()}
        stop(loaded.sources)

    def short(self, name: str) -> str:
        """What the file calls a service."""
        return next((n for n in self._loaded.config.services if self._naming.scope(n) == name), name)

    def update(self, name: str, patch: Mapping[str, Any]) -> ServiceSpec:
        """The service `name`, as it was created, with the keys of `patch` merged over it as a second `-c` would be.

        Problems have no line: the caller knows where the patch stands.
        """
        before = self._loaded
        short = self.short(name)
        if short not in before.config.services:
            raise ScenarioError(
                [Problem(before.sources[0].file, 0, f"unknown service `{name}`; name one of the file's")]
            )
        words = Source.of_sections({"services": {short: patch}}, before.sources[0].file, None, before.sources[0].base)
        loaded = _load([words], before.env, before.stand_in)
        loaded.config = merge(before.config, loaded.config)
        loaded.sources = [*before.sources, words]
        try:
            spec = self._converter(loaded).service(short)
            stop(loaded.sources)
        finally:
            for source in before.sources:
                source.forget()
        self._say(*loaded.warnings())
        return spec

    def _converter(self, loaded: Loaded) -> Converter:
        return Converter(loaded.config, self._naming, loaded.stand_in, loaded.tell, self._say)

    def _say(self, *texts: str) -> None:
        self.warnings += [text for text in texts if text not in self.warnings]


@dataclass
class Loaded:
    """Sources, and the one configuration that they make.

    `keys` are those of all services; `said` is what the client prints on the way; `unset` are variables, and what is
    said.
    """

    sources: list[Source]
    env: Mapping[str, str]
    stand_in: bool
    config: Config = field(default_factory=Config)
    keys: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    unset: dict[str, str] = field(default_factory=dict)

    def tell(self, path: KeyPath, text: str) -> None:
        """A problem of the whole stands in the last source that has its key, else where most of the path is."""
        best = self.sources[0]
        for source in self.sources:
            if source.depth(path) >= best.depth(path):
                best = source
        best.wrong(path, text)

    def warnings(self) -> list[str]:
        """The client's lines, then of variables, of which the client says nothing."""
        found = list(dict.fromkeys(self.said))
        unsupported = sorted({*schema.UNSUPPORTED} & {*self.keys})
        if unsupported:
            found.append(f"Ignoring unsupported options: {', '.join(unsupported)}")
        for key in sorted({*schema.DEPRECATED} & {*self.keys}):
            found.append(f"Ignoring deprecated options: {key}: {schema.DEPRECATED[key]}")
        return found + list(self.unset.values())


# ---- the steps -------------------------------------------------------------------------------------------


def _load(sources: list[Source], env: Mapping[str, str], stand_in: bool) -> Loaded:
    """The words of all sources, checked, decoded and merged; the caller stops at what decoding finds."""
    stop(sources)
    loaded = Loaded(sources, env, stand_in)
    _versions(sources)
    words = [_words(source, loaded) for source in sources]
    stop(sources)
    for source, data in zip(sources, words, strict=True):
        decoder = Decoder(source, env, stand_in)
        loaded.config = merge(loaded.config, decoder.config(data))
        loaded.said += decoder.warnings
    return loaded


def _versions(sources: list[Source]) -> None:
    """All files have the same; what a scenario writes has none, and is of the newest."""
    files = [source for source in sources if not source.inline]
    for source in files:
        source.minor = schema.minor_version(source.data, source.wrong)
        if source.minor != files[0].minor and None not in (source.minor, files[0].minor):
            text = f"version mismatched between two composefiles : 3.{files[0].minor} and 3.{source.minor}"
            source.wrong(("version",), f'{text}; write version: "3.{files[0].minor}"')


def _words(source: Source, loaded: Loaded) -> Mapping[str, Any]:
    """A source's data with its variables in place, checked against its version's schema."""
    schema.check_forbidden(source.data, source.wrong)

    def unset(path: KeyPath, name: str) -> None:
        line = source.line(path)
        where = f" ({Path(source.file).name}:{line})" if line else ""
        text = f"variable {name} is not set and empty, as in docker stack deploy{where}; write env: {{{name}: …}}"
        loaded.unset.setdefault(name, text)

    data = interpolate(source.data, loaded.env, source.wrong, unset)
    told = set(source.troubled)

    def tell(path: KeyPath, text: str) -> None:
        if not any(path[:steps] in told for steps in range(len(path) + 1)):
            source.wrong(path, text)

    if source.minor is not None:
        schema.check(data, source.minor, tell)
    services = data.get("services")
    for body in services.values() if isinstance(services, Mapping) else ():
        loaded.keys += [key for key in body if isinstance(key, str)] if isinstance(body, Mapping) else []
    return data


# ---- doors -----------------------------------------------------------------------------------------------


def load_stack(
    files: Sequence[str],
    *,
    name: str,
    env: Mapping[str, str],
    stand_in: bool = False,
    overlay: Mapping[str, Any] | None = None,
    file: str = "",
    lines: Line | None = None,
    again: bool = False,
) -> Stack:
    """Stack files, deployed as `docker stack deploy -c … NAME` would; raises `ScenarioError`.

    `stand_in`: side files that are missing are taken as empty. `overlay`: Compose sections of the scenario `file`,
    merged as a last `-c`; `lines` knows the line of each of their paths, and their side files are looked for beside
    the scenario. `again`: they were written over other files; what they add to services that these have no more is left
    out.
    """
    assert files, "a stack has at least one file"
    if not name.strip(" \t\n'\""):
        raise ScenarioError([Problem(files[0], 0, f'invalid stack name: "{name}"; write stack: {{name: shop}}')])
    sources = _read(files)
    if overlay and again:
        overlay = _still_there(overlay, sources)
    if overlay:
        sources.append(Source.of_sections(overlay, file, lines, Path(file).parent))
    return Stack(_load(sources, env, stand_in), Naming(name))


def _still_there(overlay: Mapping[str, Any], sources: list[Source]) -> dict[str, Any]:
    """Without what it says of services that are in no file and that it does not make by itself."""
    sections = [source.data.get("services") for source in sources if isinstance(source.data, Mapping)]
    there = {name for section in sections if isinstance(section, Mapping) for name in section}
    services = overlay.get("services")
    if not isinstance(services, Mapping):
        return dict(overlay)
    kept = {
        name: body
        for name, body in services.items()
        if name in there or (isinstance(body, Mapping) and body.get("image"))
    }
    return {**overlay, "services": kept}


def load_inline(
    sections: Mapping[str, Any],
    *,
    file: str,
    base: str | os.PathLike[str],
    env: Mapping[str, str],
    lines: Line | None = None,
    stand_in: bool = False,
) -> Stack:
    """Compose sections that a scenario writes in place: each thing is called as written, without a stack's labels."""
    source = Source.of_sections(sections, file, lines, Path(base))
    return Stack(_load([source], env, stand_in), Naming())


def _read(files: Sequence[str]) -> list[Source]:
    """All files, with side files beside the first; what is no YAML is told of all together."""
    sources, problems = [], []
    for file in files:
        try:
            sources.append(Source.of_file(file, Path(files[0]).parent))
        except ScenarioError as error:
            problems += error.problems
    if problems:
        raise ScenarioError(problems)
    return sources


__all__ = ["Stack", "load_inline", "load_stack"]
