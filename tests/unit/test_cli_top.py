"""``top``: what happened between two scrapes, on 80 columns."""

from __future__ import annotations

from server.cli.scrape import Change, Scrape, samples_of
from server.cli.top import render
from server.telemetry.answered import STAGES, Answered
from server.telemetry.metrics import Metrics

NAME = "plexsphere_http_request_seconds"
LANES = ("requests", "pulls", "heartbeats", "others", "livez", "readyz")


def answered(operation: str, seconds: float, status: int = 200) -> Answered:
    stages = [("queue", 10.0, 10.0 + seconds / 2)]
    return Answered(operation, status, 10.0, 10.0 + seconds, stages, "GET", "/", "c", None)


def scrapes(metrics: Metrics, *requests: Answered) -> Change:
    """Two seconds in which these requests were answered."""
    before = Scrape(100.0, samples_of(metrics.exposition().decode()))
    for request in requests:
        metrics.answered.append(request)
    return Change(before, Scrape(102.0, samples_of(metrics.exposition().decode())))


def test_only_what_was_answered_between_the_scrapes_counts() -> None:
    metrics = Metrics()
    scrapes(metrics, answered("GetNodeState", 4.0))
    change = scrapes(
        metrics, *[answered("GetNodeState", 0.04)] * 3, answered("GetNodeState", 0.04, 503)
    )
    assert change.operations() == ["GetNodeState"]
    assert change.rate("plexsphere_http_requests_total") == 2.0
    assert change.share_of_bad("GetNodeState") == 0.25
    quantile = change.quantile(0.5, NAME, operation="GetNodeState")
    assert quantile is not None and 0.025 < quantile <= 0.05
    means = change.means("plexsphere_http_stage_seconds", "stage", operation="GetNodeState")
    assert round(means["queue"], 6) == 0.02


def test_a_counter_that_restarted_counts_from_zero() -> None:
    key = ("plexsphere_http_requests_total", frozenset({("operation", "x"), ("status", "200")}))
    change = Change(Scrape(0.0, {key: 90.0}), Scrape(2.0, {key: 4.0}))
    assert change.rate("plexsphere_http_requests_total") == 2.0


def test_a_quantile_above_the_last_bucket_is_its_bound() -> None:
    change = scrapes(Metrics(), answered("GetNodeState", 60.0))
    assert change.quantile(0.99, NAME) == 5.0


def slow_requests(width: int) -> list[str]:
    """The lines where each lane has a number of two digits, and each cell its longest text."""
    metrics = Metrics()
    for lane in LANES:
        metrics.threads.labels(lane).set(18)
    stages = [(stage, 0.0, 99.0) for stage in STAGES]
    slow = Answered("DeleteNodeStateReport", 503, 0.0, 99.0, stages, "GET", "/", "c", None)
    shown = render(scrapes(metrics, *[slow] * 2000), width)
    return [line for text in shown for line in text.plain.splitlines()]


def test_every_line_fits_into_80_columns_and_shows_each_stage() -> None:
    lines = slow_requests(80)
    assert max(map(len, lines)) <= 80
    (row,) = (text.split() for text in lines if text.startswith("DeleteNodeState"))
    assert row == ["DeleteNodeStateR", "1,000", "100%", *["5000"] * 2, *["99s"] * 8]
    assert "ledger    Postgres does not answer" in lines
    threads = next(number for number, line in enumerate(lines) if line.startswith("threads"))
    words = " ".join(lines[threads : threads + 2]).split()
    assert words == ["threads", *(word for lane in LANES for word in (lane, "0/18"))]


def test_a_narrow_terminal_shows_fewer_columns_and_says_which() -> None:
    lines = slow_requests(60)
    assert max(map(len, lines)) <= 60
    assert "A wider terminal shows pool, pg, work, valid too." in lines
