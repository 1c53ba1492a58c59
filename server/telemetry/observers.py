"""What the inner rooms report, turned into log lines and counters.

Operators search for the field names and outcomes of a dropped peer, so they are spelled here once.
"""

from __future__ import annotations

from uuid import UUID

import structlog

from db.outbox import OutboxRow
from server.telemetry.metrics import Metrics

_log = structlog.stdlib.get_logger("plexsphere")


class DropObserver:
    """The composer's DropReporter: one WARN a dropped row and composed snapshot."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def dropped(
        self, outcome: str, domain_id: UUID, addressed_node_id: UUID, peer_node_id: UUID
    ) -> None:
        """Warn, with the fields that operators search for."""
        _log.warning(
            "peer_dropped",
            outcome=outcome,
            domain_id=str(domain_id),
            addressed_node_id=str(addressed_node_id),
            peer_node_id=str(peer_node_id),
        )
        self._metrics.dropped_peers.labels(outcome).inc()


class AuditObserver:
    """Told of audit rows that could not be written, or not be kept."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def failed(self, error: Exception) -> None:
        """A batch could not be written; it is kept and tried again."""
        _log.warning("audit_write_failed", cause=str(error))

    def lost(self, count: int, reason: str) -> None:
        """Count and log; nothing else can be done for them."""
        self._metrics.audit_lost.labels(reason).inc(count)
        _log.error("audit_rows_lost", count=count, reason=reason)


class HistoryObserver:
    """Told of served bodies that could not be kept."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def lost(self, count: int, reason: str) -> None:
        """Count and log; the Node's next 200 brings its body again."""
        self._metrics.history_lost.labels(reason).inc(count)
        _log.warning("history_bodies_lost", count=count, reason=reason)


class TokenObserver:
    """Told why a request has no Principal; the caller never is."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def refused(self, reason: str) -> None:
        """Count by reason; a debug line for the one who is looking."""
        self._metrics.refused_tokens.labels(reason).inc()
        _log.debug("token_refused", reason=reason)


def outbox_row_parked(row: OutboxRow, because: str) -> None:
    """The ledger and SpiceDB differ until an operator runs ``authz repair``."""
    _log.error("outbox_row_parked", seq=row.seq, object=row.object, cause=because)


def warn(event: str, **fields: object) -> None:
    """A warning of an adapter that has no observer of its own."""
    _log.warning(event, **fields)
