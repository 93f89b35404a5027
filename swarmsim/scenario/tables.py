"""What docker would print: `docker node ls`, `docker service ls`, `docker service ps`, in its columns and its words.

Read from the trace alone, as the managers' store has it after the last event. Forms as in docker/cli
(cli/command/formatter, node/formatter.go, task/print.go, service/formatter.go). Where they differ: ids are the
simulator's, and a task's age counts from the commit that wrote its status, up to 100 ms after the agent's own stamp.
Ports of single tasks (published in host mode) are not in the trace.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ..api.states import NodeRole, TaskState
from ..errors import NO_DAEMON
from ..trace.events import FaultEnded, FaultStarted, NodeChanged, TaskChanged
from ..trace.recorder import Trace
from .ledger import Ledger, NodeLedger, ServiceLedger, TaskLife
from .shortfall import shortfall

if TYPE_CHECKING:
    from .runner import Result

Micros = int
Row = tuple[str, ...]

NODE_COLUMNS = ("ID", "HOSTNAME", "STATUS", "AVAILABILITY", "MANAGER STATUS", "ENGINE VERSION")
SERVICE_COLUMNS = ("ID", "NAME", "MODE", "REPLICAS", "IMAGE", "PORTS")
TASK_COLUMNS = ("ID", "NAME", "IMAGE", "NODE", "DESIRED STATE", "CURRENT STATE", "ERROR", "PORTS")

#: What docker says when the swarm has no leader (daemon/cluster/errors).
NO_LEADER = (
    "Error response from daemon: rpc error: code = Unknown desc = The swarm does not have a leader. It's possible that "
    "too few managers are online. Make sure more than half of the managers are online."
)
#: Docker cuts errors and ids (docker/cli task/print.go `maxErrLength`; stringid.TruncateID).
ERROR_LENGTH, ID_LENGTH = 30, 12
#: After a way is cut, the stream to the peer is given up and the peer counts as unreachable (raft/transport/peer.go).
STALL: Micros = 2_000_000


def longest_short(result: Result) -> float | None:
    """The longest time that a service was short, in seconds; None where none was."""
    ledger = Ledger(result.trace)
    found = [s for service in ledger.services.values() if (s := shortfall(service, ledger.end)) is not None]
    return max((s.length(s.longest) / 1e6 for s in found), default=None)


def node_ls(trace: Trace) -> str:
    """`docker node ls`, asked of the first manager that is up."""
    ledger = Ledger(trace)
    return refusal(ledger) or "\n".join(columns(NODE_COLUMNS, node_rows(ledger)))


def service_ls(trace: Trace) -> str:
    """`docker service ls`. It counts a dead node's tasks, too."""
    ledger = Ledger(trace)
    return refusal(ledger) or "\n".join(columns(SERVICE_COLUMNS, service_rows(ledger)))


def service_ps(trace: Trace, service: str, now: Micros | None = None) -> str:
    """`docker service ps SERVICE` at `now` (default: the time of the last event)."""
    ledger = Ledger(trace)
    said = refusal(ledger)
    if said:
        return said
    known = ledger.services.get(service)
    if known is None or known.event is None or known.removed:
        return f"no such service: {service}"
    return "\n".join(columns(TASK_COLUMNS, task_rows(ledger, tasks_of(ledger, service), now)))


def refusal(ledger: Ledger) -> str:
    """Why docker has no answer now; "" where it has one."""
    if not any(manager.up.now for manager in ledger.managers()):
        return NO_DAEMON
    return "" if ledger.history.leader.now else NO_LEADER


# ---- rows -------------------------------------------------------------------------------------------------


