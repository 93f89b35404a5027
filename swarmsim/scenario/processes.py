"""Worker processes for many runs, which never outlive the wish for them.

A pool of `concurrent.futures` would go on after Ctrl-C with all the runs it was given, and its processes would wait for
ever if ours was killed. Here Ctrl-C is heard by our process alone, which ends the others at once, whatever they do; and
each of them watches for our end.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import wait


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def pool_of(processes: int) -> Iterator[ProcessPoolExecutor]:
    """So many processes to give runs to; they are gone when the block is left, at once if by an exception."""
    pool = ProcessPoolExecutor(processes, initializer=_begin)
    try:
        yield pool
    except BaseException:
        _end(pool)
        raise
    pool.shutdown()


def _end(pool: ProcessPoolExecutor) -> None:
    """What runs is lost, and what waits is dropped: `shutdown` alone would wait for it."""
    for process in list((pool._processes or {}).values()):
        process.kill()
    pool.shutdown(cancel_futures=True)


# ---- in a worker -----------------------------------------------------------------------------------------


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends Ctrl-C to all processes
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_watch, args=(parent.sentinel,), daemon=True).start()


def _watch(parent: int) -> None:
    wait([parent])
    os._exit(1)
