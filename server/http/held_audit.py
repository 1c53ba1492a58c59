"""A grant is on record only when it was served.

Handlers record when the gates have spoken; whether the answer leaves is the doorkeeper's to say. So
rows wait in the request until then, and go on to the real sink in one order with the answer.
"""

from __future__ import annotations

import structlog

from composer.audit import AuditRow, AuditSink
from handlers.operation import GRANTED
from server.http import request_context

_log = structlog.stdlib.get_logger("plexsphere.audit")


class HeldAudit:
    """An AuditSink that holds rows in the request."""

    def record(self, row: AuditRow) -> None:
        """Keep ``row`` until the doorkeeper has decided."""
        request_context.hold_audit(row)


def settle(sink: AuditSink, served: bool) -> None:
    """Pass the request's rows on; without the grants when another answer left, but for what is
    done already. Never raises."""
    for row in request_context.held_audit():
        if served or row.is_done or row.outcome != GRANTED:
            try:
                sink.record(row)
            except Exception:
                _log.exception("audit_row_lost", correlation_id=row.correlation_id)
