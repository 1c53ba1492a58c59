"""A reader of the log that stalls stops nobody: lines wait, and what is lost is counted."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from server.telemetry import line_queue
from server.telemetry.line_queue import LineQueue
from server.telemetry.repeats import Repeats

CAPACITY = 200
LINE = "x" * 1_000
FULL = 65_536 // 1_000 + 100 + CAPACITY  # the pipe, what the writer has in hand, the queue


class Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        counts = {name: getattr(record, name, None) for name in ("count", "repeated")}
        return json.dumps({"event": str(record.msg), **counts})


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    os.close(writer)
    os.close(reader)


@pytest.fixture
def lines(pipe: tuple[int, int]) -> LineQueue:
    handler = LineQueue(pipe[1], CAPACITY, Repeats(1, lambda: 0.0))
    handler.setFormatter(Json())
    return handler


def say(lines: LineQueue, message: Any) -> None:
    lines.handle(logging.makeLogRecord({"msg": message, "levelname": "INFO", "name": "test"}))


def read_until(reader: int, word: str) -> list[dict[str, Any]]:
    """All lines up to the one whose event is that word."""
    received = b""
    while f'"{word}"'.encode() not in received or not received.endswith(b"\n"):
        received += os.read(reader, 65_536)
    return [json.loads(line) for line in received.splitlines()]


def test_lines_arrive_in_their_order(lines: LineQueue, pipe: tuple[int, int]) -> None:
    for number in range(50):
        say(lines, f"line {number}")
    say(lines, "last")
    events = [line["event"] for line in read_until(pipe[0], "last")]
    assert events == [*(f"line {number}" for number in range(50)), "last"]


def test_a_line_at_the_end_of_the_process_is_written_while_the_handler_is_locked(
    lines: LineQueue, pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As logging.shutdown does; the thread must not wait for the lock to count."""
    monkeypatch.setattr(line_queue, "TICK_SECONDS", 0.01)
    lines.acquire()
    try:
        for word in ("first", "last"):
            say(lines, word)
            lines.flush()
    finally:
        lines.release()
    received = os.read(pipe[0], 65_536).splitlines()
    assert [json.loads(line)["event"] for line in received] == ["first", "last"]


def test_repeated_lines_are_counted_before_they_are_made(
    lines: LineQueue, pipe: tuple[int, int]
) -> None:
    event = {"event": "peer_dropped", "peer_node_id": "n", "outcome": "invalid_mesh_ip"}
    assert lines.drop_repeats(None, "warning", dict(event)) == event | {"level": "warning"}
    for _ in range(2):
        with pytest.raises(structlog.DropEvent):
            lines.drop_repeats(None, "warning", dict(event))
    assert lines.drop_repeats(None, "info", {"event": "other"}) == {"event": "other"}
    lines.flush()
    (counted,) = read_until(pipe[0], "peer_dropped")
    assert counted["repeated"] == 2


def test_a_reader_that_stalls_loses_lines_and_is_told_how_many(
    lines: LineQueue, pipe: tuple[int, int]
) -> None:
    sent = 2 * FULL
    for number in range(sent):
        say(lines, f"{number} {LINE}")
    received = read_until(pipe[0], "log_lines_dropped")
    (count,) = [line["count"] for line in received if line["event"] == "log_lines_dropped"]
    assert count > 0
    assert len(received) - 1 + count == sent


def test_the_number_of_lost_lines_has_room_where_the_queue_is_full_again(
    lines: LineQueue, pipe: tuple[int, int]
) -> None:
    sent = 2 * FULL
    for number in range(sent):
        say(lines, f"{number} {LINE}")
    lines._count()  # as after a batch that took longer than a tick
    received = read_until(pipe[0], "log_lines_dropped")
    assert len(received) - 1 + received[-1]["count"] == sent


def test_the_end_of_the_process_waits_for_the_lines_and_not_for_a_reader(
    lines: LineQueue, pipe: tuple[int, int]
) -> None:
    for _ in range(FULL):
        say(lines, LINE)
    lines.flush()


def test_a_descriptor_that_is_closed_stops_nobody() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    broken = LineQueue(writer, CAPACITY, Repeats(1, lambda: 0.0))
    broken.setFormatter(Json())
    for number in range(10 * CAPACITY):
        say(broken, f"line {number}")
    broken.flush()
    os.close(writer)


def test_a_forked_process_writes_its_own_lines_and_not_its_parents(
    lines: LineQueue, pipe: tuple[int, int]
) -> None:
    say(lines, "parent")
    child = os.fork()
    if not child:
        say(lines, "child")
        lines.flush()
        os._exit(0)
    os.waitpid(child, 0)
    say(lines, "last")
    events = [line["event"] for line in read_until(pipe[0], "last")]
    assert sorted(events) == ["child", "last", "parent"]
