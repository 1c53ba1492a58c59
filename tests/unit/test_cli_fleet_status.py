"""``fleet status`` on the terminals of operators."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from server.cli.fleet.node_states import BEHIND, FleetStatus, NodeStatus
from server.cli.fleet.status import render
from server.events.stream_list import NodeStream, StreamList, StreamProcess
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
    streams = StreamList(
        (StreamProcess("web-1:7", 0), StreamProcess("web-2:7", 40)),
        (NodeStream("web-1:7", NODE, 12 * 60, 3_400),),
    )
    return FleetStatus("domain", NOW, 300, (node,), streams)


@pytest.mark.parametrize(
    ("width", "shown", "left_out"),
    [
        (80, "", "stream, name, runs, current, since"),
        (125, "12 min, 3,400 B unread   edge-frankfurt-7", "runs, current, since"),
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


def test_streams_are_counted_and_a_process_that_is_behind_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = on_terminal(monkeypatch, 100, render(fleet(), 100, 100))
    assert "1 of 1 Node with an event stream, 1 with unread bytes; 2 workers answered" in text
    assert "web-2:7 is 40 events behind" in text and "web-1:7 is" not in text
