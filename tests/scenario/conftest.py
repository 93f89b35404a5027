"""A guard of 20 s around each test: a broken file must never hang."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from types import FrameType

import pytest


def _too_long(signum: int, frame: FrameType | None) -> None:
    raise TimeoutError("longer than 20 s")


@pytest.fixture(autouse=True)
def guard() -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
