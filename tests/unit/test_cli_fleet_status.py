"""``fleet status`` on the terminals of operators."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from server.cli.fleet.node_states import BEHIND, FleetStatus, NodeStatus
from server.cli.fleet.status import render
from tests.unit.test_cli_screen import on_terminal

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
NODE = str(UUID(int=7))


def fleet() -> FleetStatus:
    """A Node with the longest times that the columns show."""
    node = NodeStatus(
        node_id=NODE,
        name="edge-frankfurt-7",
        state=BEHIND,
        digest="a" * 64,
        current_digest="b" * 64,
        since=NOW,
        granted_at=NOW,
        silent_seconds=100 * 60,
        behind_seconds=100 * 60,
        heartbeat_at=NOW,
        heartbeat_seconds=100 * 60,
    )
    return FleetStatus("domain", NOW, 300, (node,))


@pytest.mark.parametrize(
    ("width", "shown", "left_out"),
    [
        (80, "", "name, runs, current, since"),
        (100, "edge-frankfurt-7", "runs, current, since"),
        (200, "edge-frankfurt-7   aaaaaaaaaaaa   bbbbbbbbbbbb", ""),
    ],
)
def test_a_row_is_a_line_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, width: int, shown: str, left_out: str
) -> None:
    text = on_terminal(monkeypatch, width, render(fleet(), 100, width))
    (row,) = [line for line in text.splitlines() if NODE in line]
    assert "behind" in row and "≤ 100 min" in row and shown in row
    assert max(map(len, text.splitlines())) <= width
    assert (f"A wider terminal shows {left_out} too." in text) is bool(left_out)
