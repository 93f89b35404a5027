"""What must hold: one subject for each expectation, its property, and when (SCENARIOS.md section 8)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from ..errors import said
from ..faults.base import format_times
from . import selectors
from .moments import Moments
from .problems import Problems, keyed
from .schema import COUNTERS, SUBJECTS, Expectation, format_counts
from .selectors import Known
from .words import KEYS_NOT_YET, did_you_mean, listed


def condition(data: Any, known: Known, path: tuple[Any, ...], problems: Problems) -> Expectation | None:
    """`when:` of an entry: the words of an expectation, without a time of its own."""
    if not isinstance(data, Mapping):
        text = f"`when` must be a mapping, not {said(data)}; write when: {{service: web, running: 3}}"
        problems.add(path, text)
        return None
    timed = [key for key in ("within", "after", "from", "until") if key in data]
    if timed:
        problems.add((*path, timed[0]), f"`{timed[0]}` has no place in `when`; write wait: 1s beside it, or at: crash")
        return None
    found = _expectation(0, data, known, problems, False, path)
    if found is not None and (found.counter or found.subject in ("convergence", "violates")):
        problems.add(path, f"`{found.text}` is no state of things, and cannot be waited for")
        return None
    return found


def expectations(data: Any, known: Known | None, problems: Problems, anchors: bool) -> list[Expectation]:
    if data is None:
        return []
    if not isinstance(data, list | tuple):
        text = f"`expect` must be a list, not {said(data)}; write - {{service: web, running: 3}}"
        problems.add(("expect",), text)
        return []
    found = [_expectation(i, words, known, problems, anchors) for i, words in enumerate(data)]
    return [e for e in found if e is not None]


def _expectation(
    index: int,
    words: Any,
    known: Known | None,
    problems: Problems,
    anchors: bool,
    path: tuple[Any, ...] | None = None,
) -> Expectation | None:
    path = path or ("expect", index)
    if not isinstance(words, Mapping):
        text = f"an expectation must be a mapping, not {said(words)}; write - {{service: web, running: 3}}"
        problems.add(path, text)
        return None
    subject = _subject(words, path, problems)
    if subject is None:
        return None
    before = len(problems.found)
    model = problems.model(SUBJECTS[subject], dict(words), path, f"`{subject}`")
    if model is None:
        return None
    aspect = _aspect(model, subject, path, problems)
    _check_when(model, subject, aspect, path, problems)
    target = _expected_target(model, subject, known, path, problems) if known else None
    if known and anchors:
        _check_moments(model, known.entries, path, problems)
    if len(problems.found) > before:
        return None
    _check_span(model, path, problems)
    counts = getattr(model, aspect, None) if aspect and aspect not in ("state", "update") else None
    if subject == "leader_changes":
        counts = model.leader_changes
    bound = getattr(model, "convergence", None)
    return Expectation(
        index=index,
        line=problems.line(path),
        text=_said(model, subject, aspect),
        subject=subject,
        target=target,
        aspect=aspect,
        counts=counts,
        state=getattr(model, "state", None) or (aspect == "update" and model.update) or "",
        error=getattr(model, "error", None) or "",
        within=_span(getattr(model, "within", None)),
        after=getattr(model, "after", None),
        from_=getattr(model, "from_", None),
        until=getattr(model, "until", None),
        bound=bound if isinstance(bound, int) else None,
        waived=bound == "waived",
        check=getattr(model, "violates", ""),
    )


def _subject(words: Mapping[Any, Any], path: tuple[Any, ...], problems: Problems) -> str | None:
    subjects = [key for key in words if key in SUBJECTS]
    if len(subjects) == 1:
        return str(subjects[0])
    if subjects:
        said_ = " and ".join(f"`{s}`" for s in subjects)
        text = f"{said_} in one expectation; an expectation has one subject, write two"
        problems.add((*path, subjects[1]), text)
        return None
    for key in words:
        if key in KEYS_NOT_YET:
            problems.add((*path, key), f"`{key}` is not yet in the language; see section 13 of SCENARIOS.md")
            return None
        glued = str(key).split(":")[0]
        if glued != key and glued in SUBJECTS:
            problems.add((*path, key), f"unknown key `{key}` in `{glued}`; a space is missing after the colon")
            return None
    for key in words:
        close = did_you_mean(str(key), SUBJECTS)
        if close:
            problems.add((*path, key), f"unknown subject `{key}`; did you mean `{close}`?")
            return None
    problems.add(path, f"an expectation needs a subject; write one of {', '.join(SUBJECTS)}")
    return None


def _aspect(model: Any, subject: str, path: tuple[Any, ...], problems: Problems) -> str:
    given = [p for p in type(model).properties if getattr(model, p) is not None]
    if subject == "service" and given == ["tasks"] and model.state is None:
        problems.add(path, "`tasks` counts those in one state; write state: running beside it")
    if subject == "service" and model.state is not None and given != ["tasks"]:
        problems.add((*path, "state"), "`state` says which tasks are counted; write tasks: 3 beside it")
    if len(given) > 1:
        said_ = " and ".join(f"`{p}`" for p in given)
        problems.add((*path, given[1]), f"{said_} in one expectation; write two expectations")
    if type(model).properties and not given:
        error = getattr(model, "error", None)
        instead = "pending: 1.." if error else f"one of {', '.join(type(model).properties)}"
        problems.add(path, f"`{subject}` needs a property; write {instead}")
        return ""
    if getattr(model, "error", None) and "pending" not in given:
        problems.add((*path, "error"), "`error` says which pending tasks are meant; write pending: 1.. beside it")
    return given[0] if given else ""


def _check_when(model: Any, subject: str, aspect: str, path: tuple[Any, ...], problems: Problems) -> None:
    has = {key for key in ("within", "after", "from_", "until") if getattr(model, key, None) is not None}
    if has & {"within", "after"} and has & {"from_", "until"}:
        problems.add(path, "`within` and `after` do not go with `from` and `until`; write two expectations")
    elif "within" in has and "after" not in has:
        problems.add((*path, "within"), "`within` needs `after`; write after: 0s, or after: crash")
    elif "after" in has and "within" not in has:
        problems.add((*path, "after"), "`after` needs `within`; write within: 30s")
    elif "within" in has and aspect in COUNTERS:
        text = f"`{aspect}` is a counter and does not go with `within`; write from: and until: around what it counts"
        problems.add((*path, "within"), text)


def _span(within: tuple[int, int] | None) -> tuple[int, int] | None:
    """`within: T` is at most T; `within: A..B` says also not sooner than A."""
    if within is None:
        return None
    low, high = within
    return (0 if low == high else low, high)


def _check_moments(model: Any, timeline: Moments, path: tuple[Any, ...], problems: Problems) -> None:
    for key in ("after", "from", "until"):
        moment = getattr(model, "from_" if key == "from" else key, None)
        if moment is not None:
            problems.check((*path, key), partial(keyed, key, partial(timeline.check, moment)))


def _check_span(model: Any, path: tuple[Any, ...], problems: Problems) -> None:
    """`from` before `until`, where the file alone tells."""
    start, stop = getattr(model, "from_", None), getattr(model, "until", None)
    if start is None or stop is None or start.anchor != stop.anchor:
        return
    if start.low >= stop.low:
        problems.add(path, f"`from: {start}` is not before `until: {stop}`; nothing lies between")


def _expected_target(model: Any, subject: str, known: Known, path: tuple[Any, ...], problems: Problems) -> Any:
    if subject == "service":
        return problems.check((*path, "service"), lambda: keyed("service", lambda: known.service(model.service)))
    if subject == "node":
        read = lambda: keyed("node", lambda: selectors.expected_nodes(model.node, known))  # noqa: E731
        return problems.check((*path, "node"), read)
    if subject == "leader":
        if model.leader in ("any", "none"):
            return model.leader
        read = lambda: keyed("leader", lambda: selectors.expected_nodes(model.leader, known))  # noqa: E731
        return problems.check((*path, "leader"), read)
    if subject == "violates":
        problems.check((*path, "violates"), lambda: _known_check(model.violates))
    return None


def check_names() -> list[str]:
    """The checks that always run, by the names that reports use."""
    try:
        from ..checks import CHECKS
    except ImportError:
        from .schema import CHECKS_ALWAYS

        return list(CHECKS_ALWAYS)
    return [getattr(check, "name", None) or str(check) for check in CHECKS]


def _known_check(name: Any) -> None:
    names = check_names()
    if name not in names:
        close = did_you_mean(str(name), names)
        raise ValueError(
            f"`violates`: unknown check `{name}`; "
            + (f"did you mean `{close}`?" if close else f"the checks are {listed(names)}")
        )


def _said(model: Any, subject: str, aspect: str) -> str:
    """`web running 12 within 25s after crash`: the expectation as reports show it."""
    parts = [subject if subject not in ("service", "node") else _target_said(getattr(model, subject))]
    if subject in ("leader", "leader_changes", "convergence", "violates"):
        value = getattr(model, subject)
        if subject == "leader_changes":
            value = format_counts(value)
        elif isinstance(value, int):
            value = format_times((value, value))
        parts.append(_target_said(value))
    if aspect in ("state", "update"):
        parts += [aspect, getattr(model, aspect)] if aspect == "update" else [model.state]
    elif aspect:
        parts += [aspect, format_counts(getattr(model, aspect))]
    if aspect == "tasks":
        parts.append(str(model.state))
    if getattr(model, "error", None):
        parts.append(f"with `{model.error}`")
    if getattr(model, "within", None):
        parts.append(f"within {format_times(model.within)} after {model.after}")
    if getattr(model, "from_", None):
        parts.append(f"from {model.from_}")
    if getattr(model, "until", None):
        parts.append(f"until {model.until}")
    return " ".join(parts)


def _target_said(value: Any) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, list | tuple) else str(value)