def node_rows(ledger: Ledger, nodes: Iterable[NodeLedger] | None = None) -> list[Row]:
    """`nodes` (default: all) in docker's order, by hostname."""
    asked = next((m.name for m in ledger.managers() if m.up.now), "")
    known = [n for n in (ledger.nodes.values() if nodes is None else nodes) if n.event is not None]
    rows = []
    for node in sorted(known, key=lambda n: natural(n.name)):
        event = node.event
        assert event is not None, f"{node.name} is not in the store"
        status = manager_status(ledger, node.name) if event.role is NodeRole.MANAGER else ""
        rows.append(_node_row(event, status, node.name == asked))
        former = [e for e in ledger.former.values() if e.node == node.name]
        rows += [_node_row(e, "Unreachable" if e.role is NodeRole.MANAGER else "", False) for e in former]
    return rows


def _node_row(event: NodeChanged, status: str, asked: bool) -> Row:
    return (
        f"{event.id} {'*' if asked else ' '}",
        event.hostname,
        event.state.name.capitalize(),
        event.availability.name.capitalize(),
        status,
        event.engine,
    )


def manager_status(ledger: Ledger, name: str) -> str:
    """As the leader sees it (manager/state/raft `GetMemberlist`): reachable while its stream to that member works."""
    leader = ledger.history.leader.now
    if name == leader:
        return "Leader"
    node = ledger.nodes[name]
    if not node.up.now or not node.role.now or cut_off(ledger, name, leader):
        return "Unreachable"
    return "Reachable"


def cut_off(ledger: Ledger, a: str, b: str) -> bool:
    """Does a partition that has lasted longer than a stream is kept lie between the two?"""
    walls: dict[str, tuple[Micros, FaultStarted]] = {}
    for recorded in ledger.trace.of(FaultStarted, FaultEnded):
        if recorded.event.kind == "partition" and type(recorded.event) is FaultStarted:
            walls[recorded.event.entry] = (recorded.at, recorded.event)
        else:
            walls.pop(recorded.event.entry, None)
    lasting = [wall for at, wall in walls.values() if ledger.end - at >= STALL]
    return any((x in wall.nodes and y in wall.peers) for wall in lasting for x, y in ((a, b), (b, a)))


def service_rows(ledger: Ledger) -> list[Row]:
    kept = [s for s in ledger.services.values() if s.event is not None and not s.removed]
    return [_service_row(ledger, s) for s in sorted(kept, key=lambda s: natural(s.name))]


def _service_row(ledger: Ledger, service: ServiceLedger) -> Row:
    event = service.event
    assert event is not None, f"{service.name} is not in the store"
    mode = event.mode.replace("-", " ")
    return (event.id[:ID_LENGTH], event.service, mode, replicas(ledger, service), event.image, ", ".join(event.ports))


def replicas(ledger: Ledger, service: ServiceLedger) -> str:
    """`12/12`; of jobs `2/2 (3/5 completed)` (controlapi/service.go `ListServiceStatuses`)."""
    event = service.event
    assert event is not None, f"{service.name} is not in the store"
    if not service.is_job:
        wanted = event.replicas if event.mode == "replicated" else _count_wanted(ledger, service)
        return f"{service.said.now}/{wanted}"
    tasks = [life.last for life in tasks_of(ledger, service.name) if life.last.iteration == event.iteration]
    done = sum(t.now is TaskState.COMPLETE for t in tasks)
    running = sum(t.now is TaskState.RUNNING for t in tasks)
    open_ = sum(t.desired is TaskState.COMPLETE and t.now is not TaskState.COMPLETE for t in tasks)
    wanted, total = (event.replicas, event.completions) if event.mode == "replicated-job" else (open_, done + open_)
    return f"{running}/{wanted} ({done}/{total} completed)"


def _count_wanted(ledger: Ledger, service: ServiceLedger) -> int:
    return sum(life.last.desired is TaskState.RUNNING for life in tasks_of(ledger, service.name))


def tasks_of(ledger: Ledger, service: str) -> list[TaskLife]:
    """The service's tasks in the store, as docker sorts them: by name, the newest first (task/print.go)."""
    found = [t for t in ledger.tasks.values() if t.last.service == service and t.last.action != "REMOVE"]
    found.sort(key=lambda t: (t.created_at, t.last.generation), reverse=True)
    return sorted(found, key=lambda t: natural(t.last.name))


