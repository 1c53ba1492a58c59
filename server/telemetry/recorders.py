"""Events of the inner rooms, recorded as log lines and counters.

Operators search for the field names and outcomes of a dropped peer, so they are spelled here once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from uuid import UUID

import structlog

from composer.audit import AuditRow
from db.outbox import OutboxRow
from server.telemetry.metrics import Metrics

_log = structlog.stdlib.get_logger("plexsphere")


class PeerDropRecorder:
    """The composer's DropReporter: one warning for each dropped row and composed snapshot."""

    def __init__(self, metrics: Metrics) -> None:
        self._counter = cache(metrics.dropped_peers.labels)
        self._log = _log.bind()  # once, not for each line

    def dropped(
        self, outcome: str, domain_id: UUID, addressed_node_id: UUID, peer_node_id: UUID
    ) -> None:
        """Warn, with the fields that operators search for."""
        self._log.warning(
            "peer_dropped",
            outcome=outcome,
            domain_id=str(domain_id),
            addressed_node_id=str(addressed_node_id),
            peer_node_id=str(peer_node_id),
        )
        self._counter(outcome).inc()


class AuditRecorder:
    """Records audit rows that could not be written, or that were lost."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def failed(self, error: Exception) -> None:
        """A batch could not be written; it is kept and written later."""
        _log.warning("audit_write_failed", cause=str(error))

    def parked(self, row: AuditRow) -> None:
        """The table refuses a row and takes others; this line is all that is kept of it."""
        self._metrics.audit_lost.labels("refused").inc()
        _log.error("audit_row_parked", **asdict(row))

    def damaged(self, file: str, size: int) -> None:
        """A line of the spool cannot be read, as the last one of a process that was killed."""
        self._metrics.audit_lost.labels("damaged").inc()
        _log.warning("audit_spool_line_ignored", file=file, bytes=size)

    def lost(self, count: int, reason: str) -> None:
        """Rows could not be kept."""
        self._metrics.audit_lost.labels(reason).inc(count)
        _log.error("audit_rows_lost", count=count, reason=reason)


class HistoryRecorder:
    """Records served bodies that could not be kept."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def lost(self, count: int, reason: str) -> None:
        """Bodies could not be kept; the next 200 of the Node brings its body again."""
        self._metrics.history_lost.labels(reason).inc(count)
        _log.warning("history_bodies_lost", count=count, reason=reason)


class TokenRecorder:
    """Records why a request has no Principal; the caller is not told."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def refused(self, reason: str) -> None:
        """A counter for each reason, and a debug line."""
        self._metrics.refused_tokens.labels(reason).inc()
        _log.debug("token_refused", reason=reason)


class EventRecorder:
    """Counts the streams of this process and what becomes of events."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def streams_changed(self, change: int) -> None:
        """A stream began (1) or ended (-1)."""
        self._metrics.streams.inc(change)

    def cut(self) -> None:
        """A stream ended because its client did not read."""
        self._metrics.streams_cut.inc()

    def resynced(self) -> None:
        """A stream began with ``resync_required``."""
        self._metrics.resyncs.inc()

    def delivered(self, streams: int) -> None:
        """An event was written to so many streams."""
        self._metrics.delivered.inc(streams)

    def progress(self, position: int, behind: int) -> None:
        """An event was taken from the bus, and so many are still to come."""
        self._metrics.events_position.set(position)
        self._metrics.events_behind.set(behind)

    def unsendable(self) -> None:
        """An event of the bus breaks the contract."""
        self._metrics.breaches.labels("GetNodeEvents").inc()


def record_parked_row(row: OutboxRow, because: str) -> None:
    """The ledger and SpiceDB differ until an operator runs ``authz repair``."""
    _log.error("outbox_row_parked", seq=row.seq, object=row.object, cause=because)


def record_unsigned(domain_id: UUID, because: str) -> None:
    """The Domain's events wait until its key decrypts."""
    _log.error("events_unsigned", domain_id=str(domain_id), cause=because)


def warning_logger(event: str) -> Callable[[str], None]:
    """Logs each warning of an adapter as this event."""
    return lambda warning: _log.warning(event, warning=warning)
