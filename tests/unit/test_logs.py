"""Log lines: one shape for all that is logged, whoever logs it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
import structlog

from server.telemetry.logs import configure


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Logging is of the process: what a test configures must not outlive it."""
    root = logging.getLogger()
    handlers, level, was = list(root.handlers), root.level, structlog.is_configured()
    kept = structlog.get_config()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**kept) if was else structlog.reset_defaults()


def lines(log: Any, log_format: str = "json", level: str = "info") -> list[str]:
    """The lines that ``log`` writes."""
    stream = io.StringIO()
    configure(log_format, level, stream, queue=100, repeats=60)
    log()
    return stream.getvalue().splitlines()


def ours() -> Any:
    return structlog.stdlib.get_logger("plexsphere.test")


def only(written: list[str]) -> dict[str, Any]:
    (line,) = written
    return json.loads(line)


def test_a_line_is_one_json_object_with_its_event_level_and_time() -> None:
    line = only(lines(lambda: ours().warning("peer_dropped", outcome="invalid_mesh_ip")))
    stamp = line.pop("timestamp")
    assert stamp.endswith("Z")
    assert line == {"event": "peer_dropped", "level": "warning", "outcome": "invalid_mesh_ip"}


def test_a_line_of_the_standard_library_has_the_same_shape() -> None:
    log = logging.getLogger("gunicorn.error")
    line = only(lines(lambda: log.info("booting %s", "worker", extra={"pid": 7})))
    assert (line["event"], line["level"], line["pid"]) == ("booting worker", "info", 7)


def test_an_exception_is_part_of_its_line() -> None:
    def fail() -> None:
        try:
            raise ValueError("the cause")
        except ValueError:
            ours().exception("request_failed")

    line = only(lines(fail))
    assert "ValueError: the cause" in line["exception"]


def test_an_id_is_written_as_its_text() -> None:
    line = only(lines(lambda: ours().info("x", node_id=UUID(int=7))))
    assert line["node_id"] == "00000000-0000-0000-0000-000000000007"


def test_a_line_break_in_a_value_makes_no_second_line() -> None:
    line = only(lines(lambda: ours().info("x", text="a\nb\r\n{}")))
    assert line["text"] == "a\nb\r\n{}"


@pytest.mark.parametrize(
    ("level", "events"),
    [("debug", ["d", "i", "w", "e"]), ("info", ["i", "w", "e"]), ("warning", ["w", "e"]),
     ("error", ["e"])],
)  # fmt: skip
def test_a_level_leaves_out_what_is_below_it(level: str, events: list[str]) -> None:
    def log() -> None:
        ours().debug("d"), ours().info("i"), ours().warning("w"), ours().error("e")

    assert [json.loads(line)["event"] for line in lines(log, level=level)] == events


def test_configured_twice_a_line_is_written_once() -> None:
    configure("json", "info", io.StringIO(), queue=100, repeats=60)
    assert len(lines(lambda: ours().info("x"))) == 1


def test_a_line_for_people_is_no_json_and_names_its_fields() -> None:
    (line,) = lines(lambda: ours().info("peer_dropped", outcome="x"), "console")
    assert not line.startswith("{") and "peer_dropped" in line and "outcome=" in line


def test_an_exception_for_people_does_not_show_the_locals() -> None:
    """They hold tokens and DSNs, and drawing them takes seconds."""

    def fail() -> None:
        password = "hunter" + "2"
        try:
            raise ValueError(len(password))
        except ValueError:
            ours().exception("request_failed")

    text = "\n".join(lines(fail, "console"))
    assert ("ValueError: 7" in text, "hunter2" in text) == (True, False)