def task_rows(ledger: Ledger, tasks: Sequence[TaskLife], now: Micros | None = None) -> list[Row]:
    """A slot's history stands below its newest task, with `\\_` before the name."""
    now = ledger.end if now is None else now
    rows: list[Row] = []
    before = ""
    for life in tasks:
        e = life.last
        name = f" \\_ {e.name}" if e.name == before else e.name
        before = e.name
        rows.append(
            (
                e.task[:ID_LENGTH],
                name,
                e.image,
                e.node,
                e.desired.name.capitalize(),
                f"{e.now.name.capitalize()} {human_duration(now - life.since).lower()} ago",
                error_said(e),
                "",
            )
        )
    return rows


def error_said(e: TaskChanged) -> str:
    text = e.error if len(e.error) <= ERROR_LENGTH else e.error[: ERROR_LENGTH - 1] + "…"
    return f'"{text}"' if text else ""


# ---- forms ------------------------------------------------------------------------------------------------


def columns(heads: Row, rows: Sequence[Row], width: int | None = None) -> list[str]:
    """Docker's table: cells at least 10 wide, three blanks apart, the last one open (cli/command/formatter).

    With `width`: what would be longer gets two blanks, then loses empty columns, ids and images, then the nodes'
    domains; in the end the last column is cut.
    """
    lines = _lines(heads, rows, 10, 3)
    if width is None or max(map(len, lines)) <= width:
        return lines
    keep = list(range(len(heads)))
    lines = _lines(heads, rows, 0, 2)
    for drop in _dispensable(heads, rows):
        if max(map(len, lines)) <= width:
            break
        keep.remove(drop)
        lines = _lines(*(_chosen(heads, rows, keep)), 0, 2)
    if max(map(len, lines)) > width:
        lines = _lines(*(_chosen(heads, [_without_domain(heads, row) for row in rows], keep)), 0, 2)
    return [line if len(line) <= width else line[: width - 1] + "…" for line in lines]


def _without_domain(heads: Row, row: Row) -> Row:
    return tuple(
        cell.split(".")[0] if head in ("NODE", "HOSTNAME") else cell for head, cell in zip(heads, row, strict=True)
    )


def _dispensable(heads: Row, rows: Sequence[Row]) -> list[int]:
    empty = [i for i in range(len(heads)) if i and not any(row[i].strip() for row in rows)]
    return empty + [i for i, head in enumerate(heads) if head in ("ID", "IMAGE", "ENGINE VERSION")]


def _chosen(heads: Row, rows: Sequence[Row], keep: list[int]) -> tuple[Row, list[Row]]:
    return tuple(heads[i] for i in keep), [tuple(row[i] for i in keep) for row in rows]


def _lines(heads: Row, rows: Sequence[Row], least: int, gap: int) -> list[str]:
    table = [heads, *rows]
    widths = [max(least, max(len(row[i]) for row in table) + gap) for i in range(len(heads))]
    return ["".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in table]


def human_duration(us: Micros) -> str:
    """github.com/docker/go-units `HumanDuration`."""
    seconds, minutes = us // 1_000_000, us // 60_000_000
    hours = (us + 1_800_000_000) // 3_600_000_000
    if seconds < 1:
        return "Less than a second"
    if seconds == 1:
        return "1 second"
    if seconds < 60:
        return f"{seconds} seconds"
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    if hours == 1:
        return "About an hour"
    return _long_duration(hours, us // 3_600_000_000)


def _long_duration(hours: int, whole_hours: int) -> str:
    if hours < 48:
        return f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{whole_hours // 24 // 365} years"


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts `web.2` before `web.10`, as docker does (github.com/fvbommel/sortorder)."""
    parts = re.findall(r"\d+|\D+", name)
    return tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts)
