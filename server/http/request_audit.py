"""The audit rows of a request wait until it is known whether its answer leaves.

An operation records a grant before its answer is validated. A grant whose answer was withheld must
not be on record, so the doorkeeper passes the rows on to the real sink.
"""

from __future__ import annotations

import structlog

from composer.audit import AuditRow, AuditSink
from handlers.operation import GRANTED, GRANTED_STALE
from server.http import request_context

_log = structlog.stdlib.get_logger("plexsphere.audit")


class RequestAudit:
    """An AuditSink that keeps rows in the request. After its end, as for a stream that is held,
    they go to the real sink at once."""

    def __init__(self, sink: AuditSink | None = None) -> None:
        """``sink`` is the real one; None where no request has rows after its end."""
        self._sink = sink

    def record(self, row: AuditRow) -> None:
        """Keep ``row`` until the doorkeeper has decided."""
        if request_context.is_in_request():
            request_context.add_audit_row(row)
        elif self._sink is not None:
            self._sink.record(row)


def forward_rows(sink: AuditSink, *, is_served: bool) -> None:
    """Pass the request's rows on to ``sink``. Never raises.

    Where another answer left, a grant is not passed on.
    """
    for row in request_context.audit_rows():
        if is_served or row.outcome not in (GRANTED, GRANTED_STALE):
            try:
                sink.record(row)
            except Exception:
                _log.exception("audit_row_lost", correlation_id=row.correlation_id)
