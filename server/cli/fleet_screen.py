"""A fleet's status for people: a bar, a sentence, a table with the worst first."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from server.cli.fleet_states import (
    BEHIND,
    CORRUPT,
    CURRENT,
    NEVER,
    STATES,
    FleetStatus,
    NodeStatus,
    shown,
)
from server.cli.screens import line, plain, table
from server.cli.text import counted, lasting, moment

BAR = 60  # cells
_CELLS = {
    CURRENT: ("█", "green"),
    BEHIND: ("▒", "yellow"),
    NEVER: ("░", "blue"),
    CORRUPT: ("×", "red"),
}
_COLUMNS = (
    "node",
    "state",
    "without it for",
    "last grant",
    "last heartbeat",
    "runs",
    "since",
    "current",
    "name",
)


def render(status: FleetStatus, limit: int) -> Iterator[Text | Table]:
    """The parts, top to bottom."""
    yield line("Domain", f"{status.domain_id}  {counted(len(status.nodes), 'Node')}")
    if not status.nodes:
        return
    yield _bar(status)
    yield _sentence(status)
    if status.gap:
        yield plain(f"{status.gap} See PLEXSPHERE_AUDIT of the service.", "yellow")
    rows = [_row(node, status.max_age) for node in shown(status.nodes, limit)]
    yield table("", _COLUMNS, rows)
    if len(rows) < len(status.nodes):
        rest = counted(len(status.nodes) - len(rows), "Node")
        yield plain(f"and {rest} more: --limit 0 shows all.", "dim")


def _bar(status: FleetStatus) -> Text:
    """A cell for every state that has a Node at all: one of 10,000 must not vanish."""
    counts = {state: number for state, number in status.counts().items() if number}
    cells = {state: max(1, number * BAR // len(status.nodes)) for state, number in counts.items()}
    largest = max(cells, key=lambda state: cells[state])
    cells[largest] += BAR - sum(cells.values())
    return Text("").join(
        Text(_CELLS[state][0] * cells[state], style=_CELLS[state][1]) for state in cells
    )


def _sentence(status: FleetStatus) -> Text:
    counts = status.counts()
    parts = [Text(f"{counts[state]:,} {state}", style=_CELLS[state][1]) for state in STATES]
    late = f"{status.late:,} for longer than {lasting(status.max_age)}"
    return Text("  ").join((*parts, Text(late, style="bold red" if status.late else "dim")))


def _row(node: NodeStatus, max_age: float) -> tuple[object, ...]:
    style = "bold red" if node.is_late(max_age) else _CELLS[node.state][1]
    return (
        node.node_id,
        plain(node.state, style),
        _duration(node.behind_seconds, "≤ "),
        _ago(node.silent_seconds),
        _ago(node.unheard_seconds),
        _digest(node.digest),
        "never" if node.since is None else moment(node.since),
        _digest(node.current_digest),
        node.name,
    )


def _duration(seconds: int | None, before: str = "") -> str:
    return "-" if seconds is None else before + lasting(seconds)


def _ago(seconds: int | None) -> str:
    return "never" if seconds is None else f"{lasting(seconds)} ago"


def _digest(digest: str | None) -> str:
    """Twelve digits tell the digests of one fleet apart."""
    return "-" if digest is None else digest[:12]
