"""The gauges of the ledger in a scrape, which shows the counters whatever the ledger does."""

from __future__ import annotations

import pytest
import structlog

from composer.deadline import Deadline
from composer.errors import ComposerError, DatastoreUnavailable
from db.events import EventLag
from db.health import Lag, LastComparison
from db.outbox import OutboxLag
from server.cli.scrape import samples_of
from server.telemetry.metrics import READ_SECONDS, Exposition, Metrics
from tests.fakes import FakeClock
from tests.outboxes import NO_LAG

COUNTER = "plexsphere_large_snapshots_total 0.0"


def scraped(exposition: Exposition, seconds: float = 3.0) -> str:
    body, media_type = exposition.exposition(Deadline.after(seconds, FakeClock()))
    assert media_type == "text/plain; version=0.0.4; charset=utf-8"
    return body.decode()


def samples(text: str) -> dict[str, float]:
    """By name, of those without a label."""
    return {name: value for (name, labels), value in samples_of(text).items() if not labels}


@pytest.mark.parametrize(
    ("swept", "shown"), [(4.5, 4.5), (None, float("inf"))], ids=["swept", "never"]
)
def test_what_waits_and_when_somebody_swept_is_shown_beside_the_counters(
    swept: float | None, shown: float
) -> None:
    text = scraped(
        Exposition(
            Metrics(),
            lambda deadline: Lag(
                OutboxLag(3, 61.5, 2), swept, LastComparison(7.5, 1, 4), EventLag(5, 8.5, 40), -31.0
            ),
        )
    )
    assert COUNTER in text
    found = samples(text)
    assert {name: found.get(f"plexsphere_{name}") for name in NAMES} == dict(
        zip(NAMES, (3, 61.5, 2, shown, 7.5, 1, 4, 5, 8.5, -31.0), strict=True)
    )
    for name in NAMES:
        assert text.count(f"# TYPE plexsphere_{name} gauge\n") == 1
    assert found["plexsphere_events_published_total"] == 40
    assert "# TYPE plexsphere_events_published_total counter\n" in text


NAMES = (
    "outbox_rows_waiting",
    "outbox_oldest_row_age_seconds",
    "outbox_rows_parked",
    "evaluator_last_sweep_age_seconds",
    "authz_last_comparison_age_seconds",
    "authz_differences",
    "authz_mended",
    "events_waiting",
    "events_oldest_age_seconds",
    "clock_skew_seconds",
)


@pytest.mark.parametrize(
    ("error", "lines"),
    [
        (DatastoreUnavailable("away"), ["ledger_gauges_left_out"]),
        (ComposerError("of another schema"), ["ledger_gauges_left_out"]),
        (KeyError("a bug"), ["ledger_gauges_failed"]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_ledger_that_cannot_tell_leaves_the_counters(error: Exception, lines: list[str]) -> None:
    def read(deadline: Deadline) -> Lag:
        raise error

    with structlog.testing.capture_logs() as logged:
        text = scraped(Exposition(Metrics(), read))
    assert COUNTER in text and "outbox" not in text
    assert [line["event"] for line in logged] == lines


def test_without_a_ledger_there_are_the_counters() -> None:
    text = scraped(Exposition(Metrics()))
    assert COUNTER in text and "outbox" not in text


@pytest.mark.parametrize(("budget", "share"), [(3.0, READ_SECONDS), (0.25, 0.25)])
def test_the_ledger_has_a_second_and_no_more_than_the_request(budget: float, share: float) -> None:
    values: list[float] = []

    def read(deadline: Deadline) -> Lag:
        values.append(deadline.remaining())
        return NO_LAG

    scraped(Exposition(Metrics(), read), budget)
    assert values == [share]
