"""The recorder: stamps, lines, digest, notes, chains and the first difference (`trace.recorder`)."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from enum import IntEnum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmsim.trace.events import EVENTS, FaultStarted, HostCrashed, NodeRegistered, RunEnded, StepAnswered
from swarmsim.trace.recorder import Recorded, Trace, describe_events, first_difference, line

ROOT = Path(__file__).parents[2]


def ended(*whys: str) -> Trace:
    """A trace of `RunEnded` events, one a microsecond, each the cause of the next."""
    trace = Trace()
    for i, why in enumerate(whys):
        trace.record(RunEnded(why), i, i)
    return trace


# ---- stamps ----------------------------------------------------------------------------------------------------
def test_an_event_is_stamped_with_its_place_its_time_and_its_cause() -> None:
    trace = Trace()

    first = trace.record(FaultStarted("crash", "crash", ("w1",), (), None, ""), 5, 0)
    second = trace.record(HostCrashed("w1", "power"), 7, first)

    assert (first, second) == (1, 2)
    assert trace[2] == Recorded(2, 7, 1, HostCrashed("w1", "power"))
    assert [r.seq for r in trace] == [1, 2]
    assert len(trace) == 2


def test_there_is_no_event_0_and_none_after_the_last() -> None:
    trace = ended("a")

    for seq in (0, 2):
        with pytest.raises(AssertionError, match=f"no event {seq}; the trace has 1"):
            trace[seq]


def test_listeners_hear_each_event_at_once_and_in_order() -> None:
    trace = Trace()
    heard: list[tuple[str, int, int]] = []
    trace.listeners.append(lambda r: heard.append(("one", r.seq, len(trace))))
    trace.listeners.append(lambda r: heard.append(("two", r.seq, len(trace))))

    trace.record(RunEnded("a"), 0, 0)
    trace.record(RunEnded("b"), 0, 0)

    assert heard == [("one", 1, 1), ("two", 1, 1), ("one", 2, 2), ("two", 2, 2)]


def test_events_of_some_classes_in_order() -> None:
    trace = ended("a", "b")
    trace.record(HostCrashed("w1", "power"), 9, 0)
    trace.record(NodeRegistered("w1", "s", "m1"), 9, 0)

    assert [r.seq for r in trace.of(RunEnded, NodeRegistered)] == [1, 2, 4]


# ---- lines -------------------------------------------------------------------------------------------------------
def values(hint: Any) -> st.SearchStrategy[Any]:
    """Any value that a field of that type may have."""
    if hint is NoneType:
        return st.none()
    if hint is int:
        return st.integers(-(10**18), 10**18)
    if hint is str:
        return st.text()
    if hint is bool:
        return st.booleans()
    if isinstance(hint, type) and issubclass(hint, IntEnum):
        return st.sampled_from(list(hint))
    if get_origin(hint) is UnionType:
        return st.one_of(*map(values, get_args(hint)))
    if get_origin(hint) is tuple:
        parts = get_args(hint)
        if parts[-1] is Ellipsis:
            return st.lists(values(parts[0]), max_size=3).map(tuple)
        return st.tuples(*map(values, parts))
    raise AssertionError(f"a trace event's field is {hint}: ids, numbers, enums and texts only")


def events(cls: type) -> st.SearchStrategy[Any]:
    return st.builds(cls, **{name: values(hint) for name, hint in get_type_hints(cls).items()})


def as_json(value: Any) -> Any:
    """The slow, obvious twin of `recorder.plain`."""
    if isinstance(value, IntEnum):
        return value.name
    return [as_json(part) for part in value] if isinstance(value, tuple) else value


@pytest.mark.parametrize("cls", EVENTS, ids=lambda cls: cls.__name__)
def test_a_line_is_what_json_dumps_with_sorted_keys_gives(cls: type) -> None:
    """The generated formatter against the obvious one, for whatever a field may hold."""

    @settings(max_examples=15, deadline=None)
    @given(st.integers(1, 10**9), st.integers(0, 10**15), st.integers(0, 10**9), events(cls))
    def holds(seq: int, at: int, cause: int, event: Any) -> None:
        fields = {name: as_json(value) for name, value in event._asdict().items()}
        stamps = {"seq": seq, "at": at, "cause": cause, "ev": cls.__name__}

        said = line(Recorded(seq, at, cause, event))

        assert said == json.dumps({**stamps, **fields}, sort_keys=True, separators=(",", ":"))
        assert "\n" not in said

    holds()


def test_a_field_that_hides_a_stamp_is_a_bug() -> None:
    from typing import NamedTuple

    class Hides(NamedTuple):
        at: int

    with pytest.raises(AssertionError, match=r"Hides\.at hides a stamp"):
        line(Recorded(1, 0, 0, Hides(3)))


# ---- the digest ------------------------------------------------------------------------------------------------
def test_the_digest_is_that_of_the_lines() -> None:
    trace = ended("a", "b")

    assert trace.digest() == hashlib.sha256("\n".join(trace.lines()).encode()).hexdigest()


@pytest.mark.parametrize(
    "changed",
    [("seq", ended("x", "a")), ("text", ended("b")), ("nothing left", ended())],
    ids=lambda change: change[0],
)
def test_the_digest_changes_with_any_event(changed: tuple[str, Trace]) -> None:
    assert changed[1].digest() != ended("a").digest()


@pytest.mark.parametrize(("at", "cause"), [(1, 0), (0, 1)])
def test_the_digest_changes_with_time_and_cause(at: int, cause: int) -> None:
    trace = Trace()
    trace.record(RunEnded("a"), at, cause)

    assert trace.digest() != ended("a").digest()


def test_the_digest_is_taken_anew_when_something_was_recorded_since() -> None:
    trace = ended("a")
    before = trace.digest()

    trace.record(RunEnded("b"), 1, 1)

    assert trace.digest() == ended("a", "b").digest() != before


RUN = """
import swarmsim
result = swarmsim.run(swarmsim.Scenario(
    cluster={"managers": 3, "workers": 2, "nodes": {"w1": {"labels": {"zone": "a", "disk": "ssd"}}}},
    services={
        "web": {"image": "nginx", "deploy": {"replicas": 4, "placement": {"constraints": ["node.role == worker"]}}},
        "log": {"image": "log", "deploy": {"mode": "global"}, "x-sim": {"run": "5s..9s", "exit": 1}},
    },
    timeline=[
        {"at": "9s..11s", "crash": "leader"},
        {"at": "30s", "loss": "one of workers", "share": "30%", "for": "9s"},
    ],
    duration="60s",
), seed=7, verbose=VERBOSE)
"""


def run_here(verbose: bool) -> Any:
    names: dict[str, Any] = {}
    exec(RUN.replace("VERBOSE", str(verbose)), names)
    return names["result"]


def test_one_seed_gives_one_digest_in_every_process_and_verbosity_changes_nothing() -> None:
    """DESIGN section 5: the same bytes under every PYTHONHASHSEED; what a verbose run notes is outside the digest."""
    code = RUN.replace("VERBOSE", "False") + "print(result.digest)"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for hash_seed in ("0", "1", "31337")
    ]
    plain, verbose = run_here(verbose=False), run_here(verbose=True)

    digests = [process.communicate()[0].strip() for process in processes]

    assert digests == [plain.digest] * 3
    assert verbose.digest == plain.digest
    assert (len(plain.trace) > 300, plain.trace.optional) == (True, [])
    assert len(verbose.trace.optional) > 0
    assert verbose.trace.counts == plain.trace.counts


# ---- notes -------------------------------------------------------------------------------------------------------
def noted(verbose: bool) -> Trace:
    trace = Trace(verbose=verbose)
    trace.note("heartbeat", 0, "w1")
    trace.record(RunEnded("a"), 1, 0)
    trace.note("heartbeat", 2, "w1")
    trace.note("probe", 2, "w1", "w2")
    trace.record(RunEnded("b"), 3, 0)
    trace.note("heartbeat", 4, "w2")
    return trace


def test_what_is_too_frequent_to_record_is_counted() -> None:
    assert noted(verbose=False).counts == noted(verbose=True).counts == {"heartbeat": 3, "probe": 1}


def test_notes_carry_no_seq_and_are_outside_the_digest() -> None:
    assert noted(verbose=True).digest() == noted(verbose=False).digest()
    assert list(noted(verbose=True)) == list(noted(verbose=False))


def test_a_verbose_run_tells_its_notes_between_the_events_as_they_came() -> None:
    lines = [json.loads(text) for text in noted(verbose=True).lines()]

    assert [(found.get("note") or found["why"], found["at"]) for found in lines] == [
        ("heartbeat", 0),
        ("a", 1),
        ("heartbeat", 2),
        ("probe", 2),
        ("b", 3),
        ("heartbeat", 4),
    ]
    assert lines[3] == {"at": 2, "note": "probe", "fields": ["w1", "w2"]}
    assert len(list(noted(verbose=False).lines())) == 2


# ---- why, and where two runs part ----------------------------------------------------------------------------
def test_a_chain_leads_from_an_event_to_its_first_cause() -> None:
    trace = Trace()
    for cause in (0, 1, 1, 2, 4):
        trace.record(RunEnded(""), 0, cause)

    assert [r.seq for r in trace.chain(5)] == [5, 4, 2, 1]
    assert [r.seq for r in trace.chain(3)] == [3, 1]
    assert trace.chain(0) == []


def test_a_cause_that_comes_after_its_effect_is_a_bug() -> None:
    trace = Trace()
    trace.record(RunEnded(""), 0, 1)

    with pytest.raises(AssertionError, match="event 1 has a cause after it: 1"):
        trace.chain(1)


def test_equal_traces_have_no_first_difference() -> None:
    assert first_difference(ended("a", "b"), ended("a", "b")) is None
    assert first_difference(Trace(), Trace()) is None


def test_the_first_difference_is_a_pair_of_events() -> None:
    a, b = ended("a", "b", "c"), ended("a", "x", "c")

    assert first_difference(a, b) == (a[2], b[2])


@pytest.mark.parametrize("swap", [False, True])
def test_where_one_trace_is_shorter_the_other_goes_on(swap: bool) -> None:
    a, b = ended("a"), ended("a", "b")
    if swap:
        a, b = b, a

    found = first_difference(a, b)

    assert found == ((a[2], None) if swap else (None, b[2]))


def test_traces_that_differ_only_in_a_stamp_differ() -> None:
    a, b = Trace(), Trace()
    a.record(StepAnswered("", "scale", "web", ""), 5, 0)
    b.record(StepAnswered("", "scale", "web", ""), 6, 0)

    assert first_difference(a, b) == (a[1], b[1])


def test_the_catalogue_can_be_listed_with_what_each_event_means() -> None:
    listed = dict(describe_events())

    assert set(listed) == {cls.__name__ for cls in EVENTS}
    assert listed["HeartbeatExpired"].startswith("The dispatcher heard nothing from a node for the grace period")
