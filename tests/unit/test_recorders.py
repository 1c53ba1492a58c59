"""Reports of the inner rooms: a line for people, a counter for alerts, and no id in a label."""

from __future__ import annotations

import re
from dataclasses import asdict

import structlog

from composer.audit import AuditRow
from db.outbox import OutboxRow
from server.telemetry.metrics import Metrics
from server.telemetry.recorders import (
    AuditRecorder,
    HistoryRecorder,
    PeerDropRecorder,
    TokenRecorder,
    record_parked_row,
)
from tests.factories import DOMAIN, node_id


def counted(metrics: Metrics, name: str) -> dict[str, float]:
    """The samples of one counter, by their labels."""
    text = metrics.exposition().decode()
    found = re.findall(rf"^{name}_total(\{{.*\}})? (\S+)$", text, re.M)
    return {labels: float(value) for labels, value in found}


def test_dropped_peers_are_counted_by_outcome_and_by_nothing_else() -> None:
    metrics = Metrics()
    observer = PeerDropRecorder(metrics)
    with structlog.testing.capture_logs():
        for number, outcome in enumerate(
            ["invalid_mesh_ip", "empty_public_key", "invalid_mesh_ip"]
        ):
            observer.dropped(outcome, DOMAIN, node_id(1), node_id(number))
    assert counted(metrics, "plexsphere_dropped_peers") == {
        '{outcome="invalid_mesh_ip"}': 2.0,
        '{outcome="empty_public_key"}': 1.0,
    }


def test_lost_audit_rows_are_counted_and_logged_as_an_error() -> None:
    metrics = Metrics()
    with structlog.testing.capture_logs() as lines:
        AuditRecorder(metrics).lost(7, "queue_full")
    shown = [(line["event"], line["log_level"], line["count"], line["reason"]) for line in lines]
    assert (shown, counted(metrics, "plexsphere_audit_rows_lost")) == (
        [("audit_rows_lost", "error", 7, "queue_full")],
        {'{reason="queue_full"}': 7.0},
    )


def test_a_parked_row_is_counted_and_whole_in_the_log() -> None:
    metrics = Metrics()
    parked = AuditRow("node_state.pull", "granted", "node:x", "node:x", "c-1", "ab")
    with structlog.testing.capture_logs() as lines:
        AuditRecorder(metrics).parked(parked)
    (line,) = lines
    assert (line["event"], line["log_level"]) == ("audit_row_parked", "error")
    assert asdict(parked).items() <= line.items()
    assert counted(metrics, "plexsphere_audit_rows_lost") == {'{reason="refused"}': 1.0}


def test_lost_bodies_are_counted_by_reason_and_logged() -> None:
    metrics = Metrics()
    with structlog.testing.capture_logs() as lines:
        HistoryRecorder(metrics).lost(3, "failed")
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("history_bodies_lost", "warning")
    ]
    assert counted(metrics, "plexsphere_history_bodies_lost") == {'{reason="failed"}': 3.0}


def test_refused_tokens_are_counted_by_reason() -> None:
    metrics = Metrics()
    observer = TokenRecorder(metrics)
    with structlog.testing.capture_logs():
        for reason in ("expired", "expired", "no_token"):
            observer.refused(reason)
    assert counted(metrics, "plexsphere_refused_tokens") == {
        '{reason="expired"}': 2.0,
        '{reason="no_token"}': 1.0,
    }


def test_two_services_of_a_process_count_apart() -> None:
    first, other = Metrics(), Metrics()
    with structlog.testing.capture_logs():
        TokenRecorder(first).refused("expired")
    assert counted(other, "plexsphere_refused_tokens") == {}


def test_a_parked_row_is_an_error_with_its_object_and_the_reason() -> None:
    with structlog.testing.capture_logs() as lines:
        record_parked_row(OutboxRow(7, "node:x", [], None, None), "INVALID_ARGUMENT")
    assert lines == [
        {
            "event": "outbox_row_parked",
            "log_level": "error",
            "seq": 7,
            "object": "node:x",
            "cause": "INVALID_ARGUMENT",
        }
    ]
