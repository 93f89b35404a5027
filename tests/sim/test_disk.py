"""A host's disk: what is durable when, and what a crash leaves (`sim.disk`)."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmsim.machine import Garbled, Torn
from swarmsim.sim.clock import Clock
from swarmsim.sim.disk import Disk


def disk(fsync: tuple[int, int] = (1_000, 3_000), seed: int = 1) -> tuple[Clock, Disk]:
    env = Clock(0)
    return env, Disk(env, Random(seed), fsync)


def test_a_write_is_durable_when_its_fsync_is_over() -> None:
    env, d = disk((2_000, 2_000))
    done = d.write("raft", {"term": 3})
    told = []
    done.callbacks.append(lambda e: told.append((env.now, d.read("raft"))))

    env.run(2_000)
    before = d.read("raft")
    env.run(5_000)

    assert before == {}
    assert told == [(2_000, {"term": 3})]


def test_an_fsync_s_duration_is_drawn_from_its_range_ends_included() -> None:
    _, d = disk((3, 5))
    taken: Counter[int] = Counter()
    for _ in range(300):
        taken[d.write("raft", {})._delay] += 1

    assert sorted(taken) == [3, 4, 5]
    assert min(taken.values()) > 60


def test_an_instant_disk_needs_no_time() -> None:
    env, d = disk((0, 0))

    d.write("raft", {"term": 3})
    env.run(1)

    assert d.read("raft") == {"term": 3}


@pytest.mark.parametrize(("power", "kept"), [(True, {"a": 1}), (False, {"a": 1, "b": 2})])
def test_unsynced_writes_are_lost_with_the_power_and_kept_when_the_process_dies(power: bool, kept: object) -> None:
    """The operating system keeps what a killed process wrote."""
    env, d = disk((2_000, 2_000))
    d.write("raft", {"a": 1})
    env.run(2_500)
    d.write("raft", {"b": 2})

    d.crash(power)
    env.run(10_000)

    assert d.read("raft") == kept


def test_none_deletes_a_key() -> None:
    env, d = disk()
    d.preload("raft", {1: "a", 2: "b"})

    d.write("raft", {1: None, 3: None, 4: "d"})
    env.run(5_000)

    assert d.read("raft") == {2: "b", 4: "d"}


def test_each_machine_has_a_space_of_its_own() -> None:
    env, d = disk()
    d.preload("agent", {"k": "agent's"})
    d.write("raft", {"k": "raft's"})
    env.run(5_000)

    d.wipe("raft")

    assert d.read("raft") == {}
    assert d.read("agent") == {"k": "agent's"}


def test_what_was_read_is_a_copy() -> None:
    _, d = disk()
    d.preload("raft", {"k": 1})

    d.read("raft")["k"] = 2

    assert d.read("raft") == {"k": 1}


def test_a_later_write_is_never_undone_by_an_earlier_one_whose_fsync_took_longer() -> None:
    """An fsync makes durable all that the machine wrote before it."""
    for seed in range(30):
        env, d = disk(seed=seed)
        d.write("raft", {"vote": "m1"})
        d.write("raft", {"vote": "m2"})
        env.run(10_000)

        assert d.read("raft") == {"vote": "m2"}


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2_000), st.sampled_from("ab"), st.integers(0, 3)), max_size=20),
    st.integers(0, 30_000),
    st.booleans(),
    st.integers(0, 5),
)
def test_a_crash_leaves_a_prefix_of_what_each_machine_wrote(
    writes: list[tuple[int, str, int]], crash_at: int, power: bool, seed: int
) -> None:
    """Twin: apply the first n writes. What was promised durable is among them; without a power loss all of it is."""
    env, d = disk(seed=seed)
    written: dict[str, list[dict[int, int]]] = {"a": [], "b": []}
    told: Counter[str] = Counter()
    at = 0
    for i, (pause, machine, key) in enumerate(writes):
        at += pause
        if at >= crash_at:
            break
        env.timeout(at).callbacks.append(lambda e, m=machine, w={key: i}: _write(d, m, w, written, told))
    env.run(crash_at + 1)
    promised = dict(told)  # whoever waits for more dies with the host

    d.crash(power)
    env.run(crash_at + 60_000)

    for machine, all_of_it in written.items():
        prefixes = [_applied(all_of_it[:n]) for n in range(len(all_of_it) + 1)]
        possible = prefixes[promised.get(machine, 0) :] if power else prefixes[-1:]
        assert d.read(machine) in possible


def _write(
    d: Disk, machine: str, write: dict[int, int], written: dict[str, list[dict[int, int]]], told: Counter[str]
) -> None:
    written[machine].append(write)
    number = len(written[machine])

    def durable(event: object) -> None:
        told[machine] = max(told[machine], number)

    d.write(machine, write).callbacks.append(durable)


def _applied(writes: list[dict[int, int]]) -> dict[int, int]:
    out: dict[int, int] = {}
    for write in writes:
        out |= write
    return out


# ---- torn, damaged, deleted --------------------------------------------------------------------------------------


def unsynced() -> Disk:
    _, d = disk((2_000, 2_000))
    d.write("raft", {1: "a", 2: "b", 3: "c", 4: None})
    d.write("raft", {5: "e"})
    return d


def test_a_power_loss_may_leave_the_first_unsynced_write_in_part_its_last_value_torn() -> None:
    found = set()
    for seed in range(60):
        d = unsynced()
        assert d.crash(True, Random(seed)) == ("raft",)
        found.add(tuple(d.read("raft").items()))

    whole = [(1, "a"), (2, "b"), (3, "c")]
    assert found == {(*whole[:n], (whole[n][0], Torn(whole[n][1]))) for n in range(3)}


def test_nothing_is_torn_when_the_process_dies_or_nothing_was_under_way() -> None:
    killed, idle = unsynced(), disk()[1]

    assert killed.crash(False, Random(1)) == ()
    assert idle.crash(True, Random(1)) == ()
    assert killed.read("raft") == {1: "a", 2: "b", 3: "c", 5: "e"}


def test_who_is_writing_is_known() -> None:
    env, d = disk((2_000, 2_000))
    d.write("raft", {1: "a"})
    during = (d.has_unsynced("raft"), d.has_unsynced("agent"))
    env.run(5_000)

    assert (during, d.has_unsynced("raft")) == ((True, False), False)


def test_a_damaged_value_comes_back_as_damaged() -> None:
    _, d = disk()
    d.preload("raft", {1: "a", 2: "b"})

    d.damage("raft", 2)

    assert d.read("raft") == {1: "a", 2: Garbled("b")}


def test_files_deleted_while_they_are_open_take_writes_that_nobody_finds() -> None:
    """As an unlinked file does; whoever opens it anew begins with nothing, and what it writes then is kept."""
    env, d = disk()
    d.preload("raft", {1: "a"})
    d.write("raft", {2: "b"})

    d.wipe("raft", while_open=True)
    told = []
    d.write("raft", {3: "c"}).callbacks.append(lambda e: told.append(env.now))
    env.run(10_000)
    found = d.read("raft")
    d.store("raft", {4: "d"})

    assert len(told) == 1
    assert (found, d.read("raft")) == ({}, {4: "d"})
