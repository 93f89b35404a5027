"""Commands from an agent's controller to its node's container engine (`out.execute(...)`), and their errors.

SwarmKit agent/exec/controller.go `Controller`; the engine that obeys is `sim.engine` (physics: how long things take).
"""

from __future__ import annotations

from typing import NamedTuple

from .health import Health
from .objects import Task


class Prepare(NamedTuple):
    """Pull the image where the node lacks it, and create the container. May fail with `ContainerError`."""

    task: Task


class Start(NamedTuple):
    """Start the container; answered when it runs."""

    task: Task


class Wait(NamedTuple):
    """Answered with the exit code when the container has ended (at once if it has already)."""

    task: Task


class WatchHealth(NamedTuple):
    """Answered when the container's health is another than `known`: with it, or with None when it has ended."""

    task: Task
    known: Health


class Stop(NamedTuple):
    """Stop the container within its grace period; answered with how it ended: its exit code, None if it never ran."""

    task: Task


class Remove(NamedTuple):
    """Remove what is left of the container; answered at once."""

    task_id: str


class ContainerError(Exception):
    """The engine could not do it, for good; the text goes into the task's `err`."""

    def __init__(self, text: str, exit_code: int | None = None) -> None:
        self.text = text
        self.exit_code = exit_code
        super().__init__(text)
