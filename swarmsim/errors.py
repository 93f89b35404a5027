"""The mistakes a user can make, apart from bugs of ours (assertions) and failed checks (results).

Three ways to stop are three exits (SCENARIOS.md section 10): a failed or undecided check is 1, a mistake of
the user (everything in this file) is 2, and anything else that escapes is a bug in swarmsim, 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: What Docker's client says of an engine that is not there.
NO_DAEMON = "Cannot connect to the Docker daemon. Is the docker daemon running?"


class SwarmsimError(Exception):
    """A mistake that the user can mend: shown as one line, without a traceback, exit code 2."""


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong in a file: `FILE:LINE: what is wrong; what to write`.

    `line` is 1-based; 0 means that the problem belongs to the file as a whole.
    """

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.text}"


def said(value: Any) -> str:
    """A value as the user wrote it, in a few words."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = str(value)
    return f"`{text if len(text) <= 60 else text[:57] + '...'}`"


class ScenarioError(SwarmsimError):
    """A scenario or stack file cannot be used. Holds every `Problem` found, in order of lines."""

    def __init__(self, problems: list[Problem]) -> None:
        assert problems, "a ScenarioError needs at least one problem"
        self.problems = sorted(problems)
        super().__init__("\n".join(map(str, self.problems)))


class ApiError(Exception):
    """A gRPC status that one machine answers another with: `rpc error: code = <code> desc = <text>`.

    Not a user's mistake by itself: an operator's step that is refused is a fact of the run (the check
    *timeline* judges it). SwarmKit: google.golang.org/grpc/status as used by manager/controlapi.
    """

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        self.text = text
        super().__init__(f"rpc error: code = {code} desc = {text}")


class LeadershipLost(ApiError):
    """A proposal was cancelled because its manager lost leadership. It may commit all the same.

    SwarmKit manager/state/raft/raft.go, `ErrLostLeadership`.
    """

    def __init__(self) -> None:
        super().__init__("FailedPrecondition", "raft: failed to process the request: node lost leader status")


class Panic(AssertionError):
    """Software found its own state impossible and ended its whole process, as Go's `panic` does.

    The Raft core raises it where etcd/raft panics over a log that is not what was promised. On a host whose disk keeps
    its promises and whose rules are all in force that is a bug of ours; else it is a fact of the run
    (`sim.host.Host.panic`).
    """
