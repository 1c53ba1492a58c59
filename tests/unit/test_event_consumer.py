"""The consumer where NATS answers, and has no stream of events to follow."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from nats.js.errors import ServerError, ServiceUnavailableError
from structlog.testing import capture_logs

from server.events.consumer import WAITS, BusLost, Consumer, next_message
from server.events.fan_out import FanOut
from server.events.window import Window
from tests.events import declared_frames


class RefusingConnection:
    """Fails with each of these errors in turn, and then ends the test."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)

    async def use(self, make: object) -> None:
        if not self._errors:
            raise asyncio.CancelledError
        raise self._errors.pop(0)


def test_each_cause_is_logged_once_in_the_words_of_nats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.events.consumer.RETRY_SECONDS", (0.0, 0.0))
    no_jetstream = ServiceUnavailableError()
    full = ServerError(code=500, description="insufficient storage resources available")
    consumer = Consumer(
        RefusingConnection(no_jetstream, no_jetstream, full, full),  # type: ignore[arg-type]
        FanOut(Window(240.0), lambda streams: None),
        declared_frames(),
        replicas=1,
        window_seconds=240.0,
        on_unsendable=lambda: None,
        on_progress=lambda position, behind: None,
    )
    with capture_logs() as lines, suppress(asyncio.CancelledError):
        asyncio.run(consumer._follow_for_ever())
    assert [(line["event"], line["cause"]) for line in lines] == [
        ("event_bus_lost", "ServiceUnavailableError"),
        ("event_bus_lost", "insufficient storage resources available"),
    ]


class SilentFor:
    """A subscription without a message for so many waits, as for a process that was stopped."""

    def __init__(self, waits: int) -> None:
        self._waits = waits

    async def next_msg(self, seconds: float) -> str:
        self._waits -= 1
        if self._waits >= 0:
            raise TimeoutError
        return "message"


def test_only_a_server_that_stays_silent_is_lost() -> None:
    late, gone = SilentFor(WAITS - 1), SilentFor(WAITS)
    assert asyncio.run(next_message(late)) == "message"  # type: ignore[arg-type,comparison-overlap]
    with pytest.raises(BusLost):
        asyncio.run(next_message(gone))  # type: ignore[arg-type]
