"""One scenario under many seeds, in parallel: a measure of each run, in the order of the seeds.

A worker process gets the scenario as its words and builds it once, then runs seed after seed; back comes what was
measured, never a trace. The result does not depend on how many workers there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, TypeVar

from ..scenario.loader import Scenario
from ..scenario.processes import pool_of, processors
from .measure import Measure

T = TypeVar("T")
Factory = Callable[[], Measure[T]]
Progress = Callable[[int, int], None]  # runs done, of how many

#: Runs that a worker does at a stretch: enough to forget the cost of asking it, few enough to see progress.
CHUNK = 25


def sweep(
    scenario: Scenario,
    seeds: Sequence[int],
    measure: Factory[T],
    *,
    pool: Executor | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> list[T]:
    """The measure of a run under each seed, in their order.

    `pool`: an executor of processes to use again and again (`workers_pool`); else one is made of `workers` processes
    (default: as many as there are processors); with `workers=1` all is done in this process.
    """
    chunks = [seeds[i : i + CHUNK] for i in range(0, len(seeds), CHUNK)]
    work = partial(_measured, scenario.words, scenario.file, measure)
    found: list[T] = []
    with _pool(pool, workers, len(chunks)) as executor:
        results: Iterator[list[T]] = map(work, chunks) if executor is None else executor.map(work, chunks)
        for values in results:
            found += values
            if progress is not None:
                progress(len(found), len(seeds))
    return found


def workers_pool(workers: int | None = None) -> AbstractContextManager[ProcessPoolExecutor]:
    """Processes for several sweeps, one after the other."""
    return pool_of(workers or processors())


def _pool(pool: Executor | None, workers: int | None, chunks: int) -> AbstractContextManager[Executor | None]:
    """The executor to use, and who closes it; None: this process."""
    if pool is not None:
        return nullcontext(pool)
    number = min(workers or processors(), chunks)
    return workers_pool(number) if number > 1 else nullcontext(None)


# ---- in a worker -----------------------------------------------------------------------------------------

_built: dict[str, Any] = {}  # the scenario that this process built last, and the words of it


def _measured(words: dict[str, Any], file: str, measure: Factory[T], seeds: Sequence[int]) -> list[T]:
    from ..scenario.runner import run

    scenario = _scenario(words, file)
    found = []
    for seed in seeds:
        one = measure()
        run(scenario, seed, until=one.hear)
        found.append(one.value())
    return found


def _scenario(words: dict[str, Any], file: str) -> Scenario:
    if _built.get("words") != words or _built.get("file") != file:
        _built.update(words=words, file=file, scenario=Scenario.of_words(words, file))
    scenario: Scenario = _built["scenario"]
    return scenario
