"""The entries of a timeline: one verb each, its settings, its moment, its selectors (SCENARIOS.md sections 3, 6, 7).

First the words of each entry by itself (`drafts`); then, with all of them known, what they say of one another and of
the cluster (`entries`, `check_anchors`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..api.values import parse_times
from ..errors import ScenarioError, said
from ..faults.base import Fault
from ..faults.wipe import Wipe
from ..workload.deploy import Deploy
from ..workload.join import Join
from ..workload.leave import Leave
from ..workload.update import Update
from . import moments, selectors
from .deploys import known_stack, stacks
from .expectations import condition
from .moments import Moments
from .problems import Problems, keyed, unknown_key
from .schema import Entry
from .selectors import Known
from .words import KEYS_NOT_YET, VERBS, VERBS_NOT_YET, check_host, check_name, did_you_mean

Micros = int


@dataclass
class Draft:
    """An entry whose words are right, its selectors not read yet."""

    index: int
    verb: str
    ordinal: int
    label: str
    name: str | None
    at: moments.Moment
    what: Any
    when: Any = None  # the words of its condition
    wait: tuple[Micros, Micros] = (0, 0)

    @property
    def lasts(self) -> tuple[Micros, Micros] | None:
        return self.what.lasts if isinstance(self.what, Fault) else None

    @property
    def ends(self) -> bool:
        return not isinstance(self.what, Fault) or self.what.lasts is not None


def drafts(data: Any, problems: Problems) -> tuple[list[Draft], bool]:
    """The entries whose words are right, and whether all are."""
    if data is None:
        return [], True
    if not isinstance(data, list | tuple):
        problems.add(("timeline",), f"`timeline` must be a list, not {said(data)}; write - {{at: 10s, crash: w1}}")
        return [], False
    read = [_draft(i, words, problems) for i, words in enumerate(data)]
    found = [d for d in read if d is not None]
    many = {d.verb for d in found if sum(e.verb == d.verb for e in found) > 1}
    names: dict[str, int] = {}
    ordinals: dict[str, int] = {}
    for draft in found:
        draft.ordinal = ordinals[draft.verb] = ordinals.get(draft.verb, 0) + 1
        draft.label = draft.name or (f"{draft.verb} {draft.ordinal}" if draft.verb in many else draft.verb)
        if draft.name in names:
            problems.add(("timeline", draft.index, "name"), f"two entries are called `{draft.name}`; names are unique")
        elif draft.name:
            names[draft.name] = draft.index
    return found, len(found) == len(read)


def _draft(index: int, words: Any, problems: Problems) -> Draft | None:
    path = ("timeline", index)
    if not isinstance(words, Mapping):
        problems.add(path, f"an entry must be a mapping, not {said(words)}; write - {{at: 10s, crash: w1}}")
        return None
    verb = _verb(words, path, problems)
    if verb is None:
        return None
    before = len(problems.found)
    at = moments.parse("0s", times=True) if "when" in words and "at" not in words else None
    wait = _wait(words, path, problems)
    if at is not None:
        pass
    elif "at" not in words:
        if not any(did_you_mean(str(k), ["at"]) or str(k).startswith("at:") for k in words):
            problems.add(path, f"`at` is missing in `{verb}`; write at: 10s, or at: steady + 5s")
    else:
        at = problems.check((*path, "at"), lambda: keyed("at", lambda: moments.parse(words["at"], times=True)))
    name = words.get("name")
    if "name" in words:
        problems.check((*path, "name"), lambda: keyed("name", lambda: check_name(name)))
    rest = {key: value for key, value in words.items() if key not in ("at", "name", "when", "wait")}
    _unknown_keys(verb, words, path, problems)
    if len(problems.found) > before:
        rest = {k: v for k, v in rest.items() if k in _entry_keys(verb) or VERBS[verb] is Update}
    what = problems.model(VERBS[verb], rest, path, f"`{verb}`")
    if len(problems.found) > before or what is None or at is None:
        return None
    return Draft(index, verb, 0, "", name, at, what, words.get("when"), wait)


def _wait(words: Mapping[Any, Any], path: tuple[Any, ...], problems: Problems) -> tuple[Micros, Micros]:
    """`wait:` TIMES after the condition of `when` came true."""
    if "wait" not in words:
        return (0, 0)
    if "when" not in words:
        text = "`wait` counts from the condition of `when`, and there is none; write at: crash + 1s"
        problems.add((*path, "wait"), text)
        return (0, 0)
    found = problems.check((*path, "wait"), partial(keyed, "wait", partial(parse_times, words["wait"])))
    return found or (0, 0)


def _entry_keys(verb: str) -> list[str]:
    settings = [field.alias or name for name, field in VERBS[verb].model_fields.items() if name != verb]
    return ["at", "when", "wait", verb, *settings, "name"]


def _unknown_keys(verb: str, words: Mapping[Any, Any], path: tuple[Any, ...], problems: Problems) -> None:
    """Told here and not by the model, which does not see `at` and `name`."""
    known = _entry_keys(verb)
    for key in words:
        if key in known or (VERBS[verb] is Update and key not in KEYS_NOT_YET and _compose_like(key, words[key])):
            continue
        text = unknown_key(key, words, known, f"`{verb}`")
        if text:
            problems.add((*path, key), text)


def _compose_like(key: Any, value: Any) -> bool:
    """May it be a Compose key of an `update`? Slips of ours are found all the same."""
    return isinstance(key, str) and ":" not in key and value is not None


def _verb(words: Mapping[Any, Any], path: tuple[Any, ...], problems: Problems) -> str | None:
    verbs = [key for key in words if key in VERBS]
    if len(verbs) == 1:
        return str(verbs[0])
    if len(verbs) > 1:
        said_ = " and ".join(f"`{v}`" for v in verbs)
        problems.add((*path, verbs[1]), f"{said_} in one entry; an entry has one verb, write two entries")
        return None
    for key in words:
        if key in VERBS_NOT_YET:
            problems.add((*path, key), f"`{key}` is not yet a verb; there are {', '.join(VERBS)}")
            return None
    for key in words:
        glued = str(key).split(":")[0]
        if glued != key and (glued in VERBS or glued == "at"):
            text = f"unknown key `{key}` in {_glued_where(words, glued)}; a space is missing after the colon"
            problems.add((*path, key), text)
            return None
    known = ("at", "when", "wait", "name", "for", "via")
    for key in words:
        close = did_you_mean(str(key), VERBS) if key not in known else ""
        if close:
            problems.add((*path, key), f"unknown verb `{key}`; did you mean `{close}`?")
            return None
    strange = next((key for key in words if key not in known), None)
    if strange is not None:
        problems.add((*path, strange), f"unknown verb `{strange}`; there are {', '.join(VERBS)}")
    else:
        problems.add(path, f"an entry needs a verb; write one of {', '.join(VERBS)}")
    return None


def _glued_where(words: Mapping[Any, Any], glued: str) -> str:
    return f"`{glued}`" if glued in VERBS else "an entry"


def entries(
    found: list[Draft],
    known: Known,
    duration: Micros | None,
    problems: Problems,
    stack: Any,
    ready: bool,
    deploys: Mapping[str, Any],
) -> list[Entry]:
    """Read the selectors; a problem in one leaves its entry in, for anchors may name it."""
    known.entries = Moments(found, duration)
    _newcomers(found, known, problems)
    built = []
    for draft in found:
        path = ("timeline", draft.index)
        aims: dict[str, Any] = {}
        via = None
        if ready:
            for key, kind in draft.what.aims.items():
                value = getattr(draft.what, key)
                if isinstance(draft.what, Deploy):
                    aims[key] = deploys[draft.label].name if draft.label in deploys else ""
                elif value is not None or key == draft.verb:
                    aims[key] = problems.check((*path, key), _reader(kind, key, value, known))
            if getattr(draft.what, "via", None) is not None:
                reader = lambda d=draft: keyed("via", lambda: selectors.manager(d.what.via, known))  # noqa: E731
                via = problems.check((*path, "via"), reader)
            if isinstance(draft.what, Update) and aims.get("update"):
                _check_patch(draft.what, aims["update"], stacks(stack, deploys), path, problems)
        built.append(
            Entry(
                draft.index,
                problems.line(path),
                draft.verb,
                draft.ordinal,
                draft.label,
                draft.name,
                draft.at,
                draft.what,
                aims,
                via,
                condition(draft.when, known, (*path, "when"), problems) if ready and draft.when is not None else None,
                draft.wait,
            )
        )
    _created_once(built, stack, problems)
    return built


def _newcomers(found: list[Draft], known: Known, problems: Problems) -> None:
    """Hosts that join later may be named as those of `cluster` are; there is only one of each name."""
    for draft in found:
        if not isinstance(draft.what, Join):
            continue
        path = ("timeline", draft.index, "join")
        name = problems.check(path, partial(keyed, "join", partial(check_host, draft.what.join)))
        if name is None:
            continue
        if name in known.names and any(_may_forget(d.what) for d in found):
            continue  # whether it was that host, and in time, the run tells
        if name in known.names:
            text = f"`join`: the cluster has a node `{name}` already; write another name for the new one"
            problems.add(path, text)
        elif draft.what.role == "manager":
            known.managers = [*known.managers, name]
        else:
            known.workers = [*known.workers, name]


def _may_forget(what: Any) -> bool:
    """May it leave a host that knows of no swarm?"""
    return isinstance(what, Leave) or (isinstance(what, Wipe) and what.what == "swarm")


def _reader(kind: str, key: str, value: Any, known: Known) -> Callable[[], Any]:
    def read() -> Any:
        if kind == "service":
            return known.service(value)
        if kind == "stack":
            return known_stack(value, known.stacks)
        if kind == "cluster":
            return str(value)
        if kind == "host":
            return selectors.Names((str(value),))
        return selectors.nodes(value, known) if kind == "nodes" else selectors.tasks(value, known)

    return lambda: keyed(key, read)


def _check_patch(update: Update, service: str, stacks: list[Any], path: tuple[Any, ...], problems: Problems) -> None:
    """An update's Compose keys are read when the file is, so that no mistake waits for its moment.

    They must fit one of the stacks that the service may have been deployed from by then.
    """
    if not update.patch:
        if not update.force:
            problems.add(
                path, "`update` changes nothing; write a Compose key such as image: nginx:1.28, or force: true"
            )
        return
    wrong: list[str] = []
    for stack in stacks:
        if not any(spec.name == service for spec in stack.services):
            continue
        try:
            stack.update(service, update.patch)
            return
        except ScenarioError as error:
            wrong = wrong or [problem.text for problem in error.problems]
        except ValueError as error:
            wrong = wrong or [str(error)]
    for text in wrong:
        problems.add(path, text)


def _created_once(built: list[Entry], stack: Any, problems: Problems) -> None:
    seen: dict[str, Entry] = {}
    for entry in built:
        service = entry.aims.get("create")
        if service is None:
            continue
        path = ("timeline", entry.index, "create")
        if service in seen:
            text = f"`create`: {service} is created by `{seen[service].label}` already; a service is created once"
            problems.add(path, text)
        elif not any(spec.name == service for spec in stack.services):
            problems.add(
                path, f"`create`: {service} comes with a `deploy`; write it under services:, or leave this out"
            )
        seen[service] = entry


def check_anchors(built: list[Entry], timeline: Moments, problems: Problems) -> None:
    told: set[frozenset[str]] = set()
    for entry in built:
        path = ("timeline", entry.index, "at")
        circle = timeline.circle(entry)
        if circle:
            members = frozenset(re.findall(r"[\w-]+(?: \d+)?(?= waits)", circle))
            if members not in told:
                problems.add(path, f"`at`: {circle}")
            told.add(members)
            continue
        problems.check(path, partial(keyed, "at", partial(timeline.check, entry.at)))
        for part in (part for aim in entry.aims.values() for part in selectors.flat(aim)):
            if isinstance(part, selectors.TargetOf) and part.entry == entry.label:
                problems.add(path, f"`{part.entry}.target` is named by `{part.entry}` itself; name another entry")
